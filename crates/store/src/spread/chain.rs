//! Rows that would be above themselves.
//!
//! A relationship of a table to itself that is a hierarchy has no circles: a row whose new parent is the
//! row itself or hangs on it is refused. Rows are judged in index order, each after those before it; a
//! refused row is passed over.
//! Invariant: only rows that are changed need a look at others, as nobody points to a new row yet.

use super::walk::lookup;
use super::{Hold, Reader, rows_by};
use crate::judge::Resolved;
use crate::{Reason, Rejection};
use model::{Catalog, Cell, ColumnIndex, Table, Uuid, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Refuses rows that would form a circle, of those that are fine otherwise.
pub async fn refuse<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    verdicts: &mut [Result<Resolved, Rejection>],
) -> Result<(), R::Error> {
    let moved = verdicts.iter().enumerate().filter_map(|(index, verdict)| {
        let row = verdict.as_ref().ok()?;
        let is_new = matches!(row, Resolved::Insert { .. });
        Some((index, row.id(), is_new, row.cells().iter().collect::<Vec<_>>()))
    });
    let Some(column) = catalog.hierarchy(table) else { return Ok(()) };
    let moved: Vec<Moved> = moved
        .filter_map(|(index, id, is_new, cells)| {
            Moved::of(column, table, index, id, is_new, &cells)
        })
        .collect();
    for index in looping(reader, catalog, (table, column), &moved).await? {
        if let Ok(row) = &verdicts[index] {
            let id = Some(row.id());
            verdicts[index] = Err(Rejection { index, id, reason: Reason::Loop { column } });
        }
    }
    Ok(())
}

/// Whether any row of an operation would form a circle.
pub async fn has_loop<'a, R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    rows: impl Iterator<Item = (Uuid, bool, Vec<&'a Cell>)>,
) -> Result<bool, R::Error> {
    let Some(column) = catalog.hierarchy(table) else { return Ok(false) };
    let moved: Vec<Moved> = rows
        .enumerate()
        .filter_map(|(index, (id, is_new, cells))| {
            Moved::of(column, table, index, id, is_new, &cells)
        })
        .collect();
    Ok(!looping(reader, catalog, (table, column), &moved).await?.is_empty())
}

/// A row that gets a parent, or loses it.
struct Moved {
    index: usize,
    id: Uuid,
    is_new: bool,
    parent: Option<Uuid>,
}

impl Moved {
    fn of(
        column: ColumnIndex,
        table: &Table,
        index: usize,
        id: Uuid,
        is_new: bool,
        cells: &[&Cell],
    ) -> Option<Self> {
        let cell = cells.iter().rev().find(|cell| cell.column == column)?;
        let parent = lookup(&cell.value).filter(|to| to.table == table.id).map(|to| to.id);
        Some(Self { index, id, is_new, parent })
    }
}

/// The places of the rows that would form a circle.
async fn looping<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    (table, column): (&Arc<Table>, ColumnIndex),
    moved: &[Moved],
) -> Result<BTreeSet<usize>, R::Error> {
    let mut parent_of: HashMap<Uuid, Option<Uuid>> = HashMap::new();
    for row in moved.iter().filter(|row| row.is_new) {
        parent_of.insert(row.id, None);
    }
    // With new rows alone there is nothing to look up: what is above them is not below them.
    if moved.iter().any(|row| !row.is_new && row.parent.is_some()) {
        let mut level: BTreeSet<Uuid> = moved.iter().filter_map(|row| row.parent).collect();
        level.retain(|id| !parent_of.contains_key(id));
        while !level.is_empty() {
            let columns = vec![table.primary_key, column];
            let query = rows_by(catalog, table, table.primary_key, level.iter().copied(), columns);
            let pages = reader.pages(vec![query], Hold::Same).await?;
            let found: BTreeMap<Uuid, Option<Uuid>> = pages
                .iter()
                .flat_map(|page| page.rows(2))
                .filter_map(|row| {
                    let parent = row.get(1).unwrap_or(&Value::Null);
                    let parent = lookup(parent).filter(|to| to.table == table.id);
                    Some((row.first()?.as_id()?, parent.map(|to| to.id)))
                })
                .collect();
            for id in &level {
                parent_of.insert(*id, found.get(id).copied().flatten());
            }
            level = found.into_values().flatten().collect();
            level.retain(|id| !parent_of.contains_key(id));
        }
    }
    let mut refused = BTreeSet::new();
    for row in moved {
        let mut at = row.parent;
        let mut seen = BTreeSet::new();
        while let Some(id) = at {
            if id == row.id {
                refused.insert(row.index);
                break;
            }
            // A circle that is there already, and that the row is no part of.
            if !seen.insert(id) {
                break;
            }
            at = parent_of.get(&id).copied().flatten();
        }
        if !refused.contains(&row.index) {
            parent_of.insert(row.id, row.parent);
        }
    }
    Ok(refused)
}
