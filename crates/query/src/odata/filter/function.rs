//! Query functions: `Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=["1"])`.
//!
//! Honoured: In, NotIn, Between, NotBetween, On, OnOrAfter, OnOrBefore. The other documented ones are
//! refused by name, anything else is unknown. Days are days in UTC, the time zone of every caller.

use super::leaf::{self, Side};
use super::{Operand, Parser};
use crate::odata::lexer::Token;
use crate::odata::limits;
use crate::odata::literal::{self, Literal};
use crate::{ColumnRef, Compare, Error, Filter};
use model::{Column, ColumnKind, Date, DateTimeBehavior, Timestamp, Value};

const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// Functions of the platform that are not honoured yet.
const REFUSED: [&str; 51] = [
    "Above",
    "AboveOrEqual",
    "Under",
    "UnderOrEqual",
    "NotUnder",
    "Contains",
    "ContainValues",
    "DoesNotContainValues",
    "EqualUserId",
    "NotEqualUserId",
    "EqualBusinessId",
    "NotEqualBusinessId",
    "EqualUserTeams",
    "EqualUserOrUserTeams",
    "EqualUserOrUserHierarchy",
    "EqualUserOrUserHierarchyAndTeams",
    "EqualUserLanguage",
    "Today",
    "Tomorrow",
    "Yesterday",
    "Last7Days",
    "Next7Days",
    "LastWeek",
    "LastMonth",
    "LastYear",
    "ThisWeek",
    "ThisMonth",
    "ThisYear",
    "NextWeek",
    "NextMonth",
    "NextYear",
    "LastXHours",
    "LastXDays",
    "LastXWeeks",
    "LastXMonths",
    "LastXYears",
    "NextXHours",
    "NextXDays",
    "NextXWeeks",
    "NextXMonths",
    "NextXYears",
    "OlderThanXMinutes",
    "OlderThanXHours",
    "OlderThanXDays",
    "OlderThanXWeeks",
    "OlderThanXMonths",
    "OlderThanXYears",
    "InFiscalPeriod",
    "InFiscalYear",
    "InFiscalPeriodAndYear",
    "InOrAfterFiscalPeriodAndYear",
];

/// Plain functions of OData that the service does not have.
const PLAIN_REFUSED: [&str; 24] = [
    "tolower",
    "toupper",
    "length",
    "indexof",
    "substring",
    "concat",
    "trim",
    "substringof",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "date",
    "time",
    "now",
    "round",
    "floor",
    "ceiling",
    "cast",
    "isof",
    "any",
    "all",
];

/// The named arguments of a call.
#[derive(Default)]
struct Arguments {
    column: Option<ColumnRef>,
    values: Vec<Literal>,
    /// They came as a list.
    listed: bool,
}

