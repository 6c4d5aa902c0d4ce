//! Groups by `$apply`.
//!
//! Source: query.md A11.

use super::listed::{self, Next};
use super::read;
use crate::api::{Attempt, Stop};
use crate::fault;
use bytes::Bytes;
use http::Response;
use model::Table;
use query::odata::apply;
use std::sync::Arc;

/// A page of groups of the records of a table.
pub(super) async fn page(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
) -> Result<Response<Bytes>, Stop> {
    let (request, catalog) = (attempt.request, &attempt.context.catalog);
    let grouped = apply::parse(catalog, table, &request.options).map_err(fault::of_query)?;
    let page = listed::run(attempt, &grouped.listed).await?;
    let link = match grouped.next_token(&page) {
        Some(token) => Some(read::next_link(attempt, &table.entity_set_name, &token)?),
        None => None,
    };
    let next = Next { link: link.as_deref(), cookie: None };
    let mut response = listed::answer(attempt, &grouped.listed, &page, next).await?;
    read::put_applied(attempt, &mut response, grouped.listed.query.paging.size);
    Ok(response)
}
