//! What an answer means for the rows that were sent: a pure function.
//!
//! In: operation, number of rows, the answer. Out: a [`Verdict`].
//! Not here: waiting, splitting, counting (`retry`, `bisect`, `sender`).
//! Invariant: every answer has exactly one verdict; its test table is the client's specification.

use crate::controller::Limit;
use crate::problem::{Class, Problem};
use crate::rows::Operation;
use crate::transport::{self, Response};
use model::{ErrorCode, Uuid, code};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every row ended well.
    Done,
    /// Some rows failed, the others ended well (elastic tables).
    Partly(Vec<Failing>),
    /// Too slow in one piece: send it in halves.
    Halve(Problem),
    /// Too large in one piece: send it in halves.
    TooBig(Problem),
    /// The limits were hit: everybody pauses.
    SlowDown {
        /// For how long, when the service says.
        after: Option<Duration>,
        /// What is used up.
        limit: Limit,
        /// The refusal.
        problem: Problem,
    },
    /// Certainly nothing happened, and it may go well next time.
    Again {
        /// Which waiting rule applies.
        why: Transient,
        /// For how long, when the service says.
        after: Option<Duration>,
        /// The refusal.
        problem: Problem,
    },
    /// It may or may not have happened; it may be sent again.
    Unknown {
        /// Which waiting rule applies.
        why: Transient,
        /// For how long, when the service says.
        after: Option<Duration>,
        /// What was seen.
        problem: Problem,
    },
    /// Nothing happened, because of some of the rows.
    Rejected {
        /// The refusal as a whole.
        problem: Problem,
        /// The rows to blame, as far as the service names them, ascending by place.
        failing: Vec<Failing>,
        /// The reason hits every row alike.
        alike: bool,
    },
    /// The message is not to be had for this table; single requests may be.
    Unavailable(Problem),
    /// Nothing more can go well in this run.
    Stop(Problem),
}

/// One row to blame.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// Its place in the message.
    pub place: usize,
    /// Its own status, on elastic tables.
    pub status: Option<u16>,
    /// Its own problem.
    pub problem: Problem,
}

/// What passes, and by which rule it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transient {
    /// The service or a gateway is busy.
    Busy,
    /// The network failed.
    Network,
    /// Rows were locked by others.
    Deadlock,
    /// The table's bulk messages are being set up.
    SetUp,
    /// Results of concurrent requests clashed.
    ConcurrentResult,
}

const THROTTLE_REQUESTS: ErrorCode = ErrorCode(0x8007_2322);
const THROTTLE_TIME: ErrorCode = ErrorCode(0x8007_2321);
const THROTTLE_CONCURRENCY: ErrorCode = ErrorCode(0x8007_2326);
const THROTTLE_GENERIC: ErrorCode = ErrorCode(0x8005_f103);
const TRANSACTION_ABORTED: ErrorCode = ErrorCode(0x8004_0255);
const CONCURRENT_RESULT: ErrorCode = ErrorCode(0x8004_8105);
const URI_ERROR_OLDER: ErrorCode = ErrorCode(0x8006_088a);

/// The annotation in which a bulk message on an elastic table says how each item went.
const ELASTIC_DETAILS: &str = "Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails";
/// The annotation in which this project's service lists every failing target.
const ALL_FAILURES: &str = "Sheaf.Failures";

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// What the rows turn into.
    pub operation: Operation,
    /// How many there were.
    pub rows: usize,
    /// They travelled in a bulk message.
    pub is_bulk: bool,
}

/// Judges an answer.
///
/// Source: `client.md` 10.2 and `bulk.md` 8 and 9.7.
pub fn judge(sent: Sent, answer: &Result<Response, transport::Error>) -> Verdict {
    let response = match answer {
        Ok(response) => response,
        Err(error @ (transport::Error::Unsent(_) | transport::Error::Issuer(_))) => {
            return Verdict::Again {
                why: Transient::Network,
                after: None,
                problem: Problem::new(Class::Network, error.to_string()),
            };
        }
        Err(transport::Error::Lost(why)) => {
            return Verdict::Unknown {
                why: Transient::Network,
                after: None,
                problem: Problem::new(Class::Network, why.clone()),
            };
        }
    };
    if response.is_success() {
        return Verdict::Done;
    }
    let refusal = Refusal::read(response);
    refusal
        .throttled(response)
        .or_else(|| refusal.passing(response))
        .unwrap_or_else(|| refusal.lasting(sent, response.status))
}

/// A refusal, taken apart once.
struct Refusal {
    problem: Problem,
    annotations: std::collections::BTreeMap<String, String>,
}

impl Refusal {
    fn read(response: &Response) -> Self {
        let body = wire::error_body::read(&response.body);
        let (message, column) = match tail(&body.message) {
            Some(tail) => (body.message.clone(), tail.column),
            None => (body.message.clone(), None),
        };
        let message = if message.is_empty() {
            format!("the service answered with status {} and no text", response.status)
        } else {
            message
        };
        let request_id = response
            .header("x-ms-service-request-id")
            .or_else(|| response.header("req_id"))
            .map(Into::into);
        let problem =
            Problem { class: Class::Rejected, code: body.code, message, column, request_id };
        Self { problem, annotations: body.annotations }
    }

