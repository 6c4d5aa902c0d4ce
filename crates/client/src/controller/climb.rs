//! How width and size are learned: a hill is climbed over rows per second.
//!
//! The hill is the rate at a point (width, size). What is measured at a point is a *round*: the first
//! requests that leave once the point is set and those before them are out of the way (one for each slot is
//! passed over), again one for each slot, until all of them are back, and more of them until the mean time per row is known to 2 % (its standard error) or four seconds have
//! passed. The rate is then Little's law, `width × rows / time in flight`; it needs no clock but that of
//! the requests, and it does not favour the quick ones, as requests are chosen by when they left.
//!
//! The *base* is the best point known. From it one neighbour at a time is tried, in four directions:
//!
//! | direction | step, by how often it failed | taken when |
//! | --- | --- | --- |
//! | wider | ×2, ×1.5, ×1.25 | the rate grows by more than 2 % and the noise |
//! | narrower | ×0.5, ×0.7, ×0.8 | nothing is lost: fewer at a time is kinder |
//! | larger | ×2, ×1.5, ×1.25 | nothing is lost and answers stay quick, or the rate grows |
//! | smaller | ×0.5, ×0.7, ×0.8 | the rate grows, or nothing is lost and answers were slow |
//!
//! A neighbour that is taken is the new base, and the same direction is tried again at once. One that is
//! not is only called worse once the base was measured again and still is better, so that a service that
//! became slow meanwhile is not held against it, nor one that seems to cost or bring more than a step can; then
//! that direction rests, for twice as long each time.
//! "Nothing is lost" compares with the best base of late, so that many small losses do not add up. A base
//! whose own rate has changed for a while makes everything be tried anew, what takes back first where the
//! rate has fallen.
//!
//! Before the first round is complete the size grows at once to what every answer shows to be quick: messages that
//! would take half a second at most if every further row cost what a row has cost on the average. Once they are as
//! large as they may be, each answer that is hardly slower than the quickest allows one more at a time, up to four
//! times the first width: as long as that is so, it is the way that takes the time, not the service. So a load
//! that ends before anything is known well is not sent in small messages to a quick service, nor a few at a time to
//! a far one.
//!
//! Refusals set bounds: a throttle lowers the width that may be tried, and the bound is lifted by a
//! quarter after a minute, then after two, and so on while it is hit again; a refusal for size bounds the
//! size for good. Where the *number* of requests is what is limited, messages are made larger instead.
//!
//! Not here: pauses and the ramp behind them (`controller`). No clock: everything is told when it is.
//! Invariant: 1 ≤ width ≤ its bound, 1 ≤ size ≤ its bound, and what is not free never changes.

use super::{Limit, WIDTH_MAX};
use std::time::{Duration, Instant};

/// A mean is good enough when its standard error is below this share.
const ERROR_WANTED: f64 = 0.02;
/// A round that is still noisy ends after this.
const ROUND_MAX: Duration = Duration::from_secs(4);
/// A round has at least so many requests.
const ROUND_REQUESTS_MIN: u32 = 8;
/// A gain counts from here.
const GAIN: f64 = 1.02;
/// Less than this is a loss.
const NO_LOSS: f64 = 0.985;
/// Answers quicker than this are quick: messages may grow for nothing but fewer requests.
const QUICK: Duration = Duration::from_secs(2);
/// Messages that take no longer than this are large enough to begin with.
const START: Duration = Duration::from_millis(500);
/// Answers that take no longer than so many times the quickest say that the service has room.
const HARDLY_SLOWER: f64 = 1.25;
/// The width grows at once to so many times the first.
const START_WIDTH: usize = 4;
/// Messages that take longer are too slow to grow.
const SLOW: Duration = Duration::from_secs(5);
/// How long a direction rests when it failed for the first time.
const REST: Duration = Duration::from_secs(4);
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(120);
/// A base that is so far from what it was has changed.
const DRIFT: f64 = 0.15;
/// When it stays so for this long.
const DRIFT_AFTER: Duration = Duration::from_secs(10);
/// A gain or loss that is so many times what a step can bring is none of the step's.
const UNLIKELY: f64 = 1.25;
/// How long the bound of a throttle holds for the first time.
const BOUND_HOLDS: Duration = Duration::from_secs(60);
/// The longest time.
const BOUND_HOLDS_MAX: Duration = Duration::from_secs(900);
/// Of the answers in a round so many of a hundred must have found all slots in use.
const FULL_MIN: u32 = 70;

