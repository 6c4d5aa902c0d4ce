//! The service over real sockets, on the embedded store.

mod batch;
mod house;
mod limits;
mod messages;
mod shutdown;
