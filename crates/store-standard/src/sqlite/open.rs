//! A transaction that its caller keeps open between operations: the writer waits for its calls.
//!
//! The caller's half sends calls over a channel; the writer's half answers them and does nothing else
//! meanwhile. That is the price of one writer, so it has a bound: when the time is over, the writer rolls
//! back and goes on with what is queued, whatever the caller is doing.
//! Not here: what an operation does (`execute`), the transaction itself (`writer`).
//! Invariant: the writer's half ends outside the transaction: committed, or rolled back.

use super::deadline::Deadline;
use super::dialect;
use super::error::engine;
use crate::select::{self, Select};
use async_trait::async_trait;
use query::{BoundQuery, Page};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use store::{Applied, Error, Numbers, Result, Tx, WriteSet};
use tokio::sync::oneshot;

/// Calls under way: a caller sends the next one when it has the answer to the last.
const CALLS_MAX: usize = 1;

/// What a caller asks of its transaction.
pub(super) enum Call {
    Apply { writes: Box<WriteSet>, answer: oneshot::Sender<Result<Applied>> },
    Read { page: Select, count: Option<Select>, size: usize, answer: oneshot::Sender<Result<Page>> },
    Numbers { wanted: Vec<Numbers>, answer: oneshot::Sender<Result<Vec<Vec<i64>>>> },
    Commit { answer: oneshot::Sender<Result<()>> },
}

/// The caller's half.
pub(super) struct OpenTx {
    calls: SyncSender<Call>,
    over_at: Option<Instant>,
    /// The version of the definitions that it was begun with.
    bound: u64,
    /// It has failed.
    doomed: bool,
}

/// The writer's half.
pub(super) struct Calls {
    calls: Receiver<Call>,
    over_at: Option<Instant>,
}

/// Both halves of a transaction that lasts so long at most.
pub(super) fn pair(bound: u64, time_max: Duration) -> (OpenTx, Calls) {
    let (sender, receiver) = sync_channel(CALLS_MAX);
    let over_at = now().checked_add(time_max);
    let tx = OpenTx { calls: sender, over_at, bound, doomed: false };
    (tx, Calls { calls: receiver, over_at })
}

impl Calls {
    /// The next call; none when the caller is gone or the time is over.
    pub(super) fn next(&self) -> Option<Call> {
        let Some(at) = self.over_at else { return self.calls.recv().ok() };
        self.calls.recv_timeout(at.saturating_duration_since(now())).ok()
    }

    /// Lets no statement run beyond the end.
    pub(super) fn watch(&self, deadline: &Deadline) {
        if let Some(at) = self.over_at {
            deadline.set(at.saturating_duration_since(now()));
        }
    }
}

impl OpenTx {
    async fn call<T>(
        &mut self,
        call: impl FnOnce(oneshot::Sender<Result<T>>) -> Call,
    ) -> Result<T> {
        if self.doomed {
            return Err(Error::Doomed);
        }
        let (answer, result) = oneshot::channel();
        // It has room: only one call is under way. So it fails only where the writer has gone on.
        let answered = match self.calls.try_send(call(answer)) {
            Ok(()) => result.await.map_err(engine("waiting for the writer")),
            Err(_) => Err(Error::Engine {
                doing: "asking the writer",
                source: "it waits for this transaction no more".into(),
            }),
        };
        let is_over = self.over_at.is_some_and(|at| now() >= at);
        let result = match answered {
            Ok(result) => result,
            Err(_) if is_over => Err(Error::TimeOver),
            Err(error) => Err(error),
        };
        result.map_err(|error| {
            self.doomed = true;
            match error {
                // The statement was interrupted.
                Error::Engine { .. } if is_over => Error::TimeOver,
                error => error,
            }
        })
    }

    fn check(&self, bound: u64) -> Result<()> {
        match bound == self.bound {
            true => Ok(()),
            false => Err(Error::StaleCatalog { bound, actual: self.bound }),
        }
    }
}

#[async_trait]
impl Tx for OpenTx {
    async fn apply(&mut self, writes: WriteSet) -> Result<Applied> {
        self.check(writes.catalog.version())?;
        self.call(|answer| Call::Apply { writes: Box::new(writes), answer }).await
    }

    async fn read(&mut self, query: &BoundQuery) -> Result<Page> {
        self.check(query.catalog.version())?;
        let page = select::page(query, &dialect::Sqlite);
        let count = select::count(query, &dialect::Sqlite);
        let size = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
        self.call(|answer| Call::Read { page, count, size, answer }).await
    }

    async fn take_numbers(&mut self, wanted: &[Numbers]) -> Result<Vec<Vec<i64>>> {
        let wanted = wanted.to_vec();
        self.call(|answer| Call::Numbers { wanted, answer }).await
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.call(|answer| Call::Commit { answer }).await
    }
}

#[expect(clippy::disallowed_methods, reason = "a store is a rim: its transactions have a deadline")]
fn now() -> Instant {
    Instant::now()
}
