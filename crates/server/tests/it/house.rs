//! A running service in a temporary directory, and a client for it.

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use server::{Options, Server, StoreChoice};
use std::net::SocketAddr;
use std::sync::Once;
use tempfile::TempDir;
use testkit::postgres::Cluster;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

static PROVIDER: Once = Once::new();

/// Where the rows of a test live; kept from one start of the service to the next.
pub(crate) enum Home {
    Sqlite(TempDir),
    Postgres(String),
}

impl Home {
    /// A fresh one of each engine.
    pub(crate) fn each() -> [Self; 2] {
        let cluster = Cluster::shared().expect("PostgreSQL runs");
        let database = cluster.create_database("server").expect("a database can be made");
        [Self::sqlite(), Self::Postgres(database)]
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().expect("a temporary directory"))
    }

    pub(crate) fn choice(&self) -> StoreChoice {
        match self {
            Self::Sqlite(directory) => StoreChoice::Directory(directory.path().to_owned()),
            Self::Postgres(url) => StoreChoice::Postgres(url.clone()),
        }
    }
}

/// What clients need before they are made.
pub(crate) fn install_provider() {
    PROVIDER.call_once(|| {
        // Someone else may have installed it; one is as good as the other.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

pub(crate) struct House {
    pub(crate) url: String,
    pub(crate) client: Client,
    home: Home,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl House {
    pub(crate) async fn open(home: Home) -> Self {
        Self::open_with(home, |_| {}).await
    }

    pub(crate) async fn open_with(home: Home, change: impl FnOnce(&mut Options)) -> Self {
        install_provider();
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), home.choice());
        change(&mut options);
        let server = Server::start(options).await.expect("the service starts");
        let url = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "the test waits for it in `close`")]
        let running = tokio::spawn(server.run(async {
            // A dropped sender stops the service, too.
            drop(stopped.await);
        }));
        let client = Client::builder().no_proxy().build().expect("a plain client");
        Self { url, client, home, stop: Some(stop), running }
    }

    /// Stops the service in an orderly way; answers where its rows are.
    pub(crate) async fn close(mut self) -> Home {
        drop(self.stop.take());
        self.running.await.expect("the service does not panic");
        self.home
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> Response {
        self.client
            .request(method, format!("{}/api/data/v9.2/{path}", self.url))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .expect("the service answers")
    }

    /// Sends, and answers status and JSON (null where there is no body).
    pub(crate) async fn json(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let response = self.send(method, path, body).await;
        let status = response.status();
        let text = response.text().await.expect("a whole body");
        let json = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        (status, json)
    }
}
