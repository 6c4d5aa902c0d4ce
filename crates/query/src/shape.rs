//! What becomes of the rows that a query finds: each is an answer, or they are grouped, or cut per parent.
//!
//! Semantics that every engine and the reference evaluator share:
//! groups of text are made by its fold and answer the smallest text of the group in binary order;
//! sums and averages leave nulls out and are null over nothing; sums are exact but for doubles.
//! Weeks begin on Sunday, and the week with 1 January is week 1. Whose days and fiscal periods those are is a
//! [`Calendar`], lists that travel with the query.
//! Not here: which rows are found (`tree`), how groups are made (`evaluate`, `store-standard`).

use crate::ColumnRef;
use crate::dates::Calendar;
use model::{Date, Value};

/// Digits after the point of an average of decimals.
pub const AVERAGE_SCALE: u32 = 10;
/// Digits after the point of an average of money.
pub const AVERAGE_MONEY_SCALE: u32 = 4;

/// What becomes of the rows that a query finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Columns whose values are ordered by what they are called; wherever an order names one.
    pub labels: Vec<LabelOrder>,
    /// What an answer is.
    pub rows: Rows,
}

impl Shape {
    /// The order of the labels of a column, where it is ordered by them.
    pub fn label(&self, column: ColumnRef) -> Option<&LabelOrder> {
        self.labels.iter().find(|label| label.column == column)
    }

    /// The groups, where rows are grouped.
    pub fn groups(&self) -> Option<&Groups> {
        match &self.rows {
            Rows::Groups(groups) => Some(groups),
            Rows::Each | Rows::PerParent(_) => None,
        }
    }

    /// The cut per parent, where there is one.
    pub fn per_parent(&self) -> Option<PerParent> {
        match self.rows {
            Rows::PerParent(cut) => Some(cut),
            Rows::Each | Rows::Groups(_) => None,
        }
    }
}

/// What an answer is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Rows {
    /// Each row that is found, in the order of the query.
    #[default]
    Each,
    /// Rows that are alike in some columns, as one. The output columns and the order are those of the
    /// groups; the query's own do not count.
    Groups(Groups),
    /// The first rows of each parent, the parents ascending; within one in the order of the query.
    PerParent(PerParent),
}

/// The order of a choice or yes/no column by what its values are called.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelOrder {
    /// The column.
    pub column: ColumnRef,
    /// Its values, in the order of their labels; others come after all of these.
    pub values: Vec<Value>,
}

impl LabelOrder {
    /// Where a value stands; none for null.
    pub fn rank(&self, value: &Value) -> Option<i32> {
        if value.is_null() {
            return None;
        }
        let place = self.values.iter().position(|known| known == value);
        Some(i32::try_from(place.unwrap_or(self.values.len())).unwrap_or(i32::MAX))
    }
}

/// How many rows of each parent are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerParent {
    /// The column that says whose row it is; rows where it is null belong to nobody.
    pub parent: ColumnRef,
    /// How many rows at most.
    pub size: u32,
}

/// Rows that are alike, as one.
///
/// Shape: an answer has the values of the keys, then those of the aggregates. Without keys all rows are
/// one group, which is there even over no row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// What the rows of a group have in common; two nulls are alike.
    pub keys: Vec<GroupKey>,
    /// What is told about the rows of a group.
    pub aggregates: Vec<Aggregate>,
    /// In which order; names every key, so that it is total.
    pub order: Vec<GroupOrder>,
    /// The count is that of the rows that are grouped, not of the groups.
    pub counts_rows: bool,
    /// The clock and the fiscal calendar of the keys.
    pub calendar: Calendar,
}

impl Groups {
    /// Values of one answer.
    pub fn width(&self) -> usize {
        self.keys.len() + self.aggregates.len()
    }

    /// Ends the order with the keys that it does not name yet, ascending.
    pub fn complete_order(&mut self) {
        for place in 0..self.keys.len() {
            if self.order.iter().all(|known| known.place != place) {
                self.order.push(GroupOrder { place, descending: false });
            }
        }
    }
}

/// One thing that the rows of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupKey {
    /// The column.
    pub column: ColumnRef,
    /// Only this part of a date counts.
    pub part: Option<DatePart>,
    /// By which clock the part of an instant is taken.
    pub clock: Clock,
}

/// By which clock a part of an instant is taken. Days are the same by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// UTC; of instants that are wall-clock times, the wall's.
    #[default]
    Utc,
    /// That of [`Groups::calendar`].
    Local,
}

impl From<ColumnRef> for GroupKey {
    fn from(column: ColumnRef) -> Self {
        Self { column, part: None, clock: Clock::Utc }
    }
}

