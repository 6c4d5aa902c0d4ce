//! Applies schema changes to definitions: the catalog after a change, from the catalog before it.
//!
//! Not here: rows, engines; whether existing rows fit a new key is the engine's to find out.
//! Invariant: names and numbers stay unique, every place that a definition names exists, and a
//! computed column never depends on itself. Nothing else is assumed of the planner.

mod change;
mod remove;

use crate::{Error, Result, SchemaOp};
use model::{
    AlternateKey, Catalog, Column, ColumnIndex, ColumnKind, Computed, Definitions, DeleteAction,
    ManyToMany, OneToMany, Table, TableDefinition, TableId,
};
use std::collections::HashSet;
use std::sync::Arc;

/// Alternate keys that a table may have at most.
pub const KEYS_MAX: usize = 10;
/// Columns that an alternate key may have at most.
pub const KEY_COLUMNS_MAX: usize = 16;

/// The definitions after these operations, in order; the version is one higher.
///
/// Errors: [`Error::Schema`] for the first operation that collides with what exists.
pub fn apply_ops(catalog: &Catalog, ops: &[SchemaOp]) -> Result<Catalog> {
    let mut all = catalog.definitions().clone();
    all.table_number_max = catalog.table_number_max();
    for op in ops {
        match op {
            SchemaOp::CreateTable(definition) => {
                check_table(&all.tables, definition)?;
                all.table_number_max = all.table_number_max.max(definition.id.0);
                all.tables.push(Arc::new(Table::new(definition.as_ref().clone())));
            }
            SchemaOp::AddColumn { table, column } => {
                change_table(&mut all.tables, *table, |definition| {
                    definition.columns.push(column.as_ref().clone());
                    check_columns(definition)
                })?;
            }
            SchemaOp::AddKey { table, key } => {
                change_table(&mut all.tables, *table, |definition| {
                    definition.keys.push(key.clone());
                    check_keys(definition)
                })?;
            }
            SchemaOp::AddRelationship(relationship) => {
                check_relationship(&all, relationship)?;
                all.relationships.push(Arc::new(relationship.clone()));
            }
            SchemaOp::AddManyToMany(many) => {
                check_many_to_many(&all, many)?;
                all.many_to_many.push(Arc::new(many.clone()));
            }
            SchemaOp::ChangeTable(..)
            | SchemaOp::ChangeColumn { .. }
            | SchemaOp::RestartNumbers { .. }
            | SchemaOp::ChangeRelationship(..)
            | SchemaOp::ChangeManyToMany(..)
            | SchemaOp::PutChoice(..) => change::apply(&mut all, op)?,
            SchemaOp::DropTable(..)
            | SchemaOp::DropColumn { .. }
            | SchemaOp::DropKey { .. }
            | SchemaOp::DropRelationship(..)
            | SchemaOp::DropManyToMany(..)
            | SchemaOp::DropChoice(..) => remove::apply(&mut all, op)?,
        }
    }
    Ok(Catalog::of(catalog.version() + 1, all))
}

/// Changes the definition of a table.
fn change_table(
    tables: &mut [Arc<Table>],
    id: TableId,
    change: impl FnOnce(&mut TableDefinition) -> Result<()>,
) -> Result<()> {
    let place = place_of(tables, id)?;
    let mut definition = tables[place].definition().clone();
    change(&mut definition)?;
    tables[place] = Arc::new(Table::new(definition));
    Ok(())
}

fn refuse<T>(why: String) -> Result<T> {
    Err(Error::Schema { why })
}

fn place_of(tables: &[Arc<Table>], id: TableId) -> Result<usize> {
    match tables.iter().position(|table| table.id == id) {
        Some(place) => Ok(place),
        None => refuse(format!("no table has number {}", id.0)),
    }
}

