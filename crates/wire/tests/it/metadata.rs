//! Definitions: bodies of new ones, reading them, and a client's table from an answer.

use super::fixture::{catalog, table_of};
use expect_test::{Expect, expect};
use model::{Column, ColumnKind, Table, TableDefinition};
use wire::metadata::{
    DecodedRelationship, Item, decode_column, decode_key, decode_relationship, decode_table,
    decode_tables, read_table, write_item, write_typed_item,
};

fn column(body: &str, want: &Expect) {
    let got = match decode_column(body.as_bytes()) {
        Ok(column) => format!(
            "{} {:?} {:?} {:?}",
            column.schema_name,
            column.display_name.shown(),
            column.required,
            column.kind
        ),
        Err(error) => error.to_string(),
    };
    want.assert_eq(&got);
}

/// A column of a type with more members.
fn typed(kind: &str, members: &str, want: &Expect) {
    let comma = if members.is_empty() { "" } else { "," };
    column(
        &format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"new_X"{comma}{members}}}"#
        ),
        want,
    );
}

#[test]
fn columns_have_the_defaults_of_their_type() {
    typed("String", "", &expect!["new_X None None Text { max_length: 100, format: Text }"]);
    typed("Memo", "", &expect!["new_X None None Memo { max_length: 2000, json: false }"]);
    typed("Integer", "", &expect!["new_X None None Integer { min: -2147483648, max: 2147483647 }"]);
    typed("BigInt", "", &expect!["new_X None None BigInt"]);
    typed(
        "Decimal",
        "",
        &expect!["new_X None None Decimal { precision: 2, min: -100000000000, max: 100000000000 }"],
    );
    typed(
        "Double",
        "",
        &expect![
            "new_X None None Double { precision: 2, min: -100000000000.0, max: 100000000000.0 }"
        ],
    );
    typed(
        "Money",
        "",
        &expect![
            "new_X None None Money { precision: 2, min: -922337203685477, max: 922337203685477 }"
        ],
    );
    typed(
        "Boolean",
        "",
        &expect![[
            r#"new_X None None Boolean { default: false, true_label: Label { texts: [LocalizedText { language: 1033, text: "Yes" }] }, false_label: Label { texts: [LocalizedText { language: 1033, text: "No" }] } }"#
        ]],
    );
    typed(
        "DateTime",
        "",
        &expect!["new_X None None DateTime { behavior: UserLocal, with_time: true }"],
    );
    typed("Picklist", "", &expect!["new_X None None Choice { options: [], default: None }"]);
    typed("MultiSelectPicklist", "", &expect!["new_X None None MultiChoice { options: [] }"]);
}

