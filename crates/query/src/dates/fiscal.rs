//! The fiscal calendar of the organisation.
//!
//! A fiscal year is named by the calendar year in which it begins (unverified: the platform can also
//! name it by its end). Its periods are numbered from 1.
//! Invariant: [`Fiscal::begins`] grows with the index, and `period_of` of what it answers is the index.

use jiff::Span;
use jiff::civil::{self, Date};

/// The first fiscal year that holds a value of a record.
pub(super) const YEAR_MIN: i16 = 1752;
/// The last one.
pub(super) const YEAR_MAX: i16 = 9_999;

/// When fiscal years begin, and what they are cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fiscal {
    /// Month of the first day, 1 to 12.
    pub month: i8,
    /// The first day within the month.
    pub day: i8,
    /// What the year is cut into.
    pub kind: PeriodKind,
}

/// What a fiscal year is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodKind {
    /// One period.
    Annual,
    /// Two.
    SemiAnnual,
    /// Four.
    Quarterly,
    /// Twelve.
    Monthly,
    /// Thirteen of four weeks; the last one takes the rest of the year.
    FourWeek,
}

impl PeriodKind {
    /// By `fiscalperiodtype` of the organisation.
    pub fn of_code(code: i32) -> Option<Self> {
        Some(match code {
            2000 => Self::Annual,
            2001 => Self::SemiAnnual,
            2002 => Self::Quarterly,
            2003 => Self::Monthly,
            2004 => Self::FourWeek,
            _ => return None,
        })
    }
}

impl Default for Fiscal {
    fn default() -> Self {
        Self { month: 1, day: 1, kind: PeriodKind::Quarterly }
    }
}

impl Fiscal {
    /// Periods of a year.
    pub(crate) fn periods(self) -> i64 {
        match self.kind {
            PeriodKind::Annual => 1,
            PeriodKind::SemiAnnual => 2,
            PeriodKind::Quarterly => 4,
            PeriodKind::Monthly => 12,
            PeriodKind::FourWeek => 13,
        }
    }

    /// The first day of a period, by its index: year times periods plus number less one. None outside
    /// of the calendar.
    pub(crate) fn begins(self, index: i64) -> Option<Date> {
        let (year, place) = (index.div_euclid(self.periods()), index.rem_euclid(self.periods()));
        let first = self.first_day(i16::try_from(year).ok()?)?;
        let span = match self.kind {
            PeriodKind::FourWeek => Span::new().try_weeks(4 * place),
            _ => Span::new().try_months(12 / self.periods() * place),
        };
        first.checked_add(span.ok()?).ok()
    }

    /// The index of the period that a day lies in.
    pub(crate) fn period_of(self, day: Date) -> i64 {
        let first = i64::from(self.year_of(day)) * self.periods();
        let begun = |place: &i64| self.begins(first + place).is_some_and(|begin| begin <= day);
        first + (0..self.periods()).take_while(begun).last().unwrap_or(0)
    }

    /// The fiscal year that a day lies in.
    pub(crate) fn year_of(self, day: Date) -> i16 {
        let begun = self.first_day(day.year()).is_none_or(|first| first <= day);
        if begun { day.year() } else { day.year() - 1 }
    }

    /// The first day of a fiscal year; the 29th of February is the 28th in most.
    fn first_day(self, year: i16) -> Option<Date> {
        let month = civil::Date::new(year, self.month, 1).ok()?;
        civil::Date::new(year, self.month, self.day.min(month.days_in_month())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [PeriodKind; 5] = [
        PeriodKind::Annual,
        PeriodKind::SemiAnnual,
        PeriodKind::Quarterly,
        PeriodKind::Monthly,
        PeriodKind::FourWeek,
    ];

    #[test]
    fn periods_follow_each_other_without_a_gap() {
        for kind in KINDS {
            for (month, day) in [(1, 1), (4, 1), (7, 15), (2, 29), (12, 31), (1, 31)] {
                let fiscal = Fiscal { month, day, kind };
                let range = 2019 * fiscal.periods()..2026 * fiscal.periods();
                for index in range {
                    let begin = fiscal.begins(index).expect("a day");
                    let next = fiscal.begins(index + 1).expect("a day");
                    assert!(begin < next, "{fiscal:?} {index}");
                    assert_eq!(fiscal.period_of(begin), index, "{fiscal:?} {begin}");
                    let last = next.yesterday().expect("a day");
                    assert_eq!(fiscal.period_of(last), index, "{fiscal:?} {last}");
                    let year = index.div_euclid(fiscal.periods());
                    assert_eq!(i64::from(fiscal.year_of(last)), year);
                }
            }
        }
    }
}
