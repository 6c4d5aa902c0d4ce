//! Standard tables on PostgreSQL, and on what speaks its protocol.
//!
//! Nodes keep nothing: any number of them share one database. A write set is one transaction of one
//! or two flights ([`Counters`] counts them); a page is one flight. In reading order: `connection`
//! (sessions and flights), `transaction`, `open`, `execute` (the quick and the careful way), `known`, `write`,
//! `cascade`, `read`, `follow`, `numbers`, `pieces`, `schema`.
//! Not here: the rules of a write (`store::judge`), the text of queries (`select`).
//! Invariant: only SQL that PostgreSQL's kin take, too: no extensions, no temporary tables, no advisory
//! locks.

mod cascade;
mod check;
mod connection;
mod decode;
mod dialect;
mod encode;
mod error;
mod execute;
mod follow;
mod known;
mod numbers;
mod open;
mod pieces;
mod read;
mod schema;
mod spread;
mod transaction;
mod write;

use crate::refusals::{self, Refusals};
use async_trait::async_trait;
use connection::{Connections, Session, Step};
use error::{Error, Fault, engine};
use model::{Catalog, ColumnId, ColumnIndex, TableId, Timestamp, Uuid};
use query::{BoundQuery, Page};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{
    Applied, Changed, Deleted, Numbers, Piece, Result, SchemaChange, StandardStore, Tx, WriteSet,
};
use tokio::sync::Semaphore;
use transaction::{Author, Transaction};

pub use connection::Counters;

/// How often one message is tried before the store says that it is busy: each time another transaction
/// was in the way.
const ATTEMPTS_MAX: u32 = 8;
/// The pause before the second try; it doubles from try to try.
const PAUSE_FIRST: Duration = Duration::from_millis(2);

/// A store of standard tables in a PostgreSQL database.
pub struct PostgresStore {
    connections: Connections,
    /// What open transactions take. They are fewer than the connections: who holds one may read besides.
    open: Arc<Semaphore>,
    /// The definitions as they were last seen.
    catalog: Mutex<Option<Arc<Catalog>>>,
    /// How messages of many rows ended lately, on this node.
    refusals: Refusals,
}

impl PostgresStore {
    /// Opens the database at this address (`postgres://user@host/database`) and makes the bookkeeping
    /// tables where they are absent.
    ///
    /// Errors: the address is not understood or asks for TLS (`sslmode=require`); the database cannot
    /// be reached; it has a layout of another release.
    pub async fn open(url: &str) -> Result<Arc<Self>> {
        const DOING: &str = "opening the database";
        let open = async {
            let connections = Connections::new(url)?;
            let mut session = connections.session().await?;
            schema::open(&mut session).await?;
            follow::open(&mut session).await?;
            drop(session);
            let open = Arc::new(Semaphore::new(open::TRANSACTIONS_MAX));
            let (catalog, refusals) = (Mutex::new(None), Refusals::default());
            Ok::<_, Error>(Arc::new(Self { connections, open, catalog, refusals }))
        };
        open.await.map_err(|error| error.give_up(DOING))
    }

    /// What was sent so far.
    pub fn counters(&self) -> Counters {
        self.connections.counters()
    }

    async fn try_catalog(&self) -> Result<Arc<Catalog>, Error> {
        let mut session = self.connections.session().await?;
        let version = version_of(&mut session).await?;
        let held = self.catalog.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match held {
            Some(held) if held.version() == version => Ok(held),
            _ => {
                let catalog = Arc::new(schema::load(&mut session).await?);
                self.hold(&catalog);
                Ok(catalog)
            }
        }
    }

    /// Remembers how a message ended.
    fn ended(&self, writes: &WriteSet, refused: bool) {
        if refusals::counts(&writes.ops) {
            self.refusals.remember(refused);
        }
    }

    fn hold(&self, catalog: &Arc<Catalog>) {
        let mut held = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|held| held.version() <= catalog.version()) {
            *held = Some(catalog.clone());
        }
    }
}

/// What to do after a failed try.
enum Next {
    Again { careful: bool },
    GiveUp(store::Error),
}

