//! What the sender does with an answer: ends rows, or sees to it that they are sent again.
//!
//! Invariant: after an answer every row of its piece has ended or is in exactly one queue.

use super::made;
use super::{Answer, Asks, Flight, Halt, Later, Note, Piece, Refused, Sender, Way};
use crate::bisect;
use crate::controller::{Limit, Ticket};
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::retry::{self, History};
use crate::rows::{self, Operation, Row};
use crate::verdict::{self, Failing, Sent, Transient, Verdict};
use model::code;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

impl Sender<'_> {
    pub(super) fn land(&mut self, serial: u64, answer: &Answer) {
        let flight = self.flying.remove(&serial).expect("an answer belongs to a request in flight");
        self.pool.of(flight.piece.identity).landed(flight.ticket);
        if let Some(is_busy) = self.workers.get_mut(flight.worker.wrapping_sub(1)) {
            *is_busy = false;
        }
        self.worker = Some(flight.worker);
        match flight.asks {
            Asks::Write if flight.way == Way::Batch => self.land_batch(flight, answer),
            Asks::Write => self.land_write(flight, answer),
            Asks::Exists(_) | Asks::Compare(_) | Asks::Which => self.land_question(flight, answer),
        }
        self.worker = None;
    }

    pub(super) fn land_write(&mut self, flight: Flight, answer: &Answer) {
        let Flight { piece, way, sent, ticket, .. } = flight;
        let sent_rows =
            Sent { operation: piece.operation, rows: piece.rows.len(), is_bulk: way == Way::Bulk };
        match verdict::judge(sent_rows, answer) {
            Verdict::Done => {
                self.went_well(&piece, ticket, sent);
                match piece.rows.first() {
                    Some(row) if way == Way::Single => self.end_told(row, &piece, answer),
                    _ => self.end_made(&piece, answer),
                }
            }
            Verdict::Partly(failing) => {
                self.throttled_since = None;
                self.pool.of(piece.identity).went_well(
                    ticket,
                    piece.rows.len(),
                    Instant::now() - sent,
                );
                self.partly(piece, way, failing, answer);
            }
            verdict => self.failed(piece, way, verdict),
        }
    }

    fn went_well(&mut self, piece: &Piece, ticket: Ticket, sent: Instant) {
        self.alike = None;
        self.throttled_since = None;
        // How long a file takes says nothing about messages.
        if !piece.operation.is_alone() {
            self.pool.of(piece.identity).went_well(ticket, piece.rows.len(), Instant::now() - sent);
        }
    }

    /// What is done about a message that did not go well.
    pub(super) fn failed(&mut self, piece: Piece, way: Way, verdict: Verdict) {
        if !matches!(verdict, Verdict::SlowDown { .. }) {
            self.throttled_since = None;
        }
        match verdict {
            Verdict::Done | Verdict::Partly(_) => unreachable!("the callers take these"),
            Verdict::Halve(problem) | Verdict::TooBig(problem) => self.halve(piece, way, problem),
            Verdict::SlowDown { after, limit, problem } => {
                if self.slow_down(piece.identity, after, limit, problem) {
                    self.ready.push_front(Flight::write(piece, way));
                } else {
                    self.leave(&piece);
                }
            }
            Verdict::Again { why, after, problem } => self.wait(piece, way, why, after, problem),
            Verdict::Unknown { why, after, problem } => {
                self.lost(piece, way, why, after, problem);
            }
            Verdict::Rejected { problem, failing, alike } => {
                let refused = Refused { problem, failing, alike };
                self.rejected(piece, way, refused);
            }
            Verdict::Unavailable(problem) if self.settings.no_fallback => {
                self.end_all(&piece, Outcome::Failed, Some(&problem));
            }
            Verdict::Unavailable(_) => {
                self.settings.has_bulk[piece.operation as usize] = false;
                self.queue(piece);
            }
            Verdict::Stop(problem) => {
                self.end_all(&piece, Outcome::Failed, Some(&problem));
                self.stop_early(Halt::Refused(problem));
            }
        }
    }

    /// An identity pauses; false when everybody does and it has gone on for too long.
    pub(super) fn slow_down(
        &mut self,
        identity: usize,
        after: Option<Duration>,
        limit: Limit,
        problem: Problem,
    ) -> bool {
        let now = Instant::now();
        self.used[identity].throttles += 1;
        self.pool.of(identity).throttled(now.into_std(), after, limit);
        let since = *self.throttled_since.get_or_insert(now);
        let wait = after.unwrap_or(crate::controller::PAUSE_UNSAID);
        let name = self.used[identity].name.clone();
        self.note(Note::Throttled { name, wait, problem: problem.clone() });
        let until = self.pool.paused_until(now.into_std()).map_or(now, Instant::from_std);
        let is_too_long = self.settings.throttle_max.is_some_and(|most| until > since + most);
        if is_too_long {
            self.stop_early(Halt::Unreachable(problem));
        }
        !is_too_long
    }

    pub(super) fn end_all(&mut self, piece: &Piece, outcome: Outcome, problem: Option<&Problem>) {
        for row in &piece.rows {
            self.end(row, outcome, problem, piece.attempts);
        }
    }

    /// Ends a row whose own answer may tell which record it is, and whether it was created.
    pub(super) fn end_told(&mut self, row: &Row, piece: &Piece, answer: &Answer) {
        let outcome = match (row.operation(), answer) {
            // The answer to a repeat speaks of the repeat.
            (Operation::Upsert, Ok(response)) if self.route.tells_created && !piece.is_lost => {
                self.made = made::in_body(&response.body, &self.route.primary_key);
                match response.status {
                    201 => Outcome::Created,
                    200 => Outcome::Updated,
                    _ => Outcome::Written,
                }
            }
            (operation, Ok(response)) if row.is_unnamed() => {
                self.made = made::of_one(response, &self.route.primary_key);
                well(operation)
            }
            (operation, _) => well(operation),
        };
        self.end(row, outcome, None, piece.attempts);
        self.made = None;
    }

    /// Ends a row as failed, unless it has an extra attempt left.
    pub(super) fn fail(&mut self, row: &Row, problem: &Problem, piece: &Piece) {
        let used = self.extra.get(&row.entry().ordinal).copied().unwrap_or(0);
        if self.halt.is_some() || used >= self.settings.retries || !problem.class.may_be_retried() {
            self.end(row, Outcome::Failed, Some(problem), piece.attempts);
            return;
        }
        self.extra.insert(row.entry().ordinal, used + 1);
        let wait = retry::wait_extra(self.settings.initial_retry_delay, used + 1, &mut self.dice);
        self.serial += 1;
        self.note(Note::Retry {
            ordinal: row.entry().ordinal,
            rows: 1,
            worker: self.worker,
            wait,
            attempt: used + 1,
            attempts_max: self.settings.retries,
            problem: problem.clone(),
        });
        let later = Later {
            row: row.clone(),
            is_lost: piece.is_lost,
            problem: problem.clone(),
            attempts: piece.attempts,
        };
        self.later.insert((Instant::now() + wait, self.serial), later);
    }

    /// Sends a piece again after a while, or gives up.
    pub(super) fn wait(
        &mut self,
        mut piece: Piece,
        way: Way,
        why: Transient,
        after: Option<Duration>,
        problem: Problem,
    ) {
        if self.halt.is_some() {
            return self.leave(&piece);
        }
        if let Some(wait) = retry::wait(&mut piece.history, why, after, &mut self.dice) {
            self.tell_retry(&piece, why, wait, problem);
            self.serial += 1;
            let flight = Flight::write(piece, way);
            self.delayed.insert((Instant::now() + wait, self.serial), flight);
            return;
        }
        match why {
            Transient::Deadlock | Transient::SetUp | Transient::ConcurrentResult => {
                self.pool.of(piece.identity).narrow(Instant::now().into_std());
                piece.history = History::default();
                let refused = Refused { problem, failing: Vec::new(), alike: false };
                self.refused(piece, way, refused);
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

    /// Says that a piece waits.
    pub(super) fn tell_retry(
        &mut self,
        piece: &Piece,
        why: Transient,
        wait: Duration,
        problem: Problem,
    ) {
        let (attempt, attempts_max) = piece.history.attempts(why);
        self.note(Note::Retry {
            ordinal: piece.rows.first().map_or(0, |row| row.entry().ordinal),
            rows: piece.rows.len(),
            worker: self.worker,
            wait,
            attempt,
            attempts_max,
            problem,
        });
    }

    fn halve(&mut self, piece: Piece, way: Way, problem: Problem) {
        if piece.rows.len() == 1 {
            let refused = Refused { problem, failing: Vec::new(), alike: false };
            return self.rejected(piece, way, refused);
        }
        self.pool.was_too_much(piece.rows.len());
        self.split(piece, way, |rows| rows / 2);
    }

    fn split(&mut self, mut piece: Piece, way: Way, at: impl Fn(usize) -> usize) {
        self.splits += 1;
        self.note(Note::Split(piece.rows.len()));
        let right = piece.rows.split_off(at(piece.rows.len()));
        let right = Piece { rows: right, ..piece.fresh() };
        let left = Piece { rows: std::mem::take(&mut piece.rows), ..piece.fresh() };
        self.queue_like(left, way);
        self.queue_like(right, way);
    }

    /// Nothing of a message was carried out.
    pub(super) fn refused(&mut self, mut piece: Piece, way: Way, refused: Refused) {
        let Refused { problem, failing, alike } = refused;
        if alike {
            let rows = std::mem::take(&mut piece.rows);
            for row in &rows {
                self.fail(row, &problem, &piece);
            }
            if self.alike == Some(problem.code) && !self.settings.keep_going {
                self.stop_early(Halt::Refused(problem));
            } else {
                self.alike = Some(problem.code);
            }
            return;
        }
        if self.halt.is_some() && piece.rows.len() > 1 && failing.is_empty() {
            return self.leave(&Piece { is_lost: false, ..piece });
        }
        if self.settings.no_fallback && way == Way::Bulk {
            let rows = std::mem::take(&mut piece.rows);
            for (place, row) in rows.iter().enumerate() {
                let own = failing.iter().find(|item| item.place == place);
                self.bad_row(row, own.map_or(&problem, |item| &item.problem), &piece, way);
            }
            return;
        }
        let blamed: Vec<usize> = failing.iter().map(|item| item.place).collect();
        match bisect::plan(piece.rows.len(), &blamed) {
            bisect::Plan::Halves { middle } => self.split(piece, way, |_| middle),
            bisect::Plan::SetAside { bad } => {
                let count = u32::try_from(bad.len()).unwrap_or(u32::MAX);
                // A service that names all of them at once needs no other way.
                let count = if count > 1 { 0 } else { count };
                piece.bad.fetch_add(count, Ordering::Relaxed);
                let mut rest = Vec::new();
                let rows = std::mem::take(&mut piece.rows);
                for (place, row) in rows.into_iter().enumerate() {
                    if bad.binary_search(&place).is_err() {
                        rest.push(row);
                        continue;
                    }
                    let own = failing.iter().find(|item| item.place == place);
                    let own = own.map_or(&problem, |item| &item.problem).clone();
                    self.bad_row(&row, &own, &piece, way);
                }
                if !rest.is_empty() {
                    self.queue_like(Piece { rows: rest, ..piece.fresh() }, way);
                }
            }
        }
    }

    /// One row that the service refuses.
    pub(super) fn bad_row(&mut self, row: &Row, problem: &Problem, piece: &Piece, way: Way) {
        let was_lost = piece.is_lost || row.entry().sent.is_sure();
        let is_absent = problem.class == Class::Absent;
        let is_end = matches!(row.operation(), Operation::Delete | Operation::Disassociate);
        if is_end && is_absent {
            if was_lost {
                return self.end(row, Outcome::Deleted, None, piece.attempts);
            }
            let is_second = row.entry().mark.is_some_and(|mark| self.removed.contains(&mark));
            if self.route.if_exists || is_second {
                return self.end(row, Outcome::Absent, None, piece.attempts);
            }
        }
        let is_duplicate = problem.code == Some(code::DUPLICATE_RECORD);
        if row.operation() == Operation::Associate && is_duplicate {
            let outcome = if was_lost { Outcome::Created } else { Outcome::Unchanged };
            return self.end(row, outcome, None, piece.attempts);
        }
        if row.is_unnamed() {
            return self.bad_unnamed(row, problem, piece);
        }
        if row.operation() == Operation::Create {
            let may_be_there = was_lost || row.entry().sent == rows::Sent::Perhaps;
            match (row.entry().id_is_ours, may_be_there, is_duplicate) {
                (true, true, true) if was_lost => {
                    return self.end(row, Outcome::Created, None, piece.attempts);
                }
                // The refusal may be an echo of what was carried out; the record itself tells.
                (true, true, _) | (true, false, true) => {
                    return self.question(row, problem, piece, way, Asks::Exists);
                }
                (false, true, _) => return self.question(row, problem, piece, way, Asks::Compare),
                (true | false, false, _) => {}
            }
        }
        self.fail(row, problem, piece);
    }

    /// Elastic tables: the rows that are not named ended well.
    fn partly(&mut self, mut piece: Piece, way: Way, failing: Vec<Failing>, answer: &Answer) {
        self.alike = None;
        let rows = std::mem::take(&mut piece.rows);
        let made = match answer {
            Ok(response) if rows.iter().any(Row::is_unnamed) => verdict::elastic_ids(response),
            _ => BTreeMap::new(),
        };
        let mut busy = Vec::new();
        let mut busy_problem = None;
        for (place, row) in rows.into_iter().enumerate() {
            let Some(item) = failing.iter().find(|item| item.place == place) else {
                self.made = made.get(&place).copied();
                self.end(&row, well(piece.operation), None, piece.attempts);
                self.made = None;
                continue;
            };
            if matches!(item.status, Some(429 | 503)) {
                busy.push(row);
                busy_problem = Some(item.problem.clone());
            } else {
                self.bad_row(&row, &item.problem, &piece, way);
            }
        }
        if let Some(problem) = busy_problem {
            piece.rows = busy;
            self.wait(piece, way, Transient::Busy, None, problem);
        }
    }

    pub(super) fn queue_like(&mut self, piece: Piece, way: Way) {
        let has_bulk = self.has_bulk(piece.operation, &piece.rows);
        match way {
            Way::Bulk if has_bulk => self.ready.push_back(Flight::write(piece, way)),
            Way::Batch if piece.rows.len() > 1 => self.ready.push_back(Flight::write(piece, way)),
            Way::Batch | Way::Single if piece.rows.len() == 1 => {
                self.ready.push_back(Flight::write(piece, Way::Single));
            }
            _ => self.queue(piece),
        }
    }
}

impl Piece {
    /// The same piece before its first attempt and without rows; only what must not be forgotten.
    pub(super) fn fresh(&self) -> Self {
        Self {
            operation: self.operation,
            rows: Vec::new(),
            history: History::default(),
            is_lost: self.is_lost,
            attempts: self.attempts,
            bad: Arc::clone(&self.bad),
            identity: self.identity,
            is_agreed: self.is_agreed,
        }
    }
}

/// How a row ends when all went well.
pub(super) fn well(operation: Operation) -> Outcome {
    match operation {
        Operation::Create | Operation::Associate => Outcome::Created,
        Operation::Update | Operation::Upload => Outcome::Updated,
        Operation::Upsert => Outcome::Written,
        Operation::Delete | Operation::Disassociate => Outcome::Deleted,
    }
}
