//! Connections: a pool of them, prepared statements, and flights.
//!
//! A flight is a list of steps that are sent at once and answered in order: one round trip, however
//! many steps. A statement is sent with its text the first time; one that comes again is prepared
//! before the next piece of work begins, so that preparing never adds a round trip to a transaction.
//! Not here: what the statements say.
//! Invariant: a connection goes back to the pool only outside a transaction. A session that is dropped
//! inside one closes its connection, and the server rolls back.

use super::encode::Bound;
use super::error::{Error, Fault, engine};
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use futures_util::{FutureExt, TryStreamExt, pin_mut};
use lru::LruCache;
use std::borrow::Cow;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

/// Connections of one node.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// How long work waits for a connection before the store says that it is busy.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Prepared statements of one connection.
const STATEMENTS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
/// Texts of which a connection remembers that they came once.
const TEXTS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).expect("1,024 is not zero");

/// What every connection sets first. A lock that is not had in time answers `Busy`; a transaction that
/// its node has forgotten does not hold its locks for ever.
const SETTINGS: &str = "SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'; \
    SET default_transaction_isolation = 'read committed'";

/// What was sent, for tests and for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions that were begun.
    pub transactions: u64,
    /// Round trips of any kind but for preparing.
    pub flights: u64,
    /// Round trips from `BEGIN` to the end of the transaction, both included.
    pub flights_in_transactions: u64,
    /// Statements, `BEGIN` and the like included.
    pub statements: u64,
    /// Round trips that prepared statements; never inside a transaction.
    pub preparations: u64,
}

#[derive(Debug, Default)]
struct Counts {
    transactions: AtomicU64,
    flights: AtomicU64,
    flights_in_transactions: AtomicU64,
    statements: AtomicU64,
    preparations: AtomicU64,
}

/// The connections of one node to its database.
pub(super) struct Connections {
    pool: Pool<Manager>,
    counts: Arc<Counts>,
}

impl Connections {
    /// Reads the address; connects nowhere yet.
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let address =
            |fault: String| engine("reading the address of PostgreSQL", Fault::Address(fault));
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
        Ok(Self { pool, counts: Arc::default() })
    }

    /// A session of its own, with everything prepared that came before.
    pub(super) async fn session(&self) -> Result<Session, Error> {
        let object = self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(managed::TimeoutType::Wait) => Error::Store(store::Error::Busy),
            PoolError::Backend(error) => Error::of("connecting to PostgreSQL", error),
            error => engine("taking a connection", error),
        })?;
        let mut session =
            Session { object: Some(object), in_transaction: false, counts: self.counts.clone() };
        session.prepare().await?;
        Ok(session)
    }

    pub(super) fn counters(&self) -> Counters {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            transactions: get(&self.counts.transactions),
            flights: get(&self.counts.flights),
            flights_in_transactions: get(&self.counts.flights_in_transactions),
            statements: get(&self.counts.statements),
            preparations: get(&self.counts.preparations),
        }
    }
}

struct Manager {
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
        Ok(Connection {
            client,
            statements: LruCache::new(STATEMENTS_MAX),
            seen: LruCache::new(TEXTS_MAX),
            wanted: Vec::new(),
            _driver: driver,
        })
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
struct Connection {
    client: Client,
    statements: LruCache<Arc<str>, Statement>,
    seen: LruCache<Arc<str>, ()>,
    wanted: Vec<(Arc<str>, Vec<Type>)>,
    /// Ends with the connection.
    _driver: JoinSet<()>,
}

/// One step of a flight.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A command without parameters.
    Command(Cow<'static, str>),
    /// A statement with its parameters.
    Run {
        /// Its text.
        text: Arc<str>,
        /// One value per placeholder.
        params: Vec<Bound>,
    },
}

impl Step {
    pub(super) fn command(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Command(text.into())
    }

    pub(super) fn run(text: impl Into<Arc<str>>, params: Vec<Bound>) -> Self {
        Self::Run { text: text.into(), params }
    }
}

/// A connection while one piece of work uses it.
pub(super) struct Session {
    /// None only after the drop.
    object: Option<Object<Manager>>,
    in_transaction: bool,
    counts: Arc<Counts>,
}

type Answer = Result<Vec<Row>, tokio_postgres::Error>;
type Sent<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

const HELD: &str = "a session has its connection until it is dropped";

impl Session {
    /// Sends the steps at once and waits for all answers: one list of rows per step.
    ///
    /// Errors: that of the first step that failed; where the flight was in a transaction, the steps
    /// behind it did nothing.
    pub(super) async fn fly(
        &mut self,
        doing: &'static str,
        steps: Vec<Step>,
    ) -> Result<Vec<Vec<Row>>, Error> {
        self.fly_and_tell(doing, steps).await.map_err(|(_, error)| error)
    }

