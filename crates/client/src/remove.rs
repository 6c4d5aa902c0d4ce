//! Records out of existence: by ids from an input, or by a filter.
//!
//! One DELETE per record, several in flight. The ids of a filter are all read before the first record
//! is deleted (16 bytes each), so that pages do not shift underneath.
//! Not here: matching by other columns, deleting by a job of the service.
//! Invariant: nothing is deleted that the input or the filter does not name.

use crate::get::{self, Query, Reading};
use crate::ids::Seed;
use crate::problem::{Class, Problem, shortened};
use crate::report::{self, Errors, Rejects};
use crate::rows::{Block, Entry, Operation, Span};
use crate::sender::{self, BLOCKS_MAX, Event, Summary};
use crate::service::{self, Described, Service};
use crate::set::{self, Pace};
use crate::source::{self, Format, Line, Source};
use serde_json::Value as Json;
use std::path::PathBuf;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// What to delete, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table, by any of its names.
    pub table: String,
    /// A record that does not exist is no failure.
    pub if_exists: bool,
    /// How much at once, and how often.
    pub pace: Pace,
    /// Where rejected rows go.
    pub rejects: Option<PathBuf>,
    /// Where errors go.
    pub errors: Option<PathBuf>,
    /// For jitter.
    pub seed: Seed,
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
    /// Why a report file is not whole.
    pub report_error: Option<report::Error>,
}

