//! The options of a query string, decoded once and kept as written.
//!
//! Not here: what an option means. Invariant: no name stands twice.

use crate::odata::limits;
use crate::{Context, Error};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The options of one request.
#[derive(Clone, Debug)]
pub struct Options {
    named: Vec<(Box<str>, String)>,
    /// The page size that the caller prefers.
    pub page_size: Option<u32>,
    /// The greatest page size of the service.
    pub page_size_max: u32,
    /// The most rows that one aggregate may read; none for any number.
    pub aggregate_rows_max: Option<u64>,
    /// When is asked, and by whom.
    pub context: Context,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            page_size: None,
            page_size_max: limits::PAGE_SIZE_MAX,
            aggregate_rows_max: None,
            context: Context::default(),
        }
    }
}

/// The option that holds a FetchXML query; callers write it in any case.
const FETCH_XML: &str = "fetchXml";

/// Options without `$` that ask for another query language.
const LANGUAGES: [&str; 4] = ["fetchXml", "sql", "savedQuery", "userQuery"];

/// System options that the service knows by name, honoured or not.
const KNOWN: [&str; 14] = [
    "$select",
    "$filter",
    "$orderby",
    "$top",
    "$count",
    "$skiptoken",
    "$expand",
    "$apply",
    "$skip",
    "$search",
    "$format",
    "$levels",
    "$compute",
    "$deltatoken",
];

impl Options {
    /// Decodes a raw query string, without its `?`.
    ///
    /// `+` is a space, `$` may come as `%24`, blanks around a name and its value do not count, and
    /// one slash at the very end is dropped (some callers append it to a link that they follow).
    pub fn parse(raw: &str) -> Result<Self, Error> {
        let mut this = Self::default();
        for part in raw.strip_suffix('/').unwrap_or(raw).split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name: Box<str> = decode(name)?.trim().into();
            if name.is_empty() {
                continue;
            }
            if this.get(&name).is_some() {
                return Err(Error::DuplicateOption { name });
            }
            if this.named.len() >= limits::OPTIONS_MAX {
                return Err(Error::refused(format!(
                    "a query string with more than {} options",
                    limits::OPTIONS_MAX
                )));
            }
            this.named.push((name, decode(value)?.trim().to_owned()));
        }
        Ok(this)
    }

    /// Adds an option that is not there yet.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.named.push((name.into(), value.to_owned()));
    }

    /// The value of an option, by its exact name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(known, _)| &**known == name).map(|(_, value)| value.as_str())
    }

    /// The same options, but with this value for one of them; without it where there is none.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.named.retain(|(known, _)| &**known != name);
        self.named.extend(value.map(|value| (name.into(), value.to_owned())));
        self
    }

    /// Names and values, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// Refuses what the request's resource does not honour: every `$` option but these, and the
    /// options that ask for another query language. Aliases and unknown bare names pass.
    pub fn refuse_except(&self, honoured: &[&str]) -> Result<(), Error> {
        for (name, _) in self.iter() {
            let is_fetch = name.eq_ignore_ascii_case(FETCH_XML);
            if is_fetch && honoured.contains(&FETCH_XML) {
                continue;
            }
            if honoured.contains(&name) {
                continue;
            }
            if is_fetch || LANGUAGES.contains(&name) {
                return Err(Error::refused(format!("query option `{name}`")));
            }
            if !name.starts_with('$') {
                continue;
            }
            return Err(match name {
                "$skip" => Error::refused("The query parameter $skip"),
                _ if KNOWN.contains(&name) => {
                    Error::refused(format!("query option `{name}` on this resource"))
                }
                _ => Error::UnknownOption { name: name.into() },
            });
        }
        Ok(())
    }

    /// The FetchXML query, its option in any case.
    pub fn fetch_xml(&self) -> Option<&str> {
        let is_fetch = |name: &str| name.eq_ignore_ascii_case(FETCH_XML);
        self.iter().find(|(name, _)| is_fetch(name)).map(|(_, value)| value)
    }

    /// `$count`: `true` or `false`.
    pub fn count(&self) -> Result<bool, Error> {
        match self.get("$count") {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(value) => Err(bad("$count", value)),
        }
    }

    /// `$top`: a whole number from 0.
    pub(crate) fn top(&self) -> Result<Option<u32>, Error> {
        let Some(text) = self.get("$top") else { return Ok(None) };
        let whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !whole {
            return Err(bad("$top", text));
        }
        // More digits than fit mean more rows than a page holds, whatever they say.
        Ok(Some(text.parse().unwrap_or(u32::MAX)))
    }
}

fn bad(name: &str, value: &str) -> Error {
    Error::BadOption { name: name.into(), value: value.into() }
}

fn decode(text: &str) -> Result<String, Error> {
    let spaced: Cow<'_, str> =
        if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    let bytes: Vec<u8> = percent_decode_str(&spaced).collect();
    String::from_utf8(bytes).map_err(|_| Error::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, want: &[(&str, &str)]) {
        let options = Options::parse(raw).expect("decodes");
        assert_eq!(options.iter().collect::<Vec<_>>(), want, "{raw}");
    }

    #[test]
    fn options_are_decoded_once_and_blanks_around_them_do_not_count() {
        check("", &[]);
        check("$select=a,b&%24top=5", &[("$select", "a,b"), ("$top", "5")]);
        check("$filter=a+eq+'b%2Bc'", &[("$filter", "a eq 'b+c'")]);
        check("%20$top%20=%205%20", &[("$top", "5")]);
        check("$top=5/", &[("$top", "5")]);
        check("$filter=a%20eq%20'%2525'", &[("$filter", "a eq '%25'")]);
        check("&&x", &[("x", "")]);
        check("$filter=name eq 'a=b'", &[("$filter", "name eq 'a=b'")]);
    }

    #[test]
    fn an_option_twice_or_not_text_is_refused() {
        assert_eq!(
            Options::parse("$top=1&%24top=2").map(drop),
            Err(Error::DuplicateOption { name: "$top".into() })
        );
        assert_eq!(Options::parse("a=%ff").map(drop), Err(Error::NotText));
    }

    #[test]
    fn the_number_of_options_is_limited() {
        let many = |count: usize| (0..count).map(|one| format!("&x{one}=1")).collect::<String>();
        assert!(Options::parse(&many(256)).is_ok());
        assert!(Options::parse(&many(257)).is_err());
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        let refuse = |raw: &str| {
            let options = Options::parse(raw).expect("decodes");
            options.refuse_except(&["$select"]).map_err(|err| err.to_string())
        };
        assert_eq!(refuse("$select=a&@p=1&cachebuster=2"), Ok(()));
        let named = |raw: &str, what: &str| {
            let text = refuse(raw).expect_err(raw);
            assert!(text.contains(what), "{raw}: {text}");
        };
        named("$skip=5", "$skip");
        named("$expand=a", "$expand");
        named("$apply=x", "$apply");
        named("$search=x", "$search");
        named("$format=json", "$format");
        named("$deltatoken=1", "$deltatoken");
        named("fetchXml=<fetch/>", "fetchXml");
        named("fetchxml=<fetch/>", "fetchxml");
        named("sql=select", "sql");
        named("savedQuery=1", "savedQuery");
        named("userQuery=1", "userQuery");
        named("$nonsense=1", "$nonsense");
    }
}
