//! The reference evaluator: what a bound query answers over given rows, in plain code.
//!
//! In: a [`BoundQuery`] and the rows of its tables. Out: a [`Page`]. Pure; engines must agree with it.
//! Not here: parsing, SQL, speed. Invariant: [`compare`] is a total order on the values of one column,
//! nulls first, and filters, orders and keyset paging all use it.

mod exists;
mod group;
mod hierarchy;
mod world;

use crate::shape::{Rows, Shape};
use crate::tree::{
    BoundQuery, ColumnRef, Compare, Filter, Join, JoinKind, Match, Order, Page, table_of,
};
use model::{Catalog, ColumnIndex, Computed, Table, TableId, Value, fold, fold_part};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;
use world::{Meant, Place, World};

/// What a row of the answer is made of: a row of each source, completed. A source without a partner
/// has no values, which reads as null.
type Sources = [Vec<Value>];

/// Answers a query of one table from all its rows: nothing is joined, and no condition is about
/// other rows.
///
/// Shape: each row has one value per column of the table, by place; values in the places of computed
/// columns do not matter, and places that a row is too short for are null.
pub fn evaluate<'a>(query: &BoundQuery, rows: impl IntoIterator<Item = &'a [Value]>) -> Page {
    assert!(query.joins.is_empty(), "a query with joins needs the rows of every table");
    let rows: Vec<&[Value]> = rows.into_iter().collect();
    evaluate_joined(
        query,
        |table| if table.id == query.table.id { rows.clone() } else { Vec::new() },
    )
}

/// Answers a query from all rows of its tables, which `rows_of` gives.
///
/// Shape: as for [`evaluate`]. Cost: each join compares every row with every row.
pub fn evaluate_joined<'a, R>(query: &BoundQuery, rows_of: impl Fn(&Table) -> R) -> Page
where
    R: IntoIterator<Item = &'a [Value]>,
{
    let rows_of = |table: &Table| {
        let rows = rows_of(table).into_iter();
        rows.map(|row| complete(&query.catalog, table, row)).collect()
    };
    let world = World::new(&rows_of);
    let rows = world.rows(&query.table).iter().map(|row| vec![row.clone()]).collect();
    let found = joined(&world, &query.table, &query.joins, rows, None);
    answer(&world, query, found)
}

/// The rows with the partners that the joins give them.
fn joined(
    world: &World<'_>,
    table: &Arc<Table>,
    joins: &[Join],
    rows: Vec<Vec<Vec<Value>>>,
    outer: Option<&Place<'_>>,
) -> Vec<Vec<Vec<Value>>> {
    let mut found = rows;
    for join in joins {
        let partners = world.rows(&join.table);
        let with = |row| with_partners(world, table, joins, join, row, &partners, outer);
        found = found.into_iter().flat_map(with).collect();
    }
    found
}

/// A row beside each of its partners; alone or not at all when it has none.
fn with_partners(
    world: &World<'_>,
    table: &Arc<Table>,
    joins: &[Join],
    join: &Join,
    row: Vec<Vec<Value>>,
    partners: &[Vec<Value>],
    outer: Option<&Place<'_>>,
) -> Vec<Vec<Vec<Value>>> {
    let wanted = Meant::of(table_of(table, joins, join.to.source), join.to.column, &row, join.to);
    let beside = |partner: &[Value]| {
        let mut beside = row.clone();
        beside.push(partner.to_vec());
        beside
    };
    let mut found: Vec<Vec<Vec<Value>>> = partners
        .iter()
        .filter(|partner| wanted.is_in(&join.table, join.from, partner))
        .map(|partner| beside(partner))
        .filter(|beside| {
            let place = Place { world, table, joins, row: beside, outer };
            join.on.as_ref().is_none_or(|on| holds(on, &place))
        })
        .collect();
    if join.kind == JoinKind::First {
        let key = usize::from(join.table.primary_key.0);
        let id = |row: &Vec<Vec<Value>>| {
            row.last().and_then(|partner| partner.get(key)).and_then(Value::as_id)
        };
        found.sort_by_key(id);
        found.truncate(1);
    }
    if found.is_empty() && join.kind != JoinKind::Inner {
        found.push(beside(&[]));
    }
    found
}

