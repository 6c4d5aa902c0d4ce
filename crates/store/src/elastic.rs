//! The contract of a store for elastic tables: partitions, an outcome per row, time to live.
//!
//! Not here: messages and statuses (`pipeline`), engines (`store-elastic`).
//! A wide-column engine (partition key = partition, clustering key = id, native TTL) must be able to
//! keep this contract: so there is no transaction, no unique key but `(partition, id)`, no join, a read
//! of several partitions is a scan that promises no order but the one it sorts itself, and a walk goes
//! in whatever order the engine has.
//! Invariant: an answered write is durable and seen by every later read of this node.

use crate::Result;
use async_trait::async_trait;
use model::{Catalog, Cell, ColumnIndex, Table, Timestamp, Uuid, Value};
use query::{BoundQuery, Filter, Page};
use std::sync::Arc;

/// Elastic tables: independent writes, an outcome per row.
///
/// Every call brings `now`: rows whose time is over at `now` are not there, for writes and reads alike,
/// whether or not they have been removed from disk.
#[async_trait]
pub trait ElasticStore: Send + Sync + 'static {
    /// Writes rows of one table, each for itself; answers one outcome per write, in order.
    ///
    /// Writes of one call are grouped into as few durable commits as the engine can; concurrent calls
    /// share them. Of several writes to one row in a call, later ones see earlier ones.
    /// Errors: only what concerns the whole call (engine, busy); then any of the writes may have
    /// happened.
    async fn write(
        &self,
        table: &Arc<Table>,
        now: Timestamp,
        writes: Vec<ElasticWrite>,
    ) -> Result<Vec<ElasticOutcome>>;

    /// Reads a page; of one partition (fast) or of all (a scan).
    ///
    /// The query is bound as for standard tables; its order ends with the primary key, and where rows
    /// of several partitions share a primary key, the bytes of the effective partition break the tie.
    /// So that a page can start between such rows, the order names `partitionid`, too (before or after
    /// the primary key); where it does not, a page starts behind all rows that are equal in its order.
    /// A scan that is ordered or counted looks at every row; a page by primary key within a partition
    /// looks only at its own.
    async fn read(
        &self,
        query: &BoundQuery,
        partition: Option<&str>,
        now: Timestamp,
    ) -> Result<Page>;

    /// Reads the rows with these keys, from one state of the table: one answer per key, in order, and none
    /// where no row is there. The same key may stand there twice.
    ///
    /// Shape: a row has one value per column of the table, computed ones included.
    /// Cost: what these rows cost, whatever lies beside them, and no call of the engine for each of them.
    async fn rows(
        &self,
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        keys: &[ElasticKey],
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<Value>>>>;

    /// Looks at the next rows of a table, in all partitions, and answers the keys of those that match.
    ///
    /// The order is the engine's own, and stays as it is while rows come and go: who goes on behind
    /// [`Walked::next`] until there is none sees each row that is there all the while once, no row
    /// twice, and may miss rows that come meanwhile. Each call sees what is written at that time.
    /// Cost: what the rows cost that it looks at, wherever it begins.
    async fn walk(&self, walk: &ElasticWalk, now: Timestamp) -> Result<Walked>;

    /// Removes rows whose time is over from disk, at most `rows_max`; answers how many. Which of them
    /// go first is the engine's choice.
    async fn expire(&self, now: Timestamp, rows_max: usize) -> Result<usize>;

    /// Forgets every row of a table.
    async fn drop_table(&self, table: &Arc<Table>) -> Result<()>;
}

/// The identity of a row: the same id may exist once per partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElasticKey {
    /// The effective partition: the value of `partitionid`, or the text of the id where that is null.
    pub partition: Box<str>,
    /// The primary key.
    pub id: Uuid,
}

impl ElasticKey {
    /// The key of a row with this `partitionid` value.
    pub fn new(id: Uuid, partition: Option<&str>) -> Self {
        let partition = partition.map_or_else(|| id.to_string().into(), Box::from);
        Self { partition, id }
    }
}

