//! From what a token says of its bearer to the user that a message runs for.
//!
//! In: [`Claims`]. Out: a [`Caller`], or the fault of one who is unknown or disabled.
//! Source: webapi.md 21.5. Not here: tokens (`server`), what a caller may do.
//! Invariant: nobody but the named user is found: an application's name counts only where no person
//! stands behind the token.

use crate::credential::first_columns;
use crate::message::{Condition, Message, Write};
use crate::run::{Context, Error, Pipeline};
use crate::share::RightsChange;
use crate::{fault, seed};
use model::{
    Caller, Cell, Fault, LookupValue, MessageName, Table, Target, TargetKey, Timestamp, Uuid, Value,
};
use query::{Compare, Filter};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Tables whose rows say who somebody is. A write to one of them ends what is known of callers.
const CONCERNED: [&str; 7] = [
    "systemuser",
    "systemuserroles",
    "team",
    "teammembership",
    "teamroles",
    "role",
    "roleprivileges",
];

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "System Administrator";
/// The pairs of users and roles.
const USER_ROLES: &str = "systemuserroles";
/// Rows of users that one query reads.
const USERS_PER_QUERY: u32 = 5_000;

/// What a token says of its bearer. The first claim that names a user counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claims {
    /// The directory's id of the bearer: `oid`.
    pub object: Option<Uuid>,
    /// The application, where it stands for itself: `appid` or `azp` of a token without a person.
    pub application: Option<Uuid>,
    /// The name of the person: `upn`, `unique_name` or `preferred_username`.
    pub name: Option<Box<str>>,
    /// The user itself, as the service's own configuration says.
    pub user: Option<Uuid>,
}

/// A user of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `systemuserid`
    pub id: Uuid,
    /// `domainname`
    pub name: Box<str>,
    /// `fullname`
    pub full_name: Box<str>,
    /// `applicationid`
    pub application: Option<Uuid>,
    /// `azureactivedirectoryobjectid`
    pub object: Option<Uuid>,
    /// `isdisabled`
    pub disabled: bool,
    /// `businessunitid`
    pub business_unit: Uuid,
}

