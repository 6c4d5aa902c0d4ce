//! A random organisation, and a naive model of who may do what in it.
//!
//! The model knows rows, owners and shares, and asks of every role anew what it allows. Status and code
//! must agree with it exactly, and no value of a hidden row may be in an answer.

use super::house::{self, House, NOW};
use model::{
    Caller, Cascade, CascadeAction, DeleteAction, ErrorCode, Fault, LookupValue, MessageName,
    NewColumn, NewRelationship, NewTable, TableKind, Target, TargetKey, Uuid, Value, code,
};
use pipeline::privilege::{self, ACTIONS, Action, Depth};
use pipeline::{
    Condition, Context, Definition, Error, Message, Object, Read, Reply, RightsChange, Share, Write,
};
use query::shape::{Aggregate, Groups, PerParent, Rows};
use query::{
    BoundQuery, ColumnRef, Compare, Exists, Filter, Hierarchy, Join, JoinKind, Line, Order, Paging,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A small generator: the world follows from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).expect("small") % sides
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

const TABLES: [&str; 4] = ["account", "ship_crate", "ship_leg", "ship_ping"];

/// The place of the elastic one.
const PING: usize = 3;

/// By table: the lookup of its rows to rows of a table. A crate's legs go with it in every way.
const LINKS: [Option<(&str, usize)>; 4] =
    [Some(("parentaccountid", 0)), Some(("ship_holder", 0)), Some(("ship_crate", 1)), None];

/// By table: the table whose rows go along with its own.
const ALONG: [Option<usize>; 4] = [None, Some(2), None, None];

/// What a role grants, by table and action.
type Grants = BTreeMap<(usize, Action), Depth>;

#[derive(Clone, Debug)]
struct Row {
    table: usize,
    owner: Uuid,
    unit: Uuid,
    /// The row above: an account's parent, a crate's holder, a leg's crate.
    above: Option<Uuid>,
}

/// Who is there and what is there, told twice: to the service, and here.
struct World {
    house: House,
    parents: BTreeMap<Uuid, Option<Uuid>>,
    users: BTreeMap<Uuid, Uuid>,
    teams: BTreeMap<Uuid, Uuid>,
    members: BTreeSet<(Uuid, Uuid)>,
    /// Per holder: what each of its roles grants, by table and action.
    roles: BTreeMap<Uuid, Vec<Grants>>,
    rows: BTreeMap<Uuid, Row>,
    /// What was given, and what is inherited.
    shares: BTreeMap<(Uuid, Uuid), (i32, i32)>,
    next: u128,
    met: RefCell<Met>,
    /// How many rows went along, by what was done.
    along: Along,
}

/// Who asks: a user, perhaps acting for another.
#[derive(Clone, Copy, Debug)]
struct Asker {
    user: Uuid,
    real: Option<Uuid>,
}

impl World {
    async fn new(house: House, dice: &mut Dice) -> Self {
        let organization = house.pipeline.organization();
        let root = organization.business_unit;
        let mut world = Self {
            house,
            parents: BTreeMap::from([(root, None)]),
            users: BTreeMap::new(),
            teams: BTreeMap::new(),
            members: BTreeSet::new(),
            roles: BTreeMap::new(),
            rows: BTreeMap::new(),
            shares: BTreeMap::new(),
            next: 1_000,
            met: RefCell::default(),
            along: Along::new(),
        };
        world.make_tables().await;
        let roles = world.make_roles(dice).await;
        for _ in 0..dice.roll(4) {
            world.make_unit(dice).await;
        }
        for _ in 0..3 {
            let unit = world.any_unit(dice);
            let user = world.make("systemuser", &[("businessunitid", world.unit(unit))]).await;
            world.users.insert(user, unit);
        }
        for _ in 0..2 {
            let unit = world.any_unit(dice);
            let values = [("businessunitid", world.unit(unit)), ("name", Value::text("T"))];
            let team = world.make("team", &values).await;
            world.teams.insert(team, unit);
            for user in world.users.keys().copied().collect::<Vec<_>>() {
                if dice.chance(40) {
                    let change = RightsChange::AddMembers { team, users: vec![user] };
                    world.must(Message::Rights(change)).await;
                    world.members.insert((user, team));
                }
            }
        }
        world.give_roles(dice, &roles).await;
        for _ in 0..14 {
            world.make_row(dice).await;
        }
        for _ in 0..dice.roll(8) {
            world.make_share(dice).await;
        }
        world
    }

    /// Legs, which go with their crates, and pings, which are elastic.
    async fn make_tables(&self) {
        let name = |schema_name: &str, kind| {
            let column = NewColumn { schema_name: "ship_Note".into(), ..house::text_column() };
            NewTable {
                schema_name: schema_name.into(),
                kind,
                columns: vec![column],
                ..house::crate_table()
            }
        };
        let tables =
            vec![name("ship_Leg", TableKind::Standard), name("ship_Ping", TableKind::Elastic)];
        for table in tables {
            self.house.define(Definition::CreateTables(vec![table])).await.expect("a plain table");
        }
        let all = CascadeAction::Cascade;
        let cascade = Cascade {
            assign: all,
            share: all,
            unshare: all,
            reparent: all,
            ..Cascade::on_delete(DeleteAction::Cascade)
        };
        let relationship = NewRelationship {
            schema_name: "ship_crate_leg".into(),
            referenced_table: "ship_crate".into(),
            referencing_table: "ship_leg".into(),
            lookup_schema_name: "ship_Crate".into(),
            cascade,
            ..house::holder()
        };
        let made = self.house.define(Definition::CreateRelationship(relationship)).await;
        made.expect("a parental relationship");
    }

