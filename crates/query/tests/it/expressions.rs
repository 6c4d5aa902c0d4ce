//! Queries as JSON bind to the same filters as their OData twins.

use crate::sample;
use model::{Date, Timestamp, Value};
use query::expression::{self, Error};
use query::odata;
use query::{ColumnRef, Compare, Filter};

fn bind(conditions: &str) -> Result<Option<Filter>, Error> {
    let (catalog, _) = sample::catalog();
    let text = format!(r#"[{{"EntityName":"thing","Criteria":{{"Conditions":[{conditions}]}}}}]"#);
    let queries = expression::parse(&text)?;
    expression::bind(&catalog, &queries[0], &sample::context()).map(|bound| bound.filter)
}

fn condition(column: &str, operator: &str, values: &[&str]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|value| format!(r#"{{"Type":"System.String","Value":"{value}"}}"#))
        .collect();
    format!(
        r#"{{"AttributeName":"{column}","Operator":"{operator}","Values":[{}]}}"#,
        values.join(",")
    )
}

/// The condition binds to what the OData filter binds to.
fn check(column: &str, operator: &str, values: &[&str], odata: &str) {
    let got = bind(&condition(column, operator, values)).expect(operator);
    let (catalog, table) = sample::catalog();
    let options = sample::options(odata, "").expect("an option");
    let want = odata::parse(&catalog, &table, &options).expect("a filter").query.filter;
    assert_eq!(got, want, "{operator}");
}

#[test]
fn plain_operators_are_those_of_odata() {
    check("size", "Equal", &["5"], "size eq 5");
    check("size", "NotEqual", &["5"], "size ne 5");
    check("weight", "GreaterThan", &["1.25"], "weight gt 1.25");
    check("weight", "GreaterEqual", &["1.255"], "weight ge 1.255");
    check("size", "LessThan", &["5.5"], "size lt 5.5");
    check("at", "LessEqual", &["2024-01-01T00:00:00Z"], "at le 2024-01-01T00:00:00Z");
    check("done", "Equal", &["true"], "done eq true");
    check("name", "Null", &[], "name eq null");
    check("name", "NotNull", &[], "name ne null");
    check("name", "BeginsWith", &["a"], "startswith(name,'a')");
    check("name", "DoesNotEndWith", &["a"], "not endswith(name,'a')");
    check("name", "Contains", &["a"], "contains(name,'a')");
    check("name", "Like", &["%a%"], "contains(name,'a')");
    check("name", "Like", &["a%"], "startswith(name,'a')");
    check("name", "Like", &["a"], "name eq 'a'");
    check("name", "NotLike", &["%a"], "not endswith(name,'a')");
    let function = |name: &str, rest: &str| format!("Microsoft.Dynamics.CRM.{name}({rest})");
    let values = "PropertyName='size',PropertyValues=['1','2']";
    check("size", "In", &["1", "2"], &function("In", values));
    check("size", "NotIn", &["1", "2"], &function("NotIn", values));
    check("size", "Between", &["1", "2"], &function("Between", values));
    let day = "PropertyName='at',PropertyValue='2024-02-29'";
    check("at", "OnOrAfter", &["2024-02-29"], &function("OnOrAfter", day));
    let one = "PropertyName='holder'";
    check("holder", "EqualUserId", &[], &function("EqualUserId", one));
    check(
        "holder",
        "EqualUserOrUserHierarchyAndTeams",
        &[],
        &function("EqualUserOrUserHierarchyAndTeams", one),
    );
    check("at", "Last7Days", &[], &function("Last7Days", "PropertyName='at'"));
    check(
        "at",
        "LastXFiscalYears",
        &["2"],
        &function("LastXFiscalYears", "PropertyName='at',PropertyValue=2"),
    );
    check(
        "tags",
        "ContainValues",
        &["2"],
        &function("ContainValues", "PropertyName='tags',PropertyValues=['2']"),
    );
    check("name", "Like", &["a_%"], "startswith(name,'a_')");
    let id = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
    let under = format!("PropertyName='thingid',PropertyValue='{id}'");
    check("thingid", "NotUnder", &[id], &function("NotUnder", &under));
}

#[test]
fn a_list_may_have_any_length() {
    let values: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let listed = |filter: Filter| match filter {
        Filter::Or(groups) | Filter::And(groups) => groups.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bind(&condition("size", "In", &values)).expect("bound").map(listed), Some(3));
    assert_eq!(bind(&condition("size", "NotIn", &values)).expect("bound").map(listed), Some(3));
}

#[test]
fn relative_dates_count_from_the_run() {
    let before = |column: &str, value: Value| {
        let (_, table) = sample::catalog();
        let column = ColumnRef::root(table.index_of(column).expect("it exists"));
        Some(Filter::Compare { column, compare: Compare::Less, value })
    };
    let at = |text: &str| Value::DateTime(Timestamp::parse(text).expect("an instant"));
    let older = |column: &str, unit: &str, count: &str| {
        bind(&condition(column, &format!("OlderThanX{unit}"), &[count])).expect(unit)
    };
    assert_eq!(older("at", "Minutes", "30"), before("at", at("2024-03-31T11:30:00Z")));
    assert_eq!(older("at", "Days", "31"), before("at", at("2024-02-29T00:00:00Z")));
    assert_eq!(older("at", "Weeks", "1"), before("at", at("2024-03-24T00:00:00Z")));
    assert_eq!(older("at", "Months", "1"), before("at", at("2024-02-29T00:00:00Z")));
    assert_eq!(older("at", "Years", "2"), before("at", at("2022-03-31T00:00:00Z")));
    let day = Date::parse("2024-03-30").expect("a day");
    assert_eq!(older("day", "Days", "1"), before("day", Value::Date(day)));
}

fn check_refused(conditions: &str, want: &str) {
    let error = bind(conditions).expect_err(conditions);
    assert!(error.to_string().contains(want), "{conditions}: {error}");
}

#[test]
fn what_is_not_understood_is_named() {
    check_refused(&condition("nothing", "Equal", &["1"]), "no property `nothing`");
    check_refused(&condition("size", "Resembles", &["1"]), "no condition operator `Resembles`");
    check_refused(&condition("size", "Equal", &[]), "does not take 0 values");
    check_refused(&condition("size", "Null", &["1"]), "does not take 1 values");
    check_refused(&condition("size", "EqualUserId", &[]), "holds no ids");
    check_refused(&condition("size", "Mask", &["1"]), "is not supported");
    check_refused(&condition("at", "On", &["soon"]), "`soon` is no value");
    check_refused(&condition("at", "OlderThanXDays", &["0"]), "`0` is no value");
    check_refused(&condition("size", "OlderThanXDays", &["1"]), "holds no date");
    check_refused(r#"{"AttributeName":"size","Operator":"Null","Mood":1}"#, "Mood");
    check_refused(
        r#"{"@odata.type":"Microsoft.Dynamics.CRM.ColumnSet","AttributeName":"size","Operator":"Null"}"#,
        "@odata.type",
    );
    check_refused(
        r#"{"AttributeName":"size","Operator":"Null","EntityName":"other"}"#,
        "EntityName",
    );
    let deep = "{\"Filters\":[".repeat(200);
    assert!(matches!(expression::parse(&deep), Err(Error::Malformed { .. })));
}

#[test]
fn a_query_prints_as_fetch_xml_that_binds_to_the_same_filter() {
    let (catalog, table) = sample::catalog();
    let text = r#"[{"EntityName":"thing","Criteria":{"FilterOperator":"Or","Conditions":[
        {"AttributeName":"name","Operator":"BeginsWith","Values":[{"Value":"a&<b","Type":"System.String"}]},
        {"AttributeName":"size","Operator":"In","Values":[{"Value":"1"},{"Value":2}]}],
        "Filters":[{"Conditions":[{"AttributeName":"name","Operator":"Contains","Values":[{"Value":"x"}]},
        {"AttributeName":"size","Operator":"NotNull"}]}]}}]"#;
    let queries = expression::parse(text).expect("a query");
    let want = expression::bind(&catalog, &queries[0], &sample::context()).expect("bound").filter;
    let fetch = expression::to_fetch(&queries);
    let options = odata::Options::default();
    let got = query::fetch::parse(&catalog, &table, &fetch, &options).expect("FetchXML");
    let got = got.listed.query.filter;
    assert_eq!(got, want, "{fetch}");
}
