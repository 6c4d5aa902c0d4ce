//! Records out of existence: by ids from an input, or by a filter.
//!
//! `DeleteMultiple` where the table has it, else `$batch`, or one DELETE for each at batch size 1. The ids of a filter are all read before the first record
//! is deleted (16 bytes each, and the partition), so that pages do not shift underneath. A record of an
//! elastic table is named by its id and, where it has one, its partition.
//! Rows without ids are matched by other columns, many with one question (`matched`). Pairs of a
//! many-to-many table are taken apart (`pairs`).
//! A job of the service does it by itself (`job`).
//! Invariant: nothing is deleted that the input or the filter does not name.

pub mod job;
mod matched;
mod pairs;

use crate::confirm::Asker;
use crate::controller::Setting;
use crate::filter::Wanted;
use crate::get::{self, Query, Reading};
use crate::ids::Seed;
use crate::journal::log::Log;
use crate::mapping;
use crate::matching::Finder;
use crate::pairs::Pairs;
use crate::problem::{Class, Problem, shortened};
use crate::report::{self, Head, PassTo, Reports};
use crate::request::Route;
use crate::rows::{Block, Entry, Operation, Sent, Span};
use crate::run::{Selection, Take};
use crate::sender::{self, BLOCKS_MAX, Event, Settings, Summary};
use crate::service::{self, Described, Service};
use crate::set::{self, Call, Care, Pace};
use crate::source::{self, Format, Line, Source};
use futures_util::future::{BoxFuture, Either, select};
use model::partition::{self, PARTITION};
use model::{Table, TableKind};
use serde_json::Value as Json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// What to delete, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table, by any of its names.
    pub table: String,
    /// A record that does not exist is no failure.
    pub if_exists: bool,
    /// Columns that rows are matched by; the first list that finds something counts.
    pub match_on: Vec<Vec<String>>,
    /// Every record that a row matches is deleted.
    pub allow_multiple: bool,
    /// Records that are asked for at once.
    pub retrieval_size: usize,
    /// How much at once, and how often.
    pub pace: Pace,
    /// Where rejected rows go.
    pub rejects: Option<PathBuf>,
    /// Where errors go.
    pub errors: Option<PathBuf>,
    /// For jitter.
    pub seed: Seed,
    /// Which rows are sent; all where there is no run to go on with.
    pub selection: Option<Selection>,
    /// What is done about failures.
    pub care: Care,
    /// What goes on every request.
    pub call: Call,
    /// How records travel.
    pub via: Via,
    /// Nothing is deleted.
    pub what_if: bool,
    /// Who is asked before a batch leaves.
    pub confirm: Option<Asker>,
    /// Where rows that ended well go, as JSON objects with id and outcome.
    pub pass_thru: Option<PassTo>,
    /// They go there in input order.
    pub ordered: bool,
}

/// How records to delete travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// In bulk messages where the table has them, else in `$batch`.
    #[default]
    Auto,
    /// In `$batch`.
    Batch,
    /// In bulk messages.
    Multiple,
}

