//! Which columns a read shows, and under which headers.
//!
//! Not here: their texts (`output`). Invariant: no two columns have the same header.

use super::fetch::{Attribute, Fetch};
use super::{Error, Headers, Query};
use crate::files;
use crate::form::Form;
use crate::infer::NOT_LOADED;
use crate::mapping;
use crate::source::Format;
use crate::zone::Zone;
use model::{ColumnIndex, ColumnKind, DateTimeBehavior, Table};

/// Where the text of a column comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The typed value.
    Column(ColumnIndex),
    /// A property of the answer as it is; with the column that has to be selected for it.
    Property(String, Option<ColumnIndex>),
    /// A property beside a file or image column, which is selected by its own name.
    Companion(String),
}

/// A column of the output.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) from: From,
    pub(super) header: String,
    pub(super) form: Form,
    /// A lookup's table must stand beside its id, as the column may point to several.
    pub(super) with_table: bool,
    /// It is the primary key.
    pub(super) is_key: bool,
    /// Its text is JSON as it is: numbers and booleans.
    pub(super) is_bare: bool,
    /// Instants are written as times of this zone.
    pub(super) zone: Option<Zone>,
}

impl Shown {
    /// The name to select for it.
    pub(super) fn selected<'a>(&'a self, table: &'a Table) -> Option<&'a str> {
        match &self.from {
            From::Column(index) | From::Property(_, Some(index)) => Some(table.value_name(*index)),
            From::Companion(name) => Some(name),
            From::Property(_, None) => None,
        }
    }

    /// Whether it shows the text that people read.
    pub(super) fn is_formatted(&self) -> bool {
        matches!(&self.from, From::Property(name, Some(_)) if name.contains('@'))
    }
}

/// Columns that are there in every table and that nobody loads.
pub fn is_system(table: &Table, index: ColumnIndex) -> bool {
    const NAMES: [&str; 20] = [
        "createdon",
        "modifiedon",
        "createdby",
        "modifiedby",
        "createdonbehalfby",
        "modifiedonbehalfby",
        "overriddencreatedon",
        "importsequencenumber",
        "timezoneruleversionnumber",
        "utcconversiontimezonecode",
        "versionnumber",
        "ownerid",
        "owninguser",
        "owningteam",
        "owningbusinessunit",
        "owneridtype",
        "owneridname",
        "organizationid",
        "transactioncurrencyid",
        "exchangerate",
    ];
    let column = table.column(index);
    NAMES.contains(&&*column.logical_name)
        || matches!(column.computed, Some(model::Computed::Nothing))
}

/// A column's name without its suffix, and whether the suffix asks for the text that people read.
pub(super) fn suffix<'a>(table: &Table, name: &'a str) -> (&'a str, Option<bool>) {
    match name.rsplit_once(':') {
        Some((rest, "raw")) if mapping::find(table, name).is_none() => (rest, Some(false)),
        Some((rest, "display")) if mapping::find(table, name).is_none() => (rest, Some(true)),
        _ => (name, None),
    }
}

/// The columns that a query shows.
pub(super) fn of_query(table: &Table, query: &Query, format: Format) -> Result<Vec<Shown>, Error> {
    let headers = query.headers.unwrap_or(if table.is_custom && format == Format::Csv {
        Headers::AsLoaded
    } else {
        Headers::Logical
    });
    let find = |name: &str| {
        mapping::find(table, name).ok_or_else(|| Error::NoColumn {
            table: table.logical_name.clone(),
            name: name.to_owned(),
        })
    };
    let is_lookup = |index| matches!(table.column(index).kind, ColumnKind::Lookup { .. });
    let mut columns: Vec<Shown> = Vec::new();
    if query.columns.is_empty() {
        let excluded: Vec<ColumnIndex> =
            query.exclude_columns.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
        for index in all(table, query, headers) {
            if !excluded.contains(&index) {
                let is_text = query.lookup_names && is_lookup(index);
                columns.push(shown(table, headers, index, is_text));
            }
        }
        if query.file_columns {
            of_files(table, headers, &excluded, &mut columns);
        }
        return Ok(columns);
    }
    for given in &query.columns {
        let (name, is_text) = suffix(table, given);
        if mapping::find(table, name).is_none()
            && let Some(name) = files::companion(table, name)
        {
            if columns.iter().any(|other| other.header == name) {
                return Err(Error::Wish(format!("column `{given}` is asked for twice")));
            }
            columns.push(companion(name));
            continue;
        }
        let index = find(name)?;
        let is_text = is_text.unwrap_or(query.lookup_names && is_lookup(index));
        let mut one = shown(table, headers, index, is_text);
        if columns.iter().any(|other| other.header == one.header) {
            one.header.clone_from(given);
        }
        if columns.iter().any(|other| other.header == one.header) {
            return Err(Error::Wish(format!("column `{given}` is asked for twice")));
        }
        columns.push(one);
    }
    Ok(columns)
}

/// What is known of files and images, but for their bytes: ids, names, times and addresses.
fn of_files(table: &Table, headers: Headers, excluded: &[ColumnIndex], columns: &mut Vec<Shown>) {
    for (index, column) in table.indexed_columns() {
        if excluded.contains(&index) || !column.valid_for_read {
            continue;
        }
        if matches!(column.kind, ColumnKind::File { .. }) {
            columns.push(shown(table, headers, index, false));
        }
        let names = files::companions(&column.kind).iter();
        columns.extend(names.map(|name| companion(format!("{}{name}", column.logical_name))));
    }
}

