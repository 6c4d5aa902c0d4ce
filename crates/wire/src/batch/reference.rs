//! Content-ID references in JSON bodies: `"x@odata.bind":"$1"` and `"@odata.id":"$2"`.
//!
//! Only values of members whose names end so are looked at; a plain text `"$1"` stays what it is.
//! Not here: references in addresses. What is no JSON is left for the decoder to refuse.

use crate::error::{Error, Result, cut};
use std::borrow::Cow;

/// Puts the address of a record in place of every reference.
///
/// `find` gives the address for a Content-ID. Errors: [`Error::UnknownContentId`].
/// Cost: one pass; copies only if there is a reference.
pub fn resolve(body: &[u8], find: impl Fn(&str) -> Option<String>) -> Result<Cow<'_, [u8]>> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut place = 0;
    let mut is_reference = false;
    while let Some(byte) = body.get(place) {
        if *byte != b'"' {
            // A nested object or the end of anything ends the value of a member.
            is_reference &= !matches!(byte, b'{' | b'}' | b']');
            place += 1;
            continue;
        }
        let Some(text) = body.get(place..).and_then(text_at) else { break };
        let after = place + text.len();
        let is_name = body.get(after..).map(<[u8]>::trim_ascii_start).unwrap_or_default();
        if is_name.first() == Some(&b':') {
            is_reference = names_reference(text);
        } else if let Some(id) = content_id(text).filter(|_| is_reference) {
            let address = find(id).ok_or_else(|| Error::UnknownContentId { id: cut(id) })?;
            out.extend_from_slice(body.get(copied..place).unwrap_or_default());
            out.extend_from_slice(serde_json::Value::from(address).to_string().as_bytes());
            copied = after;
        }
        place = after;
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(body));
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// The text that begins here, with both quotes; none if it does not end.
fn text_at(bytes: &[u8]) -> Option<&[u8]> {
    let mut place = 1;
    loop {
        match bytes.get(place)? {
            b'"' => return bytes.get(..=place),
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
}

fn names_reference(name: &[u8]) -> bool {
    const ENDS: [&str; 2] = ["@odata.bind", "@odata.id"];
    if !name.contains(&b'\\') {
        return ENDS.iter().any(|end| {
            name.strip_suffix(b"\"").is_some_and(|name| name.ends_with(end.as_bytes()))
        });
    }
    serde_json::from_slice::<String>(name)
        .is_ok_and(|name| ENDS.iter().any(|end| name.ends_with(end)))
}

/// `1` of `"$1"`.
fn content_id(text: &[u8]) -> Option<&str> {
    let inner = text.strip_prefix(b"\"$")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inner).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, want: Result<&str, &str>) {
        let find = |id: &str| (id == "1" || id == "a-b").then(|| format!("accounts({id})"));
        let got = resolve(body.as_bytes(), find);
        let got = match &got {
            Ok(body) => Ok(std::str::from_utf8(body).expect("text")),
            Err(Error::UnknownContentId { id }) => Err(id.as_str()),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(got, want, "{body}");
    }

    #[test]
    fn references_become_addresses() {
        check(r#"{"a@odata.bind":"$1"}"#, Ok(r#"{"a@odata.bind":"accounts(1)"}"#));
        check(r#"{"@odata.id" : "$a-b" }"#, Ok(r#"{"@odata.id" : "accounts(a-b)" }"#));
        check(r#"{"a@odata\u002ebind":"$1"}"#, Ok(r#"{"a@odata\u002ebind":"accounts(1)"}"#));
        check(
            r#"{"a@odata.bind":["$1", "x", "$1"],"b":"$1"}"#,
            Ok(r#"{"a@odata.bind":["accounts(1)", "x", "accounts(1)"],"b":"$1"}"#),
        );
    }

    #[test]
    fn other_texts_stay_and_unknown_references_are_told() {
        for same in [
            r#"{"a":"$1"}"#,
            r#"{"a@odata.bind":"accounts(2)","b":"$9"}"#,
            r#"{"a":"\"@odata.id\":\"$1\""}"#,
            r#"[{"a@odata.bind":null},"$1"]"#,
            r#"{"a@odata.bind":{"b":"$1"}}"#,
            r#"{"a@odata.bind":"$1"#,
            r#"{"a\"#,
            "",
        ] {
            check(same, Ok(same));
        }
        check(r#"{"a@odata.bind":"$2"}"#, Err("2"));
        check(r#"{"a@odata.bind":"$"}"#, Err(""));
    }
}
