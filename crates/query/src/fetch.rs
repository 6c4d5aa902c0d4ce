//! FetchXML: from the text of a query to a bound query.
//!
//! In reading order: [`parse`] (paging and assembly), `link` (tables that are joined), `condition`
//! (filters), `related` (links that are conditions), `aggregate` (groups), `xml` (below them). What is not
//! honoured is refused by name.
//! Source: query.md B. Not here: HTTP, codes, OData.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod aggregate;
mod condition;
mod error;
pub mod limits;
mod link;
mod related;
mod xml;

pub use error::Error;

pub use crate::listed::{Listed, Output, Told};

use crate::listed::Grouping;
use crate::odata::{Options, limits as shared};
use crate::scope::Scope;
use crate::shape::{GroupOrder, LabelOrder, Rows, Shape};
use crate::skiptoken::{self, SkipToken, Unfit};
use crate::{BoundQuery, ColumnRef, Filter, Order, Page, Paging, label};
use condition::one_or;
use model::{Catalog, ColumnKind, Table};
use related::Outside;
use std::collections::HashSet;
use std::sync::Arc;
use xml::Element;

/// A bound FetchXML query and what the answer to it needs.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The query and what its values are called.
    pub listed: Listed,
    /// The page's number, from 1.
    pub page_number: u32,
    /// Place of the primary key among the values of a row, where pages can begin after a row.
    key_place: Option<usize>,
}

impl Fetched {
    /// The cookie with which the page after this one is asked for, as the annotation has it; none on the
    /// last page. Without an inner cookie where no page can begin after a row.
    pub fn cookie(&self, page: &Page) -> Option<String> {
        if !page.more {
            return None;
        }
        let query = &self.listed.query;
        let token = self.key_place.and_then(|key| {
            let rows = || page.rows(query.width());
            SkipToken::after_row(query, self.page_number, key, rows().next()?, rows().last()?)
        });
        Some(match token {
            Some(token) => token.annotation(query),
            None => skiptoken::outer(self.page_number.saturating_add(1), ""),
        })
    }
}

/// What is collected while the elements are read.
struct Binder {
    scope: Scope,
    /// Alias of each link-entity, by source.
    aliases: Vec<(Box<str>, u16)>,
    /// The places around the condition about other rows that is being read, outermost first.
    outside: Vec<Outside>,
    /// Conditions that links of the present place are, until its filter is put together.
    semi_joins: Vec<Filter>,
    columns: Vec<ColumnRef>,
    outputs: Vec<Output>,
    names: HashSet<Box<str>>,
    order: Vec<Order>,
    conditions: usize,
    /// Attributes are keys and aggregates.
    is_aggregate: bool,
    grouping: Grouping,
    group_order: Vec<GroupOrder>,
    labels: Vec<LabelOrder>,
    /// An order names a column of a link-entity.
    is_ordered_by_link: bool,
}

/// The table that a query is about: the name of its entity.
pub fn table_of(text: &str) -> Result<Box<str>, Error> {
    let root = xml::read(text)?;
    let entity = root.children.iter().find(|child| child.name == "entity");
    let entity = entity.ok_or(Error::MissingElement { name: "entity" })?;
    Ok(entity.attribute("name").unwrap_or_default().into())
}

