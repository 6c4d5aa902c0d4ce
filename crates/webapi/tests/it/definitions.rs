//! Definitions: making and reading them.

use crate::service::{ORIGIN, ROOT, Service};
use serde_json::{Value, json};

#[tokio::test]
async fn what_clients_read_first_about_a_table_is_there() {
    let service = Service::with_crates().await;
    let select = "$select=MetadataId,LogicalName,SchemaName,EntitySetName,PrimaryNameAttribute,PrimaryIdAttribute";
    let head = format!(
        "GET /EntityDefinitions?{select}&$filter=LogicalName+eq+'new_crate'\nConsistency: Strong"
    );
    let got = service.ok(&head, "").await;
    let table = &got.json["value"][0];
    assert_eq!(table["EntitySetName"], "new_crates");
    assert_eq!(table["SchemaName"], "new_Crate");
    assert_eq!(table["PrimaryNameAttribute"], "new_label");
    assert_eq!(table["PrimaryIdAttribute"], "new_crateid");
    let none = service.ok("GET /EntityDefinitions?$filter=LogicalName eq 'nope'", "").await;
    assert_eq!(none.json["value"], json!([]));
    let one = service
        .ok("GET /EntityDefinitions(LogicalName='new_crate')?$select=EntitySetName", "")
        .await;
    let context = format!("{ORIGIN}{ROOT}/$metadata#EntityDefinitions(EntitySetName)/$entity");
    assert_eq!(one.json["@odata.context"], context);
    assert_eq!(one.json["EntitySetName"], "new_crates");
    let id = one.json["MetadataId"].as_str().expect("an id").to_owned();
    let by_id = service.ok(&format!("GET /EntityDefinitions({id})?$select=LogicalName"), "").await;
    assert_eq!(by_id.json["LogicalName"], "new_crate");
}

#[tokio::test]
async fn collections_of_a_table_are_expanded() {
    let service = Service::with_crates().await;
    let got = service
        .ok(
            "GET /EntityDefinitions(LogicalName='new_crate')?$select=LogicalName&$expand=Attributes($select=LogicalName,AttributeType;$filter=LogicalName eq 'new_weight'),Keys,ManyToOneRelationships($select=SchemaName),OneToManyRelationships",
            "",
        )
        .await;
    let columns = got.json["Attributes"].as_array().expect("columns");
    assert_eq!(columns.len(), 1, "{}", got.text);
    assert_eq!(columns[0]["AttributeType"], "Integer");
    assert_eq!(columns[0]["@odata.type"], "#Microsoft.Dynamics.CRM.IntegerAttributeMetadata");
    assert_eq!(got.json["Keys"][0]["KeyAttributes"], json!(["new_trackingno"]));
    let names: Vec<&Value> = got.json["ManyToOneRelationships"]
        .as_array()
        .expect("relationships")
        .iter()
        .map(|one| &one["SchemaName"])
        .collect();
    assert!(names.contains(&&json!("new_account_crate")), "{names:?}");
}

#[tokio::test]
async fn columns_are_read_by_name_type_and_filter() {
    let service = Service::with_crates().await;
    let base = "GET /EntityDefinitions(LogicalName='new_crate')/Attributes";
    let one = service.ok(&format!("{base}(LogicalName='new_label')?$select=SchemaName"), "").await;
    assert_eq!(one.json["@odata.type"], "#Microsoft.Dynamics.CRM.StringAttributeMetadata");
    let cast = format!(
        "{base}/Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)"
    );
    let choices = service.ok(&cast, "").await;
    let found = choices.json["value"].as_array().expect("list");
    assert_eq!(found[0]["LogicalName"], "new_color");
    assert_eq!(found[0]["OptionSet"]["Options"][1]["Value"], 2);
    assert_eq!(found[0]["@odata.type"], Value::Null);
    let plain = service
        .ok(&format!("{base}?$select=LogicalName&$filter=AttributeType ne 'Virtual' and IsPrimaryName eq true"), "")
        .await;
    assert_eq!(plain.column("LogicalName"), ["new_label"]);
    let required = service
        .ok(&format!("{base}?$select=LogicalName&$filter=RequiredLevel/Value eq Microsoft.Dynamics.CRM.AttributeRequiredLevel'None' and startswith(LogicalName,'NEW_W')"), "")
        .await;
    assert_eq!(required.column("LogicalName"), ["new_weight"]);
    service.refused(&format!("{base}?$select=Nope"), "", (400, "0x80060888", "'Nope'")).await;
    service.refused(&format!("{base}?$filter=Nope eq 1"), "", (400, "0x80060888", "'Nope'")).await;
}

