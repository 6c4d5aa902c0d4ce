//! Definitions that go: what goes with them, and what holds them.
//!
//! Source: `metadata.md` 4.7, 5.5, 6.5, 8. Not here: rows of the dropped tables (the stores').
//! Invariant: nothing that stays names what is gone; what the system made is never dropped.

use crate::seed::filter_ids;
use model::{
    Catalog, Column, ColumnIndex, ColumnKind, Computed, Fault, KeyIndex, ManyToMany, OneToMany,
    Table, TableDefinition, TableKind, Uuid, code,
};
use std::sync::Arc;
use store::writes::{Delete, DeleteRow, RowKey, WriteOp};
use store::{SchemaChange, SchemaOp};

/// The tables that a drop takes with it, for what lies outside of their definitions.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) tables: Vec<Arc<Table>>,
}

fn not_deletable(what: &str) -> Fault {
    Fault::new(
        code::METADATA_RECORD_NOT_DELETABLE,
        "The metadata record being deleted cannot be deleted by the end user",
    )
    .with_hint(format!("{what} is the system's"))
}

fn in_use(kind: &str, name: &str, id: Uuid, holder: &str) -> Fault {
    Fault::new(
        code::CANNOT_DELETE_IN_USE_COMPONENT,
        format!(
            "The {kind}({id}) component cannot be deleted because it is referenced by 1 other components."
        ),
    )
    .with_hint(format!("`{name}` is part of {holder}"))
}

/// Plans the end of a table: its relationships, the lookups to it, its pairs, itself.
pub(super) fn table(
    catalog: &Catalog,
    table: &Arc<Table>,
    ops: &mut Vec<SchemaOp>,
) -> Result<Dropped, Fault> {
    if !table.is_custom {
        return Err(not_deletable(&format!("table `{}`", table.logical_name)));
    }
    if let Some(many) = catalog.many_to_many_in(&table.logical_name) {
        let holder = format!("relationship `{}`; delete that", many.schema_name);
        return Err(in_use("Entity", &table.logical_name, table.metadata_id, &holder));
    }
    let mut dropped = Dropped::default();
    for many in catalog.many_to_many_of(&table.logical_name) {
        pairs(catalog, many, ops, &mut dropped);
    }
    let mut gone: Vec<Uuid> = Vec::new();
    let ends =
        catalog.referencing(&table.logical_name).chain(catalog.referenced_by(&table.logical_name));
    for one in ends {
        if !gone.contains(&one.metadata_id) {
            gone.push(one.metadata_id);
            ops.push(SchemaOp::DropRelationship(one.metadata_id));
        }
    }
    for one in catalog.referencing(&table.logical_name) {
        if one.referencing_table != table.logical_name {
            lookup(catalog, one, ops)?;
        }
    }
    ops.push(SchemaOp::DropTable(table.id));
    dropped.tables.push(Arc::clone(table));
    Ok(dropped)
}

/// Drops a many-to-many relationship with its intersect table.
fn pairs(catalog: &Catalog, many: &ManyToMany, ops: &mut Vec<SchemaOp>, dropped: &mut Dropped) {
    ops.push(SchemaOp::DropManyToMany(many.metadata_id));
    if let Some(intersect) = catalog.table(&many.intersect_table) {
        ops.push(SchemaOp::DropTable(intersect.id));
        dropped.tables.push(Arc::clone(intersect));
    }
}

/// What becomes of a lookup whose relationship is dropped: it goes, or loses the target.
fn lookup(catalog: &Catalog, one: &OneToMany, ops: &mut Vec<SchemaOp>) -> Result<(), Fault> {
    let Some(table) = catalog.table(&one.referencing_table) else { return Ok(()) };
    let Some(index) = table.index_of(&one.referencing_column) else { return Ok(()) };
    let column = table.column(index);
    let ColumnKind::Lookup { kind, targets } = &column.kind else { return Ok(()) };
    if targets.len() == 1 {
        held_by_key(table, index, column)?;
        ops.push(SchemaOp::DropColumn { table: table.id, column: column.id });
        return Ok(());
    }
    // One change of the same lookup before this one has taken its target already.
    let before = ops.iter_mut().rev().find_map(|op| match op {
        SchemaOp::ChangeColumn { table: of, column: changed }
            if *of == table.id && changed.id == column.id =>
        {
            Some(changed)
        }
        _ => None,
    });
    if let Some(changed) = before {
        if let ColumnKind::Lookup { targets, .. } = &mut changed.kind {
            targets.retain(|target| target.table != one.referenced_table);
        }
        return Ok(());
    }
    let mut targets = targets.clone();
    targets.retain(|target| target.table != one.referenced_table);
    let kind = ColumnKind::Lookup { kind: *kind, targets };
    let column = Box::new(Column { kind, ..column.clone() });
    ops.push(SchemaOp::ChangeColumn { table: table.id, column });
    Ok(())
}

fn held_by_key(table: &TableDefinition, index: ColumnIndex, column: &Column) -> Result<(), Fault> {
    match table.keys.iter().find(|key| key.columns.contains(&index)) {
        Some(key) => {
            let holder = format!("the alternate key `{}`", key.logical_name);
            Err(in_use("Attribute", &column.logical_name, column.metadata_id, &holder))
        }
        None => Ok(()),
    }
}

