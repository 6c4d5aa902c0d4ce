//! `sheaf set` decides what rows turn into as the contract says: against a real service.

use crate::home::Home;
use crate::tap::Tap;
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
    unchanged_by_parquet(&home, "contact");
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

#[test]
fn owners_are_named_by_id_object_and_name_and_are_compared() {
    let home = Home::start();
    file(&home, "team.csv", "name\nNight Shift\n");
    home.call(0, "set team team.csv");
    home.call(0, "get team --headers logical -c teamid --filter name^eq^'Night^Shift' -o id.csv");
    let text = fs::read_to_string(home.path("id.csv")).expect("written");
    let team = text.lines().nth(1).expect("one team").to_owned();
    file(
        &home,
        "in.ndjson",
        &format!(
            "{{\"name\":\"A\",\"ownerid\":\"{team}\"}}\n\
             {{\"name\":\"B\",\"ownerid\":{{\"TableName\":\"team\",\"Id\":\"{team}\"}}}}\n\
             {{\"name\":\"C\",\"ownerid\":\"night shift\"}}\n\
             {{\"name\":\"D\",\"ownerid\":\"TableName=team; Id={team}\"}}\n\
             {{\"name\":\"E\"}}\n\
             {{\"name\":\"F\",\"ownerid\":\"Nobody\"}}\n"
        ),
    );
    let said = home.call(1, "set account in.ndjson --match-on name -b 100");
    assert!(said.contains("6 rows: 5 created, 1 failed"), "{said}");
    let owners = rows(&home, "account", "name,ownerid");
    for name in ["A", "B", "C", "D"] {
        let want = format!("{name},TableName=team;Id={team}");
        assert!(owners.contains(&want), "{want} in {owners:?}");
    }
    assert!(owners.iter().any(|row| row.starts_with("E,TableName=systemuser;")), "{owners:?}");
    let said = home.call(1, "set account in.ndjson --match-on name");
    assert!(said.contains("5 unchanged, 1 failed"), "{said}");
}

#[test]
fn a_name_means_an_active_record_before_an_inactive_one() {
    let home = Home::start();
    file(&home, "accounts.csv", "name,accountnumber,statecode\nSame,OLD,1\nSame,NEW,0\nGone,G,1\n");
    home.call(0, "set account accounts.csv --create-only");
    file(&home, "people.csv", "lastname,parentcustomerid\nAbel,Same\nBauer,Gone\n");
    let said = home.call(0, "set contact people.csv --create-only");
    assert!(said.contains("2 created"), "{said}");
    let numbers = rows(&home, "account", "accountid,accountnumber");
    let id = |number: &str| {
        let row = numbers.iter().find(|row| row.ends_with(number)).expect(number);
        row.split(',').next().expect("an id").to_owned()
    };
    let people = rows(&home, "contact", "lastname,parentcustomerid");
    let want = [
        format!("Abel,TableName=account;Id={}", id("NEW")),
        format!("Bauer,TableName=account;Id={}", id("G")),
    ];
    assert_eq!(people, want);
}

#[test]
fn pass_through_has_one_object_for_every_outcome_of_every_form_of_input() {
    let home = crates();
    let seen = |flags: &str| {
        let output = home.command(&format!("set new_crate {flags} --pass-thru")).output();
        let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
        let mut seen: Vec<String> = text
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("an object");
                let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                format!("{} {} {}", word("Code"), word("_outcome"), word("Id").len())
            })
            .collect();
        seen.sort();
        seen
    };
    let csv = "Code,Label,Weight\nC-1,one,1\nC-2,zwei,2\nC-7,sieben,7\nC-8,acht,heavy\n";
    file(&home, "rows.csv", csv);
    let rows: String = csv
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!(
                "{{\"Code\":\"{}\",\"Label\":\"{}\",\"Weight\":\"{}\"}}\n",
                cells[0], cells[1], cells[2]
            )
        })
        .collect();
    file(&home, "rows.ndjson", &rows);
    let by_code = "--match-on Code";
    for file in ["rows.csv", "rows.ndjson"] {
        // What would be: the ids of records that are there are known, and those of new ones are made.
        let want = ["C-1 unchanged 36", "C-2 skipped 36"];
        let got = seen(&format!("{file} {by_code} --no-update --no-create"));
        assert_eq!(got, ["C-1 skipped 36", want[1]], "{file}");
        let got = seen(&format!("{file} {by_code} --no-create -n"));
        assert_eq!(got, [want[0], "C-2 updated 36"], "{file}");
    }
    let first = seen(&format!("rows.csv {by_code}"));
    assert_eq!(first, ["C-1 unchanged 36", "C-2 updated 36", "C-7 created 36"]);
    let second = seen(&format!("rows.ndjson {by_code} -b 1"));
    assert_eq!(second, ["C-1 unchanged 36", "C-2 unchanged 36", "C-7 unchanged 36"]);
    // The service tells which record it was, and whether it was there.
    file(&home, "more.csv", "Code,Label\nC-1,uno\nC-9,neun\n");
    let third = seen(&format!("more.csv --upsert {by_code}"));
    assert_eq!(third, ["C-1 updated 36", "C-9 created 36"]);
}

