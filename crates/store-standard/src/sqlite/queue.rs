//! A bounded queue between callers and the store's threads.
//!
//! Callers never wait to put something in; threads wait to take something out.
//! Invariant: what was put in before `close` is taken out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use store::Error;

/// Work for threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    size_max: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// Why something was not put in.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    /// As many wait as may wait.
    Full,
    /// The store is being closed.
    Closed,
}

impl Refused {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Full => Error::Busy,
            Self::Closed => {
                Error::Engine { doing: "queueing work", source: "the store is closed".into() }
            }
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn new(size_max: usize) -> Self {
        Self {
            state: Mutex::new(State { waiting: VecDeque::new(), closed: false }),
            filled: Condvar::new(),
            size_max,
        }
    }

    /// Puts something in, or says why not.
    pub(super) fn push(&self, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.size_max {
            return Err(Refused::Full);
        }
        state.waiting.push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes the next one out, waiting for it; none when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes the next one out if it is there and `fits`; never waits.
    pub(super) fn pop_if(&self, fits: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        match state.waiting.front() {
            Some(item) if fits(item) => state.waiting.pop_front(),
            _ => None,
        }
    }

    /// Lets nothing more in; what is in is still taken out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_closed_one_is_emptied() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err(Refused::Full));
        assert_eq!(queue.pop_if(|item| *item == 2), None);
        assert_eq!(queue.pop(), Some(1));
        queue.close();
        assert_eq!(queue.push(4), Err(Refused::Closed));
        assert_eq!(queue.pop(), Some(2));
        assert_eq!(queue.pop(), None);
    }
}
