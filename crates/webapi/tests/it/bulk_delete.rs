//! The body of `BulkDelete`, and the rows that it makes. Running jobs is tested in `jobs` and `server`.

use crate::service::Service;

/// A body with its members as given; `{query}` stands for one query.
fn body(members: &str) -> String {
    let query = r#"{"@odata.type":"Microsoft.Dynamics.CRM.QueryExpression","EntityName":"new_crate",
        "ColumnSet":{"@odata.type":"Microsoft.Dynamics.CRM.ColumnSet","AllColumns":false,"Columns":["new_crateid"]},
        "Criteria":{"@odata.type":"Microsoft.Dynamics.CRM.FilterExpression","FilterOperator":"And",
        "Conditions":[{"@odata.type":"Microsoft.Dynamics.CRM.ConditionExpression","EntityName":"new_crate",
        "AttributeName":"new_weight","Operator":"LessThan","Values":[{"Value":"5","Type":"System.Int32"}]}]}}"#;
    members.replace("{query}", query)
}

const PLAIN: &str = r#"{"JobName":"Purge","SendEmailNotification":false,"ToRecipients":[],"CCRecipients":[],"RecurrencePattern":"","StartDateTime":"2020-05-01T02:00:00+02:00","QuerySet":[{query}],"Options":{"CanRecoverDeletedRecords":false,"RunJobForSandbox":false},"RunNow":false,"SourceImportId":"00000000-0000-0000-0000-000000000007"}"#;

#[tokio::test]
async fn a_job_is_two_rows_with_one_stage() {
    let service = Service::with_crates().await;
    let answer = service.ok("POST /BulkDelete", &body(PLAIN)).await;
    let context = answer.json["@odata.context"].as_str().expect("a context");
    assert!(context.ends_with("$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse"), "{context}");
    let id = answer.json["JobId"].as_str().expect("an id").to_owned();
    let path = format!("GET /asyncoperations({id})");
    let job = service.ok(&path, "").await.json;
    assert_eq!(job["name"], "Purge");
    assert_eq!((&job["statecode"], &job["statuscode"]), (&0.into(), &0.into()));
    assert_eq!((&job["operationtype"], &job["messagename"]), (&13.into(), &"BulkDelete".into()));
    let path = format!("GET /bulkdeleteoperations?$filter=_asyncoperationid_value eq {id}");
    let details = service.ok(&path, "").await.json;
    let detail = &details["value"][0];
    assert_eq!((&detail["successcount"], &detail["failurecount"]), (&0.into(), &0.into()));
    assert_eq!((&detail["statecode"], &detail["isrecurring"]), (&0.into(), &false.into()));
    assert_eq!(
        detail["orderedquerysetxml"],
        r#"<fetch><entity name="new_crate"><filter type="and"><condition attribute="new_weight" operator="lt"><value>5</value></condition></filter></entity></fetch>"#
    );
}

