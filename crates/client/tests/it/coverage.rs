//! `docs/client-coverage.md` says of every numbered behaviour which tests show it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const BEHAVIOURS: usize = 76;

/// Every name behind `fn` in the sources of a directory.
fn functions(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            for rest in text.split("fn ").skip(1) {
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                names.extend(name.map(str::to_owned));
            }
        }
    }
}

fn complaints(document: &str, names: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut next = 1;
    for line in document.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, behaviour, state, tests, remarks] = cells.as_slice() else {
            complaints.push(format!("a row of {} cells: {line}", cells.len()));
            continue;
        };
        let Ok(number) = number.parse::<usize>() else { continue };
        if number != next {
            complaints.push(format!("{number} stands where {next} should"));
        }
        next = number + 1;
        let named: Vec<&str> =
            tests.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        for name in &named {
            if !names.contains(name.trim_matches('`')) {
                complaints.push(format!("{number}: there is no test {name}"));
            }
        }
        let is_well = match *state {
            "yes" => !named.is_empty(),
            "partly" => !(named.is_empty() && remarks.is_empty()),
            "no" => named.is_empty(),
            _ => false,
        };
        if !is_well || behaviour.is_empty() {
            complaints.push(format!("{number}: `{state}` with tests `{tests}`"));
        }
    }
    if next != BEHAVIOURS + 1 {
        complaints.push(format!("it ends with {}", next - 1));
    }
    complaints
}

#[test]
fn every_numbered_behaviour_is_told_and_every_test_named_is_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut names = BTreeSet::new();
    for directory in ["crates/client", "crates/cli"] {
        functions(&root.join(directory), &mut names);
    }
    let document = fs::read_to_string(root.join("docs/client-coverage.md")).expect("it is there");
    assert_eq!(complaints(&document, &names), Vec::<String>::new());
    let lie =
        document.replace("| 1 | Create one row | yes | `the_same", "| 2 | x | yes | `the_other");
    assert_eq!(
        complaints(&lie, &names).len(),
        3,
        "a wrong number, a hole and a test that is not there"
    );
}