    fn fresh(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    fn unit(&self, id: Uuid) -> Value {
        Value::Lookup(LookupValue { table: self.house.table("businessunit").id, id })
    }

    fn owner(&self, id: Uuid) -> LookupValue {
        let table = if self.teams.contains_key(&id) { "team" } else { "systemuser" };
        LookupValue { table: self.house.table(table).id, id }
    }

    fn any_unit(&self, dice: &mut Dice) -> Uuid {
        let units: Vec<Uuid> = self.parents.keys().copied().collect();
        dice.one_of(&units)
    }

    fn principals(&self) -> Vec<Uuid> {
        self.users.keys().chain(self.teams.keys()).copied().collect()
    }

    async fn must(&self, message: Message) {
        if let Err(fault) = self.house.run(message).await {
            panic!("the world cannot be made: {fault}");
        }
    }

    async fn make(&mut self, table: &str, values: &[(&str, Value)]) -> Uuid {
        let id = self.fresh();
        let target = self.house.target_of(table, TargetKey::Id(id), values);
        let made = self.house.write(MessageName::Create, table, vec![target]).await;
        made.unwrap_or_else(|fault| panic!("no {table} can be made: {fault}"));
        id
    }

    async fn make_unit(&mut self, dice: &mut Dice) {
        let parent = self.any_unit(dice);
        let values = [("parentbusinessunitid", self.unit(parent)), ("name", Value::text("Unit"))];
        let unit = self.make("businessunit", &values).await;
        self.parents.insert(unit, Some(parent));
    }

    /// Roles of the root unit, with what they grant.
    async fn make_roles(&mut self, dice: &mut Dice) -> Vec<(Uuid, Grants)> {
        let mut roles = Vec::new();
        for _ in 0..3 {
            let role = self.make("role", &[("name", Value::text("R"))]).await;
            let mut grants = BTreeMap::new();
            let mut privileges = Vec::new();
            for (place, table) in TABLES.iter().enumerate() {
                for action in ACTIONS {
                    let depth = [Depth::Basic, Depth::Local, Depth::Deep, Depth::Global];
                    if dice.chance(75) {
                        let depth = dice.one_of(&depth);
                        grants.insert((place, action), depth);
                        let name = privilege::name(&self.house.table(table), action);
                        let id = privilege::id(&name.expect("both tables have owners"));
                        privileges.push((id, depth));
                    }
                }
            }
            let change = RightsChange::AddPrivileges { role, privileges };
            self.must(Message::Rights(change)).await;
            roles.push((role, grants));
        }
        roles
    }

    async fn give_roles(&mut self, dice: &mut Dice, roles: &[(Uuid, Grants)]) {
        let root = self.house.pipeline.organization().business_unit;
        for holder in self.principals() {
            let unit = self.users.get(&holder).or_else(|| self.teams.get(&holder)).copied();
            let unit = unit.expect("it was made");
            for (role, grants) in roles {
                if !dice.chance(40) {
                    continue;
                }
                let own = if unit == root { *role } else { self.copy_of(*role, unit).await };
                let change =
                    RightsChange::AddRoles { holder: self.owner(holder), roles: vec![own] };
                self.must(Message::Rights(change)).await;
                self.roles.entry(holder).or_default().push(grants.clone());
            }
        }
    }

    /// The copy of a role in a unit.
    async fn copy_of(&self, role: Uuid, unit: Uuid) -> Uuid {
        let columns = ["roleid", "parentrootroleid", "businessunitid"];
        let rows = self.house.rows("role", &columns).await;
        let is = |row: &&Vec<Value>| row[1].as_id() == Some(role) && row[2].as_id() == Some(unit);
        let copy = rows.iter().find(is).and_then(|row| row[0].as_id());
        copy.expect("every unit has a copy of every role above")
    }

    async fn make_row(&mut self, dice: &mut Dice) {
        let table = dice.one_of(&[0, 0, 1, 1, 2, 2, 2, PING]);
        let owner = dice.one_of(&self.principals());
        let above = self.any_above(dice, table, 80);
        let id = Uuid::from_u128(self.next + 1);
        let mut values = vec![
            (NAMES[table], Value::text(marker(id))),
            ("ownerid", Value::Lookup(self.owner(owner))),
        ];
        values.extend(self.link(table, above));
        self.make(TABLES[table], &values).await;
        let unit = self.unit_of(owner);
        self.rows.insert(id, Row { table, owner, unit, above });
    }

    fn ids_of(&self, table: usize) -> Vec<Uuid> {
        self.rows.iter().filter(|(_, row)| row.table == table).map(|(id, _)| *id).collect()
    }

    /// A row that one of a table may stand below.
    fn any_above(&self, dice: &mut Dice, table: usize, percent: usize) -> Option<Uuid> {
        let all = self.ids_of(LINKS[table]?.1);
        (!all.is_empty() && dice.chance(percent)).then(|| dice.one_of(&all))
    }

    /// The value that puts a row of a table below another one.
    fn link(&self, table: usize, above: Option<Uuid>) -> Option<(&'static str, Value)> {
        let (column, to) = LINKS[table]?;
        let table = self.house.table(TABLES[to]).id;
        Some((column, Value::Lookup(LookupValue { table, id: above? })))
    }

    fn unit_of(&self, principal: Uuid) -> Uuid {
        *self.users.get(&principal).or_else(|| self.teams.get(&principal)).expect("it was made")
    }

    async fn make_share(&mut self, dice: &mut Dice) {
        let ids: Vec<Uuid> = self.rows.keys().copied().collect();
        let id = dice.one_of(&ids);
        let principal = dice.one_of(&self.principals());
        let rights = ACTIONS.iter().filter(|_| dice.chance(50)).map(|action| action.bit()).sum();
        let object = Object { table: self.house.table(TABLES[self.rows[&id].table]), id };
        let share = Share { object, principal: self.owner(principal), rights, replaces: true };
        self.must(Message::Rights(RightsChange::Share(share))).await;
        self.give(id, principal, rights);
    }

    /// The rows that go along with one.
    fn along(&self, id: Uuid) -> Vec<Uuid> {
        let Some(table) = self.rows.get(&id).and_then(|row| ALONG[row.table]) else {
            return Vec::new();
        };
        let is = |(_, row): &(&Uuid, &Row)| row.table == table && row.above == Some(id);
        self.rows.iter().filter(is).map(|(id, _)| *id).collect()
    }

    /// A share gets other rights: what it gains and loses goes on to the rows that go along.
    fn give(&mut self, id: Uuid, principal: Uuid, rights: i32) {
        let along = self.along(id);
        let share = self.shares.entry((id, principal)).or_default();
        let old = share.0 | share.1;
        if share.0 == rights {
            return;
        }
        share.0 = rights;
        let new = share.0 | share.1;
        let what = if new & !old == 0 { "unshare" } else { "share" };
        *self.along.entry(what).or_default() += along.len();
        for row in along {
            let share = self.shares.entry((row, principal)).or_default();
            share.1 = (share.1 & !(old & !new)) | new;
        }
    }

    /// A leg comes below another crate: what it inherits.
    fn moved(&mut self, id: Uuid, from: Option<Uuid>, to: Option<Uuid>) {
        if from == to || self.rows[&id].table != 2 {
            return;
        }
        let of = |end: Option<Uuid>| -> Vec<(Uuid, i32)> {
            let shares = self.shares.iter().filter(|((object, _), _)| Some(*object) == end);
            shares.map(|((_, principal), share)| (*principal, (share.0 | share.1) & !32)).collect()
        };
        let (lose, gain) = (of(from), of(to));
        *self.along.entry("reparent").or_default() += lose.len() + gain.len();
        for (principal, rights) in lose {
            self.shares.entry((id, principal)).or_default().1 &= !rights;
        }
        for (principal, rights) in gain {
            self.shares.entry((id, principal)).or_default().1 |= rights;
        }
    }

    // The model.

    fn holders(&self, user: Uuid) -> Vec<Uuid> {
        let teams = self.members.iter().filter(|(member, _)| *member == user);
        std::iter::once(user).chain(teams.map(|(_, team)| *team)).collect()
    }

    fn has_role(&self, asker: Asker) -> bool {
        let has = |user| self.holders(user).iter().any(|holder| self.roles.contains_key(holder));
        has(asker.user) && asker.real.is_none_or(has)
    }

    /// What each role that reaches the user grants: depth, and whose it is.
    fn grants(&self, user: Uuid, table: usize, action: Action) -> Vec<(Depth, Uuid)> {
        let mut found = Vec::new();
        for holder in self.holders(user) {
            for role in self.roles.get(&holder).into_iter().flatten() {
                found.extend(role.get(&(table, action)).map(|depth| (*depth, holder)));
            }
        }
        found
    }

    fn is_below(&self, unit: Uuid, above: Uuid) -> bool {
        unit == above || self.parents[&unit].is_some_and(|parent| self.is_below(parent, above))
    }

    fn privileged(&self, asker: Asker, table: usize, action: Action) -> bool {
        let has = |user| !self.grants(user, table, action).is_empty();
        has(asker.user) && asker.real.is_none_or(has)
    }

    fn covers(&self, asker: Asker, table: usize, action: Action, owner: Uuid, unit: Uuid) -> bool {
        let covers = |user| {
            self.grants(user, table, action).iter().any(|(depth, holder)| {
                let of_holder = self.unit_of(*holder);
                let own = if *holder == user {
                    self.holders(user).contains(&owner)
                } else {
                    owner == *holder
                };
                match depth {
                    Depth::Global => true,
                    Depth::Deep => own || self.is_below(unit, of_holder),
                    Depth::Local => own || unit == of_holder,
                    Depth::Basic => own,
                }
            })
        };
        covers(asker.user) && asker.real.is_none_or(covers)
    }

    fn can(&self, asker: Asker, action: Action, id: Uuid) -> bool {
        let row = &self.rows[&id];
        let can = |user| {
            let one = Asker { user, real: None };
            let shared = self.holders(user).iter().any(|holder| {
                let share = self.shares.get(&(id, *holder));
                share.is_some_and(|(given, inherited)| (given | inherited) & action.bit() != 0)
            });
            self.privileged(one, row.table, action)
                && (shared || self.covers(one, row.table, action, row.owner, row.unit))
        };
        can(asker.user) && asker.real.is_none_or(can)
    }

    // Asking the service.

    async fn run_as(&self, asker: Asker, message: Message) -> Result<Reply, Fault> {
        let organization = self.house.pipeline.organization();
        let caller = Caller {
            user: asker.user,
            business_unit: organization.business_unit,
            on_behalf_of: asker.real,
        };
        let context = Context {
            catalog: self.house.catalog(),
            caller,
            now: NOW,
            course: pipeline::Course::default(),
        };
        match self.house.pipeline.run(&context, message).await {
            Ok(reply) => {
                *self.met.borrow_mut().entry(None).or_default() += 1;
                Ok(reply)
            }
            Err(Error::Fault(fault)) => {
                assert!(!fault.text().contains("secret-"), "a refusal tells a value: {fault}");
                *self.met.borrow_mut().entry(Some(fault.code.0)).or_default() += 1;
                Err(*fault)
            }
            Err(Error::StaleCatalog) => panic!("the context was taken from the newest catalog"),
        }
    }

    async fn write_as(
        &self,
        asker: Asker,
        name: MessageName,
        table: usize,
        target: Target,
    ) -> Option<ErrorCode> {
        let table = self.house.table(TABLES[table]);
        let message = Write { name, table, targets: vec![target], condition: Condition::Any };
        self.run_as(asker, Message::Write(message)).await.err().map(|fault| fault.code)
    }

    fn query(&self, table: usize) -> BoundQuery {
        let table = self.house.table(TABLES[table]);
        let key = ColumnRef::root(table.primary_key);
        let name = ColumnRef::root(table.primary_name.expect("both have names"));
        BoundQuery {
            catalog: self.house.catalog(),
            table,
            joins: Vec::new(),
            columns: vec![key, name],
            filter: None,
            order: vec![Order { column: key, descending: false }],
            paging: Paging { size: 100, after: None, skip: 0, look_ahead: true },
            count_max: Some(1_000),
            shape: query::Shape::default(),
        }
    }
}

const NAMES: [&str; 4] = ["name", "ship_label", "ship_note", "ship_note"];

fn marker(id: Uuid) -> String {
    format!("secret-{id}")
}

impl World {
    /// Every way of reading, for one asker.
    async fn check_reads(&self, asker: Asker) {
        for table in 0..TABLES.len() {
            self.check_list(asker, table).await;
            for id in self.ids_of(table) {
                self.check_single(asker, table, id).await;
            }
        }
        for table in 0..PING {
            self.check_groups(asker, table).await;
        }
        self.check_children(asker).await;
        for id in self.ids_of(0) {
            for line in [Line::Under, Line::Above] {
                self.check_tree(asker, id, line).await;
            }
        }
        self.check_join(asker, JoinKind::Inner).await;
        self.check_join(asker, JoinKind::Outer).await;
        self.check_exists(asker, false).await;
        self.check_exists(asker, true).await;
        self.check_names(asker).await;
    }

