//! Pairs of a many-to-many table to take apart: both ids of a row, or the pairs that its key or its other
//! columns name.
//!
//! Not here: requests (`pairs`, `request`). Invariant: a row that names several pairs names none, unless
//! all are meant.

use super::{Error, Record};
use crate::ask::Question;
use crate::encode::{Draft, Drafter};
use crate::journal::Outcome;
use crate::lookup::{self, Lookups};
use crate::mapping::{Mapper, Rules};
use crate::matching::{self, Match};
use crate::pairs::{Pairs, id_of};
use crate::problem::{Class, Problem};
use crate::resolve::WINDOW_ROWS;
use crate::rows::{Block, Entry, Operation};
use crate::run::Selection;
use crate::sender::BLOCKS_MAX;
use crate::service::{self, Described, Service};
use crate::source::{self, Format, Source};
use model::{Cell, ColumnIndex, Uuid, Value};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What names pairs.
pub(super) struct Rows {
    from: From,
    finding: Finding,
}

enum From {
    Source(Box<Source>, Box<Drafter>),
    Known(Vec<Record>),
}

/// What finds them.
pub(super) struct Finding {
    service: Service,
    described: Described,
    pairs: Arc<Pairs>,
    lists: Vec<Vec<ColumnIndex>>,
    lookups: Lookups,
    rows_max: usize,
    allow_multiple: bool,
    headers: Vec<(&'static str, String)>,
}

impl Rows {
    /// Reads as far as the headers, which are answered.
    pub(super) async fn open(
        service: &Service,
        described: &Described,
        pairs: Arc<Pairs>,
        options: &super::Options,
        input: super::Input,
    ) -> Result<(Format, Vec<String>, Self), Error> {
        let lists = matching::lists(&described.table, &options.match_on).map_err(Error::Match)?;
        let headers = options.call.headers.clone();
        let lookups = Lookups::new(
            pairs.described.clone(),
            lookup::Rules::default(),
            options.retrieval_size,
            headers.clone(),
        )
        .map_err(Error::Match)?;
        let ends = pairs.ends.iter().map(|end| end.column);
        let columns: Vec<ColumnIndex> = ends.chain(lists.iter().flatten().copied()).collect();
        let finding = Finding {
            service: service.clone(),
            described: described.clone(),
            pairs: Arc::clone(&pairs),
            lists,
            lookups,
            rows_max: options.retrieval_size,
            allow_multiple: options.allow_multiple,
            headers,
        };
        let (bytes, format) = match input {
            super::Input::Records(records) => {
                let from = From::Known(records);
                return Ok((Format::Csv, vec!["Id".to_owned()], Self { from, finding }));
            }
            super::Input::Rows { bytes, format } => (bytes, format),
        };
        let source = tokio::task::spawn_blocking(move || Source::new(bytes, format)).await??;
        let Described { table, catalog } = pairs.described.clone();
        let mapper = Mapper::new(table, catalog, Rules::default()).naming(columns);
        let (mapper, headers) = match &source {
            Source::Csv(csv) => (mapper.with_headers(csv.headers())?, csv.headers().to_vec()),
            Source::Objects(_) => (mapper, Vec::new()),
        };
        let selection: Option<Selection> = options.selection.clone();
        let drafter = Drafter::new(mapper, selection);
        let from = From::Source(Box::new(source), Box::new(drafter));
        Ok((format, headers, Self { from, finding }))
    }

