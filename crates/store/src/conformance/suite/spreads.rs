//! Owners and shares that spread along relationships, and hierarchies without circles: by example, and by
//! random messages against a naive model, which looks at every row for every step.

use crate::conformance::Harness;
use crate::conformance::families::{
    LINKS, MID, SHARES, TOP, action, columns_of, make_tables, user,
};
use crate::conformance::fixture::id;
use crate::conformance::random::for_cases;
use crate::conformance::world::{NOW, USER, World, at, rows_of, text};
use crate::writes::{InsertRow, UpdateRow, UpsertRow};
use crate::{Check, CheckRow, Denial, Error, Purpose, Reason, RowKey, Spreads, WriteOp, WriteSet};
use model::{CascadeAction, Cell, Spreading, Uuid, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};
use std::collections::{BTreeMap, BTreeSet};

async fn open<H: Harness>() -> (H, World) {
    let (harness, mut world) = World::open::<H>().await;
    make_tables(&mut world).await;
    (harness, world)
}

// The naive model.

#[derive(Clone, Debug, PartialEq)]
struct Node {
    table: &'static str,
    owner: u8,
    unit: u8,
    state: i32,
    links: BTreeMap<&'static str, Uuid>,
}

type Rights = BTreeMap<(Uuid, Uuid), (i32, i32)>;

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    nodes: BTreeMap<Uuid, Node>,
    shares: Rights,
}

