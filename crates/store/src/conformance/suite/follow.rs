//! Following the changes of a table: versions that divide them, and rows that were deleted.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{NOW, World, at, rows_of, text};
use crate::{Error, WriteOp};
use model::{Timestamp, Uuid, Value};
use query::{Compare, Filter};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

const TABLE: &str = "ship_crate";
const LINE: &str = "ship_line";

async fn follow(world: &World, table: &str) -> i64 {
    let followed = world.store.follow(&world.catalog, world.table(table).id).await;
    followed.expect("a table can be followed")
}

async fn deleted(world: &World, table: &str, after: i64) -> Vec<Uuid> {
    let rows = world.store.deleted(&world.catalog, world.table(table).id, after, 1_000).await;
    let rows = rows.expect("deleted rows can be read");
    assert!(rows.iter().all(|row| row.version > after), "only what is above {after}: {rows:?}");
    assert!(rows.windows(2).all(|pair| pair[0].version < pair[1].version), "ascending: {rows:?}");
    let mut ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids
}

async fn check_deleted(world: &World, table: &str, after: i64, want: &[Uuid]) {
    assert_eq!(deleted(world, table, after).await, want, "deleted from {table} above {after}");
}

async fn delete(world: &World, table: &str, ids: &[Uuid]) {
    world.run(WriteOp::Delete(world.deletes(table, ids))).await;
}

async fn rows<H: Harness>(count: u128) -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    for number in 1..=count {
        world.insert(TABLE, &[(id(number), &[("ship_label", text("a"))])]).await;
    }
    (harness, world)
}

pub async fn deleted_rows_of_a_followed_table_are_remembered<H: Harness>() {
    let (mut harness, world) = rows::<H>(5).await;
    delete(&world, TABLE, &[id(1)]).await;
    let first = follow(&world, TABLE).await;
    check_deleted(&world, TABLE, first, &[]).await;
    delete(&world, TABLE, &[id(2), id(3)]).await;
    let second = follow(&world, TABLE).await;
    assert!(second > first, "deletes have versions of their own");
    delete(&world, TABLE, &[id(4)]).await;
    check_deleted(&world, TABLE, first, &[id(2), id(3), id(4)]).await;
    check_deleted(&world, TABLE, second, &[id(4)]).await;
    let some = world.store.deleted(&world.catalog, world.table(TABLE).id, first, 2).await;
    assert_eq!(some.expect("reads").len(), 2);
    check_deleted(&world, LINE, 0, &[]).await;
    harness.reopen().await;
    let world = World { store: harness.store(), catalog: world.catalog.clone() };
    check_deleted(&world, TABLE, first, &[id(2), id(3), id(4)]).await;
    delete(&world, TABLE, &[id(5)]).await;
    check_deleted(&world, TABLE, second, &[id(4), id(5)]).await;
}

pub async fn rows_that_go_with_another_are_remembered<H: Harness>() {
    let (_harness, world) = rows::<H>(1).await;
    let line = [("ship_cascade", world.to(TABLE, id(1)))];
    world.insert(LINE, &[(id(11), &line), (id(12), &line), (id(13), &[])]).await;
    let since = follow(&world, LINE).await;
    delete(&world, TABLE, &[id(1)]).await;
    check_deleted(&world, LINE, since, &[id(11), id(12)]).await;
}

pub async fn a_row_that_is_there_again_is_not_deleted<H: Harness>() {
    let (_harness, world) = rows::<H>(2).await;
    let since = follow(&world, TABLE).await;
    delete(&world, TABLE, &[id(1), id(2)]).await;
    world.insert(TABLE, &[(id(1), &[])]).await;
    check_deleted(&world, TABLE, since, &[id(2)]).await;
}

pub async fn what_is_forgotten_is_gone<H: Harness>() {
    let (_harness, world) = rows::<H>(1).await;
    let since = follow(&world, TABLE).await;
    delete(&world, TABLE, &[id(1)]).await;
    world.store.forget_deleted(NOW).await.expect("forgets");
    check_deleted(&world, TABLE, since, &[id(1)]).await;
    world.store.forget_deleted(Timestamp(NOW.0 + 1)).await.expect("forgets");
    check_deleted(&world, TABLE, since, &[]).await;
}