/// Reads and binds a query about the rows of this table. Of the options only their bounds count.
///
/// Errors: the first in the order of the document, but filters and orders of the root after all joins.
pub fn parse(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    text: &str,
    options: &Options,
) -> Result<Fetched, Error> {
    let root = xml::read(text)?;
    if root.name != "fetch" {
        let (name, parent) = (root.name.into(), "the document".into());
        return Err(Error::UnknownElement { name, parent });
    }
    let is_aggregate = root.flag("aggregate")?;
    // Groups are distinct anyway.
    let distinct = root.flag("distinct")? && !is_aggregate;
    let is_retained = match root.attribute("datasource") {
        None | Some("") => false,
        Some("retained") => true,
        Some(other) => return Err(Error::refused(format!("`datasource` '{other}' in FetchXml"))),
    };
    let wanted = Wanted::read(&root, options.page_size_max.max(1))?;
    let count = root.flag("returntotalrecordcount")?;
    if count && is_aggregate {
        return Err(Error::Aggregate { name: "returntotalrecordcount" });
    }
    let by_value = root.flag("useraworderby")?;
    let mut entities = root.children.iter();
    let entity = match (entities.next(), entities.next()) {
        (Some(entity), None) if entity.name == "entity" => entity,
        (None, _) => return Err(Error::MissingElement { name: "entity" }),
        (Some(other), _) if other.name != "entity" => return Err(unknown(other, &root)),
        (_, Some(other)) => return Err(unknown(other, &root)),
        (Some(other), None) => return Err(unknown(other, &root)),
    };
    let name = entity.required("name")?;
    let known = catalog.table(name).ok_or_else(|| Error::UnknownTable { name: name.into() })?;
    if known.id != table.id {
        return Err(Error::OtherTable { table: table.logical_name.clone(), name: name.into() });
    }
    let mut binder = Binder {
        scope: Scope::new(catalog, table, &options.context),
        aliases: Vec::new(),
        outside: Vec::new(),
        semi_joins: Vec::new(),
        columns: Vec::new(),
        outputs: Vec::new(),
        names: HashSet::new(),
        order: Vec::new(),
        conditions: 0,
        is_aggregate,
        grouping: Grouping::default(),
        group_order: Vec::new(),
        labels: Vec::new(),
        is_ordered_by_link: false,
    };
    let all = binder.columns_of(entity, 0, "")?;
    let (filters, orders) = binder.links_of(entity, 0)?;
    let semi_joins = std::mem::take(&mut binder.semi_joins);
    let filter = binder.filters(&filters, 0)?;
    let filter = one_or(filter.into_iter().chain(semi_joins).collect(), Filter::And);
    // Long-term storage holds nothing.
    let filter = if is_retained { Some(Filter::Or(Vec::new())) } else { filter };
    for (order, source) in orders {
        match is_aggregate {
            true => binder.order_groups(order, by_value)?,
            false => binder.order(order, source, by_value)?,
        }
    }
    if is_aggregate {
        let lowered = number(&root, "aggregatelimit")?.map(u64::from);
        let rows_max = match (lowered, options.aggregate_rows_max) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        return binder.finish_groups(filter, rows_max, None, &wanted);
    }
    if distinct {
        if binder.outputs.is_empty() {
            return Err(Error::DistinctNothing);
        }
        binder.distinct()?;
        let count = count.then_some(u64::from(shared::COUNT_MAX));
        return binder.finish_groups(filter, None, count, &wanted);
    }
    let bare = entity.children.iter().any(|child| child.name == "no-attrs");
    binder.finish(filter, all, bare, count, wanted)
}

/// Which rows are wanted.
struct Wanted {
    size: u32,
    /// From 1, as it was written.
    page: Option<u32>,
    /// `top` was given: there is no next page.
    is_top: bool,
    cookie: Option<String>,
}

fn number(root: &Element, name: &'static str) -> Result<Option<u32>, Error> {
    let Some(text) = root.attribute(name) else { return Ok(None) };
    let number = text.parse::<u32>().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| Error::BadNumber { name, value: text.into() })
}

impl Wanted {
    fn read(root: &Element, size_max: u32) -> Result<Self, Error> {
        let (top, size, page) =
            (number(root, "top")?, number(root, "count")?, number(root, "page")?);
        let cookie = root.attribute("paging-cookie").filter(|text| !text.is_empty());
        let cookie = cookie.map(str::to_owned);
        let Some(top) = top else {
            let size = size.unwrap_or(size_max).min(size_max);
            return Ok(Self { size, page, is_top: false, cookie });
        };
        let counted = root.flag("returntotalrecordcount")?;
        let other = [
            ("count", size.is_some()),
            ("page", page.is_some()),
            ("returntotalrecordcount", counted),
            ("paging-cookie", cookie.is_some()),
        ];
        if let Some((name, _)) = other.into_iter().find(|(_, given)| *given) {
            let why = format!("`top` cannot be combined with `{name}`");
            return Err(Error::Malformed { why });
        }
        Ok(Self { size: top.min(size_max), page: None, is_top: true, cookie })
    }

    /// The page by its number.
    fn by_number(&self) -> Result<(Paging, u32), Error> {
        let page = self.page.unwrap_or(1);
        let skip = self
            .size
            .checked_mul(page - 1)
            .filter(|skip| *skip <= limits::SKIPPED_ROWS_MAX)
            .ok_or(Error::PageTooDeep { page })?;
        let look_ahead = !self.is_top;
        Ok((Paging { size: self.size, after: None, skip, look_ahead }, page))
    }

    /// The page after the row of the cookie, if that is the page that is asked for; else by its number.
    fn paging(&self, scope: &Scope, order: &[Order]) -> Result<(Paging, u32), Error> {
        let Some(cookie) = &self.cookie else { return self.by_number() };
        let token = SkipToken::of_cookie(scope, order, cookie).map_err(|unfit| match unfit {
            Unfit::Malformed => Error::BadCookie,
            Unfit::OtherOrder => Error::CookieOfOtherOrder,
        })?;
        if self.page.is_some_and(|page| page != token.page) {
            return self.by_number();
        }
        let after = Some(token.after);
        Ok((Paging { size: self.size, after, skip: 0, look_ahead: true }, token.page))
    }
}

