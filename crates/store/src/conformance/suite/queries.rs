//! Reads: filters, orders, pages, counts.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{USER, World, at, rows_of, text};
use model::{Date, Decimal, Timestamp, Uuid, Value};
use query::{BoundQuery, ColumnRef, Compare, Filter, Match, Order, Page};

const TABLE: &str = "ship_crate";

const COMPARES: [Compare; 6] = [
    Compare::Equal,
    Compare::NotEqual,
    Compare::Greater,
    Compare::GreaterOrEqual,
    Compare::Less,
    Compare::LessOrEqual,
];

/// A column with three values, ascending.
type Ladder = (&'static str, [Value; 3]);

fn ladders(world: &World) -> Vec<Ladder> {
    let decimals =
        |texts: [&str; 3]| texts.map(|text| Value::Decimal(text.parse().expect("a decimal")));
    let instants = |seconds: [i64; 3]| seconds.map(|second| Value::DateTime(Timestamp(second)));
    vec![
        ("ship_label", ["B-10", "b-2", "É"].map(text)),
        ("ship_note", ["-", "1", "a\nb"].map(text)),
        ("ship_sourcetable", ["account", "contact", "ship_crate"].map(text)),
        ("ship_count", [i32::MIN, -1, 10].map(Value::Integer)),
        ("ship_total", [-10_000_000_000, 9, 9_007_199_254_740_993].map(Value::BigInt)),
        ("ship_weight", decimals(["-0.01", "9.5", "100000000000"])),
        ("ship_ratio", decimals(["-900000000", "-899999999.9999999999", "0.0000000001"])),
        ("ship_price", decimals(["-922337203685477", "99.9998", "99.9999"])),
        ("ship_length", [-1e10, 0.1, 0.2].map(Value::Double)),
        ("ship_sentat", instants([Timestamp::MIN.0, -1, Timestamp::MAX.0])),
        ("ship_arrivesat", instants([0, 1, 2])),
        ("ship_dueon", [-80_000, 0, 19_752].map(|day| Value::Date(Date(day)))),
        ("ship_size", [1, 2, 3].map(Value::Integer)),
        ("statecode", [0, 1, 2].map(Value::Integer)),
        (
            "ship_serial",
            [1, 0x8000_0000 << 64, u128::MAX].map(|number| Value::Guid(Uuid::from_u128(number))),
        ),
        (
            "ship_holder",
            [
                world.to("account", id(1)),
                world.to("contact", id(1)),
                world.to("account", Uuid::from_u128(u128::MAX)),
            ],
        ),
    ]
}

/// Crates whose values ascend in the order 3, 1, 2; crate 4 has none.
async fn ladder_rows<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    world.insert("account", &[(id(1), &[]), (Uuid::from_u128(u128::MAX), &[])]).await;
    world.insert("contact", &[(id(1), &[])]).await;
    let ladders = ladders(&world);
    let row = |rung: usize| -> Vec<(&str, Value)> {
        ladders.iter().map(|(column, values)| (*column, values[rung].clone())).collect()
    };
    let (low, middle, high) = (row(0), row(1), row(2));
    let rows = [(id(1), &middle[..]), (id(2), &high), (id(3), &low), (id(4), &[])];
    world.insert(TABLE, &rows).await;
    (harness, world)
}

fn column(world: &World, name: &str) -> ColumnRef {
    at(world.column(TABLE, name))
}

/// The numbers of the crates that a query answers, in order.
async fn answer(world: &World, query: &BoundQuery) -> Vec<u128> {
    let page = world.page(query).await;
    let key = query.columns.iter().position(|column| column.column == query.table.primary_key);
    let key = key.expect("the key is among the columns");
    let ids = rows_of(query, &page).into_iter().filter_map(|row| row[key].as_id());
    ids.map(|id| id.as_u128()).collect()
}

