//! Rights from rows: eight queries for any number of users, kept as long as the definitions stay.
//!
//! Invariant: what is kept belongs to one version of the definitions; a newer one empties it.

use super::Rights;
use crate::privilege::Depth;
use crate::run::{Context, Error, Pipeline, not_about_rows};
use crate::seed;
use crate::seed::security::{Present, Role};
use model::{Caller, CascadeAction, Catalog, Fault, Spreading, Table, TableId, Uuid, Value, code};
use query::{BoundQuery, ColumnRef, Filter, Paging};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use store::StandardStore;

/// Rows that one query asks for at most.
const ROWS_PER_QUERY: u32 = 5_000;
/// Ids that one query names at most.
const IDS_PER_QUERY: usize = 5_000;
/// Users whose rights are kept; beyond that all are loaded anew.
const KEPT_MAX: usize = 10_000;

/// Rights that were loaded, of one version.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    version: u64,
    rights: HashMap<Uuid, Arc<Rights>>,
    units: Option<Arc<Units>>,
    /// Tables that are known to have shared rows or not.
    shares: HashMap<TableId, bool>,
}

/// The tree of business units.
#[derive(Debug, Default)]
pub(crate) struct Units {
    below: HashMap<Uuid, Vec<Uuid>>,
}

impl Units {
    /// The unit and all units below it.
    pub(crate) fn with_below(&self, unit: Uuid) -> Vec<Uuid> {
        let mut found = vec![unit];
        let mut seen = BTreeSet::from([unit]);
        let mut place = 0;
        while let Some(above) = found.get(place).copied() {
            place += 1;
            let below = self.below.get(&above).into_iter().flatten().copied();
            found.extend(below.filter(|unit| seen.insert(*unit)));
        }
        found
    }
}

impl Cache {
    fn of<T>(&self, version: u64, read: impl FnOnce(&Kept) -> Option<T>) -> Option<T> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if kept.version == version { read(&kept) } else { None }
    }

    fn put(&self, version: u64, write: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.version < version || kept.rights.len() > KEPT_MAX {
            *kept = Kept { version, ..Kept::default() };
        }
        if kept.version == version {
            write(&mut kept);
        }
    }
}

/// A table and those whose shares its rows may inherit, directly or further on.
fn inherits_from<'a>(catalog: &'a Catalog, table: &'a Table) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = BTreeSet::from([&*table.logical_name]);
    let mut open: Vec<&str> = vec![&table.logical_name];
    while let Some(table) = open.pop() {
        let above = catalog.referenced_by(table).filter(|link| {
            [Spreading::Share, Spreading::Reparent]
                .iter()
                .any(|spreading| link.cascade.reach(*spreading) != CascadeAction::NoCascade)
        });
        for link in above {
            if found.insert(&link.referenced_table) {
                open.push(&link.referenced_table);
            }
        }
    }
    found
}

impl Pipeline {
    /// What a caller may do.
    ///
    /// Errors: the user is disabled, holds no role, or is none.
    pub(crate) async fn access(
        &self,
        catalog: &Arc<Catalog>,
        caller: Caller,
    ) -> Result<super::Access, Error> {
        let own = self.rights(catalog, caller.user).await?;
        let real = match caller.on_behalf_of.filter(|real| *real != caller.user) {
            Some(real) => Some(self.rights(catalog, real).await?),
            None => None,
        };
        for rights in std::iter::once(&own).chain(&real) {
            refuse_useless(rights)?;
        }
        Ok(super::Access { own, real })
    }

    async fn rights(&self, catalog: &Arc<Catalog>, user: Uuid) -> Result<Arc<Rights>, Error> {
        let found = self.rights_of(catalog, &[user], &[]).await?;
        found.get(&user).cloned().ok_or_else(|| {
            let text = "The user is not a member of the organization.";
            Fault::new(code::USER_NOT_MEMBER_OF_ORG, text).into()
        })
    }

