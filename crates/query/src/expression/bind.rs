//! Names and values of a QueryExpression, bound to the catalog.
//!
//! The comparisons themselves are those of OData's filters and of FetchXML. Days are days in UTC.

use super::{ConditionExpression, Error, FilterExpression, Item, QueryExpression};
use crate::odata::limits::{CONDITIONS_MAX, VALUES_MAX};
use crate::odata::{Literal, Side, leaf, negate};
use crate::{ColumnRef, Compare, Filter, Match};
use jiff::{Span, civil};
use model::{Catalog, Column, ColumnKind, Date, DateTimeBehavior, Table, Timestamp, Value};
use std::sync::Arc;

/// A bound query: which rows of which table.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The table.
    pub table: Arc<Table>,
    /// Which rows; all of them where there is none.
    pub filter: Option<Filter>,
}

/// Types of values, as .NET names them.
const VALUE_TYPES: [&str; 8] = [
    "System.Guid",
    "System.String",
    "System.Int32",
    "System.Int64",
    "System.Boolean",
    "System.DateTime",
    "System.Decimal",
    "System.Double",
];

/// Operators of the platform that are not honoured; those that begin so, too.
const REFUSED: [&str; 30] = [
    "Above",
    "AboveOrEqual",
    "Under",
    "UnderOrEqual",
    "NotUnder",
    "ChildOf",
    "Mask",
    "NotMask",
    "MasksSelect",
    "ContainValues",
    "DoesNotContainValues",
    "EqualUserId",
    "NotEqualUserId",
    "EqualBusinessId",
    "NotEqualBusinessId",
    "EqualUserLanguage",
    "EqualUserTeams",
    "EqualUserOrUserTeams",
    "EqualUserOrUserHierarchy",
    "EqualUserOrUserHierarchyAndTeams",
    "EqualRoleBusinessId",
    "Last7Days",
    "Next7Days",
    "ThisWeek",
    "ThisMonth",
    "ThisYear",
    "ThisFiscalYear",
    "ThisFiscalPeriod",
    "InFiscalYear",
    "InFiscalPeriod",
];

/// Further refused operators, by their beginnings.
const REFUSED_BEGINNINGS: [&str; 4] = ["Last", "Next", "InFiscal", "InOr"];

/// Binds a query. `now` is what relative dates count from.
pub fn bind(catalog: &Catalog, query: &QueryExpression, now: Timestamp) -> Result<Bound, Error> {
    let name = query.entity_name.trim();
    let table = catalog.table(name).ok_or_else(|| Error::UnknownTable { name: name.into() })?;
    refuse(query)?;
    let binder = Binder { catalog, table, now };
    if let Some(set) = &query.column_set {
        let _all = set.all_columns;
        for column in set.columns.iter().flatten() {
            binder.column(column)?;
        }
    }
    // An order changes nothing: every row that matches is meant. Its names must be there, though.
    for order in query.orders.iter().flatten() {
        binder.column(&order.attribute_name)?;
        let _order = &order.order_type;
        if order.alias.is_some() || order.entity_name.as_deref().is_some_and(|other| other != name)
        {
            return Err(Error::refused("an order by an alias or by another table"));
        }
    }
    let mut conditions = 0;
    let filter = match &query.criteria {
        Some(criteria) => binder.filter(criteria, &mut conditions)?,
        None => None,
    };
    Ok(Bound { table: table.clone(), filter })
}

/// Refuses what asks for something that is not there.
fn refuse(query: &QueryExpression) -> Result<(), Error> {
    if query.link_entities.as_ref().is_some_and(|links| !links.is_empty()) {
        return Err(Error::refused("the query member 'LinkEntities'"));
    }
    if query.top_count.is_some() {
        return Err(Error::refused("the query member 'TopCount'"));
    }
    if let Some(source) = query.data_source.as_deref().filter(|source| !source.is_empty()) {
        return Err(Error::refused(format!("the query member 'DataSource' with value '{source}'")));
    }
    // Duplicates and locks do not change which rows are meant.
    let _no_effect = (query.distinct, query.no_lock);
    if let Some(page) = &query.page_info {
        let first = page.page_number.is_none_or(|number| number <= 1);
        let whole = page.count.is_none_or(|count| count == 0);
        let _counted = page.return_total_record_count;
        if !first || !whole || page.paging_cookie.as_deref().is_some_and(|text| !text.is_empty()) {
            return Err(Error::refused("the query member 'PageInfo' that asks for a part"));
        }
    }
    Ok(())
}

