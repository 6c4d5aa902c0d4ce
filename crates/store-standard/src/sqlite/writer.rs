//! The writer: one thread that owns the write connection and runs messages in groups.
//!
//! It takes what waits, runs it in one transaction and answers everyone after the commit. A group is
//! first run without savepoints, which make SQLite keep copies of pages; if a message of it fails,
//! the group is rolled back and run again with a savepoint around each message. Where that has
//! happened often, the next groups start with savepoints, or messages of many rows have a transaction
//! each. The first message of an open transaction has no savepoint either.
//! Not here: one operation (`execute`), who was to blame (`diagnose`), sets that are judged before they come here
//! (`judged`).
//! Invariant: a transaction that is not committed is rolled back before anything else is begun, and
//! row versions and definitions in memory are those of the last commit.

use super::Shared;
use super::checkpoint::Checkpoints;
use super::deadline::{Deadline, STEPS_PER_LOOK};
use super::error::{Halt, engine, is_refusal, malformed, statement_failed};
use super::execute::{Versions, Work, check, execute};
use super::open::{self, Call, Calls, OpenTx};
use super::session::Session;
use super::{catalog, diagnose, follow, numbers, pieces, reader, schema};
use crate::counters;
use crate::refusals::{MANY_ROWS_MIN, OFTEN_MIN, row_count};
use model::{Catalog, ColumnIndex, TableId, Timestamp, Uuid};
use rusqlite::Connection;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use store::{
    Applied, Changed, Check, Error, Numbers, Piece, Reason, Rejection, Result, SchemaChange,
    SchemaOp, WriteOp, WriteSet, apply_ops,
};
use tokio::sync::oneshot;

/// Row versions that are reserved at a time, so that not every commit writes the counter.
const VERSIONS_RESERVED: i64 = 65_536;

/// Work for the writer.
pub(super) enum Job {
    Apply(Apply),
    Change {
        change: Box<SchemaChange>,
        answer: oneshot::Sender<Result<Changed>>,
    },
    /// Begin a transaction that its caller keeps open, bound to this version of the definitions.
    Begin {
        bound: u64,
        time_max: Duration,
        answer: oneshot::Sender<Result<OpenTx>>,
    },
    /// Follow a table, bound to this version of the definitions.
    Follow {
        bound: u64,
        table: TableId,
        answer: oneshot::Sender<Result<i64>>,
    },
    /// Take numbers of counters.
    Numbers(TakeNumbers),
    /// Tell the next number of a counter.
    NextNumber {
        bound: u64,
        of: Numbers,
        answer: oneshot::Sender<Result<i64>>,
    },
    /// Forget what was deleted before a time.
    Forget {
        before: Timestamp,
        answer: oneshot::Sender<Result<()>>,
    },
    /// Keep pieces of files.
    PutPieces {
        pieces: Vec<Piece>,
        answer: oneshot::Sender<Result<()>>,
    },
    /// Forget old pieces of files that no row names, bound to this version of the definitions.
    ForgetPieces {
        bound: u64,
        named_by: Vec<(TableId, ColumnIndex)>,
        before: Timestamp,
        answer: oneshot::Sender<Result<()>>,
    },
}

/// One message.
pub(super) struct Apply {
    pub(super) writes: WriteSet,
    pub(super) answer: oneshot::Sender<Result<Applied>>,
}

/// Numbers that a message wants, bound to this version of the definitions.
pub(super) struct TakeNumbers {
    pub(super) bound: u64,
    pub(super) wanted: Vec<Numbers>,
    pub(super) answer: oneshot::Sender<Result<Vec<Vec<i64>>>>,
}

