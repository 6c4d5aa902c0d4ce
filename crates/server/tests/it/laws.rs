//! Laws of the bulk messages, request by request on every pair of stores: random histories are answered
//! as the references answer them, and how targets are split into messages does not show in the table.
//!
//! Numbers are drawn from a seed; a failure names the seed and the request.

use crate::conformance::{FEATURES, client, open_embedded};
use pipeline::Stores;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::MemoryElasticStore;
use store::memory::MemoryStore;
use store_elastic::PostgresElasticStore;
use store_standard::PostgresStore;
use tempfile::TempDir;
use testkit::draw::Draw;
use testkit::postgres::Cluster;
use testkit::scenario::fixture::{self, PREFIX};
use testkit::scenario::folder;
use testkit::scenario::play::{Client, Request, Response};

/// Messages of one history.
const MESSAGES: usize = 300;
/// Lists of targets that are split.
const LISTS: u64 = 12;
/// Records that targets name.
const RECORDS: u64 = 9;
const PARTITIONS: [Option<&str>; 3] = [None, Some("a"), Some("A b")];
const EVERYTHING: &str = "odata.include-annotations=\"*\"";
/// Their values are the engine's own: two engines give other versions.
const VERSIONS: [&str; 2] = ["@odata.etag", "versionnumber"];

/// One of the two tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standard,
    Elastic,
}

impl Kind {
    fn set(self) -> &'static str {
        if self == Self::Standard { "ship_crates" } else { "ship_pings" }
    }

    fn table(self) -> &'static str {
        if self == Self::Standard { "ship_crate" } else { "ship_ping" }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Standard => {
                "ship_crateid,ship_label,ship_weight,ship_trackingno,_ship_holder_value,createdon,modifiedon"
            }
            Self::Elastic => {
                "ship_pingid,partitionid,ttlinseconds,ship_source,ship_value,createdon,modifiedon"
            }
        }
    }
}

/// What a message says of a record.
struct Drawn {
    number: u64,
    partition: usize,
    fields: Map<String, Value>,
}

fn id_of(number: u64) -> String {
    format!("9a111111-0000-4000-8000-{number:012}")
}

/// Values that fit, and rarely one that does not.
fn fields(draw: &mut Draw, kind: Kind, may_fail: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut maybe = |draw: &mut Draw, name: &str, value: Value| {
        if draw.below(2) == 0 {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = ["a", "A ", "b", ""][draw.index(4)];
    let number =
        if may_fail && draw.below(25) == 0 { -2_000_000 } else { draw.below(50).cast_signed() };
    match kind {
        Kind::Standard => {
            maybe(draw, "ship_label", json!(text));
            maybe(draw, "ship_weight", json!(number));
            if may_fail && draw.below(6) == 0 {
                let key = format!("T-{}", draw.below(4));
                maybe(draw, "ship_trackingno", json!(key));
            }
            if may_fail && draw.below(15) == 0 {
                let lost = format!("accounts({})", id_of(99));
                maybe(draw, "ship_Holder@odata.bind", json!(lost));
            }
        }
        Kind::Elastic => {
            maybe(draw, "ship_source", json!(text));
            maybe(draw, "ship_value", json!(number));
            let seconds = if draw.below(2) == 0 { Value::Null } else { json!(3_600) };
            maybe(draw, "ttlinseconds", seconds);
        }
    }
    fields
}

fn target(kind: Kind, drawn: &Drawn, is_delete: bool) -> Value {
    let mut target = if is_delete { Map::new() } else { drawn.fields.clone() };
    let table = kind.table();
    target.insert("@odata.type".to_owned(), json!(format!("Microsoft.Dynamics.CRM.{table}")));
    target.insert(format!("{table}id"), json!(id_of(drawn.number)));
    if let (Kind::Elastic, Some(partition)) = (kind, PARTITIONS[drawn.partition]) {
        target.insert("partitionid".to_owned(), json!(partition));
    }
    Value::Object(target)
}

fn bulk(kind: Kind, action: &str, targets: &[Value]) -> Request {
    Request {
        method: "POST".to_owned(),
        target: format!("/api/data/v9.2/{}/Microsoft.Dynamics.CRM.{action}", kind.set()),
        headers: vec![("Prefer".to_owned(), EVERYTHING.to_owned())],
        body: json!({ "Targets": targets }).to_string(),
    }
}

fn delete_one(kind: Kind, drawn: &Drawn) -> Request {
    Request {
        method: "DELETE".to_owned(),
        target: format!("/api/data/v9.2/{}({})", kind.set(), id_of(drawn.number)),
        headers: vec![("Prefer".to_owned(), EVERYTHING.to_owned())],
        body: String::new(),
    }
}

fn draw_one(draw: &mut Draw, kind: Kind) -> Drawn {
    Drawn {
        number: draw.below(RECORDS),
        partition: draw.index(PARTITIONS.len()),
        fields: fields(draw, kind, true),
    }
}

/// The next request of a history.
fn draw_request(draw: &mut Draw) -> Request {
    let kind = if draw.below(2) == 0 { Kind::Standard } else { Kind::Elastic };
    let actions = ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"];
    let action = actions[draw.index(4)];
    let is_delete = action == "DeleteMultiple";
    if is_delete && kind == Kind::Standard {
        return delete_one(kind, &draw_one(draw, kind));
    }
    let mut targets = Vec::new();
    for _ in 0..=draw.below(4) {
        let drawn = draw_one(draw, kind);
        let mut target = target(kind, &drawn, is_delete);
        let by_key = kind == Kind::Standard && action == "UpsertMultiple" && draw.below(4) == 0;
        if let (true, Some(target)) = (by_key, target.as_object_mut()) {
            target.remove("ship_crateid");
            let key = format!("ship_crates(ship_trackingno='T-{}')", draw.below(4));
            target.insert("@odata.id".to_owned(), json!(key));
        }
        if draw.below(20) == 0 {
            target["@odata.etag"] = json!("W/\"1\"");
        }
        targets.push(target);
    }
    bulk(kind, action, &targets)
}

/// Without what is each engine's own.
fn told(answer: &Response) -> (u16, Value) {
    let mut body = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    forget_versions(&mut body);
    (answer.status, body)
}

fn forget_versions(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !VERSIONS.contains(&name.as_str()));
            members.values_mut().for_each(forget_versions);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_versions),
        Value::String(text) => {
            if let Some((before, after)) = text.split_once("the record is at version ") {
                let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
                *text = format!("{before}the record is at version ~{rest}");
            }
        }
        _ => {}
    }
}

