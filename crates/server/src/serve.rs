//! From open to shutdown.
//!
//! Invariant: a message that was begun is finished, whatever happens to its connection; shutdown waits
//! for messages in flight, then closes the store.

use crate::connection::Shared;
use crate::options::{Error, Options, StoreChoice};
use crate::{clock, connection, workers};
use pipeline::{Pipeline, Stores};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::StandardStore;
use store::elastic::ElasticStore;
use store_elastic::{LsmStore, PostgresElasticStore};
use store_standard::{PostgresStore, SqliteOptions, SqliteStore};
use tokio::net::TcpListener;
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
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    elastic: Arc<dyn ElasticStore>,
    options: Options,
}

impl Server {
    /// Opens the store, makes the system tables where they are missing, and listens.
    pub async fn start(options: Options) -> Result<Self, Error> {
        if !options.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(options.listen));
        }
        let refused = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let failed = |source| Error::Store { what: name_of(&options.store), source };
        let store: Arc<dyn StandardStore> = match &options.store {
            StoreChoice::Directory(directory) => {
                SqliteStore::open(directory, SqliteOptions::default()).map_err(failed)?
            }
            StoreChoice::Postgres(url) => PostgresStore::open(url).await.map_err(failed)?,
        };
        let choice = options.elastic.as_ref().unwrap_or(&options.store);
        let elastic = open_elastic(choice, options.elastic.is_none()).await?;
        let stores = Stores { standard: store, elastic: Some(elastic.clone()) };
        let mut pipeline =
            Pipeline::open(stores, clock::now(), clock::random()).await.map_err(failed)?;
        pipeline.make_unavailable(&options.config.unavailable, clock::now()).await?;
        let shared = Arc::new(Shared::new(Arc::new(pipeline), &options));
        Ok(Self { listener, address, shared, elastic, options })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, then finishes what is in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let connections = TaskTracker::new();
        let stop = CancellationToken::new();
        let workers = workers::start(&self.shared.pipeline(), &self.options.store, &stop);
        connections.spawn(expire(self.elastic, stop.clone()));
        connections.spawn(forget(self.shared.pipeline(), stop.clone()));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serve = connection::serve(stream, self.shared.clone(), stop.clone());
                    connections.spawn(serve);
                }
                Err(error) => {
                    // Out of descriptors or a peer that went away: neither ends the service.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
        }
        drop(self.listener);
        stop.cancel();
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
