//! From a row of the input to a row on its way: operation, id, bytes.
//!
//! In: fields and a [`Plan`]. Out: entries of a [`Block`].
//! Not here: reading files (`source`), columns and values (`mapping`).
//! Invariant: every record that is read becomes exactly one entry, in order; a new record has its id
//! before it is first sent.

use crate::ids::Seed;
use crate::mapping::{Mapped, Mapper};
use crate::problem::{Class, Problem};
use crate::rows::{Block, Entry, Operation, Sent, Span};
use crate::run::{Selection, Take};
use model::{
    Catalog, Cell, ColumnIndex, KeyIndex, KeyValue, Table, Target, TargetKey, Value, fold,
};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

/// Which operation a row turns into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every row is a new record.
    pub create_only: bool,
    /// Rows without their primary key are matched by this alternate key.
    pub match_on: Option<KeyIndex>,
}

/// Encodes rows.
pub struct Encoder {
    mapper: Mapper,
    catalog: Arc<Catalog>,
    plan: Plan,
    seed: Seed,
    selection: Option<Selection>,
    ordinal: u64,
    mapped: Mapped,
    scratch: Vec<u8>,
}

/// What `wire` writes around a single target.
const OPEN: &[u8] = b"{\"Targets\":[";
const CLOSE: &[u8] = b"]}";

/// What a row has become.
struct Encoded {
    operation: Operation,
    key: TargetKey,
    id: Option<Uuid>,
    id_is_ours: bool,
    mark: Option<u64>,
}

impl Encoder {
    /// Starts at ordinal 0.
    pub fn new(mapper: Mapper, catalog: Arc<Catalog>, plan: Plan, seed: Seed) -> Self {
        Self {
            mapper,
            catalog,
            plan,
            seed,
            selection: None,
            ordinal: 0,
            mapped: Mapped::default(),
            scratch: Vec::new(),
        }
    }

    /// Leaves out the rows of a run that have ended.
    #[must_use]
    pub fn with_selection(mut self, selection: Option<Selection>) -> Self {
        self.selection = selection;
        self
    }

    /// What is to be done about the next row; one that is left out is counted.
    fn take(&mut self) -> Option<Sent> {
        match self.selection.as_ref().map(|selection| selection.take(self.ordinal)) {
            Some(Take::Skip) => {
                self.ordinal += 1;
                None
            }
            Some(Take::Send(sent)) => Some(sent),
            None => Some(Sent::No),
        }
    }

    /// The mapper, for what it left out.
    pub fn mapper(&self) -> &Mapper {
        &self.mapper
    }

    /// Adds a CSV row.
    pub fn csv(&mut self, block: &mut Block, line: u64, fields: &csv::ByteRecord) {
        let Some(sent) = self.take() else { return };
        let raw = block.write(|out| crate::source::keep_fields(out, fields));
        let mapped = self.mapper.csv(fields, &mut self.mapped);
        self.add(block, line, raw, sent, mapped);
    }

    /// Adds an NDJSON row.
    pub fn json(&mut self, block: &mut Block, line: u64, text: &[u8]) {
        let Some(sent) = self.take() else { return };
        let raw = block.write(|out| out.extend_from_slice(text));
        let mapped = self.mapper.json(text, &mut self.mapped);
        self.add(block, line, raw, sent, mapped);
    }

    /// Adds a row that cannot even be taken apart.
    pub fn unreadable(&mut self, block: &mut Block, line: u64, problem: Problem) {
        let Some(sent) = self.take() else { return };
        self.add(block, line, Span::default(), sent, Err(problem));
    }

    fn add(
        &mut self,
        block: &mut Block,
        line: u64,
        raw: Span,
        sent: Sent,
        mapped: Result<(), Problem>,
    ) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let mut entry = Entry { ordinal, line, raw, sent, ..Entry::default() };
        match mapped.and_then(|()| self.encode(ordinal)) {
            Ok(Encoded { operation, key, id, id_is_ours, mark }) => {
                let body = self.scratch.get(OPEN.len()..self.scratch.len() - CLOSE.len());
                entry.body = block.write(|out| out.extend_from_slice(body.unwrap_or_default()));
                let mut address = String::new();
                wire::reference::write_key(&mut address, self.mapper.table(), &key);
                entry.address = block.write(|out| out.extend_from_slice(address.as_bytes()));
                (entry.operation, entry.id, entry.id_is_ours) = (operation, id, id_is_ours);
                entry.mark = mark;
            }
            Err(problem) => {
                entry.id = self.mapped.id;
                entry.problem = Some(Box::new(problem));
            }
        }
        block.push(entry);
    }

    /// Decides and encodes what was mapped last; the body is left in `scratch`.
    fn encode(&mut self, ordinal: u64) -> Result<Encoded, Problem> {
        let table = Arc::clone(self.mapper.table());
        let cells = &mut self.mapped.cells;
        let ours = || (self.seed.id(ordinal), true);
        let (operation, key, mark) = match (self.mapped.id, self.plan) {
            (given, Plan { create_only: true, .. }) => {
                (Operation::Create, given.map(TargetKey::Id), given.map(mark_of_id))
            }
            (Some(given), _) => {
                (Operation::Upsert, Some(TargetKey::Id(given)), Some(mark_of_id(given)))
            }
            (None, Plan { match_on: Some(key), .. }) => {
                let values = take_key(&table, key, cells)?;
                let mark = mark_of_key(&values);
                let key = TargetKey::Alternate(KeyValue { key, values });
                (Operation::Upsert, Some(key), Some(mark))
            }
            (None, _) => (Operation::Create, None, None),
        };
        let (id, id_is_ours) = match &key {
            None => {
                let (id, is_ours) = ours();
                (Some(id), is_ours)
            }
            Some(TargetKey::Id(id)) => (Some(*id), false),
            Some(_) => (None, false),
        };
        let key = key.or(id.map(TargetKey::Id)).unwrap_or_default();
        let target = Target { key, cells: std::mem::take(cells), ..Target::default() };
        self.scratch.clear();
        let written = wire::targets::encode(
            &mut self.scratch,
            &table,
            &self.catalog,
            operation.bulk(),
            std::slice::from_ref(&target),
        );
        let Target { key, cells, .. } = target;
        self.mapped.cells = cells;
        written.map_err(|err| Problem::new(Class::Conversion, err.to_string()))?;
        debug_assert!(self.scratch.starts_with(OPEN) && self.scratch.ends_with(CLOSE));
        Ok(Encoded { operation, key, id, id_is_ours, mark })
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

fn mark_of_id(id: Uuid) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Equal for keys that the service takes as equal; a clash with another key only delays a row.
fn mark_of_key(values: &[Value]) -> u64 {
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
