//! The values of an alternate key in the form in which they are compared.
//!
//! Text is folded, numbers count by value, a lookup counts by its id only. A row with a null in any
//! key column has no such value: it is not constrained and cannot be found by that key.
//! Not here: looking rows up.

use model::{AlternateKey, ColumnIndex, Decimal, KeyValue, Uuid, Value, fold};

/// What an alternate key compares: one part per key column, in the key's order.
pub type KeyParts = Vec<KeyPart>;

/// One column's part of an alternate key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPart {
    /// Folded text.
    Text(Box<str>),
    /// Whole numbers and choices.
    Integer(i64),
    /// Decimals and money, by value.
    Decimal(Decimal),
    /// Yes or no.
    Boolean(bool),
    /// Seconds of an instant, or the number of a day.
    Time(i64),
    /// Guids, and lookups by id.
    Id(Uuid),
    /// What no alternate key should hold (doubles by their bits, multi-select choices).
    Other(Vec<u64>),
}

/// The key parts of a row, from the value of each key column; none if one of them is null.
pub fn parts_of_row<'a>(
    key: &AlternateKey,
    mut value_of: impl FnMut(ColumnIndex) -> &'a Value,
) -> Option<KeyParts> {
    key.columns.iter().map(|column| part_of(value_of(*column))).collect()
}

/// The key parts of a caller's key; none if one of them is null, and no row is found then.
pub fn parts_of_key(key: &KeyValue) -> Option<KeyParts> {
    key.values.iter().map(part_of).collect()
}

/// One column's part; none for null.
pub fn part_of(value: &Value) -> Option<KeyPart> {
    Some(match value {
        Value::Null => return None,
        Value::Text(text) => KeyPart::Text(fold(text).into()),
        Value::Integer(number) => KeyPart::Integer(i64::from(*number)),
        Value::BigInt(number) => KeyPart::Integer(*number),
        Value::Decimal(number) => KeyPart::Decimal(number.normalize()),
        Value::Boolean(value) => KeyPart::Boolean(*value),
        Value::DateTime(at) => KeyPart::Time(at.0),
        Value::Date(day) => KeyPart::Time(i64::from(day.0)),
        Value::Guid(id) => KeyPart::Id(*id),
        Value::Lookup(lookup) => KeyPart::Id(lookup.id),
        // Adding zero turns minus zero into zero: the two are equal.
        Value::Double(number) => KeyPart::Other(vec![(number + 0.0).to_bits()]),
        Value::Choices(values) => {
            KeyPart::Other(values.iter().map(|value| i64::from(*value).cast_unsigned()).collect())
        }
    })
}
