//! Assembly: sockets, the store that was asked for, the pipeline and the Web API on top, shutdown.
//!
//! In reading order: `options` and `config` (what is served, and what is refused), `serve` (from open to
//! shutdown), `connection` (one request: head, body, answer), `workers` (background jobs), `clock` (the
//! one place that reads time and
//! randomness).
//! Not here: routes, messages, engines.

mod clock;
mod config;
mod connection;
mod options;
mod serve;
mod workers;

pub use config::Config;
pub use options::{Error, Options, StoreChoice};
pub use serve::Server;
