//! Targets and images: rows that are read where they lie.

use crate::bindings::sheaf::plugin::types as flat;
use crate::context::Context;
use crate::lists;
use crate::value::{Guid, Record, Value};

/// One record of a message.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    context: &'a Context,
    batch: &'a flat::Batch,
    index: usize,
}

impl<'a> Target<'a> {
    pub(crate) fn new(context: &'a Context, batch: &'a flat::Batch, index: usize) -> Self {
        Self { context, batch, index }
    }

    fn row(&self) -> Row<'a> {
        Row { data: &self.context.raw.data, batch: self.batch, row: &self.batch.rows[self.index] }
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
        lists::id_of(self.row().row.id)
    }

    /// The value of a column, as it is now; none where the target does not name the column.
    pub fn get(&self, column: &str) -> Option<Value> {
        match self.changed(column) {
            Some(changed) => changed,
            None => self.row().get(column),
        }
    }

    /// Whether the target names a column, as it is now.
    pub fn contains(&self, column: &str) -> bool {
        match self.changed(column) {
            Some(changed) => changed.is_some(),
            None => self.row().find(column).is_some(),
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
        self.row().record()
    }
}

/// A row as it was stored before or after the operation.
#[derive(Clone, Copy)]
pub struct Image<'a>(Row<'a>);

impl<'a> Image<'a> {
    pub(crate) fn new(data: &'a flat::Payload, batch: &'a flat::Batch, index: usize) -> Self {
        Self(Row { data, batch, row: &batch.rows[index] })
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

#[derive(Clone, Copy)]
struct Row<'a> {
    data: &'a flat::Payload,
    batch: &'a flat::Batch,
    row: &'a flat::Row,
}

impl<'a> Row<'a> {
    fn find(&self, column: &str) -> Option<&'a flat::Cell> {
        let cells = lists::cells(self.batch, self.row);
        cells.iter().find(|cell| lists::name(self.data, cell.column) == column)
    }

    fn get(&self, column: &str) -> Option<Value> {
        Some(lists::value(self.data, &self.find(column)?.value))
    }

    fn record(&self) -> Record {
        lists::record(self.data, self.batch, self.row)
    }
}
