//! What a guest traces and logs, within bounds.
//!
//! Traces go back with the run (newest lines are kept); logs go to the service's own telemetry at once.

use crate::bindings::sheaf::plugin::logging::Level;
use std::collections::VecDeque;

/// Bytes of traces that are kept of one run: 10 KB.
const TRACE_BYTES_MAX: usize = 10_240;

/// What one run may log: bytes and records.
const LOG_BYTES_MAX: usize = 1 << 20;
const LOG_RECORDS_MAX: usize = 1_000;

/// The lines that a run traced: the newest ones, as many as there is room for.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: VecDeque<Box<str>>,
    bytes: usize,
}

impl Trace {
    /// Adds a line. Of one that is too long by itself the end is kept.
    pub(crate) fn push(&mut self, line: String) {
        let from = line.ceil_char_boundary(line.len().saturating_sub(TRACE_BYTES_MAX));
        let line: Box<str> = line.split_at(from).1.into();
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > TRACE_BYTES_MAX {
            let oldest = self.lines.pop_front().expect("what counts is there");
            self.bytes -= oldest.len();
        }
        // Empty lines count nothing and could go on for ever.
        if self.lines.len() > TRACE_BYTES_MAX {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    pub(crate) fn into_lines(self) -> Vec<Box<str>> {
        self.lines.into()
    }
}

/// The budget of what a run logs, and what every record of it names.
#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) step: model::Uuid,
    pub(crate) correlation: model::Uuid,
    pub(crate) depth: u32,
    pub(crate) bytes_left: usize,
    pub(crate) records_left: usize,
}

impl Logs {
    pub(crate) fn new(step: model::Uuid, correlation: model::Uuid, depth: u32) -> Self {
        Self { step, correlation, depth, bytes_left: LOG_BYTES_MAX, records_left: LOG_RECORDS_MAX }
    }

    /// Sends a record on, unless the run has logged enough.
    pub(crate) fn push(&mut self, level: Level, message: &str, scope: &[(String, String)]) {
        let scopes: usize = scope.iter().map(|(key, value)| key.len() + value.len()).sum();
        let bytes = message.len() + scopes;
        if self.records_left == 0 || bytes > self.bytes_left {
            return;
        }
        self.records_left -= 1;
        self.bytes_left -= bytes;
        let (step, correlation, depth) = (self.step, self.correlation, self.depth);
        match level {
            Level::Trace => {
                tracing::trace!(target: "plugin", %step, %correlation, depth, ?scope, "{message}");
            }
            Level::Debug => {
                tracing::debug!(target: "plugin", %step, %correlation, depth, ?scope, "{message}");
            }
            Level::Information => {
                tracing::info!(target: "plugin", %step, %correlation, depth, ?scope, "{message}");
            }
            Level::Warning => {
                tracing::warn!(target: "plugin", %step, %correlation, depth, ?scope, "{message}");
            }
            Level::Error | Level::Critical => {
                tracing::error!(target: "plugin", %step, %correlation, depth, ?scope, "{message}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let mut trace = Trace::default();
        for number in 0..2_000 {
            trace.push(format!("line {number:05}"));
        }
        let lines = trace.into_lines();
        assert_eq!(lines.len(), TRACE_BYTES_MAX / 10);
        assert_eq!(&*lines[lines.len() - 1], "line 01999");
    }

    #[test]
    fn of_a_line_that_is_too_long_the_end_is_kept_in_whole_characters() {
        let mut trace = Trace::default();
        trace.push("before".to_owned());
        trace.push(format!("{}ü", "ä".repeat(6_000)));
        let lines = trace.into_lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].len(), TRACE_BYTES_MAX);
        assert!(lines[0].ends_with('ü'));
    }

    #[test]
    fn empty_lines_do_not_pile_up() {
        let mut trace = Trace::default();
        for _ in 0..50_000 {
            trace.push(String::new());
        }
        assert_eq!(trace.into_lines().len(), TRACE_BYTES_MAX);
    }

    #[test]
    fn a_run_logs_a_bounded_number_of_records_and_bytes() {
        let mut logs = Logs::new(model::Uuid::nil(), model::Uuid::nil(), 1);
        logs.push(Level::Debug, &"x".repeat(LOG_BYTES_MAX + 1), &[]);
        assert_eq!(logs.records_left, LOG_RECORDS_MAX);
        for _ in 0..2_000 {
            logs.push(Level::Debug, "x", &[("k".to_owned(), "v".to_owned())]);
        }
        assert_eq!((logs.records_left, logs.bytes_left), (0, LOG_BYTES_MAX - 3 * LOG_RECORDS_MAX));
    }
}
