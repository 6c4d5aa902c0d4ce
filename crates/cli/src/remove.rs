//! `sheaf remove`.

use crate::args::{Remove, Usage};
use crate::connection;
use crate::output;
use crate::progress::{Progress, Total};
use crate::run::{self, Going};
use crate::set::{self, Watch};
use crate::signal::Stop;
use crate::stats::Counting;
use client::remove::{Input, Options};
use client::service::Service;
use client::set::Pace;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Deletes, perhaps going on with a run.
pub(crate) async fn remove_with(args: Remove, going: Option<Going>) -> anyhow::Result<u8> {
    let way = connection::pool(&args.connection, args.pace.width)?;
    let (service, mut counting) = Counting::begin(way, args.stats.as_deref());
    let callers = connection::unnamed_profiles(&args.connection)?;
    let source = args.file.clone().unwrap_or_else(|| PathBuf::from("--filter"));
    let (input, total, count) = input(&args, &service).await?;
    if !args.yes && !args.what_if && !may_go_on(&args.table, &source, count)? {
        output::note("nothing was removed");
        return Ok(0);
    }
    let seed = connection::seed();
    let going = match (going, &args.file) {
        (None, Some(file)) if !args.what_if => {
            run::begin(&args.keep, &args.table, file, seed, &callers)?
        }
        (None, None) if args.keep.run.is_some() => {
            let text = "`--run` needs a file of rows: what a filter names changes with time";
            return Err(Usage(text.to_owned()).into());
        }
        (going, _) => going,
    };
    let options = Options {
        table: args.table,
        if_exists: args.if_exists,
        match_on: args.match_on.iter().map(|list| set::names(list)).collect(),
        allow_multiple: args.allow_multiple_matches,
        retrieval_size: usize::from(args.look.retrieval_batch_size),
        pace: Pace {
            size: args.batch_size,
            width: args.pace.width,
            retries: args.pace.retries,
            initial_retry_delay: args.pace.initial_retry_delay,
        },
        rejects: args.rejects,
        errors: args.errors,
        seed: going.as_ref().map_or(seed, Going::seed),
        selection: going.as_ref().and_then(Going::selection),
        care: args.care.care(),
        call: args.call.call(),
        what_if: args.what_if,
    };
    let mut log = going.as_ref().map(Going::log).transpose()?;
    let stop = Stop::listen();
    let mut watch = Watch::new(&source, Progress::new(args.pace.progress, total));
    let removed = client::remove::remove(
        &service,
        &options,
        input,
        Some(stop.receiver.clone()),
        log.as_mut(),
        &mut |event| {
            counting.take(&event);
            watch.take(&event);
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

/// What is deleted, and how many rows there are as far as that is known.
async fn input(args: &Remove, service: &Service) -> anyhow::Result<(Input, Total, Option<u64>)> {
    Ok(match (&args.file, &args.filter) {
        (Some(file), _) => {
            connection::refuse_same(file, args.rejects.as_deref(), "--rejects")?;
            connection::refuse_same(file, args.errors.as_deref(), "--errors")?;
            connection::refuse_same(file, args.stats.as_deref(), "--stats")?;
            let opened = connection::open(file, args.format.map(Into::into))?;
            let connection::Input { bytes, format, total } = opened;
            (Input::Rows { bytes, format }, total, None)
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
