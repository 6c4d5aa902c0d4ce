//! How a message came about: from outside, or from a step of another one, perhaps in its transaction.
//!
//! Not here: what is done with it (`stages`).
//! Invariant: a transaction is in one pair of hands at a time, and one that has failed answers nothing more.

use super::Seat;
use super::call::{Frame, Parameter, ParameterValue};
use super::plan::Bypass;
use crate::fault;
use crate::run::{Error, not_about_rows};
use crate::trace::Log;
use model::{Catalog, Uuid, Value};
use query::{BoundQuery, Page};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Applied, Numbers, StandardStore, Tx, WriteSet};
use tokio::sync::Mutex;

/// How a message came about. The default: from outside, with no wishes about steps.
#[derive(Clone, Default)]
pub struct Course {
    /// The steps that the caller leaves out. Whether it may is asked before.
    pub bypass: Bypass,
    /// What steps find as the shared variable `tag`.
    pub tag: Option<Box<str>>,
    /// Where it comes from, if not from outside.
    pub(crate) within: Option<Arc<Within>>,
}

/// The message around one that a step has sent.
#[derive(Clone)]
pub(crate) struct Within {
    /// The transaction, if there is one.
    pub(crate) transaction: Option<Transaction>,
    /// How deep the message is: 2 for what a step of a message from outside sends.
    pub(crate) depth: u32,
    /// That of the request from outside.
    pub(crate) correlation: Uuid,
    /// Whose token the request from outside had.
    pub(crate) authenticated: Uuid,
    /// The contexts around it, the nearest first.
    pub(crate) parents: Vec<Arc<Frame>>,
    /// When the time of all steps of the request from outside is over.
    pub(crate) over_at: Instant,
    /// The place of its steps.
    pub(crate) seat: Option<Seat>,
    /// What runs of the request from outside have traced.
    pub(crate) log: Arc<Log>,
}

impl Course {
    /// From outside, with these wishes.
    pub fn from_outside(bypass: Bypass, tag: Option<Box<str>>) -> Self {
        Self { bypass, tag, within: None }
    }

    /// The transaction that the message is in.
    pub(crate) fn transaction(&self) -> Option<&Transaction> {
        self.within.as_ref().and_then(|within| within.transaction.as_ref())
    }

    /// What every collection of shared variables begins with.
    pub(crate) fn first_variables(&self) -> Vec<Parameter> {
        let tag = self.tag.as_ref().map(|tag| Parameter {
            name: TAG.into(),
            value: ParameterValue::One(Value::text(tag.clone())),
        });
        tag.into_iter().collect()
    }
}

/// The shared variable that nobody can change.
pub(crate) const TAG: &str = "tag";

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depth = self.within.as_ref().map_or(1, |within| within.depth);
        f.debug_struct("Course")
            .field("bypass", &self.bypass)
            .field("tag", &self.tag)
            .field("depth", &depth)
            .finish_non_exhaustive()
    }
}

/// A transaction that a message shares with what its steps send.
#[derive(Clone)]
pub(crate) struct Transaction {
    state: Arc<Mutex<State>>,
}

/// What a transaction begins with at its first use.
pub(crate) struct Beginning {
    pub(crate) store: Arc<dyn StandardStore>,
    pub(crate) catalog: Arc<Catalog>,
    /// When the time of all steps is over.
    pub(crate) over_at: Instant,
}

enum State {
    /// Nobody has used it: nothing in it could be seen, and no writer is kept from others.
    Waiting(Beginning),
    Open(Box<dyn Tx>),
    /// A write in it has failed.
    Doomed,
    Over,
}

impl Beginning {
    /// Begins it. Waiting for the writer counts, too.
    pub(crate) async fn begin(&self) -> Result<Box<dyn Tx>, store::Error> {
        let left = until(self.over_at);
        let begun = tokio::time::timeout(left, self.store.begin(self.catalog.clone(), left)).await;
        begun.unwrap_or(Err(store::Error::Busy))
    }
}

impl State {
    /// The transaction, begun if nobody has used it before.
    async fn open(&mut self) -> Result<&mut dyn Tx, store::Error> {
        if let Self::Waiting(beginning) = self {
            *self = Self::Open(beginning.begin().await?);
        }
        match self {
            Self::Open(tx) => Ok(&mut **tx),
            Self::Waiting(_) | Self::Doomed | Self::Over => Err(store::Error::Doomed),
        }
    }
}

impl Transaction {
    pub(crate) fn of(tx: Box<dyn Tx>) -> Self {
        Self { state: Arc::new(Mutex::new(State::Open(tx))) }
    }

    /// One that begins when somebody reads or writes in it.
    pub(crate) fn later(beginning: Beginning) -> Self {
        Self { state: Arc::new(Mutex::new(State::Waiting(beginning))) }
    }

    /// Whether nobody has used it.
    pub(crate) async fn is_waiting(&self) -> bool {
        matches!(*self.state.lock().await, State::Waiting(_))
    }

    pub(crate) async fn apply(&self, writes: WriteSet) -> Result<Applied, store::Error> {
        self.state.lock().await.open().await?.apply(writes).await
    }

    pub(crate) async fn take_numbers(
        &self,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>, store::Error> {
        self.state.lock().await.open().await?.take_numbers(wanted).await
    }

    pub(crate) async fn read(&self, query: &BoundQuery) -> Result<Page, Error> {
        let mut state = self.state.lock().await;
        let page = match state.open().await {
            Ok(tx) => tx.read(query).await,
            Err(error) => Err(error),
        };
        page.map_err(not_about_rows)
    }

    /// Says that a write in it has failed: whatever comes later fails, too. The store need not wait for the
    /// end of the message.
    pub(crate) async fn doom(&self) {
        *self.state.lock().await = State::Doomed;
    }

    pub(crate) async fn is_doomed(&self) -> bool {
        matches!(*self.state.lock().await, State::Doomed)
    }

    pub(crate) async fn commit(&self) -> Result<(), Error> {
        match std::mem::replace(&mut *self.state.lock().await, State::Over) {
            State::Open(tx) => tx.commit().await.map_err(not_about_rows),
            State::Waiting(_) => Ok(()),
            State::Doomed | State::Over => Err(fault::of_engine(store::Error::Doomed).into()),
        }
    }
}

/// Reads the clock: steps have a deadline.
#[expect(clippy::disallowed_methods, reason = "steps are run at the rim, and have a deadline")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// How long there is until a time.
pub(crate) fn until(over_at: Instant) -> Duration {
    over_at.saturating_duration_since(clock())
}
