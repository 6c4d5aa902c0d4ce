//! What PostgreSQL promises beyond the contract: nodes that share a database.

use super::Postgres;
use model::Value;
use std::sync::Arc;
use store::Error;
use store::conformance::elastic::world::{Became, NOW, World, became, delete, on, text};
use store::conformance::fixture::id;
use store::elastic::{ElasticOutcome, ElasticReason, ElasticStore};
use store_elastic::PostgresElasticStore;
use tokio::task::JoinSet;

/// Two nodes over one empty database.
async fn nodes() -> (Postgres, World, World) {
    let (harness, first) = World::open::<Postgres>().await;
    let second = World::over(harness.another_node().await);
    (harness, first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_each_others_rows_and_versions_rise_over_both() {
    let (_harness, first, second) = nodes().await;
    let place = (id(1), Some("p"));
    let mut version = first.run(first.insert(place, &[])).await;
    for round in 0..6 {
        let world = if round % 2 == 0 { &second } else { &first };
        assert_eq!(world.version(place).await, version);
        let count = [("ship_count", Value::Integer(round))];
        let next = world.run(on(world.update(place, &count), version)).await;
        assert!(next > version, "{next} is not above {version}");
        version = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_inserts_of_two_nodes_one_is_written() {
    let (_harness, first, second) = nodes().await;
    let mut tasks = JoinSet::new();
    for task in 0..8_usize {
        let world = if task % 2 == 0 { &first } else { &second };
        let (store, table) = (world.store.clone(), world.table());
        // The table is not there yet: both nodes make it.
        let rows = (0..50_u128).map(|number| (number * (2 * task as u128 + 1)) % 50);
        let writes = rows.map(|number| world.insert((id(number), Some("p")), &[])).collect();
        tasks.spawn(async move { store.write(&table, NOW, writes).await });
    }
    let mut made = 0;
    for outcomes in tasks.join_all().await {
        for outcome in outcomes.expect("the call is fine") {
            match became(outcome) {
                Became::Made => made += 1,
                other => assert_eq!(other, Became::Refused(ElasticReason::Exists)),
            }
        }
    }
    assert_eq!((made, first.all().await.len()), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_two_nodes_are_all_there() {
    let (_harness, first, second) = nodes().await;
    let rows = 10_u128;
    let place = |number| (id(number), Some("p"));
    first.write((0..rows).map(|number| first.insert(place(number), &[])).collect()).await;
    let mut tasks = JoinSet::new();
    for task in 0..6_u128 {
        let world = if task % 2 == 0 { &first } else { &second };
        let (store, table) = (world.store.clone(), world.table());
        let column =
            ["ship_label", "ship_note", "ship_payload"][usize::try_from(task / 2).unwrap()];
        let cells = [(column, text(&format!("{task}")))];
        let order = (0..rows).map(|number| (number * 3 + task) % rows);
        let writes: Vec<_> = order.map(|number| world.update(place(number), &cells)).collect();
        tasks.spawn(async move { store.write(&table, NOW, writes).await });
    }
    for outcomes in tasks.join_all().await {
        let outcomes = outcomes.expect("the call is fine");
        assert!(outcomes.into_iter().all(|outcome| became(outcome) == Became::Changed));
    }
    for number in 0..rows {
        for column in ["ship_label", "ship_note", "ship_payload"] {
            let value = first.value(place(number), column).await;
            assert!(!value.is_null(), "row {number} has lost {column}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_one_node_forgets_is_made_again_by_the_other() {
    let (_harness, first, second) = nodes().await;
    let place = (id(1), Some("p"));
    for _ in 0..2 {
        first.run(first.insert(place, &[])).await;
        second.run(second.update(place, &[])).await;
        assert_eq!(first.all().await.len(), 1);
        second.store.drop_table(&second.table()).await.expect("it can be forgotten");
        assert!(first.all().await.is_empty());
        let missing = Became::Refused(ElasticReason::Missing);
        first.check(vec![first.update(place, &[]), delete(place)], &[missing, missing]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_no_index_takes_is_refused() {
    let (_harness, first, _second) = nodes().await;
    let long = "x".repeat(2_001);
    let writes = vec![first.insert((id(1), Some(&long)), &[]), first.insert((id(1), None), &[])];
    let outcomes = first.write(writes).await;
    assert_eq!(outcomes[0], ElasticOutcome::Refused(ElasticReason::TooLarge));
    assert_eq!(became(outcomes[1]), Became::Made);
}

#[tokio::test]
async fn an_address_that_asks_for_tls_is_refused_by_name() {
    let store: Result<Arc<PostgresElasticStore>, Error> =
        PostgresElasticStore::open("postgres://a@localhost/b?sslmode=require").await;
    let refused = store.map(|store| store as Arc<dyn ElasticStore>).err().unwrap();
    assert!(format!("{refused:?}").contains("sslmode=require"), "{refused:?}");
}
