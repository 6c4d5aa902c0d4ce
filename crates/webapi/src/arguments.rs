//! The parameters of functions, as they stand between parentheses: `Name=value,Other=@p`.
//!
//! A value is what a URL can say (`'text'`, numbers, `true`, ids, dates, `Some.Enum'Member'`) or JSON, whose
//! texts may stand in single quotes, too. An alias (`@p`) stands for the option of that name; without
//! one it is null. Source: webapi.md 20.1 and 20.2. Not here: which parameters a function has.
//! Invariant: every value comes out as JSON; text that is no value of any kind is refused.

use query::odata::Options;
use serde_json::Value;

/// Named values in the order in which they stand.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments(Vec<(String, Value)>);

impl Arguments {
    /// Reads what stands between the parentheses. `None`: it is no list of parameters.
    pub(crate) fn read(inside: &str, options: &Options) -> Option<Self> {
        let mut named: Vec<(String, Value)> = Vec::new();
        for part in split(inside, ',') {
            let part = part.trim();
            if part.is_empty() && inside.trim().is_empty() {
                continue;
            }
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_name || named.iter().any(|(known, _)| known == name) {
                return None;
            }
            let value = match value.starts_with('@') {
                true => options.get(value).map_or(Some(Value::Null), literal)?,
                false => literal(value)?,
            };
            named.push((name.to_owned(), value));
        }
        Some(Self(named))
    }

    /// The value of a parameter; null where it is not given.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.0.iter().find(|(known, _)| known == name).map_or(&Value::Null, |(_, value)| value)
    }

    /// Whether nothing but these is given.
    pub(crate) fn are_among(&self, names: &[&str]) -> bool {
        self.0.iter().all(|(name, _)| names.contains(&name.as_str()))
    }
}

/// Reads one value.
fn literal(text: &str) -> Option<Value> {
    let text = text.trim();
    match text.chars().next()? {
        '[' | '{' | '"' => serde_json::from_str(&double_quoted(text)).ok(),
        '\'' => quoted(text).map(Value::from),
        _ if text.ends_with('\'') => {
            // `Microsoft.Dynamics.CRM.EndpointAccessType'Default'`
            let (kind, member) = text.split_at(text.find('\'')?);
            let is_kind = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
            quoted(member).filter(|_| kind.bytes().all(is_kind)).map(Value::from)
        }
        _ => match text {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => match serde_json::from_str::<serde_json::Number>(text) {
                Ok(number) => Some(Value::Number(number)),
                // Ids and dates stand bare.
                Err(_) => {
                    let is_plain = |byte: u8| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.' | b'+')
                    };
                    text.bytes().all(is_plain).then(|| Value::from(text))
                }
            },
        },
    }
}

/// The text between single quotes, doubled ones made single.
fn quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character == '\'' && characters.next() != Some('\'') {
            return None;
        }
        out.push(character);
    }
    Some(out)
}

/// JSON with texts in single quotes as JSON proper.
fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                while let Some(inner) = characters.next() {
                    out.push(inner);
                    match inner {
                        '"' => break,
                        '\\' => out.extend(characters.next()),
                        _ => {}
                    }
                }
            }
            '\'' => {
                let mut inner = String::new();
                while let Some(next) = characters.next() {
                    if next == '\'' && characters.next_if_eq(&'\'').is_none() {
                        break;
                    }
                    inner.push(next);
                }
                out.push_str(&Value::from(inner).to_string());
            }
            other => out.push(other),
        }
    }
    out
}

/// Splits where the sign stands outside quotes, brackets and braces.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut quote, mut depth, mut escaped) = (None, 0_usize, false);
    text.split(move |character: char| {
        match (quote, character) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                return false;
            }
            (Some(open), _) if character == open && !escaped => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth = depth.saturating_sub(1),
            (None, _) => return depth == 0 && character == at,
        }
        escaped = false;
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(inside: &str, query: &str, want: Option<Value>) {
        let options = Options::parse(query).expect("options");
        let read = Arguments::read(inside, &options)
            .map(|read| Value::Object(read.0.into_iter().collect()));
        assert_eq!(read, want, "{inside} ? {query}");
    }

    #[test]
    fn values_are_read_in_all_their_spellings() {
        check("", "", Some(json!({})));
        check(" ", "", Some(json!({})));
        check("A=1,B='it''s, so',C=true", "", Some(json!({"A": 1, "B": "it's, so", "C": true})));
        check("A=-1.5,B=null", "", Some(json!({"A": -1.5, "B": null})));
        check("A=Microsoft.Dynamics.CRM.Kind'Some'", "", Some(json!({"A": "Some"})));
        let id = "11111111-2222-4333-8444-555555555501";
        check(&format!("A={id}"), "", Some(json!({"A": id})));
        check("A=2024-01-31T08:15:00Z", "", Some(json!({"A": "2024-01-31T08:15:00Z"})));
        check("A=['x','y\"z'],B=[1,2]", "", Some(json!({"A": ["x", "y\"z"], "B": [1, 2]})));
        check("A={'@odata.id':'a(1)'}", "", Some(json!({"A": {"@odata.id": "a(1)"}})));
        check("A=@p,B=@q", "@p=[\"x,y\"]", Some(json!({"A": ["x,y"], "B": null})));
        check("A=@p", "@p={\"a\":\"it's\"}", Some(json!({"A": {"a": "it's"}})));
    }

    #[test]
    fn what_is_no_list_of_values_is_refused() {
        for inside in
            ["A", "A=", "=1", "A=1,A=2", "A='x", "A='x'y'", "A=[1", "A={", "A=a b", "A=1,", "A=x'y"]
        {
            check(inside, "", None);
        }
    }
}
