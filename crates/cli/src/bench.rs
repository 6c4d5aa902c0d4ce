//! `sheaf bench`: asks, measures, and prints what was found.
//!
//! Not here: measuring (`client::bench`). Invariant: nothing is written before it was allowed.

use crate::args::{Bench, BenchCommand, BenchMethods, BenchRows, BenchTune, Usage};
use crate::connection;
use crate::output;
use crate::signal::Stop;
use client::bench::{Spread, methods, tune};
use std::io::IsTerminal;

/// What a run that was stopped ends with.
const INTERRUPTED: u8 = 5;

/// Runs one of its commands.
pub(crate) async fn bench(args: Bench) -> anyhow::Result<u8> {
    match args.command {
        BenchCommand::Methods(args) => Box::pin(methods(args)).await,
        BenchCommand::Tune(args) => Box::pin(tune(args)).await,
    }
}

async fn methods(args: BenchMethods) -> anyhow::Result<u8> {
    let BenchRows { table, connection, columns, yes, json, call } = args.rows_of;
    let service = connection::service(&connection)?;
    let options = methods::Options {
        table,
        operations: unlike(args.operations),
        methods: unlike(args.methods),
        rows: args.rows,
        rounds: args.rounds,
        width: args.width,
        size: args.batch_size,
        columns,
        call: call.call(),
        seed: connection::seed(),
    };
    let plan = methods::prepare(&service, options).await?;
    let what = format!("{} rows", output::grouped(plan.rows()));
    if !may_go_on(yes, plan.table(), &what)? {
        return Ok(0);
    }
    let stop = Stop::listen();
    let mut observe = |cell: &methods::Cell| {
        let Some(round) = cell.rounds.last() else { return };
        let (operation, method) = (cell.operation.as_str(), cell.method.as_str());
        let failed = match round.failed {
            0 => String::new(),
            failed => format!(", {} failed", output::grouped(failed)),
        };
        let (number, rate) = (cell.rounds.len(), shown(round.rows_per_second));
        output::note(&format!("round {number}: {operation}, {method}: {rate} rows/s{failed}"));
    };
    let report = plan.run(Some(stop.receiver.clone()), &mut observe).await?;
    if json {
        output::line(&serde_json::to_string_pretty(&report)?);
    } else {
        print_methods(&report);
    }
    Ok(code(report.interrupted, report.cells.iter().any(|cell| cell.problem.is_some())))
}

async fn tune(args: BenchTune) -> anyhow::Result<u8> {
    let BenchRows { table, connection, columns, yes, json, call } = args.rows_of;
    let service = connection::service(&connection)?;
    let options = tune::Options {
        table,
        widths: args.widths,
        sizes: args.sizes,
        measure: args.seconds,
        learn: args.learn,
        rounds: args.rounds,
        columns,
        call: call.call(),
        seed: connection::seed(),
    };
    let plan = tune::prepare(&service, options).await?;
    for size in plan.left_out() {
        output::note(&format!(
            "{} rows in a message are left out: table `{}` takes {} at most",
            output::grouped(*size as u64),
            plan.table(),
            output::grouped(plan.size_max() as u64)
        ));
    }
    let what = format!("rows for {:.0} s", plan.lasts().as_secs_f64());
    if !may_go_on(yes, plan.table(), &what)? {
        return Ok(0);
    }
    let stop = Stop::listen();
    let mut observe = |round: &tune::Round, is_learned: bool| {
        let rate = shown(round.rows_per_second);
        let how = if is_learned { "learned" } else { "given" };
        output::note(&format!("{how}, {} x {}: {rate} rows/s", round.width, round.size));
    };
    let report = plan.run(Some(stop.receiver.clone()), &mut observe).await?;
    if json {
        output::line(&serde_json::to_string_pretty(&report)?);
    } else {
        print_tune(&report);
    }
    Ok(code(report.interrupted, report.problem.is_some()))
}

fn code(interrupted: bool, has_failed: bool) -> u8 {
    match (interrupted, has_failed) {
        (true, _) => INTERRUPTED,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// Each once, in their order.
fn unlike<T: PartialEq>(list: Vec<impl Into<T>>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in list.into_iter().map(Into::into) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// Asks once, on a terminal. Elsewhere `--yes` must be given.
fn may_go_on(yes: bool, table: &str, what: &str) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        let text = format!(
            "this would create {what} in table `{table}` and remove them again: add `--yes`"
        );
        return Err(Usage(text).into());
    }
    let may = output::confirm(&format!("create {what} in table `{table}` and remove them again?"))?;
    if !may {
        output::note("nothing was written");
    }
    Ok(may)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure for people, and a rate is never negative"
)]
fn shown(rate: f64) -> String {
    output::grouped(rate.round() as u64)
}