/// Why a removal failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// The input.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Reading the ids that a filter names.
    #[error(transparent)]
    Get(#[from] get::Error),
    /// What rows are to be matched on.
    #[error("{0}")]
    Match(Problem),
    /// The headers.
    #[error(transparent)]
    Headers(#[from] mapping::HeaderError),
    /// A report file.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// No column holds ids.
    #[error("the input has no column `Id` or `{0}`")]
    NoIdColumn(Box<str>),
    /// Reading panicked.
    #[error("reading the input broke off")]
    Reader(#[from] tokio::task::JoinError),
}

/// How a removal ended.
#[derive(Debug)]
pub struct Removed {
    /// The accounts.
    pub summary: Summary,
    /// Why the input was not read to its end.
    pub input_error: Option<source::Error>,
    /// Why records could not be looked for; rows behind that were not sent.
    pub look_error: Option<service::Error>,
    /// Why a report file is not whole.
    pub report_error: Option<report::Error>,
}

/// A record to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its primary key.
    pub id: Uuid,
    /// Its partition, where it has one.
    pub partition: Option<Box<str>>,
}

/// The records that a filter names.
pub async fn records_of_filter(
    service: &Service,
    table: &str,
    filter: &str,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<Record>, Error> {
    let described = service.describe(table, |_, _| false).await?;
    let mut columns = vec![described.table.primary_key_name().to_owned()];
    if described.table.kind == TableKind::Elastic {
        columns.push(PARTITION.to_owned());
    }
    let query = Query {
        table: described.table.logical_name.to_string(),
        columns,
        wanted: Wanted { filters: vec![filter.to_owned()], ..Wanted::default() },
        page_size: get::PAGE_ROWS_MAX,
        ..Query::default()
    };
    let reading = Reading::prepare(service, &query, Format::Csv).await?;
    let take = |records: &mut Vec<Record>, texts: &[String]| {
        let id = texts.first().and_then(|text| Uuid::try_parse(text).ok());
        let partition = partition_of(texts.get(1).map(String::as_str));
        records.extend(id.map(|id| Record { id, partition }));
    };
    Ok(reading.texts(Vec::new(), take, progress).await?.0)
}

/// Where ids come from.
pub enum Input {
    /// Rows with an id, or lines that are ids.
    Rows {
        /// The bytes.
        bytes: source::Bytes,
        /// How they are written.
        format: Format,
    },
    /// Known records.
    Records(Vec<Record>),
}

/// Deletes records.
///
/// `observe` is told of every row and of progress. Errors: only what fails the whole.
pub async fn remove(
    service: &Service,
    options: &Options,
    input: Input,
    stop: Option<watch::Receiver<bool>>,
    log: Option<&mut Log>,
    observe: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Removed, Error> {
    let hint = service.width_hint().await?;
    let lists = &options.match_on;
    let described = service
        .describe(&options.table, |table, index| {
            lists.iter().flatten().any(|name| mapping::find(table, name) == Some(index))
        })
        .await?;
    let pairs = Pairs::if_any(service, &described.table).await?;
    let has_bulk = bulk(service, &described.table, options, pairs.is_some()).await?;
    let (format, headers, from) =
        source_of(service, &described, options, pairs.clone(), input).await?;
    let head = options.ordered.then(Head::default);
    let wanted = report::Wanted {
        rejects: options.rejects.as_deref(),
        errors: options.errors.as_deref(),
        pass: options.pass_thru.clone(),
        head: head.clone(),
        selection: options.selection.clone(),
    };
    let mut reports = Reports::create(wanted, &described.table.logical_name, format, &headers)?;
    let (sender, blocks) = mpsc::channel(BLOCKS_MAX);
    let of_table = described.table.clone();
    let selection = options.selection.clone();
    let (reader, looking): (_, BoxFuture<'_, _>) = match from {
        From::Ids(ids) => {
            let pump = move || ids.pump(&sender, of_table, selection);
            (tokio::task::spawn_blocking(pump), Box::pin(async { Ok(()) }))
        }
        From::Rows(rows) => {
            let (reader, finding) = rows.start();
            (reader, Box::pin(finding.run(of_table, options.if_exists, sender)))
        }
        From::Pairs(rows) => {
            let (reader, finding, drafts) = rows.start();
            (reader, Box::pin(finding.run(drafts, options.if_exists, sender)))
        }
    };
    let settings =
        set::settings(&described, options.pace, options.care, has_bulk, hint, options.seed);
    let settings =
        Settings { what_if: options.what_if, confirm: options.confirm.clone(), head, ..settings };
    let route = Route {
        pairs: pairs.as_ref().map(|pairs| pairs.way()),
        ..set::route(&described, options.if_exists, &options.call)
    };
    let (mut summary, looked) = {
        let mut watched = |event: Event<'_>| {
            reports.take(&event);
            observe(event);
        };
        let transport = service.transport();
        let sending = sender::run(transport, &route, settings, blocks, stop, log, &mut watched);
        match select(std::pin::pin!(sending), looking).await {
            // It was stopped: nobody looks any more.
            Either::Left((summary, _)) => (summary, Ok(())),
            Either::Right((looked, sending)) => (sending.await, looked),
        }
    };
    if let Some(selection) = &options.selection {
        summary.counts.include(&selection.earlier());
    }
    let is_cut = summary.halt.is_some() || looked.is_err();
    let read = match is_cut && !reader.is_finished() {
        true => Ok(()),
        false => reader.await?,
    };
    Ok(Removed {
        summary,
        input_error: read.err(),
        look_error: looked.err(),
        report_error: reports.finish(),
    })
}

/// Where the records of blocks come from.
enum From {
    Ids(Box<Ids>),
    Rows(Box<matched::Rows>),
    Pairs(Box<pairs::Rows>),
}

/// Which bulk messages are used.
async fn bulk(
    service: &Service,
    table: &Table,
    options: &Options,
    are_pairs: bool,
) -> Result<[bool; Operation::ALL.len()], Error> {
    let none = [false; Operation::ALL.len()];
    let has_bulk = match options.pace.size {
        Setting::Fixed(1) => none,
        _ if are_pairs => none,
        _ => service.bulk_messages(table).await?,
    };
    match options.via {
        Via::Auto => Ok(has_bulk),
        Via::Batch => Ok(none),
        Via::Multiple if has_bulk[Operation::Delete as usize] => Ok(has_bulk),
        Via::Multiple => {
            let name = &table.logical_name;
            let text = format!("table `{name}` has no `DeleteMultiple`, or not for single rows");
            Err(Error::Match(Problem::new(Class::Usage, text)))
        }
    }
}

/// Opens the input, as far as its headers.
async fn source_of(
    service: &Service,
    described: &Described,
    options: &Options,
    pairs: Option<Arc<Pairs>>,
    input: Input,
) -> Result<(Format, Vec<String>, From), Error> {
    if let Some(pairs) = pairs {
        let opened = pairs::Rows::open(service, described, pairs, options, input).await?;
        return Ok((opened.0, opened.1, From::Pairs(Box::new(opened.2))));
    }
    match input {
        Input::Rows { bytes, format } if !options.match_on.is_empty() => {
            let finder = Finder::new(
                service,
                described,
                &options.match_on,
                options.retrieval_size,
                options.allow_multiple,
                options.call.headers.clone(),
            )
            .map_err(Error::Match)?;
            let selection = options.selection.clone();
            let (headers, rows) =
                matched::open(finder, described, bytes, format, selection).await?;
            Ok((format, headers, From::Rows(Box::new(rows))))
        }
        input => {
            let (format, headers, ids) = open(input, described).await?;
            Ok((format, headers, From::Ids(Box::new(ids))))
        }
    }
}

/// Ids on their way to blocks.
enum Ids {
    Csv { source: source::Csv, place: usize, partition: Option<usize>, first: Option<String> },
    Objects { source: source::Objects, names: [String; 2] },
    Known(Vec<Record>),
}

async fn open(input: Input, described: &Described) -> Result<(Format, Vec<String>, Ids), Error> {
    let key = described.table.primary_key_name();
    let is_elastic = described.table.kind == TableKind::Elastic;
    let (bytes, format) = match input {
        Input::Records(records) => {
            let headers = ["Id", PARTITION].into_iter().take(1 + usize::from(is_elastic));
            let headers = headers.map(str::to_owned).collect();
            return Ok((Format::Csv, headers, Ids::Known(records)));
        }
        Input::Rows { bytes, format } => (bytes, format),
    };
    let source = tokio::task::spawn_blocking(move || Source::new(bytes, format)).await??;
    match source {
        Source::Objects(source) => {
            let names = ["Id".to_owned(), key.to_owned()];
            Ok((format, Vec::new(), Ids::Objects { source, names }))
        }
        Source::Csv(source) => {
            let headers = source.headers().to_vec();
            // Lines that are ids have no header: the first one is an id already.
            if let [only] = headers.as_slice()
                && Uuid::try_parse(only.trim()).is_ok()
            {
                let first = Some(only.clone());
                let ids = Ids::Csv { source, place: 0, partition: None, first };
                return Ok((format, vec!["Id".to_owned()], ids));
            }
            let of =
                |name: &str| headers.iter().position(|header| header.eq_ignore_ascii_case(name));
            let place =
                of(key).or_else(|| of("Id")).ok_or_else(|| Error::NoIdColumn(key.into()))?;
            let partition = of(PARTITION).filter(|_| is_elastic);
            Ok((format, headers, Ids::Csv { source, place, partition, first: None }))
        }
    }
}

impl Ids {
    fn pump(
        self,
        sender: &mpsc::Sender<Block>,
        table: Arc<Table>,
        selection: Option<Selection>,
    ) -> Result<(), source::Error> {
        let mut maker = Maker { sender, table, selection, block: Block::default(), ordinal: 0 };
        match self {
            Self::Known(records) => {
                for record in records {
                    let id = record.id.to_string();
                    let mut fields = csv::ByteRecord::from(vec![id.as_str()]);
                    if maker.table.kind == TableKind::Elastic {
                        fields.push_field(record.partition.as_deref().unwrap_or("").as_bytes());
                    }
                    let raw = maker.block.write(|out| source::keep_fields(out, &fields));
                    if !maker.add(0, raw, Ok(record)) {
                        return Ok(());
                    }
                }
            }
            Self::Csv { mut source, place, partition, first } => {
                if let Some(text) = first {
                    let fields = csv::ByteRecord::from(vec![text.as_str()]);
                    let raw = maker.block.write(|out| source::keep_fields(out, &fields));
                    maker.add(1, raw, parse(&text).map(|id| Record { id, partition: None }));
                }
                while let Some((line, fields)) = source.next()? {
                    let raw = maker.block.write(|out| source::keep_fields(out, fields));
                    let text =
                        |place| fields.get(place).and_then(|field| std::str::from_utf8(field).ok());
                    let partition = partition_of(partition.and_then(text));
                    let id = parse(text(place).unwrap_or_default());
                    if !maker.add(line, raw, id.map(|id| Record { id, partition })) {
                        return Ok(());
                    }
                }
            }
            Self::Objects { mut source, names } => {
                while let Some((line, text)) = source.next()? {
                    let (raw, record) = match text {
                        Line::TooLong => {
                            let text = "the row is too long";
                            (Span::default(), Err(Problem::new(Class::Input, text)))
                        }
                        Line::Text(text) => {
                            let raw = maker.block.write(|out| out.extend_from_slice(text));
                            (raw, record_of_json(text, &names))
                        }
                    };
                    if !maker.add(line, raw, record) {
                        return Ok(());
                    }
                }
            }
        }
        maker.hand_on();
        Ok(())
    }
}

/// No text is no partition.
fn partition_of(text: Option<&str>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(Box::from)
}

fn parse(text: &str) -> Result<Uuid, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::new(Class::Usage, "the row has no id"));
    }
    Uuid::try_parse(text).map_err(|_| {
        Problem::new(Class::Conversion, format!("`{}` is no unique identifier", shortened(text)))
    })
}

