//! Which sets are judged before they are written: those that must be refused, and, while many were refused lately, those
//! of many rows. To write half of such a set, to take it back and to ask then who was to blame costs more than to ask first.
//!
//! Not here: judging, which each engine does its own way.

use std::sync::atomic::{AtomicU16, Ordering};
use store::WriteOp;
use store::writes::must_be_refused;

/// A message of so many rows counts as one of many.
pub(crate) const MANY_ROWS_MIN: usize = 250;
/// Failures among the last 16 from which on that is often.
pub(crate) const OFTEN_MIN: u32 = 4;

/// How the last sixteen messages of many rows ended.
#[derive(Default)]
pub(crate) struct Refusals(AtomicU16);

impl Refusals {
    /// Whether a set is judged before it is written.
    pub(crate) fn is_judged_first(&self, ops: &[WriteOp]) -> bool {
        let are_many = || self.0.load(Ordering::Relaxed).count_ones() >= OFTEN_MIN;
        must_be_refused(ops) || counts(ops) && are_many()
    }

    /// One more set that counts has ended.
    pub(crate) fn remember(&self, refused: bool) {
        // Two at the same time may count as one: it is a guess of what comes next.
        let past = self.0.load(Ordering::Relaxed);
        self.0.store(past << 1 | u16::from(refused), Ordering::Relaxed);
    }
}

/// Whether a set counts: of many rows and of one operation, as what a second one finds depends on the first. Deletes
/// do not: what hangs on their rows is judged row by row, but deleted set by set.
pub(crate) fn counts(ops: &[WriteOp]) -> bool {
    matches!(ops, [WriteOp::Insert(_) | WriteOp::Update(_) | WriteOp::Upsert(_)])
        && row_count(ops) >= MANY_ROWS_MIN
}

/// Rows of all operations.
pub(crate) fn row_count(ops: &[WriteOp]) -> usize {
    ops.iter()
        .map(|op| match op {
            WriteOp::Insert(op) => op.rows.len(),
            WriteOp::Update(op) => op.rows.len(),
            WriteOp::Upsert(op) => op.rows.len(),
            WriteOp::Delete(op) => op.rows.len(),
            WriteOp::Fill(op) => op.rows.len(),
        })
        .sum()
}
