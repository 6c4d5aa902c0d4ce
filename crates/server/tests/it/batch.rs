//! Batches and change sets over real sockets, on both engines.

use crate::house::{Home, House};
use reqwest::{Client, Method};
use wire::batch::{Operation, Part, content_type, encode, read_response};

/// `POST accounts {"name":"A"}`, with a Content-ID in front of it where there is one: `1: POST …`.
fn operation(text: &'static str) -> Operation<'static> {
    let (content_id, text) = match text.split_once(": ") {
        Some((id, rest)) if id.len() < 3 => (Some(id), rest),
        _ => (None, text),
    };
    let (head, body) = match text.find(" {") {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, ""),
    };
    let (method, target) = head.split_once(' ').expect("a verb and an address");
    let headers = vec![("Content-Type", "application/json")];
    Operation { content_id, method, target, headers, body: body.as_bytes() }
}

/// Sends; answers the status of the whole and those of the parts, change sets in brackets.
async fn send(house: &House, client: &Client, parts: &[Part<Operation<'_>>]) -> String {
    let answer = client
        .post(format!("{}/api/data/v9.2/$batch", house.url))
        .header("content-type", content_type("batch_1"))
        .body(encode(parts, "batch_1").expect("a batch"))
        .send()
        .await
        .expect("the service answers");
    let mut text = answer.status().as_u16().to_string() + ":";
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    let body = answer.bytes().await.expect("a whole body");
    for part in read_response(&kind, &body).expect("a batch of answers") {
        let statuses: Vec<String> =
            part.items().iter().map(|answer| answer.status.to_string()).collect();
        text.push_str(&match part {
            Part::One(_) => format!(" {}", statuses.join("")),
            Part::ChangeSet(_) => format!(" [{}]", statuses.join(" ")),
        });
    }
    text
}

async fn names(house: &House) -> Vec<String> {
    let path = "accounts?$select=name&$orderby=name";
    let (status, answer) = house.json(Method::GET, path, "").await;
    assert_eq!(status, 200, "{answer}");
    let rows = answer["value"].as_array().expect("rows");
    rows.iter().map(|row| row["name"].as_str().unwrap_or("null").to_owned()).collect()
}

#[tokio::test]
async fn a_batch_runs_in_order_and_a_change_set_is_all_or_nothing() {
    for home in Home::each() {
        batches(home).await;
    }
}

async fn batches(home: Home) {
    let house = House::open(home).await;
    let client = house.client.clone();
    let one = |text| Part::One(operation(text));
    let set =
        |texts: &[&'static str]| Part::ChangeSet(texts.iter().copied().map(operation).collect());
    let got = send(
        &house,
        &client,
        &[
            one(r#"POST accounts {"name":"a"}"#),
            set(&[
                r#"1: POST accounts {"name":"b"}"#,
                r#"2: POST contacts {"lastname":"C","parentcustomerid_account@odata.bind":"$1"}"#,
                r#"PUT $1/primarycontactid/$ref {"@odata.id":"$2"}"#,
                r#"PATCH $1 {"telephone1":"555"}"#,
                r#"3: POST accounts {"name":"b2"}"#,
                r#"PATCH $3 {"parentaccountid@odata.bind":"$1"}"#,
            ]),
            one("GET accounts/$count"),
        ],
    )
    .await;
    assert_eq!(got, "200: 204 [204 204 204 204 204 204] 200");
    let path = "accounts?$filter=name eq 'b'&$select=telephone1,_primarycontactid_value";
    let (_, answer) = house.json(Method::GET, path, "").await;
    assert_eq!(answer["value"][0]["telephone1"], "555");
    assert!(answer["value"][0]["_primarycontactid_value"].is_string(), "{answer}");

    // The fourth operation fails on the row that the second made; nothing of the set stays.
    let id = "11111111-2222-4333-8444-555555555501";
    let failing = set(&[
        r#"POST accounts {"name":"never"}"#,
        r#"POST accounts {"name":"never","accountid":"11111111-2222-4333-8444-555555555501"}"#,
        r#"PATCH accounts(11111111-2222-4333-8444-555555555501) {"telephone1":"1"}"#,
        r#"9: POST accounts {"accountid":"11111111-2222-4333-8444-555555555501"}"#,
        r#"POST accounts {"name":"never"}"#,
    ]);
    let got = send(&house, &client, &[failing, one(r#"POST accounts {"name":"z"}"#)]).await;
    assert_eq!(got, "412: [412]");
    let (status, _) = house.json(Method::GET, &format!("accounts({id})"), "").await;
    assert_eq!(status, 404);
    let got = send(
        &house,
        &client,
        &[
            one(r#"POST accounts {"name":"c"}"#),
            one("DELETE accounts(11111111-2222-4333-8444-555555555501)"),
            one(r#"POST accounts {"name":"z"}"#),
        ],
    )
    .await;
    assert_eq!(got, "404: 204 404");
    assert_eq!(names(&house).await, ["a", "b", "b2", "c"]);
    house.close().await;
}

#[tokio::test]
async fn a_thousand_operations_in_one_change_set_are_one_transaction() {
    for home in Home::each() {
        thousand(home).await;
    }
}

async fn thousand(home: Home) {
    let house = House::open(home).await;
    let client = house.client.clone();
    let bodies: Vec<String> =
        (0..1_000).map(|number| format!(r#"{{"name":"{number:04}"}}"#)).collect();
    let mut operations: Vec<Operation<'_>> = bodies
        .iter()
        .map(|body| Operation { body: body.as_bytes(), ..operation("POST accounts {}") })
        .collect();
    let last = operations.pop().expect("a thousand");
    operations.push(operation(r#"POST accounts {"name":"x","primarycontactid@odata.bind":"contacts(11111111-2222-4333-8444-555555555501)"}"#));
    assert_eq!(send(&house, &client, &[Part::ChangeSet(operations.clone())]).await, "404: [404]");
    assert!(names(&house).await.is_empty());
    operations.pop();
    operations.push(last);
    let got = send(&house, &client, &[Part::ChangeSet(operations)]).await;
    assert_eq!(got.matches("204").count(), 1_000, "{got}");
    assert_eq!(names(&house).await.len(), 1_000);
    house.close().await;
}
