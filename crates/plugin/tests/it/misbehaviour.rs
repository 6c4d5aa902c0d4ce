//! Whatever a guest does ends in a documented fault, and the host goes on: for guests of both forms.

use crate::house::{Fake, call, catalog, contact, host, run_told, step};
use model::{MessageName, Uuid, Value, code};
use pipeline::step::{
    OperationStatus, ParameterValue, ServiceRequest, StepAnswer, StepFault, StepRunner,
};
use plugin::Settings;
use std::sync::Arc;
use std::time::Duration;

/// Makes each function a test of both forms.
macro_rules! in_both_forms {
    ($($test:ident),+ $(,)?) => {
        mod lean {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&crate::guests::unruly()).await;
            })+
        }
        mod whole {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&crate::guests::unruly_whole()).await;
            })+
        }
    };
}

in_both_forms!(
    a_guest_that_does_nothing_changes_nothing,
    panics_bad_addresses_and_deep_stacks_are_crashes,
    a_guest_that_allocates_without_end_meets_the_memory_limit,
    a_guest_that_loops_is_stopped_while_others_run,
    fuel_ends_a_loop_without_a_clock,
    changes_that_do_not_hold_together_are_a_crash_and_none_of_them_counts,
    calls_with_lists_that_do_not_hold_together_are_faults_for_the_guest,
    a_fault_that_was_not_given_is_not_passed_on,
    a_refusal_keeps_its_words_and_discards_changes,
    traces_are_kept_when_a_run_fails,
    only_a_trusted_assembly_acts_as_the_system,
    a_call_reaches_the_service_as_a_message_of_typed_targets,
    the_same_run_gets_the_same_seed,
    a_context_that_is_too_large_is_refused_before_anything_runs,
    a_thousand_bad_runs_leak_nothing,
);

fn small() -> Settings {
    Settings { memory_bytes_max: 16 << 20, guests_max: 2, ..Settings::default() }
}

async fn a_guest_that_does_nothing_changes_nothing(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let ran = run_told(&host, &catalog, unruly, "idle").await;
    assert_eq!(ran.answer.unwrap(), StepAnswer::default());
}

async fn panics_bad_addresses_and_deep_stacks_are_crashes(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    for what in ["panic", "bounds", "stack"] {
        let ran = run_told(&host, &catalog, unruly, what).await;
        assert!(matches!(ran.answer, Err(StepFault::Crashed(_))), "{what}: {:?}", ran.answer);
        let after = run_told(&host, &catalog, unruly, "idle").await;
        assert!(after.answer.is_ok(), "after {what}");
    }
}

async fn a_guest_that_allocates_without_end_meets_the_memory_limit(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let ran = run_told(&host, &catalog, unruly, "allocate").await;
    assert!(matches!(ran.answer, Err(StepFault::MemoryLimit)), "{:?}", ran.answer);
    assert!(run_told(&host, &catalog, unruly, "idle").await.answer.is_ok());
}

async fn a_guest_that_loops_is_stopped_while_others_run(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let looping = step(unruly, "unruly", "loop");
    let looping = call(&catalog, &looping, MessageName::Create, "contact", Vec::new());
    let service = Fake::until(unruly, Duration::from_millis(300));
    let (stopped, other) =
        tokio::join!(host.run(looping, service), run_told(&host, &catalog, unruly, "idle"));
    assert!(matches!(stopped.answer, Err(StepFault::TimeLimit)), "{:?}", stopped.answer);
    assert!(other.answer.is_ok());
}

async fn fuel_ends_a_loop_without_a_clock(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(Settings { fuel: Some(10_000_000), ..small() }), catalog().await);
    let ran = run_told(&host, &catalog, unruly, "loop").await;
    assert!(matches!(ran.answer, Err(StepFault::TimeLimit)), "{:?}", ran.answer);
    assert!(run_told(&host, &catalog, unruly, "idle").await.answer.is_ok());
}

