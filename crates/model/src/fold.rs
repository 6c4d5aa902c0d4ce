//! How text is compared: one owner for every engine and the reference evaluator.

use std::borrow::Cow;

/// Folds text for comparison: Unicode lower case, trailing blanks off, accents kept.
///
/// Two texts are equal to a caller exactly if their folds are equal; text is ordered by the bytes of
/// its fold. Cost: no allocation when the text already is its own fold.
pub fn fold(text: &str) -> Cow<'_, str> {
    fold_part(text.trim_end_matches(' '))
}

/// Folds a piece of a text, to be found inside folds: as [`fold`], but its trailing blanks count.
pub fn fold_part(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // Character by character: the final-sigma rule would make a fold depend on its neighbours, so
    // that `contains` on folds would miss matches.
    Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::{fold, fold_part};

    #[test]
    fn case_and_trailing_blanks_do_not_count_and_accents_do() {
        assert_eq!(fold("Crate A  "), "crate a");
        assert_eq!(fold("ÄÖ"), "äö");
        assert_ne!(fold("a"), fold("ä"));
        assert_eq!(fold("ΟΔΟΣ"), "οδοσ");
        assert_eq!(fold(" a"), " a");
        assert_eq!(fold_part("A "), "a ");
    }
}
