//! The client's specification: each answer and what it means.

use super::*;
use bytes::Bytes;

fn answer(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
    Response { status, headers: Vec::new(), body: Bytes::from(body) }
}

/// One word for a verdict, with what matters of it.
fn word(verdict: &Verdict) -> String {
    let places = |failing: &[Failing]| {
        let shown = failing.iter().map(|item| {
            let column = item.problem.column.as_deref().unwrap_or("-");
            format!("{}:{}:{column}", item.place, item.problem.class.as_str())
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    let time = |after: &Option<Duration>| {
        after.map_or(String::new(), |after| format!(" {}s", after.as_secs()))
    };
    match verdict {
        Verdict::Done => "done".to_owned(),
        Verdict::Partly(failing) => format!("partly {}", places(failing)),
        Verdict::Halve(_) => "halve".to_owned(),
        Verdict::TooBig(_) => "too big".to_owned(),
        Verdict::SlowDown { after, limit, .. } => {
            format!(
                "slow down{}{}",
                time(after),
                match limit {
                    Limit::Unsaid => "",
                    Limit::Requests => " requests",
                    Limit::Time => " time",
                    Limit::Concurrency => " concurrency",
                }
            )
        }
        Verdict::Again { why, after, .. } => format!("again {why:?}{}", time(after)),
        Verdict::Unknown { why, after, .. } => format!("unknown {why:?}{}", time(after)),
        Verdict::Rejected { problem, failing, alike } => {
            let alike = if *alike { " alike" } else { "" };
            format!("rejected {}{alike} {}", problem.class.as_str(), places(failing))
        }
        Verdict::Unavailable(_) => "unavailable".to_owned(),
        Verdict::Stop(_) => "stop".to_owned(),
    }
}

fn judged(operation: Operation, rows: usize, response: Response) -> String {
    let sent = Sent { operation, rows, is_bulk: operation != Operation::Delete };
    word(&judge(sent, &Ok(response))).trim_end().to_owned()
}

fn check(status: u16, code: &str, message: &str, want: &str) {
    let got = judged(Operation::Create, 1_000, answer(status, code, message));
    assert_eq!(got, want, "{status} {code} {message}");
}

#[test]
fn every_answer_has_its_verdict() {
    check(200, "", "", "done");
    check(204, "", "", "done");
    check(429, "0x80072322", "Number of requests exceeded", "slow down requests");
    check(429, "0x80072326", "Number of concurrent requests", "slow down concurrency");
    check(429, "", "", "slow down");
    check(400, "0x80072321", "Combined execution time", "slow down time");
    check(503, "0x8004a001", "busy", "again Busy");
    check(503, "", "", "unknown Busy");
    check(502, "", "", "unknown Busy");
    check(504, "", "", "unknown Busy");
    check(500, "", "", "unknown Busy");
    check(500, "0x80044150", "Generic SQL error. Sql Number: 1205", "again Deadlock");
    check(500, "0x80044150", "Generic SQL error. Sql Number: 3732", "again SetUp");
    check(500, "0x80044150", "Generic SQL error. Sql Number: 2812, and so on", "again SetUp");
    check(500, "0x80044150", "Generic SQL error. Sql Number: 12053", "rejected rejected");
    check(500, "0x80044150", "Generic SQL error.", "rejected rejected");
    check(500, "0x80040255", "already been rolled back", "again Deadlock");
    check(500, "0x80044339", "lock", "again Deadlock");
    check(400, "0x80048105", "concurrent", "again ConcurrentResult");
    check(500, "0x80044151", "SQL timeout expired", "halve");
    check(413, "0x8004418a", "too large", "too big");
    check(413, "", "", "too big");
    check(400, "0x80040216", "Message size exceeded when sending context", "too big");
    check(400, "0x80040216", "System.ArgumentException", "rejected rejected");
    check(401, "", "", "stop");
    check(403, "0x80040220", "missing prvCreate", "rejected access alike");
    check(501, "0x80040219", "not yet been implemented", "unavailable");
    check(
        400,
        "0x80040203",
        "The message 'CreateMultiple' is not supported for entity 'x'.",
        "unavailable",
    );
    check(
        404,
        "0x80060888",
        "Resource not found for the segment 'xs'.",
        "rejected unsupported alike",
    );
    check(
        404,
        "0x80060888",
        "Resource not found for the segment 'Microsoft.Dynamics.CRM.CreateMultiple'.",
        "unavailable",
    );
    check(
        412,
        "0x80040237",
        "A record with matching key values already exists.",
        "rejected rejected",
    );
    check(400, "0x80048d19", "The property 'p' does not exist", "rejected rejected");
}

#[test]
fn a_blamed_row_is_found_in_the_text_and_in_our_services_list() {
    check(
        400,
        "0x80044331",
        "The length [Targets[731].ship_weight] | sheaf: shorten it",
        "rejected rejected 731:rejected:ship_weight",
    );
    check(400, "0x80044331", "text [Targets[7]]", "rejected rejected 7:rejected:-");
    check(400, "0x80044331", "text [Targets[1000]]", "rejected rejected");
    check(400, "0x80044331", "text [Targets[x]]", "rejected rejected");
    let listed = |list: &str| {
        let body = serde_json::json!({"error": {
            "code": "0x80044331",
            "message": "text [Targets[3].a]",
            "@Sheaf.Failures": list,
        }});
        let response = answer(400, "", "");
        judged(Operation::Create, 10, Response { body: body.to_string().into(), ..response })
    };
    assert_eq!(
        listed(
            r#"[{"index":5,"column":"b","code":"0x80040237","message":"m"},{"index":3,"column":"a"},{"index":99}]"#
        ),
        "rejected rejected 3:rejected:a 5:rejected:b"
    );
    assert_eq!(listed("broken"), "rejected rejected 3:rejected:a");
    assert_eq!(listed("[]"), "rejected rejected 3:rejected:a");
}

#[test]
fn an_elastic_answer_blames_rows_one_by_one() {
    let details = |text: &str| {
        let body = serde_json::json!({"error": {
            "code": "0x80048d0b",
            "message": "One or more operations failed",
            "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails": text,
        }});
        let response = answer(400, "", "");
        judged(Operation::Create, 4, Response { body: body.to_string().into(), ..response })
    };
    assert_eq!(
        details(
            r#"[{"RequestIndex":0,"Id":"x","StatusCode":201},{"RequestIndex":2,"StatusCode":409},{"RequestIndex":3,"StatusCode":429}]"#
        ),
        "partly 2:rejected:- 3:busy:-"
    );
    assert_eq!(details("?"), "unknown Busy");
}

#[test]
fn a_missing_record_is_told_apart_for_deletes_and_updates() {
    let gone = || answer(404, "0x80040217", "contact With Id = x Does Not Exist");
    assert_eq!(judged(Operation::Delete, 1, gone()), "rejected absent");
    assert_eq!(judged(Operation::Update, 1, gone()), "rejected absent");
    assert_eq!(judged(Operation::Create, 1, gone()), "rejected rejected");
    assert_eq!(judged(Operation::Delete, 1, answer(404, "", "")), "rejected absent");
}

#[test]
fn the_wait_is_read_from_seconds_and_from_a_date() {
    let waits = |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let response = Response { headers: headers.collect(), ..answer(429, "", "") };
        judged(Operation::Create, 1, response)
    };
    assert_eq!(waits(&[("retry-after", "37")]), "slow down 37s");
    assert_eq!(
        waits(&[
            ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]),
        "slow down 30s"
    );
    assert_eq!(waits(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), "slow down");
    assert_eq!(waits(&[("retry-after", "soon")]), "slow down");
}

#[test]
fn no_answer_is_certain_only_when_nothing_was_sent() {
    let sent = Sent { operation: Operation::Create, rows: 2, is_bulk: true };
    let word = |error| word(&judge(sent, &Err(error)));
    assert_eq!(word(transport::Error::Unsent("refused".to_owned())), "again Network");
    assert_eq!(word(transport::Error::Lost("reset".to_owned())), "unknown Network");
}

#[test]
fn a_single_request_that_is_not_supported_is_rejected() {
    let sent = Sent { operation: Operation::Create, rows: 1, is_bulk: false };
    let verdict = judge(sent, &Ok(answer(501, "0x80040219", "no")));
    assert_eq!(word(&verdict).trim_end(), "rejected unsupported alike");
}
