//! The members of `EntityMetadata`.
//!
//! Not here: the collections of a table (columns, keys, relationships) and its privileges: those are
//! rows. Members of features that are not there read as switched off.

use super::member::Member;
use crate::json;
use model::{ColumnKind, Ownership, Table, TableKind, Timestamp, Uuid};
use std::borrow::Cow;

/// A member's name and how it is read.
type Read = for<'a> fn(&'a Table) -> Member<'a>;

/// The data provider of elastic tables.
const ELASTIC_PROVIDER: Uuid = Uuid::from_u128(0x1d9b_de74_9ebd_4da9_8ff5_aa74_945b_9f74);

/// When a definition was made or changed; 1900 stands for those of the service's own making and of older
/// stores, as it does on the platform for system tables.
pub(super) fn time<'a>(at: Option<Timestamp>) -> Member<'a> {
    at.map_or(Member::text(Some("1900-01-01T00:00:00Z")), |at| {
        Member::Text(Cow::Owned(at.to_string()))
    })
}

const fn managed<'a>(value: bool, name: &'static str) -> Member<'a> {
    Member::Managed { value, can_be_changed: false, name }
}

/// Appends the privileges of a table.
pub(super) fn write_privileges(out: &mut Vec<u8>, table: &Table) {
    // What users own has every depth; what nobody owns is for all or for none.
    let (basic, local) = match table.ownership {
        Ownership::User => (true, true),
        Ownership::Business => (false, true),
        Ownership::Organization | Ownership::None => (false, false),
    };
    out.push(b'[');
    for action in model::privilege_actions(table) {
        let name = format!("prv{action}{}", table.schema_name);
        json::comma(out);
        json::display(
            out,
            format_args!(
                "{{\"CanBeBasic\":{basic},\"CanBeDeep\":{local},\"CanBeGlobal\":true,\"CanBeLocal\":{local},\"CanBeEntityReference\":false,\"CanBeParentEntityReference\":false,\"Name\":"
            ),
        );
        json::text(out, &name);
        out.extend_from_slice(b",\"PrivilegeId\":");
        json::guid(out, model::privilege_id(&name));
        out.extend_from_slice(b",\"PrivilegeType\":");
        json::text(out, action);
        out.push(b'}');
    }
    out.push(b']');
}

/// The name of an ownership on the wire.
pub(super) fn ownership_name(ownership: Ownership) -> &'static str {
    match ownership {
        Ownership::User => "UserOwned",
        Ownership::Organization => "OrganizationOwned",
        Ownership::Business => "BusinessOwned",
        Ownership::None => "None",
    }
}

/// The name of a kind of table on the wire.
pub(super) fn kind_name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Standard => "Standard",
        TableKind::Elastic => "Elastic",
    }
}