async fn changes_that_do_not_hold_together_are_a_crash_and_none_of_them_counts(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    for what in ["row", "name", "column", "span", "utf8", "rows", "bomb"] {
        let ran = run_told(&host, &catalog, unruly, &format!("garbage {what}")).await;
        assert!(matches!(ran.answer, Err(StepFault::Crashed(_))), "{what}: {:?}", ran.answer);
    }
    // A well-formed value of the wrong kind is the usual fault of the column.
    let ran = run_told(&host, &catalog, unruly, "garbage table").await;
    let Err(StepFault::PassedOn(fault)) = ran.answer else { panic!("{:?}", ran.answer) };
    assert_eq!(fault.code, code::INVALID_ARGUMENT);
    assert_eq!(fault.failures[0].column.as_deref(), Some("lastname"));
    // Without the bad one, the good change counts.
    let ran = run_told(&host, &catalog, unruly, "garbage none").await;
    assert_eq!(ran.answer.unwrap().targets[0].value, Some(Value::text("ab")));
}

async fn calls_with_lists_that_do_not_hold_together_are_faults_for_the_guest(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    for (what, code) in [
        ("span", code::INVALID_ARGUMENT),
        ("cells", code::INVALID_ARGUMENT),
        ("batch", code::INVALID_ARGUMENT),
        ("name", code::INVALID_ARGUMENT),
        ("table", code::QUERY_BUILDER_NO_ENTITY),
        ("column", code::QUERY_BUILDER_NO_ATTRIBUTE),
    ] {
        let ran = run_told(&host, &catalog, unruly, &format!("bad-call {what}")).await;
        // It passed the fault on, which it may: the host had given it.
        let Err(StepFault::PassedOn(fault)) = ran.answer else {
            panic!("{what}: {:?}", ran.answer)
        };
        assert_eq!(fault.code, code, "{what}");
    }
    let ran = run_told(&host, &catalog, unruly, "no-rows").await;
    let Err(StepFault::PassedOn(fault)) = ran.answer else { panic!("{:?}", ran.answer) };
    assert_eq!(fault.message, "A single message takes exactly one row, not 0.");
}

async fn a_fault_that_was_not_given_is_not_passed_on(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let ran = run_told(&host, &catalog, unruly, "fault").await;
    let Err(StepFault::Unexpected(text)) = ran.answer else { panic!("{:?}", ran.answer) };
    assert!(text.contains("made up"), "{text}");
    let ran = run_told(&host, &catalog, unruly, "call refused").await;
    let Err(StepFault::PassedOn(fault)) = ran.answer else { panic!("{:?}", ran.answer) };
    assert_eq!(fault.code, code::DUPLICATE_RECORD);
}

async fn a_refusal_keeps_its_words_and_discards_changes(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let ran = run_told(&host, &catalog, unruly, "refuse no crates today").await;
    let Err(StepFault::Refused { message, status, sub_error_code, http_status, details }) =
        ran.answer
    else {
        panic!("{:?}", ran.answer)
    };
    assert_eq!(message, "no crates today");
    assert_eq!((status, sub_error_code, http_status), (OperationStatus::Canceled, 12_345, None));
    let want: [(Box<str>, String); 1] = [("failedRecordIndex".into(), "1".to_owned())];
    assert_eq!(details, want);
}

async fn traces_are_kept_when_a_run_fails(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let ran = run_told(&host, &catalog, unruly, "trace more").await;
    assert!(matches!(ran.answer, Err(StepFault::Unexpected(_))));
    let lines: Vec<&str> = ran.trace.iter().map(|line| &**line).collect();
    assert_eq!(lines, ["line 1", "more"]);
}

async fn only_a_trusted_assembly_acts_as_the_system(unruly: &Arc<[u8]>) {
    let catalog = catalog().await;
    let step = step(unruly, "unruly", "system");
    let pipeline::step::Handler::Type(of) = &step.handler else { panic!("a type") };
    for (trusted, asked) in [(vec![], 0), (vec![of.assembly.hash.clone()], 1)] {
        let host = host(Settings { trusted, ..small() });
        let call = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
        let service = Fake::new(unruly);
        let ran = host.run(call, service.clone()).await;
        let Err(StepFault::PassedOn(fault)) = ran.answer else { panic!("{:?}", ran.answer) };
        assert_eq!(fault.code, code::PRIVILEGE_DENIED);
        assert_eq!(service.asked.lock().unwrap().len(), asked);
    }
}

