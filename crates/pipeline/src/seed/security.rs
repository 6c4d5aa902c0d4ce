//! The rows that say who may do what: privileges, what the seeded roles hold, and what goes with a new
//! business unit, user, role or table.
//!
//! A role is copied into every business unit below its own; a copy has no rows of `roleprivileges`: it
//! holds what its `parentrootroleid` holds.
//! Source: webapi.md 23. Not here: reading them (`rights`).
//! Invariant: every id is derived, so that nothing is made twice.

use super::rows::{self, Row};
use crate::privilege::{self, Action, Depth, Privilege};
use crate::registration;
use crate::run::Organization;
use model::{LookupValue, Ownership, Table, TableDefinition, Timestamp, Uuid, Value};
use std::sync::Arc;
use store::WriteOp;

/// The role that may do everything.
pub(crate) const ADMINISTRATOR: &str = "System Administrator";
/// Roles that every organisation starts with.
pub(super) const ROLES: [&str; 5] =
    [ADMINISTRATOR, "System Customizer", "Basic User", "Delegate", "Support User"];

/// Where the tables are found: those of a catalog, or those of a change.
pub(crate) type Tables<'a> = &'a (dyn Fn(&str) -> Arc<Table> + Sync);

/// What every row needs.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) tables: Tables<'a>,
    pub(crate) organization: Organization,
    pub(crate) now: Timestamp,
}

impl Scene<'_> {
    fn insert(&self, table: &str, rows: Vec<Row<'_>>) -> WriteOp {
        rows::insert(&(self.tables)(table), self.organization, self.now, rows)
    }

    fn link(&self, table: &str, id: Uuid) -> Value {
        Value::Lookup(LookupValue { table: (self.tables)(table).id, id })
    }
}

/// The id of a seeded role in the root business unit.
pub(crate) fn role_id(organization: Organization, name: &str) -> Uuid {
    Uuid::new_v5(&organization.id, format!("role {name}").as_bytes())
}

/// The id of the default team of a business unit.
pub(crate) fn default_team_id(organization: Organization, unit: Uuid) -> Uuid {
    if unit == organization.business_unit {
        Uuid::new_v5(&organization.id, b"team default")
    } else {
        Uuid::new_v5(&unit, b"team default")
    }
}

/// The id of the copy of a role in another business unit.
pub(crate) fn copy_id(root_role: Uuid, unit: Uuid) -> Uuid {
    Uuid::new_v5(&unit, format!("role {root_role}").as_bytes())
}

/// The id of a row that says that a role holds a privilege.
pub(crate) fn grant_id(role: Uuid, privilege: Uuid) -> Uuid {
    Uuid::new_v5(&role, format!("privilege {privilege}").as_bytes())
}

/// Rows of privileges and of what the seeded roles hold of them, for these tables.
///
/// `general`: those that are not about a table, too.
pub(crate) fn privileges(
    scene: Scene<'_>,
    tables: &[TableDefinition],
    general: bool,
) -> Vec<WriteOp> {
    let mut made: Vec<(Privilege, Vec<(&str, Depth)>)> = Vec::new();
    for table in tables {
        let granted = privilege::of_table(table).into_iter().map(|privilege| {
            let action = privilege.action.unwrap_or(Action::Read);
            let holders = ROLES
                .iter()
                .filter_map(|role| Some((*role, of_role(role, table, action)?)))
                .collect();
            (privilege, holders)
        });
        made.extend(granted);
    }
    if general {
        made.extend(privilege::general().map(|privilege| {
            let holders = ROLES
                .iter()
                .filter_map(|role| Some((*role, general_of_role(role, &privilege)?)))
                .collect();
            (privilege, holders)
        }));
    }
    if made.is_empty() {
        return Vec::new();
    }
    let grants = made.iter().flat_map(|(privilege, holders)| {
        let id = privilege::id(&privilege.name);
        holders.iter().map(move |(role, depth)| (role_id(scene.organization, role), id, *depth))
    });
    let grants =
        grants.map(|(role, privilege, depth)| grant(scene, role, privilege, depth)).collect();
    let rows = made.iter().map(|(privilege, _)| privilege_row(privilege)).collect();
    vec![scene.insert("privilege", rows), scene.insert("roleprivileges", grants)]
}

