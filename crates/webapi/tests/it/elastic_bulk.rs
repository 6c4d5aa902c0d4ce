//! The four bulk actions on elastic tables: an outcome per target.
//!
//! Source: bulk.md 1.9, 3.3, 7.8 and conformance checks 2, 3, 6.

use crate::elastic_definitions::with_pings;
use crate::service::{Answer, Service};
use serde_json::Value;

const TYPE: &str = r#""@odata.type":"Microsoft.Dynamics.CRM.new_ping""#;
const DETAILS: &str = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails";

fn id(number: u32) -> String {
    format!("9a111111-0000-4000-8000-{number:012}")
}

/// A record with this id in this partition.
fn item(number: u32, partition: &str, more: &str) -> String {
    format!(r#""new_pingid":"{}","partitionid":"{partition}"{more}"#, id(number))
}

fn targets(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{{{item},{TYPE}}}")).collect();
    format!(r#"{{"Targets":[{}]}}"#, items.join(","))
}

fn action(name: &str) -> String {
    format!("POST /new_pings/Microsoft.Dynamics.CRM.{name}")
}

/// The same, and the caller wants to know what became of each.
fn asked(name: &str) -> String {
    format!("{}\nPrefer: odata.include-annotations=*", action(name))
}

/// Sends what must fail in part; answers index, id and status of each target.
async fn partly(service: &Service, name: &str, items: &[String]) -> Vec<(u64, String, u64)> {
    let answer = service.send(&asked(name), &targets(items)).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let error = &answer.json["error"];
    assert_eq!(error["code"], "0x80048d0b");
    let text = format!(
        "One or more operations of the {name} request failed. See error details for the status of each record."
    );
    assert_eq!(error["message"], text);
    details(&answer)
}

fn details(answer: &Answer) -> Vec<(u64, String, u64)> {
    let text = answer.json["error"][DETAILS].as_str().unwrap_or_else(|| panic!("{}", answer.text));
    let list: Value = serde_json::from_str(text).expect("a list in a text");
    let entry = |one: &Value| {
        let number = |name: &str| one[name].as_u64().expect("a number");
        let id = one["Id"].as_str().expect("an id").to_owned();
        (number("RequestIndex"), id, number("StatusCode"))
    };
    list.as_array().expect("a list").iter().map(entry).collect()
}

fn statuses(details: &[(u64, String, u64)]) -> Vec<u64> {
    details.iter().map(|(_, _, status)| *status).collect()
}

async fn values(service: &Service) -> Vec<String> {
    service.ok("GET /new_pings?$select=new_value&$orderby=new_value", "").await.column("new_value")
}

#[tokio::test]
async fn create_multiple_keeps_what_is_good_and_details_the_rest() {
    let service = with_pings().await;
    let first = [item(1, "a", r#","new_value":1"#), item(1, "b", r#","new_value":2"#)];
    let made = service.ok(&action("CreateMultiple"), &targets(&first)).await;
    assert_eq!(made.status, 200);
    assert_eq!(made.json["Ids"], serde_json::json!([id(1), id(1)]));
    assert!(!made.header("x-ms-session-token").is_empty());
    let second = [
        item(2, "a", r#","new_value":3"#),
        item(1, "a", r#","new_value":9"#),
        r#""new_value":4"#.to_owned(),
        item(3, "a", r#","new_value":5000"#),
        item(2, "a", ""),
    ];
    let got = partly(&service, "CreateMultiple", &second).await;
    assert_eq!(statuses(&got), [201, 409, 201, 400, 409]);
    assert_eq!(got[1], (1, id(1), 409));
    assert!(got[2].1.len() == 36, "an id that the service made");
    assert_eq!(values(&service).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn details_are_told_only_to_who_asks() {
    let service = with_pings().await;
    let items = [item(1, "a", "")];
    service.ok(&action("CreateMultiple"), &targets(&items)).await;
    let exact = "Microsoft.PowerApps.CDS.ErrorDetails.*";
    for (filter, want) in [("*", true), (exact, true), ("OData.*", false), ("", false)] {
        let head = match filter {
            "" => action("CreateMultiple"),
            _ => {
                format!("{}\nPrefer: odata.include-annotations={filter}", action("CreateMultiple"))
            }
        };
        let answer = service.send(&head, &targets(&items)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json["error"].get(DETAILS).is_some(), want, "{filter}");
        if want {
            assert_eq!(statuses(&details(&answer)), [409]);
        }
    }
}

#[tokio::test]
async fn a_failure_tells_the_state_of_what_was_written() {
    let service = with_pings().await;
    let items = [item(1, "a", ""), item(1, "a", "")];
    let answer = service.send(&action("CreateMultiple"), &targets(&items)).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.header("x-ms-session-token").is_empty());
    let body = targets(&[item(7, "a", "")]);
    let answer = service.send(&action("DeleteMultiple"), &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-ms-session-token")), (400, ""));
}

#[tokio::test]
async fn update_multiple_changes_the_rows_that_exist() {
    let service = with_pings().await;
    let items = [item(1, "a", r#","new_source":"s","new_value":1"#), item(2, "a", "")];
    service.ok(&action("CreateMultiple"), &targets(&items)).await;
    let changes = [
        item(1, "a", r#","new_value":10"#),
        item(9, "a", r#","new_value":11"#),
        item(2, "wrong", r#","new_value":12"#),
        item(1, "a", r#","new_value":13"#),
    ];
    let got = partly(&service, "UpdateMultiple", &changes).await;
    assert_eq!(statuses(&got), [200, 404, 404, 200]);
    let row = service.ok(&format!("GET /new_pings({})?partitionId=a", id(1)), "").await.json;
    // The first target that names the row counts, and other columns keep their values.
    assert_eq!((&row["new_value"], &row["new_source"]), (&10.into(), &"s".into()));
    let good = targets(&[item(1, "a", r#","new_value":20"#)]);
    let answer = service.ok(&action("UpdateMultiple"), &good).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
    assert!(!answer.header("x-ms-session-token").is_empty());
    let by_reference =
        format!(r#""@odata.id":"new_pings(new_pingid={},partitionid='a')","new_value":21"#, id(1));
    service.ok(&action("UpdateMultiple"), &targets(&[by_reference])).await;
    let row = service.ok(&format!("GET /new_pings({})?partitionId=a", id(1)), "").await.json;
    assert_eq!(row["new_value"], 21);
}

#[tokio::test]
async fn versions_are_compared_target_by_target() {
    let service = with_pings().await;
    let items = [item(1, "a", ""), item(2, "a", "")];
    service.ok(&action("CreateMultiple"), &targets(&items)).await;
    let path = format!("GET /new_pings({})?partitionId=a", id(1));
    let tag = service.ok(&path, "").await.json["@odata.etag"].to_string();
    let with_tag = |number| item(number, "a", &format!(r#","@odata.etag":{tag},"new_value":1"#));
    let got = partly(&service, "UpdateMultiple", &[with_tag(1), with_tag(2)]).await;
    assert_eq!(statuses(&got), [200, 412]);
    let got = partly(&service, "DeleteMultiple", &[with_tag(1), item(2, "a", "")]).await;
    assert_eq!(statuses(&got), [412, 204]);
    let overwrite = format!(
        r#"{{"ConcurrencyBehavior":"AlwaysOverwrite","Targets":[{{{},{TYPE}}}]}}"#,
        with_tag(1)
    );
    service.ok(&action("UpdateMultiple"), &overwrite).await;
}

#[tokio::test]
async fn upsert_multiple_makes_and_replaces() {
    let service = with_pings().await;
    let items = [item(1, "a", r#","new_source":"s","new_value":1"#)];
    service.ok(&action("CreateMultiple"), &targets(&items)).await;
    let upserts = [
        item(1, "a", r#","new_value":2"#),
        format!(
            r#""@odata.id":"new_pings(new_pingid={},partitionid='b')","partitionid":"b","new_value":3"#,
            id(1)
        ),
        format!(
            r#""@odata.id":"new_pings(new_pingid={},partitionid='c')","new_pingid":"{}","new_value":4"#,
            id(1),
            id(1)
        ),
        r#""new_value":5"#.to_owned(),
    ];
    let answer = service.ok(&action("UpsertMultiple"), &targets(&upserts)).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
    assert_eq!(values(&service).await, ["2", "3", "4", "5"]);
    let row = service.ok(&format!("GET /new_pings({})?partitionId=a", id(1)), "").await.json;
    assert!(row["new_source"].is_null(), "what was not sent is gone");
    let got = partly(
        &service,
        "UpsertMultiple",
        &[item(1, "a", ""), item(8, "a", ""), item(9, "a", r#","ttlinseconds":0"#)],
    )
    .await;
    assert_eq!(statuses(&got), [200, 201, 400]);
    let twice = targets(&[item(5, "a", ""), item(5, "a", "")]);
    service.refused(&action("UpsertMultiple"), &twice, (400, "0x80040203", "Duplicate")).await;
}

#[tokio::test]
async fn delete_multiple_deletes_what_is_there() {
    let service = with_pings().await;
    let items = [item(1, "a", ""), item(1, "b", ""), item(2, "a", "")];
    service.ok(&action("CreateMultiple"), &targets(&items)).await;
    let answer = service.ok(&action("DeleteMultiple"), &targets(&items[..1])).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-ms-session-token")), (204, ""));
    let got = partly(
        &service,
        "DeleteMultiple",
        &[item(1, "a", ""), item(1, "b", r#","new_value":5000"#), item(1, "b", "")],
    )
    .await;
    assert_eq!(statuses(&got), [404, 204, 204]);
    assert_eq!(values(&service).await.len(), 1);
}

#[tokio::test]
async fn payload_errors_refuse_the_whole_message() {
    let service = with_pings().await;
    let good = item(1, "a", "");
    for (bad, want) in [
        (r#""nope":1"#, (400, "0x80048d19", "nope")),
        (r#""new_value":"x""#, (400, "0x80048d19", "'x'")),
        (r#""statecode":1"#, (400, "0x80048d19", "statecode")),
        (r#""new_Toaccount":{"name":"x"}"#, (400, "0x80040203", "Deep insert")),
    ] {
        let body = targets(&[good.clone(), bad.to_owned()]);
        service.refused(&action("CreateMultiple"), &body, want).await;
    }
    let nameless = targets(&[r#""new_value":1"#.to_owned()]);
    let want = (404, "0x80040217", "Entity Id must be specified");
    service.refused(&action("UpdateMultiple"), &nameless, want).await;
    assert_eq!(values(&service).await.len(), 0);
}

#[tokio::test]
async fn invalid_values_cost_their_own_target_only() {
    let service = with_pings().await;
    let lost = "9a111111-0000-4000-8000-0000000000ff";
    let bad = [
        item(1, "a", r#","new_value":5000"#),
        item(2, "a/b", ""),
        item(3, &"x".repeat(1_025), ""),
        item(4, "a", r#","new_payload":"{""#),
        item(5, "a", r#","ttlinseconds":0"#),
        item(6, "a", &format!(r#","new_Toaccount@odata.bind":"/accounts({lost})""#)),
        item(7, "a", &format!(r#","new_source":"{}""#, "y".repeat(101))),
        item(8, "a", ""),
    ];
    let got = partly(&service, "CreateMultiple", &bad).await;
    assert_eq!(statuses(&got), [400, 400, 400, 400, 400, 400, 400, 201]);
    let answer = service.send(&asked("CreateMultiple"), &targets(&bad)).await;
    let listed = answer.json["error"]["@Sheaf.Failures"].as_str().expect("a list").to_owned();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let codes: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|one| one["code"].as_str()).collect();
    let want = [
        "0x8004432f",
        "0x80040278",
        "0x80044331",
        "0x80040203",
        "0x8004432f",
        "0x80040217",
        "0x80044331",
        "0x80040237",
    ];
    assert_eq!(codes, want);
}

#[tokio::test]
async fn a_row_over_two_megabytes_is_refused_by_itself() {
    let service = with_pings().await;
    let column = r#"{"@odata.type":"Microsoft.Dynamics.CRM.MemoAttributeMetadata","SchemaName":"new_Blob2","MaxLength":1048576,"DisplayName":{"LocalizedLabels":[{"Label":"Blob","LanguageCode":1033}]}}"#;
    let table = "/EntityDefinitions(LogicalName='new_ping')/Attributes";
    service.ok(&format!("POST {table}"), column).await;
    let half = "z".repeat(1_048_576);
    let large = format!(r#","new_blob":"{half}","new_blob2":"{half}""#);
    let got = partly(&service, "CreateMultiple", &[item(1, "a", &large), item(2, "a", "")]).await;
    assert_eq!(statuses(&got), [413, 201]);
    let one = format!("{{{}}}", item(3, "a", &large));
    service.refused("POST /new_pings", &one, (413, "0x8004418a", "2 MB")).await;
}

#[tokio::test]
async fn targets_may_belong_to_different_partitions_and_keys_may_be_bound() {
    let service = with_pings().await;
    let key = r#"{"SchemaName":"new_NumberKey","KeyAttributes":["accountnumber"],"DisplayName":{"LocalizedLabels":[{"Label":"Number","LanguageCode":1033}]}}"#;
    service.ok("POST /EntityDefinitions(LogicalName='account')/Keys", key).await;
    service.ok("POST /accounts", r#"{"name":"Holder","accountnumber":"A-1"}"#).await;
    let bind = |number: &str| {
        format!(r#","new_Toaccount@odata.bind":"/accounts(accountnumber='{number}')""#)
    };
    let items =
        [item(1, "a", &bind("A-1")), item(2, "b", &bind("a-1")), item(3, "c", &bind("A-9"))];
    let got = partly(&service, "CreateMultiple", &items).await;
    assert_eq!(statuses(&got), [201, 201, 400]);
    let rows = service.ok("GET /new_pings?$select=_new_toaccount_value", "").await;
    let links = rows.column("_new_toaccount_value");
    assert!(links.len() == 2 && links[0] == links[1] && links[0].len() == 36, "{links:?}");
}
