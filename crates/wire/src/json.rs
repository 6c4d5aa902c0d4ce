//! Small pieces of JSON output.
//!
//! A page is tens of thousands of them: numbers, times and texts that are as most are take a short way,
//! all others the general one, and both write the same bytes.
//! Not here: which members an object has. Invariant: only complete JSON values are appended.

use model::{ColumnKind, Date, DateTimeBehavior, Decimal, Timestamp, Uuid, Value};
use std::io::Write as _;

/// Bytes of a text that are looked at together.
const TEXT_CHUNK_BYTES: usize = 32;
/// Places after the point of numbers that take the short way: no power of ten there is too large.
const PLACES_MAX: u32 = 18;
const SECONDS_PER_DAY: i64 = 86_400;

/// Appends a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    // Without an early end, so that a chunk is looked at as a whole.
    let is_plain = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(true, |plain, byte| plain & (*byte >= 0x20) & (*byte != b'"') & (*byte != b'\\'))
    };
    if text.as_bytes().chunks(TEXT_CHUNK_BYTES).all(is_plain) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("text always fits a growing buffer");
    }
}

/// Appends `"name":`.
pub(crate) fn name(out: &mut Vec<u8>, name: &str) {
    text(out, name);
    out.push(b':');
}

/// Appends a comma unless the object or list was just opened.
pub(crate) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[')) {
        out.push(b',');
    }
}

/// Appends a whole number.
pub(crate) fn integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends what `display` prints, unescaped.
pub(crate) fn display(out: &mut Vec<u8>, display: impl std::fmt::Display) {
    write!(out, "{display}").expect("text always fits a growing buffer");
}

/// Appends a quoted, lower-case guid.
pub(crate) fn guid(out: &mut Vec<u8>, id: Uuid) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    out.push(b'"');
    out.extend_from_slice(id.as_hyphenated().encode_lower(&mut buffer).as_bytes());
    out.push(b'"');
}

/// Appends a value in the form that its column has on the wire. Lookups are bare guids.
pub(crate) fn value(out: &mut Vec<u8>, kind: &ColumnKind, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(value) => text(out, value),
        Value::Integer(value) => integer(out, *value),
        Value::BigInt(value) => integer(out, *value),
        Value::Decimal(value) => {
            let places = match kind {
                ColumnKind::Decimal { precision, .. } | ColumnKind::Money { precision, .. } => {
                    u32::from(*precision)
                }
                _ => value.scale(),
            };
            decimal(out, *value, places);
        }
        Value::Double(value) if value.is_finite() => {
            out.extend_from_slice(ryu::Buffer::new().format_finite(*value).as_bytes());
        }
        Value::Double(_) => out.extend_from_slice(b"null"),
        Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::DateTime(at) => {
            out.push(b'"');
            instant(out, *at);
            out.push(b'"');
        }
        Value::Date(day) => {
            out.push(b'"');
            date(out, *day);
            if !matches!(kind, ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. }) {
                out.extend_from_slice(b"T00:00:00Z");
            }
            out.push(b'"');
        }
        Value::Guid(id) => guid(out, *id),
        Value::Lookup(lookup) => guid(out, lookup.id),
        Value::Choices(choices) => {
            out.push(b'"');
            for (place, choice) in choices.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                integer(out, *choice);
            }
            out.push(b'"');
        }
    }
}

/// Appends `2024-01-31T08:15:00Z`.
fn instant(out: &mut Vec<u8>, at: Timestamp) {
    date(out, at.date());
    let second = u32::try_from(at.0.rem_euclid(SECONDS_PER_DAY)).unwrap_or(0);
    let ([h, m, s], colon) = ([second / 3_600, second / 60 % 60, second % 60].map(two), b':');
    out.extend_from_slice(&[b'T', h[0], h[1], colon, m[0], m[1], colon, s[0], s[1], b'Z']);
}

