//! `$batch`: several requests in one, answered one after another.
//!
//! A part that is no change set goes through the same dispatch as a request that comes by itself, so
//! whatever the service answers alone it answers in a batch. Source: bulk.md 5.
//! Not here: the multipart frame (`wire::batch`), change sets (`change_set`).
//! Invariants: parts run strictly in order, none after a failing one unless the caller wants so; a
//! frame that is not in order runs nothing.

mod address;
mod change_set;

use crate::api::{Incoming, WebApi};
use crate::fault::{self, Payload, Problem};
use crate::path;
use crate::request::{self, Bounds, Request};
use crate::response;
use address::Known;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use model::{MessageName, Uuid};
use wire::batch::{Answer, Operation, PART_URL_CHARACTERS_MAX, Part, ResponseWriter};
use wire::headers;
use wire::prefer::Prefer;

/// Headers of the batch that hold for every part that does not bring its own (bulk.md 5.1).
const INHERITED: [&str; 4] =
    ["authorization", headers::CALLER_OBJECT_ID, headers::MSCRM_CALLER_ID, headers::CONSISTENCY];

/// The spelling of headers in parts, in the order in which they stand there: clients look for it.
const SPELLING: [(&str, &str); 9] = [
    (headers::REQ_ID, "REQ_ID"),
    ("content-type", "Content-Type"),
    (headers::ODATA_VERSION, "OData-Version"),
    ("location", "Location"),
    (headers::ODATA_ENTITY_ID, "OData-EntityId"),
    ("etag", "ETag"),
    (headers::PREFERENCE_APPLIED, "Preference-Applied"),
    ("allow", "Allow"),
    ("retry-after", "Retry-After"),
];

/// The version in the address of a batch; none if the address is none.
pub(crate) fn version_of(target: &str) -> Option<&'static str> {
    let (path, _) = path::split_target(target);
    let path = path::parse(path).ok()?;
    match path.segments.as_slice() {
        [only] if only.name == "$batch" && only.key.is_none() => Some(path.version),
        _ => None,
    }
}

/// Answers a batch. Errors: nothing of it ran.
pub(crate) async fn answer(
    api: &WebApi,
    incoming: &Incoming,
    version: &'static str,
    prefer: &Prefer,
) -> Result<Response<Bytes>, Problem> {
    if incoming.method != Method::POST {
        return Err(Problem::method(&incoming.method, "POST"));
    }
    request::check_encoding(&incoming.headers)?;
    let kind = incoming.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let parts = wire::batch::read(kind, &incoming.body).map_err(of_wire)?;
    let batch = Batch { api, incoming, version };
    let mut writer = ResponseWriter::new(format!("batchresponse_{}", batch.new_id()));
    let bytes_max = api.settings.batch_answers_bytes_max;
    let request_id = incoming.request_id.to_string();
    let mut status = StatusCode::OK;
    let kind = wire::batch::response_content_type(writer.boundary());
    // A loop around messages: this is what the caller asks for, part by part.
    for part in &parts {
        let failed = match part {
            Part::One(operation) => {
                let response = match writer.written() > bytes_max {
                    true => batch.refused(operation, &Problem::answers_too_large(bytes_max)),
                    false => batch.one(operation).await,
                };
                writer.answer(&shown(operation, &response, &request_id));
                failure(&response)
            }
            Part::ChangeSet(operations) => {
                let responses = batch.change_set(operations).await;
                let answers: Vec<Answer<'_>> = responses
                    .iter()
                    .map(|(operation, response)| shown(operation, response, &request_id))
                    .collect();
                writer.change_set(&format!("changesetresponse_{}", batch.new_id()), &answers);
                responses.first().and_then(|(_, response)| failure(response))
            }
        };
        if let Some(failed) = failed.filter(|_| !prefer.continue_on_error) {
            status = failed;
            break;
        }
    }
    let mut response = response::multipart(status, &kind, writer.finish());
    if prefer.continue_on_error {
        response::put_applied(&mut response, &["odata.continue-on-error".to_owned()]);
    }
    Ok(response)
}

/// A batch on its way.
struct Batch<'a> {
    api: &'a WebApi,
    incoming: &'a Incoming,
    version: &'static str,
}

