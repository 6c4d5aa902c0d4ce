//! What outlives the process, and what many tasks at once may count on.

use crate::conformance::Harness;
use crate::conformance::fixture::{self, MONEY_MAX, id};
use crate::conformance::world::{NOW, USER, World, rows_of, text};
use crate::{Applied, Error, Reason, Result, WriteOp, WriteSet};
use model::{Decimal, Uuid, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

const TABLE: &str = "ship_crate";

/// The world as a process that starts finds it.
async fn reopened<H: Harness>(harness: &mut H, world: World) -> World {
    drop(world);
    harness.reopen().await;
    let store = harness.store();
    let catalog = store.catalog().await.expect("the definitions are there");
    World { store, catalog }
}

/// Runs an operation, again while the store is busy.
async fn apply_patiently(world: &World, op: &WriteOp) -> Result<Applied> {
    loop {
        let catalog = world.catalog.clone();
        let writes =
            WriteSet { catalog, now: NOW, user: USER, ops: vec![op.clone()], checks: Vec::new() };
        match world.store.apply(writes).await {
            Err(Error::Busy) => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
}

pub async fn everything_survives_a_reopen<H: Harness>() {
    let (mut harness, mut world) = World::open::<H>().await;
    world.change(fixture::pair_ops(&world.catalog)).await.expect("a many-to-many relationship");
    world.insert("account", &[(id(21), &[("accountnumber", text("A-1"))])]).await;
    let cells = [
        ("ship_label", text("Ä 🚢")),
        ("ship_trackingno", text("T-1")),
        ("ship_price", Value::Decimal(Decimal::from(MONEY_MAX))),
        ("ship_length", Value::Double(0.1)),
        ("ship_tags", Value::Choices(Box::new([1, 4]))),
        ("ship_holder", world.to("account", id(21))),
        ("ship_parent", world.to(TABLE, id(1))),
    ];
    world.insert(TABLE, &[(id(1), &cells), (id(2), &[]), (id(3), &[])]).await;
    world.update(TABLE, &[(id(2), &[("ship_label", text("changed"))])]).await;
    world.run(WriteOp::Delete(world.deletes(TABLE, &[id(3)]))).await;
    let catalog = world.catalog.clone();
    let contents = world.contents_with_versions().await;
    let world = reopened(&mut harness, world).await;
    assert_eq!(world.catalog.version(), catalog.version());
    for (found, want) in world.catalog.tables().iter().zip(catalog.tables()) {
        assert_eq!(found.definition(), want.definition());
    }
    assert_eq!(world.catalog.relationships(), catalog.relationships());
    assert_eq!(world.catalog.many_to_many(), catalog.many_to_many());
    assert_eq!(world.contents_with_versions().await, contents);
    let again = [("ship_trackingno", text("t-1"))];
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(9), &again)]));
    world.check_refused(op, &[(0, Reason::DuplicateKey { key: model::KeyIndex(0) })]).await;
}

pub async fn versions_go_on_after_a_reopen<H: Harness>() {
    let (mut harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[]), (id(2), &[])]).await;
    let last = world.version(TABLE, id(2)).await;
    // The row with the highest version is gone; its version must not come again.
    world.run(WriteOp::Delete(world.deletes(TABLE, &[id(2)]))).await;
    let world = reopened(&mut harness, world).await;
    world.insert(TABLE, &[(id(3), &[])]).await;
    assert!(world.version(TABLE, id(3)).await > last);
}

