//! Who may go on: one limiter for all connections, and the guard of an admitted request.
//!
//! Not here: the arithmetic (`webapi`), the answer to who is refused (`connection`).
//! Invariant: what was admitted is counted out exactly once, when its message has ended, whether or not
//! somebody still listens.

use crate::clock;
use model::{Caller, Uuid};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use webapi::{Facets, Limiter, Refusal, Remaining};

/// The limits of this node.
pub(crate) struct Admission {
    /// `None` where no facet is on.
    limiter: Option<Mutex<Limiter>>,
}

impl Admission {
    pub(crate) fn new(facets: Facets) -> Arc<Self> {
        Arc::new(Self { limiter: facets.any().then(|| Mutex::new(Limiter::new(facets))) })
    }

    /// Lets a request of this caller in, or says why not. Whoever acts for another pays himself.
    pub(crate) fn admit(self: &Arc<Self>, caller: Caller) -> Result<Admitted, Refusal> {
        let user = caller.on_behalf_of.unwrap_or(caller.user);
        let now = clock::monotonic();
        let remaining = match &self.limiter {
            Some(limiter) => {
                limiter.lock().unwrap_or_else(PoisonError::into_inner).admit(now, user)?
            }
            None => Remaining::whole(),
        };
        Ok(Admitted { admission: Arc::clone(self), user, since: now, remaining })
    }
}

/// A request that was let in. Dropped when its message has ended: then its time is counted.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    user: Uuid,
    since: Duration,
    /// What its caller had left when it was let in.
    pub(crate) remaining: Remaining,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(limiter) = &self.admission.limiter else { return };
        let now = clock::monotonic();
        let took = now.saturating_sub(self.since);
        limiter.lock().unwrap_or_else(PoisonError::into_inner).complete(now, self.user, took);
    }
}