/// Decides what follows from a failed try, with the session outside its transaction.
async fn next(session: &mut Session, bound: &Catalog, error: Error, doing: &'static str) -> Next {
    session.roll_back().await;
    match error {
        Error::Doubt | Error::Unique(_) => Next::Again { careful: true },
        Error::Again(_) => Next::Again { careful: false },
        Error::Moved | Error::Names(_) => {
            session.forget_statements();
            Next::GiveUp(stale(session, bound, error, doing).await)
        }
        error => Next::GiveUp(error.give_up(doing)),
    }
}

/// The answer where the definitions seem to have moved on.
async fn stale(
    session: &mut Session,
    bound: &Catalog,
    error: Error,
    doing: &'static str,
) -> store::Error {
    match version_of(session).await {
        Ok(actual) if actual != bound.version() => {
            store::Error::StaleCatalog { bound: bound.version(), actual }
        }
        Ok(_) => error.give_up(doing),
        Err(error) => error.give_up(doing),
    }
}

async fn version_of(session: &mut Session) -> Result<u64, Error> {
    const DOING: &str = "reading the catalog's version";
    let steps = vec![Step::run(transaction::VERSION, Vec::new())];
    let answers = session.fly(DOING, steps).await?;
    let row = answers.first().and_then(|rows| rows.first());
    let row = row.ok_or_else(|| engine(DOING, Fault::Answer("sheaf_catalog has no row")))?;
    let version = decode::int8(row, 0).map_err(|fault| engine(DOING, fault))?;
    u64::try_from(version).map_err(|error| engine(DOING, error))
}

fn version_bound(catalog: &Catalog) -> i64 {
    // No stored version is negative, so a number that does not fit is stale, as it should be.
    i64::try_from(catalog.version()).unwrap_or(-1)
}

async fn pause(attempt: u32) {
    tokio::time::sleep(PAUSE_FIRST * 2_u32.pow(attempt)).await;
}

/// One try of a write set.
async fn write_once(
    session: &mut Session,
    writes: &WriteSet,
    careful: bool,
) -> Result<Applied, Error> {
    let author = Author { now: writes.now, user: writes.user };
    let mut transaction = Transaction::new(session, version_bound(&writes.catalog));
    let work = (writes.ops.as_slice(), writes.checks.as_slice());
    let ops = if careful {
        execute::carefully(&mut transaction, &writes.catalog, author, work).await?
    } else {
        execute::quickly(&mut transaction, &writes.catalog, author, work).await?
    };
    transaction.commit().await?;
    Ok(Applied { ops })
}

/// One try of a change of definitions.
async fn change_once(
    session: &mut Session,
    change: &SchemaChange,
    after: &Arc<Catalog>,
    careful: bool,
) -> Result<Applied, Error> {
    let lock = Step::run("SELECT version FROM sheaf_catalog WHERE id = 1 FOR UPDATE", Vec::new());
    let answers =
        session.fly("locking the definitions", vec![Step::command("BEGIN"), lock]).await?;
    let version = answers[1].first().map(|row| decode::int8(row, 0)).transpose();
    let version = version.map_err(|fault| engine("locking the definitions", fault))?;
    if version != Some(version_bound(&change.catalog)) {
        return Err(Error::Moved);
    }
    let plan = schema::plan(&change.catalog, after, &change.ops)?;
    let steps = plan.steps.clone();
    session.fly_and_tell("changing definitions", steps).await.map_err(|(step, error)| {
        match (error, plan.rejection(step)) {
            (Error::Unique(_), Some(rejection)) => Error::Store(rejection),
            (error, _) => error,
        }
    })?;
    let author = Author { now: change.now, user: change.user };
    let mut transaction = Transaction::inside(session);
    let work = (change.rows.as_slice(), change.checks.as_slice());
    let ops = if careful {
        execute::carefully(&mut transaction, after, author, work).await?
    } else {
        execute::quickly(&mut transaction, after, author, work).await?
    };
    transaction.commit().await?;
    Ok(Applied { ops })
}

#[async_trait]
impl StandardStore for PostgresStore {
    async fn catalog(&self) -> Result<Arc<Catalog>> {
        self.try_catalog().await.map_err(|error| error.give_up("loading definitions"))
    }

