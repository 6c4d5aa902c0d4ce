//! The stored row: a header of fixed size before the bytes of `codec`.
//!
//! Layout: the version, then the second in which the row's time is over (`i64::MAX`: never), 8 bytes
//! each, little-endian.
//! Invariant: what is hidden or compared most often is read without decoding any value.

use crate::error::malformed;
use model::Timestamp;
use store::Result;
use store::elastic_rows::is_over;

const HEADER_BYTES: usize = 16;
const NEVER: i64 = i64::MAX;

/// A stored row, split.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredRow<'a> {
    pub(super) version: i64,
    pub(super) expires_at: Option<Timestamp>,
    /// The bytes of `codec`.
    pub(super) body: &'a [u8],
}

impl<'a> StoredRow<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let (header, body) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(|| malformed("a stored row is shorter than its header"))?;
        let (numbers, _) = header.as_chunks::<8>();
        let [version, expires] = [0, 1].map(|place| i64::from_le_bytes(numbers[place]));
        let expires_at = (expires != NEVER).then_some(Timestamp(expires));
        Ok(Self { version, expires_at, body })
    }

    pub(super) fn is_there(&self, now: Timestamp) -> bool {
        !is_over(self.expires_at, now)
    }
}

/// A header without its version, to be followed by the body.
pub(super) fn header(expires_at: Option<Timestamp>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(0i64.to_le_bytes());
    bytes.extend(expires_at.map_or(NEVER, |at| at.0).to_le_bytes());
    bytes
}

/// Puts the version into a row's bytes.
pub(super) fn stamp(bytes: &mut [u8], version: i64) {
    if let Some(place) = bytes.first_chunk_mut::<8>() {
        *place = version.to_le_bytes();
    }
}
