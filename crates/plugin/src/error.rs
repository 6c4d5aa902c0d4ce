//! What can go wrong with the host itself. What goes wrong with a run is a `StepFault` of the pipeline.

use std::path::PathBuf;

/// Why the host could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused.
    #[error("the component engine failed while {doing}: {why}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// Its own words.
        why: String,
    },
    /// The directory of compiled components cannot be used.
    #[error("the directory of compiled components `{path}` cannot be used")]
    Cache {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        why: std::io::Error,
    },
    /// Webhooks cannot be sent.
    #[error("the client of webhooks cannot be made: {0}")]
    Webhooks(String),
}
