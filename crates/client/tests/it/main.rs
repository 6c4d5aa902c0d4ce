//! The client against a simulated service, on a virtual clock.

mod laws;
mod service;
mod tokens;
