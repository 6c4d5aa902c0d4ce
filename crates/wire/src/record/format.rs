//! Values as people read them: English (United States), UTC, US dollars.
//!
//! Not here: names of records that lookups point to. Invariant: text, ids and null have no formatted
//! value.

use jiff::civil;
use model::{ChoiceOption, ColumnKind, Date, Decimal, Timestamp, Value};

/// The formatted value; none where the value itself does not suffice.
pub(super) fn formatted(kind: &ColumnKind, value: &Value) -> Option<String> {
    match value {
        Value::Integer(value) => match kind {
            ColumnKind::Choice { options, .. }
            | ColumnKind::State { options }
            | ColumnKind::Status { options } => label(options, *value).map(str::to_owned),
            _ => Some(grouped(&value.to_string())),
        },
        Value::BigInt(value) => Some(grouped(&value.to_string())),
        Value::Decimal(value) => Some(match kind {
            ColumnKind::Money { precision, .. } => money(*value, *precision),
            ColumnKind::Decimal { precision, .. } => decimal(*value, *precision),
            _ => grouped(&value.to_string()),
        }),
        Value::Double(value) => Some(match kind {
            ColumnKind::Double { precision, .. } => {
                grouped(&format!("{value:.*}", usize::from(*precision)))
            }
            _ => grouped(&value.to_string()),
        }),
        Value::Boolean(value) => match kind {
            ColumnKind::Boolean { true_label, false_label, .. } => {
                let label = if *value { true_label } else { false_label };
                label.shown().map(str::to_owned)
            }
            _ => None,
        },
        Value::DateTime(at) => match kind {
            ColumnKind::DateTime { with_time: false, .. } => day(at.date()),
            _ => instant(*at),
        },
        Value::Date(value) => day(*value),
        Value::Choices(values) => match kind {
            ColumnKind::MultiChoice { options } => {
                let labels: Option<Vec<&str>> =
                    values.iter().map(|value| label(options, *value)).collect();
                labels.map(|labels| labels.join("; "))
            }
            _ => None,
        },
        Value::Null | Value::Text(_) | Value::Guid(_) | Value::Lookup(_) => None,
    }
}

fn label(options: &[ChoiceOption], value: i32) -> Option<&str> {
    options.iter().find(|option| option.value == value)?.label.shown()
}

fn decimal(mut value: Decimal, precision: u8) -> String {
    value.rescale(u32::from(precision));
    grouped(&value.to_string())
}

fn money(value: Decimal, precision: u8) -> String {
    let amount = decimal(value.abs(), precision);
    let sign = if value.is_sign_negative() && !value.is_zero() { "-" } else { "" };
    format!("{sign}${amount}")
}

/// Puts commas between thousands.
fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (whole, rest) = match digits.find(['.', 'e', 'E']) {
        Some(end) => digits.split_at(end),
        None => (digits, ""),
    };
    let mut out = String::with_capacity(number.len() + number.len() / 3);
    out.push_str(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(rest);
    out
}

fn day(day: Date) -> Option<String> {
    let start = civil::date(1970, 1, 1);
    let date = start.checked_add(jiff::Span::new().try_days(day.0).ok()?).ok()?;
    Some(format!("{}/{}/{}", date.month(), date.day(), date.year()))
}

fn instant(at: Timestamp) -> Option<String> {
    let minutes = at.0.rem_euclid(86_400) / 60;
    let (hour, minute) = (minutes / 60, minutes % 60);
    let half = if hour < 12 { "AM" } else { "PM" };
    let shown = if hour % 12 == 0 { 12 } else { hour % 12 };
    Some(format!("{} {shown}:{minute:02} {half}", day(at.date())?))
}
