//! The client in virtual time against a service that misbehaves, kills and resumed runs included.
//!
//! Each seed is one history. Whatever happens: every row has one outcome in the journal, every good row
//! is there once, every bad row is told with its own reason, and no more is in flight than allowed.

use crate::service::{Chance, Names, Script, Simulated};
use client::controller::{Setting, WIDTH_MAX};
use client::journal::Outcome;
use client::journal::log::{Log, Past, State};
use client::request::Route;
use client::rows::{Block, Entry, Operation};
use client::run::{Selection, Take, Wish};
use client::sender::{self, Event, Settings};
use client::service::Described;
use model::{
    Catalog, Column, ColumnId, ColumnIndex, ColumnKind, Label, Ownership, RequiredLevel, Table,
    TableDefinition, TableId, TableKind, TextFormat,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Histories that the gate plays.
const SEEDS: u64 = 2_400;
/// So often a client may be started in one history; the last ones meet a service that is well.
const STARTS_MAX: usize = 40;

/// A row of the input.
#[derive(Clone, Debug)]
struct Row {
    operation: Operation,
    id: u128,
    id_is_ours: bool,
    is_bad: bool,
}

/// One history, drawn from its seed.
struct History {
    rows: Vec<Row>,
    /// Records that are there before.
    before: BTreeSet<u128>,
    size: usize,
    width: usize,
    /// Width and size are learned instead.
    is_learned: bool,
    has_bulk: bool,
    is_elastic: bool,
    /// After how many milliseconds the client is killed, one after the other.
    kills: Vec<u64>,
    /// How many bytes of the journal are gone after a kill.
    torn: u64,
    script: Script,
}

fn history(seed: u64) -> History {
    let mut chance = Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ seed);
    let count = 1 + chance.below(150);
    let bad = [0, 0, 1, 3, 20][usize::try_from(chance.below(5)).expect("small")];
    let kind = chance.below(5);
    let mut before = BTreeSet::new();
    let rows = (0..count)
        .map(|place| {
            let id = u128::from(place) + 1;
            let (operation, id, id_is_ours) = match kind {
                0 | 1 => (Operation::Create, id, true),
                2 => (Operation::Create, id, false),
                3 => (Operation::Upsert, u128::from(chance.below(count / 2 + 1)) + 1, false),
                _ => {
                    before.insert(id);
                    (Operation::Delete, id, false)
                }
            };
            let is_bad = operation != Operation::Delete && chance.below(100) < bad;
            Row { operation, id, id_is_ours, is_bad }
        })
        .collect();
    let kills = (0..chance.below(4)).map(|_| chance.below(4_000)).collect();
    let has_bulk = chance.below(4) > 0;
    let is_elastic = chance.below(4) == 0;
    let names = [Names::Nothing, Names::First, Names::All];
    let script = Script {
        names: names[usize::try_from(chance.below(3)).expect("small")],
        is_elastic,
        rows_max: if chance.below(5) == 0 { 10 } else { usize::MAX },
        parts_max: if chance.below(5) == 0 { 7 } else { usize::MAX },
        faults: Some((chance.below(35), Chance(seed ^ 0x5eed))),
        ..Script::default()
    };
    // Where the machine itself stops, the journal may lose its last second. A delete that it forgot is
    // then one of a missing record.
    let torn = if kind != 4 && chance.below(4) == 0 { chance.below(200) } else { 0 };
    let (size, width) = (1 + chance.below(60), 1 + chance.below(5));
    let pools = [1, 1, 2, 3];
    let identities = pools[usize::try_from(chance.below(4)).expect("small")];
    let script = Script { identities, ..script };
    History {
        rows,
        before,
        size: usize::try_from(size).expect("small"),
        width: usize::try_from(width).expect("small"),
        is_learned: seed.is_multiple_of(4),
        has_bulk,
        is_elastic,
        kills,
        torn,
        script,
    }
}

/// The journal's medium.
#[derive(Clone, Default)]
struct Medium(Arc<Mutex<Vec<u8>>>);

