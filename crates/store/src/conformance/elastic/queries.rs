//! Reads: one partition, all of them, pages, counts.

use super::ElasticHarness;
use super::world::{Place, World, at, by_id, text};
use crate::conformance::fixture::id;
use model::{Uuid, Value};
use query::{BoundQuery, Compare, Filter, Match, Order, Page};

const PARTITIONS: [Option<&str>; 3] = [Some("p"), Some("q"), None];

/// Ids 1 to 4 in three partitions each; the count of a row is `10 * partition + id`.
async fn filled<H: ElasticHarness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let mut writes = Vec::new();
    for (base, partition) in (0..).step_by(10).zip(PARTITIONS) {
        for number in 1..=4_i32 {
            let cells = [
                ("ship_count", Value::Integer(base + number)),
                ("ship_label", text(["even", "Odd "][number.unsigned_abs() as usize % 2])),
            ];
            writes.push(world.insert((id(number.unsigned_abs().into()), partition), &cells));
        }
    }
    world.write(writes).await;
    (harness, world)
}

/// The counts of the rows that a query answers.
async fn check(world: &World, query: &BoundQuery, partition: Option<&str>, want: &[i32]) {
    let got = counts(world, &world.rows(query, partition).await);
    assert_eq!(got, want, "{:?} {:?} in {partition:?}", query.filter, query.order);
}

fn counts(world: &World, rows: &[Vec<Value>]) -> Vec<i32> {
    let column = usize::from(world.column("ship_count").0);
    let count = |row: &Vec<Value>| match row[column] {
        Value::Integer(count) => count,
        ref other => panic!("{other:?} is no count"),
    };
    rows.iter().map(count).collect()
}

fn order(world: &World, columns: &[(&str, bool)]) -> Vec<Order> {
    let order = |(name, descending): &(&str, bool)| Order {
        column: at(world.column(name)),
        descending: *descending,
    };
    columns.iter().map(order).collect()
}

pub async fn a_page_of_a_partition_and_a_scan<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    check(&world, &world.query(), Some("p"), &[1, 2, 3, 4]).await;
    check(&world, &world.query(), Some("q"), &[11, 12, 13, 14]).await;
    check(&world, &world.query(), Some(&id(3).to_string()), &[23]).await;
    // Where the order says no more, a row without `partitionid` comes first (null).
    let all = [21, 1, 11, 22, 2, 12, 23, 3, 13, 24, 4, 14];
    check(&world, &world.query(), None, &all).await;
    // And where it does not name the partition, the text of the id is its partition.
    let mut query = world.query();
    query.order.truncate(1);
    check(&world, &query, None, &all).await;
}

pub async fn rows_are_found_by_id_within_a_partition<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    let mut query = world.query();
    query.filter = Some(by_id(&query, id(2)));
    check(&world, &query, Some("q"), &[12]).await;
    check(&world, &query, Some("none"), &[]).await;
    check(&world, &query, None, &[22, 2, 12]).await;
    let key = at(query.table.primary_key);
    let one_of = |numbers: &[u128], negated| Filter::In {
        column: key,
        values: numbers.iter().map(|number| Value::Guid(id(*number))).collect(),
        negated,
    };
    query.filter = Some(one_of(&[4, 1, 1, 9], false));
    check(&world, &query, Some("p"), &[1, 4]).await;
    query.filter = Some(one_of(&[4, 1], true));
    check(&world, &query, Some("p"), &[2, 3]).await;
    query.filter = Some(Filter::And(vec![
        Filter::And(Vec::new()),
        one_of(&[4, 1], false),
        by_id(&query, id(4)),
    ]));
    check(&world, &query, Some("p"), &[4]).await;
    query.filter = Some(Filter::Or(vec![by_id(&query, id(4)), by_id(&query, id(1))]));
    check(&world, &query, Some("p"), &[1, 4]).await;
}

pub async fn filters_and_orders_hold_in_both<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    let mut query = world.query();
    query.filter = Some(Filter::Text {
        column: at(world.column("ship_label")),
        matches: Match::StartsWith,
        text: "od".into(),
        negated: false,
    });
    query.order = order(&world, &[("ship_count", true), ("ship_pingid", false)]);
    check(&world, &query, Some("p"), &[3, 1]).await;
    check(&world, &query, None, &[23, 21, 13, 11, 3, 1]).await;
    query.order = order(&world, &[("ship_pingid", true), ("partitionid", true)]);
    check(&world, &query, Some("p"), &[3, 1]).await;
    check(&world, &query, None, &[13, 3, 23, 11, 1, 21]).await;
    query.filter = Some(Filter::Compare {
        column: at(world.column("partitionid")),
        compare: Compare::Equal,
        value: text("q"),
    });
    query.order = order(&world, &[("ship_label", false), ("ship_count", false)]);
    check(&world, &query, None, &[12, 14, 11, 13]).await;
    check(&world, &query, Some("p"), &[]).await;
}

