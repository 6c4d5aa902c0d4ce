//! Rows end here, and so does the run: the accounts are closed.
//!
//! Invariant: whatever stops a run, each of its rows has ended once it is over.

use super::{Event, Halt, Piece, REMOVED_MAX, Sender, Summary, landing};
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::rows::{Block, Row};
use tokio::sync::mpsc;
use tokio::time::Instant;

impl Sender<'_> {
    /// Ends a row, or goes on to what follows its write.
    pub(super) fn end(
        &mut self,
        row: &Row,
        outcome: Outcome,
        problem: Option<&Problem>,
        attempts: u32,
    ) {
        // What follows is for the record that the answer named.
        let named = self.made.filter(|_| row.is_unnamed()).map(|id| row.made_as(id));
        let row = named.as_ref().unwrap_or(row);
        if problem.is_none()
            && outcome != Outcome::NotAttempted
            && !self.settings.what_if
            && let Some(next) = row.follow_up()
        {
            if next.is_unnamed() {
                let text = "the record was created, but the answer does not tell its id, so that what follows was not sent";
                let problem = Problem::new(Class::Ambiguous, text);
                return self.close_row(&next, Outcome::Failed, Some(&problem), attempts, true);
            }
            match &self.halt {
                None => return self.planner.push_follow_up(next, self.bounds()),
                Some(_) => {
                    let problem = Problem::new(
                        Class::Ambiguous,
                        "the record was written, and the run stopped before what follows",
                    );
                    return self.close_row(&next, Outcome::Failed, Some(&problem), attempts, false);
                }
            }
        }
        let outcome = match (row.is_follow_up(), outcome) {
            // The row ends as its own write did.
            (true, Outcome::Updated) => landing::well(row.entry().operation),
            _ => outcome,
        };
        self.close_row(row, outcome, problem, attempts, true);
    }

    pub(super) fn close_row(
        &mut self,
        row: &Row,
        outcome: Outcome,
        problem: Option<&Problem>,
        attempts: u32,
        is_final: bool,
    ) {
        let entry = row.entry();
        self.counts.close(outcome);
        self.extra.remove(&entry.ordinal);
        if let (Outcome::Deleted, Some(mark)) = (outcome, entry.mark)
            && self.removed.len() < REMOVED_MAX
        {
            self.removed.insert(mark);
        }
        let is_partial = row.is_follow_up() && outcome == Outcome::Failed;
        // Such a row, were it sent again as a whole, would make a second record.
        let is_final = is_final && !(is_partial && row.is_named_by_service());
        if is_final
            && outcome != Outcome::NotAttempted
            && let Some(log) = &mut self.log
        {
            log.ended(entry.ordinal, outcome, entry.parts);
        }
        let (why, id) = (self.why.or(entry.why), self.made.or(row.id()));
        (self.observe)(Event::Ended {
            row,
            outcome,
            problem,
            why,
            attempts,
            is_partial,
            id,
            worker: self.worker,
        });
        self.planner.ended(row, self.bounds());
        if self.settings.errors_max.is_some_and(|most| most.is_passed(&self.counts)) {
            self.stop_early(Halt::TooManyErrors);
        }
    }

    pub(super) fn stop_early(&mut self, halt: Halt) {
        if self.halt.is_none() {
            self.halt = Some(halt);
            self.halted_at = Some(Instant::now());
        }
    }

    /// After a stop: ends whatever is not in flight.
    pub(super) fn give_back(&mut self, blocks: &mut mpsc::Receiver<Block>) {
        blocks.close();
        while let Ok(block) = blocks.try_recv() {
            self.take_in(block);
        }
        for row in self.planner.drain() {
            self.leave(&Piece::of(row.operation(), vec![row]));
        }
        let delayed = std::mem::take(&mut self.delayed).into_values();
        let asked = self.asking.take().map(|open| open.flight);
        let flights: Vec<_> = self.ready.drain(..).chain(delayed).chain(asked).collect();
        for flight in flights {
            self.leave(&flight.piece);
        }
        for later in std::mem::take(&mut self.later).into_values() {
            self.end(&later.row, Outcome::Failed, Some(&later.problem), later.attempts);
        }
    }

    /// Ends the rows of a piece that is not sent any more.
    pub(super) fn leave(&mut self, piece: &Piece) {
        for row in &piece.rows {
            if piece.is_lost || row.is_follow_up() || row.entry().sent.is_sure() {
                let problem = Problem::new(
                    Class::Ambiguous,
                    "the answer was lost and the run stopped before it could be settled",
                );
                // The journal keeps it open: the next part of the run settles it.
                self.close_row(row, Outcome::Failed, Some(&problem), piece.attempts, false);
            } else {
                self.end(row, Outcome::NotAttempted, None, piece.attempts);
            }
        }
    }

    /// Closes the accounts.
    pub(super) fn close(mut self) -> Summary {
        for flight in std::mem::take(&mut self.flying).into_values() {
            self.leave(&Piece { is_lost: true, ..flight.piece });
        }
        self.keep_journal();
        debug_assert_eq!(self.counts.open(), 0, "every row has ended");
        self.tell_status(0);
        Summary {
            counts: self.counts,
            halt: self.halt,
            requests: self.requests.load(std::sync::atomic::Ordering::Relaxed),
            in_flight_most: self.in_flight_most,
            splits: self.splits,
            detours: self.detours,
            point: self.pool.base(),
            identities: self.used,
        }
    }
}
