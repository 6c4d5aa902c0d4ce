//! Files and images go into their columns and come out of them again: against a real service.

use crate::home::Home;
use std::fs;

/// Two by two pixels.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mP4z8AARAwQCgAf7gP9Y167WwAAAABJRU5ErkJggg==";

/// The same as bytes.
const PNG_BYTES: &[u8] =
    b"\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x02\x00\x00\x00\x02\x08\x02\x00\x00\x00\xfd\xd4\x9a\x73\x00\x00\x00\x10\x49\x44\x41\x54\x78\xda\x63\xf8\xcf\xc0\x00\x44\x0c\x10\x0a\x00\x1f\xee\x03\xfd\x63\x5e\xbb\x5b\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

/// A table with a file column, an image that stands for the record, and one that does not.
fn folders() -> Home {
    let home = Home::start();
    fs::write(home.path("in.csv"), "Name\nnobody\n").expect("written");
    home.call(0, "table create new_folder --from in.csv");
    for (kind, name, more) in [
        ("File", "new_Plan", r#""MaxSizeInKB": 32768"#),
        (
            "Image",
            "new_View",
            r#""MaxSizeInKB": 10240, "CanStoreFullImage": true, "IsPrimaryImage": true"#,
        ),
        ("Image", "new_Badge", r#""MaxSizeInKB": 10240, "CanStoreFullImage": true"#),
    ] {
        let label = r#"{"LocalizedLabels": [{"Label": "x", "LanguageCode": 1033}]}"#;
        let body = format!(
            r#"{{"@odata.type": "Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "SchemaName": "{name}", "DisplayName": {label}, {more}}}"#
        );
        let path = "EntityDefinitions(LogicalName='new_folder')/Attributes";
        home.post(path, body);
    }
    home
}

/// Bytes that differ from place to place.
fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place.wrapping_mul(31) + place / 977 + seed).to_le_bytes()[0])
        .collect()
}