async fn send<S>(client: &Client<S>, request: &Request) -> Response
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    client.request(request.clone()).await.expect("there is an answer")
}

/// Every row of a table, in an order that does not depend on the engine.
async fn rows<S>(client: &Client<S>, kind: Kind) -> BTreeSet<String>
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    let request = Request {
        method: "GET".to_owned(),
        target: format!("/api/data/v9.2/{}?$select={}", kind.set(), kind.columns()),
        headers: Vec::new(),
        body: String::new(),
    };
    let (status, body) = told(&send(client, &request).await);
    assert_eq!(status, 200, "{body}");
    let rows = body["value"].as_array().expect("a page");
    rows.iter().map(ToString::to_string).collect()
}

async fn prepared(stores: Stores) -> Client<impl AsyncFn(Request) -> Result<Response, String>> {
    let folder = folder::read(&folder::home(), PREFIX).expect("conformance/ is there");
    let client = client(stores).await;
    let features = FEATURES.map(str::to_owned);
    let made = Box::pin(fixture::prepare(&client, &folder.fixture, &features)).await;
    made.expect("the fixture is made");
    client
}

fn reference() -> Stores {
    Stores {
        standard: Arc::new(MemoryStore::new()),
        elastic: Some(Arc::new(MemoryElasticStore::default())),
    }
}

async fn agree(stores: Stores, seed: u64) {
    let (model, engine) = (prepared(reference()).await, prepared(stores).await);
    let mut draw = Draw::new(seed);
    let mut refused = 0;
    for place in 0..MESSAGES {
        let request = draw_request(&mut draw);
        let want = told(&send(&model, &request).await);
        let got = told(&send(&engine, &request).await);
        assert_eq!(got, want, "request {place} of seed {seed}: {request:?}");
        refused += usize::from(want.0 >= 400);
        for kind in [Kind::Standard, Kind::Elastic] {
            assert_eq!(
                rows(&engine, kind).await,
                rows(&model, kind).await,
                "after request {place} of seed {seed}: {request:?}"
            );
        }
    }
    assert!(refused > MESSAGES / 10 && refused < MESSAGES * 9 / 10, "{refused} were refused");
}

/// Different records, in any order.
fn draw_list(draw: &mut Draw, kind: Kind) -> Vec<Drawn> {
    let partitions = if kind == Kind::Elastic { PARTITIONS.len() } else { 1 };
    let mut places: Vec<(u64, usize)> =
        (0..30).flat_map(|number| (0..partitions).map(move |at| (number, at))).collect();
    let mut list = Vec::new();
    for _ in 0..=draw.below(40).min(places.len() as u64 - 1) {
        let (number, partition) = places.swap_remove(draw.index(places.len()));
        list.push(Drawn { number, partition, fields: fields(draw, kind, false) });
    }
    list
}

