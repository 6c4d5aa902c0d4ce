//! Which messages are available for a table: what callers ask before they send a bulk message.
//!
//! Source: bulk.md 2, and 1.8 row 13.

use crate::service::{ORIGIN, ROOT, Service};

/// The two documented questions, but for their values.
const FETCH: &str = r#"<fetch><entity name="sdkmessagefilter"><attribute name="primaryobjecttypecode"/>
 <link-entity name="sdkmessage" from="sdkmessageid" to="sdkmessageid" link-type="inner">
  <filter><condition attribute="name" operator="eq" value="MESSAGE"/></filter>
 </link-entity></entity></fetch>"#;

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Tables that support a message, by the documented FetchXML.
async fn tables_with(service: &Service, message: &str) -> Vec<String> {
    let query = encoded(&FETCH.replace("MESSAGE", message));
    let page = service.ok(&format!("GET /sdkmessagefilters?fetchXml={query}"), "").await;
    let mut tables = page.column("primaryobjecttypecode");
    tables.sort();
    tables
}

async fn rows_of(service: &Service, options: &str) -> usize {
    let head =
        format!("GET /sdkmessagefilters?$select=sdkmessagefilterid&{options}\nConsistency: Strong");
    let page = service.ok(&head, "").await;
    page.json["value"].as_array().expect("rows").len()
}

#[tokio::test]
async fn the_documented_odata_query_finds_one_row_or_none() {
    let service = Service::with_crates().await;
    let code = service.ok("GET /EntityDefinitions(LogicalName='new_crate')", "").await;
    let code = code.json["ObjectTypeCode"].to_string();
    let question = |message: &str, table: &str| {
        format!(
            "$filter=sdkmessageid/name eq @message and primaryobjecttypecode eq @table&@message='{message}'&@table='{table}'"
        )
    };
    let asked = question("CreateMultiple", "new_crate");
    for (options, want) in [
        (asked.clone(), 1),
        (asked.replace(' ', "%20"), 1),
        (asked.replace(' ', "+"), 1),
        (asked.replace("@message='", "%40message=%27"), 1),
        (question("createmultiple", "NEW_CRATE"), 1),
        (question("UpdateMultiple", "new_crate"), 1),
        (question("UpsertMultiple", "new_crate"), 0),
        (question("DeleteMultiple", "new_crate"), 0),
        (question("CreateMultiple", "absent"), 0),
        (question("CreateMultiple", "sdkmessagefilter"), 0),
        (
            "$filter=sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq 'new_crate'"
                .to_owned(),
            1,
        ),
        (
            "$filter='new_crate' eq primaryobjecttypecode and 'CreateMultiple' eq sdkmessageid/name"
                .to_owned(),
            1,
        ),
        (
            "$filter=startswith(sdkmessageid/name,'CreateM') and primaryobjecttypecode eq 'new_crate'"
                .to_owned(),
            1,
        ),
        (
            format!(
                "$filter=sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq {code}"
            ),
            1,
        ),
        (
            format!(
                "$filter=sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq '{code}'"
            ),
            1,
        ),
    ] {
        assert_eq!(rows_of(&service, &options).await, want, "{options}");
    }
    let page =
        service.ok(&format!("GET /sdkmessagefilters?$select=sdkmessagefilterid&{asked}"), "").await;
    let context = format!("{ORIGIN}{ROOT}/$metadata#sdkmessagefilters(sdkmessagefilterid)");
    assert_eq!(page.json["@odata.context"], context);
    let row = page.json["value"][0].as_object().expect("a row");
    assert_eq!(row.keys().collect::<Vec<_>>(), ["@odata.etag", "sdkmessagefilterid"]);
    let counted = asked.split('&').next().expect("the filter").replace(
        "primaryobjecttypecode eq @table",
        "primaryobjecttypecode eq 'new_crate' and sdkmessageid/name ne 'Update'",
    );
    let count = format!("GET /sdkmessagefilters/$count?{counted}&@message='CreateMultiple'");
    assert_eq!(service.ok(&count, "").await.text, "1");
}

#[tokio::test]
async fn the_documented_fetchxml_lists_the_tables_of_a_message() {
    let service = Service::with_crates().await;
    let create = tables_with(&service, "CreateMultiple").await;
    let mut update = tables_with(&service, "updatemultiple").await;
    // The one row of the organisation is updated, never created.
    update.retain(|table| table != "organization");
    assert_eq!(create, update);
    assert!(create.contains(&"new_crate".to_owned()) && create.contains(&"account".to_owned()));
    assert_eq!(tables_with(&service, "UpsertMultiple").await, [""; 0]);
    assert_eq!(tables_with(&service, "DeleteMultiple").await, [""; 0]);
    let query = encoded(&FETCH.replace("MESSAGE", "UpdateMultiple"));
    for option in ["fetchXml", "fetchxml", "FetchXML", "fetchXml%20"] {
        let page = service.ok(&format!("GET /sdkmessagefilters?{option}={query}"), "").await;
        let context = format!("{ORIGIN}{ROOT}/$metadata#sdkmessagefilters(primaryobjecttypecode)");
        assert_eq!(page.json["@odata.context"], context);
        let row = page.json["value"][0].as_object().expect("a row");
        let want = ["@odata.etag", "primaryobjecttypecode", "sdkmessagefilterid"];
        assert_eq!(row.keys().collect::<Vec<_>>(), want);
    }
    let code = service.ok("GET /EntityDefinitions(LogicalName='new_crate')", "").await;
    for table in ["new_crate".to_owned(), code.json["ObjectTypeCode"].to_string()] {
        let condition = format!(
            "<filter><condition attribute='primaryobjecttypecode' operator='eq' value='{table}'/></filter>"
        );
        let query = FETCH.replace("MESSAGE", "CreateMultiple");
        let query = query.replace("</link-entity>", &format!("</link-entity>{condition}"));
        let page =
            service.ok(&format!("GET /sdkmessagefilters?fetchXml={}", encoded(&query)), "").await;
        assert_eq!(page.column("primaryobjecttypecode"), ["new_crate"], "{table}");
    }
}

