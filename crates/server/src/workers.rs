//! The workers of background jobs, as long as the service runs.
//!
//! Not here: what a worker does (`jobs`). Invariant: shutdown waits for them; a job under way stops at
//! its next step and is released.

use crate::clock;
use crate::options::{Options, StoreChoice};
use jobs::{Host, Worker};
use pipeline::Pipeline;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Jobs that one process runs at a time: one long job does not hold up a short one, and requests keep
/// most of the store.
const WORKERS: usize = 2;

/// Characters of a node's name that a worker is called by.
const NODE_CHARACTERS_MAX: usize = 100;

/// Starts the workers; answers what to wait for after `stop`.
pub(crate) fn start(
    pipeline: &Arc<Pipeline>,
    options: &Options,
    stop: &CancellationToken,
) -> TaskTracker {
    let tracker = TaskTracker::new();
    let node = match (&options.store, &options.node) {
        // One process at a time has the directory: what was left there under this name is its own.
        (StoreChoice::Directory(_), _) => "data".to_owned(),
        // Nodes have different names: what was left under this one is its own, too.
        (StoreChoice::Postgres(_), Some(name)) => name.chars().take(NODE_CHARACTERS_MAX).collect(),
        // Others may share the database; what they left is taken when their lease has run out.
        (StoreChoice::Postgres(_), None) => clock::request_id().to_string(),
    };
    for slot in 1..=WORKERS {
        let host = Host(format!("{node}/{slot}").into());
        let worker = Worker::new(pipeline.clone(), host, Arc::new(clock::now));
        tracker.spawn(worker.work(stop.clone()));
    }
    tracker.close();
    tracker
}
