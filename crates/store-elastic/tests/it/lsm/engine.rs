//! What the LSM promises beyond the contract.

use super::{Lsm, options};
use model::Value;
use store::Error;
use store::conformance::elastic::ElasticHarness;
use store::conformance::elastic::world::{Became, World, became, delete, text};
use store::conformance::fixture::id;
use store_elastic::{LsmOptions, LsmStore};
use tokio::task::JoinSet;

/// Runs calls of one insert each, all at once; answers how many rows were made and how many calls
/// found the store busy.
async fn insert_at_once(world: &World, calls: u128) -> (usize, usize) {
    let mut tasks = JoinSet::new();
    for number in 0..calls {
        let (store, table, now) = (world.store.clone(), world.table(), world.now);
        let write = world.insert((id(number), Some("p")), &[("ship_label", text("a"))]);
        tasks.spawn(async move { store.write(&table, now, vec![write]).await });
    }
    let (mut made, mut busy) = (0, 0);
    for answer in tasks.join_all().await {
        match answer {
            Ok(outcomes) => {
                assert!(outcomes.into_iter().all(|outcome| became(outcome) == Became::Made));
                made += 1;
            }
            Err(Error::Busy) => busy += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    (made, busy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_share_a_commit() {
    let (harness, world) = World::open::<Lsm>().await;
    assert_eq!(insert_at_once(&world, 500).await, (500, 0));
    let counters = harness.node().counters();
    assert_eq!(counters.calls, 500);
    assert!(counters.commits < 400, "{counters:?}");
}

#[tokio::test]
async fn a_call_that_writes_nothing_costs_no_commit() {
    let (harness, world) = World::open::<Lsm>().await;
    let commits = harness.node().counters().commits;
    world.write(vec![delete((id(1), Some("p"))), world.update((id(1), None), &[])]).await;
    assert_eq!(harness.node().counters().commits, commits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_answers_busy_and_writes_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let few = LsmOptions { calls_max: 1, ..options() };
    let world = World::over(LsmStore::open_with(directory.path(), few).unwrap());
    let (made, busy) = insert_at_once(&world, 2_000).await;
    assert_eq!(made + busy, 2_000);
    assert!(busy > 0, "a queue of one call is full sometimes");
    assert_eq!(world.all().await.len(), made);
}

#[tokio::test]
async fn a_directory_is_open_once() {
    let harness = Lsm::open().await;
    let second = LsmStore::open(harness.path());
    assert!(matches!(second.err(), Some(Error::Engine { .. })));
}

#[tokio::test]
async fn a_closed_store_refuses_by_name() {
    let (harness, world) = World::open::<Lsm>().await;
    harness.node().close();
    let write = world.insert((id(1), None), &[]);
    let refused = world.try_write(&world.table(), vec![write]).await.unwrap_err();
    assert!(format!("{refused:?}").contains("the store is closed"), "{refused:?}");
    assert!(world.store.read(&world.query(), None, world.now).await.is_err());
}

#[tokio::test]
async fn a_forgotten_table_stays_forgotten() {
    let (mut harness, world) = World::open::<Lsm>().await;
    let place = (id(1), Some("p"));
    world.run(world.insert(place, &[("ttlinseconds", Value::Integer(5))])).await;
    world.store.drop_table(&world.table()).await.unwrap();
    drop(world);
    harness.reopen().await;
    let world = World::over(harness.store());
    assert!(world.all().await.is_empty());
    world.run(world.insert(place, &[])).await;
    world.store.drop_table(&world.table()).await.unwrap();
    world.run(world.insert((id(2), None), &[])).await;
    drop(world);
    harness.reopen().await;
    assert_eq!(World::over(harness.store()).all().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_have_moved_to_files_are_found_changed_and_gone() {
    const ROWS: u128 = 3_000;
    let (mut harness, world) = World::open::<Lsm>().await;
    let note = text(&"n".repeat(1_000));
    for first in (0..ROWS).step_by(500) {
        let rows = first..first + 500;
        let insert = |number| world.insert((id(number), Some("p")), &[("ship_note", note.clone())]);
        world.write(rows.map(insert).collect()).await;
    }
    drop(world);
    harness.reopen().await;
    let world = World::over(harness.store());
    let again = world.insert((id(5), Some("p")), &[]);
    let exists = Became::Refused(store::elastic::ElasticReason::Exists);
    world.check(vec![again], &[exists]).await;
    let update = |number| world.update((id(number), Some("p")), &[("ship_label", text("new"))]);
    world.write((0..ROWS).step_by(2).map(update).collect()).await;
    world.write((0..ROWS).step_by(3).map(|number| delete((id(number), Some("p")))).collect()).await;
    let rows = world.all().await;
    assert_eq!(rows.len() as u128, ROWS - ROWS / 3);
    let (label, of_note) = (world.column("ship_label").0, world.column("ship_note").0);
    for row in rows {
        let number = row[0].as_id().unwrap().as_u128();
        assert_ne!(number % 3, 0);
        let want = if number.is_multiple_of(2) { text("new") } else { Value::Null };
        assert_eq!(row[usize::from(label)], want, "row {number}");
        assert_eq!(row[usize::from(of_note)], note);
    }
}
