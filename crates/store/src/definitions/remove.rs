//! Definitions that go.
//!
//! Invariant: nothing that stays names what is gone; places that move up are moved wherever they stand.

use super::{change_table, place_of, refuse};
use crate::{Result, SchemaOp};
use model::{ColumnId, ColumnIndex, ColumnKind, Computed, Definitions, TableDefinition, TableId};

/// Carries out one of the operations that drop.
pub(super) fn apply(all: &mut Definitions, op: &SchemaOp) -> Result<()> {
    match op {
        SchemaOp::DropTable(id) => table(all, *id),
        SchemaOp::DropColumn { table, column } => column_of(all, *table, *column),
        SchemaOp::DropKey { table, key } => change_table(&mut all.tables, *table, |definition| {
            let Some(place) = definition.keys.iter().position(|old| old.id == *key) else {
                return refuse(format!(
                    "table `{}` has no alternate key of number {key}",
                    definition.logical_name
                ));
            };
            definition.settings.key_number_max = definition.next_key_id() - 1;
            definition.keys.remove(place);
            Ok(())
        }),
        SchemaOp::DropRelationship(id) => {
            let before = all.relationships.len();
            all.relationships.retain(|old| old.metadata_id != *id);
            gone(before, all.relationships.len(), "relationship")
        }
        SchemaOp::DropManyToMany(id) => {
            let before = all.many_to_many.len();
            all.many_to_many.retain(|old| old.metadata_id != *id);
            gone(before, all.many_to_many.len(), "many-to-many relationship")
        }
        SchemaOp::DropChoice(id) => {
            let bound = all.tables.iter().find_map(|table| {
                let bound =
                    table.columns.iter().find(|one| one.settings.global_choice == Some(*id))?;
                Some(format!("{}.{}", table.logical_name, bound.logical_name))
            });
            if let Some(bound) = bound {
                return refuse(format!("column `{bound}` is bound to the global choice"));
            }
            let before = all.choices.len();
            all.choices.retain(|old| old.metadata_id != *id);
            gone(before, all.choices.len(), "global choice")
        }
        _ => Ok(()),
    }
}

fn gone(before: usize, after: usize, what: &str) -> Result<()> {
    if before == after { refuse(format!("there is no such {what}")) } else { Ok(()) }
}

fn table(all: &mut Definitions, id: TableId) -> Result<()> {
    let place = place_of(&all.tables, id)?;
    let name = &all.tables[place].logical_name;
    let holder = all
        .relationships
        .iter()
        .find(|one| one.referenced_table == *name || one.referencing_table == *name)
        .map(|one| &one.schema_name);
    let pairs = all
        .many_to_many
        .iter()
        .find(|many| {
            many.intersect_table == *name || many.ends.iter().any(|end| end.table == *name)
        })
        .map(|many| &many.schema_name);
    if let Some(relationship) = holder.or(pairs) {
        return refuse(format!("table `{name}` is part of relationship `{relationship}`"));
    }
    // Places of computed columns and the like stand inside the table alone: nothing else moves.
    all.tables.remove(place);
    Ok(())
}

fn column_of(all: &mut Definitions, table: TableId, column: ColumnId) -> Result<()> {
    let place = place_of(&all.tables, table)?;
    let owner = &all.tables[place];
    let Some(dropped) = owner.columns.iter().find(|old| old.id == column) else {
        let name = &owner.logical_name;
        return refuse(format!("table `{name}` has no column of number {}", column.0));
    };
    let holder = all.relationships.iter().find(|one| {
        one.referencing_table == owner.logical_name
            && one.referencing_column == dropped.logical_name
    });
    let pairs = all.many_to_many.iter().find(|many| {
        many.intersect_table == owner.logical_name
            && many.ends.iter().any(|end| end.column == dropped.logical_name)
    });
    let holder = holder.map(|one| &one.schema_name).or_else(|| pairs.map(|many| &many.schema_name));
    if let Some(relationship) = holder {
        return refuse(format!(
            "column `{}.{}` is part of relationship `{relationship}`",
            owner.logical_name, dropped.logical_name
        ));
    }
    change_table(&mut all.tables, table, |definition| cut(definition, column))
}

/// Takes a column out of a table and moves the places behind it up.
fn cut(table: &mut TableDefinition, id: ColumnId) -> Result<()> {
    let Some(place) = table.columns.iter().position(|column| column.id == id) else {
        return refuse(format!("table `{}` has no column of number {}", table.logical_name, id.0));
    };
    let index = ColumnIndex(u16::try_from(place).expect("at most 1,000 columns"));
    let column = &table.columns[place];
    let name = format!("{}.{}", table.logical_name, column.logical_name);
    if table.primary_key == index
        || table.primary_name == Some(index)
        || (&*column.logical_name == "versionnumber" && column.kind == ColumnKind::BigInt)
    {
        return refuse(format!("column `{name}` is one that its table cannot be without"));
    }
    if let Some(key) = table.keys.iter().find(|key| key.columns.contains(&index)) {
        return refuse(format!("column `{name}` is part of alternate key `{}`", key.logical_name));
    }
    let depends = |computed: &Computed| match computed {
        Computed::FullName { first, last } => *first == index || *last == index,
        Computed::OwnerIn { owner, .. } => *owner == index,
        Computed::CopyOf { column } => *column == index,
        Computed::Nothing => false,
    };
    if let Some(other) =
        table.columns.iter().find(|other| other.computed.as_ref().is_some_and(depends))
    {
        return refuse(format!(
            "column `{name}` is what `{}` is computed from",
            other.logical_name
        ));
    }
    table.settings.column_number_max = table.next_column_id().0 - 1;
    table.columns.remove(place);
    let up = |other: &mut ColumnIndex| {
        if *other > index {
            other.0 -= 1;
        }
    };
    up(&mut table.primary_key);
    table.primary_name.iter_mut().for_each(up);
    table.keys.iter_mut().flat_map(|key| &mut key.columns).for_each(up);
    for computed in table.columns.iter_mut().filter_map(|column| column.computed.as_mut()) {
        match computed {
            Computed::FullName { first, last } => {
                up(first);
                up(last);
            }
            Computed::OwnerIn { owner, .. } => up(owner),
            Computed::CopyOf { column } => up(column),
            Computed::Nothing => {}
        }
    }
    Ok(())
}
