//! Records by their addresses: read, write, delete.
//!
//! In reading order: `read` (one record, a page, a count), `write` (create, PATCH, delete),
//! `property` (single values), `names` (what lookups are called), `partition` (elastic tables). Not here: bulk actions.

mod names;
mod partition;
mod property;
mod read;
mod write;

pub(crate) use names::first_name;
pub(crate) use partition::{put_session, session};
pub(crate) use property::{json, property, raw_property};
pub(crate) use read::{count, page_of};

use crate::api::{Attempt, Stop};
use crate::route::Address;
use bytes::Bytes;
use http::{Method, Response};
use model::Table;
use std::sync::Arc;

/// `/set`
pub(crate) async fn collection(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::GET => read::page(attempt, table).await,
        Method::POST => write::create(attempt, table).await,
        _ => Err(attempt.only("GET, HEAD, POST").into()),
    }
}

/// `/set(key)`
pub(crate) async fn record(
    attempt: &Attempt<'_>,
    address: &Address,
) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::GET => read::one(attempt, address).await,
        // PUT writes as PATCH does: one widely used client upserts so.
        Method::PATCH | Method::PUT => write::change(attempt, address).await,
        Method::DELETE => write::delete(attempt, address).await,
        _ => Err(attempt.only("GET, HEAD, PATCH, PUT, DELETE").into()),
    }
}
