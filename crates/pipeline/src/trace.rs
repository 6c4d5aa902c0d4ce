//! The trace log: what runs of steps have traced, as rows that stay when their message is undone.
//!
//! In reading order: [`Setting`] (which runs are kept), [`Log`] (the runs of one request from outside), the
//! rows, and their writing. Whoever begins a request writes them when it has ended, whatever became of it.
//! Not here: running steps (`stages`), counting them (`statistics`).
//! Source: plugins.md 5.4. Invariant: nothing here fails a message, and no row is written inside its transaction.

use crate::job;
use crate::message::Message;
use crate::rights::load;
use crate::run::{Authority, Context, Error, Pipeline, not_about_rows};
use crate::step::course::{Course, clock};
use crate::step::{Handler, Mode, Step, StepCall};
use model::{Catalog, Fault, MessageName, Table, Timestamp, Uuid, Value};
use query::{ColumnRef, Compare, Filter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The table.
pub(crate) const TABLE: &str = "plugintracelog";
/// How long what was traced by one run may be; the newest is kept.
const BLOCK_BYTES_MAX: usize = 10_240;
/// How long the words about a failure may be.
const DETAILS_BYTES_MAX: usize = 262_144;
/// Runs of one request from outside that are kept at most; the first ones.
const RUNS_MAX: usize = 10_000;
/// Rows of one write.
const ROWS_PER_WRITE: usize = 1_000;
/// How long rows are kept.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// How long a node believes a setting that another node may have changed.
const BELIEVED: Duration = Duration::from_secs(1);

/// Which runs are kept: `organization.plugintracelogsetting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Setting {
    /// None.
    #[default]
    Off,
    /// Those that failed.
    Failures,
    /// All.
    All,
}

/// The setting that was read last, and when.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    kept: RwLock<Option<(Instant, Setting)>>,
}

impl Settings {
    /// The row was written here.
    pub(crate) fn forget(&self) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn known(&self) -> Option<Setting> {
        let kept = *self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (at, setting) = kept?;
        (clock().saturating_duration_since(at) < BELIEVED).then_some(setting)
    }

    fn keep(&self, setting: Setting) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some((clock(), setting));
    }
}

/// What was traced in one request from outside, with everything that it caused.
#[derive(Debug, Default)]
pub(crate) struct Log {
    setting: Setting,
    runs: Mutex<Vec<Run>>,
    is_full: AtomicBool,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) step: Arc<Step>,
    pub(crate) table: Arc<Table>,
    pub(crate) depth: u32,
    pub(crate) correlation: Uuid,
    pub(crate) request: Uuid,
    pub(crate) block: String,
    pub(crate) failure: Option<String>,
    pub(crate) began: Timestamp,
    pub(crate) spans: Spans,
}

/// What is known of a run before it begins.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) step: Arc<Step>,
    table: Arc<Table>,
    depth: u32,
    correlation: Uuid,
    request: Uuid,
    /// The message's own time, and the same by the clock.
    began: (Timestamp, Instant),
}

impl About {
    pub(crate) fn of(call: &StepCall, began: (Timestamp, Instant)) -> Self {
        Self {
            step: call.step.clone(),
            table: call.frame.table.clone(),
            depth: call.frame.depth,
            correlation: call.frame.correlation,
            request: call.frame.request,
            began,
        }
    }
}

/// When a run began and how long it took, the time to make it ready included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) began: Instant,
    pub(crate) preparing: Duration,
    pub(crate) took: Duration,
}

impl Spans {
    /// Without the time to make it ready.
    pub(crate) fn own(self) -> Duration {
        self.took.saturating_sub(self.preparing)
    }
}

impl Run {
    pub(crate) fn of(
        about: About,
        fault: Option<&Fault>,
        lines: &[Box<str>],
        spans: Spans,
    ) -> Self {
        let (now, at) = about.began;
        let passed = spans.began.saturating_duration_since(at).as_secs();
        Self {
            failure: fault.map(|fault| failure(&about.step, fault)),
            block: block(lines),
            began: Timestamp(now.0 + i64::try_from(passed).unwrap_or(0)),
            spans,
            step: about.step,
            table: about.table,
            depth: about.depth,
            correlation: about.correlation,
            request: about.request,
        }
    }
}

