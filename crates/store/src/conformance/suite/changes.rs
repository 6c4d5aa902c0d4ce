//! Updates, upserts and binds that succeed.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{World, text};
use crate::{RowKey, RowOutcome, WriteOp, writes};
use model::{Uuid, Value};

const TABLE: &str = "ship_crate";

/// Three crates with label, tracking number and count.
async fn three<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let cells = |number: i32| {
        [
            ("ship_label", text(&format!("Crate {number}"))),
            ("ship_trackingno", text(&format!("T-{number}"))),
            ("ship_count", Value::Integer(number)),
        ]
    };
    let (one, two, three) = (cells(1), cells(2), cells(3));
    world.insert(TABLE, &[(id(1), &one), (id(2), &two), (id(3), &three)]).await;
    (harness, world)
}

async fn check(world: &World, id: Uuid, cells: &[(&str, Value)]) {
    for (column, value) in cells {
        assert_eq!(world.value(TABLE, id, column).await, *value, "{column} of {id}");
    }
}

fn by_tracking(world: &World, number: &str) -> RowKey {
    RowKey::Alternate(world.key(TABLE, "ship_Tracking", &[text(number)]))
}

pub async fn an_update_changes_only_the_columns_it_names<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let before = world.contents().await;
    let op = WriteOp::Update(world.updates(TABLE, &[(id(2), &[("ship_note", text("new"))])]));
    let applied = world.run(op).await;
    assert_eq!(applied.ops, [[RowOutcome { id: id(2), created: false }]]);
    let mut want = before.clone();
    let note = usize::from(world.column(TABLE, "ship_note").0);
    want.get_mut(TABLE).and_then(|rows| rows.get_mut(&id(2))).expect("the row exists")[note] =
        text("new");
    assert_eq!(world.contents().await, want);
}

pub async fn two_column_sets_in_one_update<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    world
        .update(
            TABLE,
            &[
                (id(3), &[("ship_label", text("a")), ("ship_count", Value::Integer(30))]),
                (id(1), &[("ship_count", Value::Integer(10))]),
                (id(2), &[("ship_count", Value::Integer(20)), ("ship_label", text("b"))]),
            ],
        )
        .await;
    check(&world, id(1), &[("ship_label", text("Crate 1")), ("ship_count", Value::Integer(10))])
        .await;
    check(&world, id(2), &[("ship_label", text("b")), ("ship_count", Value::Integer(20))]).await;
    check(&world, id(3), &[("ship_label", text("a")), ("ship_count", Value::Integer(30))]).await;
}

pub async fn more_than_eight_column_sets_in_one_update<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let columns = [
        ("ship_label", text("l")),
        ("ship_count", Value::Integer(5)),
        ("ship_total", Value::BigInt(6)),
        ("ship_fragile", Value::Boolean(true)),
        ("ship_parent", world.to(TABLE, id(1))),
    ];
    // Row n has the columns whose bit is set in n: 32 column sets, one of them empty.
    let sets: Vec<Vec<(&str, Value)>> = (0..32)
        .map(|set: usize| {
            let named = columns.iter().enumerate().filter(|(place, _)| set >> place & 1 == 1);
            named.map(|(_, cell)| cell.clone()).collect()
        })
        .collect();
    let old = [("ship_label", text("old")), ("ship_count", Value::Integer(0))];
    let rows: Vec<_> = (0..32).map(|set: u128| (id(set + 1), &old[..])).collect();
    world.insert(TABLE, &rows).await;
    let rows: Vec<_> = (1..).map(id).zip(&sets).map(|(id, cells)| (id, &cells[..])).collect();
    world.update(TABLE, &rows).await;
    for (id, cells) in rows {
        check(&world, id, cells).await;
        let label = if cells.iter().any(|cell| cell.0 == "ship_label") { "l" } else { "old" };
        check(&world, id, &[("ship_label", text(label))]).await;
        if cells.iter().all(|cell| cell.0 != "ship_parent") {
            check(&world, id, &[("ship_parent", Value::Null)]).await;
        }
    }
}

pub async fn an_update_by_alternate_key_finds_its_row<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let mut op = world.updates(TABLE, &[(id(0), &[("ship_label", text("found"))])]);
    op.rows[0].key = by_tracking(&world, "t-2 ");
    let applied = world.run(WriteOp::Update(op)).await;
    assert_eq!(applied.ops, [[RowOutcome { id: id(2), created: false }]]);
    check(&world, id(2), &[("ship_label", text("found"))]).await;
}

