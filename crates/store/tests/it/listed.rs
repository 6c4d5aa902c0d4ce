//! Every test of the suite stands in the macro that engines call.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The words after `start` in a text, up to the first character that is in no name.
fn names<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(|rest| {
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
    })
}

/// The tests that stand in a directory of the suite are those that its macro lists.
fn check(suite: &str, list: &str, tests_min: usize) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let mut written = BTreeSet::new();
    for file in fs::read_dir(source.join(suite)).expect("the suite's files are read") {
        let text =
            fs::read_to_string(file.expect("a file of the suite").path()).expect("it is text");
        written.extend(names(&text, "\npub async fn ").map(str::to_owned));
    }
    let list = fs::read_to_string(source.join(list)).expect("the macro's file is read");
    let listed: BTreeSet<String> = list
        .lines()
        .filter(|line| line.starts_with("                ") && !line.trim().contains(' '))
        .map(|line| line.trim().to_owned())
        .filter(|line| line.contains('_') && line.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect();
    assert!(written.len() > tests_min, "the suite's files are read");
    assert_eq!(written, listed);
}

#[test]
fn the_suite_macro_lists_every_test() {
    check("suite", "../conformance.rs", 70);
}

#[test]
fn the_suite_macro_of_elastic_tables_lists_every_test() {
    check("elastic", "elastic.rs", 30);
}
