//! What the SQLite engine promises beyond the contract.

use super::{Sqlite, options};
use model::{Decimal, Uuid, Value};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::conformance::Harness;
use store::conformance::families;
use store::conformance::fixture::{TableBuilder, decimal, id, money, next_column};
use store::conformance::world::{World, text};
use store::{Error, RowKey, SchemaOp, StandardStore as _, WriteOp};
use store_standard::{SqliteOptions, SqliteStore, StatementCounts};

const TABLE: &str = "ship_crate";

fn open(path: &Path, options: SqliteOptions) -> Arc<SqliteStore> {
    SqliteStore::open(path, options).expect("the store opens")
}

async fn world_at(path: &Path, options: SqliteOptions) -> (Arc<SqliteStore>, World) {
    let store = open(path, options);
    let world = World::over(store.clone()).await;
    (store, world)
}

/// What one message of each kind over `count` rows takes, in statements.
async fn statements_of(store: &SqliteStore, world: &World, first: u128, count: u128) -> [u64; 6] {
    let ids: Vec<Uuid> = (first..first + count).map(id).collect();
    let code = |id: &Uuid| text(&format!("no-{id}"));
    let mut steps = Vec::new();
    let mut insert = world.inserts(TABLE, &[]);
    for new in &ids {
        let cells = [
            ("ship_trackingno", code(new)),
            ("ship_holder", world.to("account", id(1))),
            ("ship_parent", world.to(TABLE, id(1))),
        ];
        let cells = world.cells(TABLE, &cells);
        insert.rows.push(store::writes::InsertRow { id: *new, cells, binds: Vec::new() });
    }
    steps.push(WriteOp::Insert(insert));
    let by_key = |id: &Uuid| RowKey::Alternate(world.key(TABLE, "ship_Tracking", &[code(id)]));
    let by_id: Vec<_> = ids
        .iter()
        .map(|id| (*id, vec![("ship_count", Value::Null), ("ship_note", text("changed"))]))
        .collect();
    let by_id: Vec<_> = by_id.iter().map(|(id, cells)| (*id, &cells[..])).collect();
    steps.push(WriteOp::Update(world.updates(TABLE, &by_id)));
    let mut keyed = world.updates(TABLE, &by_id);
    for (row, id) in keyed.rows.iter_mut().zip(&ids) {
        row.key = by_key(id);
    }
    steps.push(WriteOp::Update(keyed));
    let upsert = |id: &Uuid, key: RowKey| {
        world.upsert_row(TABLE, Some(key), *id, &[("ship_note", text("again"))])
    };
    let known = ids.iter().map(|id| upsert(id, by_key(id)));
    let new = ids.iter().map(|known| {
        let new = Uuid::from_u128(known.as_u128() + 1_000_000);
        upsert(&new, RowKey::Id(new))
    });
    let rows = known.chain(new).collect();
    steps.push(WriteOp::Upsert(world.upserts(TABLE, rows)));
    let lines: Vec<_> = ids
        .iter()
        .map(|id| {
            let cells = vec![("ship_cascade", world.to(TABLE, *id))];
            (Uuid::from_u128(id.as_u128() + 2_000_000), cells)
        })
        .collect();
    let lines: Vec<_> = lines.iter().map(|(id, cells)| (*id, &cells[..])).collect();
    steps.push(WriteOp::Insert(world.inserts("ship_line", &lines)));
    steps.push(WriteOp::Delete(world.deletes(TABLE, &ids)));
    let mut used = [0; 6];
    for (step, used) in steps.into_iter().zip(&mut used) {
        let before = store.statements().used;
        world.run(step).await;
        *used = store.statements().used - before;
    }
    used
}

