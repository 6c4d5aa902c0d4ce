//! Several planned writes as one list of operations, and the way back from rows to writes.
//!
//! Neighbours that make, or change by id, different records of one table become one operation: the
//! store then works on a slice, however many requests the records came in. Pure.
//! Not here: planning one write ([`crate::write`]), the store's order of work (`store::writes`).
//! Invariant: every row of every operation belongs to exactly one write.

use crate::fault::{self, Shape};
use crate::rights::Access;
use crate::rights::guard::{self, About, Guarded};
use crate::write::Planned;
use model::{Catalog, Failure, Fault, MessageName, Table, Uuid};
use std::collections::HashSet;
use std::sync::Arc;
use store::writes::{Fill, Insert, Update, WriteOp};
use store::{Check, Rejection, RowKey, RowOutcome};

/// Operations, and which of their rows are whose.
#[derive(Default)]
pub(crate) struct Joined {
    pub(crate) ops: Vec<WriteOp>,
    pub(crate) writes: Vec<Joint>,
    /// What must hold before the operations, with what each is about.
    pub(crate) checks: Vec<Check>,
    pub(crate) about: Vec<About>,
    /// The records that the last operation changes.
    changed: HashSet<Uuid>,
    /// What completes rows in the end: one operation per table.
    fills: Vec<Fill>,
}

/// One write: where its rows are.
pub(crate) struct Joint {
    name: MessageName,
    /// The operation that holds its rows.
    pub(crate) op: usize,
    /// The rows of others before them.
    first: usize,
    rows: usize,
    row_of_target: Vec<usize>,
    shape: Shape,
}

impl Joined {
    /// Adds the next write.
    pub(crate) fn push(&mut self, name: MessageName, planned: Planned, guarded: Vec<Guarded>) {
        let shape = Shape::of(&planned);
        let Planned { op, target_of_row, row_of_target, refused: _, fill } = planned;
        if let Some(fill) = fill {
            // What a table's rows are completed with is the same for all of them.
            match self.fills.iter_mut().find(|known| known.table.id == fill.table.id) {
                Some(known) => known.rows.extend(fill.rows),
                None => self.fills.push(fill),
            }
        }
        let rows = target_of_row.len();
        let first = match (self.ops.last_mut(), op) {
            (Some(WriteOp::Insert(last)), WriteOp::Insert(next)) if inserts_join(last, &next) => {
                let first = last.rows.len();
                last.rows.extend(next.rows);
                first
            }
            (Some(WriteOp::Update(last)), WriteOp::Update(next))
                if updates_join(last, &next, &self.changed) =>
            {
                self.changed.extend(ids(&next));
                let first = last.rows.len();
                last.rows.extend(next.rows);
                first
            }
            (_, op) => {
                self.changed.clear();
                if let WriteOp::Update(op) = &op {
                    self.changed.extend(ids(op));
                }
                self.ops.push(op);
                0
            }
        };
        let op = self.ops.len() - 1;
        for one in guarded {
            self.guard(op, first, one);
        }
        self.writes.push(Joint { name, op, first, rows, row_of_target, shape });
    }

    /// Adds a check of a write whose rows begin at `first` in its operation.
    fn guard(&mut self, op: usize, first: usize, guarded: Guarded) {
        let Guarded { mut check, about } = guarded;
        check.op = op;
        for row in &mut check.rows {
            row.row += first;
        }
        let same = |(known, of): (&Check, &About)| {
            let tables = |check: &Check| -> Vec<_> {
                check.cascades.iter().map(|(table, _)| table.id).collect()
            };
            known.op == op
                && known.table.id == check.table.id
                && *of == about
                && tables(known) == tables(&check)
                && known.owners == check.owners
        };
        match self.checks.iter().zip(&self.about).position(same) {
            Some(place) => self.checks[place].rows.extend(check.rows),
            None => {
                self.checks.push(check);
                self.about.push(about);
            }
        }
    }
}

impl Joined {
    /// All operations, where the rows of each write are, and what must hold for them.
    pub(crate) fn finish(self) -> (Vec<WriteOp>, Vec<Joint>, Vec<Check>) {
        let Self { mut ops, writes, checks, fills, .. } = self;
        ops.extend(fills.into_iter().map(WriteOp::Fill));
        (ops, writes, checks)
    }
}

/// A bind finds only rows that were there before its operation, so a row with one stays apart.
fn inserts_join(last: &Insert, next: &Insert) -> bool {
    last.table.id == next.table.id
        && last.constants == next.constants
        && next.rows.iter().all(|row| row.binds.is_empty())
}

fn updates_join(last: &Update, next: &Update, changed: &HashSet<Uuid>) -> bool {
    let joins = |(row, id): (&store::writes::UpdateRow, &Uuid)| {
        row.key == RowKey::Id(*id) && row.binds.is_empty() && !changed.contains(id)
    };
    let next_ids: Vec<Uuid> = ids(next).collect();
    last.table.id == next.table.id
        && last.constants == next.constants
        // Which record a row by alternate key changes is not known here.
        && last.rows.iter().all(|row| matches!(row.key, RowKey::Id(_)))
        && next_ids.len() == next.rows.len()
        && next.rows.iter().zip(&next_ids).all(joins)
}

fn ids(op: &Update) -> impl Iterator<Item = Uuid> {
    op.rows.iter().filter_map(|row| match row.key {
        RowKey::Id(id) => Some(id),
        RowKey::Alternate(_) => None,
    })
}

