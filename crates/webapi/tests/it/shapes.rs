//! Answers that are not the rows of one table: lists inside records, groups, navigation.
//!
//! Source: query.md A10, A11, B7, B9.

use crate::service::{Answer, ORIGIN, ROOT, Service};
use serde_json::{Value, json};
use webapi::{Settings, WebApi};

const ANNOTATED: &str = "\nPrefer: odata.include-annotations=\"*\"";

/// Accounts `A` (crates 1 to 3, weights 10, 20, 30), `B` (crate 4, weight 40) and `C` (none); crate 5 has
/// no holder. `A` is above `B`.
async fn with_rows() -> Service {
    let service = Service::with_crates().await;
    let mut above = String::new();
    let mut holders = Vec::new();
    for name in ["A", "B", "C"] {
        let body = format!(r#"{{"name":"{name}"{above}}}"#);
        let id = service.ok("POST /accounts", &body).await.id();
        above = match name {
            "A" => format!(r#","parentaccountid@odata.bind":"/accounts({id})""#),
            _ => String::new(),
        };
        holders.push(id);
    }
    for (number, holder) in (1..).zip([Some(0), Some(0), Some(0), Some(1), None]) {
        let holder: Option<usize> = holder;
        let holder = holder.map_or(String::new(), |place| {
            format!(r#","new_Holder@odata.bind":"/accounts({})""#, holders[place])
        });
        let color = if number < 3 { r#","new_color":2"# } else { "" };
        let body = format!(
            r#"{{"new_label":"c{number}","new_weight":{}{color},"new_price":{number}.25{holder}}}"#,
            number * 10
        );
        service.ok("POST /new_crates", &body).await;
    }
    service
}

/// The labels of the crates in a list of each record.
fn lists(page: &Answer, navigation: &str) -> Vec<Vec<String>> {
    let rows = page.json["value"].as_array().unwrap_or_else(|| panic!("{}", page.text));
    rows.iter()
        .map(|row| {
            let list = row[navigation].as_array().unwrap_or_else(|| panic!("{row}"));
            list.iter().map(|one| one["new_label"].as_str().expect("a label").to_owned()).collect()
        })
        .collect()
}

async fn check_lists(service: &Service, options: &str, want: &[&[&str]]) -> Answer {
    let head =
        format!("GET /accounts?$select=name&$orderby=name&$expand=new_account_crate({options})");
    let page = service.ok(&head, "").await;
    assert_eq!(lists(&page, "new_account_crate"), want, "{options}");
    page
}

#[tokio::test]
async fn lists_stand_inside_records() {
    let service = with_rows().await;
    let page = check_lists(
        &service,
        "$select=new_label;$orderby=new_label",
        &[&["c1", "c2", "c3"], &["c4"], &[]],
    )
    .await;
    let context = format!("{ORIGIN}{ROOT}/$metadata#accounts(name,new_account_crate(new_label))");
    assert_eq!(page.json["@odata.context"], context);
    let first = &page.json["value"][0];
    let child = first["new_account_crate"][0].as_object().expect("a record");
    let keys: Vec<&String> = child.keys().collect();
    assert_eq!(keys, ["@odata.etag", "_new_holder_value", "new_crateid", "new_label"]);
    assert_eq!(child["_new_holder_value"], first["accountid"]);
    // Even a complete list says where it is.
    let link = first["new_account_crate@odata.nextLink"].as_str().expect("a link");
    let list = service.ok(&format!("GET {}", link.replace(ORIGIN, "")), "").await;
    assert_eq!(list.column("new_label"), ["c1", "c2", "c3"]);
    check_lists(&service, "$orderby=new_weight desc;$top=2", &[&["c3", "c2"], &["c4"], &[]]).await;
    check_lists(&service, "$filter=new_weight gt 20;$orderby=new_label", &[&["c3"], &["c4"], &[]])
        .await;
    check_lists(&service, "$filter=contains(new_label,'(;')", &[&[], &[], &[]]).await;
    // A page size does not cut them.
    let head = "GET /accounts?$orderby=name&$expand=new_account_crate($select=new_label)\nPrefer: odata.maxpagesize=1";
    let page = service.ok(head, "").await;
    assert_eq!(lists(&page, "new_account_crate")[0].len(), 3);
    assert!(page.json["@odata.nextLink"].is_string());
}

#[tokio::test]
async fn records_stand_inside_lists_and_lists_inside_records() {
    let service = with_rows().await;
    let head = format!(
        "GET /accounts?$select=name&$filter=name eq 'A'&$expand=new_account_crate($select=new_label;$expand=new_Holder($select=name),owninguser($select=fullname)),ownerid($select=ownerid),parentaccountid/$ref{ANNOTATED}"
    );
    let page = service.ok(&head, "").await;
    let row = &page.json["value"][0];
    let child = &row["new_account_crate"][0];
    assert_eq!(child["new_Holder"]["name"], "A");
    assert!(child["owninguser"]["fullname"].is_string(), "{child}");
    let name = "_new_holder_value@OData.Community.Display.V1.FormattedValue";
    assert_eq!(child[name], "A");
    assert_eq!(row["ownerid"]["@odata.type"], "#Microsoft.Dynamics.CRM.systemuser");
    assert!(row["parentaccountid"].is_null());
    // Of one record, and below a single record: then lists come in pages.
    let id = service.ok("GET /new_crates?$filter=new_label eq 'c1'", "").await.json["value"][0]
        ["new_crateid"]
        .as_str()
        .expect("an id")
        .to_owned();
    let head = format!(
        "GET /new_crates({id})?$select=new_label&$expand=new_Holder($select=name;$expand=new_account_crate($select=new_label))\nPrefer: odata.maxpagesize=2"
    );
    let one = service.ok(&head, "").await;
    let holder = &one.json["new_Holder"];
    assert_eq!(holder["new_account_crate"].as_array().map(Vec::len), Some(2));
    let link = holder["new_account_crate@odata.nextLink"].as_str().expect("there are more");
    let rest = service.ok(&format!("GET {}", link.replace(ORIGIN, "")), "").await;
    assert_eq!(rest.json["value"].as_array().map(Vec::len), Some(1), "{}", rest.text);
    assert!(rest.json.get("@odata.nextLink").is_none());
    let of_one = format!("GET /new_crates({id})?$expand=new_Holder/$ref");
    let one = service.ok(&of_one, "").await;
    let link = one.json["new_Holder"]["@odata.id"].as_str().expect("an address");
    assert!(link.starts_with(&format!("{ORIGIN}{ROOT}/accounts(")), "{link}");
}

#[tokio::test]
async fn what_a_list_does_not_take_is_named() {
    let service = with_rows().await;
    let inner = "new_account_crate($select=new_label)";
    for (expand, want) in [
        ("new_account_crate/$ref".to_owned(), "Expand with $ref is only supported on lookup"),
        ("new_account_crate($count=true)".to_owned(), "`$count`"),
        ("new_account_crate($filter=new_label eq @p)".to_owned(), "an alias"),
        ("new_account_crate($skip=1)".to_owned(), "`$skip`"),
        (
            format!("account_parent_account($top=1;$expand={inner})"),
            "Only $select and $filter clause can be provided",
        ),
        (
            "account_parent_account($expand=new_account_crate($orderby=new_label))".to_owned(),
            "Only $select and $filter clause can be provided",
        ),
    ] {
        let head = format!("GET /accounts?$expand={expand}");
        service.refused(&head, "", (400, "0x80060888", want)).await;
    }
}

/// The rows of an answer with groups.
async fn rows(service: &Service, head: &str) -> Value {
    service.ok(head, "").await.json["value"].clone()
}

#[tokio::test]
async fn apply_groups_and_adds_up() {
    let service = with_rows().await;
    let apply = |text: &str| format!("GET /new_crates?$apply={text}");
    assert_eq!(
        rows(
            &service,
            &apply("aggregate($count as n,new_weight with sum as w,new_price with average as p)")
        )
        .await,
        json!([{"n": 5, "w": 150, "p": 3.25}])
    );
    assert_eq!(
        rows(
            &service,
            &apply("groupby((new_color),aggregate(new_weight with max as m,$count as n))")
        )
        .await,
        json!([{"m": 50, "n": 3}, {"new_color": 2, "m": 20, "n": 2}])
    );
    assert_eq!(
        rows(&service, &apply("filter(new_weight ge 20 and contains(new_label,'c'))/groupby((new_Holder/name))&$orderby=new_Holder/name desc")).await,
        json!([{"account_name": "B"}, {"account_name": "A"}, {}])
    );
    assert_eq!(
        rows(
            &service,
            &apply("filter(new_weight gt 1000)/aggregate($count as n,new_weight with sum as w)")
        )
        .await,
        json!([{"n": 0}])
    );
    assert_eq!(
        rows(&service, &apply("aggregate(new_color with countdistinct as n)")).await,
        json!([{"n": 1}])
    );
    let head = format!(
        "{}{ANNOTATED}",
        apply(
            "groupby((_new_holder_value),aggregate($count as n))&$orderby=_new_holder_value desc&$top=1"
        )
    );
    let page = service.ok(&head, "").await;
    let row = &page.json["value"][0];
    let name = "_new_holder_value@OData.Community.Display.V1.FormattedValue";
    assert!(row[name] == "A" || row[name] == "B", "{row}");
    // Pages of groups.
    let mut head = format!("{}\nPrefer: odata.maxpagesize=2", apply("groupby((new_label))"));
    let mut found = Vec::new();
    loop {
        let page = service.ok(&head, "").await;
        found.extend(page.column("new_label"));
        let Some(link) = page.json["@odata.nextLink"].as_str() else { break };
        head = format!("GET {}", link.replace(ORIGIN, ""));
    }
    assert_eq!(found, ["c1", "c2", "c3", "c4", "c5"]);
    for (text, want) in [
        ("groupby((new_color),aggregate($count as n))&$orderby=n", "SingleValueOpenPropertyAccess"),
        ("groupby((new_label))&$count=true", "$count"),
        ("groupby((new_label))&$select=new_label", "$select"),
        ("aggregate(new_label with sum as n)", "new_label with sum"),
        ("aggregate(new_weight with median as n)", "`median`"),
        ("aggregate($count as n)/filter(n gt 1)", "`aggregate($count as n)`"),
        ("filter(new_weight gt 1)", "`filter(new_weight gt 1)`"),
        ("groupby((nope))", "'nope'"),
        ("groupby(new_label)", "Syntax error"),
    ] {
        service.refused(&apply(text), "", (400, "0x80060888", want)).await;
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn fetch(attributes: &str, inside: &str) -> String {
    let text = format!("<fetch {attributes}><entity name='new_crate'>{inside}</entity></fetch>");
    format!("GET /new_crates?fetchXml={}", encoded(&text))
}

#[tokio::test]
async fn fetch_groups_and_adds_up() {
    let service = with_rows().await;
    let aggregate = |inside: &str| fetch("aggregate='true'", inside);
    let count = "<attribute name='new_crateid' aggregate='count' alias='n'/>";
    let all = format!(
        "{count}<attribute name='new_color' aggregate='countcolumn' alias='c'/>\
         <attribute name='new_color' aggregate='countcolumn' distinct='true' alias='d'/>\
         <attribute name='new_weight' aggregate='sum' alias='s'/>\
         <attribute name='new_weight' aggregate='avg' alias='a'/>\
         <attribute name='new_price' aggregate='min' alias='l'/>\
         <attribute name='new_price' aggregate='max' alias='g'/>"
    );
    assert_eq!(
        rows(&service, &aggregate(&all)).await,
        json!([{"n": 5, "c": 2, "d": 1, "s": 150, "a": 30, "l": 1.25, "g": 5.25}])
    );
    let grouped = format!(
        "{count}<attribute name='new_color' groupby='true' alias='k'/><order alias='n' descending='true'/>"
    );
    assert_eq!(rows(&service, &aggregate(&grouped)).await, json!([{"n": 3}, {"k": 2, "n": 2}]));
    let linked = format!(
        "{count}<link-entity name='account' from='accountid' to='new_holder' alias='a'>\
         <attribute name='name' groupby='true' alias='holder'/><order alias='holder'/></link-entity>"
    );
    assert_eq!(
        rows(&service, &aggregate(&linked)).await,
        json!([{"holder": "A", "n": 3}, {"holder": "B", "n": 1}])
    );
    let dated = format!(
        "{count}<attribute name='createdon' groupby='true' dategrouping='year' alias='y'/>\
         <attribute name='new_color' groupby='true' alias='k'/><order alias='k' descending='true'/>"
    );
    let page = service.ok(&format!("{}{ANNOTATED}", aggregate(&dated)), "").await;
    let value = "OData.Community.Display.V1.FormattedValue";
    let name = "OData.Community.Display.V1.AttributeName";
    assert_eq!(
        page.json["value"][0],
        json!({
            "y": 2023, format!("y@{value}"): "2023", format!("y@{name}"): "createdon",
            "k": 2, format!("k@{value}"): "Blue", format!("k@{name}"): "new_color",
            "n": 2, format!("n@{value}"): "2", format!("n@{name}"): "new_crateid",
        })
    );
    assert!(page.json.get("@odata.nextLink").is_none());
    for (inside, code, want) in [
        ("<attribute name='new_label'/>", "0x80041107", "new_label"),
        ("<attribute name='new_label' groupby='true'/>", "0x8004110b", "'new_label'"),
        (
            "<attribute name='new_label' groupby='true' aggregate='count' alias='a'/>",
            "0x80041137",
            "'new_label'",
        ),
        ("<attribute name='new_label' aggregate='sum' alias='a'/>", "0x8004112f", "'new_label'"),
        ("<attribute name='new_label' aggregate='median' alias='a'/>", "0x8004111a", "'median'"),
        ("<attribute name='new_label' groupby='maybe' alias='a'/>", "0x8004112e", "'maybe'"),
        ("<attribute name='createdon' groupby='true' alias='a'/>", "0x80041135", "'createdon'"),
        (
            "<attribute name='new_label' groupby='true' dategrouping='day' alias='a'/>",
            "0x80041135",
            "'new_label'",
        ),
        ("<all-attributes/>", "0x80041107", "*"),
        (
            "<attribute name='new_label' groupby='true' alias='a'/><order attribute='new_label'/>",
            "0x80041134",
            "alias",
        ),
        (
            "<attribute name='new_label' groupby='true' alias='a'/><order alias='b'/>",
            "0x8004110a",
            "'b'",
        ),
    ] {
        service.refused(&aggregate(inside), "", (400, code, want)).await;
    }
}

#[tokio::test]
async fn an_aggregate_over_too_many_rows_is_refused() {
    let mut service = with_rows().await;
    let count = "<attribute name='new_crateid' aggregate='count' alias='n'/>";
    let (all, lowered) =
        (fetch("aggregate='true'", count), fetch("aggregate='true' aggregatelimit='4'", count));
    let applied = "GET /new_crates?$apply=aggregate($count as n)".to_owned();
    assert_eq!(rows(&service, &all).await, json!([{"n": 5}]));
    let refused = (400, "0x8004e023", "AggregateQueryRecordLimit exceeded");
    service.refused(&lowered, "", refused).await;
    for (max, is_refused) in [(5, false), (4, true)] {
        let settings = Settings { aggregate_rows_max: Some(max), ..Settings::default() };
        service.api = WebApi::new(service.pipeline.clone(), settings);
        for head in [&all, &applied] {
            match is_refused {
                true => service.refused(head, "", refused).await,
                false => assert_eq!(rows(&service, head).await, json!([{"n": 5}])),
            }
        }
    }
}

#[tokio::test]
async fn fetch_tells_distinct_rows_and_first_partners() {
    let service = with_rows().await;
    let color = "<attribute name='new_color'/>";
    assert_eq!(
        rows(
            &service,
            &fetch("distinct='true'", &format!("{color}<order attribute='new_color'/>"))
        )
        .await,
        json!([{}, {"new_color": 2}])
    );
    let counted = fetch("distinct='true' returntotalrecordcount='true'", color);
    assert_eq!(service.ok(&counted, "").await.json["@odata.count"], json!(2));
    let other = fetch("distinct='true'", &format!("{color}<order attribute='new_label'/>"));
    service.refused(&other, "", (400, "0x80060888", "`new_label`")).await;
    // An account once, with the first of its crates.
    let text = "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>\
         <link-entity name='new_crate' from='new_holder' to='accountid' alias='c' \
         link-type='matchfirstrowusingcrossapply'><attribute name='new_label'/></link-entity>\
         </entity></fetch>";
    let page = service.ok(&format!("GET /accounts?fetchXml={}", encoded(text)), "").await;
    assert_eq!(page.column("name"), ["A", "B", "C"]);
    assert_eq!(page.json["value"].as_array().map(Vec::len), Some(3));
    assert!(page.json["value"][2].get("c.new_label").is_none());
    // Choices by their labels, or by their numbers.
    service.ok("POST /new_crates", r#"{"new_label":"c6","new_color":1}"#).await;
    let label = "<attribute name='new_label'/><order attribute='new_color' descending='true'/>\
         <order attribute='new_label'/>";
    let by = async |attributes: &str| {
        service.ok(&fetch(attributes, label), "").await.column("new_label")
    };
    assert_eq!(by("").await, ["c6", "c1", "c2", "c3", "c4", "c5"]);
    assert_eq!(by("useraworderby='true'").await, ["c1", "c2", "c6", "c3", "c4", "c5"]);
    let page = service.ok(&fetch("datasource='retained'", label), "").await;
    assert_eq!(page.json["value"], json!([]));
    let bare = service.ok(&fetch("top='1'", "<no-attrs/>"), "").await;
    let keys: Vec<&String> = bare.json["value"][0].as_object().expect("a row").keys().collect();
    assert_eq!(keys, ["@odata.etag"]);
}

/// Decodes as clients do.
fn decoded(text: &str) -> String {
    let bytes: Vec<u8> = percent(text);
    String::from_utf8(bytes).expect("text")
}

fn percent(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
            let digits = std::str::from_utf8(&digits).expect("digits");
            out.push(u8::from_str_radix(digits, 16).expect("a hex number"));
        } else {
            out.push(byte);
        }
    }
    out
}

#[tokio::test]
async fn cookies_lead_from_page_to_page() {
    let service = with_rows().await;
    let inside = "<attribute name='new_label'/><order attribute='new_label'/>";
    let escaped =
        |text: &str| text.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let prefer = "\nPrefer: odata.include-annotations=\"Microsoft.Dynamics.CRM.fetchxmlpagingcookie,Microsoft.Dynamics.CRM.morerecords\"";
    let mut attributes = "count='2' page='1'".to_owned();
    let mut found = Vec::new();
    let mut inner = String::new();
    for number in 1..=3 {
        let page = service.ok(&format!("{}{prefer}", fetch(&attributes, inside)), "").await;
        found.extend(page.column("new_label"));
        let annotation = page.json["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str();
        assert_eq!(annotation.is_some(), number < 3);
        assert_eq!(page.json.get("@Microsoft.Dynamics.CRM.morerecords").is_some(), number < 3);
        let Some(annotation) = annotation else { break };
        // One client decodes the attribute twice, another the whole annotation.
        let attribute =
            annotation.split("pagingcookie=\"").nth(1).and_then(|text| text.split('"').next());
        inner = decoded(&decoded(attribute.expect("an attribute")));
        assert!(inner.starts_with(&format!("<cookie page=\"{number}\" t=\"")), "{inner}");
        assert!(inner.ends_with("}\" /></cookie>"), "{inner}");
        assert!(!inner.contains(['&', '%', '\'']), "{inner}");
        assert!(decoded(&decoded(annotation)).contains(&format!("pagingcookie=\"{inner}")));
        // A row before the place does not shift the page.
        let color = r#"{"new_label":"c0"}"#;
        service.ok("POST /new_crates", color).await;
        attributes = format!("count='2' page='{}' paging-cookie='{}'", number + 1, escaped(&inner));
    }
    // Rows that came later and stand before the place did not shift the pages.
    assert_eq!(found, ["c1", "c2", "c3", "c4", "c5"]);
    let of_other_order = fetch(&attributes, "<attribute name='new_label'/>");
    service.refused(&of_other_order, "", (400, "0x80041129", "order by")).await;
    let malformed = format!("paging-cookie='{}'", escaped(&inner.replace("t=\"Ag", "t=\"zz")));
    service.refused(&fetch(&malformed, inside), "", (400, "0x8004112a", "malformed")).await;
    // Another page than the next one is found by its number.
    let first = attributes.replace("page='3'", "page='1'").replace("page='4'", "page='1'");
    let page = service.ok(&fetch(&first, inside), "").await;
    assert_eq!(page.column("new_label"), ["c0", "c0"]);
    // Where no page can begin after a row the cookie says the number alone.
    let linked = "<attribute name='new_label'/><link-entity name='account' from='accountid' to='new_holder'>\
         <order attribute='name'/></link-entity>";
    for (attributes, inside) in
        [("count='1'", linked), ("count='1' distinct='true'", "<attribute name='new_label'/>")]
    {
        let page = service.ok(&format!("{}{prefer}", fetch(attributes, inside)), "").await;
        let cookie = "<cookie pagenumber=\"2\" pagingcookie=\"\" istracking=\"False\" />";
        assert_eq!(page.json["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"], json!(cookie));
        assert_eq!(page.json["@Microsoft.Dynamics.CRM.morerecords"], json!(true));
    }
}

#[tokio::test]
async fn paths_lead_through_navigation_properties() {
    let service = with_rows().await;
    let page = service.ok("GET /new_crates?$orderby=new_label", "").await;
    let crates: Vec<String> = page.column("new_crateid");
    let account = page.column("_new_holder_value")[0].clone();
    let one =
        service.ok(&format!("GET /new_crates({})/new_Holder?$select=name", crates[0]), "").await;
    assert_eq!(one.json["name"], "A");
    assert_eq!(
        one.json["@odata.context"],
        format!("{ORIGIN}{ROOT}/$metadata#accounts(name)/$entity")
    );
    let owner = service.ok(&format!("GET /new_crates({})/ownerid", crates[0]), "").await;
    assert!(owner.json["systemuserid"].is_string());
    let none = service.ok(&format!("GET /new_crates({})/new_Holder", crates[4]), "").await;
    assert_eq!(none.status.as_u16(), 204);
    let name = service.ok(&format!("GET /new_crates({})/new_Holder/name", crates[0]), "").await;
    assert_eq!(name.json["value"], "A");
    let list = format!("GET /accounts({account})/new_account_crate");
    let page = service
        .ok(&format!("{list}?$select=new_label&$orderby=new_label desc&$count=true"), "")
        .await;
    assert_eq!(page.column("new_label"), ["c3", "c2", "c1"]);
    assert_eq!(page.json["@odata.count"], json!(3));
    let page =
        service.ok(&format!("{list}?$orderby=new_label\nPrefer: odata.maxpagesize=2"), "").await;
    assert_eq!(page.column("new_label"), ["c1", "c2"]);
    let link = page.json["@odata.nextLink"].as_str().expect("there are more");
    assert!(link.starts_with(&format!("{ORIGIN}{ROOT}/accounts({account})/new_account_crate?")));
    let page = service.ok(&format!("GET {}", link.replace(ORIGIN, "")), "").await;
    assert_eq!(page.column("new_label"), ["c3"]);
    let count = service.ok(&format!("{list}/$count?$filter=new_weight gt 10"), "").await;
    assert_eq!(count.text, "2");
    let links = service.ok(&format!("{list}/$ref"), "").await;
    let want = format!("{ORIGIN}{ROOT}/new_crates({})", crates[0]);
    assert_eq!(links.column("@odata.id").first(), Some(&want));
    assert_eq!(links.json["@odata.context"], format!("{ORIGIN}{ROOT}/$metadata#Collection($ref)"));
    let own = service.ok(&format!("{list}({})?$select=new_label", crates[1]), "").await;
    assert_eq!(own.json["new_label"], "c2");
    let cast = format!(
        "{list}/Microsoft.Dynamics.CRM.new_crate?$select=new_label&$top=1&$orderby=new_label"
    );
    assert_eq!(service.ok(&cast, "").await.column("new_label"), ["c1"]);
    for (head, code) in [
        (format!("{list}({})", crates[3]), "0x80040217"),
        (
            "GET /accounts(11111111-2222-4333-8444-555555555501)/new_account_crate".to_owned(),
            "0x80040217",
        ),
    ] {
        service.refused(&head, "", (404, code, "")).await;
    }
    service.refused(&format!("{list}?$skip=1"), "", (400, "0x80060888", "$skip")).await;
}

#[tokio::test]
async fn pairs_are_lists_of_both_sides() {
    let service = with_rows().await;
    let pairs = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_crate_account","Entity1LogicalName":"new_crate","Entity2LogicalName":"account","IntersectEntityName":"new_Crate_Accounts"}"#;
    service.ok("POST /RelationshipDefinitions", pairs).await;
    let crates = service.ok("GET /new_crates?$orderby=new_label", "").await.column("new_crateid");
    let accounts = service.ok("GET /accounts?$orderby=name", "").await.column("accountid");
    let catalog = service.pipeline.catalog();
    let many = catalog.many_to_many().iter().find(|many| *many.schema_name == *"new_crate_account");
    let many = many.expect("it was made");
    let table = catalog.table(&many.intersect_table).expect("it was made").clone();
    let value = |table: &str, id: &str| {
        let table = catalog.table(table).expect("it is there").id;
        model::Value::Lookup(model::LookupValue { table, id: id.parse().expect("an id") })
    };
    let row = |number: u128, one: usize, other: usize| {
        let values = [value("new_crate", &crates[one]), value("account", &accounts[other])];
        let cells = many.ends.iter().zip(values).map(|(end, value)| model::Cell {
            column: table.index_of(&end.column).expect("it has both columns"),
            value,
        });
        let id = model::Uuid::from_u128(number);
        store::writes::InsertRow { id, cells: cells.collect(), binds: Vec::new() }
    };
    let rows = vec![row(1, 0, 0), row(2, 1, 0), row(3, 0, 1)];
    let insert = store::writes::Insert { table: table.clone(), constants: Vec::new(), rows };
    let ops = vec![store::WriteOp::Insert(insert)];
    let (now, user) = (model::Timestamp(0), service.pipeline.organization().administrator);
    let writes = store::WriteSet { catalog: catalog.clone(), now, user, ops, checks: Vec::new() };
    store::StandardStore::apply(&*service.store, writes).await.expect("the pairs are fine");
    let navigation = &many.ends[1].navigation;
    let head = format!(
        "GET /accounts?$select=name&$orderby=name&$expand={navigation}($select=new_label;$orderby=new_label desc;$expand=new_Holder($select=name))"
    );
    let page = service.ok(&head, "").await;
    assert_eq!(lists(&page, navigation), [vec!["c2", "c1"], vec!["c1"], vec![]]);
    let child = &page.json["value"][0][&**navigation][0];
    let keys: Vec<&String> = child.as_object().expect("a record").keys().collect();
    assert_eq!(keys, ["@odata.etag", "new_Holder", "new_crateid", "new_label"]);
    let list = format!("GET /accounts({})/{navigation}", accounts[0]);
    let page = service.ok(&format!("{list}?$filter=new_weight gt 10"), "").await;
    assert_eq!(page.column("new_label"), ["c2"]);
    assert_eq!(service.ok(&format!("{list}/$count"), "").await.text, "2");
    service.ok(&format!("{list}({})", crates[0]), "").await;
    service.refused(&format!("{list}({})", crates[2]), "", (404, "0x80040217", "")).await;
    let nested = format!("GET /accounts?$expand=account_parent_account($expand={navigation})");
    service.refused(&nested, "", (400, "0x80060888", "many-to-many")).await;
    // The other way, through FetchXML: the pairs in between.
    let text = format!(
        "<fetch><entity name='new_crate'><attribute name='new_label'/><order attribute='new_label'/>\
         <link-entity name='{}' from='{}' to='new_crateid' intersect='true'>\
         <link-entity name='account' from='accountid' to='{}' alias='a'><filter>\
         <condition attribute='name' operator='eq' value='B'/></filter></link-entity></link-entity>\
         </entity></fetch>",
        table.logical_name, many.ends[0].column, many.ends[1].column
    );
    let page = service.ok(&format!("GET /new_crates?fetchXml={}", encoded(&text)), "").await;
    assert_eq!(page.column("new_label"), ["c1"]);
}

fn sql(text: &str) -> String {
    format!("GET /new_crates?sql={}", encoded(text))
}

#[tokio::test]
async fn statements_select_rows() {
    let service = with_rows().await;
    let check = async |text: &str, want: &[&str]| {
        let statement = format!("SELECT new_label FROM new_crate{text}");
        let page = service.ok(&sql(&statement), "").await;
        assert_eq!(page.column("new_label"), want, "{text}");
    };
    check(" ORDER BY new_label DESC", &["c5", "c4", "c3", "c2", "c1"]).await;
    check(" WHERE new_weight > 20 AND NOT (new_label = 'C4') ORDER BY NEW_LABEL", &["c3", "c5"])
        .await;
    check(" WHERE new_weight BETWEEN 20 AND 30 ORDER BY new_label", &["c2", "c3"]).await;
    check(" WHERE new_weight NOT BETWEEN 20 AND 40 ORDER BY new_label", &["c1", "c5"]).await;
    check(
        " WHERE new_weight IN (10, 50) OR new_label LIKE '%3' ORDER BY new_label",
        &["c1", "c3", "c5"],
    )
    .await;
    check(
        " WHERE new_weight NOT IN (10, 50) AND new_label NOT LIKE '%3' ORDER BY new_label",
        &["c2", "c4"],
    )
    .await;
}

#[tokio::test]
async fn statements_join_group_and_page() {
    let service = with_rows().await;
    // Aliases, brackets, quotes; the key is added.
    let text = "select TOP 2 c.[new_label] AS label, \"a\".name AS holder, c.new_holder \
        FROM New_Crate c INNER JOIN account a ON c.new_holder = a.accountid \
        WHERE a.name <> 'B' AND c.new_price >= 1.25 ORDER BY a.name, label DESC";
    let page = service.ok(&format!("{}{ANNOTATED}", sql(text)), "").await;
    assert_eq!(page.column("label"), ["c3", "c2"]);
    assert_eq!(page.column("holder"), ["A", "A"]);
    let row = &page.json["value"][0];
    assert!(row["new_crateid"].is_string() && row["_new_holder_value"].is_string(), "{row}");
    assert_eq!(row["label@OData.Community.Display.V1.AttributeName"], "new_label");
    assert!(page.json.get("@odata.nextLink").is_none());
    let left = "SELECT new_label FROM new_crate LEFT OUTER JOIN account AS a ON new_crate.new_holder = a.accountid WHERE a.accountid IS NULL";
    assert_eq!(service.ok(&sql(left), "").await.column("new_label"), ["c5"]);
    assert_eq!(
        rows(&service, &sql("SELECT new_color, COUNT(*) AS n, SUM(new_weight) AS w FROM new_crate GROUP BY new_color ORDER BY n DESC")).await,
        json!([{"n": 3, "w": 120}, {"new_color": 2, "n": 2, "w": 30}])
    );
    assert_eq!(
        rows(&service, &sql("SELECT COUNT(DISTINCT new_color) AS d, COUNT(new_color) AS c, AVG(new_weight) AS a, MIN(new_price) AS l, MAX(new_price) AS g FROM new_crate")).await,
        json!([{"d": 1, "c": 2, "a": 30, "l": 1.25, "g": 5.25}])
    );
    assert_eq!(
        rows(&service, &sql("SELECT DISTINCT new_color FROM new_crate ORDER BY new_color")).await,
        json!([{}, {"new_color": 2}])
    );
    let skipped =
        "SELECT new_label FROM new_crate ORDER BY new_label OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY";
    assert_eq!(service.ok(&sql(skipped), "").await.column("new_label"), ["c2", "c3"]);
    // Pages: both cookies move on, and `TOP` ends the chain.
    for (text, want) in [
        ("SELECT new_label FROM new_crate ORDER BY new_label", &["c1", "c2", "c3", "c4", "c5"][..]),
        ("SELECT TOP 3 new_label FROM new_crate ORDER BY new_label", &["c1", "c2", "c3"]),
        (
            "SELECT DISTINCT new_label FROM new_crate ORDER BY new_label",
            &["c1", "c2", "c3", "c4", "c5"],
        ),
        ("SELECT new_label FROM new_crate ORDER BY new_label OFFSET 2 ROWS", &["c3", "c4", "c5"]),
        (
            "SELECT DISTINCT new_label FROM new_crate ORDER BY new_label OFFSET 2 ROWS",
            &["c3", "c4", "c5"],
        ),
    ] {
        let prefer = "\nPrefer: odata.maxpagesize=2";
        let (mut found, mut cookies) = (Vec::new(), Vec::new());
        let mut head = sql(text);
        loop {
            let page = service.ok(&format!("{head}{prefer}"), "").await;
            found.extend(page.column("new_label"));
            let Some(link) = page.json["@odata.nextLink"].as_str() else { break };
            let cookie = decoded(link.split("$skiptoken=").nth(1).expect("a token"));
            let inner =
                cookie.split("pagingcookie=\"").nth(1).and_then(|text| text.split('"').next());
            let number =
                cookie.split("pagenumber=\"").nth(1).and_then(|text| text.split('"').next());
            cookies.push((inner.expect("one").to_owned(), number.expect("one").to_owned()));
            assert!(cookies.len() < 9, "{text}");
            head = format!("GET {}", link.replace(ORIGIN, ""));
        }
        assert_eq!(found, want, "{text}");
        let all = cookies.len();
        cookies.dedup_by(|one, other| one.0 == other.0 || one.1 == other.1);
        assert_eq!(cookies.len(), all, "{text}");
    }
}

#[tokio::test]
async fn what_a_statement_does_not_say_is_named() {
    let service = Service::with_crates().await;
    for (text, want) in [
        ("", "malformed"),
        ("SELECT", "malformed"),
        ("SELECT * FROM new_crate", "`*`"),
        ("SELECT new_label FROM new_crate; SELECT new_label FROM new_crate", "more than one"),
        ("DELETE FROM new_crate", "any statement but SELECT"),
        ("UPDATE new_crate SET new_label = 'x'", "any statement but SELECT"),
        ("SELECT new_label FROM new_crate UNION SELECT new_label FROM new_crate", "UNION"),
        ("WITH a AS (SELECT new_label FROM new_crate) SELECT new_label FROM a", "WITH"),
        (
            "SELECT new_label FROM new_crate RIGHT JOIN account ON new_holder = account.accountid",
            "RIGHT JOIN",
        ),
        ("SELECT new_label FROM new_crate CROSS JOIN account", "CROSS JOIN"),
        ("SELECT new_label FROM new_crate, account", "several tables"),
        (
            "SELECT new_label, COUNT(*) AS n FROM new_crate GROUP BY new_label HAVING COUNT(*) > 1",
            "HAVING",
        ),
        ("SELECT new_label, COUNT(*) AS n FROM new_crate", "`new_label` beside aggregates"),
        ("SELECT COUNT(*) FROM new_crate", "without an alias"),
        ("SELECT UPPER(new_label) AS u FROM new_crate", "function `upper`"),
        ("SELECT new_weight + 1 AS w FROM new_crate", "arithmetic"),
        ("SELECT CASE WHEN new_weight > 1 THEN 1 END AS w FROM new_crate", "CASE"),
        (
            "SELECT new_label FROM new_crate WHERE new_holder IN (SELECT accountid FROM account)",
            "sub-query",
        ),
        (
            "SELECT new_label FROM new_crate WHERE EXISTS (SELECT accountid FROM account)",
            "sub-query",
        ),
        ("SELECT new_label FROM new_crate WHERE new_label = NULL", "IS NULL"),
        ("SELECT new_label FROM new_crate WHERE LEN(new_label) > 1", "function `LEN`"),
        ("SELECT new_label FROM (SELECT new_label FROM new_crate) x", "a table that is no name"),
        ("SELECT new_label FROM new_crate LIMIT 5", "LIMIT"),
        ("SELECT absent FROM new_crate", "'absent'"),
        ("SELECT SUM(new_label) AS s FROM new_crate", "SUM(new_label)"),
        ("SELECT new_label FROM new_crate WITH (NOLOCK)", "option of table"),
        ("SELECT new_label INTO x FROM new_crate", "INTO"),
        (
            "SELECT new_label FROM new_crate JOIN account ON new_crate.new_label = account.accountid",
            "joining column",
        ),
        ("SELECT new_label FROM new_crate JOIN absent ON new_holder = absent.x", "'absent'"),
        ("SELECT ROW_NUMBER() OVER (ORDER BY new_label) AS n FROM new_crate", "row_number"),
        (
            "SELECT createdon FROM new_crate c JOIN account a ON c.new_holder = a.accountid",
            "several tables have",
        ),
        ("SELECT new_label FROM new_crate WHERE new_weight = 'x'", "Edm.Int32"),
    ] {
        service.refused(&sql(text), "", (400, "0x80060888", want)).await;
    }
    let other = sql("SELECT name FROM account");
    service.refused(&other, "", (400, "0x80041128", "'account'")).await;
    service.refused(&format!("{}&$top=1", sql("x")), "", (400, "0x80060888", "$top")).await;
    for option in ["savedQuery", "userQuery"] {
        let head = format!("GET /accounts?{option}=11111111-2222-4333-8444-555555555501");
        service.refused(&head, "", (501, "0x80040219", option)).await;
    }
}
