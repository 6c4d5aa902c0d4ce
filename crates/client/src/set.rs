//! Rows into a table: from an input to outcomes and report files.
//!
//! Not here: sending (`sender`), printing (`cli`).
//! Invariant: nothing is sent before headers, keys and report files are known to be good.

use crate::confirm::Asker;
use crate::controller::{SIZE_MAX, SIZE_MAX_ELASTIC, Setting};
use crate::decide::{Mode, Policy};
use crate::encode::{self, Draft, Drafter, Encoder};
use crate::ids::Seed;
use crate::journal::log::Log;
use crate::lookup::{self, Lookups, Made};
use crate::mapping::{self, HeaderError, Mapper, Meaning, Rules};
use crate::matching;
use crate::pairs::Pairs;
use crate::parties::{self, Role};
use crate::problem::{Class, Problem};
use crate::report::{self, Head, PassTo, Reports};
use crate::request::Route;
use crate::resolve::{Resolver, Underway};
use crate::rows::Operation;
use crate::run::Selection;
use crate::sender::{self, BLOCKS_MAX, BODY_BYTES_MAX, ErrorsMax, Event, Settings, Summary};
use crate::service::{self, Described, Service};
use crate::source::{self, Format, Source};
use futures_util::future::{Either, select};
use model::{Table, TableKind, Uuid};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What to do with rows.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table, by any of its names.
    pub table: String,
    /// Which operation rows turn into.
    pub wish: Wish,
    /// How lookups by name are read.
    pub lookups: lookup::Rules,
    /// Records that are asked for at once.
    pub retrieval_size: usize,
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
    /// Who is asked before a batch leaves.
    pub confirm: Option<Asker>,
    /// Where rows that ended well go, as JSON objects with id and outcome.
    pub pass_thru: Option<PassTo>,
    /// They go there in input order.
    pub ordered: bool,
    /// Upserts tell created records from updated ones, and travel without a bulk message for that.
    pub reports_created: bool,
    /// The key of the only row.
    pub id: Option<Uuid>,
}

impl Options {
    /// Whether upserts are to tell created records from others; their bulk message does not.
    fn tells_created(&self) -> bool {
        self.wish.upsert && (self.reports_created || self.pass_thru.is_some())
    }

    fn route(&self, described: &Described, pairs: Option<&Pairs>) -> Route {
        Route {
            pairs: pairs.map(Pairs::way),
            tells_created: self.tells_created(),
            ..route(described, false, &self.call)
        }
    }

    /// How rows are sent to a table, of which `has_bulk` says what bulk messages it has.
    fn settings(
        &self,
        described: &Described,
        has_bulk: [bool; Operation::ALL.len()],
        hint: Option<usize>,
    ) -> Settings {
        let common = settings(described, self.pace, self.care, has_bulk, hint, self.seed);
        Settings { what_if: self.what_if, confirm: self.confirm.clone(), ..common }
    }
}

/// Which operation rows turn into, in the user's words.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Every row is a new record.
    pub create_only: bool,
    /// The service finds out what is there.
    pub upsert: bool,
    /// All columns are sent, changed or not.
    pub update_all_columns: bool,
    /// Missing records are not made.
    pub no_create: bool,
    /// Records that are there are not changed.
    pub no_update: bool,
    /// Columns that only new records get.
    pub no_update_columns: Vec<String>,
    /// Columns that rows are matched by; the first list that finds something counts.
    pub match_on: Vec<Vec<String>>,
    /// Every record that a list finds is meant.
    pub allow_multiple_matches: bool,
    /// The service gives new records their ids.
    pub server_ids: bool,
}

/// Stored files that are compared at a time.
const COMPARED_MAX: usize = 8;

/// As many records are asked for at once when nobody says.
pub const RETRIEVAL_SIZE: usize = 500;

