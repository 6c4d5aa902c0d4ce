//! Bulk deletes of elastic tables: what they delete, what they count, and through every kind of stop.

use crate::house::{House, exhaust, report};
use jobs::Worker;
use model::{
    Cell, Label, MessageName, NewColumn, NewTable, Ownership, RequiredLevel, Table, TableKind,
    Target, TargetKey, TextFormat, Timestamp, Uuid, Value, code,
};
use pipeline::{Definition, Message};
use query::{BoundQuery, Page};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::MemoryElasticStore;
use store::elastic::{ElasticOutcome, ElasticStore, ElasticWalk, ElasticWrite, Walked};

/// Deletes every ping whose source is `old`.
pub(crate) const OLD_PINGS: &str = r#"[{"EntityName":"ship_ping","Criteria":{"FilterOperator":"And","Conditions":[{"AttributeName":"ship_source","Operator":"Equal","Values":[{"Value":"old","Type":"System.String"}]}]}}]"#;
/// Steps that claim a job and begin its run.
const STEPS_BEFORE_WORK: usize = 2;

async fn with_pings() -> House {
    pings_in(House::open().await).await
}

/// Makes the table of these tests.
pub(crate) async fn pings_in(house: House) -> House {
    define(&house).await;
    house
}

pub(crate) async fn define(house: &House) {
    let table = NewTable {
        schema_name: "ship_Ping".into(),
        entity_set_name: None,
        display_name: Label::english("Ping"),
        display_collection_name: Label::english("Pings"),
        description: Label::default(),
        ownership: Ownership::User,
        kind: TableKind::Elastic,
        has_notes: false,
        has_activities: false,
        change_tracking: None,
        settings: model::TableSettings::default(),
        columns: vec![NewColumn {
            schema_name: "ship_Source".into(),
            display_name: Label::english("Source"),
            description: Label::default(),
            required: RequiredLevel::None,
            kind: model::ColumnKind::Text { max_length: 10, format: TextFormat::Text },
            is_primary_name: true,
            global_choice: None,
            settings: model::ColumnSettings::default(),
        }],
    };
    let define = Message::Define(Definition::CreateTables(vec![table]));
    house.run(define).await.expect("an elastic table");
}

/// A ping by number; every third has no partition, and pairs of the others share an id.
fn target(house: &House, number: u128, source: Option<&str>) -> Target {
    let catalog = house.pipeline.catalog();
    let table = catalog.table("ship_ping").expect("it exists");
    let cell = |name: &str, value: &str| Cell {
        column: table.index_of(name).expect("the column exists"),
        value: Value::text(value),
    };
    let (id, partition) = match number % 3 {
        0 => (number, None),
        1 => (number, Some("p")),
        _ => (number - 1, Some("q\"")),
    };
    let partition = partition.map(|partition| cell("partitionid", partition));
    let source = source.map(|source| cell("ship_source", source));
    Target {
        key: TargetKey::Id(Uuid::from_u128(number_to_id(id))),
        cells: partition.into_iter().chain(source).collect(),
        ..Target::default()
    }
}

/// Scatters the ids, so that the order of making is not that of reading.
fn number_to_id(number: u128) -> u128 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

pub(crate) async fn make(house: &House, numbers: std::ops::Range<u128>, source: &str) {
    let targets = numbers.map(|number| target(house, number, Some(source))).collect();
    house.write(MessageName::CreateMultiple, "ship_ping", targets).await.expect("plain rows");
}

async fn steps(worker: &mut Worker, count: usize) {
    for _ in 0..count {
        worker.step().await.expect("a step");
    }
}

#[tokio::test]
async fn a_job_deletes_what_matches_in_every_partition_and_nothing_else() {
    let house = with_pings().await;
    make(&house, 0..2_500, "old").await;
    make(&house, 2_502..2_512, "new").await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    exhaust(&mut worker).await;
    // The second that the run is dated in is not over: a row made in it may be one of its rows.
    assert_eq!(house.report(job).await, report(20, 0, 0));
    house.pass(1);
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 2_500, 0));
    assert_eq!(house.count("ship_ping").await, 10);
    let pending = house.rows("asyncoperation", None, &["sheaf_pending"]).await;
    assert_eq!(pending, [[Value::Null]]);
}

