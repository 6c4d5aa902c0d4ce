//! Where rows come from: CSV, NDJSON, JSON and Parquet, from a file or a stream, one row at a time.
//!
//! Not here: what rows mean (`mapping`, `encode`), unpacking (`compression`).
//! Invariant: memory does not grow with the input; every row knows its line; a row that cannot be
//! read is a row with a problem, and only the medium's own failure ends the reading.

mod json;
mod parquet;

pub use json::Json;
pub use parquet::Parquet;

use crate::compression;
use crate::encode::{Draft, Drafter};
use crate::problem::{Class, Problem};
use crate::rows::Block;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest row.
pub const LINE_BYTES_MAX: usize = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// A JSON array of objects. Read, it may also be objects one after another.
    Json,
    /// A Parquet file. Read by [`Parquet`], which makes NDJSON of it.
    Parquet,
}

impl Format {
    /// The format that a file name tells, beneath a compression.
    pub fn of_path(path: &Path) -> Option<Self> {
        let path = compression::plain_name(path);
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "json" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Why no more rows can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened.
    #[error("cannot open `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Reading failed.
    #[error("reading failed after line {line}: {why}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// Why.
        why: String,
    },
    /// There is no header line.
    #[error("the input has no header line")]
    NoHeaders,
    /// Two headers are the same.
    #[error("the header line has `{0}` twice")]
    RepeatedHeader(String),
    /// Parquet has its end first.
    #[error("Parquet is read from a file, neither from a stream nor compressed as a whole")]
    Stream,
}

/// The bytes of an input.
pub type Bytes = Box<dyn Read + Send>;

/// Opens a file and unpacks it; `-` is standard input.
pub fn open(path: &Path) -> Result<Bytes, Error> {
    compression::unpacked(open_packed(path)?, path)
}

/// Opens a file as it is; `-` is standard input.
pub fn open_packed(path: &Path) -> Result<Bytes, Error> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    match std::fs::File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(source) => Err(Error::Open { path: path.to_owned(), source }),
    }
}

/// Opens a file of rows: unpacked, Parquet as NDJSON; `-` is standard input.
pub fn open_rows(path: &Path) -> Result<(Bytes, Format), Error> {
    match Format::of_path(path) {
        Some(Format::Parquet) => Ok((Box::new(Parquet::open(path)?), Format::Ndjson)),
        Some(format) => Ok((open(path)?, format)),
        None => {
            let (format, bytes) = sniff(open(path)?)?;
            match format {
                Format::Parquet => Ok((Box::new(Parquet::open(path)?), Format::Ndjson)),
                format => Ok((bytes, format)),
            }
        }
    }
}

/// Looks at the first bytes of a stream: `{` begins NDJSON, `[` JSON, `PAR1` Parquet, anything else CSV.
pub fn sniff(bytes: Bytes) -> Result<(Format, Bytes), Error> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, bytes);
    let start = reader.fill_buf().map_err(|err| Error::Read { line: 0, why: err.to_string() })?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    let format = match first {
        _ if start.starts_with(parquet::MARK) => Format::Parquet,
        Some(b'{') => Format::Ndjson,
        Some(b'[') => Format::Json,
        _ => Format::Csv,
    };
    Ok((format, Box::new(reader)))
}

/// Stands before the CSV reader: ends a row that has no end (a quote that is never closed), and keeps
/// the bytes since the last row, because the reader counts a line's end only when it skips it.
struct Guard {
    bytes: Bytes,
    /// What was read since the row that is read now began, and some before.
    window: Vec<u8>,
    /// The place of the window in the input.
    window_at: u64,
    /// Where the row that is read now began.
    row_at: u64,
}

impl Guard {
    /// How many lines end before the row's first byte, from where the last row ended.
    fn lines_skipped(&self) -> u64 {
        let from = usize::try_from(self.row_at - self.window_at).unwrap_or(usize::MAX);
        let rest = self.window.get(from..).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        ends.filter(|byte| **byte == b'\n').count() as u64
    }
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let passed = usize::try_from(self.row_at - self.window_at).unwrap_or(usize::MAX);
        self.window.drain(..passed.min(self.window.len()));
        self.window_at = self.row_at;
        if self.window.len() > LINE_BYTES_MAX {
            let text = format!(
                "a row is longer than {LINE_BYTES_MAX} bytes (a quote that is never closed?)"
            );
            return Err(std::io::Error::other(text));
        }
        let read = self.bytes.read(buffer)?;
        self.window.extend_from_slice(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A CSV input: headers, then rows.
pub struct Csv {
    reader: csv::Reader<Guard>,
    headers: Vec<String>,
    record: csv::ByteRecord,
}

impl Csv {
    /// Reads the header line.
    pub fn new(bytes: Bytes) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(true)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Guard { bytes, window: Vec::new(), window_at: 0, row_at: 0 });
        let bad = |err: csv::Error| Error::Read { line: 0, why: err.to_string() };
        let headers = reader.byte_headers().map_err(bad)?;
        let mut names: Vec<String> = Vec::with_capacity(headers.len());
        for header in headers {
            let name = std::str::from_utf8(header).map_err(|_| Error::Read {
                line: 1,
                why: "the header line is not UTF-8".to_owned(),
            })?;
            if names.iter().any(|other| other == name) {
                return Err(Error::RepeatedHeader(name.to_owned()));
            }
            names.push(name.to_owned());
        }
        if names.is_empty() || names.iter().all(String::is_empty) {
            return Err(Error::NoHeaders);
        }
        Ok(Self { reader, headers: names, record: csv::ByteRecord::new() })
    }

