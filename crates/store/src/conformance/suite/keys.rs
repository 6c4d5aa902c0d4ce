//! Alternate keys: what counts as equal, and when.

use crate::conformance::Harness;
use crate::conformance::fixture::lookup;
use crate::conformance::fixture::{
    TableBuilder, decimal, id, instant, integer, options, text as texts,
};
use crate::conformance::world::{World, text};
use crate::{Reason, RowKey, WriteOp};
use model::{ColumnKind, Date, DateTimeBehavior, KeyIndex, Timestamp, Value};

const TABLE: &str = "ship_crate";
const TAKEN: Reason = Reason::DuplicateKey { key: KeyIndex(0) };
const SLOT_TAKEN: Reason = Reason::DuplicateKey { key: KeyIndex(1) };

/// Crates 1 to 3 with tracking numbers `T-1` to `T-3`.
async fn three<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let cells = |number: i32| [("ship_trackingno", text(&format!("T-{number}")))];
    let (one, two, three) = (cells(1), cells(2), cells(3));
    world.insert(TABLE, &[(id(1), &one), (id(2), &two), (id(3), &three)]).await;
    (harness, world)
}

fn tracking(number: &str) -> [(&'static str, Value); 1] {
    [("ship_trackingno", text(number))]
}

pub async fn rows_with_a_null_in_a_key_are_exempt<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert("account", &[(id(21), &[])]).await;
    let half = [("ship_holder", world.to("account", id(21)))];
    let other_half = [("ship_count", Value::Integer(1))];
    let nulls = [("ship_trackingno", Value::Null)];
    world
        .insert(
            TABLE,
            &[
                (id(1), &[]),
                (id(2), &nulls),
                (id(3), &half),
                (id(4), &half),
                (id(5), &other_half),
                (id(6), &other_half),
            ],
        )
        .await;
    // A row leaves the key by a null and comes back.
    world.update(TABLE, &[(id(3), &other_half)]).await;
    let op = WriteOp::Update(world.updates(TABLE, &[(id(4), &other_half)]));
    world.check_refused(op, &[(0, SLOT_TAKEN)]).await;
    world.update(TABLE, &[(id(3), &[("ship_holder", Value::Null)]), (id(4), &other_half)]).await;
}

pub async fn keys_compare_folded_text<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let texts = ["Straße Ä", "ΟΔΟΣ", "İ", "x y", " x"];
    for (number, value) in (1..).zip(texts) {
        world.insert(TABLE, &[(id(number), &tracking(value))]).await;
    }
    for (number, value) in (1..).zip(["STRAßE ä", "οδος", "i\u{307}", "X Y  ", " X"]) {
        let same = model::fold(value) == model::fold(texts[number - 1]);
        let op = WriteOp::Insert(world.inserts(TABLE, &[(id(99), &tracking(value))]));
        if same {
            world.check_refused(op, &[(0, TAKEN)]).await;
        } else {
            let delete = WriteOp::Delete(world.deletes(TABLE, &[id(99)]));
            world.apply(vec![op, delete]).await.expect("another key");
        }
    }
    // Accents, inner and leading blanks count.
    let others = ["Strase A", "xy", "x"];
    for (number, value) in (200..).zip(others) {
        world.insert(TABLE, &[(id(number), &tracking(value))]).await;
    }
    let mut op = world.updates(TABLE, &[(id(0), &[("ship_label", text("found"))])]);
    op.rows[0].key = RowKey::Alternate(world.key(TABLE, "ship_Tracking", &[text("STRAßE ä ")]));
    let applied = world.run(WriteOp::Update(op)).await;
    assert_eq!(applied.ops[0][0].id, id(1));
}

pub async fn composite_keys_compare_every_part<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    world.insert("account", &[(id(21), &[]), (id(22), &[])]).await;
    let slot = |account: u128, count: i32| {
        [("ship_holder", world.to("account", id(account))), ("ship_count", Value::Integer(count))]
    };
    let (a1, a2, b1, b2) = (slot(21, 1), slot(21, 2), slot(22, 1), slot(22, 2));
    world.insert(TABLE, &[(id(1), &a1), (id(2), &a2), (id(3), &b1)]).await;
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(4), &b2), (id(5), &b1), (id(6), &b2)]));
    world.check_refused(op, &[(1, SLOT_TAKEN), (2, SLOT_TAKEN)]).await;
    // One part changes, the other stays as stored.
    let two = [("ship_count", Value::Integer(2))];
    let op = WriteOp::Update(world.updates(TABLE, &[(id(3), &two), (id(1), &two)]));
    world.check_refused(op, &[(1, SLOT_TAKEN)]).await;
    world.update(TABLE, &[(id(3), &two)]).await;
    let key = world.key(TABLE, "ship_Slot", &[world.to("account", id(22)), Value::Integer(2)]);
    let mut op = world.updates(TABLE, &[(id(0), &[("ship_label", text("found"))])]);
    op.rows[0].key = RowKey::Alternate(key);
    assert_eq!(world.run(WriteOp::Update(op)).await.ops[0][0].id, id(3));
}

pub async fn keys_are_judged_row_by_row<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let (one, two, three) = (tracking("T-1"), tracking("T-2"), tracking("T-3"));
    // A swap fails at its first row: the key is not free yet. The second row then keeps to be judged
    // as if the first were not written, and finds `T-1` taken.
    let op = WriteOp::Update(world.updates(TABLE, &[(id(1), &two), (id(2), &one)]));
    world.check_refused(op, &[(0, TAKEN), (1, TAKEN)]).await;
    let op = WriteOp::Update(
        world.updates(TABLE, &[(id(1), &two), (id(2), &three), (id(3), &tracking("T-4"))]),
    );
    world.check_refused(op, &[(0, TAKEN), (1, TAKEN)]).await;
    let rows = vec![
        world.upsert_row(TABLE, None, id(10), &three),
        world.upsert_row(TABLE, Some(RowKey::Id(id(3))), id(3), &tracking("T-4")),
    ];
    world.check_refused(WriteOp::Upsert(world.upserts(TABLE, rows)), &[(0, TAKEN)]).await;
}

