//! What may have happened though nobody said so: lost answers, and rows that an earlier run sent.
//!
//! In: refusals of what was sent before, answers to questions about records. Out: rows end, or are sent.
//! Invariant: a row is called created only when its record is there and is its own.

use super::landing::well;
use super::{Answer, Asks, Flight, Piece, Refused, Sender, Way};
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::request::{self, Route};
use crate::retry;
use crate::rows::{Operation, Row};
use crate::transport::{Request, Response};
use crate::verdict::{self, Failing, Sent, Transient, Verdict};
use model::{Cell, ColumnKind, code};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

impl Sender<'_> {
    /// Nothing of a message was carried out, as far as this answer tells.
    pub(super) fn rejected(&mut self, piece: Piece, way: Way, refused: Refused) {
        if !(piece.is_lost && piece.operation == Operation::Create) {
            return self.refused(piece, way, refused);
        }
        // An earlier attempt may have been carried out, and then this refusal is its echo.
        let are_ours = piece.rows.iter().all(|row| row.entry().id_is_ours);
        let is_one = self.route.is_atomic || piece.rows.len() == 1;
        if are_ours && is_one {
            if refused.problem.code == Some(code::DUPLICATE_RECORD) {
                return self.end_all(&piece, Outcome::Created, None);
            }
            let asks = Asks::Exists(Box::new(refused));
            self.ready.push_front(Flight { asks, ..Flight::write(piece, way) });
            return;
        }
        self.refused(piece, way, refused);
    }

    /// A row is refused whose record may be there already, by its own doing: the record is asked.
    pub(super) fn question(
        &mut self,
        row: &Row,
        problem: &Problem,
        piece: &Piece,
        way: Way,
        asks: fn(Box<Refused>) -> Asks,
    ) {
        let piece = Piece { rows: vec![row.clone()], ..piece.fresh() };
        if self.halt.is_some() {
            return self.leave(&Piece { is_lost: true, ..piece });
        }
        let asks =
            asks(Box::new(Refused { problem: problem.clone(), failing: Vec::new(), alike: false }));
        if self.route.described.is_none() && matches!(asks, Asks::Compare(_)) {
            let text = format!(
                "{} (an answer was lost: the record may be this row's own)",
                problem.message
            );
            let problem = Problem { class: Class::Ambiguous, message: text, ..problem.clone() };
            return self.end(row, Outcome::Failed, Some(&problem), piece.attempts);
        }
        self.ready.push_front(Flight { asks, ..Flight::write(piece, way) });
    }

    /// An answer to a question.
    pub(super) fn land_question(&mut self, flight: Flight, answer: &Answer) {
        let Flight { mut piece, asks, way, .. } = flight;
        let sent = Sent { operation: Operation::Update, rows: 1, is_bulk: false };
        match verdict::judge(sent, answer) {
            Verdict::SlowDown { after, limit, problem } => {
                if self.slow_down(piece.identity, after, limit, problem) {
                    self.ready.push_front(Flight { asks, ..Flight::write(piece, way) });
                } else {
                    self.leave(&Piece { is_lost: true, ..piece });
                }
            }
            Verdict::Again { why, after, problem } | Verdict::Unknown { why, after, problem } => {
                if self.halt.is_some() {
                    return self.leave(&Piece { is_lost: true, ..piece });
                }
                match retry::wait(&mut piece.history, why, after, &mut self.dice) {
                    Some(wait) => {
                        self.tell_retry(&piece, why, wait, problem);
                        self.ask_later(piece, way, asks, wait);
                    }
                    // Given up as a write would be.
                    None => {
                        piece.is_lost = true;
                        self.wait(piece, way, Transient::Network, None, problem);
                    }
                }
            }
            verdict => match (verdict, asks, answer) {
                (Verdict::Halve(problem), asks, Ok(response)) if response.status >= 500 => {
                    let why = Transient::Busy;
                    match retry::wait(&mut piece.history, why, None, &mut self.dice) {
                        Some(wait) => {
                            self.tell_retry(&piece, why, wait, problem);
                            self.ask_later(piece, way, asks, wait);
                        }
                        None => self.wait(piece, way, why, None, problem),
                    }
                }
                (_, asks, Ok(response)) => self.settle(piece, way, asks, response),
                (_, _, Err(_)) => unreachable!("no answer is judged as passing"),
            },
        }
    }

    fn ask_later(&mut self, piece: Piece, way: Way, asks: Asks, wait: Duration) {
        self.serial += 1;
        let flight = Flight { asks, ..Flight::write(piece, way) };
        self.delayed.insert((Instant::now() + wait, self.serial), flight);
    }

    fn settle(&mut self, piece: Piece, way: Way, asks: Asks, response: &Response) {
        match asks {
            Asks::Exists(_) if response.is_success() => {
                self.end_all(&piece, Outcome::Created, None);
            }
            Asks::Exists(refused) if piece.rows.len() == 1 && !refused.alike => {
                for row in &piece.rows {
                    self.fail(row, &refused.problem, &piece);
                }
            }
            Asks::Exists(refused) => self.refused(piece, way, *refused),
            Asks::Compare(refused) => {
                let is_own =
                    piece.rows.first().is_some_and(|row| is_own(self.route, row, response));
                if is_own {
                    return self.end_all(&piece, Outcome::Created, None);
                }
                for row in &piece.rows {
                    self.fail(row, &refused.problem, &piece);
                }
            }
            Asks::Which => self.settle_which(piece, way, response),
            Asks::Write => unreachable!("a write is no question"),
        }
    }

    /// Rows that an earlier run has created have ended; the others are sent.
    fn settle_which(&mut self, piece: Piece, way: Way, response: &Response) {
        let there: HashSet<String> = match response.is_success() {
            true => ids_of(response, &self.route.primary_key),
            // A service that cannot be asked so: rows are sent, and a duplicate is recognised.
            false => HashSet::new(),
        };
        let is_there = |row: &Row| row.entry().id.is_some_and(|id| there.contains(&id.to_string()));
        let (found, missing): (Vec<Row>, Vec<Row>) =
            piece.rows.iter().cloned().partition(|row| is_there(row));
        for row in &found {
            self.end(row, well(piece.operation), None, piece.attempts.max(1));
        }
        if !missing.is_empty() {
            self.queue_like(Piece { rows: missing, ..piece.fresh() }, way);
        }
    }
}

