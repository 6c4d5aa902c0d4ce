//! The table of shares.
//!
//! Source: the seed tables of `metadata.md`.

use super::Builder;
use crate::define::columns::{derived_id, integer, read_only};
use model::{AlternateKey, Column, ColumnIndex, ColumnKind, Label, Ownership, TableDefinition};

pub(super) fn principal_object_access() -> TableDefinition {
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

/// A pair stands once.
fn with_key(
    mut table: TableDefinition,
    schema_name: &str,
    columns: [ColumnIndex; 2],
) -> TableDefinition {
    let id = derived_id(&format!("key {} pair", table.logical_name));
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
