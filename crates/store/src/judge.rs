//! Which rows of an operation fail, and what is written if none does: the rules of [`crate::writes`].
//!
//! In: one [`WriteOp`] and what is known of the rows before it. Out: a verdict per row. Pure.
//! Not here: writing, and what a delete does to other rows (each engine walks relationships its own
//! way; it adds `Referenced`, the last reason, to rows that passed here).
//! Invariant: an operation without its failing rows would pass, but for lookups to failing rows.

mod unique;

use crate::alternate::{self, KeyParts};
use crate::writes::is_checked;
use crate::{Reason, Rejection, RowKey, WriteOp, spread, writes};
use model::{
    Bind, Cell, ColumnIndex, ColumnKind, KeyIndex, KeyValue, LookupValue, Table, TableId, Uuid,
    Value,
};
use std::collections::{HashMap, HashSet};
use unique::Unique;

/// What is known of the rows before the operation.
///
/// The reference answers from its maps; an engine that diagnoses a failed operation loads what the
/// operation names first, set by set.
pub trait Rows {
    /// The version of a row; none if there is no such row (or no such table).
    fn version(&self, table: TableId, id: Uuid) -> Option<i64>;
    /// The value of a stored column of a row that exists. Only columns of alternate keys are asked for.
    fn value(&self, table: &Table, id: Uuid, column: ColumnIndex) -> Value;
    /// The row with this alternate key.
    fn find(&self, table: &Table, key: KeyIndex, parts: &KeyParts) -> Option<Uuid>;
    /// Whether values that are to be written into this column are kept in what is [`Resolved`]. Who writes nothing of it
    /// spares the copies; what a verdict hangs on, lookups and columns of alternate keys, must be kept.
    fn keeps(&self, _table: &Table, _column: ColumnIndex) -> bool {
        true
    }
}

/// A row of an operation, resolved: keys are ids, binds are lookups, constants are filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// A new row. Primary key and version are not among the cells.
    Insert {
        /// Its primary key.
        id: Uuid,
        /// Its values; each column at most once.
        cells: Vec<Cell>,
    },
    /// A change of a row that exists.
    Update {
        /// Its primary key.
        id: Uuid,
        /// The new values; each column at most once.
        cells: Vec<Cell>,
    },
    /// A delete of a row that exists.
    Delete {
        /// Its primary key.
        id: Uuid,
    },
}

/// Judges every row of an operation, in index order.
pub fn judge(rows: &impl Rows, op: &WriteOp) -> Vec<Result<Resolved, Rejection>> {
    let (table, drafts) = match op {
        WriteOp::Insert(op) => (&op.table, insert_drafts(rows, op)),
        WriteOp::Update(op) => (&op.table, update_drafts(rows, op)),
        WriteOp::Upsert(op) => (&op.table, upsert_drafts(rows, op)),
        WriteOp::Delete(op) => (&op.table, delete_drafts(rows, op)),
        // It writes where it can, and nothing stands against it.
        WriteOp::Fill(_) => return Vec::new(),
    };
    let inserted: HashSet<Uuid> = drafts
        .iter()
        .filter_map(|draft| match &draft.row {
            Some(Resolved::Insert { id, .. }) => Some(*id),
            _ => None,
        })
        .collect();
    let mut unique = Unique::new(rows, table, drafts.len());
    drafts
        .into_iter()
        .enumerate()
        .map(|(index, draft)| {
            let Draft { row, id, lookup, other } = draft;
            let missing = row.as_ref().and_then(|row| missing_lookup(rows, table, &inserted, row));
            let reason = missing.or(lookup).or(other);
            let refuse = |reason| Rejection { index, id, reason };
            match (row, reason) {
                (_, Some(reason)) => Err(refuse(reason)),
                (Some(row), None) => match unique.take(&row) {
                    Ok(()) => Ok(row),
                    Err(reason) => Err(refuse(reason)),
                },
                (None, None) => Err(refuse(Reason::Missing)),
            }
        })
        .collect()
}