    fn refusal(&self, asker: Asker, tables: &[usize]) -> Option<ErrorCode> {
        if !self.has_role(asker) {
            return Some(code::USER_NOT_ASSIGNED_ROLES);
        }
        let denied = tables.iter().any(|table| !self.privileged(asker, *table, Action::Read));
        denied.then_some(code::PRIVILEGE_DENIED)
    }

    fn visible(&self, asker: Asker, table: usize) -> BTreeSet<Uuid> {
        let rows = self.rows.iter().filter(|(_, row)| row.table == table);
        rows.map(|(id, _)| *id).filter(|id| self.can(asker, Action::Read, *id)).collect()
    }

    async fn read(
        &self,
        asker: Asker,
        name: MessageName,
        query: BoundQuery,
    ) -> Result<Vec<Vec<Value>>, ErrorCode> {
        let width = query.columns.len();
        match self.run_as(asker, Message::Read(Read { name, query })).await {
            Ok(Reply::Page(page)) => {
                if let Some(count) = page.count {
                    assert_eq!(usize::try_from(count), Ok(page.rows), "the count of what is seen");
                }
                Ok(page.rows(width).map(<[Value]>::to_vec).collect())
            }
            Ok(other) => panic!("a read answered {other:?}"),
            Err(fault) => Err(fault.code),
        }
    }