/// How much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Requests in flight.
    pub width: usize,
    /// Rows in a message.
    pub size: usize,
}

/// What may be learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    pub(super) width: bool,
    pub(super) size: bool,
}

/// Which round a request belongs to; none for most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Wider,
    Larger,
    Narrower,
    Smaller,
}

const DIRECTIONS: [Direction; 4] =
    [Direction::Wider, Direction::Larger, Direction::Narrower, Direction::Smaller];

/// When a direction is tried again.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Not before.
    due: Option<Instant>,
    failures: u32,
    /// The last time more seemed lost than can be.
    in_doubt: bool,
}

/// What a round found.
#[derive(Clone, Copy, Debug)]
struct Measure {
    /// Rows per second.
    rate: f64,
    /// Its standard error as a share.
    error: f64,
    /// How long one message took.
    took: Duration,
}

/// A round that goes on.
#[derive(Clone, Debug)]
struct Round {
    number: u64,
    since: Option<Instant>,
    /// Requests that still meet what was sent before the point was set.
    early: u32,
    wanted: u32,
    sent: u32,
    out: u32,
    full: u32,
    back: u32,
    skipped: u32,
    well: u32,
    rows: f64,
    /// Seconds in flight.
    took: f64,
    /// Seconds per row, and squared, to tell the noise.
    slowness: f64,
    slowness_squared: f64,
}

impl Round {
    fn new(number: u64, width: usize) -> Self {
        let width = u32::try_from(width).unwrap_or(u32::MAX);
        let wanted = width.max(ROUND_REQUESTS_MIN);
        Self {
            number,
            since: None,
            early: width,
            wanted,
            sent: 0,
            out: 0,
            full: 0,
            back: 0,
            skipped: 0,
            well: 0,
            rows: 0.0,
            took: 0.0,
            slowness: 0.0,
            slowness_squared: 0.0,
        }
    }

    fn error(&self) -> f64 {
        let n = f64::from(self.well);
        if n < 2.0 {
            return 1.0;
        }
        let mean = self.slowness / n;
        let variance = (self.slowness_squared / n - mean * mean).max(0.0) * n / (n - 1.0);
        variance.sqrt() / mean.max(1e-12) / n.sqrt()
    }

    #[expect(clippy::cast_precision_loss, reason = "a small number of slots")]
    fn measure(&self, width: usize) -> Measure {
        let rate = width as f64 * self.rows / self.took.max(1e-9);
        let took = Duration::from_secs_f64(self.took / f64::from(self.well.max(1)));
        Measure { rate, error: self.error(), took }
    }
}

/// What is being found out.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// How the base does.
    Base,
    /// How a neighbour does.
    Try(Direction, Point),
    /// Whether the base is still better than a neighbour that was measured.
    Again(Direction, Point, Measure),
}

/// Learns the point.
#[derive(Clone, Debug)]
pub(super) struct Climb {
    free: Free,
    base: Point,
    width_bound: usize,
    size_bound: usize,
    bound_holds: Duration,
    bound_until: Option<Instant>,
    /// What was found at the base.
    known: Option<Measure>,
    /// The best base of late.
    best: f64,
    changed_since: Option<Instant>,
    stage: Stage,
    round: Round,
    turns: [Turn; 4],
    started: Option<Instant>,
    /// Nothing is known yet, and nothing was refused.
    is_starting: bool,
    /// How wide it may grow at once.
    start_width_max: usize,
    /// The quickest answer to a message of the largest size.
    quickest: Duration,
}

