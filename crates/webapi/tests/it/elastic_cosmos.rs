//! `ExecuteCosmosSqlQuery`: the query language over the documents of an elastic table.
//!
//! Source: bulk.md 7.10.

use crate::elastic_definitions::with_pings;
use crate::service::{Answer, Service};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

async fn pings() -> Service {
    let service = with_pings().await;
    for (source, value, partition, payload) in [
        ("Humidity", "40", "dev-7", r#"{\"power\":6,\"tags\":[\"a\",\"b\"]}"#),
        ("Humidity", "30", "dev-7", r#"{\"power\":3}"#),
        ("Heat", "20", "dev-8", r#"{\"power\":\"high\",\"deep\":{\"er\":null}}"#),
        ("Heat", "null", "dev-8", ""),
    ] {
        let body = format!(
            r#"{{"new_source":"{source}","new_value":{value},"partitionid":"{partition}","new_payload":"{payload}"}}"#
        );
        service.ok("POST /new_pings", &body).await;
    }
    service
}

/// The function with these arguments by alias; `more` stands behind the two that must be there.
fn address(query: &str, more: &str, aliases: &str) -> String {
    let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
    format!(
        "GET /ExecuteCosmosSqlQuery(QueryText=@p1,EntityLogicalName=@p2{more})?@p1='{query}'&@p2='new_ping'{aliases}"
    )
}

fn results(answer: &Answer) -> Value {
    let mut results = answer.json["Result"].clone();
    for result in results.as_array_mut().expect("a list") {
        let kind = result.as_object_mut().and_then(|result| result.remove("@odata.type"));
        assert_eq!(kind, Some("#Microsoft.Dynamics.CRM.expando".into()));
    }
    results
}

async fn check(service: &Service, query: &str, want: Value) {
    let answer = service.send(&address(query, "", ""), "").await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    assert_eq!(results(&answer), want, "{query}");
}

#[tokio::test]
async fn the_example_of_the_contract_answers_in_its_form() {
    let service = pings().await;
    let query = "select c.props.new_source as src, c.props.new_payload.power as power from c where c.props.new_source=@s and c.props.new_payload.power > @p";
    let parameters = r#"{"Keys":["@s","@p"],"Values":[{"Type":"System.String","Value":"Humidity"},{"Type":"System.Int32","Value":"5"}]}"#;
    let parameters = utf8_percent_encode(parameters, NON_ALPHANUMERIC);
    let more = ",QueryParameters=@p3,PageSize=@p4,PartitionId=@p5";
    let aliases = format!("&@p3={parameters}&@p4=50&@p5='dev-7'");
    let answer = service.ok(&address(query, more, &aliases), "").await;
    assert_eq!(results(&answer), json!([{"src": "Humidity", "power": 6}]));
    let context = answer.json["@odata.context"].as_str().expect("text");
    assert!(context.ends_with("$metadata#expando/$entity"), "{context}");
    assert_eq!(answer.json["@odata.type"], "#Microsoft.Dynamics.CRM.expando");
    assert_eq!(answer.json["Result@odata.type"], "#Collection(Microsoft.Dynamics.CRM.expando)");
    assert_eq!(
        (&answer.json["HasMore"], &answer.json["PagingCookie"]),
        (&json!(false), &json!(""))
    );
}

#[tokio::test]
async fn conditions_projections_and_orders() {
    let service = pings().await;
    let ordered = |condition: &str| {
        format!("SELECT c.props.new_value FROM c WHERE {condition} ORDER BY c.props.new_value DESC")
    };
    for (condition, want) in [
        ("c.props.new_value >= 30", json!([{"new_value": 40}, {"new_value": 30}])),
        ("c.props.new_value between 20 and 30", json!([{"new_value": 30}, {"new_value": 20}])),
        ("c.props.new_value in (20, 40)", json!([{"new_value": 40}, {"new_value": 20}])),
        ("c.props.new_value not in (20, 40)", json!([{"new_value": 30}])),
        (
            "not c.props.new_value = 40 and is_defined(c.props.new_value)",
            json!([{"new_value": 30}, {"new_value": 20}]),
        ),
        (
            "startswith(c.props.new_source, 'Hum') and c.props.new_value <> 40",
            json!([{"new_value": 30}]),
        ),
        (
            r#"contains(upper(c.props.new_source), "EAT") and c.props.new_value > 0"#,
            json!([{"new_value": 20}]),
        ),
        (
            "lower(c.props.new_source) = 'heat' or c.props.new_value = 40",
            json!([{"new_value": 40}, {"new_value": 20}, {}]),
        ),
        ("is_null(c.props.new_payload.deep.er)", json!([{"new_value": 20}])),
        ("c.props.new_payload.tags[1] = 'b'", json!([{"new_value": 40}])),
        (r#"c.props["new_payload"]["power"] = 'high'"#, json!([{"new_value": 20}])),
        ("c.props.new_payload.power > 0", json!([{"new_value": 40}, {"new_value": 30}])),
        (
            "(c.props.new_value = 30 or c.props.new_value = 20) and c.props.new_value != 20",
            json!([{"new_value": 30}]),
        ),
        ("c.props.New_value = 40", json!([])),
    ] {
        check(&service, &ordered(condition), want).await;
    }
    let top = "select top 2 c.props.new_value as v, 1, 'x' as t from c order by c.props.new_source, c.props.new_value desc";
    check(&service, top, json!([{"v": 20, "$2": 1, "t": "x"}, {"$2": 1, "t": "x"}])).await;
    check(&service, "select count(1) from c where c.props.new_value > 20", json!([{"$1": 2}]))
        .await;
    check(&service, "select count(1) as n from c", json!([{"n": 4}])).await;
    check(
        &service,
        "select p.props.new_payload from p where p.props.new_value = 30",
        json!([{"new_payload": {"power": 3}}]),
    )
    .await;
    let all =
        service.ok(&address("select * from c where c.props.new_value = 30", "", ""), "").await;
    assert_eq!(all.json["Result"][0]["props"]["partitionid"], "dev-7");
}

#[tokio::test]
async fn pages_follow_each_other_by_cookie() {
    let service = pings().await;
    for (query, want) in [
        (
            "select c.props.new_value as v from c order by c.props.new_value",
            vec![json!({}), json!({"v": 20}), json!({"v": 30}), json!({"v": 40})],
        ),
        (
            "select top 3 c.props.new_value as v from c order by c.props.new_value",
            vec![json!({}), json!({"v": 20}), json!({"v": 30})],
        ),
    ] {
        let (mut seen, mut cookie) = (Vec::new(), String::new());
        loop {
            let aliases = format!("&@c='{}'", utf8_percent_encode(&cookie, NON_ALPHANUMERIC));
            let path = address(query, ",PageSize=2,PagingCookie=@c", &aliases);
            let answer = service.ok(&path, "").await;
            seen.extend(results(&answer).as_array().expect("a list").clone());
            cookie = answer.json["PagingCookie"].as_str().expect("text").to_owned();
            assert_eq!(answer.json["HasMore"], !cookie.is_empty());
            if cookie.is_empty() {
                break;
            }
            assert!(seen.len() < 5);
        }
        assert_eq!(seen, want, "{query}");
    }
    let two = service.ok(&address("select c.props.new_value from c", ",PageSize=2", ""), "").await;
    assert_eq!(two.json["PagingCookie"], "W3sidG9rZW4iOiIyIn1d");
    let bad = address("select * from c", ",PagingCookie='%3F'", "");
    service.refused(&bad, "", (400, "0x8004112a", "cookie")).await;
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let service = pings().await;
    for query in [
        "",
        "delete from c",
        "select c.props.new_value",
        "select value c.props.new_value from c",
        "select distinct c.props.new_value from c",
        "select * from c join d in c.props.tags",
        "select * from c where c.props.new_value = @none",
        "select * from c where c.props.new_value like 'x'",
        "select * from c where array_length(c.props.x) = 1",
        "select * from c where c.props.new_value =",
        "select * from c where c.props.new_source = 'open",
        "select * from c group by c.props.new_value",
        "select count(1) from c order by c.props.new_value",
        "select c.props.a, c.props.a from c",
        "select * from c where c.props.x = 1 ; drop",
    ] {
        service.refused(&address(query, "", ""), "", (400, "0x80048d0b", "")).await;
    }
    let deep = format!("select * from c where {}c.props.x{}", "(".repeat(5_000), ")".repeat(5_000));
    service.refused(&address(&deep, "", ""), "", (400, "0x80048d0b", "nested")).await;
    let long = format!("select count(1) from c where 1{}", " or 1".repeat(2_000));
    service.ok(&address(&long, "", ""), "").await;
    let nots = format!("select * from c where {} c.props.x", "not ".repeat(3_000));
    service.refused(&address(&nots, "", ""), "", (400, "0x80048d0b", "nested")).await;
    let standard =
        "GET /ExecuteCosmosSqlQuery(QueryText='select * from c',EntityLogicalName='account')";
    let want = (400, "0x80048d0b", "Table 'account' is not an elastic table.");
    service.refused(standard, "", want).await;
    let unknown =
        "GET /ExecuteCosmosSqlQuery(QueryText='select * from c',EntityLogicalName='nope')";
    service.refused(unknown, "", (404, "0x80040217", "nope")).await;
    let nothing = "GET /ExecuteCosmosSqlQuery(EntityLogicalName='new_ping')";
    service.refused(nothing, "", (400, "0x80060888", "ExecuteCosmosSqlQuery")).await;
    let extra = address("select * from c", ",Nope=1", "");
    service.refused(&extra, "", (400, "0x80060888", "")).await;
}