    /// No value of a hidden row is in an answer.
    fn assert_no_leak(&self, asker: Asker, rows: &[Vec<Value>]) {
        let text = format!("{rows:?}");
        for id in self.rows.keys().filter(|id| !self.can(asker, Action::Read, **id)) {
            assert!(!text.contains(&marker(*id)), "{asker:?} sees a value of {id}");
        }
    }

    async fn check_list(&self, asker: Asker, table: usize) {
        let got = self.read(asker, MessageName::RetrieveMultiple, self.query(table)).await;
        if let Some(refusal) = self.refusal(asker, &[table]) {
            assert_eq!(got, Err(refusal), "{asker:?} lists {}", TABLES[table]);
            return;
        }
        let got = got.expect("the privilege is there");
        self.assert_no_leak(asker, &got);
        let ids: BTreeSet<Uuid> = got.iter().filter_map(|row| row[0].as_id()).collect();
        assert_eq!(ids, self.visible(asker, table), "{asker:?} lists {}", TABLES[table]);
    }

    async fn check_single(&self, asker: Asker, table: usize, id: Uuid) {
        let mut query = self.query(table);
        let column = ColumnRef::root(query.table.primary_key);
        query.count_max = None;
        query.filter =
            Some(Filter::Compare { column, compare: Compare::Equal, value: Value::Guid(id) });
        let got = self.read(asker, MessageName::Retrieve, query).await;
        let want = match self.refusal(asker, &[table]) {
            Some(refusal) => Err(refusal),
            None if self.can(asker, Action::Read, id) => Ok(1),
            None => Err(code::ACCESS_DENIED),
        };
        assert_eq!(got.map(|rows| rows.len()), want, "{asker:?} reads {id}");
    }

