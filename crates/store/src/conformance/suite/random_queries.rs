//! Random queries over random rows: the engine must answer what the reference evaluator answers.

use crate::Error;
use crate::WriteOp;
use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::random::{for_cases, number as setting};
use crate::conformance::world::{USER, World, at, rows_of, text};
use model::{Date, Table, Timestamp, Uuid, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};
use query::dates::{Calendar, Fiscal, PeriodKind, zone_of_code};
use query::shape::{
    Aggregate, Clock, DatePart, GroupKey, GroupOrder, Groups, LabelOrder, PerParent,
};
use query::{
    BoundQuery, ColumnRef, Compare, Exists, Filter, Hierarchy, Join, JoinKind, Line, Match, Order,
    Pattern, Rows,
};
use std::collections::HashMap;
use std::sync::OnceLock;

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

/// Patterns with wild cards inside.
const PATTERNS: [&str; 12] = [
    "_",
    "a_b",
    "%_b%",
    "[ab]",
    "[^a]%",
    "%[0-9]%",
    "[ä-ö]%b",
    "[A-B]_%",
    "a[_]b",
    "[",
    "%[%]",
    "_%_",
];

/// Columns of dates.
const DATES: [&str; 3] = ["ship_sentat", "ship_arrivesat", "ship_dueon"];

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
    /// One number per stored column, and one for the tags; 0 is null.
    rows: Vec<[u8; 19]>,
    queries: Vec<Query>,
}

/// What can be joined to a crate: the table, its column, and the column of the crate. Lookups that
/// point to one table and to several, both ways; texts, numbers and ids that mean no row.
const JOINS: [(&str, &str, &str); 8] = [
    ("account", "accountid", "ship_holder"),
    ("contact", "contactid", "ship_holder"),
    (TABLE, "ship_crateid", "ship_parent"),
    (TABLE, "ship_parent", "ship_crateid"),
    (TABLE, "ship_holder", "ship_holder"),
    (TABLE, "ship_label", "ship_note"),
    (TABLE, "ship_size", "ship_count"),
    (TABLE, "ship_serial", "ship_serial"),
];

/// A column of a source; the source counts modulo those there are.
type Place = (usize, usize);

#[derive(Clone, Debug)]
struct Query {
    joins: Vec<Joined>,
    filter: Option<Condition>,
    order: Vec<(Place, bool)>,
    skip: u32,
    key_descending: bool,
    size: u32,
    count_max: Option<u64>,
    shape: Shape,
}

/// What becomes of the rows.
#[derive(Clone, Debug)]
enum Shape {
    Each,
    /// Choices and yes/no columns are ordered by labels, which are the other way round.
    Labels,
    Groups {
        /// Columns, which part of a date, and whether by the local clock.
        keys: Vec<(Place, usize, bool)>,
        calendar: usize,
        /// Kinds of aggregates and columns.
        aggregates: Vec<(usize, usize)>,
        order: Vec<(usize, bool)>,
        counts_rows: bool,
    },
    PerParent {
        parent: usize,
        size: u32,
    },
}

const PARTS: [DatePart; 7] = [
    DatePart::Day,
    DatePart::Week,
    DatePart::Month,
    DatePart::Quarter,
    DatePart::Year,
    DatePart::FiscalPeriod,
    DatePart::FiscalYear,
];

/// Numbers of time zones, and fiscal calendars: with summer time, with half hours, with neither.
const CALENDARS: [(i32, Fiscal); 3] = [
    (110, Fiscal { month: 4, day: 6, kind: PeriodKind::Monthly }),
    (60, Fiscal { month: 7, day: 31, kind: PeriodKind::FourWeek }),
    (92, Fiscal { month: 1, day: 1, kind: PeriodKind::Quarterly }),
];

/// Columns that are added up: whole numbers, 64-bit numbers, decimals, money.
const NUMBERS: [&str; 6] =
    ["ship_count", "ship_total", "ship_weight", "ship_ratio", "ship_price", "ship_price_base"];

