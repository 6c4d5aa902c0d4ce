//! The committer: one thread that writes, many calls under one sync of the disk.
//!
//! It takes what waits (never waiting for more), checks each row against the rows there are, writes one
//! batch, syncs once and answers everyone.
//! Not here: the checks (`group`).
//! Invariant: calls are answered after the sync of their batch, and the versions that were given are
//! below those of every later batch, over restarts too.

use super::Files;
use super::group::{Call, Group};
use super::row::StoredRow;
use crate::error::{engine, malformed};
use crate::key;
use fjall::PersistMode;
use model::{TableId, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use store::elastic::ElasticOutcome;
use store::elastic_rows::VersionClock;
use store::{Error, Result};
use tokio::sync::oneshot;

/// Calls under one sync, at most: what waits longer than that is latency.
const GROUP_CALLS_MAX: usize = 64;
/// Bytes of new rows under one sync, at most (one call may be larger).
const GROUP_BYTES_MAX: usize = 4 << 20;
/// The place of the last version given, in `meta`.
const VERSION: &str = "version";

type Answer<T> = oneshot::Sender<Result<T>>;

/// Work for the committer.
pub(super) enum Job {
    Write { call: Call, answer: Answer<Vec<ElasticOutcome>> },
    Expire { now: Timestamp, entries_max: usize, answer: Answer<Swept> },
    Drop { table: TableId, answer: Answer<()> },
}

/// What one turn over the expiry index found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swept {
    /// Entries that were taken off the index.
    pub(super) entries: usize,
    /// Rows that went with them.
    pub(super) rows: usize,
}

/// The thread and the way to it.
pub(super) struct Committer {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

impl Committer {
    pub(super) fn start(files: Arc<Files>, calls_max: usize) -> Result<Self> {
        const DOING: &str = "starting the committer";
        let last = match files.meta.get(VERSION).map_err(engine(DOING))? {
            Some(bytes) => match bytes.first_chunk() {
                Some(version) => i64::from_le_bytes(*version),
                None => return Err(malformed("the last version is not 8 bytes")),
            },
            None => 0,
        };
        let (jobs, waiting) = sync_channel(calls_max.max(1));
        let thread = std::thread::Builder::new()
            .name("elastic-write".into())
            .spawn(move || Worker { files, versions: VersionClock::after(last) }.run(&waiting))
            .map_err(engine(DOING))?;
        Ok(Self { jobs, thread })
    }

    /// Queues a job, or says that as many wait as may wait.
    pub(super) fn push(&self, job: Job) -> Result<()> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => super::closed(),
        })
    }

    /// Lets nothing more in and waits until what is queued is written.
    pub(super) fn finish(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the committer of elastic tables had panicked");
        }
    }
}

struct Worker {
    files: Arc<Files>,
    versions: VersionClock,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = jobs.recv().ok();
        while let Some(job) = next {
            // A job that panics drops its answers: its callers get an engine error. Nothing of it is in
            // the files, because the batch is committed as a whole.
            let mut left_over = None;
            let work = AssertUnwindSafe(|| match job {
                Job::Write { call, answer } => left_over = self.write(call, answer, jobs),
                Job::Expire { now, entries_max, answer } => {
                    send(answer, self.expire(now, entries_max));
                }
                Job::Drop { table, answer } => send(answer, self.files.drop_table(table)),
            });
            if catch_unwind(work).is_err() {
                tracing::error!(
                    "the committer of elastic tables panicked; the group is not written"
                );
            }
            next = left_over.or_else(|| jobs.recv().ok());
        }
    }

    /// Writes a call and what waits behind it; answers the first job that is no call.
    fn write(
        &mut self,
        first: Call,
        answer: Answer<Vec<ElasticOutcome>>,
        jobs: &Receiver<Job>,
    ) -> Option<Job> {
        let mut bytes = first.bytes;
        let mut calls = vec![(first, answer)];
        let mut left_over = None;
        while calls.len() < GROUP_CALLS_MAX && bytes < GROUP_BYTES_MAX {
            match jobs.try_recv() {
                Ok(Job::Write { call, answer }) => {
                    bytes += call.bytes;
                    calls.push((call, answer));
                }
                Ok(other) => {
                    left_over = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let mut group = Group::new(&self.files, &mut self.versions);
        let judged: Vec<_> =
            calls.into_iter().map(|(call, answer)| (group.judge(call), answer)).collect();
        let committed = group.into_batch().and_then(|batch| match batch {
            Some(batch) => self.commit(batch),
            None => Ok(()),
        });
        let why = committed.err().map(|error| match error {
            Error::Engine { doing, source } => (doing, source.to_string()),
            other => ("writing a group of calls", other.to_string()),
        });
        let answered = u64::try_from(judged.len()).unwrap_or(u64::MAX);
        self.files.calls.fetch_add(answered, Ordering::Relaxed);
        for (outcomes, answer) in judged {
            let failed = |(doing, why): &(&'static str, String)| Error::Engine {
                doing,
                source: why.clone().into(),
            };
            send(answer, why.as_ref().map(failed).map_or(outcomes, Err));
        }
        left_over
    }

    fn commit(&self, mut batch: fjall::OwnedWriteBatch) -> Result<()> {
        batch.insert(&self.files.meta, VERSION, self.versions.last().to_le_bytes());
        batch
            .durability(Some(PersistMode::SyncData))
            .commit()
            .map_err(engine("committing a group of calls"))?;
        self.files.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes entries off the expiry index and their rows with them.
    fn expire(&self, now: Timestamp, entries_max: usize) -> Result<Swept> {
        const DOING: &str = "removing rows whose time is over";
        let mut swept = Swept::default();
        let mut batch = self.files.database.batch();
        // Up to and with this second; times do not reach the last one.
        let end = key::due_prefix(Timestamp(now.0.saturating_add(1)));
        for entry in self.files.due.range(..end).take(entries_max) {
            let entry = entry.key().map_err(engine(DOING))?;
            let (at, table, row) = key::due_parts(&entry)
                .ok_or_else(|| malformed("an entry of the expiry index is too short"))?;
            if let Some(keyspace) = self.files.table(table)
                && let Some(bytes) = keyspace.get(row).map_err(engine(DOING))?
                && StoredRow::read(&bytes)?.expires_at == Some(at)
            {
                batch.remove(&keyspace, row);
                swept.rows += 1;
            }
            batch.remove(&self.files.due, entry);
            swept.entries += 1;
        }
        // Not synced: a sweep that is lost in a crash is made again.
        batch.commit().map_err(engine(DOING))?;
        Ok(swept)
    }
}

fn send<T>(answer: Answer<T>, result: Result<T>) {
    if answer.send(result).is_err() {
        tracing::debug!("nobody waits for the answer any more");
    }
}
