//! What the PostgreSQL engine promises beyond the contract.

use super::Postgres;
use model::{Uuid, Value, fold};
use query::{Compare, Filter, Match, Order};
use std::sync::Arc;
use store::conformance::Harness;
use store::conformance::families;
use store::conformance::fixture::{TableBuilder, id, key, memo, next_column, text as text_kind};
use store::conformance::world::{World, at, ids, text};
use store::writes::UpsertRow;
use store::{Error, Numbers, RowKey, SchemaOp, StandardStore, WriteOp};
use store_standard::{Counters, PostgresStore};
use testkit::postgres::{Cluster, Durability};

/// What one write sends once its statements are known to the connection.
async fn sent(node: &PostgresStore, world: &World, op: impl Fn(u128) -> WriteOp) -> Counters {
    // The first time a statement comes with its text, the second time it is prepared.
    for round in 0..3 {
        world.run(op(round)).await;
    }
    let before = node.counters();
    world.run(op(3)).await;
    let after = node.counters();
    Counters {
        transactions: after.transactions - before.transactions,
        flights: after.flights - before.flights,
        flights_in_transactions: after.flights_in_transactions - before.flights_in_transactions,
        statements: after.statements - before.statements,
        preparations: after.preparations - before.preparations,
    }
}

/// Checks that an operation takes the same statements however many rows it has, and so many flights.
async fn check_flights(
    harness: &Postgres,
    world: &World,
    flights: u64,
    op: impl Fn(&World, u128, u128) -> WriteOp,
) {
    let mut statements = Vec::new();
    // Two rows are the fewest where every other one is new.
    for count in [2, 10, 1_000] {
        let counters =
            sent(harness.node(), world, |round| op(world, count, count * 10_000 + round)).await;
        assert_eq!(counters.transactions, 1, "{counters:?}");
        assert_eq!(counters.flights, flights, "{counters:?}");
        assert_eq!(counters.flights_in_transactions, flights, "{counters:?}");
        statements.push(counters.statements);
    }
    assert!(statements.iter().all(|count| *count == statements[0]), "{statements:?}");
}

fn label(number: u128) -> Value {
    text(&format!("Crate {number}"))
}

/// Ids of one call: `part` tells calls apart.
fn some_ids(part: u128, count: u128) -> Vec<Uuid> {
    ids(part * 100_000 + 1, count)
}

