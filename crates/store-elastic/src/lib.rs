//! Elastic tables on an embedded LSM and on PostgreSQL: partitions, time to live, an outcome per row.
//!
//! In reading order: `codec` (a row as bytes), `key` (where it lies), [`LsmStore`] (one process, its own
//! files), [`PostgresElasticStore`] (any number of nodes on one database).
//! Not here: what a write does to its row (`store::elastic_rows`), how a page is cut
//! (`store::elastic_page`), definitions (they lie in the standard store's catalog).

mod codec;
mod error;
mod key;
mod lsm;
mod postgres;

mod scope;

pub use lsm::{LsmCounters, LsmOptions, LsmStore};
pub use postgres::PostgresElasticStore;
