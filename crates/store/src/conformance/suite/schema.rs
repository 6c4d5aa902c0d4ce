//! Changes of definitions.

use crate::conformance::Harness;
use crate::conformance::fixture::{self, TableBuilder, id, integer, next_column, relationship};
use crate::conformance::world::{NOW, USER, World, text};
use crate::{
    Error, Reason, Rejection, RowKey, SchemaChange, SchemaOp, WriteOp, WriteSet, apply_ops,
};
use model::{Catalog, ColumnKind, DeleteAction, KeyIndex, Table, Value};
use std::sync::Arc;

const TABLE: &str = "ship_crate";

/// A table beside the suite's own.
fn pallet() -> TableBuilder {
    TableBuilder::new(60, "ship_pallet").column("ship_Code", fixture::text(50))
}

fn add_column(table: &Table, name: &str, kind: ColumnKind) -> SchemaOp {
    let column = Box::new(next_column(table.definition(), name, kind));
    SchemaOp::AddColumn { table: table.id, column }
}

/// Checks that the stored definitions are these, by value.
pub(super) async fn check_definitions(world: &World, want: &Catalog) {
    let stored = world.store.catalog().await.expect("the definitions load");
    assert_eq!(stored.version(), want.version());
    assert_eq!(world.store.catalog_version().await.expect("fine"), want.version());
    let tables: Vec<_> = stored.tables().iter().map(|table| table.definition()).collect();
    let wanted: Vec<_> = want.tables().iter().map(|table| table.definition()).collect();
    assert_eq!(tables, wanted);
    assert_eq!(stored.relationships(), want.relationships());
    assert_eq!(stored.many_to_many(), want.many_to_many());
    assert_eq!(stored.choices(), want.choices());
    assert_eq!(stored.table_number_max(), want.table_number_max());
}

pub async fn a_new_table_can_be_written_at_once<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let version = world.catalog.version();
    let definition = pallet().column("ship_Crate", fixture::lookup("ship_Crate", &[TABLE])).build();
    let link =
        relationship("crate_pallets", ("ship_pallet", "ship_crate"), TABLE, DeleteAction::Cascade);
    world
        .change(vec![SchemaOp::CreateTable(Box::new(definition)), SchemaOp::AddRelationship(link)])
        .await
        .expect("a new table");
    assert_eq!(world.catalog.version(), version + 1);
    world.insert(TABLE, &[(id(1), &[])]).await;
    let cells = [("ship_code", text("P-1")), ("ship_crate", world.to(TABLE, id(1)))];
    world.insert("ship_pallet", &[(id(2), &cells)]).await;
    assert_eq!(world.value("ship_pallet", id(2), "ship_code").await, text("P-1"));
    world.run(WriteOp::Delete(world.deletes(TABLE, &[id(1)]))).await;
    assert!(world.ids("ship_pallet").await.is_empty());
}

pub async fn a_new_column_is_null_in_rows_that_exist<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[("ship_label", text("old"))])]).await;
    let before = world.version(TABLE, id(1)).await;
    let kinds = [
        ("x_text", fixture::text(20), text("x")),
        ("x_integer", integer(), Value::Integer(4)),
        ("x_boolean", fixture::boolean(), Value::Boolean(false)),
        ("x_money", fixture::money(), Value::Decimal("1.5".parse().expect("a decimal"))),
        ("x_lookup", fixture::lookup("x_lookup", &[TABLE]), world.to(TABLE, id(1))),
        (
            "x_choices",
            ColumnKind::MultiChoice { options: fixture::options(&[1]) },
            Value::Choices(Box::new([1])),
        ),
    ];
    for (name, kind, _) in &kinds {
        let op = add_column(&world.table(TABLE), name, kind.clone());
        world.change(vec![op]).await.expect("a new column");
        assert_eq!(world.value(TABLE, id(1), name).await, Value::Null, "{name}");
    }
    assert_eq!(world.value(TABLE, id(1), "ship_label").await, text("old"));
    assert_eq!(world.version(TABLE, id(1)).await, before, "rows are not written by it");
    for (name, _, value) in &kinds {
        let cells = [(*name, value.clone())];
        world.update(TABLE, &[(id(1), &cells)]).await;
        assert_eq!(world.value(TABLE, id(1), name).await, *value);
    }
    // Two columns of two tables and a key over a new one, in one change.
    let ops = vec![
        add_column(&world.table("account"), "x_first", integer()),
        add_column(&world.table("contact"), "x_second", integer()),
    ];
    let after = apply_ops(&world.catalog, &ops).expect("fine");
    let account = after.table("account").expect("it is there");
    let key = fixture::key(account.definition(), "x_key", &["x_first"]);
    let mut ops = ops;
    ops.push(SchemaOp::AddKey { table: account.id, key });
    world.change(ops).await.expect("columns and their key");
    world.insert("account", &[(id(5), &[("x_first", Value::Integer(1))])]).await;
    world.insert("contact", &[(id(6), &[("x_second", Value::Integer(2))])]).await;
    assert_eq!(world.value("contact", id(6), "x_second").await, Value::Integer(2));
}

