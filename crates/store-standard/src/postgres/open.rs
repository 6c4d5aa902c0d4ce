//! A transaction that its caller keeps open between operations.
//!
//! Every call runs under a savepoint, so that the careful way can follow the quick one. Nothing is begun
//! anew: where another transaction is in the way, this one is given up, for its caller may have done what
//! cannot be done twice.
//! Not here: the operations (`execute`).
//! Invariant: after an error the session is outside its transaction, and nothing of it is left.

use super::connection::{CONNECTIONS_MAX, Session, Step};
use super::dialect::Postgres;
use super::encode::Bound;
use super::error::{Error, engine};
use super::transaction::{Author, GUARD, Transaction, VERSION};
use super::{decode, execute, numbers, read, stale, version_bound};
use crate::select;
use async_trait::async_trait;
use model::Catalog;
use query::{BoundQuery, Page};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Applied, Numbers, Result, Tx, WriteSet};
use tokio::sync::OwnedSemaphorePermit;

/// How much longer the server waits than the transaction may last, before it ends it by itself.
const SERVER_WAITS_LONGER: Duration = Duration::from_secs(5);

/// Transactions of one node that are open at once. Two connections are left for everybody else.
pub(super) const TRANSACTIONS_MAX: usize = CONNECTIONS_MAX - 2;

const SAVEPOINT: &str = "SAVEPOINT call";
const BACK: &str = "ROLLBACK TO SAVEPOINT call";
const RELEASE: &str = "RELEASE SAVEPOINT call";

pub(super) struct OpenTx {
    session: Session,
    catalog: Arc<Catalog>,
    over_at: Option<Instant>,
    /// It has failed.
    doomed: bool,
    _permit: OwnedSemaphorePermit,
}

/// Begins a transaction in a session of its own.
pub(super) async fn begin(
    (mut session, permit): (Session, OwnedSemaphorePermit),
    catalog: Arc<Catalog>,
    time_max: Duration,
) -> Result<OpenTx> {
    const DOING: &str = "beginning a transaction";
    let idle = time_max.saturating_add(SERVER_WAITS_LONGER).as_millis().min(i32::MAX as u128);
    let steps = vec![
        Step::command("BEGIN"),
        Step::command(format!("SET LOCAL idle_in_transaction_session_timeout = {idle}")),
        Step::run(VERSION, Vec::new()),
    ];
    let begun = async {
        let answers = session.fly(DOING, steps).await?;
        let version = answers[2].first().map(|row| decode::int8(row, 0)).transpose();
        match version.map_err(|fault| engine(DOING, fault))? {
            Some(version) if version == version_bound(&catalog) => Ok(()),
            _ => Err(Error::Moved),
        }
    };
    match begun.await {
        Ok(()) => {
            let over_at = now().checked_add(time_max);
            Ok(OpenTx { session, catalog, over_at, doomed: false, _permit: permit })
        }
        Err(error) => Err(given_up(&mut session, &catalog, error, DOING).await),
    }
}

impl OpenTx {
    /// Refuses a call that comes too late.
    async fn check(&mut self) -> Result<()> {
        if self.doomed {
            return Err(store::Error::Doomed);
        }
        if self.over_at.is_some_and(|at| now() >= at) {
            self.doomed = true;
            self.session.roll_back().await;
            return Err(store::Error::TimeOver);
        }
        Ok(())
    }

    /// How long a call may still take.
    fn left(&self) -> Duration {
        self.over_at.map_or(Duration::MAX, |at| at.saturating_duration_since(now()))
    }

