//! The JSON of definitions, as the client writes and mends it: pure.
//!
//! Not here: reading a whole definition (`wire::metadata`).
//! Invariant: what is written is what the documentation's examples show; no member of our own.

use model::{ColumnKind, DateTimeBehavior, Label, NewColumn, NewTable, Ownership, TableKind};
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value as Json, json};

/// The attribute types whose options come only when asked for through their own type.
const WITH_OPTIONS: [(&str, &str); 5] = [
    ("Picklist", "PicklistAttributeMetadata"),
    ("Virtual", "MultiSelectPicklistAttributeMetadata"),
    ("State", "StateAttributeMetadata"),
    ("Status", "StatusAttributeMetadata"),
    ("Boolean", "BooleanAttributeMetadata"),
];

/// The types of which columns lack their options.
pub(crate) fn missing_options(table: &Json) -> Vec<&'static str> {
    let attributes =
        table.get("Attributes").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let lacks = |attribute: &Json, cast: &str| {
        let type_name = attribute.get("@odata.type").and_then(Json::as_str).unwrap_or_default();
        type_name.ends_with(&format!(".{cast}"))
            && !attribute.get("OptionSet").is_some_and(Json::is_object)
    };
    WITH_OPTIONS
        .iter()
        .map(|(_, cast)| *cast)
        .filter(|cast| attributes.iter().any(|attribute| lacks(attribute, cast)))
        .collect()
}

/// Puts the options of an answer into the table.
pub(crate) fn add_options(table: &mut Json, answer: &Json) {
    let items = answer.get("value").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let attributes = table.get_mut("Attributes").and_then(Json::as_array_mut);
    for attribute in attributes.into_iter().flatten() {
        let name = attribute.get("LogicalName").and_then(Json::as_str).unwrap_or_default();
        let item =
            items.iter().find(|item| item.get("LogicalName").and_then(Json::as_str) == Some(name));
        if let Some(options) =
            item.and_then(|item| item.get("OptionSet")).filter(|set| !set.is_null())
        {
            attribute["OptionSet"] = options.clone();
        }
    }
}

/// Puts the columns in their order of creation, where the service tells it.
pub(crate) fn sort_columns(table: &mut Json) {
    if let Some(attributes) = table.get_mut("Attributes").and_then(Json::as_array_mut) {
        attributes.sort_by_key(|attribute| attribute.get("ColumnNumber").and_then(Json::as_i64));
    }
}

/// The body that creates a table.
pub(crate) fn table(table: &NewTable) -> String {
    let attributes: Vec<Json> = table.columns.iter().map(column).collect();
    let mut body = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
        "SchemaName": table.schema_name,
        "DisplayName": label(&table.display_name),
        "DisplayCollectionName": label(&table.display_collection_name),
        "Description": label(&table.description),
        "OwnershipType": match table.ownership {
            Ownership::User => "UserOwned",
            Ownership::Organization | Ownership::Business | Ownership::None => "OrganizationOwned",
        },
        "HasActivities": table.has_activities,
        "HasNotes": table.has_notes,
        "IsActivity": false,
        "Attributes": attributes,
    });
    if let Some(name) = &table.entity_set_name {
        body["EntitySetName"] = json!(name);
    }
    if table.kind == TableKind::Elastic {
        body["TableType"] = json!("Elastic");
    }
    body.to_string()
}

/// The body that creates an alternate key over one column.
pub(crate) fn key(column: &str) -> String {
    json!({
        "SchemaName": format!("{column}_key"),
        "DisplayName": label(&Label::english(format!("{column} key"))),
        "KeyAttributes": [column],
    })
    .to_string()
}

