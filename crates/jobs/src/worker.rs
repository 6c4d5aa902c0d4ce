//! The rim: claims jobs, runs them step by step, releases them; looks after what is no job (statistics, the
//! trace log).

use crate::Error;
use crate::row::{self, Values, moment};
use crate::state::{self, Job};
use crate::step::{Run, Stepped};
use model::{Timestamp, Uuid, Value, code};
use pipeline::job::Stage;
use pipeline::{Context, Message, Pipeline};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a worker without a job looks for one.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a worker waits after a step that failed for a reason that passes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Failed steps in a row after which the job is left to whoever comes.
const FAILED_STEPS_MAX: u32 = 10;
/// Seconds after which a worker looks after what is no job: every minute statistics of steps are written,
/// every hour old rows of the trace log are deleted.
const STATISTICS_EVERY: i64 = 60;
const EXPIRE_EVERY: i64 = 60 * 60;
/// Jobs that one look sees at most.
const LOOK_ROWS_MAX: u32 = 32;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The name under which a worker holds its lease. No two live workers have the same; one that starts
/// again under its old name takes back at once what it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(pub Box<str>);

/// Runs one job at a time.
pub struct Worker {
    pipeline: Arc<Pipeline>,
    host: Host,
    clock: Clock,
    run: Option<Run>,
    chores: Chores,
}

/// When what is no job is due again.
#[derive(Clone, Copy)]
struct Chores {
    statistics: Timestamp,
    expire: Timestamp,
}

impl Worker {
    /// A worker without a job.
    pub fn new(pipeline: Arc<Pipeline>, host: Host, clock: Clock) -> Self {
        let now = clock();
        let chores = Chores { statistics: Timestamp(now.0 + STATISTICS_EVERY), expire: now };
        Self { pipeline, host, clock, run: None, chores }
    }

    /// Works until `stop`, then releases what it has.
    pub async fn work(mut self, stop: CancellationToken) {
        let mut failed = 0;
        while !stop.is_cancelled() {
            self.chores().await;
            let pause = match self.step().await {
                Ok(true) => {
                    failed = 0;
                    continue;
                }
                Ok(false) => LOOK_EVERY,
                Err(error) => {
                    failed += 1;
                    tracing::warn!(%error, "a step of a job failed");
                    if failed >= FAILED_STEPS_MAX {
                        // The lease runs out, and then any worker may go on.
                        self.run = None;
                    }
                    PAUSE_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        if let Err(error) = self.release().await {
            tracing::warn!(%error, "a job could not be released; its lease runs out");
        }
        self.statistics().await;
    }

    /// Does what is no job, where it is due.
    pub async fn chores(&mut self) {
        let now = (self.clock)();
        if now >= self.chores.statistics {
            self.chores.statistics = Timestamp(now.0 + STATISTICS_EVERY);
            self.statistics().await;
        }
        if now >= self.chores.expire {
            self.chores.expire = Timestamp(now.0 + EXPIRE_EVERY);
            if let Err(error) = self.pipeline.expire_traces(&self.context()).await {
                // Another worker may have been faster; the next time goes on.
                tracing::debug!(%error, "the trace log was not cleaned");
            }
        }
    }

    async fn statistics(&self) {
        if let Err(error) = self.pipeline.flush_statistics(&self.context()).await {
            tracing::warn!(%error, "statistics of steps could not be written; they are counted on");
        }
    }

    /// Makes one step of the job at hand, or claims one; tells whether there was anything to do.
    pub async fn step(&mut self) -> Result<bool, Error> {
        let stepped = match &mut self.run {
            None => self.claim().await,
            Some(run) => {
                let now = (self.clock)();
                let stepped = run.step(&self.pipeline, &self.host.0, now).await;
                if matches!(stepped, Ok(Stepped::Left)) {
                    self.run = None;
                }
                stepped.map(|stepped| stepped != Stepped::Later)
            }
        };
        match stepped {
            Err(Error::Pipeline(pipeline::Error::StaleCatalog)) => {
                self.pipeline.refresh().await?;
                Ok(true)
            }
            stepped => stepped,
        }
    }

    /// The job at hand.
    pub fn job(&self) -> Option<Uuid> {
        self.run.as_ref().map(|run| run.id)
    }

    fn context(&self) -> Context {
        let pipeline = &self.pipeline;
        Context {
            catalog: pipeline.catalog(),
            caller: pipeline.organization().caller(),
            now: (self.clock)(),
            course: pipeline::Course::default(),
        }
    }

    /// Takes a job that nobody has. Several may try; the row's version lets one of them win.
    async fn claim(&mut self) -> Result<bool, Error> {
        let context = self.context();
        let jobs = row::waiting(&self.pipeline, &context, LOOK_ROWS_MAX).await?;
        for job in jobs {
            if state::may_claim(&job, &self.host.0, context.now)
                && self.take(&context, &job).await?
            {
                self.run = Some(Run::new(job.id));
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn take(&self, context: &Context, job: &Job) -> Result<bool, Error> {
        let until = Timestamp(context.now.0 + job.lease_seconds(self.pipeline.step_time_max()));
        let stage = state::claimed(job.stage);
        let mut values: Values = vec![
            ("hostid", Value::text(self.host.0.clone())),
            ("sheaf_leaseuntil", Value::DateTime(until)),
            ("postponeuntil", moment(None)),
        ];
        if job.is_event() && stage == Stage::Running {
            // It runs at once: what it writes last is how it ended.
            values.push(("startedon", Value::DateTime(context.now)));
            values.push(("completedon", Value::Null));
        }
        values.extend(stage.values());
        self.write(context, job, values, stage.values().to_vec()).await
    }

    /// Gives the job at hand back; any worker may go on with it at once.
    async fn release(&mut self) -> Result<(), Error> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let context = self.context();
        let loaded = row::load(&self.pipeline, &context, run.id).await?;
        if let Some(job) = loaded.map(|loaded| loaded.job)
            && job.host.as_deref() == Some(&*self.host.0)
        {
            let values = vec![("hostid", Value::Null), ("sheaf_leaseuntil", Value::Null)];
            self.write(&context, &job, values, Vec::new()).await?;
        }
        Ok(())
    }

    /// Writes both rows if the job's is as it was seen; tells whether it was.
    async fn write(
        &self,
        context: &Context,
        job: &Job,
        of_job: Values,
        of_detail: Values,
    ) -> Result<bool, Error> {
        let Some(mut loaded) = row::load(&self.pipeline, context, job.id).await? else {
            return Ok(false);
        };
        loaded.job.version = job.version;
        let writes = row::writes(context, &loaded, of_job, of_detail)?;
        match self.pipeline.run(context, Message::System(writes)).await {
            Ok(_) => Ok(true),
            Err(pipeline::Error::Fault(fault))
                if matches!(
                    fault.code,
                    code::CONCURRENCY_VERSION_MISMATCH | code::OBJECT_DOES_NOT_EXIST
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
