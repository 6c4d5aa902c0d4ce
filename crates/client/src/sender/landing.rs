//! What the sender does with an answer: ends rows, or sees to it that they are sent again.
//!
//! Invariant: after an answer every row of its piece has ended or is in exactly one queue.

use super::{Answer, Asks, Flight, Halt, Later, Piece, Refused, Sender};
use crate::bisect;
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::retry::{self, History};
use crate::rows::{Operation, Row};
use crate::verdict::{self, Failing, Sent, Transient, Verdict};
use model::code;
use std::time::Duration;
use tokio::time::Instant;

impl Sender<'_> {
    pub(super) fn land(&mut self, serial: u64, answer: &Answer) {
        let now = Instant::now();
        let Flight { mut piece, asks, is_bulk, sent } =
            self.flying.remove(&serial).expect("an answer belongs to a request in flight");
        let sent_rows = Sent { operation: piece.operation, rows: piece.rows.len(), is_bulk };
        if let Asks::Exists(refused) = asks {
            return self.settle(piece, is_bulk, *refused, answer);
        }
        match verdict::judge(sent_rows, answer) {
            Verdict::Done => {
                self.alike = None;
                self.control.went_well(piece.rows.len(), now - sent);
                self.end_all(&piece, well(piece.operation), None);
            }
            Verdict::Partly(failing) => self.partly(piece, is_bulk, failing),
            Verdict::Halve(problem) | Verdict::TooBig(problem) => {
                self.halve(piece, is_bulk, problem)
            }
            Verdict::SlowDown { after, narrower, .. } => {
                self.control.throttled(now.into_std(), after, narrower);
                self.ready.push_front(Flight { piece, asks: Asks::Write, is_bulk, sent });
            }
            Verdict::Again { why, after, problem } => {
                self.wait(piece, is_bulk, why, after, problem);
            }
            Verdict::Unknown { why, after, problem } => {
                piece.is_lost = true;
                self.wait(piece, is_bulk, why, after, problem);
            }
            Verdict::Rejected { problem, failing, alike } => {
                let refused = Refused { problem, failing, alike };
                self.rejected(piece, is_bulk, refused);
            }
            Verdict::Unavailable(_) => {
                self.has_bulk = false;
                self.queue(piece);
            }
            Verdict::Stop(problem) => {
                self.end_all(&piece, Outcome::Failed, Some(&problem));
                self.stop_early(Halt::Refused(problem));
            }
        }
    }

    fn end_all(&mut self, piece: &Piece, outcome: Outcome, problem: Option<&Problem>) {
        for row in &piece.rows {
            self.end(row, outcome, problem, piece.attempts);
        }
    }

    /// Ends a row as failed, unless it has an extra attempt left.
    fn fail(&mut self, row: &Row, problem: &Problem, piece: &Piece) {
        let used = self.extra.get(&row.entry().ordinal).copied().unwrap_or(0);
        if self.halt.is_some() || used >= self.settings.retries || !problem.class.may_be_retried() {
            self.end(row, Outcome::Failed, Some(problem), piece.attempts);
            return;
        }
        self.extra.insert(row.entry().ordinal, used + 1);
        let wait = retry::wait_extra(self.settings.initial_retry_delay, used + 1, &mut self.dice);
        self.serial += 1;
        let later = Later {
            row: row.clone(),
            is_lost: piece.is_lost,
            problem: problem.clone(),
            attempts: piece.attempts,
        };
        self.later.insert((Instant::now() + wait, self.serial), later);
    }

    /// Sends a piece again after a while, or gives up.
    fn wait(
        &mut self,
        mut piece: Piece,
        is_bulk: bool,
        why: Transient,
        after: Option<Duration>,
        problem: Problem,
    ) {
        if self.halt.is_some() {
            return self.leave(&piece);
        }
        if let Some(wait) = retry::wait(&mut piece.history, why, after, &mut self.dice) {
            self.serial += 1;
            let flight = Flight::write(piece, is_bulk);
            self.delayed.insert((Instant::now() + wait, self.serial), flight);
            return;
        }
        match why {
            Transient::Deadlock | Transient::SetUp | Transient::ConcurrentResult => {
                self.control.narrow();
                piece.history = History::default();
                let refused = Refused { problem, failing: Vec::new(), alike: false };
                self.refused(piece, is_bulk, refused);
            }
            Transient::Busy | Transient::Network => {
                let problem = if piece.is_lost {
                    Problem {
                        class: Class::Ambiguous,
                        message: format!("{} (the rows may have been written)", problem.message),
                        ..problem
                    }
                } else {
                    problem
                };
                let rows = std::mem::take(&mut piece.rows);
                for row in &rows {
                    self.fail(row, &problem, &piece);
                }
                if self.settings.retries == 0 {
                    self.stop_early(Halt::Unreachable(problem));
                }
            }
        }
    }

    fn halve(&mut self, piece: Piece, is_bulk: bool, problem: Problem) {
        if piece.rows.len() == 1 {
            let refused = Refused { problem, failing: Vec::new(), alike: false };
            return self.rejected(piece, is_bulk, refused);
        }
        self.control.was_too_much(piece.rows.len());
        self.split(piece, |rows| rows / 2);
    }

    fn split(&mut self, mut piece: Piece, at: impl Fn(usize) -> usize) {
        let right = piece.rows.split_off(at(piece.rows.len()));
        let right = Piece { rows: right, ..piece.fresh() };
        let left = Piece { rows: std::mem::take(&mut piece.rows), ..piece.fresh() };
        self.queue(left);
        self.queue(right);
    }

    /// Nothing of a message was carried out, as far as this answer tells.
    fn rejected(&mut self, piece: Piece, is_bulk: bool, refused: Refused) {
        if !(piece.is_lost && piece.operation == Operation::Create) {
            return self.refused(piece, is_bulk, refused);
        }
        // An earlier attempt may have been carried out, and then this refusal is its echo.
        let are_ours = piece.rows.iter().all(|row| row.entry().id_is_ours);
        let is_duplicate = refused.problem.code == Some(code::DUPLICATE_RECORD);
        let is_one = self.route.is_atomic || piece.rows.len() == 1;
        if are_ours && is_one {
            if is_duplicate {
                return self.end_all(&piece, Outcome::Created, None);
            }
            let asks = Asks::Exists(Box::new(refused));
            self.ready.push_front(Flight { piece, asks, is_bulk, sent: Instant::now() });
            return;
        }
        if is_duplicate && is_one {
            let problem = Problem {
                class: Class::Ambiguous,
                message: format!(
                    "{} (an answer was lost: the record may be this row's own)",
                    refused.problem.message
                ),
                ..refused.problem
            };
            return self.end_all(&piece, Outcome::Failed, Some(&problem));
        }
        self.refused(piece, is_bulk, refused);
    }

    /// Whether the rows of a refused message exist after all.
    fn settle(&mut self, piece: Piece, is_bulk: bool, refused: Refused, answer: &Answer) {
        match answer {
            Ok(response) if response.is_success() => {
                self.end_all(&piece, Outcome::Created, None);
            }
            Ok(response) if response.status == 404 => self.refused(piece, is_bulk, refused),
            // Not settled: the message is sent again and, refused again, asked about again.
            Ok(response) if response.status == 429 => {
                let now = Instant::now();
                self.control.throttled(now.into_std(), None, false);
                let asks = Asks::Exists(Box::new(refused));
                self.ready.push_front(Flight { piece, asks, is_bulk, sent: now });
            }
            Ok(_) | Err(_) => {
                self.wait(piece, is_bulk, Transient::Network, None, refused.problem);
            }
        }
    }

    /// Nothing of a message was carried out.
    fn refused(&mut self, mut piece: Piece, is_bulk: bool, refused: Refused) {
        let Refused { problem, failing, alike } = refused;
        if alike {
            let rows = std::mem::take(&mut piece.rows);
            for row in &rows {
                self.fail(row, &problem, &piece);
            }
            if self.alike == Some(problem.code) {
                self.stop_early(Halt::Refused(problem));
            } else {
                self.alike = Some(problem.code);
            }
            return;
        }
        if self.halt.is_some() && piece.rows.len() > 1 && failing.is_empty() {
            return self.leave(&Piece { is_lost: false, ..piece });
        }
        let blamed: Vec<usize> = failing.iter().map(|item| item.place).collect();
        match bisect::plan(piece.rows.len(), &blamed) {
            bisect::Plan::Halves { middle } => self.split(piece, |_| middle),
            bisect::Plan::SetAside { bad } => {
                let mut rest = Vec::new();
                let rows = std::mem::take(&mut piece.rows);
                for (place, row) in rows.into_iter().enumerate() {
                    if bad.binary_search(&place).is_err() {
                        rest.push(row);
                        continue;
                    }
                    let own = failing.iter().find(|item| item.place == place);
                    let own = own.map_or(&problem, |item| &item.problem).clone();
                    self.bad_row(&row, &own, &piece);
                }
                if !rest.is_empty() {
                    self.queue_like(Piece { rows: rest, ..piece.fresh() }, is_bulk);
                }
            }
        }
    }

    /// One row that the service refuses.
    fn bad_row(&mut self, row: &Row, problem: &Problem, piece: &Piece) {
        if piece.operation == Operation::Delete && problem.class == Class::Absent {
            if piece.is_lost {
                return self.end(row, Outcome::Deleted, None, piece.attempts);
            }
            if self.route.if_exists {
                return self.end(row, Outcome::Absent, None, piece.attempts);
            }
        }
        self.fail(row, problem, piece);
    }

    /// Elastic tables: the rows that are not named ended well.
    fn partly(&mut self, mut piece: Piece, is_bulk: bool, failing: Vec<Failing>) {
        self.alike = None;
        let rows = std::mem::take(&mut piece.rows);
        let mut busy = Vec::new();
        let mut busy_problem = None;
        for (place, row) in rows.into_iter().enumerate() {
            let Some(item) = failing.iter().find(|item| item.place == place) else {
                self.end(&row, well(piece.operation), None, piece.attempts);
                continue;
            };
            let is_echo = piece.is_lost
                && piece.operation == Operation::Create
                && row.entry().id_is_ours
                && item.status == Some(409);
            if is_echo {
                self.end(&row, Outcome::Created, None, piece.attempts);
            } else if matches!(item.status, Some(429 | 503)) {
                busy.push(row);
                busy_problem = Some(item.problem.clone());
            } else {
                self.bad_row(&row, &item.problem, &piece);
            }
        }
        if let Some(problem) = busy_problem {
            piece.rows = busy;
            self.wait(piece, is_bulk, Transient::Busy, None, problem);
        }
    }

    fn queue_like(&mut self, piece: Piece, is_bulk: bool) {
        if is_bulk && self.has_bulk {
            self.ready.push_back(Flight::write(piece, true));
        } else {
            self.queue(piece);
        }
    }
}

impl Piece {
    /// The same piece before its first attempt and without rows; only what must not be forgotten.
    fn fresh(&self) -> Self {
        Self {
            operation: self.operation,
            rows: Vec::new(),
            history: History::default(),
            is_lost: self.is_lost,
            attempts: self.attempts,
        }
    }
}

/// How a row ends when all went well.
fn well(operation: Operation) -> Outcome {
    match operation {
        Operation::Create => Outcome::Created,
        Operation::Update => Outcome::Updated,
        Operation::Upsert => Outcome::Written,
        Operation::Delete => Outcome::Deleted,
    }
}
