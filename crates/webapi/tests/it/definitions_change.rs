//! Definitions that change and go, choices, and what callers ask about definitions.

use crate::service::{ORIGIN, ROOT, Service};
use serde_json::{Value, json};

const CRATES: &str = "/EntityDefinitions(LogicalName='new_crate')";

fn label(text: &str) -> String {
    labels(&[(text, 1033)])
}

fn labels(texts: &[(&str, u16)]) -> String {
    let texts: Vec<String> = texts
        .iter()
        .map(|(text, language)| format!(r#"{{"Label":"{text}","LanguageCode":{language}}}"#))
        .collect();
    format!(r#"{{"LocalizedLabels":[{}]}}"#, texts.join(","))
}

fn column(kind: &str, name: &str, more: &str) -> String {
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"{name}","DisplayName":{}{more}}}"#,
        label(name)
    )
}

async fn get(service: &Service, path: &str) -> Value {
    service.ok(&format!("GET {path}"), "").await.json
}

/// What is read, changed, and put back whole.
async fn put_back(service: &Service, path: &str, change: impl FnOnce(&mut Value)) {
    let mut body = get(service, path).await;
    change(&mut body);
    let head = format!("PUT {path}\nIf-Match: *\nMSCRM.MergeLabels: true");
    let answer = service.send(&head, &body.to_string()).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
}

