//! How a run sends: what the caller chooses.

use crate::confirm::Asker;
use crate::controller::Setting;
use crate::journal::{Counts, Outcome};
use crate::report::Head;
use crate::rows::Operation;
use std::time::Duration;

/// How a run sends.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests in flight.
    pub width: Setting,
    /// What the service recommends for it.
    pub width_hint: Option<usize>,
    /// Rows in a message.
    pub size: Setting,
    /// The most rows in a message that the table takes.
    pub size_max: usize,
    /// Bytes in a message.
    pub bytes_max: usize,
    /// Extra attempts for rows that failed.
    pub retries: u32,
    /// The wait before the first of them.
    pub initial_retry_delay: Duration,
    /// For jitter.
    pub random: u64,
    /// Which bulk messages are used, by [`Operation`]. Other rows travel in `$batch`, and alone where a
    /// message carries one row.
    pub has_bulk: [bool; Operation::ALL.len()],
    /// After so many bad rows in one message its other rows travel in `$batch`.
    pub bisect_limit: u32,
    /// Rows of a refused message all fail, for measuring.
    pub no_fallback: bool,
    /// A refusal that would hit every row does not stop the run.
    pub keep_going: bool,
    /// When so many rows have failed nothing new is sent.
    pub errors_max: Option<ErrorsMax>,
    /// Throttling that goes on for longer stops the run.
    pub throttle_max: Option<Duration>,
    /// New records to which the service gives ids are sent again though an answer was lost.
    pub retry_ambiguous: bool,
    /// Nothing is sent; rows end as they would if all went well.
    pub what_if: bool,
    /// Who is asked before a batch leaves; nobody where there is none.
    pub confirm: Option<Asker>,
    /// Where rows are told in input order: how far that is. No more are taken up than may be in flight or wait behind it.
    pub head: Option<Head>,
    /// Requests in flight, whatever the width.
    pub in_flight_max: Option<usize>,
}

/// How many bad rows in one message are told apart before its other rows travel in `$batch`.
pub const BISECT_LIMIT: u32 = 8;

impl Default for Settings {
    fn default() -> Self {
        Self {
            width: Setting::Auto,
            width_hint: None,
            size: Setting::Auto,
            size_max: crate::controller::SIZE_MAX,
            bytes_max: super::BODY_BYTES_MAX,
            retries: 0,
            initial_retry_delay: Duration::from_secs(5),
            random: 0,
            has_bulk: Operation::ALL.map(|operation| {
                matches!(operation, Operation::Create | Operation::Update | Operation::Upsert)
            }),
            bisect_limit: BISECT_LIMIT,
            no_fallback: false,
            keep_going: false,
            errors_max: None,
            throttle_max: None,
            retry_ambiguous: false,
            what_if: false,
            confirm: None,
            head: None,
            in_flight_max: None,
        }
    }
}

/// How many rows may fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ErrorsMax {
    /// So many.
    Rows(u64),
    /// So many of a hundred that have ended; looked at from the hundredth on.
    Percent(f64),
}

impl ErrorsMax {
    #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
    pub(super) fn is_passed(self, counts: &Counts) -> bool {
        let (failed, closed) = (counts.of(Outcome::Failed), counts.closed());
        match self {
            Self::Rows(rows) => failed >= rows,
            Self::Percent(share) => closed >= 100 && failed as f64 * 100.0 > share * closed as f64,
        }
    }
}
