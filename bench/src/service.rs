//! Our side: a running `sheaf serve` with durable storage, its tables, and messages sent to it.
//!
//! In: an engine. Out: tables made through the Web API, and how long prepared messages took over HTTP.
//! Not here: the bare side (`bare`).
//! Invariant: bodies are made before the clock starts, and every answer is read and its status checked.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tempfile::TempDir;
use testkit::draw::Draw;
use testkit::http::Api;
use testkit::postgres::{Cluster, Durability};
use testkit::service::{Options, Service, Store};
use uuid::Uuid;

use crate::Engine;
use crate::bare::Bare;
use crate::report::{self, Taken};
use crate::rows::Names;

/// Rows that the lookup column points to.
const ACCOUNTS: usize = 1000;
const ACCOUNTS_SEED: u64 = 0xacc0;
/// A service that used less CPU time than this between two looks does nothing.
const IDLE: Duration = Duration::from_millis(2);
const SETTLE_POLL: Duration = Duration::from_millis(100);
const SETTLE_POLLS_MAX: u32 = 100;

/// One engine with a service on it.
pub(crate) struct Place {
    pub(crate) engine: Engine,
    pub(crate) directory: TempDir,
    /// There for PostgreSQL.
    pub(crate) cluster: Option<Cluster>,
    /// The URL of the service's database, or its file.
    pub(crate) database: Database,
    pub(crate) service: Service,
    pub(crate) api: Api,
    pub(crate) accounts: Vec<Uuid>,
    tables: AtomicUsize,
}

/// Where the service keeps its rows.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Place {
    /// Starts the engine and a service on it, and makes the rows that lookups point to.
    pub(crate) async fn prepare(engine: Engine) -> Result<Place> {
        let directory = tempfile::Builder::new().prefix("sheaf-bench-").tempdir()?;
        let data = directory.path().join("data");
        let (cluster, store) = match engine {
            Engine::Sqlite => (None, Store::Data(data.clone())),
            Engine::Postgres => {
                let cluster = Cluster::start_own(Durability::Disk)?;
                let url = cluster.create_database("sheaf_bench")?;
                (Some(cluster), Store::Postgres(url))
            }
        };
        let log = directory.path().join("service.log");
        let service = Service::start(Options::new(store.clone(), &log)?)?;
        let database = match store {
            Store::Postgres(url) => Database::Postgres(url),
            Store::Data(_) => Database::Sqlite(
                fs::read_dir(&data)?
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .find(|path| path.extension().is_some_and(|extension| extension == "sqlite"))
                    .context("the service's data directory has no .sqlite file")?,
            ),
        };
        let api = Api::new(&service.api())?;
        let mut draw = Draw::new(ACCOUNTS_SEED);
        let accounts: Vec<Uuid> =
            (0..ACCOUNTS).map(|count| draw.ordered_id(count as u64)).collect();
        let targets: Vec<String> = accounts
            .iter()
            .map(|id| {
                format!(
                    r#"{{"@odata.type":"Microsoft.Dynamics.CRM.account","accountid":"{id}","name":"Account {id}"}}"#
                )
            })
            .collect();
        let body = format!(r#"{{"Targets":[{}]}}"#, targets.join(","));
        api.post("accounts/Microsoft.Dynamics.CRM.CreateMultiple", body)
            .await?
            .expect(200)
            .context("making accounts")?;
        let tables = AtomicUsize::new(0);
        Ok(Place { engine, directory, cluster, database, service, api, accounts, tables })
    }

    /// Makes a table of ten columns with an alternate key and a lookup, and its copy on the bare side.
    pub(crate) async fn new_table(&self) -> Result<(Names, Bare)> {
        let (names, table) = self.new_names().await?;
        let bare = Bare::copy(self, &table, names.number).await?;
        Ok((names, bare))
    }

    /// The same table without a copy, and what it is called in the database.
    pub(crate) async fn new_names(&self) -> Result<(Names, String)> {
        let names = Names::new(self.tables.fetch_add(1, Ordering::Relaxed));
        let table = self.define(definitions(&names)).await?;
        Ok((names, table))
    }

    /// Makes one table by these requests; answers what it is called in the database.
    pub(crate) async fn define(&self, requests: Vec<(String, String)>) -> Result<String> {
        let before = Bare::tables_of(&self.database).await?;
        for (path, body) in requests {
            let answer = self.api.post(&path, body.clone()).await?;
            ensure!(answer.status == 204, "POST {path} {body}: {:?}", answer.expect(204));
        }
        let after = Bare::tables_of(&self.database).await?;
        let mut new: Vec<String> =
            after.into_iter().filter(|table| !before.contains(table)).collect();
        ensure!(new.len() == 1, "one new table was expected in the database, not {new:?}");
        Ok(new.remove(0))
    }

    /// Waits until the service does nothing, so that its work behind answers does not slow the other side.
    pub(crate) async fn settle(&self) -> Result<()> {
        let mut before = self.cpu()?;
        for _ in 0..SETTLE_POLLS_MAX {
            tokio::time::sleep(SETTLE_POLL).await;
            let now = self.cpu()?;
            if now.saturating_sub(before) < IDLE {
                return Ok(());
            }
            before = now;
        }
        Ok(())
    }

    pub(crate) fn cpu(&self) -> Result<Duration> {
        report::cpu_of(Some(self.service.id()))
    }

    /// Sends prepared bodies over some connections at once and returns how long all answers took.
    pub(crate) async fn send(
        &self,
        api: &Api,
        path: &str,
        bodies: Vec<Bytes>,
        connections: usize,
        status: u16,
    ) -> Result<Taken> {
        let cpu_before = self.cpu()?;
        let wall = send(api, path, bodies, connections, status).await?;
        Ok(Taken { wall, cpu: Some(self.cpu()?.saturating_sub(cpu_before)) })
    }
}

