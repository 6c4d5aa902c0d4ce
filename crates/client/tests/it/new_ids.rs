//! New records to which the service gives ids: they are learned, and nothing is made twice.

use crate::service::{Fate, Script, Simulated};
use client::controller::Setting;
use client::journal::Outcome;
use client::request::Route;
use client::rows::{Block, Entry, Operation, Sent};
use client::sender::{self, Event, Settings, Summary};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use uuid::Uuid;

/// How a row ended: its outcome, why, and its record.
type End = (Outcome, String, Option<Uuid>);

/// New records without ids, with their ordinal as value; what follows makes it a thousand more.
fn block(count: u64, bad: &[u64], is_followed: bool, sent: Sent) -> Block {
    let mut block = Block::default();
    for ordinal in 0..count {
        let mut record = serde_json::json!({"v": ordinal});
        if bad.contains(&ordinal) {
            record["bad"] = true.into();
        }
        let body = block.write(|out| out.extend_from_slice(record.to_string().as_bytes()));
        let next = format!("{{\"thingid\":\"{}\",\"v\":{}}}", Uuid::nil(), ordinal + 1_000);
        let next = if is_followed { next } else { String::new() };
        let follow_up = block.write(|out| out.extend_from_slice(next.as_bytes()));
        block.push(Entry {
            ordinal,
            line: ordinal + 2,
            operation: Operation::Create,
            body,
            follow_up,
            sent,
            ..Entry::default()
        });
    }
    block
}

fn run(block: Block, script: Script, settings: Settings) -> (Summary, Vec<End>, Simulated) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let route = Route {
            set: "things".into(),
            primary_key: "thingid".into(),
            is_atomic: !script.is_elastic,
            if_exists: false,
            tells_created: false,
            headers: Vec::new(),
            query: None,
            described: None,
            pairs: None,
        };
        let service = Simulated::new(script);
        let (sender, blocks) = mpsc::channel(1);
        sender.send(block).await.expect("there is room");
        drop(sender);
        let mut ends = BTreeMap::new();
        let mut observe = |event: Event<'_>| {
            if let Event::Ended { row, outcome, problem, id, .. } = event {
                let why = problem.map(|why| format!("{} {why}", why.class.as_str()));
                let end = (outcome, why.unwrap_or_default(), id);
                assert!(ends.insert(row.entry().ordinal, end).is_none(), "a row ended twice");
            }
        };
        let summary =
            sender::run(&service, &route, settings, blocks, None, None, &mut observe).await;
        (summary, ends.into_values().collect(), service)
    })
}

fn settings(size: usize) -> Settings {
    Settings {
        width: Setting::Fixed(1),
        size: Setting::Fixed(size),
        random: 7,
        ..Settings::default()
    }
}

/// A message of each kind: rows in it, and what the service has.
fn kinds() -> [(usize, Script); 4] {
    let without = || Script { has_bulk: false, ..Script::default() };
    [
        (5, Script::default()),
        (5, without()),
        (1, without()),
        (5, Script { is_elastic: true, ..Script::default() }),
    ]
}

/// What the settings say of bulk messages is what the service has.
fn fitting(size: usize, script: &Script) -> Settings {
    let has_bulk = if script.has_bulk { settings(size).has_bulk } else { [false; 7] };
    Settings { has_bulk, ..settings(size) }
}

#[test]
fn ids_are_learned_from_every_kind_of_answer_and_used_for_what_follows() {
    for (size, script) in kinds() {
        let settings = fitting(size, &script);
        let what = format!("{size} {} {}", script.has_bulk, script.is_elastic);
        let (summary, ends, service) = run(block(12, &[7], true, Sent::No), script, settings);
        assert_eq!(summary.counts.of(Outcome::Created), 11, "{what}: {ends:?}");
        let state = service.state.lock().expect("state");
        assert_eq!(state.records.len(), 11, "{what}");
        for (ordinal, (outcome, why, id)) in ends.into_iter().enumerate() {
            if ordinal == 7 {
                assert_eq!((outcome, id), (Outcome::Failed, None), "{what}: {why}");
                assert!(why.starts_with("rejected"), "{what}: {why}");
                continue;
            }
            let ordinal = i64::try_from(ordinal).expect("few rows");
            let id = id.expect("it is told").to_string();
            assert_eq!(state.history[&id], [ordinal, ordinal + 1_000], "{what}");
        }
    }
}

