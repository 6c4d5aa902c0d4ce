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
use model::{Uuid, Value};
use query::{BoundQuery, Page};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Applied, Numbers, Tx, WriteSet};
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

/// An open transaction that a message shares with what its steps send.
#[derive(Clone)]
pub(crate) struct Transaction {
    state: Arc<Mutex<State>>,
}

struct State {
    tx: Option<Box<dyn Tx>>,
    /// A write in it has failed.
    doomed: bool,
}

impl Transaction {
    pub(crate) fn of(tx: Box<dyn Tx>) -> Self {
        Self { state: Arc::new(Mutex::new(State { tx: Some(tx), doomed: false })) }
    }

    pub(crate) async fn apply(&self, writes: WriteSet) -> Result<Applied, store::Error> {
        let mut state = self.state.lock().await;
        if state.doomed {
            return Err(store::Error::Doomed);
        }
        match &mut state.tx {
            Some(tx) => tx.apply(writes).await,
            None => Err(store::Error::Doomed),
        }
    }

    pub(crate) async fn take_numbers(
        &self,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>, store::Error> {
        let mut state = self.state.lock().await;
        if state.doomed {
            return Err(store::Error::Doomed);
        }
        match &mut state.tx {
            Some(tx) => tx.take_numbers(wanted).await,
            None => Err(store::Error::Doomed),
        }
    }

    pub(crate) async fn read(&self, query: &BoundQuery) -> Result<Page, Error> {
        let mut state = self.state.lock().await;
        if state.doomed {
            return Err(fault::of_engine(store::Error::Doomed).into());
        }
        match &mut state.tx {
            Some(tx) => tx.read(query).await.map_err(not_about_rows),
            None => Err(fault::of_engine(store::Error::Doomed).into()),
        }
    }

    /// Says that a write in it has failed: whatever comes later fails, too.
    pub(crate) async fn doom(&self) {
        let mut state = self.state.lock().await;
        state.doomed = true;
        // The store need not wait for the end of the message.
        state.tx = None;
    }

    pub(crate) async fn is_doomed(&self) -> bool {
        self.state.lock().await.doomed
    }

    pub(crate) async fn commit(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if state.doomed {
            return Err(fault::of_engine(store::Error::Doomed).into());
        }
        match state.tx.take() {
            Some(tx) => tx.commit().await.map_err(not_about_rows),
            None => Err(fault::of_engine(store::Error::Doomed).into()),
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
