//! Rows and what they turn into.

use super::*;
use crate::mapping::Rules;
use crate::testing;

const ID: &str = "00000000-0000-0000-0000-00000000000a";

fn key(names: &[&str]) -> Option<KeyIndex> {
    let (table, _) = testing::table();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    (!names.is_empty()).then(|| key_over(&table, &names).expect("a key"))
}

fn upsert(match_on: &[&str]) -> Decision {
    Decision::Upsert(key(match_on))
}

/// Encodes rows under the headers `Id,code,name`.
fn rows(decision: &Decision, rows: &[[&str; 3]]) -> Arc<Block> {
    let (table, catalog) = testing::table();
    let headers = ["Id", "code", "name"].map(str::to_owned);
    let mapper = Mapper::new(table.clone(), catalog.clone(), Rules::default());
    let mapper = mapper.with_headers(&headers).expect("known headers");
    let seed = Seed { started_ms: 1, random: u64::MAX };
    let mut drafter = Drafter::new(mapper, None);
    let mut encoder = Encoder::new(table, catalog, seed);
    let mut block = Block::default();
    for (line, row) in (2..).zip(rows) {
        let draft = drafter.csv(line, &csv::ByteRecord::from(row.to_vec())).expect("not left out");
        encoder.add(&mut block, &draft, decision.clone(), 1);
    }
    Arc::new(block)
}

fn check(decision: &Decision, row: [&str; 3], want: &str) {
    let block = rows(decision, &[row]);
    let row = block.rows().next().expect("one row");
    let entry = row.entry();
    let got = match &entry.problem {
        Some(problem) => format!("{}: {problem}", problem.class.as_str()),
        None => format!(
            "{} {} {}{}",
            entry.operation.as_str(),
            row.address(),
            String::from_utf8_lossy(&row.body()),
            if entry.mark.is_some() { " marked" } else { "" }
        ),
    };
    assert_eq!(got, want);
}

const TYPE: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.new_thing""#;

#[test]
fn a_row_without_any_key_is_created_with_an_id_of_ours() {
    let made = "00000000-0001-7000-8000-03ffffffffff";
    for decision in [upsert(&[]), Decision::Create] {
        check(
            &decision,
            ["", "c", "n"],
            &format!(
                r#"create {made} {TYPE},"new_thingid":"{made}","new_code":"c","new_name":"n"}}"#
            ),
        );
    }
    let block = rows(&upsert(&[]), &[["", "", ""], [ID, "", ""]]);
    let ours: Vec<bool> = block.rows().map(|row| row.entry().id_is_ours).collect();
    assert_eq!(ours, [true, false]);
}

#[test]
fn a_row_with_its_primary_key_is_upserted_by_it_also_where_it_could_be_matched() {
    for decision in [upsert(&[]), upsert(&["code"])] {
        check(
            &decision,
            [ID, "c", ""],
            &format!(r#"upsert {ID} {TYPE},"new_thingid":"{ID}","new_code":"c"}} marked"#),
        );
    }
    check(
        &Decision::Create,
        [ID, "", ""],
        &format!(r#"create {ID} {TYPE},"new_thingid":"{ID}"}} marked"#),
    );
}

#[test]
fn a_matched_row_has_its_key_in_the_address_and_never_in_the_body() {
    check(
        &upsert(&["code"]),
        ["", "c'1", "n"],
        &format!(
            r#"upsert new_code='c''1' {TYPE},"@odata.id":"new_things(new_code='c''1')","new_name":"n"}} marked"#
        ),
    );
    check(
        &upsert(&["code"]),
        ["", "", "n"],
        "usage-row: the row has no value for `new_code`, which it is to be matched on",
    );
}

#[test]
fn rows_that_name_the_same_record_bear_the_same_mark() {
    let block = rows(&upsert(&["code"]), &[["", "Key ", ""], ["", "kEY", ""], ["", "other", ""]]);
    let marks: Vec<_> = block.rows().map(|row| row.entry().mark).collect();
    assert_eq!(marks[0], marks[1]);
    assert_ne!(marks[0], marks[2]);
}

#[test]
fn a_match_list_that_is_no_alternate_key_is_refused_naming_those_that_are() {
    let (table, _) = testing::table();
    let refused = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        key_over(&table, &names).map_err(|problem| problem.message)
    };
    assert_eq!(
        refused(&["name"]),
        Err("`name` is no alternate key of table `new_thing`: it has `new_code`".to_owned())
    );
    assert_eq!(refused(&["x"]), Err("table `new_thing` has no column `x`".to_owned()));
    assert_eq!(refused(&["Code"]), Ok(KeyIndex(0)));
}
