//! Model to flat lists.
//!
//! In: tables, records and parameters. Out: [`Lists`]: names once each, one arena, one list of cells per batch, which is
//! a [`Sheet`] of the whole form or of the lean one (`pack`).
//! Cost: one pass over the cells; a column's name is looked up once per batch, not once per cell.

use super::halves;
use crate::bindings::sheaf::plugin::types::{
    Batch, Cell, Decimal as FlatDecimal, EntityRef, Guid, Parameter as FlatParameter, Payload, Row,
    Span, Value as Flat,
};
use model::{Catalog, ColumnIndex, ColumnKind, Decimal, Table, TableId, Value};
use pipeline::step::{Parameter, ParameterValue, Record};
use std::collections::HashMap;

/// Bytes that one cell or one row takes in a guest's memory.
const SLOT_BYTES: u64 = 48;

/// Bytes of a hand-over besides its lists.
const FIXED_BYTES: u64 = 1_024;

const NOTHING: Span = Span { at: 0, len: 0 };

/// Rows and cells of one batch.
pub(crate) trait Sheet {
    /// A batch of a table, with room for so many rows and cells.
    fn with_room(table: u32, rows: usize, cells: usize) -> Self;
    /// Adds a row.
    fn row(&mut self, row: Row);
    /// Adds a cell.
    fn cell(&mut self, cell: Cell);
    /// How many rows and cells there are.
    fn slots(&self) -> usize;
}

impl Sheet for Batch {
    fn with_room(table: u32, rows: usize, cells: usize) -> Self {
        Self { table, rows: Vec::with_capacity(rows), cells: Vec::with_capacity(cells) }
    }

    fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    fn cell(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    fn slots(&self) -> usize {
        self.rows.len() + self.cells.len()
    }
}

/// What was written.
pub(crate) struct Lists<S> {
    pub(crate) names: Vec<String>,
    pub(crate) arena: Vec<u8>,
    pub(crate) batches: Vec<S>,
}

/// Makes the lists of one hand-over.
pub(crate) struct Writer<'a, S> {
    catalog: &'a Catalog,
    lists: Lists<S>,
    places: HashMap<String, u32>,
    tables: HashMap<TableId, u32>,
}

