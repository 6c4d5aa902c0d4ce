//! Guests that misbehave, through the whole service: each ends in its documented fault, nothing of its message is kept,
//! and the service goes on. And guests that call back, many at once on few threads.

use super::{Step, house_with};
use crate::house::{Home, House};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long many messages on few threads may take before it is a deadlock.
const PATIENCE: Duration = Duration::from_secs(100);

fn unruly(message: &'static str, stage: i32, configuration: &'static str) -> Step<'static> {
    Step { of_type: "unruly", message, stage, configuration }
}

impl House {
    async fn configure(&self, step: &str, what: &str) {
        let path = format!("sdkmessageprocessingsteps({step})");
        let row = json!({"configuration": what}).to_string();
        let (status, body) = self.json(Method::PATCH, &path, &row).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }

    async fn count(&self) -> u64 {
        let path = "RetrieveTotalRecordCount(EntityNames=['contact'])";
        let (status, body) = self.json(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["EntityRecordCountCollection"]["Values"][0].as_u64().expect("a count")
    }
}

/// What an unruly guest is told to do, and the status and code that its caller gets.
type Misdeed = (&'static str, u16, &'static str);

async fn each_misdeed_ends_in_its_fault(home: Home, step_time: Duration, misdeeds: &[Misdeed]) {
    let house = house_with(home, |options| {
        options.limits.step_time = step_time;
        options.config.plugins.memory_bytes = Some(24 << 20);
    });
    let house = house.await;
    let step = house.plug_in("unruly", &unruly("Create", 20, "idle")).await;
    for &(what, status, code) in misdeeds {
        house.configure(&step, what).await;
        let (got, body) = house.json(Method::POST, "contacts", r#"{"lastname":"x"}"#).await;
        let error = &body["error"]["code"];
        assert_eq!((got.as_u16(), error.as_str()), (status, Some(code)), "{what}: {body}");
        assert_eq!(house.count().await, 0, "{what} left something");
    }
    house.configure(&step, "idle").await;
    house.made("contacts", &json!({"lastname": "fine"})).await;
    assert_eq!(house.count().await, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_guest_does_ends_in_the_documented_fault_and_the_service_goes_on() {
    let misdeeds = [
        ("allocate", 500, "0x8004418d"),
        ("panic", 500, "0x8004418d"),
        ("bounds", 500, "0x8004418d"),
        ("stack", 500, "0x8004418d"),
        ("garbage row", 500, "0x8004418d"),
        ("garbage utf8", 500, "0x8004418d"),
        ("garbage bomb", 500, "0x8004418d"),
        ("nest 99", 400, "0x80044182"),
        ("refuse no", 400, "0x80040265"),
        ("fault", 500, "0x80040224"),
    ];
    for home in Home::each() {
        each_misdeed_ends_in_its_fault(home, PATIENCE, &misdeeds).await;
    }
}

/// By itself: it alone waits for the limit, which the others must not meet on a machine that is busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_never_ends_is_stopped_at_its_time() {
    for home in Home::each() {
        let misdeeds = [("loop", 400, "0x80081111")];
        each_misdeed_ends_in_its_fault(home, Duration::from_secs(8), &misdeeds).await;
    }
}

/// Before the transaction, and in one in which nothing was read or written yet: SQLite has one writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_loops_holds_up_nobody_else() {
    for stage in [10, 20] {
        loops_in(stage).await;
    }
}

async fn loops_in(stage: i32) {
    let house = house_with(Home::sqlite(), |options| {
        options.limits.step_time = Duration::from_secs(8);
        options.config.plugins.guests = Some(2);
    });
    let house = house.await;
    house.plug_in("unruly", &unruly("Create", stage, "loop")).await;
    let has_ended = AtomicBool::new(false);
    let stuck = async {
        let (_, body) = house.json(Method::POST, "contacts", r#"{"lastname":"x"}"#).await;
        has_ended.store(true, Ordering::Relaxed);
        assert_eq!(body["error"]["code"], "0x80081111", "{body}");
    };
    let others = async {
        for _ in 0..5 {
            house.made("accounts", &json!({"name": "x"})).await;
        }
        assert!(!has_ended.load(Ordering::Relaxed), "stage {stage}: they waited for the guest");
    };
    tokio::join!(stuck, others);
    house.close().await;
}

/// Eight messages, each of whose steps makes two records down to depth 4: fifteen records each.
async fn eight_messages(house: &House) {
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let (client, url) = (house.client.clone(), format!("{}/api/data/v9.2/contacts", house.url));
        tasks.spawn(async move {
            let body = json!({"lastname": format!("outer {number}")}).to_string();
            let request = client.post(url).header("content-type", "application/json").body(body);
            let response = request.send().await.expect("it answers");
            let status = response.status();
            (status, response.text().await.expect("a whole body"))
        });
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            let (status, text) = done.expect("the task runs to its end");
            assert_eq!(status, StatusCode::NO_CONTENT, "{text}");
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("nobody waits for anybody");
}

async fn nested_steps_on_two_threads_never_block_each_other(home: Home) {
    let house = house_with(home, |options| options.config.plugins.guests = Some(2)).await;
    let assembly = house.assembly("unruly").await;
    let of_type = house.plugin_type(&assembly, "unruly").await;
    let mut want = 0;
    // Inside the transaction, before it, and both: then each level makes twice as many.
    let inside = house.step(&of_type, &unruly("Create", 20, "nest 4")).await;
    eight_messages(&house).await;
    want += 8 * 15;
    assert_eq!(house.count().await, want);
    house.configure(&inside, "idle").await;
    let before = house.step(&of_type, &unruly("Create", 10, "nest 4")).await;
    eight_messages(&house).await;
    want += 8 * 15;
    assert_eq!(house.count().await, want);
    house.configure(&inside, "nest 3").await;
    house.configure(&before, "nest 3").await;
    eight_messages(&house).await;
    want += 8 * (1 + 4 + 16);
    assert_eq!(house.count().await, want);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_steps_on_two_threads_never_block_each_other_on_sqlite() {
    nested_steps_on_two_threads_never_block_each_other(Home::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_steps_on_two_threads_never_block_each_other_on_postgresql() {
    let [_, home] = Home::each();
    nested_steps_on_two_threads_never_block_each_other(home).await;
}