/// The record that an object names, or the id in a text or in a line that is one.
fn record_of_json(line: &[u8], names: &[String]) -> Result<Record, Problem> {
    let alone = |id| Record { id, partition: None };
    match serde_json::from_slice(line) {
        Ok(Json::Object(members)) => {
            let id = members.iter().find(|(name, value)| {
                value.is_string() && names.iter().any(|other| other.eq_ignore_ascii_case(name))
            });
            let partition = partition_of(members.get(PARTITION).and_then(Json::as_str));
            let id = parse(id.and_then(|(_, value)| value.as_str()).unwrap_or_default());
            id.map(|id| Record { id, partition })
        }
        Ok(Json::String(text)) => parse(&text).map(alone),
        _ => parse(&String::from_utf8_lossy(line)).map(alone),
    }
}

/// A record as a member of the targets of `DeleteMultiple`.
pub(crate) fn write_body(out: &mut Vec<u8>, table: &Table, id: Uuid, partition: Option<&str>) {
    let mut body = serde_json::json!({
        "@odata.type": format!("Microsoft.Dynamics.CRM.{}", table.logical_name),
        table.primary_key_name(): id.to_string(),
    });
    if let Some(partition) = partition {
        body[PARTITION] = partition.into();
    }
    out.extend_from_slice(body.to_string().as_bytes());
}

