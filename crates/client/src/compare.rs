//! Whether a record already is as a row says: pure.
//!
//! In: the value of a row and the stored one. Out: whether writing would change nothing.
//! Source: `client.md` 3.2. Invariant: when in doubt values differ; a needless write is no harm.

use model::{Column, ColumnKind, Decimal, Value};

/// Whether a stored value is what a row gives. A value that is not there is null.
pub fn are_equal(column: &Column, given: &Value, stored: Option<&Value>) -> bool {
    let stored = stored.unwrap_or(&Value::Null);
    match (given, stored) {
        (Value::Lookup(given), Value::Lookup(stored)) => given == stored,
        // The answer did not say which table: the id alone is compared.
        (Value::Lookup(given), Value::Guid(stored)) => given.id == *stored,
        (Value::Decimal(given), Value::Decimal(stored)) => {
            let scaled = |number: &Decimal| match &column.kind {
                ColumnKind::Decimal { precision, .. } | ColumnKind::Money { precision, .. } => {
                    number.round_dp_with_strategy(
                        u32::from(*precision),
                        rust_decimal::RoundingStrategy::MidpointAwayFromZero,
                    )
                }
                _ => *number,
            };
            scaled(given) == scaled(stored)
        }
        (Value::Double(given), Value::Double(stored)) => match &column.kind {
            ColumnKind::Double { precision, .. } => {
                let scale = 10f64.powi(i32::from(*precision));
                (given * scale).round() == (stored * scale).round()
            }
            _ => given == stored,
        },
        _ => given == stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use model::{LookupValue, TableId, Uuid};

    fn check(column: &str, given: Value, stored: Option<Value>, want: bool) {
        let (table, _) = testing::table();
        let index = table.index_of(column).expect(column);
        let equal = are_equal(table.column(index), &given, stored.as_ref());
        assert_eq!(equal, want, "{column}: {given:?} and {stored:?}");
    }

    #[test]
    fn values_compare_as_the_service_keeps_them() {
        let text = |text: &str| Value::text(text);
        check("new_name", text("a"), Some(text("a")), true);
        check("new_name", text("a"), Some(text("A")), false);
        check("new_name", text(""), None, true);
        check("new_name", Value::Null, Some(Value::Null), true);
        check("new_name", text("a"), None, false);
        let decimal = |text: &str| Value::Decimal(text.parse().expect("a number"));
        check("new_price", decimal("1.5"), Some(decimal("1.50")), true);
        check("new_price", decimal("1.504"), Some(decimal("1.50")), true);
        check("new_price", decimal("1.51"), Some(decimal("1.50")), false);
        check("new_double", Value::Double(0.1 + 0.2), Some(Value::Double(0.3)), true);
        check("new_double", Value::Double(0.31), Some(Value::Double(0.3)), false);
        let id = Uuid::from_u128(7);
        let lookup = |table| Value::Lookup(LookupValue { table: TableId(table), id });
        check("new_many", lookup(2), Some(lookup(2)), true);
        check("new_many", lookup(2), Some(lookup(3)), false);
        check("new_many", lookup(2), Some(Value::Guid(id)), true);
        let choices = |values: &[i32]| Value::Choices(values.into());
        check("new_colors", choices(&[1, 3]), Some(choices(&[1, 3])), true);
        check("new_colors", choices(&[1]), Some(choices(&[1, 3])), false);
    }
}