pub async fn a_new_key_holds_for_rows_that_exist<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let (one, two) = ([("ship_label", text("A"))], [("ship_label", text("B "))]);
    world.insert(TABLE, &[(id(1), &one), (id(2), &two), (id(3), &[]), (id(4), &[])]).await;
    let table = world.table(TABLE);
    let key = fixture::key(table.definition(), "x_label", &["ship_label"]);
    world.change(vec![SchemaOp::AddKey { table: table.id, key }]).await.expect("no rows are equal");
    let taken = Reason::DuplicateKey { key: KeyIndex(2) };
    let again = [("ship_label", text("b"))];
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(9), &[]), (id(5), &again)]));
    world.check_refused(op, &[(1, taken)]).await;
    let key = RowKey::Alternate(world.key(TABLE, "x_label", &[text("a ")]));
    let rows = vec![world.upsert_row(TABLE, Some(key), id(9), &[])];
    let applied = world.run(WriteOp::Upsert(world.upserts(TABLE, rows))).await;
    assert_eq!((applied.ops[0][0].id, applied.ops[0][0].created), (id(1), false));
}

pub async fn a_new_key_over_equal_rows_is_refused<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let (one, two) = ([("ship_label", text("Ä"))], [("ship_label", text("ä "))]);
    world.insert(TABLE, &[(id(1), &one), (id(2), &two)]).await;
    let table = world.table(TABLE);
    let column = next_column(table.definition(), "x_new", integer());
    let ops = vec![
        SchemaOp::AddColumn { table: table.id, column: Box::new(column) },
        SchemaOp::AddKey {
            table: table.id,
            key: fixture::key(table.definition(), "x_label", &["ship_label"]),
        },
    ];
    let before = world.catalog.clone();
    match world.change(ops).await {
        Err(Error::Rejected { op, rows }) => {
            assert_eq!(op, 1);
            let reason = Reason::DuplicateKey { key: KeyIndex(2) };
            assert_eq!(rows, [Rejection { index: 0, id: None, reason }]);
        }
        other => panic!("should be rejected, is {other:?}"),
    }
    check_definitions(&world, &before).await;
    assert_eq!(world.ids(TABLE).await, [id(1), id(2)]);
}

pub async fn a_change_that_collides_leaves_nothing<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let before = world.catalog.clone();
    let table = world.table(TABLE);
    let again = SchemaOp::AddColumn { table: table.id, column: Box::new(table.columns[9].clone()) };
    let mut same_key = table.keys[0].clone();
    same_key.id = 9;
    let collisions = [
        TableBuilder::new(61, TABLE).create(),
        TableBuilder::new(table.id.0, "x_other").create(),
        again,
        SchemaOp::AddKey { table: table.id, key: same_key },
        SchemaOp::AddRelationship(world.catalog.relationships()[0].as_ref().clone()),
    ];
    for collision in collisions {
        let change = world.change(vec![pallet().create(), collision]).await;
        assert!(matches!(change, Err(Error::Schema { .. })), "{change:?}");
        check_definitions(&world, &before).await;
    }
    world.change(vec![pallet().create()]).await.expect("nothing of it was kept");
}

