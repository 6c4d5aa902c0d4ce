//! Statements: whatever text comes in is read or refused, and what has a twin binds to the same tree.

use crate::sample;
use proptest::prelude::*;
use query::odata::{self, Options};
use query::{Error, Filter, sql};

fn parse(text: &str) -> Result<sql::Selected, Error> {
    let (catalog, table) = sample::catalog();
    sql::parse(&catalog, &table, &Options::default(), text)
}

/// A condition and its OData twin bind to one tree.
fn check_twin(condition: &str, filter: &str) {
    let (catalog, table) = sample::catalog();
    let options = Options::parse(&format!("$filter={filter}")).expect("decodes");
    let twin = odata::parse(&catalog, &table, &options).expect("binds");
    let text = format!("SELECT name FROM thing WHERE {condition}");
    let selected = parse(&text).unwrap_or_else(|err| panic!("{text}: {err}"));
    assert_eq!(selected.listed.query.filter, twin.query.filter, "{condition}");
}

#[test]
fn conditions_are_those_of_other_languages() {
    check_twin("size = 5", "size eq 5");
    check_twin("5 < size", "size gt 5");
    check_twin("name <> 'a''b'", "name ne 'a''b'");
    check_twin("size != -5 AND done = true", "size ne -5 and done eq true");
    check_twin("size >= 5 OR weight <= 1.5", "size ge 5 or weight le 1.5");
    check_twin("NOT size = 5", "not (size eq 5)");
    check_twin("name LIKE '%a'", "endswith(name,'a')");
    check_twin("name LIKE 'a%'", "startswith(name,'a')");
    check_twin("name IS NULL", "name eq null");
    check_twin("name IS NOT NULL", "name ne null");
    check_twin("name = label", "name eq label");
    check_twin("at > '2024-01-31T08:15:00Z'", "at gt 2024-01-31T08:15:00Z");
    check_twin(
        "size NOT IN (1, 2)",
        "Microsoft.Dynamics.CRM.NotIn(PropertyName='size',PropertyValues=[1,2])",
    );
    let selected = parse("SELECT name FROM thing WHERE size BETWEEN 1 AND 2").expect("binds");
    assert!(matches!(selected.listed.query.filter, Some(Filter::And(parts)) if parts.len() == 2));
}

#[test]
fn depth_is_bounded() {
    let nested = |count: usize| {
        let (open, close) = ("(".repeat(count), ")".repeat(count));
        parse(&format!("SELECT name FROM thing WHERE {open}size = 1{close}"))
    };
    assert!(nested(10).is_ok());
    assert!(nested(10_000).is_err());
    let long = vec!["size = 1"; 501].join(" OR ");
    let text = format!("SELECT name FROM thing WHERE {long}");
    assert_eq!(parse(&text).map(drop), Err(Error::TooManyConditions));
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "AND", "OR", "NOT", "IN", "LIKE", "IS",
        "NULL", "BETWEEN", "TOP", "DISTINCT", "COUNT", "SUM", "AS", "JOIN", "LEFT", "ON", "OFFSET",
        "FETCH", "NEXT", "ROWS", "ONLY", "thing", "name", "size", "holder", "thingid", "t", "(",
        ")", ",", "=", "<", "*", ".", "5", "'a'", "[name]", ";", "--", "/*", "CASE", "WHEN",
        "OVER", "ASC", "DESC", "HAVING", "UNION", "WITH", "VALUES", "-", "+",
    ])
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        drop(parse(&text));
        drop(parse(&format!("SELECT name FROM thing WHERE {text}")));
    }

    #[test]
    fn any_run_of_words_is_read_or_refused(words in prop::collection::vec(word(), 0..20)) {
        let text = words.join(" ");
        drop(parse(&text));
        drop(parse(&format!("SELECT {text}")));
        drop(parse(&format!("SELECT name FROM thing {text}")));
    }
}
