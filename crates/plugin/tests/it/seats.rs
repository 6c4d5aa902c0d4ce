//! Who runs when: bounded threads, messages inside of messages, runs that nobody awaits any more.

use crate::guests;
use crate::house::{Fake, call, catalog, contact, host, run_unruly, step};
use model::{Catalog, Fault, MessageName, Uuid, Value};
use pipeline::RowOutcome;
use pipeline::step::{ParameterValue, Seat, ServiceReply, StepAnswer, StepFault, StepRunner};
use plugin::{Host, Settings};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

fn seats(guests_max: usize) -> Settings {
    Settings { guests_max, memory_bytes_max: 16 << 20, ..Settings::default() }
}

const LONG: Duration = Duration::from_secs(60);

fn written() -> Result<ServiceReply, Fault> {
    Ok(ServiceReply::Written(vec![RowOutcome { id: Uuid::from_u128(1), created: true }]))
}

/// A message whose step causes two messages with the same step, one level deeper, down to a depth.
fn message(
    host: Arc<Host>,
    catalog: Arc<Catalog>,
    seat: Option<Seat>,
    (depth, depth_max): (u32, u32),
) -> Pending {
    Box::pin(async move {
        let component = guests::unruly();
        let what = if depth == depth_max { "idle" } else { "calls 2" };
        let step = step(&component, "unruly", what);
        let targets = vec![contact(&catalog, "Doe")];
        let mut call = call(&catalog, &step, MessageName::Create, "contact", targets);
        call.frame.depth = depth;
        // As the pipeline does: taken once for a message from outside.
        let seat = match seat {
            Some(seat) => seat,
            None => host.enter(LONG).await.expect("as the test has it"),
        };
        call.seat = Some(seat.clone());
        let deeper = host.clone();
        let service = Fake::hooked(
            &component,
            LONG,
            Box::new(move |_| {
                let nested = message(
                    deeper.clone(),
                    catalog.clone(),
                    Some(seat.clone()),
                    (depth + 1, depth_max),
                );
                Box::pin(async move {
                    nested.await;
                    written()
                })
            }),
        );
        let ran = host.run(call, service).await;
        assert!(ran.answer.is_ok(), "depth {depth}: {:?}", ran.answer);
    })
}

type Pending = crate::house::futures::Pending<()>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_messages_four_deep_come_to_an_end_on_two_threads() {
    let (host, catalog) = (host(seats(2)), catalog().await);
    let mut messages = JoinSet::new();
    for _ in 0..8 {
        messages.spawn(message(host.clone(), catalog.clone(), None, (1, 4)));
    }
    let all = tokio::time::timeout(LONG, messages.join_all()).await;
    assert_eq!(all.expect("no message waits for another").len(), 8);
    assert!(host.threads_started() <= 2);
}

#[tokio::test]
async fn a_message_that_finds_no_place_in_time_says_so() {
    let (host, catalog) = (host(seats(1)), catalog().await);
    let component = guests::unruly();
    // Compiling is not what is measured here.
    assert!(run_unruly(&host, &catalog, "idle").await.answer.is_ok());
    let looping = step(&component, "unruly", "loop");
    let looping = call(&catalog, &looping, MessageName::Create, "contact", Vec::new());
    let idle = step(&component, "unruly", "idle");
    let idle = call(&catalog, &idle, MessageName::Create, "contact", Vec::new());
    let (stopped, refused) = tokio::join!(
        host.run(looping, Fake::until(&component, Duration::from_millis(1_500))),
        async {
            // By then the other has its place.
            tokio::time::sleep(Duration::from_millis(500)).await;
            host.run(idle, Fake::until(&component, Duration::from_millis(100))).await
        }
    );
    assert!(matches!(stopped.answer, Err(StepFault::TimeLimit)), "{:?}", stopped.answer);
    assert!(matches!(refused.answer, Err(StepFault::NoneFree)), "{:?}", refused.answer);
}