fn column(column: &NewColumn) -> Json {
    let (kind, own) = kind(&column.kind);
    let mut body = json!({
        "@odata.type": format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata"),
        "AttributeType": if kind == "UniqueIdentifier" { "Uniqueidentifier" } else { kind },
        "AttributeTypeName": {"Value": format!("{kind}Type")},
        "SchemaName": column.schema_name,
        "DisplayName": label(&column.display_name),
        "Description": label(&column.description),
        "RequiredLevel": {
            "Value": "None",
            "CanBeChanged": true,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
    });
    if column.is_primary_name {
        body["IsPrimaryName"] = json!(true);
    }
    if let (Json::Object(body), Json::Object(own)) = (&mut body, own) {
        body.extend(own);
    }
    body
}

fn kind(kind: &ColumnKind) -> (&'static str, Json) {
    match kind {
        ColumnKind::Text { max_length, .. } => {
            ("String", json!({"MaxLength": max_length, "FormatName": {"Value": "Text"}}))
        }
        ColumnKind::Memo { max_length, .. } => {
            ("Memo", json!({"MaxLength": max_length, "Format": "TextArea"}))
        }
        ColumnKind::Integer { min, max } => {
            ("Integer", json!({"MinValue": min, "MaxValue": max, "Format": "None"}))
        }
        ColumnKind::BigInt => ("BigInt", json!({})),
        ColumnKind::Decimal { precision, min, max } => (
            "Decimal",
            json!({"Precision": precision, "MinValue": min.to_f64(), "MaxValue": max.to_f64()}),
        ),
        ColumnKind::Boolean { default, true_label, false_label } => (
            "Boolean",
            json!({"DefaultValue": default, "OptionSet": {
                "OptionSetType": "Boolean",
                "TrueOption": {"Value": 1, "Label": label(true_label)},
                "FalseOption": {"Value": 0, "Label": label(false_label)},
            }}),
        ),
        ColumnKind::DateTime { behavior, with_time } => (
            "DateTime",
            json!({
                "Format": if *with_time { "DateAndTime" } else { "DateOnly" },
                "DateTimeBehavior": {"Value": match behavior {
                    DateTimeBehavior::UserLocal => "UserLocal",
                    DateTimeBehavior::DateOnly => "DateOnly",
                    DateTimeBehavior::TimeZoneIndependent => "TimeZoneIndependent",
                }},
            }),
        ),
        // Kinds that no inference answers; the service says what it makes of them.
        ColumnKind::Guid => ("UniqueIdentifier", json!({})),
        ColumnKind::Double { precision, min, max } => {
            ("Double", json!({"Precision": precision, "MinValue": min, "MaxValue": max}))
        }
        ColumnKind::Money { precision, .. } => {
            ("Money", json!({"Precision": precision, "PrecisionSource": 0}))
        }
        ColumnKind::Choice { .. } => ("Picklist", json!({})),
        ColumnKind::MultiChoice { .. } => ("MultiSelectPicklist", json!({})),
        ColumnKind::State { .. } => ("State", json!({})),
        ColumnKind::Status { .. } => ("Status", json!({})),
        ColumnKind::Lookup { .. } => ("Lookup", json!({})),
        ColumnKind::TableName => ("EntityName", json!({})),
        ColumnKind::File { max_size_kb } => ("File", json!({"MaxSizeInKB": max_size_kb})),
        ColumnKind::Image { max_size_kb, can_store_full_image, is_primary } => (
            "Image",
            json!({
                "MaxSizeInKB": max_size_kb,
                "CanStoreFullImage": can_store_full_image,
                "IsPrimaryImage": is_primary,
            }),
        ),
    }
}

fn label(label: &Label) -> Json {
    let texts: Vec<Json> = label
        .texts
        .iter()
        .map(|text| {
            json!({
                "@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel",
                "Label": text.text,
                "LanguageCode": text.language,
            })
        })
        .collect();
    json!({"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": texts})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_asked_for_only_where_they_are_missing_and_put_in_their_place() {
        let mut table = json!({"Attributes": [
            {"@odata.type": "#Microsoft.Dynamics.CRM.StringAttributeMetadata", "LogicalName": "name"},
            {"@odata.type": "#Microsoft.Dynamics.CRM.PicklistAttributeMetadata", "LogicalName": "color"},
            {"@odata.type": "#Microsoft.Dynamics.CRM.StateAttributeMetadata", "LogicalName": "statecode",
             "OptionSet": {"Options": []}},
        ]});
        assert_eq!(missing_options(&table), ["PicklistAttributeMetadata"]);
        let options = json!({"Options": [{"Value": 1}]});
        add_options(
            &mut table,
            &json!({"value": [{"LogicalName": "color", "OptionSet": options}]}),
        );
        assert_eq!(table["Attributes"][1]["OptionSet"], options);
        assert_eq!(missing_options(&table), Vec::<&str>::new());
    }
}
