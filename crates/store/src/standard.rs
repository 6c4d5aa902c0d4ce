//! The contract of a store for standard tables.

use crate::{Applied, Changed, Result, SchemaChange, WriteSet};
use async_trait::async_trait;
use model::Catalog;
use query::{BoundQuery, Page};
use std::sync::Arc;

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

    /// Reads a page from one snapshot of committed rows.
    async fn read(&self, query: &BoundQuery) -> Result<Page>;
}
