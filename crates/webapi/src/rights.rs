//! Actions and functions about who may do what: shares, members of teams, privileges of roles.
//!
//! Source: webapi.md 20.5. Not here: what they do (`pipeline`).

use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem, job as refused};
use crate::response;
use crate::route::{Address, NAMESPACE};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{LookupValue, Table, TargetKey, Uuid};
use percent_encoding::percent_decode_str;
use pipeline::privilege::{self, Depth};
use pipeline::{Message, Object, RightsChange, Share};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The unbound actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    Grant,
    Modify,
    Revoke,
}

impl Sharing {
    /// The action with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "GrantAccess" => Some(Self::Grant),
            "ModifyAccess" => Some(Self::Modify),
            "RevokeAccess" => Some(Self::Revoke),
            _ => None,
        }
    }
}

/// What is asked of one user, team or role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    UserPrivileges,
    PrincipalAccess,
    AddMembers,
    RemoveMembers,
    AddPrivileges,
    ReplacePrivileges,
    RemovePrivilege,
}

impl Bound {
    /// The operation with this name that is bound to this table.
    pub(crate) fn named(name: &str, table: &Table) -> Option<Self> {
        Some(match (name, &*table.logical_name) {
            ("RetrieveUserPrivileges", "systemuser") => Self::UserPrivileges,
            ("RetrievePrincipalAccess", "systemuser" | "team") => Self::PrincipalAccess,
            ("AddMembersTeam", "team") => Self::AddMembers,
            ("RemoveMembersTeam", "team") => Self::RemoveMembers,
            ("AddPrivilegesRole", "role") => Self::AddPrivileges,
            ("ReplacePrivilegesRole", "role") => Self::ReplacePrivileges,
            ("RemovePrivilegeRole", "role") => Self::RemovePrivilege,
            _ => return None,
        })
    }

    fn is_function(self) -> bool {
        matches!(self, Self::UserPrivileges | Self::PrincipalAccess)
    }
}

/// `POST /GrantAccess` and its like.
pub(crate) async fn share(
    attempt: &Attempt<'_>,
    sharing: Sharing,
) -> Result<Response<Bytes>, Stop> {
    only_post(attempt)?;
    let body = Parameters::of(
        attempt,
        match sharing {
            Sharing::Grant | Sharing::Modify => &["Target", "PrincipalAccess"],
            Sharing::Revoke => &["Target", "Revokee"],
        },
    )?;
    let (table, id) = body.record("Target", None)?;
    let object = Object { table, id };
    let change = if sharing == Sharing::Revoke {
        let principal = principal(body.record("Revokee", None)?)?;
        RightsChange::Revoke { object, principal }
    } else {
        let inner = body.object("PrincipalAccess")?;
        let inner = Parameters { attempt, members: inner };
        inner.only(&["Principal", "AccessMask"])?;
        let principal = principal(inner.record("Principal", None)?)?;
        let mask = inner.text("AccessMask")?;
        let rights = privilege::rights_mask(&mask)
            .ok_or_else(|| Problem::argument(format!("'{mask}' is no value of 'AccessMask'.")))?;
        let replaces = sharing == Sharing::Modify;
        RightsChange::Share(Share { object, principal, rights, replaces })
    };
    change_rights(attempt, change).await
}

/// A principal is a user or a team.
fn principal((table, id): (Arc<Table>, Uuid)) -> Result<LookupValue, Problem> {
    match &*table.logical_name {
        "systemuser" | "team" => Ok(LookupValue { table: table.id, id }),
        other => {
            Err(Problem::argument(format!("'{other}' is no principal: name a user or a team.")))
        }
    }
}

async fn change_rights(
    attempt: &Attempt<'_>,
    change: RightsChange,
) -> Result<Response<Bytes>, Stop> {
    attempt.run(Message::Rights(change)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn only_post(attempt: &Attempt<'_>) -> Result<(), Problem> {
    match attempt.request.method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri)),
        _ => return Err(attempt.only("POST")),
    }
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)
}

