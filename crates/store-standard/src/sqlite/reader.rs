//! Reads pages and judges sets: threads with a read-only connection each, on snapshots of committed rows.
//!
//! In: a [`Select`] that the caller's side has made. Out: a [`Page`], its values decoded straight from
//! the result row. A statement that takes too long is interrupted. Who wants a page in parts gets each as
//! soon as it is read, and encodes it while the next one is read.
//! Invariant: a page and its count come from one snapshot.

use super::Shared;
use super::connection::open_reader;
use super::deadline::{Deadline, STEPS_PER_LOOK};
use super::dialect::bind;
use super::error::{engine, malformed, statement_failed};
use super::session::Session;
use super::{exact, judged};
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
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Rows of a part: few enough that the first one comes soon and the last one is encoded soon, many enough
/// that waking who waits for it costs nothing beside them.
const PART_ROWS: usize = 250;

/// Work for a reader.
pub(super) enum Job {
    Page(PageJob),
    Judge(judged::Job),
}

/// One page to read.
pub(super) struct PageJob {
    pub(super) page: Select,
    pub(super) count: Option<Select>,
    /// Rows of the page at most; the statement may answer one more.
    pub(super) size: usize,
    /// Where the rows go, if not into the page.
    pub(super) parts: Option<Parts>,
    pub(super) answer: oneshot::Sender<Result<Page>>,
}

/// Takes the values of a page, some whole rows at a time.
pub(super) struct Parts(mpsc::Sender<Vec<Value>>);

impl Parts {
    /// For a page of at most so many rows. There is room for all of it: a reader never waits, so that it
    /// keeps its snapshot no longer than it reads.
    pub(super) fn new(size: usize) -> (Self, mpsc::Receiver<Vec<Value>>) {
        let room = (size / PART_ROWS).saturating_add(1).min(Semaphore::MAX_PERMITS);
        let (sender, receiver) = mpsc::channel(room);
        (Self(sender), receiver)
    }

    /// Hands over what is in a page; what nobody waits for is dropped.
    fn put(&self, cells: &mut Vec<Value>) {
        // The next part is about as long.
        let next = Vec::with_capacity(cells.len());
        drop(self.0.try_send(std::mem::replace(cells, next)));
    }
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
        match job {
            Job::Page(job) => {
                if job.answer.is_closed() {
                    // Nobody waits any more.
                    continue;
                }
                deadline.set(time_max);
                let page = guarded(&session, || read(&session, &job));
                deadline.clear();
                if job.answer.send(page).is_err() {
                    tracing::debug!("nobody waits for the page any more");
                }
            }
            Job::Judge(judged::Job { writes, answer }) => {
                let verdict = guarded(&session, || judged::judge(&session, &writes));
                if answer.send((writes, verdict)).is_err() {
                    tracing::debug!("nobody waits for the verdict any more");
                }
            }
        }
    }
}

/// Runs a read, and ends its snapshot however it ended.
fn guarded<T>(session: &Session<'_>, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(malformed("a read panicked")));
    if session.in_transaction()
        && let Err(source) = session.run("ROLLBACK")
    {
        tracing::error!(error = %source, "a reader could not end its snapshot");
    }
    result
}

fn read(session: &Session<'_>, job: &PageJob) -> Result<Page> {
    let parts = job.parts.as_ref();
    let Some(count) = &job.count else {
        return page_in_parts(session, &job.page, job.size, parts).map_err(read_failed);
    };
    let both = || {
        session.run("BEGIN")?;
        let mut page = page_in_parts(session, &job.page, job.size, parts)?;
        page.count = Some(self::count(session, count)?);
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
    if let Some(select) = count {
        page.count = Some(self::count(session, select)?);
    }
    Ok(page)
}

fn count(session: &Session<'_>, select: &Select) -> rusqlite::Result<u64> {
    let mut statement = session.statement(&select.sql)?;
    bind(&mut statement, &select.params)?;
    let found: i64 = match statement.raw_query().next()? {
        Some(row) => row.get(0)?,
        None => 0,
    };
    Ok(u64::try_from(found).unwrap_or(0))
}

/// Runs a query for a page of at most this many rows.
pub(super) fn page(session: &Session<'_>, select: &Select, size: usize) -> rusqlite::Result<Page> {
    page_in_parts(session, select, size, None)
}

/// The same, whose rows go into the parts, where there are some, and are counted.
fn page_in_parts(
    session: &Session<'_>,
    select: &Select,
    size: usize,
    parts: Option<&Parts>,
) -> rusqlite::Result<Page> {
    let mut statement = session.statement(&select.sql)?;
    bind(&mut statement, &select.params)?;
    let mut rows = statement.raw_query();
    let mut page = Page::default();
    if parts.is_some() {
        page.cells.reserve(size.min(PART_ROWS).saturating_mul(select.outputs.len()));
    }
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
        if let Some(parts) = parts
            && page.rows.is_multiple_of(PART_ROWS)
        {
            parts.put(&mut page.cells);
        }
    }
    if let Some(parts) = parts
        && !page.cells.is_empty()
    {
        parts.put(&mut page.cells);
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
#[inline]
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
