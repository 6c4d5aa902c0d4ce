//! Writes the rows of an operation: new ones and changed ones, in index order.
//!
//! One prepared statement for the new rows, with the columns that any of them brings; one per column
//! set for the changes, and above [`SETS_MAX`] sets a single one that is told per column whether it is
//! written. They are bound anew row after row.
//! Invariant: rows are written in index order, so versions ascend with the index and unique indexes
//! judge row by row.

use super::Work;
use super::binder::{Binder, width};
use super::resolve;
use crate::names::{self, LookupTable, Storage};
use crate::sqlite::error::Halt;
use crate::sqlite::session::Lent;
use model::{Cell, ColumnIndex, Table, TableId, Uuid, Value};
use std::collections::{HashMap, HashSet};
use store::writes::is_checked;

/// Column sets of changes in one message that get a statement each.
const SETS_MAX: usize = 8;

/// Whether a row is made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    Update,
}

/// A row to be written, resolved but for what all rows share.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) id: Uuid,
    /// Own cells, further cells of a new row, resolved binds. No column twice.
    pub(super) parts: [&'a [Cell]; 3],
}

impl<'a> Draft<'a> {
    pub(super) fn cells(&self) -> impl Iterator<Item = &'a Cell> + use<'a> {
        let [first, second, third] = self.parts;
        first.iter().chain(second).chain(third)
    }
}

