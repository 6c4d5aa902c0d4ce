//! The service over real sockets, on the embedded store.

mod elastic;
mod house;
mod limits;
mod messages;
mod shutdown;
