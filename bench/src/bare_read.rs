//! The bare side of reads: SQL on the service's own database, every cell taken out of the engine.
//!
//! In: a statement. Out: its rows, and how long they took. Not here: which statements (`pages`,
//! `aggregates`). Rows go nowhere: they are counted and dropped, cell by cell.
//! Invariant: what is read are the very rows that the service reads, in the same file or cluster.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::bare_postgres::Raw;
use crate::report::{self, Taken};
use crate::service::Database;

/// A connection that reads.
pub(crate) enum Reader {
    Sqlite(Connection),
    Postgres {
        client: Client,
        /// Ends with the reader.
        _driver: JoinSet<()>,
    },
}

/// One row as texts: what every value looks like to a reader.
pub(crate) type Texts = Vec<Option<String>>;

/// A statement that reads a page: the id first, behind the id of the parameter.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// With the parameter at `{after}`.
    pub(crate) sql: String,
    pub(crate) rows: usize,
}

impl Reader {
    pub(crate) async fn open(database: &Database) -> Result<Reader> {
        Ok(match database {
            Database::Sqlite(path) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Reader::Sqlite(Connection::open_with_flags(path, flags)?)
            }
            Database::Postgres(url) => {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
                let mut drivers = JoinSet::new();
                drivers.spawn(async move {
                    // An error of the connection comes back to whoever uses its client, too.
                    let _ended = connection.await;
                });
                Reader::Postgres { client, _driver: drivers }
            }
        })
    }

    /// The columns of a table.
    pub(crate) async fn columns(&self, table: &str) -> Result<Vec<String>> {
        match self {
            Reader::Sqlite(connection) => {
                let mut statement =
                    connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
                let names = statement.query_map([table], |row| row.get(0))?;
                Ok(names.collect::<Result<_, _>>()?)
            }
            Reader::Postgres { client, .. } => {
                let rows = client
                    .query(
                        "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass \
                         AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                        &[&table],
                    )
                    .await?;
                Ok(rows.iter().map(|row| row.get(0)).collect())
            }
        }
    }

    /// Every row of a statement, its first `width` columns as texts.
    pub(crate) async fn texts(&self, sql: &str, width: usize) -> Result<Vec<Texts>> {
        match self {
            Reader::Sqlite(connection) => {
                let mut statement = connection.prepare(sql)?;
                let rows = statement.query_map([], |row| {
                    (0..width).map(|place| Ok(text_of(row.get(place)?))).collect()
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Reader::Postgres { client, .. } => {
                // Plain text, whatever the types.
                let messages = client.simple_query(sql).await?;
                let rows = messages.iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                let texts = rows
                    .map(|row| (0..width).map(|place| row.get(place).map(str::to_owned)).collect());
                Ok(texts.collect())
            }
        }
    }

    /// Reads so many pages, each behind the one before.
    pub(crate) async fn pages(&self, page: &Page, pages: usize) -> Result<Taken> {
        match self {
            Reader::Sqlite(connection) => tokio::task::block_in_place(|| {
                let mut statement = connection.prepare(&page.sql.replace("{after}", "?1"))?;
                let width = statement.column_count();
                let (started, cpu) = (Instant::now(), report::cpu_of(None)?);
                let mut after = Value::Blob(Uuid::nil().as_bytes().to_vec());
                for _ in 0..pages {
                    let mut rows = statement.query([&after])?;
                    let (mut count, mut last) = (0, None);
                    while let Some(row) = rows.next()? {
                        let cells: Vec<Value> =
                            (0..width).map(|place| row.get(place)).collect::<Result<_, _>>()?;
                        count += 1;
                        if count <= page.rows {
                            last = cells.into_iter().next();
                        }
                    }
                    ensure!(count >= page.rows, "a page has {count} rows");
                    after = last.context("a page has rows")?;
                }
                let wall = started.elapsed();
                let cpu = report::cpu_of(None)?.saturating_sub(cpu);
                Ok(Taken { wall, cpu: Some(cpu) })
            }),
            Reader::Postgres { client, .. } => {
                let statement = client.prepare(&page.sql.replace("{after}", "$1")).await?;
                let width = statement.columns().len();
                let started = Instant::now();
                let mut after = Raw::from(Uuid::nil());
                for _ in 0..pages {
                    let rows = client.query(&statement, &[&after]).await?;
                    let cells: Vec<Vec<Option<Raw>>> = rows
                        .iter()
                        .map(|row| (0..width).map(|place| row.get(place)).collect())
                        .collect();
                    let last = cells.get(page.rows - 1).and_then(|row| row[0].clone());
                    after = last.with_context(|| format!("a page has {} rows", rows.len()))?;
                }
                Ok(Taken { wall: started.elapsed(), cpu: None })
            }
        }
    }

    /// Runs a prepared statement so many times; answers how many rows it has.
    pub(crate) async fn repeat(&self, sql: &str, times: usize) -> Result<(Taken, usize)> {
        let mut count = 0;
        match self {
            Reader::Sqlite(connection) => tokio::task::block_in_place(|| {
                let mut statement = connection.prepare(sql)?;
                let width = statement.column_count();
                let (started, cpu) = (Instant::now(), report::cpu_of(None)?);
                for _ in 0..times {
                    count = 0;
                    let mut rows = statement.query([])?;
                    while let Some(row) = rows.next()? {
                        for place in 0..width {
                            row.get::<_, Value>(place)?;
                        }
                        count += 1;
                    }
                }
                let wall = started.elapsed();
                let cpu = report::cpu_of(None)?.saturating_sub(cpu);
                Ok((Taken { wall, cpu: Some(cpu) }, count))
            }),
            Reader::Postgres { client, .. } => {
                let statement = client.prepare(sql).await?;
                let started = Instant::now();
                for _ in 0..times {
                    count = client.query(&statement, &[]).await?.len();
                }
                Ok((Taken { wall: started.elapsed(), cpu: None }, count))
            }
        }
    }
}

/// What a value of SQLite looks like: ids with their hyphens.
fn text_of(value: Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(bytes) => match Uuid::from_slice(&bytes) {
            Ok(id) => id.to_string(),
            Err(_) => format!("{bytes:?}"),
        },
    })
}

/// The column in which a row has this value; the first of several.
pub(crate) fn column_of<'a>(columns: &'a [String], row: &Texts, value: &str) -> Result<&'a str> {
    let place = row.iter().position(|cell| cell.as_deref() == Some(value));
    let column = place.and_then(|place| columns.get(place));
    column.map(String::as_str).with_context(|| format!("`{value}` is nowhere in {row:?}"))
}

/// The column so many places behind this one in the order in which columns are made.
pub(crate) fn column_behind(column: &str, places: u32) -> Result<String> {
    let number = column.strip_prefix('c').and_then(|digits| digits.parse::<u32>().ok());
    let number = number.with_context(|| format!("`{column}` has no number"))?;
    Ok(format!("c{}", number + places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_what_is_in_it() {
        let columns = ["c1", "c7", "c7f"].map(str::to_owned);
        let row = vec![None, Some("Ab".to_owned()), Some("ab".to_owned())];
        assert_eq!(column_of(&columns, &row, "Ab").unwrap(), "c7");
        assert!(column_of(&columns, &row, "x").is_err());
        assert_eq!(column_behind("c7", 3).unwrap(), "c10");
        assert!(column_behind("c7f", 3).is_err());
    }
}
