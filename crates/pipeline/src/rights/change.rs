//! What goes with writes of users, teams, business units and roles.
//!
//! A new unit gets a default team and copies of its parent's roles; a new user becomes a member of its
//! unit's default team, and moves with its unit; a new role is copied into the units below its own.
//! Source: webapi.md 23.1, 23.4. Not here: who may write them (`guard`).
//! Invariant: the rows that are read here cannot change before the write: all writes of such rows move
//! the version of the definitions on, and the write holds only for the version it was planned on.

use super::load::{self, id_at};
use crate::privilege::Depth;
use crate::run::{Context, Error, Pipeline, not_about_rows};
use crate::seed::security::{self, Role, Scene};
use crate::seed::user_settings;
use model::{Cell, Fault, LookupValue, Table, Uuid, Value, code};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::RowKey;
use store::writes::{Delete, DeleteRow, WriteOp};

/// Tables whose new rows bring others along.
const TABLES: [&str; 4] = ["businessunit", "systemuser", "team", "role"];

/// A row that a write makes.
struct New {
    table: &'static str,
    id: Uuid,
    name: Box<str>,
    /// The business unit; of a unit its parent.
    unit: Uuid,
}

/// A row that a write changes, and the business unit (of a unit: the parent) that it gets.
struct Moved {
    table: &'static str,
    id: Uuid,
    unit: Option<Uuid>,
}

impl Pipeline {
    /// Completes new rows and answers the operations that go with the given ones.
    pub(crate) async fn rights_go_along(
        &self,
        context: &Context,
        ops: &mut [WriteOp],
    ) -> Result<Vec<WriteOp>, Error> {
        let mut new = Vec::new();
        let mut moved = Vec::new();
        for op in ops.iter_mut() {
            let Some(name) = named(op.table()) else { continue };
            let present = self.present_of(context, name, op).await?;
            self.take_rows(context, name, op, &present, (&mut new, &mut moved))?;
        }
        self.check_role_links(context, ops).await?;
        let find = |name: &str| {
            let table = context.catalog.table(name);
            table.cloned().unwrap_or_else(|| unreachable!("the seed has a table `{name}`"))
        };
        let scene = Scene { tables: &find, organization: self.organization(), now: context.now };
        let mut more = Vec::new();
        self.of_new(context, scene, &new, &mut more).await?;
        self.of_moved(context, scene, &moved, &mut more).await?;
        Ok(more)
    }

    /// A user or team holds roles of its own business unit only, and nobody gives a role that reaches
    /// further than its own.
    async fn check_role_links(&self, context: &Context, ops: &[WriteOp]) -> Result<(), Error> {
        for (table, holder) in [("systemuserroles", "systemuser"), ("teamroles", "team")] {
            let key = format!("{holder}id");
            let pairs: Vec<(Uuid, Uuid)> = ops
                .iter()
                .filter(|op| *op.table().logical_name == *table)
                .flat_map(|op| links_of(op, &key))
                .collect();
            if pairs.is_empty() {
                continue;
            }
            let (holders, roles): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
            let units = self.units_of(context, holder, &holders).await?;
            let units_of_roles = self.units_of(context, "role", &roles).await?;
            let apart = pairs.iter().find(|(holder, role)| {
                let (one, other) = (units.get(holder), units_of_roles.get(role));
                one.is_some() && other.is_some() && one != other
            });
            if let Some((id, role)) = apart {
                let text = format!(
                    "The role {role} belongs to another business unit than the {holder} {id}."
                );
                return Err(Fault::new(code::INVALID_ARGUMENT, text)
                    .with_hint("give the copy of the role that is in its business unit")
                    .into());
            }
            self.may_give_roles(context, &roles).await?;
        }
        Ok(())
    }

    async fn may_give_roles(&self, context: &Context, roles: &[Uuid]) -> Result<(), Error> {
        let catalog = &context.catalog;
        let columns = &["parentrootroleid"];
        let rows = load::some(self.store(), catalog, "role", columns, "roleid", roles).await;
        let rows = rows.map_err(not_about_rows)?;
        let roots = rows.iter().filter_map(|row| id_at(row, 0).or(id_at(row, 1)));
        let roots: Vec<Uuid> = roots.collect();
        let columns = &["privilegeid", "privilegedepthmask"];
        let grants =
            load::some(self.store(), catalog, "roleprivileges", columns, "roleid", &roots).await;
        let mut wanted: BTreeMap<Uuid, Depth> = BTreeMap::new();
        for row in grants.map_err(not_about_rows)? {
            let (Some(privilege), Value::Integer(mask)) = (id_at(&row, 0), &row[1]) else {
                continue;
            };
            if let Some(depth) = Depth::of_mask(*mask) {
                let deepest = wanted.entry(privilege).or_insert(depth);
                *deepest = depth.max(*deepest);
            }
        }
        let access = self.access(catalog, context.caller).await?;
        self.may_give(context, &access, &wanted).await
    }

