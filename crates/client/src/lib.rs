//! The bulk client as a library: rows into a service, out of it, and out of existence.
//!
//! Pure rooms decide: [`mapping`] and [`convert`] what a row means, [`planner`] what travels together,
//! [`controller`] how much at once, [`verdict`] what an answer means, [`retry`] and [`bisect`] what is
//! sent again. The rims act: [`source`] reads, [`transport`] talks, [`token`] says who, [`sender`] awaits, [`report`] writes.
//! Not here: printing and arguments (`cli`); anything of the service but its words and bytes.
//! Invariant: every row that is read has exactly one outcome, and no row is written twice because an
//! answer was lost.

pub mod problem;
pub mod rows;
pub mod run;

pub mod ask;
pub mod compare;
pub mod compression;
pub mod confirm;
pub mod convert;
pub mod decide;
pub mod encode;
pub mod files;
pub mod ids;
pub mod lookup;
pub mod mapping;
pub mod matching;
pub mod pairs;
pub mod parties;
pub mod source;
pub mod zone;

pub mod bisect;
pub mod controller;
pub mod journal;
pub mod planner;
pub mod pool;
pub mod profile;
pub mod report;
pub mod request;
pub mod resolve;
pub mod retry;
pub mod secret;
pub mod sender;
pub mod stats;
pub mod token;
pub mod trace;
pub mod transport;
pub mod verdict;

mod definition;
pub mod filter;
pub mod form;
pub mod infer;
pub mod registration;
pub mod service;

pub mod bench;
pub mod get;
pub mod load;
pub mod parallel;
pub mod remove;
pub mod set;

#[cfg(test)]
mod testing;