impl Write for Medium {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panics").write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Medium {
    fn text(&self) -> Vec<u8> {
        self.0.lock().expect("no panics").clone()
    }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(0),
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

fn described() -> Described {
    let table = Arc::new(Table::new(TableDefinition {
        id: TableId(1),
        metadata_id: Uuid::nil(),
        logical_name: "thing".into(),
        schema_name: "thing".into(),
        entity_set_name: "things".into(),
        collection_schema_name: "things".into(),
        display_name: Label::english("thing"),
        display_collection_name: Label::english("things"),
        description: Label::default(),
        object_type_code: 10_000,
        ownership: Ownership::User,
        kind: TableKind::Standard,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: true,
        settings: model::TableSettings::default(),
        columns: vec![
            column("thingid", ColumnKind::Guid),
            column("k", ColumnKind::Text { max_length: 100, format: TextFormat::Text }),
            column("v", ColumnKind::Integer { min: i32::MIN, max: i32::MAX }),
        ],
        primary_key: ColumnIndex(0),
        primary_name: None,
        keys: Vec::new(),
    }));
    let catalog = Catalog::new(0, vec![table.clone()], Vec::new());
    Described { table, catalog: Arc::new(catalog) }
}

fn blocks(rows: &[Row], selection: &Selection) -> Vec<Block> {
    let mut block = Block::default();
    let mut blocks = Vec::new();
    for (ordinal, row) in (0u64..).zip(rows) {
        let Take::Send(sent) = selection.take(ordinal) else { continue };
        let id = Uuid::from_u128(row.id);
        let mut record = serde_json::json!({"thingid": id.to_string(), "v": ordinal});
        if row.is_bad {
            record["bad"] = true.into();
        }
        if row.operation == Operation::Create {
            record["k"] = format!("k{id}").into();
        }
        let body = block.write(|out| out.extend_from_slice(record.to_string().as_bytes()));
        let address = block.write(|out| out.extend_from_slice(id.to_string().as_bytes()));
        let mark = (!row.id_is_ours).then(|| u64::try_from(row.id).expect("small ids"));
        block.push(Entry {
            ordinal,
            line: ordinal + 2,
            operation: row.operation,
            body,
            address,
            id: Some(id),
            id_is_ours: row.id_is_ours,
            mark,
            sent,
            ..Entry::default()
        });
        if block.len() == 50 {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks.push(block);
    blocks
}

/// Runs the client once; true when it came to its end by itself.
async fn start(history: &History, service: &Simulated, medium: &Medium, round: usize) -> bool {
    let past = Arc::new(Past::read(&medium.text()));
    if past.ends_in_line() {
        medium.0.lock().expect("no panics").push(b'\n');
    }
    let blocks = blocks(&history.rows, &Selection::new(past, Wish::Rest));
    let route = Route {
        set: "things".into(),
        primary_key: "thingid".into(),
        is_atomic: !history.is_elastic,
        if_exists: false,
        headers: Vec::new(),
        query: None,
        described: Some(described()),
        pairs: None,
    };
    let mut settings = Settings {
        width: Setting::Fixed(history.width),
        size: Setting::Fixed(history.size),
        random: 7,
        ..Settings::default()
    };
    if history.is_learned {
        (settings.width, settings.size) = (Setting::Auto, Setting::Auto);
    }
    if !history.has_bulk {
        settings.has_bulk = [false; Operation::ALL.len()];
    }
    let mut log = Log::new(Box::new(medium.clone()));
    let (sender, receiver) = mpsc::channel(sender::BLOCKS_MAX);
    let mut ended = BTreeMap::new();
    let mut observe = |event: Event<'_>| {
        if let Event::Ended { row, outcome, problem, .. } = event {
            let earlier = ended.insert(row.entry().ordinal, outcome);
            assert!(earlier.is_none(), "row {} ended twice", row.entry().ordinal);
            assert_eq!(problem.is_some(), outcome == Outcome::Failed);
            if let Some(problem) = problem
                && history.rows[usize::try_from(row.entry().ordinal).expect("small")].is_bad
                && problem.class == client::problem::Class::Rejected
            {
                let code = problem.code.map(|code| code.0);
                assert!(matches!(code, Some(0x8004_4331 | 0x8004_8d0b)), "{problem:?}");
            }
        }
    };
    let run = sender::run(service, &route, settings, receiver, None, Some(&mut log), &mut observe);
    let feed = async {
        for block in blocks {
            if sender.send(block).await.is_err() {
                break;
            }
        }
        drop(sender);
    };
    let both = futures_util::future::join(run, feed);
    let summary = match history.kills.get(round) {
        Some(after) => match tokio::time::timeout(Duration::from_millis(*after), both).await {
            Ok((summary, ())) => summary,
            Err(_) => return false,
        },
        None => both.await.0,
    };
    assert_eq!(summary.counts.open(), 0);
    assert_eq!(summary.counts.read(), ended.len() as u64);
    summary.halt.is_none()
}

async fn play(seed: u64) {
    let history = history(seed);
    let service = Simulated::new(Script {
        faults: history.script.faults.clone(),
        fates: Vec::new(),
        throttles: Vec::new(),
        headers: Vec::new(),
        ..history.script
    });
    for id in &history.before {
        let id = Uuid::from_u128(*id).to_string();
        service.state.lock().expect("no panics").records.insert(id, (None, 1));
    }
    let medium = Medium::default();
    let mut ends = false;
    for round in 0..STARTS_MAX {
        ends = start(&history, &service, &medium, round).await;
        if ends {
            break;
        }
        service.forget_client(round + 10 > STARTS_MAX);
        let mut text = medium.0.lock().expect("no panics");
        let kept = text.len().saturating_sub(usize::try_from(history.torn).expect("small"));
        text.truncate(kept);
    }
    assert!(ends, "seed {seed}: it never came to an end");
    check(seed, &history, &service, &Past::read(&medium.text()));
}

fn check(seed: u64, history: &History, service: &Simulated, past: &Past) {
    let state = service.state.lock().expect("no panics");
    let identities = history.script.identities;
    let most = if history.is_learned { identities * WIDTH_MAX } else { history.width };
    assert_eq!(state.impatient, 0, "seed {seed}: a pause was not kept");
    assert!(state.in_flight_most <= most, "seed {seed}: too many in flight");
    assert_eq!(state.overlaps, 0, "seed {seed}: a record was in flight twice");
    let counts = past.counts(|_| true);
    assert_eq!(counts.read(), history.rows.len() as u64, "seed {seed}: {counts}");
    let mut last = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for (ordinal, row) in (0u64..).zip(&history.rows) {
        let id = Uuid::from_u128(row.id).to_string();
        let want = match (row.operation, row.is_bad) {
            (_, true) => Outcome::Failed,
            (Operation::Create | Operation::Associate, false) => Outcome::Created,
            (Operation::Update | Operation::Upload, false) => Outcome::Updated,
            (Operation::Upsert, false) => Outcome::Written,
            (Operation::Delete | Operation::Disassociate, false) => Outcome::Deleted,
        };
        assert_eq!(past.of(ordinal), State::Ended(want), "seed {seed}: row {ordinal} {row:?}");
        if want == Outcome::Created || want == Outcome::Written {
            wanted.insert(id.clone());
            last.insert(id, i64::try_from(ordinal).expect("small"));
        }
    }
    let there: BTreeSet<String> = state.records.keys().cloned().collect();
    assert_eq!(there, wanted, "seed {seed}: nothing is lost and nothing too much");
    for (id, value) in last {
        assert_eq!(state.values.get(&id), Some(&value), "seed {seed}: the last row of {id} counts");
    }
    let creates = history.rows.iter().all(|row| row.operation == Operation::Create);
    let twice = state.records.values().any(|(_, writes)| *writes != 1);
    assert!(!(creates && twice), "seed {seed}: a record was created twice");
}

#[test]
fn in_every_history_nothing_is_lost_and_nothing_is_done_twice() {
    let only = std::env::var("SHEAF_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(play(seed));
    }
}
