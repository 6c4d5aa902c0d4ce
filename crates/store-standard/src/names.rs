//! Physical names and storage forms: what a table of the catalog looks like inside a database.
//!
//! Shared by both engines. A table is `t<n>`, a column `c<n>`; two kinds of column have a companion:
//! `c<n>t` (the table number of a lookup with several target tables) and `c<n>f` (the folded text of a
//! column that is searched by index; on PostgreSQL every text column has one, see its `dialect`).
//! Computed columns are not stored.
//! Not here: SQL types and statements.
//! Invariant: a name is made of letters and digits only; nothing a caller wrote is part of it.

use model::{
    AlternateKey, Catalog, Column, ColumnId, ColumnIndex, ColumnKind, DateTimeBehavior,
    DeleteAction, TableDefinition, TableId,
};

/// Decimal places of money columns in scaled form, whatever their precision.
pub(crate) const MONEY_SCALE: u8 = 4;

/// How the values of a stored column are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Text, memo, table name; `folded` tells whether `c<n>f` stands beside.
    Text {
        /// Has a companion with the folded text.
        folded: bool,
    },
    /// 32-bit numbers: whole numbers, choices, states and statuses.
    Integer,
    /// 64-bit numbers.
    BigInt,
    /// Exact decimals with this many places (4 for money).
    Decimal {
        /// Places after the point.
        scale: u8,
    },
    /// Floating point.
    Double,
    /// Yes or no.
    Boolean,
    /// Instants.
    DateTime,
    /// Days.
    Date,
    /// Ids.
    Guid,
    /// A lookup; the table stands in `c<n>t`, or is this one.
    Lookup(LookupTable),
    /// Multi-select choices, kept as text: `1,2,5`.
    Choices,
}

/// Where the table number of a lookup's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LookupTable {
    /// From the companion column `c<n>t`.
    Column,
    /// Always this one. `None`: the target table does not exist, so the column is empty.
    Fixed(Option<TableId>),
}

/// The name of a table.
pub(crate) fn table(id: TableId) -> String {
    format!("t{}", id.0)
}

/// The name of a column.
pub(crate) fn column(id: ColumnId) -> String {
    format!("c{}", id.0)
}

/// The companion that holds the table number of a lookup with several target tables.
pub(crate) fn lookup_table(id: ColumnId) -> String {
    format!("c{}t", id.0)
}

/// The companion that holds the folded text.
pub(crate) fn folded(id: ColumnId) -> String {
    format!("c{}f", id.0)
}

/// The unique index of an alternate key.
pub(crate) fn key_index(table: TableId, key: &AlternateKey) -> String {
    format!("k{}_{}", table.0, key.id)
}

/// The index over one column: indexed columns and the lookups of relationships.
pub(crate) fn column_index(table: TableId, column: ColumnId) -> String {
    format!("i{}_{}", table.0, column.0)
}

/// How the values of a column are kept.
///
/// For a computed column this is the form in which its own kind would be kept; see `select` for what
/// it reads as.
pub(crate) fn storage(catalog: &Catalog, table: &TableDefinition, index: ColumnIndex) -> Storage {
    let column = &table.columns[usize::from(index.0)];
    match &column.kind {
        ColumnKind::Guid | ColumnKind::File { .. } => Storage::Guid,
        ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::TableName
        | ColumnKind::Image { .. } => Storage::Text { folded: is_folded(table, index) },
        ColumnKind::Integer { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => Storage::Integer,
        ColumnKind::BigInt => Storage::BigInt,
        ColumnKind::Decimal { precision, .. } => Storage::Decimal { scale: *precision },
        ColumnKind::Money { .. } => Storage::Decimal { scale: MONEY_SCALE },
        ColumnKind::Double { .. } => Storage::Double,
        ColumnKind::Boolean { .. } => Storage::Boolean,
        ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => Storage::Date,
        ColumnKind::DateTime { .. } => Storage::DateTime,
        ColumnKind::MultiChoice { .. } => Storage::Choices,
        ColumnKind::Lookup { targets, .. } => Storage::Lookup(match targets.as_slice() {
            [single] => LookupTable::Fixed(catalog.table(&single.table).map(|table| table.id)),
            _ => LookupTable::Column,
        }),
    }
}

/// The lookups with several target tables that lose some: the column, and the tables.
pub(crate) fn lost_targets(
    before: &Catalog,
    old: &TableDefinition,
    new: &TableDefinition,
) -> Vec<(ColumnId, Vec<TableId>)> {
    let mut lost = Vec::new();
    for column in &new.columns {
        let known = old.columns.iter().find(|known| known.id == column.id);
        let Some(known) = known.filter(|known| has_lookup_table(known)) else { continue };
        let (ColumnKind::Lookup { targets: known, .. }, ColumnKind::Lookup { targets: kept, .. }) =
            (&known.kind, &column.kind)
        else {
            continue;
        };
        let gone: Vec<TableId> = known
            .iter()
            .filter(|target| kept.iter().all(|kept| kept.table != target.table))
            .filter_map(|target| Some(before.table(&target.table)?.id))
            .collect();
        if !gone.is_empty() {
            lost.push((column.id, gone));
        }
    }
    lost
}

/// Whether a column is stored at all.
pub(crate) fn is_stored(column: &Column) -> bool {
    column.computed.is_none()
}

/// Whether a column is a lookup with several target tables, and so has a `c<n>t` beside it.
pub(crate) fn has_lookup_table(column: &Column) -> bool {
    matches!(&column.kind, ColumnKind::Lookup { targets, .. } if targets.len() != 1)
}

/// Whether a text column has its folded text beside it: the primary name, indexed columns and the
/// columns of alternate keys.
pub(crate) fn is_folded(table: &TableDefinition, index: ColumnIndex) -> bool {
    let column = &table.columns[usize::from(index.0)];
    is_text(column)
        && is_stored(column)
        && (column.is_indexed
            || table.primary_name == Some(index)
            || table.keys.iter().any(|key| key.columns.contains(&index)))
}

/// Whether a column holds text that is compared by its fold.
pub(crate) fn is_text(column: &Column) -> bool {
    matches!(column.kind, ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName)
}

/// What an index over a column is made of: the folded text where there is one, else the column.
pub(crate) fn index_part(table: &TableDefinition, index: ColumnIndex) -> String {
    let column = &table.columns[usize::from(index.0)];
    if is_folded(table, index) { folded(column.id) } else { self::column(column.id) }
}

/// Whether a column has an index of its own, but for the primary key and alternate keys.
///
/// Indexed columns and primary names, and lookups whose relationship does something on delete.
pub(crate) fn is_indexed(catalog: &Catalog, table: &TableDefinition, index: ColumnIndex) -> bool {
    let column = &table.columns[usize::from(index.0)];
    if !is_stored(column) || index == table.primary_key {
        return false;
    }
    column.is_indexed || table.primary_name == Some(index) || is_cascaded(catalog, table, column)
}

/// Whether a delete of another row looks for the rows of this table through this lookup.
///
/// The lookups that a store does not check point to rows that are never deleted: no index serves them.
fn is_cascaded(catalog: &Catalog, table: &TableDefinition, column: &Column) -> bool {
    matches!(column.kind, ColumnKind::Lookup { .. })
        && store::writes::is_checked(column)
        && catalog.relationships().iter().any(|relationship| {
            relationship.cascade.delete != DeleteAction::NoCascade
                && *relationship.referencing_table == *table.logical_name
                && *relationship.referencing_column == *column.logical_name
        })
}