impl Batch<'_> {
    fn new_id(&self) -> Uuid {
        self.api.pipeline.new_ids(1, self.incoming.now).into_iter().next().unwrap_or_default()
    }

    /// Answers a part that is no change set.
    async fn one(&self, operation: &Operation<'_>) -> Response<Bytes> {
        let answered = match self.request(operation, &Known::default()) {
            Ok(request) => self.api.answer(request).await,
            Err(problem) => Err(problem),
        };
        let mut response = answered.unwrap_or_else(|problem| self.refused(operation, &problem));
        if operation.method == Method::HEAD.as_str() {
            *response.body_mut() = Bytes::new();
        }
        response
    }

    /// The answer to a part that was refused, with the annotations that it asks for.
    fn refused(&self, operation: &Operation<'_>, problem: &Problem) -> Response<Bytes> {
        let prefer = self.headers(operation).map(|headers| request::preferences(&headers));
        let annotations = prefer.as_ref().ok().and_then(|it| it.include_annotations.as_ref());
        problem.response(self.incoming.request_id, annotations)
    }

    /// The request in a part, as if it had come by itself.
    fn request(&self, operation: &Operation<'_>, known: &Known) -> Result<Request, Problem> {
        let find = |id: &str| known.get(id).cloned();
        let target = address::absolute(operation.target, self.version, known).map_err(of_wire)?;
        if version_of(&target).is_some() {
            return Err(Problem::uri("A batch request cannot be a part of a batch request."));
        }
        let body = match wire::batch::resolve(operation.body, find).map_err(of_wire)? {
            std::borrow::Cow::Borrowed(body) => self.incoming.body.slice_ref(body),
            std::borrow::Cow::Owned(body) => Bytes::from(body),
        };
        let headers = self.headers(operation)?;
        let method = Method::from_bytes(operation.method.as_bytes())
            .map_err(|_| Problem::malformed_batch("a part has an invalid verb"))?;
        let prefer = request::preferences(&headers);
        let incoming = Incoming { method, target, headers, body, ..self.incoming.clone() };
        let bounds = Bounds {
            url_characters_max: PART_URL_CHARACTERS_MAX,
            ..Bounds::of(&self.api.settings)
        };
        request::read(incoming, prefer, bounds)
    }

    /// The headers of a part, with those that the batch hands down.
    fn headers(&self, operation: &Operation<'_>) -> Result<HeaderMap, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in &operation.headers {
            let invalid =
                || Problem::malformed_batch(&format!("a part has an invalid header {name}"));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
            map.append(name, value);
        }
        for name in INHERITED {
            if let Some(value) = self.incoming.headers.get(name)
                && !map.contains_key(name)
            {
                map.insert(HeaderName::from_static(name), value.clone());
            }
        }
        Ok(map)
    }
}

fn of_wire(error: wire::Error) -> Problem {
    fault::of_wire(error, Payload { message: MessageName::Retrieve, table: "", set: "$batch" })
}

fn failure(response: &Response<Bytes>) -> Option<StatusCode> {
    let status = response.status();
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

/// An answer as a part shows it: without what only the answer to the whole batch has.
fn shown<'a>(
    operation: &Operation<'a>,
    response: &'a Response<Bytes>,
    request_id: &'a str,
) -> Answer<'a> {
    let status = response.status();
    let mut headers = Vec::new();
    for (name, spelling) in SPELLING {
        let sent = response.headers().get(name).and_then(|value| value.to_str().ok());
        let value = match name {
            headers::REQ_ID => failure(response).map(|_| request_id),
            headers::ODATA_VERSION => Some("4.0"),
            "content-type" if response.body().is_empty() && status != StatusCode::OK => None,
            "content-type" if sent == Some(JSON) && status.is_success() => Some(JSON_STREAMED),
            _ => sent,
        };
        headers.extend(value.map(|value| (spelling, value)));
    }
    for (name, value) in response.headers() {
        if !SPELLING.iter().any(|(known, _)| known == &name.as_str())
            && let Ok(value) = value.to_str()
        {
            headers.push((name.as_str(), value));
        }
    }
    Answer {
        content_id: operation.content_id,
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or("Unknown"),
        headers,
        body: response.body(),
    }
}

/// The kind of an answer that comes by itself, and of one in a part.
const JSON: &str = "application/json; odata.metadata=minimal";
const JSON_STREAMED: &str = "application/json; odata.metadata=minimal; odata.streaming=true";
