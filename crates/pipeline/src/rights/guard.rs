//! What a write must hold: privileges before it is planned, conditions on rows once it is.
//!
//! In: a [`Write`] or its operation, and the caller's [`Access`]. Out: a fault, or checks that the store
//! makes inside the transaction. Pure but for shares, which are looked up before.
//! Source: webapi.md 23.5, 23.6.
//! Invariants: where an action reaches all rows there is no check; the number of checks depends on the
//! kinds of work, never on the number of rows. The order in which they are told: the action on the row
//! itself, `Append`, `Assign`, then `AppendTo` on the rows that are pointed to, by table.

use super::{Access, Making, Shares, ends, owner_columns};
use crate::fault;
use crate::message::Write;
use crate::privilege::{self, Action};
use model::{
    Bind, Catalog, Cell, ColumnIndex, ColumnKind, DeleteAction, Failure, Fault, LookupValue,
    MessageName, Ownership, Spreading, Table, TableId, Uuid, Value,
};
use query::Filter;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use store::writes::{self, WriteOp};
use store::{Check, CheckRow, Denial, Purpose, RowKey, Spreads};

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The caller's reach.
    Reach(Action),
    /// A new owner who may not read the table: no row may get it.
    NewOwner,
}

/// A check with what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) check: Check,
    pub(crate) about: About,
}

/// Users and teams that may not read a table.
pub(crate) type Unable = BTreeMap<TableId, BTreeSet<Uuid>>;

/// Owner and business unit of rows that a message makes.
pub(crate) type Made = HashMap<(TableId, Uuid), (Option<Uuid>, Option<Uuid>)>;

/// What of a target asks for privileges.
pub(crate) struct Asked<'a> {
    /// The columns that are written.
    pub(crate) cells: &'a [Cell],
    /// The lookups by alternate key.
    pub(crate) binds: &'a [Bind],
}

/// Refuses a message for which a privilege is missing altogether.
pub(crate) fn privileges(access: &Access, catalog: &Catalog, message: &Write) -> Result<(), Fault> {
    let targets = message.targets.iter();
    let asked = targets.map(|target| Asked { cells: &target.cells, binds: &target.binds });
    privileges_of(access, catalog, (message.name, &message.table), asked)
}

/// The same for targets that are not yet those of a write.
pub(crate) fn privileges_of<'a>(
    access: &Access,
    catalog: &Catalog,
    (name, table): (MessageName, &Table),
    targets: impl Iterator<Item = Asked<'a>>,
) -> Result<(), Fault> {
    if table.is_intersect {
        for (_, end) in ends(catalog, table) {
            access.require_on(end, Action::Append)?;
        }
        return Ok(());
    }
    match name {
        MessageName::Create | MessageName::CreateMultiple => {
            access.require_on(table, Action::Create)?;
        }
        MessageName::Update | MessageName::UpdateMultiple => {
            access.require_on(table, Action::Write)?;
        }
        MessageName::Upsert | MessageName::UpsertMultiple => {
            if access.reaches_nothing(table, Action::Write) {
                access.require_on(table, Action::Create)?;
            }
        }
        MessageName::Delete | MessageName::DeleteMultiple => {
            access.require_on(table, Action::Delete)?;
        }
        // Pairs were dealt with; reads are no writes.
        MessageName::Associate
        | MessageName::Disassociate
        | MessageName::Retrieve
        | MessageName::RetrieveMultiple => {}
    }
    if !matches!(name, MessageName::Delete | MessageName::DeleteMultiple) {
        of_cells(access, catalog, (name, table), targets)?;
    }
    Ok(())
}

