//! Steps on elastic tables: what each form sees and changes, and who fails when a step does.
//!
//! Numbers in names of comments are those of plugins.md 7.

use super::world::{New, Seen, World, refuses, sends, sets, shares, value};
use crate::house::{column, crate_table, id};
use model::{
    Cell, ColumnKind, Fault, Label, MessageName, NewTable, TableKind, Target, TargetKey,
    TextFormat, Uuid, Value, code, partition,
};
use pipeline::step::{
    Operand, ParameterChange, ParameterValue, Ran, ServiceRequest, StepAnswer, StepFault,
};
use pipeline::{Condition, Definition, Message, Partly, Reply, Write};
use store::RowOutcome;

pub(super) const PING: &str = "ship_ping";

pub(super) fn ping() -> NewTable {
    let text = ColumnKind::Text { max_length: 20, format: TextFormat::Text };
    NewTable {
        schema_name: "ship_Ping".into(),
        display_name: Label::english("Ping"),
        display_collection_name: Label::english("Pings"),
        kind: TableKind::Elastic,
        columns: vec![
            column("ship_Source", text, true),
            column("ship_Value", ColumnKind::Integer { min: 0, max: 100 }, false),
        ],
        ..crate_table()
    }
}

fn on<'a>(handler: &'a str, message: &'a str, stage: i32) -> New<'a> {
    New { table: Some(PING), ..super::world::on(handler, message, stage) }
}

async fn open() -> World {
    let world = World::open().await;
    world.house.define(Definition::CreateTables(vec![ping()])).await.expect("an elastic table");
    world
}

impl World {
    /// A ping in a partition.
    fn ping(&self, number: u128, partition: &str, source: &str) -> Target {
        let cells = [("partitionid", Value::text(partition)), ("ship_source", Value::text(source))];
        self.house.target_of(PING, id(number), &cells)
    }

    fn pings(&self, sources: &[&str]) -> Vec<Target> {
        let numbered = (1..).zip(sources);
        numbered.map(|(number, source)| self.ping(number, "p", source)).collect()
    }

    async fn send(&self, name: MessageName, targets: Vec<Target>) -> Result<Reply, Fault> {
        let table = self.house.table(PING);
        let condition = Condition::Any;
        self.house.run(Message::Write(Write { name, table, targets, condition })).await
    }

    async fn written(&self, name: MessageName, targets: Vec<Target>) -> Vec<RowOutcome> {
        match self.send(name, targets).await {
            Ok(Reply::Written(outcomes)) => outcomes,
            other => panic!("every target is fine: {other:?}"),
        }
    }

    async fn partly(&self, name: MessageName, targets: Vec<Target>) -> Partly {
        match self.send(name, targets).await {
            Ok(Reply::Partly(partly)) => partly,
            other => panic!("some targets fail: {other:?}"),
        }
    }

    async fn sources(&self) -> Vec<String> {
        let text = |row: Vec<Value>| match &row[0] {
            Value::Text(text) => text.to_string(),
            _ => "-".to_owned(),
        };
        self.house.rows(PING, &["ship_source"]).await.into_iter().map(text).collect()
    }
}

fn codes(partly: &Partly) -> Vec<Option<model::ErrorCode>> {
    partly.outcomes.iter().map(|one| one.as_ref().err().map(|failure| failure.code)).collect()
}

/// A step of each form, event and stage.
async fn register_all(world: &World) {
    let messages = ["Create", "Update", "Upsert", "Delete"];
    let mut number = 0;
    for message in messages {
        let bulk = format!("{message}Multiple");
        for (handler, message, stage) in [
            ("a", &*bulk, 10),
            ("b", message, 10),
            ("c", &*bulk, 20),
            ("d", message, 20),
            ("e", &*bulk, 40),
            ("f", message, 40),
        ] {
            number += 1;
            world.register(number, on(handler, message, stage)).await;
        }
    }
}

