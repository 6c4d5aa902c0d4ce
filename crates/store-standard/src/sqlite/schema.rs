//! The tables of rows: what a catalog looks like in SQLite, and the statements between two catalogs.
//!
//! In: the definitions before and after a change. Out: the statements that make the one from the other.
//! Not here: whether the change is sound (`store::apply_ops`), keeping the definitions (`catalog`).
//! Elastic tables have no rows here, so no physical table: their definitions alone are kept.
//! Invariant: the physical tables are a function of the catalog, whatever changes led to it.

use crate::names::{self, LookupTable, Storage};
use crate::select::scaled;
use model::{
    Catalog, Column, ColumnIndex, ColumnKind, KeyIndex, Table, TableDefinition, TableId, TableKind,
};
use std::collections::HashMap;
use store::{Error, Result};

/// A statement of a change of tables.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub(super) sql: String,
    /// The alternate key that it makes: it fails if the rows are not unique.
    pub(super) key: Option<(TableId, KeyIndex)>,
}

/// A physical table.
struct Physical {
    name: String,
    columns: Vec<PhysicalColumn>,
    indexes: Vec<Index>,
}

struct PhysicalColumn {
    name: String,
    declared: &'static str,
    /// Of a companion with folded text: the expression that fills it in rows that exist.
    filled_from: Option<String>,
}

struct Index {
    name: String,
    sql: String,
    key: Option<(TableId, KeyIndex)>,
}

/// The statements that lead from one catalog to a later one.
///
/// Errors: [`Error::Schema`] for what SQLite cannot hold.
pub(super) fn steps(before: &Catalog, after: &Catalog) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for table in before.tables().iter().filter(|table| table.kind == TableKind::Standard) {
        if after.table_by_id(table.id).is_none() {
            steps.push(step(format!("DROP TABLE {}", names::table(table.id))));
        }
    }
    for table in after.tables().iter().filter(|table| table.kind == TableKind::Standard) {
        let old = before.table_by_id(table.id);
        check_decimals(table.definition(), old.map(|old| old.definition()))?;
        let new = physical(after, table.definition());
        let had = old.map(|old| physical(before, old.definition()));
        let indexes = had.as_ref().map_or(&[][..], |old| &old.indexes);
        let stays = |index: &Index| new.indexes.iter().any(|new| new.sql == index.sql);
        let dropped = indexes.iter().filter(|index| !stays(index));
        steps.extend(dropped.map(|index| step(format!("DROP INDEX {}", index.name))));
        match (old, &had) {
            (Some(old), Some(had)) => {
                steps.extend(forget(before, old, table).map(step));
                // What a column held goes with it: the rows are written anew without it.
                let gone = had
                    .columns
                    .iter()
                    .filter(|column| new.columns.iter().all(|new| new.name != column.name));
                steps.extend(gone.map(|column| {
                    step(format!("ALTER TABLE {} DROP COLUMN {}", new.name, column.name))
                }));
                steps.extend(extend(had, &new));
            }
            _ => steps.push(step(create(&new))),
        }
        let known: HashMap<&str, ()> = indexes.iter().map(|index| (&*index.sql, ())).collect();
        steps.extend(
            new.indexes
                .iter()
                .filter(|index| !known.contains_key(&*index.sql))
                .map(|index| Step { sql: index.sql.clone(), key: index.key }),
        );
    }
    Ok(steps)
}

/// Empties lookups where they point to a table that they lead to no more.
fn forget<'a>(
    before: &'a Catalog,
    old: &'a Table,
    new: &'a Table,
) -> impl Iterator<Item = String> + 'a {
    names::lost_targets(before, old, new).into_iter().map(|(column, tables)| {
        let (own, of) = (names::column(column), names::lookup_table(column));
        let numbers: Vec<String> = tables.iter().map(|table| table.0.to_string()).collect();
        format!(
            "UPDATE {} SET {own} = NULL, {of} = NULL WHERE {of} IN ({})",
            names::table(new.id),
            numbers.join(", ")
        )
    })
}

fn step(sql: String) -> Step {
    Step { sql, key: None }
}

fn create(table: &Physical) -> String {
    let mut sql = format!("CREATE TABLE {} (", table.name);
    for (place, column) in table.columns.iter().enumerate() {
        if place > 0 {
            sql.push_str(", ");
        }
        sql.push_str(&column.name);
        sql.push(' ');
        sql.push_str(column.declared);
    }
    sql.push(')');
    sql
}

