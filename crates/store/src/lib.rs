//! What a store of records promises, the in-memory reference, and the suite that every engine passes.
//!
//! In reading order: [`writes`] (what is written), [`StandardStore`] (who writes it), [`Error`]
//! (why not), [`apply_ops`] (definitions after a change), [`alternate`], [`judge`] and [`check`] (what
//! engines share in pure code), [`spread`] (what goes on to rows that hang on others), [`memory`] (the reference), `conformance` (the suite, feature `conformance`).
//! Not here: messages, faults, SQL.

pub mod alternate;
pub mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
mod definitions;
pub mod elastic;
pub mod elastic_memory;
pub mod elastic_page;
pub mod elastic_rows;
mod error;
pub mod judge;
pub mod memory;
mod schema;
pub mod spread;
mod standard;
pub mod writes;

pub use check::{Check, CheckRow, Denial, Purpose, Spreads};
pub use definitions::{KEY_COLUMNS_MAX, KEYS_MAX, apply_ops};
pub use elastic_memory::MemoryElasticStore;
pub use error::{Error, Reason, Rejection, Result};
pub use schema::{Changed, SchemaChange, SchemaOp};
pub use standard::{Deleted, Numbers, Piece, StandardStore, TakeRows, Tx};
pub use writes::{Applied, RowKey, RowOutcome, WriteOp, WriteSet};