/// Starts the writer thread; it ends when the queue is closed and empty.
pub(super) fn start(
    mut conn: Connection,
    shared: Arc<Shared>,
    checkpoints: Checkpoints,
    group_rows_max: usize,
    followed: HashSet<TableId>,
) -> Result<JoinHandle<()>> {
    checkpoints.watch(&mut conn).map_err(statement_failed)?;
    let reserved = catalog::row_version_reserved(&conn).map_err(statement_failed)?;
    let deadline = Arc::new(Deadline::default());
    let watched = deadline.clone();
    conn.progress_handler(STEPS_PER_LOOK, Some(move || watched.is_over()))
        .map_err(statement_failed)?;
    std::thread::Builder::new()
        .name("sqlite-write".into())
        .spawn(move || {
            let writer = Writer {
                session: Session::new(&conn, shared.counts.clone()),
                catalog: shared.catalog(),
                shared: &shared,
                versions: Versions { last: reserved, reserved },
                failures: 0,
                checkpoints,
                group_rows_max,
                followed,
                deadline,
            };
            writer.run();
        })
        .map_err(engine("starting the writer thread"))
}

struct Writer<'c> {
    session: Session<'c>,
    shared: &'c Shared,
    catalog: Arc<Catalog>,
    versions: Versions,
    /// One bit per group of the past, the newest lowest: whether a message of it failed.
    failures: u16,
    checkpoints: Checkpoints,
    group_rows_max: usize,
    /// Tables whose deleted rows are remembered.
    followed: HashSet<TableId>,
    /// When statements of an open transaction must end.
    deadline: Arc<Deadline>,
}

/// A message that did not pass: the place of the operation, and why.
type Stop = (usize, Halt);

