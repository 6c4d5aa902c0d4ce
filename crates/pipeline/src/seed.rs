//! The system tables and the rows that every organisation starts with.
//!
//! In reading order: [`tables`] and `activities` (definitions), [`kept`] (the one that callers never see), [`rows`]
//! and [`user_settings`] (rows), this file (one schema change of all).
//! Source: the seed tables of `metadata.md`. Invariant: everything here is derived from the
//! organisation's id, so that two nodes that start at once plan the same change.

pub(crate) mod activities;
pub(crate) mod kept;
pub(crate) mod rows;
pub(crate) mod security;
mod tables;
pub(crate) mod user_settings;

pub(crate) use rows::{filter_id, filter_ids};

use crate::define::system;
use crate::run::Organization;
use model::{Catalog, Column, ColumnId, Table, TableDefinition, TableId, Timestamp, Uuid};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::{SchemaChange, SchemaOp};

/// Numbers of system tables that every row refers to; a test holds them against the definitions.
pub(crate) const ORGANIZATION: TableId = TableId(1);
pub(crate) const BUSINESS_UNIT: TableId = TableId(2);
pub(crate) const SYSTEM_USER: TableId = TableId(3);
pub(crate) const CURRENCY: TableId = TableId(6);

/// The change that makes an empty store an organisation.
pub(crate) fn plan(
    catalog: Arc<Catalog>,
    organization: Organization,
    now: Timestamp,
) -> SchemaChange {
    let definitions = tables::all();
    let mut ops: Vec<SchemaOp> = Vec::new();
    let mut bound: HashMap<Box<str>, Arc<Table>> = HashMap::new();
    for definition in &definitions {
        bound.insert(definition.logical_name.clone(), Arc::new(Table::new(definition.clone())));
        ops.push(SchemaOp::CreateTable(Box::new(definition.clone())));
    }
    ops.push(SchemaOp::CreateTable(Box::new(kept_behind(&definitions))));
    ops.extend(missing_relationships(&Catalog::default(), &definitions));
    let rows = rows::all(&bound, &definitions, organization, now);
    SchemaChange { catalog, ops, rows, checks: Vec::new(), now, user: organization.administrator }
}

/// The table that callers never see, numbered after the others.
fn kept_behind(definitions: &[TableDefinition]) -> TableDefinition {
    let last = definitions.iter().map(|table| table.id.0).max().unwrap_or(0);
    TableDefinition { id: TableId(last + 1), ..kept::table() }
}

/// The system's relationships, of both kinds, that a catalog lacks.
fn missing_relationships(
    catalog: &Catalog,
    definitions: &[TableDefinition],
) -> impl Iterator<Item = SchemaOp> {
    let known = catalog.relationships().iter().map(|one| &one.schema_name);
    let known = known.chain(catalog.many_to_many().iter().map(|many| &many.schema_name));
    let mut named: HashSet<Box<str>> = known.cloned().collect();
    let one = definitions.iter().flat_map(system::relationships).chain(tables::relationships());
    let one = one.map(|one| (one.schema_name.clone(), SchemaOp::AddRelationship(one)));
    let many = tables::many_to_many()
        .map(|many| (many.schema_name.clone(), SchemaOp::AddManyToMany(many)));
    let all: Vec<(Box<str>, SchemaOp)> = one.chain(many).collect();
    all.into_iter().filter_map(move |(name, op)| named.insert(name).then_some(op))
}

