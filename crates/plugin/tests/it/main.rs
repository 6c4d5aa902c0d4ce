//! The host with real guests and real sockets: one binary, so that guests are built once.
//!
//! Not here: which steps run for a message (`pipeline`), and messages over HTTP with steps (`webapi`).

mod examples;
mod guests;
mod hand_over;
mod house;
mod misbehaviour;
mod registration;
mod seats;
mod service;
mod webhooks;
