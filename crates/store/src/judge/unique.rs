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
    /// Who has a key now; none if it was given up.
    owners: HashMap<(KeyIndex, KeyParts), Option<Uuid>>,
    /// Cells that were written to rows so far.
    written: HashMap<Uuid, Vec<Cell>>,
}

impl<'a, R: Rows> Unique<'a, R> {
    pub(super) fn new(rows: &'a R, table: &'a Table) -> Self {
        Self {
            rows,
            table,
            inserted: HashSet::new(),
            owners: HashMap::new(),
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
            if let Some(parts) = old {
                self.owners.insert((index, parts), None);
            }
            if let Some(parts) = new {
                self.owners.insert((index, parts), Some(id));
            }
        }
        if is_new {
            self.inserted.insert(id);
        }
        if !self.table.keys.is_empty() {
            self.written.entry(id).or_default().extend_from_slice(row.cells());
        }
        Ok(())
    }

    fn owner(&self, key: KeyIndex, parts: &KeyParts) -> Option<Uuid> {
        match self.owners.get(&(key, parts.clone())) {
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
                    None if is_new || self.inserted.contains(&id) => Value::Null,
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
