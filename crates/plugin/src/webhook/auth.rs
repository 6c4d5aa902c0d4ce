//! How a delivery says who sends it: a key or pairs in the query, or headers.
//!
//! In: `authtype` and `authvalue` of an endpoint. Out: the whole address and further headers.
//! Not here: whether the address may be posted to (`address`).

use pipeline::step::Endpoint;
use quick_xml::events::Event;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// Kinds of `authtype` that webhooks have.
const WEBHOOK_KEY: i32 = 4;
const HTTP_HEADER: i32 = 5;
const HTTP_QUERY_STRING: i32 = 6;

/// Headers that pairs must not name.
const RESERVED: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "x-request-id",
    "x-ms-dynamics-organization",
    "x-ms-dynamics-entity-name",
    "x-ms-dynamics-request-name",
    "x-ms-correlation-request-id",
    "x-ms-dynamics-msg-size-exceeded",
];

/// Why an endpoint cannot be posted to. No text holds a value of the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The address is none.
    #[error("the url is not valid: {0}")]
    Url(String),
    /// The headers are none.
    #[error("authvalue: {0}")]
    Headers(String),
    /// The key or the pairs of the query are none.
    #[error("authvalue: {0}")]
    Query(String),
    /// A kind that webhooks do not have.
    #[error("authtype {0} is not one of 4, 5 and 6")]
    Kind(i32),
}

/// An endpoint, ready to be posted to.
pub(crate) struct Signed {
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Checks an endpoint before it is stored.
pub fn check(url: &str, auth_type: i32, auth_value: Option<&str>) -> Result<(), AuthError> {
    make(url, auth_type, auth_value).map(drop)
}

pub(crate) fn sign(endpoint: &Endpoint) -> Result<Signed, AuthError> {
    make(&endpoint.url, endpoint.auth_type, endpoint.auth_value.as_deref())
}

fn make(url: &str, auth_type: i32, auth_value: Option<&str>) -> Result<Signed, AuthError> {
    let mut url = Url::parse(url).map_err(|error| AuthError::Url(error.to_string()))?;
    let value = auth_value.unwrap_or_default().trim();
    let mut headers = Vec::new();
    match auth_type {
        WEBHOOK_KEY if value.is_empty() => {
            return Err(AuthError::Query("the key is missing".to_owned()));
        }
        WEBHOOK_KEY => {
            url.query_pairs_mut().append_pair("code", value);
        }
        HTTP_HEADER => {
            for (name, value) in pairs(value).map_err(AuthError::Headers)? {
                headers.push(header(&name, &value)?);
            }
        }
        HTTP_QUERY_STRING => {
            for (name, value) in pairs(value).map_err(AuthError::Query)? {
                url.query_pairs_mut().append_pair(&name, &value);
            }
        }
        other => return Err(AuthError::Kind(other)),
    }
    Ok(Signed { url, headers })
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), AuthError> {
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(AuthError::Headers(format!("the header `{name}` is given by the service")));
    }
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| AuthError::Headers(format!("`{name}` is no name of a header")))?;
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        AuthError::Headers(format!("the value of `{name}` cannot stand in a header"))
    })?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// The pairs of an authentication value: `<settings><setting name="k" value="v" /></settings>` or `{"k": "v"}`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = match text.starts_with('{') {
        true => json_pairs(text)?,
        false => xml_pairs(text)?,
    };
    match pairs.iter().find(|(name, _)| name.trim().is_empty()) {
        Some(_) => Err("a pair has no name".to_owned()),
        None if pairs.is_empty() => Err("there are no pairs".to_owned()),
        None => Ok(pairs),
    }
}

fn json_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?;
    let pairs = object.into_iter().map(|(name, value)| match value {
        serde_json::Value::String(value) => Ok((name, value)),
        _ => Err(format!("the value of `{name}` is no text")),
    });
    pairs.collect()
}

