//! Reads whose answers are not the rows themselves: groups, first partners, first rows per parent.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{World, at, rows_of, text};
use model::{Date, Decimal, Timestamp, Value};
use query::dates::{Calendar, Fiscal, PeriodKind, zone_of_code};
use query::shape::{
    Aggregate, Clock, DatePart, GroupKey, GroupOrder, Groups, LabelOrder, PerParent,
};
use query::{BoundQuery, ColumnRef, Compare, Filter, Join, JoinKind, Order, Rows};

const TABLE: &str = "ship_crate";

fn column(world: &World, name: &str) -> ColumnRef {
    at(world.column(TABLE, name))
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().expect("a decimal"))
}

fn dated(world: &World, name: &str, part: DatePart, clock: Clock) -> GroupKey {
    GroupKey { column: column(world, name), part: Some(part), clock }
}

/// A query for groups: keys ascending.
fn grouped(world: &World, keys: &[GroupKey], aggregates: &[Aggregate]) -> BoundQuery {
    let mut query = world.query(TABLE);
    let (keys, aggregates) = (keys.to_vec(), aggregates.to_vec());
    let mut groups = Groups { keys, aggregates, ..Groups::default() };
    groups.complete_order();
    query.shape.rows = Rows::Groups(groups);
    query
}

async fn check(world: &World, query: &BoundQuery, want: &[&[Value]]) {
    let page = world.page(query).await;
    assert_eq!(rows_of(query, &page), want, "{:?}", query.shape);
}

/// Crates of size 1 with the largest numbers, and of size 2 with small ones.
async fn large_numbers<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let row = |count: i32, price: &str, ratio: &str, total: i64| {
        [
            ("ship_count", Value::Integer(count)),
            ("ship_price", decimal(price)),
            ("ship_ratio", decimal(ratio)),
            ("ship_total", Value::BigInt(total)),
            ("ship_size", Value::Integer(1)),
        ]
    };
    let rows = [
        row(i32::MAX, "922337203685477", "0.0000000001", i64::MAX),
        row(i32::MAX - 1, "922337203685477", "0.0000000001", i64::MAX),
        row(-3, "0.0001", "0", 1),
    ];
    let other = [("ship_size", Value::Integer(2)), ("ship_count", Value::Integer(-3))];
    let last = [("ship_size", Value::Integer(2)), ("ship_count", Value::Integer(-4))];
    world
        .insert(
            TABLE,
            &[
                (id(1), &rows[0]),
                (id(2), &rows[1]),
                (id(3), &rows[2]),
                (id(4), &other),
                (id(5), &last),
            ],
        )
        .await;
    (harness, world)
}

pub async fn groups_add_up_exactly<H: Harness>() {
    let (_harness, world) = large_numbers::<H>().await;
    let by = |name: &str| column(&world, name);
    let query = grouped(
        &world,
        &[by("ship_size").into()],
        &[
            Aggregate::Rows,
            Aggregate::Values(by("ship_price")),
            Aggregate::Distinct(by("ship_price")),
            Aggregate::Sum(by("ship_count")),
            Aggregate::Average(by("ship_count")),
            Aggregate::Sum(by("ship_price")),
            Aggregate::Average(by("ship_price")),
            Aggregate::Sum(by("ship_total")),
            Aggregate::Average(by("ship_total")),
            Aggregate::Average(by("ship_ratio")),
            Aggregate::Least(by("ship_price")),
            Aggregate::Greatest(by("ship_count")),
        ],
    );
    let big = Value::BigInt;
    check(
        &world,
        &query,
        &[
            &[
                Value::Integer(1),
                big(3),
                big(3),
                big(2),
                big(4_294_967_290),
                Value::Integer(1_431_655_763),
                decimal("1844674407370954.0001"),
                decimal("614891469123651.3334"),
                decimal("18446744073709551615"),
                big(6_148_914_691_236_517_205),
                decimal("0.0000000001"),
                decimal("0.0001"),
                Value::Integer(i32::MAX),
            ],
            &[
                Value::Integer(2),
                big(2),
                big(0),
                big(0),
                big(-7),
                Value::Integer(-3),
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Integer(-3),
            ],
        ],
    )
    .await;
}

