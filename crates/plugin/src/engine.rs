//! The engine that compiles and runs components, and the clock that interrupts them.
//!
//! Invariant: what a guest computes depends on what it is given alone: no threads, no undefined bits of numbers, no
//! clock.

use crate::Error;
use crate::limits::Settings;
use std::time::Duration;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Between two looks at the time.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Stack of a guest, in bytes.
const STACK_BYTES: usize = 1 << 20;

/// Makes the engine and the thread that ticks for it. The thread ends when the engine is gone.
pub(crate) fn open(settings: &Settings) -> Result<Engine, Error> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(settings.fuel.is_some())
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .max_wasm_stack(STACK_BYTES);
    if let Some(instances) = settings.pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances.saturating_mul(4))
            .total_memories(instances)
            .total_tables(instances.saturating_mul(2))
            .table_elements(10_000)
            .max_memory_size(settings.memory_bytes_max);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    let engine = Engine::new(&config)
        .map_err(|error| Error::Engine { doing: "making the engine", why: format!("{error:#}") })?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("plugin-ticks".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| Error::Engine { doing: "starting the ticks", why: error.to_string() })?;
    Ok(engine)
}
