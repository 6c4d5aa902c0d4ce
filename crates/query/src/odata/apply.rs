//! `$apply`: groups and aggregates.
//!
//! `filter(…)/groupby((…),aggregate(…))`, each part but one may be absent.
//! Source: query.md A11. Not here: how groups are made. Beside it count `$orderby` by keys, `$top` and the
//! next page only; all else is refused by name.

use super::{Options, filter, limits};
use crate::listed::{Grouping, Listed, has_extremes, has_sum};
use crate::scope::Scope;
use crate::shape::{Aggregate, GroupOrder, Rows, Shape};
use crate::skiptoken::GroupToken;
use crate::{BoundQuery, ColumnRef, Error, Filter, Page, Paging};
use model::{Catalog, Table};
use std::sync::Arc;

/// The text for an order by an aggregate.
const NO_ORDER_BY_ALIAS: &str = "The query node SingleValueOpenPropertyAccess is not supported.";

/// A bound query for groups.
#[derive(Clone, Debug)]
pub struct Grouped {
    /// The query and what its values are called.
    pub listed: Listed,
    /// The page's number, from 1.
    pub page_number: u32,
}

impl Grouped {
    /// The token with which the page after this one is asked for, percent-encoded for a URL; none on the
    /// last page.
    pub fn next_token(&self, page: &Page) -> Option<String> {
        let size = self.listed.query.paging.size;
        page.more.then(|| GroupToken { page: self.page_number.saturating_add(1), size }.encode())
    }
}

/// Reads and binds `$apply` with what stands beside it.
pub fn parse(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
) -> Result<Grouped, Error> {
    options.refuse_except(&["$apply", "$orderby", "$top", "$skiptoken"])?;
    let text = options.get("$apply").unwrap_or_default();
    let mut scope = Scope::new(catalog, table, &options.context);
    let steps = cut(text, '/')?;
    let Some((last, before)) = steps.split_last() else { return Err(bad(text)) };
    let mut filters = Vec::new();
    // The aliases are those of the request; the filter is each step's own.
    let mut own = options.clone().with("$apply", None);
    for step in before {
        let inside = call(step, "filter").ok_or_else(|| {
            Error::refused(format!("step `{step}` before the last one in $apply"))
        })?;
        own = own.with("$filter", Some(inside));
        filters.extend(filter::parse(&mut scope, &own)?);
        if filters.len() > limits::CONDITIONS_MAX {
            return Err(Error::TooManyConditions);
        }
    }
    let filter = (!filters.is_empty()).then_some(Filter::And(filters));
    let mut grouping = Grouping::default();
    if let Some(inside) = call(last, "aggregate") {
        aggregates(&mut scope, &mut grouping, inside)?;
    } else if let Some(inside) = call(last, "groupby") {
        let parts = cut(inside, ',')?;
        let (keys_text, aggregate_text) = match parts.as_slice() {
            [keys] => (*keys, None),
            [keys, aggregate] => (*keys, Some(*aggregate)),
            _ => return Err(bad(last)),
        };
        keys(&mut scope, &mut grouping, call(keys_text, "").ok_or_else(|| bad(keys_text))?)?;
        if let Some(text) = aggregate_text {
            let inside = call(text, "aggregate").ok_or_else(|| bad(text))?;
            aggregates(&mut scope, &mut grouping, inside)?;
        }
    } else {
        return Err(Error::refused(format!("step `{last}` in $apply")));
    }
    let order = order(&mut scope, &grouping, options)?;
    let token = options.get("$skiptoken").map(GroupToken::decode).transpose()?;
    let (paging, page_number) = paging(options, token)?;
    let (mut rows, outputs) = grouping.finish(order);
    if let Rows::Groups(groups) = &mut rows {
        groups.counts_rows = true;
    }
    let Scope { catalog, table, joins, .. } = scope;
    let query = BoundQuery {
        catalog,
        table,
        joins,
        columns: Vec::new(),
        filter,
        order: Vec::new(),
        paging,
        count_max: options.aggregate_rows_max,
        shape: Shape { labels: Vec::new(), rows },
    };
    let named = Some(outputs.len());
    Ok(Grouped { listed: Listed { query, outputs, named, version_place: None }, page_number })
}

/// Which groups are wanted: as of rows, but that pages are told apart by their number.
pub(crate) fn paging(options: &Options, token: Option<GroupToken>) -> Result<(Paging, u32), Error> {
    let most = options.page_size_max.max(1);
    if let (None, Some(top)) = (options.page_size, options.top()?) {
        let paging = Paging { size: top.min(most), after: None, skip: 0, look_ahead: false };
        return Ok((paging, 1));
    }
    let size = token.map(|token| token.size).or(options.page_size).unwrap_or(most).clamp(1, most);
    let page = token.map_or(1, |token| token.page);
    let skip = size.checked_mul(page.saturating_sub(1)).ok_or(Error::BadSkipToken)?;
    Ok((Paging { size, after: None, skip, look_ahead: true }, page))
}

