//! The link of a lookup: `/set(key)/nav/$ref`. Setting it is an update of the lookup.
//!
//! Source: webapi.md 19, clients.md 4.8. Not here: links of collections (`members`).

use super::property;
use super::write::{Prepared, Shown, expected_version};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::response;
use crate::route::Address;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{MessageName, TargetKey, Value};
use serde::Deserialize;
use serde_json::json;

/// `/set(key)/nav/$ref`
pub(crate) async fn link(
    attempt: &Attempt<'_>,
    address: &Address,
    navigation: &str,
) -> Result<Response<Bytes>, Stop> {
    if attempt.request.method != Method::GET {
        return prepare(attempt, address, navigation)?.run(attempt).await;
    }
    let Some((column, _)) = address.table.navigation(navigation) else {
        return Err(Problem::no_segment(navigation).into());
    };
    let value = property::fetch(attempt, address, column).await?;
    let Value::Lookup(lookup) = value else { return Ok(response::empty(StatusCode::NO_CONTENT)) };
    let Some(table) = attempt.context.catalog.table_by_id(lookup.table) else {
        return Err(Stop::Stale);
    };
    let root = &attempt.request.root;
    let of = Address { table: table.clone(), key: TargetKey::Id(lookup.id) };
    let body = json!({
        "@odata.context": format!("{root}$metadata#$ref"),
        "@odata.id": of.absolute(root),
    });
    Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
}

/// `{"@odata.id":"accounts(…)"}`
#[derive(Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "@odata.id")]
    pub(super) id: String,
}

impl Reference {
    /// Reads the body of a request that links.
    pub(super) fn read(attempt: &Attempt<'_>, payload: Payload<'_>) -> Result<Self, Problem> {
        serde_json::from_slice(&attempt.request.body).map_err(|err| {
            fault::of_wire(wire::Error::NotJson { detail: err.to_string() }, payload)
        })
    }
}

/// `PUT` and `DELETE` of `/set(key)/nav/$ref`
pub(super) fn prepare(
    attempt: &Attempt<'_>,
    address: &Address,
    navigation: &str,
) -> Result<Prepared, Problem> {
    let table = &address.table;
    let payload = Payload::of(MessageName::Update, table);
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let to = match attempt.request.method {
        Method::PUT => serde_json::Value::from(Reference::read(attempt, payload)?.id),
        Method::DELETE => serde_json::Value::Null,
        _ => return Err(attempt.only("GET, HEAD, PUT, DELETE")),
    };
    let record = json!({ format!("{navigation}@odata.bind"): to }).to_string();
    let catalog = &attempt.context.catalog;
    let mut target = wire::targets::decode_record(record.as_bytes(), table, catalog)
        .map_err(|err| fault::of_wire(err, payload))?;
    target.key = address.key.clone();
    target.expected_version = expected_version(attempt, table)?;
    Ok(Prepared::of_one(table, MessageName::Update, target, Shown::Nothing))
}
