//! The columns of a record that many contexts show: cheap to copy, copied when one of them changes.
//!
//! Cost: a copy takes no allocation; the first change of a copy takes one for the list and those of its texts.
//! Invariant: a column stands in them at most once.

use model::{Cell, ColumnIndex, Value};
use std::sync::Arc;

/// Columns of a record with their values: its own, and what it has in common with the others of its message.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    own: Arc<Vec<Cell>>,
    common: Option<Arc<[Cell]>>,
}

impl Cells {
    /// All of them, its own first.
    pub fn iter(&self) -> impl Iterator<Item = &Cell> + Clone {
        self.own.iter().chain(self.common())
    }

    /// What it has in common with others.
    pub(crate) fn common(&self) -> &[Cell] {
        self.common.as_deref().unwrap_or_default()
    }

    /// Its own alone.
    pub(crate) fn own(&self) -> &[Cell] {
        &self.own
    }

    /// The value of a column, if it is named.
    pub fn get(&self, column: ColumnIndex) -> Option<&Value> {
        self.iter().find(|cell| cell.column == column).map(|cell| &cell.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.own.len() + self.common().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a column that is not there.
    pub fn push(&mut self, cell: Cell) {
        Arc::make_mut(&mut self.own).push(cell);
    }

    /// Gives a column a value, or takes it away.
    pub(crate) fn set(&mut self, column: ColumnIndex, value: Option<Value>) {
        if self.common().iter().any(|cell| cell.column == column) {
            self.part();
        }
        let place = self.own.iter().position(|cell| cell.column == column);
        if place.is_none() && value.is_none() {
            return;
        }
        let own = Arc::make_mut(&mut self.own);
        match (place, value) {
            (Some(place), Some(value)) => own[place].value = value,
            (Some(place), None) => drop(own.remove(place)),
            (None, Some(value)) => own.push(Cell { column, value }),
            (None, None) => {}
        }
    }

    /// What it has in common with others becomes its own.
    pub(crate) fn part(&mut self) {
        if let Some(common) = self.common.take() {
            Arc::make_mut(&mut self.own).extend_from_slice(&common);
        }
    }

    /// Has this in common with others from now on: columns that are not there.
    pub(crate) fn share(&mut self, common: Arc<[Cell]>) {
        self.part();
        self.common = Some(common);
    }

    /// Its own alone; copied where somebody else still has them.
    pub(crate) fn into_own(self) -> Vec<Cell> {
        Arc::unwrap_or_clone(self.own)
    }
}

impl PartialEq for Cells {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<Vec<Cell>> for Cells {
    fn from(own: Vec<Cell>) -> Self {
        Self { own: Arc::new(own), common: None }
    }
}

impl FromIterator<Cell> for Cells {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        Vec::from_iter(cells).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(column: u16, value: i32) -> Cell {
        Cell { column: ColumnIndex(column), value: Value::Integer(value) }
    }

    #[test]
    fn a_change_is_seen_in_no_copy_and_common_columns_can_be_changed_and_taken_away() {
        let mut sent = Cells::from(vec![cell(1, 10), cell(2, 20)]);
        let copy = sent.clone();
        sent.share(Arc::from([cell(3, 30), cell(4, 40)]));
        let shared = sent.clone();
        sent.set(ColumnIndex(1), Some(Value::Integer(11)));
        sent.set(ColumnIndex(3), None);
        sent.set(ColumnIndex(5), Some(Value::Integer(50)));
        sent.set(ColumnIndex(6), None);
        let now = Cells::from(vec![cell(1, 11), cell(2, 20), cell(4, 40), cell(5, 50)]);
        assert_eq!(sent, now);
        assert_eq!(copy, Cells::from(vec![cell(1, 10), cell(2, 20)]));
        let all = Cells::from(vec![cell(1, 10), cell(2, 20), cell(3, 30), cell(4, 40)]);
        assert_eq!(shared, all);
        assert_eq!(shared.into_own(), copy.into_own());
    }
}
