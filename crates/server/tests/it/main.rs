//! The service over real sockets, on the embedded store.

mod auth;
mod availability;
mod batch;
mod conformance;
mod elastic;
mod house;
mod jobs;
mod laws;
mod limits;
mod messages;
#[cfg(feature = "plugins")]
mod plugins;
mod rights;
mod shutdown;
mod steps;
