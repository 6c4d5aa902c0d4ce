//! The rules of the house that a compiler does not know.
//!
//! In: the sources and documents below the root. Out: complaints, one sentence each; warnings besides.
//! Not here: formatting and lints (rustfmt and clippy), who depends on whom (`layers`).
//! Invariant: reads only; what it complains about is in the style guide of the house.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::layers;

/// From here on a file asks whether there is a second room in it.
const FILE_LINES_WARN: usize = 800;
/// No file but tests and tables may be longer.
const FILE_LINES_MAX: usize = 1000;
/// No decision note may be longer.
const DECISION_LINES_MAX: usize = 60;
/// No changelog fragment may be longer.
const FRAGMENT_LINES_MAX: usize = 3;

/// Written in two parts, so that this file does not contain them.
const FORBIDDEN_TEXT: &[(&str, &str)] = &[
    (concat!("to", "do!"), "an unfinished part"),
    (concat!("unimple", "mented!"), "an unfinished part"),
    (concat!("#[ig", "nore"), "a test that does not run"),
    (concat!("#[should_", "panic"), "a test that cannot say which panic it wants"),
    (concat!("FIX", "ME"), "a note without an issue: write `TODO(#n)`"),
];

/// A module of such a name tells nothing.
const FORBIDDEN_NAMES: &[&str] = &[
    "common", "core", "helper", "helpers", "misc", "util", "utils", "types", "traits", "structs",
    "manager", "handler", "handlers",
];

/// Runs every rule, prints what it found, and fails if anything is wrong.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut complaints = Vec::new();
    let mut warnings = Vec::new();
    layers::check(root, &mut complaints)?;
    let mut files = 0;
    for directory in layers::crate_directories(root)? {
        check_name(root, &directory, &mut complaints);
        for path in rust_files(&directory)? {
            files += 1;
            check_name(root, &path, &mut complaints);
            let text = fs::read_to_string(&path)?;
            check_source(&shown(root, &path), &text, &mut complaints, &mut warnings);
        }
    }
    check_fragments(root, &mut complaints)?;
    check_decisions(root, &mut complaints)?;
    check_documents(root, &mut complaints);
    check_codes(root, &mut complaints)?;
    for warning in &warnings {
        println!("warning: {warning}");
    }
    for complaint in &complaints {
        println!("error: {complaint}");
    }
    println!("tidy: {files} files, {} warnings, {} errors", warnings.len(), complaints.len());
    if !complaints.is_empty() {
        bail!("the house is not tidy");
    }
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Every `.rs` file of a crate.
fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    left.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn check_name(root: &Path, path: &Path, complaints: &mut Vec<String>) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    let shown = shown(root, path);
    if stem == "mod" {
        complaints.push(format!("{shown}: `foo.rs` lies beside `foo/`; there is no `mod.rs`"));
    }
    if FORBIDDEN_NAMES.contains(&stem.as_str()) {
        complaints.push(format!("{shown}: `{stem}` tells nothing; name it by its subject"));
    }
}

fn check_source(shown: &str, text: &str, complaints: &mut Vec<String>, warnings: &mut Vec<String>) {
    if !text.starts_with("//!") {
        complaints
            .push(format!("{shown}: does not begin with a `//!` header that says what it is for"));
    }
    for (number, line) in text.lines().enumerate() {
        for (forbidden, what) in FORBIDDEN_TEXT {
            if line.contains(forbidden) {
                complaints.push(format!("{shown}:{}: `{forbidden}` is {what}", number + 1));
            }
        }
    }
    let is_test = shown.contains("/tests/") || shown.ends_with("/tests.rs");
    // A table of data may be long; its header says so in these words.
    let is_table = text.lines().take_while(|line| line.starts_with("//!")).any(|line| {
        line.to_lowercase().contains("table of data")
            || line.to_lowercase().contains("generated table")
    });
    let lines = text.lines().count();
    if lines > FILE_LINES_WARN && !is_test && !is_table {
        let list = if lines > FILE_LINES_MAX { complaints } else { warnings };
        list.push(format!("{shown}: {lines} lines; is there a second room in it?"));
    }
}