/// The request that reads what a row wrote.
pub(super) fn read_back(route: &Route, row: &Row) -> Request {
    let Some(described) = &route.described else { return request::exists(route, row) };
    let cells = cells_of(route, row);
    let names: Vec<&str> =
        cells.iter().map(|cell| described.table.value_name(cell.column)).collect();
    request::read_back(route, row, &names)
}

/// The columns that a row's body gives.
fn cells_of(route: &Route, row: &Row) -> Vec<Cell> {
    let Some(described) = &route.described else { return Vec::new() };
    let record = wire::targets::decode_new(&row.body(), &described.table, &described.catalog);
    record.map(|record| record.target.cells).unwrap_or_default()
}

/// Whether the record that was read is what the row says.
fn is_own(route: &Route, row: &Row, response: &Response) -> bool {
    let Some(described) = &route.described else { return false };
    if !response.is_success() {
        return false;
    }
    let read = wire::record::read_one(&response.body, &described.table, &described.catalog);
    let Ok(record) = read else { return false };
    // What is kept of an image is not what was sent.
    let is_image =
        |cell: &&Cell| matches!(described.table.column(cell.column).kind, ColumnKind::Image { .. });
    cells_of(route, row).iter().filter(|cell| !is_image(cell)).all(|cell| {
        let stored = record.cells.iter().find(|stored| stored.column == cell.column);
        let column = described.table.column(cell.column);
        crate::compare::are_equal(column, &cell.value, stored.map(|stored| &stored.value))
    })
}

fn ids_of(response: &Response, primary_key: &str) -> HashSet<String> {
    let page: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let records = page.get("value").and_then(serde_json::Value::as_array);
    let ids = records.into_iter().flatten().filter_map(|record| record.get(primary_key)?.as_str());
    ids.map(str::to_lowercase).collect()
}

/// A row's own problem, as a list of one for its message.
pub(super) fn blaming(place: usize, problem: Problem) -> Failing {
    Failing { place, status: None, problem }
}
