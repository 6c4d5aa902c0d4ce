//! A new record with the records that it brings along, as a tree.
//!
//! Source: webapi.md 10.6 and 12.5. Not here: reading it (`decode`), the order in which it is written.

use model::{ColumnIndex, Table, Target, TargetKey};
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
        /// Their lookup column.
        column: ColumnIndex,
        /// The other records.
        records: Vec<NewRecord>,
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
