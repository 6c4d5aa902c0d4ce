//! The columns that stand beside a file or an image.
//!
//! Source: `webapi.md` 15. Not here: the bytes.

use super::columns::{read_only, text};
use super::push_next;
use model::{Column, ColumnKind, TableDefinition};

/// Longest name of a file, and longest address of an image.
const NAME_LENGTH_MAX: u32 = 255;
const URL_LENGTH_MAX: u32 = 1_000;

/// Adds them to a table that has just got the column.
pub(crate) fn companions(table: &mut TableDefinition, column: &Column) {
    let label = column.display_name.shown().unwrap_or(&column.schema_name).to_owned();
    let name = |suffix: &str| format!("{}{suffix}", column.schema_name);
    let columns = match column.kind {
        ColumnKind::File { .. } => {
            vec![read_only(&name("_Name"), &format!("{label} (Name)"), text(NAME_LENGTH_MAX))]
        }
        ColumnKind::Image { .. } => vec![
            read_only(&name("_Timestamp"), &format!("{label} (Timestamp)"), ColumnKind::BigInt),
            read_only(&name("_URL"), &format!("{label} (URL)"), text(URL_LENGTH_MAX)),
            read_only(&name("Id"), &format!("{label} (Id)"), ColumnKind::Guid),
        ],
        _ => return,
    };
    for column in columns {
        push_next(table, column);
    }
}
