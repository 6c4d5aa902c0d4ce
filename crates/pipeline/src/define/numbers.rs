//! Auto-number columns: which columns may be one, and their counters.
//!
//! Not here: what a pattern is (`number::format`). Source: Microsoft Learn, "Create autonumber columns".

use crate::number::format::Format;
use crate::number::{self, SEED, SEED_MAX};
use model::{
    Column, ColumnIndex, ColumnKind, Fault, Table, TableKind, TextFormat, Timestamp, code,
};
use store::SchemaOp;

/// Checks the pattern of a column and gives the column a counter where it has none yet.
pub(super) fn settle(table: TableKind, column: &mut Column, now: Timestamp) -> Result<(), Fault> {
    let name = &column.schema_name;
    let refuse = |why: String| {
        let text = format!("Attribute {name}: AutoNumberFormat is not valid: {why}.");
        Err(Fault::new(code::INVALID_ARGUMENT, text))
    };
    let Some(pattern) = &column.settings.auto_number else { return Ok(()) };
    let max_length = match &column.kind {
        ColumnKind::Text { format: TextFormat::Text, max_length } => *max_length,
        ColumnKind::Text { .. } => return refuse("the format of the column is not Text".into()),
        _ => return refuse("the column is not of type String".into()),
    };
    if table == TableKind::Elastic {
        return Err(Fault::new(code::NOT_SUPPORTED, "This action is not supported.")
            .with_hint(format!("column `{name}`: an elastic table has no auto-number columns")));
    }
    if column.computed.is_some() || !column.valid_for_create {
        return refuse("the system makes the values of the column".into());
    }
    let format = match Format::parse(pattern) {
        Ok(format) => format,
        Err(why) => return refuse(why),
    };
    let shortest = format.shortest(now);
    if shortest > usize::try_from(max_length).unwrap_or(usize::MAX) {
        return refuse(format!(
            "its values have {shortest} characters or more, and MaxLength is {max_length}"
        ));
    }
    column.settings.number_seed.get_or_insert(SEED);
    Ok(())
}

/// Lets the counter of an auto-number column go on with another number.
pub(super) fn restart(table: &Table, index: ColumnIndex, seed: i64) -> Result<SchemaOp, Fault> {
    number::seed(table, index)?;
    if !(0..=SEED_MAX).contains(&seed) {
        return Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!("The seed {seed} is not within 0 and {SEED_MAX}."),
        ));
    }
    Ok(SchemaOp::RestartNumbers { table: table.id, column: table.column(index).id, seed })
}
