//! The reference store: everything that the contract promises, in plain code over maps.
//!
//! Every change works on a copy of the whole state and swaps it in at the end, so that it happens as
//! a whole or not at all. Cost: that copy, for every call. For tests and as the model of the engines,
//! not for data that must outlive the process.
//! Invariant: a state is only ever replaced under the lock by one that was made from it.

mod cascade;
mod rows;
mod transaction;

use crate::judge::{Resolved, Rows, judge};
use crate::{
    Applied, Changed, Check, Deleted, Denial, Error, Numbers, Piece, Reason, Rejection, Result,
    RowKey, RowOutcome, SchemaChange, SchemaOp, Spreads, StandardStore, TakeRows, Tx, WriteOp,
    WriteSet, alternate, apply_ops, check, spread,
};
use async_trait::async_trait;
use model::{Catalog, ColumnId, ColumnIndex, TableId, Timestamp, Uuid};
use query::{BoundQuery, Page};
use rows::State;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rows of a part of a page.
const PART_ROWS: usize = 2;

/// A store of standard tables in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<Arc<State>>>,
}

/// Who writes and when: for rows that a cascade changes.
#[derive(Clone, Copy, Debug)]
struct Author {
    now: Timestamp,
    user: Uuid,
}

impl MemoryStore {
    /// A store without tables.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<State>> {
        // A panic elsewhere leaves the old state in place, which is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StandardStore for MemoryStore {
    async fn catalog(&self) -> Result<Arc<Catalog>> {
        Ok(self.lock().catalog.clone())
    }

    async fn catalog_version(&self) -> Result<u64> {
        Ok(self.lock().catalog.version())
    }

    async fn change(&self, change: SchemaChange) -> Result<Changed> {
        let mut held = self.lock();
        check_version(&held, &change.catalog)?;
        let catalog = Arc::new(apply_ops(&held.catalog, &change.ops)?);
        let mut next = State::clone(&held);
        next.adopt(catalog.clone()).map_err(|clash| Error::Rejected {
            op: place_of_key(&change.ops, &clash),
            rows: vec![Rejection {
                index: 0,
                id: None,
                reason: Reason::DuplicateKey { key: clash.key },
            }],
        })?;
        for op in &change.ops {
            if let SchemaOp::RestartNumbers { table, column, seed } = op {
                next.restart_numbers((*table, *column), *seed);
            }
        }
        let author = Author { now: change.now, user: change.user };
        let applied = run(&mut next, author, &change.rows, &change.checks)?;
        *held = Arc::new(next);
        Ok(Changed { catalog, applied })
    }

    async fn apply(&self, writes: WriteSet) -> Result<Applied> {
        let mut held = self.lock();
        check_version(&held, &writes.catalog)?;
        let mut next = State::clone(&held);
        let author = Author { now: writes.now, user: writes.user };
        let applied = run(&mut next, author, &writes.ops, &writes.checks)?;
        *held = Arc::new(next);
        Ok(applied)
    }

    async fn begin(&self, catalog: Arc<Catalog>, time_max: Duration) -> Result<Box<dyn Tx>> {
        transaction::begin(self, &catalog, time_max)
    }

    fn is_present(&self, catalog: &Catalog) -> bool {
        check_version(&self.lock(), catalog).is_ok()
    }

    async fn read(&self, query: &BoundQuery) -> Result<Page> {
        let state = self.lock().clone();
        check_version(&state, &query.catalog)?;
        Ok(answer(&state, query))
    }

    /// In very small parts, so that whoever takes them is used to several.
    async fn read_in_parts(&self, query: &BoundQuery, take: TakeRows<'_>) -> Result<Page> {
        let mut page = self.read(query).await?;
        let cells = std::mem::take(&mut page.cells);
        cells.chunks(PART_ROWS * query.columns.len().max(1)).for_each(take);
        Ok(page)
    }

    async fn take_numbers(
        &self,
        catalog: &Arc<Catalog>,
        wanted: &[Numbers],
    ) -> Result<Vec<Vec<i64>>> {
        let mut held = self.lock();
        check_version(&held, catalog)?;
        let mut next = State::clone(&held);
        let taken = next.take_numbers(wanted)?;
        *held = Arc::new(next);
        Ok(taken)
    }

