//! From a row of the input to a row on its way: operation, id, bytes.
//!
//! In: fields, and what was decided about their row. Out: first a [`Draft`], then an entry of a [`Block`].
//! Not here: reading files (`source`), columns and values (`mapping`), deciding (`decide`).
//! Invariant: every record that is read becomes exactly one entry, in order; a new record has its id
//! before it is first sent, unless the service is to make it.

mod state;

use crate::convert::Open;
use crate::files::Given;
use crate::ids::Seed;
use crate::journal::Outcome;
use crate::mapping::{Mapped, Mapper};
use crate::pairs::Pairs;
use crate::parties::{self, PartyList};
use crate::problem::{Class, Problem};
use crate::rows::{Block, Entry, Operation, Sent, Span, Upload, Why};
use crate::run::{Selection, Take};
use crate::service::Described;
use model::{
    Catalog, Cell, ColumnIndex, ColumnKind, KeyIndex, KeyValue, Table, Target, TargetKey, Value,
    fold, partition,
};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

/// A row that was read and is not decided yet.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its 0-based position in the input.
    pub ordinal: u64,
    /// The line in the input on which it starts, from 1.
    pub line: u64,
    /// The row as it was read.
    pub raw: Vec<u8>,
    /// Whether an earlier part of the run has sent it.
    pub sent: Sent,
    /// The primary key that it gives.
    pub id: Option<Uuid>,
    /// The columns that it gives.
    pub cells: Vec<Cell>,
    /// Lookups whose records are still to be found.
    pub open: Vec<(ColumnIndex, Open)>,
    /// Files that it gives.
    pub files: Vec<(ColumnIndex, Given)>,
    /// For whom it is written, where that is another than the run's caller.
    pub caller: Option<Uuid>,
    /// Lists of parties that it gives; of a change all that the activity is to have.
    pub parties: Vec<PartyList>,
    /// Why it cannot be sent.
    pub problem: Option<Problem>,
}

impl Draft {
    /// The value of a column, if the row gives one.
    pub fn value(&self, column: ColumnIndex) -> Option<&Value> {
        self.cells.iter().find(|cell| cell.column == column).map(|cell| &cell.value)
    }
}

/// Reads rows into drafts.
pub struct Drafter {
    mapper: Mapper,
    selection: Option<Selection>,
    ordinal: u64,
    mapped: Mapped,
    /// The key of every row, whatever it gives itself.
    id: Option<Uuid>,
}

impl Drafter {
    /// Starts at ordinal 0. With a selection, rows of a run that have ended are left out.
    pub fn new(mapper: Mapper, selection: Option<Selection>) -> Self {
        Self { mapper, selection, ordinal: 0, mapped: Mapped::default(), id: None }
    }

    /// The row has this key, whatever it gives itself.
    pub fn of_one(self, id: Option<Uuid>) -> Self {
        Self { id, ..self }
    }

    /// The mapper, for what it left out.
    pub fn mapper(&self) -> &Mapper {
        &self.mapper
    }

    /// Reads a CSV row.
    pub fn csv(&mut self, line: u64, fields: &csv::ByteRecord) -> Option<Draft> {
        let draft = self.begin(line)?;
        let mut raw = Vec::with_capacity(fields.as_slice().len() + 4 * fields.len());
        crate::source::keep_fields(&mut raw, fields);
        let mapped = self.mapper.csv(fields, &mut self.mapped);
        Some(self.finish(draft, raw, mapped))
    }

    /// Reads an NDJSON row.
    pub fn json(&mut self, line: u64, text: &[u8]) -> Option<Draft> {
        let draft = self.begin(line)?;
        let mapped = self.mapper.json(text, &mut self.mapped);
        Some(self.finish(draft, text.to_vec(), mapped))
    }

    /// Takes in a row that cannot even be taken apart.
    pub fn unreadable(&mut self, line: u64, problem: Problem) -> Option<Draft> {
        self.begin(line).map(|draft| Draft { problem: Some(problem), ..draft })
    }

