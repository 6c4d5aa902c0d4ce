//! Lists of parties of activities: `to`, `from`, `requiredattendees` and their like.

use crate::home::Home;
use crate::tap::Tap;
use std::fs;

const ANN: &str = "11111111-2222-4333-8444-555555555501";
const BEN: &str = "11111111-2222-4333-8444-555555555502";

fn people() -> Home {
    let home = Home::start();
    let contacts = format!("contactid,firstname,lastname\n{ANN},Ann,One\n{BEN},Ben,Two\n");
    fs::write(home.path("contacts.csv"), contacts).expect("written");
    fs::write(home.path("accounts.csv"), "name\nWine & Co\n").expect("written");
    home.call(0, "set contact contacts.csv");
    home.call(0, "set account accounts.csv");
    home
}

/// The parties there are: role, whose id ends how, address; sorted.
fn parties(home: &Home) -> Vec<String> {
    let columns = "participationtypemask,partyid,addressused";
    home.call(0, &format!("get activityparty --headers logical -c {columns} -o parties.csv"));
    let text = fs::read_to_string(home.path("parties.csv")).expect("written");
    let mut rows: Vec<String> =
        text.lines().skip(1).map(|line| line.replace(ANN, "ann").replace(BEN, "ben")).collect();
    rows.sort();
    rows
}

fn set(home: &Home, code: i32, table: &str, rows: &str, flags: &str, want: &str) -> String {
    fs::write(home.path("in.ndjson"), rows).expect("written");
    let said = home.call(code, &format!("set {table} in.ndjson {flags}"));
    assert!(said.contains(want), "{flags} with {rows}: {said}");
    said
}

#[test]
fn parties_are_given_in_every_form_of_a_lookup_set_cleared_compared_and_refused_by_name() {
    let home = people();
    let id = "11111111-2222-4333-8444-555555555511";
    // By object, by text, by id, by name, as rows of their own, and by an address alone.
    let email = format!(
        r#"{{"Id":"{id}","subject":"News","from":{{"TableName":"contact","Id":"{ANN}"}},"to":["TableName=contact;Id={BEN}","{ANN}","Wine & Co",{{"partyid":"Ben Two","addressused":"b@example.com"}},{{"addressused":"x@example.com"}}],"cc":[]}}"#
    );
    set(&home, 0, "email", &email, "", "1 created");
    let there = parties(&home);
    assert_eq!(there.len(), 6, "{there:?}");
    assert_eq!(there[0], "1,TableName=contact;Id=ann,");
    for want in ["ben,b@example.com", ",,x@example.com"] {
        assert!(there.iter().any(|row| row.contains(want)), "{want}: {there:?}");
    }
    // What is there already is not sent, in whatever order.
    set(&home, 0, "email", &email, "", "1 unchanged");
    let other = format!(r#"{{"Id":"{id}","to":["Ben Two"]}}"#);
    set(&home, 0, "email", &other, "", "1 updated");
    let there = parties(&home);
    assert_eq!(there.len(), 2, "the role that was not given stays: {there:?}");
    set(&home, 0, "email", &other, "", "1 unchanged");
    set(&home, 0, "email", &other, "--no-update-columns to", "1 unchanged");
    let nobody = format!(r#"{{"Id":"{id}","to":null}}"#);
    set(&home, 0, "email", &nobody, "--no-update-columns to", "1 unchanged");
    set(&home, 0, "email", &nobody, "--update-all-columns", "1 updated");
    assert_eq!(parties(&home).len(), 1);
    // What is wrong is told by column and text, and nothing of the row is sent.
    for (to, want) in [
        (r#"["Nobody"]"#, "to: no record of"),
        (r#"[{"participationtypemask":2}]"#, "to: a party has neither"),
        (r#"[{"partyid":"Ann One","participationtypemask":1}]"#, "to: a party of `to` has the"),
        (r#"[5]"#, "to: `5` is no party"),
        (r#"[{"partyid":"Ann One","shoe":1}]"#, "to: table `activityparty` has no column `shoe`"),
    ] {
        let row = format!(r#"{{"Id":"{id}","subject":"Changed","to":{to}}}"#);
        set(&home, 1, "email", &row, "", want);
    }
    set(&home, 1, "email", &email, "--upsert", "`--upsert` does not go with a list of parties");
    let row = r#"{"subject":"a task","to":["Ann One"]}"#;
    set(&home, 1, "task", row, "", "table `task` has no column `to`");
    assert_eq!(parties(&home).len(), 1);
}

#[test]
fn parties_of_many_rows_are_found_in_few_questions_and_travel_beside_others() {
    let home = people();
    let mut rows = String::from("subject,requiredattendees,organizer\n");
    for number in 0..60 {
        let list = match number % 3 {
            0 => "\"[\"\"Ann One\"\",\"\"Ben Two\"\"]\"",
            1 => "Ann One",
            _ => "",
        };
        rows.push_str(&format!("Meeting {number},{list},Ben Two\n"));
    }
    fs::write(home.path("in.csv"), &rows).expect("written");
    let tap = Tap::before(home.url(), None);
    let line = format!("set appointment in.csv --match-on subject -b 20 --url {}", tap.address);
    let said = home.call(0, &line);
    assert!(said.contains("60 rows: 60 created"), "{said}");
    let lines: Vec<String> = tap.lines.try_iter().collect();
    let asked = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(asked("GET /api/data/v9.2/contacts?"), 1, "{lines:?}");
    assert_eq!(asked("$batch"), 3, "{lines:?}");
    assert_eq!(parties(&home).len(), 60 + 2 * 20 + 20);
    let said = home.call(0, &line);
    assert!(said.contains("60 rows: 60 unchanged"), "{said}");
    assert_eq!(tap.seen("POST").len(), 0);
    // Rows without parties of the same input travel in bulk messages.
    let rows = concat!(
        "{\"subject\":\"a\"}\n{\"subject\":\"b\",\"to\":[\"Ann One\"]}\n",
        "{\"subject\":\"c\"}\n{\"subject\":\"d\"}\n"
    );
    fs::write(home.path("in.ndjson"), rows).expect("written");
    let said = home.call(0, &format!("set phonecall in.ndjson --url {}", tap.address));
    assert!(said.contains("4 rows: 4 created"), "{said}");
    let bulk = tap.seen("CreateMultiple");
    assert!(!bulk.is_empty(), "{bulk:?}");
}
