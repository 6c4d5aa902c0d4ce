//! Rows out of a table: page by page into a file or stream.
//!
//! In: a [`Query`]. Out: CSV or NDJSON that `set` accepts again.
//! Not here: query languages; `$filter` text is passed through.
//! Invariant: no more than two pages are in memory; a page is written before the next but one is asked
//! for.

use crate::form::Form;
use crate::infer::NOT_LOADED;
use crate::mapping;
use crate::service::{self, Described, Service, escaped};
use crate::source::Format;
use crate::transport::{Request, Response};
use model::{Catalog, ColumnIndex, ColumnKind, Table, Value};
use std::io::Write;
use std::sync::Arc;
use tokio::sync::watch;
use wire::record::ReadRecord;

/// The most rows that a service gives in one page.
pub const PAGE_ROWS_MAX: u32 = 5_000;

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The table, by any of its names.
    pub table: String,
    /// The columns, by any of their names; none means all but system columns.
    pub columns: Vec<String>,
    /// System columns, too.
    pub system_columns: bool,
    /// An OData `$filter`.
    pub filter: Option<String>,
    /// Columns to sort by; a trailing `-` descends.
    pub sort: Vec<String>,
    /// At most so many rows.
    pub top: Option<u64>,
    /// Rows in a page.
    pub page_size: u32,
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
    top: Option<u64>,
}

#[derive(Clone, Debug)]
struct Shown {
    index: ColumnIndex,
    header: String,
    form: Form,
    /// A lookup's table must stand beside its id, as the column may point to several.
    with_table: bool,
    /// It is the primary key.
    is_key: bool,
    /// Its text is JSON as it is: numbers and booleans.
    is_bare: bool,
}

impl Reading {
    /// Checks names and prepares the first request.
    pub async fn prepare(service: &Service, query: &Query, format: Format) -> Result<Self, Error> {
        let described = service
            .describe(&query.table, |table, index| {
                let named =
                    || query.columns.iter().any(|name| mapping::find(table, name) == Some(index));
                query.system_columns || !is_system(table, index) || named()
            })
            .await?;
        let table = &described.table;
        let columns = columns(table, query, format)?;
        let select: Vec<&str> = columns.iter().map(|shown| table.value_name(shown.index)).collect();
        let mut options = vec![format!("$select={}", select.join(","))];
        if let Some(filter) = &query.filter {
            options.push(format!("$filter={}", escaped(filter)));
        }
        if !query.sort.is_empty() {
            options.push(format!("$orderby={}", escaped(&order(table, &query.sort)?)));
        }
        let page_size = query.page_size.clamp(1, PAGE_ROWS_MAX);
        // `$top` ends paging on some services; a longer read is cut by counting.
        if let Some(top) = query.top.filter(|top| *top <= u64::from(page_size)) {
            options.push(format!("$top={top}"));
        }
        let path = format!("{}?{}", table.entity_set_name, options.join("&"));
        let first = Request::get(path).with_header("Prefer", preference(page_size));
        Ok(Self { service: service.clone(), columns, first, top: query.top, described })
    }

    /// The table that is read.
    pub fn table(&self) -> &Arc<Table> {
        &self.described.table
    }