fn xml_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    const SHAPE: &str = "it is not `<settings><setting name=\"…\" value=\"…\" /></settings>`";
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().trim_text(true);
    let mut pairs = Vec::new();
    let mut depth = 0_usize;
    let mut was_open = false;
    loop {
        let event = reader.read_event().map_err(|error| format!("it is no XML: {error}"))?;
        match event {
            Event::Start(tag) if depth == 0 && !was_open && tag.name().as_ref() == b"settings" => {
                (depth, was_open) = (1, true);
            }
            Event::Empty(tag) if depth == 1 && tag.name().as_ref() == b"setting" => {
                pairs.push(xml_pair(&tag)?);
            }
            Event::Start(tag) if depth == 1 && tag.name().as_ref() == b"setting" => {
                pairs.push(xml_pair(&tag)?);
                depth = 2;
            }
            Event::End(_) if depth > 0 => depth -= 1,
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof if depth == 0 && was_open => return Ok(pairs),
            _ => return Err(SHAPE.to_owned()),
        }
    }
}

fn xml_pair(tag: &quick_xml::events::BytesStart<'_>) -> Result<(String, String), String> {
    let (mut name, mut value) = (None, None);
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| format!("it is no XML: {error}"))?;
        let text = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|error| format!("it is no XML: {error}"))?
            .into_owned();
        match attribute.key.as_ref() {
            b"name" => name = Some(text),
            b"value" => value = Some(text),
            other => {
                return Err(format!(
                    "a setting has no attribute `{}`",
                    String::from_utf8_lossy(other)
                ));
            }
        }
    }
    match (name, value) {
        (Some(name), Some(value)) => Ok((name, value)),
        _ => Err("a setting lacks `name` or `value`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://hooks.example/crates?keep=1";

    fn check_url(auth_type: i32, value: &str, want: &str) {
        let signed = make(URL, auth_type, Some(value)).unwrap();
        assert_eq!(signed.url.as_str(), want);
    }

    #[test]
    fn a_key_and_pairs_are_appended_to_the_query_that_is_there() {
        check_url(4, "s3/c r&t", "https://hooks.example/crates?keep=1&code=s3%2Fc+r%26t");
        let pairs = r#"<settings><setting name="a" value="1 &amp; 2" /><setting name="b" value=""></setting></settings>"#;
        check_url(6, pairs, "https://hooks.example/crates?keep=1&a=1+%26+2&b=");
        check_url(6, r#"{"a": "1"}"#, "https://hooks.example/crates?keep=1&a=1");
    }

    #[test]
    fn pairs_become_headers_and_leave_the_address_alone() {
        let value = r#"<settings><setting name="x-key" value="secret" /></settings>"#;
        let signed = make(URL, 5, Some(value)).unwrap();
        assert_eq!(signed.url.as_str(), URL);
        assert_eq!(signed.headers.len(), 1);
        assert_eq!(
            (signed.headers[0].0.as_str(), signed.headers[0].1.as_bytes()),
            ("x-key", &b"secret"[..])
        );
        assert!(!format!("{:?}", signed.headers).contains("secret"));
    }

    #[test]
    fn what_is_not_of_a_documented_form_is_refused() {
        let bad = |auth_type, value: &str| make(URL, auth_type, Some(value)).err();
        for value in [
            "",
            "x",
            "<settings>",
            "<settings/>",
            "<settings></settings>",
            "{}",
            "[]",
            r#"{"a": 1}"#,
        ] {
            assert!(matches!(bad(5, value), Some(AuthError::Headers(_))), "{value}");
            assert!(matches!(bad(6, value), Some(AuthError::Query(_))), "{value}");
        }
        for value in [
            r#"<settings><setting name="a" /></settings>"#,
            r#"<settings><setting name="a" value="b" more="c" /></settings>"#,
            r#"<settings><other name="a" value="b" /></settings>"#,
            r#"<settings><setting name="a" value="b" /></settings><settings></settings>"#,
            r#"{"": "b"}"#,
        ] {
            assert!(matches!(bad(6, value), Some(AuthError::Query(_))), "{value}");
        }
        for name in ["Host", "content-length", "x-ms-dynamics-organization", "a b", "ä"] {
            let value = format!(r#"{{"{name}": "v"}}"#);
            assert!(matches!(bad(5, &value), Some(AuthError::Headers(_))), "{name}");
        }
        assert!(matches!(bad(5, r#"{"a": "b\nc"}"#), Some(AuthError::Headers(_))));
        assert_eq!(bad(4, " "), Some(AuthError::Query("the key is missing".to_owned())));
        assert_eq!(bad(2, "x"), Some(AuthError::Kind(2)));
        assert!(matches!(check("hooks", 4, Some("x")), Err(AuthError::Url(_))));
    }
}
