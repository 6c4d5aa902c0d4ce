//! `sheaf set --lookup-missing create-stub`: records for names that nothing has, against a real service.

use crate::home::Home;
use std::fs;

fn rows(home: &Home, table: &str, columns: &str) -> Vec<String> {
    home.call(0, &format!("get {table} -c {columns} --sort {columns} -o there.csv"));
    let text = fs::read_to_string(home.path("there.csv")).expect("written");
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_record_is_made_once_for_a_name_that_nothing_has_and_none_where_it_is_only_asked() {
    let home = Home::start();
    fs::write(home.path("accounts.csv"), "name\nThere\n").expect("written");
    home.call(0, "set account accounts.csv --create-only");
    let mut text = String::from("lastname,parentcustomerid\n");
    // More rows than one window has; names come again in other cases and in other windows.
    for row in 0..4_500 {
        let name = match row % 4 {
            0 => "There".to_owned(),
            1 => format!("New {}", row % 100),
            2 => format!("NEW {}", (row - 1) % 100),
            _ => String::new(),
        };
        text.push_str(&format!("L{row},{name}\n"));
    }
    fs::write(home.path("in.csv"), text).expect("written");
    let set = "set contact in.csv --create-only --lookup-missing create-stub";
    let said = home.call(1, &format!("{set} -n --progress none"));
    assert!(said.contains("can be made in one table only"), "{said}");
    let set = format!("{set} --lookup parentcustomerid=account.name");
    let said = home.call(0, &format!("{set} -n"));
    assert!(said.contains("25 records of `account` would be made"), "{said}");
    assert!(said.contains("4500 rows: 4500 created"), "{said}");
    assert_eq!(rows(&home, "account", "name"), ["There"]);
    let said = home.call(2, &format!("{set} -i"));
    assert!(said.contains("does not go with `--confirm`"), "{said}");
    let said = home.call(0, &set);
    assert!(said.contains("25 records of `account` made"), "{said}");
    assert_eq!(rows(&home, "account", "name").len(), 26);
    let linked = home.call(0, "get contact --filter _parentcustomerid_value^ne^null --count");
    let linked_count = linked.lines().find_map(|line| line.trim().parse::<u32>().ok());
    assert_eq!(linked_count, Some(3_375), "{linked}");
    let said = home.call(0, &set);
    assert!(!said.contains("stubs:"), "they are there now: {said}");
    assert_eq!(rows(&home, "account", "name").len(), 26);
}

#[test]
fn a_name_that_the_service_refuses_fails_its_rows_alone() {
    let home = Home::start();
    let long = "x".repeat(500);
    let text = format!("lastname,parentcustomerid\nA,{long}\nB,Good\n");
    fs::write(home.path("in.csv"), text).expect("written");
    let said = home.call(
        1,
        "set contact in.csv --create-only --lookup-missing create-stub --lookup parentcustomerid=account.name",
    );
    assert!(said.contains("1 created, 1 failed"), "{said}");
    assert_eq!(rows(&home, "account", "name"), ["Good"]);
    assert_eq!(rows(&home, "contact", "lastname"), ["B"]);
}