    /// Reads every page and hands each to `sink`, which runs beside the next request.
    async fn pages<S>(
        self,
        stop: Option<watch::Receiver<bool>>,
        mut sink: S,
        write: impl Fn(&mut S, &[Shown], &Arc<Catalog>, &[ReadRecord]) -> std::io::Result<()>
        + Clone
        + Send
        + 'static,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(S, Fetched), Error>
    where
        S: Send + 'static,
    {
        let Self { service, described, columns, first, top } = self;
        let (columns, headers) = (Arc::new(columns), first.headers.clone());
        let mut fetched = Fetched { rows: 0, pages: 0, interrupted: false };
        let mut left = top.unwrap_or(u64::MAX);
        let mut response = ask(&service, first).await?;
        loop {
            let (table, catalog) = (described.table.clone(), described.catalog.clone());
            let parsed = tokio::task::spawn_blocking(move || {
                wire::record::read_page(&response.body, &table, &catalog)
            });
            let mut page = parsed.await??;
            page.records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let rows = page.records.len() as u64;
            left -= rows;
            fetched.interrupted = stop.as_ref().is_some_and(|stop| *stop.borrow());
            let next = page.next_link.filter(|_| left > 0 && !fetched.interrupted);
            let next = next.map(|link| Request { headers: headers.clone(), ..Request::get(link) });
            let (write, columns, catalog) =
                (write.clone(), columns.clone(), described.catalog.clone());
            let written = tokio::task::spawn_blocking(move || {
                let result = write(&mut sink, &columns, &catalog, &page.records);
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

    /// Writes everything as CSV or NDJSON.
    pub async fn write<W: Write + Send + 'static>(
        self,
        out: W,
        format: Format,
        stop: Option<watch::Receiver<bool>>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Fetched, Error> {
        match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                let headers = self.columns.iter().map(|shown| &shown.header);
                writer.write_record(headers).map_err(medium_error)?;
                let (mut writer, fetched) = self.pages(stop, writer, write_csv, progress).await?;
                writer.flush()?;
                Ok(fetched)
            }
            Format::Ndjson => {
                let out = std::io::BufWriter::new(out);
                let (mut out, fetched) = self.pages(stop, out, write_ndjson, progress).await?;
                out.flush()?;
                Ok(fetched)
            }
        }
    }

    /// Calls `take` with the texts of every row, in the order of the columns.
    pub async fn texts<T: Send + 'static>(
        self,
        state: T,
        take: impl Fn(&mut T, &[String]) + Clone + Send + 'static,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(T, Fetched), Error> {
        let write = move |state: &mut T,
                          columns: &[Shown],
                          catalog: &Arc<Catalog>,
                          records: &[ReadRecord]| {
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

async fn ask(service: &Service, request: Request) -> Result<Response, service::Error> {
    service.ask(request, "a page of rows").await
}

fn preference(page_size: u32) -> String {
    format!(
        "odata.maxpagesize={page_size},odata.include-annotations=\"{}\"",
        wire::record::LOOKUP_TABLE
    )
}

/// Columns that are there in every table and that nobody loads.
pub fn is_system(table: &Table, index: ColumnIndex) -> bool {
    const NAMES: [&str; 22] = [
        "createdon",
        "modifiedon",
        "createdby",
        "modifiedby",
        "createdonbehalfby",
        "modifiedonbehalfby",
        "overriddencreatedon",
        "importsequencenumber",
        "timezoneruleversionnumber",
        "utcconversiontimezonecode",
        "versionnumber",
        "ownerid",
        "owninguser",
        "owningteam",
        "owningbusinessunit",
        "owneridtype",
        "owneridname",
        "organizationid",
        "transactioncurrencyid",
        "exchangerate",
        "statecode",
        "statuscode",
    ];
    let column = table.column(index);
    NAMES.contains(&&*column.logical_name)
        || matches!(column.computed, Some(model::Computed::Nothing))
}

fn columns(table: &Table, query: &Query, format: Format) -> Result<Vec<Shown>, Error> {
    let headers = query.headers.unwrap_or(if table.is_custom && format == Format::Csv {
        Headers::AsLoaded
    } else {
        Headers::Logical
    });
    let indexes: Vec<ColumnIndex> = if query.columns.is_empty() {
        let key = (headers == Headers::Logical).then_some(table.primary_key);
        let others = table.indexed_columns().filter(|(index, column)| {
            *index != table.primary_key
                && column.valid_for_read
                && (query.system_columns || !is_system(table, *index))
                && match headers {
                    Headers::AsLoaded => {
                        column.description.shown() != Some(NOT_LOADED)
                            && (column.is_custom || !table.is_custom || query.system_columns)
                    }
                    Headers::Logical => true,
                }
        });
        key.into_iter().chain(others.map(|(index, _)| index)).collect()
    } else {
        let find = |name: &String| {
            mapping::find(table, name).ok_or_else(|| Error::NoColumn {
                table: table.logical_name.clone(),
                name: name.clone(),
            })
        };
        query.columns.iter().map(find).collect::<Result<_, _>>()?
    };
    let shown = |index: ColumnIndex| {
        let column = table.column(index);
        let display = column.display_name.shown().filter(|_| column.is_custom);
        let header = match (headers, display) {
            (Headers::AsLoaded, Some(display)) => display,
            _ => &*column.logical_name,
        };
        let form = match headers {
            Headers::AsLoaded => Form::of(column),
            Headers::Logical => Form::Plain,
        };
        let with_table =
            matches!(&column.kind, ColumnKind::Lookup { targets, .. } if targets.len() > 1);
        let is_bare = form == Form::Plain
            && matches!(
                column.kind,
                ColumnKind::Integer { .. }
                    | ColumnKind::BigInt
                    | ColumnKind::Decimal { .. }
                    | ColumnKind::Double { .. }
                    | ColumnKind::Money { .. }
                    | ColumnKind::Boolean { .. }
                    | ColumnKind::Choice { .. }
                    | ColumnKind::State { .. }
                    | ColumnKind::Status { .. }
            );
        let is_key = index == table.primary_key;
        Shown { index, header: header.to_owned(), form, with_table, is_key, is_bare }
    };
    Ok(indexes.into_iter().map(shown).collect())
}

fn order(table: &Table, sort: &[String]) -> Result<String, Error> {
    let mut parts = Vec::with_capacity(sort.len());
    for name in sort {
        let (name, direction) = match name.strip_suffix('-') {
            Some(name) => (name, " desc"),
            None => (name.as_str(), ""),
        };
        let index = mapping::find(table, name).ok_or_else(|| Error::NoColumn {
            table: table.logical_name.clone(),
            name: name.to_owned(),
        })?;
        parts.push(format!("{}{direction}", table.value_name(index)));
    }
    Ok(parts.join(","))
}

/// The texts of a row; re-used.
struct Row {
    texts: Vec<String>,
    is_null: Vec<bool>,
    /// From the place of a column in the table to its place in the output.
    places: Vec<Option<usize>>,
}

impl Row {
    fn new(columns: &[Shown]) -> Self {
        let most = columns.iter().map(|shown| usize::from(shown.index.0) + 1).max().unwrap_or(0);
        let mut places = vec![None; most];
        for (place, shown) in columns.iter().enumerate() {
            places[usize::from(shown.index.0)] = Some(place);
        }
        let texts = vec![String::new(); columns.len()];
        Self { is_null: vec![true; texts.len()], texts, places }
    }

    /// `columns` must be those that the row was made for.
    fn fill(&mut self, columns: &[Shown], catalog: &Catalog, record: &ReadRecord) {
        self.texts.iter_mut().for_each(String::clear);
        self.is_null.fill(true);
        for cell in &record.cells {
            let Some(Some(place)) = self.places.get(usize::from(cell.column.0)) else { continue };
            let text = &mut self.texts[*place];
            self.is_null[*place] = cell.value.is_null();
            match &cell.value {
                Value::Lookup(lookup) if columns[*place].with_table => {
                    let table = catalog.table_by_id(lookup.table);
                    let table = table.map_or("", |table| &*table.logical_name);
                    text.push_str(&format!("TableName={table};Id={}", lookup.id));
                }
                value => columns[*place].form.write(text, value),
            }
        }
        // The primary key stands beside the cells; it is the only column that can be missing there.
        if let Some(id) = record.id
            && let Some(place) = columns.iter().position(|shown| shown.is_key)
        {
            self.is_null[place] = false;
            self.texts[place] = id.to_string();
        }
    }
}

fn write_csv<W: Write>(
    writer: &mut csv::Writer<W>,
    columns: &[Shown],
    catalog: &Arc<Catalog>,
    records: &[ReadRecord],
) -> std::io::Result<()> {
    let mut row = Row::new(columns);
    for record in records {
        row.fill(columns, catalog, record);
        writer.write_record(&row.texts).map_err(medium_error)?;
    }
    writer.flush()
}

/// The medium's own error, with its kind.
fn medium_error(err: csv::Error) -> std::io::Error {
    match err.into_kind() {
        csv::ErrorKind::Io(err) => err,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

fn write_ndjson<W: Write>(
    out: &mut W,
    columns: &[Shown],
    catalog: &Arc<Catalog>,
    records: &[ReadRecord],
) -> std::io::Result<()> {
    let mut row = Row::new(columns);
    let names: Vec<String> = columns
        .iter()
        .map(|shown| serde_json::Value::from(shown.header.as_str()).to_string())
        .collect();
    for record in records {
        row.fill(columns, catalog, record);
        for (place, shown) in columns.iter().enumerate() {
            out.write_all(if place == 0 { b"{" } else { b"," })?;
            out.write_all(names[place].as_bytes())?;
            out.write_all(b":")?;
            if row.is_null[place] {
                out.write_all(b"null")?;
            } else if shown.is_bare {
                out.write_all(row.texts[place].as_bytes())?;
            } else {
                serde_json::to_writer(&mut *out, &row.texts[place])?;
            }
        }
        out.write_all(b"}\n")?;
    }
    out.flush()
}