impl Climb {
    pub(super) fn new(free: Free, start: Point, width_bound: usize, size_bound: usize) -> Self {
        Self {
            free,
            base: start,
            width_bound,
            size_bound,
            bound_holds: BOUND_HOLDS,
            bound_until: None,
            known: None,
            best: 0.0,
            changed_since: None,
            stage: Stage::Base,
            round: Round::new(1, start.width),
            turns: [Turn { due: None, failures: 0, in_doubt: false }; 4],
            started: None,
            is_starting: true,
            start_width_max: (start.width * START_WIDTH).min(width_bound),
            quickest: Duration::MAX,
        }
    }

    /// How much at once now.
    pub(super) fn point(&self) -> Point {
        match self.stage {
            Stage::Base | Stage::Again(..) => self.base,
            Stage::Try(_, point) => point,
        }
    }

    /// The best point known.
    pub(super) fn base(&self) -> Point {
        self.base
    }

    fn is_free(&self) -> bool {
        self.free.width || self.free.size
    }

    /// A request leaves with so many rows.
    pub(super) fn launched(&mut self, now: Instant, rows: usize) -> Ticket {
        if !self.is_free() || self.round.sent >= self.round.wanted {
            return Ticket::default();
        }
        let size = self.point().size;
        let round = &mut self.round;
        // Messages that were put together before the size changed say nothing about it. Where none are
        // ever full, the input sets their size and every one counts.
        let may_skip = round.skipped <= 6 * round.wanted;
        if may_skip && (rows > size || rows * 4 < size * 3) {
            round.skipped += 1;
            return Ticket::default();
        }
        if round.early > 0 {
            round.early -= 1;
            return Ticket::default();
        }
        round.since.get_or_insert(now);
        round.sent += 1;
        round.out += 1;
        Ticket(round.number)
    }

    /// A request is back, however it went; `is_full` when all slots were in use.
    pub(super) fn landed(&mut self, ticket: Ticket, is_full: bool) {
        if ticket.0 == self.round.number {
            self.round.out -= 1;
            self.round.back += 1;
            self.round.full += u32::from(is_full);
        }
    }

    /// It went well.
    #[expect(clippy::cast_precision_loss, reason = "a thousand rows at most")]
    pub(super) fn went_well(&mut self, ticket: Ticket, rows: usize, took: Duration) {
        if self.is_starting && rows > 0 {
            self.grow_at_once(rows, took);
        }
        if ticket.0 == self.round.number && rows > 0 {
            let round = &mut self.round;
            let (rows, took) = (rows as f64, took.as_secs_f64());
            round.well += 1;
            round.rows += rows;
            round.took += took;
            round.slowness += took / rows;
            round.slowness_squared += (took / rows) * (took / rows);
        }
    }

    /// The size that one answer shows to be quick, where it is larger by a step; else one more at a time.
    #[expect(clippy::cast_precision_loss, reason = "a thousand rows at most")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
    fn grow_at_once(&mut self, rows: usize, took: Duration) {
        let Point { width, size } = self.base;
        if self.free.size && size < self.size_bound {
            let quick = rows as f64 * START.as_secs_f64() / took.as_secs_f64().max(1e-6);
            let quick = quick.min(self.size_bound as f64) as usize;
            if quick >= (size + size / 4).min(self.size_bound) {
                self.base.size = quick;
                self.restart();
            }
            return;
        }
        let is_large = rows * 4 >= size * 3;
        if !(self.free.width && is_large && took <= START) {
            return;
        }
        let has_room = took.as_secs_f64() <= self.quickest.as_secs_f64() * HARDLY_SLOWER;
        self.quickest = self.quickest.min(took);
        if has_room && width < self.start_width_max {
            self.base.width += 1;
            self.restart();
        }
    }

