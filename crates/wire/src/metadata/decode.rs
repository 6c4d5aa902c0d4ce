//! The bodies of new definitions.
//!
//! Not here: columns (`new_column`), relationships (`new_relationship`). Invariant: a decoded table has exactly one primary name column,
//! and that one is a text.

use super::label::{self, LabelBody};
use super::new_column::{ColumnBody, FlagBody, Path};
use super::table::{kind_name, ownership_name};
use crate::error::{Error, Result, cut};
use model::{
    ColumnKind, NewColumn, NewKey, NewTable, Ownership, Table, TableDefinition, TableKind,
};
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

/// Reads the body of `PUT EntityDefinitions(k)`: what it does not name stays.
///
/// Errors: [`Error::NotJson`]; [`Error::BadDefinition`] for what cannot change.
pub fn decode_table_change(
    body: &[u8],
    old: &Table,
    merge_labels: bool,
) -> Result<TableDefinition> {
    #[derive(Deserialize)]
    struct Fixed {
        #[serde(rename = "LogicalName", default)]
        logical_name: Option<String>,
        #[serde(rename = "PrimaryIdAttribute", default)]
        primary_id: Option<String>,
    }
    let path = Path("");
    let names: Fixed = parse(body)?;
    let body: TableBody<'_> = parse(body)?;
    let fixed = [
        ("SchemaName", &body.schema_name, &*old.schema_name),
        ("LogicalName", &names.logical_name, &*old.logical_name),
        ("EntitySetName", &body.entity_set_name, &*old.entity_set_name),
        ("PrimaryIdAttribute", &names.primary_id, old.primary_key_name()),
        ("OwnershipType", &body.ownership, ownership_name(old.ownership)),
        ("TableType", &body.table_type, kind_name(old.kind)),
    ];
    for (name, given, known) in fixed {
        if given.as_deref().is_some_and(|given| given != known) {
            return Err(path.bad(name, "it cannot change"));
        }
    }
    if body.is_activity.is_some_and(|given| given != old.is_activity) {
        return Err(path.bad("IsActivity", "it cannot change"));
    }
    let mut new = old.definition().clone();
    new.has_notes = body.has_notes.unwrap_or(old.has_notes);
    new.has_activities = body.has_activities.unwrap_or(old.has_activities);
    new.change_tracking = body.change_tracking.unwrap_or(old.change_tracking);
    if let Some(flag) = body.is_audited.as_ref().filter(|flag| flag.value.is_some()) {
        new.settings.is_audited = FlagBody::is_on(Some(flag));
    }
    label::changed(&mut new.display_name, body.display_name, merge_labels);
    let plural = body.display_collection_name;
    label::changed(&mut new.display_collection_name, plural, merge_labels);
    label::changed(&mut new.description, body.description, merge_labels);
    Ok(new)
}

/// A column that stands twice is one: whichever says so makes it the primary name.
fn joined(columns: Vec<NewColumn>) -> Vec<NewColumn> {
    let mut kept: Vec<NewColumn> = Vec::with_capacity(columns.len());
    for column in columns {
        let same = |known: &&mut NewColumn| {
            known.schema_name.eq_ignore_ascii_case(&column.schema_name)
                && known.is_primary_name != column.is_primary_name
        };
        match kept.iter_mut().find(same) {
            Some(known) => known.is_primary_name = true,
            None => kept.push(column),
        }
    }
    kept
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
        let columns = joined(columns);
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
