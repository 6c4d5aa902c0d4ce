//! SQLite under the suite, and what it promises beyond: groups, a full queue, one process, few
//! statements.

mod engine;

use async_trait::async_trait;
use std::num::NonZeroUsize;
use std::sync::Arc;
use store::StandardStore;
use store::conformance::Harness;
use store_standard::{SqliteOptions, SqliteStore, Synchronous};

/// A store in a directory that is removed at the end.
pub(crate) struct Sqlite {
    directory: tempfile::TempDir,
    store: Option<Arc<SqliteStore>>,
}

/// Fewer waits for the disk: power loss is not what is tested.
pub(crate) fn options() -> SqliteOptions {
    SqliteOptions {
        synchronous: Synchronous::Normal,
        readers: NonZeroUsize::new(2),
        ..SqliteOptions::default()
    }
}

#[async_trait]
impl Harness for Sqlite {
    async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let store = SqliteStore::open(directory.path(), options()).expect("the store opens");
        Self { directory, store: Some(store) }
    }

    fn store(&self) -> Arc<dyn StandardStore> {
        self.store.clone().expect("the store is open")
    }

    async fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            // Others may hold the store still; closing frees the directory all the same.
            store.close();
        }
        let store = SqliteStore::open(self.directory.path(), options());
        self.store = Some(store.expect("the store opens again"));
    }
}

store::standard_store_suite!(Sqlite);
