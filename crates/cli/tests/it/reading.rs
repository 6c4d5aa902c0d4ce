//! `sheaf get` reads what was asked for, and nothing else: against a real service.

use crate::home::Home;
use crate::tap::Tap;
use std::fs;

fn file(home: &Home, name: &str, text: &str) {
    fs::write(home.path(name), text).expect("written");
}

/// What a call writes to standard output.
fn output(home: &Home, line: &str) -> String {
    let output = home.command(line).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "sheaf {line}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The rows that a call reads, without the header line.
fn rows(home: &Home, line: &str) -> Vec<String> {
    output(home, line).lines().skip(1).map(str::to_owned).collect()
}

fn accounts() -> Home {
    let home = Home::start();
    file(
        &home,
        "in.csv",
        "name,accountnumber,numberofemployees,statecode,donotemail,description\n\
         Alpha,A1,10,0,yes,first\nBeta,B1,20,1,no,\nGamma,G1,30,0,no,third\nDelta,D1,,0,yes,fourth\n\
         O'Neil,O1,50,1,no,last\n",
    );
    home.call(0, "set account in.csv --create-only");
    home
}

#[test]
fn filters_of_every_form_name_the_same_rows_as_their_meaning() {
    let home = accounts();
    // Letters of the accounts that are read, in the order of their names.
    let check = |flags: &str, want: &str| {
        let read = rows(&home, &format!("get account -c accountnumber --sort name {flags}"));
        let got: String = read.iter().map(|row| &row[..1]).collect();
        assert_eq!(got, want, "{flags}");
    };
    check("", "ABDGO");
    check("--filter numberofemployees^gt^15", "BGO");
    check("--where numberofemployees^gt^15 --where name^eq^'Alpha'", "ABGO");
    check(r#"--filter {"name":"alpha"}"#, "A");
    check(r#"--filter {"name":"O'Neil"}"#, "O");
    check(r#"--filter {"name":["Alpha","Beta"]}"#, "AB");
    check(r#"--filter {"name":["Alpha","Beta"],"statecode":"Inactive"}"#, "B");
    check(r#"--filter {"numberofemployees":null}"#, "D");
    check(r#"--filter {"numberofemployees":{"operator":"gt","value":15}}"#, "BGO");
    check(r#"--filter {"numberofemployees:Between":[10,30]}"#, "ABG");
    check(r#"--filter {"name:Like":"%a"}"#, "ABDG");
    check(r#"--filter {"name:Like":"%et%"} --filter {"name:begins-with":"g"}"#, "BG");
    check(r#"--filter {"name:Like":"a%a"}"#, "A");
    check(r#"--filter {"createdon:Today":null}"#, "ABDGO");
    check(
        r#"--filter {"createdon:older-than-x-days":1}"#.replace("older-than", "olderthan").as_str(),
        "",
    );
    check(r#"--filter {"or":[{"name":"Alpha"},{"and":{"donotemail":false,"statecode":0}}]}"#, "AG");
    check(r#"--filter {"not":{"numberofemployees:gt":15}}"#, "AD");
    check(r#"--filter {"not":[{"name":"Alpha"}]}"#, "BDGO");
    check(r#"--filter {"xor":[{"statecode":0},{"donotemail":false}]}"#, "ABDO");
    check(r#"--filter {"not":{"xor":[{"statecode":0},{"donotemail":false}]}}"#, "G");
    check(r#"--exclude {"name":["Alpha","Beta"]}"#, "DGO");
    check(r#"--exclude {"numberofemployees:ge":30} --exclude {"name":"Alpha"}"#, "BD");
    check(r#"--exclude {"statecode":0} --exclude {"donotemail":true} --exclude-or"#, "BGO");
    check("--exclude numberofemployees^gt^15", "AD");
    check("--name alpha --name Delta", "AD");
    // A filter and its opposite together are every row, once.
    for filter in [
        r#"{"numberofemployees:gt":15}"#,
        r#"{"numberofemployees":[10,20]}"#,
        r#"{"numberofemployees:Between":[15,30]}"#,
        r#"{"description:Like":"f%"}"#,
        r#"{"numberofemployees:ne":10}"#,
        r#"{"xor":[{"name:Like":"%a"},{"numberofemployees:lt":25},{"donotemail":true}]}"#,
    ] {
        let one = rows(&home, &format!("get account -c accountnumber --filter {filter}"));
        let other = rows(&home, &format!("get account -c accountnumber --exclude {filter}"));
        let mut both = [one, other].concat();
        both.sort();
        assert_eq!(both, ["A1", "B1", "D1", "G1", "O1"], "{filter}");
    }
    let ids = rows(&home, "get account -c accountid --sort name");
    check(&format!("--id {},{}", ids[0], ids[4]), "AO");
    check(&format!("--exclude-id {} --exclude-id {}", ids[0], ids[4]), "BDG");
    for wrong in [r#"{"nothing":1}"#, r#"{"name:almost":1}"#, "{", "{}"] {
        home.call(2, &format!("get account --filter {wrong}"));
    }
    home.call(2, r#"get account --exclude {"createdon:Today":null}"#);
}

#[test]
fn fetchxml_is_read_page_by_page_with_its_own_columns() {
    let home = accounts();
    file(
        &home,
        "people.csv",
        "lastname,parentcustomerid\nAbel,Alpha\nBauer,Beta\nCosta,Alpha\nDubois,\nEbner,Gamma\n",
    );
    home.call(0, "set contact people.csv --create-only");
    file(
        &home,
        "q.xml",
        "<fetch><entity name=\"contact\"><attribute name=\"lastname\"/>\
         <attribute name=\"parentcustomerid\"/><order attribute=\"lastname\"/>\
         <link-entity name=\"account\" from=\"accountid\" to=\"parentcustomerid\" link-type=\"outer\" alias=\"a\">\
         <attribute name=\"name\"/><attribute name=\"numberofemployees\" alias=\"size\"/></link-entity>\
         </entity></fetch>",
    );
    let text = output(&home, "get --fetch q.xml --page-size 2");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "lastname,parentcustomerid,a.name,size");
    let ends: Vec<&str> =
        lines[1..].iter().map(|line| line.split(";Id=").next().unwrap_or("")).collect();
    assert_eq!(ends[0], "Abel,TableName=account");
    assert!(lines[1].ends_with(",Alpha,10") && lines[5].ends_with(",Gamma,30"), "{text}");
    assert_eq!(lines[4], "Dubois,,,");
    let text = output(&home, "get contact --fetch q.xml --format ndjson --top 3 --page-size 2");
    let last = text.lines().last().expect("a line");
    let last: serde_json::Value = serde_json::from_str(last).expect("an object");
    assert_eq!(text.lines().count(), 3);
    assert_eq!((&last["a.name"], &last["size"]), (&"Alpha".into(), &10.into()));
    let groups = "<fetch^aggregate='true'><entity^name='account'><attribute^name='accountid'^aggregate='count'^alias='n'/><attribute^name='donotemail'^groupby='true'^alias='m'/></entity></fetch>";
    let mut groups = rows(&home, &format!("get --fetch {groups}"));
    groups.sort();
    assert_eq!(groups, ["2,true", "3,false"]);
    let said = home.call(2, "get account --fetch q.xml");
    assert!(said.contains("reads table `contact`"), "{said}");
    home.call(2, "get --fetch <fetch/>");
    assert_eq!(output(&home, "get --fetch q.xml --count").trim(), "5");
}

#[test]
fn columns_have_suffixes_and_system_columns_come_when_asked() {
    let home = accounts();
    let text = output(
        &home,
        "get account -c name,statecode:display,statecode:raw,numberofemployees:raw --sort name --top 2",
    );
    assert_eq!(
        text,
        "name,statecode,statecode:raw,numberofemployees\nAlpha,Active,0,10\nBeta,Inactive,1,20\n"
    );
    file(&home, "people.csv", "lastname,parentcustomerid\nAbel,Alpha\nBauer,\n");
    home.call(0, "set contact people.csv --create-only");
    let line = "get contact -c lastname,parentcustomerid --sort lastname --lookup-names";
    assert_eq!(rows(&home, line), ["Abel,Alpha", "Bauer,"]);
    let text = output(
        &home,
        "get contact -c lastname,parentcustomerid:display --format ndjson --sort lastname",
    );
    assert_eq!(
        text,
        "{\"lastname\":\"Abel\",\"parentcustomerid\":\"Alpha\"}\n{\"lastname\":\"Bauer\",\"parentcustomerid\":null}\n"
    );
    let headers = |flags: &str| -> Vec<String> {
        let text = output(&home, &format!("get account --top 1 {flags}"));
        text.lines().next().expect("headers").split(',').map(str::to_owned).collect()
    };
    let has = |flags: &str, name: &str| headers(flags).iter().any(|header| header == name);
    assert!(
        has("", "name") && has("", "statecode") && !has("", "createdon") && !has("", "ownerid")
    );
    for name in ["createdon", "modifiedby", "ownerid", "versionnumber", "owningbusinessunit"] {
        assert!(has("--system-columns", name), "{name}");
    }
    assert!(!has("--exclude-columns name,accountnumber", "name"));
    assert!(has("-c name --exclude-columns name --system-columns", "name"));
    home.call(2, "get account -c name,name");
    home.call(2, "get account -c nothing");
    home.call(2, "get account --exclude-columns nothing");
}

#[test]
fn rows_are_counted_without_being_read() {
    let home = accounts();
    let count = |flags: &str| output(&home, &format!("get account --count {flags}"));
    assert_eq!(count(""), "5\n");
    assert_eq!(count(r#"--filter {"numberofemployees:gt":15}"#), "3\n");
    assert_eq!(count("--active-only"), "3\n");
    assert_eq!(output(&home, "get account --record-count"), "5\n");
    assert_eq!(count("--filter name^eq^'Nobody'"), "0\n");
    assert_eq!(count("--top 2"), "2\n");
    let said = home.call(0, "get account --count-also -c name -o all.csv");
    assert!(said.contains("5 rows are there"), "{said}");
    // A table without rows.
    assert_eq!(output(&home, "get contact --count"), "0\n");
}

#[test]
fn rows_of_a_file_give_their_records_in_questions_for_many() {
    let home = Home::start();
    let mut text = String::from("name,accountnumber\n");
    for row in 0..700 {
        text.push_str(&format!("N{},A{row}\n", row % 600));
    }
    file(&home, "in.csv", &text);
    home.call(0, "set account in.csv --create-only");
    // 500 rows in one question, each of which has its hit.
    let mut wanted = String::from("accountnumber,ignored\n");
    for row in 0..500 {
        wanted.push_str(&format!("a{row},x\n"));
    }
    wanted.push_str("A9999,x\n");
    file(&home, "wanted.csv", &wanted);
    let said = home.call(
        0,
        "get account wanted.csv --match-on accountnumber -c name,accountnumber -o out.csv",
    );
    assert!(said.contains("501 rows: 500 records, 1 absent, 0 failed"), "{said}");
    let read = fs::read_to_string(home.path("out.csv")).expect("written");
    let want: Vec<String> = (0..500).map(|row| format!("N{row},A{row}")).collect();
    assert_eq!(read.lines().skip(1).collect::<Vec<_>>(), want);
    // A name that two records have.
    file(&home, "names.ndjson", "{\"name\":\"n5\"}\n{\"name\":\"N300\"}\n{\"other\":1}\n");
    let line = "get account names.ndjson --match-on name -c accountnumber";
    let said = home.call(1, line);
    assert!(said.contains("3 rows: 1 records, 0 absent, 2 failed"), "{said}");
    assert!(said.contains("names.ndjson:1: 2 records match the row"), "{said}");
    let said = home.call(1, &format!("{line} --allow-multiple-matches --retrieval-batch-size 1"));
    assert!(said.contains("3 rows: 3 records, 0 absent, 1 failed"), "{said}");
    assert!(said.contains("A5\nA605\nA300\n") || said.contains("A605\nA5\nA300\n"), "{said}");
    // A row's key goes before its match list, and rows with ids need no list.
    let id = rows(&home, "get account -c accountid --filter accountnumber^eq^'A7'").remove(0);
    file(&home, "ids.csv", &format!("Id,name\n{id},N300\n"));
    assert_eq!(rows(&home, "get account ids.csv -c accountnumber"), ["A7"]);
    assert_eq!(rows(&home, "get account ids.csv --match-on name -c accountnumber"), ["A7"]);
    home.call(2, "get account ids.csv --match-on nothing");
    home.call(2, "get account ids.csv --count");
}

#[test]
fn only_active_rows_are_read_unless_a_filter_speaks_of_the_state() {
    let home = accounts();
    let read = |line: &str| rows(&home, &format!("get {line}"));
    let line = "account -c name --sort name --active-only";
    assert_eq!(read(line), ["Alpha", "Delta", "Gamma"]);
    assert_eq!(read(&format!(r#"{line} --filter {{"statecode":1}}"#)), ["Beta", "O'Neil"]);
    assert_eq!(read(&format!("{line} --filter statecode^eq^1")), ["Beta", "O'Neil"]);
    assert_eq!(read(&format!("{line} --filter numberofemployees^gt^15")), ["Gamma"]);
    let users = read("systemuser -c fullname").len();
    assert!(read("systemuser -c fullname,isdisabled --active-only").len() <= users);
}

#[test]
fn as_many_rows_as_asked_come_in_pages_of_the_size_asked_and_in_order() {
    let home = accounts();
    let read = |flags: &str| rows(&home, &format!("get account -c accountnumber {flags}"));
    assert_eq!(read("--sort name --page-size 2"), ["A1", "B1", "D1", "G1", "O1"]);
    assert_eq!(read("--sort name- --page-size 2 --top 3"), ["O1", "G1", "D1"]);
    assert_eq!(read("--sort statecode,name- --top 4 --page-size 1"), ["G1", "D1", "A1", "O1"]);
    assert_eq!(read("--top 0"), Vec::<String>::new());
    home.call(2, "get account --page-size 0");
    home.call(2, "get account --page-size 5001");
}

#[test]
fn pages_side_by_side_give_every_row_once_while_others_are_written() {
    let home = Home::start();
    file(&home, "kind.csv", "Code\nx\n");
    home.call(0, "table create new_row --from kind.csv");
    let read = |line: &str| {
        let mut read = rows(&home, &format!("get new_row --headers logical -c new_rowid {line}"));
        let all = read.len();
        read.sort();
        read.dedup();
        assert_eq!(read.len(), all, "{line}: a row came twice");
        read
    };
    assert_eq!(read("-j 4").len(), 0);
    // Ids of this program lie in clusters; some lie at the edges, and some anywhere.
    let mut rows = String::from("Id,new_code\n");
    for id in ["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
        rows.push_str(&format!("{id},edge\n"));
    }
    for n in 1..400_u64 {
        let bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (high, low) = (bits >> 32, bits & 0xffff_ffff);
        rows.push_str(&format!("{high:08x}-0000-4000-8000-{n:04x}{low:08x},any\n"));
    }
    file(&home, "ids.csv", &rows);
    home.call(0, "set new_row ids.csv");
    let codes: String = (0..1_600).map(|n| format!("c{n}\n")).collect();
    file(&home, "codes.csv", &format!("new_code\n{codes}"));
    home.call(0, "set new_row codes.csv --create-only");
    let alone = read("");
    assert_eq!(alone.len(), 2_001);
    let tap = Tap::before(home.url(), None);
    assert_eq!(read(&format!("-j 8 --page-size 50 --url {}", tap.address)), alone);
    let asked: Vec<String> =
        tap.seen("/new_rows?").into_iter().filter(|line| line.contains("new_rowid%20ge")).collect();
    assert!(asked.len() > 4, "pages of several ranges: {asked:?}");
    let some = read("--page-size 20 --filter new_code^eq^'any'^or^new_code^eq^'edge'");
    assert_eq!(some.len(), 401);
    assert_eq!(read("-j 3 --page-size 20 --filter new_code^eq^'any'^or^new_code^eq^'edge'"), some);
    assert_eq!(read("-j 5 --page-size 20 --top 777").len(), 777);
    assert_eq!(read("-j 5 --page-size 50 --top 7").len(), 7);
    // Everything that was there comes once, whatever comes meanwhile.
    let mut writing =
        home.command("set new_row codes.csv --create-only -b 20").spawn().expect("it runs");
    let meanwhile = read("-j 4 --page-size 20");
    assert!(writing.wait().expect("it ends").success());
    assert!(alone.iter().all(|row| meanwhile.binary_search(row).is_ok()), "a row is missing");
    for (flags, why) in [
        ("--sort new_code -j 2", "--sort"),
        ("ids.csv -j 2", "rows that name records"),
        ("-j 0", "0 is not in 1..=52"),
    ] {
        let said = home.call(2, &format!("get new_row {flags}"));
        assert!(said.contains(why), "{flags}: {said}");
    }
    home.call(0, "table create new_mote --from kind.csv --elastic");
    let said = home.call(2, "get new_mote -j 2");
    assert!(said.contains("elastic table"), "{said}");
}
