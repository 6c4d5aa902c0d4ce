//! The files of `conformance/`, and the summary of playing them.
//!
//! Not here: reading a file's text (`parse`). Invariant: every `.http` file below the folder is in the list.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::fixture::PREFIX;
use super::play::Outcome;

/// A file with its text.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path below the folder.
    pub place: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// The file's name without `.http`.
    #[must_use]
    pub fn stem(&self) -> &str {
        let name = self.place.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".http").unwrap_or(name)
    }
}

/// The files that are played, and those that make the tables for them.
#[derive(Debug, Clone)]
pub struct Folder {
    /// In the order of their paths.
    pub scenarios: Vec<File>,
    /// `fixture/*.http`, in the order of their names.
    pub fixture: Vec<File>,
}

/// `conformance/` of this source tree.
#[must_use]
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

/// Reads every file below a folder. `prefix` takes the place of `ship_` in all of them.
pub fn read(folder: &Path, prefix: &str) -> Result<Folder> {
    let mut found = Folder { scenarios: Vec::new(), fixture: Vec::new() };
    let mut left = vec![folder.to_path_buf()];
    while let Some(directory) = left.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("{} cannot be read", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "http") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                let place = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                let list = match place.starts_with("fixture/") {
                    true => &mut found.fixture,
                    false => &mut found.scenarios,
                };
                list.push(File { place, text: text.replace(PREFIX, prefix) });
            }
        }
    }
    found.scenarios.sort_by(|a, b| a.place.cmp(&b.place));
    found.fixture.sort_by(|a, b| a.place.cmp(&b.place));
    ensure!(!found.scenarios.is_empty(), "{} has no scenario", folder.display());
    Ok(found)
}

/// Lists failures and counts what was played: the text, and whether all is well.
#[must_use]
pub fn summary(name: &str, outcomes: &[Outcome]) -> (String, bool) {
    let mut text = String::new();
    let (mut passed, mut failed) = (0, 0);
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(why) => {
                failed += 1;
                text.push_str(&format!("FAILED {why}\n"));
            }
            Outcome::Skipped { need } => *skipped.entry(need).or_default() += 1,
        }
    }
    text.push_str(&format!("{name}: {passed} scenarios passed, {failed} failed"));
    for (need, count) in &skipped {
        text.push_str(&format!(", {count} skipped (they need `{need}`)"));
    }
    (text, failed == 0)
}