#[tokio::test]
async fn new_definitions_answer_their_addresses() {
    let service = Service::with_crates().await;
    let column = r#"{"@odata.type":"Microsoft.Dynamics.CRM.IntegerAttributeMetadata","SchemaName":"new_Extra","DisplayName":{"LocalizedLabels":[{"Label":"Extra","LanguageCode":1033}]}}"#;
    let made =
        service.send("POST /EntityDefinitions(LogicalName='new_crate')/Attributes", column).await;
    assert_eq!(made.status, 204, "{}", made.text);
    let prefix = format!("{ORIGIN}{ROOT}/EntityDefinitions(LogicalName='new_crate')/Attributes(");
    assert!(made.header("odata-entityid").starts_with(&prefix));
    let id = made.id();
    let path = format!("GET /EntityDefinitions(LogicalName='new_crate')/Attributes({id})");
    assert_eq!(service.ok(&path, "").await.json["LogicalName"], "new_extra");
    service.ok("POST /new_crates", r#"{"new_extra":5}"#).await;
    service
        .refused(
            "POST /EntityDefinitions(LogicalName='new_crate')/Attributes",
            column,
            (400, "0x80047013", ""),
        )
        .await;
    let tables = r#"{"Entities":[{"@odata.type":"Microsoft.Dynamics.CRM.ComplexEntityMetadata","SchemaName":"new_Box","DisplayName":{"LocalizedLabels":[{"Label":"Box","LanguageCode":1033}]},"DisplayCollectionName":{"LocalizedLabels":[{"Label":"Boxes","LanguageCode":1033}]},"OwnershipType":"UserOwned","Attributes":[{"@odata.type":"Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata","SchemaName":"new_Name","IsPrimaryName":true,"MaxLength":100,"DisplayName":{"LocalizedLabels":[{"Label":"Name","LanguageCode":1033}]}}]}]}"#;
    let made = service.ok("POST /CreateEntities", tables).await;
    assert_eq!(made.json["EntityIds"].as_array().expect("ids").len(), 1);
    service.ok("POST /new_boxes", r#"{"new_name":"x"}"#).await;
    let other = "POST /CreateEntities?SolutionUniqueName=mine";
    service.refused(other, tables, (501, "0x80040219", "'mine'")).await;
}

#[tokio::test]
async fn relationships_are_found_by_name() {
    let service = Service::with_crates().await;
    let got = service
        .ok("GET /RelationshipDefinitions?$filter=SchemaName+eq+'new_account_crate'", "")
        .await;
    let one = &got.json["value"][0];
    assert_eq!(one["@odata.type"], "#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata");
    assert_eq!(one["ReferencingEntityNavigationPropertyName"], "new_Holder");
    let path = "GET /RelationshipDefinitions(SchemaName='new_account_crate')?$select=SchemaName";
    assert_eq!(service.ok(path, "").await.json["SchemaName"], "new_account_crate");
}

#[tokio::test]
async fn a_count_of_tables_is_exact() {
    let service = Service::empty().await;
    let got = service
        .ok("GET /EntityDefinitions?$select=MetadataId,LogicalName,EntitySetName&$count=true", "")
        .await;
    let listed = got.json["value"].as_array().expect("list").len();
    assert_eq!(got.json["@odata.count"], listed);
    assert!(listed > 5);
}

#[tokio::test]
async fn what_definitions_cannot_do_is_named() {
    let service = Service::with_crates().await;
    let absent = (501, "0x80040219", "");
    let one = "/EntityDefinitions(LogicalName='new_crate')";
    service.refused(&format!("PUT {one}"), "{}", absent).await;
    service.refused(&format!("DELETE {one}"), "", absent).await;
    service.refused(&format!("PATCH {one}"), "{}", (405, "0x80060888", "PATCH")).await;
    service.refused(&format!("GET {one}/ManyToManyRelationships"), "", absent).await;
    service
        .refused(
            "GET /EntityDefinitions(LogicalName='nope')",
            "",
            (404, "0x80040217", "Could not find an entity with specified entity logicalname: nope"),
        )
        .await;
    let cast = "/Attributes(LogicalName='new_label')/Microsoft.Dynamics.CRM.MemoAttributeMetadata";
    service.refused(&format!("GET {one}{cast}"), "", (404, "0x80060888", "Memo")).await;
    let nested = "Attributes?$expand=OptionSet($filter=Name eq 'x')";
    service.refused(&format!("GET {one}/{nested}"), "", (400, "0x80060888", "OptionSet")).await;
    service.refused("GET /GlobalOptionSetDefinitions", "", absent).await;
    service.refused("POST /EntityDefinitions", "[]", (400, "0x80048d19", "")).await;
    service.refused("GET /EntityDefinitions?$orderby=x", "", (400, "0x80060888", "$orderby")).await;
}
