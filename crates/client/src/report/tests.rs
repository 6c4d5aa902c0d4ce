//! Files that a run leaves behind.

use super::*;
use crate::rows::{Block, Entry};
use crate::source::keep_fields;
use std::sync::Arc;

fn row(line: u64, raw: impl FnOnce(&mut Vec<u8>)) -> Row {
    let mut block = Block::default();
    let raw = block.write(raw);
    block.push(Entry { ordinal: line - 2, line, raw, ..Entry::default() });
    Arc::new(block).rows().next().expect("one row")
}

fn csv_row(line: u64, fields: &[&str]) -> Row {
    row(line, |out| keep_fields(out, &csv::ByteRecord::from(fields.to_vec())))
}

fn problem() -> Problem {
    let code = model::code::STRING_LENGTH_TOO_LONG;
    Problem { code: Some(code), ..Problem::new(Class::Rejected, "too \"long\"").of_column("name") }
}

/// Writes rejects of an input with these headers and reads the file back.
fn check(name: &str, format: Format, headers: &[&str], rows: &[Row], want: &str) {
    let path = std::env::temp_dir().join(format!("sheaf-report-{}-{name}", std::process::id()));
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    let mut rejects = Rejects::create(&path, format, &headers, false).expect("a new file");
    for row in rows {
        rejects.add(row, &problem()).expect("written");
    }
    rejects.finish().expect("flushed");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::remove_file(&path).expect("removable");
    assert_eq!(text, want);
}

#[test]
fn rejected_csv_rows_keep_their_fields_and_gain_reasons() {
    check(
        "csv",
        Format::Csv,
        &["a", "b"],
        &[csv_row(2, &["1", "x,\ny"]), csv_row(4, &["2"])],
        "a,b,_error,_code,_line,_column\n\
         1,\"x,\ny\",\"too \"\"long\"\"\",0x80044331,2,name\n\
         2,,\"too \"\"long\"\"\",0x80044331,4,name\n",
    );
}

#[test]
fn the_reasons_of_an_earlier_run_are_replaced() {
    check(
        "again",
        Format::Csv,
        &["a", "_error", "_code", "_line", "_column", "b"],
        &[csv_row(2, &["1", "old", "old", "9", "old", "2"])],
        "a,b,_error,_code,_line,_column\n1,2,\"too \"\"long\"\"\",0x80044331,2,name\n",
    );
}

#[test]
fn rejected_json_rows_gain_members_and_unreadable_ones_are_kept_as_text() {
    let line = |text: &'static str| row(2, move |out| out.extend_from_slice(text.as_bytes()));
    check(
        "ndjson",
        Format::Ndjson,
        &[],
        &[line(r#"{"a":1.00000000000000000001,"_error":"old"}"#), line("{")],
        "{\"_code\":\"0x80044331\",\"_column\":\"name\",\"_error\":\"too \\\"long\\\"\",\"_line\":2,\"a\":1.00000000000000000001}\n\
         {\"_code\":\"0x80044331\",\"_column\":\"name\",\"_error\":\"too \\\"long\\\"\",\"_input\":\"{\",\"_line\":2}\n",
    );
}
