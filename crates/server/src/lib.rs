//! Assembly: sockets, the store that was asked for, the pipeline and the Web API on top, shutdown.
//!
//! In reading order: `options` and `config` (what is served, and what is refused), `serve` (from open
//! to shutdown), `limits` (what a request may cost), `admission` (who may go on), `connection` (one
//! request: head, body, answer), `clock` (the one place that reads time and randomness).
//! Not here: routes, messages, engines.

mod admission;
mod clock;
mod config;
mod connection;
mod limits;
mod options;
mod serve;

pub use config::Config;
pub use limits::Limits;
pub use options::{Error, Options, StoreChoice};
pub use serve::Server;
pub use webapi::Facets;
