//! The lives of jobs: from start to end, with what callers may do in between.

use crate::house::{House, NOW, OLD_ACCOUNTS, OLD_LEADS, exhaust, report};
use model::{LookupValue, MessageName, Target, TargetKey, Timestamp, Value, code};

fn text(text: &str) -> Value {
    Value::text(text)
}

#[tokio::test]
async fn a_job_deletes_what_matches_and_nothing_else() {
    let house = House::open().await;
    house.make("lead", 2_500, &[("subject", text("old"))]).await;
    house.make("lead", 7, &[("subject", text("new"))]).await;
    let job = house.start(OLD_LEADS).await;
    assert_eq!(house.report(job).await, report(0, 0, 0));
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(job).await, report(30, 2_500, 0));
    assert_eq!(house.count("lead").await, 7);
    let columns = ["startedon", "completedon", "hostid", "sheaf_leaseuntil"];
    let rows = house.rows("asyncoperation", None, &columns).await;
    let at = Value::DateTime(Timestamp(NOW));
    assert_eq!(rows, [[at.clone(), at, Value::Null, Value::Null]]);
}

#[tokio::test]
async fn several_queries_run_in_order_and_an_empty_one_succeeds() {
    let house = House::open().await;
    house.make("lead", 3, &[("subject", text("old"))]).await;
    house.make("account", 2, &[("name", text("old one"))]).await;
    let both = format!("{},{}", &OLD_ACCOUNTS[..OLD_ACCOUNTS.len() - 1], &OLD_LEADS[1..]);
    let job = house.start(&both).await;
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(job).await, report(30, 5, 0));
    let empty = house.start(&both).await;
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(empty).await, report(30, 0, 0));
}

#[tokio::test]
async fn rows_made_after_the_run_began_stay() {
    let house = House::open().await;
    house.make("lead", 1_500, &[("subject", text("old"))]).await;
    let job = house.start(OLD_LEADS).await;
    let mut worker = house.worker("a");
    for _ in 0..3 {
        assert!(worker.step().await.expect("a step"));
    }
    // In the same second, and later.
    house.make("lead", 5, &[("subject", text("old"))]).await;
    house.pass(10);
    house.make("lead", 5, &[("subject", text("old"))]).await;
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 1_500, 0));
    assert_eq!(house.count("lead").await, 10);
}

#[tokio::test]
async fn a_row_that_is_held_is_a_failure_and_the_job_goes_on() {
    let house = House::open().await;
    house.restrict().await;
    let accounts = house.make("account", 5, &[("name", text("old"))]).await;
    let table = house.pipeline.catalog().table("account").expect("it exists").id;
    let held = Value::Lookup(LookupValue { table, id: accounts[2] });
    house.make("lead", 1, &[("new_holder", held.clone())]).await;
    let job = house.start(OLD_ACCOUNTS).await;
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(job).await, report(30, 4, 1));
    let columns =
        ["errornumber", "orderedqueryindex", "regardingobjectid", "regardingobjecttypecode"];
    let failures = house.rows("bulkdeletefailure", None, &columns).await;
    let number = pipeline::job::signed(code::CANNOT_DELETE_DUE_TO_ASSOCIATION);
    assert_eq!(failures, [[Value::Integer(number), Value::Integer(0), held, text("account")]]);
    // Where every candidate fails the job has failed.
    let again = house.start(OLD_ACCOUNTS).await;
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(again).await, report(31, 0, 1));
    let by = Some(("asyncoperationid", again));
    let error = house.rows("asyncoperation", by, &["errorcode"]).await;
    assert_eq!(error, [[Value::Integer(-2_147_187_659)]]);
}

#[tokio::test]
async fn a_failing_thousand_goes_row_by_row() {
    let house = House::open().await;
    let leads = house.make("lead", 1_200, &[("subject", text("old"))]).await;
    let catalog = house.pipeline.catalog();
    let holds = model::NewRelationship {
        schema_name: "new_lead_contact".into(),
        referenced_table: "lead".into(),
        referencing_table: "contact".into(),
        lookup_schema_name: "new_Lead".into(),
        lookup_display_name: model::Label::english("Lead"),
        lookup_description: model::Label::default(),
        lookup_required: model::RequiredLevel::None,
        referenced_navigation: None,
        referencing_navigation: None,
        cascade: model::Cascade::on_delete(model::DeleteAction::Restrict),
        is_hierarchical: false,
        settings: model::RelationshipSettings::default(),
    };
    let define = pipeline::Definition::CreateRelationship(holds);
    house.run(pipeline::Message::Define(define)).await.expect("a plain relationship");
    let table = catalog.table("lead").expect("it exists").id;
    let held = Value::Lookup(LookupValue { table, id: leads[1_100] });
    house.make("contact", 1, &[("new_lead", held)]).await;
    let job = house.start(OLD_LEADS).await;
    exhaust(&mut house.worker("a")).await;
    assert_eq!(house.report(job).await, report(30, 1_199, 1));
    assert_eq!(house.rows("bulkdeletefailure", None, &["errornumber"]).await.len(), 1);
}

