//! The bodies of new relationships, of both kinds.
//!
//! Not here: names, intersect tables and lookup columns (`pipeline`).

use super::decode::parse;
use super::label::{self, LabelBody};
use super::new_column::{Path, ValueBody, required};
use super::relationship::{CASCADES, action_of, behavior_of, delete_of, group_of, settings};
use crate::error::{Error, Result, cut};
use model::{
    Cascade, DeleteAction, LookupKind, ManyToMany, Menu, NewLookup, NewManyToMany,
    NewManyToManyEnd, NewRelationship, OneToMany,
};
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

#[derive(Clone, Debug, Default, Deserialize)]
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
    /// Takes over what a body says of a menu; what it does not name stays.
    fn change(this: Option<Self>, menu: &mut Menu, merge: bool, path: &str) -> Result<()> {
        let Some(this) = this else { return Ok(()) };
        let old = menu.clone();
        let (behavior, group) = (this.behavior.is_some(), this.group.is_some());
        let order = this.order;
        let had_label = this.label.is_some();
        let new = Self::menu(Some(this), path)?;
        *menu = Menu {
            behavior: if behavior { new.behavior } else { old.behavior },
            group: if group { new.group } else { old.group },
            order: order.or(old.order),
            label: match (had_label, merge) {
                (false, _) => old.label,
                (true, true) => old.label.merged(new.label),
                (true, false) => new.label,
            },
        };
        Ok(())
    }

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

/// Reads the body of `PUT RelationshipDefinitions(k)` for a one-to-many relationship.
///
/// Errors: as [`decode_relationship`].
pub fn decode_relationship_change(
    body: &[u8],
    old: &OneToMany,
    merge_labels: bool,
) -> Result<OneToMany> {
    let path = Path("");
    let body: RelationshipBody = parse(body)?;
    body.check_type("OneToManyRelationshipMetadata", path)?;
    fixed(path, "SchemaName", body.schema_name.as_deref(), &old.schema_name)?;
    fixed(path, "ReferencedEntity", body.referenced_table.as_deref(), &old.referenced_table)?;
    fixed(path, "ReferencingEntity", body.referencing_table.as_deref(), &old.referencing_table)?;
    let navigation = body.referenced_navigation.as_deref();
    let name = "ReferencedEntityNavigationPropertyName";
    fixed(path, name, navigation, &old.referenced_navigation)?;
    let navigation = body.referencing_navigation.as_deref();
    let name = "ReferencingEntityNavigationPropertyName";
    fixed(path, name, navigation, &old.referencing_navigation)?;
    let mut new = old.clone();
    new.cascade = cascade(old.cascade, body.cascade.unwrap_or_default(), path)?;
    new.is_hierarchical = body.is_hierarchical.unwrap_or(old.is_hierarchical);
    new.settings.advanced_find = body.advanced_find.unwrap_or(old.settings.advanced_find);
    let name = path.member("AssociatedMenuConfiguration");
    MenuBody::change(body.menu, &mut new.settings.menu, merge_labels, &name)?;
    Ok(new)
}

/// Reads the body of `PUT RelationshipDefinitions(k)` for a many-to-many relationship.
///
/// Errors: as [`decode_relationship`].
pub fn decode_many_to_many_change(
    body: &[u8],
    old: &ManyToMany,
    merge_labels: bool,
) -> Result<ManyToMany> {
    let path = Path("");
    let body: RelationshipBody = parse(body)?;
    body.check_type("ManyToManyRelationshipMetadata", path)?;
    fixed(path, "SchemaName", body.schema_name.as_deref(), &old.schema_name)?;
    fixed(path, "IntersectEntityName", body.intersect_table.as_deref(), &old.intersect_table)?;
    let mut new = old.clone();
    new.settings.advanced_find = body.advanced_find.unwrap_or(old.settings.advanced_find);
    let sides = [
        (body.first_table, body.first_navigation, body.first_menu),
        (body.second_table, body.second_navigation, body.second_menu),
    ];
    for (number, (end, (table, navigation, menu))) in (1..).zip(new.ends.iter_mut().zip(sides)) {
        let name = |member: &str| format!("Entity{number}{member}");
        fixed(path, &name("LogicalName"), table.as_deref(), &end.table)?;
        let member = name("NavigationPropertyName");
        fixed(path, &member, navigation.as_deref(), &end.navigation)?;
        let member = name("AssociatedMenuConfiguration");
        MenuBody::change(menu, &mut end.menu, merge_labels, &member)?;
    }
    Ok(new)
}

/// Reads the body of the actions that make a lookup to several tables.
///
/// Errors: as [`decode_relationship`].
pub fn decode_lookup(body: &[u8], kind: LookupKind) -> Result<NewLookup> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "OneToManyRelationships", default)]
        relationships: Vec<RelationshipBody>,
        #[serde(rename = "Lookup", default)]
        lookup: Option<LookupBody>,
    }
    let body: Body = parse(body)?;
    let lookup = body.lookup.ok_or_else(|| Path("").missing("Lookup"))?;
    let mut relationships = Vec::with_capacity(body.relationships.len());
    for (place, mut one) in body.relationships.into_iter().enumerate() {
        let path = format!("OneToManyRelationships[{place}]");
        one.lookup = Some(lookup.clone());
        match one.one_to_many(Path(&path))? {
            DecodedRelationship::OneToMany(one) => relationships.push(one),
            DecodedRelationship::ManyToMany(_) => {}
        }
    }
    if relationships.is_empty() {
        return Err(Path("").bad("OneToManyRelationships", "there is none"));
    }
    Ok(NewLookup { kind, relationships })
}

fn fixed(path: Path<'_>, name: &str, given: Option<&str>, old: &str) -> Result<()> {
    match given {
        Some(given) if given != old => Err(path.bad(name, "it cannot change")),
        _ => Ok(()),
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
    fn check_type(&self, own: &str, path: Path<'_>) -> Result<()> {
        match self.type_name.as_deref().map(relationship_type) {
            Some(given) if given != own => {
                Err(path.bad("@odata.type", "the type of a relationship cannot change"))
            }
            _ => Ok(()),
        }
    }

    fn one_to_many(self, path: Path<'_>) -> Result<DecodedRelationship> {
        let base = Cascade::on_delete(DeleteAction::RemoveLink);
        let cascade = cascade(base, self.cascade.unwrap_or_default(), path)?;
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

/// The cascade configuration of a body; what it does not name stays as it was.
fn cascade(
    mut cascade: Cascade,
    given: BTreeMap<String, Option<String>>,
    path: Path<'_>,
) -> Result<Cascade> {
    let path = path.member("CascadeConfiguration");
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
