//! What is written is what is read.

use crate::WriteOp;
use crate::conformance::Harness;
use crate::conformance::fixture::{MONEY_MAX, id};
use crate::conformance::world::{USER, World, ids, text};
use model::{Date, Decimal, Timestamp, Uuid, Value};

const CRATE: Uuid = Uuid::from_u128(0xC0);

/// Writes values into one new crate and expects to read the same.
async fn check(world: &World, id: Uuid, cells: &[(&str, Value)]) {
    world.insert("ship_crate", &[(id, cells)]).await;
    for (column, value) in cells {
        assert_eq!(world.value("ship_crate", id, column).await, *value, "{column}");
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

pub async fn every_kind_of_column_reads_back_as_written<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert("account", &[(id(1), &[("name", text("Contoso"))])]).await;
    world.insert("contact", &[(id(2), &[("name", text("Ann"))])]).await;
    check(
        &world,
        CRATE,
        &[
            ("createdon", Value::DateTime(Timestamp(1_706_688_900))),
            ("createdby", world.to("systemuser", USER)),
            ("ownerid", world.to("systemuser", USER)),
            ("statecode", Value::Integer(0)),
            ("statuscode", Value::Integer(1)),
            ("ship_label", text("Crate A")),
            ("ship_trackingno", text("T-1")),
            ("ship_note", text("line 1\r\nline 2\ttab")),
            ("ship_payload", text("{\"a\":[1,2,{\"b\":null}]}")),
            ("ship_count", Value::Integer(-7)),
            ("ship_total", Value::BigInt(9_007_199_254_740_993)),
            ("ship_weight", Value::Decimal(decimal("12.34"))),
            ("ship_ratio", Value::Decimal(decimal("-0.0000000001"))),
            ("ship_price", Value::Decimal(decimal("99.9999"))),
            ("ship_length", Value::Double(0.1)),
            ("ship_fragile", Value::Boolean(true)),
            ("ship_sentat", Value::DateTime(Timestamp(0))),
            ("ship_arrivesat", Value::DateTime(Timestamp(-1))),
            ("ship_dueon", Value::Date(Date(19_752))),
            ("ship_size", Value::Integer(2)),
            ("ship_tags", Value::Choices(Box::new([1, 3]))),
            ("ship_serial", Value::Guid(id(0xABCD_0000_1111))),
            ("ship_sourcetable", text("account")),
            ("ship_holder", world.to("account", id(1))),
            ("ship_parent", world.to("ship_crate", CRATE)),
        ],
    )
    .await;
    assert_eq!(world.value("ship_crate", CRATE, "ship_crateid").await, Value::Guid(CRATE));
    check(&world, id(0xC1), &[("ship_holder", world.to("contact", id(2)))]).await;
}

pub async fn limits_of_every_kind_read_back<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let both = |column: &'static str, low: Value, high: Value| [(column, low), (column, high)];
    let money = Decimal::from(MONEY_MAX);
    let cases = [
        both("ship_count", Value::Integer(i32::MIN), Value::Integer(i32::MAX)),
        both("ship_total", Value::BigInt(i64::MIN), Value::BigInt(i64::MAX)),
        both(
            "ship_weight",
            Value::Decimal(decimal("-100000000000.00")),
            Value::Decimal(decimal("99999999999.99")),
        ),
        both(
            "ship_ratio",
            Value::Decimal(decimal("-900000000")),
            Value::Decimal(decimal("899999999.9999999999")),
        ),
        both("ship_price", Value::Decimal(-money), Value::Decimal(money)),
        both("ship_price", Value::Decimal(decimal("-0.0001")), Value::Decimal(Decimal::ZERO)),
        both("ship_length", Value::Double(-1e11), Value::Double(99_999_999_999.999_98)),
        both("ship_length", Value::Double(f64::MIN_POSITIVE), Value::Double(0.0)),
        both("ship_sentat", Value::DateTime(Timestamp::MIN), Value::DateTime(Timestamp::MAX)),
        both("ship_dueon", Value::Date(Timestamp::MIN.date()), Value::Date(Timestamp::MAX.date())),
        both("ship_serial", Value::Guid(Uuid::nil()), Value::Guid(Uuid::max())),
        both("ship_tags", Value::Choices(Box::new([4])), Value::Choices(Box::new([1, 2, 3, 4]))),
        both("ship_fragile", Value::Boolean(false), Value::Boolean(true)),
        both("ship_note", text("x"), text(&"ä".repeat(100_000))),
    ];
    for (id, cell) in ids(1, 1_000).into_iter().zip(cases.into_iter().flatten()) {
        check(&world, id, &[cell]).await;
    }
}

pub async fn text_keeps_its_characters_case_and_blanks<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let texts = [
        "Ä ö ß İ ΟΔΟΣ",
        "日本語 🚢 e\u{301}",
        " leading and trailing  ",
        "   ",
        "it's \"quoted\" \\ %_[] ; -- $1 ?1",
        "{null}",
        "NULL",
        "line\nline\r\n\ttab",
        "\u{1}\u{7f}\u{200b}\u{feff}",
    ];
    for (id, value) in ids(1, 100).into_iter().zip(texts) {
        check(&world, id, &[("ship_label", text(value)), ("ship_note", text(value))]).await;
    }
    check(&world, id(1_000), &[("ship_label", text(""))]).await;
    assert!(world.value("ship_crate", id(1_000), "ship_label").await.is_null());
}

