//! The texts of records: CSV, NDJSON and JSON.
//!
//! In: pages as bytes. Out: lines. Not here: Parquet (`parquet`). Invariant: a page is written to its last row before it is let go.

use super::columns::{From, Shown};
use super::parquet;
use crate::compression::Sink;
use crate::form::Form;
use crate::service::Described;
use crate::source::Format;
use model::{Catalog, ColumnIndex, Table, Value};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use wire::record::ReadRecord;

/// A record: its typed values, and the properties that are shown as they are.
pub(super) struct Record {
    pub(super) read: ReadRecord,
    /// In the order of those columns that come from properties; names of files that are saved behind them.
    pub(super) properties: Vec<Json>,
}

/// A page of records.
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    pub(super) next_link: Option<String>,
}

/// Reads a page; `more` names properties that are kept besides those that are shown.
pub(super) fn read_page(
    body: &[u8],
    described: &Described,
    columns: &[Shown],
    more: &[String],
) -> Result<Page, wire::Error> {
    let page = wire::record::read_page(body, &described.table, &described.catalog)?;
    let names: Vec<&str> = columns
        .iter()
        .filter_map(|shown| match &shown.from {
            From::Property(name, _) | From::Companion(name) => Some(name.as_str()),
            From::Column(_) => None,
        })
        .chain(more.iter().map(String::as_str))
        .collect();
    let properties = if names.is_empty() { Vec::new() } else { properties(body, &names)? };
    let mut properties = properties.into_iter();
    let records = page
        .records
        .into_iter()
        .map(|read| Record { read, properties: properties.next().unwrap_or_default() })
        .collect();
    Ok(Page { records, next_link: page.next_link })
}

fn properties(body: &[u8], names: &[&str]) -> Result<Vec<Vec<Json>>, wire::Error> {
    #[derive(serde::Deserialize)]
    struct Answer {
        value: Vec<HashMap<String, Json>>,
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|err| wire::Error::BadAnswer { detail: err.to_string() })?;
    let mut rows = answer.value;
    Ok(rows
        .iter_mut()
        .map(|row| names.iter().map(|name| row.remove(*name).unwrap_or(Json::Null)).collect())
        .collect())
}

/// The texts of a row; re-used.
pub(super) struct Row {
    pub(super) texts: Vec<String>,
    is_null: Vec<bool>,
    is_bare: Vec<bool>,
    /// From the place of a column in the table to its place in the output.
    places: Vec<Option<usize>>,
}

impl Row {
    pub(super) fn new(columns: &[Shown]) -> Self {
        let mut places = Vec::new();
        for (place, shown) in columns.iter().enumerate() {
            if let From::Column(index) = shown.from {
                let index = usize::from(index.0);
                if places.len() <= index {
                    places.resize(index + 1, None);
                }
                places[index] = Some(place);
            }
        }
        let texts = vec![String::new(); columns.len()];
        let is_bare = columns.iter().map(|shown| shown.is_bare).collect();
        Self { is_null: vec![true; texts.len()], is_bare, texts, places }
    }

    /// The place of a column in the output.
    pub(super) fn place(&self, column: ColumnIndex) -> Option<usize> {
        self.places.get(usize::from(column.0)).copied().flatten()
    }

    /// The text at a place, if there is a value.
    pub(super) fn text(&self, place: usize) -> Option<&str> {
        (!self.is_null[place]).then(|| &*self.texts[place])
    }

    /// `columns` must be those that the row was made for.
    pub(super) fn fill(&mut self, columns: &[Shown], catalog: &Catalog, record: &Record) {
        self.texts.iter_mut().for_each(String::clear);
        self.is_null.fill(true);
        for cell in &record.read.cells {
            let Some(place) = self.place(cell.column) else { continue };
            let text = &mut self.texts[place];
            self.is_null[place] = cell.value.is_null();
            match &cell.value {
                Value::Lookup(lookup) if columns[place].with_table => {
                    let table = catalog.table_by_id(lookup.table);
                    let table = table.map_or("", |table| &*table.logical_name);
                    text.push_str(&format!("TableName={table};Id={}", lookup.id));
                }
                Value::DateTime(at) if let Some(zone) = &columns[place].zone => {
                    let (blank, is_bare) = match columns[place].form {
                        Form::DateTime { blank, zulu } => (blank, !zulu),
                        _ => (false, false),
                    };
                    zone.write(text, *at, blank, is_bare);
                }
                value => columns[place].form.write(text, value),
            }
        }
        // The primary key stands beside the cells; it is the only column that can be missing there.
        if let Some(id) = record.read.id
            && let Some(place) = columns.iter().position(|shown| shown.is_key)
        {
            self.is_null[place] = false;
            self.texts[place] = id.to_string();
        }
        let mut properties = record.properties.iter();
        for (place, shown) in columns.iter().enumerate() {
            if let From::Property(..) | From::Companion(_) = shown.from {
                let value = properties.next().unwrap_or(&Json::Null);
                self.is_null[place] = value.is_null();
                self.is_bare[place] = !value.is_string();
                match value {
                    Json::Null => {}
                    Json::String(text) => self.texts[place].push_str(text),
                    other => self.texts[place] = other.to_string(),
                }
            }
        }
    }
}

