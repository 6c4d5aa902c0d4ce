//! Time to live: a row whose time is over is not there, whether or not it has been removed.

use super::ElasticHarness;
use super::world::{Became, Cells, NOW, Place, World, delete, on, text};
use crate::conformance::fixture::id;
use crate::elastic::ElasticReason;
use model::Value;

const PLACE: Place<'static> = (id_of(1), Some("p"));

const fn id_of(number: u128) -> model::Uuid {
    model::Uuid::from_u128(number)
}

fn seconds(seconds: i32) -> [(&'static str, Value); 1] {
    [("ttlinseconds", Value::Integer(seconds))]
}

/// Whether the row is there so many seconds after the suite's clock, by every way of reading.
async fn check(world: &World, place: Place<'_>, after: i64, want: bool) {
    let then = world.later(NOW.0 + after - world.now.0);
    assert_eq!(then.row(place).await.is_some(), want, "by id, {after} s later");
    let partition = then.rows(&then.query(), place.1).await;
    assert_eq!(partition.iter().any(|row| row[0] == Value::Guid(place.0)), want, "{after} s later");
    let all = then.all().await;
    assert_eq!(all.iter().any(|row| row[0] == Value::Guid(place.0)), want, "{after} s later");
    let mut query = then.query();
    query.count_max = Some(10);
    let count = then.page(&query, place.1).await.count;
    assert_eq!(count, Some(u64::from(want)), "counted, {after} s later");
}

pub async fn a_row_is_gone_in_the_second_in_which_its_time_is_over<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    world.run(world.insert(PLACE, &seconds(60))).await;
    check(&world, PLACE, 0, true).await;
    check(&world, PLACE, 59, true).await;
    check(&world, PLACE, 60, false).await;
    check(&world, PLACE, 1_000_000, false).await;
}

pub async fn a_row_whose_time_is_over_is_absent_for_every_action<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let then = world.later(60);
    let missing = Became::Refused(ElasticReason::Missing);
    let mismatch = Became::Refused(ElasticReason::VersionMismatch);
    let old = [("ttlinseconds", Value::Integer(60)), ("ship_label", text("old"))];
    let cases = [
        (then.insert(PLACE, &[]), Became::Made),
        (then.update(PLACE, &[]), missing),
        (then.replace(PLACE, &[], &["ship_label"]), Became::Made),
        (then.make(PLACE, &[]), Became::Made),
        (delete(PLACE), missing),
    ];
    for (write, want) in cases {
        let version = world.run(world.insert(PLACE, &old)).await;
        let told = if want == missing { missing } else { mismatch };
        then.check(vec![on(write.clone(), version)], &[told]).await;
        then.check(vec![write], &[want]).await;
        let there = then.row(PLACE).await;
        assert_eq!(there.is_some(), want == Became::Made);
        if there.is_some() {
            assert!(then.version(PLACE).await > version, "versions rise over the gap");
            assert_eq!(then.value(PLACE, "ship_label").await, Value::Null, "nothing is kept");
        }
        // Both the old row and the new one are gone now.
        then.write(vec![delete(PLACE)]).await;
        then.store.expire(then.now, 10).await.expect("a sweep");
    }
}

pub async fn a_change_restarts_the_clock<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    world.run(world.insert(PLACE, &seconds(60))).await;
    let at = |after: i64| world.later(after);
    at(40).run(world.update(PLACE, &[("ship_label", text("a"))])).await;
    check(&world, PLACE, 99, true).await;
    check(&world, PLACE, 100, false).await;
    at(50).run(world.update(PLACE, &seconds(10))).await;
    check(&world, PLACE, 59, true).await;
    check(&world, PLACE, 60, false).await;
    at(55).run(world.update(PLACE, &[("ttlinseconds", Value::Null)])).await;
    check(&world, PLACE, 1_000_000, true).await;
    at(56).run(world.update(PLACE, &seconds(10))).await;
    check(&world, PLACE, 66, false).await;
    at(57).run(world.replace(PLACE, &seconds(5), &[])).await;
    check(&world, PLACE, 62, false).await;
    at(58).run(world.replace(PLACE, &seconds(1), &["ttlinseconds"])).await;
    check(&world, PLACE, 62, true).await;
    check(&world, PLACE, 63, false).await;
    at(59).run(world.replace(PLACE, &[], &[])).await;
    check(&world, PLACE, 1_000_000, true).await;
}

pub async fn a_row_without_a_time_stays<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let cases: [Cells<'_>; 2] = [&[], &[("ttlinseconds", Value::Integer(-1))]];
    for (number, cells) in (1..).zip(cases) {
        let place = (id(number), Some(if number == 1 { "p" } else { "q" }));
        world.run(world.insert(place, cells)).await;
        assert!(world.later(1 << 40).row(place).await.is_some());
    }
    let far = world.later(1 << 40);
    assert_eq!(far.store.expire(far.now, 10).await.expect("a sweep"), 0);
    assert_eq!(far.all().await.len(), 2);
}

pub async fn expire_removes_only_rows_whose_time_is_over<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = |number| (id(number), Some("p"));
    for (number, cells) in (1..).zip([&seconds(10)[..], &seconds(20), &seconds(30), &[]]) {
        world.run(world.insert(place(number), cells)).await;
    }
    world.run(world.update(place(1), &[("ttlinseconds", Value::Integer(25))])).await;
    let expired = async |after: i64| {
        let then = world.later(after);
        then.store.expire(then.now, 10).await.expect("a sweep")
    };
    assert_eq!(expired(19).await, 0);
    assert_eq!(expired(20).await, 1);
    assert_eq!(expired(20).await, 0);
    // Gone from disk: not even a clock that goes back sees it.
    assert_eq!(world.row(place(2)).await, None);
    assert!(world.row(place(1)).await.is_some());
    assert_eq!(expired(30).await, 2);
    assert_eq!(world.all().await.len(), 1);
}

pub async fn expire_takes_at_most_as_many_as_it_may<H: ElasticHarness>() {
    const ROWS: usize = 2_300;
    let (_harness, world) = World::open::<H>().await;
    let writes = (0..ROWS).map(|number| world.insert((id(number as u128), None), &seconds(10)));
    world.write(writes.collect()).await;
    let then = world.later(10);
    let mut left = ROWS;
    for rows_max in [0, 7, 1_500, 10_000] {
        let removed = then.store.expire(then.now, rows_max).await.expect("a sweep");
        assert_eq!(removed, left.min(rows_max), "at most {rows_max} of {left}");
        left -= removed;
        assert_eq!(world.all().await.len(), left);
    }
}

pub async fn a_row_made_again_is_not_expired_by_its_old_time<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    world.run(world.insert(PLACE, &seconds(10))).await;
    world.run(delete(PLACE)).await;
    world.run(world.insert(PLACE, &seconds(20))).await;
    let other = (id(2), Some("p"));
    world.run(world.insert(other, &seconds(10))).await;
    let then = world.later(10);
    then.run(world.insert(other, &seconds(100))).await;
    assert_eq!(then.store.expire(then.now, 10).await.expect("a sweep"), 0);
    assert_eq!(then.all().await.len(), 2);
}
