//! What runs leave behind: rows of the trace log, and statistics. 87, 88, 92 of plugins.md 7.

use super::world::{CRATE, World, creates, on, refuses, sends};
use model::{MessageName, Target, TargetKey, Timestamp, Uuid, Value, code};
use pipeline::step::{Ran, StepAnswer, StepFault};
use pipeline::{Context, Message, Write};

const LOG: &str = "plugintracelog";
const STATISTIC: &str = "plugintypestatistic";

/// A run that traces lines, and then does this.
fn traced(mut ran: Ran, lines: &[&str]) -> Ran {
    ran.trace = lines.iter().map(|line| (*line).into()).collect();
    ran
}

fn well() -> Ran {
    Ran::with(StepAnswer::default())
}

impl World {
    async fn trace_setting(&self, setting: i32) {
        let id = self.house.pipeline.organization().id;
        let cells = [("plugintracelogsetting", Value::Integer(setting))];
        let target = self.house.target_of("organization", TargetKey::Id(id), &cells);
        self.house.write(MessageName::Update, "organization", vec![target]).await.expect("fine");
    }

    async fn traces(&self) -> Vec<(Value, Value)> {
        let rows = self.house.rows(LOG, &["typename", "messageblock"]).await;
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    }

    async fn flush(&self) -> Vec<Vec<Value>> {
        self.house.pipeline.flush_statistics(&self.house.context()).await.expect("it is written");
        let columns = [
            "executecount",
            "failurecount",
            "failurepercent",
            "crashcount",
            "crashpercent",
            "crashcontributionpercent",
            "terminatememorycontributionpercent",
        ];
        self.house.rows(STATISTIC, &columns).await
    }
}

fn pair(name: &str, block: &str) -> (Value, Value) {
    (Value::text(name), Value::text(block))
}

#[tokio::test]
async fn which_runs_are_kept_is_a_setting() {
    let world = World::open().await;
    world.act("a", |_, _| async { traced(well(), &["one", "two"]) });
    world.act("refuses", |_, _| async { traced(refuses("no"), &["three"]) });
    world.register(1, on("a", "Create", 20)).await;
    let refusing = world.register(2, on("refuses", "Update", 20)).await;
    let both = async || {
        let made = world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
        let target = world.house.target(TargetKey::Id(made[0].id), &[]);
        world.write(MessageName::Update, vec![target]).await.expect_err("it refuses");
    };
    both().await;
    assert_eq!(world.traces().await, []);
    world.trace_setting(1).await;
    both().await;
    assert_eq!(world.traces().await, [pair("refuses", "three")]);
    world.trace_setting(2).await;
    both().await;
    let all = [pair("refuses", "three"), pair("a", "one\ntwo"), pair("refuses", "three")];
    assert_eq!(world.traces().await, all);
    let columns = [
        "messagename",
        "primaryentity",
        "mode",
        "operationtype",
        "depth",
        "pluginstepid",
        "issystemcreated",
        "exceptiondetails",
    ];
    let rows = world.house.rows(LOG, &columns).await;
    let details = |row: &Vec<Value>| match &row[7] {
        Value::Text(text) => text.to_string(),
        _ => String::new(),
    };
    let first = rows[0][..7].to_vec();
    let want = [
        Value::text("Update"),
        Value::text(CRATE),
        Value::Integer(0),
        Value::Integer(1),
        Value::Integer(1),
        Value::Guid(refusing),
        Value::Boolean(false),
    ];
    assert_eq!(first, want);
    assert!(details(&rows[0]).starts_with("refuses\nCode: 0x80040265\nMessage: no\n"));
    assert_eq!(details(&rows[1]), "");
}

// The rows of an undone message stay, with those of what its steps have sent; one correlation, several requests.
#[tokio::test]
async fn runs_are_kept_when_their_message_is_undone() {
    let world = World::open().await;
    world.trace_setting(2).await;
    world.act("nests", |call, service| async move {
        if call.frame.depth == 1 {
            sends(&service, creates(&call, &["inner"])).await.expect("fine");
        }
        traced(well(), &["nests"])
    });
    world.act("refuses", |call, _| async move {
        if call.frame.depth == 1 { traced(refuses("no"), &["end"]) } else { well() }
    });
    world.register(1, on("nests", "Create", 20)).await;
    world.register(2, on("refuses", "Create", 40)).await;
    world.write(MessageName::Create, world.crates(&["outer"])).await.expect_err("it refuses");
    assert!(world.labels().await.is_empty());
    let columns = ["typename", "depth", "correlationid", "requestid"];
    let rows = world.house.rows(LOG, &columns).await;
    let (names, depths): (Vec<_>, Vec<_>) =
        rows.iter().map(|row| (row[0].clone(), row[1].clone())).unzip();
    let text = |name| Value::text(name);
    assert_eq!(names, [text("nests"), text("refuses"), text("nests"), text("refuses")]);
    assert_eq!(depths, [2, 2, 1, 1].map(Value::Integer));
    assert!(rows.iter().all(|row| row[2] == rows[0][2] && row[2] != Value::Null));
    assert!(rows[0][3] == rows[1][3] && rows[2][3] == rows[3][3] && rows[0][3] != rows[2][3]);
}

