//! Several writes in one transaction against the same writes one after another.

use crate::house::{House, NOW, id, tracked};
use model::{Fault, MessageName, Target, TargetKey, Value, code};
use pipeline::{Condition, Message, Reply, Write};
use proptest::collection::vec;
use proptest::prelude::*;
use store::RowOutcome;

fn write(house: &House, name: MessageName, targets: Vec<Target>) -> Write {
    Write { name, table: house.table("ship_crate"), targets, condition: Condition::Any }
}

async fn all(house: &House, writes: Vec<Write>) -> Result<Vec<RowOutcome>, Fault> {
    match house.run(Message::WriteAll(writes)).await? {
        Reply::Written(outcomes) => Ok(outcomes),
        other => panic!("writes answered {other:?}"),
    }
}

async fn table(house: &House) -> Vec<Vec<Value>> {
    house.rows("ship_crate", &["ship_crateid", "ship_weight", "ship_trackingno"]).await
}

/// One write: which message, which records, which tracking number (none from 4 on).
type Step = (MessageName, Vec<u128>, u8);

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![
        3 => Just(MessageName::Create),
        3 => Just(MessageName::Update),
        1 => Just(MessageName::Upsert),
        1 => Just(MessageName::Delete),
        1 => Just(MessageName::CreateMultiple),
        1 => Just(MessageName::UpdateMultiple),
    ];
    (name, vec(1u128..9, 1..4), 0u8..24)
}

fn built(house: &House, place: usize, (name, ids, tracking): &Step) -> Write {
    let count = if name.is_bulk() { ids.len() } else { 1 };
    let weight = i32::try_from(place).expect("a small place");
    let targets = ids.iter().take(count).enumerate().map(|(index, number)| {
        let mut cells = vec![("ship_weight", Value::Integer(weight))];
        if *tracking < 4 && index == 0 {
            cells.push(("ship_trackingno", Value::text(format!("T{tracking}"))));
        }
        let cells = if *name == MessageName::Delete { Vec::new() } else { cells };
        house.target(id(*number), &cells)
    });
    write(house, *name, targets.collect())
}

async fn compare(steps: Vec<Step>) {
    let (alone, together) = (House::open().await, House::open().await);
    let mut outcomes = Vec::new();
    let mut failed = None;
    for (place, step) in steps.iter().enumerate() {
        match alone.run(Message::Write(built(&alone, place, step))).await {
            Ok(Reply::Written(written)) => outcomes.extend(written),
            Ok(other) => panic!("a write answered {other:?}"),
            Err(fault) => {
                assert_eq!(fault.write, None);
                failed = Some((place, fault));
                break;
            }
        }
    }
    let writes = steps.iter().enumerate().map(|(place, step)| built(&together, place, step));
    match (failed, all(&together, writes.collect()).await) {
        (None, Ok(written)) => {
            assert_eq!(written, outcomes, "{steps:?}");
            assert_eq!(table(&together).await, table(&alone).await, "{steps:?}");
        }
        (Some((place, fault)), Err(told)) => {
            assert_eq!((told.write, told.code), (Some(place), fault.code), "{steps:?}");
            assert_eq!(told.text(), fault.text(), "{steps:?}");
            assert!(table(&together).await.is_empty(), "{steps:?}");
        }
        (failed, got) => panic!("{failed:?} alone, {got:?} together: {steps:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn writes_in_one_transaction_do_what_they_do_one_after_another(steps in vec(step(), 1..9)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(compare(steps));
    }
}

#[tokio::test]
async fn the_first_write_that_fails_is_told_whatever_is_wrong_with_it() {
    let house = House::open().await;
    let heavy = [("ship_weight", Value::Integer(-1))];
    let writes = |second: u128| {
        vec![
            write(&house, MessageName::Create, vec![house.target(id(1), &[])]),
            write(&house, MessageName::Delete, vec![house.target(id(second), &[])]),
            write(&house, MessageName::Create, vec![house.target(id(2), &heavy)]),
        ]
    };
    let fault = all(&house, writes(9)).await.expect_err("two fail");
    assert_eq!((fault.write, fault.code), (Some(1), code::OBJECT_DOES_NOT_EXIST));
    let fault = all(&house, writes(1)).await.expect_err("the last fails");
    assert_eq!((fault.write, fault.code), (Some(2), code::INTEGER_VALUE_OUT_OF_RANGE));
    assert!(table(&house).await.is_empty());
}

#[tokio::test]
async fn a_later_write_names_a_record_by_the_key_that_an_earlier_one_gave_it() {
    let house = House::open().await;
    let number = [("ship_trackingno", Value::text("T"))];
    let weight = [("ship_weight", Value::Integer(3))];
    let writes = vec![
        write(&house, MessageName::Create, vec![house.target(id(1), &number)]),
        write(&house, MessageName::Update, vec![house.target(tracked("T"), &weight)]),
        write(&house, MessageName::Upsert, vec![house.target(tracked("U"), &weight)]),
        write(&house, MessageName::Create, vec![house.target(TargetKey::None, &[])]),
    ];
    let outcomes = all(&house, writes).await.expect("fine writes");
    assert_eq!(outcomes.iter().map(|it| it.created).collect::<Vec<_>>(), [true, false, true, true]);
    let rows = table(&house).await;
    assert_eq!(rows[0][1], Value::Integer(3));
    assert_eq!(rows.len(), 3);
}

#[tokio::test]
async fn ids_that_are_taken_ascend() {
    let house = House::open().await;
    let ids = house.pipeline.new_ids(3, NOW);
    assert!(ids.is_sorted_by(|a, b| a < b) && ids.len() == 3);
}
