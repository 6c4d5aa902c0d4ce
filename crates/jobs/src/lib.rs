//! Runs background jobs: bulk deletes, a thousand rows a step, and asynchronous steps, one run a job.
//!
//! In reading order: `state` (what to do with a job's row: pure), `row` (rows of jobs, read and
//! written), `step` (one step of a job: look, read a page, write), `worker` (the rim: claim, run, release).
//! Not here: making a job and what callers may do to it (`pipeline::job`), sockets.
//! Invariants: everything a step changes in standard tables is one message, and what it deletes of an
//! elastic table is named before and counted after, so that a job killed at any place has lost
//! and repeated nothing; every write of a step holds only if the job's row is as it was looked at, so
//! that two workers never both write; a run of a step is made at least once, and its end is written once; memory holds one read of ids, however many rows there are.

mod row;
pub mod state;
mod step;
mod worker;

pub use step::STEP_ROWS_MAX;
pub use worker::{Clock, Host, Worker};

/// Why a step was not made. The row says where the job stands; another try goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pipeline refused.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// A row of a job is not what this service writes.
    #[error("the job's row is malformed: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
}

impl From<model::Fault> for Error {
    fn from(fault: model::Fault) -> Self {
        Self::Pipeline(fault.into())
    }
}
