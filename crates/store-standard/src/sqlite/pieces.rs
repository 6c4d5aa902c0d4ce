//! Pieces of files: written by the writer, read by a thread of their own.
//!
//! Reading a piece takes as long as its bytes; pages do not wait for it.
//! Invariant: a piece is on disk before it is answered, and no row is touched.

use super::Shared;
use super::connection::open_reader;
use super::error::{engine, statement_failed};
use super::session::Session;
use crate::names;
use model::{Catalog, ColumnIndex, TableId, Timestamp, Uuid};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use store::{Piece, Result};
use tokio::sync::oneshot;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sheaf_piece (
    file BLOB NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (file, name));
";

/// Names of pieces, each with its size in bytes.
type Sizes = Vec<(Box<str>, u64)>;

/// What is asked of the reading thread.
pub(super) enum Job {
    /// The bytes of a piece.
    Read { file: Uuid, name: Box<str>, answer: oneshot::Sender<Result<Option<Vec<u8>>>> },
    /// Names and sizes.
    Sizes { file: Uuid, answer: oneshot::Sender<Result<Sizes>> },
}

/// Makes the table where it is absent.
pub(super) fn open(conn: &Connection) -> Result<()> {
    conn.execute_batch(TABLES).map_err(statement_failed)
}

/// Starts the thread that reads pieces until the store closes.
pub(super) fn start(file: &Path, shared: Arc<Shared>) -> Result<JoinHandle<()>> {
    let conn = open_reader(file)?;
    std::thread::Builder::new()
        .name("sqlite-pieces".into())
        .spawn(move || {
            let session = Session::new(&conn, shared.counts.clone());
            while let Some(job) = shared.pieces.pop() {
                answer(&session, job);
            }
        })
        .map_err(engine("starting the thread that reads pieces"))
}

fn answer(session: &Session<'_>, job: Job) {
    let is_heard = match job {
        Job::Read { file, name, answer } => {
            answer.send(read(session, file, &name).map_err(statement_failed)).is_ok()
        }
        Job::Sizes { file, answer } => {
            answer.send(sizes(session, file).map_err(statement_failed)).is_ok()
        }
    };
    if !is_heard {
        tracing::debug!("nobody waits for the piece any more");
    }
}

fn read(session: &Session<'_>, file: Uuid, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement =
        session.statement("SELECT bytes FROM sheaf_piece WHERE file = ?1 AND name = ?2")?;
    statement.raw_bind_parameter(1, file.as_bytes().as_slice())?;
    statement.raw_bind_parameter(2, name)?;
    statement.raw_query().next()?.map(|row| row.get(0)).transpose()
}

fn sizes(session: &Session<'_>, file: Uuid) -> rusqlite::Result<Sizes> {
    let mut statement = session
        .statement("SELECT name, length(bytes) FROM sheaf_piece WHERE file = ?1 ORDER BY name")?;
    statement.raw_bind_parameter(1, file.as_bytes().as_slice())?;
    let mut rows = statement.raw_query();
    let mut sizes = Vec::new();
    while let Some(row) = rows.next()? {
        let size: i64 = row.get(1)?;
        sizes.push((row.get(0)?, size.cast_unsigned()));
    }
    Ok(sizes)
}

/// Keeps pieces, in a transaction of their own.
pub(super) fn put(session: &Session<'_>, pieces: &[Piece]) -> rusqlite::Result<()> {
    session.run("BEGIN IMMEDIATE")?;
    let mut statement = session.statement(
        "INSERT INTO sheaf_piece (file, name, at, bytes) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (file, name) DO UPDATE SET at = excluded.at, bytes = excluded.bytes",
    )?;
    for piece in pieces {
        statement.raw_bind_parameter(1, piece.file.as_bytes().as_slice())?;
        statement.raw_bind_parameter(2, &*piece.name)?;
        statement.raw_bind_parameter(3, piece.at.0)?;
        statement.raw_bind_parameter(4, piece.bytes.as_slice())?;
        statement.raw_execute()?;
    }
    drop(statement);
    session.commit()
}

/// Forgets old pieces of files that no row names.
pub(super) fn forget(
    session: &Session<'_>,
    catalog: &Catalog,
    named_by: &[(TableId, ColumnIndex)],
    before: Timestamp,
) -> rusqlite::Result<()> {
    let mut sql = "DELETE FROM sheaf_piece WHERE at < ?1".to_owned();
    for (table, column) in named_by {
        if let Some(table) = catalog.table_by_id(*table) {
            sql.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = sheaf_piece.file)",
                names::table(table.id),
                names::column(table.column(*column).id)
            ));
        }
    }
    let mut statement = session.statement(&sql)?;
    statement.raw_bind_parameter(1, before.0)?;
    statement.raw_execute()?;
    Ok(())
}
