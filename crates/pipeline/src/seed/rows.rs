//! The rows that every organisation starts with, and those that go with each new table.

use super::security;
use crate::define::columns::derived_id;
use crate::run::Organization;
use model::{
    Cell, Decimal, LookupValue, Table, TableDefinition, TableKind, Timestamp, Uuid, Value,
};
use std::collections::HashMap;
use std::sync::Arc;
use store::writes::{Insert, InsertRow, WriteOp};

/// Messages that exist, in the order of their rows.
const MESSAGES: [&str; 17] = [
    "Create",
    "Update",
    "Delete",
    "Retrieve",
    "RetrieveMultiple",
    "Upsert",
    "Associate",
    "Disassociate",
    "CreateMultiple",
    "UpdateMultiple",
    "UpsertMultiple",
    "DeleteMultiple",
    "Assign",
    "SetState",
    "GrantAccess",
    "RevokeAccess",
    "BulkDelete",
];

/// The messages that callers find available for a table: the rows of `sdkmessagefilter`.
///
/// A standard table lists no Upsert, UpsertMultiple or DeleteMultiple (`bulk.md` 2.1), though upserts
/// work where both create and update do.
fn available(table: &TableDefinition) -> &'static [&'static str] {
    use super::Writable;
    match (super::writable(table), table.kind) {
        (Writable::ReadOnly, _) => &["Retrieve", "RetrieveMultiple"],
        (Writable::DeleteOnly, _) => &["Delete", "Retrieve", "RetrieveMultiple"],
        // What is listed for the one bulk message is listed for the other (`bulk.md` 2.1).
        (Writable::UpdateOnly, _) => &["Update", "Retrieve", "RetrieveMultiple"],
        (Writable::NoDelete, _) => &[
            "Create",
            "CreateMultiple",
            "Update",
            "UpdateMultiple",
            "Retrieve",
            "RetrieveMultiple",
        ],
        (Writable::Fully, TableKind::Standard) => &[
            "Create",
            "CreateMultiple",
            "Update",
            "UpdateMultiple",
            "Delete",
            "Retrieve",
            "RetrieveMultiple",
        ],
        (Writable::Fully, TableKind::Elastic) => &[
            "Create",
            "CreateMultiple",
            "Update",
            "UpdateMultiple",
            "Delete",
            "Retrieve",
            "RetrieveMultiple",
            "Upsert",
            "UpsertMultiple",
            "DeleteMultiple",
        ],
    }
}

/// A row: its id and its values by column name.
pub(crate) type Row<'a> = (Uuid, Vec<(&'a str, Value)>);

/// Every row of a new organisation, one operation per table.
pub(super) fn all(
    tables: &HashMap<Box<str>, Arc<Table>>,
    definitions: &[TableDefinition],
    organization: Organization,
    now: Timestamp,
) -> Vec<WriteOp> {
    let link = |table: &str, id: Uuid| Value::Lookup(LookupValue { table: tables[table].id, id });
    let insert = |table: &str, rows: Vec<Row<'_>>| insert(&tables[table], organization, now, rows);
    let publisher = derived_id("publisher system");
    let default_publisher = derived_id("publisher default");
    let solution = |id: &str, unique: &str, name: &str, publisher: Uuid| -> Row<'_> {
        (
            Uuid::parse_str(id).expect("a constant"),
            vec![
                ("uniquename", Value::text(unique)),
                ("friendlyname", Value::text(name)),
                ("version", Value::text("1.0.0.0")),
                ("isvisible", Value::Boolean(true)),
                ("ismanaged", Value::Boolean(false)),
                ("installedon", Value::DateTime(now)),
                ("publisherid", link("publisher", publisher)),
            ],
        )
    };
    let messages = MESSAGES.iter().map(|name| {
        let values = vec![
            ("name", Value::text(*name)),
            ("isactive", Value::Boolean(true)),
            ("isprivate", Value::Boolean(false)),
            ("autotransact", Value::Boolean(true)),
            ("template", Value::Boolean(false)),
            ("workflowsdkstepenabled", Value::Boolean(false)),
            ("availability", Value::Integer(0)),
            ("introducedversion", Value::text("1.0.0.0")),
        ];
        (message_id(name), values)
    });
    let mut ops = vec![
        insert("transactioncurrency", vec![currency_row(organization)]),
        insert("organization", vec![organization_row(organization, &link)]),
        insert("businessunit", vec![business_unit_row(organization)]),
        insert("systemuser", user_rows(organization, &link)),
        insert("team", vec![team_row(organization, &link)]),
        insert("role", role_rows(organization, &link)),
        insert("publisher", publisher_rows(publisher, default_publisher)),
        insert(
            "solution",
            vec![
                solution(
                    "fd140aad-4df4-11dd-bd17-0019b9312238",
                    "System",
                    "System Solution",
                    publisher,
                ),
                solution(
                    "fd140aae-4df4-11dd-bd17-0019b9312238",
                    "Active",
                    "Active Solution",
                    publisher,
                ),
                solution(
                    "fd140aaf-4df4-11dd-bd17-0019b9312238",
                    "Default",
                    "Default Solution",
                    default_publisher,
                ),
            ],
        ),
        insert("sdkmessage", messages.collect()),
        filters(
            &tables["sdkmessagefilter"],
            tables["sdkmessage"].id,
            definitions,
            organization,
            now,
        ),
    ];
    let find = |name: &str| tables[name].clone();
    let scene = security::Scene { tables: &find, organization, now };
    ops.extend(security::privileges(scene, definitions, true));
    let users = users(organization);
    ops.extend(security::complete(scene, &security::first(organization, &users)));
    let settings = &tables[super::user_settings::TABLE];
    ops.push(super::user_settings::rows(settings, organization, now, &users));
    ops
}