pub async fn an_operation_sees_the_operations_before_it<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let key = world.key("account", "account_number", &[text("A-1")]);
    let mut crates = world.inserts(TABLE, &[(id(10), &[])]);
    crates.rows[0].binds = vec![world.bind((TABLE, "ship_holder"), "account", key)];
    let ops = vec![
        WriteOp::Insert(world.inserts("account", &[(id(1), &[("accountnumber", text("A-1"))])])),
        WriteOp::Insert(crates),
        WriteOp::Update(world.updates(TABLE, &[(id(10), &[("ship_label", text("x"))])])),
        WriteOp::Insert(world.inserts(TABLE, &[(id(11), &[])])),
        WriteOp::Delete(world.deletes(TABLE, &[id(11)])),
    ];
    let applied = world.apply(ops).await.expect("each finds what the ones before wrote");
    let lengths: Vec<_> = applied.ops.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 1, 1, 1, 1]);
    check(&world, id(10), &[("ship_label", text("x"))]).await;
    check(&world, id(10), &[("ship_holder", world.to("account", id(1)))]).await;
    assert_eq!(world.ids(TABLE).await, [id(10)]);
}

pub async fn upsert_by_id_makes_or_changes<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let cells: &[(&str, Value)] = &[("ship_label", text("up"))];
    let rows = [4, 2, 5]
        .map(|number| world.upsert_row(TABLE, Some(RowKey::Id(id(number))), id(0), cells))
        .to_vec();
    let applied = world.run(WriteOp::Upsert(world.upserts(TABLE, rows))).await;
    let want = [(4, true), (2, false), (5, true)]
        .map(|(number, created)| RowOutcome { id: id(number), created });
    assert_eq!(applied.ops, [want]);
    check(&world, id(2), &[("ship_label", text("up")), ("ship_count", Value::Integer(2))]).await;
    check(&world, id(4), &[("ship_label", text("up")), ("ship_count", Value::Null)]).await;
    check(&world, id(5), &[("ship_label", text("up"))]).await;
}

pub async fn upsert_by_alternate_key_makes_or_changes<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let cells: &[(&str, Value)] = &[("ship_label", text("up"))];
    let row = |number: &str, new: u128| {
        let key = by_tracking(&world, number);
        let mut row = world.upsert_row(TABLE, Some(key), id(new), cells);
        row.insert_cells = world.cells(TABLE, &[("ship_trackingno", text(number))]);
        row
    };
    let rows = vec![row("T-9", 9), row("T-2", 8)];
    let applied = world.run(WriteOp::Upsert(world.upserts(TABLE, rows))).await;
    let want =
        [(9, true), (2, false)].map(|(number, created)| RowOutcome { id: id(number), created });
    assert_eq!(applied.ops, [want]);
    check(&world, id(9), &[("ship_trackingno", text("T-9")), ("ship_label", text("up"))]).await;
    check(&world, id(2), &[("ship_trackingno", text("T-2")), ("ship_label", text("up"))]).await;
    assert_eq!(world.ids(TABLE).await.len(), 4);
}

pub async fn upsert_without_a_key_makes_a_row<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let row = |new| world.upsert_row(TABLE, None, id(new), &[("ship_label", text("new"))]);
    let applied = world.run(WriteOp::Upsert(world.upserts(TABLE, vec![row(8), row(7)]))).await;
    let want = [8, 7].map(|number| RowOutcome { id: id(number), created: true });
    assert_eq!(applied.ops, [want]);
    check(&world, id(7), &[("ship_label", text("new"))]).await;
}

pub async fn upsert_takes_the_constants_of_its_case<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let row = |number| world.upsert_row(TABLE, Some(RowKey::Id(id(number))), id(0), &[]);
    let mut op = world.upserts(TABLE, vec![row(1), row(4), row(2), row(5)]);
    op.rows[2].cells = world.cells(TABLE, &[("ship_size", Value::Integer(3))]);
    op.rows[3].cells = world.cells(TABLE, &[("ship_size", Value::Integer(3))]);
    op.insert_constants =
        world.cells(TABLE, &[("ship_size", Value::Integer(1)), ("ship_label", text("made"))]);
    op.update_constants = world.cells(TABLE, &[("ship_size", Value::Integer(2))]);
    world.run(WriteOp::Upsert(op)).await;
    let want = [(1, "Crate 1", 2), (4, "made", 1), (2, "Crate 2", 3), (5, "made", 3)];
    for (number, label, size) in want {
        let cells = [("ship_label", text(label)), ("ship_size", Value::Integer(size))];
        check(&world, id(number), &cells).await;
    }
}

