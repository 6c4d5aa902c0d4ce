//! Many-to-many relationships, and definitions that change and go.

use super::schema::check_definitions;
use crate::conformance::Harness;
use crate::conformance::fixture::{
    self, TableBuilder, id, integer, key, next_column, pair_ops, relationship,
};
use crate::conformance::world::{World, text};
use crate::{Error, Reason, SchemaOp, WriteOp};
use model::{
    Cascade, CascadeAction, ColumnId, ColumnKind, DeleteAction, GlobalChoice, KeyIndex, Label,
    Menu, MenuBehavior, Timestamp, Value,
};

const TABLE: &str = "ship_crate";
const PAIRS: &str = "ship_crate_account";

/// Crates 1 and 2, accounts 11 and 12, and the pairs 1–11, 1–12 and 2–11.
async fn world_with_pairs<H: Harness>() -> (H, World) {
    let (harness, mut world) = World::open::<H>().await;
    world.change(pair_ops(&world.catalog)).await.expect("a many-to-many relationship");
    world.insert(TABLE, &[(id(1), &[]), (id(2), &[])]).await;
    world.insert("account", &[(id(11), &[]), (id(12), &[])]).await;
    for (pair, one, two) in [(21, 1, 11), (22, 1, 12), (23, 2, 11)] {
        let cells = [
            ("ship_crateid", world.to(TABLE, id(one))),
            ("accountid", world.to("account", id(two))),
        ];
        world.insert(PAIRS, &[(id(pair), &cells)]).await;
    }
    (harness, world)
}

pub async fn pairs_go_with_either_side<H: Harness>() {
    let (_harness, world) = world_with_pairs::<H>().await;
    check_definitions(&world, &world.catalog).await;
    world.run(WriteOp::Delete(world.deletes("account", &[id(11)]))).await;
    assert_eq!(world.ids(PAIRS).await, [id(22)]);
    assert_eq!(world.ids(TABLE).await, [id(1), id(2)], "the other side stays");
    world.run(WriteOp::Delete(world.deletes(TABLE, &[id(1), id(2)]))).await;
    assert!(world.ids(PAIRS).await.is_empty());
    assert_eq!(world.ids("account").await, [id(12)]);
}

pub async fn a_pair_stands_once_and_both_sides_exist<H: Harness>() {
    let (_harness, world) = world_with_pairs::<H>().await;
    let pair = |one: u128, two: u128| {
        [("ship_crateid", world.to(TABLE, id(one))), ("accountid", world.to("account", id(two)))]
    };
    let again = pair(1, 11);
    let op = WriteOp::Insert(world.inserts(PAIRS, &[(id(30), &again)]));
    world.check_refused(op, &[(0, Reason::DuplicateKey { key: KeyIndex(0) })]).await;
    let nobody = pair(1, 99);
    let missing = Reason::LookupMissing {
        column: world.column(PAIRS, "accountid"),
        table: world.table("account").id,
        id: id(99),
    };
    let op = WriteOp::Insert(world.inserts(PAIRS, &[(id(31), &nobody)]));
    world.check_refused(op, &[(0, missing)]).await;
    let fresh = pair(2, 12);
    world.insert(PAIRS, &[(id(32), &fresh)]).await;
}

pub async fn what_is_dropped_goes_with_its_values<H: Harness>() {
    let (_harness, mut world) = world_with_pairs::<H>().await;
    let many = world.catalog.many_to_many()[0].metadata_id;
    let pairs = world.table(PAIRS).id;
    let drop = vec![SchemaOp::DropManyToMany(many), SchemaOp::DropTable(pairs)];
    world.change(drop).await.expect("the relationship and its table");
    assert!(world.catalog.table(PAIRS).is_none());
    world.run(WriteOp::Delete(world.deletes("account", &[id(11)]))).await;
    // A lookup with what hangs on it: the relationship, then the column.
    let lines = world.table("ship_line");
    let link = world.catalog.relationships().iter().find(|one| &*one.schema_name == "crate_hold");
    let link = link.expect("the suite's own").metadata_id;
    let column = lines.column(world.column("ship_line", "ship_hold")).id;
    world.insert("ship_line", &[(id(3), &[("ship_hold", world.to(TABLE, id(1)))])]).await;
    let drop =
        vec![SchemaOp::DropRelationship(link), SchemaOp::DropColumn { table: lines.id, column }];
    world.change(drop).await.expect("a lookup and its relationship");
    world.run(WriteOp::Delete(world.deletes(TABLE, &[id(1)]))).await;
    assert_eq!(world.ids("ship_line").await, [id(3)], "nothing holds the crate any more");
    // A column made anew under the same name does not find the old values.
    let made = next_column(world.table("ship_line").definition(), "ship_hold", integer());
    let add = SchemaOp::AddColumn { table: lines.id, column: Box::new(made) };
    world.change(vec![add]).await.expect("the name is free");
    assert_eq!(world.value("ship_line", id(3), "ship_hold").await, Value::Null);
    check_definitions(&world, &world.catalog).await;
}

