//! Rows of an input, each as a line of JSON.
//!
//! Invariant: nothing is read ahead but a few rows; a row that cannot be read is named with its line, and counted.

use crate::connection;
use crate::output;
use client::source::{Error, Format, LINE_BYTES_MAX, Line, Source, put_on_one_line};
use futures_util::stream::{self, Stream};
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Rows that are read and nobody has taken yet.
const AHEAD: usize = 16;
/// Rows that could not be read and are named; the rest is counted.
const NAMED_MAX: u64 = 20;

/// An input that is read on a thread of its own.
pub(super) struct Input {
    rows: Option<mpsc::Receiver<Vec<u8>>>,
    reader: JoinHandle<Result<u64, Error>>,
}

impl Input {
    /// Begins to read.
    pub(super) fn read(path: PathBuf, format: Option<Format>) -> Self {
        let (sender, rows) = mpsc::channel(AHEAD);
        let reader = std::thread::spawn(move || pump(&path, format, &sender));
        Self { rows: Some(rows), reader }
    }

    /// Its rows; once.
    pub(super) fn rows(&mut self) -> impl Stream<Item = Vec<u8>> + use<> {
        stream::unfold(self.rows.take(), async |rows| {
            let mut rows = rows?;
            rows.recv().await.map(|row| (row, Some(rows)))
        })
    }

    /// How many rows could not be read, when all were taken. Errors: the input could not be read to its end.
    pub(super) fn end(self) -> Result<u64, Error> {
        match self.reader.join() {
            Ok(read) => read,
            Err(_) => Err(Error::Read { line: 0, why: "the reader has died".to_owned() }),
        }
    }
}

fn pump(path: &Path, format: Option<Format>, rows: &mpsc::Sender<Vec<u8>>) -> Result<u64, Error> {
    let connection::Input { bytes, format, .. } = connection::open(path, format)?;
    let mut bad = 0;
    let mut name = |line: u64, why: &str| {
        bad += 1;
        if bad <= NAMED_MAX {
            output::note(&format!("{}:{line}: {why}", path.display()));
        }
    };
    match Source::new(bytes, format) {
        // Not even a header line: no rows.
        Err(Error::NoHeaders) => {}
        Err(error) => return Err(error),
        Ok(Source::Csv(mut input)) => {
            let headers = input.headers().to_vec();
            while let Some((line, fields)) = input.next()? {
                let fields: Vec<&[u8]> = fields.iter().collect();
                match object(&headers, &fields) {
                    Ok(row) => {
                        if rows.blocking_send(row).is_err() {
                            break;
                        }
                    }
                    Err(why) => name(line, &why),
                }
            }
        }
        Ok(Source::Objects(mut input)) => {
            while let Some((line, text)) = input.next()? {
                match text {
                    Line::Text(text) if is_object(text) => {
                        let mut row = text.to_vec();
                        put_on_one_line(&mut row);
                        if rows.blocking_send(row).is_err() {
                            break;
                        }
                    }
                    Line::Text(_) => name(line, "the row is not a JSON object"),
                    Line::TooLong => {
                        name(line, &format!("the row is longer than {LINE_BYTES_MAX} bytes"));
                    }
                }
            }
        }
    }
    if bad > NAMED_MAX {
        output::note(&format!("and {} more", output::grouped(bad - NAMED_MAX)));
    }
    Ok(bad)
}

fn is_object(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{'))
}

/// A row of CSV as an object of texts, in the order of its columns; empty fields are left out.
fn object(headers: &[String], fields: &[&[u8]]) -> Result<Vec<u8>, String> {
    if fields.len() != headers.len() {
        return Err(format!("{} fields under {} headers", fields.len(), headers.len()));
    }
    let mut row = vec![b'{'];
    for (header, field) in headers.iter().zip(fields) {
        if field.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(field).map_err(|_| format!("`{header}` is not UTF-8"))?;
        if row.len() > 1 {
            row.push(b',');
        }
        for (what, end) in [(header.as_str(), Some(b':')), (text, None)] {
            serde_json::to_writer(&mut row, what).map_err(|error| error.to_string())?;
            row.extend(end);
        }
    }
    row.push(b'}');
    Ok(row)
}