/// One of [`CALENDARS`]; each is made once.
fn calendar_of(number: usize) -> Calendar {
    static MADE: [OnceLock<Calendar>; CALENDARS.len()] =
        [const { OnceLock::new() }; CALENDARS.len()];
    let (zone, fiscal) = CALENDARS[number];
    let made = MADE[number].get_or_init(|| {
        let zone = zone_of_code(zone).expect("a zone");
        Calendar::default().with_zone(&zone).with_fiscal(fiscal)
    });
    made.clone()
}

const PARENTS: [&str; 3] = ["ship_parent", "ship_holder", "ownerid"];

#[derive(Clone, Debug)]
struct Joined {
    /// Which of [`JOINS`].
    what: usize,
    /// To which source; to the first when that is no crate.
    to: usize,
    kind: JoinKind,
    on: Option<Condition>,
}

#[derive(Clone, Debug)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Compare { column: Place, compare: usize, value: u8 },
    Columns { source: usize, pair: usize, compare: usize },
    IsNull { column: Place, negated: bool },
    In { column: Place, values: Vec<u8>, negated: bool },
    Text { column: Place, matches: usize, text: usize, negated: bool },
    Like { column: Place, pattern: usize, negated: bool },
    Choices { source: usize, set: u8, negated: bool },
    Ranges { source: usize, column: usize, bounds: Vec<i16>, negated: bool },
    Hierarchy { source: usize, key: bool, of: u32, under: bool, negated: bool },
    Exists { what: Box<Joined>, joins: Vec<Joined>, filter: Option<Box<Condition>>, negated: bool },
    Outer { pair: usize, compare: usize, to: usize, negated: bool },
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
    let leaf = prop_oneof![
        4 => (column(), 0..6_usize, 1..12_u8).prop_map(|(column, compare, value)| {
            Condition::Compare { column, compare, value }
        }),
        1 => (0..4_usize, 0..PAIRS.len(), 0..6_usize)
            .prop_map(|(source, pair, compare)| Condition::Columns { source, pair, compare }),
        1 => (column(), any::<bool>())
            .prop_map(|(column, negated)| Condition::IsNull { column, negated }),
        2 => (column(), vec(1..12_u8, 0..4), any::<bool>()).prop_map(|(column, values, negated)| {
            Condition::In { column, values, negated }
        }),
        2 => (column(), 0..3_usize, 0..TEXTS.len(), any::<bool>()).prop_map(
            |(column, matches, text, negated)| Condition::Text { column, matches, text, negated },
        ),
        1 => (column(), 0..PATTERNS.len(), any::<bool>()).prop_map(
            |(column, pattern, negated)| Condition::Like { column, pattern, negated },
        ),
        1 => (0..4_usize, 1..16_u8, any::<bool>())
            .prop_map(|(source, set, negated)| Condition::Choices { source, set, negated }),
        1 => (0..4_usize, 0..3_usize, vec(any::<i16>(), 1..4), any::<bool>()).prop_map(
            |(source, column, bounds, negated)| {
                Condition::Ranges { source, column, bounds, negated }
            },
        ),
        1 => (0..4_usize, any::<bool>(), 0..14_u32, any::<bool>(), any::<bool>()).prop_map(
            |(source, key, of, under, negated)| {
                Condition::Hierarchy { source, key, of, under, negated }
            },
        ),
        1 => (0..PAIRS.len(), 0..6_usize, 0..4_usize, any::<bool>()).prop_map(
            |(pair, compare, to, negated)| Condition::Outer { pair, compare, to, negated },
        ),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let related = (
            (0..JOINS.len(), 0..3_usize),
            vec((0..JOINS.len(), 0..3_usize, join_kinds()), 0..2),
            option::weighted(0.8, inner.clone()),
            any::<bool>(),
        );
        prop_oneof![
            2 => vec(inner.clone(), 0..3).prop_map(Condition::And),
            2 => vec(inner, 0..3).prop_map(Condition::Or),
            1 => related.prop_map(|((what, to), joins, filter, negated)| {
                let joined = |(what, to, kind)| Joined { what, to, kind, on: None };
                Condition::Exists {
                    what: Box::new(joined((what, to, JoinKind::Inner))),
                    joins: joins.into_iter().map(joined).collect(),
                    filter: filter.map(Box::new),
                    negated,
                }
            }),
        ]
    })
}

