//! Date operators: each is a range of time, settled against one present when the query is bound.
//!
//! Ranges are half-open and stand in the caller's local time; for a column that holds instants their
//! ends are converted, for one that holds wall-clock times or days they are taken as they are.
//! Source: query.md B6. Not here: which names operators have (`operator`), fiscal calendars
//! (`dates/fiscal`), numbers of time zones (`dates/zones`).
//! Invariant: an end outside of what a column can hold bounds nothing, and never fails.

mod calendar;
mod fiscal;
mod zones;

pub use calendar::Calendar;
pub use fiscal::{Fiscal, PeriodKind};
pub use zones::{bias_minutes, zone_of_code};

use crate::{ColumnRef, Compare, Context, Error, Filter};
use jiff::civil::{self, Time};
use jiff::{Span, tz::TimeZone};
use model::{Column, ColumnKind, Date, DateTimeBehavior, Timestamp, Value};
use std::sync::Arc;

/// What a date operator is about. `X` stands for the operator's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The day of the value.
    On,
    /// Any other day.
    NotOn,
    /// From the day of the value on.
    OnOrAfter,
    /// Up to the day of the value.
    OnOrBefore,
    /// So many units from the present one: 0 is this one, -1 the last one.
    Unit(Unit, i32),
    /// Seven days back, up to now.
    LastSevenDays,
    /// From now, seven days on.
    NextSevenDays,
    /// The last X units, up to now.
    Last(Unit),
    /// From now, the next X units.
    Next(Unit),
    /// Before the present unit less X.
    Older(Unit),
    /// So many fiscal periods from the present one.
    Period(i32),
    /// So many fiscal years from the present one.
    Year(i32),
    /// The X whole fiscal periods before the present one.
    LastPeriods,
    /// The X whole fiscal years before the present one.
    LastYears,
    /// The X whole fiscal periods after the present one.
    NextPeriods,
    /// The X whole fiscal years after the present one.
    NextYears,
    /// The fiscal year of this number.
    InYear,
    /// The fiscal period of this number, of any year.
    InPeriod,
    /// The period of the first number in the year of the second.
    InPeriodAndYear,
    /// Up to the end of that period.
    InOrBefore,
    /// From the beginning of that period on.
    InOrAfter,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

impl When {
    /// How many values it takes.
    pub(crate) fn values(self) -> usize {
        match self {
            Self::Unit(..)
            | Self::LastSevenDays
            | Self::NextSevenDays
            | Self::Period(_)
            | Self::Year(_) => 0,
            Self::InPeriodAndYear | Self::InOrBefore | Self::InOrAfter => 2,
            _ => 1,
        }
    }

    fn is_within_a_day(self) -> bool {
        matches!(
            self,
            Self::Last(Unit::Hours | Unit::Minutes)
                | Self::Next(Unit::Hours | Unit::Minutes)
                | Self::Older(Unit::Hours | Unit::Minutes)
        )
    }
}

/// An end of a range.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A wall-clock time where the caller is.
    Wall(civil::DateTime),
    /// The present.
    Now,
    /// So many seconds from the beginning of the present minute or hour.
    Seconds(Unit, i64),
    /// Earlier than anything.
    Early,
    /// Later than anything.
    Late,
}

/// A range of time. The present is inside where it is an end.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: End,
    to: End,
}

/// What is known while one operator is settled.
struct Settling<'a> {
    operator: &'a str,
    column: ColumnRef,
    behavior: DateTimeBehavior,
    context: &'a Context,
    zone: &'a TimeZone,
    fiscal: Fiscal,
}

/// The condition that a date operator makes of a column.
///
/// Errors: a column without dates, a wrong number of values, a value that is no date or no positive
/// number, settings that are not there.
pub(crate) fn settle(
    when: When,
    operator: &str,
    (column, definition): (ColumnRef, &Column),
    values: &[String],
    context: &Context,
) -> Result<Filter, Error> {
    let not_for = |why| Error::NotForColumn {
        operator: operator.into(),
        column: definition.logical_name.clone(),
        why,
    };
    let ColumnKind::DateTime { behavior, .. } = definition.kind else {
        return Err(not_for("it holds no dates"));
    };
    if when.is_within_a_day() && behavior == DateTimeBehavior::DateOnly {
        return Err(not_for("it holds days without a time"));
    }
    if values.len() != when.values() {
        return Err(Error::ValueCount { operator: operator.into(), count: values.len() });
    }
    let settings = context.settings()?;
    let (zone, fiscal) = (&settings.zone, settings.fiscal);
    Settling { operator, column, behavior, context, zone, fiscal }.filter(when, values)
}