#[test]
fn upserts_tell_created_records_from_others_where_that_is_wished_for() {
    let home = crates();
    let text = "Code,Label\nC-1,uno\nC-9,neun\nC-10,zehn\n";
    let by_code = "--upsert --match-on Code";
    set(&home, 0, text, &format!("{by_code} --report created"), "2 created, 1 updated");
    set(&home, 0, text, &format!("{by_code} --report created -b 1"), "3 updated");
    set(&home, 0, text, by_code, "3 upserted");
    let id = "9a111111-0000-4000-8000-000000000009";
    let one = format!("Id,Label\n{id},by key\n");
    set(&home, 0, &one, "--upsert --report created", "1 created");
    set(&home, 0, &one, "--upsert --report created", "1 updated");
}

#[test]
fn a_single_row_gets_the_key_of_the_call() {
    let home = crates();
    let id = "9a111111-0000-4000-8000-00000000000a";
    set(&home, 0, "Code,Label\nC-20,a\n", &format!("--id {id}"), "1 created");
    let other = "Id,Label\n9a111111-0000-4000-8000-00000000000b,b\n";
    set(&home, 0, other, &format!("--id {id}"), "1 updated");
    assert!(rows(&home, "new_crate", "new_crateid,new_label").contains(&format!("{id},b")));
    let two = "Code,Label\nC-21,a\nC-22,b\n";
    set(&home, 2, two, &format!("--id {id}"), "the input has more than one row");
    assert_eq!(rows(&home, "new_crate", "new_code").len(), 4, "nothing was sent");
}

#[test]
fn callers_are_taken_from_a_column_and_messages_are_cut_by_them() {
    let home = Home::start();
    let user = "9a111111-0000-4000-8000-0000000000a1";
    home.post(
        "systemusers",
        format!(
            r#"{{"systemuserid": "{user}", "firstname": "Ada", "lastname": "Night", "domainname": "ada@example.org"}}"#
        ),
    );
    file(&home, "roles.csv", &format!("systemuserid,roleid\n{user},System Administrator\n"));
    let said = home.call(0, "set systemuserroles roles.csv");
    assert!(said.contains("1 created"), "{said}");
    let mut text = String::from("name,By\n");
    for number in 0..6 {
        text.push_str(&format!("n{number},{}\n", if number % 3 == 1 { user } else { "" }));
    }
    file(&home, "in.csv", &text);
    for (table, size) in [("account", "100"), ("contact", "1")] {
        let text = text.replace("name,", if table == "contact" { "lastname," } else { "name," });
        file(&home, "in.csv", &text);
        let said = home
            .call(0, &format!("set {table} in.csv --create-only --caller-id column:by -b {size}"));
        assert!(said.contains("6 rows: 6 created"), "{said}");
        let name = if table == "contact" { "lastname" } else { "name" };
        let made = rows(&home, table, &format!("{name},createdby"));
        for row in &made {
            let is_hers = row.ends_with(user);
            assert_eq!(is_hers, row.starts_with("n1") || row.starts_with("n4"), "{made:?}");
        }
    }
    file(&home, "bad.csv", "name,By\nx,nobody\n");
    let said = home.call(1, "set account bad.csv --caller-id column:By");
    assert!(said.contains("no unique identifier"), "{said}");
    let said = home.call(2, "set account bad.csv --caller-id column:Nobody");
    assert!(said.contains("which is to name callers"), "{said}");
    home.call(2, "remove account bad.csv --caller-id column:By");
    home.call(2, "set account bad.csv --caller-id nobody");
}

