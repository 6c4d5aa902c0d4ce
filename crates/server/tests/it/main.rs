//! The service over real sockets, on the embedded store.

mod availability;
mod batch;
mod elastic;
mod house;
mod limits;
mod messages;
mod shutdown;
