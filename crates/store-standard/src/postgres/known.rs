//! What is known of the rows that an operation names, and the statements that find it out.
//!
//! In: wishes (rows by id, rows by alternate key, key columns of rows). Out: one read step per kind of
//! wish and table, and [`Known`], which answers the judge. A wish that found nothing is known to be
//! absent; what was never wished for is taken as absent, too, and noted.
//! Not here: which wishes an operation has (`gather`), writing.
//! Invariant: rows that will be written are locked by the read that finds them, in the order of their
//! ids; rows that are pointed to are locked against deletion.

use super::connection::Step;
use super::decode;
use super::encode::{ArrayBuilder, Bound, Form, searched};
use super::error::{Error, Fault, engine};
use crate::names;
use crate::select::Output;
use model::{Catalog, ColumnIndex, Date, KeyIndex, Table, TableId, Timestamp, Uuid, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::alternate::{KeyPart, KeyParts};
use store::judge;
use tokio_postgres::Row;

/// How a found row is locked until the end of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    /// It is pointed to: it must not go away.
    Stay,
    /// It must not change.
    Same,
    /// It will be changed.
    Change,
    /// It will be deleted.
    Delete,
}

impl Lock {
    pub(super) fn clause(self) -> &'static str {
        match self {
            Self::Stay => "FOR KEY SHARE",
            Self::Same => "FOR SHARE",
            Self::Change => "FOR NO KEY UPDATE",
            Self::Delete => "FOR UPDATE",
        }
    }
}

/// What must be found out. Repeats do no harm.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    rows: BTreeMap<(TableId, Lock), Vec<Uuid>>,
    keys: BTreeMap<(TableId, KeyIndex, Lock), Vec<KeyParts>>,
    values: BTreeMap<TableId, Vec<Uuid>>,
    wants_values: bool,
}

impl Wishes {
    /// Whether a row exists, and its version.
    pub(super) fn row(&mut self, table: TableId, lock: Lock, id: Uuid) {
        self.rows.entry((table, lock)).or_default().push(id);
    }

    /// Which row has an alternate key, and its version.
    pub(super) fn key(&mut self, table: TableId, key: KeyIndex, lock: Lock, parts: KeyParts) {
        self.keys.entry((table, key, lock)).or_default().push(parts);
    }

    /// The values of all key columns of a row.
    fn values(&mut self, table: TableId, id: Uuid) {
        self.values.entry(table).or_default().push(id);
    }

    /// Rows that will be changed come with the values of their key columns.
    pub(super) fn want_values(&mut self) {
        self.wants_values = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.keys.is_empty() && self.values.is_empty()
    }

    /// One step per kind and table, and what each answers.
    pub(super) fn into_reads(mut self, catalog: &Catalog) -> Result<Reads, Error> {
        let mut reads = Reads::default();
        for ((table, lock), mut ids) in std::mem::take(&mut self.rows) {
            ids.sort_unstable();
            ids.dedup();
            let Some(definition) = catalog.table_by_id(table) else {
                reads.absent_rows.extend(ids.into_iter().map(|id| (table, id)));
                continue;
            };
            let values = self.values_beside(catalog, definition, lock, "", 2);
            let text = rows_text(definition, lock, &values.list);
            reads.steps.push(Step::run(text, vec![Bound::ids(ids.iter())]));
            reads.asked.push(Asked::Rows { table, ids, values });
        }
        for ((table, key, lock), mut parts) in std::mem::take(&mut self.keys) {
            parts.sort_unstable();
            parts.dedup();
            let Some(definition) = catalog.table_by_id(table) else {
                reads.absent_keys.extend(parts.into_iter().map(|parts| (table, key, parts)));
                continue;
            };
            let params = key_params(catalog, definition, key, &parts)
                .map_err(|fault| engine("encoding alternate keys", fault))?;
            let values = self.values_beside(catalog, definition, lock, "t.", 3);
            let text = keys_text(catalog, definition, key, lock, &values.list);
            reads.steps.push(Step::run(text, params));
            reads.asked.push(Asked::Keys { table, key, parts, values });
        }
        for (table, mut ids) in std::mem::take(&mut self.values) {
            ids.sort_unstable();
            ids.dedup();
            let Some(definition) = catalog.table_by_id(table) else { continue };
            let values = ValueColumns::of(catalog, definition, "", 1);
            let text = values_text(definition, &values.list);
            reads.steps.push(Step::run(text, vec![Bound::ids(ids.iter())]));
            reads.asked.push(Asked::Values { table, ids, values });
        }
        Ok(reads)
    }