impl Model {
    fn table(&self, id: Uuid) -> &'static str {
        self.nodes[&id].table
    }

    fn is_meant(&self, action: CascadeAction, child: Uuid, above: Uuid, owners: &Model) -> bool {
        match action {
            CascadeAction::NoCascade => false,
            CascadeAction::Cascade => true,
            CascadeAction::Active => self.nodes[&child].state == 0,
            CascadeAction::UserOwned => owners.nodes[&child].owner == owners.nodes[&above].owner,
        }
    }

    /// The rows right below one that an action reaches.
    fn below(&self, above: Uuid, spreading: Spreading) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        for (child, node) in &self.nodes {
            for link in LINKS.iter().filter(|link| link.0 == node.table) {
                let points = node.links.get(link.1) == Some(&above);
                if points
                    && link.2 == self.table(above)
                    && self.is_meant(action(link, spreading), *child, above, self)
                {
                    found.insert(*child);
                }
            }
        }
        found
    }

    fn all_below(&self, above: Uuid, spreading: Spreading, seen: &mut BTreeSet<Uuid>) {
        for child in self.below(above, spreading) {
            if seen.insert(child) {
                self.all_below(child, spreading, seen);
            }
        }
    }

    /// The owners that rows get from these: row, owner, unit; in the order of the message.
    fn assigned(&self, starts: &[(Uuid, u8)]) -> BTreeMap<Uuid, u8> {
        let mut got: BTreeMap<Uuid, (usize, u8)> = BTreeMap::new();
        let mut newest: Vec<(Uuid, usize)> = starts
            .iter()
            .enumerate()
            .filter(|(_, (id, owner))| self.nodes[id].owner != *owner)
            .map(|(root, (id, _))| (*id, root))
            .collect();
        while !newest.is_empty() {
            let mut next: BTreeMap<Uuid, usize> = BTreeMap::new();
            for (above, root) in newest {
                for child in self.below(above, Spreading::Assign) {
                    let free = !got.contains_key(&child)
                        && starts.iter().all(|(id, _)| *id != child)
                        && self.nodes[&child].owner != starts[root].1;
                    if free {
                        let first = next.entry(child).or_insert(root);
                        *first = root.min(*first);
                    }
                }
            }
            got.extend(next.iter().map(|(id, root)| (*id, (*root, starts[*root].1))));
            newest = next.into_iter().collect();
        }
        got.into_iter().map(|(id, (_, owner))| (id, owner)).collect()
    }

    /// The places of rows that would be above themselves.
    fn loops(&self, rows: &[(Uuid, Option<Uuid>)]) -> Vec<usize> {
        let mut up: BTreeMap<Uuid, Uuid> = self
            .nodes
            .iter()
            .filter_map(|(id, node)| Some((*id, *node.links.get("upid")?)))
            .collect();
        let mut refused = Vec::new();
        for (place, (id, parent)) in rows.iter().enumerate() {
            let before = up.remove(id);
            let mut at = *parent;
            while let Some(above) = at.filter(|above| above != id) {
                at = up.get(&above).copied();
            }
            let after = if at.is_some() { before } else { *parent };
            up.extend(after.map(|after| (*id, after)));
            refused.extend(at.map(|_| place));
        }
        refused
    }

    fn inherit(&mut self, lose: &Rights, gain: &Rights) {
        let keys: BTreeSet<(Uuid, Uuid)> = lose.keys().chain(gain.keys()).copied().collect();
        for key in keys {
            let share = self.shares.entry(key).or_default();
            let mask = |rights: &Rights| rights.get(&key).map_or(0, |rights| rights.1);
            share.1 = (share.1 & !mask(lose)) | mask(gain);
        }
        self.shares.retain(|_, (given, inherited)| *given | *inherited != 0);
    }

    /// Gives, changes or ends a share.
    fn share(&mut self, object: Uuid, principal: Uuid, mask: i32) {
        let before = self.shares.get(&(object, principal)).copied().unwrap_or_default();
        let (old, new) = (before.0 | before.1, mask | before.1);
        self.shares.insert((object, principal), (mask, before.1));
        let spread = |spreading, rights: i32| -> Rights {
            let mut reached = BTreeSet::from([object]);
            if rights != 0 {
                self.all_below(object, spreading, &mut reached);
            }
            reached.remove(&object);
            reached.into_iter().map(|row| ((row, principal), (0, rights))).collect()
        };
        let lose = spread(Spreading::Unshare, old & !new);
        let gain = spread(Spreading::Share, new);
        self.inherit(&lose, &gain);
        self.shares.retain(|_, (given, inherited)| *given | *inherited != 0);
    }

    /// What rows inherit that came under others, once they are there.
    fn moved(&mut self, moves: &[(Uuid, &'static str, Option<Uuid>, Option<Uuid>)]) {
        let (mut lose, mut gain) = (Rights::new(), Rights::new());
        for (child, column, from, to) in moves {
            let mut reached = BTreeSet::from([*child]);
            self.all_below(*child, Spreading::Reparent, &mut reached);
            for (end, rights) in [(from, &mut lose), (to, &mut gain)] {
                let Some(end) = *end else { continue };
                let link = LINKS.iter().find(|link| {
                    link.0 == self.table(*child) && link.1 == *column && link.2 == self.table(end)
                });
                let how = action(link.expect("the lookup has it"), Spreading::Reparent);
                let is_meant = Some(end) == *from || self.is_meant(how, *child, end, self);
                if how == CascadeAction::NoCascade || !is_meant {
                    continue;
                }
                for ((object, principal), (given, inherited)) in &self.shares {
                    if *object == end {
                        for row in &reached {
                            rights.entry((*row, *principal)).or_default().1 |=
                                (given | inherited) & !32;
                        }
                    }
                }
            }
        }
        lose.retain(|_, rights| rights.1 != 0);
        gain.retain(|_, rights| rights.1 != 0);
        self.inherit(&lose, &gain);
    }
}

// Random messages.

#[derive(Clone, Debug)]
struct Draft {
    /// Which row: a number among those there are, or a new one.
    row: u8,
    is_new: bool,
    owner: Option<u8>,
    state: Option<bool>,
    /// By column: nothing, none, or a row.
    links: [Option<Option<u8>>; 4],
}

#[derive(Clone, Debug)]
enum Message {
    Rows { table: &'static str, upserts: bool, rows: Vec<Draft> },
    Share { object: u8, principal: u8, mask: u8 },
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let link = || option::weighted(0.35, option::weighted(0.9, any::<u8>()));
    let draft = (
        any::<u8>(),
        proptest::bool::weighted(0.25),
        option::weighted(0.4, 1..4_u8),
        option::weighted(0.2, any::<bool>()),
        [link(), link(), link(), link()],
    );
    let draft = draft.prop_map(|(row, is_new, owner, state, links)| Draft {
        row,
        is_new,
        owner,
        state,
        links,
    });
    let rows = (any::<bool>(), any::<bool>(), vec(draft, 1..5)).prop_map(|(top, upserts, rows)| {
        Message::Rows { table: if top { TOP } else { MID }, upserts, rows }
    });
    let share = (any::<u8>(), 1..4_u8, 0..8_u8)
        .prop_map(|(object, principal, mask)| Message::Share { object, principal, mask });
    vec(prop_oneof![3 => rows, 2 => share], 1..25)
}

/// The bits of a random mask: read, write, create.
fn rights(mask: u8) -> i32 {
    [1, 2, 32]
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, bit)| bit)
        .sum()
}

