//! What holds for every run: one outcome per row, sums that add up, nothing lost, nothing twice.

use crate::service::{Fate, Names, Script, Simulated};
use client::confirm::{Asker, Reply};
use client::controller::Setting;
use client::journal::Outcome;
use client::report::{Head, PassThru, PassTo};
use client::request::Route;
use client::rows::{Block, Entry, Operation};
use client::sender::{self, Event, Halt, Settings, Summary};
use client::source::Format;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// A row of a run.
#[derive(Clone, Debug)]
struct Row {
    operation: Operation,
    id: u128,
    is_bad: bool,
    /// A rule for duplicates finds it.
    is_twin: bool,
    key: Option<String>,
}

fn create(id: u128) -> Row {
    Row {
        operation: Operation::Create,
        id,
        is_bad: false,
        is_twin: false,
        key: Some(format!("k{id}")),
    }
}

fn upsert(id: u128) -> Row {
    Row { operation: Operation::Upsert, id, is_bad: false, is_twin: false, key: None }
}

fn settings(size: usize, width: usize) -> Settings {
    Settings {
        width: Setting::Fixed(width),
        size: Setting::Fixed(size),
        random: 7,
        ..Settings::default()
    }
}

/// How a run went.
struct Ran {
    summary: Summary,
    /// By ordinal.
    outcomes: BTreeMap<u64, (Outcome, Option<String>)>,
    service: Simulated,
}

impl Ran {
    fn count(&self, outcome: Outcome) -> u64 {
        self.summary.counts.of(outcome)
    }

    fn failed(&self) -> Vec<(u64, &str)> {
        let failed = self.outcomes.iter().filter(|(_, (outcome, _))| *outcome == Outcome::Failed);
        failed.map(|(ordinal, (_, why))| (*ordinal, why.as_deref().unwrap_or(""))).collect()
    }
}

fn blocks(rows: &[Row]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (part, rows) in rows.chunks(100).enumerate() {
        let mut block = Block::default();
        for (place, row) in rows.iter().enumerate() {
            let ordinal = (part * 100 + place) as u64;
            let id = Uuid::from_u128(row.id);
            let mut record = serde_json::json!({"thingid": id.to_string(), "v": ordinal});
            if row.is_bad {
                record["bad"] = true.into();
            }
            if row.is_twin {
                record["twin"] = true.into();
            }
            if let Some(key) = &row.key {
                record["k"] = key.clone().into();
            }
            let body = block.write(|out| out.extend_from_slice(record.to_string().as_bytes()));
            let address = block.write(|out| out.extend_from_slice(id.to_string().as_bytes()));
            let is_create = row.operation == Operation::Create;
            block.push(Entry {
                ordinal,
                line: ordinal + 2,
                operation: row.operation,
                body,
                address,
                id: Some(id),
                id_is_ours: is_create,
                mark: (!is_create).then_some(u64::try_from(row.id).expect("small ids")),
                ..Entry::default()
            });
        }
        blocks.push(block);
    }
    blocks
}

async fn run_with(
    rows: &[Row],
    script: Script,
    settings: Settings,
    stop: Option<watch::Receiver<bool>>,
) -> Ran {
    run_heard(rows, script, settings, stop, &mut |_| {}).await
}

