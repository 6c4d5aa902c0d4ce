//! The settings that every user begins with: one row, with the user's own id.
//!
//! Source: the seed tables of `metadata.md`. Not here: what they mean (`settings`).

use super::rows;
use super::tables::Builder;
use crate::define::columns::{computed, integer, lookup, text};
use crate::run::Organization;
use model::{
    ColumnKind, Computed, Label, LookupKind, LookupValue, Ownership, Table, TableDefinition,
    Timestamp, Uuid, Value,
};
use std::sync::Arc;
use store::WriteOp;

/// The table.
pub(crate) const TABLE: &str = "usersettings";

/// The number of UTC among the time zones.
const UTC: i32 = 92;
/// English as it is written in the United States.
const ENGLISH: i32 = 1033;
/// Records on a page of the platform's own lists.
const PAGING_LIMIT: i32 = 50;

/// One row per user, with the user's own id.
pub(super) fn table() -> TableDefinition {
    let settings = ("UserSettings", "usersettingscollection");
    let mut builder =
        Builder::new(settings.0, settings.1, 150, Ownership::Business, "User Settings")
            .keyed("SystemUserId");
    let key = builder.table.primary_key;
    builder.add(computed("OwnerId", "Owner", ColumnKind::Guid, Computed::CopyOf { column: key }));
    builder.table.display_collection_name = Label::english("User Settings");
    let currency = [("transactioncurrency", "transactioncurrencyid")];
    builder
        .with("TimeZoneCode", "Time Zone Code", integer())
        .with_read_only("TimeZoneBias", "Time Zone Bias", integer())
        .with("UILanguageId", "UI Language", integer())
        .with("LocaleId", "Locale", integer())
        .with("PagingLimit", "Paging Limit", integer())
        .with("DateFormatString", "Date Format String", text(255))
        .with("TransactionCurrencyId", "Currency", lookup(LookupKind::Plain, &currency))
        .done()
}

/// The rows of new users.
pub(crate) fn rows(
    table: &Arc<Table>,
    organization: Organization,
    now: Timestamp,
    users: &[Uuid],
) -> WriteOp {
    let currency = LookupValue { table: super::CURRENCY, id: organization.currency };
    let row = |user: &Uuid| {
        let values = vec![
            ("timezonecode", Value::Integer(UTC)),
            ("timezonebias", Value::Integer(0)),
            ("uilanguageid", Value::Integer(ENGLISH)),
            ("localeid", Value::Integer(ENGLISH)),
            ("paginglimit", Value::Integer(PAGING_LIMIT)),
            ("dateformatstring", Value::text("M/d/yyyy")),
            ("transactioncurrencyid", Value::Lookup(currency)),
        ];
        (*user, values)
    };
    rows::insert(table, organization, now, users.iter().map(row).collect())
}
