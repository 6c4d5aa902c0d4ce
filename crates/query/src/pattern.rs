//! LIKE patterns: `%` any run, `_` one character, `[a-f]` one of these, `[^a-f]` one other than these.
//!
//! A character in brackets stands for itself. A pattern is compared with folded text and folds itself,
//! so that case does not count; text and pattern are matched whole. A bracket that is not closed
//! matches nothing, as on SQL Server.
//! Not here: which texts are patterns (`operator`), how engines ask (`store-standard`).
//! Invariant: the text of a pattern, [`Pattern::text`], reads back as the same pattern.

use crate::Match;
use model::fold_part;

/// A LIKE pattern, read and folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This character.
    Is(char),
    /// Any run of characters, none included. Never twice in a row.
    Any,
    /// One character, whichever.
    One,
    /// One character within these inclusive ranges, or outside of them all.
    Class {
        /// The ranges; none matches no character.
        ranges: Vec<(char, char)>,
        /// Outside of them.
        negated: bool,
    },
}

/// What a pattern comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Simple {
    /// Every text.
    Everything,
    /// The texts that equal this one.
    Equal(String),
    /// The texts with this part at this place.
    Part(Match, String),
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Self {
        Self::read(text, |text| fold_part(text).into_owned())
    }

    /// What the text of a pattern comes down to, not folded; none when it has wild cards inside.
    pub fn simple(text: &str) -> Option<Simple> {
        Self::read(text, str::to_owned).as_simple()
    }

    fn read(text: &str, fold: impl Fn(&str) -> String) -> Self {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '%' if parts.last() == Some(&Part::Any) => {}
                '%' => parts.push(Part::Any),
                '_' => parts.push(Part::One),
                '[' => {
                    let (part, after) = class(rest.as_str(), &fold);
                    match part {
                        // One character in brackets is that character, folded like any other.
                        Part::Class { ref ranges, negated: false } if matches!(ranges.as_slice(), [(one, other)] if one == other) =>
                        {
                            let one = ranges.iter().map(|(one, _)| *one).collect::<String>();
                            parts.extend(fold(&one).chars().map(Part::Is));
                        }
                        part => parts.push(part),
                    }
                    rest = after.chars();
                }
                plain => {
                    let mut one = [0; 4];
                    parts.extend(fold(plain.encode_utf8(&mut one)).chars().map(Part::Is));
                }
            }
        }
        Self { parts }
    }

    /// Its pieces.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The pattern as text, folded.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Is(plain @ ('%' | '_' | '[')) => {
                    text.push('[');
                    text.push(*plain);
                    text.push(']');
                }
                Part::Is(plain) => text.push(*plain),
                Part::Any => text.push('%'),
                Part::One => text.push('_'),
                Part::Class { ranges, negated } => {
                    text.push('[');
                    match ranges.first() {
                        _ if *negated => text.push('^'),
                        // An accent must not come first: a range that holds nothing goes before it.
                        Some(('^', _)) => text.push_str("b-a"),
                        _ => {}
                    }
                    for (first, last) in ranges {
                        // Always a range: a single hyphen or accent means nothing else then.
                        text.push(*first);
                        text.push('-');
                        text.push(*last);
                    }
                    text.push(']');
                }
            }
        }
        text
    }

    fn as_simple(&self) -> Option<Simple> {
        let (start, rest) = match self.parts.split_first() {
            Some((Part::Any, rest)) => (true, rest),
            _ => (false, self.parts.as_slice()),
        };
        let (end, middle) = match rest.split_last() {
            Some((Part::Any, middle)) => (true, middle),
            _ => (false, rest),
        };
        let plain = |part: &Part| match part {
            Part::Is(plain) => Some(*plain),
            _ => None,
        };
        let text: String = middle.iter().map(plain).collect::<Option<_>>()?;
        Some(match (start, end) {
            (true, _) if text.is_empty() => Simple::Everything,
            (true, true) => Simple::Part(Match::Contains, text),
            (true, false) => Simple::Part(Match::EndsWith, text),
            (false, true) => Simple::Part(Match::StartsWith, text),
            (false, false) => Simple::Equal(text),
        })
    }

    /// Tells whether a folded text matches. Cost: length of the text times that of the pattern, at
    /// most.
    pub fn fits(&self, folded: &str) -> bool {
        let text: Vec<char> = folded.chars().collect();
        let (mut at, mut place) = (0, 0);
        // Where the last run began in the pattern, and how far it reaches in the text.
        let mut run: Option<(usize, usize)> = None;
        while let Some(next) = text.get(at) {
            match self.parts.get(place) {
                Some(Part::Any) => {
                    run = Some((place, at));
                    place += 1;
                }
                Some(part) if part.is(*next) => {
                    at += 1;
                    place += 1;
                }
                _ => {
                    let Some((begin, reached)) = run else { return false };
                    run = Some((begin, reached + 1));
                    at = reached + 1;
                    place = begin + 1;
                }
            }
        }
        self.parts.iter().skip(place).all(|part| *part == Part::Any)
    }
}

