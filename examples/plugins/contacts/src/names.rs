//! Normalises the names of contacts before they are written: no blanks around, one between words, a capital first.
//!
//! Register it for `CreateMultiple` and `UpdateMultiple` of `contact` at PreOperation.

use plugin_sdk::{Context, Plugin, Result};

pub struct NormalizeNames;

const COLUMNS: [&str; 3] = ["firstname", "middlename", "lastname"];

impl Plugin for NormalizeNames {
    const NAME: &'static str = "examples.contacts.normalize_names";
    const DESCRIPTION: &'static str = "Normalises first, middle and last names.";

    fn execute(ctx: &Context) -> Result {
        for target in ctx.targets() {
            for column in COLUMNS {
                let Some(value) = target.get(column) else { continue };
                let Some(name) = value.as_text() else { continue };
                let normal = normalize(name);
                if normal != name {
                    target.set(column, normal);
                }
            }
        }
        Ok(())
    }
}

fn normalize(name: &str) -> String {
    let words = name.split_whitespace().map(|word| {
        let mut characters = word.chars();
        match characters.next() {
            // A word with capitals inside (McDonald) was written with care.
            Some(first) if !characters.as_str().chars().any(char::is_uppercase) => {
                first.to_uppercase().chain(characters).collect::<String>()
            }
            Some(_) if word.chars().all(|character| !character.is_lowercase()) => {
                let mut characters = word.chars();
                let first = characters.next();
                first.into_iter().chain(characters.flat_map(char::to_lowercase)).collect()
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
