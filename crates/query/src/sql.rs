//! `?sql=`: a part of SQL's SELECT, from the text to the one query tree.
//!
//! The language is read by a parser of its own (`sqlparser`); here its tree is mapped: `names` (tables and
//! columns), `condition` (WHERE), and this file (what is selected, groups, order, pages).
//! Source: query.md C. Not here: HTTP, SQL for engines (`store-standard`), anything that writes.
//! Invariant: whatever stands in a statement is mapped or refused by name; nothing is skipped.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod condition;
mod names;
mod select;

use crate::listed::{Grouping, Listed, Output, Told};
use crate::odata::Options;
use crate::scope::Scope;
use crate::shape::{GroupOrder, Rows, Shape};
use crate::skiptoken::{GroupToken, SkipToken};
use crate::{BoundQuery, ColumnRef, Error, Filter, Order, Page, Paging};
use model::{Catalog, Table};
use sqlparser::ast;
use sqlparser::dialect::MsSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};
use std::sync::Arc;

/// Expressions inside each other that the parser follows.
const DEPTH_MAX: usize = 60;
/// Operators and keywords of a statement. A chain of operators is no nesting to the parser, yet the tree that
/// it makes is as deep as the chain is long, and whoever walks or drops the tree needs stack for each.
const OPERATORS_MAX: usize = 2_000;

/// A bound statement.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The query and what its values are called.
    pub listed: Listed,
    /// The page's number, from 1.
    pub page_number: u32,
    /// Place of the primary key among the values of a row; none for groups.
    key_place: Option<usize>,
    /// Rows that remain of `TOP` or `FETCH` after this page; none where neither stands.
    remaining: Option<u32>,
}

impl Selected {
    /// The token with which the page after this one is asked for, percent-encoded for a URL; none on the
    /// last page.
    pub fn next_token(&self, page: &Page) -> Option<String> {
        if !page.more || self.remaining == Some(0) {
            return None;
        }
        let query = &self.listed.query;
        let Some(key) = self.key_place else {
            let (page, size) = (self.page_number.saturating_add(1), query.paging.size);
            return Some(GroupToken { page, size }.encode());
        };
        let rows = || page.rows(query.width());
        let token =
            SkipToken::after_row(query, self.page_number, key, rows().next()?, rows().last()?);
        token.map(|token| token.encode(query))
    }
}

/// Reads and binds a statement about the records of this table.
pub fn parse(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    options: &Options,
    text: &str,
) -> Result<Selected, Error> {
    let statement = read(text)?;
    let mut binder = Binder::new(Scope::new(catalog, table, &options.context));
    let parts = select::parts(&statement)?;
    binder.tables(parts.from)?;
    let filter = parts.selection.map(|expression| binder.filter(expression)).transpose()?;
    binder.items(parts.projection, &parts.group_by)?;
    binder.order(parts.order_by)?;
    let is_grouped = binder.is_aggregate() || !parts.group_by.is_empty() || parts.is_distinct;
    match is_grouped {
        true => binder.finish_groups(filter, &parts, options),
        false => binder.finish(filter, &parts, options),
    }
}

/// The one query of a text.
fn read(text: &str) -> Result<ast::Query, Error> {
    let malformed = |why: String| Error::Sql { why: why.into() };
    let dialect = MsSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|err| malformed(err.to_string()))?;
    if tokens.iter().filter(|token| deepens(&token.token)).count() > OPERATORS_MAX {
        return Err(Error::refused(format!(
            "a statement with more than {OPERATORS_MAX} operators and keywords in `sql`"
        )));
    }
    let statements = Parser::new(&dialect)
        .with_recursion_limit(DEPTH_MAX)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|err| malformed(err.to_string()))?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(ast::Statement::Query(query)), None) => Ok(*query),
        (Some(_), None) => Err(Error::refused("any statement but SELECT in `sql`")),
        (None, _) => Err(malformed("it is empty".to_owned())),
        (Some(_), Some(_)) => Err(Error::refused("more than one statement in `sql`")),
    }
}

