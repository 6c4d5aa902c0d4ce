//! The job of an asynchronous step: one run, then how it ended.
//!
//! Not here: the run itself (`pipeline`), jobs that delete (the parent).
//! Source: plugins.md 5.3. Invariant: a run whose end is not written yet is not made again by the worker that made
//! it; a worker that is killed makes its successor run it again.

use super::{At, Stepped, Written, is_about_the_job, released};
use crate::Error;
use crate::row::{self, Values};
use crate::state::{self, Next};
use model::{Fault, MessageName, Timestamp, Value};
use pipeline::job::{self, Stage};
use pipeline::{JobEnd, JobRun, Message};

/// Longest text about a failure, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 100_000;

/// A run that was made and is not written yet.
#[derive(Default)]
pub(super) struct Event {
    made: Option<JobRun>,
}

impl Event {
    pub(super) async fn step(&mut self, at: &At<'_>, host: &str) -> Result<Stepped, Error> {
        let next = state::next(&at.loaded.job, host);
        if next == Next::Leave {
            self.made = None;
            return Ok(Stepped::Left);
        }
        if self.made.is_none() {
            match next {
                Next::Pause => {
                    let mut values = released(None);
                    values.extend(Stage::Waiting.values());
                    return at.stop(values, Vec::new()).await;
                }
                Next::Cancel => {
                    let mut values = released(Some(at.context.now));
                    values.extend(Stage::Canceled.values());
                    return at.stop(values, Vec::new()).await;
                }
                Next::Begin | Next::Work | Next::Leave => {}
            }
            let data = row::data(at.pipeline, &at.context, at.loaded.job.id, job::RUN).await?;
            let retries = at.loaded.row.number("retrycount").unwrap_or(0);
            self.made = Some(at.pipeline.run_job(&at.context, &data, retries).await?);
        }
        let Some(made) = &self.made else { return Ok(Stepped::On) };
        let written = match made.end {
            JobEnd::Succeeded { deleted: true } => at.delete_job().await?,
            _ => at.write(Vec::new(), at.ended(made), Vec::new()).await?,
        };
        Ok(match written {
            Written::Yes => {
                self.made = None;
                Stepped::Left
            }
            // Somebody has steered the job meanwhile: look again.
            Written::Rows(_) | Written::Changed => Stepped::On,
        })
    }
}

impl At<'_> {
    /// What the job's row says behind a run.
    fn ended(&self, made: &JobRun) -> Values {
        let seconds = i64::try_from(made.took.as_secs()).unwrap_or(0);
        let now = Timestamp(self.context.now.0 + seconds);
        let asked = self.loaded.job.stage;
        let (mut values, stage) = match &made.end {
            JobEnd::Succeeded { .. } => (released(Some(now)), Stage::Succeeded),
            JobEnd::Again { .. } if asked == Stage::Canceling => {
                (released(Some(now)), Stage::Canceled)
            }
            JobEnd::Again { seconds } => {
                // One that is to be paused waits until it is resumed.
                let again = (asked != Stage::Pausing).then(|| Timestamp(now.0 + seconds));
                let retries = self.loaded.row.number("retrycount").unwrap_or(0);
                let mut values = released(None);
                values.push(("retrycount", Value::Integer(retries.saturating_add(1))));
                values.push(("postponeuntil", row::moment(again)));
                (values, Stage::Waiting)
            }
            JobEnd::Failed(fault) => {
                let mut values = released(Some(now));
                values.extend(about(fault));
                (values, Stage::Failed)
            }
        };
        values.push(("executiontimespan", Value::Double(made.took.as_secs_f64())));
        values.extend(stage.values());
        values
    }

    /// Deletes the job's row, if it is as it was looked at.
    async fn delete_job(&self) -> Result<Written, Error> {
        let table = job::table(&self.context.catalog, job::JOB)?;
        let job = &self.loaded.job;
        let target = job::target(table, job.id, Vec::new(), Some(job.version));
        let delete = job::write(MessageName::Delete, table, vec![target]);
        match self.pipeline.run(&self.context, Message::System(vec![delete])).await {
            Ok(_) => Ok(Written::Yes),
            Err(pipeline::Error::Fault(fault)) if is_about_the_job(fault.code) => {
                Ok(Written::Changed)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a job tells about its failure: the code, the text, and the same with what was traced.
fn about(fault: &Fault) -> Values {
    let text = fault.text();
    let whole = match &fault.trace {
        Some(trace) => format!("{text}\n{trace}"),
        None => text.clone(),
    };
    let cut = |text: String| -> String { text.chars().take(MESSAGE_CHARACTERS_MAX).collect() };
    vec![
        ("errorcode", Value::Integer(job::signed(fault.code))),
        ("message", Value::text(cut(whole))),
        ("friendlymessage", Value::text(cut(text))),
    ]
}
