//! Bulk deletes over real sockets, on both engines, and through SIGKILL.

use crate::house::{Home, House, install_provider};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::service::{Options, Service, Store};

/// Rows of one message that makes them.
const MADE_AT_ONCE: usize = 1_000;
/// How often the state of a job is asked for before a test gives up.
const LOOKS_MAX: usize = 1_500;

fn leads(subject: &str) -> String {
    let target = json!({"@odata.type": "Microsoft.Dynamics.CRM.lead", "subject": subject});
    json!({"Targets": vec![target; MADE_AT_ONCE]}).to_string()
}

fn job() -> String {
    json!({
        "JobName": "Purge", "SendEmailNotification": false, "ToRecipients": [], "CCRecipients": [],
        "RecurrencePattern": "", "StartDateTime": "2020-01-01T00:00:00Z",
        "QuerySet": [{"EntityName": "lead", "Criteria": {"FilterOperator": "And", "Conditions": [
            {"AttributeName": "subject", "Operator": "Equal",
             "Values": [{"Value": "old", "Type": "System.String"}]}]}}],
    })
    .to_string()
}

/// Looks until the job is completed; answers `statuscode`.
async fn end_of(house: &House, id: &str) -> Value {
    let path = format!("asyncoperations({id})?$select=statecode,statuscode");
    for _ in 0..LOOKS_MAX {
        let (_, job) = house.json(Method::GET, &path, "").await;
        if job["statecode"] == 3 {
            return job["statuscode"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the job does not end");
}

async fn counts(house: &House, id: &str) -> (Value, Value) {
    let path = format!(
        "bulkdeleteoperations?$select=successcount,failurecount&$filter=_asyncoperationid_value eq {id}"
    );
    let (_, answer) = house.json(Method::GET, &path, "").await;
    let row = &answer["value"][0];
    (row["successcount"].clone(), row["failurecount"].clone())
}

async fn total(house: &House) -> Value {
    let path = "RetrieveTotalRecordCount(EntityNames=['lead'])";
    house.json(Method::GET, path, "").await.1["EntityRecordCountCollection"]["Values"][0].clone()
}

async fn start(house: &House, rows: usize) -> String {
    let path = "leads/Microsoft.Dynamics.CRM.CreateMultiple";
    for _ in 0..rows / MADE_AT_ONCE {
        let (status, answer) = house.json(Method::POST, path, &leads("old")).await;
        assert_eq!(status, 200, "{answer}");
    }
    let (status, _) = house.json(Method::POST, "leads", r#"{"subject":"new"}"#).await;
    assert_eq!(status, 204);
    let (status, answer) = house.json(Method::POST, "BulkDelete", &job()).await;
    assert_eq!(status, 200, "{answer}");
    answer["JobId"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_bulk_delete_runs_in_the_background_and_goes_on_after_a_restart() {
    for home in Home::each() {
        let house = House::open(home).await;
        let id = start(&house, 5_000).await;
        // Whatever it is at, an orderly end hands it on.
        let house = House::open(house.close().await).await;
        assert_eq!(end_of(&house, &id).await, 30);
        assert_eq!(counts(&house, &id).await, (5_000.into(), 0.into()));
        assert_eq!(total(&house).await, 1);
        house.close().await;
    }
}

#[tokio::test]
async fn a_row_that_is_held_is_reported_with_its_record() {
    for home in Home::each() {
        let house = House::open(home).await;
        let relationship = r#"{
         "@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_lead_contact",
         "ReferencedEntity":"lead","ReferencedAttribute":"leadid","ReferencingEntity":"contact",
         "CascadeConfiguration":{"Delete":"Restrict"},
         "Lookup":{"@odata.type":"Microsoft.Dynamics.CRM.LookupAttributeMetadata","SchemaName":"new_Lead",
          "DisplayName":{"LocalizedLabels":[{"Label":"Lead","LanguageCode":1033}]}}}"#;
        let (status, answer) =
            house.json(Method::POST, "RelationshipDefinitions", relationship).await;
        assert_eq!(status, 204, "{answer}");
        let held = "00000000-0000-0000-0000-0000000000aa";
        let lead = json!({"leadid": held, "subject": "old"}).to_string();
        let (status, answer) = house.json(Method::POST, "leads", &lead).await;
        assert_eq!(status, 204, "{answer}");
        let contact = json!({"new_Lead@odata.bind": format!("/leads({held})")}).to_string();
        let (status, answer) = house.json(Method::POST, "contacts", &contact).await;
        assert_eq!(status, 204, "{answer}");
        let id = start(&house, 1_000).await;
        assert_eq!(end_of(&house, &id).await, 30);
        assert_eq!(counts(&house, &id).await, (1_000.into(), 1.into()));
        let path = "bulkdeletefailures?$select=errornumber,errordescription,_regardingobjectid_value,regardingobjecttypecode";
        let (_, failures) = house.json(Method::GET, path, "").await;
        let failure = &failures["value"][0];
        assert_eq!(failure["_regardingobjectid_value"], held, "{failures}");
        assert_eq!(failure["regardingobjecttypecode"], "lead");
        assert_eq!(failure["errornumber"], 0x8004_0227_u32.cast_signed());
        house.close().await;
    }
}

/// The tests of a program that was not built have nothing to start: the gate builds it first.
#[tokio::test]
async fn a_bulk_delete_that_is_killed_five_times_ends_with_the_right_count() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let store = Store::Data(directory.path().join("data"));
    let Ok(options) = Options::new(store, &directory.path().join("log")) else {
        println!("`sheaf` is not built");
        return;
    };
    install_provider();
    let mut service = Service::start(options).expect("it starts");
    let house = Http { client: Client::builder().no_proxy().build().expect("a plain client") };
    let rows = 30 * MADE_AT_ONCE;
    let create = "leads/Microsoft.Dynamics.CRM.CreateMultiple";
    for _ in 0..rows / MADE_AT_ONCE {
        house.send(&service, Method::POST, create, &leads("old")).await;
    }
    let answer = house.send(&service, Method::POST, "BulkDelete", &job()).await;
    let id = answer["JobId"].as_str().expect("an id").to_owned();
    let path = format!(
        "bulkdeleteoperations?$select=successcount,failurecount,statecode,statuscode&$filter=_asyncoperationid_value eq {id}"
    );
    let mut before = 0;
    for _ in 0..5 {
        for _ in 0..LOOKS_MAX {
            let answer = house.send(&service, Method::GET, &path, "").await;
            let done = answer["value"][0]["successcount"].as_u64().expect("a count");
            let ended = answer["value"][0]["statecode"] == 3;
            assert!(done >= before, "a count is never taken back: {done} after {before}");
            if done > before || ended {
                before = done;
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        service.kill().expect("SIGKILL");
        service.restart().expect("it starts again");
    }
    let mut last = Value::Null;
    for _ in 0..LOOKS_MAX {
        last = house.send(&service, Method::GET, &path, "").await["value"][0].clone();
        if last["statecode"] == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((&last["statuscode"], &last["failurecount"]), (&30.into(), &0.into()), "{last}");
    assert_eq!(last["successcount"], rows);
    let count = "RetrieveTotalRecordCount(EntityNames=['lead'])";
    let answer = house.send(&service, Method::GET, count, "").await;
    assert_eq!(answer["EntityRecordCountCollection"]["Values"][0], 0);
    service.stop().expect("an orderly end");
}

/// A client of a service in a process of its own.
struct Http {
    client: Client,
}

impl Http {
    async fn send(&self, service: &Service, method: Method, path: &str, body: &str) -> Value {
        let response = self
            .client
            .request(method, format!("{}{path}", service.api()))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .expect("the service answers");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        let text = response.text().await.expect("a whole body");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
