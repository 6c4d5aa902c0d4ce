//! What is sent next: requests are put together and leave, as many as may be in flight.
//!
//! Invariant: with a journal, nothing leaves before the journal says so; where somebody is asked, nothing before a yes.

use super::settle;
use super::{
    Answer, Asks, Flight, Flights, LINGER, Later, Note, Piece, Sender, WHICH_ROWS_MAX, Way,
};
use crate::files;
use crate::planner::Chunk;
use crate::request;
use crate::rows::{Operation, Row};
use crate::transport::Request;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

impl<'a> Sender<'a> {
    /// Sends what may be sent now.
    pub(super) fn launch(&mut self, now: Instant, input_open: bool, flights: &mut Flights<'a>) {
        self.wake(now);
        self.pool.look(now.into_std());
        let bounds = self.bounds();
        // What was cut for much smaller messages would be sent in as many of them.
        if bounds.rows_max >= 2 * self.planned && self.planned > 0 {
            self.planner.regroup(bounds);
        }
        self.planned = bounds.rows_max;
        while self.asking.is_none()
            && self.settings.in_flight_max.is_none_or(|most| self.flying.len() < most)
            && let Some(identity) = self.pool.pick()
        {
            if !self.prepare(now, input_open && self.has_room()) {
                break;
            }
            let Some(flight) = self.ready.pop_front() else { break };
            let Some(mut flight) = self.consent(flight) else { break };
            self.gather(&mut flight);
            if let Some(log) = &mut self.log {
                flight.piece.rows.iter().for_each(|row| log.sent(row.entry().ordinal));
            }
            if !self.keep_journal() {
                self.ready.push_front(flight);
                break;
            }
            flights.push(self.send(flight, identity, now));
            self.in_flight_most = self.in_flight_most.max(flights.len());
        }
    }

    /// When many rows of a message turned out bad, what is left of it travels in one `$batch`.
    pub(super) fn gather(&mut self, flight: &mut Flight) {
        let is_bulk = flight.way == Way::Bulk && matches!(flight.asks, Asks::Write);
        let bad = &flight.piece.bad;
        if !is_bulk || bad.load(Ordering::Relaxed) < self.settings.bisect_limit {
            return;
        }
        let bad = Arc::clone(bad);
        let is_unnamed = flight.piece.rows.iter().any(Row::is_unnamed);
        let mut rest = VecDeque::with_capacity(self.ready.len());
        for mut other in self.ready.drain(..) {
            let is_of_same = Arc::ptr_eq(&other.piece.bad, &bad)
                && other.way == Way::Bulk
                && matches!(other.asks, Asks::Write)
                && (flight.piece.is_lost == other.piece.is_lost || !is_unnamed)
                && flight.piece.rows.len() + other.piece.rows.len() <= crate::controller::SIZE_MAX;
            if is_of_same {
                flight.piece.rows.append(&mut other.piece.rows);
                flight.piece.is_lost |= other.piece.is_lost;
            } else {
                rest.push_back(other);
            }
        }
        self.ready = rest;
        self.detours += 1;
        self.note(Note::Detour(flight.piece.rows.len()));
        flight.way = if flight.piece.rows.len() > 1 { Way::Batch } else { Way::Single };
    }

