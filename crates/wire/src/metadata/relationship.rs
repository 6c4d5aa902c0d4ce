//! The members of `OneToManyRelationshipMetadata` and `ManyToManyRelationshipMetadata`.
//!
//! Not here: the bodies of new relationships (`new_relationship`).

use super::label;
use super::member::Member;
use crate::json;
use model::{
    Cascade, CascadeAction, DeleteAction, ManyToMany, Menu, MenuBehavior, MenuGroup, OneToMany,
    RelationshipSettings,
};

type Read = for<'a> fn(&'a OneToMany) -> Member<'a>;
type ReadMany = for<'a> fn(&'a ManyToMany) -> Member<'a>;

const CUSTOMIZABLE: Member<'static> =
    Member::Managed { value: true, can_be_changed: false, name: "iscustomizable" };

/// Every member of a one-to-many relationship, in order.
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
    ("IsValidForAdvancedFind", |this| Member::Boolean(this.settings.advanced_find)),
    ("SchemaName", |this| Member::text(Some(&this.schema_name))),
    ("SecurityTypes", |_| Member::text(Some("Append"))),
    ("IsManaged", |this| Member::Boolean(!this.is_custom)),
    ("RelationshipType", |_| Member::text(Some("OneToManyRelationship"))),
    ("IntroducedVersion", |_| Member::text(Some("1.0.0.0"))),
    ("MetadataId", |this| Member::Guid(this.metadata_id)),
    ("HasChanged", |_| Member::Null),
    ("IsCustomizable", |_| CUSTOMIZABLE),
    ("AssociatedMenuConfiguration", |this| Member::Menu(&this.settings.menu)),
    ("CascadeConfiguration", |this| Member::Cascade(this.cascade)),
    ("RelationshipAttributes", |_| Member::Nothing),
];

/// Every member of a many-to-many relationship, in order.
pub(super) const MANY_MEMBERS: &[(&str, ReadMany)] = &[
    ("Entity1LogicalName", |this| Member::text(Some(&this.ends[0].table))),
    ("Entity2LogicalName", |this| Member::text(Some(&this.ends[1].table))),
    ("IntersectEntityName", |this| Member::text(Some(&this.intersect_table))),
    ("Entity1IntersectAttribute", |this| Member::text(Some(&this.ends[0].column))),
    ("Entity2IntersectAttribute", |this| Member::text(Some(&this.ends[1].column))),
    ("Entity1NavigationPropertyName", |this| Member::text(Some(&this.ends[0].navigation))),
    ("Entity2NavigationPropertyName", |this| Member::text(Some(&this.ends[1].navigation))),
    ("IsCustomRelationship", |this| Member::Boolean(this.is_custom)),
    ("IsValidForAdvancedFind", |this| Member::Boolean(this.settings.advanced_find)),
    ("SchemaName", |this| Member::text(Some(&this.schema_name))),
    ("SecurityTypes", |_| Member::text(Some("None"))),
    ("IsManaged", |this| Member::Boolean(!this.is_custom)),
    ("RelationshipType", |_| Member::text(Some("ManyToManyRelationship"))),
    ("IntroducedVersion", |_| Member::text(Some("1.0.0.0"))),
    ("MetadataId", |this| Member::Guid(this.metadata_id)),
    ("HasChanged", |_| Member::Null),
    ("IsCustomizable", |_| CUSTOMIZABLE),
    ("Entity1AssociatedMenuConfiguration", |this| Member::Menu(&this.ends[0].menu)),
    ("Entity2AssociatedMenuConfiguration", |this| Member::Menu(&this.ends[1].menu)),
];

/// Whether relationships of some kind have the member, so that a mixed read may name it.
pub(super) fn is_member_of_any(name: &str) -> bool {
    MEMBERS.iter().any(|(member, _)| *member == name)
        || MANY_MEMBERS.iter().any(|(member, _)| *member == name)
}

/// The actions of a cascade configuration, in order.
pub(super) const CASCADES: &[&str] =
    &["Assign", "Share", "Unshare", "RollupView", "Reparent", "Merge", "Archive", "Delete"];

