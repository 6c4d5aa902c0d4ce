//! Which messages are available for a table, asked and configured, on both engines.

use crate::house::{Home, House};
use reqwest::Method;
use server::{Config, Options, Server, StoreChoice};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The documented queries: one table by OData, all tables by FetchXML.
const ODATA: &str = "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name+eq+@message+and+primaryobjecttypecode%20eq%20@table&@message='MESSAGE'&@table='TABLE'";
const FETCH: &str = "sdkmessagefilters?fetchXml=<fetch><entity name=\"sdkmessagefilter\"><attribute name=\"primaryobjecttypecode\"/> <link-entity name=\"sdkmessage\" from=\"sdkmessageid\" to=\"sdkmessageid\" link-type=\"inner\">  <filter><condition attribute=\"name\" operator=\"eq\" value=\"MESSAGE\"/></filter> </link-entity></entity></fetch>";

const NEW_TABLE: &str = r#"{
 "@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"ship_Crate","OwnershipType":"UserOwned",
 "DisplayName":{"LocalizedLabels":[{"Label":"Crate","LanguageCode":1033}]},
 "DisplayCollectionName":{"LocalizedLabels":[{"Label":"Crates","LanguageCode":1033}]},
 "HasActivities":false,"HasNotes":false,
 "Attributes":[{"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"ship_Name",
  "IsPrimaryName":true,"MaxLength":100,
  "DisplayName":{"LocalizedLabels":[{"Label":"Name","LanguageCode":1033}]}}]}"#;

async fn rows(house: &House, message: &str, table: &str) -> usize {
    let path = ODATA.replace("MESSAGE", message).replace("TABLE", table);
    let (status, answer) = house.json(Method::GET, &path, "").await;
    assert_eq!(status, 200, "{answer}");
    answer["value"].as_array().expect("rows").len()
}

async fn tables(house: &House, message: &str) -> BTreeSet<String> {
    let (status, answer) = house.json(Method::GET, &FETCH.replace("MESSAGE", message), "").await;
    assert_eq!(status, 200, "{answer}");
    let rows = answer["value"].as_array().expect("rows").iter();
    let names = rows.map(|row| row["primaryobjecttypecode"].as_str().expect("a name").to_owned());
    names.collect()
}

fn without_create(options: &mut Options) {
    let messages = vec!["CreateMultiple".to_owned()];
    options.config.unavailable.insert("account".to_owned(), messages);
}

#[tokio::test]
async fn callers_find_out_which_messages_a_table_has() {
    for home in Home::each() {
        listed(home).await;
    }
}

async fn listed(home: Home) {
    let house = House::open(home).await;
    assert_eq!(rows(&house, "CreateMultiple", "ship_crate").await, 0);
    let (status, answer) = house.json(Method::POST, "EntityDefinitions", NEW_TABLE).await;
    assert_eq!(status, 204, "{answer}");
    for message in ["CreateMultiple", "UpdateMultiple"] {
        assert_eq!(rows(&house, message, "ship_crate").await, 1, "{message}");
    }
    assert_eq!(rows(&house, "UpsertMultiple", "ship_crate").await, 0);
    let create = tables(&house, "CreateMultiple").await;
    assert_eq!(create, tables(&house, "UpdateMultiple").await);
    assert!(create.contains("ship_crate") && create.contains("account"));
    assert_eq!(tables(&house, "UpsertMultiple").await, BTreeSet::new());
}

#[tokio::test]
async fn a_message_that_is_configured_away_is_refused_and_not_listed_until_it_is_back() {
    for home in Home::each() {
        configured(home).await;
    }
}

async fn configured(home: Home) {
    let path = "accounts/Microsoft.Dynamics.CRM.CreateMultiple";
    let body = r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"A"}]}"#;
    let mut home = Some(home);
    for away in [true, true, false] {
        let change = |options: &mut Options| {
            if away {
                without_create(options);
            }
        };
        let house = House::open_with(home.take().expect("a home"), change).await;
        assert_eq!(rows(&house, "CreateMultiple", "account").await, usize::from(!away));
        assert_eq!(tables(&house, "CreateMultiple").await.contains("account"), !away);
        let (status, answer) = house.json(Method::POST, path, body).await;
        assert_eq!(status, if away { 400 } else { 200 }, "{answer}");
        if away {
            assert_eq!(answer["error"]["code"], "0x80040203");
        }
        let (status, answer) = house.json(Method::POST, "accounts", r#"{"name":"B"}"#).await;
        assert_eq!(status, 204, "{answer}");
        home = Some(house.close().await);
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_honoured_refuses_to_start() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let file = directory.path().join("sheaf.toml");
    for (text, want) in [
        ("[unavailable]\nabsent = [\"CreateMultiple\"]", "`absent`"),
        ("[unavailable]\naccount = [\"CreateMany\"]", "`CreateMany`"),
        ("[unavailabel]", "unavailabel"),
    ] {
        std::fs::write(&file, text).expect("written");
        let started = async {
            let store = StoreChoice::Directory(directory.path().join("data"));
            let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), store);
            options.config = Config::read(&file)?;
            Server::start(options).await.map(drop)
        };
        let error = started.await.expect_err(text);
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let told = format!("{error}: {}", cause.unwrap_or_default());
        assert!(told.contains(want), "{told}");
    }
}
