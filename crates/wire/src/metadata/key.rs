//! The members of `EntityKeyMetadata`.
//!
//! Not here: building the index: a key that can be read is active.

use super::member::Member;
use model::{AlternateKey, Table};

type Read = for<'a> fn(&'a Table, &'a AlternateKey) -> Member<'a>;

/// Every member, in order.
pub(super) const MEMBERS: &[(&str, Read)] = &[
    ("LogicalName", |_, key| Member::text(Some(&key.logical_name))),
    ("SchemaName", |_, key| Member::text(Some(&key.schema_name))),
    ("EntityLogicalName", |table, _| Member::text(Some(&table.logical_name))),
    ("KeyAttributes", |table, key| {
        let name = |column: &model::ColumnIndex| &*table.column(*column).logical_name;
        Member::Texts(key.columns.iter().map(name).collect())
    }),
    ("IsManaged", |_, _| Member::Boolean(false)),
    ("IntroducedVersion", |_, _| Member::text(Some("1.0.0.0"))),
    ("IsSynchronous", |_, _| Member::Boolean(true)),
    ("IsExportKey", |_, _| Member::Boolean(false)),
    ("IsSecondaryKey", |_, _| Member::Boolean(false)),
    ("EntityKeyIndexStatus", |_, _| Member::text(Some("Active"))),
    ("AsyncJob", |_, _| Member::Null),
    ("MetadataId", |_, key| Member::Guid(key.metadata_id)),
    ("HasChanged", |_, _| Member::Null),
    ("DisplayName", |_, key| Member::Label(&key.display_name)),
    ("IsCustomizable", |_, _| Member::Managed {
        value: true,
        can_be_changed: false,
        name: "iscustomizable",
    }),
];
