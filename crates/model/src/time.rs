//! Instants and days, as the wire knows them: whole seconds UTC, and days without a zone.

use jiff::civil;
use jiff::fmt::temporal::Pieces;

/// An instant: whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// A calendar day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(pub i32);

impl Timestamp {
    /// The first instant that a record may hold: 1753-01-01T00:00:00Z.
    pub const MIN: Self = Self(-6_847_804_800);
    /// The last instant that a record may hold: 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// Reads RFC 3339 text: with `Z` or an offset; without one it is UTC; a bare date is midnight.
    ///
    /// Fractions of a second are dropped. `None` when it is no date or outside the range.
    pub fn parse(text: &str) -> Option<Self> {
        let pieces = Pieces::parse(text.trim()).ok()?;
        let time = pieces.time().unwrap_or(civil::Time::midnight());
        let offset = pieces.to_numeric_offset().map_or(0, jiff::tz::Offset::seconds);
        let second = i64::from(time.hour()) * 3600
            + i64::from(time.minute()) * 60
            + i64::from(time.second());
        let this = Self(i64::from(days_of(pieces.date())?) * 86_400 + second - i64::from(offset));
        (Self::MIN..=Self::MAX).contains(&this).then_some(this)
    }

    /// The day of this instant in UTC.
    pub fn date(self) -> Date {
        #[expect(clippy::cast_possible_truncation, reason = "days of the years 1753 to 9999 fit")]
        Date(self.0.div_euclid(86_400) as i32)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = civil_of(self.0.div_euclid(86_400));
        let second = self.0.rem_euclid(86_400);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

impl Date {
    /// Year, month and day of the month.
    pub fn civil(self) -> (i32, i32, i32) {
        let (year, month, day) = civil_of(i64::from(self.0));
        let small = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
        (small(year), small(month), small(day))
    }

    /// Reads `YYYY-MM-DD`; a timestamp is accepted and its written date part counts.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let day = match text.get(..10) {
            Some(day) if text.len() > 10 => {
                Timestamp::parse(text)?;
                day
            }
            _ => text,
        };
        let day = day.parse::<civil::Date>().ok()?;
        let this = Self(days_of(day)?);
        (Timestamp::MIN.date()..=Timestamp::MAX.date()).contains(&this).then_some(this)
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = civil_of(i64::from(self.0));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days between 1970-01-01 and a day.
fn days_of(day: civil::Date) -> Option<i32> {
    day.since((jiff::Unit::Day, civil::date(1970, 1, 1))).ok().map(|span| span.get_days())
}

/// Year, month and day of a day number (the public-domain civil-from-days rule).
fn civil_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Option<&str>) {
        assert_eq!(Timestamp::parse(text).map(|at| at.to_string()).as_deref(), want, "{text}");
    }

    #[test]
    fn instants_read_and_print_in_utc_whole_seconds() {
        check("2024-01-31T08:15:00Z", Some("2024-01-31T08:15:00Z"));
        check("2024-01-31T08:15:00.987Z", Some("2024-01-31T08:15:00Z"));
        check("2024-01-31T08:15:00+02:00", Some("2024-01-31T06:15:00Z"));
        check("2024-01-31T08:15:00", Some("2024-01-31T08:15:00Z"));
        check("2024-01-31", Some("2024-01-31T00:00:00Z"));
        check("1753-01-01T00:00:00Z", Some("1753-01-01T00:00:00Z"));
        check("1752-12-31T23:59:59Z", None);
        check("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z"));
        check("1969-12-31T23:59:59.5Z", Some("1969-12-31T23:59:59Z"));
        check("2023-02-30", None);
        check("soon", None);
        check("", None);
    }

    #[test]
    fn days_keep_the_written_date_part() {
        assert_eq!(
            Date::parse("2024-02-29").map(|day| day.to_string()).as_deref(),
            Some("2024-02-29")
        );
        assert_eq!(
            Date::parse("2024-02-29T23:30:00-05:00").map(|day| day.to_string()).as_deref(),
            Some("2024-02-29")
        );
        assert_eq!(Date::parse("2023-02-29"), None);
        assert_eq!(Date::parse("äöüäöüäöüäöü"), None);
    }
}