pub async fn a_dropped_column_moves_the_places_behind_it<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let cells = [
        ("ship_label", text("A")),
        ("ship_trackingno", text("T-1")),
        ("ship_count", Value::Integer(7)),
    ];
    world.insert(TABLE, &[(id(1), &cells)]).await;
    let crates = world.table(TABLE);
    let numbers = ["ship_note", "ship_total", "createdby"];
    let drop: Vec<SchemaOp> = numbers
        .into_iter()
        .map(|name| {
            let column = crates.column(world.column(TABLE, name)).id;
            SchemaOp::DropColumn { table: crates.id, column }
        })
        .collect();
    world.change(drop).await.expect("nothing depends on them");
    check_definitions(&world, &world.catalog).await;
    assert_eq!(world.table(TABLE).columns.len(), crates.columns.len() - numbers.len());
    assert_eq!(world.value(TABLE, id(1), "ship_count").await, Value::Integer(7));
    assert_eq!(world.value(TABLE, id(1), "ship_title").await, text("A T-1"), "it is computed");
    let again = [("ship_trackingno", text("t-1"))];
    let op = WriteOp::Insert(world.inserts(TABLE, &[(id(9), &again)]));
    world.check_refused(op, &[(0, Reason::DuplicateKey { key: KeyIndex(0) })]).await;
    let number = world.table(TABLE).keys[0].id;
    let drop = SchemaOp::DropKey { table: crates.id, key: number };
    world.change(vec![drop]).await.expect("a key");
    world.insert(TABLE, &[(id(9), &again)]).await;
    check_definitions(&world, &world.catalog).await;
}

pub async fn numbers_of_what_is_gone_are_not_given_again<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    let number = world.catalog.table_number_max() + 1;
    let made = || TableBuilder::new(number, "x_box").column("x_a", integer()).create();
    world.change(vec![made()]).await.expect("a table");
    let table = world.table("x_box");
    let last = table.columns[2].id;
    let drop = SchemaOp::DropColumn { table: table.id, column: last };
    world.change(vec![drop]).await.expect("a column");
    assert_eq!(world.table("x_box").next_column_id(), ColumnId(last.0 + 1));
    world.change(vec![SchemaOp::DropTable(table.id)]).await.expect("a table");
    assert_eq!(world.catalog.table_number_max(), number);
    check_definitions(&world, &world.catalog).await;
}

pub async fn a_lookup_that_loses_a_target_is_emptied_there<H: Harness>() {
    let (_harness, mut world) = World::open::<H>().await;
    world.insert("account", &[(id(1), &[])]).await;
    world.insert("contact", &[(id(2), &[])]).await;
    let to_account = [("ship_holder", world.to("account", id(1)))];
    let to_contact = [("ship_holder", world.to("contact", id(2)))];
    world.insert(TABLE, &[(id(3), &to_account), (id(4), &to_contact)]).await;
    let crates = world.table(TABLE);
    let link =
        world.catalog.relationships().iter().find(|one| &*one.schema_name == "contact_crates");
    let link = link.expect("the suite's own").metadata_id;
    let mut column = crates.column(world.column(TABLE, "ship_holder")).clone();
    if let ColumnKind::Lookup { targets, .. } = &mut column.kind {
        targets.retain(|target| &*target.table == "account");
    }
    let change = vec![
        SchemaOp::DropRelationship(link),
        SchemaOp::ChangeColumn { table: crates.id, column: Box::new(column) },
    ];
    world.change(change).await.expect("one target is left");
    assert_eq!(world.value(TABLE, id(3), "ship_holder").await, world.to("account", id(1)));
    assert_eq!(world.value(TABLE, id(4), "ship_holder").await, Value::Null);
    world.run(WriteOp::Delete(world.deletes("contact", &[id(2)]))).await;
    world.run(WriteOp::Delete(world.deletes("account", &[id(1)]))).await;
    assert_eq!(world.value(TABLE, id(3), "ship_holder").await, Value::Null);
}

