//! The three facets, second by second, on a clock that the test moves.

use super::*;

const SMALL: Facets =
    Facets { requests: 3, execution_seconds: 10, concurrent: 2, window_seconds: 300 };
/// The same without a bound on requests at once.
const WIDE: Facets = Facets { concurrent: 0, ..SMALL };

fn time(seconds: &str) -> Duration {
    Duration::from_secs_f64(seconds.parse().expect("seconds"))
}

/// Plays lines for one user: `12.5 in: ok 2 10.00` (admitted, that much remains), `13 in: requests 287`
/// (refused, wait), `14 out 2.5` (ends after that many seconds).
fn check(facets: Facets, script: &str) {
    let mut limiter = Limiter::new(facets);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (event, want) = line.split_once(": ").unwrap_or((line, ""));
        let words: Vec<&str> = event.split(' ').collect();
        let got = match words[..] {
            [now, "in"] => match limiter.admit(time(now), Uuid::nil()) {
                Ok(left) => format!("ok {} {}", left.requests, grouped_seconds(left.time)),
                Err(refusal) => {
                    let facet = match refusal.facet {
                        Facet::Requests => "requests",
                        Facet::ExecutionTime => "time",
                        Facet::Concurrency => "concurrency",
                    };
                    format!("{facet} {}", refusal.retry_after)
                }
            },
            [now, "out", took] => {
                limiter.complete(time(now), Uuid::nil(), time(took));
                String::new()
            }
            _ => panic!("{line}"),
        };
        assert_eq!(got, want, "{line}\n{script}");
    }
}

#[test]
fn one_more_than_the_limit_waits_until_the_first_has_left_the_window() {
    check(
        WIDE,
        "0 in: ok 2 10.00
         10 in: ok 1 10.00
         20 in: ok 0 10.00
         20 in: requests 280
         300 in: ok 0 10.00
         300 in: requests 10",
    );
}

#[test]
fn the_wait_is_rounded_up_to_whole_seconds_and_at_least_one() {
    check(WIDE, "0.5 in: ok 2 10.00\n1 in: ok 1 10.00\n1 in: ok 0 10.00\n2 in: requests 299");
    check(
        WIDE,
        "0.5 in: ok 2 10.00
         1 in: ok 1 10.00
         1 in: ok 0 10.00
         300.4 in: requests 1
         301.4 in: ok 2 10.00",
    );
}

#[test]
fn all_at_once_wait_the_whole_window() {
    check(
        WIDE,
        "7 in: ok 2 10.00
         7 in: ok 1 10.00
         7 in: ok 0 10.00
         7 in: requests 300
         307 in: ok 2 10.00",
    );
}

#[test]
fn every_request_during_a_block_lengthens_it_by_a_second_up_to_a_window() {
    check(
        WIDE,
        "0 in: ok 2 10.00
         290 in: ok 1 10.00
         290 in: ok 0 10.00
         290 in: requests 10
         291 in: requests 10
         291 in: requests 11
         302 in: ok 0 10.00",
    );
    let mut limiter = Limiter::new(WIDE);
    let waits: Vec<u32> = (0..1_000)
        .filter_map(|_| limiter.admit(Duration::from_secs(5), Uuid::nil()).err())
        .map(|refusal| refusal.retry_after)
        .collect();
    assert_eq!(waits, [300; 997]);
}

#[test]
fn a_block_keeps_the_facet_that_started_it() {
    check(
        SMALL,
        "0 in: ok 2 10.00
         100 in: ok 1 10.00
         101 out 1
         101 in: ok 0 9.00
         102 out 1
         102 in: requests 198
         103 in: requests 198
         104 out 50
         105 in: requests 197",
    );
}

#[test]
fn execution_time_counts_when_a_request_ends() {
    check(
        Facets { requests: 0, ..SMALL },
        "0 in: ok 6000 10.00
         8 out 8
         8 in: ok 6000 2.00
         12 out 4
         12.25 in: time 296
         308.25 in: ok 6000 6.00",
    );
}

#[test]
fn exactly_the_execution_time_is_still_enough() {
    check(
        Facets { requests: 0, ..SMALL },
        "0 in: ok 6000 10.00\n10 out 10\n10 in: ok 6000 0.00\n10 out 0.001\n11 in: time 299",
    );
}

