//! What a scenario expects against what came: texts with `~` and `$name`, JSON that names only what it asserts.
//!
//! Not here: statuses and headers (`play`).
//! Invariant: nothing but the named captures changes, and a name that is known only matches its value.

use std::collections::BTreeMap;

use serde_json::Value;

/// What `$name` stands for, as text.
pub type Captures = BTreeMap<String, String>;

/// Stands before a word that is no JSON text but one of ours. It cannot stand in a file.
const MARK: char = '\u{1}';
const ANY: &str = "\u{1}any";
const REST: &str = "\u{1}rest";
const ABSENT: &str = "\u{1}absent";

/// Reads expected JSON: plain JSON, with `~` for any value, `…` for any further items, `!` for a member
/// that must not be there and `$name` for a value to keep or to compare.
///
/// Errors: what the JSON parser says.
pub fn pattern(text: &str) -> Result<Value, String> {
    let mut json = String::with_capacity(text.len());
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => {
                json.push(c);
                json.extend(chars.next());
                continue;
            }
            '~' | '…' | '!' if !is_quoted => {
                let word = match c {
                    '~' => "any",
                    '…' => "rest",
                    _ => "absent",
                };
                json.push_str(&format!("\"\\u0001{word}\""));
                continue;
            }
            '$' if !is_quoted => {
                json.push_str("\"\\u0001$");
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric()) {
                    json.push(c);
                }
                json.push('"');
                continue;
            }
            _ => {}
        }
        json.push(c);
    }
    serde_json::from_str(&json)
        .map_err(|error| format!("the expected JSON cannot be read: {error}"))
}

/// Compares JSON; returns where it differs and how, or nothing.
pub fn json(want: &Value, got: Option<&Value>, captures: &mut Captures) -> Option<String> {
    json_at(want, got, captures, "").map(|(path, why)| match path.as_str() {
        "" => why,
        path => format!("at {path}: {why}"),
    })
}

fn json_at(
    want: &Value,
    got: Option<&Value>,
    captures: &mut Captures,
    path: &str,
) -> Option<(String, String)> {
    let wrong = |why: String| Some((path.to_owned(), why));
    let Some(got) = got else {
        return match want {
            Value::String(text) if text == ABSENT => None,
            _ => wrong(format!("expected {}, nothing is there", shown(want))),
        };
    };
    match (want, got) {
        (Value::String(word), _) if word.starts_with(MARK) => match word.as_str() {
            ANY => None,
            ABSENT => wrong(format!("expected nothing, got {got}")),
            REST => wrong("`…` stands outside an array".to_owned()),
            name => {
                let name = name.trim_start_matches([MARK, '$']);
                let got = plain(got);
                match captures.get(name) {
                    Some(known) if *known == got => None,
                    Some(known) => wrong(format!("expected ${name} = `{known}`, got `{got}`")),
                    None => {
                        captures.insert(name.to_owned(), got);
                        None
                    }
                }
            }
        },
        (Value::String(want), Value::String(got)) => match text(want, got, captures) {
            true => None,
            false => wrong(format!("expected {want:?}, got {got:?}")),
        },
        (Value::Object(want), Value::Object(members)) => want.iter().find_map(|(name, want)| {
            json_at(want, members.get(name), captures, &format!("{path}.{name}"))
        }),
        (Value::Array(wants), Value::Array(items)) => {
            let is_open = wants.last().and_then(Value::as_str) == Some(REST);
            let wants = if is_open { &wants[..wants.len() - 1] } else { &wants[..] };
            if items.len() < wants.len() || (items.len() > wants.len() && !is_open) {
                return wrong(format!("expected {} items, got {}", wants.len(), items.len()));
            }
            wants.iter().zip(items).enumerate().find_map(|(index, (want, item))| {
                json_at(want, Some(item), captures, &format!("{path}[{index}]"))
            })
        }
        (Value::Number(a), Value::Number(b)) if a == b || a.as_f64() == b.as_f64() => None,
        (want, got) if want == got => None,
        (want, got) => wrong(format!("expected {}, got {got}", shown(want))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shown(want: &Value) -> String {
    want.to_string().replace("\\u0001", "")
}

/// One piece of a pattern.
enum Piece<'a> {
    Plain(String),
    Any,
    Capture(&'a str),
}

/// Compares a text with a pattern: `~` is any text, `$name` what it stands for; a name that stands for
/// nothing yet is any text, and is kept. `$word` of lower-case letters only is a name in a pattern, unless
/// it is an OData option.
pub fn text(pattern: &str, got: &str, captures: &mut Captures) -> bool {
    let pieces = pieces(pattern, captures);
    let mut found = Vec::new();
    if !matches(&pieces, got, &mut found) {
        return false;
    }
    for (name, value) in found {
        captures.insert(name.to_owned(), value.to_owned());
    }
    true
}

/// Words after `$` that belong to OData, never to us.
const NOT_NAMES: [&str; 14] = [
    "select",
    "filter",
    "orderby",
    "top",
    "count",
    "expand",
    "apply",
    "batch",
    "metadata",
    "entity",
    "ref",
    "value",
    "skiptoken",
    "skip",
];

fn pieces<'a>(pattern: &'a str, captures: &Captures) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let name = name_at(rest);
        if c == '~' {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            pieces.push(Piece::Any);
            rest = after;
        } else if let Some(known) = name.and_then(|name| captures.get(name)) {
            plain.push_str(known);
            rest = &rest[1 + name.map_or(0, str::len)..];
        } else if let Some(name) = name {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            pieces.push(Piece::Capture(name));
            rest = &after[name.len()..];
        } else {
            plain.push(c);
            rest = after;
        }
    }
    pieces.push(Piece::Plain(plain));
    pieces
}

