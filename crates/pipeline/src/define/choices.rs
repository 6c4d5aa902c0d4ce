//! Choices that columns share, and the options of choices.
//!
//! Source: `metadata.md` 7. Invariant: a column that is bound to a global choice has exactly its options.

use super::{Fresh, names};
use model::{
    Catalog, ChoiceOption, Column, ColumnKind, Fault, GlobalChoice, GlobalChoiceKey, Label,
    NewColumn, NewGlobalChoice, OptionChange, OptionsOf, Table, Uuid, code,
};
use std::sync::Arc;
use store::SchemaOp;

/// The global choice of this key.
pub(super) fn find<'a>(
    catalog: &'a Catalog,
    key: &GlobalChoiceKey,
) -> Result<&'a Arc<GlobalChoice>, Fault> {
    let (found, name) = match key {
        GlobalChoiceKey::Id(id) => (catalog.choice_by_metadata_id(*id), id.to_string()),
        GlobalChoiceKey::Name(name) => (catalog.choice(name), name.to_string()),
    };
    found.ok_or_else(|| {
        Fault::new(
            code::OBJECT_DOES_NOT_EXIST,
            format!("Could not find an optionset with the specified name or id: {name}"),
        )
    })
}

/// Gives a wished column the options of the global choice that it names.
pub(super) fn bind(catalog: &Catalog, wish: &mut NewColumn) -> Result<(), Fault> {
    let Some(key) = wish.global_choice.take() else { return Ok(()) };
    let choice = find(catalog, &key)?;
    match &mut wish.kind {
        ColumnKind::Choice { options, .. } | ColumnKind::MultiChoice { options } => {
            options.clone_from(&choice.options);
        }
        _ => {
            return Err(Fault::new(
                code::INVALID_ARGUMENT,
                format!(
                    "Attribute {} is no choice: it has no global option set.",
                    wish.schema_name
                ),
            ));
        }
    }
    wish.settings.global_choice = Some(choice.metadata_id);
    wish.settings.global_choice_name = Some(choice.name.clone());
    Ok(())
}

/// The first value of an option that is given none: prefix 10000 of the default publisher.
const FIRST_VALUE: i32 = 100_000_000;
/// Options that a choice may have at most.
const OPTIONS_MAX: usize = 10_000;

fn refuse<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(code::INVALID_ARGUMENT, why.into()))
}

/// A new global choice.
pub(super) fn new(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    wish: NewGlobalChoice,
) -> Result<GlobalChoice, Fault> {
    names::check(&wish.name, "OptionSet")?;
    if catalog.choice(&wish.name).is_some() {
        return Err(Fault::new(
            code::INVALID_OPTION_SET_SCHEMA_NAME,
            "An OptionSet with the specified name already exists. Please specify a unique name.",
        ));
    }
    let now = Some(fresh.context.now);
    Ok(GlobalChoice {
        metadata_id: fresh.id(),
        name: wish.name,
        display_name: wish.display_name,
        description: wish.description,
        options: wish.options,
        is_custom: true,
        created_on: now,
        modified_on: now,
    })
}

/// The end of a global choice that no column is bound to.
pub(super) fn remove(catalog: &Catalog, id: Uuid) -> Result<SchemaOp, Fault> {
    let choice = find(catalog, &GlobalChoiceKey::Id(id))?;
    if let Some((table, column)) = bound(catalog, id).next() {
        return Err(Fault::new(
            code::CANNOT_DELETE_IN_USE_COMPONENT,
            format!(
                "The OptionSet({id}) component cannot be deleted because it is referenced by {} other components.",
                bound(catalog, id).count()
            ),
        )
        .with_hint(format!(
            "column `{}.{}` is bound to `{}`",
            table.logical_name, column.logical_name, choice.name
        )));
    }
    Ok(SchemaOp::DropChoice(id))
}

/// The columns that are bound to a global choice.
fn bound(catalog: &Catalog, id: Uuid) -> impl Iterator<Item = (&Arc<Table>, &Column)> {
    catalog.tables().iter().flat_map(move |table| {
        let columns = table.columns.iter();
        let mine = columns.filter(move |column| column.settings.global_choice == Some(id));
        mine.map(move |column| (table, column))
    })
}