impl Log {
    pub(crate) fn with(setting: Setting) -> Self {
        Self { setting, ..Self::default() }
    }

    /// Whether a run is kept.
    pub(crate) fn wants(&self, failed: bool) -> bool {
        match self.setting {
            Setting::Off => false,
            Setting::Failures => failed,
            Setting::All => true,
        }
    }

    pub(crate) fn push(&self, run: Run) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() < RUNS_MAX {
            runs.push(run);
        } else if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(kept = RUNS_MAX, "further runs of a request are not in the trace log");
        }
    }

    fn take(&self) -> Vec<Run> {
        std::mem::take(&mut *self.runs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was traced as one text: a line each, and of too much the newest.
fn block(lines: &[Box<str>]) -> String {
    let mut kept = Vec::new();
    let mut left = BLOCK_BYTES_MAX;
    for line in lines.iter().rev() {
        let bytes = line.len() + usize::from(!kept.is_empty());
        if bytes > left {
            if kept.is_empty() {
                kept.push(tail(line, left));
            }
            break;
        }
        left -= bytes;
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}

/// The end of a text, cut between characters.
fn tail(text: &str, bytes: usize) -> &str {
    let start = text.len().saturating_sub(bytes);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[start..]
}

/// What is told about a run that failed: its handler, the code, both texts and the details.
fn failure(step: &Step, fault: &Fault) -> String {
    let mut text =
        format!("{}\nCode: {}\nMessage: {}", step.handler.name(), fault.code, fault.text());
    for (name, value) in &fault.details {
        text.push_str(&format!("\n{name}: {value}"));
    }
    if let Some(log) = &fault.log {
        text.push_str(&format!("\n\n{log}"));
    }
    if text.len() > DETAILS_BYTES_MAX {
        let end = (0..=DETAILS_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
    text
}

impl Pipeline {
    /// Which runs are kept. It is read once a second at most; where that fails, none is.
    pub(crate) async fn trace_setting(&self, context: &Context) -> Setting {
        if let Some(known) = self.trace_settings.known() {
            return known;
        }
        let id = self.organization().id;
        let read = self.values(context, "organization", id, ["plugintracelogsetting"]).await;
        let setting = match read {
            Ok([Value::Integer(1)]) => Setting::Failures,
            Ok([Value::Integer(2)]) => Setting::All,
            Ok(_) => Setting::Off,
            Err(error) => {
                tracing::warn!(%error, "the setting of the trace log could not be read");
                return Setting::Off;
            }
        };
        self.trace_settings.keep(setting);
        setting
    }

    /// Writes what was traced. Its message has ended, well or not.
    pub(crate) async fn keep_traces(&self, context: &Context, log: &Log) {
        let runs = log.take();
        for some in runs.chunks(ROWS_PER_WRITE) {
            if let Err(error) = self.keep_some(context, some).await {
                tracing::warn!(%error, runs = some.len(), "runs are not in the trace log");
            }
        }
    }

    async fn keep_some(&self, context: &Context, runs: &[Run]) -> Result<(), Error> {
        let ids = self.new_ids(runs.len(), context.now);
        let own = || Context {
            catalog: self.catalog(),
            caller: context.caller,
            now: context.now,
            course: Course::default(),
        };
        let write = |own: Context| async move {
            let rows = self.rows_of_runs(&own.catalog, runs, &ids)?;
            Box::pin(self.write(&own, vec![rows], Authority::System)).await.map(drop)
        };
        match write.clone()(own()).await {
            Err(Error::StaleCatalog) => {
                self.refresh().await?;
                write(own()).await
            }
            written => written,
        }
    }

    fn rows_of_runs(
        &self,
        catalog: &Catalog,
        runs: &[Run],
        ids: &[Uuid],
    ) -> Result<crate::Write, Fault> {
        let table = job::table(catalog, TABLE)?;
        let organization = self.organization().id;
        let target =
            |(run, id): (&Run, &Uuid)| job::target(table, *id, values(run, organization), None);
        let targets = runs.iter().zip(ids).map(target).collect();
        Ok(job::write(MessageName::CreateMultiple, table, targets))
    }

    /// Deletes rows of the trace log that are older than a day, a set at a time; answers how many.
    ///
    /// Errors: somebody else deletes them, too, among others; the next time goes on.
    pub async fn expire_traces(&self, context: &Context) -> Result<usize, Error> {
        let mut gone = 0;
        loop {
            let ids = self.old_traces(context).await?;
            if ids.is_empty() {
                return Ok(gone);
            }
            let table = job::table(&context.catalog, TABLE)?;
            for some in ids.chunks(ROWS_PER_WRITE) {
                let target = |id: &Uuid| job::target(table, *id, Vec::new(), None);
                let targets = some.iter().map(target).collect();
                let write = job::write(MessageName::Delete, table, targets);
                Box::pin(self.run(context, Message::System(vec![write]))).await?;
                gone += some.len();
            }
        }
    }

    async fn old_traces(&self, context: &Context) -> Result<Vec<Uuid>, Error> {
        let Some(table) = context.catalog.table(TABLE) else { return Ok(Vec::new()) };
        let Some(column) = table.index_of("createdon") else { return Ok(Vec::new()) };
        let before = Value::DateTime(Timestamp(context.now.0 - KEPT_SECONDS));
        let filter = Filter::Compare {
            column: ColumnRef::root(column),
            compare: Compare::Less,
            value: before,
        };
        let query = load::bound(&context.catalog, table, &[], Some(filter));
        let page = self.store().read(&query).await.map_err(not_about_rows)?;
        Ok(page.cells.iter().filter_map(Value::as_id).collect())
    }
}

/// The row of a run.
fn values(run: &Run, organization: Uuid) -> Vec<(&'static str, Value)> {
    let milliseconds =
        |span: Duration| Value::Integer(i32::try_from(span.as_millis()).unwrap_or(i32::MAX));
    let step = &run.step;
    let kind = match step.handler {
        Handler::Type(_) => 1,
        Handler::Endpoint(_) => 0,
    };
    let mode = match step.mode {
        Mode::Synchronous => 0,
        Mode::Asynchronous => 1,
    };
    let configuration = step.configuration.clone().map_or(Value::Null, Value::text);
    vec![
        ("typename", Value::text(step.handler.name())),
        ("messagename", Value::text(step.message.as_str())),
        ("primaryentity", Value::text(run.table.logical_name.clone())),
        ("mode", Value::Integer(mode)),
        ("operationtype", Value::Integer(kind)),
        ("depth", Value::Integer(i32::try_from(run.depth).unwrap_or(i32::MAX))),
        ("correlationid", Value::Guid(run.correlation)),
        ("requestid", Value::Guid(run.request)),
        ("pluginstepid", Value::Guid(step.id)),
        ("persistencekey", Value::Guid(Uuid::nil())),
        ("messageblock", Value::text(run.block.clone())),
        ("exceptiondetails", run.failure.clone().map_or(Value::Null, Value::text)),
        ("configuration", configuration),
        ("performanceconstructorstarttime", Value::DateTime(run.began)),
        ("performanceconstructorduration", milliseconds(run.spans.preparing)),
        ("performanceexecutionstarttime", Value::DateTime(run.began)),
        ("performanceexecutionduration", milliseconds(run.spans.own())),
        ("issystemcreated", Value::Boolean(false)),
        ("organizationid", Value::Guid(organization)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], want: &str) {
        let lines: Vec<Box<str>> = lines.iter().map(|line| (*line).into()).collect();
        assert_eq!(block(&lines), want);
    }

    #[test]
    fn of_too_much_the_newest_lines_are_kept() {
        check(&[], "");
        check(&["a", "b"], "a\nb");
        let half = "x".repeat(BLOCK_BYTES_MAX / 2);
        check(&["old", &half, "new"], &format!("old\n{half}\nnew"));
        check(&["old", &half, &half], &half);
        let (long, cut) = ("ä".repeat(BLOCK_BYTES_MAX), "ä".repeat(BLOCK_BYTES_MAX / 2));
        check(&["old", &long], &cut);
        // The cut lies between characters.
        check(&[&format!("{long}z")], &format!("{}z", "ä".repeat(BLOCK_BYTES_MAX / 2 - 1)));
    }
}
