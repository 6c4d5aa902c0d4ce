//! A request, read: verb, path, options, preferences, conditions. No names are looked up yet.
//!
//! Not here: what a segment means (`route`), bodies (`wire`).
//! Invariant: a header that would change the answer and is not honoured refuses the request by name.

use crate::fault::{self, Problem};
use crate::outlet::Outlet;
use crate::parameters::{self, Parameters};
use crate::path::{self, Path};
use crate::{Incoming, Settings};
use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName};
use model::{Caller, Timestamp, Uuid};
use pipeline::Impersonated;
use query::odata::{Options, limits};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use wire::etag::{self, ETag};
use wire::headers;
use wire::prefer::Prefer;

/// A request whose head is understood.
pub(crate) struct Request {
    /// The verb; `HEAD` reads as `GET`.
    pub(crate) method: Method,
    pub(crate) path: Path,
    /// The query string as it was sent.
    pub(crate) query: String,
    pub(crate) options: Options,
    pub(crate) prefer: Prefer,
    pub(crate) if_match: Guard,
    pub(crate) if_none_match: Guard,
    /// `Consistency: Strong`: the newest definitions are wanted.
    pub(crate) strong: bool,
    /// The solution that a change of definitions is meant for.
    pub(crate) solution: Option<String>,
    /// A changed definition keeps its labels in other languages.
    pub(crate) merge_labels: bool,
    /// What custom logic is told, and what it is spared.
    pub(crate) parameters: Parameters,
    /// Targets of the messages that it ran, for the entitlement numbers.
    pub(crate) items: AtomicU64,
    /// What goes with the bytes of a file.
    pub(crate) transfer: Transfer,
    /// The kind of the body, where it is not JSON.
    not_json: Option<String>,
    pub(crate) body: Bytes,
    /// `https://host/api/data/v9.2/`, as the client addressed it.
    pub(crate) root: String,
    /// The whole URL, for texts.
    pub(crate) uri: String,
    /// Who sent it.
    pub(crate) caller: Caller,
    /// The user that it acts for.
    pub(crate) impersonated: Option<Impersonated>,
    /// That user, once it was found.
    acting: Option<Caller>,
    pub(crate) now: Timestamp,
    /// Where a long answer goes before it is whole, if it may.
    pub(crate) outlet: Option<Arc<dyn Outlet>>,
}

impl Request {
    /// Who the request runs for.
    pub(crate) fn acting(&self) -> Caller {
        self.acting.unwrap_or(self.caller)
    }

    /// Lets the request run for this user, whom its queries mean by "me", too.
    pub(crate) fn act_as(&mut self, caller: Caller) {
        self.acting = Some(caller);
        self.options.context.user = caller.user;
        self.options.context.business_unit = caller.business_unit;
    }
}

/// How large a request may be and make its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) url_characters_max: usize,
    pub(crate) page_size_max: u32,
    pub(crate) aggregate_rows_max: Option<u64>,
}

impl Bounds {
    /// Those of a request that comes by itself.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            url_characters_max: limits::URL_CHARACTERS_MAX,
            page_size_max: settings.page_size_max,
            aggregate_rows_max: settings.aggregate_rows_max,
        }
    }
}

/// A condition of the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Guard {
    /// There is none (or the literal `null`).
    None,
    /// The header is there and empty.
    Blank,
    /// `*` or a version.
    Tag(ETag),
}

/// Headers that are read elsewhere, or that ask for what holds anyway.
const KNOWN: [&str; 8] = [
    headers::MSCRM_SUPPRESS_DUPLICATE_DETECTION,
    headers::MSCRM_BYPASS_CUSTOM_PLUGIN_EXECUTION,
    headers::MSCRM_BYPASS_BUSINESS_LOGIC_EXECUTION,
    headers::MSCRM_BYPASS_BUSINESS_LOGIC_EXECUTION_STEP_IDS,
    headers::MSCRM_SUPPRESS_CALLBACK_REGISTRATION_EXPANDER_JOB,
    headers::MSCRM_SESSION_TOKEN,
    headers::MSCRM_SOLUTION_UNIQUE_NAME,
    headers::MSCRM_MERGE_LABELS,
];

/// Reads the preferences, which also say how an error is answered. Never fails.
pub(crate) fn preferences(headers: &HeaderMap) -> Prefer {
    let name = HeaderName::from_static(headers::PREFER);
    Prefer::parse(headers.get_all(name).iter().filter_map(|value| value.to_str().ok()))
}

