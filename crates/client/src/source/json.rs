//! JSON texts: the members of an array, or values one after another; each as the bytes that it is.
//!
//! Not here: what the values are (`mapping`). Invariant: memory holds one value; what stands between values is
//! checked, what stands in them is not.

use super::{BUFFER_BYTES, Bytes, Error, LINE_BYTES_MAX, Line};
use std::io::{BufRead, BufReader};

/// A JSON input.
pub struct Json {
    reader: BufReader<Bytes>,
    line: u64,
    buffer: Vec<u8>,
    at: At,
}

/// What was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    /// `[`: a value or the end.
    Open,
    /// A value of an array: a comma or the end.
    Member,
    /// A comma: a value.
    Comma,
    /// The array has ended: nothing more.
    End,
    /// Values one after another.
    Values,
}

impl Json {
    /// Reads nothing yet.
    pub fn new(bytes: Bytes) -> Self {
        let reader = BufReader::with_capacity(BUFFER_BYTES, bytes);
        Self { reader, line: 1, buffer: Vec::new(), at: At::Start }
    }

    /// The next value, with the line on which it starts.
    #[expect(
        clippy::should_implement_trait,
        reason = "the value is lent, which an iterator cannot"
    )]
    pub fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, Error> {
        self.skip_mark()?;
        loop {
            let Some(byte) = self.peek()? else {
                return match self.at {
                    At::Start | At::End | At::Values => Ok(None),
                    At::Open | At::Member | At::Comma => Err(self.bad("the array has no end")),
                };
            };
            match (self.at, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') => self.pass(byte),
                (At::Start, b'[') => self.step(byte, At::Open),
                (At::Open | At::Member, b']') => self.step(byte, At::End),
                (At::Member, b',') => self.step(byte, At::Comma),
                (At::End, _) => return Err(self.bad("something follows the end of the array")),
                (At::Member, _) => return Err(self.bad("a comma or `]` is missing")),
                (At::Open | At::Comma, b',' | b']') => {
                    return Err(self.bad("a value is missing between commas"));
                }
                (At::Open | At::Comma, _) => {
                    self.at = At::Member;
                    return self.value().map(Some);
                }
                (At::Start | At::Values, _) => {
                    self.at = At::Values;
                    return self.value().map(Some);
                }
            }
        }
    }

    fn step(&mut self, byte: u8, at: At) {
        self.pass(byte);
        self.at = at;
    }

    /// The mark that some programs put before UTF-8.
    fn skip_mark(&mut self) -> Result<(), Error> {
        if self.at == At::Start && self.line == 1 {
            for byte in *b"\xef\xbb\xbf" {
                if self.peek()? != Some(byte) {
                    break;
                }
                self.reader.consume(1);
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, Error> {
        let line = self.line;
        let rest = self.reader.fill_buf().map_err(|err| failed(line, &err))?;
        Ok(rest.first().copied())
    }

    fn pass(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.reader.consume(1);
    }

    fn bad(&self, what: &str) -> Error {
        Error::Read { line: self.line, why: format!("not JSON: {what}") }
    }

    /// One value, from its first byte.
    fn value(&mut self) -> Result<(u64, Line<'_>), Error> {
        let first = self.line;
        let in_array = self.at == At::Member;
        self.buffer.clear();
        let mut is_long = false;
        let mut scan = Scan::default();
        loop {
            let rest = self.reader.fill_buf().map_err(|err| failed(self.line, &err))?;
            if rest.is_empty() {
                if scan.is_open() {
                    return Err(self.bad("a value has no end"));
                }
                break;
            }
            let (taken, is_whole) = scan.take(rest, in_array);
            let part = rest.get(..taken).unwrap_or_default();
            self.line += part.iter().filter(|byte| **byte == b'\n').count() as u64;
            is_long |= self.buffer.len() + taken > LINE_BYTES_MAX;
            match is_long {
                true => self.buffer = Vec::new(),
                false => self.buffer.extend_from_slice(part),
            }
            self.reader.consume(taken);
            if is_whole {
                break;
            }
        }
        let text = if is_long { Line::TooLong } else { Line::Text(self.buffer.trim_ascii()) };
        Ok((first, text))
    }
}

fn failed(line: u64, err: &std::io::Error) -> Error {
    Error::Read { line, why: err.to_string() }
}

/// Where in a value the scan is.
#[derive(Default)]
struct Scan {
    depth: u64,
    in_text: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl Scan {
    fn is_open(&self) -> bool {
        self.depth > 0 || self.in_text
    }

    /// How many of these bytes belong to the value, and whether it ends with them.
    fn take(&mut self, bytes: &[u8], in_array: bool) -> (usize, bool) {
        for (place, byte) in bytes.iter().enumerate() {
            if self.in_text {
                match (self.is_escaped, byte) {
                    (true, _) => self.is_escaped = false,
                    (false, b'\\') => self.is_escaped = true,
                    (false, b'"') => {
                        self.in_text = false;
                        if self.depth == 0 {
                            return (place + 1, true);
                        }
                    }
                    (false, _) => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (place + 1, true);
                    }
                }
                // A bare word ends where something else begins.
                b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 && self.has_begun => {
                    return (place, true);
                }
                b',' | b']' if self.depth == 0 && in_array => return (place, true),
                _ => {}
            }
            self.has_begun = true;
        }
        (bytes.len(), false)
    }
}
