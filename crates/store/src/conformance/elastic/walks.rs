//! Walks: every row once, in whatever order the engine has.

use super::ElasticHarness;
use super::world::{Place, World, at, delete, text};
use crate::conformance::fixture::id;
use crate::elastic::{ElasticKey, ElasticWalk, Walked};
use model::Value;
use query::{Compare, Filter};
use std::collections::BTreeSet;

/// Partitions that are hard to tell apart or to put in an order.
const PARTITIONS: [Option<&str>; 9] = [
    None,
    Some("a"),
    Some("A"),
    Some("a "),
    Some("ab"),
    Some("a\0"),
    Some("a\0b"),
    Some("\u{1}0"),
    Some("\u{10FFFF}"),
];

/// Ids 0 to 4 in every partition.
fn places() -> Vec<Place<'static>> {
    let ids = [0, 1, 2, 3, u128::MAX].map(id);
    PARTITIONS.iter().flat_map(|partition| ids.map(|id| (id, *partition))).collect()
}

fn keys(places: &[Place<'_>]) -> BTreeSet<ElasticKey> {
    places.iter().map(|(id, partition)| ElasticKey::new(*id, *partition)).collect()
}

/// A store with these rows; the count of a row is its place here.
async fn with_rows<H: ElasticHarness>(places: &[Place<'_>]) -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let row = |(number, place): (i32, &Place<'_>)| {
        world.insert(*place, &[("ship_count", Value::Integer(number))])
    };
    world.write((0..).zip(places).map(row).collect()).await;
    (harness, world)
}

fn walk(world: &World, filter: Option<Filter>, rows_max: usize) -> ElasticWalk {
    let (catalog, table) = (world.catalog.clone(), world.table());
    ElasticWalk { catalog, table, filter, after: None, rows_max }
}

fn count_below(world: &World, number: i32) -> Filter {
    let column = at(world.column("ship_count"));
    Filter::Compare { column, compare: Compare::Less, value: Value::Integer(number) }
}

async fn step(world: &World, walk: &ElasticWalk) -> Walked {
    let walked = world.store.walk(walk, world.now).await.expect("a plain walk");
    assert!(walked.keys.len() <= walk.rows_max, "{} of {}", walked.keys.len(), walk.rows_max);
    walked
}

/// Walks to the end; answers the keys, each of which came once, and how many calls it took.
async fn walk_all(world: &World, mut walk: ElasticWalk) -> (BTreeSet<ElasticKey>, usize) {
    let mut seen = BTreeSet::new();
    for calls in 1..10_000 {
        let walked = step(world, &walk).await;
        for key in walked.keys {
            assert!(seen.insert(key.clone()), "{key:?} came twice");
        }
        match walked.next {
            Some(next) => walk.after = Some(next),
            None => return (seen, calls),
        }
    }
    panic!("the walk has no end");
}

pub async fn a_walk_sees_every_row_once_whatever_its_steps<H: ElasticHarness>() {
    let places = places();
    let (_harness, world) = with_rows::<H>(&places).await;
    let elsewhere = world.insert((id(9), None), &[]);
    world.try_write(&world.table_named("ship_pong"), vec![elsewhere]).await.expect("another table");
    let mut orders = BTreeSet::new();
    for rows_max in [1, 2, 3, 7, 44, 45, 46, 1_000] {
        let (seen, _) = walk_all(&world, walk(&world, None, rows_max)).await;
        assert_eq!(seen, keys(&places), "steps of {rows_max}");
        let mut walk = walk(&world, None, rows_max);
        let mut order = Vec::new();
        loop {
            let walked = step(&world, &walk).await;
            order.extend(walked.keys);
            let Some(next) = walked.next else { break };
            walk.after = Some(next);
        }
        orders.insert(order);
    }
    assert_eq!(orders.len(), 1, "one order");
}

pub async fn a_walk_answers_what_matches_and_looks_at_no_more_rows_than_it_may<
    H: ElasticHarness,
>() {
    let places = places();
    let (_harness, world) = with_rows::<H>(&places).await;
    for (matching, rows_max) in [(0, 4), (1, 4), (12, 4), (12, 1), (45, 4), (0, 100)] {
        let below = count_below(&world, i32::try_from(matching).expect("small"));
        let (seen, calls) = walk_all(&world, walk(&world, Some(below), rows_max)).await;
        assert_eq!(seen, keys(&places[..matching]), "{matching} by {rows_max}");
        let least = places.len().div_ceil(rows_max);
        assert!((least..=least + 1).contains(&calls), "{calls} calls of {rows_max} rows each");
    }
}

pub async fn a_walk_passes_rows_whose_time_is_over<H: ElasticHarness>() {
    let places = places();
    let (_harness, world) = with_rows::<H>(&places).await;
    let short = |place: &Place<'_>| world.update(*place, &[("ttlinseconds", Value::Integer(10))]);
    world.write(places[7..40].iter().map(short).collect()).await;
    let world = world.later(10);
    for rows_max in [1, 5, 1_000] {
        let (seen, _) = walk_all(&world, walk(&world, None, rows_max)).await;
        assert_eq!(seen, keys(&[&places[..7], &places[40..]].concat()), "steps of {rows_max}");
    }
    world.store.expire(world.now, usize::MAX).await.expect("a sweep");
    assert_eq!(walk_all(&world, walk(&world, None, 5)).await.0.len(), places.len() - 33);
}

pub async fn a_walk_goes_on_behind_a_row_that_is_gone<H: ElasticHarness>() {
    let places = places();
    let (_harness, world) = with_rows::<H>(&places).await;
    let mut walk = walk(&world, None, 4);
    let mut seen = Vec::new();
    loop {
        let walked = step(&world, &walk).await;
        // As a job does: what was seen is deleted before the next look.
        let gone = |key: &ElasticKey| delete((key.id, Some(&key.partition)));
        world.write(walked.keys.iter().map(gone).collect()).await;
        seen.extend(walked.keys);
        let Some(next) = walked.next else { break };
        walk.after = Some(next);
    }
    assert_eq!(seen.len(), places.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), keys(&places));
    assert_eq!(world.all().await.len(), 0);
}

