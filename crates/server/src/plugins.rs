//! Who runs steps, and what plug-ins may use: the `[plugins]` section of the configuration.
//!
//! ```toml
//! [plugins]
//! enabled = true                     # otherwise no step can be registered, and those that are fail
//! guests = 4                         # that run at the same time; twice the processor's cores
//! memory_bytes = 268_435_456         # of one guest
//! cache = "/var/cache/sheaf"         # compiled components, below it; in the data directory
//! trusted = ["9f86d081884c7d65…"]    # SHA-256 of components that may act as the service itself
//!
//! [plugins.webhooks]
//! enabled = true                     # otherwise every delivery fails
//! hosts = ["hooks.internal"]         # private ones that may be posted to, also without TLS
//! organization = "org.example"       # what receivers are told
//! attempt_seconds = 60               # how long one delivery may take
//! ```
//!
//! How long steps may take and how large what they get may be stands among the limits.
//! Not here: running steps (`plugin`). Invariant: a value that cannot be honoured refuses to start.

#[cfg(not(feature = "plugins"))]
mod absent;
#[cfg(feature = "plugins")]
mod component;
#[cfg(feature = "plugins")]
mod host;

#[cfg(not(feature = "plugins"))]
pub(crate) use absent::open;
#[cfg(feature = "plugins")]
pub use component::{Component, component};
#[cfg(feature = "plugins")]
pub(crate) use host::open;

use serde::Deserialize;
use std::path::PathBuf;

/// The section, as written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// Steps are run.
    pub enabled: bool,
    /// Guests that run at the same time.
    pub guests: Option<usize>,
    /// Memory of one guest, in bytes.
    pub memory_bytes: Option<usize>,
    /// Below which directory compiled components are kept.
    pub cache: Option<PathBuf>,
    /// Components that may act as the service itself, by the SHA-256 of their bytes.
    pub trusted: Vec<String>,
    /// Webhooks.
    pub webhooks: WebhooksConfig,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            guests: None,
            memory_bytes: None,
            cache: None,
            trusted: Vec::new(),
            webhooks: WebhooksConfig::default(),
        }
    }
}

/// The section of webhooks, as written.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Deliveries are made.
    pub enabled: bool,
    /// Hosts, by name or address, that may be posted to although they are private.
    pub hosts: Vec<String>,
    /// Host name of the environment, as receivers see it.
    pub organization: Option<String>,
    /// How long one delivery may take, in seconds.
    pub attempt_seconds: Option<u64>,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self { enabled: true, hosts: Vec::new(), organization: None, attempt_seconds: None }
    }
}