/// An aggregate of all rows, and the first rows of many parents, are one statement each.
#[tokio::test]
async fn groups_and_lists_are_one_statement() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, world) = world_at(directory.path(), options()).await;
    let ids: Vec<Uuid> = (1..=200).map(id).collect();
    let cells = |number: &Uuid| {
        let number = i32::try_from(number.as_u128()).expect("a small number");
        let price = Value::Decimal(Decimal::from(number));
        [("ship_size", Value::Integer(number % 3)), ("ship_price", price)]
    };
    let rows: Vec<_> = ids.iter().map(|id| (*id, cells(id))).collect();
    let rows: Vec<_> = rows.iter().map(|(id, cells)| (*id, &cells[..])).collect();
    world.insert(TABLE, &rows).await;
    let at = |name: &str| query::ColumnRef::root(world.column(TABLE, name));
    let mut groups = query::shape::Groups {
        keys: vec![at("ship_size").into()],
        aggregates: vec![
            query::shape::Aggregate::Rows,
            query::shape::Aggregate::Sum(at("ship_price")),
        ],
        ..query::shape::Groups::default()
    };
    groups.complete_order();
    let mut query = world.query(TABLE);
    query.shape.rows = query::Rows::Groups(groups);
    let before = store.statements().used;
    assert_eq!(world.page(&query).await.rows, 3);
    assert_eq!(store.statements().used - before, 1);
    let mut query = world.query(TABLE);
    let parent = at("ship_parent");
    let parents = ids.iter().copied().map(Value::Guid).collect();
    query.filter = Some(query::Filter::In { column: parent, values: parents, negated: false });
    query.shape.rows = query::Rows::PerParent(query::shape::PerParent { parent, size: 5 });
    let before = store.statements().used;
    assert_eq!(world.page(&query).await.rows, 0);
    assert_eq!(store.statements().used - before, 1);
}

#[tokio::test]
async fn what_spreads_takes_the_same_statements_for_one_row_and_for_many() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, mut world) = world_at(directory.path(), options()).await;
    families::make_tables(&mut world).await;
    let mut used = Vec::new();
    for (first, below) in [(1_000, 1), (2_000, 1), (3_000, 40)] {
        families::family(&world, first, below).await;
        let mut of = Vec::new();
        for op in families::spreading_ops(&world, first) {
            let before = store.statements().used;
            world.run(op).await;
            of.push(store.statements().used - before);
        }
        used.push(of);
        let last = id(first + below);
        let owner = world.value("ship_mid", last, "ownerid").await;
        assert_eq!(owner, world.to("systemuser", id(0x502)), "the last row was reached");
    }
    assert_eq!(used[1], used[2], "one row below, and forty");
}

#[tokio::test]
async fn statements_depend_on_the_kinds_of_work_not_on_the_number_of_targets() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, world) = world_at(directory.path(), options()).await;
    world.insert("account", &[(id(1), &[])]).await;
    world.insert(TABLE, &[(id(1), &[])]).await;
    // The first rows also reserve versions, and the first statements are prepared.
    statements_of(&store, &world, 10, 1).await;
    let prepared = store.statements().prepared;
    let few = statements_of(&store, &world, 100, 3).await;
    let many = statements_of(&store, &world, 10_000, 700).await;
    assert_eq!(few, many);
    assert_eq!(store.statements().prepared, prepared, "nothing is prepared twice");
}

#[tokio::test]
async fn a_second_store_on_the_same_directory_is_refused_until_the_first_is_closed() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let first = open(directory.path(), options());
    match SqliteStore::open(directory.path(), options()) {
        Err(Error::Engine { doing, .. }) => assert!(doing.contains("another process"), "{doing}"),
        other => panic!("should be refused, is {other:?}"),
    }
    first.close();
    open(directory.path(), options());
}

#[tokio::test]
async fn a_full_queue_answers_busy() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, mut world) = world_at(directory.path(), options()).await;
    store.close();
    let no_room = SqliteOptions { write_queue_max: 0, read_queue_max: 0, ..options() };
    world.store = open(directory.path(), no_room);
    assert!(matches!(world.apply(Vec::new()).await, Err(Error::Busy)));
    assert!(matches!(world.change(Vec::new()).await, Err(Error::Busy)));
    assert!(matches!(world.store.read(&world.query(TABLE)).await, Err(Error::Busy)));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, world) = world_at(directory.path(), options()).await;
    store.close();
    store.close();
    match world.apply(Vec::new()).await {
        Err(Error::Engine { source, .. }) => assert_eq!(source.to_string(), "the store is closed"),
        other => panic!("should be refused, is {other:?}"),
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (_store, mut world) = world_at(directory.path(), options()).await;
    world.insert(TABLE, &[(id(1), &[("ship_label", text("kept"))])]).await;
    let version = world.version(TABLE, id(1)).await;
    // The files as a killed process leaves them: nothing is closed, nothing moved out of the log.
    let left = tempfile::tempdir().expect("a temporary directory can be made");
    for file in ["sheaf.sqlite", "sheaf.sqlite-wal"] {
        std::fs::copy(directory.path().join(file), left.path().join(file)).expect("it is there");
    }
    world.store = open(left.path(), options());
    world.catalog = world.store.catalog().await.expect("it has a catalog");
    assert_eq!(world.value(TABLE, id(1), "ship_label").await, text("kept"));
    world.insert(TABLE, &[(id(2), &[])]).await;
    assert!(world.version(TABLE, id(2)).await > version);
}

