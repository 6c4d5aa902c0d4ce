//! The records that rows name, by key or by match lists, asked for many rows at once.
//!
//! In: drafts. Out: for each of them the records that are there, or why it names none.
//! Not here: what happens to the records (`resolve`, `get`, `remove`).
//! Source: `client.md` 3.1 row 4, 4 rule 3. Invariant: every hit of every row is found; the number of
//! questions depends on how many rows there are only by `rows_max`.

use crate::ask::{self, Question, key_text};
use crate::encode::Draft;
use crate::lookup::{self, Lookups};
use crate::mapping;
use crate::problem::{Class, Problem};
use crate::service::{self, Described, Service};
use model::{Cell, ColumnIndex, ColumnKind, Table, Uuid, Value, partition};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wire::record::ReadRecord;

/// How many records match a row where only one may: they are counted and shown up to this many.
const SHOWN_MAX: usize = 3;

/// The columns of match lists.
///
/// Errors: what is wrong with the lists.
pub fn lists(table: &Table, names: &[Vec<String>]) -> Result<Vec<Vec<ColumnIndex>>, Problem> {
    let find = |name: &String| {
        let index = mapping::find(table, name).ok_or_else(|| {
            let text = format!("table `{}` has no column `{name}`", table.logical_name);
            Problem::new(Class::Usage, text)
        })?;
        let column = table.column(index);
        let is_no_key = matches!(
            column.kind,
            ColumnKind::MultiChoice { .. } | ColumnKind::File { .. } | ColumnKind::Image { .. }
        );
        if !column.valid_for_read || is_no_key {
            let text = format!("rows cannot be matched on column `{}`", column.logical_name);
            return Err(Problem::new(Class::Usage, text));
        }
        Ok(index)
    };
    names.iter().map(|list| list.iter().map(find).collect()).collect()
}

/// The values of a match list, when the row gives all of them.
pub fn values_of(draft: &Draft, list: &[ColumnIndex]) -> Option<Vec<Value>> {
    list.iter().map(|column| draft.value(*column).cloned()).collect()
}

/// The partition that cells give, where the table has partitions.
pub fn partition_of(table: &Table, cells: &[Cell]) -> Option<Box<str>> {
    let column = partition::column(table)?;
    cells.iter().find(|cell| cell.column == column).and_then(|cell| match &cell.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    })
}

/// How rows name records.
pub struct Match<'a> {
    /// Where and what is asked.
    pub question: Question<'a>,
    /// Columns that rows are matched by; the first list that finds something counts.
    pub lists: &'a [Vec<ColumnIndex>],
    /// Keys in one question.
    pub rows_max: usize,
}

impl Match<'_> {
    /// The records of these rows, by their place: by key, then list by list.
    pub async fn find(
        &self,
        drafts: &[&Draft],
        select: &[ColumnIndex],
    ) -> Result<Vec<Vec<ReadRecord>>, service::Error> {
        let mut found: Vec<Vec<ReadRecord>> = drafts.iter().map(|_| Vec::new()).collect();
        if drafts.is_empty() {
            return Ok(found);
        }
        let table = self.question.table;
        let mut wanted: BTreeSet<ColumnIndex> = select.iter().copied().collect();
        wanted.extend(self.lists.iter().flatten());
        wanted.extend(partition::column(table));
        let wanted: Vec<ColumnIndex> = wanted.into_iter().collect();
        let mut by_id: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (place, draft) in drafts.iter().enumerate() {
            if let Some(id) = draft.id {
                by_id.entry(id).or_default().push(place);
            }
        }
        let ids: Vec<Vec<Value>> = by_id.keys().map(|id| vec![Value::Guid(*id)]).collect();
        for filter in ask::filters(table, &[table.primary_key], &ids, self.rows_max) {
            for record in self.question.records(&wanted, &filter).await? {
                let partition = partition_of(table, &record.cells);
                let places = record.id.and_then(|id| by_id.get(&id));
                let is_meant = |place: &&usize| {
                    partition::column(table).is_none()
                        || drafts.get(**place).map(|draft| partition_of(table, &draft.cells))
                            == Some(partition.clone())
                };
                give(&mut found, places.into_iter().flatten().filter(is_meant), record.clone());
            }
        }
        for list in self.lists {
            let mut keys: HashMap<String, (Vec<Value>, Vec<usize>)> = HashMap::new();
            let mut order: Vec<String> = Vec::new();
            for (place, draft) in drafts.iter().enumerate() {
                if found.get(place).is_some_and(|found| !found.is_empty()) {
                    continue;
                }
                if let Some(values) = values_of(draft, list) {
                    let key = key_text(&values);
                    let entry = keys.entry(key.clone()).or_insert_with(|| {
                        order.push(key);
                        (values, Vec::new())
                    });
                    entry.1.push(place);
                }
            }
            let values: Vec<Vec<Value>> =
                order.iter().filter_map(|key| keys.get(key)).map(|(key, _)| key.clone()).collect();
            for filter in ask::filters(table, list, &values, self.rows_max) {
                for record in self.question.records(&wanted, &filter).await? {
                    let id = record.id.map(Value::Guid).unwrap_or(Value::Null);
                    let null = Value::Null;
                    let of = |column: &ColumnIndex| {
                        if *column == table.primary_key {
                            return &id;
                        }
                        let cell = record.cells.iter().find(|cell| cell.column == *column);
                        cell.map_or(&null, |cell| &cell.value)
                    };
                    let key = key_text(list.iter().map(of));
                    let places = keys.get(&key).map(|(_, places)| places);
                    give(&mut found, places.into_iter().flatten(), record.clone());
                }
            }
        }
        Ok(found)
    }
}

