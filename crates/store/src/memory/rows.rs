//! The state of the reference store: definitions, rows by table and id, rows by alternate key.
//!
//! Not here: what may be written (`judge`), what a delete does to other rows (`cascade`).
//! Invariant: each row has one value per column of its table, and every alternate key of every row
//! stands in its table's map of that key.

use crate::alternate::{self, KeyParts};
use crate::judge::Rows;
use crate::writes::Fill;
use crate::{Deleted, Error, Numbers, Piece, RowKey};
use model::{
    Catalog, Cell, ColumnId, ColumnIndex, ColumnKind, KeyIndex, Table, TableId, Timestamp, Uuid,
    Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that the store holds.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) catalog: Arc<Catalog>,
    tables: BTreeMap<TableId, TableRows>,
    /// The last row version that was given.
    version: i64,
    /// Tables whose deleted rows are remembered.
    followed: BTreeSet<TableId>,
    /// Deleted rows of such tables, by the version of their delete.
    deleted: BTreeMap<(TableId, i64), (Uuid, Timestamp)>,
    /// Pieces of files, by file and name.
    pieces: BTreeMap<(Uuid, Box<str>), Arc<Piece>>,
    /// The next number of each counter.
    numbers: BTreeMap<(TableId, ColumnId), i64>,
}

#[derive(Clone, Debug, Default)]
struct TableRows {
    rows: BTreeMap<Uuid, Arc<[Value]>>,
    keys: Vec<BTreeMap<KeyParts, Uuid>>,
}

/// Existing rows that share a new alternate key.
#[derive(Debug)]
pub(super) struct KeyClash {
    pub(super) table: TableId,
    pub(super) key: KeyIndex,
    pub(super) key_id: u32,
}

impl State {
    /// Takes new definitions over: new columns are null, what is dropped goes with its values, and new
    /// keys are built over the rows there are.
    pub(super) fn adopt(&mut self, catalog: Arc<Catalog>) -> Result<(), KeyClash> {
        let before = std::mem::replace(&mut self.catalog, catalog.clone());
        self.tables.retain(|id, _| catalog.table_by_id(*id).is_some());
        self.adopt_counters(&catalog);
        for table in catalog.tables() {
            let held = self.tables.entry(table.id).or_default();
            let old = before.table_by_id(table.id);
            if let Some(old) = old.filter(|old| !Arc::ptr_eq(old, table)) {
                held.rearrange(&before, old, table);
            }
            let numbers = old.map_or(&[][..], |old| &old.keys).iter().map(|key| key.id);
            let mut known: BTreeMap<u32, BTreeMap<KeyParts, Uuid>> =
                numbers.zip(std::mem::take(&mut held.keys)).collect();
            for (place, key) in table.keys.iter().enumerate() {
                let ids = match known.remove(&key.id) {
                    Some(ids) => ids,
                    None => held.index(table, place)?,
                };
                held.keys.push(ids);
            }
        }
        Ok(())
    }

    /// A counter for each column that has one.
    fn adopt_counters(&mut self, catalog: &Catalog) {
        let known = std::mem::take(&mut self.numbers);
        for table in catalog.tables() {
            for column in &table.columns {
                let Some(seed) = column.settings.number_seed else { continue };
                let place = (table.id, column.id);
                self.numbers.insert(place, known.get(&place).copied().unwrap_or(seed));
            }
        }
    }

    /// Lets a counter go on with a number.
    pub(super) fn restart_numbers(&mut self, place: (TableId, ColumnId), seed: i64) {
        if let Some(next) = self.numbers.get_mut(&place) {
            *next = seed;
        }
    }

    /// Takes numbers of counters.
    pub(super) fn take_numbers(&mut self, wanted: &[Numbers]) -> Result<Vec<Vec<i64>>, Error> {
        let mut taken = Vec::with_capacity(wanted.len());
        for one in wanted {
            let next = self.numbers.get_mut(&(one.table, one.column));
            let next = next.ok_or_else(|| one.no_counter())?;
            let first = *next;
            *next += i64::try_from(one.count).unwrap_or(i64::MAX);
            taken.push((first..*next).collect());
        }
        Ok(taken)
    }

    /// The number that a counter gives next.
    pub(super) fn next_number(&self, place: (TableId, ColumnId)) -> Option<i64> {
        self.numbers.get(&place).copied()
    }

    /// The rows of a table, by id.
    pub(super) fn rows_of(&self, table: TableId) -> impl Iterator<Item = &[Value]> {
        self.tables.get(&table).into_iter().flat_map(|held| held.rows.values().map(|row| &**row))
    }

