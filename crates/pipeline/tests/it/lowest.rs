//! Of several failing targets the lowest is told, whether its values fail or its row does.

use crate::house::{House, id, tracked};
use model::{Fault, MessageName, Target, Value, code};
use proptest::collection::vec;
use proptest::prelude::*;

/// A target: which record, by key instead of by id, which tracking number (none from 4 on), bad value.
type Draft = (u128, bool, u8, bool);

fn draft() -> impl Strategy<Value = Draft> {
    (1u128..9, prop::bool::weighted(0.2), 0u8..12, prop::bool::weighted(0.15))
}

fn target(house: &House, (number, by_key, tracking, is_bad): &Draft, name: MessageName) -> Target {
    let weight = if *is_bad { -1 } else { 5 };
    let mut cells = vec![("ship_weight", Value::Integer(weight))];
    if *by_key && name == MessageName::UpsertMultiple {
        return house.target(tracked(&format!("T{number}")), &cells);
    }
    if *tracking < 4 {
        cells.push(("ship_trackingno", Value::text(format!("T{tracking}"))));
    }
    house.target(id(*number), &cells)
}

async fn with_rows() -> House {
    let house = House::open().await;
    let rows = [(1, 7), (2, 0), (3, 8)].map(|(number, tracking)| {
        house.target(id(number), &[("ship_trackingno", Value::text(format!("T{tracking}")))])
    });
    let made = house.write(MessageName::CreateMultiple, "ship_crate", rows.to_vec()).await;
    made.expect("plain rows");
    house
}

async fn run(name: MessageName, drafts: &[Draft]) -> Result<(), Fault> {
    let house = with_rows().await;
    let before = house.rows("ship_crate", &["ship_crateid", "versionnumber"]).await;
    let targets = drafts.iter().map(|draft| target(&house, draft, name)).collect();
    let written = house.write(name, "ship_crate", targets).await;
    if written.is_err() {
        let after = house.rows("ship_crate", &["ship_crateid", "versionnumber"]).await;
        assert_eq!(after, before, "nothing of a refused message is kept: {name} {drafts:?}");
    }
    written.map(drop)
}

/// A message fails as its shortest failing beginning does: at that beginning's last target.
async fn check(name: MessageName, drafts: &[Draft]) {
    let mut want = None;
    for count in 1..=drafts.len() {
        if let Err(fault) = run(name, &drafts[..count]).await {
            want = Some((count - 1, fault.code));
            break;
        }
    }
    let got = run(name, drafts).await.err().map(|fault| {
        let indexes: Vec<usize> = fault.failures.iter().map(|failure| failure.index).collect();
        assert!(indexes.is_sorted_by(|a, b| a < b), "{indexes:?} of {name} {drafts:?}");
        (indexes[0], fault.code)
    });
    assert_eq!(got, want, "{name} {drafts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_lowest_failing_target_is_told(drafts in vec(draft(), 1..7)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let names =
                [MessageName::CreateMultiple, MessageName::UpdateMultiple, MessageName::UpsertMultiple];
            for name in names {
                check(name, &drafts).await;
            }
        });
    }
}

#[tokio::test]
async fn every_failing_target_is_listed_values_and_rows_alike() {
    let drafts =
        [(9, false, 9, false), (1, false, 9, false), (8, false, 9, true), (2, false, 9, false)];
    let fault = run(MessageName::CreateMultiple, &drafts).await.expect_err("three fail");
    let listed: Vec<_> =
        fault.failures.iter().map(|failure| (failure.index, failure.code)).collect();
    let taken = code::DUPLICATE_RECORD;
    assert_eq!(listed, [(1, taken), (2, code::INTEGER_VALUE_OUT_OF_RANGE), (3, taken)]);
    assert_eq!(fault.code, taken);
}

#[tokio::test]
async fn a_target_without_an_id_is_told_before_any_value() {
    let house = with_rows().await;
    let heavy = [("ship_weight", Value::Integer(-1))];
    let targets = vec![house.target(id(1), &heavy), house.target(model::TargetKey::None, &[])];
    let fault = house.write(MessageName::UpdateMultiple, "ship_crate", targets).await;
    let fault = fault.expect_err("both fail");
    assert_eq!((fault.code, fault.failures[0].index), (code::OBJECT_DOES_NOT_EXIST, 1));
}
