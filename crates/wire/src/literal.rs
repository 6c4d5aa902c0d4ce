//! From the text of a JSON value or a URL key literal to a typed value of a column.
//!
//! Not here: limits of a column (length, range, options): those are per-record faults of `pipeline`.
//! Invariant: an exact decimal is read from its digits, never through a floating point number.

use model::{ColumnKind, Date, DateTimeBehavior, Decimal, Timestamp, Uuid, Value};
use std::borrow::Cow;

/// Why a literal is no value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is of another type, or does not fit in the type.
    Type,
    /// It is text with U+0000, which no store can hold.
    Characters,
}

/// Reads the text of one well-formed JSON value as a value of a column.
///
/// Lookups take a guid and answer [`Value::Guid`]: only the caller knows which table is meant.
pub(crate) fn from_json(kind: &ColumnKind, raw: &str) -> Result<Value, Refusal> {
    match raw.as_bytes().first() {
        Some(b'n') => Ok(Value::Null),
        Some(b't' | b'f') => match kind {
            ColumnKind::Boolean { .. } => Ok(Value::Boolean(raw == "true")),
            _ => Err(Refusal::Type),
        },
        Some(b'"') => from_json_text(kind, &string(raw).ok_or(Refusal::Type)?),
        Some(b'-' | b'0'..=b'9') => from_number(kind, raw).ok_or(Refusal::Type),
        _ => Err(Refusal::Type),
    }
}

fn from_json_text(kind: &ColumnKind, text: &str) -> Result<Value, Refusal> {
    match kind {
        // An image is base64; what it is of is looked at later.
        ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::TableName
        | ColumnKind::Image { .. } => {
            if text.as_bytes().contains(&0) {
                return Err(Refusal::Characters);
            }
            Ok(Value::text(text))
        }
        // Numeric text is tolerated for whole numbers only.
        ColumnKind::Integer { .. } => {
            text.trim().parse().map(Value::Integer).map_err(|_| Refusal::Type)
        }
        ColumnKind::MultiChoice { .. } => choices(text).ok_or(Refusal::Type),
        ColumnKind::Guid | ColumnKind::Lookup { .. } => {
            guid(text).map(Value::Guid).ok_or(Refusal::Type)
        }
        ColumnKind::DateTime { behavior, .. } => date_time(*behavior, text).ok_or(Refusal::Type),
        _ => Err(Refusal::Type),
    }
}

/// Reads a bare number.
pub(crate) fn from_number(kind: &ColumnKind, text: &str) -> Option<Value> {
    match kind {
        ColumnKind::Integer { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => text.parse().ok().map(Value::Integer),
        ColumnKind::BigInt => text.parse().ok().map(Value::BigInt),
        ColumnKind::Decimal { precision, .. } | ColumnKind::Money { precision, .. } => {
            decimal(text).map(|value| Value::Decimal(rounded(value, *precision)))
        }
        ColumnKind::Double { precision, .. } => {
            let value: f64 = text.parse().ok()?;
            value.is_finite().then(|| Value::Double(rounded_double(value, *precision)))
        }
        _ => None,
    }
}

/// Reads a date or a timestamp.
pub(crate) fn date_time(behavior: DateTimeBehavior, text: &str) -> Option<Value> {
    match behavior {
        DateTimeBehavior::DateOnly => Date::parse(text).map(Value::Date),
        DateTimeBehavior::UserLocal | DateTimeBehavior::TimeZoneIndependent => {
            Timestamp::parse(text).map(Value::DateTime)
        }
    }
}

/// Reads a guid: with or without hyphens or braces, in any case.
pub(crate) fn guid(text: &str) -> Option<Uuid> {
    let text = text.trim();
    // The library also takes `urn:uuid:…`, which is no guid here.
    if text.len() > 38 { None } else { Uuid::try_parse(text).ok() }
}

/// The text of a JSON string; borrowed unless it has escapes. `None` for lone surrogates.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.as_bytes().contains(&b'\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Reads decimal digits exactly; digits beyond the 28th are rounded.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    if text.as_bytes().iter().any(|byte| matches!(byte, b'e' | b'E')) {
        scientific(text)
    } else {
        text.parse().ok()
    }
}

/// `1.5e3`. The library's own reader refuses long mantissas, so the exponent is applied here.
fn scientific(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let mantissa: Decimal = mantissa.parse().ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    if mantissa.is_zero() || exponent == 0 {
        return Some(mantissa);
    }
    // The widest range in which a decimal is neither too large nor rounded to nothing.
    if exponent > 28 {
        return None;
    }
    if exponent < -56 {
        return Some(Decimal::ZERO);
    }
    let ten = Decimal::TEN;
    let mut value = mantissa;
    for _ in 0..exponent.unsigned_abs() {
        value = if exponent > 0 { value.checked_mul(ten)? } else { value.checked_div(ten)? };
    }
    Some(value)
}

/// A decimal with at most so many digits after the point, halves away from zero.
pub(crate) fn rounded(value: Decimal, precision: u8) -> Decimal {
    if value.scale() <= u32::from(precision) {
        return value;
    }
    value.round_dp_with_strategy(
        u32::from(precision),
        rust_decimal::RoundingStrategy::MidpointAwayFromZero,
    )
}

/// A double with at most so many digits after the point.
fn rounded_double(value: f64, precision: u8) -> f64 {
    let factor = 10_f64.powi(i32::from(precision));
    let scaled = value * factor;
    // From 2^53 on there are no digits after the point to round.
    if scaled.abs() >= 9_007_199_254_740_992.0 { value } else { scaled.round() / factor }
}

