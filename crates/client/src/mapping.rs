//! Which header means which column, and how a row becomes a target.
//!
//! In: a table, headers, fields. Out: the cells of a [`Target`], typed, and the row's own key.
//! Not here: which operation a row turns into (`encode`), the texts of single values (`convert`).
//! Invariant: a header means one column and a column has one header; nothing is dropped unsaid.

use crate::convert::{self, Converter, Open, Reading};
use crate::files::{self, Given};
use crate::parties::{self, PartyList, Role};
use crate::problem::{Class, Problem, shortened};
use crate::service::Described;
use model::{Catalog, Cell, ColumnIndex, ColumnKind, Table, Value};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// What the report adds to a rejected row; such columns of an input are not data.
pub const REPORT_COLUMNS: [&str; 4] = ["_error", "_code", "_line", "_column"];
/// What pass-through adds; not data either.
const OUTCOME_COLUMN: &str = crate::report::OUTCOME;
/// The prefix of names that users make when they do not say.
pub const DEFAULT_PREFIX: &str = "new_";

/// What an empty CSV field means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyAs {
    /// The column is not touched.
    #[default]
    Absent,
    /// The column is emptied.
    Clear,
    /// Empty text in text columns (the service keeps it as nothing); other columns are emptied.
    Empty,
}

/// How rows are read.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What an empty CSV field means.
    pub empty_as: EmptyAs,
    /// A CSV field with exactly this text empties the column.
    pub null: Option<String>,
    /// Columns of the input that are not data.
    pub ignore: Vec<String>,
    /// Columns that the table does not have are left out instead of failing.
    pub ignore_unknown: bool,
    /// Where folders with files are that rows name by their ids.
    pub file_directory: Option<PathBuf>,
    /// The column of the input that names for whom a row is written; it is not data.
    pub caller_column: Option<String>,
    /// What texts mean that can mean several things.
    pub reading: Reading,
}

/// What a header means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Not data.
    Nothing,
    /// The row's primary key.
    Id,
    /// For whom the row is written.
    Caller,
    /// A column.
    Column(ColumnIndex),
    /// Who takes part in an activity, in this role.
    Parties(Role),
    /// The table has no such column.
    Unknown,
}

/// Headers that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Some name no column.
    #[error(
        "table `{table}` has no column {}: correct the header, or leave the columns out with `--ignore` or `--ignore-unknown-columns`",
        quoted(headers)
    )]
    Unknown {
        /// The table.
        table: Box<str>,
        /// The headers.
        headers: Vec<String>,
    },
    /// The one that names callers is not there.
    #[error("the input has no column `{0}`, which is to name callers")]
    NoCaller(String),
    /// Two mean the same column.
    #[error("headers `{first}` and `{second}` both mean column `{column}`")]
    Repeated {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// The column.
        column: Box<str>,
    },
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Turns rows into cells.
pub struct Mapper {
    table: Arc<Table>,
    catalog: Arc<Catalog>,
    rules: Rules,
    slots: Vec<(String, Meaning)>,
    /// One per column of the table, made when first needed.
    converters: Vec<Option<Converter>>,
    meanings: HashMap<String, Meaning>,
    /// Members that the table does not have, to be told once each.
    left_out: Vec<String>,
    /// Only these columns are data, whether they can be written or not.
    only: Option<HashSet<ColumnIndex>>,
    /// Reads the members of lists of parties, where rows may have such.
    parties: Option<Box<parties::Reader>>,
}

/// A row as the table sees it.
#[derive(Debug, Default)]
pub struct Mapped {
    /// The primary key that the row gives.
    pub id: Option<Uuid>,
    /// The columns that the row gives.
    pub cells: Vec<Cell>,
    /// Lookups whose records are still to be found.
    pub open: Vec<(ColumnIndex, Open)>,
    /// Files that the row gives.
    pub files: Vec<(ColumnIndex, Given)>,
    /// For whom the row is written; the run's own caller where it says nothing.
    pub caller: Option<Uuid>,
    /// Lists of parties that the row gives.
    pub parties: Vec<PartyList>,
}

impl Mapped {
    fn clear(&mut self) {
        self.id = None;
        self.cells.clear();
        self.open.clear();
        self.files.clear();
        self.caller = None;
        self.parties.clear();
    }

    fn gives(&self, column: ColumnIndex) -> bool {
        self.cells.iter().any(|cell| cell.column == column)
            || self.open.iter().any(|(other, _)| *other == column)
            || self.files.iter().any(|(other, _)| *other == column)
    }
}

