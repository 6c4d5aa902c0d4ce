//! Reading records: one, a page of them, their number.

use super::children::{self, Family};
use super::{apply, changes, fetch_xml, in_parts, names, partition, sql};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::request::Guard;
use crate::response;
use crate::route::Address;
use bytes::Bytes;
use http::header;
use http::{Method, Response, StatusCode};
use model::{ColumnIndex, MessageName, Table, TableKind, Value};
use percent_encoding::percent_decode_str;
use pipeline::{Message, Read, Reply};
use query::odata::{self, Expansion, Parsed, limits};
use query::{BoundQuery, Page};
use std::sync::Arc;
use wire::etag::ETag;
use wire::record::{Changes, PageFrame};

/// What a value of a record takes in JSON, about.
const VALUE_BYTES: usize = 40;

/// `GET /set`
pub(super) async fn page(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
) -> Result<Response<Bytes>, Stop> {
    let request = attempt.request;
    if let Some(chain) = changes::asked_for(attempt)? {
        return changes::page(attempt, table, chain).await;
    }
    partition::refuse_links(attempt, table)?;
    if let Some(text) = request.options.fetch_xml() {
        return fetch_xml::page(attempt, table, text).await;
    }
    if let Some(text) = request.options.get("sql") {
        return sql::page(attempt, table, text).await;
    }
    if let Some(name) = ["savedQuery", "userQuery"].into_iter().find(|name| has(attempt, name)) {
        return Err(Problem::not_implemented(format_args!("The query option '{name}'")).into());
    }
    if has(attempt, "$apply") {
        return apply::page(attempt, table).await;
    }
    let parsed =
        odata::parse(&attempt.context.catalog, table, &request.options).map_err(fault::of_query)?;
    list(attempt, &parsed, &table.entity_set_name).await
}

fn has(attempt: &Attempt<'_>, option: &str) -> bool {
    attempt.request.options.get(option).is_some()
}

/// Answers a page of records. `address` is that of the list, below the root.
pub(super) async fn list(
    attempt: &Attempt<'_>,
    parsed: &Parsed,
    address: &str,
) -> Result<Response<Bytes>, Stop> {
    if in_parts::suits(attempt, parsed) {
        return in_parts::list(attempt, parsed, address).await;
    }
    let page = many(attempt, parsed.query.clone()).await?;
    let families = children::of_page(attempt, parsed, &page).await?;
    let next_link = match parsed.next_token(&page) {
        Some(token) => Some(next_link(attempt, address, &token)?),
        None => None,
    };
    let counted = page.count.map(|count| count.min(u64::from(limits::COUNT_MAX)));
    let context = context(attempt, parsed);
    let frame = PageFrame {
        context: &context,
        count: counted,
        count_limit_exceeded: page.count > counted,
        next_link: next_link.as_deref(),
        paging_cookie: None,
        metadata_version: Some(attempt.context.catalog.version()),
        changes: Changes::default(),
    };
    let names = names_of(attempt, parsed, &page, &families).await?;
    // About what a value takes with its name, so that a long page is not moved again and again.
    let mut body = Vec::with_capacity(page.cells.len().saturating_mul(VALUE_BYTES));
    let writer = children::writer(attempt, parsed, &page, &names, &families);
    let rows = page.rows(parsed.query.columns.len());
    wire::record::write_page(&mut body, &writer, &frame, rows);
    let mut response = response::json(StatusCode::OK, body);
    put_applied(attempt, &mut response, parsed.query.paging.size);
    Ok(response)
}

/// Says which preferences a page honoured.
pub(super) fn put_applied(attempt: &Attempt<'_>, response: &mut Response<Bytes>, size: u32) {
    let mut applied = applied_annotations(attempt);
    if attempt.request.prefer.max_page_size.is_some() {
        applied.push(format!("odata.maxpagesize={size}"));
    }
    response::put_applied(response, &applied);
}

/// The names of all records that a page and the lists inside it point to.
pub(super) async fn names_of(
    attempt: &Attempt<'_>,
    parsed: &Parsed,
    page: &Page,
    families: &[Family],
) -> Result<children::Names, Stop> {
    let mut wanted = names::Wanted::of(attempt);
    children::add_names(&mut wanted, parsed, page, families);
    wanted.read(attempt).await
}

