//! The service protection limits: three facets per user, over a sliding window.
//!
//! In: who asks, and `now`, a time since some start that never runs backwards. Out: admitted with what is
//! left, or a [`Refusal`] with the facet and the seconds to wait. Pure: no clock, no I/O, no locks.
//! Source: bulk.md 8.1 to 8.4. Not here: answers (`fault`), where requests come from (`server`).
//! Invariants: in any span as long as the window a user has no more admitted requests than the limit; an
//! admitted request is never taken back; what is kept is bounded by the users of two windows.

mod window;

use model::Uuid;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;
use window::Window;

/// What a request refused for concurrency waits: bulk.md 8.3.
const CONCURRENCY_WAIT_SECONDS: u32 = 5;

/// How many users each admission looks at to forget those who are gone. With two, looking keeps ahead of
/// new users.
const LOOKED_AT_PER_ADMISSION: usize = 2;

/// One of the three limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// How many requests arrive in a window.
    Requests,
    /// How long the requests of a window ran, together.
    ExecutionTime,
    /// How many run at once.
    Concurrency,
}

/// The numbers of the three facets, each per user; 0 switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facets {
    /// Requests in a window.
    pub requests: u32,
    /// Seconds that the requests of a window may run, together.
    pub execution_seconds: u32,
    /// Requests at once.
    pub concurrent: u32,
    /// Seconds of the window that slides; with 0 nothing is counted in one.
    pub window_seconds: u32,
}

impl Facets {
    /// The longest window: each second of it may be a bucket in memory.
    pub const WINDOW_SECONDS_MAX: u32 = 3_600;
    /// The platform's numbers (bulk.md 8.1).
    pub const DATAVERSE: Self =
        Self { requests: 6_000, execution_seconds: 1_200, concurrent: 52, window_seconds: 300 };
    /// No limits.
    pub const OFF: Self =
        Self { requests: 0, execution_seconds: 0, concurrent: 0, window_seconds: 300 };

    /// Whether any facet is on.
    pub fn any(&self) -> bool {
        self.concurrent > 0
            || self.window_seconds > 0 && (self.requests > 0 || self.execution_seconds > 0)
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds.into())
    }

    /// Requests in a window, where they are limited.
    fn requests_max(&self) -> Option<u64> {
        (self.requests > 0 && self.window_seconds > 0).then(|| self.requests.into())
    }

    /// Execution time in a window, where it is limited.
    fn execution_time_max(&self) -> Option<Duration> {
        (self.execution_seconds > 0 && self.window_seconds > 0)
            .then(|| Duration::from_secs(self.execution_seconds.into()))
    }
}

/// What a user has left in the window, for the headers of an answer. A facet that is off shows the
/// platform's whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Requests.
    pub requests: u64,
    /// Execution time.
    pub time: Duration,
}

impl Remaining {
    /// All of it: nothing is counted.
    pub fn whole() -> Self {
        Self {
            requests: Facets::DATAVERSE.requests.into(),
            time: Duration::from_secs(Facets::DATAVERSE.execution_seconds.into()),
        }
    }
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The facet that is used up; during a block, the one that started it.
    pub facet: Facet,
    /// Whole seconds after which the next request finds the door open: 1 up to the window's length.
    pub retry_after: u32,
    /// What is left.
    pub remaining: Remaining,
    /// The numbers that hold, for the text.
    pub facets: Facets,
}

impl fmt::Display for Refusal {
    /// The platform's words with the numbers that hold (bulk.md 8.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facets { requests, execution_seconds, concurrent, window_seconds } = self.facets;
        match self.facet {
            Facet::Requests => write!(
                f,
                "Number of requests exceeded the limit of {requests} over time window of {window_seconds} seconds."
            ),
            Facet::ExecutionTime => write!(
                f,
                "Combined execution time of incoming requests exceeded limit of {} milliseconds over time window of {window_seconds} seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.",
                grouped(u128::from(execution_seconds) * 1_000)
            ),
            Facet::Concurrency => {
                write!(f, "Number of concurrent requests exceeded the limit of {concurrent}.")
            }
        }
    }
}

/// Counts what users do and says who may go on. One per server.
#[derive(Debug)]
pub struct Limiter {
    facets: Facets,
    users: HashMap<Uuid, Window>,
    /// Every user once, with the time from which on it is worth looking whether the user is gone.
    look_at: VecDeque<(Duration, Uuid)>,
    /// The latest time that was handed in.
    now: Duration,
}

impl Limiter {
    /// Starts with nobody known.
    pub fn new(facets: Facets) -> Self {
        Self { facets, users: HashMap::new(), look_at: VecDeque::new(), now: Duration::ZERO }
    }

    /// Counts one request in, or says which facet is used up and for how long.
    ///
    /// During a block every request is refused and lengthens the block by a second, up to a window from
    /// now. A refused request is counted nowhere. What is admitted must be given back by
    /// [`complete`](Self::complete). The answer tells what is left, this request already counted.
    ///
    /// Errors: a [`Refusal`].
    /// Cost: amortised constant; what has left the window is dropped here.
    /// Source: bulk.md 8.3.
    pub fn admit(&mut self, now: Duration, user: Uuid) -> Result<Remaining, Refusal> {
        self.now = self.now.max(now);
        self.forget_users();
        let window = self.users.entry(user).or_insert_with(|| {
            self.look_at.push_back((self.now + self.facets.window(), user));
            Window::default()
        });
        window.admit(self.now, &self.facets)
    }

    /// Counts an admitted request out, with the time that it took.
    pub fn complete(&mut self, now: Duration, user: Uuid, took: Duration) {
        self.now = self.now.max(now);
        let window = self.users.get_mut(&user);
        debug_assert!(window.is_some(), "a user with a request in flight is never forgotten");
        if let Some(window) = window {
            window.complete(self.now, took, &self.facets);
        }
    }

    /// How many users are kept in memory.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Looks at a few users and forgets those of whom nothing counts any more.
    fn forget_users(&mut self) {
        for _ in 0..LOOKED_AT_PER_ADMISSION {
            let Some((_, user)) = self.look_at.pop_front_if(|(from, _)| *from <= self.now) else {
                return;
            };
            let gone = self.users.get_mut(&user).is_none_or(|window| {
                window.forget(self.now, &self.facets);
                window.is_idle()
            });
            if gone {
                self.users.remove(&user);
            } else {
                self.look_at.push_back((self.now + self.facets.window(), user));
            }
        }
    }
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Seconds with two decimals and commas between thousands, rounded down: `1,200.00`.
pub(crate) fn grouped_seconds(time: Duration) -> String {
    format!("{}.{:02}", grouped(time.as_secs().into()), time.subsec_millis() / 10)
}

#[cfg(test)]
mod tests;
