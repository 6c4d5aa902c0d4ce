//! Rows that name records: each row's record, read for many rows at once.
//!
//! Not here: how records are found (`matching`). Invariant: every row is counted once: it gave records,
//! its record is absent, or it failed with a reason.

use super::columns::From;
use super::output::{Record, Writer};
use super::{Error, Reading};
use crate::compression::Sink;
use crate::encode::{Draft, Drafter};
use crate::mapping::{Mapper, Rules};
use crate::matching::Finder;
use crate::problem::Problem;
use crate::resolve::WINDOW_ROWS;
use crate::sender::BLOCKS_MAX;
use crate::source::{Bytes, Format, Source};
use model::ColumnIndex;
use tokio::sync::{mpsc, watch};

/// How rows name records.
#[derive(Clone, Debug)]
pub struct Matching {
    /// Columns that rows are matched by; the first list that finds something counts.
    pub match_on: Vec<Vec<String>>,
    /// A row may name several records.
    pub allow_multiple: bool,
    /// Keys in one question.
    pub retrieval_size: usize,
    /// How the input is written.
    pub format: Format,
}

/// How such a read ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Rows of the input.
    pub rows: u64,
    /// Records written.
    pub records: u64,
    /// Rows whose record is not there.
    pub absent: u64,
    /// Rows that name no record, or more than one.
    pub failed: u64,
    /// It was asked to stop before the end.
    pub interrupted: bool,
}

impl Reading {
    /// Writes the record of every row, in the order of the rows. `failed` is told of rows that name none.
    pub async fn write_matched(
        self,
        matching: &Matching,
        bytes: Bytes,
        out: Sink,
        format: Format,
        stop: Option<watch::Receiver<bool>>,
        failed: &mut (dyn FnMut(u64, &Problem) + Send),
    ) -> Result<Matched, Error> {
        let select = self.shown_of_rows()?;
        let lists = &matching.match_on;
        let (size, multiple) = (matching.retrieval_size, matching.allow_multiple);
        let mut finder =
            Finder::new(&self.service, &self.described, lists, size, multiple, Vec::new())
                .map_err(Error::Match)?;
        let input = matching.format;
        let source = tokio::task::spawn_blocking(move || Source::new(bytes, input)).await??;
        let (table, catalog) = (self.described.table.clone(), self.described.catalog.clone());
        let mapper = Mapper::new(table, catalog.clone(), Rules::default()).naming(finder.columns());
        let mapper = match source.headers() {
            Some(headers) => mapper.with_headers(headers)?,
            None => mapper,
        };
        let mut drafter = Drafter::new(mapper, None);
        let (sender, mut drafts) = mpsc::channel::<Vec<Draft>>(BLOCKS_MAX);
        let mut source = source;
        let reader = tokio::task::spawn_blocking(move || {
            source.pump(&mut drafter, |drafts| sender.blocking_send(drafts).is_ok())
        });
        let mut out = Writer::new(out, format, &self.columns, self.table())?;
        let mut columns = self.columns;
        let mut matched = Matched::default();
        while let Some(mut window) = drafts.recv().await {
            while window.len() < WINDOW_ROWS
                && let Ok(more) = drafts.try_recv()
            {
                window.extend(more);
            }
            let found = finder.find(&mut window, &select).await?;
            let mut records = Vec::with_capacity(window.len());
            for (draft, found) in window.iter().zip(found) {
                matched.rows += 1;
                match found {
                    Err(problem) => {
                        matched.failed += 1;
                        failed(draft.line, &problem);
                    }
                    Ok(found) if found.is_empty() => matched.absent += 1,
                    Ok(found) => records.extend(
                        found.into_iter().map(|read| Record { read, properties: Vec::new() }),
                    ),
                }
            }
            matched.records += records.len() as u64;
            let catalog = catalog.clone();
            let written = tokio::task::spawn_blocking(move || {
                let result = out.write(&columns, &catalog, &records);
                (out, columns, result)
            });
            let result;
            (out, columns, result) = written.await?;
            result?;
            if stop.as_ref().is_some_and(|stop| *stop.borrow()) {
                matched.interrupted = true;
                break;
            }
        }
        // An interrupted reader may hang on a stream that gives nothing more.
        let read = if matched.interrupted { Ok(()) } else { reader.await? };
        tokio::task::spawn_blocking(move || out.finish()).await??;
        read?;
        Ok(matched)
    }

    /// The columns that are shown of records that rows name; refused where more is wished for.
    fn shown_of_rows(&self) -> Result<Vec<ColumnIndex>, Error> {
        if self.fetch.is_some() || self.filter.is_some() || self.top.is_some() {
            let text = "rows that name records go with neither filters, FetchXML nor `--top`";
            return Err(Error::Wish(text.to_owned()));
        }
        if self.saved.is_some() {
            let text = "files are not saved for rows that name records";
            return Err(Error::Wish(text.to_owned()));
        }
        let mut select: Vec<ColumnIndex> = Vec::with_capacity(self.columns.len());
        for shown in &self.columns {
            match &shown.from {
                From::Column(index) => select.push(*index),
                From::Companion(name) => {
                    return Err(Error::Wish(format!("`{name}` does not go with rows")));
                }
                From::Property(..) => {
                    let text = format!("`{}:display` does not go with rows", shown.header);
                    return Err(Error::Wish(text));
                }
            }
        }
        Ok(select)
    }
}
