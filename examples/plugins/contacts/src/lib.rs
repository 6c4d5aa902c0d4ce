//! Four plug-ins for contacts, in one assembly. Each serves `Create` and `CreateMultiple` (or `Update` and
//! `UpdateMultiple`) with the same function: register it for the bulk message, and it runs once for all targets.

mod audit;
mod collect_ids;
mod names;
mod validate;

plugin_sdk::plugins!(
    audit::WriteAudit,
    collect_ids::CollectIds,
    names::NormalizeNames,
    validate::RequireLastName,
);
