//! A condition about rows of another table: some exist, or none do.
//!
//! A semi join: it never repeats a row of the query, and none of its columns can be read.
//! Invariant: the sources inside are numbered anew, 0 for [`Exists::table`]; of the row outside only
//! [`Exists::to`] is known, which counts the sources of the place where the condition stands.

use super::{ColumnRef, Filter, Join};
use model::{ColumnIndex, Table};
use std::sync::Arc;

/// There is a row of a table whose column equals a column of the row outside.
///
/// Values are equal as in a [`Join`]: never when null, and ids only if they mean rows of one table.
#[derive(Clone, Debug)]
pub struct Exists {
    /// The table: source 0 inside.
    pub table: Arc<Table>,
    /// Its column.
    pub from: ColumnIndex,
    /// The column outside that it must equal.
    pub to: ColumnRef,
    /// Tables that are joined to its rows: sources 1, 2, … inside.
    pub joins: Vec<Join>,
    /// What else must hold for the row, with the sources inside. None: any row will do.
    pub filter: Option<Filter>,
    /// True for "there is no such row", which holds where [`Exists::to`] is null.
    pub negated: bool,
    /// The service asks, not the caller: which rows the caller may see does not matter.
    pub of_service: bool,
}

impl Exists {
    /// The rows of a table that point here, without a further condition.
    pub fn new(table: &Arc<Table>, from: ColumnIndex, to: ColumnRef) -> Self {
        Self {
            table: Arc::clone(table),
            from,
            to,
            joins: Vec::new(),
            filter: None,
            negated: false,
            of_service: false,
        }
    }

    /// The same with a condition on the rows, whose source 0 is their table.
    #[must_use]
    pub fn with(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The opposite.
    #[must_use]
    pub fn negate(mut self) -> Self {
        self.negated = !self.negated;
        self
    }
}

/// Equal when they ask for the same rows; the table counts by its number.
impl PartialEq for Exists {
    fn eq(&self, other: &Self) -> bool {
        let ends = |exists: &Self| {
            let signs = (exists.negated, exists.of_service);
            (exists.table.id, exists.from, exists.to, signs)
        };
        ends(self) == ends(other) && self.joins == other.joins && self.filter == other.filter
    }
}

impl From<Exists> for Filter {
    fn from(exists: Exists) -> Self {
        Self::Exists(Box::new(exists))
    }
}
