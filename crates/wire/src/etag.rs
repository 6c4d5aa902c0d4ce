//! Row versions as they stand in `@odata.etag`, `ETag`, `If-Match` and `If-None-Match`.
//!
//! Standard rows show their version as it is, elastic ones as an opaque text of 32 hex digits; both are
//! the same 64 bits, and both forms are read everywhere.
//! Not here: what a condition means for a request (`webapi`).

use model::{TableKind, Uuid};

/// What an entity tag or a condition names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ETag {
    /// `*`: any version.
    Any,
    /// `W/"123"`, or `W/"<8-4-4-4-12 hex>"` of an elastic row: this version.
    Version(i64),
    /// Something else; equal to no version of a row.
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
        .and_then(|text| decimal(text).or_else(|| from_opaque(text)));
    Some(version.map_or(ETag::Other, ETag::Version))
}

fn decimal(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// What stands between the two halves of the version in an opaque tag.
const MIDDLE: u128 = 0x0000_0200_0000;

/// The opaque form: the lower half of the version, a constant, its upper half, zeroes.
fn opaque(version: i64) -> Uuid {
    let version = u128::from(version.cast_unsigned());
    let (low, high) = (version & 0xffff_ffff, version >> 32);
    Uuid::from_u128(low << 96 | MIDDLE << 48 | high << 16)
}

fn from_opaque(text: &str) -> Option<i64> {
    let tag = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()?.as_u128();
    let (low, high) = ((tag >> 96) as u64, (tag >> 16 & 0xffff_ffff) as u64);
    let version = (high << 32 | low).cast_signed();
    (opaque(version).as_u128() == tag).then_some(version)
}

/// Writes the entity tag of a row: `W/"123"`, for elastic rows `W/"<8-4-4-4-12 hex>"`.
pub fn write_for(kind: TableKind, version: i64) -> String {
    match kind {
        TableKind::Standard => write(version),
        TableKind::Elastic => format!("W/\"{}\"", opaque(version)),
    }
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
        let elastic = |version| write_for(TableKind::Elastic, version);
        assert_eq!(elastic(638_751_549_947_120_004), "W/\"82540984-0000-0200-0000-08dd4d260000\"");
        for version in [0, 1, 638_751_549_947_120_004, i64::MAX, -1] {
            check(&elastic(version), Some(ETag::Version(version)));
        }
        check("W/\"e2011275-0000-0300-0000-67af8d320000\"", Some(ETag::Other));
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
