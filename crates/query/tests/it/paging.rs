//! The page token: it survives what callers do to it, and nothing else passes for one.

use crate::sample;
use model::{Date, Decimal, Timestamp, Uuid, Value};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use query::Page;
use query::odata::{self, Options, Parsed};

fn parse(raw: &str) -> Result<Parsed, query::Error> {
    let (catalog, table) = sample::catalog();
    odata::parse(&catalog, &table, &Options::parse(raw)?)
}

/// The token after a page of one row, in which these columns have these values.
fn token(raw: &str, values: &[(&str, Value)]) -> String {
    let parsed = parse(raw).expect(raw);
    let table = &parsed.query.table;
    let cells = parsed.query.columns.iter().map(|column| {
        let name = table.value_name(column.column);
        let given = values.iter().find(|(known, _)| *known == name);
        given.map_or(Value::Null, |(_, value)| value.clone())
    });
    let page = Page { cells: cells.collect(), rows: 1, more: true, count: None };
    parsed.next_token(&page).expect("more rows")
}

const ID: Uuid = Uuid::from_u128(0x0a7de3f2_8c11_4f1c_9e35_5f4d1b1f7a10);
const OPTIONS: &str = "$select=size&$orderby=name desc,weight";

fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("thingid", Value::Guid(ID)),
        ("name", Value::text("a+b/c \"<&%'ß")),
        ("weight", Value::Decimal(Decimal::new(-125, 2))),
    ]
}

fn after(raw: &str) -> Result<Vec<Value>, query::Error> {
    Ok(parse(raw)?.query.paging.after.expect("a token"))
}

#[test]
fn a_token_has_the_documented_shape() {
    let decoded = percent_decode_str(&token(OPTIONS, &values())).decode_utf8_lossy().into_owned();
    assert!(
        decoded.starts_with("<cookie pagenumber=\"2\" pagingcookie=\"%3Ccookie%20page=%221%22")
    );
    assert!(decoded.ends_with("\" istracking=\"False\" />"), "{decoded}");
    let inner = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
    let tail = format!("<thingid last=\"{{{ID}}}\" first=\"{{{ID}}}\" /></cookie>");
    assert!(inner.contains(&tail), "{inner}");
}

#[test]
fn a_token_survives_what_callers_do_to_it() {
    let token = token(OPTIONS, &values());
    let want: Vec<Value> = ["name", "weight", "thingid"]
        .iter()
        .filter_map(|name| values().into_iter().find(|(known, _)| known == name))
        .map(|(_, value)| value)
        .collect();
    let decoded = percent_decode_str(&token).decode_utf8_lossy().into_owned();
    let manglings = [
        token.clone(),
        format!("{token}/"),
        utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string().replace("%20", "+"),
        token.replace("%3C", "%3c").replace("%3E", "%3e"),
        utf8_percent_encode(&percent_decode_str(&decoded).decode_utf8_lossy(), NON_ALPHANUMERIC)
            .to_string(),
    ];
    for mangled in manglings {
        let raw = format!("{OPTIONS}&$skiptoken={mangled}");
        assert_eq!(after(&raw), Ok(want.clone()), "{mangled}");
    }
}

#[test]
fn a_token_carries_page_number_and_size() {
    let (catalog, table) = sample::catalog();
    let mut options = Options::parse(OPTIONS).expect("options");
    options.page_size = Some(7);
    let first = odata::parse(&catalog, &table, &options).expect("first page");
    let width = first.query.columns.len();
    let mut cells = vec![Value::Null; width];
    cells[first.key_place] = Value::Guid(ID);
    let page = Page { cells, rows: 1, more: true, count: None };
    let token = first.next_token(&page).expect("more");
    let second = parse(&format!("{OPTIONS}&$skiptoken={token}")).expect("second page");
    assert_eq!((second.page_number, second.query.paging.size), (2, 7));
    let end = Page { more: false, ..page };
    assert_eq!(second.next_token(&end), None);
}

#[test]
fn a_token_of_another_query_is_refused() {
    let token = token(OPTIONS, &values());
    for other in ["$orderby=name,weight", "$orderby=name desc", "", "$orderby=name desc,target"] {
        let raw = format!("{other}&$skiptoken={token}");
        assert_eq!(after(&raw), Err(query::Error::BadSkipToken), "{other}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for text in ["", "x", "<cookie/>", "<cookie pagenumber=\"2\" pagingcookie=\"\" />", "%25%25"] {
        assert_eq!(after(&format!("$skiptoken={text}")), Err(query::Error::BadSkipToken), "{text}");
    }
}

fn any_value() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        "\\PC{1,20}".prop_map(|text| ("name", Value::text(text))),
        any::<i32>().prop_map(|number| ("size", Value::Integer(number))),
        any::<i64>().prop_map(|number| ("big", Value::BigInt(number))),
        (-9_999_999i64..9_999_999)
            .prop_map(|number| ("weight", Value::Decimal(Decimal::new(number, 2)))),
        (-1e10f64..1e10).prop_map(|number| ("ratio", Value::Double(number))),
        any::<bool>().prop_map(|yes| ("done", Value::Boolean(yes))),
        (Timestamp::MIN.0..=Timestamp::MAX.0)
            .prop_map(|second| ("at", Value::DateTime(Timestamp(second)))),
        (0i32..20_000).prop_map(|day| ("day", Value::Date(Date(day)))),
        Just(("size", Value::Null)),
    ]
}

proptest! {
    #[test]
    fn a_token_carries_every_kind_of_value((name, value) in any_value(), id in any::<u128>()) {
        let id = Value::Guid(Uuid::from_u128(id));
        let options = format!("$orderby={name}");
        let token = token(&options, &[("thingid", id.clone()), (name, value.clone())]);
        prop_assert_eq!(after(&format!("{options}&$skiptoken={token}")), Ok(vec![value, id]));
    }

    #[test]
    fn a_damaged_token_is_refused_or_reads_as_some_row(place in 0usize..400, with in "[ -~]") {
        let token = token(OPTIONS, &values());
        let mut text: Vec<char> = token.chars().collect();
        let place = place % text.len();
        text[place] = with.chars().next().expect("one");
        let text: String = text.into_iter().filter(|part| *part != '&').collect();
        drop(after(&format!("{OPTIONS}&$skiptoken={text}")));
    }
}
