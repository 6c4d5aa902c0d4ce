//! Between values and the flat lists in which they cross.

use crate::bindings::sheaf::plugin::types as flat;
use crate::value::{Decimal, Guid, Lookup, Record, Value};
use std::collections::BTreeMap;

/// The id of two halves.
pub(crate) fn id_of(guid: flat::Guid) -> Guid {
    Guid((u128::from(guid.hi) << 64) | u128::from(guid.lo))
}

/// The halves of an id.
#[expect(clippy::cast_possible_truncation, reason = "the halves of it")]
pub(crate) fn halves(id: Guid) -> flat::Guid {
    flat::Guid { hi: (id.0 >> 64) as u64, lo: id.0 as u64 }
}

/// Lists to read from: those of a call's answer, or those that were handed over.
pub(crate) trait Lists {
    fn names(&self) -> &[String];
    fn arena(&self) -> &[u8];
    /// The table of a batch: the place of its name.
    fn table(&self, place: u32) -> Option<u32>;
    /// How many rows a batch has.
    fn rows(&self, place: u32) -> usize;
    /// A row of a batch.
    fn row(&self, place: u32, index: usize) -> Option<flat::Row>;
    /// A cell of a batch.
    fn cell(&self, place: u32, index: usize) -> Option<flat::Cell>;

    /// A name by its place.
    fn name(&self, place: u32) -> &str {
        self.names().get(place as usize).map_or("", String::as_str)
    }
}

impl Lists for flat::Payload {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn arena(&self) -> &[u8] {
        &self.arena
    }

    fn table(&self, place: u32) -> Option<u32> {
        Some(self.batches.get(place as usize)?.table)
    }

    fn rows(&self, place: u32) -> usize {
        self.batches.get(place as usize).map_or(0, |batch| batch.rows.len())
    }

    fn row(&self, place: u32, index: usize) -> Option<flat::Row> {
        self.batches.get(place as usize)?.rows.get(index).copied()
    }

    fn cell(&self, place: u32, index: usize) -> Option<flat::Cell> {
        self.batches.get(place as usize)?.cells.get(index).copied()
    }
}

fn bytes(lists: &impl Lists, span: flat::Span) -> &[u8] {
    let at = span.at as usize;
    lists.arena().get(at..at + span.len as usize).unwrap_or_default()
}

fn text(lists: &impl Lists, span: flat::Span) -> String {
    String::from_utf8_lossy(bytes(lists, span)).into_owned()
}

fn decimal(number: flat::Decimal) -> Decimal {
    let units = (i128::from(number.hi) << 64) | i128::from(number.lo);
    Decimal { units, scale: number.scale }
}

/// Reads a value.
pub(crate) fn value(lists: &impl Lists, value: &flat::Value) -> Value {
    match value {
        flat::Value::Null => Value::Null,
        flat::Value::Boolean(flag) => Value::Boolean(*flag),
        flat::Value::Integer(number) => Value::Integer(*number),
        flat::Value::BigInteger(number) => Value::BigInteger(*number),
        flat::Value::Double(number) => Value::Double(*number),
        flat::Value::Decimal(number) => Value::Decimal(decimal(*number)),
        flat::Value::Money(number) => Value::Money(decimal(*number)),
        flat::Value::Text(span) => Value::Text(text(lists, *span)),
        flat::Value::DateTime(at) => Value::DateTime(*at),
        flat::Value::Id(id) => Value::Id(id_of(*id)),
        flat::Value::Choice(number) => Value::Choice(*number),
        flat::Value::Choices(span) => {
            let options = bytes(lists, *span).as_chunks::<4>().0.iter();
            Value::Choices(options.map(|option| i32::from_le_bytes(*option)).collect())
        }
        flat::Value::Lookup(lookup) => Value::Lookup(Lookup {
            table: lists.name(lookup.table).to_owned(),
            id: id_of(lookup.id),
            name: text(lists, lookup.name),
        }),
        flat::Value::Bytes(span) => Value::Bytes(bytes(lists, *span).to_vec()),
        flat::Value::Rows(batch) => Value::Records(records(lists, *batch)),
    }
}

/// Reads all rows of a batch.
pub(crate) fn records(lists: &impl Lists, place: u32) -> Vec<Record> {
    let rows = (0..lists.rows(place)).filter_map(|index| lists.row(place, index));
    rows.map(|row| record(lists, place, &row)).collect()
}

