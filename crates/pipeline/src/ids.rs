//! Where new ids come from: one source, time-ordered, so that indexes grow at their end.
//!
//! Layout: UUID version 7. The 74 bits below the time hold a counter that starts at a random place
//! and only grows, so ids of one process ascend in the order in which they were taken.

use model::{Timestamp, Uuid};
use std::sync::Mutex;

/// Gives ids. Invariant: each is larger than the one before.
#[derive(Debug)]
pub(crate) struct IdSource {
    last: Mutex<State>,
}

#[derive(Debug)]
struct State {
    millisecond: u64,
    counter: u128,
    step_seed: u64,
}

/// The 74 bits below time and version.
const COUNTER_BITS: u32 = 74;

impl IdSource {
    /// A source whose counter begins where `entropy` says.
    pub(crate) fn new(entropy: u128) -> Self {
        let step_seed = (entropy >> 64) as u64 | 1;
        // The top bit stays free, so that a second's worth of steps cannot overflow.
        let counter = entropy & ((1 << (COUNTER_BITS - 1)) - 1);
        Self { last: Mutex::new(State { millisecond: 0, counter, step_seed }) }
    }

    /// Takes `count` ids at once, ascending.
    pub(crate) fn take(&self, count: usize, now: Timestamp) -> Vec<Uuid> {
        let millisecond = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000);
        let mut state = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.millisecond = state.millisecond.max(millisecond);
        (0..count).map(|_| state.next()).collect()
    }

    /// Takes `count` numbers by chance.
    pub(crate) fn chances(&self, count: usize) -> Vec<u64> {
        let mut state = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (0..count).map(|_| state.step().wrapping_mul(0x2545_f491_4f6c_dd1d)).collect()
    }
}

impl State {
    fn step(&mut self) -> u64 {
        self.step_seed ^= self.step_seed << 13;
        self.step_seed ^= self.step_seed >> 7;
        self.step_seed ^= self.step_seed << 17;
        self.step_seed
    }

    fn next(&mut self) -> Uuid {
        // Steps of changing size: one id does not tell how many were made since another.
        self.step();
        self.counter += u128::from(self.step_seed >> 32) + 1;
        if self.counter >> COUNTER_BITS != 0 {
            self.counter = 0;
            self.millisecond += 1;
        }
        let high = (self.counter >> 62) & 0xfff;
        let low = self.counter & ((1 << 62) - 1);
        Uuid::from_u128(
            u128::from(self.millisecond & 0xffff_ffff_ffff) << 80
                | 7 << 76
                | high << 64
                | 2 << 62
                | low,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_are_version_7() {
        let source = IdSource::new(u128::MAX);
        let mut ids = source.take(1_000, Timestamp(1_700_000_000));
        ids.extend(source.take(1_000, Timestamp(1_600_000_000)));
        ids.extend(source.take(1_000, Timestamp(1_700_000_001)));
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(
            ids.iter()
                .all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
        );
    }
}
