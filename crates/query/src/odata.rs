//! OData query options: from the decoded query string of a request to a bound query.
//!
//! In reading order: [`Options`] (the options as written), `select`, `expand`, `order`, `filter` (what each
//! binds to), `lexer` and `literal` (below them), [`Parsed`] (the bound query with what an answer
//! needs). Not here: HTTP, statuses, `$apply`, FetchXML.
//! Invariant: an option that is not honoured is refused by name, never skipped.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod expand;
mod filter;
pub mod lexer;
pub mod limits;
mod literal;
mod options;
mod order;
mod select;

pub use expand::Expanded;
pub(crate) use filter::leaf::{self, Side, class};
pub use filter::negate;
pub(crate) use literal::Literal;
pub use options::Options;

use crate::scope::Scope;
use crate::skiptoken::SkipToken;
use crate::{BoundQuery, ColumnRef, Error, Filter, Order, Page, Paging};
use model::{Catalog, ColumnIndex, Table};
use std::sync::Arc;

/// A bound query and what the answer to it needs.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What the store runs. Its output columns begin with the shown ones.
    pub query: BoundQuery,
    /// How many output columns the caller sees; the rest serve the version tag and the next page.
    pub shown: usize,
    /// The columns that `$select` named, in its order; none when it was not given.
    pub select: Option<Vec<ColumnIndex>>,
    /// Place of the primary key among the output columns.
    pub key_place: usize,
    /// Place of the row version among the output columns, if the table has one.
    pub version_place: Option<usize>,
    /// The records that are shown inside.
    pub expanded: Vec<Expanded>,
    /// The caller asked for the number of matching rows.
    pub count: bool,
    /// The page's number in its chain, from 1.
    pub page_number: u32,
}

impl Parsed {
    /// The token with which the page after this one is asked for, percent-encoded for a URL.
    ///
    /// `None` when the page says that no more rows exist.
    pub fn next_token(&self, page: &Page) -> Option<String> {
        let width = self.query.columns.len();
        let first = page.rows(width).next()?;
        let last = page.rows(width).last()?;
        if !page.more {
            return None;
        }
        SkipToken::after_row(self, first, last).map(|token| token.encode(&self.query))
    }
}

/// Reads and binds the options of a read of many records.
///
/// Errors: the first in the order options, `$select`, `$filter`, `$orderby`, `$expand`, paging.
pub fn parse(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
) -> Result<Parsed, Error> {
    options.refuse_except(&[
        "$select",
        "$filter",
        "$orderby",
        "$top",
        "$count",
        "$skiptoken",
        "$expand",
    ])?;
    let select = select::parse(table, options.get("$select"))?;
    let mut scope = Scope::new(catalog, table, &options.context);
    let filter = filter::parse(&mut scope, options)?;
    let order = order::parse(&mut scope, options)?;
    let expanded = expand::parse(&mut scope, options.get("$expand"))?;
    let count = options.count()?;
    let top = options.top()?;
    let token = options
        .get("$skiptoken")
        .map(|text| SkipToken::decode(&scope, &order, text))
        .transpose()?;
    let paging = paging(options, top, token.as_ref());
    let page_number = token.map_or(1, |token| token.page);
    Ok(assemble(scope, select, expanded, filter, order, paging, count, page_number))
}

/// Reads and binds the options of a read of one record: `$select` and `$expand`.
///
/// `filter` says which record: by primary key or by a whole alternate key, so at most one.
pub fn parse_single(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
    filter: Filter,
) -> Result<Parsed, Error> {
    options.refuse_except(&["$select", "$expand"])?;
    let select = select::parse(table, options.get("$select"))?;
    let paging = Paging { size: 1, after: None, skip: 0, look_ahead: false };
    let order = order::by_key(table);
    let mut scope = Scope::new(catalog, table, &options.context);
    let expanded = expand::parse(&mut scope, options.get("$expand"))?;
    Ok(assemble(scope, select, expanded, Some(filter), order, paging, false, 1))
}

/// Reads and binds `$filter` alone, for counting: no row is wanted.
pub fn parse_count(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
) -> Result<Parsed, Error> {
    options.refuse_except(&["$filter"])?;
    let mut scope = Scope::new(catalog, table, &options.context);
    let filter = filter::parse(&mut scope, options)?;
    let select = Some(vec![table.primary_key]);
    let paging = Paging { size: 0, after: None, skip: 0, look_ahead: false };
    Ok(assemble(scope, select, Vec::new(), filter, order::by_key(table), paging, true, 1))
}

/// The size of a page: the caller's preference, else the token's, else the greatest; `$top` bounds
/// the whole answer, and counts only without a preference.
fn paging(options: &Options, top: Option<u32>, token: Option<&SkipToken>) -> Paging {
    let most = options.page_size_max.max(1);
    let after = token.map(|token| token.after.clone());
    match (options.page_size, top) {
        (None, Some(top)) => Paging { size: top.min(most), after, skip: 0, look_ahead: false },
        (preferred, _) => {
            let size = preferred.or(token.map(|token| token.size)).unwrap_or(most);
            Paging { size: size.clamp(1, most), after, skip: 0, look_ahead: true }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one place that puts the parsed pieces together")]
fn assemble(
    scope: Scope,
    select: Option<Vec<ColumnIndex>>,
    mut expanded: Vec<Expanded>,
    filter: Option<Filter>,
    order: Vec<Order>,
    paging: Paging,
    count: bool,
    page_number: u32,
) -> Parsed {
    let table = Arc::clone(&scope.table);
    let mut columns: Vec<ColumnRef> =
        select::shown(&table, select.as_deref()).into_iter().map(ColumnRef::root).collect();
    let shown = columns.len();
    let mut place_of = |column: ColumnRef| {
        columns.iter().position(|known| *known == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        })
    };
    let key_place = place_of(ColumnRef::root(table.primary_key));
    let version_place =
        table.index_of("versionnumber").map(|version| place_of(ColumnRef::root(version)));
    for key in &order {
        place_of(key.column);
    }
    for one in &mut expanded {
        one.place(&scope, &mut place_of);
    }
    let Scope { catalog, table, joins, .. } = scope;
    let query = BoundQuery {
        catalog,
        table,
        joins,
        columns,
        filter,
        order,
        paging,
        count_max: count.then_some(u64::from(limits::COUNT_MAX)),
    };
    Parsed { query, shown, select, key_place, version_place, expanded, count, page_number }
}
