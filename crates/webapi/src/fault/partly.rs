//! The answer to a bulk message on an elastic table of which some targets failed.
//!
//! Source: bulk.md 1.9: a status per target, in a text that holds a JSON list.

use super::Problem;
use http::StatusCode;
use model::{Failure, Fault, MessageName, Uuid, code};
use pipeline::Partly;
use serde::Serialize;

/// `{"RequestIndex":0,"Id":"…","StatusCode":201}`
#[derive(Serialize)]
struct Detail {
    #[serde(rename = "RequestIndex")]
    index: usize,
    #[serde(rename = "Id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "StatusCode")]
    status: u16,
}

/// The entry of the error's details that holds the list.
const DETAILS: &str = "Plugin.BulkApiErrorDetails";

/// 400 with the status of each target; with the words of a step, where one has refused all of them behind the
/// write.
pub(crate) fn partly(name: MessageName, partly: Partly) -> Problem {
    let Partly { outcomes, written, said } = partly;
    let details: Vec<Detail> = outcomes
        .iter()
        .enumerate()
        .map(|(index, outcome)| {
            let (id, status) = match outcome {
                Ok(outcome) => (Some(outcome.id), status_of_success(name, outcome.created)),
                // Its row is written: no status that asks for it to be sent again (plugins.md 2.8.5).
                Err(failure) if written.contains(&index) => (failure.id, StatusCode::BAD_REQUEST),
                Err(failure) => (failure.id, status_of_failure(failure)),
            };
            let id = id.as_ref().map(Uuid::to_string);
            Detail { index, id, status: status.as_u16() }
        })
        .collect();
    let list = serde_json::to_string(&details).expect("texts and numbers always serialise");
    let of_all = || {
        let text = format!(
            "One or more operations of the {name} request failed. See error details for the status \
             of each record."
        );
        Fault::new(code::STORE_ERROR, text)
    };
    let status = said.as_deref().map_or(StatusCode::BAD_REQUEST, super::status_of);
    let fault = said.map_or_else(of_all, |said| *said);
    let mut fault = fault.with_detail(DETAILS, list);
    fault.failures = outcomes.into_iter().filter_map(Result::err).collect();
    let mut problem = Problem::of(status, fault);
    problem.blames_one = false;
    problem
}

fn status_of_success(name: MessageName, created: bool) -> StatusCode {
    match name {
        MessageName::DeleteMultiple => StatusCode::NO_CONTENT,
        _ if created => StatusCode::CREATED,
        _ => StatusCode::OK,
    }
}

fn status_of_failure(failure: &Failure) -> StatusCode {
    // A column to blame means an invalid value, a lookup to no record included.
    if failure.column.is_some() {
        return StatusCode::BAD_REQUEST;
    }
    match failure.code {
        code::PRIVILEGE_DENIED => StatusCode::FORBIDDEN,
        code::OBJECT_DOES_NOT_EXIST | code::RECORD_NOT_FOUND_BY_ENTITY_KEY => StatusCode::NOT_FOUND,
        code::DUPLICATE_RECORD => StatusCode::CONFLICT,
        code::CONCURRENCY_VERSION_MISMATCH => StatusCode::PRECONDITION_FAILED,
        code::REQUEST_LENGTH_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        code::SERVER_BUSY => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}
