//! Loads and saves the definitions, the catalog version and the reserved row version.
//!
//! Not here: the texts (`layout`), the tables of rows (`schema`).
//! Invariant: what is saved in a transaction is what `load` finds after its commit.

use super::error::{engine, statement_failed};
use super::session::Session;
use crate::layout::changes::{self, Part};
use crate::layout::{self, LAYOUT, Texts};
use model::{Catalog, TableId};
use rusqlite::{Connection, OptionalExtension, params};
use store::{Error, Result};

/// Names of the numbers in `sheaf_meta`.
const LAYOUT_NUMBER: &str = "layout";
const CATALOG_VERSION: &str = "catalog_version";
const ROW_VERSION_RESERVED: &str = "row_version_reserved";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sheaf_meta (
    name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sheaf_table (
    place INTEGER PRIMARY KEY, number INTEGER NOT NULL UNIQUE, logical_name TEXT NOT NULL UNIQUE,
    definition TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sheaf_column (
    table_number INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL,
    logical_name TEXT NOT NULL, definition TEXT NOT NULL,
    PRIMARY KEY (table_number, place), UNIQUE (table_number, number),
    UNIQUE (table_number, logical_name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sheaf_key (
    table_number INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL,
    logical_name TEXT NOT NULL, definition TEXT NOT NULL,
    PRIMARY KEY (table_number, place), UNIQUE (table_number, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sheaf_relationship (
    place INTEGER PRIMARY KEY, schema_name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sheaf_definition (
    place INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL, definition TEXT NOT NULL,
    UNIQUE (kind, id));
";

/// Loads the definitions, making the tables for them in a new database.
pub(super) fn load(conn: &Connection) -> Result<Catalog> {
    conn.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES}")).map_err(statement_failed)?;
    let layout = number(conn, LAYOUT_NUMBER).map_err(statement_failed)?;
    match layout {
        None => {
            set_number(conn, LAYOUT_NUMBER, i64::from(LAYOUT)).map_err(statement_failed)?;
            set_number(conn, CATALOG_VERSION, 0).map_err(statement_failed)?;
            set_number(conn, ROW_VERSION_RESERVED, 0).map_err(statement_failed)?;
        }
        Some(layout) if layout == i64::from(LAYOUT) => {}
        Some(layout) => {
            return Err(Error::Engine {
                doing: "opening the database",
                source: format!("it has layout {layout}; this program reads layout {LAYOUT}")
                    .into(),
            });
        }
    }
    conn.execute_batch("COMMIT").map_err(statement_failed)?;
    let version = number(conn, CATALOG_VERSION).map_err(statement_failed)?.unwrap_or(0);
    let texts = texts(conn).map_err(statement_failed)?;
    layout::assemble(version.cast_unsigned(), &texts).map_err(engine("reading the definitions"))
}

/// The row version up to which numbers may have been given before.
pub(super) fn row_version_reserved(conn: &Connection) -> rusqlite::Result<i64> {
    Ok(number(conn, ROW_VERSION_RESERVED)?.unwrap_or(0))
}

/// Keeps that numbers up to this one may be given.
pub(super) fn reserve_row_versions(session: &Session<'_>, up_to: i64) -> rusqlite::Result<()> {
    let mut statement = session.statement("UPDATE sheaf_meta SET value = ?2 WHERE name = ?1")?;
    statement.raw_bind_parameter(1, ROW_VERSION_RESERVED)?;
    statement.raw_bind_parameter(2, up_to)?;
    statement.raw_execute()?;
    Ok(())
}

/// Saves what a change made of the definitions, and the new version.
pub(super) fn save(conn: &Connection, before: &Catalog, after: &Catalog) -> rusqlite::Result<()> {
    let changes = changes::between(before, after);
    for table in &changes.tables_gone {
        conn.execute("DELETE FROM sheaf_table WHERE number = ?1", [table.0])?;
    }
    for table in changes.tables_gone.iter().chain(&changes.columns_cleared) {
        conn.execute("DELETE FROM sheaf_column WHERE table_number = ?1", [table.0])?;
    }
    for table in changes.tables_gone.iter().chain(&changes.keys_cleared) {
        conn.execute("DELETE FROM sheaf_key WHERE table_number = ?1", [table.0])?;
    }
    for (table, text) in &changes.tables_changed {
        conn.execute(
            "UPDATE sheaf_table SET definition = ?2 WHERE number = ?1",
            params![table.0, text],
        )?;
    }
    for (table, name, text) in &changes.tables {
        conn.execute(
            "INSERT INTO sheaf_table (place, number, logical_name, definition) \
             VALUES ((SELECT coalesce(max(place), -1) + 1 FROM sheaf_table), ?1, ?2, ?3)",
            params![table.0, &**name, text],
        )?;
    }
    save_parts(conn, "sheaf_column", &changes.columns)?;
    save_parts(conn, "sheaf_key", &changes.keys)?;
    for name in &changes.relationships_gone {
        conn.execute("DELETE FROM sheaf_relationship WHERE schema_name = ?1", [name])?;
    }
    for (name, text) in &changes.relationships_changed {
        conn.execute(
            "UPDATE sheaf_relationship SET definition = ?2 WHERE schema_name = ?1",
            [name, text],
        )?;
    }
    for (name, text) in &changes.relationships {
        conn.execute(
            "INSERT INTO sheaf_relationship (place, schema_name, definition) \
             VALUES ((SELECT coalesce(max(place), -1) + 1 FROM sheaf_relationship), ?1, ?2)",
            [name, text],
        )?;
    }
    for (kind, id) in &changes.gone {
        conn.execute(
            "DELETE FROM sheaf_definition WHERE kind = ?1 AND id = ?2",
            params![*kind as i64, id.to_string()],
        )?;
    }
    for (kind, id, text) in &changes.put {
        conn.execute(
            "INSERT INTO sheaf_definition (kind, id, definition) VALUES (?1, ?2, ?3) \
             ON CONFLICT (kind, id) DO UPDATE SET definition = excluded.definition",
            params![*kind as i64, id.to_string(), text],
        )?;
    }
    set_number(conn, CATALOG_VERSION, after.version().cast_signed())
}

/// Saves columns or keys.
fn save_parts(conn: &Connection, table: &str, parts: &[Part]) -> rusqlite::Result<()> {
    let mut insert = conn.prepare(&format!(
        "INSERT INTO {table} (table_number, place, number, logical_name, definition) \
         VALUES (?1, ?2, ?3, ?4, ?5)"
    ))?;
    for part in parts {
        insert.execute(params![
            part.table.0,
            index(part.place),
            part.number,
            &*part.logical_name,
            part.text
        ])?;
    }
    Ok(())
}

fn texts(conn: &Connection) -> rusqlite::Result<Texts> {
    let list = |sql: &str| -> rusqlite::Result<Vec<String>> {
        conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    let parts = |sql: &str| -> rusqlite::Result<Vec<(TableId, String)>> {
        conn.prepare(sql)?.query_map([], |row| Ok((TableId(row.get(0)?), row.get(1)?)))?.collect()
    };
    Ok(Texts {
        tables: list("SELECT definition FROM sheaf_table ORDER BY place")?,
        columns: parts(
            "SELECT table_number, definition FROM sheaf_column ORDER BY table_number, place",
        )?,
        keys: parts("SELECT table_number, definition FROM sheaf_key ORDER BY table_number, place")?,
        relationships: list("SELECT definition FROM sheaf_relationship ORDER BY place")?,
        others: conn
            .prepare("SELECT kind, definition FROM sheaf_definition ORDER BY place")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?,
    })
}

fn number(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.query_row("SELECT value FROM sheaf_meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()
}

fn set_number(conn: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO sheaf_meta (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )?;
    Ok(())
}

fn index(place: usize) -> i64 {
    i64::try_from(place).expect("a table has at most 1,000 columns, and memory has an end")
}