async fn check(world: &World, filter: Filter, want: &[u128]) {
    let mut query = world.query(TABLE);
    query.filter = Some(filter.clone());
    assert_eq!(answer(world, &query).await, want, "{filter:?}");
}

pub async fn comparisons_of_every_kind<H: Harness>() {
    let (_harness, world) = ladder_rows::<H>().await;
    let want: [&[u128]; 6] = [&[1], &[2, 3, 4], &[2], &[1, 2], &[3], &[1, 3]];
    for (name, values) in ladders(&world) {
        let column = column(&world, name);
        if name == "ship_holder" {
            // Only the id counts: the account and the contact with id 1 are equal.
            let value = Value::Guid(id(1));
            for (compare, want) in [(Compare::Equal, [1, 3]), (Compare::NotEqual, [2, 4])] {
                check(&world, Filter::Compare { column, compare, value: value.clone() }, &want)
                    .await;
            }
            continue;
        }
        for (compare, want) in COMPARES.into_iter().zip(want) {
            let value = values[1].clone();
            check(&world, Filter::Compare { column, compare, value }, want).await;
        }
    }
    let fragile = column(&world, "ship_fragile");
    world.update(TABLE, &[(id(1), &[("ship_fragile", Value::Boolean(true))])]).await;
    world.update(TABLE, &[(id(2), &[("ship_fragile", Value::Boolean(false))])]).await;
    for (compare, value, want) in [
        (Compare::Equal, true, &[1][..]),
        (Compare::Equal, false, &[2]),
        (Compare::NotEqual, true, &[2, 3, 4]),
        (Compare::NotEqual, false, &[1, 3, 4]),
    ] {
        let value = Value::Boolean(value);
        check(&world, Filter::Compare { column: fragile, compare, value }, want).await;
    }
    let key = column(&world, "ship_crateid");
    for (compare, want) in
        COMPARES.into_iter().zip([&[2][..], &[1, 3, 4], &[3, 4], &[2, 3, 4], &[1], &[1, 2]])
    {
        check(&world, Filter::Compare { column: key, compare, value: Value::Guid(id(2)) }, want)
            .await;
    }
}

pub async fn comparisons_of_text_are_folded<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let texts = ["Crate A", "crate a  ", "CRATE Ä", "crate ä", "ΟΔΟΣ", "İ", "   "];
    for (number, value) in (1..).zip(texts) {
        world.insert(TABLE, &[(id(number), &[("ship_label", text(value))])]).await;
    }
    let equal = |value: &str| Filter::Compare {
        column: column(&world, "ship_label"),
        compare: Compare::Equal,
        value: text(value),
    };
    check(&world, equal("CRATE a"), &[1, 2]).await;
    check(&world, equal("Crate Ä "), &[3, 4]).await;
    check(&world, equal("οδοσ"), &[5]).await;
    check(&world, equal("i\u{307}"), &[6]).await;
    check(&world, equal("i"), &[]).await;
    check(&world, equal(" "), &[7]).await;
    check(&world, equal(" crate a"), &[]).await;
    let above = Filter::Compare {
        column: column(&world, "ship_label"),
        compare: Compare::Greater,
        value: text("CRATE A"),
    };
    check(&world, above, &[3, 4, 5, 6]).await;
}

pub async fn comparisons_with_null<H: Harness>() {
    let (_harness, world) = ladder_rows::<H>().await;
    world.update(TABLE, &[(id(1), &[("ship_tags", Value::Choices(Box::new([2])))])]).await;
    for (name, _) in ladders(&world) {
        let column = column(&world, name);
        check(&world, Filter::IsNull { column, negated: false }, &[4]).await;
        check(&world, Filter::IsNull { column, negated: true }, &[1, 2, 3]).await;
    }
    let column = column(&world, "ship_tags");
    check(&world, Filter::IsNull { column, negated: false }, &[2, 3, 4]).await;
    check(&world, Filter::IsNull { column, negated: true }, &[1]).await;
}

