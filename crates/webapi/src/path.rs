//! The path of a request: version and segments, before any name is looked up.
//!
//! Tolerated, as callers send it: double and trailing slashes, any case of `/api/data/vX.Y`, slashes
//! inside a quoted key. Not here: what a segment means (`route`).

use percent_encoding::percent_decode_str;

/// Versions of the API that are served alike.
const VERSIONS: [&str; 3] = ["v9.0", "v9.1", "v9.2"];

/// A path below `/api/data/`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    /// The version as it is echoed: lower case.
    pub(crate) version: &'static str,
    /// What follows, in order; none for the service document.
    pub(crate) segments: Vec<Segment>,
}

/// One piece between slashes: `accounts`, or `accounts(…)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    /// The name, decoded.
    pub(crate) name: String,
    /// What stands in the parentheses, decoded.
    pub(crate) key: Option<String>,
    /// The whole segment as it was sent.
    pub(crate) raw: String,
}

/// Why a path is none of this service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bad {
    /// It is outside `/api/data/v9.x`.
    Outside,
    /// It is not UTF-8 after decoding.
    NotText,
    /// Parentheses without an end, or text after them.
    Malformed,
}

/// Path and query of a target, which may be a whole URL.
pub(crate) fn split_target(target: &str) -> (&str, &str) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path
        .split_once("://")
        .filter(|(scheme, _)| scheme.chars().all(char::is_alphabetic))
        .map_or(path, |(_, rest)| {
            rest.find('/').and_then(|place| rest.get(place..)).unwrap_or("/")
        });
    (path, query)
}

/// Reads a path.
pub(crate) fn parse(path: &str) -> Result<Path, Bad> {
    let mut pieces = pieces(path).into_iter();
    let mut next_is =
        |wanted: &str| pieces.next().is_some_and(|piece| piece.eq_ignore_ascii_case(wanted));
    if !next_is("api") || !next_is("data") {
        return Err(Bad::Outside);
    }
    let version = pieces.next().ok_or(Bad::Outside)?;
    let version = VERSIONS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(version))
        .ok_or(Bad::Outside)?;
    let segments = pieces.map(segment).collect::<Result<_, _>>()?;
    Ok(Path { version, segments })
}

/// The non-empty pieces between slashes; slashes inside a quoted text in parentheses do not count.
fn pieces(path: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut depth, mut quoted) = (0usize, false);
    let (mut start, mut place) = (0, 0);
    while let Some(rest) = path.get(place..).filter(|rest| !rest.is_empty()) {
        let encoded_quote = rest.starts_with("%27");
        let next = rest.chars().next().map_or(1, char::len_utf8);
        match rest.as_bytes().first() {
            Some(b'\'') if depth > 0 => quoted = !quoted,
            _ if encoded_quote && depth > 0 => quoted = !quoted,
            Some(b'(') if !quoted => depth += 1,
            Some(b')') if !quoted => depth = depth.saturating_sub(1),
            Some(b'/') if !quoted => {
                pieces.extend(path.get(start..place).filter(|piece| !piece.is_empty()));
                start = place + 1;
            }
            _ => {}
        }
        place += if encoded_quote { 3 } else { next };
    }
    pieces.extend(path.get(start..).filter(|piece| !piece.is_empty()));
    pieces
}

fn segment(raw: &str) -> Result<Segment, Bad> {
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| Bad::NotText)?;
    let (name, key) = match decoded.split_once('(') {
        None => (&*decoded, None),
        Some((name, rest)) => {
            let inside = rest.strip_suffix(')').ok_or(Bad::Malformed)?;
            (name, Some(inside.to_owned()))
        }
    };
    Ok(Segment { name: name.to_owned(), key, raw: raw.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version, then `name` or `name<key>` per segment.
    fn check(path: &str, want: &str) {
        let got = match parse(path) {
            Err(bad) => format!("{bad:?}"),
            Ok(path) => {
                let segments = path.segments.iter().map(|segment| match &segment.key {
                    Some(key) => format!("{}<{key}>", segment.name),
                    None => segment.name.clone(),
                });
                std::iter::once(path.version.to_owned())
                    .chain(segments)
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        };
        assert_eq!(got, want, "{path}");
    }

    #[test]
    fn slashes_and_the_case_of_the_prefix_do_not_matter() {
        check("/api/data/v9.2", "v9.2");
        check("/api/data/v9.2/", "v9.2");
        check("/API/Data/V9.0//accounts//", "v9.0 accounts");
        check("//api/data/v9.1/accounts/$count", "v9.1 accounts $count");
    }

    #[test]
    fn keys_are_decoded_and_quoted_slashes_stay() {
        check("/api/data/v9.2/a(1)/name", "v9.2 a<1> name");
        check("/api/data/v9.2/a(k='x/y')/name", "v9.2 a<k='x/y'> name");
        check("/api/data/v9.2/a(k=%27x/y%27)/name", "v9.2 a<k='x/y'> name");
        check("/api/data/v9.2/a(k='x%2Fy')", "v9.2 a<k='x/y'>");
        check("/api/data/v9.2/a(k='it''s/(')/b", "v9.2 a<k='it''s/('> b");
        check("/api/data/v9.2/a%28k='%C3%BC'%29", "v9.2 a<k='ü'>");
        check("/api/data/v9.2/WhoAmI()", "v9.2 WhoAmI<>");
    }

    #[test]
    fn what_is_no_address_of_the_service_is_told() {
        check("/", "Outside");
        check("/api/data", "Outside");
        check("/api/data/v8.2/accounts", "Outside");
        check("/api/search/v9.2", "Outside");
        check("/api/data/v9.2/a%ff", "NotText");
        check("/api/data/v9.2/a(1", "Malformed");
        check("/api/data/v9.2/a(1)b", "Malformed");
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        assert_eq!(split_target("https://h:1/api?x=1?2"), ("/api", "x=1?2"));
        assert_eq!(split_target("/api/data?u=http://x/y"), ("/api/data", "u=http://x/y"));
        assert_eq!(split_target("http://h"), ("/", ""));
        assert_eq!(split_target(""), ("", ""));
    }
}
