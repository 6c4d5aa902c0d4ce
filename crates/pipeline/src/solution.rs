//! Solutions: what a change of definitions becomes a part of.
//!
//! Source: `metadata.md` 10. Not here: exporting and importing them.
//! Invariant: a component's row is written with its definition, in one transaction.

use crate::ids::IdSource;
use crate::message::Definition;
use crate::run::{Context, Organization};
use crate::seed;
use model::{Fault, LookupValue, Uuid, Value, code};
use query::{BoundQuery, ColumnRef, Compare, Filter, Join, JoinKind, Order, Paging};
use store::WriteOp;

/// An unmanaged solution, and the prefix of its publisher.
#[derive(Clone, Debug)]
pub(crate) struct Solution {
    id: Uuid,
    prefix: Box<str>,
    /// The one that everything belongs to: it takes any prefix.
    is_default: bool,
}

/// 404: there is no such solution.
pub(crate) fn unknown(name: &str) -> Fault {
    Fault::new(
        code::OBJECT_DOES_NOT_EXIST,
        format!("Could not find a solution with specified unique name: {name}"),
    )
}

/// Reads the solution of a unique name: its id, whether it is managed, its publisher's prefix.
pub(crate) fn query(context: &Context, name: &str) -> Option<BoundQuery> {
    let table = context.catalog.table("solution")?.clone();
    let publisher = context.catalog.table("publisher")?.clone();
    let key = ColumnRef::root(table.primary_key);
    let unique = ColumnRef::root(table.index_of("uniquename")?);
    let prefix = publisher.index_of("customizationprefix")?;
    let managed = ColumnRef::root(table.index_of("ismanaged")?);
    let join = Join {
        from: publisher.primary_key,
        to: ColumnRef::root(table.index_of("publisherid")?),
        table: publisher,
        kind: JoinKind::Outer,
        on: None,
    };
    Some(BoundQuery {
        catalog: context.catalog.clone(),
        joins: vec![join],
        columns: vec![key, managed, ColumnRef { source: 1, column: prefix }],
        filter: Some(Filter::Compare {
            column: unique,
            compare: Compare::Equal,
            value: Value::text(name),
        }),
        order: vec![Order { column: key, descending: false }],
        paging: Paging { size: 1, after: None, skip: 0, look_ahead: false },
        count_max: None,
        shape: query::Shape::default(),
        table,
    })
}

/// The solution that [`query`] found.
pub(crate) fn of_row(cells: &[Value], name: &str) -> Result<Solution, Fault> {
    let [id, managed, prefix, ..] = cells else { return Err(unknown(name)) };
    let id = id.as_id().ok_or_else(|| unknown(name))?;
    if *managed == Value::Boolean(true) {
        return Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!("The solution {name} is managed: nothing is added to it."),
        ));
    }
    let prefix = match prefix {
        Value::Text(prefix) => prefix.clone(),
        _ => Box::default(),
    };
    let is_default = ["Default", "Active"].iter().any(|known| known.eq_ignore_ascii_case(name));
    Ok(Solution { id, prefix, is_default })
}

/// Refuses names without the prefix of the solution's publisher.
pub(crate) fn check(solution: &Solution, definition: &Definition) -> Result<(), Fault> {
    if solution.is_default || solution.prefix.is_empty() {
        return Ok(());
    }
    for (name, what) in names(definition) {
        let own = name.split_once('_').map(|(prefix, _)| prefix);
        if !own.is_some_and(|prefix| prefix.eq_ignore_ascii_case(&solution.prefix)) {
            return Err(Fault::new(
                code::INVALID_NAME_PREFIX,
                format!(
                    "The schema name {name} for type {what} is invalid or missing. Custom attribute, entity, entitykey, option set and relationship names must start with a valid customization prefix. The prefix for solution's publisher is {}.",
                    solution.prefix
                ),
            ));
        }
    }
    Ok(())
}

/// The schema names that a definition makes.
fn names(definition: &Definition) -> Vec<(&str, &'static str)> {
    match definition {
        Definition::CreateTables(tables) => {
            tables.iter().map(|table| (&*table.schema_name, "Entity")).collect()
        }
        Definition::CreateColumn { column, .. } => vec![(&column.schema_name, "Attribute")],
        Definition::CreateKey { key, .. } => vec![(&key.schema_name, "EntityKey")],
        Definition::CreateRelationship(one) => {
            vec![(&one.schema_name, "Relationship"), (&one.lookup_schema_name, "Attribute")]
        }
        Definition::CreateManyToMany(many) => vec![(&many.schema_name, "Relationship")],
        Definition::CreateLookup(lookup) => {
            let all = lookup.relationships.iter();
            all.map(|one| (&*one.schema_name, "Relationship")).collect()
        }
        Definition::CreateChoice(choice) => vec![(&choice.name, "OptionSet")],
        _ => Vec::new(),
    }
}

/// The component types of what a definition makes: of every id, and of the last one.
pub(crate) fn component(definition: &Definition) -> (i32, i32) {
    let of_all = match definition {
        Definition::CreateTables(_) => 1,
        Definition::CreateColumn { .. } => 2,
        Definition::CreateChoice(_) => 9,
        Definition::CreateKey { .. } => 14,
        _ => 10,
    };
    let of_last = if matches!(definition, Definition::CreateLookup(_)) { 2 } else { of_all };
    (of_all, of_last)
}

/// The rows that say that what was made belongs to a solution.
pub(crate) fn rows(
    context: &Context,
    organization: Organization,
    ids: &IdSource,
    (solution, (of_all, of_last)): (&Solution, (i32, i32)),
    made: &[Uuid],
) -> Option<WriteOp> {
    let table = context.catalog.table("solutioncomponent")?;
    let solutions = context.catalog.table("solution")?.id;
    if made.is_empty() {
        return None;
    }
    let fresh = ids.take(made.len(), context.now);
    let last = made.len() - 1;
    let rows = fresh.into_iter().zip(made).enumerate().map(|(place, (id, object))| {
        let kind = if place == last { of_last } else { of_all };
        let values = vec![
            ("solutionid", Value::Lookup(LookupValue { table: solutions, id: solution.id })),
            ("objectid", Value::Guid(*object)),
            ("componenttype", Value::Integer(kind)),
            ("rootcomponentbehavior", Value::Integer(0)),
            ("ismetadata", Value::Boolean(true)),
        ];
        (id, values)
    });
    Some(seed::rows::insert(table, organization, context.now, rows.collect()))
}