    async fn catalog_version(&self) -> Result<u64> {
        const DOING: &str = "reading the catalog's version";
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        version_of(&mut session).await.map_err(|error| error.give_up(DOING))
    }

    async fn change(&self, change: SchemaChange) -> Result<Changed> {
        const DOING: &str = "changing definitions";
        let after = Arc::new(match store::apply_ops(&change.catalog, &change.ops) {
            Ok(after) => after,
            Err(error) => {
                // Perhaps only because the definitions have moved on.
                let actual = self.catalog_version().await?;
                let bound = change.catalog.version();
                return Err(if actual == bound {
                    error
                } else {
                    store::Error::StaleCatalog { bound, actual }
                });
            }
        });
        let mut careful = false;
        for attempt in 0..ATTEMPTS_MAX {
            let mut session =
                self.connections.session().await.map_err(|error| error.give_up(DOING))?;
            match Box::pin(change_once(&mut session, &change, &after, careful)).await {
                Ok(applied) => {
                    self.hold(&after);
                    return Ok(Changed { catalog: after, applied });
                }
                Err(error) => match next(&mut session, &change.catalog, error, DOING).await {
                    Next::Again { careful: now } => careful |= now,
                    Next::GiveUp(error) => return Err(error),
                },
            }
            pause(attempt).await;
        }
        Err(store::Error::Busy)
    }

    async fn apply(&self, writes: WriteSet) -> Result<Applied> {
        const DOING: &str = "writing rows";
        let mut careful = self.refusals.is_judged_first(&writes.ops);
        for attempt in 0..ATTEMPTS_MAX {
            let mut session =
                self.connections.session().await.map_err(|error| error.give_up(DOING))?;
            match Box::pin(write_once(&mut session, &writes, careful)).await {
                Ok(applied) => {
                    self.ended(&writes, false);
                    return Ok(applied);
                }
                Err(error) => match next(&mut session, &writes.catalog, error, DOING).await {
                    Next::Again { careful: now } => careful |= now,
                    Next::GiveUp(error) => {
                        self.ended(&writes, matches!(error, store::Error::Rejected { .. }));
                        return Err(error);
                    }
                },
            }
            drop(session);
            if attempt > 0 {
                pause(attempt).await;
            }
        }
        Err(store::Error::Busy)
    }

    async fn begin(&self, catalog: Arc<Catalog>, time_max: Duration) -> Result<Box<dyn Tx>> {
        const DOING: &str = "beginning a transaction";
        let permit = tokio::time::timeout(connection::WAIT_MAX, self.open.clone().acquire_owned());
        let Ok(Ok(permit)) = permit.await else { return Err(store::Error::Busy) };
        let session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        Ok(Box::new(open::begin((session, permit), catalog, time_max).await?))
    }

    async fn read(&self, query: &BoundQuery) -> Result<Page> {
        const DOING: &str = "reading a page";
        for attempt in 0..ATTEMPTS_MAX {
            let mut session =
                self.connections.session().await.map_err(|error| error.give_up(DOING))?;
            match read::page(&mut session, query).await {
                Ok(page) => return Ok(page),
                Err(error) => match next(&mut session, &query.catalog, error, DOING).await {
                    Next::Again { .. } => {}
                    Next::GiveUp(error) => return Err(error),
                },
            }
            drop(session);
            pause(attempt).await;
        }
        Err(store::Error::Busy)
    }

    async fn follow(&self, catalog: &Catalog, table: TableId) -> Result<i64> {
        const DOING: &str = "following a table";
        let (bound, actual) = (catalog.version(), self.catalog_version().await?);
        let found = catalog.table_by_id(table).filter(|_| bound == actual);
        let Some(table) = found else { return Err(store::Error::StaleCatalog { bound, actual }) };
        let bound = version_bound(catalog);
        for attempt in 0..ATTEMPTS_MAX {
            let mut session =
                self.connections.session().await.map_err(|error| error.give_up(DOING))?;
            match follow::follow(&mut session, bound, table).await {
                Ok(done) => return Ok(done),
                Err(error) => match next(&mut session, catalog, error, DOING).await {
                    Next::Again { .. } => {}
                    Next::GiveUp(error) => return Err(error),
                },
            }
            drop(session);
            pause(attempt).await;
        }
        Err(store::Error::Busy)
    }