/// What a cascade configuration says of one action.
pub(super) fn cascade_member(cascade: Cascade, name: &str) -> Option<&'static str> {
    let action = match name {
        "Assign" => cascade.assign,
        "Share" => cascade.share,
        "Unshare" => cascade.unshare,
        "RollupView" => cascade.rollup_view,
        "Reparent" => cascade.reparent,
        "Merge" => cascade.merge,
        "Archive" => cascade.archive,
        "Delete" => return Some(delete_name(cascade.delete)),
        _ => return None,
    };
    Some(match action {
        CascadeAction::NoCascade => "NoCascade",
        CascadeAction::Cascade => "Cascade",
        CascadeAction::Active => "Active",
        CascadeAction::UserOwned => "UserOwned",
    })
}

/// The name of a delete action on the wire.
fn delete_name(action: DeleteAction) -> &'static str {
    match action {
        DeleteAction::Cascade => "Cascade",
        DeleteAction::RemoveLink => "RemoveLink",
        DeleteAction::Restrict => "Restrict",
        DeleteAction::NoCascade => "NoCascade",
    }
}

/// The delete action of a name on the wire.
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

/// Any other action of a name on the wire.
pub(super) fn action_of(name: &str) -> Option<CascadeAction> {
    Some(match name {
        "NoCascade" => CascadeAction::NoCascade,
        "Cascade" => CascadeAction::Cascade,
        "Active" => CascadeAction::Active,
        "UserOwned" => CascadeAction::UserOwned,
        _ => return None,
    })
}

/// Appends a cascade configuration.
pub(super) fn write_cascade(out: &mut Vec<u8>, cascade: Cascade) {
    out.push(b'{');
    for name in CASCADES {
        json::comma(out);
        json::name(out, name);
        json::text(out, cascade_member(cascade, name).unwrap_or("NoCascade"));
    }
    out.push(b'}');
}

/// The behaviours of a menu, as a caller names them.
const BEHAVIORS: [(&str, MenuBehavior); 3] = [
    ("UseCollectionName", MenuBehavior::UseCollectionName),
    ("UseLabel", MenuBehavior::UseLabel),
    ("DoNotDisplay", MenuBehavior::DoNotDisplay),
];

/// The groups of a menu, as a caller names them.
const GROUPS: [(&str, MenuGroup); 4] = [
    ("Details", MenuGroup::Details),
    ("Sales", MenuGroup::Sales),
    ("Service", MenuGroup::Service),
    ("Marketing", MenuGroup::Marketing),
];

/// The behaviour of a name on the wire.
pub(super) fn behavior_of(name: &str) -> Option<MenuBehavior> {
    BEHAVIORS.iter().find(|(known, _)| *known == name).map(|(_, behavior)| *behavior)
}

/// The group of a name on the wire.
pub(super) fn group_of(name: &str) -> Option<MenuGroup> {
    GROUPS.iter().find(|(known, _)| *known == name).map(|(_, group)| *group)
}

/// One member of a menu configuration.
pub(super) fn menu_member<'a>(menu: &'a Menu, name: &str) -> Option<Member<'a>> {
    Some(match name {
        "Behavior" => Member::text(
            BEHAVIORS.iter().find(|(_, known)| *known == menu.behavior).map(|(name, _)| *name),
        ),
        "Group" => Member::text(
            GROUPS.iter().find(|(_, known)| *known == menu.group).map(|(name, _)| *name),
        ),
        "Order" => menu.order.map_or(Member::Null, |order| Member::Integer(order.into())),
        "IsCustomizable" => Member::Boolean(true),
        "Icon" | "MenuId" | "QueryApi" => Member::Null,
        "ViewId" => Member::Guid(model::Uuid::nil()),
        "AvailableOffline" => Member::Boolean(true),
        "Label" => Member::Label(&menu.label),
        _ => return None,
    })
}

/// Appends a menu configuration.
pub(super) fn write_menu(out: &mut Vec<u8>, menu: &Menu) {
    out.push(b'{');
    for name in [
        "Behavior",
        "Group",
        "Order",
        "IsCustomizable",
        "Icon",
        "ViewId",
        "AvailableOffline",
        "MenuId",
        "QueryApi",
    ] {
        json::comma(out);
        json::name(out, name);
        if let Some(member) = menu_member(menu, name) {
            member.write(out);
        }
    }
    out.extend_from_slice(b",\"Label\":");
    label::write(out, &menu.label);
    out.push(b'}');
}

/// Settings with what a body says of advanced find and the menu.
pub(super) fn settings(advanced_find: Option<bool>, menu: Menu) -> RelationshipSettings {
    let default = RelationshipSettings::default();
    RelationshipSettings {
        advanced_find: advanced_find.unwrap_or(default.advanced_find),
        menu,
        ..default
    }
}