/// `GET /set(key)`
pub(super) async fn one(attempt: &Attempt<'_>, address: &Address) -> Result<Response<Bytes>, Stop> {
    let (parsed, page) = fetch(attempt, &partition::scoped(attempt, address)).await?;
    let version = version(&parsed, &page);
    let unchanged = match attempt.request.if_none_match {
        Guard::Tag(ETag::Version(known)) => version == Some(known),
        _ => false,
    };
    let conditional = address.table.optimistic_concurrency
        && parsed.expanded.is_empty()
        && attempt.request.prefer.include_annotations.is_none();
    if unchanged && conditional {
        let mut response = response::empty(StatusCode::NOT_MODIFIED);
        put_version(&mut response, address.table.kind, version);
        return Ok(response);
    }
    let mut response = represent(attempt, StatusCode::OK, &parsed, &page).await?;
    response::put_applied(&mut response, &applied_annotations(attempt));
    Ok(response)
}

/// Reads one record with the options of the request. 404 when it is not there.
pub(super) async fn fetch(
    attempt: &Attempt<'_>,
    address: &Address,
) -> Result<(Parsed, Page), Stop> {
    let parsed = odata::parse_single(
        &attempt.context.catalog,
        &address.table,
        &attempt.request.options,
        address.filter(),
    )
    .map_err(fault::of_query)?;
    let page = single(attempt, address, parsed.query.clone()).await?;
    if page.rows == 0 {
        return Err(address.missing().into());
    }
    Ok((parsed, page))
}

/// An answer with one record as its body.
pub(super) async fn represent(
    attempt: &Attempt<'_>,
    status: StatusCode,
    parsed: &Parsed,
    page: &Page,
) -> Result<Response<Bytes>, Stop> {
    let context = format!("{}/$entity", context(attempt, parsed));
    let families = children::of_page(attempt, parsed, page).await?;
    let names = names_of(attempt, parsed, page, &families).await?;
    let mut body = Vec::new();
    let writer = children::writer(attempt, parsed, page, &names, &families);
    if let Some(row) = page.rows(parsed.query.columns.len()).next() {
        wire::record::write_one(&mut body, &writer, &context, row);
    }
    let mut response = response::json(status, body);
    put_version(&mut response, parsed.query.table.kind, version(parsed, page));
    Ok(response)
}

/// `GET /set/$count`
pub(crate) async fn count(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
) -> Result<Response<Bytes>, Stop> {
    if attempt.request.method != Method::GET {
        return Err(attempt.only("GET, HEAD").into());
    }
    if let Some(token) = attempt.request.options.get("$deltatoken") {
        return changes::count(attempt, table, token).await;
    }
    partition::refuse_links(attempt, table)?;
    let parsed =
        odata::parse_count(&attempt.context.catalog, table, &attempt.request.options, None)
            .map_err(fault::of_query)?;
    number(attempt, parsed).await
}

/// Answers how many records a query finds.
pub(super) async fn number(attempt: &Attempt<'_>, parsed: Parsed) -> Result<Response<Bytes>, Stop> {
    let page = many(attempt, parsed.query).await?;
    let count = page.count.unwrap_or_default().min(u64::from(limits::COUNT_MAX));
    Ok(response::text(count.to_string()))
}

/// Runs a read.
pub(super) async fn run(
    attempt: &Attempt<'_>,
    name: MessageName,
    query: BoundQuery,
) -> Result<Page, Stop> {
    page_of(attempt, Message::Read(Read { name, query })).await
}

/// Runs a read of one record.
pub(super) async fn single(
    attempt: &Attempt<'_>,
    address: &Address,
    query: BoundQuery,
) -> Result<Page, Stop> {
    let read = Read { name: MessageName::Retrieve, query };
    page_of(attempt, partition::read_one(address, read)).await
}

/// Runs a read of many records.
pub(super) async fn many(attempt: &Attempt<'_>, query: BoundQuery) -> Result<Page, Stop> {
    let read = Read { name: MessageName::RetrieveMultiple, query };
    page_of(attempt, partition::read_many(attempt, read)).await
}

/// Runs a message that answers a page.
pub(crate) async fn page_of(attempt: &Attempt<'_>, message: Message) -> Result<Page, Stop> {
    match attempt.run(message).await? {
        Reply::Page(page) => Ok(page),
        Reply::Written(_)
        | Reply::Partly(_)
        | Reply::Followed(_)
        | Reply::Deleted(_)
        | Reply::Walked(_)
        | Reply::Defined(_) => {
            tracing::error!("a read was answered with something else than a page");
            Err(Problem::unexpected().into())
        }
    }
}

