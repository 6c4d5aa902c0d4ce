//! Records that are made for names which nothing has: with just that name, many in one message.
//!
//! Source: `client.md` 2.3. Invariant: one record for a name, whatever its case; nothing is made where only what would be is told.

use super::{Hit, Lookups, Missing, Place};
use crate::ask::key_text;
use crate::controller::{SIZE_MAX, Setting};
use crate::convert::Open;
use crate::encode::{Decision, Draft, Encoder};
use crate::ids::Seed;
use crate::journal::Outcome;
use crate::problem::{Class, Problem};
use crate::rows::{Block, Operation};
use crate::sender::{self, Event};
use crate::service::{self, Described, Service};
use crate::set::{self, Call, Care, Pace};
use model::{Cell, LookupValue, TableId, Uuid, Value};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// How many records were made, by table.
#[derive(Clone, Debug, Default)]
pub struct Made(Arc<Mutex<BTreeMap<Box<str>, u64>>>);

impl Made {
    /// The counts.
    pub fn counts(&self) -> BTreeMap<Box<str>, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, table: &str, count: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(table.into()).or_default() += count;
    }
}

/// How they are made.
pub(super) struct Stubs {
    seed: Seed,
    call: Call,
    what_if: bool,
    made: Made,
    has_bulk: HashMap<TableId, [bool; Operation::ALL.len()]>,
    /// So many were made.
    count: u64,
}

/// Names of one column of one table.
struct Group {
    place: Place,
    names: BTreeMap<String, Value>,
}

impl Lookups {
    /// Records are made for names that nothing has, if the rules say so; `made` counts them.
    #[must_use]
    pub fn with_stubs(mut self, seed: Seed, call: &Call, what_if: bool, made: &Made) -> Self {
        self.stubs = self.rules.missing_is_made.then(|| Stubs {
            seed,
            call: call.clone(),
            what_if,
            made: made.clone(),
            has_bulk: HashMap::new(),
            count: 0,
        });
        self
    }

    /// Makes records for what was not found; answers, one by one, which they are, or why there is none.
    pub async fn make(
        &mut self,
        service: &Service,
        missing: &[&Missing],
    ) -> Result<Vec<Result<LookupValue, Problem>>, service::Error> {
        let Some(mut stubs) = self.stubs.take() else {
            return Ok(missing.iter().map(|missing| Err(missing.problem.clone())).collect());
        };
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        let mut wanted = Vec::with_capacity(missing.len());
        for missing in missing {
            wanted.push(self.place_of(missing).map(|(place, value)| {
                let (at, key) = ((place.table.id, place.column), key_text([&value]));
                let hits = self.known.get(&at).map(|known| &known.hits);
                if !matches!(hits.and_then(|hits| hits.get(&key)), Some(Hit::One(_))) {
                    let group = Group { place, names: BTreeMap::new() };
                    let names = &mut groups.entry(at).or_insert(group).names;
                    names.entry(key.clone()).or_insert(value);
                }
                (at, key)
            }));
        }
        let mut failed: HashMap<_, Problem> = HashMap::new();
        for (at, group) in groups {
            let ends = Box::pin(stubs.make(service, &self.described, &group)).await?;
            let known = self.known.entry(at).or_default();
            for (key, end) in group.names.into_keys().zip(ends) {
                match end {
                    Ok(id) => drop(known.hits.insert(key, Hit::One(id))),
                    Err(problem) => drop(failed.insert((at, key), problem)),
                }
            }
        }
        self.stubs = Some(stubs);
        let known = &self.known;
        let found = wanted.into_iter().zip(missing).map(|(wanted, missing)| {
            let (at, key) = wanted?;
            match known.get(&at).and_then(|known| known.hits.get(&key)) {
                Some(Hit::One(id)) => Ok(LookupValue { table: at.0, id: *id }),
                _ => {
                    let mut problem = missing.problem.clone();
                    if let Some(why) = failed.get(&(at, key)) {
                        problem.message =
                            format!("{}, and making it failed: {why}", problem.message);
                    }
                    Err(problem)
                }
            }
        });
        Ok(found.collect())
    }

