//! Partitions: half of a row's identity.

use super::ElasticHarness;
use super::world::{Became, Place, World, delete, text};
use crate::conformance::fixture::id;
use crate::elastic::{ElasticKey, ElasticReason};
use model::{LookupValue, TableId, Value};

pub async fn the_same_id_in_two_partitions_is_two_rows<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let places = [(id(1), Some("p")), (id(1), Some("q")), (id(1), None)];
    let label = |number: usize| [("ship_label", text(&format!("row {number}")))];
    for (number, place) in places.into_iter().enumerate() {
        world.check(vec![world.insert(place, &label(number))], &[Became::Made]).await;
    }
    for (number, place) in places.into_iter().enumerate() {
        assert_eq!(world.value(place, "ship_label").await, label(number)[0].1);
    }
    assert_eq!(world.all().await.len(), 3);
    world.run(delete(places[0])).await;
    world.run(world.update(places[1], &label(9))).await;
    assert_eq!(world.row(places[0]).await, None);
    assert_eq!(world.value(places[1], "ship_label").await, label(9)[0].1);
    assert_eq!(world.value(places[2], "ship_label").await, label(2)[0].1);
}

pub async fn a_row_without_partition_lies_under_the_text_of_its_id<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let name = id(42).to_string();
    let (without, within) = ((id(42), None), (id(42), Some(&*name)));
    world.run(world.insert(without, &[("ship_label", text("a"))])).await;
    assert_eq!(world.value(without, "partitionid").await, Value::Null);
    assert_eq!(world.value(within, "ship_label").await, text("a"), "the same row");
    let exists = Became::Refused(ElasticReason::Exists);
    world.check(vec![world.insert(within, &[])], &[exists]).await;
    world.run(world.update(within, &[("ship_label", text("b"))])).await;
    assert_eq!(world.value(without, "ship_label").await, text("b"));
    assert_eq!(world.value(without, "partitionid").await, Value::Null, "it stays null");
    assert_eq!(world.all().await.len(), 1);
}

pub async fn partitions_are_told_apart_by_every_byte<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let long = "l".repeat(1_024);
    let names = [
        "a",
        "A",
        "a ",
        " a",
        "ab",
        "b",
        "é",
        "e\u{301}",
        "\0",
        "a\0",
        "a\0b",
        "\u{1}",
        "a\u{1}0",
        "\u{1}1",
        "\u{10FFFF}",
        "'",
        "\\",
        &long,
    ];
    for name in names {
        for number in [0, 1, u128::MAX] {
            let label = [("ship_label", text(&format!("<{name}>")))];
            world
                .check(vec![world.insert((id(number), Some(name)), &label)], &[Became::Made])
                .await;
        }
    }
    assert_eq!(world.all().await.len(), names.len() * 3);
    let (label, partition) = (world.column("ship_label").0, world.column("partitionid").0);
    for name in names {
        let rows = world.rows(&world.query(), Some(name)).await;
        assert_eq!(rows.len(), 3, "the rows of {name:?}");
        for row in rows {
            assert_eq!(row[usize::from(label)], text(&format!("<{name}>")));
            assert_eq!(row[usize::from(partition)], text(name));
        }
    }
    assert!(world.rows(&world.query(), Some("nobody")).await.is_empty());
    assert!(world.rows(&world.query(), Some("")).await.is_empty());
}

pub async fn rows_are_read_by_their_keys_over_partitions<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let places = [(id(1), Some("p")), (id(1), Some("q\0")), (id(2), None), (id(3), Some("p"))];
    let keys = |places: &[Place<'_>]| -> Vec<ElasticKey> {
        places.iter().map(|(id, partition)| ElasticKey::new(*id, *partition)).collect()
    };
    let read = async |world: &World, places: &[Place<'_>]| {
        let table = world.table();
        let rows = world.store.rows(&world.catalog, &table, &keys(places), world.now).await;
        rows.expect("they are read")
    };
    assert_eq!(read(&world, &places).await, vec![None; 4], "nothing is there yet");
    let owner = Value::Lookup(LookupValue { table: TableId(1), id: id(9) });
    for (number, place) in places.into_iter().take(3).enumerate() {
        let cells = [
            ("ship_label", text(&format!("row {number}"))),
            ("ownerid", owner.clone()),
            ("ttlinseconds", Value::Integer(if number == 1 { 10 } else { 100 })),
        ];
        world.check(vec![world.insert(place, &cells)], &[Became::Made]).await;
    }
    // In the order of the keys, one that is twice among them twice.
    let asked = [places[2], places[3], places[0], places[1], places[0], (id(1), Some("r"))];
    let rows = read(&world, &asked).await;
    for (row, place) in rows.iter().zip(asked) {
        assert_eq!(*row, world.row(place).await, "{place:?}");
    }
    let there: Vec<bool> = rows.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, true, true, true, false]);
    let owning = usize::from(world.column("owninguser").0);
    assert_eq!(rows[0].as_ref().map(|row| &row[owning]), Some(&owner), "computed columns, too");
    let rows = read(&world.later(10), &places).await;
    let there: Vec<bool> = rows.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, true, false], "the time of one is over");
    assert_eq!(read(&world, &[]).await, Vec::<Option<Vec<Value>>>::new());
    // Many keys of many partitions.
    let names: Vec<String> = (0..2_500).map(|number| format!("n{number}")).collect();
    let writes = names.iter().map(|name| world.insert((id(5), Some(name)), &[]));
    world.write(writes.collect()).await;
    let many: Vec<Place<'_>> = names.iter().rev().map(|name| (id(5), Some(&**name))).collect();
    let partition = usize::from(world.column("partitionid").0);
    let found =
        read(&world, &many).await.into_iter().map(|row| row.map(|row| row[partition].clone()));
    assert!(found.eq(names.iter().rev().map(|name| Some(text(name)))));
}

pub async fn a_row_stays_in_its_partition<H: ElasticHarness>() {
    let (_harness, world) = World::open::<H>().await;
    let place = (id(1), Some("p"));
    world.run(world.insert(place, &[])).await;
    let missing = Became::Refused(ElasticReason::Missing);
    let elsewhere = world.update((id(1), Some("q")), &[("partitionid", text("q"))]);
    world.check(vec![elsewhere], &[missing]).await;
    world.run(world.update(place, &[("partitionid", text("q"))])).await;
    assert_eq!(world.value(place, "partitionid").await, text("p"));
    world.run(world.replace(place, &[], &[])).await;
    assert_eq!(world.value(place, "partitionid").await, text("p"));
    assert_eq!(world.all().await.len(), 1);
}
