//! Many inputs for one parser, or for a whole service.
//!
//! Out: how many were taken for right, and the longest time one took. A failure names seed and input.
//! Not here: which parser. Invariant: the same seed gives the same inputs.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use testkit::draw::Draw;

use crate::Reader;
use crate::mutate::{mutate, noise};

/// How often a smaller input is tried after a failure.
const SHRINKS_MAX: usize = 400;

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Inputs.
    pub cases: usize,
    /// Those that were taken for right.
    pub taken: usize,
    /// The longest time that one took.
    pub slowest: Duration,
    /// That one.
    pub slowest_input: Vec<u8>,
}

/// Where inputs come from: texts of a grammar and of `conformance/`, as they are and changed, and noise.
pub struct Inputs<'a> {
    /// A text that is nearly right.
    pub write: &'a dyn Fn(&mut Draw) -> Vec<u8>,
    /// Texts that somebody really sends.
    pub seeds: &'a [Vec<u8>],
}

impl Inputs<'_> {
    /// The next input.
    #[must_use]
    pub fn draw(&self, draw: &mut Draw) -> Vec<u8> {
        match draw.below(10) {
            0 => noise(draw),
            1..4 => (self.write)(draw),
            4..7 if !self.seeds.is_empty() => {
                let seed = self.seeds[draw.index(self.seeds.len())].clone();
                mutate(draw, seed, self.seeds)
            }
            _ => {
                let text = (self.write)(draw);
                mutate(draw, text, self.seeds)
            }
        }
    }
}

/// Gives a reader its seeds and so many inputs.
///
/// # Panics
/// With a small input where the reader panics.
pub fn reader(reader: &Reader, seeds: &[Vec<u8>], seed: u64, cases: usize) -> Report {
    let inputs = Inputs { write: &|draw| reader.write(draw), seeds };
    let mut draw = Draw::new(seed);
    let mut report = Report::default();
    for case in 0..seeds.len() + cases {
        let input = seeds.get(case).cloned().unwrap_or_else(|| inputs.draw(&mut draw));
        if let Err(why) = one(&mut report, &input, &reader.read) {
            let small = smaller(&input, &|bytes| fails(bytes, reader.read));
            panic!(
                "{}: case {case} of seed {seed}: {why}\ninput: {}",
                reader.name,
                small.escape_ascii()
            );
        }
    }
    report
}

/// Gives one input to whoever tells whether it is right, and keeps the time.
///
/// Errors: the words of a panic.
pub fn one(report: &mut Report, input: &[u8], read: &dyn Fn(&[u8]) -> bool) -> Result<(), String> {
    let started = now();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| read(input)));
    let taken = now().duration_since(started);
    report.cases += 1;
    if taken > report.slowest {
        report.slowest = taken;
        report.slowest_input = input.to_vec();
    }
    match outcome {
        Ok(is_right) => {
            report.taken += usize::from(is_right);
            Ok(())
        }
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()),
    }
}

fn fails(input: &[u8], read: fn(&[u8]) -> bool) -> bool {
    panic::catch_unwind(|| read(input)).is_err()
}

/// An input that still fails, with pieces left out.
fn smaller(input: &[u8], fails: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut input = input.to_vec();
    let mut piece = input.len() / 2;
    let mut tries = 0;
    while piece > 0 && tries < SHRINKS_MAX {
        let mut start = 0;
        while start < input.len() && tries < SHRINKS_MAX {
            let mut shorter = input.clone();
            shorter.drain(start..(start + piece).min(input.len()));
            tries += 1;
            match fails(&shorter) {
                true => input = shorter,
                false => start += piece,
            }
        }
        piece /= 2;
    }
    input
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs this by hand wants to see what is slow"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_made_small_and_named() {
        fn read(bytes: &[u8]) -> bool {
            assert!(!bytes.contains(&b'!'), "an exclamation");
            true
        }
        let reader = Reader { name: "loud", rule: "filter", read };
        let seeds = [b"a long text with ! in it".to_vec()];
        let failed = panic::catch_unwind(|| super::reader(&reader, &seeds, 1, 0));
        let why = failed.expect_err("it fails");
        let why = why.downcast_ref::<String>().expect("words");
        assert_eq!(why, "loud: case 0 of seed 1: an exclamation\ninput: !");
    }
}
