//! Definitions of elastic tables: what they bring, and what they refuse.
//!
//! Source: bulk.md 7.1, 7.10.

use crate::service::{Answer, Service};
use serde_json::Value;

/// `new_ping`: source (name), value, payload (JSON), and a lookup to an account.
pub(crate) async fn with_pings() -> Service {
    let service = Service::empty().await;
    service.ok("POST /EntityDefinitions", &ping("")).await;
    service.ok("POST /RelationshipDefinitions", &relationship("new_ping", "account", LINK)).await;
    service
}

const LINK: &str = r#""CascadeConfiguration":{"Delete":"NoCascade"},"#;

fn label(text: &str) -> String {
    format!(r#"{{"LocalizedLabels":[{{"Label":"{text}","LanguageCode":1033}}]}}"#)
}

fn attribute(kind: &str, name: &str, more: &str) -> String {
    let label = label(name);
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"{name}","DisplayName":{label}{more}}}"#
    )
}

fn ping(more: &str) -> String {
    let columns = [
        attribute("String", "new_Source", r#","IsPrimaryName":true,"MaxLength":100"#),
        attribute("Integer", "new_Value", r#","MinValue":-100,"MaxValue":1000"#),
        attribute("String", "new_Payload", r#","MaxLength":4000,"FormatName":{"Value":"Json"}"#),
        attribute("Memo", "new_Blob", r#","MaxLength":1048576"#),
    ];
    let (one, many) = (label("Ping"), label("Pings"));
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"new_Ping","TableType":"Elastic","OwnershipType":"UserOwned","IsActivity":false,"DisplayName":{one},"DisplayCollectionName":{many},"HasActivities":false,"HasNotes":false,"Attributes":[{}{more}]}}"#,
        columns.join(",")
    )
}

fn relationship(from: &str, to: &str, cascade: &str) -> String {
    let label = label("Holder");
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_{to}_{from}","ReferencedEntity":"{to}","ReferencedAttribute":"{to}id","ReferencingEntity":"{from}",{cascade}"Lookup":{{"@odata.type":"Microsoft.Dynamics.CRM.LookupAttributeMetadata","SchemaName":"new_To{to}","DisplayName":{label}}}}}"#
    )
}

fn named<'a>(list: &'a Answer, name: &str) -> Option<&'a Value> {
    let items = list.json["value"].as_array().expect("a list");
    items.iter().find(|item| item["LogicalName"] == name)
}

const PING: &str = "/EntityDefinitions(LogicalName='new_ping')";

#[tokio::test]
async fn an_elastic_table_brings_partition_time_to_live_and_one_key() {
    let service = with_pings().await;
    let table = service.ok(&format!("GET {PING}"), "").await;
    assert_eq!(table.json["TableType"], "Elastic");
    assert_eq!(table.json["DataProviderId"], "1d9bde74-9ebd-4da9-8ff5-aa74945b9f74");
    assert_eq!(table.json["IsOptimisticConcurrencyEnabled"], true);
    let columns = service.ok(&format!("GET {PING}/Attributes"), "").await;
    let partition = named(&columns, "partitionid").expect("a partition");
    assert_eq!(partition["SchemaName"], "PartitionId");
    assert_eq!(partition["IsValidForUpdate"], false);
    let seconds = named(&columns, "ttlinseconds").expect("a time to live");
    assert_eq!(seconds["SchemaName"], "TTLInSeconds");
    assert_eq!(seconds["DisplayName"]["LocalizedLabels"][0]["Label"], "Time to live");
    for absent in ["statecode", "statuscode"] {
        assert!(named(&columns, absent).is_none(), "{absent}");
    }
    let keys = service.ok(&format!("GET {PING}/Keys"), "").await;
    assert_eq!(keys.json["value"].as_array().map(Vec::len), Some(1));
    let key = &keys.json["value"][0];
    assert_eq!(key["SchemaName"], "KeyForNoSqlEntityWithPKPartitionId");
    assert_eq!(key["LogicalName"], "keyfornosqlentitywithpkpartitionid");
    assert_eq!(key["KeyAttributes"], serde_json::json!(["new_pingid", "partitionid"]));
    assert_eq!(key["EntityKeyIndexStatus"], "Active");
    assert_eq!(
        key["DisplayName"]["LocalizedLabels"][0]["Label"],
        "Entity key for NoSql Entity that contains PrimaryKey and PartitionId attributes"
    );
}

#[tokio::test]
async fn what_elastic_tables_do_not_have_is_refused_at_definition() {
    let service = with_pings().await;
    let no = (405, "0x80040315", "This action is not supported.");
    let other = |more: &str| ping(more).replace("new_Ping", "new_Pong");
    let option = format!(r#"{{"Value":1,"Label":{}}}"#, label("One"));
    let choices = format!(
        r#","OptionSet":{{"IsGlobal":false,"OptionSetType":"Picklist","Options":[{option}]}}"#
    );
    let money = attribute("Money", "new_Price", "");
    let several = attribute("MultiSelectPicklist", "new_Many", &choices);
    for column in [&money, &several] {
        service.refused("POST /EntityDefinitions", &other(&format!(",{column}")), no).await;
        service.refused(&format!("POST {PING}/Attributes"), column, no).await;
    }
    let key = format!(
        r#"{{"SchemaName":"new_Key","KeyAttributes":["new_value"],"DisplayName":{}}}"#,
        label("Key")
    );
    service.refused(&format!("POST {PING}/Keys"), &key, no).await;
    for cascade in ["Cascade", "Restrict"] {
        let cascade = format!(r#""CascadeConfiguration":{{"Delete":"{cascade}"}},"#);
        let body = relationship("new_ping", "contact", &cascade);
        service.refused("POST /RelationshipDefinitions", &body, no).await;
    }
    let body = relationship("account", "new_ping", LINK);
    service.refused("POST /RelationshipDefinitions", &body, no).await;
    let more = attribute("Decimal", "new_Level", r#","Precision":2"#);
    service.ok(&format!("POST {PING}/Attributes"), &more).await;
    service.ok("POST /new_pings", r#"{"new_level":1.5}"#).await;
}

#[tokio::test]
async fn numbers_with_a_format_and_files_are_refused() {
    let service = with_pings().await;
    let duration = attribute("Integer", "new_Minutes", r#","Format":"Duration""#);
    let number = attribute("String", "new_Number", r#","AutoNumberFormat":"{SEQNUM:4}""#);
    let (file, image) = (attribute("File", "new_Scan", ""), attribute("Image", "new_Face", ""));
    for column in [duration, number, file, image] {
        let no = (405, "0x80040315", "This action is not supported.");
        service.refused(&format!("POST {PING}/Attributes"), &column, no).await;
    }
}

#[tokio::test]
async fn availability_lists_the_four_bulk_messages() {
    let service = with_pings().await;
    let messages = service.ok("GET /sdkmessages?$select=name,sdkmessageid", "").await;
    let names = messages.column("name");
    let ids = messages.column("sdkmessageid");
    for name in ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"] {
        let place = names.iter().position(|other| other == name).expect("the message is there");
        let filter = format!(
            "_sdkmessageid_value eq {} and primaryobjecttypecode eq 'new_ping'",
            ids[place]
        );
        let path = format!("GET /sdkmessagefilters?$filter={}", filter.replace(' ', "%20"));
        let rows = service.ok(&path, "").await;
        assert_eq!(rows.column("sdkmessagefilterid").len(), 1, "{name}");
    }
}