pub async fn a_column_that_nobody_names_is_null<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert("ship_crate", &[(CRATE, &[])]).await;
    let table = world.table("ship_crate");
    let row = world.row("ship_crate", CRATE).await.expect("the row was written");
    for (index, column) in table.indexed_columns() {
        let given = index == table.primary_key || index == table.version_column();
        assert_eq!(row[usize::from(index.0)].is_null(), !given, "{}", column.logical_name);
    }
}

pub async fn constants_fill_in_unless_the_row_brings_its_own<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let mut op = world.inserts(
        "ship_crate",
        &[
            (id(1), &[("ship_label", text("own"))]),
            (id(2), &[]),
            (id(3), &[("ship_label", Value::Null), ("ship_count", Value::Integer(3))]),
        ],
    );
    op.constants = world.cells(
        "ship_crate",
        &[("ship_label", text("constant")), ("ship_count", Value::Integer(1))],
    );
    world.run(WriteOp::Insert(op)).await;
    let want = [
        (1, text("own"), Value::Integer(1)),
        (2, text("constant"), Value::Integer(1)),
        (3, Value::Null, Value::Integer(3)),
    ];
    for (number, label, count) in want {
        assert_eq!(world.value("ship_crate", id(number), "ship_label").await, label);
        assert_eq!(world.value("ship_crate", id(number), "ship_count").await, count);
    }
    let mut op = world.updates(
        "ship_crate",
        &[(id(1), &[("ship_label", text("new"))]), (id(2), &[("ship_size", Value::Integer(1))])],
    );
    op.constants = world.cells("ship_crate", &[("ship_label", text("constant 2"))]);
    world.run(WriteOp::Update(op)).await;
    assert_eq!(world.value("ship_crate", id(1), "ship_label").await, text("new"));
    assert_eq!(world.value("ship_crate", id(2), "ship_label").await, text("constant 2"));
    assert_eq!(world.value("ship_crate", id(3), "ship_label").await, Value::Null);
}

pub async fn computed_columns_follow_their_sources<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let user = world.to("systemuser", USER);
    let team = world.to("team", id(9));
    let price = Value::Decimal(decimal("5.25"));
    world
        .insert(
            "ship_crate",
            &[
                (
                    id(1),
                    &[
                        ("ownerid", user.clone()),
                        ("ship_label", text("Crate")),
                        ("ship_trackingno", text("T-1")),
                        ("ship_price", price.clone()),
                    ],
                ),
                (id(2), &[("ownerid", team.clone()), ("ship_label", text("Crate"))]),
                (id(3), &[("ship_trackingno", text("T-3"))]),
            ],
        )
        .await;
    let want: [(u128, [Value; 4]); 3] = [
        (1, [user, Value::Null, text("Crate T-1"), price]),
        (2, [Value::Null, team, text("Crate"), Value::Null]),
        (3, [Value::Null, Value::Null, text("T-3"), Value::Null]),
    ];
    for (number, values) in want {
        let columns = ["owninguser", "owningteam", "ship_title", "ship_price_base"];
        for (column, value) in columns.into_iter().zip(values) {
            assert_eq!(world.value("ship_crate", id(number), column).await, value, "{column}");
        }
        assert!(world.value("ship_crate", id(number), "ship_nothing").await.is_null());
    }
    world.update("ship_crate", &[(id(1), &[("ship_label", Value::Null)])]).await;
    assert_eq!(world.value("ship_crate", id(1), "ship_title").await, text("T-1"));
}

pub async fn many_rows_read_back<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let ids = ids(1, 5_000);
    let labels: Vec<_> = ids.iter().map(|id| [("ship_label", text(&id.to_string()))]).collect();
    let rows: Vec<_> = ids.iter().zip(&labels).map(|(id, cells)| (*id, &cells[..])).collect();
    let applied = world.run(WriteOp::Insert(world.inserts("ship_crate", &rows))).await;
    assert!(applied.ops[0].iter().zip(&ids).all(|(row, id)| row.id == *id && row.created));
    assert_eq!(applied.ops[0].len(), ids.len());
    let label = usize::from(world.column("ship_crate", "ship_label").0);
    let read = world.rows("ship_crate").await;
    assert_eq!(read.len(), ids.len());
    for (row, id) in read.iter().zip(&ids) {
        assert_eq!((&row[0], &row[label]), (&Value::Guid(*id), &text(&id.to_string())));
    }
}

pub async fn operations_without_rows_do_nothing<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let before = world.contents_with_versions().await;
    assert!(world.apply(Vec::new()).await.expect("fine").ops.is_empty());
    let ops = vec![
        WriteOp::Insert(world.inserts("ship_crate", &[])),
        WriteOp::Update(world.updates("ship_crate", &[])),
        WriteOp::Upsert(world.upserts("ship_crate", Vec::new())),
        WriteOp::Delete(world.deletes("ship_crate", &[])),
    ];
    let applied = world.apply(ops).await.expect("fine");
    assert_eq!(applied.ops, vec![Vec::new(); 4]);
    assert_eq!(world.contents_with_versions().await, before);
}
