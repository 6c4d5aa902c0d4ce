//! A condition about the rows above or below a row in a tree of rows.

use super::{ColumnRef, Filter};
use model::{ColumnIndex, Table, Uuid};
use std::sync::Arc;

/// A column is the id of a row that is reached from one row along a lookup of a table to itself.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// The column: ids, or a lookup of which only the id counts.
    pub column: ColumnRef,
    /// The table whose rows form the tree.
    pub table: Arc<Table>,
    /// Its lookup to the row above.
    pub parent: ColumnIndex,
    /// The row that is started from; it is not itself meant, unless it is reached.
    pub of: Uuid,
    /// Which way.
    pub line: Line,
    /// True for "is none of them", which holds for null.
    pub negated: bool,
    /// Only rows that meet this are looked at, with the tree's table as source 0: the others point to
    /// nothing. None: all of them.
    pub among: Option<Filter>,
    /// The service asks, not the caller: which rows the caller may see does not matter.
    pub of_service: bool,
}

/// Which rows of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Those that point to it, and those that point to them, and so on.
    Under,
    /// The one it points to, the one that points to, and so on.
    Above,
}

/// Levels that are gone up or down at most.
pub const HIERARCHY_LEVELS_MAX: u8 = 100;

impl PartialEq for Hierarchy {
    /// Equal when they ask for the same rows; the table counts by its number.
    fn eq(&self, other: &Self) -> bool {
        let parts = |one: &Self| {
            let signs = (one.negated, one.of_service);
            (one.column, one.table.id, one.parent, one.of, one.line, signs)
        };
        parts(self) == parts(other) && self.among == other.among
    }
}

impl From<Hierarchy> for Filter {
    fn from(hierarchy: Hierarchy) -> Self {
        Self::Hierarchy(Box::new(hierarchy))
    }
}
