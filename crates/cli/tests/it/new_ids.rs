//! `sheaf set --server-ids`: ids that the service makes, against a real service.

use crate::home::Home;
use std::collections::BTreeMap;
use std::fs;

#[test]
fn the_service_makes_the_ids_and_what_follows_uses_them() {
    for flags in ["", "-b 1", "--upsert"] {
        let home = Home::start();
        let given = "9a111111-0000-4000-8000-000000000009";
        let mut text = String::from("name,accountid,statecode\n");
        for row in 0..5 {
            text.push_str(&format!("N{row},,{}\n", row % 2));
        }
        text.push_str(&format!("N5,{given},\n"));
        fs::write(home.path("in.csv"), text).expect("written");
        let line = format!("set account in.csv --server-ids --pass-thru {flags}");
        let output = home.command(&line).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{flags}: {said}");
        let told: BTreeMap<String, String> = String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("an object");
                let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                (word("name"), word("Id"))
            })
            .collect();
        assert_eq!(told.len(), 6, "{flags}: {said}");
        home.call(0, "get account -c name,accountid,statecode --sort name -o there.csv");
        let there = fs::read_to_string(home.path("there.csv")).expect("written");
        let want: Vec<String> = (0..6)
            .map(|row| {
                let name = format!("N{row}");
                let state = if row < 5 { row % 2 } else { 0 };
                format!("{name},{},{state}", told[&name])
            })
            .collect();
        assert_eq!(there.lines().skip(1).collect::<Vec<_>>(), want, "{flags}");
        assert_eq!(told["N5"], given, "an id that a row gives is kept");
    }
}

#[test]
fn the_options_go_together_or_are_refused() {
    let home = Home::start();
    fs::write(home.path("in.csv"), "name\nA\n").expect("written");
    let said = home.call(2, "set account in.csv --retry-ambiguous");
    assert!(said.contains("--server-ids"), "{said}");
    let said = home.call(0, "set account in.csv --server-ids --retry-ambiguous -n");
    assert!(said.contains("1 created"), "{said}");
    home.call(0, "get account -c name -o left.csv");
    let left = fs::read_to_string(home.path("left.csv")).expect("written");
    assert_eq!(left.lines().count(), 1, "{left}");
}

#[test]
fn a_record_of_which_only_what_follows_failed_is_not_made_again_by_a_run() {
    let home = Home::start();
    // The status of the first row is none of its state, which is found out after the record is there.
    fs::write(home.path("in.csv"), "name,statecode,statuscode\nA,1,1\nB,1,2\n").expect("written");
    let there = |home: &Home| {
        home.call(0, "get account -c name,statecode --sort name -o there.csv");
        fs::read_to_string(home.path("there.csv")).expect("written")
    };
    let run = "--server-ids --run r --journal runs --errors e.ndjson";
    let said = home.call(1, &format!("set account in.csv {run}"));
    assert!(said.contains("1 created, 1 failed"), "{said}");
    assert_eq!(there(&home), "name,statecode\nA,0\nB,1\n");
    let error = fs::read_to_string(home.path("e.ndjson")).expect("written");
    let error: serde_json::Value = serde_json::from_str(error.trim()).expect("one object");
    assert_eq!(error["partial"], true, "{error}");
    assert_eq!(error["id"].as_str().map(str::len), Some(36), "{error}");
    for again in ["resume", "retry"] {
        let output = home.command(&format!("run {again} r --journal runs")).output();
        let said = String::from_utf8(output.expect("it runs").stderr).expect("text");
        assert_eq!(there(&home), "name,statecode\nA,0\nB,1\n", "{again}: {said}");
        let is_told = said.contains("may have been created");
        assert_eq!(is_told, again == "resume", "{again}: {said}");
    }
}
