//! What is said while rows move: a bar, plain lines, JSON lines, or nothing; always on standard error.

mod window;

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
use window::{Sample, Window};

const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
const BAR_INTERVAL: Duration = Duration::from_millis(500);
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
    window: Window,
}

/// What is known of a load beside its rows.
#[derive(Clone, Copy, Debug)]
struct Load {
    width: usize,
    size: usize,
    failed: u64,
    paused: Option<Duration>,
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
        Self { show, total, started, said: started, window: Window::default() }
    }

    /// How long it has taken.
    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// Rows have moved.
    pub(crate) fn rows(&mut self, rows: u64) {
        self.moved(rows, rows, None);
    }

    /// A load has moved.
    pub(crate) fn status(&mut self, status: &Status) {
        let load = Load {
            width: status.in_flight,
            size: status.size,
            failed: status.counts.of(Outcome::Failed),
            paused: status.paused,
        };
        self.moved(status.counts.closed(), status.counts.read(), Some(load));
    }

    /// `read` of the rows are read, `rows` have ended.
    fn moved(&mut self, rows: u64, read: u64, load: Option<Load>) {
        let interval = match &self.show {
            Show::Nothing => return,
            Show::Bar(_) => BAR_INTERVAL,
            Show::Plain => PLAIN_INTERVAL,
            Show::Json => JSON_INTERVAL,
        };
        let (end, place) = match &self.total {
            Total::Rows(end) => (Some(*end), rows),
            // What is read ahead has not moved yet.
            Total::Bytes(end, bytes) => {
                (Some(*end), share(bytes.load(Ordering::Relaxed), rows, read))
            }
            Total::Unknown => (None, rows),
        };
        let took = self.took();
        self.window.add(Sample { at: took, rows, place });
        if self.said.elapsed() < interval {
            return;
        }
        self.said = Instant::now();
        let overall = output::rate(rows, took);
        let now = self.window.rows_per_second().unwrap_or(overall);
        let paused = load.and_then(|load| load.paused);
        let left = end.and_then(|end| self.window.left(end, paused.unwrap_or_default()));
        match &self.show {
            Show::Bar(bar) => {
                bar.set_position(place);
                bar.set_message(text(rows, now, overall, load, left));
            }
            Show::Plain => output::note(&text(rows, now, overall, load, left)),
            Show::Json => {
                let mut line = serde_json::json!({
                    "rows": rows,
                    "seconds": took.as_secs_f64(),
                    "rows_per_second": now,
                    "rows_per_second_overall": overall,
                    "percent": end.filter(|end| *end > 0).map(|end| place.min(end) * 100 / end),
                    "seconds_left": left.map(|left| left.as_secs()),
                });
                if let Some(load) = load {
                    line["failed"] = load.failed.into();
                    line["width"] = load.width.into();
                    line["batch_size"] = load.size.into();
                    let paused = load.paused.map_or(0, |paused| paused.as_secs());
                    line["throttled_seconds"] = paused.into();
                }
                output::note(&line.to_string());
            }
            Show::Nothing => {}
        }
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
        Total::Rows(rows) => (Some(*rows), "{bar:30} {percent:>3} %  {msg}"),
        Total::Bytes(bytes, _) => (Some(*bytes), "{bar:30} {percent:>3} %  {msg}"),
        Total::Unknown => (None, "{spinner}  {msg}"),
    };
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr_with_hz(4));
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar
}

fn text(rows: u64, now: u64, overall: u64, load: Option<Load>, left: Option<Duration>) -> String {
    let (rows, now) = (output::grouped(rows), output::grouped(now));
    let mut text = format!("{rows} rows  {now} rows/s ({} overall)", output::grouped(overall));
    if let Some(load) = load {
        text.push_str(&format!("  {}×{}", load.width, load.size));
        if load.failed > 0 {
            text.push_str(&format!("  {} failed", output::grouped(load.failed)));
        }
        if let Some(paused) = load.paused {
            text.push_str(&format!("  throttled for {} s", paused.as_secs()));
        }
    }
    if let Some(left) = left {
        text.push_str(&format!("  {} left", span(left)));
    }
    text
}

/// `42 s`, `3 min 5 s`, `2 h 10 min`.
fn span(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `part` of `whole` rows have moved: so many of the bytes.
fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    let bytes = u128::from(bytes) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_has_not_moved() {
        assert_eq!(share(1_000, 10, 40), 250);
        assert_eq!(share(1_000, 0, 0), 0);
        assert_eq!(share(u64::MAX, 5, 5), u64::MAX);
    }

    #[test]
    fn the_line_says_what_is_known() {
        let paused = Some(Duration::from_secs(12));
        let load = Load { width: 5, size: 100, failed: 2, paused };
        assert_eq!(
            text(12_345, 400, 380, Some(load), Some(Duration::from_secs(185))),
            "12,345 rows  400 rows/s (380 overall)  5×100  2 failed  throttled for 12 s  3 min 5 s left"
        );
        assert_eq!(text(5, 1, 1, None, None), "5 rows  1 rows/s (1 overall)");
    }
}
