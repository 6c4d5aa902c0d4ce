//! The way out for an answer that leaves while it is still made.
//!
//! Whoever gave the request may give an [`Outlet`] along: a long page then leaves piece by piece, the
//! first ones while the store still reads. Not here: the pieces (`records::in_parts`), the network.
//! Invariant: a begun answer is whole only when [`Outlet::end`] was called; who drops an outlet before that tells the
//! client that something is missing.

use bytes::Bytes;
use http::Response;

/// Takes an answer piece by piece. None of its methods wait: what is not sent yet is kept.
pub trait Outlet: Send + Sync {
    /// The head, with the first piece of the body. Called once at most, and before the others.
    ///
    /// The head has not got what every answer carries: see `WebApi::finish`.
    fn begin(&self, head: Response<Bytes>);

    /// A further piece of the body.
    fn piece(&self, piece: Bytes);

    /// The body is whole.
    fn end(&self);
}