fn privilege_row(privilege: &Privilege) -> Row<'static> {
    let values = vec![
        ("name", Value::text(privilege.name.clone())),
        ("accessright", Value::Integer(privilege.action.map_or(0, Action::bit))),
        ("canbebasic", Value::Boolean(privilege.has_depths)),
        ("canbelocal", Value::Boolean(privilege.has_depths)),
        ("canbedeep", Value::Boolean(privilege.has_depths)),
        ("canbeglobal", Value::Boolean(true)),
    ];
    (privilege::id(&privilege.name), values)
}

/// A row of `roleprivileges`.
pub(crate) fn grant(scene: Scene<'_>, role: Uuid, privilege: Uuid, depth: Depth) -> Row<'static> {
    let values = vec![
        ("roleid", scene.link("role", role)),
        ("privilegeid", scene.link("privilege", privilege)),
        ("privilegedepthmask", Value::Integer(depth.mask())),
    ];
    (grant_id(role, privilege), values)
}

/// What a seeded role holds of a table.
fn of_role(role: &str, table: &TableDefinition, action: Action) -> Option<Depth> {
    use Action::{Append, AppendTo, Read};
    let reads = action == Read;
    let name = &*table.logical_name;
    match role {
        ADMINISTRATOR => Some(Depth::Global),
        // For administrators alone.
        _ if name == registration::SECURE => None,
        "System Customizer"
            if registration::is_registration(name)
                || (action == AppendTo
                    && matches!(name, "sdkmessage" | "sdkmessagefilter" | "systemuser")) =>
        {
            Some(Depth::Global)
        }
        _ if table.is_custom || name == "principalobjectaccess" => None,
        "System Customizer" => match name {
            "solution" | "publisher" => Some(Depth::Global),
            _ => reads.then_some(Depth::Global),
        },
        "Support User" => reads.then_some(Depth::Global),
        // What steps trace may name what a user may not see.
        "Basic User" if matches!(name, crate::trace::TABLE | crate::statistics::TABLE) => None,
        "Basic User" => match table.ownership {
            Ownership::User => Some(Depth::Basic),
            _ if reads => Some(Depth::Global),
            // Rows may point to users, teams, units and currencies.
            Ownership::Business | Ownership::Organization if action == AppendTo => {
                Some(Depth::Global)
            }
            // One's own settings.
            Ownership::Business if name == super::user_settings::TABLE => match action {
                Action::Write => Some(Depth::Basic),
                _ => None,
            },
            // A user's own manager, no more.
            Ownership::Business if name == "systemuser" && action == Append => Some(Depth::Basic),
            _ => None,
        },
        _ => None,
    }
}

fn general_of_role(role: &str, privilege: &Privilege) -> Option<Depth> {
    match (role, privilege.action) {
        (ADMINISTRATOR, _) => Some(Depth::Global),
        ("System Customizer", None) => match &*privilege.name {
            privilege::ACT_ON_BEHALF
            | privilege::BULK_DELETE
            | privilege::BYPASS_PLUGINS
            | privilege::BYPASS_LOGIC
            | privilege::OVERRIDE_CREATED_ON => None,
            _ => Some(Depth::Global),
        },
        ("Support User", Some(Action::Read)) => Some(Depth::Global),
        ("Basic User", Some(_)) => Some(Depth::Basic),
        ("Delegate", None) => (privilege.name == privilege::ACT_ON_BEHALF).then_some(Depth::Global),
        _ => None,
    }
}

/// A role as it goes into a business unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) id: Uuid,
    pub(crate) name: Box<str>,
    /// The role that it is a copy of, at the beginning of the chain; itself for none.
    pub(crate) root: Uuid,
    pub(crate) unit: Uuid,
}

impl Role {
    /// Its copy in a business unit below.
    pub(crate) fn copied_to(&self, unit: Uuid) -> Self {
        Self { id: copy_id(self.root, unit), unit, ..self.clone() }
    }
}

/// Rows of copies, each with the role that it was copied from.
pub(crate) fn role_copies(scene: Scene<'_>, copies: &[(Role, Uuid)]) -> WriteOp {
    let rows = copies
        .iter()
        .map(|(role, from)| {
            let values = vec![
                ("name", Value::Text(role.name.clone())),
                ("businessunitid", scene.link("businessunit", role.unit)),
                ("parentroleid", scene.link("role", *from)),
                ("parentrootroleid", scene.link("role", role.root)),
                ("isinherited", Value::Integer(1)),
                ("ismanaged", Value::Boolean(false)),
            ];
            (role.id, values)
        })
        .collect();
    scene.insert("role", rows)
}

