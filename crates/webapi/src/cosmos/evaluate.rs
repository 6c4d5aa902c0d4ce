//! What a query says of one document: pure.
//!
//! A path that leads nowhere has no value; what compares with no value is neither true nor false, and a
//! document counts only where the condition is true. Values of different types are unequal and have
//! no order.

use super::parse::{Compare, Expr, Function, Items, Step};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Whether the condition is true for the document.
pub(super) fn holds(filter: &Expr, document: &Value) -> bool {
    truth(filter, document) == Some(true)
}

/// The result that a document gives; values that are not there are left out.
pub(super) fn project(items: &Items, document: &Value) -> Map<String, Value> {
    match items {
        Items::All | Items::Count(_) => document.as_object().cloned().unwrap_or_default(),
        Items::Named(named) => named
            .iter()
            .filter_map(|(name, expr)| Some((name.clone(), value(expr, document)?.into_owned())))
            .collect(),
    }
}

/// The sort keys of a document.
pub(super) fn keys(order: &[(Expr, bool)], document: &Value) -> Vec<Option<Value>> {
    order.iter().map(|(expr, _)| value(expr, document).map(Cow::into_owned)).collect()
}

/// The order of two documents by their keys: nothing, null, truth, numbers, texts, the rest.
pub(super) fn compare_keys(
    order: &[(Expr, bool)],
    left: &[Option<Value>],
    right: &[Option<Value>],
) -> Ordering {
    let mut pairs = order.iter().zip(left.iter().zip(right));
    pairs
        .find_map(|((_, descending), (left, right))| {
            let ordering =
                rank(left.as_ref()).cmp(&rank(right.as_ref())).then_with(|| match (left, right) {
                    (Some(left), Some(right)) => ordering(left, right).unwrap_or(Ordering::Equal),
                    _ => Ordering::Equal,
                });
            let ordering = if *descending { ordering.reverse() } else { ordering };
            (ordering != Ordering::Equal).then_some(ordering)
        })
        .unwrap_or(Ordering::Equal)
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Number(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(Value::Array(_)) => 5,
        Some(Value::Object(_)) => 6,
    }
}

fn truth(expr: &Expr, document: &Value) -> Option<bool> {
    match expr {
        Expr::And(parts) => joined(parts, document, false),
        Expr::Or(parts) => joined(parts, document, true),
        Expr::Not(inner) => truth(inner, document).map(|truth| !truth),
        Expr::Compare(left, compare, right) => {
            compared(&*value(left, document)?, *compare, &*value(right, document)?)
        }
        Expr::In(left, values) => {
            let left = value(left, document)?;
            let mut values = values.iter().filter_map(|one| value(one, document));
            Some(values.any(|one| equal(&left, &one)))
        }
        Expr::Between(middle, low, high) => {
            let middle = value(middle, document)?;
            let low = compared(&middle, Compare::GreaterOrEqual, &*value(low, document)?)?;
            let high = compared(&middle, Compare::LessOrEqual, &*value(high, document)?)?;
            Some(low && high)
        }
        Expr::Path(_) | Expr::Literal(_) | Expr::Call(..) => match *value(expr, document)? {
            Value::Bool(truth) => Some(truth),
            _ => None,
        },
    }
}

/// `or` where `decides` is true, `and` where it is false: one such part decides; else one that is
/// neither true nor false leaves the whole so.
fn joined(parts: &[Expr], document: &Value, decides: bool) -> Option<bool> {
    let mut all_known = true;
    for part in parts {
        match truth(part, document) {
            Some(truth) if truth == decides => return Some(decides),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decides)
}

fn value<'a>(expr: &'a Expr, document: &'a Value) -> Option<Cow<'a, Value>> {
    match expr {
        Expr::Path(steps) => {
            let mut at = document;
            for step in steps {
                at = match step {
                    Step::Name(name) => at.as_object()?.get(name)?,
                    Step::Index(index) => at.as_array()?.get(*index)?,
                };
            }
            Some(Cow::Borrowed(at))
        }
        Expr::Literal(value) => Some(Cow::Borrowed(value)),
        Expr::Call(function, arguments) => {
            let argument = |place: usize| arguments.get(place).and_then(|one| value(one, document));
            let text = |place| argument(place).and_then(|value| value.as_str().map(str::to_owned));
            let result = match function {
                Function::IsDefined => Value::Bool(argument(0).is_some()),
                Function::IsNull => Value::Bool(argument(0).is_some_and(|value| value.is_null())),
                Function::StartsWith => Value::Bool(text(0)?.starts_with(&text(1)?)),
                Function::Contains => Value::Bool(text(0)?.contains(&text(1)?)),
                Function::Lower => Value::String(text(0)?.to_lowercase()),
                Function::Upper => Value::String(text(0)?.to_uppercase()),
            };
            Some(Cow::Owned(result))
        }
        _ => truth(expr, document).map(|truth| Cow::Owned(Value::Bool(truth))),
    }
}

fn compared(left: &Value, compare: Compare, right: &Value) -> Option<bool> {
    match compare {
        Compare::Equal => Some(equal(left, right)),
        Compare::NotEqual => Some(!equal(left, right)),
        Compare::Less => ordering(left, right).map(Ordering::is_lt),
        Compare::LessOrEqual => ordering(left, right).map(Ordering::is_le),
        Compare::Greater => ordering(left, right).map(Ordering::is_gt),
        Compare::GreaterOrEqual => ordering(left, right).map(Ordering::is_ge),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match ordering(left, right) {
        Some(ordering) => ordering.is_eq(),
        None => left == right,
    }
}

/// The order of two values of one type.
fn ordering(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
