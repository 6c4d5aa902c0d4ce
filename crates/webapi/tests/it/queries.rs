//! Pages, filters, counts.

use crate::service::{ORIGIN, ROOT, Service};

async fn with_numbered(count: usize) -> Service {
    let service = Service::with_crates().await;
    let items: Vec<String> = (0..count)
        .map(|number| {
            format!(
                r#"{{"@odata.type":"Microsoft.Dynamics.CRM.new_crate","new_label":"n{number:03}","new_weight":{}}}"#,
                number % 3
            )
        })
        .collect();
    let body = format!(r#"{{"Targets":[{}]}}"#, items.join(","));
    service.ok("POST /new_crates/Microsoft.Dynamics.CRM.CreateMultiple", &body).await;
    service
}

async fn check(service: &Service, options: &str, want: &[&str]) {
    let page = service.ok(&format!("GET /new_crates?$select=new_label&{options}"), "").await;
    assert_eq!(page.column("new_label"), want, "{options}");
}

#[tokio::test]
async fn filters_and_orders_select_rows() {
    let service = with_numbered(6).await;
    check(&service, "$filter=new_weight+eq+2&$orderby=new_label", &["n002", "n005"]).await;
    check(&service, "$filter=endswith(new_label,'4')", &["n004"]).await;
    check(
        &service,
        "$filter=new_weight eq @w and not (new_label eq 'n000')&@w=0&$orderby=new_label",
        &["n003"],
    )
    .await;
    check(&service, "$orderby=new_weight desc,new_label&$top=3", &["n002", "n005", "n001"]).await;
    check(&service, "$top=0", &[]).await;
    check(&service, "$filter=new_price eq null&$top=1&$orderby=new_label", &["n000"]).await;
}

#[tokio::test]
async fn the_fiscal_calendar_is_that_of_the_organisation_at_the_time() {
    // In November.
    let service = with_numbered(1).await;
    let function = |name: &str, rest: &str| {
        format!("$filter=Microsoft.Dynamics.CRM.{name}(PropertyName='createdon'{rest})")
    };
    check(&service, &function("InFiscalPeriod", ",PropertyValue=4"), &["n000"]).await;
    check(&service, &function("InFiscalPeriod", ",PropertyValue=1"), &[]).await;
    let organization = service.ok("GET /organizations?$select=organizationid", "").await;
    let id = organization.column("organizationid").remove(0);
    let annual = r#"{"fiscalperiodtype":2000,"fiscalcalendarstart":"2000-12-01T00:00:00Z"}"#;
    service.ok(&format!("PATCH /organizations({id})\nIf-Match: *"), annual).await;
    check(&service, &function("InFiscalPeriod", ",PropertyValue=4"), &[]).await;
    check(&service, &function("InFiscalPeriod", ",PropertyValue=1"), &["n000"]).await;
    check(&service, &function("InFiscalYear", ",PropertyValue=2022"), &["n000"]).await;
    check(&service, &function("ThisFiscalYear", ""), &["n000"]).await;
    check(&service, &function("Today", ""), &["n000"]).await;
    check(&service, &function("Tomorrow", ""), &[]).await;
    let fetch = "fetchXml=<fetch><entity name='new_crate'><attribute name='new_label'/><filter><condition attribute='createdon' operator='in-fiscal-year' value='2022'/></filter></entity></fetch>";
    let page = service.ok(&format!("GET /new_crates?{fetch}"), "").await;
    assert_eq!(page.column("new_label"), ["n000"]);
    let counted = format!("GET /new_crates/$count?{}", function("Yesterday", ""));
    assert_eq!(service.ok(&counted, "").await.text, "0");
}

#[tokio::test]
async fn pages_follow_each_other_without_loss_or_repeat() {
    let service = with_numbered(7).await;
    let mut target = "/new_crates?$select=new_label&$orderby=new_weight%20desc".to_owned();
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let head = format!("GET {target}\nPrefer: odata.maxpagesize=3");
        let page = service.ok(&head, "").await;
        assert_eq!(page.header("preference-applied"), "odata.maxpagesize=3");
        seen.extend(page.column("new_label"));
        pages += 1;
        let Some(link) = page.json["@odata.nextLink"].as_str() else { break };
        let prefix = format!(
            "{ORIGIN}{ROOT}/new_crates?$select=new_label&$orderby=new_weight%20desc&$skiptoken="
        );
        assert!(link.starts_with(&prefix), "{link}");
        // Some callers append a slash to the link that they follow.
        target = format!("{link}/");
    }
    assert_eq!(pages, 3);
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((sorted.len(), seen.len()), (7, 7), "{seen:?}");
    assert_eq!(&seen[..2], ["n002", "n005"]);
}

