//! Carries out one operation inside the open transaction of the writer.
//!
//! In: a [`WriteOp`]. Out: an outcome per row, or [`Halt`], after which the caller rolls back. The way
//! here is the fast one: sets are checked as sets, unique indexes speak for themselves, and nobody asks
//! which row was to blame; `diagnose` does that afterwards.
//! Not here: transactions, groups, answers (`writer`).
//! Invariant: what passes here, `store::judge` passes, and the other way round.

mod binder;
mod check;
mod delete;
mod resolve;
mod rows;
mod spread;

use super::error::Halt;
use super::session::Session;
use model::{Catalog, Cell, KeyIndex, TableId, Timestamp, Uuid};
use rows::{Draft, Kind};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::alternate::{self, KeyParts};
use store::writes::{Insert, Update, Upsert, UpsertCondition};
use store::{RowKey, RowOutcome, WriteOp};

pub(super) use check::run as check;
pub(super) use delete::pointers;
pub(super) use resolve::{find_one, key_sql, version_sql};
pub(super) use spread::refuse_loops;

/// What an operation is carried out with.
pub(super) struct Work<'w, 'c> {
    pub(super) session: &'w Session<'c>,
    pub(super) catalog: &'w Arc<Catalog>,
    pub(super) versions: &'w mut Versions,
    /// Tables whose deleted rows are remembered.
    pub(super) followed: &'w HashSet<TableId>,
    /// The time of the message.
    pub(super) now: Timestamp,
    /// Who writes.
    pub(super) user: Uuid,
}

/// Gives row versions: each is above all before, also after a restart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    /// The last one that was given.
    pub(super) last: i64,
    /// The database holds this number; a restart goes on above it.
    pub(super) reserved: i64,
}

impl Versions {
    pub(super) fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }
}

/// Carries out one operation.
pub(super) fn execute(work: &mut Work<'_, '_>, op: &WriteOp) -> Result<Vec<RowOutcome>, Halt> {
    match op {
        WriteOp::Insert(op) => insert(work, op),
        WriteOp::Update(op) => update(work, op),
        WriteOp::Upsert(op) => upsert(work, op),
        WriteOp::Delete(op) => delete::delete(work, op),
        WriteOp::Fill(op) => resolve::fill(work, op).map(|()| Vec::new()),
    }
}

fn insert(work: &mut Work<'_, '_>, op: &Insert) -> Result<Vec<RowOutcome>, Halt> {
    let binds = resolve::binds(work, op.rows.iter().map(|row| row.binds.as_slice()))?;
    let drafts: Vec<Draft<'_>> = op
        .rows
        .iter()
        .enumerate()
        .map(|(index, row)| Draft {
            kind: Kind::Insert,
            id: row.id,
            parts: [&row.cells, &[], binds.of(index)],
        })
        .collect();
    let before = spread::before(work, &op.table, &[], &drafts)?;
    rows::write(work, &op.table, &op.constants, &[], &drafts)?;
    spread::after(work, &op.table, &[], before)?;
    Ok(outcomes(&drafts))
}

fn update(work: &mut Work<'_, '_>, op: &Update) -> Result<Vec<RowOutcome>, Halt> {
    let binds = resolve::binds(work, op.rows.iter().map(|row| row.binds.as_slice()))?;
    let ids = resolve::ids(work, &op.table, op.rows.iter().map(|row| Some(&row.key)))?;
    let mut drafts = Vec::with_capacity(op.rows.len());
    let mut expected = Vec::new();
    for (index, (row, id)) in op.rows.iter().zip(&ids).enumerate() {
        let id = id.ok_or(Halt::Refused)?;
        expected.extend(row.expected_version.map(|version| (id, version)));
        drafts.push(Draft { kind: Kind::Update, id, parts: [&row.cells, &[], binds.of(index)] });
    }
    check_versions(work, op.table.definition(), &expected)?;
    let before = spread::before(work, &op.table, &op.constants, &drafts)?;
    rows::write(work, &op.table, &[], &op.constants, &drafts)?;
    spread::after(work, &op.table, &op.constants, before)?;
    Ok(outcomes(&drafts))
}

fn upsert(work: &mut Work<'_, '_>, op: &Upsert) -> Result<Vec<RowOutcome>, Halt> {
    let binds = resolve::binds(work, op.rows.iter().map(|row| row.binds.as_slice()))?;
    let ids = resolve::ids(work, &op.table, op.rows.iter().map(|row| row.key.as_ref()))?;
    let named: Vec<Uuid> = ids.iter().flatten().copied().collect();
    let versions = resolve::versions(work, op.table.definition(), &named)?;
    let mut ids_seen = HashSet::with_capacity(op.rows.len());
    let mut keys_seen: HashSet<(KeyIndex, Option<KeyParts>)> = HashSet::new();
    let mut drafts = Vec::with_capacity(op.rows.len());
    for (index, (row, id)) in op.rows.iter().zip(&ids).enumerate() {
        let found = id.and_then(|id| versions.get(&id).map(|version| (id, *version)));
        let is_first = match (&row.key, found) {
            (None, _) => true,
            (_, Some((id, _))) => ids_seen.insert(id),
            (Some(RowKey::Id(id)), None) => ids_seen.insert(*id),
            (Some(RowKey::Alternate(key)), None) => {
                keys_seen.insert((key.key, alternate::parts_of_key(key)))
            }
        };
        let refused = match (found, row.condition) {
            (Some(_), UpsertCondition::MustNotExist) | (None, UpsertCondition::KeyInBody) => true,
            (Some((_, actual)), _) => {
                row.expected_version.is_some_and(|expected| expected != actual)
            }
            (None, _) => false,
        };
        if !is_first || refused {
            return Err(Halt::Refused);
        }
        let (kind, id, more): (_, _, &[Cell]) = match found {
            Some((id, _)) => (Kind::Update, id, &[]),
            None => (Kind::Insert, row.new_id, &row.insert_cells),
        };
        drafts.push(Draft { kind, id, parts: [&row.cells, more, binds.of(index)] });
    }
    let before = spread::before(work, &op.table, &op.update_constants, &drafts)?;
    rows::write(work, &op.table, &op.insert_constants, &op.update_constants, &drafts)?;
    spread::after(work, &op.table, &op.update_constants, before)?;
    Ok(outcomes(&drafts))
}

fn check_versions(
    work: &Work<'_, '_>,
    table: &model::TableDefinition,
    expected: &[(Uuid, i64)],
) -> Result<(), Halt> {
    if expected.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = expected.iter().map(|(id, _)| *id).collect();
    let actual: HashMap<Uuid, i64> = resolve::versions(work, table, &ids)?;
    let all_match = expected.iter().all(|(id, version)| actual.get(id) == Some(version));
    if all_match { Ok(()) } else { Err(Halt::Refused) }
}

fn outcomes(drafts: &[Draft<'_>]) -> Vec<RowOutcome> {
    drafts
        .iter()
        .map(|draft| RowOutcome { id: draft.id, created: draft.kind == Kind::Insert })
        .collect()
}