/// Where rows go.
pub(super) enum Writer {
    Csv(Box<csv::Writer<Sink>>),
    Ndjson(BufWriter<Sink>),
    /// An array, and whether it has a member.
    Json(BufWriter<Sink>, bool),
    Parquet(Box<parquet::Writer>),
}

impl Writer {
    /// Writes the header line where there is one.
    pub(super) fn new(
        out: Sink,
        format: Format,
        columns: &[Shown],
        table: &Table,
    ) -> std::io::Result<Self> {
        Ok(match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                let headers = columns.iter().map(|shown| &shown.header);
                writer.write_record(headers).map_err(medium_error)?;
                writer.flush()?;
                Self::Csv(Box::new(writer))
            }
            Format::Ndjson => Self::Ndjson(BufWriter::new(out)),
            Format::Json => {
                let mut out = BufWriter::new(out);
                out.write_all(b"[")?;
                Self::Json(out, false)
            }
            Format::Parquet => Self::Parquet(Box::new(parquet::Writer::new(out, columns, table)?)),
        })
    }

    /// Writes records, to the last.
    pub(super) fn write(
        &mut self,
        columns: &[Shown],
        catalog: &Arc<Catalog>,
        records: &[Record],
    ) -> std::io::Result<()> {
        let mut row = Row::new(columns);
        match self {
            Self::Parquet(writer) => writer.write(columns, catalog, records),
            Self::Csv(writer) => {
                for record in records {
                    row.fill(columns, catalog, record);
                    writer.write_record(&row.texts).map_err(medium_error)?;
                }
                writer.flush()
            }
            Self::Ndjson(out) => {
                let names = names(columns);
                for record in records {
                    row.fill(columns, catalog, record);
                    write_object(out, &names, &row)?;
                    out.write_all(b"\n")?;
                }
                out.flush()
            }
            Self::Json(out, has_members) => {
                let names = names(columns);
                for record in records {
                    row.fill(columns, catalog, record);
                    out.write_all(if *has_members { b",\n" } else { b"\n" })?;
                    *has_members = true;
                    write_object(out, &names, &row)?;
                }
                out.flush()
            }
        }
    }

    /// Writes the end.
    pub(super) fn finish(self) -> std::io::Result<()> {
        let out = match self {
            Self::Csv(writer) => writer.into_inner().map_err(|err| err.into_error())?,
            Self::Ndjson(out) => out.into_inner().map_err(|err| err.into_error())?,
            Self::Json(mut out, has_members) => {
                out.write_all(if has_members { b"\n]\n" } else { b"]\n" })?;
                out.into_inner().map_err(|err| err.into_error())?
            }
            Self::Parquet(writer) => return writer.finish(),
        };
        out.finish()
    }
}

/// The medium's own error, with its kind.
fn medium_error(err: csv::Error) -> std::io::Error {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => err,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

/// The names of members, as JSON.
fn names(columns: &[Shown]) -> Vec<String> {
    columns.iter().map(|shown| Json::from(shown.header.as_str()).to_string()).collect()
}

fn write_object(out: &mut impl Write, names: &[String], row: &Row) -> std::io::Result<()> {
    for (place, name) in names.iter().enumerate() {
        out.write_all(if place == 0 { b"{" } else { b"," })?;
        out.write_all(name.as_bytes())?;
        out.write_all(b":")?;
        if row.is_null[place] {
            out.write_all(b"null")?;
        } else if row.is_bare[place] {
            out.write_all(row.texts[place].as_bytes())?;
        } else {
            serde_json::to_writer(&mut *out, &row.texts[place])?;
        }
    }
    out.write_all(b"}")
}