    fn values_beside(
        &self,
        catalog: &Catalog,
        table: &Table,
        lock: Lock,
        alias: &str,
        place: usize,
    ) -> ValueColumns {
        if self.wants_values && lock == Lock::Change {
            ValueColumns::of(catalog, table, alias, place)
        } else {
            ValueColumns::default()
        }
    }
}

/// Read steps and what they ask.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The steps, to be sent in this order.
    pub(super) steps: Vec<Step>,
    asked: Vec<Asked>,
    absent_rows: Vec<(TableId, Uuid)>,
    absent_keys: Vec<(TableId, KeyIndex, KeyParts)>,
}

#[derive(Debug)]
enum Asked {
    Rows { table: TableId, ids: Vec<Uuid>, values: ValueColumns },
    Keys { table: TableId, key: KeyIndex, parts: Vec<KeyParts>, values: ValueColumns },
    Values { table: TableId, ids: Vec<Uuid>, values: ValueColumns },
}

/// The key columns of a table in a list of selected columns.
#[derive(Debug, Default)]
struct ValueColumns {
    /// Each with a comma in front.
    list: String,
    columns: Vec<(ColumnIndex, Output)>,
}

impl ValueColumns {
    /// `place` is that of the first one in the row.
    fn of(catalog: &Catalog, table: &Table, alias: &str, mut place: usize) -> Self {
        let mut this = Self::default();
        for index in key_columns(table) {
            let column = table.column(index);
            let storage = names::storage(catalog, table, index);
            this.columns.push((index, Output::At { place, storage }));
            this.list.push_str(&format!(", {alias}{}", names::column(column.id)));
            place += 1;
            if names::has_lookup_table(column) {
                this.list.push_str(&format!(", {alias}{}", names::lookup_table(column.id)));
                place += 1;
            }
        }
        this
    }

    fn read(&self, row: &Row) -> Result<KeyValues, Fault> {
        let read =
            |(column, output): &(ColumnIndex, Output)| Ok((*column, decode::output(row, *output)?));
        self.columns.iter().map(read).collect()
    }
}

/// Values of key columns.
pub(super) type KeyValues = HashMap<ColumnIndex, Value>;

/// What is known of rows.
#[derive(Debug, Default)]
pub(super) struct Known {
    versions: HashMap<TableId, HashMap<Uuid, Option<i64>>>,
    found: HashMap<(TableId, KeyIndex), HashMap<KeyParts, Option<Uuid>>>,
    values: HashMap<(TableId, Uuid), KeyValues>,
}

impl Known {
    /// Takes in the answers of read steps, in the order of the steps.
    pub(super) fn learn(&mut self, reads: Reads, answers: &[Vec<Row>]) -> Result<(), Error> {
        self.try_learn(reads, answers).map_err(|fault| engine("reading rows", fault))
    }

