//! Refusals for what a request costs: the service protection limits, and the deadline of a request.
//!
//! Source: bulk.md 8.1, 8.2 and 8.8. Not here: counting (`limits`).

use super::Problem;
use crate::limits::{Facet, Refusal};
use http::StatusCode;
use model::code;
use std::time::Duration;

impl Problem {
    /// 429: a facet of the service protection limits is used up.
    pub(crate) fn limited(refusal: &Refusal) -> Self {
        let code = match refusal.facet {
            Facet::Requests => code::THROTTLING_BURST_REQUEST_LIMIT_EXCEEDED,
            Facet::ExecutionTime => code::THROTTLING_TIME_EXCEEDED,
            Facet::Concurrency => code::THROTTLING_CONCURRENCY_LIMIT_EXCEEDED,
        };
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, refusal.to_string())
    }

    /// 500: the request took longer than it may. What it began goes on.
    pub(crate) fn timed_out(allowed: Duration) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code::SQL_TIMEOUT,
            "SQL timeout expired. CRM ErrorCode: -2147204783 Sql ErrorCode: -2146232060 Sql \
             Number: -2",
        )
        .hint(format!(
            "a request may take {} seconds; what it began goes on to its end, so look before \
             sending it again",
            allowed.as_secs_f64()
        ))
    }
}
