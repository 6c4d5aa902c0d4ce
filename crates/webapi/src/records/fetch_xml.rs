//! Reading records by FetchXML: `GET /set?fetchXml=…`.
//!
//! Source: query.md B1, B8 and B9.

use super::listed::{self, Next};
use super::read;
use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::response;
use bytes::Bytes;
use http::Response;
use model::Table;
use query::fetch;
use query::odata::limits;
use std::sync::Arc;

/// A page of the records that a FetchXML query finds.
pub(super) async fn page(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    text: &str,
) -> Result<Response<Bytes>, Stop> {
    let (request, catalog) = (attempt.request, &attempt.context.catalog);
    request.options.refuse_except(&["fetchXml", "$count"]).map_err(fault::of_query)?;
    let counted = request.options.count().map_err(fault::of_query)?;
    let mut fetched =
        fetch::parse(catalog, table, text, &request.options).map_err(fault::of_fetch)?;
    let query = &mut fetched.listed.query;
    if counted {
        if query.shape.groups().is_some_and(|groups| !groups.aggregates.is_empty()) {
            return Err(Problem::uri("$count of an aggregate query is not supported.").into());
        }
        query.count_max = Some(u64::from(limits::COUNT_MAX));
    }
    let page = listed::run(attempt, &fetched.listed).await?;
    let cookie = fetched.cookie(&page);
    let next = Next { cookie: cookie.as_deref(), link: None };
    let mut response = listed::answer(attempt, &fetched.listed, &page, next).await?;
    response::put_applied(&mut response, &read::applied_annotations(attempt));
    Ok(response)
}