#[tokio::test]
async fn rows_made_after_the_run_began_stay() {
    let house = with_pings().await;
    make(&house, 0..1_500, "old").await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    house.pass(1);
    steps(&mut worker, 2).await;
    make(&house, 1_500..1_530, "old").await;
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 1_500, 0));
    assert_eq!(house.count("ship_ping").await, 30);
}

#[tokio::test]
async fn elastic_and_standard_tables_are_deleted_by_one_job() {
    let house = with_pings().await;
    make(&house, 0..30, "old").await;
    house.make("lead", 5, &[("subject", Value::text("old"))]).await;
    let leads = crate::house::OLD_LEADS;
    for both in [
        format!("{},{}", &OLD_PINGS[..OLD_PINGS.len() - 1], &leads[1..]),
        format!("{},{}", &leads[..leads.len() - 1], &OLD_PINGS[1..]),
    ] {
        make(&house, 30..60, "old").await;
        house.make("lead", 5, &[("subject", Value::text("old"))]).await;
        let rows = house.count("ship_ping").await + house.count("lead").await;
        let job = house.start(&both).await;
        let mut worker = house.worker("a");
        steps(&mut worker, STEPS_BEFORE_WORK).await;
        house.pass(1);
        exhaust(&mut worker).await;
        let rows = i32::try_from(rows).expect("few rows");
        assert_eq!(house.report(job).await, report(30, rows, 0));
        assert_eq!(house.count("ship_ping").await + house.count("lead").await, 0);
    }
}

/// Kills the worker after so many steps, again and again: as SIGKILL does, it releases nothing.
async fn check_kills(steps_each: usize) {
    let house = with_pings().await;
    make(&house, 0..3_300, "old").await;
    make(&house, 3_300..3_303, "new").await;
    let job = house.start(OLD_PINGS).await;
    steps(&mut house.worker("a"), STEPS_BEFORE_WORK).await;
    house.pass(1);
    let mut before = 0;
    for _ in 0..40 {
        let mut worker = house.worker("a");
        // The first step claims.
        steps(&mut worker, 1 + steps_each).await;
        let now = house.report(job).await.successes;
        assert!(now >= before, "a count is never taken back");
        before = now;
    }
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(job).await, report(30, 3_300, 0), "{steps_each}");
    assert_eq!(house.count("ship_ping").await, 3);
}

#[tokio::test]
async fn a_job_that_is_killed_at_any_place_counts_every_row_once() {
    for steps_each in 1..=4 {
        check_kills(steps_each).await;
    }
}

#[tokio::test]
async fn rows_that_were_deleted_when_the_worker_was_killed_are_counted_by_the_next() {
    let house = with_pings().await;
    make(&house, 0..600, "old").await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    house.pass(1);
    // Names six hundred rows in the job's row.
    steps(&mut worker, 1).await;
    drop(worker);
    // The killed worker got this far with the store.
    let gone = (0..450).map(|number| target(&house, number, None)).collect();
    house.write(MessageName::DeleteMultiple, "ship_ping", gone).await.expect("deleted");
    assert_eq!(house.report(job).await, report(20, 0, 0));
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(job).await, report(30, 600, 0));
}

#[tokio::test]
async fn a_row_that_somebody_else_deletes_is_neither_a_success_nor_a_failure() {
    let house = with_pings().await;
    make(&house, 0..60, "old").await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    house.pass(1);
    steps(&mut worker, 1).await;
    let gone = (0..7).map(|number| target(&house, number, None)).collect();
    house.write(MessageName::DeleteMultiple, "ship_ping", gone).await.expect("deleted");
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 53, 0));
}

