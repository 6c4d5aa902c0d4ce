//! Whether the scenarios cover what `conformance/COVERAGE.md` says they do.
//!
//! In: the files, the document. Out: complaints, one sentence each.
//! Not here: whether the scenarios hold. Invariant: a tag or code is covered by a file or has a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::folder::File;
use super::parse::parse;

/// What a row of the document says about its tag or code.
const PLAYED: &str = "scenarios";

/// Compares the files with the document.
#[must_use]
pub fn complaints(files: &[File], document: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut tags = BTreeSet::new();
    for file in files {
        let scenario = match parse(&file.text) {
            Ok(scenario) => scenario,
            Err(bad) => {
                complaints.push(format!("{}:{}: {}", file.place, bad.line, bad.why));
                continue;
            }
        };
        if slug(&scenario.sentence) != file.stem() {
            let name = slug(&scenario.sentence);
            complaints.push(format!("{}: the sentence would be called `{name}`", file.place));
        }
        tags.extend(scenario.sources.iter().flat_map(|source| tags_of(source)));
    }
    let rows = rows(document);
    for tag in &tags {
        if !rows.contains_key(tag.as_str()) {
            complaints.push(format!("COVERAGE.md: {tag} is used and has no row"));
        }
    }
    for (name, place) in &rows {
        let is_there = match is_rule(name) {
            true => tags.contains(*name),
            false => files.iter().any(|file| file.text.contains(&format!("\"{name}\""))),
        };
        if *place == PLAYED && !is_there {
            complaints.push(format!("COVERAGE.md: no scenario covers {name}"));
        }
        if place.is_empty() {
            complaints.push(format!("COVERAGE.md: {name} has neither a scenario nor a reason"));
        }
    }
    complaints
}

/// The file name of a sentence.
fn slug(sentence: &str) -> String {
    let plain = sentence.replace("'s", "s").to_lowercase();
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// Contracts whose rules have rows of their own, beside that of bulk, whose tags begin with `§`.
const CONTRACTS: [&str; 2] = ["webapi", "metadata"];

/// The rules that a source line names: `§1.8.5` as it stands, `webapi.md 12.2, 12.5` as `webapi 12.2` and
/// `webapi 12.5`.
fn tags_of(source: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for part in source.split(';') {
        let mut contract = None;
        for word in part.split(|c: char| c.is_whitespace() || c == ',') {
            let named = word.strip_suffix(".md").filter(|name| CONTRACTS.contains(name));
            if word.starts_with('§') {
                tags.push(word.to_owned());
            } else if let Some(named) = named {
                contract = Some(named);
            } else if let Some(contract) = contract
                && word.starts_with(|first: char| first.is_ascii_digit())
            {
                tags.push(format!("{contract} {word}"));
            } else if !word.is_empty() {
                contract = None;
            }
        }
    }
    tags
}

/// Whether a row of the document is about a rule, and not about a code.
fn is_rule(name: &str) -> bool {
    let is_of =
        |contract: &str| name.strip_prefix(contract).is_some_and(|rest| rest.starts_with(' '));
    name.starts_with('§') || CONTRACTS.into_iter().any(is_of)
}

/// The first column of the document's tables, without its quotes, and the last.
fn rows(document: &str) -> BTreeMap<&str, &str> {
    let cells = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    cells
        .filter_map(|line| {
            let name = line.split(" | ").next()?.trim_matches('`');
            let place = line.rsplit(" | ").next()?.trim();
            (is_rule(name) || name.starts_with("0x")).then_some((name, place))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{fixture, folder};

    /// Every code that a bulk message on a standard table can answer for what a caller sent.
    const STANDARD_CODES: [&str; 20] = [
        "0x80040203",
        "0x80040216",
        "0x80040217",
        "0x80040219",
        "0x80040229",
        "0x80040237",
        "0x80040278",
        "0x80041102",
        "0x80041103",
        "0x8004431a",
        "0x8004432f",
        "0x80044330",
        "0x80044331",
        "0x80048408",
        "0x80048d19",
        "0x80060882",
        "0x80060883",
        "0x80060888",
        "0x80060891",
        "0x80060892",
    ];

    /// The tests that a row names: `webapi/tests/it/limits.rs` and its like.
    fn tests_of(place: &str) -> impl Iterator<Item = &str> {
        place
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|piece| piece.ends_with(".rs") && piece.contains('/'))
    }

    fn check(text: &str, document: &str, want: &[&str]) {
        let file = File { place: "a/it_works.http".to_owned(), text: text.to_owned() };
        assert_eq!(complaints(&[file], document), want);
    }

    #[test]
    fn tags_and_codes_are_covered_or_have_a_reason() {
        let text = "# It works.\n# source: bulk.md §1.3, x\ntables: standard\n\nGET /a\n----\n404 {\"code\": \"0x80040217\"}\n";
        check(text, "| §1.3 | a | scenarios |\n| `0x80040217` | scenarios |\n", &[]);
        check(text, "", &["COVERAGE.md: §1.3 is used and has no row"]);
        check(
            text,
            "| §1.3 | a | scenarios |\n| §1.4 | b | scenarios |\n| §1.5 | c | a reason |\n| `0x80040203` | scenarios |",
            &["COVERAGE.md: no scenario covers 0x80040203", "COVERAGE.md: no scenario covers §1.4"],
        );
        check(
            &text.replace(
                "bulk.md §1.3, x",
                "webapi.md 12.2, 12.5; metadata.md, \"Seeds\"; query.md 4",
            ),
            "| webapi 12.2 | a | scenarios |\n| metadata 4.1 | b | scenarios |",
            &[
                "COVERAGE.md: webapi 12.5 is used and has no row",
                "COVERAGE.md: no scenario covers metadata 4.1",
            ],
        );
        check(
            &text.replace("It works.", "It does not."),
            "| §1.3 | a | scenarios |",
            &["a/it_works.http: the sentence would be called `it_does_not`"],
        );
    }

    #[test]
    fn every_behaviour_of_the_contract_has_a_scenario_or_a_reason() {
        let home = folder::home();
        let files = folder::read(&home, fixture::PREFIX).expect("conformance/ is there").scenarios;
        let document = std::fs::read_to_string(home.join("COVERAGE.md")).expect("it is there");
        assert_eq!(complaints(&files, &document), Vec::<String>::new());
        let rows = rows(&document);
        for test in rows.values().flat_map(|place| tests_of(place)) {
            assert!(home.join("../crates").join(test).is_file(), "there is no {test}");
        }
        let errors = std::fs::read_to_string(home.join("../docs/errors.md")).expect("it is there");
        for line in errors.lines() {
            let code = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
            if let Some(code) = code.filter(|code| code.starts_with("0x")) {
                assert!(rows.contains_key(code), "{code} of docs/errors.md has no row");
            }
        }
        for code in STANDARD_CODES {
            assert_eq!(rows.get(code), Some(&PLAYED), "{code}");
            let is_standard = |file: &File| {
                parse(&file.text).is_ok_and(|scenario| scenario.needs.is_empty())
                    && file.text.contains(&format!("\"{code}\""))
            };
            assert!(files.iter().any(is_standard), "{code} in a file that needs no feature");
        }
    }
}
