//! Change sets: all or nothing, references between operations, what is refused.
//!
//! Source: bulk.md 5.3, 5.4 and 12 (9); webapi.md 19.

use crate::batch::{CONTINUE, HEAD, batch, create, labels, part, summary};
use crate::service::{Answer, Service};
use wire::batch::{Part, read_response};

/// An operation with a Content-ID.
fn named(id: &str, request: &str) -> String {
    format!("Content-ID: {id}\r\n{}", part(request))
}

/// A part that is a change set of these operations.
fn set(operations: &[String]) -> String {
    let operations: String = operations.iter().map(|one| format!("--c\r\n{one}")).collect();
    format!("Content-Type: multipart/mixed; boundary=\"c\"\r\n\r\n{operations}--c--\r\n\r\n")
}

async fn run(service: &Service, operations: &[String]) -> Answer {
    service.send(HEAD, &batch(&[set(operations)])).await
}

async fn check(service: &Service, operations: &[String], status: u16, want: &str) {
    let answer = run(service, operations).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(summary(&answer), want, "{}", answer.text);
}

/// Content-ID and text of the one error of a change set.
async fn refused(service: &Service, operations: &[String], want: (u16, &str, &str, &str)) {
    let (status, code, id, piece) = want;
    let answer = run(service, operations).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    let parts = read_response(answer.header("content-type"), answer.text.as_bytes()).expect("read");
    let [Part::ChangeSet(set)] = parts.as_slice() else { panic!("{}", answer.text) };
    let [one] = set.as_slice() else { panic!("{}", answer.text) };
    let error = wire::error_body::read(one.body);
    let got = error.code.map(|code| code.to_string());
    assert_eq!((one.status, got.as_deref()), (status, Some(code)), "{}", answer.text);
    assert_eq!(one.content_id.unwrap_or_default(), id, "{}", answer.text);
    assert!(error.message.contains(piece), "{}", error.message);
}

const ACCOUNT: &str = "POST accounts HTTP/1.1\n\n{\"name\":\"Holder\"}";

#[tokio::test]
async fn a_failing_operation_undoes_the_change_set_and_is_named() {
    let service = Service::with_crates().await;
    let missing =
        "PATCH new_crates(99999999-2222-4333-8444-555555555501) HTTP/1.1\nIf-Match: *\n\n{}";
    let operations = [create("a"), named("x", ACCOUNT), named("7", missing), create("b")];
    refused(&service, &operations, (404, "0x80040217", "7", "Does Not Exist")).await;
    assert!(labels(&service).await.is_empty());
    let bad = named("8", "POST new_crates HTTP/1.1\n\n{\"new_weight\":-1}");
    refused(&service, &[create("a"), bad], (400, "0x8004432f", "8", "")).await;
    let wrong = named("9", "POST new_crates HTTP/1.1\n\n{\"colour\":1}");
    refused(&service, &[create("a"), wrong], (400, "0x80048d19", "9", "colour")).await;
    assert!(labels(&service).await.is_empty());
    assert_eq!(service.ok("GET /accounts/$count", "").await.text, "0");
}