#[tokio::test]
async fn a_table_is_put_back_with_a_change() {
    let service = Service::with_crates().await;
    put_back(&service, CRATES, |body| {
        body["DisplayName"] = serde_json::from_str(&labels(&[("Kiste", 1031)])).expect("a label");
        body["IsAuditEnabled"]["Value"] = true.into();
    })
    .await;
    let got = get(&service, CRATES).await;
    let texts = got["DisplayName"]["LocalizedLabels"].as_array().expect("labels");
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(got["IsAuditEnabled"]["Value"], true);
    let body = format!(r#"{{"DisplayName":{}}}"#, label("Box"));
    service.ok(&format!("PUT {CRATES}"), &body).await;
    let got = get(&service, CRATES).await;
    assert_eq!(got["DisplayName"]["LocalizedLabels"].as_array().map(Vec::len), Some(1));
    assert_eq!(got["DisplayName"]["UserLocalizedLabel"]["Label"], "Box");
    for fixed in [
        r#"{"SchemaName":"new_Other"}"#,
        r#"{"EntitySetName":"others"}"#,
        r#"{"OwnershipType":"OrganizationOwned"}"#,
        r#"{"PrimaryIdAttribute":"new_other"}"#,
    ] {
        service
            .refused(&format!("PUT {CRATES}"), fixed, (400, "0x80040203", "cannot change"))
            .await;
    }
}

#[tokio::test]
async fn a_column_is_put_back_with_a_change() {
    let service = Service::with_crates().await;
    let attributes = format!("{CRATES}/Attributes");
    let text = format!(
        "{attributes}(LogicalName='new_label')/Microsoft.Dynamics.CRM.StringAttributeMetadata"
    );
    put_back(&service, &text, |body| {
        body["MaxLength"] = 300.into();
        body["IsAuditEnabled"]["Value"] = true.into();
    })
    .await;
    let got = get(&service, &text).await;
    assert_eq!(got["MaxLength"], 300);
    assert_eq!(got["IsAuditEnabled"]["Value"], true);
    let long = format!(r#"{{"new_label":"{}"}}"#, "x".repeat(300));
    service.ok("POST /new_crates", &long).await;
    let number = format!("{attributes}(LogicalName='new_weight')");
    put_back(&service, &number, |body| body["MaxValue"] = 9.into()).await;
    service.refused("POST /new_crates", r#"{"new_weight":10}"#, (400, "0x8004432f", "")).await;
    for name in ["createdon", "ownerid", "statecode", "new_crateid", "new_color", "versionnumber"] {
        put_back(&service, &format!("{attributes}(LogicalName='{name}')"), |_| {}).await;
    }
    let other = r#"{"@odata.type":"Microsoft.Dynamics.CRM.MemoAttributeMetadata"}"#;
    let put = format!("PUT {attributes}(LogicalName='new_label')");
    service.refused(&put, other, (400, "0x80040203", "type")).await;
    service.refused(&put, r#"{"MaxLength":10}"#, (400, "0x80040203", "shrink")).await;
    service.refused(&put, r#"{"SchemaName":"new_x"}"#, (400, "0x80040203", "SchemaName")).await;
}

#[tokio::test]
async fn a_relationship_is_put_back_with_a_change() {
    let service = Service::with_crates().await;
    let one = "/RelationshipDefinitions(SchemaName='new_account_crate')";
    put_back(&service, one, |body| {
        body["CascadeConfiguration"]["Delete"] = "Restrict".into();
        body["AssociatedMenuConfiguration"]["Behavior"] = "DoNotDisplay".into();
    })
    .await;
    let got = get(&service, one).await;
    assert_eq!(got["CascadeConfiguration"]["Delete"], "Restrict");
    assert_eq!(got["AssociatedMenuConfiguration"]["Behavior"], "DoNotDisplay");
    let account = service.ok("POST /accounts", r#"{"name":"A"}"#).await.id();
    let body = format!(r#"{{"new_Holder@odata.bind":"/accounts({account})"}}"#);
    service.ok("POST /new_crates", &body).await;
    service.refused(&format!("DELETE /accounts({account})"), "", (405, "0x80040227", "")).await;
    let fixed = r#"{"ReferencedEntity":"contact"}"#;
    service.refused(&format!("PUT {one}"), fixed, (400, "0x80040203", "cannot change")).await;
    let system = "PUT /RelationshipDefinitions(SchemaName='account_parent_account')";
    let cascade = r#"{"CascadeConfiguration":{"Delete":"Cascade"}}"#;
    service.refused(system, cascade, (400, "0x80040203", "system")).await;
}

#[tokio::test]
async fn a_dropped_table_is_gone_with_everything_about_it() {
    let service = Service::with_crates().await;
    service.ok("POST /new_crates", r#"{"new_label":"A"}"#).await;
    let lookup = r#"{"@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_crate_account","ReferencedEntity":"new_crate","ReferencingEntity":"account","Lookup":{"SchemaName":"new_CrateId","DisplayName":{"LocalizedLabels":[]}}}"#;
    service.ok("POST /RelationshipDefinitions", lookup).await;
    let pairs = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_crate_contact","Entity1LogicalName":"new_crate","Entity2LogicalName":"contact"}"#;
    service.ok("POST /RelationshipDefinitions", pairs).await;
    service.ok(&format!("DELETE {CRATES}"), "").await;
    service.refused(&format!("GET {CRATES}"), "", (404, "0x80040217", "new_crate")).await;
    service.refused("GET /new_crates", "", (404, "0x80060888", "new_crates")).await;
    service.refused("GET /new_crate_contactset", "", (404, "0x80060888", "")).await;
    service.refused("GET /accounts?$select=_new_crateid_value", "", (400, "0x80060888", "")).await;
    let filters = "GET /sdkmessagefilters?$filter=primaryobjecttypecode eq 'new_crate'";
    assert_eq!(service.ok(filters, "").await.json["value"], json!([]));
    let named =
        get(&service, "/RelationshipDefinitions?$filter=ReferencedEntity eq 'new_crate'").await;
    assert_eq!(named["value"], json!([]));
    // The name is free again, and nothing of the old rows is there.
    let again = Service::with_crates().await;
    again.ok(&format!("DELETE {CRATES}"), "").await;
    again
        .refused("DELETE /EntityDefinitions(LogicalName='account')", "", (400, "0x80044250", ""))
        .await;
    let intersect = "DELETE /EntityDefinitions(LogicalName='teamroles')";
    again.refused(intersect, "", (400, "0x80044250", "")).await;
}

#[tokio::test]
async fn an_elastic_table_is_dropped_with_its_rows() {
    let service = Service::empty().await;
    let table = format!(
        r#"{{"SchemaName":"new_Ping","DisplayName":{0},"DisplayCollectionName":{0},"OwnershipType":"UserOwned","TableType":"Elastic","Attributes":[{1}]}}"#,
        label("Ping"),
        column("String", "new_Name", r#","IsPrimaryName":true"#)
    );
    service.ok("POST /EntityDefinitions", &table).await;
    service.ok("POST /new_pings", r#"{"new_name":"A"}"#).await;
    service.ok("DELETE /EntityDefinitions(LogicalName='new_ping')", "").await;
    service.ok("POST /EntityDefinitions", &table).await;
    assert_eq!(get(&service, "/new_pings").await["value"], json!([]));
}

#[tokio::test]
async fn a_dropped_column_is_gone_and_what_others_need_stays() {
    let service = Service::with_crates().await;
    service.ok("POST /new_crates", r#"{"new_label":"A","new_weight":3,"new_price":1}"#).await;
    let of = |name: &str| format!("DELETE {CRATES}/Attributes(LogicalName='{name}')");
    service.ok(&of("new_weight"), "").await;
    service.refused("GET /new_crates?$select=new_weight", "", (400, "0x80060888", "")).await;
    service.ok(&of("new_price"), "").await;
    service.refused("GET /new_crates?$select=new_price_base", "", (400, "0x80060888", "")).await;
    let row = &get(&service, "/new_crates").await["value"][0];
    assert_eq!(row["new_label"], "A");
    service.refused(&of("new_label"), "", (400, "0x80047002", "")).await;
    service.refused(&of("new_crateid"), "", (400, "0x80044250", "")).await;
    service.refused(&of("createdon"), "", (400, "0x80044250", "")).await;
    service.refused(&of("new_trackingno"), "", (400, "0x8004f01f", "")).await;
    service.refused(&of("new_holder"), "", (400, "0x8004f01f", "")).await;
    let keys = format!("DELETE {CRATES}/Keys(LogicalName='new_trackingkey')");
    service.ok(&keys, "").await;
    service.ok(&of("new_trackingno"), "").await;
    service.ok("DELETE /RelationshipDefinitions(LogicalName='new_account_crate')", "").await;
    service.refused("GET /new_crates?$select=_new_holder_value", "", (400, "0x80060888", "")).await;
    let system = "DELETE /RelationshipDefinitions(SchemaName='account_parent_account')";
    service.refused(system, "", (400, "0x80044250", "")).await;
    service.refused(&of("new_weight"), "", (404, "0x80040217", "")).await;
    let file = column("File", "new_Scan", "");
    service.ok(&format!("POST {CRATES}/Attributes"), &file).await;
    service.refused(&of("new_scan_name"), "", (400, "0x80044250", "")).await;
    service.ok(&of("new_scan"), "").await;
    service.refused("GET /new_crates?$select=new_scan_name", "", (400, "0x80060888", "")).await;
}

const COLORS: &str = r##"{"@odata.type":"Microsoft.Dynamics.CRM.OptionSetMetadata","Name":"new_colors","DisplayName":{"LocalizedLabels":[{"Label":"Colors","LanguageCode":1033}]},"OptionSetType":"Picklist","IsGlobal":true,"Options":[{"Value":1,"Color":"#ff0000","Label":{"LocalizedLabels":[{"Label":"Red","LanguageCode":1033}]}},{"Value":2,"Label":{"LocalizedLabels":[{"Label":"Blue","LanguageCode":1033}]}}]}"##;

#[tokio::test]
async fn a_global_choice_is_shared_by_columns() {
    let service = Service::with_crates().await;
    let made = service.ok("POST /GlobalOptionSetDefinitions", COLORS).await;
    let prefix = format!("{ORIGIN}{ROOT}/GlobalOptionSetDefinitions(");
    assert!(made.header("odata-entityid").starts_with(&prefix));
    let id = made.id();
    let bind = format!(r#","GlobalOptionSet@odata.bind":"/GlobalOptionSetDefinitions({id})""#);
    let post = format!("POST {CRATES}/Attributes");
    service.ok(&post, &column("Picklist", "new_Paint", &bind)).await;
    let by_name = r#","GlobalOptionSet@odata.bind":"/GlobalOptionSetDefinitions(Name='new_colors')","DefaultFormValue":2"#;
    service.ok(&post, &column("Picklist", "new_Trim", by_name)).await;
    let row =
        service.ok("POST /new_crates\nPrefer: return=representation", r#"{"new_paint":1}"#).await;
    assert_eq!(row.json["new_trim"], 2);
    service.refused("POST /new_crates", r#"{"new_paint":3}"#, (400, "0x8004431a", "")).await;
    let paint = format!(
        "{CRATES}/Attributes(LogicalName='new_paint')/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    );
    let got =
        get(&service, &format!("{paint}?$select=LogicalName&$expand=OptionSet,GlobalOptionSet"))
            .await;
    assert_eq!(got["GlobalOptionSet"]["Name"], "new_colors");
    assert_eq!(got["OptionSet"]["IsGlobal"], true);
    let set = get(&service, &format!("{paint}/OptionSet?$select=Options")).await;
    assert_eq!(set["Options"][0]["Color"], "#ff0000");
    assert_eq!(set.get("Name"), None);
    let insert = format!(r#"{{"OptionSetName":"new_colors","Label":{}}}"#, label("Green"));
    let inserted = service.ok("POST /InsertOptionValue", &insert).await;
    assert_eq!(inserted.json["NewOptionValue"], 100_000_000);
    service.ok("POST /new_crates", r#"{"new_paint":100000000}"#).await;
    let delete = r#"{"OptionSetName":"new_colors","Value":2}"#;
    service.ok("POST /DeleteOptionValue", delete).await;
    service.refused("POST /new_crates", r#"{"new_paint":2}"#, (400, "0x8004431a", "")).await;
    let row = service.ok("POST /new_crates\nPrefer: return=representation", "{}").await;
    assert_eq!(row.json["new_trim"], Value::Null, "the default went with the option");
    let cast =
        "/GlobalOptionSetDefinitions(Name='new_colors')/Microsoft.Dynamics.CRM.OptionSetMetadata";
    put_back(&service, cast, |body| {
        body["DisplayName"] = serde_json::from_str(&label("Paints")).expect("a label");
    })
    .await;
    let got = get(&service, cast).await;
    assert_eq!(got["DisplayName"]["UserLocalizedLabel"]["Label"], "Paints");
    assert_eq!(got["Options"].as_array().map(Vec::len), Some(2));
    service.refused("POST /GlobalOptionSetDefinitions", COLORS, (400, "0x80044345", "")).await;
    let delete = format!("DELETE /GlobalOptionSetDefinitions({id})");
    service.refused(&delete, "", (400, "0x8004f01f", "")).await;
    for name in ["new_paint", "new_trim"] {
        service.ok(&format!("DELETE {CRATES}/Attributes(LogicalName='{name}')"), "").await;
    }
    service.ok(&delete, "").await;
    assert_eq!(get(&service, "/GlobalOptionSetDefinitions").await["value"], json!([]));
}

#[tokio::test]
async fn options_of_a_column_change_one_by_one() {
    let service = Service::with_crates().await;
    let of = r#""EntityLogicalName":"new_crate","AttributeLogicalName":"new_color""#;
    let options = format!(
        "{CRATES}/Attributes(LogicalName='new_color')/Microsoft.Dynamics.CRM.PicklistAttributeMetadata/OptionSet"
    );
    let values = async || -> Vec<i64> {
        let set = get(&service, &options).await;
        set["Options"]
            .as_array()
            .expect("options")
            .iter()
            .filter_map(|one| one["Value"].as_i64())
            .collect()
    };
    let before = values().await;
    let insert = format!(r#"{{{of},"Value":77,"Label":{}}}"#, label("New"));
    assert_eq!(service.ok("POST /InsertOptionValue", &insert).await.json["NewOptionValue"], 77);
    service.refused("POST /InsertOptionValue", &insert, (400, "0x80040203", "77")).await;
    let update =
        format!(r#"{{{of},"Value":77,"Label":{},"MergeLabels":true}}"#, labels(&[("Neu", 1031)]));
    assert_eq!(service.send("POST /UpdateOptionValue", &update).await.status, 204);
    let set = get(&service, &options).await;
    let last = set["Options"].as_array().and_then(|all| all.last()).expect("options");
    assert_eq!(last["Label"]["LocalizedLabels"].as_array().map(Vec::len), Some(2));
    let mut order = values().await;
    order.reverse();
    let body = format!(r#"{{{of},"Values":{}}}"#, json!(order));
    service.ok("POST /OrderOption", &body).await;
    assert_eq!(values().await, order);
    let short = format!(r#"{{{of},"Values":[77]}}"#);
    service.refused("POST /OrderOption", &short, (400, "0x80040203", "")).await;
    service.ok("POST /DeleteOptionValue", &format!(r#"{{{of},"Value":77}}"#)).await;
    assert_eq!(values().await.len(), before.len());
    let status = r#""EntityLogicalName":"new_crate","AttributeLogicalName":"statuscode""#;
    let insert = format!(r#"{{{status},"StateCode":1,"Value":5,"Label":{}}}"#, label("Lost"));
    assert_eq!(service.ok("POST /InsertStatusValue", &insert).await.json["NewOptionValue"], 5);
    service.ok("POST /new_crates", r#"{"statecode":1,"statuscode":5}"#).await;
    let default = format!(r#"{{{status},"Value":1}}"#);
    service.refused("POST /DeleteOptionValue", &default, (400, "0x80044341", "")).await;
    let state = r#""EntityLogicalName":"new_crate","AttributeLogicalName":"statecode""#;
    let update =
        format!(r#"{{{state},"Value":1,"Label":{},"DefaultStatusCode":5}}"#, label("Gone"));
    service.ok("POST /UpdateStateValue", &update).await;
    let row =
        service.ok("POST /new_crates\nPrefer: return=representation", r#"{"statecode":1}"#).await;
    assert_eq!(row.json["statuscode"], 5);
    let nothing = format!(r#"{{"OptionSetName":"new_none","Value":1,"Label":{}}}"#, label("x"));
    service.refused("POST /InsertOptionValue", &nothing, (404, "0x80040217", "new_none")).await;
    service.refused("POST /DeleteOptionValue", r#"{"Value":1}"#, (400, "0x80040203", "")).await;
}

#[tokio::test]
async fn lookups_to_several_tables_come_with_their_relationships() {
    let service = Service::with_crates().await;
    let body = r#"{"OneToManyRelationships":[{"SchemaName":"new_crate_topic_account","ReferencedEntity":"account","ReferencingEntity":"new_crate"},{"SchemaName":"new_crate_topic_contact","ReferencedEntity":"contact","ReferencingEntity":"new_crate","CascadeConfiguration":{"Delete":"Cascade"}}],"Lookup":{"@odata.type":"Microsoft.Dynamics.CRM.ComplexLookupAttributeMetadata","SchemaName":"new_Topic","DisplayName":{"LocalizedLabels":[]}}}"#;
    let made = service.ok("POST /CreatePolymorphicLookupAttribute", body).await;
    assert_eq!(made.json["RelationshipIds"].as_array().map(Vec::len), Some(2));
    let id = made.json["AttributeId"].as_str().expect("an id");
    let got = get(&service, &format!("{CRATES}/Attributes({id})")).await;
    assert_eq!(got["Targets"], json!(["account", "contact"]));
    let contact = service.ok("POST /contacts", r#"{"lastname":"B"}"#).await.id();
    let row = format!(r#"{{"new_Topic_contact@odata.bind":"/contacts({contact})"}}"#);
    service.ok("POST /new_crates", &row).await;
    service.ok(&format!("DELETE /contacts({contact})"), "").await;
    assert_eq!(get(&service, "/new_crates").await["value"], json!([]), "it went with the contact");
    service.ok("DELETE /RelationshipDefinitions(SchemaName='new_crate_topic_contact')", "").await;
    let got = get(&service, &format!("{CRATES}/Attributes({id})")).await;
    assert_eq!(got["Targets"], json!(["account"]));
    let customer = body.replace("topic", "buyer").replace("new_Topic", "new_Buyer");
    let made = service.ok("POST /CreateCustomerRelationships", &customer).await;
    let id = made.json["AttributeId"].as_str().expect("an id");
    let got = get(&service, &format!("{CRATES}/Attributes({id})?$select=AttributeType")).await;
    assert_eq!(got["AttributeType"], "Customer");
    let wrong = customer
        .replace("\"contact\"", "\"team\"")
        .replace("buyer", "other")
        .replace("Buyer", "Other");
    service
        .refused("POST /CreateCustomerRelationships", &wrong, (400, "0x80040203", "customer"))
        .await;
}

#[tokio::test]
async fn what_callers_ask_about_definitions_is_answered() {
    let service = Service::with_crates().await;
    let can = get(&service, "/CanBeReferenced(EntityName='new_crate')").await;
    assert_eq!(can["CanBeReferenced"], true);
    let can = get(&service, "/CanManyToMany(EntityName=@t)?@t='teamroles'").await;
    assert_eq!(can["CanManyToMany"], false);
    let valid = get(&service, "/GetValidManyToMany()").await;
    assert!(valid["EntityNames"].as_array().expect("names").contains(&json!("new_crate")));
    let valid =
        get(&service, "/GetValidReferencedEntities(ReferencingEntityName='new_crate')").await;
    assert!(valid["EntityNames"].as_array().expect("names").contains(&json!("account")));
    service.refused("GET /CanBeReferencing(EntityName='x')", "", (404, "0x80040217", "x")).await;
    service.refused("GET /CanBeReferencing", "", (400, "0x80060888", "")).await;
    let languages = get(&service, "/RetrieveAvailableLanguages").await;
    assert_eq!(languages["LocaleIds"], json!([1033]));
    let xml = r#"{"ParameterXml":"<importexportxml/>"}"#;
    assert_eq!(service.send("POST /PublishXml", xml).await.status, 204);
    assert_eq!(service.send("POST /PublishAllXml", "").await.status, 204);
    service.refused("POST /PublishXml", "{}", (400, "0x80040203", "ParameterXml")).await;
    let key = r#"{"EntityLogicalName":"new_crate","EntityKeyLogicalName":"new_trackingkey"}"#;
    service.refused("POST /ReactivateEntityKey", key, (400, "0x80060897", "")).await;
    let none = key.replace("new_trackingkey", "new_nokey");
    service.refused("POST /ReactivateEntityKey", &none, (404, "0x80040217", "new_nokey")).await;
    assert_eq!(get(&service, "/ManagedPropertyDefinitions").await["value"], json!([]));
}

#[tokio::test]
async fn definitions_are_retrieved_by_criteria() {
    let service = Service::with_crates().await;
    let query = r#"{"Properties":{"AllProperties":false,"PropertyNames":["LogicalName","Attributes"]},"Criteria":{"FilterOperator":"And","Conditions":[{"PropertyName":"LogicalName","ConditionOperator":"Equals","Value":{"Type":"System.String","Value":"new_crate"}}]},"AttributeQuery":{"Properties":{"PropertyNames":["LogicalName","AttributeType","MaxLength"]},"Criteria":{"FilterOperator":"Or","Conditions":[{"PropertyName":"LogicalName","ConditionOperator":"In","Value":{"Type":"System.String[]","Value":["new_label","new_weight"]}}]}}}"#;
    let encoded = query
        .replace('"', "%22")
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('[', "%5B")
        .replace(']', "%5D");
    let got = get(&service, &format!("/RetrieveMetadataChanges(Query=@p1)?@p1={encoded}")).await;
    let tables = got["EntityMetadata"].as_array().expect("tables");
    assert_eq!(tables.len(), 1, "{got}");
    let columns = tables[0]["Attributes"].as_array().expect("columns");
    assert_eq!(columns.len(), 2);
    assert_eq!(columns[0]["@odata.type"], "#Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata");
    assert_eq!(columns[0]["MaxLength"], 100);
    assert_eq!(columns[1].get("MaxLength"), None);
    assert_eq!(tables[0]["HasChanged"], Value::Null);
    assert_eq!(tables[0].get("SchemaName"), None);
    let none = encoded.replace("new_crate", "new_none");
    let got = get(&service, &format!("/RetrieveMetadataChanges(Query=@p1)?@p1={none}")).await;
    assert_eq!(got["EntityMetadata"], json!([]));
    let without = encoded.replace(",%22Attributes%22", "");
    let head = format!("GET /RetrieveMetadataChanges(Query=@p1)?@p1={without}");
    service.refused(&head, "", (400, "0x80072527", "")).await;
    let bad = encoded.replace("Equals", "Resembles");
    let head = format!("GET /RetrieveMetadataChanges(Query=@p1)?@p1={bad}");
    service.refused(&head, "", (400, "0x80040203", "Resembles")).await;
}

#[tokio::test]
async fn a_definition_joins_the_solution_that_is_named() {
    let service = Service::with_crates().await;
    let publisher = service
        .ok(
            "POST /publishers",
            r#"{"friendlyname":"Ship","uniquename":"ship","customizationprefix":"ship"}"#,
        )
        .await
        .id();
    let solution = format!(
        r#"{{"friendlyname":"Harbour","uniquename":"harbour","version":"1.0.0.0","publisherid@odata.bind":"/publishers({publisher})"}}"#
    );
    let solution = service.ok("POST /solutions", &solution).await.id();
    let post = format!("POST {CRATES}/Attributes\nMSCRM.SolutionUniqueName: harbour");
    let made = service.ok(&post, &column("Integer", "ship_Draft", "")).await;
    let rows =
        get(&service, &format!("/solutioncomponents?$filter=_solutionid_value eq {solution}"))
            .await;
    assert_eq!(rows["value"][0]["objectid"], made.id().to_string());
    assert_eq!(rows["value"][0]["componenttype"], 2);
    service.refused(&post, &column("Integer", "new_Draft", ""), (400, "0x80044366", "ship")).await;
    let nowhere = post.replace("harbour", "nowhere");
    let other = column("Integer", "ship_Other", "");
    service.refused(&nowhere, &other, (404, "0x80040217", "nowhere")).await;
}

#[tokio::test]
async fn a_new_definition_is_shown_where_that_is_preferred() {
    let service = Service::with_crates().await;
    let post = format!("POST {CRATES}/Attributes\nPrefer: return=representation");
    let made = service.send(&post, &column("Integer", "new_Count", "")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json["LogicalName"], "new_count");
    assert_eq!(made.json["@odata.type"], "#Microsoft.Dynamics.CRM.IntegerAttributeMetadata");
    assert!(made.header("odata-entityid").contains("/Attributes("));
    assert_eq!(made.header("preference-applied"), "return=representation");
}

#[tokio::test]
async fn a_table_tells_its_privileges() {
    let service = Service::with_crates().await;
    let got = get(&service, &format!("{CRATES}?$select=Privileges")).await;
    let all = got["Privileges"].as_array().expect("privileges");
    assert_eq!(all.len(), 8);
    assert_eq!(all[0]["Name"], "prvCreatenew_Crate");
    assert_eq!(all[0]["PrivilegeType"], "Create");
    let id = all[0]["PrivilegeId"].as_str().expect("an id");
    assert_eq!(id, model::privilege_id("prvCreatenew_Crate").to_string());
    let pairs =
        get(&service, "/EntityDefinitions(LogicalName='teamroles')?$select=Privileges").await;
    assert_eq!(pairs["Privileges"], json!([]));
}