impl Writer<'_> {
    fn run(mut self) {
        while let Some(job) = self.shared.writes.pop() {
            let before = self.versions;
            let done = catch_unwind(AssertUnwindSafe(|| self.job(job)));
            if done.is_err() {
                // The answers were dropped with the stack: their callers get an engine error.
                tracing::error!("the writer panicked; the transaction is rolled back");
                self.versions = before;
            }
            self.deadline.clear();
            self.end_transaction();
            self.checkpoints.after_commit(self.session.conn());
        }
        let Self { session, checkpoints, .. } = self;
        checkpoints.finish(session.conn());
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Change { change, answer } => {
                let result = self.change(&change);
                send(answer, result);
            }
            Job::Apply(first) => {
                let group = self.group(first);
                self.apply(group);
            }
            Job::Begin { bound, time_max, answer } => self.begin(bound, time_max, answer),
            Job::Follow { bound, table, answer } => {
                let result = self.follow(bound, table);
                send(answer, result);
            }
            Job::PutPieces { pieces, answer } => {
                let result = pieces::put(&self.session, &pieces).map_err(statement_failed);
                send(answer, result);
            }
            Job::ForgetPieces { bound, named_by, before, answer } => {
                let actual = self.catalog.version();
                let result = match bound == actual {
                    true => pieces::forget(&self.session, &self.catalog, &named_by, before)
                        .map_err(statement_failed),
                    false => Err(Error::StaleCatalog { bound, actual }),
                };
                send(answer, result);
            }
            Job::Numbers(first) => self.numbers(first),
            Job::NextNumber { bound, of, answer } => {
                let actual = self.catalog.version();
                let result = match bound == actual {
                    true => numbers::next(&self.session, &self.catalog, of),
                    false => Err(Error::StaleCatalog { bound, actual }),
                };
                send(answer, result);
            }
            Job::Forget { before, answer } => {
                let result = follow::forget(&self.session, before).map_err(statement_failed);
                send(answer, result);
            }
        }
    }

    /// The message and what waits behind it, as long as it fits under one commit.
    fn group(&self, first: Apply) -> Vec<Apply> {
        let mut rows = row_count(&first.writes.ops);
        let mut group = vec![first];
        let fits = |rows: usize| {
            move |job: &Job| match job {
                Job::Apply(apply) => rows + row_count(&apply.writes.ops) <= self.group_rows_max,
                _ => false,
            }
        };
        while let Some(Job::Apply(next)) = self.shared.writes.pop_if(fits(rows)) {
            rows += row_count(&next.writes.ops);
            group.push(next);
        }
        group
    }

    /// Takes numbers for the message and for all that wait for some right behind it, under one commit.
    fn numbers(&mut self, first: TakeNumbers) {
        let mut group = vec![first];
        while let Some(Job::Numbers(next)) =
            self.shared.writes.pop_if(|job| matches!(job, Job::Numbers(_)))
        {
            group.push(next);
        }
        let actual = self.catalog.version();
        let mut taken = Vec::with_capacity(group.len());
        let mut run = || {
            self.session.run("BEGIN IMMEDIATE")?;
            for TakeNumbers { bound, wanted, .. } in &group {
                taken.push(match *bound == actual {
                    true => numbers::take(&self.session, &self.catalog, wanted),
                    false => Err(Error::StaleCatalog { bound: *bound, actual }),
                });
            }
            self.session.commit()
        };
        if let Err(error) = run() {
            tracing::error!(%error, "taking numbers failed");
            taken.clear();
        }
        let mut taken = taken.into_iter();
        for TakeNumbers { answer, .. } in group {
            let failed = || Error::Engine {
                doing: "taking numbers",
                source: "the transaction failed".into(),
            };
            send(answer, taken.next().unwrap_or_else(|| Err(failed())));
        }
    }

    fn apply(&mut self, group: Vec<Apply>) {
        let actual = self.catalog.version();
        let (group, stale): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|apply| apply.writes.catalog.version() == actual);
        for Apply { writes, answer } in stale {
            send(answer, Err(Error::StaleCatalog { bound: writes.catalog.version(), actual }));
        }
        let fails_often = self.failures.count_ones() >= OFTEN_MIN;
        let rows: usize = group.iter().map(|apply| row_count(&apply.writes.ops)).sum();
        // For many rows a savepoint would copy more pages than a commit costs.
        if group.len() <= 1 || fails_often && rows >= MANY_ROWS_MIN * group.len() {
            let messages = group.len();
            let failed = group.into_iter().map(|apply| self.alone(apply));
            let failed = failed.filter(|failed| *failed).count();
            // A message that fails alone says nothing about groups.
            if messages > 1 || messages == 1 && failed == 0 {
                self.remember(failed > 0);
            }
            return;
        }
        let before = self.versions;
        if !fails_often {
            match self.without_savepoints(&group) {
                Ok(applied) => {
                    self.remember(false);
                    for (apply, applied) in group.into_iter().zip(applied) {
                        send(apply.answer, Ok(applied));
                    }
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, messages = group.len(), "group rolled back");
                    self.versions = before;
                    self.end_transaction();
                }
            }
        }
        let results = self.with_savepoints(&group).unwrap_or_else(|error| {
            self.versions = before;
            self.end_transaction();
            copies(error, group.len())
        });
        self.remember(results.iter().any(Result::is_err));
        for (apply, result) in group.into_iter().zip(results) {
            send(apply.answer, result);
        }
    }

    /// Runs a message in a transaction of its own; tells whether it failed.
    fn alone(&mut self, apply: Apply) -> bool {
        let before = self.versions;
        let group = [apply];
        let result = self.without_savepoints(&group).map_err(|error| {
            tracing::debug!(%error, "message rolled back");
            self.versions = before;
            self.end_transaction();
            error
        });
        let [Apply { writes, answer }] = group;
        let result = match result {
            Ok(mut applied) => applied.pop().ok_or_else(|| malformed("a message has no answer")),
            Err(GroupFailed::Refused(op)) => Err(self.refused_alone(&writes, op)),
            Err(GroupFailed::Engine(error)) => Err(error),
        };
        let has_failed = result.is_err();
        send(answer, result);
        has_failed
    }

    /// Begins a transaction and works for its caller until it ends.
    fn begin(&mut self, bound: u64, time_max: Duration, answer: oneshot::Sender<Result<OpenTx>>) {
        let actual = self.catalog.version();
        let begun = match bound == actual {
            true => self.session.run("BEGIN IMMEDIATE").map_err(statement_failed),
            false => Err(Error::StaleCatalog { bound, actual }),
        };
        if let Err(error) = begun {
            return send(answer, Err(error));
        }
        let before = self.versions;
        let (tx, calls) = open::pair(bound, time_max);
        // Where nobody waits for it, the channel is closed, and the first look says so.
        send(answer, Ok(tx));
        if !self.serve(&calls) {
            self.versions = before;
            self.deadline.clear();
            self.end_transaction();
        }
    }

    /// Answers the calls of an open transaction; tells whether it was committed.
    fn serve(&mut self, calls: &Calls) -> bool {
        let mut has_written = false;
        while let Some(call) = calls.next() {
            calls.watch(&self.deadline);
            let goes_on = match call {
                Call::Apply { writes, answer } => {
                    let result = match std::mem::replace(&mut has_written, true) {
                        true => self.guarded(&writes).and_then(|result| result),
                        false => self.first(&writes),
                    };
                    let is_fine = result.is_ok();
                    send(answer, result);
                    is_fine
                }
                Call::Read { page, count, size, answer } => {
                    let result = reader::counted(&self.session, &page, count.as_ref(), size);
                    let is_fine = result.is_ok();
                    send(answer, result.map_err(statement_failed));
                    is_fine
                }
                Call::Numbers { wanted, answer } => {
                    let result = numbers::take(&self.session, &self.catalog, &wanted);
                    let is_fine = result.is_ok();
                    send(answer, result);
                    is_fine
                }
                Call::Commit { answer } => {
                    self.deadline.clear();
                    let result = self.reserve_versions().and_then(|()| self.session.commit());
                    let is_committed = result.is_ok();
                    send(answer, result.map_err(statement_failed));
                    return is_committed;
                }
            };
            if !goes_on {
                return false;
            }
            self.deadline.clear();
        }
        false
    }

    /// Follows a table; answers the version of the last commit.
    fn follow(&mut self, bound: u64, table: TableId) -> Result<i64> {
        let actual = self.catalog.version();
        let found = self.catalog.table_by_id(table).filter(|_| bound == actual).cloned();
        let Some(table) = found else { return Err(Error::StaleCatalog { bound, actual }) };
        if !self.followed.contains(&table.id) {
            self.session.run("BEGIN IMMEDIATE").map_err(statement_failed)?;
            follow::begin(&self.session, &table).map_err(statement_failed)?;
            self.session.commit().map_err(statement_failed)?;
            self.followed.insert(table.id);
        }
        Ok(self.versions.last)
    }

    fn remember(&mut self, failed: bool) {
        self.failures = self.failures << 1 | u16::from(failed);
    }

    /// Runs the group as if it were one message; any failure is a failure of all.
    fn without_savepoints(&mut self, group: &[Apply]) -> Result<Vec<Applied>, GroupFailed> {
        self.session.run("BEGIN IMMEDIATE").map_err(GroupFailed::of)?;
        let mut applied = Vec::with_capacity(group.len());
        for apply in group {
            applied.push(self.message(&apply.writes).map_err(|(op, halt)| match halt {
                Halt::Refused => GroupFailed::Refused(op),
                Halt::Failed(error) => GroupFailed::Engine(error),
            })?);
        }
        self.reserve_versions().map_err(GroupFailed::of)?;
        self.session.commit().map_err(GroupFailed::of)?;
        Ok(applied)
    }

    /// Why a message that was alone in its transaction, which was rolled back, was refused.
    fn refused_alone(&mut self, writes: &WriteSet, op: usize) -> Error {
        let before = self.versions;
        let catalog = self.catalog.clone();
        let author = (writes.now, writes.user);
        let error = match self.session.run("BEGIN IMMEDIATE") {
            Ok(()) => self.rejection(&catalog, author, (&writes.ops, &writes.checks), op),
            Err(error) => statement_failed(error),
        };
        self.versions = before;
        self.end_transaction();
        error
    }

    /// Runs the group with a savepoint around each message, so that each one passes or fails alone.
    fn with_savepoints(&mut self, group: &[Apply]) -> Result<Vec<Result<Applied>>> {
        self.session.run("BEGIN IMMEDIATE").map_err(statement_failed)?;
        let mut results = Vec::with_capacity(group.len());
        for apply in group {
            results.push(self.guarded(&apply.writes)?);
        }
        self.reserve_versions().map_err(statement_failed)?;
        self.session.commit().map_err(statement_failed)?;
        Ok(results)
    }

    /// One message inside a savepoint. The outer error means that the whole transaction is lost.
    fn guarded(&mut self, writes: &WriteSet) -> Result<Result<Applied>> {
        self.session.run("SAVEPOINT message").map_err(statement_failed)?;
        let result = match self.message(writes) {
            Ok(applied) => Ok(applied),
            Err((_, Halt::Failed(error))) => {
                if !self.session.in_transaction() {
                    return Err(error);
                }
                self.session.run("ROLLBACK TO message").map_err(statement_failed)?;
                Err(error)
            }
            Err((op, Halt::Refused)) => {
                self.session.run("ROLLBACK TO message").map_err(statement_failed)?;
                let catalog = self.catalog.clone();
                let author = (writes.now, writes.user);
                let error = self.rejection(&catalog, author, (&writes.ops, &writes.checks), op);
                self.session.run("ROLLBACK TO message").map_err(statement_failed)?;
                Err(error)
            }
        };
        self.session.run("RELEASE message").map_err(statement_failed)?;
        Ok(result)
    }

    /// The first message of an open transaction, without a savepoint: before it there is nothing to keep. After an
    /// error the transaction must not go on.
    fn first(&mut self, writes: &WriteSet) -> Result<Applied> {
        let (op, halt) = match self.message(writes) {
            Ok(applied) => return Ok(applied),
            Err(stop) => stop,
        };
        if let Halt::Failed(error) = halt {
            return Err(error);
        }
        self.session.run("ROLLBACK").map_err(statement_failed)?;
        self.session.run("BEGIN IMMEDIATE").map_err(statement_failed)?;
        let catalog = self.catalog.clone();
        let author = (writes.now, writes.user);
        Err(self.rejection(&catalog, author, (&writes.ops, &writes.checks), op))
    }

    /// The rows of the refused operation that are to blame. What was written is rolled back before
    /// and afterwards by the caller: the operations before the refused one are run again here.
    fn rejection(
        &mut self,
        catalog: &Arc<Catalog>,
        author: (Timestamp, Uuid),
        (ops, checks): (&[WriteOp], &[Check]),
        op: usize,
    ) -> Error {
        if let Err((_, halt)) = self.operations(catalog, author, (&ops[..op], checks)) {
            return match halt {
                Halt::Failed(error) => error,
                Halt::Refused => malformed("operations passed once, but not twice"),
            };
        }
        match diagnose::diagnose(&self.session, catalog, &ops[op]) {
            Ok(rows) => Error::Rejected { op, rows },
            Err(error) => error,
        }
    }

    fn message(&mut self, writes: &WriteSet) -> Result<Applied, Stop> {
        let catalog = self.catalog.clone();
        self.operations(&catalog, (writes.now, writes.user), (&writes.ops, &writes.checks))
    }

    fn operations(
        &mut self,
        catalog: &Arc<Catalog>,
        (now, user): (Timestamp, Uuid),
        (ops, checks): (&[WriteOp], &[Check]),
    ) -> Result<Applied, Stop> {
        let mut work = Work {
            session: &self.session,
            catalog,
            versions: &mut self.versions,
            followed: &self.followed,
            now,
            user,
        };
        let mut applied = Applied { ops: Vec::with_capacity(ops.len()) };
        for (place, op) in ops.iter().enumerate() {
            for (number, one) in checks.iter().enumerate().filter(|(_, one)| one.op == place) {
                check(&work, number, one).map_err(|halt| (place, halt))?;
            }
            applied.ops.push(execute(&mut work, op).map_err(|halt| (place, halt))?);
        }
        Ok(applied)
    }

    /// Changes definitions, tables and rows in one transaction.
    fn change(&mut self, change: &SchemaChange) -> Result<Changed> {
        self.shared.check_version(&change.catalog)?;
        let after = Arc::new(apply_ops(&self.catalog, &change.ops)?);
        let mut steps = schema::steps(&self.catalog, &after)?;
        let counters = counters::changes(&self.catalog, &after, &change.ops);
        steps.extend(numbers::changed(&counters).map(|sql| schema::Step { sql, key: None }));
        let before = self.versions;
        let author = (change.now, change.user);
        let mut result = self.change_definitions(&steps, &after, &change.ops).and_then(|()| {
            match self.operations(&after, author, (&change.rows, &change.checks)) {
                Ok(applied) => Ok(Ok(applied)),
                Err((_, Halt::Failed(error))) => Err(error),
                Err((op, Halt::Refused)) => Ok(Err(op)),
            }
        });
        if let Ok(Err(op)) = result {
            self.end_transaction();
            result = match self.change_definitions(&steps, &after, &change.ops) {
                Ok(()) => Err(self.rejection(&after, author, (&change.rows, &change.checks), op)),
                Err(error) => Err(error),
            };
        }
        let committed = result.and_then(|applied| {
            self.reserve_versions().map_err(statement_failed)?;
            self.session.commit().map_err(statement_failed)?;
            applied.map_err(|_| malformed("a refused change was not told"))
        });
        let applied = match committed {
            Ok(applied) => applied,
            Err(error) => {
                self.versions = before;
                self.end_transaction();
                return Err(error);
            }
        };
        self.catalog = after.clone();
        self.shared.set_catalog(after.clone());
        Ok(Changed { catalog: after, applied })
    }

    /// Begins a transaction and changes the tables and the saved definitions in it.
    fn change_definitions(
        &mut self,
        steps: &[schema::Step],
        after: &Catalog,
        ops: &[SchemaOp],
    ) -> Result<()> {
        self.session.run("BEGIN IMMEDIATE").map_err(statement_failed)?;
        for step in steps {
            self.session.run_once(&step.sql).map_err(|source| match step.key {
                Some((table, key)) if is_refusal(&source) => {
                    let key_id = after.table_by_id(table).map(|table| table.key(key).id);
                    let reason = Reason::DuplicateKey { key };
                    Error::Rejected {
                        op: place_of_key(ops, table, key_id),
                        rows: vec![Rejection { index: 0, id: None, reason }],
                    }
                }
                _ => statement_failed(source),
            })?;
        }
        catalog::save(self.session.conn(), &self.catalog, after).map_err(statement_failed)
    }

    /// Keeps, with this commit, that the numbers which were given are used up.
    fn reserve_versions(&mut self) -> rusqlite::Result<()> {
        if self.versions.last > self.versions.reserved {
            let up_to = self.versions.last + VERSIONS_RESERVED;
            catalog::reserve_row_versions(&self.session, up_to)?;
            self.versions.reserved = up_to;
        }
        Ok(())
    }

    /// Rolls back what is open.
    fn end_transaction(&self) {
        if self.session.in_transaction()
            && let Err(source) = self.session.run("ROLLBACK")
        {
            tracing::error!(error = %source, "rollback failed");
        }
    }
}

