//! Values of one target against their columns' limits: pure, before anything is queued.
//!
//! Not here: types (the decoder's), and what depends on rows (the store's).
//! Source: `webapi.md` 9, `errors.md` 3.

use model::{ChoiceOption, Column, ColumnKind, Decimal, ErrorCode, Table, TextFormat, Value, code};
use std::fmt::Write as _;

/// A value that a column refuses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

/// Brings a value into its column's form: rounded, and inside the limits.
pub(crate) fn value(table: &Table, column: &Column, value: Value) -> Result<Value, Refused> {
    let outside = |code| Refused {
        code,
        message: format!(
            "A validation error occurred. The value of '{}' on record of type '{}' is outside the valid range.",
            column.logical_name, table.logical_name
        ),
    };
    match (&column.kind, value) {
        (
            ColumnKind::Text { max_length, .. } | ColumnKind::Memo { max_length, .. },
            Value::Text(text),
        ) => {
            check_text(table, column, *max_length, &text)?;
            check_json(column, &text)?;
            Ok(Value::Text(text))
        }
        (ColumnKind::TableName, Value::Text(text)) => {
            check_text(table, column, 128, &text)?;
            Ok(Value::Text(text))
        }
        (ColumnKind::Integer { min, max }, Value::Integer(number)) => {
            if (*min..=*max).contains(&number) {
                Ok(Value::Integer(number))
            } else {
                Err(outside(code::INTEGER_VALUE_OUT_OF_RANGE))
            }
        }
        (
            ColumnKind::Decimal { precision, min, max } | ColumnKind::Money { precision, min, max },
            Value::Decimal(number),
        ) => {
            let number = round(number, *precision);
            if (*min..=*max).contains(&number) {
                Ok(Value::Decimal(number))
            } else {
                Err(outside(code::DECIMAL_VALUE_OUT_OF_RANGE))
            }
        }
        (ColumnKind::Double { precision, min, max }, Value::Double(number)) => {
            let scale = 10_f64.powi(i32::from(*precision));
            let rounded = (number * scale).round() / scale;
            let number = if rounded.is_finite() { rounded } else { number };
            if (*min..=*max).contains(&number) {
                Ok(Value::Double(number))
            } else {
                Err(outside(code::DECIMAL_VALUE_OUT_OF_RANGE))
            }
        }
        (
            ColumnKind::Choice { options, .. }
            | ColumnKind::State { options }
            | ColumnKind::Status { options },
            Value::Integer(number),
        ) => {
            check_option(table, column, options, number)?;
            Ok(Value::Integer(number))
        }
        (ColumnKind::MultiChoice { options }, Value::Choices(numbers)) => {
            for number in &numbers {
                check_option(table, column, options, *number)?;
            }
            Ok(Value::Choices(numbers))
        }
        (_, value) => Ok(value),
    }
}

/// Rounds half away from zero; the scale never grows beyond the column's precision.
fn round(number: Decimal, precision: u8) -> Decimal {
    if number.scale() <= u32::from(precision) {
        return number;
    }
    number.round_dp_with_strategy(
        u32::from(precision),
        rust_decimal::RoundingStrategy::MidpointAwayFromZero,
    )
}

fn check_text(table: &Table, column: &Column, max_length: u32, text: &str) -> Result<(), Refused> {
    // Counting is needed only where bytes alone do not settle it.
    let max = usize::try_from(max_length).unwrap_or(usize::MAX);
    if text.len() > max && text.encode_utf16().count() > max {
        return Err(Refused {
            code: code::STRING_LENGTH_TOO_LONG,
            message: format!(
                "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the maximum allowed length of '{max_length}'.",
                column.logical_name, table.logical_name
            ),
        });
    }
    if has_refused_character(text) {
        return Err(Refused {
            code: code::INVALID_CHARACTERS_IN_FIELD,
            message: format!(
                "The field '{}' contains one or more invalid characters.",
                column.logical_name
            ),
        });
    }
    Ok(())
}

/// Control characters but tab and line ends, U+FFFE and U+FFFF.
fn has_refused_character(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Every text of every row comes by: bytes at once, and characters only where one may be meant.
    let control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    bytes.iter().fold(false, |found, byte| found | control(*byte))
        || bytes.contains(&0xef) && text.contains(['\u{fffe}', '\u{ffff}'])
}

/// Text of a JSON column is JSON.
fn check_json(column: &Column, text: &str) -> Result<(), Refused> {
    let is_json = matches!(
        column.kind,
        ColumnKind::Text { format: TextFormat::Json, .. } | ColumnKind::Memo { json: true, .. }
    );
    if !is_json {
        return Ok(());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop).map_err(|error| Refused {
        code: code::INVALID_ARGUMENT,
        message: format!("The value of '{}' is not valid JSON: {error}", column.logical_name),
    })
}

