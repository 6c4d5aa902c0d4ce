//! `$batch`: the frame, order, failures, headers.
//!
//! Source: bulk.md 5 and 12 (8), clients.md 7. Change sets have a file of their own.

use crate::service::{Answer, ORIGIN, ROOT, Service};
use expect_test::expect;
use std::sync::Arc;
use webapi::{Settings, WebApi};
use wire::batch::{Part, read_response};

pub(crate) const HEAD: &str = "POST /$batch\nContent-Type: multipart/mixed; boundary=\"b\"";
pub(crate) const CONTINUE: &str =
    "POST /$batch\nContent-Type: multipart/mixed; boundary=\"b\"\nPrefer: odata.continue-on-error";

/// A part: its request, with the line ends of a wire.
pub(crate) fn part(request: &str) -> String {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let head = "Content-Type: application/http\nContent-Transfer-Encoding: binary\n\n".to_owned()
        + head.trim_end();
    format!("{head}\n\n{body}\n").replace('\n', "\r\n")
}

/// A batch of these parts.
pub(crate) fn batch(parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b\r\n{part}")).collect();
    format!("{parts}--b--\r\n")
}

/// A part that creates a crate.
pub(crate) fn create(label: &str) -> String {
    let json = "Content-Type: application/json";
    part(&format!("POST new_crates HTTP/1.1\n{json}\n\n{{\"new_label\":\"{label}\"}}"))
}

