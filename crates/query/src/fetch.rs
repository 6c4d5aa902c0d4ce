//! FetchXML: from the text of a query to a bound query.
//!
//! In reading order: [`parse`] (paging and assembly), `link` (tables that are joined), `condition`
//! (filters), `related` (links that are conditions), `xml` (below them). A subset: what is not honoured is refused by name. Honoured are
//! `fetch` (top, count, page, returntotalrecordcount), `entity`, `attribute`, `all-attributes`,
//! `order`, `filter`, `condition` and `link-entity`.
//! Source: query.md B. Not here: HTTP, codes, OData.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

mod condition;
mod error;
pub mod limits;
mod link;
mod related;
mod xml;

pub use error::Error;

use crate::odata::{Options, limits as shared};
use crate::scope::Scope;
use crate::{BoundQuery, ColumnRef, Filter, Order, Paging};
use condition::one_or;
use model::{Catalog, ColumnKind, Table};
use related::Outside;
use std::collections::HashSet;
use std::sync::Arc;
use xml::Element;

/// A bound FetchXML query and what the answer to it needs.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// What the store runs. Its output columns begin with those of `outputs`.
    pub query: BoundQuery,
    /// The output columns that the caller sees, under which name.
    pub outputs: Vec<Output>,
    /// How many of them the caller named; the rest is the key. None: all columns were asked for.
    pub named: Option<usize>,
    /// Place of the row version among the output columns, if the table has one.
    pub version_place: Option<usize>,
    /// The page's number, from 1.
    pub page_number: u32,
}

/// A column of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its property.
    pub name: Box<str>,
    /// The property is not the column's own: an alias, or a column of a joined table.
    pub renamed: bool,
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
}

/// Reads and binds a query about the rows of this table.
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
    refuse_fetch(&root)?;
    let (paging, page_number) = paging(&root, options.page_size_max.max(1))?;
    let count = root.flag("returntotalrecordcount")?;
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
    };
    let all = binder.columns_of(entity, 0, "")?;
    let (filters, orders) = binder.links_of(entity, 0)?;
    let semi_joins = std::mem::take(&mut binder.semi_joins);
    let filter = binder.filters(&filters, 0)?;
    let filter = one_or(filter.into_iter().chain(semi_joins).collect(), Filter::And);
    for (order, source) in orders {
        binder.order(order, source, by_value)?;
    }
    Ok(binder.finish(filter, all, count, paging, page_number))
}

/// Refuses what the whole query asks for and is not honoured.
fn refuse_fetch(root: &Element) -> Result<(), Error> {
    if root.flag("aggregate")? {
        return Err(Error::Aggregate { name: "aggregate" });
    }
    if root.flag("distinct")? {
        return Err(Error::refused("`distinct` in FetchXml"));
    }
    if root.attribute("datasource").is_some() {
        return Err(Error::refused("`datasource` in FetchXml"));
    }
    match root.attribute("paging-cookie") {
        None | Some("") => Ok(()),
        Some(_) => Err(Error::BadCookie),
    }
}

