//! Every transition that a caller may ask for, from every stage.

use super::*;

/// What each stage becomes, in the order of [`Stage::ALL`]: `-` nothing, `x` refused.
fn check(wish: Wish, want: [&str; 8]) {
    let got = Stage::ALL.map(|from| match steer(from, wish) {
        Ok(None) => "-".to_owned(),
        Ok(Some(Course { stage, postpone })) => {
            let until = postpone.map_or(String::new(), |until| format!("@{}", until.0));
            format!("{}{until}", stage.pair().1)
        }
        Err(fault) => {
            assert_eq!(fault.code, code::INVALID_OPERATION);
            "x".to_owned()
        }
    });
    assert_eq!(got.as_slice(), want.as_slice(), "{wish:?}");
}

fn wish(state: Option<i32>, status: Option<i32>) -> Wish {
    Wish { state, status, postpone: None }
}

#[test]
fn cancel_works_from_every_live_stage_and_a_running_job_passes_through_canceling() {
    check(wish(Some(3), Some(32)), ["32", "32", "22", "22", "-", "x", "x", "x"]);
}

#[test]
fn pause_is_for_a_running_job_and_resume_for_a_waiting_one() {
    check(wish(Some(1), None), ["x", "x", "21", "-", "x", "x", "x", "x"]);
    check(wish(Some(1), Some(10)), ["x", "x", "21", "-", "x", "x", "x", "x"]);
    check(wish(Some(0), None), ["x", "0", "x", "x", "x", "x", "x", "x"]);
    check(wish(Some(0), Some(0)), ["x", "0", "x", "x", "x", "x", "x", "x"]);
}

#[test]
fn a_date_postpones_what_does_not_run() {
    let until = Wish { state: None, status: None, postpone: Some(Some(Timestamp(9))) };
    check(until, ["10@9", "10@9", "x", "x", "x", "x", "x", "x"]);
    check(Wish { state: Some(1), ..until }, ["10@9", "10@9", "x", "x", "x", "x", "x", "x"]);
    let never = Wish { postpone: Some(None), ..until };
    check(never, ["-", "10", "x", "x", "x", "x", "x", "x"]);
}

#[test]
fn every_other_transition_is_refused() {
    for (state, status) in [(3, None), (3, Some(30)), (3, Some(31)), (2, None), (2, Some(20))] {
        check(wish(Some(state), status), ["x"; 8]);
    }
    check(wish(None, Some(32)), ["x"; 8]);
    check(wish(Some(9), None), ["x"; 8]);
    check(wish(None, None), ["-"; 8]);
}

#[test]
fn a_stage_is_known_by_its_status_alone() {
    for stage in Stage::ALL {
        assert_eq!(Stage::of_status(stage.pair().1), Some(stage));
    }
    assert_eq!(Stage::of_status(99), None);
    assert_eq!(signed(code::BULK_DELETE_RECORD_DELETION_FAILURE), -2_147_187_659);
}
