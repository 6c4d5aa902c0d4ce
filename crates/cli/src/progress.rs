//! What is said while rows move: a bar, plain lines, JSON lines, or nothing; always on standard error.

use crate::args;
use crate::output;
use client::journal::Outcome;
use client::sender::Status;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// What the end of the bar is.
pub(crate) enum Total {
    /// So many rows.
    Rows(u64),
    /// So many bytes, of which so many are read.
    Bytes(u64, Arc<AtomicU64>),
    /// Nobody knows.
    Unknown,
}

/// Says how a run goes.
pub(crate) struct Progress {
    show: Show,
    total: Total,
    started: Instant,
    said: Instant,
}

enum Show {
    Bar(ProgressBar),
    Plain,
    Json,
    Nothing,
}

impl Progress {
    /// Begins.
    pub(crate) fn new(wish: args::Progress, total: Total) -> Self {
        let show = match wish {
            args::Progress::Auto if std::io::stderr().is_terminal() => Show::Bar(bar(&total)),
            args::Progress::Auto | args::Progress::None => Show::Nothing,
            args::Progress::Plain => Show::Plain,
            args::Progress::Json => Show::Json,
        };
        let started = Instant::now();
        Self { show, total, started, said: started }
    }

    /// How long it has taken.
    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Rows have moved.
    pub(crate) fn rows(&mut self, rows: u64, text: impl FnOnce() -> String) {
        let is_due = match &self.show {
            Show::Nothing | Show::Bar(_) => false,
            Show::Plain => self.is_due(PLAIN_INTERVAL),
            Show::Json => self.is_due(JSON_INTERVAL),
        };
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                let place = match &self.total {
                    Total::Bytes(_, read) => read.load(Ordering::Relaxed),
                    Total::Rows(_) | Total::Unknown => rows,
                };
                bar.set_position(place);
                let rate = output::grouped(output::rate(rows, self.took()));
                bar.set_message(format!(
                    "{} rows  {rate} rows/s  {}",
                    output::grouped(rows),
                    text()
                ));
            }
            Show::Plain if is_due => {
                let rate = output::grouped(output::rate(rows, self.took()));
                let rows = output::grouped(rows);
                output::note(&format!("{rows} rows, {rate} rows/s, {}", text()));
            }
            Show::Json if is_due => {
                let took = self.took();
                let line = serde_json::json!({
                    "rows": rows,
                    "rows_per_second": output::rate(rows, took),
                    "seconds": took.as_secs_f64(),
                    "text": text(),
                });
                output::note(&line.to_string());
            }
            Show::Plain | Show::Json => {}
        }
    }

    /// A load has moved.
    pub(crate) fn status(&mut self, status: &Status) {
        let failed = status.counts.of(Outcome::Failed);
        self.rows(status.counts.closed(), || {
            let failed = if failed > 0 { format!("  {failed} failed") } else { String::new() };
            let paused = status.paused.map(|paused| format!("  paused {} s", paused.as_secs()));
            let paused = paused.unwrap_or_default();
            format!("{}×{}{failed}{paused}", status.in_flight, status.size)
        });
    }

    fn is_due(&mut self, interval: Duration) -> bool {
        let is_due = self.said.elapsed() >= interval;
        if is_due {
            self.said = Instant::now();
        }
        is_due
    }

    /// Says something above the bar.
    pub(crate) fn note(&self, text: &str) {
        match &self.show {
            Show::Bar(bar) => bar.suspend(|| output::note(text)),
            Show::Plain | Show::Json | Show::Nothing => output::note(text),
        }
    }

    /// Ends.
    pub(crate) fn finish(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: &Total) -> ProgressBar {
    let (len, template) = match total {
        Total::Rows(rows) => (Some(*rows), "{bar:30} {percent:>3} %  {msg}  ETA {eta}"),
        Total::Bytes(bytes, _) => (Some(*bytes), "{bar:30} {percent:>3} %  {msg}  ETA {eta}"),
        Total::Unknown => (None, "{spinner}  {msg}"),
    };
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr_with_hz(4));
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar
}

/// Counts the bytes that are read.
pub(crate) struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Counts from zero.
    pub(crate) fn new(inner: R) -> (Self, Arc<AtomicU64>) {
        let read = Arc::new(AtomicU64::new(0));
        (Self { inner, read: Arc::clone(&read) }, read)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
