//! Random registrations and messages: what the plan says is what runs.
//!
//! `SHEAF_CASES` is the number of registrations (24 by default; 1,000 make 10,000 messages), `SHEAF_SEED`
//! another seed.

use super::elastic::{PING, ping};
use super::world::{CRATE, New, World};
use model::{MessageName, Target, TargetKey, Uuid, Value};
use pipeline::step::plan::{Form, Run, StagePlan};
use pipeline::step::{Mode, Stage};
use pipeline::{Definition, JobEnd};
use std::collections::BTreeMap;

const MESSAGES_PER_CASE: usize = 10;

/// One run: stage, step, and the record if there is one.
type Ran = (i32, Uuid, Option<usize>);

/// A small generator: the tests need no good one, only the same one.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % end
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A table, and what random steps and messages may say about it.
#[derive(Clone, Copy)]
struct Ground {
    table: &'static str,
    key: &'static str,
    /// Messages that steps are registered for.
    names: &'static [&'static str],
    /// Messages that are sent.
    sent: &'static [MessageName],
    filters: [&'static str; 3],
    /// Columns that a target names, one of them or none.
    text: &'static str,
    number: &'static str,
}

const STANDARD: Ground = Ground {
    table: CRATE,
    key: "ship_crateid",
    names: &["Create", "CreateMultiple", "Update", "UpdateMultiple", "Delete"],
    sent: &[
        MessageName::Create,
        MessageName::CreateMultiple,
        MessageName::Update,
        MessageName::UpdateMultiple,
        MessageName::Delete,
    ],
    filters: ["", "ship_label", "ship_weight,ship_price"],
    text: "ship_label",
    number: "ship_weight",
};

/// Here every event has two forms, and an upsert is one of them.
const ELASTIC: Ground = Ground {
    table: PING,
    key: "ship_pingid",
    names: &[
        "Create",
        "CreateMultiple",
        "Update",
        "UpdateMultiple",
        "Upsert",
        "UpsertMultiple",
        "Delete",
        "DeleteMultiple",
    ],
    sent: &[
        MessageName::Create,
        MessageName::CreateMultiple,
        MessageName::Update,
        MessageName::UpdateMultiple,
        MessageName::Upsert,
        MessageName::UpsertMultiple,
        MessageName::Delete,
        MessageName::DeleteMultiple,
    ],
    filters: ["", "ship_source", "ship_value,partitionid"],
    text: "ship_source",
    number: "ship_value",
};

#[tokio::test]
async fn what_the_plan_says_is_what_runs() {
    let world = World::open().await;
    what_the_plan_says_runs_on(&world, STANDARD).await;
}

#[tokio::test]
async fn what_the_plan_says_is_what_runs_on_an_elastic_table() {
    let world = World::open().await;
    world.house.define(Definition::CreateTables(vec![ping()])).await.expect("an elastic table");
    what_the_plan_says_runs_on(&world, ELASTIC).await;
}

async fn what_the_plan_says_runs_on(world: &World, ground: Ground) {
    let mut random = Random(number("SHEAF_SEED", 42).max(1));
    for case in 0..number("SHEAF_CASES", 24) {
        let steps = register(world, &mut random, ground).await;
        let mut queued = 0;
        for _ in 0..MESSAGES_PER_CASE {
            let known = (&steps, queued);
            queued = one_message(world, &mut random, (ground, case), known).await;
        }
        let targets = steps.keys().map(|step| {
            world.house.target_of("sdkmessageprocessingstep", TargetKey::Id(*step), &[])
        });
        for target in targets.collect::<Vec<_>>() {
            let name = MessageName::Delete;
            world.house.write(name, "sdkmessageprocessingstep", vec![target]).await.expect("gone");
        }
    }
}