fn of_cells<'a>(
    access: &Access,
    catalog: &Catalog,
    (name, table): (MessageName, &Table),
    targets: impl Iterator<Item = Asked<'a>>,
) -> Result<(), Fault> {
    let overridden = table.index_of("overriddencreatedon");
    let mut pointed: BTreeSet<TableId> = BTreeSet::new();
    let mut appends = false;
    let mut overrides = false;
    for target in targets {
        for cell in target.cells {
            if is_link(table, cell.column) {
                appends = true;
                if let Value::Lookup(lookup) = &cell.value {
                    pointed.insert(lookup.table);
                }
            }
            overrides |= Some(cell.column) == overridden && !cell.value.is_null();
        }
        appends |= !target.binds.is_empty();
        pointed.extend(target.binds.iter().map(|bind| bind.table.id));
    }
    if appends {
        access.require_on(table, Action::Append)?;
    }
    let makes = !matches!(name, MessageName::Update | MessageName::UpdateMultiple);
    if overrides && makes {
        access.require(privilege::OVERRIDE_CREATED_ON)?;
    }
    for target in pointed {
        if let Some(target) = catalog.table_by_id(target) {
            access.require_on(target, Action::AppendTo)?;
        }
    }
    Ok(())
}

/// Whether a column is a lookup that a caller sets, and not one of those that every row has.
pub(crate) fn is_link(table: &Table, column: ColumnIndex) -> bool {
    let column = table.column(column);
    let caller_writes = column.valid_for_create || column.valid_for_update;
    matches!(column.kind, ColumnKind::Lookup { .. })
        && column.computed.is_none()
        && caller_writes
        && writes::is_checked(column)
}

/// The tables of a write where the caller does not reach all rows: where shares may matter.
pub(crate) fn limited<'a>(
    access: &Access,
    catalog: &'a Catalog,
    op: &'a WriteOp,
) -> Vec<&'a Arc<Table>> {
    let table = op.table();
    let mut found: BTreeMap<TableId, &Arc<Table>> = BTreeMap::from([(table.id, table)]);
    for (_, cells, binds) in rows_of(op) {
        for cell in cells {
            if let Value::Lookup(lookup) = &cell.value
                && is_link(table, cell.column)
                && let Some(target) = catalog.table_by_id(lookup.table)
            {
                found.insert(target.id, target);
            }
        }
        found.extend(binds.iter().map(|bind| (bind.table.id, &bind.table)));
    }
    if table.is_intersect {
        found.extend(ends(catalog, table).into_iter().map(|(_, end)| (end.id, end)));
    }
    if let WriteOp::Delete(_) = op {
        let along = along(catalog, table);
        found.extend(along.into_iter().map(|table| (table.id, table)));
    }
    if assigns(op) {
        let along = catalog.spreading_to(table.id, Spreading::Assign);
        found.extend(along.into_iter().map(|table| (table.id, table)));
    }
    let is_limited = |table: &&Arc<Table>| {
        privilege::ACTIONS.iter().any(|action| !access.reaches_all(table, *action))
    };
    found.into_values().filter(is_limited).collect()
}

/// Whether an operation gives rows that exist an owner.
pub(crate) fn assigns(op: &WriteOp) -> bool {
    let owner = owner_columns(op.table()).0.filter(|_| op.table().ownership == Ownership::User);
    let names = |cells: &[Cell]| cells.iter().any(|cell| Some(cell.column) == owner);
    match op {
        WriteOp::Update(op) => op.rows.iter().any(|row| names(&row.cells)),
        WriteOp::Upsert(op) => op.rows.iter().any(|row| names(&row.cells)),
        WriteOp::Insert(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => false,
    }
}

/// What a planned operation must hold. `made`: rows of the same message, to which this adds its own.
/// `unable`: of the owners that it names, those who may not read its table, or one that an owner goes on
/// to.
///
/// Errors: rows that the caller may not make.
pub(crate) fn checks(
    access: &Access,
    catalog: &Catalog,
    shares: &Shares<'_>,
    unable: &Unable,
    op: &WriteOp,
    made: &mut Made,
) -> Result<Vec<Guarded>, Vec<Failure>> {
    let (found, failures) = (Vec::new(), Vec::new());
    let mut guard = Guard { access, catalog, shares, unable, found, failures };
    match op {
        WriteOp::Insert(op) => {
            let making = access.making(&op.table);
            for (row, insert) in op.rows.iter().enumerate() {
                let parts: &[&[Cell]] = &[&op.constants, &insert.cells];
                guard.new_row(&op.table, &making, (row, insert.id), parts, made);
            }
        }
        WriteOp::Update(op) => {
            let keys = op
                .rows
                .iter()
                .map(|row| (&row.key, row.cells.as_slice(), false, !row.binds.is_empty()));
            guard.old_rows(&op.table, keys.collect(), made);
        }
        WriteOp::Upsert(op) => guard.upsert(op, made),
        WriteOp::Delete(op) => guard.delete(op),
        // Completes rows that other operations have written.
        WriteOp::Fill(_) => {}
    }
    if !matches!(op, WriteOp::Delete(_)) {
        guard.pointed(op, made);
    }
    if guard.failures.is_empty() { Ok(guard.found) } else { Err(guard.failures) }
}

struct Guard<'a> {
    access: &'a Access,
    catalog: &'a Catalog,
    shares: &'a Shares<'a>,
    unable: &'a Unable,
    found: Vec<Guarded>,
    failures: Vec<Failure>,
}

