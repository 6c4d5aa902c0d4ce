//! Random requests to whole services, on every store: never a panic, never a fault of the service, and every
//! refusal in its envelope with a documented code.

use std::ops::Add;
use std::path::Path;

use fuzzing::grammar;
use fuzzing::ground::{Ground, memory};
use fuzzing::run::{self, Inputs, Report};
use fuzzing::seeds::Seeds;
use pipeline::Stores;
use store_elastic::{LsmStore, PostgresElasticStore};
use store_standard::{PostgresStore, SqliteOptions, SqliteStore, Synchronous};
use tempfile::TempDir;
use testkit::draw::Draw;
use testkit::postgres::Cluster;
use tokio::runtime::{Builder, Runtime};

use crate::readers::{cases, number};

/// Requests to each service unless somebody says another number.
const CASES: usize = 1_500;
/// After so many requests another service takes its place: some of them drop tables.
const PER_GROUND: usize = 500;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts")
}

/// Requests that go to the edge of what is allowed: engines have limits, too.
#[expect(clippy::too_many_lines, reason = "a list")]
fn edges() -> Vec<String> {
    let get = |rest: &str| format!("GET /api/data/v9.2/{rest}\n\n");
    let chain = |piece: &str, between: &str, count: usize| vec![piece; count].join(between);
    let filter = |text: &str| get(&format!("ship_crates?$filter={}", text.replace(' ', "%20")));
    let nested = |open: &str, inner: &str, close: &str, count: usize| {
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    };
    let numbers =
        |count: usize| (0..count).map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(",");
    let among = format!(
        "Microsoft.Dynamics.CRM.In(PropertyName='ship_weight',PropertyValues=[{}])",
        numbers(2_000)
    );
    let name = "ship_Holder/name eq 'a'";
    let leg = "ship_crate_leg/any(o:o/ship_number eq 1)";
    let link = |depth: usize| {
        let open = "<filter type=\"or\"><condition attribute=\"ship_weight\" operator=\"null\"/>";
        nested(open, "", "</filter>", depth)
    };
    let fetch = |inner: &str| {
        let text = format!("<fetch><entity name=\"ship_crate\">{inner}</entity></fetch>");
        get(&format!("ship_crates?fetchXml={}", text.replace(' ', "%20")))
    };
    let sql = |rest: &str| {
        let text = format!("SELECT ship_label FROM ship_crate WHERE {rest}");
        get(&format!("ship_crates?sql={}", text.replace(' ', "%20")))
    };
    let body = |target: &str, body: &str| format!("POST /api/data/v9.2/{target}\n\n{body}");
    let target = "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",\"ship_label\":\"x\"}";
    vec![
        filter(&chain("ship_weight eq 1", " and ", 500)),
        filter(&chain("ship_weight gt 1", " or ", 500)),
        filter(&format!("not ({})", chain("ship_weight gt 1", " or ", 499))),
        filter(&nested("(", "ship_weight eq 1", ")", 99)),
        filter(&nested("not ", "ship_weight gt 1", "", 99)),
        filter(&nested("not (ship_weight gt 1 or ", "ship_weight gt 1", ")", 49)),
        filter(&nested("(ship_weight gt 1 and ", "ship_weight gt 1", ")", 99)),
        filter(&nested("tolower(", "ship_label", ")", 90).add(" eq 'a'")),
        filter(&among),
        filter(&format!("not {among}")),
        filter(&chain(name, " and ", 400)),
        filter(&chain(leg, " or ", 14)),
        filter(&chain("contains(ship_label,'%[a-z]_%')", " or ", 400)),
        filter(&format!("contains(ship_label,'{}')", "%".repeat(3_000))),
        filter(&format!("contains(ship_label,'{}')", "[a-z]".repeat(2_000))),
        filter(&format!("ship_label eq '{}'", "a".repeat(30_000))),
        get(&format!("ship_crates?$orderby={}", chain("ship_weight", ",", 2_500))),
        get(
            "ship_crates?$expand=ship_Holder($expand=createdby,modifiedby,owninguser),createdby,modifiedby,owninguser,owningbusinessunit,ship_crate_leg,ship_crate_seal,ship_port_crate",
        ),
        get(&format!(
            "ship_crates?$apply=aggregate({})",
            (0..100)
                .map(|n| format!("ship_weight%20with%20sum%20as%20a{n}"))
                .collect::<Vec<_>>()
                .join(",")
        )),
        fetch(&link(30)),
        fetch(&format!(
            "<filter>{}</filter>",
            "<condition attribute=\"ship_label\" operator=\"not-like\" value=\"%a\"/>".repeat(350)
        )),
        fetch(&format!(
            "<order attribute=\"ship_label\"/>{}",
            "<link-entity name=\"account\" from=\"accountid\" to=\"ship_holder\"/>".repeat(15)
        )),
        sql(&chain("ship_weight = 1", " AND ", 500)),
        sql(&chain("ship_weight > 1", " OR ", 500)),
        sql(&format!("NOT ({})", chain("ship_weight > 1", " OR ", 500))),
        sql(&format!("ship_weight IN ({})", chain("1", ",", 2_000))),
        sql(&format!("ship_weight = {}", chain("1", "+", 1_900))),
        sql(&format!("ship_weight = {}", chain("1", "+", 14_000))),
        sql(&nested("NOT (ship_weight > 1 OR ", "ship_weight > 1", ")", 25)),
        get(&format!("ship_crates(ship_trackingno='{}')", "a".repeat(30_000))),
        get(&format!("ship_pings?$filter={}", chain("ship_value%20eq%201", "%20and%20", 500))),
        get(&format!("ship_pings?$filter={}", nested("not%20(", "ship_value%20gt%201", ")", 49))),
        body(
            "ship_crates/Microsoft.Dynamics.CRM.CreateMultiple",
            &format!("{{\"Targets\":[{}]}}", chain(target, ",", 3_000)),
        ),
        body("ship_crates", &format!("{{\"ship_notes\":\"{}\"}}", "\u{1F600}".repeat(1_000))),
        body("ship_crates", &format!("{{\"ship_price\":{}}}", "9".repeat(10_000))),
        body("ship_crates", &format!("{{\"ship_volume\":0.{}}}", "3".repeat(10_000))),
        body("ship_crates", "{\"ship_ratio\":1e-400,\"ship_weight\":1e2}"),
        body("ship_crates", &format!("{{{}}}", chain("\"@a.b\":1", ",", 20_000))),
        body(
            "ship_crates",
            &format!("{{\"ship_crate_leg\":[{}]}}", chain("{\"ship_name\":\"a\"}", ",", 1_000)),
        ),
        body(
            "ship_pings",
            &format!("{{\"ship_payload\":\"{}{}\"}}", "[".repeat(100), "]".repeat(100)),
        ),
        get(&format!(
            "ExecuteCosmosSqlQuery(QueryText=@p1,EntityLogicalName=@p2)?@p1='select*from%20c%20where%20{}'&@p2='ship_ping'",
            chain("c.props.ship_value=1", "%20or%20", 1_000)
        )),
    ]
}