    async fn deleted(
        &self,
        catalog: &Catalog,
        table: TableId,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<Deleted>> {
        const DOING: &str = "reading deleted rows";
        let Some(table) = catalog.table_by_id(table) else { return Ok(Vec::new()) };
        let bound = version_bound(catalog);
        for attempt in 0..ATTEMPTS_MAX {
            let mut session =
                self.connections.session().await.map_err(|error| error.give_up(DOING))?;
            match follow::deleted(&mut session, bound, (table, after, rows_max)).await {
                Ok(done) => return Ok(done),
                Err(error) => match next(&mut session, catalog, error, DOING).await {
                    Next::Again { .. } => {}
                    Next::GiveUp(error) => return Err(error),
                },
            }
            drop(session);
            pause(attempt).await;
        }
        Err(store::Error::Busy)
    }

    async fn forget_deleted(&self, before: Timestamp) -> Result<()> {
        const DOING: &str = "forgetting deleted rows";
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        follow::forget(&mut session, before).await.map_err(|error| error.give_up(DOING))
    }

    async fn take_numbers(
        &self,
        catalog: &Arc<Catalog>,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>> {
        const DOING: &str = "taking numbers";
        if let Some(one) = wanted.iter().find(|one| !one.is_counted(catalog)) {
            return Err(one.no_counter());
        }
        for attempt in 0..ATTEMPTS_MAX {
            let mut session =
                self.connections.session().await.map_err(|error| error.give_up(DOING))?;
            match numbers::take(&mut session, version_bound(catalog), wanted).await {
                Ok(taken) => return Ok(taken),
                Err(error) => match next(&mut session, catalog, error, DOING).await {
                    Next::Again { .. } => {}
                    Next::GiveUp(error) => return Err(error),
                },
            }
            drop(session);
            pause(attempt).await;
        }
        Err(store::Error::Busy)
    }

    async fn next_number(
        &self,
        catalog: &Arc<Catalog>,
        table: TableId,
        column: ColumnId,
    ) -> Result<i64> {
        const DOING: &str = "reading a counter";
        let one = Numbers { table, column, count: 0 };
        if !one.is_counted(catalog) {
            return Err(one.no_counter());
        }
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        match numbers::next(&mut session, version_bound(catalog), (table, column)).await {
            Ok(number) => Ok(number),
            Err(error) => match next(&mut session, catalog, error, DOING).await {
                Next::Again { .. } => Err(store::Error::Busy),
                Next::GiveUp(error) => Err(error),
            },
        }
    }

    async fn put_pieces(&self, pieces: Vec<Piece>) -> Result<()> {
        const DOING: &str = "keeping pieces of files";
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        pieces::put(&mut session, &pieces).await.map_err(|error| error.give_up(DOING))
    }

    async fn piece(&self, file: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
        const DOING: &str = "reading a piece of a file";
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        pieces::read(&mut session, file, name).await.map_err(|error| error.give_up(DOING))
    }

    async fn piece_sizes(&self, file: Uuid) -> Result<Vec<(Box<str>, u64)>> {
        const DOING: &str = "reading the sizes of pieces";
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        pieces::sizes(&mut session, file).await.map_err(|error| error.give_up(DOING))
    }

    async fn forget_pieces(
        &self,
        catalog: &Catalog,
        named_by: &[(TableId, ColumnIndex)],
        before: Timestamp,
    ) -> Result<()> {
        const DOING: &str = "forgetting pieces of files";
        let (bound, actual) = (catalog.version(), self.catalog_version().await?);
        if bound != actual {
            return Err(store::Error::StaleCatalog { bound, actual });
        }
        let mut session = self.connections.session().await.map_err(|error| error.give_up(DOING))?;
        pieces::forget(&mut session, catalog, named_by, before)
            .await
            .map_err(|error| error.give_up(DOING))
    }
}
