//! What one user did in the window that slides, in buckets of a second each.
//!
//! A bucket leaves the window as a whole, once its latest entry has: so no span as long as the window
//! ever holds more than the limit, and no wait is longer than the window.
//! Not here: who the users are (`limits`).
//! Invariant: arrivals and endings have buckets of their own, so that a request that ends during a wait
//! for arrivals does not make it longer.

use super::{CONCURRENCY_WAIT_SECONDS, Facet, Facets, Refusal, Remaining};
use std::collections::VecDeque;
use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Window {
    /// Requests, at their arrival.
    requests: Buckets<u64>,
    /// Execution time, at its end.
    time: Buckets<Duration>,
    in_flight: u32,
    block: Option<Block>,
}

/// Until then every request is refused for this facet.
#[derive(Clone, Copy, Debug)]
struct Block {
    facet: Facet,
    until: Duration,
}

impl Window {
    pub(super) fn admit(&mut self, now: Duration, facets: &Facets) -> Result<Remaining, Refusal> {
        self.forget(now, facets);
        if let Some(block) = &mut self.block {
            block.until = (block.until + Duration::from_secs(1)).min(now + facets.window());
            let Block { facet, until } = *block;
            return Err(self.refusal(facet, whole_seconds(until - now), facets));
        }
        // Of several facets the one that lasts longest: whoever waits for it is not refused for another.
        let crowded = facets.concurrent > 0 && self.in_flight >= facets.concurrent;
        match self.used_up(now, facets) {
            Some((facet, seconds)) if !crowded || seconds > CONCURRENCY_WAIT_SECONDS => {
                let until = now + Duration::from_secs(seconds.into());
                self.block = Some(Block { facet, until });
                return Err(self.refusal(facet, seconds, facets));
            }
            _ if crowded => {
                return Err(self.refusal(Facet::Concurrency, CONCURRENCY_WAIT_SECONDS, facets));
            }
            _ => {}
        }
        self.in_flight += 1;
        self.requests.add(now, 1);
        Ok(self.remaining(facets))
    }

    pub(super) fn complete(&mut self, now: Duration, took: Duration, facets: &Facets) {
        self.forget(now, facets);
        debug_assert!(self.in_flight > 0, "what ends was admitted");
        self.in_flight = self.in_flight.saturating_sub(1);
        self.time.add(now, took);
    }

    /// Drops what has left the window, and a block that is over.
    pub(super) fn forget(&mut self, now: Duration, facets: &Facets) {
        self.requests.forget(now, facets.window());
        self.time.forget(now, facets.window());
        if self.block.is_some_and(|block| block.until <= now) {
            self.block = None;
        }
    }

    /// Whether nothing of this user counts any more.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
            && self.block.is_none()
            && self.requests.is_empty()
            && self.time.is_empty()
    }

    /// The facet of the window that the next request would find used up, and for how many seconds. Of
    /// two the one that lasts longer.
    fn used_up(&self, now: Duration, facets: &Facets) -> Option<(Facet, u32)> {
        let window = facets.window();
        let seconds =
            |leaves: Duration| whole_seconds(leaves.saturating_sub(now)).min(facets.window_seconds);
        let requests = facets.requests_max().and_then(|max| {
            let leaves = self.requests.leaves_when(window, |left| left < max)?;
            Some((Facet::Requests, seconds(leaves)))
        });
        let time = facets.execution_time_max().and_then(|max| {
            let leaves = self.time.leaves_when(window, |left| left <= max)?;
            Some((Facet::ExecutionTime, seconds(leaves)))
        });
        match (requests, time) {
            (Some(requests), Some(time)) if time.1 > requests.1 => Some(time),
            (requests, time) => requests.or(time),
        }
    }

    fn remaining(&self, facets: &Facets) -> Remaining {
        let whole = Remaining::whole();
        let requests = facets.requests_max().map(|max| max.saturating_sub(self.requests.sum));
        let time = facets.execution_time_max().map(|max| max.saturating_sub(self.time.sum));
        Remaining { requests: requests.unwrap_or(whole.requests), time: time.unwrap_or(whole.time) }
    }

    fn refusal(&self, facet: Facet, retry_after: u32, facets: &Facets) -> Refusal {
        Refusal { facet, retry_after, remaining: self.remaining(facets), facets: *facets }
    }
}

/// Amounts by the second in which they came, in the order of time, and their sum.
#[derive(Debug, Default)]
struct Buckets<T> {
    buckets: VecDeque<Bucket<T>>,
    sum: T,
}

#[derive(Clone, Copy, Debug)]
struct Bucket<T> {
    /// When the latest amount of this second came.
    latest: Duration,
    amount: T,
}

impl<T: Copy + AddAssign + SubAssign> Buckets<T> {
    fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    fn add(&mut self, now: Duration, amount: T) {
        self.sum += amount;
        match self.buckets.back_mut() {
            Some(last) if last.latest.as_secs() == now.as_secs() => {
                last.latest = now;
                last.amount += amount;
            }
            _ => self.buckets.push_back(Bucket { latest: now, amount }),
        }
    }

    /// Drops what has left the window.
    fn forget(&mut self, now: Duration, window: Duration) {
        let has_left = |bucket: &mut Bucket<T>| bucket.latest + window <= now;
        while let Some(bucket) = self.buckets.pop_front_if(has_left) {
            self.sum -= bucket.amount;
        }
    }

    /// When enough will have left the window; `None` when it has already.
    fn leaves_when(&self, window: Duration, enough: impl Fn(T) -> bool) -> Option<Duration> {
        let mut left = self.sum;
        let mut leaves = None;
        for bucket in &self.buckets {
            if enough(left) {
                break;
            }
            left -= bucket.amount;
            leaves = Some(bucket.latest + window);
        }
        leaves
    }
}

/// Rounded up, at least 1.
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}
