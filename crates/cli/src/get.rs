//! `sheaf get`.

use crate::args::Get;
use crate::connection;
use crate::output;
use crate::progress::{Progress, Total};
use crate::set::seconds;
use crate::signal::Stop;
use anyhow::Context;
use client::get::{Error, Query, Reading};
use client::source::Format;
use std::fs::File;
use std::io::{ErrorKind, Write};

pub(crate) async fn get(args: Get) -> anyhow::Result<u8> {
    let service = connection::service(&args.connection)?;
    let is_stdout = args.output.as_os_str() == "-";
    let format = args.format.map(Format::from);
    let format = format.or_else(|| Format::of_path(&args.output)).unwrap_or(Format::Csv);
    let query = Query {
        table: args.table,
        columns: args.columns,
        system_columns: args.system_columns,
        filter: args.filter,
        sort: args.sort,
        top: args.top,
        page_size: args.page_size,
        headers: args.headers.map(Into::into),
    };
    let reading = Reading::prepare(&service, &query, format).await?;
    // Only now: a name that does not exist must not cost a file that does.
    let out: Box<dyn Write + Send> = if is_stdout {
        Box::new(std::io::stdout())
    } else {
        let file = File::create(&args.output)
            .with_context(|| format!("cannot write `{}`", args.output.display()))?;
        Box::new(file)
    };
    let stop = Stop::listen();
    let total = query.top.map_or(Total::Unknown, Total::Rows);
    let mut progress = Progress::new(args.progress, total);
    let fetched = reading
        .write(out, format, Some(stop.receiver.clone()), &mut |rows| {
            progress.rows(rows, String::new);
        })
        .await;
    progress.finish();
    let fetched = match fetched {
        // Whoever read the output has seen enough.
        Err(Error::Write(err)) if is_stdout && err.kind() == ErrorKind::BrokenPipe => return Ok(0),
        fetched => fetched?,
    };
    let took = progress.took();
    let rate = output::grouped(output::rate(fetched.rows, took));
    let mark = if fetched.interrupted { ", interrupted" } else { "" };
    output::note(&format!(
        "get: {} rows in {}{mark} ({rate} rows/s)",
        output::grouped(fetched.rows),
        seconds(took)
    ));
    Ok(if fetched.interrupted { 5 } else { 0 })
}
