//! `sheaf get`.

use crate::args::{Get, Usage};
use crate::connection::{self, Input};
use crate::output;
use crate::progress::{Progress, Total};
use crate::set::{self, seconds};
use crate::signal::Stop;
use crate::stats::Counting;
use client::compression::Compression;
use client::filter::Wanted;
use client::get::{Error, Matching, Query, Reading};
use client::source::Format;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Failed rows that are printed; the rest is counted.
const PRINTED_MAX: u64 = 20;

pub(crate) async fn get(args: Get) -> anyhow::Result<u8> {
    let way = Arc::new(connection::http(&args.connection)?);
    let (service, counting) = Counting::begin(way, args.stats.as_deref());
    let format = args.format.map(Format::from);
    let format = format.or_else(|| Format::of_path(&args.output)).unwrap_or(Format::Csv);
    if format == Format::Parquet && Compression::of_path(&args.output).is_some() {
        let text = "Parquet is compressed inside: give a name without .gz or .zst";
        return Err(Usage(text.to_owned()).into());
    }
    refuse_side_by_side(&args)?;
    let query = query(&args)?;
    let reading = Reading::prepare(&service, &query, format).await?;
    if args.count {
        let count = reading.count().await?;
        output::line(&count.to_string());
        return Ok(0);
    }
    if args.count_also {
        let count = reading.count().await?;
        output::note(&format!("get: {} rows are there", output::grouped(count)));
    }
    match &args.file {
        Some(file) => matched(&args, reading, file, format, counting).await,
        None => all(&args, reading, query.top, format, counting).await,
    }
}

/// What has an order of its own is read page by page.
fn refuse_side_by_side(args: &Get) -> Result<(), Usage> {
    let given = [
        (!args.sort.is_empty(), "--sort"),
        (args.fetch.is_some(), "--fetch"),
        (args.file.is_some(), "rows that name records"),
    ];
    match given.into_iter().find(|(is_given, _)| *is_given && args.width > 1) {
        Some((_, what)) => Err(Usage(format!(
            "`-j` reads pages side by side, in no order, and does not go with {what}: leave out one of them"
        ))),
        None => Ok(()),
    }
}

fn query(args: &Get) -> anyhow::Result<Query> {
    let fetch = args.fetch.as_ref().map(|fetch| match fetch.trim_start().starts_with('<') {
        true => Ok(fetch.clone()),
        false => std::fs::read_to_string(fetch)
            .map_err(|err| Usage(format!("`--fetch {fetch}` is no FetchXML and no file: {err}"))),
    });
    Ok(Query {
        table: args.table.clone().unwrap_or_default(),
        columns: args.columns.clone(),
        exclude_columns: args.exclude_columns.clone(),
        system_columns: args.system_columns,
        file_columns: args.file_columns,
        file_directory: args.file_directory.clone(),
        lookup_names: args.lookup_names,
        wanted: Wanted {
            filters: args.filter.clone(),
            excludes: args.exclude.clone(),
            exclude_or: args.exclude_or,
            ids: args.id.clone(),
            exclude_ids: args.exclude_id.clone(),
            names: args.name.clone(),
            active_only: args.active_only,
        },
        fetch: fetch.transpose()?,
        sort: args.sort.clone(),
        top: args.top,
        page_size: args.page_size,
        width: usize::from(args.width),
        zone: args.timezone.clone(),
        headers: args.headers.map(Into::into),
    })
}

fn is_read_enough(args: &Get, error: &Error) -> bool {
    // Whoever read the output has seen enough.
    args.output.as_os_str() == "-"
        && matches!(error, Error::Write(err) if err.kind() == ErrorKind::BrokenPipe)
}

async fn all(
    args: &Get,
    reading: Reading,
    top: Option<u64>,
    format: Format,
    mut counting: Counting,
) -> anyhow::Result<u8> {
    // Only now: a name that does not exist must not cost a file that does.
    let out = connection::create(&args.output)?;
    let stop = Stop::listen();
    let total = top.map_or(Total::Unknown, Total::Rows);
    let mut progress = Progress::new(args.progress, total);
    let fetched = reading
        .write(out, format, Some(stop.receiver.clone()), &mut |rows| {
            progress.rows(rows);
        })
        .await;
    progress.finish();
    let fetched = match fetched {
        Err(err) if is_read_enough(args, &err) => return Ok(0),
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
    counting.read(fetched.rows);
    counting.tell("get", took)?;
    Ok(if fetched.interrupted { 5 } else { 0 })
}

/// The records that the rows of a file name.
async fn matched(
    args: &Get,
    reading: Reading,
    file: &Path,
    format: Format,
    mut counting: Counting,
) -> anyhow::Result<u8> {
    let output = Some(args.output.as_path()).filter(|path| path.as_os_str() != "-");
    connection::refuse_same(file, output, "--output")?;
    let Input { bytes, format: input, .. } = connection::open(file, None)?;
    let matching = Matching {
        match_on: args.match_on.iter().map(|list| set::names(list)).collect(),
        allow_multiple: args.allow_multiple_matches,
        retrieval_size: usize::from(args.look.retrieval_batch_size),
        format: input,
    };
    let out = connection::create(&args.output)?;
    let stop = Stop::listen();
    let progress = Progress::new(args.progress, Total::Unknown);
    let (mut printed, name) = (0, file.display());
    let mut failed = |line: u64, problem: &client::problem::Problem| {
        printed += 1;
        if printed <= PRINTED_MAX {
            progress.note(&format!("{name}:{line}: {problem}"));
        }
    };
    let matched = reading
        .write_matched(&matching, bytes, out, format, Some(stop.receiver.clone()), &mut failed)
        .await;
    let matched = match matched {
        Err(err) if is_read_enough(args, &err) => return Ok(0),
        matched => matched?,
    };
    if printed > PRINTED_MAX {
        output::note(&format!("and {} more", output::grouped(printed - PRINTED_MAX)));
    }
    let mark = if matched.interrupted { ", interrupted" } else { "" };
    output::note(&format!(
        "get: {} rows: {} records, {} absent, {} failed in {}{mark}",
        output::grouped(matched.rows),
        output::grouped(matched.records),
        output::grouped(matched.absent),
        output::grouped(matched.failed),
        seconds(progress.took())
    ));
    counting.read(matched.rows);
    counting.tell("get", progress.took())?;
    Ok(match (matched.interrupted, matched.failed) {
        (true, _) => 5,
        (false, 0) => 0,
        (false, _) => 1,
    })
}