    /// Crates beside their holders.
    async fn check_join(&self, asker: Asker, kind: JoinKind) {
        let mut query = self.query(1);
        let accounts = self.house.table("account");
        let to = query.table.index_of("ship_holder").expect("the lookup exists");
        query.joins.push(Join {
            from: accounts.primary_key,
            to: ColumnRef::root(to),
            kind,
            on: None,
            table: accounts.clone(),
        });
        let name = accounts.index_of("name").expect("accounts have names");
        query.columns.push(ColumnRef { source: 1, column: name });
        let got = self.read(asker, MessageName::RetrieveMultiple, query).await;
        if let Some(refusal) = self.refusal(asker, &[0, 1]) {
            assert_eq!(got, Err(refusal), "{asker:?} joins");
            return;
        }
        let got = got.expect("both privileges are there");
        self.assert_no_leak(asker, &got);
        let mut want = BTreeMap::new();
        for id in self.visible(asker, 1) {
            let holder = self.rows[&id].above;
            let seen = holder.filter(|holder| self.can(asker, Action::Read, *holder));
            if seen.is_some() || kind == JoinKind::Outer {
                want.insert(id, seen.map_or(Value::Null, |holder| Value::text(marker(holder))));
            }
        }
        let got: BTreeMap<Uuid, Value> =
            got.iter().filter_map(|row| Some((row[0].as_id()?, row[2].clone()))).collect();
        assert_eq!(got, want, "{asker:?} joins {kind:?}");
    }

    /// Accounts with, or without, crates that the asker sees.
    async fn check_exists(&self, asker: Asker, negated: bool) {
        let mut query = self.query(0);
        let crates = self.house.table("ship_crate");
        let from = crates.index_of("ship_holder").expect("the lookup exists");
        let exists = Exists::new(&crates, from, ColumnRef::root(query.table.primary_key));
        let exists = if negated { exists.negate() } else { exists };
        query.filter = Some(exists.into());
        let got = self.read(asker, MessageName::RetrieveMultiple, query).await;
        if let Some(refusal) = self.refusal(asker, &[0, 1]) {
            assert_eq!(got, Err(refusal), "{asker:?} asks for related rows");
            return;
        }
        let held: BTreeSet<Uuid> =
            self.visible(asker, 1).iter().filter_map(|id| self.rows[id].above).collect();
        let mut want = self.visible(asker, 0);
        want.retain(|id| held.contains(id) != negated);
        let got = got.expect("both privileges are there");
        let got: BTreeSet<Uuid> = got.iter().filter_map(|row| row[0].as_id()).collect();
        assert_eq!(got, want, "{asker:?} asks for related rows, negated: {negated}");
    }

    /// How many rows there are, and the least and greatest of their names; in all, and by owner.
    async fn check_groups(&self, asker: Asker, table: usize) {
        for by_owner in [false, true] {
            let mut query = self.query(table);
            let column =
                |name: &str| ColumnRef::root(query.table.index_of(name).expect("it is there"));
            let name = column(NAMES[table]);
            let mut groups = Groups {
                keys: by_owner.then(|| column("ownerid").into()).into_iter().collect(),
                aggregates: vec![
                    Aggregate::Rows,
                    Aggregate::Least(name),
                    Aggregate::Greatest(name),
                ],
                ..Groups::default()
            };
            groups.complete_order();
            query.shape.rows = Rows::Groups(groups);
            query.count_max = None;
            let width = query.width();
            let message = Message::Read(Read { name: MessageName::RetrieveMultiple, query });
            let got = self.run_as(asker, message).await;
            if let Some(refusal) = self.refusal(asker, &[table]) {
                assert_eq!(got.err().map(|fault| fault.code), Some(refusal), "{asker:?} counts");
                continue;
            }
            let Ok(Reply::Page(page)) = got else { panic!("groups answered {got:?}") };
            let got: Vec<Vec<Value>> = page.rows(width).map(<[Value]>::to_vec).collect();
            self.assert_no_leak(asker, &got);
            let mut want: BTreeMap<Option<Uuid>, Vec<String>> = BTreeMap::new();
            if !by_owner {
                want.insert(None, Vec::new());
            }
            for id in self.visible(asker, table) {
                let key = by_owner.then(|| self.rows[&id].owner);
                want.entry(key).or_default().push(marker(id));
            }
            let got: BTreeMap<Option<Uuid>, Vec<Value>> = got
                .into_iter()
                .map(|mut row| match by_owner {
                    true => (row.remove(0).as_id(), row),
                    false => (None, row),
                })
                .collect();
            let text =
                |text: Option<&String>| text.map_or(Value::Null, |text| Value::text(&**text));
            let row = |names: Vec<String>| {
                let count = i64::try_from(names.len()).expect("few");
                vec![Value::BigInt(count), text(names.iter().min()), text(names.iter().max())]
            };
            let want: BTreeMap<Option<Uuid>, Vec<Value>> =
                want.into_iter().map(|(key, names)| (key, row(names))).collect();
            assert_eq!(got, want, "{asker:?} groups {}", TABLES[table]);
        }
    }

    /// The first legs of each crate, as a list that is expanded inside of records asks for them.
    async fn check_children(&self, asker: Asker) {
        let mut query = self.query(2);
        let parent = query.table.index_of("ship_crate").expect("the lookup exists");
        let parent = ColumnRef::root(parent);
        let values = self.ids_of(1).into_iter().map(Value::Guid).collect();
        query.filter = Some(Filter::In { column: parent, values, negated: false });
        query.columns.push(parent);
        query.shape.rows = Rows::PerParent(PerParent { parent, size: 2 });
        (query.count_max, query.paging.look_ahead) = (None, false);
        let got = self.read(asker, MessageName::RetrieveMultiple, query).await;
        if let Some(refusal) = self.refusal(asker, &[2]) {
            assert_eq!(got, Err(refusal), "{asker:?} expands");
            return;
        }
        let got = got.expect("the privilege is there");
        self.assert_no_leak(asker, &got);
        let mut want: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for id in self.visible(asker, 2) {
            let legs = self.rows[&id].above.map(|above| want.entry(above).or_default());
            if let Some(legs) = legs.filter(|legs| legs.len() < 2) {
                legs.push(id);
            }
        }
        let mut found: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for row in &got {
            let (id, above) = (row[0].as_id().expect("an id"), row[2].as_id().expect("a crate"));
            found.entry(above).or_default().push(id);
        }
        assert_eq!(found, want, "{asker:?} expands");
    }

