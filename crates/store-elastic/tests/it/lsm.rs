//! The LSM under the suite, and what it promises beyond: groups, a full queue, one process, crashes.

mod crash;
mod engine;

use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use store::conformance::elastic::ElasticHarness;
use store::elastic::ElasticStore;
use store_elastic::{LsmOptions, LsmStore};

/// A store in a directory that is removed at the end.
pub(crate) struct Lsm {
    directory: tempfile::TempDir,
    store: Option<Arc<LsmStore>>,
}

impl Lsm {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn node(&self) -> &Arc<LsmStore> {
        self.store.as_ref().expect("the store is open")
    }
}

/// Small memory, so that rows move to files in tests, too.
pub(crate) fn options() -> LsmOptions {
    LsmOptions { memtable_bytes: 256 << 10, cache_bytes: 1 << 20, ..LsmOptions::default() }
}

#[async_trait]
impl ElasticHarness for Lsm {
    async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let store = LsmStore::open_with(directory.path(), options()).expect("the store opens");
        Self { directory, store: Some(store) }
    }

    fn store(&self) -> Arc<dyn ElasticStore> {
        self.node().clone()
    }

    async fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            // Others may hold the store still; closing frees the directory all the same.
            store.close();
        }
        let store = LsmStore::open_with(self.path(), options());
        self.store = Some(store.expect("the store opens again"));
    }
}

store::elastic_store_suite!(Lsm);