/// Which users are looked for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All, in order of their ids.
    All,
    /// By `systemuserid`.
    Id(Uuid),
    /// By `applicationid`.
    Application(Uuid),
    /// By `domainname`.
    Name(&'a str),
    /// By anything that claims name.
    Claims(&'a Claims),
}

/// Whether rows of a table say who somebody is.
pub(crate) fn concerns(table: &Table) -> bool {
    CONCERNED.contains(&&*table.logical_name)
}

impl Pipeline {
    /// A number that rises when this node has written rows that say who somebody is.
    pub fn identity_epoch(&self) -> u64 {
        self.identities.load(Relaxed)
    }

    pub(crate) fn identities_changed(&self) {
        self.identities.fetch_add(1, Relaxed);
    }

    /// The caller that a token speaks of.
    ///
    /// Errors: `0x80072560` for nobody, `0x8004a112` for a disabled user.
    /// Cost: one read of the store; who asks often keeps the answer.
    pub async fn identify(&self, claims: &Claims, now: Timestamp) -> Result<Caller, Error> {
        let users = self.users(Wanted::Claims(claims), now).await?;
        let Some(user) = chosen(claims, &users) else { return Err(fault::not_a_member().into()) };
        if user.disabled {
            return Err(fault::user_disabled(user.id).into());
        }
        Ok(Caller { user: user.id, business_unit: user.business_unit, on_behalf_of: None })
    }

    /// Refuses who is no administrator of the service: who does not hold that role itself.
    pub async fn only_administrators(&self, caller: Caller, now: Timestamp) -> Result<(), Error> {
        if caller.user == self.organization().administrator {
            return Ok(());
        }
        let roles = self.roles_named(ADMINISTRATOR, now).await?;
        let held = self.roles_of(caller.user, now).await?;
        match roles.iter().any(|(role, _)| held.contains(role)) {
            true => Ok(()),
            false => Err(fault::not_an_administrator(caller.user).into()),
        }
    }

    /// Roles of this name, each with its business unit.
    async fn roles_named(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Vec<(Uuid, Option<Uuid>)>, Error> {
        let columns = ["roleid", "businessunitid"];
        let rows = self.rows("role", &columns, ("name", Value::text(name)), now).await?;
        let role = |row: &Vec<Value>| Some((row.first()?.as_id()?, row.get(1)?.as_id()));
        Ok(rows.iter().filter_map(role).collect())
    }

    /// Ids of the roles that a user holds itself.
    async fn roles_of(&self, user: Uuid, now: Timestamp) -> Result<Vec<Uuid>, Error> {
        let of = ("systemuserid", Value::Guid(user));
        let rows = self.rows(USER_ROLES, &["roleid"], of, now).await?;
        Ok(rows.iter().filter_map(|row| row.first()?.as_id()).collect())
    }

    /// The first rows of a table whose column holds a value.
    async fn rows(
        &self,
        table: &str,
        columns: &[&str],
        (column, value): (&str, Value),
        now: Timestamp,
    ) -> Result<Vec<Vec<Value>>, Error> {
        loop {
            let context = self.own_context(now);
            let table =
                context.catalog.table(table).ok_or_else(|| fault::no_system_table(table))?;
            let is = table.index_of(column).map(|column| Filter::Compare {
                column: column.into(),
                compare: Compare::Equal,
                value: value.clone(),
            });
            let query = first_columns(&context, table, columns, is, USERS_PER_QUERY)?;
            match self.read(&query).await {
                Err(Error::StaleCatalog) => drop(self.refresh().await?),
                Err(error) => return Err(error),
                Ok(page) => return Ok(page.rows(columns.len()).map(<[Value]>::to_vec).collect()),
            }
        }
    }

    /// Gives a user the role of this name in its business unit; tells whether there is such a role.
    pub async fn give_role(&self, user: &User, role: &str, now: Timestamp) -> Result<bool, Error> {
        let roles = self.roles_named(role, now).await?;
        let unit = Some(user.business_unit);
        let Some((role, _)) = roles.iter().find(|(_, of)| *of == unit) else { return Ok(false) };
        if self.roles_of(user.id, now).await?.contains(role) {
            return Ok(true);
        }
        let holder = LookupValue { table: seed::SYSTEM_USER, id: user.id };
        loop {
            let context = self.own_context(now);
            let change = RightsChange::AddRoles { holder, roles: vec![*role] };
            match self.run(&context, Message::Rights(change)).await {
                Err(Error::StaleCatalog) => drop(self.refresh().await?),
                done => return done.map(|_| true),
            }
        }
    }

    /// The users that are wanted, at most 5,000.
    pub async fn users(&self, wanted: Wanted<'_>, now: Timestamp) -> Result<Vec<User>, Error> {
        const COLUMNS: [&str; 7] = [
            "systemuserid",
            "domainname",
            "fullname",
            "applicationid",
            "azureactivedirectoryobjectid",
            "isdisabled",
            "businessunitid",
        ];
        loop {
            let context = self.own_context(now);
            let table = context.catalog.table("systemuser").ok_or_else(missing)?;
            let filter = filter(table, wanted);
            let query = first_columns(&context, table, &COLUMNS, filter, USERS_PER_QUERY)?;
            match self.read(&query).await {
                Err(Error::StaleCatalog) => drop(self.refresh().await?),
                Err(error) => return Err(error),
                Ok(page) => {
                    let unit = self.organization().business_unit;
                    return Ok(page.rows(COLUMNS.len()).map(|row| user(row, unit)).collect());
                }
            }
        }
    }

    /// Makes a user who stands for an application, without a role; answers its id.
    pub async fn add_application_user(
        &self,
        name: &str,
        application: Uuid,
        now: Timestamp,
    ) -> Result<Uuid, Error> {
        let unit = self.organization().business_unit;
        let unit = Value::Lookup(LookupValue { table: seed::BUSINESS_UNIT, id: unit });
        let id = self.new_ids(1, now).into_iter().next().expect("one id was asked for");
        let values = vec![
            ("firstname", Value::text("#")),
            ("lastname", Value::text(name)),
            ("domainname", Value::text(name)),
            ("applicationid", Value::Guid(application)),
            // Non-interactive (webapi.md 21.6).
            ("accessmode", Value::Integer(4)),
            ("isintegrationuser", Value::Boolean(true)),
            ("isdisabled", Value::Boolean(false)),
            ("businessunitid", unit),
        ];
        self.write_user(MessageName::Create, id, values, now).await?;
        Ok(id)
    }

    /// Lets a user in, or keeps it out.
    pub async fn set_user_disabled(
        &self,
        id: Uuid,
        disabled: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let values = vec![("isdisabled", Value::Boolean(disabled))];
        self.write_user(MessageName::Update, id, values, now).await
    }

    async fn write_user(
        &self,
        name: MessageName,
        id: Uuid,
        values: Vec<(&'static str, Value)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        loop {
            let context = self.own_context(now);
            let table = context.catalog.table("systemuser").ok_or_else(missing)?;
            let message = Message::Write(write(name, table, id, &values));
            match self.run(&context, message).await {
                Err(Error::StaleCatalog) => drop(self.refresh().await?),
                done => return done.map(drop),
            }
        }
    }

    /// What the service itself asks in.
    fn own_context(&self, now: Timestamp) -> Context {
        Context {
            catalog: self.catalog(),
            caller: self.organization().caller(),
            now,
            course: crate::step::Course::default(),
        }
    }
}

fn missing() -> Fault {
    fault::no_system_table("systemuser")
}

fn write(name: MessageName, table: &Arc<Table>, id: Uuid, values: &[(&str, Value)]) -> Write {
    let cell = |(name, value): &(&str, Value)| {
        Some(Cell { column: table.index_of(name)?, value: value.clone() })
    };
    let target = Target {
        key: TargetKey::Id(id),
        cells: values.iter().filter_map(cell).collect(),
        ..Target::default()
    };
    Write { name, table: table.clone(), targets: vec![target], condition: Condition::Any }
}

/// Of the users that claims may mean, the one that the first telling claim names.
fn chosen<'a>(claims: &Claims, users: &'a [User]) -> Option<&'a User> {
    let by = |is: &dyn Fn(&User) -> bool| users.iter().find(|user| is(user));
    let object = claims.object.and_then(|id| by(&|user| user.object == Some(id)));
    let application = || claims.application.and_then(|id| by(&|user| user.application == Some(id)));
    let name = || {
        let name = model::fold(claims.name.as_deref()?);
        by(&|user| model::fold(&user.name) == name)
    };
    let user = claims.user.and_then(|id| by(&|user| user.id == id));
    user.or(object).or_else(application).or_else(name)
}

