//! What can go wrong with PostgreSQL, sorted by what is done about it.
//!
//! Not here: doing it (`apply`). Invariant: only [`Error::Again`] and [`Error::Unique`] may be answered
//! by running the same transaction once more; both say that nothing of it is there.

use tokio_postgres::error::SqlState;

/// Why a piece of work did not succeed. Nothing of its transaction is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A unique index refused a row.
    #[error("a key is taken")]
    Unique(#[source] tokio_postgres::Error),
    /// Another transaction was in the way; the same one may succeed now.
    #[error("another transaction was in the way")]
    Again(#[source] tokio_postgres::Error),
    /// A table or column is not there, or a plan no longer fits: the definitions may have moved on.
    #[error("the definitions may have moved on")]
    Names(#[source] tokio_postgres::Error),
    /// The definitions have moved on.
    #[error("the definitions have moved on")]
    Moved,
    /// Some row fails, or may fail: the careful way will tell which.
    #[error("some row may fail")]
    Doubt,
    /// The store's own answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A failure that is none of the engine's: its text is all there is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The address is no address, or asks for what is not there.
    #[error("{0}")]
    Address(String),
    /// The database is not one of ours, or of another release.
    #[error("the database has layout {found}, and this program knows layout {known}")]
    Layout {
        /// What the database says.
        found: i32,
        /// What this program reads and writes.
        known: i32,
    },
    /// A value that the column cannot hold.
    #[error("{0} does not fit a column of type {1}")]
    Unfit(&'static str, &'static str),
    /// A row that does not read.
    #[error("a column of type {0} holds something else")]
    Unreadable(&'static str),
    /// An answer without what was asked for.
    #[error("{0}")]
    Answer(&'static str),
}

impl Error {
    /// Sorts an error of the driver. `doing` is for the log.
    pub(super) fn of(doing: &'static str, error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else { return engine(doing, error) };
        if *state == SqlState::UNIQUE_VIOLATION {
            Self::Unique(error)
        } else if *state == SqlState::T_R_SERIALIZATION_FAILURE
            || *state == SqlState::T_R_DEADLOCK_DETECTED
            || *state == SqlState::INVALID_SQL_STATEMENT_NAME
        {
            // The last one: a pooler in between has lost our prepared statement.
            Self::Again(error)
        } else if *state == SqlState::UNDEFINED_COLUMN
            || *state == SqlState::UNDEFINED_TABLE
            || *state == SqlState::FEATURE_NOT_SUPPORTED
        {
            Self::Names(error)
        } else if *state == SqlState::DIVISION_BY_ZERO {
            // Only the guard divides: see `text::GUARD`.
            Self::Moved
        } else if *state == SqlState::LOCK_NOT_AVAILABLE || *state == SqlState::TOO_MANY_CONNECTIONS
        {
            Self::Store(store::Error::Busy)
        } else {
            engine(doing, error)
        }
    }

    /// The error for callers of the store, where nothing more can be done about it.
    pub(super) fn give_up(self, doing: &'static str) -> store::Error {
        match self {
            Self::Store(error) => error,
            Self::Again(_) | Self::Moved | Self::Doubt => store::Error::Busy,
            Self::Unique(source) | Self::Names(source) => {
                store::Error::Engine { doing, source: Box::new(source) }
            }
        }
    }
}

/// The engine failed.
pub(super) fn engine(
    doing: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Store(store::Error::Engine { doing, source: Box::new(source) })
}
