//! Asynchronous steps: what their jobs keep, and a run of one.
//!
//! A message queues one job for each run, in its own transaction and in one set: what is undone leaves none.
//! Not here: who takes jobs and when (the crate `jobs`), the text of a run (`stored`).
//! Source: plugins.md 1.2.6, 1.3.3, 1.6.6, 2.3.5, 5.3. Invariant: a job's run is part of no transaction: each of its
//! writes is its own, so a run that is repeated repeats them.

use super::scene::{self, Scene};
use super::turn::run_once;
use super::{Staged, calls::Around, stored};
use crate::elastic::Wanted;
use crate::fault;
use crate::job::{self, OPERATION_EVENT};
use crate::run::{Authority, Context, Error, Pipeline};
use crate::statistics::Ended;
use crate::step::course::{Course, clock, until};
use crate::step::plan::Run;
use crate::step::{Frame, Mode, OperationStatus, Ran, StepCall, StepFault};
use crate::trace::{About, Log};
use model::{Cell, Fault, LookupValue, MessageName, Table, Target, Uuid, Value, code};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Seconds between the attempts of a run that wants to be repeated; as many attempts are made besides the
/// first (plugins.md 5.3.4; unconfirmed).
const PAUSES: [i64; 3] = [10, 60, 300];

/// One run of a job.
#[derive(Clone, Debug)]
pub struct JobRun {
    /// What became of it.
    pub end: JobEnd,
    /// How long it took.
    pub took: Duration,
}

impl JobRun {
    /// It could not be run.
    fn failed(fault: Fault) -> Self {
        Self { end: JobEnd::Failed(Box::new(fault)), took: Duration::ZERO }
    }
}

/// What became of the run of a job.
#[derive(Clone, Debug)]
pub enum JobEnd {
    /// It succeeded.
    Succeeded {
        /// Whether its step wants no job behind it.
        deleted: bool,
    },
    /// It wants to run again after so many seconds.
    Again {
        /// How many.
        seconds: i64,
    },
    /// It failed for good: why, and what it traced.
    Failed(Box<Fault>),
}

impl Staged<'_> {
    /// Queues the runs of asynchronous steps.
    pub(super) async fn queue(&self, context: &Context, scene: &mut Scene) -> Result<(), Error> {
        let plan = Arc::clone(&scene.plan);
        let table = job::table(&context.catalog, job::JOB)?;
        let (mut targets, mut regarding) = (Vec::new(), Vec::new());
        for run in plan.jobs() {
            if scene.is_left_out(&run) {
                continue;
            }
            // Images are read once for all of them.
            if let Some(call) = self.pipeline.prepare(context, scene, &run).await? {
                let id = self.pipeline.new_ids(1, context.now)[0];
                let user = scene::user_of(run.step, context.caller.user);
                regarding.push(Self::regarding(table, scene, &run));
                targets.push(row(context, table, of_job(call, id, user), id)?);
            }
        }
        if targets.is_empty() {
            return Ok(());
        }
        // A step behind the write may have deleted a record: nothing can be about it any more.
        let ids: BTreeSet<LookupValue> = regarding.iter().flatten().copied().collect();
        let wanted = Wanted { ids, binds: Vec::new() };
        let found = self.pipeline.existing(context, &wanted).await?;
        if let Some(column) = table.index_of("regardingobjectid") {
            for (target, to) in targets.iter_mut().zip(regarding) {
                if let Some(to) = to.filter(|to| found.ids.contains(to)) {
                    target.cells.push(Cell { column, value: Value::Lookup(to) });
                }
            }
        }
        let write = job::write(MessageName::CreateMultiple, table, targets);
        Box::pin(self.pipeline.write(context, vec![write], Authority::System)).await?;
        Ok(())
    }

    /// The record that the job of a run is about, where the lookup of jobs leads to its table.
    fn regarding(jobs: &Table, scene: &Scene, run: &Run<'_>) -> Option<LookupValue> {
        let table = &scene.table;
        let deletes = matches!(run.step.message, MessageName::Delete | MessageName::DeleteMultiple);
        let id = scene.records.get(run.record?)?.record.id?;
        (!deletes && leads_to(jobs, table)).then_some(LookupValue { table: table.id, id })
    }
}

/// A run as its job sees it: outside of any transaction, and with the job's id.
fn of_job(mut call: StepCall, id: Uuid, user: Uuid) -> StepCall {
    let request = call.frame.request;
    let is_single = !call.is_bulk();
    let mark = |frame: &mut Frame| {
        frame.mode = Mode::Asynchronous;
        frame.is_in_transaction = false;
        frame.operation = id;
    };
    mark(&mut call.frame);
    call.frame.users.user = user;
    for parent in &mut call.parents {
        let is_own = parent.request == request;
        // What was sent besides is not kept with each of its records.
        let is_wide = is_single && parent.message.is_bulk();
        if is_own || is_wide {
            let frame = Arc::make_mut(parent);
            if is_own {
                mark(frame);
            }
            if is_wide {
                frame.sent = Arc::from([]);
            }
        }
    }
    call
}