impl Part {
    fn is(&self, character: char) -> bool {
        match self {
            Self::Is(wanted) => *wanted == character,
            Self::Any | Self::One => true,
            Self::Class { ranges, negated } => {
                let inside = |(first, last): &(char, char)| (*first..=*last).contains(&character);
                ranges.iter().any(inside) != *negated
            }
        }
    }
}

/// A class after its opening bracket, and what follows it.
fn class<'t>(text: &'t str, fold: &impl Fn(&str) -> String) -> (Part, &'t str) {
    let (negated, inside) = match text.strip_prefix('^') {
        Some(inside) => (true, inside),
        None => (false, text),
    };
    let Some((inside, after)) = inside.split_once(']') else {
        return (Part::Class { ranges: Vec::new(), negated: false }, "");
    };
    let folded = |one: char| {
        let text = fold(one.encode_utf8(&mut [0; 4]));
        let mut lower = text.chars();
        match (lower.next(), lower.next()) {
            (Some(lower), None) => lower,
            _ => one,
        }
    };
    let mut ranges = Vec::new();
    let mut rest: &[char] = &inside.chars().collect::<Vec<_>>();
    loop {
        match rest {
            [] => break,
            [first, '-', last, more @ ..] => {
                let range = (folded(*first), folded(*last));
                if range.0 <= range.1 {
                    ranges.push(range);
                }
                rest = more;
            }
            [one, more @ ..] => {
                ranges.push((folded(*one), folded(*one)));
                rest = more;
            }
        }
    }
    (Part::Class { ranges, negated }, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fold;

    fn check(pattern: &str, fits: &[&str], not: &[&str]) {
        let pattern = Pattern::parse(pattern);
        let again = Pattern::parse(&pattern.text());
        assert_eq!(pattern, again, "{}", pattern.text());
        for text in fits {
            assert!(pattern.fits(&fold(text)), "{text} fits {}", pattern.text());
        }
        for text in not {
            assert!(!pattern.fits(&fold(text)), "{text} does not fit {}", pattern.text());
        }
    }

    #[test]
    fn wild_cards_stand_for_runs_characters_and_classes() {
        check("a%c", &["ac", "ABC", "abcbc"], &["abcd", "bac", ""]);
        check("_b_", &["abc", "ÄBÖ"], &["ab", "abcd"]);
        check("%[0-9]%", &["a1b", "1"], &["ab", ""]);
        check("[A-C]x", &["ax", "CX"], &["dx", "x"]);
        check("[^a-c]x", &["dx", "äx"], &["ax", "Bx", "x"]);
        check("[abc-]", &["a", "-", "C"], &["d", ""]);
        check("[-a]", &["-", "A"], &["b"]);
        check("[%]_[_]%", &["%a_", "%__b"], &["a_", "%a"]);
        check("[[]x]", &["[x]"], &["x"]);
        check("", &[""], &["a"]);
        check("%", &["", "a"], &[]);
        check("%%a%%", &["a", "bab"], &["", "b"]);
        check("%a%b%c", &["abc", "xaybzbc"], &["acb", "ab"]);
        check("a%%%%%%%%%%%%%%%%%%%%%%%b", &["ab", "axxb"], &["a", "axc"]);
        check("a\n%", &["a\nb"], &["ab"]);
        check("[z-a^b]", &["^", "b"], &["a"]);
        check("[z-a^-b]", &["_", "a"], &["c"]);
        check("[a^]", &["^", "A"], &["b"]);
    }

    #[test]
    fn what_is_not_closed_or_empty_matches_nothing() {
        check("[abc", &[], &["[abc", "a", ""]);
        check("x[]y", &[], &["xy", "x[]y", "xay"]);
        check("x[^]y", &["xay", "x^y"], &["xy"]);
        check("[z-a]", &[], &["a", "z", "-"]);
    }

    #[test]
    fn patterns_without_wild_cards_inside_are_simple() {
        let simple = Pattern::simple;
        assert_eq!(simple("%"), Some(Simple::Everything));
        assert_eq!(simple("%%%"), Some(Simple::Everything));
        assert_eq!(simple(""), Some(Simple::Equal(String::new())));
        assert_eq!(simple("A[%]"), Some(Simple::Equal("A%".into())));
        assert_eq!(simple("%a"), Some(Simple::Part(Match::EndsWith, "a".into())));
        assert_eq!(simple("a %"), Some(Simple::Part(Match::StartsWith, "a ".into())));
        assert_eq!(simple("%a%"), Some(Simple::Part(Match::Contains, "a".into())));
        assert_eq!(simple("a_"), None);
        assert_eq!(simple("a%b"), None);
        assert_eq!(simple("[ab]"), None);
    }
}