    /// Accounts above or below one: a line of rows ends at one that the asker may not read.
    async fn check_tree(&self, asker: Asker, of: Uuid, line: Line) {
        let mut query = self.query(0);
        let parent = query.table.index_of("parentaccountid").expect("the lookup exists");
        query.filter = Some(
            Hierarchy {
                column: ColumnRef::root(query.table.primary_key),
                table: query.table.clone(),
                parent,
                of,
                line,
                negated: false,
                among: None,
                of_service: false,
            }
            .into(),
        );
        let got = self.read(asker, MessageName::RetrieveMultiple, query).await;
        if let Some(refusal) = self.refusal(asker, &[0]) {
            assert_eq!(got, Err(refusal), "{asker:?} asks for a tree");
            return;
        }
        let seen = self.visible(asker, 0);
        let mut want = BTreeSet::new();
        let mut open = vec![of];
        while let Some(from) = open.pop() {
            let next: Vec<Uuid> = match line {
                Line::Under => {
                    let below = |id: &&Uuid| self.rows[*id].above == Some(from);
                    seen.iter().filter(below).copied().collect()
                }
                Line::Above => match seen.contains(&from) {
                    true => self.rows[&from].above.into_iter().collect(),
                    false => Vec::new(),
                },
            };
            open.extend(next.into_iter().filter(|id| want.insert(*id)));
        }
        want.retain(|id| seen.contains(id));
        let got = got.expect("the privilege is there");
        let got: BTreeSet<Uuid> = got.iter().filter_map(|row| row[0].as_id()).collect();
        assert_eq!(got, want, "{asker:?} asks for what is {line:?} {of}");
    }

    async fn check_names(&self, asker: Asker) {
        for table in 0..TABLES.len() {
            let query = BoundQuery { count_max: None, ..self.query(table) };
            let got = self.run_as(asker, Message::Names(query)).await;
            if !self.has_role(asker) {
                assert_eq!(got.err().map(|fault| fault.code), Some(code::USER_NOT_ASSIGNED_ROLES));
                continue;
            }
            let Ok(Reply::Page(page)) = got else { panic!("names answered {got:?}") };
            let ids: BTreeSet<Uuid> = page.rows(2).filter_map(|row| row[0].as_id()).collect();
            let want = match self.privileged(asker, table, Action::Read) {
                true => self.visible(asker, table),
                false => BTreeSet::new(),
            };
            assert_eq!(ids, want, "{asker:?} asks for names");
        }
    }

    /// One random write, judged and carried out on both sides.
    async fn write_once(&mut self, dice: &mut Dice, asker: Asker) {
        let ids: Vec<Uuid> = self.rows.keys().copied().collect();
        let absent = Uuid::from_u128(7);
        let leading: Vec<Uuid> =
            ids.iter().copied().filter(|id| !self.along(*id).is_empty()).collect();
        let id = match () {
            () if dice.chance(40) && !leading.is_empty() => dice.one_of(&leading),
            () if dice.chance(90) && !ids.is_empty() => dice.one_of(&ids),
            () => absent,
        };
        let table = self.rows.get(&id).map_or(1, |row| row.table);
        match dice.roll(12) {
            0 | 1 => self.update(asker, table, id).await,
            2 => self.delete(asker, table, id).await,
            3 => self.create(dice, asker, MessageName::Create).await,
            4 => self.create(dice, asker, MessageName::Upsert).await,
            5 | 10 | 11 => self.append(dice, asker, id).await,
            6 | 7 => self.assign(dice, asker, table, id).await,
            8 => self.revoke(dice, asker, table, id).await,
            _ => self.share(dice, asker, table, id).await,
        }
    }

    fn first(&self, asker: Asker, needs: &[(usize, Action)]) -> Option<ErrorCode> {
        if !self.has_role(asker) {
            return Some(code::USER_NOT_ASSIGNED_ROLES);
        }
        let missing = needs.iter().any(|(table, action)| !self.privileged(asker, *table, *action));
        missing.then_some(code::PRIVILEGE_DENIED)
    }

    /// What becomes of an action on a row, once the privilege is there.
    fn on_row(&self, asker: Asker, action: Action, id: Uuid) -> Option<ErrorCode> {
        match self.rows.contains_key(&id) {
            false => Some(code::OBJECT_DOES_NOT_EXIST),
            true if self.can(asker, action, id) => None,
            true => Some(code::ACCESS_DENIED),
        }
    }

    /// What becomes of an action that goes on to other rows.
    fn on_along(&self, asker: Asker, action: Action, along: &[Uuid]) -> Option<ErrorCode> {
        let first = along.iter().find(|id| !self.can(asker, action, **id))?;
        match self.privileged(asker, self.rows[first].table, action) {
            true => Some(code::ACCESS_DENIED),
            false => Some(code::PRIVILEGE_DENIED),
        }
    }

