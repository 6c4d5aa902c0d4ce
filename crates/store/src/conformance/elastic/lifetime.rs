//! What outlives a process, and what many tasks may do at once.

use super::ElasticHarness;
use super::world::{Became, World, became, delete, on, text};
use crate::conformance::fixture::id;
use crate::elastic::{ElasticOutcome, ElasticReason, ElasticWrite};
use model::Value;
use std::sync::Arc;

const TASKS: u128 = 8;

pub async fn everything_survives_a_reopen<H: ElasticHarness>() {
    let (mut harness, world) = World::open::<H>().await;
    let place = |number| (id(number), Some("p"));
    let cells = [("ship_label", text("a")), ("ttlinseconds", Value::Integer(60))];
    world
        .write(vec![
            world.insert(place(1), &cells),
            world.insert(place(2), &cells),
            world.insert(place(3), &cells),
            world.insert((id(1), None), &[("ship_note", text("b"))]),
            world.update(place(2), &[("ttlinseconds", Value::Null)]),
            delete(place(3)),
        ])
        .await;
    let before = world.all().await;
    assert_eq!(before.len(), 3);
    drop(world);
    harness.reopen().await;
    let world = World::over(harness.store());
    assert_eq!(world.all().await, before, "versions, too");
    let then = world.later(60);
    assert_eq!(then.row(place(1)).await, None);
    assert_eq!(then.store.expire(then.now, 10).await.expect("a sweep"), 1);
    assert_eq!(then.all().await.len(), 2);
}

pub async fn versions_go_on_after_a_reopen<H: ElasticHarness>() {
    let (mut harness, world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    world.run(world.insert(place, &[])).await;
    let last = world.later(1_000).run(delete(place)).await;
    drop(world);
    harness.reopen().await;
    let world = World::over(harness.store());
    let next = world.run(world.insert(place, &[])).await;
    assert!(next > last, "{next} is not above {last}");
}

/// Runs a call in each of many tasks at once; answers what became of each call's writes.
async fn at_once(
    world: &World,
    call: impl Fn(&World, u128) -> Vec<ElasticWrite>,
) -> Vec<Vec<ElasticOutcome>> {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..TASKS {
        let (store, table, now) = (world.store.clone(), world.table(), world.now);
        let writes = call(world, number);
        tasks.spawn(async move { store.write(&table, now, writes).await });
    }
    let answers = tasks.join_all().await;
    answers.into_iter().map(|answer| answer.expect("the call is fine")).collect()
}

pub async fn one_of_many_inserts_of_a_row_is_written<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let rows = 20;
    let outcomes = at_once(&world, |world, task| {
        let label = [("ship_label", text(&format!("task {task}")))];
        // Each in an order of its own.
        let rows = (0..rows).map(|number| (number * (2 * task + 1)) % rows);
        rows.map(|number| world.insert((id(number), Some("p")), &label)).collect()
    })
    .await;
    let all: Vec<Became> = outcomes.into_iter().flatten().map(became).collect();
    let made = all.iter().filter(|became| **became == Became::Made).count();
    let others = all.iter().filter(|became| **became == Became::Refused(ElasticReason::Exists));
    let there = world.all().await.len();
    assert_eq!((made, made + others.count()), (there, all.len()));
}

pub async fn one_of_many_changes_of_a_version_is_written<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    let mut version = world.run(world.insert(place, &[("ship_count", Value::Integer(0))])).await;
    for round in 1..=5 {
        let count = [("ship_count", Value::Integer(round))];
        let outcomes =
            at_once(&world, |world, _| vec![on(world.update(place, &count), version)]).await;
        let written: Vec<i64> = outcomes
            .into_iter()
            .flatten()
            .filter_map(|outcome| match outcome {
                ElasticOutcome::Written { version, .. } => Some(version),
                ElasticOutcome::Refused(reason) => {
                    assert_eq!(reason, ElasticReason::VersionMismatch);
                    None
                }
            })
            .collect();
        let [next] = written[..] else { panic!("{written:?} were all written") };
        assert!(next > version);
        assert_eq!(world.version(place).await, next);
        version = next;
    }
    // Without a version, all are.
    let outcomes = at_once(&world, |world, _| vec![world.update(place, &[])]).await;
    assert!(outcomes.into_iter().flatten().all(|outcome| became(outcome) == Became::Changed));
}

pub async fn calls_of_many_tasks_keep_every_row<H: ElasticHarness>() {
    const ROWS: u128 = 50;
    let (_harness, world) = World::open::<H>().await;
    let world = Arc::new(world);
    let partitions = ["p", "q", "r"];
    let outcomes = at_once(&world, |world, task| {
        let partition = partitions[usize::try_from(task % 3).unwrap_or(0)];
        let rows = (0..ROWS).map(|number| id(task * 1_000 + number));
        rows.map(|id| world.insert((id, Some(partition)), &[])).collect()
    })
    .await;
    for call in outcomes {
        assert!(call.into_iter().all(|outcome| became(outcome) == Became::Made));
    }
    let rows = world.all().await;
    assert_eq!(rows.len() as u128, TASKS * ROWS);
}