    async fn next_number(
        &self,
        catalog: &Arc<Catalog>,
        table: TableId,
        column: ColumnId,
    ) -> Result<i64> {
        let held = self.lock();
        check_version(&held, catalog)?;
        let next = held.next_number((table, column));
        next.ok_or_else(|| Numbers { table, column, count: 0 }.no_counter())
    }

    async fn follow(&self, catalog: &Catalog, table: TableId) -> Result<i64> {
        let mut held = self.lock();
        check_version(&held, catalog)?;
        let mut next = State::clone(&held);
        next.follow(table);
        let version = next.version();
        *held = Arc::new(next);
        Ok(version)
    }

    async fn deleted(
        &self,
        catalog: &Catalog,
        table: TableId,
        after: i64,
        rows_max: u32,
    ) -> Result<Vec<Deleted>> {
        let state = self.lock().clone();
        check_version(&state, catalog)?;
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        Ok(state.deleted(table, after).take(rows_max).collect())
    }

    async fn put_pieces(&self, pieces: Vec<Piece>) -> Result<()> {
        let mut held = self.lock();
        let mut next = State::clone(&held);
        pieces.into_iter().for_each(|piece| next.put_piece(piece));
        *held = Arc::new(next);
        Ok(())
    }

    async fn piece(&self, file: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().piece(file, name).map(|piece| piece.bytes.clone()))
    }

    async fn piece_sizes(&self, file: Uuid) -> Result<Vec<(Box<str>, u64)>> {
        let state = self.lock().clone();
        let size = |piece: &Arc<Piece>| (piece.name.clone(), piece.bytes.len() as u64);
        Ok(state.pieces(file).map(size).collect())
    }

    async fn forget_pieces(
        &self,
        catalog: &Catalog,
        named_by: &[(TableId, ColumnIndex)],
        before: Timestamp,
    ) -> Result<()> {
        let mut held = self.lock();
        check_version(&held, catalog)?;
        let mut next = State::clone(&held);
        next.forget_pieces(named_by, before);
        *held = Arc::new(next);
        Ok(())
    }

    async fn forget_deleted(&self, before: Timestamp) -> Result<()> {
        let mut held = self.lock();
        let mut next = State::clone(&held);
        next.forget_deleted(before);
        *held = Arc::new(next);
        Ok(())
    }
}

fn check_version(state: &State, bound: &Catalog) -> Result<()> {
    let (bound, actual) = (bound.version(), state.catalog.version());
    if bound == actual { Ok(()) } else { Err(Error::StaleCatalog { bound, actual }) }
}

fn place_of_key(ops: &[SchemaOp], clash: &rows::KeyClash) -> usize {
    ops.iter()
        .position(|op| match op {
            SchemaOp::AddKey { table, key } => *table == clash.table && key.id == clash.key_id,
            _ => false,
        })
        .unwrap_or(0)
}

fn answer(state: &State, query: &BoundQuery) -> Page {
    query::evaluate_joined(query, |table| state.rows_of(table.id))
}

fn run(state: &mut State, author: Author, ops: &[WriteOp], checks: &[Check]) -> Result<Applied> {
    let mut applied = Applied::default();
    for (place, op) in ops.iter().enumerate() {
        for (number, check) in checks.iter().enumerate().filter(|(_, check)| check.op == place) {
            let rows = denials(state, check);
            if !rows.is_empty() {
                return Err(Error::Denied { check: number, rows });
            }
        }
        let outcomes =
            run_op(state, author, op).map_err(|rows| Error::Rejected { op: place, rows })?;
        applied.ops.push(outcomes);
    }
    Ok(applied)
}

