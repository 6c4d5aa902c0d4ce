//! Connections to PostgreSQL: a pool of them, each with its prepared statements.
//!
//! Every statement is a transaction of its own, so a connection goes back to the pool at any time.
//! Not here: what the statements say.

use super::error::{Error, Fault, engine};
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Connections of one node.
const CONNECTIONS_MAX: usize = 8;
/// How long work waits for a connection before the store says that it is busy.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Prepared statements of one connection.
const STATEMENTS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
/// What every connection sets first: a lock that is not had in time answers `Busy`.
const SETTINGS: &str =
    "SET lock_timeout = '10s'; SET default_transaction_isolation = 'read committed'";

/// The connections of one node to its database.
pub(super) struct Connections {
    pool: Pool<Manager>,
}

impl Connections {
    /// Reads the address; connects nowhere yet.
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let address = |fault: String| engine("reading the address of PostgreSQL", Fault(fault));
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // The driver's text names the bad part, never the password.
            address(format!("the address is not understood: {error}"))
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(address(
                "sslmode=require is not supported yet: use a local socket, a private network or a \
                 tunnel, and sslmode=disable or prefer"
                    .to_owned(),
            ));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("sheaf");
        }
        let pool = Pool::builder(Manager { config })
            .max_size(CONNECTIONS_MAX)
            .wait_timeout(Some(WAIT_MAX))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| engine("making the pool of connections", error))?;
        Ok(Self { pool })
    }

    /// A connection while one piece of work uses it.
    pub(super) async fn take(&self) -> Result<Object<Manager>, Error> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(managed::TimeoutType::Wait) => Error::Store(store::Error::Busy),
            PoolError::Backend(error) => Error::of("connecting to PostgreSQL", error),
            error => engine("taking a connection", error),
        })
    }
}

/// Makes connections.
pub(super) struct Manager {
    config: Config,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Connection, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to PostgreSQL ended");
            }
        });
        client.batch_execute(SETTINGS).await?;
        Ok(Connection { client, statements: LruCache::new(STATEMENTS_MAX), _driver: driver })
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _: &Metrics,
    ) -> RecycleResult<tokio_postgres::Error> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

/// One connection and what it has prepared.
pub(super) struct Connection {
    pub(super) client: Client,
    statements: LruCache<Box<str>, Statement>,
    /// Ends with the connection.
    _driver: JoinSet<()>,
}

impl Connection {
    /// The prepared statement of this text; the first time costs a flight.
    pub(super) async fn prepared(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let statement = self
            .client
            .prepare(text)
            .await
            .map_err(|error| Error::of("preparing a statement", error))?;
        self.statements.put(text.into(), statement.clone());
        Ok(statement)
    }

    /// Forgets every prepared statement: tables have come or gone under them.
    pub(super) fn forget_statements(&mut self) {
        self.statements.clear();
    }
}