pub async fn text_matches<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let texts = ["Blue crate", "crate, BLUE", "100%_[a-z]\\*?", "ΟΔΟΣ ä", "crate"];
    for (number, value) in (1..).zip(texts) {
        let cells = [("ship_label", text(value)), ("ship_note", text(value))];
        world.insert(TABLE, &[(id(number), &cells)]).await;
    }
    world.insert(TABLE, &[(id(6), &[])]).await;
    let cases: [(Match, &str, &[u128]); 17] = [
        (Match::Contains, "CRATE", &[1, 2, 5]),
        (Match::StartsWith, "Crate", &[2, 5]),
        (Match::EndsWith, "blue", &[2]),
        (Match::EndsWith, "crate ", &[]),
        (Match::StartsWith, "crate ", &[]),
        (Match::StartsWith, "BLUE ", &[1]),
        (Match::Contains, " ", &[1, 2, 4]),
        (Match::Contains, "%", &[3]),
        (Match::Contains, "_", &[3]),
        (Match::Contains, "[A-Z]", &[3]),
        (Match::Contains, "\\*?", &[3]),
        (Match::Contains, "Σ", &[4]),
        (Match::EndsWith, "Ä", &[4]),
        (Match::StartsWith, "οδος", &[]),
        (Match::Contains, "a", &[1, 2, 3, 5]),
        (Match::Contains, "'", &[]),
        (Match::StartsWith, "blue crate and more", &[]),
    ];
    for (matches, wanted, want) in cases {
        for name in ["ship_label", "ship_note"] {
            let column = column(&world, name);
            let filter = |negated| Filter::Text { column, matches, text: wanted.into(), negated };
            check(&world, filter(false), want).await;
            let others: Vec<u128> = (1..=6).filter(|number| !want.contains(number)).collect();
            check(&world, filter(true), &others).await;
        }
    }
}

pub async fn lists_of_values<H: Harness>() {
    let (_harness, world) = ladder_rows::<H>().await;
    for (name, values) in ladders(&world) {
        let column = column(&world, name);
        let values = match name {
            "ship_holder" => vec![Value::Guid(id(1)), Value::Guid(id(77))],
            _ => vec![values[0].clone(), values[1].clone()],
        };
        let one = |values: Vec<Value>, negated| Filter::In { column, values, negated };
        check(&world, one(values.clone(), false), &[1, 3]).await;
        check(&world, one(values, true), &[2, 4]).await;
        check(&world, one(Vec::new(), false), &[]).await;
        check(&world, one(Vec::new(), true), &[1, 2, 3, 4]).await;
    }
    let column = column(&world, "ship_label");
    let values = ["B-2 ", "é", "none"].map(text).to_vec();
    check(&world, Filter::In { column, values, negated: false }, &[1, 2]).await;
    let key = at(world.column(TABLE, "ship_crateid"));
    let values = (3..2_003).map(|number| Value::Guid(id(number))).collect();
    check(&world, Filter::In { column: key, values, negated: false }, &[3, 4]).await;
}

pub async fn columns_against_columns<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let pairs = [
        (text("a"), text("B")),
        (text("B "), text("b")),
        (text("c"), text("B")),
        (Value::Null, text("b")),
        (text("b"), Value::Null),
        (Value::Null, Value::Null),
    ];
    for (number, (left, right)) in (1..).zip(pairs) {
        world.insert(TABLE, &[(id(number), &[("ship_label", left), ("ship_note", right)])]).await;
    }
    let (left, right) = (column(&world, "ship_label"), column(&world, "ship_note"));
    let want: [&[u128]; 6] = [&[2], &[1, 3, 4, 5], &[3], &[2, 3], &[1], &[1, 2]];
    for (compare, want) in COMPARES.into_iter().zip(want) {
        check(&world, Filter::CompareColumns { left, compare, right }, want).await;
    }
}

