//! What tests, the crash test and the benches share: engines and services as child processes.
//!
//! In: nothing but the machine. Out: a running PostgreSQL ([`postgres`]), a running `sheaf serve`
//! ([`service`]), scenario files and how to play them ([`scenario`]), plug-ins to test with ([`guests`]),
//! files to load ([`shipments`]), what passes between a client and a service ([`relay`]), and the small means they need ([`process`]).
//! Not here: assertions about the product; those live in the test that makes them.
//! Invariant: whatever is started here ends with the process that started it, even if that is killed.

pub mod draw;
pub mod guests;
pub mod http;
pub mod postgres;
pub mod process;
pub mod relay;
pub mod scenario;
pub mod service;
pub mod shipments;
