//! Texts of fields and what they mean for each kind of column.

use super::*;
use crate::testing;

/// Reads a text for a column of the test table and shows the value, or why not.
fn check(column: &str, text: &str, want: &str) {
    let (table, catalog) = testing::table();
    let index = table.index_of(column).expect(column);
    let converter = Converter::new(table.column(index), &catalog);
    let got = match converter.read(text) {
        Ok(Value::Text(text)) => format!("text {text}"),
        Ok(Value::Lookup(lookup)) => {
            let table = catalog.table_by_id(lookup.table).expect("a known table");
            format!("{} {}", table.logical_name, lookup.id)
        }
        Ok(value) => format!("{value:?}"),
        Err(why) => format!("no: {why}"),
    };
    assert_eq!(got, want, "{column} {text:?}");
}

#[test]
fn numbers_are_exact_or_refused() {
    check("new_whole", "42", "Integer(42)");
    check("new_whole", " -7 ", "Integer(-7)");
    check("new_whole", "5.0", "Integer(5)");
    check("new_whole", "1e3", "Integer(1000)");
    check("new_whole", "5.5", "no: `5.5` is no whole number of 32 bits");
    check("new_whole", "3000000000", "no: `3000000000` is no whole number of 32 bits");
    check("new_whole", "", "Null");
    check("new_big", "3000000000", "BigInt(3000000000)");
    check(
        "new_big",
        "9223372036854775808",
        "no: `9223372036854775808` is no whole number of 64 bits",
    );
    check("new_price", "12.50", "Decimal(12.50)");
    check("new_price", "+1.5e2", "Decimal(150)");
    check("new_price", "1,5", "no: `1,5` is no decimal number");
    check("new_double", "1.5e-3", "Double(0.0015)");
    check("new_double", "inf", "no: `inf` is no number");
}

#[test]
fn yes_and_no_have_many_names() {
    for yes in ["true", "TRUE", "1", "yes", "Allowed"] {
        check("new_flag", yes, "Boolean(true)");
    }
    for no in ["false", "0", "No", "forbidden"] {
        check("new_flag", no, "Boolean(false)");
    }
    check("new_flag", "maybe", "no: `maybe` is no yes or no");
}

#[test]
fn choices_are_labels_first_then_numbers() {
    check("new_color", "red", "Integer(1)");
    check("new_color", "2", "Integer(1)");
    check("new_color", "7", "Integer(7)");
    check("new_color", "pink", "no: `pink` is neither a label nor a number of the choice");
    check("new_colors", "Blue; red", "Choices([1, 3])");
    check("new_colors", "3,1", "Choices([1, 3])");
    check("new_colors", "red;pink", "no: `pink` is neither a label nor a number of the choice");
}

#[test]
fn dates_keep_their_day_and_instants_their_instant() {
    check("new_day", "2024-02-29", "Date(Date(19782))");
    check("new_day", "2024-02-29T23:30:00-05:00", "Date(Date(19782))");
    check("new_day", "2023-02-29", "no: `2023-02-29` is no date");
    check("new_at", "1970-01-01T00:00:10Z", "DateTime(Timestamp(10))");
    check("new_at", "1970-01-01 01:00:10+01:00", "DateTime(Timestamp(10))");
    check("new_at", "1970-01-01 00:00:10", "DateTime(Timestamp(10))");
    check("new_at", "10/01/1970", "no: `10/01/1970` is no date and time");
}

#[test]
fn lookups_are_ids_or_references_and_never_guessed() {
    let id = "00000000-0000-0000-0000-00000000000a";
    check("new_one", id, &format!("contact {id}"));
    check("new_one", &format!(" id = {id} ; TableName=contact "), &format!("contact {id}"));
    check("new_many", &format!("TableName=account;Id={id}"), &format!("account {id}"));
    check(
        "new_many",
        id,
        &format!("no: `{id}` may be of `account`, `contact`: say which with `TableName=…;Id=…`"),
    );
    check(
        "new_one",
        &format!("TableName=account;Id={id}"),
        "no: the column cannot point to `account`, only to `contact`",
    );
    check(
        "new_one",
        "Ada Lovelace",
        "no: `Ada Lovelace` names no record: give its id, or `TableName=contact;Id=<id>`",
    );
    check("new_one", "TableName=contact", "no: `TableName=contact` gives no Id");
}

#[test]
fn text_stays_as_it_is_and_errors_shorten_it() {
    check("new_name", "  a  ", "text   a  ");
    check("new_name", "", "Null");
    let long = "9".repeat(300);
    check("new_whole", &long, &format!("no: `{}…` is no whole number of 32 bits", "9".repeat(100)));
}

fn check_reading(reading: &Reading, column: &str, text: &str, want: &str) {
    let (table, catalog) = testing::table();
    let column = table.column(table.index_of(column).expect(column));
    let got = match Converter::new(column, &catalog).reading(column, reading).read(text) {
        Ok(value) => format!("{value:?}"),
        Err(why) => format!("no: {why}"),
    };
    let want = match Timestamp::parse(want) {
        Some(at) => format!("{:?}", Value::DateTime(at)),
        None => want.to_owned(),
    };
    assert_eq!(got, want, "{text:?} by {reading:?}");
}

#[test]
fn times_numbers_and_lists_mean_what_is_said_of_them() {
    let zone = "Europe/Berlin".parse().expect("it is known");
    let berlin = Reading { zone: Some(zone), ..Reading::default() };
    check_reading(&berlin, "new_at", "2026-07-01 12:00", "2026-07-01T10:00:00Z");
    check_reading(&berlin, "new_at", "2026-07-01T12:00Z", "2026-07-01T12:00:00Z");
    let gap = "no: `2026-03-29T02:30` does not exist in Europe/Berlin: give its offset";
    check_reading(&berlin, "new_at", "2026-03-29T02:30", gap);
    // What a clock shows is the same anywhere, and so is a day.
    check_reading(&berlin, "new_clock", "2026-03-29T02:30", "2026-03-29T02:30:00Z");
    let day = format!("{:?}", Value::Date(Date::parse("2026-03-29").expect("a day")));
    check_reading(&berlin, "new_day", "2026-03-29", &day);
    let epoch = |epoch| Reading { epoch: Some(epoch), ..berlin.clone() };
    let (seconds, thousandths) = (epoch(Epoch::Seconds), epoch(Epoch::Milliseconds));
    check_reading(&seconds, "new_at", "1782900000", "2026-07-01T10:00:00Z");
    check_reading(&thousandths, "new_at", "1782900000999", "2026-07-01T10:00:00Z");
    check_reading(&thousandths, "new_at", "-1", "1969-12-31T23:59:59Z");
    check_reading(&seconds, "new_at", "2026-07-01 12:00", "2026-07-01T10:00:00Z");
    let far = "no: `99999999999999` is no date and time";
    check_reading(&seconds, "new_at", "99999999999999", far);
    let by = |choices| Reading { choices, ..Reading::default() };
    let both = "Choices([2, 3])";
    check_reading(&by(Parting::By('|')), "new_colors", "2| Blue", &both.replace('2', "1"));
    let no = "is neither a label nor a number of the choice";
    check_reading(&by(Parting::By('|')), "new_colors", "2;Blue", &format!("no: `2;Blue` {no}"));
    check_reading(&by(Parting::Nothing), "new_colors", "2,3", &format!("no: `2,3` {no}"));
    check_reading(&by(Parting::Nothing), "new_colors", "Blue", "Choices([3])");
    let list = format!("2{LISTED}Blue");
    check_reading(&by(Parting::By(',')), "new_colors", &list, &both.replace('2', "1"));
}