/// A page without a number is written while it is read; one with a number is written afterwards.
#[tokio::test]
async fn a_page_is_the_same_with_its_number_and_without() {
    let service = with_numbered(7).await;
    for size in [1, 2, 3, 6, 7, 8] {
        let target = "/new_crates?$select=new_label,new_weight&$orderby=new_weight,new_label";
        let get = |more: &str| format!("GET {target}{more}\nPrefer: odata.maxpagesize={size}");
        let plain = service.ok(&get(""), "").await;
        let counted = service.ok(&get("&$count=true"), "").await;
        assert_eq!(counted.json["@odata.count"], 7);
        let text = counted.text.replace(",\"@odata.count\":7", "");
        let text = text.replace("&$count=true&", "&");
        assert_eq!(plain.text, text, "pages of {size}");
        assert_eq!(plain.json["value"].as_array().map(Vec::len), Some(size.min(7)));
        assert_eq!(plain.json["@odata.nextLink"].is_null(), size >= 7);
        assert_eq!(
            plain.headers.get("preference-applied"),
            counted.headers.get("preference-applied")
        );
    }
    let none = service.ok("GET /new_crates?$filter=new_label%20eq%20'x'", "").await;
    assert!(none.text.ends_with(",\"value\":[]}"), "{}", none.text);
}

