//! The options of a metadata read: `$select`, `$filter`, `$expand`, `$count`, `$top`.
//!
//! Inside `$expand` of a collection: `$select` and `$filter`. Options inside the expansion of a choice
//! set are read and change nothing: the whole set is answered.

use super::filter::Filter;
use crate::fault::{self, Problem};
use query::odata::Options;

/// What a metadata read asks for.
#[derive(Default)]
pub(super) struct Wanted {
    /// Members by name; none means all.
    pub(super) select: Option<Vec<String>>,
    pub(super) filter: Option<Filter>,
    pub(super) expand: Vec<Expand>,
    pub(super) count: bool,
    pub(super) top: Option<usize>,
}

/// One expansion.
pub(super) struct Expand {
    pub(super) name: String,
    pub(super) wanted: Wanted,
}

/// Levels of `$expand` inside `$expand`.
const EXPAND_DEPTH_MAX: usize = 3;

impl Wanted {
    /// Reads the options of a request.
    pub(super) fn read(options: &Options) -> Result<Self, Problem> {
        options
            .refuse_except(&["$select", "$filter", "$expand", "$count", "$top"])
            .map_err(fault::of_query)?;
        let mut this = Self { count: options.count().map_err(fault::of_query)?, ..Self::default() };
        if let Some(text) = options.get("$select") {
            this.select = names(text)?;
        }
        if let Some(text) = options.get("$filter").filter(|text| !text.is_empty()) {
            this.filter = Some(Filter::parse(text, options)?);
        }
        if let Some(text) = options.get("$expand") {
            this.expand = expansions(text, options, 0)?;
        }
        if let Some(text) = options.get("$top") {
            this.top = Some(text.parse().map_err(|_| bad("$top", text))?);
        }
        Ok(this)
    }

    /// The names of `$select`, as `wire` takes them.
    pub(super) fn selected(&self) -> Option<Vec<&str>> {
        self.select.as_ref().map(|names| names.iter().map(String::as_str).collect())
    }

    /// The names in `$expand`.
    pub(super) fn expanded(&self) -> Vec<&str> {
        self.expand.iter().map(|expand| expand.name.as_str()).collect()
    }
}

fn bad(name: &str, value: &str) -> Problem {
    fault::of_query(query::Error::BadOption { name: name.into(), value: value.into() })
}

/// The names of a `$select`; none when it is empty.
fn names(text: &str) -> Result<Option<Vec<String>>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() || name.contains('/') {
            return Err(fault::of_query(query::Error::BadTerm { term: name.into() }));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(Some(names))
}

fn expansions(text: &str, options: &Options, depth: usize) -> Result<Vec<Expand>, Problem> {
    if depth >= EXPAND_DEPTH_MAX {
        return Err(Problem::uri(format!(
            "$expand is nested more than {EXPAND_DEPTH_MAX} levels deep."
        )));
    }
    let mut list = Vec::new();
    for item in split(text, ',') {
        let item = item.trim();
        let (name, inside) = match item.split_once('(') {
            None => (item, None),
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| bad("$expand", text))?;
                (name.trim(), Some(inside))
            }
        };
        if name.is_empty() || name.contains('/') {
            return Err(fault::of_query(query::Error::BadTerm { term: name.into() }));
        }
        let wanted = inside.map_or(Ok(Wanted::default()), |text| nested(text, options, depth))?;
        list.push(Expand { name: name.to_owned(), wanted });
    }
    Ok(list)
}

/// The options inside one expansion, separated by semicolons.
fn nested(text: &str, options: &Options, depth: usize) -> Result<Wanted, Problem> {
    let mut wanted = Wanted::default();
    for option in split(text, ';') {
        let (name, value) = option.split_once('=').ok_or_else(|| bad("$expand", text))?;
        let value = value.trim();
        match name.trim() {
            "$select" => wanted.select = names(value)?,
            "$filter" => wanted.filter = Some(Filter::parse(value, options)?),
            "$expand" => wanted.expand = expansions(value, options, depth + 1)?,
            other => {
                let what = format!("'{other}' inside $expand of definitions").into();
                return Err(fault::of_query(query::Error::Refused { what }));
            }
        }
    }
    Ok(wanted)
}

/// Splits outside parentheses and quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted) = (0usize, false);
    text.split(|part: char| {
        match part {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        part == separator && depth == 0 && !quoted
    })
    .collect()
}
