//! What becomes of one write to an elastic row: what every store of elastic tables shares, pure.
//!
//! In: the row as it is, and the write. Out: the row as it will be, or why not.
//! Not here: where rows lie, commits, queries.
//! Invariant: the values of a row agree with its key: the primary key is the key's id, and
//! `partitionid` names the key's partition, or is null where that is the id's text.

use crate::elastic::{
    ElasticAction, ElasticKey, ElasticReason, ElasticWrite, Limit, ROW_BYTES_MAX, Reach, expires_at,
};
use crate::elastic_memory::row_bytes;
use model::{Cell, ColumnIndex, Table, Timestamp, Uuid, Value};
use query::Filter;
use std::borrow::Cow;

/// A row that is there.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// Its version.
    pub version: i64,
    /// Its values by place; columns made since are missing at the end.
    pub values: &'a [Value],
}

/// What a write does to its row.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The row has these values from now on.
    Put {
        /// It was not there before.
        created: bool,
        /// One value per column of the table; the version's place is the store's to fill.
        values: Vec<Value>,
        /// When its time is over.
        expires_at: Option<Timestamp>,
    },
    /// The row is gone.
    Delete,
}

/// Decides what a write does. `current` is the row if it is there and its time is not over.
///
/// Errors: the first that applies of `OutOfReach`, `Missing` or `Exists`, `VersionMismatch`, `TooLarge`.
pub fn decide(
    table: &Table,
    now: Timestamp,
    current: Option<Current<'_>>,
    write: ElasticWrite,
) -> Result<Change, ElasticReason> {
    if let Some(reach) = &write.reach
        && let Some(reason) = out_of_reach(reach, current.map(|row| row.values), &write.action)
    {
        return Err(reason);
    }
    let must_exist = matches!(write.action, ElasticAction::Update { .. } | ElasticAction::Delete);
    let must_not_exist = matches!(
        write.action,
        ElasticAction::Insert { .. } | ElasticAction::Replace { must_not_exist: true, .. }
    );
    match &current {
        None if must_exist => return Err(ElasticReason::Missing),
        Some(_) if must_not_exist => return Err(ElasticReason::Exists),
        _ => {}
    }
    if write.expected_version.is_some() && write.expected_version != current.map(|row| row.version)
    {
        return Err(ElasticReason::VersionMismatch);
    }
    let created = current.is_none();
    let old = current.map(|row| row.values);
    let mut values = match write.action {
        ElasticAction::Delete => return Ok(Change::Delete),
        ElasticAction::Insert { cells } => overlaid(table, &[], cells),
        ElasticAction::Update { cells } => {
            let old = old.unwrap_or_default();
            let mut values = overlaid(table, old, cells);
            // The row stays in its partition, whatever a cell says.
            if let Some(place) = partition_place(table) {
                values[place] = old.get(place).cloned().unwrap_or(Value::Null);
            }
            values
        }
        ElasticAction::Replace { cells, kept, must_not_exist: _ } => {
            let mut values = overlaid(table, &[], cells);
            for column in kept.iter().filter(|_| !created) {
                let place = usize::from(column.0);
                values[place] = old.and_then(|row| row.get(place)).cloned().unwrap_or(Value::Null);
            }
            values
        }
    };
    seal(table, &write.key, &mut values);
    if row_bytes(&values) > ROW_BYTES_MAX {
        return Err(ElasticReason::TooLarge);
    }
    let expires_at = expires_of(table, &values, now);
    Ok(Change::Put { created, values, expires_at })
}

/// Why a write does not reach its row, which has these values or is not there.
pub fn out_of_reach(
    reach: &Reach,
    values: Option<&[Value]>,
    action: &ElasticAction,
) -> Option<ElasticReason> {
    let Some(values) = values else {
        let makes = matches!(action, ElasticAction::Insert { .. } | ElasticAction::Replace { .. });
        return (makes && !reach.may_make).then_some(ElasticReason::OutOfReach(None));
    };
    let is_met = |limit: &Limit| {
        let value = |column: ColumnIndex| values.get(usize::from(column.0));
        limit.unless.as_ref().is_some_and(|cell| value(cell.column) == Some(&cell.value))
            || meets(&limit.allowed, values)
    };
    let limit = reach.limits.iter().position(|limit| !is_met(limit))?;
    Some(ElasticReason::OutOfReach(Some(limit)))
}

/// Whether stored values meet a condition of a limit. Other conditions than those it may have are not met.
fn meets(filter: &Filter, values: &[Value]) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| meets(part, values)),
        Filter::Or(parts) => parts.iter().any(|part| meets(part, values)),
        Filter::In { column, values: wanted, negated: false } if column.source == 0 => {
            let id = values.get(usize::from(column.column.0)).and_then(Value::as_id);
            id.is_some() && wanted.iter().any(|wanted| wanted.as_id() == id)
        }
        _ => false,
    }
}

/// Whether a row's time is over: at the second that `expires_at` names it is.
pub fn is_over(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

/// The effective partition of a row: its `partitionid`, or the text of its id where that is null.
pub fn effective_partition<'a>(table: &Table, values: &'a [Value]) -> Cow<'a, str> {
    match partition_place(table).and_then(|place| values.get(place)) {
        Some(Value::Text(partition)) => Cow::Borrowed(partition),
        _ => {
            let id = values.get(usize::from(table.primary_key.0)).and_then(Value::as_id);
            Cow::Owned(id.unwrap_or(Uuid::nil()).to_string())
        }
    }
}

/// Gives versions: 100-ns ticks since year 1, each larger than all before.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionClock {
    last: i64,
}

impl VersionClock {
    /// A clock whose versions all lie above this one.
    pub fn after(last: i64) -> Self {
        Self { last }
    }

    /// The last version that was given.
    pub fn last(self) -> i64 {
        self.last
    }

    /// The next version.
    pub fn next(&mut self, now: Timestamp) -> i64 {
        self.last = ticks(now).max(self.last.saturating_add(1));
        self.last
    }
}

/// 100-ns ticks from year 1 to this instant.
pub fn ticks(at: Timestamp) -> i64 {
    /// Seconds from 0001-01-01T00:00:00Z to 1970-01-01T00:00:00Z.
    const YEAR_ONE: i64 = 62_135_596_800;
    at.0.saturating_add(YEAR_ONE).saturating_mul(10_000_000)
}

/// The old values, as long as the table is wide, with the cells put over them.
fn overlaid(table: &Table, old: &[Value], cells: Vec<Cell>) -> Vec<Value> {
    let mut values = Vec::with_capacity(table.columns.len());
    values.extend_from_slice(&old[..old.len().min(table.columns.len())]);
    values.resize(table.columns.len(), Value::Null);
    for cell in cells {
        values[usize::from(cell.column.0)] = cell.value;
    }
    values
}

/// Makes the values agree with the key.
fn seal(table: &Table, key: &ElasticKey, values: &mut [Value]) {
    values[usize::from(table.primary_key.0)] = Value::Guid(key.id);
    values[usize::from(table.version_column().0)] = Value::Null;
    if let Some(place) = partition_place(table)
        && *effective_partition(table, values) != *key.partition
    {
        values[place] = Value::text(key.partition.clone());
    }
}

fn expires_of(table: &Table, values: &[Value], now: Timestamp) -> Option<Timestamp> {
    let column = table.index_of("ttlinseconds")?;
    let value = values.get(usize::from(column.0))?.clone();
    expires_at(table, &[Cell { column, value }], now)
}

fn partition_place(table: &Table) -> Option<usize> {
    table.index_of("partitionid").map(|column| usize::from(column.0))
}
