//! PostgreSQL under the suite, and what it promises beyond: several nodes on one database.
//!
//! Needs a server: that of `SHEAF_TEST_POSTGRES`, or one that `testkit` starts for this process.

mod engine;

use async_trait::async_trait;
use std::sync::Arc;
use store::conformance::elastic::ElasticHarness;
use store::elastic::ElasticStore;
use store_elastic::PostgresElasticStore;
use testkit::postgres::Cluster;

/// A store in a database of its own.
pub(crate) struct Postgres {
    url: String,
    store: Arc<PostgresElasticStore>,
}

impl Postgres {
    /// Another node on the same database.
    pub(crate) async fn another_node(&self) -> Arc<PostgresElasticStore> {
        PostgresElasticStore::open(&self.url).await.expect("a second node opens")
    }
}

#[async_trait]
impl ElasticHarness for Postgres {
    async fn open() -> Self {
        let cluster = Cluster::shared().expect("PostgreSQL runs");
        let url = cluster.create_database("elastic").expect("a database can be made");
        let store = PostgresElasticStore::open(&url).await.expect("the store opens");
        Self { url, store }
    }

    fn store(&self) -> Arc<dyn ElasticStore> {
        self.store.clone()
    }

    async fn reopen(&mut self) {
        self.store = self.another_node().await;
    }
}

store::elastic_store_suite!(Postgres);