impl Wish {
    /// A pair is there or not: there is nothing to match, to compare or to change.
    fn refuse_for_pairs(&self, table: &Table) -> Result<(), Problem> {
        let given = [
            ("--match-on", !self.match_on.is_empty()),
            ("--allow-multiple-matches", self.allow_multiple_matches),
            ("--update-all-columns", self.update_all_columns),
            ("--no-create", self.no_create),
            ("--no-update", self.no_update),
            ("--no-update-columns", !self.no_update_columns.is_empty()),
            ("--server-ids", self.server_ids),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => {
                let text = format!(
                    "`{name}` does not go with many-to-many table `{}`",
                    table.logical_name
                );
                Err(Problem::new(Class::Usage, text))
            }
        }
    }

    /// Checks the wish against the table.
    fn policy(&self, table: &Table) -> Result<Policy, Problem> {
        let find = |name: &String| {
            mapping::find(table, name).ok_or_else(|| {
                let text = format!("table `{}` has no column `{name}`", table.logical_name);
                Problem::new(Class::Usage, text)
            })
        };
        if table.is_intersect {
            self.refuse_for_pairs(table)?;
            return Ok(Policy { mode: Mode::Pair, ..Policy::default() });
        }
        let mode = match (self.create_only, self.upsert, self.match_on.as_slice()) {
            (true, ..) => Mode::CreateOnly,
            (_, true, []) => Mode::Upsert(None),
            (_, true, [names]) => Mode::Upsert(Some(encode::key_over(table, names)?)),
            (_, true, _) => {
                let text = "`--upsert` matches by one alternate key: give `--match-on` once";
                return Err(Problem::new(Class::Usage, text));
            }
            (false, false, _) => Mode::Look,
        };
        let match_on = match mode {
            Mode::Look => matching::lists(table, &self.match_on)?,
            Mode::CreateOnly | Mode::Upsert(_) | Mode::Pair => Vec::new(),
        };
        let is_list = |name: &&String| {
            mapping::find(table, name).is_none() && Role::of(table, name).is_some()
        };
        let (lists, columns): (Vec<_>, Vec<_>) = self.no_update_columns.iter().partition(is_list);
        Ok(Policy {
            mode,
            match_on,
            allow_multiple: self.allow_multiple_matches,
            no_create: self.no_create,
            no_update: self.no_update,
            update_all: self.update_all_columns,
            no_update_columns: columns.into_iter().map(find).collect::<Result<_, _>>()?,
            no_update_parties: lists.into_iter().filter_map(|name| Role::of(table, name)).collect(),
        })
    }
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
    /// New records to which the service gives ids are sent again though an answer was lost.
    pub retry_ambiguous: bool,
}

