//! Groups: keys, aggregates and the order of the answers, in plain code.
//!
//! Invariant: agrees with what `shape` says, to the last digit; sums of doubles may differ by rounding.

use super::{at, compare};
use crate::shape::{AVERAGE_MONEY_SCALE, AVERAGE_SCALE, Aggregate, GroupKey, GroupOrder, Groups};
use crate::tree::BoundQuery;
use model::{ColumnKind, Decimal, Value};
use rust_decimal::RoundingStrategy;
use std::cmp::Ordering;

type Row = Vec<Vec<Value>>;

/// The answers of all groups, in order.
pub(super) fn answers(query: &BoundQuery, groups: &Groups, found: &[Row]) -> Vec<Vec<Value>> {
    let key =
        |row: &Row| groups.keys.iter().map(|key| key_of(groups, *key, row)).collect::<Vec<_>>();
    let alike = |left: &[Value], right: &[Value]| {
        let mut pairs = left.iter().zip(right);
        pairs.all(|(left, right)| compare(left, right).is_eq())
    };
    let mut parts: Vec<(Vec<Value>, Vec<&Row>)> = Vec::new();
    if groups.keys.is_empty() {
        parts.push((Vec::new(), Vec::new()));
    }
    for row in found {
        let own = key(row);
        match parts.iter_mut().find(|(known, _)| alike(known, &own)) {
            Some((known, rows)) => {
                for (known, own) in known.iter_mut().zip(own) {
                    if let (Value::Text(first), Value::Text(second)) = (&*known, &own)
                        && second.as_bytes() < first.as_bytes()
                    {
                        *known = own;
                    }
                }
                rows.push(row);
            }
            None => parts.push((own, vec![row])),
        }
    }
    let mut answers: Vec<Vec<Value>> = parts
        .into_iter()
        .map(|(mut answer, rows)| {
            let told = groups.aggregates.iter().map(|one| aggregate(query, *one, &rows));
            answer.extend(told);
            answer
        })
        .collect();
    answers.sort_by(|left, right| {
        let mut keys = groups.order.iter().map(|order| {
            let nothing = &Value::Null;
            let place = order.place;
            let left = left.get(place).unwrap_or(nothing);
            directed(query, groups, *order, left, right.get(place).unwrap_or(nothing))
        });
        keys.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    });
    answers
}

fn directed(
    query: &BoundQuery,
    groups: &Groups,
    order: GroupOrder,
    left: &Value,
    right: &Value,
) -> Ordering {
    let key = groups.keys.get(order.place).filter(|key| key.part.is_none());
    let ordering = match key.and_then(|key| query.shape.label(key.column)) {
        Some(label) => label.rank(left).cmp(&label.rank(right)),
        None => compare(left, right),
    };
    if order.descending { ordering.reverse() } else { ordering }
}

fn key_of(groups: &Groups, key: GroupKey, row: &Row) -> Value {
    let value = at(row, key.column);
    match key.part {
        Some(part) => part.of(value, key.clock, &groups.calendar),
        None => value.clone(),
    }
}

fn aggregate(query: &BoundQuery, aggregate: Aggregate, rows: &[&Row]) -> Value {
    let count = |count: usize| Value::BigInt(i64::try_from(count).unwrap_or(i64::MAX));
    let Some(column) = aggregate.column() else { return count(rows.len()) };
    let mut values: Vec<&Value> =
        rows.iter().map(|row| at(row, column)).filter(|value| !value.is_null()).collect();
    match aggregate {
        Aggregate::Rows | Aggregate::Values(_) => count(values.len()),
        Aggregate::Distinct(_) => {
            let same = |left: &Value, right: &Value| match (left.as_id(), right.as_id()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => compare(left, right),
            };
            values.sort_by(|left, right| same(left, right));
            values.dedup_by(|left, right| same(left, right).is_eq());
            count(values.len())
        }
        Aggregate::Least(_) => values
            .into_iter()
            .min_by(|left, right| compare(left, right))
            .cloned()
            .unwrap_or(Value::Null),
        Aggregate::Greatest(_) => values
            .into_iter()
            .max_by(|left, right| compare(left, right))
            .cloned()
            .unwrap_or(Value::Null),
        Aggregate::Sum(_) => total(&values, false, 0),
        Aggregate::Average(_) => {
            let scale = match query.column(column).kind {
                ColumnKind::Money { .. } => AVERAGE_MONEY_SCALE,
                _ => AVERAGE_SCALE,
            };
            total(&values, true, scale)
        }
    }
}

/// The sum of values of one kind, or its quotient by their number.
fn total(values: &[&Value], average: bool, scale: u32) -> Value {
    let Some(first) = values.first() else { return Value::Null };
    let whole = || -> i128 {
        let number = |value: &&Value| match value {
            Value::Integer(number) => i128::from(*number),
            Value::BigInt(number) => i128::from(*number),
            _ => 0,
        };
        values.iter().map(number).sum()
    };
    let count = i128::try_from(values.len()).unwrap_or(i128::MAX);
    match (first, average) {
        (Value::Integer(_), false) => Value::BigInt(i64::try_from(whole()).unwrap_or(i64::MAX)),
        (Value::Integer(_), true) => {
            i32::try_from(whole() / count).map_or(Value::Null, Value::Integer)
        }
        (Value::BigInt(_), false) => {
            Decimal::try_from_i128_with_scale(whole(), 0).map_or(Value::Null, Value::Decimal)
        }
        (Value::BigInt(_), true) => {
            i64::try_from(whole() / count).map_or(Value::Null, Value::BigInt)
        }
        (Value::Double(_), _) => {
            let number = |value: &&Value| match value {
                Value::Double(number) => *number,
                _ => 0.0,
            };
            let sum: f64 = values.iter().map(number).sum();
            #[expect(clippy::cast_precision_loss, reason = "a count of rows in memory")]
            let rows = values.len() as f64;
            Value::Double(if average { sum / rows } else { sum })
        }
        (Value::Decimal(_), _) => {
            let number = |value: &&Value| match value {
                Value::Decimal(number) => *number,
                _ => Decimal::ZERO,
            };
            let sum: Decimal = values.iter().map(number).sum();
            Value::Decimal(match average {
                false => sum,
                true => (sum / Decimal::from(values.len()))
                    .round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero),
            })
        }
        _ => Value::Null,
    }
}