impl Settling<'_> {
    fn filter(&self, when: When, values: &[String]) -> Result<Filter, Error> {
        let range = match when {
            When::On | When::NotOn | When::OnOrAfter | When::OnOrBefore => {
                let day = self.day(self.value(values, 0)?)?;
                let (begin, end) = (midnight(day), day_or(plus(day, days(1)), End::Late));
                match when {
                    When::OnOrAfter => Range { from: begin, to: End::Late },
                    When::OnOrBefore => Range { from: End::Early, to: end },
                    When::NotOn => {
                        return Ok(crate::odata::negate(
                            self.within(Range { from: begin, to: end }),
                        ));
                    }
                    _ => Range { from: begin, to: end },
                }
            }
            When::InPeriod => return self.in_period_of_any_year(self.number(values, 0)?),
            When::Unit(unit, distance) => self.unit(unit, distance),
            When::LastSevenDays => self.last(Unit::Days, 7),
            When::NextSevenDays => self.next(Unit::Days, 7),
            When::Last(unit) => self.last(unit, self.number(values, 0)?),
            When::Next(unit) => self.next(unit, self.number(values, 0)?),
            When::Older(unit) => {
                Range { from: End::Early, to: self.back(unit, self.number(values, 0)?) }
            }
            _ => self.fiscal_range(when, values)?,
        };
        Ok(self.within(range))
    }

    fn fiscal_range(&self, when: When, values: &[String]) -> Result<Range, Error> {
        let fiscal = self.fiscal;
        let first = |index: i64| {
            let far = if index > 0 { End::Late } else { End::Early };
            day_or(fiscal.begins(index), far)
        };
        let periods = |from: i64, to: i64| Range { from: first(from), to: first(to) };
        let (per_year, today) = (fiscal.periods(), self.today());
        let (period, year) = (fiscal.period_of(today), i64::from(fiscal.year_of(today)));
        let years = |from: i64, to: i64| periods(from * per_year, to * per_year);
        let number = |place| self.number(values, place);
        let in_year = || -> Result<Option<i64>, Error> {
            let (period, year) = (number(0)?, number(1)?);
            Ok((period <= per_year).then(|| year * per_year + period - 1))
        };
        // No year has a period of this number: a range without anything in it.
        let nothing = Range { from: End::Late, to: End::Late };
        Ok(match when {
            When::Period(distance) => {
                periods(period + i64::from(distance), period + i64::from(distance) + 1)
            }
            When::Year(distance) => {
                years(year + i64::from(distance), year + i64::from(distance) + 1)
            }
            When::LastPeriods => periods(period - number(0)?, period),
            When::NextPeriods => periods(period + 1, period + 1 + number(0)?),
            When::LastYears => years(year - number(0)?, year),
            When::NextYears => years(year + 1, year + 1 + number(0)?),
            When::InYear => years(number(0)?, number(0)? + 1),
            When::InPeriodAndYear => in_year()?.map_or(nothing, |at| periods(at, at + 1)),
            When::InOrBefore => {
                in_year()?.map_or(nothing, |at| Range { from: End::Early, to: first(at + 1) })
            }
            _ => in_year()?.map_or(nothing, |at| Range { from: first(at), to: End::Late }),
        })
    }

    fn value<'v>(&self, values: &'v [String], place: usize) -> Result<&'v str, Error> {
        let missing = || Error::ValueCount { operator: self.operator.into(), count: values.len() };
        values.get(place).map(String::as_str).ok_or_else(missing)
    }

    fn bad(&self, value: &str) -> Error {
        Error::BadValue { operator: self.operator.into(), value: value.into() }
    }

    /// A whole number from 1.
    fn number(&self, values: &[String], place: usize) -> Result<i64, Error> {
        let text = self.value(values, place)?;
        let number = text.trim().parse::<u32>().ok().filter(|number| *number > 0);
        number.map(i64::from).ok_or_else(|| self.bad(text))
    }

    /// The day that a value lies in. For a column of instants an instant is turned to local time; a
    /// day, and any value for the other columns, is taken as written.
    fn day(&self, text: &str) -> Result<civil::Date, Error> {
        let text = text.trim();
        let written = text.len() <= 10 || self.behavior != DateTimeBehavior::UserLocal;
        let day = match written {
            true => Date::parse(text).map(civil_of),
            false => Timestamp::parse(text).map(|at| self.local(at).date()),
        };
        day.ok_or_else(|| self.bad(text))
    }

    fn local(&self, at: Timestamp) -> civil::DateTime {
        let instant = jiff::Timestamp::from_second(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(instant)
    }

    fn today(&self) -> civil::Date {
        self.local(self.context.now).date()
    }

    /// The whole unit so far from the present one.
    fn unit(&self, unit: Unit, distance: i32) -> Range {
        let today = self.today();
        let (begin, length) = match unit {
            Unit::Weeks => {
                let since_sunday = i64::from(today.weekday().to_sunday_zero_offset());
                (plus(today, days(-since_sunday)), weeks(1))
            }
            Unit::Months => (Some(today.first_of_month()), months(1)),
            Unit::Years => (Some(today.first_of_year()), months(12)),
            Unit::Days | Unit::Hours | Unit::Minutes => (Some(today), days(1)),
        };
        let at = |count: i32| {
            let span = length.and_then(|length| length.checked_mul(i64::from(count)).ok());
            let far = if count > 0 { End::Late } else { End::Early };
            day_or(begin.and_then(|begin| plus(begin, span)), far)
        };
        Range { from: at(distance), to: at(distance + 1) }
    }

    /// So many units back from the beginning of the present one; whole days where it is a day or more.
    fn back(&self, unit: Unit, count: i64) -> End {
        match unit {
            Unit::Minutes => End::Seconds(unit, -60 * count),
            Unit::Hours => End::Seconds(unit, -3_600 * count),
            _ => day_or(plus(self.today(), unit.span(-count)), End::Early),
        }
    }

    fn last(&self, unit: Unit, count: i64) -> Range {
        Range { from: self.back(unit, count), to: End::Now }
    }

    fn next(&self, unit: Unit, count: i64) -> Range {
        let to = match unit {
            Unit::Minutes => End::Seconds(unit, 60 * (count + 1)),
            Unit::Hours => End::Seconds(unit, 3_600 * (count + 1)),
            _ => {
                let after = plus(self.today(), days(1));
                day_or(after.and_then(|after| plus(after, unit.span(count))), End::Late)
            }
        };
        Range { from: End::Now, to }
    }

    /// The column lies within a range.
    fn within(&self, range: Range) -> Filter {
        let from = self.bound(range.from, Compare::GreaterOrEqual);
        let to = match range.to {
            End::Now => self.bound(End::Now, Compare::LessOrEqual),
            end => self.bound(end, Compare::Less),
        };
        let column = self.column;
        match (from, to) {
            (None, None) => Filter::IsNull { column, negated: true },
            (Some((compare, value)), None) | (None, Some((compare, value))) => {
                Filter::Compare { column, compare, value }
            }
            // One whole day.
            (
                Some((Compare::GreaterOrEqual, Value::Date(first))),
                Some((Compare::Less, Value::Date(after))),
            ) if after.0 == first.0 + 1 => {
                Filter::Compare { column, compare: Compare::Equal, value: Value::Date(first) }
            }
            (Some(from), Some(to)) => Filter::And(
                [from, to]
                    .map(|(compare, value)| Filter::Compare { column, compare, value })
                    .into(),
            ),
        }
    }

    /// The comparison that an end asks for; none when it bounds nothing that the column can hold.
    fn bound(&self, end: End, compare: Compare) -> Option<(Compare, Value)> {
        let second = self.second(end);
        let from = compare == Compare::GreaterOrEqual;
        let (second, compare) = if second > Timestamp::MAX.0 {
            // Nothing is so late.
            if from { (Timestamp::MAX.0, Compare::Greater) } else { return None }
        } else if second < Timestamp::MIN.0 {
            if from { return None } else { (Timestamp::MIN.0, Compare::Less) }
        } else {
            (second, compare)
        };
        if self.behavior != DateTimeBehavior::DateOnly {
            return Some((compare, Value::DateTime(Timestamp(second))));
        }
        // A day stands for its midnight: one that the end lies behind is before it.
        let whole = second.rem_euclid(86_400) == 0;
        let compare = match compare {
            Compare::GreaterOrEqual if !whole => Compare::Greater,
            Compare::Less if !whole => Compare::LessOrEqual,
            compare => compare,
        };
        Some((compare, Value::Date(Timestamp(second).date())))
    }

    /// An end on the scale of the column: seconds since 1970 in UTC, or on the wall clock.
    fn second(&self, end: End) -> i64 {
        let is_instant = self.behavior == DateTimeBehavior::UserLocal;
        let local = self.local(self.context.now);
        let now = if is_instant { self.context.now.0 } else { wall_second(local) };
        match end {
            End::Early => i64::MIN,
            End::Late => i64::MAX,
            End::Now => now,
            End::Seconds(unit, distance) => {
                let begun = match unit {
                    Unit::Minutes => i64::from(local.second()),
                    _ => i64::from(local.minute()) * 60 + i64::from(local.second()),
                };
                now - begun + distance
            }
            End::Wall(at) if !is_instant => wall_second(at),
            // In the hour that is skipped or comes twice: the later instant, and the earlier one.
            End::Wall(at) => match self.zone.to_timestamp(at) {
                Ok(instant) => instant.as_second(),
                Err(_) if at.year() < 0 => i64::MIN,
                // The last day of all, which is not told apart by zones.
                Err(_) => wall_second(at),
            },
        }
    }

    fn in_period_of_any_year(&self, period: i64) -> Result<Filter, Error> {
        let (fiscal, column) = (self.fiscal, self.column);
        let per_year = fiscal.periods();
        if period > per_year {
            return Ok(Filter::Or(Vec::new()));
        }
        if per_year == 1 {
            return Ok(Filter::IsNull { column, negated: true });
        }
        let value = |index: i64| {
            let end = fiscal.begins(index).map_or(End::Late, midnight);
            let second = self.second(end).min(Timestamp::MAX.0 + 1);
            match self.behavior {
                DateTimeBehavior::DateOnly => Value::Date(Timestamp(second).date()),
                _ => Value::DateTime(Timestamp(second)),
            }
        };
        let years = i64::from(fiscal::YEAR_MIN)..=i64::from(fiscal::YEAR_MAX);
        let bounds: Arc<[Value]> = years
            .flat_map(|year| {
                let at = year * per_year + period - 1;
                [value(at), value(at + 1)]
            })
            .collect();
        Ok(Filter::Ranges { column, bounds, negated: false })
    }
}