pub async fn writes_of_many_tasks_keep_every_row<H: Harness>() {
    const TASKS: u128 = 16;
    const WRITES: u128 = 8;
    const ROWS: u128 = 5;
    let (_harness, world) = World::open::<H>().await;
    let world = Arc::new(world);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let world = world.clone();
        tasks.spawn(async move {
            for write in 0..WRITES {
                let first = 1 + (task * WRITES + write) * ROWS;
                let cells = [("ship_count", Value::Integer(1))];
                let rows: Vec<_> = (first..first + ROWS).map(|n| (id(n), &cells[..])).collect();
                let op = WriteOp::Insert(world.inserts(TABLE, &rows));
                apply_patiently(&world, &op).await.expect("no two tasks write the same row");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("the task ran to its end");
    }
    let rows = world.rows(TABLE).await;
    assert_eq!(rows.len() as u128, TASKS * WRITES * ROWS);
    let version = usize::from(world.table(TABLE).version_column().0);
    let versions: Vec<i64> = rows
        .iter()
        .map(|row| match row[version] {
            Value::BigInt(version) => version,
            _ => panic!("a version is a 64-bit number"),
        })
        .collect();
    let different: BTreeSet<i64> = versions.iter().copied().collect();
    assert_eq!(different.len(), rows.len(), "no version is given twice");
    for message in versions.chunks(5) {
        assert!(
            message.is_sorted(),
            "within a message versions ascend with the index: {message:?}"
        );
    }
}

pub async fn changes_of_one_row_by_many_tasks_are_all_judged<H: Harness>() {
    const TASKS: i32 = 6;
    const CHANGES: i32 = 5;
    let (_harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[("ship_count", Value::Integer(0))])]).await;
    let world = Arc::new(world);
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let world = world.clone();
        tasks.spawn(async move {
            for _ in 0..CHANGES {
                add_one(&world, id(1)).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("the task ran to its end");
    }
    let count = world.value(TABLE, id(1), "ship_count").await;
    assert_eq!(count, Value::Integer(TASKS * CHANGES), "no change is lost");
}

/// Adds one to a crate's count, whoever else does so at the same time.
async fn add_one(world: &World, id: Uuid) {
    let table = world.table(TABLE);
    let count = usize::from(world.column(TABLE, "ship_count").0);
    let version = usize::from(table.version_column().0);
    loop {
        let row = world.row(TABLE, id).await.expect("the row exists");
        let (Value::Integer(old), Value::BigInt(expected)) = (&row[count], &row[version]) else {
            panic!("a count and a version are numbers");
        };
        let cells = [("ship_count", Value::Integer(old + 1))];
        let mut update = world.updates(TABLE, &[(id, &cells)]);
        update.rows[0].expected_version = Some(*expected);
        match apply_patiently(world, &WriteOp::Update(update)).await {
            Ok(_) => return,
            Err(Error::Rejected { rows, .. })
                if matches!(rows[0].reason, Reason::VersionMismatch { .. }) => {}
            Err(other) => panic!("should be another version, is {other:?}"),
        }
    }
}

pub async fn reads_during_writes_see_whole_messages<H: Harness>() {
    const ROUNDS: i32 = 20;
    let (_harness, world) = World::open::<H>().await;
    let ids: Vec<Uuid> = (1..=20).map(id).collect();
    let rows = |cells| ids.iter().map(|id| (*id, cells)).collect::<Vec<_>>();
    let zero = [("ship_count", Value::Integer(0))];
    world.insert(TABLE, &rows(&zero[..])).await;
    let world = Arc::new(world);
    let mut writer = JoinSet::new();
    let writing = world.clone();
    writer.spawn(async move {
        for round in 1..=ROUNDS {
            let cells = [("ship_count", Value::Integer(round))];
            let rows: Vec<_> = (1..=20).map(|number| (id(number), &cells[..])).collect();
            let op = WriteOp::Update(writing.updates(TABLE, &rows));
            apply_patiently(&writing, &op).await.expect("fine");
        }
    });
    let mut query = world.query(TABLE);
    query.columns = vec![query::ColumnRef::root(world.column(TABLE, "ship_count"))];
    let mut last = 0;
    while last < ROUNDS {
        let page = world.page(&query).await;
        let counts: BTreeSet<i32> = rows_of(&query, &page)
            .iter()
            .map(|row| match row[0] {
                Value::Integer(count) => count,
                _ => panic!("a count is a number"),
            })
            .collect();
        assert_eq!((page.rows, counts.len()), (20, 1), "a message is seen whole: {counts:?}");
        let count = counts.first().copied().unwrap_or(0);
        assert!(count >= last, "a later read sees no earlier state");
        last = count;
        tokio::task::yield_now().await;
    }
    while let Some(done) = writer.join_next().await {
        done.expect("the task ran to its end");
    }
}
