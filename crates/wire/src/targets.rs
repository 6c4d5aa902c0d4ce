//! Request bodies with records: the four bulk actions and single writes, read and written.
//!
//! Not here: whether a message, a version check or a column is allowed (`pipeline`, `webapi`).
//! Invariant: of several errors the one with the lowest row of `bulk.md` 1.8 is reported, of those
//! the first; see [`Error`](crate::Error).

mod body;
mod decode;
mod deep;
mod encode;
mod property;

use crate::error::Result;
use model::{Catalog, MessageName, Table, Target};
use std::sync::Arc;

pub use deep::{NESTING_MAX, Nested, NewRecord, Pairs};
pub use encode::{encode, encode_record};

/// The body of a bulk action.
#[derive(Clone, Debug, Default)]
pub struct TargetList {
    /// The records, in order.
    pub targets: Vec<Target>,
    /// The parameter `ConcurrencyBehavior`, whatever the action.
    pub concurrency: Option<ConcurrencyBehavior>,
}

/// How versions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyBehavior {
    /// Where a version is given and the table compares versions.
    Default,
    /// Every target must give its version.
    IfRowVersionMatches,
    /// Not at all.
    AlwaysOverwrite,
}

/// Reads the body of a bulk action: `{"Targets":[…]}`.
///
/// Columns that may not be written are decoded like any other. `@odata.id` is read for updates,
/// upserts and deletes, `@odata.etag` for updates and deletes; elsewhere both are ignored. Where the
/// primary key stands in the item, too, it wins over `@odata.id`, which then gives no more than the
/// partition of an elastic record. On a standard table an update by
/// alternate key names no record.
///
/// A property that stands twice in one item is an error. Of several navigation properties of one
/// lookup column a record wins over null, and the later of two records wins.
///
/// Errors: see the rows at [`Error`](crate::Error). Cost: one pass; allocates the values and one list
/// per record while records name the same properties in the same order.
pub fn decode(
    body: &[u8],
    message: MessageName,
    table: &Arc<Table>,
    catalog: &Catalog,
) -> Result<TargetList> {
    body::list(body, message, table, catalog)
}

/// Reads the body of a single create or update: one record, `{}` included.
///
/// `@odata.type`, `@odata.id` and `@odata.etag` are ignored: the URL and the head say what is meant,
/// and a record that was read before must be accepted. The primary key, if it is there, becomes
/// the target's key.
pub fn decode_record(body: &[u8], table: &Arc<Table>, catalog: &Catalog) -> Result<Target> {
    body::record(body, table, catalog)
}

/// Reads the body of a single create with the new records that it brings along (deep insert) and the
/// records there are that it links to itself (`nav@odata.bind` with a list).
///
/// Otherwise as [`decode_record`]. Cost: a nested record is read once per level that it lies deep.
pub fn decode_new(body: &[u8], table: &Arc<Table>, catalog: &Catalog) -> Result<NewRecord> {
    body::new_record(body, table, catalog, 0)
}
