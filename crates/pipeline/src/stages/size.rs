//! How large what is handed to a step is: pure.
//!
//! Source: plugins.md 2.10, 6.6.

use crate::step::{Image, ParameterValue, Record, StepCall};
use model::Value;

/// What one cell, and one row, takes.
const CELL_BYTES: usize = 48;
/// What every context takes besides.
const CONTEXT_BYTES: usize = 1_024;

/// The size of a hand-over, and whether it is as small as it may be.
pub(super) fn of(call: &StepCall) -> usize {
    let images = call.pre_images.iter().chain(&call.post_images);
    let images: usize = images.map(image).sum();
    let frame = &call.frame;
    let parameters = frame.input.iter().chain(&frame.shared).chain(&call.output);
    let parameters: usize = parameters.map(|one| one.name.len() + parameter(&one.value)).sum();
    let names: usize =
        frame.table.columns.iter().map(|column| column.logical_name.len()).sum::<usize>();
    CONTEXT_BYTES + names + call.targets.iter().map(record).sum::<usize>() + images + parameters
}

fn image(image: &Image) -> usize {
    image.alias.len() + image.rows.iter().flatten().map(record).sum::<usize>()
}

fn record(record: &Record) -> usize {
    let cells = record.cells.iter().map(|cell| CELL_BYTES + value(&cell.value));
    CELL_BYTES + cells.sum::<usize>()
}

/// What a value takes outside of its cell.
fn value(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Choices(choices) => choices.len() * 4,
        _ => 0,
    }
}

fn parameter(parameter: &ParameterValue) -> usize {
    match parameter {
        ParameterValue::One(one) => CELL_BYTES + value(one),
        ParameterValue::Ids(ids) => CELL_BYTES * ids.len(),
        ParameterValue::Records(_, records) => records.iter().map(record).sum(),
        ParameterValue::Bytes(bytes) => CELL_BYTES + bytes.len(),
        ParameterValue::Money(_) | ParameterValue::Choice(_) => CELL_BYTES,
    }
}
