//! `sheaf load`: files of several tables whose lookups point in all directions, against a real service.

use crate::home::Home;
use std::fs;

/// The parent of an account: five in a chain, upwards further down, whose last one points to the first.
fn parent(row: usize) -> Option<usize> {
    match row % 5 {
        0 => None,
        4 => Some(row - 4),
        _ => Some(row + 1),
    }
}

/// Accounts have parents, some further down in the file, and a contact; contacts belong to accounts.
fn input(home: &Home, rows: usize) {
    fs::create_dir_all(home.path("in")).expect("made");
    let mut accounts = String::from("name,accountnumber,parentaccountid,primarycontactid\n");
    let mut contacts = Vec::new();
    for row in 0..rows {
        let parent = parent(row).map(|parent| format!("A{parent}")).unwrap_or_default();
        accounts.push_str(&format!("Account {row},A{row},{parent},c{row}@example.org\n"));
        contacts.push(format!(
            "{{\"lastname\": \"Contact {row}\", \"emailaddress1\": \"c{row}@example.org\",\n \"parentcustomerid\": \"A{}\"}}",
            (row + 1) % rows
        ));
    }
    fs::write(home.path("in/accounts.csv"), accounts).expect("written");
    fs::write(home.path("in/contacts.json"), format!("[{}]", contacts.join(","))).expect("written");
    manifest(home, r#"["--match-on", "accountnumber"]"#);
}

fn manifest(home: &Home, accounts: &str) {
    let text = format!(
        r#"{{"tables": [
            {{"table": "account", "file": "accounts.csv", "options": {accounts}}},
            {{"table": "contact", "file": "contacts.json",
             "options": ["--match-on", "emailaddress1", "--lookup", "parentcustomerid=account.accountnumber"]}}
        ]}}"#
    );
    fs::write(home.path("in/load.json"), text).expect("written");
}

fn check_links(home: &Home, rows: usize) {
    home.call(
        0,
        "get account -c accountnumber,parentaccountid,primarycontactid --lookup-names -o a.csv",
    );
    let text = fs::read_to_string(home.path("a.csv")).expect("written");
    assert_eq!(text.lines().count(), rows + 1);
    for line in text.lines().skip(1) {
        let row: usize = line[1..line.find(',').expect("fields")].parse().expect("a number");
        let parent = parent(row).map(|parent| format!("Account {parent}")).unwrap_or_default();
        assert_eq!(line, format!("A{row},{parent},Contact {row}"));
    }
    home.call(0, "get contact -c emailaddress1,parentcustomerid --lookup-names -o c.csv");
    let text = fs::read_to_string(home.path("c.csv")).expect("written");
    assert_eq!(text.lines().count(), rows + 1);
    for line in text.lines().skip(1) {
        let (address, account) = line.split_once(',').expect("two fields");
        let row: usize =
            address[1..address.find('@').expect("an address")].parse().expect("a number");
        assert_eq!(account, format!("Account {}", (row + 1) % rows));
    }
}

#[test]
fn tables_that_point_to_each_other_are_loaded_whole_and_a_second_load_writes_nothing() {
    let home = Home::start();
    input(&home, 120);
    let said = home.call(0, "load in/load.json --what-if");
    assert!(
        said.contains("load would be: 2 of 2 passes over files, 240 rows: 240 created"),
        "{said}"
    );
    home.call(0, "get account -c name -o none.csv");
    assert_eq!(fs::read_to_string(home.path("none.csv")).expect("written").lines().count(), 1);
    let said = home.call(0, "load in/load.json --run r --journal runs");
    let passes: Vec<&str> = said.lines().filter(|line| line.starts_with("load ")).collect();
    assert_eq!(
        passes,
        [
            "load 1/4: contact (in/contacts.json)",
            "load 2/4: account (in/accounts.csv)",
            "load 3/4: contact, lookups that were put off (in/contacts.json)",
            "load 4/4: account, lookups that were put off (in/accounts.csv)",
        ]
    );
    // Accounts without a parent have nothing to set.
    assert!(said.contains("480 rows: 240 created, 216 updated, 24 unchanged"), "{said}");
    check_links(&home, 120);
    let said = home.call(0, "load in/load.json");
    assert!(said.contains("load: 4 of 4 passes over files, 480 rows: 480 unchanged"), "{said}");
    // A kept load has a name of its own, and nothing is left of this one.
    let said = home.call(2, "load in/load.json --run r --journal runs");
    assert!(said.contains("there is a run `r."), "{said}");
    for again in [
        "load in/load.json --run r --journal runs --resume",
        "run resume r.2-contact --journal runs",
    ] {
        let said = home.call(0, again);
        assert!(said.contains("480 rows: 240 created, 216 updated, 24 unchanged"), "{said}");
        assert!(said.contains(" 0 requests"), "{said}");
    }
    check_links(&home, 120);
}

