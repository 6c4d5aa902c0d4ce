//! `link-entity` as a condition: some row of another table goes with this one, or none does.
//!
//! `exists` and `in` stand where joins stand; `any`, `not any`, `all` and `not all` inside of a filter.
//! `all` has its documented meaning: there are rows, and none of them satisfies the filter inside.
//! Source: query.md B3. Not here: joins (`link`).

use super::condition::one_or;
use super::xml::Element;
use super::{Binder, Error, unknown};
use crate::scope::Scope;
use crate::{Exists, Filter};
use std::sync::Arc;

/// A place around a condition about other rows: what it may be compared with.
pub(super) struct Outside {
    pub(super) scope: Scope,
    pub(super) aliases: Vec<(Box<str>, u16)>,
}

impl Outside {
    /// The source of this alias; the query's own table goes by its name.
    pub(super) fn aliased(&self, alias: &str) -> Option<u16> {
        let known = self.aliases.iter().find(|(known, _)| **known == *alias);
        let root = || (*self.scope.table.logical_name == *alias).then_some(0);
        known.map(|(_, source)| *source).or_else(root)
    }
}

impl Binder {
    /// A link of a filter.
    pub(super) fn related_in_filter(
        &mut self,
        element: &Element,
        parent: u16,
    ) -> Result<Filter, Error> {
        let kind = element.attribute("link-type").unwrap_or("inner");
        let is_related = matches!(kind, "any" | "not any" | "all" | "not all");
        if is_related && (element.attribute("from").is_none() || element.attribute("to").is_none())
        {
            return Err(Error::LinkPair { name: element.required("name")?.into() });
        }
        match kind {
            "any" | "not all" => Ok(self.related(element, parent)?.into()),
            "not any" => Ok(self.related(element, parent)?.negate().into()),
            "all" => {
                let found = self.related(element, parent)?;
                let mut any = Exists::new(&found.table, found.from, found.to);
                any.joins = found.joins.clone();
                Ok(Filter::And(vec![any.into(), found.negate().into()]))
            }
            other => Err(Error::LinkType { name: format!("{other} inside a filter").into() }),
        }
    }

    /// The rows that a link looks for.
    pub(super) fn related(&mut self, element: &Element, parent: u16) -> Result<Exists, Error> {
        let name = element.required("name")?;
        let catalog = Arc::clone(&self.scope.catalog);
        let table = catalog.table(name).ok_or_else(|| Error::UnknownTable { name: name.into() })?;
        let (from, to) = self.columns_of_link(element, table, parent)?;
        let inside = self.scope.inside(table).map_err(|_| Error::TooManyLinks)?;
        let alias = self.alias_of(element, table, from, 0)?;
        let outside = Outside {
            scope: std::mem::replace(&mut self.scope, inside),
            aliases: std::mem::replace(&mut self.aliases, vec![(alias, 0)]),
        };
        self.outside.push(outside);
        // Each place keeps its own conditions to itself.
        let around = std::mem::take(&mut self.semi_joins);
        let mut exists = Exists::new(table, from, to);
        let filter = self.rows_of(element);
        self.semi_joins = around;
        if let Some(Outside { scope, aliases }) = self.outside.pop() {
            let inside = std::mem::replace(&mut self.scope, scope);
            self.aliases = aliases;
            self.scope.leave(&inside);
            exists.joins = inside.joins;
        }
        exists.filter = filter?;
        Ok(exists)
    }

    /// What the children of a link ask of its rows. Nothing of them can be shown or ordered by.
    fn rows_of(&mut self, element: &Element) -> Result<Option<Filter>, Error> {
        let shown = ["attribute", "all-attributes", "order"];
        if let Some(child) = element.children.iter().find(|child| shown.contains(&&*child.name)) {
            return Err(unknown(child, element));
        }
        let (columns, outputs) = (self.columns.len(), self.outputs.len());
        let (filters, _) = self.links_of(element, 0)?;
        // A join inside may name columns as little.
        if (columns, outputs) != (self.columns.len(), self.outputs.len()) {
            let why = "a link that is a condition shows no columns";
            return Err(Error::BadCondition { column: element.name.as_str().into(), why });
        }
        let mut parts: Vec<Filter> = self.filters(&filters, 0)?.into_iter().collect();
        parts.append(&mut self.semi_joins);
        Ok(one_or(parts, Filter::And))
    }
}