#[tokio::test]
async fn many_messages_at_once_share_commits() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, world) = world_at(directory.path(), options()).await;
    let before = store.statements();
    let messages = (1..=200).map(|number| {
        let op = WriteOp::Insert(world.inserts(TABLE, &[(id(number), &[])]));
        world.apply(vec![op])
    });
    let answers = futures_util::future::join_all(messages).await;
    assert!(answers.iter().all(Result::is_ok));
    let StatementCounts { commits, .. } = store.statements();
    assert!(commits - before.commits < 200, "{} commits", commits - before.commits);
    assert_eq!(world.ids(TABLE).await.len(), 200);
}

#[tokio::test]
async fn a_decimal_whose_range_does_not_fit_is_refused_with_what_fits() {
    let mut harness = Sqlite::open().await;
    let mut world = World::over(harness.store()).await;
    let wide = decimal(10, 1_000_000_000);
    let table = TableBuilder::new(90, "wide").column("amount", wide.clone());
    for ops in [
        vec![table.create()],
        vec![SchemaOp::AddColumn {
            table: world.table(TABLE).id,
            column: Box::new(next_column(world.table(TABLE).definition(), "amount", wide)),
        }],
    ] {
        match world.change(ops).await {
            Err(Error::Schema { why }) => {
                assert!(why.contains("-922337203.6854775808 to 922337203.6854775807"), "{why}");
            }
            other => panic!("should be refused, is {other:?}"),
        }
    }
    let most = decimal(10, 922_337_203);
    let table = TableBuilder::new(90, "wide").column("amount", most).column("price", money());
    world.change(vec![table.create()]).await.expect("this range fits");
    let amount = Value::Decimal(Decimal::new(9_223_372_029_999_999_999, 10));
    world.insert("wide", &[(id(1), &[("amount", amount.clone())])]).await;
    harness.reopen().await;
    world.store = harness.store();
    assert_eq!(world.value("wide", id(1), "amount").await, amount);
}

#[tokio::test]
async fn a_page_that_takes_too_long_is_given_up() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, mut world) = world_at(directory.path(), options()).await;
    let rows: Vec<_> = (1..=2_000).map(|number| (id(number), &[][..])).collect();
    world.insert(TABLE, &rows).await;
    store.close();
    let no_time = SqliteOptions { read_time_max: Duration::ZERO, ..options() };
    world.store = open(directory.path(), no_time);
    match world.store.read(&world.query(TABLE)).await {
        Err(Error::Engine { doing, .. }) => {
            assert_eq!(doing, "reading a page within the time limit");
        }
        other => panic!("should be given up, is {other:?}"),
    }
}

/// The plan of a statement over the table's physical columns: `{name}` stands for a column.
fn check_plan(world: &World, path: &Path, sql: &str, want: &str) {
    let table = world.table(TABLE);
    let mut text = sql.to_owned();
    for (_, column) in table.indexed_columns() {
        let name = format!("{{{}}}", column.logical_name);
        text = text.replace(&name, &format!("c{}", column.id.0));
    }
    let conn = Connection::open(path.join("sheaf.sqlite")).expect("it opens");
    rusqlite::vtab::array::load_module(&conn).expect("it loads");
    let mut statement = conn
        .prepare(&format!("EXPLAIN QUERY PLAN {}", text.replace("{table}", "t5")))
        .expect("it is sound");
    let mut plan: Vec<String> = Vec::new();
    let mut steps = statement.raw_query();
    while let Some(step) = steps.next().expect("it runs") {
        plan.push(step.get(3).expect("it reads"));
    }
    assert!(plan.iter().any(|step| step.contains(want)), "{text}: {plan:?}");
    assert!(!plan.iter().any(|step| step.contains("SCAN t5")), "{text}: {plan:?}");
}

