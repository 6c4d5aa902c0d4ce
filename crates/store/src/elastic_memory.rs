//! The reference store of elastic tables: everything that the contract promises, over one map.
//!
//! For tests and as the model of the engines, not for data that must outlive the process.
//! It shares no rule with the engines (theirs are in `elastic_rows`), so that a mistake in one of them
//! shows as a difference.
//! Invariant: a row lies under its effective partition and its id, and has one value per column that
//! its table had when it was written.

use crate::Result;
use crate::elastic::{
    ElasticAction, ElasticKey, ElasticOutcome, ElasticReason, ElasticStore, ElasticWalk,
    ElasticWrite, ROW_BYTES_MAX, Walked, expires_at,
};
use crate::elastic_rows::out_of_reach;
use async_trait::async_trait;
use model::{Catalog, Cell, Table, TableId, Timestamp, Uuid, Value};
use query::{BoundQuery, ColumnRef, Page, Paging};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store of elastic tables in memory.
#[derive(Debug, Default)]
pub struct MemoryElasticStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Place, Row>,
    /// The last version that was given.
    version: i64,
}

/// A table, an effective partition, an id.
type Place = (TableId, Box<str>, Uuid);

#[derive(Debug)]
struct Row {
    values: Vec<Value>,
    version: i64,
    expires_at: Option<Timestamp>,
}

impl MemoryElasticStore {
    /// A store without rows.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a row.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ElasticStore for MemoryElasticStore {
    async fn write(
        &self,
        table: &Arc<Table>,
        now: Timestamp,
        writes: Vec<ElasticWrite>,
    ) -> Result<Vec<ElasticOutcome>> {
        let mut state = self.lock();
        Ok(writes.into_iter().map(|write| state.write(table, now, write)).collect())
    }

    async fn read(
        &self,
        query: &BoundQuery,
        partition: Option<&str>,
        now: Timestamp,
    ) -> Result<Page> {
        let state = self.lock();
        let rows = state.rows.iter().filter(|((table, of, _), row)| {
            *table == query.table.id
                && partition.is_none_or(|partition| **of == *partition)
                && !is_over(row.expires_at, now)
        });
        Ok(page(query, rows.map(|(_, row)| &*row.values)))
    }

    async fn rows(
        &self,
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        keys: &[ElasticKey],
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<Value>>>> {
        let state = self.lock();
        let row = |key: &ElasticKey| {
            let row = state.rows.get(&(table.id, key.partition.clone(), key.id))?;
            let is_there = !is_over(row.expires_at, now);
            is_there.then(|| query::evaluate::complete(catalog, table, &row.values))
        };
        Ok(keys.iter().map(row).collect())
    }

    async fn walk(&self, walk: &ElasticWalk, now: Timestamp) -> Result<Walked> {
        let state = self.lock();
        let table = walk.table.id;
        let from = match walk.after.clone() {
            Some(ElasticKey { partition, id }) => Bound::Excluded((table, partition, id)),
            None => Bound::Included((table, "".into(), Uuid::nil())),
        };
        let behind = state.rows.range((from, Bound::Unbounded));
        let behind = behind.take_while(|((of, ..), _)| *of == table);
        let mut walked = Walked::default();
        for (place, ((_, partition, id), row)) in behind.enumerate() {
            if place >= walk.rows_max {
                return Ok(walked);
            }
            let key = ElasticKey { partition: partition.clone(), id: *id };
            let fits =
                |filter| query::evaluate::matches(&walk.catalog, &walk.table, filter, &row.values);
            if !is_over(row.expires_at, now) && walk.filter.as_ref().is_none_or(fits) {
                walked.keys.push(key.clone());
            }
            walked.next = Some(key);
        }
        walked.next = None;
        Ok(walked)
    }

    async fn expire(&self, now: Timestamp, rows_max: usize) -> Result<usize> {
        let mut state = self.lock();
        let over =
            |(place, row): (&Place, &Row)| is_over(row.expires_at, now).then(|| place.clone());
        let places: Vec<Place> = state.rows.iter().filter_map(over).take(rows_max).collect();
        for place in &places {
            state.rows.remove(place);
        }
        Ok(places.len())
    }

    async fn drop_table(&self, table: &Arc<Table>) -> Result<()> {
        self.lock().rows.retain(|(of, _, _), _| *of != table.id);
        Ok(())
    }
}

impl State {
    fn write(&mut self, table: &Table, now: Timestamp, write: ElasticWrite) -> ElasticOutcome {
        let place = (table.id, write.key.partition.clone(), write.key.id);
        let old = self.rows.get(&place).filter(|row| !is_over(row.expires_at, now));
        let values = old.map(|row| &*row.values);
        if let Some(reach) = &write.reach
            && let Some(reason) = out_of_reach(reach, values, &write.action)
        {
            return ElasticOutcome::Refused(reason);
        }
        let expected_met = match write.expected_version {
            None => true,
            expected => old.map(|row| row.version) == expected,
        };
        let (exists, created) = (old.is_some(), old.is_none());
        let refused = match &write.action {
            ElasticAction::Update { .. } | ElasticAction::Delete if !exists => {
                Some(ElasticReason::Missing)
            }
            ElasticAction::Insert { .. } | ElasticAction::Replace { must_not_exist: true, .. }
                if exists =>
            {
                Some(ElasticReason::Exists)
            }
            _ => (!expected_met).then_some(ElasticReason::VersionMismatch),
        };
        if let Some(reason) = refused {
            return ElasticOutcome::Refused(reason);
        }
        let values = values_after(table, old, &write);
        if values.as_deref().map_or(0, row_bytes) > ROW_BYTES_MAX {
            return ElasticOutcome::Refused(ElasticReason::TooLarge);
        }
        let version = self.next_version(now);
        match values {
            Some(mut values) => {
                values[usize::from(table.version_column().0)] = Value::BigInt(version);
                let cells: Vec<Cell> = table
                    .indexed_columns()
                    .zip(&values)
                    .map(|((column, _), value)| Cell { column, value: value.clone() })
                    .collect();
                let expires_at = expires_at(table, &cells, now);
                self.rows.insert(place, Row { values, version, expires_at });
                ElasticOutcome::Written { created, version }
            }
            None => {
                self.rows.remove(&place);
                ElasticOutcome::Written { created: false, version }
            }
        }
    }