/// The default teams of business units, by their names.
pub(crate) fn default_teams(scene: Scene<'_>, units: &[(Uuid, Box<str>)]) -> WriteOp {
    let rows = units
        .iter()
        .map(|(unit, name)| {
            let values = vec![
                ("name", Value::Text(name.clone())),
                ("teamtype", Value::Integer(0)),
                ("membershiptype", Value::Integer(0)),
                ("isdefault", Value::Boolean(true)),
                ("systemmanaged", Value::Boolean(true)),
                ("businessunitid", scene.link("businessunit", *unit)),
                ("administratorid", scene.link("systemuser", scene.organization.administrator)),
            ];
            (default_team_id(scene.organization, *unit), values)
        })
        .collect();
    scene.insert("team", rows)
}

/// Rows that link two records: `teammembership`, `systemuserroles`, `teamroles`.
pub(crate) fn links(
    scene: Scene<'_>,
    table: &str,
    columns: [&str; 2],
    pairs: &[(Uuid, Uuid)],
) -> WriteOp {
    let [first, second] = columns;
    let rows = pairs
        .iter()
        .map(|(one, other)| {
            let id = Uuid::new_v5(one, format!("{table} {other}").as_bytes());
            let link = |column: &str, id: Uuid| {
                scene.link(column.strip_suffix("id").unwrap_or(column), id)
            };
            (id, vec![(first, link(first, *one)), (second, link(second, *other))])
        })
        .collect();
    scene.insert(table, rows)
}

/// Who is in which team.
pub(crate) fn memberships(scene: Scene<'_>, users_and_teams: &[(Uuid, Uuid)]) -> WriteOp {
    links(scene, "teammembership", ["systemuserid", "teamid"], users_and_teams)
}

/// Users, teams and business units of a store that was made before there were rights.
#[derive(Debug, Default)]
pub(crate) struct Present {
    /// Business units with name and parent.
    pub(crate) units: Vec<(Uuid, Box<str>, Option<Uuid>)>,
    /// Users with their business unit.
    pub(crate) users: Vec<(Uuid, Option<Uuid>)>,
    /// Roles with name and business unit; all of them are their own roots.
    pub(crate) roles: Vec<Role>,
    /// Ids of all teams.
    pub(crate) teams: Vec<Uuid>,
}

/// What the first organisation has, with its users in its one business unit.
pub(super) fn first(organization: Organization, users: &[Uuid]) -> Present {
    let unit = organization.business_unit;
    Present {
        units: vec![(unit, "sheaf".into(), None)],
        users: users.iter().map(|user| (*user, Some(unit))).collect(),
        roles: Vec::new(),
        teams: vec![default_team_id(organization, unit)],
    }
}

/// Default teams, memberships, copies of roles and the administrators' role for what is there.
pub(super) fn complete(scene: Scene<'_>, present: &Present) -> Vec<WriteOp> {
    let organization = scene.organization;
    let root = organization.business_unit;
    let missing: Vec<(Uuid, Box<str>)> = present
        .units
        .iter()
        .filter(|(unit, _, _)| !present.teams.contains(&default_team_id(organization, *unit)))
        .map(|(unit, name, _)| (*unit, name.clone()))
        .collect();
    let members: Vec<(Uuid, Uuid)> = present
        .users
        .iter()
        .map(|(user, unit)| (*user, default_team_id(organization, unit.unwrap_or(root))))
        .collect();
    let mut copies = Vec::new();
    for role in present.roles.iter().filter(|role| role.unit == root) {
        for (unit, _, _) in present.units.iter().filter(|(unit, _, _)| *unit != root) {
            copies.push((role.copied_to(*unit), role.id));
        }
    }
    let administrator = role_id(organization, ADMINISTRATOR);
    let holders: Vec<(Uuid, Uuid)> =
        super::administrators(organization).iter().map(|user| (*user, administrator)).collect();
    let mut ops = Vec::new();
    if !missing.is_empty() {
        ops.push(default_teams(scene, &missing));
    }
    ops.push(memberships(scene, &members));
    if !copies.is_empty() {
        ops.push(role_copies(scene, &copies));
    }
    ops.push(links(scene, "systemuserroles", ["systemuserid", "roleid"], &holders));
    ops
}
