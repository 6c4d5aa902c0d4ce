//! Sharing rows, members of teams, privileges of roles: the messages that change who may do what.
//!
//! Source: webapi.md 20.5, 23.6, 23.7. Not here: their JSON (`webapi`).
//! Invariant: what was read to decide a change still holds when it is written: rows of teams and roles
//! move the version of the definitions on, and rows of shares are written on condition of their version.

use crate::message::Reply;
use crate::privilege::{self, ACTIONS, Action, Depth};
use crate::rights::guard::{self, About};
use crate::rights::{self, Access, change, load};
use crate::run::{Context, Error, Pipeline, not_about_rows};
use crate::seed::rows;
use crate::seed::security::{self, Scene};
use crate::{fault, seed};
use model::{Catalog, Cell, Fault, LookupValue, Ownership, Spreading, Table, Uuid, Value, code};
use query::{ColumnRef, Compare, Filter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::writes::{DeleteRow, Update, UpdateRow, WriteOp};
use store::{Check, CheckRow, RowKey, SchemaChange, Spreads, WriteSet};

/// How often a share is looked at anew when another request changes it at the same time.
const ROUNDS_MAX: usize = 4;

/// A change of who may do what.
#[derive(Clone, Debug)]
pub enum RightsChange {
    /// Shares a row, or changes a share.
    Share(Share),
    /// Ends a share.
    Revoke {
        /// The row.
        object: Object,
        /// The user or team.
        principal: LookupValue,
    },
    /// Makes users members of a team.
    AddMembers {
        /// The team.
        team: Uuid,
        /// The users.
        users: Vec<Uuid>,
    },
    /// Ends memberships.
    RemoveMembers {
        /// The team.
        team: Uuid,
        /// The users.
        users: Vec<Uuid>,
    },
    /// Gives roles to a user or a team.
    AddRoles {
        /// The user or team.
        holder: LookupValue,
        /// The roles, of its own business unit.
        roles: Vec<Uuid>,
    },
    /// Takes roles from a user or a team.
    RemoveRoles {
        /// The user or team.
        holder: LookupValue,
        /// The roles.
        roles: Vec<Uuid>,
    },
    /// Gives privileges to a role, each at a depth; one that it has gets the new depth.
    AddPrivileges {
        /// The role.
        role: Uuid,
        /// The privileges.
        privileges: Vec<(Uuid, Depth)>,
    },
    /// Gives a role these privileges and no others.
    ReplacePrivileges {
        /// The role.
        role: Uuid,
        /// The privileges.
        privileges: Vec<(Uuid, Depth)>,
    },
    /// Takes a privilege from a role.
    RemovePrivilege {
        /// The role.
        role: Uuid,
        /// The privilege.
        privilege: Uuid,
    },
}

/// A row that is shared.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its table.
    pub table: Arc<Table>,
    /// Its id.
    pub id: Uuid,
}

/// What is shared with whom.
#[derive(Clone, Debug)]
pub struct Share {
    /// The row.
    pub object: Object,
    /// The user or team.
    pub principal: LookupValue,
    /// The rights: bits of [`Action::bit`].
    pub rights: i32,
    /// The rights are all there will be; else they are added.
    pub replaces: bool,
}

/// A privilege that a user holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPrivilege {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: Box<str>,
    /// How deep.
    pub depth: Depth,
    /// The business unit that the depth counts from.
    pub unit: Uuid,
}

impl Pipeline {
    /// Carries out a change of who may do what.
    pub(crate) async fn change_rights(
        &self,
        context: &Context,
        access: &Access,
        change: RightsChange,
    ) -> Result<Reply, Error> {
        match change {
            RightsChange::Share(share) => self.share(context, access, share).await?,
            RightsChange::Revoke { object, principal } => {
                self.may_share(context, access, &object, 0).await?;
                self.set_share(context, access, &object, principal, &|_| 0).await?;
            }
            RightsChange::AddMembers { team, users } => {
                self.members(context, access, team, users, true).await?;
            }
            RightsChange::RemoveMembers { team, users } => {
                self.members(context, access, team, users, false).await?;
            }
            RightsChange::AddRoles { holder, roles } => {
                self.roles(context, access, holder, roles, true).await?;
            }
            RightsChange::RemoveRoles { holder, roles } => {
                self.roles(context, access, holder, roles, false).await?;
            }
            RightsChange::AddPrivileges { role, privileges } => {
                self.privileges(context, access, role, privileges, false).await?;
            }
            RightsChange::ReplacePrivileges { role, privileges } => {
                self.privileges(context, access, role, privileges, true).await?;
            }
            RightsChange::RemovePrivilege { role, privilege } => {
                self.may_change_role(context, access, role).await?;
                let held = self.grants_of(context, role).await?;
                let gone = held.get(&privilege).copied().into_iter().collect();
                let ops = change::deletes(context, "roleprivileges", gone).into_iter().collect();
                self.commit_rights(context, ops).await?;
            }
        }
        Ok(Reply::Written(Vec::new()))
    }

