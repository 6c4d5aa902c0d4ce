//! FetchXML: trees, and texts that are none.

use crate::sample;
use proptest::prelude::*;
use query::fetch::{self, Error, Fetched};
use query::{Filter, JoinKind, odata};

fn parse(text: &str) -> Result<Fetched, Error> {
    let (catalog, table) = sample::catalog();
    fetch::parse(&catalog, &table, text, &odata::Options::default())
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
    let options = odata::Options::parse(&format!("$filter={odata}")).expect("decodes");
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
    check_twin(&on("name", "ne", "a &amp; b"), "name ne 'a %26 b'");
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
    check_twin(&on("name", "like", "[%]a"), "name eq '%25a'");
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