    async fn update(&mut self, asker: Asker, table: usize, id: Uuid) {
        let values = [(NAMES[table], Value::text(marker(id)))];
        let target = self.house.target_of(TABLES[table], TargetKey::Id(id), &values);
        let got = self.write_as(asker, MessageName::Update, table, target).await;
        let want = self.first(asker, &[(table, Action::Write)]);
        let want = want.or_else(|| self.on_row(asker, Action::Write, id));
        assert_eq!(got, want, "{asker:?} updates {id}");
    }

    async fn delete(&mut self, asker: Asker, table: usize, id: Uuid) {
        let target = self.house.target_of(TABLES[table], TargetKey::Id(id), &[]);
        let got = self.write_as(asker, MessageName::Delete, table, target).await;
        let want = self.first(asker, &[(table, Action::Delete)]);
        let want = want.or_else(|| self.on_row(asker, Action::Delete, id));
        let want = want.or_else(|| self.on_along(asker, Action::Delete, &self.along(id)));
        assert_eq!(got, want, "{asker:?} deletes {id}");
        if got.is_none() {
            *self.along.entry("delete").or_default() += self.along(id).len();
            for gone in self.along(id).into_iter().chain([id]) {
                self.rows.remove(&gone);
                self.shares.retain(|(object, _), _| *object != gone);
                for row in self.rows.values_mut() {
                    row.above = row.above.filter(|above| *above != gone);
                }
            }
        }
    }

    async fn create(&mut self, dice: &mut Dice, asker: Asker, name: MessageName) {
        let table = dice.roll(TABLES.len());
        let id = self.fresh();
        let owner = dice.one_of(&self.principals());
        let holder = self.any_above(dice, table, 50);
        let mut values = vec![
            (NAMES[table], Value::text(marker(id))),
            ("ownerid", Value::Lookup(self.owner(owner))),
        ];
        values.extend(self.link(table, holder));
        let target = self.house.target_of(TABLES[table], TargetKey::Id(id), &values);
        let got = self.write_as(asker, name, table, target).await;
        let mut needs = Vec::new();
        // An upsert may hope that the row is there, if it may change rows at all.
        let hopes = name == MessageName::Upsert && self.privileged(asker, table, Action::Write);
        if !hopes {
            needs.push((table, Action::Create));
        }
        if holder.is_some() {
            let to = LINKS[table].map_or(table, |(_, to)| to);
            needs.extend([(table, Action::Append), (to, Action::AppendTo)]);
        }
        let unit = self.unit_of(owner);
        let covers = |action| self.covers(asker, table, action, owner, unit);
        let made = || {
            if !self.privileged(asker, table, Action::Create) {
                return Some(code::PRIVILEGE_DENIED);
            }
            let reaches = covers(Action::Create) && (holder.is_none() || covers(Action::Append));
            let far = holder.is_some_and(|holder| !self.can(asker, Action::AppendTo, holder));
            (!reaches || far).then_some(code::ACCESS_DENIED)
        };
        let want = self.first(asker, &needs).or_else(made);
        assert_eq!(got, want, "{asker:?} makes {id} of {owner} at {holder:?} by {name}");
        if got.is_none() {
            self.rows.insert(id, Row { table, owner, unit, above: holder });
            self.moved(id, None, holder);
        }
    }

    async fn append(&mut self, dice: &mut Dice, asker: Asker, id: Uuid) {
        let table = self.rows.get(&id).map_or(1, |row| row.table);
        let Some((_, to)) = LINKS[table] else { return };
        let Some(holder) = self.any_above(dice, table, 100) else { return };
        // Now and then a row that stands below it.
        let below =
            self.rows.iter().find(|(_, row)| (table, row.table) == (0, 0) && row.above == Some(id));
        let holder = below.map(|(below, _)| *below).filter(|_| dice.chance(60)).unwrap_or(holder);
        let values: Vec<(&str, Value)> = self.link(table, Some(holder)).into_iter().collect();
        let target = self.house.target_of(TABLES[table], TargetKey::Id(id), &values);
        let got = self.write_as(asker, MessageName::Update, table, target).await;
        let needs = [(table, Action::Write), (table, Action::Append), (to, Action::AppendTo)];
        let would_loop = table == 0 && {
            let mut at = Some(holder);
            while let Some(above) = at.filter(|above| *above != id) {
                at = self.rows[&above].above;
            }
            at.is_some()
        };
        let want = self.first(asker, &needs).or_else(|| {
            let own = [Action::Write, Action::Append].map(|action| self.on_row(asker, action, id));
            let denied = own.contains(&Some(code::ACCESS_DENIED))
                || !self.can(asker, Action::AppendTo, holder);
            let denied = denied.then_some(code::ACCESS_DENIED);
            let denied = denied.or_else(|| own.into_iter().flatten().next());
            denied.or(would_loop.then_some(code::ENTITY_LOOP_BEING_CREATED))
        });
        assert_eq!(got, want, "{asker:?} puts {id} to {holder}");
        if got.is_none() {
            let row = self.rows.get_mut(&id).expect("it was changed");
            let before = row.above.replace(holder);
            self.moved(id, before, Some(holder));
        }
    }

