//! Random queries over random rows: the engine must answer what the reference evaluator answers.

use crate::Error;
use crate::WriteOp;
use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::random::for_cases;
use crate::conformance::world::{USER, World, at, rows_of, text};
use model::{Date, Timestamp, Uuid, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};
use query::{BoundQuery, Compare, Filter, Match, Order};

const TABLE: &str = "ship_crate";

/// Pages of one query that are compared, at most.
const PAGES_MAX: usize = 5;

/// The columns that rows write; each takes its values from a pool.
const STORED: [&str; 18] = [
    "ship_label",
    "ship_trackingno",
    "ship_note",
    "ship_count",
    "ship_total",
    "ship_weight",
    "ship_ratio",
    "ship_price",
    "ship_length",
    "ship_fragile",
    "ship_sentat",
    "ship_arrivesat",
    "ship_dueon",
    "ship_size",
    "ship_serial",
    "ship_holder",
    "ownerid",
    "ship_sourcetable",
];

/// Columns that only read.
const COMPUTED: [&str; 5] =
    ["ship_title", "ship_price_base", "owninguser", "ship_nothing", "ship_crateid"];

const TEXTS: [&str; 10] = ["a", "A  ", "b", "Ab", "ä", "Ä b", "1", "%", "a_b", " a"];

/// Pairs of columns of one type.
const PAIRS: [(&str, &str); 5] = [
    ("ship_label", "ship_note"),
    ("ship_title", "ship_label"),
    ("ship_sentat", "ship_arrivesat"),
    ("ship_price", "ship_price_base"),
    ("ship_size", "ship_count"),
];

#[derive(Clone, Debug)]
struct Case {
    /// One number per stored column; 0 is null.
    rows: Vec<[u8; 18]>,
    queries: Vec<Query>,
}

#[derive(Clone, Debug)]
struct Query {
    filter: Option<Condition>,
    order: Vec<(usize, bool)>,
    key_descending: bool,
    size: u32,
    count_max: Option<u64>,
}

#[derive(Clone, Debug)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Compare { column: usize, compare: usize, value: u8 },
    Columns { pair: usize, compare: usize },
    IsNull { column: usize, negated: bool },
    In { column: usize, values: Vec<u8>, negated: bool },
    Text { column: usize, matches: usize, text: usize, negated: bool },
}

const COMPARES: [Compare; 6] = [
    Compare::Equal,
    Compare::NotEqual,
    Compare::Greater,
    Compare::GreaterOrEqual,
    Compare::Less,
    Compare::LessOrEqual,
];

fn column_name(number: usize) -> &'static str {
    STORED.get(number).copied().unwrap_or_else(|| COMPUTED[number - STORED.len()])
}

/// A value of the column's pool; 0 is null.
fn value(world: &World, column: &str, number: u8) -> Value {
    let Some(number) = number.checked_sub(1).map(usize::from) else {
        return Value::Null;
    };
    let small = i32::from([-7_i16, 0, 1, 2, 300][number % 5]);
    let decimal = |texts: [&str; 5]| Value::Decimal(texts[number % 5].parse().expect("a decimal"));
    match column {
        "ship_count" | "ship_size" | "ship_nothing" => Value::Integer(small),
        "ship_total" => Value::BigInt(i64::from(small) * 9_007_199_254_740_993),
        "ship_weight" => decimal(["-1.5", "0", "1.5", "10.05", "99999999999.99"]),
        "ship_ratio" => decimal(["-1.5", "0", "0.0000000001", "1.5", "10"]),
        "ship_price" | "ship_price_base" => {
            decimal(["-9", "0.0001", "10", "9.5", "922337203685477"])
        }
        "ship_length" => Value::Double([-0.1, 0.0, 0.1, 0.2, 1e10][number % 5]),
        "ship_fragile" => Value::Boolean(number.is_multiple_of(2)),
        "ship_sentat" | "ship_arrivesat" => Value::DateTime(Timestamp(i64::from(small) * 86_399)),
        "ship_dueon" => Value::Date(Date(small)),
        "ship_serial" | "ship_crateid" => {
            Value::Guid(Uuid::from_u128([1_u128, 2, 1 << 127, 1 << 64, u128::MAX][number % 5]))
        }
        "ship_holder" => match number % 3 {
            0 => world.to("account", id(1)),
            1 => world.to("contact", id(1)),
            _ => world.to("account", id(2)),
        },
        "ownerid" | "owninguser" => match number % 2 {
            0 => world.to("systemuser", USER),
            _ => world.to("team", id(9)),
        },
        _ => text(TEXTS[number % TEXTS.len()]),
    }
}

