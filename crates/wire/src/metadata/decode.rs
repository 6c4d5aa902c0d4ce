//! The bodies of new definitions.
//!
//! Not here: columns (`new_column`). Invariant: a decoded table has exactly one primary name column,
//! and that one is a text.

use super::label::{self, LabelBody};
use super::new_column::{ColumnBody, FlagBody, Path, ValueBody, required};
use super::relationship::{CASCADES, delete_of};
use crate::error::{Error, Result, cut};
use model::{
    Cascade, ColumnKind, DeleteAction, NewColumn, NewKey, NewRelationship, NewTable, Ownership,
    TableKind,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Tables that one request may make at most.
const TABLES_MAX: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
struct TableBody<'a> {
    #[serde(rename = "SchemaName", default)]
    schema_name: Option<String>,
    #[serde(rename = "EntitySetName", default)]
    entity_set_name: Option<String>,
    #[serde(rename = "DisplayName", default)]
    display_name: Option<LabelBody>,
    #[serde(rename = "DisplayCollectionName", default)]
    display_collection_name: Option<LabelBody>,
    #[serde(rename = "Description", default)]
    description: Option<LabelBody>,
    #[serde(rename = "OwnershipType", default)]
    ownership: Option<String>,
    #[serde(rename = "TableType", default)]
    table_type: Option<String>,
    #[serde(rename = "HasNotes", default)]
    has_notes: Option<bool>,
    #[serde(rename = "HasActivities", default)]
    has_activities: Option<bool>,
    #[serde(rename = "IsActivity", default)]
    is_activity: Option<bool>,
    #[serde(rename = "IsAuditEnabled", default)]
    is_audited: Option<FlagBody>,
    #[serde(rename = "ChangeTrackingEnabled", default)]
    change_tracking: Option<bool>,
    #[serde(rename = "Attributes", default, borrow)]
    columns: Vec<ColumnBody<'a>>,
}

/// Reads the body of `POST EntityDefinitions`.
///
/// Errors: [`Error::NotJson`], [`Error::BadDefinition`], [`Error::BadOwnership`],
/// [`Error::Unsupported`].
pub fn decode_table(body: &[u8]) -> Result<NewTable> {
    parse::<TableBody<'_>>(body)?.into_new(Path(""))
}

/// Reads the body of the action `CreateEntities`: `{"Entities":[…]}`.
///
/// Errors: as [`decode_table`].
pub fn decode_tables(body: &[u8]) -> Result<Vec<NewTable>> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(rename = "Entities", default, borrow)]
        tables: Vec<TableBody<'a>>,
    }
    let tables = parse::<Body<'_>>(body)?.tables;
    if tables.is_empty() || tables.len() > TABLES_MAX {
        let why = format!("it must have 1 to {TABLES_MAX} items");
        return Err(Error::BadDefinition { member: "Entities".into(), why });
    }
    tables
        .into_iter()
        .enumerate()
        .map(|(place, table)| table.into_new(Path(&format!("Entities[{place}]"))))
        .collect()
}

/// Reads the body of `POST …/Attributes`.
///
/// Errors: as [`decode_table`].
pub fn decode_column(body: &[u8]) -> Result<NewColumn> {
    let column = parse::<ColumnBody<'_>>(body)?.into_new(Path(""))?;
    if column.is_primary_name {
        return Err(Path("").bad("IsPrimaryName", "a table has its primary name from the start"));
    }
    Ok(column)
}

/// Reads the body of `POST …/Keys`.
///
/// Errors: [`Error::NotJson`], [`Error::BadDefinition`].
pub fn decode_key(body: &[u8]) -> Result<NewKey> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "SchemaName", default)]
        schema_name: Option<String>,
        #[serde(rename = "DisplayName", default)]
        display_name: Option<LabelBody>,
        #[serde(rename = "KeyAttributes", default)]
        columns: Vec<String>,
    }
    let path = Path("");
    let body: Body = parse(body)?;
    if body.columns.is_empty() || body.columns.len() > 16 {
        return Err(path.bad("KeyAttributes", "a key has 1 to 16 columns"));
    }
    Ok(NewKey {
        schema_name: body.schema_name.ok_or_else(|| path.missing("SchemaName"))?.into(),
        display_name: label::of(body.display_name),
        columns: body.columns.into_iter().map(Into::into).collect(),
    })
}

#[derive(Debug, Default, Deserialize)]
struct LookupBody {
    #[serde(rename = "SchemaName", default)]
    schema_name: Option<String>,
    #[serde(rename = "DisplayName", default)]
    display_name: Option<LabelBody>,
    #[serde(rename = "Description", default)]
    description: Option<LabelBody>,
    #[serde(rename = "RequiredLevel", default)]
    required: Option<ValueBody>,
}

#[derive(Debug, Default, Deserialize)]
struct RelationshipBody {
    #[serde(rename = "@odata.type", default)]
    type_name: Option<String>,
    #[serde(rename = "SchemaName", default)]
    schema_name: Option<String>,
    #[serde(rename = "ReferencedEntity", default)]
    referenced_table: Option<String>,
    #[serde(rename = "ReferencingEntity", default)]
    referencing_table: Option<String>,
    #[serde(rename = "ReferencedEntityNavigationPropertyName", default)]
    referenced_navigation: Option<String>,
    #[serde(rename = "ReferencingEntityNavigationPropertyName", default)]
    referencing_navigation: Option<String>,
    #[serde(rename = "CascadeConfiguration", default)]
    cascade: Option<BTreeMap<String, Option<String>>>,
    #[serde(rename = "IsHierarchical", default)]
    is_hierarchical: Option<bool>,
    #[serde(rename = "Lookup", default)]
    lookup: Option<LookupBody>,
}

