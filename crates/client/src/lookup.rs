//! Lookups by name: which record a text means, asked for many rows at once and remembered.
//!
//! In: rows whose lookups are open. Out: the same rows with the lookups that were found; what was not.
//! Source: `client.md` 2.3. Invariant: a text that names several records names none, unless the newest
//! was asked for; memory is bounded.

mod stubs;

pub use stubs::Made;

use crate::ask::{self, Question, key_text};
use crate::convert::{Converter, Open};
use crate::encode::Draft;
use crate::problem::{Class, Problem, shortened};
use crate::service::{self, Described, Service};
use model::{
    Cell, ColumnIndex, ColumnKind, LookupTarget, LookupValue, Table, TableId, Uuid, Value,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use wire::record::ReadRecord;

/// Names that are remembered; beyond them the memory starts anew.
const NAMES_MAX: usize = 200_000;

/// A question about fewer names than half of what one may ask for is a poor one. After so many of them …
const POOR_MAX: usize = 4;
/// … a table of up to so many pages is read as a whole, once, so that a few names here and there are no further questions.
const PAGES_MAX: usize = 10;

/// Where the records of a lookup are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// Only in this table.
    pub table: Option<String>,
    /// By this column instead of the table's name.
    pub column: String,
}

/// How lookups by name are read.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// By lookup column, as given.
    pub aims: Vec<(String, Aim)>,
    /// A name that nothing has empties the column instead of failing the row.
    pub missing_is_null: bool,
    /// A record is made for a name that nothing has.
    pub missing_is_made: bool,
    /// Of several records the newest is meant.
    pub newest: bool,
}

/// What a name means in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hit {
    One(Uuid),
    Several(Vec<Uuid>),
    None,
}

/// What is remembered of one column of one table.
#[derive(Default)]
struct Known {
    hits: HashMap<String, Hit>,
    /// Every record of the table is among them.
    is_whole: bool,
    was_read: bool,
    /// Poor questions so far, until the table is tried as a whole.
    poor: usize,
}

/// One place where names of a lookup are looked up.
#[derive(Clone)]
struct Place {
    table: Arc<Table>,
    column: ColumnIndex,
}

/// A lookup that named no single record.
pub struct Missing {
    /// The lookup column.
    pub column: ColumnIndex,
    /// What it was to be found by.
    pub open: Open,
    /// Its name as a key of the table itself, when rows of this input could have it.
    pub own_name: Option<String>,
    /// Why.
    pub problem: Problem,
}