/// `±4 %`: half of what lies between the slowest and the quickest round, where there are several.
fn spread(spread: &Spread, rounds: usize) -> String {
    if rounds < 2 { "one round".to_owned() } else { format!("±{:.0} %", spread.share() * 50.0) }
}

fn print_methods(report: &methods::Report) {
    let mut rows = Vec::new();
    for cell in &report.cells {
        let mut row = vec![cell.operation.as_str().to_owned(), cell.method.as_str().to_owned()];
        let sum = |of: fn(&methods::Round) -> u64| cell.rounds.iter().map(of).sum::<u64>();
        let failed = sum(|round| round.failed);
        match (cell.missing, &cell.rows_per_second) {
            (Some(message), _) => {
                row.extend(["-", "-", "-", "-", "-"].map(str::to_owned));
                row.push(format!("not there: {message}"));
            }
            (None, rate) => {
                let rate = rate.as_ref();
                row.push(rate.map_or("-".to_owned(), |rate| shown(rate.median)));
                let apart = rate.map(|rate| spread(rate, cell.rounds.len()));
                row.push(apart.unwrap_or("-".to_owned()));
                row.push(output::grouped(sum(|round| round.requests)));
                row.push(output::grouped(sum(|round| round.throttles)));
                row.push(output::grouped(failed));
                row.push(cell.problem.clone().unwrap_or_default());
            }
        }
        rows.push(row);
    }
    let headers =
        ["operation", "method", "rows/s", "spread", "requests", "throttles", "failed", ""];
    output::table(&headers, &rows);
    output::note(&format!(
        "table `{}`, {} rows in each operation and round; width {}, up to {} rows in a message, but for `{}`, \
         which learns",
        report.table,
        output::grouped(report.rows),
        report.width,
        output::grouped(report.size as u64),
        methods::Method::Own.as_str()
    ));
    if report.interrupted {
        output::note("interrupted: rounds are missing; all rows were removed");
    }
}

fn print_tune(report: &tune::Report) {
    let unlike_of = |of: fn(&tune::Point) -> usize| unlike(report.grid.iter().map(of).collect());
    let widths: Vec<usize> = unlike_of(|point| point.width);
    let sizes: Vec<usize> = unlike_of(|point| point.size);
    let headers: Vec<String> = std::iter::once("rows in a message".to_owned())
        .chain(widths.iter().map(|width| format!("width {width}")))
        .collect();
    let rate_of = |size: &usize, width: &usize| {
        let point = report.grid.iter().find(|point| (point.size, point.width) == (*size, *width));
        point.and_then(|point| point.rows_per_second).map(|rate| shown(rate.median))
    };
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|size| {
            let rates = widths.iter().map(|width| rate_of(size, width).unwrap_or("-".to_owned()));
            std::iter::once(output::grouped(*size as u64)).chain(rates).collect()
        })
        .collect();
    output::table(&headers.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    if let Some(best) = report.best.and_then(|place| report.grid.get(place))
        && let Some(rate) = &best.rows_per_second
    {
        let (rate, apart) = (shown(rate.median), spread(rate, best.rounds.len()));
        output::line(&format!(
            "best of the grid: width {}, {} rows in a message: {rate} rows/s ({apart})",
            best.width, best.size
        ));
    }
    if let (Some(last), Some(rate)) = (report.learned.rounds.last(), report.learned.rows_per_second)
    {
        let share = match report.learned.share_of_best {
            Some(share) => format!(
                ", {share:.2} of the best; {} of {} settings were quicker",
                report.learned.quicker,
                report.grid.len()
            ),
            None => String::new(),
        };
        output::line(&format!(
            "learned: width {}, {} rows in a message: {} rows/s ({}){share}",
            last.width,
            last.size,
            shown(rate.median),
            spread(&rate, report.learned.rounds.len())
        ));
    }
    if let Some(problem) = &report.problem {
        output::note(&format!("sheaf: some rows failed: {problem}"));
    }
    if report.interrupted {
        output::note("interrupted: measurements are missing; all rows were removed");
    }
}
