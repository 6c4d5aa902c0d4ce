//! What users may do: their privileges with depth, as conditions on rows.
//!
//! In reading order: this file (rights and conditions, pure), `load` (from rows, set by set), `guard`
//! (what a write must hold), `read` (what a query may see), `change` (what goes with a new user, team,
//! unit or role).
//! Source: webapi.md 23. Not here: the privileges themselves (`privilege`), shares (`share`).
//! Invariants: rights belong to one version of the definitions, which every change of a role, team, user
//! or business unit moves on; a privilege at Global asks for no condition and no statement.

pub(crate) mod change;
pub(crate) mod guard;
mod impersonate;
pub(crate) mod load;
mod read;

use crate::fault;
use crate::privilege::{self, Action, Depth};
use model::{Caller, Catalog, ColumnIndex, Fault, Ownership, Table, TableDefinition, Uuid, Value};
use query::{ColumnRef, Compare, Exists, Filter};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use impersonate::{Impersonated, Need};
pub(crate) use load::{Cache, present};
pub(crate) use read::Unreadable;

/// One user's, or one team's, rights at one version of the definitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    /// The user, or the team.
    pub(crate) principal: Uuid,
    pub(crate) unit: Uuid,
    pub(crate) is_disabled: bool,
    pub(crate) access_mode: i32,
    pub(crate) object_id: Uuid,
    pub(crate) roles: usize,
    /// The user and its teams: whose rows and shares are its own.
    pub(crate) principals: Arc<[Uuid]>,
    held: HashMap<Uuid, Held>,
}

/// How far one privilege reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// All rows.
    is_global: bool,
    /// Rows of these business units.
    units: BTreeSet<Uuid>,
    /// Rows of these owners.
    owners: BTreeSet<Uuid>,
    /// The deepest depth, and the business unit that it counts from.
    pub(crate) deepest: Option<(Depth, Uuid)>,
}

/// Which rows of a table an action reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// None.
    Nothing,
    /// Those that this says, and what is shared.
    Some(&'a Held),
    /// All.
    All,
}

impl Held {
    fn add(&mut self, depth: Depth, unit: Uuid, units_below: &[Uuid], owners: &[Uuid]) {
        match depth {
            Depth::Global => self.is_global = true,
            Depth::Deep => self.units.extend(units_below),
            Depth::Local => {
                self.units.insert(unit);
            }
            Depth::Basic => {}
        }
        if depth != Depth::Global {
            self.owners.extend(owners);
        }
        if self.deepest.is_none_or(|(deepest, _)| deepest < depth) {
            self.deepest = Some((depth, unit));
        }
    }

    /// Whether a row with this owner and business unit is reached, shares aside.
    pub(crate) fn covers(&self, owner: Option<Uuid>, unit: Option<Uuid>) -> bool {
        self.is_global
            || owner.is_some_and(|owner| self.owners.contains(&owner))
            || unit.is_some_and(|unit| self.units.contains(&unit))
    }
}

impl Rights {
    /// How far a privilege reaches; none when it is not held.
    pub(crate) fn held(&self, privilege: Uuid) -> Option<&Held> {
        self.held.get(&privilege)
    }

    /// Every privilege that is held, in no order.
    pub(crate) fn all_held(&self) -> impl Iterator<Item = (Uuid, &Held)> {
        self.held.iter().map(|(id, held)| (*id, held))
    }

    /// Which rows of a table an action reaches.
    pub(crate) fn scope(&self, table: &TableDefinition, action: Action) -> Scope<'_> {
        // Rows of intersect tables have no privilege of their own.
        let Some(name) = privilege::name(table, action) else {
            return if table.is_intersect { Scope::All } else { Scope::Nothing };
        };
        match self.held(privilege::id(&name)) {
            None => Scope::Nothing,
            Some(held) if held.is_global || !has_depths(table) => Scope::All,
            Some(held) => Scope::Some(held),
        }
    }

    fn count(&self) -> usize {
        self.held.len()
    }
}

/// Rows of other tables are reached all or not at all.
fn has_depths(table: &TableDefinition) -> bool {
    matches!(table.ownership, Ownership::User | Ownership::Business)
}

/// The columns that say whose a row is: owner and business unit.
pub(crate) fn owner_columns(table: &Table) -> (Option<ColumnIndex>, Option<ColumnIndex>) {
    match table.ownership {
        Ownership::User => (table.index_of("ownerid"), table.index_of("owningbusinessunit")),
        Ownership::Business => (table.index_of("ownerid"), table.index_of("businessunitid")),
        Ownership::Organization | Ownership::None => (None, None),
    }
}