    /// Forgets the round that goes on: what it measures is not what it should.
    pub(super) fn restart(&mut self) {
        self.round = Round::new(self.round.number + 1, self.point().width);
    }

    /// Goes on where a round is complete.
    pub(super) fn advance(&mut self, now: Instant) {
        self.started.get_or_insert(now);
        self.lift(now);
        let width = self.point().width;
        let round = &mut self.round;
        if round.sent < round.wanted || round.out > 0 {
            return;
        }
        let is_full = round.full * 100 >= round.back * FULL_MIN;
        if !is_full || round.well * 2 < round.wanted {
            self.restart();
            return;
        }
        let since = round.since.unwrap_or(now);
        if round.error() > ERROR_WANTED && now.saturating_duration_since(since) < ROUND_MAX {
            round.wanted += round.wanted / 2;
            return;
        }
        let never_full = round.skipped > 6 * round.wanted;
        let found = round.measure(width);
        self.conclude(now, found, never_full);
    }

    fn conclude(&mut self, now: Instant, found: Measure, never_full: bool) {
        self.is_starting = false;
        match self.stage {
            Stage::Base => {
                self.measured_base(now, found);
            }
            Stage::Try(direction, point) => {
                let is_about_size = matches!(direction, Direction::Larger | Direction::Smaller);
                if is_about_size && never_full {
                    self.failed(now, direction);
                } else if self.gains_too_much(point, found) {
                    // It is the base that was slow when it was measured.
                    (self.known, self.best) = (None, 0.0);
                } else if self.is_better(direction, found) {
                    self.take(now, direction, point, found);
                    return self.choose(now);
                } else {
                    self.stage = Stage::Again(direction, point, found);
                    return self.restart();
                }
                self.stage = Stage::Base;
                return self.restart();
            }
            Stage::Again(direction, point, other) => {
                let was_steady = self.measured_base(now, found);
                if self.is_better(direction, other) {
                    self.take(now, direction, point, other);
                } else if was_steady && !self.is_doubtful(direction, point, other) {
                    self.failed(now, direction);
                } else {
                    self.turns[direction as usize].due = Some(now + REST / 2);
                }
            }
        }
        self.choose(now);
    }

    /// Takes in what was found at the base; false when it is not what was known.
    fn measured_base(&mut self, now: Instant, found: Measure) -> bool {
        let Some(known) = self.known else {
            self.known = Some(found);
            self.best = self.best.max(found.rate);
            return true;
        };
        let change = (found.rate / known.rate - 1.0).abs();
        if change <= DRIFT + 2.0 * found.error {
            self.changed_since = None;
            let rate = 0.5 * known.rate + 0.5 * found.rate;
            self.best = 0.8 * self.best + 0.2 * rate;
            self.known = Some(Measure { rate, ..found });
            return true;
        }
        let since = *self.changed_since.get_or_insert(self.round.since.unwrap_or(now));
        if now.saturating_duration_since(since) >= DRIFT_AFTER {
            self.changed_since = None;
            self.known = Some(found);
            self.best = found.rate;
            let has_fallen = found.rate < known.rate;
            for direction in DIRECTIONS {
                let grows = matches!(direction, Direction::Wider | Direction::Larger);
                let due = if grows == has_fallen { now + REST } else { now };
                let turn = &mut self.turns[direction as usize];
                *turn = Turn { due: Some(due), failures: 0, in_doubt: false };
            }
        }
        false
    }

    /// A step gains no more than the share of slots or rows that it adds, and costs no more than the
    /// share that it gives up. Where it seems so, something else was slow.
    fn gains_too_much(&self, point: Point, found: Measure) -> bool {
        let share = self.share(point).max(1.0);
        self.known.is_some_and(|known| found.rate > UNLIKELY * known.rate * share)
    }