#[tokio::test]
async fn callers_read_and_delete_the_log_and_write_nothing_into_it() {
    let world = World::open().await;
    world.trace_setting(2).await;
    world.act("a", |_, _| async { traced(well(), &["one"]) });
    world.register(1, on("a", "Create", 20)).await;
    world.write(MessageName::CreateMultiple, world.crates(&["x", "y"])).await.expect("fine");
    let ids: Vec<Uuid> = world
        .house
        .rows(LOG, &["plugintracelogid"])
        .await
        .iter()
        .filter_map(|row| row[0].as_id())
        .collect();
    assert_eq!(ids.len(), 2);
    let target = |id: Uuid| Target { key: TargetKey::Id(id), ..Target::default() };
    for name in [MessageName::Create, MessageName::Update, MessageName::Upsert] {
        let fault = world.house.write(name, LOG, vec![target(ids[0])]).await.expect_err("kept");
        assert_eq!(fault.code, code::NOT_SUPPORTED, "{name}");
    }
    world.house.write(MessageName::Delete, LOG, vec![target(ids[0])]).await.expect("allowed");
    assert_eq!(world.traces().await.len(), 1);
    // A day later the rest is gone.
    let pipeline = &world.house.pipeline;
    let later = |hours: i64| {
        let context = world.house.context();
        Context { now: Timestamp(context.now.0 + hours * 3_600), ..context }
    };
    assert_eq!(pipeline.expire_traces(&later(24)).await.expect("fine"), 0);
    assert_eq!(pipeline.expire_traces(&later(25)).await.expect("fine"), 1);
    assert!(world.traces().await.is_empty());
}

#[tokio::test]
async fn statistics_are_added_up_by_type() {
    let world = World::open().await;
    world.act("refuses", |_, _| async { refuses("no") });
    world.act("crashes", |_, _| async { Ran::failed(StepFault::MemoryLimit) });
    world.register(1, on("a", "CreateMultiple", 20)).await;
    world.register(2, on("b", "Create", 20)).await;
    world.write(MessageName::CreateMultiple, world.crates(&["x", "y", "z"])).await.expect("fine");
    let number = |numbers: [i32; 7]| numbers.map(Value::Integer).to_vec();
    let mut rows = world.flush().await;
    rows.sort_by_key(|row| format!("{row:?}"));
    // A bulk step has run once, a single step for each target.
    assert_eq!(rows, [number([1, 0, 0, 0, 0, 0, 0]), number([3, 0, 0, 0, 0, 0, 0])]);
    assert_eq!(world.flush().await.len(), 2);
    world.register(3, on("refuses", "Delete", 20)).await;
    world.register(4, on("crashes", "Update", 20)).await;
    for name in [MessageName::Update, MessageName::Delete] {
        let ids = world.house.rows(CRATE, &["ship_crateid"]).await;
        let target = world.house.target(TargetKey::Id(ids[0][0].as_id().expect("a key")), &[]);
        world.write(name, vec![target]).await.expect_err("it fails");
    }
    // What another write of the same types adds is added to the rows there are.
    world.write(MessageName::Create, world.crates(&["w"])).await.expect("fine");
    let mut rows = world.flush().await;
    rows.sort_by_key(|row| format!("{row:?}"));
    let want = [
        number([1, 1, 100, 0, 0, 0, 0]),
        number([1, 1, 100, 1, 100, 100, 100]),
        number([2, 0, 0, 0, 0, 0, 0]),
        number([4, 0, 0, 0, 0, 0, 0]),
    ];
    assert_eq!(rows, want);
    // Nobody else writes them.
    let id = world.house.rows(STATISTIC, &["plugintypestatisticid"]).await[0][0].as_id();
    let target = Target { key: TargetKey::Id(id.expect("a key")), ..Target::default() };
    let table = world.house.table(STATISTIC);
    let write = Write {
        name: MessageName::Delete,
        table,
        targets: vec![target],
        condition: pipeline::Condition::Any,
    };
    world.house.run(Message::Write(write)).await.expect_err("they are the service's");
}
