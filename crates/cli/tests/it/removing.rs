//! `sheaf remove` deletes what rows match, and nothing else: against a real service.

use crate::home::Home;
use std::fs;

fn file(home: &Home, name: &str, text: &str) {
    fs::write(home.path(name), text).expect("written");
}

/// The numbers of the accounts that are left, in order.
fn left(home: &Home) -> String {
    home.call(0, "get account -c accountnumber --sort accountnumber -o left.csv");
    let text = fs::read_to_string(home.path("left.csv")).expect("written");
    text.lines().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_are_matched_before_they_are_removed_and_what_is_not_clear_stays() {
    let home = Home::start();
    file(
        &home,
        "in.csv",
        "name,accountnumber,numberofemployees\nOne,A1,1\nTwo,A2,2\nTwo,A3,3\nFour,A4,4\nFive,A5,5\nSix,A6,6\n",
    );
    home.call(0, "set account in.csv --create-only");
    let remove = |code: i32, text: &str, flags: &str, want: &str| {
        file(&home, "gone.csv", text);
        let said = home.call(code, &format!("remove account gone.csv --yes {flags}"));
        assert!(said.contains(want), "{flags}: {said}");
    };
    // Nothing is removed where several match, where nothing does, or where it is only asked.
    remove(1, "name,city\nTWO,x\n", "--match-on name", "2 records match the row");
    remove(1, "name\nNobody\n", "--match-on name", "1 failed");
    remove(0, "name\nNobody\n", "--match-on name --if-exists", "1 absent");
    remove(0, "name\nOne\n", "--match-on name -n", "1 deleted");
    remove(1, "name,city\n,x\n", "--match-on name", "neither an id nor all values");
    assert_eq!(left(&home), "A1 A2 A3 A4 A5 A6");
    remove(0, "name\none\n", "--match-on name", "1 rows: 1 deleted");
    remove(0, "name,numberofemployees\nTwo,3\n", "--match-on name,numberofemployees", "1 deleted");
    assert_eq!(left(&home), "A2 A4 A5 A6");
    // List by list: the second counts where the first finds nothing.
    remove(
        0,
        "name,accountnumber\nFour,A9\n",
        "--match-on accountnumber --match-on name",
        "1 deleted",
    );
    // A row twice: the second finds nothing any more.
    remove(1, "name\nFive\nFive\n", "--match-on name -b 1", "1 deleted, 1 failed");
    assert_eq!(left(&home), "A2 A6");
    file(&home, "in.csv", "name,accountnumber\nTwo,A7\nTwo,A8\n");
    home.call(0, "set account in.csv --create-only");
    let flags = "--match-on name --allow-multiple-matches -b 2 -j 4";
    remove(0, "name\nTwo\n", flags, "3 rows: 3 deleted");
    assert_eq!(left(&home), "A6");
    // A key goes before the match list.
    home.call(0, "get account -c accountid -o id.csv");
    let id = fs::read_to_string(home.path("id.csv")).expect("written");
    let id = id.lines().nth(1).expect("a row");
    remove(0, &format!("Id,name\n{id},Other\n"), "--match-on name", "1 deleted");
    assert_eq!(left(&home), "");
    remove(2, "name\nOne\n", "--match-on nothing", "has no column `nothing`");
    remove(2, "city\nOne\n", "", "no column `Id`");
}

#[test]
fn five_hundred_rows_find_every_record_in_a_few_questions() {
    let home = Home::start();
    let mut text = String::from("name,accountnumber\n");
    for row in 0..1_200 {
        text.push_str(&format!("N{},A{row}\n", row % 400));
    }
    file(&home, "in.csv", &text);
    home.call(0, "set account in.csv --create-only");
    let names: String = (0..400).map(|row| format!("n{row}\n")).collect();
    file(&home, "gone.csv", &format!("name\n{names}"));
    let said =
        home.call(0, "remove account gone.csv --yes --match-on name --allow-multiple-matches");
    assert!(said.contains("1200 rows: 1200 deleted"), "{said}");
    assert_eq!(left(&home), "");
}