/// A row that may exist: its key, what is written, whether it must exist, whether it has binds.
type OldRow<'a> = (&'a RowKey, &'a [Cell], bool, bool);

impl Guard<'_> {
    fn fail(&mut self, row: usize, fault: Fault, id: Uuid) {
        self.failures.push(Failure {
            index: row,
            column: None,
            id: Some(id),
            code: fault.code,
            message: fault.message,
        });
    }

    /// The owner to be must be in reach of `Create`, and of `Append` where lookups are set.
    fn new_row(
        &mut self,
        table: &Table,
        making: &Making<'_>,
        (row, id): (usize, Uuid),
        parts: &[&[Cell]],
        made: &mut Made,
    ) {
        let (owner, unit) = whose(table, parts);
        made.insert((table.id, id), (owner, unit));
        let links = parts
            .iter()
            .copied()
            .flatten()
            .any(|cell| is_link(table, cell.column) && !cell.value.is_null());
        if let Some(action) = making.out_of_reach(links, owner, unit) {
            self.fail(row, self.access.out_of_reach(table, action, id), id);
        }
    }

    fn add(
        &mut self,
        table: &Arc<Table>,
        action: Action,
        purpose: Purpose,
        rows: Vec<CheckRow>,
        unless: Option<ColumnIndex>,
    ) {
        let allowed = self.access.filter(table, action, 0, self.shares);
        let must = rows.iter().any(|row| row.must_exist);
        if rows.is_empty() || (allowed.is_none() && !must) {
            return;
        }
        let allowed = allowed.unwrap_or(Filter::And(Vec::new()));
        let check = Check { unless, purpose, ..plain(table, rows, allowed) };
        self.found.push(Guarded { check, about: About::Reach(action) });
    }

    /// `Assign` on rows that get another owner and on those that it goes on to; none of the new owners
    /// may be unable to read its rows.
    fn assigned(&mut self, table: &Arc<Table>, rows: Vec<CheckRow>, owner: Option<ColumnIndex>) {
        if rows.is_empty() {
            return;
        }
        let along = self.catalog.spreading_to(table.id, Spreading::Assign);
        let limits = along.iter().filter_map(|along| {
            let filter = self.access.filter(along, Action::Assign, 0, self.shares)?;
            Some((Arc::clone(along), filter))
        });
        let cascades: Vec<(Arc<Table>, Filter)> = limits.collect();
        let own = self.access.filter(table, Action::Assign, 0, self.shares);
        if own.is_some() || !cascades.is_empty() {
            let allowed = own.unwrap_or(Filter::And(Vec::new()));
            let check = Check {
                unless: owner,
                purpose: Purpose::Change,
                spreads: Spreads::By(Spreading::Assign),
                cascades,
                ..plain(table, rows.clone(), allowed)
            };
            self.found.push(Guarded { check, about: About::Reach(Action::Assign) });
        }
        let nobody = BTreeSet::new();
        let unable = |table: &Table| self.unable.get(&table.id).unwrap_or(&nobody);
        let is_unable = |row: &&CheckRow| {
            let new = row.unless.as_ref().and_then(Value::as_id);
            new.is_some_and(|new| unable(table).contains(&new))
        };
        let own: Vec<CheckRow> = rows.iter().filter(is_unable).cloned().collect();
        let mut found = Vec::new();
        if !own.is_empty() {
            found.push(Check {
                unless: owner,
                purpose: Purpose::Change,
                ..plain(table, own, Filter::Or(Vec::new()))
            });
        }
        for along in along.into_iter().filter(|along| !unable(along).is_empty()) {
            found.push(Check {
                unless: owner,
                purpose: Purpose::Change,
                spreads: Spreads::By(Spreading::Assign),
                cascades: vec![(Arc::clone(along), Filter::Or(Vec::new()))],
                owners: Some(unable(along).clone()),
                ..plain(table, rows.clone(), Filter::And(Vec::new()))
            });
        }
        let about = About::NewOwner;
        self.found.extend(found.into_iter().map(|check| Guarded { check, about }));
    }

    fn old_rows(&mut self, table: &Arc<Table>, rows: Vec<OldRow<'_>>, made: &mut Made) {
        let (owner, unit) = owner_columns(table);
        let all = |wanted: &dyn Fn(&OldRow<'_>) -> bool| -> Vec<CheckRow> {
            let rows = rows.iter().enumerate().filter(|(_, row)| wanted(row));
            rows.map(|(place, (key, _, must_exist, _))| CheckRow {
                row: place,
                key: (*key).clone(),
                must_exist: *must_exist,
                unless: None,
            })
            .collect()
        };
        let links = |(_, cells, _, binds): &OldRow<'_>| {
            *binds || cells.iter().any(|cell| is_link(table, cell.column))
        };
        let new_owner = |cells: &[Cell]| {
            cells
                .iter()
                .rev()
                .find(|cell| Some(cell.column) == owner)
                .map(|cell| cell.value.clone())
        };
        let write = all(&|_| true);
        self.add(table, Action::Write, Purpose::Change, write, None);
        let appended = all(&|row| links(row));
        let appended = appended.into_iter().map(|row| CheckRow { must_exist: false, ..row });
        self.add(table, Action::Append, Purpose::Change, appended.collect(), None);
        if table.ownership == model::Ownership::User {
            let assigned: Vec<CheckRow> = rows
                .iter()
                .enumerate()
                .filter_map(|(place, (key, cells, _, _))| {
                    let unless = new_owner(cells)?;
                    Some(CheckRow {
                        row: place,
                        key: (*key).clone(),
                        must_exist: false,
                        unless: Some(unless),
                    })
                })
                .collect();
            self.assigned(table, assigned, owner);
        }
        // Rows of the same message that change hands.
        for (key, cells, _, _) in &rows {
            if let (RowKey::Id(id), Some(Value::Lookup(new))) = (key, new_owner(cells))
                && let Some(known) = made.get_mut(&(table.id, *id))
            {
                let unit = cells.iter().rev().find(|cell| Some(cell.column) == unit);
                *known = (Some(new.id), unit.and_then(|cell| cell.value.as_id()));
            }
        }
    }

    /// Rows that exist are changed, the others made: each needs what it needs.
    fn upsert(&mut self, op: &writes::Upsert, made: &mut Made) {
        let mut old: Vec<OldRow<'_>> = Vec::new();
        let mut place_of: Vec<usize> = Vec::new();
        let making = self.access.making(&op.table);
        for (place, row) in op.rows.iter().enumerate() {
            let parts: [&[Cell]; 3] = [&op.insert_constants, &row.cells, &row.insert_cells];
            let (owner, unit) = whose(&op.table, &parts);
            let links = !row.binds.is_empty()
                || row
                    .cells
                    .iter()
                    .chain(&row.insert_cells)
                    .any(|cell| is_link(&op.table, cell.column) && !cell.value.is_null());
            let may_make = making.out_of_reach(links, owner, unit).is_none();
            match &row.key {
                None if may_make => {
                    made.insert((op.table.id, row.new_id), (owner, unit));
                }
                None => {
                    let fault = not_made(self.access, &op.table, Some(row.new_id));
                    self.fail(place, fault, row.new_id);
                }
                Some(key) => {
                    place_of.push(place);
                    old.push((key, &row.cells, !may_make, !row.binds.is_empty()));
                }
            }
        }
        let before = self.found.len();
        self.old_rows(&op.table, old, made);
        for guarded in &mut self.found[before..] {
            for row in &mut guarded.check.rows {
                row.row = place_of[row.row];
            }
        }
    }

    fn delete(&mut self, op: &writes::Delete) {
        let table = &op.table;
        if table.is_intersect {
            self.parted(op);
            return;
        }
        let rows: Vec<CheckRow> = op
            .rows
            .iter()
            .enumerate()
            .map(|(row, delete)| CheckRow {
                row,
                key: delete.key.clone(),
                must_exist: false,
                unless: None,
            })
            .collect();
        let cascades: Vec<(Arc<Table>, Filter)> = along(self.catalog, table)
            .into_iter()
            .filter_map(|along| {
                let filter = self.access.filter(along, Action::Delete, 0, self.shares)?;
                Some((Arc::clone(along), filter))
            })
            .collect();
        let own = self.access.filter(table, Action::Delete, 0, self.shares);
        if own.is_none() && cascades.is_empty() {
            return;
        }
        let allowed = own.unwrap_or(Filter::And(Vec::new()));
        let check = Check { purpose: Purpose::Delete, cascades, ..plain(table, rows, allowed) };
        self.found.push(Guarded { check, about: About::Reach(Action::Delete) });
    }

    /// `Append` on both rows of every pair that is taken apart.
    fn parted(&mut self, op: &writes::Delete) {
        let mut by_table: BTreeMap<TableId, Vec<CheckRow>> = BTreeMap::new();
        let ends = ends(self.catalog, &op.table);
        for (row, delete) in op.rows.iter().enumerate() {
            let RowKey::Alternate(key) = &delete.key else { continue };
            let columns = &op.table.key(key.key).columns;
            for (column, value) in columns.iter().zip(&key.values) {
                let end = ends.iter().find(|(of, _)| of == column);
                if let (Some((_, end)), Some(id)) = (end, value.as_id()) {
                    let key = RowKey::Id(id);
                    let rows = by_table.entry(end.id).or_default();
                    rows.push(CheckRow { row, key, must_exist: false, unless: None });
                }
            }
        }
        for (end, rows) in by_table {
            if let Some(end) = self.catalog.table_by_id(end).cloned() {
                self.add(&end, Action::Append, Purpose::Point, rows, None);
            }
        }
    }

    /// `AppendTo` on every row that is pointed to; of a new pair `Append` on both of its rows.
    fn pointed(&mut self, op: &WriteOp, made: &Made) {
        let table = op.table();
        let action = if table.is_intersect { Action::Append } else { Action::AppendTo };
        let mut by_table: BTreeMap<TableId, Vec<CheckRow>> = BTreeMap::new();
        let mut seen: BTreeSet<LookupValue> = BTreeSet::new();
        for (row, cells, binds) in rows_of(op) {
            for cell in cells.iter().filter(|cell| is_link(table, cell.column)) {
                let Value::Lookup(lookup) = &cell.value else { continue };
                if !seen.insert(*lookup) {
                    continue;
                }
                if let Some((owner, unit)) = made.get(&(lookup.table, lookup.id)) {
                    self.made_target(row, action, *lookup, (*owner, *unit));
                    continue;
                }
                let key = RowKey::Id(lookup.id);
                let rows = by_table.entry(lookup.table).or_default();
                rows.push(CheckRow { row, key, must_exist: false, unless: None });
            }
            for bind in binds {
                let key = RowKey::Alternate(bind.key.clone());
                let rows = by_table.entry(bind.table.id).or_default();
                rows.push(CheckRow { row, key, must_exist: false, unless: None });
            }
        }
        for (target, rows) in by_table {
            if let Some(target) = self.catalog.table_by_id(target).cloned() {
                self.add(&target, action, Purpose::Point, rows, None);
            }
        }
    }

    fn made_target(
        &mut self,
        row: usize,
        action: Action,
        lookup: LookupValue,
        (owner, unit): (Option<Uuid>, Option<Uuid>),
    ) {
        let Some(target) = self.catalog.table_by_id(lookup.table) else { return };
        if !self.access.reach(target, action).covers(owner, unit) {
            let fault = self.access.out_of_reach(target, action, lookup.id);
            self.fail(row, fault, lookup.id);
        }
    }
}

