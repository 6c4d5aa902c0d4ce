//! The service over real sockets, on the embedded store.

mod conformance;
mod house;
mod limits;
mod messages;
mod shutdown;
