//! What to do with a job, from its row and the time: pure.
//!
//! Source: `bulk.md` 6.3. Not here: what callers may do (`pipeline::job`).

use model::{Timestamp, Uuid};
use pipeline::job::Stage;
use std::time::Duration;

/// Seconds after which a job whose worker is silent may be taken by another one.
pub const LEASE_SECONDS: i64 = 60;

/// A job as its row says.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// `operationtype`: which kind it is.
    pub operation: i32,
    /// Where it stands.
    pub stage: Stage,
    /// The row's version.
    pub version: i64,
    /// When it may start or go on.
    pub postpone: Option<Timestamp>,
    /// Who runs it.
    pub host: Option<Box<str>>,
    /// Until when nobody else may.
    pub lease: Option<Timestamp>,
    /// When the present or last run began.
    pub started: Option<Timestamp>,
    /// When the last run ended; none while one is under way.
    pub completed: Option<Timestamp>,
}

impl Job {
    /// Whether it is the run of a step.
    pub fn is_event(&self) -> bool {
        self.operation == pipeline::job::OPERATION_EVENT
    }

    /// How long a worker that has taken it may be silent. The run of a step says nothing while it runs, for as long
    /// as it may take.
    pub fn lease_seconds(&self, step_time: Duration) -> i64 {
        let time = if self.is_event() { step_time.as_secs() } else { 0 };
        LEASE_SECONDS.saturating_add(i64::try_from(time).unwrap_or(i64::MAX))
    }
}

/// What a worker does next with a job that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: another worker has it, or it has ended.
    Leave,
    /// Begin a run: forget the one before.
    Begin,
    /// Go on with the run.
    Work,
    /// Stop until it is resumed.
    Pause,
    /// Stop for good.
    Cancel,
}

/// Whether this worker may take the job, which nobody runs or whose worker is silent.
///
/// A worker that has nothing to do and finds its own name on a job had it before it was killed.
pub fn may_claim(job: &Job, host: &str, now: Timestamp) -> bool {
    match job.stage {
        Stage::Ready => true,
        // Without a time it waits until it is resumed.
        Stage::Waiting => job.postpone.is_some_and(|until| until <= now),
        Stage::Running | Stage::Pausing | Stage::Canceling => {
            job.host.as_deref() == Some(host) || job.lease.is_none_or(|until| until <= now)
        }
        Stage::Succeeded | Stage::Failed | Stage::Canceled => false,
    }
}

/// The stage of a job that is claimed: what a caller asked of it stays.
pub fn claimed(stage: Stage) -> Stage {
    match stage {
        Stage::Pausing | Stage::Canceling => stage,
        _ => Stage::Running,
    }
}

/// What the worker of this name does next.
pub fn next(job: &Job, host: &str) -> Next {
    if job.host.as_deref() != Some(host) {
        return Next::Leave;
    }
    match job.stage {
        Stage::Running if job.started.is_none() || job.completed.is_some() => Next::Begin,
        Stage::Running => Next::Work,
        Stage::Pausing => Next::Pause,
        Stage::Canceling => Next::Cancel,
        Stage::Ready | Stage::Waiting | Stage::Succeeded | Stage::Failed | Stage::Canceled => {
            Next::Leave
        }
    }
}

/// How a run ends that has looked at every row.
pub fn verdict(successes: i32, failures: i32) -> Stage {
    if failures > 0 && successes == 0 { Stage::Failed } else { Stage::Succeeded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(stage: Stage) -> Job {
        Job {
            id: Uuid::from_u128(1),
            operation: pipeline::job::OPERATION_BULK_DELETE,
            stage,
            version: 7,
            postpone: None,
            host: None,
            lease: None,
            started: None,
            completed: None,
        }
    }

    fn check_claim(job: &Job, want: bool) {
        assert_eq!(may_claim(job, "a", Timestamp(100)), want, "{job:?}");
    }

    #[test]
    fn a_job_is_claimed_when_ready_due_or_left_by_its_worker() {
        check_claim(&job(Stage::Ready), true);
        check_claim(&job(Stage::Waiting), false);
        for (until, want) in [(99, true), (100, true), (101, false)] {
            let due = Some(Timestamp(until));
            check_claim(&Job { postpone: due, ..job(Stage::Waiting) }, want);
            for stage in [Stage::Running, Stage::Pausing, Stage::Canceling] {
                let other = Some("b".into());
                check_claim(&Job { host: other, lease: due, ..job(stage) }, want);
                check_claim(&Job { host: Some("a".into()), lease: due, ..job(stage) }, true);
            }
        }
        for stage in [Stage::Succeeded, Stage::Failed, Stage::Canceled] {
            check_claim(&job(stage), false);
        }
    }

    fn check_next(job: Job, want: Next) {
        let mine = Job { host: Some("a".into()), ..job.clone() };
        assert_eq!(next(&mine, "a"), want, "{job:?}");
        assert_eq!(next(&Job { host: Some("b".into()), ..job.clone() }, "a"), Next::Leave);
        assert_eq!(next(&Job { host: None, ..job }, "a"), Next::Leave);
    }

    #[test]
    fn a_worker_begins_goes_on_or_does_what_was_asked() {
        let began = Some(Timestamp(50));
        check_next(job(Stage::Running), Next::Begin);
        check_next(Job { started: began, ..job(Stage::Running) }, Next::Work);
        let again = Job { started: began, completed: began, ..job(Stage::Running) };
        check_next(again, Next::Begin);
        check_next(Job { started: began, ..job(Stage::Pausing) }, Next::Pause);
        check_next(job(Stage::Canceling), Next::Cancel);
        for stage in [Stage::Ready, Stage::Waiting, Stage::Succeeded, Stage::Canceled] {
            check_next(job(stage), Next::Leave);
        }
    }

    #[test]
    fn only_a_run_without_any_success_and_with_a_failure_has_failed() {
        assert_eq!(verdict(0, 0), Stage::Succeeded);
        assert_eq!(verdict(5, 9), Stage::Succeeded);
        assert_eq!(verdict(0, 1), Stage::Failed);
    }

    #[test]
    fn a_claim_keeps_what_was_asked() {
        assert_eq!(claimed(Stage::Ready), Stage::Running);
        assert_eq!(claimed(Stage::Waiting), Stage::Running);
        assert_eq!(claimed(Stage::Canceling), Stage::Canceling);
        assert_eq!(claimed(Stage::Pausing), Stage::Pausing);
    }
}
