//! Single records: create, read, change, delete, and the conditions of the head.

use crate::service::{ORIGIN, ROOT, Service};

const ABSENT: &str = "11111111-2222-4333-8444-555555555501";

async fn crate_of(service: &Service, body: &str) -> String {
    service.ok("POST /new_crates", body).await.id().to_string()
}

#[tokio::test]
async fn a_created_record_reads_back() {
    let service = Service::with_crates().await;
    let made = service
        .send(
            "POST /new_crates\nContent-Type: application/json; charset=utf-8\nIf-None-Match: null",
            r#"{"new_label":"Crate A","new_weight":12,"new_price":1.50,"new_trackingno":"T-1"}"#,
        )
        .await;
    assert_eq!((made.status.as_u16(), &*made.text), (204, ""));
    let id = made.id();
    let address = format!("{ORIGIN}{ROOT}/new_crates({id})");
    assert_eq!(made.header("odata-entityid"), address);
    assert_eq!(made.header("location"), address);
    let got = service
        .ok(&format!("GET /new_crates({id})?$select=new_label,new_price,_new_holder_value"), "")
        .await;
    let etag = got.json["@odata.etag"].as_str().expect("an etag").to_owned();
    assert_eq!(got.header("etag"), etag);
    assert_eq!(
        got.json,
        serde_json::json!({
            "@odata.context": format!(
                "{ORIGIN}{ROOT}/$metadata#new_crates(new_label,new_price,_new_holder_value)/$entity"
            ),
            "@odata.etag": etag,
            "new_label": "Crate A",
            "new_price": serde_json::from_str::<serde_json::Value>("1.5").expect("number"),
            "_new_holder_value": null,
            "new_crateid": id.to_string(),
        })
    );
}

