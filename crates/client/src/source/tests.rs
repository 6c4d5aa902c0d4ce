//! Inputs and the rows that are read from them.

use super::*;

fn bytes(text: &str) -> Bytes {
    Box::new(std::io::Cursor::new(text.as_bytes().to_vec()))
}

/// `headers / line: fields / …`, fields between bars.
fn check_csv(text: &str, want: &str) {
    let mut csv = Csv::new(bytes(text)).expect("a header line");
    let mut got = csv.headers().join("|");
    while let Some((line, fields)) = csv.next().expect("readable") {
        let fields: Vec<_> = fields.iter().map(String::from_utf8_lossy).collect();
        got.push_str(&format!(" / {line}: {}", fields.join("|")));
    }
    assert_eq!(got, want, "{text:?}");
}

#[test]
fn csv_rows_know_their_lines_whatever_is_quoted() {
    check_csv("a,b\n1,2\n3,4\n", "a|b / 2: 1|2 / 3: 3|4");
    check_csv("a,b\r\n1,2\r\n3,4", "a|b / 2: 1|2 / 3: 3|4");
    check_csv("\u{feff}a,b\n1,2", "a|b / 2: 1|2");
    check_csv("a,b\n\"1\n1\",2\n3,4\n", "a|b / 2: 1\n1|2 / 4: 3|4");
    check_csv("a,b\n\"x \"\"y\"\"\",\"1,5\"\n", "a|b / 2: x \"y\"|1,5");
    check_csv("a,b\n1\n1,2,3\n", "a|b / 2: 1 / 3: 1|2|3");
    check_csv("a,b\n\n\n1,2\n", "a|b / 4: 1|2");
    check_csv("a,b\n,\n", "a|b / 2: |");
    check_csv("a,b\n", "a|b");
}

#[test]
fn a_header_line_that_is_none_is_refused() {
    assert!(matches!(Csv::new(bytes("")), Err(Error::NoHeaders)));
    assert!(matches!(Csv::new(bytes("a,b,a\n")), Err(Error::RepeatedHeader(name)) if name == "a"));
}

#[test]
fn ndjson_lines_are_counted_and_blank_ones_skipped() {
    let mut input = Ndjson::new(bytes("\u{feff}{\"a\":1}\r\n\n  \n{\"a\":2}"));
    let mut got = Vec::new();
    while let Some((number, line)) = input.next().expect("readable") {
        let Line::Text(text) = line else { panic!("short lines") };
        got.push((number, String::from_utf8_lossy(text).into_owned()));
    }
    assert_eq!(got, [(1, "{\"a\":1}".to_owned()), (4, "{\"a\":2}".to_owned())]);
}

#[test]
fn the_format_is_told_by_the_name_or_by_the_first_byte() {
    let of = |name: &str| Format::of_path(Path::new(name));
    assert_eq!(of("a.CSV"), Some(Format::Csv));
    assert_eq!(of("a.ndjson"), Some(Format::Ndjson));
    assert_eq!(of("a.jsonl"), Some(Format::Ndjson));
    assert_eq!(of("a.json"), Some(Format::Json));
    assert_eq!(of("a.csv.gz"), Some(Format::Csv));
    assert_eq!(of("a.jsonl.ZST"), Some(Format::Ndjson));
    assert_eq!(of("a.gz"), None);
    assert_eq!(of("a.txt"), None);
    assert_eq!(of("-"), None);
    for (text, want) in [
        (" {\"a\":1}", Format::Ndjson),
        ("\n[{\"a\":1}]", Format::Json),
        ("a,b\n", Format::Csv),
        ("", Format::Csv),
    ] {
        let (format, mut rest) = sniff(bytes(text)).expect("readable");
        let mut all = String::new();
        rest.read_to_string(&mut all).expect("readable");
        assert_eq!((format, all.as_str()), (want, text));
    }
}

#[test]
fn kept_fields_come_back() {
    for fields in [&["a", "", "b,\"\n"][..], &[""], &[]] {
        let mut raw = Vec::new();
        keep_fields(&mut raw, &csv::ByteRecord::from(fields.to_vec()));
        let back: Vec<_> = kept_fields(&raw).map(|field| String::from_utf8_lossy(field)).collect();
        assert_eq!(back, fields);
    }
}

/// `line: value / …`, or the reason why reading ended.
fn check_json(text: &str, want: &str) {
    // However the bytes come, they mean the same.
    for bytes in [bytes(text), Box::new(Drops(text.as_bytes().to_vec(), 0)) as Bytes] {
        let mut input = Json::new(bytes);
        let mut got = Vec::new();
        loop {
            match input.next() {
                Ok(Some((line, Line::Text(text)))) => {
                    got.push(format!("{line}: {}", String::from_utf8_lossy(text)));
                }
                Ok(Some((_, Line::TooLong))) => panic!("short values"),
                Ok(None) => break,
                Err(err) => {
                    got.push(err.to_string());
                    break;
                }
            }
        }
        assert_eq!(got.join(" / "), want, "{text:?}");
    }
}

/// Gives one byte at a time.
struct Drops(Vec<u8>, usize);

impl Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (Some(byte), Some(place)) = (self.0.get(self.1), buffer.first_mut()) else {
            return Ok(0);
        };
        *place = *byte;
        self.1 += 1;
        Ok(1)
    }
}

#[test]
fn json_values_are_taken_one_by_one_from_an_array_or_a_row_of_them() {
    check_json("[]", "");
    check_json(" \n", "");
    check_json("\u{feff}[{\"a\":1},{\"a\":2}]\n", "1: {\"a\":1} / 1: {\"a\":2}");
    check_json(
        "[\n {\"a\": [1, {}]},\n\n {\"b\":\n\"]}\\\"\"}]",
        "2: {\"a\": [1, {}]} / 4: {\"b\":\n\"]}\\\"\"}",
    );
    check_json("{\"a\":1}{\"a\":2}\n{\"a\":\n3}", "1: {\"a\":1} / 1: {\"a\":2} / 2: {\"a\":\n3}");
    check_json("[1 , \"x,]\", null,true]", "1: 1 / 1: \"x,]\" / 1: null / 1: true");
    check_json("\"x\" 7", "1: \"x\" / 1: 7");
}

#[test]
fn json_that_is_not_whole_is_an_error_with_its_line_and_never_a_shorter_input() {
    let check = |text: &str, rows: &str, line: u64, why: &str| {
        let end = format!("reading failed after line {line}: not JSON: {why}");
        let want = if rows.is_empty() { end } else { format!("{rows} / {end}") };
        check_json(text, &want);
    };
    check("[", "", 1, "the array has no end");
    check("[{\"a\":1}\n", "1: {\"a\":1}", 2, "the array has no end");
    check("[{\"a\":1},\n{\"a\"", "1: {\"a\":1}", 2, "a value has no end");
    check("[1] 2", "1: 1", 1, "something follows the end of the array");
    check("[{} {}]", "1: {}", 1, "a comma or `]` is missing");
    check("[1,,2]", "1: 1", 1, "a value is missing between commas");
    check("[1,]", "1: 1", 1, "a value is missing between commas");
    check("{\"a\":\"x", "", 1, "a value has no end");
}
