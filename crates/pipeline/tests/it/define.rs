//! Changes of definitions through the pipeline.

use crate::house::{House, crate_table};
use model::{Label, MessageName, NewKey, TargetKey, Value, code};
use pipeline::Definition;

#[tokio::test]
async fn a_new_organisation_has_its_system_tables_and_rows() {
    let house = House::open().await;
    for table in
        ["account", "contact", "systemuser", "team", "role", "sdkmessage", "bulkdeleteoperation"]
    {
        assert!(house.catalog().table(table).is_some(), "{table}");
    }
    let users = house.rows("systemuser", &["fullname"]).await;
    assert!(users.contains(&vec![Value::text("System Administrator")]), "{users:?}");
    let organization = house.rows("organization", &["organizationid"]).await;
    assert_eq!(organization, vec![vec![Value::Guid(house.pipeline.organization().id)]]);
}

#[tokio::test]
async fn a_new_table_lists_the_messages_that_are_available_for_it() {
    let house = House::open().await;
    let mut names = Vec::new();
    for row in house.rows("sdkmessagefilter", &["primaryobjecttypecode", "sdkmessageid"]).await {
        if row[0] == Value::text("ship_crate") {
            names.push(row[1].as_id());
        }
    }
    let messages = house.rows("sdkmessage", &["sdkmessageid", "name"]).await;
    let named = |name: &str| {
        let row =
            messages.iter().find(|row| row[1] == Value::text(name)).expect("the message exists");
        names.contains(&row[0].as_id())
    };
    assert!(named("CreateMultiple") && named("UpdateMultiple"));
    assert!(!named("UpsertMultiple") && !named("DeleteMultiple"));
}

#[tokio::test]
async fn the_privileges_of_a_table_come_and_go_with_it() {
    let house = House::open().await;
    let privileges = async || {
        let rows = house.rows("privilege", &["name"]).await;
        let text =
            |row: &Vec<Value>| matches!(&row[0], Value::Text(name) if name.ends_with("ship_Crate"));
        rows.iter().filter(|row| text(row)).count()
    };
    let grants = async || house.rows("roleprivileges", &["privilegeid"]).await.len();
    let held = grants().await;
    assert_eq!(privileges().await, 8);
    let table = house.table("ship_crate");
    house.define(Definition::DropTable(table)).await.expect("a custom table goes");
    assert_eq!(privileges().await, 0);
    assert_eq!(grants().await, held - 8, "System Administrator held them");
    house.define(Definition::CreateTables(vec![crate_table()])).await.expect("the name is free");
    assert_eq!(privileges().await, 8);
    let target = house.target(TargetKey::None, &[("ship_label", Value::text("new"))]);
    let made = house.write(MessageName::Create, "ship_crate", vec![target]).await;
    made.expect("the administrator may write the new table");
}

#[tokio::test]
async fn a_second_key_over_the_same_columns_is_refused() {
    let house = House::open().await;
    let key = |schema_name: &str| NewKey {
        schema_name: schema_name.into(),
        display_name: Label::english("Again"),
        columns: vec!["ship_trackingno".into()],
    };
    let table = house.table("ship_crate");
    let again = Definition::CreateKey { table: table.clone(), key: key("ship_Again") };
    let fault = house.define(again).await.expect_err("the columns are taken");
    assert_eq!(fault.code, code::ENTITY_KEY_COLUMNS_EXIST);
    let again = Definition::CreateKey { table, key: key("ship_TrackingKey") };
    let fault = house.define(again).await.expect_err("the name is taken");
    assert_eq!(fault.code, code::ENTITY_KEY_NAME_EXISTS);
}
