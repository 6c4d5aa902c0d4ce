//! PostgreSQL's dialect of the statements that `select` writes.
//!
//! Every text column is declared `COLLATE "C"`: comparison and order are those of the bytes, and
//! `lower` folds A to Z only. A text whose fold is more than that (upper case beyond ASCII) has its fold
//! in `c<n>f`, which is null for every other text of a column that no index serves. So the fold is that
//! of `model::fold` to the letter, whatever the server's locale or ICU.
//! Invariant: names and placeholders only; no value is part of a text.

use super::encode::form_of;
use crate::dialect::{Dated, Dialect, Param};
use crate::names::{self, Storage};
use model::{ColumnId, fold};
use query::dates::Calendar;
use query::shape::DatePart;
use query::{Match, Part, Pattern};
use std::borrow::Cow;

/// PostgreSQL.
pub(super) struct Postgres;

impl Dialect for Postgres {
    fn placeholder(&self, sql: &mut String, number: usize, param: &Param) {
        sql.push_str(&format!("${number}::{}", form_of(param).name()));
    }

    fn fold_column(&self, prefix: &str, id: ColumnId) -> String {
        let (column, folded) = (names::column(id), names::folded(id));
        format!("coalesce({prefix}{folded}, lower(rtrim({prefix}{column}, ' ')))")
    }

    fn fold_joined(&self, _plain: &str, first: (&str, &str), last: (&str, &str)) -> String {
        // The blanks at the end of the first part stand inside the joined text: they count.
        let ((first, first_folded), (_, last_folded)) = (first, last);
        format!(
            "rtrim({first_folded} || substr({first}, length(rtrim({first}, ' ')) + 1) \
             || ' ' || {last_folded}, ' ')"
        )
    }

    fn in_list(
        &self,
        sql: &mut String,
        expression: &str,
        number: usize,
        list: &Param,
        negated: bool,
    ) {
        let compare = if negated { "<> ALL" } else { "= ANY" };
        let form = form_of(list).name();
        sql.push_str(&format!("{expression} {compare}(${number}::{form}[])"));
    }

    fn find(&self, sql: &mut String, expression: &str, number: usize, matches: Match) {
        sql.push_str(&match matches {
            Match::Contains | Match::StartsWith => {
                format!("strpos({expression}, ${number}::text) > 0")
            }
            Match::EndsWith => {
                format!("right({expression}, length(${number}::text)) = ${number}::text")
            }
        });
    }

    fn like(&self, sql: &mut String, expression: &str, number: usize, pattern: &Pattern) -> Param {
        let has_class = pattern.parts().iter().any(|part| matches!(part, Part::Class { .. }));
        let (operator, text) = match has_class {
            true => ("~", expression_of(pattern)),
            false => ("LIKE", like_of(pattern)),
        };
        sql.push_str(&format!("{expression} {operator} ${number}::text"));
        Param::Text(text)
    }

    fn ranges(
        &self,
        sql: &mut String,
        expression: &str,
        number: usize,
        bounds: Vec<Param>,
    ) -> Param {
        let bounds = Param::List(bounds);
        let form = form_of(&bounds).name();
        // How many bounds are not above the value: an odd number inside of a range.
        sql.push_str(&format!("width_bucket({expression}, ${number}::{form}[]) % 2 = 1"));
        bounds
    }

    fn choices(&self, sql: &mut String, expression: &str, number: usize, values: &[i32]) -> Param {
        sql.push_str(&format!("string_to_array({expression}, ',') && ${number}::text[]"));
        Param::List(values.iter().map(|value| Param::Text(value.to_string())).collect())
    }