/// What the caller of a message may do: its own rights, cut down to those of who acts for it.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Those of the user that the message runs for.
    pub(crate) own: Arc<Rights>,
    /// Those of the real caller, where `own` is impersonated.
    pub(crate) real: Option<Arc<Rights>>,
}

/// How far an action reaches in a table, worked out once for many rows.
pub(crate) struct Reach<'a>(Vec<Scope<'a>>);

impl Reach<'_> {
    /// Whether it reaches a row that is being made, by its owner and business unit.
    pub(crate) fn covers(&self, owner: Option<Uuid>, unit: Option<Uuid>) -> bool {
        self.0.iter().all(|scope| match scope {
            Scope::Nothing => false,
            Scope::Some(held) => held.covers(owner, unit),
            Scope::All => true,
        })
    }
}

/// What making rows of a table asks for, worked out once for many rows.
pub(crate) struct Making<'a> {
    create: Reach<'a>,
    append: Reach<'a>,
}

impl Making<'_> {
    /// The action that does not reach a row that is being made; `links`: whether it points to others.
    pub(crate) fn out_of_reach(
        &self,
        links: bool,
        owner: Option<Uuid>,
        unit: Option<Uuid>,
    ) -> Option<Action> {
        if !self.create.covers(owner, unit) {
            return Some(Action::Create);
        }
        (links && !self.append.covers(owner, unit)).then_some(Action::Append)
    }
}

impl Access {
    /// Both, the caller's own first.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Arc<Rights>> {
        std::iter::once(&self.own).chain(&self.real)
    }

    /// Refuses when a privilege that is not about a table is missing.
    pub(crate) fn require(&self, name: &str) -> Result<(), Fault> {
        let id = privilege::id(name);
        match self.each().find(|rights| rights.held(id).is_none()) {
            Some(rights) => Err(self.denied(rights, name, None)),
            None => Ok(()),
        }
    }

    /// Refuses when an action on a table reaches no row at all.
    pub(crate) fn require_on(&self, table: &Table, action: Action) -> Result<(), Fault> {
        let is_nothing =
            |rights: &&Arc<Rights>| matches!(rights.scope(table, action), Scope::Nothing);
        match self.each().find(is_nothing) {
            Some(rights) => {
                let name = privilege::name(table, action)
                    .unwrap_or_else(|| format!("prv{}{}", action.name(), table.schema_name));
                Err(self.denied(rights, &name, Some(table)))
            }
            None => Ok(()),
        }
    }

    /// Refuses when an action does not reach all rows of a table.
    pub(crate) fn require_all(&self, table: &Table, action: Action) -> Result<(), Fault> {
        self.require_on(table, action)?;
        if self.reaches_all(table, action) {
            return Ok(());
        }
        let name = privilege::name(table, action).unwrap_or_default();
        Err(self.too_deep(&name, Depth::Global))
    }

    /// Whether an action reaches all rows of a table.
    pub(crate) fn reaches_all(&self, table: &TableDefinition, action: Action) -> bool {
        self.each().all(|rights| matches!(rights.scope(table, action), Scope::All))
    }

    /// Whether an action reaches no row of a table.
    pub(crate) fn reaches_nothing(&self, table: &TableDefinition, action: Action) -> bool {
        self.each().any(|rights| matches!(rights.scope(table, action), Scope::Nothing))
    }

    /// How far an action reaches in a table.
    pub(crate) fn reach(&self, table: &TableDefinition, action: Action) -> Reach<'_> {
        Reach(self.each().map(|rights| rights.scope(table, action)).collect())
    }

    /// What making rows of a table asks for.
    pub(crate) fn making(&self, table: &TableDefinition) -> Making<'_> {
        Making {
            create: self.reach(table, Action::Create),
            append: self.reach(table, Action::Append),
        }
    }

    /// The condition that rows of a table must meet; none when all of them do.
    ///
    /// `source`: where the table stands in the query. `shares`: see [`Shares`].
    pub(crate) fn filter(
        &self,
        table: &Table,
        action: Action,
        source: u16,
        shares: &Shares<'_>,
    ) -> Option<Filter> {
        let mut all = Vec::new();
        for rights in self.each() {
            match rights.scope(table, action) {
                Scope::All => {}
                Scope::Nothing => return Some(Filter::Or(Vec::new())),
                Scope::Some(held) => {
                    let mut any = held_filters(table, held, source);
                    any.extend(shares.filter(table, action, source, rights));
                    all.push(Filter::Or(any));
                }
            }
        }
        match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Filter::And(all)),
        }
    }

    /// 403: a privilege is missing.
    fn denied(&self, rights: &Rights, name: &str, table: Option<&Table>) -> Fault {
        fault::privilege_denied(rights, rights.count(), name, privilege::id(name), table)
    }

    /// 403: a privilege is held, but not that deep.
    pub(crate) fn too_deep(&self, name: &str, depth: Depth) -> Fault {
        self.denied(&self.own, name, None)
            .with_hint(format!("you do not have it at the depth {} yourself", depth.name()))
    }

    /// 403: the row is out of reach.
    pub(crate) fn out_of_reach(&self, table: &Table, action: Action, id: Uuid) -> Fault {
        fault::access_denied(self.own.principal, table, action, id)
    }
}

