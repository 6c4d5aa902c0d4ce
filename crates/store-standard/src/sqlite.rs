//! Standard tables on SQLite: one file, one writer thread, readers on snapshots.
//!
//! In reading order: `options`, this file (the store and its threads), `queue` (how work reaches them),
//! `connection` and `session` (a database connection and its prepared statements), `writer` (groups of
//! messages under one commit), `open` (a transaction that its caller keeps open), `execute` (one operation), `diagnose` (which
//! rows failed), `judged` (sets that are judged before they are written), `schema` and `catalog` (definitions), `follow` (deleted rows that are remembered), `numbers` (of auto-number columns),
//! `pieces` (of files), `reader` (pages).
//! Not here: what differs from PostgreSQL in query text (`dialect`), the rules of refusal (`store::judge`).
//! Invariant: only the writer thread writes, and this process is the only one that has the file open.

mod calendar;
mod catalog;
mod checkpoint;
mod connection;
mod deadline;
mod diagnose;
pub(crate) mod dialect;
mod error;
mod exact;
mod execute;
mod follow;
mod functions;
mod judged;
mod numbers;
mod open;
mod pieces;
mod queue;
mod reader;
mod schema;
mod session;
mod writer;

use crate::refusals::{self, Refusals};
use crate::select;
use async_trait::async_trait;
use error::engine;
use model::{Catalog, ColumnId, ColumnIndex, TableId, Timestamp, Uuid};
use query::{BoundQuery, Page};
use queue::Queue;
use session::Counts;
pub use session::StatementCounts;
use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use store::{
    Applied, Changed, Deleted, Error, Numbers, Piece, Result, SchemaChange, StandardStore,
    TakeRows, Tx, WriteSet,
};
use tokio::sync::oneshot;

/// The database file in the data directory.
pub(crate) const FILE: &str = "sheaf.sqlite";
/// The file whose lock says that a process has the database open.
const LOCK_FILE: &str = "sheaf.lock";

/// How a SQLite store is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// Messages that may wait for the writer; one more is answered [`Error::Busy`].
    pub write_queue_max: usize,
    /// Pages that may wait for a reader; one more is answered [`Error::Busy`].
    pub read_queue_max: usize,
    /// Rows that one commit takes from the queue at most; a larger message is a group of its own.
    pub group_rows_max: usize,
    /// Connections that read; none means one per processor, at least two.
    pub readers: Option<NonZeroUsize>,
    /// How long reading one page may take.
    pub read_time_max: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            write_queue_max: 256,
            read_queue_max: 1_024,
            group_rows_max: 5_000,
            readers: None,
            read_time_max: Duration::from_secs(120),
        }
    }
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: an acknowledged write survives power loss.
    Full,
    /// The operating system: an acknowledged write survives a crash of the process; power loss may
    /// take the last ones away, never a part of a message.
    Normal,
}

/// What the threads and the callers share.
struct Shared {
    catalog: RwLock<Arc<Catalog>>,
    writes: Queue<writer::Job>,
    reads: Queue<reader::Job>,
    pieces: Queue<pieces::Job>,
    /// How messages of many rows ended lately.
    refusals: Refusals,
    counts: Arc<Counts>,
}

impl Shared {
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_catalog(&self, catalog: Arc<Catalog>) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
    }

    /// Refuses what is bound to other definitions than the present ones.
    fn check_version(&self, bound: &Catalog) -> Result<()> {
        let actual = self.catalog().version();
        if bound.version() == actual {
            return Ok(());
        }
        Err(Error::StaleCatalog { bound: bound.version(), actual })
    }
}

/// Standard tables in one SQLite file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held, never read: its lock keeps other processes away while the store is open.
    lock: Mutex<Option<File>>,
}

