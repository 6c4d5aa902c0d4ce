//! Laws of the service protection limits, on a virtual clock: what no user exceeds, and what clients that
//! obey `Retry-After`, or do not, live to see.

use model::Uuid;
use proptest::prelude::*;
use std::time::Duration;
use webapi::{Facet, Facets, Limiter, Refusal};

const USER: Uuid = Uuid::from_u128(1);

/// A request as it was let in, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    to: u64,
}

/// A client with some requests in flight, and the limiter as its service.
struct Simulation {
    limiter: Limiter,
    now: u64,
    in_flight: Vec<Run>,
    ended: Vec<Run>,
}

impl Simulation {
    fn new(facets: Facets) -> Self {
        Self { limiter: Limiter::new(facets), now: 0, in_flight: Vec::new(), ended: Vec::new() }
    }

    /// Lets time pass, and requests end on their way.
    fn wait_until(&mut self, when: u64) {
        self.in_flight.sort_by_key(|run| run.to);
        while let Some(run) = self.in_flight.first().copied().filter(|run| run.to <= when) {
            self.in_flight.remove(0);
            let took = Duration::from_millis(run.to - run.from);
            self.limiter.complete(Duration::from_millis(run.to), USER, took);
            self.ended.push(run);
        }
        self.now = self.now.max(when);
    }

    /// Waits for the next request to end.
    fn wait_for_one(&mut self) {
        if let Some(next) = self.in_flight.iter().map(|run| run.to).min() {
            self.wait_until(next);
        }
    }

    fn send(&mut self, takes: u64) -> Result<(), Refusal> {
        self.limiter.admit(Duration::from_millis(self.now), USER)?;
        self.in_flight.push(Run { from: self.now, to: self.now + takes });
        Ok(())
    }
}

/// What a client does with a refusal.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    /// Sends nothing until `Retry-After` has passed, and one less at once after a refusal for that.
    Obeys,
    /// Sends again after a moment.
    Ignores,
}

/// The refusals in a row, at worst, and the requests that got through.
fn play(facets: Facets, client: Client, width: usize, takes: &[u64]) -> (usize, usize) {
    let mut simulation = Simulation::new(facets);
    let (mut width, mut row, mut worst, mut through) = (width, 0, 0, 0);
    for takes in takes.iter().copied() {
        if simulation.in_flight.len() >= width {
            simulation.wait_for_one();
        }
        match simulation.send(takes) {
            Ok(()) => {
                row = 0;
                through += 1;
            }
            Err(refusal) => {
                row += 1;
                worst = worst.max(row);
                let pause = match client {
                    Client::Obeys => u64::from(refusal.retry_after) * 1_000,
                    Client::Ignores => 10,
                };
                if client == Client::Obeys && refusal.facet == Facet::Concurrency {
                    width -= 1;
                }
                simulation.wait_until(simulation.now + pause);
            }
        }
    }
    (worst, through)
}

fn facets() -> impl Strategy<Value = Facets> {
    (0..30_u32, 0..30_u32, 0..6_u32, 1..20_u32).prop_map(
        |(requests, execution_seconds, concurrent, window_seconds)| Facets {
            requests,
            execution_seconds,
            concurrent,
            window_seconds,
        },
    )
}

proptest! {
    #[test]
    fn in_no_span_as_long_as_the_window_is_a_facet_exceeded(
        facets in facets(),
        steps in prop::collection::vec((0..1_500_u64, 0..4_000_u64), 1..300),
    ) {
        let mut simulation = Simulation::new(facets);
        let mut arrivals = Vec::new();
        for (pause, takes) in steps {
            simulation.wait_until(simulation.now + pause);
            if simulation.send(takes).is_err() {
                continue;
            }
            let now = simulation.now;
            arrivals.push(now);
            let at_once = u32::try_from(simulation.in_flight.len()).expect("few");
            prop_assert!(facets.concurrent == 0 || at_once <= facets.concurrent);
            // A span is open at its beginning: what is as old as the window has left it.
            let within = |when: u64| when + u64::from(facets.window_seconds) * 1_000 > now;
            let requests = arrivals.iter().filter(|when| within(**when)).count();
            prop_assert!(facets.requests == 0 || requests <= facets.requests as usize);
            let ended = simulation.ended.iter().filter(|run| within(run.to));
            let used: u64 = ended.map(|run| run.to - run.from).sum();
            let limit = u64::from(facets.execution_seconds) * 1_000;
            prop_assert!(limit == 0 || used <= limit, "{used} of {limit} ms when one more came");
        }
    }

    #[test]
    fn whoever_waits_as_told_is_let_in_and_no_wait_is_longer_than_the_window(
        facets in facets(),
        steps in prop::collection::vec((0..700_u64, 0..4_000_u64), 1..300),
    ) {
        // Nothing else in flight: what ends during a wait counts, too.
        let mut simulation = Simulation::new(facets);
        for (pause, takes) in steps {
            simulation.wait_until(simulation.now + pause);
            simulation.wait_for_one();
            if let Err(refusal) = simulation.send(takes) {
                prop_assert!((1..=facets.window_seconds).contains(&refusal.retry_after));
                simulation.wait_until(simulation.now + u64::from(refusal.retry_after) * 1_000);
                prop_assert!(simulation.send(takes).is_ok(), "{refusal:?}");
            }
        }
    }

    #[test]
    fn a_client_that_obeys_is_never_refused_twice_in_a_row(
        requests in 1..60_u32,
        concurrent in 1..8_u32,
        width in 1..12_usize,
        window_seconds in 5..40_u32,
        takes in prop::collection::vec(0..5_000_u64, 500),
    ) {
        let facets = Facets { requests, execution_seconds: 0, concurrent, window_seconds };
        let (worst, through) = play(facets, Client::Obeys, width, &takes);
        prop_assert!(worst <= 1);
        prop_assert!(through >= takes.len() / 2);
    }

    #[test]
    fn nor_one_that_uses_up_the_execution_time_with_one_request_after_the_other(
        requests in 0..60_u32,
        execution_seconds in 1..60_u32,
        window_seconds in 5..40_u32,
        takes in prop::collection::vec(0..9_000_u64, 300),
    ) {
        let facets = Facets { requests, execution_seconds, concurrent: 1, window_seconds };
        let (worst, _) = play(facets, Client::Obeys, 1, &takes);
        prop_assert!(worst <= 1);
    }

    #[test]
    fn a_client_that_ignores_the_wait_is_refused_again_and_again(
        requests in 1..60_u32,
        width in 1..12_usize,
        window_seconds in 5..40_u32,
    ) {
        let facets = Facets { requests, execution_seconds: 0, concurrent: 52, window_seconds };
        let takes = [5; 500];
        let (worst, through) = play(facets, Client::Ignores, width, &takes);
        // Each attempt lengthens the block: it never ends.
        prop_assert_eq!(through, requests as usize);
        prop_assert_eq!(worst, takes.len() - requests as usize);
    }
}