impl<'a, S: Sheet> Writer<'a, S> {
    /// Begins a payload whose lookups name tables of this catalog.
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            lists: Lists { names: Vec::new(), arena: Vec::new(), batches: Vec::new() },
            places: HashMap::new(),
            tables: HashMap::new(),
        }
    }

    /// The place of a name.
    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = count(self.lists.names.len());
        self.lists.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    fn bytes(&mut self, bytes: &[u8]) -> Span {
        if bytes.is_empty() {
            return NOTHING;
        }
        let at = count(self.lists.arena.len());
        self.lists.arena.extend_from_slice(bytes);
        Span { at, len: count(bytes.len()) }
    }

    fn choices(&mut self, choices: &[i32]) -> Span {
        if choices.is_empty() {
            return NOTHING;
        }
        let arena = &mut self.lists.arena;
        arena.resize(arena.len().next_multiple_of(4), 0);
        let at = count(arena.len());
        for choice in choices {
            arena.extend_from_slice(&choice.to_le_bytes());
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
            Value::Lookup(lookup) => Flat::Lookup(EntityRef {
                table: self.table(lookup.table),
                id: halves(lookup.id),
                name: NOTHING,
            }),
            Value::Choices(choices) => Flat::Choices(self.choices(choices)),
        }
    }

    /// The place of the name of a table.
    fn table(&mut self, table: TableId) -> u32 {
        if let Some(place) = self.tables.get(&table) {
            return *place;
        }
        let catalog = self.catalog;
        // Only what a caller of an older catalog left behind points to no table; its name is empty.
        let name = catalog.table_by_id(table).map_or("", |table| &table.logical_name);
        let place = self.name(name);
        self.tables.insert(table, place);
        place
    }

    /// Records of one table, or nothing in the place of one; answers the place of their batch.
    pub(crate) fn batch<'r>(
        &mut self,
        table: &Table,
        records: impl ExactSizeIterator<Item = Option<&'r Record>> + Clone,
    ) -> u32 {
        let cells = records.clone().flatten().map(|record| {
            let key = record.key.as_ref().map_or(0, |key| key.values.len());
            record.cells.len() + record.aliased.len() + key
        });
        let mut sheet = S::with_room(self.name(&table.logical_name), records.len(), cells.sum());
        let mut columns = Columns { table, met: vec![Met::default(); table.columns.len()] };
        let mut first = 0;
        for record in records {
            match record {
                Some(record) => self.row(&mut columns, &mut sheet, record, &mut first),
                None => sheet.row(Row { first, ..EMPTY }),
            }
        }
        let place = count(self.lists.batches.len());
        self.lists.batches.push(sheet);
        place
    }

    /// Adds a record, whose cells begin at `first`, and moves that behind them.
    fn row(&mut self, columns: &mut Columns<'_>, sheet: &mut S, record: &Record, first: &mut u32) {
        for cell in record.cells.iter() {
            sheet.cell(self.cell(columns, cell.column, &cell.value));
        }
        for (alias, value) in &record.aliased {
            sheet.cell(Cell { column: self.name(alias), value: self.value(None, value) });
        }
        let mut key_count = 0;
        if let Some(key) = &record.key {
            let table = columns.table;
            for (index, value) in table.key(key.key).columns.iter().zip(&key.values) {
                sheet.cell(self.cell(columns, *index, value));
                key_count += 1;
            }
        }
        let cells = count(record.cells.len() + record.aliased.len());
        let first_key = *first + cells;
        sheet.row(Row {
            id: halves(record.id.unwrap_or_default()),
            first: *first,
            count: cells,
            first_key,
            key_count,
            row_version: record
                .version
                .and_then(|version| u64::try_from(version).ok())
                .unwrap_or(0),
        });
        *first = first_key + key_count;
    }

    fn cell(&mut self, columns: &mut Columns<'_>, index: ColumnIndex, value: &Value) -> Cell {
        let column = columns.table.column(index);
        let met = &mut columns.met[usize::from(index.0)];
        let name = *met.name.get_or_insert_with(|| self.name(&column.logical_name));
        let value = match value {
            Value::Lookup(lookup) => {
                let table = match met.target {
                    Some((target, place)) if target == lookup.table => place,
                    _ => self.table(lookup.table),
                };
                met.target = Some((lookup.table, table));
                Flat::Lookup(EntityRef { table, id: halves(lookup.id), name: NOTHING })
            }
            value => self.value(Some(&column.kind), value),
        };
        Cell { column: name, value }
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
                let mut sheet = S::with_room(self.name(""), ids.len(), 0);
                for id in ids {
                    sheet.row(Row { id: halves(*id), ..EMPTY });
                }
                let place = count(self.lists.batches.len());
                self.lists.batches.push(sheet);
                Flat::Rows(place)
            }
        };
        FlatParameter { name, value }
    }

    /// What the lists made so far count as: the canonical size of the hand-over in bytes.
    pub(crate) fn size(&self) -> u64 {
        let slots: usize = self.lists.batches.iter().map(Sheet::slots).sum();
        let names: usize = self.lists.names.iter().map(String::len).sum();
        SLOT_BYTES * slots as u64 + self.lists.arena.len() as u64 + names as u64 + FIXED_BYTES
    }

    /// All of them.
    pub(crate) fn lists(self) -> Lists<S> {
        self.lists
    }
}

impl Writer<'_, Batch> {
    /// The payload.
    pub(crate) fn finish(self) -> Payload {
        let Lists { names, arena, batches } = self.lists;
        Payload { names, arena, batches }
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

/// The columns of a table, and what was met of them.
struct Columns<'t> {
    table: &'t Table,
    met: Vec<Met>,
}

#[derive(Clone, Default)]
struct Met {
    /// The place of its name.
    name: Option<u32>,
    /// The table that its last lookup pointed to, and the place of that one's name.
    target: Option<(TableId, u32)>,
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
