//! Which table a CSV file would fill: kinds and sizes of columns from all of its texts.
//!
//! In: headers and rows, one at a time. Out: a [`NewTable`] and remarks on what was chosen.
//! Not here: reading files (`source`), creating the table (`service`).
//! Invariant: a column gets another kind than text only if every text in it is had back unchanged by
//! [`Form::write`]. Memory does not grow with the rows.

use crate::form::{Form, WORDS, Words};
use crate::mapping::{DEFAULT_PREFIX, REPORT_COLUMNS};
use model::{
    ColumnKind, Date, DateTimeBehavior, Decimal, Label, NewColumn, NewTable, Ownership,
    RequiredLevel, TableKind, TextFormat, Timestamp, Uuid,
};
use std::collections::HashSet;
use std::str::FromStr;

/// The longest text column; longer texts need a memo.
const TEXT_MAX: u32 = 4_000;
/// The longest memo column.
const MEMO_MAX: u32 = 1_048_576;
/// A text column is at least so long.
const TEXT_LEAST: u32 = 100;
const DECIMAL_DIGITS_MAX: u32 = 10;
const DECIMAL_LIMIT: i64 = 100_000_000_000;
const NAME_CHARS_MAX: usize = 50;

/// What the texts of one column have in common so far.
#[derive(Clone, Debug)]
struct Seen {
    texts: u64,
    empties: u64,
    longest: u32,
    is_integer: bool,
    is_big: bool,
    is_decimal: bool,
    /// Digits after the point: the fewest and the most.
    digits: (u32, u32),
    has_final_zeros: bool,
    largest: Decimal,
    words: Vec<Words>,
    is_date: bool,
    date_times: Vec<Form>,
    is_guid: bool,
}

impl Seen {
    fn new() -> Self {
        let forms = [(false, true), (false, false), (true, true), (true, false)];
        Self {
            texts: 0,
            empties: 0,
            longest: 0,
            is_integer: true,
            is_big: true,
            is_decimal: true,
            digits: (u32::MAX, 0),
            has_final_zeros: false,
            largest: Decimal::ZERO,
            words: WORDS.to_vec(),
            is_date: true,
            date_times: forms.map(|(blank, zulu)| Form::DateTime { blank, zulu }).to_vec(),
            is_guid: true,
        }
    }