    /// The rows of a table with their ids.
    pub(super) fn ids_and_rows(&self, table: TableId) -> impl Iterator<Item = (Uuid, &[Value])> {
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(|held| held.rows.iter().map(|(id, row)| (*id, &**row)))
    }

    /// Writes a new row; it was judged.
    pub(super) fn insert(&mut self, table: &Table, id: Uuid, cells: Vec<Cell>) {
        let mut row = vec![Value::Null; table.columns.len()];
        row[usize::from(table.primary_key.0)] = Value::Guid(id);
        self.put(table, id, row, cells);
    }

    /// Changes a row that exists; it was judged.
    pub(super) fn update(&mut self, table: &Table, id: Uuid, cells: Vec<Cell>) {
        let old = self.tables.get(&table.id).and_then(|held| held.rows.get(&id));
        let row = old.expect("the judge has seen the row").to_vec();
        self.put(table, id, row, cells);
    }

    /// Keeps a piece of a file.
    pub(super) fn put_piece(&mut self, piece: Piece) {
        self.pieces.insert((piece.file, piece.name.clone()), Arc::new(piece));
    }

    /// A piece of a file.
    pub(super) fn piece(&self, file: Uuid, name: &str) -> Option<&Arc<Piece>> {
        self.pieces.get(&(file, name.into()))
    }

    /// The pieces of a file, by name.
    pub(super) fn pieces(&self, file: Uuid) -> impl Iterator<Item = &Arc<Piece>> {
        self.pieces
            .range((file, Box::default())..)
            .take_while(move |((of, _), _)| *of == file)
            .map(|(_, piece)| piece)
    }

    /// Forgets old pieces of files that no row names.
    pub(super) fn forget_pieces(&mut self, named_by: &[(TableId, ColumnIndex)], before: Timestamp) {
        let named: BTreeSet<Uuid> = named_by
            .iter()
            .flat_map(|(table, column)| {
                self.rows_of(*table).filter_map(|row| row[usize::from(column.0)].as_id())
            })
            .collect();
        self.pieces.retain(|(file, _), piece| named.contains(file) || piece.at >= before);
    }

    /// Completes rows that have nothing in the first of the columns.
    pub(super) fn fill(&mut self, op: &Fill) {
        let Some(first) = op.cells.first() else { return };
        for key in &op.rows {
            let id = match key {
                RowKey::Id(id) => Some(*id),
                RowKey::Alternate(key) => alternate::parts_of_key(key)
                    .and_then(|parts| self.find(&op.table, key.key, &parts)),
            };
            let held = self.tables.entry(op.table.id).or_default();
            let Some(row) = id.and_then(|id| held.rows.get_mut(&id)) else { continue };
            if row[usize::from(first.column.0)].is_null() {
                let mut filled = row.to_vec();
                for cell in &op.cells {
                    filled[usize::from(cell.column.0)] = cell.value.clone();
                }
                *row = filled.into();
            }
        }
    }

    /// Takes a row away.
    pub(super) fn remove(&mut self, table: &Table, id: Uuid, now: Timestamp) {
        let held = self.tables.entry(table.id).or_default();
        if let Some(row) = held.rows.remove(&id) {
            held.forget_keys(table, &row);
            if self.followed.contains(&table.id) {
                self.version += 1;
                self.deleted.insert((table.id, self.version), (id, now));
            }
        }
    }

    /// Begins to remember the deleted rows of a table.
    pub(super) fn follow(&mut self, table: TableId) {
        self.followed.insert(table);
    }

    /// The last row version that was given.
    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// The rows that were deleted above a version and are not there again.
    pub(super) fn deleted(&self, table: TableId, after: i64) -> impl Iterator<Item = Deleted> {
        let rows = self.tables.get(&table).map(|held| &held.rows);
        self.deleted
            .range((table, after.saturating_add(1))..=(table, i64::MAX))
            .map(|((_, version), (id, _))| Deleted { id: *id, version: *version })
            .filter(move |deleted| rows.is_none_or(|rows| !rows.contains_key(&deleted.id)))
    }

    /// Forgets what was deleted before a time.
    pub(super) fn forget_deleted(&mut self, before: Timestamp) {
        self.deleted.retain(|_, (_, at)| *at >= before);
    }

