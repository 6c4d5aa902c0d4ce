//! Columns that no record may be without: those that the system itself requires (webapi.md 9.7).
//!
//! What applications require is a matter of their forms, and not asked for here.
//! Not here: keys, which the service makes. An upsert is asked only not to empty such a column: whether it
//! makes a record is not known yet.

use crate::write::{Prepared, TargetRefused};
use model::{Table, code};

/// Table and column.
const NEEDED: [(&str, &str); 3] = [("businessunit", "name"), ("role", "name"), ("team", "name")];

/// Refuses a record that would be without one.
pub(crate) fn check(table: &Table, prepared: &Prepared, is_new: bool) -> Result<(), TargetRefused> {
    for (_, name) in NEEDED.iter().filter(|(of, _)| *of == &*table.logical_name) {
        let Some(index) = table.index_of(name) else { continue };
        let mut cells = prepared.cells.iter().chain(&prepared.insert_cells);
        let value = cells.rfind(|cell| cell.column == index).map(|cell| &cell.value);
        if value.map_or(is_new, model::Value::is_null) {
            return Err(TargetRefused {
                code: code::REQUIRED_FIELD_MISSING,
                message: format!("Required field '{name}' is missing"),
                column: Some((*name).into()),
            });
        }
    }
    Ok(())
}