/// Makes blocks of records.
struct Maker<'a> {
    sender: &'a mpsc::Sender<Block>,
    table: Arc<Table>,
    selection: Option<Selection>,
    block: Block,
    ordinal: u64,
}

impl Maker<'_> {
    /// Whether more is wanted.
    fn add(&mut self, line: u64, raw: Span, record: Result<Record, Problem>) -> bool {
        let sent = match self.selection.as_ref().map(|it| it.take(self.ordinal)) {
            Some(Take::Skip) => {
                self.ordinal += 1;
                return true;
            }
            Some(Take::Send(sent)) => sent,
            None => Sent::No,
        };
        let mut body = Span::default();
        let address = match &record {
            Ok(Record { id, partition }) => {
                body =
                    self.block.write(|out| write_body(out, &self.table, *id, partition.as_deref()));
                let key = partition::key(&self.table, *id, partition.as_deref());
                let mut address = String::new();
                wire::reference::write_key(&mut address, &self.table, &key);
                self.block.write(|out| out.extend_from_slice(address.as_bytes()))
            }
            Err(_) => Span::default(),
        };
        let (id, problem) = match record {
            Ok(record) => (Some(record.id), None),
            Err(problem) => (None, Some(Box::new(problem))),
        };
        self.block.push(Entry {
            ordinal: self.ordinal,
            line,
            operation: Operation::Delete,
            body,
            address,
            raw,
            sent,
            id,
            mark: id.map(|id| id.as_u64_pair().0 ^ id.as_u64_pair().1),
            problem,
            ..Entry::default()
        });
        self.ordinal += 1;
        !self.block.is_full() || self.hand_on()
    }

    fn hand_on(&mut self) -> bool {
        let block = std::mem::take(&mut self.block);
        block.is_empty() || self.sender.blocking_send(block).is_ok()
    }
}
