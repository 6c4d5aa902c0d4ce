//! Scenario files: requests to the Web API and what must come back, as text.
//!
//! In: the files of `conformance/` ([`parse`]), a function that sends a request ([`play`]) and tables to
//! play on ([`fixture`]). Out: the failures of each file, with file and line. The grammar is described in
//! `conformance/README.md`.
//! Not here: any service; the caller brings one, in process or over HTTP (`sheaf-play`).
//! Invariant: a file that cannot be read is a failure, and a file that is not played is counted and named.

pub mod compare;
pub mod coverage;
pub mod fixture;
pub mod folder;
pub mod parse;
pub mod play;