impl SqliteStore {
    /// Opens the store in a directory, making both if they are not there.
    ///
    /// Errors: [`Error::Engine`] when another process, or another store of this one, has it open.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Arc<Self>> {
        std::fs::create_dir_all(path).map_err(engine("making the data directory"))?;
        let lock = lock(path)?;
        let file = path.join(FILE);
        let conn = connection::open_writer(&file, options.synchronous)?;
        let catalog = catalog::load(&conn)?;
        let followed = follow::open(&conn)?;
        pieces::open(&conn)?;
        numbers::open(&conn)?;
        let shared = Arc::new(Shared {
            catalog: RwLock::new(Arc::new(catalog)),
            writes: Queue::new(options.write_queue_max),
            reads: Queue::new(options.read_queue_max),
            pieces: Queue::new(options.read_queue_max),
            refusals: Refusals::default(),
            counts: Arc::new(Counts::default()),
        });
        let mut threads = Vec::new();
        let checkpoints = checkpoint::start(&file, options.synchronous, &mut threads)?;
        let group_rows_max = options.group_rows_max;
        threads.push(writer::start(conn, shared.clone(), checkpoints, group_rows_max, followed)?);
        let readers = options.readers.map_or_else(
            || std::thread::available_parallelism().map_or(4, NonZeroUsize::get).max(2),
            NonZeroUsize::get,
        );
        for _ in 0..readers {
            threads.push(reader::start(&file, shared.clone(), options.read_time_max)?);
        }
        threads.push(pieces::start(&file, shared.clone())?);
        Ok(Arc::new(Self { shared, threads: Mutex::new(threads), lock: Mutex::new(Some(lock)) }))
    }

    /// Statements that this store has prepared and run so far.
    pub fn statements(&self) -> StatementCounts {
        self.shared.counts.now()
    }

    /// Finishes what is queued, then stops the threads and moves the log into the database file.
    ///
    /// Blocks. What is asked for afterwards is answered with [`Error::Engine`]. Dropping does the same.
    pub fn close(&self) {
        self.shared.writes.close();
        self.shared.reads.close();
        self.shared.pieces.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the SQLite store panicked");
            }
        }
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Gives a reader a page to read.
    fn begin_read(
        &self,
        query: &BoundQuery,
        parts: Option<reader::Parts>,
    ) -> Result<oneshot::Receiver<Result<Page>>> {
        self.shared.check_version(&query.catalog)?;
        let (answer, result) = oneshot::channel();
        let job = reader::PageJob {
            page: select::page(query, &dialect::Sqlite),
            count: select::count(query, &dialect::Sqlite),
            size: size_of(query),
            parts,
            answer,
        };
        self.shared.reads.push(reader::Job::Page(job)).map_err(queue::Refused::into_error)?;
        Ok(result)
    }

    /// Has a reader judge a set, which comes back if nothing is against it.
    async fn judge(&self, writes: WriteSet) -> Result<WriteSet> {
        let (answer, verdict) = oneshot::channel();
        let job = reader::Job::Judge(judged::Job { writes, answer });
        self.shared.reads.push(job).map_err(queue::Refused::into_error)?;
        let (writes, refused) = verdict.await.map_err(engine("waiting for a reader"))?;
        let Some(error) = refused? else { return Ok(writes) };
        if refusals::counts(&writes.ops) {
            self.shared.refusals.remember(true);
        }
        Err(error)
    }

    async fn write<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T>>) -> writer::Job,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        self.shared.writes.push(job(answer)).map_err(queue::Refused::into_error)?;
        result.await.map_err(engine("waiting for the writer"))?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl StandardStore for SqliteStore {
    async fn catalog(&self) -> Result<Arc<Catalog>> {
        Ok(self.shared.catalog())
    }

    async fn catalog_version(&self) -> Result<u64> {
        Ok(self.shared.catalog().version())
    }

    async fn change(&self, change: SchemaChange) -> Result<Changed> {
        self.write(|answer| writer::Job::Change { change: Box::new(change), answer }).await
    }

    async fn apply(&self, writes: WriteSet) -> Result<Applied> {
        // The writer checks again; this one spares it what is stale already.
        self.shared.check_version(&writes.catalog)?;
        let writes = match self.shared.refusals.is_judged_first(&writes.ops) {
            true => self.judge(writes).await?,
            false => writes,
        };
        let counts = refusals::counts(&writes.ops);
        let result =
            self.write(|answer| writer::Job::Apply(writer::Apply { writes, answer })).await;
        if counts {
            self.shared.refusals.remember(matches!(result, Err(Error::Rejected { .. })));
        }
        result
    }

    async fn begin(&self, catalog: Arc<Catalog>, time_max: Duration) -> Result<Box<dyn Tx>> {
        self.shared.check_version(&catalog)?;
        let bound = catalog.version();
        let tx = self.write(|answer| writer::Job::Begin { bound, time_max, answer }).await?;
        Ok(Box::new(tx))
    }

    fn is_present(&self, catalog: &Catalog) -> bool {
        self.shared.check_version(catalog).is_ok()
    }

    async fn read(&self, query: &BoundQuery) -> Result<Page> {
        let result = self.begin_read(query, None)?;
        result.await.map_err(engine("waiting for a reader"))?
    }

    async fn read_in_parts(&self, query: &BoundQuery, take: TakeRows<'_>) -> Result<Page> {
        let (parts, mut cells) = reader::Parts::new(size_of(query));
        let result = self.begin_read(query, Some(parts))?;
        while let Some(cells) = cells.recv().await {
            take(&cells);
        }
        result.await.map_err(engine("waiting for a reader"))?
    }

    async fn follow(&self, catalog: &Catalog, table: TableId) -> Result<i64> {
        let bound = catalog.version();
        self.write(|answer| writer::Job::Follow { bound, table, answer }).await
    }

    async fn deleted(
        &self,
        catalog: &Catalog,
        table: TableId,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<Deleted>> {
        self.shared.check_version(catalog)?;
        let (answer, result) = oneshot::channel();
        let job = reader::PageJob {
            page: follow::select(catalog, table, after, rows_max),
            count: None,
            size: usize::try_from(rows_max).unwrap_or(usize::MAX),
            parts: None,
            answer,
        };
        self.shared.reads.push(reader::Job::Page(job)).map_err(queue::Refused::into_error)?;
        let page = result.await.map_err(engine("waiting for a reader"))??;
        Ok(follow::rows(&page))
    }

    async fn take_numbers(
        &self,
        catalog: &Arc<Catalog>,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>> {
        self.shared.check_version(catalog)?;
        let (bound, wanted) = (catalog.version(), wanted.to_vec());
        self.write(|answer| writer::Job::Numbers(writer::TakeNumbers { bound, wanted, answer }))
            .await
    }

    async fn next_number(
        &self,
        catalog: &Arc<Catalog>,
        table: TableId,
        column: ColumnId,
    ) -> Result<i64> {
        self.shared.check_version(catalog)?;
        let (bound, of) = (catalog.version(), Numbers { table, column, count: 0 });
        self.write(|answer| writer::Job::NextNumber { bound, of, answer }).await
    }

    async fn put_pieces(&self, pieces: Vec<Piece>) -> Result<()> {
        self.write(|answer| writer::Job::PutPieces { pieces, answer }).await
    }

    async fn piece(&self, file: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
        let (answer, result) = oneshot::channel();
        let job = pieces::Job::Read { file, name: name.into(), answer };
        self.shared.pieces.push(job).map_err(queue::Refused::into_error)?;
        result.await.map_err(engine("waiting for a piece"))?
    }

    async fn piece_sizes(&self, file: Uuid) -> Result<Vec<(Box<str>, u64)>> {
        let (answer, result) = oneshot::channel();
        let job = pieces::Job::Sizes { file, answer };
        self.shared.pieces.push(job).map_err(queue::Refused::into_error)?;
        result.await.map_err(engine("waiting for the sizes of pieces"))?
    }

    async fn forget_pieces(
        &self,
        catalog: &Catalog,
        named_by: &[(TableId, ColumnIndex)],
        before: Timestamp,
    ) -> Result<()> {
        let (bound, named_by) = (catalog.version(), named_by.to_vec());
        self.write(|answer| writer::Job::ForgetPieces { bound, named_by, before, answer }).await
    }

    async fn forget_deleted(&self, before: Timestamp) -> Result<()> {
        self.write(|answer| writer::Job::Forget { before, answer }).await
    }
}

/// Rows of the page of a query, at most.
fn size_of(query: &BoundQuery) -> usize {
    usize::try_from(query.paging.size).unwrap_or(usize::MAX)
}

/// Takes the lock that keeps other processes away; it lasts as long as the file is open.
fn lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(engine("opening the lock file of the data directory"))?;
    file.try_lock().map_err(engine(
        "locking the data directory: another process, or another store of this one, has it open",
    ))?;
    Ok(file)
}
