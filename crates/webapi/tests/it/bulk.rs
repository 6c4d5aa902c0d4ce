//! The four bulk actions.

use crate::service::{Answer, ORIGIN, ROOT, Service};

const TYPE: &str = r#""@odata.type":"Microsoft.Dynamics.CRM.new_crate""#;

/// A body whose items are these, each with its type.
fn targets(items: &[&str]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| match item.is_empty() {
            true => format!("{{{TYPE}}}"),
            false => format!("{{{TYPE},{item}}}"),
        })
        .collect();
    format!(r#"{{"Targets":[{}]}}"#, items.join(","))
}

fn action(name: &str) -> String {
    format!("POST /new_crates/Microsoft.Dynamics.CRM.{name}")
}

async fn labels(service: &Service) -> Vec<String> {
    let page = service.ok("GET /new_crates?$select=new_label&$orderby=new_label", "").await;
    page.column("new_label")
}

fn ids(answer: &Answer) -> Vec<String> {
    let ids = answer.json["Ids"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    ids.iter().map(|id| id.as_str().expect("text").to_owned()).collect()
}

const SECOND: &str = "11111111-2222-4333-8444-555555555501";

async fn three(service: &Service) -> Vec<String> {
    let given = format!(r#""new_label":"b","new_crateid":"{SECOND}""#);
    let body = targets(&[r#""new_label":"a""#, &given, r#""new_label":"c""#]);
    ids(&service.ok(&action("CreateMultiple"), &body).await)
}

#[tokio::test]
async fn create_multiple_answers_ids_in_order() {
    let service = Service::with_crates().await;
    let body = targets(&[r#""new_label":"a""#, r#""new_label":"b""#]);
    let made = service.send(&action("CreateMultiple"), &body).await;
    assert_eq!(made.status, 200);
    let context = format!("{ORIGIN}{ROOT}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse");
    assert_eq!(made.json["@odata.context"], context);
    let ids = ids(&made);
    assert_eq!(ids.len(), 2);
    for (id, label) in ids.iter().zip(["a", "b"]) {
        let got = service.ok(&format!("GET /new_crates({id})?$select=new_label"), "").await;
        assert_eq!(got.json["new_label"], label);
    }
}

#[tokio::test]
async fn update_multiple_changes_all_or_none() {
    let service = Service::with_crates().await;
    let ids = three(&service).await;
    let item = |id: &str, label: &str| format!(r#""new_crateid":"{id}","new_label":"{label}""#);
    let twice = [item(&ids[0], "x"), item(&ids[0], "y")];
    let body = targets(&twice.each_ref().map(String::as_str));
    assert_eq!(service.send(&action("UpdateMultiple"), &body).await.status, 204);
    assert_eq!(labels(&service).await, ["b", "c", "x"]);
    let missing = "99999999-2222-4333-8444-555555555501";
    let items = [item(&ids[1], "never"), item(missing, "never")];
    let body = targets(&items.each_ref().map(String::as_str));
    let want = (404, "0x80040217", "new_crate With Ids = 99999999");
    service.refused(&action("UpdateMultiple"), &body, want).await;
    assert_eq!(labels(&service).await, ["b", "c", "x"]);
}

#[tokio::test]
async fn upsert_multiple_makes_and_changes() {
    let service = Service::with_crates().await;
    three(&service).await;
    let given = format!(r#""new_crateid":"{SECOND}","new_label":"B""#);
    let body = targets(&[
        &given,
        r#""@odata.id":"new_crates(new_trackingno='T-1')","new_label":"d""#,
        r#""new_label":"e""#,
    ]);
    let answer = service.send(&action("UpsertMultiple"), &body).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (204, ""));
    assert_eq!(labels(&service).await, ["a", "B", "c", "d", "e"]);
    let twice = targets(&[&given, &given]);
    service.refused(&action("UpsertMultiple"), &twice, (400, "0x80040203", "Duplicate")).await;
    let quirk = |number: &str| {
        targets(&[&format!(
            r#""@odata.id":"new_crates(new_trackingno='{number}')","new_trackingno":"{number}""#
        )])
    };
    service.refused(&action("UpsertMultiple"), &quirk("T-9"), (400, "0x80040216", "")).await;
    service.ok(&action("UpsertMultiple"), &quirk("T-1")).await;
}

#[tokio::test]
async fn delete_multiple_is_not_there_for_standard_tables() {
    let service = Service::with_crates().await;
    let ids = three(&service).await;
    let body = targets(&[&format!(r#""new_crateid":"{}""#, ids[0])]);
    let want = (501, "0x80040219", "DeleteMultiple has not yet been implemented.");
    service.refused(&action("DeleteMultiple"), &body, want).await;
}

#[tokio::test]
async fn versions_of_targets_are_compared_as_asked() {
    let service = Service::with_crates().await;
    let ids = three(&service).await;
    let body = |behavior: &str, etag: &str| {
        let item = format!(r#"{{{TYPE},"new_crateid":"{}"{etag},"new_weight":1}}"#, ids[0]);
        format!(r#"{{{behavior}"Targets":[{item}]}}"#)
    };
    let stale = r#","@odata.etag":"W/\"1\"""#;
    let matches = r#""ConcurrencyBehavior":"IfRowVersionMatches","#;
    let update = action("UpdateMultiple");
    service.refused(&update, &body("", stale), (412, "0x80060882", "Targets[0]")).await;
    service.refused(&update, &body(matches, ""), (400, "0x80060883", "RowVersion")).await;
    service.refused(&update, &body(matches, stale), (412, "0x80060882", "")).await;
    service.ok(&update, &body(r#""ConcurrencyBehavior":"AlwaysOverwrite","#, stale)).await;
    service.ok(&action("UpsertMultiple"), &body("", stale)).await;
    let want = (400, "0x80048d19", "ConcurrencyBehavior");
    service.refused(&action("UpsertMultiple"), &body(matches, stale), want).await;
}

#[tokio::test]
async fn payload_errors_have_the_documented_codes() {
    let service = Service::with_crates().await;
    let create = action("CreateMultiple");
    let payload = "0x80048d19";
    for (body, want) in [
        ("", (400, payload, "Error identified in Payload")),
        ("[]", (400, payload, "Error identified in Payload")),
        ("{}", (400, "0x80040203", "Required field 'Targets' is missing")),
        (r#"{"Targets":null}"#, (400, "0x80040203", "Required field 'Targets' is missing")),
        (r#"{"Targets":1}"#, (400, payload, "")),
        (r#"{"Targets":[1]}"#, (400, payload, "")),
        (r#"{"Targets":[]}"#, (400, "0x80040216", "cannot be null or empty")),
        (r#"{"Targets":[{"new_label":"a"}]}"#, (400, payload, "item 0 of 'Targets'")),
        (
            r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.nope"}]}"#,
            (400, "0x80041102", "nope"),
        ),
        (
            r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account"}]}"#,
            (400, "0x80040203", "account"),
        ),
    ] {
        service.refused(&create, body, want).await;
    }
    let bad = |item: &str| targets(&[r#""new_label":"fine""#, item]);
    for (item, want) in [
        (r#""nope":1"#, (400, payload, "[Targets[1].nope]")),
        (r#""nope@odata.bind":"/accounts(1)""#, (400, payload, "undeclared property 'nope'")),
        (r#""new_weight":"heavy""#, (400, payload, "'heavy'")),
        (r#""new_weight":5000"#, (400, "0x8004432f", "[Targets[1].new_weight]")),
        (r#""new_color":9"#, (400, "0x8004431a", "[Targets[1].new_color]")),
        (
            r#""new_Holder":{"name":"x"}"#,
            (400, "0x80040203", "Deep insert is not supported in CreateMultiple"),
        ),
    ] {
        service.refused(&create, &bad(item), want).await;
    }
    service.refused(&action("UpsertMultiple"), "{}", (400, "0x80040203", "UpsertMultiple")).await;
    let update = action("UpdateMultiple");
    let nameless = targets(&[r#""new_weight":1"#]);
    service.refused(&update, &nameless, (404, "0x80040217", "Entity Id must be specified")).await;
    let by_key = targets(&[r#""@odata.id":"new_crates(new_trackingno='T-1')","new_weight":1"#]);
    service.refused(&update, &by_key, (404, "0x80040217", "Entity Id must be specified")).await;
    assert_eq!(labels(&service).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_failing_target_is_listed_when_asked_for() {
    let service = Service::with_crates().await;
    let ids = three(&service).await;
    let dup = |id: &str| format!(r#""new_crateid":"{id}""#);
    let items = [dup(&ids[1]), r#""new_label":"new""#.to_owned(), dup(&ids[2])];
    let body = targets(&items.each_ref().map(String::as_str));
    let head = format!("{}\nPrefer: odata.include-annotations=\"*\"", action("CreateMultiple"));
    let answer = service.send(&head, &body).await;
    assert_eq!(answer.status, 412);
    let error = &answer.json["error"];
    let text = error["message"].as_str().expect("text");
    assert_eq!(text, "A record with matching key values already exists. [Targets[0].new_crateid]");
    let detail = |name: &str| &error[format!("@Microsoft.PowerApps.CDS.ErrorDetails.{name}")];
    assert_eq!(detail("failedRecordIndex"), "0");
    assert_eq!(detail("failedRecordId"), SECOND);
    assert_eq!(detail("ApiExceptionHttpStatusCode"), "412");
    assert_eq!(detail("ApiExceptionMessageName"), "DuplicateRecord");
    let inner = &error["@Microsoft.PowerApps.CDS.InnerError.Message"];
    assert_eq!(inner, "Cannot insert duplicate key.");
    let list: serde_json::Value =
        serde_json::from_str(error["@Sheaf.Failures"].as_str().expect("a list")).expect("JSON");
    let indexes: Vec<_> = list.as_array().expect("list").iter().map(|one| &one["index"]).collect();
    assert_eq!(indexes, [0, 2]);
    let bare = service.send(&action("CreateMultiple"), &body).await;
    let names: Vec<_> = bare.json["error"].as_object().expect("error").keys().cloned().collect();
    assert_eq!(names, ["code", "message"]);
}
