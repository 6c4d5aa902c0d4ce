//! Conditions about rows of other tables.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{World, at, rows_of, text};
use model::Value;
use query::{ColumnRef, Compare, Exists, Filter, Join, JoinKind};

const TABLE: &str = "ship_crate";
const LINE: &str = "ship_line";

/// Crates 1 to 4: 1 with lines `a` and `b`, 2 with line `b`, 3 with none, 4 inside of 1, with line `a`.
/// 1 and 2 are held by accounts, 3 by the contact that has the id of account 1.
async fn rows<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let named = |name: &str| [("name", text(name))];
    world.insert("account", &[(id(1), &named("Alpha")), (id(2), &named("Beta"))]).await;
    world.insert("contact", &[(id(1), &named("Carol"))]).await;
    for (number, holder, label) in [
        (1, world.to("account", id(1)), "one"),
        (2, world.to("account", id(2)), "two"),
        (3, world.to("contact", id(1)), "three"),
    ] {
        let cells = [("ship_holder", holder), ("ship_label", text(label))];
        world.insert(TABLE, &[(id(number), &cells)]).await;
    }
    world.insert(TABLE, &[(id(4), &[("ship_parent", world.to(TABLE, id(1)))])]).await;
    for (number, of, name) in [(11, 1, "a"), (12, 1, "b"), (13, 2, "b"), (14, 4, "a")] {
        let cells = [("ship_link", world.to(TABLE, id(of))), ("name", text(name))];
        world.insert(LINE, &[(id(number), &cells)]).await;
    }
    (harness, world)
}

async fn check(world: &World, filter: impl Into<Filter>, want: &[u128]) {
    let mut query = world.query(TABLE);
    let filter = filter.into();
    query.filter = Some(filter.clone());
    query.columns = vec![at(query.table.primary_key)];
    query.count_max = Some(100);
    let page = world.page(&query).await;
    let ids = rows_of(&query, &page).into_iter().filter_map(|row| row[0].as_id());
    assert_eq!(ids.map(|id| id.as_u128()).collect::<Vec<_>>(), want, "{filter:?}");
    assert_eq!(page.count, u64::try_from(want.len()).ok());
}

/// The lines of a crate.
fn lines(world: &World) -> Exists {
    let key = at(world.table(TABLE).primary_key);
    Exists::new(&world.table(LINE), world.column(LINE, "ship_link"), key)
}

fn named(world: &World, table: &str, source: u16, name: &str) -> Filter {
    let column = ColumnRef { source, column: world.column(table, "name") };
    Filter::Compare { column, compare: Compare::Equal, value: text(name) }
}

pub async fn rows_are_found_by_what_points_to_them<H: Harness>() {
    let (_harness, world) = rows::<H>().await;
    let a = || named(&world, LINE, 0, "A");
    check(&world, lines(&world), &[1, 2, 4]).await;
    check(&world, lines(&world).negate(), &[3]).await;
    check(&world, lines(&world).with(a()), &[1, 4]).await;
    check(&world, lines(&world).with(a()).negate(), &[2, 3]).await;
    check(&world, lines(&world).with(Filter::Or(Vec::new())), &[]).await;
    check(
        &world,
        Filter::And(vec![lines(&world).into(), lines(&world).with(a()).negate().into()]),
        &[2],
    )
    .await;
    check(
        &world,
        Filter::Or(vec![lines(&world).negate().into(), lines(&world).with(a()).into()]),
        &[1, 3, 4],
    )
    .await;
}

pub async fn rows_are_found_by_what_they_point_to<H: Harness>() {
    let (_harness, world) = rows::<H>().await;
    let account = world.table("account");
    let holder = at(world.column(TABLE, "ship_holder"));
    let held = || Exists::new(&account, account.primary_key, holder);
    // The contact has the id of an account: it is no account.
    check(&world, held(), &[1, 2]).await;
    check(&world, held().negate(), &[3, 4]).await;
    check(&world, held().with(named(&world, "account", 0, "beta")), &[2]).await;
    let parent = at(world.column(TABLE, "ship_parent"));
    let table = world.table(TABLE);
    check(&world, Exists::new(&table, table.primary_key, parent), &[4]).await;
    check(&world, Exists::new(&table, parent.column, at(table.primary_key)), &[1]).await;
    check(&world, Exists::new(&table, holder.column, holder), &[1, 2, 3]).await;
}

pub async fn conditions_about_other_rows_nest_and_join<H: Harness>() {
    let (_harness, world) = rows::<H>().await;
    let table = world.table(TABLE);
    let parent = world.column(TABLE, "ship_parent");
    // A crate with a crate inside that has a line `a`.
    let inside = || Exists::new(&table, parent, at(table.primary_key));
    check(&world, inside().with(lines(&world).with(named(&world, LINE, 0, "a")).into()), &[1])
        .await;
    check(&world, inside().with(lines(&world).with(named(&world, LINE, 0, "b")).into()), &[]).await;
    check(&world, inside().with(lines(&world).negate().into()).negate(), &[1, 2, 3, 4]).await;
    // A line whose crate is held by Alpha, the crate being joined inside.
    let mut joined = lines(&world);
    joined.joins = vec![
        Join {
            table: table.clone(),
            from: table.primary_key,
            to: at(world.column(LINE, "ship_link")),
            kind: JoinKind::Inner,
            on: None,
        },
        Join {
            table: world.table("account"),
            from: world.table("account").primary_key,
            to: ColumnRef { source: 1, column: world.column(TABLE, "ship_holder") },
            kind: JoinKind::Outer,
            on: None,
        },
    ];
    let alpha = named(&world, "account", 2, "Alpha");
    check(&world, joined.clone().with(alpha), &[1]).await;
    let nobody = ColumnRef { source: 2, column: world.table("account").primary_key };
    let nobody = Filter::IsNull { column: nobody, negated: false };
    check(&world, joined.with(nobody), &[4]).await;
}

pub async fn rows_are_compared_with_the_row_outside<H: Harness>() {
    let (_harness, world) = rows::<H>().await;
    let label = at(world.column(TABLE, "ship_label"));
    world.update(LINE, &[(id(13), &[("name", text("TWO"))])]).await;
    let name = at(world.column(LINE, "name"));
    let outer = |compare, negated| Filter::CompareOuter {
        column: name,
        compare,
        levels: 1,
        outer: label,
        negated,
    };
    check(&world, lines(&world).with(outer(Compare::Equal, false)), &[2]).await;
    // Crate 4 has no label: that differs, and is not equal.
    check(&world, lines(&world).with(outer(Compare::NotEqual, false)), &[1, 4]).await;
    check(&world, lines(&world).with(outer(Compare::Equal, true)), &[1, 4]).await;
    check(&world, lines(&world).with(outer(Compare::Less, false)), &[1]).await;
    check(&world, lines(&world).with(outer(Compare::Less, true)), &[2, 4]).await;
    let key = at(world.table(TABLE).primary_key);
    let other = Filter::Compare { column: key, compare: Compare::Equal, value: Value::Guid(id(2)) };
    let both = Filter::And(vec![other, lines(&world).with(outer(Compare::Equal, true)).into()]);
    check(&world, both, &[]).await;
}
