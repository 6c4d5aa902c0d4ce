//! Counters of auto-number columns.

use super::schema::check_definitions;
use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{World, text};
use crate::{Error, Numbers, SchemaOp, Tx};
use model::{Column, ColumnId, TableId};
use std::collections::BTreeSet;
use std::time::Duration;

const TABLE: &str = "ship_crate";
const LABEL: &str = "ship_label";
const NUMBER: &str = "ship_trackingno";
const NOTE: &str = "ship_note";

/// The definition of a column with a counter that begins with this number.
fn counted(world: &World, name: &str, seed: i64) -> Column {
    let mut column = world.table(TABLE).column(world.column(TABLE, name)).clone();
    column.settings.auto_number = Some("{SEQNUM:4}".into());
    column.settings.number_seed = Some(seed);
    column
}

/// Two counters of one table, which begin with 1000 and with 5.
async fn world_with_counters<H: Harness>() -> (H, World) {
    let (harness, mut world) = World::open::<H>().await;
    let table = world.table(TABLE).id;
    let change = [(LABEL, 1_000), (NUMBER, 5)].map(|(name, seed)| {
        let column = Box::new(counted(&world, name, seed));
        SchemaOp::ChangeColumn { table, column }
    });
    world.change(change.to_vec()).await.expect("columns may get a counter");
    (harness, world)
}

fn place(world: &World, name: &str) -> (TableId, ColumnId) {
    let table = world.table(TABLE);
    (table.id, table.column(world.column(TABLE, name)).id)
}

fn wanted(world: &World, name: &str, count: usize) -> Numbers {
    let (table, column) = place(world, name);
    Numbers { table, column, count }
}

async fn take(world: &World, name: &str, count: usize) -> Vec<i64> {
    let wanted = [wanted(world, name, count)];
    let taken = world.store.take_numbers(&world.catalog, &wanted).await.expect("a counter");
    taken.into_iter().next().expect("one list per counter")
}

async fn next(world: &World, name: &str) -> i64 {
    let (table, column) = place(world, name);
    world.store.next_number(&world.catalog, table, column).await.expect("a counter")
}

async fn restart(world: &mut World, name: &str, seed: i64) {
    let (table, column) = place(world, name);
    let op = SchemaOp::RestartNumbers { table, column, seed };
    world.change(vec![op]).await.expect("a counter may be restarted");
}

pub async fn numbers_ascend_from_the_seed_of_each_counter<H: Harness>() {
    let (_harness, world) = world_with_counters::<H>().await;
    check_definitions(&world, &world.catalog).await;
    assert_eq!(next(&world, LABEL).await, 1_000);
    assert_eq!(take(&world, LABEL, 1).await, [1_000]);
    assert_eq!(next(&world, LABEL).await, 1_001);
    let both = [wanted(&world, LABEL, 3), wanted(&world, NUMBER, 2), wanted(&world, LABEL, 0)];
    let taken = world.store.take_numbers(&world.catalog, &both).await.expect("two counters");
    assert_eq!(taken, [vec![1_001, 1_002, 1_003], vec![5, 6], vec![]]);
    assert_eq!(take(&world, LABEL, 1_000).await, (1_004..2_004).collect::<Vec<_>>());
    assert_eq!(next(&world, NUMBER).await, 7);
}

pub async fn counters_go_on_after_a_reopen<H: Harness>() {
    let (mut harness, mut world) = world_with_counters::<H>().await;
    let before = take(&world, LABEL, 3).await;
    world.insert(TABLE, &[(id(1), &[(LABEL, text("1000"))])]).await;
    harness.reopen().await;
    world.store = harness.store();
    world.catalog = world.store.catalog().await.expect("the same definitions");
    assert_eq!(before, [1_000, 1_001, 1_002]);
    assert_eq!(take(&world, LABEL, 2).await, [1_003, 1_004]);
    assert_eq!(take(&world, NUMBER, 1).await, [5]);
}

pub async fn a_counter_is_restarted_with_any_number<H: Harness>() {
    let (_harness, mut world) = world_with_counters::<H>().await;
    take(&world, LABEL, 5).await;
    for seed in [77, 77, 0] {
        restart(&mut world, LABEL, seed).await;
        assert_eq!(next(&world, LABEL).await, seed);
        assert_eq!(take(&world, LABEL, 2).await, [seed, seed + 1]);
        let column = world.table(TABLE).column(world.column(TABLE, LABEL)).clone();
        assert_eq!(column.settings.number_seed, Some(seed));
    }
    assert_eq!(next(&world, NUMBER).await, 5, "the other one stays");
    check_definitions(&world, &world.catalog).await;
}