/// Reads `1,2,5`.
fn choices(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Null);
    }
    let mut values =
        text.split(',').map(|value| value.trim().parse().ok()).collect::<Option<Vec<i32>>>()?;
    values.sort_unstable();
    values.dedup();
    Some(Value::Choices(values.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Label, TextFormat};

    fn kind(name: &str) -> ColumnKind {
        match name {
            "text" => ColumnKind::Text { max_length: 10, format: TextFormat::Text },
            "integer" => ColumnKind::Integer { min: i32::MIN, max: i32::MAX },
            "bigint" => ColumnKind::BigInt,
            "money" => ColumnKind::Money { precision: 2, min: Decimal::MIN, max: Decimal::MAX },
            "double" => ColumnKind::Double { precision: 2, min: f64::MIN, max: f64::MAX },
            "boolean" => ColumnKind::Boolean {
                default: false,
                true_label: Label::default(),
                false_label: Label::default(),
            },
            "day" => {
                ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, with_time: false }
            }
            "instant" => {
                ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, with_time: true }
            }
            "choice" => ColumnKind::Choice { options: Vec::new(), default: None },
            "choices" => ColumnKind::MultiChoice { options: Vec::new() },
            _ => ColumnKind::Guid,
        }
    }

    /// `want`: the value as it is written again, or `!` for a refusal.
    fn check(name: &str, raw: &str, want: &str) {
        let kind = kind(name);
        let got = match from_json(&kind, raw) {
            Ok(value) => {
                let mut out = Vec::new();
                crate::json::value(&mut out, &kind, &value);
                String::from_utf8(out).unwrap()
            }
            Err(Refusal::Type) => "!".to_owned(),
            Err(Refusal::Characters) => "characters!".to_owned(),
        };
        assert_eq!(got, want, "{name} {raw}");
    }

    #[test]
    fn whole_numbers_come_as_numbers_or_numeric_text() {
        check("integer", "5", "5");
        check("integer", "-2147483648", "-2147483648");
        check("integer", "2147483648", "!");
        check("integer", "\"12\"", "12");
        check("integer", "\"twelve\"", "!");
        check("integer", "5.0", "!");
        check("integer", "1e3", "!");
        check("integer", "true", "!");
        check("integer", "[5]", "!");
        check("integer", "null", "null");
        check("bigint", "9223372036854775807", "9223372036854775807");
        check("bigint", "9223372036854775808", "!");
        check("bigint", "\"5\"", "!");
        check("choice", "3", "3");
        check("choice", "\"3\"", "!");
    }

    #[test]
    fn decimals_keep_their_digits_and_are_rounded_to_the_column() {
        check("money", "10", "10.00");
        check("money", "0.1", "0.10");
        check("money", "1.005", "1.01");
        check("money", "-1.005", "-1.01");
        check("money", "123456789012345678.99", "123456789012345678.99");
        check("money", "1.5e3", "1500.00");
        check("money", "15E-1", "1.50");
        check("money", "1e-400", "0.00");
        check("money", "0e999999999999999999", "0.00");
        check("money", "1e99999999999999999999", "!");
        check("money", "0e5", "0.00");
        check("money", "1e29", "!");
        check("money", "99999999999999999999999999999999999", "!");
        check("money", "\"5\"", "!");
        check("double", "1.005", "1.0");
        check("double", "1e400", "!");
        check("double", "1e300", "1e300");
    }

    #[test]
    fn text_is_unescaped_and_the_empty_text_is_null() {
        check("text", r#""a\u00e4\n""#, r#""aä\n""#);
        check("text", r#""""#, "null");
        check("text", r#""\ud83d\ude00""#, "\"😀\"");
        check("text", r#""\ud83d""#, "!");
        check("text", r#""a\u0000""#, "characters!");
        check("text", "5", "!");
        check("text", "{}", "!");
    }

    #[test]
    fn dates_guids_booleans_and_choices_have_their_forms() {
        check("instant", "\"2024-01-31T08:15:00.987+02:00\"", "\"2024-01-31T06:15:00Z\"");
        check("instant", "\"2024-01-31\"", "\"2024-01-31T00:00:00Z\"");
        check("instant", "\"tomorrow\"", "!");
        check("instant", "\"\"", "!");
        check("instant", "5", "!");
        check("day", "\"2024-01-31T23:15:00-05:00\"", "\"2024-01-31\"");
        check(
            "guid",
            "\"7F0F6CF452A14B5F9D0E0B5A6B7C8D01\"",
            "\"7f0f6cf4-52a1-4b5f-9d0e-0b5a6b7c8d01\"",
        );
        check(
            "guid",
            "\"{7f0f6cf4-52a1-4b5f-9d0e-0b5a6b7c8d01}\"",
            "\"7f0f6cf4-52a1-4b5f-9d0e-0b5a6b7c8d01\"",
        );
        check("guid", "\"urn:uuid:7f0f6cf4-52a1-4b5f-9d0e-0b5a6b7c8d01\"", "!");
        check("guid", "\"7f0f\"", "!");
        check("boolean", "true", "true");
        check("boolean", "1", "!");
        check("boolean", "\"true\"", "!");
        check("choices", "\"5, 1,2,1\"", "\"1,2,5\"");
        check("choices", "\"\"", "null");
        check("choices", "\"1,,2\"", "!");
        check("choices", "1", "!");
    }
}
