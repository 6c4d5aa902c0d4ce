//! `bench`: what it measures and what it leaves behind, in virtual time.

use crate::service::{Fate, Script, Simulated};
use async_trait::async_trait;
use client::bench::{Error, methods, tune};
use client::ids::Seed;
use client::rows::Operation;
use client::service::Service;
use client::transport::{self, Method, Request, Response, Transport};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const SEED: Seed = Seed { started_ms: 1_700_000_000_000, random: 0xbead_5eed_0000_0000 };

/// The simulated service with the definition of its table before it.
struct Defined {
    rows: Simulated,
    /// The bulk messages that the table has.
    messages: &'static [&'static str],
    /// Deletes are refused.
    keeps: bool,
}

impl Defined {
    fn answer(&self, request: &Request) -> Option<Value> {
        let column = |kind: &str, name: &str, rest: Value| {
            let mut column = json!({
                "@odata.type": format!("#Microsoft.Dynamics.CRM.{kind}AttributeMetadata"),
                "AttributeType": kind, "LogicalName": name, "SchemaName": name,
                "IsValidForCreate": true, "IsValidForUpdate": true, "IsValidForRead": true,
            });
            for (name, value) in rest.as_object().into_iter().flatten() {
                column[name.as_str()] = value.clone();
            }
            column
        };
        let path = &request.path;
        if path == "WhoAmI" {
            Some(json!({}))
        } else if path.starts_with("sdkmessagefilters") {
            let has = self.messages.iter().any(|message| path.contains(message));
            Some(json!({"value": if has { vec![json!({})] } else { Vec::new() }}))
        } else if path.starts_with("EntityDefinitions?") {
            Some(json!({"value": [{"LogicalName": "thing", "EntitySetName": "things"}]}))
        } else if path.starts_with("EntityDefinitions(") {
            Some(json!({
                "LogicalName": "thing", "EntitySetName": "things",
                "PrimaryIdAttribute": "thingid", "PrimaryNameAttribute": "k",
                "Attributes": [
                    column("Uniqueidentifier", "thingid", json!({})),
                    column("String", "k", json!({"MaxLength": 100, "Format": "Text"})),
                    column("Integer", "v", json!({"MinValue": 0, "MaxValue": 1_000_000})),
                    column("DateTime", "at", json!({})),
                ],
                "Keys": [], "ManyToOneRelationships": [],
            }))
        } else {
            None
        }
    }
}

#[async_trait]
impl Transport for Defined {
    async fn send(&self, request: Request) -> Result<Response, transport::Error> {
        if let Some(answer) = self.answer(&request) {
            let body = answer.to_string().into();
            return Ok(Response { status: 200, body, ..Response::default() });
        }
        let deletes = request.method == Method::Delete
            || request.path == "$batch" && request.body.windows(7).any(|text| text == b"DELETE ");
        if self.keeps && deletes {
            let body = json!({"error": {"code": "0x80040220", "message": "no privilege"}});
            let body = body.to_string().into();
            return Ok(Response { status: 403, body, ..Response::default() });
        }
        self.rows.send(request).await
    }
}

const BOTH: &[&str] = &["CreateMultiple", "UpdateMultiple"];

fn defined(messages: &'static [&'static str], script: Script) -> Arc<Defined> {
    Arc::new(Defined { rows: Simulated::new(script), messages, keeps: false })
}

fn left(service: &Defined) -> usize {
    let state = service.rows.state.lock().expect("no panics");
    assert_eq!(state.overlaps, 0, "a record was in flight twice");
    state.records.len()
}

fn options(rows: u64, rounds: u32) -> methods::Options {
    methods::Options {
        table: "thing".to_owned(),
        rows,
        rounds,
        columns: vec!["v".to_owned()],
        seed: SEED,
        ..methods::Options::default()
    }
}

async fn measure(
    service: &Arc<Defined>,
    options: methods::Options,
    stop: Option<watch::Receiver<bool>>,
) -> Result<methods::Report, Error> {
    let service = Service::new(service.clone());
    let plan = methods::prepare(&service, options).await?;
    plan.run(stop, &mut |_| {}).await
}

/// `create, one bulk: 1 request, 800 rows/s`, the median where there are several rounds.
fn shown(report: &methods::Report) -> String {
    let mut text = String::new();
    for cell in &report.cells {
        let (operation, method) = (cell.operation.as_str(), cell.method.as_str());
        let requests: Vec<u64> = cell.rounds.iter().map(|round| round.requests).collect();
        let rate = match (cell.missing, &cell.rows_per_second, &cell.problem) {
            (Some(message), ..) => format!("no {message}"),
            (None, Some(rate), None) => format!("{:.0} rows/s", rate.median),
            (None, _, problem) => format!("{problem:?}"),
        };
        text.push_str(&format!("{operation}, {method}: {requests:?}, {rate}\n"));
    }
    text
}

