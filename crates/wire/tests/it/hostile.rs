//! Whatever the bytes are: an answer or an error, never a panic.

use super::fixture::{A, catalog, table_of};
use model::{Catalog, MessageName};
use proptest::prelude::*;
use std::sync::OnceLock;
use wire::{error_body, etag, metadata, prefer, record, reference, targets};

fn shared() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(catalog)
}

/// Gives bytes to every reader; tells whether the bulk body was refused.
fn feed(body: &[u8]) -> bool {
    let catalog = shared();
    let table = table_of(catalog, "ship_crate");
    let mut refused = true;
    for message in [
        MessageName::CreateMultiple,
        MessageName::UpdateMultiple,
        MessageName::UpsertMultiple,
        MessageName::DeleteMultiple,
    ] {
        refused &= targets::decode(body, message, &table, catalog).is_err();
    }
    drop(targets::decode_record(body, &table, catalog));
    drop(record::read_page(body, &table, catalog));
    drop(record::read_one(body, &table, catalog));
    drop(record::read_ids(body));
    drop(error_body::read(body));
    drop(metadata::decode_table(body));
    drop(metadata::decode_tables(body));
    drop(metadata::decode_column(body));
    drop(metadata::decode_key(body));
    drop(metadata::decode_relationship(body));
    drop(metadata::read_table(body));
    let text = String::from_utf8_lossy(body);
    drop(reference::parse(&text, catalog));
    drop(reference::parse_key(&text, &table, catalog));
    let _tag = etag::parse(&text);
    drop(prefer::Prefer::parse([&*text]));
    refused
}

fn valid_body() -> String {
    let item = format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.ship_crate","ship_crateid":"{A}","@odata.etag":"W/\"5\"",
        "ship_label":"a\u00e4\"b","ship_weight":12,"ship_price":10.5e1,"ship_ratio":-0.5,"ship_serial":9007199254740993,
        "ship_open":true,"ship_at":"2024-01-31T10:00:00+01:00","ship_day":"2024-01-31","ship_size":2,"ship_tags":"5,1",
        "ship_Holder@odata.bind":"/accounts(accountnumber='a''b')","ownerid@odata.bind":"teams({A})","ship_customer_account":null}}"#
    );
    format!("{{\"Targets\":[{item},{item}]}}")
}

#[test]
fn a_body_that_is_cut_anywhere_is_refused() {
    let body = valid_body();
    assert!(!feed(body.as_bytes()));
    for end in 0..body.len() {
        assert!(feed(&body.as_bytes()[..end]), "{end}");
    }
}

#[test]
fn deep_nesting_ends_in_an_error_and_not_in_the_stack() {
    let deep = 200_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nest = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        for body in [
            nest.clone(),
            open.repeat(deep),
            format!("{{\"Targets\":{nest}}}"),
            format!("{{\"Targets\":[{nest}]}}"),
            format!("{{\"Targets\":[{{\"ship_label\":{nest}}}]}}"),
            format!("{{\"Targets\":[{{\"ship_Holder\":{nest}}}]}}"),
            format!("{{\"Targets\":[],\"x\":{nest}}}"),
            format!("{{\"ConcurrencyBehavior\":{nest}}}"),
            format!("{{\"value\":{nest}}}"),
            format!("{{\"error\":{nest}}}"),
            format!("{{\"Attributes\":{nest},\"DisplayName\":{nest}}}"),
            format!("{{\"OptionSet\":{{\"Options\":{nest}}}}}"),
        ] {
            assert!(feed(body.as_bytes()));
        }
    }
}

#[test]
fn odd_bytes_are_refused_and_named() {
    let item = |value: &str| {
        format!(
            "{{\"Targets\":[{{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",\"ship_crateid\":\"{A}\",{value}}}]}}"
        )
    };
    for value in [
        "\"ship_label\":\"\\ud800\"",
        "\"ship_label\":\"\\u0000\"",
        "\"ship_label\":\"\u{0}\"",
        "\"ship_label\":\"\n\"",
        "\"ship_\\ud800\":1",
        "\"ship_weight\":1e999999999",
        "\"ship_weight\":123456789012345678901234567890",
        "\"ship_price\":1e99999999999999999999",
        "\"ship_price\":-1e-99999999999999999999x",
        "\"ship_ratio\":1e999",
        "\"ship_weight\":01",
        "\"ship_weight\":+1",
        "\"ship_weight\":NaN",
        "\"ship_weight\":.5",
        "\"ship_size\":-",
        "\"ship_label\":'x'",
    ] {
        assert!(feed(item(value).as_bytes()), "{value}");
    }
    let mut bytes = item("\"@ignored\":\"\u{7f}\"").into_bytes();
    assert!(!feed(&bytes));
    let odd = bytes.iter().position(|byte| *byte == 0x7f).unwrap();
    bytes[odd] = 0xff;
    assert!(feed(&bytes));
    let digits = "9".repeat(100_000);
    assert!(feed(item(&format!("\"ship_price\":{digits}")).as_bytes()));
    assert!(feed(item(&format!("\"ship_ratio\":{digits}")).as_bytes()));
    assert!(!feed(item(&format!("\"ship_price\":0.{digits}")).as_bytes()));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(feed(&body));
    }

    #[test]
    fn any_json_like_text_is_answered(
        body in "(\\{|\\[|\\]|\\}|,|:|\"Targets\"|\"value\"|\"@odata.type\"|\"ship_weight\"|\"a\\\\u12\"|1e9|-0|null|true|\\(|'|=){0,40}"
    ) {
        feed(body.as_bytes());
    }

    #[test]
    fn a_body_with_changed_bytes_is_answered(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)
    ) {
        let mut body = valid_body().into_bytes();
        for (place, byte) in changes {
            let place = place.index(body.len());
            body[place] = byte;
        }
        feed(&body);
    }

    #[test]
    fn any_key_text_is_answered(text in "(ship_trackingno|ship_crateid|'|''|=|,|\\(|\\)|%2|%27|5|é|/|accounts){0,12}") {
        feed(text.as_bytes());
        feed(format!("accounts({text})").as_bytes());
    }
}