fn unknown(element: &Element, parent: &Element) -> Error {
    let (name, parent) = (element.name.as_str().into(), parent.name.as_str().into());
    Error::UnknownElement { name, parent }
}

/// The column of a source with this logical name.
fn column_of(scope: &Scope, source: u16, name: &str) -> Result<ColumnRef, Error> {
    let table = scope.source(source);
    let column = table.index_of(name).ok_or_else(|| Error::UnknownColumn {
        table: table.logical_name.clone(),
        name: name.into(),
    })?;
    Ok(ColumnRef { source, column })
}

impl Binder {
    /// The output columns of an element; tells whether all were asked for.
    fn columns_of(&mut self, element: &Element, source: u16, prefix: &str) -> Result<bool, Error> {
        let table = Arc::clone(self.scope.source(source));
        let mut all = false;
        for child in &element.children {
            match child.name.as_str() {
                "all-attributes" => {
                    if self.is_aggregate {
                        return Err(Error::PlainAttribute { name: "*".into() });
                    }
                    all = true;
                    for (column, definition) in table.indexed_columns() {
                        if definition.is_shown_unasked() || column == table.primary_key {
                            self.output(ColumnRef { source, column }, prefix, None, Told::Value)?;
                        }
                    }
                }
                "attribute" => {
                    let column = self.column(source, child.required("name")?)?;
                    if self.is_aggregate {
                        self.aggregate(child, column)?;
                        continue;
                    }
                    let aggregates = ["aggregate", "groupby", "dategrouping"];
                    let asked = aggregates.into_iter().find(|name| {
                        child.attribute(name).is_some_and(|value| !matches!(value, "false" | "0"))
                    });
                    if let Some(name) = asked {
                        return Err(Error::Aggregate { name });
                    }
                    let alias = child.attribute("alias");
                    let told = match child.attribute("rowaggregate").unwrap_or_default() {
                        "" => Told::Value,
                        function => self.children_of(column, function, alias)?,
                    };
                    self.output(column, prefix, alias, told)?;
                }
                _ => {}
            }
        }
        Ok(all)
    }

    fn output(
        &mut self,
        column: ColumnRef,
        prefix: &str,
        alias: Option<&str>,
        told: Told,
    ) -> Result<(), Error> {
        let table = self.scope.source(column.source);
        let name: Box<str> = match alias {
            Some(alias) => link::alias(alias)?,
            None if prefix.is_empty() => table.value_name(column.column).into(),
            None => format!("{prefix}.{}", table.column(column.column).logical_name).into(),
        };
        if !self.names.insert(name.clone()) {
            // The same column twice is once; two columns cannot have one name.
            let same = |output: &Output| {
                output.name == name && (output.column, output.told) == (column, told)
            };
            return match self.outputs.iter().any(same) {
                true => Ok(()),
                false => Err(Error::DuplicateAlias { name }),
            };
        }
        let renamed = alias.is_some() || !prefix.is_empty();
        self.columns.push(column);
        self.outputs.push(Output { name, column, told, renamed });
        Ok(())
    }

    /// What `rowaggregate` tells: how many records stand right below one in the hierarchy of its table.
    fn children_of(
        &self,
        column: ColumnRef,
        function: &str,
        alias: Option<&str>,
    ) -> Result<Told, Error> {
        let table = self.scope.source(column.source);
        let name = &table.column(column.column).logical_name;
        let refused =
            |what: String| Err(Error::refused(format!("`rowaggregate` {what} in FetchXml")));
        if function != "CountChildren" {
            return refused(format!("'{function}'"));
        }
        if alias.is_none_or(str::is_empty) {
            return Err(Error::NoAlias { name: name.clone() });
        }
        if column.column != table.primary_key {
            return refused(format!("of `{name}`, which is not the primary key,"));
        }
        match self.scope.hierarchy_of(table) {
            Some(parent) => Ok(Told::Children(parent)),
            None => refused(format!("of table `{}`, which is no hierarchy,", table.logical_name)),
        }
    }

    /// The column of a source with this logical name.
    fn column(&self, source: u16, name: &str) -> Result<ColumnRef, Error> {
        column_of(&self.scope, source, name)
    }

    /// The source of a link-entity by its alias.
    fn aliased(&self, alias: &str) -> Result<u16, Error> {
        let known = self.aliases.iter().find(|(known, _)| **known == *alias);
        known.map(|(_, source)| *source).ok_or_else(|| Error::UnknownAlias { name: alias.into() })
    }

