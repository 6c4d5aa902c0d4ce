//! `sheaf set` decides what rows turn into as the contract says: against a real service.

use crate::home::Home;
use std::fs;

fn file(home: &Home, name: &str, text: &str) {
    fs::write(home.path(name), text).expect("written");
}

/// The rows of a table, sorted, without the header line.
fn rows(home: &Home, table: &str, columns: &str) -> Vec<String> {
    home.call(0, &format!("get {table} --headers logical -c {columns} -o rows.csv"));
    let text = fs::read_to_string(home.path("rows.csv")).expect("written");
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn crates() -> Home {
    let home = Home::start();
    file(&home, "in.csv", "Code,Label,Weight\nC-1,one,1\nC-2,two,2\nC-3,three,3\n");
    home.call(0, "table create new_crate --from in.csv --key Code");
    let said = home.call(0, "set new_crate in.csv");
    assert!(said.contains("3 rows: 3 created"), "{said}");
    home
}

fn set(home: &Home, code: i32, text: &str, flags: &str, want: &str) -> String {
    file(home, "next.csv", text);
    let said = home.call(code, &format!("set new_crate next.csv {flags}"));
    assert!(said.contains(want), "{flags} with {text}: {said}");
    said
}

#[test]
fn an_update_by_id_changes_only_what_differs_and_nothing_is_sent_where_nothing_does() {
    let home = crates();
    home.call(0, "get new_crate --headers logical -o all.csv");
    let all = fs::read_to_string(home.path("all.csv")).expect("written");
    // What was read is valid input and changes nothing.
    let said = home.call(0, "set new_crate all.csv");
    assert!(said.contains("3 rows: 3 unchanged") && said.contains(" 0 requests"), "{said}");
    file(&home, "changed.csv", &all.replace("two", "zwei"));
    let said = home.call(0, "set new_crate changed.csv");
    assert!(said.contains("3 rows: 1 updated, 2 unchanged"), "{said}");
    assert_eq!(
        rows(&home, "new_crate", "new_code,new_label,new_weight"),
        ["C-1,one,1", "C-2,zwei,2", "C-3,three,3"]
    );
    // With its id a row that is not there is created, but not where all columns are to be updated.
    let id = "9a111111-0000-4000-8000-000000000001";
    let new = format!("Id,Code\n{id},C-9\n");
    set(&home, 1, &new, "--update-all-columns", "1 failed");
    set(&home, 0, &new, "", "1 created");
    set(&home, 0, &new, "--update-all-columns", "1 updated");
    set(&home, 0, &new, "", "1 unchanged");
}

#[test]
fn rows_are_matched_by_any_columns_list_by_list_and_a_key_goes_first() {
    let home = crates();
    set(&home, 0, "Label,Weight\none,10\nfour,4\n", "--match-on Label", "1 created, 1 updated");
    // Text compares without case, and several columns must all fit.
    set(&home, 0, "Label,Weight\nTWO,2\n", "--match-on Label,Weight", "1 updated");
    set(&home, 0, "Code,Label\nC-3,drei\n", "--match-on Code --match-on Label", "1 updated");
    set(&home, 0, "Code,Label\nC-0,drei\n", "--match-on Code --match-on Label", "1 updated");
    assert_eq!(
        rows(&home, "new_crate", "new_code,new_label,new_weight"),
        [",four,4", "C-0,drei,3", "C-1,one,10", "C-2,TWO,2"]
    );
    home.call(
        0,
        "get new_crate --headers logical -c new_crateid --filter new_code^eq^'C-1' -o id.csv",
    );
    let text = fs::read_to_string(home.path("id.csv")).expect("written");
    let id = text.lines().nth(1).expect("one row").to_owned();
    set(&home, 0, &format!("Id,Code\n{id},C-2b\n"), "--match-on Code", "1 updated");
    assert!(rows(&home, "new_crate", "new_code,new_label").contains(&"C-2b,one".to_owned()));
    set(&home, 1, "Label,Weight\n,1\n", "--match-on Label", "1 failed");
    set(&home, 2, "Label,Weight\nx,1\n", "--match-on Nothing", "has no column `Nothing`");
    set(&home, 2, "Label,Weight\nx,1\n", "--upsert --match-on Label", "no alternate key");
    set(&home, 0, "Code,Weight\nC-2,7\nC-77,7\n", "--upsert --match-on Code", "2 upserted");
}

#[test]
fn an_ambiguous_match_writes_nothing_unless_every_match_is_meant() {
    let home = crates();
    set(&home, 0, "Code,Label\nC-4,one\n", "--create-only", "1 created");
    let said = set(&home, 1, "Label,Weight\none,50\n", "--match-on Label", "1 failed");
    assert!(said.contains("2 records match the row"), "{said}");
    assert_eq!(
        rows(&home, "new_crate", "new_code,new_weight"),
        ["C-1,1", "C-2,2", "C-3,3", "C-4,"]
    );
    let flags = "--match-on Label --allow-multiple-matches";
    set(&home, 0, "Label,Weight\none,50\n", flags, "2 rows: 2 updated");
    set(&home, 0, "Label,Weight\none,50\n", flags, "2 rows: 2 unchanged");
}

#[test]
fn rows_may_be_left_out_by_what_is_there() {
    let home = crates();
    let text = "Code,Label\nC-1,uno\nC-8,acht\n";
    set(&home, 0, text, "--match-on Code --no-update --no-create", "2 rows: 2 skipped");
    set(&home, 0, text, "--match-on Code --no-create", "1 updated, 1 skipped");
    set(&home, 0, text, "--match-on Code --no-update", "1 created, 1 skipped");
    let only = "--match-on Code --no-update-columns Label";
    set(&home, 0, "Code,Label\nC-1,eins\nC-10,zehn\n", only, "1 created, 1 unchanged");
    assert_eq!(
        rows(&home, "new_crate", "new_code,new_label"),
        ["C-1,uno", "C-10,zehn", "C-2,two", "C-3,three", "C-8,acht"]
    );
}

#[test]
fn a_key_that_comes_twice_makes_one_record_and_the_last_row_counts() {
    let home = crates();
    let mut text = String::from("Code,Weight\n");
    for round in 0..3 {
        for code in 0..40 {
            text.push_str(&format!("K-{code},{}\n", round * 100 + code));
        }
    }
    let said =
        set(&home, 0, &text, "--match-on Code -b 10 -j 4", "120 rows: 40 created, 80 updated");
    assert!(!said.contains("failed"), "{said}");
    let there = rows(&home, "new_crate", "new_code,new_weight");
    assert_eq!(there.len(), 43);
    for code in 0..40 {
        assert!(there.contains(&format!("K-{code},{}", 200 + code)), "{there:?}");
    }
    set(&home, 0, &text.replace("K-", "k-"), "--match-on Code -n", "set would be: 120 rows");
}

#[test]
fn lookups_are_found_by_name_id_and_column_in_few_questions() {
    let home = Home::start();
    file(
        &home,
        "accounts.csv",
        "name,accountnumber,parentaccountid\nNorth,N1,\nSouth,S1,North\nTwice,T1,\nTwice,T2,\nEast,E1,south\n",
    );
    let said = home.call(0, "set account accounts.csv");
    assert!(said.contains("5 rows: 5 created"), "a row finds the name of an earlier one: {said}");
    file(&home, "pairs.ndjson", "");
    let people = |rows: &str| format!("lastname,parentcustomerid\n{rows}");
    file(
        &home,
        "people.csv",
        &people("Abel,North\nBauer,south\nCosta,Twice\nDubois,Nobody\nEbner,\n"),
    );
    let said = home.call(1, "set contact people.csv --create-only --errors e.ndjson");
    assert!(said.contains("3 created, 2 failed"), "{said}");
    let errors = fs::read_to_string(home.path("e.ndjson")).expect("written");
    assert!(
        errors.contains("ambiguous-lookup") && errors.contains("unresolved-lookup"),
        "{errors}"
    );
    file(&home, "more.csv", &people("Fuchs,T2\nGruber,N1\n"));
    let by_number = "--lookup parentcustomerid=account.accountnumber";
    home.call(0, &format!("set contact more.csv --create-only {by_number}"));
    file(&home, "null.csv", &people("Huber,Nobody\nIlic,Twice\n"));
    home.call(
        0,
        "set contact null.csv --create-only --lookup-missing null --lookup-ambiguous newest",
    );
    home.call(2, "set contact null.csv --lookup lastname=name");
    home.call(2, "set contact null.csv --lookup parentcustomerid=nothing");
    home.call(0, "get account --headers logical -c accountid,accountnumber -o ids.csv");
    let ids = fs::read_to_string(home.path("ids.csv")).expect("written");
    let id_of = |number: &str| {
        let row = ids.lines().find(|line| line.ends_with(number)).expect(number);
        row.split(',').next().expect("an id").to_owned()
    };
    let north = id_of("N1");
    // A bare id of a lookup with several tables is found in the one that has it.
    file(
        &home,
        "ids.ndjson",
        &format!(
            "{{\"lastname\":\"Jonas\",\"parentcustomerid\":\"{north}\"}}\n\
             {{\"lastname\":\"Klein\",\"parentcustomerid\":{{\"TableName\":\"account\",\"Id\":\"{north}\"}}}}\n\
             {{\"lastname\":\"Lang\",\"parentcustomerid\":\"TableName=account;Id={north}\"}}\n\
             {{\"lastname\":\"Moser\",\"parentcustomerid\":null}}\n"
        ),
    );
    home.call(0, "set contact ids.ndjson --create-only");
    let there = rows(&home, "contact", "lastname,parentcustomerid");
    let with = |name: &str, number: &str| {
        let want = format!("{name},TableName=account;Id={}", id_of(number));
        assert!(there.contains(&want), "{want} in {there:?}");
    };
    for (name, number) in [("Abel", "N1"), ("Bauer", "S1"), ("Fuchs", "T2"), ("Gruber", "N1")] {
        with(name, number);
    }
    for name in ["Jonas", "Klein", "Lang"] {
        with(name, "N1");
    }
    for name in ["Ebner,", "Huber,", "Moser,"] {
        assert!(there.contains(&name.to_owned()), "{name} in {there:?}");
    }
    // The same again changes nothing.
    let said = home.call(
        0,
        "set contact more.csv --match-on lastname --lookup parentcustomerid=account.accountnumber",
    );
    assert!(said.contains("2 rows: 2 unchanged"), "{said}");
}

#[test]
fn state_and_status_follow_a_new_record_and_ride_along_with_a_change() {
    let home = Home::start();
    file(
        &home,
        "in.csv",
        "name,statecode,statuscode\nA,1,\nB,,2\nC,0,1\nD,Inactive,Inactive\nE,,\n",
    );
    let said = home.call(0, "set account in.csv --create-only -b 100");
    assert!(said.contains("5 rows: 5 created"), "{said}");
    let states = |home: &Home| rows(home, "account", "name,statecode,statuscode");
    assert_eq!(states(&home), ["A,1,2", "B,1,2", "C,0,1", "D,1,2", "E,0,1"]);
    file(&home, "in.csv", "name,statecode,description\nA,0,back\nE,1,gone\n");
    let said = home.call(0, "set account in.csv --match-on name");
    assert!(said.contains("2 updated"), "{said}");
    assert_eq!(states(&home), ["A,0,1", "B,1,2", "C,0,1", "D,1,2", "E,1,2"]);
}

#[test]
fn pass_through_gives_every_row_that_ended_well_with_its_id() {
    let home = crates();
    file(&home, "next.csv", "Code,Label\nC-1,one\nC-2,zwei\nC-9,neun\nC-8,\n");
    let output = home
        .command("set new_crate next.csv --match-on Code --pass-thru")
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut seen: Vec<(String, String, bool)> = text
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("an object");
            let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (word("Code"), word("_outcome"), word("Id").len() == 36)
        })
        .collect();
    seen.sort();
    let want = [("C-1", "unchanged"), ("C-2", "updated"), ("C-8", "created"), ("C-9", "created")];
    let want: Vec<_> =
        want.map(|(code, outcome)| (code.to_owned(), outcome.to_owned(), true)).into();
    assert_eq!(seen, want);
    // It is input again, and nothing changes.
    file(&home, "again.ndjson", &text);
    let said = home.call(0, "set new_crate again.ndjson");
    assert!(said.contains("4 rows: 4 unchanged"), "{said}");
}
