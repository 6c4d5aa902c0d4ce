//! The client against a simulated service, on a virtual clock.

mod bench;
mod coverage;
mod laws;
mod learning;
mod new_ids;
mod parallel;
mod service;
mod simulation;
mod tokens;
