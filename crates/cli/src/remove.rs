//! `sheaf remove`.

use crate::args::{Remove, Usage};
use crate::connection;
use crate::output;
use crate::progress::{Counted, Progress, Total};
use crate::set::Watch;
use crate::signal::Stop;
use client::controller::Setting;
use client::remove::{Input, Options};
use client::set::Pace;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

pub(crate) async fn remove(args: Remove) -> anyhow::Result<u8> {
    let service = connection::service(&args.connection)?;
    let source = args.file.clone().unwrap_or_else(|| PathBuf::from("--filter"));
    let (input, total, count) = match (&args.file, &args.filter) {
        (Some(file), _) => {
            connection::refuse_same(file, args.rejects.as_deref(), "--rejects")?;
            connection::refuse_same(file, args.errors.as_deref(), "--errors")?;
            let (bytes, format) = connection::open(file, args.format.map(Into::into))?;
            let (bytes, read) = Counted::new(bytes);
            let total = match std::fs::metadata(file) {
                Ok(file) if file.is_file() => Total::Bytes(file.len(), read),
                _ => Total::Unknown,
            };
            (Input::Rows { bytes: Box::new(bytes), format }, total, None)
        }
        (None, filter) => {
            let filter = filter.as_deref().unwrap_or_default();
            let records =
                client::remove::records_of_filter(&service, &args.table, filter, &mut |_| {})
                    .await?;
            let count = records.len() as u64;
            (Input::Records(records), Total::Rows(count), Some(count))
        }
    };
    if !args.yes && !may_go_on(&args.table, &source, count)? {
        output::note("nothing was removed");
        return Ok(0);
    }
    let options = Options {
        table: args.table,
        if_exists: args.if_exists,
        pace: Pace {
            size: Setting::Fixed(1),
            width: args.pace.width,
            retries: args.pace.retries,
            initial_retry_delay: args.pace.initial_retry_delay,
        },
        rejects: args.rejects,
        errors: args.errors,
        seed: connection::seed(),
    };
    let stop = Stop::listen();
    let mut watch = Watch::new(&source, Progress::new(args.pace.progress, total));
    let removed = client::remove::remove(
        &service,
        &options,
        input,
        Some(stop.receiver.clone()),
        &mut |event| watch.take(&event),
    )
    .await;
    watch.progress.finish();
    let removed = removed?;
    let mut code = watch.finish("remove", &removed.summary);
    if let Some(err) = removed.input_error {
        output::note(&format!("sheaf: {:#}", anyhow::Error::from(err)));
        code = 7;
    }
    if let Some(err) = removed.report_error {
        output::note(&format!("sheaf: {:#}", anyhow::Error::from(err)));
        code = 7;
    }
    Ok(code)
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
    let mut err = std::io::stderr();
    write!(err, "remove {what} from table `{table}`? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
