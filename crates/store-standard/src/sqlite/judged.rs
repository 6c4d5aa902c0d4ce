//! Sets of which a verdict is wanted before anything is written: judged on the snapshot of a reader, while the writer
//! writes for others.
//!
//! A set is judged here when it must be refused and only its failing rows are asked for, or when many messages of many
//! rows were refused lately: writing half of such a message, taking it back and asking then who was to blame costs
//! more than asking first, and it is the one writer that would be kept busy.
//! Not here: the rules (`store::judge`), what the judge asks (`diagnose`), which sets are judged first (`refusals`).
//! Invariant: a set that is refused here would have been refused if it had been written at the moment of the snapshot.

use super::diagnose;
use super::error::{Halt, malformed, statement_failed};
use super::execute::{Versions, Work, check};
use super::session::Session;
use std::collections::HashSet;
use std::sync::Arc;
use store::writes::must_be_refused;
use store::{Error, Result, WriteSet};
use tokio::sync::oneshot;

/// A set to judge. It comes back with why it is refused, if it is.
pub(super) struct Job {
    pub(super) writes: WriteSet,
    pub(super) answer: oneshot::Sender<(WriteSet, Result<Option<Error>>)>,
}

/// Why the set is refused, if it is; all of it is read from one snapshot.
pub(super) fn judge(session: &Session<'_>, writes: &WriteSet) -> Result<Option<Error>> {
    session.run("BEGIN").map_err(statement_failed)?;
    let found = first_refused(session, writes)?;
    session.run("COMMIT").map_err(statement_failed)?;
    if found.is_none() && must_be_refused(&writes.ops) {
        return Err(malformed("no row has a version below the first, but none was missing"));
    }
    Ok(found)
}

fn first_refused(session: &Session<'_>, writes: &WriteSet) -> Result<Option<Error>> {
    let work = Work {
        session,
        catalog: &writes.catalog,
        // Nothing is written, so no version is given and nothing deleted.
        versions: &mut Versions { last: 0, reserved: 0 },
        followed: &HashSet::new(),
        now: writes.now,
        user: writes.user,
    };
    for (place, op) in writes.ops.iter().enumerate() {
        for (number, one) in writes.checks.iter().enumerate().filter(|(_, one)| one.op == place) {
            match check(&work, number, one) {
                Ok(()) => {}
                Err(Halt::Failed(error @ Error::Denied { .. })) => return Ok(Some(error)),
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Refused) => return Err(malformed("a check was refused, not failed")),
            }
        }
        let rows = diagnose::failing(session, &Arc::clone(&writes.catalog), op)?;
        if !rows.is_empty() {
            return Ok(Some(Error::Rejected { op: place, rows }));
        }
    }
    Ok(None)
}
