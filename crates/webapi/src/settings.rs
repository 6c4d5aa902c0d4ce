//! What an operator can set about the Web API.

use std::time::Duration;

/// What an operator can set about the Web API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest request body, in bytes after decoding.
    pub body_bytes_max: usize,
    /// Bytes of answers after which no further part of a batch is run.
    pub batch_answers_bytes_max: usize,
    /// The largest page.
    pub page_size_max: u32,
    /// How many requests at once the service recommends to each client.
    pub dop_hint: u32,
    /// How long a request may take; for the text of the answer to one that took longer.
    pub request_time_max: Duration,
    /// The most rows that one aggregate may read; `None` for any number.
    pub aggregate_rows_max: Option<u64>,
    /// The name of this node, where there are several: answers carry an affinity cookie.
    pub node: Option<String>,
    /// Origins whose pages may call, as browsers name them; `*` for all. Empty: none.
    pub allowed_origins: Vec<String>,
}

/// No client gains by more requests at once than the platform's concurrency limit.
const DOP_HINT_MAX: usize = 52;

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let dop_hint = (cores * 2).clamp(4, DOP_HINT_MAX);
        Self {
            body_bytes_max: 134_217_728,
            batch_answers_bytes_max: 268_435_456,
            page_size_max: query::odata::limits::PAGE_SIZE_MAX,
            dop_hint: u32::try_from(dop_hint).unwrap_or(u32::MAX),
            request_time_max: Duration::from_secs(240),
            aggregate_rows_max: None,
            node: None,
            allowed_origins: Vec::new(),
        }
    }
}