/// A check of rows that others will point to.
pub(crate) fn plain(table: &Arc<Table>, rows: Vec<CheckRow>, allowed: Filter) -> Check {
    Check {
        op: 0,
        table: Arc::clone(table),
        rows,
        allowed,
        unless: None,
        purpose: Purpose::Point,
        spreads: Spreads::Delete,
        cascades: Vec::new(),
        owners: None,
    }
}

/// Whose a row will be: owner and business unit, the later part winning.
fn whose(table: &Table, parts: &[&[Cell]]) -> (Option<Uuid>, Option<Uuid>) {
    let (owner, unit) = owner_columns(table);
    let value = |column: Option<ColumnIndex>| {
        let cells = parts.iter().rev().flat_map(|part| part.iter().rev());
        let mut cells = cells.filter(|cell| Some(cell.column) == column);
        cells.next().and_then(|cell| cell.value.as_id())
    };
    // A new business unit is one of its parent's.
    let unit = match &*table.logical_name {
        "businessunit" => table.index_of("parentbusinessunitid"),
        _ => unit,
    };
    (value(owner), value(unit))
}

/// Rows of an operation: place, own cells, binds.
type RowParts<'a> = (usize, Vec<&'a Cell>, &'a [Bind]);

fn rows_of(op: &WriteOp) -> Vec<RowParts<'_>> {
    match op {
        WriteOp::Insert(op) => {
            let rows = op.rows.iter().enumerate();
            rows.map(|(at, row)| (at, row.cells.iter().collect(), row.binds.as_slice())).collect()
        }
        WriteOp::Update(op) => {
            let rows = op.rows.iter().enumerate();
            rows.map(|(at, row)| (at, row.cells.iter().collect(), row.binds.as_slice())).collect()
        }
        WriteOp::Upsert(op) => {
            let rows = op.rows.iter().enumerate();
            rows.map(|(at, row)| {
                (at, row.cells.iter().chain(&row.insert_cells).collect(), row.binds.as_slice())
            })
            .collect()
        }
        WriteOp::Delete(_) | WriteOp::Fill(_) => Vec::new(),
    }
}