#[tokio::test]
async fn a_future_start_waits_and_a_job_takes_only_documented_changes() {
    let service = Service::with_crates().await;
    let later = PLAIN.replace("2020-05-01", "2090-05-01");
    let answer = service.ok("POST /BulkDelete", &body(&later)).await;
    let id = answer.json["JobId"].as_str().expect("an id").to_owned();
    let get = format!("GET /asyncoperations({id})?$select=statecode,statuscode,postponeuntil");
    let patch = format!("PATCH /asyncoperations({id})");
    let job = service.ok(&get, "").await.json;
    assert_eq!((&job["statecode"], &job["statuscode"]), (&1.into(), &10.into()));
    assert_eq!(job["postponeuntil"], "2090-05-01T00:00:00Z");
    let refused = (405, "0x8004023b", "");
    service.refused(&patch, r#"{"name":"mine"}"#, refused).await;
    service.refused(&patch, r#"{"statecode":3,"statuscode":30}"#, refused).await;
    service.refused(&patch, r#"{"statecode":2}"#, refused).await;
    service.ok(&patch, r#"{"postponeuntil":"2091-01-01T00:00:00Z"}"#).await;
    service.ok(&patch, r#"{"statecode":0}"#).await;
    let job = service.ok(&get, "").await.json;
    assert_eq!((&job["statecode"], &job["postponeuntil"]), (&0.into(), &serde_json::Value::Null));
    service.ok(&patch, r#"{"statecode":3,"statuscode":32}"#).await;
    service.refused(&patch, r#"{"statecode":0}"#, refused).await;
    service.ok(&format!("DELETE /asyncoperations({id})"), "").await;
    service.refused(&get, "", (404, "0x80040217", "")).await;
    service.refused("POST /asyncoperations", r#"{"name":"mine"}"#, (405, "0x80040315", "")).await;
}

#[tokio::test]
async fn required_members_are_named() {
    let service = Service::with_crates().await;
    let members = [
        "JobName",
        "SendEmailNotification",
        "ToRecipients",
        "CCRecipients",
        "RecurrencePattern",
        "QuerySet",
    ];
    for name in members {
        let mut json: serde_json::Value = serde_json::from_str(&body(PLAIN)).expect("JSON");
        json.as_object_mut().expect("an object").remove(name);
        let want = format!("Required field '{name}' is missing");
        let wanted = (400, "0x80040203", want.as_str());
        service.refused("POST /BulkDelete", &json.to_string(), wanted).await;
    }
    let none = PLAIN.replace("{query}", "");
    service.refused("POST /BulkDelete", &none, (400, "0x80040203", "at least one")).await;
}

#[tokio::test]
async fn what_cannot_be_understood_or_is_not_there_is_refused_by_name() {
    let service = Service::with_crates().await;
    let cases: [(&str, &str, (u16, &str, &str)); 21] = [
        ("\"RunNow\"", "\"RunLater\"", (400, "0x80048d19", "RunLater")),
        ("\"Purge\"", "\"\"", (400, "0x80040203", "JobName")),
        (
            "\"RecurrencePattern\":\"\"",
            "\"RecurrencePattern\":\"FREQ=WEEKLY;\"",
            (400, "0x8004d2a0", ""),
        ),
        (
            "\"RecurrencePattern\":\"\"",
            "\"RecurrencePattern\":\"FREQ=DAILY;INTERVAL=400\"",
            (400, "0x8004d2a1", ""),
        ),
        ("\"RecurrencePattern\":\"\"", "\"RecurrencePattern\":\"daily\"", (400, "0x8004e100", "")),
        ("2020-05-01T02", "tomorrow", (400, "0x80048d19", "StartDateTime")),
        ("0000-000000000007", "x", (400, "0x80048d19", "SourceImportId")),
        (
            "\"CanRecoverDeletedRecords\":false",
            "\"CanRecoverDeletedRecords\":true",
            (501, "0x80040219", "CanRecover"),
        ),
        (
            "\"SendEmailNotification\":false,\"ToRecipients\":[]",
            "\"SendEmailNotification\":true,\"ToRecipients\":[{\"@odata.type\":\"Microsoft.Dynamics.CRM.systemuser\",\"systemuserid\":\"00000000-0000-0000-0000-000000000007\"}]",
            (501, "0x80040219", "SendEmailNotification"),
        ),
        (
            "\"EntityName\":\"new_crate\"",
            "\"EntityName\":\"new_box\"",
            (400, "0x80041102", "new_box"),
        ),
        ("\"EntityName\":\"new_crate\"", "\"EntityName\":\"systemuser\"", (400, "0x80041103", "")),
        ("new_weight", "new_length", (400, "0x80041103", "new_length")),
        ("LessThan", "RatherLess", (400, "0x80048415", "RatherLess")),
        ("LessThan", "LastXDays", (400, "0x80060888", "LastXDays")),
        ("LessThan", "Mask", (501, "0x80040219", "Mask")),
        ("LessThan", "Between", (400, "0x80040203", "Between")),
        ("System.Int32", "System.Object", (501, "0x80040219", "System.Object")),
        (
            "{\"Value\":\"5\",\"Type\":\"System.Int32\"}",
            "{\"Type\":\"System.Int32\"}",
            (400, "0x80048d19", "Value"),
        ),
        (
            "\"Criteria\":",
            "\"LinkEntities\":[{\"LinkToEntityName\":\"account\"}],\"Criteria\":",
            (501, "0x80040219", "LinkEntities"),
        ),
        ("\"Criteria\":", "\"TopCount\":5,\"Criteria\":", (501, "0x80040219", "TopCount")),
        (
            "\"Criteria\":",
            "\"DataSource\":\"retained\",\"Criteria\":",
            (501, "0x80040219", "retained"),
        ),
    ];
    for (from, to, want) in cases {
        let body = body(PLAIN).replace(from, to);
        assert_ne!(body, self::body(PLAIN), "{from}");
        service.refused("POST /BulkDelete", &body, want).await;
    }
    let kept = r#"[{"EntityName":"systemuser"}]"#;
    let kept = PLAIN.replace("[{query}]", kept);
    service.refused("POST /BulkDelete", &kept, (405, "0x80040315", "systemuser")).await;
    service.refused("POST /BulkDelete", "{", (400, "0x80048d19", "")).await;
    service.refused("PUT /BulkDelete", "{}", (405, "0x80060888", "")).await;
    assert_eq!(service.ok("GET /asyncoperations", "").await.json["value"], serde_json::json!([]));
}

#[tokio::test]
async fn empty_members_and_options_that_ask_for_nothing_are_accepted() {
    let service = Service::with_crates().await;
    let everything = PLAIN.replace("[{query}]", r#"[{"EntityName":"new_crate","Criteria":null,"LinkEntities":[],"Orders":[{"AttributeName":"new_label","OrderType":"Ascending"}],"Distinct":false,"NoLock":true,"TopCount":null,"PageInfo":{"PageNumber":1,"Count":0},"DataSource":null}]"#);
    let everything =
        everything.replace("\"SendEmailNotification\":false", "\"SendEmailNotification\":true");
    service.ok("POST /Microsoft.Dynamics.CRM.BulkDelete", &everything).await;
}