/// The name that a text begins with, without its `$`.
fn name_at(text: &str) -> Option<&str> {
    let word = text.strip_prefix('$')?;
    let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
    let name = &word[..end];
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase());
    (is_name && !NOT_NAMES.contains(&name)).then_some(name)
}

fn matches<'p, 'g>(
    pieces: &[Piece<'p>],
    got: &'g str,
    found: &mut Vec<(&'p str, &'g str)>,
) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return got.is_empty() };
    match first {
        Piece::Plain(plain) => {
            got.strip_prefix(plain.as_str()).is_some_and(|got| matches(rest, got, found))
        }
        Piece::Any | Piece::Capture(_) => {
            let mut ends = got.char_indices().map(|(at, _)| at).chain([got.len()]);
            ends.any(|end| {
                let before = found.len();
                if let Piece::Capture(name) = first {
                    found.push((name, &got[..end]));
                }
                let fits = matches(rest, &got[end..], found);
                if !fits {
                    found.truncate(before);
                }
                fits
            })
        }
    }
}

/// Puts what is known in the place of `$name`; unknown names stay as they are. In JSON, the value is escaped.
pub fn fill(text: &str, captures: &Captures, is_json: bool) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        match name_at(rest).and_then(|name| Some((name, captures.get(name)?))) {
            Some((name, value)) if is_json => {
                let quoted = Value::from(value.as_str()).to_string();
                filled.push_str(&quoted[1..quoted.len() - 1]);
                rest = &rest[1 + name.len()..];
            }
            Some((name, value)) => {
                filled.push_str(value);
                rest = &rest[1 + name.len()..];
            }
            None => {
                filled.push('$');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Captures {
        Captures::from([
            ("id".to_owned(), "7".to_owned()),
            ("etag".to_owned(), "W/\"1\"".to_owned()),
        ])
    }

    fn check(want: &str, got: &str, expected: Option<&str>) {
        let want = pattern(want).expect("a pattern");
        let got: Value = serde_json::from_str(got).expect("JSON");
        assert_eq!(json(&want, Some(&got), &mut known()).as_deref(), expected, "{want} {got}");
    }

    #[test]
    fn only_what_is_named_is_compared() {
        check(r#"{"a": 1}"#, r#"{"a": 1.0, "b": 2}"#, None);
        check(r#"{"a": ~, "b": !}"#, r#"{"a": null}"#, None);
        check(r#"{"b": !}"#, r#"{"b": null}"#, Some("at .b: expected nothing, got null"));
        check(r#"{"a": null}"#, "{}", Some("at .a: expected null, nothing is there"));
        check(r#"{"a": [1]}"#, r#"{"a": [1, 2]}"#, Some("at .a: expected 1 items, got 2"));
        check("[1, …]", "[1, 2, 3]", None);
        check("[~, …]", "[]", Some("expected 1 items, got 0"));
        check(r#"{"a": "x~z"}"#, r#"{"a": "xyz"}"#, None);
        check(r#"{"a": "x~z"}"#, r#"{"a": "xy"}"#, Some(r#"at .a: expected "x~z", got "xy""#));
    }

    #[test]
    fn names_are_kept_and_compared() {
        check(r#"{"a": $new, "b": $new}"#, r#"{"a": 1, "b": 1}"#, None);
        check(
            r#"{"a": $new, "b": $new}"#,
            r#"{"a": 1, "b": 2}"#,
            Some("at .b: expected $new = `1`, got `2`"),
        );
        check(r#"{"a": "$id-x"}"#, r#"{"a": "7-x"}"#, None);
        let mut captures = known();
        assert!(text("~/crates($made)", "http://h/crates(9)", &mut captures));
        assert_eq!(captures["made"], "9");
        assert!(text("~/$metadata#x", "http://h/$metadata#x", &mut captures));
    }

    #[test]
    fn requests_are_filled_in() {
        let fill = |text, is_json| super::fill(text, &known(), is_json);
        assert_eq!(fill("x($id)?$select=a&$unknown", false), "x(7)?$select=a&$unknown");
        assert_eq!(fill(r#"{"e": "$etag"}"#, true), r#"{"e": "W/\"1\""}"#);
    }
}
