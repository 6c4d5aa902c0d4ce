//! A new record with the records that it brings along, as a tree.
//!
//! Source: webapi.md 10.6 and 12.5. Not here: reading it (`decode`), the order in which it is written.

use model::{Catalog, ColumnIndex, Table, Target, TargetKey};
use std::sync::Arc;

/// How deep new records may lie in each other.
pub const NESTING_MAX: usize = 10;

/// A new record.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its table.
    pub table: Arc<Table>,
    /// Its own values.
    pub target: Target,
    /// What it brings along, in the order of its properties.
    pub nested: Vec<Nested>,
}

/// What a new record brings along.
#[derive(Clone, Debug)]
pub enum Nested {
    /// A new record that it points to.
    Parent {
        /// Its lookup column.
        column: ColumnIndex,
        /// The other record.
        record: NewRecord,
    },
    /// New records of one table that point to it.
    Children {
        /// Their table.
        table: Arc<Table>,
        /// Their lookup column.
        column: ColumnIndex,
        /// The other records.
        records: Vec<NewRecord>,
    },
    /// New records that are to be paired with it.
    Paired {
        /// Where the pairs stand.
        pairs: Pairs,
        /// The other records.
        records: Vec<NewRecord>,
    },
    /// Records there are that are to be paired with it.
    PairLinks {
        /// Where the pairs stand.
        pairs: Pairs,
        /// Which records.
        keys: Vec<TargetKey>,
    },
    /// Records there are that are to point to it.
    Links {
        /// Their table.
        table: Arc<Table>,
        /// Their lookup column.
        column: ColumnIndex,
        /// Which records.
        keys: Vec<TargetKey>,
    },
}

/// Where the pairs of a many-to-many relationship stand, seen from one side.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// The table that holds them.
    pub table: Arc<Table>,
    /// Its column for this side.
    pub own: ColumnIndex,
    /// Its column for the other side.
    pub other: ColumnIndex,
    /// The table of the other side.
    pub members: Arc<Table>,
}

impl Pairs {
    /// Where a navigation property of a table leads through pairs.
    pub fn of(catalog: &Catalog, table: &Table, navigation: &str) -> Option<Self> {
        let (many, start, end) =
            catalog.many_to_many_by_navigation(&table.logical_name, navigation)?;
        let pairs = catalog.table(&many.intersect_table)?;
        Some(Self {
            own: pairs.index_of(&start.column)?,
            other: pairs.index_of(&end.column)?,
            table: Arc::clone(pairs),
            members: Arc::clone(catalog.table(&end.table)?),
        })
    }
}

impl Nested {
    /// Whether this is the record that the column points to.
    pub(super) fn is_parent(&self, of: ColumnIndex) -> bool {
        matches!(self, Self::Parent { column, .. } if *column == of)
    }
}

/// What is known of the nested records while their record is read.
#[derive(Default)]
pub(super) struct Nesting {
    pub(super) depth: usize,
    pub(super) found: Vec<Nested>,
    /// Collections that were read.
    pub(super) collections: Vec<String>,
}
