//! Single records of elastic tables, and queries over them.
//!
//! Source: bulk.md 7.2 to 7.10 and conformance check 7.

use crate::elastic_definitions::with_pings;
use crate::service::{Answer, ORIGIN, ROOT, Service};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use model::{Timestamp, Uuid};
use webapi::Incoming;

const ID: &str = "9a111111-0000-4000-8000-000000000001";
const NOW: i64 = 1_700_000_000;

fn at(partition: &str) -> String {
    format!("/new_pings(new_pingid={ID},partitionid='{partition}')")
}

fn body(more: &str) -> String {
    format!(r#"{{"new_pingid":"{ID}","new_source":"Humidity"{more}}}"#)
}

async fn values(service: &Service, path: &str) -> Vec<String> {
    service.ok(&format!("GET {path}"), "").await.column("new_value")
}

/// A request at another time than that of all others.
async fn later(service: &Service, seconds: i64, line: &str, body: &str) -> Answer {
    let (method, path) = line.split_once(' ').expect("a verb and a path");
    let mut headers = HeaderMap::new();
    if method == "PATCH" {
        headers.insert("if-match", HeaderValue::from_static("*"));
    }
    let incoming = Incoming {
        method: Method::from_bytes(method.as_bytes()).expect("a verb"),
        target: format!("{ROOT}{path}"),
        headers,
        body: Bytes::from(body.to_owned()),
        origin: ORIGIN.to_owned(),
        caller: service.pipeline.organization().caller(),
        now: Timestamp(NOW + seconds),
        request_id: Uuid::from_u128(1),
    };
    Answer::of(service.api.handle(incoming).await)
}

#[tokio::test]
async fn a_create_answers_the_address_with_partition_and_a_session_token() {
    let service = with_pings().await;
    let made =
        service.ok("POST /new_pings", &body(r#","partitionid":"dev-7","new_value":40"#)).await;
    assert_eq!(made.status, 204);
    let address = format!("{ORIGIN}{ROOT}{}", at("dev-7"));
    assert_eq!(made.header("odata-entityid"), address);
    assert_eq!(made.header("location"), address);
    assert!(!made.header("x-ms-session-token").is_empty());
    let plain = service.ok("POST /new_pings", &body("")).await;
    assert_eq!(plain.header("odata-entityid"), format!("{ORIGIN}{ROOT}/new_pings({ID})"));
    let token = |answer: &Answer| answer.header("x-ms-session-token").to_owned();
    assert_ne!(token(&made), token(&plain));
    let read = format!("GET {}\nMSCRM.SessionToken: {}", at("dev-7"), token(&plain));
    assert!(service.ok(&read, "").await.header("x-ms-session-token").is_empty());
    let strange = format!("GET {}\nMSCRM.SessionToken: what?", at("dev-7"));
    service.ok(&strange, "").await;
}

#[tokio::test]
async fn a_row_always_carries_key_version_partition_and_owner() {
    let service = with_pings().await;
    service.ok("POST /new_pings", &body(r#","partitionid":"dev-7","new_value":40"#)).await;
    let row = service.ok(&format!("GET {}?$select=new_value", at("dev-7")), "").await;
    let mut names: Vec<_> = row.json.as_object().expect("a record").keys().cloned().collect();
    names.sort_unstable();
    let want = [
        "@odata.context",
        "@odata.etag",
        "_ownerid_value",
        "_owningbusinessunit_value",
        "new_pingid",
        "new_value",
        "partitionid",
        "versionnumber",
    ];
    assert_eq!(names, want);
    let context = format!("{ORIGIN}{ROOT}/$metadata#new_pings(new_value)/$entity");
    assert_eq!(row.json["@odata.context"], context);
    assert_eq!(row.json["@odata.etag"], row.header("etag"));
    let tag = row.header("etag").strip_prefix("W/\"").and_then(|tag| tag.strip_suffix('"'));
    assert!(tag.is_some_and(|tag| tag.len() == 36 && Uuid::try_parse(tag).is_ok()), "{tag:?}");
    let ticks = row.json["versionnumber"].as_i64().expect("a number");
    assert!(ticks >= (NOW + 62_135_596_800) * 10_000_000, "{ticks}");
    let page = service.ok("GET /new_pings?$select=new_value", "").await;
    assert_eq!(page.column("partitionid"), ["dev-7"]);
    let etags = page.column("@odata.etag");
    assert_eq!(etags, [row.header("etag")]);
}

#[tokio::test]
async fn the_same_key_may_exist_once_per_partition() {
    let service = with_pings().await;
    for (partition, value) in [("a", 1), ("b", 2)] {
        let more = format!(r#","partitionid":"{partition}","new_value":{value}"#);
        service.ok("POST /new_pings", &body(&more)).await;
        let exists = (412, "0x80040237", "A record with matching key values already exists.");
        service.refused("POST /new_pings", &body(&more), exists).await;
    }
    let gone = (404, "0x80040217", "new_ping With Id = ");
    service.refused(&format!("GET /new_pings({ID})"), "", gone).await;
    for (query, want) in [("partitionId=b", 2), ("partitionId='b'", 2), ("partitionId=a", 1)] {
        let row = service.ok(&format!("GET /new_pings({ID})?{query}"), "").await;
        assert_eq!(row.json["new_value"], want, "{query}");
    }
    let key_wins = service.ok(&format!("GET {}?partitionId=b", at("a")), "").await;
    assert_eq!(key_wins.json["new_value"], 1);
    let other = format!("GET /new_pings(new_pingid={ID},partitionId='b')");
    assert_eq!(service.ok(&other, "").await.json["new_value"], 2);
    let nowhere = (404, "0x80060891", "A record with the specified key values");
    service.refused(&format!("GET {}", at("c")), "", nowhere).await;
    assert_eq!(values(&service, "/new_pings").await, ["1", "2"]);
    assert_eq!(values(&service, "/new_pings?partitionId=b").await, ["2"]);
    assert_eq!(values(&service, "/new_pings?$filter=partitionid%20eq%20'a'").await, ["1"]);
    assert_eq!(service.ok("GET /new_pings/$count?partitionId=a", "").await.text, "1");
    assert_eq!(service.ok("GET /new_pings/$count", "").await.text, "2");
}

#[tokio::test]
async fn without_a_partition_the_key_text_is_the_partition() {
    let service = with_pings().await;
    service.ok("POST /new_pings?partitionId=ignored", &body(r#","new_value":3"#)).await;
    let row = service.ok(&format!("GET /new_pings({ID})"), "").await;
    assert_eq!(row.json["partitionid"], serde_json::Value::Null);
    let row = service.ok(&format!("GET {}", at(ID)), "").await;
    assert_eq!(row.json["new_value"], 3);
}

#[tokio::test]
async fn partitions_are_short_and_free_of_reserved_characters() {
    let service = with_pings().await;
    let post = |partition: &str| body(&format!(r#","partitionid":"{partition}""#));
    service.ok("POST /new_pings", &post(&"x".repeat(1_024))).await;
    let long = (400, "0x80044331", "'partitionid'");
    service.refused("POST /new_pings", &post(&"x".repeat(1_025)), long).await;
    service.refused("POST /new_pings", &post(&"ü".repeat(513)), long).await;
    for character in ["/", "<", ">", "*", "%", "&", ":", "\\\\", "?", "+"] {
        let bad = (400, "0x80040278", "'partitionid'");
        service.refused("POST /new_pings", &post(&format!("a{character}b")), bad).await;
    }
}

#[tokio::test]
async fn a_patch_replaces_unless_it_says_if_match() {
    let service = with_pings().await;
    let more = r#","partitionid":"p","new_value":1,"ttlinseconds":60"#;
    service.ok("POST /new_pings", &body(more)).await;
    let before = service.ok(&format!("GET {}", at("p")), "").await.json;
    let merged = format!("PATCH {}\nIf-Match: *", at("p"));
    let answer = service.ok(&merged, r#"{"new_value":2}"#).await;
    assert_eq!(answer.header("odata-entityid"), format!("{ORIGIN}{ROOT}{}", at("p")));
    assert!(!answer.header("x-ms-session-token").is_empty());
    let row = service.ok(&format!("GET {}", at("p")), "").await.json;
    assert_eq!((&row["new_source"], &row["new_value"]), (&"Humidity".into(), &2.into()));
    assert_eq!(row["ttlinseconds"], 60);
    assert_ne!(row["@odata.etag"], before["@odata.etag"]);
    service.ok(&format!("PATCH {}?partitionId=ignored", at("p")), r#"{"new_value":3}"#).await;
    let row = service.ok(&format!("GET {}", at("p")), "").await.json;
    assert_eq!(row["new_value"], 3);
    for cleared in ["new_source", "ttlinseconds"] {
        assert!(row[cleared].is_null(), "{cleared}");
    }
    for kept in ["createdon", "_createdby_value", "_ownerid_value", "partitionid", "new_pingid"] {
        assert_eq!(row[kept], before[kept], "{kept}");
    }
    let never = format!("PATCH {}\nIf-None-Match: *", at("p"));
    service.refused(&never, "{}", (412, "0x80040237", "")).await;
    let missing = format!("PATCH {}\nIf-Match: *", at("q"));
    service.refused(&missing, "{}", (404, "0x80060891", "")).await;
    let by_id = format!("PATCH /new_pings({ID})\nIf-Match: *");
    service.refused(&by_id, "{}", (404, "0x80040217", "")).await;
    service.ok(&format!("PATCH {}", at("q")), r#"{"new_value":9}"#).await;
    assert_eq!(values(&service, "/new_pings?partitionId=q").await, ["9"]);
}

#[tokio::test]
async fn a_partition_in_the_body_of_a_patch_addresses_its_row() {
    let service = with_pings().await;
    service.ok("POST /new_pings", &body(r#","partitionid":"p","new_value":1"#)).await;
    let path = format!("PATCH /new_pings({ID})?partitionId=ignored");
    let answer = service.ok(&path, r#"{"partitionid":"q","new_value":2}"#).await;
    assert_eq!(answer.header("odata-entityid"), format!("{ORIGIN}{ROOT}{}", at("q")));
    let merge = format!("PATCH /new_pings({ID})\nIf-Match: *");
    service.ok(&merge, r#"{"partitionid":"p","new_value":5}"#).await;
    assert_eq!(values(&service, "/new_pings?$orderby=new_value").await, ["2", "5"]);
}

#[tokio::test]
async fn versions_are_compared_by_their_opaque_tags() {
    let service = with_pings().await;
    service.ok("POST /new_pings", &body(r#","partitionid":"p""#)).await;
    let first = service.ok(&format!("GET {}", at("p")), "").await.header("etag").to_owned();
    let patch = |tag: &str| format!("PATCH {}\nIf-Match: {tag}", at("p"));
    service.ok(&patch(&first), r#"{"new_value":1}"#).await;
    let stale = (412, "0x80060882", "The version of the existing record");
    service.refused(&patch(&first), r#"{"new_value":2}"#, stale).await;
    service.refused(&format!("DELETE {}\nIf-Match: {first}", at("p")), "", stale).await;
    let second = service.ok(&format!("GET {}", at("p")), "").await.header("etag").to_owned();
    let same = service.send(&format!("GET {}\nIf-None-Match: {second}", at("p")), "").await;
    assert_eq!(same.status, 304);
    service.ok(&format!("DELETE {}\nIf-Match: {second}", at("p")), "").await;
}

#[tokio::test]
async fn a_delete_takes_the_partition_as_key_or_parameter_and_tells_no_state() {
    let service = with_pings().await;
    for partition in ["a", "b"] {
        let more = format!(r#","partitionid":"{partition}""#);
        service.ok("POST /new_pings", &body(&more)).await;
    }
    let gone = (404, "0x80040217", "");
    service.refused(&format!("DELETE /new_pings({ID})"), "", gone).await;
    for path in [at("a"), format!("/new_pings({ID})?partitionId=b")] {
        let answer = service.ok(&format!("DELETE {path}"), "").await;
        assert_eq!((answer.status.as_u16(), answer.header("x-ms-session-token")), (204, ""));
    }
    assert_eq!(service.ok("GET /new_pings/$count", "").await.text, "0");
    service.refused(&format!("DELETE {}", at("a")), "", (404, "0x80060891", "")).await;
}

#[tokio::test]
async fn expired_rows_are_gone_and_updates_restart_the_clock() {
    let service = with_pings().await;
    service.ok("POST /new_pings", &body(r#","ttlinseconds":10,"new_value":1"#)).await;
    let read = format!("GET /new_pings({ID})");
    assert_eq!(later(&service, 9, &read, "").await.status, 200);
    let touched =
        later(&service, 9, &format!("PATCH /new_pings({ID})"), r#"{"new_value":2}"#).await;
    assert_eq!(touched.status, 204, "{}", touched.text);
    assert_eq!(later(&service, 18, &read, "").await.status, 200);
    assert_eq!(later(&service, 19, &read, "").await.status, 404);
    assert_eq!(later(&service, 19, "GET /new_pings/$count", "").await.text, "0");
    assert_eq!(
        later(&service, 20, "POST /new_pings", &body(r#","ttlinseconds":-1"#)).await.status,
        204
    );
    assert_eq!(later(&service, 2_000_000_000, &read, "").await.status, 200);
    for seconds in [0, -2] {
        let bad = body(&format!(r#","partitionid":"x","ttlinseconds":{seconds}"#));
        service.refused("POST /new_pings", &bad, (400, "0x8004432f", "ttlinseconds")).await;
    }
}

#[tokio::test]
async fn json_columns_take_json_text_only() {
    let service = with_pings().await;
    let text = r#"{\"power\":{\"volts\":[1,2]}}"#;
    service.ok("POST /new_pings", &body(&format!(r#","new_payload":"{text}""#))).await;
    let row = service.ok(&format!("GET /new_pings({ID})"), "").await;
    assert_eq!(row.json["new_payload"], r#"{"power":{"volts":[1,2]}}"#);
    let bad = body(r#","partitionid":"x","new_payload":"{power""#);
    service.refused("POST /new_pings", &bad, (400, "0x80040203", "new_payload")).await;
}

#[tokio::test]
async fn lookups_to_standard_records_must_exist() {
    let service = with_pings().await;
    let account = service.ok("POST /accounts", r#"{"name":"Holder"}"#).await.id();
    let link = |id: &str| {
        body(&format!(r#","partitionid":"x","new_Toaccount@odata.bind":"/accounts({id})""#))
    };
    let missing = (404, "0x80040217", "account With Id = ");
    service
        .refused("POST /new_pings", &link("9a111111-0000-4000-8000-0000000000ff"), missing)
        .await;
    service.ok("POST /new_pings", &link(&account.to_string())).await;
    let head = format!("GET {}\nPrefer: odata.include-annotations=\"*\"", at("x"));
    let row = service.ok(&head, "").await.json;
    assert_eq!(row["_new_toaccount_value"], account.to_string());
    let name = "_new_toaccount_value@OData.Community.Display.V1.FormattedValue";
    assert_eq!(row[name], "Holder");
    // No cascade: the account goes, the lookup stays.
    service.ok(&format!("DELETE /accounts({account})"), "").await;
    let row = service.ok(&format!("GET {}", at("x")), "").await.json;
    assert_eq!(row["_new_toaccount_value"], account.to_string());
}

#[tokio::test]
async fn a_representation_is_read_back_from_its_partition() {
    let service = with_pings().await;
    let head = "POST /new_pings\nPrefer: return=representation";
    let made = service.ok(head, &body(r#","partitionid":"p","new_value":1"#)).await;
    assert_eq!((made.status.as_u16(), &made.json["partitionid"]), (201, &"p".into()));
    assert!(!made.header("x-ms-session-token").is_empty());
    let head = format!("PATCH {}\nIf-Match: *\nPrefer: return=representation", at("p"));
    let changed = service.ok(&head, r#"{"new_value":2}"#).await;
    assert_eq!((changed.status.as_u16(), &changed.json["new_value"]), (200, &2.into()));
    let one = service.ok(&format!("GET {}/new_value", at("p")), "").await;
    assert_eq!(one.json["value"], 2);
    let one = service.ok(&format!("GET /new_pings({ID})/new_value/$value?partitionId=p"), "").await;
    assert_eq!(one.text, "2");
    service.ok(&format!("PUT {}/new_value", at("p")), r#"{"value":7}"#).await;
    assert_eq!(values(&service, "/new_pings").await, ["7"]);
}

#[tokio::test]
async fn queries_filter_order_and_page_over_partitions() {
    let service = with_pings().await;
    for (place, partition) in ["c", "a", "b", "a2"].iter().enumerate() {
        let more = format!(r#","partitionid":"{partition}","new_value":{place}"#);
        service.ok("POST /new_pings", &body(&more)).await;
    }
    assert_eq!(
        values(&service, "/new_pings?$filter=new_value%20gt%200&$orderby=new_value%20desc").await,
        ["3", "2", "1"]
    );
    // All four share one primary key: the partition makes the order total.
    let mut path = "/new_pings?$select=new_value".to_owned();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let head = format!("GET {path}\nPrefer: odata.maxpagesize=1");
        let page = service.ok(&head, "").await;
        seen.extend(page.column("new_value"));
        let Some(next) = page.json["@odata.nextLink"].as_str() else { break };
        path = next
            .strip_prefix(ORIGIN)
            .and_then(|next| next.strip_prefix(ROOT))
            .expect("ours")
            .to_owned();
    }
    assert_eq!(seen, ["1", "3", "2", "0"]);
    let total = service.ok("GET /RetrieveTotalRecordCount(EntityNames=['new_ping'])", "").await;
    assert_eq!(total.json["EntityRecordCountCollection"]["Values"][0], 4);
}

#[tokio::test]
async fn queries_that_reach_into_other_tables_are_refused() {
    let service = with_pings().await;
    let no = (400, "0x80048d0b", "Link entities are not supported");
    for options in [
        "$expand=new_Toaccount",
        "$filter=new_Toaccount/name%20eq%20'x'",
        "$orderby=new_Toaccount/name",
    ] {
        service.refused(&format!("GET /new_pings?{options}"), "", no).await;
    }
    service.ok("GET /new_pings?$filter=new_source%20eq%20'a/b'", "").await;
    let columns = "GET /new_pings?$filter=new_value%20eq%20ttlinseconds";
    service.refused(columns, "", (400, "0x80048d0b", "Column comparison")).await;
}

#[tokio::test]
async fn owners_are_checked_and_survive_a_replacement() {
    let service = with_pings().await;
    let users =
        service.ok("GET /systemusers?$select=systemuserid", "").await.column("systemuserid");
    let caller = service.pipeline.organization().administrator.to_string();
    let other = users.iter().find(|user| **user != caller).expect("another user");
    let owned = body(&format!(r#","ownerid@odata.bind":"/systemusers({other})""#));
    service.ok("POST /new_pings", &owned).await;
    service.ok(&format!("PATCH /new_pings({ID})"), r#"{"new_value":1}"#).await;
    let row = service.ok(&format!("GET /new_pings({ID})"), "").await.json;
    assert_eq!(&row["_ownerid_value"], &**other);
    assert_eq!(&row["_owninguser_value"], &**other);
    let back = format!(r#"{{"ownerid@odata.bind":"/systemusers({caller})"}}"#);
    service.ok(&format!("PATCH /new_pings({ID})"), &back).await;
    let row = service.ok(&format!("GET /new_pings({ID})"), "").await.json;
    assert_eq!(&row["_ownerid_value"], &*caller);
}
