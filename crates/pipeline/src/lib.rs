//! Runs messages: plan, checks, main operation, faults.
//!
//! One function runs a message, [`Pipeline::run`]; only `webapi`, jobs and plug-in call-backs call it.
//! Not here: HTTP, JSON, engines.

mod message;
mod run;

pub use message::{Condition, Definition, Message, Read, Reply, Write};
pub use run::{Context, Error, Organization, Pipeline};
