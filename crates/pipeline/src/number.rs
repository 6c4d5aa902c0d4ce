//! Auto-number columns: new rows get the values that they do not bring.
//!
//! In: planned operations. Out: the same with a cell for each such column of each new row. In reading order:
//! this file, `format` (patterns), `clock` (times in them).
//! Not here: which columns may have a pattern (`define::numbers`), counters (the store's).
//! Invariant: one call of the store takes all numbers of a message, whatever the number of its rows; rows
//! get them in their order.

mod clock;
pub(crate) mod format;

use crate::check;
use crate::fault;
use crate::run::{Context, Error, Pipeline, not_about_rows};
use crate::write::{Planned, TargetRefused};
use format::Format;
use model::{
    Cell, Column, ColumnIndex, Failure, Fault, MessageName, Table, TableId, Uuid, Value, code,
};
use std::collections::BTreeMap;
use store::writes::WriteOp;
use store::{Numbers, RowKey};

/// The number that a counter begins with where nobody says another one.
pub(crate) const SEED: i64 = 1_000;
/// The highest number that a counter may be told to go on with: 18 digits.
pub(crate) const SEED_MAX: i64 = 999_999_999_999_999_999;

/// A planned write with its place in the message, as [`Pipeline::write`] holds it.
type Write = (MessageName, Planned, bool);

/// An auto-number column.
struct Numbered<'a> {
    index: ColumnIndex,
    column: &'a Column,
    format: Format,
}

impl Pipeline {
    /// Gives new rows the values of their auto-number columns.
    ///
    /// Errors: values that are longer than their column.
    pub(crate) async fn number(
        &self,
        context: &Context,
        planned: &mut [Write],
    ) -> Result<(), Error> {
        if !planned.iter().any(|(_, plan, _)| has_numbered(plan.op.table())) {
            return Ok(());
        }
        let mut wanted: BTreeMap<(TableId, ColumnIndex), Numbers> = BTreeMap::new();
        let mut chances = 0;
        for (_, plan, _) in planned.iter() {
            let table = plan.op.table();
            for one in numbered(table) {
                let count =
                    (0..rows(&plan.op)).filter(|row| lacks(&plan.op, *row, one.index)).count();
                chances += count * one.format.chances();
                if one.format.is_counted() && count > 0 {
                    let (table, column) = (table.id, one.column.id);
                    let none = Numbers { table, column, count: 0 };
                    wanted.entry((table, one.index)).or_insert(none).count += count;
                }
            }
        }
        let (places, wanted): (Vec<_>, Vec<Numbers>) = wanted.into_iter().unzip();
        let taken = match wanted.is_empty() {
            true => Vec::new(),
            false => self.take_numbers(context, &wanted).await.map_err(not_about_rows)?,
        };
        let taken = taken.into_iter().map(Vec::into_iter);
        let mut taken: BTreeMap<_, _> = places.into_iter().zip(taken).collect();
        let mut chances = self.chances(chances).into_iter();
        for (place, (name, plan, _)) in planned.iter_mut().enumerate() {
            let table = plan.op.table().clone();
            let mut failures = Vec::new();
            for one in numbered(&table) {
                let mut numbers = taken.get_mut(&(table.id, one.index));
                for row in 0..rows(&plan.op) {
                    if !lacks(&plan.op, row, one.index) {
                        continue;
                    }
                    let number = numbers.as_mut().and_then(|numbers| numbers.next()).unwrap_or(0);
                    let text = one.format.write(number, &mut chances, context.now);
                    match check::value(&table, one.column, Value::text(text)) {
                        Ok(value) => give(&mut plan.op, row, Cell { column: one.index, value }),
                        Err(refused) => {
                            let refused = TargetRefused::in_column(one.column, refused);
                            failures.push(failure(plan, row, refused));
                        }
                    }
                }
            }
            if !failures.is_empty() {
                failures.sort_by_key(|failure| failure.index);
                return Err(fault::of_failures(*name, failures).of_write(place).into());
            }
        }
        Ok(())
    }

    async fn take_numbers(
        &self,
        context: &Context,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>, store::Error> {
        match context.course.transaction() {
            Some(transaction) => transaction.take_numbers(wanted).await,
            None => self.store().take_numbers(&context.catalog, wanted).await,
        }
    }

    /// The number that an auto-number column gives next.
    ///
    /// Errors: the column is none.
    pub async fn next_number(
        &self,
        context: &Context,
        table: &Table,
        column: ColumnIndex,
    ) -> Result<i64, Error> {
        seed(table, column)?;
        let (table, column) = (table.id, table.column(column).id);
        let next = self.store().next_number(&context.catalog, table, column).await;
        next.map_err(not_about_rows)
    }
}

/// The number that the counter of an auto-number column begins with.
///
/// Errors: the column is none.
pub fn seed(table: &Table, index: ColumnIndex) -> Result<i64, Fault> {
    let column = table.column(index);
    let settings = &column.settings;
    let seed = settings.number_seed.filter(|_| settings.auto_number.is_some());
    seed.ok_or_else(|| {
        Fault::new(
            code::NOT_AN_AUTO_NUMBER_COLUMN,
            format!(
                "Attribute {} of entity {} is not an Auto Number attribute.",
                column.logical_name, table.logical_name
            ),
        )
    })
}

fn has_numbered(table: &Table) -> bool {
    table.columns.iter().any(|column| column.settings.auto_number.is_some())
}

fn numbered(table: &Table) -> impl Iterator<Item = Numbered<'_>> {
    table.indexed_columns().filter_map(|(index, column)| {
        let pattern = column.settings.auto_number.as_deref()?;
        // It was read before it was kept.
        let format = Format::parse(pattern).ok()?;
        Some(Numbered { index, column, format })
    })
}

fn rows(op: &WriteOp) -> usize {
    match op {
        WriteOp::Insert(op) => op.rows.len(),
        WriteOp::Upsert(op) => op.rows.len(),
        WriteOp::Update(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => 0,
    }
}

/// Whether a row, if it is new, has no value in a column: nothing, null and empty text are the same.
fn lacks(op: &WriteOp, row: usize, column: ColumnIndex) -> bool {
    let in_column = |cell: &&Cell| cell.column == column;
    let given = match op {
        WriteOp::Insert(op) => op.rows[row].cells.iter().rfind(in_column),
        WriteOp::Upsert(op) => {
            let row = &op.rows[row];
            row.insert_cells.iter().rfind(in_column).or_else(|| row.cells.iter().rfind(in_column))
        }
        WriteOp::Update(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => return false,
    };
    match given.map(|cell| &cell.value) {
        None | Some(Value::Null) => true,
        Some(Value::Text(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// Gives a new row a value; later cells of a row count.
fn give(op: &mut WriteOp, row: usize, cell: Cell) {
    match op {
        WriteOp::Insert(op) => {
            op.rows[row].cells.retain(|known| known.column != cell.column);
            op.rows[row].cells.push(cell);
        }
        WriteOp::Upsert(op) => op.rows[row].insert_cells.push(cell),
        WriteOp::Update(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => {}
    }
}

fn failure(plan: &Planned, row: usize, refused: TargetRefused) -> Failure {
    let id: Option<Uuid> = match &plan.op {
        WriteOp::Insert(op) => op.rows.get(row).map(|row| row.id),
        WriteOp::Upsert(op) => op.rows.get(row).and_then(|row| match row.key {
            Some(RowKey::Id(id)) => Some(id),
            _ => None,
        }),
        WriteOp::Update(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => None,
    };
    refused.failure(plan.target_of_row[row], id)
}