pub async fn both_and_either<H: Harness>() {
    let (_harness, world) = ladder_rows::<H>().await;
    let is = |number: u128| Filter::Compare {
        column: column(&world, "ship_crateid"),
        compare: Compare::Equal,
        value: Value::Guid(id(number)),
    };
    let not = |number: u128| Filter::Compare {
        column: column(&world, "ship_crateid"),
        compare: Compare::NotEqual,
        value: Value::Guid(id(number)),
    };
    check(&world, Filter::And(Vec::new()), &[1, 2, 3, 4]).await;
    check(&world, Filter::Or(Vec::new()), &[]).await;
    check(&world, Filter::Or(vec![is(1), is(3), is(1)]), &[1, 3]).await;
    check(&world, Filter::And(vec![not(1), not(3)]), &[2, 4]).await;
    let mixed = Filter::And(vec![Filter::Or(vec![is(1), is(2), is(3)]), not(2)]);
    check(&world, mixed.clone(), &[1, 3]).await;
    check(&world, Filter::Or(vec![mixed, Filter::And(vec![is(4), not(1)])]), &[1, 3, 4]).await;
    let deep = (0..40).fold(is(2), |inner, _| Filter::And(vec![Filter::Or(vec![inner])]));
    check(&world, deep, &[2]).await;
}

pub async fn order_by_every_kind_in_both_directions<H: Harness>() {
    let (_harness, world) = ladder_rows::<H>().await;
    let mut names: Vec<&str> = ladders(&world).iter().map(|(name, _)| *name).collect();
    names.push("ship_fragile");
    let fragile = |value| [("ship_fragile", Value::Boolean(value))];
    let (no, yes) = (fragile(false), fragile(true));
    world.update(TABLE, &[(id(3), &no), (id(1), &yes), (id(2), &yes)]).await;
    for name in names {
        for (descending, want) in [(false, [4, 3, 1, 2]), (true, [2, 1, 3, 4])] {
            let mut query = world.query(TABLE);
            let first = Order { column: column(&world, name), descending };
            query.order[0].descending = descending;
            query.order.insert(0, first);
            assert_eq!(answer(&world, &query).await, want, "{name}, descending: {descending}");
        }
    }
}

pub async fn order_of_text_is_the_order_of_its_fold<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let texts =
        ["b", "A", "a ", "Z", "_", "é", "É", "z", "aa", "a b", "日本", "-a", "1", "🚢", "\u{ffee}"];
    for (number, value) in (1..).zip(texts) {
        world.insert(TABLE, &[(id(number), &[("ship_label", text(value))])]).await;
    }
    let mut want: Vec<(String, u128)> =
        texts.iter().map(|text| model::fold(text).into_owned()).zip(1..).collect();
    want.sort();
    let mut query = world.query(TABLE);
    query.order.insert(0, Order { column: column(&world, "ship_label"), descending: false });
    let want: Vec<u128> = want.into_iter().map(|(_, number)| number).collect();
    assert_eq!(answer(&world, &query).await, want);
}

/// Ten crates with ties and nulls in label and weight.
async fn tied<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let labels = ["a", "", "B", "A ", "", "b", "c", "a", "", "B"];
    for (number, label) in (1_u128..).zip(labels) {
        let weight = match number % 3 {
            0 => Value::Null,
            rest => Value::Decimal(Decimal::from(u64::try_from(rest).expect("1 or 2"))),
        };
        let cells = [("ship_label", text(label)), ("ship_weight", weight)];
        world.insert(TABLE, &[(id(11 - number), &cells)]).await;
    }
    (harness, world)
}

