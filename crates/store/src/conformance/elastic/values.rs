//! Values: what is written is read, whatever its kind.

use super::ElasticHarness;
use super::world::{Became, Cells, World, text};
use crate::conformance::fixture::{id, integer, next_column};
use crate::elastic::{ElasticReason, ROW_BYTES_MAX};
use crate::{SchemaOp, apply_ops};
use model::{Date, LookupValue, TableId, Timestamp, Value};
use std::sync::Arc;

const PARENT: Value = Value::Lookup(LookupValue { table: TableId(21), id: model::Uuid::max() });

pub async fn every_kind_of_column_reads_back_as_written<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let decimal = |text: &str| Value::Decimal(text.parse().expect("a decimal"));
    let rows: [Cells<'_>; 4] = [
        &[],
        &[
            ("ship_label", text("B-10  \u{1F600} Ä\0\u{1}")),
            ("ship_note", text("line\r\nline")),
            ("ship_payload", text(r#"{"a":[1,"ü"]}"#)),
            ("ship_count", Value::Integer(i32::MIN)),
            ("ship_total", Value::BigInt(i64::MAX)),
            ("ship_ratio", decimal("-899999999.9999999999")),
            ("ship_length", Value::Double(-0.1)),
            ("ship_fragile", Value::Boolean(true)),
            ("ship_sentat", Value::DateTime(Timestamp::MIN)),
            ("ship_dueon", Value::Date(Timestamp::MAX.date())),
            ("ship_size", Value::Integer(2)),
            ("ship_tags", Value::Choices([1, 3].into())),
            ("ship_serial", Value::Guid(id(u128::MAX))),
            ("ship_parent", PARENT),
            ("ttlinseconds", Value::Integer(i32::MAX)),
        ],
        &[
            ("ship_count", Value::Integer(i32::MAX)),
            ("ship_total", Value::BigInt(i64::MIN)),
            ("ship_ratio", decimal("0.0000000001")),
            ("ship_length", Value::Double(1e10)),
            ("ship_fragile", Value::Boolean(false)),
            ("ship_sentat", Value::DateTime(Timestamp::MAX)),
            ("ship_dueon", Value::Date(Date(-1))),
            ("ttlinseconds", Value::Integer(-1)),
        ],
        &[("ship_note", text(&"ä".repeat(100_000)))],
    ];
    for (number, cells) in (1..).zip(rows) {
        let place = (id(number), Some("p"));
        let version = world.run(world.insert(place, cells)).await;
        let mut want = vec![Value::Null; world.table().columns.len()];
        let mut set = |name: &str, value| want[usize::from(world.column(name).0)] = value;
        set("ship_pingid", Value::Guid(id(number)));
        set("partitionid", text("p"));
        set("versionnumber", Value::BigInt(version));
        for (name, value) in cells {
            set(name, value.clone());
        }
        assert_eq!(world.row(place).await.as_ref(), Some(&want), "row {number} of its partition");
        assert_eq!(world.all().await.last(), Some(&want), "row {number} of a scan");
    }
}

pub async fn a_column_made_later_is_null_in_older_rows<H: ElasticHarness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    world.run(world.insert(place, &[("ship_label", text("old"))])).await;
    let table = world.table();
    let column = next_column(table.definition(), "ship_Extra", integer());
    let op = SchemaOp::AddColumn { table: table.id, column: Box::new(column) };
    let catalog = apply_ops(&world.catalog, &[op]).expect("a column can be added");
    world.catalog = Arc::new(catalog);
    assert_eq!(world.value(place, "ship_extra").await, Value::Null);
    world.run(world.update(place, &[("ship_extra", Value::Integer(7))])).await;
    assert_eq!(world.value(place, "ship_extra").await, Value::Integer(7));
    assert_eq!(world.value(place, "ship_label").await, text("old"));
}

pub async fn computed_columns_follow_their_sources<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let owner = Value::Lookup(LookupValue { table: TableId(1), id: id(7) });
    let place = (id(1), None);
    world.run(world.insert(place, &[("ownerid", owner.clone())])).await;
    assert_eq!(world.value(place, "owninguser").await, owner);
}

pub async fn a_call_without_writes_does_nothing<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    world.check(Vec::new(), &[]).await;
    assert_eq!(world.all().await, Vec::<Vec<Value>>::new());
}

pub async fn rows_over_the_limit_are_refused<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let half = text(&"x".repeat(ROW_BYTES_MAX / 2));
    let much = text(&"x".repeat(ROW_BYTES_MAX / 2 - 200));
    let too_large = Became::Refused(ElasticReason::TooLarge);
    let place = |number| (id(number), Some("p"));
    let both: Cells<'_> = &[("ship_note", half.clone()), ("ship_payload", half.clone())];
    world
        .check(
            vec![
                world.insert(place(1), both),
                world.insert(place(1), &[("ship_note", half), ("ship_payload", much.clone())]),
                world.insert(place(2), &[("ship_note", much.clone())]),
                world.update(place(2), both),
                world.update(place(2), &[("ship_payload", much)]),
                world.replace(place(3), both, &[]),
                world.insert(place(4), &[]),
            ],
            &[
                too_large,
                Became::Made,
                Became::Made,
                too_large,
                Became::Changed,
                too_large,
                Became::Made,
            ],
        )
        .await;
    assert_eq!(world.row(place(3)).await, None);
    assert_eq!(world.all().await.len(), 3);
}

pub async fn many_rows_of_one_call_read_back<H: ElasticHarness>() {
    const ROWS: u128 = 2_500;
    let (_harness, world) = World::open::<H>().await;
    let partitions = ["a", "b", "c"];
    let partition = |number: u128| Some(partitions[usize::try_from(number % 3).unwrap_or(0)]);
    let writes = (0..ROWS)
        .map(|number| {
            let label = text(&format!("row {number}"));
            world.insert((id(number), partition(number)), &[("ship_label", label)])
        })
        .collect();
    let outcomes = world.write(writes).await;
    assert!(outcomes.into_iter().all(|outcome| super::world::became(outcome) == Became::Made));
    let label = usize::from(world.column("ship_label").0);
    let rows = world.all().await;
    let labels: Vec<&Value> = rows.iter().map(|row| &row[label]).collect();
    let want: Vec<Value> = (0..ROWS).map(|number| text(&format!("row {number}"))).collect();
    assert_eq!(labels, want.iter().collect::<Vec<_>>());
    assert_eq!(world.rows(&world.query(), Some("b")).await.len(), 833);
}