    fn direction(&self, descending: bool, nullable: bool) -> &'static str {
        match (descending, nullable) {
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC NULLS LAST",
            // The primary key's own index has nulls last; without nulls, both orders are one.
            (false, false) => "",
            (true, false) => " DESC",
        }
    }

    fn sum(&self, expression: &str, _storage: Storage) -> String {
        format!("sum({expression})")
    }

    fn average(&self, expression: &str, storage: Storage, scale: u8) -> String {
        match storage {
            Storage::Integer => format!("(sum({expression}) / count({expression}))::int4"),
            Storage::BigInt => format!("div(sum({expression}), count({expression}))::int8"),
            // So many places that rounding twice cannot be seen.
            Storage::Decimal { .. } => format!(
                "round(sum({expression}) * 1.000000000000000000000000000000 \
                 / count({expression}), {scale})"
            ),
            _ => format!("avg({expression})"),
        }
    }

    fn shifts(&self, calendar: &Calendar) -> Vec<Param> {
        let (from, by) = calendar.shifts.iter().copied().unzip::<_, _, Vec<_>, Vec<_>>();
        vec![
            Param::List(from.into_iter().map(Param::DateTime).collect()),
            Param::List(by.into_iter().map(Param::Integer).collect()),
        ]
    }

    fn periods(&self, calendar: &Calendar) -> Vec<Param> {
        vec![Param::List(calendar.periods.iter().copied().map(Param::Date).collect())]
    }

    fn date_part(&self, expression: &str, storage: Storage, dated: &Dated<'_>) -> String {
        let utc = format!("({expression} AT TIME ZONE 'UTC')");
        let day = match (storage, dated.shifts) {
            // The shift of the last change that is not after the instant: `AT TIME ZONE` would ask the
            // server's own time zones.
            (Storage::DateTime, Some(number)) => format!(
                "({utc} + (${}::int4[])[width_bucket({expression}, ${number}::timestamptz[])] \
                 * interval '1 second')",
                number + 1
            ),
            (Storage::DateTime, None) => utc,
            _ => format!("({expression})"),
        };
        let place = || {
            let number = dated.periods.unwrap_or_default();
            format!("(width_bucket({day}::date, ${number}::date[]) - 1)")
        };
        let (year, per_year) = (dated.calendar.year, dated.calendar.per_year);
        let field = |name: &str| format!("extract({name} from {day})::int4");
        match dated.part {
            DatePart::FiscalYear => format!("({year} + {} / {per_year})", place()),
            DatePart::FiscalPeriod => format!("({} % {per_year} + 1)", place()),
            DatePart::Day => field("day"),
            DatePart::Month => field("month"),
            DatePart::Quarter => field("quarter"),
            DatePart::Year => field("year"),
            // Weeks begin on Sunday, and the week with 1 January is week 1.
            DatePart::Week => format!(
                "(({} + extract(dow from date_trunc('year', {day}))::int4 - 1) / 7 + 1)",
                field("doy")
            ),
        }
    }

    fn decimals_are_scaled(&self) -> bool {
        false
    }
}

/// A character of a pattern. No stored text has a NUL, or the character that stands for it.
fn storable(character: char) -> char {
    if character == '\0' { '\u{1}' } else { character }
}

/// A pattern without classes, as `LIKE` takes it.
fn like_of(pattern: &Pattern) -> String {
    let mut text = String::new();
    for part in pattern.parts() {
        match part {
            Part::Is(plain) => {
                if matches!(plain, '%' | '_' | '\\') {
                    text.push('\\');
                }
                text.push(storable(*plain));
            }
            Part::Any => text.push('%'),
            Part::One | Part::Class { .. } => text.push('_'),
        }
    }
    text
}

/// A pattern as an advanced regular expression. Every character is written by its number, so that
/// none means anything.
fn expression_of(pattern: &Pattern) -> String {
    let number = |character: char| format!("\\U{:08x}", u32::from(storable(character)));
    let mut text = String::from("^");
    for part in pattern.parts() {
        match part {
            Part::Is(plain) => text.push_str(&number(*plain)),
            Part::Any => text.push_str(".*"),
            Part::One => text.push('.'),
            // No character is in an empty class, and every one outside of it.
            Part::Class { ranges, negated } if ranges.is_empty() => {
                text.push_str(if *negated { "." } else { "(?!)" });
            }
            Part::Class { ranges, negated } => {
                text.push_str(if *negated { "[^" } else { "[" });
                for (first, last) in ranges {
                    text.push_str(&format!("{}-{}", number(*first), number(*last)));
                }
                text.push(']');
            }
        }
    }
    text.push('$');
    text
}

/// The fold of a text where it is not what `lower(rtrim(…))` makes of it.
pub(super) fn exceptional_fold(text: &str) -> Option<Cow<'_, str>> {
    if text.is_ascii() {
        return None;
    }
    let folded = fold(text);
    (folded != text.trim_end_matches(' ').to_ascii_lowercase()).then_some(folded)
}