#[tokio::test]
async fn workers_that_lose_their_lease_neither_lose_nor_repeat_a_count() {
    for order in [vec![0, 1, 0, 1, 0, 1], vec![0, 0, 0, 1, 1, 0, 0, 1], vec![1, 0, 1, 1, 1, 0, 0]] {
        let house = with_pings().await;
        make(&house, 0..4_200, "old").await;
        let job = house.start(OLD_PINGS).await;
        let mut workers = [house.worker("a"), house.worker("b")];
        for place in &order {
            steps(&mut workers[*place], 1).await;
            house.pass(61);
        }
        for worker in &mut workers {
            exhaust(worker).await;
        }
        assert_eq!(house.report(job).await, report(30, 4_200, 0), "{order:?}");
        assert_eq!(house.count("ship_ping").await, 0);
    }
}

#[tokio::test]
async fn what_was_begun_is_counted_before_a_job_pauses_or_ends() {
    let cancel = vec![("statecode", Value::Integer(3)), ("statuscode", Value::Integer(32))];
    for (wish, end) in [(vec![("statecode", Value::Integer(1))], 10), (cancel, 32)] {
        let house = with_pings().await;
        make(&house, 0..3_000, "old").await;
        let job = house.start(OLD_PINGS).await;
        let mut worker = house.worker("a");
        steps(&mut worker, STEPS_BEFORE_WORK).await;
        house.pass(1);
        // A thousand is named, deleted and counted; the next one is named.
        steps(&mut worker, 3).await;
        assert_eq!(house.report(job).await, report(20, 1_000, 0));
        house.patch(job, &wish).await.expect("a documented wish");
        exhaust(&mut worker).await;
        assert_eq!(house.report(job).await, report(end, 2_000, 0));
        assert_eq!(house.count("ship_ping").await, 1_000);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_deleted_is_a_failure_that_names_it() {
    let mut house = with_pings().await;
    make(&house, 0..3, "old").await;
    house.take_away("ship_ping", &["DeleteMultiple"]).await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    house.pass(1);
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(31, 0, 3));
    let columns = ["errornumber", "orderedqueryindex", "regardingobjecttypecode"];
    let failures = house.rows("bulkdeletefailure", None, &columns).await;
    let number = pipeline::job::signed(code::INVALID_ARGUMENT);
    let want = [Value::Integer(number), Value::Integer(0), Value::text("ship_ping")];
    assert_eq!(failures, vec![want.to_vec(); 3]);
    let texts = house.rows("bulkdeletefailure", None, &["errordescription"]).await;
    let partitions = texts
        .iter()
        .filter(|row| matches!(&row[0], Value::Text(text) if text.ends_with(", partition 'p']")));
    assert_eq!(partitions.count(), 1, "{texts:?}");
    assert_eq!(house.count("ship_ping").await, 3);
}

/// Counts how often rows are looked for, and how many of them at most.
#[derive(Default)]
struct Counting {
    rows: MemoryElasticStore,
    reads: AtomicUsize,
    looks: AtomicUsize,
}

#[async_trait::async_trait]
impl ElasticStore for Counting {
    async fn write(
        &self,
        table: &Arc<Table>,
        now: Timestamp,
        writes: Vec<ElasticWrite>,
    ) -> store::Result<Vec<ElasticOutcome>> {
        self.rows.write(table, now, writes).await
    }

    async fn read(
        &self,
        query: &BoundQuery,
        partition: Option<&str>,
        now: Timestamp,
    ) -> store::Result<Page> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.rows.read(query, partition, now).await
    }

    async fn rows(
        &self,
        catalog: &Arc<model::Catalog>,
        table: &Arc<Table>,
        keys: &[pipeline::ElasticKey],
        now: Timestamp,
    ) -> store::Result<Vec<Option<Vec<Value>>>> {
        self.rows.rows(catalog, table, keys, now).await
    }

    async fn walk(&self, walk: &ElasticWalk, now: Timestamp) -> store::Result<Walked> {
        self.looks.fetch_add(walk.rows_max, Ordering::SeqCst);
        self.rows.walk(walk, now).await
    }

    async fn expire(&self, now: Timestamp, rows_max: usize) -> store::Result<usize> {
        self.rows.expire(now, rows_max).await
    }

    async fn drop_table(&self, table: &Arc<Table>) -> store::Result<()> {
        self.rows.drop_table(table).await
    }
}

