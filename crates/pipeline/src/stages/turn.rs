//! One run of one step: what it gets, the run under its limits, what becomes of its answer.
//!
//! Not here: which runs there are (`plan`), what an answer may change (`change`).
//! Invariant: a run that fails changes nothing, and its message fails.

use super::Steps;
use super::calls::{Around, Calls};
use super::change::NotTaken;
use super::scene::{self, Scene};
use crate::fault;
use crate::run::{Context, Error, Pipeline};
use crate::statistics::Ended;
use crate::step::course::{clock, until};
use crate::step::plan::{Run, is_due};
use crate::step::{Counted, Handler, Ran, StepCall, StepFault};
use crate::trace::{self, Log};
use model::Fault;
use std::sync::Arc;
use std::time::Duration;

/// How deep messages of steps may go (plugins.md 1.6.4).
const DEPTH_MAX: u32 = 8;
/// How long a runner that keeps the time itself is waited for, so that what was traced is not lost.
const GRACE: Duration = Duration::from_millis(250);

impl Pipeline {
    /// What a run of a step gets; none where it is not due.
    pub(super) async fn prepare(
        &self,
        context: &Context,
        scene: &mut Scene,
        run: &Run<'_>,
    ) -> Result<Option<StepCall>, Error> {
        let records = scene.records_of(run);
        let step = run.step;
        let targets = || records.iter().map(|record| &scene.records[*record].record);
        if !is_due(step, &scene.table, targets()) {
            return Ok(None);
        }
        if scene.depth > DEPTH_MAX {
            return Err(fault::too_deep().into());
        }
        let targets = targets().cloned().collect();
        let (pre_images, post_images) = self.images(context, scene, run).await?;
        let call = StepCall {
            step: step.clone(),
            catalog: context.catalog.clone(),
            frame: scene.frame(run),
            operand: scene.operand(run),
            targets,
            pre_images,
            post_images,
            output: scene.output(run),
            parents: scene.parents(run),
            record: run.record.map(|record| scene.target(record)),
            now: context.now,
            remaining: until(scene.over_at),
            seat: scene.seat.clone(),
            counted: Counted::default(),
        };
        let bytes = call.bytes();
        if bytes > self.context_bytes_max() {
            return Err(fault::context_too_large(bytes).into());
        }
        Ok(Some(call))
    }

    /// Runs a step if it is due.
    pub(super) async fn turn(
        &self,
        context: &Context,
        scene: &mut Scene,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        let Some(call) = self.prepare(context, scene, run).await? else { return Ok(()) };
        let step = run.step;
        let Some(steps) = self.steps.get() else {
            let (fault, _) = fault::of_step(step, StepFault::Disabled);
            return Err(fault.into());
        };
        let user = scene::user_of(step, context.caller.user);
        if user != context.caller.user {
            self.refuse_disabled(context, user).await?;
        }
        if call.remaining.is_zero() {
            return Err(self.failed(scene, run, StepFault::TimeLimit, &[]).into());
        }
        let about = trace::About::of(&call, (context.now, scene.began));
        let around = Around { over_at: scene.over_at, log: scene.log.clone() };
        let (ran, spans) = Box::pin(run_once(steps, context, call, around)).await;
        let Ran { answer, mut trace, .. } = ran;
        let (ended, done) = match answer {
            Err(why) => (Ended::of(&why), Err(self.failed(scene, run, why, &trace))),
            // Whoever goes on behind a write that has failed in the transaction fails all the same.
            Ok(_) if is_doomed(context).await => {
                (Ended::Failed, Err(fault::transaction_count_reduced()))
            }
            Ok(answer) => match scene.take(&context.catalog, run, answer) {
                Ok(traced) => {
                    trace.extend(traced);
                    (Ended::Well, Ok(()))
                }
                Err(NotTaken::Malformed(text)) => {
                    let why = StepFault::Crashed(text);
                    (Ended::Crashed, Err(self.failed(scene, run, why, &trace)))
                }
                Err(NotTaken::Refused(fault)) => (Ended::Failed, Err(blamed(scene, run, fault))),
            },
        };
        self.remember(&scene.log, about, (ended, done.as_ref().err()), &trace, spans);
        done.map_err(Error::from)
    }

    /// Counts a run and keeps what it traced.
    pub(super) fn remember(
        &self,
        log: &Log,
        about: trace::About,
        (ended, fault): (Ended, Option<&Fault>),
        lines: &[Box<str>],
        spans: trace::Spans,
    ) {
        if let Handler::Type(of) = &about.step.handler {
            self.statistics.add(of.id, ended, spans.own());
        }
        if log.wants(fault.is_some()) {
            log.push(trace::Run::of(about, fault, lines, spans));
        }
    }

    /// The fault of a run that failed.
    fn failed(&self, scene: &Scene, run: &Run<'_>, why: StepFault, trace: &[Box<str>]) -> Fault {
        let (mut fault, is_own) = fault::of_step(run.step, why);
        if is_own {
            fault = fault::of_failed_run(fault, run.step, (&scene.table, scene.depth), trace);
        }
        blamed(scene, run, fault)
    }

    /// Refuses a step whose user is disabled, or none.
    pub(super) async fn refuse_disabled(
        &self,
        context: &Context,
        user: model::Uuid,
    ) -> Result<(), Error> {
        let caller = model::Caller { user, on_behalf_of: None, ..context.caller };
        match self.access(&context.catalog, caller).await {
            Err(Error::Fault(fault)) if fault.code == model::code::SYSTEM_USER_DISABLED => {
                Err(fault::step_user_disabled(user, self.organization().id).into())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}

/// Lets the runner run it, for as long as it may take.
pub(super) async fn run_once(
    steps: &Steps,
    context: &Context,
    call: StepCall,
    around: Around,
) -> (Ran, trace::Spans) {
    let limit = call.remaining + GRACE;
    let calls = Arc::new(Calls::new(steps.pipeline.clone(), context, &call, around));
    let began = clock();
    let ran = tokio::time::timeout(limit, steps.runner.run(call, calls.clone())).await;
    let took = began.elapsed();
    calls.end();
    let ran = ran.unwrap_or_else(|_| Ran::failed(StepFault::TimeLimit));
    let preparing = ran.preparing;
    (ran, trace::Spans { began, preparing, took })
}

async fn is_doomed(context: &Context) -> bool {
    match context.course.transaction() {
        Some(transaction) => transaction.is_doomed().await,
        None => false,
    }
}

/// Says which target of a bulk message a single step was about, unless it has said so itself.
fn blamed(scene: &Scene, run: &Run<'_>, mut fault: Fault) -> Fault {
    let Some(record) = run.record.filter(|_| scene.plan.message.is_bulk()) else { return fault };
    let names = |fault: &Fault| {
        let is_name = |name: &str| matches!(name, "failedRecordIndex" | "failedRecordId");
        fault.details.iter().any(|(name, _)| is_name(name))
    };
    if names(&fault) || !fault.failures.is_empty() {
        return fault;
    }
    fault = fault.with_detail("failedRecordIndex", scene.target(record).to_string());
    match scene.records[record].record.id {
        Some(id) => fault.with_detail("failedRecordId", id.to_string()),
        None => fault,
    }
}