/// The `sdkmessagefilter` rows of tables.
pub(crate) fn filters(
    filter: &Arc<Table>,
    message: model::TableId,
    tables: &[TableDefinition],
    organization: Organization,
    now: Timestamp,
) -> WriteOp {
    let rows = tables.iter().flat_map(|table| {
        available(table).iter().map(move |name| {
            let id = filter_id(name, &table.logical_name);
            let values = vec![
                (
                    "sdkmessageid",
                    Value::Lookup(LookupValue { table: message, id: message_id(name) }),
                ),
                ("primaryobjecttypecode", Value::Text(table.logical_name.clone())),
                ("secondaryobjecttypecode", Value::text("none")),
                ("availability", Value::Integer(0)),
                (
                    "iscustomprocessingstepallowed",
                    Value::Boolean(crate::registration::takes_steps(name, table)),
                ),
                ("isvisible", Value::Boolean(true)),
                ("workflowsdkstepenabled", Value::Boolean(false)),
                ("ismanaged", Value::Boolean(false)),
                ("customizationlevel", Value::Integer(i32::from(table.is_custom))),
                ("restrictionlevel", Value::Integer(0)),
                ("introducedversion", Value::text("1.0.0.0")),
            ];
            (id, values)
        })
    });
    insert(filter, organization, now, rows.collect())
}

/// The id of the row that says that a message is available for a table.
pub(crate) fn filter_id(message: &str, table: &str) -> Uuid {
    derived_id(&format!("sdkmessagefilter {message} {table}"))
}

/// Ids of every row that may say so of a table.
pub(crate) fn filter_ids(table: &str) -> impl Iterator<Item = Uuid> {
    MESSAGES.iter().map(move |name| filter_id(name, table))
}

/// The names of messages, by the ids of their rows.
pub(crate) fn messages() -> HashMap<Uuid, &'static str> {
    MESSAGES.iter().map(|name| (message_id(name), *name)).collect()
}

fn message_id(name: &str) -> Uuid {
    derived_id(&format!("sdkmessage {name}"))
}

fn organization_row<'a>(organization: Organization, link: &dyn Fn(&str, Uuid) -> Value) -> Row<'a> {
    let values = vec![
        ("name", Value::text("sheaf")),
        ("basecurrencyid", link("transactioncurrency", organization.currency)),
        ("languagecode", Value::Integer(1033)),
        ("localeid", Value::Integer(1033)),
        ("fiscalperiodtype", Value::Integer(2002)),
        ("pricingdecimalprecision", Value::Integer(2)),
        ("currencysymbol", Value::text("$")),
        ("dateformatstring", Value::text("M/d/yyyy")),
        ("timeformatstring", Value::text("h:mm tt")),
        ("isauditenabled", Value::Boolean(false)),
    ];
    (organization.id, values)
}

fn currency_row<'a>(organization: Organization) -> Row<'a> {
    let values = vec![
        ("currencyname", Value::text("US Dollar")),
        ("isocurrencycode", Value::text("USD")),
        ("currencysymbol", Value::text("$")),
        ("exchangerate", Value::Decimal(Decimal::ONE)),
        ("currencyprecision", Value::Integer(2)),
    ];
    (organization.currency, values)
}