    /// The header line.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The next row with its line.
    #[expect(clippy::should_implement_trait, reason = "the row is lent, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(u64, &csv::ByteRecord)>, Error> {
        let start = self.reader.position().clone();
        self.reader.get_mut().row_at = start.byte();
        let before = start.line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some((before + self.reader.get_ref().lines_skipped(), &self.record))),
            Err(err) => Err(Error::Read { line: before, why: err.to_string() }),
        }
    }
}

/// An NDJSON input.
pub struct Ndjson {
    reader: BufReader<Bytes>,
    line: u64,
    buffer: Vec<u8>,
}

/// A line of an NDJSON input, or a value of a JSON input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without the line's end.
    Text(&'a [u8]),
    /// It is longer than [`LINE_BYTES_MAX`] and was skipped.
    TooLong,
}

impl Ndjson {
    /// Reads nothing yet.
    pub fn new(bytes: Bytes) -> Self {
        let reader = BufReader::with_capacity(BUFFER_BYTES, bytes);
        Self { reader, line: 0, buffer: Vec::new() }
    }

    /// The next line that is not blank, with its number.
    #[expect(clippy::should_implement_trait, reason = "the line is lent, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, Error> {
        loop {
            self.buffer.clear();
            let bad = |line, err: std::io::Error| Error::Read { line, why: err.to_string() };
            let read = (&mut self.reader)
                .take(LINE_BYTES_MAX as u64)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|err| bad(self.line, err))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read == LINE_BYTES_MAX && !self.buffer.ends_with(b"\n") {
                self.buffer = Vec::new();
                self.reader.skip_until(b'\n').map_err(|err| bad(self.line, err))?;
                return Ok(Some((self.line, Line::TooLong)));
            }
            if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((self.line, Line::Text(self.buffer.trim_ascii()))));
            }
        }
    }
}

/// An input of objects.
pub enum Objects {
    /// One a line.
    Ndjson(Ndjson),
    /// In an array, or one after another.
    Json(Json),
}

impl Objects {
    /// The next one with the line on which it starts.
    #[expect(clippy::should_implement_trait, reason = "the text is lent, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, Error> {
        match self {
            Self::Ndjson(input) => input.next(),
            Self::Json(input) => input.next(),
        }
    }
}

/// Either input.
pub enum Source {
    /// Rows below headers.
    Csv(Csv),
    /// Rows that name their columns themselves.
    Objects(Objects),
}

impl Source {
    /// Reads as far as the header line.
    pub fn new(bytes: Bytes, format: Format) -> Result<Self, Error> {
        Ok(match format {
            Format::Csv => Self::Csv(Csv::new(bytes)?),
            Format::Ndjson => Self::Objects(Objects::Ndjson(Ndjson::new(bytes))),
            Format::Json => Self::Objects(Objects::Json(Json::new(bytes))),
            Format::Parquet => return Err(Error::Stream),
        })
    }

    /// The header line, where there is one.
    pub fn headers(&self) -> Option<&[String]> {
        match self {
            Self::Csv(csv) => Some(csv.headers()),
            Self::Objects(_) => None,
        }
    }

    /// Reads every row and hands on drafts, some at a time, until the input or the wish for more ends.
    ///
    /// `sink` answers whether more is wanted.
    pub fn pump(
        &mut self,
        drafter: &mut Drafter,
        mut sink: impl FnMut(Vec<Draft>) -> bool,
    ) -> Result<(), Error> {
        let (mut drafts, mut bytes) = (Vec::new(), 0);
        loop {
            let next = match self {
                Self::Csv(input) => match input.next() {
                    Ok(Some((line, fields))) => Ok(drafter.csv(line, fields)),
                    Ok(None) => Err(None),
                    Err(err) => Err(Some(err)),
                },
                Self::Objects(input) => match input.next() {
                    Ok(Some((line, Line::Text(text)))) => Ok(drafter.json(line, text)),
                    Ok(Some((line, Line::TooLong))) => {
                        let text = format!("the row is longer than {LINE_BYTES_MAX} bytes");
                        Ok(drafter.unreadable(line, Problem::new(Class::Input, text)))
                    }
                    Ok(None) => Err(None),
                    Err(err) => Err(Some(err)),
                },
            };
            match next {
                Ok(draft) => {
                    bytes += draft.as_ref().map_or(0, |draft| draft.raw.len());
                    drafts.extend(draft);
                    if (drafts.len() < Block::ROWS_MAX && bytes < Block::BYTES_MAX)
                        || drafts.is_empty()
                    {
                        continue;
                    }
                    bytes = 0;
                    if !sink(std::mem::take(&mut drafts)) {
                        return Ok(());
                    }
                }
                Err(end) => {
                    if !drafts.is_empty() {
                        sink(drafts);
                    }
                    return end.map_or(Ok(()), Err);
                }
            }
        }
    }
}

/// Puts a JSON value on one line: in a valid one, line ends stand only between its parts.
pub fn put_on_one_line(json: &mut [u8]) {
    for byte in json.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')) {
        *byte = b' ';
    }
}

/// Keeps a CSV row so that it can be written again.
pub fn keep_fields(out: &mut Vec<u8>, fields: &csv::ByteRecord) {
    for field in fields {
        let len = u32::try_from(field.len()).expect("a row is at most 64 MiB");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(field);
    }
}

/// The fields that [`keep_fields`] kept.
pub fn kept_fields(mut raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = raw.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        raw = rest;
        Some(field)
    })
}

#[cfg(test)]
mod tests;
