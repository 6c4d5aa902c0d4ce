//! Workers beside each other, and workers that are gone.

use crate::house::{House, OLD_LEADS, exhaust, report};
use model::{MessageName, Target, TargetKey, Value};

#[tokio::test]
async fn a_job_has_one_worker_and_a_second_worker_takes_another_job() {
    let house = House::open().await;
    house.make("lead", 10, &[("subject", Value::text("old"))]).await;
    house.start(OLD_LEADS).await;
    let (mut one, mut other) = (house.worker("a"), house.worker("b"));
    assert!(one.step().await.expect("a step"));
    assert!(!other.step().await.expect("nothing to do"));
    let second = house.start(OLD_LEADS).await;
    assert!(other.step().await.expect("a step"));
    assert_eq!(other.job(), Some(second));
    exhaust(&mut one).await;
    exhaust(&mut other).await;
    assert_eq!(house.count("lead").await, 0);
}

/// Steps two workers in turn as `order` says and lets leases run out in between: every row is counted
/// once, whoever deletes it.
async fn check_turns(order: &[usize]) {
    let house = House::open().await;
    house.make("lead", 4_200, &[("subject", Value::text("old"))]).await;
    let job = house.start(OLD_LEADS).await;
    let mut workers = [house.worker("a"), house.worker("b")];
    for place in order {
        workers[*place].step().await.expect("a step");
        house.pass(61);
    }
    for worker in &mut workers {
        exhaust(worker).await;
    }
    assert_eq!(house.report(job).await, report(30, 4_200, 0), "{order:?}");
    assert_eq!(house.count("lead").await, 0);
}

#[tokio::test]
async fn workers_that_lose_their_lease_neither_lose_nor_repeat_a_count() {
    check_turns(&[0, 1, 0, 1, 0, 1]).await;
    check_turns(&[0, 0, 0, 1, 1, 0, 0, 1]).await;
    check_turns(&[1, 0, 1, 1, 1, 0, 0, 0, 1]).await;
}

#[tokio::test]
async fn what_a_killed_worker_had_is_taken_by_its_successor_at_once_and_by_others_later() {
    let house = House::open().await;
    house.make("lead", 3_500, &[("subject", Value::text("old"))]).await;
    let job = house.start(OLD_LEADS).await;
    for steps in 1..=5 {
        let mut worker = house.worker("a");
        for _ in 0..steps.min(2) {
            assert!(worker.step().await.expect("a step"));
        }
        // Dropped: as SIGKILL does, it releases nothing.
    }
    let before = house.report(job).await;
    assert!(before.status == 20 && before.successes > 0, "{before:?}");
    let mut other = house.worker("b");
    assert!(!other.step().await.expect("the lease holds"));
    house.pass(61);
    exhaust(&mut other).await;
    assert_eq!(house.report(job).await, report(30, 3_500, 0));
}

#[tokio::test]
async fn a_row_that_somebody_else_deletes_is_neither_a_success_nor_a_failure() {
    let house = House::open().await;
    let accounts = house.make("account", 6, &[("name", Value::text("old"))]).await;
    // A contact goes with its account: the accounts are deleted one by one.
    let table = house.pipeline.catalog().table("account").expect("it exists").id;
    let customer = Value::Lookup(model::LookupValue { table, id: accounts[5] });
    house.make("contact", 1, &[("parentcustomerid", customer)]).await;
    let job = house.start(crate::house::OLD_ACCOUNTS).await;
    let mut worker = house.worker("a");
    // Claim, begin, page.
    for _ in 0..3 {
        worker.step().await.expect("a step");
    }
    let target = Target { key: TargetKey::Id(accounts[3]), ..Target::default() };
    house.write(MessageName::Delete, "account", vec![target]).await.expect("deleted");
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 5, 0));
    assert_eq!(house.count("contact").await, 0);
}

#[tokio::test]
async fn parts_without_a_match_are_passed_once_and_renew_the_lease() {
    let house = House::open().await;
    house.make("lead", 45_000, &[("subject", Value::text("new"))]).await;
    let job = house.start(OLD_LEADS).await;
    let mut worker = house.worker("a");
    // Claim, begin.
    for _ in 0..2 {
        worker.step().await.expect("a step");
    }
    let columns = ["sheaf_leaseuntil", "sheaf_position"];
    let mut last = house.rows("asyncoperation", None, &columns).await;
    for part in 1..=2 {
        house.pass(1);
        worker.step().await.expect("a step");
        let now = house.rows("asyncoperation", None, &columns).await;
        assert_ne!(now[0][0], last[0][0], "the lease after part {part}");
        assert!(now[0][1].as_id() > last[0][1].as_id(), "the place after part {part}");
        last = now;
        // Killed between all parts: whoever comes next looks behind them.
        worker = house.worker("a");
        worker.step().await.expect("a claim");
    }
    // What is left is no whole part: the query is done, and then the job.
    for _ in 0..2 {
        worker.step().await.expect("a step");
    }
    assert_eq!(house.report(job).await, report(30, 0, 0));
    assert_eq!(house.count("lead").await, 45_000);
}

#[tokio::test]
async fn rows_that_match_here_and_there_are_found_in_every_part() {
    let house = House::open().await;
    let mut matching = 0;
    for count in [1, 1_000, 30, 2_300] {
        house.make("lead", 9_999, &[("subject", Value::text("new"))]).await;
        house.make("lead", count, &[("subject", Value::text("old"))]).await;
        matching += i32::try_from(count).expect("small");
    }
    let job = house.start(OLD_LEADS).await;
    for steps in [2, 3, 4].iter().cycle() {
        let mut worker = house.worker("a");
        for _ in 0..*steps {
            worker.step().await.expect("a step");
        }
        // Dropped: as SIGKILL does, it releases nothing.
        if house.report(job).await.status == 30 {
            break;
        }
    }
    assert_eq!(house.report(job).await, report(30, matching, 0));
    assert_eq!(house.count("lead").await, 4 * 9_999);
}