/// Registers up to eight steps at once.
async fn register(
    world: &World,
    random: &mut Random,
    ground: Ground,
) -> BTreeMap<Uuid, New<'static>> {
    let mut steps = BTreeMap::new();
    for _ in 0..random.below(9) {
        let stage = random.of(&[10, 20, 40]);
        let new = New {
            handler: random.of(&["a", "b", "c"]),
            message: random.of(ground.names),
            table: random.of(&[Some(ground.table), Some(ground.table), None]),
            stage,
            mode: if stage == 40 { random.of(&[0, 1]) } else { 0 },
            rank: i32::try_from(random.below(4)).expect("small"),
            filter: random.of(&ground.filters),
        };
        steps.insert(Uuid::from_u128(1_000 + random.below(1_000_000) as u128), new);
    }
    let targets: Vec<Target> = steps
        .iter()
        .map(|(step, new)| {
            let cells = world.cells(new);
            world.house.target_of("sdkmessageprocessingstep", TargetKey::Id(*step), &cells)
        })
        .collect();
    if !targets.is_empty() {
        let name = MessageName::CreateMultiple;
        world.house.write(name, "sdkmessageprocessingstep", targets).await.expect("all are fine");
    }
    world.seen();
    steps
}

async fn one_message(
    world: &World,
    random: &mut Random,
    (ground, case): (Ground, u64),
    (steps, queued): (&BTreeMap<Uuid, New<'static>>, usize),
) -> usize {
    use MessageName as M;
    let name = random.of(ground.sent);
    let count = if name.is_bulk() { 1 + random.below(4) } else { 1 };
    let ids: Vec<Uuid> = (0..count).map(|place| Uuid::from_u128(place as u128 + 1)).collect();
    let mut columns: Vec<&str> = Vec::new();
    let mut targets = Vec::new();
    for row in &ids {
        let cells: &[(&str, Value)] = match random.below(3) {
            0 => &[(ground.text, Value::Null)],
            1 => &[(ground.number, Value::Integer(5))],
            _ => &[],
        };
        columns.push(cells.first().map_or("", |cell| cell.0));
        let cells = if matches!(name, M::Delete | M::DeleteMultiple) { &[] } else { cells };
        targets.push(world.house.target_of(ground.table, TargetKey::Id(*row), cells));
    }
    prepare(world, ground, &ids, matches!(name, M::Create | M::CreateMultiple)).await;
    world.seen();
    let table = world.house.table(ground.table);
    let context = world.house.context();
    let plans = world.house.pipeline.explain(&context, name, &table, count).await.expect("a plan");
    world.house.write(name, ground.table, targets).await.expect("the message is fine");
    let mut ran: Vec<Ran> =
        world.seen().iter().map(|seen| (seen.stage, seen.step, seen.record)).collect();
    // Asynchronous runs are made behind the message, each from what its job keeps.
    let queued = run_jobs(world, queued).await;
    let jobs = world.seen();
    assert!(jobs.iter().all(|seen| seen.call.frame.mode == Mode::Asynchronous));
    ran.extend(jobs.iter().map(|seen| (seen.stage, seen.step, seen.record)));
    let planned: Vec<_> = planned(&plans[0])
        .into_iter()
        .filter(|(stage, step, record)| is_due(&steps[step], *stage, *record, &columns))
        .collect();
    assert_eq!(ran, planned, "case {case}: {name} {count} {steps:?}");
    counts(&ran, steps, (name, count), &columns);
    printed(&plans[0]);
    queued
}

/// Runs the jobs behind the first so many, in the order in which they were queued; answers how many there are.
async fn run_jobs(world: &World, known: usize) -> usize {
    let jobs = world.house.rows("asyncoperation", &["sheaf_run"]).await;
    for job in &jobs[known..] {
        let Value::Text(data) = &job[0] else { panic!("a job keeps its run") };
        let run = world.house.pipeline.run_job(&world.house.context(), data, 0).await;
        let end = run.expect("it is run").end;
        assert!(matches!(end, JobEnd::Succeeded { deleted: false }), "{end:?}");
    }
    jobs.len()
}

/// Makes the rows exist, or not, without steps: each in a service call that bypasses them.
async fn prepare(world: &World, ground: Ground, ids: &[Uuid], gone: bool) {
    let there = world.house.rows(ground.table, &[ground.key]).await;
    let there: Vec<Uuid> = there.iter().filter_map(|row| row[0].as_id()).collect();
    let mut writes = Vec::new();
    let write = |name, row: &Uuid| pipeline::Write {
        name,
        table: world.house.table(ground.table),
        targets: vec![world.house.target_of(ground.table, TargetKey::Id(*row), &[])],
        condition: pipeline::Condition::Any,
    };
    for row in ids {
        match (gone, there.contains(row)) {
            (true, true) => writes.push(write(MessageName::Delete, row)),
            (false, false) => writes.push(write(MessageName::Create, row)),
            _ => {}
        }
    }
    let mut context = world.house.context();
    context.course.bypass =
        pipeline::Bypass { synchronous: true, asynchronous: true, ..pipeline::Bypass::default() };
    for write in writes {
        let message = pipeline::Message::Write(write);
        world.house.pipeline.run(&context, message).await.expect("rows are made ready");
    }
}

fn planned(plan: &StagePlan) -> Vec<Ran> {
    let ran = |run: Run<'_>| (run.stage.number(), run.step.id, run.record);
    let waited = Stage::ALL.into_iter().flat_map(|stage| plan.runs(stage));
    waited.chain(plan.jobs()).map(ran).collect()
}

/// Whether a step runs, by the contract's words and not by the plan's code.
fn is_due(step: &New<'_>, _stage: i32, record: Option<usize>, columns: &[&str]) -> bool {
    let waits = step.message.starts_with("Update") && !step.filter.is_empty();
    let named =
        |column: &&str| !column.is_empty() && step.filter.split(',').any(|name| name == *column);
    !waits
        || match record {
            Some(record) => named(&columns[record]),
            None => columns.iter().any(named),
        }
}

/// Each single step ran once for each target, each bulk step once, in the order of ranks.
fn counts(
    ran: &[Ran],
    steps: &BTreeMap<Uuid, New<'static>>,
    (name, count): (MessageName, usize),
    columns: &[&str],
) {
    let event = name.as_str().trim_end_matches("Multiple");
    for (step, new) in steps {
        let own: Vec<Option<usize>> =
            ran.iter().filter(|(_, of, _)| of == step).map(|(_, _, record)| *record).collect();
        let raised = new.message.trim_end_matches("Multiple") == event;
        let want: Vec<Option<usize>> = match (raised, new.message.ends_with("Multiple")) {
            (false, _) => Vec::new(),
            (true, true) => vec![None],
            (true, false) => (0..count).map(Some).collect(),
        };
        let want: Vec<_> =
            want.into_iter().filter(|record| is_due(new, new.stage, *record, columns)).collect();
        assert_eq!(own, want, "{name} {count}: {new:?}");
    }
    for pair in ran.windows(2) {
        assert!(pair[0].0 <= pair[1].0, "stages in order");
        let (first, second) = (&steps[&pair[0].1], &steps[&pair[1].1]);
        let same =
            pair[0].0 == pair[1].0 && first.message == second.message && pair[0].2 == pair[1].2;
        let same = same && first.mode == second.mode;
        assert!(first.mode <= second.mode || pair[0].0 < pair[1].0, "jobs behind all others");
        assert!(!same || first.rank <= second.rank, "ranks in order");
    }
}

/// Every step of the plan is printed once, in its order.
fn printed(plan: &StagePlan) {
    let text = plan.to_string();
    let names = text.lines().filter(|line| line.starts_with("    ")).count();
    let turns = || plan.turns.iter().chain(&plan.queued);
    let steps: usize = turns().map(|turn| turn.steps.len()).sum();
    assert_eq!(names, steps, "{text}");
    let forms = turns().map(|turn| turn.form);
    assert_eq!(
        text.matches("  once with").count(),
        forms.filter(|form| *form == Form::All).count()
    );
}