/// The tables, columns and relationships that a store made by an older version lacks, with the rows that
/// go with new tables; `None` when it lacks none.
///
/// `present`: who is there, where the store lacks rights or settings ([`lacks_rows_of_users`]).
pub(crate) fn upgrade(
    catalog: &Arc<Catalog>,
    organization: Organization,
    now: Timestamp,
    present: Option<&security::Present>,
) -> Option<SchemaChange> {
    let mut ops = Vec::new();
    let mut made = Vec::new();
    let definitions = tables::all();
    let numbers = catalog.table_number_max() + 1..;
    let mut numbers = numbers.map(TableId);
    for definition in definitions.iter().chain([&kept_behind(&definitions)]) {
        let Some(table) = catalog.table(&definition.logical_name) else {
            let id = numbers.next().expect("numbers do not end");
            let definition = TableDefinition { id, ..definition.clone() };
            ops.push(SchemaOp::CreateTable(Box::new(definition.clone())));
            if !kept::is_kept(&definition.logical_name) {
                made.push(definition);
            }
            continue;
        };
        let mut number = table.next_column_id().0;
        for column in &definition.columns {
            if column.computed.is_none() && table.index_of(&column.logical_name).is_none() {
                let column = Box::new(Column { id: ColumnId(number), ..column.clone() });
                number += 1;
                ops.push(SchemaOp::AddColumn { table: table.id, column });
            }
        }
    }
    // A relationship over a computed column that an older store lacks stays away with its column.
    let has_lookup = |op: &SchemaOp| match op {
        SchemaOp::AddRelationship(one) => match catalog.table(&one.referencing_table) {
            None => true,
            Some(table) => {
                let name = &one.referencing_column;
                let added = |op: &SchemaOp| {
                    matches!(op, SchemaOp::AddColumn { table: of, column }
                        if *of == table.id && column.logical_name == *name)
                };
                table.index_of(name).is_some() || ops.iter().any(added)
            }
        },
        _ => true,
    };
    let relationships: Vec<SchemaOp> =
        missing_relationships(catalog, &definitions).filter(has_lookup).collect();
    ops.extend(relationships);
    if ops.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    if !made.is_empty()
        && let Ok(after) = store::apply_ops(catalog, &ops)
    {
        let about_rights = present.filter(|_| lacks_rights(catalog));
        rows = rows_of_new(&after, organization, now, &made, about_rights);
        if let (Some(present), Some(table)) = (present, after.table(user_settings::TABLE))
            && made.iter().any(|one| one.logical_name == table.logical_name)
        {
            let users: Vec<Uuid> = present.users.iter().map(|(user, _)| *user).collect();
            rows.push(user_settings::rows(table, organization, now, &users));
        }
    }
    let user = organization.administrator;
    let catalog = catalog.clone();
    Some(SchemaChange { catalog, ops, rows, checks: Vec::new(), now, user })
}

/// The rows that go with new system tables of an older store. `after`: the definitions with them.
fn rows_of_new(
    after: &Catalog,
    organization: Organization,
    now: Timestamp,
    made: &[TableDefinition],
    present: Option<&security::Present>,
) -> Vec<store::WriteOp> {
    let find = |name: &str| {
        let table = after.table(name);
        table.cloned().unwrap_or_else(|| unreachable!("the seed has a table `{name}`"))
    };
    let (filter, message) = (find("sdkmessagefilter"), find("sdkmessage"));
    let mut rows = vec![rows::filters(&filter, message.id, made, organization, now)];
    let scene = security::Scene { tables: &find, organization, now };
    match present {
        // Every table there is needs its privileges.
        Some(present) => {
            let all = after.tables().iter().filter(|table| &*table.logical_name != kept::TABLE);
            let all: Vec<TableDefinition> = all.map(|table| table.definition().clone()).collect();
            rows.extend(security::privileges(scene, &all, true));
            rows.extend(security::complete(scene, present));
        }
        None => rows.extend(security::privileges(scene, made, false)),
    }
    rows
}

/// Whether a store was made before every user had rights and settings.
pub(crate) fn lacks_rows_of_users(catalog: &Catalog) -> bool {
    lacks_rights(catalog) || catalog.table(user_settings::TABLE).is_none()
}

/// Whether a store was made before there were rights.
fn lacks_rights(catalog: &Catalog) -> bool {
    catalog.table("principalobjectaccess").is_none()
}

/// The users that have the role System Administrator from the beginning.
pub(crate) fn administrators(organization: Organization) -> [Uuid; 2] {
    let [_, administrator, application] = rows::users(organization);
    [administrator, application]
}

