//! Records by their addresses: read, write, delete.
//!
//! In reading order: `read` (one record, a page, a count), `in_parts` (a page that is written while it is read), `children` (lists inside records),
//! `changes` (what has changed since), `write` (create, PATCH, delete),
//! `deep` (a create with what it brings along), `files` (bytes), `property` (single values), `link` (`$ref` of a lookup),
//! `members` (`$ref` of a collection), `navigate` (reading through navigation properties), `names` (what lookups are called),
//! `fetch_xml`, `apply` and `sql` (other query languages, answered by `listed`, with `below`: numbers of children),
//! `partition` (elastic tables). Not here: bulk actions.

mod apply;
mod below;
mod changes;
mod children;
mod deep;
mod fetch_xml;
pub(crate) mod files;
mod in_parts;
mod link;
mod listed;
mod members;
mod names;
mod navigate;
mod parties;
mod partition;
mod property;
mod read;
mod sql;
mod write;

pub(crate) use link::link;
pub(crate) use members::{Members, member_links, replace};
pub(crate) use names::first_name;
pub(crate) use navigate::navigated;
pub(crate) use partition::addressed;
pub(crate) use property::{fetch_alone as property_of, json, property, raw_property};
pub(crate) use read::{count, page_of};
pub(crate) use write::{Prepared, Shown};

use crate::api::{Attempt, Stop};
use crate::bulk;
use crate::fault::Problem;
use crate::route::{Address, Route};
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
        Method::POST => write::create(attempt, table)?.run(attempt).await,
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
        Method::PATCH | Method::PUT => write::change(attempt, address).await?.run(attempt).await,
        Method::DELETE => write::delete(attempt, address)?.run(attempt).await,
        _ => Err(attempt.only("GET, HEAD, PATCH, PUT, DELETE").into()),
    }
}

/// A request that writes records, understood but not run. Errors: it does something else.
///
/// Awaits a read where a link is to be taken away or an activity gets other parties, and nothing else.
pub(crate) async fn prepare(attempt: &Attempt<'_>, route: &Route) -> Result<Prepared, Stop> {
    if let Route::MemberLinks(address, members, member) = route {
        return members::prepare(attempt, address, members, member.as_ref()).await;
    }
    match route {
        Route::Record(address) if matches!(attempt.request.method, Method::PATCH | Method::PUT) => {
            write::change(attempt, address).await
        }
        _ => Ok(prepare_at_once(attempt, route)?),
    }
}

fn prepare_at_once(attempt: &Attempt<'_>, route: &Route) -> Result<Prepared, Problem> {
    let method = &attempt.request.method;
    match route {
        Route::Collection(table) if *method == Method::POST => write::create(attempt, table),
        Route::Collection(_) => Err(attempt.only("GET, HEAD, POST")),
        Route::Record(address) if *method == Method::DELETE => write::delete(attempt, address),
        Route::Record(_) => Err(attempt.only("GET, HEAD, PATCH, PUT, DELETE")),
        Route::Property(address, column) => property::prepare(attempt, address, *column),
        Route::Link(address, navigation) => link::prepare(attempt, address, navigation),
        Route::MemberLinks(..) => Err(Problem::unexpected()),
        Route::File(..) | Route::Blocks(_) => {
            Err(Problem::not_implemented("Sending and deleting files in a change set"))
        }
        Route::Members(..) => {
            Err(Problem::not_implemented("Replacing the members of a collection in a change set"))
        }
        Route::Bulk(table, message) => bulk::prepare(attempt, table, *message),
        Route::Count(_)
        | Route::RawProperty(..)
        | Route::Navigated(..)
        | Route::Service
        | Route::Model
        | Route::Function(..) => Err(attempt.only("GET, HEAD")),
        Route::Metadata(_) | Route::Operation(..) => {
            Err(Problem::not_implemented("Changing definitions in a change set"))
        }
        Route::BulkDelete => Err(Problem::not_implemented("BulkDelete in a change set")),
        Route::Share(_) | Route::Rights(..) => {
            Err(Problem::not_implemented("Changing rights in a change set"))
        }
    }
}