    fn look(&mut self, text: &str) {
        if text.is_empty() {
            self.empties += 1;
            return;
        }
        self.texts += 1;
        let units = text.encode_utf16().count();
        self.longest = self.longest.max(u32::try_from(units).unwrap_or(u32::MAX));
        self.is_integer &= is_canonical::<i32>(text);
        self.is_big &= is_canonical::<i64>(text);
        if self.is_decimal {
            self.look_decimal(text);
        }
        self.words.retain(|words| text == words.yes || text == words.no);
        self.is_date &= Date::parse(text).is_some_and(|day| day.to_string() == text);
        if !self.date_times.is_empty() {
            let at = if text.len() >= 19 { Timestamp::parse(text) } else { None };
            self.date_times.retain(|form| {
                at.is_some_and(|at| {
                    let mut again = String::new();
                    form.write(&mut again, &model::Value::DateTime(at));
                    again == text
                })
            });
        }
        self.is_guid &= text.len() == 36
            && Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text);
    }

    fn look_decimal(&mut self, text: &str) {
        // `Decimal` keeps the digits as written, so that its text is the canonical one.
        match Decimal::from_str_exact(text) {
            Ok(number) if number.to_string() == text && !is_minus_zero(text) => {
                let digits = number.scale();
                self.digits = (self.digits.0.min(digits), self.digits.1.max(digits));
                self.has_final_zeros |= digits > 0 && text.ends_with('0');
                self.largest = self.largest.max(number.abs());
            }
            _ => self.is_decimal = false,
        }
    }

    fn decimal(&self) -> Option<(ColumnKind, Form)> {
        let (fewest, most) = self.digits;
        if !self.is_decimal || most > DECIMAL_DIGITS_MAX {
            return None;
        }
        let form = if fewest == most {
            Form::Fixed(u8::try_from(most).ok()?)
        } else if self.has_final_zeros {
            return None;
        } else {
            Form::Shortest
        };
        // Scaled to whole numbers the range must fit 64 bits.
        let scaled = i64::MAX / 10_i64.checked_pow(most)? / 10 * 9;
        let limit = Decimal::from(DECIMAL_LIMIT.min(scaled));
        if self.largest > limit {
            return None;
        }
        let kind =
            ColumnKind::Decimal { precision: u8::try_from(most).ok()?, min: -limit, max: limit };
        Some((kind, form))
    }

    fn kind(&self) -> (ColumnKind, Form) {
        if self.texts > 0 {
            if self.is_integer {
                return (ColumnKind::Integer { min: i32::MIN, max: i32::MAX }, Form::Plain);
            }
            if self.is_big {
                return (ColumnKind::BigInt, Form::Plain);
            }
            if let Some(decimal) = self.decimal() {
                return decimal;
            }
            // A yes/no column has no empty fields: what is not given reads as no.
            if let (Some(words), 0) = (self.words.first(), self.empties) {
                let kind = ColumnKind::Boolean {
                    default: false,
                    true_label: Label::english("Yes"),
                    false_label: Label::english("No"),
                };
                return (kind, Form::Words(*words));
            }
            if self.is_date {
                let behavior = DateTimeBehavior::DateOnly;
                return (ColumnKind::DateTime { behavior, with_time: false }, Form::Plain);
            }
            if let Some(form) = self.date_times.first() {
                let zulu = matches!(form, Form::DateTime { zulu: true, .. });
                let behavior = if zulu {
                    DateTimeBehavior::UserLocal
                } else {
                    DateTimeBehavior::TimeZoneIndependent
                };
                return (ColumnKind::DateTime { behavior, with_time: true }, *form);
            }
        }
        (self.text(), Form::Plain)
    }

    fn text(&self) -> ColumnKind {
        if self.longest <= TEXT_MAX {
            // Room to grow: the next power of two.
            let max_length = self.longest.next_power_of_two().clamp(TEXT_LEAST, TEXT_MAX);
            ColumnKind::Text { max_length, format: TextFormat::Text }
        } else {
            let max_length = self.longest.checked_next_power_of_two().unwrap_or(MEMO_MAX);
            ColumnKind::Memo { max_length: max_length.min(MEMO_MAX), json: false }
        }
    }

    fn remark(&self) -> Option<&'static str> {
        if !self.words.is_empty() && self.texts > 0 && self.empties > 0 {
            return Some("text: a yes/no column would read its empty fields as no");
        }
        if self.texts > 0 && self.is_guid {
            return Some("text: unique identifiers (no service makes such a column)");
        }
        if self.texts == 0 {
            return Some("text: every field is empty");
        }
        if self.longest > MEMO_MAX {
            return Some("longer than any column: some rows will be refused");
        }
        None
    }
}

fn is_canonical<N: FromStr + ToString>(text: &str) -> bool {
    text.len() <= 20 && text.parse::<N>().is_ok_and(|number| number.to_string() == text)
}

fn is_minus_zero(text: &str) -> bool {
    text.starts_with('-') && text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'))
}

/// Looks at a file and proposes a table.
pub struct Inference {
    headers: Vec<String>,
    seen: Vec<Seen>,
    rows: u64,
}

/// What the user asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The table's name, with or without prefix.
    pub name: String,
    /// The prefix for names that have none, with its `_`.
    pub prefix: String,
    /// An elastic table.
    pub elastic: bool,
    /// The header of the column that names a record in other systems.
    pub key: Option<String>,
}

/// A proposed table.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The table.
    pub table: NewTable,
    /// The column of the alternate key, by logical name.
    pub key: Option<String>,
    /// What the user should know, one sentence each.
    pub remarks: Vec<String>,
    /// Rows that were looked at.
    pub rows: u64,
}

/// The wish cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name cannot be one.
    #[error("`{0}` cannot be a table's name: use letters, digits and `_`, at most 100")]
    BadName(String),
    /// The prefix cannot be one.
    #[error(
        "`{0}` cannot be a prefix: use 2 to 8 letters and digits, a letter first, and `_`; not `mscrm`"
    )]
    BadPrefix(String),
    /// No such header.
    #[error("there is no column `{0}` for the key")]
    NoKeyColumn(String),
    /// A key over such a column is not possible.
    #[error("column `{column}` cannot be a key: {why}")]
    BadKeyColumn {
        /// The header.
        column: String,
        /// Why not.
        why: &'static str,
    },
    /// Two headers differ in the case of letters only.
    #[error("headers `{0}` and `{1}` differ in the case of their letters only")]
    SameHeader(String, String),
}