#[tokio::test]
async fn a_run_that_nobody_awaits_gives_its_thread_back() {
    let (host, catalog) = (host(seats(1)), catalog().await);
    let component = guests::unruly();
    assert!(run_unruly(&host, &catalog, "idle").await.answer.is_ok());
    // One that computes, and one that waits for a call that is never answered.
    for what in ["loop", "call never"] {
        let step = step(&component, "unruly", what);
        let call = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
        let service =
            Fake::hooked(&component, LONG, Box::new(|_| Box::pin(std::future::pending())));
        let given_up = tokio::time::timeout(Duration::from_millis(300), host.run(call, service));
        assert!(given_up.await.is_err());
        let next = tokio::time::timeout(LONG, run_unruly(&host, &catalog, "idle")).await.unwrap();
        assert!(next.answer.is_ok(), "after `{what}`: {:?}", next.answer);
    }
}

fn runs(answer: StepAnswer) -> Option<ParameterValue> {
    answer.shared.into_iter().next().and_then(|change| change.value)
}

/// What the guest counts in its own memory, asked by messages of one level deeper with these requests.
async fn counted(requests: &[u128]) -> Vec<Option<ParameterValue>> {
    let (host, catalog) = (host(seats(1)), catalog().await);
    let component = guests::unruly();
    let counted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let outer = step(&component, "unruly", "call x");
    let mut outer = call(&catalog, &outer, MessageName::Create, "contact", Vec::new());
    let seat = host.enter(LONG).await.expect("as the test has it");
    outer.seat = Some(seat.clone());
    let (told, inside, requests) = (counted.clone(), host.clone(), requests.to_vec());
    let service = Fake::hooked(
        &component.clone(),
        LONG,
        Box::new(move |_| {
            let (told, host, requests) = (told.clone(), inside.clone(), requests.clone());
            let (component, catalog, seat) = (component.clone(), catalog.clone(), seat.clone());
            Box::pin(async move {
                for request in requests {
                    let inner = step(&component, "unruly", "runs");
                    let mut inner =
                        call(&catalog, &inner, MessageName::Create, "contact", Vec::new());
                    inner.frame.depth = 2;
                    inner.seat = Some(seat.clone());
                    inner.frame.request = Uuid::from_u128(request);
                    let ran = host.run(inner, Fake::new(&component)).await;
                    told.lock()
                        .expect("as the test has it")
                        .push(runs(ran.answer.expect("as the test has it")));
                }
                written()
            })
        }),
    );
    host.run(outer, service).await.answer.expect("as the test has it");
    let counted = counted.lock().expect("as the test has it");
    counted.clone()
}

#[tokio::test]
async fn the_memory_of_an_instance_lasts_for_the_records_of_one_message() {
    let number = |number: i32| Some(ParameterValue::One(Value::Integer(number)));
    assert_eq!(counted(&[71, 71, 72, 71]).await, [number(1), number(2), number(1), number(1)]);
}

#[tokio::test]
async fn all_runs_of_a_message_share_the_seat_that_it_has_taken() {
    let (host, catalog) = (host(seats(1)), catalog().await);
    let component = guests::unruly();
    let step = step(&component, "unruly", "runs");
    let mut first = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
    first.seat = Some(host.enter(LONG).await.unwrap());
    let mut counts = Vec::new();
    for _ in 0..3 {
        let ran = host.run(first.clone(), Fake::new(&component)).await;
        counts.push(runs(ran.answer.unwrap()));
    }
    let number = |number: i32| Some(ParameterValue::One(Value::Integer(number)));
    assert_eq!(counts, [number(1), number(2), number(3)]);
    // It is taken for as long as the message lasts.
    assert!(matches!(host.enter(Duration::from_millis(50)).await, Err(StepFault::NoneFree)));
    drop(first);
    assert!(host.enter(LONG).await.is_ok());
}

#[tokio::test]
async fn messages_do_not_see_what_others_left_in_memory() {
    let (host, catalog) = (host(seats(1)), catalog().await);
    for _ in 0..3 {
        let ran = run_unruly(&host, &catalog, "runs").await;
        assert_eq!(runs(ran.answer.unwrap()), Some(ParameterValue::One(Value::Integer(1))));
    }
}