    fn of(&self, class: Class) -> Problem {
        Problem { class, ..self.problem.clone() }
    }

    fn throttled(&self, response: &Response) -> Option<Verdict> {
        let by_code = matches!(
            self.problem.code,
            Some(THROTTLE_REQUESTS | THROTTLE_TIME | THROTTLE_CONCURRENCY | THROTTLE_GENERIC)
        );
        (response.status == 429 || by_code).then(|| Verdict::SlowDown {
            after: retry_after(response),
            limit: match self.problem.code {
                Some(THROTTLE_REQUESTS) => Limit::Requests,
                Some(THROTTLE_TIME) => Limit::Time,
                Some(THROTTLE_CONCURRENCY) => Limit::Concurrency,
                _ => Limit::Unsaid,
            },
            problem: self.of(Class::Busy),
        })
    }

    fn passing(&self, response: &Response) -> Option<Verdict> {
        let after = retry_after(response);
        let again = |why, class| Verdict::Again { why, after, problem: self.of(class) };
        Some(match (self.problem.code, response.status) {
            (Some(code::SERVER_BUSY), _) => again(Transient::Busy, Class::Busy),
            (Some(code::GENERIC_SQL_ERROR), _) => {
                let message = &self.problem.message;
                if has_number(message, &["1205"]) {
                    again(Transient::Deadlock, Class::Contention)
                } else if has_number(message, &["3732", "2766", "2812"]) {
                    again(Transient::SetUp, Class::Contention)
                } else {
                    return None;
                }
            }
            (Some(TRANSACTION_ABORTED | code::COULD_NOT_OBTAIN_LOCK), _) => {
                again(Transient::Deadlock, Class::Contention)
            }
            (Some(CONCURRENT_RESULT), _) => again(Transient::ConcurrentResult, Class::Contention),
            // A gateway may have passed the request on before it gave up.
            (_, 408 | 502 | 503 | 504) => {
                Verdict::Unknown { why: Transient::Busy, after, problem: self.of(Class::Busy) }
            }
            _ => return None,
        })
    }

    fn lasting(&self, sent: Sent, status: u16) -> Verdict {
        let Sent { operation, rows, .. } = sent;
        match (self.problem.code, status) {
            (Some(code::SQL_TIMEOUT), _) => Verdict::Halve(self.of(Class::TooLarge)),
            (Some(code::REQUEST_LENGTH_TOO_LARGE), _) | (_, 413) => {
                Verdict::TooBig(self.of(Class::TooLarge))
            }
            (Some(code::UNEXPECTED), _)
                if self.problem.message.starts_with("Message size exceeded") =>
            {
                Verdict::TooBig(self.of(Class::TooLarge))
            }
            (_, 401) => Verdict::Stop(self.of(Class::Access)),
            (Some(code::STORE_ERROR), _) if self.annotations.contains_key(ELASTIC_DETAILS) => {
                self.partly()
            }
            (Some(code::NOT_IMPLEMENTED), _) | (_, 501) => self.unavailable(sent),
            (Some(code::INVALID_ARGUMENT), 400)
                if self.problem.message.contains("is not supported for entity") =>
            {
                self.unavailable(sent)
            }
            (Some(code::URI_ERROR | URI_ERROR_OLDER), 404) => {
                if self.problem.message.contains("Microsoft.Dynamics.CRM.") {
                    self.unavailable(sent)
                } else {
                    self.rejected(Class::Unsupported, rows, true)
                }
            }
            (_, 403) => self.rejected(Class::Access, rows, true),
            (Some(code::OBJECT_DOES_NOT_EXIST | code::RECORD_NOT_FOUND_BY_ENTITY_KEY), _)
            | (None, 404)
                if matches!(
                    operation,
                    Operation::Delete
                        | Operation::Update
                        | Operation::Upload
                        | Operation::Associate
                        | Operation::Disassociate
                ) =>
            {
                self.rejected(Class::Absent, rows, false)
            }
            // An unknown failure of the service: the rows carry ids, so they may be sent again.
            (None, 500..) => Verdict::Unknown {
                why: Transient::Busy,
                after: None,
                problem: self.of(Class::Busy),
            },
            _ => self.rejected(Class::Rejected, rows, false),
        }
    }

    fn unavailable(&self, sent: Sent) -> Verdict {
        if sent.is_bulk {
            Verdict::Unavailable(self.of(Class::Unsupported))
        } else {
            self.rejected(Class::Unsupported, sent.rows, true)
        }
    }

    fn rejected(&self, class: Class, rows: usize, alike: bool) -> Verdict {
        let problem = self.of(class);
        let failing = if alike { Vec::new() } else { self.failing(&problem, rows) };
        Verdict::Rejected { problem, failing, alike }
    }