struct Binder<'a> {
    catalog: &'a Catalog,
    table: &'a Arc<Table>,
    now: Timestamp,
}

impl Binder<'_> {
    fn column(&self, name: &str) -> Result<ColumnRef, Error> {
        let unknown = || crate::Error::UnknownColumn {
            table: self.table.logical_name.clone(),
            name: name.into(),
        };
        Ok(ColumnRef::root(self.table.index_of(name.trim()).ok_or_else(unknown)?))
    }

    fn filter(
        &self,
        expression: &FilterExpression,
        conditions: &mut usize,
    ) -> Result<Option<Filter>, Error> {
        let all = match expression.filter_operator.as_deref() {
            None | Some("And") => true,
            Some("Or") => false,
            Some(other) => {
                return Err(Error::Malformed {
                    why: format!("'FilterOperator' is '{other}', not 'And' or 'Or'"),
                });
            }
        };
        if expression.is_quick_find_filter == Some(true) {
            return Err(Error::refused("the filter member 'IsQuickFindFilter'"));
        }
        let mut parts = Vec::new();
        for condition in expression.conditions.iter().flatten() {
            *conditions += 1;
            if *conditions > CONDITIONS_MAX {
                return Err(crate::Error::TooManyConditions.into());
            }
            parts.push(self.condition(condition)?);
        }
        for filter in expression.filters.iter().flatten() {
            parts.extend(self.filter(filter, conditions)?);
        }
        Ok(match (parts.len(), all) {
            (0 | 1, _) => parts.pop(),
            (_, true) => Some(Filter::And(parts)),
            (_, false) => Some(Filter::Or(parts)),
        })
    }

    fn condition(&self, expression: &ConditionExpression) -> Result<Filter, Error> {
        let other = expression.entity_name.as_deref().filter(|name| !name.is_empty());
        if other.is_some_and(|name| *name != *self.table.logical_name) {
            return Err(Error::refused("a condition whose 'EntityName' is another table"));
        }
        if expression.compare_columns == Some(true) {
            return Err(Error::refused("the condition member 'CompareColumns'"));
        }
        let column = self.column(&expression.attribute_name)?;
        let items = expression.values.as_deref().unwrap_or_default();
        let texts = items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let definition = self.table.column(column.column);
        Condition { operator: &expression.operator, column, definition, texts, binder: self }.bind()
    }
}

/// The text of a value.
fn text(item: &Item) -> Result<String, Error> {
    if let Some(name) = &item.r#type
        && !VALUE_TYPES.contains(&name.as_str())
    {
        return Err(Error::refused(format!("the value type '{name}'")));
    }
    let text = match &item.value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Bool(yes) => yes.to_string(),
        other => {
            return Err(Error::Malformed { why: format!("`{other}` is no value of a condition") });
        }
    };
    // .NET writes `True`.
    Ok(match item.r#type.as_deref() {
        Some("System.Boolean") => text.to_lowercase(),
        _ => text,
    })
}

/// One condition with its column and values.
struct Condition<'a> {
    operator: &'a str,
    column: ColumnRef,
    definition: &'a Column,
    texts: Vec<String>,
    binder: &'a Binder<'a>,
}

/// Units of the operators `OlderThanX…`.
#[derive(Clone, Copy)]
enum Unit {
    Seconds(i64),
    Months(i64),
}

