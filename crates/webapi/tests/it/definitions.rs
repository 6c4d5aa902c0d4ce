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
    service.refused(other, tables, (404, "0x80040217", "mine")).await;
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
    let one = "/EntityDefinitions(LogicalName='new_crate')";
    service.refused(&format!("PATCH {one}"), "{}", (405, "0x80060888", "PATCH")).await;
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
    service.refused("POST /EntityDefinitions", "[]", (400, "0x80048d19", "")).await;
    service.refused("GET /EntityDefinitions?$orderby=x", "", (400, "0x80060888", "$orderby")).await;
}

const PAIRS: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_crate_account","Entity1LogicalName":"new_crate","Entity2LogicalName":"account","IntersectEntityName":"new_Crate_Accounts","Entity1AssociatedMenuConfiguration":{"Behavior":"UseLabel","Group":"Sales","Order":10,"Label":{"LocalizedLabels":[{"Label":"Holders","LanguageCode":1033}]}}}"#;

#[tokio::test]
async fn a_many_to_many_relationship_makes_its_intersect_table() {
    let service = Service::with_crates().await;
    let made = service.ok("POST /RelationshipDefinitions", PAIRS).await;
    let prefix = format!("{ORIGIN}{ROOT}/RelationshipDefinitions(");
    assert!(made.header("odata-entityid").starts_with(&prefix));
    let by_id = service.ok(&format!("GET /RelationshipDefinitions({})", made.id()), "").await;
    let one = &by_id.json;
    assert_eq!(one["@odata.type"], "#Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata");
    assert_eq!(one["Entity1IntersectAttribute"], "new_crateid");
    assert_eq!(one["Entity2IntersectAttribute"], "accountid");
    assert_eq!(one["Entity1NavigationPropertyName"], "new_crate_account");
    assert_eq!(one["RelationshipType"], "ManyToManyRelationship");
    assert_eq!(one["Entity1AssociatedMenuConfiguration"]["Group"], "Sales");
    let of_account =
        "GET /EntityDefinitions(LogicalName='account')/ManyToManyRelationships?$select=SchemaName";
    assert_eq!(service.ok(of_account, "").await.column("SchemaName"), ["new_crate_account"]);
    let table = "GET /EntityDefinitions(LogicalName='new_crate_accounts')?$select=IsIntersect,EntitySetName,PrimaryIdAttribute&$expand=Attributes($select=LogicalName,AttributeType),Keys";
    let table = service.ok(table, "").await;
    assert_eq!(table.json["IsIntersect"], true);
    assert_eq!(table.json["PrimaryIdAttribute"], "new_crate_accountsid");
    let columns: Vec<(&str, &str)> = table.json["Attributes"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|one| (one["LogicalName"].as_str().unwrap(), one["AttributeType"].as_str().unwrap()))
        .collect();
    assert_eq!(
        columns,
        [
            ("new_crate_accountsid", "Uniqueidentifier"),
            ("new_crateid", "Uniqueidentifier"),
            ("accountid", "Uniqueidentifier"),
            ("versionnumber", "BigInt"),
        ]
    );
    let rows = service.ok("GET /new_crate_accountsset?$select=new_crateid,accountid", "").await;
    assert_eq!(rows.json["value"], json!([]));
    service.refused("POST /new_crate_accountsset", "{}", (405, "0x80040315", "")).await;
    service.refused("POST /RelationshipDefinitions", PAIRS, (400, "0x8004432b", "")).await;
    let expanded = "GET /EntityDefinitions(LogicalName='new_crate')?$select=LogicalName&$expand=ManyToManyRelationships($select=IntersectEntityName)";
    let expanded = service.ok(expanded, "").await;
    let name = &expanded.json["ManyToManyRelationships"][0]["IntersectEntityName"];
    assert_eq!(name, "new_crate_accounts");
}

#[tokio::test]
async fn the_two_sides_of_one_table_have_columns_of_their_own() {
    let service = Service::with_crates().await;
    let pairs = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_crate_crate","Entity1LogicalName":"new_crate","Entity2LogicalName":"new_crate"}"#;
    service.ok("POST /RelationshipDefinitions", pairs).await;
    let got = service.ok("GET /RelationshipDefinitions(SchemaName='new_crate_crate')", "").await;
    assert_eq!(got.json["Entity1IntersectAttribute"], "new_crateidone");
    assert_eq!(got.json["Entity2IntersectAttribute"], "new_crateidtwo");
    assert_eq!(got.json["IntersectEntityName"], "new_crate_crate");
}

#[tokio::test]
async fn the_systems_own_pairs_are_there() {
    let service = Service::empty().await;
    let cast = "GET /RelationshipDefinitions/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata?$select=SchemaName,IntersectEntityName";
    let got = service.ok(cast, "").await;
    assert_eq!(
        got.column("SchemaName"),
        [
            "roleprivileges_association",
            "systemuserroles_association",
            "teamroles_association",
            "teammembership_association",
        ]
    );
    service.ok("GET /systemuserrolescollection?$select=systemuserid,roleid", "").await;
    service
        .ok("GET /teammemberships?$filter=teamid eq 00000000-0000-0000-0000-000000000001", "")
        .await;
}

