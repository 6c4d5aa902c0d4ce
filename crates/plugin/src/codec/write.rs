//! Model to flat lists.
//!
//! In: tables, records and parameters. Out: one [`Payload`]: names once each, one arena, one cell list per batch.
//! Cost: one pass over the cells; a column's name is looked up once per batch, not once per cell.

use super::halves;
use crate::bindings::sheaf::plugin::types::{
    Batch, Cell, Decimal as FlatDecimal, EntityRef, Guid, Parameter as FlatParameter, Payload, Row,
    Span, Value as Flat,
};
use model::{Catalog, ColumnIndex, ColumnKind, Decimal, LookupValue, Table, TableId, Value};
use pipeline::step::{Parameter, ParameterValue, Record};
use std::collections::HashMap;

/// Bytes that one cell or one row takes in a guest's memory.
const SLOT_BYTES: u64 = 48;

/// Bytes of a hand-over besides its lists.
const FIXED_BYTES: u64 = 1_024;

const NOTHING: Span = Span { at: 0, len: 0 };

/// Makes one payload.
pub(crate) struct Writer<'a> {
    catalog: &'a Catalog,
    names: Vec<String>,
    places: HashMap<String, u32>,
    arena: Vec<u8>,
    batches: Vec<Batch>,
    tables: HashMap<TableId, u32>,
}

