//! Writing batches: requests as a caller sends them, answers as the service gives them.
//!
//! Lines end with CRLF. Of an answer the empty line after its head and one more line end stand before
//! the next delimiter, body or not; that is how the platform writes them.

use super::{Answer, BOUNDARY_CHARACTERS_MAX, OPERATIONS_MAX, Operation, Part};
use crate::error::{Error, Result};

/// The content type of a batch of requests with this boundary.
pub fn content_type(boundary: &str) -> String {
    format!("multipart/mixed; boundary=\"{boundary}\"")
}

/// The content type of the answers to a batch.
pub fn response_content_type(boundary: &str) -> String {
    format!("multipart/mixed; boundary={boundary}")
}

/// Writes a batch of requests. The boundary must be one that no body holds, such as `batch_<guid>`.
///
/// Errors: [`Error::NotEncodable`] for what the frame cannot hold: no or too many operations, an empty
/// change set, line ends in a head, a body with a line that looks like a delimiter.
pub fn encode(parts: &[Part<Operation<'_>>], boundary: &str) -> Result<Vec<u8>> {
    check(parts, boundary)?;
    let bytes: usize = parts.iter().flat_map(Part::items).map(|one| one.body.len() + 256).sum();
    let mut out = Vec::with_capacity(bytes);
    for (place, part) in parts.iter().enumerate() {
        delimiter(&mut out, boundary);
        match part {
            Part::One(one) => request(&mut out, one),
            Part::ChangeSet(several) => {
                let inner = format!("changeset_{place}_{boundary}");
                line(&mut out, &["Content-Type: ", &content_type(&inner)]);
                line(&mut out, &[]);
                for one in several {
                    delimiter(&mut out, &inner);
                    request(&mut out, one);
                }
                line(&mut out, &["--", &inner, "--"]);
            }
        }
    }
    line(&mut out, &["--", boundary, "--"]);
    Ok(out)
}

fn check(parts: &[Part<Operation<'_>>], boundary: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::NotEncodable { why: why.to_owned() });
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    // The boundary of a change set is somewhat longer.
    if boundary.is_empty()
        || boundary.len() + 20 > BOUNDARY_CHARACTERS_MAX
        || !boundary.bytes().all(legal)
    {
        return refuse("the boundary is not 1 to 230 letters, digits, `_`, `-` and `.`");
    }
    let count: usize = parts.iter().map(|part| part.items().len()).sum();
    if count == 0 || count > OPERATIONS_MAX || parts.iter().any(|part| part.items().is_empty()) {
        return refuse("a batch has 1 to 1,000 operations, and no change set is empty");
    }
    for one in parts.iter().flat_map(Part::items) {
        let plain = |text: &str| !text.chars().any(char::is_control) && text.trim() == text;
        let named = |text: &str| !text.is_empty() && !text.contains(' ') && plain(text);
        let head = !one.method.is_empty()
            && one.method.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !one.target.is_empty()
            && plain(one.target)
            && one.content_id.is_none_or(named)
            && one.headers.iter().all(|(name, value)| named(name) && plain(value));
        if !head {
            return refuse("a verb, address or header has line ends, outer blanks or no text");
        }
        let collides = |line: &[u8]| {
            line.strip_prefix(b"--").is_some_and(|rest| rest.starts_with(boundary.as_bytes()))
        };
        if one.body.split(|byte| *byte == b'\n').any(collides) {
            return refuse("a body has a line that begins like a delimiter");
        }
    }
    Ok(())
}

fn request(out: &mut Vec<u8>, one: &Operation<'_>) {
    part_head(out, one.content_id);
    line(out, &[one.method, " ", one.target, " HTTP/1.1"]);
    head_and_body(out, &one.headers, one.body);
}

/// Writes the answers to a batch, one after another.
///
/// Invariant: the first line of the body is the delimiter.
#[derive(Debug)]
pub struct ResponseWriter {
    out: Vec<u8>,
    boundary: String,
}

impl ResponseWriter {
    /// Begins. The boundary must be one that no body holds, such as `batchresponse_<guid>`.
    pub fn new(boundary: String) -> Self {
        Self { out: Vec::new(), boundary }
    }

    /// The boundary.
    pub fn boundary(&self) -> &str {
        &self.boundary
    }

    /// Bytes written so far.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Adds the answer to a single request.
    pub fn answer(&mut self, answer: &Answer<'_>) {
        delimiter(&mut self.out, &self.boundary);
        response(&mut self.out, answer);
    }

    /// Adds the answers to a change set, or the one error.
    pub fn change_set(&mut self, boundary: &str, answers: &[Answer<'_>]) {
        delimiter(&mut self.out, &self.boundary);
        line(&mut self.out, &["Content-Type: ", &response_content_type(boundary)]);
        line(&mut self.out, &[]);
        for answer in answers {
            delimiter(&mut self.out, boundary);
            response(&mut self.out, answer);
        }
        line(&mut self.out, &["--", boundary, "--"]);
    }

    /// Ends; the whole body.
    pub fn finish(mut self) -> Vec<u8> {
        line(&mut self.out, &["--", &self.boundary, "--"]);
        self.out
    }
}

fn response(out: &mut Vec<u8>, answer: &Answer<'_>) {
    part_head(out, answer.content_id);
    line(out, &["HTTP/1.1 ", &answer.status.to_string(), " ", answer.reason]);
    head_and_body(out, &answer.headers, answer.body);
}

fn part_head(out: &mut Vec<u8>, content_id: Option<&str>) {
    line(out, &["Content-Type: application/http"]);
    line(out, &["Content-Transfer-Encoding: binary"]);
    if let Some(id) = content_id {
        line(out, &["Content-ID: ", id]);
    }
    line(out, &[]);
}

fn head_and_body(out: &mut Vec<u8>, headers: &[(&str, &str)], body: &[u8]) {
    for (name, value) in headers {
        line(out, &[name, ": ", value]);
    }
    line(out, &[]);
    out.extend_from_slice(body);
    line(out, &[]);
}

fn delimiter(out: &mut Vec<u8>, boundary: &str) {
    line(out, &["--", boundary]);
}

fn line(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}
