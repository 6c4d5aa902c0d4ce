//! Which files a load has: those of a directory, or those that a manifest names.
//!
//! Invariant: files come in the order of their names, or as the manifest has them; nothing that a manifest says is left
//! out of account.

use crate::args::{Command, Set, Sheaf, Usage};
use crate::connection;
use clap::Parser;
use client::compression::plain_name;
use client::mapping::REPORT_COLUMNS;
use client::source::{Format, Line, Parquet, Source};
use serde_json::Value as Json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file of a load.
pub(super) struct Entry {
    /// As `sheaf set` would get it.
    pub(super) args: Set,
    /// The headers, or the names of all members of its objects.
    pub(super) names: Vec<String>,
}

/// Options of `sheaf set` that a manifest may give; the others are those of the load.
const OPTIONS: [&str; 16] = [
    "--match-on",
    "--allow-multiple-matches",
    "--lookup",
    "--lookup-missing",
    "--lookup-ambiguous",
    "--no-update-columns",
    "--no-update",
    "--no-create",
    "--update-all-columns",
    "--create-only",
    "--upsert",
    "--null",
    "--empty-as",
    "--ignore",
    "--ignore-unknown-columns",
    "--format",
];

/// Reads which files there are, and what their rows give.
pub(super) fn read(from: &Path) -> anyhow::Result<Vec<Entry>> {
    let named = if from.is_dir() { of_directory(from)? } else { of_manifest(from)? };
    if named.is_empty() {
        let text = format!("`{}` names no file that can be loaded", from.display());
        return Err(Usage(text).into());
    }
    let mut entries = Vec::with_capacity(named.len());
    for (table, file, options) in named {
        let args = parse(&table, &file, &options)?;
        let names = names(&file, args.format.map(Into::into))?;
        entries.push(Entry { args, names });
    }
    Ok(entries)
}

type Named = (String, PathBuf, Vec<String>);

fn of_directory(from: &Path) -> anyhow::Result<Vec<Named>> {
    let cannot = |err: std::io::Error| Usage(format!("cannot read `{}`: {err}", from.display()));
    let mut files = Vec::new();
    for file in std::fs::read_dir(from).map_err(cannot)? {
        let path = file.map_err(cannot)?.path();
        if path.is_file() && Format::of_path(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    let table = |path: &PathBuf| {
        let name = plain_name(path);
        name.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    };
    Ok(files.into_iter().map(|path| (table(&path), path, Vec::new())).collect())
}

fn of_manifest(path: &Path) -> anyhow::Result<Vec<Named>> {
    let wrong = |why: String| Usage(format!("manifest `{}`: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|err| wrong(err.to_string()))?;
    let json: Json = serde_json::from_str(&text).map_err(|err| wrong(err.to_string()))?;
    let form = "it must be {\"tables\": [{\"table\": …, \"file\": …, \"options\": […]}]}";
    let only = |json: &Json, names: &[&str]| match json.as_object() {
        Some(members) => match members.keys().find(|name| !names.contains(&name.as_str())) {
            Some(other) => Err(wrong(format!("it has `{other}`, which means nothing; {form}"))),
            None => Ok(()),
        },
        None => Err(wrong(form.to_owned())),
    };
    only(&json, &["tables"])?;
    let tables = json["tables"].as_array().ok_or_else(|| wrong(form.to_owned()))?;
    let beside = path.parent().unwrap_or(Path::new(""));
    let mut named = Vec::with_capacity(tables.len());
    for entry in tables {
        only(entry, &["table", "file", "options"])?;
        let text = |name: &str| match entry.get(name).and_then(Json::as_str) {
            Some(text) => Ok(text),
            None => Err(wrong(format!("an entry has no `{name}`; {form}"))),
        };
        let options: Vec<String> = match entry.get("options") {
            None => Vec::new(),
            Some(options) => serde_json::from_value(options.clone())
                .map_err(|_| wrong("`options` must be a list of texts".to_owned()))?,
        };
        for option in options.iter().filter(|option| option.starts_with('-') && option.len() > 1) {
            let name = option.split('=').next().unwrap_or_default();
            if !OPTIONS.contains(&name) {
                let all = OPTIONS.join(", ");
                return Err(wrong(format!("`{option}` is none of its options: {all}")).into());
            }
        }
        named.push((text("table")?.to_owned(), beside.join(text("file")?), options));
    }
    Ok(named)
}

/// The arguments that `sheaf set` would have.
fn parse(table: &str, file: &Path, options: &[String]) -> Result<Set, Usage> {
    let wrong = |why: String| Usage(format!("`{}`: {why}", file.display()));
    let words = ["sheaf", "set"].map(str::to_owned).into_iter().chain(options.iter().cloned());
    let words = words.chain(["--".to_owned(), table.to_owned()]).map(OsString::from);
    let words = words.chain([file.as_os_str().to_owned()]);
    let sheaf = Sheaf::try_parse_from(words).map_err(|err| wrong(err.to_string()))?;
    match sheaf.command {
        Command::Set(args) => Ok(*args),
        _ => Err(wrong("it is no call of `set`".to_owned())),
    }
}

/// What the rows of a file give, by name.
fn names(file: &Path, format: Option<Format>) -> anyhow::Result<Vec<String>> {
    // It tells its columns without being read.
    if format.or_else(|| Format::of_path(file)) == Some(Format::Parquet) {
        return Ok(data_names(Parquet::open(file)?.names().to_vec()));
    }
    let connection::Input { bytes, format, .. } = connection::open(file, format)?;
    let mut names: Vec<String> = Vec::new();
    match Source::new(bytes, format)? {
        Source::Csv(csv) => names = csv.headers().to_vec(),
        Source::Objects(mut objects) => {
            while let Some((_, text)) = objects.next()? {
                let Line::Text(text) = text else { continue };
                // What is no object fails as a row.
                let members: Members = serde_json::from_slice(text).unwrap_or_default();
                for name in members.into_keys() {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
    }
    Ok(data_names(names))
}

/// Without the reasons of an earlier run.
fn data_names(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| !REPORT_COLUMNS.contains(&name.as_str()));
    names
}

type Members = std::collections::BTreeMap<String, serde::de::IgnoredAny>;