    async fn assign(&mut self, dice: &mut Dice, asker: Asker, table: usize, id: Uuid) {
        let owner = dice.one_of(&self.principals());
        let values = [("ownerid", Value::Lookup(self.owner(owner)))];
        let target = self.house.target_of(TABLES[table], TargetKey::Id(id), &values);
        let got = self.write_as(asker, MessageName::Update, table, target).await;
        let as_owner = |owner: Uuid, table: usize| {
            // A team has what it holds itself.
            match self.teams.contains_key(&owner) {
                true => self
                    .roles
                    .get(&owner)
                    .into_iter()
                    .flatten()
                    .any(|role| role.contains_key(&(table, Action::Read))),
                false => !self.grants(owner, table, Action::Read).is_empty(),
            }
        };
        let want = self.first(asker, &[(table, Action::Write)]).or_else(|| {
            let changes = self.rows.get(&id).is_some_and(|row| row.owner != owner);
            self.on_row(asker, Action::Write, id).or_else(|| {
                if !changes {
                    return None;
                }
                if !self.privileged(asker, table, Action::Assign) {
                    return Some(code::PRIVILEGE_DENIED);
                }
                if !self.can(asker, Action::Assign, id) {
                    return Some(code::ACCESS_DENIED);
                }
                let along = self.given_along(id, owner);
                let far = self.on_along(asker, Action::Assign, &along);
                let blind =
                    |table| (!as_owner(owner, table)).then_some(code::PRINCIPAL_PRIVILEGE_DENIED);
                let of_along = || along.first().and_then(|id| blind(self.rows[id].table));
                far.or_else(|| blind(table)).or_else(of_along)
            })
        });
        assert_eq!(got, want, "{asker:?} gives {id} to {owner}");
        if got.is_none() {
            let unit = self.unit_of(owner);
            *self.along.entry("assign").or_default() += self.given_along(id, owner).len();
            for id in self.given_along(id, owner).into_iter().chain([id]) {
                let row = self.rows.get_mut(&id).expect("it was changed");
                (row.owner, row.unit) = (owner, unit);
            }
        }
    }

    /// The rows that get an owner along with one, unless that one has it already.
    fn given_along(&self, id: Uuid, owner: Uuid) -> Vec<Uuid> {
        if self.rows[&id].owner == owner {
            return Vec::new();
        }
        let along = self.along(id).into_iter();
        along.filter(|id| self.rows[id].owner != owner).collect()
    }

    async fn revoke(&mut self, dice: &mut Dice, asker: Asker, table: usize, id: Uuid) {
        let with: Vec<Uuid> = self
            .shares
            .iter()
            .filter(|((object, _), share)| *object == id && share.0 != 0)
            .map(|((_, principal), _)| *principal)
            .collect();
        let all = self.principals();
        let principal = dice.one_of(if with.is_empty() { &all } else { &with });
        let object = Object { table: self.house.table(TABLES[table]), id };
        let change = RightsChange::Revoke { object, principal: self.owner(principal) };
        let got = self.run_as(asker, Message::Rights(change)).await;
        let got = got.err().map(|fault| fault.code);
        let want = self.first(asker, &[(table, Action::Share)]);
        let want = want.or_else(|| self.on_row(asker, Action::Share, id)).or_else(|| {
            let given = self.shares.get(&(id, principal)).map_or(0, |share| share.0);
            match given {
                0 => None,
                _ => self.on_along(asker, Action::Share, &self.along(id)),
            }
        });
        assert_eq!(got, want, "{asker:?} ends what {principal} may do with {id}");
        if got.is_none() {
            self.give(id, principal, 0);
        }
    }

    async fn share(&mut self, dice: &mut Dice, asker: Asker, table: usize, id: Uuid) {
        let principal = dice.one_of(&self.principals());
        let given: Vec<Action> = ACTIONS.into_iter().filter(|_| dice.chance(30)).collect();
        let rights: i32 = given.iter().map(|action| action.bit()).sum();
        let object = Object { table: self.house.table(TABLES[table]), id };
        let share = Share { object, principal: self.owner(principal), rights, replaces: false };
        let got = self.run_as(asker, Message::Rights(RightsChange::Share(share))).await;
        let got = got.err().map(|fault| fault.code);
        let want = self.first(asker, &[(table, Action::Share)]).or_else(|| {
            let all = std::iter::once(Action::Share).chain(given.iter().copied());
            let own = all.into_iter().find_map(|action| {
                let there = self.rows.contains_key(&id);
                match there && !self.privileged(asker, table, action) {
                    true => Some(code::PRIVILEGE_DENIED),
                    false => self.on_row(asker, action, id),
                }
            });
            own.or_else(|| {
                let old = self.shares.get(&(id, principal)).map_or(0, |share| share.0);
                let changes = rights & !old != 0;
                changes.then(|| self.on_along(asker, Action::Share, &self.along(id))).flatten()
            })
        });
        assert_eq!(got, want, "{asker:?} shares {id} with {principal}");
        if got.is_none() {
            let old = self.shares.get(&(id, principal)).map_or(0, |share| share.0);
            self.give(id, principal, old | rights);
        }
    }
}

/// What became of every request of a life: codes of refusals, nothing for success.
pub(crate) type Met = HashMap<Option<u32>, usize>;

/// How many rows went along with another one, by what was done to that.
pub(crate) type Along = BTreeMap<&'static str, usize>;

/// Lets a random organisation live for a while; every answer must be the model's.
pub(crate) async fn live(house: House, seed: u64, rounds: usize) -> (Met, Along) {
    let mut dice = Dice(seed | 1);
    let mut world = World::new(house, &mut dice).await;
    let users: Vec<Uuid> = world.users.keys().copied().collect();
    for round in 0..rounds {
        for user in &users {
            let real = dice.chance(25).then(|| dice.one_of(&users)).filter(|real| real != user);
            let asker = Asker { user: *user, real };
            if round % 2 == 0 {
                world.check_reads(asker).await;
            }
            for _ in 0..4 {
                world.write_once(&mut dice, asker).await;
            }
        }
    }
    (world.met.into_inner(), world.along)
}