/// An operation on one user, team or role. `arguments`: what stands in its parentheses.
pub(crate) async fn call(
    attempt: &Attempt<'_>,
    address: &Address,
    bound: Bound,
    arguments: &str,
) -> Result<Response<Bytes>, Stop> {
    let TargetKey::Id(id) = address.key else {
        return Err(Problem::argument("Name the record by its id.").into());
    };
    if bound.is_function() {
        if attempt.request.method != Method::GET {
            return Err(attempt.only("GET, HEAD").into());
        }
        return match bound {
            Bound::UserPrivileges if arguments.trim().is_empty() => {
                user_privileges(attempt, id).await
            }
            Bound::PrincipalAccess => principal_access(attempt, address, id, arguments).await,
            _ => Err(bad_arguments("RetrieveUserPrivileges").into()),
        };
    }
    only_post(attempt)?;
    let change = match bound {
        Bound::AddMembers | Bound::RemoveMembers => {
            let body = Parameters::of(attempt, &["Members"])?;
            let users = body.users("Members")?;
            match bound {
                Bound::AddMembers => RightsChange::AddMembers { team: id, users },
                _ => RightsChange::RemoveMembers { team: id, users },
            }
        }
        Bound::AddPrivileges | Bound::ReplacePrivileges => {
            let body = Parameters::of(attempt, &["Privileges"])?;
            let privileges = body.privileges("Privileges")?;
            match bound {
                Bound::AddPrivileges => RightsChange::AddPrivileges { role: id, privileges },
                _ => RightsChange::ReplacePrivileges { role: id, privileges },
            }
        }
        _ => {
            let body = Parameters::of(attempt, &["PrivilegeId"])?;
            let privilege = body.id("PrivilegeId")?;
            RightsChange::RemovePrivilege { role: id, privilege }
        }
    };
    change_rights(attempt, change).await
}

fn bad_arguments(name: &str) -> Problem {
    Problem::uri(format!(
        "No function signature for the function with name '{name}' matches the specified arguments."
    ))
}

fn ok(attempt: &Attempt<'_>, name: &str, mut body: Value) -> Response<Bytes> {
    let root = &attempt.request.root;
    let context = format!("{root}$metadata#Microsoft.Dynamics.CRM.{name}Response");
    if let Some(members) = body.as_object_mut() {
        members.insert("@odata.context".to_owned(), Value::from(context));
    }
    response::json(StatusCode::OK, body.to_string().into_bytes())
}

async fn user_privileges(attempt: &Attempt<'_>, user: Uuid) -> Result<Response<Bytes>, Stop> {
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let held = attempt.pipeline.user_privileges(&attempt.context, user).await?;
    let held: Vec<Value> = held
        .iter()
        .map(|privilege| {
            json!({
                "Depth": privilege.depth.name(),
                "PrivilegeId": privilege.id.to_string(),
                "BusinessUnitId": privilege.unit.to_string(),
                "PrivilegeName": privilege.name,
            })
        })
        .collect();
    Ok(ok(attempt, "RetrieveUserPrivileges", json!({ "RolePrivileges": held })))
}

async fn principal_access(
    attempt: &Attempt<'_>,
    address: &Address,
    id: Uuid,
    arguments: &str,
) -> Result<Response<Bytes>, Stop> {
    const NAME: &str = "RetrievePrincipalAccess";
    let given = arguments.trim().strip_prefix("Target").map(str::trim_start);
    let given = given.and_then(|rest| rest.strip_prefix('=')).map(str::trim);
    let given = given.ok_or_else(|| bad_arguments(NAME))?;
    let text = match given.starts_with('@') {
        true => attempt.request.options.get(given).ok_or_else(|| bad_arguments(NAME))?,
        false => given,
    };
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    // Both kinds of quotes are written (webapi.md 20.2).
    let text = decoded.trim().replace('\'', "\"");
    let value: Value = serde_json::from_str(&text).map_err(refused::payload)?;
    let (table, object) = record_of(attempt, "Target", &value, None)?;
    let principal = LookupValue { table: address.table.id, id };
    let object = Object { table, id: object };
    let mask = attempt.pipeline.principal_access(&attempt.context, principal, &object).await?;
    Ok(ok(attempt, NAME, json!({ "AccessRights": privilege::rights_text(mask) })))
}

/// The members of an action's body.
struct Parameters<'a> {
    attempt: &'a Attempt<'a>,
    members: Map<String, Value>,
}

impl<'a> Parameters<'a> {
    fn of(attempt: &'a Attempt<'a>, names: &[&str]) -> Result<Self, Problem> {
        let members: Map<String, Value> =
            serde_json::from_slice(&attempt.request.body).map_err(refused::payload)?;
        let this = Self { attempt, members };
        this.only(names)?;
        Ok(this)
    }

