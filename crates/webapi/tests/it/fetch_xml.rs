//! FetchXML through the Web API: rows, names, pages, refusals.
//!
//! Source: query.md B.

use crate::service::{ORIGIN, ROOT, Service};
use serde_json::json;

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn get(set: &str, query: &str) -> String {
    format!("GET /{set}?fetchXml={}", encoded(query))
}

/// Two accounts, one of them above the other; crates `c0` to `c4`, all but the first held.
async fn with_rows() -> Service {
    let service = Service::with_crates().await;
    let top = service.ok("POST /accounts", r#"{"name":"Top"}"#).await.id();
    let body = format!(r#"{{"name":"Low","parentaccountid@odata.bind":"/accounts({top})"}}"#);
    let low = service.ok("POST /accounts", &body).await.id();
    for number in 0..5 {
        let holder = match number {
            0 => String::new(),
            1 | 2 => format!(r#","new_Holder@odata.bind":"/accounts({top})""#),
            _ => format!(r#","new_Holder@odata.bind":"/accounts({low})""#),
        };
        let color = if number == 4 { r#","new_color":2"# } else { "" };
        let body = format!(r#"{{"new_label":"c{number}","new_weight":{number}{holder}{color}}}"#);
        service.ok("POST /new_crates", &body).await;
    }
    service
}

/// The labels of the crates that a query finds: `inside` is what stands in its entity.
async fn check(service: &Service, inside: &str, want: &[&str]) {
    let query = format!(
        "<fetch><entity name='new_crate'><attribute name='new_label'/>{inside}\
         <order attribute='new_label'/></entity></fetch>"
    );
    let page = service.ok(&get("new_crates", &query), "").await;
    assert_eq!(page.column("new_label"), want, "{inside}");
}

async fn check_condition(service: &Service, condition: &str, want: &[&str]) {
    check(service, &format!("<filter>{condition}</filter>"), want).await;
}

#[tokio::test]
async fn conditions_select_rows() {
    let service = with_rows().await;
    let all = ["c0", "c1", "c2", "c3", "c4"];
    let on = |column: &str, operator: &str, value: &str| {
        format!("<condition attribute='{column}' operator='{operator}' value='{value}'/>")
    };
    let listed = |column: &str, operator: &str, values: &[&str]| {
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        format!("<condition attribute='{column}' operator='{operator}'>{values}</condition>")
    };
    check(&service, "", &all).await;
    check(&service, "<filter/>", &all).await;
    check_condition(&service, &on("new_weight", "eq", "2"), &["c2"]).await;
    check_condition(&service, &on("new_weight", "ge", "3"), &["c3", "c4"]).await;
    check_condition(&service, &on("new_weight", "lt", "1"), &["c0"]).await;
    check_condition(&service, &on("new_label", "eq", "C2"), &["c2"]).await;
    check_condition(&service, &on("new_label", "neq", "c2"), &["c0", "c1", "c3", "c4"]).await;
    check_condition(&service, &on("new_color", "ne", "2"), &all[..4]).await;
    check_condition(&service, &on("new_label", "like", "%3"), &["c3"]).await;
    check_condition(&service, &on("new_label", "like", "c%"), &all).await;
    check_condition(&service, &on("new_label", "like", "%"), &all).await;
    check_condition(&service, &on("new_label", "like", "C3"), &["c3"]).await;
    check_condition(&service, &on("new_label", "not-like", "%3%"), &["c0", "c1", "c2", "c4"]).await;
    check_condition(&service, &on("new_label", "begins-with", "c4"), &["c4"]).await;
    check_condition(&service, &on("new_label", "not-end-with", "4"), &all[..4]).await;
    check_condition(&service, &listed("new_weight", "in", &["1", "4", "9"]), &["c1", "c4"]).await;
    check_condition(&service, &listed("new_color", "not-in", &["2"]), &all[..4]).await;
    check_condition(&service, &listed("new_weight", "between", &["1", "2"]), &["c1", "c2"]).await;
    check_condition(&service, "<condition attribute='new_holder' operator='null'/>", &["c0"]).await;
    check(
        &service,
        &format!(
            "<filter type='or'>{}<filter>{}{}</filter></filter>",
            on("new_weight", "eq", "0"),
            on("new_weight", "gt", "1"),
            on("new_weight", "lt", "3")
        ),
        &["c0", "c2"],
    )
    .await;
}

#[tokio::test]
async fn linked_tables_filter_and_show_their_columns() {
    let service = with_rows().await;
    let link = |kind: &str, inside: &str| {
        format!(
            "<link-entity name='account' from='accountid' to='new_holder' link-type='{kind}' alias='a'>{inside}</link-entity>"
        )
    };
    let named = |name: &str| {
        format!("<filter><condition attribute='name' operator='eq' value='{name}'/></filter>")
    };
    check(&service, &link("inner", ""), &["c1", "c2", "c3", "c4"]).await;
    check(&service, &link("inner", &named("low")), &["c3", "c4"]).await;
    check(&service, &link("outer", &named("low")), &["c0", "c1", "c2", "c3", "c4"]).await;
    let missing =
        "<filter><condition entityname='a' attribute='accountid' operator='null'/></filter>";
    check(&service, &format!("{}{missing}", link("outer", "")), &["c0"]).await;
    // Two levels; `from` and `to` of the inner one are those of the one relationship.
    let parent = format!(
        "<link-entity name='account' from='accountid' to='parentaccountid' alias='p'>{}</link-entity>",
        named("Top")
    );
    check(&service, &link("inner", &parent), &["c3", "c4"]).await;
    check(&service, "<link-entity name='account'/>", &["c1", "c2", "c3", "c4"]).await;
    // Downwards, a parent repeats for each of its rows.
    let query = "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>\
         <link-entity name='new_crate' from='new_holder' to='accountid'>\
         <attribute name='new_label'/><attribute name='new_weight' alias='w'/>\
         <order attribute='new_label' descending='true'/></link-entity></entity></fetch>";
    let page = service.ok(&get("accounts", query), "").await;
    assert_eq!(page.column("name"), ["Low", "Low", "Top", "Top"]);
    assert_eq!(page.column("new_crate1.new_label"), ["c4", "c3", "c2", "c1"]);
    assert_eq!(page.column("w"), ["4", "3", "2", "1"]);
    let context = format!("{ORIGIN}{ROOT}/$metadata#accounts(name,new_crate1.new_label,w)");
    assert_eq!(page.json["@odata.context"], context);
}

#[tokio::test]
async fn empty_columns_are_left_out_and_annotations_given() {
    let service = with_rows().await;
    let query = "<fetch><entity name='new_crate'><attribute name='new_label'/>\
         <attribute name='new_color' alias='paint'/><attribute name='new_holder'/>\
         <link-entity name='account' from='accountid' to='new_holder' link-type='outer' alias='a'>\
         <attribute name='parentaccountid'/></link-entity>\
         <order attribute='new_label'/></entity></fetch>";
    let head = format!("{}\nPrefer: odata.include-annotations=\"*\"", get("new_crates", query));
    let page = service.ok(&head, "").await;
    assert_eq!(page.header("preference-applied"), "odata.include-annotations=\"*\"");
    let keys = |place: usize| -> Vec<String> {
        page.json["value"][place].as_object().expect("a row").keys().cloned().collect()
    };
    assert_eq!(keys(0), ["@odata.etag", "new_crateid", "new_label"]);
    let row = &page.json["value"][4];
    assert_eq!(row["paint"], json!(2));
    assert_eq!(row["paint@OData.Community.Display.V1.FormattedValue"], json!("Blue"));
    assert_eq!(row["paint@OData.Community.Display.V1.AttributeName"], json!("new_color"));
    assert_eq!(row["_new_holder_value@OData.Community.Display.V1.FormattedValue"], json!("Low"));
    assert_eq!(row["a.parentaccountid@OData.Community.Display.V1.FormattedValue"], json!("Top"));
    let table = "a.parentaccountid@Microsoft.Dynamics.CRM.lookuplogicalname";
    assert_eq!(row[table], json!("account"));
    let name = "a.parentaccountid@OData.Community.Display.V1.AttributeName";
    assert_eq!(row[name], json!("parentaccountid"));
    // No column at all: the key; every column: all that have a value.
    let page = service.ok(&get("accounts", "<fetch><entity name='account'/></fetch>"), "").await;
    let row = page.json["value"][0].as_object().expect("a row");
    assert_eq!(row.keys().collect::<Vec<_>>(), ["@odata.etag", "accountid"]);
    let context = format!("{ORIGIN}{ROOT}/$metadata#accounts(accountid)");
    assert_eq!(page.json["@odata.context"], context);
    let all = "<fetch top='1'><entity name='account'><all-attributes/></entity></fetch>";
    let page = service.ok(&get("accounts", all), "").await;
    let row = page.json["value"][0].as_object().expect("a row");
    assert!(row.contains_key("createdon") && row.values().all(|value| !value.is_null()));
}

#[tokio::test]
async fn pages_are_asked_for_by_number() {
    let service = with_rows().await;
    let query = |attributes: &str| {
        format!(
            "<fetch {attributes}><entity name='new_crate'><attribute name='new_label'/>\
             <order attribute='new_label' descending='1'/></entity></fetch>"
        )
    };
    let annotated = |attributes: &str| {
        let prefer = "Prefer: odata.include-annotations=\"Microsoft.Dynamics.CRM.*\"";
        format!("{}\n{prefer}", get("new_crates", &query(attributes)))
    };
    for (attributes, want, more) in [
        ("count='2'", &["c4", "c3"][..], Some(2)),
        ("count='2' page='2'", &["c2", "c1"], Some(3)),
        ("count='2' page='3'", &["c0"], None),
        ("count='2' page='4'", &[], None),
        ("count='5'", &["c4", "c3", "c2", "c1", "c0"], None),
        ("page='1'", &["c4", "c3", "c2", "c1", "c0"], None),
        ("top='2' distinct='false' paging-cookie=''", &["c4", "c3"], None),
    ] {
        let page = service.ok(&annotated(attributes), "").await;
        assert_eq!(page.column("new_label"), want, "{attributes}");
        let got = &page.json["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"];
        let number = more.map(|page| format!("<cookie pagenumber=\"{page}\" pagingcookie=\"%253C"));
        let (got, number) = (got.as_str().unwrap_or(""), number.unwrap_or_default());
        assert!(got.starts_with(&number) && got.is_empty() == number.is_empty(), "{got}");
        let got = &page.json["@Microsoft.Dynamics.CRM.morerecords"];
        assert_eq!(got.as_bool(), more.map(|_| true), "{attributes}");
        assert!(page.json.get("@odata.nextLink").is_none());
    }
    let counted = service.ok(&annotated("count='2' returntotalrecordcount='true'"), "").await;
    assert_eq!(counted.json["@odata.count"], json!(5));
    assert_eq!(counted.json["@Microsoft.Dynamics.CRM.totalrecordcount"], json!(5));
    let counted = service.ok(&format!("{}&$count=true", get("new_crates", &query(""))), "").await;
    assert_eq!(counted.json["@odata.count"], json!(5));
}

fn entity(inside: &str) -> String {
    format!("<fetch><entity name='new_crate'>{inside}</entity></fetch>")
}

fn filter(condition: &str) -> String {
    entity(&format!("<filter>{condition}</filter>"))
}

/// A query, and the code and a piece of the text of its refusal.
type Refused<'a> = (String, &'a str, &'a str);

async fn check_refused(cases: &[Refused<'_>]) {
    let service = Service::with_crates().await;
    for (query, code, text) in cases {
        service.refused(&get("new_crates", query), "", (400, *code, *text)).await;
    }
}

#[tokio::test]
async fn elements_that_are_not_honoured_are_refused_by_name() {
    check_refused(&[
        (String::new(), "0x80040303", "empty"),
        ("<fetch>".to_owned(), "0x80040303", "Malformed"),
        ("<fetch/><fetch/>".to_owned(), "0x80040303", "more than one"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><fetch/>".to_owned(), "0x80040303", "document type"),
        ("<fetch a='&a;'/>".to_owned(), "0x80040303", "Malformed"),
        ("<query/>".to_owned(), "0x8004111c", "'query'"),
        ("<fetch/>".to_owned(), "0x80041123", "'entity'"),
        ("<fetch><entity/></fetch>".to_owned(), "0x8004111e", "'name'"),
        ("<fetch><entity name='absent'/></fetch>".to_owned(), "0x80041102", "'absent'"),
        ("<fetch><entity name='account'/></fetch>".to_owned(), "0x80041128", "'account'"),
        (entity("<attribute name='absent'/>"), "0x80041103", "'absent'"),
        (entity("<attribute/>"), "0x8004111e", "'attribute'"),
        (
            entity("<attribute name='new_label' aggregate='count' alias='n'/>"),
            "0x8004111a",
            "'aggregate'",
        ),
        (
            entity("<attribute name='new_label' groupby='true' alias='n'/>"),
            "0x8004111a",
            "'groupby'",
        ),
        (entity("<attribute name='new_label' alias='1'/>"), "0x80041109", "'1'"),
        (
            entity(
                "<attribute name='new_label' alias='a'/><attribute name='new_color' alias='a'/>",
            ),
            "0x80041130",
            "'a'",
        ),
        (entity("<attributes/>"), "0x8004111c", "'attributes'"),
        (entity("<attribute name='new_label' rowaggregate='x'/>"), "0x80060888", "`rowaggregate`"),
        (entity("<order alias='a'/>"), "0x80041133", "alias"),
        (entity("<order attribute='new_label' descending='down'/>"), "0x80041119", "'down'"),
        (entity("<order attribute='new_label' entityname='x'/>"), "0x8004110a", "'x'"),
        (entity("").replace("<fetch", "<fetch distinct='true'"), "0x8004112c", "distinct"),
        ("<fetch distinct='yes'/>".to_owned(), "0x80041115", "'yes'"),
        ("<fetch datasource='x'/>".to_owned(), "0x80060888", "`datasource`"),
        (entity("").replace("<fetch", "<fetch paging-cookie='x'"), "0x8004112a", "cookie"),
        ("<fetch count='0'/>".to_owned(), "0x80040303", "'count'"),
        ("<fetch top='1' page='1'/>".to_owned(), "0x80040303", "`page`"),
        (entity("").replace("<fetch", "<fetch page='12'"), "0x8004430a", "12"),
    ])
    .await;
}

#[tokio::test]
async fn conditions_and_links_that_are_not_honoured_are_refused_by_name() {
    let link = |attributes: &str| entity(&format!("<link-entity name='account' {attributes}/>"));
    check_refused(&[
        (filter("<condition operator='eq' value='1'/>"), "0x8004111e", "'attribute'"),
        (filter("<condition attribute='new_weight' value='1'/>"), "0x8004111e", "'operator'"),
        (filter("<condition attribute='new_weight' operator='today'/>"), "0x80041120", "'today'"),
        (
            filter("<condition attribute='createdon' operator='last-x-days' value='0'/>"),
            "0x80040203",
            "'0'",
        ),
        (
            filter("<condition attribute='createdon' operator='today' value='0'/>"),
            "0x80040203",
            "'today'",
        ),
        (
            filter("<condition attribute='new_weight' operator='is' value='1'/>"),
            "0x80041120",
            "'is'",
        ),
        (filter("<condition attribute='new_weight' operator='eq'/>"), "0x80040203", "'eq'"),
        (
            filter("<condition attribute='new_weight' operator='null' value='1'/>"),
            "0x80040203",
            "'null'",
        ),
        (
            filter("<condition attribute='new_weight' operator='eq' value='x'/>"),
            "0x80060888",
            "Edm.Int32",
        ),
        (
            filter("<link-entity name='account' link-type='any' from='accountid'/>"),
            "0x80041111",
            "'account'",
        ),
        (filter("<link-entity name='account' link-type='exists'/>"), "0x80041117", "exists"),
        (entity("<filter type='xor'/>"), "0x80041122", "'xor'"),
        (link("link-type='any'"), "0x80041117", "'any'"),
        (link("from='accountid'"), "0x80041111", "'account'"),
        (link("from='accountid' to='new_label'"), "0x80060888", "`new_label`"),
        (link("from='accountid' to='absent'"), "0x80041103", "'absent'"),
    ])
    .await;
}

#[tokio::test]
async fn conditions_and_links_are_counted() {
    let service = Service::with_crates().await;
    let links = |count: usize| {
        entity(&"<link-entity name='account' from='accountid' to='new_holder'/>".repeat(count))
    };
    service.refused(&get("new_crates", &links(16)), "", (400, "0x8004430d", "15")).await;
    // Encoded it would be too long for a URL.
    let many = |count: usize| {
        let conditions = "<condition attribute='new_weight' operator='null'/>".repeat(count);
        format!("GET /new_crates?fetchXml={}", filter(&conditions).replace(' ', "+"))
    };
    service.refused(&many(501), "", (400, "0x8004430c", "500")).await;
    service.ok(&many(500), "").await;
    service.ok(&get("new_crates", &links(15)), "").await;
    let with = format!("{}&$top=1", get("new_crates", "<fetch><entity name='new_crate'/></fetch>"));
    service.refused(&with, "", (400, "0x80060888", "$top")).await;
    let counted = "GET /new_crates/$count?fetchxml=x";
    service.refused(counted, "", (400, "0x80060888", "fetchxml")).await;
}
