//! The `Prefer` header and the annotation filter in it.
//!
//! Not here: honouring a preference. Invariant: reading never fails; what is not known is kept aside.

/// What a caller prefers. Of a preference that is given twice the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `return=representation`: answer with the record as written.
    pub return_representation: bool,
    /// `odata.maxpagesize=n`, n at least 1.
    pub max_page_size: Option<u32>,
    /// `odata.include-annotations=…`
    pub include_annotations: Option<AnnotationFilter>,
    /// `odata.track-changes`
    pub track_changes: bool,
    /// `odata.continue-on-error` (`=false` switches it off)
    pub continue_on_error: bool,
    /// `respond-async`
    pub respond_async: bool,
    /// Preferences that are none of these, or whose value cannot be read, as they came.
    pub unknown: Vec<String>,
}

/// Which annotations a caller wants, by name patterns.
///
/// The longest pattern that matches decides; where a name is both asked for and excluded by patterns
/// of one length, it is excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnotationFilter {
    written: String,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    excludes: bool,
    /// Text that the name must begin with, or must be.
    text: String,
    is_prefix: bool,
}

impl Prefer {
    /// Reads all values of all `Prefer` headers of a request.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut this = Self::default();
        let mut seen = Vec::<String>::new();
        // A bare annotation list goes on over commas: `odata.include-annotations=a.b,c.d`.
        let mut open_list: Option<String> = None;
        for part in values.into_iter().flat_map(|value| split_outside_quotes(value, ',')) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let (name, value) = name_and_value(part);
            if let Some(list) = &mut open_list {
                if value.is_none() && !is_known(&name) && looks_like_annotation(part) {
                    list.push(',');
                    list.push_str(part);
                    continue;
                }
                this.close_list(&mut open_list);
            }
            if seen.contains(&name) {
                continue;
            }
            let understood = match name.as_str() {
                "include-annotations" => {
                    let value = value.unwrap_or("");
                    if value.starts_with('"') {
                        this.include_annotations = Some(AnnotationFilter::parse(value));
                    } else {
                        open_list = Some(value.to_owned());
                    }
                    true
                }
                _ => this.take(&name, value.map(unquoted)),
            };
            if understood {
                seen.push(name);
            } else {
                this.unknown.push(part.to_owned());
            }
        }
        this.close_list(&mut open_list);
        this
    }

    fn close_list(&mut self, list: &mut Option<String>) {
        if let Some(list) = list.take() {
            self.include_annotations = Some(AnnotationFilter::parse(&list));
        }
    }

    fn take(&mut self, name: &str, value: Option<&str>) -> bool {
        match (name, value) {
            ("return", Some(value)) if value.eq_ignore_ascii_case("representation") => {
                self.return_representation = true;
            }
            ("return", Some(value)) if value.eq_ignore_ascii_case("minimal") => {}
            ("maxpagesize", Some(value)) => match value.parse() {
                Ok(size) if size > 0 => self.max_page_size = Some(size),
                _ => return false,
            },
            ("track-changes", None) => self.track_changes = true,
            ("continue-on-error", None) => self.continue_on_error = true,
            ("continue-on-error", Some(value)) => match value.to_ascii_lowercase().as_str() {
                "true" => self.continue_on_error = true,
                "false" => {}
                _ => return false,
            },
            ("respond-async", None) => self.respond_async = true,
            _ => return false,
        }
        true
    }
}

impl AnnotationFilter {
    /// Reads the value of `odata.include-annotations`, with or without quotes.
    pub fn parse(value: &str) -> Self {
        let list = unquoted(value.trim());
        let patterns = list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| {
                let (excludes, item) =
                    item.strip_prefix('-').map_or((false, item), |item| (true, item));
                let item = item.strip_prefix('@').unwrap_or(item);
                let (text, is_prefix) =
                    item.strip_suffix('*').map_or((item, false), |item| (item, true));
                Pattern { excludes, text: text.to_owned(), is_prefix }
            })
            .collect();
        Self { written: list.to_owned(), patterns }
    }

    /// Tells whether an annotation is wanted; `name` without `@` and without the property it is on.
    pub fn matches(&self, name: &str) -> bool {
        self.patterns
            .iter()
            .filter(|pattern| match pattern.is_prefix {
                true => name.starts_with(&pattern.text),
                false => name == pattern.text,
            })
            .max_by_key(|pattern| (!pattern.is_prefix, pattern.text.len(), pattern.excludes))
            .is_some_and(|pattern| !pattern.excludes)
    }

    /// The list as it was given, without quotes; for `Preference-Applied`.
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

