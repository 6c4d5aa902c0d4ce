//! Assembly: sockets, the store that was asked for, the pipeline and the Web API on top, shutdown.
//!
//! In reading order: `options` and `config` (what is served, and what is refused), `serve` (from open
//! to shutdown), `limits` (what a request may cost), `admission` (who may go on), `connection` (one
//! request: head, body, answer), `leaving` (answers that are sent while they are made), `plugins` (who runs steps), `tls` (certificates), `auth` (who asks), `users` (who may), `workers` (background jobs), `clock` (the one place that reads time
//! and randomness).
//! Not here: routes, messages, engines.

mod admission;
mod auth;
mod clock;
mod config;
mod connection;
mod leaving;
mod limits;
mod options;
mod plugins;
mod serve;
mod tls;
mod users;
mod workers;

pub use auth::settings::{AuthConfig, IssuerConfig, OpaqueConfig};
pub use config::Config;
pub use limits::Limits;
pub use options::{AuthMode, Error, Listen, Options, StoreChoice};
pub use pipeline::ADMINISTRATOR;
#[cfg(feature = "plugins")]
pub use plugins::{Component, component};
pub use plugins::{PluginsConfig, WebhooksConfig};
pub use serve::{Listening, Server};
pub use tls::Tls;
pub use users::{NewSecret, NewUser, Users, UsersError};
pub use webapi::Facets;
