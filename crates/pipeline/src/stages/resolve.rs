//! Which records a message is about: alternate keys and binds become ids before any step runs.
//!
//! One query per table and key, whatever the number of targets. What is not found stays as it was sent, and
//! the write tells it.
//! Not here: checks inside the transaction, which are the store's.
//! Source: plugins.md 1.1.3, 2.5, 2.6.

use super::elastic;
use crate::elastic::{Found, Wanted, bind_key};
use crate::message::{Condition, Write};
use crate::run::{Context, Error, Pipeline};
use crate::step::plan::{self, Bypass, Event, StagePlan, StepTable};
use model::{
    Bind, Cell, ColumnIndex, KeyValue, LookupValue, MessageName, Table, TableKind, Target,
    TargetKey, Uuid, Value, partition,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use store::elastic::ElasticKey;

/// The records of a message.
pub(super) struct Resolved {
    /// Each once, in the order in which they are first named.
    pub(super) records: Vec<Target>,
    /// Per record: the first target that names it.
    pub(super) target_of: Vec<usize>,
    /// Per target: its record.
    pub(super) record_of: Vec<usize>,
    /// What they raise.
    pub(super) events: Vec<Event>,
}

pub(super) enum Resolution {
    Good(Resolved),
    /// The message fails whatever steps do.
    Refused,
}

impl Resolved {
    pub(super) fn plan(&self, message: &Write, steps: &StepTable, bypass: &Bypass) -> StagePlan {
        plan::plan(message.name, &message.table, self.events.clone(), steps, bypass)
    }
}

impl Pipeline {
    /// Finds the records that a message names. Only an upsert keeps its targets.
    pub(super) async fn resolve(
        &self,
        context: &Context,
        message: &mut Write,
    ) -> Result<Resolution, Error> {
        let upserts = is_upsert(message.name);
        let Write { name, table, targets, condition } = message;
        let wanted = wanted(table, targets, upserts);
        let found = match wanted.ids.is_empty() && wanted.binds.is_empty() {
            true => Found::default(),
            false => self.existing(context, &wanted).await?,
        };
        let mut records = if upserts { targets.clone() } else { std::mem::take(targets) };
        for record in &mut records {
            bind(record, &found);
        }
        if upserts {
            let condition = *condition;
            return Ok(upsert(message, records, &found, condition));
        }
        let names_rows = !matches!(name, MessageName::Create | MessageName::CreateMultiple);
        for record in records.iter_mut().filter(|_| names_rows) {
            if let TargetKey::Alternate(key) = &record.key
                && let Some(id) = id_of(table, key, &found)
            {
                record.key = TargetKey::Id(id);
            }
        }
        let event = |records| vec![Event { message: *name, records }];
        if !names_rows {
            // Each makes a record of its own.
            let each: Vec<usize> = (0..records.len()).collect();
            let (target_of, record_of, events) = (each.clone(), each.clone(), event(each));
            return Ok(Resolution::Good(Resolved { records, target_of, record_of, events }));
        }
        let count = records.len();
        let (mut kept, mut target_of) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut record_of = Vec::with_capacity(count);
        let mut seen: HashMap<Uuid, usize> = HashMap::new();
        for (target, record) in records.into_iter().enumerate() {
            let place = match record.key {
                TargetKey::Id(id) => *seen.entry(id).or_insert(kept.len()),
                _ => kept.len(),
            };
            record_of.push(place);
            if place == kept.len() {
                kept.push(record);
                target_of.push(target);
            }
        }
        let events = event((0..kept.len()).collect());
        Ok(Resolution::Good(Resolved { records: kept, target_of, record_of, events }))
    }
}

impl Pipeline {
    /// Finds the records that a message on an elastic table names: by id and partition, whether they are there
    /// or not. Lookups by alternate key become ids where that finds something. The message keeps no targets.
    ///
    /// Errors: an upsert names a record twice; no step runs then (plugins.md 2.6.2).
    pub(super) async fn resolve_elastic(
        &self,
        context: &Context,
        message: &mut Write,
    ) -> Result<Resolved, Error> {
        let Write { name, table, targets, .. } = message;
        let mut wanted = Wanted::default();
        let mut seen = BTreeSet::new();
        for one in targets.iter().flat_map(|target| &target.binds) {
            if bind_key(one).is_some_and(|key| seen.insert(key)) {
                wanted.binds.push(one.clone());
            }
        }
        let found = match wanted.binds.is_empty() {
            true => Found::default(),
            false => self.existing(context, &wanted).await?,
        };
        let mut records: Vec<Target> = std::mem::take(targets);
        for record in &mut records {
            bind(record, &found);
        }
        let (mut kept, mut target_of, mut record_of) = (Vec::new(), Vec::new(), Vec::new());
        let mut known: HashMap<ElasticKey, usize> = HashMap::new();
        let mut repeats = Vec::new();
        for (target, record) in records.into_iter().enumerate() {
            let key = match name {
                MessageName::Create | MessageName::CreateMultiple => None,
                _ => elastic::key_of_target(table, &record),
            };
            let place = key.map_or(kept.len(), |key| *known.entry(key).or_insert(kept.len()));
            record_of.push(place);
            if place == kept.len() {
                kept.push(record);
                target_of.push(target);
            } else {
                repeats.push((target, partition::parts(table, &record.key).map(|(id, _)| id)));
            }
        }
        if is_upsert(*name) && !repeats.is_empty() {
            return Err(crate::elastic::named_twice(*name, repeats).into());
        }
        let events = vec![Event { message: *name, records: (0..kept.len()).collect() }];
        Ok(Resolved { records: kept, target_of, record_of, events })
    }
}

fn is_upsert(name: MessageName) -> bool {
    matches!(name, MessageName::Upsert | MessageName::UpsertMultiple)
}

/// Whether no step would run, whatever records are found. What an upsert on a standard table raises depends on
/// them.
pub(super) fn plans_nothing(message: &Write, steps: &StepTable, bypass: &Bypass) -> bool {
    let event = Event { message: message.name, records: vec![0] };
    let depends = is_upsert(message.name) && message.table.kind == TableKind::Standard;
    !depends && plan::plan(message.name, &message.table, vec![event], steps, bypass).is_empty()
}

/// What must be looked for.
fn wanted(table: &Arc<Table>, targets: &[Target], upserts: bool) -> Wanted {
    let mut ids = BTreeSet::new();
    let mut binds: Vec<Bind> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |bind: Bind| {
        // A key with a null is no record's.
        if let Some((table, key, parts)) = bind_key(&bind)
            && seen.insert((table, key, format!("{parts:?}")))
        {
            binds.push(bind);
        }
    };
    for target in targets {
        match &target.key {
            TargetKey::Id(id) if upserts => {
                ids.insert(LookupValue { table: table.id, id: *id });
            }
            TargetKey::Alternate(key) => add(as_bind(table, key)),
            TargetKey::Id(_) | TargetKey::None => {}
        }
        target.binds.iter().cloned().for_each(&mut add);
    }
    Wanted { ids, binds }
}

/// A record by alternate key, in the form in which lookups name one.
fn as_bind(table: &Arc<Table>, key: &KeyValue) -> Bind {
    Bind { column: ColumnIndex(0), table: table.clone(), key: key.clone() }
}

fn id_of(table: &Arc<Table>, key: &KeyValue, found: &Found) -> Option<Uuid> {
    found.binds.get(&bind_key(&as_bind(table, key))?).copied()
}

/// Lookups by alternate key that were found become lookups by id.
fn bind(record: &mut Target, found: &Found) {
    let (cells, binds) = (&mut record.cells, &mut record.binds);
    binds.retain(|bind| match bind_key(bind).and_then(|key| found.binds.get(&key)) {
        Some(id) => {
            let value = Value::Lookup(LookupValue { table: bind.table.id, id: *id });
            cells.push(Cell { column: bind.column, value });
            false
        }
        None => true,
    });
}

/// Splits an upsert into what it makes and what it changes.
fn upsert(
    message: &Write,
    records: Vec<Target>,
    found: &Found,
    condition: Condition,
) -> Resolution {
    let table = &message.table;
    let bulk = message.name.is_bulk();
    let mut seen = BTreeSet::new();
    let (mut made, mut changed) = (Vec::new(), Vec::new());
    let mut kept = Vec::with_capacity(records.len());
    for (place, mut record) in records.into_iter().enumerate() {
        let (id, is_there, named) = match &record.key {
            TargetKey::None => (None, false, None),
            TargetKey::Id(id) => {
                let there = found.ids.contains(&LookupValue { table: table.id, id: *id });
                (Some(*id), there, Some(id.to_string()))
            }
            TargetKey::Alternate(key) => {
                let id = id_of(table, key, found);
                let named = id.map(|id| id.to_string());
                let named = named.or_else(|| {
                    bind_key(&as_bind(table, key))
                        .map(|(_, key, parts)| format!("{key:?}{parts:?}"))
                });
                (id, id.is_some(), named)
            }
        };
        let key_columns: Vec<(ColumnIndex, Value)> = match &record.key {
            TargetKey::Alternate(key) => {
                let columns = &table.key(key.key).columns;
                columns.iter().copied().zip(key.values.iter().cloned()).collect()
            }
            TargetKey::Id(_) | TargetKey::None => Vec::new(),
        };
        let in_body = |column: ColumnIndex| record.cells.iter().any(|cell| cell.column == column);
        let key_in_body = key_columns.iter().any(|(column, _)| in_body(*column));
        let is_twice = named.is_some_and(|named| !seen.insert(named));
        let must_not_be = is_there && condition == Condition::MustNotExist;
        if is_twice || must_not_be || (bulk && key_in_body && !is_there) {
            return Resolution::Refused;
        }
        if is_there {
            record
                .cells
                .retain(|cell| key_columns.iter().all(|(column, _)| *column != cell.column));
            changed.push(place);
        } else {
            let missing: Vec<Cell> = key_columns
                .into_iter()
                .filter(|(column, _)| !in_body(*column))
                .map(|(column, value)| Cell { column, value })
                .collect();
            record.cells.extend(missing);
            // There is no row that could have this version.
            record.expected_version = None;
            made.push(place);
        }
        record.key = id.map_or(TargetKey::None, TargetKey::Id);
        kept.push(record);
    }
    let (create, update) = match bulk {
        true => (MessageName::CreateMultiple, MessageName::UpdateMultiple),
        false => (MessageName::Create, MessageName::Update),
    };
    let events = [(create, made), (update, changed)];
    let events = events.into_iter().filter(|(_, records)| !records.is_empty());
    let all: Vec<usize> = (0..kept.len()).collect();
    Resolution::Good(Resolved {
        records: kept,
        target_of: all.clone(),
        record_of: all,
        events: events.map(|(message, records)| Event { message, records }).collect(),
    })
}
