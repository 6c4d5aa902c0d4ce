//! The reference store of elastic tables passes the suite that every engine passes.

use async_trait::async_trait;
use std::sync::Arc;
use store::conformance::elastic::ElasticHarness;
use store::elastic::ElasticStore;
use store::elastic_memory::MemoryElasticStore;

struct Memory(Arc<MemoryElasticStore>);

#[async_trait]
impl ElasticHarness for Memory {
    async fn open() -> Self {
        Self(Arc::new(MemoryElasticStore::new()))
    }

    fn store(&self) -> Arc<dyn ElasticStore> {
        self.0.clone()
    }

    /// The reference keeps nothing beyond its process.
    async fn reopen(&mut self) {}
}

store::elastic_store_suite!(Memory);
