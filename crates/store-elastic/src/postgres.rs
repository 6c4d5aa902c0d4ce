//! Elastic tables on PostgreSQL, and on what speaks its protocol.
//!
//! Nodes keep nothing: any number of them share one database. New rows are one statement in one flight;
//! everything else is two: the rows are looked up, what becomes of them is decided here, and they are
//! written on condition that they have not moved. What moved is decided anew.
//! In reading order: `statements` (tables and texts), `connection`, `write`, `read`.
//! Not here: the rules of a write (`store::elastic_rows`), how a page is cut (`store::elastic_page`).
//! Invariant: every statement is a transaction of its own, and no row is written over a version that was
//! not looked at.

mod connection;
mod error;
mod read;
mod statements;
mod write;

use async_trait::async_trait;
use connection::{Connection, Connections};
use error::{Error, engine};
use model::{Catalog, Table, TableId, Timestamp, Value};
use query::{BoundQuery, Page};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::elastic::{ElasticKey, ElasticOutcome, ElasticStore, ElasticWalk, ElasticWrite, Walked};
use store::elastic_page::PageBuilder;
use store::elastic_rows::VersionClock;
use store::{Error as StoreError, Result};
use tokio_postgres::error::SqlState;

/// How often what moved is decided anew before the store says that it is busy.
const ATTEMPTS_MAX: u32 = 32;
/// Attempts without a pause: the other writer is done by then.
const ATTEMPTS_AT_ONCE: u32 = 4;
/// The pause between later attempts, times their number.
const PAUSE: Duration = Duration::from_millis(1);

/// A store of elastic tables in a PostgreSQL database.
pub struct PostgresElasticStore {
    connections: Connections,
    versions: Mutex<VersionClock>,
}

impl PostgresElasticStore {
    /// Opens the database at this address (`postgres://user@host/database`). Tables are made when they
    /// are first written to.
    ///
    /// Errors: the address is not understood or asks for TLS (`sslmode=require`); the database cannot
    /// be reached.
    pub async fn open(url: &str) -> Result<Arc<Self>> {
        const DOING: &str = "opening the database of elastic tables";
        let open = async {
            let connections = Connections::new(url)?;
            let connection = connections.take().await?;
            // The common clock: what this node gave before it stopped lies below.
            let row = connection.client.query_one(statements::CLOCK, &[]).await;
            let row = row.map_err(|error| Error::of(DOING, error))?;
            let now: i64 = row.try_get(0).map_err(|error| engine(DOING, error))?;
            drop(connection);
            let versions = Mutex::new(VersionClock::after(now));
            Ok::<_, Error>(Arc::new(Self { connections, versions }))
        };
        open.await.map_err(|error| error.give_up(DOING))
    }

    /// Makes the table of an elastic table where it is absent.
    async fn create(&self, connection: &mut Connection, table: TableId) -> Result<(), Error> {
        connection.forget_statements();
        match connection.client.batch_execute(&statements::create(table)).await {
            Ok(()) => Ok(()),
            // Another node makes it at the same time, and is ahead.
            Err(error)
                if matches!(
                    error.code(),
                    Some(state) if *state == SqlState::UNIQUE_VIOLATION
                        || *state == SqlState::DUPLICATE_TABLE
                        || *state == SqlState::DUPLICATE_OBJECT
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::of("making the table of an elastic table", error)),
        }
    }

    async fn tables(&self, connection: &Connection) -> Result<Vec<TableId>, Error> {
        const DOING: &str = "listing elastic tables";
        let rows = connection.client.query(statements::TABLES, &[]).await;
        let rows = rows.map_err(|error| Error::of(DOING, error))?;
        let name = |row: &tokio_postgres::Row| row.try_get::<_, String>(0);
        rows.iter()
            .filter_map(|row| match name(row) {
                Ok(name) => statements::number_of(&name).map(Ok),
                Err(error) => Some(Err(engine(DOING, error))),
            })
            .collect()
    }
}

#[async_trait]
impl ElasticStore for PostgresElasticStore {
    async fn write(
        &self,
        table: &Arc<Table>,
        now: Timestamp,
        writes: Vec<ElasticWrite>,
    ) -> Result<Vec<ElasticOutcome>> {
        const DOING: &str = "writing elastic rows";
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = write::Call::new(table, now, writes);
        for attempt in 0..ATTEMPTS_MAX {
            let taken = self.connections.take().await;
            let mut connection = taken.map_err(|error| error.give_up(DOING))?;
            match call.attempt(&mut connection, &self.versions).await {
                Ok(()) => {}
                Err(Error::NoTable(_)) => {
                    let made = self.create(&mut connection, table.id).await;
                    made.map_err(|error| error.give_up(DOING))?;
                }
                Err(Error::Again(_)) => connection.forget_statements(),
                Err(error) => return Err(error.give_up(DOING)),
            }
            drop(connection);
            if call.is_done() {
                return Ok(call.into_outcomes());
            }
            if attempt >= ATTEMPTS_AT_ONCE {
                tokio::time::sleep(PAUSE * attempt).await;
            }
        }
        Err(StoreError::Busy)
    }