    /// The rows to blame: all of them from our service's list, else the one that the text names.
    fn failing(&self, problem: &Problem, rows: usize) -> Vec<Failing> {
        let listed = self.annotations.get(ALL_FAILURES).and_then(|list| {
            let items: Vec<ListedFailure> = serde_json::from_str(list).ok()?;
            let mut failing: Vec<_> = items
                .into_iter()
                .filter(|item| item.index < rows)
                .map(|item| item.failing(problem))
                .collect();
            failing.sort_by_key(|item| item.place);
            failing.dedup_by_key(|item| item.place);
            (!failing.is_empty()).then_some(failing)
        });
        listed.unwrap_or_else(|| {
            tail(&problem.message)
                .filter(|tail| tail.index < rows)
                .map(|tail| Failing {
                    place: tail.index,
                    status: None,
                    problem: Problem { column: tail.column, ..problem.clone() },
                })
                .into_iter()
                .collect()
        })
    }

    /// Items that the details do not list ended well.
    fn partly(&self) -> Verdict {
        let details = self.annotations.get(ELASTIC_DETAILS).map_or("", String::as_str);
        match serde_json::from_str::<Vec<ElasticItem>>(details) {
            Ok(items) => Verdict::Partly(
                items
                    .into_iter()
                    .filter(|item| !(200..300).contains(&item.status_code))
                    .map(|item| item.failing(&self.problem))
                    .collect(),
            ),
            Err(err) => Verdict::Unknown {
                why: Transient::Busy,
                after: None,
                problem: Problem {
                    message: format!("the answer's list of rows cannot be read: {err}"),
                    ..self.of(Class::Ambiguous)
                },
            },
        }
    }
}

/// The ids that the details of a message of which some rows failed give, by place.
pub fn elastic_ids(response: &Response) -> BTreeMap<usize, Uuid> {
    let annotations = wire::error_body::read(&response.body).annotations;
    let details = annotations.get(ELASTIC_DETAILS).map_or("", String::as_str);
    let items: Vec<ElasticItem> = serde_json::from_str(details).unwrap_or_default();
    let id =
        |item: ElasticItem| Some((item.request_index, Uuid::try_parse(item.id.as_deref()?).ok()?));
    items.into_iter().filter_map(id).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ElasticItem {
    request_index: usize,
    status_code: u16,
    #[serde(default)]
    id: Option<String>,
}

impl ElasticItem {
    fn failing(self, whole: &Problem) -> Failing {
        let (class, code, text) = match self.status_code {
            403 => (Class::Access, Some(code::PRIVILEGE_DENIED), "no access to the record"),
            404 => (Class::Absent, Some(code::OBJECT_DOES_NOT_EXIST), "the record does not exist"),
            409 => (Class::Rejected, Some(code::DUPLICATE_RECORD), "a record with this key exists"),
            412 => (
                Class::Rejected,
                Some(code::CONCURRENCY_VERSION_MISMATCH),
                "the record has another version",
            ),
            413 => (Class::TooLarge, whole.code, "the record is too large"),
            429 | 503 => (Class::Busy, whole.code, "the store was busy"),
            _ => (Class::Rejected, whole.code, "the store refused the record"),
        };
        Failing {
            place: self.request_index,
            status: Some(self.status_code),
            problem: Problem {
                class,
                code,
                message: format!("{text} (status {})", self.status_code),
                column: None,
                request_id: whole.request_id.clone(),
            },
        }
    }
}

#[derive(Deserialize)]
struct ListedFailure {
    index: usize,
    #[serde(default)]
    column: Option<Box<str>>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ListedFailure {
    fn failing(self, whole: &Problem) -> Failing {
        let code = self.code.as_deref().and_then(ErrorCode::parse).or(whole.code);
        Failing {
            place: self.index,
            status: None,
            problem: Problem {
                class: whole.class,
                code,
                message: self.message.unwrap_or_else(|| whole.message.clone()),
                column: self.column,
                request_id: whole.request_id.clone(),
            },
        }
    }
}

/// Where a text blames a target: ` [Targets[731].ship_weight]`.
struct Tail {
    index: usize,
    column: Option<Box<str>>,
}

fn tail(message: &str) -> Option<Tail> {
    let (_, rest) = message.rsplit_once(" [Targets[")?;
    let (digits, rest) = rest.split_once(']')?;
    let (column, _) = rest.split_once(']')?;
    Some(Tail { index: digits.parse().ok()?, column: column.strip_prefix('.').map(Into::into) })
}

/// Whether one of the numbers follows `Sql Number:` in the text.
fn has_number(message: &str, numbers: &[&str]) -> bool {
    message.rsplit_once("Number:").is_some_and(|(_, rest)| {
        let digits: &str = rest.trim_start();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end).is_some_and(|number| numbers.contains(&number))
    })
}

/// How long the service asks to wait: whole seconds, or a date against the answer's own date.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let now = jiff::fmt::rfc2822::parse(response.header("date")?).ok()?.timestamp();
    u64::try_from(until.as_second() - now.as_second()).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
