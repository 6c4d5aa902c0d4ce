//! The members of `OneToManyRelationshipMetadata`.
//!
//! Not here: many-to-many relationships: there are none yet.

use super::member::Member;
use crate::json;
use model::{DeleteAction, OneToMany};

type Read = for<'a> fn(&'a OneToMany) -> Member<'a>;

/// The actions that a relationship may cascade; only deletes are.
pub(super) const CASCADES: &[&str] =
    &["Assign", "Share", "Unshare", "RollupView", "Reparent", "Merge", "Archive"];

/// Every member, in order.
pub(super) const MEMBERS: &[(&str, Read)] = &[
    ("ReferencedAttribute", |this| Member::text(Some(&this.referenced_column))),
    ("ReferencedEntity", |this| Member::text(Some(&this.referenced_table))),
    ("ReferencingAttribute", |this| Member::text(Some(&this.referencing_column))),
    ("ReferencingEntity", |this| Member::text(Some(&this.referencing_table))),
    ("IsHierarchical", |this| Member::Boolean(this.is_hierarchical)),
    ("EntityKey", |_| Member::Null),
    ("IsRelationshipAttributeDenormalized", |_| Member::Boolean(false)),
    ("ReferencedEntityNavigationPropertyName", |this| {
        Member::text(Some(&this.referenced_navigation))
    }),
    ("ReferencingEntityNavigationPropertyName", |this| {
        Member::text(Some(&this.referencing_navigation))
    }),
    ("RelationshipBehavior", |_| Member::Integer(1)),
    ("IsDenormalizedLookup", |_| Member::Boolean(false)),
    ("DenormalizedAttributeName", |_| Member::Null),
    ("IsCustomRelationship", |this| Member::Boolean(this.is_custom)),
    ("IsValidForAdvancedFind", |_| Member::Boolean(true)),
    ("SchemaName", |this| Member::text(Some(&this.schema_name))),
    ("SecurityTypes", |_| Member::text(Some("Append"))),
    ("IsManaged", |this| Member::Boolean(!this.is_custom)),
    ("RelationshipType", |_| Member::text(Some("OneToManyRelationship"))),
    ("IntroducedVersion", |_| Member::text(Some("1.0.0.0"))),
    ("MetadataId", |this| Member::Guid(this.metadata_id)),
    ("HasChanged", |_| Member::Null),
    ("IsCustomizable", |_| Member::Managed {
        value: true,
        can_be_changed: false,
        name: "iscustomizable",
    }),
    ("AssociatedMenuConfiguration", |_| {
        Member::Texted(&[("Behavior", "UseCollectionName"), ("Group", "Details")])
    }),
    ("CascadeConfiguration", |this| Member::Cascade(delete_name(this.cascade.delete))),
    ("RelationshipAttributes", |_| Member::Nothing),
];

/// The name of a delete action on the wire.
fn delete_name(action: DeleteAction) -> &'static str {
    match action {
        DeleteAction::Cascade => "Cascade",
        DeleteAction::RemoveLink => "RemoveLink",
        DeleteAction::Restrict => "Restrict",
        DeleteAction::NoCascade => "NoCascade",
    }
}

/// The delete action of a name on the wire, as far as a new relationship may have it.
pub(super) fn delete_of(name: &str) -> Option<DeleteAction> {
    Some(match name {
        "Cascade" => DeleteAction::Cascade,
        "RemoveLink" => DeleteAction::RemoveLink,
        "Restrict" => DeleteAction::Restrict,
        // For relationships of elastic tables.
        "NoCascade" => DeleteAction::NoCascade,
        _ => return None,
    })
}

/// Appends a cascade configuration in which only deletes do anything.
pub(super) fn write_cascade(out: &mut Vec<u8>, delete: &str) {
    out.push(b'{');
    for name in CASCADES {
        json::name(out, name);
        out.extend_from_slice(b"\"NoCascade\",");
    }
    json::name(out, "Delete");
    json::text(out, delete);
    out.push(b'}');
}