fn give<'a>(
    found: &mut [Vec<ReadRecord>],
    places: impl Iterator<Item = &'a usize>,
    record: ReadRecord,
) {
    for place in places {
        if let Some(found) = found.get_mut(*place) {
            found.push(record.clone());
        }
    }
}

/// Finds the records of rows that name nothing but records.
pub struct Finder {
    service: Service,
    described: Described,
    lists: Vec<Vec<ColumnIndex>>,
    lookups: Lookups,
    rows_max: usize,
    allow_multiple: bool,
    headers: Vec<(&'static str, String)>,
}

impl Finder {
    /// Checks the lists. `allow_multiple` lets a row name several records.
    pub fn new(
        service: &Service,
        described: &Described,
        names: &[Vec<String>],
        rows_max: usize,
        allow_multiple: bool,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Self, Problem> {
        let lists = lists(&described.table, names)?;
        let rules = lookup::Rules::default();
        let lookups = Lookups::new(described.clone(), rules, rows_max, headers.clone())?;
        Ok(Self {
            service: service.clone(),
            described: described.clone(),
            lists,
            lookups,
            rows_max,
            allow_multiple,
            headers,
        })
    }

    /// The columns of rows that count.
    pub fn columns(&self) -> impl Iterator<Item = ColumnIndex> + '_ {
        self.lists.iter().flatten().copied().chain(partition::column(&self.described.table))
    }

    /// The records of each row; none where there are none.
    pub async fn find(
        &mut self,
        drafts: &mut [Draft],
        select: &[ColumnIndex],
    ) -> Result<Vec<Result<Vec<ReadRecord>, Problem>>, service::Error> {
        self.lookups.settle(&self.service, drafts).await?;
        for draft in drafts.iter_mut() {
            let has_key = draft.id.is_some()
                || self.lists.iter().any(|list| values_of(draft, list).is_some());
            if draft.problem.is_none() && !has_key {
                let text = match self.lists.is_empty() {
                    true => "the row has no id",
                    false => "the row has neither an id nor all values that it is matched on",
                };
                draft.problem = Some(Problem::new(Class::Usage, text));
            }
        }
        let good: Vec<&Draft> = drafts.iter().filter(|draft| draft.problem.is_none()).collect();
        let question = Question {
            service: &self.service,
            table: &self.described.table,
            catalog: &self.described.catalog,
            headers: &self.headers,
        };
        let matching = Match { question, lists: &self.lists, rows_max: self.rows_max };
        let mut found = matching.find(&good, select).await?.into_iter();
        Ok(drafts
            .iter_mut()
            .map(|draft| match draft.problem.take() {
                Some(problem) => Err(problem),
                None => self.settle(found.next().unwrap_or_default()),
            })
            .collect())
    }

    fn settle(&self, found: Vec<ReadRecord>) -> Result<Vec<ReadRecord>, Problem> {
        match found.len() {
            0 | 1 => Ok(found),
            _ if self.allow_multiple => Ok(found),
            _ => Err(ambiguous(found.len(), found.iter().filter_map(|record| record.id))),
        }
    }
}

/// Several records match a row that may mean one.
pub fn ambiguous(count: usize, ids: impl Iterator<Item = Uuid>) -> Problem {
    let ids: Vec<String> = ids.take(SHOWN_MAX).map(|id| id.to_string()).collect();
    let text = format!(
        "{count} records match the row: {}; `--allow-multiple-matches` means them all",
        ids.join(", ")
    );
    Problem::new(Class::AmbiguousMatch, text)
}
