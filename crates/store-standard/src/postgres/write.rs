//! Rows as statements: one INSERT, and one UPDATE per set of columns, however many rows.
//!
//! In: rows whose keys are ids and whose binds are lookups. Out: steps. Values travel column by column
//! as arrays that `unnest` turns back into rows.
//! Not here: which rows may be written (`judge`), running the steps.
//! Invariant: the number of steps depends on the kinds of rows, never on their number.

use super::connection::Step;
use super::dialect::exceptional_fold;
use super::encode::{ArrayBuilder, Bound, Form};
use super::error::{Error, Fault, engine};
use super::known::id_and_version;
use crate::names::{self, Storage};
use model::{Catalog, Cell, ColumnIndex, Table, Uuid, Value, fold};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use store::writes::Fill;

/// Sets of columns that get an UPDATE each; with more of them, one UPDATE with a mask per column.
const COLUMN_SETS_MAX: usize = 8;

const NULL: Value = Value::Null;

/// A new row: its own values on top of the constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRow<'a> {
    /// Its primary key.
    pub(super) id: Uuid,
    /// Its values, in two parts that name no column in common.
    pub(super) cells: [&'a [Cell]; 2],
}

/// A changed row.
#[derive(Clone, Debug)]
pub(super) struct ChangedRow<'a> {
    /// Its primary key.
    pub(super) id: Uuid,
    /// Its new version.
    pub(super) version: i64,
    /// Its new values; each column at most once.
    pub(super) cells: Vec<&'a Cell>,
}

/// Where the versions of new rows come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Versions<'a> {
    /// From the sequence, in the order of the rows.
    Next,
    /// These, one per row.
    Given(&'a [i64]),
}

