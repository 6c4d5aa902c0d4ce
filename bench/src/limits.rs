//! What it costs to let a request in: the limiter alone, on a virtual clock.
//!
//! In: nothing. Out: one line, nanoseconds for an admission and its end, and for a refusal.
//! Not here: the lock around it and the service (`bulk` and `singles` measure those).
//! Invariant: every user has a full window behind it, so that each admission also forgets.

use std::hint::black_box;
use std::time::{Duration, Instant};

use uuid::Uuid;
use webapi::{Facets, Limiter};

/// By this name `--only` finds it.
pub(crate) const NAME: &str = "limits: admission";

const USERS: u32 = 1_000;
/// Requests of each round: every user once.
const ROUNDS: u32 = 1_000;
/// What the design allows for one.
const TARGET: Duration = Duration::from_micros(5);

/// Measures and prints.
pub(crate) fn measure() {
    let users: Vec<Uuid> = (0..USERS).map(|user| Uuid::from_u128(user.into())).collect();
    // Two windows of warming up at one request a second and user.
    let mut limiter = Limiter::new(Facets::DATAVERSE);
    let mut second = 0;
    let mut rounds = |count: u32| {
        let started = Instant::now();
        for _ in 0..count {
            second += 1;
            for (place, user) in users.iter().enumerate() {
                let now = Duration::from_secs(second) + Duration::from_micros(place as u64);
                let admitted = black_box(limiter.admit(now, *user));
                assert!(admitted.is_ok(), "one request a second is far below the limit");
                limiter.complete(now, *user, Duration::from_millis(1));
            }
        }
        started.elapsed()
    };
    rounds(2 * Facets::DATAVERSE.window_seconds);
    let admission = rounds(ROUNDS) / (ROUNDS * USERS);

    let mut limiter = Limiter::new(Facets { requests: 1, ..Facets::DATAVERSE });
    for user in &users {
        assert!(limiter.admit(Duration::ZERO, *user).is_ok(), "the first of each");
    }
    let started = Instant::now();
    for _ in 0..ROUNDS {
        for user in &users {
            assert!(black_box(limiter.admit(Duration::ZERO, *user)).is_err(), "the second of each");
        }
    }
    let refusal = started.elapsed() / (ROUNDS * USERS);
    let verdict = if admission.max(refusal) < TARGET { "" } else { ": TOO SLOW" };
    println!(
        "\n{NAME} and end {} ns, refusal {} ns, with {USERS} users (target: < {} ns){verdict}",
        admission.as_nanos(),
        refusal.as_nanos(),
        TARGET.as_nanos()
    );
}