async fn a_call_reaches_the_service_as_a_message_of_typed_targets(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let step = step(unruly, "unruly", "call Nested");
    let call = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
    let service = Fake::new(unruly);
    let answer = host.run(call, service.clone()).await.answer.unwrap();
    let created = ParameterValue::One(Value::Guid(Uuid::from_u128(0xc0)));
    assert_eq!(answer.shared[0].value, Some(created));
    let asked = service.asked.lock().unwrap();
    let (ServiceRequest::Write(write), _) = &asked[0] else { panic!("{asked:?}") };
    assert_eq!((write.name, &*write.table.logical_name), (MessageName::Create, "contact"));
    assert_eq!(write.targets[0].cells[0].value, Value::text("Nested"));
}

async fn the_same_run_gets_the_same_seed(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(small()), catalog().await);
    let step = step(unruly, "unruly", "seed");
    let first = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
    let mut other = first.clone();
    other.record = Some(1);
    let mut seeds = Vec::new();
    for call in [first.clone(), first, other] {
        let answer = host.run(call, Fake::new(unruly)).await.answer.unwrap();
        seeds.push(answer.shared[0].value.clone());
    }
    assert_eq!(seeds[0], seeds[1]);
    assert_ne!(seeds[0], seeds[2]);
}

async fn a_context_that_is_too_large_is_refused_before_anything_runs(unruly: &Arc<[u8]>) {
    let catalog = catalog().await;
    let step = step(unruly, "unruly", "idle");
    let targets = vec![contact(&catalog, &"x".repeat(4_000)), contact(&catalog, "y")];
    let call = call(&catalog, &step, MessageName::CreateMultiple, "contact", targets);
    // Names, two rows of one cell each, the arena, and what is fixed.
    let bytes = 48 * 4 + 4_001 + ("contact".len() + "lastname".len()) as u64 + 1_024;
    for (context_bytes_max, fits) in [(bytes, true), (bytes - 1, false)] {
        let host = host(Settings { context_bytes_max, ..small() });
        let service = Fake::new(unruly);
        let ran = host.run(call.clone(), service).await;
        match fits {
            true => assert!(ran.answer.is_ok(), "{:?}", ran.answer),
            false => {
                let Err(StepFault::PassedOn(fault)) = ran.answer else {
                    panic!("{:?}", ran.answer)
                };
                assert_eq!(fault.code, code::UNEXPECTED);
                assert_eq!(
                    fault.message,
                    "Message size exceeded when sending context to Sandbox. Message size: 1 Mb"
                );
            }
        }
    }
}

/// Threads and memory maps of this process: what an instance that leaks would add to.
fn held() -> (usize, usize) {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let maps = std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    (threads, maps)
}

async fn a_thousand_bad_runs_leak_nothing(unruly: &Arc<[u8]>) {
    let (host, catalog) = (host(Settings { fuel: Some(2_000_000), ..small() }), catalog().await);
    let bad = [
        "loop",
        "panic",
        "bounds",
        "garbage utf8",
        "fault",
        "call refused",
        "refuse x",
        "bad-call span",
    ];
    for what in bad {
        run_told(&host, &catalog, unruly, what).await;
    }
    let (threads, maps) = held();
    for round in 0..125 {
        for what in bad {
            let ran = run_told(&host, &catalog, unruly, what).await;
            assert!(ran.answer.is_err(), "{what} in round {round}");
        }
    }
    let (threads_after, maps_after) = held();
    // Other tests of this process come and go beside: a leak of one thing a run would be a thousand.
    assert!(threads_after <= threads + 50, "{threads} threads, then {threads_after}");
    assert!(maps_after <= maps + 300, "{maps} memory maps, then {maps_after}");
    assert!(host.threads_started() <= 2);
    assert!(run_told(&host, &catalog, unruly, "call fine").await.answer.is_ok());
}