/// One call of a walk through a table.
#[derive(Clone, Debug)]
pub struct ElasticWalk {
    /// What the filter is bound to.
    pub catalog: Arc<Catalog>,
    /// The table.
    pub table: Arc<Table>,
    /// Which rows are answered; none: all. Conditions compare a column with a value.
    pub filter: Option<Filter>,
    /// Behind which row it goes on, be it there or not; none: it begins.
    pub after: Option<ElasticKey>,
    /// Rows that it looks at, at most, whether they match or not; those whose time is over count.
    pub rows_max: usize,
}

/// What a call of a walk saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// The rows that match, in the order of the engine.
    pub keys: Vec<ElasticKey>,
    /// The last row that it looked at; none: there are no rows behind.
    pub next: Option<ElasticKey>,
}

/// One write.
#[derive(Clone, Debug)]
pub struct ElasticWrite {
    /// Which row.
    pub key: ElasticKey,
    /// What happens to it.
    pub action: ElasticAction,
    /// The version that the row must have; a row that is not there has none. What the action wants to
    /// be there or not is asked first: an update of no row is `Missing`, not `VersionMismatch`.
    pub expected_version: Option<i64>,
    /// What the caller reaches; none: everything. Asked before anything else.
    pub reach: Option<Box<Reach>>,
}

/// Which rows a write may touch.
#[derive(Clone, Debug)]
pub struct Reach {
    /// What a row that is there must meet, all of them.
    pub limits: Vec<Limit>,
    /// A row that is not there may be made.
    pub may_make: bool,
}

/// What a row must meet to be written.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Conditions on stored columns: `And`, `Or` and `In`.
    pub allowed: Arc<Filter>,
    /// A row with this value need not meet them.
    pub unless: Option<Cell>,
}

/// What happens to a row. Cells name each column at most once; `versionnumber` is the store's, and so
/// are the primary key and `partitionid` as far as the write's key decides them.
#[derive(Clone, Debug)]
pub enum ElasticAction {
    /// Makes the row; it must not exist.
    Insert {
        /// Every value of the row, `partitionid` included where it is given.
        cells: Vec<Cell>,
    },
    /// Changes the row; it must exist.
    Update {
        /// The new values; other columns keep theirs.
        cells: Vec<Cell>,
    },
    /// Makes the row or replaces it whole.
    Replace {
        /// Every value of the new row.
        cells: Vec<Cell>,
        /// Columns whose old value is kept where the row exists (owner, created-on, created-by, …).
        kept: Arc<[ColumnIndex]>,
        /// The row must not exist (`If-None-Match: *`).
        must_not_exist: bool,
    },
    /// Deletes the row; it must exist.
    Delete,
}

/// What happened to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElasticOutcome {
    /// It was written.
    Written {
        /// It was made, not changed or deleted.
        created: bool,
        /// The row's new version: 100-ns ticks since year 1, larger than every version before.
        version: i64,
    },
    /// It was not, and nothing of it is kept.
    Refused(ElasticReason),
}

/// Why a row was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElasticReason {
    /// The row exists and must not.
    Exists,
    /// The row does not exist and must.
    Missing,
    /// The row has another version.
    VersionMismatch,
    /// The row is larger than the engine takes (2 MB).
    TooLarge,
    /// The row does not meet a limit of the write: by its place in [`Reach::limits`]. None: the row is not
    /// there and may not be made.
    OutOfReach(Option<usize>),
}

/// Largest encoded row, in bytes (contract: `bulk.md` 1.9, status 413).
pub const ROW_BYTES_MAX: usize = 2 * 1024 * 1024;

/// When a row's time is over: `ttlinseconds` after the write at `now`; never when it is null or -1.
pub fn expires_at(table: &Table, cells: &[Cell], now: Timestamp) -> Option<Timestamp> {
    let column = table.index_of("ttlinseconds")?;
    match cells.iter().find(|cell| cell.column == column)?.value {
        Value::Integer(seconds) if seconds > 0 => {
            Some(Timestamp(now.0.saturating_add(i64::from(seconds))))
        }
        _ => None,
    }
}
