//! What a run is about, taken from the host when it is first asked for: rows and cells stay bytes, and one is decoded when
//! it is read.
//!
//! The layout stands in the world, interface `hand-over`.
//! Invariant: lists that do not hold together read as nothing; the host made them, but a panic here would hide that.

use crate::bindings::sheaf::plugin::hand_over::{self, PackedBatch, PackedImage};
use crate::bindings::sheaf::plugin::types as flat;
use crate::lists::Lists;

/// Bytes of a row, and of a cell.
const SLOT: usize = 48;

/// Where the number of a cell's case stands, and where what it holds.
const CASE: usize = 8;
const HELD: usize = 16;

/// All that was handed over.
pub(crate) struct Given(hand_over::Given);

impl Given {
    /// Takes it from the host, which gives it once in a run.
    pub(crate) fn take() -> Self {
        Self(hand_over::take().unwrap_or_else(nothing))
    }

    #[cfg(test)]
    pub(crate) fn of(given: hand_over::Given) -> Self {
        Self(given)
    }

    /// The place of the batch of targets.
    pub(crate) fn targets(&self) -> u32 {
        self.0.targets
    }

    pub(crate) fn input(&self) -> &[flat::Parameter] {
        &self.0.input_parameters
    }

    pub(crate) fn output(&self) -> &[flat::Parameter] {
        &self.0.output_parameters
    }

    pub(crate) fn shared(&self) -> &[flat::Parameter] {
        &self.0.shared_variables
    }

    pub(crate) fn pre_images(&self) -> &[PackedImage] {
        &self.0.pre_images
    }

    pub(crate) fn post_images(&self) -> &[PackedImage] {
        &self.0.post_images
    }

    pub(crate) fn parents(&self) -> &[flat::ParentFrame] {
        &self.0.parents
    }

    /// The cell of a row that is of a column.
    pub(crate) fn find(&self, place: u32, row: &flat::Row, column: &str) -> Option<flat::Cell> {
        let cells = &self.batch(place)?.cells;
        let first = row.first as usize * SLOT;
        let cells = cells.get(first..first + row.count as usize * SLOT)?.as_chunks::<SLOT>().0;
        let found = cells.iter().find(|slot| self.name(u32_at(*slot, 0)) == column)?;
        Some(cell(found))
    }

    fn batch(&self, place: u32) -> Option<&PackedBatch> {
        self.0.batches.get(place as usize)
    }
}

impl Lists for Given {
    fn names(&self) -> &[String] {
        &self.0.names
    }

    fn arena(&self) -> &[u8] {
        &self.0.arena
    }

    fn table(&self, place: u32) -> Option<u32> {
        Some(self.batch(place)?.table)
    }

    fn rows(&self, place: u32) -> usize {
        self.batch(place).map_or(0, |batch| batch.rows.len() / SLOT)
    }

    fn row(&self, place: u32, index: usize) -> Option<flat::Row> {
        let slots = self.batch(place)?.rows.as_chunks::<SLOT>().0;
        slots.get(index).map(row)
    }

    fn cell(&self, place: u32, index: usize) -> Option<flat::Cell> {
        let slots = self.batch(place)?.cells.as_chunks::<SLOT>().0;
        slots.get(index).map(cell)
    }
}

fn nothing() -> hand_over::Given {
    hand_over::Given {
        names: Vec::new(),
        arena: Vec::new(),
        batches: Vec::new(),
        targets: 0,
        input_parameters: Vec::new(),
        output_parameters: Vec::new(),
        shared_variables: Vec::new(),
        pre_images: Vec::new(),
        post_images: Vec::new(),
        parents: Vec::new(),
    }
}

fn bytes<const N: usize>(slot: &[u8; SLOT], at: usize) -> [u8; N] {
    slot[at..at + N].try_into().expect("as many bytes")
}

fn u32_at(slot: &[u8; SLOT], at: usize) -> u32 {
    u32::from_le_bytes(bytes(slot, at))
}

fn u64_at(slot: &[u8; SLOT], at: usize) -> u64 {
    u64::from_le_bytes(bytes(slot, at))
}

fn guid_at(slot: &[u8; SLOT], at: usize) -> flat::Guid {
    flat::Guid { hi: u64_at(slot, at), lo: u64_at(slot, at + 8) }
}

fn span_at(slot: &[u8; SLOT], at: usize) -> flat::Span {
    flat::Span { at: u32_at(slot, at), len: u32_at(slot, at + 4) }
}

fn row(slot: &[u8; SLOT]) -> flat::Row {
    flat::Row {
        id: guid_at(slot, 0),
        first: u32_at(slot, 16),
        count: u32_at(slot, 20),
        first_key: u32_at(slot, 24),
        key_count: u32_at(slot, 28),
        row_version: u64_at(slot, 32),
    }
}

fn cell(slot: &[u8; SLOT]) -> flat::Cell {
    let decimal = || flat::Decimal {
        hi: u64_at(slot, HELD).cast_signed(),
        lo: u64_at(slot, HELD + 8),
        scale: slot[HELD + 16],
    };
    let value = match slot[CASE] {
        1 => flat::Value::Boolean(slot[HELD] != 0),
        2 => flat::Value::Integer(u32_at(slot, HELD).cast_signed()),
        3 => flat::Value::BigInteger(u64_at(slot, HELD).cast_signed()),
        4 => flat::Value::Double(f64::from_bits(u64_at(slot, HELD))),
        5 => flat::Value::Decimal(decimal()),
        6 => flat::Value::Money(decimal()),
        7 => flat::Value::Text(span_at(slot, HELD)),
        8 => flat::Value::DateTime(u64_at(slot, HELD).cast_signed()),
        9 => flat::Value::Id(guid_at(slot, HELD)),
        10 => flat::Value::Choice(u32_at(slot, HELD).cast_signed()),
        11 => flat::Value::Choices(span_at(slot, HELD)),
        12 => flat::Value::Lookup(flat::EntityRef {
            table: u32_at(slot, HELD),
            id: guid_at(slot, 24),
            name: span_at(slot, 40),
        }),
        13 => flat::Value::Bytes(span_at(slot, HELD)),
        14 => flat::Value::Rows(u32_at(slot, HELD)),
        _ => flat::Value::Null,
    };
    flat::Cell { column: u32_at(slot, 0), value }
}