fn held_filters(table: &Table, held: &Held, source: u16) -> Vec<Filter> {
    let (owner, unit) = owner_columns(table);
    let is_one_of = |column: Option<ColumnIndex>, ids: &BTreeSet<Uuid>| {
        let column = ColumnRef { source, column: column? };
        let values = ids.iter().copied().map(Value::Guid).collect();
        (!ids.is_empty()).then_some(Filter::In { column, values, negated: false })
    };
    let owned = is_one_of(owner, &held.owners);
    let within = is_one_of(unit, &held.units);
    owned.into_iter().chain(within).collect()
}

/// The rows that say what is shared, as far as they matter.
pub(crate) enum Shares<'a> {
    /// Nothing is shared, or nobody needs to know.
    None,
    /// These tables have shared rows, which are found by a condition on this table.
    Rows {
        /// `principalobjectaccess`.
        table: &'a Arc<Table>,
        /// Tables with shares.
        of: BTreeSet<model::TableId>,
    },
    /// The ids of what is shared of the one table in question, by right and by the user or team that it
    /// is shared with, where no condition can reach them.
    Ids(BTreeMap<(Action, Uuid), Vec<Uuid>>),
}

impl Shares<'_> {
    fn filter(
        &self,
        table: &Table,
        action: Action,
        source: u16,
        rights: &Rights,
    ) -> Option<Filter> {
        let key = ColumnRef { source, column: table.primary_key };
        match self {
            Self::None => None,
            Self::Ids(ids) => {
                let ids = ids.get(&(action, rights.principal)).filter(|ids| !ids.is_empty())?;
                let values = ids.iter().copied().map(Value::Guid).collect();
                Some(Filter::In { column: key, values, negated: false })
            }
            Self::Rows { of, .. } if !of.contains(&table.id) => None,
            Self::Rows { table: shares, .. } => {
                let object = shares.index_of("objectid")?;
                let filter = share_filter(shares, table, action, &rights.principals)?;
                Some(Exists::new(shares, object, key).with(filter).into())
            }
        }
    }
}

/// The condition on rows of `principalobjectaccess` that give these principals a right to rows of a table.
pub(crate) fn share_filter(
    shares: &Table,
    table: &Table,
    action: Action,
    principals: &[Uuid],
) -> Option<Filter> {
    let column = |name: &str| shares.index_of(name).map(ColumnRef::root);
    let guids = principals.iter().copied().map(Value::Guid).collect();
    let masks: Vec<Value> = privilege::masks_with(action).into_iter().map(Value::Integer).collect();
    let holds = |column| Filter::In { column, values: masks.clone(), negated: false };
    Some(Filter::And(vec![
        Filter::In { column: column("principalid")?, values: guids, negated: false },
        Filter::Compare {
            column: column("objecttypecode")?,
            compare: Compare::Equal,
            value: Value::Text(table.logical_name.clone()),
        },
        Filter::Or(vec![
            holds(column("accessrightsmask")?),
            holds(column("inheritedaccessrightsmask")?),
        ]),
    ]))
}

/// The tables whose rows an intersect table links, by its columns.
pub(crate) fn ends<'a>(catalog: &'a Catalog, table: &Table) -> Vec<(ColumnIndex, &'a Arc<Table>)> {
    let Some(many) = catalog.many_to_many_in(&table.logical_name) else { return Vec::new() };
    let end = |end: &model::ManyToManyEnd| {
        Some((table.index_of(&end.column)?, catalog.table(&end.table)?))
    };
    many.ends.iter().filter_map(end).collect()
}

/// Whether rows of a table say who may do what: writing them moves the version of the definitions on.
pub(crate) fn is_about_rights(table: &TableDefinition) -> bool {
    matches!(
        &*table.logical_name,
        "systemuser"
            | "team"
            | "businessunit"
            | "role"
            | "roleprivileges"
            | "systemuserroles"
            | "teamroles"
            | "teammembership"
    )
}

/// The caller in its own business unit.
pub(crate) fn settled(caller: Caller, rights: &Rights) -> Caller {
    Caller { business_unit: rights.unit, ..caller }
}
