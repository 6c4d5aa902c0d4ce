//! The clock and the fiscal calendar by which dates are grouped, as plain lists that every engine can look
//! up: no engine needs to know time zones.
//!
//! In: a zone and a fiscal calendar. Out: a [`Calendar`]. Not here: parts of dates (`shape`).
//! Invariant: [`Calendar::shift_at`] is the zone's offset at every instant that a column can hold, and
//! [`Calendar::period_of`] is `Fiscal::period_of` of every day that such an instant can fall on.

use super::day_of;
use super::fiscal::{Fiscal, YEAR_MAX, YEAR_MIN};
use jiff::tz::TimeZone;
use model::{Date, Timestamp};
use std::fmt;
use std::sync::Arc;

/// By which clock and which fiscal calendar dates are grouped.
///
/// Cost: up to 17,000 changes of a zone's clock and 110,000 fiscal periods, made when a query asks for
/// them and sent along with its statement.
#[derive(Clone, PartialEq, Eq)]
pub struct Calendar {
    /// From which instant the local clock is so many seconds ahead of UTC. Ascending, never empty; the
    /// first is from [`Timestamp::MIN`].
    pub shifts: Arc<[(Timestamp, i32)]>,
    /// The first day of each fiscal period, from the first period of [`Calendar::year`]. Ascending, never
    /// empty.
    pub periods: Arc<[Date]>,
    /// Periods of a year.
    pub per_year: i32,
    /// The fiscal year of the first period.
    pub year: i32,
}

impl Default for Calendar {
    /// UTC, and nothing but the epoch for a period: whatever needs periods has a calendar of its own.
    fn default() -> Self {
        let (shifts, periods) = ([(Timestamp::MIN, 0)].into(), [Date(0)].into());
        Self { shifts, periods, per_year: 1, year: 1970 }
    }
}

impl fmt::Debug for Calendar {
    /// How much there is, not thousands of instants.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shifts, periods) = (self.shifts.len(), self.periods.len());
        write!(f, "Calendar({shifts} shifts, {periods} periods, {} a year)", self.per_year)
    }
}

impl Calendar {
    /// The clock of a zone.
    #[must_use]
    pub fn with_zone(mut self, zone: &TimeZone) -> Self {
        let first = instant(Timestamp::MIN);
        let mut shifts = vec![(Timestamp::MIN, zone.to_offset(first).seconds())];
        for change in zone.following(first) {
            let shift = change.offset().seconds();
            if shifts.last().is_some_and(|(_, known)| *known != shift) {
                shifts.push((Timestamp(change.timestamp().as_second()), shift));
            }
        }
        self.shifts = shifts.into();
        self
    }

    /// The periods of a fiscal calendar.
    #[must_use]
    pub fn with_fiscal(mut self, fiscal: Fiscal) -> Self {
        let per_year = fiscal.periods();
        let all = i64::from(YEAR_MIN) * per_year..(i64::from(YEAR_MAX) + 1) * per_year;
        self.periods = all.map_while(|index| fiscal.begins(index)).map(day_of).collect();
        self.per_year = i32::try_from(per_year).unwrap_or(1);
        self.year = i32::from(YEAR_MIN);
        self
    }

    /// How many seconds the local clock is ahead of UTC.
    pub fn shift_at(&self, at: Timestamp) -> i32 {
        let after = self.shifts.partition_point(|(from, _)| *from <= at);
        self.shifts.get(after.saturating_sub(1)).map_or(0, |(_, shift)| *shift)
    }

    /// The local day of an instant.
    pub fn day_at(&self, at: Timestamp) -> Date {
        Timestamp(at.0 + i64::from(self.shift_at(at))).date()
    }

    /// The fiscal year of a day and the number of its period, from 1.
    pub fn period_of(&self, day: Date) -> (i32, i32) {
        let after = self.periods.partition_point(|first| *first <= day);
        let place = i32::try_from(after.saturating_sub(1)).unwrap_or(i32::MAX);
        (self.year + place / self.per_year, place % self.per_year + 1)
    }
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.0).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::civil_of;
    use super::super::fiscal::PeriodKind;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_clock_of_a_zone_with_summer_time_goes_on_to_the_last_year() {
        let zone = TimeZone::get("America/New_York").expect("a zone");
        let calendar = Calendar::default().with_zone(&zone);
        let check = |at: &str, hours: i32| {
            let at = Timestamp::parse(at).expect("an instant");
            assert_eq!(calendar.shift_at(at), hours * 3_600, "{at:?}");
        };
        check("2024-03-10T06:59:59Z", -5);
        check("2024-03-10T07:00:00Z", -4);
        check("2024-11-03T05:59:59Z", -4);
        check("2024-11-03T06:00:00Z", -5);
        check("9998-07-01T00:00:00Z", -4);
        check("9998-12-31T00:00:00Z", -5);
    }

    proptest! {
        // Each makes the lists of 8,000 years.
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn shifts_are_those_of_the_zone(
            name in proptest::sample::select(vec![
                "UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia",
                "Africa/Casablanca", "Australia/Adelaide",
            ]),
            at in proptest::collection::vec(Timestamp::MIN.0..=Timestamp::MAX.0, 1..50),
        ) {
            let zone = TimeZone::get(name).expect("a zone");
            let calendar = Calendar::default().with_zone(&zone);
            for at in at.into_iter().map(Timestamp) {
                prop_assert_eq!(calendar.shift_at(at), zone.to_offset(instant(at)).seconds());
            }
        }

        #[test]
        fn periods_are_those_of_the_fiscal_calendar(
            month in 1..=12_i8,
            day in 1..=31_i8,
            kind in proptest::sample::select(vec![
                PeriodKind::Annual, PeriodKind::SemiAnnual, PeriodKind::Quarterly,
                PeriodKind::Monthly, PeriodKind::FourWeek,
            ]),
            days in proptest::collection::vec(
                Timestamp::MIN.date().0 - 1..=Timestamp::MAX.date().0, 1..50),
        ) {
            let fiscal = Fiscal { month, day, kind };
            let calendar = Calendar::default().with_fiscal(fiscal);
            for day in days.into_iter().map(Date) {
                let index = fiscal.period_of(civil_of(day));
                let (year, period) = calendar.period_of(day);
                prop_assert_eq!(i64::from(year), index.div_euclid(fiscal.periods()));
                prop_assert_eq!(i64::from(period), index.rem_euclid(fiscal.periods()) + 1);
            }
        }
    }
}
