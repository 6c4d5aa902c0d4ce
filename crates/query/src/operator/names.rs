//! The names of operators.

use super::{Kin, Operator, Place, User};
use crate::Compare;
use crate::dates::{Unit, When};

/// An operator and its names; empty where a language does not have it.
pub(crate) struct Names {
    pub(crate) operator: Operator,
    /// `olderthan-x-days`
    fetch: &'static str,
    /// `OlderThanXDays`, as a query function.
    function: &'static str,
    /// The same as the SDK's condition operator.
    expression: &'static str,
}

/// A language that operators have names in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    Fetch,
    Function,
    Expression,
}

/// The operator of this name.
pub(crate) fn find(surface: Surface, name: &str) -> Option<Operator> {
    // FetchXML has two words for this one.
    let name = if surface == Surface::Fetch && name == "neq" { "ne" } else { name };
    let of = |names: &&Names| match surface {
        Surface::Fetch => names.fetch,
        Surface::Function => names.function,
        Surface::Expression => names.expression,
    };
    let found = ALL.iter().filter(|_| !name.is_empty()).find(|names| of(names) == name);
    found.map(|names| names.operator)
}

/// FetchXML's name for an operator of the SDK.
pub(crate) fn fetch_name(expression: &str) -> Option<&'static str> {
    let found = ALL.iter().find(|names| names.expression == expression);
    found.map(|names| names.fetch).filter(|name| !name.is_empty())
}

const fn one(
    operator: Operator,
    fetch: &'static str,
    function: &'static str,
    expression: &'static str,
) -> Names {
    Names { operator, fetch, function, expression }
}

/// An operator whose query function has the name of the SDK's operator.
const fn same(operator: Operator, fetch: &'static str, name: &'static str) -> Names {
    one(operator, fetch, name, name)
}

/// An operator without a query function.
const fn plain(operator: Operator, fetch: &'static str, expression: &'static str) -> Names {
    one(operator, fetch, "", expression)
}

const fn date(when: When, fetch: &'static str, name: &'static str) -> Names {
    same(Operator::Date(when), fetch, name)
}

const fn like(place: Place, negated: bool) -> Operator {
    Operator::Like { place, negated }
}

