//! Several identities as one way to the service.
//!
//! In: a way to the service for each. Out: a [`Transport`] that says how many there are, and sends questions as one that is
//! not paused. Who sends rows, and how many at a time, is decided by `controller::pool`.
//! Invariant: a question waits only while every identity is paused.

use crate::controller::PAUSE_UNSAID;
use crate::rows::Operation;
use crate::transport::{Error, Request, Response, Transport};
use crate::verdict::{self, Sent, Verdict};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// An identity, and what the user calls it.
pub struct Identity {
    /// The name.
    pub name: String,
    /// The way to the service as this identity.
    pub transport: Arc<dyn Transport>,
}

/// Identities that share the work.
pub struct Pool {
    identities: Vec<Identity>,
    state: Mutex<State>,
}

struct State {
    /// Who is asked next.
    turn: usize,
    paused_until: Vec<Option<Instant>>,
}

impl Pool {
    /// None where there is nobody.
    pub fn new(identities: Vec<Identity>) -> Option<Self> {
        let paused_until = vec![None; identities.len()];
        let state = Mutex::new(State { turn: 0, paused_until });
        (!identities.is_empty()).then_some(Self { identities, state })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one that is not paused; where all are, the one whose pause ends first.
    fn next(&self) -> usize {
        let mut state = self.state();
        let now = Instant::now();
        let count = self.identities.len();
        let turns = (0..count).map(|step| (state.turn + step) % count);
        let next = turns
            .min_by_key(|identity| state.paused_until[*identity].filter(|until| *until > now))
            .unwrap_or_default();
        state.turn = (next + 1) % count;
        next
    }

    /// Takes in what an answer says of the identity; true when it was throttled and another is free.
    fn took(&self, identity: usize, answer: &Result<Response, Error>) -> bool {
        let sent = Sent { operation: Operation::Update, rows: 1, is_bulk: false };
        let Verdict::SlowDown { after, .. } = verdict::judge(sent, answer) else { return false };
        let mut state = self.state();
        let now = Instant::now();
        state.paused_until[identity] = Some(now + after.unwrap_or(PAUSE_UNSAID));
        state.paused_until.iter().any(|until| until.is_none_or(|until| until <= now))
    }
}

#[async_trait]
impl Transport for Pool {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        loop {
            let identity = self.next();
            let answer = self.identities[identity].transport.send(request.clone()).await;
            if !self.took(identity, &answer) {
                return answer;
            }
        }
    }

    fn identities(&self) -> usize {
        self.identities.len()
    }

    async fn send_as(&self, identity: usize, request: Request) -> Result<Response, Error> {
        let answer = self.identities[identity].transport.send(request).await;
        self.took(identity, &answer);
        answer
    }

    fn name(&self, identity: usize) -> &str {
        &self.identities[identity].name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Throttles its first requests, then answers.
    struct Scripted {
        throttles: Mutex<u32>,
        seen: Mutex<u32>,
    }

    #[async_trait]
    impl Transport for Scripted {
        async fn send(&self, _: Request) -> Result<Response, Error> {
            *self.seen.lock().expect("no panics") += 1;
            let mut throttles = self.throttles.lock().expect("no panics");
            if *throttles == 0 {
                return Ok(Response { status: 200, ..Response::default() });
            }
            *throttles -= 1;
            let headers = vec![("retry-after".to_owned(), "10".to_owned())];
            Ok(Response { status: 429, headers, ..Response::default() })
        }
    }

    fn pool(throttles: &[u32]) -> (Pool, Vec<Arc<Scripted>>) {
        let one = |throttles: &u32| {
            Arc::new(Scripted { throttles: Mutex::new(*throttles), seen: Mutex::new(0) })
        };
        let all: Vec<_> = throttles.iter().map(one).collect();
        let identities = all.iter().map(|one| Identity {
            name: String::new(),
            transport: one.clone() as Arc<dyn Transport>,
        });
        (Pool::new(identities.collect()).expect("somebody"), all)
    }

    async fn ask(pool: &Pool) -> u16 {
        pool.send(Request::get("x")).await.expect("an answer").status
    }

    #[tokio::test(start_paused = true)]
    async fn questions_go_to_those_that_are_not_paused() {
        let (pool, all) = pool(&[1, 0]);
        for _ in 0..4 {
            assert_eq!(ask(&pool).await, 200);
        }
        let seen =
            || all.iter().map(|one| *one.seen.lock().expect("no panics")).collect::<Vec<_>>();
        assert_eq!(seen(), [1, 4]);
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..4 {
            assert_eq!(ask(&pool).await, 200);
        }
        assert_eq!(seen(), [3, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_paused_the_answer_says_so() {
        let (pool, _) = pool(&[9, 9]);
        assert_eq!(ask(&pool).await, 429);
    }
}
