//! Rows of many-to-many tables are pairs of records: against a real service.

use crate::home::Home;
use std::fs;

const LABEL: &str = r#"{"LocalizedLabels": [{"Label": "x", "LanguageCode": 1033}]}"#;

/// Ports P-1 to P-3, accounts A-1 to A-3, and `new_visit`, which joins them.
fn harbour() -> Home {
    let home = Home::start();
    file(&home, "ports.csv", "Name\nP-1\nP-2\nP-3\n");
    home.call(0, "table create new_port --from ports.csv");
    home.call(0, "set new_port ports.csv");
    file(&home, "accounts.csv", "name\nA-1\nA-2\nA-3\n");
    home.call(0, "set account accounts.csv");
    for (name, one, two) in
        [("new_Visit", "new_port", "account"), ("new_Twin", "new_port", "new_port")]
    {
        home.post(
            "RelationshipDefinitions",
            format!(
                r#"{{"@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata", "SchemaName": "{name}_rel", "Entity1LogicalName": "{one}", "Entity2LogicalName": "{two}", "IntersectEntityName": "{}", "Entity1AssociatedMenuConfiguration": {{"Label": {LABEL}}}}}"#,
                name.to_lowercase()
            ),
        );
    }
    home
}

fn file(home: &Home, name: &str, text: &str) {
    fs::write(home.path(name), text).expect("written");
}

fn ids(home: &Home, table: &str, columns: &str) -> Vec<(String, String)> {
    home.call(0, &format!("get {table} --headers logical -c {columns} -o ids.csv"));
    let text = fs::read_to_string(home.path("ids.csv")).expect("written");
    let mut rows: Vec<(String, String)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let (name, id) = line.split_once(',').expect("two columns");
            (name.to_owned(), id.to_owned())
        })
        .collect();
    rows.sort();
    rows
}

fn id(rows: &[(String, String)], name: &str) -> String {
    rows.iter().find(|(other, _)| other == name).expect(name).1.clone()
}

