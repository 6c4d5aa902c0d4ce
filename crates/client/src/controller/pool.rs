//! Several identities: which of them sends next. Pure, given `now`.
//!
//! Each has a [`Controller`] of its own, and so limits, pauses and a width of its own; a width that the user gives
//! is dealt out among them. The size of messages is common to all, as rows are cut into messages before it is
//! known who sends them: the first identity learns it.
//! Not here: tokens and names (`pool`), sending (`sender`).
//! Invariant: an identity that pauses is never picked, and never keeps another from being picked.

use super::{Controller, Point, Setting};
use std::time::Instant;

/// What a pool starts with.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// How many identities there are.
    pub identities: usize,
    /// How many requests are in flight for all of them together; learned for each by itself.
    pub width: Setting,
    /// What the service recommends for each.
    pub hint: Option<usize>,
    /// Rows in a message.
    pub size: Setting,
    /// The most that it may have.
    pub size_max: usize,
}

/// The identities that send.
#[derive(Clone, Debug)]
pub struct Pool {
    controls: Vec<Controller>,
    /// How many requests each may have in flight, as of the last look.
    widths: Vec<usize>,
    /// Who is asked first, so that equals take turns.
    turn: usize,
}

impl Pool {
    /// Deals the width out. Where it is less than one for each, the last identities are left out.
    pub fn new(shares: Shares) -> Self {
        let Shares { identities, width, hint, size, size_max } = shares;
        let count = match width {
            Setting::Auto => identities.max(1),
            Setting::Fixed(width) => identities.min(width).max(1),
        };
        let controls: Vec<_> = (0..count)
            .map(|place| {
                let width = match width {
                    Setting::Auto => Setting::Auto,
                    Setting::Fixed(width) => {
                        Setting::Fixed(width / count + usize::from(place < width % count))
                    }
                };
                // Those behind the first send what is cut for it.
                let size = match size {
                    Setting::Auto if place > 0 => Setting::Fixed(super::SIZE_FIRST),
                    size => size,
                };
                Controller::new(width, hint, size, size_max)
            })
            .collect();
        Self { widths: vec![0; count], controls, turn: 0 }
    }

    /// The identity's own.
    pub fn of(&mut self, identity: usize) -> &mut Controller {
        &mut self.controls[identity]
    }

    /// Looks at how much each may send now.
    pub fn look(&mut self, now: Instant) {
        for (width, control) in self.widths.iter_mut().zip(&mut self.controls) {
            *width = control.width(now);
        }
    }

    /// Who has the most room, as of the last look.
    pub fn pick(&mut self) -> Option<usize> {
        let count = self.controls.len();
        let room = |identity: usize| {
            self.widths[identity].saturating_sub(self.controls[identity].in_flight())
        };
        let turns = (0..count).map(|step| (self.turn + step) % count);
        // The first of equals.
        let (left, identity) =
            turns.map(|identity| (room(identity), identity)).rev().max_by_key(|(left, _)| *left)?;
        if left == 0 {
            return None;
        }
        self.turn = (identity + 1) % count;
        Some(identity)
    }

    /// The width that is aimed at for all together, pauses or not.
    pub fn width_ceiling(&self) -> usize {
        self.controls.iter().map(Controller::width_ceiling).sum()
    }

    /// The best widths known, together, and the best size; what is tried now may be another.
    pub fn base(&self) -> Point {
        let width = self.controls.iter().map(|control| control.base().width).sum();
        Point { width, size: self.controls[0].base().size }
    }

    /// How many rows a new message carries.
    pub fn size(&self) -> usize {
        self.controls[0].size()
    }

    /// A message of `rows` rows was too slow or too large, whoever sent it.
    pub fn was_too_much(&mut self, rows: usize) {
        self.controls[0].was_too_much(rows);
    }

    /// When to look again though nothing happened.
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        self.controls.iter().filter_map(Controller::next_change).filter(|at| *at > now).min()
    }

    /// Until when everybody pauses; none while somebody does not.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        let ends =
            self.controls.iter().map(|control| control.paused_until().filter(|at| *at > now));
        ends.collect::<Option<Vec<_>>>()?.into_iter().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Limit;
    use std::time::Duration;

    fn pool(identities: usize, width: usize) -> Pool {
        let (width, size) = (Setting::Fixed(width), Setting::Fixed(10));
        Pool::new(Shares { identities, width, hint: None, size, size_max: 100 })
    }

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Who sends until nobody may.
    fn picked(pool: &mut Pool, now: Instant) -> Vec<usize> {
        pool.look(now);
        let mut picked = Vec::new();
        while let Some(identity) = pool.pick() {
            pool.of(identity).launched(now, 10);
            picked.push(identity);
        }
        picked
    }

    #[test]
    fn the_width_is_dealt_out_and_identities_take_turns() {
        let mut three = pool(3, 7);
        assert_eq!(three.width_ceiling(), 7);
        assert_eq!(picked(&mut three, start()), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(picked(&mut pool(3, 2), start()), [0, 1]);
        assert_eq!(picked(&mut pool(1, 3), start()), [0, 0, 0]);
    }

    #[test]
    fn one_that_pauses_leaves_the_others_running_and_comes_back() {
        let now = start();
        let mut two = pool(2, 4);
        two.of(0).throttled(now, Some(Duration::from_secs(10)), Limit::Requests);
        assert_eq!(picked(&mut two, now), [1, 1]);
        assert_eq!(two.paused_until(now), None, "the other one runs");
        assert_eq!(two.next_change(now), Some(now + Duration::from_secs(10)));
        two.of(1).throttled(now, Some(Duration::from_secs(4)), Limit::Requests);
        assert_eq!(two.paused_until(now), Some(now + Duration::from_secs(4)));
        // Half as many as before are sent when it is over.
        assert_eq!(picked(&mut two, now + Duration::from_secs(10)), [0]);
    }
}