    async fn share(&self, context: &Context, access: &Access, share: Share) -> Result<(), Error> {
        let Share { object, principal, rights, replaces } = share;
        self.may_share(context, access, &object, rights).await?;
        let table = context.catalog.table_by_id(principal.table);
        let table = table.ok_or_else(|| Fault::new(code::INVALID_ARGUMENT, "Invalid argument."))?;
        self.must_exist(context, table, &[principal.id]).await?;
        let to = |old: i32| {
            if replaces { rights } else { rights | old }
        };
        self.set_share(context, access, &object, principal, &to).await
    }

    /// Refuses unless the caller may share the row and has every right that it gives.
    async fn may_share(
        &self,
        context: &Context,
        access: &Access,
        object: &Object,
        rights: i32,
    ) -> Result<(), Error> {
        let Object { table, id } = object;
        if table.ownership != Ownership::User {
            return Err(Fault::new(code::NOT_SUPPORTED, "This action is not supported.")
                .with_hint(format!(
                    "rows of `{}` have no owner who could share them",
                    table.logical_name
                ))
                .into());
        }
        access.require_on(table, Action::Share)?;
        self.must_exist(context, table, &[*id]).await?;
        let given = ACTIONS.iter().filter(|action| rights & action.bit() != 0);
        for action in std::iter::once(&Action::Share).chain(given) {
            self.reach(context, access, (table, *action), &[*id]).await?;
        }
        Ok(())
    }

    async fn must_exist(
        &self,
        context: &Context,
        table: &Arc<Table>,
        ids: &[Uuid],
    ) -> Result<(), Error> {
        let query = store::check::allowed_query(&context.catalog, table, ids, None);
        let Reply::Page(page) = self.answer(context, &query, None).await? else { return Ok(()) };
        let there: BTreeSet<Uuid> = page.cells.iter().filter_map(Value::as_id).collect();
        match ids.iter().find(|id| !there.contains(id)) {
            Some(id) => Err(fault::no_record(table, *id).into()),
            None => Ok(()),
        }
    }

    /// Writes one share: what was given decides what is given then.
    async fn set_share(
        &self,
        context: &Context,
        access: &Access,
        object: &Object,
        principal: LookupValue,
        to: &(dyn Fn(i32) -> i32 + Sync),
    ) -> Result<(), Error> {
        let catalog = &context.catalog;
        let Some(shares) = catalog.table("principalobjectaccess") else { return Ok(()) };
        for _ in 0..ROUNDS_MAX {
            let old = self.share_of(context, shares, object.id, principal.id).await?;
            let (given, inherited) = old.as_ref().map_or((0, 0), |old| (old.given, old.inherited));
            let new = to(given);
            if new == given {
                return Ok(());
            }
            let checks = self.share_checks(context, access, object, (given, new)).await?;
            let op = match old {
                None => self.new_share(context, shares, object, principal, new),
                Some(old) if new | inherited == 0 => WriteOp::Delete(store::writes::Delete {
                    table: Arc::clone(shares),
                    rows: vec![DeleteRow {
                        key: RowKey::Id(old.id),
                        expected_version: Some(old.version),
                    }],
                }),
                Some(old) => {
                    let cells = shares
                        .index_of("accessrightsmask")
                        .map(|column| Cell { column, value: Value::Integer(new) });
                    WriteOp::Update(Update {
                        table: Arc::clone(shares),
                        constants: crate::write::update_constants(
                            shares,
                            context.caller,
                            context.now,
                        ),
                        rows: vec![UpdateRow {
                            key: RowKey::Id(old.id),
                            cells: cells.into_iter().collect(),
                            binds: Vec::new(),
                            expected_version: Some(old.version),
                        }],
                    })
                }
            };
            // The first share of a table is news to every node.
            let is_news = !self.has_shares(catalog, &object.table).await?;
            match self.write_shares(context, (vec![op], checks), is_news).await {
                Err(store::Error::Rejected { .. }) => {}
                Err(store::Error::StaleCatalog { .. }) => return Err(Error::StaleCatalog),
                Err(store::Error::Denied { rows, .. }) => {
                    return Err(first_denied(access, catalog, object, &rows).into());
                }
                Err(error) => return Err(fault::of_engine(error).into()),
                Ok(()) => return Ok(()),
            }
        }
        Err(fault::of_engine(store::Error::Busy).into())
    }

