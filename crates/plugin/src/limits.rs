//! What a guest may use, and what watches over it while it runs.
//!
//! Every limit has a name, a unit and a default here. Not here: how long a run may take; its service knows.
//! Invariant: a refused growth is remembered, because a guest's own allocator turns it into a crash of its own.

use crate::codec::CONTEXT_BYTES_MAX;
use std::path::PathBuf;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Settings of the host.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Guests that run at the same time; messages wait for a place before they begin.
    pub guests_max: usize,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes_max: usize,
    /// A hand-over that counts as more bytes is refused.
    pub context_bytes_max: u64,
    /// How long all synchronous steps of a request may take together.
    pub time_max: Duration,
    /// Instructions of one run; none means that time alone ends it. For tests that must come out the same.
    pub fuel: Option<u64>,
    /// Where compiled components are kept; none means in memory alone.
    pub cache: Option<PathBuf>,
    /// Instances get their memory from a pool made at start; none means when they are made.
    pub pooled: Option<u32>,
    /// Components whose steps may act as the service itself: their source hashes.
    pub trusted: Vec<Box<str>>,
    /// Webhooks.
    pub webhooks: crate::webhook::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            guests_max: 2 * cores,
            memory_bytes_max: 256 << 20,
            context_bytes_max: CONTEXT_BYTES_MAX,
            time_max: pipeline::step::TIME_MAX,
            fuel: None,
            cache: None,
            pooled: None,
            trusted: Vec::new(),
            webhooks: crate::webhook::Settings::default(),
        }
    }
}

impl Settings {
    /// The largest hand-over: the documented limit, or half the memory of an instance, for the guest needs room to
    /// work.
    pub fn hand_over_bytes_max(&self) -> u64 {
        self.context_bytes_max.min(self.memory_bytes_max as u64 / 2)
    }
}

/// Linear memories, tables and core instances that a component may have.
const MEMORIES_MAX: usize = 1;
const TABLES_MAX: usize = 8;
const INSTANCES_MAX: usize = 16;
/// Elements of all tables together.
const TABLE_ELEMENTS_MAX: usize = 10_000;

/// Watches over the memory of one instance.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes_left: usize,
    table_elements_left: usize,
    /// A growth of memory was refused.
    pub(crate) was_refused: bool,
}

impl Limiter {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            memory_bytes_left: settings.memory_bytes_max,
            table_elements_left: TABLE_ELEMENTS_MAX,
            was_refused: false,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = more <= self.memory_bytes_left && maximum.is_none_or(|most| desired <= most);
        match fits {
            true => self.memory_bytes_left -= more,
            false => self.was_refused = true,
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = more <= self.table_elements_left && maximum.is_none_or(|most| desired <= most);
        if fits {
            self.table_elements_left -= more;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
