//! From the text of one field to the typed value of its column: pure.
//!
//! In: a column and a text that is not blank. Out: a [`Value`], or why not.
//! Not here: empty fields and headers (`mapping`). Lookups by name are refused, naming the forms that
//! are understood. A time without a zone is taken as UTC, unless [`Reading`] says otherwise.
//! Invariant: no text is silently changed; what does not fit its column is an error that names it.

use crate::problem::shortened;
use crate::zone::Zone;
use model::{
    Catalog, ChoiceOption, Column, ColumnKind, Date, DateTimeBehavior, Decimal, Label,
    LookupTarget, LookupValue, Timestamp, Value, fold,
};
use std::collections::HashMap;
use std::str::FromStr;
use uuid::Uuid;

/// What texts mean that can mean several things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The zone of times that have none, in columns that hold instants; none is UTC.
    pub zone: Option<Zone>,
    /// Whole numbers are date and time.
    pub epoch: Option<Epoch>,
    /// What parts several choices.
    pub choices: Parting,
}

/// What a whole number counts since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
}

/// Parts the choices of a list, whatever else parts them.
pub(crate) const LISTED: &str = "\u{1f}";

/// What parts several choices in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parting {
    /// `;` where there is one, else `,`.
    #[default]
    Any,
    /// Only this.
    By(char),
    /// Nothing: a text is one choice.
    Nothing,
}

/// How a column's texts are read; made once per column.
#[derive(Debug)]
pub struct Converter {
    kind: Kind,
}

/// What the text of a lookup leaves open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Open {
    /// Which record has this name.
    Name(Box<str>),
    /// In which of several tables the record with this id is.
    Id(Uuid),
}

#[derive(Debug)]
enum Kind {
    Text,
    Integer,
    BigInt,
    Decimal,
    Double,
    Boolean(HashMap<Box<str>, bool>),
    Choice(HashMap<Box<str>, i32>),
    MultiChoice(HashMap<Box<str>, i32>, Parting),
    /// In this zone.
    DateTime(Option<Zone>, Option<Epoch>),
    Date,
    Guid,
    Lookup(Vec<(LookupTarget, Option<model::TableId>)>),
}

impl Converter {
    /// Prepares a column. `catalog` holds the tables that its lookups point to.
    pub fn new(column: &Column, catalog: &Catalog) -> Self {
        let kind = match &column.kind {
            ColumnKind::Guid | ColumnKind::File { .. } => Kind::Guid,
            // An image is base64.
            ColumnKind::Text { .. }
            | ColumnKind::Memo { .. }
            | ColumnKind::TableName
            | ColumnKind::Image { .. } => Kind::Text,
            ColumnKind::Integer { .. } => Kind::Integer,
            ColumnKind::BigInt => Kind::BigInt,
            ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => Kind::Decimal,
            ColumnKind::Double { .. } => Kind::Double,
            ColumnKind::Boolean { true_label, false_label, .. } => {
                let words = ["true", "1", "yes"].map(|word| (word.into(), true));
                let more = ["false", "0", "no"].map(|word| (word.into(), false));
                let mut map: HashMap<Box<str>, bool> = words.into_iter().chain(more).collect();
                for (label, value) in [(true_label, true), (false_label, false)] {
                    map.extend(folded(label).map(|text| (text, value)));
                }
                Kind::Boolean(map)
            }
            ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => Kind::Date,
            ColumnKind::DateTime { .. } => Kind::DateTime(None, None),
            ColumnKind::Choice { options, .. }
            | ColumnKind::State { options }
            | ColumnKind::Status { options } => Kind::Choice(labels(options)),
            ColumnKind::MultiChoice { options } => Kind::MultiChoice(labels(options), Parting::Any),
            ColumnKind::Lookup { targets, .. } => Kind::Lookup(
                targets
                    .iter()
                    .map(|target| {
                        (target.clone(), catalog.table(&target.table).map(|table| table.id))
                    })
                    .collect(),
            ),
        };
        Self { kind }
    }