    /// `Share` on every row that a change of a share goes on to.
    async fn share_checks(
        &self,
        context: &Context,
        access: &Access,
        object: &Object,
        (given, new): (i32, i32),
    ) -> Result<Vec<Check>, Error> {
        let catalog = &context.catalog;
        let ways = [(new & !given, Spreading::Share), (given & !new, Spreading::Unshare)];
        let mut checks = Vec::new();
        for (_, spreading) in ways.into_iter().filter(|(rights, _)| *rights != 0) {
            let along = catalog.spreading_to(object.table.id, spreading);
            let shares = self.shares(context, &along).await?;
            let limits = along.into_iter().filter_map(|table| {
                let filter = access.filter(table, Action::Share, 0, &shares)?;
                Some((Arc::clone(table), filter))
            });
            let cascades: Vec<(Arc<Table>, Filter)> = limits.collect();
            if cascades.is_empty() {
                continue;
            }
            let key = RowKey::Id(object.id);
            let row = CheckRow { row: 0, key, must_exist: false, unless: None };
            checks.push(Check {
                spreads: Spreads::By(spreading),
                cascades,
                ..guard::plain(&object.table, vec![row], Filter::And(Vec::new()))
            });
        }
        Ok(checks)
    }

    async fn write_shares(
        &self,
        context: &Context,
        (ops, checks): (Vec<WriteOp>, Vec<Check>),
        is_news: bool,
    ) -> Result<(), store::Error> {
        let catalog = Arc::clone(&context.catalog);
        let (now, user) = (context.now, context.caller.user);
        if !is_news {
            let writes = WriteSet { catalog, now, user, ops, checks };
            return self.store().apply(writes).await.map(drop);
        }
        let bound = context.catalog.version();
        let Ok(catalog) = self.whole_of(&context.catalog) else {
            return Err(store::Error::StaleCatalog { bound, actual: self.catalog().version() });
        };
        let change = SchemaChange { catalog, ops: Vec::new(), rows: ops, checks, now, user };
        let changed = self.store().change(change).await?;
        self.install(changed.catalog);
        Ok(())
    }

    /// The share of a row with a user or team.
    async fn share_of(
        &self,
        context: &Context,
        shares: &Arc<Table>,
        object: Uuid,
        principal: Uuid,
    ) -> Result<Option<Held>, Error> {
        let is = |column: &str, id: Uuid| {
            shares.index_of(column).map(|column| Filter::Compare {
                column: ColumnRef::root(column),
                compare: Compare::Equal,
                value: Value::Guid(id),
            })
        };
        let filter = is("objectid", object).into_iter().chain(is("principalid", principal));
        let columns = &["accessrightsmask", "inheritedaccessrightsmask", "versionnumber"];
        let filter = Some(Filter::And(filter.collect()));
        let query = load::bound(&context.catalog, shares, columns, filter);
        let rows = load::rows(self.store(), query).await.map_err(not_about_rows)?;
        let mask = |value: &Value| if let Value::Integer(mask) = value { *mask } else { 0 };
        Ok(rows.first().and_then(|row| match (&row[2], load::id_at(row, 3)) {
            (Value::BigInt(version), Some(id)) => {
                Some(Held { id, given: mask(&row[0]), inherited: mask(&row[1]), version: *version })
            }
            _ => None,
        }))
    }

    fn new_share(
        &self,
        context: &Context,
        shares: &Arc<Table>,
        object: &Object,
        principal: LookupValue,
        mask: i32,
    ) -> WriteOp {
        let id = self.new_ids(1, context.now).into_iter().next().unwrap_or_default();
        let kind = context.catalog.table_by_id(principal.table);
        let kind = kind.map_or("systemuser", |table| &*table.logical_name);
        let values = vec![
            ("principalid", Value::Guid(principal.id)),
            ("principaltypecode", Value::text(kind)),
            ("objectid", Value::Guid(object.id)),
            ("objecttypecode", Value::Text(object.table.logical_name.clone())),
            ("accessrightsmask", Value::Integer(mask)),
            ("inheritedaccessrightsmask", Value::Integer(0)),
        ];
        rows::insert(shares, self.organization(), context.now, vec![(id, values)])
    }

