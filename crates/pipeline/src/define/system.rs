//! The system columns and relationships that every table has.
//!
//! Source: `webapi.md` 17.1, `metadata.md` 4.4.

use super::columns::{
    column, computed, date_time, derived_id, integer, lookup, push, read_only, state, status,
};
use model::{
    Cascade, Column, ColumnKind, Computed, DeleteAction, LookupKind, OneToMany, Ownership,
    TableDefinition, TableKind,
};

/// Appends the system columns that the table does not bring itself. Elastic tables have no state.
pub(crate) fn add_columns(table: &mut TableDefinition) {
    let name = table.logical_name.clone();
    let mut add = |column: Column| {
        let known =
            table.columns.iter().position(|other| other.logical_name == column.logical_name);
        match known {
            Some(place) => model::ColumnIndex(u16::try_from(place).expect("at most 1,000 columns")),
            None => push(&mut table.columns, &name, column),
        }
    };
    add(read_only("VersionNumber", "Version Number", ColumnKind::BigInt));
    add(read_only("CreatedOn", "Created On", date_time()));
    add(read_only("CreatedBy", "Created By", user("createdby")));
    add(read_only("ModifiedOn", "Modified On", date_time()));
    add(read_only("ModifiedBy", "Modified By", user("modifiedby")));
    add(read_only("CreatedOnBehalfBy", "Created By (Delegate)", user("createdonbehalfby")));
    add(read_only("ModifiedOnBehalfBy", "Modified By (Delegate)", user("modifiedonbehalfby")));
    let mut overridden = column("OverriddenCreatedOn", "Record Created On", date_time());
    overridden.valid_for_update = false;
    add(overridden);
    let mut import = column("ImportSequenceNumber", "Import Sequence Number", integer());
    import.valid_for_update = false;
    add(import);
    add(column("TimeZoneRuleVersionNumber", "Time Zone Rule Version Number", integer()));
    add(column("UTCConversionTimeZoneCode", "UTC Conversion Time Zone Code", integer()));
    match table.ownership {
        Ownership::User => {
            let targets = [("systemuser", "ownerid"), ("team", "ownerid")];
            let owner = add(column("OwnerId", "Owner", lookup(LookupKind::Owner, &targets)));
            let of = |table: &str| Computed::OwnerIn { owner, table: table.into() };
            add(computed("OwningUser", "Owning User", user("owninguser"), of("systemuser")));
            let team = lookup(LookupKind::Plain, &[("team", "owningteam")]);
            add(computed("OwningTeam", "Owning Team", team, of("team")));
            let unit = lookup(LookupKind::Plain, &[("businessunit", "owningbusinessunit")]);
            add(read_only("OwningBusinessUnit", "Owning Business Unit", unit));
        }
        Ownership::Organization => {
            let organization = lookup(LookupKind::Plain, &[("organization", "organizationid")]);
            add(read_only("OrganizationId", "Organization Id", organization));
        }
        Ownership::Business | Ownership::None => {}
    }
    let has_states = table.kind == TableKind::Standard
        && !matches!(table.ownership, Ownership::None | Ownership::Business);
    if has_states {
        add(column("statecode", "Status", state(&[(0, "Active", 1), (1, "Inactive", 2)])));
        add(column("statuscode", "Status Reason", status(&[(1, "Active", 0), (2, "Inactive", 1)])));
    }
}

fn user(navigation: &str) -> ColumnKind {
    lookup(LookupKind::Plain, &[("systemuser", navigation)])
}

/// The relationships of the system lookups that the table has.
pub(crate) fn relationships(table: &TableDefinition) -> Vec<OneToMany> {
    let name = &*table.logical_name;
    let system = [
        ("createdby", "systemuser", format!("lk_{name}_createdby")),
        ("modifiedby", "systemuser", format!("lk_{name}_modifiedby")),
        ("createdonbehalfby", "systemuser", format!("lk_{name}_createdonbehalfby")),
        ("modifiedonbehalfby", "systemuser", format!("lk_{name}_modifiedonbehalfby")),
        ("ownerid", "systemuser", format!("owner_{name}")),
        ("owninguser", "systemuser", format!("user_{name}")),
        ("owningteam", "team", format!("team_{name}")),
        ("owningbusinessunit", "businessunit", format!("business_unit_{name}")),
        ("organizationid", "organization", format!("organization_{name}")),
        ("transactioncurrencyid", "transactioncurrency", format!("transactioncurrency_{name}")),
    ];
    system
        .into_iter()
        .filter(|(column, target, _)| {
            table.columns.iter().any(|other| {
                &*other.logical_name == *column
                    && matches!(&other.kind, ColumnKind::Lookup { targets, .. }
                        if targets.iter().any(|other| &*other.table == *target))
            })
        })
        .map(|(column, target, schema_name)| {
            one_to_many(schema_name, target, name, column, column, DeleteAction::NoCascade)
        })
        .collect()
}

/// A relationship of the system, with a derived id.
pub(crate) fn one_to_many(
    schema_name: String,
    referenced: &str,
    referencing: &str,
    lookup: &str,
    navigation: &str,
    delete: DeleteAction,
) -> OneToMany {
    OneToMany {
        metadata_id: derived_id(&format!("relationship {schema_name}")),
        referenced_table: referenced.into(),
        referenced_column: format!("{referenced}id").into(),
        referencing_table: referencing.into(),
        referencing_column: lookup.into(),
        referenced_navigation: schema_name.clone().into(),
        referencing_navigation: navigation.into(),
        schema_name: schema_name.into(),
        cascade: Cascade::on_delete(delete),
        is_custom: false,
        is_hierarchical: false,
        settings: model::RelationshipSettings::default(),
    }
}
