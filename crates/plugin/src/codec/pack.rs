//! Rows and cells as the bytes of the lean form: as they lie in a guest's memory.
//!
//! The layout stands in `wit/plugin.wit`, interface `hand-over`; the SDK reads it.
//! Invariant: what a value does not use is zero, so that equal rows are equal bytes.

use super::write::Sheet;
use crate::bindings::sheaf::plugin::hand_over::PackedBatch;
use crate::bindings::sheaf::plugin::types::{Cell, Decimal, Guid, Row, Span, Value};

/// Bytes of a row, and of a cell.
pub(crate) const SLOT: usize = 48;

/// Where the number of a cell's case stands, and where what it holds.
const CASE: usize = 8;
const HELD: usize = 16;

impl Sheet for PackedBatch {
    fn with_room(table: u32, rows: usize, cells: usize) -> Self {
        let room = |slots: usize| Vec::with_capacity(slots * SLOT);
        Self { table, rows: room(rows), cells: room(cells) }
    }

    fn row(&mut self, row: Row) {
        let mut slot = Slot([0; SLOT]);
        slot.guid(0, row.id);
        slot.put(16, row.first.to_le_bytes());
        slot.put(20, row.count.to_le_bytes());
        slot.put(24, row.first_key.to_le_bytes());
        slot.put(28, row.key_count.to_le_bytes());
        slot.put(32, row.row_version.to_le_bytes());
        self.rows.extend_from_slice(&slot.0);
    }

    fn cell(&mut self, cell: Cell) {
        let mut slot = Slot([0; SLOT]);
        slot.put(0, cell.column.to_le_bytes());
        let case = slot.value(cell.value);
        slot.put(CASE, [case]);
        self.cells.extend_from_slice(&slot.0);
    }

    fn slots(&self) -> usize {
        (self.rows.len() + self.cells.len()) / SLOT
    }
}

struct Slot([u8; SLOT]);

impl Slot {
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }

    fn guid(&mut self, at: usize, id: Guid) {
        self.put(at, id.hi.to_le_bytes());
        self.put(at + 8, id.lo.to_le_bytes());
    }

    fn span(&mut self, at: usize, span: Span) {
        self.put(at, span.at.to_le_bytes());
        self.put(at + 4, span.len.to_le_bytes());
    }

    fn decimal(&mut self, number: Decimal) {
        self.put(HELD, number.hi.to_le_bytes());
        self.put(HELD + 8, number.lo.to_le_bytes());
        self.put(HELD + 16, [number.scale]);
    }

    /// Writes what a value holds; answers the number of its case.
    fn value(&mut self, value: Value) -> u8 {
        match value {
            Value::Null => 0,
            Value::Boolean(flag) => {
                self.put(HELD, [u8::from(flag)]);
                1
            }
            Value::Integer(number) => {
                self.put(HELD, number.to_le_bytes());
                2
            }
            Value::BigInteger(number) => {
                self.put(HELD, number.to_le_bytes());
                3
            }
            Value::Double(number) => {
                self.put(HELD, number.to_le_bytes());
                4
            }
            Value::Decimal(number) => {
                self.decimal(number);
                5
            }
            Value::Money(number) => {
                self.decimal(number);
                6
            }
            Value::Text(span) => {
                self.span(HELD, span);
                7
            }
            Value::DateTime(at) => {
                self.put(HELD, at.to_le_bytes());
                8
            }
            Value::Id(id) => {
                self.guid(HELD, id);
                9
            }
            Value::Choice(number) => {
                self.put(HELD, number.to_le_bytes());
                10
            }
            Value::Choices(span) => {
                self.span(HELD, span);
                11
            }
            Value::Lookup(to) => {
                self.put(HELD, to.table.to_le_bytes());
                self.guid(24, to.id);
                self.span(40, to.name);
                12
            }
            Value::Bytes(span) => {
                self.span(HELD, span);
                13
            }
            Value::Rows(place) => {
                self.put(HELD, place.to_le_bytes());
                14
            }
        }
    }
}
