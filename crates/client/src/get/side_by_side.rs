//! Pages that are read side by side, each row once.
//!
//! Not here: which keys each reader asks for (`parts`).
//! Invariant: as many pages are in memory as there are readers, and two more that are written.

use super::columns::Shown;
use super::output::{self, Record};
use super::parts::{self, Ends, Orders, Range};
use super::{Error, Fetched, Query, Reading, ask, path};
use crate::service;
use crate::transport::Request;
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::{Catalog, Table, TableKind, Uuid};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What asks for a part of the rows.
pub(super) struct SideBySide {
    /// The query, in the order of the primary key.
    pub(super) query: Query,
    more: Vec<String>,
}

/// A page of a range.
struct Page {
    range: Range,
    /// In the order in which the service gave them.
    keys: Vec<Uuid>,
    records: Vec<Record>,
    next_link: Option<String>,
}

impl SideBySide {
    /// Prepares, where more than one reader is wished for. `more` are the columns that are read besides those that are shown.
    ///
    /// Errors: a table or an order that cannot be divided.
    pub(super) fn of(
        table: &Table,
        query: &Query,
        more: &mut Vec<String>,
    ) -> Result<Option<Self>, Error> {
        if query.width <= 1 {
            return Ok(None);
        }
        if !query.sort.is_empty() {
            return Err(parts::refuse("rows are sorted by other columns than the primary key"));
        }
        if table.kind == TableKind::Elastic {
            return Err(parts::refuse("an elastic table may have a key several times"));
        }
        let key = table.primary_key_name().to_owned();
        let sort = vec![key.clone()];
        more.push(key);
        let query = Query { sort, ..query.clone() };
        Ok(Some(Self { query, more: more.clone() }))
    }
}

impl Reading {
    /// Reads every row and hands pages to `write`, in no order.
    pub(super) async fn read_side_by_side<S: Send + 'static>(
        self,
        stop: Option<watch::Receiver<bool>>,
        mut sink: S,
        write: impl Fn(&mut S, &[Shown], &Arc<Catalog>, &[Record]) -> std::io::Result<()>
        + Send
        + 'static,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(S, Fetched), Error> {
        let width = self.side_by_side.as_ref().map_or(1, |wish| wish.query.width);
        // One page waits while one is written.
        let (sender, mut pages) = mpsc::channel::<Vec<Record>>(1);
        let (columns, catalog) = (Arc::new(self.columns.clone()), self.described.catalog.clone());
        let shown = columns.clone();
        let writer = tokio::task::spawn_blocking(move || {
            let mut result = Ok(());
            while let Some(records) = pages.blocking_recv() {
                result = write(&mut sink, &shown, &catalog, &records);
                if result.is_err() {
                    break;
                }
            }
            (sink, result)
        });
        let reading = &self;
        let mut orders = Orders::all();
        let mut most: Option<Uuid> = None;
        let mut left = self.top.unwrap_or(u64::MAX);
        let mut fetched = Fetched { rows: 0, pages: 0, interrupted: false };
        let mut waiting: Vec<Range> = Vec::new();
        let mut running = FuturesUnordered::new();
        running.push(reading.page_of(Range::default(), self.first.clone(), &columns));
        let ended = async {
            while let Some(page) = running.next().await {
                let Page { range, keys, mut records, next_link } = page?;
                records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let rows = records.len() as u64;
                if sender.send(records).await.is_err() {
                    break;
                }
                left -= rows;
                fetched.rows += rows;
                fetched.pages += 1;
                progress(fetched.rows);
                fetched.interrupted = stop.as_ref().is_some_and(|stop| *stop.borrow());
                if left == 0 || fetched.interrupted {
                    break;
                }
                orders.learn(&keys);
                if let Some(link) = next_link {
                    let parts = parts::parts_for(width, running.len() + waiting.len());
                    let mut divided = match (keys.first(), keys.last()) {
                        (Some(first), Some(last)) if parts > 1 => {
                            let ends = Ends { first: *first, last: *last };
                            let most = match most {
                                Some(most) => most,
                                None => {
                                    *most.insert(reading.last_key().await?.unwrap_or(ends.last))
                                }
                            };
                            range.clone().divide(ends, most, parts, &orders)
                        }
                        _ => Vec::new(),
                    };
                    match divided.len() {
                        0 | 1 => running.push(reading.page_of(range, self.request(link), &columns)),
                        _ => {
                            // The nearest part is the one that surely has rows.
                            divided.rotate_left(1);
                            waiting.extend(divided);
                        }
                    }
                }
                while running.len() < width
                    && let Some(part) = waiting.pop()
                {
                    let request = self.request(self.path_of(&part, None)?);
                    running.push(reading.page_of(part, request, &columns));
                }
            }
            Ok::<(), Error>(())
        }
        .await;
        drop(running);
        drop(sender);
        // What was read before a failure is written all the same.
        let (sink, result) = writer.await?;
        result?;
        ended?;
        Ok((sink, fetched))
    }

    fn request(&self, path: String) -> Request {
        Request { headers: self.first.headers.clone(), ..Request::get(path) }
    }

    /// The address of a part, or of its greatest key alone.
    fn path_of(&self, range: &Range, greatest: Option<&[Shown]>) -> Result<String, Error> {
        let table = &self.described.table;
        let Some(SideBySide { query, more }) = &self.side_by_side else {
            return Err(parts::refuse("it was not asked for"));
        };
        let key = table.primary_key_name();
        let filter = match (&self.filter, range.text(key)) {
            (Some(filter), Some(range)) => Some(format!("({filter}) and {range}")),
            (None, range) => range,
            (filter, None) => filter.clone(),
        };
        match greatest {
            None => path(table, query, &self.columns, more, filter.as_deref(), self.page_size),
            Some(none) => {
                let query = Query { sort: vec![format!("{key}-")], top: Some(1), ..query.clone() };
                path(table, &query, none, &[key.to_owned()], filter.as_deref(), self.page_size)
            }
        }
    }

    /// The greatest key there is.
    async fn last_key(&self) -> Result<Option<Uuid>, Error> {
        let request = self.request(self.path_of(&Range::default(), Some(&[]))?);
        let response = ask(&self.service, request).await?;
        let page = output::read_page(&response.body, &self.described, &[], &[])?;
        Ok(page.records.last().and_then(|record| record.read.id))
    }

    async fn page_of(
        &self,
        range: Range,
        request: Request,
        columns: &Arc<Vec<Shown>>,
    ) -> Result<Page, Error> {
        let response = ask(&self.service, request).await?;
        let (described, columns) = (self.described.clone(), columns.clone());
        let names = self.saved.as_ref().map_or(Vec::new(), |saved| saved.names.clone());
        let parsed = tokio::task::spawn_blocking(move || {
            output::read_page(&response.body, &described, &columns, &names)
        });
        let output::Page { mut records, next_link } = parsed.await??;
        let keys: Vec<Uuid> = records.iter().filter_map(|record| record.read.id).collect();
        if keys.len() != records.len() {
            let (doing, why) = ("a page of rows".to_owned(), "a row has no key".to_owned());
            return Err(service::Error::Unreadable { doing, why }.into());
        }
        if let Some(active) = &self.active {
            active.keep(&self.service, &mut records).await?;
        }
        if let Some(saved) = &self.saved {
            saved.save(&self.service, &self.described, &records).await?;
        }
        Ok(Page { range, keys, records, next_link })
    }
}
