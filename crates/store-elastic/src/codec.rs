//! A row as bytes: compact, self-describing, and readable by definitions that have moved on.
//!
//! Layout 1: the byte 1, then for each stored column that is not null: its column number as a varint,
//! a tag, and the payload that the tag names. Numbers are little-endian. The primary key and the version
//! stand beside the bytes, computed columns nowhere.
//! Source: ours; promised to the outside as long as files of this layout exist.
//! Invariant: a column that the table does not know is skipped, one that the bytes do not name is null.

use crate::error::malformed;
use model::{ColumnIndex, Date, Decimal, LookupValue, Table, TableId, Timestamp, Uuid, Value};
use store::Result;

/// The first byte of every row.
const LAYOUT: u8 = 1;

/// The columns of a table by number, for decoding many rows.
pub(crate) struct Columns<'t> {
    table: &'t Table,
    /// Place in a row by column number.
    places: Vec<Option<u16>>,
}

impl<'t> Columns<'t> {
    pub(crate) fn of(table: &'t Table) -> Self {
        let mut places = Vec::new();
        for (index, column) in table.indexed_columns() {
            let number = usize::try_from(column.id.0).unwrap_or(usize::MAX);
            if places.len() <= number {
                places.resize(number + 1, None);
            }
            places[number] = Some(index.0);
        }
        Self { table, places }
    }

    pub(crate) fn table(&self) -> &'t Table {
        self.table
    }

    fn place(&self, number: u32) -> Option<usize> {
        let place = self.places.get(usize::try_from(number).ok()?)?;
        place.map(usize::from)
    }
}

/// Appends a row's bytes.
///
/// Shape: at most one value per column of the table, by place.
pub(crate) fn encode(table: &Table, values: &[Value], bytes: &mut Vec<u8>) {
    bytes.push(LAYOUT);
    let version = table.version_column();
    for ((index, column), value) in table.indexed_columns().zip(values) {
        let beside = index == table.primary_key || index == version;
        if !beside && column.computed.is_none() && !value.is_null() {
            varint(bytes, column.id.0);
            encode_value(bytes, value);
        }
    }
}

/// Reads a row's bytes.
///
/// Shape: one value per column of the table; the primary key and the version as given.
/// Errors: bytes that no layout of ours has.
pub(crate) fn decode(
    columns: &Columns<'_>,
    id: Uuid,
    version: i64,
    bytes: &[u8],
) -> Result<Vec<Value>> {
    let damaged = || malformed("a row's bytes have no layout that is known");
    let mut values = vec![Value::Null; columns.table.columns.len()];
    let mut reader = Reader { rest: bytes };
    if reader.byte() != Some(LAYOUT) {
        return Err(damaged());
    }
    while !reader.rest.is_empty() {
        let number = reader.varint().ok_or_else(damaged)?;
        let value = reader.value().ok_or_else(damaged)?;
        if let Some(place) = columns.place(number) {
            values[place] = value;
        }
    }
    let ColumnIndex(key) = columns.table.primary_key;
    values[usize::from(key)] = Value::Guid(id);
    values[usize::from(columns.table.version_column().0)] = Value::BigInt(version);
    Ok(values)
}

fn encode_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        // Never written: an absent column is null.
        Value::Null => bytes.push(0),
        Value::Text(text) => {
            bytes.push(1);
            varint(bytes, length(text.len()));
            bytes.extend(text.as_bytes());
        }
        Value::Integer(number) => tagged(bytes, 2, &number.to_le_bytes()),
        Value::BigInt(number) => tagged(bytes, 3, &number.to_le_bytes()),
        Value::Decimal(number) => tagged(bytes, 4, &number.serialize()),
        Value::Double(number) => tagged(bytes, 5, &number.to_bits().to_le_bytes()),
        Value::Boolean(yes) => tagged(bytes, 6, &[u8::from(*yes)]),
        Value::DateTime(at) => tagged(bytes, 7, &at.0.to_le_bytes()),
        Value::Date(day) => tagged(bytes, 8, &day.0.to_le_bytes()),
        Value::Guid(id) => tagged(bytes, 9, id.as_bytes()),
        Value::Lookup(lookup) => {
            tagged(bytes, 10, &lookup.table.0.to_le_bytes());
            bytes.extend(lookup.id.as_bytes());
        }
        Value::Choices(choices) => {
            bytes.push(11);
            varint(bytes, length(choices.len()));
            for choice in choices {
                bytes.extend(choice.to_le_bytes());
            }
        }
    }
}

fn tagged(bytes: &mut Vec<u8>, tag: u8, payload: &[u8]) {
    bytes.push(tag);
    bytes.extend(payload);
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a row is at most 2 MB")
}

fn varint(bytes: &mut Vec<u8>, mut number: u32) {
    loop {
        let [low, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    fn varint(&mut self) -> Option<u32> {
        let mut number = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            0 => Value::Null,
            1 => {
                let length = self.length()?;
                Value::text(std::str::from_utf8(self.slice(length)?).ok()?)
            }
            2 => Value::Integer(i32::from_le_bytes(self.array()?)),
            3 => Value::BigInt(i64::from_le_bytes(self.array()?)),
            4 => Value::Decimal(Decimal::deserialize(self.array()?)),
            5 => Value::Double(f64::from_bits(u64::from_le_bytes(self.array()?))),
            6 => Value::Boolean(self.byte()? != 0),
            7 => Value::DateTime(Timestamp(i64::from_le_bytes(self.array()?))),
            8 => Value::Date(Date(i32::from_le_bytes(self.array()?))),
            9 => Value::Guid(Uuid::from_bytes(self.array()?)),
            10 => {
                let table = TableId(u32::from_le_bytes(self.array()?));
                Value::Lookup(LookupValue { table, id: Uuid::from_bytes(self.array()?) })
            }
            11 => {
                let length = self.length()?.checked_mul(4)?;
                let (choices, _) = self.slice(length)?.as_chunks::<4>();
                Value::Choices(choices.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
