//! Random histories: the engine and the reference must agree in every outcome, in everything that they
//! hold, and in what they answer to random queries.
//!
//! Ids, partitions and times come from tiny pools, so that they collide often.

use super::ElasticHarness;
use super::world::{NOW, Place, World, at, became, by_id, delete, text};
use crate::conformance::fixture::id;
use crate::conformance::random::for_cases;
use crate::elastic::{ElasticKey, ElasticOutcome, ElasticWalk, ElasticWrite};
use crate::elastic_memory::MemoryElasticStore;
use model::Value;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use query::{BoundQuery, Compare, Filter, Order, Page};
use std::collections::BTreeMap;
use std::sync::Arc;

const PARTITIONS: [Option<&str>; 5] = [None, Some("a"), Some("A"), Some("a\0"), Some("ab")];
const TEXTS: [&str; 6] = ["a", "A ", "b", "Ä", "ä", "c"];
/// Pages of one query that are compared, at most.
const PAGES_MAX: usize = 6;

// A sweep takes all rows whose time is over: which of them a smaller one takes is the engine's choice.

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Write>),
    Expire,
    Wait {
        seconds: i64,
    },
    Read(Read),
    /// Label and whether it is that or any other; rows of one call.
    Walk(Option<(u8, bool)>, usize),
    DropTable,
}

#[derive(Clone, Debug)]
struct Write {
    id: u8,
    partition: usize,
    action: Action,
    label: Option<u8>,
    count: Option<u8>,
    ttl: Option<u8>,
    version: Expected,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Insert,
    Update,
    Replace { keeps_label: bool },
    Make,
    Delete,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Any,
    Right,
    Wrong,
}

#[derive(Clone, Debug)]
struct Read {
    partition: Option<usize>,
    id: Option<u8>,
    label: Option<(u8, bool)>,
    order: Option<(bool, bool)>,
    descending: bool,
    size: u32,
    count_max: Option<u64>,
}

fn writes() -> impl Strategy<Value = Write> {
    let action = prop_oneof![
        4 => Just(Action::Insert),
        3 => Just(Action::Update),
        3 => any::<bool>().prop_map(|keeps_label| Action::Replace { keeps_label }),
        1 => Just(Action::Make),
        2 => Just(Action::Delete),
    ];
    let version = prop_oneof![
        12 => Just(Expected::Any),
        3 => Just(Expected::Right),
        1 => Just(Expected::Wrong),
    ];
    let field = || option::weighted(0.4, 0..7_u8);
    (0..4_u8, 0..PARTITIONS.len(), action, field(), field(), field(), version).prop_map(
        |(id, partition, action, label, count, ttl, version)| Write {
            id,
            partition,
            action,
            label,
            count,
            ttl,
            version,
        },
    )
}

/// Writes of rows of one partition, ids ascending: there may be many rows between them, or none.
fn neighbours() -> impl Strategy<Value = Vec<Write>> {
    let drawn = vec((writes(), 1..4_u8), 8..20);
    (0..PARTITIONS.len(), drawn).prop_map(|(partition, drawn)| {
        let mut id = 0;
        let next = |(write, gap): (Write, u8)| {
            id += gap;
            Write { id, partition, ..write }
        };
        drawn.into_iter().map(next).collect()
    })
}

