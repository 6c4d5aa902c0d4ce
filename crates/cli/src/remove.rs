//! `sheaf remove`.

use crate::args::{INITIAL_RETRY_DELAY, Progress as Shown, RETRIEVAL_SIZE, Remove, Usage, Via};
use crate::confirm;
use crate::connection;
use crate::output;
use crate::progress::{Progress, Total};
use crate::run::{self, Going};
use crate::set::{self, Watch};
use crate::signal::Stop;
use crate::stats::Counting;
use crate::verbose::{self, Verbose};
use client::controller::Setting;
use client::filter::Wanted;
use client::get::{Query, Reading};
use client::ids::Seed;
use client::remove::{Input, Options, Record, job};
use client::report::PassTo;
use client::sender::BISECT_LIMIT;
use client::service::Service;
use client::set::Pace;
use client::source::Format;
use model::Uuid;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Deletes, perhaps going on with a run.
pub(crate) async fn remove_with(args: Remove, going: Option<Going>) -> anyhow::Result<u8> {
    if args.call.caller_column().is_some() {
        let text = "`--caller-id column:…` goes with `set`: give the id of one user here";
        return Err(Usage(text.to_owned()).into());
    }
    if args.via == Via::Job {
        return by_job(args, going).await;
    }
    if args.wait {
        return Err(Usage("`--wait` goes with `--via job`".to_owned()).into());
    }
    if args.format.is_some() && args.file.is_none() {
        return Err(Usage("`--format` goes with a FILE".to_owned()).into());
    }
    if let (None, Some(flag)) = (&args.file, run::asked_for(&args.keep)) {
        return Err(Usage(format!(
            "`{flag}` needs a file of rows: what a filter names changes with time, and ids are no input to go on with"
        ))
        .into());
    }
    let confirm = confirm::asker(args.confirm && !args.what_if)?;
    let way = connection::pool(&args.connection, args.pace.width)?;
    let way = verbose::traced(&args.verbose, way);
    let (service, mut counting) = Counting::begin(way, args.stats.as_deref());
    let callers = connection::unnamed_profiles(&args.connection)?;
    let named = if args.id.is_empty() { "--filter" } else { "--id" };
    let source = args.file.clone().unwrap_or_else(|| PathBuf::from(named));
    let (input, total, count) = input(&args, &service).await?;
    let is_asked = args.yes || args.what_if || confirm.is_some();
    if !is_asked && !may_go_on(&args.table, &source, count)? {
        output::note("nothing was removed");
        return Ok(0);
    }
    let seed = connection::seed();
    let going = match (going, &args.file) {
        (None, Some(file)) if !args.what_if => {
            run::begin(&args.keep, &args.table, file, seed, &callers)?
        }
        (going, _) => going,
    };
    let speaks = confirm.is_some() || args.verbose.verbose > 0 || args.verbose.trace_bodies;
    let progress = confirm::beside(speaks, args.pace.progress);
    let verbose = Verbose::new(&args.verbose);
    let options = Options { confirm, ..options(&args, going.as_ref(), seed) };
    let mut log = going.as_ref().map(Going::log).transpose()?;
    let stop = Stop::listen();
    let mut watch = Watch::new(&source, Progress::new(progress, total));
    let removed = client::remove::remove(
        &service,
        &options,
        input,
        Some(stop.receiver.clone()),
        log.as_mut(),
        &mut |event| {
            counting.take(&event);
            watch.take(&event);
            verbose.take(&event);
        },
    )
    .await;
    watch.progress.finish();
    let removed = removed?;
    let verb = if args.what_if { "remove would be" } else { "remove" };
    let mut code = watch.finish(verb, &removed.summary);
    counting.end(&removed.summary);
    counting.tell("remove", watch.progress.took())?;
    if let Some(err) = removed.look_error {
        output::note(&format!("sheaf: stopped: {:#}", anyhow::Error::from(err)));
        code = 7;
    }
    set::note_errors(removed.input_error, removed.report_error, &mut code);
    if let Some(going) = &going {
        going.say_how_to_go_on(code, &removed.summary.counts);
    }
    Ok(code)
}

