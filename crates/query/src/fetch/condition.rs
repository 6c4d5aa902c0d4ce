//! `filter` and `condition`: what a row must be like.
//!
//! Source: query.md B4 to B6. What operators mean is the matter of `operator`; links inside of filters
//! are that of `related`.

use super::limits::IN_VALUE_CHARACTERS_MAX;
use super::xml::Element;
use super::{Binder, Error, unknown};
use crate::odata::limits::{CONDITIONS_MAX, VALUES_MAX};
use crate::odata::{Literal, leaf};
use crate::operator::{self, Asked, Operator, Surface};
use crate::{ColumnRef, Compare, Filter};

impl Binder {
    /// All of several filters over a source; none when they say nothing.
    pub(super) fn filters(
        &mut self,
        filters: &[&Element],
        source: u16,
    ) -> Result<Option<Filter>, Error> {
        let mut all = Vec::new();
        for filter in filters {
            all.extend(self.filter(filter, source)?);
        }
        Ok(one_or(all, Filter::And))
    }

    fn filter(&mut self, element: &Element, source: u16) -> Result<Option<Filter>, Error> {
        let join: fn(Vec<Filter>) -> Filter = match element.attribute("type") {
            None | Some("and") => Filter::And,
            Some("or") => Filter::Or,
            Some(other) => return Err(Error::FilterType { value: other.into() }),
        };
        let mut parts = Vec::new();
        for child in &element.children {
            match child.name.as_str() {
                "filter" => parts.extend(self.filter(child, source)?),
                "condition" => parts.push(self.condition(child, source)?),
                "link-entity" => parts.push(self.related_in_filter(child, source)?),
                _ => return Err(unknown(child, element)),
            }
        }
        Ok(one_or(parts, join))
    }

    fn condition(&mut self, element: &Element, source: u16) -> Result<Filter, Error> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(Error::TooManyConditions);
        }
        let name = element.required("attribute")?;
        let operator = element.required("operator")?;
        let bad = |why| Error::BadCondition { column: name.into(), why };
        let source = match element.attribute("entityname") {
            None => source,
            Some(_) if source > 0 || !self.outside.is_empty() => {
                return Err(bad("`entityname` stands in a link-entity"));
            }
            Some(alias) => self.aliased(alias)?,
        };
        let column = self.column(source, name)?;
        let values = values(element)?;
        let found = operator::find(Surface::Fetch, operator)
            .ok_or_else(|| Error::Operator { name: operator.into() })?;
        if let Some(other) = element.attribute("valueof") {
            if !values.is_empty() {
                return Err(bad("there are both `value` and `valueof`"));
            }
            let Operator::Compare(compare) = found else {
                return Err(Error::Operator { name: operator.into() });
            };
            return self.against_column(column, compare, other);
        }
        let too_long = |text: &&str| text.chars().count() > IN_VALUE_CHARACTERS_MAX;
        if matches!(found, Operator::In { .. }) && values.iter().any(too_long) {
            return Err(bad("a value is over 850 characters"));
        }
        let values = values.into_iter().map(|text| Literal::Text(text.to_owned())).collect();
        let asked = Asked { scope: &self.scope, column, name: operator, values };
        asked.bind(found).map_err(|error| match error {
            crate::Error::ValueCount { operator, count } => {
                Error::ValueCount { name: operator, count }
            }
            other => Error::Query(other),
        })
    }

    /// A column against a column of its row, of a joined one, or of a row outside.
    fn against_column(
        &self,
        column: ColumnRef,
        compare: Compare,
        other: &str,
    ) -> Result<Filter, Error> {
        let Some((alias, name)) = other.split_once('.') else {
            let right = self.column(column.source, other)?;
            let sides = (self.scope.column(column), self.scope.column(right));
            return Ok(leaf::columns(sides, column, compare, right)?);
        };
        if let Ok(source) = self.aliased(alias) {
            let right = self.column(source, name)?;
            let sides = (self.scope.column(column), self.scope.column(right));
            return Ok(leaf::columns(sides, column, compare, right)?);
        }
        let outside = (1_u8..)
            .zip(self.outside.iter().rev())
            .find_map(|(levels, place)| place.aliased(alias).map(|source| (levels, place, source)));
        let Some((levels, place, source)) = outside else {
            return Err(Error::UnknownAlias { name: alias.into() });
        };
        let outer = super::column_of(&place.scope, source, name)?;
        let sides = (self.scope.column(column), place.scope.column(outer));
        leaf::comparable(sides, compare)?;
        Ok(Filter::CompareOuter { column, compare, levels, outer, negated: false })
    }
}

/// The values of a condition: its attribute, or the elements inside.
fn values(element: &Element) -> Result<Vec<&str>, Error> {
    let mut values: Vec<&str> = element.raw("value").into_iter().collect();
    for child in &element.children {
        if child.name != "value" {
            return Err(unknown(child, element));
        }
        if let Some(inner) = child.children.first() {
            return Err(unknown(inner, child));
        }
        values.push(&child.text);
    }
    if values.len() > VALUES_MAX {
        return Err(crate::Error::TooManyValues.into());
    }
    Ok(values)
}

/// The only one of a list, or the list as a whole; nothing for nothing.
pub(super) fn one_or(mut list: Vec<Filter>, all: impl Fn(Vec<Filter>) -> Filter) -> Option<Filter> {
    match list.len() {
        0 | 1 => list.pop(),
        _ => Some(all(list)),
    }
}
