//! Elastic tables beside each engine of standard tables: definitions there, rows elsewhere.

use crate::house::{Home, House};
use reqwest::Method;

fn label(text: &str) -> String {
    format!(r#"{{"LocalizedLabels":[{{"Label":"{text}","LanguageCode":1033}}]}}"#)
}

fn table() -> String {
    format!(
        r#"{{"SchemaName":"new_Ping","TableType":"Elastic","OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"DisplayName":{0},"DisplayCollectionName":{0},"Attributes":[{{"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Source","IsPrimaryName":true,"MaxLength":100,"DisplayName":{0}}}]}}"#,
        label("Ping")
    )
}

fn relationship() -> String {
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_account_ping","ReferencedEntity":"account","ReferencingEntity":"new_ping","CascadeConfiguration":{{"Delete":"NoCascade"}},"Lookup":{{"@odata.type":"Microsoft.Dynamics.CRM.LookupAttributeMetadata","SchemaName":"new_Holder","DisplayName":{}}}}}"#,
        label("Holder")
    )
}

fn column(name: &str) -> String {
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.IntegerAttributeMetadata","SchemaName":"{name}","DisplayName":{}}}"#,
        label(name)
    )
}

async fn ok(house: &House, method: Method, path: &str, body: &str) -> serde_json::Value {
    let (status, answer) = house.json(method, path, body).await;
    assert!(status.is_success(), "{path}: {status} {answer}");
    answer
}

#[tokio::test]
async fn elastic_tables_live_beside_both_engines() {
    for home in Home::each() {
        beside(home).await;
    }
}

async fn beside(home: Home) {
    let house = House::open(home).await;
    let attributes = "EntityDefinitions(LogicalName='new_ping')/Attributes";
    ok(&house, Method::POST, "EntityDefinitions", &table()).await;
    ok(&house, Method::POST, "RelationshipDefinitions", &relationship()).await;
    ok(&house, Method::POST, attributes, &column("new_Value")).await;
    let account = "11111111-2222-4333-8444-555555555501";
    let body = format!(r#"{{"accountid":"{account}","name":"Holder"}}"#);
    ok(&house, Method::POST, "accounts", &body).await;
    let item = |number: u8, account: &str| {
        format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.new_ping","new_pingid":"9a111111-0000-4000-8000-00000000000{number}","partitionid":"p","new_value":{number},"new_Holder@odata.bind":"/accounts({account})"}}"#
        )
    };
    let path = "new_pings/Microsoft.Dynamics.CRM.CreateMultiple";
    let lost = "11111111-2222-4333-8444-5555555555ff";
    let body = format!(r#"{{"Targets":[{},{}]}}"#, item(1, account), item(2, lost));
    let (status, answer) = house.json(Method::POST, path, &body).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &"0x80048d0b".into()));
    let page = ok(&house, Method::GET, "new_pings?partitionId=p", "").await;
    assert_eq!(page["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["value"][0]["_new_holder_value"], account);
    // Nothing holds the account, and nothing follows it.
    ok(&house, Method::DELETE, &format!("accounts({account})"), "").await;
    let house = House::open(house.close().await).await;
    let keys = "EntityDefinitions(LogicalName='new_ping')/Keys";
    let keys = ok(&house, Method::GET, keys, "").await;
    assert_eq!(keys["value"][0]["SchemaName"], "KeyForNoSqlEntityWithPKPartitionId");
    ok(&house, Method::POST, attributes, &column("new_Later")).await;
    ok(&house, Method::POST, "new_pings", r#"{"new_later":1,"partitionid":"q"}"#).await;
    let page = ok(&house, Method::GET, "new_pings?$filter=new_later eq 1", "").await;
    assert_eq!(page["value"][0]["partitionid"], "q");
    house.close().await;
}