impl Mapper {
    /// For rows whose names come with every row (NDJSON).
    pub fn new(table: Arc<Table>, catalog: Arc<Catalog>, rules: Rules) -> Self {
        let converters = table.columns.iter().map(|_| None).collect();
        Self {
            table,
            catalog,
            rules,
            slots: Vec::new(),
            converters,
            meanings: HashMap::new(),
            left_out: Vec::new(),
            only: None,
            parties: None,
        }
    }

    /// Rows only name records: by their key and by these columns.
    pub fn naming(mut self, columns: impl IntoIterator<Item = ColumnIndex>) -> Self {
        self.only = Some(columns.into_iter().collect());
        self
    }

    /// Rows may have lists of parties, which are rows of this table themselves.
    pub fn with_parties(mut self, parties: Option<&Described>) -> Self {
        self.parties = parties.map(|described| Box::new(parties::Reader::new(described)));
        self
    }

    /// For rows under headers (CSV).
    pub fn with_headers(mut self, headers: &[String]) -> Result<Self, HeaderError> {
        let mut unknown = Vec::new();
        for header in headers {
            let mut meaning = self.meaning(header);
            if meaning == Meaning::Unknown {
                if self.rules.ignore_unknown {
                    self.left_out.push(header.clone());
                } else {
                    unknown.push(header.clone());
                }
                meaning = Meaning::Nothing;
            }
            if meaning != Meaning::Nothing
                && let Some((first, _)) = self.slots.iter().find(|(_, other)| *other == meaning)
            {
                return Err(HeaderError::Repeated {
                    first: first.clone(),
                    second: header.clone(),
                    column: match meaning {
                        Meaning::Column(index) => self.table.column(index).logical_name.clone(),
                        Meaning::Caller => header.as_str().into(),
                        Meaning::Parties(role) => role.column().into(),
                        _ => self.table.primary_key_name().into(),
                    },
                });
            }
            self.slots.push((header.clone(), meaning));
        }
        if let Some(name) = &self.rules.caller_column
            && !self.slots.iter().any(|(_, meaning)| *meaning == Meaning::Caller)
        {
            return Err(HeaderError::NoCaller(name.clone()));
        }
        if unknown.is_empty() {
            Ok(self)
        } else {
            let table = self.table.logical_name.clone();
            Err(HeaderError::Unknown { table, headers: unknown })
        }
    }

    /// The table that rows are for.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What headers mean, for lookups' tables and for telling the user.
    pub fn meanings(&self) -> impl Iterator<Item = (&str, Meaning)> {
        self.slots.iter().map(|(header, meaning)| (header.as_str(), *meaning))
    }

    /// Columns of the input that were left out because the table does not have them.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What a name means.
    fn meaning(&self, name: &str) -> Meaning {
        let is_ignored = |other: &String| other.eq_ignore_ascii_case(name);
        if self.rules.caller_column.as_ref().is_some_and(is_ignored) {
            return Meaning::Caller;
        }
        if REPORT_COLUMNS.contains(&name)
            || name == OUTCOME_COLUMN
            || name.contains("@odata.")
            || name.contains("@OData.")
            || name.contains("@Microsoft.")
            || self.rules.ignore.iter().any(is_ignored)
        {
            return Meaning::Nothing;
        }
        if name.eq_ignore_ascii_case("Id") && self.table.index_of("id").is_none() {
            return match find_own(&self.table, name) {
                Some(index) => Meaning::Column(index),
                None => Meaning::Id,
            };
        }
        if ["TableName", "EntityName"].iter().any(|own| name.eq_ignore_ascii_case(own))
            && find(&self.table, name).is_none()
        {
            return Meaning::Nothing;
        }
        match find(&self.table, name) {
            None if files::companion(&self.table, name).is_some() => Meaning::Nothing,
            None if self.only.is_some() => Meaning::Nothing,
            None if self.parties.is_some()
                && let Some(role) = Role::of(&self.table, name) =>
            {
                Meaning::Parties(role)
            }
            None => Meaning::Unknown,
            Some(index) if index == self.table.primary_key => Meaning::Id,
            Some(index) if let Some(only) = &self.only => match only.contains(&index) {
                true => Meaning::Column(index),
                false => Meaning::Nothing,
            },
            Some(index) => {
                let column = self.table.column(index);
                // The service ignores what nobody may write; so the bytes can be saved.
                if column.valid_for_create || column.valid_for_update {
                    Meaning::Column(index)
                } else {
                    Meaning::Nothing
                }
            }
        }
    }

    fn converter(&mut self, index: ColumnIndex) -> &Converter {
        let column = self.table.column(index);
        self.converters[usize::from(index.0)].get_or_insert_with(|| {
            Converter::new(column, &self.catalog).reading(column, &self.rules.reading)
        })
    }