/// The table whose row an id means: that of a lookup, or the one whose primary key it is.
fn table_meant(table: &Table, column: ColumnIndex, value: &Value) -> Option<TableId> {
    match value {
        Value::Lookup(lookup) => Some(lookup.table),
        Value::Guid(_) if column == table.primary_key => Some(table.id),
        _ => None,
    }
}

/// Filter, count, order and cut.
fn answer(world: &World<'_>, query: &BoundQuery, mut found: Vec<Vec<Vec<Value>>>) -> Page {
    let (table, joins) = (&query.table, query.joins.as_slice());
    found.retain(|row| {
        let place = Place { world, table, joins, row, outer: None };
        query.filter.as_ref().is_none_or(|filter| holds(filter, &place))
    });
    let counted = |rows: usize| {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        query.count_max.map(|max| rows.min(max.saturating_add(1)))
    };
    let count = counted(found.len());
    match &query.shape.rows {
        Rows::Each => {
            found.sort_by(|left, right| compare_sources(query, left, right));
            if let Some(after) = &query.paging.after {
                found.retain(|row| position(query, row, after) == Ordering::Greater);
            }
        }
        Rows::Groups(groups) => {
            let (count_rows, rows) = (count, group::answers(query, groups, &found));
            let count = if groups.counts_rows { count_rows } else { counted(rows.len()) };
            return cut(query, rows, count);
        }
        Rows::PerParent(of) => {
            found.retain(|row| !at(row, of.parent).is_null());
            found.sort_by(|left, right| {
                let parents = compare(at(left, of.parent), at(right, of.parent));
                parents.then_with(|| compare_sources(query, left, right))
            });
            let mut before = 0;
            let mut parent = Value::Null;
            found.retain(|row| {
                let own = at(row, of.parent);
                before = if *own == parent { before + 1 } else { 1 };
                parent = own.clone();
                before <= of.size
            });
        }
    }
    let row = |row: &Vec<Vec<Value>>| -> Vec<Value> {
        query.columns.iter().map(|column| at(row, *column).clone()).collect()
    };
    cut(query, found.iter().map(row).collect(), count)
}

/// The wanted part of the answers.
fn cut(query: &BoundQuery, mut rows: Vec<Vec<Value>>, count: Option<u64>) -> Page {
    let skipped = usize::try_from(query.paging.skip).unwrap_or(usize::MAX).min(rows.len());
    rows.drain(..skipped);
    let size = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
    let more = query.paging.look_ahead && rows.len() > size;
    rows.truncate(size);
    Page { rows: rows.len(), cells: rows.into_iter().flatten().collect(), more, count }
}

/// Orders two values of one column: nulls first, text by the bytes of its fold, guids by their bytes,
/// numbers by value, lookups by id and then by table.
///
/// A lookup against a guid compares the id only. Values of kinds that no column mixes are ordered by
/// kind, so that the order is total.
pub fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Text(left), Value::Text(right)) => {
            fold(left).as_bytes().cmp(fold(right).as_bytes())
        }
        (Value::Double(left), Value::Double(right)) => {
            left.partial_cmp(right).unwrap_or_else(|| left.total_cmp(right))
        }
        (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
        (Value::DateTime(left), Value::DateTime(right)) => left.cmp(right),
        (Value::Date(left), Value::Date(right)) => left.cmp(right),
        (Value::Guid(left), Value::Guid(right)) => left.cmp(right),
        (Value::Lookup(left), Value::Lookup(right)) => {
            left.id.cmp(&right.id).then(left.table.cmp(&right.table))
        }
        (Value::Lookup(left), Value::Guid(right)) => left.id.cmp(right),
        (Value::Guid(left), Value::Lookup(right)) => left.cmp(&right.id),
        (Value::Choices(left), Value::Choices(right)) => left.cmp(right),
        _ => match (exact(left), exact(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => rank(left).cmp(&rank(right)),
        },
    }
}