/// Per part: the status, or those in a change set in brackets; with the first code of an error.
pub(crate) fn summary(answer: &Answer) -> String {
    let one = |it: &wire::batch::Answer<'_>| {
        let error = wire::error_body::read(it.body);
        match error.code {
            Some(code) => format!("{} {code}", it.status),
            None => it.status.to_string(),
        }
    };
    let parts = read_response(answer.header("content-type"), answer.text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {}", answer.text));
    let texts = parts.iter().map(|part| match part {
        Part::One(it) => one(it),
        Part::ChangeSet(set) => {
            format!("[{}]", set.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

pub(crate) async fn labels(service: &Service) -> Vec<String> {
    let page = service.ok("GET /new_crates?$select=new_label&$orderby=new_label", "").await;
    page.column("new_label")
}

/// The text with line ends shown and ids replaced by numbers in the order in which they occur.
pub(crate) fn readable(text: &str) -> String {
    let mut ids: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let word = rest.get(..36).filter(|word| word.parse::<model::Uuid>().is_ok());
        if let Some(id) = word {
            let place = ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                ids.push(id);
                ids.len() - 1
            });
            out.push_str(&format!("<id {place}>"));
            rest = &rest[36..];
        } else {
            out.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    assert!(!out.replace("\r\n", "").contains('\n'), "a bare LF: {out}");
    out.replace("\r\n", "\n")
}

async fn check(service: &Service, head: &str, parts: &[String], status: u16, want: &str) {
    let answer = service.send(head, &batch(parts)).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(summary(&answer), want, "{}", answer.text);
}

#[tokio::test]
async fn parts_run_in_order_until_one_fails() {
    let service = Service::with_crates().await;
    let bad = part("POST new_crates HTTP/1.1\n\n{\"colour\":1}");
    let missing =
        part("GET new_crates(99999999-2222-4333-8444-555555555501)?$select=new_label HTTP/1.1");
    let parts = [create("a"), create("b"), bad.clone(), create("c")];
    check(&service, HEAD, &parts, 400, "204, 204, 400 0x80048d19").await;
    assert_eq!(labels(&service).await, ["a", "b"]);
    check(&service, CONTINUE, &parts, 200, "204, 204, 400 0x80048d19, 204").await;
    assert_eq!(labels(&service).await, ["a", "a", "b", "b", "c"]);
    check(&service, HEAD, &[missing, create("d")], 404, "404 0x80040217").await;
    check(&service, HEAD, &[create("d"), create("e")], 200, "204, 204").await;
    let told = service.send(CONTINUE, &batch(&[create("f")])).await;
    assert_eq!(told.header("preference-applied"), "odata.continue-on-error");
}

#[tokio::test]
async fn a_part_sees_what_parts_before_it_wrote() {
    let service = Service::with_crates().await;
    let count = part("GET new_crates/$count HTTP/1.1");
    let parts = [count.clone(), create("a"), count];
    let answer = service.send(HEAD, &batch(&parts)).await;
    let parts = read_response(answer.header("content-type"), answer.text.as_bytes()).expect("read");
    let bodies: Vec<&[u8]> = parts.iter().flat_map(Part::items).map(|answer| answer.body).collect();
    assert_eq!(bodies, [&b"0"[..], b"", b"1"]);
}

#[tokio::test]
async fn the_answer_is_written_as_the_platform_writes_it() {
    let service = Service::with_crates().await;
    let body = concat!(
        "--batch_A1\r\nContent-Type: multipart/mixed; boundary=\"changeset_B1\"\r\n\r\n",
        "--changeset_B1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n",
        "Content-ID: 1\r\n\r\nPOST /api/data/v9.2/accounts HTTP/1.1\r\n",
        "Content-Type: application/json; type=entry\r\n\r\n{\"name\":\"Holder One\"}\r\n",
        "--changeset_B1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n",
        "Content-ID: 2\r\n\r\nPOST /api/data/v9.2/new_crates HTTP/1.1\r\n",
        "Content-Type: application/json; type=entry\r\n\r\n",
        "{\"new_label\":\"Crate C\",\"new_Holder@odata.bind\":\"$1\"}\r\n",
        "--changeset_B1--\r\n\r\n--batch_A1\r\nContent-Type: application/http\r\n",
        "Content-Transfer-Encoding: binary\r\n\r\n",
        "GET /api/data/v9.2/new_crates?$select=new_label&$top=1 HTTP/1.1\r\n\r\n\r\n",
        "--batch_A1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        "DELETE /api/data/v9.2/new_crates(99999999-2222-4333-8444-555555555501) HTTP/1.1\r\n\r\n",
        "\r\n--batch_A1--\r\n",
    );
    let head = "POST /$batch\nContent-Type: multipart/mixed; boundary=\"batch_A1\"\nPrefer: odata.continue-on-error";
    let answer = service.send(head, body).await;
    assert_eq!(answer.status, 200);
    let text = format!("{}\r\n{}", answer.header("content-type"), answer.text);
    let version = text.split("W/\\\"").nth(1).and_then(|rest| rest.split('\\').next());
    let version = version.expect("the version of the record");
    expect![[r#"
        multipart/mixed; boundary=batchresponse_<id 0>
        --batchresponse_<id 0>
        Content-Type: multipart/mixed; boundary=changesetresponse_<id 1>

        --changesetresponse_<id 1>
        Content-Type: application/http
        Content-Transfer-Encoding: binary
        Content-ID: 1

        HTTP/1.1 204 No Content
        OData-Version: 4.0
        Location: https://sheaf.test/api/data/v9.2/accounts(<id 2>)
        OData-EntityId: https://sheaf.test/api/data/v9.2/accounts(<id 2>)


        --changesetresponse_<id 1>
        Content-Type: application/http
        Content-Transfer-Encoding: binary
        Content-ID: 2

        HTTP/1.1 204 No Content
        OData-Version: 4.0
        Location: https://sheaf.test/api/data/v9.2/new_crates(<id 3>)
        OData-EntityId: https://sheaf.test/api/data/v9.2/new_crates(<id 3>)


        --changesetresponse_<id 1>--
        --batchresponse_<id 0>
        Content-Type: application/http
        Content-Transfer-Encoding: binary

        HTTP/1.1 200 OK
        Content-Type: application/json; odata.metadata=minimal; odata.streaming=true
        OData-Version: 4.0

        {"@odata.context":"https://sheaf.test/api/data/v9.2/$metadata#new_crates(new_label)","value":[{"@odata.etag":"W/\"<version>\"","new_label":"Crate C","new_crateid":"<id 3>"}]}
        --batchresponse_<id 0>
        Content-Type: application/http
        Content-Transfer-Encoding: binary

        HTTP/1.1 404 Not Found
        REQ_ID: <id 4>
        Content-Type: application/json; odata.metadata=minimal
        OData-Version: 4.0

        {"error":{"code":"0x80040217","message":"new_crate With Id = <id 5> Does Not Exist"}}
        --batchresponse_<id 0>--
    "#]]
    .assert_eq(&readable(&text.replace(version, "<version>")));
    for name in ["x-ms-dop-hint", "x-ms-ratelimit-burst-remaining-xrm-requests", "odata-version"] {
        assert!(!answer.header(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_dialects_of_clients_are_taken() {
    let service = Service::with_crates().await;
    service.ok("POST /new_crates", r#"{"new_label":"a b"}"#).await;
    let get = format!("GET {ORIGIN}{ROOT}/new_crates?$filter=new_label eq 'a b' HTTP/1.1");
    let mime = "Content-Type: application/http\nContent-Transfer-Encoding:binary";
    let crlf = |text: String| text.replace('\n', "\r\n");
    let quoted = "boundary=\"b 1\"";
    for (boundary, body) in [
        (quoted, crlf(format!("--b 1\n{mime}\n\n{get}\n\n\n--b 1--\n"))),
        // The body begins with a line end; one GET, as of an address that is too long to be sent.
        (
            "boundary=x",
            crlf(format!("\n--x\n{mime}\n\n{get}\nAccept: application/json\n\n\n--x--\n")),
        ),
        // LF alone, and an empty line more.
        (quoted, format!("--b 1\n{mime}\n\n\n{get}\nAccept: application/json\n\n\n--b 1--\n")),
        ("boundary=x", format!("--x\n{mime}\n\n{get}\n\n--x-- ")),
        ("charset=utf-8;boundary=x", crlf(format!("--x\n{mime}\n\n{get}\n--x--"))),
    ] {
        let head = format!("POST /$batch\nContent-Type: multipart/mixed;{boundary}");
        let answer = service.send(&head, &body).await;
        assert_eq!((answer.status.as_u16(), &*summary(&answer)), (200, "200"), "{body}");
        assert!(answer.text.contains("\"new_label\":\"a b\""), "{}", answer.text);
        assert!(answer.text.starts_with("--batchresponse_"), "{}", answer.text);
    }
    let body = "--x\nContent-Type: application/http\n\nPOST /api/data/v9.2/new_crates HTTP/1.1\nContent-Type: application/json\n\n\n{\"new_label\":\"lf\"}\n--x--\n";
    let answer =
        service.send("POST /$batch\nContent-Type: multipart/mixed; boundary=x", body).await;
    assert_eq!(summary(&answer), "204");
}

#[tokio::test]
async fn a_frame_that_is_not_in_order_runs_nothing() {
    let service = Service::with_crates().await;
    let good = create("never");
    let nested = "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d--\r\n--c--\r\n";
    for (body, piece) in [
        (String::new(), "does not occur"),
        ("--b--\r\n".to_owned(), "no part"),
        (format!("--b\r\n{good}"), "closing delimiter"),
        (batch(&[good.clone(), "x\r\n".to_owned()]), "headers of a part"),
        (batch(&[good.clone(), "\r\nGET a HTTP/1.1\r\n\r\n".to_owned()]), "application/http"),
        (batch(&[good.clone(), part("GET accounts")]), "no request line"),
        (batch(&[good.clone(), part("GET accounts HTTP/2")]), "no request line"),
        (batch(&[good.clone(), nested.to_owned()]), "change set"),
    ] {
        let want = (400, "0x80048d19", piece);
        service.refused(HEAD, &body, want).await;
        service.refused(CONTINUE, &body, want).await;
    }
    let no_boundary = "POST /$batch\nContent-Type: multipart/mixed";
    service
        .refused(no_boundary, &batch(std::slice::from_ref(&good)), (400, "0x80048d19", "boundary"))
        .await;
    let twice = "Content-ID: 1\r\n".to_owned() + &good;
    let want = (400, "0x80060888", "found more than once");
    service.refused(HEAD, &batch(&[twice.clone(), twice]), want).await;
    service.refused("GET /$batch", "", (405, "0x80060888", "GET")).await;
    assert!(labels(&service).await.is_empty());
}

#[tokio::test]
async fn more_than_a_thousand_operations_run_none() {
    let service = Service::with_crates().await;
    let who = part("GET WhoAmI HTTP/1.1");
    let most = vec![who.clone(); 1_000];
    assert_eq!(service.send(HEAD, &batch(&most)).await.status, 200);
    let mut over = vec![create("never")];
    over.extend(most);
    let head = "POST /$batch\nContent-Type: multipart/mixed; boundary=b\nPrefer: odata.include-annotations=\"*\"";
    let answer = service.send(head, &batch(&over)).await;
    let error = &answer.json["error"];
    assert_eq!((answer.status.as_u16(), error["code"].as_str()), (400, Some("0x80040203")));
    assert_eq!(error["@Microsoft.PowerApps.CDS.ErrorDetails.MaxBatchSize"], "1000");
    let text = "The number of operations in the batch exceeds the maximum allowed of 1000.";
    assert_eq!(error["message"], text);
    assert!(labels(&service).await.is_empty());
}

#[tokio::test]
async fn headers_of_the_batch_hold_only_where_the_contract_says_so() {
    let service = Service::with_crates().await;
    let made = create("a");
    let want = "return=representation";
    let head =
        format!("{HEAD}\nPrefer: {want}\nIf-Match: \"x\"\nMSCRM.Unknown: 1\nContent-Language: de");
    check(&service, &head, std::slice::from_ref(&made), 200, "204").await;
    let own = made.replace("Content-Type: application/json", "Prefer: return=representation");
    check(&service, HEAD, &[own], 200, "201").await;
    let unknown = made.replace("Content-Type: application/json", "MSCRM.Unknown: 1");
    check(&service, HEAD, &[unknown], 501, "501 0x80040219").await;
    let caller = format!("{HEAD}\nCallerObjectId: 11111111-2222-4333-8444-555555555501");
    check(&service, &caller, std::slice::from_ref(&made), 403, "403 0x80072560").await;
    check(&service, &format!("{HEAD}\nIf-None-Match: null"), &[made], 200, "204").await;
}

#[tokio::test]
async fn parts_may_be_bulk_messages_definitions_and_long_reads() {
    let service = Service::with_crates().await;
    let kind = "\"@odata.type\":\"Microsoft.Dynamics.CRM.new_crate\"";
    let bulk = part(&format!(
        "POST new_crates/Microsoft.Dynamics.CRM.CreateMultiple HTTP/1.1\n\n{{\"Targets\":[{{{kind}}},{{{kind}}}]}}"
    ));
    let definition =
        part("GET EntityDefinitions(LogicalName='new_crate')?$select=LogicalName HTTP/1.1");
    let nested = part("POST $batch HTTP/1.1\nContent-Type: multipart/mixed; boundary=c\n\n--c--");
    let parts = [bulk, definition, nested];
    check(&service, HEAD, &parts, 400, "200, 200, 400 0x80060888").await;
    let filter = |count: usize| {
        let label = "x".repeat(count);
        part(&format!("GET new_crates?$select=new_label&$filter=new_label eq '{label}' HTTP/1.1"))
    };
    check(&service, HEAD, &[filter(60_000)], 200, "200").await;
    check(&service, HEAD, &[filter(66_000)], 414, "414 0x80060888").await;
}

#[tokio::test]
async fn the_annotations_of_an_error_are_those_that_the_part_asks_for() {
    let service = Service::with_crates().await;
    let plain = part("DELETE new_crates(99999999-2222-4333-8444-555555555501) HTTP/1.1");
    let asked = part(
        "DELETE new_crates(99999999-2222-4333-8444-555555555501) HTTP/1.1\nPrefer: odata.include-annotations=\"*\"",
    );
    let both = format!("{CONTINUE},odata.include-annotations=\"*\"");
    let answer = service.send(&both, &batch(&[plain, asked])).await;
    let parts = read_response(answer.header("content-type"), answer.text.as_bytes()).expect("read");
    let counts: Vec<bool> = parts
        .iter()
        .flat_map(Part::items)
        .map(|one| wire::error_body::read(one.body).annotations.is_empty())
        .collect();
    assert_eq!(counts, [true, false]);
}

#[tokio::test]
async fn after_too_many_bytes_of_answers_no_further_part_is_run() {
    let mut service = Service::with_crates().await;
    let settings = Settings { batch_answers_bytes_max: 1_000, ..Settings::default() };
    service.api = WebApi::new(Arc::clone(&service.pipeline), settings);
    let who = part("GET WhoAmI HTTP/1.1");
    let many = vec![who.clone(); 10];
    let answer = service.send(CONTINUE, &batch(&many)).await;
    let text = summary(&answer);
    assert!(text.starts_with("200, ") && text.ends_with(", 413 0x8004418a"), "{text}");
    check(&service, HEAD, &[who.clone(), who], 200, "200, 200").await;
}
