//! Inputs and outputs of every format, compressed or not, against a real service.

use crate::home::Home;
use client::compression::Sink;
use std::fs;
use std::io::{Read as _, Write as _};

const SHAPE: &str = "Code,Label,Weight\nC-1,one,1\n";
const NAMES: [&str; 9] = [
    "csv",
    "csv.gz",
    "csv.zst",
    "ndjson",
    "ndjson.gz",
    "ndjson.zst",
    "json",
    "json.gz",
    "json.zst",
];

fn start() -> Home {
    let home = Home::start();
    fs::write(home.path("shape.csv"), SHAPE).expect("written");
    home.call(0, "table create new_crate --from shape.csv --key Code");
    home
}

/// What a file holds, unpacked.
fn text(home: &Home, name: &str) -> String {
    let mut text = String::new();
    let mut bytes = client::source::open(&home.path(name)).expect("it is there");
    bytes.read_to_string(&mut text).expect("whole");
    text
}

fn pack(home: &Home, name: &str, text: &str) {
    let mut sink = Sink::create(&home.path(name)).expect("created");
    sink.write_all(text.as_bytes()).expect("written");
    sink.finish().expect("finished");
}

fn rows(from: usize, to: usize) -> String {
    let rows = (from..to).map(|row| format!("C-{row},\"label \"\"{row}\"\"\",{row}\n"));
    format!("Code,Label,Weight\n{}", rows.collect::<String>())
}

#[test]
fn every_format_comes_back_as_it_went_compressed_or_not() {
    let home = start();
    fs::write(home.path("in.csv"), rows(0, 300)).expect("written");
    home.call(0, "set new_crate in.csv --create-only");
    for name in NAMES {
        let get = format!("get new_crate --page-size 100 -o out.{name}");
        home.call(0, &get);
        let raw = fs::read(home.path(&format!("out.{name}"))).expect("there");
        assert_eq!(name.ends_with(".gz"), raw.starts_with(&[0x1f, 0x8b]), "{name}");
        assert_eq!(name.ends_with(".zst"), raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "{name}");
        let said = home.call(0, &format!("set new_crate out.{name} --match-on Code"));
        assert!(said.contains("300 rows: 300 unchanged"), "{name}: {said}");
        // The name says nothing: the bytes do.
        let said = home.call_with(
            0,
            "set new_crate - --match-on Code -n",
            &home.path(&format!("out.{name}")),
        );
        assert!(said.contains("300 unchanged"), "{name}: {said}");
    }
    let json: serde_json::Value = serde_json::from_str(&text(&home, "out.json")).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(300));
    assert_eq!(text(&home, "out.csv"), text(&home, "out.csv.zst"));
    // Nothing at all is whole, too.
    home.call(0, "get new_crate --filter new_weight^gt^1000 -o none.json.gz");
    assert_eq!(text(&home, "none.json.gz"), "[]\n");
    // Rows of an array give their records, and are removed.
    fs::write(home.path("some.json"), "[{\"Code\": \"C-1\"},\n {\"Code\":\n\"C-2\"}]")
        .expect("written");
    home.call(0, "get new_crate some.json --match-on Code --format json -o two.zst");
    assert_eq!(text(&home, "two.zst").matches("\"new_code\"").count(), 2);
    let said = home.call(0, "remove new_crate some.json --match-on Code");
    assert!(said.contains("2 deleted"), "{said}");
    home.call(0, "get new_crate --headers logical -o rest.json.zst");
    let said = home.call(0, "remove new_crate rest.json.zst");
    assert!(said.contains("298 deleted"), "{said}");
    // A table is made from a compressed file, too.
    pack(&home, "in.csv.gz", &rows(0, 10));
    let said = home.call(0, "table create new_box --from in.csv.gz");
    assert!(said.contains("from 10 rows of in.csv.gz"), "{said}");
}

