//! Definitions that change in place.
//!
//! In: the whole new definition, made from the old one (`wire`). Out: operations.
//! Source: `metadata.md` 4.6, 5.4, 6.5. Invariant: what cannot change was refused before, or is here.

use super::{Fresh, check_kind, numbers, regarding};
use model::{
    Catalog, Column, ColumnKind, Fault, ManyToMany, NewColumn, OneToMany, RequiredLevel, Table,
    TableDefinition, code,
};
use store::SchemaOp;

fn refuse<T>(why: String) -> Result<T, Fault> {
    Err(Fault::new(code::INVALID_ARGUMENT, why))
}

/// A table with other labels and flags.
///
/// Errors: notes and activities that would be taken away again.
pub(super) fn table(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    mut to: TableDefinition,
) -> Result<Vec<SchemaOp>, Fault> {
    to.settings.modified_on = Some(fresh.context.now);
    let old = catalog.table(&to.logical_name);
    let had = |of: fn(&TableDefinition) -> bool| old.is_some_and(|old| of(old));
    let flags = [
        ("HasNotes", had(|old| old.has_notes), to.has_notes),
        ("HasActivities", had(|old| old.has_activities), to.has_activities),
    ];
    if let Some((name, ..)) = flags.iter().find(|(_, had, has)| *had && !*has) {
        return refuse(format!("Entity {}: {name} cannot be taken away.", to.logical_name));
    }
    let [(_, had_notes, notes), (_, had_activities, activities)] = flags;
    let (notes, activities) = (notes && !had_notes, activities && !had_activities);
    if !to.is_custom && (notes || activities) {
        return refuse(format!("Entity {} is the system's.", to.logical_name));
    }
    let wish = regarding::Wish { table: &to, notes, activities };
    let more = regarding::plan(catalog, fresh, &[wish]);
    let change = SchemaOp::ChangeTable(Box::new(to));
    Ok(std::iter::once(change).chain(more).collect())
}

/// A column with other labels, limits and flags.
pub(super) fn column(fresh: &Fresh<'_>, table: &Table, mut to: Column) -> Result<SchemaOp, Fault> {
    let old = table.columns.iter().find(|column| column.id == to.id);
    let name = &to.schema_name;
    match (old.map(|old| &old.kind), &to.kind) {
        (
            Some(
                ColumnKind::Text { max_length: old, .. } | ColumnKind::Memo { max_length: old, .. },
            ),
            ColumnKind::Text { max_length: new, .. } | ColumnKind::Memo { max_length: new, .. },
        ) if new < old => {
            return refuse(format!(
                "Attribute {name}: MaxLength cannot shrink from {old} to {new}."
            ));
        }
        (
            Some(ColumnKind::Decimal { precision: old, .. }),
            ColumnKind::Decimal { precision: new, .. },
        ) if new != old => {
            return refuse(format!(
                "Attribute {name}: Precision cannot change from {old} to {new}."
            ));
        }
        _ => {}
    }
    // The rules of new columns hold for changed ones, but for what only the system makes.
    let by_system = matches!(
        to.kind,
        ColumnKind::State { .. }
            | ColumnKind::Status { .. }
            | ColumnKind::TableName
            | ColumnKind::Guid
            | ColumnKind::Lookup { .. }
    );
    if !by_system {
        let wish = NewColumn {
            schema_name: to.schema_name.clone(),
            display_name: to.display_name.clone(),
            description: to.description.clone(),
            required: RequiredLevel::None,
            kind: to.kind.clone(),
            is_primary_name: false,
            global_choice: None,
            settings: to.settings.clone(),
        };
        check_kind(table.kind, &wish)?;
    }
    numbers::settle(table.kind, &mut to, fresh.context.now)?;
    to.settings.modified_on = Some(fresh.context.now);
    Ok(SchemaOp::ChangeColumn { table: table.id, column: Box::new(to) })
}

/// A relationship with other cascades and menus.
pub(super) fn relationship(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    mut to: OneToMany,
) -> Result<SchemaOp, Fault> {
    let old = catalog.relationships().iter().find(|one| one.metadata_id == to.metadata_id);
    if !to.is_custom
        && old.is_some_and(|old| {
            old.cascade != to.cascade || old.is_hierarchical != to.is_hierarchical
        })
    {
        return refuse(format!(
            "Relationship {} is the system's: its cascades cannot change.",
            to.schema_name
        ));
    }
    if to.is_custom {
        let referenced = super::table_named(catalog, &to.referenced_table)?;
        let referencing = super::table_named(catalog, &to.referencing_table)?;
        to.cascade = super::elastic::cascade_of(referenced, referencing, to.cascade)?;
    }
    super::check_parental(catalog, &to)?;
    super::check_hierarchy(catalog, &to)?;
    to.settings.modified_on = Some(fresh.context.now);
    Ok(SchemaOp::ChangeRelationship(to))
}

/// A many-to-many relationship with other menus.
pub(super) fn many_to_many(fresh: &Fresh<'_>, mut to: ManyToMany) -> SchemaOp {
    to.settings.modified_on = Some(fresh.context.now);
    SchemaOp::ChangeManyToMany(to)
}
