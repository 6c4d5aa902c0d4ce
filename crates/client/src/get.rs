//! Rows out of a table: page by page into a file or stream.
//!
//! In: a [`Query`]. Out: CSV, NDJSON, JSON or Parquet that `set` accepts again, or how many rows there are.
//! Not here: what filters mean (`filter`), which columns are shown (`columns`), texts (`output`), the
//! pages of FetchXML (`fetch`), rows that name records (`matched`), files on disk (`saved`), pages side by
//! side (`side_by_side`).
//! Invariant: no more than two pages are in memory, and one for every further reader; a page is written before the
//! next but one is asked for.

mod active;
mod columns;
mod fetch;
mod matched;
mod output;
mod parquet;
mod parts;
mod saved;
mod side_by_side;

pub use columns::is_system;
pub use matched::{Matched, Matching};

use crate::ask;
use crate::compression::Sink;
use crate::filter::{self, Wanted};
use crate::mapping;
use crate::pairs::Pairs;
use crate::problem::Problem;
use crate::service::{self, Described, Service, escaped};
use crate::source::{self, Format};
use crate::transport::{Request, Response};
use crate::zone::Zone;
use active::Active;
use columns::Shown;
use fetch::Fetch;
use model::{Catalog, Table};
use output::{Record, Row};
use saved::Saved;
use side_by_side::SideBySide;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// The most rows that a service gives in one page.
pub const PAGE_ROWS_MAX: u32 = 5_000;

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The table, by any of its names; with FetchXML that of the query where empty.
    pub table: String,
    /// The columns, by any of their names, with `:display` for the text that people read; none means
    /// all but system columns.
    pub columns: Vec<String>,
    /// Columns that are left out; they do not count where columns are named.
    pub exclude_columns: Vec<String>,
    /// System columns, too.
    pub system_columns: bool,
    /// Ids and names of files and images, too.
    pub file_columns: bool,
    /// Where the files of the file columns that are read are saved, each in a folder called after its id.
    pub file_directory: Option<PathBuf>,
    /// Names of records instead of their ids.
    pub lookup_names: bool,
    /// Which records.
    pub wanted: Wanted,
    /// FetchXML instead of columns, filters and order.
    pub fetch: Option<String>,
    /// Columns to sort by; a trailing `-` descends.
    pub sort: Vec<String>,
    /// At most so many rows.
    pub top: Option<u64>,
    /// Rows in a page.
    pub page_size: u32,
    /// Pages that are asked for at a time; beyond 1 rows come in no order.
    pub width: usize,
    /// The zone of times in filters that have none, and of those that are written; none is UTC.
    pub zone: Option<Zone>,
    /// What stands above the columns; none means what fits table and format.
    pub headers: Option<Headers>,
}