impl Condition<'_> {
    fn bind(self) -> Result<Filter, Error> {
        let compare = |compare| self.compare(compare);
        match self.operator {
            "Equal" => compare(Compare::Equal),
            "NotEqual" => compare(Compare::NotEqual),
            "GreaterThan" => compare(Compare::Greater),
            "GreaterEqual" => compare(Compare::GreaterOrEqual),
            "LessThan" => compare(Compare::Less),
            "LessEqual" => compare(Compare::LessOrEqual),
            "Null" => self.is_null(false),
            "NotNull" => self.is_null(true),
            "In" => self.among(),
            "NotIn" => self.among().map(negate),
            "Between" => self.between(),
            "NotBetween" => self.between().map(negate),
            "Like" => self.like(),
            "NotLike" => self.like().map(negate),
            "BeginsWith" => self.matches(Match::StartsWith, self.one()?),
            "DoesNotBeginWith" => self.matches(Match::StartsWith, self.one()?).map(negate),
            "EndsWith" => self.matches(Match::EndsWith, self.one()?),
            "DoesNotEndWith" => self.matches(Match::EndsWith, self.one()?).map(negate),
            "Contains" => self.matches(Match::Contains, self.one()?),
            "DoesNotContain" => self.matches(Match::Contains, self.one()?).map(negate),
            "On" => self.on(self.day()?),
            "NotOn" => self.on(self.day()?).map(negate),
            "OnOrBefore" => self.day_bound(self.day()?, Compare::LessOrEqual),
            "OnOrAfter" => self.day_bound(self.day()?, Compare::GreaterOrEqual),
            "Today" => self.relative_day(0),
            "Yesterday" => self.relative_day(-1),
            "Tomorrow" => self.relative_day(1),
            "OlderThanXMinutes" => self.older_than(Unit::Seconds(60)),
            "OlderThanXHours" => self.older_than(Unit::Seconds(3_600)),
            "OlderThanXDays" => self.older_than(Unit::Seconds(86_400)),
            "OlderThanXWeeks" => self.older_than(Unit::Seconds(7 * 86_400)),
            "OlderThanXMonths" => self.older_than(Unit::Months(1)),
            "OlderThanXYears" => self.older_than(Unit::Months(12)),
            other if is_refused(other) => {
                Err(Error::refused(format!("the condition operator '{other}'")))
            }
            other => Err(Error::UnknownOperator { name: other.into() }),
        }
    }

    fn wrong_count(&self) -> Error {
        Error::ValueCount { operator: self.operator.into(), count: self.texts.len() }
    }

    fn one(&self) -> Result<&str, Error> {
        match self.texts.as_slice() {
            [text] => Ok(text),
            _ => Err(self.wrong_count()),
        }
    }

    fn none(&self) -> Result<(), Error> {
        if self.texts.is_empty() { Ok(()) } else { Err(self.wrong_count()) }
    }

    fn literal(&self, text: &str) -> Literal {
        let literal = Literal::Text(text.to_owned()).loosened(self.definition);
        literal.table_named(self.definition, self.binder.catalog)
    }

    fn against(&self, compare: Compare, text: &str) -> Result<Filter, Error> {
        let literal = self.literal(text);
        Ok(leaf::compare(self.definition, self.column, compare, &literal, Side::Left)?)
    }

    fn compare(&self, compare: Compare) -> Result<Filter, Error> {
        self.against(compare, self.one()?)
    }

    fn is_null(&self, negated: bool) -> Result<Filter, Error> {
        self.none()?;
        Ok(Filter::IsNull { column: self.column, negated })
    }

    /// Any number of values: they are looked for in groups.
    fn among(&self) -> Result<Filter, Error> {
        if self.texts.is_empty() {
            return Err(self.wrong_count());
        }
        let mut groups = Vec::new();
        for group in self.texts.chunks(VALUES_MAX) {
            let literals = group.iter().map(|text| Literal::Text(text.clone())).map(|literal| {
                literal.loosened(self.definition).table_named(self.definition, self.binder.catalog)
            });
            let literals = literals.collect();
            groups.push(leaf::among(self.definition, self.column, literals, self.operator)?);
        }
        let only = if groups.len() == 1 { groups.pop() } else { None };
        Ok(only.unwrap_or(Filter::Or(groups)))
    }

    fn between(&self) -> Result<Filter, Error> {
        let [first, last] = self.texts.as_slice() else { return Err(self.wrong_count()) };
        Ok(Filter::And(vec![
            self.against(Compare::GreaterOrEqual, first)?,
            self.against(Compare::LessOrEqual, last)?,
        ]))
    }

    fn matches(&self, matches: Match, text: &str) -> Result<Filter, Error> {
        let literal = Literal::Text(text.to_owned());
        Ok(leaf::matches(self.definition, self.column, matches, self.operator, &literal)?)
    }

    /// A pattern with wild cards at its ends alone.
    fn like(&self) -> Result<Filter, Error> {
        let pattern = self.one()?;
        let (start, rest) = match pattern.strip_prefix('%') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let (end, middle) = match rest.strip_suffix('%') {
            Some(middle) => (true, middle),
            None => (false, rest),
        };
        match (start, end) {
            (true, true) => self.matches(Match::Contains, middle),
            (true, false) if middle.is_empty() => self.matches(Match::Contains, middle),
            (true, false) => self.matches(Match::EndsWith, middle),
            (false, true) => self.matches(Match::StartsWith, middle),
            (false, false) => {
                // The checks of a pattern, and then the text that it stands for.
                self.matches(Match::Contains, middle)?;
                let plain = Literal::Text(leaf::unescaped(middle)?);
                let (compare, side) = (Compare::Equal, Side::Left);
                Ok(leaf::compare(self.definition, self.column, compare, &plain, side)?)
            }
        }
    }

    fn bad_value(&self, value: &str) -> Error {
        Error::BadValue { operator: self.operator.into(), value: value.into() }
    }

    fn day(&self) -> Result<Date, Error> {
        let text = self.one()?;
        Date::parse(text).ok_or_else(|| self.bad_value(text))
    }

    fn relative_day(&self, days: i32) -> Result<Filter, Error> {
        self.none()?;
        self.on(Date(self.binder.now.date().0 + days))
    }

    fn on(&self, day: Date) -> Result<Filter, Error> {
        Ok(Filter::And(vec![
            self.day_bound(day, Compare::GreaterOrEqual)?,
            self.day_bound(day, Compare::LessOrEqual)?,
        ]))
    }

    /// Not before the day begins, or not after it ends.
    fn day_bound(&self, day: Date, compare: Compare) -> Result<Filter, Error> {
        let begins = |day: Date| Value::DateTime(Timestamp(i64::from(day.0) * 86_400));
        let (compare, value) = match (self.behavior()?, compare) {
            (DateTimeBehavior::DateOnly, compare) => (compare, Value::Date(day)),
            (_, Compare::LessOrEqual) => (Compare::Less, begins(Date(day.0 + 1))),
            (_, compare) => (compare, begins(day)),
        };
        Ok(Filter::Compare { column: self.column, compare, value })
    }

    fn behavior(&self) -> Result<DateTimeBehavior, Error> {
        match self.definition.kind {
            ColumnKind::DateTime { behavior, .. } => Ok(behavior),
            _ => Err(crate::Error::BadArguments {
                name: self.operator.into(),
                why: "the column holds no date",
            }
            .into()),
        }
    }

    /// Before so many units ago.
    fn older_than(&self, unit: Unit) -> Result<Filter, Error> {
        let text = self.one()?;
        let bad = || self.bad_value(text);
        let count: u32 = text.trim().parse().map_err(|_| bad())?;
        if count == 0 {
            return Err(bad());
        }
        let now = self.binder.now;
        let at = match unit {
            Unit::Seconds(seconds) => Timestamp(now.0 - seconds * i64::from(count)),
            Unit::Months(months) => {
                let span = Span::new().try_months(months * i64::from(count)).map_err(|_| bad())?;
                let epoch = civil::date(1970, 1, 1);
                let day = epoch
                    .checked_add(Span::new().days(now.date().0))
                    .and_then(|today| today.checked_sub(span))
                    .and_then(|day| day.since((jiff::Unit::Day, epoch)))
                    .map_err(|_| bad())?;
                Timestamp(i64::from(day.get_days()) * 86_400 + now.0.rem_euclid(86_400))
            }
        };
        let value = match self.behavior()? {
            DateTimeBehavior::DateOnly => Value::Date(at.max(Timestamp::MIN).date()),
            _ => Value::DateTime(at.max(Timestamp::MIN)),
        };
        Ok(Filter::Compare { column: self.column, compare: Compare::Less, value })
    }
}

fn is_refused(operator: &str) -> bool {
    REFUSED.contains(&operator)
        || REFUSED_BEGINNINGS.iter().any(|beginning| {
            operator.strip_prefix(beginning).is_some_and(|rest| {
                let units = [
                    "Hours", "Days", "Weeks", "Months", "Years", "Fiscal", "Week", "Month", "Year",
                ];
                units.iter().any(|unit| rest.contains(unit))
            })
        })
}
