//! Ids of new records: made before sending, so that a repeat can be recognised.
//!
//! Invariant: the same seed and ordinal give the same id; ids ascend with the ordinal in byte order.

use uuid::Uuid;

/// What the ids of one run grow from. Made once, at the rim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Milliseconds since 1970 at the start of the run.
    pub started_ms: u64,
    /// Random bits.
    pub random: u64,
}

impl Seed {
    /// The id of the row with this ordinal: version 7 layout, 48 bits of time, 32 bits of ordinal,
    /// 42 random bits of the run. Every 2^32 rows the time moves on by one millisecond.
    pub fn id(self, ordinal: u64) -> Uuid {
        let time = (self.started_ms + (ordinal >> 32)) & 0xffff_ffff_ffff;
        let count = ordinal & 0xffff_ffff;
        let upper = (time << 16) | 0x7000 | (count >> 20);
        let lower = (0b10 << 62) | ((count & 0xf_ffff) << 42) | (self.random >> 22);
        Uuid::from_u64_pair(upper, lower)
    }
}

/// A small source of chance for jitter, reproducible from its seed (the public-domain splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A factor between 0.8 and 1.2.
    pub fn jitter(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        #[expect(clippy::cast_precision_loss, reason = "52 bits are exact")]
        let unit = (bits >> 12) as f64 / (1u64 << 52) as f64;
        0.8 + 0.4 * unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_repeat_for_the_same_run_and_row() {
        let seed = Seed { started_ms: 1_700_000_000_000, random: 0xdead_beef_dead_beef };
        let ordinals = [0, 1, 2, 0xf_ffff, 0x10_0000, 0xffff_ffff, 0x1_0000_0000, 1 << 40];
        let ids: Vec<_> = ordinals.iter().map(|ordinal| seed.id(*ordinal)).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
        assert_eq!(seed.id(7), seed.id(7));
        assert_ne!(seed.id(7), Seed { random: 1 << 30, ..seed }.id(7));
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
        }
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let mut dice = Dice::new(3);
        for _ in 0..1_000 {
            let factor = dice.jitter();
            assert!((0.8..=1.2).contains(&factor), "{factor}");
        }
    }
}
