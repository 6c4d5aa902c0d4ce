//! The pattern of an auto-number column: `{SEQNUM:n}`, `{RANDSTRING:n}`, `{DATETIMEUTC:format}` and literal text.
//!
//! Pure. Not here: where numbers and chance come from ([`super`]), which columns may have a pattern
//! (`define::numbers`). Source: Microsoft Learn, "Create autonumber columns".
//! Invariant: a pattern that was read can always be written out.

use super::clock::Clock;
use model::Timestamp;
use std::fmt::Write as _;

/// Most letters of one random part.
const LETTERS_MAX: usize = 6;
/// Most digits that a number is filled up to: no column holds more.
const DIGITS_MAX: usize = 4_000;
const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    /// The number, filled up with zeros to so many digits.
    Number(usize),
    /// So many letters and digits by chance.
    Random(usize),
    /// The present.
    Time(Clock),
}

impl Format {
    /// Reads a pattern. Errors: why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            let inner = from.strip_prefix('{').ok_or("a `}` closes no placeholder")?;
            let (inner, after) = inner.split_once('}').ok_or("a placeholder is not closed")?;
            parts.push(part(inner)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        let numbers = parts.iter().filter(|part| matches!(part, Part::Number(_))).count();
        match (parts.iter().all(|part| matches!(part, Part::Literal(_))), numbers) {
            (true, _) => Err("it has no placeholder".into()),
            (false, 0 | 1) => Ok(Self { parts }),
            (false, _) => Err("`SEQNUM` stands in it more than once".into()),
        }
    }

    /// Whether a number is part of it.
    pub(crate) fn is_counted(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Number(_)))
    }

    /// How many chances one value takes.
    pub(crate) fn chances(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Random(_))).count()
    }

    /// A value; chances that are not there count as zero.
    pub(crate) fn write(
        &self,
        number: i64,
        chances: &mut impl Iterator<Item = u64>,
        now: Timestamp,
    ) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Number(digits) => {
                    write!(text, "{number:0digits$}").expect("writing to a String cannot fail");
                }
                Part::Random(letters) => {
                    let mut chance = chances.next().unwrap_or(0);
                    for _ in 0..*letters {
                        text.push(char::from(LETTERS[(chance % 36) as usize]));
                        chance /= 36;
                    }
                }
                Part::Time(clock) => clock.write(now, &mut text),
            }
        }
        text
    }

    /// The length of the shortest value, in UTF-16 units; one with a time is measured at this one.
    pub(crate) fn shortest(&self, now: Timestamp) -> usize {
        self.write(0, &mut std::iter::empty(), now).encode_utf16().count()
    }
}

/// What stands between two braces.
fn part(inner: &str) -> Result<Part, String> {
    let (name, argument) = inner.split_once(':').unwrap_or((inner, ""));
    let length = |most: usize| -> Result<usize, String> {
        let digits = argument.bytes().all(|byte| byte.is_ascii_digit());
        let length = argument.parse().ok().filter(|_| digits);
        length
            .filter(|length| (1..=most).contains(length))
            .ok_or_else(|| format!("`{name}` has a length of 1 to {most}, and not `{argument}`"))
    };
    match name {
        "SEQNUM" => length(DIGITS_MAX).map(Part::Number),
        "RANDSTRING" => length(LETTERS_MAX).map(Part::Random),
        "DATETIMEUTC" => Clock::parse(argument).map(Part::Time),
        _ => Err(format!("`{{{inner}}}` is no placeholder")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2017-09-13T07:02:40Z
    const NOW: Timestamp = Timestamp(1_505_286_160);

    fn written(pattern: &str, number: i64, chances: &[u64]) -> String {
        let format = Format::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
        format.write(number, &mut chances.iter().copied(), NOW)
    }

    #[test]
    fn values_are_put_together_from_parts() {
        assert_eq!(written("CAR-{SEQNUM:3}", 1_000, &[]), "CAR-1000");
        assert_eq!(written("KA-{SEQNUM:6}", 1_000, &[]), "KA-001000");
        assert_eq!(written("{SEQNUM:1}", 0, &[]), "0");
        assert_eq!(written("Q#{RANDSTRING:3}#{RANDSTRING:1}", 7, &[36, 35]), "Q#ABA#9");
        assert_eq!(
            written("C-{SEQNUM:6}-{RANDSTRING:6}-{DATETIMEUTC:yyyyMMddhhmmss}", 42, &[0]),
            "C-000042-AAAAAA-20170913070240"
        );
        assert_eq!(written("{DATETIMEUTC:HH:mm} ü", 1, &[]), "07:02 ü");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let refused = [
            "",
            "plain",
            "{SEQNUM}",
            "{SEQNUM:}",
            "{SEQNUM:0}",
            "{SEQNUM:-1}",
            "{SEQNUM:+1}",
            "{SEQNUM: 4}",
            "{SEQNUM:99999999999999999999}",
            "{SEQNUM:4001}",
            "{SEQNUM:1}{SEQNUM:2}",
            "{RANDSTRING:0}",
            "{RANDSTRING:7}",
            "{DATETIMEUTC:}",
            "{DATETIMEUTC}",
            "{seqnum:4}",
            "{OTHER:4}",
            "{SEQNUM:4",
            "SEQNUM:4}",
            "{{SEQNUM:4}}",
            "{}",
        ];
        for pattern in refused {
            assert!(Format::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_shortest_value_is_measured() {
        let shortest = |pattern: &str| Format::parse(pattern).expect("a pattern").shortest(NOW);
        assert_eq!(shortest("🚢{SEQNUM:4}"), 6);
        assert_eq!(shortest("{RANDSTRING:6}-{DATETIMEUTC:yyyy}"), 11);
    }
}