#[tokio::test(start_paused = true)]
async fn every_method_sends_as_it_says_and_nothing_is_left() {
    let service = defined(BOTH, Script::default());
    let report = measure(&service, options(40, 2), None).await.expect("it works");
    // 50 ms for each request, one at a time but for those of the client itself.
    expect_test::expect![[r"
        create, single: [40, 40], 20 rows/s
        create, bulk of one: [40, 40], 20 rows/s
        create, one bulk: [1, 1], 800 rows/s
        create, one $batch: [1, 1], 800 rows/s
        create, sheaf: [1, 1], 800 rows/s
        update, single: [40, 40], 20 rows/s
        update, bulk of one: [40, 40], 20 rows/s
        update, one bulk: [1, 1], 800 rows/s
        update, one $batch: [1, 1], 800 rows/s
        update, sheaf: [1, 1], 800 rows/s
        upsert, single: [40, 40], 20 rows/s
        upsert, bulk of one: [40, 40], 20 rows/s
        upsert, one bulk: [1, 1], 800 rows/s
        upsert, one $batch: [1, 1], 800 rows/s
        upsert, sheaf: [1, 1], 800 rows/s
        delete, single: [40, 40], 20 rows/s
        delete, bulk of one: [], no DeleteMultiple
        delete, one bulk: [], no DeleteMultiple
        delete, one $batch: [1, 1], 800 rows/s
        delete, sheaf: [1, 1], 800 rows/s
    "]]
    .assert_eq(&shown(&report));
    assert_eq!(left(&service), 0);
    assert!(!report.interrupted);
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(json["cells"][1]["method"], "bulk-of-one");
    assert_eq!(json["cells"][16]["missing"], "DeleteMultiple");
    assert_eq!(json["cells"][0]["rows_per_second"]["median"], 20.0);
}

#[tokio::test(start_paused = true)]
async fn what_the_table_does_not_have_is_told_and_what_is_not_measured_is_done_all_the_same() {
    let service = defined(&["CreateMultiple"], Script::default());
    let wanted = methods::Options {
        operations: vec![Operation::Upsert],
        size: Some(15),
        width: 2,
        ..options(40, 1)
    };
    let report = measure(&service, wanted, None).await.expect("it works");
    expect_test::expect![[r"
        upsert, single: [40], 40 rows/s
        upsert, bulk of one: [], no UpsertMultiple
        upsert, one bulk: [], no UpsertMultiple
        upsert, one $batch: [3], 400 rows/s
        upsert, sheaf: [1], 800 rows/s
    "]]
    .assert_eq(&shown(&report));
    assert_eq!(left(&service), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_message_that_is_refused_is_a_failure_and_not_measured_as_something_else() {
    let service = defined(BOTH, Script { has_bulk: false, ..Script::default() });
    let wanted = methods::Options { operations: vec![Operation::Create], ..options(10, 1) };
    let report = measure(&service, wanted, None).await.expect("it works");
    for cell in &report.cells {
        let is_bulk = matches!(cell.method, methods::Method::Bulk | methods::Method::BulkOfOne);
        assert_eq!(cell.rows_per_second.is_none(), is_bulk, "{cell:?}");
        assert_eq!(cell.problem.is_some(), is_bulk, "{cell:?}");
        assert_eq!(cell.rounds[0].failed, if is_bulk { 10 } else { 0 }, "{cell:?}");
    }
    assert_eq!(left(&service), 0);
}

#[tokio::test(start_paused = true)]
async fn throttles_are_counted_where_they_were_met() {
    let fates = vec![Fate::Normal, Fate::Throttled(3), Fate::Normal];
    let service = defined(BOTH, Script { fates, ..Script::default() });
    let wanted = methods::Options {
        operations: vec![Operation::Create],
        methods: vec![methods::Method::Single, methods::Method::Bulk],
        ..options(4, 1)
    };
    let report = measure(&service, wanted, None).await.expect("it works");
    let rounds: Vec<_> = report.cells.iter().map(|cell| &cell.rounds[0]).collect();
    assert_eq!((rounds[0].throttles, rounds[0].requests, rounds[0].rows), (1, 5, 4));
    assert!(rounds[0].seconds > 3.0, "{:?}", rounds[0]);
    assert_eq!((rounds[1].throttles, rounds[1].requests), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_any_time_leaves_no_row_behind() {
    for after in (0..12_000).step_by(190) {
        let service = defined(BOTH, Script::default());
        let (stop_now, stop) = watch::channel(false);
        let measuring = measure(&service, options(30, 1), Some(stop));
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(after)).await;
            stop_now.send_replace(true);
        };
        let (report, ()) = futures_util::future::join(Box::pin(measuring), stopping).await;
        let report = report.expect("it works");
        assert_eq!(left(&service), 0, "stopped after {after} ms");
        for round in report.cells.iter().flat_map(|cell| &cell.rounds) {
            assert_eq!((round.rows, round.failed), (30, 0), "stopped after {after} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_removed_are_told_by_their_ids() {
    let service =
        Arc::new(Defined { rows: Simulated::new(Script::default()), messages: BOTH, keeps: true });
    let error = measure(&service, options(10, 1), None).await.expect_err("rows are left");
    let Error::Left { left: ids, source, .. } = &error else { panic!("{error}") };
    assert!(matches!(source.as_deref(), Some(Error::Refused(_))), "{source:?}");
    assert_eq!(ids.len(), left(&service));
    assert!(ids.contains(&SEED.id(0)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_caller_ends_it_with_nothing_left() {
    let service = defined(BOTH, Script { is_forbidden: true, ..Script::default() });
    let error = measure(&service, options(10, 1), None).await.expect_err("it may not write");
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(left(&service), 0);
}

#[tokio::test(start_paused = true)]
async fn a_column_without_a_value_to_make_up_is_refused_before_anything_is_written() {
    let service = defined(BOTH, Script::default());
    for column in ["at", "nothing"] {
        let wanted = methods::Options { columns: vec![column.to_owned()], ..options(10, 1) };
        let error = measure(&service, wanted, None).await.expect_err("no such value");
        assert!(matches!(error, Error::Wish(_)) && error.to_string().contains(column), "{error}");
    }
    assert_eq!(service.rows.state.lock().expect("no panics").requests, 0);
}

/// Half a second for each message of up to 8 rows, so that the quickest is the widest.
fn slow() -> Arc<Defined> {
    let took = Duration::from_millis(500);
    defined(BOTH, Script { rows_max: 8, took, ..Script::default() })
}

fn grid() -> tune::Options {
    tune::Options {
        table: "thing".to_owned(),
        widths: vec![4, 1, 4, 99],
        sizes: vec![2, 8, 5_000],
        measure: Duration::from_secs(4),
        learn: Duration::from_secs(8),
        seed: SEED,
        ..tune::Options::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_learned_setting_is_held_against_the_best_of_the_grid() {
    let defined = slow();
    let service = Service::new(defined.clone());
    let plan = tune::prepare(&service, grid()).await.expect("it works");
    assert_eq!((plan.points(), plan.lasts()), (4, Duration::from_secs(28)));
    assert_eq!(plan.left_out(), [5_000]);
    let mut told = 0;
    let mut observe = |_: &tune::Round, is_learned| told += if is_learned { 10 } else { 1 };
    let report = plan.run(None, &mut observe).await.expect("it works");
    let rates: Vec<String> = report
        .grid
        .iter()
        .map(|point| {
            let rate = point.rows_per_second.expect("measured").median;
            format!("{}x{}: {rate:.0}", point.width, point.size)
        })
        .collect();
    assert_eq!(rates, ["1x2: 4", "4x2: 16", "1x8: 16", "4x8: 64"]);
    assert_eq!((report.best, told), (Some(3), 14));
    let learned = &report.learned.rounds[0];
    assert!(learned.width >= 5 && learned.size <= 8, "{learned:?}");
    let share = report.learned.share_of_best.expect("there is a best");
    let rate = report.learned.rows_per_second.expect("measured").median;
    assert!((share - rate / 64.0).abs() < 1e-9, "{report:?}");
    assert_eq!(report.learned.quicker, if share < 1.0 { 1 } else { 0 });
    assert_eq!(left(&defined), 0);
}

#[tokio::test(start_paused = true)]
async fn a_grid_that_is_stopped_tells_what_is_there_and_leaves_nothing_behind() {
    for after in [0, 700, 3_900, 9_000, 21_000] {
        let defined = slow();
        let service = Service::new(defined.clone());
        let (stop_now, stop) = watch::channel(false);
        let plan = tune::prepare(&service, grid()).await.expect("it works");
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(after)).await;
            stop_now.send_replace(true);
        };
        let (report, ()) =
            futures_util::future::join(plan.run(Some(stop), &mut |_, _| {}), stopping).await;
        let report = report.expect("it works");
        assert!(report.interrupted);
        assert_eq!(left(&defined), 0, "stopped after {after} ms");
    }
}