    /// The next row, unless it has ended in an earlier part of the run.
    fn begin(&mut self, line: u64) -> Option<Draft> {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let sent = match self.selection.as_ref().map(|selection| selection.take(ordinal)) {
            Some(Take::Skip) => return None,
            Some(Take::Send(sent)) => sent,
            None => Sent::No,
        };
        Some(Draft { ordinal, line, sent, ..Draft::default() })
    }

    fn finish(&mut self, draft: Draft, raw: Vec<u8>, mapped: Result<(), Problem>) -> Draft {
        let Mapped { id, cells, open, files, caller, parties } = std::mem::take(&mut self.mapped);
        let id = self.id.or(id);
        Draft { raw, id, cells, open, files, caller, parties, problem: mapped.err(), ..draft }
    }
}

/// What a row turns into.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// A new record, with the row's own id if it gives one.
    Create,
    /// Created or updated, as the service finds: by the row's id, else by this alternate key, else new.
    Upsert(Option<KeyIndex>),
    /// A change of this record.
    Update {
        /// Its primary key.
        id: Uuid,
        /// Its partition, where it has one.
        partition: Option<Box<str>>,
    },
    /// A pair of a many-to-many table.
    Pair,
    /// Nothing is sent.
    Settled(Outcome, Option<Uuid>),
    /// Nothing is sent, and this is why.
    Skipped(Why, Option<Uuid>),
    /// Nothing is sent, and it failed.
    Failed(Problem),
}

/// Encodes rows.
pub struct Encoder {
    table: Arc<Table>,
    catalog: Arc<Catalog>,
    seed: Seed,
    pairs: Option<Arc<Pairs>>,
    parties: Option<Described>,
    server_ids: bool,
    scratch: Vec<u8>,
}

/// What `wire` writes around a single target.
const OPEN: &[u8] = b"{\"Targets\":[";
const CLOSE: &[u8] = b"]}";

impl Encoder {
    /// For rows of one table.
    pub fn new(table: Arc<Table>, catalog: Arc<Catalog>, seed: Seed) -> Self {
        let (pairs, parties, server_ids) = (None, None, false);
        Self { table, catalog, seed, pairs, parties, server_ids, scratch: Vec::new() }
    }

    /// For rows of a many-to-many table.
    pub fn of_pairs(self, pairs: Option<Arc<Pairs>>) -> Self {
        Self { pairs, ..self }
    }

    /// For rows with lists of parties.
    pub fn with_parties(self, parties: Option<Described>) -> Self {
        Self { parties, ..self }
    }

    /// The service gives new records their ids, where rows do not.
    pub fn with_server_ids(self, server_ids: bool) -> Self {
        Self { server_ids, ..self }
    }

    /// Adds a row; it is one of `parts` with its ordinal.
    pub fn add(&mut self, block: &mut Block, draft: &Draft, decision: Decision, parts: u16) {
        let Draft { ordinal, line, sent, .. } = *draft;
        let raw = block.write(|out| out.extend_from_slice(&draft.raw));
        let Draft { id, caller, .. } = *draft;
        let mut entry = Entry { ordinal, line, sent, raw, parts, id, caller, ..Entry::default() };
        let encoded = match &draft.problem {
            Some(problem) => Err(problem.clone()),
            None => self.encode(block, &mut entry, draft, decision),
        };
        entry.problem = encoded.err().map(Box::new);
        block.push(entry);
    }