/// Reads page after page and checks that they are the whole in pieces.
async fn check_pages(world: &World, mut query: BoundQuery, partition: Option<&str>) {
    let whole = counts(world, &world.rows(&query, partition).await);
    let column = usize::from(world.column("ship_count").0);
    query.paging.look_ahead = true;
    for size in 1..=5 {
        query.paging.size = size;
        query.paging.after = None;
        let mut pieces = Vec::new();
        loop {
            let page = world.page(&query, partition).await;
            let rows: Vec<Vec<Value>> =
                page.rows(query.columns.len()).map(<[Value]>::to_vec).collect();
            pieces.extend(counts(world, &rows));
            assert!(pieces.len() <= whole.len(), "pages end");
            let Some(last) = rows.last().filter(|_| page.more) else { break };
            assert_eq!(rows.len(), usize::try_from(size).unwrap_or(0), "pages are full");
            assert!(!last[column].is_null());
            let value = |order: &Order| last[usize::from(order.column.column.0)].clone();
            query.paging.after = Some(query.order.iter().map(value).collect());
        }
        assert_eq!(pieces, whole, "pages of {size} by {:?}", query.order);
    }
}

pub async fn pages_follow_each_other_in_a_partition<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    let mut query = world.query();
    check_pages(&world, query.clone(), Some("p")).await;
    query.order = order(&world, &[("ship_label", true), ("ship_pingid", false)]);
    check_pages(&world, query.clone(), Some("p")).await;
    query.order = order(&world, &[("ship_pingid", true)]);
    query.filter = Some(Filter::Compare {
        column: at(world.column("ship_count")),
        compare: Compare::NotEqual,
        value: Value::Integer(12),
    });
    check_pages(&world, query, Some("q")).await;
}

pub async fn pages_follow_each_other_over_partitions_that_share_ids<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    // Partitions whose fold is the same: only their bytes tell them apart.
    let twins: [Place<'_>; 3] = [(id(2), Some("P")), (id(2), Some("p ")), (id(2), Some("Q"))];
    for (count, place) in (100..).zip(twins) {
        world.run(world.insert(place, &[("ship_count", Value::Integer(count))])).await;
    }
    check_pages(&world, world.query(), None).await;
    let mut query = world.query();
    for columns in [
        &[("ship_pingid", true), ("partitionid", false)][..],
        &[("ship_label", false), ("ship_pingid", false), ("partitionid", true)],
        &[("partitionid", false), ("ship_pingid", false)],
    ] {
        query.order = order(&world, columns);
        check_pages(&world, query.clone(), None).await;
    }
}

pub async fn counts_stop_at_their_cap<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    let check = async |partition: Option<&str>, count_max: Option<u64>, want: Option<u64>| {
        let mut query = world.query();
        query.count_max = count_max;
        query.paging.size = 1;
        let first = world.page(&query, partition).await;
        assert_eq!((first.count, first.rows, first.more), (want, 1, false), "{count_max:?}");
        query.paging.after = Some(vec![Value::Guid(Uuid::max()), text("z")]);
        let Page { count, rows, .. } = world.page(&query, partition).await;
        assert_eq!((count, rows), (want, 0), "the count is of all pages");
    };
    check(Some("p"), None, None).await;
    check(Some("p"), Some(2), Some(3)).await;
    check(Some("p"), Some(3), Some(4)).await;
    check(Some("p"), Some(4), Some(4)).await;
    check(Some("p"), Some(100), Some(4)).await;
    check(None, Some(11), Some(12)).await;
    check(None, Some(100), Some(12)).await;
}

pub async fn output_columns_come_in_the_order_asked_for<H: ElasticHarness>() {
    let (_harness, world) = filled::<H>().await;
    let mut query = world.query();
    query.columns =
        ["ship_count", "partitionid", "ship_count"].map(|name| at(world.column(name))).to_vec();
    query.filter = Some(by_id(&query, id(1)));
    let one = Value::Integer(1);
    let want = vec![vec![one.clone(), text("p"), one]];
    assert_eq!(world.rows(&query, Some("p")).await, want);
    query.columns.clear();
    assert_eq!(world.page(&query, Some("p")).await.rows, 1);
}
