//! Time and randomness: read here and handed on.

use model::{Timestamp, Uuid};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// The present instant.
#[expect(clippy::disallowed_methods, reason = "this is the rim that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Time since the first question, which never runs backwards.
#[expect(clippy::disallowed_methods, reason = "this is the rim that reads the clock")]
pub(crate) fn monotonic() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// 128 random bits.
pub(crate) fn random() -> u128 {
    let mut bytes = [0; 16];
    // Without randomness from the system the clock must do: ids are checked for uniqueness anyway.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&now().0.to_le_bytes());
    }
    u128::from_le_bytes(bytes)
}

/// A new id for a request.
pub(crate) fn request_id() -> Uuid {
    uuid_of(random())
}

fn uuid_of(bits: u128) -> Uuid {
    // Version 4, variant 1.
    Uuid::from_u128(bits & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62)
}
