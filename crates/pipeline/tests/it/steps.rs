//! Steps around messages: order, changes, transactions, images, calls back.
//!
//! Numbers in names of comments are those of plugins.md 7.

mod codes;
mod elastic;
mod random;
mod registration;
mod traces;
mod world;

use crate::house::id;
use model::{MessageName, TargetKey, Uuid, Value, code};
use pipeline::step::{
    ParameterChange, ParameterValue, QueryText, Ran, ServiceReply, ServiceRequest, StepAnswer,
    StepFault,
};
use pipeline::{Bypass, Context, Message, Reply, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use world::{World, creates, on, refuses, sends, sets, shares, value};

// 1, 36, 40, 41: stage by stage; the form that was sent first; single steps record by record.
#[tokio::test]
async fn a_bulk_message_runs_bulk_steps_once_and_single_steps_for_each_target() {
    let world = World::open().await;
    world.register(1, on("a", "CreateMultiple", 20).rank(9)).await;
    world.register(2, on("b", "Create", 20).rank(2)).await;
    world.register(3, on("c", "Create", 20).rank(1)).await;
    world.register(4, on("d", "CreateMultiple", 10)).await;
    world.register(5, on("e", "Create", 40)).await;
    world.write(MessageName::CreateMultiple, world.crates(&["x", "y"])).await.expect("fine");
    expect_test::expect![[r#"
        10 CreateMultiple d all 2
        20 CreateMultiple a all 2
        20 Create c #0
        20 Create b #0
        20 Create c #1
        20 Create b #1
        40 Create e #0
        40 Create e #1"#]]
    .assert_eq(&world.trace());
}

// 37, 42: a single message runs the bulk steps with one target, behind its own.
#[tokio::test]
async fn a_single_message_also_runs_the_bulk_steps() {
    let world = World::open().await;
    world.register(1, on("a", "CreateMultiple", 20)).await;
    world.register(2, on("b", "Create", 20).rank(5)).await;
    world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    let seen = world.seen();
    let trace: Vec<_> = seen.iter().map(|one| (one.call.step.message, one.targets)).collect();
    assert_eq!(trace, [(MessageName::Create, 1), (MessageName::CreateMultiple, 1)]);
    // The frames around say what was sent: 20, 42.
    let parents: Vec<_> =
        seen[1].call.parents.iter().map(|frame| (frame.message, frame.stage)).collect();
    assert_eq!(parents, [(MessageName::CreateMultiple, 30), (MessageName::Create, 30)]);
    assert_eq!(seen[0].call.frame.depth, 1);
}

// 2: equal ranks by filter, then by id; 6: steps without a table run for all.
#[tokio::test]
async fn equal_ranks_are_ordered_by_filter_and_then_by_id() {
    let world = World::open().await;
    world.register(7, on("a", "Create", 20)).await;
    world.register(3, on("b", "Create", 20)).await;
    world.register(9, world::New { table: None, ..on("c", "Create", 20) }).await;
    world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    assert_eq!(world.trace(), "20 Create c ?\n20 Create b ?\n20 Create a ?".replace('?', "#0"));
    let account = world.house.target_of("account", TargetKey::None, &[]);
    world.house.write(MessageName::Create, "account", vec![account]).await.expect("fine");
    assert_eq!(world.trace(), "20 Create c #0");
}

// 12, 13, 43: what is changed before the write is written, in both forms; behind it nothing is.
#[tokio::test]
async fn changes_before_the_write_are_written() {
    let world = World::open().await;
    world.act("a", |call, _| async move { sets(&call, "ship_label", Some(Value::text("bulk"))) });
    world.act("b", |call, _| async move {
        let label = value(&call, &call.targets[0], "ship_label");
        assert_eq!(label, Some(Value::text("bulk")), "the bulk step came first");
        sets(&call, "ship_weight", Some(Value::Integer(7)))
    });
    world.act("c", |call, _| async move { sets(&call, "ship_label", Some(Value::text("late"))) });
    world.register(1, on("a", "CreateMultiple", 20)).await;
    world.register(2, on("b", "Create", 20)).await;
    world.register(3, on("c", "Create", 40)).await;
    world.write(MessageName::CreateMultiple, world.crates(&["x", "y"])).await.expect("fine");
    let rows = world.house.rows("ship_crate", &["ship_label", "ship_weight"]).await;
    assert_eq!(rows, vec![vec![Value::text("bulk"), Value::Integer(7)]; 2]);
}

#[tokio::test]
async fn null_is_written_and_a_column_that_is_taken_off_stays_as_it_was() {
    let world = World::open().await;
    let made = world.write(MessageName::Create, world.crates(&["old"])).await.expect("fine");
    let update = |weight| {
        let key = TargetKey::Id(made[0].id);
        let cells = [("ship_label", Value::text("new")), ("ship_weight", Value::Integer(weight))];
        vec![world.house.target(key, &cells)]
    };
    world.act("a", |call, _| async move { sets(&call, "ship_label", None) });
    world.act("b", |call, _| async move { sets(&call, "ship_weight", Some(Value::Null)) });
    let first = world.register(1, on("a", "Update", 20)).await;
    world.register(2, on("b", "UpdateMultiple", 20)).await;
    world.write(MessageName::Update, update(5)).await.expect("fine");
    let rows = world.house.rows("ship_crate", &["ship_label", "ship_weight"]).await;
    assert_eq!(rows, [[Value::text("old"), Value::Null]]);
    assert_eq!(first, Uuid::from_u128(1));
}

// A bad value is refused with the column's own code, and nothing is kept (1.4.4).
#[tokio::test]
async fn values_of_steps_are_checked_like_those_of_callers() {
    let world = World::open().await;
    world.act("a", |call, _| async move { sets(&call, "ship_weight", Some(Value::Integer(-1))) });
    world.register(1, on("a", "Create", 20)).await;
    let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no");
    assert_eq!(fault.code, code::INTEGER_VALUE_OUT_OF_RANGE);
    world.act("a", |call, _| async move { sets(&call, "ship_weight", Some(Value::text("7"))) });
    let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no");
    assert_eq!(fault.code, code::INVALID_ARGUMENT);
    assert!(world.labels().await.is_empty());
}

// 9, 14, 16, 18: what is in a context at each stage.
#[tokio::test]
async fn contexts_grow_from_stage_to_stage() {
    let world = World::open().await;
    for (id, stage) in [(1, 10), (2, 20), (3, 40)] {
        world.register(id, on("looks", "Create", stage)).await;
        world.register(id + 10, on("looks", "CreateMultiple", stage)).await;
    }
    let made = world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    let seen = world.seen();
    let single: Vec<_> = seen.iter().filter(|one| !one.call.is_bulk()).collect();
    let inside: Vec<bool> = single.iter().map(|one| one.call.frame.is_in_transaction).collect();
    assert_eq!(inside, [false, true, true]);
    let has = |one: &world::Seen, column| value(&one.call, &one.call.targets[0], column).is_some();
    assert_eq!(
        single.iter().map(|one| has(one, "modifiedon")).collect::<Vec<_>>(),
        [false, true, true]
    );
    let ids: Vec<Uuid> = single.iter().map(|one| one.call.frame.primary_id).collect();
    assert_eq!(ids, [Uuid::nil(), Uuid::nil(), made[0].id]);
    let output: Vec<usize> = single.iter().map(|one| one.call.output.len()).collect();
    assert_eq!(output, [0, 0, 1]);
    assert_eq!(single[2].call.output[0].value, ParameterValue::One(Value::Guid(made[0].id)));
    let bulk: Vec<_> = seen.iter().filter(|one| one.call.is_bulk()).collect();
    assert_eq!(bulk[2].call.output[0].value, ParameterValue::Ids(vec![made[0].id]));
    assert!(bulk.iter().all(|one| one.call.frame.primary_id.is_nil()));
    let sent = &single[2].call.parents[0].sent;
    assert!(value(&single[2].call, &sent[0], "modifiedon").is_none());
}

// 17, 19: ids that steps choose.
#[tokio::test]
async fn a_step_gives_a_new_record_its_id_and_the_answer_another() {
    let world = World::open().await;
    let key = world.house.table("ship_crate").primary_key;
    let name = world.house.table("ship_crate").column(key).logical_name.clone();
    let (wanted, told) = (Uuid::from_u128(77), Uuid::from_u128(78));
    world.act("a", move |call, _| {
        let name = name.clone();
        async move { sets(&call, &name, Some(Value::Guid(wanted))) }
    });
    world.act("b", move |_, _| async move {
        let value = Some(ParameterValue::One(Value::Guid(told)));
        let output = vec![ParameterChange { name: "id".into(), value }];
        Ran::with(StepAnswer { output, ..StepAnswer::default() })
    });
    world.register(1, on("a", "Create", 20)).await;
    let made = world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    assert_eq!(made[0].id, wanted);
    world.register(2, on("b", "Create", 40)).await;
    let again = world.write(MessageName::Create, world.crates(&["x"])).await;
    assert_eq!(again.expect_err("it is taken").code, code::DUPLICATE_RECORD);
    world.write(MessageName::Delete, vec![world.house.target(id(77), &[])]).await.expect("fine");
    let made = world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    assert_eq!(made[0].id, told);
    assert_eq!(world.labels().await.len(), 1);
}

// 10, 11: what steps write lives and dies with the transaction they are in.
#[tokio::test]
async fn a_refusal_undoes_what_was_written_in_the_transaction() {
    let world = World::open().await;
    let refusing = Arc::new(AtomicU32::new(1));
    let depth_of_nested = Arc::new(AtomicU32::new(0));
    let (own, seen) = (refusing.clone(), depth_of_nested.clone());
    world.act("writes", move |call, service| {
        let seen = seen.clone();
        async move {
            if call.frame.depth > 1 {
                seen.store(call.frame.depth, Ordering::SeqCst);
                return Ran::with(StepAnswer::default());
            }
            let label = format!("by {}", call.frame.stage);
            sends(&service, creates(&call, &[&label])).await.expect("a nested create");
            Ran::with(StepAnswer::default())
        }
    });
    world.act("refuses", move |call, _| {
        let own = own.clone();
        async move {
            match call.frame.depth == 1 && own.load(Ordering::SeqCst) == 1 {
                true => refuses("not today"),
                false => Ran::with(StepAnswer::default()),
            }
        }
    });
    world.register(1, on("writes", "Create", 10)).await;
    world.register(2, on("writes", "Create", 40)).await;
    world.register(3, on("refuses", "CreateMultiple", 40).rank(9)).await;
    let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no");
    assert_eq!((fault.code, &*fault.message), (code::ISV_ABORTED, "not today"));
    assert_eq!(world.labels().await, [Value::text("by 10")], "its own transaction");
    assert_eq!(depth_of_nested.load(Ordering::SeqCst), 2);
    refusing.store(0, Ordering::SeqCst);
    world.seen();
    world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    assert_eq!(world.labels().await.len(), 4);
    // 11, 21: stage 10 of a nested message is in the transaction of the step, one deeper.
    let nested: Vec<_> = world.seen().into_iter().filter(|one| one.call.frame.depth == 2).collect();
    let of = |stage: i32, inside: bool| {
        nested.iter().any(|one| one.stage == stage && one.call.frame.is_in_transaction == inside)
    };
    assert!(of(10, false) && of(10, true) && of(40, true));
    let chain = &nested[0].call.parents;
    assert_eq!(chain.last().map(|frame| frame.depth), Some(1));
    let one = nested[0].call.frame.correlation;
    assert!(nested.iter().all(|other| other.call.frame.correlation == one), "23");
    assert_ne!(nested[0].call.frame.request, chain.last().expect("a parent").request);
}

// 22: recursion ends.
#[tokio::test]
async fn a_step_that_causes_itself_is_stopped() {
    let world = World::open().await;
    world.act("nests", |call, service| async move {
        match sends(&service, creates(&call, &["again"])).await {
            Ok(_) => Ran::with(StepAnswer::default()),
            Err(fault) => Ran::failed(StepFault::PassedOn(Box::new(fault))),
        }
    });
    world.register(1, on("nests", "Create", 40)).await;
    let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no end");
    assert_eq!(fault.code, code::DEPTH_TOO_HIGH);
    assert_eq!(world.seen().iter().map(|one| one.call.frame.depth).max(), Some(8));
    assert!(world.labels().await.is_empty());
}

// 25, 26: a write that failed dooms the transaction, a read that found nothing does not.
#[tokio::test]
async fn whoever_goes_on_behind_a_failed_write_fails_all_the_same() {
    let world = World::open().await;
    world.act("a", |call, service| async move {
        if call.frame.depth == 1 {
            let table = call.frame.table.clone();
            let key = TargetKey::Id(Uuid::from_u128(404));
            let target = model::Target { key, ..model::Target::default() };
            let condition = pipeline::Condition::Any;
            let name = MessageName::Update;
            let write = Write { name, table, targets: vec![target], condition };
            let failed = sends(&service, ServiceRequest::Write(write)).await.expect_err("no row");
            assert_eq!(failed.code, code::OBJECT_DOES_NOT_EXIST);
            let later = sends(&service, creates(&call, &["late"])).await;
            if call.frame.is_in_transaction {
                assert_eq!(later.expect_err("it is doomed").code, code::NO_ACTIVE_TRANSACTION);
            }
        }
        Ran::with(StepAnswer::default())
    });
    world.register(1, on("a", "Create", 20)).await;
    let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no");
    assert_eq!(fault.code, code::TRANSACTION_COUNT_REDUCED);
    assert!(world.labels().await.is_empty());
    let step =
        world.house.target_of("sdkmessageprocessingstep", id(1), &[("stage", Value::Integer(10))]);
    world
        .house
        .write(MessageName::Update, "sdkmessageprocessingstep", vec![step])
        .await
        .expect("ok");
    world.write(MessageName::Create, world.crates(&["x"])).await.expect("outside it is harmless");
    assert_eq!(world.labels().await.len(), 2);
}

#[tokio::test]
async fn a_step_reads_what_was_written_before_it() {
    let world = World::open().await;
    world.act("looks", |call, service| async move {
        let missing = ServiceRequest::Retrieve {
            table: call.frame.table.clone(),
            key: TargetKey::Id(Uuid::from_u128(404)),
            columns: Vec::new(),
        };
        let fault = sends(&service, missing).await.expect_err("no such row");
        assert_eq!(fault.code, code::OBJECT_DOES_NOT_EXIST);
        let own = ServiceRequest::Retrieve {
            table: call.frame.table.clone(),
            key: TargetKey::Id(call.frame.primary_id),
            columns: Vec::new(),
        };
        let Ok(ServiceReply::Records(found)) = sends(&service, own).await else {
            panic!("its row")
        };
        assert_eq!(value(&call, &found.records[0], "ship_label"), Some(Value::text("x")));
        for text in [
            QueryText::FetchXml(
                "<fetch><entity name='ship_crate'><attribute name='ship_label'/></entity></fetch>"
                    .into(),
            ),
            QueryText::OData("ship_crates?$select=ship_label".into()),
        ] {
            let request = ServiceRequest::RetrieveMultiple(text);
            let Ok(ServiceReply::Records(found)) = sends(&service, request).await else {
                panic!("a page")
            };
            assert_eq!(found.records.len(), 1, "the uncommitted row is seen");
            assert_eq!(value(&call, &found.records[0], "ship_label"), Some(Value::text("x")));
        }
        Ran::with(StepAnswer::default())
    });
    world.register(1, on("looks", "Create", 40)).await;
    world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    assert_eq!(world.labels().await.len(), 1);
}

// 27 to 30: shared variables.
#[tokio::test]
async fn variables_are_shared_within_a_form_and_a_record() {
    let world = World::open().await;
    world.act("tags", |call, _| async move {
        let mine = format!("{}{:?}", call.frame.stage, call.record);
        shares(if call.frame.stage == 10 { "outer" } else { "inner" }, &mine)
    });
    for (number, stage) in [(1, 10), (2, 20), (3, 40)] {
        let name = if stage == 40 { "looks" } else { "tags" };
        world.register(number, on(name, "Create", stage)).await;
        world.register(number + 10, on(name, "CreateMultiple", stage)).await;
    }
    let mut context: Context = world.house.context();
    context.course.tag = Some("import".into());
    let table = world.house.table("ship_crate");
    let targets = world.crates(&["x", "y"]);
    let condition = pipeline::Condition::Any;
    let message = Write { name: MessageName::CreateMultiple, table, targets, condition };
    world.house.pipeline.run(&context, Message::Write(message)).await.expect("fine");
    let last: Vec<_> = world.seen().into_iter().filter(|one| one.stage == 40).collect();
    for one in &last {
        let of = |parameters: &[pipeline::step::Parameter], name: &str| {
            let found = parameters.iter().find(|parameter| &*parameter.name == name);
            found.map(|found| match &found.value {
                ParameterValue::One(Value::Text(text)) => text.to_string(),
                other => panic!("{other:?}"),
            })
        };
        let (own, outer) = (&one.call.frame.shared, &one.call.parents[0].shared);
        assert_eq!(of(own, "inner"), Some(format!("20{:?}", one.record)));
        assert_eq!(of(own, "outer"), None);
        assert_eq!(of(outer, "outer"), Some(format!("10{:?}", one.record)));
        assert_eq!(
            (of(own, "tag"), of(outer, "tag")),
            (Some("import".into()), Some("import".into()))
        );
    }
    assert_eq!(last.len(), 3);
}

// 31 to 33: images.
#[tokio::test]
async fn images_show_rows_before_and_after() {
    let world = World::open().await;
    let made =
        world.write(MessageName::CreateMultiple, world.crates(&["x", "y"])).await.expect("ok");
    let step = world.register(1, on("looks", "UpdateMultiple", 40)).await;
    world.try_image(step, ("row", 2, "ship_label,ship_weight")).await.expect("both");
    world.try_image(step, ("whole", 0, "")).await.expect("pre");
    let updates = made.iter().map(|row| {
        world.house.target(TargetKey::Id(row.id), &[("ship_weight", Value::Integer(3))])
    });
    world.write(MessageName::UpdateMultiple, updates.collect()).await.expect("fine");
    let seen = world.seen();
    let call = &seen[0].call;
    let (pre, post) = (&call.pre_images, &call.post_images);
    let aliases: Vec<_> = pre.iter().chain(post).map(|image| &*image.alias).collect();
    assert_eq!(aliases, ["row", "whole", "row"]);
    let of = |image: &pipeline::step::Image, place: usize, column: &str| {
        value(call, image.rows[place].as_ref().expect("the row is there"), column)
    };
    assert_eq!(of(&pre[0], 0, "ship_weight"), None, "null is left out");
    assert_eq!(of(&pre[0], 1, "ship_label"), Some(Value::text("y")));
    assert_eq!(of(&post[0], 1, "ship_weight"), Some(Value::Integer(3)));
    assert_eq!(of(&pre[0], 0, "createdon"), None);
    assert!(of(&pre[1], 0, "createdon").is_some());
}

// 15: a delete hands over references.
#[tokio::test]
async fn a_delete_hands_over_references_and_the_row_as_it_was() {
    let world = World::open().await;
    let made = world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    let step = world.register(1, on("looks", "Delete", 40)).await;
    world.try_image(step, ("row", 0, "ship_label")).await.expect("pre");
    let target = world.house.target(TargetKey::Id(made[0].id), &[]);
    world.write(MessageName::Delete, vec![target]).await.expect("fine");
    let seen = world.seen();
    let call = &seen[0].call;
    assert!(call.targets[0].cells.is_empty());
    assert_eq!(call.targets[0].id, Some(made[0].id));
    let image = call.pre_images[0].rows[0].as_ref().expect("the row was there");
    assert_eq!(value(call, image, "ship_label"), Some(Value::text("x")));
}

// 44, 51, 52, 54: columns that steps wait for, and targets that come twice.
#[tokio::test]
async fn steps_wait_for_columns_as_earlier_steps_left_them() {
    let world = World::open().await;
    let made =
        world.write(MessageName::CreateMultiple, world.crates(&["x", "y"])).await.expect("ok");
    world.register(1, on("b", "Update", 20).filtered(" Ship_Weight ,ship_price")).await;
    world.register(2, on("c", "UpdateMultiple", 20).filtered("ship_weight")).await;
    let target = |row: usize, name: &str, value: Value| {
        world.house.target(TargetKey::Id(made[row].id), &[(name, value)])
    };
    let targets = vec![
        target(0, "ship_label", Value::text("n")),
        target(1, "ship_weight", Value::Integer(1)),
        target(0, "ship_weight", Value::Integer(9)),
    ];
    let written = world.write(MessageName::UpdateMultiple, targets).await.expect("fine");
    assert_eq!(written.len(), 3);
    assert_eq!(world.trace(), "20 UpdateMultiple c all 2\n20 Update b #1");
    world
        .write(MessageName::Update, vec![target(0, "ship_label", Value::text("m"))])
        .await
        .expect("ok");
    assert_eq!(world.trace(), "");
    world.act("a", |call, _| async move { sets(&call, "ship_weight", Some(Value::Integer(4))) });
    world.register(3, on("a", "UpdateMultiple", 20).rank(0)).await;
    let label = |row, text| target(row, "ship_label", Value::text(text));
    world.write(MessageName::UpdateMultiple, vec![label(0, "p"), label(1, "q")]).await.expect("ok");
    assert_eq!(
        world.trace(),
        "20 UpdateMultiple a all 2\n20 UpdateMultiple c all 2\n20 Update b #0\n20 Update b #1"
    );
}

// 48, 49: upserts are what they become.
#[tokio::test]
async fn an_upsert_raises_creates_and_updates() {
    let world = World::open().await;
    let made = world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
    world.register(1, on("a", "CreateMultiple", 20)).await;
    world.register(2, on("b", "UpdateMultiple", 20)).await;
    world.register(3, on("c", "Create", 20)).await;
    world.register(4, on("d", "Update", 20)).await;
    let label = |key, text| world.house.target(key, &[("ship_label", Value::text(text))]);
    let targets =
        vec![label(id(50), "n"), label(TargetKey::Id(made[0].id), "m"), label(id(51), "o")];
    let written = world.write(MessageName::UpsertMultiple, targets).await.expect("fine");
    let created: Vec<bool> = written.iter().map(|row| row.created).collect();
    assert_eq!(created, [true, false, true]);
    let seen = world.seen();
    let parents: Vec<_> = seen[0].call.parents.iter().map(|frame| frame.message).collect();
    assert_eq!(parents, [MessageName::CreateMultiple, MessageName::UpsertMultiple]);
    let trace: Vec<_> = seen.iter().map(|one| (one.call.step.message, one.record)).collect();
    use MessageName as M;
    assert_eq!(
        trace,
        [
            (M::CreateMultiple, None),
            (M::Create, Some(0)),
            (M::Create, Some(2)),
            (M::UpdateMultiple, None),
            (M::Update, Some(1)),
        ]
    );
    world.write(M::Upsert, vec![label(id(50), "p")]).await.expect("fine");
    assert_eq!(world.trace(), "20 Update d #0\n20 UpdateMultiple b all 1");
    let twice = vec![label(id(60), "a"), label(id(60), "b")];
    assert!(world.write(M::UpsertMultiple, twice).await.is_err());
    assert_eq!(world.trace(), "");
}

// 55, 56, 57: which target is to blame.
#[tokio::test]
async fn a_refused_record_of_a_bulk_message_is_named() {
    let world = World::open().await;
    world.act("refuses", |call, _| async move {
        match value(&call, &call.targets[0], "ship_label") {
            Some(label) if label == Value::text("bad") => refuses("no bad crates"),
            _ => Ran::with(StepAnswer::default()),
        }
    });
    world.register(1, on("refuses", "Create", 20)).await;
    let mut labels = vec!["good"; 1_000];
    labels[731] = "bad";
    let fault = world.write(MessageName::CreateMultiple, world.crates(&labels)).await;
    let fault = fault.expect_err("one is bad");
    assert_eq!((fault.code, fault.text()), (code::ISV_ABORTED, "no bad crates".to_owned()));
    let index = fault.details.iter().find(|(name, _)| &**name == "failedRecordIndex");
    assert_eq!(index.map(|(_, index)| &**index), Some("731"));
    assert!(fault.trace.is_some());
    assert!(world.labels().await.is_empty());
}

// A crash, a text of its own, and a run without an end.
#[tokio::test(start_paused = true)]
async fn failures_of_runs_have_their_codes() {
    let world = World::open().await;
    world.register(1, on("crashes", "Create", 20)).await;
    let cases: [(StepFault, _); 4] = [
        (StepFault::Crashed("wasm trap".into()), code::SANDBOX_CRASHED),
        (StepFault::Unexpected("secret".into()), code::ISV_UNEXPECTED),
        (StepFault::MemoryLimit, code::SANDBOX_CRASHED),
        (StepFault::NoneFree, code::SANDBOX_NOT_AVAILABLE),
    ];
    for (why, code) in cases {
        world.act("crashes", move |_, _| {
            let why = why.clone();
            async move { Ran::failed(why) }
        });
        let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no");
        assert_eq!(fault.code, code);
        assert!(!fault.text().contains("secret"));
    }
    world.act("crashes", |_, _| std::future::pending());
    let fault = world.write(MessageName::Create, world.crates(&["x"])).await.expect_err("no");
    assert_eq!(fault.code, code::STEP_TIME_OVER);
    assert!(world.labels().await.is_empty());
}

// 64: bypass; and several messages in one transaction.
#[tokio::test]
async fn steps_are_left_out_on_request() {
    let world = World::open().await;
    let step = world.register(1, on("a", "Create", 20)).await;
    world.register(2, on("b", "CreateMultiple", 20)).await;
    let fixed = [("canbebypassed", Value::Boolean(false))];
    let fixed = world.house.target_of("sdkmessageprocessingstep", id(2), &fixed);
    world
        .house
        .write(MessageName::Update, "sdkmessageprocessingstep", vec![fixed])
        .await
        .expect("ok");
    for bypass in [
        Bypass { synchronous: true, ..Bypass::default() },
        Bypass { steps: vec![step], ..Bypass::default() },
    ] {
        let mut context = world.house.context();
        context.course.bypass = bypass;
        let (table, targets) = (world.house.table("ship_crate"), world.crates(&["x"]));
        let condition = pipeline::Condition::Any;
        let message = Write { name: MessageName::Create, table, targets, condition };
        world.house.pipeline.run(&context, Message::Write(message)).await.expect("fine");
        assert_eq!(world.trace(), "20 CreateMultiple b all 1");
    }
}

#[tokio::test]
async fn a_change_set_is_one_transaction_with_all_of_its_steps() {
    let world = World::open().await;
    world.act("refuses", |call, _| async move {
        assert!(call.frame.is_in_transaction, "stage 10, too");
        match value(&call, &call.targets[0], "ship_label") {
            Some(label) if label == Value::text("bad") => refuses("no"),
            _ => Ran::with(StepAnswer::default()),
        }
    });
    world.register(1, on("refuses", "Create", 10)).await;
    let write = |label: &str| Write {
        name: MessageName::Create,
        table: world.house.table("ship_crate"),
        targets: world.crates(&[label]),
        condition: pipeline::Condition::Any,
    };
    let all = Message::WriteAll(vec![write("x"), write("bad")]);
    let fault = world.house.run(all).await.expect_err("the second is bad");
    assert_eq!(fault.write, Some(1));
    assert!(world.labels().await.is_empty());
    world.seen();
    let all = Message::WriteAll(vec![write("x"), write("y")]);
    let Ok(Reply::Written(outcomes)) = world.house.run(all).await else { panic!("fine") };
    assert_eq!(outcomes.len(), 2);
    assert_eq!(world.labels().await.len(), 2);
    // One request from outside, two messages.
    let frames: Vec<_> = world.seen().into_iter().map(|seen| seen.call.frame).collect();
    assert_eq!(frames[0].correlation, frames[1].correlation);
    assert_ne!(frames[0].request, frames[1].request);
}
