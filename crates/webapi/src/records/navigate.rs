//! Reading through a navigation property: `/set(key)/nav`, `/nav/$count`, `/nav/$ref`, `/nav/column`.
//!
//! A single-valued one is read as the record that it points to; a list is read as the records of its table
//! whose lookup points to the record. Source: query.md A10, webapi.md 13.
//! Not here: writing through them.

use super::{property, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::response;
use crate::route::{Address, Behind, Navigation};
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{MessageName, TargetKey, Value};
use query::odata::{self, List, Within};
use std::sync::Arc;

/// `/set(key)/nav…`
pub(crate) async fn navigated(
    attempt: &Attempt<'_>,
    address: &Address,
    navigation: &Navigation,
) -> Result<Response<Bytes>, Stop> {
    let (table, catalog) = (&address.table, &attempt.context.catalog);
    if let Some((column, _)) = table.navigation(&navigation.name) {
        let value = property::fetch_alone(attempt, address, column).await?;
        let Value::Lookup(lookup) = value else {
            return Ok(response::empty(StatusCode::NO_CONTENT));
        };
        let Some(table) = catalog.table_by_id(lookup.table) else { return Err(Stop::Stale) };
        let of = Address { table: Arc::clone(table), key: TargetKey::Id(lookup.id) };
        return match &navigation.wanted {
            Behind::Property(name) => {
                let column = table.index_of_value(name);
                let column = column.ok_or_else(|| Problem::no_segment(name))?;
                property::property(attempt, &of, column).await
            }
            Behind::Itself | Behind::Count | Behind::Links | Behind::Record(_) => {
                read::one(attempt, &of).await
            }
        };
    }
    let list = odata::list_of(catalog, table, &navigation.name);
    let list = list.ok_or_else(|| Problem::no_segment(&navigation.name))?;
    records(attempt, address, list, navigation).await
}

/// What is wanted of the records of a list.
async fn records(
    attempt: &Attempt<'_>,
    address: &Address,
    list: List,
    navigation: &Navigation,
) -> Result<Response<Bytes>, Stop> {
    let (catalog, options) = (&attempt.context.catalog, &attempt.request.options);
    let table = Arc::clone(&list.table);
    let path = |end: &str| {
        let mut path = String::new();
        wire::reference::write(&mut path, &address.table, &address.key);
        format!("{path}/{}{end}", navigation.name)
    };
    // 404 where the record is not there.
    let key = property::fetch_alone(attempt, address, address.table.primary_key).await?;
    let Some(parent) = key.as_id() else { return Err(address.missing().into()) };
    let within = Within { list, parent: Arc::clone(&address.table), id: parent };
    match &navigation.wanted {
        Behind::Count => {
            let parsed = odata::parse_count(catalog, &table, options, Some(&within));
            read::number(attempt, parsed.map_err(fault::of_query)?).await
        }
        Behind::Record(key) => {
            let payload = Payload::of(MessageName::Retrieve, &table);
            let key = wire::reference::parse_key(key, &table, catalog)
                .map_err(|err| fault::of_wire(err, payload))?;
            let of = Address { table, key };
            let member = odata::parse_member(catalog, &within, of.filter());
            let member = member.map_err(fault::of_query)?;
            if read::many(attempt, member.query).await?.rows == 0 {
                return Err(of.missing().into());
            }
            read::one(attempt, &of).await
        }
        Behind::Links => links(attempt, &within, &path("/$ref")).await,
        Behind::Itself | Behind::Property(_) => {
            odata::refuse_many(options).map_err(fault::of_query)?;
            let parsed = odata::parse_within(catalog, &table, options, Some(&within));
            let parsed = parsed.map_err(fault::of_query)?;
            read::list(attempt, &parsed, &path("")).await
        }
    }
}

/// The addresses of the records of a list.
async fn links(
    attempt: &Attempt<'_>,
    within: &Within,
    path: &str,
) -> Result<Response<Bytes>, Stop> {
    let (catalog, request) = (&attempt.context.catalog, attempt.request);
    let table = &within.list.table;
    let honoured = ["$filter", "$orderby", "$top", "$skiptoken"];
    request.options.refuse_except(&honoured).map_err(fault::of_query)?;
    let parsed = odata::parse_within(catalog, table, &request.options, Some(within))
        .map_err(fault::of_query)?;
    let page = read::many(attempt, parsed.query.clone()).await?;
    let link = match parsed.next_token(&page) {
        Some(token) => Some(read::next_link(attempt, path, &token)?),
        None => None,
    };
    let ids = page
        .rows(parsed.query.columns.len())
        .filter_map(|row| row.get(parsed.key_place).and_then(Value::as_id));
    let (root, set) = (&request.root, &table.entity_set_name);
    let addresses = ids.map(|id| format!("{root}{set}({id})"));
    let mut body = Vec::new();
    wire::record::write_links(&mut body, root, addresses, link.as_deref());
    let mut response = response::json(StatusCode::OK, body);
    read::put_applied(attempt, &mut response, parsed.query.paging.size);
    Ok(response)
}
