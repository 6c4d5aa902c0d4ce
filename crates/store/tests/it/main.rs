//! The reference store passes the suite that every engine passes.

mod elastic;
mod listed;

use async_trait::async_trait;
use std::sync::Arc;
use store::StandardStore;
use store::conformance::Harness;
use store::memory::MemoryStore;

struct Memory(Arc<MemoryStore>);

#[async_trait]
impl Harness for Memory {
    async fn open() -> Self {
        Self(Arc::new(MemoryStore::new()))
    }

    fn store(&self) -> Arc<dyn StandardStore> {
        self.0.clone()
    }

    /// The reference keeps nothing beyond its process.
    async fn reopen(&mut self) {}
}

store::standard_store_suite!(Memory);