#[tokio::test]
async fn operations_of_many_tables_and_verbs_are_one_transaction() {
    let service = Service::with_crates().await;
    let id = service.ok("POST /new_crates", r#"{"new_label":"old"}"#).await.id();
    let gone = service.ok("POST /new_crates", r#"{"new_label":"gone"}"#).await.id();
    let kind = "\"@odata.type\":\"Microsoft.Dynamics.CRM.new_crate\"";
    let operations = [
        create("a"),
        create("b"),
        part(&format!("PATCH new_crates({id}) HTTP/1.1\nIf-Match: *\n\n{{\"new_label\":\"new\"}}")),
        part(&format!("PUT new_crates({id})/new_weight HTTP/1.1\n\n{{\"value\":5}}")),
        part(&format!("DELETE new_crates({gone}) HTTP/1.1")),
        part("PATCH new_crates(new_trackingno='T') HTTP/1.1\n\n{\"new_label\":\"up\"}"),
        part(&format!(
            "POST new_crates/Microsoft.Dynamics.CRM.CreateMultiple HTTP/1.1\n\n{{\"Targets\":[{{{kind},\"new_label\":\"m1\"}},{{{kind},\"new_label\":\"m2\"}}]}}"
        )),
        part(
            "POST new_crates HTTP/1.1\nPrefer: return=representation\n\n{\"new_label\":\"shown\"}",
        ),
    ];
    check(&service, &operations, 200, "[204, 204, 204, 204, 204, 204, 200, 201]").await;
    assert_eq!(labels(&service).await, ["a", "b", "m1", "m2", "new", "shown", "up"]);
    let got = service.ok(&format!("GET /new_crates({id})?$select=new_weight"), "").await;
    assert_eq!(got.json["new_weight"], 5);
}

#[tokio::test]
async fn a_record_may_be_changed_twice_and_keys_are_judged_in_order() {
    let service = Service::with_crates().await;
    let id = service.ok("POST /new_crates", r#"{"new_trackingno":"T1"}"#).await.id();
    let patch = |to: &str| {
        part(&format!(
            "PATCH new_crates({id}) HTTP/1.1\nIf-Match: *\n\n{{\"new_trackingno\":\"{to}\"}}"
        ))
    };
    let take = |key: &str| {
        named("2", &format!("POST new_crates HTTP/1.1\n\n{{\"new_trackingno\":\"{key}\"}}"))
    };
    check(&service, &[patch("T2"), patch("T3"), take("T1")], 200, "[204, 204, 204]").await;
    refused(&service, &[take("T1")], (412, "0x80060892", "2", "")).await;
    let twice = [part("POST new_crates HTTP/1.1\n\n{\"new_trackingno\":\"T4\"}"), take("T4")];
    refused(&service, &twice, (412, "0x80060892", "2", "")).await;
    assert_eq!(service.ok("GET /new_crates/$count", "").await.text, "2");
}

#[tokio::test]
async fn a_content_id_stands_for_the_record_of_its_operation() {
    let service = Service::with_crates().await;
    let operations = [
        named("1", ACCOUNT),
        named("h2", "POST accounts HTTP/1.1\n\n{\"name\":\"Second\"}"),
        named(
            "3",
            "POST new_crates HTTP/1.1\n\n{\"new_label\":\"$1\",\"new_Holder@odata.bind\":\"$1\"}",
        ),
        part("PATCH $3 HTTP/1.1\n\n{\"new_weight\":7}"),
        part("PUT $3/new_price HTTP/1.1\n\n{\"value\":1.25}"),
        named("4", "POST new_crates HTTP/1.1\n\n{\"new_label\":\"linked\"}"),
        part("PUT /api/data/v9.2/$4/new_Holder/$ref HTTP/1.1\n\n{\"@odata.id\":\"$h2\"}"),
        named("5", "PATCH new_crates(new_trackingno='T') HTTP/1.1\n\n{\"new_label\":\"key\"}"),
        part("PATCH $5 HTTP/1.1\n\n{\"new_weight\":9}"),
    ];
    let answer = run(&service, &operations).await;
    assert_eq!(
        summary(&answer),
        "[204, 204, 204, 204, 204, 204, 204, 204, 204]",
        "{}",
        answer.text
    );
    let page = service
        .ok(
            "GET /new_crates?$select=new_label,new_weight,new_price,_new_holder_value&$orderby=new_label\nPrefer: odata.include-annotations=\"*\"",
            "",
        )
        .await;
    assert_eq!(page.column("new_label"), ["$1", "key", "linked"]);
    assert_eq!(page.column("new_weight"), ["7", "9", "null"]);
    assert_eq!(page.column("new_price"), ["1.25", "null", "null"]);
    let holder = "_new_holder_value@OData.Community.Display.V1.FormattedValue";
    assert_eq!(page.column(holder), ["Holder", "null", "Second"]);
}

#[tokio::test]
async fn a_reference_before_its_declaration_is_refused() {
    let service = Service::with_crates().await;
    let bind = |id: &str| {
        named("2", &format!("POST new_crates HTTP/1.1\n\n{{\"new_Holder@odata.bind\":\"${id}\"}}"))
    };
    let text = "Content-ID Reference: '$1' does not exist in the batch context.";
    let want = (400, "0x80060888", "2", text);
    refused(&service, &[bind("1"), named("1", ACCOUNT)], want).await;
    refused(&service, &[named("2", "PATCH $1 HTTP/1.1\n\n{}"), named("1", ACCOUNT)], want).await;
    // A change set does not know those of another, nor a part outside those of any.
    let other = batch(&[set(&[named("1", ACCOUNT)]), set(&[bind("1")])]);
    assert_eq!(summary(&service.send(HEAD, &other).await), "[204], [400 0x80060888]");
    let outside = batch(&[set(&[named("1", ACCOUNT)]), part("DELETE $1 HTTP/1.1")]);
    assert_eq!(summary(&service.send(HEAD, &outside).await), "[204], 400 0x80060888");
}

#[tokio::test]
async fn what_a_change_set_cannot_hold_is_refused_by_name() {
    let service = Service::with_crates().await;
    let get = named("g", "GET new_crates HTTP/1.1");
    let text = "GET requests are not allowed in a change set.";
    refused(&service, &[create("a"), get], (400, "0x80060888", "g", text)).await;
    let define = named("d", "POST EntityDefinitions HTTP/1.1\n\n{}");
    refused(&service, &[create("a"), define], (501, "0x80040219", "d", "definitions")).await;
    let nested = named("n", "POST $batch HTTP/1.1\n\n{}");
    refused(&service, &[nested], (400, "0x80060888", "n", "batch")).await;
    let unknown = named("u", "POST nothings HTTP/1.1\n\n{}");
    refused(&service, &[unknown], (404, "0x80060888", "u", "nothings")).await;
    let verb = named("v", "PATCH new_crates HTTP/1.1\n\n{}");
    refused(&service, &[verb], (405, "0x80060888", "v", "PATCH")).await;
    assert!(labels(&service).await.is_empty());
}

#[tokio::test]
async fn a_failing_change_set_counts_as_one_failing_part() {
    let service = Service::with_crates().await;
    let bad = part("POST new_crates HTTP/1.1\n\n{\"colour\":1}");
    let parts = [create("a"), set(&[create("never"), bad]), create("z")];
    let answer = service.send(HEAD, &batch(&parts)).await;
    assert_eq!((answer.status.as_u16(), &*summary(&answer)), (400, "204, [400 0x80048d19]"));
    assert_eq!(labels(&service).await, ["a"]);
    let answer = service.send(CONTINUE, &batch(&parts)).await;
    assert_eq!((answer.status.as_u16(), &*summary(&answer)), (200, "204, [400 0x80048d19], 204"));
    assert_eq!(labels(&service).await, ["a", "a", "z"]);
}

#[tokio::test]
async fn the_link_of_a_lookup_is_read_set_and_cleared() {
    let service = Service::with_crates().await;
    let holder = service.ok("POST /accounts", r#"{"name":"H"}"#).await.id();
    let id = service.ok("POST /new_crates", "{}").await.id();
    let link = format!("/new_crates({id})/new_Holder/$ref");
    assert_eq!(service.send(&format!("GET {link}"), "").await.status, 204);
    for reference in [
        format!("https://sheaf.test/api/data/v9.2/accounts({holder})"),
        format!("accounts({holder})"),
    ] {
        let body = format!("{{\"@odata.context\":\"x\",\"@odata.id\":\"{reference}\"}}");
        assert_eq!(service.send(&format!("PUT {link}"), &body).await.status, 204);
        let got = service.ok(&format!("GET {link}"), "").await;
        let want = format!("https://sheaf.test/api/data/v9.2/accounts({holder})");
        assert_eq!(got.json["@odata.id"], want);
        assert_eq!(service.send(&format!("DELETE {link}"), "").await.status, 204);
        assert_eq!(service.send(&format!("GET {link}"), "").await.status, 204);
    }
    let put = format!("PUT {link}");
    service.refused(&put, "{}", (400, "0x80048d19", "@odata.id")).await;
    let foreign = format!("{{\"@odata.id\":\"new_crates({id})\"}}");
    service.refused(&put, &foreign, (400, "0x80060888", "new_Holder")).await;
    let missing = "{\"@odata.id\":\"accounts(99999999-2222-4333-8444-555555555501)\"}";
    service.refused(&put, missing, (404, "0x80040217", "Does Not Exist")).await;
    service.refused(&format!("POST {link}"), missing, (405, "0x80060888", "POST")).await;
}
