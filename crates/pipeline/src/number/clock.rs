//! Formats of dates and times as .NET writes them, in the invariant culture and in UTC.
//!
//! A format of one letter is a standard one and stands for a longer one; any other is custom: letters in
//! runs, quoted text, `\` before a character, `%` before a single letter, everything else as it is.
//! Source: Microsoft Learn, "Standard date and time format strings", "Custom date and time format strings".
//! Invariant: a format that was read can be written out at any time there is.

use model::Timestamp;
use std::fmt::Write as _;

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Letters that a custom format replaces.
const LETTERS: &str = "dfFgHhKmMstyz";

/// A format of a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clock {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(char),
    /// A letter, and how often it stands there.
    Letters(char, usize),
}

impl Clock {
    /// Reads a format. Errors: why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        let custom = match (chars.next(), chars.next()) {
            (None, _) => return Err("`DATETIMEUTC` has no format".into()),
            (Some(one), None) => standard(one)
                .ok_or_else(|| format!("`{one}` is no standard format of a date and time"))?,
            _ => text,
        };
        custom_parts(custom).map(|parts| Self { parts })
    }

    /// Writes a time.
    pub(super) fn write(&self, now: Timestamp, text: &mut String) {
        let moment = Moment::of(now);
        for part in &self.parts {
            match part {
                Part::Literal(one) => text.push(*one),
                Part::Letters(letter, count) => moment.write(*letter, *count, text),
            }
        }
    }
}

/// What a standard format stands for.
fn standard(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "MM/dd/yyyy",
        'D' => "dddd, dd MMMM yyyy",
        'f' => "dddd, dd MMMM yyyy HH:mm",
        'F' | 'U' => "dddd, dd MMMM yyyy HH:mm:ss",
        'g' => "MM/dd/yyyy HH:mm",
        'G' => "MM/dd/yyyy HH:mm:ss",
        'm' | 'M' => "MMMM dd",
        'o' | 'O' => "yyyy-MM-ddTHH:mm:ss.fffffffK",
        'r' | 'R' => "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
        's' => "yyyy-MM-ddTHH:mm:ss",
        't' => "HH:mm",
        'T' => "HH:mm:ss",
        'u' => "yyyy-MM-dd HH:mm:ssZ",
        'y' | 'Y' => "yyyy MMMM",
        _ => return None,
    })
}

fn custom_parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(one) = chars.next() {
        match one {
            '\\' => {
                let escaped = chars.next().ok_or("a date format ends with `\\`")?;
                parts.push(Part::Literal(escaped));
            }
            '\'' | '"' => loop {
                match chars.next() {
                    Some(quoted) if quoted == one => break,
                    Some(quoted) => parts.push(Part::Literal(quoted)),
                    None => return Err("a quotation in a date format is not closed".into()),
                }
            },
            '%' => match chars.peek() {
                Some(next) if *next != '%' => {}
                _ => return Err("`%` stands before no letter of a date format".into()),
            },
            letter if LETTERS.contains(letter) => {
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                if matches!(letter, 'f' | 'F') && count > 7 {
                    return Err("a date format has 7 digits of a second at most".into());
                }
                parts.push(Part::Letters(letter, count));
            }
            other => parts.push(Part::Literal(other)),
        }
    }
    Ok(parts)
}

/// A time in its parts.
struct Moment {
    year: i32,
    month: usize,
    day: i32,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Moment {
    fn of(now: Timestamp) -> Self {
        let date = now.date();
        let (year, month, day) = date.civil();
        let seconds = now.0.rem_euclid(86_400);
        Self {
            year,
            month: usize::try_from(month).unwrap_or(1),
            day,
            // 1970-01-01 was a Thursday.
            weekday: usize::try_from((i64::from(date.0) + 4).rem_euclid(7)).unwrap_or(0),
            hour: seconds / 3_600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }

    /// Writes what a letter stands for. Instants are whole seconds: fractions are zeros.
    fn write(&self, letter: char, count: usize, text: &mut String) {
        let mut number = |number: i64, width: usize| {
            write!(text, "{number:0width$}").expect("writing to a String cannot fail");
        };
        let named = |name: &'static str| if count == 3 { &name[..3] } else { name };
        let half = if self.hour < 12 { "AM" } else { "PM" };
        match (letter, count) {
            ('d', 1 | 2) => number(self.day.into(), count),
            ('d', _) => text.push_str(named(DAYS[self.weekday])),
            ('M', 1 | 2) => number(i64::try_from(self.month).unwrap_or(1), count),
            ('M', _) => text.push_str(named(MONTHS[(self.month - 1) % 12])),
            ('y', 1 | 2) => number(i64::from(self.year % 100), count),
            ('y', _) => number(self.year.into(), count),
            ('H', _) => number(self.hour, count.min(2)),
            ('h', _) => number((self.hour + 11) % 12 + 1, count.min(2)),
            ('m', _) => number(self.minute, count.min(2)),
            ('s', _) => number(self.second, count.min(2)),
            ('f', _) => number(0, count),
            // Without its zeros nothing of a fraction is left.
            ('F', _) => {}
            ('t', _) => text.push_str(&half[..count.min(2)]),
            ('g', _) => text.push_str("A.D."),
            ('K', _) => text.extend(std::iter::repeat_n('Z', count)),
            ('z', 1) => text.push_str("+0"),
            ('z', 2) => text.push_str("+00"),
            ('z', _) => text.push_str("+00:00"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, at: i64, want: &str) {
        let clock = Clock::parse(format).unwrap_or_else(|why| panic!("{format}: {why}"));
        let mut text = String::new();
        clock.write(Timestamp(at), &mut text);
        assert_eq!(text, want, "{format}");
    }

    #[test]
    fn custom_formats_write_what_their_letters_mean() {
        // 2009-06-15T13:45:30Z, a Monday.
        let at = 1_245_073_530;
        check("yyyyMMddhhmmss", at, "20090615014530");
        check("yyyy-MM-dd HH:mm:ss", at, "2009-06-15 13:45:30");
        check("d/M/yy h:m:s t", at, "15/6/09 1:45:30 P");
        check("ddd dddd MMM MMMM", at, "Mon Monday Jun June");
        check("yyyyy y tt", at, "02009 9 PM");
        check("fff.FFF zz zzz%K", at, "000. +00 +00:00Z");
        check("'at' HH\\H \"o'clock\"", at, "at 13H o'clock");
        check("%h", at, "1");
        check("%d.", at, "15.");
        check("hh tt", 0, "12 AM");
        check("hh tt", 12 * 3_600, "12 PM");
        check("ddd", 0, "Thu");
        check("HHHH", at, "13");
    }

    #[test]
    fn a_single_letter_is_a_standard_format() {
        let at = 1_245_073_530;
        check("d", at, "06/15/2009");
        check("D", at, "Monday, 15 June 2009");
        check("G", at, "06/15/2009 13:45:30");
        check("M", at, "June 15");
        check("o", at, "2009-06-15T13:45:30.0000000Z");
        check("r", at, "Mon, 15 Jun 2009 13:45:30 GMT");
        check("s", at, "2009-06-15T13:45:30");
        check("T", at, "13:45:30");
        check("u", at, "2009-06-15 13:45:30Z");
        check("Y", at, "2009 June");
    }

    #[test]
    fn what_is_no_format_is_refused() {
        for format in ["", "x", "%", "%%", "yyyy\\", "'open", "\"open'", "ffffffff", "FFFFFFFF"] {
            assert!(Clock::parse(format).is_err(), "{format}");
        }
    }
}