    /// The same for what is lost; such a neighbour is measured once more.
    fn is_doubtful(&mut self, direction: Direction, point: Point, found: Measure) -> bool {
        let Some(known) = self.known else { return true };
        let share = self.share(point).min(1.0);
        let turn = &mut self.turns[direction as usize];
        turn.in_doubt = !turn.in_doubt && found.rate * UNLIKELY < known.rate * share;
        turn.in_doubt
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn share(&self, point: Point) -> f64 {
        (point.width * point.size) as f64 / (self.base.width * self.base.size) as f64
    }

    /// Whether a neighbour is to be the base.
    fn is_better(&self, direction: Direction, found: Measure) -> bool {
        let Some(known) = self.known else { return false };
        let noise = (known.error.powi(2) + found.error.powi(2)).sqrt();
        let gains = found.rate > known.rate * (GAIN + noise);
        let loses_nothing = found.rate >= self.best.max(known.rate) * NO_LOSS;
        match direction {
            Direction::Wider => gains,
            // A noisy measure must look the better for it: a slot too few costs more than one too many.
            Direction::Narrower => {
                found.rate >= self.best.max(known.rate) * (NO_LOSS + noise / 2.0)
            }
            Direction::Larger => {
                found.took <= SLOW && (gains || loses_nothing && found.took <= QUICK)
            }
            Direction::Smaller => gains || loses_nothing && known.took > SLOW,
        }
    }

    fn take(&mut self, now: Instant, direction: Direction, point: Point, found: Measure) {
        self.base = point;
        self.known = Some(found);
        self.best = self.best.max(found.rate);
        self.changed_since = None;
        // The same way again at once; not back at once.
        let opposite = match direction {
            Direction::Wider => Direction::Narrower,
            Direction::Narrower => Direction::Wider,
            Direction::Larger => Direction::Smaller,
            Direction::Smaller => Direction::Larger,
        };
        self.turns[direction as usize].due = Some(now);
        self.turns[opposite as usize].due = Some(now + 2 * REST);
        if direction == Direction::Wider && self.bound_until.is_some() {
            self.bound_holds = BOUND_HOLDS;
        }
    }

    fn failed(&mut self, now: Instant, direction: Direction) {
        let turn = &mut self.turns[direction as usize];
        let rest = REST * 2u32.pow(turn.failures.min(8));
        let failures = turn.failures + 1;
        *turn = Turn { due: Some(now + rest.min(REST_MAX)), failures, in_doubt: false };
    }

    /// The next neighbour, or the base once more.
    fn choose(&mut self, now: Instant) {
        let start = self.started.unwrap_or(now);
        let due = |direction: Direction| {
            let first = match direction {
                Direction::Wider | Direction::Larger => start,
                // What grows comes first.
                Direction::Narrower | Direction::Smaller => start + REST,
            };
            self.turns[direction as usize].due.unwrap_or(first)
        };
        let next = DIRECTIONS
            .into_iter()
            .filter(|direction| due(*direction) <= now)
            .filter_map(|direction| Some((due(direction), direction, self.neighbour(direction)?)))
            .min_by_key(|(due, ..)| *due);
        self.stage = match next {
            Some((_, direction, point)) => Stage::Try(direction, point),
            None => Stage::Base,
        };
        self.restart();
    }

    /// The point that lies in a direction, if there is one.
    fn neighbour(&self, direction: Direction) -> Option<Point> {
        let failures = self.turns[direction as usize].failures.min(2) as usize;
        let Point { width, size } = self.base;
        // In percent.
        let steps: [usize; 3] = match direction {
            Direction::Wider | Direction::Larger => [200, 150, 125],
            Direction::Narrower => [50, 70, 80],
            Direction::Smaller => [50, 70, 80],
        };
        let step = |from: usize, bound: usize| {
            let to = (from * steps[failures]).div_ceil(100);
            let to = if steps[failures] < 100 { to.min(from - 1) } else { to.max(from + 1) };
            Some(to.min(bound)).filter(|to| *to != from && *to >= 1)
        };
        match direction {
            Direction::Wider if self.free.width && width < self.width_bound => {
                Some(Point { width: step(width, self.width_bound)?, size })
            }
            Direction::Narrower if self.free.width && width > 1 => {
                Some(Point { width: step(width, self.width_bound)?, size })
            }
            Direction::Larger if self.free.size && size < self.size_bound => {
                Some(Point { width, size: step(size, self.size_bound)? })
            }
            Direction::Smaller if self.free.size && size > 1 => {
                Some(Point { width, size: step(size, self.size_bound)? })
            }
            _ => None,
        }
    }

    /// A bound that has held for long enough is lifted.
    fn lift(&mut self, now: Instant) {
        if self.bound_until.is_some_and(|until| now >= until) {
            self.width_bound = (self.width_bound * 5 / 4).max(self.width_bound + 1).min(WIDTH_MAX);
            self.bound_until = (self.width_bound < WIDTH_MAX).then(|| now + self.bound_holds);
            self.turns[Direction::Wider as usize].due = Some(now);
        }
    }

    /// The first refusal of a burst.
    pub(super) fn throttled(&mut self, now: Instant, limit: Limit) {
        self.is_starting = false;
        let tried = match self.stage {
            Stage::Try(direction, point) => Some((direction, point)),
            Stage::Base | Stage::Again(..) => None,
        };
        let took = self.known.map_or(Duration::ZERO, |known| known.took);
        let may_grow = self.free.size && self.base.size < self.size_bound && took * 2 <= SLOW;
        match (limit, tried) {
            (Limit::Requests, _) if may_grow => {
                self.base.size = (self.base.size * 2).min(self.size_bound);
            }
            // A number that the user gave is lowered for good where it is too many, and else kept.
            (Limit::Concurrency, _) if !self.free.width => {
                self.base.width = (self.base.width - 1).max(1);
            }
            _ if !self.free.width => {}
            (Limit::Concurrency, Some((Direction::Wider, point))) => {
                self.bound(now, point.width - 1);
                self.failed(now, Direction::Wider);
            }
            (_, Some((Direction::Wider, point))) => {
                self.bound(now, usize::midpoint(self.base.width, point.width));
                self.failed(now, Direction::Wider);
            }
            (Limit::Concurrency, _) => {
                self.base.width = (self.base.width - 1).max(1);
                self.bound(now, self.base.width);
            }
            _ => {
                let fewer = (self.base.width * 17 / 20).min(self.base.width - 1).max(1);
                self.base.width = fewer;
                self.bound(now, fewer);
            }
        }
        // What was known is not known of the new base.
        self.known = None;
        self.best = 0.0;
        self.stage = Stage::Base;
        self.restart();
    }

    fn bound(&mut self, now: Instant, width: usize) {
        self.width_bound = width.max(self.base.width).max(1);
        self.bound_until = Some(now + self.bound_holds);
        self.bound_holds = (self.bound_holds * 2).min(BOUND_HOLDS_MAX);
    }

    /// A message of so many rows was too large or too slow.
    pub(super) fn too_large(&mut self, rows: usize) {
        self.is_starting = false;
        self.size_bound = self.size_bound.min((rows * 3 / 4).max(1));
        self.base.size = (rows / 2).clamp(1, self.base.size);
        self.known = None;
        self.stage = Stage::Base;
        self.restart();
    }

    /// One fewer at a time, and for a while no more.
    pub(super) fn narrow(&mut self, now: Instant) {
        self.is_starting = false;
        self.base.width = (self.base.width - 1).max(1);
        if self.free.width {
            self.bound(now, self.base.width);
        }
        self.known = None;
        self.best = 0.0;
        self.stage = Stage::Base;
        self.restart();
    }
}