/// One INSERT of all rows.
pub(super) fn insert(
    catalog: &Catalog,
    table: &Table,
    constants: &[Cell],
    rows: &[NewRow<'_>],
    versions: Versions<'_>,
) -> Result<Step, Error> {
    try_insert(catalog, table, constants, rows, versions)
        .map_err(|fault| engine("encoding new rows", fault))
}

fn try_insert(
    catalog: &Catalog,
    table: &Table,
    constants: &[Cell],
    rows: &[NewRow<'_>],
    versions: Versions<'_>,
) -> Result<Step, Fault> {
    let all_cells = || rows.iter().flat_map(|row| row.cells.into_iter().flatten());
    let exceptions = has_exceptional_fold(catalog, table, all_cells().chain(constants));
    let columns = Columns::of(catalog, table, all_cells(), exceptions);
    let (id, version) = id_and_version(table);
    let mut sql = Insert { names: format!("{id}, {version}"), ..Insert::default() };
    sql.array(Form::Uuid, &id);
    let mut params =
        vec![Bound::ids(rows.iter().map(|row| &row.id).collect::<Vec<_>>().into_iter())];
    match versions {
        Versions::Next => sql.values.push_str(", nextval('sheaf_version')"),
        Versions::Given(given) => {
            sql.array(Form::Int8, "");
            params.push(Bound::numbers(given));
        }
    }
    for target in &columns.targets {
        sql.names.push_str(", ");
        sql.names.push_str(&target.name);
        sql.array(target.form, "");
    }
    let mut arrays = columns.arrays(rows.len());
    let defaults = columns.defaults(constants);
    let mut slots = defaults.clone();
    for row in rows {
        slots.copy_from_slice(&defaults);
        for cell in row.cells.into_iter().flatten() {
            columns.set(&mut slots, cell);
        }
        columns.push(&slots, &mut arrays)?;
    }
    params.extend(arrays.into_iter().map(ArrayBuilder::finish));
    // What no row replaces travels once.
    for constant in constants {
        if columns.has(constant.column) || !names::is_stored(table.column(constant.column)) {
            continue;
        }
        for target in targets_of(catalog, table, constant.column, 0, exceptions) {
            params.push(target.scalar(&constant.value)?);
            write!(sql.names, ", {}", target.name).expect(TEXT);
            write!(sql.values, ", ${}::{}", params.len(), target.form.name()).expect(TEXT);
        }
    }
    Ok(Step::run(sql.finish(table), params))
}

const TEXT: &str = "writing to a text does not fail";

/// The parts of an INSERT's text.
#[derive(Default)]
struct Insert {
    names: String,
    values: String,
    arrays: String,
    aliases: String,
    count: usize,
}

impl Insert {
    fn array(&mut self, form: Form, _name: &str) {
        self.count += 1;
        let glue = if self.count == 1 { "" } else { ", " };
        write!(self.values, "{glue}u.a{}", self.count).expect(TEXT);
        write!(self.arrays, "{glue}${}::{}[]", self.count, form.name()).expect(TEXT);
        write!(self.aliases, "a{}, ", self.count).expect(TEXT);
    }

    fn finish(self, table: &Table) -> String {
        let Self { names, values, arrays, aliases, .. } = self;
        let table = names::table(table.id);
        format!(
            "INSERT INTO {table} ({names}) SELECT {values} \
             FROM unnest({arrays}) WITH ORDINALITY AS u({aliases}n) ORDER BY u.n"
        )
    }
}

/// The UPDATEs of all rows: one per set of columns, or one with masks.
pub(super) fn update(
    catalog: &Catalog,
    table: &Table,
    rows: &[ChangedRow<'_>],
) -> Result<Vec<Step>, Error> {
    let mut sets: BTreeMap<Vec<ColumnIndex>, Vec<&ChangedRow<'_>>> = BTreeMap::new();
    for row in rows {
        let mut set: Vec<ColumnIndex> = row.cells.iter().map(|cell| cell.column).collect();
        set.sort_unstable();
        sets.entry(set).or_default().push(row);
    }
    let steps: Result<Vec<Step>, Fault> = if sets.len() > COLUMN_SETS_MAX {
        update_step(catalog, table, &rows.iter().collect::<Vec<_>>(), true).map(|step| vec![step])
    } else {
        sets.values().map(|rows| update_step(catalog, table, rows, false)).collect()
    };
    steps.map_err(|fault| engine("encoding changed rows", fault))
}

fn update_step(
    catalog: &Catalog,
    table: &Table,
    rows: &[&ChangedRow<'_>],
    masked: bool,
) -> Result<Step, Fault> {
    let all_cells = || rows.iter().flat_map(|row| row.cells.iter().copied());
    let exceptions = has_exceptional_fold(catalog, table, all_cells());
    let columns = Columns::of(catalog, table, all_cells(), exceptions);
    let (id, version) = id_and_version(table);
    let mut sets = format!("{version} = u.v");
    let mut arrays_text = "$1::uuid[], $2::int8[]".to_owned();
    let mut aliases = "id, v".to_owned();
    let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
    let ids: Vec<&Uuid> = rows.iter().map(|row| &row.id).collect();
    let mut params = vec![Bound::ids(ids.into_iter()), Bound::numbers(&versions)];
    let mut number = 2;
    let mut add_array = |form: Form, alias: &str| {
        number += 1;
        write!(arrays_text, ", ${number}::{}[]", form.name()).expect(TEXT);
        write!(aliases, ", {alias}").expect(TEXT);
    };
    let set_value = |sets: &mut String, name: &str, slot: usize, value: &str| {
        if masked {
            write!(sets, ", {name} = CASE WHEN u.m{slot} THEN {value} ELSE t.{name} END")
        } else {
            write!(sets, ", {name} = {value}")
        }
        .expect(TEXT);
    };
    for (place, target) in columns.targets.iter().enumerate() {
        let alias = format!("a{place}");
        add_array(target.form, &alias);
        set_value(&mut sets, &target.name, target.slot, &format!("u.{alias}"));
    }
    if !exceptions {
        for (slot, index) in columns.indexes.iter().enumerate() {
            if names::storage(catalog, table, *index) == (Storage::Text { folded: false }) {
                set_value(&mut sets, &names::folded(table.column(*index).id), slot, "NULL");
            }
        }
    }
    let mut arrays = columns.arrays(rows.len());
    let mut masks: Vec<ArrayBuilder> = Vec::new();
    if masked {
        for slot in 0..columns.indexes.len() {
            add_array(Form::Bool, &format!("m{slot}"));
            masks.push(ArrayBuilder::new(Form::Bool, rows.len()));
        }
    }
    for row in rows {
        let mut slots = vec![&NULL; columns.indexes.len()];
        let mut present = vec![false; columns.indexes.len()];
        for cell in &row.cells {
            if let Some(slot) = columns.set(&mut slots, cell) {
                present[slot] = true;
            }
        }
        columns.push(&slots, &mut arrays)?;
        for (mask, present) in masks.iter_mut().zip(present) {
            mask.push_bool(present);
        }
    }
    params.extend(arrays.into_iter().chain(masks).map(ArrayBuilder::finish));
    let text = format!(
        "UPDATE {} AS t SET {sets} FROM unnest({arrays_text}) AS u({aliases}) WHERE t.{id} = u.id",
        names::table(table.id)
    );
    Ok(Step::run(text, params))
}

/// One DELETE of rows by id.
pub(super) fn delete<'a>(table: &Table, ids: impl ExactSizeIterator<Item = &'a Uuid>) -> Step {
    let (id, _) = id_and_version(table);
    let text = format!("DELETE FROM {} WHERE {id} = ANY($1::uuid[])", names::table(table.id));
    Step::run(text, vec![Bound::ids(ids)])
}

/// One UPDATE that gives the same values to all rows, each with the next version.
pub(super) fn set_all<'a>(
    catalog: &Catalog,
    table: &Table,
    ids: impl ExactSizeIterator<Item = &'a Uuid>,
    cells: &[Cell],
) -> Result<Step, Error> {
    let (id, version) = id_and_version(table);
    let mut params = vec![Bound::ids(ids)];
    let mut sets = format!("{version} = nextval('sheaf_version')");
    for cell in cells {
        for target in targets_of(catalog, table, cell.column, 0, true) {
            let param = target.scalar(&cell.value);
            params.push(param.map_err(|fault| engine("encoding changed rows", fault))?);
            write!(sets, ", {} = ${}::{}", target.name, params.len(), target.form.name())
                .expect(TEXT);
        }
    }
    let table = names::table(table.id);
    let text = format!("UPDATE {table} SET {sets} WHERE {id} = ANY($1::uuid[])");
    Ok(Step::run(text, params))
}

/// One UPDATE of the rows that have nothing in the first of the columns; none where there are no rows.
pub(super) fn fill(catalog: &Catalog, op: &Fill, ids: &[Uuid]) -> Result<Option<Step>, Error> {
    let (table, Some(first)) = (&op.table, op.cells.first()) else { return Ok(None) };
    if ids.is_empty() {
        return Ok(None);
    }
    let (id, _) = id_and_version(table);
    let mut params = vec![Bound::ids(ids.iter())];
    let mut sets = String::new();
    for cell in &op.cells {
        for target in targets_of(catalog, table, cell.column, 0, true) {
            let param = target.scalar(&cell.value);
            params.push(param.map_err(|fault| engine("encoding rows to complete", fault))?);
            let glue = if sets.is_empty() { "" } else { ", " };
            write!(sets, "{glue}{} = ${}::{}", target.name, params.len(), target.form.name())
                .expect(TEXT);
        }
    }
    let text = format!(
        "UPDATE {} SET {sets} WHERE {id} = ANY($1::uuid[]) AND {} IS NULL",
        names::table(table.id),
        names::column(table.column(first.column).id)
    );
    Ok(Some(Step::run(text, params)))
}

/// One physical column that is written.
struct Target {
    name: String,
    form: Form,
    part: Part,
    /// Which of the columns it belongs to.
    slot: usize,
}

/// What of a value a physical column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Value,
    /// The table number of a lookup.
    Table,
    /// The folded text.
    Fold,
    /// The folded text where the dialect's expression does not find it.
    ExceptionalFold,
}

impl Target {
    fn push(&self, value: &Value, array: &mut ArrayBuilder) -> Result<(), Fault> {
        match (self.part, value) {
            (Part::Value, value) => array.push(value)?,
            (Part::Table, Value::Lookup(lookup)) => array.push_int4(table_number(lookup.table)?),
            (Part::Fold, Value::Text(text)) => array.push_text(&fold(text)),
            (Part::ExceptionalFold, Value::Text(text)) => match exceptional_fold(text) {
                Some(folded) => array.push_text(&folded),
                None => array.push_null(),
            },
            _ => array.push_null(),
        }
        Ok(())
    }

    fn scalar(&self, value: &Value) -> Result<Bound, Fault> {
        Ok(match (self.part, value) {
            (Part::Value, value) => Bound::value(self.form, value)?,
            (Part::Table, Value::Lookup(lookup)) => Bound::int4(table_number(lookup.table)?),
            (Part::Fold, Value::Text(text)) => Bound::text(&fold(text)),
            (Part::ExceptionalFold, Value::Text(text)) => exceptional_fold(text)
                .map_or(Bound::null(Form::Text), |folded| Bound::text(&folded)),
            _ => Bound::null(self.form),
        })
    }
}

fn table_number(table: model::TableId) -> Result<i32, Fault> {
    i32::try_from(table.0).map_err(|_| Fault::Unfit("a table number", "int4"))
}

/// The physical columns of a stored column. Without `exceptions`, an exceptional fold is left out.
fn targets_of(
    catalog: &Catalog,
    table: &Table,
    index: ColumnIndex,
    slot: usize,
    exceptions: bool,
) -> Vec<Target> {
    let column = table.column(index);
    let storage = names::storage(catalog, table, index);
    let name = names::column(column.id);
    let mut targets = vec![Target { name, form: Form::of(storage), part: Part::Value, slot }];
    if names::has_lookup_table(column) {
        let name = names::lookup_table(column.id);
        targets.push(Target { name, form: Form::Int4, part: Part::Table, slot });
    }
    if let Storage::Text { folded } = storage
        && (folded || exceptions)
    {
        let part = if folded { Part::Fold } else { Part::ExceptionalFold };
        targets.push(Target { name: names::folded(column.id), form: Form::Text, part, slot });
    }
    targets
}

/// Whether a text of a column without a full fold needs its fold kept.
fn has_exceptional_fold<'a>(
    catalog: &Catalog,
    table: &Table,
    cells: impl Iterator<Item = &'a Cell>,
) -> bool {
    let mut cells = cells.filter(|cell| match &cell.value {
        Value::Text(text) => !text.is_ascii(),
        _ => false,
    });
    cells.any(|cell| {
        names::storage(catalog, table, cell.column) == (Storage::Text { folded: false })
            && matches!(&cell.value, Value::Text(text) if exceptional_fold(text).is_some())
    })
}