pub async fn groups_of_text_are_made_by_its_fold<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    for (number, value) in (1..).zip(["b", "B ", "Ä", "ä", "", "a"]) {
        let cells = [("ship_label", text(value)), ("ship_note", text(value))];
        world.insert(TABLE, &[(id(number), &cells)]).await;
    }
    for name in ["ship_label", "ship_note", "ship_title"] {
        let key = column(&world, name);
        let query = grouped(&world, &[key.into()], &[Aggregate::Rows]);
        let one = |value: &str, count| [text(value), Value::BigInt(count)];
        let want = [one("", 1), one("a", 1), one("B ", 2), one("Ä", 2)];
        check(&world, &query, &want.each_ref().map(<[Value; 2]>::as_slice)).await;
        let query = grouped(&world, &[], &[Aggregate::Distinct(key), Aggregate::Values(key)]);
        check(&world, &query, &[&[Value::BigInt(3), Value::BigInt(5)]]).await;
    }
}

pub async fn dates_are_grouped_by_their_parts<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let days = ["1753-01-01", "1969-12-31", "2000-01-01", "2024-02-29", "2024-12-31"];
    for (number, day) in (1..).zip(days) {
        let day = Date::parse(day).expect("a day");
        // The last second of the day.
        let at = Value::DateTime(Timestamp(i64::from(day.0) * 86_400 + 86_399));
        let cells = [("ship_dueon", Value::Date(day)), ("ship_sentat", at)];
        world.insert(TABLE, &[(id(number), &cells)]).await;
    }
    world.insert(TABLE, &[(id(9), &[])]).await;
    let cases: [(DatePart, &[(i32, i64)]); 5] = [
        (DatePart::Day, &[(1, 2), (29, 1), (31, 2)]),
        (DatePart::Week, &[(1, 2), (9, 1), (53, 2)]),
        (DatePart::Month, &[(1, 2), (2, 1), (12, 2)]),
        (DatePart::Quarter, &[(1, 3), (4, 2)]),
        (DatePart::Year, &[(1753, 1), (1969, 1), (2000, 1), (2024, 2)]),
    ];
    for (part, want) in cases {
        for name in ["ship_dueon", "ship_sentat"] {
            let key = dated(&world, name, part, Clock::Utc);
            let query = grouped(&world, &[key], &[Aggregate::Rows]);
            let mut rows = vec![[Value::Null, Value::BigInt(1)]];
            rows.extend(
                want.iter().map(|(part, count)| [Value::Integer(*part), Value::BigInt(*count)]),
            );
            let rows: Vec<&[Value]> = rows.iter().map(<[Value; 2]>::as_slice).collect();
            check(&world, &query, &rows).await;
        }
    }
}

pub async fn instants_are_grouped_by_their_local_days<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    // Around the beginning and the end of summer time in Berlin, and of a day in the hours between.
    let instants = [
        "1753-01-01T00:00:00Z",
        "2024-03-30T22:59:59Z",
        "2024-03-30T23:00:00Z",
        "2024-03-31T21:59:59Z",
        "2024-03-31T22:00:00Z",
        "2024-10-27T22:59:59Z",
        "2024-10-27T23:00:00Z",
        "2024-12-31T23:00:00Z",
        "9999-12-31T22:59:59Z",
        "9999-12-31T23:00:00Z",
    ];
    for (number, at) in (1..).zip(instants) {
        let at = Timestamp::parse(at).expect("an instant");
        let cells = [("ship_sentat", Value::DateTime(at)), ("ship_dueon", Value::Date(at.date()))];
        world.insert(TABLE, &[(id(number), &cells)]).await;
    }
    let zone = zone_of_code(110).expect("Berlin");
    let fiscal = Fiscal { month: 4, day: 1, kind: PeriodKind::Monthly };
    let calendar = Calendar::default().with_zone(&zone).with_fiscal(fiscal);
    type Case = (DatePart, Clock, &'static [(i32, i64)]);
    let cases: [Case; 5] = [
        (DatePart::Day, Clock::Local, &[(1, 4), (27, 1), (28, 1), (30, 1), (31, 3)]),
        (DatePart::Day, Clock::Utc, &[(1, 1), (27, 2), (30, 2), (31, 5)]),
        (DatePart::Year, Clock::Local, &[(1753, 1), (2024, 6), (2025, 1), (9999, 1), (10000, 1)]),
        (DatePart::FiscalPeriod, Clock::Local, &[(1, 1), (7, 2), (9, 2), (10, 2), (12, 3)]),
        (DatePart::FiscalYear, Clock::Local, &[(1752, 1), (2023, 3), (2024, 4), (9999, 2)]),
    ];
    for (part, clock, want) in cases {
        let key = dated(&world, "ship_sentat", part, clock);
        // The same key twice, and a day beside it: parameters are handed over once.
        let days = dated(&world, "ship_dueon", DatePart::FiscalYear, clock);
        for more in [&[][..], &[key, days][..]] {
            let keys = [&[key], more].concat();
            let mut query = grouped(&world, &keys, &[Aggregate::Rows]);
            let Rows::Groups(groups) = &mut query.shape.rows else { unreachable!("it has groups") };
            groups.calendar = calendar.clone();
            query.count_max = Some(5_000);
            let page = world.page(&query).await;
            let mut got: Vec<(i32, i64)> = Vec::new();
            for row in rows_of(&query, &page) {
                let (Some(Value::Integer(part)), Some(Value::BigInt(count))) =
                    (row.first(), row.last())
                else {
                    panic!("a part and a count: {row:?}")
                };
                match got.last_mut().filter(|(known, _)| known == part) {
                    Some((_, sum)) => *sum += count,
                    None => got.push((*part, *count)),
                }
            }
            assert_eq!(got, want, "{part:?} {clock:?}");
        }
    }
}