    /// The operation that ends the shares of rows which are deleted; none where there are none.
    pub(crate) async fn unshare(
        &self,
        context: &Context,
        ops: &[WriteOp],
    ) -> Result<Option<WriteOp>, Error> {
        let mut objects = Vec::new();
        for op in ops {
            let WriteOp::Delete(delete) = op else { continue };
            if delete.table.ownership == Ownership::User
                && self.has_shares(&context.catalog, &delete.table).await?
            {
                objects.extend(delete.rows.iter().filter_map(|row| match row.key {
                    RowKey::Id(id) => Some(id),
                    RowKey::Alternate(_) => None,
                }));
            }
        }
        if objects.is_empty() {
            return Ok(None);
        }
        let table = "principalobjectaccess";
        let rows = self.rows_by(context, table, &[], "objectid", &objects).await?;
        let ids = rows.iter().filter_map(|row| load::id_at(row, 0)).collect();
        Ok(change::deletes(context, table, ids))
    }

    async fn members(
        &self,
        context: &Context,
        access: &Access,
        team: Uuid,
        users: Vec<Uuid>,
        adds: bool,
    ) -> Result<(), Error> {
        let catalog = &context.catalog;
        let (Some(teams), Some(people)) = (catalog.table("team"), catalog.table("systemuser"))
        else {
            return Ok(());
        };
        self.must_exist(context, teams, &[team]).await?;
        self.reach(context, access, (teams, Action::Write), &[team]).await?;
        let is_default = self.rows_by(context, "team", &["isdefault"], "teamid", &[team]).await?;
        if is_default.iter().any(|row| row[0] == Value::Boolean(true)) {
            return Err(Fault::new(code::INVALID_OPERATION, "Invalid Operation performed.")
                .with_hint("the members of a default team are the users of its business unit")
                .into());
        }
        self.must_exist(context, people, &users).await?;
        let rows =
            self.rows_by(context, "teammembership", &["systemuserid"], "teamid", &[team]).await?;
        let there: BTreeMap<Uuid, Uuid> = rows
            .iter()
            .filter_map(|row| Some((load::id_at(row, 0)?, load::id_at(row, 1)?)))
            .collect();
        let wanted: BTreeSet<Uuid> = users.into_iter().collect();
        let ops: Vec<WriteOp> = if adds {
            let new: Vec<(Uuid, Uuid)> = wanted
                .iter()
                .filter(|user| !there.contains_key(user))
                .map(|user| (*user, team))
                .collect();
            let find = finder(context);
            let op = security::memberships(self.scene(context, &find), &new);
            if new.is_empty() { Vec::new() } else { vec![op] }
        } else {
            let gone = wanted.iter().filter_map(|user| there.get(user)).copied().collect();
            change::deletes(context, "teammembership", gone).into_iter().collect()
        };
        self.commit_rights(context, ops).await
    }

    async fn roles(
        &self,
        context: &Context,
        access: &Access,
        holder: LookupValue,
        roles: Vec<Uuid>,
        adds: bool,
    ) -> Result<(), Error> {
        let catalog = &context.catalog;
        let (Some(holders), Some(all)) = (catalog.table_by_id(holder.table), catalog.table("role"))
        else {
            return Ok(());
        };
        let (links, column) = match &*holders.logical_name {
            "systemuser" => ("systemuserroles", "systemuserid"),
            "team" => ("teamroles", "teamid"),
            _ => return Err(Fault::new(code::INVALID_ARGUMENT, "Invalid argument.").into()),
        };
        self.must_exist(context, holders, &[holder.id]).await?;
        self.must_exist(context, all, &roles).await?;
        self.reach(context, access, (holders, Action::Append), &[holder.id]).await?;
        self.reach(context, access, (all, Action::AppendTo), &roles).await?;
        let rows = self.rows_by(context, links, &["roleid"], column, &[holder.id]).await?;
        let pair = |row: &Vec<Value>| Some((load::id_at(row, 0)?, load::id_at(row, 1)?));
        let there: BTreeMap<Uuid, Uuid> = rows.iter().filter_map(pair).collect();
        let ops: Vec<WriteOp> = if adds {
            let new = roles.into_iter().filter(|role| !there.contains_key(role));
            let new: Vec<(Uuid, Uuid)> = new.map(|role| (holder.id, role)).collect();
            let find = finder(context);
            let scene = self.scene(context, &find);
            let op = || security::links(scene, links, [column, "roleid"], &new);
            if new.is_empty() { Vec::new() } else { vec![op()] }
        } else {
            let gone = roles.iter().filter_map(|role| there.get(role)).copied().collect();
            change::deletes(context, links, gone).into_iter().collect()
        };
        self.commit_rights(context, ops).await
    }

