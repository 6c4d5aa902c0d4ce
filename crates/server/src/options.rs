//! What is served, and what is refused before anything is opened.

use crate::config::Config;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is served, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where rows live.
    pub store: StoreChoice,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// Bytes of all request bodies in memory at once.
    pub bodies_bytes_max: usize,
    /// How long shutdown waits for requests in flight.
    pub grace: Duration,
    /// What the configuration file says.
    pub config: Config,
}

/// Where rows live.
#[derive(Clone, Debug)]
pub enum StoreChoice {
    /// An embedded SQLite database in this directory.
    Directory(PathBuf),
    /// A PostgreSQL database, `postgres://…`.
    Postgres(String),
}

impl Options {
    /// Largest request body by default: 128 MiB (contract: `bulk.md` 8.8).
    pub const BODY_BYTES_MAX: usize = 134_217_728;

    /// Defaults for an address and a store.
    pub fn new(listen: SocketAddr, store: StoreChoice) -> Self {
        Self {
            listen,
            store,
            body_bytes_max: Self::BODY_BYTES_MAX,
            bodies_bytes_max: 8 * Self::BODY_BYTES_MAX,
            grace: Duration::from_secs(30),
            config: Config::default(),
        }
    }
}

/// Why the service did not start or broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Everybody is administrator as long as no identity is configured.
    #[error(
        "refusing to listen on {0}: no identity is configured, so every caller would be the system administrator; listen on a loopback address such as 127.0.0.1:8080 and put an authenticating proxy in front"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open {what}")]
    Store {
        /// Which store.
        what: String,
        /// Why.
        source: store::Error,
    },
    /// The configuration file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is no TOML, or holds something that is not known.
    #[error("the configuration {} is not understood", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        source: Box<toml::de::Error>,
    },
    /// The configuration cannot be honoured.
    #[error("the configuration cannot be honoured")]
    Unavailable(#[from] pipeline::UnavailableError),
}