/// Reads page after page and checks what each says about the next.
async fn walk(world: &World, query: &BoundQuery, size: u32) -> Vec<u128> {
    let mut query = query.clone();
    query.paging.size = size;
    query.paging.look_ahead = true;
    let places: Vec<usize> =
        query.order.iter().map(|order| usize::from(order.column.column.0)).collect();
    let mut found = Vec::new();
    loop {
        let page = world.page(&query).await;
        let rows = rows_of(&query, &page);
        assert!(rows.len() <= usize::try_from(size).expect("a small size"));
        found.extend(rows.iter().filter_map(|row| row[0].as_id()).map(|id| id.as_u128()));
        if !page.more {
            return found;
        }
        assert!(found.len() < 100, "pages go on for ever: {found:?}");
        let last = rows.last().expect("a page before another one is not empty");
        query.paging.after = Some(places.iter().map(|place| last[*place].clone()).collect());
    }
}

pub async fn pages_follow_each_other_over_ties_and_nulls<H: Harness>() {
    let (_harness, world) = tied::<H>().await;
    let order = |name: &str, descending| Order { column: column(&world, name), descending };
    for directions in 0..8_u8 {
        let [first, second, third] = [1, 2, 4].map(|bit| directions & bit != 0);
        let mut query = world.query(TABLE);
        query.order = vec![
            order("ship_label", first),
            order("ship_weight", second),
            order("ship_crateid", third),
        ];
        let whole = answer(&world, &query).await;
        assert_eq!(whole.len(), 10);
        for size in [1, 2, 3, 9, 10, 11] {
            assert_eq!(walk(&world, &query, size).await, whole, "{:?} by {size}", query.order);
        }
    }
    // The row to start after need not exist any more.
    let mut query = world.query(TABLE);
    query.paging.after = Some(vec![Value::Guid(id(4))]);
    world.run(crate::WriteOp::Delete(world.deletes(TABLE, &[id(4)]))).await;
    assert_eq!(answer(&world, &query).await, [5, 6, 7, 8, 9, 10]);
}

pub async fn pages_look_ahead_only_when_asked<H: Harness>() {
    let (_harness, world) = tied::<H>().await;
    let cases =
        [(9, true, 9, true), (10, true, 10, false), (11, true, 10, false), (9, false, 9, false)];
    for (size, look_ahead, rows, more) in cases {
        let mut query = world.query(TABLE);
        query.paging.size = size;
        query.paging.look_ahead = look_ahead;
        let page = world.page(&query).await;
        assert_eq!((page.rows, page.more), (rows, more), "{size} {look_ahead}");
    }
    let mut query = world.query(TABLE);
    query.paging.size = 0;
    let page = world.page(&query).await;
    assert_eq!((page.rows, page.more, page.cells.len()), (0, false, 0));
    // Who only counts asks for no rows and no columns.
    query.columns.clear();
    query.count_max = Some(5_000);
    assert_eq!(world.page(&query).await, Page { count: Some(10), ..Page::default() });
}

pub async fn pages_in_parts_are_those_that_are_read_whole<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let labels: Vec<Value> = (0..1_101).map(|number| text(&format!("{:03}", number % 7))).collect();
    let cells: Vec<[(&str, Value); 1]> =
        labels.iter().map(|label| [("ship_label", label.clone())]).collect();
    let rows: Vec<(Uuid, &[(&str, Value)])> =
        (1..).map(id).zip(cells.iter().map(|cells| &cells[..])).collect();
    world.insert(TABLE, &rows).await;
    let mut query = world.query(TABLE);
    query.order.insert(0, Order { column: column(&world, "ship_label"), descending: true });
    query.paging.look_ahead = true;
    let width = query.columns.len();
    for (size, count_max) in
        [(1, None), (250, Some(2_000)), (251, None), (1_000, Some(9)), (1_101, None), (5_000, None)]
    {
        query.paging.size = size;
        query.count_max = count_max;
        let whole = world.page(&query).await;
        let mut cells = Vec::new();
        let take = &mut |part: &[Value]| {
            assert!(!part.is_empty() && part.len().is_multiple_of(width), "whole rows");
            cells.extend_from_slice(part);
        };
        let page = world.store.read_in_parts(&query, take).await.expect("a page");
        assert!(page.cells.is_empty());
        assert_eq!(Page { cells, ..page }, whole, "{size} rows");
    }
    query.filter = Some(Filter::Compare {
        column: column(&world, "ship_label"),
        compare: Compare::Equal,
        value: text("x"),
    });
    let page = world.store.read_in_parts(&query, &mut |_| panic!("no rows")).await;
    assert_eq!(page.expect("a page").rows, 0);
}