/// Sends prepared bodies over some connections at once and returns how long all answers took.
pub(crate) async fn send(
    api: &Api,
    path: &str,
    bodies: Vec<Bytes>,
    connections: usize,
    status: u16,
) -> Result<Duration> {
    let bodies = Arc::new(bodies);
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let senders = (0..connections).map(|_| {
        let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
        let (api, path) = (api.clone(), path.to_owned());
        async move {
            let sender = tokio::task::JoinSet::from_iter([async move {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = api.post(&path, body.clone()).await?;
                    ensure!(answer.status == status, "{path}: {:?}", answer.expect(status));
                }
                Ok(())
            }]);
            sender.join_all().await.into_iter().collect::<Result<()>>()
        }
    });
    try_join_all(senders).await?;
    Ok(started.elapsed())
}

/// A label in the base language, as JSON.
pub(crate) fn label(text: &str) -> String {
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.Label","LocalizedLabels":[{{"@odata.type":"Microsoft.Dynamics.CRM.LocalizedLabel","Label":"{text}","LanguageCode":1033}}]}}"#
    )
}

/// The requests that make a bench table.
pub(crate) fn definitions(names: &Names) -> Vec<(String, String)> {
    let table = &names.table;
    let column = |kind: &str, name: &str, rest: &str| {
        format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"bench_{name}","DisplayName":{}{rest}}}"#,
            label(name)
        )
    };
    let columns = [
        column(
            "String",
            "Name",
            r#","IsPrimaryName":true,"MaxLength":100,"FormatName":{"Value":"Text"}"#,
        ),
        column("String", "Code", r#","MaxLength":40"#),
        column("String", "City", r#","MaxLength":100"#),
        column("String", "Note", r#","MaxLength":400"#),
        column("Integer", "Count", ""),
        column("Integer", "Points", ""),
        column("Decimal", "Price", r#","Precision":2"#),
        column("Boolean", "Paid", r#","DefaultValue":false"#),
        column("DateTime", "Due", r#","Format":"DateAndTime""#),
    ];
    let number = names.number;
    let entity = format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"bench_Row{number}","EntitySetName":"{}","DisplayName":{},"DisplayCollectionName":{},"OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"ChangeTrackingEnabled":false,"Attributes":[{}]}}"#,
        names.set,
        label("Bench row"),
        label("Bench rows"),
        columns.join(",")
    );
    let relationship = format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"bench_account_{table}","ReferencedEntity":"account","ReferencedAttribute":"accountid","ReferencingEntity":"{table}","CascadeConfiguration":{{"Assign":"NoCascade","Delete":"RemoveLink","Merge":"NoCascade","Reparent":"NoCascade","Share":"NoCascade","Unshare":"NoCascade"}},"Lookup":{{"@odata.type":"Microsoft.Dynamics.CRM.LookupAttributeMetadata","SchemaName":"{}","DisplayName":{}}}}}"#,
        names.navigation,
        label("Account")
    );
    let key = format!(
        r#"{{"SchemaName":"bench_CodeKey{number}","DisplayName":{},"KeyAttributes":["bench_code"]}}"#,
        label("Code")
    );
    vec![
        ("EntityDefinitions".to_owned(), entity),
        ("RelationshipDefinitions".to_owned(), relationship),
        (format!("EntityDefinitions(LogicalName='{table}')/Keys"), key),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_json() {
        for (_, body) in definitions(&Names::new(0)) {
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
}