    /// Where the record is to be made, and by which value it is known.
    fn place_of(&self, missing: &Missing) -> Result<(Place, Value), Problem> {
        let is_name = matches!(missing.open, Open::Name(_));
        if !is_name || missing.problem.class != Class::UnresolvedLookup {
            return Err(missing.problem.clone());
        }
        let mut places = self.places(missing.column, &missing.open);
        if places.len() > 1 {
            let mut problem = missing.problem.clone();
            problem.message = format!(
                "{}; a record can be made in one table only: `--lookup COLUMN=TABLE.COLUMN` says in which",
                problem.message
            );
            return Err(problem);
        }
        let place = places.pop().ok_or_else(|| missing.problem.clone())?;
        let value = self.value(&place, &missing.open).ok_or_else(|| missing.problem.clone())?;
        Ok((place, value))
    }
}

impl Stubs {
    /// How each name ended, in their order.
    async fn make(
        &mut self,
        service: &Service,
        described: &Described,
        group: &Group,
    ) -> Result<Vec<Result<Uuid, Problem>>, service::Error> {
        let (table, column) = (&group.place.table, group.place.column);
        let mut hasher = DefaultHasher::new();
        let names: Vec<&String> = group.names.keys().collect();
        (self.seed.random, table.id.0, names).hash(&mut hasher);
        // Ids of their own: the rows of the run count from the top, too, and so does a run that is taken up again.
        let seed = Seed { random: hasher.finish(), ..self.seed };
        let (first, count) = (self.count, group.names.len() as u64);
        self.count += count;
        if self.what_if {
            self.made.add(&table.logical_name, count);
            return Ok((first..self.count).map(|ordinal| Ok(seed.id(ordinal))).collect());
        }
        let has_bulk = match self.has_bulk.get(&table.id) {
            Some(has_bulk) => *has_bulk,
            None => service.bulk_messages(table).await?,
        };
        self.has_bulk.insert(table.id, has_bulk);
        let catalog = Arc::clone(&described.catalog);
        let mut encoder = Encoder::new(Arc::clone(table), Arc::clone(&catalog), seed);
        let mut block = Block::default();
        for (ordinal, value) in (first..).zip(group.names.values()) {
            let cells = vec![Cell { column, value: value.clone() }];
            let draft = Draft { ordinal, cells, ..Draft::default() };
            encoder.add(&mut block, &draft, Decision::Create, 1);
        }
        let described = Described { table: Arc::clone(table), catalog };
        let route = set::route(&described, false, &self.call);
        let pace =
            Pace { size: Setting::Fixed(SIZE_MAX), width: Setting::Fixed(1), ..Pace::default() };
        let settings = set::settings(&described, pace, Care::default(), has_bulk, None, seed);
        let (sender, blocks) = mpsc::channel(1);
        // There is room for it.
        drop(sender.try_send(block));
        drop(sender);
        let mut ends: BTreeMap<u64, Result<Uuid, Problem>> = BTreeMap::new();
        let mut observe = |event: Event<'_>| {
            if let Event::Ended { row, outcome, problem, id, .. } = event {
                let end = match (outcome, problem, id) {
                    (Outcome::Created, _, Some(id)) => Ok(id),
                    (_, Some(problem), _) => Err(problem.clone()),
                    _ => Err(stopped()),
                };
                ends.insert(row.entry().ordinal, end);
            }
        };
        sender::run(service.transport(), &route, settings, blocks, None, None, &mut observe).await;
        let well = ends.values().filter(|end| end.is_ok()).count() as u64;
        if well > 0 {
            self.made.add(&table.logical_name, well);
        }
        let end = |ordinal| ends.remove(&ordinal).unwrap_or_else(|| Err(stopped()));
        Ok((first..self.count).map(end).collect())
    }
}

fn stopped() -> Problem {
    Problem::new(Class::Ambiguous, "the run stopped before it was made")
}
