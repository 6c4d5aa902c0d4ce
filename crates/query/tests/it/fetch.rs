//! FetchXML: trees, and texts that are none.

use crate::sample;
use proptest::prelude::*;
use query::fetch::{self, Error, Fetched};
use query::{Filter, JoinKind, odata};

fn parse(text: &str) -> Result<Fetched, Error> {
    let (catalog, table) = sample::catalog();
    let mut options = odata::Options::default();
    options.context = sample::context();
    fetch::parse(&catalog, &table, text, &options)
}

fn entity(inside: &str) -> String {
    format!("<fetch><entity name=\"thing\">{inside}</entity></fetch>")
}

fn filter_of(text: &str) -> Option<Filter> {
    parse(text).unwrap_or_else(|err| panic!("{text}: {err}")).listed.query.filter
}

/// A FetchXML filter and its OData twin bind to one tree.
fn check_twin(conditions: &str, odata: &str) {
    let (catalog, table) = sample::catalog();
    let options = sample::options(odata, "").expect("decodes");
    let twin = odata::parse(&catalog, &table, &options).unwrap_or_else(|err| panic!("{err}"));
    let text = entity(&format!("<filter>{conditions}</filter>"));
    assert_eq!(filter_of(&text), twin.query.filter, "{conditions}");
}

fn on(column: &str, operator: &str, value: &str) -> String {
    format!("<condition attribute='{column}' operator='{operator}' value='{value}'/>")
}

#[test]
fn conditions_and_odata_filters_bind_to_one_tree() {
    check_twin(&on("name", "eq", "a"), "name eq 'a'");
    check_twin(&on("name", "eq", ""), "name eq null");
    check_twin(&on("name", "ne", "a &amp; b"), "name ne 'a & b'");
    check_twin(&on("name", "eq", "5"), "name eq '5'");
    check_twin(&on("size", "neq", "5"), "size ne 5");
    check_twin(&on("weight", "gt", "1.505"), "weight gt 1.505");
    check_twin(&on("done", "eq", "1"), "done eq true");
    check_twin(&on("done", "eq", "false"), "done eq false");
    check_twin(&on("color", "eq", "2"), "color eq 2");
    check_twin(&on("at", "ge", "2024-01-31T08:00:00Z"), "at ge 2024-01-31T08:00:00Z");
    let id = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
    check_twin(&on("holder", "eq", &format!("{{{id}}}")), &format!("_holder_value eq {id}"));
    check_twin(&on("thingid", "ne", id), &format!("thingid ne {id}"));
    check_twin(&on("name", "like", "%a%"), "contains(name,'a')");
    check_twin(&on("name", "like", "a%"), "startswith(name,'a')");
    check_twin(&on("name", "not-like", "%a"), "not endswith(name,'a')");
    check_twin(&on("name", "like", "[%]a"), "name eq '%a'");
    check_twin(&on("name", "begins-with", "a"), "startswith(name,'a')");
    check_twin(&on("name", "not-end-with", "a"), "not endswith(name,'a')");
    check_twin("<condition attribute='name' operator='null'/>", "name eq null");
    check_twin("<condition attribute='name' operator='not-null'/>", "name ne null");
    check_twin("<condition attribute='size' operator='gt' valueof='color'/>", "size gt color");
    let both = format!("{}{}", on("size", "eq", "1"), on("name", "eq", "a"));
    check_twin(&both, "size eq 1 and name eq 'a'");
    check_twin(&format!("<filter type='or'>{both}</filter>"), "size eq 1 or name eq 'a'");
    let values = "<condition attribute='size' operator='not-in'><value>1</value><value> 2 </value></condition>";
    let list = "Microsoft.Dynamics.CRM.NotIn(PropertyName='size',PropertyValues=[\"1\",\"2\"])";
    check_twin(values, list);
}