pub async fn counts_stop_at_their_cap<H: Harness>() {
    let (_harness, world) = tied::<H>().await;
    let mut query = world.query(TABLE);
    assert_eq!(world.page(&query).await.count, None);
    for (cap, want) in [(0, 1), (3, 4), (9, 10), (10, 10), (5_000, 10)] {
        query.count_max = Some(cap);
        assert_eq!(world.page(&query).await.count, Some(want), "{cap}");
    }
    // Filters count, pages do not.
    query.filter = Some(Filter::IsNull { column: column(&world, "ship_label"), negated: false });
    for after in [None, Some(vec![Value::Guid(id(6))]), Some(vec![Value::Guid(Uuid::max())])] {
        for size in [0, 1, 100] {
            query.paging.after = after.clone();
            query.paging.size = size;
            assert_eq!(world.page(&query).await.count, Some(3));
        }
    }
}

pub async fn output_columns_come_in_the_order_asked_for<H: Harness>() {
    let (_harness, world) = ladder_rows::<H>().await;
    let names = ["ship_count", "ship_crateid", "ship_title", "ship_label", "ship_count"];
    let mut query = world.query(TABLE);
    query.columns = names.map(|name| column(&world, name)).to_vec();
    // The order column is not among the output columns.
    query.order.insert(0, Order { column: column(&world, "ship_total"), descending: true });
    query.paging.size = 1;
    let label = text("É");
    let want = [Value::Integer(10), Value::Guid(id(2)), label.clone(), label, Value::Integer(10)];
    assert_eq!(world.page(&query).await.cells, want);
}

pub async fn filters_and_orders_work_on_computed_columns<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let (user, team) = (world.to("systemuser", USER), world.to("team", id(9)));
    let price = Value::Decimal(Decimal::from(5));
    let first = [("ownerid", user), ("ship_label", text("B")), ("ship_trackingno", text("1"))];
    let second = [("ownerid", team), ("ship_label", text("a")), ("ship_price", price.clone())];
    let third = [("ship_trackingno", text("b 0"))];
    world.insert(TABLE, &[(id(1), &first), (id(2), &second), (id(3), &third), (id(4), &[])]).await;
    let by = |name: &str| column(&world, name);
    let equal = |name: &str, value: Value| Filter::Compare {
        column: by(name),
        compare: Compare::Equal,
        value,
    };
    check(&world, equal("owninguser", Value::Guid(USER)), &[1]).await;
    check(&world, equal("owningteam", Value::Guid(id(9))), &[2]).await;
    check(&world, Filter::IsNull { column: by("owninguser"), negated: false }, &[2, 3, 4]).await;
    check(&world, equal("ship_price_base", price), &[2]).await;
    check(&world, equal("ship_title", text("b 1")), &[1]).await;
    let starts = Filter::Text {
        column: by("ship_title"),
        matches: Match::StartsWith,
        text: "B ".into(),
        negated: false,
    };
    check(&world, starts, &[1, 3]).await;
    check(&world, Filter::IsNull { column: by("ship_title"), negated: false }, &[4]).await;
    check(&world, Filter::IsNull { column: by("ship_nothing"), negated: true }, &[]).await;
    check(&world, equal("ship_nothing", Value::Integer(1)), &[]).await;
    let mut query = world.query(TABLE);
    query.order.insert(0, Order { column: by("ship_title"), descending: false });
    assert_eq!(answer(&world, &query).await, [4, 2, 3, 1]);
    query.order[0].column = by("ship_nothing");
    assert_eq!(answer(&world, &query).await, [1, 2, 3, 4]);
}
