//! Literals: what a piece of text means, and what it becomes against a column.
//!
//! A number or an instant that a column cannot hold exactly is not an error: it *fits* between two
//! values of the column, below all or above all, and comparisons follow from that.

use super::lexer::Token;
use crate::Error;
use model::{Catalog, Column, ColumnKind, Date, DateTimeBehavior, Decimal, Timestamp, Uuid, Value};
use std::str::FromStr;

/// A literal as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Boolean(bool),
    Text(String),
    Number(String),
    /// A day, or an instant.
    Moment(String),
    Guid(Uuid),
}

/// Where a literal stands among the values of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fit {
    /// It is this value.
    Exact(Value),
    /// It lies between this value and the next one.
    After(Value),
    /// It lies below every value.
    Below,
    /// It lies above every value.
    Above,
}

/// What a word means, unless it is a name or a keyword.
pub(super) fn of_word(word: &str) -> Option<Literal> {
    match word {
        "null" => return Some(Literal::Null),
        "true" => return Some(Literal::Boolean(true)),
        "false" => return Some(Literal::Boolean(false)),
        _ => {}
    }
    if let Some(guid) = guid(word) {
        return Some(Literal::Guid(guid));
    }
    let mut bytes = word.bytes();
    let first = bytes.next()?;
    if first.is_ascii_digit() {
        let mut dashes = word.match_indices('-').map(|(place, _)| place);
        if dashes.next() == Some(4) && dashes.next() == Some(7) {
            return Some(Literal::Moment(word.to_owned()));
        }
    }
    let numeric = first.is_ascii_digit()
        || (matches!(first, b'-' | b'+' | b'.')
            && bytes.next().is_some_and(|next| next.is_ascii_digit() || next == b'.'));
    numeric.then(|| Literal::Number(word.to_owned()))
}

/// What a literal token means.
pub(super) fn of_token(token: &Token) -> Option<Literal> {
    match token {
        Token::Word(word) => of_word(word),
        Token::Text(text) | Token::JsonText(text) => Some(Literal::Text(text.clone())),
        Token::Sign(_) | Token::End => None,
    }
}

/// A guid with hyphens, in braces or without, in any case.
fn guid(text: &str) -> Option<Uuid> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    if bare.len() == 36 { Uuid::try_parse(bare).ok() } else { None }
}

impl Literal {
    /// The literal as text, without quotes.
    pub(crate) fn as_written(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Boolean(yes) => yes.to_string(),
            Self::Text(text) | Self::Number(text) | Self::Moment(text) => text.clone(),
            Self::Guid(id) => id.to_string(),
        }
    }

    /// Its `Edm` type, as error texts name it.
    pub(super) fn edm_type(&self) -> &'static str {
        match self {
            Self::Null => "Edm.Null",
            Self::Boolean(_) => "Edm.Boolean",
            Self::Text(_) => "Edm.String",
            Self::Number(text) if text.parse::<i32>().is_ok() => "Edm.Int32",
            Self::Number(text) if text.parse::<i64>().is_ok() => "Edm.Int64",
            Self::Number(text) if Decimal::from_str(text).is_ok() => "Edm.Decimal",
            Self::Number(_) => "Edm.Double",
            Self::Moment(text) if text.len() == 10 => "Edm.Date",
            Self::Moment(_) => "Edm.DateTimeOffset",
            Self::Guid(_) => "Edm.Guid",
        }
    }

    /// Reads a text as a literal of the column's kind: values of query functions are texts whatever
    /// the column is.
    pub(crate) fn loosened(self, column: &Column) -> Self {
        let Self::Text(text) = &self else { return self };
        match column.kind {
            ColumnKind::Text { .. }
            | ColumnKind::Memo { .. }
            | ColumnKind::TableName
            | ColumnKind::MultiChoice { .. } => self,
            _ => of_word(text.trim()).filter(|bare| *bare != Self::Null).unwrap_or(self),
        }
    }

    /// Reads an integer as the table with this object type code, where the column holds names of
    /// tables: callers write either.
    pub(crate) fn table_named(self, column: &Column, catalog: &Catalog) -> Self {
        let (Self::Number(text) | Self::Text(text)) = &self else { return self };
        if column.kind != ColumnKind::TableName {
            return self;
        }
        let Ok(code) = text.trim().parse::<i32>() else { return self };
        let table = catalog.tables().iter().find(|table| table.object_type_code == code);
        match table {
            Some(table) => Self::Text(table.logical_name.to_string()),
            // No table has it, and so no row.
            None => Self::Text(code.to_string()),
        }
    }

    /// Places the literal among the values of a column. `None`: the types do not go together.
    ///
    /// Neither the null literal nor an empty text may come here.
    pub(super) fn fit(&self, column: &Column) -> Result<Option<Fit>, Error> {
        let bad = |text: &str| Error::BadLiteral { text: text.into(), edm: column.kind.edm_type() };
        let fit = match (&column.kind, self) {
            (
                ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName,
                Self::Text(text),
            ) => Fit::Exact(Value::text(text.as_str())),
            (
                ColumnKind::Guid | ColumnKind::Lookup { .. } | ColumnKind::File { .. },
                Self::Guid(id),
            ) => Fit::Exact(Value::Guid(*id)),
            (
                ColumnKind::Guid | ColumnKind::Lookup { .. } | ColumnKind::File { .. },
                Self::Text(text),
            ) => match guid(text.trim()) {
                Some(id) => Fit::Exact(Value::Guid(id)),
                None => return Ok(None),
            },
            (ColumnKind::Boolean { .. }, Self::Boolean(yes)) => Fit::Exact(Value::Boolean(*yes)),
            (ColumnKind::Boolean { .. }, Self::Number(text)) if text == "0" || text == "1" => {
                Fit::Exact(Value::Boolean(text == "1"))
            }
            (ColumnKind::DateTime { behavior, .. }, Self::Moment(text)) => {
                moment(*behavior, text).ok_or_else(|| bad(text))?
            }
            (kind, Self::Number(text)) => match number(kind, text) {
                Number::OtherColumn => return Ok(None),
                Number::Malformed => return Err(bad(text)),
                Number::Fits(fit) => fit,
            },
            // The text form of a choice's number is tolerated; its label is not.
            (
                kind @ (ColumnKind::Choice { .. }
                | ColumnKind::State { .. }
                | ColumnKind::Status { .. }),
                Self::Text(text),
            ) => match number(kind, text.trim()) {
                Number::Fits(fit) => fit,
                Number::OtherColumn | Number::Malformed => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(fit))
    }
}