/// A condition that names its values one by one, and its twin by query function.
fn check_function(column: &str, operator: &str, function: &str, values: &[&str]) {
    let inside: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
    let condition =
        format!("<condition attribute='{column}' operator='{operator}'>{inside}</condition>");
    let arguments = match values {
        [] => String::new(),
        [value] => format!(",PropertyValue='{value}'"),
        [one, other] => format!(",PropertyValue1={one},PropertyValue2={other}"),
        _ => panic!("at most two"),
    };
    let text = format!("Microsoft.Dynamics.CRM.{function}(PropertyName='{column}'{arguments})");
    check_twin(&condition, &text);
}

/// Date operators: FetchXML's name, the query function, values.
const DATES: &[(&str, &str, &[&str])] = &[
    ("on", "On", &["2024-02-29"]),
    ("on-or-after", "OnOrAfter", &["2024-02-29"]),
    ("on-or-before", "OnOrBefore", &["2024-02-29"]),
    ("today", "Today", &[]),
    ("tomorrow", "Tomorrow", &[]),
    ("yesterday", "Yesterday", &[]),
    ("last-seven-days", "Last7Days", &[]),
    ("next-seven-days", "Next7Days", &[]),
    ("last-week", "LastWeek", &[]),
    ("this-week", "ThisWeek", &[]),
    ("next-week", "NextWeek", &[]),
    ("last-month", "LastMonth", &[]),
    ("this-month", "ThisMonth", &[]),
    ("next-month", "NextMonth", &[]),
    ("last-year", "LastYear", &[]),
    ("this-year", "ThisYear", &[]),
    ("next-year", "NextYear", &[]),
    ("last-x-hours", "LastXHours", &["3"]),
    ("next-x-hours", "NextXHours", &["3"]),
    ("last-x-days", "LastXDays", &["3"]),
    ("next-x-days", "NextXDays", &["3"]),
    ("last-x-weeks", "LastXWeeks", &["3"]),
    ("next-x-weeks", "NextXWeeks", &["3"]),
    ("last-x-months", "LastXMonths", &["3"]),
    ("next-x-months", "NextXMonths", &["3"]),
    ("last-x-years", "LastXYears", &["3"]),
    ("next-x-years", "NextXYears", &["3"]),
    ("olderthan-x-minutes", "OlderThanXMinutes", &["3"]),
    ("olderthan-x-hours", "OlderThanXHours", &["3"]),
    ("olderthan-x-days", "OlderThanXDays", &["3"]),
    ("olderthan-x-weeks", "OlderThanXWeeks", &["3"]),
    ("olderthan-x-months", "OlderThanXMonths", &["3"]),
    ("olderthan-x-years", "OlderThanXYears", &["3"]),
    ("this-fiscal-period", "ThisFiscalPeriod", &[]),
    ("last-fiscal-period", "LastFiscalPeriod", &[]),
    ("next-fiscal-period", "NextFiscalPeriod", &[]),
    ("this-fiscal-year", "ThisFiscalYear", &[]),
    ("last-fiscal-year", "LastFiscalYear", &[]),
    ("next-fiscal-year", "NextFiscalYear", &[]),
    ("last-x-fiscal-periods", "LastXFiscalPeriods", &["3"]),
    ("next-x-fiscal-periods", "NextXFiscalPeriods", &["3"]),
    ("last-x-fiscal-years", "LastXFiscalYears", &["3"]),
    ("next-x-fiscal-years", "NextXFiscalYears", &["3"]),
    ("in-fiscal-year", "InFiscalYear", &["2023"]),
    ("in-fiscal-period", "InFiscalPeriod", &["3"]),
    ("in-fiscal-period-and-year", "InFiscalPeriodAndYear", &["3", "2023"]),
    ("in-or-before-fiscal-period-and-year", "InOrBeforeFiscalPeriodAndYear", &["3", "2023"]),
    ("in-or-after-fiscal-period-and-year", "InOrAfterFiscalPeriodAndYear", &["3", "2023"]),
];