    /// The rights of these users and teams, of those that exist.
    pub(crate) async fn rights_of(
        &self,
        catalog: &Arc<Catalog>,
        users: &[Uuid],
        teams: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<Rights>>, Error> {
        let version = catalog.version();
        let mut found: HashMap<Uuid, Arc<Rights>> = self
            .rights_cache
            .of(version, |kept| {
                let known = users.iter().chain(teams);
                Some(known.filter_map(|id| Some((*id, kept.rights.get(id)?.clone()))).collect())
            })
            .unwrap_or_default();
        let missing = |ids: &[Uuid]| -> Vec<Uuid> {
            ids.iter().copied().filter(|id| !found.contains_key(id)).collect()
        };
        let (users, teams) = (missing(users), missing(teams));
        if users.is_empty() && teams.is_empty() {
            return Ok(found);
        }
        let units = self.units(catalog).await?;
        let loaded = load(self.store(), catalog, &units, &users, &teams).await?;
        let loaded: HashMap<Uuid, Arc<Rights>> =
            loaded.into_iter().map(|(id, rights)| (id, Arc::new(rights))).collect();
        self.rights_cache.put(version, |kept| {
            kept.rights.extend(loaded.iter().map(|(id, rights)| (*id, rights.clone())));
        });
        found.extend(loaded);
        Ok(found)
    }

    /// The tree of business units.
    pub(crate) async fn units(&self, catalog: &Arc<Catalog>) -> Result<Arc<Units>, Error> {
        let version = catalog.version();
        if let Some(units) = self.rights_cache.of(version, |kept| kept.units.clone()) {
            return Ok(units);
        }
        let rows =
            all(self.store(), catalog, "businessunit", &["businessunitid", "parentbusinessunitid"]);
        let rows = rows.await.map_err(not_about_rows)?;
        let mut units = Units::default();
        for row in &rows {
            let Some(unit) = id_at(row, 0) else { continue };
            if let Some(parent) = id_at(row, 1) {
                units.below.entry(parent).or_default().push(unit);
            }
        }
        let units = Arc::new(units);
        self.rights_cache.put(version, |kept| kept.units = Some(units.clone()));
        Ok(units)
    }

    /// Whether any row of a table was ever shared, or one that it may inherit from. One small query per
    /// table and version.
    pub(crate) async fn has_shares(
        &self,
        catalog: &Arc<Catalog>,
        table: &Table,
    ) -> Result<bool, Error> {
        let version = catalog.version();
        let known = self.rights_cache.of(version, |kept| kept.shares.get(&table.id).copied());
        if let Some(known) = known {
            return Ok(known);
        }
        let shares = named(catalog, "principalobjectaccess");
        let column = shares.index_of("objecttypecode").map(ColumnRef::root);
        let names = inherits_from(catalog, table).into_iter().map(|name| Value::Text(name.into()));
        let values: Vec<Value> = names.collect();
        let filter = column.map(|column| Filter::In { column, values, negated: false });
        let mut query = bound(catalog, shares, &["principalobjectaccessid"], filter);
        query.paging.size = 1;
        let page = self.store().read(&query).await.map_err(not_about_rows)?;
        let has = page.rows > 0;
        self.rights_cache.put(version, |kept| {
            kept.shares.insert(table.id, has);
        });
        Ok(has)
    }

    /// The rows of a table of the seed whose column holds one of these ids: the named columns, then the
    /// primary key.
    pub(crate) async fn rows_by(
        &self,
        context: &Context,
        table: &str,
        columns: &[&str],
        by: &str,
        ids: &[Uuid],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let rows = some(self.store(), &context.catalog, table, columns, by, ids).await;
        rows.map_err(not_about_rows)
    }

    /// The default team of a business unit.
    pub(crate) fn default_team(&self, unit: Uuid) -> Uuid {
        seed::security::default_team_id(self.organization(), unit)
    }
}

/// A user who is disabled or holds nothing at all.
fn refuse_useless(rights: &Rights) -> Result<(), Error> {
    if rights.is_disabled {
        let text = "The specified user is disabled and cannot access the organization.";
        return Err(Fault::new(code::SYSTEM_USER_DISABLED, text).into());
    }
    if rights.roles == 0 {
        let text = "The user has not been assigned any roles.";
        return Err(Fault::new(code::USER_NOT_ASSIGNED_ROLES, text)
            .with_hint(format!("user {} and its teams hold no security role", rights.principal))
            .into());
    }
    Ok(())
}

/// One of those whose rights are put together.
struct Holder {
    principal: Uuid,
    unit: Uuid,
    owners: Vec<Uuid>,
    roles: Vec<Uuid>,
}

/// The rows that say what users and teams may do.
struct Sources<'a> {
    units: &'a Units,
    /// Id, business unit, disabled, access mode, directory id.
    users: Vec<Vec<Value>>,
    /// Users with their teams.
    members: Vec<(Uuid, Uuid)>,
    team_units: HashMap<Uuid, Uuid>,
    user_roles: HashMap<Uuid, Vec<Uuid>>,
    team_roles: HashMap<Uuid, Vec<Uuid>>,
    /// Of each role the one whose privileges it holds.
    root_of: HashMap<Uuid, Uuid>,
    grants: HashMap<Uuid, Vec<(Uuid, Depth)>>,
}

