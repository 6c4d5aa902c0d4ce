//! Definitions of the tables that say who may do what.
//!
//! Source: the seed tables of `metadata.md`. An intersect table has an id, two ids of what it links,
//! a key over both and no further columns but its version.

use super::Builder;
use crate::define::columns::{boolean, integer, push, read_only};
use model::{AlternateKey, Column, ColumnIndex, ColumnKind, Label, Ownership, TableDefinition};

/// In the order of their numbers. New ones go to the end.
pub(super) fn all() -> Vec<TableDefinition> {
    vec![
        privilege(),
        intersect("RolePrivileges", "roleprivilegescollection", 12, "RolePrivilegeId", {
            ["RoleId", "PrivilegeId"]
        }),
        intersect("SystemUserRoles", "systemuserrolescollection", 15, "SystemUserRoleId", {
            ["SystemUserId", "RoleId"]
        }),
        intersect("TeamRoles", "teamrolescollection", 40, "TeamRoleId", ["TeamId", "RoleId"]),
        intersect("TeamMembership", "teammemberships", 23, "TeamMembershipId", {
            ["SystemUserId", "TeamId"]
        }),
        principal_object_access(),
    ]
}

fn privilege() -> TableDefinition {
    Builder::new("Privilege", "privileges", 1023, Ownership::None, "Privilege")
        .name("Name", "Name", 256)
        .with("AccessRight", "Access Right", integer())
        .with("CanBeBasic", "Can Be Basic", boolean(false))
        .with("CanBeLocal", "Can Be Local", boolean(false))
        .with("CanBeDeep", "Can Be Deep", boolean(false))
        .with("CanBeGlobal", "Can Be Global", boolean(true))
        .with("CanBeEntityReference", "Can Be Entity Reference", boolean(false))
        .with("CanBeParentEntityReference", "Can Be Parent Entity Reference", boolean(false))
        .done()
}

fn principal_object_access() -> TableDefinition {
    let mut builder = Builder::new(
        "PrincipalObjectAccess",
        "principalobjectaccessset",
        11,
        Ownership::None,
        "Field Sharing",
    )
    .with("PrincipalId", "Principal", ColumnKind::Guid)
    .with("PrincipalTypeCode", "Principal Type", ColumnKind::TableName);
    let object = builder.add(indexed("ObjectId", "Object"));
    builder.table.display_name = Label::english("Principal Object Access");
    builder.table.display_collection_name = Label::english("Principal Object Access");
    let table = builder
        .with("ObjectTypeCode", "Object Type", ColumnKind::TableName)
        .with("AccessRightsMask", "Access Rights", integer())
        .with("InheritedAccessRightsMask", "Inherited Access Rights", integer())
        .done();
    let principal = place(&table, "principalid");
    with_key(table, "sheaf_object_principal", [object, principal])
}

fn indexed(schema_name: &str, display: &str) -> Column {
    let mut column = read_only(schema_name, display, ColumnKind::Guid);
    column.is_indexed = true;
    column
}

fn intersect(
    schema_name: &str,
    set: &str,
    object_type_code: i32,
    key: &str,
    [first, second]: [&str; 2],
) -> TableDefinition {
    let mut table =
        Builder::new(schema_name, set, object_type_code, Ownership::None, schema_name).table;
    let name = table.logical_name.clone();
    table.is_intersect = true;
    table.collection_schema_name = schema_name.into();
    table.display_collection_name = Label::english(schema_name);
    table.columns.clear();
    let mut id = read_only(key, schema_name, ColumnKind::Guid);
    id.required = model::RequiredLevel::SystemRequired;
    table.primary_key = push(&mut table.columns, &name, id);
    let ends = [first, second].map(|end| push(&mut table.columns, &name, indexed(end, end)));
    if schema_name == "RolePrivileges" {
        let depth = read_only("PrivilegeDepthMask", "Privilege Depth Mask", integer());
        push(&mut table.columns, &name, depth);
    }
    push(
        &mut table.columns,
        &name,
        read_only("VersionNumber", "Version Number", ColumnKind::BigInt),
    );
    with_key(table, &format!("sheaf_{name}"), ends)
}

/// A pair stands once.
fn with_key(
    mut table: TableDefinition,
    schema_name: &str,
    columns: [ColumnIndex; 2],
) -> TableDefinition {
    let id = crate::define::columns::derived_id(&format!("key {} pair", table.logical_name));
    table.keys.push(AlternateKey {
        id: 1,
        metadata_id: id,
        logical_name: schema_name.into(),
        schema_name: schema_name.into(),
        display_name: Label::english("Pair"),
        columns: columns.to_vec(),
    });
    table
}

fn place(table: &TableDefinition, name: &str) -> ColumnIndex {
    let place = table.columns.iter().position(|column| &*column.logical_name == name);
    let place = place.expect("the column was added just now");
    ColumnIndex(u16::try_from(place).expect("at most 1,000 columns"))
}
