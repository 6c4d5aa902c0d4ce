//! From open to shutdown.
//!
//! Invariant: a message that was begun is finished, whatever happens to its connection; shutdown waits
//! for messages in flight, then closes the store.

use crate::connection::Shared;
use crate::options::{Error, Options, StoreChoice};
use crate::{clock, connection};
use pipeline::{Pipeline, Stores};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use store::StandardStore;
use store::elastic::ElasticStore;
use store_standard::{PostgresStore, SqliteOptions, SqliteStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A service that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    options: Options,
}

impl Server {
    /// Opens the store, makes the system tables where they are missing, and listens.
    ///
    /// There is no store for elastic tables: making one is refused.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_with(options, None).await
    }

    /// The same, with a store for the rows of elastic tables.
    pub async fn start_with(
        options: Options,
        elastic: Option<Arc<dyn ElasticStore>>,
    ) -> Result<Self, Error> {
        if !options.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(options.listen));
        }
        let refused = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let what = match &options.store {
            StoreChoice::Directory(directory) => {
                format!("the data directory {}", directory.display())
            }
            StoreChoice::Postgres(_) => "the PostgreSQL database".to_owned(),
        };
        let failed = |source| Error::Store { what: what.clone(), source };
        let store: Arc<dyn StandardStore> = match &options.store {
            StoreChoice::Directory(directory) => {
                SqliteStore::open(directory, SqliteOptions::default()).map_err(failed)?
            }
            StoreChoice::Postgres(url) => PostgresStore::open(url).await.map_err(failed)?,
        };
        let pipeline =
            Pipeline::open(Stores { standard: store, elastic }, clock::now(), clock::random())
                .await
                .map_err(failed)?;
        let shared = Arc::new(Shared::new(Arc::new(pipeline), &options));
        Ok(Self { listener, address, shared, options })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, then finishes what is in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let connections = TaskTracker::new();
        let stop = CancellationToken::new();
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
        };
        if tokio::time::timeout(self.options.grace, finish).await.is_err() {
            tracing::warn!("requests were still in flight after the grace period");
        }
    }
}