#[test]
fn rows_that_fail_do_not_keep_others_out_and_a_resumed_load_sends_what_is_left() {
    let home = Home::start();
    input(&home, 30);
    let good = fs::read_to_string(home.path("in/accounts.csv")).expect("there");
    let bad = good.replace(",c7@example.org", ",nobody@example.org");
    fs::write(home.path("in/accounts.csv"), bad).expect("written");
    let line = "load in/load.json --rejects bad --errors bad --run r --journal runs";
    let said = home.call(1, line);
    assert!(said.contains("load: 4 of 4 passes over files"), "{said}");
    assert!(said.contains("--run r --resume"), "{said}");
    let rejects = fs::read_to_string(home.path("bad/accounts.csv")).expect("written");
    assert_eq!(
        (rejects.lines().count(), rejects.contains("nobody@example.org")),
        (2, true),
        "{rejects}"
    );
    assert!(home.path("bad/accounts.csv.ndjson").exists());
    // Accounts whose parent is the missing one fail in the second pass.
    let rejects = fs::read_to_string(home.path("bad/second-accounts.csv")).expect("written");
    assert!(rejects.contains("A7"), "{rejects}");
    fs::write(home.path("in/accounts.csv"), good).expect("written");
    let said = home.call(2, &format!("{line} --resume"));
    assert!(said.contains("has changed since the run began"), "{said}");
    home.call(0, "load in/load.json");
    check_links(&home, 30);
}

#[test]
fn a_retry_sets_the_lookups_of_rows_that_were_not_there_before() {
    let home = Home::start();
    input(&home, 20);
    // What matches two records fails, until they are gone.
    let twin = "name,accountnumber\nfirst,A3\nsecond,A3\n";
    fs::write(home.path("twins.csv"), twin).expect("written");
    home.call(0, "set account twins.csv --create-only");
    let said = home.call(1, "load in/load.json --run r --journal runs");
    assert!(said.contains("load: 4 of 4 passes over files"), "{said}");
    home.call(0, "remove account --filter name^eq^'first' --yes");
    home.call(0, "remove account --filter name^eq^'second' --yes");
    let said = home.call(0, "run retry r.1-account --journal runs");
    assert!(said.contains(" 0 failed") || !said.contains("failed"), "{said}");
    check_links(&home, 20);
    let said = home.call(0, "load in/load.json");
    assert!(said.contains("80 rows: 80 unchanged"), "{said}");
}

/// Rows are looked for by 500, and so are the names that their lookups give; the first windows may not be full.
#[test]
fn lookups_of_a_load_are_found_in_few_questions() {
    const ROWS: u64 = 1_500;
    const PARENTS: u64 = ROWS / 5 * 4;
    let home = Home::start();
    input(&home, 1_500);
    home.call(0, "load in/load.json -b 500 -j 1 --stats cost");
    let pass = |name: &str, names: u64, kind: &str, want: serde_json::Value| {
        let text = fs::read_to_string(home.path(&format!("cost/{name}.json"))).expect("written");
        let cost: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(cost["outcomes"], want, "{name}");
        let kinds = &cost["requests_by_kind"];
        let questions = kinds["GET records"]["requests"].as_u64().expect("a number");
        let most = (ROWS + names) * 12 / 10 / 500 + 8;
        assert!(questions <= most, "{name}: {questions} questions, at most {most}: {kinds:#}");
        assert!(kinds[kind]["requests"].as_u64().is_some_and(|it| it <= 5), "{name}: {kinds:#}");
    };
    let created = || serde_json::json!({"created": ROWS});
    pass("contacts.json", 0, "POST CreateMultiple", created());
    pass("accounts.csv", ROWS, "POST CreateMultiple", created());
    let updated = serde_json::json!({"updated": ROWS});
    pass("second-contacts.json", ROWS, "POST UpdateMultiple", updated);
    let some = serde_json::json!({"unchanged": ROWS - PARENTS, "updated": PARENTS});
    pass("second-accounts.csv", PARENTS, "POST UpdateMultiple", some);
}