pub async fn groups_are_ordered_paged_and_counted<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let mut number = 0;
    for (size, count) in [(1, 2), (2, 3), (3, 2)] {
        for _ in 0..count {
            number += 1;
            world.insert(TABLE, &[(id(number), &[("ship_size", Value::Integer(size))])]).await;
        }
    }
    let size = column(&world, "ship_size");
    let mut query = grouped(&world, &[size.into()], &[Aggregate::Rows]);
    let Rows::Groups(mut groups) = query.shape.rows.clone() else { unreachable!("it has groups") };
    groups.order = vec![GroupOrder { place: 1, descending: true }];
    groups.complete_order();
    query.shape.rows = Rows::Groups(groups.clone());
    let one = |size, count| vec![Value::Integer(size), Value::BigInt(count)];
    let want = [one(2, 3), one(1, 2), one(3, 2)];
    check(&world, &query, &want.each_ref().map(Vec::as_slice)).await;
    query.paging.size = 2;
    query.paging.look_ahead = true;
    query.count_max = Some(5_000);
    let page = world.page(&query).await;
    assert_eq!((page.rows, page.more, page.count), (2, true, Some(3)));
    query.paging.skip = 2;
    let page = world.page(&query).await;
    assert_eq!((rows_of(&query, &page), page.more), (vec![one(3, 2)], false));
    // The rows that are grouped are counted only as far as the limit goes.
    groups.counts_rows = true;
    query.shape.rows = Rows::Groups(groups.clone());
    for (max, want) in [(5, 6), (6, 7), (7, 7)] {
        query.count_max = Some(max);
        assert_eq!(world.page(&query).await.count, Some(want), "{max}");
    }
    // By label: three, one, two.
    groups.order = vec![GroupOrder { place: 0, descending: false }];
    query.shape.rows = Rows::Groups(groups);
    query.paging.skip = 0;
    query.paging.size = 5;
    let values = [3, 1, 2].map(Value::Integer).to_vec();
    query.shape.labels = vec![LabelOrder { column: size, values }];
    let page = world.page(&query).await;
    assert_eq!(rows_of(&query, &page), [one(3, 2), one(1, 2), one(2, 3)]);
}

pub async fn rows_without_keys_are_one_group<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let (count, nothing) = (column(&world, "ship_count"), column(&world, "ship_nothing"));
    let query = grouped(
        &world,
        &[],
        &[
            Aggregate::Rows,
            Aggregate::Sum(count),
            Aggregate::Sum(nothing),
            Aggregate::Values(nothing),
        ],
    );
    let of = |rows, sum| vec![Value::BigInt(rows), sum, Value::Null, Value::BigInt(0)];
    check(&world, &query, &[&of(0, Value::Null)]).await;
    let by_nothing = grouped(&world, &[nothing.into()], &[Aggregate::Rows]);
    check(&world, &by_nothing, &[]).await;
    world.insert(TABLE, &[(id(1), &[("ship_count", Value::Integer(5))]), (id(2), &[])]).await;
    check(&world, &query, &[&of(2, Value::BigInt(5))]).await;
    check(&world, &by_nothing, &[&[Value::Null, Value::BigInt(2)]]).await;
}