const USER_ID: &str = "systemuserid";
const USER: &[&str] =
    &[USER_ID, "businessunitid", "isdisabled", "accessmode", "azureactivedirectoryobjectid"];
const GRANT: &[&str] = &["roleid", "privilegeid", "privilegedepthmask"];

async fn load(
    store: &dyn StandardStore,
    catalog: &Arc<Catalog>,
    units: &Units,
    users: &[Uuid],
    teams: &[Uuid],
) -> Result<HashMap<Uuid, Rights>, Error> {
    let sources = sources(store, catalog, units, users, teams).await.map_err(not_about_rows)?;
    let of_users = sources.users.iter().filter_map(|row| sources.of_user(row));
    let mut found: HashMap<Uuid, Rights> =
        of_users.map(|rights| (rights.principal, rights)).collect();
    for team in teams {
        if let Some(holder) = sources.team(*team) {
            let mut rights = sources.together(&[holder]);
            rights.principals = vec![*team].into();
            found.insert(*team, rights);
        }
    }
    Ok(found)
}

async fn sources<'a>(
    store: &dyn StandardStore,
    catalog: &Arc<Catalog>,
    units: &'a Units,
    users: &[Uuid],
    teams: &[Uuid],
) -> Result<Sources<'a>, store::Error> {
    let of = |table, columns, by, ids: Vec<Uuid>| async move {
        some(store, catalog, table, columns, by, &ids).await
    };
    let user_rows = of("systemuser", USER, USER_ID, users.to_vec()).await?;
    let members = of("teammembership", &[USER_ID, "teamid"], USER_ID, users.to_vec()).await?;
    let members = pairs(&members);
    let mut all_teams: Vec<Uuid> = members.iter().map(|(_, team)| *team).collect();
    all_teams.extend(teams);
    all_teams.sort_unstable();
    all_teams.dedup();
    let team_rows = of("team", &["teamid", "businessunitid"], "teamid", all_teams.clone()).await?;
    let user_roles = of("systemuserroles", &[USER_ID, "roleid"], USER_ID, users.to_vec()).await?;
    let team_roles = of("teamroles", &["teamid", "roleid"], "teamid", all_teams).await?;
    let (user_roles, team_roles) = (by_first(&user_roles), by_first(&team_roles));
    let roles: BTreeSet<Uuid> =
        user_roles.values().chain(team_roles.values()).flatten().copied().collect();
    let roles = roles.into_iter().collect();
    let role_rows = of("role", &["roleid", "parentrootroleid"], "roleid", roles).await?;
    let root = |row: &Vec<Value>| {
        let role = id_at(row, 0)?;
        Some((role, id_at(row, 1).unwrap_or(role)))
    };
    let root_of: HashMap<Uuid, Uuid> = role_rows.iter().filter_map(root).collect();
    let roots: BTreeSet<Uuid> = root_of.values().copied().collect();
    let roots = roots.into_iter().collect();
    let mut grants: HashMap<Uuid, Vec<(Uuid, Depth)>> = HashMap::new();
    for row in of("roleprivileges", GRANT, "roleid", roots).await? {
        if let (Some(role), Some(privilege), Some(Value::Integer(mask))) =
            (id_at(&row, 0), id_at(&row, 1), row.get(2))
            && let Some(depth) = Depth::of_mask(*mask)
        {
            grants.entry(role).or_default().push((privilege, depth));
        }
    }
    Ok(Sources {
        units,
        users: user_rows,
        members,
        team_units: pairs(&team_rows).into_iter().collect(),
        user_roles,
        team_roles,
        root_of,
        grants,
    })
}