#[tokio::test]
async fn paths_reach_the_records_that_lookups_point_to() {
    let service = Service::with_crates().await;
    let top = service.ok("POST /accounts", r#"{"name":"Top"}"#).await.id();
    let body = format!(r#"{{"name":"Low","parentaccountid@odata.bind":"/accounts({top})"}}"#);
    let low = service.ok("POST /accounts", &body).await.id();
    for (label, holder) in [("a", None), ("b", Some(low)), ("c", Some(top)), ("d", Some(low))] {
        let bind = holder.map_or_else(String::new, |id| {
            format!(r#","new_Holder@odata.bind":"/accounts({id})""#)
        });
        service.ok("POST /new_crates", &format!(r#"{{"new_label":"{label}"{bind}}}"#)).await;
    }
    check(&service, "$filter=new_Holder/name eq 'low'", &["b", "d"]).await;
    check(&service, "$filter='low' eq new_Holder/name", &["b", "d"]).await;
    check(&service, "$filter=new_Holder/name ne @n&@n='Low'&$orderby=new_label", &["a", "c"]).await;
    check(&service, "$filter=new_Holder/name eq null", &["a"]).await;
    check(&service, "$filter=new_Holder/parentaccountid/name eq 'Top'", &["b", "d"]).await;
    check(
        &service,
        "$filter=contains(new_Holder/name,'O')&$orderby=new_label desc",
        &["d", "c", "b"],
    )
    .await;
    let among = "$filter=Microsoft.Dynamics.CRM.In(PropertyName='new_Holder/name',PropertyValues=[\"top\"])";
    check(&service, among, &["c"]).await;
    check(&service, "$orderby=new_Holder/name desc,new_label", &["c", "b", "d", "a"]).await;
    check(&service, "$orderby=_new_holder_value,new_label desc", &["a", "d", "b", "c"]).await;
    // Page after page, the name of the joined record in the token; with its key among the order's.
    for order in ["new_Holder/name,new_label", "new_Holder/accountid,new_Holder/name,new_label"] {
        let mut target = format!("/new_crates?$select=new_label&$count=true&$orderby={order}");
        let mut seen = Vec::new();
        loop {
            let page = service.ok(&format!("GET {target}\nPrefer: odata.maxpagesize=1"), "").await;
            assert_eq!(page.json["@odata.count"], 4);
            let row = page.json["value"][0].as_object().expect("a row");
            let want = ["@odata.etag", "new_crateid", "new_label"];
            assert_eq!(row.keys().collect::<Vec<_>>(), want);
            seen.extend(page.column("new_label"));
            let Some(link) = page.json["@odata.nextLink"].as_str() else { break };
            target = link.to_owned();
        }
        seen.sort();
        assert_eq!(seen, ["a", "b", "c", "d"], "{order}");
    }
}

#[tokio::test]
async fn records_behind_lookups_are_shown_inside() {
    let service = Service::with_crates().await;
    let top = service.ok("POST /accounts", r#"{"name":"Top"}"#).await.id();
    let body = format!(r#"{{"name":"Low","parentaccountid@odata.bind":"/accounts({top})"}}"#);
    let low = service.ok("POST /accounts", &body).await.id();
    let body = format!(r#"{{"new_label":"a","new_Holder@odata.bind":"/accounts({low})"}}"#);
    let held = service.ok("POST /new_crates", &body).await.id();
    service.ok("POST /new_crates", r#"{"new_label":"b"}"#).await;
    let expand =
        "$expand=new_Holder($select=name;$expand=parentaccountid($select=name,telephone1))";
    let head = format!("GET /new_crates?$select=new_label&$orderby=new_label&{expand}");
    let page = service.ok(&head, "").await;
    let shape = "new_label,new_Holder(name,parentaccountid(name,telephone1))";
    let context = format!("{ORIGIN}{ROOT}/$metadata#new_crates({shape})");
    assert_eq!(page.json["@odata.context"], context);
    let holder = &page.json["value"][0]["new_Holder"];
    let etag = |value: &serde_json::Value| value["@odata.etag"].clone();
    assert!(etag(holder).is_string());
    assert_eq!(
        *holder,
        serde_json::json!({
            "@odata.etag": etag(holder), "name": "Low", "accountid": low.to_string(),
            "parentaccountid": {
                "@odata.etag": etag(&holder["parentaccountid"]), "name": "Top",
                "telephone1": null, "accountid": top.to_string(),
            },
        })
    );
    assert_eq!(page.json["value"][1]["new_Holder"], serde_json::Value::Null);
    assert!(page.json["value"][1].as_object().expect("a row").contains_key("new_Holder"));
    // One record; all columns, with annotations; a path shares the join.
    let head = format!(
        "GET /new_crates({held})?$expand=new_Holder\nPrefer: odata.include-annotations=\"*\""
    );
    let one = service.ok(&head, "").await;
    let holder = &one.json["new_Holder"];
    assert_eq!(holder["name"], "Low");
    let parent = "_parentaccountid_value@OData.Community.Display.V1.FormattedValue";
    assert_eq!(holder[parent], "Top");
    assert_eq!(
        one.json["@odata.context"],
        format!("{ORIGIN}{ROOT}/$metadata#new_crates(new_Holder())/$entity")
    );
    let head = "GET /new_crates?$filter=new_Holder/name eq 'low'&$expand=new_Holder($select=name)";
    let page = service.ok(&format!("{head}\nPrefer: odata.maxpagesize=1"), "").await;
    assert_eq!(page.json["value"][0]["new_Holder"]["name"], "Low");
    assert_eq!(page.json["value"].as_array().expect("rows").len(), 1);
}

#[tokio::test]
async fn a_full_last_page_has_no_next_link() {
    let service = with_numbered(6).await;
    let page = service.ok("GET /new_crates\nPrefer: odata.maxpagesize=6", "").await;
    assert_eq!(page.json["@odata.nextLink"], serde_json::Value::Null);
    let top = service.ok("GET /new_crates?$top=2", "").await;
    assert_eq!(top.json["@odata.nextLink"], serde_json::Value::Null);
    let etag = top.json["value"][0]["@odata.etag"].as_str().expect("an etag");
    assert!(etag.starts_with("W/\""), "{etag}");
}

#[tokio::test]
async fn counts_ignore_paging() {
    let service = with_numbered(6).await;
    let page = service.ok("GET /new_crates?$count=true&$top=1", "").await;
    assert_eq!((&page.json["@odata.count"], page.column("new_label").len()), (&6.into(), 1));
    let text = service.ok("GET /new_crates/$count?$filter=new_weight eq 1", "").await;
    assert_eq!((&*text.text, text.header("content-type")), ("2", "text/plain; charset=utf-8"));
    service.refused("GET /new_crates/$count?$top=1", "", (400, "0x80060888", "$top")).await;
    let total =
        service.ok("GET /RetrieveTotalRecordCount(EntityNames=@p)?@p=[\"new_crate\"]", "").await;
    assert_eq!(total.json["EntityRecordCountCollection"]["Values"], serde_json::json!([6]));
    let annotated =
        service.ok("GET /new_crates?$top=1\nPrefer: odata.include-annotations=\"*\"", "").await;
    assert_eq!(annotated.json["@Microsoft.Dynamics.CRM.totalrecordcount"], -1);
}

#[tokio::test]
async fn no_row_is_an_empty_list() {
    let service = Service::with_crates().await;
    let page = service.ok("GET /new_crates?$select=new_label", "").await;
    assert_eq!(
        page.text,
        format!(
            r#"{{"@odata.context":"{ORIGIN}{ROOT}/$metadata#new_crates(new_label)","value":[]}}"#
        )
    );
}

#[tokio::test]
async fn what_a_query_cannot_say_is_named() {
    let service = Service::with_crates().await;
    let uri = "0x80060888";
    for (options, want) in [
        (
            "$select=nope",
            (
                400,
                uri,
                "Could not find a property named 'nope' on type 'Microsoft.Dynamics.CRM.new_crate'.",
            ),
        ),
        (
            "$filter=new_price eq 'a'",
            (
                400,
                uri,
                "Found operand types 'Edm.Decimal' and 'Edm.String' for operator kind 'Equal'.",
            ),
        ),
        ("$filter=new_label eq", (400, uri, "Syntax error at position 12")),
        ("$skip=1", (400, uri, "The query parameter $skip is not supported")),
        ("$expand=*", (400, uri, "`*` in $expand")),
        ("$expand=nope", (400, uri, "'nope'")),
        ("$expand=ownerid($select=nope)", (400, uri, "'nope'")),
        ("$expand=new_Holder/$ref($select=name)", (400, uri, "`new_Holder/$ref`")),
        ("$expand=new_Holder,new_Holder", (400, uri, "twice")),
        ("$expand=new_Holder($top=1)", (400, uri, "Only $select and $filter clause")),
        ("$expand=new_Holder($count=true)", (400, uri, "`$count`")),
        ("$expand=new_Holder($select=nope)", (400, uri, "'nope'")),
        ("$expand=new_Holder($select=name", (400, uri, "Term")),
        ("$expand=new_Holder($select)", (400, uri, "Term")),
        ("$expand=new_Holder)", (400, uri, "Term")),
        ("$apply=x", (400, uri, "`x` in $apply")),
        ("$nope=1", (400, uri, "$nope")),
        ("$top=1&$top=2", (400, uri, "more than once")),
        ("$orderby=_ownerid_value", (400, uri, "`ownerid`")),
        ("$filter=ownerid/absent eq 'x'", (400, uri, "'ownerid/absent'")),
        ("$filter=ownerid/name eq ownerid/name", (400, uri, "several tables")),
        ("$filter=new_Holder/nam eq 'x'", (400, uri, "property named 'nam'")),
        ("$filter=new_Holder/Contact_Account/name eq 'x'", (400, uri, "'Contact_Account'")),
        ("$filter=new_Holder/contact_customer_accounts/name eq 'x'", (400, uri, "")),
        ("$skiptoken=x", (400, "0x8004112a", "$skiptoken")),
    ] {
        service.refused(&format!("GET /new_crates?{options}"), "", want).await;
    }
    let many = vec!["new_weight eq 1"; 501].join(" or ");
    let head = format!("GET /new_crates?$filter={many}");
    service.refused(&head, "", (400, "0x8004430c", "500")).await;
}