    /// Which of the rows of an upsert are there.
    async fn present_of(
        &self,
        context: &Context,
        table: &str,
        op: &WriteOp,
    ) -> Result<BTreeSet<Uuid>, Error> {
        let WriteOp::Upsert(op) = op else { return Ok(BTreeSet::new()) };
        let ids: Vec<Uuid> = op
            .rows
            .iter()
            .filter_map(|row| match row.key {
                Some(RowKey::Id(id)) => Some(id),
                _ => None,
            })
            .collect();
        let key = op.table.primary_key_name();
        let rows = load::some(self.store(), &context.catalog, table, &[key], key, &ids).await;
        let rows = rows.map_err(not_about_rows)?;
        Ok(rows.iter().filter_map(|row| id_at(row, 0)).collect())
    }

    /// Sorts the rows of an operation into new and moved ones, and gives new ones what they lack.
    fn take_rows(
        &self,
        context: &Context,
        name: &'static str,
        op: &mut WriteOp,
        present: &BTreeSet<Uuid>,
        (new, moved): (&mut Vec<New>, &mut Vec<Moved>),
    ) -> Result<(), Error> {
        let columns = Columns::of(op.table(), name);
        let link = |table: &str, id: Uuid| {
            let table = context.catalog.table(table).map(|table| table.id);
            table.map(|table| Value::Lookup(LookupValue { table, id }))
        };
        let root = self.organization().business_unit;
        let default = if name == "businessunit" { root } else { context.caller.business_unit };
        let mut complete = |id: Uuid, cells: &mut Vec<Cell>| {
            let unit = value(cells, columns.unit).and_then(|value| value.as_id());
            if unit.is_none()
                && let (Some(column), Some(value)) = (columns.unit, link("businessunit", default))
            {
                cells.retain(|cell| cell.column != column);
                cells.push(Cell { column, value });
            }
            if let (Some(column), Some(value)) = (columns.root_role, link("role", id)) {
                cells.retain(|cell| cell.column != column);
                cells.push(Cell { column, value });
            }
            let text = match value(cells, columns.name) {
                Some(Value::Text(text)) => text.clone(),
                _ => Box::from(""),
            };
            new.push(New { table: name, id, name: text, unit: unit.unwrap_or(default) });
        };
        let mut moves = |id: Uuid, cells: &[Cell]| {
            if let Some(to) = value(cells, columns.unit) {
                moved.push(Moved { table: name, id, unit: to.as_id() });
            }
        };
        match op {
            WriteOp::Insert(op) => {
                for row in &mut op.rows {
                    refuse_binds(!row.binds.is_empty(), name)?;
                    complete(row.id, &mut row.cells);
                }
            }
            WriteOp::Update(op) => {
                for row in &op.rows {
                    refuse_binds(!row.binds.is_empty(), name)?;
                    let RowKey::Id(id) = row.key else { return Err(by_id(name).into()) };
                    moves(id, &row.cells);
                }
            }
            WriteOp::Upsert(op) => {
                for row in &mut op.rows {
                    refuse_binds(!row.binds.is_empty(), name)?;
                    match row.key {
                        Some(RowKey::Alternate(_)) => return Err(by_id(name).into()),
                        Some(RowKey::Id(id)) if present.contains(&id) => moves(id, &row.cells),
                        Some(RowKey::Id(_)) | None => {
                            let mut cells = row.cells.clone();
                            cells.append(&mut row.insert_cells);
                            complete(row.new_id, &mut cells);
                            row.insert_cells = cells
                                .into_iter()
                                .filter(|cell| row.cells.iter().all(|own| own != cell))
                                .collect();
                        }
                    }
                }
            }
            WriteOp::Delete(_) | WriteOp::Fill(_) => {}
        }
        Ok(())
    }