    /// The same where texts mean what `reading` says.
    pub fn reading(mut self, column: &Column, reading: &Reading) -> Self {
        match (&mut self.kind, &column.kind) {
            (Kind::MultiChoice(_, parting), _) => *parting = reading.choices,
            (Kind::DateTime(zone, epoch), ColumnKind::DateTime { behavior, .. }) => {
                // Other columns hold what a clock shows, wherever it hangs.
                *zone = match behavior {
                    DateTimeBehavior::UserLocal => reading.zone.clone(),
                    DateTimeBehavior::DateOnly | DateTimeBehavior::TimeZoneIndependent => None,
                };
                *epoch = reading.epoch;
            }
            _ => {}
        }
        self
    }

    /// What the text of a lookup leaves open: which record has this name, or which table this id.
    pub fn open(&self, text: &str) -> Option<Open> {
        let Kind::Lookup(targets) = &self.kind else { return None };
        let word = text.trim();
        if word.is_empty() || (word.contains('=') && named_reference(word).is_ok()) {
            return None;
        }
        match Uuid::try_parse(word) {
            Ok(_) if targets.len() <= 1 => None,
            Ok(id) => Some(Open::Id(id)),
            Err(_) => Some(Open::Name(word.into())),
        }
    }

    /// Whether blank text is a value and not «nothing».
    pub fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text)
    }

    /// Reads a text. Blanks around anything but text do not count.
    ///
    /// Errors: what is wrong, with the text (shortened).
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let word = text.trim();
        let no = |what: &str| format!("`{}` is no {what}", shortened(word));
        if word.is_empty() && !self.is_text() {
            return Ok(Value::Null);
        }
        match &self.kind {
            Kind::Text => Ok(Value::text(text)),
            Kind::Integer => match word.parse() {
                Ok(number) => Ok(Value::Integer(number)),
                Err(_) => whole(word)
                    .and_then(|number| i32::try_from(number).ok())
                    .map(Value::Integer)
                    .ok_or_else(|| no("whole number of 32 bits")),
            },
            Kind::BigInt => match word.parse() {
                Ok(number) => Ok(Value::BigInt(number)),
                Err(_) => {
                    whole(word).map(Value::BigInt).ok_or_else(|| no("whole number of 64 bits"))
                }
            },
            Kind::Decimal => decimal(word).map(Value::Decimal).ok_or_else(|| no("decimal number")),
            Kind::Double => word
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Value::Double)
                .ok_or_else(|| no("number")),
            Kind::Boolean(words) => words
                .get(&*fold(word))
                .map(|value| Value::Boolean(*value))
                .ok_or_else(|| no("yes or no")),
            Kind::Choice(labels) => choice(labels, word).map(Value::Integer),
            Kind::MultiChoice(labels, parting) => {
                choices(labels, word, *parting).map(Value::Choices)
            }
            Kind::DateTime(zone, epoch) => match (epoch.and_then(|epoch| since(word, epoch)), zone)
            {
                (Some(at), _) => at.map(Value::DateTime).ok_or_else(|| no("date and time")),
                (None, Some(zone)) => zone.read(word).map(Value::DateTime),
                (None, None) => {
                    Timestamp::parse(word).map(Value::DateTime).ok_or_else(|| no("date and time"))
                }
            },
            Kind::Date => Date::parse(word).map(Value::Date).ok_or_else(|| no("date")),
            Kind::Guid => {
                Uuid::try_parse(word).map(Value::Guid).map_err(|_| no("unique identifier"))
            }
            Kind::Lookup(targets) => lookup(targets, word).map(Value::Lookup),
        }
    }
}

fn labels(options: &[ChoiceOption]) -> HashMap<Box<str>, i32> {
    let mut map = HashMap::new();
    // The first option of a label wins, the user's language before the others.
    for option in options.iter().rev() {
        map.extend(folded(&option.label).map(|text| (text, option.value)));
    }
    map
}

fn folded(label: &Label) -> impl Iterator<Item = Box<str>> + '_ {
    label.texts.iter().map(|text| Box::from(&*fold(&text.text)))
}

