//! `SheafExplainSteps`, a function of our own: what it refuses, and a service without steps. Plans with steps are looked
//! at where steps can be registered (`server`, `cli`).

use crate::service::{Answer, ORIGIN, ROOT, Service};
use bytes::Bytes;
use http::{HeaderMap, Method};
use model::{Caller, Timestamp, Uuid};
use webapi::Incoming;

async fn check(service: &Service, arguments: &str, status: u16, code: &str, text: &str) {
    let answer = service.send(&format!("GET /SheafExplainSteps{arguments}"), "").await;
    let error = &answer.json["error"];
    assert_eq!(answer.status.as_u16(), status, "{arguments}: {}", answer.text);
    assert_eq!(error["code"], code, "{arguments}: {}", answer.text);
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains(text), "{arguments}: {message}");
}

#[tokio::test]
async fn a_plan_without_steps_says_so() {
    let service = Service::empty().await;
    let path = "GET /SheafExplainSteps(Message='CreateMultiple',Table='account',Targets=3)";
    let answer = service.ok(path, "").await;
    let plan = &answer.json["Plans"][0];
    assert_eq!(plan["Text"], "CreateMultiple of account, 3 targets\nno steps\n");
    assert_eq!(plan["Steps"], serde_json::json!([]));
    let path = "GET /SheafExplainSteps(Message='UpsertMultiple',Table='account')";
    let names: Vec<serde_json::Value> = service.ok(path, "").await.json["Plans"]
        .as_array()
        .expect("plans")
        .iter()
        .map(|plan| plan["Message"].clone())
        .collect();
    assert_eq!(names, ["CreateMultiple", "UpdateMultiple"]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_named() {
    let service = Service::empty().await;
    let (uri, argument) = ("0x80060888", "0x80040203");
    check(&service, "", 400, uri, "SheafExplainSteps").await;
    check(&service, "(Message='Create')", 400, uri, "SheafExplainSteps").await;
    check(&service, "(Message='Create',Table='account',More=1)", 400, uri, "SheafExplain").await;
    let columns = "(Message='Create',Table='account',Columns='name')";
    check(&service, columns, 400, uri, "SheafExplainSteps").await;
    check(&service, "(Message='create',Table='account')", 400, argument, "'create'").await;
    check(&service, "(Message='Create',Table='nothing')", 404, "0x80040217", "nothing").await;
    check(&service, "(Message='Create',Table='account',Targets=2)", 400, argument, "1 to 1").await;
    let many = "(Message='CreateMultiple',Table='account',Targets=0)";
    check(&service, many, 400, argument, "1 to 100000").await;
    let unknown = "(Message='Update',Table='account',Columns=['nome'])";
    check(&service, unknown, 400, argument, "'nome'").await;
}

#[tokio::test]
async fn only_administrators_are_told() {
    let service = Service::empty().await;
    let body = r#"{"firstname":"A","lastname":"User","domainname":"a@sheaf.test"}"#;
    let user: Uuid = service.ok("POST /systemusers", body).await.id();
    let business_unit = service.pipeline.organization().caller().business_unit;
    let incoming = Incoming {
        method: Method::GET,
        target: format!("{ROOT}/SheafExplainSteps(Message='Create',Table='account')"),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        origin: ORIGIN.to_owned(),
        caller: Caller { user, business_unit, on_behalf_of: None },
        now: Timestamp(1_700_000_000),
        request_id: Uuid::from_u128(0x5eaf),
    };
    let answer = Answer::of(service.api.handle(incoming).await);
    assert_eq!(answer.status.as_u16(), 403, "{}", answer.text);
}
