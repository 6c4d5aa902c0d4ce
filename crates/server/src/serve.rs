//! From open to shutdown.
//!
//! Invariant: a message that was begun is finished, whatever happens to its connection; shutdown waits
//! for messages in flight, then closes the store.

use crate::auth::Auth;
use crate::auth::settings::Accepted;
use crate::connection::{Peer, Shared};
use crate::options::{AuthMode, Error, Listen, Options, StoreChoice};
use crate::tls::Certificates;
use crate::{clock, connection, plugins, workers};
use pipeline::{Pipeline, Stores};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::StandardStore;
use store::elastic::ElasticStore;
use store_elastic::{LsmStore, PostgresElasticStore};
use store_standard::{PostgresStore, SqliteOptions, SqliteStore};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often rows whose time to live is over are removed.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// How often deleted rows are forgotten that nobody can ask for any more.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// Rows that are removed at once, so that writes wait shortly.
const EXPIRED_ROWS_MAX: usize = 10_000;

/// A service that listens.
pub struct Server {
    doors: Vec<Door>,
    certificates: Option<Arc<Certificates>>,
    shared: Arc<Shared>,
    elastic: Arc<dyn ElasticStore>,
    options: Options,
}

/// An address that is listened on.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
}

/// An address that is listened on, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Address and port.
    pub address: SocketAddr,
    /// It speaks TLS.
    pub tls: bool,
}

/// `https://127.0.0.1:8443`
impl std::fmt::Display for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

impl Server {
    /// Opens the store, makes the system tables where they are missing, and listens.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let far = options.listen.iter().find(|listen| !listen.address.ip().is_loopback());
        let enabled = match (options.auth, far) {
            (AuthMode::On, _) | (AuthMode::ByAddress, Some(_)) => true,
            (AuthMode::ByAddress | AuthMode::Off, None) => false,
            (AuthMode::Off, Some(listen)) => return Err(Error::NotLoopback(listen.address)),
        };
        let accepted = Accepted::of(&options.config)?;
        let (doors, certificates) = open_doors(&options).await?;
        let (store, failed) = open_standard(&options.store).await?;
        let choice = options.elastic.as_ref().unwrap_or(&options.store);
        let elastic = open_elastic(choice, options.elastic.is_none()).await?;
        let stores = Stores { standard: store, elastic: Some(elastic.clone()) };
        let mut pipeline =
            Pipeline::open(stores, clock::now(), clock::random()).await.map_err(failed)?;
        pipeline.make_unavailable(&options.config.unavailable, clock::now()).await?;
        let pipeline = Arc::new(pipeline);
        plugins::open(&pipeline, &options, enabled)?;
        let auth = Auth::new(&pipeline, enabled, &accepted);
        let shared = Arc::new(Shared::new(pipeline, auth, &options));
        Ok(Self { doors, certificates, shared, elastic, options })
    }

    /// Where it listens; the first address.
    pub fn address(&self) -> SocketAddr {
        self.doors.first().expect("a service that has started listens").address
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<Listening> {
        let listening =
            |door: &Door| Listening { address: door.address, tls: door.acceptor.is_some() };
        self.doors.iter().map(listening).collect()
    }

    /// Tokens count.
    pub fn checks_tokens(&self) -> bool {
        self.shared.auth().is_on()
    }

    /// The file of the development authority, which clients must trust.
    pub fn authority_file(&self) -> Option<PathBuf> {
        self.certificates.as_ref().and_then(|certificates| certificates.authority_file())
    }

    /// Serves until `shutdown` is done, then finishes what is in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let connections = TaskTracker::new();
        let stop = CancellationToken::new();
        let workers = workers::start(&self.shared.pipeline(), &self.options, &stop);
        connections.spawn(expire(self.elastic, stop.clone()));
        connections.spawn(forget(self.shared.pipeline(), stop.clone()));
        if let Some(certificates) = self.certificates {
            connections.spawn(certificates.keep(stop.clone()));
        }
        let doors = TaskTracker::new();
        for door in self.doors {
            doors.spawn(door.welcome(self.shared.clone(), connections.clone(), stop.clone()));
        }
        doors.close();
        shutdown.await;
        stop.cancel();
        doors.wait().await;
        connections.close();
        let messages = self.shared.close();
        let finish = async {
            connections.wait().await;
            messages.wait().await;
            workers.wait().await;
        };
        if tokio::time::timeout(self.options.grace, finish).await.is_err() {
            tracing::warn!("requests were still in flight after the grace period");
        }
    }
}

