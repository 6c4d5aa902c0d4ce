//! Transactions that stay open between operations.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{NOW, USER, World, text};
use crate::{Error, Reason, Tx, WriteOp, WriteSet};
use model::Value;
use query::{ColumnRef, Page};
use std::time::Duration;

const TABLE: &str = "ship_crate";
const LONG: Duration = Duration::from_secs(60);

async fn begin(world: &World) -> Box<dyn Tx> {
    world.store.begin(world.catalog.clone(), LONG).await.expect("a transaction begins")
}

fn set(world: &World, ops: Vec<WriteOp>) -> WriteSet {
    let catalog = world.catalog.clone();
    WriteSet { catalog, now: NOW, user: USER, ops, checks: Vec::new() }
}

async fn insert(world: &World, tx: &mut Box<dyn Tx>, number: u128, label: &str) {
    let cells = [("ship_label", text(label)), ("ship_trackingno", text(label))];
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(number), &cells)]));
    let applied = tx.apply(set(world, vec![op])).await.expect("the row is fine");
    assert_eq!((applied.ops[0][0].id, applied.ops[0][0].created), (id(number), true));
}

/// The labels of all crates as the transaction sees them.
async fn labels(world: &World, tx: &mut Box<dyn Tx>) -> Vec<Value> {
    let mut query = world.query(TABLE);
    query.columns = vec![ColumnRef::root(world.column(TABLE, "ship_label"))];
    let Page { cells, .. } = tx.read(&query).await.expect("a page");
    cells
}

pub async fn what_is_written_in_between_is_read_and_then_kept<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[("ship_label", text("before"))])]).await;
    let mut tx = begin(&world).await;
    insert(&world, &mut tx, 2, "first").await;
    assert_eq!(labels(&world, &mut tx).await, [text("before"), text("first")]);
    let cells = [("ship_label", text("changed"))];
    let op = WriteOp::Update(world.updates(TABLE, &[(id(2), &cells)]));
    tx.apply(set(&world, vec![op])).await.expect("an operation sees the ones before it");
    let op = WriteOp::Delete(world.deletes(TABLE, &[id(1)]));
    tx.apply(set(&world, vec![op])).await.expect("the row is there");
    assert_eq!(labels(&world, &mut tx).await, [text("changed")]);
    assert_eq!(
        world.value(TABLE, id(1), "ship_label").await,
        text("before"),
        "nobody else sees it"
    );
    tx.commit().await.expect("it commits");
    let rows = world.rows(TABLE).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(world.value(TABLE, id(2), "ship_label").await, text("changed"));
}

pub async fn versions_of_a_transaction_ascend_and_go_on<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[])]).await;
    let mut tx = begin(&world).await;
    insert(&world, &mut tx, 2, "two").await;
    insert(&world, &mut tx, 3, "three").await;
    tx.commit().await.expect("it commits");
    world.insert(TABLE, &[(id(4), &[])]).await;
    let mut versions = Vec::new();
    for number in 1..=4 {
        versions.push(world.version(TABLE, id(number)).await);
    }
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

pub async fn a_dropped_transaction_leaves_nothing<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let before = world.contents_with_versions().await;
    let mut tx = begin(&world).await;
    insert(&world, &mut tx, 1, "one").await;
    drop(tx);
    assert_eq!(world.contents_with_versions().await, before);
    // And nobody waits for it.
    world.insert(TABLE, &[(id(1), &[("ship_trackingno", text("one"))])]).await;
}

pub async fn a_refusal_tells_its_rows_and_dooms_the_transaction<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[("ship_trackingno", text("taken"))])]).await;
    let before = world.contents_with_versions().await;
    let refusals: [(&str, u128, Reason); 2] = [
        ("TAKEN", 5, Reason::DuplicateKey { key: model::KeyIndex(0) }),
        ("free", 1, Reason::DuplicateId),
    ];
    for (number, id_of, reason) in refusals {
        let mut tx = begin(&world).await;
        insert(&world, &mut tx, 2, "fine").await;
        let (good, bad) =
            ([("ship_trackingno", text("good"))], [("ship_trackingno", text(number))]);
        let rows = [(id(3), &good[..]), (id(id_of), &bad[..])];
        let op = WriteOp::Insert(world.inserts(TABLE, &rows));
        match tx.apply(set(&world, vec![op])).await {
            Err(Error::Rejected { op: 0, rows }) => {
                let found: Vec<_> = rows.into_iter().map(|row| (row.index, row.reason)).collect();
                assert_eq!(found, [(1, reason)]);
            }
            other => panic!("should be rejected, is {other:?}"),
        }
        let op = WriteOp::Insert(world.inserts(TABLE, &[(id(9), &[])]));
        let later = tx.apply(set(&world, vec![op])).await;
        assert!(matches!(later, Err(Error::Doomed)), "{later:?}");
        let read = tx.read(&world.query(TABLE)).await;
        assert!(matches!(read, Err(Error::Doomed)), "{read:?}");
        let committed = tx.commit().await;
        assert!(matches!(committed, Err(Error::Doomed)), "{committed:?}");
        assert_eq!(world.contents_with_versions().await, before, "nothing of it is left");
    }
}

pub async fn a_missing_row_is_told_in_a_transaction<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let mut tx = begin(&world).await;
    insert(&world, &mut tx, 1, "one").await;
    let rows: [(_, &[(&str, Value)]); 2] = [(id(1), &[]), (id(7), &[])];
    let op = WriteOp::Update(world.updates(TABLE, &rows));
    match tx.apply(set(&world, vec![op])).await {
        Err(Error::Rejected { op: 0, rows }) => {
            assert_eq!((rows[0].index, &rows[0].reason), (1, &Reason::Missing));
        }
        other => panic!("should be rejected, is {other:?}"),
    }
    drop(tx);
    assert!(world.rows(TABLE).await.is_empty());
}

pub async fn a_transaction_ends_when_its_time_is_over<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let short = Duration::from_millis(30);
    let mut tx = world.store.begin(world.catalog.clone(), short).await.expect("it begins");
    // Its caller is busy elsewhere for longer than it may be.
    std::thread::sleep(short * 3);
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(1), &[])]));
    let late = tx.apply(set(&world, vec![op])).await;
    assert!(matches!(late, Err(Error::TimeOver)), "{late:?}");
    // Others go on while it is still in its caller's hands.
    world.insert(TABLE, &[(id(1), &[])]).await;
    let committed = tx.commit().await;
    assert!(matches!(committed, Err(Error::TimeOver | Error::Doomed)), "{committed:?}");
    assert_eq!(world.rows(TABLE).await.len(), 1);
}

pub async fn a_transaction_is_bound_to_definitions<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let old = world.catalog.clone();
    world.change(Vec::new()).await.expect("a new version");
    let begun = world.store.begin(old, LONG).await;
    assert!(matches!(begun, Err(Error::StaleCatalog { .. })));
    let mut tx = begin(&world).await;
    insert(&world, &mut tx, 1, "one").await;
    tx.commit().await.expect("it commits");
}