fn reads() -> impl Strategy<Value = Read> {
    (
        option::of(0..PARTITIONS.len()),
        option::weighted(0.2, 0..5_u8),
        option::of((0..6_u8, any::<bool>())),
        option::of(any::<(bool, bool)>()),
        any::<bool>(),
        1..5_u32,
        option::of(0..8_u64),
    )
        .prop_map(|(partition, id, label, order, descending, size, count_max)| Read {
            partition,
            id,
            label,
            order,
            descending,
            size,
            count_max,
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => vec(writes(), 1..8).prop_map(Step::Write),
        3 => neighbours().prop_map(Step::Write),
        2 => Just(Step::Expire),
        3 => (0..40_i64).prop_map(|seconds| Step::Wait { seconds }),
        5 => reads().prop_map(Step::Read),
        2 => (option::of((0..6_u8, any::<bool>())), 1..5_usize)
            .prop_map(|(label, rows_max)| Step::Walk(label, rows_max)),
        1 => Just(Step::DropTable),
    ];
    vec(step, 1..40)
}

impl Write {
    fn place(&self) -> Place<'static> {
        (id(self.id.into()), PARTITIONS[self.partition])
    }

    fn bind(&self, world: &World, versions: &BTreeMap<ElasticKey, i64>) -> ElasticWrite {
        let named = [
            ("ship_label", self.label.map(label)),
            ("ship_count", self.count.map(|number| Value::Integer(number.into()))),
            ("ttlinseconds", self.ttl.map(ttl)),
        ];
        let cells: Vec<(&str, Value)> =
            named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let place = self.place();
        let write = match self.action {
            Action::Insert => world.insert(place, &cells),
            Action::Update => world.update(place, &cells),
            Action::Replace { keeps_label: true } => world.replace(place, &cells, &["ship_label"]),
            Action::Replace { keeps_label: false } => world.replace(place, &cells, &[]),
            Action::Make => world.make(place, &cells),
            Action::Delete => delete(place),
        };
        let expected_version = match self.version {
            Expected::Any => None,
            Expected::Right => versions.get(&write.key).copied(),
            Expected::Wrong => Some(-1),
        };
        ElasticWrite { expected_version, ..write }
    }
}

fn label(number: u8) -> Value {
    number.checked_sub(1).map_or(Value::Null, |number| text(TEXTS[usize::from(number)]))
}

fn by_label(world: &World, (number, equal): (u8, bool)) -> Filter {
    Filter::Compare {
        column: at(world.column("ship_label")),
        compare: if equal { Compare::Equal } else { Compare::NotEqual },
        value: text(TEXTS[usize::from(number)]),
    }
}

fn ttl(number: u8) -> Value {
    match number {
        0 => Value::Null,
        1 => Value::Integer(-1),
        number => Value::Integer(i32::from(number) * 10),
    }
}

impl Read {
    fn bind(&self, world: &World) -> BoundQuery {
        let mut query = world.query();
        let by_id = self.id.map(|number| by_id(&query, id(number.into())));
        let by_label = self.label.map(|label| by_label(world, label));
        query.filter = Some(Filter::And(by_id.into_iter().chain(by_label).collect()));
        query.order[0].descending = self.descending;
        query.order[1].descending = self.descending;
        if let Some((by_count, descending)) = self.order {
            let column = at(world.column(if by_count { "ship_count" } else { "ship_label" }));
            query.order.insert(0, Order { column, descending });
        }
        query.paging.size = self.size;
        query.paging.look_ahead = true;
        query.count_max = self.count_max;
        query
    }

    fn partition(&self) -> Option<Box<str>> {
        let partition = PARTITIONS[self.partition?];
        Some(ElasticKey::new(id(self.id.unwrap_or(1).into()), partition).partition)
    }
}

pub async fn random_histories_agree_with_the_reference<H: ElasticHarness>() {
    for_cases(steps(), 24, async |steps: &Vec<Step>| {
        let (_harness, engine) = World::open::<H>().await;
        let mut pair = Pair { engine, reference: World::over(Arc::new(MemoryElasticStore::new())) };
        for (place, step) in steps.iter().enumerate() {
            pair.run(step).await.map_err(|why| format!("step {place}: {why}"))?;
        }
        Ok(())
    })
    .await;
}

/// The engine and the reference.
struct Pair {
    engine: World,
    reference: World,
}

/// Rows without versions, and the versions.
type Contents = (Vec<Vec<Value>>, BTreeMap<ElasticKey, i64>);