#[test]
fn operators_and_query_functions_are_twins() {
    for (operator, function, values) in DATES {
        check_function("at", operator, function, values);
    }
    for (operator, function) in [
        ("eq-userid", "EqualUserId"),
        ("ne-userid", "NotEqualUserId"),
        ("eq-userteams", "EqualUserTeams"),
        ("eq-useroruserteams", "EqualUserOrUserTeams"),
        ("eq-useroruserhierarchy", "EqualUserOrUserHierarchy"),
        ("eq-useroruserhierarchyandteams", "EqualUserOrUserHierarchyAndTeams"),
        ("eq-businessid", "EqualBusinessId"),
        ("ne-businessid", "NotEqualBusinessId"),
    ] {
        check_function("holder", operator, function, &[]);
    }
    check_function("size", "eq-userlanguage", "EqualUserLanguage", &[]);
    check_function("size", "between", "Between", &["3", "5"]);
    check_function("size", "not-between", "NotBetween", &["3", "5"]);
    let id = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
    for (operator, function) in [
        ("under", "Under"),
        ("eq-or-under", "UnderOrEqual"),
        ("above", "Above"),
        ("eq-or-above", "AboveOrEqual"),
        ("not-under", "NotUnder"),
    ] {
        check_function("thingid", operator, function, &[id]);
        check_function("holder", operator, function, &[id]);
    }
    let choices = "<condition attribute='tags' operator='contain-values'><value>2</value><value>1</value></condition>";
    let list = "(PropertyName='tags',PropertyValues=['1','2'])";
    check_twin(choices, &format!("Microsoft.Dynamics.CRM.ContainValues{list}"));
    let choices = choices.replace("contain-", "not-contain-");
    check_twin(&choices, &format!("Microsoft.Dynamics.CRM.DoesNotContainValues{list}"));
    check_twin(&on("name", "like", "a_[b-d]%"), "startswith(name,'a_[b-d]')");
    check_twin(&on("name", "begins-with", "a_[b-d]"), "startswith(name,'a_[b-d]')");
}

fn link(kind: &str, inside: &str) -> String {
    format!(
        "<link-entity name='thing' from='holder' to='thingid' link-type='{kind}'>{inside}</link-entity>"
    )
}

#[test]
fn links_that_are_conditions_are_twins_of_lambdas() {
    let big = format!("<filter>{}</filter>", on("size", "gt", "5"));
    check_twin(&link("any", ""), "held/any()");
    check_twin(&link("any", &big), "held/any(o:o/size gt 5)");
    check_twin(&link("not all", &big), "held/any(o:o/size gt 5)");
    check_twin(&link("not any", &big), "not held/any(o:o/size gt 5)");
    check_twin(&link("all", &big), "held/any() and not held/any(o:o/size gt 5)");
    let either =
        format!("<filter type='or'>{}{}</filter>", on("size", "eq", "1"), link("any", &big));
    check_twin(&either, "size eq 1 or held/any(o:o/size gt 5)");
    let nested = format!("<filter>{}{}</filter>", on("size", "gt", "5"), link("not any", &big));
    check_twin(&link("any", &nested), "held/any(o:o/size gt 5 and not o/held/any(p:p/size gt 5))");
    // A link beside a filter that holds another one.
    let beside = format!("{}<filter>{}</filter>", link("exists", ""), link("not any", &big));
    check_twin(&link("any", &beside), "held/any(o:not o/held/any(p:p/size gt 5) and o/held/any())");
    // Beside the filters of the root, for the types that stand there.
    for kind in ["exists", "in"] {
        let text =
            entity(&format!("<filter>{}</filter>{}", on("size", "eq", "1"), link(kind, &big)));
        let (catalog, table) = sample::catalog();
        let twin = sample::options("size eq 1 and held/any(o:o/size gt 5)", "").expect("decodes");
        let twin = odata::parse(&catalog, &table, &twin).expect("binds").query.filter;
        assert_eq!(filter_of(&text), twin, "{kind}");
        let inner = link(kind, &link(kind, &big));
        let twin = sample::options("held/any(o:o/held/any(p:p/size gt 5))", "").expect("decodes");
        let twin = odata::parse(&catalog, &table, &twin).expect("binds").query.filter;
        assert_eq!(filter_of(&entity(&inner)), twin, "{kind}");
    }
}

