//! Targets and images: rows that are read where they lie.

use crate::bindings::sheaf::plugin::types as flat;
use crate::context::Context;
use crate::given::Given;
use crate::lists;
use crate::value::{Guid, Record, Value};

/// One record of a message.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    context: &'a Context,
    row: Row<'a>,
    index: usize,
}

impl<'a> Target<'a> {
    pub(crate) fn new(context: &'a Context, row: Row<'a>, index: usize) -> Self {
        Self { context, row, index }
    }

    fn key(&self, column: &str) -> (u32, String) {
        (u32::try_from(self.index).unwrap_or(u32::MAX), column.to_owned())
    }

    /// Its place among the targets, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its id; zero for a new record that has none yet.
    pub fn id(&self) -> Guid {
        lists::id_of(self.row.row.id)
    }

    /// The value of a column, as it is now; none where the target does not name the column.
    pub fn get(&self, column: &str) -> Option<Value> {
        match self.changed(column) {
            Some(changed) => changed,
            None => self.row.get(column),
        }
    }

    /// Whether the target names a column, as it is now.
    pub fn contains(&self, column: &str) -> bool {
        match self.changed(column) {
            Some(changed) => changed.is_some(),
            None => self.row.find(column).is_some(),
        }
    }

    fn changed(&self, column: &str) -> Option<Option<Value>> {
        let changes = self.context.changes.borrow();
        if changes.targets.is_empty() {
            return None;
        }
        changes.targets.get(&self.key(column)).cloned()
    }

    /// Sets a column. Counts before the rows are written only.
    pub fn set(&self, column: &str, value: impl Into<Value>) {
        let mut changes = self.context.changes.borrow_mut();
        changes.targets.insert(self.key(column), Some(value.into()));
    }

    /// Takes a column off the target: what is stored stays as it is.
    pub fn remove(&self, column: &str) {
        self.context.changes.borrow_mut().targets.insert(self.key(column), None);
    }

    /// The target as it came.
    pub fn record(&self) -> Record {
        self.row.record()
    }
}

/// A row as it was stored before or after the operation.
#[derive(Clone, Copy)]
pub struct Image<'a>(Row<'a>);

impl<'a> Image<'a> {
    pub(crate) fn new(row: Row<'a>) -> Self {
        Self(row)
    }

    /// Its id.
    pub fn id(&self) -> Guid {
        lists::id_of(self.0.row.id)
    }

    /// The value of a column; none where it was empty or not asked for.
    pub fn get(&self, column: &str) -> Option<Value> {
        self.0.get(column)
    }

    /// All of it.
    pub fn record(&self) -> Record {
        self.0.record()
    }
}

/// A row where it lies.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    given: &'a Given,
    batch: u32,
    row: flat::Row,
}

impl<'a> Row<'a> {
    /// A row of a batch, if it is there.
    pub(crate) fn of(given: &'a Given, batch: u32, index: usize) -> Option<Self> {
        Some(Self { given, batch, row: lists::Lists::row(given, batch, index)? })
    }

    fn find(&self, column: &str) -> Option<flat::Cell> {
        self.given.find(self.batch, &self.row, column)
    }

    fn get(&self, column: &str) -> Option<Value> {
        Some(lists::value(self.given, &self.find(column)?.value))
    }

    fn record(&self) -> Record {
        lists::record(self.given, self.batch, &self.row)
    }
}
