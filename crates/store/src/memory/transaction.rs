//! A transaction of the reference: a state of its own that is swapped in at the end.
//!
//! It waits for nobody. If another write came in between, the commit answers [`Error::Busy`].
//! Invariant: what it commits was made from the state that is replaced.

use super::rows::State;
use super::{Author, MemoryStore, answer, check_version, run};
use crate::{Applied, Error, Numbers, Result, Tx, WriteSet};
use async_trait::async_trait;
use model::Catalog;
use query::{BoundQuery, Page};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

struct MemoryTx {
    shared: Arc<Mutex<Arc<State>>>,
    /// What it was begun with.
    base: Arc<State>,
    /// What it has made of it; none when it has failed.
    state: Option<State>,
    over_at: Option<Instant>,
}

pub(super) fn begin(
    store: &MemoryStore,
    bound: &Catalog,
    time_max: Duration,
) -> Result<Box<dyn Tx>> {
    let base = store.lock().clone();
    check_version(&base, bound)?;
    Ok(Box::new(MemoryTx {
        shared: store.state.clone(),
        state: Some(State::clone(&base)),
        base,
        over_at: now().checked_add(time_max),
    }))
}

impl MemoryTx {
    /// Takes the state for one call; it is put back where the call succeeds.
    fn take(&mut self) -> Result<State> {
        if self.over_at.is_some_and(|at| now() >= at) {
            return Err(Error::TimeOver);
        }
        self.state.take().ok_or(Error::Doomed)
    }
}

#[async_trait]
impl Tx for MemoryTx {
    async fn apply(&mut self, writes: WriteSet) -> Result<Applied> {
        let mut state = self.take()?;
        check_version(&state, &writes.catalog)?;
        let author = Author { now: writes.now, user: writes.user };
        let applied = run(&mut state, author, &writes.ops, &writes.checks)?;
        self.state = Some(state);
        Ok(applied)
    }

    async fn read(&mut self, query: &BoundQuery) -> Result<Page> {
        let state = self.take()?;
        check_version(&state, &query.catalog)?;
        let page = answer(&state, query);
        self.state = Some(state);
        Ok(page)
    }

    async fn take_numbers(&mut self, wanted: &[Numbers]) -> Result<Vec<Vec<i64>>> {
        let mut state = self.take()?;
        let taken = state.take_numbers(wanted)?;
        self.state = Some(state);
        Ok(taken)
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let state = self.take()?;
        let mut held = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        check_version(&held, &state.catalog)?;
        if !Arc::ptr_eq(&held, &self.base) {
            return Err(Error::Busy);
        }
        *held = Arc::new(state);
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a store is a rim: its transactions have a deadline")]
fn now() -> Instant {
    Instant::now()
}