    /// 100-ns ticks since year 1, or one more than the last version where that is larger.
    fn next_version(&mut self, now: Timestamp) -> i64 {
        let ticks = (now.0 + 62_135_596_800) * 10_000_000;
        self.version = ticks.max(self.version + 1);
        self.version
    }
}

/// The values of the row after a write that passed; none when it deletes.
fn values_after(table: &Table, old: Option<&Row>, write: &ElasticWrite) -> Option<Vec<Value>> {
    let (cells, kept) = match &write.action {
        ElasticAction::Delete => return None,
        ElasticAction::Insert { cells } => (cells, Vec::new()),
        // An update keeps what it does not name, and the row stays in its partition.
        ElasticAction::Update { cells } => {
            let named = |column| cells.iter().any(|cell| cell.column == column);
            let partition = table.index_of("partitionid");
            let columns = table.indexed_columns().map(|(column, _)| column);
            let kept = columns.filter(|column| !named(*column) || Some(*column) == partition);
            (cells, kept.collect())
        }
        ElasticAction::Replace { cells, kept, must_not_exist: _ } => (cells, kept.to_vec()),
    };
    let mut values = vec![Value::Null; table.columns.len()];
    for cell in cells {
        values[usize::from(cell.column.0)] = cell.value.clone();
    }
    if let Some(old) = old {
        for column in kept {
            let place = usize::from(column.0);
            values[place] = old.values.get(place).cloned().unwrap_or(Value::Null);
        }
    }
    // Key and values agree.
    values[usize::from(table.primary_key.0)] = Value::Guid(write.key.id);
    values[usize::from(table.version_column().0)] = Value::Null;
    if let Some(column) = table.index_of("partitionid")
        && partition_of(table, &values) != write.key.partition
    {
        values[usize::from(column.0)] = Value::text(write.key.partition.clone());
    }
    Some(values)
}

/// What a row counts against [`ROW_BYTES_MAX`]: the bytes of its texts, 4 for each of its choices, 16
/// for each other value, and 4 for each column that is not null, the version aside. Engines may store
/// it in fewer bytes; all count the same.
pub fn row_bytes(values: &[Value]) -> usize {
    let bytes = |value: &Value| match value {
        Value::Null => 0,
        Value::Text(text) => 4 + text.len(),
        Value::Choices(choices) => 4 + 4 * choices.len(),
        Value::Integer(_)
        | Value::BigInt(_)
        | Value::Decimal(_)
        | Value::Double(_)
        | Value::Boolean(_)
        | Value::DateTime(_)
        | Value::Date(_)
        | Value::Guid(_)
        | Value::Lookup(_) => 4 + 16,
    };
    values.iter().map(bytes).sum()
}

/// At the second that `expires_at` names, a row's time is over.
fn is_over(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

/// The effective partition of a row with these values.
fn partition_of(table: &Table, values: &[Value]) -> Box<str> {
    let partition = match table.index_of("partitionid").map(|column| &values[usize::from(column.0)])
    {
        Some(Value::Text(text)) => Some(&**text),
        _ => None,
    };
    let id = values[usize::from(table.primary_key.0)].as_id().unwrap_or(Uuid::nil());
    ElasticKey::new(id, partition).partition
}

/// A page of these rows, which come by partition and id: the evaluator sorts all that match, and the
/// page is cut from them, because only here the partition breaks ties.
fn page<'a>(query: &BoundQuery, rows: impl Iterator<Item = &'a [Value]>) -> Page {
    let all_columns: Vec<ColumnRef> =
        query.table.indexed_columns().map(|(column, _)| ColumnRef::root(column)).collect();
    let width = all_columns.len();
    let everything = BoundQuery {
        columns: all_columns,
        paging: Paging { size: u32::MAX, after: None, skip: 0, look_ahead: false },
        ..query.clone()
    };
    let sorted = query::evaluate(&everything, rows);
    let mut rest: Vec<&[Value]> = sorted.rows(width).collect();
    if let Some(after) = &query.paging.after {
        rest.retain(|row| follows(query, row, after));
    }
    let skipped = usize::try_from(query.paging.skip).unwrap_or(usize::MAX).min(rest.len());
    rest.drain(..skipped);
    let size = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
    let more = query.paging.look_ahead && rest.len() > size;
    rest.truncate(size);
    let cells = rest
        .iter()
        .flat_map(|row| {
            query.columns.iter().map(|column| row[usize::from(column.column.0)].clone())
        })
        .collect();
    Page { cells, rows: rest.len(), more, count: sorted.count }
}

/// Whether a row stands after the place where a page ended.
fn follows(query: &BoundQuery, row: &[Value], after: &[Value]) -> bool {
    let mut other = vec![Value::Null; query.table.columns.len()];
    for (order, value) in query.order.iter().zip(after) {
        other[usize::from(order.column.column.0)] = value.clone();
    }
    match query::evaluate::compare_rows(query, row, &other) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => {
            let names_partition = query.table.index_of("partitionid").is_some_and(|column| {
                query.order.iter().any(|order| order.column.column == column)
            });
            names_partition && partition_of(&query.table, row) > partition_of(&query.table, &other)
        }
    }
}