    /// Maps a CSV row. `out` is emptied first.
    pub fn csv(&mut self, fields: &csv::ByteRecord, out: &mut Mapped) -> Result<(), Problem> {
        out.clear();
        if fields.len() != self.slots.len() {
            return Err(Problem::new(
                Class::Input,
                format!("expected {} fields, found {}", self.slots.len(), fields.len()),
            ));
        }
        for (place, field) in fields.iter().enumerate() {
            let meaning = self.slots[place].1;
            if meaning == Meaning::Nothing {
                continue;
            }
            let text = std::str::from_utf8(field).map_err(|_| {
                let header = &self.slots[place].0;
                Problem::new(Class::Input, format!("the field under `{header}` is not UTF-8"))
            })?;
            if self.rules.null.as_deref() == Some(text) {
                self.empty(meaning, out);
            } else if text.is_empty() {
                if let EmptyAs::Clear | EmptyAs::Empty = self.rules.empty_as {
                    self.empty(meaning, out);
                }
            } else {
                self.field(meaning, text, out)?;
            }
        }
        Ok(())
    }

    /// Maps an NDJSON row. `out` is emptied first.
    pub fn json(&mut self, line: &[u8], out: &mut Mapped) -> Result<(), Problem> {
        out.clear();
        let Members(members) = serde_json::from_slice(line)
            .map_err(|err| Problem::new(Class::Input, format!("not a JSON object: {err}")))?;
        for (name, value) in members {
            let meaning = match self.meanings.get(&*name) {
                Some(meaning) => *meaning,
                None => self.learn(&name)?,
            };
            if meaning == Meaning::Nothing {
                continue;
            }
            if let Meaning::Column(column) = meaning
                && out.gives(column)
            {
                return Err(Problem::new(Class::Input, format!("`{name}` is given twice"))
                    .of_column(&self.table.column(column).logical_name));
            }
            if let Meaning::Parties(role) = meaning {
                self.party_list(role, value.get(), true, out)?;
                continue;
            }
            match json_text(value) {
                Ok(None) => self.empty(meaning, out),
                Ok(Some(text)) if value.get().starts_with('[') && self.is_choices(meaning) => {
                    let text = text.replace(';', convert::LISTED);
                    self.field(meaning, &text, out)?;
                }
                Ok(Some(text)) => self.field(meaning, &text, out)?,
                Err(why) => {
                    return Err(Problem::new(Class::Conversion, why).of_column(&name));
                }
            }
        }
        Ok(())
    }

    fn learn(&mut self, name: &str) -> Result<Meaning, Problem> {
        const NAMES_MAX: usize = 4_096;
        let mut meaning = self.meaning(name);
        if meaning == Meaning::Unknown {
            if !self.rules.ignore_unknown {
                let text = format!("table `{}` has no column `{name}`", self.table.logical_name);
                return Err(Problem::new(Class::Usage, text).of_column(name));
            }
            meaning = Meaning::Nothing;
            if self.left_out.len() < NAMES_MAX && !self.left_out.iter().any(|other| other == name) {
                self.left_out.push(name.to_owned());
            }
        }
        if self.meanings.len() < NAMES_MAX {
            self.meanings.insert(name.to_owned(), meaning);
        }
        Ok(meaning)
    }

    fn is_choices(&self, meaning: Meaning) -> bool {
        matches!(meaning, Meaning::Column(column)
            if matches!(self.table.column(column).kind, ColumnKind::MultiChoice { .. }))
    }

    /// The column is to hold nothing.
    fn empty(&self, meaning: Meaning, out: &mut Mapped) {
        match meaning {
            Meaning::Parties(role) => out.parties.push(PartyList { role, rows: Vec::new() }),
            Meaning::Column(column) => match self.table.column(column).kind {
                ColumnKind::File { .. } => out.files.push((column, Given::Nothing)),
                _ => out.cells.push(Cell { column, value: Value::Null }),
            },
            Meaning::Nothing | Meaning::Id | Meaning::Caller | Meaning::Unknown => {}
        }
    }

    fn party_list(
        &mut self,
        role: Role,
        text: &str,
        is_json: bool,
        out: &mut Mapped,
    ) -> Result<(), Problem> {
        if out.parties.iter().any(|list| list.role == role) {
            let text = format!("`{}` is given twice", role.column());
            return Err(Problem::new(Class::Input, text).of_column(role.column()));
        }
        let reader = self.parties.as_mut().expect("a role is told apart only where there is one");
        let read = if is_json { reader.json(role, text) } else { reader.text(role, text) };
        let rows = read.map_err(|problem| problem.of_column(role.column()))?;
        out.parties.push(PartyList { role, rows });
        Ok(())
    }

