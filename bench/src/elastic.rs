//! Elastic tables: the embedded LSM behind `ElasticStore` against the bare engine with group commit.
//!
//! In: how many calls of 100 new rows are in flight. Out: lines for the report.
//! Not here: HTTP and messages: this side of the ratio is the store's alone (`elastic_service` has both).
//! Invariant: after each of our rounds the bytes that the store has written are read back from its files,
//! and the bare side writes those very keys and values, in the same calls, under one sync a group.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use model::{
    Cell, Column, ColumnId, ColumnIndex, ColumnKind, DateTimeBehavior, Label, Ownership,
    RequiredLevel, Table, TableDefinition, TableId, TableKind, TextFormat, Timestamp, Uuid, Value,
};
use store::elastic::{ElasticAction, ElasticKey, ElasticOutcome, ElasticStore, ElasticWrite};
use store_elastic::LsmStore;
use testkit::draw::Draw;
use tokio::task::JoinSet;

use crate::Arguments;
use crate::report::{self, Line, Sample, Taken};

/// Rows of one call.
pub(crate) const ROWS_PER_CALL: usize = 100;
/// Calls of one round: long enough for the engine to write its memory to files and to merge those, as a
/// load does that lasts.
pub(crate) const CALLS_PER_ROUND: usize = 4_000;
/// Calls that the bare committer puts under one sync, as ours does.
const GROUP_CALLS_MAX: usize = 64;
/// What the store's clock says.
const NOW: Timestamp = Timestamp(1_700_000_000);
/// The elastic table's number.
const TABLE: u32 = 21;

/// A key and a value as they lie in the files.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Measures both sides in turns, with 8 calls in flight and with one.
pub(crate) async fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    for (in_flight, target) in [(8, Some(0.5)), (1, None)] {
        let name = format!("Elastic LSM, {in_flight} in flight: calls of 100 against bare");
        if !arguments.wants(&name) {
            continue;
        }
        let mut line = Line::new(name, target);
        let directory = tempfile::tempdir()?;
        let (ours, other) = (directory.path().join("ours"), directory.path().join("bare"));
        let mut source = Source { draw: Draw::new(arguments.seed), count: 0 };
        let table = Arc::new(table());
        let calls = if arguments.quick { CALLS_PER_ROUND / 10 } else { CALLS_PER_ROUND };
        // The first round lays down the rows that are there before; it is not counted.
        for round in 0..=arguments.rounds + 1 {
            let calls = if round == 0 { arguments.preload.div_ceil(ROWS_PER_CALL) } else { calls };
            let calls: Vec<Vec<ElasticWrite>> = (0..calls).map(|_| source.call()).collect();
            let ids: Vec<Vec<Uuid>> =
                calls.iter().map(|call| call.iter().map(|write| write.key.id).collect()).collect();
            let rows = calls.len() * ROWS_PER_CALL;
            let our_side = run_ours(&ours, &table, calls, in_flight).await?;
            let images = read_back(&ours, &ids)?;
            let other_side = run_bare(&other, images, in_flight)?;
            // Nor is the one that warms up.
            if round > 1 {
                line.samples.push(Sample { rows, ours: our_side, other: other_side });
            }
        }
        println!("{}", report::row(&line));
        lines.push(line);
    }
    Ok(())
}

