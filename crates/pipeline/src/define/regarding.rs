//! Notes and activities about the records of a table: `HasNotes` and `HasActivities`.
//!
//! The lookups of the system's tables get one more target each, with a relationship that takes what is about
//! a record along when it is deleted. Source: metadata.md 4.4. Not here: the system's own tables that have
//! them (`seed::activities`), dropping a table (`remove`: its lookups lose the target).
//! Invariant: a lookup that gets targets from several tables is changed once.

use super::Fresh;
use crate::seed;
use model::{
    Cascade, Catalog, Column, ColumnKind, DeleteAction, LookupTarget, OneToMany,
    RelationshipSettings, TableDefinition, TableKind,
};
use store::SchemaOp;

/// What a table gets.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) table: &'a TableDefinition,
    pub(super) notes: bool,
    pub(super) activities: bool,
}

/// What a new table gets.
pub(super) fn of_new(table: &TableDefinition) -> Wish<'_> {
    Wish { table, notes: table.has_notes, activities: table.has_activities }
}

/// Plans the targets and relationships. Lookups never lead to elastic tables: those get none.
pub(super) fn plan(catalog: &Catalog, fresh: &Fresh<'_>, wishes: &[Wish<'_>]) -> Vec<SchemaOp> {
    let mut ops = Vec::new();
    let notes = ("annotation", "objectid", "Annotations");
    let activities =
        seed::activities::KINDS.map(|(name, plural)| (name, "regardingobjectid", plural));
    let mut relationships = Vec::new();
    for (referencing, lookup, plural) in std::iter::once(notes).chain(activities) {
        let is_wished = |wish: &&Wish<'_>| {
            let wished = if lookup == "objectid" { wish.notes } else { wish.activities };
            wished && wish.table.kind == TableKind::Standard
        };
        let Some(table) = catalog.table(referencing) else { continue };
        let Some(index) = table.index_of(lookup) else { continue };
        let column = table.column(index);
        let ColumnKind::Lookup { kind, targets } = &column.kind else { continue };
        let mut targets = targets.clone();
        for wish in wishes.iter().filter(is_wished) {
            let name = &wish.table.logical_name;
            let navigation: Box<str> = match lookup {
                "objectid" => format!("objectid_{name}").into(),
                _ => format!("{lookup}_{name}_{referencing}").into(),
            };
            let target = LookupTarget { table: name.clone(), navigation: navigation.clone() };
            targets.push(target);
            let schema_name: Box<str> = format!("{name}_{plural}").into();
            let now = Some(fresh.context.now);
            relationships.push(OneToMany {
                metadata_id: fresh.id(),
                referenced_table: name.clone(),
                referenced_column: primary_key(wish.table).into(),
                referencing_table: referencing.into(),
                referencing_column: lookup.into(),
                referenced_navigation: schema_name.clone(),
                referencing_navigation: navigation,
                schema_name,
                cascade: Cascade::on_delete(DeleteAction::Cascade),
                is_custom: true,
                is_hierarchical: false,
                settings: RelationshipSettings {
                    created_on: now,
                    modified_on: now,
                    ..RelationshipSettings::default()
                },
            });
        }
        let kind = ColumnKind::Lookup { kind: *kind, targets };
        if kind != column.kind {
            let column = Box::new(Column { kind, ..column.clone() });
            ops.push(SchemaOp::ChangeColumn { table: table.id, column });
        }
    }
    ops.extend(relationships.into_iter().map(SchemaOp::AddRelationship));
    ops
}

fn primary_key(table: &TableDefinition) -> &str {
    &table.columns[usize::from(table.primary_key.0)].logical_name
}