pub async fn a_key_given_up_earlier_is_free<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let rotate = [tracking("T-4"), tracking("T-3"), tracking("T-2")];
    let op = world.updates(TABLE, &[(id(3), &rotate[0]), (id(2), &rotate[1]), (id(1), &rotate[2])]);
    world.run(WriteOp::Update(op)).await;
    for (number, want) in [(1, "T-2"), (2, "T-3"), (3, "T-4")] {
        assert_eq!(world.value(TABLE, id(number), "ship_trackingno").await, text(want));
    }
    let rows = vec![
        world.upsert_row(TABLE, Some(RowKey::Id(id(3))), id(3), &tracking("T-5")),
        world.upsert_row(TABLE, None, id(10), &tracking("t-4")),
    ];
    world.run(WriteOp::Upsert(world.upserts(TABLE, rows))).await;
    assert_eq!(world.value(TABLE, id(10), "ship_trackingno").await, text("t-4"));
}

pub async fn an_update_that_keeps_its_key_is_fine<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    world.update(TABLE, &[(id(1), &tracking("T-1")), (id(2), &tracking("t-2 "))]).await;
    assert_eq!(world.value(TABLE, id(2), "ship_trackingno").await, text("t-2 "));
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(9), &tracking("T-2"))]));
    world.check_refused(op, &[(0, TAKEN)]).await;
}

pub async fn a_deleted_row_frees_its_keys<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let ops = vec![
        WriteOp::Delete(world.deletes(TABLE, &[id(1)])),
        WriteOp::Insert(world.inserts(TABLE, &[(id(1), &tracking("T-9"))])),
        WriteOp::Insert(world.inserts(TABLE, &[(id(9), &tracking("T-1"))])),
    ];
    world.apply(ops).await.expect("id and key are free again");
    assert_eq!(world.value(TABLE, id(1), "ship_trackingno").await, text("T-9"));
}

pub async fn keys_of_every_kind_find_their_row<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let user_local = instant(DateTimeBehavior::UserLocal);
    let choice = ColumnKind::Choice { options: options(&[1, 2]), default: None };
    let decimal_of = |text: &str| Value::Decimal(text.parse().expect("a decimal"));
    let cases = [
        ("x_text", texts(50), text("a"), text("b")),
        ("x_integer", integer(), Value::Integer(-1), Value::Integer(1)),
        ("x_decimal", decimal(4, 1_000), decimal_of("1.5"), decimal_of("-1.5")),
        ("x_instant", user_local, Value::DateTime(Timestamp(0)), Value::DateTime(Timestamp(-5))),
        ("x_day", instant(DateTimeBehavior::DateOnly), Value::Date(Date(0)), Value::Date(Date(1))),
        ("x_choice", choice, Value::Integer(1), Value::Integer(2)),
        ("x_lookup", lookup("x_lookup", &["account"]), Value::Null, Value::Null),
    ];
    let table = cases.iter().fold(TableBuilder::new(50, "x_keyed"), |table, (name, kind, ..)| {
        table.column(name, kind.clone()).key(&format!("{name}_key"), &[name])
    });
    world.change(vec![table.create()]).await.expect("keys over these kinds are fine");
    world.insert("account", &[(id(21), &[]), (id(22), &[])]).await;
    for (name, _, first, second) in cases {
        let (first, second) = match name {
            "x_lookup" => (world.to("account", id(21)), world.to("account", id(22))),
            _ => (first, second),
        };
        let key = format!("{name}_key");
        let by = |value: &Value| {
            RowKey::Alternate(world.key("x_keyed", &key, std::slice::from_ref(value)))
        };
        let rows = [(1, &first), (2, &second)].map(|(number, value)| {
            let mut row = world.upsert_row("x_keyed", Some(by(value)), id(number), &[]);
            row.insert_cells = world.cells("x_keyed", &[(name, value.clone())]);
            row
        });
        let op = WriteOp::Upsert(world.upserts("x_keyed", rows.to_vec()));
        let applied = world.run(op.clone()).await;
        assert!(applied.ops[0].iter().all(|row| row.created), "{name}");
        let applied = world.run(op).await;
        let found: Vec<_> = applied.ops[0].iter().map(|row| (row.id, row.created)).collect();
        assert_eq!(found, [(id(1), false), (id(2), false)], "{name}");
        if name == "x_decimal" {
            // A decimal counts by its value, not by its digits.
            let mut op = world.updates("x_keyed", &[(id(0), &[])]);
            op.rows[0].key = by(&decimal_of("1.500"));
            assert_eq!(world.run(WriteOp::Update(op)).await.ops[0][0].id, id(1));
        }
        if let Value::Lookup(lookup) = &first {
            // A caller who knows only the id of a lookup says so with a guid.
            let mut op = world.updates("x_keyed", &[(id(0), &[])]);
            op.rows[0].key = by(&Value::Guid(lookup.id));
            assert_eq!(world.run(WriteOp::Update(op)).await.ops[0][0].id, id(1));
        }
        world.run(WriteOp::Delete(world.deletes("x_keyed", &[id(1), id(2)]))).await;
    }
}
