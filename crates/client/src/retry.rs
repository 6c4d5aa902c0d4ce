//! When a piece of work is sent again: pure rules over what it has been through.
//!
//! In: what passed so far and the newest reason. Out: how long to wait, or to give up.
//! Not here: throttling, which pauses everybody and is never given up (`controller`).
//! Invariant: each reason is counted on its own and given up after its own number of attempts.

use crate::ids::Dice;
use crate::verdict::Transient;
use std::time::Duration;

/// What a piece of work has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    counts: [u8; 5],
}

impl History {
    /// How often it was waited for this reason, and how often it may be.
    pub fn attempts(&self, why: Transient) -> (u32, u32) {
        let rule = rule(why);
        (self.counts[rule.place].into(), rule.attempts.into())
    }
}

/// How a reason is waited for.
struct Rule {
    place: usize,
    first: Duration,
    grows: bool,
    most: Duration,
    attempts: u8,
}

/// Source: `client.md` 10.2.
fn rule(why: Transient) -> Rule {
    let second = Duration::from_secs(1);
    let half = Duration::from_millis(500);
    let most = Duration::from_secs(60);
    match why {
        Transient::Busy => Rule { place: 0, first: second, grows: true, most, attempts: 10 },
        Transient::Network => Rule { place: 1, first: second, grows: true, most, attempts: 10 },
        Transient::Deadlock => Rule { place: 2, first: half, grows: true, most, attempts: 5 },
        Transient::SetUp => Rule { place: 3, first: half, grows: true, most, attempts: 5 },
        Transient::ConcurrentResult => {
            Rule { place: 4, first: 2 * second, grows: false, most, attempts: 5 }
        }
    }
}

/// How long to wait before the next attempt, or none to give up.
///
/// `after` is what the service asked for; it is kept at least.
pub fn wait(
    history: &mut History,
    why: Transient,
    after: Option<Duration>,
    dice: &mut Dice,
) -> Option<Duration> {
    let rule = rule(why);
    let count = &mut history.counts[rule.place];
    if *count >= rule.attempts {
        return None;
    }
    let factor = if rule.grows { 1u32 << (*count).min(16) } else { 1 };
    *count += 1;
    let wait = (rule.first * factor).min(rule.most).mul_f64(dice.jitter());
    Some(wait.max(after.unwrap_or_default()))
}

/// How long a row waits before its `attempt`-th extra attempt (from 1) under `--retries`.
pub fn wait_extra(initial: Duration, attempt: u32, dice: &mut Dice) -> Duration {
    const MOST: Duration = Duration::from_secs(300);
    let factor = 1u32 << attempt.saturating_sub(1).min(16);
    initial.saturating_mul(factor).min(MOST).mul_f64(dice.jitter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(why: Transient, want: &[f64]) {
        let (mut history, mut dice) = (History::default(), Dice::new(1));
        for nominal in want {
            let waited = wait(&mut history, why, None, &mut dice).expect("not given up yet");
            let ratio = waited.as_secs_f64() / nominal;
            assert!((0.79..=1.21).contains(&ratio), "{why:?}: {waited:?} for {nominal} s");
        }
        assert_eq!(wait(&mut history, why, None, &mut dice), None, "{why:?}");
    }

    #[test]
    fn each_reason_has_its_own_delays_and_its_own_end() {
        check(Transient::Busy, &[1., 2., 4., 8., 16., 32., 60., 60., 60., 60.]);
        check(Transient::Network, &[1., 2., 4., 8., 16., 32., 60., 60., 60., 60.]);
        check(Transient::Deadlock, &[0.5, 1., 2., 4., 8.]);
        check(Transient::SetUp, &[0.5, 1., 2., 4., 8.]);
        check(Transient::ConcurrentResult, &[2., 2., 2., 2., 2.]);
    }

    #[test]
    fn reasons_do_not_use_up_each_others_attempts() {
        let (mut history, mut dice) = (History::default(), Dice::new(1));
        while wait(&mut history, Transient::Busy, None, &mut dice).is_some() {}
        assert!(wait(&mut history, Transient::Deadlock, None, &mut dice).is_some());
    }

    #[test]
    fn what_the_service_asks_for_is_kept_at_least() {
        let mut dice = Dice::new(1);
        let asked = Duration::from_secs(90);
        let waited = wait(&mut History::default(), Transient::Busy, Some(asked), &mut dice);
        assert_eq!(waited, Some(asked));
    }

    #[test]
    fn extra_attempts_wait_five_ten_twenty_up_to_five_minutes() {
        let mut dice = Dice::new(9);
        for (attempt, nominal) in [(1, 5.), (2, 10.), (3, 20.), (9, 300.), (40, 300.)] {
            let waited = wait_extra(Duration::from_secs(5), attempt, &mut dice).as_secs_f64();
            assert!((0.79..=1.21).contains(&(waited / nominal)), "{attempt}: {waited}");
        }
    }
}
