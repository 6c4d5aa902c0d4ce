//! From the definitions that a service answers to a table, for clients.
//!
//! Not here: relationships of other tables. Columns whose kind is not known here (party lists, companion
//! columns such as the name of a file) are left out, and so are alternate keys over them or keys whose
//! index is not active.
//! Invariant: the table's number is its object type code, which is unique in its service; columns and
//! keys are numbered from 1.

use super::choice::OptionSetBody;
use super::column::{behavior_of, format_of, required_of};
use super::label::{self, LabelBody};
use super::new_column::{ValueBody, short_type};
use crate::error::{Error, Result, cut};
use crate::literal;
use model::{
    AlternateKey, Column, ColumnId, ColumnIndex, ColumnKind, DateTimeBehavior, Decimal, LookupKind,
    LookupTarget, Ownership, RequiredLevel, Table, TableDefinition, TableId, TableKind, TextFormat,
    Uuid,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TableBody<'a> {
    #[serde(deserialize_with = "id")]
    metadata_id: Option<Uuid>,
    logical_name: Option<String>,
    schema_name: Option<String>,
    entity_set_name: Option<String>,
    collection_schema_name: Option<String>,
    display_name: Option<LabelBody>,
    display_collection_name: Option<LabelBody>,
    description: Option<LabelBody>,
    object_type_code: Option<i32>,
    ownership_type: Option<String>,
    table_type: Option<String>,
    is_custom_entity: Option<bool>,
    is_intersect: Option<bool>,
    is_activity: Option<bool>,
    has_notes: Option<bool>,
    has_activities: Option<bool>,
    change_tracking_enabled: Option<bool>,
    is_optimistic_concurrency_enabled: Option<bool>,
    primary_id_attribute: Option<String>,
    primary_name_attribute: Option<String>,
    #[serde(borrow, deserialize_with = "nullable")]
    attributes: Vec<ColumnBody<'a>>,
    #[serde(deserialize_with = "nullable")]
    keys: Vec<KeyBody>,
    #[serde(deserialize_with = "nullable")]
    many_to_one_relationships: Vec<RelationshipBody>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ColumnBody<'a> {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    #[serde(deserialize_with = "id")]
    metadata_id: Option<Uuid>,
    logical_name: Option<String>,
    schema_name: Option<String>,
    attribute_type: Option<String>,
    attribute_type_name: Option<ValueBody>,
    attribute_of: Option<String>,
    display_name: Option<LabelBody>,
    description: Option<LabelBody>,
    required_level: Option<ValueBody>,
    is_custom_attribute: Option<bool>,
    #[serde(rename = "IsValidODataAttribute")]
    is_valid_odata: Option<bool>,
    is_valid_for_create: Option<bool>,
    is_valid_for_update: Option<bool>,
    is_valid_for_read: Option<bool>,
    max_length: Option<u32>,
    format: Option<String>,
    format_name: Option<ValueBody>,
    #[serde(borrow)]
    min_value: Option<&'a RawValue>,
    #[serde(borrow)]
    max_value: Option<&'a RawValue>,
    precision: Option<u8>,
    default_value: Option<bool>,
    default_form_value: Option<i32>,
    date_time_behavior: Option<ValueBody>,
    option_set: Option<OptionSetBody>,
    global_option_set: Option<OptionSetBody>,
    targets: Option<Vec<String>>,
    #[serde(rename = "MaxSizeInKB")]
    max_size_kb: Option<u32>,
    can_store_full_image: Option<bool>,
    is_primary_image: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct KeyBody {
    #[serde(deserialize_with = "id")]
    metadata_id: Option<Uuid>,
    logical_name: Option<String>,
    schema_name: Option<String>,
    display_name: Option<LabelBody>,
    #[serde(deserialize_with = "nullable")]
    key_attributes: Vec<String>,
    entity_key_index_status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RelationshipBody {
    referenced_entity: Option<String>,
    referencing_attribute: Option<String>,
    referencing_entity_navigation_property_name: Option<String>,
}

/// Null for a list is an empty list.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// An id, in any form; what is none is dropped.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Uuid>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|text| literal::guid(&text)))
}

/// Reads the answer to `EntityDefinitions(…)?$expand=Attributes,Keys,ManyToOneRelationships`.
///
/// A service that gives the options of choices only on a read of their own answers choices without
/// options here. A lookup without a relationship in the answer gets the navigation property that its
/// kind usually has.
///
/// Errors: [`Error::BadAnswer`].
pub fn read_table(body: &[u8]) -> Result<TableDefinition> {
    let bad = |detail: &str| Error::BadAnswer { detail: cut(detail) };
    let body: TableBody<'_> = serde_json::from_slice(body).map_err(|err| bad(&err.to_string()))?;
    let logical_name = body.logical_name.ok_or_else(|| bad("`LogicalName` is missing"))?;
    let entity_set_name = body.entity_set_name.ok_or_else(|| bad("`EntitySetName` is missing"))?;
    let schema_name = body.schema_name.unwrap_or_else(|| logical_name.clone());
    if body.attributes.len() > Table::COLUMNS_MAX * 4 {
        return Err(bad("there are too many columns"));
    }
    let columns: Vec<Column> = body
        .attributes
        .into_iter()
        .filter_map(|column| column.into_column(&body.many_to_one_relationships))
        .enumerate()
        .map(|(place, column)| Column { id: ColumnId(number(place)), ..column })
        .collect();
    if columns.len() > Table::COLUMNS_MAX {
        return Err(bad("there are too many columns"));
    }
    let index_of = |name: &str| {
        let place = columns.iter().position(|column| &*column.logical_name == name)?;
        u16::try_from(place).ok().map(ColumnIndex)
    };
    let primary_key_name = body.primary_id_attribute.unwrap_or_default();
    let primary_key =
        index_of(&primary_key_name).ok_or_else(|| bad("the primary key column is missing"))?;
    let is_guid =
        columns.get(usize::from(primary_key.0)).is_some_and(|key| key.kind == ColumnKind::Guid);
    if !is_guid {
        return Err(bad("the primary key is no guid"));
    }
    let primary_name = body.primary_name_attribute.as_deref().and_then(index_of);
    let keys = keys(body.keys, index_of);
    Ok(TableDefinition {
        id: TableId(body.object_type_code.and_then(|code| u32::try_from(code).ok()).unwrap_or(0)),
        metadata_id: body.metadata_id.unwrap_or_default(),
        collection_schema_name: body
            .collection_schema_name
            .unwrap_or_else(|| entity_set_name.clone())
            .into(),
        schema_name: schema_name.into(),
        entity_set_name: entity_set_name.into(),
        display_name: label::of(body.display_name),
        display_collection_name: label::of(body.display_collection_name),
        description: label::of(body.description),
        object_type_code: body.object_type_code.unwrap_or(0),
        ownership: match body.ownership_type.as_deref() {
            Some("UserOwned" | "TeamOwned") => Ownership::User,
            Some("OrganizationOwned") => Ownership::Organization,
            Some("BusinessOwned") => Ownership::Business,
            _ => Ownership::None,
        },
        kind: match body.table_type.as_deref() {
            Some("Elastic") => TableKind::Elastic,
            _ => TableKind::Standard,
        },
        is_custom: body.is_custom_entity.unwrap_or_else(|| logical_name.contains('_')),
        logical_name: logical_name.into(),
        is_intersect: body.is_intersect.unwrap_or(false),
        is_activity: body.is_activity.unwrap_or(false),
        has_notes: body.has_notes.unwrap_or(false),
        has_activities: body.has_activities.unwrap_or(false),
        change_tracking: body.change_tracking_enabled.unwrap_or(false),
        optimistic_concurrency: body.is_optimistic_concurrency_enabled.unwrap_or(false),
        settings: model::TableSettings::default(),
        columns,
        primary_key,
        primary_name,
        keys,
    })
}

fn number(place: usize) -> u32 {
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

fn keys(bodies: Vec<KeyBody>, index_of: impl Fn(&str) -> Option<ColumnIndex>) -> Vec<AlternateKey> {
    let usable = |body: &KeyBody| {
        body.entity_key_index_status.as_deref().is_none_or(|status| status == "Active")
            && !body.key_attributes.is_empty()
    };
    bodies
        .into_iter()
        .filter(usable)
        .enumerate()
        .filter_map(|(place, body)| {
            let columns: Option<Vec<ColumnIndex>> =
                body.key_attributes.iter().map(|name| index_of(name)).collect();
            let logical_name = body.logical_name?;
            Some(AlternateKey {
                id: number(place),
                metadata_id: body.metadata_id.unwrap_or_default(),
                schema_name: body.schema_name.unwrap_or_else(|| logical_name.clone()).into(),
                logical_name: logical_name.into(),
                display_name: label::of(body.display_name),
                columns: columns?,
            })
        })
        .take(usize::from(u16::MAX))
        .collect()
}

impl ColumnBody<'_> {
    /// The column, unless its kind is not known here.
    fn into_column(mut self, relationships: &[RelationshipBody]) -> Option<Column> {
        if self.attribute_of.is_some() || self.is_valid_odata == Some(false) {
            return None;
        }
        let logical_name = self.logical_name.take()?;
        let schema_name = self.schema_name.take().unwrap_or_else(|| logical_name.clone());
        let kind = self.kind(&logical_name, &schema_name, relationships)?;
        Some(Column {
            id: ColumnId(0),
            metadata_id: self.metadata_id.unwrap_or_default(),
            is_custom: self.is_custom_attribute.unwrap_or(false),
            logical_name: logical_name.into(),
            schema_name: schema_name.into(),
            display_name: label::of(self.display_name),
            description: label::of(self.description),
            kind,
            required: self
                .required_level
                .and_then(|level| level.value)
                .and_then(|level| required_of(&level))
                .unwrap_or(RequiredLevel::None),
            computed: None,
            is_indexed: false,
            valid_for_create: self.is_valid_for_create.unwrap_or(true),
            valid_for_update: self.is_valid_for_update.unwrap_or(true),
            valid_for_read: self.is_valid_for_read.unwrap_or(true),
            settings: model::ColumnSettings::default(),
        })
    }

    /// The short name of the type: from the type name, which tells virtual kinds apart, else from
    /// the item's type, else from the older enumeration.
    fn short(&self) -> Option<&str> {
        let name = self.attribute_type_name.as_ref().and_then(|name| name.value.as_deref());
        name.and_then(|name| name.strip_suffix("Type"))
            .or(self.attribute_type.as_deref().filter(|kind| *kind != "Virtual"))
            .or_else(|| self.type_name.as_deref().and_then(short_type))
    }

    fn kind(
        &mut self,
        logical_name: &str,
        schema_name: &str,
        relationships: &[RelationshipBody],
    ) -> Option<ColumnKind> {
        let short = self.short()?.to_owned();
        let options = |this: &mut Self| {
            let set = this.option_set.take().or_else(|| this.global_option_set.take());
            set.unwrap_or_default().into_known_options()
        };
        Some(match short.as_str() {
            "Uniqueidentifier" | "UniqueIdentifier" => ColumnKind::Guid,
            "String" => ColumnKind::Text {
                max_length: self.max_length.unwrap_or(4_000),
                format: self
                    .format_name
                    .as_ref()
                    .and_then(|name| name.value.as_deref())
                    .or(self.format.as_deref())
                    .and_then(format_of)
                    .unwrap_or(TextFormat::Text),
            },
            "Memo" => ColumnKind::Memo {
                max_length: self.max_length.unwrap_or(1_048_576),
                json: self.format_name.as_ref().and_then(|name| name.value.as_deref())
                    == Some("Json"),
            },
            "Integer" => ColumnKind::Integer {
                min: parsed(self.min_value).unwrap_or(i32::MIN),
                max: parsed(self.max_value).unwrap_or(i32::MAX),
            },
            "BigInt" => ColumnKind::BigInt,
            "Decimal" => {
                let (min, max) = self.decimals();
                ColumnKind::Decimal { precision: self.precision.unwrap_or(10).min(10), min, max }
            }
            "Money" => {
                let (min, max) = self.decimals();
                ColumnKind::Money { precision: self.precision.unwrap_or(4).min(4), min, max }
            }
            "Double" => ColumnKind::Double {
                precision: self.precision.unwrap_or(5).min(5),
                min: parsed(self.min_value).unwrap_or(f64::MIN),
                max: parsed(self.max_value).unwrap_or(f64::MAX),
            },
            "Boolean" => {
                let (true_label, false_label) =
                    self.option_set.take().unwrap_or_default().into_labels();
                let default = self.default_value.unwrap_or(false);
                ColumnKind::Boolean { default, true_label, false_label }
            }
            "DateTime" => self.date_time(),
            "Picklist" => ColumnKind::Choice {
                options: options(self),
                default: self.default_form_value.filter(|value| *value != -1),
            },
            "MultiSelectPicklist" => ColumnKind::MultiChoice { options: options(self) },
            "State" => ColumnKind::State { options: options(self) },
            "Status" => ColumnKind::Status { options: options(self) },
            "Lookup" => self.lookup(LookupKind::Plain, logical_name, schema_name, relationships)?,
            "Customer" => {
                self.lookup(LookupKind::Customer, logical_name, schema_name, relationships)?
            }
            "Owner" => self.lookup(LookupKind::Owner, logical_name, schema_name, relationships)?,
            "EntityName" => ColumnKind::TableName,
            "File" => ColumnKind::File { max_size_kb: self.max_size_kb.unwrap_or(32_768) },
            "Image" => ColumnKind::Image {
                max_size_kb: self.max_size_kb.unwrap_or(10_240),
                can_store_full_image: self.can_store_full_image.unwrap_or(false),
                is_primary: self.is_primary_image.unwrap_or(false),
            },
            _ => return None,
        })
    }

    fn decimals(&self) -> (Decimal, Decimal) {
        let read = |given: Option<&RawValue>| given.and_then(|raw| literal::decimal(raw.get()));
        (read(self.min_value).unwrap_or(Decimal::MIN), read(self.max_value).unwrap_or(Decimal::MAX))
    }

    fn date_time(&self) -> ColumnKind {
        let behavior = self
            .date_time_behavior
            .as_ref()
            .and_then(|body| body.value.as_deref())
            .and_then(behavior_of)
            .unwrap_or(DateTimeBehavior::UserLocal);
        let with_time = self.format.as_deref() != Some("DateOnly");
        ColumnKind::DateTime { behavior, with_time }
    }

    fn lookup(
        &self,
        kind: LookupKind,
        logical_name: &str,
        schema_name: &str,
        relationships: &[RelationshipBody],
    ) -> Option<ColumnKind> {
        let named = relationships
            .iter()
            .filter(|body| body.referencing_attribute.as_deref() == Some(logical_name));
        let mut targets: Vec<LookupTarget> = named
            .filter_map(|body| {
                Some(LookupTarget {
                    table: body.referenced_entity.as_deref()?.into(),
                    navigation: body.referencing_entity_navigation_property_name.as_deref()?.into(),
                })
            })
            .collect();
        // An owner's relationship names the abstract table `owner`; the real ones are listed.
        let listed = self.targets.as_deref().unwrap_or_default();
        if !listed.is_empty() {
            targets.retain(|target| listed.iter().any(|table| **table == *target.table));
        }
        for table in listed {
            if targets.iter().any(|target| *target.table == **table) {
                continue;
            }
            let navigation = match (kind, listed.len()) {
                (LookupKind::Owner, _) => logical_name.to_owned(),
                (_, 1) if self.is_custom_attribute == Some(true) => schema_name.to_owned(),
                (_, 1) => logical_name.to_owned(),
                _ => format!("{logical_name}_{table}"),
            };
            targets
                .push(LookupTarget { table: table.as_str().into(), navigation: navigation.into() });
        }
        targets.sort_by_key(|target| {
            listed.iter().position(|table| **table == *target.table).unwrap_or(usize::MAX)
        });
        targets.dedup();
        (!targets.is_empty()).then_some(ColumnKind::Lookup { kind, targets })
    }
}

/// A number of a definition; `None` when it is missing or of another type.
fn parsed<T: std::str::FromStr>(given: Option<&RawValue>) -> Option<T> {
    given?.get().parse().ok()
}