#[test]
fn of_two_facets_the_one_that_lasts_longer_is_told() {
    check(
        Facets { requests: 2, ..SMALL },
        "0 in: ok 1 10.00\n100 in: ok 0 10.00\n111 out 11\n112 in: time 299\n411 in: ok 1 10.00",
    );
}

#[test]
fn too_many_at_once_are_refused_and_counted_nowhere() {
    check(
        SMALL,
        "0 in: ok 2 10.00
         0 in: ok 1 10.00
         0 in: concurrency 5
         1 in: concurrency 5
         2 out 0
         2 in: ok 0 10.00",
    );
}

#[test]
fn too_many_at_once_with_a_window_used_up_is_told_as_what_lasts_longer() {
    let one = Facets { requests: 1, concurrent: 1, ..SMALL };
    check(one, "0 in: ok 0 10.00\n1 in: requests 299");
    check(one, "0 in: ok 0 10.00\n297 in: concurrency 5\n302 out 0\n302 in: ok 0 10.00");
}

#[test]
fn a_facet_that_is_off_never_refuses() {
    let off = Facets { requests: 0, execution_seconds: 0, concurrent: 0, window_seconds: 300 };
    check(off, "0 in: ok 6000 1,200.00\n1 out 5000\n1 in: ok 6000 1,200.00");
    check(Facets { window_seconds: 0, ..SMALL }, &"0 in: ok 6000 1,200.00\n".repeat(2));
    assert!(!off.any());
    assert!(!Facets { window_seconds: 0, ..WIDE }.any());
    assert!(Facets { window_seconds: 0, ..SMALL }.any());
}

#[test]
fn users_do_not_share_anything() {
    let mut limiter = Limiter::new(Facets { requests: 1, ..SMALL });
    for user in 0..50 {
        assert!(limiter.admit(Duration::ZERO, Uuid::from_u128(user)).is_ok());
        assert!(limiter.admit(Duration::ZERO, Uuid::from_u128(user)).is_err());
    }
}

#[test]
fn users_who_are_gone_are_forgotten_and_those_in_flight_are_not() {
    let mut limiter = Limiter::new(SMALL);
    let (stays, steady) = (Uuid::from_u128(1), Uuid::from_u128(2));
    limiter.admit(Duration::ZERO, stays).expect("admitted");
    for second in 0..10_000_u64 {
        let now = Duration::from_secs(second);
        let guest = Uuid::from_u128(1_000 + u128::from(second));
        limiter.admit(now, guest).expect("admitted");
        limiter.complete(now, guest, Duration::ZERO);
        if second % 200 == 0 {
            limiter.admit(now, steady).expect("admitted");
            limiter.complete(now, steady, Duration::ZERO);
        }
        assert!(limiter.users() <= 2 * 300 + 5, "{}", limiter.users());
        assert_eq!(limiter.users(), limiter.look_at.len());
    }
    limiter.complete(Duration::from_secs(10_000), stays, Duration::from_secs(10_000));
    let refusal = limiter.admit(Duration::from_secs(10_000), stays).expect_err("10,000 seconds");
    assert_eq!(refusal.facet, Facet::ExecutionTime);
}

#[test]
fn a_clock_that_steps_back_is_taken_as_standing_still() {
    check(WIDE, "10 in: ok 2 10.00\n9 in: ok 1 10.00\n9 in: ok 0 10.00\n9 in: requests 300");
}

#[test]
fn the_texts_are_the_platforms_with_the_numbers_that_hold() {
    let text = |facet, facets| {
        let remaining = Remaining::whole();
        Refusal { facet, retry_after: 1, remaining, facets }.to_string()
    };
    assert_eq!(
        text(Facet::Requests, Facets::DATAVERSE),
        "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
    );
    assert_eq!(
        text(Facet::ExecutionTime, Facets::DATAVERSE),
        "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later."
    );
    assert_eq!(
        text(Facet::Concurrency, SMALL),
        "Number of concurrent requests exceeded the limit of 2."
    );
}

#[test]
fn seconds_are_grouped_by_thousands() {
    let check = |ms, want| assert_eq!(grouped_seconds(Duration::from_millis(ms)), want);
    check(1_200_000, "1,200.00");
    check(0, "0.00");
    check(999_990, "999.99");
    check(1_234_567_890, "1,234,567.89");
}
