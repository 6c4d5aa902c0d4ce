//! Cuts a page out of rows that come in any order, one by one, without keeping all of them; and takes
//! down what a walk sees.
//!
//! In: a query and rows of its table that are there. Out: what `query::evaluate` would answer, with the
//! partition as the last word between rows that the order leaves equal.
//! Not here: where rows come from, and which of them are looked at.
//! Invariant: at most twice the page's rows (and one) are held, however many come by.

use crate::elastic::{ElasticKey, ElasticWalk, Walked};
use crate::elastic_rows::effective_partition;
use model::Value;
use query::evaluate::{compare_rows, complete, matches};
use query::{BoundQuery, Page};
use std::cmp::Ordering;

/// A page in the making.
#[derive(Debug)]
pub struct PageBuilder<'q> {
    query: &'q BoundQuery,
    after: Option<After>,
    /// Rows of the page and the one behind it.
    wanted: usize,
    /// Candidates; in order up to `sorted`.
    rows: Vec<Vec<Value>>,
    sorted: usize,
    found: u64,
}

/// Where the page before ended.
#[derive(Debug)]
struct After {
    /// A row that holds the values of the order's columns.
    row: Vec<Value>,
    /// The order names `partitionid`, so that the place between equal rows is known.
    names_partition: bool,
}

impl<'q> PageBuilder<'q> {
    /// A page without rows yet.
    pub fn new(query: &'q BoundQuery) -> Self {
        let size = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
        let after = query.paging.after.as_ref().map(|values| {
            let mut row = vec![Value::Null; query.table.columns.len()];
            for (order, value) in query.order.iter().zip(values) {
                row[usize::from(order.column.column.0)] = value.clone();
            }
            let partition = query.table.index_of("partitionid");
            let names_partition =
                query.order.iter().any(|order| Some(order.column.column) == partition);
            After { row, names_partition }
        });
        let skipped = usize::try_from(query.paging.skip).unwrap_or(usize::MAX);
        let wanted =
            size.saturating_add(usize::from(query.paging.look_ahead)).saturating_add(skipped);
        Self { query, after, wanted, rows: Vec::new(), sorted: 0, found: 0 }
    }

    /// Looks at a row.
    ///
    /// Shape: one value per column of the table; those of computed columns do not matter.
    pub fn push(&mut self, row: &[Value]) {
        let query = self.query;
        let fits = |filter| matches(&query.catalog, &query.table, filter, row);
        if !query.filter.as_ref().is_none_or(fits) {
            return;
        }
        self.found += 1;
        let row = complete(&query.catalog, &query.table, row);
        if self.after.as_ref().is_some_and(|after| !after.is_before(query, &row)) {
            return;
        }
        let is_too_late = self.sorted >= self.wanted
            && self.rows[..self.sorted]
                .last()
                .is_none_or(|worst| self.compare(&row, worst).is_ge());
        if is_too_late {
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= self.wanted.saturating_mul(2) {
            self.shrink();
        }
    }

    /// Whether the page has all its rows, if those that come are in the query's order.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= self.wanted
    }

    /// Whether the number of matching rows will not change the answer any more.
    pub fn is_counted(&self) -> bool {
        self.query.count_max.is_none_or(|max| self.found > max)
    }

    /// The page.
    pub fn finish(mut self) -> Page {
        self.shrink();
        let skipped = usize::try_from(self.query.paging.skip).unwrap_or(usize::MAX);
        self.rows.drain(..skipped.min(self.rows.len()));
        let size = usize::try_from(self.query.paging.size).unwrap_or(usize::MAX);
        let more = self.query.paging.look_ahead && self.rows.len() > size;
        self.rows.truncate(size);
        let columns = &self.query.columns;
        let cells = self
            .rows
            .iter()
            .flat_map(|row| columns.iter().map(|column| row[usize::from(column.column.0)].clone()))
            .collect();
        let count = self.query.count_max.map(|max| self.found.min(max.saturating_add(1)));
        Page { cells, rows: self.rows.len(), more, count }
    }

    fn shrink(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_by(|left, right| self.compare(left, right));
        rows.truncate(self.wanted);
        self.sorted = rows.len();
        self.rows = rows;
    }

    fn compare(&self, left: &[Value], right: &[Value]) -> Ordering {
        let table = &self.query.table;
        compare_rows(self.query, left, right)
            .then_with(|| effective_partition(table, left).cmp(&effective_partition(table, right)))
    }
}

/// What a call of a walk sees, row by row.
#[derive(Debug)]
pub struct WalkBuilder<'w> {
    walk: &'w ElasticWalk,
    walked: Walked,
    looks: usize,
}

impl<'w> WalkBuilder<'w> {
    /// Nothing seen yet.
    pub fn new(walk: &'w ElasticWalk) -> Self {
        Self { walk, walked: Walked::default(), looks: 0 }
    }

    /// Rows that it may still look at.
    pub fn left(&self) -> usize {
        self.walk.rows_max.saturating_sub(self.looks)
    }

    /// Looks at a row; `values` are those of one that is there, and none of one whose time is over.
    ///
    /// Shape: one value per column of the table; those of computed columns do not matter.
    pub fn push(&mut self, key: ElasticKey, values: Option<&[Value]>) {
        let ElasticWalk { catalog, table, filter, .. } = self.walk;
        let fits = |row: &[Value]| {
            filter.as_ref().is_none_or(|filter| matches(catalog, table, filter, row))
        };
        self.looks += 1;
        if values.is_some_and(fits) {
            self.walked.keys.push(key.clone());
        }
        self.walked.next = Some(key);
    }

    /// What was seen, once it may look at no more rows or there are none: then it is at the end.
    pub fn finish(self) -> Walked {
        let next = self.walked.next.filter(|_| self.looks >= self.walk.rows_max);
        Walked { next, ..self.walked }
    }
}

impl After {
    fn is_before(&self, query: &BoundQuery, row: &[Value]) -> bool {
        match compare_rows(query, row, &self.row) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => {
                let partition = |row| effective_partition(&query.table, row);
                self.names_partition && partition(row) > partition(&self.row)
            }
        }
    }
}