/// The ids that a filter names.
pub async fn ids_of_filter(
    service: &Service,
    table: &str,
    filter: &str,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<Uuid>, Error> {
    let described = service.describe(table, |_, _| false).await?;
    let query = Query {
        table: described.table.logical_name.to_string(),
        columns: vec![described.table.primary_key_name().to_owned()],
        filter: Some(filter.to_owned()),
        page_size: get::PAGE_ROWS_MAX,
        ..Query::default()
    };
    let reading = Reading::prepare(service, &query, Format::Csv).await?;
    let take = |ids: &mut Vec<Uuid>, texts: &[String]| {
        ids.extend(texts.first().and_then(|text| Uuid::try_parse(text).ok()));
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
    /// Known ids.
    Ids(Vec<Uuid>),
}

/// Deletes records.
///
/// `observe` is told of every row and of progress. Errors: only what fails the whole.
pub async fn remove(
    service: &Service,
    options: &Options,
    input: Input,
    stop: Option<watch::Receiver<bool>>,
    observe: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Removed, Error> {
    let hint = service.width_hint().await?;
    let described = service.describe(&options.table, |_, _| false).await?;
    let (format, headers, ids) = open(input, &described).await?;
    let rejects =
        options.rejects.as_ref().map(|path| Rejects::create(path, format, &headers)).transpose()?;
    let table = &described.table.logical_name;
    let errors = options.errors.as_ref().map(|path| Errors::create(path, table, format, &headers));
    let (mut rejects, mut errors) = (rejects, errors.transpose()?);
    let mut report_error = None;
    let (sender, blocks) = mpsc::channel(BLOCKS_MAX);
    let reader = tokio::task::spawn_blocking(move || ids.pump(&sender));
    let settings = set::settings(&described, options.pace, hint, options.seed);
    let route = set::route(&described, options.if_exists);
    let summary = {
        let mut watched = |event: Event<'_>| {
            if let Event::Ended { row, problem: Some(problem), attempts, .. } = &event {
                let one = rejects.as_mut().map(|file| file.add(row, problem));
                let other = errors.as_mut().map(|file| file.add(row, problem, *attempts));
                for written in [one, other].into_iter().flatten() {
                    if let Err(err) = written {
                        report_error.get_or_insert(err);
                    }
                }
            }
            observe(event);
        };
        sender::run(service.transport(), &route, settings, blocks, stop, &mut watched).await
    };
    let read = match summary.halt {
        Some(_) if !reader.is_finished() => Ok(()),
        _ => reader.await?,
    };
    let finished = rejects.and_then(|file| file.finish().err());
    Ok(Removed { summary, input_error: read.err(), report_error: report_error.or(finished) })
}

/// Ids on their way to blocks.
enum Ids {
    Csv { source: source::Csv, place: usize, first: Option<String> },
    Ndjson { source: source::Ndjson, names: [String; 2] },
    Known(Vec<Uuid>),
}

async fn open(input: Input, described: &Described) -> Result<(Format, Vec<String>, Ids), Error> {
    let key = described.table.primary_key_name();
    let (bytes, format) = match input {
        Input::Ids(ids) => return Ok((Format::Csv, vec!["Id".to_owned()], Ids::Known(ids))),
        Input::Rows { bytes, format } => (bytes, format),
    };
    let source = tokio::task::spawn_blocking(move || Source::new(bytes, format)).await??;
    match source {
        Source::Ndjson(source) => {
            let names = ["Id".to_owned(), key.to_owned()];
            Ok((format, Vec::new(), Ids::Ndjson { source, names }))
        }
        Source::Csv(source) => {
            let headers = source.headers().to_vec();
            // Lines that are ids have no header: the first one is an id already.
            if let [only] = headers.as_slice()
                && Uuid::try_parse(only.trim()).is_ok()
            {
                let first = Some(only.clone());
                return Ok((format, vec!["Id".to_owned()], Ids::Csv { source, place: 0, first }));
            }
            let place = headers
                .iter()
                .position(|header| header.eq_ignore_ascii_case(key))
                .or_else(|| headers.iter().position(|header| header.eq_ignore_ascii_case("Id")))
                .ok_or_else(|| Error::NoIdColumn(key.into()))?;
            Ok((format, headers, Ids::Csv { source, place, first: None }))
        }
    }
}

impl Ids {
    fn pump(self, sender: &mpsc::Sender<Block>) -> Result<(), source::Error> {
        let mut maker = Maker { sender, block: Block::default(), ordinal: 0 };
        match self {
            Self::Known(ids) => {
                for id in ids {
                    let text = id.to_string();
                    let fields = csv::ByteRecord::from(vec![text.as_str()]);
                    let raw = maker.block.write(|out| source::keep_fields(out, &fields));
                    if !maker.add(0, raw, Ok(id)) {
                        return Ok(());
                    }
                }
            }
            Self::Csv { mut source, place, first } => {
                if let Some(text) = first {
                    let fields = csv::ByteRecord::from(vec![text.as_str()]);
                    let raw = maker.block.write(|out| source::keep_fields(out, &fields));
                    maker.add(1, raw, parse(&text));
                }
                while let Some((line, fields)) = source.next()? {
                    let raw = maker.block.write(|out| source::keep_fields(out, fields));
                    let text = fields.get(place).and_then(|field| std::str::from_utf8(field).ok());
                    if !maker.add(line, raw, parse(text.unwrap_or_default())) {
                        return Ok(());
                    }
                }
            }
            Self::Ndjson { mut source, names } => {
                while let Some((line, text)) = source.next()? {
                    let (raw, id) = match text {
                        Line::TooLong => {
                            let text = "the line is too long";
                            (Span::default(), Err(Problem::new(Class::Input, text)))
                        }
                        Line::Text(text) => {
                            let raw = maker.block.write(|out| out.extend_from_slice(text));
                            (raw, id_of_json(text, &names))
                        }
                    };
                    if !maker.add(line, raw, id) {
                        return Ok(());
                    }
                }
            }
        }
        maker.hand_on();
        Ok(())
    }
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

/// The id of an object, of a text, or of a line that is one.
fn id_of_json(line: &[u8], names: &[String]) -> Result<Uuid, Problem> {
    match serde_json::from_slice(line) {
        Ok(Json::Object(members)) => {
            let id = members.iter().find(|(name, value)| {
                value.is_string() && names.iter().any(|other| other.eq_ignore_ascii_case(name))
            });
            parse(id.and_then(|(_, value)| value.as_str()).unwrap_or_default())
        }
        Ok(Json::String(text)) => parse(&text),
        _ => parse(&String::from_utf8_lossy(line)),
    }
}

/// Makes blocks of ids.
struct Maker<'a> {
    sender: &'a mpsc::Sender<Block>,
    block: Block,
    ordinal: u64,
}

impl Maker<'_> {
    /// Whether more is wanted.
    fn add(&mut self, line: u64, raw: Span, id: Result<Uuid, Problem>) -> bool {
        let address = match &id {
            Ok(id) => self.block.write(|out| out.extend_from_slice(id.to_string().as_bytes())),
            Err(_) => Span::default(),
        };
        let (id, problem) = match id {
            Ok(id) => (Some(id), None),
            Err(problem) => (None, Some(Box::new(problem))),
        };
        self.block.push(Entry {
            ordinal: self.ordinal,
            line,
            operation: Operation::Delete,
            body: Span::default(),
            address,
            raw,
            id,
            id_is_ours: false,
            mark: id.map(|id| id.as_u64_pair().0 ^ id.as_u64_pair().1),
            problem,
        });
        self.ordinal += 1;
        !self.block.is_full() || self.hand_on()
    }

    fn hand_on(&mut self) -> bool {
        let block = std::mem::take(&mut self.block);
        block.is_empty() || self.sender.blocking_send(block).is_ok()
    }
}
