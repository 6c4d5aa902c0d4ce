//! Reads pages: threads with a read-only connection each, on snapshots of committed rows.
//!
//! In: a [`Select`] that the caller's side has made. Out: a [`Page`], its values decoded straight from
//! the result row. A statement that takes too long is interrupted.
//! Invariant: a page and its count come from one snapshot.

use super::Shared;
use super::connection::open_reader;
use super::deadline::{Deadline, STEPS_PER_LOOK};
use super::dialect::bind;
use super::error::{engine, malformed, statement_failed};
use super::exact;
use super::session::Session;
use crate::names::{LookupTable, Storage};
use crate::select::{Output, Select, choices_of, unscaled};
use model::{Date, LookupValue, TableId, Timestamp, Uuid, Value};
use query::Page;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, ffi};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use store::{Error, Result};
use tokio::sync::oneshot;

/// One page to read.
pub(super) struct Job {
    pub(super) page: Select,
    pub(super) count: Option<Select>,
    /// Rows of the page at most; the statement may answer one more.
    pub(super) size: usize,
    pub(super) answer: oneshot::Sender<Result<Page>>,
}

/// Starts a thread that reads until the store closes.
pub(super) fn start(
    file: &Path,
    shared: Arc<Shared>,
    time_max: Duration,
) -> Result<JoinHandle<()>> {
    let mut conn = open_reader(file)?;
    let deadline = Arc::new(Deadline::default());
    let watched = deadline.clone();
    conn.progress_handler(STEPS_PER_LOOK, Some(move || watched.is_over()))
        .map_err(statement_failed)?;
    std::thread::Builder::new()
        .name("sqlite-read".into())
        .spawn(move || run(&conn, &shared, &deadline, time_max))
        .map_err(engine("starting a reader thread"))
}

fn run(conn: &Connection, shared: &Shared, deadline: &Deadline, time_max: Duration) {
    let session = Session::new(conn, shared.counts.clone());
    while let Some(job) = shared.reads.pop() {
        if job.answer.is_closed() {
            // Nobody waits any more.
            continue;
        }
        deadline.set(time_max);
        let read = std::panic::AssertUnwindSafe(|| read(&session, &job));
        let page = std::panic::catch_unwind(read)
            .unwrap_or_else(|_| Err(malformed("reading a page panicked")));
        deadline.clear();
        if session.in_transaction()
            && let Err(source) = session.run("ROLLBACK")
        {
            tracing::error!(error = %source, "a reader could not end its snapshot");
        }
        if job.answer.send(page).is_err() {
            tracing::debug!("nobody waits for the page any more");
        }
    }
}

fn read(session: &Session<'_>, job: &Job) -> Result<Page> {
    let Some(count) = &job.count else {
        return page(session, &job.page, job.size).map_err(read_failed);
    };
    let both = || {
        session.run("BEGIN")?;
        let page = counted(session, &job.page, Some(count), job.size)?;
        session.run("COMMIT")?;
        Ok(page)
    };
    both().map_err(read_failed)
}

/// A page and, where it is wanted, its count. Both in one snapshot only inside a transaction.
pub(super) fn counted(
    session: &Session<'_>,
    select: &Select,
    count: Option<&Select>,
    size: usize,
) -> rusqlite::Result<Page> {
    let mut page = page(session, select, size)?;
    if let Some(count) = count {
        let mut statement = session.statement(&count.sql)?;
        bind(&mut statement, &count.params)?;
        let found: i64 = match statement.raw_query().next()? {
            Some(row) => row.get(0)?,
            None => 0,
        };
        page.count = Some(u64::try_from(found).unwrap_or(0));
    }
    Ok(page)
}

/// Runs a query for a page of at most this many rows.
pub(super) fn page(session: &Session<'_>, select: &Select, size: usize) -> rusqlite::Result<Page> {
    let mut statement = session.statement(&select.sql)?;
    bind(&mut statement, &select.params)?;
    let mut rows = statement.raw_query();
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        if page.rows == size {
            page.more = true;
            break;
        }
        page.rows += 1;
        for output in &select.outputs {
            page.cells.push(match *output {
                Output::Null => Value::Null,
                Output::At { place, storage } => value_of(row, place, storage)?,
                Output::Wide { place, scale } => exact::value_of(row, place, scale)?,
            });
        }
    }
    Ok(page)
}

fn read_failed(source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(ffi::ErrorCode::OperationInterrupted) => {
            Error::Engine { doing: "reading a page within the time limit", source: source.into() }
        }
        _ => statement_failed(source),
    }
}

/// The value in a result row, in the form of its column.
pub(super) fn value_of(row: &Row<'_>, place: usize, storage: Storage) -> rusqlite::Result<Value> {
    let found = row.get_ref(place)?;
    let value = match (storage, found) {
        (_, ValueRef::Null) => Some(Value::Null),
        (Storage::Text { .. }, ValueRef::Text(text)) => {
            std::str::from_utf8(text).ok().map(|text| Value::Text(text.into()))
        }
        (Storage::Choices, ValueRef::Text(text)) => {
            std::str::from_utf8(text).ok().and_then(choices_of).map(Value::Choices)
        }
        (Storage::Integer, ValueRef::Integer(number)) => {
            i32::try_from(number).ok().map(Value::Integer)
        }
        (Storage::BigInt, ValueRef::Integer(number)) => Some(Value::BigInt(number)),
        (Storage::Decimal { scale }, ValueRef::Integer(number)) => {
            Some(Value::Decimal(unscaled(number, scale)))
        }
        (Storage::Double, ValueRef::Real(number)) => Some(Value::Double(number)),
        (Storage::Boolean, ValueRef::Integer(flag)) => Some(Value::Boolean(flag != 0)),
        (Storage::DateTime, ValueRef::Integer(at)) => Some(Value::DateTime(Timestamp(at))),
        (Storage::Date, ValueRef::Integer(day)) => {
            i32::try_from(day).ok().map(|day| Value::Date(Date(day)))
        }
        (Storage::Guid, ValueRef::Blob(id)) => Uuid::from_slice(id).ok().map(Value::Guid),
        (Storage::Lookup(table), ValueRef::Blob(id)) => {
            let table = match table {
                LookupTable::Fixed(table) => table,
                LookupTable::Column => Some(TableId(row.get(place + 1)?)),
            };
            Uuid::from_slice(id)
                .ok()
                .zip(table)
                .map(|(id, table)| Value::Lookup(LookupValue { table, id }))
        }
        _ => None,
    };
    value.ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(place, format!("{storage:?}"), found.data_type())
    })
}
