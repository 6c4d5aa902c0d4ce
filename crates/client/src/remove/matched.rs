//! Rows that name the records to delete by other columns than their key.
//!
//! In: rows in windows. Out: blocks with an entry for each record that is named.
//! Not here: how records are found (`matching`). Invariant: a row that names several records names none,
//! unless all are meant.

use super::{Error, write_body};
use crate::encode::{self, Draft, Drafter};
use crate::journal::Outcome;
use crate::mapping::{Mapper, Rules};
use crate::matching::{self, Finder};
use crate::problem::{Class, Problem};
use crate::resolve::WINDOW_ROWS;
use crate::rows::{Block, Entry, Operation};
use crate::run::Selection;
use crate::sender::BLOCKS_MAX;
use crate::service::{self, Described};
use crate::source::{self, Bytes, Format, Source};
use model::{Table, Uuid, partition};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A record to delete: its primary key, and its partition where it has one.
type Named = (Uuid, Option<Box<str>>);

/// An input that is ready to be read.
pub(super) struct Rows {
    source: Source,
    drafter: Drafter,
    finder: Finder,
}

/// Rows on their way to blocks.
pub(super) struct Finding {
    drafts: mpsc::Receiver<Vec<Draft>>,
    finder: Finder,
}

/// Reads as far as the headers.
pub(super) async fn open(
    finder: Finder,
    described: &Described,
    bytes: Bytes,
    format: Format,
    selection: Option<Selection>,
) -> Result<(Vec<String>, Rows), Error> {
    let source = tokio::task::spawn_blocking(move || Source::new(bytes, format)).await??;
    let Described { table, catalog } = described.clone();
    let mapper = Mapper::new(table, catalog, Rules::default()).naming(finder.columns());
    let (mapper, headers) = match source.headers() {
        Some(headers) => (mapper.with_headers(headers)?, headers.to_vec()),
        None => (mapper, Vec::new()),
    };
    Ok((headers, Rows { source, drafter: Drafter::new(mapper, selection), finder }))
}

impl Rows {
    /// Starts reading.
    pub(super) fn start(self) -> (JoinHandle<Result<(), source::Error>>, Finding) {
        let Self { mut source, mut drafter, finder } = self;
        let (sender, drafts) = mpsc::channel(BLOCKS_MAX);
        let reader = tokio::task::spawn_blocking(move || {
            source.pump(&mut drafter, |drafts| sender.blocking_send(drafts).is_ok())
        });
        (reader, Finding { drafts, finder })
    }
}

impl Finding {
    /// Finds records until there are no more rows, or nobody wants their blocks.
    ///
    /// Errors: a question that the service does not answer; rows that were not handed on are not sent.
    pub(super) async fn run(
        mut self,
        table: Arc<Table>,
        if_exists: bool,
        blocks: mpsc::Sender<Block>,
    ) -> Result<(), service::Error> {
        while let Some(mut window) = self.drafts.recv().await {
            while window.len() < WINDOW_ROWS
                && let Ok(more) = self.drafts.try_recv()
            {
                window.extend(more);
            }
            let found = self.finder.find(&mut window, &[]).await?;
            let mut block = Block::default();
            block.looked = window.len();
            for (draft, found) in window.into_iter().zip(found) {
                let named = found.map(|records| {
                    let named = records.into_iter().filter_map(|record| {
                        let partition = matching::partition_of(&table, &record.cells);
                        record.id.map(|id| (id, partition))
                    });
                    named.collect()
                });
                add(&mut block, &table, &draft, named, if_exists);
                if block.is_full() && blocks.send(std::mem::take(&mut block)).await.is_err() {
                    return Ok(());
                }
            }
            if !block.is_empty() && blocks.send(block).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The entries of a row.
fn add(
    block: &mut Block,
    table: &Table,
    draft: &Draft,
    named: Result<Vec<Named>, Problem>,
    if_exists: bool,
) {
    let raw = block.write(|out| out.extend_from_slice(&draft.raw));
    let entry = Entry {
        ordinal: draft.ordinal,
        line: draft.line,
        operation: Operation::Delete,
        raw,
        sent: draft.sent,
        ..Entry::default()
    };
    let records = match named {
        Err(problem) => {
            block.push(Entry { problem: Some(Box::new(problem)), ..entry });
            return;
        }
        Ok(records) if records.is_empty() => {
            // What was sent before and is not there any more was deleted by that.
            if draft.sent.is_sure() {
                block.push(Entry { settled: Some(Outcome::Deleted), ..entry });
                return;
            }
            block.push(match if_exists {
                true => Entry { settled: Some(Outcome::Absent), ..entry },
                false => {
                    let problem = Problem::new(Class::Absent, "no record matches the row");
                    Entry { problem: Some(Box::new(problem)), ..entry }
                }
            });
            return;
        }
        Ok(records) => records,
    };
    let parts = u16::try_from(records.len()).unwrap_or(u16::MAX);
    for (id, partition) in records {
        let body = block.write(|out| write_body(out, table, id, partition.as_deref()));
        let key = partition::key(table, id, partition.as_deref());
        let mut address = String::new();
        wire::reference::write_key(&mut address, table, &key);
        let address = block.write(|out| out.extend_from_slice(address.as_bytes()));
        let mark = Some(encode::mark_of_id(id));
        block.push(Entry { body, address, id: Some(id), mark, parts, ..entry.clone() });
    }
}
