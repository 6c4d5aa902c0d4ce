//! The main messages from end to end.

use crate::house::{Home, House};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn contacts_are_made_in_bulk_read_changed_and_deleted() {
    for home in Home::each() {
        contacts(home).await;
    }
}

async fn contacts(home: Home) {
    let house = House::open(home).await;
    let body = r#"{"Targets":[
        {"@odata.type":"Microsoft.Dynamics.CRM.contact","firstname":"Ada","lastname":"Lovelace"},
        {"@odata.type":"Microsoft.Dynamics.CRM.contact","contactid":"11111111-2222-4333-8444-555555555501","lastname":"Hopper"}]}"#;
    let path = "contacts/Microsoft.Dynamics.CRM.CreateMultiple";
    let (status, answer) = house.json(Method::POST, path, body).await;
    assert_eq!(status, 200, "{answer}");
    let ids = answer["Ids"].as_array().expect("Ids");
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[1], "11111111-2222-4333-8444-555555555501");

    let (status, answer) = house
        .json(
            Method::GET,
            "contacts?$select=fullname&$filter=lastname eq 'lovelace'&$count=true",
            "",
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["@odata.count"], 1);
    assert_eq!(answer["value"][0]["fullname"], "Ada Lovelace");
    assert_eq!(answer["value"][0]["contactid"], ids[0]);

    let one = "contacts(11111111-2222-4333-8444-555555555501)";
    let (status, answer) = house.json(Method::PATCH, one, r#"{"firstname":"Grace"}"#).await;
    assert_eq!(status, 204, "{answer}");
    let (_, answer) = house.json(Method::GET, &format!("{one}?$select=fullname"), "").await;
    assert_eq!(answer["fullname"], "Grace Hopper");
    let (status, _) = house.json(Method::DELETE, one, "").await;
    assert_eq!(status, 204);
    let (status, answer) = house.json(Method::GET, one, "").await;
    assert_eq!(status, 404);
    assert_eq!(answer["error"]["code"], "0x80040217");
}

#[tokio::test]
async fn one_bad_target_leaves_nothing_behind_and_is_named() {
    for home in Home::each() {
        one_bad_target(home).await;
    }
}

async fn one_bad_target(home: Home) {
    let house = House::open(home).await;
    let mut targets: Vec<_> = (0..1_000)
        .map(|number| json!({"@odata.type": "Microsoft.Dynamics.CRM.account", "name": format!("A{number}")}))
        .collect();
    let path = "accounts/Microsoft.Dynamics.CRM.CreateMultiple";
    let twice = json!("11111111-2222-4333-8444-555555555598");
    targets[0]["accountid"] = twice.clone();
    let bad = [
        (json!({"accountid": twice}), 412, "accountid"),
        (json!({"numberofemployees": "many"}), 400, "numberofemployees"),
        (json!({"numberofemployees": -1}), 400, "numberofemployees"),
        (json!({"colour": "red"}), 400, "colour"),
        (
            json!({"primarycontactid@odata.bind": "contacts(11111111-2222-4333-8444-555555555599)"}),
            404,
            "primarycontactid",
        ),
    ];
    for (members, want, column) in bad {
        let good = targets[731].clone();
        let target = targets[731].as_object_mut().expect("an object");
        target.extend(members.as_object().expect("an object").clone());
        let (status, answer) =
            house.json(Method::POST, path, &json!({"Targets": targets}).to_string()).await;
        assert_eq!(status, want, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(&format!("[Targets[731].{column}]")), "{message}");
        let (_, answer) = house.json(Method::GET, "accounts?$top=1", "").await;
        assert_eq!(answer["value"], json!([]));
        targets[731] = good;
    }
}

#[tokio::test]
async fn a_new_table_is_there_at_once_and_after_a_restart() {
    for home in Home::each() {
        a_new_table(home).await;
    }
}

async fn a_new_table(home: Home) {
    let house = House::open(home).await;
    let label = |text: &str| json!({"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]});
    let table = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata", "SchemaName": "ship_Crate",
        "DisplayName": label("Crate"), "DisplayCollectionName": label("Crates"), "OwnershipType": "UserOwned",
        "Attributes": [
            {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "ship_Label",
             "IsPrimaryName": true, "MaxLength": 100, "DisplayName": label("Label")},
            {"@odata.type": "Microsoft.Dynamics.CRM.IntegerAttributeMetadata", "SchemaName": "ship_Weight",
             "DisplayName": label("Weight")}]});
    let (status, answer) = house.json(Method::POST, "EntityDefinitions", &table.to_string()).await;
    assert_eq!(status, 204, "{answer}");
    let key = json!({"SchemaName": "ship_LabelKey", "DisplayName": label("Label"), "KeyAttributes": ["ship_label"]});
    let path = "EntityDefinitions(LogicalName='ship_crate')/Keys";
    let (status, answer) = house.json(Method::POST, path, &key.to_string()).await;
    assert_eq!(status, 204, "{answer}");
    let body = json!({"Targets": [
        {"@odata.type": "Microsoft.Dynamics.CRM.ship_crate", "@odata.id": "ship_crates(ship_label='A')", "ship_weight": 4}]});
    let path = "ship_crates/Microsoft.Dynamics.CRM.UpsertMultiple";
    let (status, answer) = house.json(Method::POST, path, &body.to_string()).await;
    assert_eq!(status, 204, "{answer}");
    let home = house.close().await;
    let house = House::open(home).await;
    let (status, answer) =
        house.json(Method::GET, "ship_crates(ship_label='a')?$select=ship_weight", "").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["ship_weight"], 4);
}

