//! Where an error meets its HTTP status, and where what fails before the pipeline meets its code.
//!
//! In: faults of the pipeline, errors of `query` and `wire`, and what routing found wrong. Out: a
//! [`Problem`], and from it an answer. Source: errors.md, bulk.md 0.5, 1.8 and 10.
//! Not here: codes of what a store refuses (`pipeline`). No other file names a status of an error.

mod condition;
mod fetch;
pub(crate) mod job;
mod limited;
mod partly;
mod payload;

pub(crate) use fetch::of_fetch;
pub(crate) use partly::partly;
pub(crate) use payload::{Payload, of_wire};

use crate::response;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Response, StatusCode};
use model::{ErrorCode, Failure, Fault, Table, Uuid, code};
use query::odata::limits;
use serde::Serialize;
use wire::prefer::AnnotationFilter;

/// Seconds after which a caller may come again when the service was busy.
const BUSY_RETRY_SECONDS: u32 = 5;

/// Why a request was refused: a status, a fault, and what goes with the status.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) fault: Box<Fault>,
    /// For 405: the verbs that the resource takes.
    pub(crate) allow: Option<&'static str>,
    /// For 401: where to get a token.
    pub(crate) challenge: Option<String>,
    /// A name was not known: newer definitions may know it.
    pub(crate) unknown_name: bool,
    /// A query is about the caller's settings, which nobody has read yet.
    pub(crate) needs_settings: bool,
    /// One failing target is the reason, and the text says which.
    pub(crate) blames_one: bool,
    /// The state of an elastic table behind what was written all the same.
    pub(crate) session: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self::of(status, Fault::new(code, message))
    }

    fn of(status: StatusCode, fault: Fault) -> Self {
        let fault = Box::new(fault);
        Self {
            status,
            fault,
            allow: None,
            challenge: None,
            unknown_name: false,
            needs_settings: false,
            blames_one: true,
            session: None,
        }
    }

    /// A newer snapshot of the definitions may make this request a good one.
    fn about_a_name(mut self) -> Self {
        self.unknown_name = true;
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.fault.hint = Some(hint.into());
        self
    }

    /// 400 for a URL or option that cannot be understood.
    pub(crate) fn uri(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::URI_ERROR, message)
    }

    /// 404 for an address outside the service.
    pub(crate) fn no_resource(uri: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code::URI_ERROR,
            format!("No HTTP resource was found that matches the request URI '{uri}'."),
        )
    }

    /// 404 for a segment that names nothing.
    pub(crate) fn no_segment(segment: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code::URI_ERROR,
            format!("Resource not found for the segment '{segment}'."),
        )
        .about_a_name()
    }

    /// 405 with the verbs that are allowed.
    pub(crate) fn method(method: &http::Method, allow: &'static str) -> Self {
        let mut this = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            code::URI_ERROR,
            format!("The requested resource does not support http method '{method}'."),
        );
        this.allow = Some(allow);
        this
    }

    /// 501 for what the platform has and this service has not.
    pub(crate) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            code::NOT_IMPLEMENTED,
            format!("{what} has not yet been implemented."),
        )
        .hint("it is listed in COMPAT.md")
    }

    /// 414 for a URL over the limit.
    pub(crate) fn uri_too_long(characters_max: usize) -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            code::URI_ERROR,
            format!("The request URI is longer than {characters_max} characters."),
        )
    }

    /// 415 for a body of another kind than JSON.
    pub(crate) fn media_type(kind: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code::PAYLOAD_ERROR,
            format!("The content type '{kind}' of the request body is not supported."),
        )
        .hint("send application/json")
    }

    /// 413 for a body over the limit.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            code::REQUEST_LENGTH_TOO_LARGE,
            "Request message length is too large.",
        )
        .hint(format!("a request body may have {bytes_max} bytes"))
    }

    /// 400 for a file over the limit of its column.
    pub(crate) fn file_too_large(kilobytes_max: u32) -> Self {
        let text = "Attachment file size is too big.";
        Self::new(StatusCode::BAD_REQUEST, code::FILE_TOO_LARGE, text)
            .hint(format!("the column takes files up to {kilobytes_max} KB"))
    }

    /// 400 for an image that cannot be taken.
    pub(crate) fn image(reason: String) -> Self {
        let text = format!("Error occured when processing image. Reason: {reason}");
        Self::new(StatusCode::BAD_REQUEST, code::PROCESS_IMAGE_FAILURE, text)
    }

    /// 404 for a file that nothing holds.
    pub(crate) fn no_file() -> Self {
        let text = "The file Does Not Exist";
        Self::new(StatusCode::NOT_FOUND, code::OBJECT_DOES_NOT_EXIST, text)
    }

    /// 416 for a range outside of a file.
    pub(crate) fn range(size: u64) -> Self {
        let text = format!("The range is not within the {size} bytes that the file has.");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, code::INVALID_ARGUMENT, text)
    }

    /// 503 when too much is going on.
    pub(crate) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code::SERVER_BUSY,
            "The server is busy and the request was not completed. Try again later.",
        )
    }

    /// 500 for a failure of the service; the cause is in the log.
    pub(crate) fn unexpected() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code::UNEXPECTED,
            "An unexpected error occurred.",
        )
    }

    /// 400 for a body that ended early.
    pub(crate) fn incomplete() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code::PAYLOAD_ERROR,
            "The request body ended before it was complete.",
        )
    }

    /// 401 with the address of the token issuer.
    pub(crate) fn unauthorized(challenge: String, rejected: bool) -> Self {
        let (code, text) = match rejected {
            true => (code::INVALID_USER_AUTH, "The access token was rejected."),
            false => (code::REQUEST_IS_NOT_AUTHENTICATED, "The request is not authenticated."),
        };
        let mut this = Self::new(StatusCode::UNAUTHORIZED, code, text);
        this.challenge = Some(challenge);
        this
    }

    /// 404 for a record that was named by id.
    pub(crate) fn no_record(table: &Table, id: Uuid) -> Self {
        let text = format!("{} With Id = {id} Does Not Exist", table.logical_name);
        Self::new(StatusCode::NOT_FOUND, code::OBJECT_DOES_NOT_EXIST, text)
    }

    /// 404 for a record that was named by an alternate key.
    pub(crate) fn no_record_with_key(table: &Table) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code::RECORD_NOT_FOUND_BY_ENTITY_KEY,
            format!(
                "A record with the specified key values does not exist in {} entity",
                table.logical_name
            ),
        )
    }

    /// 400 for a version that was asked for and not given.
    pub(crate) fn version_missing() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code::CONCURRENCY_VERSION_NOT_PROVIDED,
            "The RowVersion property must be provided when the value of ConcurrencyBehavior is \
             IfVersionMatches.",
        )
    }

    /// 400 for a version check on a table that has none.
    pub(crate) fn concurrency_not_enabled(table: &Table) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code::OPTIMISTIC_CONCURRENCY_NOT_ENABLED,
            format!(
                "Optimistic concurrency isn't enabled for entity type {}. The IfVersionMatches \
                 value of ConcurrencyBehavior can only be used if optimistic concurrency is \
                 enabled.",
                table.logical_name
            ),
        )
    }

    /// 400 for a query of an elastic table that reaches into other tables.
    pub(crate) fn no_links() -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::STORE_ERROR, "Link entities are not supported")
    }

    /// 400 for a query over documents that cannot be understood.
    pub(crate) fn document_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::STORE_ERROR, message)
    }

    /// 400 for the cookie of another service.
    pub(crate) fn paging_cookie() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code::INVALID_PAGING_COOKIE,
            "The paging cookie is malformed.",
        )
    }

    /// 404 for a definition that does not exist.
    pub(crate) fn no_definition(what: &str, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code::OBJECT_DOES_NOT_EXIST,
            format!("Could not find an {what} with specified {what} logicalname: {name}"),
        )
        .about_a_name()
    }

    /// 400 for an argument with a bad value.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, message)
    }

    /// 400 for a batch whose frame is not in order; nothing of it runs.
    pub(crate) fn malformed_batch(detail: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code::PAYLOAD_ERROR,
            format!(
                "Error identified in Payload provided by the user: the batch cannot be read: {detail}."
            ),
        )
    }

    /// 400 for a batch with too many operations; nothing of it runs.
    pub(crate) fn batch_too_long(operations_max: usize) -> Self {
        let text = format!(
            "The number of operations in the batch exceeds the maximum allowed of {operations_max}."
        );
        let mut this = Self::argument(text);
        let detail = ("MaxBatchSize".into(), operations_max.to_string());
        this.fault.details.push(detail);
        this
    }

    /// 413 for a part after so many bytes of answers that no more are given.
    pub(crate) fn answers_too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            code::REQUEST_LENGTH_TOO_LARGE,
            "Response message length is too large.",
        )
        .hint(format!("the answers of a batch may have {bytes_max} bytes; ask in several batches"))
    }

    /// The answer, with the annotations that the caller asked for.
    pub(crate) fn response(
        &self,
        request_id: Uuid,
        annotations: Option<&AnnotationFilter>,
    ) -> Response<Bytes> {
        let mut body = Vec::new();
        let code = self.fault.code.to_string();
        let listed = match annotations {
            Some(_) => self.annotations(request_id),
            None => Vec::new(),
        };
        let text = match self.blames_one {
            true => self.fault.text(),
            false => self.fault.message.clone(),
        };
        wire::error_body::write(&mut body, &code, &text, listed, annotations);
        let mut response = response::json(self.status, body);
        if let Some(allow) = self.allow {
            response::put(&mut response, header::ALLOW, allow);
        }
        if let Some(session) = &self.session {
            let name = HeaderName::from_static(wire::headers::ELASTIC_SESSION_TOKEN);
            response::put(&mut response, name, session);
        }
        if let Some(challenge) = &self.challenge {
            response::put(&mut response, header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = BUSY_RETRY_SECONDS.to_string();
            response::put(&mut response, HeaderName::from_static("retry-after"), &seconds);
        }
        response
    }

    /// Every annotation there is, by full name; all values are texts.
    fn annotations(&self, request_id: Uuid) -> Vec<(String, String)> {
        let fault = &self.fault;
        let detail = |name: &str| format!("Microsoft.PowerApps.CDS.ErrorDetails.{name}");
        let mut list: Vec<(String, String)> =
            fault.details.iter().map(|(name, value)| (detail(name), value.clone())).collect();
        if let Some(first) = fault.failures.first() {
            list.push((detail("failedRecordIndex"), first.index.to_string()));
            if let Some(id) = first.id {
                list.push((detail("failedRecordId"), id.to_string()));
            }
            list.push((ALL_FAILURES.to_owned(), failures_json(&fault.failures)));
        }
        let category = match self.status.is_server_error() {
            true => "ServerError",
            false => "ClientError",
        };
        list.push((detail("ApiExceptionMessageName"), fault.code.name().to_owned()));
        list.push((detail("ApiExceptionHttpStatusCode"), self.status.as_u16().to_string()));
        list.push((detail("ApiExceptionCategory"), category.to_owned()));
        list.push((detail("ApiActivityIdKey"), request_id.to_string()));
        list.push((
            "Microsoft.PowerApps.CDS.HelpLink".to_owned(),
            format!(
                "http://go.microsoft.com/fwlink/?LinkID=398563&error=\
                 Microsoft.Crm.CrmException%3a{:08x}&client=platform",
                fault.code.0
            ),
        ));
        let trace = fault.trace.clone().unwrap_or_default();
        list.push(("Microsoft.PowerApps.CDS.TraceText".to_owned(), trace));
        let inner = match fault.code {
            code::DUPLICATE_RECORD => "Cannot insert duplicate key.",
            _ => &fault.message,
        };
        list.push(("Microsoft.PowerApps.CDS.InnerError.Message".to_owned(), inner.to_owned()));
        list
    }
}

