//! Each item of the query contract is held somewhere: `conformance/QUERY.md` says where.
//!
//! Not here: what an item means; the files that are named show that.

use percent_encoding::percent_decode_str;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Rows of the list, at least: one that is cut off must not pass.
const ROWS_MIN: usize = 300;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let text = std::fs::read_to_string(root().join(path));
    let text = text.unwrap_or_else(|error| panic!("{path} cannot be read: {error}"));
    let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    text + &decoded
}

/// The rows of the table: item, text, file.
fn rows(list: &str) -> Vec<[String; 3]> {
    let row = |line: &str| {
        let cells: Vec<String> = line
            .replace("\\|", "\u{1}")
            .split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect();
        match cells.as_slice() {
            [_, item, text, file, _] if text.starts_with('`') => {
                let text = text.trim_start_matches("`` ").trim_end_matches(" ``");
                let text =
                    text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap_or(text);
                Some([item.clone(), text.to_owned(), file.clone()])
            }
            _ => None,
        }
    };
    list.lines().filter_map(row).collect()
}

#[test]
fn every_item_of_the_contract_is_held_by_the_file_that_is_named() {
    let list = std::fs::read_to_string(root().join("conformance/QUERY.md")).expect("it is there");
    let rows = rows(&list);
    assert!(rows.len() >= ROWS_MIN, "only {} rows", rows.len());
    let mut files: HashMap<String, String> = HashMap::new();
    let lost: Vec<String> = rows
        .iter()
        .filter(|[_, text, file]| {
            let held = files.entry(file.clone()).or_insert_with(|| read(file));
            !held.contains(text.as_str())
        })
        .map(|[item, text, file]| format!("{item}: `{text}` is not in {file}"))
        .collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn every_name_of_an_operator_has_a_row() {
    let list = std::fs::read_to_string(root().join("conformance/QUERY.md")).expect("it is there");
    let rows = rows(&list);
    let has = |item: &str| rows.iter().any(|[known, ..]| known == item);
    // Names of FetchXML are those in small letters.
    let names = include_str!("../../src/operator/names.rs");
    let quoted = names
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2));
    // Beyond the contract.
    let more = ["not-on"];
    let missing: Vec<&str> = quoted
        .filter(|name| {
            let is_fetch = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            !name.is_empty() && name.bytes().all(is_fetch)
        })
        .filter(|name| !more.contains(name))
        .filter(|name| !has(&format!("B5 operator {name}")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
