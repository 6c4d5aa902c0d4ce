//! Elastic tables in files of their own: an LSM with one committer thread.
//!
//! Each table is a keyspace (`t<number>`), so that forgetting a table is removing files and a scan sees
//! no foreign rows; `due` is the expiry index, `meta` the bookkeeping. Writers queue; readers work on
//! snapshots beside them and never wait for them.
//! In reading order: `row` (header of a stored row), `committer` (groups of calls), `group` (one group
//! against the rows there are), `read`.
//! Invariant: an answered write has been synced to disk.

mod committer;
mod group;
mod read;
mod row;

use crate::error::engine;
use async_trait::async_trait;
use committer::{Committer, Job};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use model::{Catalog, Table, TableId, Timestamp, Value};
use query::{BoundQuery, Page};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use store::elastic::{ElasticKey, ElasticOutcome, ElasticStore, ElasticWalk, ElasticWrite, Walked};
use store::{Error, Result};
use tokio::sync::{Semaphore, oneshot};

/// Reads that run at once.
const READS_MAX: usize = 8;
/// Reads that run or wait; one more is told that the store is busy.
const READS_WAITING_MAX: usize = 1_024;
/// Rows that one turn of the committer takes from the expiry index, so that writers wait shortly.
const EXPIRED_ROWS_MAX: usize = 1_000;
/// The layout of the files; another one is refused.
const LAYOUT: &[u8] = b"1";

/// What the committer did so far, for tests and for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LsmCounters {
    /// Calls of writes that were answered.
    pub calls: u64,
    /// Groups of calls that were written under one sync.
    pub commits: u64,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct LsmOptions {
    /// Calls that may wait for the committer; one more is told that the store is busy.
    pub calls_max: usize,
    /// Bytes of the block cache.
    pub cache_bytes: u64,
    /// Bytes of one table's newest rows that are held in memory before they become a file.
    pub memtable_bytes: u64,
}

impl Default for LsmOptions {
    fn default() -> Self {
        Self { calls_max: 1_024, cache_bytes: 64 << 20, memtable_bytes: 32 << 20 }
    }
}

/// A store of elastic tables in a directory.
pub struct LsmStore {
    files: RwLock<Option<Arc<Files>>>,
    committer: Mutex<Option<Committer>>,
    reads: Arc<Semaphore>,
    reads_waiting: Arc<Semaphore>,
}

/// The open files.
struct Files {
    database: Database,
    /// Last version given, layout.
    meta: Keyspace,
    /// The expiry index: `key::due_key` to nothing.
    due: Keyspace,
    tables: RwLock<HashMap<TableId, Keyspace>>,
    memtable_bytes: u64,
    calls: AtomicU64,
    commits: AtomicU64,
}

impl LsmStore {
    /// Opens the store in this directory, making it where it is absent.
    ///
    /// Errors: the directory cannot be used, another process has it open, or it has another layout.
    /// Blocks while the journal is replayed.
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        Self::open_with(path, LsmOptions::default())
    }

    /// As [`Self::open`], with options.
    pub fn open_with(path: &Path, options: LsmOptions) -> Result<Arc<Self>> {
        let files = Arc::new(Files::open(path, options)?);
        let committer = Committer::start(files.clone(), options.calls_max)?;
        Ok(Arc::new(Self {
            files: RwLock::new(Some(files)),
            committer: Mutex::new(Some(committer)),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            reads_waiting: Arc::new(Semaphore::new(READS_WAITING_MAX)),
        }))
    }

    /// What the committer did since the store was opened; nothing once it is closed.
    pub fn counters(&self) -> LsmCounters {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.files().map_or_else(
            |_| LsmCounters::default(),
            |files| LsmCounters { calls: get(&files.calls), commits: get(&files.commits) },
        )
    }

    /// Writes what is queued and lets the directory go; later calls are refused.
    ///
    /// Reads that still run keep the directory until they end.
    pub fn close(&self) {
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(committer) = committer {
            committer.finish();
        }
        self.files.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn files(&self) -> Result<Arc<Files>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.clone().ok_or_else(closed)
    }

    /// Reads a table beside the runtime, from a snapshot; `read` is given none where there are no files,
    /// and asks now and then whether its answer is still wanted.
    async fn look<T: Send + 'static>(
        &self,
        table: TableId,
        now: Timestamp,
        read: impl FnOnce(Option<&read::Scope<'_>>, &dyn Fn() -> bool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        const DOING: &str = "reading a page";
        let waiting = self.reads_waiting.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        let running = self.reads.clone().acquire_owned().await.map_err(engine(DOING))?;
        let files = self.files()?;
        // Dropped with this future: then nobody wants the page, and the scan stops.
        let wanted = Arc::new(());
        let still_wanted = Arc::downgrade(&wanted);
        let run = move || {
            let is_wanted = || still_wanted.strong_count() > 0;
            let answer = match files.table(table) {
                Some(keyspace) => {
                    let snapshot = files.database.snapshot();
                    let scope = read::Scope { snapshot: &snapshot, keyspace: &keyspace, now };
                    read(Some(&scope), &is_wanted)
                }
                None => read(None, &is_wanted),
            };
            drop((files, running, waiting));
            answer
        };
        let answer = tokio::task::spawn_blocking(run).await.map_err(engine(DOING))?;
        drop(wanted);
        answer
    }

    /// Queues a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T>>) -> Job) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        {
            let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner);
            committer.as_ref().ok_or_else(closed)?.push(job(answer))?;
        }
        answered.await.map_err(engine("waiting for the committer"))?
    }
}

