//! What is refused before a message is begun.

use crate::house::{Home, House};
use reqwest::Method;
use server::{Error, Options, Server, StoreChoice};
use std::net::SocketAddr;

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
async fn without_an_identity_only_loopback_addresses_are_served() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let store = StoreChoice::Directory(directory.path().to_owned());
    let started = Server::start(Options::new(SocketAddr::from(([0, 0, 0, 0], 0)), store)).await;
    assert!(matches!(started, Err(Error::NotLoopback(_))));
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
