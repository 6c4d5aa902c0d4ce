//! What is served, and what is refused before anything is opened.

use crate::config::Config;
use crate::limits::Limits;
use crate::tls::Tls;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is served, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens, in this order.
    pub listen: Vec<Listen>,
    /// Certificates, where an address speaks TLS.
    pub tls: Option<Tls>,
    /// Whether tokens count.
    pub auth: AuthMode,
    /// Where rows live.
    pub store: StoreChoice,
    /// Where rows of elastic tables live; beside the others when nothing is said.
    pub elastic: Option<StoreChoice>,
    /// What a request may cost.
    pub limits: Limits,
    /// Bytes of all request bodies in memory at once.
    pub bodies_bytes_max: usize,
    /// How long shutdown waits for requests in flight.
    pub grace: Duration,
    /// The name of this node where there are several, each with its own: answers carry an affinity
    /// cookie, and jobs that the node left when it was killed are its again when it starts.
    pub node: Option<String>,
    /// What the configuration file says.
    pub config: Config,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; port 0 picks a free one.
    pub address: SocketAddr,
    /// It speaks TLS.
    pub tls: bool,
}

/// Whether tokens count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Off where only loopback is listened on, on elsewhere.
    ByAddress,
    /// Everybody is the system administrator: for development, on loopback alone.
    Off,
    /// Every request needs a token.
    On,
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
    /// Defaults for an address and a store.
    pub fn new(listen: SocketAddr, store: StoreChoice) -> Self {
        Self {
            listen: vec![Listen { address: listen, tls: false }],
            tls: None,
            auth: AuthMode::ByAddress,
            store,
            elastic: None,
            limits: Limits::OFF,
            bodies_bytes_max: 8 * Limits::MESSAGE_BYTES,
            grace: Duration::from_secs(30),
            node: None,
            config: Config::default(),
        }
    }
}

/// Why the service did not start or broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Without authentication everybody is administrator.
    #[error(
        "refusing to listen on {0} with `--auth off`: every caller would be the system administrator; leave `--auth off` away, or listen on a loopback address such as 127.0.0.1:8080"
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
    /// An address is to speak TLS, and there is no certificate.
    #[error("{0} is to speak TLS: say `--tls dev` or `--tls CERTIFICATE,KEY`")]
    NoCertificate(SocketAddr),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {why}")]
    Tls {
        /// Why.
        why: String,
    },
    /// A certificate or key cannot be used.
    #[error("{} cannot be used for TLS: {why}", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The `[auth]` section cannot be honoured.
    #[error("the configuration of `[auth]` cannot be honoured: {why}")]
    Auth {
        /// What is wrong.
        why: String,
    },
    /// The `[plugins]` section cannot be honoured.
    #[error("the configuration of `[plugins]` cannot be honoured: {why}")]
    Plugins {
        /// What is wrong.
        why: String,
    },
    /// What runs plug-ins cannot be opened.
    #[error("cannot open what runs plug-ins")]
    PluginHost {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The limits cannot be read.
    #[error("cannot read the limits file `{file}`")]
    LimitsFile {
        /// Its path.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The limits cannot be understood.
    #[error("the limits file `{file}` is wrong: {why}")]
    Limits {
        /// Its path.
        file: String,
        /// What is wrong, and where.
        why: String,
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
    /// What the configuration allows to call is no origin.
    #[error(
        "the configuration {} allows `{origin}`, which is no origin; write it as `https://app.example`",
        path.display()
    )]
    Origin {
        /// The file.
        path: PathBuf,
        /// As it stands there.
        origin: String,
    },
    /// The configuration cannot be honoured.
    #[error("the configuration cannot be honoured")]
    Unavailable(#[from] pipeline::UnavailableError),
}