#[test]
fn what_is_wrong_with_a_load_is_said_before_anything_is_sent() {
    let home = Home::start();
    input(&home, 5);
    let check = |want: &str| {
        let said = home.call(2, "load in/load.json");
        assert!(said.contains(want), "{want}: {said}");
    };
    manifest(&home, "[]");
    check("neither a primary key nor all columns of an alternate key of table `account`");
    manifest(&home, r#"["--match-on", "accountnumber", "--url", "http://x"]"#);
    check("`--url` is none of its options");
    manifest(&home, r#"["--match-on", "accountnumber,parentaccountid"]"#);
    check("rows of `account` are matched by `parentaccountid`, which points in a circle");
    manifest(&home, r#"["--create-only"]"#);
    check("need a second pass, which `--create-only` does not allow");
    for option in [r#""--no-update""#, r#""--no-update-columns", "parentaccountid""#] {
        manifest(&home, &format!(r#"["--match-on", "accountnumber", {option}]"#));
        let name = option.split('"').nth(1).expect("a name");
        check(&format!("need a second pass, which `{name}` does not allow"));
    }
    manifest(&home, r#"["--match-on", "accountnumber"]"#);
    let said = home.call(2, "load in/load.json --rejects in");
    assert!(said.contains("`--rejects` must not be where the inputs are"), "{said}");
    let twice = r#"{"tables": [
        {"table": "account", "file": "accounts.csv", "options": ["--match-on", "accountnumber"]},
        {"table": "contact", "file": "accounts.csv", "options": ["--create-only", "--ignore-unknown-columns"]}]}"#;
    fs::write(home.path("in/load.json"), twice).expect("written");
    let said = home.call(2, "load in/load.json --errors bad");
    assert!(said.contains("two inputs are named `accounts.csv`"), "{said}");
    fs::write(home.path("in/load.json"), r#"{"tables": [{"table": "account", "path": "x"}]}"#)
        .expect("written");
    check("it has `path`, which means nothing");
    fs::write(
        home.path("in/load.json"),
        r#"{"tables": [{"table": "nothing", "file": "accounts.csv"}]}"#,
    )
    .expect("written");
    check("there is no table `nothing`");
    fs::create_dir(home.path("empty")).expect("made");
    let said = home.call(2, "load empty");
    assert!(said.contains("names no file that can be loaded"), "{said}");
    home.call(0, "get account -c name -o none.csv");
    assert_eq!(fs::read_to_string(home.path("none.csv")).expect("written").lines().count(), 1);
}

#[test]
fn files_of_a_directory_are_named_after_their_tables_and_matched_by_their_keys() {
    let home = Home::start();
    fs::create_dir_all(home.path("in")).expect("made");
    for (name, text) in [
        ("new_plane.csv", "Tail,Year\nN1,1999\nN2,2004\n"),
        ("new_town.csv", "Code,Name\nX,Xton\nY,Yton\n"),
    ] {
        fs::write(home.path(&format!("in/{name}")), text).expect("written");
        let (table, key) = (&name[..name.len() - 4], &text[..4]);
        home.call(0, &format!("table create {table} --from in/{name} --key {key}"));
    }
    fs::write(home.path("in/notes.txt"), "no rows").expect("written");
    let said = home.call(0, "load in");
    assert!(said.contains("load: 2 of 2 passes over files, 4 rows: 4 created"), "{said}");
    let said = home.call(0, "load in");
    assert!(said.contains("4 rows: 4 unchanged"), "{said}");
}
