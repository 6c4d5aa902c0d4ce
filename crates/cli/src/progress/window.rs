//! What the last half minute was like, and how long the rest takes if it goes on like that.

use crate::output;
use std::collections::VecDeque;
use std::time::Duration;

/// Where it stood at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) rows: u64,
    /// How far it was, in the measure of its end.
    pub(super) place: u64,
}

/// The last half minute.
#[derive(Debug, Default)]
pub(super) struct Window {
    samples: VecDeque<Sample>,
    last: Option<Sample>,
}

impl Window {
    const LENGTH: Duration = Duration::from_secs(30);
    /// Samples are so far apart.
    const STEP: Duration = Duration::from_millis(500);
    /// Less is no ground for a guess.
    const LEAST: Duration = Duration::from_secs(2);

    pub(super) fn add(&mut self, sample: Sample) {
        self.last = Some(sample);
        if self.samples.back().is_none_or(|last| sample.at >= last.at + Self::STEP) {
            self.samples.push_back(sample);
        }
        while self.samples.get(1).is_some_and(|next| next.at + Self::LENGTH <= sample.at) {
            self.samples.pop_front();
        }
    }

    /// The first and the last, where they are far enough apart.
    fn ends(&self) -> Option<(Sample, Sample)> {
        let (first, last) = (*self.samples.front()?, self.last?);
        (last.at >= first.at + Self::LEAST).then_some((first, last))
    }

    pub(super) fn rows_per_second(&self) -> Option<u64> {
        let (first, last) = self.ends()?;
        Some(output::rate(last.rows - first.rows, last.at - first.at))
    }

    /// How long it still takes; nothing where nobody can know.
    pub(super) fn left(&self, end: u64, paused: Duration) -> Option<Duration> {
        let (first, last) = self.ends()?;
        let moved = last.place.saturating_sub(first.place);
        if moved == 0 {
            return None;
        }
        let rest = end.saturating_sub(last.place);
        #[expect(clippy::cast_precision_loss, reason = "a guess for people")]
        let factor = rest as f64 / moved as f64;
        let left = (last.at - first.at).as_secs_f64() * factor;
        Duration::try_from_secs_f64(left).ok().map(|left| left + paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_left_is_told_from_the_last_half_minute_and_only_where_it_can_be_known() {
        let mut window = Window::default();
        let add = |window: &mut Window, at, place| {
            window.add(Sample { at: seconds(at), rows: place * 10, place });
        };
        add(&mut window, 0, 0);
        assert_eq!(window.left(1_000, Duration::ZERO), None, "nothing is known yet");
        for at in 1..=100 {
            add(&mut window, at, at);
        }
        assert_eq!(window.left(200, Duration::ZERO), Some(seconds(100)));
        // It has become ten times as fast; a minute later nothing of before counts.
        for at in 101..=160 {
            add(&mut window, at, 100 + (at - 100) * 10);
        }
        assert_eq!(window.rows_per_second(), Some(100));
        assert_eq!(window.left(1_000, Duration::ZERO), Some(seconds(30)));
        assert_eq!(window.left(1_000, seconds(7)), Some(seconds(37)), "a pause comes on top");
        assert!(window.samples.len() <= 62);
        // It stands still: nobody knows.
        for at in 161..=200 {
            add(&mut window, at, 700);
        }
        assert_eq!(window.left(1_000, Duration::ZERO), None);
    }
}