fn filter(table: &Table, wanted: Wanted<'_>) -> Option<Filter> {
    let is = |name: &str, value: Value| match table.index_of(name) {
        Some(column) => Filter::Compare { column: column.into(), compare: Compare::Equal, value },
        None => Filter::Or(Vec::new()),
    };
    Some(match wanted {
        Wanted::All => return None,
        Wanted::Id(id) => is("systemuserid", Value::Guid(id)),
        Wanted::Application(id) => is("applicationid", Value::Guid(id)),
        Wanted::Name(name) => is("domainname", Value::text(name)),
        Wanted::Claims(claims) => {
            let Claims { object, application, name, user } = claims;
            let id = |name: &str, id: Option<Uuid>| id.map(|id| is(name, Value::Guid(id)));
            let name = name.as_deref().filter(|name| !name.is_empty());
            let some = [
                id("systemuserid", *user),
                id("azureactivedirectoryobjectid", *object),
                id("applicationid", *application),
                name.map(|name| is("domainname", Value::text(name))),
            ];
            Filter::Or(some.into_iter().flatten().collect())
        }
    })
}

fn user(row: &[Value], root_unit: Uuid) -> User {
    let value = |place: usize| row.get(place).unwrap_or(&Value::Null);
    let text = |place: usize| match value(place) {
        Value::Text(text) => text.clone(),
        _ => "".into(),
    };
    User {
        id: value(0).as_id().unwrap_or_default(),
        name: text(1),
        full_name: text(2),
        application: value(3).as_id(),
        object: value(4).as_id(),
        disabled: *value(5) == Value::Boolean(true),
        business_unit: value(6).as_id().unwrap_or(root_unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(id: u128) -> User {
        User {
            id: Uuid::from_u128(id),
            name: format!("user{id}@example.com").into(),
            full_name: "".into(),
            application: Some(Uuid::from_u128(100 + id)),
            object: Some(Uuid::from_u128(200 + id)),
            disabled: false,
            business_unit: Uuid::nil(),
        }
    }

    fn check(claims: Claims, want: Option<u128>) {
        let users = [sample(1), sample(2), sample(3)];
        let got = chosen(&claims, &users).map(|user| user.id.as_u128());
        assert_eq!(got, want, "{claims:?}");
    }

    #[test]
    fn the_directory_goes_before_the_application_and_that_before_the_name() {
        let id = |id: u128| Some(Uuid::from_u128(id));
        let name = |name: &str| Some(name.into());
        let (object, application) = (id(201), id(102));
        let all = Claims { object, application, name: name("user3@example.com"), user: None };
        check(all.clone(), Some(1));
        check(Claims { object: id(999), ..all.clone() }, Some(2));
        check(Claims { object: None, application: None, ..all.clone() }, Some(3));
        check(Claims { name: name("USER3@Example.com "), ..Claims::default() }, Some(3));
        check(Claims { user: id(3), ..all }, Some(3));
        check(Claims { object: id(999), ..Claims::default() }, None);
        check(Claims::default(), None);
    }
}
