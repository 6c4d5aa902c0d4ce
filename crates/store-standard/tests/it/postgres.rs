//! PostgreSQL under the suite, and what it promises beyond: few flights, several nodes, exact folds.
//!
//! Needs a server: that of `SHEAF_TEST_POSTGRES`, or one that `testkit` starts for this process.

mod engine;

use async_trait::async_trait;
use std::sync::Arc;
use store::StandardStore;
use store::conformance::Harness;
use store_standard::PostgresStore;
use testkit::postgres::Cluster;

/// A store in a database of its own.
pub(crate) struct Postgres {
    url: String,
    store: Arc<PostgresStore>,
}

impl Postgres {
    /// The address of a fresh database.
    pub(crate) fn fresh_url() -> String {
        let cluster = Cluster::shared().expect("PostgreSQL runs");
        cluster.create_database("suite").expect("a database can be made")
    }

    /// Another node on the same database.
    pub(crate) async fn another_node(&self) -> Arc<PostgresStore> {
        PostgresStore::open(&self.url).await.expect("a second node opens")
    }

    pub(crate) fn node(&self) -> &PostgresStore {
        &self.store
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

#[async_trait]
impl Harness for Postgres {
    async fn open() -> Self {
        let url = Self::fresh_url();
        let store = PostgresStore::open(&url).await.expect("the store opens");
        Self { url, store }
    }

    fn store(&self) -> Arc<dyn StandardStore> {
        self.store.clone()
    }

    async fn reopen(&mut self) {
        self.store = PostgresStore::open(&self.url).await.expect("the store opens again");
    }
}

store::standard_store_suite!(Postgres);
