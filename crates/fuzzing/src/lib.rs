//! What outside bytes go through: one function per parser, and the whole service behind them.
//!
//! In reading order: [`readers`] (every parser as a function of bytes), [`ground`] (the service that gives
//! them tables, and takes whole requests), [`grammar`] (texts that are nearly right), [`mutate`] (bytes that
//! are not), [`seeds`] (the requests of `conformance/`), [`run`] (many inputs, one after another).
//! Used by `fuzz/` (cargo-fuzz, outside of the gate) and by the tests here (inside of it).
//! Not here: what a parser answers; its own tests say that.
//! Invariant: a seed gives the same inputs again.

pub mod grammar;
pub mod ground;
pub mod mutate;
pub mod readers;
pub mod run;
pub mod seeds;

pub use readers::{READERS, Reader};