/// Whether callers may delete rows of a table.
pub fn can_delete(table: &TableDefinition) -> bool {
    matches!(writable(table), Writable::Fully | Writable::DeleteOnly)
}

/// The organisation's ids, derived from the organisation's own.
pub(crate) fn organization(id: Uuid) -> Organization {
    Organization {
        id,
        business_unit: Uuid::new_v5(&id, b"businessunit"),
        administrator: Uuid::new_v5(&id, b"systemuser administrator"),
        currency: Uuid::new_v5(&id, b"transactioncurrency USD"),
    }
}

/// What callers may do with the rows of a table, besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writable {
    /// Everything.
    Fully,
    /// Update, but neither create nor delete: rows that others point to without a check.
    UpdateOnly,
    /// Create and update, but no delete: its rows are disabled, never deleted.
    NoDelete,
    /// Delete alone: the service writes it.
    DeleteOnly,
    /// Nothing: the service writes it.
    ReadOnly,
}

impl Writable {
    /// Whether the service alone makes and changes the rows.
    pub(crate) fn is_kept(self) -> bool {
        matches!(self, Self::DeleteOnly | Self::ReadOnly)
    }
}

/// What callers may do with the rows of a table.
pub(crate) fn writable(table: &TableDefinition) -> Writable {
    if table.is_intersect {
        return Writable::ReadOnly;
    }
    match &*table.logical_name {
        // A row of settings comes with its user.
        "organization" | user_settings::TABLE => Writable::UpdateOnly,
        "systemuser"
        | "team"
        | "businessunit"
        | "transactioncurrency"
        | "role"
        | "solution"
        | "publisher" => Writable::NoDelete,
        "sdkmessage"
        | "sdkmessagefilter"
        | "asyncoperation"
        | "bulkdeleteoperation"
        | "bulkdeletefailure"
        | "solutioncomponent"
        | "privilege"
        | "principalobjectaccess"
        | crate::statistics::TABLE
        | kept::TABLE => Writable::ReadOnly,
        crate::trace::TABLE => Writable::DeleteOnly,
        _ => Writable::Fully,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_that_every_row_refers_to_are_those_of_the_definitions() {
        let tables = tables::all();
        let number = |name: &str| {
            tables.iter().find(|table| &*table.logical_name == name).map(|table| table.id)
        };
        assert_eq!(number("organization"), Some(ORGANIZATION));
        assert_eq!(number("businessunit"), Some(BUSINESS_UNIT));
        assert_eq!(number("systemuser"), Some(SYSTEM_USER));
        assert_eq!(number("transactioncurrency"), Some(CURRENCY));
    }

    #[test]
    fn the_users_of_an_older_store_get_their_settings() {
        let organization = organization(Uuid::from_u128(1));
        let whole = whole();
        let id = whole.table(user_settings::TABLE).expect("the seed has it").id;
        let links = whole.relationships().iter();
        let links = links.filter(|one| &*one.referencing_table == user_settings::TABLE);
        let mut drop: Vec<SchemaOp> =
            links.map(|one| SchemaOp::DropRelationship(one.metadata_id)).collect();
        drop.push(SchemaOp::DropTable(id));
        let old = Arc::new(store::apply_ops(&whole, &drop).expect("nothing depends on it"));
        assert!(lacks_rows_of_users(&old) && !lacks_rights(&old));
        let present = security::Present {
            users: vec![(Uuid::from_u128(7), None), (Uuid::from_u128(8), None)],
            ..security::Present::default()
        };
        let change = upgrade(&old, organization, Timestamp(0), Some(&present)).expect("it is made");
        let rows = change.rows.iter().find_map(|op| match op {
            store::WriteOp::Insert(op) if &*op.table.logical_name == user_settings::TABLE => {
                Some(op.rows.iter().map(|row| row.id).collect::<Vec<_>>())
            }
            _ => None,
        });
        assert_eq!(rows, Some(vec![Uuid::from_u128(7), Uuid::from_u128(8)]));
        // Neither memberships nor roles are given once more.
        assert!(change.rows.iter().all(|op| &*op.table().logical_name != "teammembership"));
    }

    fn whole() -> Arc<Catalog> {
        let (definitions, empty) = (tables::all(), Catalog::default());
        let all = definitions.iter().cloned().chain([kept_behind(&definitions)]);
        let made = all.map(|table| SchemaOp::CreateTable(Box::new(table)));
        let made: Vec<SchemaOp> = made.chain(missing_relationships(&empty, &definitions)).collect();
        Arc::new(store::apply_ops(&empty, &made).expect("the seed is sound"))
    }

    #[test]
    fn a_store_of_an_older_version_gets_the_columns_that_it_lacks() {
        let organization = organization(Uuid::from_u128(1));
        let now = Timestamp(0);
        let whole = whole();
        assert!(upgrade(&whole, organization, now, None).is_none());
        let jobs = whole.table(crate::job::JOB).expect("the seed has jobs");
        let late = jobs.columns.iter().filter(|one| one.logical_name.starts_with("sheaf_"));
        let numbers: Vec<ColumnId> = late.map(|column| column.id).collect();
        let drops: Vec<SchemaOp> = numbers
            .iter()
            .map(|column| SchemaOp::DropColumn { table: jobs.id, column: *column })
            .collect();
        let old = Arc::new(store::apply_ops(&whole, &drops).expect("nothing depends on them"));
        let change = upgrade(&old, organization, now, None).expect("some are missing");
        assert_eq!(change.ops.len(), numbers.len());
        for op in &change.ops {
            let SchemaOp::AddColumn { column, .. } = op else { panic!("a column is added") };
            assert!(!numbers.contains(&column.id), "numbers are not given again");
        }
        let new = Arc::new(store::apply_ops(&old, &change.ops).expect("the change is sound"));
        assert!(upgrade(&new, organization, now, None).is_none());
    }

    #[test]
    fn a_store_of_an_older_version_gets_the_tables_and_relationships_that_it_lacks() {
        let organization = organization(Uuid::from_u128(1));
        let is_new = |name: &str| name == "privilege" || name == "systemuserroles";
        let old: Vec<SchemaOp> = tables::all()
            .into_iter()
            .filter(|table| !is_new(&table.logical_name))
            .map(|table| SchemaOp::CreateTable(Box::new(table)))
            .collect();
        // A table of a caller has taken the next number.
        let mut mine = tables::all().remove(10);
        (mine.id, mine.metadata_id) = (TableId(90), Uuid::from_u128(2));
        (mine.logical_name, mine.entity_set_name) = ("ship_mine".into(), "ship_mines".into());
        let mut old = old;
        old.push(SchemaOp::CreateTable(Box::new(mine)));
        let catalog = Arc::new(store::apply_ops(&Catalog::default(), &old).expect("sound"));
        let change = upgrade(&catalog, organization, Timestamp(0), None).expect("much is missing");
        let after = Arc::new(store::apply_ops(&catalog, &change.ops).expect("the change is sound"));
        assert_eq!(after.many_to_many().len(), tables::many_to_many().count());
        assert_eq!(after.table("systemuserroles").map(|table| table.id), Some(TableId(92)));
        assert_eq!(change.rows.len(), 3, "what is available for the new tables, and privileges");
        assert!(upgrade(&after, organization, Timestamp(0), None).is_none());
    }

    #[test]
    fn every_relationship_of_the_seed_has_its_lookup() {
        let tables = tables::all();
        for relationship in
            tables.iter().flat_map(system::relationships).chain(tables::relationships())
        {
            let table = tables
                .iter()
                .find(|table| table.logical_name == relationship.referencing_table)
                .expect("the referencing table exists");
            let column = table
                .columns
                .iter()
                .find(|column| column.logical_name == relationship.referencing_column)
                .unwrap_or_else(|| panic!("{} has no column", relationship.schema_name));
            let model::ColumnKind::Lookup { targets, .. } = &column.kind else {
                panic!("{} is no lookup", column.logical_name);
            };
            assert!(targets.iter().any(|target| target.table == relationship.referenced_table));
        }
    }
}