pub async fn rows_that_come_while_somebody_walks_are_seen_once_or_not<H: ElasticHarness>() {
    let places = places();
    let (_harness, world) = with_rows::<H>(&places).await;
    let mut walk = walk(&world, None, 3);
    let mut seen = BTreeSet::new();
    let mut made = BTreeSet::new();
    for number in 100_u128.. {
        let walked = step(&world, &walk).await;
        for key in walked.keys {
            assert!(seen.insert(key.clone()), "{key:?} came twice");
        }
        let Some(next) = walked.next else { break };
        walk.after = Some(next);
        if number < 120 {
            let place = (id(number), PARTITIONS[usize::try_from(number).expect("small") % 9]);
            world.run(world.insert(place, &[("ship_label", text("new"))])).await;
            made.insert(ElasticKey::new(place.0, place.1));
        }
    }
    assert!(seen.is_superset(&keys(&places)), "each that was there all the while");
    let known = keys(&places).union(&made).cloned().collect::<BTreeSet<_>>();
    assert!(seen.is_subset(&known));
}

pub async fn a_walk_through_nothing_is_over_at_once<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    assert_eq!(step(&world, &walk(&world, None, 5)).await, Walked::default());
    world.run(world.insert((id(1), None), &[])).await;
    let last = ElasticKey::new(id(u128::MAX), Some("\u{10FFFF}\u{10FFFF}"));
    let walk = ElasticWalk { after: Some(last), ..walk(&world, None, 5) };
    let walked = step(&world, &walk).await;
    // Which is last is the engine's choice; either way the walk ends.
    assert!(walked.keys.len() <= 1 && walked.next.is_none(), "{walked:?}");
}

pub async fn a_walk_of_many_rows_looks_at_as_many_as_it_may<H: ElasticHarness>() {
    let partitions: Vec<String> = (0..7).map(|number| format!("p{number}")).collect();
    let place = |number: usize| (id(number as u128), Some(&*partitions[number % 7]));
    let places: Vec<Place<'_>> = (0..3_500).map(place).collect();
    let (_harness, world) = with_rows::<H>(&places).await;
    let few = count_below(&world, 10);
    let walked = step(&world, &walk(&world, None, 2_500)).await;
    assert_eq!(walked.keys.len(), 2_500);
    assert_eq!(walked.next.as_ref(), walked.keys.last());
    let rest = ElasticWalk { after: walked.next, ..walk(&world, None, 2_500) };
    let rest = step(&world, &rest).await;
    assert_eq!((rest.keys.len(), rest.next), (1_000, None));
    for rows_max in [1_000, 1_001, 3_500] {
        let (seen, calls) = walk_all(&world, walk(&world, Some(few.clone()), rows_max)).await;
        assert_eq!(seen, keys(&places[..10]));
        let least = places.len().div_ceil(rows_max);
        assert!((least..=least + 1).contains(&calls), "{calls} calls of {rows_max} rows each");
    }
}