/// Adds the columns that are new, and fills the companions of rows that exist.
fn extend(old: &Physical, new: &Physical) -> Vec<Step> {
    let mut steps = Vec::new();
    for column in &new.columns {
        if old.columns.iter().any(|old| old.name == column.name) {
            continue;
        }
        let Physical { name: table, .. } = new;
        let PhysicalColumn { name, declared, filled_from } = column;
        steps.push(step(format!("ALTER TABLE {table} ADD COLUMN {name} {declared}")));
        if let Some(source) = filled_from {
            steps.push(step(format!(
                "UPDATE {table} SET {name} = fold({source}) WHERE {source} IS NOT NULL"
            )));
        }
    }
    steps
}

fn physical(catalog: &Catalog, table: &TableDefinition) -> Physical {
    let name = names::table(table.id);
    let mut columns = Vec::with_capacity(table.columns.len());
    let mut indexes = Vec::new();
    for (place, column) in table.columns.iter().enumerate() {
        if !names::is_stored(column) {
            continue;
        }
        let index = ColumnIndex(u16::try_from(place).expect("at most 1,000 columns"));
        let storage = names::storage(catalog, table, index);
        let own = names::column(column.id);
        let declared =
            if index == table.primary_key { "BLOB NOT NULL UNIQUE" } else { declared(storage) };
        columns.push(PhysicalColumn { name: own.clone(), declared, filled_from: None });
        match storage {
            Storage::Text { folded: true } => columns.push(PhysicalColumn {
                name: names::folded(column.id),
                declared: "TEXT",
                filled_from: Some(own),
            }),
            Storage::Lookup(LookupTable::Column) => columns.push(PhysicalColumn {
                name: names::lookup_table(column.id),
                declared: "INTEGER",
                filled_from: None,
            }),
            _ => {}
        }
        if names::is_indexed(catalog, table, index) {
            let part = names::index_part(table, index);
            let index = names::column_index(table.id, column.id);
            // A lookup is searched for what it points to, never for nothing.
            let partial = match storage {
                Storage::Lookup(_) => format!(" WHERE {part} IS NOT NULL"),
                _ => String::new(),
            };
            indexes.push(Index {
                sql: format!("CREATE INDEX {index} ON {name} ({part}){partial}"),
                name: index,
                key: None,
            });
        }
    }
    for (place, key) in table.keys.iter().enumerate() {
        let parts: Vec<String> =
            key.columns.iter().map(|column| names::index_part(table, *column)).collect();
        let index = names::key_index(table.id, key);
        indexes.push(Index {
            sql: format!(
                "CREATE UNIQUE INDEX {index} ON {name} ({}) WHERE {} IS NOT NULL",
                parts.join(", "),
                parts.join(" IS NOT NULL AND ")
            ),
            name: index,
            key: Some((
                table.id,
                KeyIndex(u16::try_from(place).expect("at most 10 alternate keys")),
            )),
        });
    }
    Physical { name, columns, indexes }
}

fn declared(storage: Storage) -> &'static str {
    match storage {
        Storage::Text { .. } | Storage::Choices => "TEXT",
        Storage::Integer
        | Storage::BigInt
        | Storage::Decimal { .. }
        | Storage::Boolean
        | Storage::DateTime
        | Storage::Date => "INTEGER",
        Storage::Double => "REAL",
        Storage::Guid | Storage::Lookup(_) => "BLOB",
    }
}

/// Refuses decimals that do not fit 64 bits in units of their last place.
fn check_decimals(table: &TableDefinition, old: Option<&TableDefinition>) -> Result<()> {
    let known = |column: &Column| {
        old.is_some_and(|old| {
            old.columns.iter().any(|old| old.id == column.id && old.kind == column.kind)
        })
    };
    for column in table.columns.iter().filter(|column| !known(column)) {
        let (scale, min, max) = match &column.kind {
            ColumnKind::Decimal { precision, min, max } => (*precision, min, max),
            ColumnKind::Money { min, max, .. } => (names::MONEY_SCALE, min, max),
            _ => continue,
        };
        if scaled(*min, scale).is_some() && scaled(*max, scale).is_some() {
            continue;
        }
        return Err(Error::Schema {
            why: format!(
                "the range {min} to {max} of column `{}.{}` does not fit: with {scale} digits after \
                 the point this store holds {} to {}, and limits with at most as many digits",
                table.logical_name,
                column.logical_name,
                crate::select::unscaled(i64::MIN, scale),
                crate::select::unscaled(i64::MAX, scale),
            ),
        });
    }
    Ok(())
}