#[test]
fn columns_take_their_own_members() {
    column(
        r##"{"@odata.type":"#Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata","SchemaName":"new_Mail",
            "DisplayName":{"LocalizedLabels":[{"@odata.type":"Microsoft.Dynamics.CRM.LocalizedLabel","Label":"Mail","LanguageCode":1033}]},
            "RequiredLevel":{"Value":"ApplicationRequired","CanBeChanged":true},"MaxLength":4000,"FormatName":{"Value":"Email"},
            "AttributeTypeName":{"Value":"StringType"},"IsPrimaryName":false,"AutoNumberFormat":"","SomethingElse":{"a":[1]}}"##,
        &expect![[
            r#"new_Mail Some("Mail") ApplicationRequired Text { max_length: 4000, format: Email }"#
        ]],
    );
    column(
        r#"{"AttributeType":"Integer","SchemaName":"new_X","MinValue":-5,"MaxValue":5,"Format":"None","Description":null}"#,
        &expect!["new_X None None Integer { min: -5, max: 5 }"],
    );
    typed(
        "Memo",
        r#""FormatName":{"Value":"Json"},"MaxLength":1048576"#,
        &expect!["new_X None None Memo { max_length: 1048576, json: true }"],
    );
    typed(
        "Decimal",
        r#""MinValue":-0.5,"MaxValue":1e3,"Precision":10"#,
        &expect!["new_X None None Decimal { precision: 10, min: -0.5, max: 1000 }"],
    );
    typed(
        "Money",
        r#""PrecisionSource":0,"Precision":4,"MinValue":0.0"#,
        &expect!["new_X None None Money { precision: 4, min: 0.0, max: 922337203685477 }"],
    );
    typed(
        "Money",
        r#""PrecisionSource":1,"Precision":4"#,
        &expect![
            "new_X None None Money { precision: 2, min: -922337203685477, max: 922337203685477 }"
        ],
    );
    typed(
        "DateTime",
        r#""Format":"DateOnly""#,
        &expect!["new_X None None DateTime { behavior: UserLocal, with_time: false }"],
    );
    typed(
        "DateTime",
        r#""DateTimeBehavior":{"Value":"DateOnly"}"#,
        &expect!["new_X None None DateTime { behavior: DateOnly, with_time: false }"],
    );
    typed(
        "Picklist",
        r#""DefaultFormValue":100000001,"OptionSet":{"IsGlobal":false,"Options":[{"Value":100000000,"Label":{"LocalizedLabels":[]}},{"Label":{"LocalizedLabels":[{"Label":"B","LanguageCode":1033}]}}]}"#,
        &expect![[
            r#"new_X None None Choice { options: [ChoiceOption { value: 100000000, label: Label { texts: [] }, state: None, default_status: None, description: Label { texts: [] }, color: None, external_value: None }, ChoiceOption { value: 100000001, label: Label { texts: [LocalizedText { language: 1033, text: "B" }] }, state: None, default_status: None, description: Label { texts: [] }, color: None, external_value: None }], default: Some(100000001) }"#
        ]],
    );
}

#[test]
fn limits_beyond_those_of_the_type_are_refused_by_member() {
    typed(
        "String",
        r#""MaxLength":0"#,
        &expect!["definition refused at `MaxLength`: 0 is not within 1 and 4000"],
    );
    typed(
        "Memo",
        r#""MaxLength":1048577"#,
        &expect!["definition refused at `MaxLength`: 1048577 is not within 1 and 1048576"],
    );
    typed(
        "Integer",
        r#""MaxValue":2147483648"#,
        &expect!["definition refused at `MaxValue`: `2147483648` is no Int32"],
    );
    typed(
        "Integer",
        r#""MinValue":5,"MaxValue":4"#,
        &expect!["definition refused at `MinValue`: it is above MaxValue"],
    );
    typed(
        "Decimal",
        r#""MaxValue":100000000000.01"#,
        &expect!["definition refused at `MaxValue`: `100000000000.01` is beyond 100000000000"],
    );
    typed(
        "Decimal",
        r#""Precision":11"#,
        &expect!["definition refused at `Precision`: 11 is not within 0 and 10"],
    );
    typed(
        "Double",
        r#""Precision":6"#,
        &expect!["definition refused at `Precision`: 6 is not within 0 and 5"],
    );
    typed(
        "Money",
        r#""PrecisionSource":3"#,
        &expect!["definition refused at `PrecisionSource`: 3 is not within 0 and 2"],
    );
    typed(
        "DateTime",
        r#""Format":"DateAndTime","DateTimeBehavior":{"Value":"DateOnly"}"#,
        &expect![
            "definition refused at `Format`: `DateAndTime` does not go with the column's behaviour"
        ],
    );
    typed(
        "Picklist",
        r#""OptionSet":{"Options":[{"Value":1},{"Value":1}]}"#,
        &expect!["definition refused at `OptionSet.Options`: value 1 stands twice"],
    );
    typed(
        "Picklist",
        r#""DefaultFormValue":7"#,
        &expect!["definition refused at `DefaultFormValue`: no option is 7"],
    );
    typed(
        "String",
        r#""RequiredLevel":{"Value":"SystemRequired"}"#,
        &expect![
            "definition refused at `RequiredLevel`: only the system's columns are `SystemRequired`"
        ],
    );
    typed(
        "Lookup",
        "",
        &expect![
            "definition refused at `@odata.type`: a lookup is made by its relationship, at `RelationshipDefinitions`"
        ],
    );
}