    async fn of_new(
        &self,
        context: &Context,
        scene: Scene<'_>,
        new: &[New],
        more: &mut Vec<WriteOp>,
    ) -> Result<(), Error> {
        let of = |table: &'static str| new.iter().filter(move |row| row.table == table);
        let units: Vec<(Uuid, Box<str>)> =
            of("businessunit").map(|row| (row.id, row.name.clone())).collect();
        let members: Vec<(Uuid, Uuid)> =
            of("systemuser").map(|row| (row.id, self.default_team(row.unit))).collect();
        let mut copies: Vec<(Role, Uuid)> = Vec::new();
        let made: Vec<Role> = of("role")
            .map(|row| Role { id: row.id, name: row.name.clone(), root: row.id, unit: row.unit })
            .collect();
        let tree = self.units(&context.catalog).await?;
        for role in &made {
            for unit in tree.with_below(role.unit).into_iter().filter(|unit| *unit != role.unit) {
                copies.push((role.copied_to(unit), role.id));
            }
        }
        if !units.is_empty() {
            more.push(security::default_teams(scene, &units));
            let parents: BTreeSet<Uuid> = of("businessunit").map(|row| row.unit).collect();
            let mut roles = self.roles_of_units(context, parents.into_iter().collect()).await?;
            for role in made.iter().chain(copies.iter().map(|(copy, _)| copy)) {
                roles.entry(role.unit).or_default().push(role.clone());
            }
            // Parents first: what they get, those below them get, too.
            let mut open: Vec<&New> = of("businessunit").collect();
            while let Some(place) =
                open.iter().position(|row| !open.iter().any(|other| other.id == row.unit))
            {
                let row = open.remove(place);
                for role in roles.get(&row.unit).cloned().unwrap_or_default() {
                    let copy = role.copied_to(row.id);
                    roles.entry(row.id).or_default().push(copy.clone());
                    copies.push((copy, role.id));
                }
            }
            if !open.is_empty() {
                return Err(would_loop().into());
            }
        }
        if !members.is_empty() {
            let users: Vec<Uuid> = members.iter().map(|(user, _)| *user).collect();
            let settings = (scene.tables)(user_settings::TABLE);
            more.push(user_settings::rows(&settings, scene.organization, scene.now, &users));
            more.push(security::memberships(scene, &members));
        }
        if !copies.is_empty() {
            more.push(security::role_copies(scene, &copies));
        }
        Ok(())
    }

    async fn of_moved(
        &self,
        context: &Context,
        scene: Scene<'_>,
        moved: &[Moved],
        more: &mut Vec<WriteOp>,
    ) -> Result<(), Error> {
        let tree = self.units(&context.catalog).await?;
        for row in moved.iter().filter(|row| row.table == "businessunit") {
            match row.unit {
                // Every other unit is below the root, so that it can have no parent.
                Some(parent) if tree.with_below(row.id).contains(&parent) => {
                    return Err(would_loop().into());
                }
                None if row.id != self.organization().business_unit => {
                    return Err(Fault::new(
                        code::INVALID_ARGUMENT,
                        "A business unit other than the root needs a parent business unit.",
                    )
                    .into());
                }
                _ => {}
            }
        }
        for table in ["team", "role"] {
            let ids: Vec<Uuid> =
                moved.iter().filter(|row| row.table == table).map(|row| row.id).collect();
            let now = self.units_of(context, table, &ids).await?;
            let stays = |row: &&Moved| now.get(&row.id).is_none_or(|unit| Some(*unit) == row.unit);
            if !moved.iter().filter(|row| row.table == table).all(|row| stays(&row)) {
                return Err(Fault::new(code::NOT_SUPPORTED, "This action is not supported.")
                    .with_hint(format!("a {table} stays in its business unit"))
                    .into());
            }
        }
        let users: Vec<&Moved> = moved.iter().filter(|row| row.table == "systemuser").collect();
        self.of_moved_users(context, scene, &users, more).await
    }

    /// Users leave the default team and the roles of the unit that they leave.
    async fn of_moved_users(
        &self,
        context: &Context,
        scene: Scene<'_>,
        moved: &[&Moved],
        more: &mut Vec<WriteOp>,
    ) -> Result<(), Error> {
        let ids: Vec<Uuid> = moved.iter().map(|row| row.id).collect();
        let now = self.units_of(context, "systemuser", &ids).await?;
        let mut leaving = Vec::new();
        let mut joining = Vec::new();
        for row in moved {
            let Some(from) = now.get(&row.id) else { continue };
            let Some(to) = row.unit else {
                return Err(
                    Fault::new(code::INVALID_ARGUMENT, "A user needs a business unit.").into()
                );
            };
            if *from != to {
                leaving.push((row.id, self.default_team(*from)));
                joining.push((row.id, self.default_team(to)));
            }
        }
        if leaving.is_empty() {
            return Ok(());
        }
        let users: Vec<Uuid> = leaving.iter().map(|(user, _)| *user).collect();
        let catalog = &context.catalog;
        let members = &["systemuserid", "teamid"];
        let rows =
            load::some(self.store(), catalog, "teammembership", members, "systemuserid", &users);
        let rows = rows.await.map_err(not_about_rows)?;
        let gone = rows.iter().filter_map(|row| {
            let pair = (id_at(row, 0)?, id_at(row, 1)?);
            leaving.contains(&pair).then(|| id_at(row, 2)).flatten()
        });
        more.extend(deletes(context, "teammembership", gone.collect()));
        let held = load::some(
            self.store(),
            catalog,
            "systemuserroles",
            &["roleid"],
            "systemuserid",
            &users,
        );
        let held = held.await.map_err(not_about_rows)?;
        let gone = held.iter().filter_map(|row| id_at(row, 1)).collect();
        more.extend(deletes(context, "systemuserroles", gone));
        more.push(security::memberships(scene, &joining));
        Ok(())
    }