/// Reads a row of a batch.
pub(crate) fn record(lists: &impl Lists, place: u32, row: &flat::Row) -> Record {
    let pairs = |first: u32, count: u32| {
        let first = first as usize;
        let cells = (first..first + count as usize).map_while(|index| lists.cell(place, index));
        cells.map(|cell| (lists.name(cell.column).to_owned(), value(lists, &cell.value))).collect()
    };
    Record {
        table: lists.table(place).map_or("", |table| lists.name(table)).to_owned(),
        id: id_of(row.id),
        cells: pairs(row.first, row.count),
        key: pairs(row.first_key, row.key_count),
        version: row.row_version,
    }
}

/// Makes a payload.
#[derive(Default)]
pub(crate) struct Writer {
    names: Vec<String>,
    places: BTreeMap<String, u32>,
    arena: Vec<u8>,
    batches: Vec<flat::Batch>,
}

/// A place or length; a guest's memory holds no more than four billion bytes.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Writer {
    /// The place of a name.
    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = count(self.names.len());
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    fn bytes(&mut self, bytes: &[u8]) -> flat::Span {
        let at = count(self.arena.len());
        self.arena.extend_from_slice(bytes);
        flat::Span { at, len: count(bytes.len()) }
    }

    /// Writes a value.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "halves of a number"
    )]
    pub(crate) fn value(&mut self, value: &Value) -> flat::Value {
        let decimal = |number: &Decimal| flat::Decimal {
            hi: (number.units >> 64) as i64,
            lo: number.units as u64,
            scale: number.scale,
        };
        match value {
            Value::Null => flat::Value::Null,
            Value::Boolean(flag) => flat::Value::Boolean(*flag),
            Value::Integer(number) => flat::Value::Integer(*number),
            Value::BigInteger(number) => flat::Value::BigInteger(*number),
            Value::Double(number) => flat::Value::Double(*number),
            Value::Decimal(number) => flat::Value::Decimal(decimal(number)),
            Value::Money(number) => flat::Value::Money(decimal(number)),
            Value::Text(text) => flat::Value::Text(self.bytes(text.as_bytes())),
            Value::DateTime(at) => flat::Value::DateTime(*at),
            Value::Id(id) => flat::Value::Id(halves(*id)),
            Value::Choice(number) => flat::Value::Choice(*number),
            Value::Choices(options) => {
                self.arena.resize(self.arena.len().next_multiple_of(4), 0);
                let at = count(self.arena.len());
                for option in options {
                    self.arena.extend_from_slice(&option.to_le_bytes());
                }
                flat::Value::Choices(flat::Span { at, len: count(options.len() * 4) })
            }
            Value::Lookup(lookup) => flat::Value::Lookup(flat::EntityRef {
                table: self.name(&lookup.table),
                id: halves(lookup.id),
                name: self.bytes(lookup.name.as_bytes()),
            }),
            Value::Bytes(bytes) => flat::Value::Bytes(self.bytes(bytes)),
            Value::Records(records) => flat::Value::Rows(self.batch(records)),
        }
    }

    /// Writes records of one table: that of the first.
    pub(crate) fn batch(&mut self, records: &[Record]) -> u32 {
        let table = records.first().map_or("", |first| first.table.as_str());
        let table = self.name(table);
        let place = self.batches.len();
        // Collections inside of it come after it: the first batch of a payload is what a call is about.
        self.batches.push(flat::Batch { table, rows: Vec::new(), cells: Vec::new() });
        let mut batch =
            flat::Batch { table, rows: Vec::with_capacity(records.len()), cells: Vec::new() };
        for record in records {
            let first = count(batch.cells.len());
            self.cells(&mut batch.cells, &record.cells);
            let first_key = count(batch.cells.len());
            self.cells(&mut batch.cells, &record.key);
            batch.rows.push(flat::Row {
                id: halves(record.id),
                first,
                count: first_key - first,
                first_key,
                key_count: count(batch.cells.len()) - first_key,
                row_version: record.version,
            });
        }
        self.batches[place] = batch;
        count(place)
    }

    fn cells(&mut self, cells: &mut Vec<flat::Cell>, pairs: &[(String, Value)]) {
        for (column, value) in pairs {
            let cell = flat::Cell { column: self.name(column), value: self.value(value) };
            cells.push(cell);
        }
    }

    /// The payload.
    pub(crate) fn finish(self) -> flat::Payload {
        flat::Payload { names: self.names, arena: self.arena, batches: self.batches }
    }
}

/// A payload of records of one table, as calls take them.
pub(crate) fn payload_of(records: &[Record]) -> flat::Payload {
    let mut writer = Writer::default();
    writer.batch(records);
    writer.finish()
}