    fn put(&mut self, table: &Table, id: Uuid, mut row: Vec<Value>, cells: Vec<Cell>) {
        for cell in cells {
            row[usize::from(cell.column.0)] = cell.value;
        }
        self.version += 1;
        row[usize::from(table.version_column().0)] = Value::BigInt(self.version);
        let held = self.tables.entry(table.id).or_default();
        if let Some(old) = held.rows.remove(&id) {
            held.forget_keys(table, &old);
        }
        held.keys.resize_with(table.keys.len(), BTreeMap::new);
        for (place, ids) in held.keys.iter_mut().enumerate() {
            let index = KeyIndex(u16::try_from(place).expect("at most 10 alternate keys"));
            if let Some(parts) = parts(table, index, &row) {
                let before = ids.insert(parts, id);
                assert!(before.is_none(), "the judge lets no key through twice");
            }
        }
        held.rows.insert(id, row.into());
    }
}

impl TableRows {
    /// Brings every row from the columns of one definition to those of another.
    fn rearrange(&mut self, catalog: &Catalog, old: &Table, new: &Table) {
        let sources: Vec<Option<usize>> = new
            .columns
            .iter()
            .map(|column| old.columns.iter().position(|known| known.id == column.id))
            .collect();
        let same = old.columns.len() == new.columns.len()
            && sources.iter().enumerate().all(|(place, source)| *source == Some(place));
        let lost = lost_targets(catalog, old, new);
        if same && lost.is_empty() {
            return;
        }
        for row in self.rows.values_mut() {
            let moved = sources.iter().enumerate().map(|(place, source)| {
                let value = source.map_or(Value::Null, |source| row[source].clone());
                match &value {
                    Value::Lookup(lookup) if lost.contains(&(place, lookup.table)) => Value::Null,
                    _ => value,
                }
            });
            *row = moved.collect();
        }
    }

    /// Builds an alternate key over the rows there are.
    fn index(&self, table: &Table, place: usize) -> Result<BTreeMap<KeyParts, Uuid>, KeyClash> {
        let index = KeyIndex(u16::try_from(place).expect("at most 10 alternate keys"));
        let mut ids = BTreeMap::new();
        for (id, row) in &self.rows {
            if let Some(parts) = parts(table, index, row)
                && ids.insert(parts, *id).is_some()
            {
                let key_id = table.key(index).id;
                return Err(KeyClash { table: table.id, key: index, key_id });
            }
        }
        Ok(ids)
    }

    fn forget_keys(&mut self, table: &Table, row: &[Value]) {
        for (place, ids) in self.keys.iter_mut().enumerate() {
            let index = KeyIndex(u16::try_from(place).expect("at most 10 alternate keys"));
            if let Some(parts) = parts(table, index, row) {
                ids.remove(&parts);
            }
        }
    }
}

/// By place of the new column: tables that its lookup led to and leads to no more.
fn lost_targets(catalog: &Catalog, old: &Table, new: &Table) -> BTreeSet<(usize, TableId)> {
    let mut lost = BTreeSet::new();
    for (place, column) in new.columns.iter().enumerate() {
        let before = old.columns.iter().find(|known| known.id == column.id);
        let (
            Some(ColumnKind::Lookup { targets: before, .. }),
            ColumnKind::Lookup { targets: after, .. },
        ) = (before.map(|column| &column.kind), &column.kind)
        else {
            continue;
        };
        let gone =
            before.iter().filter(|target| after.iter().all(|kept| kept.table != target.table));
        lost.extend(gone.filter_map(|target| Some((place, catalog.table(&target.table)?.id))));
    }
    lost
}

fn parts(table: &Table, key: KeyIndex, row: &[Value]) -> Option<KeyParts> {
    alternate::parts_of_row(table.key(key), |column| &row[usize::from(column.0)])
}

impl Rows for State {
    fn version(&self, table: TableId, id: Uuid) -> Option<i64> {
        let row = self.tables.get(&table)?.rows.get(&id)?;
        let column = self.catalog.table_by_id(table)?.version_column();
        match row[usize::from(column.0)] {
            Value::BigInt(version) => Some(version),
            _ => None,
        }
    }

    fn value(&self, table: &Table, id: Uuid, column: ColumnIndex) -> Value {
        self.tables
            .get(&table.id)
            .and_then(|held| held.rows.get(&id))
            .map_or(Value::Null, |row| row[usize::from(column.0)].clone())
    }

    fn find(&self, table: &Table, key: KeyIndex, parts: &KeyParts) -> Option<Uuid> {
        self.tables.get(&table.id)?.keys.get(usize::from(key.0))?.get(parts).copied()
    }
}