impl Joint {
    /// The outcomes of its targets, from those of its operation.
    pub(crate) fn outcomes(&self, of_op: &[RowOutcome]) -> Vec<RowOutcome> {
        let own = &of_op[self.first..self.first + self.rows];
        let mut outcomes: Vec<_> = self.row_of_target.iter().map(|row| own[*row]).collect();
        let mut seen = 0;
        for (outcome, row) in outcomes.iter_mut().zip(&self.row_of_target) {
            // A later target that names the same record was ignored: it made nothing.
            outcome.created &= *row == seen;
            seen += usize::from(*row == seen);
        }
        outcomes
    }

    fn holds(&self, op: usize, row: usize) -> bool {
        self.op == op && (self.first..self.first + self.rows).contains(&row)
    }
}

/// What a refusal of the store is told with.
pub(crate) struct Told<'a> {
    pub(crate) access: Option<&'a Access>,
    pub(crate) catalog: &'a Catalog,
    /// What each check is about, and its place and table.
    pub(crate) checks: Vec<(usize, About, Arc<Table>)>,
}

impl<'a> Told<'a> {
    /// What a refusal of a set is told with.
    pub(crate) fn of(access: Option<&'a Access>, catalog: &'a Catalog, set: &Joined) -> Self {
        let checks = set.checks.iter().zip(&set.about);
        let checks = checks.map(|(check, about)| (check.op, *about, Arc::clone(&check.table)));
        Self { access, catalog, checks: checks.collect() }
    }
}

/// The fault of what the store refused: that of the first write with a failing row.
pub(crate) fn fault(error: store::Error, writes: &[Joint], told: &Told<'_>) -> Fault {
    let (op, rows) = match error {
        store::Error::Rejected { op, rows } => (op, rows),
        store::Error::Denied { check, rows } => return denied(check, rows, writes, told),
        error => return fault::of_engine(error),
    };
    let found = rows.first().and_then(|first| {
        writes.iter().enumerate().find(|(_, write)| write.holds(op, first.index))
    });
    let Some((place, write)) = found else {
        return fault::of_engine(store::Error::Rejected { op, rows });
    };
    let own: Vec<Rejection> = rows
        .into_iter()
        .filter(|row| write.holds(op, row.index))
        .map(|row| Rejection { index: row.index - write.first, ..row })
        .collect();
    fault::of_rejections(write.name, &write.shape, own).of_write(place)
}

/// The fault of rows that did not pass a check.
fn denied(check: usize, rows: Vec<store::Denial>, writes: &[Joint], told: &Told<'_>) -> Fault {
    let found = told.checks.get(check).zip(rows.first()).and_then(|((op, about, table), first)| {
        let write = writes.iter().enumerate().find(|(_, write)| write.holds(*op, first.row))?;
        Some((*op, *about, table, write))
    });
    let (Some((op, about, table, (place, write))), Some(access)) = (found, told.access) else {
        return fault::of_engine(store::Error::Denied { check, rows });
    };
    let own = rows.iter().filter(|row| write.holds(op, row.row)).take(fault::FAILURES_MAX);
    let mut failures: Vec<Failure> = own
        .map(|row| {
            let fault = guard::denied(access, told.catalog, (about, table), row);
            Failure {
                index: write.shape.target(row.row - write.first),
                column: None,
                id: row.id,
                code: fault.code,
                message: fault.message,
            }
        })
        .collect();
    failures.sort_by_key(|failure| failure.index);
    fault::of_failures(write.name, failures).of_write(place)
}

/// Whether any row comes before the first refused target of the last write.
pub(crate) fn has_rows_before(writes: &[Joint], refused: &[Failure]) -> bool {
    writes.len() > 1 || refused.first().is_some_and(|first| first.index > 0)
}

/// The fault of the last write, some of whose targets are refused for their values; or, where a row that
/// comes before them failed, too, the fault of that one.
///
/// `judged` is what the store said of all rows in a set that it had to refuse: their own faults, or that
/// of the operation behind them.
pub(crate) fn fault_of_values(
    judged: Option<store::Error>,
    writes: &[Joint],
    refused: Vec<Failure>,
    told: &Told<'_>,
) -> Fault {
    let (last, before) = writes.split_last().expect("refused targets are those of a write");
    let place = before.len();
    let (op, rows) = match judged {
        None => (usize::MAX, Vec::new()),
        Some(store::Error::Rejected { op, rows }) => (op, rows),
        Some(error) => return fault(error, writes, told),
    };
    if op < last.op || rows.first().is_some_and(|first| op == last.op && first.index < last.first) {
        return fault(store::Error::Rejected { op, rows }, writes, told);
    }
    let is_refused = |index: usize| refused.iter().any(|refused| refused.index == index);
    let own: Vec<Rejection> = rows
        .into_iter()
        .filter(|row| last.holds(op, row.index))
        .map(|row| Rejection { index: row.index - last.first, ..row })
        .filter(|row| !is_refused(last.shape.target(row.index)))
        .collect();
    let of_values = fault::of_failures(last.name, refused);
    if own.is_empty() {
        return of_values.of_write(place);
    }
    let of_rows = fault::of_rejections(last.name, &last.shape, own);
    fault::first_of(of_values, of_rows).of_write(place)
}
