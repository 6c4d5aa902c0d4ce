//! Small pieces of JSON output.
//!
//! Not here: which members an object has. Invariant: only complete JSON values are appended.

use model::{ColumnKind, DateTimeBehavior, Timestamp, Uuid, Value};
use std::io::Write as _;

/// Appends a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text always fits a growing buffer");
}

/// Appends `"name":`.
pub(crate) fn name(out: &mut Vec<u8>, name: &str) {
    text(out, name);
    out.push(b':');
}

/// Appends a comma unless the object or list was just opened.
pub(crate) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[')) {
        out.push(b',');
    }
}

/// Appends a whole number.
pub(crate) fn integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends what `display` prints, unescaped.
pub(crate) fn display(out: &mut Vec<u8>, display: impl std::fmt::Display) {
    write!(out, "{display}").expect("text always fits a growing buffer");
}

/// Appends a quoted, lower-case guid.
pub(crate) fn guid(out: &mut Vec<u8>, id: Uuid) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    out.push(b'"');
    out.extend_from_slice(id.as_hyphenated().encode_lower(&mut buffer).as_bytes());
    out.push(b'"');
}

/// Appends a value in the form that its column has on the wire. Lookups are bare guids.
pub(crate) fn value(out: &mut Vec<u8>, kind: &ColumnKind, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(value) => text(out, value),
        Value::Integer(value) => integer(out, *value),
        Value::BigInt(value) => integer(out, *value),
        Value::Decimal(value) => {
            let mut value = *value;
            if let ColumnKind::Decimal { precision, .. } | ColumnKind::Money { precision, .. } =
                kind
            {
                value.rescale(u32::from(*precision));
            }
            display(out, value);
        }
        Value::Double(value) if value.is_finite() => {
            out.extend_from_slice(ryu::Buffer::new().format_finite(*value).as_bytes());
        }
        Value::Double(_) => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::DateTime(at) => {
            out.push(b'"');
            instant(out, *at);
            out.push(b'"');
        }
        Value::Date(day) => {
            out.push(b'"');
            display(out, day);
            if !matches!(kind, ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. }) {
                out.extend_from_slice(b"T00:00:00Z");
            }
            out.push(b'"');
        }
        Value::Guid(id) => guid(out, *id),
        Value::Lookup(lookup) => guid(out, lookup.id),
        Value::Choices(choices) => {
            out.push(b'"');
            for (place, choice) in choices.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                integer(out, *choice);
            }
            out.push(b'"');
        }
    }
}

/// Appends `2024-01-31T08:15:00Z`.
fn instant(out: &mut Vec<u8>, at: Timestamp) {
    display(out, at);
}
