//! Why a store refused.

use crate::Denial;
use model::{ColumnIndex, KeyIndex, TableId, Uuid};

/// The answer of a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store refused. Nothing of the call is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Rows of one operation hurt what must hold. Never empty; ascending by index.
    #[error("operation {op} was refused for {} of its rows", rows.len())]
    Rejected {
        /// Place of the operation in the write set.
        op: usize,
        /// The failing rows.
        rows: Vec<Rejection>,
    },
    /// Rows do not pass a check. Never empty.
    #[error("check {check} was not passed by {} rows", rows.len())]
    Denied {
        /// Place of the check in the write set.
        check: usize,
        /// The rows.
        rows: Vec<Denial>,
    },
    /// The definitions have moved on: load, bind anew, run once more.
    #[error("definitions are at version {actual}, not {bound}")]
    StaleCatalog {
        /// What the caller was bound to.
        bound: u64,
        /// What is stored.
        actual: u64,
    },
    /// A schema change collides with what exists.
    #[error("schema change refused: {why}")]
    Schema {
        /// What collides, in our words.
        why: String,
    },
    /// The queue of writes is full, or a lock could not be had in time.
    #[error("the store is busy")]
    Busy,
    /// The transaction has failed before: nothing of it is left.
    #[error("the transaction has failed before")]
    Doomed,
    /// The transaction was open for too long: nothing of it is left.
    #[error("the transaction was open for longer than it may be")]
    TimeOver,
    /// The engine failed.
    #[error("store failed while {doing}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// The engine's error; for the log only.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One row that hurt what must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// Place of the row in its operation, from 0.
    pub index: usize,
    /// The record's id, when known.
    pub id: Option<Uuid>,
    /// What it hurt.
    pub reason: Reason,
}

/// What a row hurt. Where one row hurts several, the first in this order is reported.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// A lookup points to a record that does not exist.
    LookupMissing {
        /// The lookup column.
        column: ColumnIndex,
        /// The table it points to.
        table: TableId,
        /// The id that does not exist.
        id: Uuid,
    },
    /// A lookup names a record by an alternate key that no record has.
    LookupKeyMissing {
        /// The lookup column.
        column: ColumnIndex,
        /// The table it points to.
        table: TableId,
    },
    /// The row that must exist does not; named by id.
    Missing,
    /// The row that must exist does not; named by an alternate key.
    KeyMissing,
    /// Another target of the same operation names the same row (upsert).
    DuplicateTarget {
        /// The index of the first target that names it.
        first: usize,
    },
    /// The row exists and must not (`If-None-Match: *`).
    Exists,
    /// The row does not exist, and its key columns stand in the body, too (upsert quirk).
    KeyInBody,
    /// The row has another version.
    VersionMismatch {
        /// The version it has.
        actual: i64,
    },
    /// A row with this primary key exists already.
    DuplicateId,
    /// A row with this alternate key exists already.
    DuplicateKey {
        /// Which key.
        key: KeyIndex,
    },
    /// It would be above itself in a hierarchy.
    Loop {
        /// The lookup to the row above.
        column: ColumnIndex,
    },
    /// Another row still points to it, and the relationship restricts.
    Referenced {
        /// Schema name of the relationship.
        relationship: Box<str>,
    },
}
