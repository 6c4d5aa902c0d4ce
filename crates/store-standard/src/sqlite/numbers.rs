//! Numbers of auto-number columns: a row for each counter, which the writer alone moves on.
//!
//! Numbers are taken in a transaction of their own before the message that wants them, or inside an open
//! one; where several messages wait for some, one commit serves them.
//! Invariant: the counter is durable before its numbers are answered.

use super::error::statement_failed;
use super::session::Session;
use crate::counters::{Changes, Place};
use model::Catalog;
use rusqlite::Connection;
use store::{Numbers, Result};

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sheaf_number (
    table_number INTEGER NOT NULL, column_number INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (table_number, column_number)) WITHOUT ROWID;
";

/// Makes the table where it is absent.
pub(super) fn open(conn: &Connection) -> Result<()> {
    conn.execute_batch(TABLES).map_err(statement_failed)
}

/// The statements that a change of definitions needs.
pub(super) fn changed(changes: &Changes) -> impl Iterator<Item = String> {
    let gone = changes.gone.iter().map(|(table, column)| {
        format!(
            "DELETE FROM sheaf_number WHERE table_number = {} AND column_number = {}",
            table.0, column.0
        )
    });
    let put = changes.made.iter().chain(&changes.restarted).map(|((table, column), seed)| {
        format!(
            "INSERT OR REPLACE INTO sheaf_number (table_number, column_number, next) \
             VALUES ({}, {}, {seed})",
            table.0, column.0
        )
    });
    gone.chain(put)
}

/// Takes numbers in the transaction that the caller has begun.
pub(super) fn take(
    session: &Session<'_>,
    catalog: &Catalog,
    wanted: &[Numbers],
) -> Result<Vec<Vec<i64>>> {
    let of = |one: &Numbers| {
        if !one.is_counted(catalog) {
            return Err(one.no_counter());
        }
        let count = i64::try_from(one.count).unwrap_or(i64::MAX);
        let end = moved(session, (one.table, one.column), count).map_err(statement_failed)?;
        Ok((end - count..end).collect())
    };
    wanted.iter().map(of).collect()
}

fn moved(session: &Session<'_>, (table, column): Place, count: i64) -> rusqlite::Result<i64> {
    let mut statement = session.statement(
        "UPDATE sheaf_number SET next = next + ?3 WHERE table_number = ?1 AND column_number = ?2 \
         RETURNING next",
    )?;
    statement.raw_bind_parameter(1, table.0)?;
    statement.raw_bind_parameter(2, column.0)?;
    statement.raw_bind_parameter(3, count)?;
    let mut rows = statement.raw_query();
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let end = row.get(0)?;
    // The statement has not written before it has ended.
    while rows.next()?.is_some() {}
    Ok(end)
}

/// The number that a counter gives next.
pub(super) fn next(session: &Session<'_>, catalog: &Catalog, one: Numbers) -> Result<i64> {
    if !one.is_counted(catalog) {
        return Err(one.no_counter());
    }
    let read = || {
        let mut statement = session.statement(
            "SELECT next FROM sheaf_number WHERE table_number = ?1 AND column_number = ?2",
        )?;
        statement.raw_bind_parameter(1, one.table.0)?;
        statement.raw_bind_parameter(2, one.column.0)?;
        let mut rows = statement.raw_query();
        rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?.get(0)
    };
    read().map_err(statement_failed)
}
