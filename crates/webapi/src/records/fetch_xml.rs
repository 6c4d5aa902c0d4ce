//! Reading records by FetchXML: `GET /set?fetchXml=…`.
//!
//! Source: query.md B1, B8 and B9. Pages are asked for by number; the cookie of a page names the next
//! number and is otherwise empty, which the platform answers where it cannot do better, too.

use super::{names, read};
use crate::api::{Attempt, Stop};
use crate::fault;
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{MessageName, Table};
use query::fetch::{self, Fetched};
use query::odata::limits;
use std::sync::Arc;
use wire::record::{Changes, Output, PageFrame, Writer};

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
    if counted {
        fetched.query.count_max = Some(u64::from(limits::COUNT_MAX));
    }
    let Fetched { query, outputs, named, version_place, page_number } = fetched;
    let page = read::run(attempt, MessageName::RetrieveMultiple, query.clone()).await?;
    let places: Vec<usize> = (0..outputs.len()).collect();
    let names = names::of_page(attempt, &query, &places, &page).await?;
    let mut context = format!("{}$metadata#{}", request.root, table.entity_set_name);
    if let Some(named) = named {
        let shown: Vec<&str> = outputs.iter().take(named).map(|output| &*output.name).collect();
        context.push_str(&format!("({})", shown.join(",")));
    }
    let count = page.count.map(|count| count.min(u64::from(limits::COUNT_MAX)));
    let cookie = page.more.then(|| {
        let next = page_number.saturating_add(1);
        format!("<cookie pagenumber=\"{next}\" pagingcookie=\"\" istracking=\"False\" />")
    });
    let frame = PageFrame {
        context: &context,
        count,
        count_limit_exceeded: page.count > count,
        next_link: None,
        paging_cookie: cookie.as_deref(),
        metadata_version: Some(catalog.version()),
        changes: Changes::default(),
    };
    let shown: Vec<Output<'_>> = outputs
        .iter()
        .zip(&query.columns)
        .map(|(output, column)| Output {
            table: query.source(column.source),
            column: column.column,
            name: &output.name,
            renamed: output.renamed,
        })
        .collect();
    let mut writer = Writer::of_outputs(table, catalog, &shown, version_place);
    if let Some(filter) = &request.prefer.include_annotations {
        writer = writer.with_annotations(filter).with_names(&names);
    }
    let mut body = Vec::new();
    wire::record::write_page(&mut body, &writer, &frame, page.rows(query.columns.len()));
    let mut response = response::json(StatusCode::OK, body);
    response::put_applied(&mut response, &read::applied_annotations(attempt));
    Ok(response)
}