#[test]
fn rejected_rows_and_errors_are_compressed_where_their_names_say_so_and_gone_on_with() {
    let home = start();
    let good = rows(0, 200);
    for (name, bad) in [("csv", good.replace(",7\n", ",heavy\n")), ("json", String::new())] {
        let bad = match name {
            "csv" => bad,
            _ => "[{\"Code\":\"C-7\",\n\"Weight\":\"heavy\"},{\"Code\":\"D\",\"Weight\":1}]"
                .to_owned(),
        };
        for packed in ["", ".gz", ".zst"] {
            pack(&home, &format!("in.{name}{packed}"), &bad);
            let line = format!(
                "set new_crate in.{name}{packed} --match-on Code --run r --journal runs-{name}{packed} \
                 --rejects bad.{name}{packed} --errors e.ndjson{packed}"
            );
            home.call(1, &line);
            let (rejects, errors) = (format!("bad.{name}{packed}"), format!("e.ndjson{packed}"));
            assert_eq!(text(&home, &rejects).matches("heavy").count(), 2, "{rejects}");
            assert_eq!(text(&home, &errors).lines().count(), 1, "{errors}");
            // A retry adds to the files.
            home.call(1, &format!("run retry r --journal runs-{name}{packed}"));
            assert_eq!(text(&home, &rejects).matches("heavy").count(), 4, "{rejects}");
            assert_eq!(text(&home, &errors).lines().count(), 2, "{errors}");
            // The rejects are input.
            let said = home.call(1, &format!("set new_crate {rejects} --match-on Code"));
            assert!(said.contains("2 rows: 2 failed"), "{said}");
        }
    }
}

#[test]
fn an_input_that_is_cut_off_or_damaged_fails_with_its_name_and_the_place() {
    let home = start();
    for packed in ["gz", "zst"] {
        let name = format!("in.csv.{packed}");
        pack(&home, &name, &rows(0, 40_000));
        let bytes = fs::read(home.path(&name)).expect("there");
        let half = bytes.len() / 2;
        fs::write(home.path(&name), &bytes[..half]).expect("written");
        let said = home.call(7, &format!("set new_crate {name} --match-on Code"));
        let want = format!("`{name}` is cut off: its");
        assert!(said.contains(&want) && said.contains(&format!("after byte {half}")), "{said}");
        assert!(said.contains("reading failed after line"), "{said}");
        // Rows before that place were loaded whole.
        home.call(0, "get new_crate -c Code,Weight -o there.csv");
        let there = text(&home, "there.csv");
        assert!(there.lines().count() > 1_000, "{said}");
        for row in there.lines().skip(1) {
            let (code, weight) = row.split_once(',').expect("two columns");
            assert_eq!(code.trim_start_matches("C-"), weight);
        }
        let said = home.call(7, &format!("table create new_y --from {name}"));
        assert!(said.contains(&want), "{said}");
        fs::write(home.path(&name), rows(0, 3)).expect("written");
        let said = home.call(7, &format!("set new_crate {name} --match-on Code"));
        assert!(said.contains(&format!("`{name}` is no")), "{said}");
    }
    fs::write(home.path("in.json"), "[{\"Code\":\"Z\"},\n{\"Code\":").expect("written");
    let said = home.call(7, "set new_crate in.json --match-on Code");
    assert!(said.contains("after line 2: not JSON: a value has no end"), "{said}");
}

