//! Tables whose rows pass owners and shares on to each other in every way, for the suite and for engines'
//! own tests.

use super::fixture::{
    TableBuilder, id, integer, key, lookup, options, owner, relationship, text as text_kind,
};
use super::world::{World, text};
use crate::{SchemaOp, WriteOp};
use model::{Cascade, CascadeAction, ColumnKind, DeleteAction, Ownership, Spreading, Uuid, Value};

pub(super) const TOP: &str = "ship_top";
pub(super) const MID: &str = "ship_mid";
pub(super) const SHARES: &str = "principalobjectaccess";

/// A relationship of the two tables: referencing table and column, referenced table, what it does on
/// assign, share, unshare, reparent.
pub(super) type Link = (&'static str, &'static str, &'static str, [CascadeAction; 4]);

const ALL: [CascadeAction; 4] = [CascadeAction::Cascade; 4];

pub(super) static LINKS: [Link; 7] = [
    (TOP, "upid", TOP, ALL),
    (MID, "topid", TOP, ALL),
    (MID, "activeid", TOP, [CascadeAction::Active; 4]),
    (MID, "ownedid", TOP, [CascadeAction::UserOwned; 4]),
    (
        MID,
        "anyid",
        TOP,
        [
            CascadeAction::Cascade,
            CascadeAction::Cascade,
            CascadeAction::NoCascade,
            CascadeAction::Cascade,
        ],
    ),
    (
        MID,
        "anyid",
        MID,
        [
            CascadeAction::NoCascade,
            CascadeAction::NoCascade,
            CascadeAction::Cascade,
            CascadeAction::UserOwned,
        ],
    ),
    (
        TOP,
        "midid",
        MID,
        [
            CascadeAction::Active,
            CascadeAction::UserOwned,
            CascadeAction::Cascade,
            CascadeAction::NoCascade,
        ],
    ),
];

pub(super) fn action(link: &Link, spreading: Spreading) -> CascadeAction {
    let [assign, share, unshare, reparent] = link.3;
    match spreading {
        Spreading::Assign => assign,
        Spreading::Share => share,
        Spreading::Unshare => unshare,
        Spreading::Reparent => reparent,
    }
}

pub(super) fn columns_of(table: &str) -> &'static [&'static str] {
    if table == TOP { &["upid", "midid"] } else { &["topid", "activeid", "ownedid", "anyid"] }
}

/// A user by its number.
pub fn user(number: u8) -> Uuid {
    id(0x500 + u128::from(number))
}

/// The tables, and users 1 to 3 as owners; business units are rows of `account`.
pub async fn make_tables(world: &mut World) {
    let mut ops = Vec::new();
    for (number, name) in [(20, TOP), (21, MID)] {
        let mut builder = TableBuilder::new(number, name)
            .column("name", text_kind(100))
            .modified()
            .column("ownerid", owner(&["systemuser", "team"]))
            .column("owningbusinessunit", lookup("owningbusinessunit", &["account"]))
            .column("statecode", ColumnKind::State { options: options(&[0, 1]) });
        for column in columns_of(name) {
            let tables: &[&str] = match *column {
                "anyid" => &[TOP, MID],
                "midid" => &[MID],
                _ => &[TOP],
            };
            builder = builder.column(column, lookup(column, tables));
        }
        let mut table = builder.build();
        table.ownership = Ownership::User;
        ops.push(SchemaOp::CreateTable(Box::new(table)));
    }
    let mut shares = TableBuilder::new(22, SHARES)
        .column("principalid", ColumnKind::Guid)
        .column("principaltypecode", ColumnKind::TableName)
        .column("objectid", ColumnKind::Guid)
        .column("objecttypecode", ColumnKind::TableName)
        .column("accessrightsmask", integer())
        .column("inheritedaccessrightsmask", integer())
        .build();
    shares.keys.push(key(&shares, "object_principal", &["objectid", "principalid"]));
    ops.push(SchemaOp::CreateTable(Box::new(shares)));
    for link in &LINKS {
        let name = format!("{}_{}_{}", link.0, link.1, link.2);
        let of = (link.0, link.1);
        let mut relationship = relationship(&name, of, link.2, DeleteAction::RemoveLink);
        relationship.cascade = Cascade {
            assign: action(link, Spreading::Assign),
            share: action(link, Spreading::Share),
            unshare: action(link, Spreading::Unshare),
            reparent: action(link, Spreading::Reparent),
            ..relationship.cascade
        };
        relationship.is_hierarchical = link.1 == "upid";
        ops.push(SchemaOp::AddRelationship(relationship));
    }
    world.change(ops).await.expect("the tables can be made");
}

/// A row of user 1 with so many rows of the other table below it: its id comes first, theirs follow.
pub async fn family(world: &World, first: u128, below: u128) {
    let own = [
        ("ownerid", world.to("systemuser", user(1))),
        ("owningbusinessunit", world.to("account", id(1))),
        ("statecode", Value::Integer(0)),
    ];
    world.insert(TOP, &[(id(first), &own)]).await;
    let cells = [&own[..], &[("topid", world.to(TOP, id(first)))]].concat();
    let rows: Vec<_> = (first + 1..=first + below).map(|row| (id(row), &cells[..])).collect();
    world.insert(MID, &rows).await;
}

/// Gives such a row to another user; then shares it with a third one.
pub fn spreading_ops(world: &World, first: u128) -> [WriteOp; 2] {
    let owner = [("ownerid", world.to("systemuser", user(2)))];
    let share = [
        ("principalid", Value::Guid(user(3))),
        ("principaltypecode", text("systemuser")),
        ("objectid", Value::Guid(id(first))),
        ("objecttypecode", text(TOP)),
        ("accessrightsmask", Value::Integer(1)),
        ("inheritedaccessrightsmask", Value::Integer(0)),
    ];
    [
        WriteOp::Update(world.updates(TOP, &[(id(first), &owner)])),
        WriteOp::Insert(world.inserts(SHARES, &[(id(first), &share)])),
    ]
}
