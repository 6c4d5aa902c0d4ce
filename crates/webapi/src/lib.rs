//! HTTP requests to messages, and their replies to HTTP answers. No sockets, no JSON of its own.
//!
//! In reading order: [`WebApi`] (one request from head to answer), `batch` (several requests in one),
//! `request` and `path` (what was sent), `route` (what it names), `records`, `bulk`,
//! `bulk_delete`, `metadata`, `functions` (one area each), `response` and `fault` (what goes back), `outlet` (what goes back before it is whole). Beside them `limits` (who may
//! ask now), `parameters` (what custom logic is told) and `usage` (what was asked for).
//! Not here: reading bodies from the network, tokens, stores.
//! Invariants: a caller's mistake never answers 5xx and nothing sent can panic; statuses are chosen in
//! `fault`; a request holds one snapshot of the definitions at a time.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod api;
mod arguments;
mod batch;
mod blocks;
mod bulk;
mod bulk_delete;
mod cors;
mod cosmos;
mod explain;
mod fault;
mod functions;
mod initialize;
mod limits;
mod metadata;
mod outlet;
mod parameters;
mod path;
mod records;
mod request;
mod response;
mod rights;
mod route;
mod settings;
mod usage;

pub use api::{Challenge, Incoming, WebApi};
pub use limits::{Facet, Facets, Limiter, Refusal, Remaining};
pub use outlet::Outlet;
pub use settings::Settings;
