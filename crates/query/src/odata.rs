//! OData query options: from the decoded query string of a request to a bound query.
//!
//! In reading order: [`Options`] (the options as written), `select`, `expand`, `order`, `filter` (what each
//! binds to), `lexer` and `literal` (below them), [`Parsed`] (the bound query with what an answer
//! needs), `apply` (groups). Not here: HTTP, statuses, FetchXML.
//! Invariant: an option that is not honoured is refused by name, never skipped.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

pub mod apply;
mod expand;
mod filter;
pub mod lexer;
pub mod limits;
mod literal;
mod options;
mod order;
mod select;

pub use expand::{Choice, Collection, Expanded, Expansion, List, list_of};
pub(crate) use filter::leaf::{self, Side, class};
pub use filter::negate;
pub(crate) use literal::Literal;
pub use options::Options;

use crate::scope::Scope;
use crate::skiptoken::SkipToken;
use crate::{BoundQuery, ColumnRef, Error, Filter, Order, Page, Paging};
use model::{Catalog, ColumnIndex, ColumnKind, Table, Uuid, Value};
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
    pub expanded: Expansion,
    /// The caller asked for the number of matching rows.
    pub count: bool,
    /// The page's number in its chain, from 1.
    pub page_number: u32,
}

impl Parsed {
    /// The place of the column that says whose record a row is; shown, if it is the record's own.
    fn place_of_parent(&mut self, column: ColumnRef) -> usize {
        let columns = &mut self.query.columns;
        let shown = columns.get(..self.shown).unwrap_or_default();
        if let Some(place) = shown.iter().position(|known| *known == column) {
            return place;
        }
        if column.source > 0 {
            return columns.iter().position(|known| *known == column).unwrap_or_else(|| {
                columns.push(column);
                columns.len() - 1
            });
        }
        // What is not shown yet moves one place on.
        columns.insert(self.shown, column);
        let moved = |place: &mut usize| *place += usize::from(*place >= self.shown);
        moved(&mut self.key_place);
        self.version_place.iter_mut().for_each(moved);
        self.expanded.move_places(self.shown);
        self.shown += 1;
        self.shown - 1
    }

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
        self.token_after(first, last)
    }

    /// The token with which what follows the last of these rows is asked for, percent-encoded.
    pub fn token_after(&self, first: &[Value], last: &[Value]) -> Option<String> {
        let token =
            SkipToken::after_row(&self.query, self.page_number, self.key_place, first, last);
        token.map(|token| token.encode(&self.query))
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
    refuse_many(options)?;
    parse_within(catalog, table, options, None)
}

/// Refuses what a read of many records does not honour.
pub fn refuse_many(options: &Options) -> Result<(), Error> {
    options.refuse_except(&[
        "$select",
        "$filter",
        "$orderby",
        "$top",
        "$count",
        "$skiptoken",
        "$expand",
    ])
}

/// Whose list is read.
#[derive(Clone, Debug)]
pub struct Within {
    /// The list.
    pub list: List,
    /// The table of the record that it belongs to.
    pub parent: Arc<Table>,
    /// That record.
    pub id: Uuid,
}

impl Within {
    fn bind(&self, scope: &mut Scope) -> Result<Filter, Error> {
        let mut column = self.list.parent(scope)?;
        // An id may be there in each of several tables: the join tells which is meant.
        if matches!(&scope.column(column).kind, ColumnKind::Lookup { targets, .. } if targets.len() > 1)
        {
            let source = scope.through(column, &self.parent.logical_name)?;
            column = ColumnRef { source, column: self.parent.primary_key };
        }
        let value = Value::Guid(self.id);
        Ok(Filter::Compare { column, compare: crate::Compare::Equal, value })
    }
}

/// A query that finds a record of a list, if `filter` holds for one: its key.
pub fn parse_member(
    catalog: &Arc<Catalog>,
    within: &Within,
    filter: Filter,
) -> Result<Parsed, Error> {
    let table = &within.list.table;
    let mut scope = Scope::new(catalog, table, &crate::Context::default());
    let filter = both(Some(within.bind(&mut scope)?), Some(filter));
    let paging = Paging { size: 1, after: None, skip: 0, look_ahead: false };
    let (select, nothing) = (Some(vec![table.primary_key]), Expansion::default());
    Ok(assemble(scope, select, nothing, filter, order::by_key(table), paging, false, 1))
}

/// The same for the records of a list: `within` says which are in it.
pub fn parse_within(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
    within: Option<&Within>,
) -> Result<Parsed, Error> {
    let select = select::parse(table, options.get("$select"))?;
    let mut scope = Scope::new(catalog, table, &options.context);
    let within = within.map(|within| within.bind(&mut scope)).transpose()?;
    let filter = both(within, filter::parse(&mut scope, options)?);
    let order = order::parse(&mut scope, options)?;
    let expanded = expand::parse(&mut scope, options, options.get("$expand"))?;
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
    let expanded = expand::parse(&mut scope, options, options.get("$expand"))?;
    Ok(assemble(scope, select, expanded, Some(filter), order, paging, false, 1))
}

/// Reads and binds `$filter` alone, for counting: no row is wanted. `within` says in which list.
pub fn parse_count(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
    within: Option<&Within>,
) -> Result<Parsed, Error> {
    options.refuse_except(&["$filter"])?;
    let mut scope = Scope::new(catalog, table, &options.context);
    let within = within.map(|within| within.bind(&mut scope)).transpose()?;
    let filter = both(within, filter::parse(&mut scope, options)?);
    let select = Some(vec![table.primary_key]);
    let paging = Paging { size: 0, after: None, skip: 0, look_ahead: false };
    let nothing = Expansion::default();
    Ok(assemble(scope, select, nothing, filter, order::by_key(table), paging, true, 1))
}

/// What holds for both filters.
fn both(one: Option<Filter>, other: Option<Filter>) -> Option<Filter> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Filter::And(vec![one, other])),
        (one, other) => one.or(other),
    }
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
    mut expanded: Expansion,
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
    expanded.place(&scope, &mut place_of);
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
        shape: crate::Shape::default(),
    };
    Parsed { query, shown, select, key_place, version_place, expanded, count, page_number }
}