/// Plans the end of a column with the columns beside it.
pub(super) fn column(
    catalog: &Catalog,
    table: &Table,
    index: ColumnIndex,
    ops: &mut Vec<SchemaOp>,
) -> Result<(), Fault> {
    let column = table.column(index);
    if table.primary_name == Some(index) {
        return Err(Fault::new(
            code::CANNOT_DELETE_PRIMARY_UI_ATTRIBUTE,
            "The primary attribute of an entity cannot be deleted.",
        ));
    }
    let is_companion = column.computed.is_some() || owner_of(table, index).is_some();
    if table.primary_key == index || !column.is_custom || table.is_intersect || is_companion {
        let name = format!("column `{}.{}`", table.logical_name, column.logical_name);
        return Err(not_deletable(&name));
    }
    held_by_key(table, index, column)?;
    let mut links = catalog.referenced_by(&table.logical_name);
    if let Some(one) = links.find(|one| one.referencing_column == column.logical_name) {
        let holder = format!("relationship `{}`; delete that", one.schema_name);
        return Err(in_use("Attribute", &column.logical_name, column.metadata_id, &holder));
    }
    for (other, beside) in table.indexed_columns() {
        let computed = beside.computed == Some(Computed::CopyOf { column: index });
        if computed || owner_of(table, other) == Some(index) {
            ops.push(SchemaOp::DropColumn { table: table.id, column: beside.id });
        }
    }
    ops.push(SchemaOp::DropColumn { table: table.id, column: column.id });
    Ok(())
}

/// The file or image that a column stands beside.
fn owner_of(table: &Table, index: ColumnIndex) -> Option<ColumnIndex> {
    let name = &table.column(index).logical_name;
    let stem =
        ["_name", "_timestamp", "_url", "id"].iter().find_map(|end| name.strip_suffix(end))?;
    let owner = table.index_of(stem)?;
    let of_files =
        matches!(table.column(owner).kind, ColumnKind::File { .. } | ColumnKind::Image { .. });
    (of_files && !table.column(index).valid_for_create).then_some(owner)
}

/// Plans the end of a relationship of either kind.
pub(super) fn relationship(
    catalog: &Catalog,
    id: Uuid,
    ops: &mut Vec<SchemaOp>,
) -> Result<Dropped, Fault> {
    let mut dropped = Dropped::default();
    let one = catalog.relationships().iter().find(|one| one.metadata_id == id);
    let many = catalog.many_to_many().iter().find(|many| many.metadata_id == id);
    match (one, many) {
        (Some(one), _) if one.is_custom => {
            ops.push(SchemaOp::DropRelationship(id));
            lookup(catalog, one, ops)?;
        }
        (None, Some(many)) if many.is_custom => pairs(catalog, many, ops, &mut dropped),
        (Some(one), _) => {
            return Err(not_deletable(&format!("relationship `{}`", one.schema_name)));
        }
        (None, Some(many)) => {
            return Err(not_deletable(&format!("relationship `{}`", many.schema_name)));
        }
        (None, None) => {
            return Err(Fault::new(
                code::OBJECT_DOES_NOT_EXIST,
                format!("Could not find a relationship with specified id: {id}"),
            ));
        }
    }
    Ok(dropped)
}

/// Plans the end of an alternate key.
pub(super) fn key(table: &Table, key: KeyIndex, ops: &mut Vec<SchemaOp>) -> Result<(), Fault> {
    let found = table.key(key);
    // Others are made by callers alone, on tables of either origin.
    if table.kind == TableKind::Elastic || table.is_intersect {
        return Err(not_deletable(&format!("alternate key `{}`", found.logical_name)));
    }
    ops.push(SchemaOp::DropKey { table: table.id, key: found.id });
    Ok(())
}

/// Ids of the rows of system tables that are about a table, each with the table that it may stand in.
pub(crate) fn about(table: &TableDefinition) -> Vec<(&'static str, Uuid)> {
    let filters = filter_ids(&table.logical_name).map(|id| ("sdkmessagefilter", id));
    let privileges = model::privilege_actions(table).iter().map(|action| {
        ("privilege", model::privilege_id(&format!("prv{action}{}", table.schema_name)))
    });
    filters.chain(privileges).collect()
}

/// Adds the deletes of rows of system tables that are about the dropped tables. What roles hold of their
/// privileges goes with them.
///
/// `there` are the rows that there are; deleting one that is not there fails.
pub(super) fn rows(change: &mut SchemaChange, dropped: &Dropped, there: &[Uuid]) {
    for name in ["sdkmessagefilter", "privilege"] {
        let Some(table) = change.catalog.table(name) else { continue };
        let all = dropped.tables.iter().flat_map(|dropped| about(dropped));
        let rows: Vec<DeleteRow> = all
            .filter(|(of, id)| *of == name && there.contains(id))
            .map(|(_, id)| DeleteRow { key: RowKey::Id(id), expected_version: None })
            .collect();
        if !rows.is_empty() {
            let table = Arc::clone(table);
            change.rows.push(WriteOp::Delete(Delete { table, rows }));
        }
    }
}
