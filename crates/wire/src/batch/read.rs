//! Reading batches: requests as the service gets them, answers as a caller gets them.
//!
//! Dialects that are taken, as well-known clients send them: LF alone, an empty line before the
//! request line or the body, raw spaces in an address, no line end after the last delimiter.
//! Not here: running anything.

use super::multipart::{self, Bad, Headers, bad, header, is_media, without_line_ends};
use super::{Answer, HEADERS_MAX, OPERATIONS_MAX, Operation, Part};
use crate::error::{Error, Result, cut};
use std::collections::HashSet;

/// Reads a batch of requests.
///
/// Shape: never empty, at most [`OPERATIONS_MAX`] operations, no change set is empty.
/// Errors: [`Error::BadBatch`], [`Error::BatchTooLong`], [`Error::ContentIdTwice`]. Cost: one pass per
/// nesting; nothing is copied.
pub fn read<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<Operation<'a>>>> {
    let refuse = |bad: Bad| match bad {
        Bad::Malformed(detail) => Error::BadBatch { detail },
        Bad::TooMany => Error::BatchTooLong { operations_max: OPERATIONS_MAX },
    };
    let parts = items(content_type, body, operation).map_err(refuse)?;
    unique(parts.iter().filter_map(|part| match part {
        Part::One(operation) => operation.content_id,
        Part::ChangeSet(_) => None,
    }))?;
    for part in &parts {
        if let Part::ChangeSet(operations) = part {
            unique(operations.iter().filter_map(|operation| operation.content_id))?;
        }
    }
    Ok(parts)
}

/// Content-IDs are unique in their change set, not in the whole batch: a reference never leaves its
/// change set, and dynamics-web-api begins anew in each.
fn unique<'a>(ids: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(Error::ContentIdTwice { id: cut(id) });
        }
    }
    Ok(())
}

/// Reads the answers to a batch, in order.
///
/// Shape: the answer at a place belongs to the part of the request at that place; where answers end
/// early, what follows was not run. A change set that failed holds the one error.
/// Errors: [`Error::BadAnswer`].
pub fn read_response<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<Answer<'a>>>> {
    let refuse = |bad: Bad| Error::BadAnswer {
        detail: match bad {
            Bad::Malformed(detail) => detail,
            Bad::TooMany => format!("it has more than {OPERATIONS_MAX} parts"),
        },
    };
    items(content_type, body, answer).map_err(refuse)
}

/// What is in a part of this kind, given its name and bytes.
type Item<'a, T> = fn(Option<&'a str>, &'a [u8]) -> Result<T, Bad>;

fn items<'a, T>(
    content_type: &str,
    body: &'a [u8],
    item: Item<'a, T>,
) -> Result<Vec<Part<T>>, Bad> {
    let boundary = multipart::boundary(content_type)?;
    let mut left = OPERATIONS_MAX;
    let mut parts = Vec::new();
    for bytes in multipart::parts(body, &boundary, OPERATIONS_MAX)? {
        let (headers, content) = multipart::headers(bytes)?;
        let kind = header(&headers, "content-type").unwrap_or_default();
        let part = if is_media(kind, "multipart/mixed") {
            let boundary = multipart::boundary(kind)?;
            let mut set = Vec::new();
            for bytes in multipart::parts(content, &boundary, left)? {
                let (headers, content) = multipart::headers(bytes)?;
                set.push(one(&headers, content, item)?);
            }
            Part::ChangeSet(set)
        } else {
            Part::One(one(&headers, content, item)?)
        };
        left = left.checked_sub(part.items().len()).ok_or(Bad::TooMany)?;
        parts.push(part);
    }
    Ok(parts)
}

fn one<'a, T>(headers: &Headers<'a>, content: &'a [u8], item: Item<'a, T>) -> Result<T, Bad> {
    let kind = header(headers, "content-type").unwrap_or_default();
    if is_media(kind, "multipart/mixed") {
        return bad("a change set stands in a change set");
    }
    if !is_media(kind, "application/http") {
        return bad(format!("a part has the content type '{}', not application/http", cut(kind)));
    }
    let encoding = header(headers, "content-transfer-encoding").unwrap_or("binary");
    if !["binary", "8bit", "7bit"].iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
        return bad(format!(
            "a part has the content transfer encoding '{}', not binary",
            cut(encoding)
        ));
    }
    let id = header(headers, "content-id").filter(|id| !id.is_empty());
    item(id, content)
}

fn operation<'a>(content_id: Option<&'a str>, bytes: &'a [u8]) -> Result<Operation<'a>, Bad> {
    let bytes = without_leading_line_ends(bytes);
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let Ok(line) = std::str::from_utf8(line) else { return bad("a request line is no text") };
    let line = line.trim();
    // Read from both ends: an address may hold raw spaces.
    let request = line.split_once(' ').and_then(|(method, rest)| {
        let (target, version) = rest.rsplit_once(' ')?;
        let target = target.trim();
        let is_one = !target.is_empty()
            && method.bytes().all(|byte| byte.is_ascii_alphabetic())
            && ["HTTP/1.1", "HTTP/1.0"].iter().any(|known| version.eq_ignore_ascii_case(known));
        is_one.then_some((method, target))
    });
    let Some((method, target)) = request else {
        return bad(format!("'{}' is no request line", cut(line)));
    };
    if target.contains(|character: char| character.is_control()) {
        return bad("a request line holds control characters");
    }
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    let (headers, body) = match rest.trim_ascii().is_empty() {
        true => (Vec::new(), &b""[..]),
        false => multipart::headers(rest)?,
    };
    Ok(Operation { content_id, method, target, headers, body: without_line_ends(body) })
}

fn answer<'a>(content_id: Option<&'a str>, bytes: &'a [u8]) -> Result<Answer<'a>, Bad> {
    let bytes = without_leading_line_ends(bytes);
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut slots);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return bad("a part ends within its headers"),
        Err(error) => return bad(format!("a part is no answer: {error}")),
    };
    Ok(Answer {
        content_id,
        status: head.code.unwrap_or_default(),
        reason: head.reason.unwrap_or_default(),
        headers: multipart::texts(head.headers)?,
        body: without_line_ends(bytes.get(length..).unwrap_or_default()),
    })
}

fn without_leading_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}