/// Orders two completed rows of the query's own table, as the query does; nothing is joined.
pub fn compare_rows(query: &BoundQuery, left: &[Value], right: &[Value]) -> Ordering {
    query
        .order
        .iter()
        .map(|order| {
            let place = usize::from(order.column.column.0);
            let left = left.get(place).unwrap_or(&Value::Null);
            let right = right.get(place).unwrap_or(&Value::Null);
            directed(&query.shape, order, left, right)
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_sources(query: &BoundQuery, left: &Sources, right: &Sources) -> Ordering {
    query
        .order
        .iter()
        .map(|order| directed(&query.shape, order, at(left, order.column), at(right, order.column)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Tells whether a filter about nothing but a row of this table lets it through.
///
/// Shape: as for [`evaluate`]. For a condition about other rows there are none.
pub fn matches(catalog: &Catalog, table: &Arc<Table>, filter: &Filter, row: &[Value]) -> bool {
    let world = World::new(&|_| Vec::new());
    let row = [complete(catalog, table, row)];
    holds(filter, &Place { world: &world, table, joins: &[], row: &row, outer: None })
}

/// The row with the values of its computed columns.
pub fn complete(catalog: &Catalog, table: &Table, row: &[Value]) -> Vec<Value> {
    table
        .indexed_columns()
        .map(|(index, _)| value(catalog, table, row, index).into_owned())
        .collect()
}

/// The value of a column: the stored one, or what the column is computed from.
fn value<'a>(
    catalog: &Catalog,
    table: &Table,
    row: &'a [Value],
    index: ColumnIndex,
) -> Cow<'a, Value> {
    // A computed column depends only on stored ones and on earlier computed ones: this ends.
    match &table.column(index).computed {
        None => Cow::Borrowed(row.get(usize::from(index.0)).unwrap_or(&Value::Null)),
        Some(Computed::Nothing) => Cow::Owned(Value::Null),
        Some(Computed::CopyOf { column }) => value(catalog, table, row, *column),
        Some(Computed::OwnerIn { owner, table: of }) => {
            let owner = value(catalog, table, row, *owner);
            let inside = match &*owner {
                Value::Lookup(lookup) => {
                    catalog.table(of).is_some_and(|table| table.id == lookup.table)
                }
                _ => false,
            };
            if inside { owner } else { Cow::Owned(Value::Null) }
        }
        Some(Computed::FullName { first, last }) => {
            let parts = [*first, *last].map(|part| value(catalog, table, row, part));
            let parts: Vec<&str> = parts
                .iter()
                .filter_map(|part| match &**part {
                    Value::Text(text) => Some(&**text),
                    _ => None,
                })
                .collect();
            Cow::Owned(Value::text(parts.join(" ")))
        }
    }
}

fn holds(filter: &Filter, place: &Place<'_>) -> bool {
    let row = place.row;
    match filter {
        Filter::And(parts) => parts.iter().all(|part| holds(part, place)),
        Filter::Or(parts) => parts.iter().any(|part| holds(part, place)),
        Filter::Compare { column, compare: how, value } => {
            let cell = at(row, *column);
            if cell.is_null() {
                *how == Compare::NotEqual
            } else {
                accepts(*how, compare(cell, value))
            }
        }
        Filter::CompareColumns { left, compare: how, right } => {
            compare_values(at(row, *left), *how, at(row, *right))
        }
        Filter::CompareOuter { column, compare: how, levels, outer, negated } => {
            let value = place.outside(*levels).map_or(&Value::Null, |row| at(row, *outer));
            compare_values(at(row, *column), *how, value) != *negated
        }
        Filter::IsNull { column, negated } => at(row, *column).is_null() != *negated,
        Filter::In { column, values, negated } => {
            let cell = at(row, *column);
            let found = !cell.is_null()
                && values.iter().any(|value| !value.is_null() && compare(cell, value).is_eq());
            found != *negated
        }
        Filter::Text { column, matches, text, negated } => {
            let found = match at(row, *column) {
                Value::Text(cell) => fits(*matches, &fold(cell), &fold_part(text)),
                _ => false,
            };
            found != *negated
        }
        Filter::Like { column, pattern, negated } => {
            let fits = match at(row, *column) {
                Value::Text(cell) => pattern.fits(&fold(cell)),
                _ => false,
            };
            fits != *negated
        }
        Filter::Ranges { column, bounds, negated } => {
            let cell = at(row, *column);
            let before = bounds.partition_point(|bound| compare(bound, cell).is_le());
            (!cell.is_null() && before % 2 == 1) != *negated
        }
        Filter::Choices { column, values, negated } => {
            let has = match at(row, *column) {
                Value::Choices(cell) => values.iter().any(|value| cell.contains(value)),
                _ => false,
            };
            has != *negated
        }
        Filter::Hierarchy(hierarchy) => {
            let id = at(row, hierarchy.column).as_id();
            id.is_some_and(|id| hierarchy::reached(hierarchy, place.world).contains(&id))
                != hierarchy.negated
        }
        Filter::Exists(exists) => exists::holds(exists, place),
    }
}

/// Two values of one row: null differs from what is not null, and compares with nothing else.
fn compare_values(left: &Value, how: Compare, right: &Value) -> bool {
    match (left.is_null(), right.is_null()) {
        (true, true) => false,
        (false, false) => accepts(how, compare(left, right)),
        _ => how == Compare::NotEqual,
    }
}

fn accepts(how: Compare, ordering: Ordering) -> bool {
    match how {
        Compare::Equal => ordering.is_eq(),
        Compare::NotEqual => ordering.is_ne(),
        Compare::Greater => ordering.is_gt(),
        Compare::GreaterOrEqual => ordering.is_ge(),
        Compare::Less => ordering.is_lt(),
        Compare::LessOrEqual => ordering.is_le(),
    }
}

fn fits(matches: Match, text: &str, wanted: &str) -> bool {
    match matches {
        Match::Contains => text.contains(wanted),
        Match::StartsWith => text.starts_with(wanted),
        Match::EndsWith => text.ends_with(wanted),
    }
}

/// Where a row stands against the values of the order columns of another one.
fn position(query: &BoundQuery, row: &Sources, other: &[Value]) -> Ordering {
    query
        .order
        .iter()
        .zip(other)
        .map(|(order, other)| directed(&query.shape, order, at(row, order.column), other))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn directed(shape: &Shape, order: &Order, left: &Value, right: &Value) -> Ordering {
    let ordering = match shape.label(order.column) {
        Some(label) => label.rank(left).cmp(&label.rank(right)),
        None => compare(left, right),
    };
    if order.descending { ordering.reverse() } else { ordering }
}

fn at(row: &Sources, column: ColumnRef) -> &Value {
    let source = row.get(usize::from(column.source));
    source.and_then(|row| row.get(usize::from(column.column.0))).unwrap_or(&Value::Null)
}

/// The exact number in a value of a number column; doubles are not exact.
fn exact(value: &Value) -> Option<Decimal> {
    match value {
        Value::Integer(number) => Some(Decimal::from(*number)),
        Value::BigInt(number) => Some(Decimal::from(*number)),
        Value::Decimal(number) => Some(*number),
        _ => None,
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Boolean(_) => 1,
        Value::Integer(_) | Value::BigInt(_) | Value::Decimal(_) => 2,
        Value::Double(_) => 3,
        Value::DateTime(_) => 4,
        Value::Date(_) => 5,
        Value::Guid(_) | Value::Lookup(_) => 6,
        Value::Text(_) => 7,
        Value::Choices(_) => 8,
    }
}

#[cfg(test)]
mod tests;