#[test]
fn what_is_at_the_edge_of_the_allowed_is_no_fault_of_the_service_on_any_store() {
    let home = TempDir::new().expect("a temporary directory");
    let opened = [
        {
            let runtime = runtime();
            Ground::new(memory(), runtime)
        },
        {
            let runtime = runtime();
            Ground::new(embedded(home.path()), runtime)
        },
        {
            let runtime = runtime();
            let stores = postgres(&runtime);
            Ground::new(stores, runtime)
        },
    ];
    for request in edges() {
        let answers = opened.each_ref().map(|ground| {
            let response = ground.ask(request.as_bytes()).expect("it is a request");
            if let Err(why) = fuzzing::ground::law(&response, false) {
                panic!("{why}\nrequest: {}", request.chars().take(300).collect::<String>());
            }
            response.status()
        });
        let [first, ..] = answers;
        assert_eq!(answers, [first; 3], "{}", request.chars().take(300).collect::<String>());
    }
}

fn embedded(directory: &Path) -> Stores {
    std::fs::create_dir_all(directory).expect("a directory");
    let options = SqliteOptions { synchronous: Synchronous::Normal, ..Default::default() };
    Stores {
        standard: SqliteStore::open(directory, options).expect("SQLite opens"),
        elastic: Some(LsmStore::open(&directory.join("elastic")).expect("the LSM opens")),
    }
}

fn postgres(runtime: &Runtime) -> Stores {
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    let url = cluster.create_database("fuzzing").expect("a database can be made");
    runtime.block_on(async {
        Stores {
            standard: PostgresStore::open(&url).await.expect("PostgreSQL opens"),
            elastic: Some(PostgresElasticStore::open(&url).await.expect("PostgreSQL opens")),
        }
    })
}

fn check(name: &str, open: impl Fn(&Runtime) -> Stores) {
    let seeds = Seeds::read().requests();
    let write = |draw: &mut Draw| grammar::write(draw, "request").into_bytes();
    let inputs = Inputs { write: &write, seeds: &seeds };
    let seed = number("SHEAF_SEED").unwrap_or(1);
    let mut draw = Draw::new(seed);
    let mut report = Report::default();
    let mut ground = None;
    for case in 0..cases(CASES) {
        if case % PER_GROUND == 0 {
            let runtime = runtime();
            let stores = open(&runtime);
            ground = Some(Ground::new(stores, runtime));
        }
        let Some(ground) = &ground else { continue };
        let input = inputs.draw(&mut draw);
        if let Err(why) = run::one(&mut report, &input, &|bytes| ground.check(bytes)) {
            panic!("{name}: case {case} of seed {seed}: {why}\ninput: {}", input.escape_ascii());
        }
    }
    assert!(report.taken * 20 > report.cases, "{name}: {report:?}");
}

#[test]
fn no_request_is_a_fault_of_the_service_on_the_reference() {
    check("reference", |_| memory());
}

#[test]
fn no_request_is_a_fault_of_the_service_on_sqlite_and_the_lsm() {
    let home = TempDir::new().expect("a temporary directory");
    let count = std::cell::Cell::new(0);
    check("sqlite and lsm", |_| {
        count.set(count.get() + 1);
        let directory = home.path().join(count.get().to_string());
        embedded(&directory)
    });
}

#[test]
fn no_request_is_a_fault_of_the_service_on_postgresql() {
    check("postgresql", postgres);
}