#[test]
fn a_new_record_whose_answer_was_lost_is_not_made_twice() {
    for (size, script) in kinds() {
        for fate in [Fate::LostBefore, Fate::LostAfter, Fate::GatewayAfter] {
            let what = format!("{size} {} {} {fate:?}", script.has_bulk, script.is_elastic);
            let rows = block(10, &[], false, Sent::No);
            let settings = Settings { retries: 3, ..fitting(size, &script) };
            let (has_bulk, is_elastic) = (script.has_bulk, script.is_elastic);
            let script = Script { fates: vec![fate], has_bulk, is_elastic, ..Script::default() };
            let (summary, ends, service) = run(rows, script, settings);
            let lost = size as u64;
            assert_eq!(summary.counts.of(Outcome::Created), 10 - lost, "{what}: {ends:?}");
            assert_eq!(summary.counts.of(Outcome::Failed), lost, "{what}");
            for (_, why, id) in ends.iter().filter(|(outcome, ..)| *outcome == Outcome::Failed) {
                assert!(why.starts_with("ambiguous ") && id.is_none(), "{what}: {why}");
            }
            let state = service.state.lock().expect("state");
            let made = if fate == Fate::LostBefore { 10 - lost } else { 10 };
            assert_eq!(state.records.len() as u64, made, "{what}");
            assert!(state.history.values().all(|values| values.len() == 1), "{what}");
        }
    }
}

#[test]
fn a_new_record_whose_answer_was_lost_is_sent_again_where_that_is_wished() {
    for (size, script) in kinds() {
        for (fate, more) in [(Fate::LostBefore, 0), (Fate::LostAfter, size)] {
            let settings = Settings { retry_ambiguous: true, ..fitting(size, &script) };
            let (has_bulk, is_elastic) = (script.has_bulk, script.is_elastic);
            let script = Script { fates: vec![fate], has_bulk, is_elastic, ..Script::default() };
            let (summary, ends, service) = run(block(10, &[], true, Sent::No), script, settings);
            assert_eq!(summary.counts.of(Outcome::Created), 10, "{size} {fate:?}: {ends:?}");
            let state = service.state.lock().expect("state");
            assert_eq!(state.records.len(), 10 + more, "{size} {fate:?}");
        }
    }
}

#[test]
fn what_passes_and_certainly_did_nothing_is_sent_again_though_ids_are_the_services() {
    for fate in [Fate::Unsent, Fate::Throttled(2), Fate::Busy, Fate::Deadlock, Fate::TooSlow] {
        let script = Script { fates: vec![fate], ..Script::default() };
        let (summary, ends, service) = run(block(10, &[], false, Sent::No), script, settings(5));
        assert_eq!(summary.counts.of(Outcome::Created), 10, "{fate:?}: {ends:?}");
        assert_eq!(service.state.lock().expect("state").records.len(), 10, "{fate:?}");
    }
}

#[test]
fn what_an_earlier_part_of_a_run_sent_is_not_made_twice() {
    let check = |sent, retry_ambiguous, want: &str| {
        let settings = Settings { retry_ambiguous, ..settings(5) };
        let (summary, ends, _) = run(block(10, &[], false, sent), Script::default(), settings);
        assert_eq!(summary.counts.to_string(), want, "{sent:?}: {ends:?}");
        summary.requests
    };
    assert_eq!(check(Sent::Yes, false, "10 rows: 10 failed"), 0);
    check(Sent::Yes, true, "10 rows: 10 created");
    check(Sent::Again, false, "10 rows: 10 created");
    check(Sent::Perhaps, false, "10 rows: 10 created");
}

#[test]
fn where_a_message_does_not_tell_ids_what_follows_is_told_to_be_undone() {
    let script = Script { tells_ids: false, ..Script::default() };
    let (summary, ends, _) = run(block(5, &[], true, Sent::No), script, settings(5));
    assert_eq!(summary.counts.to_string(), "5 rows: 5 failed");
    assert!(ends.iter().all(|(_, why, _)| why.contains("does not tell its id")), "{ends:?}");
    let script = Script { tells_ids: false, ..Script::default() };
    let (summary, ..) = run(block(5, &[], false, Sent::No), script, settings(5));
    assert_eq!(summary.counts.to_string(), "5 rows: 5 created");
}