    pub(crate) fn field(
        &mut self,
        meaning: Meaning,
        text: &str,
        out: &mut Mapped,
    ) -> Result<(), Problem> {
        match meaning {
            Meaning::Nothing | Meaning::Unknown => {}
            Meaning::Parties(role) => self.party_list(role, text, false, out)?,
            Meaning::Caller => {
                let word = text.trim();
                if !word.is_empty() {
                    let id = Uuid::try_parse(word).map_err(|_| {
                        let text = format!("`{}` is no unique identifier", shortened(word));
                        let column = self.rules.caller_column.as_deref().unwrap_or_default();
                        Problem::new(Class::Conversion, text).of_column(column)
                    })?;
                    out.caller = Some(id);
                }
            }
            Meaning::Id => {
                if !text.trim().is_empty() {
                    let id = Uuid::try_parse(text.trim()).map_err(|_| {
                        let text = format!("`{}` is no unique identifier", shortened(text));
                        Problem::new(Class::Conversion, text)
                            .of_column(self.table.primary_key_name())
                    })?;
                    out.id = Some(id);
                }
            }
            Meaning::Column(index)
                if match self.table.column(index).kind {
                    ColumnKind::File { .. } => true,
                    // Base64 has no such letter.
                    ColumnKind::Image { .. } => text.trim_start().starts_with('@'),
                    _ => false,
                } =>
            {
                let given = files::given(text, self.rules.file_directory.as_deref());
                let given = given.map_err(|why| {
                    Problem::new(Class::Conversion, why)
                        .of_column(&self.table.column(index).logical_name)
                })?;
                out.files.push((index, given));
            }
            Meaning::Column(column) => {
                let converter = self.converter(column);
                if let Some(open) = converter.open(text) {
                    out.open.push((column, open));
                    return Ok(());
                }
                let value = converter.read(text).map_err(|why| {
                    Problem::new(Class::Conversion, why)
                        .of_column(&self.table.column(column).logical_name)
                })?;
                out.cells.push(Cell { column, value });
            }
        }
        Ok(())
    }
}

/// The column that a name means: by logical name, then without prefix, then by display name.
pub fn find(table: &Table, name: &str) -> Option<ColumnIndex> {
    let name = name.trim();
    find_own(table, name).or_else(|| {
        let mut shown = table.indexed_columns().filter(|(_, column)| {
            column.display_name.shown().is_some_and(|shown| shown.eq_ignore_ascii_case(name))
        });
        let first = shown.next()?.0;
        shown.next().is_none().then_some(first)
    })
}

/// The column that a name means by logical name or without prefix. An exact display name goes before
/// a primary key without its prefix: `orderid` of an input is rarely the key of `new_order`.
fn find_own(table: &Table, name: &str) -> Option<ColumnIndex> {
    let lower = name.to_lowercase();
    if let Some(index) = table.index_of(&lower) {
        return Some(index);
    }
    if let Some(index) = lower
        .strip_prefix('_')
        .and_then(|rest| rest.strip_suffix("_value"))
        .and_then(|rest| table.index_of(rest))
    {
        return Some(index);
    }
    let exact = table
        .indexed_columns()
        .find(|(_, column)| column.is_custom && column.display_name.shown() == Some(name));
    let own_prefix = table.logical_name.split_once('_').map(|(prefix, _)| format!("{prefix}_"));
    for prefix in own_prefix.as_deref().into_iter().chain([DEFAULT_PREFIX]) {
        if let Some(index) = table.index_of(&format!("{prefix}{lower}")) {
            if index == table.primary_key
                && let Some((exact, _)) = exact
            {
                return Some(exact);
            }
            return Some(index);
        }
    }
    None
}

/// The members of a JSON object in their order, values as they came.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    members.push((name.0, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A JSON value as the text that a CSV field would have; none for null.
pub(crate) fn json_text(value: &RawValue) -> Result<Option<Cow<'_, str>>, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Reference {
        #[serde(alias = "EntityName", alias = "LogicalName", alias = "tablename")]
        table_name: String,
        #[serde(alias = "id")]
        id: String,
    }
    let raw = value.get();
    let bad = |err: serde_json::Error| format!("`{}` cannot be read: {err}", shortened(raw));
    match raw.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => serde_json::from_str::<Name<'_>>(raw).map(|text| Some(text.0)).map_err(bad),
        Some(b'{') => {
            let reference: Reference = serde_json::from_str(raw).map_err(bad)?;
            let Reference { table_name, id } = reference;
            Ok(Some(format!("TableName={table_name};Id={id}").into()))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(bad)?;
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                if item.get().starts_with(['[', '{']) {
                    return Err(format!("`{}` is no list of choices", shortened(raw)));
                }
                texts.extend(json_text(item)?);
            }
            Ok(Some(texts.join(";").into()))
        }
        // A number or a boolean stands for its own text.
        _ => Ok(Some(raw.into())),
    }
}

#[cfg(test)]
mod tests;
