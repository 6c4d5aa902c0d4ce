//! Runs steps: WebAssembly components and webhooks, under limits of time, memory and size.
//!
//! In reading order: `runner` (the pipeline's door, [`Host`]), `context` and `codec` (calls as flat lists, and back),
//! `componentize`, `component` and `cache` (what is compiled), `seat` (threads), `guest` and `service` (a run, and what it calls),
//! `trace`, `limits`, `engine`, `webhook`.
//! Not here: which steps run, when, and what becomes of their answers (`pipeline`).
//! Invariant: whatever a guest does ends in a documented fault of its run; the service goes on.

mod bindings;
mod cache;
mod codec;
mod component;
mod componentize;
mod context;
mod engine;
mod error;
mod guest;
mod limits;
mod runner;
mod seat;
mod service;
mod trace;
pub mod webhook;

pub use componentize::{componentize, is_module};
pub use error::Error;
pub use limits::Settings;
pub use runner::Host;