#[test]
fn records_come_back_from_parquet_with_their_types() {
    let home = Home::start();
    let rows = "Code,Weight,Pieces,Fragile,Day,Seen At,Remark\n\
                P-1,1.50,3,true,2024-02-29,2025-06-01T10:00:00Z,\"two\nlines\"\n\
                P-2,-0.05,,false,,,\n";
    fs::write(home.path("in.csv"), rows).expect("written");
    home.call(0, "table create new_parcel --from in.csv --key Code");
    home.call(0, "set new_parcel in.csv --create-only");
    let columns = "-c Code,Weight,Pieces,Fragile,Day,Seen^At,Remark --sort Code";
    home.call(0, &format!("get new_parcel {columns} -o out.parquet"));
    assert!(fs::read(home.path("out.parquet")).expect("there").starts_with(b"PAR1"));
    let mut read = client::source::Parquet::open(&home.path("out.parquet")).expect("it opens");
    let mut text = String::new();
    read.read_to_string(&mut text).expect("whole");
    assert_eq!(
        text,
        "{\"new_code\":\"P-1\",\"new_weight\":1.50,\"new_pieces\":3,\"new_fragile\":true,\"new_day\":\"2024-02-29\",\
         \"new_seen_at\":\"2025-06-01T10:00:00Z\",\"new_remark\":\"two\\nlines\"}\n\
         {\"new_code\":\"P-2\",\"new_weight\":-0.05,\"new_pieces\":null,\"new_fragile\":false,\"new_day\":null,\
         \"new_seen_at\":null,\"new_remark\":null}\n"
    );
    // With ids and everything else that is read when nobody names columns.
    home.call(0, "get new_parcel -o all.parquet");
    let said = home.call(0, "set new_parcel all.parquet");
    assert!(said.contains("2 rows: 2 unchanged"), "{said}");
    // Its bytes tell what a name does not.
    fs::copy(home.path("out.parquet"), home.path("out.data")).expect("copied");
    let said = home.call(0, "set new_parcel out.data --match-on Code");
    assert!(said.contains("2 rows: 2 unchanged"), "{said}");
    home.call(0, "get new_parcel out.parquet --match-on Code -o found.csv");
    assert_eq!(text_of_lines(&home, "found.csv"), 3);
    // A load tells columns from the file, matches by the key, and names rejects by what they are.
    fs::create_dir(home.path("in")).expect("made");
    fs::copy(home.path("out.parquet"), home.path("in/new_parcel.parquet")).expect("copied");
    let said = home.call(0, "load in --rejects bad");
    assert!(said.contains("2 rows: 2 unchanged"), "{said}");
    home.call(0, "remove new_parcel out.parquet --match-on Code");
    let said = home.call(0, "load in --rejects bad");
    assert!(said.contains("2 rows: 2 created"), "{said}");
    home.call(0, "get new_parcel --filter new_pieces^gt^100 -o none.parquet");
    let said = home.call(0, "set new_parcel none.parquet");
    assert!(said.contains("0 rows"), "{said}");
}

fn text_of_lines(home: &Home, name: &str) -> usize {
    // One value has a line end in it.
    text(home, name).replace("two\nlines", "").lines().count()
}

#[test]
fn parquet_is_refused_where_it_cannot_be() {
    let home = start();
    home.call(0, "get new_crate -o none.parquet");
    let said = home.call_with(2, "set new_crate - --match-on Code", &home.path("none.parquet"));
    assert!(said.contains("Parquet is read from a file"), "{said}");
    let said = home.call(2, "get new_crate -o none.parquet.gz");
    assert!(said.contains("Parquet is compressed inside"), "{said}");
    let said = home.call(2, "set new_crate none.parquet --rejects bad.parquet");
    assert!(said.contains("give a file that ends in .ndjson"), "{said}");
    fs::write(home.path("bad.parquet"), "PAR1 and nothing else").expect("written");
    let said = home.call(7, "set new_crate bad.parquet --match-on Code");
    assert!(said.contains("`bad.parquet` cannot be read as Parquet"), "{said}");
    // A text where a number is wanted fails its row, told by its place in the file.
    fs::write(home.path("weights.csv"), "Code,Weight\nC-1,heavy\n").expect("written");
    home.call(0, "table create new_word --from weights.csv --key Code");
    home.call(0, "set new_word weights.csv --create-only");
    home.call(0, "get new_word -c Code,Weight -o words.parquet");
    let said = home.call(1, "set new_crate words.parquet --create-only --rejects bad.ndjson");
    assert!(said.contains("words.parquet:1: "), "{said}");
    assert!(text(&home, "bad.ndjson").contains("\"new_weight\":\"heavy\""));
}