    fn try_learn(&mut self, reads: Reads, answers: &[Vec<Row>]) -> Result<(), Fault> {
        for (table, id) in reads.absent_rows {
            self.versions.entry(table).or_default().insert(id, None);
        }
        for (table, key, parts) in reads.absent_keys {
            self.found.entry((table, key)).or_default().insert(parts, None);
        }
        for (asked, rows) in reads.asked.into_iter().zip(answers) {
            match asked {
                Asked::Rows { table, ids, values } => {
                    let versions = self.versions.entry(table).or_default();
                    for row in rows {
                        let id = decode::id(row, 0)?;
                        versions.insert(id, Some(decode::int8(row, 1)?));
                        if !values.columns.is_empty() {
                            self.values.insert((table, id), values.read(row)?);
                        }
                    }
                    for id in ids {
                        versions.entry(id).or_insert(None);
                    }
                }
                Asked::Keys { table, key, mut parts, values } => {
                    let versions = self.versions.entry(table).or_default();
                    let found = self.found.entry((table, key)).or_default();
                    let mut ids: Vec<Option<Uuid>> = vec![None; parts.len()];
                    for row in rows {
                        let id = decode::id(row, 0)?;
                        versions.insert(id, Some(decode::int8(row, 1)?));
                        if !values.columns.is_empty() {
                            self.values.insert((table, id), values.read(row)?);
                        }
                        let place = usize::try_from(decode::int8(row, 2)? - 1).ok();
                        let place = place.filter(|place| *place < ids.len());
                        ids[place.ok_or(Fault::Answer("a key has no such place"))?] = Some(id);
                    }
                    found.extend(parts.drain(..).zip(ids));
                }
                Asked::Values { table, ids, values } => {
                    for row in rows {
                        self.values.insert((table, decode::id(row, 0)?), values.read(row)?);
                    }
                    for id in ids {
                        self.values.entry((table, id)).or_default();
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in that a row of an earlier operation will be there.
    pub(super) fn learn_inserted(&mut self, table: TableId, id: Uuid) {
        self.versions.entry(table).or_default().insert(id, Some(0));
    }

    pub(super) fn has_row(&self, table: TableId, id: Uuid) -> bool {
        self.versions.get(&table).and_then(|rows| rows.get(&id)).is_some_and(Option::is_some)
    }

    /// The values of a row's key columns.
    pub(super) fn values(&self, table: TableId, id: Uuid) -> Option<&KeyValues> {
        self.values.get(&(table, id))
    }

    pub(super) fn find(&self, table: TableId, key: KeyIndex, parts: &KeyParts) -> Option<Uuid> {
        self.found.get(&(table, key))?.get(parts).copied().flatten()
    }
}

/// What the judge sees of [`Known`], and what it asked in vain.
pub(super) struct Seen<'a> {
    known: &'a Known,
    /// The table that is written, and how its rows are locked.
    own: (TableId, Lock),
    missed: RefCell<Wishes>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(known: &'a Known, own: TableId, lock: Lock) -> Self {
        Self { known, own: (own, lock), missed: RefCell::default() }
    }

    /// What was asked and never wished for.
    pub(super) fn into_missed(self) -> Wishes {
        self.missed.into_inner()
    }

    fn lock_of(&self, table: TableId) -> Lock {
        if self.own.0 == table { self.own.1 } else { Lock::Stay }
    }
}

impl judge::Rows for Seen<'_> {
    fn version(&self, table: TableId, id: Uuid) -> Option<i64> {
        match self.known.versions.get(&table).and_then(|rows| rows.get(&id)) {
            Some(version) => *version,
            None => {
                self.missed.borrow_mut().row(table, self.lock_of(table), id);
                None
            }
        }
    }

    fn value(&self, table: &Table, id: Uuid, column: ColumnIndex) -> Value {
        match self.known.values.get(&(table.id, id)) {
            Some(values) => values.get(&column).cloned().unwrap_or(Value::Null),
            None => {
                self.missed.borrow_mut().values(table.id, id);
                Value::Null
            }
        }
    }

    fn find(&self, table: &Table, key: KeyIndex, parts: &KeyParts) -> Option<Uuid> {
        match self.known.found.get(&(table.id, key)).and_then(|found| found.get(parts)) {
            Some(id) => *id,
            None => {
                let lock = self.lock_of(table.id);
                self.missed.borrow_mut().key(table.id, key, lock, parts.clone());
                None
            }
        }
    }
}

/// Physical names of the primary key and the row version.
pub(super) fn id_and_version(table: &Table) -> (String, String) {
    (
        names::column(table.column(table.primary_key).id),
        names::column(table.column(table.version_column()).id),
    )
}

fn rows_text(table: &Table, lock: Lock, values: &str) -> String {
    let (id, version) = id_and_version(table);
    format!(
        "SELECT {id}, {version}{values} FROM {} WHERE {id} = ANY($1::uuid[]) ORDER BY {id} {}",
        names::table(table.id),
        lock.clause()
    )
}

fn keys_text(catalog: &Catalog, table: &Table, key: KeyIndex, lock: Lock, values: &str) -> String {
    let (id, version) = id_and_version(table);
    let mut arrays = String::new();
    let mut columns = String::new();
    let mut conditions = String::new();
    for (place, column) in table.key(key).columns.iter().enumerate() {
        let form = Form::of(names::storage(catalog, table, *column)).name();
        arrays.push_str(&format!("${}::{form}[], ", place + 1));
        columns.push_str(&format!("p{place}, "));
        let glue = if place == 0 { "" } else { " AND " };
        let part = names::index_part(table, *column);
        conditions.push_str(&format!("{glue}t.{part} = k.p{place}"));
    }
    format!(
        "SELECT t.{id}, t.{version}, k.n{values} FROM unnest({}) WITH ORDINALITY AS k({columns}n) \
         JOIN {} AS t ON {conditions} ORDER BY t.{id} {} OF t",
        arrays.trim_end_matches(", "),
        names::table(table.id),
        lock.clause()
    )
}

fn values_text(table: &Table, values: &str) -> String {
    let (id, _) = id_and_version(table);
    format!("SELECT {id}{values} FROM {} WHERE {id} = ANY($1::uuid[])", names::table(table.id))
}

/// The columns of all alternate keys, each once.
fn key_columns(table: &Table) -> Vec<ColumnIndex> {
    let mut columns: Vec<ColumnIndex> =
        table.keys.iter().flat_map(|key| key.columns.iter().copied()).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn key_params(
    catalog: &Catalog,
    table: &Arc<Table>,
    key: KeyIndex,
    parts: &[KeyParts],
) -> Result<Vec<Bound>, Fault> {
    let columns = table.key(key).columns.iter().enumerate();
    columns
        .map(|(place, column)| {
            let form = Form::of(names::storage(catalog, table, *column));
            let mut array = ArrayBuilder::new(form, parts.len());
            for each in parts {
                match each.get(place) {
                    Some(part) => array.push(&value_of(part, form))?,
                    None => array.push_null(),
                }
            }
            Ok(array.finish())
        })
        .collect()
}

/// A part as a value of the column's type.
fn value_of(part: &KeyPart, form: Form) -> Value {
    match (part, form) {
        (KeyPart::Text(text), _) => Value::Text(searched(text).into()),
        (KeyPart::Integer(number), Form::Int4) => {
            i32::try_from(*number).map_or(Value::Null, Value::Integer)
        }
        (KeyPart::Integer(number), _) => Value::BigInt(*number),
        (KeyPart::Decimal(number), _) => Value::Decimal(*number),
        (KeyPart::Boolean(flag), _) => Value::Boolean(*flag),
        (KeyPart::Time(number), Form::Day) => {
            i32::try_from(*number).map_or(Value::Null, |days| Value::Date(Date(days)))
        }
        (KeyPart::Time(number), _) => Value::DateTime(Timestamp(*number)),
        (KeyPart::Id(id), _) => Value::Guid(*id),
        (KeyPart::Other(bits), Form::Float8) => {
            bits.first().map_or(Value::Null, |bits| Value::Double(f64::from_bits(*bits)))
        }
        (KeyPart::Other(choices), _) => Value::Choices(
            choices.iter().filter_map(|each| i32::try_from(each.cast_signed()).ok()).collect(),
        ),
    }
}