pub async fn a_counter_outlives_its_pattern_and_goes_with_its_column<H: Harness>() {
    let (_harness, mut world) = world_with_counters::<H>().await;
    take(&world, LABEL, 5).await;
    let (table, _) = place(&world, LABEL);
    for pattern in [None, Some("A{SEQNUM:2}".into())] {
        let mut changed = counted(&world, LABEL, 1_000);
        changed.settings.auto_number = pattern;
        let op = SchemaOp::ChangeColumn { table, column: Box::new(changed) };
        world.change(vec![op]).await.expect("a pattern may change");
        assert_eq!(next(&world, LABEL).await, 1_005);
    }
    let noted = Box::new(counted(&world, NOTE, 3));
    let column = noted.id;
    let op = SchemaOp::ChangeColumn { table, column: noted };
    world.change(vec![op]).await.expect("a column may get a counter");
    assert_eq!(take(&world, NOTE, 1).await, [3]);
    let op = SchemaOp::DropColumn { table, column };
    world.change(vec![op]).await.expect("nothing depends on the column");
    let gone = world.store.next_number(&world.catalog, table, column).await;
    assert!(matches!(gone, Err(Error::Schema { .. })), "{gone:?}");
}

pub async fn a_column_without_a_counter_has_no_numbers<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let one = wanted(&world, LABEL, 1);
    let taken = world.store.take_numbers(&world.catalog, &[one]).await;
    assert!(matches!(taken, Err(Error::Schema { .. })), "{taken:?}");
    let told = world.store.next_number(&world.catalog, one.table, one.column).await;
    assert!(matches!(told, Err(Error::Schema { .. })), "{told:?}");
    let op = SchemaOp::RestartNumbers { table: one.table, column: one.column, seed: 1 };
    let restarted = world.change(vec![op]).await;
    assert!(matches!(restarted, Err(Error::Schema { .. })), "{restarted:?}");
    let mut column = counted(&world, LABEL, 1);
    column.settings.number_seed = None;
    let op = SchemaOp::ChangeColumn { table: one.table, column: Box::new(column) };
    let changed = world.change(vec![op]).await;
    assert!(matches!(changed, Err(Error::Schema { .. })), "a pattern needs a counter");
}

pub async fn numbers_are_bound_to_definitions<H: Harness>() {
    let (_harness, mut world) = world_with_counters::<H>().await;
    let before = world.catalog.clone();
    restart(&mut world, LABEL, 9).await;
    let one = wanted(&world, LABEL, 1);
    let taken = world.store.take_numbers(&before, &[one]).await;
    assert!(matches!(taken, Err(Error::StaleCatalog { .. })), "{taken:?}");
    let told = world.store.next_number(&before, one.table, one.column).await;
    assert!(matches!(told, Err(Error::StaleCatalog { .. })), "{told:?}");
}

pub async fn many_tasks_get_different_numbers<H: Harness>() {
    const TASKS: usize = 8;
    const EACH: usize = 25;
    let (_harness, world) = world_with_counters::<H>().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (store, catalog) = (world.store.clone(), world.catalog.clone());
        let one = wanted(&world, LABEL, 3);
        tasks.spawn(async move {
            let mut all = Vec::new();
            for _ in 0..EACH {
                let taken = store.take_numbers(&catalog, &[one]).await.expect("a counter");
                assert!(taken[0].is_sorted_by(|a, b| a < b), "{taken:?}");
                all.extend(taken.into_iter().flatten());
            }
            all
        });
    }
    let all: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();
    let different: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!((all.len(), different.len()), (TASKS * EACH * 3, TASKS * EACH * 3));
    let end = next(&world, LABEL).await;
    assert!(different.iter().all(|number| (1_000..end).contains(number)));
}

pub async fn numbers_are_taken_in_an_open_transaction<H: Harness>() {
    let (_harness, world) = world_with_counters::<H>().await;
    let begin = || world.store.begin(world.catalog.clone(), Duration::from_secs(60));
    let one = wanted(&world, LABEL, 2);
    let mut tx: Box<dyn Tx> = begin().await.expect("a transaction begins");
    let first = tx.take_numbers(&[one]).await.expect("a counter");
    assert_eq!(first, [vec![1_000, 1_001]]);
    let again = tx.take_numbers(&[one]).await.expect("a counter");
    assert_eq!(again, [vec![1_002, 1_003]]);
    tx.commit().await.expect("it commits");
    assert_eq!(take(&world, LABEL, 1).await, [1_004]);
    let mut tx = begin().await.expect("a transaction begins");
    tx.take_numbers(&[one]).await.expect("a counter");
    drop(tx);
    let after = take(&world, LABEL, 1).await;
    assert!(matches!(after[..], [1_005 | 1_007]), "given again, or lost: {after:?}");
    let mut tx = begin().await.expect("a transaction begins");
    let none = Numbers { column: ColumnId(999), ..one };
    let refused = tx.take_numbers(&[none]).await;
    assert!(matches!(refused, Err(Error::Schema { .. })), "{refused:?}");
    let later = tx.take_numbers(&[one]).await;
    assert!(matches!(later, Err(Error::Doomed)), "{later:?}");
}
