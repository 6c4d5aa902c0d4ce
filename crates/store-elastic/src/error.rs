//! How errors of the engines become errors of the store.

use store::Error;

/// Turns an error into [`Error::Engine`] with what was being done.
pub(crate) fn engine<E>(doing: &'static str) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| Error::Engine { doing, source: Box::new(source) }
}

/// [`Error::Engine`] about stored bytes that do not read.
pub(crate) fn malformed(what: &'static str) -> Error {
    Error::Engine { doing: "reading stored bytes", source: what.into() }
}
