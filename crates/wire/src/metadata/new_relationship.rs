//! The bodies of new relationships, of both kinds.
//!
//! Not here: names, intersect tables and lookup columns (`pipeline`).

use super::decode::parse;
use super::label::{self, LabelBody};
use super::new_column::{Path, ValueBody, required};
use super::relationship::{CASCADES, action_of, behavior_of, delete_of, group_of, settings};
use crate::error::{Error, Result, cut};
use model::{Cascade, DeleteAction, Menu, NewManyToMany, NewManyToManyEnd, NewRelationship};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A relationship as a caller asks for it.
#[derive(Clone, Debug)]
pub enum DecodedRelationship {
    /// With its lookup column.
    OneToMany(NewRelationship),
    /// With its intersect table.
    ManyToMany(NewManyToMany),
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct LookupBody {
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
pub(super) struct MenuBody {
    #[serde(rename = "Behavior", default)]
    behavior: Option<String>,
    #[serde(rename = "Group", default)]
    group: Option<String>,
    #[serde(rename = "Order", default)]
    order: Option<i32>,
    #[serde(rename = "Label", default)]
    label: Option<LabelBody>,
}

impl MenuBody {
    /// The menu that an optional member describes.
    pub(super) fn menu(this: Option<Self>, path: &str) -> Result<Menu> {
        let Some(this) = this else { return Ok(Menu::default()) };
        let bad = |name: &str, value: &str| Path(path).bad(name, format!("`{}`", cut(value)));
        let default = Menu::default();
        Ok(Menu {
            behavior: match this.behavior.as_deref() {
                None => default.behavior,
                Some(name) => behavior_of(name).ok_or_else(|| bad("Behavior", name))?,
            },
            group: match this.group.as_deref() {
                None => default.group,
                Some(name) => group_of(name).ok_or_else(|| bad("Group", name))?,
            },
            order: this.order.or(default.order),
            label: label::of(this.label),
        })
    }
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
    #[serde(rename = "IsValidForAdvancedFind", default)]
    advanced_find: Option<bool>,
    #[serde(rename = "AssociatedMenuConfiguration", default)]
    menu: Option<MenuBody>,
    #[serde(rename = "Lookup", default)]
    lookup: Option<LookupBody>,
    #[serde(rename = "Entity1LogicalName", default)]
    first_table: Option<String>,
    #[serde(rename = "Entity2LogicalName", default)]
    second_table: Option<String>,
    #[serde(rename = "IntersectEntityName", default)]
    intersect_table: Option<String>,
    #[serde(rename = "Entity1NavigationPropertyName", default)]
    first_navigation: Option<String>,
    #[serde(rename = "Entity2NavigationPropertyName", default)]
    second_navigation: Option<String>,
    #[serde(rename = "Entity1AssociatedMenuConfiguration", default)]
    first_menu: Option<MenuBody>,
    #[serde(rename = "Entity2AssociatedMenuConfiguration", default)]
    second_menu: Option<MenuBody>,
}

/// Reads the body of `POST RelationshipDefinitions`.
///
/// Errors: [`Error::NotJson`], [`Error::BadDefinition`], [`Error::Unsupported`].
pub fn decode_relationship(body: &[u8]) -> Result<DecodedRelationship> {
    let body: RelationshipBody = parse(body)?;
    let kind = body.type_name.as_deref().map(relationship_type);
    match kind {
        Some("OneToManyRelationshipMetadata") => body.one_to_many(Path("")),
        Some("ManyToManyRelationshipMetadata") => body.many_to_many(Path("")),
        Some(other) => {
            Err(Error::Unsupported { what: format!("a relationship of type `{}`", cut(other)) })
        }
        None if body.first_table.is_some() => body.many_to_many(Path("")),
        None => body.one_to_many(Path("")),
    }
}

/// `OneToManyRelationshipMetadata` of `#Microsoft.Dynamics.CRM.ComplexOneToManyRelationshipMetadata`.
pub(super) fn relationship_type(name: &str) -> &str {
    let name = name.strip_prefix('#').unwrap_or(name);
    let short = name.strip_prefix("Microsoft.Dynamics.CRM.").unwrap_or(name);
    short.strip_prefix("Complex").unwrap_or(short)
}

fn needed(given: Option<String>, path: Path<'_>, name: &str) -> Result<Box<str>> {
    given.map(Box::<str>::from).ok_or_else(|| path.missing(name))
}

fn named(given: Option<String>) -> Option<Box<str>> {
    given.filter(|name| !name.is_empty()).map(Into::into)
}

impl RelationshipBody {
    fn one_to_many(self, path: Path<'_>) -> Result<DecodedRelationship> {
        let cascade = cascade(self.cascade.unwrap_or_default(), path)?;
        let lookup = self.lookup.ok_or_else(|| path.missing("Lookup"))?;
        let menu = MenuBody::menu(self.menu, &path.member("AssociatedMenuConfiguration"))?;
        Ok(DecodedRelationship::OneToMany(NewRelationship {
            schema_name: needed(self.schema_name, path, "SchemaName")?,
            referenced_table: needed(self.referenced_table, path, "ReferencedEntity")?,
            referencing_table: needed(self.referencing_table, path, "ReferencingEntity")?,
            lookup_schema_name: needed(lookup.schema_name, path, "Lookup.SchemaName")?,
            lookup_display_name: label::of(lookup.display_name),
            lookup_description: label::of(lookup.description),
            lookup_required: required(lookup.required.as_ref(), Path("Lookup"))?,
            referenced_navigation: named(self.referenced_navigation),
            referencing_navigation: named(self.referencing_navigation),
            cascade,
            is_hierarchical: self.is_hierarchical.unwrap_or(false),
            settings: settings(self.advanced_find, menu),
        }))
    }

    fn many_to_many(self, path: Path<'_>) -> Result<DecodedRelationship> {
        let end = |table: Option<String>, navigation, menu, number: u8| -> Result<_> {
            let name = path.member(&format!("Entity{number}AssociatedMenuConfiguration"));
            Ok(NewManyToManyEnd {
                table: needed(table, path, &format!("Entity{number}LogicalName"))?,
                navigation: named(navigation),
                menu: MenuBody::menu(menu, &name)?,
            })
        };
        let ends = [
            end(self.first_table, self.first_navigation, self.first_menu, 1)?,
            end(self.second_table, self.second_navigation, self.second_menu, 2)?,
        ];
        Ok(DecodedRelationship::ManyToMany(NewManyToMany {
            schema_name: needed(self.schema_name, path, "SchemaName")?,
            intersect_table: named(self.intersect_table),
            ends,
            advanced_find: self.advanced_find.unwrap_or(true),
        }))
    }
}

/// The cascade configuration of a body; what it does not name is left at its default.
pub(super) fn cascade(given: BTreeMap<String, Option<String>>, path: Path<'_>) -> Result<Cascade> {
    let path = path.member("CascadeConfiguration");
    let mut cascade = Cascade::on_delete(DeleteAction::RemoveLink);
    for (name, value) in given {
        let Some(value) = value else { continue };
        let bad = || Path(&path).bad(&cut(&name), format!("`{}`", cut(&value)));
        if name == "Delete" {
            cascade.delete = delete_of(&value).ok_or_else(bad)?;
        } else if CASCADES.contains(&name.as_str()) {
            let action = action_of(&value).ok_or_else(bad)?;
            match name.as_str() {
                "Assign" => cascade.assign = action,
                "Share" => cascade.share = action,
                "Unshare" => cascade.unshare = action,
                "Reparent" => cascade.reparent = action,
                "Merge" => cascade.merge = action,
                "Archive" => cascade.archive = action,
                _ => cascade.rollup_view = action,
            }
        } else if !name.contains('@') {
            return Err(Path(&path).bad(&cut(&name), "there is no such action"));
        }
    }
    Ok(cascade)
}
