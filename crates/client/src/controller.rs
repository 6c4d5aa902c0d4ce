//! How many requests are in flight and how many rows each carries: pure, given `now` and events.
//!
//! What the user gives is kept; what he does not is learned ([`climb`]), from the service's hint on. A
//! throttle pauses everybody for as long as it says; then half as many are sent at a time, and one more
//! every two seconds, so that no burst follows.
//! Not here: waiting and sending (`sender`).
//! Invariant: 1 ≤ width ≤ its bound; 1 ≤ size ≤ its bound; nothing is sent before a pause ends.

mod climb;
mod pool;

use climb::{Climb, Free};
pub use climb::{Point, Ticket};
pub use pool::{Pool, Shares};

use std::time::{Duration, Instant};

/// How many requests may be in flight at most.
pub const WIDTH_MAX: usize = 52;
/// How many rows a message carries at most.
pub const SIZE_MAX: usize = 1_000;
/// The same for elastic tables.
pub const SIZE_MAX_ELASTIC: usize = 100;
/// How many rows a message carries at first when nobody said.
pub const SIZE_FIRST: usize = 100;
/// The width when neither user nor service says.
pub const WIDTH_UNHINTED: usize = 5;

/// After a pause one more may be in flight each time this has passed.
const RAMP: Duration = Duration::from_secs(2);
/// The pause after a throttle that does not say how long.
pub const PAUSE_UNSAID: Duration = Duration::from_secs(30);

/// A setting that is learned, or given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Learned.
    Auto,
    /// Given.
    Fixed(usize),
}

/// What a throttle says is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The number of requests in a while.
    Requests,
    /// The time that they take together in a while.
    Time,
    /// The number of requests at a time.
    Concurrency,
    /// It does not say.
    Unsaid,
}

/// Decides how much is sent at once.
#[derive(Clone, Debug)]
pub struct Controller {
    climb: Climb,
    in_flight: usize,
    /// The width while it grows again after a pause.
    ramp: Option<Ramp>,
    paused_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Ramp {
    width: usize,
    from: Instant,
}

impl Controller {
    /// Starts with what user and service say.
    pub fn new(width: Setting, hint: Option<usize>, size: Setting, size_max: usize) -> Self {
        let free = Free { width: width == Setting::Auto, size: size == Setting::Auto };
        let (width, width_bound) = match width {
            Setting::Auto => (hint.unwrap_or(WIDTH_UNHINTED).clamp(1, WIDTH_MAX), WIDTH_MAX),
            Setting::Fixed(width) => (width.clamp(1, WIDTH_MAX), width.clamp(1, WIDTH_MAX)),
        };
        let size = match size {
            Setting::Auto => SIZE_FIRST.min(size_max),
            Setting::Fixed(size) => size.clamp(1, size_max),
        };
        let climb = Climb::new(free, Point { width, size }, width_bound, size_max);
        Self { climb, in_flight: 0, ramp: None, paused_until: None }
    }

    /// How many requests may be in flight now. What has been learned so far comes into force here.
    pub fn width(&mut self, now: Instant) -> usize {
        if self.paused_until.is_some_and(|until| now < until) {
            return 0;
        }
        self.paused_until = None;
        let Some(mut ramp) = self.ramp else {
            self.climb.advance(now);
            return self.climb.point().width;
        };
        let width = self.climb.point().width;
        while ramp.width < width && now.saturating_duration_since(ramp.from) >= RAMP {
            ramp = Ramp { width: ramp.width + 1, from: ramp.from + RAMP };
        }
        self.ramp = (ramp.width < width).then_some(ramp);
        ramp.width.min(width)
    }

    /// The width that is aimed at, pause or not.
    pub fn width_ceiling(&self) -> usize {
        self.climb.point().width
    }

    /// The best point known; what is tried now may be another.
    pub fn base(&self) -> Point {
        self.climb.base()
    }

    /// How many rows a new message carries.
    pub fn size(&self) -> usize {
        self.climb.point().size
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When to look at [`Controller::width`] again though nothing happened.
    pub fn next_change(&self) -> Option<Instant> {
        self.paused_until.or_else(|| self.ramp.map(|ramp| ramp.from + RAMP))
    }

    /// The end of the pause, if there is one.
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// A request leaves; `rows` are those of a write, and 0 for a question.
    pub fn launched(&mut self, now: Instant, rows: usize) -> Ticket {
        self.in_flight += 1;
        match (self.ramp, rows) {
            (None, 1..) => self.climb.launched(now, rows),
            _ => Ticket::default(),
        }
    }

    /// A request is back, or given up.
    pub fn landed(&mut self, ticket: Ticket) {
        let is_full = self.in_flight >= self.climb.point().width;
        self.in_flight -= 1;
        self.climb.landed(ticket, is_full);
    }

    /// What it asked for was done, for so many rows.
    pub fn went_well(&mut self, ticket: Ticket, rows: usize, took: Duration) {
        self.climb.went_well(ticket, rows, took);
    }

    /// A message of `rows` rows was too slow or too large.
    pub fn was_too_much(&mut self, rows: usize) {
        self.climb.too_large(rows);
    }

    /// One fewer at a time from now on.
    pub fn narrow(&mut self, now: Instant) {
        self.climb.narrow(now);
    }

    /// The limits were hit: everybody pauses until the latest due time seen.
    pub fn throttled(&mut self, now: Instant, after: Option<Duration>, limit: Limit) {
        let until = now + after.unwrap_or(PAUSE_UNSAID);
        let in_pause = self.paused_until.is_some_and(|paused| now < paused);
        let until = self.paused_until.map_or(until, |paused| paused.max(until));
        // The other answers of the same burst do not count once more.
        if !in_pause {
            let width = self.ramp.map_or(self.climb.point().width, |ramp| ramp.width);
            self.climb.throttled(now, limit);
            let width = (width / 2).clamp(1, self.climb.point().width);
            self.ramp = Some(Ramp { width, from: until });
        }
        if let Some(ramp) = &mut self.ramp {
            ramp.from = until;
        }
        self.paused_until = Some(until);
    }
}

#[cfg(test)]
mod tests;
