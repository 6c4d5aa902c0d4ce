//! Carries out the operations of one message inside a transaction.
//!
//! Two ways with one result. The quick way reads what the operations name in one flight, trusts the
//! unique indexes, and leaves the writes pending for the flight that commits; where any row fails or may
//! fail it answers [`Error::Doubt`] or [`Error::Unique`] and nothing else. The careful way runs
//! afterwards, operation by operation: it lets the judge ask for whatever it needs until it asks for
//! nothing more, and tells every failing row.
//! Not here: repeating (`apply`), the rules (`store::judge`).
//! Invariant: versions are taken from the sequence behind the locks on the rows that get them, so that
//! the versions of one row ascend.

use super::cascade;
use super::check;
use super::connection::Step;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use super::known::{KeyValues, Known, Lock, Seen, Wishes};
use super::spread::{self, Spreading};
use super::transaction::{Author, Transaction};
use super::write::{self, ChangedRow, NewRow, Versions};
use model::{
    Bind, Catalog, Cell, ColumnIndex, ColumnKind, LookupValue, Table, TableId, Uuid, Value,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::alternate::KeyParts;
use store::judge::{Resolved, judge};
use store::spread::Before;
use store::writes::{Fill, Insert, is_checked, must_be_refused};
use store::{Check, Rejection, RowKey, RowOutcome, WriteOp, alternate};
use tokio_postgres::Row;

/// Row versions, one per row that is changed, in one row.
pub(super) const VERSIONS: &str = "SELECT array_agg(v) FROM \
    (SELECT nextval('sheaf_version') AS v FROM generate_series(1, $1::int4)) AS s";

/// How often the judge may ask for more. It asks for rows, then for their keys, then for who has keys
/// like theirs; each further round needs a chain of rows that pass keys on.
const ROUNDS_MAX: usize = 32;

type Verdicts = Vec<Result<Resolved, Rejection>>;

/// Runs the operations the quick way; the writes of the last ones are left pending.
pub(super) async fn quickly(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    author: Author,
    (ops, checks): (&[WriteOp], &[Check]),
) -> Result<Vec<Vec<RowOutcome>>, Error> {
    let mut outcomes = Vec::with_capacity(ops.len());
    let mut rest = ops;
    while !rest.is_empty() {
        let first = ops.len() - rest.len();
        let (phase, later) = rest.split_at(phase_length(catalog, rest, first, checks));
        rest = later;
        let own = checks_of(checks, first..first + phase.len());
        check::run(transaction, catalog, &own).await?;
        let mut wishes = Wishes::default();
        let mut changed = 0;
        for op in phase {
            wish(&mut wishes, op);
            changed += changed_max(op);
        }
        let mut known = Known::default();
        let mut versions = Vec::new();
        if changed > 0 || !wishes.is_empty() {
            let mut reads = wishes.into_reads(catalog)?;
            let mut steps = std::mem::take(&mut reads.steps);
            if changed > 0 {
                steps.push(versions_step(changed));
            }
            let mut answers = transaction.fly("reading rows to write", steps).await?;
            if changed > 0 {
                versions = versions_of(answers.pop())?;
            }
            known.learn(reads, &answers)?;
        }
        let mut versions = versions.as_slice();
        for op in phase {
            let spreads = spread::may_spread(catalog, op);
            let op_outcomes = match op {
                WriteOp::Insert(insert) if spreads => {
                    let spreading = Spreading::of(catalog, author, op);
                    insert_spreading(transaction, catalog, &mut known, (insert, spreading)).await?
                }
                WriteOp::Insert(op) => insert_quickly(transaction, catalog, &mut known, op)?,
                WriteOp::Fill(op) => {
                    add_fill(transaction, catalog, &known, op)?;
                    Vec::new()
                }
                op => {
                    let table = table_of(op);
                    let mut verdicts = judge(&Seen::new(&known, table.id, lock_of(op)), op);
                    let taken;
                    (taken, versions) = versions.split_at(changed_max(op).min(versions.len()));
                    let deletes =
                        consequences(transaction, catalog, author, op, &mut verdicts).await?;
                    if spreads {
                        spread::refuse_loops(transaction, catalog, table, &mut verdicts).await?;
                    }
                    let rows = passed(verdicts).map_err(|_| Error::Doubt)?;
                    if moves_keys(op) && keys_pass_on(&known, table, &rows) {
                        return Err(Error::Doubt);
                    }
                    let spreading = Spreading::of(catalog, author, op);
                    let before = match spreads {
                        true => spreading.before(transaction, &spreading_rows(&rows)).await?,
                        false => Before::default(),
                    };
                    let steps = write_steps(catalog, table, &rows, taken, KeysFirst::No)?;
                    for step in steps.into_iter().chain(deletes) {
                        transaction.add(step);
                    }
                    if spreads {
                        spreading.after(transaction, before).await?;
                    }
                    outcomes_of(&rows)
                }
            };
            outcomes.push(op_outcomes);
        }
    }
    Ok(outcomes)
}

/// Runs the operations the careful way: every failing row of the first failing one is told. Of a set that must be refused
/// nothing is written, not even to be rolled back.
pub(super) async fn carefully(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    author: Author,
    (ops, checks): (&[WriteOp], &[Check]),
) -> Result<Vec<Vec<RowOutcome>>, Error> {
    let mut outcomes = Vec::with_capacity(ops.len());
    let is_only_judged = must_be_refused(ops);
    for (place, op) in ops.iter().enumerate() {
        check::run(transaction, catalog, &checks_of(checks, place..place + 1)).await?;
        let table = table_of(op);
        if let WriteOp::Fill(fill) = op {
            let mut wishes = Wishes::default();
            wish(&mut wishes, op);
            let mut known = Known::default();
            if !wishes.is_empty() {
                let mut reads = wishes.into_reads(catalog)?;
                let steps = std::mem::take(&mut reads.steps);
                let answers = transaction.fly("looking for rows to complete", steps).await?;
                known.learn(reads, &answers)?;
            }
            add_fill(transaction, catalog, &known, fill)?;
            outcomes.push(Vec::new());
            continue;
        }
        let mut verdicts = judge_fully(transaction, catalog, op).await?;
        let deletes = consequences(transaction, catalog, author, op, &mut verdicts).await?;
        let spreads = spread::may_spread(catalog, op);
        if spreads {
            spread::refuse_loops(transaction, catalog, table, &mut verdicts).await?;
        }
        let rows = passed(verdicts)
            .map_err(|rows| Error::Store(store::Error::Rejected { op: place, rows }))?;
        if is_only_judged {
            outcomes.push(outcomes_of(&rows));
            continue;
        }
        let spreading = Spreading::of(catalog, author, op);
        let before = match spreads {
            true => spreading.before(transaction, &spreading_rows(&rows)).await?,
            false => Before::default(),
        };
        let mut versions = Vec::new();
        if !rows.is_empty() && !matches!(op, WriteOp::Delete(_)) {
            let steps = vec![versions_step(rows.len())];
            let mut answers = transaction.fly("taking row versions", steps).await?;
            versions = versions_of(answers.pop())?;
        }
        for step in write_steps(catalog, table, &rows, &versions, KeysFirst::Yes)? {
            transaction.add(step);
        }
        for step in deletes {
            transaction.add(step);
        }
        if spreads {
            spreading.after(transaction, before).await?;
        }
        outcomes.push(outcomes_of(&rows));
    }
    Ok(outcomes)
}

/// How many operations may read before the first of them writes.
///
/// An operation that reads what an earlier one writes waits for the next phase. Lookups to rows that
/// an earlier insert brings are known without reading. `first`: the place of the first one in the write
/// set, by which its checks are found.
fn phase_length(catalog: &Catalog, ops: &[WriteOp], first: usize, checks: &[Check]) -> usize {
    let mut written: HashSet<TableId> = HashSet::new();
    let mut uncertain: HashSet<TableId> = HashSet::new();
    for (place, op) in ops.iter().enumerate() {
        let own = table_of(op).id;
        // Other tables are read and written, too.
        let spreads = matches!(op, WriteOp::Delete(_)) || spread::may_spread(catalog, op);
        // A row to complete was there before the operation that has changed it, under the same key.
        let reads_own = !matches!(op, WriteOp::Insert(_) | WriteOp::Fill(_));
        let waits = (reads_own && written.contains(&own))
            || spreads
            || checks
                .iter()
                .any(|check| check.op == first + place && is_checked_in(check, &written))
            || bound_tables(op).any(|table| written.contains(&table))
            || lookups_of(op).any(|lookup| uncertain.contains(&lookup.table));
        if place > 0 && waits {
            return place;
        }
        if spreads {
            return place + 1;
        }
        written.insert(own);
        if matches!(op, WriteOp::Upsert(_)) {
            uncertain.insert(own);
        }
    }
    ops.len()
}

/// The checks of operations, with their places.
fn checks_of(checks: &[Check], ops: std::ops::Range<usize>) -> Vec<(usize, &Check)> {
    checks.iter().enumerate().filter(|(_, check)| ops.contains(&check.op)).collect()
}

/// Whether a check reads one of these tables.
fn is_checked_in(check: &Check, written: &HashSet<TableId>) -> bool {
    let along = check.cascades.iter().map(|(table, _)| table.id);
    std::iter::once(check.table.id).chain(along).any(|table| written.contains(&table))
}

/// What an operation must know of the rows before it.
fn wish(wishes: &mut Wishes, op: &WriteOp) {
    let table = table_of(op);
    let lock = lock_of(op);
    for lookup in lookups_of(op) {
        wishes.row(lookup.table, Lock::Stay, lookup.id);
    }
    for bind in binds_of(op) {
        if let Some(parts) = alternate::parts_of_key(&bind.key) {
            wishes.key(bind.table.id, bind.key.key, Lock::Stay, parts);
        }
    }
    for key in keys_of(op) {
        match key {
            RowKey::Id(id) => wishes.row(table.id, lock, *id),
            RowKey::Alternate(key) => {
                if let Some(parts) = alternate::parts_of_key(key) {
                    wishes.key(table.id, key.key, lock, parts);
                }
            }
        }
    }
    if let WriteOp::Upsert(op) = op
        && op.rows.iter().all(|row| row.key.is_none())
        && let Some(first) = op.rows.first()
    {
        // Nothing is looked for; but versions are taken behind a lock on the table (`follow`).
        wishes.row(table.id, lock, first.new_id);
    }
    if moves_keys(op) {
        wishes.want_values();
    }
}

/// Whether a row that exists may get other values in key columns. Then a key may pass from row to row;
/// what becomes of that depends on the order of the rows, which a single statement does not keep.
fn moves_keys(op: &WriteOp) -> bool {
    let is_key =
        |column: ColumnIndex| table_of(op).keys.iter().any(|key| key.columns.contains(&column));
    let any = |cells: &[Cell], binds: &[Bind]| {
        cells.iter().any(|cell| is_key(cell.column)) || binds.iter().any(|bind| is_key(bind.column))
    };
    match op {
        WriteOp::Insert(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => false,
        WriteOp::Update(op) => {
            any(&op.constants, &[]) || op.rows.iter().any(|row| any(&row.cells, &row.binds))
        }
        WriteOp::Upsert(op) => {
            any(&op.update_constants, &[]) || op.rows.iter().any(|row| any(&row.cells, &row.binds))
        }
    }
}

/// Whether a row takes an alternate key that another row of the operation has.
///
/// Where none does, the unique indexes judge all rows at once as they would one by one.
fn keys_pass_on(known: &Known, table: &Table, rows: &[Resolved]) -> bool {
    let no_values = KeyValues::new();
    table.keys.iter().any(|key| {
        let touched = |row: &&Resolved| {
            matches!(row, Resolved::Insert { .. })
                || row.cells().iter().any(|cell| key.columns.contains(&cell.column))
        };
        let values_of = |row: &Resolved| match row {
            Resolved::Update { id, .. } => known.values(table.id, *id),
            Resolved::Insert { .. } | Resolved::Delete { .. } => None,
        };
        let held = |row: &Resolved, own: &[Cell]| {
            let values = values_of(row).unwrap_or(&no_values);
            alternate::parts_of_row(key, |column| {
                let own = own.iter().find(|cell| cell.column == column).map(|cell| &cell.value);
                own.or_else(|| values.get(&column)).unwrap_or(&Value::Null)
            })
        };
        let owners: HashMap<KeyParts, Uuid> = rows
            .iter()
            .filter(touched)
            .filter_map(|row| Some((held(row, &[])?, row.id())))
            .collect();
        !owners.is_empty()
            && rows.iter().filter(touched).any(|row| {
                let owner = held(row, row.cells()).and_then(|parts| owners.get(&parts).copied());
                owner.is_some_and(|owner| owner != row.id())
            })
    })
}

/// New rows that inherit shares.
async fn insert_spreading(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    known: &mut Known,
    (op, spreading): (&Insert, Spreading<'_>),
) -> Result<Vec<RowOutcome>, Error> {
    let mut rows = Vec::with_capacity(op.rows.len());
    for row in &op.rows {
        let binds = row.binds.iter().map(|bind| resolve(known, bind));
        let mut cells: Vec<Cell> = op.constants.clone();
        cells.retain(|cell| row.cells.iter().all(|own| own.column != cell.column));
        cells.extend(row.cells.iter().cloned());
        cells.extend(binds.collect::<Result<Vec<Cell>, Error>>()?);
        rows.push(Resolved::Insert { id: row.id, cells });
    }
    let mut verdicts: Verdicts = rows.into_iter().map(Ok).collect();
    spread::refuse_loops(transaction, catalog, &op.table, &mut verdicts).await?;
    let rows = passed(verdicts).map_err(|_| Error::Doubt)?;
    let before = spreading.before(transaction, &spreading_rows(&rows)).await?;
    let outcomes = insert_quickly(transaction, catalog, known, op)?;
    spreading.after(transaction, before).await?;
    Ok(outcomes)
}

fn spreading_rows(rows: &[Resolved]) -> Vec<store::spread::Row<'_>> {
    rows.iter().map(Resolved::spreading).collect()
}

fn insert_quickly(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    known: &mut Known,
    op: &Insert,
) -> Result<Vec<RowOutcome>, Error> {
    if op.rows.is_empty() {
        return Ok(Vec::new());
    }
    let has_lookups = op.rows.iter().any(|row| has_checked_lookup(&op.table, &row.cells))
        || has_checked_lookup(&op.table, &op.constants);
    if has_lookups {
        let own: HashSet<Uuid> = op.rows.iter().map(|row| row.id).collect();
        let cells = op.rows.iter().flat_map(|row| &row.cells).chain(&op.constants);
        for lookup in checked_lookups(&op.table, cells) {
            let there = known.has_row(lookup.table, lookup.id)
                || (lookup.table == op.table.id && own.contains(&lookup.id));
            if !there {
                return Err(Error::Doubt);
            }
        }
    }
    let mut binds: Vec<Vec<Cell>> = Vec::with_capacity(op.rows.len());
    for row in &op.rows {
        binds.push(row.binds.iter().map(|bind| resolve(known, bind)).collect::<Result<_, _>>()?);
    }
    let rows: Vec<NewRow<'_>> = op
        .rows
        .iter()
        .zip(&binds)
        .map(|(row, binds)| NewRow { id: row.id, cells: [&row.cells, binds] })
        .collect();
    transaction.add(write::insert(catalog, &op.table, &op.constants, &rows, Versions::Next)?);
    for row in &op.rows {
        known.learn_inserted(op.table.id, row.id);
    }
    Ok(op.rows.iter().map(|row| RowOutcome { id: row.id, created: true }).collect())
}

/// Adds the step that completes rows.
fn add_fill(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    known: &Known,
    op: &Fill,
) -> Result<(), Error> {
    let ids = op.rows.iter().filter_map(|key| match key {
        RowKey::Id(id) => Some(*id),
        RowKey::Alternate(key) => known.find(op.table.id, key.key, &alternate::parts_of_key(key)?),
    });
    let ids: Vec<Uuid> = ids.collect();
    if let Some(step) = write::fill(catalog, op, &ids)? {
        transaction.add(step);
    }
    Ok(())
}

fn resolve(known: &Known, bind: &Bind) -> Result<Cell, Error> {
    let parts = alternate::parts_of_key(&bind.key).ok_or(Error::Doubt)?;
    let id = known.find(bind.table.id, bind.key.key, &parts).ok_or(Error::Doubt)?;
    let value = Value::Lookup(LookupValue { table: bind.table.id, id });
    Ok(Cell { column: bind.column, value })
}

/// Judges with everything that the judge asks for.
async fn judge_fully(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    op: &WriteOp,
) -> Result<Verdicts, Error> {
    let mut known = Known::default();
    for _ in 0..ROUNDS_MAX {
        let (verdicts, missed) = {
            let seen = Seen::new(&known, table_of(op).id, lock_of(op));
            let verdicts = judge(&seen, op);
            (verdicts, seen.into_missed())
        };
        if missed.is_empty() {
            return Ok(verdicts);
        }
        let mut reads = missed.into_reads(catalog)?;
        let steps = std::mem::take(&mut reads.steps);
        let answers = if steps.is_empty() {
            Vec::new()
        } else {
            transaction.fly("looking for rows that fail", steps).await?
        };
        known.learn(reads, &answers)?;
    }
    Err(engine("looking for rows that fail", Fault::Answer("the judge asks without end")))
}

/// The steps of a delete, after a look at who points to its rows; nothing for other operations.
async fn consequences(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    author: Author,
    op: &WriteOp,
    verdicts: &mut Verdicts,
) -> Result<Vec<Step>, Error> {
    match op {
        WriteOp::Delete(op) => {
            cascade::of_delete(transaction, catalog, author, &op.table, verdicts).await
        }
        WriteOp::Insert(_) | WriteOp::Update(_) | WriteOp::Upsert(_) | WriteOp::Fill(_) => {
            Ok(Vec::new())
        }
    }
}

/// All rows, or those that failed.
fn passed(verdicts: Verdicts) -> Result<Vec<Resolved>, Vec<Rejection>> {
    let mut rows = Vec::with_capacity(verdicts.len());
    let mut failed = Vec::new();
    for verdict in verdicts {
        match verdict {
            Ok(row) => rows.push(row),
            Err(rejection) => failed.push(rejection),
        }
    }
    if failed.is_empty() { Ok(rows) } else { Err(failed) }
}

/// Whether changed rows give up their alternate keys before any row takes one.
///
/// One statement checks unique indexes row by row in an order of its own. Where a row takes a key that
/// another row of the message gives up, only this is sure to work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeysFirst {
    Yes,
    No,
}

/// Updates, then inserts; `versions` has one per row, in order.
fn write_steps(
    catalog: &Catalog,
    table: &Table,
    rows: &[Resolved],
    versions: &[i64],
    keys_first: KeysFirst,
) -> Result<Vec<Step>, Error> {
    let mut changed: Vec<ChangedRow<'_>> = Vec::new();
    let mut place_of: HashMap<Uuid, usize> = HashMap::new();
    let mut new: Vec<NewRow<'_>> = Vec::new();
    let mut new_versions = Vec::new();
    let missing = || engine("writing rows", Fault::Answer("a row got no version"));
    for (place, row) in rows.iter().enumerate() {
        match row {
            Resolved::Delete { .. } => {}
            Resolved::Insert { id, cells } => {
                new.push(NewRow { id: *id, cells: [cells, &[]] });
                new_versions.push(*versions.get(place).ok_or_else(missing)?);
            }
            Resolved::Update { id, cells } => {
                let version = *versions.get(place).ok_or_else(missing)?;
                let next = changed.len();
                let held = *place_of.entry(*id).or_insert(next);
                if held == next {
                    changed.push(ChangedRow { id: *id, version, cells: cells.iter().collect() });
                } else {
                    // The same row twice, once by another name: the later values win.
                    let held = &mut changed[held];
                    held.version = version;
                    held.cells.retain(|old| cells.iter().all(|cell| cell.column != old.column));
                    held.cells.extend(cells);
                }
            }
        }
    }
    let mut steps = Vec::new();
    if keys_first == KeysFirst::Yes {
        steps.extend(give_up_keys(catalog, table, &changed)?);
    }
    if !changed.is_empty() {
        steps.extend(write::update(catalog, table, &changed)?);
    }
    if !new.is_empty() {
        let versions = Versions::Given(&new_versions);
        steps.push(write::insert(catalog, table, &[], &new, versions)?);
    }
    Ok(steps)
}

/// Empties the key columns that the rows are about to set.
fn give_up_keys(
    catalog: &Catalog,
    table: &Table,
    changed: &[ChangedRow<'_>],
) -> Result<Vec<Step>, Error> {
    let nulls: Vec<Cell> = table
        .indexed_columns()
        .filter(|(index, _)| table.keys.iter().any(|key| key.columns.contains(index)))
        .map(|(column, _)| Cell { column, value: Value::Null })
        .collect();
    let rows: Vec<ChangedRow<'_>> = changed
        .iter()
        .filter_map(|row| {
            let cells: Vec<&Cell> = nulls
                .iter()
                .filter(|null| row.cells.iter().any(|cell| cell.column == null.column))
                .collect();
            (!cells.is_empty()).then_some(ChangedRow { id: row.id, version: row.version, cells })
        })
        .collect();
    if rows.is_empty() { Ok(Vec::new()) } else { write::update(catalog, table, &rows) }
}

fn versions_step(count: usize) -> Step {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    Step::run(VERSIONS, vec![Bound::int4(count)])
}

pub(super) fn versions_of(answer: Option<Vec<Row>>) -> Result<Vec<i64>, Error> {
    let row = answer.and_then(|rows| rows.into_iter().next());
    let versions = row.and_then(|row| row.try_get::<_, Vec<i64>>(0).ok());
    let mut versions =
        versions.ok_or_else(|| engine("taking row versions", Fault::Answer("there are none")))?;
    versions.sort_unstable();
    Ok(versions)
}

fn outcomes_of(rows: &[Resolved]) -> Vec<RowOutcome> {
    rows.iter()
        .map(|row| RowOutcome { id: row.id(), created: matches!(row, Resolved::Insert { .. }) })
        .collect()
}

fn table_of(op: &WriteOp) -> &Arc<Table> {
    match op {
        WriteOp::Insert(op) => &op.table,
        WriteOp::Update(op) => &op.table,
        WriteOp::Upsert(op) => &op.table,
        WriteOp::Delete(op) => &op.table,
        WriteOp::Fill(op) => &op.table,
    }
}

fn lock_of(op: &WriteOp) -> Lock {
    match op {
        WriteOp::Insert(_) | WriteOp::Update(_) | WriteOp::Upsert(_) | WriteOp::Fill(_) => {
            Lock::Change
        }
        WriteOp::Delete(_) => Lock::Delete,
    }
}

/// How many rows need a version before it is known which of them are new.
fn changed_max(op: &WriteOp) -> usize {
    match op {
        WriteOp::Insert(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => 0,
        WriteOp::Update(op) => op.rows.len(),
        WriteOp::Upsert(op) => op.rows.len(),
    }
}

fn keys_of(op: &WriteOp) -> Vec<&RowKey> {
    match op {
        WriteOp::Insert(_) => Vec::new(),
        WriteOp::Update(op) => op.rows.iter().map(|row| &row.key).collect(),
        WriteOp::Upsert(op) => op.rows.iter().filter_map(|row| row.key.as_ref()).collect(),
        WriteOp::Delete(op) => op.rows.iter().map(|row| &row.key).collect(),
        // What is named by its id needs no look.
        WriteOp::Fill(op) => {
            op.rows.iter().filter(|key| matches!(key, RowKey::Alternate(_))).collect()
        }
    }
}

fn binds_of(op: &WriteOp) -> Vec<&Bind> {
    match op {
        WriteOp::Insert(op) => op.rows.iter().flat_map(|row| &row.binds).collect(),
        WriteOp::Update(op) => op.rows.iter().flat_map(|row| &row.binds).collect(),
        WriteOp::Upsert(op) => op.rows.iter().flat_map(|row| &row.binds).collect(),
        WriteOp::Delete(_) | WriteOp::Fill(_) => Vec::new(),
    }
}

fn bound_tables(op: &WriteOp) -> impl Iterator<Item = TableId> {
    binds_of(op).into_iter().map(|bind| bind.table.id)
}

/// Every checked lookup that the operation writes or may write.
fn lookups_of(op: &WriteOp) -> impl Iterator<Item = LookupValue> {
    let cells: Vec<&Cell> = match op {
        WriteOp::Insert(op) => {
            op.rows.iter().flat_map(|row| &row.cells).chain(&op.constants).collect()
        }
        WriteOp::Update(op) => {
            op.rows.iter().flat_map(|row| &row.cells).chain(&op.constants).collect()
        }
        WriteOp::Upsert(op) => op
            .rows
            .iter()
            .flat_map(|row| row.cells.iter().chain(&row.insert_cells))
            .chain(&op.insert_constants)
            .chain(&op.update_constants)
            .collect(),
        WriteOp::Delete(_) | WriteOp::Fill(_) => Vec::new(),
    };
    checked_lookups(table_of(op), cells.into_iter()).collect::<Vec<_>>().into_iter()
}

fn checked_lookups<'a>(
    table: &'a Table,
    cells: impl Iterator<Item = &'a Cell>,
) -> impl Iterator<Item = LookupValue> {
    cells.filter_map(|cell| match &cell.value {
        Value::Lookup(lookup) if is_checked_lookup(table, cell) => Some(*lookup),
        _ => None,
    })
}

fn has_checked_lookup(table: &Table, cells: &[Cell]) -> bool {
    cells
        .iter()
        .any(|cell| matches!(cell.value, Value::Lookup(_)) && is_checked_lookup(table, cell))
}

fn is_checked_lookup(table: &Table, cell: &Cell) -> bool {
    let column = table.column(cell.column);
    matches!(column.kind, ColumnKind::Lookup { .. }) && is_checked(column)
}