#[tokio::test]
async fn keys_ids_and_relationships_are_found_by_index() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (_store, world) = world_at(directory.path(), options()).await;
    let path = directory.path();
    let ids = "(SELECT value FROM rarray(?1))";
    check_plan(
        &world,
        path,
        &format!("SELECT 1 FROM {{table}} WHERE {{ship_crateid}} IN {ids}"),
        "sqlite_autoindex_t5_1",
    );
    check_plan(&world, path, "SELECT 1 FROM {table} WHERE {ship_trackingno}f = ?1", "k5_1");
    check_plan(
        &world,
        path,
        "SELECT 1 FROM {table} WHERE {ship_holder} = ?1 AND {ship_count} = ?2",
        "k5_2",
    );
    check_plan(
        &world,
        path,
        &format!("SELECT 1 FROM {{table}} WHERE {{ship_parent}} IN {ids}"),
        &format!("i5_{}", world.table(TABLE).column(world.column(TABLE, "ship_parent")).id.0),
    );
    check_plan(
        &world,
        path,
        "SELECT 1 FROM {table} WHERE {ship_label}f >= ?1 AND {ship_label}f < ?2 \
         ORDER BY {ship_label}f, {ship_crateid} LIMIT 10",
        &format!("i5_{}", world.table(TABLE).column(world.column(TABLE, "ship_label")).id.0),
    );
}

/// A message of new rows of these numbers; each stands for id and tracking number.
fn numbered(world: &World, numbers: impl IntoIterator<Item = u128>) -> WriteOp {
    let mut insert = world.inserts(TABLE, &[]);
    for number in numbers {
        let cells = world.cells(TABLE, &[("ship_trackingno", text(&number.to_string()))]);
        insert.rows.push(store::writes::InsertRow { id: id(number), cells, binds: Vec::new() });
    }
    WriteOp::Insert(insert)
}

/// The places of the rows that were refused, and of their operation.
fn refused(answer: Result<store::Applied, Error>) -> (usize, Vec<usize>) {
    match answer {
        Err(Error::Rejected { op, rows }) => (op, rows.iter().map(|row| row.index).collect()),
        other => panic!("should be refused, is {other:?}"),
    }
}

#[tokio::test]
async fn a_set_that_must_be_refused_is_judged_beside_the_writer_and_not_written() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, world) = world_at(directory.path(), options()).await;
    world.run(numbered(&world, [1, 2])).await;
    let mut impossible = world.updates(TABLE, &[(Uuid::nil(), &[])]);
    impossible.rows[0].expected_version = Some(i64::MIN);
    let impossible = WriteOp::Update(impossible);
    let before = store.statements();
    // Somebody holds the writer; who is only judged does not wait for it.
    let held = store.begin(world.catalog.clone(), Duration::from_mins(1)).await.expect("it begins");
    let set =
        |numbers: &[u128]| vec![numbered(&world, numbers.iter().copied()), impossible.clone()];
    assert_eq!(refused(world.apply(set(&[5, 2, 6, 6, 1])).await), (0, vec![1, 3, 4]));
    assert_eq!(refused(world.apply(set(&[5, 6, 7])).await), (1, vec![0]));
    drop(held);
    assert_eq!(store.statements().commits, before.commits);
    assert_eq!(world.ids(TABLE).await.len(), 2);
}

#[tokio::test]
async fn where_messages_of_many_rows_are_refused_often_they_are_judged_before_they_are_written() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (store, world) = world_at(directory.path(), options()).await;
    world.run(numbered(&world, [1_000, 2_007])).await;
    for _ in 0..4 {
        let answer = world.apply(vec![numbered(&world, 1_000..1_300)]).await;
        assert_eq!(refused(answer), (0, vec![0]), "the reader and the writer say the same");
    }
    let held = store.begin(world.catalog.clone(), Duration::from_mins(1)).await.expect("it begins");
    let answer = world.apply(vec![numbered(&world, (2_000..2_300).chain([2_299]))]).await;
    assert_eq!(refused(answer), (0, vec![7, 300]), "nobody waited for the writer");
    drop(held);
    // What passes is written, and when all passed for a while nobody is judged first any more.
    let mut next = 10_000;
    for _ in 0..16 {
        world.run(numbered(&world, next..next + 300)).await;
        next += 300;
    }
    let used = store.statements().used;
    world.run(numbered(&world, next..next + 300)).await;
    let alone = store.statements().used - used;
    let used = store.statements().used;
    world.run(numbered(&world, [next + 300])).await;
    assert_eq!(store.statements().used - used, alone, "as few statements as a small message");
    assert_eq!(world.ids(TABLE).await.len(), 2 + 17 * 300 + 1);
}