/// What stands above the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// The headers of the file that the table was made from: display names, in order of creation.
    AsLoaded,
    /// Logical names, the primary key first.
    Logical,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// A column that the table does not have.
    #[error("table `{table}` has no column `{name}`")]
    NoColumn {
        /// The table.
        table: Box<str>,
        /// As given.
        name: String,
    },
    /// What was asked cannot be.
    #[error("{0}")]
    Wish(String),
    /// What rows are to be matched on.
    #[error("{0}")]
    Match(Problem),
    /// More rows than the service counts.
    #[error("there are more than {0} rows, which is as far as the service counts")]
    TooMany(u64),
    /// The rows that name records.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Their headers.
    #[error(transparent)]
    Headers(#[from] mapping::HeaderError),
    /// A page that cannot be read.
    #[error("a page of the answer cannot be read")]
    Page(#[from] wire::Error),
    /// The output.
    #[error("cannot write the output")]
    Write(#[from] std::io::Error),
    /// Writing panicked.
    #[error("writing broke off")]
    Writer(#[from] tokio::task::JoinError),
}

/// How a read ended.
#[derive(Clone, Copy, Debug)]
pub struct Fetched {
    /// Rows written.
    pub rows: u64,
    /// Pages read.
    pub pages: u64,
    /// It was asked to stop before the end.
    pub interrupted: bool,
}

/// A read that is ready to start.
pub struct Reading {
    service: Service,
    described: Described,
    columns: Vec<Shown>,
    first: Request,
    /// The query, where its pages are asked for by number and cookie.
    fetch: Option<Fetch>,
    /// The text of `$filter`.
    filter: Option<String>,
    page_size: u32,
    top: Option<u64>,
    saved: Option<Saved>,
    active: Option<Active>,
    side_by_side: Option<SideBySide>,
}

impl Reading {
    /// Checks names and prepares the first request.
    pub async fn prepare(service: &Service, query: &Query, format: Format) -> Result<Self, Error> {
        let fetch = query.fetch.as_deref().map(Fetch::read).transpose().map_err(Error::Wish)?;
        let name = match &fetch {
            Some(fetch) => {
                refuse_beside_fetch(query)?;
                fetch.table.clone()
            }
            None => query.table.clone(),
        };
        let described = service
            .describe(&name, |table, index| {
                let named = || {
                    let filters = query.wanted.filters.iter().chain(&query.wanted.excludes);
                    filters
                        .into_iter()
                        .any(|text| text.contains(&*table.column(index).logical_name))
                        || query.columns.iter().any(|name| {
                            mapping::find(table, columns::suffix(table, name).0) == Some(index)
                        })
                };
                query.system_columns || fetch.is_some() || !is_system(table, index) || named()
            })
            .await?;
        let table = &described.table;
        if fetch.is_some() && !query.table.is_empty() {
            let other = service.resolve(&query.table).await?;
            if *other != *table.logical_name {
                let text = format!("the query reads table `{}`, not `{other}`", table.logical_name);
                return Err(Error::Wish(text));
            }
        }
        let active = match query.wanted.active_only && table.is_intersect {
            true => Some(Active { pairs: Pairs::of(service, table).await? }),
            false => None,
        };
        Self::of(service, described, query, (fetch, active), format)
    }

    /// The same, of a table that is known.
    fn of(
        service: &Service,
        described: Described,
        query: &Query,
        (fetch, active): (Option<Fetch>, Option<Active>),
        format: Format,
    ) -> Result<Self, Error> {
        let table = &described.table;
        let page_size = query.page_size.clamp(1, PAGE_ROWS_MAX);
        let filter = filter::text(&query.wanted, table, &described.catalog, query.zone.as_ref());
        let filter = filter.map_err(Error::Wish)?;
        let saved = |columns: &[Shown]| {
            let directory = query.file_directory.as_deref();
            directory.map(|directory| Saved::of(table, directory, columns)).transpose()
        };
        let mut side_by_side = None;
        let (columns, saved, path) = match &fetch {
            Some(fetch) => {
                if query.width > 1 {
                    return Err(parts::refuse("FetchXML is read page by page"));
                }
                let columns = columns::of_fetch(table, fetch)?;
                let saved = saved(&columns)?;
                (
                    columns,
                    saved,
                    fetch.path(&table.entity_set_name, fetch.first_page(), None, page_size),
                )
            }
            None => {
                let columns = columns::of_query(table, query, format)?;
                let saved = saved(&columns)?;
                let mut more = saved.as_ref().map_or(Vec::new(), |saved| saved.names.clone());
                more.extend(active.iter().flat_map(Active::names));
                // Pairs that are left out do not count.
                let query = match active.is_some() {
                    true => &Query { top: None, ..query.clone() },
                    false => query,
                };
                side_by_side = SideBySide::of(table, query, &mut more)?;
                let query = side_by_side.as_ref().map_or(query, |side_by_side| &side_by_side.query);
                let path = path(table, query, &columns, &more, filter.as_deref(), page_size)?;
                (columns, saved, path)
            }
        };
        let mut columns = columns;
        columns::put_into(query.zone.as_ref(), table, &mut columns);
        let mut annotations = vec![wire::record::LOOKUP_TABLE];
        if columns.iter().any(Shown::is_formatted) {
            annotations.push(wire::record::FORMATTED_VALUE);
        }
        if fetch.is_some() {
            annotations.extend([wire::record::PAGING_COOKIE, wire::record::MORE_RECORDS]);
        }
        let preference = format!(
            "odata.maxpagesize={page_size},odata.include-annotations=\"{}\"",
            annotations.join(",")
        );
        let first = Request::get(path).with_header("Prefer", preference);
        let (service, top) = (service.clone(), query.top);
        Ok(Self {
            service,
            described,
            columns,
            first,
            fetch,
            filter,
            page_size,
            top,
            saved,
            active,
            side_by_side,
        })
    }

    /// The table that is read.
    pub fn table(&self) -> &Arc<Table> {
        &self.described.table
    }

    /// How many rows there are: counted by the service, none of them is read.
    pub async fn count(&self) -> Result<u64, Error> {
        if self.active.is_some() {
            let text = "pairs of active records are not counted by the service: read them";
            return Err(Error::Wish(text.to_owned()));
        }
        let doing = "to count rows";
        let set = &self.described.table.entity_set_name;
        let unreadable = |why: &str| {
            let (doing, why) = (doing.to_owned(), why.to_owned());
            Error::Service(service::Error::Unreadable { doing, why })
        };
        let answer = |response: Response| -> Result<serde_json::Value, Error> {
            serde_json::from_slice(&response.body).map_err(|err| unreadable(&err.to_string()))
        };
        let count = match &self.fetch {
            Some(fetch) => {
                let path = fetch.counting_path(set).map_err(Error::Wish)?;
                let request = Request::get(path)
                    .with_header("Prefer", "odata.include-annotations=\"*\"".to_owned());
                let json = answer(ask(&self.service, request).await?)?;
                let member = |name: &str| json.get(format!("@{name}"));
                if member(wire::record::TOTAL_COUNT_EXCEEDED) == Some(&true.into()) {
                    let most = member(wire::record::TOTAL_COUNT).and_then(|count| count.as_u64());
                    return Err(Error::TooMany(most.unwrap_or(u64::from(PAGE_ROWS_MAX))));
                }
                member(wire::record::TOTAL_COUNT).and_then(serde_json::Value::as_u64)
            }
            None => {
                let filter = self.filter.as_ref().map(|filter| format!("filter({filter})/"));
                let apply = format!("{}aggregate($count as rows)", filter.unwrap_or_default());
                let request = Request::get(format!("{set}?$apply={}", escaped(&apply)));
                let json = answer(ask(&self.service, request).await?)?;
                // Nothing to count is no group at all.
                match json.get("value").and_then(serde_json::Value::as_array) {
                    Some(groups) if groups.is_empty() => Some(0),
                    Some(groups) => groups[0].get("rows").and_then(serde_json::Value::as_u64),
                    None => None,
                }
            }
        };
        let count = count.ok_or_else(|| unreadable("it holds no count"))?;
        Ok(self.top.map_or(count, |top| count.min(top)))
    }

    /// Reads every page and hands each to `sink`, which runs beside the next request.
    async fn pages<S>(
        self,
        stop: Option<watch::Receiver<bool>>,
        mut sink: S,
        write: impl Fn(&mut S, &[Shown], &Arc<Catalog>, &[Record]) -> std::io::Result<()>
        + Clone
        + Send
        + 'static,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(S, Fetched), Error>
    where
        S: Send + 'static,
    {
        if self.side_by_side.is_some() {
            return self.read_side_by_side(stop, sink, write, progress).await;
        }
        let Self {
            service, described, columns, first, fetch, page_size, top, saved, active, ..
        } = self;
        let saved = saved.map(Arc::new);
        let (columns, headers) = (Arc::new(columns), first.headers.clone());
        let mut fetched = Fetched { rows: 0, pages: 0, interrupted: false };
        let mut left = top.unwrap_or(u64::MAX);
        let mut response = ask(&service, first).await?;
        loop {
            let (described_too, shown) = (described.clone(), columns.clone());
            let saved_too = saved.clone();
            let is_fetch = fetch.is_some();
            let parsed = tokio::task::spawn_blocking(move || {
                let more = saved_too.as_ref().map_or(&[][..], |saved| &saved.names);
                let page = output::read_page(&response.body, &described_too, &shown, more)?;
                let cookie = is_fetch.then(|| fetch::cookie(&response.body)).flatten();
                Ok::<_, wire::Error>((page, cookie))
            });
            let (mut page, cookie) = parsed.await??;
            if let Some(active) = &active {
                active.keep(&service, &mut page.records).await?;
            }
            page.records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let rows = page.records.len() as u64;
            left -= rows;
            if let Some(saved) = &saved {
                saved.save(&service, &described, &page.records).await?;
            }
            fetched.interrupted = stop.as_ref().is_some_and(|stop| *stop.borrow());
            let next = match &fetch {
                Some(fetch) => cookie.filter(|_| !fetch.is_one_page()).map(|cookie| {
                    let set = &described.table.entity_set_name;
                    fetch.path(set, cookie.page, cookie.inner.as_deref(), page_size)
                }),
                None => page.next_link,
            };
            let next = next.filter(|_| left > 0 && !fetched.interrupted);
            let next = next.map(|link| Request { headers: headers.clone(), ..Request::get(link) });
            let (write, columns, catalog) =
                (write.clone(), columns.clone(), described.catalog.clone());
            let records = page.records;
            let written = tokio::task::spawn_blocking(move || {
                let result = write(&mut sink, &columns, &catalog, &records);
                (sink, result)
            });
            let following = async {
                match next {
                    Some(request) => ask(&service, request).await.map(Some),
                    None => Ok(None),
                }
            };
            let (written, following) = futures_util::future::join(written, following).await;
            let (back, result) = written?;
            sink = back;
            result?;
            fetched.rows += rows;
            fetched.pages += 1;
            progress(fetched.rows);
            match following? {
                Some(next) => response = next,
                None => return Ok((sink, fetched)),
            }
        }
    }

    /// Writes everything.
    pub async fn write(
        self,
        out: Sink,
        format: Format,
        stop: Option<watch::Receiver<bool>>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Fetched, Error> {
        let out = output::Writer::new(out, format, &self.columns, &self.described.table)?;
        let write = |out: &mut output::Writer,
                     columns: &[Shown],
                     catalog: &Arc<Catalog>,
                     records: &[Record]| out.write(columns, catalog, records);
        let (out, fetched) = self.pages(stop, out, write, progress).await?;
        tokio::task::spawn_blocking(move || out.finish()).await??;
        Ok(fetched)
    }

    /// Calls `take` with the texts of every row, in the order of the columns.
    pub async fn texts<T: Send + 'static>(
        self,
        state: T,
        take: impl Fn(&mut T, &[String]) + Clone + Send + 'static,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(T, Fetched), Error> {
        let write =
            move |state: &mut T, columns: &[Shown], catalog: &Arc<Catalog>, records: &[Record]| {
                let mut row = Row::new(columns);
                for record in records {
                    row.fill(columns, catalog, record);
                    take(state, &row.texts);
                }
                Ok(())
            };
        self.pages(None, state, write, progress).await
    }
}

fn refuse_beside_fetch(query: &Query) -> Result<(), Error> {
    let is_more = !query.columns.is_empty()
        || !query.exclude_columns.is_empty()
        || query.system_columns
        || query.file_columns
        || query.lookup_names
        || filter::is_any(&query.wanted)
        || !query.sort.is_empty();
    match is_more {
        true => {
            let text = "FetchXML says itself which columns and rows are read, and in which order";
            Err(Error::Wish(text.to_owned()))
        }
        false => Ok(()),
    }
}

/// The address of the first page.
fn path(
    table: &Table,
    query: &Query,
    columns: &[Shown],
    more: &[String],
    filter: Option<&str>,
    page_size: u32,
) -> Result<String, Error> {
    let mut names: Vec<&str> = Vec::new();
    let shown = columns.iter().filter_map(|shown| shown.selected(table));
    for name in shown.chain(more.iter().map(String::as_str)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut options = vec![format!("$select={}", names.join(","))];
    if let Some(filter) = filter {
        options.push(format!("$filter={}", escaped(filter)));
    }
    if !query.sort.is_empty() {
        options.push(format!("$orderby={}", escaped(&columns::order(table, &query.sort)?)));
    }
    // `$top` ends paging on some services; a longer read is cut by counting.
    if let Some(top) = query.top.filter(|top| *top <= u64::from(page_size)) {
        options.push(format!("$top={top}"));
    }
    Ok(format!("{}?{}", table.entity_set_name, options.join("&")))
}

/// A page; addresses that are too long travel in a `$batch`.
async fn ask(service: &Service, request: Request) -> Result<Response, service::Error> {
    let doing = "a page of rows";
    if request.path.len() <= ask::ADDRESS_BYTES_MAX || request.path.contains("://") {
        return service.ask(request, doing).await;
    }
    let mut response = service.ask(ask::in_batch(&request), doing).await?;
    response.body = ask::out_of_batch(&response)
        .map_err(|why| service::Error::Unreadable { doing: doing.to_owned(), why })?;
    Ok(response)
}

#[cfg(test)]
mod tests;
