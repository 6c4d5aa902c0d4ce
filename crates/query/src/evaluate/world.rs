//! What a condition is judged by: a row of every source, the place where it stands, and the rows of
//! other tables.

use super::{Sources, at, compare, table_meant};
use crate::ColumnRef;
use crate::tree::Join;
use model::{ColumnIndex, Table, TableId, Value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Gives all rows of a table, completed.
type RowsOf<'w> = &'w dyn Fn(&Table) -> Vec<Vec<Value>>;

/// The rows of every table, each asked for once.
pub(super) struct World<'w> {
    rows_of: RowsOf<'w>,
    known: RefCell<HashMap<TableId, Rc<Vec<Vec<Value>>>>>,
}

impl<'w> World<'w> {
    pub(super) fn new(rows_of: RowsOf<'w>) -> Self {
        Self { rows_of, known: RefCell::default() }
    }

    pub(super) fn rows(&self, table: &Table) -> Rc<Vec<Vec<Value>>> {
        if let Some(known) = self.known.borrow().get(&table.id) {
            return Rc::clone(known);
        }
        let rows = Rc::new((self.rows_of)(table));
        self.known.borrow_mut().insert(table.id, Rc::clone(&rows));
        rows
    }
}

/// Where a condition stands: the sources around it with a row of each.
pub(super) struct Place<'p> {
    pub(super) world: &'p World<'p>,
    pub(super) table: &'p Arc<Table>,
    pub(super) joins: &'p [Join],
    pub(super) row: &'p Sources,
    /// The place of the condition that this one is a part of.
    pub(super) outer: Option<&'p Place<'p>>,
}

impl Place<'_> {
    /// The row so many conditions about other rows outside of this one.
    pub(super) fn outside(&self, levels: u8) -> Option<&Sources> {
        let mut place = self;
        for _ in 0..levels {
            place = place.outer?;
        }
        Some(place.row)
    }
}

/// A value that a column of another table must equal, and the table whose row it means.
pub(super) struct Meant {
    value: Value,
    table: Option<TableId>,
}

impl Meant {
    /// What a column of a row means.
    pub(super) fn of(table: &Table, column: ColumnIndex, row: &Sources, at_: ColumnRef) -> Self {
        let value = at(row, at_).clone();
        let table = table_meant(table, column, &value);
        Self { value, table }
    }

    /// Tells whether a row of a table has it in this column; null is never had.
    pub(super) fn is_in(&self, table: &Table, column: ColumnIndex, row: &[Value]) -> bool {
        let value = row.get(usize::from(column.0)).unwrap_or(&Value::Null);
        let same_table = match (table_meant(table, column, value), self.table) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same_table && !value.is_null() && compare(value, &self.value).is_eq()
    }
}
