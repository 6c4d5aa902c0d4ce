//! Primary and alternate keys, judged row by row as the operation writes.
//!
//! Holds what the operation has changed so far, over the rows before it.
//! Invariant: a row that is refused changes nothing here.

use super::{Resolved, Rows};
use crate::Reason;
use crate::alternate::{self, KeyParts};
use model::{AlternateKey, Cell, KeyIndex, Table, Uuid, Value};
use std::collections::{HashMap, HashSet};

/// The keys of one table while an operation writes it.
pub(super) struct Unique<'a, R> {
    rows: &'a R,
    table: &'a Table,
    inserted: HashSet<Uuid>,
    /// For each alternate key, who has a value of it now; none if it was given up.
    owners: Vec<HashMap<KeyParts, Option<Uuid>>>,
    /// Cells of columns of alternate keys that were written so far to rows which were there before. An operation does
    /// not come back to a row that it makes.
    written: HashMap<Uuid, Vec<Cell>>,
}

impl<'a, R: Rows> Unique<'a, R> {
    /// `count`: how many rows will be asked about.
    pub(super) fn new(rows: &'a R, table: &'a Table, count: usize) -> Self {
        Self {
            rows,
            table,
            inserted: HashSet::with_capacity(count),
            owners: table.keys.iter().map(|_| HashMap::with_capacity(count)).collect(),
            written: HashMap::new(),
        }
    }

    /// Writes the row's keys, unless one of them is taken.
    pub(super) fn take(&mut self, row: &Resolved) -> Result<(), Reason> {
        let id = row.id();
        let is_new = match row {
            Resolved::Insert { .. } => true,
            Resolved::Update { .. } => false,
            Resolved::Delete { .. } => return Ok(()),
        };
        if is_new && (self.inserted.contains(&id) || self.rows.version(self.table.id, id).is_some())
        {
            return Err(Reason::DuplicateId);
        }
        let mut changes = Vec::new();
        for (index, key) in keys(self.table) {
            let touched =
                is_new || row.cells().iter().any(|cell| key.columns.contains(&cell.column));
            if !touched {
                continue;
            }
            let new = self.parts(id, is_new, key, row.cells());
            if let Some(parts) = &new
                && self.owner(index, parts).is_some_and(|owner| owner != id)
            {
                return Err(Reason::DuplicateKey { key: index });
            }
            let old = if is_new { None } else { self.parts(id, false, key, &[]) };
            changes.push((index, old, new));
        }
        for (index, old, new) in changes {
            let owners = &mut self.owners[usize::from(index.0)];
            if let Some(parts) = old {
                owners.insert(parts, None);
            }
            if let Some(parts) = new {
                owners.insert(parts, Some(id));
            }
        }
        if is_new {
            self.inserted.insert(id);
        } else if !self.table.keys.is_empty() {
            let of_keys = row.cells().iter().filter(|cell| {
                self.table.keys.iter().any(|key| key.columns.contains(&cell.column))
            });
            self.written.entry(id).or_default().extend(of_keys.cloned());
        }
        Ok(())
    }

    fn owner(&self, key: KeyIndex, parts: &KeyParts) -> Option<Uuid> {
        match self.owners[usize::from(key.0)].get(parts) {
            Some(owner) => *owner,
            None => self.rows.find(self.table, key, parts),
        }
    }

    /// The key of a row with these cells on top of what it holds now.
    fn parts(
        &self,
        id: Uuid,
        is_new: bool,
        key: &AlternateKey,
        cells: &[Cell],
    ) -> Option<KeyParts> {
        let written = self.written.get(&id).map_or(&[][..], Vec::as_slice);
        let values: Vec<Value> = key
            .columns
            .iter()
            .map(|column| {
                let own =
                    cells.iter().chain(written.iter().rev()).find(|cell| cell.column == *column);
                match own {
                    Some(cell) => cell.value.clone(),
                    None if is_new => Value::Null,
                    None => self.rows.value(self.table, id, *column),
                }
            })
            .collect();
        values.iter().map(alternate::part_of).collect()
    }
}

/// The alternate keys with their places.
fn keys(table: &Table) -> impl Iterator<Item = (KeyIndex, &AlternateKey)> {
    table.keys.iter().enumerate().map(|(place, key)| {
        (KeyIndex(u16::try_from(place).expect("at most 10 alternate keys")), key)
    })
}
