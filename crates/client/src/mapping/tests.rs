//! Headers and the columns that they mean; rows and the cells that they become.

use super::*;
use crate::testing;

fn mapper(rules: Rules) -> Mapper {
    let (table, catalog) = testing::table();
    Mapper::new(table, catalog, rules)
}

/// What a header means: the column's logical name, `id`, `-` or `?`.
fn check(header: &str, want: &str) {
    let mapper = mapper(Rules { ignore: vec!["Secret".to_owned()], ..Rules::default() });
    let got = match mapper.meaning(header) {
        Meaning::Nothing => "-",
        Meaning::Caller => "caller",
        Meaning::Id => "id",
        Meaning::Unknown => "?",
        Meaning::Parties(role) => role.column(),
        Meaning::Column(index) => &*mapper.table.column(index).logical_name,
    };
    assert_eq!(got, want, "{header}");
}

#[test]
fn a_header_means_a_column_by_logical_name_then_without_prefix_then_by_display_name() {
    check("new_name", "new_name");
    check("NEW_Name", "new_name");
    check("name", "new_name");
    check("Full Name", "new_name");
    check("full name", "new_name");
    check("_new_one_value", "new_one");
    check("nothing", "?");
}

#[test]
fn keys_and_what_is_not_data_are_told_apart() {
    check("Id", "id");
    check("new_thingid", "id");
    check("thingid", "id");
    check("TableName", "-");
    check("_error", "-");
    check("_line", "-");
    check("@odata.etag", "-");
    check("new_one@Microsoft.Dynamics.CRM.lookuplogicalname", "-");
    check("secret", "-");
    check("createdon", "-");
}

#[test]
fn two_headers_for_one_column_and_unknown_headers_are_refused() {
    let with = |headers: &[&str], rules| {
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        mapper(rules).with_headers(&headers).map(|mapper| mapper.left_out().to_vec())
    };
    assert_eq!(
        with(&["name", "new_name"], Rules::default()).map_err(|err| err.to_string()),
        Err("headers `name` and `new_name` both mean column `new_name`".to_owned())
    );
    let unknown = with(&["name", "a", "b"], Rules::default()).map_err(|err| err.to_string());
    assert!(unknown.is_err_and(|text| text.contains("`new_thing` has no column `a`, `b`")));
    let rules = Rules { ignore_unknown: true, ..Rules::default() };
    assert_eq!(with(&["name", "a"], rules), Ok(vec!["a".to_owned()]));
}

/// Maps one CSV row under the headers `name,whole,Id` and shows it.
fn csv(rules: Rules, fields: &[&str]) -> String {
    let headers = ["name", "whole", "Id"].map(str::to_owned);
    let mut mapper = mapper(rules).with_headers(&headers).expect("known headers");
    let mut out = Mapped::default();
    let record = csv::ByteRecord::from(fields.to_vec());
    match mapper.csv(&record, &mut out) {
        Ok(()) => shown(&mapper, &out),
        Err(problem) => format!("{}: {problem}", problem.class.as_str()),
    }
}

fn shown(mapper: &Mapper, out: &Mapped) -> String {
    let cells = out
        .cells
        .iter()
        .map(|cell| format!("{}={:?}", mapper.table.column(cell.column).logical_name, cell.value));
    let id = out.id.map(|id| format!("id={}", id.simple()));
    id.into_iter().chain(cells).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_empty_field_is_absent_or_clears_as_asked() {
    let rules = |empty_as| Rules { empty_as, null: Some("NULL".to_owned()), ..Rules::default() };
    assert_eq!(csv(rules(EmptyAs::Absent), &["", "1", ""]), "new_whole=Integer(1)");
    assert_eq!(csv(rules(EmptyAs::Clear), &["", "1", ""]), "new_name=Null new_whole=Integer(1)");
    assert_eq!(csv(rules(EmptyAs::Empty), &["", "", ""]), "new_name=Null new_whole=Null");
    assert_eq!(
        csv(rules(EmptyAs::Absent), &["NULL", "NULL", "NULL"]),
        "new_name=Null new_whole=Null"
    );
}

#[test]
fn a_row_that_cannot_be_mapped_says_why() {
    let plain = Rules::default;
    assert_eq!(csv(plain(), &["a", "1"]), "input: expected 3 fields, found 2");
    assert_eq!(csv(plain(), &["a", "x", ""]), "conversion: `x` is no whole number of 32 bits");
    assert_eq!(csv(plain(), &["a", "1", "x"]), "conversion: `x` is no unique identifier");
    let id = "00000000-0000-0000-0000-00000000000A";
    assert_eq!(
        csv(plain(), &["a", "1", id]),
        "id=0000000000000000000000000000000a new_name=Text(\"a\") new_whole=Integer(1)"
    );
}

#[test]
fn json_rows_map_like_csv_rows() {
    let check = |line: &str, want: &str| {
        let mut mapper = mapper(Rules::default());
        let mut out = Mapped::default();
        let got = match mapper.json(line.as_bytes(), &mut out) {
            Ok(()) => shown(&mapper, &out),
            Err(problem) => format!("{}: {problem}", problem.class.as_str()),
        };
        assert_eq!(got, want, "{line}");
    };
    check(r#"{"name":"a\"b","whole":7}"#, r#"new_name=Text("a\"b") new_whole=Integer(7)"#);
    check(r#"{"na\u006de":"a"}"#, r#"new_name=Text("a")"#);
    check(r#"{"name":null,"price":1.50}"#, "new_name=Null new_price=Decimal(1.50)");
    check(r#"{"name":12,"flag":true}"#, r#"new_name=Text("12") new_flag=Boolean(true)"#);
    check(r#"{"colors":["red",3]}"#, "new_colors=Choices([1, 3])");
    check(
        r#"{"one":{"TableName":"contact","Id":"00000000-0000-0000-0000-00000000000a"}}"#,
        "new_one=Lookup(LookupValue { table: TableId(2), id: 00000000-0000-0000-0000-00000000000a })",
    );
    check(r#"{"name":"a","_error":"x","@odata.etag":"y"}"#, r#"new_name=Text("a")"#);
    check(r#"{"name":"a","new_name":"b"}"#, "input: `new_name` is given twice");
    check(r#"{"nothing":1}"#, "usage-row: table `new_thing` has no column `nothing`");
    check(r#"{"whole":[[1]]}"#, "conversion: `[[1]]` is no list of choices");
    for broken in ["{", "[1]", "{} {}", "7"] {
        let mut out = Mapped::default();
        assert!(mapper(Rules::default()).json(broken.as_bytes(), &mut out).is_err(), "{broken}");
    }
}