/// Every operator.
const ALL: &[Names] = &[
    plain(Operator::Compare(Compare::Equal), "eq", "Equal"),
    plain(Operator::Compare(Compare::NotEqual), "ne", "NotEqual"),
    plain(Operator::Compare(Compare::Greater), "gt", "GreaterThan"),
    plain(Operator::Compare(Compare::GreaterOrEqual), "ge", "GreaterEqual"),
    plain(Operator::Compare(Compare::Less), "lt", "LessThan"),
    plain(Operator::Compare(Compare::LessOrEqual), "le", "LessEqual"),
    plain(Operator::Null { negated: false }, "null", "Null"),
    plain(Operator::Null { negated: true }, "not-null", "NotNull"),
    plain(like(Place::Whole, false), "like", "Like"),
    plain(like(Place::Whole, true), "not-like", "NotLike"),
    plain(like(Place::Start, false), "begins-with", "BeginsWith"),
    plain(like(Place::Start, true), "not-begin-with", "DoesNotBeginWith"),
    plain(like(Place::End, false), "ends-with", "EndsWith"),
    plain(like(Place::End, true), "not-end-with", "DoesNotEndWith"),
    // Full text on the platform; here the text is looked for anywhere.
    one(like(Place::Anywhere, false), "", "Contains", "Contains"),
    plain(like(Place::Anywhere, true), "", "DoesNotContain"),
    same(Operator::In { negated: false }, "in", "In"),
    same(Operator::In { negated: true }, "not-in", "NotIn"),
    same(Operator::Between { negated: false }, "between", "Between"),
    same(Operator::Between { negated: true }, "not-between", "NotBetween"),
    same(Operator::Choices { negated: false }, "contain-values", "ContainValues"),
    same(Operator::Choices { negated: true }, "not-contain-values", "DoesNotContainValues"),
    same(Operator::User(User::Is), "eq-userid", "EqualUserId"),
    same(Operator::User(User::IsNot), "ne-userid", "NotEqualUserId"),
    same(Operator::User(User::Teams), "eq-userteams", "EqualUserTeams"),
    same(Operator::User(User::OrTeams), "eq-useroruserteams", "EqualUserOrUserTeams"),
    same(Operator::User(User::OrBelow), "eq-useroruserhierarchy", "EqualUserOrUserHierarchy"),
    same(
        Operator::User(User::OrBelowOrTeams),
        "eq-useroruserhierarchyandteams",
        "EqualUserOrUserHierarchyAndTeams",
    ),
    same(Operator::User(User::Unit), "eq-businessid", "EqualBusinessId"),
    same(Operator::User(User::NotUnit), "ne-businessid", "NotEqualBusinessId"),
    same(Operator::User(User::Language), "eq-userlanguage", "EqualUserLanguage"),
    same(Operator::Hierarchy(Kin::Under), "under", "Under"),
    same(Operator::Hierarchy(Kin::UnderOrEqual), "eq-or-under", "UnderOrEqual"),
    same(Operator::Hierarchy(Kin::Above), "above", "Above"),
    same(Operator::Hierarchy(Kin::AboveOrEqual), "eq-or-above", "AboveOrEqual"),
    same(Operator::Hierarchy(Kin::NotUnder), "not-under", "NotUnder"),
    date(When::On, "on", "On"),
    plain(Operator::Date(When::NotOn), "not-on", "NotOn"),
    date(When::OnOrAfter, "on-or-after", "OnOrAfter"),
    date(When::OnOrBefore, "on-or-before", "OnOrBefore"),
    date(When::Unit(Unit::Days, 0), "today", "Today"),
    date(When::Unit(Unit::Days, -1), "yesterday", "Yesterday"),
    date(When::Unit(Unit::Days, 1), "tomorrow", "Tomorrow"),
    date(When::LastSevenDays, "last-seven-days", "Last7Days"),
    date(When::NextSevenDays, "next-seven-days", "Next7Days"),
    date(When::Unit(Unit::Weeks, -1), "last-week", "LastWeek"),
    date(When::Unit(Unit::Weeks, 0), "this-week", "ThisWeek"),
    date(When::Unit(Unit::Weeks, 1), "next-week", "NextWeek"),
    date(When::Unit(Unit::Months, -1), "last-month", "LastMonth"),
    date(When::Unit(Unit::Months, 0), "this-month", "ThisMonth"),
    date(When::Unit(Unit::Months, 1), "next-month", "NextMonth"),
    date(When::Unit(Unit::Years, -1), "last-year", "LastYear"),
    date(When::Unit(Unit::Years, 0), "this-year", "ThisYear"),
    date(When::Unit(Unit::Years, 1), "next-year", "NextYear"),
    date(When::Last(Unit::Hours), "last-x-hours", "LastXHours"),
    date(When::Last(Unit::Days), "last-x-days", "LastXDays"),
    date(When::Last(Unit::Weeks), "last-x-weeks", "LastXWeeks"),
    date(When::Last(Unit::Months), "last-x-months", "LastXMonths"),
    date(When::Last(Unit::Years), "last-x-years", "LastXYears"),
    date(When::Next(Unit::Hours), "next-x-hours", "NextXHours"),
    date(When::Next(Unit::Days), "next-x-days", "NextXDays"),
    date(When::Next(Unit::Weeks), "next-x-weeks", "NextXWeeks"),
    date(When::Next(Unit::Months), "next-x-months", "NextXMonths"),
    date(When::Next(Unit::Years), "next-x-years", "NextXYears"),
    date(When::Older(Unit::Minutes), "olderthan-x-minutes", "OlderThanXMinutes"),
    date(When::Older(Unit::Hours), "olderthan-x-hours", "OlderThanXHours"),
    date(When::Older(Unit::Days), "olderthan-x-days", "OlderThanXDays"),
    date(When::Older(Unit::Weeks), "olderthan-x-weeks", "OlderThanXWeeks"),
    date(When::Older(Unit::Months), "olderthan-x-months", "OlderThanXMonths"),
    date(When::Older(Unit::Years), "olderthan-x-years", "OlderThanXYears"),
    date(When::Period(-1), "last-fiscal-period", "LastFiscalPeriod"),
    date(When::Period(0), "this-fiscal-period", "ThisFiscalPeriod"),
    date(When::Period(1), "next-fiscal-period", "NextFiscalPeriod"),
    date(When::Year(-1), "last-fiscal-year", "LastFiscalYear"),
    date(When::Year(0), "this-fiscal-year", "ThisFiscalYear"),
    date(When::Year(1), "next-fiscal-year", "NextFiscalYear"),
    date(When::LastPeriods, "last-x-fiscal-periods", "LastXFiscalPeriods"),
    date(When::LastYears, "last-x-fiscal-years", "LastXFiscalYears"),
    date(When::NextPeriods, "next-x-fiscal-periods", "NextXFiscalPeriods"),
    date(When::NextYears, "next-x-fiscal-years", "NextXFiscalYears"),
    date(When::InPeriod, "in-fiscal-period", "InFiscalPeriod"),
    date(When::InYear, "in-fiscal-year", "InFiscalYear"),
    date(When::InPeriodAndYear, "in-fiscal-period-and-year", "InFiscalPeriodAndYear"),
    date(When::InOrBefore, "in-or-before-fiscal-period-and-year", "InOrBeforeFiscalPeriodAndYear"),
    date(When::InOrAfter, "in-or-after-fiscal-period-and-year", "InOrAfterFiscalPeriodAndYear"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        type Of = fn(&Names) -> &'static str;
        let all: [Of; 3] = [|names| names.fetch, |names| names.function, |names| names.expression];
        for of in all {
            let mut names: Vec<&str> = ALL.iter().map(of).filter(|name| !name.is_empty()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
        assert_eq!(find(Surface::Function, ""), None);
        assert_eq!(find(Surface::Fetch, "neq"), find(Surface::Fetch, "ne"));
    }
}
