//! One run of one step: what it gets, the run under its limits, what becomes of its answer.
//!
//! Not here: which runs there are (`plan`), what an answer may change (`change`).
//! Invariant: a run that fails changes nothing, and its message fails.

use super::calls::Calls;
use super::change::NotTaken;
use super::scene::{self, Scene};
use super::size;
use crate::fault;
use crate::run::{Context, Error, Pipeline};
use crate::step::course::until;
use crate::step::plan::{Run, is_due};
use crate::step::{Ran, StepCall, StepFault};
use model::Fault;
use std::sync::Arc;
use std::time::Duration;

/// How deep messages of steps may go (plugins.md 1.6.4).
const DEPTH_MAX: u32 = 8;
/// How long a runner that keeps the time itself is waited for, so that what was traced is not lost.
const GRACE: Duration = Duration::from_millis(250);

impl Pipeline {
    /// Runs a step if it is due.
    pub(super) async fn turn(
        &self,
        context: &Context,
        scene: &mut Scene,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        let records = scene.records_of(run);
        let step = run.step;
        let targets = || records.iter().map(|record| &scene.records[*record].record);
        if !is_due(step, &scene.table, targets()) {
            return Ok(());
        }
        if scene.depth > DEPTH_MAX {
            return Err(fault::too_deep().into());
        }
        let Some(steps) = self.steps.get() else {
            let (fault, _) = fault::of_step(step, StepFault::Disabled);
            return Err(fault.into());
        };
        let user = scene::user_of(step, context.caller.user);
        if user != context.caller.user {
            self.refuse_disabled(context, user).await?;
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
        };
        let bytes = size::of(&call);
        if bytes > steps.runner.context_bytes_max() {
            return Err(fault::context_too_large(bytes).into());
        }
        if call.remaining.is_zero() {
            return Err(self.failed(scene, run, StepFault::TimeLimit, &[]).into());
        }
        let calls = Calls::new(steps.pipeline.clone(), context, &call, scene);
        let calls = Arc::new(calls);
        let limit = call.remaining + GRACE;
        let ran = tokio::time::timeout(limit, steps.runner.run(call, calls.clone())).await;
        calls.end();
        let Ran { answer, trace, preparing: _ } =
            ran.unwrap_or_else(|_| Ran::failed(StepFault::TimeLimit));
        let answer = answer.map_err(|why| self.failed(scene, run, why, &trace))?;
        // Whoever goes on behind a write that has failed in the transaction fails all the same.
        if let Some(transaction) = context.course.transaction()
            && transaction.is_doomed().await
        {
            return Err(fault::transaction_count_reduced().into());
        }
        match scene.take(&context.catalog, run, answer) {
            Ok(traced) => {
                for line in traced {
                    tracing::info!(step = %step.id, line, "a step was told");
                }
                Ok(())
            }
            Err(NotTaken::Malformed(text)) => {
                Err(self.failed(scene, run, StepFault::Crashed(text), &trace).into())
            }
            Err(NotTaken::Refused(fault)) => Err(blamed(scene, run, fault).into()),
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
    async fn refuse_disabled(&self, context: &Context, user: model::Uuid) -> Result<(), Error> {
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