impl Pair {
    async fn run(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Write(writes) => self.write(writes).await?,
            Step::Wait { seconds } => {
                self.engine = self.engine.later(*seconds);
                self.reference = self.reference.later(*seconds);
            }
            Step::Expire => {
                let mut removed = Vec::new();
                for world in [&self.engine, &self.reference] {
                    let sweep = world.store.expire(world.now, usize::MAX).await;
                    removed.push(sweep.map_err(|error| format!("expire fails: {error:?}"))?);
                }
                if removed[0] != removed[1] {
                    return Err(format!("expires {removed:?}"));
                }
            }
            Step::Read(read) => self.read(read).await?,
            Step::Walk(label, rows_max) => self.walk(*label, *rows_max).await?,
            Step::DropTable => {
                for world in [&self.engine, &self.reference] {
                    let dropped = world.store.drop_table(&world.table()).await;
                    dropped.map_err(|error| format!("drop fails: {error:?}"))?;
                }
            }
        }
        let (held, should) = (contents(&self.engine).await.0, contents(&self.reference).await.0);
        if held != should {
            return Err(format!("holds {held:?}, the reference {should:?}"));
        }
        Ok(())
    }

    async fn write(&self, writes: &[Write]) -> Result<(), String> {
        let mut answers = Vec::new();
        for world in [&self.engine, &self.reference] {
            let (_, versions) = contents(world).await;
            let bound = writes.iter().map(|write| write.bind(world, &versions)).collect();
            let outcomes = world.try_write(&world.table(), bound).await;
            let outcomes = outcomes.map_err(|error| format!("write fails: {error:?}"))?;
            check_versions(&outcomes, versions.into_values().max())?;
            answers.push(outcomes.into_iter().map(became).collect::<Vec<_>>());
        }
        if answers[0] != answers[1] {
            return Err(format!("answers {:?}, the reference {:?}", answers[0], answers[1]));
        }
        Ok(())
    }

    /// The order is the engine's own; which rows come, each once, is not.
    async fn walk(&self, label: Option<(u8, bool)>, rows_max: usize) -> Result<(), String> {
        let mut answers = Vec::new();
        for world in [&self.engine, &self.reference] {
            let filter = label.map(|label| by_label(world, label));
            let (catalog, table) = (world.catalog.clone(), world.table());
            let mut walk = ElasticWalk { catalog, table, filter, after: None, rows_max };
            let mut keys = Vec::new();
            loop {
                let walked = world.store.walk(&walk, world.now).await;
                let walked = walked.map_err(|error| format!("walk fails: {error:?}"))?;
                keys.extend(walked.keys);
                let Some(next) = walked.next else { break };
                walk.after = Some(next);
            }
            keys.sort();
            answers.push(keys);
        }
        if answers[0] != answers[1] {
            return Err(format!("walks by {:?}, the reference {:?}", answers[0], answers[1]));
        }
        Ok(())
    }

    async fn read(&self, read: &Read) -> Result<(), String> {
        let partition = read.partition();
        let mut query = read.bind(&self.engine);
        for place in 0..PAGES_MAX {
            let got = masked(&query, self.engine.page(&query, partition.as_deref()).await);
            let want = masked(&query, self.reference.page(&query, partition.as_deref()).await);
            if got != want {
                return Err(format!("page {place} is {got:?}, should be {want:?}"));
            }
            let width = query.columns.len();
            let Some(last) = want.rows(width).last().filter(|_| want.more) else { break };
            let value = |order: &Order| last[usize::from(order.column.column.0)].clone();
            query.paging.after = Some(query.order.iter().map(value).collect());
        }
        Ok(())
    }
}

/// Versions rise within a call, and above those of all rows before it.
fn check_versions(outcomes: &[ElasticOutcome], before: Option<i64>) -> Result<(), String> {
    let mut last = before.unwrap_or(NOW.0);
    for outcome in outcomes {
        if let ElasticOutcome::Written { version, .. } = outcome {
            if *version <= last {
                return Err(format!("version {version} is not above {last}"));
            }
            last = *version;
        }
    }
    Ok(())
}

async fn contents(world: &World) -> Contents {
    let version = usize::from(world.table().version_column().0);
    let partition = usize::from(world.column("partitionid").0);
    let mut versions = BTreeMap::new();
    let mut rows = world.all().await;
    for row in &mut rows {
        let partition = match &row[partition] {
            Value::Text(text) => Some(&**text),
            _ => None,
        };
        let key = ElasticKey::new(row[0].as_id().expect("an id"), partition);
        if let Value::BigInt(version) = std::mem::replace(&mut row[version], Value::Null) {
            versions.insert(key, version);
        }
    }
    (rows, versions)
}

/// The page without versions, which each store counts for itself.
fn masked(query: &BoundQuery, mut page: Page) -> Page {
    let version = query.table.version_column();
    let width = query.columns.len();
    for (place, cell) in page.cells.iter_mut().enumerate() {
        if query.columns[place % width].column == version {
            *cell = Value::Null;
        }
    }
    page
}
