//! Rows into a table: from an input to outcomes and report files.
//!
//! Not here: sending (`sender`), printing (`cli`).
//! Invariant: nothing is sent before headers, keys and report files are known to be good.

use crate::controller::{SIZE_MAX, SIZE_MAX_ELASTIC, Setting};
use crate::encode::{self, Encoder, Plan};
use crate::ids::Seed;
use crate::journal::log::Log;
use crate::mapping::{self, HeaderError, Mapper, Rules};
use crate::problem::Problem;
use crate::report::{self, Errors, Rejects};
use crate::request::Route;
use crate::rows::{Block, Operation};
use crate::run::Selection;
use crate::sender::{self, BLOCKS_MAX, BODY_BYTES_MAX, ErrorsMax, Event, Settings, Summary};
use crate::service::{self, Described, Service};
use crate::source::{self, Format, Source};
use model::TableKind;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What to do with rows.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table, by any of its names.
    pub table: String,
    /// Every row is a new record.
    pub create_only: bool,
    /// The columns that rows are matched by; they must be an alternate key.
    pub match_on: Vec<String>,
    /// How rows are read.
    pub rules: Rules,
    /// How much is sent at once, and how often.
    pub pace: Pace,
    /// Where rejected rows go.
    pub rejects: Option<PathBuf>,
    /// Where errors go.
    pub errors: Option<PathBuf>,
    /// What ids grow from.
    pub seed: Seed,
    /// Which rows are sent; all where there is no run to go on with.
    pub selection: Option<Selection>,
    /// What is done about failures.
    pub care: Care,
    /// What goes on every request.
    pub call: Call,
    /// Nothing is written.
    pub what_if: bool,
}

/// What is done about failures.
#[derive(Clone, Copy, Debug)]
pub struct Care {
    /// After so many bad rows in one message its other rows travel in `$batch`.
    pub bisect_limit: u32,
    /// Rows of a refused message all fail.
    pub no_fallback: bool,
    /// A refusal that would hit every row does not stop the run.
    pub keep_going: bool,
    /// How many rows may fail.
    pub errors_max: Option<ErrorsMax>,
    /// How long throttling may go on.
    pub throttle_max: Option<Duration>,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            bisect_limit: sender::BISECT_LIMIT,
            no_fallback: false,
            keep_going: false,
            errors_max: None,
            throttle_max: None,
        }
    }
}

/// What goes on every request for a row.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The tag that custom logic sees.
    pub tag: Option<String>,
}

/// How much is sent at once, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Rows in a message.
    pub size: Setting,
    /// Requests in flight.
    pub width: Setting,
    /// Extra attempts for rows that failed.
    pub retries: u32,
    /// The wait before the first of them.
    pub initial_retry_delay: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            size: Setting::Auto,
            width: Setting::Auto,
            retries: 0,
            initial_retry_delay: Duration::from_secs(5),
        }
    }
}