/// The row of a job (plugins.md 5.3.1).
fn row(context: &Context, table: &Table, call: StepCall, id: Uuid) -> Result<Target, Error> {
    let frame = &call.frame;
    let to = |name: &str, id: Uuid| {
        let table = context.catalog.table(name)?;
        Some(Value::Lookup(LookupValue { table: table.id, id }))
    };
    let data = stored::write(&call, context.caller).map_err(|why| unreadable(&why.0))?;
    let name: String = call.step.name.chars().take(job::NAME_CHARACTERS_MAX).collect();
    let depth = i32::try_from(frame.depth).unwrap_or(i32::MAX);
    let mut values = vec![
        ("name", Value::text(name)),
        ("operationtype", Value::Integer(OPERATION_EVENT)),
        ("messagename", Value::text(frame.message.as_str())),
        ("primaryentitytype", Value::text(frame.table.logical_name.clone())),
        ("retrycount", Value::Integer(0)),
        ("depth", Value::Integer(depth)),
        ("correlationid", Value::Guid(frame.correlation)),
        ("requestid", Value::Guid(frame.request)),
        (job::RUN, Value::text(data)),
    ];
    values.extend(to(crate::registration::STEP, call.step.id).map(|to| ("owningextensionid", to)));
    values.extend(job::Stage::Ready.values());
    Ok(job::target(table, id, values, None))
}

/// Whether the lookup of jobs to what they are about leads to a table.
fn leads_to(jobs: &Table, table: &Table) -> bool {
    let column = jobs.index_of("regardingobjectid").map(|index| &jobs.column(index).kind);
    matches!(column, Some(model::ColumnKind::Lookup { targets, .. })
        if targets.iter().any(|target| target.table == table.logical_name))
}

fn unreadable(why: &str) -> Fault {
    Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        .with_log(format!("what a run gets cannot be kept or read: {why}"))
}

impl Pipeline {
    /// Runs what a job keeps, once. `retries`: how often it has been repeated.
    ///
    /// Errors: it was not run, for a reason that may pass.
    pub async fn run_job(
        &self,
        context: &Context,
        data: &str,
        retries: i32,
    ) -> Result<JobRun, Error> {
        let failed = |fault: Fault| Ok(JobRun::failed(fault));
        let stored = match stored::read(data) {
            Ok(stored) => stored,
            Err(why) => return failed(unreadable(&why.0)),
        };
        let steps = self.step_table(&context.catalog).await?;
        let Some(step) = steps.find(stored.step) else {
            return failed(fault::step_is_gone(stored.step));
        };
        let caller = stored.caller;
        let over_at = clock() + self.step_time_max();
        let context = Context { caller, course: Course::default(), ..context.clone() };
        let mut call = match stored.call(&context.catalog, step.clone(), until(over_at)) {
            Ok(call) => call,
            Err(why) => return failed(unreadable(&why.0)),
        };
        call.frame.operation_created_on = call.now;
        let Some(runner) = self.steps.get() else {
            return failed(fault::of_step(step, StepFault::Disabled).0);
        };
        let user = scene::user_of(step, caller.user);
        if let Err(error) = self.refuse_disabled(&context, user).await {
            return match error {
                Error::Fault(fault) => failed(*fault),
                stale @ Error::StaleCatalog => Err(stale),
            };
        }
        call.frame.users.user = user;
        match runner.runner.enter(until(over_at)).await {
            Ok(seat) => call.seat = Some(seat),
            Err(why) => return failed(fault::of_step(step, why).0),
        }
        let log = Arc::new(Log::with(self.trace_setting(&context).await));
        let about = About::of(&call, (context.now, clock()));
        let place = (call.frame.table.clone(), call.frame.depth);
        let around = Around { over_at, log: log.clone() };
        let (Ran { answer, trace, .. }, spans) =
            Box::pin(run_once(runner, &context, call, around)).await;
        let (ended, end, fault) = match answer {
            Ok(_) => (Ended::Well, JobEnd::Succeeded { deleted: step.job_is_deleted }, None),
            Err(why) => {
                let ended = Ended::of(&why);
                let pause = usize::try_from(retries).ok().and_then(|done| PAUSES.get(done));
                let again = pause.filter(|_| wants_again(&why)).copied();
                let (mut fault, is_own) = fault::of_step(step, why);
                if is_own {
                    fault = fault::of_failed_run(fault, step, (&place.0, place.1), &trace);
                }
                let end = match again {
                    Some(seconds) => JobEnd::Again { seconds },
                    None => JobEnd::Failed(Box::new(fault.clone())),
                };
                (ended, end, Some(fault))
            }
        };
        self.remember(&log, about, (ended, fault.as_ref()), &trace, spans);
        self.keep_traces(&context, &log).await;
        Ok(JobRun { end, took: spans.own() })
    }
}

fn wants_again(why: &StepFault) -> bool {
    matches!(why, StepFault::Refused { status: OperationStatus::Retry, .. })
}
