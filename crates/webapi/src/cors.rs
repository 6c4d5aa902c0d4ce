//! Which pages of other origins may call: preflights, and the headers that let browsers pass answers on.
//!
//! Without configured origins there is none of it, and `OPTIONS` is a verb like any other. Source:
//! webapi.md 1.7. Not here: which headers pages may read (`response`).

use crate::Settings;
use crate::response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

/// Verbs of the API.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// How long a browser may keep the answer to a preflight, in seconds.
const KEPT_SECONDS: &str = "3600";

/// The answer to a preflight of an allowed origin; none for any other request.
pub(crate) fn preflight(
    settings: &Settings,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Response<Bytes>> {
    if *method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    allowed(settings, headers)?;
    let mut response = response::empty(StatusCode::NO_CONTENT);
    response::put(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    response::put(&mut response, header::ACCESS_CONTROL_MAX_AGE, KEPT_SECONDS);
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        // Which headers count is each request's matter; here none is held back.
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    Some(response)
}

/// Lets the page that asked see the answer, if its origin is allowed.
pub(crate) fn allow<B>(response: &mut Response<B>, settings: &Settings, headers: &HeaderMap) {
    if settings.allowed_origins.is_empty() {
        return;
    }
    let own = response.headers_mut();
    own.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed(settings, headers) {
        own.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

fn allowed<'a>(settings: &Settings, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let is_allowed = |known: &String| known == "*" || known.as_bytes() == origin.as_bytes();
    settings.allowed_origins.iter().any(is_allowed).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &[&str], sent: &[(header::HeaderName, &str)], want: Option<&str>) {
        let settings = Settings {
            allowed_origins: origins.iter().map(|one| (*one).to_owned()).collect(),
            ..Settings::default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        }
        let answer = preflight(&settings, &Method::OPTIONS, &headers).map(|mut response| {
            allow(&mut response, &settings, &headers);
            let value = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
            value.map_or_else(String::new, |value| value.to_str().expect("text").to_owned())
        });
        assert_eq!(answer.as_deref(), want, "{origins:?} {sent:?}");
    }

    #[test]
    fn only_preflights_of_configured_origins_are_answered() {
        let asks = (header::ACCESS_CONTROL_REQUEST_METHOD, "PATCH");
        let from = (header::ORIGIN, "https://app.example");
        check(&["https://app.example"], &[asks.clone(), from.clone()], Some("https://app.example"));
        check(&["*"], &[asks.clone(), from.clone()], Some("https://app.example"));
        check(&["https://other.example"], &[asks.clone(), from.clone()], None);
        check(&[], &[asks.clone(), from.clone()], None);
        check(&["*"], &[from], None);
        check(&["*"], &[asks], None);
    }
}
