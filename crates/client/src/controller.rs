//! How many requests are in flight and how many rows each carries: pure, given `now` and events.
//!
//! Today's rules are simple: the width is fixed at the service's hint or the user's number, halved
//! after a throttle and ramped up again; the size doubles while answers are quick.
//! Not here: waiting and sending (`sender`).
//! Invariant: 1 ≤ width ≤ the ceiling; 1 ≤ size ≤ the ceiling; nothing is sent before a pause ends.

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

/// Answers quicker than this let the size grow.
const QUICK: Duration = Duration::from_secs(2);
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

/// Decides how much is sent at once.
#[derive(Clone, Debug)]
pub struct Controller {
    width_ceiling: usize,
    width: usize,
    size_ceiling: usize,
    size: usize,
    size_grows: bool,
    paused_until: Option<Instant>,
    ramp_from: Option<Instant>,
}

impl Controller {
    /// Starts with what user and service say.
    pub fn new(width: Setting, hint: Option<usize>, size: Setting, size_max: usize) -> Self {
        let width_ceiling = match width {
            Setting::Auto => hint.unwrap_or(WIDTH_UNHINTED),
            Setting::Fixed(width) => width,
        }
        .clamp(1, WIDTH_MAX);
        let (size, size_ceiling, size_grows) = match size {
            Setting::Auto => (SIZE_FIRST.min(size_max), size_max, true),
            Setting::Fixed(size) => (size.clamp(1, size_max), size.clamp(1, size_max), false),
        };
        Self {
            width_ceiling,
            width: width_ceiling,
            size_ceiling,
            size,
            size_grows,
            paused_until: None,
            ramp_from: None,
        }
    }

    /// How many requests may be in flight now.
    pub fn width(&mut self, now: Instant) -> usize {
        if self.paused_until.is_some_and(|until| now < until) {
            return 0;
        }
        self.paused_until = None;
        while let Some(from) = self.ramp_from {
            if self.width >= self.width_ceiling {
                self.ramp_from = None;
            } else if now.saturating_duration_since(from) >= RAMP {
                self.width += 1;
                self.ramp_from = Some(from + RAMP);
            } else {
                break;
            }
        }
        self.width
    }

    /// The width that is aimed at, pause or not.
    pub fn width_ceiling(&self) -> usize {
        self.width_ceiling
    }

    /// How many rows a new message carries.
    pub fn size(&self) -> usize {
        self.size
    }

    /// When to look at [`Controller::width`] again though nothing happened.
    pub fn next_change(&self) -> Option<Instant> {
        self.paused_until.or_else(|| self.ramp_from.map(|from| from + RAMP))
    }

    /// The end of the pause, if there is one.
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// A message of `rows` rows went well.
    pub fn went_well(&mut self, rows: usize, took: Duration) {
        if self.size_grows && rows >= self.size && took < QUICK {
            self.size = (self.size * 2).min(self.size_ceiling);
        }
    }

    /// A message of `rows` rows was too slow or too large.
    pub fn was_too_much(&mut self, rows: usize) {
        self.size = (rows / 2).clamp(1, self.size);
        self.size_ceiling = self.size_ceiling.min((rows * 3 / 4).max(1));
    }

    /// One fewer at a time from now on.
    pub fn narrow(&mut self) {
        self.width_ceiling = self.width_ceiling.saturating_sub(1).max(1);
        self.width = self.width.min(self.width_ceiling);
    }

    /// The limits were hit: everybody pauses until the latest due time seen.
    pub fn throttled(&mut self, now: Instant, after: Option<Duration>, narrower: bool) {
        let until = now + after.unwrap_or(PAUSE_UNSAID);
        let in_pause = self.paused_until.is_some_and(|paused| now < paused);
        let until = self.paused_until.map_or(until, |paused| paused.max(until));
        if narrower {
            self.narrow();
        }
        // The other answers of the same burst do not halve once more.
        if !in_pause {
            self.width = (self.width / 2).max(1);
        }
        self.width = self.width.min(self.width_ceiling);
        self.paused_until = Some(until);
        self.ramp_from = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_width_is_the_users_number_then_the_hint_then_five() {
        let width =
            |width, hint| Controller::new(width, hint, Setting::Auto, SIZE_MAX).width(start());
        assert_eq!(width(Setting::Fixed(7), Some(20)), 7);
        assert_eq!(width(Setting::Auto, Some(20)), 20);
        assert_eq!(width(Setting::Auto, None), 5);
        assert_eq!(width(Setting::Fixed(900), None), 52);
        assert_eq!(width(Setting::Fixed(0), None), 1);
    }

    #[test]
    fn a_throttle_pauses_everybody_and_no_burst_follows() {
        let start = start();
        let mut control = Controller::new(Setting::Fixed(8), None, Setting::Auto, SIZE_MAX);
        control.throttled(start, Some(seconds(10)), false);
        control.throttled(start + seconds(1), Some(seconds(20)), false);
        control.throttled(start + seconds(1), Some(seconds(2)), false);
        assert_eq!(control.width(start + seconds(20)), 0);
        let widths: Vec<_> =
            (0..6).map(|step| control.width(start + seconds(21 + 2 * step))).collect();
        assert_eq!(widths, [4, 5, 6, 7, 8, 8]);
    }

    #[test]
    fn too_many_at_once_lowers_the_ceiling_for_good() {
        let start = start();
        let mut control = Controller::new(Setting::Fixed(4), None, Setting::Auto, SIZE_MAX);
        control.throttled(start, Some(seconds(1)), true);
        assert_eq!(control.width(start + seconds(100)), 3);
    }

    #[test]
    fn a_throttle_without_a_number_waits_half_a_minute() {
        let start = start();
        let mut control = Controller::new(Setting::Fixed(2), None, Setting::Auto, SIZE_MAX);
        control.throttled(start, None, false);
        assert_eq!(control.width(start + seconds(29)), 0);
        assert_eq!(control.width(start + seconds(30)), 1);
    }

    #[test]
    fn the_size_doubles_while_answers_are_quick_and_never_passes_what_was_too_much() {
        let mut control = Controller::new(Setting::Auto, None, Setting::Auto, SIZE_MAX);
        let mut sizes = vec![control.size()];
        for _ in 0..4 {
            control.went_well(control.size(), seconds(1));
            sizes.push(control.size());
        }
        assert_eq!(sizes, [100, 200, 400, 800, 1_000]);
        control.went_well(1_000, seconds(3));
        control.was_too_much(1_000);
        assert_eq!(control.size(), 500);
        control.went_well(500, seconds(1));
        assert_eq!(control.size(), 750);
        let mut fixed = Controller::new(Setting::Auto, None, Setting::Fixed(50), SIZE_MAX);
        fixed.went_well(50, seconds(1));
        assert_eq!(fixed.size(), 50);
        let elastic = Controller::new(Setting::Auto, None, Setting::Fixed(500), SIZE_MAX_ELASTIC);
        assert_eq!(elastic.size(), 100);
    }
}