/// Crates 1 and 2 above 3 to 6; 7 has no parent.
async fn families<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    world.insert(TABLE, &[(id(1), &[]), (id(2), &[]), (id(7), &[])]).await;
    for (number, parent, weight) in [(3, 1, 3), (4, 1, 2), (5, 1, 1), (6, 2, 9)] {
        let weight = Value::Decimal(Decimal::from(weight));
        let cells = [("ship_parent", world.to(TABLE, id(parent))), ("ship_weight", weight)];
        world.insert(TABLE, &[(id(number), &cells)]).await;
    }
    (harness, world)
}

pub async fn the_first_partner_is_the_only_one<H: Harness>() {
    let (_harness, world) = families::<H>().await;
    let mut query = world.query(TABLE);
    let parent = world.column(TABLE, "ship_parent");
    let table = query.table.clone();
    let key = table.primary_key;
    query.joins.push(Join { table, from: parent, to: at(key), kind: JoinKind::First, on: None });
    let child = |column| ColumnRef { source: 1, column };
    query.columns = vec![at(key), child(key)];
    query.order.push(Order { column: child(key), descending: false });
    let found = async |query: &BoundQuery| -> Vec<(u128, u128)> {
        let rows = rows_of(query, &world.page(query).await);
        let number = |value: &Value| value.as_id().map_or(0, |id| id.as_u128());
        rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
    };
    let want = [(1, 3), (2, 6), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)];
    assert_eq!(found(&query).await, want);
    // What must hold for a partner counts before the first one is taken.
    let light = Filter::Compare {
        column: child(world.column(TABLE, "ship_weight")),
        compare: Compare::Less,
        value: Value::Decimal(Decimal::from(3)),
    };
    query.joins[0].on = Some(light);
    let want = [(1, 4), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)];
    assert_eq!(found(&query).await, want);
}

pub async fn every_parent_has_its_first_rows<H: Harness>() {
    let (_harness, world) = families::<H>().await;
    let parent = column(&world, "ship_parent");
    let check = async |ids: &[u128], size, descending, want: &[(u128, u128)]| {
        let mut query = world.query(TABLE);
        let values = ids.iter().map(|number| Value::Guid(id(*number))).collect();
        query.filter = Some(Filter::In { column: parent, values, negated: false });
        query.columns = vec![parent, at(query.table.primary_key)];
        query.order.insert(0, Order { column: column(&world, "ship_weight"), descending });
        query.shape.rows = Rows::PerParent(PerParent { parent, size });
        let page = world.page(&query).await;
        let number = |value: &Value| value.as_id().map_or(0, |id| id.as_u128());
        let rows = rows_of(&query, &page);
        let got: Vec<_> = rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
        assert_eq!(got, want, "{ids:?} {size} {descending}");
    };
    check(&[1, 2, 7], 10, false, &[(1, 5), (1, 4), (1, 3), (2, 6)]).await;
    check(&[2, 1], 2, true, &[(1, 3), (1, 4), (2, 6)]).await;
    check(&[1], 1, false, &[(1, 5)]).await;
    check(&[1], 0, false, &[]).await;
    check(&[7], 5, false, &[]).await;
}

pub async fn labels_order_pages_of_choices<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let sizes = [Some(1), Some(2), None, Some(3), Some(2), None];
    for (number, size) in (1..).zip(sizes) {
        let size = size.map_or(Value::Null, Value::Integer);
        world.insert(TABLE, &[(id(number), &[("ship_size", size)])]).await;
    }
    let size = column(&world, "ship_size");
    let values = [2, 3].map(Value::Integer).to_vec();
    // A value without a label comes after all others.
    for (descending, want) in [(false, [3, 6, 2, 5, 4, 1]), (true, [1, 4, 2, 5, 3, 6])] {
        let mut query = world.query(TABLE);
        query.order.insert(0, Order { column: size, descending });
        query.shape.labels = vec![LabelOrder { column: size, values: values.clone() }];
        query.columns = vec![at(query.table.primary_key), size];
        query.paging.size = 1;
        query.paging.look_ahead = true;
        let mut found = Vec::new();
        loop {
            let page = world.page(&query).await;
            let row = rows_of(&query, &page).pop().expect("a page is not empty");
            found.extend(row[0].as_id().map(|id| id.as_u128()));
            if !page.more || found.len() > 6 {
                break;
            }
            query.paging.after = Some(vec![row[1].clone(), row[0].clone()]);
        }
        assert_eq!(found, want, "descending: {descending}");
    }
}