pub async fn binds_by_alternate_key_point_to_the_row<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    world
        .insert(
            "account",
            &[
                (id(21), &[("accountnumber", text("A-1"))]),
                (id(22), &[("accountnumber", text("A-2"))]),
            ],
        )
        .await;
    let bind = |number: &str| {
        let key = world.key("account", "account_number", &[text(number)]);
        vec![world.bind((TABLE, "ship_holder"), "account", key)]
    };
    let mut inserts = world.inserts(TABLE, &[(id(4), &[]), (id(5), &[])]);
    inserts.rows[0].binds = bind("a-2");
    inserts.rows[1].binds = bind("A-1");
    let mut updates = world.updates(TABLE, &[(id(1), &[]), (id(2), &[])]);
    updates.rows[0].binds = bind("A-1 ");
    let mut upserts = world.upserts(
        TABLE,
        vec![
            world.upsert_row(TABLE, Some(RowKey::Id(id(3))), id(3), &[]),
            world.upsert_row(TABLE, None, id(6), &[]),
        ],
    );
    upserts.rows[0].binds = bind("A-2");
    upserts.rows[1].binds = bind("A-2");
    let ops = vec![WriteOp::Insert(inserts), WriteOp::Update(updates), WriteOp::Upsert(upserts)];
    world.apply(ops).await.expect("every bind finds its row");
    for (number, account) in [(4, 22), (5, 21), (1, 21), (3, 22), (6, 22)] {
        let holder = world.to("account", id(account));
        check(&world, id(number), &[("ship_holder", holder)]).await;
    }
    check(&world, id(2), &[("ship_holder", Value::Null)]).await;
}

pub async fn a_lookup_may_point_to_a_row_of_the_same_operation<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let parent = |number| [("ship_parent", world.to(TABLE, id(number)))];
    let (behind, itself, before) = (parent(3), parent(2), parent(1));
    world.insert(TABLE, &[(id(1), &behind), (id(2), &itself), (id(3), &before)]).await;
    for (number, to) in [(1, 3), (2, 2), (3, 1)] {
        check(&world, id(number), &[("ship_parent", world.to(TABLE, id(to)))]).await;
    }
    let to_new = [("ship_parent", world.to(TABLE, id(9)))];
    let rows: Vec<writes::UpsertRow> = vec![
        world.upsert_row(TABLE, Some(RowKey::Id(id(1))), id(1), &to_new),
        world.upsert_row(TABLE, None, id(9), &to_new),
    ];
    world.run(WriteOp::Upsert(world.upserts(TABLE, rows))).await;
    check(&world, id(1), &[("ship_parent", world.to(TABLE, id(9)))]).await;
}

pub async fn an_update_to_null_empties_the_column<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let table = world.table(TABLE);
    world.insert("account", &[(id(21), &[])]).await;
    let full = [
        ("ship_holder", world.to("account", id(21))),
        ("ship_tags", Value::Choices(Box::new([1, 2]))),
        ("ship_fragile", Value::Boolean(true)),
        ("ship_length", Value::Double(1.5)),
    ];
    world.update(TABLE, &[(id(1), &full)]).await;
    let names = ["ship_label", "ship_trackingno", "ship_count", "ship_holder", "ship_tags"];
    let names = names.into_iter().chain(["ship_fragile", "ship_length"]);
    let nulls: Vec<_> = names.map(|name| (name, Value::Null)).collect();
    world.update(TABLE, &[(id(1), &nulls)]).await;
    let row = world.row(TABLE, id(1)).await.expect("the row exists");
    let given = row.iter().filter(|value| !value.is_null()).count();
    assert_eq!(given, 2, "only id and version of {} are left", table.logical_name);
}

pub async fn rows_are_completed_where_they_are_empty<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    world.update(TABLE, &[(id(2), &[("ship_note", text("own"))])]).await;
    let mut versions = Vec::new();
    for number in 1..=3 {
        versions.push((number, world.value(TABLE, id(number), "versionnumber").await));
    }
    let table = world.catalog.table(TABLE).expect("it is there").clone();
    let cell = |name, value| model::Cell { column: world.column(TABLE, name), value };
    let fill = |rows| {
        WriteOp::Fill(writes::Fill {
            table: table.clone(),
            cells: vec![cell("ship_note", text("given")), cell("ship_count", Value::Integer(7))],
            rows,
        })
    };
    let rows = vec![
        RowKey::Id(id(1)),
        RowKey::Id(id(2)),
        RowKey::Id(id(99)),
        by_tracking(&world, "t-3"),
        by_tracking(&world, "T-99"),
    ];
    let applied = world.run(fill(rows)).await;
    assert_eq!(applied.ops, [Vec::<RowOutcome>::new()]);
    check(&world, id(1), &[("ship_note", text("given")), ("ship_count", Value::Integer(7))]).await;
    check(&world, id(2), &[("ship_note", text("own")), ("ship_count", Value::Integer(2))]).await;
    check(&world, id(3), &[("ship_note", text("given")), ("ship_count", Value::Integer(7))]).await;
    for (number, before) in versions {
        let after = world.value(TABLE, id(number), "versionnumber").await;
        assert_eq!(after, before, "completing a row is no change of its own");
    }
    // What is written before in the same set is seen, whatever it was named by.
    let update = world.updates(TABLE, &[(id(1), &[("ship_note", Value::Null)])]);
    let ops = vec![WriteOp::Update(update), fill(vec![RowKey::Id(id(1))])];
    world.apply(ops).await.expect("nothing stands against it");
    check(&world, id(1), &[("ship_note", text("given"))]).await;
    world.run(fill(Vec::new())).await;
}
