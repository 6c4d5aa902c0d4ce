//! What a store of records promises, the in-memory reference, and the suite that every engine passes.
//!
//! In reading order: [`writes`] (what is written), [`StandardStore`] (who writes it), [`Error`]
//! (why not), `memory` (the reference), `conformance` (the suite, feature `conformance`).
//! Not here: messages, faults, SQL.

mod error;
mod schema;
mod standard;
pub mod writes;

pub use error::{Error, Reason, Rejection, Result};
pub use schema::{SchemaChange, SchemaOp};
pub use standard::StandardStore;
pub use writes::{Applied, RowKey, RowOutcome, WriteOp, WriteSet};