fn check_table(tables: &[Arc<Table>], new: &TableDefinition) -> Result<()> {
    let name = &new.logical_name;
    for table in tables {
        if table.id == new.id {
            return refuse(format!("number {} of table `{name}` is taken", new.id.0));
        }
        if table.metadata_id == new.metadata_id {
            return refuse(format!("metadata id of table `{name}` is taken"));
        }
        if table.logical_name == *name {
            return refuse(format!("table `{name}` exists"));
        }
        if table.entity_set_name == new.entity_set_name {
            return refuse(format!("entity set `{}` exists", new.entity_set_name));
        }
    }
    check_columns(new)?;
    check_keys(new)
}

fn check_columns(table: &TableDefinition) -> Result<()> {
    let name = &table.logical_name;
    if table.columns.len() > Table::COLUMNS_MAX {
        return refuse(format!("table `{name}` has more than {} columns", Table::COLUMNS_MAX));
    }
    let mut names = HashSet::new();
    let mut ids = HashSet::new();
    for (place, column) in table.columns.iter().enumerate() {
        if !names.insert(&column.logical_name) {
            return refuse(format!("column `{name}.{}` exists", column.logical_name));
        }
        if !ids.insert(column.id) {
            return refuse(format!(
                "number {} of column `{name}.{}` is taken",
                column.id.0, column.logical_name
            ));
        }
        if column.settings.auto_number.is_some() && column.settings.number_seed.is_none() {
            return refuse(format!("column `{name}.{}` has no counter", column.logical_name));
        }
        check_computed(table, place, column)?;
    }
    match stored(table, table.primary_key).map(|column| &column.kind) {
        Some(ColumnKind::Guid) => {}
        _ => return refuse(format!("table `{name}` has no stored guid as primary key")),
    }
    if let Some(place) = table.primary_name
        && usize::from(place.0) >= table.columns.len()
    {
        return refuse(format!("table `{name}` names a primary name column that is not there"));
    }
    let version = table.columns.iter().find(|column| &*column.logical_name == "versionnumber");
    match version {
        Some(Column { kind: ColumnKind::BigInt, computed: None, .. }) => Ok(()),
        _ => refuse(format!("table `{name}` has no stored 64-bit column `versionnumber`")),
    }
}

/// A computed column depends on stored columns or on computed ones before it, so never on itself.
fn check_computed(table: &TableDefinition, place: usize, column: &Column) -> Result<()> {
    let sources = match &column.computed {
        None | Some(Computed::Nothing) => return Ok(()),
        Some(Computed::FullName { first, last }) => vec![*first, *last],
        Some(Computed::OwnerIn { owner, .. }) => vec![*owner],
        Some(Computed::CopyOf { column }) => vec![*column],
    };
    let sound = sources
        .iter()
        .all(|source| usize::from(source.0) < place || stored(table, *source).is_some());
    if sound {
        return Ok(());
    }
    refuse(format!(
        "column `{}.{}` is computed from a column that is not there before it",
        table.logical_name, column.logical_name
    ))
}

fn stored(table: &TableDefinition, index: ColumnIndex) -> Option<&Column> {
    table.columns.get(usize::from(index.0)).filter(|column| column.computed.is_none())
}

fn check_keys(table: &TableDefinition) -> Result<()> {
    let name = &table.logical_name;
    if table.keys.len() > KEYS_MAX {
        return refuse(format!("table `{name}` has more than {KEYS_MAX} alternate keys"));
    }
    let mut names = HashSet::new();
    let mut ids = HashSet::new();
    let mut column_sets = HashSet::new();
    for key in &table.keys {
        check_key(table, key)?;
        if !names.insert(&key.logical_name) {
            return refuse(format!("alternate key `{name}.{}` exists", key.logical_name));
        }
        if !ids.insert(key.id) {
            return refuse(format!(
                "number {} of alternate key `{name}.{}` is taken",
                key.id, key.logical_name
            ));
        }
        let mut columns = key.columns.clone();
        columns.sort_unstable();
        if !column_sets.insert(columns) {
            return refuse(format!(
                "alternate key `{name}.{}` has the columns of another key",
                key.logical_name
            ));
        }
    }
    Ok(())
}

