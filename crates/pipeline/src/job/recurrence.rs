//! How a job comes again: `FREQ=DAILY;INTERVAL=3;`. Pure.
//!
//! Source: `bulk.md` 6.4. Bulk deletes take daily patterns only.

use model::{Fault, Timestamp, code};

const DAY_SECONDS: i64 = 86_400;
/// Days between two runs at most.
const INTERVAL_MAX: u16 = 365;

/// A job comes again every so many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrence {
    days: u16,
}

impl Recurrence {
    /// Reads a pattern; `None` for an empty one.
    ///
    /// Errors: `0x8004e100` for what is no pattern, `0x8004d2a0` for one that is not daily, `0x8004d2a1`
    /// for an interval outside 1 to 365; parts that are understood and not honoured are `0x8004e100`.
    pub fn parse(pattern: &str) -> Result<Option<Self>, Fault> {
        let pattern = pattern.trim();
        if pattern.is_empty() {
            return Ok(None);
        }
        let bad = |why: &str| {
            Fault::new(
                code::INVALID_RECURRENCE_PATTERN,
                format!("The recurrence pattern '{pattern}' is not valid."),
            )
            .with_hint(why)
        };
        let (mut frequency, mut interval) = (None, None);
        for part in pattern.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| bad("parts look like FREQ=DAILY"))?;
            let place = match name.trim().to_ascii_uppercase().as_str() {
                "FREQ" => &mut frequency,
                "INTERVAL" => &mut interval,
                other => {
                    return Err(bad(&format!("part `{other}`: FREQ and INTERVAL are honoured")));
                }
            };
            if place.replace(value.trim().to_ascii_uppercase()).is_some() {
                return Err(bad("a part is given twice"));
            }
        }
        let frequency = frequency.ok_or_else(|| bad("FREQ is missing"))?;
        match frequency.as_str() {
            "DAILY" => {}
            "SECONDLY" | "MINUTELY" | "HOURLY" | "WEEKLY" | "MONTHLY" | "YEARLY" => {
                return Err(Fault::new(
                    code::BULK_DELETE_RECURRENCE_NOT_DAILY,
                    "Bulk delete only supports daily recurrence patterns.",
                ));
            }
            _ => return Err(bad("FREQ is unknown")),
        }
        let days = match interval {
            None => 1,
            Some(text) => {
                let number: i64 = text.parse().map_err(|_| bad("INTERVAL is no whole number"))?;
                u16::try_from(number).ok().filter(|days| (1..=INTERVAL_MAX).contains(days)).ok_or_else(
                    || {
                        Fault::new(
                            code::BULK_DELETE_INTERVAL_OUT_OF_RANGE,
                            format!(
                                "The recurrence interval of a bulk delete must be 1 to {INTERVAL_MAX}."
                            ),
                        )
                    },
                )?
            }
        };
        Ok(Some(Self { days }))
    }

    /// The first time after `now` that lies a whole number of intervals after `start`.
    pub fn next(self, start: Timestamp, now: Timestamp) -> Timestamp {
        let step = i64::from(self.days) * DAY_SECONDS;
        if start > now {
            return start;
        }
        let passed = (now.0 - start.0) / step + 1;
        Timestamp(start.0 + passed * step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ErrorCode;

    fn check(pattern: &str, want: Result<Option<u16>, ErrorCode>) {
        let got = Recurrence::parse(pattern)
            .map(|found| found.map(|found| found.days))
            .map_err(|fault| fault.code);
        assert_eq!(got, want, "{pattern}");
    }

    #[test]
    fn patterns_are_daily_with_an_interval_of_1_to_365() {
        check("", Ok(None));
        check("FREQ=DAILY;", Ok(Some(1)));
        check("freq=daily;interval=3", Ok(Some(3)));
        check("INTERVAL=365;FREQ=DAILY", Ok(Some(365)));
        check("FREQ=WEEKLY;", Err(code::BULK_DELETE_RECURRENCE_NOT_DAILY));
        check("FREQ=DAILY;INTERVAL=0", Err(code::BULK_DELETE_INTERVAL_OUT_OF_RANGE));
        check("FREQ=DAILY;INTERVAL=366", Err(code::BULK_DELETE_INTERVAL_OUT_OF_RANGE));
        check("FREQ=DAILY;INTERVAL=x", Err(code::INVALID_RECURRENCE_PATTERN));
        check("FREQ=SOMETIMES", Err(code::INVALID_RECURRENCE_PATTERN));
        check("INTERVAL=2", Err(code::INVALID_RECURRENCE_PATTERN));
        check("DAILY", Err(code::INVALID_RECURRENCE_PATTERN));
        check("FREQ=DAILY;COUNT=3", Err(code::INVALID_RECURRENCE_PATTERN));
        check("FREQ=DAILY;FREQ=DAILY", Err(code::INVALID_RECURRENCE_PATTERN));
    }

    #[test]
    fn the_next_run_keeps_the_time_of_day_and_skips_what_was_missed() {
        let every = |days| Recurrence { days };
        let at = |day: i64, second: i64| Timestamp(day * DAY_SECONDS + second);
        assert_eq!(every(1).next(at(10, 5), at(10, 5)), at(11, 5));
        assert_eq!(every(1).next(at(10, 5), at(10, 900)), at(11, 5));
        assert_eq!(every(3).next(at(10, 5), at(20, 0)), at(22, 5));
        assert_eq!(every(3).next(at(10, 5), at(9, 0)), at(10, 5));
    }
}