#[tokio::test]
async fn a_representation_is_given_when_asked_for() {
    let service = Service::with_crates().await;
    let prefer = "Prefer: return=representation,odata.include-annotations=\"*\"";
    let made = service
        .send(
            &format!("POST /new_crates?$select=new_color\n{prefer}"),
            r#"{"new_label":"A","new_color":2}"#,
        )
        .await;
    assert_eq!(made.status, 201);
    assert_eq!(
        made.header("preference-applied"),
        "return=representation, odata.include-annotations=\"*\""
    );
    let formatted = &made.json["new_color@OData.Community.Display.V1.FormattedValue"];
    assert_eq!(formatted, "Blue");
    let id = made.json["new_crateid"].as_str().expect("key").to_owned();
    let path = format!("/new_crates({id})");
    let changed = service.send(&format!("PATCH {path}\n{prefer}"), r#"{"new_weight":3}"#).await;
    assert_eq!((changed.status.as_u16(), &changed.json["new_weight"]), (200, &3.into()));
    let upserted = service
        .send(&format!("PATCH /new_crates({ABSENT})\n{prefer}"), r#"{"new_label":"N"}"#)
        .await;
    assert_eq!((upserted.status.as_u16(), &upserted.json["new_label"]), (201, &"N".into()));
    let bad = format!("POST /new_crates?$select=nope\n{prefer}");
    service.refused(&bad, r#"{"new_label":"never"}"#, (400, "0x80060888", "'nope'")).await;
    let labels = service.ok("GET /new_crates?$select=new_label", "").await.column("new_label");
    assert!(!labels.contains(&"never".to_owned()), "{labels:?}");
}

/// One row of the matrix of bulk.md 3.2, against a record that exists and one that does not.
async fn check_matrix(head: &str, exists: (u16, &str), absent: (u16, &str)) {
    let service = Service::with_crates().await;
    let id = crate_of(&service, r#"{"new_label":"A"}"#).await;
    let etag = service.ok(&format!("GET /new_crates({id})"), "").await.header("etag").to_owned();
    for (id, want) in [(id.as_str(), exists), (ABSENT, absent)] {
        let (verb, condition) = head.split_once('\n').unwrap_or((head, ""));
        let condition = condition.replace("CURRENT", &etag);
        let head = format!("{verb} /new_crates({id})\n{condition}");
        let body = if verb == "DELETE" { "" } else { r#"{"new_weight":1}"# };
        let answer = service.send(head.trim_end(), body).await;
        let code = answer.json["error"]["code"].as_str().unwrap_or("");
        assert_eq!((answer.status.as_u16(), code), want, "{head}: {}", answer.text);
    }
}

#[tokio::test]
async fn conditions_of_the_head_follow_the_matrix() {
    let (done, gone, stale) = ((204, ""), (404, "0x80040217"), (412, "0x80060882"));
    check_matrix("PATCH", done, done).await;
    check_matrix("PATCH\nIf-None-Match: null", done, done).await;
    check_matrix("PUT", done, done).await;
    check_matrix("PATCH\nIf-Match: *", done, gone).await;
    check_matrix("PATCH\nIf-Match: CURRENT", done, gone).await;
    check_matrix("PATCH\nIf-Match: W/\"1\"", stale, gone).await;
    check_matrix("PATCH\nIf-Match: nonsense", stale, gone).await;
    check_matrix("PATCH\nIf-None-Match: *", (412, "0x80040237"), done).await;
    check_matrix("PATCH\nIf-Match: *\nIf-None-Match: *", stale, gone).await;
    check_matrix("PATCH\nIf-Match:", (400, "0x80060883"), (400, "0x80060883")).await;
    check_matrix("DELETE", done, gone).await;
    check_matrix("DELETE\nIf-Match: *", done, gone).await;
    check_matrix("DELETE\nIf-Match: CURRENT", done, gone).await;
    check_matrix("DELETE\nIf-Match: W/\"1\"", stale, gone).await;
}

#[tokio::test]
async fn an_unchanged_record_is_not_sent_again() {
    let service = Service::with_crates().await;
    let id = crate_of(&service, r#"{"new_label":"A"}"#).await;
    let path = format!("GET /new_crates({id})");
    let etag = service.ok(&path, "").await.header("etag").to_owned();
    let again = service.send(&format!("{path}\nIf-None-Match: {etag}"), "").await;
    assert_eq!((again.status.as_u16(), &*again.text), (304, ""));
    let annotated = format!("{path}\nIf-None-Match: {etag}\nPrefer: odata.include-annotations=*");
    assert_eq!(service.send(&annotated, "").await.status, 200);
    service.ok(&format!("PATCH /new_crates({id})"), "{}").await;
    let changed = service.send(&format!("{path}\nIf-None-Match: {etag}"), "").await;
    assert_eq!(changed.status, 200);
    assert_eq!(service.send(&format!("{path}\nIf-None-Match: null"), "").await.status, 200);
}

#[tokio::test]
async fn records_are_addressed_by_alternate_key() {
    let service = Service::with_crates().await;
    let by_key = "/new_crates(new_trackingno='T%2F1''s')";
    let made = service.send(&format!("PATCH {by_key}"), r#"{"new_weight":1}"#).await;
    assert_eq!(made.status, 204);
    assert!(made.header("odata-entityid").contains("new_crates(new_trackingno="));
    let got = service.ok(&format!("GET {by_key}?$select=new_weight,new_trackingno"), "").await;
    assert_eq!(got.json["new_trackingno"], "T/1's");
    let update = format!("PATCH {by_key}\nIf-Match: *");
    service.ok(&update, r#"{"new_weight":2,"new_trackingno":"other"}"#).await;
    let got = service.ok("GET /new_crates(new_trackingno='t/1''s')", "").await;
    assert_eq!(got.json["new_weight"], 2);
    let absent = "/new_crates(new_trackingno='none')";
    service.refused(&format!("GET {absent}"), "", (404, "0x80060891", "new_crate")).await;
    service.refused(&format!("PATCH {absent}\nIf-Match: *"), "{}", (404, "0x80060891", "")).await;
    let wrong = "GET /new_crates(new_label='x')";
    service.refused(wrong, "", (400, "0x80060888", "The key in the request URI")).await;
    assert_eq!(service.send(&format!("DELETE {by_key}"), "").await.status, 204);
}

#[tokio::test]
async fn a_second_record_with_a_key_that_exists_is_refused() {
    let service = Service::with_crates().await;
    let id = crate_of(&service, r#"{"new_trackingno":"T-1"}"#).await;
    let same = format!(r#"{{"new_crateid":"{id}"}}"#);
    service.refused("POST /new_crates", &same, (412, "0x80040237", "matching key values")).await;
    service
        .refused(
            "POST /new_crates",
            r#"{"new_trackingno":"t-1 "}"#,
            (412, "0x80060892", "Tracking"),
        )
        .await;
    let other = format!(r#"{{"new_crateid":"{ABSENT}"}}"#);
    let path = format!("PATCH /new_crates({id})");
    service.refused(&path, &other, (400, "0x80040203", "primary key")).await;
    service.ok(&path, &same).await;
}

#[tokio::test]
async fn lookups_are_bound_and_named() {
    let service = Service::with_crates().await;
    let account = service.ok("POST /accounts", r#"{"name":"Holder One"}"#).await.id();
    let body = format!(r#"{{"new_label":"A","new_Holder@odata.bind":"/accounts({account})"}}"#);
    let id = crate_of(&service, &body).await;
    let got = service
        .ok(
            &format!(
                "GET /new_crates({id})?$select=_new_holder_value\nPrefer: odata.include-annotations=\"*\""
            ),
            "",
        )
        .await;
    assert_eq!(got.json["_new_holder_value"], account.to_string());
    let named = &got.json["_new_holder_value@OData.Community.Display.V1.FormattedValue"];
    assert_eq!(named, "Holder One");
    let delete = format!("DELETE /accounts({account})");
    service.refused(&delete, "", (405, "0x80040227", "associated")).await;
    let dangling = format!(r#"{{"new_Holder@odata.bind":"/accounts({ABSENT})"}}"#);
    service.refused("POST /new_crates", &dangling, (404, "0x80040217", "account With Id")).await;
}

#[tokio::test]
async fn single_values_have_addresses() {
    let service = Service::with_crates().await;
    let id = crate_of(&service, r#"{"new_label":"A","new_weight":7}"#).await;
    let got = service.ok(&format!("GET /new_crates({id})/new_label"), "").await;
    let context = format!("{ORIGIN}{ROOT}/$metadata#new_crates({id})/new_label");
    assert_eq!(got.json, serde_json::json!({"@odata.context": context, "value": "A"}));
    let raw = service.ok(&format!("GET /new_crates({id})/new_weight/$value"), "").await;
    assert_eq!((&*raw.text, raw.header("content-type")), ("7", "text/plain; charset=utf-8"));
    service.ok(&format!("PUT /new_crates({id})/new_label"), r#"{"value":"B"}"#).await;
    let got = service.ok(&format!("GET /new_crates({id})/new_label/$value"), "").await;
    assert_eq!(got.text, "B");
    service.ok(&format!("DELETE /new_crates({id})/new_label"), "").await;
    let empty = service.send(&format!("GET /new_crates({id})/new_label"), "").await;
    assert_eq!((empty.status.as_u16(), &*empty.text), (204, ""));
    let absent = format!("GET /new_crates({ABSENT})/new_label");
    service.refused(&absent, "", (404, "0x80040217", "")).await;
    let put = format!("PUT /new_crates({id})/new_weight");
    service.refused(&put, r#"{"value":"heavy"}"#, (400, "0x80048d19", "heavy")).await;
    service.refused(&put, "[]", (400, "0x80048d19", "")).await;
}
