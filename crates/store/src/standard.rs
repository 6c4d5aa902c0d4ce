//! The contract of a store for standard tables.

use crate::{Applied, Changed, Result, SchemaChange, WriteSet};
use async_trait::async_trait;
use model::{Catalog, ColumnId, ColumnIndex, TableId, Timestamp, Uuid, Value};
use query::{BoundQuery, Page};
use std::sync::Arc;
use std::time::Duration;

/// What is done with the rows of a page as they come: some whole rows at a time, value after value.
///
/// It must be quick: it runs where the page is awaited.
pub type TakeRows<'a> = &'a mut (dyn FnMut(&[Value]) + Send);

/// Standard tables: a transaction over many tables, all or nothing.
///
/// Every method is given the catalog that its caller bound to (inside the write set, query or
/// change). If the stored version differs, nothing is done and the answer is
/// [`crate::Error::StaleCatalog`]; the caller loads the catalog, binds anew and runs once more.
///
/// Dropping a future of `apply` or `change` leaves all of it behind or nothing.
#[async_trait]
pub trait StandardStore: Send + Sync + 'static {
    /// Loads the present definitions.
    async fn catalog(&self) -> Result<Arc<Catalog>>;

    /// The version of the present definitions; cheap.
    async fn catalog_version(&self) -> Result<u64>;

    /// Changes definitions and writes the rows that go with them, in one transaction.
    ///
    /// Afterwards the version is one higher and every request sees it.
    async fn change(&self, change: SchemaChange) -> Result<Changed>;

    /// Runs one message as one re-runnable value: all of it is durable, or nothing of it is there.
    ///
    /// All checks that depend on rows run inside the transaction. Errors: [`crate::Error::Rejected`]
    /// lists every failing row of the first failing operation, ascending;
    /// [`crate::Error::Denied`] every row that does not pass the first failing check.
    async fn apply(&self, writes: WriteSet) -> Result<Applied>;

    /// Begins a transaction that its caller keeps open between operations: only for messages with steps that
    /// read and write in between.
    ///
    /// It lasts for `time_max` at most, from the moment it has begun; then it is rolled back, whatever its
    /// caller is doing, and every call of it answers [`crate::Error::TimeOver`]. An engine with one writer
    /// keeps all others waiting meanwhile.
    async fn begin(&self, catalog: Arc<Catalog>, time_max: Duration) -> Result<Box<dyn Tx>>;

    /// Whether these definitions are the present ones, where the store can say so at once because nobody else
    /// changes them. Then a transaction need not begin to find that out.
    fn is_present(&self, catalog: &Catalog) -> bool {
        let _ = catalog;
        false
    }

    /// Reads a page from one snapshot of committed rows.
    async fn read(&self, query: &BoundQuery) -> Result<Page>;

    /// Reads the same page and hands its rows over in order, the first ones while the others are read. The
    /// page that is answered has none of them, but says how many they were.
    ///
    /// After an error what was handed over is worth nothing. No rows: nothing is handed over.
    async fn read_in_parts(&self, query: &BoundQuery, take: TakeRows<'_>) -> Result<Page> {
        let mut page = self.read(query).await?;
        let cells = std::mem::take(&mut page.cells);
        if !cells.is_empty() {
            take(&cells);
        }
        Ok(page)
    }

    /// Divides the changes of a table: answers a version such that every read which begins from now on
    /// sees all changes up to it. A change above it may be seen, too.
    ///
    /// The first call for a table begins to follow it: from then on its deleted rows are remembered. So
    /// whoever reads the table after a call, and later what is above the version that it answered, misses
    /// nothing; some changes come twice.
    async fn follow(&self, catalog: &Catalog, table: TableId) -> Result<i64>;

    /// The rows of a followed table that were deleted above a version and are not there again: at most this
    /// many, ascending by version.
    async fn deleted(
        &self,
        catalog: &Catalog,
        table: TableId,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<Deleted>>;

    /// Forgets the rows that were deleted before a time.
    async fn forget_deleted(&self, before: Timestamp) -> Result<()>;

    /// Takes numbers of counters: of each as many as are wanted, ascending. None is ever given twice but
    /// after a [`crate::SchemaOp::RestartNumbers`]; those of a message that fails are lost.
    ///
    /// They are kept as taken at the latest with the next commit. Errors: [`crate::Error::Schema`] for a
    /// column without a counter.
    async fn take_numbers(
        &self,
        catalog: &Arc<Catalog>,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>>;

    /// The number that the counter of a column gives next.
    async fn next_number(
        &self,
        catalog: &Arc<Catalog>,
        table: TableId,
        column: ColumnId,
    ) -> Result<i64>;

    /// Keeps pieces of files, all or none; those of the same names are replaced. Durable before it is answered.
    ///
    /// Pieces stand apart from rows and transactions: a file begins to exist with the row that names it.
    async fn put_pieces(&self, pieces: Vec<Piece>) -> Result<()>;

    /// The bytes of a piece; none if it is not there.
    async fn piece(&self, file: Uuid, name: &str) -> Result<Option<Vec<u8>>>;

    /// The names of all pieces of a file with their sizes in bytes, by name.
    async fn piece_sizes(&self, file: Uuid) -> Result<Vec<(Box<str>, u64)>>;

    /// Forgets the pieces that were put before a time, of files that no row names in one of these columns.
    async fn forget_pieces(
        &self,
        catalog: &Catalog,
        named_by: &[(TableId, ColumnIndex)],
        before: Timestamp,
    ) -> Result<()>;
}

/// An open transaction. Dropping it rolls back.
///
/// It is bound to the definitions that it was begun with; so must be all that is given to it. It is not
/// repeated by the store: what stands between its calls may have had effects elsewhere. Where another
/// transaction is in the way, the answer is [`crate::Error::Busy`].
#[async_trait]
pub trait Tx: Send {
    /// Runs operations as [`StandardStore::apply`] does, but for the commit. They see what was written
    /// before in this transaction.
    ///
    /// After an error nothing of the transaction is left: every later call answers
    /// [`crate::Error::Doomed`].
    async fn apply(&mut self, writes: WriteSet) -> Result<Applied>;

    /// Reads a page; it shows what was written before in this transaction. An error ends the transaction
    /// as one of [`Tx::apply`] does.
    async fn read(&mut self, query: &BoundQuery) -> Result<Page>;

    /// Takes numbers as [`StandardStore::take_numbers`] does; where the transaction ends without a commit
    /// they may be given again.
    async fn take_numbers(&mut self, wanted: &[Numbers]) -> Result<Vec<Vec<i64>>>;

    /// Makes everything durable and visible at once. After an error nothing of it is there.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// Numbers that are wanted of the counter of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The table.
    pub table: TableId,
    /// The column.
    pub column: ColumnId,
    /// How many.
    pub count: usize,
}

impl Numbers {
    /// The refusal of a column that has no counter.
    pub fn no_counter(&self) -> crate::Error {
        let Self { table, column, .. } = self;
        let why = format!("column {} of table {} has no counter", column.0, table.0);
        crate::Error::Schema { why }
    }

    /// Whether these definitions give the column a counter.
    pub fn is_counted(&self, catalog: &Catalog) -> bool {
        let table = catalog.table_by_id(self.table);
        let column =
            table.and_then(|table| table.columns.iter().find(|column| column.id == self.column));
        column.is_some_and(|column| column.settings.number_seed.is_some())
    }
}

/// A row that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Its primary key.
    pub id: Uuid,
    /// The version that its delete got.
    pub version: i64,
}

/// A piece of a file: a few megabytes at most, so that a file of any size takes little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub file: Uuid,
    /// Its name within the file.
    pub name: Box<str>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was put.
    pub at: Timestamp,
}
