//! A running service in a temporary directory, and a client for it.

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use server::{Options, Server, StoreChoice};
use std::net::SocketAddr;
use std::sync::Once;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

static PROVIDER: Once = Once::new();

pub(crate) struct House {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) directory: Option<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Options)) -> Self {
        Self::open_in(TempDir::new().expect("a temporary directory"), change).await
    }

    pub(crate) async fn open_in(directory: TempDir, change: impl FnOnce(&mut Options)) -> Self {
        PROVIDER.call_once(|| {
            // Someone else may have installed it; one is as good as the other.
            drop(rustls::crypto::ring::default_provider().install_default());
        });
        let store = StoreChoice::Directory(directory.path().to_owned());
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), store);
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
        Self { url, client, directory: Some(directory), stop: Some(stop), running }
    }

    /// Stops the service in an orderly way; answers its directory.
    pub(crate) async fn close(mut self) -> TempDir {
        drop(self.stop.take());
        self.running.await.expect("the service does not panic");
        self.directory.take().expect("only taken here")
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