    fn encode(
        &mut self,
        block: &mut Block,
        entry: &mut Entry,
        draft: &Draft,
        decision: Decision,
    ) -> Result<(), Problem> {
        let mut cells = draft.cells.clone();
        let mut follow_up = Vec::new();
        let mark = |id: Uuid| Some(mark_of_id(id));
        let key = match (decision, draft.id) {
            (Decision::Failed(problem), _) => return Err(problem),
            (Decision::Settled(outcome, id), _) => {
                (entry.settled, entry.id) = (Some(outcome), id.or(entry.id));
                return Ok(());
            }
            (Decision::Skipped(why, id), _) => {
                (entry.settled, entry.id) = (Some(Outcome::Skipped), id.or(entry.id));
                entry.why = Some(why);
                return Ok(());
            }
            (Decision::Pair, _) => {
                let pairs = self.pairs.as_ref().expect("only tables of pairs have such rows");
                return match pairs.ids(draft) {
                    [Some(one), Some(two)] => {
                        pairs.write(block, entry, Operation::Associate, [one, two]);
                        Ok(())
                    }
                    ids => Err(pairs.lacks(ids)),
                };
            }
            (Decision::Create, given) => {
                entry.operation = Operation::Create;
                follow_up = self.split(&mut cells);
                entry.mark = given.and_then(mark);
                self.key_of_new(entry, given)
            }
            (Decision::Upsert(_), _) if !draft.parties.is_empty() => {
                let text = "`--upsert` does not go with a list of parties: what is there must be looked at";
                return Err(Problem::new(Class::Usage, text));
            }
            (Decision::Upsert(_), Some(given)) => {
                entry.operation = Operation::Upsert;
                state::complete(&self.table, &mut cells);
                entry.mark = mark(given);
                TargetKey::Id(given)
            }
            (Decision::Upsert(Some(key)), None) => {
                entry.operation = Operation::Upsert;
                state::complete(&self.table, &mut cells);
                let values = take_key(&self.table, key, &mut cells)?;
                entry.mark = Some(mark_of_key(&values));
                TargetKey::Alternate(KeyValue { key, values })
            }
            (Decision::Upsert(None), None) => {
                entry.operation = Operation::Create;
                follow_up = self.split(&mut cells);
                self.key_of_new(entry, None)
            }
            (Decision::Update { id, partition }, _) => {
                entry.operation = Operation::Update;
                state::complete(&self.table, &mut cells);
                (entry.id, entry.mark) = (Some(id), mark(id));
                if let Some(partition) = partition
                    && let Some(column) = partition::column(&self.table)
                    && !cells.iter().any(|cell| cell.column == column)
                {
                    cells.push(Cell { column, value: Value::Text(partition) });
                }
                TargetKey::Id(id)
            }
        };
        entry.uploads = self.uploads(draft)?;
        entry.is_nested = !draft.parties.is_empty();
        let is_empty = cells.is_empty() && draft.parties.is_empty();
        match entry.operation == Operation::Update && is_empty && !entry.uploads.is_empty() {
            true => entry.operation = Operation::Upload,
            false => entry.body = self.body(block, entry.operation, &key, cells, &draft.parties)?,
        }
        if !follow_up.is_empty() {
            entry.follow_up = self.body(block, Operation::Update, &named(&key), follow_up, &[])?;
        }
        let mut address = String::new();
        wire::reference::write_key(&mut address, &self.table, &key);
        entry.address = block.write(|out| out.extend_from_slice(address.as_bytes()));
        Ok(())
    }

    /// Takes out of a new record's columns what must follow its creation: its state, and images that do
    /// not stand for the record.
    fn split(&self, cells: &mut Vec<Cell>) -> Vec<Cell> {
        let mut follow_up = state::split(&self.table, cells);
        let waits = |cell: &Cell| {
            let kind = &self.table.column(cell.column).kind;
            matches!(kind, ColumnKind::Image { is_primary: false, .. })
        };
        let (mut images, rest): (Vec<Cell>, Vec<Cell>) =
            std::mem::take(cells).into_iter().partition(waits);
        *cells = rest;
        images.retain(|cell| !cell.value.is_null());
        follow_up.extend(images);
        follow_up
    }

    /// The files of a row.
    fn uploads(&self, draft: &Draft) -> Result<Box<[Upload]>, Problem> {
        let uploads = draft.files.iter().map(|(column, given)| {
            let column = &self.table.column(*column).logical_name;
            match (given, given.path()) {
                (Given::Of(id, _), None) => {
                    let text = format!(
                        "`{id}` is the id of a file, which lies nowhere: give `--file-directory`"
                    );
                    Err(Problem::new(Class::Conversion, text).of_column(column))
                }
                (_, path) => Ok(Upload { column: column.clone(), path: path.map(Box::from) }),
            }
        });
        uploads.collect()
    }