/// Sends the list in messages of sizes that are drawn; `None` is one message.
async fn send_split<S>(
    client: &Client<S>,
    kind: Kind,
    action: &str,
    targets: &[Value],
    cuts: Option<&mut Draw>,
) where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    let mut rest = targets;
    let mut cuts = cuts;
    while !rest.is_empty() {
        let size = match &mut cuts {
            None => rest.len(),
            Some(draw) => 1 + draw.index(rest.len().min(9)),
        };
        let (now, later) = rest.split_at(size);
        let answer = send(client, &bulk(kind, action, now)).await;
        assert!(answer.status < 300, "{action}: {}", answer.body);
        rest = later;
    }
}

async fn empty<S>(client: &Client<S>, kind: Kind, list: &[Drawn])
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    for drawn in list {
        let request = match kind {
            Kind::Standard => delete_one(kind, drawn),
            Kind::Elastic => bulk(kind, "DeleteMultiple", &[target(kind, drawn, true)]),
        };
        // Some are gone already.
        drop(send(client, &request).await);
    }
    assert!(rows(client, kind).await.is_empty());
}

/// Makes, upserts, updates and deletes a list, once in whole messages and once in pieces.
async fn split(stores: Stores, seed: u64) {
    let client = prepared(stores).await;
    let mut draw = Draw::new(seed);
    for list in 0..LISTS {
        for kind in [Kind::Standard, Kind::Elastic] {
            let made = draw_list(&mut draw, kind);
            let upserted = draw_list(&mut draw, kind);
            let changes = made
                .iter()
                .map(|drawn| Drawn { fields: fields(&mut draw, kind, false), ..copy(drawn) });
            let changed: Vec<Drawn> = changes.collect();
            let gone = &made[..made.len() / 2];
            let targets = |list: &[Drawn], is_delete: bool| -> Vec<Value> {
                list.iter().map(|drawn| target(kind, drawn, is_delete)).collect()
            };
            let mut tables = Vec::new();
            for is_split in [false, true] {
                for (action, list) in [
                    ("CreateMultiple", targets(&made, false)),
                    ("UpsertMultiple", targets(&upserted, false)),
                    ("UpdateMultiple", targets(&changed, false)),
                ] {
                    let cuts = is_split.then_some(&mut draw);
                    send_split(&client, kind, action, &list, cuts).await;
                    tables.push(rows(&client, kind).await);
                }
                if kind == Kind::Elastic {
                    let cuts = is_split.then_some(&mut draw);
                    let list = targets(gone, true);
                    send_split(&client, kind, "DeleteMultiple", &list, cuts).await;
                    tables.push(rows(&client, kind).await);
                }
                empty(&client, kind, &made.iter().chain(&upserted).map(copy).collect::<Vec<_>>())
                    .await;
            }
            let (whole, pieces) = tables.split_at(tables.len() / 2);
            assert_eq!(pieces, whole, "list {list} of seed {seed}");
        }
    }
}

fn copy(drawn: &Drawn) -> Drawn {
    Drawn { number: drawn.number, partition: drawn.partition, fields: Map::new() }
}

async fn postgres(name: &str) -> Stores {
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    let url = cluster.create_database(name).expect("a database can be made");
    Stores {
        standard: PostgresStore::open(&url).await.expect("PostgreSQL opens"),
        elastic: Some(PostgresElasticStore::open(&url).await.expect("PostgreSQL opens")),
    }
}

#[tokio::test]
async fn random_histories_of_messages_agree_on_sqlite_and_the_lsm() {
    let home = TempDir::new().expect("a temporary directory");
    for seed in 1..=3 {
        agree(open_embedded(&home.path().join(seed.to_string())), seed).await;
    }
}

#[tokio::test]
async fn random_histories_of_messages_agree_on_postgresql() {
    for seed in 1..=2 {
        agree(postgres("histories").await, seed).await;
    }
}

#[tokio::test]
async fn how_targets_are_split_into_messages_does_not_show_on_the_reference() {
    split(reference(), 7).await;
}

#[tokio::test]
async fn how_targets_are_split_into_messages_does_not_show_on_sqlite_and_the_lsm() {
    let home = TempDir::new().expect("a temporary directory");
    split(open_embedded(home.path()), 8).await;
}

#[tokio::test]
async fn how_targets_are_split_into_messages_does_not_show_on_postgresql() {
    split(postgres("splits").await, 9).await;
}
