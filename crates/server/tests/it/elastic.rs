//! Elastic tables beside each engine of standard tables: definitions there, rows elsewhere.

use crate::house::{Home, House};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// How often the state of a job is asked for before a test gives up.
const LOOKS_MAX: usize = 1_500;

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

fn pings(numbers: std::ops::Range<u32>) -> String {
    let target = |number| {
        json!({
            "@odata.type": "Microsoft.Dynamics.CRM.new_ping",
            "new_pingid": format!("9a111111-0000-4000-8000-{number:012}"),
            "partitionid": format!("p{}", number % 7),
            "new_source": if number % 10 == 9 { "new" } else { "old" },
        })
    };
    json!({"Targets": numbers.map(target).collect::<Vec<_>>()}).to_string()
}

const CREATE: &str = "new_pings/Microsoft.Dynamics.CRM.CreateMultiple";

async fn count(house: &House, filter: &str) -> usize {
    let page = ok(house, Method::GET, &format!("new_pings?$select=new_pingid{filter}"), "").await;
    page["value"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn an_elastic_store_of_its_own_keeps_its_rows_over_a_restart() {
    let elsewhere = Home::sqlite();
    let [_, postgres] = Home::each();
    for elastic in [elsewhere.choice(), postgres.choice()] {
        let choose = |options: &mut server::Options| options.elastic = Some(elastic.clone());
        let house = House::open_with(Home::sqlite(), choose).await;
        ok(&house, Method::POST, "EntityDefinitions", &table()).await;
        ok(&house, Method::POST, "accounts", r#"{"name":"Holder"}"#).await;
        let answer = ok(&house, Method::POST, CREATE, &pings(0..100)).await;
        assert_eq!(answer["Ids"].as_array().map(Vec::len), Some(100));
        let house = House::open_with(house.close().await, choose).await;
        assert_eq!(count(&house, "").await, 100);
        assert_eq!(count(&house, "&partitionId=p3").await, 14);
        assert_eq!(count(&house, "&$filter=new_source eq 'new'").await, 10);
        let one = "new_pings(new_pingid=9a111111-0000-4000-8000-000000000008,partitionid='p1')";
        assert_eq!(ok(&house, Method::GET, one, "").await["new_source"], "old");
        let accounts = ok(&house, Method::GET, "accounts?$select=name", "").await;
        assert_eq!(accounts["value"][0]["name"], "Holder");
        // Without its store the definitions are there and the rows are not: they lie elsewhere.
        let house = House::open(house.close().await).await;
        assert_eq!(count(&house, "").await, 0);
        house.close().await;
    }
}

#[tokio::test]
async fn a_bulk_delete_of_an_elastic_table_runs_in_the_background_and_goes_on_after_a_restart() {
    for home in Home::each() {
        let house = House::open(home).await;
        ok(&house, Method::POST, "EntityDefinitions", &table()).await;
        for first in (0..3_000).step_by(500) {
            ok(&house, Method::POST, CREATE, &pings(first..first + 500)).await;
        }
        let job = json!({
            "JobName": "Purge", "SendEmailNotification": false, "ToRecipients": [], "CCRecipients": [],
            "RecurrencePattern": "",
            "QuerySet": [{"EntityName": "new_ping", "Criteria": {"FilterOperator": "And", "Conditions": [
                {"AttributeName": "new_source", "Operator": "Equal",
                 "Values": [{"Value": "old", "Type": "System.String"}]}]}}],
        });
        let answer = ok(&house, Method::POST, "BulkDelete", &job.to_string()).await;
        let id = answer["JobId"].as_str().expect("an id").to_owned();
        let house = House::open(house.close().await).await;
        let path = format!(
            "bulkdeleteoperations?$select=successcount,failurecount,statecode,statuscode&$filter=_asyncoperationid_value eq {id}"
        );
        let mut last = serde_json::Value::Null;
        for _ in 0..LOOKS_MAX {
            last = ok(&house, Method::GET, &path, "").await["value"][0].clone();
            if last["statecode"] == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let numbers = [&last["statuscode"], &last["successcount"], &last["failurecount"]];
        assert_eq!(numbers, [30, 2_700, 0], "{last}");
        assert_eq!(count(&house, "").await, 300);
        assert_eq!(count(&house, "&$filter=new_source eq 'old'").await, 0);
        house.close().await;
    }
}
