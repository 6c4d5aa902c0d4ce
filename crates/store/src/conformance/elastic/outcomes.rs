//! Outcomes: what each action becomes, alone and among others.

use super::ElasticHarness;
use super::world::{Became, NOW, World, delete, on, text};
use crate::conformance::fixture::id;
use crate::elastic::{ElasticOutcome, ElasticReason, ElasticWrite};
use crate::elastic_rows::ticks;
use model::Value;

const MADE: Became = Became::Made;
const CHANGED: Became = Became::Changed;
const EXISTS: Became = Became::Refused(ElasticReason::Exists);
const MISSING: Became = Became::Refused(ElasticReason::Missing);
const OTHER_VERSION: Became = Became::Refused(ElasticReason::VersionMismatch);

/// Every action on one place.
fn actions(world: &World, number: u128) -> [(&'static str, ElasticWrite); 5] {
    let place = (id(number), Some("p"));
    [
        ("insert", world.insert(place, &[])),
        ("update", world.update(place, &[])),
        ("replace", world.replace(place, &[], &[])),
        ("make", world.make(place, &[])),
        ("delete", delete(place)),
    ]
}

pub async fn every_action_on_a_row_that_is_there_and_on_none<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let on_none = [MADE, MISSING, MADE, MADE, MISSING];
    let on_one = [EXISTS, CHANGED, CHANGED, EXISTS, CHANGED];
    for action in 0..5 {
        let write = |number| actions(&world, number)[action].1.clone();
        world.check(vec![write(1)], &[on_none[action]]).await;
        world.run(world.insert((id(2), Some("p")), &[])).await;
        world.check(vec![write(2)], &[on_one[action]]).await;
        world.write(vec![delete((id(1), Some("p"))), delete((id(2), Some("p")))]).await;
    }
    assert!(world.all().await.is_empty());
}

pub async fn every_action_with_the_right_the_wrong_and_no_version<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    // What is asked for first is that the row is there, or is not; then its version.
    let right = [EXISTS, CHANGED, CHANGED, EXISTS, CHANGED];
    let wrong = [EXISTS, OTHER_VERSION, OTHER_VERSION, EXISTS, OTHER_VERSION];
    let none = [OTHER_VERSION, MISSING, OTHER_VERSION, OTHER_VERSION, MISSING];
    for action in 0..5 {
        let place = (id(1), Some("p"));
        let version = world.run(world.insert(place, &[("ship_label", text("old"))])).await;
        let write = |number| actions(&world, number)[action].1.clone();
        world.check(vec![on(write(1), version - 1)], &[wrong[action]]).await;
        world.check(vec![on(write(1), version + 1)], &[wrong[action]]).await;
        assert_eq!(world.version(place).await, version, "a refused write changes nothing");
        world.check(vec![on(write(2), version)], &[none[action]]).await;
        assert_eq!(world.row((id(2), Some("p"))).await, None);
        world.check(vec![on(write(1), version)], &[right[action]]).await;
        world.write(vec![delete(place)]).await;
    }
}

pub async fn an_update_changes_only_the_columns_it_names<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    let cells = [("ship_label", text("old")), ("ship_count", Value::Integer(1))];
    world.run(world.insert(place, &cells)).await;
    let note = [("ship_note", text("new")), ("ship_count", Value::Null)];
    world.run(world.update(place, &note)).await;
    assert_eq!(world.value(place, "ship_label").await, text("old"));
    assert_eq!(world.value(place, "ship_note").await, text("new"));
    assert_eq!(world.value(place, "ship_count").await, Value::Null);
}

pub async fn a_replace_leaves_nothing_but_the_kept_columns<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    let old = [("ship_label", text("old")), ("ship_count", Value::Integer(1))];
    world.check(vec![world.replace(place, &old, &["ship_count"])], &[MADE]).await;
    assert_eq!(world.value(place, "ship_count").await, Value::Integer(1));
    let new = [("ship_note", text("new")), ("ship_count", Value::Integer(2))];
    world.check(vec![world.replace(place, &new, &["ship_count", "ship_size"])], &[CHANGED]).await;
    assert_eq!(world.value(place, "ship_count").await, Value::Integer(1), "kept");
    assert_eq!(world.value(place, "ship_label").await, Value::Null);
    assert_eq!(world.value(place, "ship_note").await, text("new"));
    assert_eq!(world.value(place, "partitionid").await, text("p"));
    world.check(vec![world.replace(place, &new, &[])], &[CHANGED]).await;
    assert_eq!(world.value(place, "ship_count").await, Value::Integer(2));
}

