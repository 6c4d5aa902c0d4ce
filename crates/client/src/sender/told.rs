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
        /// Whose answer ended it, of those that send; none where nothing was sent.
        worker: Option<usize>,
    },
    /// Something kept rows from going on, or changed how they go.
    Note(Note),
    /// Something moved.
    Status(Status),
}

/// What is told for those who want to know everything.
#[derive(Clone, Debug)]
pub enum Note {
    /// So many rows were looked at together.
    Looked(usize),
    /// Rows are sent again after a while.
    Retry {
        /// The first of them.
        ordinal: u64,
        /// How many.
        rows: usize,
        /// Who sent them.
        worker: Option<usize>,
        /// How long until then.
        wait: Duration,
        /// Which further attempt it is, …
        attempt: u32,
        /// … of how many.
        attempts_max: u32,
        /// Why.
        problem: Problem,
    },
    /// An identity pauses for so long.
    Throttled {
        /// What the user calls it; empty where there is one alone.
        name: String,
        /// How long, from now on.
        wait: Duration,
        /// Why.
        problem: Problem,
    },
    /// A message of so many rows is sent in two parts.
    Split(usize),
    /// So many rows of which many are bad travel in one `$batch`.
    Detour(usize),
    /// So many requests at once, and rows in a message, are aimed at from now on.
    Pace(Point),
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = |worker: &Option<usize>| match worker {
            Some(worker) => format!(", worker {worker}"),
            None => String::new(),
        };
        match self {
            Self::Looked(rows) => write!(f, "read: a group of {rows} rows was looked at"),
            Self::Retry { ordinal, rows, worker, wait, attempt, attempts_max, problem } => {
                let more =
                    if *rows > 1 { format!(" and {} more", rows - 1) } else { String::new() };
                let (by, wait) = (by(worker), wait.as_secs_f64());
                let why = problem.to_string();
                write!(
                    f,
                    "row {ordinal}{more}{by}: again in {wait:.1} s (attempt {attempt} of {attempts_max}): {}",
                    crate::problem::shortened(&why)
                )
            }
            Self::Throttled { name, wait, problem } => {
                let whom = if name.is_empty() { String::new() } else { format!(" `{name}`") };
                let why = problem.to_string();
                let (wait, why) = (wait.as_secs_f64(), crate::problem::shortened(&why));
                write!(f, "throttled{whom}: nothing is sent for {wait:.1} s: {why}")
            }
            Self::Split(rows) => write!(f, "batch of {rows} rows is sent in two parts"),
            Self::Detour(rows) => write!(f, "{rows} rows travel in a `$batch`: many are bad"),
            Self::Pace(Point { width, size }) => {
                write!(f, "pace: width {width}, {size} rows in a message")
            }
        }
    }
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