    async fn try_apply(&mut self, writes: &WriteSet) -> Result<Applied, Error> {
        let author = Author { now: writes.now, user: writes.user };
        let work = (writes.ops.as_slice(), writes.checks.as_slice());
        let mut transaction = Transaction::inside(&mut self.session);
        transaction.add(Step::command(SAVEPOINT));
        let quick = async {
            let ops = execute::quickly(&mut transaction, &self.catalog, author, work).await?;
            transaction.fly("writing rows", vec![Step::command(RELEASE)]).await?;
            Ok::<_, Error>(ops)
        };
        match quick.await {
            Ok(ops) => return Ok(Applied { ops }),
            Err(Error::Doubt | Error::Unique(_)) => {}
            Err(error) => return Err(error),
        }
        // Where the quick way has sent nothing, the savepoint is not there yet.
        let back = if transaction.holds(SAVEPOINT) { SAVEPOINT } else { BACK };
        let mut transaction = Transaction::inside(&mut self.session);
        transaction.add(Step::command(back));
        let ops = execute::carefully(&mut transaction, &self.catalog, author, work).await?;
        transaction.fly("writing rows", vec![Step::command(RELEASE)]).await?;
        Ok(Applied { ops })
    }

    async fn try_read(&mut self, query: &BoundQuery) -> Result<Page, Error> {
        const DOING: &str = "reading a page";
        let page = select::page(query, &Postgres);
        let outputs = page.outputs.clone();
        let mut steps = vec![read::step(page)?];
        if let Some(count) = select::count(query, &Postgres) {
            steps.push(read::step(count)?);
        }
        let answers = self.session.fly(DOING, steps).await?;
        let page = read::page_of(query, &outputs, &answers[0], answers.get(1));
        page.map_err(|fault| engine(DOING, fault))
    }

    /// The answer to a failed call: nothing is left.
    async fn fail(&mut self, error: Error, doing: &'static str) -> store::Error {
        self.doomed = true;
        given_up(&mut self.session, &self.catalog, error, doing).await
    }
}

/// Rolls back and says why.
async fn given_up(
    session: &mut Session,
    bound: &Catalog,
    error: Error,
    doing: &'static str,
) -> store::Error {
    session.roll_back().await;
    match error {
        Error::Moved | Error::Names(_) => {
            session.forget_statements();
            stale(session, bound, error, doing).await
        }
        error => error.give_up(doing),
    }
}

#[async_trait]
impl Tx for OpenTx {
    async fn apply(&mut self, writes: WriteSet) -> Result<Applied> {
        self.check().await?;
        let left = self.left();
        let done = tokio::time::timeout(left, Box::pin(self.try_apply(&writes))).await;
        match done {
            Ok(Ok(applied)) => Ok(applied),
            Ok(Err(error)) => Err(self.fail(error, "writing rows").await),
            Err(_) => Err(self.fail(Error::Store(store::Error::TimeOver), "writing rows").await),
        }
    }

    async fn read(&mut self, query: &BoundQuery) -> Result<Page> {
        self.check().await?;
        let left = self.left();
        let done = tokio::time::timeout(left, Box::pin(self.try_read(query))).await;
        match done {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(error)) => Err(self.fail(error, "reading a page").await),
            Err(_) => Err(self.fail(Error::Store(store::Error::TimeOver), "reading a page").await),
        }
    }

    async fn take_numbers(&mut self, wanted: &[Numbers]) -> Result<Vec<Vec<i64>>> {
        const DOING: &str = "taking numbers";
        self.check().await?;
        if let Some(one) = wanted.iter().find(|one| !one.is_counted(&self.catalog)) {
            self.doomed = true;
            self.session.roll_back().await;
            return Err(one.no_counter());
        }
        let left = self.left();
        let take = async {
            let answers = self.session.fly(DOING, numbers::steps(wanted)?).await?;
            numbers::taken(&answers)
        };
        match tokio::time::timeout(left, take).await {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(error)) => Err(self.fail(error, DOING).await),
            Err(_) => Err(self.fail(Error::Store(store::Error::TimeOver), DOING).await),
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.check().await?;
        let guard = Step::run(GUARD, vec![Bound::int8(version_bound(&self.catalog))]);
        let steps = vec![guard, Step::command("COMMIT")];
        match self.session.fly("committing", steps).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.fail(error, "committing").await),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a store is a rim: its transactions have a deadline")]
fn now() -> Instant {
    Instant::now()
}