impl Default for Care {
    fn default() -> Self {
        Self {
            bisect_limit: sender::BISECT_LIMIT,
            no_fallback: false,
            keep_going: false,
            errors_max: None,
            throttle_max: None,
            retry_ambiguous: false,
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
    /// Requests in flight, whatever the width.
    pub in_flight_max: Option<usize>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            size: Setting::Auto,
            width: Setting::Auto,
            retries: 0,
            initial_retry_delay: Duration::from_secs(5),
            in_flight_max: None,
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
    /// What was asked does not fit the table.
    #[error("{0}")]
    Wish(Problem),
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
    /// Why records could not be looked at; rows behind that were not sent.
    pub look_error: Option<service::Error>,
    /// Why a report file is not whole.
    pub report_error: Option<report::Error>,
    /// Columns of the input that the table does not have and that were left out.
    pub left_out: Vec<String>,
    /// Records that were made for names that nothing had, by table.
    pub made: BTreeMap<Box<str>, u64>,
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
        tells_created: false,
        headers: call.headers.clone(),
        query: call.tag.as_ref().map(|tag| format!("tag={}", service::escaped(tag))),
        described: Some(described.clone()),
        pairs: None,
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
        retry_ambiguous: care.retry_ambiguous,
        what_if: false,
        confirm: None,
        head: None,
        in_flight_max: pace.in_flight_max,
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
    let headers = source.headers().unwrap_or_default().to_vec();
    let described = describe(service, &options.table, &source).await?;
    let pairs = Pairs::if_any(service, &described.table).await?;
    let described = pairs.as_ref().map_or(described, |pairs| pairs.described.clone());
    let table = described.table.clone();
    let parties = parties::described(service, &described.table, source.headers()).await?;
    let mapper = mapper(&described, parties.as_ref(), options, &source)?;
    let policy = options.wish.policy(&table).map_err(Error::Wish)?;
    refuse_incomparable(&policy, &table, mapper.meanings())?;
    let made = Made::default();
    let lookups = lookups(options, &described, &made)?;
    let head = options.ordered.then(Head::default);
    let mut reports =
        Reports::create(files(options, head.clone()), &table.logical_name, format, &headers)?;
    let encoder = Encoder::new(table.clone(), described.catalog.clone(), options.seed)
        .of_pairs(pairs.clone())
        .with_parties(parties.clone())
        .with_server_ids(options.wish.server_ids);
    let drafter = Drafter::new(mapper, options.selection.clone()).of_one(options.id);
    let has_bulk = bulk_messages(service, &table, options).await?;
    let (sender, drafts) = mpsc::channel(BLOCKS_MAX);
    let reader = tokio::task::spawn_blocking(move || read(source, drafter, &sender));
    let drafts = if options.id.is_some() { only_one(drafts).await? } else { drafts };
    let settings = Settings { head, ..options.settings(&described, has_bulk, hint) };
    let route = options.route(&described, pairs.as_deref());
    let (underway, headers) = (Underway::default(), options.call.headers.clone());
    let rows_max = options.retrieval_size;
    let compared = compared(options.pace.width, hint);
    let resolver = Resolver::new(
        service, described, policy, lookups, encoder, &underway, rows_max, compared, headers,
    )
    .with_parties(parties)
    .map_err(Error::Wish)?;
    let (mut summary, looked) = {
        let mut watched = |event: Event<'_>| {
            reports.take(&event);
            if let Event::Ended { row, .. } = &event {
                underway.ended(row.entry().ordinal);
            }
            observe(event);
        };
        let (blocks_in, blocks) = mpsc::channel(BLOCKS_MAX);
        let looking = std::pin::pin!(resolver.run(drafts, blocks_in));
        let transport = service.transport();
        let sending = std::pin::pin!(sender::run(
            transport,
            &route,
            settings,
            blocks,
            stop,
            log,
            &mut watched
        ));
        match select(sending, looking).await {
            // It was stopped: nobody looks any more.
            Either::Left((summary, _)) => (summary, Ok(())),
            Either::Right((looked, sending)) => (sending.await, looked),
        }
    };
    if let Some(selection) = &options.selection {
        summary.counts.include(&selection.earlier());
    }
    let interrupted = summary.halt.is_some() || looked.is_err();
    // After a stop the reader may hang on a stream that gives nothing more: do not wait for it.
    let (read, left_out) = match interrupted && !reader.is_finished() {
        true => (Ok(()), Vec::new()),
        false => reader.await.map_err(Error::Reader)?,
    };
    Ok(Loaded {
        summary,
        input_error: read.err(),
        look_error: looked.err(),
        report_error: reports.finish(),
        left_out,
        made: made.counts(),
        table: table.logical_name.clone(),
    })
}

/// Finds records by their names, and makes those that are wished for.
fn lookups(options: &Options, described: &Described, made: &Made) -> Result<Lookups, Error> {
    let (rules, headers) = (options.lookups.clone(), options.call.headers.clone());
    let lookups = Lookups::new(described.clone(), rules, options.retrieval_size, headers);
    let lookups = lookups.map_err(Error::Wish)?;
    Ok(lookups.with_stubs(options.seed, &options.call, options.what_if, made))
}

/// How many stored files are compared at a time.
fn compared(width: Setting, hint: Option<usize>) -> usize {
    match width {
        Setting::Fixed(width) => width.min(COMPARED_MAX),
        Setting::Auto => hint.unwrap_or(COMPARED_MAX).clamp(1, COMPARED_MAX),
    }
}

/// Which bulk messages are used.
async fn bulk_messages(
    service: &Service,
    table: &Table,
    options: &Options,
) -> Result<[bool; Operation::ALL.len()], service::Error> {
    match options.pace.size {
        Setting::Fixed(1) => Ok([false; Operation::ALL.len()]),
        _ if table.is_intersect => Ok([false; Operation::ALL.len()]),
        _ => {
            let mut has_bulk = service.bulk_messages(table).await?;
            has_bulk[Operation::Upsert as usize] &= !options.tells_created();
            Ok(has_bulk)
        }
    }
}

fn mapper(
    described: &Described,
    parties: Option<&Described>,
    options: &Options,
    source: &Source,
) -> Result<Mapper, Error> {
    let Described { table, catalog } = described.clone();
    let mapper = Mapper::new(table, catalog, options.rules.clone()).with_parties(parties);
    Ok(match source.headers() {
        Some(headers) => mapper.with_headers(headers)?,
        None => mapper,
    })
}

/// Columns that nobody can read cannot be compared.
fn refuse_incomparable<'a>(
    policy: &Policy,
    table: &Table,
    meanings: impl Iterator<Item = (&'a str, Meaning)>,
) -> Result<(), Error> {
    if policy.mode != Mode::Look || !policy.compares() {
        return Ok(());
    }
    let hidden: Vec<String> = meanings
        .filter(|(_, meaning)| match meaning {
            Meaning::Column(index) => {
                !table.column(*index).valid_for_read && !policy.no_update_columns.contains(index)
            }
            _ => false,
        })
        .map(|(header, _)| format!("`{header}`"))
        .collect();
    if hidden.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} can only be written, so records cannot be compared before they are changed: give \
         `--update-all-columns`, `--no-update` or `--create-only`",
        hidden.join(", ")
    );
    Err(Error::Wish(Problem::new(Class::Usage, text)))
}