/// A whole number written with a fraction of zero or an exponent.
fn whole(word: &str) -> Option<i64> {
    let number = decimal(word)?;
    number.is_integer().then(|| i64::try_from(number).ok()).flatten()
}

fn decimal(word: &str) -> Option<Decimal> {
    let word = word.strip_prefix('+').unwrap_or(word);
    Decimal::from_str_exact(word).or_else(|_| Decimal::from_scientific(word)).ok()
}

fn choice(labels: &HashMap<Box<str>, i32>, word: &str) -> Result<i32, String> {
    match labels.get(&*fold(word)) {
        Some(value) => Ok(*value),
        None => i32::from_str(word).map_err(|_| {
            format!("`{}` is neither a label nor a number of the choice", shortened(word))
        }),
    }
}

/// The instant of a whole number, if it is one and within what records hold.
fn since(word: &str, epoch: Epoch) -> Option<Option<Timestamp>> {
    let number = whole(word)?;
    let second = match epoch {
        Epoch::Seconds => number,
        Epoch::Milliseconds => number.div_euclid(1_000),
    };
    let at = Timestamp(second);
    Some((Timestamp::MIN..=Timestamp::MAX).contains(&at).then_some(at))
}

/// One label, or several with something between them.
fn choices(
    labels: &HashMap<Box<str>, i32>,
    word: &str,
    parting: Parting,
) -> Result<Box<[i32]>, String> {
    let mark = match parting {
        _ if word.contains(LISTED) => LISTED.to_owned(),
        Parting::Any => if word.contains(';') { ";" } else { "," }.to_owned(),
        Parting::By(mark) => mark.to_string(),
        Parting::Nothing => return Ok([choice(labels, word)?].into()),
    };
    let mut values = match choice(labels, word) {
        Ok(value) => vec![value],
        Err(_) => word
            .split(&mark)
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| choice(labels, part))
            .collect::<Result<_, _>>()?,
    };
    values.sort_unstable();
    values.dedup();
    Ok(values.into())
}

/// A GUID, or `TableName=contact;Id=<guid>` with the names in any order.
fn lookup(
    targets: &[(LookupTarget, Option<model::TableId>)],
    word: &str,
) -> Result<LookupValue, String> {
    let names = || {
        let names: Vec<_> =
            targets.iter().map(|(target, _)| format!("`{}`", target.table)).collect();
        names.join(", ")
    };
    let (table, id) = if word.contains('=') { named_reference(word)? } else { (None, word) };
    let id = Uuid::try_parse(id).map_err(|_| {
        format!(
            "`{}` names no record: give its id, or `TableName={};Id=<id>`",
            shortened(word),
            targets.first().map_or("table", |(target, _)| &*target.table)
        )
    })?;
    let target = match (table, targets) {
        (None, [only]) => only,
        (None, _) => {
            return Err(format!(
                "`{}` may be of {}: say which with `TableName=…;Id=…`",
                shortened(word),
                names()
            ));
        }
        (Some(table), _) => targets
            .iter()
            .find(|(target, _)| target.table.eq_ignore_ascii_case(table))
            .ok_or_else(|| format!("the column cannot point to `{table}`, only to {}", names()))?,
    };
    match target {
        (_, Some(table)) => Ok(LookupValue { table: *table, id }),
        (target, None) => Err(format!("the definition of table `{}` is not known", target.table)),
    }
}

fn named_reference(word: &str) -> Result<(Option<&str>, &str), String> {
    let (mut table, mut id) = (None, None);
    for part in word.split(';').filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "tablename" | "entityname" | "logicalname" => table = Some(value.trim()),
            "id" => id = Some(value.trim()),
            _ => return Err(format!("`{}` is no reference to a record", shortened(word))),
        }
    }
    let id = id.ok_or_else(|| format!("`{}` gives no Id", shortened(word)))?;
    Ok((table, id))
}

#[cfg(test)]
mod tests;