/// Finds records by their names.
pub struct Lookups {
    described: Described,
    rules: Rules,
    aims: HashMap<ColumnIndex, Aim>,
    rows_max: usize,
    known: HashMap<(TableId, ColumnIndex), Known>,
    headers: Vec<(&'static str, String)>,
    stubs: Option<stubs::Stubs>,
}

impl Lookups {
    /// Checks the rules against the table.
    ///
    /// Errors: what is wrong with them.
    pub fn new(
        described: Described,
        rules: Rules,
        rows_max: usize,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Self, Problem> {
        let table = &described.table;
        let mut aims = HashMap::new();
        for (name, aim) in &rules.aims {
            let wrong = |text: String| Err(Problem::new(Class::Usage, text));
            let Some(index) = crate::mapping::find(table, name) else {
                return wrong(format!("table `{}` has no column `{name}`", table.logical_name));
            };
            let ColumnKind::Lookup { targets, .. } = &table.column(index).kind else {
                return wrong(format!("column `{name}` is no lookup"));
            };
            let is_meant = |target: &&LookupTarget| {
                aim.table.as_ref().is_none_or(|only| target.table.eq_ignore_ascii_case(only))
            };
            let mut places = targets.iter().filter(is_meant).filter_map(|target| {
                let table = described.catalog.table(&target.table)?;
                crate::mapping::find(table, &aim.column)
            });
            if places.next().is_none() {
                return wrong(format!(
                    "`{}` is no column of a table that `{name}` points to",
                    aim.column
                ));
            }
            aims.insert(index, aim.clone());
        }
        let known = HashMap::new();
        Ok(Self { described, rules, aims, rows_max, known, headers, stubs: None })
    }

    /// Notes which names of these rows would be a question in a table that is too large to be read as a whole. Names in the
    /// rows' own table do not count: those that are not there now may be there soon.
    pub fn note_unknown(&self, drafts: &[Draft], unknown: &mut HashSet<(ColumnIndex, Open)>) {
        let good = drafts.iter().filter(|draft| draft.problem.is_none());
        for (column, open) in good.flat_map(|draft| &draft.open) {
            for place in self.places(*column, open) {
                let Some(value) = self.value(&place, open) else { continue };
                let Some(known) = self.known.get(&(place.table.id, place.column)) else { break };
                let key = key_text([&value]);
                match known.hits.get(&key) {
                    Some(Hit::One(_) | Hit::Several(_)) => break,
                    Some(Hit::None) => {}
                    None if known.is_whole || place.table.id == self.described.table.id => {}
                    None => {
                        unknown.insert((*column, open.clone()));
                        break;
                    }
                }
            }
        }
    }

    /// Finds what good rows leave open. A row one of whose records is not found gets the first reason as its problem.
    pub async fn settle(
        &mut self,
        service: &Service,
        drafts: &mut [Draft],
    ) -> Result<(), service::Error> {
        let is_open = |draft: &&mut Draft| draft.problem.is_none() && !draft.open.is_empty();
        let mut open: Vec<&mut Draft> = drafts.iter_mut().filter(is_open).collect();
        if open.is_empty() {
            return Ok(());
        }
        let missing = self.resolve(service, &mut open).await?;
        for (draft, missing) in open.into_iter().zip(missing) {
            draft.problem = missing.into_iter().next().map(|missing| missing.problem);
            draft.open.clear();
        }
        Ok(())
    }

    /// Finds what the rows leave open; answers, row by row, what was not found.
    pub async fn resolve(
        &mut self,
        service: &Service,
        drafts: &mut [&mut Draft],
    ) -> Result<Vec<Vec<Missing>>, service::Error> {
        let mut asked: BTreeMap<ColumnIndex, Vec<Open>> = BTreeMap::new();
        for (column, open) in drafts.iter().flat_map(|draft| &draft.open) {
            asked.entry(*column).or_default().push(open.clone());
        }
        if self.known.values().map(|known| known.hits.len()).sum::<usize>() > NAMES_MAX {
            self.known.clear();
        }
        for (column, opens) in asked {
            self.learn(service, column, &opens).await?;
        }
        Ok(drafts.iter_mut().map(|draft| self.apply(draft)).collect())
    }

    /// The places for a lookup column, in the order in which they are tried.
    fn places(&self, column: ColumnIndex, open: &Open) -> Vec<Place> {
        let ColumnKind::Lookup { targets, .. } = &self.described.table.column(column).kind else {
            return Vec::new();
        };
        let aim = self.aims.get(&column);
        let tables = targets.iter().filter(|target| {
            let only = aim.and_then(|aim| aim.table.as_ref());
            only.is_none_or(|only| target.table.eq_ignore_ascii_case(only))
        });
        tables
            .filter_map(|target| {
                let table = self.described.catalog.table(&target.table)?;
                let column = match (open, aim) {
                    (Open::Id(_), _) => table.primary_key,
                    (Open::Name(_), Some(aim)) => crate::mapping::find(table, &aim.column)?,
                    (Open::Name(_), None) => table.definition().primary_name?,
                };
                Some(Place { table: Arc::clone(table), column })
            })
            .collect()
    }

    /// The key under which a text stands among the names of a place.
    fn value(&self, place: &Place, open: &Open) -> Option<Value> {
        match open {
            Open::Id(id) => Some(Value::Guid(*id)),
            Open::Name(text) => {
                let column = place.table.column(place.column);
                Converter::new(column, &self.described.catalog).read(text).ok()
            }
        }
    }

    async fn learn(
        &mut self,
        service: &Service,
        column: ColumnIndex,
        opens: &[Open],
    ) -> Result<(), service::Error> {
        // Names and ids are looked up in different columns.
        for is_name in [true, false] {
            let mut open: Vec<&Open> =
                opens.iter().filter(|open| matches!(open, Open::Name(_)) == is_name).collect();
            let places = open.first().map(|first| self.places(column, first)).unwrap_or_default();
            for place in places {
                let mut values: BTreeMap<String, Value> = BTreeMap::new();
                let known = self.known.get(&(place.table.id, place.column));
                for open in &open {
                    if let Some(value) = self.value(&place, open) {
                        let key = key_text([&value]);
                        if !known.is_some_and(|known| known.knows(&key)) {
                            values.insert(key, value);
                        }
                    }
                }
                self.ask(service, &place, values).await?;
                // What is here is not looked for in the next table.
                let known = self.known.get(&(place.table.id, place.column));
                open.retain(|open| {
                    let key = self.value(&place, open).map(|value| key_text([&value]));
                    let hit = key.and_then(|key| known?.hits.get(&key));
                    matches!(hit, None | Some(Hit::None))
                });
            }
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        service: &Service,
        place: &Place,
        mut values: BTreeMap<String, Value>,
    ) -> Result<(), service::Error> {
        if values.is_empty() {
            return Ok(());
        }
        let Place { table, column } = place;
        let is_own = table.id == self.described.table.id;
        let mut select = vec![*column];
        let extra = ["statecode", "isdisabled"].into_iter();
        let extra = extra.chain(self.rules.newest.then_some("createdon"));
        select.extend(extra.filter_map(|name| table.index_of(name)));
        let catalog = Arc::clone(&self.described.catalog);
        let question = Question { service, table, catalog: &catalog, headers: &self.headers };
        let known = self.known.entry((table.id, *column)).or_default();
        let mut found: HashMap<String, Vec<ReadRecord>> = HashMap::new();
        let mut add = |records: Vec<ReadRecord>| {
            for record in records {
                if let Some(key) = key_of(table, *column, &record) {
                    found.entry(key).or_default().push(record);
                }
            }
        };
        // A small table is read as a whole, once. The table's own rows change with every row.
        if !known.was_read && !is_own && self.rows_max > 1 {
            known.was_read = true;
            if let Some(records) = question.all_if_few(&select, 1).await? {
                known.is_whole = true;
                add(records);
                values.clear();
            }
        }
        if !known.is_whole && !is_own && values.len() * 2 <= self.rows_max {
            known.poor += 1;
            if known.poor == POOR_MAX
                && let Some(records) = question.all_if_few(&select, PAGES_MAX).await?
            {
                known.is_whole = true;
                add(records);
                values.clear();
            }
        }
        let keys: Vec<Vec<Value>> = values.values().map(|value| vec![value.clone()]).collect();
        for filter in ask::filters(table, &[*column], &keys, self.rows_max) {
            add(question.records(&select, &filter).await?);
        }
        for (key, records) in found {
            known.hits.insert(key, choose(table, records, self.rules.newest));
        }
        if !is_own {
            for key in values.into_keys() {
                known.hits.entry(key).or_insert(Hit::None);
            }
        }
        Ok(())
    }

    fn apply(&self, draft: &mut Draft) -> Vec<Missing> {
        let mut missing = Vec::new();
        draft.open.retain(|(column, open)| {
            let mut several: Option<&[Uuid]> = None;
            let places = self.places(*column, open);
            for place in &places {
                let Some(value) = self.value(place, open) else { continue };
                let known = self.known.get(&(place.table.id, place.column));
                match known.and_then(|known| known.hits.get(&key_text([&value]))) {
                    Some(Hit::One(id)) => {
                        let value = LookupValue { table: place.table.id, id: *id };
                        draft.cells.push(Cell { column: *column, value: Value::Lookup(value) });
                        return false;
                    }
                    Some(Hit::Several(ids)) => {
                        several = Some(ids);
                        break;
                    }
                    Some(Hit::None) | None => {}
                }
            }
            let own = places.iter().find(|place| place.table.id == self.described.table.id);
            let own_name = own.filter(|_| several.is_none()).and_then(|place| {
                Some(place.column)
                    .filter(|column| Some(*column) == place.table.definition().primary_name)
                    .and_then(|_| self.value(place, open))
                    .map(|value| key_text([&value]))
            });
            let problem = self.problem(*column, open, several, &places);
            missing.push(Missing { column: *column, open: open.clone(), own_name, problem });
            true
        });
        missing
    }

    fn problem(
        &self,
        column: ColumnIndex,
        open: &Open,
        several: Option<&[Uuid]>,
        places: &[Place],
    ) -> Problem {
        let text = match open {
            Open::Name(text) => shortened(text).into_owned(),
            Open::Id(id) => id.to_string(),
        };
        let tables: Vec<String> =
            places.iter().map(|place| format!("`{}`", place.table.logical_name)).collect();
        let problem = match several {
            Some(ids) => {
                let ids: Vec<String> = ids.iter().take(3).map(Uuid::to_string).collect();
                let text = format!("`{text}` names several records: {}", ids.join(", "));
                Problem::new(Class::AmbiguousLookup, text)
            }
            None => {
                let text = match tables.is_empty() {
                    true => format!("`{text}` cannot be looked up: give the record's id"),
                    false => format!("no record of {} is called `{text}`", tables.join(", ")),
                };
                Problem::new(Class::UnresolvedLookup, text)
            }
        };
        problem.of_column(&self.described.table.column(column).logical_name)
    }

    /// Whether the newest of several records is meant.
    pub fn newest(&self) -> bool {
        self.rules.newest
    }

    /// Whether names that nothing has empty their column.
    pub fn missing_is_null(&self) -> bool {
        self.rules.missing_is_null
    }
}

impl Known {
    fn knows(&self, key: &str) -> bool {
        self.is_whole || self.hits.contains_key(key)
    }
}

fn key_of(table: &Table, column: ColumnIndex, record: &ReadRecord) -> Option<String> {
    if column == table.primary_key {
        return record.id.map(|id| key_text([&Value::Guid(id)]));
    }
    let cell = record.cells.iter().find(|cell| cell.column == column)?;
    (!cell.value.is_null()).then(|| key_text([&cell.value]))
}

/// Active records go before others.
fn choose(table: &Table, records: Vec<ReadRecord>, newest: bool) -> Hit {
    let value = |record: &ReadRecord, name: &str| {
        let column = table.index_of(name)?;
        record.cells.iter().find(|cell| cell.column == column).map(|cell| cell.value.clone())
    };
    let is_active = |record: &ReadRecord| {
        !matches!(value(record, "statecode"), Some(Value::Integer(state)) if state != 0)
            && value(record, "isdisabled") != Some(Value::Boolean(true))
    };
    let (active, other): (Vec<_>, Vec<_>) = records.into_iter().partition(is_active);
    let mut records = if active.is_empty() { other } else { active };
    if newest {
        let created = |record: &ReadRecord| match value(record, "createdon") {
            Some(Value::DateTime(at)) => Some(at),
            _ => None,
        };
        records.sort_by_key(|record| std::cmp::Reverse(created(record)));
        records.truncate(1);
    }
    let mut ids: Vec<Uuid> = records.iter().filter_map(|record| record.id).collect();
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [] => Hit::None,
        [one] => Hit::One(*one),
        _ => Hit::Several(ids),
    }
}

#[cfg(test)]
pub(crate) mod tests;
