//! Answers: bodies, and the headers that every answer carries.
//!
//! Source: bulk.md 0.4, webapi.md 6. Not here: error texts and statuses (`fault`).
//! Invariant: every response that leaves the crate went through [`finish`].

use crate::Settings;
use crate::cors;
use crate::limits::{Remaining, grouped_seconds};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use model::Uuid;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use wire::headers;

const JSON: HeaderValue = HeaderValue::from_static("application/json; odata.metadata=minimal");
const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Preference-Applied,OData-EntityId,Location,ETag,OData-Version,Content-Encoding,\
     Transfer-Encoding,Content-Length,Retry-After,REQ_ID,x-ms-service-request-id,\
     x-ms-chunk-size,x-ms-file-name,x-ms-file-size,Content-Disposition",
);

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    with_body(status, JSON, body)
}

/// The definitions as XML.
pub(crate) fn xml(body: Vec<u8>) -> Response<Bytes> {
    with_body(StatusCode::OK, XML, body)
}

/// A plain-text answer.
pub(crate) fn text(body: String) -> Response<Bytes> {
    with_body(StatusCode::OK, TEXT, body.into_bytes())
}

/// Plain bytes of a kind.
pub(crate) fn bytes(status: StatusCode, kind: &str, body: Vec<u8>) -> Response<Bytes> {
    with_body(status, value(kind), body)
}

/// The answers to a batch.
pub(crate) fn multipart(status: StatusCode, kind: &str, body: Vec<u8>) -> Response<Bytes> {
    with_body(status, value(kind), body)
}

fn with_body(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// 204 with the address of what was written.
pub(crate) fn written(address: &str) -> Response<Bytes> {
    let mut response = empty(StatusCode::NO_CONTENT);
    put_address(&mut response, address);
    response
}

/// Adds `OData-EntityId` and `Location`.
pub(crate) fn put_address(response: &mut Response<Bytes>, address: &str) {
    let address = value(address);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(headers::ODATA_ENTITY_ID), address.clone());
    headers.insert(header::LOCATION, address);
}

/// Adds a header, escaping what a header cannot hold.
pub(crate) fn put(response: &mut Response<Bytes>, name: HeaderName, text: &str) {
    response.headers_mut().insert(name, value(text));
}

/// Adds a header with a name of a file, in the one byte per character that readers of headers take it for;
/// escaped where that does not do.
pub(crate) fn put_name(response: &mut Response<Bytes>, name: HeaderName, text: &str) {
    let latin: Option<Vec<u8>> =
        text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    let narrow = latin.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
    response.headers_mut().insert(name, narrow.unwrap_or_else(|| value(text)));
}

/// Adds what was honoured of the caller's preferences.
pub(crate) fn put_applied(response: &mut Response<Bytes>, applied: &[String]) {
    if !applied.is_empty() {
        let name = HeaderName::from_static(headers::PREFERENCE_APPLIED);
        put(response, name, &applied.join(", "));
    }
}

/// A header value with everything but visible ASCII percent-encoded.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let escaped = utf8_percent_encode(text, CONTROLS).to_string();
        HeaderValue::from_str(&escaped).unwrap_or(HeaderValue::from_static(""))
    })
}

/// Adds the headers that every answer carries.
///
/// Without a body the kind of content is not named. What remains is all: who counts says so afterwards,
/// by [`put_remaining`].
pub(crate) fn finish(
    response: &mut Response<Bytes>,
    settings: &Settings,
    request_id: Uuid,
    request: Option<&HeaderMap>,
) {
    if response.body().is_empty() && response.status() != StatusCode::OK {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    let id = request_id.to_string();
    put(response, HeaderName::from_static(headers::REQ_ID), &id);
    put(response, HeaderName::from_static(headers::SERVICE_REQUEST_ID), &id);
    put_remaining(response.headers_mut(), Remaining::whole());
    let hint = settings.dop_hint.max(1).to_string();
    put(response, HeaderName::from_static(headers::DOP_HINT), &hint);
    let headers = response.headers_mut();
    headers
        .insert(HeaderName::from_static(headers::ODATA_VERSION), HeaderValue::from_static("4.0"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    let echoed = HeaderName::from_static(headers::CLIENT_REQUEST_ID);
    if let Some(sent) = request.and_then(|request| request.get(&echoed)) {
        headers.insert(echoed, sent.clone());
    }
    if let Some(node) = &settings.node {
        let name = Uuid::new_v5(&Uuid::NAMESPACE_DNS, node.as_bytes()).simple();
        let cookie = format!("ARRAffinity={name}; path=/; secure; HttpOnly");
        headers.append(header::SET_COOKIE, value(&cookie));
    }
    if let Some(sent) = request {
        cors::allow(response, settings, sent);
    }
}

/// Says what the caller has left (bulk.md 8.4).
pub(crate) fn put_remaining(headers: &mut HeaderMap, remaining: Remaining) {
    let requests = HeaderName::from_static(headers::RATELIMIT_BURST_REMAINING);
    headers.insert(requests, HeaderValue::from(remaining.requests));
    let time = HeaderName::from_static(headers::RATELIMIT_TIME_REMAINING);
    headers.insert(time, value(&grouped_seconds(remaining.time)));
}

/// Keeps the length of the body as a header, and drops the body: the answer to `HEAD`.
pub(crate) fn drop_body(response: &mut Response<Bytes>) {
    let length = response.body().len();
    if length > 0 {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Bytes::new();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_cannot_hold_is_escaped() {
        assert_eq!(value("https://h/a('ü\n')"), "https://h/a('%C3%BC%0A')");
    }
}