impl Sources<'_> {
    fn of_user(&self, row: &[Value]) -> Option<Rights> {
        let (user, unit) = (id_at(row, 0)?, id_at(row, 1)?);
        let own = self.members.iter().filter(|(member, _)| *member == user);
        let teams: Vec<Uuid> = own.map(|(_, team)| *team).collect();
        let mut owners = vec![user];
        owners.extend(&teams);
        let roles = self.user_roles.get(&user).cloned().unwrap_or_default();
        let mut holders = vec![Holder { principal: user, unit, owners: owners.clone(), roles }];
        holders.extend(teams.iter().filter_map(|team| self.team(*team)));
        let mut rights = self.together(&holders);
        rights.principals = owners.into();
        rights.is_disabled = row.get(2) == Some(&Value::Boolean(true));
        if let Some(Value::Integer(mode)) = row.get(3) {
            rights.access_mode = *mode;
        }
        rights.object_id = id_at(row, 4).unwrap_or_default();
        Some(rights)
    }

    fn team(&self, team: Uuid) -> Option<Holder> {
        Some(Holder {
            principal: team,
            unit: *self.team_units.get(&team)?,
            owners: vec![team],
            roles: self.team_roles.get(&team).cloned().unwrap_or_default(),
        })
    }

    /// What these hold together; the first one is whose rights they are.
    fn together(&self, holders: &[Holder]) -> Rights {
        let mut rights = Rights::default();
        if let Some(first) = holders.first() {
            rights.principal = first.principal;
            rights.unit = first.unit;
        }
        for holder in holders {
            rights.roles += holder.roles.len();
            let below = self.units.with_below(holder.unit);
            for role in &holder.roles {
                let root = self.root_of.get(role).unwrap_or(role);
                for (privilege, depth) in self.grants.get(root).into_iter().flatten() {
                    let held = rights.held.entry(*privilege).or_default();
                    held.add(*depth, holder.unit, &below, &holder.owners);
                }
            }
        }
        rights
    }
}

fn pairs(rows: &[Vec<Value>]) -> Vec<(Uuid, Uuid)> {
    rows.iter().filter_map(|row| Some((id_at(row, 0)?, id_at(row, 1)?))).collect()
}

fn by_first(rows: &[Vec<Value>]) -> HashMap<Uuid, Vec<Uuid>> {
    let mut found: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for (first, second) in pairs(rows) {
        found.entry(first).or_default().push(second);
    }
    found
}

/// The id in a column of a row.
pub(crate) fn id_at(row: &[Value], place: usize) -> Option<Uuid> {
    row.get(place).and_then(Value::as_id)
}

