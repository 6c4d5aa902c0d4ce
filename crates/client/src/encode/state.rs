//! State and status of a record: what may ride along, what follows, what is missing of the pair.
//!
//! Source: `client.md` 3.4. Invariant: after the last write the record is in the state that its row gives.

use model::{Cell, ChoiceOption, Column, ColumnIndex, ColumnKind, Table, Value};

/// Takes state and status out of the columns of a new record: they follow its creation. Nothing follows
/// where they are those of every new record.
pub(super) fn split(table: &Table, cells: &mut Vec<Cell>) -> Vec<Cell> {
    complete(table, cells);
    let Some((state, status)) = columns(table) else { return Vec::new() };
    let is_either = |cell: &Cell| cell.column == state || cell.column == status;
    let (follow_up, rest): (Vec<Cell>, Vec<Cell>) =
        std::mem::take(cells).into_iter().partition(is_either);
    *cells = rest;
    let first = options(table.column(state)).first();
    let is_first = |cell: &Cell| match (&cell.value, first) {
        (Value::Null, _) => true,
        (Value::Integer(value), Some(first)) if cell.column == state => *value == first.value,
        (Value::Integer(value), Some(first)) => first.default_status == Some(*value),
        _ => false,
    };
    if follow_up.iter().all(is_first) { Vec::new() } else { follow_up }
}

/// Adds the half of the pair that is missing: the state of a status, the default status of a state.
pub(super) fn complete(table: &Table, cells: &mut Vec<Cell>) {
    let Some((state, status)) = columns(table) else { return };
    let given = |column| {
        cells.iter().find(|cell| cell.column == column).and_then(|cell| match cell.value {
            Value::Integer(value) => Some(value),
            _ => None,
        })
    };
    let missing = match (given(state), given(status)) {
        (None, Some(value)) => options(table.column(status))
            .iter()
            .find(|option| option.value == value)
            .and_then(|option| option.state)
            .map(|value| (state, value)),
        (Some(value), None) => options(table.column(state))
            .iter()
            .find(|option| option.value == value)
            .and_then(|option| option.default_status)
            .map(|value| (status, value)),
        _ => None,
    };
    if let Some((column, value)) = missing {
        cells.retain(|cell| cell.column != column);
        cells.push(Cell { column, value: Value::Integer(value) });
    }
}

fn columns(table: &Table) -> Option<(ColumnIndex, ColumnIndex)> {
    Some((table.index_of("statecode")?, table.index_of("statuscode")?))
}

fn options(column: &Column) -> &[ChoiceOption] {
    match &column.kind {
        ColumnKind::State { options } | ColumnKind::Status { options } => options,
        _ => &[],
    }
}