async fn open(bytes: source::Bytes, format: Format) -> Result<Source, Error> {
    let opened = tokio::task::spawn_blocking(move || Source::new(bytes, format)).await;
    Ok(opened.map_err(Error::Reader)??)
}

/// The definition, with the tables of those lookups that the headers name. An input of objects may name
/// any of them that a caller may write.
async fn describe(service: &Service, name: &str, source: &Source) -> Result<Described, Error> {
    let headers = source.headers().map(<[String]>::to_vec);
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
    mut drafter: Drafter,
    sender: &mpsc::Sender<Vec<Draft>>,
) -> (Result<(), source::Error>, Vec<String>) {
    let read = source.pump(&mut drafter, |drafts| sender.blocking_send(drafts).is_ok());
    (read, drafter.mapper().left_out().to_vec())
}

/// The drafts of an input that has one row at most.
async fn only_one(
    mut drafts: mpsc::Receiver<Vec<Draft>>,
) -> Result<mpsc::Receiver<Vec<Draft>>, Error> {
    let mut all = Vec::new();
    while let Some(more) = drafts.recv().await {
        all.extend(more);
        if all.len() > 1 {
            let text = "`--id` names one record, and the input has more than one row";
            return Err(Error::Wish(Problem::new(Class::Usage, text)));
        }
    }
    let (sender, drafts) = mpsc::channel(1);
    // There is room for it.
    drop(sender.try_send(all));
    Ok(drafts)
}

fn files(options: &Options, head: Option<Head>) -> report::Wanted<'_> {
    report::Wanted {
        rejects: options.rejects.as_deref(),
        errors: options.errors.as_deref(),
        pass: options.pass_thru.clone(),
        head,
        selection: options.selection.clone(),
    }
}

/// Whether two paths mean the same file, as far as can be told before either is written.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
