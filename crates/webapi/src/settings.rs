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
    /// Requests that a caller may make in five minutes. Shown, not enforced.
    pub requests_max: u32,
    /// Execution time that a caller may use in five minutes. Shown, not enforced.
    pub execution_time_max: Duration,
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
            requests_max: 6_000,
            execution_time_max: Duration::from_secs(1_200),
        }
    }
}
