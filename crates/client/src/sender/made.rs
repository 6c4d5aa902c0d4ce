//! New records to which the service gives ids: which ids an answer tells, and what a lost answer means.
//!
//! Source: `client.md` 10.4. Invariant: such a record is not sent again after a lost answer, unless that was asked for.

use super::{Answer, Piece, Sender, Way};
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::rows::{Row, Sent};
use crate::transport::Response;
use crate::verdict::Transient;
use model::Uuid;
use serde_json::Value;
use std::time::Duration;

impl Sender<'_> {
    /// Ends the rows of a message that went well; a message that made records tells their ids by place.
    pub(super) fn end_made(&mut self, piece: &Piece, answer: &Answer) {
        let ids = match answer {
            Ok(response) if piece.rows.iter().any(Row::is_unnamed) => {
                of_all(response, piece.rows.len())
            }
            _ => Vec::new(),
        };
        for (place, row) in piece.rows.iter().enumerate() {
            self.made = ids.get(place).copied();
            self.end(row, super::landing::well(piece.operation), None, piece.attempts);
        }
        self.made = None;
    }

    /// An answer was lost: what is known again is sent again, the other new records end.
    pub(super) fn lost(
        &mut self,
        mut piece: Piece,
        way: Way,
        why: Transient,
        after: Option<Duration>,
        problem: Problem,
    ) {
        if !self.settings.retry_ambiguous {
            let rows = std::mem::take(&mut piece.rows);
            let (unnamed, rows) = rows.into_iter().partition::<Vec<Row>, _>(Row::is_unnamed);
            piece.rows = rows;
            for row in &unnamed {
                self.end_ambiguous(row, &problem, piece.attempts);
            }
        }
        if !piece.rows.is_empty() {
            piece.is_lost = true;
            self.wait(piece, way, why, after, problem);
        }
    }

    /// An earlier part of the run may have made its record, and nothing tells.
    pub(super) fn was_made_perhaps(&self, row: &Row) -> bool {
        row.is_unnamed() && row.entry().sent == Sent::Yes && !self.settings.retry_ambiguous
    }

    /// The journal keeps such a row open, so that no later part of the run takes it for one that has certainly failed.
    pub(super) fn end_ambiguous(&mut self, row: &Row, problem: &Problem, attempts: u32) {
        let message = format!(
            "{} (the record may have been created, so it is not sent again)",
            problem.message
        );
        let problem = Problem { class: Class::Ambiguous, message, ..problem.clone() };
        self.close_row(row, Outcome::Failed, Some(&problem), attempts, false);
    }

    /// A new record without an id is refused; there is nothing to ask about.
    pub(super) fn bad_unnamed(&mut self, row: &Row, problem: &Problem, piece: &Piece) {
        if !(piece.is_lost || row.entry().sent == Sent::Yes) {
            return self.fail(row, problem, piece);
        }
        let text =
            format!("{} (an answer was lost: the record may be this row's own)", problem.message);
        let problem = Problem { class: Class::Ambiguous, message: text, ..problem.clone() };
        self.fail(row, &problem, piece);
    }
}

/// The key of the record that a body is.
pub(super) fn in_body(body: &[u8], primary_key: &str) -> Option<Uuid> {
    let record: Value = serde_json::from_slice(body).ok()?;
    Uuid::try_parse(record.get(primary_key)?.as_str()?).ok()
}

/// The record that one request made: its address stands on the head of the answer.
pub(super) fn of_one(response: &Response, primary_key: &str) -> Option<Uuid> {
    let address = response.header("odata-entityid").or_else(|| response.header("location"));
    let key = address.and_then(|address| {
        let (_, key) = address.rsplit_once('(')?;
        Uuid::try_parse(key.split_once(')')?.0).ok()
    });
    key.or_else(|| in_body(&response.body, primary_key))
}

/// The records that a message made, by place; none where it does not tell one for each row.
fn of_all(response: &Response, rows: usize) -> Vec<Uuid> {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let listed = body.get("Ids").and_then(Value::as_array);
    let ids: Vec<Uuid> =
        listed.into_iter().flatten().filter_map(|id| Uuid::try_parse(id.as_str()?).ok()).collect();
    if ids.len() == rows { ids } else { Vec::new() }
}
