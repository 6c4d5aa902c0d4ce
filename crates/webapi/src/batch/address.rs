//! The address of a part: absolute, from the service root, or from a record of the same change set.
//!
//! Source: bulk.md 5.1 and 5.4, clients.md 6.1. Not here: references in bodies (`wire::batch`).

use crate::path;
use std::collections::HashMap;
use wire::Error;

/// Content-IDs of a change set so far, and the address of the record of each: `accounts(…)`.
pub(super) type Known = HashMap<String, String>;

/// What the service root has that begins with `$`; anything else that does is a Content-ID.
const OWN: [&str; 5] = ["batch", "metadata", "entity", "all", "crossjoin"];

/// The target as a request of its own would have it: blanks escaped, `/api/data/v9.2/` in front, and
/// the address of a record in place of `$1`.
///
/// Errors: [`Error::UnknownContentId`].
pub(super) fn absolute(
    target: &str,
    version: &'static str,
    known: &Known,
) -> Result<String, Error> {
    // Some clients leave blanks as they are.
    let target = target.replace(' ', "%20");
    let has_scheme = path::split_target(&target).0 != target.split('?').next().unwrap_or_default();
    let target = match has_scheme || target.starts_with('/') {
        true => target,
        false => format!("/api/data/{version}/{target}"),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*target, None),
    };
    let (own_path, _) = path::split_target(path);
    // "", "api", "data", "v9.2", and what is below.
    let Some(below) = own_path.splitn(5, '/').nth(4) else { return Ok(target) };
    let Some(reference) = below.strip_prefix('$') else { return Ok(target) };
    let (id, rest) = reference.split_at(reference.find('/').unwrap_or(reference.len()));
    let Some(address) = known.get(id) else {
        let is_own = OWN.contains(&id.split('(').next().unwrap_or_default());
        return if is_own {
            Ok(target)
        } else {
            Err(Error::UnknownContentId { id: id.to_owned() })
        };
    };
    let root = path.strip_suffix(below).unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{root}{address}{rest}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, want: Result<&str, &str>) {
        let known = Known::from([("1".to_owned(), "accounts(7)".to_owned())]);
        let got = absolute(target, "v9.2", &known);
        let got = match &got {
            Ok(target) => Ok(target.as_str()),
            Err(Error::UnknownContentId { id }) => Err(id.as_str()),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(got, want, "{target}");
    }

    #[test]
    fn addresses_may_be_absolute_rooted_or_relative() {
        for same in [
            "https://h:1/api/data/v9.1/accounts?$top=1",
            "/api/data/v9.0/accounts(7)/name",
            "/elsewhere",
        ] {
            check(same, Ok(same));
        }
        check("accounts", Ok("/api/data/v9.2/accounts"));
        check(
            "accounts?$filter=name eq 'a b'",
            Ok("/api/data/v9.2/accounts?$filter=name%20eq%20'a%20b'"),
        );
        check("a?x=http://y", Ok("/api/data/v9.2/a?x=http://y"));
        check("$metadata", Ok("/api/data/v9.2/$metadata"));
    }

    #[test]
    fn content_ids_stand_for_records() {
        check("$1", Ok("/api/data/v9.2/accounts(7)"));
        check("$1/name", Ok("/api/data/v9.2/accounts(7)/name"));
        check("$1/nav/$ref?$select=a", Ok("/api/data/v9.2/accounts(7)/nav/$ref?$select=a"));
        check("/api/data/v9.0/$1", Ok("/api/data/v9.0/accounts(7)"));
        check("https://h/api/data/v9.2/$1/x", Ok("https://h/api/data/v9.2/accounts(7)/x"));
        check("$2", Err("2"));
        check("/api/data/v9.2/$2/name", Err("2"));
        check("$", Err(""));
    }
}