/// A sort key of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupOrder {
    /// Place among keys and aggregates.
    pub place: usize,
    /// From large to small; nulls last then.
    pub descending: bool,
}

/// One number about the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many rows there are: a [`Value::BigInt`].
    Rows,
    /// How many have a value.
    Values(ColumnRef),
    /// How many different values there are, text by its fold, lookups by id.
    Distinct(ColumnRef),
    /// The sum: of whole numbers a [`Value::BigInt`], of 64-bit ones and decimals a
    /// [`Value::Decimal`].
    Sum(ColumnRef),
    /// The average in the column's own kind: whole numbers cut off towards zero, decimals to
    /// [`AVERAGE_SCALE`] and money to [`AVERAGE_MONEY_SCALE`] places, halves away from zero.
    Average(ColumnRef),
    /// The smallest value.
    Least(ColumnRef),
    /// The largest value.
    Greatest(ColumnRef),
}

impl Aggregate {
    /// The column that it is about.
    pub fn column(self) -> Option<ColumnRef> {
        match self {
            Self::Rows => None,
            Self::Values(column)
            | Self::Distinct(column)
            | Self::Sum(column)
            | Self::Average(column)
            | Self::Least(column)
            | Self::Greatest(column) => Some(column),
        }
    }
}

/// A part of a date: a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// Of the month, from 1.
    Day,
    /// Of the year, from 1.
    Week,
    /// Of the year, from 1.
    Month,
    /// Of the year, from 1.
    Quarter,
    /// Four digits.
    Year,
    /// Of the fiscal year, from 1.
    FiscalPeriod,
    /// Named by the calendar year in which it begins.
    FiscalYear,
}

impl DatePart {
    /// The part of an instant or a day; null of anything else.
    pub fn of(self, value: &Value, clock: Clock, calendar: &Calendar) -> Value {
        let day = match (value, clock) {
            (Value::DateTime(at), Clock::Utc) => at.date(),
            (Value::DateTime(at), Clock::Local) => calendar.day_at(*at),
            (Value::Date(day), _) => *day,
            _ => return Value::Null,
        };
        Value::Integer(self.of_day(day, calendar))
    }

    /// Whether it depends on the fiscal calendar.
    pub fn is_fiscal(self) -> bool {
        matches!(self, Self::FiscalPeriod | Self::FiscalYear)
    }

    /// The part of a day.
    pub fn of_day(self, day: Date, calendar: &Calendar) -> i32 {
        let (year, month, of_month) = day.civil();
        match self {
            Self::FiscalYear => calendar.period_of(day).0,
            Self::FiscalPeriod => calendar.period_of(day).1,
            Self::Day => of_month,
            Self::Month => month,
            Self::Quarter => (month - 1) / 3 + 1,
            Self::Year => year,
            Self::Week => {
                let first = first_of_year(day, year);
                // 1970-01-01 was a Thursday; Sunday counts as 0.
                let weekday = (first.0 + 4).rem_euclid(7);
                (day.0 - first.0 + weekday) / 7 + 1
            }
        }
    }
}

fn first_of_year(day: Date, year: i32) -> Date {
    let mut first = day;
    // Back by whole months, then to the first of the last one found: at most twelve steps.
    loop {
        let (_, month, of_month) = first.civil();
        first = Date(first.0 - (of_month - 1));
        if month == 1 {
            debug_assert_eq!(first.civil(), (year, 1, 1));
            return first;
        }
        first = Date(first.0 - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(day: &str, part: DatePart, want: i32) {
        let day = Date::parse(day).expect("a day");
        assert_eq!(part.of_day(day, &Calendar::default()), want, "{day} {part:?}");
    }

    #[test]
    fn parts_of_days() {
        check("2024-02-29", DatePart::Day, 29);
        check("2024-02-29", DatePart::Month, 2);
        check("2024-02-29", DatePart::Quarter, 1);
        check("2024-12-31", DatePart::Quarter, 4);
        check("1753-01-01", DatePart::Year, 1753);
        check("9999-12-31", DatePart::Year, 9999);
    }

    #[test]
    fn weeks_begin_on_sunday_and_the_first_may_be_short() {
        // A Monday.
        check("2024-01-01", DatePart::Week, 1);
        check("2024-01-06", DatePart::Week, 1);
        check("2024-01-07", DatePart::Week, 2);
        check("2024-12-31", DatePart::Week, 53);
        // A Saturday, and a year of 366 days: the platform's rule counts to 54.
        check("2000-01-01", DatePart::Week, 1);
        check("2000-01-02", DatePart::Week, 2);
        check("2000-12-31", DatePart::Week, 54);
        check("1969-12-31", DatePart::Week, 53);
    }
}