/// Reads the head of a request.
pub(crate) fn read(incoming: Incoming, prefer: Prefer, bounds: Bounds) -> Result<Request, Problem> {
    let Incoming { method, target, headers, body, origin, caller, now, .. } = incoming;
    if target.chars().nth(bounds.url_characters_max).is_some() {
        return Err(Problem::uri_too_long(bounds.url_characters_max));
    }
    let (path, query) = path::split_target(&target);
    let uri = format!("{origin}{path}");
    let path = path::parse(path).map_err(|bad| match bad {
        path::Bad::Outside => Problem::no_resource(&uri),
        path::Bad::NotText => Problem::uri("The request URI is not valid UTF-8 after decoding."),
        path::Bad::Malformed => {
            Problem::uri(format!("Bad Request - Error in query syntax: '{uri}'."))
        }
    })?;
    let mut options = Options::parse(query).map_err(fault::of_query)?;
    options.page_size = prefer.max_page_size;
    options.page_size_max = bounds.page_size_max;
    options.aggregate_rows_max = bounds.aggregate_rows_max;
    check_headers(&headers)?;
    let impersonated = impersonated(&headers)?;
    // The settings are read when a query asks for them.
    options.context = query::Context {
        now,
        user: caller.user,
        business_unit: caller.business_unit,
        settings: OnceLock::new(),
    };
    let parameters = parameters::read(&headers, options.get("tag"))?;
    let not_json = match body.is_empty() {
        true => None,
        false => kind_but_json(&headers)?,
    };
    let strong = is_strong(&headers);
    Ok(Request {
        method: if method == Method::HEAD { Method::GET } else { method },
        root: format!("{origin}/api/data/{}/", path.version),
        uri,
        path,
        query: query.to_owned(),
        options,
        prefer,
        if_match: guard(&headers, &header::IF_MATCH),
        if_none_match: guard(&headers, &header::IF_NONE_MATCH),
        strong,
        merge_labels: text(&headers, headers::MSCRM_MERGE_LABELS)
            .is_some_and(|value| value.eq_ignore_ascii_case("true")),
        solution: text(&headers, headers::MSCRM_SOLUTION_UNIQUE_NAME).map(str::to_owned),
        parameters,
        items: AtomicU64::new(0),
        transfer: Transfer::read(&headers),
        not_json,
        body,
        caller,
        impersonated,
        acting: None,
        now,
        outlet: None,
    })
}

/// `Consistency: Strong`: the newest definitions are wanted.
pub(crate) fn is_strong(headers: &HeaderMap) -> bool {
    text(headers, headers::CONSISTENCY).is_some_and(|value| value.eq_ignore_ascii_case("strong"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

fn guard(headers: &HeaderMap, name: &HeaderName) -> Guard {
    let Some(value) = headers.get(name) else { return Guard::None };
    let text = value.to_str().map_or("?", str::trim);
    match etag::parse(text) {
        Some(tag) => Guard::Tag(tag),
        None if text == "null" => Guard::None,
        None => Guard::Blank,
    }
}

/// The user that a request acts for. The directory's id wins where both are given (webapi.md 22.1).
pub(crate) fn impersonated(headers: &HeaderMap) -> Result<Option<Impersonated>, Problem> {
    let id = |name: &str| -> Result<Option<Uuid>, Problem> {
        let Some(id) = text(headers, name) else { return Ok(None) };
        let id = id.trim_start_matches('{').trim_end_matches('}');
        Uuid::try_parse(id).map(Some).map_err(|_| {
            let text = format!("The value '{id}' of the header '{name}' is not a valid id.");
            Problem::argument(text)
        })
    };
    let object = id(headers::CALLER_OBJECT_ID)?.map(Impersonated::ObjectId);
    Ok(object.or(id(headers::MSCRM_CALLER_ID)?.map(Impersonated::User)))
}

/// Refuses what would change the answer and is not honoured.
fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    for name in headers.keys().map(HeaderName::as_str) {
        if name.starts_with("mscrm.") && !KNOWN.contains(&name) {
            return Err(Problem::not_implemented(format_args!("The header '{name}'")));
        }
    }
    Ok(())
}

/// The kind of a body in plain bytes, if it is not JSON. No kind at all passes for JSON.
fn kind_but_json(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    check_encoding(headers)?;
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let kind = kind.to_str().unwrap_or("?");
    let media = kind.split(';').next().unwrap_or_default().trim();
    let is_json = media.eq_ignore_ascii_case("application/json") || media.is_empty();
    Ok((!is_json).then(|| media.to_owned()))
}

impl Request {
    /// Refuses a body that is not JSON. What takes the bytes of a file does not ask.
    pub(crate) fn refuse_other_kinds(&self) -> Result<(), Problem> {
        self.not_json.as_deref().map_or(Ok(()), |kind| Err(Problem::media_type(kind)))
    }
}

/// Headers of the upload and the download of files.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// `x-ms-file-name`
    pub(crate) file_name: Option<String>,
    /// `x-ms-transfer-mode: chunked`
    pub(crate) chunked: bool,
    /// `Content-Range`
    pub(crate) content_range: Option<String>,
    /// `Range`
    pub(crate) range: Option<String>,
    /// `Content-Type`
    pub(crate) content_type: Option<String>,
}

impl Transfer {
    fn read(headers: &HeaderMap) -> Self {
        let owned = |name: &str| text(headers, name).map(str::to_owned);
        Self {
            file_name: owned(headers::FILE_NAME),
            chunked: text(headers, headers::TRANSFER_MODE)
                .is_some_and(|mode| mode.eq_ignore_ascii_case("chunked")),
            content_range: owned(header::CONTENT_RANGE.as_str()),
            range: owned(header::RANGE.as_str()),
            content_type: owned(header::CONTENT_TYPE.as_str()),
        }
    }
}

/// A body comes in plain bytes.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match text(headers, header::CONTENT_ENCODING.as_str()) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(Problem::media_type(&format!("content encoding {encoding}")))
        }
        _ => Ok(()),
    }
}
