//! What a run says: of each row, of where it stands, of its end.

use crate::controller::Point;
use crate::journal::{Counts, Outcome};
use crate::problem::Problem;
use crate::rows::{Row, Why};
use std::time::Duration;

/// What a run says while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A row has ended.
    Ended {
        /// The row.
        row: &'a Row,
        /// How.
        outcome: Outcome,
        /// Why, when it failed.
        problem: Option<&'a Problem>,
        /// Why it was left out, when it was.
        why: Option<Why>,
        /// How often it was sent.
        attempts: u32,
        /// It failed, but its record was written: only what follows the write failed.
        is_partial: bool,
    },
    /// Something moved.
    Status(Status),
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The accounts so far.
    pub counts: Counts,
    /// Requests in flight.
    pub in_flight: usize,
    /// Rows in a new message.
    pub size: usize,
    /// Requests sent.
    pub requests: u64,
    /// How long everybody still pauses.
    pub paused: Option<Duration>,
}

/// What an identity did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// What the user calls it; empty where there is one alone.
    pub name: String,
    /// Requests sent as it.
    pub requests: u64,
    /// How many of them were throttled.
    pub throttles: u64,
}

/// Why a run stopped early.
#[derive(Clone, Debug)]
pub enum Halt {
    /// It was asked to.
    Interrupted,
    /// The service refuses whatever it is sent.
    Refused(Problem),
    /// The service could not be reached for too long.
    Unreachable(Problem),
    /// More rows failed than may.
    TooManyErrors,
    /// The journal cannot be written.
    Journal(String),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The accounts; all rows are closed.
    pub counts: Counts,
    /// Why it stopped early.
    pub halt: Option<Halt>,
    /// Requests sent.
    pub requests: u64,
    /// Most requests in flight at a time.
    pub in_flight_most: usize,
    /// Messages that were sent again in two parts.
    pub splits: u64,
    /// Messages of which so much was bad that their rest travelled in a `$batch`.
    pub detours: u64,
    /// What width and size were last known to be best, or were given: the widths of all identities together.
    pub point: Point,
    /// What each identity did.
    pub identities: Vec<Used>,
}

impl Summary {
    /// How often the service asked to slow down, whoever called.
    pub fn throttles(&self) -> u64 {
        self.identities.iter().map(|used| used.throttles).sum()
    }
}