/// A row on its way to a verdict.
struct Draft {
    /// What would be written if nothing else is against it; none for a delete of no row.
    row: Option<Resolved>,
    /// The record's id, when known.
    id: Option<Uuid>,
    /// A bind that finds nothing.
    lookup: Option<Reason>,
    /// The first reason from `Missing` to `VersionMismatch`.
    other: Option<Reason>,
}

fn insert_drafts(rows: &impl Rows, op: &writes::Insert) -> Vec<Draft> {
    op.rows
        .iter()
        .map(|row| {
            let (binds, lookup) = resolve_binds(rows, &row.binds);
            let cells = overlay(rows, &op.table, &op.constants, &[&row.cells, &binds]);
            Draft {
                row: Some(Resolved::Insert { id: row.id, cells }),
                id: Some(row.id),
                lookup,
                other: None,
            }
        })
        .collect()
}

fn update_drafts(rows: &impl Rows, op: &writes::Update) -> Vec<Draft> {
    op.rows
        .iter()
        .map(|row| {
            let (binds, lookup) = resolve_binds(rows, &row.binds);
            let found = existing(rows, &op.table, &row.key);
            let cells = overlay(rows, &op.table, &op.constants, &[&row.cells, &binds]);
            let other = match found {
                Some((_, version)) => mismatch(version, row.expected_version),
                None => Some(absent(&row.key)),
            };
            // A row that is not there keeps its cells: its lookups are judged first all the same.
            let id = found.map(|(id, _)| id).or(named_id(&row.key));
            let row = Some(Resolved::Update { id: id.unwrap_or(Uuid::nil()), cells });
            Draft { row, id, lookup, other }
        })
        .collect()
}

fn upsert_drafts(rows: &impl Rows, op: &writes::Upsert) -> Vec<Draft> {
    let mut first_by_id: HashMap<Uuid, usize> = HashMap::new();
    let mut first_by_key: HashMap<(KeyIndex, Option<KeyParts>), usize> = HashMap::new();
    op.rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let (binds, lookup) = resolve_binds(rows, &row.binds);
            let found = row.key.as_ref().and_then(|key| existing(rows, &op.table, key));
            let first = match (&row.key, found) {
                (None, _) => index,
                (Some(_), Some((id, _))) => *first_by_id.entry(id).or_insert(index),
                (Some(RowKey::Id(id)), None) => *first_by_id.entry(*id).or_insert(index),
                (Some(RowKey::Alternate(key)), None) => {
                    *first_by_key.entry((key.key, alternate::parts_of_key(key))).or_insert(index)
                }
            };
            let other = if first < index {
                Some(Reason::DuplicateTarget { first })
            } else {
                upsert_condition(row, found.map(|(_, version)| version))
            };
            let row = match found {
                Some((id, _)) => Resolved::Update {
                    id,
                    cells: overlay(rows, &op.table, &op.update_constants, &[&row.cells, &binds]),
                },
                None => Resolved::Insert {
                    id: row.new_id,
                    cells: overlay(
                        rows,
                        &op.table,
                        &op.insert_constants,
                        &[&row.cells, &row.insert_cells, &binds],
                    ),
                },
            };
            let id = Some(row.id());
            Draft { row: Some(row), id, lookup, other }
        })
        .collect()
}

fn upsert_condition(row: &writes::UpsertRow, version: Option<i64>) -> Option<Reason> {
    match (version, row.condition) {
        (Some(_), writes::UpsertCondition::MustNotExist) => Some(Reason::Exists),
        (None, writes::UpsertCondition::KeyInBody) => Some(Reason::KeyInBody),
        (Some(version), _) => mismatch(version, row.expected_version),
        (None, _) => None,
    }
}

fn delete_drafts(rows: &impl Rows, op: &writes::Delete) -> Vec<Draft> {
    op.rows
        .iter()
        .map(|row| {
            let found = existing(rows, &op.table, &row.key);
            Draft {
                row: found.map(|(id, _)| Resolved::Delete { id }),
                id: found.map(|(id, _)| id).or(named_id(&row.key)),
                lookup: None,
                other: match found {
                    Some((_, version)) => mismatch(version, row.expected_version),
                    None => Some(absent(&row.key)),
                },
            }
        })
        .collect()
}