/// Why a load failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// The input.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The headers.
    #[error(transparent)]
    Headers(#[from] HeaderError),
    /// `--match-on`.
    #[error("{0}")]
    MatchOn(Problem),
    /// A report file.
    #[error(transparent)]
    Report(#[from] report::Error),
    /// Reading panicked.
    #[error("reading the input broke off")]
    Reader(#[source] tokio::task::JoinError),
}

/// How a load ended.
#[derive(Debug)]
pub struct Loaded {
    /// The accounts.
    pub summary: Summary,
    /// Why the input was not read to its end.
    pub input_error: Option<source::Error>,
    /// Why a report file is not whole.
    pub report_error: Option<report::Error>,
    /// Columns of the input that the table does not have and that were left out.
    pub left_out: Vec<String>,
    /// Logical name of the table.
    pub table: Box<str>,
}

/// Where a table's rows go.
pub fn route(described: &Described, if_exists: bool, call: &Call) -> Route {
    let table = &described.table;
    Route {
        set: table.entity_set_name.clone(),
        primary_key: table.primary_key_name().into(),
        is_atomic: table.kind == TableKind::Standard,
        if_exists,
        headers: call.headers.clone(),
        query: call.tag.as_ref().map(|tag| format!("tag={}", service::escaped(tag))),
        described: Some(described.clone()),
    }
}

/// How to send to a table, of which `has_bulk` says what bulk messages it has.
pub fn settings(
    described: &Described,
    pace: Pace,
    care: Care,
    has_bulk: [bool; Operation::ALL.len()],
    hint: Option<usize>,
    seed: Seed,
) -> Settings {
    Settings {
        width: pace.width,
        width_hint: hint,
        size: pace.size,
        size_max: match described.table.kind {
            TableKind::Standard => SIZE_MAX,
            TableKind::Elastic => SIZE_MAX_ELASTIC,
        },
        bytes_max: BODY_BYTES_MAX,
        retries: pace.retries,
        initial_retry_delay: pace.initial_retry_delay,
        random: seed.random,
        has_bulk,
        bisect_limit: care.bisect_limit,
        no_fallback: care.no_fallback,
        keep_going: care.keep_going,
        errors_max: care.errors_max,
        throttle_max: care.throttle_max,
        what_if: false,
    }
}

/// Loads an input into a table.
///
/// `observe` is told of every row and of progress. Errors: only what fails the load as a whole.
pub async fn set(
    service: &Service,
    options: &Options,
    bytes: source::Bytes,
    format: Format,
    stop: Option<watch::Receiver<bool>>,
    log: Option<&mut Log>,
    observe: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Loaded, Error> {
    let hint = service.width_hint().await?;
    let source = open(bytes, format).await?;
    let headers = match &source {
        Source::Csv(csv) => csv.headers().to_vec(),
        Source::Ndjson(_) => Vec::new(),
    };
    let described = describe(service, &options.table, &source).await?;
    let table = described.table.clone();
    let mapper = Mapper::new(table.clone(), described.catalog.clone(), options.rules.clone());
    let mapper = match &source {
        Source::Csv(_) => mapper.with_headers(&headers)?,
        Source::Ndjson(_) => mapper,
    };
    let match_on = match options.match_on.as_slice() {
        [] => None,
        names => Some(encode::key_over(&table, names).map_err(Error::MatchOn)?),
    };
    let mut reports = Reports::create(options, &table.logical_name, format, &headers)?;
    let plan = Plan { create_only: options.create_only, match_on };
    let encoder = Encoder::new(mapper, described.catalog.clone(), plan, options.seed)
        .with_selection(options.selection.clone());
    let has_bulk = match options.pace.size {
        Setting::Fixed(1) => [false; Operation::ALL.len()],
        _ => service.bulk_messages(&table).await?,
    };
    let (sender, blocks) = mpsc::channel(BLOCKS_MAX);
    let reader = tokio::task::spawn_blocking(move || read(source, encoder, &sender));
    let settings = settings(&described, options.pace, options.care, has_bulk, hint, options.seed);
    let settings = Settings { what_if: options.what_if, ..settings };
    let route = route(&described, false, &options.call);
    let mut summary = {
        let mut watched = |event: Event<'_>| {
            reports.take(&event);
            observe(event);
        };
        sender::run(service.transport(), &route, settings, blocks, stop, log, &mut watched).await
    };
    if let Some(selection) = &options.selection {
        summary.counts.include(&selection.earlier());
    }
    let interrupted = summary.halt.is_some();
    // After a stop the reader may hang on a stream that gives nothing more: do not wait for it.
    let (read, left_out) = if interrupted && !reader.is_finished() {
        (Ok(()), Vec::new())
    } else {
        reader.await.map_err(Error::Reader)?
    };
    Ok(Loaded {
        summary,
        input_error: read.err(),
        report_error: reports.finish(),
        left_out,
        table: table.logical_name.clone(),
    })
}

async fn open(bytes: source::Bytes, format: Format) -> Result<Source, Error> {
    let opened = tokio::task::spawn_blocking(move || Source::new(bytes, format)).await;
    Ok(opened.map_err(Error::Reader)??)
}

/// The definition, with the tables of those lookups that the headers name. An NDJSON input may name
/// any of them that a caller may write.
async fn describe(service: &Service, name: &str, source: &Source) -> Result<Described, Error> {
    let headers = match source {
        Source::Csv(csv) => Some(csv.headers().to_vec()),
        Source::Ndjson(_) => None,
    };
    let described = service
        .describe(name, |table, index| match &headers {
            Some(headers) => {
                let found = headers.iter().filter_map(|header| mapping::find(table, header));
                found.collect::<HashSet<_>>().contains(&index)
            }
            None => table.column(index).valid_for_create,
        })
        .await?;
    Ok(described)
}

fn read(
    mut source: Source,
    mut encoder: Encoder,
    sender: &mpsc::Sender<Block>,
) -> (Result<(), source::Error>, Vec<String>) {
    let read = source.pump(&mut encoder, |block| sender.blocking_send(block).is_ok());
    (read, encoder.mapper().left_out().to_vec())
}

/// The report files of a run.
struct Reports {
    rejects: Option<Rejects>,
    errors: Option<Errors>,
    failed: Option<report::Error>,
}

impl Reports {
    fn create(
        options: &Options,
        table: &str,
        format: Format,
        headers: &[String],
    ) -> Result<Self, report::Error> {
        let goes_on = options.selection.is_some();
        let rejects = |path: &PathBuf| Rejects::create(path, format, headers, goes_on);
        let errors = |path: &PathBuf| Errors::create(path, table, format, headers, goes_on);
        Ok(Self {
            rejects: options.rejects.as_ref().map(rejects).transpose()?,
            errors: options.errors.as_ref().map(errors).transpose()?,
            failed: None,
        })
    }

    fn take(&mut self, event: &Event<'_>) {
        let Event::Ended { row, problem: Some(problem), attempts, is_partial, .. } = event else {
            return;
        };
        let rejects = self.rejects.as_mut().map(|file| file.add(row, problem));
        let errors =
            self.errors.as_mut().map(|file| file.add(row, problem, *attempts, *is_partial));
        for written in [rejects, errors].into_iter().flatten() {
            if let Err(err) = written {
                self.failed.get_or_insert(err);
            }
        }
    }

    fn finish(self) -> Option<report::Error> {
        let finished = self.rejects.and_then(|file| file.finish().err());
        self.failed.or(finished)
    }
}

/// Whether two paths mean the same file, as far as can be told before either is written.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
