//! Answers of other query languages: rows whose properties have names of their own, and groups.
//!
//! Source: query.md B8. Not here: reading a language, links to further pages.

use super::below;
use super::names;
use super::read;
use crate::api::{Attempt, Stop};
use crate::fault::Problem;
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{MessageName, code};
use query::Page;
use query::listed::{Listed, Told};
use query::odata::limits;
use wire::record::{Changes, Output, PageFrame, Writer};

/// How the next page is asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Next<'a> {
    /// The annotation of a page of FetchXML.
    pub(super) cookie: Option<&'a str>,
    /// The address.
    pub(super) link: Option<&'a str>,
}

/// Reads a page. Errors: an aggregate reads more rows than one may.
pub(super) async fn run(attempt: &Attempt<'_>, listed: &Listed) -> Result<Page, Stop> {
    let query = listed.query.clone();
    let (rows_max, groups) = (query.count_max, query.shape.groups().cloned());
    let mut page = read::run(attempt, MessageName::RetrieveMultiple, query).await?;
    if groups.is_some_and(|groups| groups.counts_rows) && page.count > rows_max {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            code::AGGREGATE_QUERY_RECORD_LIMIT_EXCEEDED,
            "AggregateQueryRecordLimit exceeded. Cannot perform this operation.",
        )
        .into());
    }
    if listed.query.shape.groups().is_some_and(|groups| groups.counts_rows) {
        // The rows that were grouped are nobody's business.
        page.count = None;
    }
    Ok(page)
}

/// Answers a page.
pub(super) async fn answer(
    attempt: &Attempt<'_>,
    listed: &Listed,
    page: &Page,
    next: Next<'_>,
) -> Result<Response<Bytes>, Stop> {
    let (request, catalog) = (attempt.request, &attempt.context.catalog);
    let Listed { query, outputs, named, version_place } = listed;
    let counted = below::counted(attempt, listed, page).await?;
    let page = counted.as_ref().unwrap_or(page);
    let places: Vec<usize> = (0..outputs.len()).collect();
    let mut wanted = names::Wanted::of(attempt);
    wanted.add(page, query.width(), &places);
    let names = wanted.read(attempt).await?;
    let mut context = format!("{}$metadata#{}", request.root, query.table.entity_set_name);
    if let Some(named) = named {
        let shown: Vec<&str> = outputs.iter().take(*named).map(|output| &*output.name).collect();
        context.push_str(&format!("({})", shown.join(",")));
    }
    let count = page.count.map(|count| count.min(u64::from(limits::COUNT_MAX)));
    let frame = PageFrame {
        context: &context,
        count,
        count_limit_exceeded: page.count > count,
        next_link: next.link,
        paging_cookie: next.cookie,
        metadata_version: Some(catalog.version()),
        changes: Changes::default(),
    };
    let shown: Vec<Output<'_>> = outputs
        .iter()
        .map(|output| Output {
            table: query.source(output.column.source),
            column: output.column.column,
            name: &output.name,
            renamed: output.renamed,
            told: match output.told {
                Told::Value => wire::record::Told::Value,
                Told::Count | Told::Children(_) => wire::record::Told::Count,
                Told::DatePart => wire::record::Told::DatePart,
            },
        })
        .collect();
    let mut writer = Writer::of_outputs(&query.table, catalog, &shown, *version_place);
    if let Some(filter) = &request.prefer.include_annotations {
        writer = writer.with_annotations(filter).with_names(&names);
    }
    let mut body = Vec::new();
    wire::record::write_page(&mut body, &writer, &frame, page.rows(query.width()));
    Ok(response::json(StatusCode::OK, body))
}
