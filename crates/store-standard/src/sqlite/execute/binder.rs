//! Binds the values of rows to the parameters of a prepared statement, row after row.
//!
//! A parameter keeps its value from row to row. So what every row shares is bound once, and a row binds
//! only its own cells and puts back what the row before had put in the place of a shared value.
//! Not here: the text of the statement (`rows`).
//! Invariant: after `row`, every parameter of every slot has the value for this row.

use crate::names::{LookupTable, Storage};
use crate::select::{choices_text, scaled};
use crate::sqlite::error::Halt;
use model::{Cell, ColumnIndex, Value, fold};
use rusqlite::Statement;
use rusqlite::types::Null;

const NONE: u16 = u16::MAX;

/// A column of a statement.
pub(super) struct Slot<'a> {
    pub(super) column: ColumnIndex,
    pub(super) storage: Storage,
    /// The first of its parameters, from 1: value, then companion.
    pub(super) place: usize,
    /// The parameter that tells whether the column is written at all.
    pub(super) mask: Option<usize>,
    /// The value of rows that bring none.
    pub(super) shared: Option<&'a Value>,
    /// What is bound now: the row that bound it, or 0 for the shared value.
    bound_by: u32,
}

/// The slots of one statement.
pub(super) struct Binder<'a> {
    slots: Vec<Slot<'a>>,
    /// Place of the slot by column, [`NONE`] where the statement does not have the column.
    slot_of: Vec<u16>,
    row: u32,
}

/// Parameters that a column takes: its value and its companion.
pub(super) fn width(storage: Storage) -> usize {
    match storage {
        Storage::Text { folded: true } | Storage::Lookup(LookupTable::Column) => 2,
        _ => 1,
    }
}

impl<'a> Binder<'a> {
    /// Gives each column its parameters, from `first` on; `columns` is the number of columns of the
    /// table.
    pub(super) fn new(
        columns: usize,
        used: Vec<(ColumnIndex, Storage)>,
        shared: &'a [Cell],
        first: usize,
        masked: bool,
    ) -> Self {
        let mut slot_of = vec![NONE; columns];
        let mut slots = Vec::new();
        let mut place = first;
        for (column, storage) in used {
            slot_of[usize::from(column.0)] =
                u16::try_from(slots.len()).expect("at most 1,000 columns");
            let mask = masked.then_some(place);
            place += usize::from(masked);
            let shared = shared.iter().find(|cell| cell.column == column).map(|cell| &cell.value);
            slots.push(Slot { column, storage, place, mask, shared, bound_by: 0 });
            place += width(storage);
        }
        Self { slots, slot_of, row: 0 }
    }

    pub(super) fn slots(&self) -> &[Slot<'a>] {
        &self.slots
    }

    /// The parameter behind the last one of the slots.
    pub(super) fn end(&self) -> Option<usize> {
        self.slots.last().map(|slot| slot.place + width(slot.storage))
    }

    /// Binds what every row shares.
    pub(super) fn start(&self, statement: &mut Statement<'_>) -> Result<(), Halt> {
        for slot in &self.slots {
            slot.bind_shared(statement)?;
        }
        Ok(())
    }

    /// Binds the cells of the next row.
    pub(super) fn row<'v>(
        &mut self,
        statement: &mut Statement<'_>,
        cells: impl Iterator<Item = &'v Cell>,
    ) -> Result<(), Halt> {
        self.row += 1;
        let mut own = 0;
        for cell in cells {
            let place = self.slot_of[usize::from(cell.column.0)];
            // Columns that are not stored have no slot.
            let Some(slot) = self.slots.get_mut(usize::from(place)) else { continue };
            if slot.bound_by != self.row {
                own += 1;
            }
            slot.bound_by = self.row;
            slot.bind(statement, &cell.value)?;
        }
        if own == self.slots.len() {
            return Ok(());
        }
        for slot in &mut self.slots {
            if slot.bound_by != 0 && slot.bound_by != self.row {
                slot.bind_shared(statement)?;
                slot.bound_by = 0;
            }
        }
        Ok(())
    }
}

impl Slot<'_> {
    fn bind_shared(&self, statement: &mut Statement<'_>) -> Result<(), Halt> {
        match self.shared {
            Some(value) => self.bind(statement, value),
            None => {
                if let Some(mask) = self.mask {
                    statement.raw_bind_parameter(mask, 0)?;
                }
                bind_null(statement, self.place, self.storage)
            }
        }
    }

    fn bind(&self, statement: &mut Statement<'_>, value: &Value) -> Result<(), Halt> {
        if let Some(mask) = self.mask {
            statement.raw_bind_parameter(mask, 1)?;
        }
        bind(statement, self.place, self.storage, value)
    }
}

fn bind_null(statement: &mut Statement<'_>, place: usize, storage: Storage) -> Result<(), Halt> {
    for place in place..place + width(storage) {
        statement.raw_bind_parameter(place, Null)?;
    }
    Ok(())
}

/// Binds a value in the form in which a column of this storage keeps it.
fn bind(
    statement: &mut Statement<'_>,
    place: usize,
    storage: Storage,
    value: &Value,
) -> Result<(), Halt> {
    match (storage, value) {
        (storage, Value::Null) => bind_null(statement, place, storage)?,
        (Storage::Text { folded }, Value::Text(text)) => {
            statement.raw_bind_parameter(place, &**text)?;
            if folded {
                statement.raw_bind_parameter(place + 1, &*fold(text))?;
            }
        }
        (Storage::Integer | Storage::BigInt, Value::Integer(number)) => {
            statement.raw_bind_parameter(place, number)?;
        }
        (Storage::BigInt, Value::BigInt(number)) => statement.raw_bind_parameter(place, number)?,
        (Storage::Decimal { scale }, Value::Decimal(number)) => {
            let scaled = scaled(*number, scale)
                .ok_or_else(|| Halt::malformed("a decimal does not fit its column"))?;
            statement.raw_bind_parameter(place, scaled)?;
        }
        (Storage::Double, Value::Double(number)) => statement.raw_bind_parameter(place, number)?,
        (Storage::Boolean, Value::Boolean(flag)) => statement.raw_bind_parameter(place, flag)?,
        (Storage::DateTime, Value::DateTime(at)) => statement.raw_bind_parameter(place, at.0)?,
        (Storage::Date, Value::Date(day)) => statement.raw_bind_parameter(place, day.0)?,
        (Storage::Guid, Value::Guid(id)) => {
            statement.raw_bind_parameter(place, id.as_bytes().as_slice())?;
        }
        (Storage::Lookup(table), Value::Lookup(lookup)) => {
            statement.raw_bind_parameter(place, lookup.id.as_bytes().as_slice())?;
            match table {
                LookupTable::Column => statement.raw_bind_parameter(place + 1, lookup.table.0)?,
                LookupTable::Fixed(Some(fixed)) if fixed == lookup.table => {}
                LookupTable::Fixed(_) => {
                    return Err(Halt::malformed("a lookup points to a table that it may not"));
                }
            }
        }
        (Storage::Choices, Value::Choices(choices)) => {
            statement.raw_bind_parameter(place, choices_text(choices))?;
        }
        _ => return Err(Halt::malformed("a value is not of its column's type")),
    }
    Ok(())
}
