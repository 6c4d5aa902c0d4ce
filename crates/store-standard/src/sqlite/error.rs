//! How errors of SQLite become errors of the store.

use rusqlite::ffi;
use store::Error;

/// Turns an error into [`Error::Engine`] with what was being done; a locked database is busy.
pub(super) fn engine<E>(doing: &'static str) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| Error::Engine { doing, source: Box::new(source) }
}

/// Why a message stopped half-way. Whoever gets it rolls back.
#[derive(Debug)]
pub(super) enum Halt {
    /// A row hurts what must hold; `diagnose` says which.
    Refused,
    /// The engine failed.
    Failed(Error),
}

impl Halt {
    /// A value that does not have the form of its column, or a stored one that cannot be read.
    pub(super) fn malformed(what: &'static str) -> Self {
        Self::Failed(malformed(what))
    }
}

impl From<rusqlite::Error> for Halt {
    fn from(source: rusqlite::Error) -> Self {
        if is_refusal(&source) { Self::Refused } else { Self::Failed(statement_failed(source)) }
    }
}

/// Whether a unique index has spoken.
pub(super) fn is_refusal(source: &rusqlite::Error) -> bool {
    source.sqlite_error_code() == Some(ffi::ErrorCode::ConstraintViolation)
}

/// A failed statement of the writer.
pub(super) fn statement_failed(source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked) => Error::Busy,
        _ => Error::Engine { doing: "running a statement", source: Box::new(source) },
    }
}

/// [`Error::Engine`] about a value.
pub(super) fn malformed(what: &'static str) -> Error {
    Error::Engine { doing: "converting a value", source: what.into() }
}