#[tokio::test]
async fn a_running_job_is_paused_resumed_and_cancelled() {
    let house = House::open().await;
    house.make("lead", 3_500, &[("subject", text("old"))]).await;
    let job = house.start(OLD_LEADS).await;
    let mut worker = house.worker("a");
    // Claim, begin, a thousand.
    for _ in 0..3 {
        worker.step().await.expect("a step");
    }
    assert_eq!(house.report(job).await, report(20, 1_000, 0));
    house.patch(job, &[("statecode", Value::Integer(1))]).await.expect("a pause");
    assert_eq!(house.report(job).await, report(21, 1_000, 0));
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(10, 1_000, 0));
    house.pass(1_000_000);
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(10, 1_000, 0));
    house.patch(job, &[("statecode", Value::Integer(0))]).await.expect("resumed");
    assert_eq!(house.report(job).await, report(0, 1_000, 0));
    // Claim, a thousand: the run goes on where it was.
    for _ in 0..2 {
        worker.step().await.expect("a step");
    }
    assert_eq!(house.report(job).await, report(20, 2_000, 0));
    let cancel = [("statecode", Value::Integer(3)), ("statuscode", Value::Integer(32))];
    house.patch(job, &cancel).await.expect("cancelled");
    assert_eq!(house.report(job).await, report(22, 2_000, 0));
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(32, 2_000, 0));
    assert_eq!(house.count("lead").await, 1_500);
    let fault = house.patch(job, &cancel).await.expect_err("it has ended");
    assert_eq!(fault.code, code::INVALID_OPERATION);
}

#[tokio::test]
async fn a_job_starts_at_its_time_and_can_be_postponed() {
    let house = House::open().await;
    house.make("lead", 3, &[("subject", text("old"))]).await;
    let job = house.start_with(OLD_LEADS, |new| new.start = Some(Timestamp(NOW + 100))).await;
    let mut worker = house.worker("a");
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(10, 0, 0));
    let later = Value::DateTime(Timestamp(NOW + 200));
    house.patch(job, &[("postponeuntil", later)]).await.expect("postponed");
    house.pass(150);
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(10, 0, 0));
    house.pass(50);
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(30, 3, 0));
}

#[tokio::test]
async fn a_recurring_job_waits_for_its_next_run_and_counts_the_latest_one() {
    let house = House::open().await;
    house.restrict().await;
    let accounts = house.make("account", 2, &[("name", text("old"))]).await;
    let table = house.pipeline.catalog().table("account").expect("it exists").id;
    let held = Value::Lookup(LookupValue { table, id: accounts[0] });
    house.make("lead", 1, &[("new_holder", held)]).await;
    let daily = |new: &mut pipeline::job::NewJob| new.pattern = "FREQ=DAILY;INTERVAL=2;".into();
    let job = house.start_with(OLD_ACCOUNTS, daily).await;
    let mut worker = house.worker("a");
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(10, 1, 1));
    let next = Value::DateTime(Timestamp(NOW + 2 * 86_400));
    let detail = house.rows("bulkdeleteoperation", None, &["nextrun", "isrecurring"]).await;
    assert_eq!(detail, [[next.clone(), Value::Boolean(true)]]);
    assert_eq!(house.rows("asyncoperation", None, &["postponeuntil"]).await, [[next]]);
    house.pass(2 * 86_400);
    house.make("account", 3, &[("name", text("old"))]).await;
    exhaust(&mut worker).await;
    assert_eq!(house.report(job).await, report(10, 3, 1));
    assert_eq!(house.rows("bulkdeletefailure", None, &["errornumber"]).await.len(), 1);
}

#[tokio::test]
async fn only_the_documented_columns_and_deletes_are_open_to_callers() {
    let house = House::open().await;
    house.make("lead", 1_500, &[("subject", text("old"))]).await;
    let job = house.start(OLD_LEADS).await;
    let fault = house.patch(job, &[("name", text("mine"))]).await.expect_err("a closed column");
    assert_eq!(fault.code, code::INVALID_OPERATION);
    let fault = house.write(MessageName::Create, "asyncoperation", vec![Target::default()]).await;
    assert_eq!(fault.expect_err("the service makes them").code, code::NOT_SUPPORTED);
    let nobody = house.patch(model::Uuid::from_u128(9), &[("statecode", Value::Integer(0))]).await;
    assert_eq!(nobody.expect_err("there is none").code, code::OBJECT_DOES_NOT_EXIST);
    let mut worker = house.worker("a");
    for _ in 0..3 {
        worker.step().await.expect("a step");
    }
    // Deleting a live job ends it, and nothing of its next step is kept.
    let target = Target { key: TargetKey::Id(job), ..Target::default() };
    house.write(MessageName::Delete, "asyncoperation", vec![target]).await.expect("deleted");
    exhaust(&mut worker).await;
    assert_eq!(house.count("lead").await, 500);
    assert_eq!(house.count("bulkdeleteoperation").await, 0);
}

#[tokio::test]
async fn deleting_the_row_of_a_live_bulk_delete_cancels_its_job() {
    let house = House::open().await;
    house.make("lead", 1_500, &[("subject", text("old"))]).await;
    house.start(OLD_LEADS).await;
    let mut worker = house.worker("a");
    for _ in 0..3 {
        worker.step().await.expect("a step");
    }
    let detail = house.rows("bulkdeleteoperation", None, &["bulkdeleteoperationid"]).await;
    let id = detail[0][0].as_id().expect("an id");
    let target = Target { key: TargetKey::Id(id), ..Target::default() };
    house.write(MessageName::Delete, "bulkdeleteoperation", vec![target]).await.expect("deleted");
    exhaust(&mut worker).await;
    let rows = house.rows("asyncoperation", None, &["statuscode"]).await;
    assert_eq!(rows, [[Value::Integer(32)]]);
    assert_eq!(house.count("lead").await, 500);
}