    /// The roles of business units.
    async fn roles_of_units(
        &self,
        context: &Context,
        units: Vec<Uuid>,
    ) -> Result<BTreeMap<Uuid, Vec<Role>>, Error> {
        let columns = &["roleid", "name", "parentrootroleid", "businessunitid"];
        let rows =
            load::some(self.store(), &context.catalog, "role", columns, "businessunitid", &units);
        let mut found: BTreeMap<Uuid, Vec<Role>> = BTreeMap::new();
        for row in rows.await.map_err(not_about_rows)? {
            let (Some(id), Some(unit)) = (id_at(&row, 0), id_at(&row, 3)) else { continue };
            let name = match &row[1] {
                Value::Text(text) => text.clone(),
                _ => Box::from(""),
            };
            let root = id_at(&row, 2).unwrap_or(id);
            found.entry(unit).or_default().push(Role { id, name, root, unit });
        }
        Ok(found)
    }

    async fn units_of(
        &self,
        context: &Context,
        table: &str,
        ids: &[Uuid],
    ) -> Result<BTreeMap<Uuid, Uuid>, Error> {
        let key = format!("{table}id");
        let columns = &[key.as_str(), "businessunitid"];
        let rows = load::some(self.store(), &context.catalog, table, columns, &key, ids).await;
        let rows = rows.map_err(not_about_rows)?;
        Ok(rows.iter().filter_map(|row| Some((id_at(row, 0)?, id_at(row, 1)?))).collect())
    }
}

/// The pairs of new rows that link something to a role.
fn links_of(op: &WriteOp, key: &str) -> Vec<(Uuid, Uuid)> {
    let WriteOp::Insert(insert) = op else { return Vec::new() };
    let (key, role) = (insert.table.index_of(key), insert.table.index_of("roleid"));
    let id = |cells: &[Cell], column| value(cells, column).and_then(Value::as_id);
    let pair = |row: &store::writes::InsertRow| Some((id(&row.cells, key)?, id(&row.cells, role)?));
    insert.rows.iter().filter_map(pair).collect()
}

/// The columns that matter, by place.
struct Columns {
    name: Option<model::ColumnIndex>,
    unit: Option<model::ColumnIndex>,
    root_role: Option<model::ColumnIndex>,
}

impl Columns {
    fn of(table: &Table, name: &str) -> Self {
        let unit = if name == "businessunit" { "parentbusinessunitid" } else { "businessunitid" };
        Self {
            name: table.index_of("name"),
            unit: table.index_of(unit),
            root_role: table.index_of("parentrootroleid"),
        }
    }
}

fn value(cells: &[Cell], column: Option<model::ColumnIndex>) -> Option<&Value> {
    cells.iter().rev().find(|cell| Some(cell.column) == column).map(|cell| &cell.value)
}

fn named(table: &Table) -> Option<&'static str> {
    TABLES.into_iter().find(|name| *table.logical_name == **name)
}

/// Deletes of rows by id; none for no rows.
pub(crate) fn deletes(context: &Context, table: &str, ids: Vec<Uuid>) -> Option<WriteOp> {
    let table = context.catalog.table(table)?;
    let rows = ids.into_iter().map(|id| DeleteRow { key: RowKey::Id(id), expected_version: None });
    let rows: Vec<DeleteRow> = rows.collect();
    (!rows.is_empty()).then(|| WriteOp::Delete(Delete { table: Arc::clone(table), rows }))
}

fn by_id(table: &str) -> Fault {
    Fault::new(code::NOT_SUPPORTED, "This action is not supported.")
        .with_hint(format!("name a {table} by its id"))
}

fn refuse_binds(has: bool, table: &str) -> Result<(), Fault> {
    if has { Err(by_id(table).with_hint("name the business unit by its id")) } else { Ok(()) }
}

fn would_loop() -> Fault {
    Fault::new(
        code::ENTITY_LOOP_BEING_CREATED,
        "Creating this parental association would create a loop in this entity hierarchy.",
    )
}