/// The rows that do not pass a check; those that go along only if all others do.
fn denials(state: &State, check: &Check) -> Vec<Denial> {
    let ids: Vec<Option<Uuid>> = check
        .rows
        .iter()
        .map(|row| match &row.key {
            RowKey::Id(id) => Some(*id),
            RowKey::Alternate(key) => {
                let parts = alternate::parts_of_key(key)?;
                Rows::find(state, &check.table, key.key, &parts)
            }
        })
        .collect();
    let named: Vec<Uuid> = ids.iter().flatten().copied().collect();
    let [existing, allowed] = check.queries(&state.catalog, &named);
    let denied = check.denials(&ids, &answer(state, &existing), &answer(state, &allowed));
    if !denied.is_empty() || check.cascades.is_empty() {
        return denied;
    }
    let deleted = match check.spreads {
        Spreads::Delete => cascade::along(state, &check.table, &named),
        Spreads::By(_) => BTreeSet::new(),
    };
    let along = match check.spreads {
        Spreads::Delete => Vec::new(),
        Spreads::By(spreading) => {
            let (catalog, starts) = (state.catalog.clone(), check.starts(&ids));
            let mut reader = Reading(state);
            let work = spread::along(&mut reader, &catalog, &check.table, spreading, &starts);
            spread::at_once(work).unwrap_or_else(|never| match never {})
        }
    };
    check
        .cascades
        .iter()
        .flat_map(|(table, filter)| {
            let mut rows = check.reached(table.id, &ids, &along);
            let goes = |place: &&(TableId, Uuid)| {
                place.0 == table.id && !(table.id == check.table.id && named.contains(&place.1))
            };
            rows.extend(deleted.iter().filter(goes).map(|(_, id)| (check.first_row(), *id)));
            let ids: Vec<Uuid> = rows.iter().map(|(_, id)| *id).collect();
            let query = check::allowed_query(&state.catalog, table, &ids, Some(filter));
            check.cascade_denials(table, &rows, &answer(state, &query))
        })
        .collect()
}

/// Reads of a state.
struct Reading<'s>(&'s State);

impl spread::Reader for Reading<'_> {
    type Error = Infallible;

    fn pages(
        &mut self,
        queries: Vec<BoundQuery>,
        _hold: spread::Hold,
    ) -> impl Future<Output = Result<Vec<Page>, Infallible>> + Send {
        let pages = queries.iter().map(|query| answer(self.0, query)).collect();
        std::future::ready(Ok(pages))
    }
}

fn run_op(
    state: &mut State,
    author: Author,
    op: &WriteOp,
) -> Result<Vec<RowOutcome>, Vec<Rejection>> {
    if let WriteOp::Fill(op) = op {
        state.fill(op);
        return Ok(Vec::new());
    }
    let mut verdicts = judge(&*state, op);
    let table = op.table();
    let catalog = state.catalog.clone();
    let held = match op {
        WriteOp::Insert(_) | WriteOp::Update(_) | WriteOp::Upsert(_) => {
            let mut reader = Reading(state);
            spread::at_once(spread::chain::refuse(&mut reader, &catalog, table, &mut verdicts))
        }
        WriteOp::Delete(_) | WriteOp::Fill(_) => Ok(()),
    };
    held.unwrap_or_else(|never| match never {});
    let consequences = match op {
        WriteOp::Delete(_) => Some(cascade::of_delete(state, table, &mut verdicts)),
        WriteOp::Insert(_) | WriteOp::Update(_) | WriteOp::Upsert(_) | WriteOp::Fill(_) => None,
    };
    let mut passed = Vec::with_capacity(verdicts.len());
    let mut failed = Vec::new();
    for verdict in verdicts {
        match verdict {
            Ok(row) => passed.push(row),
            Err(rejection) => failed.push(rejection),
        }
    }
    if !failed.is_empty() {
        return Err(failed);
    }
    let outcomes = passed
        .iter()
        .map(|row| RowOutcome { id: row.id(), created: matches!(row, Resolved::Insert { .. }) })
        .collect();
    let work = spread::Work {
        catalog: &catalog,
        table,
        constants: op.update_constants(),
        now: author.now,
        user: author.user,
    };
    let rows: Vec<spread::Row<'_>> = passed.iter().map(Resolved::spreading).collect();
    let before = spread::at_once(work.before(&mut Reading(state), &rows));
    let before = before.unwrap_or_else(|never| match never {});
    drop(rows);
    for row in passed {
        match row {
            Resolved::Insert { id, cells } => state.insert(table, id, cells),
            Resolved::Update { id, cells } => state.update(table, id, cells),
            Resolved::Delete { .. } => {}
        }
    }
    if let Some(consequences) = consequences {
        cascade::carry_out(state, author, consequences);
    }
    let changes = spread::at_once(work.after(&mut Reading(state), before));
    for change in changes.unwrap_or_else(|never| match never {}) {
        let table = &change.table;
        change.inserts.into_iter().for_each(|(id, cells)| state.insert(table, id, cells));
        change.updates.into_iter().for_each(|(id, cells)| state.update(table, id, cells));
        change.deletes.into_iter().for_each(|id| state.remove(table, id, author.now));
    }
    Ok(outcomes)
}
