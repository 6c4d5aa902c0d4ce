//! Shutdown and clients that go away.

use crate::house::{Home, House};
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn accounts(count: usize) -> String {
    let targets: Vec<_> = (0..count)
        .map(|number| json!({"@odata.type": "Microsoft.Dynamics.CRM.account", "name": format!("A{number}")}))
        .collect();
    json!({"Targets": targets}).to_string()
}

#[tokio::test]
async fn a_message_whose_client_hangs_up_is_all_there_or_not_at_all() {
    for home in Home::each() {
        hang_up(home).await;
    }
}

async fn hang_up(home: Home) {
    let house = House::open(home).await;
    let body = accounts(500);
    let head = format!(
        "POST /api/data/v9.2/accounts/Microsoft.Dynamics.CRM.CreateMultiple HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let address = house.url.trim_start_matches("http://").to_owned();
    for cut in [body.len() / 2, body.len() - 1, body.len()] {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&body.as_bytes()[..cut]).await.expect("sent");
        stream.flush().await.expect("sent");
        drop(stream);
    }
    let home = house.close().await;
    let house = House::open(home).await;
    let (_, answer) = house.json(Method::GET, "accounts?$count=true&$top=1", "").await;
    let count = answer["@odata.count"].as_u64().expect("a count");
    assert!(count == 0 || count == 500, "{count} of 500 rows");
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight() {
    for home in Home::each() {
        finish(home).await;
    }
}

async fn finish(home: Home) {
    let house = House::open(home).await;
    let body = accounts(5_000);
    let path = "accounts/Microsoft.Dynamics.CRM.CreateMultiple";
    let request = house
        .client
        .post(format!("{}/api/data/v9.2/{path}", house.url))
        .header("content-type", "application/json")
        .body(body);
    #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
    let sent = tokio::spawn(request.send());
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    let home = house.close().await;
    // Sent in time it is answered, otherwise refused as a whole; never something between.
    let acknowledged =
        matches!(sent.await.expect("no panic"), Ok(answer) if answer.status() == 200);
    let house = House::open(home).await;
    let (_, answer) = house.json(Method::GET, "accounts?$top=1", "").await;
    let there = answer["value"].as_array().expect("rows").len() == 1;
    assert!(there || !acknowledged);
}