fn companion(name: String) -> Shown {
    Shown { from: From::Companion(name.clone()), ..property(String::new(), &name, None) }
}

/// The columns of a table when none is named.
fn all(table: &Table, query: &Query, headers: Headers) -> Vec<ColumnIndex> {
    let is_file =
        |kind: &ColumnKind| matches!(kind, ColumnKind::File { .. } | ColumnKind::Image { .. });
    let key = (headers == Headers::Logical).then_some(table.primary_key);
    let others = table.indexed_columns().filter(|(index, column)| {
        *index != table.primary_key
            && column.valid_for_read
            && (query.system_columns || !is_system(table, *index))
            && files::companion(table, &column.logical_name).is_none()
            && !is_file(&column.kind)
            && match headers {
                Headers::AsLoaded => {
                    column.description.shown() != Some(NOT_LOADED)
                        && (column.is_custom || !table.is_custom || query.system_columns)
                }
                Headers::Logical => true,
            }
    });
    key.into_iter().chain(others.map(|(index, _)| index)).collect()
}

fn shown(table: &Table, headers: Headers, index: ColumnIndex, is_text: bool) -> Shown {
    let column = table.column(index);
    let display = column.display_name.shown().filter(|_| column.is_custom);
    let header = match (headers, display) {
        (Headers::AsLoaded, Some(display)) => display,
        _ => &*column.logical_name,
    };
    let has_text = matches!(
        column.kind,
        ColumnKind::Lookup { .. }
            | ColumnKind::Choice { .. }
            | ColumnKind::MultiChoice { .. }
            | ColumnKind::State { .. }
            | ColumnKind::Status { .. }
            | ColumnKind::Boolean { .. }
            | ColumnKind::Integer { .. }
            | ColumnKind::BigInt
            | ColumnKind::Decimal { .. }
            | ColumnKind::Double { .. }
            | ColumnKind::Money { .. }
            | ColumnKind::DateTime { .. }
    );
    if is_text && has_text {
        let name = format!("{}@{}", table.value_name(index), wire::record::FORMATTED_VALUE);
        return property(name, header, Some(index));
    }
    let form = match headers {
        Headers::AsLoaded => Form::of(column),
        Headers::Logical => Form::Plain,
    };
    let with_table =
        matches!(&column.kind, ColumnKind::Lookup { targets, .. } if targets.len() > 1);
    let is_bare = form == Form::Plain
        && matches!(
            column.kind,
            ColumnKind::Integer { .. }
                | ColumnKind::BigInt
                | ColumnKind::Decimal { .. }
                | ColumnKind::Double { .. }
                | ColumnKind::Money { .. }
                | ColumnKind::Boolean { .. }
                | ColumnKind::Choice { .. }
                | ColumnKind::State { .. }
                | ColumnKind::Status { .. }
        );
    let is_key = index == table.primary_key;
    Shown {
        from: From::Column(index),
        header: header.to_owned(),
        form,
        with_table,
        is_key,
        is_bare,
        zone: None,
    }
}

fn property(name: String, header: &str, selected: Option<ColumnIndex>) -> Shown {
    Shown {
        from: From::Property(name, selected),
        header: header.to_owned(),
        form: Form::Plain,
        with_table: false,
        is_key: false,
        is_bare: false,
        zone: None,
    }
}

/// The columns that a query of FetchXML shows.
pub(super) fn of_fetch(table: &Table, fetch: &Fetch) -> Result<Vec<Shown>, Error> {
    let mut columns: Vec<Shown> = Vec::new();
    for attribute in &fetch.attributes {
        let more = match attribute {
            Attribute::Own(name) => {
                let index = table.index_of(name).ok_or_else(|| Error::NoColumn {
                    table: table.logical_name.clone(),
                    name: name.clone(),
                })?;
                vec![shown(table, Headers::Logical, index, false)]
            }
            Attribute::Property(name) => vec![property(name.clone(), name, None)],
            Attribute::All => {
                let query = Query { system_columns: true, ..Query::default() };
                let indexes = all(table, &query, Headers::Logical).into_iter();
                indexes.map(|index| shown(table, Headers::Logical, index, false)).collect()
            }
        };
        for one in more {
            if !columns.iter().any(|other| other.header == one.header) {
                columns.push(one);
            }
        }
    }
    if columns.is_empty() {
        columns.push(shown(table, Headers::Logical, table.primary_key, false));
    }
    Ok(columns)
}

/// Puts instants into a zone; what a clock shows anywhere stays as it is.
pub(super) fn put_into(zone: Option<&Zone>, table: &Table, columns: &mut [Shown]) {
    let Some(zone) = zone else { return };
    for shown in columns {
        if let From::Column(index) = shown.from
            && let ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, .. } =
                table.column(index).kind
        {
            shown.zone = Some(zone.clone());
        }
    }
}

pub(super) fn order(table: &Table, sort: &[String]) -> Result<String, Error> {
    let mut parts = Vec::with_capacity(sort.len());
    for name in sort {
        let (name, direction) = match name.strip_suffix('-') {
            Some(name) => (name, " desc"),
            None => (name.as_str(), ""),
        };
        let index = mapping::find(table, name).ok_or_else(|| Error::NoColumn {
            table: table.logical_name.clone(),
            name: name.to_owned(),
        })?;
        parts.push(format!("{}{direction}", table.value_name(index)));
    }
    Ok(parts.join(","))
}
