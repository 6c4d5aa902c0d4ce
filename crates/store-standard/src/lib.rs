//! Standard tables on SQLite and PostgreSQL: bound queries to SQL, transactions, schema changes.
//!
//! In reading order: `names` (physical names and storage forms), `dialect` and `select` (a bound query
//! as SQL), `layout` (definitions as text), `refusals` (which sets are judged before they are written), then one room per
//! engine.
//! Not here: the contract (`store`), messages, faults.

mod counters;
mod dialect;
mod layout;
mod names;
mod postgres;
mod refusals;
mod select;
mod sqlite;

pub use postgres::{Counters, PostgresStore};
pub use sqlite::{SqliteOptions, SqliteStore, StatementCounts, Synchronous};
