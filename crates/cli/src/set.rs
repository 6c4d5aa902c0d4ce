//! `sheaf set`.

use crate::args::{LookupAmbiguous, LookupMissing, Set, Usage};
use crate::confirm;
use crate::connection::{self, Input};
use crate::output;
use crate::progress::Progress;
use crate::run::{self, Going};
use crate::signal::Stop;
use crate::stats::Counting;
use crate::verbose::{self, Verbose};
use client::ids::Seed;
use client::journal::{Counts, Outcome};
use client::mapping::Rules;
use client::report;
use client::report::PassTo;
use client::rows::Row;
use client::sender::{Event, Halt, Summary};
use client::set::{Care, Options, Pace, Wish};
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// Failed rows that are printed; the rest is counted.
const PRINTED_MAX: u64 = 20;

/// Loads, perhaps going on with a run.
pub(crate) async fn set_with(args: Set, going: Option<Going>) -> anyhow::Result<u8> {
    Ok(set_counted(args, going).await?.0)
}

/// The same with the accounts.
pub(crate) async fn set_counted(args: Set, going: Option<Going>) -> anyhow::Result<(u8, Counts)> {
    connection::refuse_same(&args.file, args.rejects.as_deref(), "--rejects")?;
    connection::refuse_same(&args.file, args.errors.as_deref(), "--errors")?;
    connection::refuse_parquet(args.rejects.as_deref(), "--rejects")?;
    connection::refuse_parquet(args.errors.as_deref(), "--errors")?;
    if args.rejects.is_some() && args.rejects == args.errors {
        return Err(Usage("`--rejects` and `--errors` name the same file".to_owned()).into());
    }
    if args.file.as_os_str() == "-" && std::io::stdin().is_terminal() {
        return Err(Usage("give a FILE, or rows on standard input".to_owned()).into());
    }
    connection::refuse_same(&args.file, args.stats.as_deref(), "--stats")?;
    if args.confirm && args.lookup_missing == LookupMissing::CreateStub {
        let text = "`--lookup-missing create-stub` does not go with `--confirm`";
        return Err(Usage(text.to_owned()).into());
    }
    let confirm = confirm::asker(args.confirm && !args.what_if)?;
    let way = connection::pool(&args.connection, args.pace.width)?;
    let way = verbose::traced(&args.verbose, way);
    let (service, mut counting) = Counting::begin(way, args.stats.as_deref());
    let callers = connection::unnamed_profiles(&args.connection)?;
    let Input { bytes, format, total } = connection::open(&args.file, args.format.map(Into::into))?;
    let seed = connection::seed();
    let going = match going {
        None if !args.what_if => run::begin(&args.keep, &args.table, &args.file, seed, &callers)?,
        going => going,
    };
    let speaks = confirm.is_some() || args.verbose.verbose > 0 || args.verbose.trace_bodies;
    let progress = confirm::beside(speaks, args.pace.progress);
    let verbose = Verbose::new(&args.verbose);
    let (file, what_if) = (args.file.clone(), args.what_if);
    let options = Options { confirm, ..options(args, going.as_ref(), seed) };
    let mut log = going.as_ref().map(Going::log).transpose()?;
    let stop = Stop::listen();
    let mut watch = Watch::new(&file, Progress::new(progress, total));
    let loaded = client::set::set(
        &service,
        &options,
        bytes,
        format,
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
    let loaded = loaded?;
    for name in &loaded.left_out {
        output::note(&format!(
            "warning: table `{}` has no column `{name}`: left out",
            loaded.table
        ));
    }
    for (table, count) in &loaded.made {
        let verb = if what_if { "would be made" } else { "made" };
        output::note(&format!("stubs: {count} records of `{table}` {verb} for names not found"));
    }
    let verb = if what_if { "set would be" } else { "set" };
    let mut code = watch.finish(verb, &loaded.summary);
    counting.end(&loaded.summary);
    counting.tell("set", watch.progress.took())?;
    if let Some(err) = loaded.look_error {
        output::note(&format!("sheaf: stopped: {:#}", anyhow::Error::from(err)));
        code = 7;
    }
    note_errors(loaded.input_error, loaded.report_error, &mut code);
    if let Some(rejects) = options.rejects.filter(|_| loaded.summary.counts.of(Outcome::Failed) > 0)
    {
        output::note(&format!("rejected rows: {}", rejects.display()));
    }
    if let Some(going) = &going {
        going.say_how_to_go_on(code, &loaded.summary.counts);
    }
    Ok((code, loaded.summary.counts))
}

fn options(args: Set, going: Option<&Going>, seed: Seed) -> Options {
    Options {
        table: args.table,
        wish: Wish {
            create_only: args.create_only,
            upsert: args.upsert,
            update_all_columns: args.update_all_columns,
            no_create: args.no_create,
            no_update: args.no_update,
            no_update_columns: args.no_update_columns,
            match_on: args.match_on.iter().map(|list| names(list)).collect(),
            allow_multiple_matches: args.allow_multiple_matches,
            server_ids: args.new_ids.server_ids,
        },
        lookups: client::lookup::Rules {
            aims: args.lookup,
            missing_is_null: args.lookup_missing == LookupMissing::Null,
            missing_is_made: args.lookup_missing == LookupMissing::CreateStub,
            newest: args.lookup_ambiguous == LookupAmbiguous::Newest,
        },
        retrieval_size: usize::from(args.look.retrieval_batch_size),
        rules: Rules {
            empty_as: args.empty_as.into(),
            null: args.null,
            ignore: args.ignore,
            ignore_unknown: args.ignore_unknown_columns,
            file_directory: args.file_directory,
            caller_column: args.call.caller_column().map(str::to_owned),
            reading: args.values.reading(),
        },
        pace: Pace {
            size: args.batch_size,
            width: args.pace.width,
            retries: args.pace.retries,
            initial_retry_delay: args.pace.initial_retry_delay,
            in_flight_max: args.pace.max_in_flight.map(Into::into),
        },
        rejects: args.rejects,
        errors: args.errors,
        seed: going.map_or(seed, Going::seed),
        selection: going.and_then(Going::selection),
        care: Care { retry_ambiguous: args.new_ids.retry_ambiguous, ..args.care.care() },
        call: args.call.call(),
        what_if: args.what_if,
        confirm: None,
        ordered: args.ordered,
        reports_created: args.report.is_some(),
        id: args.id,
        pass_thru: args.pass_thru.then(|| PassTo::new(Box::new(std::io::stdout()))),
    }
}

pub(crate) fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Says what went wrong beside the rows.
pub(crate) fn note_errors(
    input: Option<client::source::Error>,
    report: Option<report::Error>,
    code: &mut u8,
) {
    let errors = input.map(anyhow::Error::from).into_iter().chain(report.map(Into::into));
    for err in errors {
        output::note(&format!("sheaf: {err:#}"));
        *code = 7;
    }
}

/// Prints what happens to rows.
pub(crate) struct Watch {
    file: String,
    pub(crate) progress: Progress,
    printed: u64,
}

impl Watch {
    pub(crate) fn new(file: &Path, progress: Progress) -> Self {
        {
            let file = if file.as_os_str() == "-" {
                "stdin".to_owned()
            } else {
                file.display().to_string()
            };
            Self { file, progress, printed: 0 }
        }
    }

    pub(crate) fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Status(status) => self.progress.status(status),
            Event::Ended { row, problem: Some(problem), .. } => {
                self.printed += 1;
                if self.printed <= PRINTED_MAX {
                    let place = self.place(row);
                    let column = problem.column.as_ref().map(|column| format!("{column}: "));
                    let column = column.unwrap_or_default();
                    self.progress.note(&format!("{place}: {column}{problem}"));
                }
            }
            Event::Ended { .. } | Event::Note(_) => {}
        }
    }

    fn place(&self, row: &Row) -> String {
        match row.entry().line {
            0 => row.address().into_owned(),
            line => format!("{}:{line}", self.file),
        }
    }

    /// Prints the summary and tells the exit code.
    pub(crate) fn finish(&self, verb: &str, summary: &Summary) -> u8 {
        if self.printed > PRINTED_MAX {
            output::note(&format!("and {} more", output::grouped(self.printed - PRINTED_MAX)));
        }
        match &summary.halt {
            None | Some(Halt::Interrupted) => {}
            Some(Halt::TooManyErrors) => output::note("sheaf: stopped, too many rows failed"),
            Some(Halt::Journal(why)) => {
                output::note(&format!("sheaf: stopped, the journal cannot be written: {why}"));
            }
            Some(Halt::Refused(problem)) => {
                output::note(&format!("sheaf: stopped, the service refuses: {problem}"));
            }
            Some(Halt::Unreachable(problem)) => {
                output::note(&format!("sheaf: stopped, the service cannot be reached: {problem}"));
            }
        }
        let took = self.progress.took();
        let rate = output::grouped(output::rate(summary.counts.closed(), took));
        let mark =
            if matches!(summary.halt, Some(Halt::Interrupted)) { ", interrupted" } else { "" };
        output::note(&format!(
            "{verb}: {} in {}{mark} ({rate} rows/s, {} requests)",
            summary.counts,
            seconds(took),
            summary.requests
        ));
        if summary.identities.len() > 1 {
            for used in &summary.identities {
                let requests = output::grouped(used.requests);
                output::note(&format!(
                    "  as `{}`: {requests} requests, {} throttled",
                    used.name, used.throttles
                ));
            }
        }
        report::exit_code(summary)
    }
}

/// `1.2 s`.
pub(crate) fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