/// Checks the lookups of all rows, then writes the rows.
pub(super) fn write(
    work: &mut Work<'_, '_>,
    table: &Table,
    insert_constants: &[Cell],
    update_constants: &[Cell],
    drafts: &[Draft<'_>],
) -> Result<(), Halt> {
    check_lookups(work, table, [insert_constants, update_constants], drafts)?;
    let mut insert = None;
    let mut updates = None;
    for draft in drafts {
        match draft.kind {
            Kind::Insert => match &mut insert {
                Some(_) => {}
                none => *none = Some(Inserter::new(work, table, insert_constants, drafts)?),
            },
            Kind::Update => match &mut updates {
                Some(_) => {}
                none => *none = Some(Updater::new(work, table, update_constants, drafts)?),
            },
        }
        let version = work.versions.next();
        match (draft.kind, &mut insert, &mut updates) {
            (Kind::Insert, Some(insert), _) => insert.write(draft, version)?,
            (Kind::Update, _, Some(updates)) => updates.write(draft, version)?,
            _ => unreachable!("the writer of this kind was made just now"),
        }
    }
    Ok(())
}

/// Refuses when a checked lookup points to a row that is neither there nor made by this operation.
fn check_lookups(
    work: &Work<'_, '_>,
    table: &Table,
    constants: [&[Cell]; 2],
    drafts: &[Draft<'_>],
) -> Result<(), Halt> {
    let checked: Vec<bool> = table
        .columns
        .iter()
        .map(|column| matches!(column.kind, model::ColumnKind::Lookup { .. }) && is_checked(column))
        .collect();
    let mut wanted: HashMap<TableId, HashSet<Uuid>> = HashMap::new();
    // Rows of one message often point to the same record as the row before.
    let mut last = None;
    let mut want = |cell: &Cell| {
        if let Value::Lookup(lookup) = &cell.value
            && checked[usize::from(cell.column.0)]
            && last != Some(*lookup)
        {
            last = Some(*lookup);
            wanted.entry(lookup.table).or_default().insert(lookup.id);
        }
    };
    for draft in drafts {
        let [own, more, _] = draft.parts;
        own.iter().chain(more).for_each(&mut want);
    }
    for (kind, constants) in [Kind::Insert, Kind::Update].into_iter().zip(constants) {
        for cell in constants {
            let is_used = matches!(cell.value, Value::Lookup(_))
                && drafts.iter().any(|draft| {
                    draft.kind == kind && draft.cells().all(|own| own.column != cell.column)
                });
            if is_used {
                want(cell);
            }
        }
    }
    for (target, mut ids) in wanted {
        if target == table.id {
            for draft in drafts.iter().filter(|draft| draft.kind == Kind::Insert) {
                ids.remove(&draft.id);
            }
        }
        if ids.is_empty() {
            continue;
        }
        let Some(target) = work.catalog.table_by_id(target) else { return Err(Halt::Refused) };
        let mut ids: Vec<Uuid> = ids.into_iter().collect();
        ids.sort_unstable();
        if !resolve::all_exist(work, target.definition(), &ids)? {
            return Err(Halt::Refused);
        }
    }
    Ok(())
}

/// The stored columns of a set with their forms, by place; key and version are not among them.
fn stored(
    work: &Work<'_, '_>,
    table: &Table,
    is_in: impl Fn(ColumnIndex) -> bool,
) -> Vec<(ColumnIndex, Storage)> {
    let version = table.version_column();
    table
        .indexed_columns()
        .filter(|(index, column)| {
            names::is_stored(column) && *index != table.primary_key && *index != version
        })
        .filter(|(index, _)| is_in(*index))
        .map(|(index, _)| (index, names::storage(work.catalog, table.definition(), index)))
        .collect()
}

/// Writes new rows.
struct Inserter<'a, 's, 'c> {
    statement: Lent<'s, 'c>,
    binder: Binder<'a>,
}

impl<'a, 's, 'c> Inserter<'a, 's, 'c> {
    fn new(
        work: &Work<'s, 'c>,
        table: &Table,
        constants: &'a [Cell],
        drafts: &[Draft<'_>],
    ) -> Result<Self, Halt> {
        let mut used = vec![false; table.columns.len()];
        let inserts = drafts.iter().filter(|draft| draft.kind == Kind::Insert);
        for cell in constants.iter().chain(inserts.flat_map(Draft::cells)) {
            used[usize::from(cell.column.0)] = true;
        }
        let columns = stored(work, table, |index| used[usize::from(index.0)]);
        let binder = Binder::new(table.columns.len(), columns, constants, 3, false);
        let mut sql = format!(
            "INSERT INTO {} ({}, {}",
            names::table(table.id),
            names::column(table.column(table.primary_key).id),
            names::column(table.column(table.version_column()).id)
        );
        for slot in binder.slots() {
            for name in physical(table, slot.column, slot.storage) {
                sql.push_str(", ");
                sql.push_str(&name);
            }
        }
        sql.push_str(") VALUES (?1, ?2");
        for place in 3..binder.end().unwrap_or(3) {
            sql.push_str(", ?");
            sql.push_str(&place.to_string());
        }
        sql.push(')');
        let mut statement = work.session.statement(&sql)?;
        binder.start(&mut statement)?;
        Ok(Self { statement, binder })
    }

    fn write(&mut self, draft: &Draft<'_>, version: i64) -> Result<(), Halt> {
        self.statement.raw_bind_parameter(1, draft.id.as_bytes().as_slice())?;
        self.statement.raw_bind_parameter(2, version)?;
        self.binder.row(&mut self.statement, draft.cells())?;
        self.statement.raw_execute()?;
        Ok(())
    }
}

/// The columns that rows of one form write, ascending.
type ColumnSet = Vec<ColumnIndex>;

/// Writes changes.
struct Updater<'a, 's, 'c> {
    sets: HashMap<ColumnSet, usize>,
    statements: Vec<(Lent<'s, 'c>, Binder<'a>)>,
}

impl<'a, 's, 'c> Updater<'a, 's, 'c> {
    fn new(
        work: &Work<'s, 'c>,
        table: &Table,
        constants: &'a [Cell],
        drafts: &[Draft<'_>],
    ) -> Result<Self, Halt> {
        let mut sets: HashMap<ColumnSet, usize> = HashMap::new();
        for draft in drafts.iter().filter(|draft| draft.kind == Kind::Update) {
            let set = column_set(draft);
            if !sets.contains_key(&set) {
                let place = sets.len();
                sets.insert(set, place);
            }
        }
        let mut statements = Vec::new();
        if sets.len() <= SETS_MAX {
            let mut ordered: Vec<(&ColumnSet, &usize)> = sets.iter().collect();
            ordered.sort_unstable_by_key(|(_, place)| **place);
            for (set, _) in ordered {
                let columns = stored(work, table, |index| {
                    set.contains(&index) || constants.iter().any(|cell| cell.column == index)
                });
                let binder = Binder::new(table.columns.len(), columns, constants, 3, false);
                statements.push(Self::prepare(work, table, binder)?);
            }
        } else {
            let union: HashSet<ColumnIndex> = sets.keys().flatten().copied().collect();
            let columns = stored(work, table, |index| {
                union.contains(&index) || constants.iter().any(|cell| cell.column == index)
            });
            let binder = Binder::new(table.columns.len(), columns, constants, 3, true);
            statements.push(Self::prepare(work, table, binder)?);
            sets.clear();
        }
        Ok(Self { sets, statements })
    }

    fn prepare(
        work: &Work<'s, 'c>,
        table: &Table,
        binder: Binder<'a>,
    ) -> Result<(Lent<'s, 'c>, Binder<'a>), Halt> {
        let mut sql = format!(
            "UPDATE {} SET {} = ?2",
            names::table(table.id),
            names::column(table.column(table.version_column()).id)
        );
        for slot in binder.slots() {
            let parameters = slot.place..slot.place + width(slot.storage);
            for (name, place) in
                physical(table, slot.column, slot.storage).into_iter().zip(parameters)
            {
                sql.push_str(&match slot.mask {
                    Some(mask) => format!(", {name} = iif(?{mask}, ?{place}, {name})"),
                    None => format!(", {name} = ?{place}"),
                });
            }
        }
        sql.push_str(&format!(" WHERE {} = ?1", names::column(table.column(table.primary_key).id)));
        let mut statement = work.session.statement(&sql)?;
        binder.start(&mut statement)?;
        Ok((statement, binder))
    }

    fn write(&mut self, draft: &Draft<'_>, version: i64) -> Result<(), Halt> {
        // With a single statement there is nothing to choose.
        let place = match self.statements.len() {
            1 => 0,
            _ => self.sets.get(&column_set(draft)).copied().unwrap_or(0),
        };
        let (statement, binder) = &mut self.statements[place];
        statement.raw_bind_parameter(1, draft.id.as_bytes().as_slice())?;
        statement.raw_bind_parameter(2, version)?;
        binder.row(statement, draft.cells())?;
        match statement.raw_execute()? {
            1 => Ok(()),
            _ => Err(Halt::Refused),
        }
    }
}

fn column_set(draft: &Draft<'_>) -> ColumnSet {
    let mut set: ColumnSet = draft.cells().map(|cell| cell.column).collect();
    set.sort_unstable();
    set
}

/// The physical columns of a column: its value and its companion.
fn physical(table: &Table, column: ColumnIndex, storage: Storage) -> Vec<String> {
    let id = table.column(column).id;
    let mut physical = vec![names::column(id)];
    match storage {
        Storage::Text { folded: true } => physical.push(names::folded(id)),
        Storage::Lookup(LookupTable::Column) => physical.push(names::lookup_table(id)),
        _ => {}
    }
    physical
}
