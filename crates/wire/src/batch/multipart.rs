//! The multipart frame: boundary, delimiter lines, heads of parts.
//!
//! Lines end with CRLF or LF. What stands before the first delimiter and after the closing one is
//! ignored. Not here: what is inside a part (`read`).

use super::{BOUNDARY_CHARACTERS_MAX, HEADERS_MAX};

/// Why a frame cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is not in order; in words.
    Malformed(String),
    /// There are more parts than allowed.
    TooMany,
}

pub(super) fn bad<T>(detail: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Malformed(detail.into()))
}

/// Whether a content type is this one, whatever its parameters.
pub(super) fn is_media(content_type: &str, media: &str) -> bool {
    let own = content_type.split(';').next().unwrap_or_default();
    own.trim().eq_ignore_ascii_case(media)
}

/// The boundary of a `multipart/mixed` content type.
pub(super) fn boundary(content_type: &str) -> Result<String, Bad> {
    if !is_media(content_type, "multipart/mixed") {
        return bad("the content type is not multipart/mixed");
    }
    let boundary = match parameter(content_type, "boundary") {
        Some(boundary) => boundary,
        None => return bad("the content type has no boundary"),
    };
    let boundary = boundary.trim_end();
    if boundary.is_empty() || boundary.chars().nth(BOUNDARY_CHARACTERS_MAX).is_some() {
        return bad(format!("the boundary has not 1 to {BOUNDARY_CHARACTERS_MAX} characters"));
    }
    Ok(boundary.to_owned())
}

/// A parameter's value, without quotes.
fn parameter(content_type: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = content_type.split_once(';')?;
    loop {
        let (name, after) = rest.split_once('=')?;
        // A parameter without a value stands before this one.
        let name = name.rsplit(';').next().unwrap_or_default().trim();
        let (value, next) = value(after.trim_start());
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.split_once(';')?.1;
    }
}

/// A value and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

enum Delimiter {
    Next,
    Closing,
}

/// The parts between the delimiters, each with the line end before its delimiter.
///
/// Never empty. Errors: no closing delimiter, no part, or more than `parts_max`.
pub(super) fn parts<'a>(
    body: &'a [u8],
    boundary: &str,
    parts_max: usize,
) -> Result<Vec<&'a [u8]>, Bad> {
    let mut parts = Vec::new();
    let mut open = None;
    let mut place = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let start = place;
        place += line.len();
        let Some(delimiter) = delimiter(line, boundary) else { continue };
        if let Some(part) = open.and_then(|begin| body.get(begin..start)) {
            if parts.len() == parts_max {
                return Err(Bad::TooMany);
            }
            parts.push(part);
        }
        match delimiter {
            Delimiter::Next => open = Some(place),
            Delimiter::Closing if parts.is_empty() => return bad("there is no part"),
            Delimiter::Closing => return Ok(parts),
        }
    }
    match open {
        None => bad(format!("the delimiter --{boundary} does not occur")),
        Some(_) => bad(format!("the closing delimiter --{boundary}-- is missing")),
    }
}

fn delimiter(line: &[u8], boundary: &str) -> Option<Delimiter> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    match rest.trim_ascii_end() {
        b"" => Some(Delimiter::Next),
        b"--" => Some(Delimiter::Closing),
        _ => None,
    }
}

/// Name and value of each header.
pub(super) type Headers<'a> = Vec<(&'a str, &'a str)>;

/// Headers up to an empty line, and what follows it.
pub(super) fn headers(bytes: &[u8]) -> Result<(Headers<'_>, &[u8]), Bad> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let (length, found) = match httparse::parse_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete(found)) => found,
        Ok(httparse::Status::Partial) => return bad("no empty line follows the headers of a part"),
        Err(httparse::Error::TooManyHeaders) => {
            return bad(format!("a part has more than {HEADERS_MAX} headers"));
        }
        Err(error) => return bad(format!("the headers of a part cannot be read: {error}")),
    };
    Ok((texts(found)?, bytes.get(length..).unwrap_or_default()))
}

/// Headers as texts.
pub(super) fn texts<'a>(headers: &[httparse::Header<'a>]) -> Result<Headers<'a>, Bad> {
    let text = |header: &httparse::Header<'a>| match std::str::from_utf8(header.value) {
        Ok(value) => Ok((header.name, value.trim())),
        Err(_) => bad(format!("the header {} of a part is no text", header.name)),
    };
    headers.iter().map(text).collect()
}

/// The first value of a header.
pub(super) fn header<'a>(headers: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// Without line ends at both ends.
pub(super) fn without_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, want: Option<&str>) {
        assert_eq!(boundary(content_type).ok().as_deref(), want, "{content_type}");
    }

    #[test]
    fn a_boundary_is_bare_or_quoted_and_may_be_any_that_mime_allows() {
        check("multipart/mixed; boundary=\"batch_1\"", Some("batch_1"));
        check("multipart/mixed;boundary=batch_1", Some("batch_1"));
        check("Multipart/Mixed ; charset=utf-8 ; Boundary = batch_1 ; x=y", Some("batch_1"));
        check("multipart/mixed; x=\"a;boundary=no\"; boundary=yes", Some("yes"));
        check("multipart/mixed; flag; boundary=yes", Some("yes"));
        check("multipart/mixed; boundary=\"a b'()+_,-./:=?\"", Some("a b'()+_,-./:=?"));
        check("multipart/mixed; boundary=\"a\\\"b\"", Some("a\"b"));
        check("multipart/mixed; boundary=\"trailing  \"", Some("trailing"));
    }

    #[test]
    fn a_content_type_without_a_usable_boundary_is_refused() {
        check("multipart/mixed", None);
        check("multipart/mixed; boundary", None);
        check("multipart/mixed; boundary=", None);
        check("multipart/mixed; boundary=\"\"", None);
        check("multipart/form-data; boundary=x", None);
        check("application/json", None);
        check("", None);
        check(&format!("multipart/mixed; boundary={}", "x".repeat(251)), None);
    }
}
