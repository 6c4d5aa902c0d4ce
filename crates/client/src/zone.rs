//! Times of a zone: which instant a time without a zone means, and how an instant reads there. Pure, but for the zone of
//! this machine, which is looked up once.
//!
//! Invariant: a time that a change of clocks leaves out, or brings twice, is no instant: it is refused, never guessed.

use jiff::civil::{self, DateTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, TimeZone};
use model::Timestamp;
use std::fmt::Write as _;
use std::str::FromStr;

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

impl FromStr for Zone {
    type Err = String;

    /// Reads `UTC`, `local` (the zone of this machine) or a name such as `Europe/Berlin`.
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim();
        let zone = match word.to_ascii_lowercase().as_str() {
            "utc" => Ok(TimeZone::UTC),
            "local" => TimeZone::try_system(),
            _ => TimeZone::get(word),
        };
        match zone {
            Ok(zone) => {
                let name = zone.iana_name().unwrap_or(word).to_owned();
                Ok(Self { zone, name })
            }
            Err(_) if word.eq_ignore_ascii_case("local") => {
                Err("this machine does not tell its time zone: give its name".to_owned())
            }
            Err(_) => Err(format!(
                "`{word}` is no time zone: give `UTC`, `local` or a name such as `Europe/Berlin`"
            )),
        }
    }
}

impl Zone {
    /// The instant of a text: one with `Z` or an offset says it itself, any other is a time of this zone.
    ///
    /// Errors: why it is none.
    pub fn read(&self, text: &str) -> Result<Timestamp, String> {
        let no = || format!("`{}` is no date and time", crate::problem::shortened(text));
        let at = Timestamp::parse(text).ok_or_else(no)?;
        let pieces = Pieces::parse(text).map_err(|_| no())?;
        if pieces.to_numeric_offset().is_some() {
            return Ok(at);
        }
        let time = pieces.time().unwrap_or(civil::Time::midnight());
        let time = DateTime::from_parts(pieces.date(), time);
        let why = match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                let second = civil_seconds(time).saturating_sub(offset.seconds().into());
                let at = Timestamp(second);
                return match (Timestamp::MIN..=Timestamp::MAX).contains(&at) {
                    true => Ok(at),
                    false => Err(no()),
                };
            }
            AmbiguousOffset::Gap { .. } => "does not exist",
            AmbiguousOffset::Fold { .. } => "comes twice",
        };
        Err(format!("`{text}` {why} in {}: give its offset", self.name))
    }

    /// Writes an instant as a time of this zone, with its offset; without one only where `bare` and the time is clear.
    pub fn write(&self, out: &mut String, at: Timestamp, blank: bool, bare: bool) {
        let Ok(instant) = jiff::Timestamp::from_second(at.0) else { return };
        let offset = self.zone.to_offset(instant);
        let time = offset.to_datetime(instant);
        let mark = if blank { ' ' } else { 'T' };
        let (day, clock) = (time.date(), time.time());
        let is_clear = matches!(
            self.zone.to_ambiguous_timestamp(time).offset(),
            AmbiguousOffset::Unambiguous { .. }
        );
        let mut write = |text: std::fmt::Arguments<'_>| {
            out.write_fmt(text).expect("writing to a string does not fail");
        };
        write(format_args!("{day}{mark}{clock}"));
        if bare && is_clear {
            return;
        }
        match offset.seconds() {
            0 => write(format_args!("Z")),
            seconds => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let seconds = seconds.unsigned_abs();
                let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                write(format_args!("{sign}{hours:02}:{minutes:02}"));
                // Local times of before there were zones.
                if rest != 0 {
                    write(format_args!(":{rest:02}"));
                }
            }
        }
    }
}

/// Seconds since 1970 as if it were UTC.
fn civil_seconds(time: DateTime) -> i64 {
    // A fraction of a second is dropped, also before 1970.
    let whole = time.with().subsec_nanosecond(0).build().unwrap_or(time);
    TimeZone::UTC.to_timestamp(whole).map_or(i64::MAX, jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Zone {
        "Europe/Berlin".parse().expect("it is known")
    }

    fn check(zone: &Zone, text: &str, want: &str) {
        let got = match zone.read(text) {
            Ok(at) => at.to_string(),
            Err(why) => why,
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn a_time_without_a_zone_is_one_of_the_zone_and_is_refused_where_clocks_change() {
        let zone = berlin();
        check(&zone, "2026-03-01T12:00:00", "2026-03-01T11:00:00Z");
        check(&zone, "2026-07-01 12:00", "2026-07-01T10:00:00Z");
        check(&zone, "2026-07-01", "2026-06-30T22:00:00Z");
        check(&zone, "2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z");
        check(&zone, "2026-07-01T12:00:00-05:00", "2026-07-01T17:00:00Z");
        check(&zone, "2026-07-01T12:00:00.75", "2026-07-01T10:00:00Z");
        check(
            &zone,
            "2026-03-29T02:30:00",
            "`2026-03-29T02:30:00` does not exist in Europe/Berlin: give its offset",
        );
        check(
            &zone,
            "2026-10-25T02:30:00",
            "`2026-10-25T02:30:00` comes twice in Europe/Berlin: give its offset",
        );
        check(&zone, "2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z");
        check(&zone, "2026-03-29T01:59:59", "2026-03-29T00:59:59Z");
        check(&zone, "2026-03-29T03:00:00", "2026-03-29T01:00:00Z");
        check(&zone, "soon", "`soon` is no date and time");
        check(&zone, "1700-01-01", "`1700-01-01` is no date and time");
        let utc: Zone = "utc".parse().expect("it is known");
        check(&utc, "2026-03-29T02:30:00", "2026-03-29T02:30:00Z");
        for wrong in ["Europe/Nowhere", "", "MESZ"] {
            let why = Zone::from_str(wrong).expect_err(wrong);
            assert!(why.contains("is no time zone"), "{why}");
        }
    }

    #[test]
    fn every_instant_comes_back_from_its_text() {
        let zones =
            ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"];
        for zone in zones {
            let zone: Zone = zone.parse().expect("it is known");
            // Half hours of five weeks around each change of clocks of 2026, and seconds long ago.
            let starts = [1_772_323_200, 1_774_569_600, 1_790_812_800];
            let half_hours = (0..1_680).map(|half| half * 1_800);
            let instants = half_hours.flat_map(|from| starts.map(|start| start + from));
            let long_ago = (0..100).map(|n| Timestamp::MIN.0 + 86_400 + n * 7_654_321);
            for second in instants.chain(long_ago) {
                for (blank, bare) in [(false, false), (true, true)] {
                    let mut text = String::new();
                    zone.write(&mut text, Timestamp(second), blank, bare);
                    assert_eq!(zone.read(&text), Ok(Timestamp(second)), "{text} in {zone:?}");
                }
            }
        }
        let mut text = String::new();
        berlin().write(&mut text, Timestamp(1_782_900_000), true, true);
        assert_eq!(text, "2026-07-01 12:00:00");
        text.clear();
        berlin().write(&mut text, Timestamp(1_782_900_000), false, false);
        assert_eq!(text, "2026-07-01T12:00:00+02:00");
    }
}