fn check_key(table: &TableDefinition, key: &AlternateKey) -> Result<()> {
    let mut seen = HashSet::new();
    let sound = (1..=KEY_COLUMNS_MAX).contains(&key.columns.len())
        && key.columns.iter().all(|column| seen.insert(column) && stored(table, *column).is_some());
    if sound {
        return Ok(());
    }
    refuse(format!(
        "alternate key `{}.{}` does not name 1 to {KEY_COLUMNS_MAX} different stored columns",
        table.logical_name, key.logical_name
    ))
}

/// Whether a relationship of either kind has this name; names compare without case.
fn relationship_exists(all: &Definitions, name: &str) -> bool {
    all.relationships.iter().any(|old| old.schema_name.eq_ignore_ascii_case(name))
        || all.many_to_many.iter().any(|old| old.schema_name.eq_ignore_ascii_case(name))
}

fn table_named<'a>(all: &'a Definitions, name: &str) -> Option<&'a Arc<Table>> {
    all.tables.iter().find(|table| &*table.logical_name == name)
}

fn check_relationship(all: &Definitions, new: &OneToMany) -> Result<()> {
    if relationship_exists(all, &new.schema_name) {
        return refuse(format!("relationship `{}` exists", new.schema_name));
    }
    check_relationship_sides(all, new)
}

fn check_relationship_sides(all: &Definitions, new: &OneToMany) -> Result<()> {
    let name = &new.schema_name;
    let table = |name: &str| table_named(all, name);
    let Some(referenced) = table(&new.referenced_table) else {
        return refuse(format!("relationship `{name}`: no table `{}`", new.referenced_table));
    };
    if referenced.primary_key_name() != &*new.referenced_column {
        return refuse(format!(
            "relationship `{name}`: `{}` is not the primary key of `{}`",
            new.referenced_column, new.referenced_table
        ));
    }
    let Some(referencing) = table(&new.referencing_table) else {
        return refuse(format!("relationship `{name}`: no table `{}`", new.referencing_table));
    };
    let lookup =
        referencing.index_of(&new.referencing_column).map(|index| referencing.column(index));
    match lookup {
        Some(Column { kind: ColumnKind::Lookup { targets, .. }, computed, .. })
            if targets.iter().any(|target| target.table == new.referenced_table)
                // A delete cannot act through a column that holds nothing of its own.
                && (computed.is_none() || new.cascade.delete == DeleteAction::NoCascade) =>
        {
            Ok(())
        }
        _ => refuse(format!(
            "relationship `{name}`: `{}.{}` is no lookup to `{}` that its cascade can act on",
            new.referencing_table, new.referencing_column, new.referenced_table
        )),
    }
}

fn check_many_to_many(all: &Definitions, new: &ManyToMany) -> Result<()> {
    let name = &new.schema_name;
    if relationship_exists(all, name) {
        return refuse(format!("relationship `{name}` exists"));
    }
    let Some(intersect) = table_named(all, &new.intersect_table) else {
        return refuse(format!("relationship `{name}`: no table `{}`", new.intersect_table));
    };
    if all.many_to_many.iter().any(|old| old.intersect_table == new.intersect_table) {
        return refuse(format!(
            "relationship `{name}`: table `{}` holds the pairs of another one",
            new.intersect_table
        ));
    }
    let mut columns = Vec::new();
    for end in &new.ends {
        if table_named(all, &end.table).is_none() {
            return refuse(format!("relationship `{name}`: no table `{}`", end.table));
        }
        let column = intersect.index_of(&end.column);
        let is_link = column.map(|index| intersect.column(index)).is_some_and(|column| {
            column.computed.is_none()
                && matches!(&column.kind, ColumnKind::Lookup { targets, .. }
                    if targets.len() == 1 && targets[0].table == end.table)
        });
        if !is_link {
            return refuse(format!(
                "relationship `{name}`: `{}.{}` is no stored lookup to `{}` alone",
                new.intersect_table, end.column, end.table
            ));
        }
        columns.extend(column);
    }
    if !intersect.is_intersect || intersect.key_over(&columns).is_none() {
        return refuse(format!(
            "relationship `{name}`: `{}` is no intersect table with a key over both columns",
            new.intersect_table
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