    /// Refuses members that nobody asks for.
    fn only(&self, names: &[&str]) -> Result<(), Problem> {
        let unknown = |name: &&String| !name.starts_with('@') && !names.contains(&name.as_str());
        match self.members.keys().find(unknown) {
            Some(name) => Err(refused::payload(format_args!("'{name}' is no parameter"))),
            None => Ok(()),
        }
    }

    fn get(&self, name: &'static str) -> Result<&Value, Problem> {
        self.members
            .get(name)
            .filter(|value| !value.is_null())
            .ok_or_else(|| refused::required(name))
    }

    fn object(&self, name: &'static str) -> Result<Map<String, Value>, Problem> {
        self.get(name)?.as_object().cloned().ok_or_else(|| wrong(name))
    }

    fn text(&self, name: &'static str) -> Result<String, Problem> {
        self.get(name)?.as_str().map(str::to_owned).ok_or_else(|| wrong(name))
    }

    fn id(&self, name: &'static str) -> Result<Uuid, Problem> {
        Uuid::try_parse(&self.text(name)?).map_err(|_| wrong(name))
    }

    fn array(&self, name: &'static str) -> Result<&Vec<Value>, Problem> {
        self.get(name)?.as_array().ok_or_else(|| wrong(name))
    }

    fn record(&self, name: &'static str, of: Option<&str>) -> Result<(Arc<Table>, Uuid), Problem> {
        record_of(self.attempt, name, self.get(name)?, of)
    }

    fn users(&self, name: &'static str) -> Result<Vec<Uuid>, Problem> {
        let of = Some("systemuser");
        let each = self.array(name)?.iter();
        each.map(|value| {
            let (table, id) = record_of(self.attempt, name, value, of)?;
            if &*table.logical_name == "systemuser" { Ok(id) } else { Err(wrong(name)) }
        })
        .collect()
    }

    fn privileges(&self, name: &'static str) -> Result<Vec<(Uuid, Depth)>, Problem> {
        let each = self.array(name)?.iter();
        each.map(|value| {
            let members = value.as_object().cloned().ok_or_else(|| wrong(name))?;
            let one = Parameters { attempt: self.attempt, members };
            one.only(&["PrivilegeId", "Depth", "BusinessUnitId", "PrivilegeName"])?;
            let depth = one.text("Depth")?;
            let depth = Depth::of_name(&depth).ok_or_else(|| wrong("Depth"))?;
            Ok((one.id("PrivilegeId")?, depth))
        })
        .collect()
    }
}

fn wrong(name: &str) -> Problem {
    refused::payload(format_args!("the value of '{name}' is not of its type"))
}

/// A record as a parameter: its type and key, or its address (webapi.md 20.2, 20.3).
pub(crate) fn record_of(
    attempt: &Attempt<'_>,
    name: &'static str,
    value: &Value,
    of: Option<&str>,
) -> Result<(Arc<Table>, Uuid), Problem> {
    let catalog = &attempt.context.catalog;
    let members = value.as_object().ok_or_else(|| wrong(name))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if let Some(address) = text("@odata.id") {
        let payload = fault::Payload { message: model::MessageName::Retrieve, table: "", set: "" };
        let (table, key) = wire::reference::parse(address, catalog)
            .map_err(|error| fault::of_wire(error, payload))?;
        return match key {
            TargetKey::Id(id) => Ok((table, id)),
            TargetKey::Alternate(_) | TargetKey::None => {
                Err(refused::payload(format_args!("'{name}' must name its record by id")))
            }
        };
    }
    let named = text("@odata.type").map(|name| name.trim_start_matches('#'));
    let named = named.map(|name| name.strip_prefix(NAMESPACE).unwrap_or(name)).or(of);
    let named = named.ok_or_else(|| {
        refused::payload(format_args!("'{name}' needs the property '@odata.type'"))
    })?;
    let table = catalog.table(named).ok_or_else(|| Problem::no_definition("entity", named))?;
    let key = text(table.primary_key_name()).or_else(|| match named {
        "systemuser" | "team" => text("ownerid"),
        _ => None,
    });
    let id = key.and_then(|key| Uuid::try_parse(key).ok()).ok_or_else(|| {
        let key = table.primary_key_name();
        refused::payload(format_args!("'{name}' must name its record by '{key}'"))
    })?;
    Ok((Arc::clone(table), id))
}
