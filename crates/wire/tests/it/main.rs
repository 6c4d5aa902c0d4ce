//! Tests of the whole room through its public door.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that fails here fails where it should; fixtures are small"
)]

mod batch;
mod fixture;
mod hostile;
mod metadata;
mod record;
mod reference;
mod round_trip;
mod targets;
