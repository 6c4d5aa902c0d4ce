//! `sheaf parallel`: a command for every chunk of rows, several at a time.
//!
//! In reading order: `input` (rows as JSON lines), this file, `callers` (who the commands are), `step` (one command).
//! Not here: cutting and scheduling (`client::parallel`).
//! Invariant: a row goes to one command or is named as one that could not be read; what a command writes is never
//! cut within a line.

mod callers;
mod input;
mod step;

use crate::args::{Parallel, Usage};
use crate::connection;
use crate::output;
use crate::signal::Stop;
use anyhow::Context;
use callers::Callers;
use client::compression::Sink;
use client::parallel::{Chunk, Settings, Summary};
use futures_util::{FutureExt, StreamExt};
use input::Input;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use step::{Failed, Step};
use tokio::sync::watch;
use tokio::time::Instant;

/// Cuts the input, and gives each chunk to the command.
pub(crate) async fn parallel(args: Parallel) -> anyhow::Result<u8> {
    connection::refuse_same(&args.input, args.rejects.as_deref(), "--rejects")?;
    let settings = Settings {
        chunk_size: args.chunk_size as usize,
        width: args.width.map_or_else(|| Settings::default().width, usize::from),
        flush_after: args.flush_after,
        is_ordered: args.ordered,
        errors_max: args.max_errors,
    };
    let ways = connection::ways(&args.connection)?;
    let stop = Stop::listen();
    let mut input = Input::read(args.input.clone(), args.format.map(Into::into));
    if args.what_if {
        return what_if(input, settings, &stop.receiver).await;
    }
    let started = Instant::now();
    let halt = Arc::new(watch::Sender::new(false));
    let interrupted = stop.receiver.clone();
    let pass_on = forward(interrupted.clone(), halt.clone());
    let callers = Arc::new(Callers::new(ways).context("there is no place for tokens")?);
    let step = Step {
        command: args.command,
        callers: callers.clone(),
        keeps_output: args.ordered,
        grace: args.grace,
        interrupted: interrupted.clone(),
        halt: halt.clone(),
    };
    let mut report = Report::new(args.rejects, settings.chunk_size);
    let rows = input.rows();
    let run = client::parallel::parallel(
        settings,
        rows,
        &step,
        |step: Arc<Step>, chunk| async move { step.run(chunk).await }.boxed(),
        Some(halt.subscribe()),
        |number, result| report.take(number, result, &halt),
    );
    let summary = tokio::select! {
        summary = run => summary,
        () = pass_on => unreachable!("it waits for ever"),
        () = callers.keep_fresh() => unreachable!("it goes on for ever"),
    };
    let interrupted = *interrupted.borrow();
    report.end(input, &summary, interrupted, started)
}

/// Passes an interrupt on to who starts chunks; never ends.
async fn forward(mut interrupted: watch::Receiver<bool>, halt: Arc<watch::Sender<bool>>) {
    if interrupted.wait_for(|stop| *stop).await.is_ok() {
        halt.send_replace(true);
    }
    std::future::pending().await
}

/// Counts what would be cut.
async fn what_if(
    mut input: Input,
    settings: Settings,
    interrupted: &watch::Receiver<bool>,
) -> anyhow::Result<u8> {
    let mut interrupted = interrupted.clone();
    let mut rows = 0_u64;
    let mut stream = std::pin::pin!(input.rows());
    loop {
        tokio::select! {
            row = stream.next() => match row {
                Some(_) => rows += 1,
                None => break,
            },
            Ok(_) = interrupted.wait_for(|stop| *stop) => return Ok(5),
        }
    }
    let size = settings.chunk_size as u64;
    output::note(&format!(
        "parallel would cut {} rows into {} chunks",
        output::grouped(rows),
        output::grouped(rows.div_ceil(size))
    ));
    if rows > 0 {
        output::note(&format!("the first: rows 1 to {}", output::grouped(rows.min(size))));
    }
    let bad = input.end()?;
    Ok(u8::from(bad > 0))
}

/// What becomes of chunks, as it is said and kept.
struct Report {
    rejects: Option<PathBuf>,
    open: Option<Sink>,
    chunk_size: u64,
    /// Why rows of failed chunks could not be kept.
    broken: Option<anyhow::Error>,
    /// Why no command can be started.
    not_started: Option<Usage>,
    is_unread: bool,
}

impl Report {
    fn new(rejects: Option<PathBuf>, chunk_size: usize) -> Self {
        let (open, broken, not_started) = (None, None, None);
        let chunk_size = chunk_size as u64;
        Self { rejects, open, chunk_size, broken, not_started, is_unread: false }
    }

    fn take(&mut self, number: u64, result: Result<Vec<u8>, Failed>, halt: &watch::Sender<bool>) {
        let failed = match result {
            Ok(out) => {
                if step::print(&out).is_err() {
                    self.is_unread = true;
                    halt.send_replace(true);
                }
                return;
            }
            Err(failed) => failed,
        };
        self.is_unread |= failed.is_unread;
        let (chunk, why) = (&failed.chunk, &failed.why);
        if !failed.is_unread {
            output::note(&format!("chunk {} ({}) failed: {why}", number + 1, span(chunk)));
        }
        if let Some(wrong) = failed.not_started {
            self.not_started = Some(wrong);
        }
        if let Err(err) = self.keep(&failed.chunk)
            && self.broken.is_none()
        {
            self.broken = Some(err);
            halt.send_replace(true);
        }
    }

    /// Keeps the rows of a chunk that failed.
    fn keep(&mut self, chunk: &Chunk<Vec<u8>>) -> anyhow::Result<()> {
        let Some(path) = &self.rejects else { return Ok(()) };
        let failed = |path: &Path| format!("cannot write `{}`", path.display());
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(connection::create(path)?),
        };
        file.write_all(&step::lines(&chunk.items)).with_context(|| failed(path))
    }

    /// Says how it ended.
    fn end(
        mut self,
        input: Input,
        summary: &Summary,
        interrupted: bool,
        started: Instant,
    ) -> anyhow::Result<u8> {
        if let Some(wrong) = self.not_started {
            return Err(wrong.into());
        }
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let has_kept = self.open.is_some();
        if let Some(file) = self.open.take() {
            file.finish().context("cannot write the file of `--rejects`")?;
        }
        let chunks = summary.well + summary.failed + summary.not_attempted;
        let mark = if interrupted { ", interrupted" } else { "" };
        output::note(&format!(
            "parallel: {} rows in {} chunks of {}: {} well, {} failed, {} not attempted in {}{mark}",
            output::grouped(summary.items),
            output::grouped(chunks),
            output::grouped(self.chunk_size),
            output::grouped(summary.well),
            output::grouped(summary.failed),
            output::grouped(summary.not_attempted),
            crate::set::seconds(started.elapsed())
        ));
        if has_kept {
            output::note("the rows of failed chunks are kept (--rejects)");
        }
        if interrupted {
            return Ok(5);
        }
        if self.is_unread {
            // Whoever read the output has seen enough.
            return Ok(0);
        }
        if summary.stopped_early {
            return Ok(4);
        }
        let bad = input.end()?;
        Ok(u8::from(bad > 0 || summary.failed > 0))
    }
}

/// Which rows of the input a chunk has, counted from 1.
fn span(chunk: &Chunk<Vec<u8>>) -> String {
    let first = chunk.first + 1;
    match chunk.items.len() as u64 {
        1 => format!("row {}", output::grouped(first)),
        many => {
            format!("rows {} to {}", output::grouped(first), output::grouped(chunk.first + many))
        }
    }
}