/// Our own annotation: every failing target of a bulk message, as a JSON list in a text.
const ALL_FAILURES: &str = "Sheaf.Failures";

#[derive(Serialize)]
struct ListedFailure<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    code: String,
    message: &'a str,
}

fn failures_json(failures: &[Failure]) -> String {
    let listed: Vec<ListedFailure<'_>> = failures
        .iter()
        .map(|failure| ListedFailure {
            index: failure.index,
            column: failure.column.as_deref(),
            id: failure.id.map(|id| id.to_string()),
            code: failure.code.to_string(),
            message: &failure.message,
        })
        .collect();
    serde_json::to_string(&listed).expect("texts and numbers always serialise")
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = status_of(&fault);
        if let Some(log) = &fault.log {
            tracing::error!(code = %fault.code, log, "a message failed");
        }
        Self::of(status, fault)
    }
}

/// The status of a fault of the pipeline. Codes that are not listed are a caller's mistake, but for
/// those that say the opposite.
fn status_of(fault: &Fault) -> StatusCode {
    if let Some(status) = fault.http_status.and_then(|status| StatusCode::from_u16(status).ok()) {
        return status;
    }
    match fault.code {
        code::OBJECT_DOES_NOT_EXIST
        | code::RECORD_NOT_FOUND_BY_ENTITY_KEY
        | code::STEP_NOT_FOUND => StatusCode::NOT_FOUND,
        code::DUPLICATE_RECORD
        | code::DUPLICATE_RECORD_ENTITY_KEY
        | code::CONCURRENCY_VERSION_MISMATCH => StatusCode::PRECONDITION_FAILED,
        code::CANNOT_DELETE_DUE_TO_ASSOCIATION | code::INVALID_OPERATION | code::NOT_SUPPORTED => {
            StatusCode::METHOD_NOT_ALLOWED
        }
        code::PRIVILEGE_DENIED
        | code::ACCESS_DENIED
        | code::PRINCIPAL_PRIVILEGE_DENIED
        | code::CANNOT_ACT_ON_BEHALF
        | code::USER_NOT_MEMBER_OF_ORG
        | code::USER_NOT_ASSIGNED_ROLES
        | code::SYSTEM_USER_DISABLED => StatusCode::FORBIDDEN,
        code::INVALID_USER_AUTH | code::REQUEST_IS_NOT_AUTHENTICATED => StatusCode::UNAUTHORIZED,
        code::REQUEST_LENGTH_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        code::NOT_IMPLEMENTED => StatusCode::NOT_IMPLEMENTED,
        code::SERVER_BUSY | code::SANDBOX_NOT_AVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        code::GENERIC_SQL_ERROR
        | code::SQL_TIMEOUT
        | code::COULD_NOT_OBTAIN_LOCK
        | code::ISV_UNEXPECTED
        | code::SANDBOX_CRASHED
        | code::TYPE_NOT_LOADED
        | code::ASSEMBLY_NOT_LOADED
        | code::STEP_FAILED => StatusCode::INTERNAL_SERVER_ERROR,
        // The platform answers some misuse of a target with this code, too.
        code::UNEXPECTED if fault.failures.is_empty() => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// A query option that was not understood or is not honoured.
pub(crate) fn of_query(error: query::Error) -> Problem {
    use query::Error;
    let uri = |text: String| Problem::uri(text);
    match error {
        Error::UnknownColumn { table, name } => uri(format!(
            "Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'."
        ))
        .about_a_name(),
        Error::Syntax { position, text } => {
            uri(format!("Syntax error at position {position} in '{text}'."))
        }
        Error::IncompatibleTypes { left, right, operator } => uri(format!(
            "A binary operator with incompatible types was detected. Found operand types '{left}' \
             and '{right}' for operator kind '{operator}'."
        )),
        Error::BadLiteral { text, edm } => {
            uri(format!("Cannot convert the literal '{text}' to the expected type '{edm}'."))
        }
        error @ (Error::UnknownFunction { .. }
        | Error::BadArguments { .. }
        | Error::NotBeforeFunction
        | Error::ValueCount { .. }
        | Error::BadValue { .. }
        | Error::NotForColumn { .. }) => condition::of_operator(error),
        Error::SettingsNeeded => Problem { needs_settings: true, ..Problem::unexpected() },
        Error::BadTerm { term } => {
            uri(format!("Term '{term}' is not valid in a $select or $expand expression."))
        }
        Error::DuplicateOption { name } => uri(format!(
            "Query option '{name}' was specified more than once, but it must be specified at most \
             once."
        )),
        Error::UnknownOption { name } => {
            uri(format!("The query parameter {name} is not supported."))
        }
        Error::BadOption { name, value } => {
            uri(format!("Invalid value '{value}' for {name} query option found."))
        }
        Error::NotText => Problem::uri("The request URI is not valid UTF-8 after decoding."),
        Error::Refused { what } => uri(format!("{what} is not supported.")),
        Error::Refusal { text } => uri(text.into()),
        Error::Sql { .. } | Error::UnknownTable { .. } | Error::OtherTable { .. } => {
            of_statement(error)
        }
        Error::TooDeep => uri(format!(
            "The $filter expression is nested more than {} levels deep.",
            limits::FILTER_DEPTH_MAX
        )),
        Error::TooManyConditions => Problem::new(
            StatusCode::BAD_REQUEST,
            code::TOO_MANY_CONDITIONS,
            format!(
                "Number of conditions in query exceeded maximum limit of {}.",
                limits::CONDITIONS_MAX
            ),
        ),
        Error::TooManyJoins => Problem::new(
            StatusCode::BAD_REQUEST,
            code::TOO_MANY_LINK_ENTITIES,
            format!(
                "Number of link entities in query exceeded maximum limit of {}.",
                limits::JOINS_MAX
            ),
        ),
        Error::TooManyValues => Problem::new(
            StatusCode::BAD_REQUEST,
            code::TOO_MANY_CONDITION_PARAMETERS,
            format!(
                "Number of parameters in a condition exceeded maximum limit of {}.",
                limits::VALUES_MAX
            ),
        ),
        Error::BadSkipToken => Problem::new(
            StatusCode::BAD_REQUEST,
            code::INVALID_PAGING_COOKIE,
            "The paging cookie in $skiptoken is malformed or belongs to another query.",
        ),
    }
}

/// A statement of SQL that was not understood.
fn of_statement(error: query::Error) -> Problem {
    use query::Error;
    match error {
        Error::Sql { why } => Problem::uri("The SQL of the query is malformed.").hint(why),
        Error::UnknownTable { name } => {
            Problem::uri(format!("The table '{name}' of the query does not exist.")).about_a_name()
        }
        Error::OtherTable { table, name } => Problem::new(
            StatusCode::BAD_REQUEST,
            code::ENTITIES_DO_NOT_MATCH,
            format!("The table '{name}' of the query is not the table '{table}' of the request."),
        ),
        _ => Problem::unexpected(),
    }
}
