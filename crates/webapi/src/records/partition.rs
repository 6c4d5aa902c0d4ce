//! Partitions of elastic tables: where they are given, and what they do to reads and addresses.
//!
//! Source: bulk.md 7.2, 7.5 and 7.9. The parameter `partitionId` counts on reads and deletes; writes
//! of values name the partition in the key or in the body. With key and parameter, the key wins.
//! Not here: what a partition may be called (`pipeline`).

use crate::api::Attempt;
use crate::fault::Problem;
use crate::response;
use crate::route::Address;
use bytes::Bytes;
use http::Response;
use http::header::HeaderName;
use model::{Table, TableKind, Target, TargetKey, Uuid, Value, partition};
use pipeline::{Message, Read};
use std::borrow::Cow;
use wire::headers;

/// The query option that names a partition; dynamics-web-api spells it in lower case.
const PARAMETERS: [&str; 2] = ["partitionId", "partitionid"];

/// The partition in the address, with or without quotes.
fn parameter<'a>(attempt: &'a Attempt<'_>) -> Option<Cow<'a, str>> {
    let given = PARAMETERS.iter().find_map(|name| attempt.request.options.get(name))?;
    let inner = given.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let text = match inner {
        Some(inner) => Cow::Owned(inner.replace("''", "'")),
        None => Cow::Borrowed(given),
    };
    (!text.is_empty()).then_some(text)
}

/// The record that an address and the partition beside it name: for reads and deletes.
pub(super) fn scoped<'a>(attempt: &Attempt<'_>, address: &'a Address) -> Cow<'a, Address> {
    let table = &address.table;
    match (partition::parts(table, &address.key), parameter(attempt)) {
        (Some((id, None)), Some(name)) if table.kind == TableKind::Elastic => {
            let key = partition::key(table, id, Some(&name));
            Cow::Owned(Address { table: table.clone(), key })
        }
        _ => Cow::Borrowed(address),
    }
}

/// The read of one record: in its partition where it has one.
pub(super) fn read_one(address: &Address, read: Read) -> Message {
    let named = match address.table.kind {
        TableKind::Elastic => partition::parts(&address.table, &address.key),
        TableKind::Standard => None,
    };
    match named {
        Some((_, Some(name))) => Message::ReadPartition(read, name.into()),
        // Without a partition, the text of the id is the name of the record's own one.
        Some((id, None)) => Message::ReadPartition(read, id.to_string().into()),
        None => Message::Read(read),
    }
}

/// The read of many records: of one partition where the address names one.
pub(super) fn read_many(attempt: &Attempt<'_>, read: Read) -> Message {
    match parameter(attempt) {
        Some(name) if read.query.table.kind == TableKind::Elastic => {
            Message::ReadPartition(read, name.as_ref().into())
        }
        _ => Message::Read(read),
    }
}

/// The address of a record that a body was written to: with the partition that the body names.
pub(super) fn written(address: &Address, id: Uuid, in_body: Option<&str>) -> Address {
    let table = &address.table;
    match partition::parts(table, &address.key) {
        Some((_, Some(_))) => address.clone(),
        _ => Address { table: table.clone(), key: partition::key(table, id, in_body) },
    }
}

/// The partition among the values of a target.
pub(super) fn of_target(table: &Table, target: &Target) -> Option<Box<str>> {
    let column = partition::column(table)?;
    target.cells.iter().find(|cell| cell.column == column).and_then(|cell| match &cell.value {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    })
}

/// What names the record of a target: its key, with the partition among its values.
pub(crate) fn addressed(table: &Table, target: &Target) -> TargetKey {
    match (partition::parts(table, &target.key), of_target(table, target)) {
        (Some((id, None)), Some(name)) => partition::key(table, id, Some(&name)),
        _ => target.key.clone(),
    }
}

/// Tells the state behind a write to an elastic table, for reads that must see it.
pub(super) fn put_session(attempt: &Attempt<'_>, table: &Table, response: &mut Response<Bytes>) {
    if let Some(token) = session(attempt, table) {
        let name = HeaderName::from_static(headers::ELASTIC_SESSION_TOKEN);
        response::put(response, name, &token);
    }
}

/// The token of the state behind the last write: range, version, sequence, region; opaque to callers.
pub(super) fn session(attempt: &Attempt<'_>, table: &Table) -> Option<String> {
    match table.kind {
        TableKind::Standard => None,
        TableKind::Elastic => {
            attempt.pipeline.elastic_version().map(|version| format!("0:1#{version}#1={version}"))
        }
    }
}

/// Elastic tables answer no query that reaches into other tables.
pub(super) fn refuse_links(attempt: &Attempt<'_>, table: &Table) -> Result<(), Problem> {
    if table.kind == TableKind::Standard {
        return Ok(());
    }
    let options = &attempt.request.options;
    let reaches = |name| options.get(name).is_some_and(has_path);
    if options.get("$expand").is_some() || reaches("$filter") || reaches("$orderby") {
        return Err(Problem::no_links());
    }
    Ok(())
}

/// Whether an expression holds a path through a navigation property: a slash outside of quotes.
fn has_path(expression: &str) -> bool {
    expression.split('\'').step_by(2).any(|outside| outside.contains('/'))
}