impl Inference {
    /// Starts with the header line. Columns that a report added are left out.
    pub fn new(headers: &[String]) -> Self {
        let seen = headers.iter().map(|_| Seen::new()).collect();
        Self { headers: headers.to_vec(), seen, rows: 0 }
    }

    /// Looks at a row. Fields that are not UTF-8 and rows of another length are left to the load.
    pub fn look(&mut self, fields: &csv::ByteRecord) {
        self.rows += 1;
        for (seen, field) in self.seen.iter_mut().zip(fields) {
            if let Ok(text) = std::str::from_utf8(field) {
                seen.look(text);
            }
        }
    }

    /// Proposes the table.
    pub fn propose(&self, wish: &Wish) -> Result<Proposal, Error> {
        check_prefix(&wish.prefix)?;
        let schema_name = schema_name(&wish.name, &wish.prefix)?;
        let logical_name = schema_name.to_lowercase();
        let names = self.names(&logical_name, &wish.prefix)?;
        let mut remarks = Vec::new();
        let mut columns = Vec::new();
        let mut kept = Vec::new();
        for ((header, seen), name) in self.headers.iter().zip(&self.seen).zip(&names) {
            let Some(name) = name else { continue };
            let (mut kind, mut form) = seen.kind();
            let is_key = wish.key.as_ref().is_some_and(|key| key.eq_ignore_ascii_case(header));
            if is_key && matches!(kind, ColumnKind::BigInt) {
                remarks.push(format!("`{header}` is text: keys over 64-bit numbers do not exist"));
                (kind, form) = (seen.text(), Form::Plain);
            }
            if let Some(remark) = seen.remark() {
                remarks.push(format!("`{header}` is {remark}"));
            }
            columns.push(NewColumn {
                schema_name: name.as_str().into(),
                display_name: Label::english(header.as_str()),
                description: form.describe().map(Label::english).unwrap_or_default(),
                required: RequiredLevel::None,
                kind,
                is_primary_name: false,
                global_choice: None,
                settings: model::ColumnSettings::default(),
            });
            kept.push(header.as_str());
        }
        let key = wish.key.as_deref().map(|key| key_column(key, &kept, &columns)).transpose()?;
        name_records(&mut columns, &kept, &wish.prefix, &mut remarks);
        let shown = wish.name.split_once('_').map_or(wish.name.as_str(), |(_, rest)| rest);
        let table = NewTable {
            schema_name: schema_name.into(),
            entity_set_name: None,
            display_name: Label::english(shown),
            display_collection_name: Label::english(shown),
            description: Label::default(),
            ownership: if wish.elastic { Ownership::Organization } else { Ownership::User },
            kind: if wish.elastic { TableKind::Elastic } else { TableKind::Standard },
            has_notes: false,
            has_activities: false,
            change_tracking: None,
            settings: model::TableSettings::default(),
            columns,
        };
        Ok(Proposal { table, key, remarks, rows: self.rows })
    }

    /// The name of each column, none for those that are no data.
    ///
    /// Headers that are names already come first, so that they keep theirs.
    fn names(&self, table: &str, prefix: &str) -> Result<Vec<Option<String>>, Error> {
        let mut lower: HashSet<String> = HashSet::new();
        for header in &self.headers {
            if !lower.insert(header.to_lowercase()) {
                let twin =
                    self.headers.iter().find(|other| other.to_lowercase() == header.to_lowercase());
                let twin = twin.cloned().unwrap_or_default();
                return Err(Error::SameHeader(twin, header.clone()));
            }
        }
        let mut taken: HashSet<String> = HashSet::from([format!("{table}id")]);
        let mut names: Vec<Option<String>> = vec![None; self.headers.len()];
        for exact in [true, false] {
            for (place, header) in self.headers.iter().enumerate() {
                if REPORT_COLUMNS.contains(&header.as_str()) || names[place].is_some() {
                    continue;
                }
                let wanted = column_name(header, prefix, place);
                let bare = wanted.strip_prefix(prefix).unwrap_or(&wanted);
                let is_exact = bare == header.to_lowercase() || wanted == header.to_lowercase();
                if is_exact != exact {
                    continue;
                }
                let mut name = wanted.clone();
                let mut number = 2;
                while !taken.insert(name.clone()) {
                    name = format!("{wanted}{number}");
                    number += 1;
                }
                names[place] = Some(name);
            }
        }
        Ok(names)
    }
}