pub async fn changed_definitions_load_as_they_were_changed<H: Harness>() {
    let (_harness, mut world) = world_with_pairs::<H>().await;
    let now = Some(Timestamp(1_800_000_000));
    let mut table = world.table(TABLE).definition().clone();
    table.display_name = Label::english("Box");
    table.settings.modified_on = now;
    let mut column = table.columns[usize::from(world.column(TABLE, "ship_label").0)].clone();
    column.kind = fixture::text(300);
    column.settings.is_secured = true;
    let mut link = world.catalog.relationships()[1].as_ref().clone();
    link.cascade = Cascade { assign: CascadeAction::UserOwned, ..link.cascade };
    link.settings.menu = Menu { behavior: MenuBehavior::DoNotDisplay, ..Menu::default() };
    let mut many = world.catalog.many_to_many()[0].as_ref().clone();
    many.settings.advanced_find = false;
    let choice = |name: &str, number: u128| GlobalChoice {
        metadata_id: id(number),
        name: name.into(),
        display_name: Label::english(name),
        description: Label::default(),
        options: fixture::options(&[1, 2]),
        is_custom: true,
        created_on: now,
        modified_on: None,
    };
    let ops = vec![
        SchemaOp::ChangeTable(Box::new(table.clone())),
        SchemaOp::ChangeColumn { table: table.id, column: Box::new(column) },
        SchemaOp::ChangeRelationship(link.clone()),
        SchemaOp::ChangeManyToMany(many),
        SchemaOp::PutChoice(choice("x_first", 71)),
        SchemaOp::PutChoice(choice("x_second", 72)),
    ];
    world.change(ops).await.expect("what may change");
    check_definitions(&world, &world.catalog).await;
    assert_eq!(world.catalog.relationships()[1].cascade, link.cascade, "its place is the same");
    let mut again = choice("x_first", 71);
    again.options = fixture::options(&[3]);
    let ops = vec![SchemaOp::PutChoice(again), SchemaOp::DropChoice(id(72))];
    world.change(ops).await.expect("choices change and go");
    assert_eq!(world.catalog.choices().len(), 1);
    assert_eq!(world.catalog.choices()[0].options, fixture::options(&[3]));
    check_definitions(&world, &world.catalog).await;
}

pub async fn what_others_depend_on_stays<H: Harness>() {
    let (_harness, mut world) = world_with_pairs::<H>().await;
    let before = world.catalog.clone();
    let crates = world.table(TABLE);
    let number = |name: &str| crates.column(world.column(TABLE, name)).id;
    let drop = |name: &str| SchemaOp::DropColumn { table: crates.id, column: number(name) };
    let mut other_form = crates.column(world.column(TABLE, "ship_weight")).clone();
    other_form.kind = fixture::decimal(3, 1_000);
    let mut renamed = crates.definition().clone();
    renamed.logical_name = "ship_other".into();
    let refused = [
        SchemaOp::DropTable(crates.id),
        drop("ship_holder"),
        drop("ship_trackingno"),
        drop("ship_label"),
        drop("ship_crateid"),
        drop("versionnumber"),
        drop("ship_price"),
        SchemaOp::DropColumn { table: crates.id, column: ColumnId(999) },
        SchemaOp::DropKey { table: crates.id, key: 99 },
        SchemaOp::DropRelationship(id(99)),
        SchemaOp::DropManyToMany(id(99)),
        SchemaOp::DropChoice(id(99)),
        SchemaOp::ChangeColumn { table: crates.id, column: Box::new(other_form) },
        SchemaOp::ChangeTable(Box::new(renamed)),
        SchemaOp::AddRelationship(relationship(
            "crate_accounts",
            ("ship_line", "ship_loose"),
            TABLE,
            DeleteAction::NoCascade,
        )),
    ];
    for op in refused {
        let name = format!("{op:?}");
        let change = world.change(vec![op]).await;
        assert!(matches!(change, Err(Error::Schema { .. })), "{name}: {change:?}");
    }
    check_definitions(&world, &before).await;
    let again = key(world.table(PAIRS).definition(), "x_again", &["accountid"]);
    let pairs = world.table(PAIRS).id;
    let result = world.change(vec![SchemaOp::AddKey { table: pairs, key: again }]).await;
    assert!(matches!(result, Err(Error::Rejected { .. })), "accounts stand in several pairs");
}