fn business_unit_row<'a>(organization: Organization) -> Row<'a> {
    let values = vec![
        ("name", Value::text("sheaf")),
        ("isdisabled", Value::Boolean(false)),
        ("organizationid", Value::Guid(organization.id)),
    ];
    (organization.business_unit, values)
}

fn user_rows<'a>(organization: Organization, link: &dyn Fn(&str, Uuid) -> Value) -> Vec<Row<'a>> {
    let user =
        |id: Uuid, first: &str, last: &str, domain: &str, mode: i32, disabled: bool| -> Row<'a> {
            let values = vec![
                ("firstname", Value::text(first)),
                ("lastname", Value::text(last)),
                ("domainname", Value::text(domain)),
                ("accessmode", Value::Integer(mode)),
                ("isdisabled", Value::Boolean(disabled)),
                ("businessunitid", link("businessunit", organization.business_unit)),
                ("organizationid", Value::Guid(organization.id)),
                ("isintegrationuser", Value::Boolean(mode == 4)),
                ("islicensed", Value::Boolean(!disabled)),
                ("setupuser", Value::Boolean(false)),
            ];
            (id, values)
        };
    let [system, administrator, application] = users(organization);
    vec![
        user(system, "", "SYSTEM", "system", 4, true),
        user(administrator, "System", "Administrator", "administrator", 0, false),
        user(application, "#", "Application", "application", 4, false),
    ]
}

/// The users that every organisation starts with: SYSTEM, the administrator, the application user.
pub(super) fn users(organization: Organization) -> [Uuid; 3] {
    let derived = |name: &str| Uuid::new_v5(&organization.id, name.as_bytes());
    [derived("systemuser SYSTEM"), organization.administrator, derived("systemuser application")]
}

fn team_row<'a>(organization: Organization, link: &dyn Fn(&str, Uuid) -> Value) -> Row<'a> {
    let values = vec![
        ("name", Value::text("sheaf")),
        ("teamtype", Value::Integer(0)),
        ("membershiptype", Value::Integer(0)),
        ("isdefault", Value::Boolean(true)),
        ("systemmanaged", Value::Boolean(true)),
        ("businessunitid", link("businessunit", organization.business_unit)),
        ("administratorid", link("systemuser", organization.administrator)),
    ];
    (security::default_team_id(organization, organization.business_unit), values)
}

fn role_rows<'a>(organization: Organization, link: &dyn Fn(&str, Uuid) -> Value) -> Vec<Row<'a>> {
    security::ROLES
        .iter()
        .map(|name| {
            let id = security::role_id(organization, name);
            let values = vec![
                ("name", Value::text(*name)),
                ("businessunitid", link("businessunit", organization.business_unit)),
                ("parentrootroleid", link("role", id)),
                ("isinherited", Value::Integer(1)),
                ("ismanaged", Value::Boolean(true)),
            ];
            (id, values)
        })
        .collect()
}

fn publisher_rows<'a>(system: Uuid, default: Uuid) -> Vec<Row<'a>> {
    let publisher =
        |id: Uuid, unique: &str, name: &str, prefix: &str, read_only: bool| -> Row<'a> {
            let values = vec![
                ("uniquename", Value::text(unique)),
                ("friendlyname", Value::text(name)),
                ("customizationprefix", Value::text(prefix)),
                ("customizationoptionvalueprefix", Value::Integer(10_000)),
                ("isreadonly", Value::Boolean(read_only)),
            ];
            (id, values)
        };
    vec![
        publisher(system, "SystemPublisher", "System Publisher", "", true),
        publisher(default, "DefaultPublishersheaf", "Default Publisher for sheaf", "new", false),
    ]
}

/// An operation that inserts rows with the system columns filled.
pub(crate) fn insert(
    table: &Arc<Table>,
    organization: Organization,
    now: Timestamp,
    rows: Vec<Row<'_>>,
) -> WriteOp {
    let place = |name: &str| {
        table.index_of(name).unwrap_or_else(|| {
            unreachable!("the seed names `{name}`, which `{}` does not have", table.logical_name)
        })
    };
    let rows = rows
        .into_iter()
        .map(|(id, values)| {
            let cells = values
                .into_iter()
                .map(|(name, value)| Cell { column: place(name), value })
                .collect();
            InsertRow { id, cells, binds: Vec::new() }
        })
        .collect();
    let constants = crate::write::insert_constants(table, organization, organization.caller(), now);
    WriteOp::Insert(Insert { table: table.clone(), constants, rows })
}