/// `changelog.d/<slug>.<added|changed|fixed|removed>.md`, one or two lines for a user.
fn check_fragments(root: &Path, complaints: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join("changelog.d"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.split('.').collect();
        let fits = matches!(
            parts.as_slice(),
            [slug, "added" | "changed" | "fixed" | "removed", "md"]
                if !slug.is_empty() && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        if !fits {
            complaints.push(format!(
                "changelog.d/{name}: a fragment is called <slug>.<added|changed|fixed|removed>.md"
            ));
            continue;
        }
        let lines =
            fs::read_to_string(&path)?.lines().filter(|line| !line.trim().is_empty()).count();
        if lines == 0 || lines > FRAGMENT_LINES_MAX {
            complaints
                .push(format!("changelog.d/{name}: a fragment has one or two lines, not {lines}"));
        }
    }
    Ok(())
}

/// `docs/decisions/NNNN-title.md`, numbered without gaps, short.
fn check_decisions(root: &Path, complaints: &mut Vec<String>) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(root.join("docs/decisions"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for (index, name) in names.iter().enumerate() {
        if !name.starts_with(&format!("{:04}-", index + 1)) || !name.ends_with(".md") {
            complaints.push(format!(
                "docs/decisions/{name}: note {} is called {:04}-title.md",
                index + 1,
                index + 1
            ));
        }
        let lines = fs::read_to_string(root.join("docs/decisions").join(name))?.lines().count();
        if lines > DECISION_LINES_MAX {
            complaints.push(format!(
                "docs/decisions/{name}: {lines} lines; a note has at most {DECISION_LINES_MAX}"
            ));
        }
    }
    Ok(())
}

/// Every fault code of the vocabulary stands in `docs/errors.md`.
fn check_codes(root: &Path, complaints: &mut Vec<String>) -> Result<()> {
    let codes = fs::read_to_string(root.join("crates/model/src/code.rs"))?;
    let documented = fs::read_to_string(root.join("docs/errors.md")).unwrap_or_default();
    for line in codes.lines() {
        if let Some((_, value)) = line.split_once(" = 0x8")
            && let Some((digits, _)) = value.split_once(',')
        {
            let code = format!("`0x8{}`", digits.replace('_', "").to_lowercase());
            if !documented.contains(&code) {
                complaints.push(format!("docs/errors.md: {code} is missing"));
            }
        }
    }
    Ok(())
}

fn check_documents(root: &Path, complaints: &mut Vec<String>) {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "COMPAT.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "docs/STATUS.md",
        "docs/errors.md",
        "bench/RESULTS.md",
    ] {
        if !root.join(document).is_file() {
            complaints.push(format!("{document} is missing"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shown: &str, text: &str, want_complaints: usize, want_warnings: usize) {
        let (mut complaints, mut warnings) = (Vec::new(), Vec::new());
        check_source(shown, text, &mut complaints, &mut warnings);
        let got = (complaints.len(), warnings.len());
        assert_eq!(got, (want_complaints, want_warnings), "{complaints:?} {warnings:?}");
    }

    #[test]
    fn a_header_is_wanted_and_unfinished_parts_are_named() {
        check("a.rs", "//! What it is for.\n", 0, 0);
        check("a.rs", "fn a() {}\n", 1, 0);
        check("a.rs", concat!("//! A.\nfn a() { to", "do!() }\n// FIX", "ME\n"), 2, 0);
    }

    #[test]
    fn a_long_file_warns_then_fails_unless_it_is_a_test_or_a_table() {
        let long = |lines: usize| format!("//! A.\n{}", "\n".repeat(lines));
        check("a/src/b.rs", &long(900), 0, 1);
        check("a/src/b.rs", &long(1100), 1, 0);
        check("a/tests/it/b.rs", &long(1100), 0, 0);
        check("a/src/b.rs", &format!("//! Codes: a table of data.\n{}", "\n".repeat(2000)), 0, 0);
    }

    #[test]
    fn names_that_tell_nothing_are_refused() {
        let check = |path: &str, want: usize| {
            let mut complaints = Vec::new();
            check_name(Path::new("/"), Path::new(path), &mut complaints);
            assert_eq!(complaints.len(), want, "{path}");
        };
        check("/a/mod.rs", 1);
        check("/a/util.rs", 1);
        check("/crates/common", 1);
        check("/a/create.rs", 0);
    }
}