/// Writes calls through the store, so many at once.
async fn run_ours(
    path: &Path,
    table: &Arc<Table>,
    calls: Vec<Vec<ElasticWrite>>,
    in_flight: usize,
) -> Result<Taken> {
    let store = LsmStore::open(path)?;
    let begun = Instant::now();
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for share in shares(calls, in_flight) {
        let (store, table) = (store.clone(), table.clone());
        tasks.spawn(async move {
            for call in share {
                let outcomes = store.write(&table, NOW, call).await?;
                let made = |outcome: &ElasticOutcome| {
                    matches!(outcome, ElasticOutcome::Written { created: true, .. })
                };
                ensure!(outcomes.iter().all(made), "every row is new");
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let wall = begun.elapsed();
    store.close();
    Ok(Taken { wall, cpu: None })
}

/// The keys and values of these rows, as the store has left them. There is one table.
pub(crate) fn read_back(path: &Path, calls: &[Vec<Uuid>]) -> Result<Vec<Vec<Pair>>> {
    let database = Database::builder(path).open()?;
    let of_table = |name: &&str| name.strip_prefix('t').is_some_and(|n| n.parse::<u32>().is_ok());
    let names: Vec<String> =
        database.list_keyspace_names().iter().map(ToString::to_string).collect();
    let name = names.iter().map(String::as_str).find(of_table).context("the table has files")?;
    let rows = database.keyspace(name, KeyspaceCreateOptions::default)?;
    let mut by_id: HashMap<Uuid, Pair> = HashMap::new();
    for row in rows.iter() {
        let (key, value) = row.into_inner()?;
        let id = Uuid::from_bytes(*key.last_chunk().context("a key ends with an id")?);
        by_id.insert(id, (key.to_vec(), value.to_vec()));
    }
    let of_call = |ids: &Vec<Uuid>| {
        let pair = |id| by_id.remove(id).context("a row that was answered is there");
        ids.iter().map(pair).collect::<Result<Vec<Pair>>>()
    };
    calls.iter().map(of_call).collect()
}

/// A call on its way to the bare committer.
struct BareCall {
    pairs: Vec<Pair>,
    answer: SyncSender<()>,
}

/// Writes the same pairs through the engine alone: one committer, one sync a group, a thread per client.
pub(crate) fn run_bare(path: &Path, calls: Vec<Vec<Pair>>, in_flight: usize) -> Result<Taken> {
    let database = Database::builder(path).cache_size(64 << 20).open()?;
    let options = || KeyspaceCreateOptions::default().max_memtable_size(32 << 20);
    let rows = database.keyspace(&format!("t{TABLE}"), options)?;
    let (calls_in, calls_out) = sync_channel::<BareCall>(1_024);
    let begun = Instant::now();
    thread::scope(|scope| {
        let committer = scope.spawn({
            let (database, rows) = (&database, &rows);
            move || commit(database, rows, &calls_out)
        });
        let mut clients = Vec::new();
        for share in shares(calls, in_flight) {
            let calls_in = calls_in.clone();
            clients.push(scope.spawn(move || {
                for pairs in share {
                    let (answer, answered) = sync_channel(1);
                    calls_in.send(BareCall { pairs, answer }).context("the committer runs")?;
                    answered.recv().context("the committer answers")?;
                }
                Ok(())
            }));
        }
        drop(calls_in);
        for client in clients {
            let done: Result<()> = client.join().expect("a client does not panic");
            done?;
        }
        committer.join().expect("the committer does not panic")
    })?;
    let wall = begun.elapsed();
    Ok(Taken { wall, cpu: None })
}

fn commit(database: &Database, rows: &fjall::Keyspace, calls: &Receiver<BareCall>) -> Result<()> {
    while let Ok(first) = calls.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_CALLS_MAX
            && let Ok(next) = calls.try_recv()
        {
            group.push(next);
        }
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        let mut answers = Vec::with_capacity(group.len());
        for BareCall { pairs, answer } in group {
            for (key, value) in pairs {
                batch.insert(rows, key, value);
            }
            answers.push(answer);
        }
        batch.commit()?;
        for answer in answers {
            answer.send(()).context("the client waits")?;
        }
    }
    Ok(())
}

/// The calls of each client: every n-th.
fn shares<T>(calls: Vec<T>, clients: usize) -> Vec<Vec<T>> {
    let mut shares: Vec<Vec<T>> = (0..clients).map(|_| Vec::new()).collect();
    for (place, call) in calls.into_iter().enumerate() {
        shares[place % clients].push(call);
    }
    shares
}

/// Draws calls of new rows.
struct Source {
    draw: Draw,
    count: u64,
}

impl Source {
    /// One call: rows of one partition with ascending ids.
    fn call(&mut self) -> Vec<ElasticWrite> {
        let partition = format!("device-{}", self.draw.below(1_000));
        (0..ROWS_PER_CALL).map(|_| self.write(&partition)).collect()
    }

    fn write(&mut self, partition: &str) -> ElasticWrite {
        self.count += 1;
        let draw = &mut self.draw;
        let id = draw.ordered_id(self.count);
        let text = |text: String| Value::text(text);
        let values = [
            text(partition.to_owned()),
            text(format!("{} {}", draw.word(8), draw.word(10))),
            text(draw.word(12)),
            text(format!("{} {} {}", draw.word(20), draw.word(20), draw.word(15))),
            Value::Integer(i32::try_from(draw.below(1_000)).expect("it is below 1000")),
            Value::BigInt(i64::try_from(draw.below(1_000_000)).expect("it is small")),
            Value::Double(f64::from(u32::try_from(draw.below(1_000)).expect("it is small"))),
            Value::Boolean(draw.below(2) == 1),
            Value::DateTime(NOW),
            Value::DateTime(NOW),
            Value::Guid(Uuid::from_u128(7)),
        ];
        // The key and the version stand before them.
        let cells = (2..)
            .zip(values)
            .map(|(place, value)| Cell { column: ColumnIndex(place), value })
            .collect();
        ElasticWrite {
            key: ElasticKey::new(id, Some(partition)),
            action: ElasticAction::Insert { cells },
            expected_version: None,
            reach: None,
        }
    }
}

/// The bench's elastic table: partition, three texts, numbers, a boolean, instants, an owner's id.
fn table() -> Table {
    let text = |max_length| ColumnKind::Text { max_length, format: TextFormat::Text };
    let instant = ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, with_time: true };
    let boolean = ColumnKind::Boolean {
        default: false,
        true_label: Label::english("Yes"),
        false_label: Label::english("No"),
    };
    let columns = [
        ("bench_pingid", ColumnKind::Guid),
        ("versionnumber", ColumnKind::BigInt),
        ("partitionid", text(1_024)),
        ("bench_name", text(100)),
        ("bench_city", text(100)),
        ("bench_note", text(100)),
        ("bench_count", ColumnKind::Integer { min: i32::MIN, max: i32::MAX }),
        ("bench_points", ColumnKind::BigInt),
        ("bench_ratio", ColumnKind::Double { precision: 5, min: -1e11, max: 1e11 }),
        ("bench_paid", boolean),
        ("createdon", instant.clone()),
        ("modifiedon", instant),
        ("bench_ownerid", ColumnKind::Guid),
        ("ttlinseconds", ColumnKind::Integer { min: -1, max: i32::MAX }),
    ];
    let columns = (1..).zip(columns).map(|(number, (name, kind))| column(number, name, kind));
    Table::new(TableDefinition {
        id: TableId(TABLE),
        metadata_id: Uuid::nil(),
        logical_name: "bench_ping".into(),
        schema_name: "bench_Ping".into(),
        entity_set_name: "bench_pings".into(),
        collection_schema_name: "bench_Pings".into(),
        display_name: Label::english("Ping"),
        display_collection_name: Label::english("Pings"),
        description: Label::default(),
        object_type_code: 10_021,
        ownership: Ownership::Organization,
        kind: TableKind::Elastic,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: true,
        settings: model::TableSettings::default(),
        columns: columns.collect(),
        primary_key: ColumnIndex(0),
        primary_name: Some(ColumnIndex(3)),
        keys: Vec::new(),
    })
}

fn column(number: u32, name: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(number),
        metadata_id: Uuid::nil(),
        logical_name: name.into(),
        schema_name: name.into(),
        display_name: Label::english(name),
        description: Label::default(),
        kind,
        required: RequiredLevel::None,
        computed: None,
        is_custom: true,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_sides_store_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let (ours, bare) = (directory.path().join("ours"), directory.path().join("bare"));
        let mut source = Source { draw: Draw::new(1), count: 0 };
        let calls: Vec<_> = (0..5).map(|_| source.call()).collect();
        let ids: Vec<Vec<Uuid>> =
            calls.iter().map(|call| call.iter().map(|write| write.key.id).collect()).collect();
        run_ours(&ours, &Arc::new(table()), calls, 2).await.unwrap();
        let images = read_back(&ours, &ids).unwrap();
        assert_eq!(images.iter().map(Vec::len).sum::<usize>(), 5 * ROWS_PER_CALL);
        run_bare(&bare, images.clone(), 2).unwrap();
        assert_eq!(read_back(&bare, &ids).unwrap(), images);
    }
}