impl Door {
    /// Accepts connections until `stop`.
    async fn welcome(self, shared: Arc<Shared>, connections: TaskTracker, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, from)) => {
                    let peer = Peer { address: from.ip(), tls: self.acceptor.is_some() };
                    let acceptor = self.acceptor.clone();
                    let (shared, stop) = (shared.clone(), stop.clone());
                    connections.spawn(connection::serve(stream, acceptor, peer, shared, stop));
                }
                Err(error) => {
                    // Out of descriptors or a peer that went away: neither ends the service.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

/// Listens on every address.
async fn open_doors(options: &Options) -> Result<(Vec<Door>, Option<Arc<Certificates>>), Error> {
    let addresses: Vec<IpAddr> = options.listen.iter().map(|listen| listen.address.ip()).collect();
    let certificates =
        options.tls.as_ref().map(|tls| Certificates::open(tls, &addresses)).transpose()?;
    let mut doors = Vec::with_capacity(options.listen.len());
    for Listen { address, tls } in options.listen.iter().copied() {
        let acceptor = match (tls, &certificates) {
            (false, _) => None,
            (true, Some(certificates)) => Some(certificates.acceptor()?),
            (true, None) => return Err(Error::NoCertificate(address)),
        };
        let refused = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        doors.push(Door { listener, address, acceptor });
    }
    Ok((doors, certificates))
}

/// Opens the store of standard tables; answers it and how its later failures are told.
pub(crate) async fn open_standard(
    choice: &StoreChoice,
) -> Result<(Arc<dyn StandardStore>, impl Fn(store::Error) -> Error + use<>), Error> {
    let what = name_of(choice);
    let failed = move |source| Error::Store { what: what.clone(), source };
    let store: Arc<dyn StandardStore> = match choice {
        StoreChoice::Directory(directory) => {
            SqliteStore::open(directory, SqliteOptions::default()).map_err(&failed)?
        }
        StoreChoice::Postgres(url) => PostgresStore::open(url).await.map_err(&failed)?,
    };
    Ok((store, failed))
}

fn name_of(choice: &StoreChoice) -> String {
    match choice {
        StoreChoice::Directory(directory) => format!("the data directory {}", directory.display()),
        StoreChoice::Postgres(_) => "the PostgreSQL database".to_owned(),
    }
}

/// Opens the store of elastic tables. Beside the standard tables it has a directory of its own.
async fn open_elastic(choice: &StoreChoice, beside: bool) -> Result<Arc<dyn ElasticStore>, Error> {
    let failed = |source| Error::Store {
        what: format!("the store of elastic tables in {}", name_of(choice)),
        source,
    };
    Ok(match choice {
        StoreChoice::Directory(directory) if beside => {
            LsmStore::open(&directory.join("elastic")).map_err(failed)?
        }
        StoreChoice::Directory(directory) => LsmStore::open(directory).map_err(failed)?,
        StoreChoice::Postgres(url) => PostgresElasticStore::open(url).await.map_err(failed)?,
    })
}

/// Forgets deleted rows that nobody can ask for any more, until `stop`.
async fn forget(pipeline: Arc<Pipeline>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
        if let Err(fault) = pipeline.forget_deleted(clock::now()).await {
            tracing::warn!(code = %fault.code, log = fault.log, "forgetting deleted rows failed");
        }
        if let Err(error) = pipeline.forget_pieces(clock::now()).await {
            tracing::warn!(%error, "forgetting pieces of files failed");
        }
    }
}

/// Removes rows whose time to live is over, until `stop`. Readers do not see them before, either.
async fn expire(store: Arc<dyn ElasticStore>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EXPIRE_EVERY) => {}
        }
        if let Err(error) = store.expire(clock::now(), EXPIRED_ROWS_MAX).await {
            tracing::warn!(%error, "removing rows whose time to live is over failed");
        }
    }
}
