//! Row versions as they stand in `@odata.etag`, `ETag`, `If-Match` and `If-None-Match`.
//!
//! Not here: what a condition means for a request (`webapi`).

/// What an entity tag or a condition names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ETag {
    /// `*`: any version.
    Any,
    /// `W/"123"`: this version.
    Version(i64),
    /// Something else; equal to no version of a standard row.
    Other,
}

/// Reads an entity tag; the weak prefix is optional. `None`: there is none (empty, or the literal
/// `null` that nearly every client sends).
pub fn parse(text: &str) -> Option<ETag> {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return None;
    }
    if text == "*" {
        return Some(ETag::Any);
    }
    let strong = text.strip_prefix("W/").or_else(|| text.strip_prefix("w/")).unwrap_or(text);
    let version = strong
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok());
    Some(version.map_or(ETag::Other, ETag::Version))
}

/// Writes `W/"123"`.
pub fn write(version: i64) -> String {
    format!("W/\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weak_prefix_is_optional_and_null_is_none() {
        let check = |text: &str, want| assert_eq!(parse(text), want, "{text}");
        check("W/\"12\"", Some(ETag::Version(12)));
        check(" \"12\" ", Some(ETag::Version(12)));
        check(&write(i64::MAX), Some(ETag::Version(i64::MAX)));
        check("*", Some(ETag::Any));
        check("null", None);
        check("", None);
        check("W/\"\"", Some(ETag::Other));
        check("W/\"+1\"", Some(ETag::Other));
        check("W/\"99999999999999999999\"", Some(ETag::Other));
        check("\"", Some(ETag::Other));
        check("12", Some(ETag::Other));
    }
}