/// A row that a message writes: what it is then.
struct Written {
    id: Uuid,
    is_new: bool,
    draft: Draft,
    links: Vec<(&'static str, Option<Uuid>)>,
}

fn written(model: &Model, table: &'static str, drafts: &[Draft], first: u128) -> Vec<Written> {
    let there: Vec<Uuid> =
        model.nodes.iter().filter(|(_, node)| node.table == table).map(|(id, _)| *id).collect();
    let all: Vec<Uuid> = model.nodes.keys().copied().collect();
    let mut seen = BTreeSet::new();
    let mut rows: Vec<Written> = Vec::new();
    for (place, draft) in drafts.iter().enumerate() {
        let is_new = draft.is_new || there.is_empty();
        let id = match is_new {
            true => id(first + place as u128),
            false => there[usize::from(draft.row) % there.len()],
        };
        if seen.insert(id) {
            rows.push(Written { id, is_new, draft: draft.clone(), links: Vec::new() });
        }
    }
    let new: Vec<Uuid> = rows.iter().filter(|row| row.is_new).map(|row| row.id).collect();
    for row in &mut rows {
        for (column, link) in columns_of(table).iter().zip(row.draft.links) {
            let Some(link) = link else { continue };
            let fits: Vec<Uuid> = all
                .iter()
                .map(|id| (*id, model.table(*id)))
                .chain(new.iter().map(|id| (*id, table)))
                .filter(|(_, of)| LINKS.iter().any(|l| (l.0, l.1, l.2) == (table, *column, *of)))
                .map(|(id, _)| id)
                .collect();
            let to = link.filter(|_| !fits.is_empty());
            row.links.push((column, to.map(|to| fits[usize::from(to) % fits.len()])));
        }
    }
    rows
}

fn cells(
    world: &World,
    model: &Model,
    table: &'static str,
    row: &Written,
    new: &[Uuid],
) -> Vec<Cell> {
    let mut cells: Vec<(&str, Value)> = Vec::new();
    let owner = row.draft.owner.or(row.is_new.then_some(1));
    if let Some(owner) = owner {
        cells.push(("ownerid", world.to("systemuser", user(owner))));
        cells.push(("owningbusinessunit", world.to("account", id(u128::from(owner)))));
    }
    if let Some(inactive) = row.draft.state.or(row.is_new.then_some(false)) {
        cells.push(("statecode", Value::Integer(i32::from(inactive))));
    }
    for (column, to) in &row.links {
        let value = to.map_or(Value::Null, |to| {
            let of = if new.contains(&to) { table } else { model.table(to) };
            world.to(of, to)
        });
        cells.push((column, value));
    }
    world.cells(table, &cells)
}

/// The operation of rows, and the model once it is run; none where it is refused, with the failing rows.
fn rows_of_message(
    world: &World,
    model: &Model,
    (table, upserts): (&'static str, bool),
    rows: &[Written],
) -> (WriteOp, Result<Model, Vec<usize>>) {
    let new: Vec<Uuid> = rows.iter().filter(|row| row.is_new).map(|row| row.id).collect();
    let op = if upserts {
        let row = |row: &Written| UpsertRow {
            cells: cells(world, model, table, row, &new),
            ..world.upsert_row(table, Some(RowKey::Id(row.id)), row.id, &[])
        };
        WriteOp::Upsert(world.upserts(table, rows.iter().map(row).collect()))
    } else if rows.iter().all(|row| row.is_new) {
        let row = |row: &Written| InsertRow {
            id: row.id,
            cells: cells(world, model, table, row, &new),
            binds: Vec::new(),
        };
        let mut insert = world.inserts(table, &[]);
        insert.rows = rows.iter().map(row).collect();
        WriteOp::Insert(insert)
    } else {
        let row = |row: &Written| UpdateRow {
            key: RowKey::Id(row.id),
            cells: cells(world, model, table, row, &new),
            binds: Vec::new(),
            expected_version: None,
        };
        let mut update = world.updates(table, &[]);
        update.rows = rows.iter().map(row).collect();
        WriteOp::Update(update)
    };
    let up: Vec<(usize, (Uuid, Option<Uuid>))> = rows
        .iter()
        .enumerate()
        .filter_map(|(place, row)| {
            let (_, to) = row.links.iter().find(|(column, _)| *column == "upid")?;
            Some((place, (row.id, *to)))
        })
        .collect();
    let moved: Vec<(Uuid, Option<Uuid>)> = up.iter().map(|(_, row)| *row).collect();
    let refused: Vec<usize> = model.loops(&moved).into_iter().map(|place| up[place].0).collect();
    if !refused.is_empty() {
        return (op, Err(refused));
    }
    let starts: Vec<(Uuid, u8)> = rows
        .iter()
        .filter(|row| !row.is_new)
        .filter_map(|row| Some((row.id, row.draft.owner?)))
        .collect();
    let assigned = model.assigned(&starts);
    let mut after = model.clone();
    let mut moves = Vec::new();
    for row in rows {
        let node = after.nodes.entry(row.id).or_insert(Node {
            table,
            owner: 1,
            unit: 1,
            state: 0,
            links: BTreeMap::new(),
        });
        if let Some(owner) = row.draft.owner {
            (node.owner, node.unit) = (owner, owner);
        }
        if let Some(inactive) = row.draft.state {
            node.state = i32::from(inactive);
        }
        for (column, to) in &row.links {
            let from = node.links.remove(column);
            node.links.extend(to.map(|to| (*column, to)));
            if from != *to {
                moves.push((row.id, *column, from, *to));
            }
        }
    }
    after.moved(&moves);
    for (row, owner) in assigned {
        let node = after.nodes.get_mut(&row).expect("it was there");
        (node.owner, node.unit) = (owner, owner);
    }
    (op, Ok(after))
}

async fn share_op(
    world: &World,
    object: Uuid,
    table: &str,
    principal: Uuid,
    mask: i32,
) -> Option<WriteOp> {
    let place = |name: &str| usize::from(world.column(SHARES, name).0);
    let rows = world.rows(SHARES).await;
    let row = rows.iter().find(|row| {
        row[place("objectid")] == Value::Guid(object)
            && row[place("principalid")] == Value::Guid(principal)
    });
    let inherited = row.map_or(0, |row| match row[place("inheritedaccessrightsmask")] {
        Value::Integer(mask) => mask,
        _ => 0,
    });
    let given = [("accessrightsmask", Value::Integer(mask))];
    match row.and_then(|row| row[0].as_id()) {
        None if mask == 0 => None,
        None => {
            let cells = [
                ("principalid", Value::Guid(principal)),
                ("principaltypecode", text("systemuser")),
                ("objectid", Value::Guid(object)),
                ("objecttypecode", text(table)),
                ("accessrightsmask", Value::Integer(mask)),
                ("inheritedaccessrightsmask", Value::Integer(0)),
            ];
            let new = Uuid::new_v5(&object, principal.as_bytes());
            Some(WriteOp::Insert(world.inserts(SHARES, &[(new, &cells)])))
        }
        Some(there) if mask | inherited == 0 => {
            Some(WriteOp::Delete(world.deletes(SHARES, &[there])))
        }
        Some(there) => Some(WriteOp::Update(world.updates(SHARES, &[(there, &given)]))),
    }
}

/// What the store holds, as the model says it; and the version of each row.
async fn held(world: &World) -> (Model, BTreeMap<Uuid, i64>) {
    let (mut model, mut versions) = (Model::default(), BTreeMap::new());
    for table in [TOP, MID] {
        let query = world.query(table);
        for row in rows_of(&query, &world.page(&query).await) {
            let value = |name: &str| &row[usize::from(world.column(table, name).0)];
            let id = row[0].as_id().expect("an id");
            let number = |value: &Value, first: u128| {
                let id = value.as_id().expect("it has one").as_u128();
                u8::try_from(id - first).expect("a small number")
            };
            let node = Node {
                table,
                owner: number(value("ownerid"), 0x500),
                unit: number(value("owningbusinessunit"), 0),
                state: match value("statecode") {
                    Value::Integer(state) => *state,
                    other => panic!("a state is a number, not {other:?}"),
                },
                links: columns_of(table)
                    .iter()
                    .filter_map(|column| Some((*column, value(column).as_id()?)))
                    .collect(),
            };
            if let Value::BigInt(version) = value("versionnumber") {
                versions.insert(id, *version);
            }
            model.nodes.insert(id, node);
        }
    }
    for row in world.rows(SHARES).await {
        let place = |name: &str| &row[usize::from(world.column(SHARES, name).0)];
        let mask = |name: &str| match place(name) {
            Value::Integer(mask) => *mask,
            other => panic!("a mask is a number, not {other:?}"),
        };
        let key = |name: &str| place(name).as_id().expect("an id");
        let kind = |name: &str| place(name).clone();
        let object = key("objectid");
        assert_eq!(
            kind("objecttypecode"),
            text(model.table(object)),
            "the table of what is shared"
        );
        assert_eq!(kind("principaltypecode"), text("systemuser"), "the kind of principal");
        let masks = (mask("accessrightsmask"), mask("inheritedaccessrightsmask"));
        let before = model.shares.insert((object, key("principalid")), masks);
        assert_eq!(before, None, "one row for each");
    }
    (model, versions)
}

async fn step(
    world: &World,
    model: &mut Model,
    message: &Message,
    place: usize,
) -> Result<(), String> {
    let (_, versions) = held(world).await;
    let (op, want) = match message {
        Message::Rows { table, upserts, rows } => {
            let mut rows = written(model, table, rows, 0x1000 + 16 * place as u128);
            if !upserts {
                let kind = rows[0].is_new;
                rows.retain(|row| row.is_new == kind);
                // Lookups to rows that are not made after all.
                let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
                for row in &mut rows {
                    row.links.retain(|(_, to)| {
                        to.is_none_or(|to| ids.contains(&to) || model.nodes.contains_key(&to))
                    });
                }
            }
            rows_of_message(world, model, (table, *upserts), &rows)
        }
        Message::Share { object, principal, mask } => {
            let all: Vec<Uuid> = model.nodes.keys().copied().collect();
            let Some(object) = all.get(usize::from(*object) % all.len().max(1)).copied() else {
                return Ok(());
            };
            let (principal, mask) = (user(*principal), rights(*mask));
            let op = share_op(world, object, model.table(object), principal, mask).await;
            let Some(op) = op else { return Ok(()) };
            let mut after = model.clone();
            after.share(object, principal, mask);
            (op, Ok(after))
        }
    };
    match (world.apply(vec![op]).await, want) {
        (Ok(_), Ok(after)) => {
            let (got, now) = held(world).await;
            if got != after {
                return Err(format!("after {message:?} holds {got:?}, the model {after:?}"));
            }
            for (id, node) in &after.nodes {
                let is_changed = model.nodes.get(id) != Some(node);
                if is_changed && now.get(id) <= versions.get(id) {
                    return Err(format!("{id} was changed and keeps its version"));
                }
            }
            *model = after;
            Ok(())
        }
        (Err(Error::Rejected { op: 0, rows }), Err(refused)) => {
            let column = world.column(TOP, "upid");
            let got: Vec<usize> = rows
                .iter()
                .filter(|row| row.reason == Reason::Loop { column })
                .map(|row| row.index)
                .collect();
            match got == refused && rows.len() == refused.len() {
                true => Ok(()),
                false => Err(format!("refuses {rows:?}, the model {refused:?}")),
            }
        }
        (got, want) => Err(format!("{message:?} answers {got:?}, the model {want:?}")),
    }
}

pub async fn random_messages_spread_as_the_model_says<H: Harness>() {
    for_cases(messages(), 24, async |messages: &Vec<Message>| {
        let (_harness, world) = open::<H>().await;
        let mut model = Model::default();
        for (place, message) in messages.iter().enumerate() {
            let done = step(&world, &mut model, message, place).await;
            done.map_err(|why| format!("message {place}: {why}"))?;
        }
        Ok(())
    })
    .await;
}

// By example.

/// Tops 1 and 2, 2 below 1; mids 11 to 13 below 1 by their columns; all are user 1's.
async fn tree<H: Harness>() -> (H, World) {
    let (harness, world) = open::<H>().await;
    let own = [
        ("ownerid", world.to("systemuser", user(1))),
        ("owningbusinessunit", world.to("account", id(1))),
        ("statecode", Value::Integer(0)),
    ];
    let with = |column: &'static str| [&own[..], &[(column, world.to(TOP, id(1)))]].concat();
    let second = with("upid");
    world.insert(TOP, &[(id(1), &own), (id(2), &second)]).await;
    let (all, active, owned) = (with("topid"), with("activeid"), with("ownedid"));
    world.insert(MID, &[(id(11), &all), (id(12), &active), (id(13), &owned)]).await;
    (harness, world)
}

async fn owner_of(world: &World, table: &str, number: u128) -> u128 {
    let owner = world.value(table, id(number), "ownerid").await;
    owner.as_id().expect("an owner").as_u128() - 0x500
}

fn assign(world: &World, owner: u8) -> WriteOp {
    let cells = [
        ("ownerid", world.to("systemuser", user(owner))),
        ("owningbusinessunit", world.to("account", id(u128::from(owner)))),
    ];
    WriteOp::Update(world.updates(TOP, &[(id(1), &cells)]))
}

pub async fn a_new_owner_goes_on_to_the_rows_that_a_relationship_means<H: Harness>() {
    let (_harness, world) = tree::<H>().await;
    world.update(MID, &[(id(12), &[("statecode", Value::Integer(1))])]).await;
    world.run(assign(&world, 2)).await;
    for (table, number, want) in
        [(TOP, 1, 2), (TOP, 2, 2), (MID, 11, 2), (MID, 12, 1), (MID, 13, 2)]
    {
        assert_eq!(owner_of(&world, table, number).await, want, "row {number}");
    }
    let unit = world.value(MID, id(11), "owningbusinessunit").await;
    assert_eq!(unit, world.to("account", id(2)), "the unit goes with the owner");
    assert_eq!(world.value(MID, id(11), "modifiedon").await, Value::DateTime(NOW));
    assert_eq!(world.value(MID, id(11), "modifiedby").await, world.to("systemuser", USER));
    // The same owner once more changes nothing else.
    world.update(MID, &[(id(11), &[("ownerid", world.to("systemuser", user(3)))])]).await;
    world.run(assign(&world, 2)).await;
    assert_eq!(owner_of(&world, MID, 11).await, 3);
    // 11 has another owner now, and so is meant by no relationship that asks for the same.
    world.run(assign(&world, 1)).await;
    assert_eq!(owner_of(&world, MID, 13).await, 1);
}

pub async fn a_row_that_would_be_above_itself_is_refused<H: Harness>() {
    let (_harness, world) = tree::<H>().await;
    let column = world.column(TOP, "upid");
    let up = |to| [("upid", world.to(TOP, id(to)))];
    let own = WriteOp::Update(world.updates(TOP, &[(id(1), &up(1))]));
    world.check_refused(own, &[(0, Reason::Loop { column })]).await;
    let two = WriteOp::Update(world.updates(TOP, &[(id(2), &[]), (id(1), &up(2))]));
    world.check_refused(two, &[(1, Reason::Loop { column })]).await;
    let new = WriteOp::Insert(world.inserts(TOP, &[(id(5), &up(6)), (id(6), &up(5))]));
    world.check_refused(new, &[(1, Reason::Loop { column })]).await;
    // Once 2 is free, 1 may come below it: in this order.
    let free = [("upid", Value::Null)];
    let (first, then) = ((id(2), &free[..]), up(2));
    world.run(WriteOp::Update(world.updates(TOP, &[first, (id(1), &then)]))).await;
    assert_eq!(world.value(TOP, id(1), "upid").await, world.to(TOP, id(2)));
}

pub async fn rows_that_a_new_owner_goes_on_to_are_checked<H: Harness>() {
    let (_harness, world) = tree::<H>().await;
    let before = world.contents_with_versions().await;
    let allowed = |name: &str| {
        let column = at(world.column(MID, name));
        query::Filter::IsNull { column, negated: true }
    };
    let check = |allowed, owners| Check {
        op: 0,
        table: world.table(TOP),
        rows: vec![CheckRow {
            row: 0,
            key: RowKey::Id(id(1)),
            must_exist: false,
            unless: Some(world.to("systemuser", user(2))),
        }],
        allowed: query::Filter::And(Vec::new()),
        unless: Some(world.column(TOP, "ownerid")),
        purpose: Purpose::Change,
        spreads: Spreads::By(Spreading::Assign),
        cascades: vec![(world.table(MID), allowed)],
        owners,
    };
    let apply = async |check: Check| {
        let (catalog, ops, checks) = (world.catalog.clone(), vec![assign(&world, 2)], vec![check]);
        world.store.apply(WriteSet { catalog, now: NOW, user: USER, ops, checks }).await
    };
    let denied =
        |number| Denial { row: 0, table: world.table(MID).id, id: Some(id(number)), exists: true };
    match apply(check(allowed("activeid"), None)).await {
        Err(Error::Denied { check: 0, rows }) => assert_eq!(rows, [denied(11), denied(13)]),
        other => panic!("11 and 13 may not be assigned, but {other:?}"),
    }
    assert_eq!(world.contents_with_versions().await, before, "nothing is kept");
    let others = Some(BTreeSet::from([user(3)]));
    apply(check(query::Filter::Or(Vec::new()), others)).await.expect("nobody gets that owner");
}
