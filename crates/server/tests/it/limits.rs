//! What is refused before a message is begun.

use crate::house::{Home, House};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use server::{Facets, Limits};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUESTS_LEFT: &str = "x-ms-ratelimit-burst-remaining-xrm-requests";
const TIME_LEFT: &str = "x-ms-ratelimit-time-remaining-xrm-requests";

async fn limited(facets: Facets) -> House {
    House::open_with(Home::sqlite(), |options| options.limits.facets = facets).await
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Begins a request whose body does not end: the head and the first byte.
async fn begin(house: &House) -> TcpStream {
    let address = house.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let head = "POST /api/data/v9.2/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

/// Sends the rest, and answers the status line.
async fn end(mut stream: TcpStream) -> String {
    stream.write_all(b"}").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_client_sees_why() {
    let house =
        House::open_with(Home::sqlite(), |options| options.limits.message_bytes = 1_000).await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(100_000));
    let (status, answer) = house.json(Method::POST, "accounts", &body).await;
    assert_eq!(status, 413);
    assert_eq!(answer["error"]["code"], "0x8004418a");
}

#[tokio::test]
async fn every_answer_carries_the_common_headers_faults_included() {
    let house = House::open(Home::sqlite()).await;
    for path in ["WhoAmI", "nonsense", "accounts?$filter=name eq", "accounts(1)"] {
        let response = house.send(Method::GET, path, "").await;
        for header in [
            "OData-Version",
            "REQ_ID",
            "x-ms-service-request-id",
            "x-ms-dop-hint",
            "x-ms-ratelimit-burst-remaining-xrm-requests",
            "x-ms-ratelimit-time-remaining-xrm-requests",
        ] {
            assert!(response.headers().contains_key(header), "{path} {header}");
        }
        assert!(response.status().as_u16() < 500, "{path} {}", response.status());
    }
    let health = house.client.get(format!("{}/health", house.url)).send().await.expect("an answer");
    assert_eq!(health.status(), 200);
}

#[tokio::test]
async fn an_idle_service_shows_the_whole_allowance() {
    let house = limited(Facets::DATAVERSE).await;
    let response = house.send(Method::GET, "WhoAmI", "").await;
    assert_eq!(header(&response, REQUESTS_LEFT), "5999");
    assert_eq!(header(&response, TIME_LEFT), "1,200.00");
    let response = house.send(Method::GET, "nonsense", "").await;
    assert_eq!(header(&response, REQUESTS_LEFT), "5998");
    let off = limited(Facets::OFF).await;
    for _ in 0..3 {
        let response = off.send(Method::GET, "WhoAmI", "").await;
        assert_eq!(header(&response, REQUESTS_LEFT), "6000");
        assert_eq!(header(&response, TIME_LEFT), "1,200.00");
    }
}

#[tokio::test]
async fn one_request_more_than_the_limit_is_refused_and_health_is_not_counted() {
    let house = limited(Facets { requests: 3, ..Facets::DATAVERSE }).await;
    for left in ["2", "1", "0"] {
        for path in ["health", "usage"] {
            let url = format!("{}/{path}", house.url);
            assert_eq!(house.client.get(url).send().await.expect("an answer").status(), 200);
        }
        let response = house.send(Method::GET, "WhoAmI", "").await;
        assert_eq!((response.status().as_u16(), header(&response, REQUESTS_LEFT)), (200, left));
    }
    let mut waited = 0;
    for _ in 0..3 {
        let response = house.send(Method::POST, "accounts", "{}").await;
        assert_eq!(response.status(), 429);
        assert_eq!(header(&response, REQUESTS_LEFT), "0");
        assert!(header(&response, TIME_LEFT).starts_with("1,1"), "less than the whole");
        assert!(response.headers().contains_key("x-ms-dop-hint"));
        let wait: u32 = header(&response, "retry-after").parse().expect("whole seconds");
        assert!((waited..=300).contains(&wait), "{wait}");
        waited = wait;
        let body: Value =
            serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
        assert_eq!(
            body,
            json!({"error": {"code": "0x80072322", "message":
                "Number of requests exceeded the limit of 3 over time window of 300 seconds."}})
        );
    }
}

#[tokio::test]
async fn one_request_at_once_more_than_the_limit_is_refused_until_one_has_ended() {
    let house = limited(Facets { concurrent: 2, ..Facets::DATAVERSE }).await;
    let (one, two) = (begin(&house).await, begin(&house).await);
    // The heads may take a moment to be read.
    let refused = loop {
        let response = house.send(Method::GET, "WhoAmI", "").await;
        if response.status() == 429 {
            break response;
        }
    };
    assert_eq!(header(&refused, "retry-after"), "5");
    assert_eq!(header(&refused, "x-ms-dop-hint"), "2");
    let body: Value = serde_json::from_str(&refused.text().await.expect("a body")).expect("JSON");
    assert_eq!(
        body,
        json!({"error": {"code": "0x80072326", "message":
            "Number of concurrent requests exceeded the limit of 2."}})
    );
    // A refused body is read in part, so that its sender gets to see the answer.
    let big = format!(r#"{{"name":"{}"}}"#, "x".repeat(300_000));
    assert_eq!(house.send(Method::POST, "accounts", &big).await.status(), 429);
    for stream in [one, two] {
        assert_eq!(end(stream).await, "HTTP/1.1 204 No Content");
        assert_eq!(house.send(Method::GET, "WhoAmI", "").await.status(), 200);
    }
}

#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_is_refused_without_being_asked() {
    let house = limited(Facets { requests: 1, ..Facets::DATAVERSE }).await;
    assert_eq!(house.send(Method::GET, "WhoAmI", "").await.status(), 200);
    let address = house.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let head = "POST /api/data/v9.2/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_hangs_up_gives_its_place_back() {
    let house = limited(Facets { concurrent: 1, ..Facets::DATAVERSE }).await;
    for _ in 0..3 {
        let stream = begin(&house).await;
        while house.send(Method::GET, "WhoAmI", "").await.status() != 429 {}
        drop(stream);
        while house.send(Method::GET, "WhoAmI", "").await.status() != 200 {}
    }
}

#[tokio::test]
async fn execution_time_is_used_up_by_requests_that_took_long() {
    let house = House::open_with(Home::sqlite(), |options| {
        options.limits.facets = Facets { execution_seconds: 1, ..Facets::DATAVERSE };
        options.limits.request_time = Duration::from_millis(1_100);
    })
    .await;
    // Its body never comes: it lasts as long as it may.
    let mut stream = begin(&house).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("0x80044151"), "{answer}");
    let response = house.send(Method::GET, "WhoAmI", "").await;
    assert_eq!((response.status().as_u16(), header(&response, TIME_LEFT)), (429, "0.00"));
    let body = response.text().await.expect("a body");
    assert!(body.contains("0x80072321") && body.contains("limit of 1,000 milliseconds"), "{body}");
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_answered_with_a_timeout() {
    let allowed = Duration::from_millis(50);
    let house =
        House::open_with(Home::sqlite(), |options| options.limits.request_time = allowed).await;
    let mut stream = begin(&house).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("0x80044151") && answer.contains("SQL timeout expired."), "{answer}");
}

#[tokio::test]
async fn a_write_that_outlives_its_request_goes_on_to_its_end() {
    let targets: Vec<_> = (0..4_000)
        .map(|number| json!({"@odata.type": "Microsoft.Dynamics.CRM.account", "name": format!("A{number}")}))
        .collect();
    let body = json!({"Targets": targets}).to_string();
    let path = "accounts/Microsoft.Dynamics.CRM.CreateMultiple";
    for milliseconds in [1, 5, 10, 20, 200] {
        let allowed = Duration::from_millis(milliseconds);
        let house =
            House::open_with(Home::sqlite(), |options| options.limits.request_time = allowed).await;
        let (status, answer) = house.json(Method::POST, path, &body).await;
        let home = house.close().await;
        let house = House::open(home).await;
        let (_, rows) = house.json(Method::GET, "accounts?$count=true&$top=1", "").await;
        let count = rows["@odata.count"].as_u64().expect("a count");
        if status == 200 {
            assert_eq!(count, 4_000);
        } else {
            assert_eq!((status.as_u16(), &answer["error"]["code"]), (500, &json!("0x80044151")));
            assert!(count == 0 || count == 4_000, "{count} of 4,000 rows");
        }
    }
}

#[tokio::test]
async fn usage_counts_every_target_and_is_for_reading_only() {
    let house = House::open(Home::sqlite()).await;
    let target = json!({"@odata.type": "Microsoft.Dynamics.CRM.account", "name": "A"});
    let body = json!({"Targets": vec![target; 100]}).to_string();
    let path = "accounts/Microsoft.Dynamics.CRM.CreateMultiple";
    assert_eq!(house.json(Method::POST, path, &body).await.0, 200);
    assert_eq!(house.json(Method::GET, "WhoAmI", "").await.0, 200);
    let url = format!("{}/usage", house.url);
    let answer = house.client.get(&url).send().await.expect("an answer");
    let text = answer.text().await.expect("a body");
    let usage: Value = serde_json::from_str(&text).expect("JSON");
    let days = usage["value"].as_array().expect("a list");
    // Two of them around midnight.
    let sum = |name: &str| days.iter().filter_map(|day| day[name].as_u64()).sum::<u64>();
    assert_eq!((sum("messages"), sum("items")), (2, 101), "{text}");
    assert_eq!(house.client.post(&url).send().await.expect("an answer").status(), 405);
}

#[tokio::test]
async fn a_named_node_offers_a_cookie_and_asks_for_none() {
    let house = House::open_with(Home::sqlite(), |options| {
        options.node = Some("one".to_owned());
        options.limits = Limits::DATAVERSE;
    })
    .await;
    for _ in 0..2 {
        let response = house.send(Method::GET, "WhoAmI", "").await;
        assert_eq!(response.status(), 200);
        assert!(header(&response, "set-cookie").starts_with("ARRAffinity="));
    }
}
