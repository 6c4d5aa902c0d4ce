//! Row versions.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{World, ids, text};
use crate::{RowKey, WriteOp};
use model::{Uuid, Value};

const TABLE: &str = "ship_crate";

/// Checks that these rows, in this order, have ascending versions above `floor`; answers the highest.
async fn check(world: &World, ids: &[Uuid], floor: i64) -> i64 {
    let mut last = floor;
    for id in ids {
        let version = world.version(TABLE, *id).await;
        assert!(version > last, "version {version} of {id} is not above {last}");
        last = version;
    }
    last
}

pub async fn versions_ascend_with_the_index<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    // Index order is neither the order of the ids nor of the column sets.
    let numbers = [5, 1, 9, 3, 7, 2, 8];
    let order: Vec<Uuid> = numbers.map(id).to_vec();
    let count = [("ship_count", Value::Integer(1))];
    let label = [("ship_label", text("x"))];
    let sets = [&count[..], &label[..], &count[..], &[], &label[..], &count[..], &[]];
    let rows: Vec<_> = order.iter().copied().zip(sets).collect();
    world.insert(TABLE, &rows).await;
    let last = check(&world, &order, 0).await;
    let order: Vec<Uuid> = order.into_iter().rev().collect();
    let rows: Vec<_> = order.iter().copied().zip(sets).collect();
    world.update(TABLE, &rows).await;
    let last = check(&world, &order, last).await;
    // Made and changed rows alternate.
    let order: Vec<Uuid> = [20, 9, 10, 1, 19, 2].map(id).to_vec();
    let rows = order
        .iter()
        .zip(sets)
        .map(|(id, cells)| world.upsert_row(TABLE, Some(RowKey::Id(*id)), *id, cells))
        .collect();
    world.run(WriteOp::Upsert(world.upserts(TABLE, rows))).await;
    check(&world, &order, last).await;
}

pub async fn every_write_takes_a_higher_version<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let ids = ids(1, 3);
    let rows: Vec<(Uuid, &[(&str, Value)])> = ids.iter().map(|id| (*id, &[][..])).collect();
    let ops = vec![
        WriteOp::Insert(world.inserts(TABLE, &rows[..2])),
        WriteOp::Insert(world.inserts(TABLE, &rows[2..])),
    ];
    world.apply(ops).await.expect("fine");
    let mut last = check(&world, &ids, 0).await;
    for id in [ids[2], ids[0], ids[0], ids[1]] {
        // An update that names nothing, and one that changes nothing, are writes all the same.
        world.update(TABLE, &[(id, &[])]).await;
        last = check(&world, &[id], last).await;
        world.update(TABLE, &[(id, &[("ship_label", Value::Null)])]).await;
        last = check(&world, &[id], last).await;
    }
    // Versions are shared by all tables.
    world.insert("account", &[(id(50), &[])]).await;
    assert!(world.version("account", id(50)).await > last);
}

pub async fn a_refused_call_changes_no_version<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[])]).await;
    let last = world.version(TABLE, id(1)).await;
    let ops = vec![
        WriteOp::Update(world.updates(TABLE, &[(id(1), &[])])),
        WriteOp::Insert(world.inserts(TABLE, &[(id(2), &[]), (id(1), &[])])),
    ];
    world.refused(ops).await;
    assert_eq!(world.version(TABLE, id(1)).await, last);
    world.insert(TABLE, &[(id(3), &[])]).await;
    check(&world, &[id(3)], last).await;
}