fn is_text(column: &str) -> bool {
    matches!(
        column,
        "ship_label" | "ship_trackingno" | "ship_note" | "ship_sourcetable" | "ship_title"
    )
}

fn conditions() -> impl Strategy<Value = Condition> {
    let column = || 0..STORED.len() + COMPUTED.len();
    let leaf = prop_oneof![
        4 => (column(), 0..6_usize, 1..12_u8).prop_map(|(column, compare, value)| {
            Condition::Compare { column, compare, value }
        }),
        1 => (0..PAIRS.len(), 0..6_usize)
            .prop_map(|(pair, compare)| Condition::Columns { pair, compare }),
        1 => (column(), any::<bool>())
            .prop_map(|(column, negated)| Condition::IsNull { column, negated }),
        2 => (column(), vec(1..12_u8, 0..4), any::<bool>()).prop_map(|(column, values, negated)| {
            Condition::In { column, values, negated }
        }),
        2 => (column(), 0..3_usize, 0..TEXTS.len(), any::<bool>()).prop_map(
            |(column, matches, text, negated)| Condition::Text { column, matches, text, negated },
        ),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Condition::And),
            vec(inner, 0..3).prop_map(Condition::Or),
        ]
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let query = (
        option::weighted(0.8, conditions()),
        vec((0..STORED.len() + COMPUTED.len(), any::<bool>()), 0..3),
        any::<bool>(),
        1..6_u32,
        option::of(0..8_u64),
    )
        .prop_map(|(filter, order, key_descending, size, count_max)| Query {
            filter,
            order,
            key_descending,
            size,
            count_max,
        });
    let row =
        proptest::array::uniform18(prop_oneof![1 => proptest::strategy::Just(0), 4 => 1..12_u8]);
    (vec(row, 0..14), vec(query, 1..30)).prop_map(|(rows, queries)| Case { rows, queries })
}

impl Query {
    fn bind(&self, world: &World) -> BoundQuery {
        let mut query = world.query(TABLE);
        query.filter = self.filter.as_ref().map(|filter| filter.bind(world));
        query.order[0].descending = self.key_descending;
        let mut order: Vec<Order> = Vec::new();
        for (column, descending) in &self.order {
            let column = at(world.column(TABLE, column_name(*column)));
            if order.iter().all(|before| before.column != column) && query.order[0].column != column
            {
                order.push(Order { column, descending: *descending });
            }
        }
        query.order.splice(0..0, order);
        query.paging.size = self.size;
        query.paging.look_ahead = true;
        query.count_max = self.count_max;
        query
    }
}