#[test]
fn pairs_are_made_once_by_id_or_name_and_taken_apart() {
    let home = harbour();
    let ports = ids(&home, "new_port", "new_name,new_portid");
    let accounts = ids(&home, "account", "name,accountid");
    let rows = format!(
        "new_portid,accountid\nP-1,A-1\nP-1,{}\n{},A-1\nP-3,A-3\nP-1,A-1\nP-9,A-1\nP-2,\n",
        id(&accounts, "A-2"),
        id(&ports, "P-2"),
    );
    file(&home, "visits.csv", &rows);
    for (flags, want) in [
        ("-n", "set would be: 7 rows: 5 created, 2 failed"),
        ("", "7 rows: 4 created, 1 unchanged, 2 failed"),
        ("-b 1", "7 rows: 5 unchanged, 2 failed"),
        ("-b 100 --upsert", "7 rows: 5 unchanged, 2 failed"),
        ("--create-only", "7 rows: 5 unchanged, 2 failed"),
    ] {
        let said = home.call(1, &format!("set new_visit visits.csv --errors e.ndjson {flags}"));
        assert!(said.contains(want), "{flags}: {said}");
        let errors = fs::read_to_string(home.path("e.ndjson")).expect("written");
        assert!(errors.contains("unresolved-lookup") && errors.contains("conversion"), "{errors}");
    }
    for flag in ["--match-on accountid", "--no-create", "--no-update", "--update-all-columns"] {
        let said = home.call(2, &format!("set new_visit visits.csv {flag}"));
        assert!(said.contains("does not go with many-to-many"), "{flag}: {said}");
    }
    let pairs = ids(&home, "new_visit", "new_portid,accountid");
    assert_eq!(pairs.len(), 4, "{pairs:?}");
    // A row of the table itself is input: by both ids, and then by its key alone.
    home.call(0, "get new_visit --headers logical -o all.csv");
    let said = home.call(0, "set new_visit all.csv");
    assert!(said.contains("4 rows: 4 unchanged"), "{said}");
    file(&home, "gone.csv", "new_portid,accountid\nP-1,A-1\nP-3,A-3\n");
    let said = home.call(0, "remove new_visit gone.csv -n");
    assert!(said.contains("2 rows: 2 deleted"), "{said}");
    let said = home.call(0, "remove new_visit gone.csv -b 1");
    assert!(said.contains("2 rows: 2 deleted"), "{said}");
    let said = home.call(1, "remove new_visit gone.csv");
    assert!(said.contains("2 rows: 2 failed"), "{said}");
    let said = home.call(0, "remove new_visit gone.csv --if-exists");
    assert!(said.contains("2 rows: 2 absent"), "{said}");
    home.call(0, "set new_visit gone.csv");
    file(&home, "ports-gone.csv", "new_portid\nP-1\n");
    let said = home.call(1, "remove new_visit ports-gone.csv --match-on new_portid");
    assert!(said.contains("2 records match"), "{said}");
    let said = home
        .call(0, "remove new_visit ports-gone.csv --match-on new_portid --allow-multiple-matches");
    assert!(said.contains("2 deleted"), "{said}");
    home.call(0, "get new_visit --headers logical -c new_visitid -o keys.csv");
    let said = home.call(0, "remove new_visit keys.csv");
    assert!(said.contains("2 rows: 2 deleted"), "{said}");
    let said = home.call(1, "remove new_visit keys.csv");
    assert!(said.contains("2 rows: 2 failed"), "{said}");
    assert!(ids(&home, "new_visit", "new_portid,accountid").is_empty());
    // What a filter names.
    home.call(0, "set new_visit gone.csv");
    let filter = format!("accountid^eq^{}", id(&accounts, "A-3"));
    let said = home.call(0, &format!("remove new_visit --filter {filter} -y"));
    assert!(said.contains("1 deleted"), "{said}");
}

#[test]
fn a_table_that_is_joined_to_itself_has_ends_that_are_told_apart() {
    let home = harbour();
    let ports = ids(&home, "new_port", "new_name,new_portid");
    file(&home, "twins.csv", "new_portidone,new_portidtwo\nP-1,P-2\nP-1,P-3\n");
    let said = home.call(0, "set new_twin twins.csv");
    assert!(said.contains("2 rows: 2 created"), "{said}");
    let mut want =
        vec![(id(&ports, "P-1"), id(&ports, "P-2")), (id(&ports, "P-1"), id(&ports, "P-3"))];
    want.sort();
    assert_eq!(ids(&home, "new_twin", "new_portidone,new_portidtwo"), want);
    let said = home.call(0, "remove new_twin twins.csv");
    assert!(said.contains("2 rows: 2 deleted"), "{said}");
}

#[test]
fn only_pairs_of_two_active_records_are_active() {
    let home = harbour();
    file(&home, "visits.csv", "new_portid,accountid\nP-1,A-1\nP-1,A-2\nP-2,A-1\nP-3,A-3\n");
    home.call(0, "set new_visit visits.csv");
    file(&home, "off.csv", "name,statecode\nA-2,1\n");
    home.call(0, "set account off.csv --match-on name");
    file(&home, "off.csv", "name,statecode\nP-3,1\n");
    home.call(0, "set new_port off.csv --match-on name");
    let rows = |flags: &str| {
        home.call(0, &format!("get new_visit --headers logical {flags} -o out.csv"));
        let text = fs::read_to_string(home.path("out.csv")).expect("written");
        text.lines().count() - 1
    };
    assert_eq!(rows(""), 4);
    assert_eq!(rows("--active-only"), 2);
    assert_eq!(rows("--active-only -c new_visitid --page-size 1"), 2);
    assert_eq!(rows("--active-only --top 1 --page-size 1"), 1);
    home.call(2, "get new_visit --active-only --count");
}