/// So many rows does one step look at; tests here make more of them.
const LOOK_ROWS: usize = 20_000;

/// A house, and what is asked of its elastic rows.
async fn counted() -> (House, Arc<Counting>) {
    let store = Arc::new(Counting::default());
    (pings_in(House::over(store.clone()).await).await, store)
}

#[tokio::test]
async fn a_run_looks_at_each_row_once_and_a_kill_at_one_part_again() {
    let (house, store) = counted().await;
    make(&house, 0..45_000, "old").await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    house.pass(1);
    let mut kills = 0;
    while house.report(job).await.status == 20 {
        kills += 1;
        drop(worker);
        worker = house.worker("a");
        // Claims, looks and names, deletes and counts: fourteen thousand a life.
        steps(&mut worker, 1 + 28).await;
    }
    assert_eq!(house.report(job).await, report(30, 45_000, 0));
    let parts = store.looks.load(Ordering::SeqCst) / LOOK_ROWS;
    assert!(kills >= 3 && parts <= 3 + kills, "{parts} parts were looked at, {kills} kills");
    assert_eq!(store.reads.load(Ordering::SeqCst), 0, "nobody sorts a whole table");
    assert_eq!(house.count("ship_ping").await, 0);
}

#[tokio::test]
async fn parts_without_a_match_are_passed_once_and_renew_the_lease() {
    let (house, store) = counted().await;
    make(&house, 0..50_000, "new").await;
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    let columns = ["sheaf_leaseuntil", "sheaf_position"];
    let mut last = house.rows("asyncoperation", None, &columns).await;
    for part in 1..=2 {
        house.pass(1);
        // Killed between all parts: whoever comes next looks behind them.
        steps(&mut worker, 1).await;
        worker = house.worker("a");
        steps(&mut worker, 1).await;
        let now = house.rows("asyncoperation", None, &columns).await;
        assert_ne!(now[0][0], last[0][0], "the lease after part {part}");
        assert_ne!(now[0][1], last[0][1], "the place after part {part}");
        last = now;
    }
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 0, 0));
    assert_eq!(store.looks.load(Ordering::SeqCst), 3 * LOOK_ROWS);
    assert_eq!(house.count("ship_ping").await, 50_000);
}

#[tokio::test]
async fn rows_whose_time_is_over_are_neither_deleted_nor_counted() {
    let house = with_pings().await;
    make(&house, 0..30, "old").await;
    let short = |number: u128| {
        let mut target = target(&house, number, Some("old"));
        let catalog = house.pipeline.catalog();
        let column = catalog.table("ship_ping").and_then(|table| table.index_of("ttlinseconds"));
        let column = column.expect("every elastic table has it");
        target.cells.push(Cell { column, value: Value::Integer(5) });
        target
    };
    let targets = (30..50).map(short).collect();
    house.write(MessageName::CreateMultiple, "ship_ping", targets).await.expect("plain rows");
    let job = house.start(OLD_PINGS).await;
    let mut worker = house.worker("a");
    steps(&mut worker, STEPS_BEFORE_WORK).await;
    house.pass(5);
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 30, 0));
}

#[tokio::test]
async fn every_run_of_a_job_that_recurs_walks_the_whole_table() {
    let house = with_pings().await;
    make(&house, 0..1_700, "old").await;
    let daily = |new: &mut pipeline::job::NewJob| new.pattern = "FREQ=DAILY;INTERVAL=1".into();
    let job = house.start_with(OLD_PINGS, daily).await;
    let mut worker = house.worker("a");
    for (run, rows) in [(0, 1_700), (1, 900), (2, 0)] {
        steps(&mut worker, STEPS_BEFORE_WORK).await;
        house.pass(1);
        exhaust(&mut worker).await;
        assert_eq!(house.report(job).await, report(10, rows, 0), "run {run}");
        assert_eq!(house.count("ship_ping").await, 0);
        if run == 0 {
            // In front of all that the first run has seen, and behind it.
            make(&house, 0..900, "old").await;
        }
        house.pass(24 * 60 * 60);
    }
}
