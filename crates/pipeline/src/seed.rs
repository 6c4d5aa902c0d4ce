//! The system tables and the rows that every organisation starts with.
//!
//! In reading order: [`tables`] (definitions), [`rows`] (rows), this file (one schema change of all).
//! Source: the seed tables of `metadata.md`. Invariant: everything here is derived from the
//! organisation's id, so that two nodes that start at once plan the same change.

pub(crate) mod rows;
mod tables;

pub(crate) use rows::filter_id;

use crate::define::system;
use crate::run::Organization;
use model::{Catalog, Column, ColumnId, Table, TableDefinition, TableId, Timestamp, Uuid};
use std::collections::HashMap;
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
    let mut named = HashMap::new();
    for relationship in
        definitions.iter().flat_map(system::relationships).chain(tables::relationships())
    {
        if named.insert(relationship.schema_name.clone(), ()).is_none() {
            ops.push(SchemaOp::AddRelationship(relationship));
        }
    }
    let rows = rows::all(&bound, &definitions, organization, now);
    SchemaChange { catalog, ops, rows, now, user: organization.administrator }
}

/// The columns that a store made by an older version lacks; `None` when it lacks none.
pub(crate) fn upgrade(
    catalog: &Arc<Catalog>,
    organization: Organization,
    now: Timestamp,
) -> Option<SchemaChange> {
    let mut ops = Vec::new();
    for definition in tables::all() {
        let Some(table) = catalog.table(&definition.logical_name) else { continue };
        let mut number = table.columns.iter().map(|column| column.id.0).max().unwrap_or(0);
        for column in definition.columns {
            if column.computed.is_none() && table.index_of(&column.logical_name).is_none() {
                number += 1;
                let column = Box::new(Column { id: ColumnId(number), ..column });
                ops.push(SchemaOp::AddColumn { table: table.id, column });
            }
        }
    }
    let user = organization.administrator;
    (!ops.is_empty()).then(|| SchemaChange {
        catalog: catalog.clone(),
        ops,
        rows: Vec::new(),
        now,
        user,
    })
}

/// Whether callers may delete rows of a table.
pub fn can_delete(table: &TableDefinition) -> bool {
    writable(table) == Writable::Fully
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
    /// Nothing: the service writes it.
    ReadOnly,
}

/// What callers may do with the rows of a table.
pub(crate) fn writable(table: &TableDefinition) -> Writable {
    match &*table.logical_name {
        "organization" => Writable::UpdateOnly,
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
        | "privilege" => Writable::ReadOnly,
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
    fn a_store_of_an_older_version_gets_the_columns_that_it_lacks() {
        let organization = organization(Uuid::from_u128(1));
        let now = Timestamp(0);
        let mut definitions = tables::all();
        let whole = |definitions: &[TableDefinition]| {
            let tables = definitions.iter().cloned().map(|table| Arc::new(Table::new(table)));
            Arc::new(Catalog::new(1, tables.collect(), Vec::new()))
        };
        assert!(upgrade(&whole(&definitions), organization, now).is_none());
        let jobs = definitions
            .iter_mut()
            .find(|table| &*table.logical_name == crate::job::JOB)
            .expect("the seed has jobs");
        jobs.columns.retain(|column| !column.logical_name.starts_with("sheaf_"));
        let change = upgrade(&whole(&definitions), organization, now).expect("five are missing");
        assert_eq!(change.ops.len(), 5);
        for op in change.ops {
            let SchemaOp::AddColumn { table, column } = op else { panic!("a column is added") };
            let old = definitions.iter_mut().find(|old| old.id == table).expect("it is there");
            assert!(old.columns.iter().all(|other| other.id != column.id));
            old.columns.push(*column);
        }
        assert!(upgrade(&whole(&definitions), organization, now).is_none());
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