    fn order(&mut self, element: &Element, source: u16, by_value: bool) -> Result<(), Error> {
        if let Some(child) = element.children.first() {
            return Err(unknown(child, element));
        }
        if let Some(alias) = element.attribute("alias") {
            return Err(Error::OrderByAlias { name: alias.into() });
        }
        let source = match element.attribute("entityname") {
            Some(alias) => self.aliased(alias)?,
            None => source,
        };
        let name = element.required("attribute")?;
        let mut column = self.column(source, name)?;
        self.is_ordered_by_link |= source > 0;
        if matches!(self.scope.column(column).kind, ColumnKind::Lookup { .. }) {
            column = self.scope.name_behind(column)?;
        }
        let what = match self.scope.column(column).kind {
            ColumnKind::MultiChoice { .. } => "multi-select choice",
            ColumnKind::Memo { .. } => "memo",
            _ => "",
        };
        if !what.is_empty() {
            return Err(Error::refused(format!("ordering by {what} column `{name}`")));
        }
        let descending = element.flag("descending")?;
        if !by_value {
            self.order_by_label(column);
        }
        if self.order.iter().all(|known| known.column != column) {
            self.order.push(Order { column, descending });
        }
        if self.order.len() > shared::ORDER_KEYS_MAX {
            return Err(Error::refused(format!(
                "ordering by more than {} columns",
                shared::ORDER_KEYS_MAX
            )));
        }
        Ok(())
    }

    /// Orders a choice or yes/no column by its labels.
    fn order_by_label(&mut self, column: ColumnRef) {
        let order = label::order_of(column, &self.scope.column(column).kind);
        if self.labels.iter().all(|known| known.column != column) {
            self.labels.extend(order);
        }
    }

    /// Puts groups together: `rows_max` limits the rows that are grouped, `count_max` counts groups.
    fn finish_groups(
        self,
        filter: Option<crate::Filter>,
        rows_max: Option<u64>,
        count_max: Option<u64>,
        wanted: &Wanted,
    ) -> Result<Fetched, Error> {
        if wanted.cookie.is_some() {
            return Err(Error::CookieOfOtherOrder);
        }
        let (paging, page_number) = wanted.by_number()?;
        let (mut rows, outputs) = self.grouping.finish(self.group_order);
        if let Rows::Groups(groups) = &mut rows {
            if groups.width() == 0 {
                return Err(Error::MissingElement { name: "attribute" });
            }
            groups.counts_rows = rows_max.is_some();
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
            count_max: rows_max.or(count_max),
            shape: Shape { labels: self.labels, rows },
        };
        let named = Some(outputs.len());
        let listed = Listed { query, outputs, named, version_place: None };
        Ok(Fetched { listed, page_number, key_place: None })
    }

    /// Puts everything together: the key, the version and a total order are added.
    fn finish(
        mut self,
        filter: Option<Filter>,
        all: bool,
        bare: bool,
        count: bool,
        wanted: Wanted,
    ) -> Result<Fetched, Error> {
        let key = ColumnRef::root(self.scope.table.primary_key);
        let named = (!all).then_some(self.outputs.len());
        let is_key = |output: &Output| output.column == key && output.told == Told::Value;
        if !self.outputs.iter().any(is_key) && !bare {
            let name = self.scope.table.primary_key_name().into();
            self.columns.push(key);
            self.outputs.push(Output { name, column: key, told: Told::Value, renamed: false });
        }
        let mut place_of = |column: ColumnRef| {
            self.columns.iter().position(|known| *known == column).unwrap_or_else(|| {
                self.columns.push(column);
                self.columns.len() - 1
            })
        };
        let version = self.scope.table.index_of("versionnumber").map(ColumnRef::root);
        let version_place = version.map(&mut place_of);
        let key_place = place_of(key);
        let keys = (1..)
            .zip(&self.scope.joins)
            .map(|(source, join)| ColumnRef { source, column: join.table.primary_key });
        for column in std::iter::once(key).chain(keys) {
            if self.order.iter().all(|known| known.column != column) {
                self.order.push(Order { column, descending: false });
            }
        }
        let key_place = (!self.is_ordered_by_link && !wanted.is_top).then_some(key_place);
        if key_place.is_some() {
            for order in &self.order {
                place_of(order.column);
            }
        } else if wanted.cookie.is_some() {
            return Err(Error::CookieOfOtherOrder);
        }
        let (paging, page_number) = wanted.paging(&self.scope, &self.order)?;
        let Scope { catalog, table, joins, .. } = self.scope;
        let query = BoundQuery {
            catalog,
            table,
            joins,
            columns: self.columns,
            filter,
            order: self.order,
            paging,
            count_max: count.then_some(u64::from(shared::COUNT_MAX)),
            shape: Shape { labels: self.labels, rows: Rows::Each },
        };
        // A query that names no column at all answers the key, and says so.
        let named = named.map(|named| if bare { named } else { named.max(1) });
        let listed = Listed { query, outputs: self.outputs, named, version_place };
        Ok(Fetched { listed, page_number, key_place })
    }
}
