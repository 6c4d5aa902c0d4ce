//! Whatever is sent, there is an answer, and a caller's mistake is never the service's.

use crate::service::{Answer, Service};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use std::sync::LazyLock;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime")
});
static SERVICE: LazyLock<Service> = LazyLock::new(|| RUNTIME.block_on(Service::with_crates()));

fn send(method: &str, target: String, headers: HeaderMap, body: Vec<u8>) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).expect("a verb");
    RUNTIME.block_on(SERVICE.raw(method, target, headers, body))
}

fn check(answer: &Answer) -> Result<(), TestCaseError> {
    let status = answer.status.as_u16();
    prop_assert!(status < 500 || status == 501, "{} {}", status, answer.text);
    if status >= 400 && !answer.text.is_empty() {
        let error = &answer.json["error"];
        prop_assert!(error["code"].as_str().is_some_and(|code| code.starts_with("0x8")));
        prop_assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    Ok(())
}

fn verb() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"])
}

/// Pieces that paths are made of, meaningful and not.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "new_crates",
            "accounts",
            "EntityDefinitions",
            "EntityDefinitions(LogicalName='new_crate')",
            "Attributes",
            "Attributes(LogicalName='new_label')",
            "Keys",
            "RelationshipDefinitions",
            "new_crates(11111111-2222-4333-8444-555555555501)",
            "new_crates(new_trackingno='x')",
            "new_crates(new_trackingno=1,a=2)",
            "new_crates(",
            "new_label",
            "$value",
            "$count",
            "$ref",
            "$metadata",
            "WhoAmI",
            "RetrieveTotalRecordCount(EntityNames=['account'])",
            "Microsoft.Dynamics.CRM.CreateMultiple",
            "Microsoft.Dynamics.CRM.UpsertMultiple",
            "Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
            "%27",
            "%",
        ])
        .prop_map(str::to_owned),
        "[ -~äß]{0,12}",
    ]
}

fn option() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "$select",
        "$filter",
        "$orderby",
        "$top",
        "$count",
        "$expand",
        "$skiptoken",
        "@p",
        "%24top",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "new_label",
            "new_label eq 'x'",
            "new_weight gt 1 and not (new_label eq null)",
            "LogicalName eq 'new_crate'",
            "Attributes($select=LogicalName)",
            "5",
            "true",
            "@p",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,16}",
    ];
    (name, value).prop_map(|(name, value)| format!("{name}={value}"))
}

fn header() -> impl Strategy<Value = (&'static str, String)> {
    let name = prop::sample::select(vec![
        "prefer",
        "if-match",
        "if-none-match",
        "content-type",
        "mscrm.sessiontoken",
        "consistency",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "*",
            "null",
            "W/\"1\"",
            "return=representation",
            "odata.include-annotations=\"*\"",
            "odata.maxpagesize=2",
            "application/json",
            "Strong",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
    ];
    (name, value)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "{}",
            r#"{"new_label":"x"}"#,
            r#"{"value":1}"#,
            r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.new_crate","new_label":"x"}]}"#,
            r#"{"SchemaName":"new_Other"}"#,
            "[[[",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn any_request_has_an_answer(
        method in verb(),
        segments in prop::collection::vec(segment(), 0..4),
        options in prop::collection::vec(option(), 0..3),
        headers in prop::collection::vec(header(), 0..3),
        body in body(),
    ) {
        let target = format!("/api/data/v9.2/{}?{}", segments.join("/"), options.join("&"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value.trim()).expect("visible ASCII");
            map.append(HeaderName::from_static(name), value);
        }
        check(&send(method, target, map, body))?;
    }

    #[test]
    fn any_target_has_an_answer(method in verb(), target in "\\PC{0,60}") {
        check(&send(method, target, HeaderMap::new(), Vec::new()))?;
    }

    #[test]
    fn any_body_of_a_bulk_action_has_an_answer(body in "[\\[\\]{}\",:@a-z_.0-9 ]{0,80}") {
        for name in ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"] {
            let target = format!("/api/data/v9.2/new_crates/Microsoft.Dynamics.CRM.{name}");
            check(&send("POST", target, HeaderMap::new(), body.clone().into_bytes()))?;
        }
    }
}
