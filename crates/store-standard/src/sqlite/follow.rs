//! Tables whose changes are followed, and the rows that were deleted from them.
//!
//! The writer runs all of it, so the version that it answers is that of the last commit.
//! Invariant: a row that is deleted from a followed table stands here with the commit that deletes it.

use super::error::{Halt, statement_failed};
use super::execute::Versions;
use super::session::Session;
use crate::dialect::Param;
use crate::names::{self, Storage};
use crate::select::{Output, Select};
use model::{Catalog, Table, TableId, Timestamp, Uuid, Value};
use query::Page;
use rusqlite::Connection;
use std::collections::HashSet;
use store::{Deleted, Result};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sheaf_followed (table_number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS sheaf_deleted (
    table_number INTEGER NOT NULL, version INTEGER NOT NULL, id BLOB NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (table_number, version)) WITHOUT ROWID;
";

/// Makes the tables where they are absent; answers what is followed.
pub(super) fn open(conn: &Connection) -> Result<HashSet<TableId>> {
    let load = || {
        conn.execute_batch(TABLES)?;
        let mut statement = conn.prepare("SELECT table_number FROM sheaf_followed")?;
        let numbers = statement.query_map([], |row| row.get(0).map(TableId))?;
        numbers.collect::<rusqlite::Result<_>>()
    };
    load().map_err(statement_failed)
}

/// Begins to follow a table; the caller has begun a transaction and commits it.
pub(super) fn begin(session: &Session<'_>, table: &Table) -> rusqlite::Result<()> {
    let version = names::column(table.column(table.version_column()).id);
    session.run_once(&format!(
        "CREATE INDEX IF NOT EXISTS v{number} ON {} ({version})",
        names::table(table.id),
        number = table.id.0
    ))?;
    let mut statement =
        session.statement("INSERT OR IGNORE INTO sheaf_followed (table_number) VALUES (?1)")?;
    statement.raw_bind_parameter(1, table.id.0)?;
    statement.raw_execute()?;
    Ok(())
}

/// Remembers deleted rows of a followed table.
pub(super) fn remember(
    session: &Session<'_>,
    versions: &mut Versions,
    (table, now): (TableId, Timestamp),
    ids: &HashSet<Uuid>,
) -> Result<(), Halt> {
    let mut ids: Vec<&Uuid> = ids.iter().collect();
    ids.sort_unstable();
    let mut statement = session.statement(
        "INSERT INTO sheaf_deleted (table_number, version, id, at) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for id in ids {
        statement.raw_bind_parameter(1, table.0)?;
        statement.raw_bind_parameter(2, versions.next())?;
        statement.raw_bind_parameter(3, id.as_bytes().as_slice())?;
        statement.raw_bind_parameter(4, now.0)?;
        statement.raw_execute()?;
    }
    Ok(())
}

/// Forgets what was deleted before a time.
pub(super) fn forget(session: &Session<'_>, before: Timestamp) -> rusqlite::Result<()> {
    let mut statement = session.statement("DELETE FROM sheaf_deleted WHERE at < ?1")?;
    statement.raw_bind_parameter(1, before.0)?;
    statement.raw_execute()?;
    Ok(())
}

/// The query for the rows that were deleted above a version and are not there again.
pub(super) fn select(catalog: &Catalog, table: TableId, after: i64, rows_max: u32) -> Select {
    let mut sql = "SELECT d.id, d.version FROM sheaf_deleted AS d \
        WHERE d.table_number = ?1 AND d.version > ?2"
        .to_owned();
    if let Some(table) = catalog.table_by_id(table) {
        sql.push_str(&format!(
            " AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.id)",
            names::table(table.id),
            names::column(table.column(table.primary_key).id)
        ));
    }
    sql.push_str(" ORDER BY d.version LIMIT ?3");
    let params = vec![
        Param::BigInt(i64::from(table.0)),
        Param::BigInt(after),
        Param::BigInt(i64::from(rows_max)),
    ];
    let outputs = vec![
        Output::At { place: 0, storage: Storage::Guid },
        Output::At { place: 1, storage: Storage::BigInt },
    ];
    Select { sql, params, outputs }
}

/// The rows of a page of [`select`].
pub(super) fn rows(page: &Page) -> Vec<Deleted> {
    let rows = page.rows(2).filter_map(|row| match row {
        [Value::Guid(id), Value::BigInt(version)] => Some(Deleted { id: *id, version: *version }),
        _ => None,
    });
    rows.collect()
}
