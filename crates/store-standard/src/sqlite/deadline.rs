//! When a running statement is over time: asked by SQLite itself every so many instructions.
//!
//! Not here: what is told then. Invariant: without a deadline nobody reads the clock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Instructions of SQLite between two looks at the clock.
pub(super) const STEPS_PER_LOOK: i32 = 10_000;

/// When the running statement is over time.
#[derive(Default)]
pub(super) struct Deadline {
    /// Milliseconds after the first use of the clock; 0 for none.
    at_ms: AtomicU64,
}

impl Deadline {
    pub(super) fn set(&self, time_max: Duration) {
        let at =
            elapsed_ms().saturating_add(u64::try_from(time_max.as_millis()).unwrap_or(u64::MAX));
        self.at_ms.store(at.max(1), Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.at_ms.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        let at = self.at_ms.load(Ordering::Relaxed);
        at != 0 && elapsed_ms() >= at
    }
}

/// Milliseconds since the first call.
fn elapsed_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the store is a rim: its statements have a deadline"
    )]
    let now = Instant::now();
    let start = *START.get_or_init(|| now);
    u64::try_from(now.saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX)
}
