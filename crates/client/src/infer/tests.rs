//! Files and the tables that fit them.

use super::*;
use crate::form::Form;
use model::{Column, ColumnId, Value};
use proptest::prelude::*;

fn wish(name: &str) -> Wish {
    Wish { name: name.to_owned(), prefix: default_prefix(), elastic: false, key: None }
}

fn infer(headers: &[&str], rows: &[&[&str]]) -> Inference {
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    let mut inference = Inference::new(&headers);
    for row in rows {
        inference.look(&csv::ByteRecord::from(row.to_vec()));
    }
    inference
}

fn kind(column: &NewColumn) -> String {
    let form = column.description.shown().and_then(|text| text.strip_prefix("CSV form: "));
    let name = match &column.kind {
        ColumnKind::Text { max_length, .. } => format!("text {max_length}"),
        ColumnKind::Memo { max_length, .. } => format!("memo {max_length}"),
        ColumnKind::Integer { .. } => "integer".to_owned(),
        ColumnKind::BigInt => "big".to_owned(),
        ColumnKind::Decimal { precision, max, .. } => format!("decimal {precision} to {max}"),
        ColumnKind::Boolean { .. } => "boolean".to_owned(),
        ColumnKind::DateTime { behavior, .. } => format!("{behavior:?}"),
        other => format!("{other:?}"),
    };
    form.map_or(name.clone(), |form| format!("{name} as {form}"))
}

/// The kind of a column with these texts.
fn check(texts: &[&str], want: &str) {
    let rows: Vec<Vec<&str>> = texts.iter().map(|text| vec![*text, "x"]).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let proposal = infer(&["a", "name"], &rows).propose(&wish("t")).expect("a table");
    assert_eq!(kind(&proposal.table.columns[0]), want, "{texts:?}");
}

#[test]
fn kinds_fit_all_texts_and_leading_zeros_stay_text() {
    check(&["1", "-5", ""], "integer");
    check(&["1", "3000000000"], "big");
    check(&["007", "1"], "text 100");
    check(&["+1"], "text 100");
    check(&["99999999999999999999"], "text 100");
    check(&["1.50", "20.25"], "decimal 2 to 100000000000 as 0.00");
    check(&["1.5", "0.125", "-3"], "decimal 3 to 100000000000 as 0.#");
    check(&["1.5", "0.10"], "text 100");
    check(&["0.1234567890", "1.0000000000"], "decimal 10 to 830103480 as 0.0000000000");
    check(&["0.12345678901"], "text 100");
    check(&["1e5"], "text 100");
    check(&["-0.0"], "text 100");
    check(&[".5"], "text 100");
    check(&["true", "false"], "boolean as true/false");
    check(&["TRUE", "TRUE"], "boolean as TRUE/FALSE");
    check(&["yes", "no"], "boolean as yes/no");
    check(&["true", ""], "text 100");
    check(&["true", "False"], "text 100");
    check(&["2024-01-31", ""], "DateOnly");
    check(&["2023-02-29"], "text 100");
    check(&["2024-01-31T08:15:00Z"], "UserLocal as YYYY-MM-DDThh:mm:ssZ");
    check(&["2024-01-31 08:15:00"], "TimeZoneIndependent as YYYY-MM-DD hh:mm:ss");
    check(&["2024-01-31T08:15:00Z", "2024-01-31 08:15:00"], "text 100");
    check(&["2024-01-31T08:15:00.5Z"], "text 100");
    check(&["0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10"], "text 100");
    check(&["1", "x"], "text 100");
    check(&[""], "text 100");
    check(&[&"x".repeat(101)], "text 128");
    check(&[&"x".repeat(3_000)], "text 4000");
    check(&[&"x".repeat(5_000)], "memo 8192");
}

#[test]
fn headers_become_names_and_stay_display_names() {
    let headers =
        ["Order No.", "name 2", "name_2", "tid", "new_own", "Größe", "_error", "%", "NAME", "a__b"];
    let proposal = infer(&headers, &[&["x"; 10]]).propose(&wish("T")).expect("a table");
    let names: Vec<_> = proposal
        .table
        .columns
        .iter()
        .map(|column| {
            format!("{}={}", column.schema_name, column.display_name.shown().unwrap_or(""))
        })
        .collect();
    assert_eq!(
        names,
        [
            "new_order_no=Order No.",
            "new_name_22=name 2",
            "new_name_2=name_2",
            "new_tid2=tid",
            "new_own=new_own",
            "new_gr_e=Größe",
            "new_column8=%",
            "new_name=NAME",
            "new_a_b=a__b",
        ]
    );
    let named = proposal.table.columns.iter().find(|column| column.is_primary_name);
    assert_eq!(named.map(|column| &*column.schema_name), Some("new_name"));
}

