//! The table of what the service keeps for itself, and the definitions without it, as callers see them.
//!
//! Not here: what is in it ([`crate::credential`]).
//! Invariant: what a caller can name comes from [`shown`], so that no request reaches the table.

use crate::define::columns::{column, date_time, derived_id, integer, memo, push, read_only, text};
use crate::define::system;
use model::{
    Catalog, ColumnKind, Label, Ownership, RequiredLevel, TableDefinition, TableId, TableKind,
    TableSettings,
};
use std::sync::Arc;

/// Its logical name.
pub(crate) const TABLE: &str = "sheaf_credential";
/// Its primary key.
pub(crate) const ID: &str = "sheaf_credentialid";
/// Its columns, in the order in which they are read.
pub(crate) const COLUMNS: [&str; 7] =
    [ID, "kind", "userid", "name", "value", "expireson", "createdon"];
/// Longest value: a key of 4,096 bits fits.
const VALUE_UNITS_MAX: u32 = 20_000;

/// Whether a table is kept from callers.
pub(super) fn is_kept(logical_name: &str) -> bool {
    logical_name == TABLE
}

/// The definitions that callers may name. The version is the same: a store does not tell them apart.
pub(crate) fn shown(catalog: &Arc<Catalog>) -> Arc<Catalog> {
    if catalog.table(TABLE).is_none() {
        return catalog.clone();
    }
    let mut definitions = catalog.definitions().clone();
    definitions.tables.retain(|table| !is_kept(&table.logical_name));
    definitions
        .relationships
        .retain(|one| !is_kept(&one.referencing_table) && !is_kept(&one.referenced_table));
    Arc::new(Catalog::of(catalog.version(), definitions))
}

/// Its definition; it gets its number when it joins the others.
pub(super) fn table() -> TableDefinition {
    let mut columns = Vec::new();
    let mut key = read_only("Sheaf_CredentialId", "Credential", ColumnKind::Guid);
    key.valid_for_create = true;
    key.required = RequiredLevel::SystemRequired;
    let primary_key = push(&mut columns, TABLE, key);
    let mut add = |column| push(&mut columns, TABLE, column);
    add(column("Kind", "Kind", integer()));
    let mut owner = column("UserId", "User", ColumnKind::Guid);
    owner.is_indexed = true;
    add(owner);
    let name = add(column("Name", "Name", text(200)));
    add(column("Value", "Value", memo(VALUE_UNITS_MAX)));
    add(column("ExpiresOn", "Expires On", date_time()));
    let mut table = TableDefinition {
        id: TableId(0),
        metadata_id: derived_id("table sheaf_credential"),
        logical_name: TABLE.into(),
        schema_name: "Sheaf_Credential".into(),
        entity_set_name: "sheaf_credentials".into(),
        collection_schema_name: "Sheaf_Credentials".into(),
        display_name: Label::english("Credential"),
        display_collection_name: Label::english("Credentials"),
        description: Label::default(),
        object_type_code: 0,
        ownership: Ownership::None,
        kind: TableKind::Standard,
        is_custom: false,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: false,
        columns,
        primary_key,
        primary_name: Some(name),
        keys: Vec::new(),
        settings: TableSettings::default(),
    };
    system::add_columns(&mut table);
    table
}