    async fn read(
        &self,
        query: &BoundQuery,
        partition: Option<&str>,
        now: Timestamp,
    ) -> Result<Page> {
        const DOING: &str = "reading elastic rows";
        for _ in 0..ATTEMPTS_MAX {
            let taken = self.connections.take().await;
            let mut connection = taken.map_err(|error| error.give_up(DOING))?;
            match read::page(&mut connection, query, partition, now).await {
                Ok(page) => return Ok(page),
                Err(Error::NoTable(_)) => {
                    connection.forget_statements();
                    return Ok(PageBuilder::new(query).finish());
                }
                Err(Error::Again(_)) => connection.forget_statements(),
                Err(error) => return Err(error.give_up(DOING)),
            }
        }
        Err(StoreError::Busy)
    }

    async fn rows(
        &self,
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        keys: &[ElasticKey],
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<Value>>>> {
        const DOING: &str = "reading elastic rows by their keys";
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..ATTEMPTS_MAX {
            let taken = self.connections.take().await;
            let mut connection = taken.map_err(|error| error.give_up(DOING))?;
            match read::rows(&mut connection, (catalog, table), keys, now).await {
                Ok(rows) => return Ok(rows),
                Err(Error::NoTable(_)) => {
                    connection.forget_statements();
                    return Ok(vec![None; keys.len()]);
                }
                Err(Error::Again(_)) => connection.forget_statements(),
                Err(error) => return Err(error.give_up(DOING)),
            }
        }
        Err(StoreError::Busy)
    }

    async fn walk(&self, walk: &ElasticWalk, now: Timestamp) -> Result<Walked> {
        const DOING: &str = "walking through elastic rows";
        for _ in 0..ATTEMPTS_MAX {
            let taken = self.connections.take().await;
            let mut connection = taken.map_err(|error| error.give_up(DOING))?;
            match read::walk(&mut connection, walk, now).await {
                Ok(walked) => return Ok(walked),
                Err(Error::NoTable(_)) => {
                    connection.forget_statements();
                    return Ok(Walked::default());
                }
                Err(Error::Again(_)) => connection.forget_statements(),
                Err(error) => return Err(error.give_up(DOING)),
            }
        }
        Err(StoreError::Busy)
    }

    async fn expire(&self, now: Timestamp, rows_max: usize) -> Result<usize> {
        const DOING: &str = "removing rows whose time is over";
        let sweep = async {
            let mut connection = self.connections.take().await?;
            let mut removed = 0;
            for table in self.tables(&connection).await? {
                let left = i64::try_from(rows_max - removed).unwrap_or(i64::MAX);
                if left == 0 {
                    break;
                }
                let text = statements::expire(table);
                let gone = match connection.prepared(&text).await {
                    Ok(statement) => connection
                        .client
                        .execute(&statement, &[&now.0, &left])
                        .await
                        .map_err(|error| Error::of(DOING, error)),
                    Err(error) => Err(error),
                };
                match gone {
                    Ok(gone) => removed += usize::try_from(gone).unwrap_or(usize::MAX),
                    // Forgotten meanwhile, or a writer was faster: another sweep will see.
                    Err(Error::NoTable(_) | Error::Again(_)) => connection.forget_statements(),
                    Err(error) => return Err(error),
                }
            }
            Ok(removed)
        };
        sweep.await.map_err(|error: Error| error.give_up(DOING))
    }

    async fn drop_table(&self, table: &Arc<Table>) -> Result<()> {
        const DOING: &str = "forgetting an elastic table";
        let gone = async {
            let mut connection = self.connections.take().await?;
            connection.forget_statements();
            let dropped = connection.client.batch_execute(&statements::drop(table.id)).await;
            dropped.map_err(|error| Error::of(DOING, error))
        };
        gone.await.map_err(|error: Error| error.give_up(DOING))
    }
}

/// The version clock, which a panic elsewhere leaves whole.
fn clock(versions: &Mutex<VersionClock>) -> std::sync::MutexGuard<'_, VersionClock> {
    versions.lock().unwrap_or_else(PoisonError::into_inner)
}