impl Drop for LsmStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl ElasticStore for LsmStore {
    async fn write(
        &self,
        table: &Arc<Table>,
        now: Timestamp,
        writes: Vec<ElasticWrite>,
    ) -> Result<Vec<ElasticOutcome>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        // Encoded here, on the caller's thread: the committer only checks and appends.
        let call = group::Call::prepare(table, now, writes);
        self.ask(|answer| Job::Write { call, answer }).await
    }

    async fn read(
        &self,
        query: &BoundQuery,
        partition: Option<&str>,
        now: Timestamp,
    ) -> Result<Page> {
        let query = query.clone();
        let partition: Option<Box<str>> = partition.map(Box::from);
        self.look(query.table.id, now, move |scope, is_wanted| match scope {
            Some(scope) => scope.page(&query, partition.as_deref(), is_wanted),
            None => Ok(store::elastic_page::PageBuilder::new(&query).finish()),
        })
        .await
    }

    async fn rows(
        &self,
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        keys: &[ElasticKey],
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<Value>>>> {
        let (catalog, table, keys) = (catalog.clone(), table.clone(), keys.to_vec());
        self.look(table.id, now, move |scope, is_wanted| match scope {
            Some(scope) => scope.rows(&catalog, &table, &keys, is_wanted),
            None => Ok(vec![None; keys.len()]),
        })
        .await
    }

    async fn walk(&self, walk: &ElasticWalk, now: Timestamp) -> Result<Walked> {
        let walk = walk.clone();
        self.look(walk.table.id, now, move |scope, _| match scope {
            Some(scope) => scope.walk(&walk),
            None => Ok(Walked::default()),
        })
        .await
    }

    async fn expire(&self, now: Timestamp, rows_max: usize) -> Result<usize> {
        let mut removed = 0;
        while removed < rows_max {
            let entries_max = (rows_max - removed).min(EXPIRED_ROWS_MAX);
            let swept = self.ask(|answer| Job::Expire { now, entries_max, answer }).await?;
            removed += swept.rows;
            if swept.entries < entries_max {
                break;
            }
        }
        Ok(removed)
    }

    async fn drop_table(&self, table: &Arc<Table>) -> Result<()> {
        let table = table.id;
        self.ask(|answer| Job::Drop { table, answer }).await
    }
}

impl Files {
    fn open(path: &Path, options: LsmOptions) -> Result<Self> {
        const DOING: &str = "opening the files of elastic tables";
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .open()
            .map_err(engine(DOING))?;
        let make = |name: &str| database.keyspace(name, KeyspaceCreateOptions::default);
        let meta = make("meta").map_err(engine(DOING))?;
        let due = make("due").map_err(engine(DOING))?;
        match meta.get("layout").map_err(engine(DOING))? {
            Some(layout) if *layout == *LAYOUT => {}
            Some(_) => {
                let source = "the files have the layout of another release".into();
                return Err(Error::Engine { doing: DOING, source });
            }
            None => meta.insert("layout", LAYOUT).map_err(engine(DOING))?,
        }
        let mut tables = HashMap::new();
        for name in database.list_keyspace_names() {
            if let Some(id) = name.strip_prefix('t').and_then(|number| number.parse().ok()) {
                tables.insert(TableId(id), make(&name).map_err(engine(DOING))?);
            }
        }
        let memtable_bytes = options.memtable_bytes;
        Ok(Self {
            database,
            meta,
            due,
            tables: RwLock::new(tables),
            memtable_bytes,
            calls: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        })
    }

    fn table(&self, table: TableId) -> Option<Keyspace> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&table).cloned()
    }

    /// The keyspace of a table, made where it is absent. Only the committer calls it.
    fn table_for_writes(&self, table: TableId) -> Result<Keyspace> {
        if let Some(keyspace) = self.table(table) {
            return Ok(keyspace);
        }
        let options = || KeyspaceCreateOptions::default().max_memtable_size(self.memtable_bytes);
        let keyspace = self
            .database
            .keyspace(&format!("t{}", table.0), options)
            .map_err(engine("making the files of a table"))?;
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.insert(table, keyspace.clone());
        Ok(keyspace)
    }

    /// Forgets a table's rows. Entries of the expiry index stay; a sweep finds no row and drops them.
    fn drop_table(&self, table: TableId) -> Result<()> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let Some(keyspace) = tables.remove(&table) else { return Ok(()) };
        self.database.delete_keyspace(keyspace).map_err(engine("removing the files of a table"))
    }
}

fn closed() -> Error {
    Error::Engine { doing: "queueing work", source: "the store is closed".into() }
}
