//! Pauses, ramps and settings that are given.

use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn the_width_is_the_users_number_then_the_hint_then_five() {
    let width = |width, hint| Controller::new(width, hint, Setting::Auto, SIZE_MAX).width(start());
    assert_eq!(width(Setting::Fixed(7), Some(20)), 7);
    assert_eq!(width(Setting::Auto, Some(20)), 20);
    assert_eq!(width(Setting::Auto, None), 5);
    assert_eq!(width(Setting::Fixed(900), None), 52);
    assert_eq!(width(Setting::Fixed(0), None), 1);
}

#[test]
fn a_throttle_pauses_everybody_and_no_burst_follows() {
    let start = start();
    let mut control = Controller::new(Setting::Fixed(8), None, Setting::Auto, SIZE_MAX);
    control.throttled(start, Some(seconds(10)), Limit::Requests);
    control.throttled(start + seconds(1), Some(seconds(20)), Limit::Requests);
    control.throttled(start + seconds(1), Some(seconds(2)), Limit::Requests);
    assert_eq!(control.width(start + seconds(20)), 0);
    let widths: Vec<_> = (0..6).map(|step| control.width(start + seconds(21 + 2 * step))).collect();
    assert_eq!(widths, [4, 5, 6, 7, 8, 8]);
}

#[test]
fn too_many_at_once_lowers_the_ceiling_for_good() {
    let start = start();
    let mut control = Controller::new(Setting::Fixed(4), None, Setting::Auto, SIZE_MAX);
    control.throttled(start, Some(seconds(1)), Limit::Concurrency);
    assert_eq!(control.width(start + seconds(100)), 3);
}

#[test]
fn a_throttle_without_a_number_waits_half_a_minute() {
    let start = start();
    let mut control = Controller::new(Setting::Fixed(2), None, Setting::Auto, SIZE_MAX);
    control.throttled(start, None, Limit::Unsaid);
    assert_eq!(control.width(start + seconds(29)), 0);
    assert_eq!(control.width(start + seconds(30)), 1);
}

#[test]
fn a_size_that_is_given_is_kept_and_bounded_by_the_table() {
    let given = Controller::new(Setting::Auto, None, Setting::Fixed(50), SIZE_MAX);
    assert_eq!(given.size(), 50);
    let elastic = Controller::new(Setting::Auto, None, Setting::Fixed(500), SIZE_MAX_ELASTIC);
    assert_eq!(elastic.size(), 100);
    let learned = Controller::new(Setting::Auto, None, Setting::Auto, SIZE_MAX_ELASTIC);
    assert_eq!(learned.size(), 100);
}

/// The size once one message of 100 rows was answered after so many milliseconds.
fn size_after_one(milliseconds: u64, size: Setting, size_max: usize) -> usize {
    let start = start();
    let mut control = Controller::new(Setting::Auto, None, size, size_max);
    let ticket = control.launched(start, 100);
    control.landed(ticket);
    control.went_well(ticket, 100, Duration::from_millis(milliseconds));
    control.size()
}

#[test]
fn a_quick_service_is_sent_large_messages_at_once() {
    assert_eq!(size_after_one(10, Setting::Auto, SIZE_MAX), 1_000);
    assert_eq!(size_after_one(100, Setting::Auto, SIZE_MAX), 500);
    assert_eq!(size_after_one(450, Setting::Auto, SIZE_MAX), 100);
    assert_eq!(size_after_one(10, Setting::Auto, SIZE_MAX_ELASTIC), 100);
    assert_eq!(size_after_one(10, Setting::Fixed(100), SIZE_MAX), 100);
}

#[test]
fn a_far_service_gets_more_at_a_time_while_answers_stay_as_quick() {
    let start = start();
    let mut control = Controller::new(Setting::Auto, Some(4), Setting::Auto, SIZE_MAX);
    let mut answer = |rows, milliseconds| {
        let ticket = control.launched(start, rows);
        control.landed(ticket);
        control.went_well(ticket, rows, Duration::from_millis(milliseconds));
        control.width_ceiling()
    };
    assert_eq!(answer(100, 50), 4, "it is the size that grows first");
    assert_eq!(answer(1_000, 60), 5);
    assert_eq!(answer(1_000, 70), 6);
    assert_eq!(answer(1_000, 90), 6, "it was slower");
    assert_eq!(answer(100, 10), 6, "that says nothing about large ones");
    let widths: Vec<usize> = (0..12).map(|_| answer(1_000, 60)).collect();
    assert_eq!(widths.last(), Some(&16), "{widths:?}");
}

#[test]
fn a_service_that_refused_is_not_sent_larger_messages_for_being_quick() {
    let start = start();
    let mut control = Controller::new(Setting::Auto, None, Setting::Auto, SIZE_MAX);
    let ticket = control.launched(start, 100);
    control.was_too_much(100);
    control.landed(ticket);
    control.went_well(ticket, 100, Duration::from_millis(10));
    assert_eq!(control.size(), 50);
}

#[test]
fn what_was_too_large_bounds_the_size() {
    let mut control = Controller::new(Setting::Auto, None, Setting::Fixed(800), SIZE_MAX);
    control.was_too_much(800);
    assert_eq!(control.size(), 400);
    control.was_too_much(400);
    assert_eq!(control.size(), 200);
}