fn column() -> impl Strategy<Value = Place> {
    (0..4_usize, 0..STORED.len() + COMPUTED.len())
}

fn join_kinds() -> impl Strategy<Value = JoinKind> {
    proptest::sample::select(vec![JoinKind::Inner, JoinKind::Outer, JoinKind::First])
}

fn joins() -> impl Strategy<Value = Vec<Joined>> {
    let join = (0..JOINS.len(), 0..3_usize, join_kinds(), option::weighted(0.3, conditions()));
    let join = join.prop_map(|(what, to, kind, on)| Joined { what, to, kind, on });
    prop_oneof![2 => proptest::strategy::Just(Vec::new()), 3 => vec(join, 1..4)]
}

fn shapes() -> impl Strategy<Value = Shape> {
    let keys = vec((column(), 0..PARTS.len(), any::<bool>()), 0..3);
    let keys = (keys, 0..CALENDARS.len());
    let aggregates = vec((0..7_usize, 0..30_usize), 0..4);
    let groups = (keys, aggregates, vec((0..7_usize, any::<bool>()), 0..3), any::<bool>());
    prop_oneof![
        4 => proptest::strategy::Just(Shape::Each),
        1 => proptest::strategy::Just(Shape::Labels),
        3 => groups.prop_map(|((keys, calendar), aggregates, order, counts_rows)| Shape::Groups {
            keys,
            calendar,
            aggregates,
            order,
            counts_rows,
        }),
        1 => (0..PARENTS.len(), 0..4_u32)
            .prop_map(|(parent, size)| Shape::PerParent { parent, size }),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let query = (
        joins(),
        option::weighted(0.8, conditions()),
        vec((column(), any::<bool>()), 0..3),
        prop_oneof![3 => proptest::strategy::Just(0), 1 => 1..4_u32],
        any::<bool>(),
        1..6_u32,
        option::of(0..8_u64),
        shapes(),
    )
        .prop_map(|(joins, filter, order, skip, key_descending, size, count_max, shape)| Query {
            joins,
            skip,
            filter,
            order,
            key_descending,
            size,
            count_max,
            shape,
        });
    let row =
        proptest::array::uniform19(prop_oneof![1 => proptest::strategy::Just(0), 4 => 1..12_u8]);
    let queries = setting("SHEAF_QUERIES").and_then(|count| usize::try_from(count).ok());
    let queries = queries.map_or(1..30, |count| count.max(1)..count.max(1) + 1);
    (vec(row, 0..14), vec(query, queries)).prop_map(|(rows, queries)| Case { rows, queries })
}

impl Query {
    fn bind(&self, world: &World) -> BoundQuery {
        let mut query = world.query(TABLE);
        for joined in &self.joins {
            joined.add(world, &mut query);
            let on = joined.on.as_ref().map(|on| on.bind(world, &query, None));
            query.joins.last_mut().expect("one was pushed").on = on;
        }
        query.filter = self.filter.as_ref().map(|filter| filter.bind(world, &query, None));
        query.order[0].descending = self.key_descending;
        let mut order: Vec<Order> = Vec::new();
        for (place, descending) in &self.order {
            let (column, _) = place_of(world, &query, *place);
            if order.iter().all(|before| before.column != column) && query.order[0].column != column
            {
                order.push(Order { column, descending: *descending });
            }
        }
        order.append(&mut query.order);
        for (source, join) in (1..).zip(&query.joins) {
            let column = ColumnRef { source, column: join.table.primary_key };
            order.push(Order { column, descending: false });
        }
        let joined = order.iter().map(|order| order.column).filter(|column| column.source > 0);
        query.columns.extend(joined);
        query.order = order;
        query.paging.size = self.size;
        query.paging.skip = self.skip;
        query.paging.look_ahead = true;
        query.count_max = self.count_max;
        self.shape.bind(world, &mut query);
        query
    }
}

impl Shape {
    fn bind(&self, world: &World, query: &mut BoundQuery) {
        match self {
            Self::Each => {}
            Self::Labels => {
                let label = |name: &str, values: &[Value]| LabelOrder {
                    column: at(world.column(TABLE, name)),
                    values: values.to_vec(),
                };
                let sizes: Vec<Value> = [2, 1, 0].map(Value::Integer).to_vec();
                let flags: Vec<Value> = [true, false].map(Value::Boolean).to_vec();
                query.shape.labels =
                    vec![label("ship_size", &sizes), label("ship_fragile", &flags)];
                for label in &query.shape.labels {
                    let order = Order { column: label.column, descending: self.is_descending() };
                    query.order.retain(|known| known.column != order.column);
                    query.order.insert(0, order);
                }
            }
            Self::Groups { keys, calendar, aggregates, order, counts_rows } => {
                let key = |(place, part, is_local): &(Place, usize, bool)| {
                    let (column, name) = place_of(world, query, *place);
                    let is_date = matches!(name, "ship_sentat" | "ship_arrivesat" | "ship_dueon");
                    let clock = if *is_local { Clock::Local } else { Clock::Utc };
                    GroupKey { column, part: is_date.then_some(PARTS[*part]), clock }
                };
                let mut groups = Groups {
                    keys: keys.iter().map(key).collect(),
                    aggregates: aggregates
                        .iter()
                        .map(|(kind, number)| aggregate(world, *kind, *number))
                        .collect(),
                    order: Vec::new(),
                    counts_rows: *counts_rows,
                    calendar: calendar_of(*calendar),
                };
                if groups.width() == 0 {
                    groups.aggregates.push(Aggregate::Rows);
                }
                for (place, descending) in order {
                    let place = place % groups.width();
                    if groups.order.iter().all(|known| known.place != place) {
                        groups.order.push(GroupOrder { place, descending: *descending });
                    }
                }
                groups.complete_order();
                query.shape.rows = Rows::Groups(groups);
            }
            Self::PerParent { parent, size } => {
                let parent = at(world.column(TABLE, PARENTS[*parent]));
                query.paging.size = 1_000;
                query.paging.skip = 0;
                query.shape.rows = Rows::PerParent(PerParent { parent, size: *size });
            }
        }
    }

    fn is_descending(&self) -> bool {
        matches!(self, Self::Labels)
    }
}

/// An aggregate of the query's own table.
fn aggregate(world: &World, kind: usize, number: usize) -> Aggregate {
    let any = || at(world.column(TABLE, column_name(number % (STORED.len() + COMPUTED.len()))));
    let summed = || at(world.column(TABLE, NUMBERS[number % NUMBERS.len()]));
    let ordered = || {
        let dates = ["ship_sentat", "ship_dueon", "ship_length"];
        let name = dates.get(number % 9).unwrap_or(&NUMBERS[number % NUMBERS.len()]);
        at(world.column(TABLE, name))
    };
    match kind {
        0 => Aggregate::Rows,
        1 => Aggregate::Values(any()),
        2 => Aggregate::Distinct(any()),
        3 => Aggregate::Sum(summed()),
        4 => Aggregate::Average(summed()),
        5 => Aggregate::Least(ordered()),
        _ => Aggregate::Greatest(ordered()),
    }
}

impl Joined {
    /// The source and column that it joins to; none when no crate is among the sources.
    fn to(&self, world: &World, query: &BoundQuery) -> Option<ColumnRef> {
        let is_crate = |source: &u16| *query.source(*source).logical_name == *TABLE;
        let wished = number(self.to % (query.joins.len() + 1));
        let all = 0..=number(query.joins.len());
        let source = std::iter::once(wished).chain(all).find(is_crate)?;
        Some(ColumnRef { source, column: world.column(TABLE, JOINS[self.what].2) })
    }

    fn add(&self, world: &World, query: &mut BoundQuery) {
        let Some(to) = self.to(world, query) else { return };
        let (table, from, _) = JOINS[self.what];
        let (table, from) = (world.table(table), world.column(table, from));
        query.joins.push(Join { table, from, to, kind: self.kind, on: None });
    }
}

fn number(source: usize) -> u16 {
    u16::try_from(source).expect("few joins")
}

/// The column that is meant, and the crate's column whose pool has its values.
fn place_of(world: &World, query: &BoundQuery, place: Place) -> (ColumnRef, &'static str) {
    let source = number(place.0 % (query.joins.len() + 1));
    let table = query.source(source);
    let name = column_name(place.1);
    if *table.logical_name == *TABLE {
        return (ColumnRef { source, column: world.column(TABLE, name) }, name);
    }
    // Accounts and contacts have a name, and an id that a crate's serial may be.
    let (column, name) = match is_text(name) {
        true => (world.column(&table.logical_name, "name"), name),
        false => (table.primary_key, "ship_serial"),
    };
    (ColumnRef { source, column }, name)
}

impl Condition {
    /// `outer`: the query around the condition about other rows that this one is a part of.
    fn bind(&self, world: &World, query: &BoundQuery, outer: Option<&BoundQuery>) -> Filter {
        let all =
            |parts: &[Condition]| parts.iter().map(|part| part.bind(world, query, outer)).collect();
        match self {
            Self::And(parts) => Filter::And(all(parts)),
            Self::Or(parts) => Filter::Or(all(parts)),
            Self::Compare { column, compare, value } => {
                let (column, name) = place_of(world, query, *column);
                let value = operand(world, name, *value);
                // Lookups and yes/no columns have no order for a caller.
                let unordered = matches!(value, Value::Boolean(_)) || is_lookup(name);
                let compare = COMPARES[if unordered { compare % 2 } else { *compare }];
                Filter::Compare { column, compare, value }
            }
            Self::Columns { source, pair, compare } => {
                let (left, right) = PAIRS[*pair];
                let compare = COMPARES[*compare];
                let source = number(source % (query.joins.len() + 1));
                let of_crate = |source: &u16| *query.source(*source).logical_name == *TABLE;
                let (Some(source), true) = ([source, 0].into_iter().find(of_crate), of_crate(&0))
                else {
                    return Filter::And(Vec::new());
                };
                let left = ColumnRef { source, column: world.column(TABLE, left) };
                Filter::CompareColumns { left, compare, right: at(world.column(TABLE, right)) }
            }
            Self::IsNull { column, negated } => {
                let (column, _) = place_of(world, query, *column);
                Filter::IsNull { column, negated: *negated }
            }
            Self::In { column, values, negated } => {
                let (column, name) = place_of(world, query, *column);
                let values = values.iter().map(|number| operand(world, name, *number)).collect();
                Filter::In { column, values, negated: *negated }
            }
            Self::Text { column, matches, text, negated } => Filter::Text {
                column: text_place(world, query, *column),
                matches: [Match::Contains, Match::StartsWith, Match::EndsWith][*matches],
                text: TEXTS[*text].into(),
                negated: *negated,
            },
            Self::Exists { .. } | Self::Outer { .. } => self.bind_related(world, query, outer),
            Self::Like { .. }
            | Self::Choices { .. }
            | Self::Ranges { .. }
            | Self::Hierarchy { .. } => self.bind_wide(world, query),
        }
    }

    /// Conditions that are more than a comparison.
    fn bind_wide(&self, world: &World, query: &BoundQuery) -> Filter {
        match self {
            Self::Like { column, pattern, negated } => Filter::Like {
                column: text_place(world, query, *column),
                pattern: Pattern::parse(PATTERNS[*pattern]),
                negated: *negated,
            },
            Self::Choices { source, set, negated } => {
                let Some(source) = crate_source(query, *source) else {
                    return Filter::And(Vec::new());
                };
                let column = ColumnRef { source, column: world.column(TABLE, "ship_tags") };
                let values = (0..4).filter(|bit| set & (1 << bit) != 0).map(|bit| bit + 1);
                Filter::Choices { column, values: values.collect(), negated: *negated }
            }
            Self::Ranges { source, column, bounds, negated } => {
                let Some(source) = crate_source(query, *source) else {
                    return Filter::Or(Vec::new());
                };
                let name = DATES[*column];
                let bounds: std::collections::BTreeSet<i64> =
                    bounds.iter().flat_map(|at| [i64::from(*at), i64::from(*at) + 400]).collect();
                let value = |at: &i64| match name {
                    "ship_dueon" => Value::Date(Date(i32::try_from(*at).expect("small"))),
                    _ => Value::DateTime(Timestamp(*at * 86_399)),
                };
                let even = bounds.len() / 2 * 2;
                Filter::Ranges {
                    column: ColumnRef { source, column: world.column(TABLE, name) },
                    bounds: bounds.iter().take(even).map(value).collect(),
                    negated: *negated,
                }
            }
            Self::Hierarchy { source, key, of, under, negated } => {
                let Some(source) = crate_source(query, *source) else {
                    return Filter::Or(Vec::new());
                };
                let parent = world.column(TABLE, "ship_parent");
                let table = world.table(TABLE);
                let column = if *key { table.primary_key } else { parent };
                Hierarchy {
                    column: ColumnRef { source, column },
                    table,
                    parent,
                    of: crate_id(*of),
                    line: if *under { Line::Under } else { Line::Above },
                    negated: *negated,
                    among: of.is_multiple_of(2).then(|| {
                        let column = ColumnRef::root(world.column(TABLE, "ship_label"));
                        Filter::IsNull { column, negated: true }
                    }),
                    of_service: false,
                }
                .into()
            }
            _ => unreachable!("bound elsewhere"),
        }
    }

    /// Conditions about other rows, and with the row outside of one.
    fn bind_related(
        &self,
        world: &World,
        query: &BoundQuery,
        outer: Option<&BoundQuery>,
    ) -> Filter {
        match self {
            Self::Outer { pair, compare, to, negated } => {
                let (left, right) = PAIRS[*pair];
                let of_crate =
                    |query: &BoundQuery, source: u16| *query.source(source).logical_name == *TABLE;
                let Some(outside) = outer else { return Filter::Or(Vec::new()) };
                let source = number(to % (outside.joins.len() + 1));
                if !of_crate(query, 0) || !of_crate(outside, source) {
                    return Filter::Or(Vec::new());
                }
                Filter::CompareOuter {
                    column: at(world.column(TABLE, left)),
                    compare: COMPARES[*compare],
                    levels: 1,
                    outer: ColumnRef { source, column: world.column(TABLE, right) },
                    negated: *negated,
                }
            }
            Self::Exists { what, joins, filter, negated } => {
                let Some(to) = what.to(world, query) else { return Filter::And(Vec::new()) };
                let (table, from, _) = JOINS[what.what];
                let mut inner = world.query(table);
                joins.iter().for_each(|joined| joined.add(world, &mut inner));
                let mut exists = Exists::new(&inner.table, world.column(table, from), to);
                let filter = filter.as_ref().map(|filter| filter.bind(world, &inner, Some(query)));
                exists.filter = filter;
                exists.joins = inner.joins;
                exists.negated = *negated;
                exists.into()
            }
            _ => unreachable!("bound elsewhere"),
        }
    }
}

/// The column that is meant, if it holds text; else the label.
fn text_place(world: &World, query: &BoundQuery, (source, number): Place) -> ColumnRef {
    let label = STORED.iter().position(|name| *name == "ship_label");
    let number = Some(number).filter(|number| is_text(column_name(*number))).or(label);
    place_of(world, query, (source, number.expect("crates have a label"))).0
}

/// The source of crates that is meant; the first one where that has others; none without any.
fn crate_source(query: &BoundQuery, source: usize) -> Option<u16> {
    let of_crate = |source: &u16| *query.source(*source).logical_name == *TABLE;
    [number(source % (query.joins.len() + 1)), 0].into_iter().find(of_crate)
}

/// Ids that sort by their first byte in another order than they are written in.
fn crate_id(place: u32) -> Uuid {
    Uuid::from_u128(u128::from(place.wrapping_mul(0x9E37_79B1)) << 96 | 1)
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

/// The rows of every table that a query may read.
type Contents = HashMap<Box<str>, Vec<Vec<Value>>>;

pub async fn random_queries_agree_with_the_evaluator<H: Harness>() {
    for_cases(cases(), 10, async |case: &Case| {
        let (_harness, world) = World::open::<H>().await;
        let named = |name: &str| [("name", text(name))];
        world.insert("account", &[(id(1), &named("a")), (id(2), &named("Ä b"))]).await;
        world.insert("contact", &[(id(1), &named("A  "))]).await;
        fill(&world, &case.rows).await?;
        let mut contents = Contents::new();
        for table in [TABLE, "account", "contact"] {
            contents.insert(table.into(), world.rows(table).await);
        }
        for query in &case.queries {
            compare(&world, &contents, query.bind(&world)).await?;
        }
        Ok(())
    })
    .await;
}

/// Writes the rows that do not collide in a key with one before.
async fn fill(world: &World, rows: &[[u8; 19]]) -> Result<(), String> {
    let id = crate_id;
    let mut written: Vec<Uuid> = Vec::new();
    for (place, row) in (0_u32..).zip(rows) {
        let mut cells: Vec<(&str, Value)> = STORED
            .iter()
            .zip(row)
            .map(|(column, number)| (*column, value(world, column, *number)))
            .collect();
        // A tree: several crates share a parent, and one in four has none.
        let parent = written.get(written.len() / 2).filter(|_| row[0] % 4 > 0);
        cells.extend(parent.map(|parent| ("ship_parent", world.to(TABLE, *parent))));
        let tags: Box<[i32]> =
            (0..4).filter(|bit| row[18] & (1 << bit) != 0).map(|bit| bit + 1).collect();
        cells.extend((!tags.is_empty()).then_some(("ship_tags", Value::Choices(tags))));
        let op = WriteOp::Insert(world.inserts(TABLE, &[(id(place), &cells)]));
        match world.apply(vec![op]).await {
            Ok(_) => written.push(id(place)),
            Err(Error::Rejected { .. }) => {}
            Err(other) => return Err(format!("insert fails with {other:?}")),
        }
    }
    Ok(())
}

/// Compares page after page.
async fn compare(world: &World, contents: &Contents, mut query: BoundQuery) -> Result<(), String> {
    for place in 0..PAGES_MAX {
        let rows = |table: &Table| contents[&table.logical_name].iter().map(Vec::as_slice);
        let want = query::evaluate_joined(&query, rows);
        let got = world.store.read(&query).await.map_err(|err| format!("read fails: {err:?}"))?;
        if got != want {
            let joins: Vec<_> = query
                .joins
                .iter()
                .map(|join| (&join.table.logical_name, join.from, join.to, join.kind, &join.on))
                .collect();
            return Err(format!(
                "page {place} of joins {joins:?} filter {:?} order {:?} shape {:?} paging {:?} is {:?} \
                 more {} count {:?}, should be {:?} more {} count {:?}",
                query.filter,
                query.order,
                query.shape,
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
        match query.shape.rows {
            Rows::Each => {}
            Rows::Groups(_) => {
                query.paging.skip += query.paging.size;
                continue;
            }
            Rows::PerParent(_) => return Ok(()),
        }
        let value = |order: &Order| {
            let place = query.columns.iter().position(|column| *column == order.column);
            last[place.expect("what is ordered by is read")].clone()
        };
        query.paging.after = Some(query.order.iter().map(value).collect());
    }
    Ok(())
}
