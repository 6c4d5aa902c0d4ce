//! What must hold for rows before an operation, besides what the operation itself asks: that they
//! meet a condition. Access to rows is checked so.
//!
//! In: a [`Check`], and what its two queries answer inside the transaction. Out: a [`Denial`] per row
//! that does not pass. Pure. Not here: running the queries, and who may do what.
//! Invariants: checks of an operation see the rows of the operations before it, not its own; a row that
//! does not exist passes unless it must exist, so that the operation tells what it thinks of that.

use crate::RowKey;
use crate::spread::Along;
use model::{Catalog, ColumnIndex, LookupValue, Spreading, Table, TableId, Uuid, Value};
use query::{BoundQuery, ColumnRef, Filter, Page};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A condition that rows must meet before an operation is carried out.
#[derive(Clone, Debug)]
pub struct Check {
    /// The operation, by its place in the write set.
    pub op: usize,
    /// The table of the rows.
    pub table: Arc<Table>,
    /// The rows; the same one may stand here more than once.
    pub rows: Vec<CheckRow>,
    /// What they must meet. Its source 0 is the table.
    pub allowed: Filter,
    /// A row whose value in this column is its [`CheckRow::unless`] need not meet it.
    pub unless: Option<ColumnIndex>,
    /// What will be done to the rows: how they are locked.
    pub purpose: Purpose,
    /// How what is done goes on to other rows.
    pub spreads: Spreads,
    /// What the rows of these tables must meet that it goes on to.
    pub cascades: Vec<(Arc<Table>, Filter)>,
    /// Only rows that it gives one of these owners must meet that.
    pub owners: Option<BTreeSet<Uuid>>,
}

/// How what is done to rows goes on to other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spreads {
    /// By the cascades of deletes.
    Delete,
    /// By another one. With [`Spreading::Assign`] each row gets the owner of its [`CheckRow::unless`].
    By(Spreading),
}

/// What will be done to checked rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Others will point to them.
    Point,
    /// They will be changed.
    Change,
    /// They will be deleted.
    Delete,
}

/// A row to check.
#[derive(Clone, Debug)]
pub struct CheckRow {
    /// The row of the operation that it is checked for.
    pub row: usize,
    /// Which row.
    pub key: RowKey,
    /// It must exist.
    pub must_exist: bool,
    /// See [`Check::unless`].
    pub unless: Option<Value>,
}

/// A row that does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The row of the operation. Of rows that go along with a delete: the first of the check.
    pub row: usize,
    /// The table of the row that does not pass.
    pub table: TableId,
    /// Its id, when known.
    pub id: Option<Uuid>,
    /// It is there and does not meet the condition; else it is not there and must be.
    pub exists: bool,
}

impl Check {
    /// What is read of the rows: which exist, and which of them meet the condition.
    ///
    /// Each answers the ids, the first one with the value of [`Check::unless`] behind.
    pub fn queries(&self, catalog: &Arc<Catalog>, ids: &[Uuid]) -> [BoundQuery; 2] {
        let mut existing = allowed_query(catalog, &self.table, ids, None);
        existing.columns.extend(self.unless.map(ColumnRef::root));
        [existing, allowed_query(catalog, &self.table, ids, Some(&self.allowed))]
    }

    /// The rows that do not pass, in order. `ids`: the rows' ids where they are known or found.
    pub fn denials(&self, ids: &[Option<Uuid>], existing: &Page, allowed: &Page) -> Vec<Denial> {
        let width = 1 + usize::from(self.unless.is_some());
        let existing: HashMap<Uuid, Value> = existing
            .rows(width)
            .filter_map(|row| {
                Some((row.first()?.as_id()?, row.get(1).cloned().unwrap_or(Value::Null)))
            })
            .collect();
        let allowed = ids_of(allowed);
        let passes = |row: &CheckRow, id: Option<Uuid>| {
            let Some((id, value)) = id.and_then(|id| existing.get_key_value(&id)) else {
                return !row.must_exist;
            };
            let is_spared = self.unless.is_some() && row.unless.as_ref() == Some(value);
            is_spared || allowed.contains(id)
        };
        self.rows
            .iter()
            .zip(ids)
            .filter(|(row, id)| !passes(row, **id))
            .map(|(row, id)| Denial {
                row: row.row,
                table: self.table.id,
                id: *id,
                exists: id.is_some_and(|id| existing.contains_key(&id)),
            })
            .collect()
    }

    /// The rows from which something other than a delete goes on, with the owners that they get.
    ///
    /// `ids`: as of [`Check::denials`].
    pub fn starts(&self, ids: &[Option<Uuid>]) -> Vec<(Uuid, Option<LookupValue>)> {
        let start = |(row, id): (&CheckRow, &Option<Uuid>)| {
            let owner = match &row.unless {
                Some(Value::Lookup(owner)) => Some(*owner),
                _ => None,
            };
            Some(((*id)?, owner))
        };
        self.rows.iter().zip(ids).filter_map(start).collect()
    }

    /// Of the rows that it goes on to, those of a table that must meet its condition.
    ///
    /// `ids`: as of [`Check::denials`].
    pub fn reached(
        &self,
        table: TableId,
        ids: &[Option<Uuid>],
        along: &[Along],
    ) -> Vec<(usize, Uuid)> {
        let concerns = |along: &&Along| {
            let owner = along.owner.map(|owner| owner.id);
            along.place.0 == table
                && self
                    .owners
                    .as_ref()
                    .is_none_or(|owners| owner.is_some_and(|owner| owners.contains(&owner)))
        };
        let row = |along: &Along| {
            let start = ids.iter().position(|id| *id == Some(along.start));
            let row = start.and_then(|place| self.rows.get(place)).map_or(0, |row| row.row);
            (row, along.place.1)
        };
        along.iter().filter(concerns).map(row).collect()
    }

    /// The same for rows of another table that go along: each with the row that it goes along with.
    pub fn cascade_denials(
        &self,
        table: &Table,
        rows: &[(usize, Uuid)],
        allowed: &Page,
    ) -> Vec<Denial> {
        let allowed = ids_of(allowed);
        rows.iter()
            .filter(|(_, id)| !allowed.contains(id))
            .map(|(row, id)| Denial { row: *row, table: table.id, id: Some(*id), exists: true })
            .collect()
    }

    /// The row that is told for rows that go along with a delete.
    pub fn first_row(&self) -> usize {
        self.rows.first().map_or(0, |row| row.row)
    }
}

fn ids_of(page: &Page) -> HashSet<Uuid> {
    page.cells.iter().filter_map(Value::as_id).collect()
}

/// Which of these rows exist and meet a condition.
pub fn allowed_query(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    ids: &[Uuid],
    allowed: Option<&Filter>,
) -> BoundQuery {
    BoundQuery::of_ids(catalog, table, ids.iter().copied()).and(allowed.cloned())
}