#[tokio::test]
async fn what_a_many_to_many_relationship_cannot_be_is_named() {
    let service = Service::with_crates().await;
    let post = "POST /RelationshipDefinitions";
    let unknown = PAIRS.replace("\"account\"", "\"new_nothing\"");
    service.refused(post, &unknown, (404, "0x80040217", "new_nothing")).await;
    let taken = PAIRS.replace("new_Crate_Accounts", "new_Crate");
    service.refused(post, &taken, (400, "0x8004700b", "")).await;
    let missing = PAIRS.replace("\"Entity2LogicalName\":\"account\",", "");
    service.refused(post, &missing, (400, "0x80040203", "Entity2LogicalName")).await;
    let group = PAIRS.replace("Sales", "Nowhere");
    service.refused(post, &group, (400, "0x80040203", "Nowhere")).await;
    let intersect = PAIRS.replace("\"account\"", "\"teamroles\"");
    service.refused(post, &intersect, (405, "0x80040315", "teamroles")).await;
}

fn column(kind: &str, name: &str, more: &str) -> String {
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"{name}","DisplayName":{{"LocalizedLabels":[{{"Label":"{name}","LanguageCode":1033}}]}}{more}}}"#
    )
}

#[tokio::test]
async fn files_and_images_have_their_columns_beside_them() {
    let service = Service::with_crates().await;
    let post = "POST /EntityDefinitions(LogicalName='new_crate')/Attributes";
    service.ok(post, &column("File", "new_Scan", "")).await;
    let image = r#","MaxSizeInKB":500,"CanStoreFullImage":true,"IsPrimaryImage":true"#;
    service.ok(post, &column("Image", "new_Photo", image)).await;
    let base = "GET /EntityDefinitions(LogicalName='new_crate')/Attributes";
    let file = service.ok(&format!("{base}(LogicalName='new_scan')"), "").await;
    assert_eq!(file.json["@odata.type"], "#Microsoft.Dynamics.CRM.FileAttributeMetadata");
    assert_eq!(file.json["AttributeType"], "Virtual");
    assert_eq!(file.json["AttributeTypeName"]["Value"], "FileType");
    assert_eq!(file.json["MaxSizeInKB"], 32_768);
    let image = service
        .ok(
            &format!(
                "{base}(LogicalName='new_photo')/Microsoft.Dynamics.CRM.ImageAttributeMetadata"
            ),
            "",
        )
        .await;
    assert_eq!(image.json["MaxSizeInKB"], 500);
    assert_eq!(image.json["CanStoreFullImage"], true);
    let table = "GET /EntityDefinitions(LogicalName='new_crate')?$select=PrimaryImageAttribute";
    assert_eq!(service.ok(table, "").await.json["PrimaryImageAttribute"], "new_photo");
    let row =
        service.ok("POST /new_crates\nPrefer: return=representation", r#"{"new_label":"A"}"#).await;
    for name in ["new_scan", "new_scan_name", "new_photo_timestamp", "new_photo_url", "new_photoid"]
    {
        assert_eq!(row.json.get(name), Some(&Value::Null), "{name}");
    }
    let scan = r#"{"new_scan":"00000000-0000-0000-0000-000000000001"}"#;
    service.refused("POST /new_crates", scan, (400, "0x80048d19", "")).await;
    let large = column("File", "new_Huge", r#","MaxSizeInKB":10485761"#);
    service.refused(post, &large, (400, "0x80040203", "MaxSizeInKB")).await;
}

#[tokio::test]
async fn flags_and_formats_of_columns_are_kept() {
    let service = Service::with_crates().await;
    let post = "POST /EntityDefinitions(LogicalName='new_crate')/Attributes";
    let more = r#","Format":"Duration","IsSecured":false,"IsAuditEnabled":{"Value":true},"IsValidForAdvancedFind":{"Value":false}"#;
    service.ok(post, &column("Integer", "new_Minutes", more)).await;
    let base = "GET /EntityDefinitions(LogicalName='new_crate')/Attributes";
    let got = service.ok(&format!("{base}(LogicalName='new_minutes')"), "").await;
    assert_eq!(got.json["Format"], "Duration");
    assert_eq!(got.json["IsSecured"], false);
    let secured = column("Integer", "new_Secret", r#","IsSecured":true"#);
    service.refused(post, &secured, (501, "0x80040219", "`IsSecured` `true`")).await;
    assert_eq!(got.json["IsAuditEnabled"]["Value"], true);
    assert_eq!(got.json["IsValidForAdvancedFind"]["Value"], false);
    assert_eq!(got.json["CreatedOn"], "2023-11-14T22:13:20Z");
    let unknown = column("Integer", "new_Other", r#","Format":"Weeks""#);
    service.refused(post, &unknown, (400, "0x80040203", "Weeks")).await;
    service.ok(post, &column("Memo", "new_Story", r#","FormatName":{"Value":"RichText"}"#)).await;
    let got = service.ok(&format!("{base}(LogicalName='new_story')"), "").await;
    assert_eq!(got.json["FormatName"]["Value"], "RichText");
    let tags = r#","DefaultFormValue":2,"OptionSet":{"Options":[{"Value":1},{"Value":2}]}"#;
    service.ok(post, &column("MultiSelectPicklist", "new_Tags", tags)).await;
    let row = service.ok("POST /new_crates\nPrefer: return=representation", "{}").await;
    assert_eq!(row.json["new_tags"], "2");
}
