//! One transaction: steps are collected and leave with the next flight.
//!
//! The first flight begins the transaction and reads the version of the definitions; the last one
//! carries the writes, the guard and the commit.
//! Not here: what is read and written (`execute`).
//! Invariant: nothing is committed that was bound to other definitions than the stored ones. The guard
//! stands behind the writes: they hold a lock on their tables that a change of those tables needs, so
//! either the change came before them, and the guard sees it, or it waits until after the commit.

use super::connection::{Session, Step};
use super::decode;
use super::encode::Bound;
use super::error::{Error, engine};
use model::{Timestamp, Uuid};
use tokio_postgres::Row;

/// The version of the definitions.
pub(super) const VERSION: &str = "SELECT version FROM sheaf_catalog WHERE id = 1";

/// Fails with a division by zero when the version of the definitions is another one.
pub(super) const GUARD: &str =
    "SELECT 1 / count(*) FROM sheaf_catalog WHERE id = 1 AND version = $1::int8";

/// Who writes and when: for rows that a cascade changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author {
    pub(super) now: Timestamp,
    pub(super) user: Uuid,
}

/// An open transaction, or one that will be opened by its first flight.
pub(super) struct Transaction<'a> {
    session: &'a mut Session,
    /// The version of the definitions that the work is bound to; none if the caller holds it locked.
    bound: Option<i64>,
    begun: bool,
    pending: Vec<Step>,
}

impl<'a> Transaction<'a> {
    /// A new transaction, bound to this version of the definitions.
    pub(super) fn new(session: &'a mut Session, bound: i64) -> Self {
        Self { session, bound: Some(bound), begun: false, pending: Vec::new() }
    }

    /// A transaction that the session is in already, with the version of the definitions locked.
    pub(super) fn inside(session: &'a mut Session) -> Self {
        Self { session, bound: None, begun: true, pending: Vec::new() }
    }

    /// Adds a step that leaves with the next flight; its rows are not wanted.
    pub(super) fn add(&mut self, step: Step) {
        self.pending.push(step);
    }

    /// Whether a command has not left yet.
    pub(super) fn holds(&self, command: &str) -> bool {
        self.pending.iter().any(|step| matches!(step, Step::Command(text) if text == command))
    }

    /// Sends what is pending and these steps; answers these.
    pub(super) async fn fly(
        &mut self,
        doing: &'static str,
        steps: Vec<Step>,
    ) -> Result<Vec<Vec<Row>>, Error> {
        let mut flight = Vec::with_capacity(steps.len() + self.pending.len() + 2);
        let checks = self.bound.filter(|_| !self.begun);
        if !self.begun {
            flight.push(Step::command("BEGIN"));
            self.begun = true;
        }
        if checks.is_some() {
            flight.push(Step::run(VERSION, Vec::new()));
        }
        flight.append(&mut self.pending);
        let before = flight.len();
        flight.extend(steps);
        let mut answers = self.session.fly(doing, flight).await?;
        if let Some(bound) = checks {
            let version = answers.get(1).and_then(|rows| rows.first());
            let version = version.map(|row| decode::int8(row, 0)).transpose();
            let version =
                version.map_err(|fault| engine("reading the catalog's version", fault))?;
            if version != Some(bound) {
                return Err(Error::Moved);
            }
        }
        Ok(answers.split_off(before))
    }

    /// Sends what is pending with the guard and commits.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        let mut flight = Vec::with_capacity(self.pending.len() + 3);
        if !self.begun {
            flight.push(Step::command("BEGIN"));
        }
        flight.append(&mut self.pending);
        if let Some(bound) = self.bound {
            flight.push(Step::run(GUARD, vec![Bound::int8(bound)]));
        }
        flight.push(Step::command("COMMIT"));
        self.session.fly("writing and committing", flight).await?;
        Ok(())
    }
}