// 36, 37, 40, 41, 47, 50: the two forms of all four events, stage by stage, whichever was sent.
#[tokio::test]
async fn both_forms_of_every_event_run() {
    let world = open().await;
    register_all(&world).await;
    let mut trace = String::new();
    for name in [
        MessageName::CreateMultiple,
        MessageName::UpdateMultiple,
        MessageName::UpsertMultiple,
        MessageName::DeleteMultiple,
    ] {
        world.written(name, world.pings(&["x", "y"])).await;
        trace += &format!("{}\n\n", world.trace());
    }
    for name in [MessageName::Create, MessageName::Update, MessageName::Upsert, MessageName::Delete]
    {
        world.written(name, world.pings(&["x"])).await;
        trace += &format!("{}\n\n", world.trace());
    }
    expect_test::expect![[r#"
        10 CreateMultiple a all 2
        10 Create b #0
        10 Create b #1
        20 CreateMultiple c all 2
        20 Create d #0
        20 Create d #1
        40 CreateMultiple e all 2
        40 Create f #0
        40 Create f #1

        10 UpdateMultiple a all 2
        10 Update b #0
        10 Update b #1
        20 UpdateMultiple c all 2
        20 Update d #0
        20 Update d #1
        40 UpdateMultiple e all 2
        40 Update f #0
        40 Update f #1

        10 UpsertMultiple a all 2
        10 Upsert b #0
        10 Upsert b #1
        20 UpsertMultiple c all 2
        20 Upsert d #0
        20 Upsert d #1
        40 UpsertMultiple e all 2
        40 Upsert f #0
        40 Upsert f #1

        10 DeleteMultiple a all 2
        10 Delete b #0
        10 Delete b #1
        20 DeleteMultiple c all 2
        20 Delete d #0
        20 Delete d #1
        40 DeleteMultiple e all 2
        40 Delete f #0
        40 Delete f #1

        10 Create b #0
        10 CreateMultiple a all 1
        20 Create d #0
        20 CreateMultiple c all 1
        40 Create f #0
        40 CreateMultiple e all 1

        10 Update b #0
        10 UpdateMultiple a all 1
        20 Update d #0
        20 UpdateMultiple c all 1
        40 Update f #0
        40 UpdateMultiple e all 1

        10 Upsert b #0
        10 UpsertMultiple a all 1
        20 Upsert d #0
        20 UpsertMultiple c all 1
        40 Upsert f #0
        40 UpsertMultiple e all 1

        10 Delete b #0
        10 DeleteMultiple a all 1
        20 Delete d #0
        20 DeleteMultiple c all 1
        40 Delete f #0
        40 DeleteMultiple e all 1"#]]
    .assert_eq(trace.trim_end());
}

// 12, 13, 43, 44: one record, two views; what is changed before the write is written.
#[tokio::test]
async fn changes_of_both_forms_reach_the_store() {
    let world = open().await;
    world.act("a", |call, _| async move { sets(&call, "ship_source", Some(Value::text("bulk"))) });
    world.act("b", |call, _| async move {
        let source = value(&call, &call.targets[0], "ship_source");
        assert_eq!(source, Some(Value::text("bulk")), "the bulk step came first");
        sets(&call, "ship_value", Some(Value::Integer(7)))
    });
    world.act("c", |call, _| async move { sets(&call, "ship_source", Some(Value::text("late"))) });
    for (number, message) in ["Create", "Update", "Upsert"].into_iter().enumerate() {
        let bulk = format!("{message}Multiple");
        let number = number as u128 * 10;
        world.register(number + 1, on("a", &bulk, 10)).await;
        world.register(number + 2, on("b", message, 20).filtered("ship_source")).await;
        world.register(number + 3, on("c", message, 40)).await;
    }
    for name in
        [MessageName::CreateMultiple, MessageName::UpdateMultiple, MessageName::UpsertMultiple]
    {
        let targets = [1, 2].map(|number| {
            world.house.target_of(PING, id(number), &[("partitionid", Value::text("p"))])
        });
        world.written(name, targets.to_vec()).await;
        let rows = world.house.rows(PING, &["ship_source", "ship_value", "partitionid"]).await;
        let row = vec![Value::text("bulk"), Value::Integer(7), Value::text("p")];
        assert_eq!(rows, [row.clone(), row], "{name}");
        // The next message must change them again.
        let mut context = world.house.context();
        context.course.bypass.synchronous = true;
        let (table, condition) = (world.house.table(PING), Condition::Any);
        let name = MessageName::UpdateMultiple;
        let mut targets = world.pings(&["before", "before"]);
        for target in &mut targets {
            target.cells.push(Cell {
                column: table.index_of("ship_value").expect("a column"),
                value: Value::Integer(1),
            });
        }
        let message = Message::Write(Write { name, table, targets, condition });
        world.house.pipeline.run(&context, message).await.expect("no step runs");
        assert_eq!(world.sources().await, ["before", "before"]);
    }
}

// 9, 14, 16, 18, and the documented output of upserts.
#[tokio::test]
async fn contexts_of_elastic_tables_are_in_no_transaction() {
    let world = open().await;
    for (number, message) in
        ["Create", "Upsert", "UpsertMultiple", "Delete"].into_iter().enumerate()
    {
        for stage in [10_i32, 20, 40] {
            let number = number as u128 * 100 + u128::from(stage.unsigned_abs());
            world.register(number, on("looks", message, stage)).await;
        }
    }
    let new = Target { key: TargetKey::None, ..world.ping(0, "p", "x") };
    let made = world.written(MessageName::Create, vec![new]).await;
    let seen = world.seen();
    assert!(seen.iter().all(|one| !one.call.frame.is_in_transaction));
    let ids: Vec<Uuid> = seen.iter().map(|one| one.call.frame.primary_id).collect();
    assert_eq!(ids, [Uuid::nil(), Uuid::nil(), made[0].id]);
    let has = |one: &Seen, column| value(&one.call, &one.call.targets[0], column).is_some();
    let added: Vec<bool> = seen.iter().map(|one| has(one, "modifiedon")).collect();
    assert_eq!(added, [false, true, true]);
    let table = world.house.table(PING);
    let key = |number: u128| partition::key(&table, Uuid::from_u128(number), Some("p"));
    let source = [("ship_source", Value::text("u"))];
    // By the key form of the address: id and partition are told all the same.
    for (number, is_new) in [(7, true), (7, false)] {
        let target = world.house.target_of(PING, key(number), &source);
        world.written(MessageName::Upsert, vec![target]).await;
        let seen = world.seen();
        for one in seen.iter().filter(|one| one.stage == 10) {
            assert_eq!(one.call.targets[0].id, Some(Uuid::from_u128(7)));
            assert_eq!(
                value(&one.call, &one.call.targets[0], "partitionid"),
                Some(Value::text("p"))
            );
        }
        let last = &seen[seen.len() - 2..];
        let output = &last[0].call.output;
        assert_eq!(last[0].call.step.message, MessageName::Upsert);
        assert_eq!(&*output[0].name, "RecordCreated");
        assert_eq!(output[0].value, ParameterValue::One(Value::Boolean(is_new)));
        assert_eq!(output[1].value, ParameterValue::One(world.to(PING, Uuid::from_u128(7))));
        assert_eq!(last[1].call.step.message, MessageName::UpsertMultiple);
        let [results] = &last[1].call.output[..] else { panic!("one parameter") };
        let ParameterValue::Records(_, records) = &results.value else { panic!("a list") };
        assert_eq!(records[0].id, Some(Uuid::from_u128(7)));
        assert_eq!(records[0].aliased[0], ("RecordCreated".into(), Value::Boolean(is_new)));
    }
    let target = world.house.target_of(PING, key(7), &[]);
    world.written(MessageName::Delete, vec![target]).await;
    // 15: a reference without columns, which names id and partition.
    for one in world.seen() {
        assert_eq!(one.call.operand, Operand::Reference);
        let record = &one.call.targets[0];
        assert!(record.cells.is_empty());
        let named = record.key.clone().map(TargetKey::Alternate).expect("a key");
        assert_eq!(partition::parts(&table, &named), Some((Uuid::from_u128(7), Some("p"))));
    }
}

// 55, 62: a bulk step that refuses before the write refuses all of it; what steps wrote stays.
#[tokio::test]
async fn a_bulk_step_before_the_write_refuses_the_whole_message() {
    for stage in [10, 20] {
        let world = open().await;
        world.act("nests", |call, service| async move {
            let request = super::world::creates(&call, &["nested"]);
            sends(&service, request).await.expect("a crate is made");
            Ran::with(StepAnswer::default())
        });
        world.act("refuses", |_, _| async move { refuses("not today") });
        world.register(1, on("nests", "Create", 10)).await;
        world.register(2, on("refuses", "CreateMultiple", stage).rank(5)).await;
        world.register(3, on("a", "Create", 40)).await;
        let name = MessageName::CreateMultiple;
        let fault = world.send(name, world.pings(&["x", "y"])).await.expect_err("refused");
        assert_eq!((fault.code, &*fault.message), (code::ISV_ABORTED, "not today"));
        assert!(world.sources().await.is_empty());
        let nested = if stage == 10 { 0 } else { 2 };
        assert_eq!(world.labels().await.len(), nested, "no transaction undoes it");
        assert!(world.seen().iter().all(|one| one.stage <= stage));
        // The single message has its bulk steps behind its own.
        let name = MessageName::Create;
        let fault = world.send(name, world.pings(&["x"])).await.expect_err("refused");
        assert_eq!(fault.code, code::ISV_ABORTED);
        assert!(world.sources().await.is_empty());
        assert_eq!(world.labels().await.len(), nested + 1);
    }
}

// 63: a single step that refuses one record fails it alone, and it is left out of what comes later.
#[tokio::test]
async fn a_single_step_before_the_write_refuses_its_record() {
    for (stage, name) in [
        (10, "Create"),
        (20, "Create"),
        (10, "Update"),
        (20, "Update"),
        (20, "Upsert"),
        (10, "Delete"),
        (20, "Delete"),
    ] {
        let world = open().await;
        if name != "Create" {
            world.written(MessageName::CreateMultiple, world.pings(&["1", "2", "3"])).await;
        }
        world.act("refuses", |call, _| async move {
            match call.record == Some(1) {
                true => refuses("not that one"),
                false => Ran::with(StepAnswer::default()),
            }
        });
        let bulk = format!("{name}Multiple");
        world.register(1, on("refuses", name, stage)).await;
        world.register(2, on("a", name, stage).rank(2)).await;
        world.register(3, on("b", &bulk, 40)).await;
        world.register(4, on("c", name, 40)).await;
        world.register(5, New { mode: 1, ..on("d", name, 40) }).await;
        world.register(6, New { mode: 1, ..on("e", &bulk, 40) }).await;
        let all = [
            MessageName::CreateMultiple,
            MessageName::UpdateMultiple,
            MessageName::UpsertMultiple,
            MessageName::DeleteMultiple,
        ];
        let message = all.into_iter().find(|one| one.as_str() == bulk).expect("a bulk form");
        let partly = world.partly(message, world.pings(&["x", "y", "z"])).await;
        assert_eq!(codes(&partly), [None, Some(code::ISV_ABORTED), None], "{name} {stage}");
        let failure = partly.outcomes[1].clone().expect_err("it failed");
        assert_eq!((failure.index, &*failure.message), (1, "not that one"));
        assert_eq!(failure.id, Some(Uuid::from_u128(2)));
        assert!(partly.written.is_empty() && partly.said.is_none());
        let left = match name {
            "Create" => vec!["x", "z"],
            "Delete" => vec!["2"],
            _ => vec!["x", "2", "z"],
        };
        assert_eq!(world.sources().await, left, "{name} {stage}");
        let late: Vec<(String, Option<usize>, usize)> = world
            .seen()
            .iter()
            .filter(|one| one.call.step.name.len() == 1)
            .map(|one| (one.call.step.name.to_string(), one.record, one.targets))
            .collect();
        let expected = [("a", Some(0), 1), ("a", Some(2), 1), ("b", None, 2), ("c", Some(0), 1)];
        let expected = expected.into_iter().chain([("c", Some(2), 1)]);
        let expected: Vec<_> =
            expected.map(|(step, record, targets)| (step.to_owned(), record, targets)).collect();
        assert_eq!(late, expected, "{name} {stage}");
        let jobs = world.house.rows("asyncoperation", &["messagename"]).await;
        let of = |name: &str| jobs.iter().filter(|job| job[0] == Value::text(name)).count();
        assert_eq!((of(name), of(&bulk)), (2, 1), "jobs of what was written");
    }
}

// 62, 2.8.4, 2.8.5: behind the write nothing is undone; who failed in the write is left out.
#[tokio::test]
async fn behind_the_write_a_refusal_is_told_and_the_rows_stay() {
    let world = open().await;
    world.act("refuses", |call, _| async move {
        match call.record == Some(0) {
            true => refuses("too late"),
            false => Ran::with(StepAnswer::default()),
        }
    });
    world.register(1, on("refuses", "Create", 40)).await;
    world.register(2, on("a", "Create", 40).rank(5)).await;
    let mut targets = world.pings(&["x", "longer than twenty characters", "z"]);
    targets.push(world.ping(1, "p", "again"));
    let name = MessageName::CreateMultiple;
    let partly = world.partly(name, targets).await;
    let failed = [
        Some(code::ISV_ABORTED),
        Some(code::STRING_LENGTH_TOO_LONG),
        None,
        Some(code::DUPLICATE_RECORD),
    ];
    assert_eq!(codes(&partly), failed);
    assert_eq!(Vec::from_iter(partly.written.clone()), [0]);
    assert!(partly.said.is_none());
    assert_eq!(world.sources().await, ["x", "z"]);
    assert_eq!(world.trace(), "40 Create refuses #0\n40 Create refuses #2\n40 Create a #2");
    // A step for all of them.
    world.act("b", |_, _| async move { refuses("all of it") });
    world.register(3, on("b", "UpdateMultiple", 40)).await;
    world.register(4, New { mode: 1, ..on("c", "UpdateMultiple", 40) }).await;
    let targets =
        vec![world.ping(1, "p", "n1"), world.ping(9, "p", "n9"), world.ping(3, "p", "n3")];
    let partly = world.partly(MessageName::UpdateMultiple, targets).await;
    let missing = Some(code::OBJECT_DOES_NOT_EXIST);
    assert_eq!(codes(&partly), [Some(code::ISV_ABORTED), missing, Some(code::ISV_ABORTED)]);
    assert_eq!(Vec::from_iter(partly.written.clone()), [0, 2]);
    assert_eq!(partly.said.as_ref().map(|said| &*said.message), Some("all of it"));
    assert_eq!(world.sources().await, ["n1", "n3"]);
    assert_eq!(world.seen()[0].targets, 2);
    assert!(world.house.rows("asyncoperation", &["name"]).await.is_empty());
    // A single message is its only record.
    let name = MessageName::Update;
    let fault = world.send(name, vec![world.ping(1, "p", "m1")]).await.expect_err("refused");
    assert_eq!((fault.code, &*fault.message), (code::ISV_ABORTED, "all of it"));
    assert_eq!(world.sources().await, ["m1", "n3"]);
}

// What is no record's doing fails the message before the write, and a value that does not fit its record.
#[tokio::test]
async fn what_is_no_records_doing_fails_the_whole_message() {
    let world = open().await;
    world.register(1, on("crashes", "Create", 20)).await;
    for (fault, is_whole) in [
        (StepFault::TimeLimit, true),
        (StepFault::TypeMissing, true),
        (StepFault::NoneFree, true),
        (StepFault::Crashed(String::new()), false),
        (StepFault::MemoryLimit, false),
        (StepFault::Unexpected(String::new()), false),
    ] {
        let again = fault.clone();
        world.act("crashes", move |call, _| {
            let fault = again.clone();
            async move {
                match call.record == Some(1) {
                    true => Ran::failed(fault),
                    false => Ran::with(StepAnswer::default()),
                }
            }
        });
        let sent = world.send(MessageName::CreateMultiple, world.pings(&["x", "y"])).await;
        match is_whole {
            true => drop(sent.expect_err("the whole message")),
            false => assert!(matches!(sent, Ok(Reply::Partly(_))), "{fault:?}"),
        }
        assert_eq!(world.sources().await.len(), usize::from(!is_whole), "{fault:?}");
        let gone = vec![world.ping(1, "p", "")];
        if !is_whole {
            world.written(MessageName::Delete, gone).await;
        }
    }
    world.act("crashes", |call, _| async move {
        let wrong = if call.record == Some(1) { 101 } else { 100 };
        sets(&call, "ship_value", Some(Value::Integer(wrong)))
    });
    let partly = world.partly(MessageName::CreateMultiple, world.pings(&["x", "y", "z"])).await;
    assert_eq!(codes(&partly), [None, Some(code::INTEGER_VALUE_OUT_OF_RANGE), None]);
    assert_eq!(world.sources().await, ["x", "z"]);
}

// 31, 32: images by id and partition; 29, 30: variables of a record.
#[tokio::test]
async fn images_and_variables_are_those_of_their_record() {
    let world = open().await;
    let rows = [(1, "p", "old p"), (1, "q", "old q"), (2, "p", "old 2")];
    let targets = |prefix: &str| -> Vec<Target> {
        let rows = rows.iter();
        rows.map(|(number, partition, source)| {
            world.ping(*number, partition, &source.replace("old", prefix))
        })
        .collect()
    };
    world.written(MessageName::CreateMultiple, targets("old")).await;
    world.act("tags", |call, _| async move {
        let source = value(&call, &call.targets[0], "partitionid");
        let Some(Value::Text(text)) = source else { panic!("a partition") };
        shares("of", &text)
    });
    world.register(1, on("tags", "Update", 20)).await;
    for (number, message, stage) in [(2, "UpdateMultiple", 10), (3, "Update", 40)] {
        let step = world.register(number, on("looks", message, stage)).await;
        let kind = if stage == 40 { 2 } else { 0 };
        world.try_image(step, ("both", kind, "ship_source,partitionid")).await.expect("fine");
    }
    let mut sent = targets("new");
    sent.push(world.ping(8, "p", "none"));
    sent.push(world.ping(1, "q", "ignored"));
    let partly = world.partly(MessageName::UpdateMultiple, sent).await;
    let missing = Some(code::OBJECT_DOES_NOT_EXIST);
    assert_eq!(codes(&partly), [None, None, None, missing, None]);
    let seen = world.seen();
    let text = |record: &Option<pipeline::step::Record>, call: &pipeline::step::StepCall| {
        let record = record.as_ref()?;
        match value(call, record, "ship_source")? {
            Value::Text(text) => Some(text.to_string()),
            _ => None,
        }
    };
    let bulk = &seen[0].call;
    let before: Vec<_> = bulk.pre_images[0].rows.iter().map(|row| text(row, bulk)).collect();
    let old = |source: &str| Some(source.to_owned());
    assert_eq!(before, [old("old p"), old("old q"), old("old 2"), None]);
    let late: Vec<_> = seen.iter().filter(|one| one.stage == 40).collect();
    let images: Vec<_> = late
        .iter()
        .map(|one| {
            let (before, after) = (&one.call.pre_images[0], &one.call.post_images[0]);
            let shared = match &one.call.frame.shared[0].value {
                ParameterValue::One(Value::Text(text)) => text.to_string(),
                other => panic!("{other:?}"),
            };
            (text(&before.rows[0], &one.call), text(&after.rows[0], &one.call), shared)
        })
        .collect();
    let of = |before: &str, after: &str, shared: &str| (old(before), old(after), shared.to_owned());
    let expected =
        [of("old p", "new p", "p"), of("old q", "new q", "q"), of("old 2", "new 2", "p")];
    assert_eq!(images, expected);
    // A delete has the row as it was.
    let step = world.register(9, on("looks", "DeleteMultiple", 20)).await;
    world.try_image(step, ("before", 0, "")).await.expect("fine");
    world.written(MessageName::DeleteMultiple, targets("")).await;
    let seen = world.seen();
    let call = &seen[0].call;
    let before: Vec<_> = call.pre_images[0].rows.iter().map(|row| text(row, call)).collect();
    assert_eq!(before, [old("new p"), old("new q"), old("new 2")]);
}

// 3.3.2, 50: what is an event there can be registered, and which images it has.
#[tokio::test]
async fn registrations_know_the_events_of_elastic_tables() {
    let world = open().await;
    for (number, message, refused) in [
        (1, "Upsert", [Some(code::IMAGE_NOT_SUPPORTED); 2]),
        (2, "UpsertMultiple", [Some(code::IMAGE_NOT_SUPPORTED); 2]),
        (3, "DeleteMultiple", [None, Some(code::IMAGE_TYPE_NOT_SUPPORTED)]),
        (4, "Delete", [None, Some(code::IMAGE_TYPE_NOT_SUPPORTED)]),
        (5, "CreateMultiple", [Some(code::IMAGE_TYPE_NOT_SUPPORTED), None]),
        (6, "UpdateMultiple", [None, None]),
    ] {
        let step = world.register(number, on("a", message, 40)).await;
        for (kind, refused) in (0..).zip(refused) {
            let made = world.try_image(step, ("image", kind, "ship_source")).await;
            assert_eq!(made.err().map(|fault| fault.code), refused, "{message} {kind}");
        }
    }
    let fault = world.try_register(9, &on("a", "Retrieve", 20)).await.expect_err("no event");
    assert_eq!(fault.code, code::STEP_NOT_ALLOWED);
}

// 17, 19, 98: ids; a step gives a new record its id, and puts no record elsewhere.
#[tokio::test]
async fn steps_give_new_records_their_ids_and_change_no_partition() {
    let world = open().await;
    let own = Uuid::from_u128(77);
    world
        .act("a", move |call, _| async move { sets(&call, "ship_pingid", Some(Value::Guid(own))) });
    world.act("b", |_, _| async move {
        let value = Some(ParameterValue::One(Value::Guid(Uuid::from_u128(5))));
        let output = vec![ParameterChange { name: "id".into(), value }];
        Ran::with(StepAnswer { output, ..StepAnswer::default() })
    });
    let first = world.register(1, on("a", "Create", 20)).await;
    world.register(2, on("b", "Create", 40)).await;
    let new = Target { key: TargetKey::None, ..world.ping(0, "p", "x") };
    let made = world.written(MessageName::Create, vec![new]).await;
    assert_eq!(made[0].id, Uuid::from_u128(5), "the answer is the step's");
    let table = world.house.table(PING);
    let key = table.column(table.primary_key).logical_name.clone();
    assert_eq!(world.house.rows(PING, &[&key]).await, [[Value::Guid(own)]]);
    let step = world.house.target_of("sdkmessageprocessingstep", TargetKey::Id(first), &[]);
    let name = MessageName::Delete;
    world.house.write(name, "sdkmessageprocessingstep", vec![step]).await.expect("it goes");
    world.act("c", |call, _| async move { sets(&call, "partitionid", Some(Value::text("other"))) });
    world.register(3, on("c", "Create", 10)).await;
    let fault = world.send(MessageName::Create, vec![world.ping(9, "p", "x")]).await;
    assert_eq!(fault.expect_err("its name").code, code::INVALID_ARGUMENT);
    // The same partition is no change.
    world.written(MessageName::Create, vec![world.ping(9, "other", "x")]).await;
    let fault = world.send(
        MessageName::UpsertMultiple,
        vec![world.ping(9, "other", "x"), world.ping(9, "other", "y")],
    );
    let fault = fault.await.expect_err("a record twice");
    assert_eq!(fault.failures[0].index, 1);
}

// 8, 25, 1.3.6: rights behind stage 10; a failed call of a step dooms nothing where nothing can be undone.
#[tokio::test]
async fn a_failed_call_of_a_step_that_goes_on_is_harmless() {
    let world = open().await;
    world.act("nests", |call, service| async move {
        let (name, condition) = (MessageName::CreateMultiple, Condition::Any);
        let table = call.frame.table.clone();
        let target = Target { key: TargetKey::Id(Uuid::from_u128(1)), ..Target::default() };
        let targets = vec![target.clone(), target];
        if call.frame.depth == 1 {
            let write = ServiceRequest::Write(Write { name, table, targets, condition });
            let fault = sends(&service, write).await.expect_err("the second is there already");
            assert_eq!(fault.code, code::DUPLICATE_RECORD);
        }
        Ran::with(StepAnswer::default())
    });
    world.register(1, on("nests", "Create", 20)).await;
    world.written(MessageName::Create, vec![world.ping(3, "p", "x")]).await;
    assert_eq!(world.sources().await.len(), 2, "the nested row, and the row");
    let depths: Vec<u32> = world.seen().iter().map(|one| one.call.frame.depth).collect();
    assert_eq!(depths, [1, 2, 2]);
}
