//! Runs messages: plan, checks, main operation, faults.
//!
//! One function runs a message, [`Pipeline::run`]; only `webapi`, jobs and plug-in call-backs call it. A long page has
//! [`Pipeline::run_in_parts`]: the same read, whose rows come one part after another.
//! In reading order: `message` (in and out), `run` (the rim), `write`, `check` and `needed` (targets to one
//! operation), `number` (auto-number columns), `joined` (several writes as one set), `elastic` (targets to independent writes), `job`
//! and `steer` (background jobs as rows), `define` (schema), `seed` (system tables), `available`
//! (messages that are taken from tables), `identity` (who a token speaks of), `credential` (what the
//! service keeps to tell who calls), `settings` (of callers, for queries), `files` and `images` (bytes
//! beside rows), `privilege` and `rights` (who may do what), `share` (changes of that), `step` (custom code
//! between the stages: the door and the plan), `stages` (running it), `registration` (steps as rows),
//! `trace` and `statistics` (what runs left behind), `fault` (store errors to codes), `ids`.
//! Not here: HTTP, JSON, engines.

mod available;
mod check;
mod credential;
mod define;
mod elastic;
mod fault;
pub mod files;
mod follow;
mod identity;
mod ids;
pub mod images;
pub mod job;
mod joined;
mod message;
mod needed;
mod note;
mod number;
pub mod privilege;
mod registration;
mod rights;
mod run;
mod seed;
mod settings;
mod share;
mod solution;
mod stages;
mod statistics;
mod steer;
pub mod step;
mod trace;
mod write;

pub use available::UnavailableError;
pub use credential::{Credential, CredentialKind, Looked};
pub use define::next_option_value;
pub use follow::REMEMBERED_SECONDS;
pub use identity::{ADMINISTRATOR, Claims, User, Wanted};
pub use message::{Condition, Definition, DeletedRows, Message, Read, Reply, Walk, Write};
pub use number::seed as number_seed;
pub use rights::{Impersonated, Need};
pub use run::{Context, Error, Organization, Pipeline, Stores};
pub use seed::can_delete;
pub use share::{HeldPrivilege, Object, RightsChange, Share};
pub use stages::{JobEnd, JobRun};
pub use step::Course;
pub use step::plan::Bypass;
pub use store::elastic::{ElasticKey, Walked};
pub use store::{Deleted, Piece, RowOutcome, TakeRows};