    /// Starts reading.
    pub(super) fn start(
        self,
    ) -> (JoinHandle<Result<(), source::Error>>, Finding, mpsc::Receiver<Vec<Draft>>) {
        let Self { from, finding } = self;
        let (sender, drafts) = mpsc::channel(BLOCKS_MAX);
        let reader = tokio::task::spawn_blocking(move || match from {
            From::Source(mut source, mut drafter) => {
                source.pump(&mut drafter, |drafts| sender.blocking_send(drafts).is_ok())
            }
            From::Known(records) => {
                for (part, records) in records.chunks(WINDOW_ROWS).enumerate() {
                    let first = (part * WINDOW_ROWS) as u64;
                    let drafts = (first..).zip(records).map(|(ordinal, record)| {
                        let mut raw = Vec::new();
                        let id = record.id.to_string();
                        source::keep_fields(&mut raw, &csv::ByteRecord::from(vec![id]));
                        Draft { ordinal, raw, id: Some(record.id), ..Draft::default() }
                    });
                    if sender.blocking_send(drafts.collect()).is_err() {
                        break;
                    }
                }
                Ok(())
            }
        });
        (reader, finding, drafts)
    }
}

impl Finding {
    /// Finds pairs until there are no more rows, or nobody wants their blocks.
    ///
    /// Errors: a question that the service does not answer; rows that were not handed on are not sent.
    pub(super) async fn run(
        mut self,
        mut drafts: mpsc::Receiver<Vec<Draft>>,
        if_exists: bool,
        blocks: mpsc::Sender<Block>,
    ) -> Result<(), service::Error> {
        while let Some(mut window) = drafts.recv().await {
            while window.len() < WINDOW_ROWS
                && let Ok(more) = drafts.try_recv()
            {
                window.extend(more);
            }
            let named = self.find(&mut window).await?;
            let mut block = Block::default();
            for (draft, named) in window.iter().zip(named) {
                self.add(&mut block, draft, named, if_exists);
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

    /// The pairs that each row names.
    async fn find(
        &mut self,
        drafts: &mut [Draft],
    ) -> Result<Vec<Result<Vec<[Uuid; 2]>, Problem>>, service::Error> {
        self.lookups.settle(&self.service, drafts).await?;
        let mut named: Vec<Option<Result<Vec<[Uuid; 2]>, Problem>>> = Vec::new();
        for draft in drafts.iter_mut() {
            let ids = self.pairs.ids(draft);
            // The columns of the table itself are plain ids.
            for cell in &mut draft.cells {
                if let Some(id) = id_of(&cell.value) {
                    cell.value = Value::Guid(id);
                }
            }
            let has_key = draft.id.is_some()
                || self.lists.iter().any(|list| matching::values_of(draft, list).is_some());
            named.push(match (draft.problem.take(), ids) {
                (Some(problem), _) => Some(Err(problem)),
                (None, [Some(one), Some(two)]) => Some(Ok(vec![[one, two]])),
                (None, _) if has_key => None,
                (None, ids) => Some(Err(self.pairs.lacks(ids))),
            });
        }
        let looking: Vec<&Draft> = drafts
            .iter()
            .zip(&named)
            .filter(|(_, named)| named.is_none())
            .map(|(draft, _)| draft)
            .collect();
        let question = Question {
            service: &self.service,
            table: &self.described.table,
            catalog: &self.described.catalog,
            headers: &self.headers,
        };
        let matching = Match { question, lists: &self.lists, rows_max: self.rows_max };
        let columns = self.pairs.ends.each_ref().map(|end| end.column);
        let mut found = matching.find(&looking, &columns).await?.into_iter();
        let settled = named.into_iter().map(|named| {
            named.unwrap_or_else(|| {
                let records = found.next().unwrap_or_default();
                if records.len() > 1 && !self.allow_multiple {
                    let ids = records.iter().filter_map(|record| record.id);
                    return Err(matching::ambiguous(records.len(), ids));
                }
                let pair = |cells: &[Cell]| {
                    let [one, two] = columns.map(|column| {
                        let cell = cells.iter().find(|cell| cell.column == column);
                        cell.and_then(|cell| id_of(&cell.value))
                    });
                    Some([one?, two?])
                };
                Ok(records.iter().filter_map(|record| pair(&record.cells)).collect())
            })
        });
        Ok(settled.collect())
    }

    /// The entries of a row.
    fn add(
        &self,
        block: &mut Block,
        draft: &Draft,
        named: Result<Vec<[Uuid; 2]>, Problem>,
        if_exists: bool,
    ) {
        let raw = block.write(|out| out.extend_from_slice(&draft.raw));
        let entry = Entry {
            ordinal: draft.ordinal,
            line: draft.line,
            operation: Operation::Disassociate,
            raw,
            sent: draft.sent,
            ..Entry::default()
        };
        let pairs = match named {
            Err(problem) => {
                return block.push(Entry { problem: Some(Box::new(problem)), ..entry });
            }
            Ok(pairs) => pairs,
        };
        if pairs.is_empty() {
            block.push(match (draft.sent.is_sure(), if_exists) {
                // What was sent before and is not there any more was ended by that.
                (true, _) => Entry { settled: Some(Outcome::Deleted), ..entry },
                (_, true) => Entry { settled: Some(Outcome::Absent), ..entry },
                (_, false) => {
                    let problem = Problem::new(Class::Absent, "no pair matches the row");
                    Entry { problem: Some(Box::new(problem)), ..entry }
                }
            });
            return;
        }
        let parts = u16::try_from(pairs.len()).unwrap_or(u16::MAX);
        for ids in pairs {
            let mut entry = Entry { parts, ..entry.clone() };
            self.pairs.write(block, &mut entry, Operation::Disassociate, ids);
            block.push(entry);
        }
    }
}
