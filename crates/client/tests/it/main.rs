//! The client against a simulated service, on a virtual clock.

mod coverage;
mod laws;
mod learning;
mod service;
mod simulation;
mod tokens;
