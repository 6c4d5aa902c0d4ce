//! Opens connections to the database file, each with what its work needs.
//!
//! Invariant: every connection has the functions of `functions` and `exact`, and the module `rarray`.

use super::Synchronous;
use super::error::{engine, statement_failed};
use super::{calendar, exact, functions};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;
use store::{Error, Result};

/// Page size of a new database. Measured: fewer, larger pages suit bulk inserts.
const PAGE_BYTES: u32 = 8_192;
/// The writer's page cache. It is not set aside: it grows with the pages that are touched.
const WRITER_CACHE_KIBIBYTES: u32 = 262_144;
/// How long a connection waits for a lock, which only a checkpoint or recovery holds.
const LOCK_TIME_MAX: Duration = Duration::from_secs(10);

/// The connection that writes; makes the file if it is not there.
pub(super) fn open_writer(file: &Path, synchronous: Synchronous) -> Result<Connection> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    let run = |sql: &str| conn.execute_batch(sql).map_err(statement_failed);
    // The page size counts only before the first page is written.
    run(&format!("PRAGMA page_size = {PAGE_BYTES}"))?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(statement_failed)?;
    if mode != "wal" {
        return Err(Error::Engine {
            doing: "turning the write-ahead log on",
            source: format!("the database answers journal mode `{mode}`").into(),
        });
    }
    run(&format!(
        "PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = 0; \
         PRAGMA cache_size = -{WRITER_CACHE_KIBIBYTES}; PRAGMA temp_store = MEMORY; \
         PRAGMA foreign_keys = OFF",
        word(synchronous)
    ))?;
    Ok(conn)
}

/// A connection that moves the log into the database file.
pub(super) fn open_checkpointer(file: &Path, synchronous: Synchronous) -> Result<Connection> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch(&format!(
        "PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = 0",
        word(synchronous)
    ))
    .map_err(statement_failed)?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn open_reader(file: &Path) -> Result<Connection> {
    let conn = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY")
        .map_err(statement_failed)?;
    Ok(conn)
}

fn open(file: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(engine("opening the database"))?;
    conn.busy_timeout(LOCK_TIME_MAX).map_err(statement_failed)?;
    rusqlite::vtab::array::load_module(&conn).map_err(statement_failed)?;
    functions::add(&conn).map_err(statement_failed)?;
    exact::register(&conn).map_err(statement_failed)?;
    calendar::register(&conn).map_err(statement_failed)?;
    Ok(conn)
}

fn word(synchronous: Synchronous) -> &'static str {
    match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    }
}
