//! Who may do what, on the engines: the random organisations of the pipeline's tests, fewer of them.

#[path = "../../../pipeline/tests/it/house.rs"]
#[allow(dead_code, reason = "these tests need less of it than those of the pipeline")]
mod house;
#[path = "../../../pipeline/tests/it/rights/world.rs"]
mod world;

use house::House;
use pipeline::Stores;
use std::sync::Arc;
use store::{MemoryElasticStore, StandardStore};
use store_standard::{PostgresStore, SqliteOptions, SqliteStore};
use testkit::postgres::Cluster;

const SEEDS: [u64; 3] = [5, 71_000_003, 9_876_543_210];

fn stores(standard: Arc<dyn StandardStore>) -> Stores {
    Stores { standard, elastic: Some(Arc::new(MemoryElasticStore::new())) }
}

#[tokio::test]
async fn nobody_reaches_further_than_their_roles_on_sqlite() {
    for seed in SEEDS {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(directory.path(), SqliteOptions::default());
        let store = store.expect("a store opens");
        world::live(House::over(stores(store)).await, seed, 3).await;
    }
}

#[tokio::test]
async fn nobody_reaches_further_than_their_roles_on_postgres() {
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    for seed in SEEDS {
        let url = cluster.create_database("rights").expect("a database can be made");
        let store = PostgresStore::open(&url).await.expect("a store opens");
        world::live(House::over(stores(store)).await, seed, 3).await;
    }
}