/// An instant against a date-time column, which holds whole seconds or days.
fn moment(behavior: DateTimeBehavior, text: &str) -> Option<Fit> {
    match behavior {
        DateTimeBehavior::DateOnly => Date::parse(text).map(|day| Fit::Exact(Value::Date(day))),
        DateTimeBehavior::UserLocal | DateTimeBehavior::TimeZoneIndependent => {
            let value = Value::DateTime(Timestamp::parse(text)?);
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            let digits = fraction.bytes().take_while(u8::is_ascii_digit);
            let whole = digits.into_iter().all(|digit| digit == b'0');
            Some(if whole { Fit::Exact(value) } else { Fit::After(value) })
        }
    }
}

enum Number {
    OtherColumn,
    Malformed,
    Fits(Fit),
}

fn number(kind: &ColumnKind, text: &str) -> Number {
    let exact = || Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).ok();
    let rough = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    let fit = match kind {
        ColumnKind::Integer { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => exact()
            .map(|number| whole(number, |floor| i32::try_from(floor).ok().map(Value::Integer))),
        ColumnKind::BigInt => exact()
            .map(|number| whole(number, |floor| i64::try_from(floor).ok().map(Value::BigInt))),
        ColumnKind::Decimal { precision, min, max } | ColumnKind::Money { precision, min, max } => {
            exact().map(|number| match number {
                _ if number < *min => Fit::Below,
                _ if number > *max => Fit::Above,
                _ => scaled(number, u32::from(*precision)),
            })
        }
        ColumnKind::Double { .. } => {
            return rough().map_or(Number::Malformed, |number| {
                Number::Fits(Fit::Exact(Value::Double(number)))
            });
        }
        ColumnKind::Guid
        | ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::Boolean { .. }
        | ColumnKind::DateTime { .. }
        | ColumnKind::MultiChoice { .. }
        | ColumnKind::Lookup { .. }
        | ColumnKind::File { .. }
        | ColumnKind::Image { .. }
        | ColumnKind::TableName => return Number::OtherColumn,
    };
    // Too large for a decimal is beyond what any of these columns holds; too small is refused.
    let far = || rough().filter(|number| number.abs() > 1.0);
    match fit.or_else(|| far().map(|far| if far < 0.0 { Fit::Below } else { Fit::Above })) {
        Some(fit) => Number::Fits(fit),
        None => Number::Malformed,
    }
}

/// A number against a column of whole numbers, which `hold` makes from those in its range.
fn whole(number: Decimal, hold: impl Fn(i128) -> Option<Value>) -> Fit {
    let floor = number.floor();
    let held = i128::try_from(floor).ok().and_then(hold);
    match held {
        Some(value) if floor == number => Fit::Exact(value),
        Some(value) => Fit::After(value),
        None if number.is_sign_negative() => Fit::Below,
        None => Fit::Above,
    }
}

/// A number against a column with this many digits after the point.
fn scaled(number: Decimal, precision: u32) -> Fit {
    let floor = number
        .round_dp_with_strategy(precision, rust_decimal::RoundingStrategy::ToNegativeInfinity)
        .normalize();
    if floor == number {
        Fit::Exact(Value::Decimal(floor))
    } else {
        Fit::After(Value::Decimal(floor))
    }
}