/// What is done, for the library.
fn options(args: &Remove, going: Option<&Going>, seed: Seed) -> Options {
    Options {
        table: args.table.clone(),
        if_exists: args.if_exists,
        match_on: args.match_on.iter().map(|list| set::names(list)).collect(),
        allow_multiple: args.allow_multiple_matches,
        retrieval_size: usize::from(args.look.retrieval_batch_size),
        pace: Pace {
            size: args.batch_size,
            width: args.pace.width,
            retries: args.pace.retries,
            initial_retry_delay: args.pace.initial_retry_delay,
            in_flight_max: args.pace.max_in_flight.map(Into::into),
        },
        rejects: args.rejects.clone(),
        errors: args.errors.clone(),
        seed: going.map_or(seed, Going::seed),
        selection: going.and_then(Going::selection),
        care: args.care.care(),
        call: args.call.call(),
        via: match args.via {
            Via::Batch => client::remove::Via::Batch,
            Via::Multiple => client::remove::Via::Multiple,
            Via::Auto | Via::Job => client::remove::Via::Auto,
        },
        what_if: args.what_if,
        confirm: None,
        ordered: args.ordered,
        pass_thru: args.pass_thru.then(|| PassTo::new(Box::new(std::io::stdout()))),
    }
}

/// Hands the filter to a background job of the service.
async fn by_job(args: Remove, going: Option<Going>) -> anyhow::Result<u8> {
    refuse_beside_job(&args, going.is_some())?;
    let filter = args.filter.as_deref().unwrap_or_default();
    let service = connection::service(&args.connection)?;
    let query = Query {
        table: args.table.clone(),
        wanted: Wanted { filters: vec![filter.to_owned()], ..Wanted::default() },
        page_size: client::get::PAGE_ROWS_MAX,
        ..Query::default()
    };
    if !args.yes || args.what_if {
        let count = Reading::prepare(&service, &query, Format::Csv).await?.count().await?;
        if args.what_if {
            output::note(&format!("remove would be: a job for {} rows", output::grouped(count)));
            return Ok(0);
        }
        if !may_go_on(&args.table, Path::new("--filter"), Some(count))? {
            output::note("nothing was removed");
            return Ok(0);
        }
    }
    let job = job::begin(&service, &args.table, filter, &args.call.call()).await;
    let job = job.map_err(of_job)?;
    output::line(&job.to_string());
    if !args.wait {
        output::note("remove: a job of the service has it; `--wait` would follow it");
        return Ok(0);
    }
    let stop = Stop::listen();
    let Some(ended) = job::follow(&service, job, stop.receiver.clone()).await.map_err(of_job)?
    else {
        output::note(&format!("remove: job {job} goes on by itself"));
        return Ok(5);
    };
    let (deleted, failed) = (output::grouped(ended.deleted), output::grouped(ended.failed));
    let mark = match ended.is_well {
        true => String::new(),
        false => format!("; the job ended with status {}", ended.status),
    };
    output::note(&format!("remove: {deleted} deleted, {failed} failed{mark}"));
    Ok(if ended.is_well && ended.failed == 0 { 0 } else { 1 })
}

fn of_job(err: job::Error) -> anyhow::Error {
    match err {
        job::Error::Wish(text) => Usage(text).into(),
        job::Error::Service(err) => err.into(),
    }
}

