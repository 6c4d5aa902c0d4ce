//! The bodies of new definitions.
//!
//! Not here: columns (`new_column`), relationships (`new_relationship`). Invariant: a decoded table has exactly one primary name column,
//! and that one is a text.

use super::label::{self, LabelBody};
use super::new_column::{ColumnBody, FlagBody, Path};
use crate::error::{Error, Result, cut};
use model::{ColumnKind, NewColumn, NewKey, NewTable, Ownership, TableKind};
use serde::Deserialize;

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

impl TableBody<'_> {
    fn into_new(self, path: Path<'_>) -> Result<NewTable> {
        if self.is_activity == Some(true) {
            return Err(Error::Unsupported { what: "a new activity table (`IsActivity`)".into() });
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
            settings: model::TableSettings {
                is_audited: FlagBody::is_on(self.is_audited.as_ref()),
                ..model::TableSettings::default()
            },
            columns,
        })
    }
}

/// Reads a body with one of the structures above.
pub(super) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T> {
    let no_json = |detail: String| Error::NotJson { detail };
    let text = std::str::from_utf8(body).map_err(|err| no_json(err.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A list would fill the structure by position; only objects are bodies.
    if !text.trim_start().starts_with('{') {
        return Err(no_json("expected an object".into()));
    }
    serde_json::from_str(text).map_err(|err| no_json(cut(&err.to_string())))
}
