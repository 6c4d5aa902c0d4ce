//! What a run is about reaches its guest whole in both forms, and in the lean one only when it is asked for.

use crate::guests;
use crate::house::{Fake, call, catalog, contact, host, id, record, run_unruly, step};
use model::{Catalog, Decimal, LookupValue, MessageName, Timestamp, Value};
use pipeline::step::{
    CellChange, Frame, Image, Parameter, ParameterChange, ParameterValue, Record, StepFault,
    StepRunner,
};
use plugin::Settings;
use std::sync::Arc;

/// Accounts with cells of many kinds, and one with none.
fn accounts(catalog: &Catalog) -> Vec<Record> {
    let table = catalog.table("account").unwrap();
    let holder = catalog.table("contact").unwrap();
    let lookup = Value::Lookup(LookupValue { table: holder.id, id: id(u128::MAX / 3) });
    let money = Value::Decimal(Decimal::from_i128_with_scale(-123_456_789_012_345_678, 4));
    let first = record(
        table,
        &[
            ("name", Value::text("Käse & Söhne")),
            ("description", Value::Null),
            ("revenue", money),
            ("numberofemployees", Value::Integer(-7)),
            ("creditonhold", Value::Boolean(true)),
            ("industrycode", Value::Integer(33)),
            ("primarycontactid", lookup),
            ("createdon", Value::DateTime(Timestamp(-86_399))),
        ],
    );
    let last = record(table, &[("name", Value::text("b")), ("telephone1", Value::text("1"))]);
    vec![Record { id: Some(id(7)), version: Some(9), ..first }, Record::default(), last]
}

#[tokio::test]
async fn every_cell_comes_back_as_it_was_handed_over() {
    let (host, catalog) = (host(Settings::default()), catalog().await);
    let targets = accounts(&catalog);
    let mut want: Vec<CellChange> = Vec::new();
    for (target, record) in targets.iter().enumerate() {
        let cells = record.cells.iter();
        want.extend(cells.map(|cell| CellChange {
            target,
            column: cell.column,
            value: Some(cell.value.clone()),
        }));
    }
    want.sort_by_key(|change| (change.target, change.column.0));
    for component in [guests::unruly(), guests::unruly_whole()] {
        let step = step(&component, "unruly", "echo");
        let message = MessageName::UpdateMultiple;
        let call = call(&catalog, &step, message, "account", targets.clone());
        let mut got = host.run(call, Fake::new(&component)).await.answer.unwrap().targets;
        got.sort_by_key(|change| (change.target, change.column.0));
        assert_eq!(got, want);
    }
}

#[tokio::test]
async fn images_parameters_and_contexts_around_come_with_the_targets() {
    let (host, catalog) = (host(Settings::default()), catalog().await);
    let component = guests::unruly();
    let step = step(&component, "unruly", "echo");
    let targets = vec![contact(&catalog, "A"), contact(&catalog, "B")];
    let mut call = call(&catalog, &step, MessageName::UpdateMultiple, "contact", targets);
    let before = Record { id: Some(id(0xb)), ..contact(&catalog, "Before") };
    call.pre_images = vec![Image { alias: "before".into(), rows: vec![None, Some(before)] }];
    let contacts = catalog.table("contact").unwrap().clone();
    let records = ParameterValue::Records(contacts, vec![contact(&catalog, "Inside")]);
    let values = [
        ("ids", ParameterValue::Ids(vec![id(1), id(2)])),
        ("records", records),
        ("money", ParameterValue::Money(Decimal::from(12))),
        ("choice", ParameterValue::Choice(-1)),
        ("bytes", ParameterValue::Bytes(Arc::from(&b"\x00\xff"[..]))),
        ("text", ParameterValue::One(Value::text("t"))),
    ];
    let parameters = values.map(|(name, value)| Parameter { name: name.into(), value });
    call.frame.input = parameters.to_vec();
    call.output = parameters[..1].to_vec();
    let shared = Parameter { name: "tag".into(), value: ParameterValue::One(Value::text("up")) };
    call.parents = vec![Arc::new(Frame { stage: 30, shared: vec![shared], ..call.frame.clone() })];
    let ran = host.run(call, Fake::new(&component)).await;
    let answer = ran.answer.unwrap();
    assert_eq!(&*ran.trace[0], "UpdateMultiple of contact at Other(30)");
    let value = |changes: &[ParameterChange], name: &str| {
        changes.iter().find(|change| &*change.name == name).and_then(|change| change.value.clone())
    };
    for Parameter { name, value: want } in parameters {
        assert_eq!(value(&answer.shared, &name), Some(want), "{name}");
    }
    assert_eq!(value(&answer.output, "ids"), Some(ParameterValue::Ids(vec![id(1), id(2)])));
    let one = |value| Some(ParameterValue::One(value));
    assert_eq!(value(&answer.shared, "tag"), one(Value::text("up")));
    assert_eq!(value(&answer.shared, "targets"), one(Value::Integer(2)));
    assert_eq!(value(&answer.shared, "before 1"), one(Value::Guid(id(0xb))));
    assert_eq!(value(&answer.shared, "before 0"), None);
}

#[tokio::test]
async fn the_hand_over_is_given_once_in_each_run() {
    let (host, catalog) = (host(Settings::default()), catalog().await);
    let component = guests::unruly();
    let seat = host.enter(std::time::Duration::from_secs(60)).await.unwrap();
    let step = step(&component, "unruly", "greedy");
    let targets = vec![contact(&catalog, "A")];
    let mut call = call(&catalog, &step, MessageName::Create, "contact", targets);
    call.seat = Some(seat);
    // Twice in one instance: what is given once is given for each record of a message.
    for _ in 0..2 {
        let ran = host.run(call.clone(), Fake::new(&component)).await;
        assert_eq!(&*ran.trace[0], "true false");
    }
    drop(call);
    assert!(run_unruly(&host, &catalog, "idle").await.answer.is_ok());
}

#[tokio::test]
async fn a_guest_that_reads_no_target_does_no_work_for_them() {
    // Instructions that suffice for an empty run, and by far not for looking at each row once.
    let settings = Settings { fuel: Some(50_000), ..Settings::default() };
    let (host, catalog) = (host(settings), catalog().await);
    let targets: Vec<Record> = (0..10_000).map(|_| contact(&catalog, "Doe")).collect();
    for (component, suffices) in [(guests::unruly(), true), (guests::unruly_whole(), false)] {
        let step = step(&component, "unruly", "idle");
        let message = MessageName::CreateMultiple;
        let bulk = call(&catalog, &step, message, "contact", targets.clone());
        let answer = host.run(bulk, Fake::new(&component)).await.answer;
        match suffices {
            true => assert!(answer.is_ok(), "{answer:?}"),
            false => assert!(matches!(answer, Err(StepFault::TimeLimit)), "{answer:?}"),
        }
        let none = call(&catalog, &step, message, "contact", Vec::new());
        assert!(host.run(none, Fake::new(&component)).await.answer.is_ok());
    }
}