/// Which rows are wanted, and the number of the page.
fn paging(root: &Element, size_max: u32) -> Result<(Paging, u32), Error> {
    let number = |name: &'static str| {
        root.attribute(name).map(|text| {
            let number = text.parse::<u32>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| Error::BadNumber { name, value: text.into() })
        })
    };
    let (top, size) = (number("top").transpose()?, number("count").transpose()?);
    let page = number("page").transpose()?;
    if let Some(top) = top {
        let other = [("count", size.is_some()), ("page", page.is_some())];
        let counted = root.flag("returntotalrecordcount")?;
        let mut other = other.into_iter().chain([("returntotalrecordcount", counted)]);
        if let Some((name, _)) = other.find(|(_, given)| *given) {
            let why = format!("`top` cannot be combined with `{name}`");
            return Err(Error::Malformed { why });
        }
        let paging = Paging { size: top.min(size_max), after: None, skip: 0, look_ahead: false };
        return Ok((paging, 1));
    }
    let (size, page) = (size.unwrap_or(size_max).min(size_max), page.unwrap_or(1));
    let skip = size
        .checked_mul(page - 1)
        .filter(|skip| *skip <= limits::SKIPPED_ROWS_MAX)
        .ok_or(Error::PageTooDeep { page })?;
    Ok((Paging { size, after: None, skip, look_ahead: true }, page))
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
                    all = true;
                    for (column, definition) in table.indexed_columns() {
                        if definition.valid_for_read || column == table.primary_key {
                            self.output(ColumnRef { source, column }, prefix, None)?;
                        }
                    }
                }
                "attribute" => {
                    let column = self.column(source, child.required("name")?)?;
                    let aggregates = ["aggregate", "groupby", "dategrouping", "rowaggregate"];
                    let asked = aggregates.into_iter().find(|name| {
                        child.attribute(name).is_some_and(|value| !matches!(value, "false" | "0"))
                    });
                    if let Some(name) = asked {
                        return Err(Error::Aggregate { name });
                    }
                    self.output(column, prefix, child.attribute("alias"))?;
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
    ) -> Result<(), Error> {
        let table = self.scope.source(column.source);
        let name: Box<str> = match alias {
            Some(alias) => link::alias(alias)?,
            None if prefix.is_empty() => table.value_name(column.column).into(),
            None => format!("{prefix}.{}", table.column(column.column).logical_name).into(),
        };
        if !self.names.insert(name.clone()) {
            // The same column twice is once; two columns cannot have one name.
            let known = self.outputs.iter().position(|output| output.name == name);
            return match known.and_then(|place| self.columns.get(place)) == Some(&column) {
                true => Ok(()),
                false => Err(Error::DuplicateAlias { name }),
            };
        }
        let renamed = alias.is_some() || !prefix.is_empty();
        self.columns.push(column);
        self.outputs.push(Output { name, renamed });
        Ok(())
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
        if element.attribute("alias").is_some() {
            return Err(Error::Aggregate { name: "alias of an order" });
        }
        let source = match element.attribute("entityname") {
            Some(alias) => self.aliased(alias)?,
            None => source,
        };
        let name = element.required("attribute")?;
        let mut column = self.column(source, name)?;
        if matches!(self.scope.column(column).kind, ColumnKind::Lookup { .. }) {
            column = self.scope.name_behind(column)?;
        }
        let what = match self.scope.column(column).kind {
            ColumnKind::MultiChoice { .. } => "multi-select choice",
            ColumnKind::Memo { .. } => "memo",
            ColumnKind::Choice { .. }
            | ColumnKind::State { .. }
            | ColumnKind::Status { .. }
            | ColumnKind::Boolean { .. }
                if !by_value =>
            {
                "the label (without `useraworderby`) of"
            }
            _ => "",
        };
        if !what.is_empty() {
            return Err(Error::refused(format!("ordering by {what} column `{name}`")));
        }
        let descending = element.flag("descending")?;
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

    /// Puts everything together: the key, the version and a total order are added.
    fn finish(
        mut self,
        filter: Option<Filter>,
        all: bool,
        count: bool,
        paging: Paging,
        page_number: u32,
    ) -> Fetched {
        let Scope { catalog, table, joins, .. } = self.scope;
        let key = ColumnRef::root(table.primary_key);
        let named = (!all).then_some(self.outputs.len());
        if !self.columns.contains(&key) {
            self.columns.push(key);
            self.outputs.push(Output { name: table.primary_key_name().into(), renamed: false });
        }
        let version_place = table.index_of("versionnumber").map(|version| {
            let version = ColumnRef::root(version);
            self.columns.iter().position(|known| *known == version).unwrap_or_else(|| {
                self.columns.push(version);
                self.columns.len() - 1
            })
        });
        let keys = (1..)
            .zip(&joins)
            .map(|(source, join)| ColumnRef { source, column: join.table.primary_key });
        for column in std::iter::once(key).chain(keys) {
            if self.order.iter().all(|known| known.column != column) {
                self.order.push(Order { column, descending: false });
            }
        }
        let query = BoundQuery {
            catalog,
            table,
            joins,
            columns: self.columns,
            filter,
            order: self.order,
            paging,
            count_max: count.then_some(u64::from(shared::COUNT_MAX)),
        };
        // A query that names no column at all answers the key, and says so.
        let named = named.map(|named| named.max(1));
        Fetched { query, outputs: self.outputs, named, version_place, page_number }
    }
}
