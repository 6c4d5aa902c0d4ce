//! A batch waits until somebody agrees that it leaves.
//!
//! Not here: who is asked (`confirm`). Invariant: one question is open at a time, and while it is nothing new is sent;
//! what was agreed to is not asked about again when it is sent again or in parts.

use super::{Asks, Flight, Halt, Sender};
use crate::confirm::{self, Question, Reply, SHOWN_MAX};
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::rows::{Row, Why};
use futures_util::future::BoxFuture;

/// A batch that somebody is asked about.
pub(super) struct Open {
    pub(super) flight: Flight,
    reply: BoxFuture<'static, Reply>,
}

/// The answer to the open question; it does not come where there is none.
pub(super) async fn reply(open: &mut Option<Open>) -> Reply {
    match open {
        Some(open) => (&mut open.reply).await,
        None => std::future::pending().await,
    }
}

impl Sender<'_> {
    /// Gives the batch back where it may leave, or asks.
    pub(super) fn consent(&mut self, flight: Flight) -> Option<Flight> {
        let Some(asker) = self.settings.confirm.as_ref().filter(|_| !self.agreed_to_all) else {
            return Some(flight);
        };
        if flight.piece.is_agreed || !matches!(flight.asks, Asks::Write) {
            return Some(flight);
        }
        // What follows the write of a row was agreed to with it.
        let rows: Vec<&Row> = flight.piece.rows.iter().filter(|row| !row.is_follow_up()).collect();
        if rows.is_empty() {
            return Some(flight);
        }
        let described = self.route.described.as_ref();
        let table = described.map_or(&self.route.set, |it| &it.table.logical_name);
        let question = Question {
            operation: flight.piece.operation,
            table: table.clone(),
            rows: rows.len(),
            first: rows.iter().take(SHOWN_MAX).map(|row| confirm::name_of(row)).collect(),
        };
        let reply = asker.ask(question);
        self.asking = Some(Open { flight, reply });
        None
    }

    /// Somebody has answered.
    pub(super) fn answered(&mut self, reply: Reply) {
        let Some(Open { mut flight, .. }) = self.asking.take() else { return };
        match reply {
            Reply::All => self.agreed_to_all = true,
            Reply::Yes => flight.piece.is_agreed = true,
            Reply::Quit => self.stop_early(Halt::Interrupted),
            Reply::No => {
                let rows = std::mem::take(&mut flight.piece.rows);
                let (kept, declined): (Vec<Row>, Vec<Row>) =
                    rows.into_iter().partition(Row::is_follow_up);
                for row in &declined {
                    self.decline(row, flight.piece.attempts);
                }
                flight.piece.is_agreed = true;
                flight.piece.rows = kept;
            }
        }
        if !flight.piece.rows.is_empty() {
            self.ready.push_front(flight);
        }
    }

    fn decline(&mut self, row: &Row, attempts: u32) {
        if row.entry().sent.is_sure() {
            let text =
                "an earlier part of the run has sent the row, and sending it again was declined";
            let problem = Problem::new(Class::Ambiguous, text);
            return self.close_row(row, Outcome::Failed, Some(&problem), attempts, false);
        }
        self.why = Some(Why::Declined);
        self.close_row(row, Outcome::Skipped, None, attempts, true);
        self.why = None;
    }
}