/// The tables whose rows go along with deleted ones, directly or further on.
pub(crate) fn along<'a>(catalog: &'a Catalog, table: &Table) -> Vec<&'a Arc<Table>> {
    let mut found: Vec<&Arc<Table>> = Vec::new();
    let mut open = vec![table.id];
    while let Some(table) = open.pop() {
        for relationship in catalog.referencing_by(table, DeleteAction::Cascade) {
            if let Some(next) = catalog.table(&relationship.referencing_table)
                && found.iter().all(|known| known.id != next.id)
            {
                found.push(next);
                open.push(next.id);
            }
        }
    }
    found
}

/// The fault of a row that the caller may not make.
pub(crate) fn not_made(access: &Access, table: &Table, id: Option<Uuid>) -> Fault {
    let denied = access.require_on(table, Action::Create).err();
    denied.unwrap_or_else(|| access.out_of_reach(table, Action::Create, id.unwrap_or_default()))
}

/// The fault of a row that did not pass a check.
pub(crate) fn denied(
    access: &Access,
    catalog: &Catalog,
    guarded: (About, &Table),
    denial: &Denial,
) -> Fault {
    let (about, own) = guarded;
    let table = catalog.table_by_id(denial.table).map_or(own, |table| table);
    let About::Reach(action) = about else { return fault::owner_without_read(table) };
    let action = if denial.exists { action } else { Action::Create };
    if let Err(fault) = access.require_on(table, action) {
        return fault;
    }
    match denial.id {
        Some(id) => access.out_of_reach(table, action, id),
        None => fault::access_denied_by_key(access.own.principal, table, action),
    }
}