/// The options of a column; none for other kinds than choices.
fn options_of(kind: &mut ColumnKind) -> Option<&mut Vec<ChoiceOption>> {
    match kind {
        ColumnKind::Choice { options, .. }
        | ColumnKind::MultiChoice { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } => Some(options),
        _ => None,
    }
}

fn column_of<'a>(
    catalog: &'a Catalog,
    table: &str,
    column: &str,
) -> Result<(&'a Arc<Table>, &'a Column), Fault> {
    let table = super::table_named(catalog, table)?;
    let found = table.index_of(column).map(|index| table.column(index)).ok_or_else(|| {
        Fault::new(
            code::OBJECT_DOES_NOT_EXIST,
            format!(
                "Could not find an attribute with specified name: {column} on entity {}",
                table.logical_name
            ),
        )
    })?;
    Ok((table, found))
}

/// The value that an option without one gets: the next one that is free.
///
/// Errors: there is no such choice.
pub fn next_value(catalog: &Catalog, of: &OptionsOf) -> Result<i32, Fault> {
    let options = match of {
        OptionsOf::Global(name) => {
            find(catalog, &GlobalChoiceKey::Name(name.clone()))?.options.clone()
        }
        OptionsOf::Column { table, column } => {
            let (_, column) = column_of(catalog, table, column)?;
            options_of(&mut column.kind.clone()).cloned().unwrap_or_default()
        }
    };
    let mine = options.iter().map(|option| option.value).filter(|value| *value >= FIRST_VALUE);
    Ok(mine.max().map_or(FIRST_VALUE, |value| value.saturating_add(1)))
}

