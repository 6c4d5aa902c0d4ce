//! Every scenario of `conformance/`, in process, on every store.
//!
//! Each worker has stores of its own, so that files neither wait for nor see each other. Standard and
//! elastic tables lie in what a service puts together: the references, SQLite with the LSM, PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::{Timestamp, Uuid};
use pipeline::{Pipeline, Stores};
use store::MemoryElasticStore;
use store::memory::MemoryStore;
use store_elastic::{LsmStore, PostgresElasticStore};
use store_standard::{PostgresStore, SqliteOptions, SqliteStore, Synchronous};
use tempfile::TempDir;
use testkit::postgres::Cluster;
use testkit::scenario::fixture::{self, PREFIX};
use testkit::scenario::folder::{self, Folder};
use testkit::scenario::play::{Client, Outcome, Request, Response};
use tokio::runtime::Builder;
use webapi::{Incoming, Settings, WebApi};

/// Features that this service has, as `needs:` names them. A file that needs another one is skipped, and counted.
pub(crate) const FEATURES: [&str; 5] =
    ["batch", "elastic", "fetchxml", "jobs", "navigation-filter"];

/// Names one file, or several by a piece of their paths, while working on them.
const FILTER_VARIABLE: &str = "SHEAF_SCENARIOS";

const ORIGIN: &str = "https://sheaf.test";
const NOW: Timestamp = Timestamp(1_800_000_000);
const WORKERS: usize = 4;

/// Plays every file on stores that `open` makes, one per worker.
fn check<F>(name: &str, open: impl Fn() -> F + Sync)
where
    F: Future<Output = Stores>,
{
    let mut folder = folder::read(&folder::home(), PREFIX).expect("conformance/ is there");
    if let Ok(piece) = std::env::var(FILTER_VARIABLE) {
        folder.scenarios.retain(|file| file.place.contains(&piece));
    }
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<(usize, Outcome)> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..WORKERS).map(|_| scope.spawn(|| work(&folder, &next, &open))).collect();
        let played = workers.into_iter().flat_map(|worker| worker.join().expect("no file panics"));
        played.collect()
    });
    outcomes.sort_by_key(|(index, _)| *index);
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes.len(), folder.scenarios.len(), "every file has an outcome");
    let (summary, is_good) = folder::summary(name, &outcomes);
    #[expect(clippy::print_stdout, reason = "what was skipped is to be seen")]
    {
        println!("{summary}");
    }
    assert!(is_good, "{summary}");
}

fn work<F>(folder: &Folder, next: &AtomicUsize, open: impl Fn() -> F) -> Vec<(usize, Outcome)>
where
    F: Future<Output = Stores>,
{
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let features: Vec<String> = FEATURES.iter().map(|&feature| feature.to_owned()).collect();
    runtime.expect("a runtime starts").block_on(async {
        let client = client(open().await).await;
        fixture::prepare(&client, &folder.fixture, &features)
            .await
            .unwrap_or_else(|why| panic!("the fixture cannot be made: {why}"));
        let mut outcomes = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = folder.scenarios.get(index) else { return outcomes };
            outcomes.push((index, client.play(&file.place, &file.text, &features).await));
        }
    })
}

pub(crate) async fn client(
    stores: Stores,
) -> Client<impl AsyncFn(Request) -> Result<Response, String>> {
    let pipeline = Arc::new(Pipeline::open(stores, NOW, 1).await.expect("the store opens"));
    let api = WebApi::new(Arc::clone(&pipeline), Settings::default());
    let send = async move |request: Request| {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|err| err.to_string())?;
            headers.append(name, HeaderValue::from_str(value).map_err(|err| err.to_string())?);
        }
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|err| err.to_string())?;
        let incoming = Incoming {
            method,
            target: request.target,
            headers,
            body: request.body.into(),
            origin: ORIGIN.to_owned(),
            caller: pipeline.organization().caller(),
            now: NOW,
            request_id: Uuid::from_u128(0x5eaf),
        };
        let (head, body) = api.handle(incoming).await.into_parts();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    Client { origin: ORIGIN.to_owned(), prefix: PREFIX.to_owned(), send }
}

#[test]
fn every_scenario_holds_on_the_reference() {
    check("reference", async || Stores {
        standard: Arc::new(MemoryStore::new()),
        elastic: Some(Arc::new(MemoryElasticStore::default())),
    });
}

#[test]
fn every_scenario_holds_on_sqlite_and_the_lsm() {
    let home = TempDir::new().expect("a temporary directory");
    let count = AtomicUsize::new(0);
    let open = async || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        open_embedded(&home.path().join(number.to_string()))
    };
    check("sqlite and lsm", open);
}

pub(crate) fn open_embedded(directory: &Path) -> Stores {
    std::fs::create_dir_all(directory).expect("a directory");
    // What survives a power failure is not asked here.
    let options = SqliteOptions { synchronous: Synchronous::Normal, ..Default::default() };
    Stores {
        standard: SqliteStore::open(directory, options).expect("SQLite opens"),
        elastic: Some(LsmStore::open(&directory.join("elastic")).expect("the LSM opens")),
    }
}

#[test]
fn every_scenario_holds_on_postgresql() {
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    check("postgresql", async || {
        let url = cluster.create_database("scenarios").expect("a database can be made");
        Stores {
            standard: PostgresStore::open(&url).await.expect("PostgreSQL opens"),
            elastic: Some(PostgresElasticStore::open(&url).await.expect("PostgreSQL opens")),
        }
    });
}