/// Every member, in the order of a read without `$select`.
pub(super) const MEMBERS: &[(&str, Read)] = &[
    ("ActivityTypeMask", |table| Member::Integer(i64::from(table.is_activity))),
    ("AutoRouteToOwnerQueue", |_| Member::Boolean(false)),
    ("ChangeTrackingEnabled", |table| Member::Boolean(table.change_tracking)),
    ("CollectionSchemaName", |table| Member::text(Some(&table.collection_schema_name))),
    ("CreatedOn", |table| time(table.settings.created_on)),
    ("DataProviderId", |table| match table.kind {
        TableKind::Standard => Member::Null,
        TableKind::Elastic => Member::Guid(ELASTIC_PROVIDER),
    }),
    ("DataSourceId", |_| Member::Null),
    ("DaysSinceRecordLastModified", |_| Member::Integer(0)),
    ("EntityColor", |_| Member::Null),
    ("EntityHelpUrl", |_| Member::Null),
    ("EntityHelpUrlEnabled", |_| Member::Boolean(false)),
    ("EntitySetName", |table| Member::text(Some(&table.entity_set_name))),
    ("ExternalCollectionName", |_| Member::Null),
    ("ExternalName", |_| Member::Null),
    ("HasActivities", |table| Member::Boolean(table.has_activities)),
    ("HasChanged", |_| Member::Null),
    ("HasEmailAddresses", |_| Member::Boolean(false)),
    ("HasFeedback", |_| Member::Boolean(false)),
    ("HasNotes", |table| Member::Boolean(table.has_notes)),
    ("IconLargeName", |_| Member::Null),
    ("IconMediumName", |_| Member::Null),
    ("IconSmallName", |_| Member::Null),
    ("IconVectorName", |_| Member::Null),
    ("IntroducedVersion", |_| Member::text(Some("1.0.0.0"))),
    ("IsActivity", |table| Member::Boolean(table.is_activity)),
    ("IsActivityParty", |_| Member::Boolean(false)),
    ("IsArchivalEnabled", |_| Member::Boolean(false)),
    ("IsAvailableOffline", |_| Member::Boolean(false)),
    ("IsBPFEntity", |_| Member::Boolean(false)),
    ("IsBusinessProcessEnabled", |_| Member::Boolean(false)),
    ("IsChildEntity", |_| Member::Boolean(false)),
    ("IsCustomEntity", |table| Member::Boolean(table.is_custom)),
    ("IsDocumentManagementEnabled", |_| Member::Boolean(false)),
    ("IsDocumentRecommendationsEnabled", |_| Member::Boolean(false)),
    ("IsEnabledForCharts", |_| Member::Boolean(false)),
    ("IsEnabledForExternalChannels", |_| Member::Boolean(false)),
    ("IsEnabledForTrace", |_| Member::Boolean(false)),
    ("IsImportable", |table| Member::Boolean(!table.is_intersect)),
    ("IsInteractionCentricEnabled", |_| Member::Boolean(false)),
    ("IsIntersect", |table| Member::Boolean(table.is_intersect)),
    ("IsKnowledgeManagementEnabled", |_| Member::Boolean(false)),
    ("IsLogicalEntity", |_| Member::Boolean(false)),
    ("IsManaged", |table| Member::Boolean(!table.is_custom)),
    ("IsMSTeamsIntegrationEnabled", |_| Member::Boolean(false)),
    ("IsOneNoteIntegrationEnabled", |_| Member::Boolean(false)),
    ("IsOptimisticConcurrencyEnabled", |table| Member::Boolean(table.optimistic_concurrency)),
    ("IsPrivate", |_| Member::Boolean(false)),
    ("IsQuickCreateEnabled", |_| Member::Boolean(false)),
    ("IsReadingPaneEnabled", |_| Member::Boolean(false)),
    ("IsRetentionEnabled", |_| Member::Boolean(false)),
    ("IsSLAEnabled", |_| Member::Boolean(false)),
    ("IsSolutionAware", |_| Member::Boolean(false)),
    ("IsStateModelAware", |table| Member::Boolean(table.index_of("statecode").is_some())),
    ("IsValidForAdvancedFind", |table| Member::Boolean(!table.is_intersect)),
    ("LogicalCollectionName", |table| Member::text(Some(&table.entity_set_name))),
    ("LogicalName", |table| Member::text(Some(&table.logical_name))),
    ("MetadataId", |table| Member::Guid(table.metadata_id)),
    ("MobileOfflineFilters", |_| Member::Null),
    ("ModifiedOn", |table| time(table.settings.modified_on)),
    ("ObjectTypeCode", |table| Member::Integer(i64::from(table.object_type_code))),
    ("OwnerId", |_| Member::Null),
    ("OwnerIdType", |_| Member::Null),
    ("OwnershipType", |table| Member::text(Some(ownership_name(table.ownership)))),
    ("OwningBusinessUnit", |_| Member::Null),
    ("PrimaryIdAttribute", |table| Member::text(Some(table.primary_key_name()))),
    ("PrimaryImageAttribute", |table| {
        let is = |column: &&model::Column| {
            matches!(column.kind, ColumnKind::Image { is_primary: true, .. })
        };
        Member::text(table.columns.iter().find(is).map(|column| &*column.logical_name))
    }),
    ("PrimaryNameAttribute", |table| {
        let name = table.primary_name.map(|index| &*table.column(index).logical_name);
        Member::text(name)
    }),
    ("Privileges", |table| Member::Privileges(table)),
    ("RecurrenceBaseEntityLogicalName", |_| Member::Null),
    ("ReportViewName", |table| Member::Text(Cow::Owned(format!("Filtered{}", table.logical_name)))),
    ("SchemaName", |table| Member::text(Some(&table.schema_name))),
    ("SettingOf", |_| Member::Null),
    ("Settings", |_| Member::Nothing),
    ("SyncToExternalSearchIndex", |_| Member::Boolean(false)),
    ("TableType", |table| Member::text(Some(kind_name(table.kind)))),
    ("UsesBusinessDataLabelTable", |_| Member::Boolean(false)),
    ("Description", |table| Member::Label(&table.description)),
    ("DisplayCollectionName", |table| Member::Label(&table.display_collection_name)),
    ("DisplayName", |table| Member::Label(&table.display_name)),
    ("CanBeInCustomEntityAssociation", |table| {
        managed(!table.is_intersect, "canbeincustomentityassociation")
    }),
    ("CanBeInManyToMany", |table| {
        let can = !table.is_intersect && table.kind == TableKind::Standard;
        managed(can, "canbeinmanytomany")
    }),
    ("CanBePrimaryEntityInRelationship", |table| {
        managed(!table.is_intersect, "canbeprimaryentityinrelationship")
    }),
    ("CanBeRelatedEntityInRelationship", |table| {
        managed(!table.is_intersect, "canberelatedentityinrelationship")
    }),
    ("CanChangeHierarchicalRelationship", |_| managed(false, "canchangehierarchicalrelationship")),
    ("CanChangeTrackingBeEnabled", |_| managed(true, "canchangetrackingbeenabled")),
    ("CanCreateAttributes", |table| managed(!table.is_intersect, "cancreateattributes")),
    ("CanCreateCharts", |_| managed(false, "cancreatecharts")),
    ("CanCreateForms", |_| managed(false, "cancreateforms")),
    ("CanCreateViews", |_| managed(false, "cancreateviews")),
    ("CanEnableSyncToExternalSearchIndex", |_| {
        managed(false, "canenablesynctoexternalsearchindex")
    }),
    ("CanModifyAdditionalSettings", |_| managed(false, "canmodifyadditionalsettings")),
    ("IsAuditEnabled", |table| Member::Managed {
        value: table.settings.is_audited,
        can_be_changed: true,
        name: "canmodifyauditsettings",
    }),
    ("IsConnectionsEnabled", |_| managed(false, "canmodifyconnectionsettings")),
    ("IsCustomizable", |table| managed(!table.is_intersect, "iscustomizable")),
    ("IsDuplicateDetectionEnabled", |_| managed(false, "canmodifyduplicatedetectionsettings")),
    ("IsMailMergeEnabled", |_| managed(false, "canmodifymailmergesettings")),
    ("IsMappable", |_| managed(false, "ismappable")),
    ("IsOfflineInMobileClient", |_| managed(false, "canmodifymobileclientoffline")),
    ("IsReadOnlyInMobileClient", |_| managed(false, "canmodifymobileclientreadonly")),
    ("IsRenameable", |_| managed(false, "isrenameable")),
    ("IsValidForQueue", |_| managed(false, "canmodifyqueuesettings")),
    ("IsVisibleInMobile", |_| managed(false, "canmodifymobilevisibility")),
    ("IsVisibleInMobileClient", |_| managed(false, "canmodifymobileclientvisibility")),
];