    fn scene<'a>(&self, context: &Context, tables: security::Tables<'a>) -> Scene<'a> {
        Scene { tables, organization: self.organization(), now: context.now }
    }

    /// Refuses unless the caller may change the role, and the role is one that holds its privileges.
    async fn may_change_role(
        &self,
        context: &Context,
        access: &Access,
        role: Uuid,
    ) -> Result<(), Error> {
        let catalog = &context.catalog;
        let Some(roles) = catalog.table("role") else { return Ok(()) };
        self.must_exist(context, roles, &[role]).await?;
        self.reach(context, access, (roles, Action::Write), &[role]).await?;
        let rows = self.rows_by(context, "role", &["parentrootroleid"], "roleid", &[role]).await?;
        let root = rows.first().and_then(|row| load::id_at(row, 0)).unwrap_or(role);
        let why = if root != role {
            format!("the role is a copy: change the role {root}, whose privileges it has")
        } else if role == security::role_id(self.organization(), security::ADMINISTRATOR) {
            "the role System Administrator always has all privileges".to_owned()
        } else {
            return Ok(());
        };
        Err(Fault::new(code::INVALID_OPERATION, "Invalid Operation performed.")
            .with_hint(why)
            .into())
    }

    /// What a role holds: rows of `roleprivileges` by privilege.
    async fn grants_of(
        &self,
        context: &Context,
        role: Uuid,
    ) -> Result<BTreeMap<Uuid, Uuid>, Error> {
        let table = "roleprivileges";
        let columns = &["privilegeid"];
        let rows = self.rows_by(context, table, columns, "roleid", &[role]).await?;
        let pair = |row: &Vec<Value>| Some((load::id_at(row, 0)?, load::id_at(row, 1)?));
        Ok(rows.iter().filter_map(pair).collect())
    }

    async fn privileges(
        &self,
        context: &Context,
        access: &Access,
        role: Uuid,
        wanted: Vec<(Uuid, Depth)>,
        replaces: bool,
    ) -> Result<(), Error> {
        self.may_change_role(context, access, role).await?;
        let wanted: BTreeMap<Uuid, Depth> = wanted.into_iter().collect();
        self.may_give(context, access, &wanted).await?;
        let held = self.grants_of(context, role).await?;
        let gone = held.iter().filter(|(privilege, _)| replaces || wanted.contains_key(privilege));
        let gone = gone.map(|(_, row)| *row).collect();
        let find = finder(context);
        let scene = self.scene(context, &find);
        let new = wanted
            .iter()
            .map(|(privilege, depth)| security::grant(scene, role, *privilege, *depth));
        let new: Vec<rows::Row<'_>> = new.collect();
        let mut ops: Vec<WriteOp> =
            change::deletes(context, "roleprivileges", gone).into_iter().collect();
        if !new.is_empty() {
            ops.push(rows::insert(
                &(scene.tables)("roleprivileges"),
                self.organization(),
                context.now,
                new,
            ));
        }
        self.commit_rights(context, ops).await
    }

    /// Refuses privileges that do not exist, have no such depth, or reach further than the caller's own.
    pub(crate) async fn may_give(
        &self,
        context: &Context,
        access: &Access,
        wanted: &BTreeMap<Uuid, Depth>,
    ) -> Result<(), Error> {
        let ids: Vec<Uuid> = wanted.keys().copied().collect();
        let columns = &["name", "canbebasic"];
        let rows = self.rows_by(context, "privilege", columns, "privilegeid", &ids).await?;
        let known: BTreeMap<Uuid, &Vec<Value>> =
            rows.iter().filter_map(|row| Some((load::id_at(row, 2)?, row))).collect();
        for (id, depth) in wanted {
            let Some(row) = known.get(id) else {
                let text = format!("privilege With Id = {id} Does Not Exist");
                return Err(Fault::new(code::OBJECT_DOES_NOT_EXIST, text).into());
            };
            let name = if let Value::Text(name) = &row[0] { &**name } else { "" };
            if *depth != Depth::Global && row[1] != Value::Boolean(true) {
                let text = format!("The privilege {name} can only be given at the depth Global.");
                return Err(Fault::new(code::INVALID_ARGUMENT, text).into());
            }
            let reaches = |rights: &Arc<rights::Rights>| {
                let held = rights.held(*id).and_then(|held| held.deepest);
                held.is_some_and(|(deepest, _)| deepest >= *depth)
            };
            if !access.each().all(reaches) {
                let denied = access.require(name).err();
                return Err(denied.unwrap_or_else(|| access.too_deep(name, *depth)).into());
            }
        }
        Ok(())
    }

    async fn commit_rights(&self, context: &Context, ops: Vec<WriteOp>) -> Result<(), Error> {
        if ops.is_empty() {
            return Ok(());
        }
        match self.commit(context, ops, Vec::new()).await? {
            Ok(_) => Ok(()),
            Err(store::Error::StaleCatalog { .. }) => Err(Error::StaleCatalog),
            Err(error) => Err(fault::of_engine(error).into()),
        }
    }

    /// The rights that a user or team has to a row: bits of [`Action::bit`].
    ///
    /// Errors: the caller may not read the row, or there is none.
    pub async fn principal_access(
        &self,
        context: &Context,
        principal: LookupValue,
        object: &Object,
    ) -> Result<i32, Error> {
        let access = self.access(&context.catalog, context.caller).await?;
        let Object { table, id } = object;
        access.require_on(table, Action::Read)?;
        self.must_exist(context, table, &[*id]).await?;
        self.reach(context, &access, (table, Action::Read), &[*id]).await?;
        let (users, teams) = match principal.table == seed::SYSTEM_USER {
            true => (vec![principal.id], Vec::new()),
            false => (Vec::new(), vec![principal.id]),
        };
        let found = self.rights_of(&context.catalog, &users, &teams).await?;
        let Some(rights) = found.get(&principal.id) else {
            let kind = context.catalog.table_by_id(principal.table);
            let kind =
                kind.ok_or_else(|| Fault::new(code::INVALID_ARGUMENT, "Invalid argument."))?;
            return Err(fault::no_record(kind, principal.id).into());
        };
        let theirs = Access { own: rights.clone(), real: None };
        let mut mask = 0;
        for action in ACTIONS {
            let has = privilege::name(table, action).is_some()
                && !theirs.reaches_nothing(table, action)
                && self.out_of_reach(context, &theirs, (table, action), &[*id]).await?.is_empty();
            if has {
                mask |= action.bit();
            }
        }
        Ok(mask)
    }

    /// Every privilege that a user holds, by name.
    ///
    /// Errors: the caller may not read the user, or there is none.
    pub async fn user_privileges(
        &self,
        context: &Context,
        user: Uuid,
    ) -> Result<Vec<HeldPrivilege>, Error> {
        let access = self.access(&context.catalog, context.caller).await?;
        if let Some(users) = context.catalog.table("systemuser") {
            self.must_exist(context, users, &[user]).await?;
            self.reach(context, &access, (users, Action::Read), &[user]).await?;
        }
        let found = self.rights_of(&context.catalog, &[user], &[]).await?;
        let Some(rights) = found.get(&user) else { return Ok(Vec::new()) };
        let held: BTreeMap<Uuid, (Depth, Uuid)> =
            rights.all_held().filter_map(|(id, held)| Some((id, held.deepest?))).collect();
        let ids: Vec<Uuid> = held.keys().copied().collect();
        let table = "privilege";
        let rows = self.rows_by(context, table, &["name"], "privilegeid", &ids).await?;
        let mut all: Vec<HeldPrivilege> = rows
            .iter()
            .filter_map(|row| {
                let id = load::id_at(row, 1)?;
                let (depth, unit) = *held.get(&id)?;
                let Value::Text(name) = &row[0] else { return None };
                Some(HeldPrivilege { id, name: name.clone(), depth, unit })
            })
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }
}

/// A share that is there.
struct Held {
    id: Uuid,
    given: i32,
    inherited: i32,
    version: i64,
}

/// The fault of the first row that a share goes on to and that the caller may not share.
fn first_denied(
    access: &Access,
    catalog: &Catalog,
    object: &Object,
    rows: &[store::Denial],
) -> Fault {
    let Some(first) = rows.first() else { return fault::of_engine(store::Error::Busy) };
    guard::denied(access, catalog, (About::Reach(Action::Share), &object.table), first)
}

/// Finds tables of the seed in a context.
fn finder(context: &Context) -> impl Fn(&str) -> Arc<Table> + '_ {
    |name| {
        let table = context.catalog.table(name);
        table.cloned().unwrap_or_else(|| unreachable!("the seed has a table `{name}`"))
    }
}