#[test]
fn all_columns_are_updated_without_a_look_and_names_are_asked_for_in_few_questions() {
    let home = crates();
    home.call(0, "get new_crate --headers logical -o all.csv");
    let tap = Tap::before(home.url(), None);
    let said = home.call(
        0,
        &format!("set new_crate all.csv --update-all-columns -b 100 --url {}", tap.address),
    );
    assert!(said.contains("3 rows: 3 updated"), "{said}");
    let lines = tap.seen("/new_crates");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("POST") && lines[0].contains("UpdateMultiple"), "{lines:?}");
    let new = "new_crateid,new_code\n9a111111-0000-4000-8000-000000000001,C-9\n";
    file(&home, "new.csv", new);
    let said =
        home.call(1, &format!("set new_crate new.csv --update-all-columns --url {}", tap.address));
    assert!(said.contains("1 failed"), "{said}");
    assert_eq!(rows(&home, "new_crate", "new_code").len(), 3);
    let looks: Vec<String> =
        tap.seen("/new_crates").into_iter().filter(|line| line.starts_with("GET")).collect();
    assert!(looks.is_empty(), "{looks:?}");
    // A thousand names in three thousand rows.
    let names: String = (0..1_000).map(|name| format!("a{name}\n")).collect();
    file(&home, "accounts.csv", &format!("name\n{names}"));
    home.call(0, "set account accounts.csv --create-only");
    let people: String = (0..3_000).map(|row| format!("p{row},a{}\n", (row * 7) % 1_000)).collect();
    file(&home, "people.csv", &format!("lastname,parentcustomerid\n{people}"));
    let line = "set contact people.csv --create-only --lookup parentcustomerid=account.name";
    let said = home.call(0, &format!("{line} --url {}", tap.address));
    assert!(said.contains("3000 rows: 3000 created"), "{said}");
    let asked: Vec<String> = tap.lines.try_iter().collect();
    let is_question = |line: &&String| {
        (line.starts_with("GET") && line.contains("/accounts?")) || line.contains("/$batch")
    };
    let questions = asked.iter().filter(is_question).count();
    assert!((1..=12).contains(&questions), "{questions}: {asked:?}");
}