impl<'a> Writer<'a> {
    /// Begins a payload whose lookups name tables of this catalog.
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            names: Vec::new(),
            places: HashMap::new(),
            arena: Vec::new(),
            batches: Vec::new(),
            tables: HashMap::new(),
        }
    }

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

    fn bytes(&mut self, bytes: &[u8]) -> Span {
        if bytes.is_empty() {
            return NOTHING;
        }
        let at = count(self.arena.len());
        self.arena.extend_from_slice(bytes);
        Span { at, len: count(bytes.len()) }
    }

    fn choices(&mut self, choices: &[i32]) -> Span {
        if choices.is_empty() {
            return NOTHING;
        }
        self.arena.resize(self.arena.len().next_multiple_of(4), 0);
        let at = count(self.arena.len());
        for choice in choices {
            self.arena.extend_from_slice(&choice.to_le_bytes());
        }
        Span { at, len: count(choices.len() * 4) }
    }

    /// A value: what an integer or a decimal is called depends on the column that it is of, if any.
    fn value(&mut self, kind: Option<&ColumnKind>, value: &Value) -> Flat {
        match value {
            Value::Null => Flat::Null,
            Value::Text(text) => Flat::Text(self.bytes(text.as_bytes())),
            Value::Integer(number) => match kind {
                Some(
                    ColumnKind::Choice { .. }
                    | ColumnKind::State { .. }
                    | ColumnKind::Status { .. },
                ) => Flat::Choice(*number),
                _ => Flat::Integer(*number),
            },
            Value::BigInt(number) => Flat::BigInteger(*number),
            Value::Decimal(number) => match kind {
                Some(ColumnKind::Money { .. }) => Flat::Money(decimal(*number)),
                _ => Flat::Decimal(decimal(*number)),
            },
            Value::Double(number) => Flat::Double(*number),
            Value::Boolean(flag) => Flat::Boolean(*flag),
            Value::DateTime(at) => Flat::DateTime(at.0.saturating_mul(1_000)),
            Value::Date(day) => Flat::DateTime(i64::from(day.0) * 86_400_000),
            Value::Guid(id) => Flat::Id(halves(*id)),
            Value::Lookup(lookup) => Flat::Lookup(self.reference(*lookup)),
            Value::Choices(choices) => Flat::Choices(self.choices(choices)),
        }
    }

    fn reference(&mut self, lookup: LookupValue) -> EntityRef {
        let table = match self.tables.get(&lookup.table) {
            Some(table) => *table,
            None => {
                let catalog = self.catalog;
                // Only what a caller of an older catalog left behind points to no table; its name is empty.
                let name =
                    catalog.table_by_id(lookup.table).map_or("", |table| &table.logical_name);
                let place = self.name(name);
                self.tables.insert(lookup.table, place);
                place
            }
        };
        EntityRef { table, id: halves(lookup.id), name: NOTHING }
    }

    /// Records of one table, or nothing in the place of one; answers the place of their batch.
    pub(crate) fn batch<'r>(
        &mut self,
        table: &Table,
        records: impl ExactSizeIterator<Item = Option<&'r Record>>,
    ) -> u32 {
        let mut batch = Batch {
            table: self.name(&table.logical_name),
            rows: Vec::with_capacity(records.len()),
            cells: Vec::new(),
        };
        let mut names = ColumnNames::new(table);
        for record in records {
            let row = match record {
                Some(record) => self.row(table, &mut names, &mut batch.cells, record),
                None => Row { first: count(batch.cells.len()), ..EMPTY },
            };
            batch.rows.push(row);
        }
        let place = count(self.batches.len());
        self.batches.push(batch);
        place
    }

    fn row(
        &mut self,
        table: &Table,
        names: &mut ColumnNames,
        cells: &mut Vec<Cell>,
        record: &Record,
    ) -> Row {
        let first = count(cells.len());
        cells.reserve(record.cells.len() + record.aliased.len());
        for cell in record.cells.iter() {
            let column = names.of(self, table, cell.column);
            let value = self.value(Some(&table.column(cell.column).kind), &cell.value);
            cells.push(Cell { column, value });
        }
        for (alias, value) in &record.aliased {
            let cell = Cell { column: self.name(alias), value: self.value(None, value) };
            cells.push(cell);
        }
        let first_key = count(cells.len());
        if let Some(key) = &record.key {
            for (index, value) in table.key(key.key).columns.iter().zip(&key.values) {
                let column = names.of(self, table, *index);
                let value = self.value(Some(&table.column(*index).kind), value);
                cells.push(Cell { column, value });
            }
        }
        Row {
            id: halves(record.id.unwrap_or_default()),
            first,
            count: first_key - first,
            first_key,
            key_count: count(cells.len()) - first_key,
            row_version: record
                .version
                .and_then(|version| u64::try_from(version).ok())
                .unwrap_or(0),
        }
    }

    /// A parameter or shared variable.
    pub(crate) fn parameter(&mut self, parameter: &Parameter) -> FlatParameter {
        let name = self.name(&parameter.name);
        let value = match &parameter.value {
            ParameterValue::One(value) => self.value(None, value),
            ParameterValue::Money(number) => Flat::Money(decimal(*number)),
            ParameterValue::Choice(number) => Flat::Choice(*number),
            ParameterValue::Bytes(bytes) => Flat::Bytes(self.bytes(bytes)),
            ParameterValue::Records(table, records) => {
                Flat::Rows(self.batch(table, records.iter().map(Some)))
            }
            ParameterValue::Ids(ids) => {
                let rows = ids.iter().map(|id| Row { id: halves(*id), ..EMPTY }).collect();
                let place = count(self.batches.len());
                let table = self.name("");
                self.batches.push(Batch { table, rows, cells: Vec::new() });
                Flat::Rows(place)
            }
        };
        FlatParameter { name, value }
    }

    /// What the lists made so far count as: the canonical size of the hand-over in bytes.
    pub(crate) fn size(&self) -> u64 {
        let slots: usize =
            self.batches.iter().map(|batch| batch.rows.len() + batch.cells.len()).sum();
        let names: usize = self.names.iter().map(String::len).sum();
        SLOT_BYTES * slots as u64 + self.arena.len() as u64 + names as u64 + FIXED_BYTES
    }

    /// The payload.
    pub(crate) fn finish(self) -> Payload {
        Payload { names: self.names, arena: self.arena, batches: self.batches }
    }
}

const EMPTY: Row = Row {
    id: Guid { hi: 0, lo: 0 },
    first: 0,
    count: 0,
    first_key: 0,
    key_count: 0,
    row_version: 0,
};

/// The names of a table's columns, as far as they were met.
struct ColumnNames(Vec<Option<u32>>);

impl ColumnNames {
    fn new(table: &Table) -> Self {
        Self(vec![None; table.columns.len()])
    }

    fn of(&mut self, writer: &mut Writer<'_>, table: &Table, index: ColumnIndex) -> u32 {
        let known = &mut self.0[usize::from(index.0)];
        *known.get_or_insert_with(|| writer.name(&table.column(index).logical_name))
    }
}

/// A place or a length. Lists of more than four billion entries are over every limit and refused by size.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn decimal(number: Decimal) -> FlatDecimal {
    let mantissa = number.mantissa();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the halves of it")]
    FlatDecimal { hi: (mantissa >> 64) as i64, lo: mantissa as u64, scale: number.scale() as u8 }
}