#[tokio::test]
async fn a_second_node_sees_a_new_table_at_once() {
    let [_, Home::Postgres(url)] = Home::each() else { panic!("the second is PostgreSQL") };
    let first = House::open(Home::Postgres(url.clone())).await;
    let second = House::open(Home::Postgres(url)).await;
    let label = |text: &str| json!({"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]});
    for number in 0..3 {
        let table = json!({
            "SchemaName": format!("ship_Crate{number}"), "DisplayName": label("Crate"),
            "DisplayCollectionName": label("Crates"), "OwnershipType": "UserOwned",
            "Attributes": [{"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
                "SchemaName": "ship_Label", "IsPrimaryName": true, "DisplayName": label("Label")}]});
        let (status, answer) =
            first.json(Method::POST, "EntityDefinitions", &table.to_string()).await;
        assert_eq!(status, 204, "{answer}");
        let set = format!("ship_crate{number}s");
        let (status, answer) = second.json(Method::POST, &set, r#"{"ship_label":"A"}"#).await;
        assert_eq!(status, 204, "{answer}");
        let column = json!({"@odata.type": "Microsoft.Dynamics.CRM.IntegerAttributeMetadata",
            "SchemaName": "ship_Weight", "DisplayName": label("Weight")});
        let path = format!("EntityDefinitions(LogicalName='ship_crate{number}')/Attributes");
        let (status, answer) = second.json(Method::POST, &path, &column.to_string()).await;
        assert_eq!(status, 204, "{answer}");
        let (status, answer) =
            first.json(Method::GET, &format!("{set}?$filter=ship_weight eq null"), "").await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["value"][0]["ship_label"], "A");
    }
}

#[tokio::test]
async fn a_long_page_leaves_while_it_is_made_and_is_the_same_as_a_whole_one() {
    for home in Home::each() {
        long_page(home).await;
    }
}

async fn long_page(home: Home) {
    let house = House::open(home).await;
    let targets: Vec<_> = (0..1_100)
        .map(|number| {
            let text = format!("{number} {}", "\u{fc}\"x".repeat(40));
            json!({"@odata.type": "Microsoft.Dynamics.CRM.contact", "lastname": number.to_string(), "description": text})
        })
        .collect();
    let body = json!({"Targets": targets}).to_string();
    let path = "contacts/Microsoft.Dynamics.CRM.CreateMultiple";
    let (status, answer) = house.json(Method::POST, path, &body).await;
    assert_eq!(status, 200, "{answer}");
    for (options, rows, in_pieces) in [
        ("$select=lastname,description&$orderby=lastname", 1_100, true),
        ("$select=lastname,description&$top=1090&$filter=lastname ne '7'", 1_090, true),
        ("$select=lastname&$top=10", 10, false),
    ] {
        let path = format!("contacts?{options}");
        let response = house.send(Method::GET, &path, "").await;
        assert_eq!(response.headers().contains_key("content-length"), !in_pieces, "{path}");
        assert_eq!(response.headers()["odata-version"], "4.0", "{path}");
        assert!(response.headers().contains_key("x-ms-ratelimit-time-remaining-xrm-requests"));
        let text = response.text().await.expect("a whole body");
        let page: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(page["value"].as_array().map(Vec::len), Some(rows), "{path}");
        let head = house.send(Method::HEAD, &path, "").await;
        assert_eq!(head.headers()["content-length"], text.len().to_string(), "{path}");
        // In a batch it is written as a whole.
        let batch = format!(
            "--b\r\nContent-Type: application/http\r\n\r\nGET {path} HTTP/1.1\r\n\r\n\r\n--b--\r\n"
        );
        let request = house.client.post(format!("{}/api/data/v9.2/$batch", house.url));
        let request = request.header("content-type", "multipart/mixed;boundary=b").body(batch);
        let batch = request.send().await.expect("it answers").text().await.expect("a whole body");
        assert!(batch.contains(&text), "{path}: another page in a batch");
    }
    house.close().await;
}
