//! Reading records by SQL: `GET /set?sql=…`.
//!
//! Source: query.md C. The address of the next page repeats the statement; both of its cookies move on.

use super::listed::{self, Next};
use super::read;
use crate::api::{Attempt, Stop};
use crate::fault;
use bytes::Bytes;
use http::Response;
use model::Table;
use query::sql;
use std::sync::Arc;

/// A page of the rows that a statement finds.
pub(super) async fn page(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    text: &str,
) -> Result<Response<Bytes>, Stop> {
    let (request, catalog) = (attempt.request, &attempt.context.catalog);
    request.options.refuse_except(&["sql", "$skiptoken"]).map_err(fault::of_query)?;
    let selected = sql::parse(catalog, table, &request.options, text).map_err(fault::of_query)?;
    let page = listed::run(attempt, &selected.listed).await?;
    let link = match selected.next_token(&page) {
        Some(token) => Some(read::next_link(attempt, &table.entity_set_name, &token)?),
        None => None,
    };
    let next = Next { link: link.as_deref(), cookie: None };
    let mut response = listed::answer(attempt, &selected.listed, &page, next).await?;
    read::put_applied(attempt, &mut response, selected.listed.query.paging.size);
    Ok(response)
}
