//! What a run leaves behind: the rejects file, the errors file, and the exit code.
//!
//! In: the sender's events. Out: files that are valid input for another run.
//! Not here: printing (`cli`).
//! Invariant: every failed row stands once in each file, with its own code and text.

mod files;
mod order;

pub(crate) use files::{Reports, Wanted};
pub use order::Head;

use crate::compression::Sink;
use crate::journal::Outcome;
use crate::mapping::REPORT_COLUMNS;
use crate::problem::{Class, Problem};
use crate::rows::Row;
use crate::run::Selection;
use crate::sender::{Halt, Summary};
use crate::source::{Format, kept_fields, put_on_one_line};
use model::Uuid;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A report file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`")]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// The rejected rows in the input's own format, with reasons.
pub struct Rejects {
    path: PathBuf,
    out: Output,
    /// Which fields of a row are data, not the reasons of an earlier run.
    kept: Vec<bool>,
}

enum Output {
    Csv(Box<csv::Writer<Sink>>),
    Lines(BufWriter<Sink>),
}

impl Rejects {
    /// Begins the file, or goes on with the one of the run's earlier part. `headers` are those of a CSV
    /// input.
    pub fn create(
        path: &Path,
        format: Format,
        headers: &[String],
        goes_on: bool,
    ) -> Result<Self, Error> {
        let failed = |source| Error { path: path.to_owned(), source };
        let (file, is_new) = open(path, goes_on).map_err(failed)?;
        let kept: Vec<bool> =
            headers.iter().map(|name| !REPORT_COLUMNS.contains(&name.as_str())).collect();
        let out = match format {
            // What is killed leaves an array without an end; objects one after another are JSON input, too.
            Format::Ndjson | Format::Json | Format::Parquet => Output::Lines(BufWriter::new(file)),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                let names = headers.iter().zip(&kept).filter(|(_, kept)| **kept);
                let names = names.map(|(name, _)| name.as_str()).chain(REPORT_COLUMNS);
                if is_new {
                    writer.write_record(names).map_err(|err| failed(err.into()))?;
                }
                Output::Csv(Box::new(writer))
            }
        };
        Ok(Self { path: path.to_owned(), out, kept })
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Row, problem: &Problem) -> Result<(), Error> {
        let line = row.entry().line.to_string();
        let code = problem.code.map(|code| code.to_string()).unwrap_or_default();
        let column = problem.column.as_deref().unwrap_or_default();
        let written = match &mut self.out {
            Output::Csv(writer) => {
                let fields: Vec<&[u8]> = kept_fields(row.raw()).collect();
                let wanted = self.kept.iter().filter(|kept| **kept).count();
                let mut data: Vec<&[u8]> = fields
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| self.kept.get(*place).copied().unwrap_or(true))
                    .map(|(_, field)| *field)
                    .collect();
                // A short row is filled up, so that the reasons stand under their headers.
                if data.len() < wanted {
                    data.resize(wanted, b"");
                }
                let reasons = [
                    problem.message.as_bytes(),
                    code.as_bytes(),
                    line.as_bytes(),
                    column.as_bytes(),
                ];
                let written = writer.write_record(data.into_iter().chain(reasons));
                written.map_err(Into::into).and_then(|()| writer.flush())
            }
            Output::Lines(writer) => {
                let mut text = Vec::new();
                with_reasons(&mut text, row.raw(), problem, &code, row.entry().line);
                writer.write_all(&text).and_then(|()| writer.flush())
            }
        };
        written.map_err(|source| Error { path: self.path.clone(), source })
    }

    /// Ends the file.
    pub fn finish(self) -> Result<(), Error> {
        let sink = match self.out {
            Output::Csv(writer) => writer.into_inner().map_err(|err| err.into_error()),
            Output::Lines(writer) => writer.into_inner().map_err(|err| err.into_error()),
        };
        sink.and_then(Sink::finish).map_err(|source| Error { path: self.path, source })
    }
}

/// A new file, or one to add to where a run goes on.
fn open(path: &Path, goes_on: bool) -> std::io::Result<(Sink, bool)> {
    match goes_on {
        false => Sink::create(path).map(|sink| (sink, true)),
        true => Sink::append(path),
    }
}

/// The row's object with the reasons as further members; of an unreadable row its text. Values stay
/// as they were written: numbers keep their digits.
fn with_reasons(out: &mut Vec<u8>, raw: &[u8], problem: &Problem, code: &str, line: u64) {
    let mut members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(raw).unwrap_or_else(|_| {
            BTreeMap::from([("_input".to_owned(), raw_json(&String::from_utf8_lossy(raw)))])
        });
    let reasons =
        [raw_json(&problem.message), raw_json(code), raw_json(&line), raw_json(&problem.column)];
    members.extend(REPORT_COLUMNS.map(str::to_owned).into_iter().zip(reasons));
    serde_json::to_writer(&mut *out, &members).expect("texts and numbers are JSON");
    put_on_one_line(out);
    out.push(b'\n');
}

fn raw_json<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("texts and numbers are JSON")
}

/// A failed row in the errors file.
#[derive(Serialize)]
struct ErrorRecord<'a> {
    ordinal: u64,
    line: u64,
    table: &'a str,
    operation: &'a str,
    id: Option<String>,
    key: Option<&'a str>,
    class: &'a str,
    code: Option<String>,
    message: &'a str,
    column: Option<&'a str>,
    request_id: Option<&'a str>,
    attempts: u32,
    partial: bool,
    row: Box<RawValue>,
}

/// One JSON object per failed row, with everything that is known.
pub struct Errors {
    path: PathBuf,
    out: BufWriter<Sink>,
    table: Box<str>,
    headers: Vec<String>,
    format: Format,
}

impl Errors {
    /// Begins the file.
    pub fn create(
        path: &Path,
        table: &str,
        format: Format,
        headers: &[String],
        goes_on: bool,
    ) -> Result<Self, Error> {
        let (file, _) =
            open(path, goes_on).map_err(|source| Error { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            out: BufWriter::new(file),
            table: table.into(),
            headers: headers.to_vec(),
            format,
        })
    }

    /// Adds a row.
    pub fn add(
        &mut self,
        row: &Row,
        problem: &Problem,
        attempts: u32,
        is_partial: bool,
    ) -> Result<(), Error> {
        let entry = row.entry();
        let address = row.address();
        let key = (!address.is_empty()).then_some(&*address);
        let input = match self.format {
            Format::Csv => {
                let fields = kept_fields(row.raw()).map(String::from_utf8_lossy);
                let named: BTreeMap<&str, _> =
                    self.headers.iter().map(String::as_str).zip(fields).collect();
                raw_json(&named)
            }
            Format::Ndjson | Format::Json | Format::Parquet => serde_json::from_slice(row.raw())
                .unwrap_or_else(|_| raw_json(&String::from_utf8_lossy(row.raw()))),
        };
        let record = ErrorRecord {
            ordinal: entry.ordinal,
            line: entry.line,
            table: &self.table,
            operation: entry.operation.as_str(),
            id: row.id().map(|id| id.to_string()),
            key,
            class: problem.class.as_str(),
            code: problem.code.map(|code| code.to_string()),
            message: &problem.message,
            column: problem.column.as_deref(),
            request_id: problem.request_id.as_deref(),
            attempts,
            partial: is_partial,
            row: input,
        };
        let mut record = serde_json::to_vec(&record).expect("texts and numbers are JSON");
        put_on_one_line(&mut record);
        record.push(b'\n');
        let written = self.out.write_all(&record);
        written
            .and_then(|()| self.out.flush())
            .map_err(|source| Error { path: self.path.clone(), source })
    }

    /// Ends the file.
    pub fn finish(self) -> Result<(), Error> {
        let sink = self.out.into_inner().map_err(|err| err.into_error());
        sink.and_then(Sink::finish).map_err(|source| Error { path: self.path, source })
    }
}

/// A stream that rows which ended well are written to. Clones write to the same.
#[derive(Clone)]
pub struct PassTo(Arc<Mutex<Box<dyn Write + Send>>>);

impl PassTo {
    /// Writes to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }
}

impl std::fmt::Debug for PassTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a stream")
    }
}

/// One JSON object for every row that ended well and has a record: what the row gave, `Id` and
/// `_outcome`.
pub struct PassThru {
    to: PassTo,
    format: Format,
    headers: Vec<String>,
    ordered: Option<order::Ordered>,
}

/// The member that tells how a row ended.
pub const OUTCOME: &str = "_outcome";

impl PassThru {
    /// For rows of an input with these headers.
    pub fn new(to: PassTo, format: Format, headers: &[String]) -> Self {
        Self { to, format, headers: headers.to_vec(), ordered: None }
    }

    /// Tells rows in input order, as far as `head` says. A run that goes on has a selection.
    pub fn in_order(mut self, head: Head, selection: Option<Selection>) -> Self {
        self.ordered = Some(order::Ordered::new(head, selection));
        self
    }

    /// Takes in a row that has ended, well or not; `id` is its record, where that is known.
    pub fn add(&mut self, row: &Row, outcome: Outcome, id: Option<Uuid>) -> Result<(), Error> {
        let text = self.text(row, outcome, id).unwrap_or_default();
        match &mut self.ordered {
            None => self.write(&text),
            Some(ordered) => {
                let text = ordered.add(row, &text);
                self.write(&text)
            }
        }
    }

    /// Tells what was held back.
    pub fn finish(&mut self) -> Result<(), Error> {
        let rest = self.ordered.as_mut().map(order::Ordered::rest).unwrap_or_default();
        self.write(&rest)
    }

    fn write(&self, text: &[u8]) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = self.to.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(text)
            .and_then(|()| out.flush())
            .map_err(|source| Error { path: PathBuf::from("-"), source })
    }

    /// The object of a row that ended well and has a record.
    fn text(&self, row: &Row, outcome: Outcome, id: Option<Uuid>) -> Option<Vec<u8>> {
        let is_there = !matches!(outcome, Outcome::Failed | Outcome::NotAttempted);
        let id = id.filter(|_| is_there);
        let has_key = !row.address().is_empty() && is_there;
        if id.is_none() && !has_key {
            return None;
        }
        let mut members: BTreeMap<String, Box<RawValue>> = match self.format {
            Format::Csv => {
                let fields = kept_fields(row.raw()).map(String::from_utf8_lossy);
                let named = self.headers.iter().zip(fields);
                named.map(|(name, field)| (name.clone(), raw_json(&field))).collect()
            }
            Format::Ndjson | Format::Json | Format::Parquet => {
                serde_json::from_slice(row.raw()).unwrap_or_default()
            }
        };
        members.retain(|name, _| !name.eq_ignore_ascii_case("id"));
        if let Some(id) = id {
            members.insert("Id".to_owned(), raw_json(&id.to_string()));
        }
        members.insert(OUTCOME.to_owned(), raw_json(outcome.as_str()));
        let mut text = serde_json::to_vec(&members).expect("texts and numbers are JSON");
        put_on_one_line(&mut text);
        text.push(b'\n');
        Some(text)
    }
}

/// The exit code of a run.
///
/// Source: `client.md` 11.7.
pub fn exit_code(summary: &Summary) -> u8 {
    match &summary.halt {
        Some(Halt::Interrupted) => 5,
        Some(Halt::Refused(problem)) if problem.class == Class::Access => 3,
        Some(Halt::Refused(_) | Halt::Unreachable(_)) => 1,
        Some(Halt::TooManyErrors) => 4,
        Some(Halt::Journal(_)) => 7,
        None if summary.counts.of(Outcome::Failed) > 0 => 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests;