async fn run_heard(
    rows: &[Row],
    script: Script,
    settings: Settings,
    stop: Option<watch::Receiver<bool>>,
    hear: &mut (dyn FnMut(&Event<'_>) + Send),
) -> Ran {
    let route = Route {
        set: "things".into(),
        primary_key: "thingid".into(),
        is_atomic: !script.is_elastic,
        if_exists: false,
        headers: script.headers.clone(),
        query: None,
        described: None,
        pairs: None,
    };
    let service = Simulated::new(script);
    for row in rows.iter().filter(|row| row.operation == Operation::Update) {
        let id = Uuid::from_u128(row.id).to_string();
        service.state.lock().expect("state").records.insert(id, (None, 1));
    }
    let (sender, receiver) = mpsc::channel(sender::BLOCKS_MAX);
    let mut outcomes = BTreeMap::new();
    let summary = {
        let mut observe = |event: Event<'_>| {
            hear(&event);
            if let Event::Ended { row, outcome, problem, why, .. } = event {
                let problem =
                    problem.map(|problem| format!("{} {problem}", problem.class.as_str()));
                let why = problem.or(why.map(|why| why.as_str().to_owned()));
                let earlier = outcomes.insert(row.entry().ordinal, (outcome, why));
                assert!(earlier.is_none(), "row {} ended twice", row.entry().ordinal);
            }
        };
        let feed = async {
            for block in blocks(rows) {
                if sender.send(block).await.is_err() {
                    break;
                }
            }
            drop(sender);
        };
        let run = sender::run(&service, &route, settings, receiver, stop, None, &mut observe);
        futures_util::future::join(run, feed).await.0
    };
    assert_eq!(summary.counts.open(), 0);
    assert_eq!(summary.counts.read(), outcomes.len() as u64, "every row that was read has ended");
    let ran = Ran { summary, outcomes, service };
    assert_eq!(
        ran.service.state.lock().expect("state").overlaps,
        0,
        "a record was in flight twice"
    );
    assert_eq!(ran.service.state.lock().expect("state").impatient, 0, "a pause was not kept");
    ran
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}

fn run(rows: &[Row], script: Script, settings: Settings) -> Ran {
    block_on(run_with(rows, script, settings, None))
}

fn creates(count: u128) -> Vec<Row> {
    (1..=count).map(create).collect()
}

#[test]
fn all_rows_are_created_in_as_few_messages_as_asked() {
    let ran = run(&creates(1_050), Script::default(), settings(100, 4));
    assert_eq!(ran.count(Outcome::Created), 1_050);
    assert_eq!(ran.summary.requests, 11);
    assert_eq!(ran.summary.in_flight_most, 4);
    assert_eq!(ran.service.state.lock().expect("state").in_flight_most, 4);
}

#[test]
fn no_rows_need_no_request() {
    let ran = run(&[], Script::default(), settings(100, 4));
    assert_eq!((ran.summary.requests, ran.summary.counts.read()), (0, 0));
}

#[test]
fn single_requests_are_sent_at_size_one_and_where_bulk_messages_are_missing() {
    let script = Script { has_bulk: false, ..Script::default() };
    let alone = Settings { has_bulk: [false; Operation::ALL.len()], ..settings(1, 2) };
    let ran = run(&creates(5), script, alone);
    assert_eq!((ran.count(Outcome::Created), ran.summary.requests), (5, 5));
    let script = Script { has_bulk: false, ..Script::default() };
    let ran = run(&creates(25), script, settings(10, 1));
    assert_eq!(ran.count(Outcome::Created), 25);
    assert_eq!(ran.summary.requests, 4, "one refused message, then a `$batch` for each chunk");
}

#[test]
fn bad_rows_are_isolated_within_the_bound_and_get_their_own_reason() {
    for (names, bound) in [(Names::Nothing, 2 * 3 * 10), (Names::First, 3), (Names::All, 1)] {
        let mut rows = creates(1_000);
        for place in [0, 500, 999] {
            rows[place].is_bad = true;
        }
        let ran = run(&rows, Script { names, ..Script::default() }, settings(1_000, 4));
        assert_eq!(ran.count(Outcome::Created), 997, "{names:?}");
        let failed: Vec<u64> = ran.failed().iter().map(|(ordinal, _)| *ordinal).collect();
        assert_eq!(failed, [0, 500, 999], "{names:?}");
        assert!(
            ran.failed().iter().all(|(_, why)| why.contains("0x80044331")),
            "{:?}",
            ran.failed()
        );
        assert!(ran.summary.requests <= 1 + bound, "{names:?}: {} requests", ran.summary.requests);
    }
}

#[test]
fn rows_that_are_all_bad_all_fail() {
    let rows: Vec<Row> = creates(64).into_iter().map(|row| Row { is_bad: true, ..row }).collect();
    let ran = run(&rows, Script::default(), settings(64, 4));
    assert_eq!(ran.count(Outcome::Failed), 64);
    assert!(ran.service.state.lock().expect("state").records.is_empty());
}

#[test]
fn a_lost_answer_never_duplicates_and_never_loses() {
    for fate in [Fate::LostBefore, Fate::LostAfter, Fate::GatewayAfter, Fate::Unsent] {
        for is_elastic in [false, true] {
            for size in [1, 50] {
                let script = Script { fates: vec![fate; 3], is_elastic, ..Script::default() };
                let ran = run(&creates(120), script, settings(size, 3));
                assert_eq!(ran.count(Outcome::Created), 120, "{fate:?} {is_elastic} {size}");
                let state = ran.service.state.lock().expect("state");
                assert_eq!(state.records.len(), 120);
                assert!(state.records.values().all(|(_, writes)| *writes == 1), "{fate:?}");
            }
        }
    }
}

#[test]
fn a_bad_row_beside_a_lost_answer_is_still_the_only_one_that_fails() {
    let mut rows = creates(50);
    rows[20].is_bad = true;
    for fate in [Fate::LostBefore, Fate::LostAfter] {
        let script = Script { fates: vec![fate; 2], names: Names::First, ..Script::default() };
        let ran = run(&rows, script, settings(50, 1));
        assert_eq!((ran.count(Outcome::Created), ran.count(Outcome::Failed)), (49, 1), "{fate:?}");
        assert_eq!(ran.failed()[0].0, 20);
    }
}

#[test]
fn a_throttle_pauses_everybody_for_as_long_as_it_says_and_costs_no_row() {
    let script = Script { fates: vec![Fate::Throttled(30)], ..Script::default() };
    let ran = run(&creates(400), script, settings(100, 1));
    assert_eq!(ran.count(Outcome::Created), 400);
    let state = ran.service.state.lock().expect("state");
    assert!(state.arrivals[1] >= 30_050, "{:?}", state.arrivals);
    assert_eq!(state.requests, 5);
}

#[test]
fn a_throttle_pauses_its_identity_and_no_other() {
    let (identities, throttles) = (3, vec![0, 30, 0]);
    let script = Script { identities, throttles, ..Script::default() };
    let ran = run(&creates(6_000), script, settings(10, 6));
    assert_eq!(ran.count(Outcome::Created), 6_000);
    let state = ran.service.state.lock().expect("state");
    // 601 requests of 50 ms, four at a time, are over before the pause is.
    assert!(
        state.arrivals.last().is_some_and(|last| *last < 10_000),
        "{:?}",
        state.arrivals.last()
    );
    let counts: Vec<_> = state.callers.iter().map(|caller| caller.arrivals.len()).collect();
    assert!(counts[1] == 2 && counts[0] > 250 && counts[2] > 250, "{counts:?}");
    let said = &ran.summary.identities;
    assert_eq!(said.iter().map(|used| used.throttles).collect::<Vec<_>>(), [0, 1, 0]);
    let requests = said.iter().map(|used| used.requests);
    assert!(requests.eq(counts.iter().map(|count| *count as u64)));
    let most: Vec<_> = state.callers.iter().map(|caller| caller.in_flight_most).collect();
    assert_eq!((most, state.in_flight_most), (vec![2, 2, 2], 6), "each has its share");
}

#[test]
fn an_identity_comes_back_after_its_pause_without_a_burst() {
    let script = Script { identities: 2, throttles: vec![5, 0], ..Script::default() };
    let ran = run(&creates(20_000), script, settings(10, 8));
    let state = ran.service.state.lock().expect("state");
    let of_first = &state.callers[0].arrivals;
    let behind: Vec<u64> = of_first.iter().copied().filter(|at| *at > 5_000).collect();
    // Half of its share at first, one more every two seconds.
    let at_once = behind.iter().filter(|at| **at < behind[0] + 50).count();
    assert_eq!(at_once, 2, "{behind:?}");
    let later = behind.iter().filter(|at| (9_200..9_250).contains(*at)).count();
    assert!(later > 2, "{later}");
}

#[test]
fn fewer_slots_than_identities_leave_some_identities_out() {
    let script = Script { identities: 5, ..Script::default() };
    let ran = run(&creates(500), script, settings(10, 3));
    assert_eq!((ran.count(Outcome::Created), ran.summary.in_flight_most), (500, 3));
}

#[test]
fn throttling_ends_a_run_only_where_it_stops_everybody() {
    let wait = |throttles: Vec<u64>| {
        let script = Script { identities: 2, throttles, ..Script::default() };
        let most = Some(Duration::from_secs(60));
        run(&creates(400), script, Settings { throttle_max: most, ..settings(10, 2) })
    };
    let one = wait(vec![600, 0]);
    assert!(one.summary.halt.is_none() && one.count(Outcome::Created) == 400);
    let both = wait(vec![600, 700]);
    assert!(matches!(both.summary.halt, Some(Halt::Unreachable(_))), "{:?}", both.summary.halt);
}

#[test]
fn a_crowded_service_gets_one_request_fewer_at_a_time() {
    let script = Script { fates: vec![Fate::Crowded], ..Script::default() };
    let ran = run(&creates(4_000), script, settings(10, 3));
    assert_eq!(ran.count(Outcome::Created), 4_000);
}

#[test]
fn what_passes_is_waited_for() {
    for fate in [Fate::Busy, Fate::Deadlock] {
        let script = Script { fates: vec![fate; 4], ..Script::default() };
        let ran = run(&creates(10), script, settings(10, 1));
        assert_eq!((ran.count(Outcome::Created), ran.summary.requests), (10, 5), "{fate:?}");
    }
}

#[test]
fn a_deadlock_that_stays_ends_in_halves_and_not_in_a_stop() {
    let script = Script { fates: vec![Fate::Deadlock; 6], ..Script::default() };
    let ran = run(&creates(10), script, settings(10, 2));
    assert_eq!(ran.count(Outcome::Created), 10);
}

#[test]
fn what_is_too_slow_or_too_large_is_sent_in_halves() {
    let script = Script { fates: vec![Fate::TooSlow], ..Script::default() };
    let ran = run(&creates(100), script, settings(100, 1));
    assert_eq!((ran.count(Outcome::Created), ran.summary.requests), (100, 3));
    let script = Script { rows_max: 30, ..Script::default() };
    let ran = run(&creates(1_000), script, settings(100, 1));
    assert_eq!(ran.count(Outcome::Created), 1_000);
    assert!(ran.summary.requests < 60, "{} requests: the size is learned", ran.summary.requests);
}

#[test]
fn rows_of_one_record_arrive_in_input_order() {
    let rows: Vec<Row> = (0..500).map(|place| upsert(place % 7 + 1)).collect();
    let ran = run(&rows, Script::default(), settings(50, 5));
    assert_eq!(ran.count(Outcome::Written), 500);
    let state = ran.service.state.lock().expect("state");
    for (id, history) in &state.history {
        assert!(history.is_sorted(), "{id}: {history:?}");
    }
    let applied: usize = state.history.values().map(Vec::len).sum();
    assert_eq!(applied, 500);
}

#[test]
fn a_caller_without_rights_stops_the_run_early() {
    let script = Script { is_forbidden: true, ..Script::default() };
    let ran = run(&creates(10_000), script, settings(100, 1));
    assert!(matches!(ran.summary.halt, Some(Halt::Refused(_))));
    assert_eq!(ran.service.state.lock().expect("state").writes, 2);
    assert_eq!(ran.count(Outcome::Failed), 200);
    assert!(ran.count(Outcome::NotAttempted) > 0);
    assert_eq!(client::report::exit_code(&ran.summary), 3);
}

#[test]
fn a_service_that_stays_away_stops_the_run() {
    let script = Script { fates: vec![Fate::Unsent; 1_000], ..Script::default() };
    let ran = run(&creates(1_000), script, settings(100, 2));
    assert!(matches!(ran.summary.halt, Some(Halt::Unreachable(_))));
    assert_eq!(ran.count(Outcome::Created), 0);
    assert!(ran.count(Outcome::Failed) >= 100);
    assert_eq!(client::report::exit_code(&ran.summary), 1);
}

#[test]
fn an_interrupt_lets_what_is_in_flight_finish_and_says_what_was_not_tried() {
    let ran = block_on(async {
        let (stop, stopped) = watch::channel(false);
        let rows = creates(5_000);
        let run = run_with(&rows, Script::default(), settings(100, 2), Some(stopped));
        let interrupt = async {
            tokio::time::sleep(Duration::from_millis(120)).await;
            stop.send_replace(true);
        };
        futures_util::future::join(run, interrupt).await.0
    });
    assert!(matches!(ran.summary.halt, Some(Halt::Interrupted)));
    let created = ran.count(Outcome::Created);
    assert!((400..5_000).contains(&created), "{created}");
    assert_eq!(ran.service.state.lock().expect("state").records.len() as u64, created);
    assert_eq!(client::report::exit_code(&ran.summary), 5);
}

#[test]
fn extra_attempts_are_as_many_as_asked_and_the_last_reason_is_kept() {
    let mut rows = creates(10);
    rows[4].is_bad = true;
    let settings = Settings { retries: 3, ..settings(10, 1) };
    let ran = run(&rows, Script { names: Names::All, ..Script::default() }, settings);
    assert_eq!((ran.count(Outcome::Created), ran.count(Outcome::Failed)), (9, 1));
    let state = ran.service.state.lock().expect("state");
    assert_eq!(state.requests, 1 + 1 + 3);
    let waits: Vec<u64> =
        state.arrivals[1..].windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    for (wait, nominal) in waits.iter().zip([5, 10, 20]) {
        assert!((nominal * 7 / 10..=nominal * 13 / 10).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_delete_whose_answer_was_lost_is_no_missing_record() {
    let rows: Vec<Row> =
        (1..=3).map(|id| Row { operation: Operation::Delete, ..create(id) }).collect();
    let script = Script { fates: vec![Fate::LostAfter], ..Script::default() };
    let ran = run(&rows, script, settings(1, 1));
    // Nothing was there: the first counts as deleted because its answer was lost, the others fail.
    assert_eq!((ran.count(Outcome::Deleted), ran.count(Outcome::Failed)), (1, 2));
}

#[test]
fn duplicates_are_refused_row_by_row_where_that_is_wished_for_and_only_there() {
    let header = ("MSCRM.SuppressDuplicateDetection", "false".to_owned());
    let kinds = [Operation::Create, Operation::Update, Operation::Upsert];
    for (kind, has_bulk, size) in
        kinds.into_iter().flat_map(|kind| [(kind, true, 20), (kind, false, 20), (kind, false, 1)])
    {
        for headers in [vec![header.clone()], Vec::new()] {
            let wished = !headers.is_empty();
            let script = Script { names: Names::Nothing, headers, has_bulk, ..Script::default() };
            let has_bulk = settings(size, 2).has_bulk.map(|has| has && has_bulk);
            let rows: Vec<Row> = (1..=40)
                .map(|id| Row { operation: kind, is_twin: id % 15 == 0, ..create(id) })
                .collect();
            let ran = run(&rows, script, Settings { has_bulk, ..settings(size, 2) });
            let failed: Vec<u64> = ran.failed().iter().map(|(ordinal, _)| *ordinal).collect();
            let want: &[u64] = if wished { &[14, 29] } else { &[] };
            assert_eq!(failed, want, "{kind:?} {has_bulk:?} {size} {wished}");
            assert!(ran.failed().iter().all(|(_, why)| why.contains("0x80040333")));
            let well = ran.summary.counts.read() - want.len() as u64;
            let landed = [Outcome::Created, Outcome::Updated, Outcome::Written];
            assert_eq!(landed.map(|outcome| ran.count(outcome)).iter().sum::<u64>(), well);
        }
    }
}

/// What is passed on, and where it goes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("bytes").write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn rows_are_passed_on_in_input_order_and_no_more_of_them_are_held_back_than_may_wait() {
    let (size, width) = (10, 4);
    // The first message takes its time, and one in the middle is refused for a bad row.
    let fates = vec![Fate::Busy, Fate::Normal, Fate::Busy, Fate::Throttled(3), Fate::LostAfter];
    let mut rows = creates(3_000);
    rows[1_500].is_bad = true;
    let (sink, head) = (Sink::default(), Head::default());
    let to = PassTo::new(Box::new(sink.clone()));
    let mut pass = PassThru::new(to, Format::Ndjson, &[]).in_order(head.clone(), None);
    let given = Settings { head: Some(head.clone()), ..settings(size, width) };
    let mut furthest = 0;
    let script = Script { fates, ..Script::default() };
    let ran = block_on(run_heard(&rows, script, given, None, &mut |event| {
        if let Event::Ended { row, outcome, .. } = event {
            furthest = furthest.max(row.entry().ordinal.saturating_sub(head.get()));
            pass.add(row, *outcome).expect("passed on");
        }
    }));
    assert_eq!((ran.count(Outcome::Created), ran.count(Outcome::Failed)), (2_999, 1));
    assert_eq!(head.get(), 3_000);
    let block = 100;
    let most = 2 * size as u64 * width as u64 + block;
    assert!(furthest <= most, "{furthest} rows were held back");
    assert!(furthest >= size as u64, "something was held back: {furthest}");
    let text = String::from_utf8(sink.0.lock().expect("bytes").clone()).expect("text");
    let id = |line: &str| line.split("\"Id\":\"").nth(1).map(|rest| rest[..36].to_owned());
    let ids: Vec<String> = text.lines().filter_map(id).collect();
    let want: Vec<String> =
        (1..=3_000).filter(|id| *id != 1_501).map(|id| Uuid::from_u128(id).to_string()).collect();
    assert_eq!(ids, want);
}

#[test]
fn no_more_is_in_flight_than_is_allowed_whatever_the_width() {
    let given = Settings { in_flight_max: Some(3), ..settings(10, 8) };
    let ran = run(&creates(500), Script::default(), given);
    assert_eq!(ran.count(Outcome::Created), 500);
    assert_eq!(ran.summary.in_flight_most, 3);
}

#[test]
fn whatever_keeps_rows_is_told() {
    let fates = vec![Fate::Normal, Fate::Busy, Fate::Throttled(3)];
    let mut rows = creates(40);
    rows[5].is_bad = true;
    let mut told = Vec::new();
    let mut workers = HashSet::new();
    let script = Script { fates, ..Script::default() };
    let given = Settings { retries: 1, ..settings(20, 2) };
    block_on(run_heard(&rows, script, given, None, &mut |event| match event {
        Event::Note(note) => told.push(note.to_string()),
        Event::Ended { worker, .. } => drop(workers.insert(*worker)),
        Event::Status(_) => {}
    }));
    let told = told.join("\n");
    for want in [
        "pace: width 2, 20 rows in a message",
        "batch of 20 rows is sent in two parts",
        "row 20 and 19 more, worker 2: again in ",
        " s (attempt 1 of 10): 0x8004a001 busy",
        "throttled: nothing is sent for 3.0 s: 0x80072322",
        "s (attempt 1 of 1): 0x80044331 too long",
    ] {
        assert!(told.contains(want), "{want} in {told}");
    }
    assert!(workers.is_subset(&HashSet::from([Some(1), Some(2)])), "{workers:?}");
}

/// Somebody who gives these answers one after the other, and whose questions are kept.
fn somebody(replies: &[Reply]) -> (Option<Asker>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (replies, kept) = (replies.to_vec(), Arc::clone(&asked));
    let asker = Asker::new(move |question| {
        let mut kept = kept.lock().expect("questions");
        let reply = *replies.get(kept.len()).expect("nobody is asked so often");
        kept.push(question.to_string());
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            reply
        })
    });
    (Some(asker), asked)
}

#[test]
fn a_batch_leaves_after_a_yes_and_no_other() {
    let (confirm, asked) = somebody(&[Reply::No, Reply::Yes, Reply::No, Reply::All]);
    let ran = run(&creates(60), Script::default(), Settings { confirm, ..settings(10, 4) });
    assert_eq!((ran.count(Outcome::Created), ran.count(Outcome::Skipped)), (40, 20));
    let skipped = ran.outcomes.iter().filter(|(_, (outcome, _))| *outcome == Outcome::Skipped);
    assert!(skipped.clone().all(|(_, (_, why))| why.as_deref() == Some("declined")));
    let skipped: Vec<u64> = skipped.map(|(ordinal, _)| *ordinal).collect();
    assert_eq!(skipped, (0..10).chain(20..30).collect::<Vec<_>>());
    assert_eq!(ran.service.state.lock().expect("state").records.len(), 40);
    assert_eq!(ran.summary.requests, 4);
    let asked = asked.lock().expect("questions");
    assert_eq!(asked.len(), 4, "after `all` nobody is asked");
    assert_eq!(asked[0], "create 10 rows of table `things` (line 2, line 3, line 4, …)?");
    // A single row, known by its key.
    let (confirm, asked) = somebody(&[Reply::No]);
    let rows = [Row { operation: Operation::Delete, ..create(7) }];
    let ran = run(&rows, Script::default(), Settings { confirm, ..settings(10, 4) });
    assert_eq!((ran.count(Outcome::Skipped), ran.summary.requests), (1, 0));
    let want = "delete 1 row of table `things` (00000000-0000-0000-0000-000000000007)?";
    assert_eq!(*asked.lock().expect("questions"), [want]);
}

#[test]
fn who_quits_gets_what_is_in_flight_and_nothing_more() {
    let (confirm, _) = somebody(&[Reply::Yes, Reply::Quit]);
    let ran = run(&creates(1_000), Script::default(), Settings { confirm, ..settings(10, 4) });
    assert!(matches!(ran.summary.halt, Some(Halt::Interrupted)));
    assert_eq!(ran.count(Outcome::Created), 10);
    assert_eq!(
        ran.count(Outcome::Created) + ran.count(Outcome::NotAttempted),
        ran.summary.counts.read()
    );
    assert_eq!(ran.service.state.lock().expect("state").records.len(), 10);
    assert_eq!(client::report::exit_code(&ran.summary), 5);
}

#[test]
fn what_was_agreed_to_is_not_asked_about_again_when_it_is_sent_again_or_in_parts() {
    let mut rows = creates(100);
    rows[20].is_bad = true;
    let fates = vec![Fate::Busy, Fate::LostAfter, Fate::Throttled(5)];
    let (confirm, asked) = somebody(&[Reply::Yes; 2]);
    let given = Settings { confirm, retries: 2, ..settings(50, 2) };
    let ran = run(&rows, Script { fates, ..Script::default() }, given);
    assert_eq!((ran.count(Outcome::Created), ran.count(Outcome::Failed)), (99, 1));
    assert_eq!(asked.lock().expect("questions").len(), 2);
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Normal),
        1 => Just(Fate::Unsent),
        1 => Just(Fate::LostBefore),
        2 => Just(Fate::LostAfter),
        1 => Just(Fate::GatewayAfter),
        1 => (1u64..40).prop_map(Fate::Throttled),
        1 => Just(Fate::Crowded),
        1 => Just(Fate::Busy),
        1 => Just(Fate::Deadlock),
        1 => Just(Fate::TooSlow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_good_row_is_there_once_and_every_bad_row_is_told(
        count in 1usize..300,
        bad in proptest::collection::hash_set(0usize..300, 0..6),
        fates in proptest::collection::vec(fate(), 0..40),
        names in prop_oneof![Just(Names::Nothing), Just(Names::First), Just(Names::All)],
        is_elastic in any::<bool>(),
        (size, width) in (1usize..120, 1usize..6),
    ) {
        let rows: Vec<Row> = creates(count as u128)
            .into_iter()
            .enumerate()
            .map(|(place, row)| Row { is_bad: bad.contains(&place), ..row })
            .collect();
        let expected: HashSet<u64> =
            bad.iter().filter(|place| **place < count).map(|place| *place as u64).collect();
        let ran = run(&rows, Script { fates, names, is_elastic, ..Script::default() }, settings(size, width));
        if let Some(halt) = &ran.summary.halt {
            // So many lost answers in a row that the client gave up; what it says must still be true.
            prop_assert!(matches!(halt, Halt::Unreachable(_)), "{:?}", halt);
            let state = ran.service.state.lock().expect("state");
            prop_assert!(state.records.values().all(|(_, writes)| *writes == 1));
            prop_assert!(ran.count(Outcome::Created) <= state.records.len() as u64);
            return Ok(());
        }
        let failed: HashSet<u64> = ran.failed().iter().map(|(ordinal, _)| *ordinal).collect();
        let too_slow_alone = ran
            .failed()
            .iter()
            .filter(|(_, why)| why.starts_with("too-large"))
            .map(|(ordinal, _)| *ordinal)
            .collect::<HashSet<_>>();
        let failed: HashSet<u64> = failed.difference(&too_slow_alone).copied().collect();
        let expected: HashSet<u64> = expected.difference(&too_slow_alone).copied().collect();
        prop_assert_eq!(&failed, &expected, "{:?}", ran.failed());
        prop_assert_eq!(
            ran.count(Outcome::Created),
            (count - expected.len() - too_slow_alone.len()) as u64
        );
        let state = ran.service.state.lock().expect("state");
        prop_assert_eq!(state.records.len() as u64, ran.count(Outcome::Created));
        prop_assert!(state.records.values().all(|(_, writes)| *writes == 1));
        prop_assert!(state.in_flight_most <= width);
    }
}
