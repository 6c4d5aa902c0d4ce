//! Which image column of a table is the primary one: at most one is.
//!
//! The first image column of a table is, whatever is wished; later on the one that was made so last.
//! Source: `webapi.md` 15.8, image-column-data. Not here: images (`crate::images`).

use model::{Column, ColumnKind, Table, TableDefinition};
use store::SchemaOp;

/// Settles whether a new column is the primary image of its table; another one is no longer then.
pub(super) fn settle(table: &mut TableDefinition, kind: &mut ColumnKind) {
    let ColumnKind::Image { is_primary, .. } = kind else { return };
    let mut others = table.columns.iter_mut().filter(|column| is_image(column)).peekable();
    *is_primary |= others.peek().is_none();
    if *is_primary {
        others.for_each(unset);
    }
}

/// The changes of the columns that a table has already.
pub(super) fn changed(table: &Table, columns: &[Column]) -> Vec<SchemaOp> {
    let pairs = table.columns.iter().zip(columns);
    let changed = pairs.filter(|(old, new)| is_primary(old) != is_primary(new));
    changed
        .map(|(_, new)| SchemaOp::ChangeColumn { table: table.id, column: Box::new(new.clone()) })
        .collect()
}

/// The changes of other columns that go with one that becomes the primary image.
pub(super) fn others(table: &Table, to: &Column) -> Vec<SchemaOp> {
    if !is_primary(to) {
        return Vec::new();
    }
    let mut columns = table.columns.clone();
    columns.iter_mut().filter(|column| column.id != to.id).for_each(unset);
    changed(table, &columns)
}

fn is_image(column: &Column) -> bool {
    matches!(column.kind, ColumnKind::Image { .. })
}

fn is_primary(column: &Column) -> bool {
    matches!(column.kind, ColumnKind::Image { is_primary: true, .. })
}

fn unset(column: &mut Column) {
    if let ColumnKind::Image { is_primary, .. } = &mut column.kind {
        *is_primary = false;
    }
}
