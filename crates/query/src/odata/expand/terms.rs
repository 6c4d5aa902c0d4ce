//! The text of `$expand`: names with options in parentheses, inside each other. No name is bound.
//!
//! Invariant: what is expanded is counted before it is read deeper, so that depth is bounded, too.

use crate::Error;
use crate::odata::limits;

/// `navigation`, `navigation/$ref` or `navigation(option;option)`.
pub(super) struct Term<'a> {
    pub(super) name: &'a str,
    /// `/$ref` follows the name.
    pub(super) only_link: bool,
    /// The options but `$expand`, each once.
    pub(super) options: Vec<(&'a str, &'a str)>,
    /// What its own `$expand` names.
    pub(super) inner: Vec<Term<'a>>,
    inner_text: Option<&'a str>,
}

impl Term<'_> {
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The option `$expand`, as it was written.
    pub(super) fn inner_as_written(&self) -> Option<(Box<str>, Box<str>)> {
        self.inner_text.map(|text| ("$expand".into(), text.into()))
    }
}

/// Reads the whole text.
pub(super) fn parse(text: &str) -> Result<Vec<Term<'_>>, Error> {
    terms(text, &mut 0)
}

fn terms<'a>(text: &'a str, count: &mut usize) -> Result<Vec<Term<'a>>, Error> {
    let mut all = Vec::new();
    for item in cut(text, ',')? {
        *count += 1;
        if *count > limits::EXPANDED_MAX {
            return Err(Error::refused(format!(
                "$expand of more than {} navigation properties",
                limits::EXPANDED_MAX
            )));
        }
        all.push(term(item, count)?);
    }
    Ok(all)
}

fn term<'a>(item: &'a str, count: &mut usize) -> Result<Term<'a>, Error> {
    let (name, options) = match item.split_once('(') {
        Some((name, rest)) => {
            let inside = rest.strip_suffix(')').ok_or_else(|| bad(item))?;
            (name.trim(), Some(inside))
        }
        None => (item, None),
    };
    let (name, only_link) = match name.strip_suffix("/$ref") {
        Some(name) => (name, true),
        None => (name, false),
    };
    if name.is_empty() {
        return Err(bad(item));
    }
    if name == "*" || name.contains('/') {
        return Err(Error::refused(format!("`{name}` in $expand")));
    }
    let mut this =
        Term { name, only_link, options: Vec::new(), inner: Vec::new(), inner_text: None };
    for option in options.map_or(Ok(Vec::new()), |options| cut(options, ';'))? {
        let (key, value) = option.split_once('=').ok_or_else(|| bad(option))?;
        let (key, value) = (key.trim(), value.trim());
        if this.option(key).is_some() || key == "$expand" && this.inner_text.is_some() {
            return Err(Error::refused(format!("option `{key}` of `{name}` twice in $expand")));
        }
        if key == "$expand" {
            this.inner = terms(value, count)?;
            this.inner_text = Some(value);
        } else {
            this.options.push((key, value));
        }
    }
    Ok(this)
}

fn bad(text: &str) -> Error {
    Error::BadTerm { term: text.into() }
}

/// Cuts a text at a sign outside of parentheses and quotes; blanks around the parts do not count.
pub(in crate::odata) fn cut(text: &str, sign: char) -> Result<Vec<&str>, Error> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (place, character) in text.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| bad(text))?,
            _ if character == sign && depth == 0 => {
                parts.push(text.get(start..place).unwrap_or_default().trim());
                start = place + character.len_utf8();
            }
            _ => {}
        }
    }
    if depth > 0 || quoted {
        return Err(bad(text));
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    Ok(parts)
}
