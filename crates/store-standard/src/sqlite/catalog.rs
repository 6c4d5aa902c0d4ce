//! Loads and saves the definitions, the catalog version and the reserved row version.
//!
//! Not here: the texts (`layout`), the tables of rows (`schema`).
//! Invariant: what is saved in a transaction is what `load` finds after its commit.

use super::error::{engine, statement_failed};
use super::session::Session;
use crate::layout::{self, LAYOUT, Texts};
use model::{Catalog, Table, TableId};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;
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

/// Saves what is new in a catalog, and its version. Definitions are only ever added.
pub(super) fn save(conn: &Connection, before: &Catalog, after: &Catalog) -> rusqlite::Result<()> {
    for (place, table) in after.tables().iter().enumerate() {
        let (columns, keys) = match before.table_by_id(table.id) {
            Some(before) => (before.columns.len(), before.keys.len()),
            None => {
                conn.execute(
                    "INSERT INTO sheaf_table (place, number, logical_name, definition) \
                     VALUES (?1, ?2, ?3, ?4)",
                    params![
                        index(place),
                        table.id.0,
                        &*table.logical_name,
                        layout::encode_table(table.definition())
                    ],
                )?;
                (0, 0)
            }
        };
        save_parts(conn, table, columns, keys)?;
    }
    let known: HashSet<&str> =
        before.relationships().iter().map(|relationship| &*relationship.schema_name).collect();
    for (place, relationship) in after.relationships().iter().enumerate() {
        if known.contains(&*relationship.schema_name) {
            continue;
        }
        conn.execute(
            "INSERT INTO sheaf_relationship (place, schema_name, definition) VALUES (?1, ?2, ?3)",
            params![
                index(place),
                &*relationship.schema_name,
                layout::encode_relationship(relationship)
            ],
        )?;
    }
    set_number(conn, CATALOG_VERSION, after.version().cast_signed())
}

/// Saves the columns and keys of a table from these places on.
fn save_parts(
    conn: &Connection,
    table: &Table,
    columns: usize,
    keys: usize,
) -> rusqlite::Result<()> {
    let mut insert = conn.prepare(
        "INSERT INTO sheaf_column (table_number, place, number, logical_name, definition) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (place, column) in table.columns.iter().enumerate().skip(columns) {
        insert.execute(params![
            table.id.0,
            index(place),
            column.id.0,
            &*column.logical_name,
            layout::encode_column(column)
        ])?;
    }
    for (place, key) in table.keys.iter().enumerate().skip(keys) {
        conn.execute(
            "INSERT INTO sheaf_key (table_number, place, number, logical_name, definition) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![table.id.0, index(place), key.id, &*key.logical_name, layout::encode_key(key)],
        )?;
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
