//! What the names of tables, columns, keys and relationships may be.
//!
//! Source: `metadata.md` 10 and `webapi.md` 4.2.

use model::{Fault, code};

/// Longest schema name.
const NAME_LENGTH_MAX: usize = 100;

/// Checks a schema name: `prefix_Name`, prefix of 2 to 8 letters and digits, not `mscrm`.
pub(super) fn check(schema_name: &str, what: &str) -> Result<(), Fault> {
    let refuse = |hint: &str| {
        Err(Fault::new(
            code::INVALID_NAME_PREFIX,
            format!(
                "The schema name {schema_name} for type {what} is invalid or missing. Custom attribute, entity, entitykey, option set and relationship names must start with a valid customization prefix."
            ),
        )
        .with_hint(hint))
    };
    if schema_name.len() > NAME_LENGTH_MAX {
        return refuse("a name has at most 100 characters");
    }
    let Some((prefix, rest)) = schema_name.split_once('_') else {
        return refuse("write it as `new_Name`: a prefix, an underscore, a name");
    };
    let letters =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !(2..=8).contains(&prefix.len())
        || !prefix.starts_with(|first: char| first.is_ascii_alphabetic())
        || !letters(prefix)
        || prefix.eq_ignore_ascii_case("mscrm")
    {
        return refuse(
            "a prefix has 2 to 8 letters and digits, starts with a letter and is not `mscrm`",
        );
    }
    if rest.is_empty() || !letters(rest) {
        return refuse("after the prefix come letters, digits and underscores");
    }
    Ok(())
}

/// Checks an entity set name: letters, digits and underscores, starting with a letter.
pub(super) fn check_set(name: &str) -> Result<(), Fault> {
    let fine = name.len() <= NAME_LENGTH_MAX + 2
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fine {
        return Ok(());
    }
    Err(Fault::new(
        code::INVALID_COLLECTION_NAME,
        format!("The entity set name {name} is invalid."),
    )
    .with_hint("it has letters, digits and underscores and starts with a letter"))
}

/// The plural of a name, by the rules that the platform seems to follow.
pub(super) fn plural(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if ends(&["s", "x", "z", "ch", "sh"]) {
        return format!("{name}es");
    }
    let vowel_before_y = ends(&["ay", "ey", "iy", "oy", "uy"]);
    match name.strip_suffix(['y', 'Y']) {
        Some(stem) if !vowel_before_y => format!("{stem}ies"),
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_follow_the_english_rules() {
        for (name, want) in [
            ("ship_crate", "ship_crates"),
            ("ship_box", "ship_boxes"),
            ("new_city", "new_cities"),
            ("new_day", "new_days"),
            ("new_bus", "new_buses"),
            ("new_Dish", "new_Dishes"),
        ] {
            assert_eq!(plural(name), want);
        }
    }

    #[test]
    fn names_need_a_prefix() {
        for (name, fine) in [
            ("new_Name", true),
            ("ship_a_b", true),
            ("a_Name", false),
            ("toolongprefix_Name", false),
            ("1ab_Name", false),
            ("mscrm_Name", false),
            ("new_", false),
            ("new", false),
            ("new_Ñ", false),
            ("", false),
        ] {
            assert_eq!(check(name, "Entity").is_ok(), fine, "{name}");
        }
    }
}
