//! Definitions that change in place.
//!
//! Invariant: what rows depend on stays: numbers, ids, logical names, and the form of values.

use super::{change_table, check_columns, check_keys, check_relationship_sides, refuse};
use crate::{Result, SchemaOp};
use model::{
    Column, ColumnId, ColumnKind, Definitions, GlobalChoice, LookupTarget, ManyToMany, OneToMany,
    TableDefinition,
};
use std::sync::Arc;

/// Carries out one of the operations that change or put.
pub(super) fn apply(all: &mut Definitions, op: &SchemaOp) -> Result<()> {
    match op {
        SchemaOp::ChangeTable(to) => table(all, to),
        SchemaOp::ChangeColumn { table, column: to } => {
            change_table(&mut all.tables, *table, |definition| column(definition, to))
        }
        SchemaOp::RestartNumbers { table, column, seed } => {
            change_table(&mut all.tables, *table, |definition| restart(definition, *column, *seed))
        }
        SchemaOp::ChangeRelationship(to) => relationship(all, to),
        SchemaOp::ChangeManyToMany(to) => many_to_many(all, to),
        SchemaOp::PutChoice(to) => choice(all, to),
        _ => Ok(()),
    }
}

fn table(all: &mut Definitions, to: &TableDefinition) -> Result<()> {
    change_table(&mut all.tables, to.id, |definition| {
        let name = &definition.logical_name;
        let same = (definition.metadata_id, name, &definition.entity_set_name)
            == (to.metadata_id, &to.logical_name, &to.entity_set_name)
            && (definition.ownership, definition.kind) == (to.ownership, to.kind)
            && (definition.is_custom, definition.is_intersect) == (to.is_custom, to.is_intersect);
        if !same {
            return refuse(format!(
                "table `{name}` keeps its names, its id, its owner and its kind"
            ));
        }
        let columns = std::mem::take(&mut definition.columns);
        let keys = std::mem::take(&mut definition.keys);
        let (primary_key, primary_name) = (definition.primary_key, definition.primary_name);
        let mut settings = to.settings.clone();
        settings.column_number_max = definition.settings.column_number_max;
        settings.key_number_max = definition.settings.key_number_max;
        *definition =
            TableDefinition { columns, keys, primary_key, primary_name, settings, ..to.clone() };
        Ok(())
    })
}

fn column(table: &mut TableDefinition, to: &Column) -> Result<()> {
    let name = table.logical_name.clone();
    let Some(old) = table.columns.iter_mut().find(|column| column.id == to.id) else {
        return refuse(format!("table `{name}` has no column of number {}", to.id.0));
    };
    let same = (old.metadata_id, &old.logical_name, &old.computed)
        == (to.metadata_id, &to.logical_name, &to.computed);
    if !same || !same_form(&old.kind, &to.kind) {
        return refuse(format!(
            "column `{name}.{}` keeps its name, its id and the form of its values",
            old.logical_name
        ));
    }
    *old = to.clone();
    check_columns(table)?;
    check_keys(table)
}

fn restart(table: &mut TableDefinition, column: ColumnId, seed: i64) -> Result<()> {
    let counted = table.columns.iter_mut().find(|known| known.id == column);
    match counted.map(|column| &mut column.settings.number_seed) {
        Some(Some(known)) => {
            *known = seed;
            Ok(())
        }
        _ => {
            refuse(format!("table `{}` has no counter of number {}", table.logical_name, column.0))
        }
    }
}

/// Whether values of one kind are kept as values of the other are.
fn same_form(old: &ColumnKind, new: &ColumnKind) -> bool {
    match (old, new) {
        (
            ColumnKind::Decimal { precision: old, .. },
            ColumnKind::Decimal { precision: new, .. },
        ) => old == new,
        (
            ColumnKind::DateTime { behavior: old, .. },
            ColumnKind::DateTime { behavior: new, .. },
        ) => old == new,
        (ColumnKind::Lookup { targets: old, .. }, ColumnKind::Lookup { targets: new, .. }) => {
            let holds = |all: &[LookupTarget], one: &LookupTarget| {
                all.iter().any(|known| known.table == one.table)
            };
            // Which table an id is of stands beside it only where there are several.
            let grows = old.len() > 1 && old.iter().all(|old| holds(new, old));
            !new.is_empty() && (grows || new.iter().all(|new| holds(old, new)))
        }
        (old, new) => std::mem::discriminant(old) == std::mem::discriminant(new),
    }
}

fn relationship(all: &mut Definitions, to: &OneToMany) -> Result<()> {
    let name = &to.schema_name;
    let Some(place) = all.relationships.iter().position(|old| old.metadata_id == to.metadata_id)
    else {
        return refuse(format!("there is no relationship `{name}`"));
    };
    let old = &all.relationships[place];
    let same = old.schema_name == to.schema_name
        && old.referenced_table == to.referenced_table
        && old.referencing_table == to.referencing_table
        && old.referencing_column == to.referencing_column;
    if !same {
        return refuse(format!("relationship `{name}` keeps its name, its tables and its lookup"));
    }
    check_relationship_sides(all, to)?;
    all.relationships[place] = Arc::new(to.clone());
    Ok(())
}

fn many_to_many(all: &mut Definitions, to: &ManyToMany) -> Result<()> {
    let name = &to.schema_name;
    let Some(old) = all.many_to_many.iter_mut().find(|old| old.metadata_id == to.metadata_id)
    else {
        return refuse(format!("there is no relationship `{name}`"));
    };
    let ends = old.ends.iter().zip(&to.ends);
    let same = old.schema_name == to.schema_name
        && old.intersect_table == to.intersect_table
        && ends.into_iter().all(|(old, new)| old.table == new.table && old.column == new.column);
    if !same {
        return refuse(format!("relationship `{name}` keeps its name, its tables and its pairs"));
    }
    *old = Arc::new(to.clone());
    Ok(())
}

fn choice(all: &mut Definitions, to: &GlobalChoice) -> Result<()> {
    let mut others = all.choices.iter().filter(|old| old.metadata_id != to.metadata_id);
    if others.any(|old| old.name.eq_ignore_ascii_case(&to.name)) {
        return refuse(format!("global choice `{}` exists", to.name));
    }
    match all.choices.iter_mut().find(|old| old.metadata_id == to.metadata_id) {
        Some(old) if old.name == to.name => *old = Arc::new(to.clone()),
        Some(old) => return refuse(format!("global choice `{}` keeps its name", old.name)),
        None => all.choices.push(Arc::new(to.clone())),
    }
    Ok(())
}