/// The preference for annotations, when it was honoured.
pub(super) fn applied_annotations(attempt: &Attempt<'_>) -> Vec<String> {
    let filter = attempt.request.prefer.include_annotations.as_ref();
    filter
        .map(|filter| format!("odata.include-annotations=\"{}\"", filter.as_written()))
        .into_iter()
        .collect()
}

fn version(parsed: &Parsed, page: &Page) -> Option<i64> {
    let row = page.rows(parsed.query.columns.len()).next()?;
    match row.get(parsed.version_place?)? {
        Value::BigInt(version) => Some(*version),
        _ => None,
    }
}

fn put_version(response: &mut Response<Bytes>, kind: TableKind, version: Option<i64>) {
    if let Some(version) = version {
        response::put(response, header::ETAG, &wire::etag::write_for(kind, version));
    }
}

/// The context URL of a page: `…#accounts(name,primarycontactid(fullname))`.
pub(super) fn context(attempt: &Attempt<'_>, parsed: &Parsed) -> String {
    let (root, table) = (&attempt.request.root, &parsed.query.table);
    let select = parsed.select.as_deref();
    if parsed.expanded.is_empty() {
        return wire::record::context(root, table, select);
    }
    let mut context = wire::record::context(root, table, None);
    shape(&mut context, parsed, table, select, &parsed.expanded);
    context
}

/// Appends what is shown of a record, in parentheses; nothing for everything.
fn shape(
    out: &mut String,
    parsed: &Parsed,
    table: &Table,
    select: Option<&[ColumnIndex]>,
    expanded: &Expansion,
) {
    if select.is_none() && expanded.is_empty() {
        return;
    }
    let named = select.unwrap_or_default().iter().map(|column| table.value_name(*column));
    let mut parts: Vec<String> = named.map(str::to_owned).collect();
    for one in &expanded.singles {
        let mut part = one.navigation.to_string();
        if let Some(choice) = one.choices.first().filter(|_| !one.only_link) {
            let inner = parsed.query.source(choice.source);
            shape(&mut part, parsed, inner, choice.select.as_deref(), &choice.inner);
        }
        parts.push(closed(part));
    }
    for one in &expanded.collections {
        let mut part = one.navigation.to_string();
        let (inside, table) = (&one.parsed, &one.parsed.query.table);
        shape(&mut part, inside, table, inside.select.as_deref(), &inside.expanded);
        parts.push(closed(part));
    }
    out.push('(');
    out.push_str(&parts.join(","));
    out.push(')');
}

fn closed(mut part: String) -> String {
    if !part.ends_with(')') {
        part.push_str("()");
    }
    part
}

/// The address of the next page: the options as they were sent, with the new token.
///
/// Errors: an address that no caller could send, as it is over the limit of a URL.
pub(super) fn next_link(
    attempt: &Attempt<'_>,
    address: &str,
    token: &str,
) -> Result<String, Problem> {
    link_with(attempt, address, "$skiptoken", token)
}

/// The address of a list with this token, percent-encoded, in place of the one that it had.
pub(super) fn link_with(
    attempt: &Attempt<'_>,
    address: &str,
    option: &str,
    token: &str,
) -> Result<String, Problem> {
    let request = attempt.request;
    let query = request.query.strip_suffix('/').unwrap_or(&request.query);
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| {
            let name = part.split('=').next().unwrap_or_default();
            let name = percent_decode_str(name).decode_utf8_lossy();
            let name = name.replace('+', " ");
            !name.is_empty() && !["$skiptoken", "$deltatoken"].contains(&name.trim())
        })
        .collect();
    let mut link = format!("{}{address}?", request.root);
    for part in kept {
        link.push_str(part);
        link.push('&');
    }
    link.push_str(option);
    link.push('=');
    link.push_str(token);
    if link.len() > limits::URL_CHARACTERS_MAX {
        return Err(Problem::uri(format!(
            "The address of the next page would be longer than {} characters. Shorten the options, or order by shorter columns.",
            limits::URL_CHARACTERS_MAX
        )));
    }
    Ok(link)
}