/// Reads the body of `POST RelationshipDefinitions`, one-to-many only.
///
/// Errors: as [`decode_table`]; [`Error::Unsupported`] for many-to-many and for cascades of other
/// actions than deletes.
pub fn decode_relationship(body: &[u8]) -> Result<NewRelationship> {
    let path = Path("");
    let body: RelationshipBody = parse(body)?;
    if let Some(name) = &body.type_name {
        let name = name.strip_prefix('#').unwrap_or(name);
        let short = name.strip_prefix("Microsoft.Dynamics.CRM.").unwrap_or(name);
        match short.strip_prefix("Complex").unwrap_or(short) {
            "OneToManyRelationshipMetadata" => {}
            other => {
                let what = format!("a relationship of type `{}`", cut(other));
                return Err(Error::Unsupported { what });
            }
        }
    }
    let cascade = cascade(body.cascade.unwrap_or_default(), path)?;
    let lookup = body.lookup.ok_or_else(|| path.missing("Lookup"))?;
    let needed = |given: Option<String>, name: &str| {
        given.map(Box::<str>::from).ok_or_else(|| path.missing(name))
    };
    Ok(NewRelationship {
        schema_name: needed(body.schema_name, "SchemaName")?,
        referenced_table: needed(body.referenced_table, "ReferencedEntity")?,
        referencing_table: needed(body.referencing_table, "ReferencingEntity")?,
        lookup_schema_name: needed(lookup.schema_name, "Lookup.SchemaName")?,
        lookup_display_name: label::of(lookup.display_name),
        lookup_description: label::of(lookup.description),
        lookup_required: required(lookup.required.as_ref(), Path("Lookup"))?,
        referenced_navigation: body.referenced_navigation.map(Into::into),
        referencing_navigation: body.referencing_navigation.map(Into::into),
        cascade,
        is_hierarchical: body.is_hierarchical.unwrap_or(false),
    })
}

fn cascade(given: BTreeMap<String, Option<String>>, path: Path<'_>) -> Result<Cascade> {
    let path = path.member("CascadeConfiguration");
    let mut cascade = Cascade { delete: DeleteAction::RemoveLink };
    for (name, value) in given {
        let Some(value) = value else { continue };
        if name == "Delete" {
            cascade.delete = delete_of(&value)
                .ok_or_else(|| Path(&path).bad("Delete", format!("`{}`", cut(&value))))?;
        } else if CASCADES.contains(&name.as_str()) {
            if value != "NoCascade" {
                let what = format!("`{path}.{name}` `{}`", cut(&value));
                return Err(Error::Unsupported { what });
            }
        } else if !name.contains('@') {
            return Err(Path(&path).bad(&cut(&name), "there is no such action"));
        }
    }
    Ok(cascade)
}

impl TableBody<'_> {
    fn into_new(self, path: Path<'_>) -> Result<NewTable> {
        if self.is_activity == Some(true) {
            return Err(Error::Unsupported { what: "a new activity table (`IsActivity`)".into() });
        }
        if FlagBody::is_on(self.is_audited.as_ref()) {
            return Err(Error::Unsupported { what: "auditing (`IsAuditEnabled`)".into() });
        }
        let kind = match self.table_type.as_deref() {
            None | Some("Standard") => TableKind::Standard,
            Some("Elastic") => TableKind::Elastic,
            Some(other) => {
                let what = format!("a table of type `{}`", cut(other));
                return Err(Error::Unsupported { what });
            }
        };
        let ownership = match self.ownership.as_deref() {
            Some("UserOwned") => Ownership::User,
            Some("OrganizationOwned") => Ownership::Organization,
            Some(other) => return Err(Error::BadOwnership { given: cut(other) }),
            None => return Err(path.missing("OwnershipType")),
        };
        let schema_name = self.schema_name.ok_or_else(|| path.missing("SchemaName"))?;
        let labels = (
            self.display_name.ok_or_else(|| path.missing("DisplayName"))?,
            self.display_collection_name.ok_or_else(|| path.missing("DisplayCollectionName"))?,
        );
        let columns = self
            .columns
            .into_iter()
            .enumerate()
            .map(|(place, column)| {
                column.into_new(Path(&path.member(&format!("Attributes[{place}]"))))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut names = columns.iter().filter(|column| column.is_primary_name);
        match (names.next(), names.next()) {
            (Some(name), None) if matches!(name.kind, ColumnKind::Text { .. }) => {}
            (Some(_), None) => return Err(path.bad("Attributes", "the primary name is no String")),
            _ => return Err(path.bad("Attributes", "exactly one column has `IsPrimaryName`")),
        }
        Ok(NewTable {
            schema_name: schema_name.into(),
            entity_set_name: self.entity_set_name.filter(|name| !name.is_empty()).map(Into::into),
            display_name: labels.0.into_label(),
            display_collection_name: labels.1.into_label(),
            description: label::of(self.description),
            ownership,
            kind,
            has_notes: self.has_notes.unwrap_or(false),
            has_activities: self.has_activities.unwrap_or(false),
            change_tracking: self.change_tracking,
            columns,
        })
    }
}

/// Reads a body with one of the structures above.
fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T> {
    let no_json = |detail: String| Error::NotJson { detail };
    let text = std::str::from_utf8(body).map_err(|err| no_json(err.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A list would fill the structure by position; only objects are bodies.
    if !text.trim_start().starts_with('{') {
        return Err(no_json("expected an object".into()));
    }
    serde_json::from_str(text).map_err(|err| no_json(cut(&err.to_string())))
}