/// The service deletes by itself: what says how this program does it has no meaning.
fn refuse_beside_job(args: &Remove, goes_on: bool) -> Result<(), Usage> {
    let (pace, care, call) = (&args.pace, &args.care, &args.call);
    let journal = run::asked_for(&args.keep);
    let given = [
        ("FILE", args.file.is_some()),
        ("--id", !args.id.is_empty()),
        ("--format", args.format.is_some()),
        ("--match-on", !args.match_on.is_empty()),
        ("--retrieval-batch-size", args.look.retrieval_batch_size != RETRIEVAL_SIZE),
        ("--if-exists", args.if_exists),
        ("--confirm", args.confirm),
        ("--pass-thru", args.pass_thru),
        ("--verbose", args.verbose.verbose > 0 || args.verbose.trace_bodies),
        ("--max-in-flight", pace.max_in_flight.is_some()),
        ("--batch-size", args.batch_size != Setting::Auto),
        ("--max-degree-of-parallelism", pace.width != Setting::Auto),
        ("--retries", pace.retries > 0),
        ("--initial-retry-delay", pace.initial_retry_delay != INITIAL_RETRY_DELAY),
        ("--progress", matches!(pace.progress, Shown::Plain | Shown::Json)),
        ("--stats", args.stats.is_some()),
        ("--max-errors", care.max_errors.is_some()),
        ("--fail-fast", care.fail_fast),
        ("--keep-going", care.keep_going),
        ("--no-fallback", care.no_fallback),
        ("--bisect-limit", care.bisect_limit != BISECT_LIMIT),
        ("--max-throttle-wait", care.max_throttle_wait.is_some()),
        ("--bypass", !call.bypass.is_empty()),
        ("--bypass-step", !call.bypass_step.is_empty()),
        ("--bypass-flows", call.bypass_flows),
        ("--duplicate-detection", call.duplicate_detection),
        ("--run", journal == Some("--run") || goes_on),
        ("--journal", journal == Some("--journal")),
        ("--rejects", args.rejects.is_some()),
        ("--errors", args.errors.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((name, _)) => Err(Usage(format!("`{name}` does not go with `--via job`"))),
    }
}

/// What is deleted, and how many rows there are as far as that is known.
async fn input(args: &Remove, service: &Service) -> anyhow::Result<(Input, Total, Option<u64>)> {
    Ok(match (&args.file, &args.filter) {
        (Some(file), _) => {
            connection::refuse_same(file, args.rejects.as_deref(), "--rejects")?;
            connection::refuse_same(file, args.errors.as_deref(), "--errors")?;
            connection::refuse_same(file, args.stats.as_deref(), "--stats")?;
            connection::refuse_parquet(args.rejects.as_deref(), "--rejects")?;
            connection::refuse_parquet(args.errors.as_deref(), "--errors")?;
            let opened = connection::open(file, args.format.map(Into::into))?;
            let connection::Input { bytes, format, total } = opened;
            (Input::Rows { bytes, format }, total, None)
        }
        (None, _) if !args.id.is_empty() => {
            let record = |id: &Uuid| Record { id: *id, partition: None };
            let records: Vec<Record> = args.id.iter().map(record).collect();
            let total = Total::Rows(records.len() as u64);
            (Input::Records(records), total, None)
        }
        (None, filter) => {
            let filter = filter.as_deref().unwrap_or_default();
            let records =
                client::remove::records_of_filter(service, &args.table, filter, &mut |_| {})
                    .await?;
            let count = records.len() as u64;
            (Input::Records(records), Total::Rows(count), Some(count))
        }
    })
}

/// Asks once, on a terminal. Elsewhere rows from a file are named well enough; a filter is not.
fn may_go_on(table: &str, source: &Path, count: Option<u64>) -> anyhow::Result<bool> {
    let what = match count {
        Some(count) => format!("{} rows", output::grouped(count)),
        None if source.as_os_str() == "-" => return Ok(true),
        None => format!("the rows of `{}`", source.display()),
    };
    if count == Some(0) {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return match count {
            None => Ok(true),
            Some(_) => {
                let text = format!("`--filter` names {what}: add `--yes` to remove them");
                Err(Usage(text).into())
            }
        };
    }
    Ok(output::confirm(&format!("remove {what} from table `{table}`?"))?)
}
