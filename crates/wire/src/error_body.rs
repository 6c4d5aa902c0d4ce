//! The error answer: `{"error":{"code":…,"message":…}}`.
//!
//! Not here: choosing codes and texts. Invariant: reading never fails; what is no error body becomes
//! an [`ErrorBody`] without a code whose message is the text of the body.

use crate::error::cut;
use crate::json;
use crate::prefer::AnnotationFilter;
use model::ErrorCode;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An error answer, as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The fault code; none for the `""` and `0x0` of old services.
    pub code: Option<ErrorCode>,
    /// The text.
    pub message: String,
    /// What else stands beside them, by annotation name without `@`.
    pub annotations: BTreeMap<String, String>,
}

/// Writes an error answer.
///
/// `annotations` are full names without `@` and their values; those that `filter` does not ask for
/// are left out. Without a filter there are none.
pub fn write<N: AsRef<str>, V: AsRef<str>>(
    out: &mut Vec<u8>,
    code: &str,
    message: &str,
    annotations: impl IntoIterator<Item = (N, V)>,
    filter: Option<&AnnotationFilter>,
) {
    out.extend_from_slice(b"{\"error\":{\"code\":");
    json::text(out, code);
    out.extend_from_slice(b",\"message\":");
    json::text(out, message);
    if let Some(filter) = filter {
        for (name, value) in annotations {
            if filter.matches(name.as_ref()) {
                out.push(b',');
                json::name(out, &format!("@{}", name.as_ref()));
                json::text(out, value.as_ref());
            }
        }
    }
    out.extend_from_slice(b"}}");
}

/// Reads an error answer of any service: the standard form, `{"Message":…}`, or plain text.
pub fn read(body: &[u8]) -> ErrorBody {
    read_json(body).unwrap_or_else(|| ErrorBody {
        message: cut(String::from_utf8_lossy(body).trim()),
        ..ErrorBody::default()
    })
}

fn read_json(body: &[u8]) -> Option<ErrorBody> {
    let top: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let Some(error) = top.get("error").or_else(|| top.get("Error")) else {
        let message = top.get("Message").or_else(|| top.get("message"))?;
        return Some(ErrorBody { message: text_of(message), ..ErrorBody::default() });
    };
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(error.get()) else {
        return Some(ErrorBody { message: text_of(error), ..ErrorBody::default() });
    };
    let mut this = ErrorBody::default();
    for (name, value) in members {
        let text = text_of(value);
        match name.as_str() {
            "code" => this.code = ErrorCode::parse(&text).filter(|code| code.0 != 0),
            "message" => this.message = text,
            _ => {
                if let Some(name) = name.strip_prefix('@') {
                    this.annotations.insert(name.to_owned(), text);
                }
            }
        }
    }
    Some(this)
}

/// The text of a JSON string; of anything else its JSON.
fn text_of(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, code: Option<u32>, message: &str) {
        let read = read(body.as_bytes());
        assert_eq!(read.code.map(|code| code.0), code, "{body}");
        assert_eq!(read.message, message, "{body}");
    }

    #[test]
    fn error_answers_of_old_and_new_services_can_be_read() {
        check(r#"{"error":{"code":"0x80060882","message":"no"}}"#, Some(0x8006_0882), "no");
        check(r#"{"error":{"code":"0x8004A001","message":"no"}}"#, Some(0x8004_a001), "no");
        check(r#"{"error":{"code":"0x0","message":"no"}}"#, None, "no");
        check(r#"{"error":{"code":"","message":"no","innererror":{"a":1}}}"#, None, "no");
        check(r#"{"Message":"no"}"#, None, "no");
        check(r#"{"error":"no"}"#, None, "no");
        check("<html>", None, "<html>");
        check("", None, "");
        check("[", None, "[");
        assert_eq!(read(b"\xff\xfe").code, None);
    }

    #[test]
    fn annotations_are_written_only_when_asked_for_and_read_back() {
        let annotations = [("A.B.0", "x\"y"), ("A.C", "z")];
        let mut out = Vec::new();
        write(&mut out, "0x80040217", "m", annotations, Some(&AnnotationFilter::parse("A.B.*")));
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            r#"{"error":{"code":"0x80040217","message":"m","@A.B.0":"x\"y"}}"#
        );
        let read = read(&out);
        assert_eq!(read.annotations.get("A.B.0").map(String::as_str), Some("x\"y"));
        let mut out = Vec::new();
        write(&mut out, "0x80040217", "m", annotations, None);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"error":{"code":"0x80040217","message":"m"}}"#
        );
    }
}
