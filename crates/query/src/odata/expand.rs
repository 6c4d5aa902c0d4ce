//! `$expand` of single-valued navigation properties: which further records an answer shows.
//!
//! The records come by the joins of the query, one row each; collections would need queries of their
//! own and are refused by name, as are all options but `$select` and `$expand`.
//! Source: query.md A10. Invariant: what is expanded is counted before it is read deeper.

use super::{limits, select};
use crate::scope::Scope;
use crate::{ColumnRef, Error};
use model::ColumnIndex;

/// A record that is shown inside another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Expanded {
    /// Its property.
    pub navigation: Box<str>,
    /// The source of the query that it is a row of.
    pub source: u16,
    /// The columns that its `$select` named; none when it had none.
    pub select: Option<Vec<ColumnIndex>>,
    /// What is shown of it: columns with their places among the output columns of the query.
    pub columns: Vec<(ColumnIndex, usize)>,
    /// Place of its primary key: null says that there is no record.
    pub key_place: usize,
    /// Place of its row version.
    pub version_place: usize,
    /// Records shown inside it.
    pub inner: Vec<Expanded>,
}

/// Reads `$expand`: places are given later, by [`Expanded::place`].
pub(super) fn parse(scope: &mut Scope, text: Option<&str>) -> Result<Vec<Expanded>, Error> {
    let mut count = 0;
    match text.filter(|text| !text.is_empty()) {
        Some(text) => items(scope, 0, text, &mut count),
        None => Ok(Vec::new()),
    }
}

fn items(
    scope: &mut Scope,
    source: u16,
    text: &str,
    count: &mut usize,
) -> Result<Vec<Expanded>, Error> {
    let mut all: Vec<Expanded> = Vec::new();
    for item in cut(text, ',')? {
        *count += 1;
        if *count > limits::EXPANDED_MAX {
            return Err(Error::refused(format!(
                "$expand of more than {} navigation properties",
                limits::EXPANDED_MAX
            )));
        }
        let one = expanded(scope, source, item, count)?;
        if all.iter().any(|known| known.navigation == one.navigation) {
            return Err(Error::refused(format!("`{}` twice in $expand", one.navigation)));
        }
        all.push(one);
    }
    Ok(all)
}

/// `navigation` or `navigation(option;option)`.
fn expanded(
    scope: &mut Scope,
    source: u16,
    item: &str,
    count: &mut usize,
) -> Result<Expanded, Error> {
    let (name, options) = match item.split_once('(') {
        Some((name, rest)) => {
            let inside = rest.strip_suffix(')').ok_or_else(|| bad(item))?;
            (name.trim(), Some(inside))
        }
        None => (item, None),
    };
    if name.is_empty() {
        return Err(bad(item));
    }
    if name == "*" || name.contains('/') {
        return Err(Error::refused(format!("`{name}` in $expand")));
    }
    let inner_source = scope.navigate(source, name).map_err(|error| match error {
        Error::Refused { .. } => Error::refused(format!(
            "$expand of `{name}`, which is a collection or has rows of several tables,"
        )),
        other => other,
    })?;
    let (mut select, mut inner) = (None, Vec::new());
    for option in options.map_or(Ok(Vec::new()), |options| cut(options, ';'))? {
        let (key, value) = option.split_once('=').ok_or_else(|| bad(option))?;
        match key.trim() {
            "$select" if select.is_none() => {
                let table = scope.source(inner_source);
                select = select::parse(table, Some(value.trim()))?;
            }
            "$expand" if inner.is_empty() => {
                inner = items(scope, inner_source, value.trim(), count)?;
            }
            key => {
                return Err(Error::refused(format!(
                    "option `{key}` of `{name}` in $expand, or the same option twice,"
                )));
            }
        }
    }
    let shown = select::shown(scope.source(inner_source), select.as_deref());
    Ok(Expanded {
        navigation: name.into(),
        source: inner_source,
        select,
        columns: shown.into_iter().map(|column| (column, 0)).collect(),
        key_place: 0,
        version_place: 0,
        inner,
    })
}

impl Expanded {
    /// Finds the place of everything that is shown, adding what is not there yet.
    pub(super) fn place(&mut self, scope: &Scope, place_of: &mut dyn FnMut(ColumnRef) -> usize) {
        let source = self.source;
        let table = scope.source(source);
        let (key, version) = (table.primary_key, table.version_column());
        for (column, place) in &mut self.columns {
            *place = place_of(ColumnRef { source, column: *column });
        }
        self.key_place = place_of(ColumnRef { source, column: key });
        self.version_place = place_of(ColumnRef { source, column: version });
        for inner in &mut self.inner {
            inner.place(scope, place_of);
        }
    }

    /// Every place of a column that is shown, of the records inside, too.
    pub fn places(&self) -> Vec<usize> {
        let own = self.columns.iter().map(|(_, place)| *place);
        own.chain(self.inner.iter().flat_map(Self::places)).collect()
    }
}

fn bad(text: &str) -> Error {
    Error::BadTerm { term: text.into() }
}

/// Cuts a text at a sign outside of parentheses and quotes; blanks around the parts do not count.
fn cut(text: &str, sign: char) -> Result<Vec<&str>, Error> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (place, character) in text.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| bad(text))?,
            _ if character == sign && depth == 0 => {
                parts.push(text.get(start..place).unwrap_or_default().trim());
                start = place + character.len_utf8();
            }
            _ => {}
        }
    }
    if depth > 0 || quoted {
        return Err(bad(text));
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    Ok(parts)
}