    /// Sees to it that something is ready, if anything can be.
    pub(super) fn prepare(&mut self, now: Instant, more_comes: bool) -> bool {
        if !self.ready.is_empty() {
            return true;
        }
        if self.planner.full() == 0 && self.planner.open() > 0 {
            let since = *self.open_since.get_or_insert(now);
            if !more_comes || now >= since + LINGER {
                self.planner.flush();
            }
        }
        if self.planner.open() == 0 {
            self.open_since = None;
        }
        match self.planner.take_chunk() {
            Some(Chunk { operation, rows }) => {
                // What an earlier run may have created is asked about first.
                let (unsure, sure): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| {
                    let entry = row.entry();
                    entry.sent.is_sure() && entry.id_is_ours && row.operation() == Operation::Create
                });
                for rows in unsure.chunks(WHICH_ROWS_MAX) {
                    let piece = Piece::of(operation, rows.to_vec());
                    let way = self.way(operation, rows);
                    self.ready.push_back(Flight { asks: Asks::Which, ..Flight::write(piece, way) });
                }
                if !sure.is_empty() {
                    self.queue(Piece::of(operation, sure));
                }
                true
            }
            None => false,
        }
    }

    /// Puts a piece behind those that are ready.
    pub(super) fn queue(&mut self, piece: Piece) {
        let way = self.way(piece.operation, &piece.rows);
        self.ready.push_back(Flight::write(piece, way));
    }

    pub(super) fn send(
        &mut self,
        mut flight: Flight,
        identity: usize,
        now: Instant,
    ) -> BoxFuture<'a, (u64, Answer)> {
        let piece = &mut flight.piece;
        let first = piece.rows.first().expect("a piece has at least one row");
        piece.identity = identity;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.used[identity].requests += 1;
        self.serial += 1;
        let file = match flight.asks {
            Asks::Write if first.operation() == Operation::Upload => Some(first.clone()),
            _ => None,
        };
        let request = match (&flight.asks, flight.way) {
            (Asks::Exists(_), _) => request::exists(self.route, first),
            (Asks::Compare(_), _) => settle::read_back(self.route, first),
            (Asks::Which, _) => {
                let ids: Vec<_> = piece.rows.iter().filter_map(|row| row.entry().id).collect();
                request::which(self.route, &ids)
            }
            (Asks::Write, _) if file.is_some() => Request::get(""),
            (Asks::Write, Way::Bulk) => request::bulk(self.route, piece.operation, &piece.rows),
            (Asks::Write, Way::Single) => request::single(self.route, first),
            (Asks::Write, Way::Batch) => {
                let boundary = format!("batch_{:016x}_{}", self.settings.random, self.serial);
                // Text of a row may look like the boundary.
                let tried = (0..8).find_map(|number| {
                    request::in_batch(self.route, &piece.rows, &format!("{boundary}_{number}"))
                });
                match tried {
                    Some(request) => request,
                    // Like all of them: its message as a whole is sent instead.
                    None => {
                        flight.way = Way::Bulk;
                        request::bulk(self.route, piece.operation, &piece.rows)
                    }
                }
            }
        };
        if matches!(flight.asks, Asks::Write) {
            piece.attempts += 1;
        }
        flight.sent = now;
        flight.worker = self.employ();
        let counts = matches!(flight.asks, Asks::Write) && !flight.piece.operation.is_alone();
        let rows = if counts { flight.piece.rows.len() } else { 0 };
        flight.ticket = self.pool.of(identity).launched(now.into_std(), rows);
        let (serial, transport) = (self.serial, self.transport);
        self.flying.insert(serial, flight);
        let (route, requests) = (self.route, Arc::clone(&self.requests));
        Box::pin(async move {
            let answer = match file {
                Some(row) => files::send(transport, identity, route, &row, &requests).await,
                None => transport.send_as(identity, request).await,
            };
            (serial, answer)
        })
    }

    /// Who sends next: the first who is free, from 1.
    fn employ(&mut self) -> usize {
        let place = self.workers.iter().position(|is_busy| !is_busy).unwrap_or_else(|| {
            self.workers.push(false);
            self.workers.len() - 1
        });
        self.workers[place] = true;
        place + 1
    }

    /// Moves what has become due to where it can be sent.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.ready.push_back(entry.remove());
        }
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let Later { row, is_lost, attempts, .. } = entry.remove();
            // Not through the planner: the row still holds its record's mark.
            let piece = Piece::of(row.operation(), vec![row]);
            self.queue(Piece { is_lost, attempts, is_agreed: true, ..piece });
        }
    }
}