/// Lower-case name without the `odata.` prefix, and the value with its quotes but without parameters.
fn name_and_value(part: &str) -> (String, Option<&str>) {
    let part = split_outside_quotes(part, ';').next().unwrap_or(part).trim();
    let (name, value) = match part.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (part, None),
    };
    let name = name.to_ascii_lowercase();
    (name.strip_prefix("odata.").map(str::to_owned).unwrap_or(name), value)
}

fn is_known(name: &str) -> bool {
    matches!(
        name,
        "return"
            | "maxpagesize"
            | "include-annotations"
            | "track-changes"
            | "continue-on-error"
            | "respond-async"
            | "allow-entityreferences"
    )
}

fn looks_like_annotation(part: &str) -> bool {
    part.contains(['.', '*', '@']) || part.starts_with('-')
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').map_or(text, |rest| rest.strip_suffix('"').unwrap_or(rest)).trim()
}

/// Splits at a separator, but not between double quotes.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], want: &str) {
        let prefer = Prefer::parse(values.iter().copied());
        let mut got = Vec::new();
        if prefer.return_representation {
            got.push("representation".to_owned());
        }
        if let Some(size) = prefer.max_page_size {
            got.push(format!("page={size}"));
        }
        if let Some(filter) = &prefer.include_annotations {
            got.push(format!("annotations={}", filter.as_written()));
        }
        for (flag, name) in [
            (prefer.track_changes, "track"),
            (prefer.continue_on_error, "continue"),
            (prefer.respond_async, "async"),
        ] {
            if flag {
                got.push(name.to_owned());
            }
        }
        got.extend(prefer.unknown.iter().map(|unknown| format!("?{unknown}")));
        assert_eq!(got.join(" "), want, "{values:?}");
    }

    #[test]
    fn preferences_come_joined_or_repeated_and_quotes_hide_commas() {
        check(&[], "");
        check(&["return=representation"], "representation");
        check(&["return=minimal"], "");
        check(
            &["return=representation,odata.include-annotations=\"*\""],
            "representation annotations=*",
        );
        check(
            &["odata.include-annotations=\"a.b, c.d\", odata.maxpagesize=50"],
            "page=50 annotations=a.b, c.d",
        );
        check(&["odata.maxpagesize=50", "RETURN=Representation"], "representation page=50");
        check(&["odata.include-annotations=a.b,c.*,respond-async"], "annotations=a.b,c.* async");
        check(&["odata.include-annotations=*"], "annotations=*");
        check(&["odata.include-annotations=\"\""], "annotations=");
        check(&["odata.continue-on-error, odata.track-changes"], "track continue");
        check(&["odata.continue-on-error=false"], "");
        check(&["respond-async; odata.callback;url=\"https://x,y\""], "async");
        check(&["odata.maxpagesize=10, odata.maxpagesize=20"], "page=10");
    }

    #[test]
    fn what_is_not_known_is_kept_aside() {
        check(&["wait=5, odata.maxpagesize=0, x"], "?wait=5 ?odata.maxpagesize=0 ?x");
        check(&["return=nothing"], "?return=nothing");
        check(&["\"", ",,,", "=", "é=ü"], "?\" ?= ?é=ü");
    }

    #[test]
    fn annotations_match_by_name_by_prefix_and_not_when_excluded() {
        let check = |filter, name, want| {
            assert_eq!(AnnotationFilter::parse(filter).matches(name), want, "{filter} {name}");
        };
        let lookup = "Microsoft.Dynamics.CRM.lookuplogicalname";
        check("*", lookup, true);
        check("\"*\"", lookup, true);
        check("Microsoft.Dynamics.CRM.*", lookup, true);
        check("Microsoft.Dynamics.CRM*", lookup, true);
        check("Microsoft.Dynamics.CRM", lookup, false);
        check(lookup, lookup, true);
        check("a, Microsoft.Dynamics.CRM.lookuplogicalname", lookup, true);
        check("*,-Microsoft.Dynamics.CRM.*", lookup, false);
        check("-*,Microsoft.Dynamics.CRM.lookuplogicalname", lookup, true);
        check("*,-*", lookup, false);
        check("", lookup, false);
        check("microsoft.dynamics.crm.*", lookup, false);
    }
}
