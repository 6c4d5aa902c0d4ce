//! Runs a test on random cases and shrinks the first one that fails.
//!
//! Not here: what the cases are. Invariant: the same seed gives the same cases; a failure prints the
//! seed and the smallest failing case that was found.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fmt::Debug;

/// How often a failing case is made smaller, at most.
const SHRINKS_MAX: u32 = 400;

/// Runs the test on `SHEAF_CASES` random values, or on that many by default.
///
/// The test answers what is wrong instead of panicking, so that its case can be shrunk.
pub(super) async fn for_cases<S>(
    strategy: S,
    cases_default: u32,
    test: impl AsyncFn(&S::Value) -> Result<(), String>,
) where
    S: Strategy,
    S::Value: Debug,
{
    let cases = number("SHEAF_CASES").and_then(|cases| u32::try_from(cases).ok());
    let seed = number("SHEAF_SEED").unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for case in 0..cases.unwrap_or(cases_default) {
        let mut tree = strategy.new_tree(&mut runner).expect("the strategy makes values");
        if let Err(why) = test(&tree.current()).await {
            let (smallest, why) = shrink(&mut tree, why, &test).await;
            panic!("case {case} of seed {seed} fails: {why}\nsmallest: {smallest:#?}");
        }
    }
}

async fn shrink<T: ValueTree>(
    tree: &mut T,
    why: String,
    test: &impl AsyncFn(&T::Value) -> Result<(), String>,
) -> (T::Value, String) {
    let mut smallest = (tree.current(), why);
    let mut smaller = tree.simplify();
    for _ in 0..SHRINKS_MAX {
        if !smaller {
            break;
        }
        let value = tree.current();
        smaller = match test(&value).await {
            Err(why) => {
                smallest = (value, why);
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    smallest
}

pub(super) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}