#[test]
fn a_column_needs_a_name_and_a_type_of_its_own() {
    column("{}", &expect!["definition refused at `SchemaName`: it is missing"]);
    column(
        r#"{"SchemaName":"new_X"}"#,
        &expect!["definition refused at `@odata.type`: it is missing"],
    );
    column(
        r#"{"SchemaName":"new_X","@odata.type":"x"}"#,
        &expect!["definition refused at `@odata.type`: `x` is no column"],
    );
    column(
        r#"{"SchemaName":5}"#,
        &expect![
            "the body is no JSON object: invalid type: integer `5`, expected a string at line 1 column 15"
        ],
    );
    column("[]", &expect!["the body is no JSON object: expected an object"]);
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    typed("Hologram", "", &expect!["a column of type `Hologram` is not supported"]);
    typed("File", "", &expect!["new_X None None File { max_size_kb: 32768 }"]);
    typed(
        "Image",
        r#""MaxSizeInKB":30721"#,
        &expect!["definition refused at `MaxSizeInKB`: 30721 is not within 1 and 30720"],
    );
    typed(
        "Picklist",
        r#""GlobalOptionSet@odata.bind":"/GlobalOptionSetDefinitions(x)""#,
        &expect![
            "definition refused at `GlobalOptionSet@odata.bind`: `/GlobalOptionSetDefinitions(x)`"
        ],
    );
    typed(
        "Picklist",
        r#""OptionSet":{"IsGlobal":true}"#,
        &expect!["definition refused at `OptionSet.Name`: it is missing"],
    );
    typed(
        "String",
        r#""AutoNumberFormat":"{SEQNUM:4}""#,
        &expect!["new_X None None Text { max_length: 100, format: Text }"],
    );
    typed("String", r#""SourceType":1"#, &expect!["`SourceType` `1` is not supported"]);
    typed("Integer", r#""Format":"Weeks""#, &expect!["definition refused at `Format`: `Weeks`"]);
    typed(
        "String",
        r#""IsAuditEnabled":{"Value":false}"#,
        &expect!["new_X None None Text { max_length: 100, format: Text }"],
    );
}

const LABELS: &str = r#""DisplayName":{"LocalizedLabels":[{"Label":"Bank Account","LanguageCode":1033}]},
    "DisplayCollectionName":{"LocalizedLabels":[{"Label":"Bank Accounts","LanguageCode":1033}]}"#;
const NAME: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata","SchemaName":"new_Name","IsPrimaryName":true}"#;

fn table(members: &str, want: &Expect) {
    let got = match decode_table(format!("{{{members}}}").as_bytes()) {
        Ok(table) => format!(
            "{} {:?} {:?} {:?} {:?} notes={} activities={} tracking={:?} columns={}",
            table.schema_name,
            table.display_collection_name.shown(),
            table.ownership,
            table.kind,
            table.entity_set_name,
            table.has_notes,
            table.has_activities,
            table.change_tracking,
            table.columns.len(),
        ),
        Err(error) => error.to_string(),
    };
    want.assert_eq(&got);
}

#[test]
fn tables_are_decoded_with_their_columns() {
    table(
        &format!(
            r#""@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"new_BankAccount",{LABELS},"OwnershipType":"UserOwned","HasNotes":true,"IsActivity":false,"Attributes":[{NAME}]"#
        ),
        &expect![[
            r#"new_BankAccount Some("Bank Accounts") User Standard None notes=true activities=false tracking=None columns=1"#
        ]],
    );
    table(
        &format!(
            r#""SchemaName":"new_Ping","EntitySetName":"new_pingset",{LABELS},"OwnershipType":"OrganizationOwned","TableType":"Elastic","ChangeTrackingEnabled":false,"Attributes":[{{"AttributeType":"Integer","SchemaName":"new_N"}},{NAME}]"#
        ),
        &expect![[
            r#"new_Ping Some("Bank Accounts") Organization Elastic Some("new_pingset") notes=false activities=false tracking=Some(false) columns=2"#
        ]],
    );
    let body = format!(
        r#"{{"Entities":[{{"SchemaName":"new_A",{LABELS},"OwnershipType":"UserOwned","Attributes":[{NAME}]}}]}}"#
    );
    assert_eq!(decode_tables(body.as_bytes()).unwrap().len(), 1);
    assert!(decode_tables(b"{\"Entities\":[]}").is_err());
    assert!(decode_tables(b"{}").is_err());
}

#[test]
fn tables_that_cannot_be_are_refused_by_member() {
    let base = format!(r#""SchemaName":"new_A",{LABELS}"#);
    table("", &expect!["definition refused at `OwnershipType`: it is missing"]);
    table(
        r#""OwnershipType":"TeamOwned""#,
        &expect!["`TeamOwned` is no ownership that a new table can have"],
    );
    table(
        r#""OwnershipType":"UserOwned""#,
        &expect!["definition refused at `SchemaName`: it is missing"],
    );
    table(
        &format!(r#"{base},"OwnershipType":"UserOwned""#),
        &expect!["definition refused at `Attributes`: exactly one column has `IsPrimaryName`"],
    );
    table(
        &format!(r#"{base},"OwnershipType":"UserOwned","Attributes":[{NAME},{NAME}]"#),
        &expect!["definition refused at `Attributes`: exactly one column has `IsPrimaryName`"],
    );
    // Some callers list it twice, and say once that it is the name.
    let twice = format!(
        r#"{{{base},"OwnershipType":"UserOwned","Attributes":[{NAME},{}]}}"#,
        NAME.replace("\"IsPrimaryName\":true", "\"IsPrimaryName\":false")
    );
    assert_eq!(decode_table(twice.as_bytes()).unwrap().columns.len(), 1);
    table(
        &format!(
            r#"{base},"OwnershipType":"UserOwned","Attributes":[{{"AttributeType":"Memo","SchemaName":"new_N","IsPrimaryName":true}}]"#
        ),
        &expect!["definition refused at `Attributes`: the primary name is no String"],
    );
    table(
        &format!(
            r#"{base},"OwnershipType":"UserOwned","Attributes":[{NAME},{{"AttributeType":"String","SchemaName":"new_N","MaxLength":9999}}]"#
        ),
        &expect!["definition refused at `Attributes[1].MaxLength`: 9999 is not within 1 and 4000"],
    );
    table(
        &format!(
            r#"{base},"OwnershipType":"UserOwned","TableType":"Virtual","Attributes":[{NAME}]"#
        ),
        &expect!["a table of type `Virtual` is not supported"],
    );
    table(
        &format!(r#"{base},"OwnershipType":"UserOwned","IsActivity":true,"Attributes":[{NAME}]"#),
        &expect!["a new activity table (`IsActivity`) is not supported"],
    );
}

#[test]
fn keys_and_relationships_are_decoded() {
    let key = decode_key(
        br#"{"SchemaName":"new_K","DisplayName":{"LocalizedLabels":[]},"KeyAttributes":["a","b"]}"#,
    )
    .unwrap();
    assert_eq!((&*key.schema_name, key.columns.len()), ("new_K", 2));
    assert!(decode_key(br#"{"SchemaName":"new_K","KeyAttributes":[]}"#).is_err());
    assert!(decode_key(br#"{"KeyAttributes":["a"]}"#).is_err());

    let relationship = |more: &str, want: Expect| {
        let body = format!(
            r##"{{"@odata.type":"#Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_order_line","ReferencedEntity":"new_order",
                "ReferencedAttribute":"new_orderid","ReferencingEntity":"new_line",{more}"AssociatedMenuConfiguration":{{"Order":1}},
                "Lookup":{{"SchemaName":"new_OrderId","DisplayName":{{"LocalizedLabels":[]}},"RequiredLevel":{{"Value":"Recommended"}}}}}}"##
        );
        let got = match decode_relationship(body.as_bytes()) {
            Ok(DecodedRelationship::ManyToMany(_)) => "many to many".to_owned(),
            Ok(DecodedRelationship::OneToMany(this)) => format!(
                "{} {}->{} {} {:?} {:?} {:?} {:?} {:?}",
                this.schema_name,
                this.referencing_table,
                this.referenced_table,
                this.lookup_schema_name,
                this.lookup_required,
                this.cascade.delete,
                this.cascade.assign,
                this.referencing_navigation,
                this.is_hierarchical,
            ),
            Err(error) => error.to_string(),
        };
        want.assert_eq(&got);
    };
    relationship(
        "",
        expect![
            "new_order_line new_line->new_order new_OrderId Recommended RemoveLink NoCascade None false"
        ],
    );
    relationship(
        r#""CascadeConfiguration":{"Assign":"NoCascade","Delete":"Restrict","Merge":null},"IsHierarchical":true,"ReferencingEntityNavigationPropertyName":"x","#,
        expect![[
            r#"new_order_line new_line->new_order new_OrderId Recommended Restrict NoCascade Some("x") true"#
        ]],
    );
    relationship(
        r#""CascadeConfiguration":{"Assign":"UserOwned"},"#,
        expect![
            "new_order_line new_line->new_order new_OrderId Recommended RemoveLink UserOwned None false"
        ],
    );
    relationship(
        r#""CascadeConfiguration":{"Assign":"RemoveLink"},"#,
        expect!["definition refused at `CascadeConfiguration.Assign`: `RemoveLink`"],
    );
    relationship(
        r#""CascadeConfiguration":{"Delete":"NoCascade"},"#,
        expect![
            "new_order_line new_line->new_order new_OrderId Recommended NoCascade NoCascade None false"
        ],
    );
    relationship(
        r#""CascadeConfiguration":{"Delete":"Everything"},"#,
        expect!["definition refused at `CascadeConfiguration.Delete`: `Everything`"],
    );
    let many = decode_relationship(
        br##"{"@odata.type":"#Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_a_b","Entity1LogicalName":"new_a","Entity2LogicalName":"new_b","IntersectEntityName":"new_ab"}"##,
    );
    let Ok(DecodedRelationship::ManyToMany(many)) = many else { panic!("it is many to many") };
    assert_eq!(many.intersect_table.as_deref(), Some("new_ab"));
    assert_eq!(many.ends.each_ref().map(|end| &*end.table), ["new_a", "new_b"]);
    assert_eq!(
        decode_relationship(br##"{"@odata.type":"#Microsoft.Dynamics.CRM.OtherMetadata"}"##)
            .unwrap_err()
            .to_string(),
        "a relationship of type `OtherMetadata` is not supported"
    );
}

fn written(item: &Item<'_>, select: Option<&[&str]>, expand: &[&str]) -> String {
    let mut out = Vec::new();
    match write_typed_item(&mut out, item, select, expand) {
        Ok(()) => {
            let text = String::from_utf8(out).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
            text
        }
        Err(error) => error.to_string(),
    }
}

fn place(table: &Table, name: &str) -> model::ColumnIndex {
    table.index_of(name).unwrap()
}

#[test]
fn selected_members_come_in_order_with_type_and_id() {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let label = Item::Column(&table, place(&table, "ship_label"));
    expect![[r##"{"@odata.type":"#Microsoft.Dynamics.CRM.StringAttributeMetadata","LogicalName":"ship_label","AttributeType":"String","MaxLength":100,"MetadataId":"00000000-0000-0000-0000-000100000001"}"##]]
    .assert_eq(&written(&label, Some(&["LogicalName", "AttributeType", "MaxLength", "Targets"]), &[]));
    expect!["table `StringAttributeMetadata` has no property `logicalname`"].assert_eq(&written(
        &label,
        Some(&["logicalname"]),
        &[],
    ));
    expect![[r#"{"LogicalName":"ship_crate","EntitySetName":"ship_crates","CanChangeTrackingBeEnabled":{"Value":true,"CanBeChanged":false,"ManagedPropertyLogicalName":"canchangetrackingbeenabled"},"MetadataId":"00000000-0000-0000-0000-000000000001"}"#]]
    .assert_eq(&written(
        &Item::Table(&table),
        Some(&["LogicalName", "EntitySetName", "CanChangeTrackingBeEnabled"]),
        &[],
    ));
    let customer = Item::Column(&table, place(&table, "ship_customer"));
    expect![[r##"{"@odata.type":"#Microsoft.Dynamics.CRM.LookupAttributeMetadata","AttributeType":"Customer","AttributeTypeName":{"Value":"CustomerType"},"Targets":["account","contact"],"MetadataId":"00000000-0000-0000-0000-000100000010"}"##]]
    .assert_eq(&written(&customer, Some(&["AttributeType", "AttributeTypeName", "Targets"]), &[]));
    let mut out = Vec::new();
    write_item(&mut out, &label, Some(&["MetadataId"]), &[]).unwrap();
    assert_eq!(out, br#"{"MetadataId":"00000000-0000-0000-0000-000100000001"}"#);
}

#[test]
fn every_member_of_every_kind_of_item_is_one_json_value_and_known_by_name() {
    let catalog = catalog();
    for table in catalog.tables() {
        let columns = table.indexed_columns().map(|(index, _)| Item::Column(table, index));
        let keys = (0..table.keys.len()).map(|key| Item::Key(table, model::KeyIndex(key as u16)));
        let relationships = catalog.relationships().iter().map(|one| Item::Relationship(one));
        for item in columns.chain(keys).chain(relationships).chain([Item::Table(table)]) {
            let text = written(&item, None, item.expandable());
            let object: serde_json::Map<_, _> = serde_json::from_str(&text).unwrap();
            let members = item.members();
            let typed = usize::from(item.is_derived());
            assert_eq!(object.len(), members.len() + item.expandable().len() + typed, "{text}");
            for name in members {
                assert!(item.member(name).is_some(), "{name}");
            }
            assert!(item.member("Nothing").is_none());
        }
    }
}

#[test]
fn members_are_typed_for_filters_and_have_paths() {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let item = Item::Column(&table, place(&table, "ship_label"));
    let check = |path: &str, want: &str| {
        let mut names = path.split('/');
        let first = item.member(names.next().unwrap());
        let found = names.fold(first, |member, name| member?.path(name));
        let got = found.map(|member| {
            let mut out = Vec::new();
            member.write(&mut out);
            String::from_utf8(out).unwrap()
        });
        assert_eq!(got.as_deref().unwrap_or("!"), want, "{path}");
    };
    check("RequiredLevel/Value", "\"None\"");
    check("RequiredLevel/CanBeChanged", "true");
    check("IsCustomizable/Value", "true");
    check("AttributeTypeName/Value", "\"StringType\"");
    check("DisplayName/UserLocalizedLabel/Label", "\"label\"");
    check("DisplayName/UserLocalizedLabel/LanguageCode", "1033");
    check("Description/UserLocalizedLabel/Label", "null");
    check("LogicalName/Value", "!");
    check("AttributeOf", "null");
}

/// The answer that a client asks for: a table with its columns, keys and relationships.
fn answer(table: &Table, expand: &[&str]) -> String {
    let mut out = written(&Item::Table(table), None, &[]);
    out.pop();
    let list = |items: Vec<Item<'_>>| {
        items.iter().map(|item| written(item, None, expand)).collect::<Vec<_>>().join(",")
    };
    let columns = table.indexed_columns().map(|(index, _)| Item::Column(table, index)).collect();
    let keys =
        (0..table.keys.len()).map(|key| Item::Key(table, model::KeyIndex(key as u16))).collect();
    let mut relationships = Vec::new();
    for column in &table.columns {
        if let ColumnKind::Lookup { targets, .. } = &column.kind {
            for target in targets {
                relationships.push(format!(
                    r#"{{"ReferencedEntity":"{}","ReferencingAttribute":"{}","ReferencingEntityNavigationPropertyName":"{}"}}"#,
                    target.table, column.logical_name, target.navigation
                ));
            }
        }
    }
    out.push_str(&format!(
        r#","Attributes":[{}],"Keys":[{}],"ManyToOneRelationships":[{}]}}"#,
        list(columns),
        list(keys),
        relationships.join(",")
    ));
    out
}

#[test]
fn a_client_builds_the_table_that_the_service_has() {
    let catalog = catalog();
    for table in catalog.tables() {
        let got = read_table(answer(table, &["OptionSet"]).as_bytes()).unwrap();
        // What the wire does not carry, or carries in another form.
        let plain = |definition: &TableDefinition| {
            let mut definition = definition.clone();
            definition.id = model::TableId(0);
            for column in &mut definition.columns {
                if let ColumnKind::Decimal { min, max, .. } | ColumnKind::Money { min, max, .. } =
                    &mut column.kind
                {
                    (*min, *max) = (min.normalize(), max.normalize());
                }
            }
            definition
        };
        assert_eq!(plain(&got), plain(table.definition()));
    }
}

#[test]
fn columns_of_unknown_kinds_and_keys_over_them_are_left_out() {
    let body = r##"{"@odata.context":"x","LogicalName":"account","EntitySetName":"accounts","PrimaryIdAttribute":"accountid",
        "PrimaryNameAttribute":"name","OwnershipType":"UserOwned","ManyToOneRelationships":[
        {"ReferencedEntity":"owner","ReferencingAttribute":"ownerid","ReferencingEntityNavigationPropertyName":"ownerid"}],"MetadataId":"70816501-EDB9-4740-A16C-6A5EFBC05D84","Keys":[
        {"LogicalName":"k1","KeyAttributes":["name"],"EntityKeyIndexStatus":"Active"},
        {"LogicalName":"k2","KeyAttributes":["parties"],"EntityKeyIndexStatus":"Active"},
        {"LogicalName":"k3","KeyAttributes":["name"],"EntityKeyIndexStatus":"Failed"}],
        "Attributes":[
        {"@odata.type":"#Microsoft.Dynamics.CRM.UniqueIdentifierAttributeMetadata","LogicalName":"accountid","AttributeType":"Uniqueidentifier"},
        {"@odata.type":"#Microsoft.Dynamics.CRM.StringAttributeMetadata","LogicalName":"name","AttributeType":"String","MaxLength":160},
        {"@odata.type":"#Microsoft.Dynamics.CRM.StringAttributeMetadata","LogicalName":"owneridname","AttributeType":"String","AttributeOf":"ownerid"},
        {"@odata.type":"#Microsoft.Dynamics.CRM.AttributeMetadata","LogicalName":"parties","AttributeType":"PartyList"},
        {"@odata.type":"#Microsoft.Dynamics.CRM.ImageAttributeMetadata","LogicalName":"entityimage","AttributeType":"Virtual","AttributeTypeName":{"Value":"ImageType"}},
        {"@odata.type":"#Microsoft.Dynamics.CRM.MultiSelectPicklistAttributeMetadata","LogicalName":"tags","AttributeType":"Virtual","AttributeTypeName":{"Value":"MultiSelectPicklistType"}},
        {"@odata.type":"#Microsoft.Dynamics.CRM.LookupAttributeMetadata","LogicalName":"ownerid","AttributeType":"Owner","Targets":["systemuser","team"]},
        {"@odata.type":"#Microsoft.Dynamics.CRM.LookupAttributeMetadata","LogicalName":"new_ref","SchemaName":"new_Ref","AttributeType":"Lookup","IsCustomAttribute":true,"Targets":["contact"]},
        {"@odata.type":"#Microsoft.Dynamics.CRM.DecimalAttributeMetadata","LogicalName":"exchangerate","AttributeType":"Decimal","Precision":12,"MinValue":1E-10,"MaxValue":100000000000.0}]}"##;
    let definition = read_table(body.as_bytes()).unwrap();
    let names: Vec<&str> =
        definition.columns.iter().map(|column: &Column| &*column.logical_name).collect();
    let all = ["accountid", "name", "entityimage", "tags", "ownerid", "new_ref", "exchangerate"];
    assert_eq!(names, all);
    let keys: Vec<&str> = definition.keys.iter().map(|key| &*key.logical_name).collect();
    assert_eq!(keys, ["k1"]);
    let table = Table::new(definition);
    let (owner, _) = table.navigation("ownerid").unwrap();
    let ColumnKind::Lookup { targets, .. } = &table.column(owner).kind else { panic!("a lookup") };
    let targets: Vec<&str> = targets.iter().map(|target| &*target.table).collect();
    assert_eq!(targets, ["systemuser", "team"]);
    assert!(table.navigation("new_Ref").is_some());
    assert!(read_table(b"{}").is_err());
    assert!(read_table(br#"{"LogicalName":"a","EntitySetName":"b","Attributes":null}"#).is_err());
}