/// `column,navigation/column`
fn keys(scope: &mut Scope, grouping: &mut Grouping, text: &str) -> Result<(), Error> {
    for path in cut(text, ',')? {
        if path.is_empty() {
            return Err(bad(text));
        }
        let column = scope.path(path)?;
        // What lies behind a navigation property is named after its table.
        let name = match path.rsplit_once('/') {
            None => path.to_owned(),
            Some((_, last)) => format!("{}_{last}", scope.source(column.source).logical_name),
        };
        if grouping.place_of(&name).is_some() {
            return Err(Error::refused(format!("`{name}` twice in $apply")));
        }
        grouping.key(&name, column, None, column.source > 0);
        if grouping.keys.len() > limits::GROUP_KEYS_MAX {
            return Err(Error::refused(format!(
                "grouping by more than {} columns",
                limits::GROUP_KEYS_MAX
            )));
        }
    }
    Ok(())
}

/// `$count as n,column with sum as total`
fn aggregates(scope: &mut Scope, grouping: &mut Grouping, text: &str) -> Result<(), Error> {
    for item in cut(text, ',')? {
        let words: Vec<&str> = item.split_whitespace().collect();
        let (column, aggregate, alias) = match words.as_slice() {
            ["$count", "as", alias] => {
                (ColumnRef::root(scope.table.primary_key), Aggregate::Rows, *alias)
            }
            [path, "with", method, "as", alias] => {
                let column = scope.path(path)?;
                let kind = &scope.column(column).kind;
                let aggregate = match *method {
                    "sum" if has_sum(kind) => Aggregate::Sum(column),
                    "average" if has_sum(kind) => Aggregate::Average(column),
                    "min" if has_extremes(kind) => Aggregate::Least(column),
                    "max" if has_extremes(kind) => Aggregate::Greatest(column),
                    "countdistinct" => Aggregate::Distinct(column),
                    "sum" | "average" | "min" | "max" => {
                        return Err(Error::refused(format!("`{path} with {method}` in $apply")));
                    }
                    other => return Err(Error::refused(format!("method `{other}` in $apply"))),
                };
                (column, aggregate, *alias)
            }
            _ => return Err(bad(item)),
        };
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !alias.bytes().all(named) {
            return Err(bad(item));
        }
        if grouping.place_of(alias).is_some() {
            return Err(Error::refused(format!("`{alias}` twice in $apply")));
        }
        grouping.aggregate(alias, column, aggregate);
        if grouping.aggregates.len() > limits::AGGREGATES_MAX {
            return Err(Error::refused(format!(
                "more than {} aggregates in $apply",
                limits::AGGREGATES_MAX
            )));
        }
    }
    Ok(())
}

/// `$orderby`: by keys only.
fn order(
    scope: &mut Scope,
    grouping: &Grouping,
    options: &Options,
) -> Result<Vec<GroupOrder>, Error> {
    let Some(text) = options.get("$orderby").filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let wrong = || Error::BadOption { name: "$orderby".into(), value: text.into() };
    let mut order: Vec<GroupOrder> = Vec::new();
    for item in text.split(',') {
        let words: Vec<&str> = item.split_whitespace().collect();
        let (name, descending) = match words.as_slice() {
            [name] | [name, "asc"] => (*name, false),
            [name, "desc"] => (*name, true),
            _ => return Err(wrong()),
        };
        let is_alias = grouping.aggregates.iter().any(|(_, output)| *output.name == *name);
        if is_alias {
            return Err(Error::Refusal { text: NO_ORDER_BY_ALIAS.into() });
        }
        let column = scope.path(name)?;
        let place = grouping.keys.iter().position(|(key, _)| key.column == column);
        let place = place.ok_or_else(|| {
            Error::refused(format!("$orderby `{name}`, which is no key of $apply,"))
        })?;
        if order.iter().all(|known| known.place != place) {
            order.push(GroupOrder { place, descending });
        }
    }
    Ok(order)
}

/// What stands in the parentheses of `name(…)`, which must be the whole text.
fn call<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.trim().strip_prefix(name)?.trim_start();
    Some(rest.strip_prefix('(')?.strip_suffix(')')?.trim())
}

fn bad(text: &str) -> Error {
    Error::Syntax { position: 0, text: text.into() }
}

/// Cuts a text at a sign outside of parentheses and quotes; blanks around the parts do not count.
fn cut(text: &str, sign: char) -> Result<Vec<&str>, Error> {
    super::expand::cut(text, sign).map_err(|_| bad(text))
}
