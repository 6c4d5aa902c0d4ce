//! How records of elastic tables are named: by primary key and partition.
//!
//! Not here: what a partition may be called (`pipeline`), where its rows lie (`store`).
//! Invariant: nothing here answers for a standard table.

use crate::{ColumnIndex, KeyIndex, KeyValue, Table, TableKind, TargetKey, Value};
use uuid::Uuid;

/// Logical name of the column that holds a record's partition.
pub const PARTITION: &str = "partitionid";
/// Logical name of the column that holds a record's time to live, in seconds.
pub const TIME_TO_LIVE: &str = "ttlinseconds";

/// The partition column of an elastic table.
pub fn column(table: &Table) -> Option<ColumnIndex> {
    match table.kind {
        TableKind::Elastic => table.index_of(PARTITION),
        TableKind::Standard => None,
    }
}

/// The key over primary key and partition that every elastic table has: an identity, no index.
pub fn identity(table: &Table) -> Option<KeyIndex> {
    table.key_over(&[table.primary_key, column(table)?])
}

/// The key of the record with this id in this partition; by id alone where there is none.
pub fn key(table: &Table, id: Uuid, partition: Option<&str>) -> TargetKey {
    let named = partition.and_then(|partition| Some((identity(table)?, partition)));
    let Some((key, partition)) = named else { return TargetKey::Id(id) };
    let values = table.key(key).columns.iter().map(|column| match *column == table.primary_key {
        true => Value::Guid(id),
        false => Value::Text(partition.into()),
    });
    TargetKey::Alternate(KeyValue { key, values: values.collect() })
}

/// The id and the partition that a key names; nothing for [`TargetKey::None`].
pub fn parts<'a>(table: &Table, key: &'a TargetKey) -> Option<(Uuid, Option<&'a str>)> {
    match key {
        TargetKey::None => None,
        TargetKey::Id(id) => Some((*id, None)),
        TargetKey::Alternate(key) => {
            column(table)?;
            let id = key.values.iter().find_map(Value::as_id)?;
            let partition = key.values.iter().find_map(|value| match value {
                Value::Text(partition) => Some(&**partition),
                _ => None,
            });
            Some((id, partition))
        }
    }
}