#[test]
fn a_table_without_text_gets_a_column_for_names_and_says_so() {
    let proposal = infer(&["a"], &[&["1"]]).propose(&wish("t")).expect("a table");
    assert_eq!(proposal.table.columns.len(), 2);
    assert_eq!(&*proposal.table.columns[1].schema_name, "new_name");
    assert!(proposal.remarks.iter().any(|remark| remark.contains("`new_name` is added")));
}

#[test]
fn names_prefixes_and_keys_are_checked() {
    let table = infer(&["a", "b", "c"], &[&["1", "x", "true"]]);
    let schema = |name: &str| {
        table.propose(&wish(name)).map(|proposal| proposal.table.schema_name.to_string())
    };
    assert_eq!(schema("Order"), Ok("new_Order".to_owned()));
    assert_eq!(schema("abc_Order"), Ok("abc_Order".to_owned()));
    assert_eq!(schema("mscrm_Order"), Ok("new_mscrm_Order".to_owned()));
    assert_eq!(schema("two words"), Err(Error::BadName("two words".to_owned())));
    assert_eq!(schema(""), Err(Error::BadName(String::new())));
    let key = |key: &str| {
        let wish = Wish { key: Some(key.to_owned()), ..wish("t") };
        table.propose(&wish).map(|proposal| proposal.key).map_err(|err| err.to_string())
    };
    assert_eq!(key("a"), Ok(Some("new_a".to_owned())));
    assert_eq!(key("B"), Ok(Some("new_b".to_owned())));
    assert_eq!(key("z"), Err("there is no column `z` for the key".to_owned()));
    assert_eq!(key("c"), Err("column `c` cannot be a key: it has two values only".to_owned()));
    let prefix = Wish { prefix: "1x_".to_owned(), ..wish("t") };
    assert_eq!(table.propose(&prefix).map(|_| ()), Err(Error::BadPrefix("1x_".to_owned())));
    let twins = infer(&["a", "A"], &[]).propose(&wish("t"));
    assert!(matches!(twins, Err(Error::SameHeader(..))));
}

/// Reads a text as the column's kind and prints it in the column's form.
fn round_trip(column: &NewColumn, text: &str) -> Result<String, String> {
    let stored = Column {
        id: ColumnId(1),
        metadata_id: Uuid::nil(),
        logical_name: "a".into(),
        schema_name: "a".into(),
        display_name: Label::default(),
        description: column.description.clone(),
        kind: column.kind.clone(),
        required: RequiredLevel::None,
        computed: None,
        is_custom: true,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    };
    let catalog = model::Catalog::default();
    let value = crate::convert::Converter::new(&stored, &catalog).read(text)?;
    // As a store with whole scaled numbers gives it back.
    let value = match (value, &column.kind) {
        (Value::Decimal(mut number), ColumnKind::Decimal { precision, .. }) => {
            number.rescale((*precision).into());
            Value::Decimal(number)
        }
        (value, _) => value,
    };
    let mut again = String::new();
    Form::of(&stored).write(&mut again, &value);
    Ok(again)
}

proptest! {
    #[test]
    fn every_text_that_was_seen_comes_back_unchanged(
        texts in prop_oneof![
            proptest::collection::vec("-?[0-9]{1,12}(\\.[0-9]{1,5})?", 1..6),
            proptest::collection::vec("(true|false|TRUE|yes|no|)", 1..6),
            proptest::collection::vec("20[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:00:0[0-9]Z?)?", 1..4),
            proptest::collection::vec("\\PC{0,12}", 1..4),
        ]
    ) {
        let rows: Vec<Vec<&str>> = texts.iter().map(|text| vec![text.as_str()]).collect();
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        let proposal = infer(&["a"], &rows).propose(&wish("t")).expect("a table");
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let again = round_trip(&proposal.table.columns[0], text);
            prop_assert_eq!(again.as_ref(), Ok(text));
        }
    }
}