/// Appends `2024-01-31`.
fn date(out: &mut Vec<u8>, day: Date) {
    let (year, month, of_month) = day.civil();
    let small = |number: i32| u32::try_from(number).ok().filter(|number| *number < 10_000);
    let (Some(year), Some(month), Some(of_month)) = (small(year), small(month), small(of_month))
    else {
        return display(out, day);
    };
    let [century, year, month, day] = [year / 100, year % 100, month, of_month].map(two);
    let (c, y, m, d) = (century, year, month, day);
    out.extend_from_slice(&[c[0], c[1], y[0], y[1], b'-', m[0], m[1], b'-', d[0], d[1]]);
}

/// Two digits of a number below a hundred.
fn two(number: u32) -> [u8; 2] {
    let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
    [digit(number / 10), digit(number)]
}

/// Appends a number with so many places after the point.
fn decimal(out: &mut Vec<u8>, value: Decimal, places: u32) {
    let Some(units) = units_of(value, places) else {
        let mut value = value;
        value.rescale(places);
        return display(out, value);
    };
    if units < 0 {
        out.push(b'-');
    }
    let one = 10_u64.pow(places);
    let units = units.unsigned_abs();
    integer(out, units / one);
    if places > 0 {
        let mut digits = [b'.'; 1 + PLACES_MAX as usize];
        let mut rest = units % one;
        for digit in digits.iter_mut().skip(1).take(places as usize).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        out.extend(digits.iter().take(1 + places as usize));
    }
}

/// The number as whole units of its last place; none where that must be rounded, is not exact or large.
fn units_of(value: Decimal, places: u32) -> Option<i64> {
    if places > PLACES_MAX
        || value.scale() > PLACES_MAX
        || (value.is_zero() && value.is_sign_negative())
    {
        return None;
    }
    let units = i64::try_from(value.mantissa()).ok()?;
    let power = 10_i64.checked_pow(value.scale().abs_diff(places))?;
    match value.scale() <= places {
        true => units.checked_mul(power),
        false => (units % power == 0).then(|| units / power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn check_decimal(value: Decimal, places: u32) {
        let mut want = value;
        want.rescale(places);
        assert_eq!(written(|out| decimal(out, value, places)), want.to_string(), "{value:?}");
    }

    #[test]
    fn numbers_at_the_edges_are_written_as_they_print() {
        let edge = [0, 1, 9, 10, 99, 100, 101, 12_345, i64::MAX - 1, i64::MAX];
        for units in edge.into_iter().flat_map(|units| [units, -units]).chain([i64::MIN]) {
            for scale in [0, 1, 2, 4, 10, 18, 19, 28] {
                for places in [0, 1, 2, 4, 10, 18, 19] {
                    check_decimal(Decimal::new(units, scale), places);
                }
            }
        }
        check_decimal(Decimal::MAX, 2);
        check_decimal(Decimal::MIN, 0);
        let mut zero = Decimal::ZERO;
        zero.set_sign_negative(true);
        check_decimal(zero, 2);
    }

    #[test]
    fn texts_are_escaped_wherever_the_character_stands() {
        let plain = "ä".repeat(70);
        for odd in ["\"", "\\", "\n", "\0", "\u{1f}", "\u{7f}", "\u{2028}", "/", "<", ""] {
            for before in [0, 1, 31, 32, 33, 63, 64, 140] {
                let (head, tail) = (&"x".repeat(before), &plain);
                let whole = format!("{head}{odd}{tail}");
                let want = serde_json::to_string(&whole).expect("a text");
                assert_eq!(written(|out| text(out, &whole)), want);
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_they_print(
            units in any::<i64>(), shift in 0..63_u32, scale in 0..=12_u32, places in 0..=10_u32,
        ) {
            check_decimal(Decimal::new(units >> shift, scale), places);
        }

        #[test]
        fn times_are_written_as_they_print(at in -70_000_000_000..260_000_000_000_i64) {
            let at = Timestamp(at);
            prop_assert_eq!(written(|out| instant(out, at)), at.to_string());
            let day = at.date();
            prop_assert_eq!(written(|out| date(out, day)), day.to_string());
        }
    }
}