/// A table with a column of every kind but lookups, files and images.
fn kinds() -> Home {
    let home = Home::start();
    file(&home, "in.csv", "Name\nx\n");
    home.call(0, "table create new_kind --from in.csv");
    let label = |text: &str| {
        format!(r#"{{"LocalizedLabels": [{{"Label": "{text}", "LanguageCode": 1033}}]}}"#)
    };
    let options = format!(
        r#""OptionSet": {{"IsGlobal": false, "OptionSetType": "Picklist", "Options": [{{"Value": 1, "Label": {}}}, {{"Value": 2, "Label": {}}}]}}"#,
        label("Red"),
        label("Blue")
    );
    let yes_no = format!(
        r#""DefaultValue": false, "OptionSet": {{"TrueOption": {{"Value": 1, "Label": {}}}, "FalseOption": {{"Value": 0, "Label": {}}}}}"#,
        label("On"),
        label("Off")
    );
    let at = |behavior: &str, format: &str| {
        format!(r#""Format": "{format}", "DateTimeBehavior": {{"Value": "{behavior}"}}"#)
    };
    for (kind, name, more) in [
        ("Memo", "new_Memo", r#""MaxLength": 2000"#.to_owned()),
        ("Integer", "new_Whole", r#""MinValue": -100, "MaxValue": 100"#.to_owned()),
        ("BigInt", "new_Big", String::new()),
        (
            "Decimal",
            "new_Decimal",
            r#""Precision": 2, "MinValue": -1000, "MaxValue": 1000"#.to_owned(),
        ),
        (
            "Double",
            "new_Double",
            r#""Precision": 3, "MinValue": -1000, "MaxValue": 1000"#.to_owned(),
        ),
        (
            "Money",
            "new_Money",
            r#""Precision": 2, "PrecisionSource": 0, "MinValue": 0, "MaxValue": 1000"#.to_owned(),
        ),
        ("Boolean", "new_Flag", yes_no),
        ("Picklist", "new_Color", options.clone()),
        ("MultiSelectPicklist", "new_Colors", options),
        ("DateTime", "new_At", at("UserLocal", "DateAndTime")),
        ("DateTime", "new_Day", at("DateOnly", "DateOnly")),
    ] {
        let comma = if more.is_empty() { "" } else { ", " };
        home.post(
            "EntityDefinitions(LogicalName='new_kind')/Attributes",
            format!(
                r#"{{"@odata.type": "Microsoft.Dynamics.CRM.{kind}AttributeMetadata", "SchemaName": "{name}", "DisplayName": {}{comma}{more}}}"#,
                label(name)
            ),
        );
    }
    home
}

#[test]
fn columns_of_every_kind_are_set_cleared_and_refused_by_name() {
    let home = kinds();
    // Column, what a row gives, what is kept, what no row may give.
    let kinds = [
        ("new_memo", "two words", "two words", None),
        ("new_whole", "4e1", "40", Some("4.5")),
        ("new_big", "9007199254740993", "9007199254740993", Some("1.5")),
        ("new_decimal", "+1.50", "1.5", Some("1,5")),
        ("new_double", "1.25", "1.25", Some("inf")),
        ("new_money", "3", "3", Some("free")),
        ("new_flag", "on", "true", Some("maybe")),
        ("new_color", "BLUE", "2", Some("Green")),
        ("new_colors", "Blue;1", "1,2", Some("Blue;Green")),
        ("new_at", "2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00Z", Some("soon")),
        ("new_day", "2026-03-01", "2026-03-01", Some("2026-13-01")),
    ];
    let columns: Vec<&str> = kinds.iter().map(|(name, ..)| *name).collect();
    let object = |name: &str, of: &dyn Fn(usize) -> serde_json::Value| {
        let mut row = serde_json::json!({"name": name});
        for (place, column) in columns.iter().enumerate() {
            row[*column] = of(place);
        }
        row.to_string()
    };
    let full = object("full", &|place| kinds[place].1.into());
    file(&home, "rows.ndjson", &format!("{full}\n"));
    for want in ["1 created", "1 unchanged"] {
        let said = home.call(0, "set new_kind rows.ndjson --match-on name");
        assert!(said.contains(want), "{said}");
    }
    let read = |home: &Home| -> serde_json::Value {
        home.call(
            0,
            &format!(
                "get new_kind --headers logical --filter new_name^eq^'full' -c {} -o out.ndjson",
                columns.join(",")
            ),
        );
        let text = fs::read_to_string(home.path("out.ndjson")).expect("written");
        serde_json::from_str(&text).expect("one object")
    };
    let there = read(&home);
    for (name, _, want, _) in &kinds {
        let kept = &there[*name];
        let kept = kept.as_str().map_or_else(|| kept.to_string(), str::to_owned);
        let kept = kept.replace(';', ",");
        let number = |text: &str| text.parse::<f64>().ok();
        let is_same = kept == *want || (number(&kept).is_some() && number(&kept) == number(want));
        assert!(is_same, "{name}: {kept} instead of {want}");
    }
    unchanged_by_parquet(&home, "new_kind");
    // Every wrong value fails a row of its own and names its column.
    let bad: Vec<(&str, &str)> =
        kinds.iter().filter_map(|(name, _, _, bad)| Some((*name, (*bad)?))).collect();
    let rows: String = bad
        .iter()
        .map(|(name, text)| format!("{}\n", serde_json::json!({"name": "bad", *name: text})))
        .collect();
    file(&home, "bad.ndjson", &rows);
    let said = home.call(1, "set new_kind bad.ndjson --create-only --errors e.ndjson");
    assert!(said.contains(&format!("{} failed", bad.len())), "{said}");
    let errors = fs::read_to_string(home.path("e.ndjson")).expect("written");
    for (line, (name, text)) in errors.lines().zip(&bad) {
        let error: serde_json::Value = serde_json::from_str(line).expect("an object");
        assert_eq!(error["class"], "conversion", "{error}");
        assert_eq!(error["column"], *name, "{error}");
        let part = text.rsplit(';').next().expect("a part");
        assert!(error["message"].as_str().expect("text").contains(part), "{error}");
    }
    // Null and blank text both clear.
    for nothing in [serde_json::Value::Null, "".into()] {
        home.call(0, "set new_kind rows.ndjson --match-on name");
        let clear = object("full", &|_| nothing.clone());
        file(&home, "clear.ndjson", &format!("{clear}\n"));
        let said = home.call(0, "set new_kind clear.ndjson --match-on name");
        assert!(said.contains("1 updated"), "{nothing}: {said}");
        let there = read(&home);
        assert!(columns.iter().all(|name| there[*name].is_null()), "{there}");
        unchanged_by_parquet(&home, "new_kind");
    }
}

/// A table's records, read into a Parquet file with their ids, change nothing when they are set again.
fn unchanged_by_parquet(home: &Home, table: &str) {
    home.call(0, &format!("get {table} --headers logical -o all.parquet"));
    let said = home.call(0, &format!("set {table} all.parquet"));
    let is_kept = said.contains(" unchanged") && !said.contains("updated");
    assert!(is_kept && !said.contains("created"), "{said}");
}

#[test]
fn times_of_a_zone_come_back_over_changes_of_clocks_and_unclear_ones_fail() {
    let home = kinds();
    let rows = "name,new_at,new_day,new_colors\n\
                before,2026-03-29T01:59:59,2026-03-29,1|Blue\n\
                after,2026-03-29 03:00:00,2026-03-29,Red\n\
                gap,2026-03-29T02:30:00,,\n\
                first,2026-10-25T02:30:00+02:00,,\n\
                second,2026-10-25T02:30:00+01:00,,\n\
                unclear,2026-10-25T02:30:00,,\n\
                number,1782900000,,\n\
                list,,,1;2\n";
    file(&home, "times.csv", rows);
    let zone = "--timezone Europe/Berlin";
    let flags = format!("{zone} --epoch s --multi-sep | --errors e.ndjson");
    let said = home.call(1, &format!("set new_kind times.csv --create-only {flags}"));
    assert!(said.contains("8 rows: 5 created, 3 failed"), "{said}");
    let errors = fs::read_to_string(home.path("e.ndjson")).expect("written");
    for why in ["does not exist in Europe/Berlin", "comes twice in Europe/Berlin", "`1;2` is"] {
        assert!(errors.contains(why), "{why} in {errors}");
    }
    let read = |flags: &str| {
        home.call(
            0,
            &format!(
                "get new_kind --headers logical -c name,new_at,new_day --sort name {flags} -o t.csv"
            ),
        );
        fs::read_to_string(home.path("t.csv")).expect("written")
    };
    assert_eq!(
        read(""),
        "new_name,new_at,new_day\nafter,2026-03-29T01:00:00Z,2026-03-29\n\
         before,2026-03-29T00:59:59Z,2026-03-29\nfirst,2026-10-25T00:30:00Z,\n\
         number,2026-07-01T10:00:00Z,\nsecond,2026-10-25T01:30:00Z,\n"
    );
    assert_eq!(
        read(zone),
        "new_name,new_at,new_day\nafter,2026-03-29T03:00:00+02:00,2026-03-29\n\
         before,2026-03-29T01:59:59+01:00,2026-03-29\nfirst,2026-10-25T02:30:00+02:00,\n\
         number,2026-07-01T12:00:00+02:00,\nsecond,2026-10-25T02:30:00+01:00,\n"
    );
    // What was read in a zone is input in any.
    for flags in ["", zone, "--timezone Asia/Tokyo"] {
        let said = home.call(0, &format!("set new_kind t.csv --match-on new_name {flags}"));
        assert!(said.contains("5 rows: 5 unchanged"), "{flags}: {said}");
    }
    // Filters speak of times of the zone, too.
    let filter = r#"--filter {"new_at":{"operator":"lt","value":"2026-03-29T01:30:00"}}"#;
    assert_eq!(read(filter).lines().count(), 3);
    assert_eq!(read(&format!("{filter} {zone}")).lines().count(), 1);
    let gap = filter.replace("01:30", "02:30");
    let said = home.call(2, &format!("get new_kind {gap} {zone}"));
    assert!(said.contains("does not exist in Europe/Berlin"), "{said}");
    // A column made from times without a zone has what a clock shows: no zone changes it.
    file(&home, "visits.csv", "Code,Seen At\na,2026-07-01 12:00:00\nb,2026-12-01 08:30:00\n");
    home.call(0, "table create new_visit --from visits.csv --key Code");
    home.call(0, &format!("set new_visit visits.csv {zone}"));
    home.call(0, &format!("get new_visit {zone} --sort Code -o again.csv"));
    let again = fs::read_to_string(home.path("again.csv")).expect("written");
    let given = fs::read_to_string(home.path("visits.csv")).expect("there");
    assert_eq!(again, given);
    let said = home.call(2, "get new_kind --timezone Mars/Olympus");
    assert!(said.contains("`Mars/Olympus` is no time zone"), "{said}");
}
