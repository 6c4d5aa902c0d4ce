//! What `-v`, `-vv`, `--trace-bodies` and `--ordered` show.

use crate::home::Home;
use std::fs;

fn crates() -> Home {
    let home = Home::start();
    let long = "z".repeat(200);
    let rows = format!("Code,Label,Note,Secret\nC-1,one,{long},s3cret\nC-2,two,,s3cret\n");
    fs::write(home.path("in.csv"), rows).expect("written");
    home.call(0, "table create new_crate --from in.csv --key Code");
    home
}

#[test]
fn every_row_is_told_and_with_twice_the_wish_every_request() {
    let home = crates();
    let said = home.call(0, "set new_crate in.csv --match-on Code -v");
    for want in [
        "read: a group of 2 rows was looked at",
        "row 0, worker 1: created ",
        "(new_code, new_crateid, new_label, new_note, new_secret)",
        "pace: width ",
    ] {
        assert!(said.contains(want), "{want} in {said}");
    }
    assert!(!said.contains("POST "), "{said}");
    fs::write(home.path("next.csv"), "Code,Label\nC-1,eins\nC-2,two\nC-9,x\n").expect("written");
    let said = home.call(0, "set new_crate next.csv --match-on Code --no-create -v");
    for want in [
        "row 0, worker 1: updated ",
        "(new_crateid, new_label)",
        "row 1: unchanged ",
        "row 2: skipped (missing)",
    ] {
        assert!(said.contains(want), "{want} in {said}");
    }
    // Nothing is sent under --what-if, and every row says how it would end.
    let said = home.call(0, "set new_crate next.csv --match-on Code -n -v");
    assert!(said.contains("row 2: created "), "{said}");
    let said = home.call(0, "set new_crate next.csv --match-on Code --no-update -v");
    assert!(said.contains("row 0: skipped (exists)"), "{said}");
    fs::write(home.path("last.csv"), "Code,Secret\nC-1,an0ther\n").expect("written");
    let said = home.call(0, "set new_crate last.csv --match-on Code -vv");
    assert!(said.contains("UpdateMultiple (") && said.contains(" bytes): 204 in 0."), "{said}");
    assert!(!said.contains("an0ther"), "no bodies: {said}");
    let long = "x".repeat(90) + &"y".repeat(30);
    fs::write(home.path("last.csv"), format!("Code,Note,Secret\nC-1,{long},a9ain\n"))
        .expect("written");
    let said = home.call(0, "set new_crate last.csv --match-on Code --trace-bodies");
    assert!(said.contains("  sent: {\"Targets\":[{"), "{said}");
    assert!(said.contains("\"new_secret\":\"***\"") && !said.contains("a9ain"), "{said}");
    assert!(said.contains("xyyyyyyyyyy…") && !said.contains(&long), "{said}");
    assert!(!said.contains("row 0"), "{said}");
    let said = home.call(0, "remove new_crate last.csv --match-on Code --yes -v");
    assert!(said.contains("row 0, worker 1: deleted "), "{said}");
}

#[test]
fn rows_are_passed_on_in_the_order_of_the_input_where_that_is_wished_for() {
    let home = crates();
    let rows: String = (0..600).map(|number| format!("K-{},{number}\n", number % 200)).collect();
    fs::write(home.path("many.csv"), format!("Code,Label\n{rows}")).expect("written");
    // Rows of one record wait for each other; those that fail have no object and hold nothing up.
    let line = "set new_crate many.csv --match-on Code -b 7 -j 4 --pass-thru --ordered";
    let output = home.command(line).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let labels: Vec<u32> = text
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("an object");
            row["Label"].as_str().expect("a label").parse().expect("a number")
        })
        .collect();
    assert_eq!(labels, (0..600).collect::<Vec<_>>());
    let line = "remove new_crate many.csv --match-on Code --if-exists --yes -b 7 -j 4 --pass-thru --ordered";
    let output = home.command(line).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let deleted = text.lines().filter(|line| line.contains("\"deleted\"")).count();
    assert!(deleted >= 200, "{deleted}: {text}");
}
