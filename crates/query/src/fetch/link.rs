//! `link-entity`: the tables that are joined, in the order of the document.

use super::xml::Element;
use super::{Binder, Error, unknown};
use crate::odata::class;
use crate::tree::{Join, JoinKind};
use crate::{ColumnRef, Filter};
use model::{ColumnIndex, Table};
use std::sync::Arc;

/// What waits until all joins are there: filters of the root, and orders with their sources.
type Waiting<'e> = (Vec<&'e Element>, Vec<(&'e Element, u16)>);

impl Binder {
    /// Reads the children of the root or of a link that are no columns. Filters come back.
    pub(super) fn links_of<'e>(
        &mut self,
        element: &'e Element,
        source: u16,
    ) -> Result<Waiting<'e>, Error> {
        let (mut filters, mut orders) = (Vec::new(), Vec::new());
        let mut nested = Vec::new();
        for child in &element.children {
            match child.name.as_str() {
                "attribute" | "all-attributes" | "no-attrs" => {
                    if let Some(inner) = child.children.first() {
                        return Err(unknown(inner, child));
                    }
                }
                "filter" => filters.push(child),
                "order" => orders.push((child, source)),
                "link-entity" => match child.attribute("link-type") {
                    Some("exists" | "in") => {
                        let exists = self.related(child, source)?;
                        self.semi_joins.push(exists.into());
                    }
                    _ => nested.extend(self.link(child, source)?),
                },
                _ => return Err(unknown(child, element)),
            }
        }
        orders.append(&mut nested);
        Ok((filters, orders))
    }

    /// Joins a table and what is nested in it; answers its orders.
    fn link<'e>(
        &mut self,
        element: &'e Element,
        parent: u16,
    ) -> Result<Vec<(&'e Element, u16)>, Error> {
        let name = element.required("name")?;
        let catalog = Arc::clone(&self.scope.catalog);
        let table = catalog.table(name).ok_or_else(|| Error::UnknownTable { name: name.into() })?;
        let kind = match element.attribute("link-type") {
            None | Some("inner" | "natural") => JoinKind::Inner,
            Some("outer") => JoinKind::Outer,
            Some("matchfirstrowusingcrossapply") => JoinKind::First,
            Some(other) => return Err(Error::LinkType { name: other.into() }),
        };
        let (from, to) = self.columns_of_link(element, table, parent)?;
        let join = Join { table: Arc::clone(table), from, to, kind, on: None };
        let source = self.scope.join(join).map_err(|_| Error::TooManyLinks)?;
        let alias = self.alias_of(element, table, from, source)?;
        self.aliases.push((alias.clone(), source));
        self.columns_of(element, source, &alias)?;
        if element.attribute("link-type") == Some("natural") {
            self.hide(ColumnRef { source, column: from });
        }
        // The condition of a join sees its own table and those before it.
        let own: Vec<&Element> =
            element.children.iter().filter(|child| child.name == "filter").collect();
        let on = self.filters(&own, source)?;
        self.set_on(source, on);
        let (_, orders) = self.links_of(element, source)?;
        Ok(orders)
    }

    /// The name of a link: the given one, or the default.
    pub(super) fn alias_of(
        &self,
        element: &Element,
        table: &Table,
        from: ColumnIndex,
        source: u16,
    ) -> Result<Box<str>, Error> {
        let Some(given) = element.attribute("alias") else {
            return Ok(self.default_alias(table, from, source));
        };
        let given = alias(given)?;
        let around = self.outside.iter().flat_map(|place| &place.aliases);
        if self.aliases.iter().chain(around).any(|(known, _)| *known == given) {
            return Err(Error::DuplicateAlias { name: given });
        }
        Ok(given)
    }

    /// Takes a column out of the output.
    fn hide(&mut self, hidden: ColumnRef) {
        while let Some(place) = self.columns.iter().position(|column| *column == hidden) {
            self.columns.remove(place);
            self.outputs.remove(place);
        }
    }

    fn set_on(&mut self, source: u16, on: Option<Filter>) {
        let place = usize::from(source).checked_sub(1);
        if let Some(join) = place.and_then(|place| self.scope.joins.get_mut(place)) {
            join.on = on;
        }
    }

    /// `from` of the joined table, `to` of the parent; without both, those of the one relationship
    /// between the two tables.
    pub(super) fn columns_of_link(
        &self,
        element: &Element,
        table: &Arc<Table>,
        parent: u16,
    ) -> Result<(ColumnIndex, ColumnRef), Error> {
        let pair = || Error::LinkPair { name: table.logical_name.clone() };
        let of_table = |name: &str| {
            table.index_of(name).ok_or_else(|| Error::UnknownColumn {
                table: table.logical_name.clone(),
                name: name.into(),
            })
        };
        let (from, to) = match (element.attribute("from"), element.attribute("to")) {
            (Some(from), Some(to)) => (of_table(from)?, self.column(parent, to)?),
            (None, None) => {
                let (one, other) = (&table.logical_name, &self.scope.source(parent).logical_name);
                let mut between = self.scope.catalog.relationships().iter().filter_map(|link| {
                    let ends = (&link.referencing_table, &link.referenced_table);
                    if ends == (other, one) {
                        Some((&link.referenced_column, &link.referencing_column))
                    } else if ends == (one, other) {
                        Some((&link.referencing_column, &link.referenced_column))
                    } else {
                        None
                    }
                });
                let (Some((from, to)), None) = (between.next(), between.next()) else {
                    return Err(pair());
                };
                (of_table(from)?, self.column(parent, to)?)
            }
            _ => return Err(pair()),
        };
        let (left, right) = (table.column(from), self.scope.column(to));
        let joins = match (class::of(left), class::of(right)) {
            (Some(left), Some(right)) => {
                class::is_exact(left)
                    && (left == right || class::is_id(left) && class::is_id(right))
            }
            _ => false,
        };
        if joins {
            return Ok((from, to));
        }
        Err(Error::refused(format!(
            "joining column `{}` with column `{}`",
            left.logical_name, right.logical_name
        )))
    }

    /// The table's name for a record that a lookup points to, else with a number behind.
    fn default_alias(&self, table: &Table, from: ColumnIndex, source: u16) -> Box<str> {
        let name = &table.logical_name;
        let is_free = |name: &str| self.aliases.iter().all(|(known, _)| **known != *name);
        if from == table.primary_key && is_free(name) {
            return name.clone();
        }
        (1..=source)
            .map(|number| format!("{name}{number}"))
            .find(|name| is_free(name))
            .unwrap_or_else(|| format!("{name}{}", u32::from(source) + 1))
            .into()
    }
}

/// A name that callers give to a column or a join.
pub(super) fn alias(text: &str) -> Result<Box<str>, Error> {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(text.into());
    }
    Err(Error::BadAlias { name: text.into() })
}
