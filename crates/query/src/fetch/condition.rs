//! `filter` and `condition`: what a row must be like.
//!
//! Source: query.md B4, B5. The comparisons themselves are those of OData's filters.

use super::limits::IN_VALUE_CHARACTERS_MAX;
use super::xml::Element;
use super::{Binder, Error, unknown};
use crate::odata::limits::{CONDITIONS_MAX, VALUES_MAX};
use crate::odata::{Literal, Side, leaf, negate};
use crate::{ColumnRef, Compare, Filter, Match};
use model::Column;

/// One condition with its column and values.
struct Condition<'a> {
    operator: &'a str,
    column: ColumnRef,
    definition: &'a Column,
    values: Vec<Literal>,
}

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
                "link-entity" => {
                    let kind = child.attribute("link-type").unwrap_or("inner");
                    return Err(Error::LinkType { name: format!("{kind} inside a filter").into() });
                }
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
            Some(_) if source > 0 => return Err(bad("`entityname` stands in a link-entity")),
            Some(alias) => self.aliased(alias)?,
        };
        let column = self.column(source, name)?;
        let values = values(element)?;
        if let Some(other) = element.attribute("valueof") {
            if !values.is_empty() {
                return Err(bad("there are both `value` and `valueof`"));
            }
            return self.against_column(column, operator, other);
        }
        let definition = self.scope.column(column);
        let values = values.into_iter().map(|text| {
            let literal = Literal::Text(text.to_owned()).loosened(definition);
            literal.table_named(definition, &self.scope.catalog)
        });
        Condition { operator, column, definition, values: values.collect() }.bind()
    }

    /// A column against a column of its row or of a joined one.
    fn against_column(
        &self,
        column: ColumnRef,
        operator: &str,
        other: &str,
    ) -> Result<Filter, Error> {
        let compare = compare(operator).ok_or_else(|| Error::Operator { name: operator.into() })?;
        let right = match other.split_once('.') {
            Some((alias, name)) => self.column(self.aliased(alias)?, name)?,
            None => self.column(column.source, other)?,
        };
        let sides = (self.scope.column(column), self.scope.column(right));
        Ok(leaf::columns(sides, column, compare, right)?)
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

fn compare(operator: &str) -> Option<Compare> {
    Some(match operator {
        "eq" => Compare::Equal,
        "ne" | "neq" => Compare::NotEqual,
        "gt" => Compare::Greater,
        "ge" => Compare::GreaterOrEqual,
        "lt" => Compare::Less,
        "le" => Compare::LessOrEqual,
        _ => return None,
    })
}

impl Condition<'_> {
    fn bind(self) -> Result<Filter, Error> {
        if let Some(compare) = compare(self.operator) {
            return self.compare(compare);
        }
        match self.operator {
            "null" => self.is_null(false),
            "not-null" => self.is_null(true),
            "in" => self.among(),
            "not-in" => self.among().map(negate),
            "between" => self.between(),
            "not-between" => self.between().map(negate),
            "like" => self.like(),
            "not-like" => self.like().map(negate),
            "begins-with" => self.matches(Match::StartsWith),
            "not-begin-with" => self.matches(Match::StartsWith).map(negate),
            "ends-with" => self.matches(Match::EndsWith),
            "not-end-with" => self.matches(Match::EndsWith).map(negate),
            other => Err(Error::Operator { name: other.into() }),
        }
    }

    fn wrong_count(&self) -> Error {
        Error::ValueCount { name: self.operator.into(), count: self.values.len() }
    }

    fn one(&self) -> Result<&Literal, Error> {
        match self.values.as_slice() {
            [value] => Ok(value),
            _ => Err(self.wrong_count()),
        }
    }

    fn is_null(&self, negated: bool) -> Result<Filter, Error> {
        match self.values.is_empty() {
            true => Ok(Filter::IsNull { column: self.column, negated }),
            false => Err(self.wrong_count()),
        }
    }

    fn compare(&self, compare: Compare) -> Result<Filter, Error> {
        let value = self.one()?;
        Ok(leaf::compare(self.definition, self.column, compare, value, Side::Left)?)
    }

    fn among(self) -> Result<Filter, Error> {
        let too_long = |value: &Literal| matches!(value, Literal::Text(text) if text.chars().count() > IN_VALUE_CHARACTERS_MAX);
        if self.values.is_empty() {
            return Err(self.wrong_count());
        }
        if self.values.iter().any(too_long) {
            let column = self.definition.logical_name.clone();
            return Err(Error::BadCondition { column, why: "a value is over 850 characters" });
        }
        Ok(leaf::among(self.definition, self.column, self.values, self.operator)?)
    }

    fn between(&self) -> Result<Filter, Error> {
        let [first, last] = self.values.as_slice() else { return Err(self.wrong_count()) };
        let against = |compare, value| {
            leaf::compare(self.definition, self.column, compare, value, Side::Left)
        };
        Ok(Filter::And(vec![
            against(Compare::GreaterOrEqual, first)?,
            against(Compare::LessOrEqual, last)?,
        ]))
    }

    fn matches(&self, matches: Match) -> Result<Filter, Error> {
        let value = self.one()?;
        Ok(leaf::matches(self.definition, self.column, matches, self.operator, value)?)
    }

    /// A pattern with wild cards at its ends alone.
    fn like(&self) -> Result<Filter, Error> {
        let Literal::Text(pattern) = self.one()? else { return self.matches(Match::Contains) };
        let (start, rest) = match pattern.strip_prefix('%') {
            Some(rest) => (true, rest),
            None => (false, pattern.as_str()),
        };
        let (end, middle) = match rest.strip_suffix('%') {
            Some(middle) => (true, middle),
            None => (false, rest),
        };
        let text = Literal::Text(middle.to_owned());
        let matches = match (start, end) {
            (true, true) => Match::Contains,
            (true, false) if middle.is_empty() => Match::Contains,
            (true, false) => Match::EndsWith,
            (false, true) => Match::StartsWith,
            (false, false) => {
                // The checks of a pattern, and then the text that it stands for.
                let plain = Literal::Text(leaf::unescaped(middle)?);
                leaf::matches(self.definition, self.column, Match::Contains, "like", &text)?;
                let compare = Compare::Equal;
                let side = Side::Left;
                return Ok(leaf::compare(self.definition, self.column, compare, &plain, side)?);
            }
        };
        Ok(leaf::matches(self.definition, self.column, matches, "like", &text)?)
    }
}

/// The only one of a list, or the list as a whole; nothing for nothing.
fn one_or(mut list: Vec<Filter>, all: impl Fn(Vec<Filter>) -> Filter) -> Option<Filter> {
    match list.len() {
        0 | 1 => list.pop(),
        _ => Some(all(list)),
    }
}