#[tokio::test]
async fn a_message_that_is_made_unavailable_is_not_listed_and_refused() {
    let unavailable = [("account", &["CreateMultiple"][..]), ("contact", &["Update"])];
    let mut service = Service::with_unavailable(&unavailable).await;
    let create = tables_with(&service, "CreateMultiple").await;
    assert!(!create.contains(&"account".to_owned()) && create.contains(&"contact".to_owned()));
    assert!(tables_with(&service, "UpdateMultiple").await.contains(&"account".to_owned()));
    assert!(!tables_with(&service, "Update").await.contains(&"contact".to_owned()));
    let bulk = "/Microsoft.Dynamics.CRM.";
    let target = r#"{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"A"}"#;
    let targets = format!(r#"{{"Targets":[{target}]}}"#);
    let no = |message: &str, table: &str| {
        format!("The message '{message}' is not supported for entity '{table}'.")
    };
    let create = format!("POST /accounts{bulk}CreateMultiple");
    let upsert = format!("POST /accounts{bulk}UpsertMultiple");
    service.refused(&create, &targets, (400, "0x80040203", &no("CreateMultiple", "account"))).await;
    // An upsert on a standard table is both of its halves.
    service.refused(&upsert, &targets, (400, "0x80040203", &no("UpsertMultiple", "account"))).await;
    // What is wrong with the body is told first.
    service.refused(&create, "{}", (400, "0x80040203", "Targets")).await;
    service.refused(&create, r#"{"Targets":[]}"#, (400, "0x80040216", "Targets")).await;
    let unknown = targets.replace("\"name\"", "\"nam\"");
    service.refused(&create, &unknown, (400, "0x80048d19", "'nam'")).await;
    // A bulk message is not its single one, nor the other way round.
    let made = service.ok("POST /accounts", r#"{"name":"A"}"#).await.id();
    let person = service.ok("POST /contacts", r#"{"lastname":"A"}"#).await.id();
    let patch = format!("PATCH /contacts({person})\nIf-Match: *");
    let fault = (400, "0x80040203", &*no("Update", "contact"));
    service.refused(&patch, r#"{"lastname":"B"}"#, fault).await;
    let update = format!(
        r#"{{"Targets":[{{"@odata.type":"Microsoft.Dynamics.CRM.account","accountid":"{made}","name":"B"}}]}}"#
    );
    service.ok(&format!("POST /accounts{bulk}UpdateMultiple"), &update).await;
    // Another configuration brings it back, and writes nothing when nothing differs.
    service = service.again_with_unavailable(&[("contact", &["UpdateMultiple"])]).await;
    assert!(tables_with(&service, "CreateMultiple").await.contains(&"account".to_owned()));
    assert!(tables_with(&service, "Update").await.contains(&"contact".to_owned()));
    assert!(!tables_with(&service, "UpdateMultiple").await.contains(&"contact".to_owned()));
    service.ok(&create, &targets).await;
    let etags = async |service: &Service| {
        let page = service.ok("GET /sdkmessagefilters?$select=sdkmessagefilterid", "").await;
        page.column("@odata.etag")
    };
    let before = etags(&service).await;
    service = service.again_with_unavailable(&[("contact", &["UpdateMultiple"])]).await;
    assert_eq!(etags(&service).await, before);
    // Targets without an id are told before the message (1.8, rows 11 and 13).
    let update = format!("POST /contacts{bulk}UpdateMultiple");
    let nameless = targets.replace("account", "contact").replace("\"name\"", "\"lastname\"");
    service.refused(&update, &nameless, (404, "0x80040217", "Entity Id")).await;
    let named =
        nameless.replace("\"lastname\"", &format!("\"contactid\":\"{person}\",\"lastname\""));
    let fault = (400, "0x80040203", &*no("UpdateMultiple", "contact"));
    service.refused(&update, &named, fault).await;
}

#[tokio::test]
async fn names_that_are_not_known_are_told_at_the_start() {
    for (table, message, want) in [
        ("absent", "CreateMultiple", "`absent`"),
        ("account", "CreateMany", "`CreateMany`"),
        ("account", "Retrieve", "`Retrieve`"),
    ] {
        let refused = Service::try_unavailable(&[(table, &[message])]).await.map(drop);
        let text = refused.expect_err("the name is not known").to_string();
        assert!(text.contains(want), "{text}");
    }
}