/// The columns that at least one row names.
struct Columns {
    /// By slot.
    indexes: Vec<ColumnIndex>,
    /// By place in the table.
    slot_of: Vec<Option<usize>>,
    targets: Vec<Target>,
}

impl Columns {
    fn of<'a>(
        catalog: &Catalog,
        table: &Table,
        cells: impl Iterator<Item = &'a Cell>,
        exceptions: bool,
    ) -> Self {
        let mut used = vec![false; table.columns.len()];
        for cell in cells {
            used[usize::from(cell.column.0)] = true;
        }
        let mut this =
            Self { indexes: Vec::new(), slot_of: vec![None; used.len()], targets: Vec::new() };
        for (index, column) in table.indexed_columns() {
            if used[usize::from(index.0)] && names::is_stored(column) {
                let slot = this.indexes.len();
                this.slot_of[usize::from(index.0)] = Some(slot);
                this.indexes.push(index);
                this.targets.extend(targets_of(catalog, table, index, slot, exceptions));
            }
        }
        this
    }

    fn has(&self, index: ColumnIndex) -> bool {
        self.slot_of[usize::from(index.0)].is_some()
    }

    fn set<'a>(&self, slots: &mut [&'a Value], cell: &'a Cell) -> Option<usize> {
        let slot = self.slot_of[usize::from(cell.column.0)];
        if let Some(slot) = slot {
            slots[slot] = &cell.value;
        }
        slot
    }

    /// The value of each slot in a row that does not name it.
    fn defaults<'a>(&self, constants: &'a [Cell]) -> Vec<&'a Value> {
        let mut slots: Vec<&'a Value> = vec![&NULL; self.indexes.len()];
        for constant in constants {
            self.set(&mut slots, constant);
        }
        slots
    }

    fn arrays(&self, rows: usize) -> Vec<ArrayBuilder> {
        self.targets.iter().map(|target| ArrayBuilder::new(target.form, rows)).collect()
    }

    fn push(&self, slots: &[&Value], arrays: &mut [ArrayBuilder]) -> Result<(), Fault> {
        for (target, array) in self.targets.iter().zip(arrays) {
            target.push(slots[target.slot], array)?;
        }
        Ok(())
    }
}
