//! Targets: the records of a message, typed and bound to a table.

use crate::{ColumnIndex, ErrorCode, KeyIndex, Table, Value};
use std::sync::Arc;
use uuid::Uuid;

/// The name of a message, as the wire spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageName {
    /// One record is made.
    Create,
    /// One record is changed.
    Update,
    /// One record is made or changed.
    Upsert,
    /// One record is deleted.
    Delete,
    /// Records are made, all or none.
    CreateMultiple,
    /// Records are changed, all or none.
    UpdateMultiple,
    /// Records are made or changed, all or none.
    UpsertMultiple,
    /// Records of an elastic table are deleted.
    DeleteMultiple,
    /// Pairs of a many-to-many relationship are made.
    Associate,
    /// Pairs of a many-to-many relationship are taken apart.
    Disassociate,
    /// One record is read.
    Retrieve,
    /// Records are read.
    RetrieveMultiple,
}

impl MessageName {
    /// Every message.
    pub const ALL: [Self; 12] = [
        Self::Create,
        Self::Update,
        Self::Upsert,
        Self::Delete,
        Self::CreateMultiple,
        Self::UpdateMultiple,
        Self::UpsertMultiple,
        Self::DeleteMultiple,
        Self::Associate,
        Self::Disassociate,
        Self::Retrieve,
        Self::RetrieveMultiple,
    ];

    /// The spelling on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Upsert => "Upsert",
            Self::Delete => "Delete",
            Self::CreateMultiple => "CreateMultiple",
            Self::UpdateMultiple => "UpdateMultiple",
            Self::UpsertMultiple => "UpsertMultiple",
            Self::DeleteMultiple => "DeleteMultiple",
            Self::Associate => "Associate",
            Self::Disassociate => "Disassociate",
            Self::Retrieve => "Retrieve",
            Self::RetrieveMultiple => "RetrieveMultiple",
        }
    }

    /// Whether the message carries a `Targets` list on the wire.
    pub fn is_bulk(self) -> bool {
        matches!(
            self,
            Self::CreateMultiple
                | Self::UpdateMultiple
                | Self::UpsertMultiple
                | Self::DeleteMultiple
        )
    }
}

impl std::fmt::Display for MessageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record of a message.
///
/// Shape: `cells` name each column at most once, in the order in which they came; the primary key is
/// never among them, it stands in `key`. `cells` and `binds` name no column in common.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Which record is meant.
    pub key: TargetKey,
    /// The columns that were sent.
    pub cells: Vec<Cell>,
    /// Lookups that were given by an alternate key, to be resolved inside the transaction.
    pub binds: Vec<Bind>,
    /// The version that the record must have, from `@odata.etag` or `If-Match`.
    pub expected_version: Option<i64>,
    /// Values that the service itself gives, in columns that callers may not write.
    pub given: Vec<Cell>,
    /// The first column whose image cannot be taken, and why: told with the other values.
    pub bad_image: Option<BadImage>,
}

/// Why an image cannot be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct BadImage {
    /// Its column.
    pub column: ColumnIndex,
    /// The code.
    pub code: ErrorCode,
    /// What is told.
    pub message: Box<str>,
}

/// A column and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Which column of the table.
    pub column: ColumnIndex,
    /// Its value.
    pub value: Value,
}

/// How a target names its record.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TargetKey {
    /// Not at all: a new record gets an id.
    #[default]
    None,
    /// By primary key.
    Id(Uuid),
    /// By an alternate key.
    Alternate(KeyValue),
}

/// The values of an alternate key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyValue {
    /// Which alternate key of the table.
    pub key: KeyIndex,
    /// One value per key column, in the key's column order; never null.
    pub values: Box<[Value]>,
}

/// A lookup column whose record is named by an alternate key.
#[derive(Clone, Debug)]
pub struct Bind {
    /// The lookup column of the target's table.
    pub column: ColumnIndex,
    /// The table that is pointed to.
    pub table: Arc<Table>,
    /// Which of its records.
    pub key: KeyValue,
}