/// Why a group is run again.
#[derive(Debug, thiserror::Error)]
enum GroupFailed {
    #[error("a row of the group hurts what must hold")]
    Refused(usize),
    #[error("the engine failed")]
    Engine(#[source] Error),
}

impl GroupFailed {
    fn of(source: rusqlite::Error) -> Self {
        Self::Engine(statement_failed(source))
    }
}

/// One engine error for every message of a group.
fn copies(error: Error, count: usize) -> Vec<Result<Applied>> {
    let text = match &error {
        Error::Engine { doing, source } => format!("{doing}: {source}"),
        other => other.to_string(),
    };
    let copy =
        || Error::Engine { doing: "committing a group of messages", source: text.as_str().into() };
    (0..count).map(|_| Err(copy())).collect()
}

fn place_of_key(ops: &[SchemaOp], table: model::TableId, key: Option<u32>) -> usize {
    ops.iter()
        .position(|op| match op {
            SchemaOp::AddKey { table: of, key: new } => *of == table && Some(new.id) == key,
            _ => false,
        })
        .unwrap_or(0)
}

fn send<T>(answer: oneshot::Sender<Result<T>>, result: Result<T>) {
    if answer.send(result).is_err() {
        // The caller has gone away; what was written stays written.
        tracing::debug!("nobody waits for the answer any more");
    }
}

#[cfg(test)]
mod tests;