pub async fn a_refused_row_leaves_the_others_of_its_call_written<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = |number| (id(number), Some("p"));
    world.run(world.insert(place(2), &[])).await;
    let writes = vec![
        world.insert(place(1), &[]),
        world.insert(place(2), &[]),
        world.update(place(3), &[]),
        world.insert(place(4), &[]),
        delete(place(5)),
    ];
    world.check(writes, &[MADE, EXISTS, MISSING, MADE, MISSING]).await;
    assert_eq!(world.all().await.len(), 3);
}

pub async fn later_writes_of_a_call_see_earlier_ones<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    let label = |label: &str| [("ship_label", text(label))];
    world
        .check(
            vec![
                world.update(place, &label("a")),
                world.insert(place, &label("b")),
                world.insert(place, &label("c")),
                world.update(place, &[("ship_note", text("d"))]),
                delete(place),
                delete(place),
                world.replace(place, &label("e"), &[]),
                world.insert((id(1), Some("q")), &label("f")),
                world.update(place, &[("ship_note", text("g"))]),
            ],
            &[MISSING, MADE, EXISTS, CHANGED, CHANGED, MISSING, MADE, MADE, CHANGED],
        )
        .await;
    assert_eq!(world.value(place, "ship_label").await, text("e"));
    assert_eq!(world.value(place, "ship_note").await, text("g"));
    assert_eq!(world.all().await.len(), 2);
    let gone = (id(2), Some("p"));
    world.check(vec![world.insert(gone, &[]), delete(gone)], &[MADE, CHANGED]).await;
    assert_eq!(world.row(gone).await, None);
}

pub async fn versions_are_ticks_that_only_rise<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = |number| (id(number), Some("p"));
    let mut last = ticks(NOW) - 1;
    let mut rises = |outcomes: Vec<ElasticOutcome>| {
        for outcome in outcomes {
            let ElasticOutcome::Written { version, .. } = outcome else {
                panic!("{outcome:?} is not written");
            };
            assert!(version > last, "{version} is not above {last}");
            last = version;
        }
        last
    };
    rises(world.write(vec![world.insert(place(1), &[]), world.insert(place(2), &[])]).await);
    let update = world.update(place(1), &[("ship_label", text("a"))]);
    let last = rises(world.write(vec![update.clone(), update]).await);
    assert_eq!(world.version(place(1)).await, last);
    let earlier = world.later(-1_000);
    rises(earlier.write(vec![delete(place(2)), world.insert(place(2), &[])]).await);
    let update = world.update(place(2), &[]);
    let last = rises(world.later(3_600).write(vec![update]).await);
    assert!(last >= ticks(NOW) + 3_600 * 10_000_000, "the clock counts");
    rises(world.write(vec![world.replace(place(2), &[], &[])]).await);
}

pub async fn tables_are_apart_and_one_can_be_forgotten<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let (ping, pong) = (world.table(), world.table_named("ship_pong"));
    let place = (id(1), Some("p"));
    let short = [("ttlinseconds", Value::Integer(10))];
    world.run(world.insert(place, &short)).await;
    // Both tables have the same columns in the same places.
    let outcomes = world.try_write(&pong, vec![world.insert(place, &[])]).await;
    assert!(matches!(
        outcomes.expect("another table is written")[..],
        [ElasticOutcome::Written { created: true, .. }]
    ));
    world.store.drop_table(&ping).await.expect("a table can be forgotten");
    assert!(world.all().await.is_empty());
    world.store.drop_table(&ping).await.expect("nothing can be forgotten, too");
    let mut query = world.query();
    query.table = pong;
    assert_eq!(world.rows(&query, None).await.len(), 1);
    // What comes after is not touched by what was.
    world.check(vec![world.insert(place, &[("ship_label", text("new"))])], &[MADE]).await;
    world.later(100).store.expire(world.later(100).now, 100).await.expect("a sweep");
    assert_eq!(world.later(100).value(place, "ship_label").await, text("new"));
}