pub async fn a_refused_delete_is_not_remembered<H: Harness>() {
    let (_harness, world) = rows::<H>(2).await;
    world.insert(LINE, &[(id(11), &[("ship_hold", world.to(TABLE, id(2)))])]).await;
    let since = follow(&world, TABLE).await;
    world.refused(vec![WriteOp::Delete(world.deletes(TABLE, &[id(1), id(2)]))]).await;
    check_deleted(&world, TABLE, since, &[]).await;
}

pub async fn following_is_bound_to_definitions<H: Harness>() {
    let (_harness, mut world) = rows::<H>(1).await;
    let old = world.catalog.clone();
    let column = crate::conformance::fixture::next_column(
        world.table(LINE).definition(),
        "ship_late",
        text_kind(),
    );
    let table = world.table(LINE).id;
    let op = crate::SchemaOp::AddColumn { table, column: Box::new(column) };
    world.change(vec![op]).await.expect("a column can be added");
    let stale = world.store.follow(&old, table).await;
    assert!(matches!(stale, Err(Error::StaleCatalog { .. })), "{stale:?}");
    let stale = world.store.deleted(&old, table, 0, 1).await;
    assert!(matches!(stale, Err(Error::StaleCatalog { .. })), "{stale:?}");
}

fn text_kind() -> model::ColumnKind {
    crate::conformance::fixture::text(10)
}

/// What a follower knows of the table: ids and counts.
type Mirror = BTreeMap<Uuid, Value>;

/// Reads what has changed since a version; answers the version for the next time.
async fn catch_up(world: &World, mirror: &mut Mirror, since: i64) -> i64 {
    let next = follow(world, TABLE).await;
    let mut query = world.query(TABLE);
    let version = at(world.table(TABLE).version_column());
    let key = at(world.table(TABLE).primary_key);
    query.filter = Some(Filter::Compare {
        column: version,
        compare: Compare::Greater,
        value: Value::BigInt(since),
    });
    query.columns = vec![key, at(world.column(TABLE, "ship_count"))];
    let page = world.page(&query).await;
    for row in rows_of(&query, &page) {
        let id = row[0].as_id().expect("a key");
        mirror.insert(id, row[1].clone());
    }
    for id in deleted(world, TABLE, since).await {
        mirror.remove(&id);
    }
    next
}

pub async fn no_change_is_lost_under_concurrent_writes<H: Harness>() {
    const WRITERS: u128 = 4;
    const ROUNDS: i32 = 12;
    let (_harness, world) = rows::<H>(3).await;
    let world = Arc::new(world);
    let mut mirror = Mirror::new();
    let mut since = catch_up(&world, &mut mirror, 0).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut follower = JoinSet::new();
    {
        let (world, done) = (world.clone(), done.clone());
        follower.spawn(async move {
            while !done.load(Ordering::Acquire) {
                since = catch_up(&world, &mut mirror, since).await;
                tokio::task::yield_now().await;
            }
            (mirror, since)
        });
    }
    let mut writers = JoinSet::new();
    for writer in 1..=WRITERS {
        let world = world.clone();
        writers.spawn(async move {
            for round in 0..ROUNDS {
                let own = |number: u128| id(writer * 1_000 + number);
                let cells = [("ship_count", Value::Integer(round))];
                if round % 3 == 0 {
                    world.insert(TABLE, &[(own(1), &cells), (own(2), &cells)]).await;
                }
                // A new row without a key, whose version is taken before the row is written.
                let fresh = writer * 1_000_000 + u128::from(round.unsigned_abs());
                let row = world.upsert_row(TABLE, None, id(fresh), &cells);
                world.run(WriteOp::Upsert(world.upserts(TABLE, vec![row]))).await;
                world.update(TABLE, &[(own(2), &cells)]).await;
                if round % 3 == 2 {
                    delete(&world, TABLE, &[own(1), own(2)]).await;
                }
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.expect("no writer fails");
    }
    done.store(true, Ordering::Release);
    let followed = follower.join_next().await.expect("there is one follower");
    let (mut mirror, since) = followed.expect("the follower does not fail");
    catch_up(&world, &mut mirror, since).await;
    let count = usize::from(world.column(TABLE, "ship_count").0);
    let contents = world.contents().await;
    let want: Mirror = contents[TABLE].iter().map(|(id, row)| (*id, row[count].clone())).collect();
    assert_eq!(mirror, want);
}