/// The operations that change the options of a choice.
pub(super) fn change(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    of: &OptionsOf,
    wish: &OptionChange,
) -> Result<Vec<SchemaOp>, Fault> {
    let now = Some(fresh.context.now);
    match of {
        OptionsOf::Global(name) => {
            let choice = find(catalog, &GlobalChoiceKey::Name(name.clone()))?;
            let mut choice = GlobalChoice::clone(choice);
            apply(&mut choice.options, wish, Kind::Choice, &choice.name)?;
            choice.modified_on = now;
            let mut ops = Vec::new();
            for (table, column) in bound(catalog, choice.metadata_id) {
                let mut column = column.clone();
                if let Some(options) = options_of(&mut column.kind) {
                    options.clone_from(&choice.options);
                }
                forget_default(&mut column);
                ops.push(SchemaOp::ChangeColumn { table: table.id, column: Box::new(column) });
            }
            ops.push(SchemaOp::PutChoice(choice));
            Ok(ops)
        }
        OptionsOf::Column { table, column } => {
            let (table, column) = column_of(catalog, table, column)?;
            let mut column = column.clone();
            if column.settings.global_choice.is_some() {
                return refuse(format!(
                    "Attribute {} is bound to a global option set: name that by OptionSetName.",
                    column.logical_name
                ));
            }
            let name = column.logical_name.clone();
            match &mut column.kind {
                ColumnKind::Boolean { true_label, false_label, .. } => {
                    of_boolean(true_label, false_label, wish, &name)?;
                }
                ColumnKind::State { options } => apply(options, wish, Kind::State, &name)?,
                ColumnKind::Status { options } => {
                    check_default_status(table, wish)?;
                    check_state(table, wish)?;
                    apply(options, wish, Kind::Status, &name)?;
                }
                ColumnKind::Choice { options, .. } | ColumnKind::MultiChoice { options } => {
                    apply(options, wish, Kind::Choice, &name)?;
                }
                _ => return refuse(format!("Attribute {name} is no choice.")),
            }
            if let (ColumnKind::State { .. }, OptionChange::Update { default_status, .. }) =
                (&column.kind, wish)
                && let Some(status) = default_status
                && !has_status(table, *status)
            {
                return refuse(format!("The default status {status} is no option of the status."));
            }
            forget_default(&mut column);
            column.settings.modified_on = now;
            Ok(vec![SchemaOp::ChangeColumn { table: table.id, column: Box::new(column) }])
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Choice,
    State,
    Status,
}

fn has_status(table: &Table, status: i32) -> bool {
    table.columns.iter().any(|column| {
        matches!(&column.kind, ColumnKind::Status { options }
            if options.iter().any(|option| option.value == status))
    })
}

fn states(table: &Table) -> impl Iterator<Item = &ChoiceOption> {
    table.columns.iter().flat_map(|column| match &column.kind {
        ColumnKind::State { options } => options.as_slice(),
        _ => &[],
    })
}

/// A status that a state falls back to stays.
fn check_default_status(table: &Table, wish: &OptionChange) -> Result<(), Fault> {
    let OptionChange::Delete(value) = wish else { return Ok(()) };
    if states(table).any(|state| state.default_status == Some(*value)) {
        return Err(Fault::new(
            code::CANNOT_DELETE_DEFAULT_STATUS_OPTION,
            "The default status option of a state cannot be deleted.",
        ));
    }
    Ok(())
}

/// A new status belongs to a state that there is.
fn check_state(table: &Table, wish: &OptionChange) -> Result<(), Fault> {
    let OptionChange::Insert(option) = wish else { return Ok(()) };
    match option.state {
        Some(state) if states(table).any(|known| known.value == state) => Ok(()),
        Some(state) => refuse(format!("There is no state {state}.")),
        None => refuse("A status needs a StateCode: insert it by InsertStatusValue."),
    }
}

/// A default that is no option any more is none.
fn forget_default(column: &mut Column) {
    match &mut column.kind {
        ColumnKind::Choice { options, default } => {
            *default = default.filter(|value| is_option(options, *value));
        }
        ColumnKind::MultiChoice { options } => {
            let default = &mut column.settings.default_option;
            *default = default.filter(|value| is_option(options, *value));
        }
        _ => {}
    }
}

fn is_option(options: &[ChoiceOption], value: i32) -> bool {
    options.iter().any(|option| option.value == value)
}

fn apply(
    options: &mut Vec<ChoiceOption>,
    wish: &OptionChange,
    kind: Kind,
    name: &str,
) -> Result<(), Fault> {
    let missing = |value: i32| refuse(format!("{name} has no option {value}."));
    match wish {
        OptionChange::Insert(_) | OptionChange::Delete(_) if kind == Kind::State => {
            refuse("The states of an entity are fixed.")
        }
        OptionChange::Insert(option) => {
            if options.iter().any(|known| known.value == option.value) {
                return refuse(format!("{name} has an option {} already.", option.value));
            }
            if options.len() >= OPTIONS_MAX {
                return refuse(format!("{name} has {OPTIONS_MAX} options already."));
            }
            options.push(ChoiceOption {
                state: option.state.filter(|_| kind == Kind::Status),
                ..option.as_ref().clone()
            });
            Ok(())
        }
        OptionChange::Update { value, label, description, merge_labels, default_status } => {
            let Some(option) = options.iter_mut().find(|option| option.value == *value) else {
                return missing(*value);
            };
            let new = |old: &Label, given: &Option<Label>| match given {
                Some(given) if *merge_labels => old.merged(given.clone()),
                Some(given) => given.clone(),
                None => old.clone(),
            };
            option.label = new(&option.label, label);
            option.description = new(&option.description, description);
            if kind == Kind::State && default_status.is_some() {
                option.default_status = *default_status;
            }
            Ok(())
        }
        OptionChange::Delete(value) => {
            let before = options.len();
            options.retain(|option| option.value != *value);
            if options.len() == before { missing(*value) } else { Ok(()) }
        }
        OptionChange::Order(values) => {
            let place = |value: i32| values.iter().position(|wanted| *wanted == value);
            let complete = values.len() == options.len()
                && options.iter().all(|option| place(option.value).is_some());
            if !complete {
                return refuse(format!("Values must name every option of {name} once."));
            }
            options.sort_by_key(|option| place(option.value));
            Ok(())
        }
    }
}

fn of_boolean(
    true_label: &mut Label,
    false_label: &mut Label,
    wish: &OptionChange,
    name: &str,
) -> Result<(), Fault> {
    let OptionChange::Update { value, label, merge_labels, .. } = wish else {
        return refuse(format!("Attribute {name} has two options: they are only relabelled."));
    };
    let of = match value {
        1 => true_label,
        0 => false_label,
        _ => return refuse(format!("Attribute {name} has the options 0 and 1.")),
    };
    if let Some(given) = label {
        *of = if *merge_labels { of.merged(given.clone()) } else { given.clone() };
    }
    Ok(())
}