/// A table of the seed.
fn named<'a>(catalog: &'a Catalog, name: &str) -> &'a Arc<Table> {
    catalog.table(name).unwrap_or_else(|| unreachable!("the seed has a table `{name}`"))
}

/// A query over one table of the seed, in the order of its primary key.
pub(crate) fn bound(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    columns: &[&str],
    filter: Option<Filter>,
) -> BoundQuery {
    let column = |name: &&str| {
        let column = table.index_of(name);
        let why = || unreachable!("the seed has a column `{}.{name}`", table.logical_name);
        ColumnRef::root(column.unwrap_or_else(why))
    };
    let key = ColumnRef::root(table.primary_key);
    BoundQuery {
        columns: columns.iter().map(column).chain([key]).collect(),
        filter,
        paging: Paging { size: ROWS_PER_QUERY, after: None, skip: 0, look_ahead: true },
        ..BoundQuery::by_key(catalog, table)
    }
}

/// Every row of a query made by [`bound`]: the named columns, then the primary key.
pub(crate) async fn rows(
    store: &dyn StandardStore,
    mut query: BoundQuery,
) -> Result<Vec<Vec<Value>>, store::Error> {
    let width = query.columns.len();
    let mut found = Vec::new();
    // A page after the other: there is no bound on the number of rows.
    loop {
        let page = store.read(&query).await?;
        found.extend(page.rows(width).map(<[Value]>::to_vec));
        let last = found.last().and_then(|row| row.last()).cloned();
        if !page.more {
            return Ok(found);
        }
        query.paging.after = last.map(|last| vec![last]);
    }
}

async fn all(
    store: &dyn StandardStore,
    catalog: &Arc<Catalog>,
    table: &str,
    columns: &[&str],
) -> Result<Vec<Vec<Value>>, store::Error> {
    rows(store, bound(catalog, named(catalog, table), columns, None)).await
}

/// The rows whose column holds one of these ids.
pub(crate) async fn some(
    store: &dyn StandardStore,
    catalog: &Arc<Catalog>,
    table: &str,
    columns: &[&str],
    by: &str,
    ids: &[Uuid],
) -> Result<Vec<Vec<Value>>, store::Error> {
    let table = named(catalog, table);
    let mut found = Vec::new();
    for ids in ids.chunks(IDS_PER_QUERY) {
        let column = table.index_of(by).map(ColumnRef::root);
        let values = ids.iter().copied().map(Value::Guid).collect();
        let filter = column.map(|column| Filter::In { column, values, negated: false });
        found.extend(rows(store, bound(catalog, table, columns, filter)).await?);
    }
    Ok(found)
}

/// Who is there in a store that was made before there were rights.
pub(crate) async fn present(
    store: &dyn StandardStore,
    catalog: &Arc<Catalog>,
) -> Result<Present, store::Error> {
    let units =
        all(store, catalog, "businessunit", &["businessunitid", "name", "parentbusinessunitid"])
            .await?;
    let users = all(store, catalog, "systemuser", &["systemuserid", "businessunitid"]).await?;
    let roles = all(store, catalog, "role", &["roleid", "name", "businessunitid"]).await?;
    let teams = all(store, catalog, "team", &["teamid"]).await?;
    let text = |row: &[Value], place: usize| match row.get(place) {
        Some(Value::Text(text)) => text.clone(),
        _ => Box::from(""),
    };
    Ok(Present {
        units: units
            .iter()
            .filter_map(|row| Some((id_at(row, 0)?, text(row, 1), id_at(row, 2))))
            .collect(),
        users: users.iter().filter_map(|row| Some((id_at(row, 0)?, id_at(row, 1)))).collect(),
        roles: roles
            .iter()
            .filter_map(|row| {
                let id = id_at(row, 0)?;
                Some(Role { id, name: text(row, 1), root: id, unit: id_at(row, 2)? })
            })
            .collect(),
        teams: teams.iter().filter_map(|row| id_at(row, 0)).collect(),
    })
}