    fn key_of_new(&self, entry: &mut Entry, given: Option<Uuid>) -> TargetKey {
        if self.server_ids && given.is_none() {
            return TargetKey::None;
        }
        entry.id_is_ours = given.is_none();
        let id = given.unwrap_or_else(|| self.seed.id(entry.ordinal));
        entry.id = Some(id);
        TargetKey::Id(id)
    }

    fn body(
        &mut self,
        block: &mut Block,
        operation: Operation,
        key: &TargetKey,
        cells: Vec<Cell>,
        lists: &[PartyList],
    ) -> Result<Span, Problem> {
        let target = Target { key: key.clone(), cells, ..Target::default() };
        self.scratch.clear();
        wire::targets::encode(
            &mut self.scratch,
            &self.table,
            &self.catalog,
            operation.bulk(),
            std::slice::from_ref(&target),
        )
        .map_err(|err| Problem::new(Class::Conversion, err.to_string()))?;
        debug_assert!(self.scratch.starts_with(OPEN) && self.scratch.ends_with(CLOSE));
        self.scratch.truncate(self.scratch.len() - CLOSE.len());
        if let (Some(described), [_, ..]) = (&self.parties, lists) {
            parties::append(&mut self.scratch, &self.table, described, lists)
                .map_err(|err| Problem::new(Class::Conversion, err.to_string()))?;
        }
        let body = self.scratch.get(OPEN.len()..);
        Ok(block.write(|out| out.extend_from_slice(body.unwrap_or_default())))
    }
}

/// The key in what follows a new record: no id holds the place of one that the service makes.
fn named(key: &TargetKey) -> TargetKey {
    match key {
        TargetKey::None => TargetKey::Id(Uuid::nil()),
        key => key.clone(),
    }
}

/// Takes the key's values out of the cells: they belong to the address only.
fn take_key(table: &Table, key: KeyIndex, cells: &mut Vec<Cell>) -> Result<Box<[Value]>, Problem> {
    let columns = &table.key(key).columns;
    let mut values = Vec::with_capacity(columns.len());
    for column in columns {
        let place = cells.iter().position(|cell| cell.column == *column && !cell.value.is_null());
        let Some(place) = place else {
            let name = &table.column(*column).logical_name;
            let text = format!("the row has no value for `{name}`, which it is to be matched on");
            return Err(Problem::new(Class::Usage, text).of_column(name));
        };
        values.push(cells.remove(place).value);
    }
    Ok(values.into())
}

/// The mark of a record.
pub fn mark_of_id(id: Uuid) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Equal for keys that the service takes as equal; a clash with another key only delays a row.
pub fn mark_of_key(values: &[Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in values {
        match value {
            Value::Text(text) => fold(text).hash(&mut hasher),
            Value::Decimal(number) => number.normalize().to_string().hash(&mut hasher),
            other => format!("{other:?}").hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// The columns of an alternate key by name, for `--match-on`.
pub fn key_over(table: &Table, names: &[String]) -> Result<KeyIndex, Problem> {
    let mut columns: Vec<ColumnIndex> = Vec::new();
    for name in names {
        let index = crate::mapping::find(table, name).ok_or_else(|| {
            let text = format!("table `{}` has no column `{name}`", table.logical_name);
            Problem::new(Class::Usage, text)
        })?;
        columns.push(index);
    }
    table.key_over(&columns).ok_or_else(|| {
        let keys: Vec<String> = table
            .keys
            .iter()
            .map(|key| {
                let names = key.columns.iter().map(|column| &*table.column(*column).logical_name);
                format!("`{}`", names.collect::<Vec<_>>().join(","))
            })
            .collect();
        let there = if keys.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", keys.join(" and "))
        };
        let text = format!(
            "`{}` is no alternate key of table `{}`: {there}",
            names.join(","),
            table.logical_name
        );
        Problem::new(Class::Usage, text)
    })
}

#[cfg(test)]
mod tests;