#[test]
fn links_inside_of_conditions_join_and_compare_with_the_row_outside() {
    let join = "<link-entity name='thing' from='thingid' to='holder' alias='up'><filter><condition attribute='size' operator='gt' value='1'/></filter></link-entity>";
    let outer = "<filter><condition attribute='size' operator='lt' valueof='thing.size'/><condition attribute='size' operator='lt' valueof='up.size'/></filter>";
    let text = entity(&format!("<filter>{}</filter>", link("any", &format!("{join}{outer}"))));
    let Some(Filter::Exists(exists)) = filter_of(&text) else { panic!("a condition") };
    assert_eq!(exists.joins.len(), 1);
    assert_eq!(exists.joins[0].kind, JoinKind::Inner);
    let Some(Filter::And(parts)) = &exists.filter else { panic!("two parts") };
    assert!(
        matches!(&parts[0], Filter::CompareOuter { levels: 1, outer, .. } if outer.source == 0)
    );
    assert!(matches!(&parts[1], Filter::CompareColumns { right, .. } if right.source == 1));
}

fn check_refused(inside: &str, want: &str) {
    let err = parse(&entity(inside)).expect_err(inside).to_string();
    assert!(err.contains(want), "{inside}: {err}");
}

#[test]
fn what_conditions_do_not_take_is_named() {
    let filter = |inside: &str| format!("<filter>{inside}</filter>");
    check_refused(&filter(&on("name", "resembles", "a")), "`resembles`");
    check_refused(&filter(&on("at", "today", "1")), "`today` does not take 1 values");
    check_refused(&filter(&on("at", "last-x-days", "x")), "`x`");
    check_refused(&filter(&on("name", "on", "2024-01-01")), "holds no dates");
    check_refused(&filter(&on("size", "like", "1%")), "holds no text");
    check_refused(&filter(&on("name", "contain-values", "1")), "no multi-select choice");
    check_refused(&filter(&on("name", "under", "1")), "`1`");
    check_refused(&filter("<condition attribute='name' operator='eq-userid'/>"), "holds no ids");
    check_refused(
        &filter("<condition attribute='name' operator='like' valueof='notes'/>"),
        "`like`",
    );
    check_refused(&filter(&link("exists", "")), "exists inside a filter");
    check_refused(&filter(&link("inner", "")), "inner inside a filter");
    check_refused(&link("any", ""), "any");
    check_refused(&link("exists", "<attribute name='size'/>"), "attribute");
    check_refused(&link("exists", "<order attribute='size'/>"), "order");
    check_refused(&filter(&link("any", "").repeat(16)), "15");
    check_refused(&link("exists", "").repeat(16), "15");
    let values: String = (0..2_001).map(|value| format!("<value>{value}</value>")).collect();
    let many = format!("<condition attribute='size' operator='in'>{values}</condition>");
    check_refused(&filter(&many), "2000");
    check_refused(&filter(&on("size", "eq", "1").repeat(501)), "500");
}

#[test]
fn natural_joins_show_their_key_once() {
    let all = "<all-attributes/>";
    let names = |kind: &str| {
        let text = "<link-entity name='thing' from='thingid' to='holder' alias='a' link-type='KIND'>ALL</link-entity>";
        let fetched =
            parse(&entity(&text.replace("KIND", kind).replace("ALL", all))).expect("binds");
        let names = fetched.listed.outputs.iter().map(|output| output.name.to_string());
        names.collect::<Vec<_>>()
    };
    assert!(names("inner").contains(&"a.thingid".to_owned()));
    assert!(!names("natural").contains(&"a.thingid".to_owned()));
    assert_eq!(names("natural").len() + 1, names("inner").len());
}