fn new_crates(world: &World, ids: &[Uuid], parent: Option<Uuid>) -> WriteOp {
    let parent = parent.map_or(Value::Null, |parent| world.to("ship_crate", parent));
    let cells: Vec<[(&str, Value); 3]> = ids
        .iter()
        .map(|id| {
            [
                ("ship_label", label(id.as_u128())),
                ("ship_trackingno", text(&id.to_string())),
                ("ship_parent", parent.clone()),
            ]
        })
        .collect();
    let rows: Vec<(Uuid, &[(&str, Value)])> =
        ids.iter().zip(&cells).map(|(id, cells)| (*id, cells.as_slice())).collect();
    WriteOp::Insert(world.inserts("ship_crate", &rows))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_rows_without_lookups_take_one_flight() {
    let (harness, world) = World::open::<Postgres>().await;
    check_flights(&harness, &world, 1, |world, count, part| {
        new_crates(world, &some_ids(part, count), None)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_spreads_takes_the_same_statements_for_one_row_and_for_many() {
    let (harness, mut world) = World::open::<Postgres>().await;
    families::make_tables(&mut world).await;
    let mut used = Vec::new();
    // The first times statements are prepared.
    for (first, below) in [(1_000, 1), (2_000, 1), (3_000, 1), (4_000, 1), (5_000, 40)] {
        families::family(&world, first, below).await;
        let mut of = Vec::new();
        for op in families::spreading_ops(&world, first) {
            let before = harness.node().counters();
            world.run(op).await;
            let after = harness.node().counters();
            of.push((after.statements - before.statements, after.flights - before.flights));
        }
        used.push(of);
        let owner = world.value("ship_mid", id(first + below), "ownerid").await;
        assert_eq!(owner, world.to("systemuser", id(0x502)), "the last row was reached");
    }
    assert_eq!(used[3], used[4], "one row below, and forty");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_rows_with_lookups_take_two_flights() {
    let (harness, world) = World::open::<Postgres>().await;
    world.run(new_crates(&world, &[id(7)], None)).await;
    check_flights(&harness, &world, 2, |world, count, part| {
        new_crates(world, &some_ids(part, count), Some(id(7)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_take_two_flights_however_many_column_sets() {
    let (harness, world) = World::open::<Postgres>().await;
    let all = ids(1, 1_000);
    world.run(new_crates(&world, &all, None)).await;
    let names = ["ship_label", "ship_note", "ship_total", "ship_fragile"];
    let value = |name: &str, number: u128| match name {
        "ship_total" => Value::BigInt(i64::try_from(number).expect("it is small")),
        "ship_fragile" => Value::Boolean(number.is_multiple_of(2)),
        _ => label(number),
    };
    let update = |world: &World, count: u128, sets: u128, part: u128| {
        let cells: Vec<Vec<(&str, Value)>> = (0..count)
            .map(|row| {
                let set = row % sets + 1;
                let named = names.iter().enumerate().filter(|(place, _)| set >> place & 1 == 1);
                named.map(|(_, name)| (*name, value(name, part + row))).collect()
            })
            .collect();
        let rows: Vec<(Uuid, &[(&str, Value)])> =
            all.iter().zip(&cells).map(|(id, cells)| (*id, cells.as_slice())).collect();
        WriteOp::Update(world.updates("ship_crate", &rows))
    };
    check_flights(&harness, &world, 2, |world, count, part| update(world, count, 1, part)).await;
    let many = sent(harness.node(), &world, |round| update(&world, 1_000, 15, round)).await;
    let few = sent(harness.node(), &world, |round| update(&world, 1_000, 1, round)).await;
    assert_eq!(many.flights, 2, "{many:?}");
    assert_eq!(many.statements, few.statements, "fifteen sets of columns take one statement");
    let eight = sent(harness.node(), &world, |round| update(&world, 1_000, 8, round)).await;
    assert_eq!(eight.flights, 2, "{eight:?}");
    assert_eq!(eight.statements, few.statements + 7, "eight sets of columns take one each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upserts_by_key_with_binds_take_two_flights() {
    let (harness, world) = World::open::<Postgres>().await;
    world.insert("account", &[(id(1), &[("accountnumber", text("A-1"))])]).await;
    check_flights(&harness, &world, 2, |world, count, part| {
        let rows = (0..count).map(|row| {
            let number = part * 100_000 + row;
            // Every other one exists from the round before.
            let name = text(&format!("T-{}", if row % 2 == 0 { row } else { number }));
            let key = world.key("ship_crate", "ship_Tracking", std::slice::from_ref(&name));
            let mut row = world.upsert_row(
                "ship_crate",
                Some(RowKey::Alternate(key)),
                id(number + 1),
                &[("ship_label", label(number))],
            );
            row.insert_cells = world.cells("ship_crate", &[("ship_trackingno", name)]);
            let account = world.key("account", "account_number", &[text("A-1")]);
            row.binds = vec![world.bind(("ship_crate", "ship_holder"), "account", account)];
            row
        });
        WriteOp::Upsert(world.upserts("ship_crate", rows.collect()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_takes_one_flight_with_and_without_a_count() {
    let (harness, world) = World::open::<Postgres>().await;
    world.run(new_crates(&world, &ids(1, 10), None)).await;
    for count_max in [None, Some(5_000)] {
        let mut query = world.query("ship_crate");
        query.count_max = count_max;
        let before = harness.node().counters();
        let page = world.page(&query).await;
        assert_eq!(page.rows, 10);
        assert_eq!(page.count, count_max.map(|_| 10));
        assert_eq!(harness.node().counters().flights, before.flights + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_sees_the_schema_changes_of_another_at_once() {
    let (harness, mut here) = World::open::<Postgres>().await;
    let node = harness.another_node().await;
    let catalog = node.catalog().await.unwrap();
    let mut there = World { store: node, catalog };
    here.change(vec![SchemaOp::AddColumn {
        table: here.table("account").id,
        column: Box::new(next_column(here.table("account").definition(), "extra", memo())),
    }])
    .await
    .unwrap();

    let stale = |answer: Error| match answer {
        Error::StaleCatalog { bound, actual } => assert_eq!((bound, actual), (1, 2)),
        other => panic!("should be stale, is {other:?}"),
    };
    let op = WriteOp::Insert(there.inserts("account", &[(id(1), &[])]));
    stale(there.apply(vec![op.clone()]).await.unwrap_err());
    stale(there.store.read(&there.query("account")).await.unwrap_err());
    stale(there.change(vec![TableBuilder::new(90, "late").create()]).await.unwrap_err());

    there.catalog = there.store.catalog().await.unwrap();
    assert_eq!(there.catalog.version(), 2);
    there.insert("account", &[(id(1), &[("extra", text("seen"))])]).await;
    assert_eq!(here.value("account", id(1), "extra").await, text("seen"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_between_reading_and_writing_is_kept_by_every_row() {
    // The writer is bound to the old definitions and writes a text whose fold is the plain one; then
    // the column gets a key. Either the write comes first and is folded with the rest, or it is stale.
    let (harness, mut world) = World::open::<Postgres>().await;
    let node = harness.another_node().await;
    let table = TableBuilder::new(80, "note").column("code", text_kind(50)).create();
    world.change(vec![table]).await.unwrap();
    let there = World { store: node, catalog: world.catalog.clone() };
    let writer = async {
        let mut written = 0_u128;
        for number in 0.. {
            let cells = [("code", text(&format!("Ä{number}")))];
            match there
                .apply(vec![WriteOp::Insert(there.inserts("note", &[(id(number + 1), &cells)]))])
                .await
            {
                Ok(_) => written += 1,
                Err(Error::StaleCatalog { .. }) => break,
                Err(other) => panic!("should be written or stale, is {other:?}"),
            }
        }
        written
    };
    let changer = async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let table = world.table("note");
        let key = key(table.definition(), "note_code", &["code"]);
        world.change(vec![SchemaOp::AddKey { table: table.id, key }]).await.unwrap();
    };
    let (written, ()) = tokio::join!(writer, changer);
    assert!(written > 0, "the change came in between");
    let rows = (0..written).map(|number| {
        let key = world.key("note", "note_code", &[text(&format!("ä{number} "))]);
        world.upsert_row("note", Some(RowKey::Alternate(key)), id(9_999 + number), &[])
    });
    let applied = world.run(WriteOp::Upsert(world.upserts("note", rows.collect()))).await;
    assert!(applied.ops[0].iter().all(|outcome| !outcome.created), "every row has its key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_upserts_of_one_new_key_from_two_nodes_make_one_row() {
    let (harness, world) = World::open::<Postgres>().await;
    let nodes = [harness.store(), harness.another_node().await as Arc<dyn StandardStore>];
    for round in 0..10_u128 {
        let writers = (0..6_usize).map(|writer| {
            let there = World { store: nodes[writer % 2].clone(), catalog: world.catalog.clone() };
            async move {
                let name = text(&format!("K-{round}"));
                let new_id = id(round * 100 + u128::try_from(writer).unwrap() + 1);
                let key = there.key("ship_crate", "ship_Tracking", std::slice::from_ref(&name));
                let row = UpsertRow {
                    insert_cells: there.cells("ship_crate", &[("ship_trackingno", name)]),
                    ..there.upsert_row("ship_crate", Some(RowKey::Alternate(key)), new_id, &[])
                };
                let op = WriteOp::Upsert(there.upserts("ship_crate", vec![row]));
                let applied =
                    there.apply(vec![op]).await.expect("an upsert is never refused for a race");
                applied.ops[0][0]
            }
        });
        let outcomes = futures_util::future::join_all(writers).await;
        let made = outcomes.iter().filter(|outcome| outcome.created).count();
        assert_eq!(made, 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| outcome.id == outcomes[0].id), "{outcomes:?}");
    }
    assert_eq!(world.ids("ship_crate").await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_never_give_a_number_twice_and_take_any_count_in_one_flight() {
    let (harness, mut world) = World::open::<Postgres>().await;
    let table = world.table("ship_crate");
    let mut column = table.column(world.column("ship_crate", "ship_label")).clone();
    column.settings.auto_number = Some("{SEQNUM:4}".into());
    column.settings.number_seed = Some(1_000);
    let (table, column_id) = (table.id, column.id);
    let change = SchemaOp::ChangeColumn { table, column: Box::new(column) };
    world.change(vec![change]).await.expect("a column may get a counter");
    let nodes = [harness.store(), harness.another_node().await as Arc<dyn StandardStore>];
    let takers = (0..8_usize).map(|taker| {
        let (store, catalog) = (nodes[taker % 2].clone(), world.catalog.clone());
        async move {
            let wanted = [Numbers { table, column: column_id, count: 50 }];
            let mut all = Vec::new();
            for _ in 0..10 {
                all.extend(
                    store.take_numbers(&catalog, &wanted).await.expect("a counter").concat(),
                );
            }
            all
        }
    });
    let all = futures_util::future::join_all(takers).await.concat();
    let different: std::collections::BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!((all.len(), different.len()), (4_000, 4_000));
    for count in [1, 1_000] {
        let before = harness.node().counters();
        let wanted = [Numbers { table, column: column_id, count }];
        let taken = harness.node().take_numbers(&world.catalog, &wanted).await.expect("a counter");
        assert_eq!(taken[0].len(), count);
        let after = harness.node().counters();
        assert_eq!(after.flights - before.flights, 1);
        assert_eq!(after.statements - before.statements, 2, "the version, and the numbers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_change_the_same_rows_in_opposite_orders_all_succeed() {
    let (harness, world) = World::open::<Postgres>().await;
    let all = ids(1, 50);
    world.run(new_crates(&world, &all, None)).await;
    let nodes = [harness.store(), harness.another_node().await as Arc<dyn StandardStore>];
    let writers = (0..8_usize).map(|writer| {
        let there = World { store: nodes[writer % 2].clone(), catalog: world.catalog.clone() };
        let mut all = all.clone();
        if writer % 2 == 1 {
            all.reverse();
        }
        async move {
            for _ in 0..10 {
                let cells = [("ship_count", Value::Integer(i32::try_from(writer).unwrap()))];
                let rows: Vec<_> = all.iter().map(|id| (*id, cells.as_slice())).collect();
                there.run(WriteOp::Update(there.updates("ship_crate", &rows))).await;
            }
        }
    });
    futures_util::future::join_all(writers).await;
    let counts: Vec<Value> = world
        .rows("ship_crate")
        .await
        .into_iter()
        .map(|row| row[usize::from(world.column("ship_crate", "ship_count").0)].clone())
        .collect();
    assert!(counts.iter().all(|count| *count == counts[0]), "messages do not mix: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_write_leaves_all_of_it_or_nothing() {
    let (_harness, world) = World::open::<Postgres>().await;
    world.run(new_crates(&world, &[id(1)], None)).await;
    for round in 1..=40_u128 {
        let rows = some_ids(round, 100);
        let op = new_crates(&world, &rows, Some(id(1)));
        let wait = std::time::Duration::from_micros(u64::try_from(round * 100).unwrap());
        // A write that was not finished in time is dropped somewhere in the middle.
        let finished = tokio::time::timeout(wait, world.apply(vec![op])).await.is_ok();
        // What is still running on the server ends before a write of the same rows does.
        let again = world.apply(vec![new_crates(&world, &rows, None)]).await;
        match again {
            Ok(_) => assert!(!finished, "a finished write is there"),
            Err(Error::Rejected { rows: refused, .. }) => assert_eq!(refused.len(), 100),
            Err(other) => panic!("should be there or not, is {other:?}"),
        }
    }
}

/// Every character that has a lower case of its own.
fn capitals() -> impl Iterator<Item = char> {
    ('\0'..=char::MAX).filter(|each| !each.to_lowercase().eq([*each]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_capital_of_unicode_is_found_by_its_fold_in_columns_without_an_index() {
    let (_harness, world) = World::open::<Postgres>().await;
    let mut texts: Vec<String> = capitals().map(|each| format!("x{each}Σ {each}  ")).collect();
    texts.extend(["abc".to_owned(), "ABC ".to_owned(), "ὈΔΟΣ".to_owned(), "straße".to_owned()]);
    let rows: Vec<(Uuid, [(&str, Value); 1])> = texts
        .iter()
        .zip(1..)
        .map(|(each, number)| (id(number), [("ship_note", text(each))]))
        .collect();
    let rows: Vec<(Uuid, &[(&str, Value)])> =
        rows.iter().map(|(id, cells)| (*id, cells.as_slice())).collect();
    world.insert("ship_crate", &rows).await;
    // Half of them once more by update, which must empty or fill the kept fold.
    world.update("ship_crate", &rows[..rows.len() / 2]).await;
    let flipped: Vec<[(&str, Value); 1]> =
        texts.iter().rev().map(|each| [("ship_note", text(each))]).collect();
    let flipped: Vec<(Uuid, &[(&str, Value)])> =
        rows.iter().zip(&flipped).map(|((id, _), cells)| (*id, cells.as_slice())).collect();
    world.update("ship_crate", &flipped).await;

    let note = at(world.column("ship_crate", "ship_note"));
    let key = at(world.column("ship_crate", "ship_crateid"));
    let mut query = world.query("ship_crate");
    query.columns = vec![note];
    query.order =
        vec![Order { column: note, descending: false }, Order { column: key, descending: false }];
    query.filter = Some(Filter::In {
        column: note,
        values: texts.iter().map(|each| text(&fold(each))).collect(),
        negated: false,
    });
    let page = world.page(&query).await;
    assert_eq!(page.rows, texts.len(), "each is found by its fold");
    let folds: Vec<String> = page
        .cells
        .iter()
        .map(|cell| match cell {
            Value::Text(text) => fold(text).into_owned(),
            other => panic!("a note is text, not {other:?}"),
        })
        .collect();
    assert!(folds.is_sorted(), "the order is that of the bytes of the fold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_with_nul_finds_nothing_and_breaks_nothing() {
    let (_harness, world) = World::open::<Postgres>().await;
    world
        .insert(
            "ship_crate",
            &[
                (id(1), &[("ship_note", text("ab"))]),
                (id(2), &[("ship_note", text("abc"))]),
                (id(3), &[("ship_note", text("abd"))]),
            ],
        )
        .await;
    let column = at(world.column("ship_crate", "ship_note"));
    let check = async |filter: Filter, want: &[u128]| {
        let mut query = world.query("ship_crate");
        query.filter = Some(filter);
        let rows = world.page(&query).await;
        let got: Vec<Option<Uuid>> =
            rows.rows(query.columns.len()).map(|row| row[0].as_id()).collect();
        assert_eq!(got, want.iter().map(|number| Some(id(*number))).collect::<Vec<_>>());
    };
    let value = || text("ab\0c");
    let compare = |compare| Filter::Compare { column, compare, value: value() };
    check(compare(Compare::Equal), &[]).await;
    check(compare(Compare::NotEqual), &[1, 2, 3]).await;
    check(compare(Compare::Less), &[1]).await;
    check(compare(Compare::GreaterOrEqual), &[2, 3]).await;
    check(Filter::In { column, values: vec![value(), text("abd")], negated: false }, &[3]).await;
    for matches in [Match::Contains, Match::StartsWith, Match::EndsWith] {
        let find = |negated| Filter::Text { column, matches, text: "b\0".into(), negated };
        check(find(false), &[]).await;
        check(find(true), &[1, 2, 3]).await;
    }
    let missing = world.key("ship_crate", "ship_Tracking", &[text("\0")]);
    let mut update = world.updates("ship_crate", &[(id(1), &[])]);
    update.rows[0].key = RowKey::Alternate(missing);
    let answer = world.apply(vec![WriteOp::Update(update)]).await;
    assert!(matches!(answer, Err(Error::Rejected { .. })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_the_same_moment_on_an_empty_database_all_open() {
    for _ in 0..5 {
        let url = Postgres::fresh_url();
        let opened =
            futures_util::future::join_all((0..6).map(|_| PostgresStore::open(&url))).await;
        for store in opened {
            let catalog = store.expect("the store opens").catalog().await.unwrap();
            assert_eq!(catalog.version(), 0);
        }
    }
}

/// Checks that opening fails, and says all of this.
async fn check_not_opened(url: &str, said: &[&str]) {
    let Err(error) = PostgresStore::open(url).await else { panic!("`{url}` should not open") };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    for word in said {
        assert!(text.contains(word), "`{word}` is not in `{text}`");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_says_why() {
    check_not_opened("postgres://somebody@127.0.0.1/x?sslmode=require", &["sslmode=require"]).await;
    check_not_opened("postgres://somebody:secret@127.0.0.1:1/x", &["connecting"]).await;
    check_not_opened("nonsense", &["not understood"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_layout_is_refused() {
    let harness = Postgres::open().await;
    let name = harness.url().rsplit('/').next().unwrap().to_owned();
    let cluster = Cluster::shared().unwrap();
    cluster.sql(&name, "UPDATE sheaf_catalog SET layout = 7").unwrap();
    check_not_opened(harness.url(), &["layout 7", "layout 1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_cannot_hold_is_refused_when_it_is_defined() {
    let (_harness, mut world) = World::open::<Postgres>().await;
    let long = TableBuilder::new(81, "long")
        .column("code", text_kind(4_000))
        .key("long_code", &["code"])
        .create();
    let mut wide = TableBuilder::new(82, "wide");
    for number in 0..900 {
        wide = wide.column(&format!("t{number}"), text_kind(10));
    }
    for (op, said) in [(long, "indexes at most"), (wide.create(), "1600")] {
        match world.change(vec![op]).await {
            Err(Error::Schema { why }) => assert!(why.contains(said), "{why}"),
            other => panic!("should be refused, is {other:?}"),
        }
    }
    assert_eq!(world.store.catalog_version().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_works_over_a_unix_socket_and_outlives_a_crash_of_the_server() {
    let mut cluster = Cluster::start_own(Durability::Process).unwrap();
    let tcp = cluster.create_database("crash").unwrap();
    let name = tcp.rsplit('/').next().unwrap();
    let directory = cluster.sql("postgres", "SHOW unix_socket_directories").unwrap();
    let port = cluster.sql("postgres", "SHOW port").unwrap();
    let url = format!("postgres://postgres@/{name}?host={directory}&port={port}");
    let store = PostgresStore::open(&url).await.unwrap();
    let world = World::over(store).await;
    world.run(new_crates(&world, &ids(1, 100), None)).await;
    let before = world.contents_with_versions().await;
    cluster.crash_and_restart().unwrap();
    assert_eq!(world.contents_with_versions().await, before, "what was acknowledged is there");
    world.run(new_crates(&world, &ids(101, 100), None)).await;
    assert_eq!(world.ids("ship_crate").await.len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_must_be_refused_is_judged_and_not_written() {
    let (harness, world) = World::open::<Postgres>().await;
    let mut impossible = world.updates("ship_crate", &[(Uuid::nil(), &[])]);
    impossible.rows[0].expected_version = Some(i64::MIN);
    let impossible = WriteOp::Update(impossible);
    let ids = some_ids(1, 300);
    let before = harness.node().counters();
    let answer = world.apply(vec![new_crates(&world, &ids, None), impossible.clone()]).await;
    assert!(matches!(answer, Err(Error::Rejected { op: 1, .. })), "{answer:?}");
    assert_eq!(harness.node().counters().transactions - before.transactions, 1);
    // What was written and rolled back would have left its pages.
    let table = world.table("ship_crate").id;
    let pages = format!("SELECT pg_relation_size('t{}')", table.0);
    let database = harness.url().rsplit('/').next().and_then(|name| name.split('?').next());
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    let found = cluster.sql(database.expect("it has a name"), &pages).expect("it runs");
    assert_eq!(found.trim(), "0");
    world.run(new_crates(&world, &ids[7..8], None)).await;
    match world.apply(vec![new_crates(&world, &ids, None), impossible]).await {
        Err(Error::Rejected { op: 0, rows }) => assert_eq!(rows[0].index, 7, "{rows:?}"),
        other => panic!("should be refused, is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_messages_of_many_rows_are_refused_often_they_are_judged_before_they_are_written() {
    let (harness, world) = World::open::<Postgres>().await;
    world.run(new_crates(&world, &some_ids(1, 1), None)).await;
    let ids = some_ids(1, 300);
    let transactions = async || {
        let before = harness.node().counters();
        match world.apply(vec![new_crates(&world, &ids, None)]).await {
            Err(Error::Rejected { op: 0, rows }) => assert_eq!(rows[0].index, 0, "{rows:?}"),
            other => panic!("should be refused, is {other:?}"),
        }
        harness.node().counters().transactions - before.transactions
    };
    for _ in 0..4 {
        assert_eq!(transactions().await, 2, "written, undone and judged");
    }
    assert_eq!(transactions().await, 1, "judged");
    // When all passed for a while nobody is judged first any more.
    for part in 2..18 {
        world.run(new_crates(&world, &some_ids(part, 300), None)).await;
    }
    assert_eq!(transactions().await, 2);
    assert_eq!(world.ids("ship_crate").await.len(), 1 + 16 * 300);
}
