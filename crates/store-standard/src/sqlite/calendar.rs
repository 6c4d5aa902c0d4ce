//! Parts of dates: the function that groups are made by, and how its clock and its calendar travel.
//!
//! Both are texts, read once per statement. Not here: what the parts are (`query::shape`).
//! Invariant: agrees with `query::evaluate`, whose code it runs.

use model::{Date, Timestamp};
use query::dates::Calendar;
use query::shape::DatePart;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use std::fmt::Write as _;
use std::sync::Arc;

/// The function that takes a part of a date: of what, whether that is an instant, the number of the part,
/// the clock, the fiscal calendar.
pub(super) const DATE_PART: &str = "date_part";

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function(DATE_PART, 5, flags, date_part)
}

fn date_part(context: &Context<'_>) -> rusqlite::Result<Option<i32>> {
    let shifts = context.get_or_create_aux(3, |text| -> Result<_, Failed> { shifts_of(text) })?;
    let periods = context.get_or_create_aux(4, |text| -> Result<_, Failed> { periods_of(text) })?;
    let (ValueRef::Integer(value), Some(part)) = (context.get_raw(0), part_of(context.get(2)?))
    else {
        return Ok(None);
    };
    let day = match context.get::<i32>(1)? {
        0 => i32::try_from(value).ok().map(Date),
        _ => Some(shifts.day_at(Timestamp(value))),
    };
    Ok(day.map(|day| part.of_day(day, &periods)))
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The changes of a clock: `from,by,from,by,…`.
pub(super) fn shifts_text(calendar: &Calendar) -> String {
    let mut text = String::new();
    for (from, by) in &*calendar.shifts {
        let _infallible = write!(text, "{},{by},", from.0);
    }
    text
}

/// Fiscal periods: `year,per_year,first,first,…`.
pub(super) fn periods_text(calendar: &Calendar) -> String {
    let mut text = format!("{},{},", calendar.year, calendar.per_year);
    for first in &*calendar.periods {
        let _infallible = write!(text, "{},", first.0);
    }
    text
}

fn numbers(text: &str) -> Result<Vec<i64>, Failed> {
    let numbers = text.split_terminator(',').map(str::parse::<i64>);
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// A calendar with this clock; UTC for null.
fn shifts_of(value: ValueRef<'_>) -> Result<Calendar, Failed> {
    let mut calendar = Calendar::default();
    if let ValueRef::Text(text) = value {
        let pairs = numbers(std::str::from_utf8(text)?)?;
        let pair = |pair: &[i64]| Ok((Timestamp(pair[0]), i32::try_from(pair[1])?));
        calendar.shifts = pairs.chunks_exact(2).map(pair).collect::<Result<Arc<[_]>, Failed>>()?;
    }
    Ok(calendar)
}

/// A calendar with these periods; none that mean anything for null.
fn periods_of(value: ValueRef<'_>) -> Result<Calendar, Failed> {
    let mut calendar = Calendar::default();
    if let ValueRef::Text(text) = value
        && let [year, per_year, firsts @ ..] = numbers(std::str::from_utf8(text)?)?.as_slice()
    {
        (calendar.year, calendar.per_year) = (i32::try_from(*year)?, i32::try_from(*per_year)?);
        let first = |first: &i64| Ok(Date(i32::try_from(*first)?));
        calendar.periods = firsts.iter().map(first).collect::<Result<Arc<[_]>, Failed>>()?;
    }
    Ok(calendar)
}

const PARTS: [DatePart; 7] = [
    DatePart::Day,
    DatePart::Week,
    DatePart::Month,
    DatePart::Quarter,
    DatePart::Year,
    DatePart::FiscalPeriod,
    DatePart::FiscalYear,
];

/// The number of a part, as [`DATE_PART`] takes it.
pub(super) fn number_of(part: DatePart) -> u8 {
    (0..).zip(PARTS).find(|(_, known)| *known == part).map_or(u8::MAX, |(number, _)| number)
}

fn part_of(number: u8) -> Option<DatePart> {
    PARTS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_travels_as_text_comes_back() {
        let shifts: Arc<[_]> = [(Timestamp::MIN, -17_762), (Timestamp(0), 3_600)].into();
        let periods: Arc<[_]> = [Date(-79_000), Date(0), Date(90)].into();
        let calendar = Calendar { shifts, periods, per_year: 4, year: 1752 };
        let text = shifts_text(&calendar);
        let read = shifts_of(ValueRef::Text(text.as_bytes())).expect("numbers");
        assert_eq!(read.shifts, calendar.shifts);
        let text = periods_text(&calendar);
        let read = periods_of(ValueRef::Text(text.as_bytes())).expect("numbers");
        assert_eq!((read.periods, read.per_year, read.year), (calendar.periods, 4, 1752));
        for part in PARTS {
            assert_eq!(part_of(number_of(part)), Some(part));
        }
    }
}
