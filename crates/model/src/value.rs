//! Typed values of records.
//!
//! One variant per way of storing; the column says what a value means (an `Integer` may be a whole
//! number, a choice, a state or a status).

use crate::{Date, TableId, Timestamp};
use rust_decimal::Decimal;
use uuid::Uuid;

/// One value of one column of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: the column is empty.
    Null,
    /// Text, memo, table name and JSON columns. Never empty: an empty text is [`Value::Null`].
    Text(Box<str>),
    /// Whole numbers, choices, states and statuses.
    Integer(i32),
    /// 64-bit whole numbers; row versions.
    BigInt(i64),
    /// Decimal and money columns, rounded to the column's precision.
    Decimal(Decimal),
    /// Double columns.
    Double(f64),
    /// Yes/no columns.
    Boolean(bool),
    /// An instant in whole seconds, UTC.
    DateTime(Timestamp),
    /// A calendar day without a zone.
    Date(Date),
    /// Primary keys and unique identifiers.
    Guid(Uuid),
    /// Lookups, customers and owners.
    Lookup(LookupValue),
    /// Multi-select choices, ascending, without repeats.
    Choices(Box<[i32]>),
}

/// What a lookup column points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupValue {
    /// The table of the record.
    pub table: TableId,
    /// The record's primary key.
    pub id: Uuid,
}

impl Value {
    /// Makes text, turning the empty text into [`Value::Null`] as the service stores it.
    pub fn text(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Null } else { Self::Text(text) }
    }

    /// Tells whether the column is empty.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The id in a guid or a lookup value.
    pub fn as_id(&self) -> Option<Uuid> {
        match self {
            Self::Guid(id) => Some(*id),
            Self::Lookup(lookup) => Some(lookup.id),
            _ => None,
        }
    }
}