impl Resolved {
    /// The row's primary key.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Insert { id, .. } | Self::Update { id, .. } | Self::Delete { id } => *id,
        }
    }

    /// The same for what follows of it for other rows.
    pub fn spreading(&self) -> spread::Row<'_> {
        let fate = match self {
            Self::Insert { .. } => spread::Fate::Made,
            Self::Update { .. } => spread::Fate::Changed,
            Self::Delete { .. } => spread::Fate::Deleted,
        };
        spread::Row { id: self.id(), fate, cells: self.cells().iter().collect() }
    }

    /// What is written into its columns; nothing for a delete.
    pub fn cells(&self) -> &[Cell] {
        match self {
            Self::Insert { cells, .. } | Self::Update { cells, .. } => cells,
            Self::Delete { .. } => &[],
        }
    }
}

/// The id and version of a row that exists.
fn existing(rows: &impl Rows, table: &Table, key: &RowKey) -> Option<(Uuid, i64)> {
    let id = match key {
        RowKey::Id(id) => *id,
        RowKey::Alternate(key) => found_by_key(rows, table, key)?,
    };
    rows.version(table.id, id).map(|version| (id, version))
}

fn found_by_key(rows: &impl Rows, table: &Table, key: &KeyValue) -> Option<Uuid> {
    rows.find(table, key.key, &alternate::parts_of_key(key)?)
}

fn named_id(key: &RowKey) -> Option<Uuid> {
    match key {
        RowKey::Id(id) => Some(*id),
        RowKey::Alternate(_) => None,
    }
}

fn absent(key: &RowKey) -> Reason {
    match key {
        RowKey::Id(_) => Reason::Missing,
        RowKey::Alternate(_) => Reason::KeyMissing,
    }
}

fn mismatch(actual: i64, expected: Option<i64>) -> Option<Reason> {
    expected
        .is_some_and(|expected| expected != actual)
        .then_some(Reason::VersionMismatch { actual })
}

/// Lookups for the binds that find their row, and the reason of the lowest column that does not.
fn resolve_binds(rows: &impl Rows, binds: &[Bind]) -> (Vec<Cell>, Option<Reason>) {
    let mut cells = Vec::with_capacity(binds.len());
    let mut lost: Option<&Bind> = None;
    for bind in binds {
        match found_by_key(rows, &bind.table, &bind.key) {
            Some(id) => cells.push(Cell {
                column: bind.column,
                value: Value::Lookup(LookupValue { table: bind.table.id, id }),
            }),
            None if lost.is_none_or(|lost| bind.column < lost.column) => lost = Some(bind),
            None => {}
        }
    }
    let reason =
        lost.map(|bind| Reason::LookupKeyMissing { column: bind.column, table: bind.table.id });
    (cells, reason)
}

/// The constants that no own cell replaces, then the own cells.
fn overlay(rows: &impl Rows, table: &Table, constants: &[Cell], own: &[&[Cell]]) -> Vec<Cell> {
    let own: Vec<&Cell> = own.iter().copied().flatten().collect();
    constants
        .iter()
        .filter(|constant| own.iter().all(|cell| cell.column != constant.column))
        .chain(own.iter().copied())
        .filter(|cell| rows.keeps(table, cell.column))
        .cloned()
        .collect()
}

/// The lowest checked lookup column that points to a row which is not there and not inserted.
fn missing_lookup(
    rows: &impl Rows,
    table: &Table,
    inserted: &HashSet<Uuid>,
    row: &Resolved,
) -> Option<Reason> {
    row.cells()
        .iter()
        .filter_map(|cell| match (&cell.value, &table.column(cell.column).kind) {
            (Value::Lookup(lookup), ColumnKind::Lookup { .. }) => Some((cell.column, *lookup)),
            _ => None,
        })
        .filter(|(column, lookup)| {
            is_checked(table.column(*column))
                && rows.version(lookup.table, lookup.id).is_none()
                && !(lookup.table == table.id && inserted.contains(&lookup.id))
        })
        .min_by_key(|(column, _)| *column)
        .map(|(column, lookup)| Reason::LookupMissing {
            column,
            table: lookup.table,
            id: lookup.id,
        })
}