impl Unit {
    fn span(self, count: i64) -> Option<Span> {
        match self {
            Self::Weeks => weeks(count),
            Self::Months => months(count),
            Self::Years => months(count.checked_mul(12)?),
            Self::Days | Self::Hours | Self::Minutes => days(count),
        }
    }
}

fn days(count: i64) -> Option<Span> {
    Span::new().try_days(count).ok()
}

fn weeks(count: i64) -> Option<Span> {
    Span::new().try_weeks(count).ok()
}

fn months(count: i64) -> Option<Span> {
    Span::new().try_months(count).ok()
}

fn plus(day: civil::Date, span: Option<Span>) -> Option<civil::Date> {
    day.checked_add(span?).ok()
}

/// Where a day begins.
fn midnight(day: civil::Date) -> End {
    End::Wall(day.to_datetime(Time::midnight()))
}

/// The same; the far end where there is no such day.
fn day_or(day: Option<civil::Date>, far: End) -> End {
    day.map_or(far, midnight)
}

fn civil_of(day: Date) -> civil::Date {
    let epoch = civil::date(1970, 1, 1);
    plus(epoch, days(i64::from(day.0))).unwrap_or(epoch)
}

/// Days since 1970.
fn day_of(day: civil::Date) -> Date {
    let days = day.since((jiff::Unit::Day, civil::date(1970, 1, 1)));
    Date(days.map_or(0, |span| span.get_days()))
}

/// Seconds since 1970 on the wall clock.
fn wall_second(at: civil::DateTime) -> i64 {
    let days = i64::from(day_of(at.date()).0);
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)
}

#[cfg(test)]
mod tests;
