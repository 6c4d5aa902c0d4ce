//! Single values of records: `/set(key)/name` and `/set(key)/name/$value`.
//!
//! Source: webapi.md 13.4 and 14.6. Lookups are read as `_x_value` and not written here.

use super::write::{Prepared, Shown, expected_version};
use super::{partition, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::response;
use crate::route::{Address, is_plain};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{Cell, ColumnIndex, MessageName, Target, Value};
use query::odata::{self, Options};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `/set(key)/name`
pub(crate) async fn property(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::GET => {
            let value = fetch(attempt, address, column).await?;
            if value.is_null() {
                return Ok(response::empty(StatusCode::NO_CONTENT));
            }
            let name = address.table.value_name(column);
            let mut record = String::new();
            wire::reference::write(&mut record, &address.table, &address.key);
            let body = serde_json::json!({
                "@odata.context": format!("{}$metadata#{record}/{name}", attempt.request.root),
                "value": json(&value),
            });
            Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
        }
        Method::PUT | Method::DELETE => prepare(attempt, address, column)?.run(attempt).await,
        _ => Err(attempt.only("GET, HEAD, PUT, DELETE").into()),
    }
}

/// `PUT` and `DELETE` of `/set(key)/name`
pub(crate) fn prepare(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Prepared, Problem> {
    let table = &address.table;
    // A lookup is written through its navigation property, and ids do not change.
    if !is_plain(&table.column(column).kind) || column == table.primary_key {
        return Err(attempt.only("GET, HEAD"));
    }
    let mut target = match attempt.request.method {
        Method::PUT => {
            let body: ValueBody<'_> = serde_json::from_slice(&attempt.request.body)
                .map_err(|err| payload_problem(address, err.to_string()))?;
            let name =
                serde_json::to_string(table.value_name(column)).expect("texts always serialise");
            let record = format!("{{{name}:{}}}", body.value.get());
            let catalog = &attempt.context.catalog;
            wire::targets::decode_record(record.as_bytes(), table, catalog)
                .map_err(|err| fault::of_wire(err, payload(address)))?
        }
        Method::DELETE => {
            let cells = vec![Cell { column, value: Value::Null }];
            Target { cells, ..Target::default() }
        }
        _ => return Err(attempt.only("GET, HEAD, PUT, DELETE")),
    };
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    target.key = address.key.clone();
    target.expected_version = expected_version(attempt, table)?;
    Ok(Prepared::of_one(table, MessageName::Update, target, Shown::Nothing))
}

/// `/set(key)/name/$value`
pub(crate) async fn raw_property(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Response<Bytes>, Stop> {
    if attempt.request.method != Method::GET {
        return Err(attempt.only("GET, HEAD").into());
    }
    let value = fetch(attempt, address, column).await?;
    Ok(match json(&value) {
        serde_json::Value::Null => response::empty(StatusCode::NO_CONTENT),
        serde_json::Value::String(text) => response::text(text),
        other => response::text(other.to_string()),
    })
}

/// `{"value":…}`
#[derive(Deserialize)]
struct ValueBody<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

fn payload(address: &Address) -> Payload<'_> {
    Payload::of(MessageName::Update, &address.table)
}

fn payload_problem(address: &Address, detail: String) -> Problem {
    fault::of_wire(wire::Error::NotJson { detail }, payload(address))
}

/// The value of one column of a record.
pub(super) async fn fetch(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Value, Stop> {
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    fetch_alone(attempt, address, column).await
}

/// The value of one column of a record, whatever the options of the request are for.
pub(crate) async fn fetch_alone(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Value, Stop> {
    let address = &*partition::scoped(attempt, address);
    let catalog = &attempt.context.catalog;
    let mut parsed =
        odata::parse_single(catalog, &address.table, &Options::default(), address.filter())
            .map_err(fault::of_query)?;
    parsed.query.columns = vec![query::ColumnRef::root(column)];
    let page = read::single(attempt, address, parsed.query).await?;
    page.cells.into_iter().next().ok_or_else(|| address.missing().into())
}

/// A value as JSON, in the form that records have it.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    // The digits of exact numbers stay: their text is their JSON.
    let exact = |text: String| serde_json::from_str::<Json>(&text).unwrap_or(Json::String(text));
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::from(&**text),
        Value::Integer(number) => Json::from(*number),
        Value::BigInt(number) => Json::from(*number),
        Value::Decimal(number) => exact(number.to_string()),
        Value::Double(number) => Json::from(*number),
        Value::Boolean(yes) => Json::from(*yes),
        Value::DateTime(at) => Json::from(at.to_string()),
        Value::Date(day) => Json::from(day.to_string()),
        Value::Guid(id) => Json::from(id.to_string()),
        Value::Lookup(lookup) => Json::from(lookup.id.to_string()),
        Value::Choices(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            Json::from(numbers.join(","))
        }
    }
}