/// Whether a token can be an operator: all can but names, values, and what stands around and between them.
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword && word.quote_style.is_none(),
        Token::EOF
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::Comma
        | Token::Whitespace(_)
        | Token::LParen
        | Token::RParen => false,
        _ => true,
    }
}

/// What is collected while a statement is mapped.
struct Binder {
    scope: Scope,
    /// What each source is called, in lower case.
    aliases: Vec<(String, u16)>,
    /// What is selected.
    items: Vec<Item>,
    /// Columns that are grouped by, in order.
    keys: Vec<ColumnRef>,
    order: Vec<Wished>,
    conditions: usize,
}

/// What is selected under one name.
struct Item {
    name: Box<str>,
    renamed: bool,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Column(ColumnRef),
    Aggregate(ColumnRef, crate::shape::Aggregate),
}

/// A sort key as it was wished for.
struct Wished {
    what: What,
    descending: bool,
}

impl Binder {
    fn new(scope: Scope) -> Self {
        Self {
            scope,
            aliases: Vec::new(),
            items: Vec::new(),
            keys: Vec::new(),
            order: Vec::new(),
            conditions: 0,
        }
    }

    fn is_aggregate(&self) -> bool {
        self.items.iter().any(|item| matches!(item.what, What::Aggregate(..)))
    }

    /// Rows: the primary key is added, and the order made total.
    fn finish(
        self,
        filter: Option<Filter>,
        parts: &select::Parts<'_>,
        options: &Options,
    ) -> Result<Selected, Error> {
        let (mut columns, mut outputs) = (Vec::new(), Vec::new());
        for item in self.items {
            let What::Column(column) = item.what else { continue };
            columns.push(column);
            let (name, renamed) = (item.name, item.renamed);
            outputs.push(Output { name, column, told: Told::Value, renamed });
        }
        let named = Some(outputs.len());
        let table = Arc::clone(&self.scope.table);
        let key = ColumnRef::root(table.primary_key);
        let key_name = table.primary_key_name();
        let is_shown = outputs.iter().any(|output| output.column == key && !output.renamed);
        let is_free = outputs.iter().all(|output| *output.name != *key_name);
        if !is_shown && is_free {
            columns.push(key);
            let name = key_name.into();
            outputs.push(Output { name, column: key, told: Told::Value, renamed: false });
        }
        let mut order: Vec<Order> = Vec::new();
        for wished in self.order {
            let What::Column(column) = wished.what else { continue };
            if order.iter().all(|known| known.column != column) {
                order.push(Order { column, descending: wished.descending });
            }
        }
        let keys = (1..).zip(&self.scope.joins);
        let keys = keys.map(|(source, join)| ColumnRef { source, column: join.table.primary_key });
        for column in std::iter::once(key).chain(keys) {
            if order.iter().all(|known| known.column != column) {
                order.push(Order { column, descending: false });
            }
        }
        let mut place_of = |column: ColumnRef| {
            columns.iter().position(|known| *known == column).unwrap_or_else(|| {
                columns.push(column);
                columns.len() - 1
            })
        };
        let version_place =
            table.index_of("versionnumber").map(|version| place_of(ColumnRef::root(version)));
        let key_place = place_of(key);
        for order in &order {
            place_of(order.column);
        }
        let token = options.get("$skiptoken");
        let token = token.map(|text| SkipToken::decode(&self.scope, &order, text)).transpose()?;
        let most = options.page_size_max.max(1);
        let wanted = options.page_size.or(token.as_ref().map(|token| token.size)).unwrap_or(most);
        let page_number = token.as_ref().map_or(1, |token| token.page);
        let skip = if token.is_none() { parts.skip } else { 0 };
        let cut = Cut::new(parts.rows, wanted.clamp(1, most), page_number);
        let after = token.map(|token| token.after);
        let paging = Paging { size: cut.size, after, skip, look_ahead: cut.remaining != Some(0) };
        let Scope { catalog, table, joins, .. } = self.scope;
        let query = BoundQuery {
            catalog,
            table,
            joins,
            columns,
            filter,
            order,
            paging,
            count_max: None,
            shape: Shape::default(),
        };
        let listed = Listed { query, outputs, named, version_place };
        let (key_place, remaining) = (Some(key_place), cut.remaining);
        Ok(Selected { listed, page_number, key_place, remaining })
    }

