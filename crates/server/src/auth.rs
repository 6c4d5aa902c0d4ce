//! Who asks: from the head of a request to a caller, or to the answer that refuses it.
//!
//! In reading order: [`Auth`] (the check), `settings` (what is accepted), `token` (signed tokens), `keys`
//! (keys of other issuers), `signing` (our own), `issuer` (where our tokens come from), `secret`
//! (hashes). Source: webapi.md 21. Not here: what a caller may do (`pipeline`).
//! Invariant: a token that was checked once costs neither a signature nor a read of the store again for
//! [`IDENTITY_TIME_MAX`], but nobody stays known for longer than that after its row has changed.

pub(crate) mod issuer;
mod keys;
pub(crate) mod secret;
pub(crate) mod settings;
mod signing;
mod token;

use crate::clock;
use http::{HeaderMap, header};
use issuer::Issuer;
use lru::LruCache;
use model::{Caller, Fault};
use pipeline::{Claims, Pipeline};
use settings::Accepted;
use signing::Signing;
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use token::{Checked, Checker, Refused};

/// How long a caller stays known without a look at its row. Rows that this node writes end it at once.
const IDENTITY_TIME_MAX: Duration = Duration::from_secs(5);
/// Tokens that are remembered: about two kilobytes each.
const TOKENS_MAX: NonZero<usize> = NonZero::new(4_096).expect("not zero");

/// The check of every request.
pub(crate) struct Auth {
    pipeline: Arc<Pipeline>,
    /// `None`: development, everybody is the administrator.
    checks: Option<Checks>,
    issuer: Option<Issuer>,
}

/// What is needed where tokens count.
struct Checks {
    checker: Checker,
    opaque: HashMap<Box<str>, Claims>,
    /// Where callers without a token are sent; the built-in issuer where it is empty.
    authorize: Option<String>,
    known: Mutex<LruCache<Box<str>, Known>>,
}

/// A token that was accepted, and whose it is.
#[derive(Clone)]
struct Known {
    checked: Arc<Checked>,
    caller: Option<(Result<Caller, Box<Fault>>, Duration, u64)>,
}

/// Why a request is not let in.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 401: no token, or (`rejected`) a bad one.
    Unauthorized { rejected: bool },
    /// The token is good, its bearer is not.
    Fault(Box<Fault>),
    /// Nobody can tell at present.
    Busy,
}

impl Auth {
    pub(crate) fn new(pipeline: &Arc<Pipeline>, enabled: bool, accepted: &Accepted) -> Self {
        // An error only says that a provider is installed already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let signing = Arc::new(match enabled {
            true => Signing::shared(pipeline.clone()),
            false => Signing::development(),
        });
        let checks = enabled.then(|| Checks {
            checker: Checker::new(accepted, accepted.builtin.then(|| signing.clone())),
            opaque: accepted.opaque.clone(),
            authorize: accepted.authorize.clone(),
            known: Mutex::new(LruCache::new(TOKENS_MAX)),
        });
        let issuer = (accepted.builtin || !enabled)
            .then(|| Issuer::new(pipeline.clone(), signing, !enabled));
        Self { pipeline: pipeline.clone(), checks, issuer }
    }

    /// Tokens count.
    pub(crate) fn is_on(&self) -> bool {
        self.checks.is_some()
    }

    /// The built-in issuer, where there is one.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// Who asks. Cost: a short lock; now and then one read of the store.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        origin: &str,
    ) -> Result<Caller, Refusal> {
        let Some(checks) = &self.checks else { return Ok(self.pipeline.organization().caller()) };
        let bearer = bearer(headers).ok_or(Refusal::Unauthorized { rejected: false })?;
        let known = checks.known(bearer);
        let checked = match &known {
            Some(known) => known.checked.clone(),
            None => Arc::new(checks.check(bearer).await?),
        };
        if let Err(why) = checked.holds(clock::now(), origin) {
            tracing::debug!(why, "a token was rejected");
            return Err(Refusal::Unauthorized { rejected: true });
        }
        let (now, epoch) = (clock::monotonic(), self.pipeline.identity_epoch());
        if let Some((caller, since, then)) = known.and_then(|known| known.caller)
            && then == epoch
            && now.saturating_sub(since) < IDENTITY_TIME_MAX
        {
            return caller.map_err(Refusal::Fault);
        }
        let caller = match self.pipeline.identify(&checked.claims, clock::now()).await {
            Ok(caller) => Ok(caller),
            Err(pipeline::Error::Fault(fault)) if fault.log.is_none() => Err(fault),
            Err(error) => {
                tracing::warn!(error = %explain(&error), "a caller could not be looked up");
                return Err(Refusal::Busy);
            }
        };
        checks.keep(bearer, Known { checked, caller: Some((caller.clone(), now, epoch)) });
        caller.map_err(Refusal::Fault)
    }

    /// `authorization_uri` and `resource_id` of a challenge.
    pub(crate) fn challenge(&self, origin: &str) -> (String, String) {
        let elsewhere = self.checks.as_ref().and_then(|checks| checks.authorize.clone());
        let authorize = elsewhere.unwrap_or_else(|| {
            format!("{origin}/{}/oauth2/authorize", self.pipeline.organization().id)
        });
        (authorize, format!("{origin}/"))
    }
}

impl Checks {
    fn known(&self, token: &str) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    fn keep(&self, token: &str, known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).put(token.into(), known);
    }

    async fn check(&self, token: &str) -> Result<Checked, Refusal> {
        if let Some(claims) = self.opaque.get(token) {
            return Ok(Checked::always(claims.clone()));
        }
        self.checker.check(token).await.map_err(|refused| match refused {
            Refused::Bad(why) => {
                tracing::debug!(why, "a token was rejected");
                Refusal::Unauthorized { rejected: true }
            }
            Refused::NoKeys(why) => {
                tracing::warn!(why, "a token could not be checked");
                Refusal::Busy
            }
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What happened, for the log: a fault's own text is the caller's.
pub(crate) fn explain(error: &pipeline::Error) -> String {
    match error {
        pipeline::Error::Fault(fault) => fault.log.clone().unwrap_or_else(|| fault.text()),
        error @ pipeline::Error::StaleCatalog => error.to_string(),
    }
}