fn check_option(
    table: &Table,
    column: &Column,
    options: &[ChoiceOption],
    number: i32,
) -> Result<(), Refused> {
    if options.iter().any(|option| option.value == number) {
        return Ok(());
    }
    let mut accepted = String::new();
    for option in options {
        let separator = if accepted.is_empty() { "" } else { "," };
        write!(accepted, "{separator}{}", option.value).expect("writing to a String cannot fail");
    }
    Err(Refused {
        code: code::PICKLIST_VALUE_OUT_OF_RANGE,
        message: format!(
            "A validation error occurred. The value {number} of '{}' on record of type '{}' is outside the valid range. Accepted Values: {accepted}",
            column.logical_name, table.logical_name
        ),
    })
}

/// Whether state and status go together, and what completes one that is given alone.
///
/// Answers the state and the status to write, `None` for what stays as it is.
pub(crate) fn complete_state(
    table: &Table,
    state: Option<i32>,
    status: Option<i32>,
) -> Result<(Option<i32>, Option<i32>), Refused> {
    let kind = |name| table.index_of(name).map(|index| &table.column(index).kind);
    let (
        Some(ColumnKind::State { options: states }),
        Some(ColumnKind::Status { options: statuses }),
    ) = (kind("statecode"), kind("statuscode"))
    else {
        return Ok((state, status));
    };
    let state_of = |status: i32| {
        statuses.iter().find(|option| option.value == status).and_then(|option| option.state)
    };
    match (state, status) {
        (Some(state), Some(status)) if state_of(status) != Some(state) => Err(Refused {
            code: code::INVALID_STATE_CODE_STATUS_CODE,
            message: format!(
                "{status} is not a valid status code for state code {state} on {}.",
                table.logical_name
            ),
        }),
        (Some(state), None) => {
            let status = states
                .iter()
                .find(|option| option.value == state)
                .and_then(|option| option.default_status);
            Ok((Some(state), status))
        }
        (None, Some(status)) => Ok((state_of(status), Some(status))),
        both => Ok(both),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::define::columns::{boolean, choice, column, decimal, text};
    use crate::define::tests::table_with;

    fn check(kind: ColumnKind, given: Value, want: Result<Value, ErrorCode>) {
        let table = table_with(vec![column("ship_it", "It", kind)]);
        let index = table.index_of("ship_it").expect("just made");
        let got = value(&table, table.column(index), given).map_err(|refused| refused.code);
        assert_eq!(got, want);
    }

    #[test]
    fn text_is_counted_in_utf_16_units_and_control_characters_are_refused() {
        check(text(3), Value::text("abc"), Ok(Value::text("abc")));
        check(text(3), Value::text("äöü"), Ok(Value::text("äöü")));
        check(text(3), Value::text("🚢🚢"), Err(code::STRING_LENGTH_TOO_LONG));
        check(text(3), Value::text("abcd"), Err(code::STRING_LENGTH_TOO_LONG));
        check(text(9), Value::text("a\0b"), Err(code::INVALID_CHARACTERS_IN_FIELD));
        check(text(9), Value::text("a\tb\r\nc"), Ok(Value::text("a\tb\r\nc")));
    }

    #[test]
    fn numbers_are_rounded_and_then_held_against_their_range() {
        let dec = |text: &str| Value::Decimal(text.parse().expect("a decimal"));
        check(decimal(2), dec("1.005"), Ok(dec("1.01")));
        check(decimal(2), dec("-1.005"), Ok(dec("-1.01")));
        check(decimal(2), dec("100000000000.01"), Err(code::DECIMAL_VALUE_OUT_OF_RANGE));
        check(
            ColumnKind::Integer { min: 0, max: 9 },
            Value::Integer(10),
            Err(code::INTEGER_VALUE_OUT_OF_RANGE),
        );
        check(
            ColumnKind::Double { precision: 2, min: 0.0, max: 1.0 },
            Value::Double(0.125),
            Ok(Value::Double(0.13)),
        );
    }

    #[test]
    fn unknown_options_are_refused_and_null_is_always_fine() {
        check(choice(&[(1, "One")]), Value::Integer(2), Err(code::PICKLIST_VALUE_OUT_OF_RANGE));
        check(choice(&[(1, "One")]), Value::Integer(1), Ok(Value::Integer(1)));
        check(choice(&[(1, "One")]), Value::Null, Ok(Value::Null));
        check(boolean(true), Value::Null, Ok(Value::Null));
    }

    #[test]
    fn a_state_alone_picks_its_default_status_and_a_status_alone_its_state() {
        let table = table_with(Vec::new());
        assert_eq!(complete_state(&table, Some(1), None), Ok((Some(1), Some(2))));
        assert_eq!(complete_state(&table, None, Some(2)), Ok((Some(1), Some(2))));
        assert_eq!(complete_state(&table, None, None), Ok((None, None)));
        assert_eq!(
            complete_state(&table, Some(0), Some(2)).map_err(|refused| refused.code),
            Err(code::INVALID_STATE_CODE_STATUS_CODE)
        );
    }
}