    /// Groups: those of GROUP BY, of DISTINCT, or all rows as one.
    fn finish_groups(
        self,
        filter: Option<Filter>,
        parts: &select::Parts<'_>,
        options: &Options,
    ) -> Result<Selected, Error> {
        let mut grouping = Grouping::default();
        let is_counted = self.is_aggregate();
        let keys = if parts.group_by.is_empty() { None } else { Some(self.keys.as_slice()) };
        let mut shown: Vec<Box<str>> = Vec::new();
        for item in &self.items {
            shown.push(item.name.clone());
            match item.what {
                What::Aggregate(about, aggregate) => {
                    grouping.aggregate(&item.name, about, aggregate);
                }
                What::Column(column) => {
                    if keys.is_some_and(|keys| !keys.contains(&column))
                        || keys.is_none() && is_counted
                    {
                        return Err(Error::refused(format!(
                            "column `{}` beside aggregates and outside of GROUP BY",
                            item.name
                        )));
                    }
                    grouping.key(&item.name, column, None, item.renamed);
                }
            }
        }
        for column in keys.unwrap_or_default() {
            if grouping.keys.iter().all(|(key, _)| key.column != *column) {
                let name = &self.scope.column(*column).logical_name;
                return Err(Error::refused(format!("GROUP BY `{name}`, which is not selected,")));
            }
        }
        let mut order: Vec<GroupOrder> = Vec::new();
        for wished in &self.order {
            let item = self.items.iter().find(|item| item.what == wished.what);
            let place = item.and_then(|item| grouping.place_of(&item.name));
            let place = place.ok_or_else(|| {
                Error::refused("ORDER BY what is not selected, of groups or distinct rows,")
            })?;
            if order.iter().all(|known| known.place != place) {
                order.push(GroupOrder { place, descending: wished.descending });
            }
        }
        let token = options.get("$skiptoken").map(GroupToken::decode).transpose()?;
        let most = options.page_size_max.max(1);
        let wanted = token.map(|token| token.size).or(options.page_size).unwrap_or(most);
        let page_number = token.map_or(1, |token| token.page);
        let wanted = wanted.clamp(1, most);
        let cut = Cut::new(parts.rows, wanted, page_number);
        let before = wanted.checked_mul(page_number.saturating_sub(1));
        let skip = before.and_then(|before| before.checked_add(parts.skip));
        let skip = skip.ok_or(Error::BadSkipToken)?;
        let look_ahead = cut.remaining != Some(0);
        let paging = Paging { size: cut.size, after: None, skip, look_ahead };
        let (mut rows, outputs) = grouping.finish(order);
        if let Rows::Groups(groups) = &mut rows {
            groups.counts_rows = is_counted;
        }
        let Scope { catalog, table, joins, .. } = self.scope;
        let query = BoundQuery {
            catalog,
            table,
            joins,
            columns: Vec::new(),
            filter,
            order: Vec::new(),
            paging,
            count_max: options.aggregate_rows_max.filter(|_| is_counted),
            shape: Shape { labels: Vec::new(), rows },
        };
        let listed = Listed { query, named: Some(outputs.len()), outputs, version_place: None };
        Ok(Selected { listed, page_number, key_place: None, remaining: cut.remaining })
    }
}

/// How many rows a page has, and how many `TOP` or `FETCH` leave for later ones.
struct Cut {
    size: u32,
    remaining: Option<u32>,
}

impl Cut {
    fn new(rows: Option<u32>, wanted: u32, page_number: u32) -> Self {
        let Some(rows) = rows else { return Self { size: wanted, remaining: None } };
        let before = wanted.saturating_mul(page_number.saturating_sub(1));
        let left = rows.saturating_sub(before);
        let size = left.min(wanted);
        Self { size, remaining: Some(left - size) }
    }
}
