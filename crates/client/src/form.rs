//! How the texts of a CSV column were written, so that they can be written so again.
//!
//! A table that is made from a CSV file keeps this in the column's description: `CSV form: …`.
//! Invariant: for every text that was seen while the form was found, printing the typed value in that
//! form gives the same text.

use model::{Column, ColumnKind, DateTimeBehavior, Decimal, Value};
use std::fmt::Write as _;

/// The form of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the service's JSON has it.
    Plain,
    /// Decimals without zeros at their end.
    Shortest,
    /// Decimals with this many digits after the point.
    Fixed(u8),
    /// Yes and no by these words.
    Words(Words),
    /// Date and time with this between them, and with this zone.
    DateTime {
        /// A blank instead of `T`.
        blank: bool,
        /// Ends in `Z`.
        zulu: bool,
    },
}

/// The words of a yes/no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// For yes.
    pub yes: &'static str,
    /// For no.
    pub no: &'static str,
}

/// The words that are recognised.
pub const WORDS: [Words; 6] = [
    Words { yes: "true", no: "false" },
    Words { yes: "True", no: "False" },
    Words { yes: "TRUE", no: "FALSE" },
    Words { yes: "yes", no: "no" },
    Words { yes: "Yes", no: "No" },
    Words { yes: "YES", no: "NO" },
];

const MARK: &str = "CSV form: ";

impl Form {
    /// What stands in the column's description; none for the plain form.
    pub fn describe(self) -> Option<String> {
        Some(match self {
            Self::Plain => return None,
            Self::Shortest => format!("{MARK}0.#"),
            Self::Fixed(digits) => format!("{MARK}0.{}", "0".repeat(digits.into())),
            Self::Words(words) => format!("{MARK}{}/{}", words.yes, words.no),
            Self::DateTime { blank, zulu } => format!(
                "{MARK}YYYY-MM-DD{}hh:mm:ss{}",
                if blank { " " } else { "T" },
                if zulu { "Z" } else { "" }
            ),
        })
    }

    /// The form that a column's description tells.
    pub fn of(column: &Column) -> Self {
        let shown = column.description.shown().unwrap_or_default();
        let Some(text) = shown.strip_prefix(MARK) else { return Self::Plain };
        match &column.kind {
            ColumnKind::Decimal { .. } if text == "0.#" => Self::Shortest,
            ColumnKind::Decimal { .. } => match text.strip_prefix("0.") {
                Some(zeros) if zeros.bytes().all(|byte| byte == b'0') => {
                    u8::try_from(zeros.len()).map_or(Self::Plain, Self::Fixed)
                }
                _ => Self::Plain,
            },
            ColumnKind::Boolean { .. } => text
                .split_once('/')
                .and_then(|(yes, no)| WORDS.iter().find(|words| words.yes == yes && words.no == no))
                .map_or(Self::Plain, |words| Self::Words(*words)),
            ColumnKind::DateTime { behavior, .. } if *behavior != DateTimeBehavior::DateOnly => {
                Self::DateTime { blank: text.contains(' '), zulu: text.ends_with('Z') }
            }
            _ => Self::Plain,
        }
    }

    /// Writes a value; nothing for null.
    pub fn write(self, out: &mut String, value: &Value) {
        match (value, self) {
            (Value::Null, _) => {}
            (Value::Text(text), _) => out.push_str(text),
            (Value::Decimal(number), Self::Shortest) => push(out, number.normalize()),
            (Value::Decimal(number), Self::Fixed(digits)) => push(out, fixed(*number, digits)),
            (Value::Decimal(number), _) => push(out, number),
            (Value::Integer(number), _) => push(out, number),
            (Value::BigInt(number), _) => push(out, number),
            (Value::Double(number), _) => push(out, number),
            (Value::Boolean(value), Self::Words(words)) => {
                out.push_str(if *value { words.yes } else { words.no });
            }
            (Value::Boolean(value), _) => push(out, value),
            (Value::DateTime(at), Self::DateTime { blank, zulu }) => {
                let text = at.to_string();
                let text = if zulu { &*text } else { text.trim_end_matches('Z') };
                match text.split_once('T') {
                    Some((day, time)) if blank => push(out, format_args!("{day} {time}")),
                    _ => out.push_str(text),
                }
            }
            (Value::DateTime(at), _) => push(out, at),
            (Value::Date(day), _) => push(out, day),
            (Value::Guid(id), _) => push(out, id),
            (Value::Lookup(lookup), _) => push(out, lookup.id),
            (Value::Choices(values), _) => {
                for (place, value) in values.iter().enumerate() {
                    push(out, format_args!("{}{value}", if place > 0 { "," } else { "" }));
                }
            }
        }
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("writing to a string does not fail");
}

fn fixed(number: Decimal, digits: u8) -> Decimal {
    let mut number = number;
    number.rescale(digits.into());
    number
}
