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
    remove(0, "name\nFive\nFive\n", "--match-on name -b 1", "1 deleted, 1 absent");
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

#[test]
fn a_job_of_the_service_deletes_what_a_filter_object_names_and_is_followed() {
    let home = Home::start();
    file(&home, "in.csv", "name,accountnumber,numberofemployees\nA,A1,1\nB,A2,2\nC,A3,3\nD,A4,4\n");
    home.call(0, "set account in.csv --create-only");
    let few = r#"--filter {"numberofemployees":{"operator":"le","value":2}}"#;
    let job =
        |code: i32, flags: &str| home.call(code, &format!("remove account --via job {flags}"));
    let said = job(0, &format!("{few} -n"));
    assert!(said.contains("a job for 2 rows"), "{said}");
    job(2, few);
    assert_eq!(left(&home), "A1 A2 A3 A4");
    let said = job(0, &format!("{few} --yes --wait"));
    assert!(said.contains("remove: 2 deleted, 0 failed"), "{said}");
    let id = said.lines().next().expect("the id of the job");
    assert_eq!(id.len(), 36, "{said}");
    assert_eq!(left(&home), "A3 A4");
    let said = job(0, r#"--filter {"accountnumber":"A4"} -y"#);
    assert_eq!(said.lines().next().map(str::len), Some(36), "{said}");
    for (flags, part) in [
        ("--filter name^eq^'C' -y", "not OData text"),
        (r#"--filter {"not":{"name":"C"}} -y"#, "no `not`"),
        (r#"--filter {"name":"C"} -y --retries 1"#, "`--retries` does not go with"),
        (r#"--filter {"name":"C"} -y -b 5"#, "`--batch-size` does not go with"),
        (r#"--filter {"name":"C"} -y --bypass-flows"#, "`--bypass-flows` does not go with"),
        ("in.csv -y", "`FILE` does not go with"),
        ("in.csv -y --match-on name", "`FILE` does not go with"),
    ] {
        let said = job(2, flags);
        assert!(said.contains(part), "{flags}: {said}");
    }
    for flag in [
        "--retrieval-batch-size 5",
        "--bisect-limit 3",
        "--initial-retry-delay 1",
        "--progress json",
        "--format csv",
        "--journal d",
        "--stats s.json",
    ] {
        let said = job(2, &format!("{few} -y {flag}"));
        let name = flag.split(' ').next().expect("a name");
        assert!(said.contains(&format!("`{name}` does not go with `--via job`")), "{said}");
    }
    let kept_ever = home
        .command(r#"remove account --via job --filter {"accountnumber":"A3"} -n --progress none"#)
        .env("SHEAF_RUNS", home.path("runs"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&kept_ever.stderr).into_owned();
    assert!(kept_ever.status.success() && said.contains("a job for 1 rows"), "{said}");
    for flag in ["--journal d", "--run r"] {
        let said = home.call(2, &format!("remove account --filter name^eq^'C' -y {flag}"));
        let name = flag.split(' ').next().expect("a name");
        assert!(said.contains(&format!("`{name}` needs a file of rows")), "{said}");
    }
    let kept_ever = home
        .command("remove account --filter name^eq^'nobody' -y --progress none")
        .env("SHEAF_RUNS", home.path("runs"))
        .output()
        .expect("it runs");
    assert!(kept_ever.status.success(), "{kept_ever:?}");
    let said = job(2, &format!("{few} -y --match-on name"));
    assert!(said.contains("--match-on"), "{said}");
    home.call(2, "remove account in.csv --wait");
}

#[test]
fn a_key_that_comes_twice_is_deleted_once_and_the_second_is_absent() {
    let home = Home::start();
    let id = "9a111111-0000-4000-8000-000000000001";
    let never = "9a111111-0000-4000-8000-000000000002";
    file(&home, "in.csv", &format!("accountid,name\n{id},A\n"));
    for via in ["auto -b 100", "batch", "auto -b 1"] {
        home.call(0, "set account in.csv --create-only");
        file(&home, "gone.csv", &format!("accountid\n{id}\n{id}\n"));
        let said = home.call(0, &format!("remove account gone.csv --via {via}"));
        assert!(said.contains("2 rows: 1 deleted, 1 absent"), "{via}: {said}");
    }
    file(&home, "gone.csv", &format!("accountid\n{never}\n{never}\n"));
    let said = home.call(1, "remove account gone.csv");
    assert!(said.contains("2 rows: 2 failed"), "{said}");
    let said = home.call(2, "remove account gone.csv --via multiple");
    assert!(said.contains("no `DeleteMultiple`"), "{said}");
}

#[test]
fn ids_are_given_as_options() {
    let home = Home::start();
    let ids: Vec<String> =
        (1..=4).map(|number| format!("9a111111-0000-4000-8000-00000000000{number}")).collect();
    let rows: String = ids.iter().map(|id| format!("{id},A{}\n", id.split_at(35).1)).collect();
    file(&home, "in.csv", &format!("accountid,accountnumber\n{rows}"));
    home.call(0, "set account in.csv --create-only");
    let said = home.call(0, &format!("remove account --id {} -n", ids[0]));
    assert!(said.contains("remove would be: 1 rows: 1 deleted"), "{said}");
    assert_eq!(left(&home), "A1 A2 A3 A4");
    let said = home.call(0, &format!("remove account --id {},{} --id {}", ids[0], ids[1], ids[1]));
    assert!(said.contains("3 rows: 2 deleted, 1 absent"), "{said}");
    assert_eq!(left(&home), "A3 A4");
    let said = home.call(1, &format!("remove account --id {} -b 1", ids[0]));
    assert!(said.contains("1 rows: 1 failed"), "{said}");
    home.call(0, &format!("remove account --id {} --if-exists", ids[0]));
    for flags in ["--filter x", "in.csv", "--match-on name", "--via job", "--format csv", "--run a"]
    {
        let said = home.call(2, &format!("remove account --id {} {flags}", ids[2]));
        assert!(
            said.contains("--id") || said.contains("--format") || said.contains("--run"),
            "{said}"
        );
    }
    home.call(2, "remove account --id nobody");
    home.call(2, "remove account --filter name^eq^'x' --format csv -y");
    assert_eq!(left(&home), "A3 A4");
}

#[test]
fn options_that_are_not_there_are_refused_by_name() {
    let home = Home::start();
    file(&home, "in.csv", "name\nA\n");
    for (command, options) in [
        ("set account in.csv", &["--atomic", "--affinity"][..]),
        ("get account", &["--link", "--unpublished", "--affinity", "--ordered"][..]),
        ("remove account in.csv", &["--affinity"][..]),
    ] {
        for option in options {
            let said = home.call(2, &format!("{command} {option} x"));
            assert!(said.contains(&format!("unexpected argument '{option}'")), "{said}");
        }
    }
    assert_eq!(left(&home), "");
}