impl Condition {
    fn bind(&self, world: &World) -> Filter {
        let all = |parts: &[Condition]| parts.iter().map(|part| part.bind(world)).collect();
        let column = |name: &str| at(world.column(TABLE, name));
        match self {
            Self::And(parts) => Filter::And(all(parts)),
            Self::Or(parts) => Filter::Or(all(parts)),
            Self::Compare { column: number, compare, value } => {
                let name = column_name(*number);
                let value = operand(world, name, *value);
                // Lookups and yes/no columns have no order for a caller.
                let unordered = matches!(value, Value::Boolean(_)) || is_lookup(name);
                let compare = COMPARES[if unordered { compare % 2 } else { *compare }];
                Filter::Compare { column: column(name), compare, value }
            }
            Self::Columns { pair, compare } => {
                let (left, right) = PAIRS[*pair];
                let compare = COMPARES[*compare];
                Filter::CompareColumns { left: column(left), compare, right: column(right) }
            }
            Self::IsNull { column: number, negated } => {
                Filter::IsNull { column: column(column_name(*number)), negated: *negated }
            }
            Self::In { column: number, values, negated } => {
                let name = column_name(*number);
                let values = values.iter().map(|number| operand(world, name, *number)).collect();
                Filter::In { column: column(name), values, negated: *negated }
            }
            Self::Text { column: number, matches, text, negated } => {
                let name = Some(column_name(*number)).filter(|name| is_text(name));
                Filter::Text {
                    column: column(name.unwrap_or("ship_label")),
                    matches: [Match::Contains, Match::StartsWith, Match::EndsWith][*matches],
                    text: TEXTS[*text].into(),
                    negated: *negated,
                }
            }
        }
    }
}

fn is_lookup(column: &str) -> bool {
    matches!(column, "ship_holder" | "ownerid" | "owninguser")
}

/// The right side of a comparison: for lookups the id only.
fn operand(world: &World, column: &str, number: u8) -> Value {
    match value(world, column, number) {
        Value::Lookup(lookup) => Value::Guid(lookup.id),
        other => other,
    }
}

pub async fn random_queries_agree_with_the_evaluator<H: Harness>() {
    for_cases(cases(), 10, async |case: &Case| {
        let (_harness, world) = World::open::<H>().await;
        world.insert("account", &[(id(1), &[]), (id(2), &[])]).await;
        world.insert("contact", &[(id(1), &[])]).await;
        fill(&world, &case.rows).await?;
        let rows = world.rows(TABLE).await;
        for query in &case.queries {
            compare(&world, &rows, query.bind(&world)).await?;
        }
        Ok(())
    })
    .await;
}

/// Writes the rows that do not collide in a key with one before.
async fn fill(world: &World, rows: &[[u8; 18]]) -> Result<(), String> {
    for (place, row) in (0_u32..).zip(rows) {
        let cells: Vec<(&str, Value)> = STORED
            .iter()
            .zip(row)
            .map(|(column, number)| (*column, value(world, column, *number)))
            .collect();
        // Ids that sort by their first byte in another order than they are written in.
        let id = Uuid::from_u128(u128::from(place.wrapping_mul(0x9E37_79B1)) << 96 | 1);
        let op = WriteOp::Insert(world.inserts(TABLE, &[(id, &cells)]));
        match world.apply(vec![op]).await {
            Ok(_) | Err(Error::Rejected { .. }) => {}
            Err(other) => return Err(format!("insert fails with {other:?}")),
        }
    }
    Ok(())
}

/// Compares page after page.
async fn compare(world: &World, rows: &[Vec<Value>], mut query: BoundQuery) -> Result<(), String> {
    for place in 0..PAGES_MAX {
        let want = query::evaluate(&query, rows.iter().map(Vec::as_slice));
        let got = world.store.read(&query).await.map_err(|err| format!("read fails: {err:?}"))?;
        if got != want {
            return Err(format!(
                "page {place} of filter {:?} order {:?} paging {:?} is {:?} more {} count {:?}, \
                 should be {:?} more {} count {:?}",
                query.filter,
                query.order,
                query.paging,
                rows_of(&query, &got),
                got.more,
                got.count,
                rows_of(&query, &want),
                want.more,
                want.count
            ));
        }
        let Some(last) = rows_of(&query, &want).pop().filter(|_| want.more) else {
            return Ok(());
        };
        let value = |order: &Order| last[usize::from(order.column.column.0)].clone();
        query.paging.after = Some(query.order.iter().map(value).collect());
    }
    Ok(())
}