#[test]
fn a_value_may_stand_in_any_form_of_xml_text() {
    let form = |text: &str| {
        let condition =
            format!("<condition attribute='name' operator='in'><value>{text}</value></condition>");
        filter_of(&entity(&format!("<filter>{condition}</filter>")))
    };
    let want = form("a &lt; b");
    assert!(want.is_some());
    for text in ["<![CDATA[a < b]]>", "a &#60; b", "a &#x3c; b", "a<!-- c --> &lt; b"] {
        assert_eq!(form(text), want, "{text}");
    }
    let declared = format!("<?xml version='1.0'?>\n<!-- c -->{}\n", entity(""));
    assert!(parse(&declared).is_ok());
}

#[test]
fn every_row_has_its_place_whatever_is_joined() {
    let join = "<link-entity name='thing' from='holder' to='thingid' link-type='outer'><order attribute='name'/></link-entity>";
    let fetched = parse(&entity(join)).expect("binds");
    let kinds: Vec<_> = fetched.listed.query.joins.iter().map(|join| join.kind).collect();
    assert_eq!(kinds, [JoinKind::Outer]);
    let order =
        fetched.listed.query.order.iter().map(|key| (key.column.source, key.column.column.0));
    assert_eq!(order.collect::<Vec<_>>(), [(1, 1), (0, 0), (1, 0)]);
    assert_eq!(fetched.listed.outputs.len(), 1);
}

fn piece() -> impl Strategy<Value = String> {
    let attribute = prop_oneof![
        Just("name='thing'"),
        Just("name='size'"),
        Just("attribute='name'"),
        Just("operator='eq'"),
        Just("operator='in'"),
        Just("value='5'"),
        Just("type='or'"),
        Just("from='thingid'"),
        Just("to='holder'"),
        Just("alias='a'"),
        Just("alias='b'"),
        Just("aggregate='true'"),
        Just("aggregate='sum'"),
        Just("aggregate='countcolumn'"),
        Just("groupby='true'"),
        Just("dategrouping='month'"),
        Just("distinct='true'"),
        Just("descending='1'"),
        Just("paging-cookie='&lt;cookie page=&quot;1&quot; t=&quot;AAAA&quot;&gt;'"),
        Just("link-type='matchfirstrowusingcrossapply'"),
        Just("link-type='outer'"),
        Just("link-type='any'"),
        Just("link-type='exists'"),
        Just("operator='today'"),
        Just("operator='under'"),
        Just("top='3'"),
        Just("page='2'"),
        Just("count='0'"),
        Just("valueof='a.size'"),
        Just("entityname='a'"),
    ];
    let tag = prop_oneof![
        Just("fetch"),
        Just("entity"),
        Just("attribute"),
        Just("filter"),
        Just("condition"),
        Just("link-entity"),
        Just("order"),
        Just("value"),
        Just("all-attributes"),
    ];
    (tag, proptest::collection::vec(attribute, 0..4), 0..4_u8).prop_map(
        |(tag, attributes, form)| {
            let attributes = attributes.join(" ");
            match form {
                0 => format!("</{tag}>"),
                1 => format!("<{tag} {attributes}>"),
                2 => format!("<{tag} {attributes}>5</{tag}>"),
                _ => format!("<{tag} {attributes}/>"),
            }
        },
    )
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        drop(parse(&text));
        drop(parse(&entity(&text)));
    }

    #[test]
    fn any_run_of_elements_is_read_or_refused(pieces in proptest::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        drop(parse(&text));
        drop(parse(&entity(&text)));
        drop(parse(&entity(&format!("<filter>{text}</filter>"))));
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |count: usize| {
        let (open, close) = ("<filter>".repeat(count), "</filter>".repeat(count));
        parse(&entity(&format!("{open}{}{close}", on("size", "eq", "1"))))
    };
    assert!(nested(60).is_ok());
    assert!(matches!(nested(70), Err(Error::Malformed { .. })));
    assert!(matches!(nested(100_000), Err(Error::Malformed { .. })));
}
