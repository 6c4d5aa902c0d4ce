//! Numbers drawn from a seed: the same seed gives the same run.
//!
//! In: a seed. Out: numbers, texts and ids. Splitmix64: fast, even, and nothing secret.
//! Not here: ids of the product, which come from its own source.
//! Invariant: no clock and no entropy of the machine is looked at.

use uuid::Uuid;

/// A source of numbers.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A source that always draws the same.
    #[must_use]
    pub fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// A place in something of this length, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a usize")
    }

    /// Lower-case letters and digits.
    pub fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz0123456";
        (0..length).map(|_| char::from(LETTERS[self.index(LETTERS.len())])).collect()
    }

    /// An id in the layout of version 7, whose order is that of `count`.
    pub fn ordered_id(&mut self, count: u64) -> Uuid {
        // 2024-01-01 in milliseconds; one count, one millisecond.
        let time = (1_704_067_200_000 + count) & 0xffff_ffff_ffff;
        let random = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        let variant = 0b10_u128 << 62;
        let low = random & 0x0fff_3fff_ffff_ffff_ffff;
        Uuid::from_u128((u128::from(time) << 80) | (7 << 76) | variant | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_draws_and_ordered_ids_ascend() {
        let draws = |seed| {
            let mut draw = Draw::new(seed);
            (draw.bits(), draw.word(8), draw.below(10))
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        let mut draw = Draw::new(1);
        let ids: Vec<Uuid> = (0..1000).map(|count| draw.ordered_id(count)).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
