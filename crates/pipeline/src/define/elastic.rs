//! What elastic tables have of their own, and what their definitions may not hold.
//!
//! Source: `bulk.md` 7.1. Not here: the rules of their values (`crate::elastic`).

use super::columns::{column, push};
use model::{
    AlternateKey, Cascade, ColumnKind, DeleteAction, Fault, IntegerFormat, Label, NewColumn, Table,
    TableDefinition, TableKind, TextFormat, Uuid, code,
};

/// Bytes that a partition's name may have; characters are fewer.
pub(crate) const PARTITION_BYTES_MAX: u32 = 1_024;

const KEY_NAME: &str = "KeyForNoSqlEntityWithPKPartitionId";
const KEY_LABEL: &str =
    "Entity key for NoSql Entity that contains PrimaryKey and PartitionId attributes";

/// Adds the partition, the time to live, and the key over primary key and partition.
pub(super) fn complete(table: &mut TableDefinition, key_id: Uuid) {
    let text = ColumnKind::Text { max_length: PARTITION_BYTES_MAX, format: TextFormat::Text };
    let mut partition = column("PartitionId", "Partition Id", text);
    partition.valid_for_update = false;
    let name = table.logical_name.clone();
    let partition = push(&mut table.columns, &name, partition);
    // -1 is never; 0 is refused with the values.
    let seconds = ColumnKind::Integer { min: -1, max: i32::MAX };
    push(&mut table.columns, &name, column("TTLInSeconds", "Time to live", seconds));
    table.keys.push(AlternateKey {
        id: 1,
        metadata_id: key_id,
        logical_name: KEY_NAME.to_lowercase().into(),
        schema_name: KEY_NAME.into(),
        display_name: Label::english(KEY_LABEL),
        columns: vec![table.primary_key, partition],
    });
}

fn refuse(hint: impl Into<String>) -> Fault {
    Fault::new(code::NOT_SUPPORTED, "This action is not supported.").with_hint(hint)
}

/// Refuses what a column of an elastic table may not be.
pub(super) fn check_kind(table: TableKind, wish: &NewColumn) -> Result<(), Fault> {
    let what = match &wish.kind {
        ColumnKind::Money { .. } => "money",
        ColumnKind::MultiChoice { .. } => "multi-select choice",
        ColumnKind::File { .. } | ColumnKind::Image { .. } => "file or image",
        ColumnKind::Integer { .. } if wish.settings.integer_format != IntegerFormat::None => {
            "formatted whole number"
        }
        ColumnKind::State { .. } | ColumnKind::Status { .. } => "state or status",
        _ => return Ok(()),
    };
    match table {
        TableKind::Standard => Ok(()),
        TableKind::Elastic => Err(refuse(format!(
            "column `{}`: an elastic table has no {what} columns",
            wish.schema_name
        ))),
    }
}

/// Refuses keys of one's own.
pub(super) fn check_key(table: &Table) -> Result<(), Fault> {
    match table.kind {
        TableKind::Standard => Ok(()),
        TableKind::Elastic => Err(refuse(format!(
            "table `{}` is elastic: its only key is the one over primary key and partition",
            table.logical_name
        ))),
    }
}

/// What a relationship does on delete: nothing, where an elastic table is part of it.
///
/// `RemoveLink` is what a wish says that names no cascade at all; it is taken for none, too.
/// Errors: a cascade; a lookup of a standard table to an elastic one; no cascade between standard tables.
pub(super) fn cascade_of(
    referenced: &Table,
    referencing: &Table,
    cascade: Cascade,
) -> Result<Cascade, Fault> {
    match (referenced.kind, referencing.kind) {
        (TableKind::Standard, TableKind::Standard) => match cascade.delete {
            DeleteAction::NoCascade => Err(Fault::new(
                code::INVALID_ARGUMENT,
                "The delete cascade `NoCascade` is for relationships of elastic tables only.",
            )),
            _ => Ok(cascade),
        },
        (TableKind::Elastic, TableKind::Standard) => Err(refuse(format!(
            "lookups of the standard table `{}` to the elastic table `{}` are not served yet",
            referencing.logical_name, referenced.logical_name
        ))),
        (_, TableKind::Elastic) => match cascade.delete {
            DeleteAction::NoCascade | DeleteAction::RemoveLink => {
                Ok(Cascade::on_delete(DeleteAction::NoCascade))
            }
            DeleteAction::Cascade | DeleteAction::Restrict => {
                Err(refuse("relationships of elastic tables do not cascade, nor restrict deletes"))
            }
        },
    }
}
