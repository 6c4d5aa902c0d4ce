//! Rows and values between the model and the flat lists of the world.
//!
//! In reading order: [`write`] (model to lists, which cannot fail), [`pack`] (the lists of the lean form), [`read`]
//! (lists to model: everything in them was made by a guest and may be anything).
//! Invariant: a list that a guest made is never indexed without a look at its bounds, and what is made of it never
//! takes more memory than the largest hand-over.

pub(crate) mod pack;
pub(crate) mod read;
pub(crate) mod write;

use crate::bindings::sheaf::plugin::types::Guid;
use model::Uuid;

/// A hand-over that counts as more bytes than this is refused: 116.85 MB.
pub(crate) const CONTEXT_BYTES_MAX: u64 = pipeline::step::CONTEXT_BYTES_MAX;

/// Splits an id into the halves of the world's record.
pub(crate) fn halves(id: Uuid) -> Guid {
    let (hi, lo) = id.as_u64_pair();
    Guid { hi, lo }
}

/// Joins the halves of an id.
pub(crate) fn joined(guid: Guid) -> Uuid {
    Uuid::from_u64_pair(guid.hi, guid.lo)
}

#[cfg(test)]
mod tests;