/// Sees to it that one text column names the records.
fn name_records(
    columns: &mut Vec<NewColumn>,
    headers: &[&str],
    prefix: &str,
    remarks: &mut Vec<String>,
) {
    let is_text = |column: &NewColumn| matches!(column.kind, ColumnKind::Text { .. });
    let by_name = headers
        .iter()
        .zip(columns.iter())
        .position(|(header, column)| header.eq_ignore_ascii_case("name") && is_text(column));
    if let Some(place) = by_name.or_else(|| columns.iter().position(is_text)) {
        columns[place].is_primary_name = true;
        if by_name.is_none() {
            remarks.push(format!(
                "`{}` names the records: it is the first text column",
                headers[place]
            ));
        }
        return;
    }
    // A column that the file does not have: it stays empty and is not part of what comes back.
    let mut schema_name = format!("{prefix}name");
    while columns.iter().any(|column| *column.schema_name == *schema_name) {
        schema_name.push('_');
    }
    remarks.push(format!(
        "there is no text column to name the records: `{schema_name}` is added and stays empty"
    ));
    columns.push(NewColumn {
        schema_name: schema_name.into(),
        display_name: Label::english("Name"),
        description: Label::english(NOT_LOADED),
        required: RequiredLevel::None,
        kind: ColumnKind::Text { max_length: TEXT_LEAST, format: TextFormat::Text },
        is_primary_name: true,
        global_choice: None,
        settings: model::ColumnSettings::default(),
    });
}

/// The description of a column that was added to a table that came from a file.
pub const NOT_LOADED: &str = "CSV form: not in the file";

fn key_column(key: &str, headers: &[&str], columns: &[NewColumn]) -> Result<String, Error> {
    let place = headers
        .iter()
        .position(|header| *header == key)
        .or_else(|| headers.iter().position(|header| header.eq_ignore_ascii_case(key)))
        .or_else(|| columns.iter().position(|column| column.schema_name.eq_ignore_ascii_case(key)))
        .ok_or_else(|| Error::NoKeyColumn(key.to_owned()))?;
    let why = match &columns[place].kind {
        ColumnKind::Integer { .. }
        | ColumnKind::Text { .. }
        | ColumnKind::Decimal { .. }
        | ColumnKind::DateTime { .. } => {
            return Ok(columns[place].schema_name.to_lowercase());
        }
        ColumnKind::Memo { .. } => "its texts are too long",
        ColumnKind::BigInt => "keys over 64-bit whole numbers do not exist",
        ColumnKind::Boolean { .. } => "it has two values only",
        _ => "of its kind",
    };
    Err(Error::BadKeyColumn { column: key.to_owned(), why })
}

fn check_prefix(prefix: &str) -> Result<(), Error> {
    let bare = prefix.strip_suffix('_').unwrap_or_default();
    let is_good = (2..=8).contains(&bare.len())
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && bare.starts_with(|first: char| first.is_ascii_alphabetic())
        && !bare.eq_ignore_ascii_case("mscrm");
    if is_good { Ok(()) } else { Err(Error::BadPrefix(prefix.to_owned())) }
}

fn schema_name(name: &str, prefix: &str) -> Result<String, Error> {
    let is_good = !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !is_good {
        return Err(Error::BadName(name.to_owned()));
    }
    let has_prefix = name
        .split_once('_')
        .is_some_and(|(own, rest)| !rest.is_empty() && check_prefix(&format!("{own}_")).is_ok());
    Ok(if has_prefix { name.to_owned() } else { format!("{prefix}{name}") })
}

/// A header as a column name: lower case, what cannot be in a name becomes `_`, prefixed.
fn column_name(header: &str, prefix: &str, place: usize) -> String {
    let mut name = String::new();
    for letter in header.trim().to_lowercase().chars() {
        if name.len() >= NAME_CHARS_MAX {
            break;
        }
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() {
        format!("{prefix}column{}", place + 1)
    } else if name.starts_with(prefix) && name.len() > prefix.len() {
        name.to_owned()
    } else {
        format!("{prefix}{name}")
    }
}

/// The prefix when the user gives none.
pub fn default_prefix() -> String {
    DEFAULT_PREFIX.to_owned()
}

#[cfg(test)]
mod tests;