pub async fn rows_of_a_change_are_written_with_it_or_not_at_all<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[])]).await;
    let before = world.catalog.clone();
    let ops = vec![pallet().create(), add_column(&world.table(TABLE), "x_new", integer())];
    let after = Arc::new(apply_ops(&before, &ops).expect("fine"));
    let planned = World { store: world.store.clone(), catalog: after.clone() };
    let code = [("ship_code", text("P-1"))];
    let new = [("x_new", Value::Integer(1))];
    let good = WriteOp::Insert(planned.inserts("ship_pallet", &[(id(7), &code)]));
    let update = WriteOp::Update(planned.updates(TABLE, &[(id(1), &new)]));
    let bad = WriteOp::Insert(planned.inserts(TABLE, &[(id(2), &new), (id(1), &[])]));
    match world.change_with(ops.clone(), vec![good.clone(), bad]).await {
        Err(Error::Rejected { op, rows }) => {
            assert_eq!(op, 1);
            let want = Rejection { index: 1, id: Some(id(1)), reason: Reason::DuplicateId };
            assert_eq!(rows, [want]);
        }
        other => panic!("should be rejected, is {other:?}"),
    }
    check_definitions(&world, &before).await;
    assert_eq!(world.ids(TABLE).await, [id(1)]);
    world.change_with(ops, vec![good, update]).await.expect("all of it is fine");
    check_definitions(&world, &after).await;
    assert_eq!(world.value("ship_pallet", id(7), "ship_code").await, text("P-1"));
    assert_eq!(world.value(TABLE, id(1), "x_new").await, Value::Integer(1));
}

pub async fn stale_definitions_are_refused<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let stale = World { store: world.store.clone(), catalog: world.catalog.clone() };
    world.change(vec![pallet().create()]).await.expect("a new table");
    let (old, new) = (stale.catalog.version(), world.catalog.version());
    let check = |error: Option<Error>| match error {
        Some(Error::StaleCatalog { bound, actual }) => assert_eq!((bound, actual), (old, new)),
        other => panic!("should be stale, is {other:?}"),
    };
    let insert = stale.inserts(TABLE, &[(id(1), &[])]);
    check(stale.apply(vec![WriteOp::Insert(insert.clone())]).await.err());
    check(stale.apply(Vec::new()).await.err());
    check(stale.store.read(&stale.query(TABLE)).await.err());
    let catalog = stale.catalog.clone();
    let change = |ops, rows| SchemaChange {
        catalog: catalog.clone(),
        ops,
        rows,
        checks: Vec::new(),
        now: NOW,
        user: USER,
    };
    let op = add_column(&stale.table(TABLE), "x_new", integer());
    check(stale.store.change(change(vec![op], Vec::new())).await.err());
    check(stale.store.change(change(Vec::new(), vec![WriteOp::Insert(insert)])).await.err());
    assert!(world.ids(TABLE).await.is_empty());
    check_definitions(&world, &world.catalog).await;
    // A version from the future is as wrong.
    let tables = world.catalog.tables().to_vec();
    let catalog = Arc::new(Catalog::new(new + 1, tables, Vec::new()));
    let writes = WriteSet { catalog, now: NOW, user: USER, ops: Vec::new(), checks: Vec::new() };
    match world.store.apply(writes).await {
        Err(Error::StaleCatalog { bound, actual }) => assert_eq!((bound, actual), (new + 1, new)),
        other => panic!("should be stale, is {other:?}"),
    }
}

pub async fn definitions_load_as_they_were_made<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let version = world.catalog.version();
    check_definitions(&world, &world.catalog).await;
    let empty = Catalog::new(version - 1, Vec::new(), Vec::new());
    let planned = apply_ops(&empty, &fixture::catalog_ops()).expect("the suite's tables");
    check_definitions(&world, &planned).await;
    world.change(Vec::new()).await.expect("a change of nothing");
    assert_eq!(world.catalog.version(), version + 1);
}
