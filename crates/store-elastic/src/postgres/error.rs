//! What can go wrong with PostgreSQL, sorted by what is done about it.
//!
//! Not here: doing it. Invariant: after [`Error::Again`] the statement has changed nothing.

use tokio_postgres::error::SqlState;

/// Why a statement did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Another transaction was in the way; the same statement may succeed now.
    #[error("another transaction was in the way")]
    Again(#[source] tokio_postgres::Error),
    /// The table is not there: nothing was written to it yet, or another node has forgotten it.
    #[error("the table is not there")]
    NoTable(#[source] tokio_postgres::Error),
    /// The store's own answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A failure that is none of the engine's: its text is all there is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(pub(super) String);

impl Error {
    /// Sorts an error of the driver. `doing` is for the log.
    pub(super) fn of(doing: &'static str, error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else { return engine(doing, error) };
        if *state == SqlState::T_R_SERIALIZATION_FAILURE
            || *state == SqlState::T_R_DEADLOCK_DETECTED
            || *state == SqlState::INVALID_SQL_STATEMENT_NAME
        {
            // The last one: a pooler in between has lost our prepared statement.
            Self::Again(error)
        } else if *state == SqlState::UNDEFINED_TABLE {
            Self::NoTable(error)
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
            Self::Again(_) => store::Error::Busy,
            Self::NoTable(source) => store::Error::Engine { doing, source: Box::new(source) },
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