impl Parser<'_> {
    /// What follows `name(`.
    pub(super) fn query_function(&mut self, name: &str) -> Result<Filter, Error> {
        let Some(short) = name.strip_prefix(NAMESPACE) else {
            if PLAIN_REFUSED.contains(&name) {
                return Err(Error::refused(format!("function `{name}` in $filter")));
            }
            return Err(Error::UnknownFunction { name: name.into() });
        };
        let known = matches!(
            short,
            "In" | "NotIn" | "Between" | "NotBetween" | "On" | "OnOrAfter" | "OnOrBefore"
        );
        if !known {
            if REFUSED.contains(&short) || short.contains("Fiscal") {
                return Err(Error::refused(format!("function `{name}` in $filter")));
            }
            return Err(Error::UnknownFunction { name: name.into() });
        }
        if self.nots > 0 {
            return Err(Error::NotBeforeFunction);
        }
        let bad = |why| Error::BadArguments { name: name.into(), why };
        let arguments = self.arguments(name)?;
        let column = arguments.column.ok_or_else(|| bad("PropertyName is missing"))?;
        let mut values = arguments.values;
        match short {
            "In" | "NotIn" => {
                if !arguments.listed || values.is_empty() {
                    return Err(bad("PropertyValues is missing or empty"));
                }
                let definition = self.scope.column(column);
                let catalog = &self.scope.catalog;
                let values = values.into_iter().map(|value| value.table_named(definition, catalog));
                let among = leaf::among(definition, column, values.collect(), name)?;
                Ok(if short == "In" { among } else { super::negate(among) })
            }
            "Between" | "NotBetween" => {
                let (Some(last), Some(first), None) = (values.pop(), values.pop(), values.pop())
                else {
                    return Err(bad("two values are wanted"));
                };
                let between = self.between(column, first, last)?;
                Ok(if short == "Between" { between } else { super::negate(between) })
            }
            _ => {
                let (Some(value), None) = (values.pop(), values.pop()) else {
                    return Err(bad("one value is wanted"));
                };
                self.on(column, short, name, value)
            }
        }
    }

    fn arguments(&mut self, function: &str) -> Result<Arguments, Error> {
        let bad = |why| Error::BadArguments { name: function.into(), why };
        let mut found = Arguments::default();
        loop {
            let Token::Word(name) = self.take() else {
                self.next -= 1;
                return Err(self.syntax());
            };
            self.sign('=')?;
            match &*name {
                "PropertyName" if found.column.is_none() => {
                    found.column = Some(self.property_name()?);
                }
                "PropertyValues" if found.values.is_empty() => {
                    found.values = self.list()?;
                    found.listed = true;
                }
                "PropertyValue" | "PropertyValue1" | "PropertyValue2" if !found.listed => {
                    let Operand::Literal(value) = self.operand()? else {
                        return Err(bad("a value is a literal"));
                    };
                    found.values.push(value);
                }
                _ => return Err(bad("an argument has another name, or stands twice")),
            }
            if *self.peek() != Token::Sign(',') {
                self.sign(')')?;
                return Ok(found);
            }
            self.next += 1;
        }
    }

    fn property_name(&mut self) -> Result<ColumnRef, Error> {
        match self.operand()? {
            Operand::Literal(Literal::Text(name)) => self.column(&name),
            Operand::Column(column) => Ok(column),
            Operand::Literal(_) => {
                self.next -= 1;
                Err(self.syntax())
            }
        }
    }

    /// `["a","b"]` or `['a','b']`, or an alias for it.
    fn list(&mut self) -> Result<Vec<Literal>, Error> {
        if let Token::Word(alias) = self.peek() {
            let text = self.options.get(alias).ok_or_else(|| self.syntax())?;
            self.next += 1;
            let mut inner = Parser::new(self.scope, self.options, text)?;
            if !matches!(inner.peek(), Token::Sign('[')) {
                return Err(inner.syntax());
            }
            let values = inner.list()?;
            inner.end()?;
            return Ok(values);
        }
        self.sign('[')?;
        let mut values = Vec::new();
        if *self.peek() == Token::Sign(']') {
            self.next += 1;
            return Ok(values);
        }
        loop {
            let value = literal::of_token(self.peek()).ok_or_else(|| self.syntax())?;
            self.next += 1;
            values.push(value);
            if values.len() > limits::VALUES_MAX {
                return Err(Error::TooManyValues);
            }
            match self.take() {
                Token::Sign(',') => {}
                Token::Sign(']') => return Ok(values),
                _ => {
                    self.next -= 1;
                    return Err(self.syntax());
                }
            }
        }
    }

    /// Inclusive at both ends.
    fn between(
        &mut self,
        column: ColumnRef,
        first: Literal,
        last: Literal,
    ) -> Result<Filter, Error> {
        self.count_condition()?;
        let definition = self.scope.column(column);
        let (first, last) = (first.loosened(definition), last.loosened(definition));
        let from = leaf::compare(definition, column, Compare::GreaterOrEqual, &first, Side::Left)?;
        let to = leaf::compare(definition, column, Compare::LessOrEqual, &last, Side::Left)?;
        Ok(Filter::And(vec![from, to]))
    }

    /// On a day, from it on, or up to it.
    fn on(
        &mut self,
        column: ColumnRef,
        short: &str,
        name: &str,
        value: Literal,
    ) -> Result<Filter, Error> {
        let definition = self.scope.column(column);
        let bad = |why| Error::BadArguments { name: name.into(), why };
        let Literal::Moment(text) = value.loosened(definition) else {
            return Err(bad("the value is no date"));
        };
        let (first, last) = day(definition, &text)
            .ok_or_else(|| bad("the column holds no dates, or the value is no date"))?;
        let against = |compare, value| Filter::Compare { column, compare, value };
        Ok(match short {
            "OnOrAfter" => against(Compare::GreaterOrEqual, first),
            "OnOrBefore" => against(Compare::LessOrEqual, last),
            _ if first == last => against(Compare::Equal, first),
            _ => {
                self.count_condition()?;
                Filter::And(vec![
                    against(Compare::GreaterOrEqual, first),
                    against(Compare::LessOrEqual, last),
                ])
            }
        })
    }
}

/// The first and the last value of a day.
fn day(column: &Column, text: &str) -> Option<(Value, Value)> {
    let ColumnKind::DateTime { behavior, .. } = column.kind else { return None };
    if behavior == DateTimeBehavior::DateOnly {
        let day = Value::Date(Date::parse(text)?);
        return Some((day.clone(), day));
    }
    let midnight = Timestamp::parse(text)?.0.div_euclid(86_400) * 86_400;
    Some((Value::DateTime(Timestamp(midnight)), Value::DateTime(Timestamp(midnight + 86_399))))
}