    /// As [`Self::fly`]; an error comes with the place of its step.
    pub(super) async fn fly_and_tell(
        &mut self,
        doing: &'static str,
        steps: Vec<Step>,
    ) -> Result<Vec<Vec<Row>>, (usize, Error)> {
        let is = |step: Option<&Step>, what: &str| matches!(step, Some(Step::Command(text)) if text.starts_with(what));
        let began = is(steps.first(), "BEGIN");
        // Not one back to a savepoint.
        let is_whole = |step: Option<&Step>| matches!(step, Some(Step::Command(text)) if text == "COMMIT" || text == "ROLLBACK");
        let ends = is_whole(steps.last());
        self.in_transaction |= began;
        self.count(&steps, began);
        let connection = self.object.as_mut().expect(HELD);
        let statements = connection.statements_of(&steps);
        let count = steps.len();
        let client = &connection.client;
        let mut sent: Vec<(Option<Answer>, Sent<'_>)> = Vec::with_capacity(steps.len());
        for (step, statement) in steps.into_iter().zip(statements) {
            let mut future = send(client, step, statement);
            // The first poll hands the request to the connection.
            let answer = (&mut future).now_or_never();
            let refused = matches!(answer, Some(Err(_)));
            sent.push((answer, future));
            if refused {
                // Perhaps it was never sent; then what follows, a `COMMIT` above all, must not be.
                break;
            }
        }
        let all_sent = sent.len() == count;
        let mut failed = None;
        let mut answers = Vec::with_capacity(sent.len());
        for (place, (answer, future)) in sent.into_iter().enumerate() {
            let answer = match answer {
                Some(answer) => answer,
                None => future.await,
            };
            match answer {
                Ok(rows) => answers.push(rows),
                // The ones behind the first failure only say that the transaction has failed.
                Err(error) if failed.is_none() => failed = Some((place, error)),
                Err(_) => {}
            }
        }
        let Some((place, error)) = failed else {
            if ends {
                self.in_transaction = false;
            }
            return Ok(answers);
        };
        // A final `COMMIT` behind a failed step has rolled back. Where the server has not spoken,
        // nobody knows, and the connection goes.
        if ends && all_sent && error.code().is_some() {
            self.in_transaction = false;
        }
        Err((place, Error::of(doing, error)))
    }

    /// Rolls back what is open. The connection is given up if that fails.
    pub(super) async fn roll_back(&mut self) {
        if !self.in_transaction {
            return;
        }
        if let Err(error) = self.fly("rolling back", vec![Step::command("ROLLBACK")]).await {
            tracing::warn!(%error, "a transaction could not be rolled back; its connection is closed");
        }
    }

    /// Forgets every prepared statement: the definitions have changed under them.
    pub(super) fn forget_statements(&mut self) {
        if let Some(connection) = self.object.as_mut() {
            connection.statements.clear();
        }
    }

    fn count(&self, steps: &[Step], began: bool) {
        let add = |count: &AtomicU64, by: u64| count.fetch_add(by, Ordering::Relaxed);
        add(&self.counts.flights, 1);
        add(&self.counts.statements, u64::try_from(steps.len()).unwrap_or(u64::MAX));
        if began {
            add(&self.counts.transactions, 1);
        }
        if self.in_transaction {
            add(&self.counts.flights_in_transactions, 1);
        }
    }

    /// Prepares the texts that came more than once, in one round trip.
    async fn prepare(&mut self) -> Result<(), Error> {
        let connection = self.object.as_mut().expect(HELD);
        if connection.wanted.is_empty() {
            return Ok(());
        }
        self.counts.preparations.fetch_add(1, Ordering::Relaxed);
        let wanted = std::mem::take(&mut connection.wanted);
        let client = &connection.client;
        let preparing = wanted
            .iter()
            .map(|(text, types)| client.prepare_typed(text, types))
            .collect::<Vec<_>>();
        let prepared = futures_util::future::join_all(preparing).await;
        for ((text, _), statement) in wanted.into_iter().zip(prepared) {
            match statement {
                Ok(statement) => {
                    connection.statements.put(text, statement);
                }
                // A table that is gone, perhaps: whoever needs it will be told.
                Err(error) if error.code().is_some() => {}
                Err(error) => return Err(Error::of("preparing statements", error)),
            }
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.in_transaction
            && let Some(object) = self.object.take()
        {
            // Closes the connection, and the server rolls back.
            drop(Object::take(object));
        }
    }
}

impl Connection {
    /// The prepared statement of each step, where there is one.
    fn statements_of(&mut self, steps: &[Step]) -> Vec<Option<Statement>> {
        steps
            .iter()
            .map(|step| match step {
                Step::Command(_) => None,
                Step::Run { text, params } => match self.statements.get(text) {
                    Some(statement) => Some(statement.clone()),
                    None => {
                        let again = self.seen.put(text.clone(), ()).is_some();
                        if again && self.wanted.iter().all(|(other, _)| other != text) {
                            let types = params.iter().map(Bound::kind).collect();
                            self.wanted.push((text.clone(), types));
                        }
                        None
                    }
                },
            })
            .collect()
    }
}

/// Puts one step on its way at the first poll.
fn send(client: &Client, step: Step, statement: Option<Statement>) -> Sent<'_> {
    match (step, statement) {
        (Step::Command(text), _) => Box::pin(async move {
            client.batch_execute(&text).await?;
            Ok(Vec::new())
        }),
        (Step::Run { params, .. }, Some(statement)) => Box::pin(async move {
            let rows = client.query_raw(&statement, params).await?;
            pin_mut!(rows);
            rows.try_collect().await
        }),
        (Step::Run { text, params }, None) => Box::pin(async move {
            let typed = params.into_iter().map(|param| {
                let kind = param.kind();
                (param, kind)
            });
            let rows = client.query_typed_raw(&text, typed).await?;
            pin_mut!(rows);
            rows.try_collect().await
        }),
    }
}