#[test]
fn files_are_created_left_alone_where_they_are_there_and_changed_where_they_differ() {
    let home = folders();
    let large = 4 * 1024 * 1024 * 2 + 17;
    fs::write(home.path("large.bin"), bytes(large, 0)).expect("written");
    fs::write(home.path("grüße.txt"), "hallo").expect("written");
    fs::write(home.path("empty.txt"), "").expect("written");
    fs::write(home.path("view.png"), PNG_BYTES).expect("written");
    let mut rows = String::from("name,new_plan,new_view,new_badge\n");
    rows.push_str("large,@large.bin,@view.png,@view.png\n");
    rows.push_str(&format!("small,@grüße.txt,{PNG},{PNG}\n"));
    rows.push_str("empty,@empty.txt,,\n");
    for number in 0..40 {
        fs::write(home.path(&format!("{number}.txt")), bytes(100, number)).expect("written");
        rows.push_str(&format!("n{number},@{number}.txt,,\n"));
    }
    rows.push_str("none,,,\n");
    fs::write(home.path("rows.csv"), &rows).expect("written");
    // Nothing is written, and files are looked at all the same.
    let said = home.call(0, "set new_folder rows.csv -n --match-on name");
    assert!(said.contains("set would be: 44 rows: 44 created"), "{said}");
    for (flags, want) in [
        ("--match-on name -j 8", "44 rows: 44 created"),
        ("--match-on name -j 8", "44 rows: 44 unchanged"),
        ("--match-on name -j 8 -b 1", "44 rows: 44 unchanged"),
    ] {
        let said = home.call(0, &format!("set new_folder rows.csv {flags}"));
        assert!(said.contains(want), "{flags}: {said}");
    }
    // One byte in the last block.
    let mut other = bytes(large, 0);
    other[large - 1] ^= 1;
    fs::write(home.path("large.bin"), &other).expect("written");
    fs::write(home.path("3.txt"), "three").expect("written");
    let said = home.call(0, "set new_folder rows.csv --match-on name -n");
    assert!(said.contains("2 updated, 42 unchanged"), "{said}");
    let said = home.call(0, "set new_folder rows.csv --match-on name -j 8");
    assert!(said.contains("2 updated, 42 unchanged"), "{said}");
    // What was set is got, under its own name and byte by byte.
    home.call(
        0,
        "get new_folder --headers logical -c new_folderid,new_name,new_plan,new_plan_name --file-directory saved -o out.ndjson",
    );
    let text = fs::read_to_string(home.path("out.ndjson")).expect("written");
    let mut seen = 0;
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("an object");
        let Some(id) = row["new_plan"].as_str() else { continue };
        let name = row["new_plan_name"].as_str().expect("a name");
        let saved = fs::read(home.path("saved").join(id).join(name)).expect(name);
        assert_eq!(saved, fs::read(home.path(name)).expect(name), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 43, "{text}");
    // What was got is input again and changes nothing, with its files and without.
    for flags in ["--file-directory saved", "", "--file-directory saved --update-all-columns"] {
        let said = home.call(0, &format!("set new_folder out.ndjson {flags}"));
        let want = if flags.contains("all") { "44 updated" } else { "44 rows: 44 unchanged" };
        assert!(said.contains(want), "{flags}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_taken_fails_its_row_by_column_and_one_that_is_null_is_emptied() {
    let home = folders();
    fs::write(home.path("a.txt"), "a").expect("written");
    fs::write(
        home.path("in.ndjson"),
        "{\"name\":\"a\",\"new_plan\":\"@a.txt\"}\n\
         {\"name\":\"b\",\"new_plan\":\"@missing.txt\"}\n\
         {\"name\":\"c\",\"new_plan\":\"a.txt\"}\n\
         {\"name\":\"d\",\"new_plan\":\"9a111111-0000-4000-8000-000000000001\"}\n\
         {\"name\":\"e\",\"new_view\":\"@a.txt\"}\n",
    )
    .expect("written");
    let said = home.call(1, "set new_folder in.ndjson --create-only --errors e.ndjson");
    assert!(said.contains("5 rows: 1 created, 4 failed"), "{said}");
    let errors = fs::read_to_string(home.path("e.ndjson")).expect("written");
    let of = |name: &str| {
        let line = errors.lines().find(|line| line.contains(&format!("\"name\":\"{name}\"")));
        serde_json::from_str::<serde_json::Value>(line.expect(name)).expect("an object")
    };
    for (name, class, part) in [
        ("b", "conversion", "missing.txt"),
        ("c", "conversion", "neither"),
        ("d", "conversion", "--file-directory"),
    ] {
        let error = of(name);
        assert_eq!(error["class"], class, "{error}");
        assert_eq!(error["column"], "new_plan", "{error}");
        assert!(error["message"].as_str().expect("text").contains(part), "{error}");
    }
    // The record is there, its image is not.
    let error = of("e");
    assert_eq!(error["partial"], true, "{error}");
    assert_eq!(error["code"], "0x80072553", "{error}");
    assert!(error["id"].is_string(), "{error}");
    fs::write(home.path("null.ndjson"), "{\"name\":\"a\",\"new_plan\":null}\n").expect("written");
    for want in ["1 updated", "1 unchanged"] {
        let said = home.call(0, "set new_folder null.ndjson --match-on name");
        assert!(said.contains(want), "{said}");
    }
    home.call(2, "set new_folder null.ndjson --match-on new_plan");
    home.call(0, "get new_folder --filter new_name^eq^'a' -c new_plan -o out.csv");
    let text = fs::read_to_string(home.path("out.csv")).expect("written");
    assert_eq!(text.lines().nth(1), Some("\"\""), "{text}");
}

#[test]
fn ids_and_names_of_files_come_when_asked_and_are_no_input() {
    let home = folders();
    fs::write(home.path("a.txt"), "a").expect("written");
    fs::write(home.path("in.csv"), format!("name,new_plan,new_view\nx,@a.txt,{PNG}\n"))
        .expect("written");
    home.call(0, "set new_folder in.csv");
    let columns = |flags: &str| {
        home.call(0, &format!("get new_folder --headers logical {flags} -o out.csv"));
        let text = fs::read_to_string(home.path("out.csv")).expect("written");
        let mut lines = text.lines();
        let header = lines.next().expect("a header").to_owned();
        (header, lines.next().expect("a row").to_owned())
    };
    let files = [
        "new_plan",
        "new_plan_name",
        "new_viewid",
        "new_view_timestamp",
        "new_view_url",
        "new_badgeid",
    ];
    let (header, _) = columns("");
    assert!(files.iter().all(|name| !header.split(',').any(|other| other == *name)), "{header}");
    let (header, row) = columns("--file-columns");
    assert!(files.iter().all(|name| header.split(',').any(|other| other == *name)), "{header}");
    assert!(!header.split(',').any(|name| name == "new_view"), "{header}");
    assert!(row.contains(",a.txt,"), "{row}");
    let said = home.call(0, "set new_folder out.csv");
    assert!(said.contains("1 rows: 1 unchanged"), "{said}");
    // The thumbnail, where it is named; it is input as well.
    let (_, row) = columns("-c new_folderid,new_view");
    assert!(row.contains(",/9j/"), "{row}");
    let said = home.call(0, "set new_folder out.csv");
    assert!(said.contains("1 rows: 1 unchanged"), "{said}");
    home.call(2, "get new_folder -c new_name --file-directory saved");
    home.call(2, "get new_folder out.csv --file-directory saved");
}
