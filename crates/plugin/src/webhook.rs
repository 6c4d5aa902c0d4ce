//! Webhooks: the context of a step, posted to an address.
//!
//! In reading order: this file (one delivery: attempts, limits, what a failure is called), `auth` (how a request says
//! who sends it), `body` (the context as JSON), `address` (where a delivery may go).
//! Not here: what becomes of a failure (the pipeline undoes a message, a job keeps it).
//! Invariant: neither the secret nor the query of an address is ever logged; nothing that is answered changes anything.

mod address;
mod auth;
mod body;

pub use auth::{AuthError, check as check_auth};
pub use body::{BODY_BYTES_MAX, Body, write as write_body};

use crate::Error;
use address::Resolver;
use auth::Signed;
use lru::LruCache;
use model::{ErrorCode, Uuid};
use pipeline::step::{Endpoint, StepCall, StepFault};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url, redirect};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Deliveries to one endpoint at the same time.
const IN_FLIGHT_MAX: usize = 32;

/// Endpoints whose deliveries are counted; the one that was not used for longest goes first.
const ENDPOINTS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// Bytes of an answer that are read, for the log.
const ANSWER_BYTES_MAX: usize = 4_096;

/// Headers of every delivery.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-ms-dynamics-organization");
const TABLE: HeaderName = HeaderName::from_static("x-ms-dynamics-entity-name");
const MESSAGE: HeaderName = HeaderName::from_static("x-ms-dynamics-request-name");
const CORRELATION: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");
const SIZE_EXCEEDED: HeaderName = HeaderName::from_static("x-ms-dynamics-msg-size-exceeded");

/// What a failed delivery is called.
mod failed {
    use model::ErrorCode;
    pub(super) const STATUS: ErrorCode = ErrorCode(0x8005_0201);
    pub(super) const TIME: ErrorCode = ErrorCode(0x8005_0202);
    pub(super) const HEADERS: ErrorCode = ErrorCode(0x8005_0203);
    pub(super) const QUERY: ErrorCode = ErrorCode(0x8005_0204);
    pub(super) const POST: ErrorCode = ErrorCode(0x8005_0205);
    pub(super) const DISABLED: ErrorCode = ErrorCode(0x8005_0206);
    pub(super) const SIZE: ErrorCode = ErrorCode(0x8005_0207);
}

/// Settings of webhooks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Deliveries are made. Otherwise every one fails.
    pub enabled: bool,
    /// Host name of the environment, as receivers see it.
    pub organization: String,
    /// How long one attempt may take, connection included.
    pub attempt_max: Duration,
    /// Addresses of this machine may be posted to, also without TLS.
    pub allow_loopback: bool,
    /// Hosts (names or addresses) that may be posted to although they are private, also without TLS.
    pub allowed_hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            organization: "localhost".to_owned(),
            attempt_max: Duration::from_secs(60),
            allow_loopback: false,
            allowed_hosts: Vec::new(),
        }
    }
}

/// Sends webhooks. One per process.
pub(crate) struct Webhooks {
    settings: Settings,
    client: Client,
    in_flight: Mutex<LruCache<Uuid, Arc<Semaphore>>>,
}

/// How one attempt ended.
enum Attempt {
    Done,
    /// The receiver could not take it now; once more at once.
    Again(StepFault),
    Failed(StepFault),
}

impl Webhooks {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        // Another part of the process may have been faster; it is the same provider.
        drop(rustls_provider());
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver::new(&settings)))
            .build()
            .map_err(|error| Error::Webhooks(error.to_string()))?;
        Ok(Self { settings, client, in_flight: Mutex::new(LruCache::new(ENDPOINTS_MAX)) })
    }

    /// Delivers the context of a step: one attempt, and one more where the receiver was not ready.
    pub(crate) async fn send(
        &self,
        call: &StepCall,
        endpoint: &Endpoint,
        remaining: Duration,
    ) -> Result<(), StepFault> {
        match tokio::time::timeout(remaining, self.deliver(call, endpoint)).await {
            Ok(sent) => sent,
            Err(_) => Err(StepFault::TimeLimit),
        }
    }

    async fn deliver(&self, call: &StepCall, endpoint: &Endpoint) -> Result<(), StepFault> {
        if !self.settings.enabled {
            return Err(fault(failed::DISABLED, "webhooks are switched off"));
        }
        let signed = auth::sign(endpoint).map_err(|error| of_auth(&error))?;
        address::check(&signed.url, &self.settings).map_err(|why| fault(failed::POST, why))?;
        let body = write_body(call);
        if body.text.len() > BODY_BYTES_MAX {
            let text = format!("the trimmed body has {} bytes", body.text.len());
            return Err(fault(failed::SIZE, text));
        }
        let headers = self.headers(call, &signed, body.is_trimmed)?;
        let body = bytes::Bytes::from(body.text);
        let places = {
            let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            in_flight.get_or_insert(endpoint.id, || Arc::new(Semaphore::new(IN_FLIGHT_MAX))).clone()
        };
        let _place = places.acquire().await.expect("the semaphore is never closed");
        match self.attempt(&signed.url, headers.clone(), body.clone()).await {
            Attempt::Done => Ok(()),
            Attempt::Failed(fault) => Err(fault),
            Attempt::Again(_) => match self.attempt(&signed.url, headers, body).await {
                Attempt::Done => Ok(()),
                Attempt::Again(fault) | Attempt::Failed(fault) => Err(fault),
            },
        }
    }

    fn headers(
        &self,
        call: &StepCall,
        signed: &Signed,
        is_trimmed: bool,
    ) -> Result<HeaderMap, StepFault> {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(CONTENT_TYPE, json);
        for (name, value) in &signed.headers {
            headers.append(name.clone(), value.clone());
        }
        let mut text = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
            Ok(value) => {
                headers.insert(name, value);
                Ok(())
            }
            Err(_) => Err(fault(failed::POST, format!("`{value}` cannot stand in a header"))),
        };
        text(ORGANIZATION, &self.settings.organization)?;
        text(TABLE, &call.frame.table.logical_name)?;
        text(MESSAGE, call.frame.message.as_str())?;
        text(CORRELATION, &call.frame.correlation.to_string())?;
        if is_trimmed {
            text(SIZE_EXCEEDED, "true")?;
        }
        Ok(headers)
    }

    async fn attempt(&self, url: &Url, mut headers: HeaderMap, body: bytes::Bytes) -> Attempt {
        match request_id() {
            Ok(id) => headers.insert(REQUEST_ID, id),
            Err(fault) => return Attempt::Failed(fault),
        };
        let sent = async {
            let request = self.client.post(url.clone()).headers(headers).body(body);
            let mut answer = request.send().await?;
            let status = answer.status();
            let mut text = Vec::new();
            while text.len() < ANSWER_BYTES_MAX
                && let Ok(Some(piece)) = answer.chunk().await
            {
                text.extend_from_slice(&piece[..piece.len().min(ANSWER_BYTES_MAX - text.len())]);
            }
            Ok((status, text))
        };
        match tokio::time::timeout(self.settings.attempt_max, sent).await {
            Err(_) => Attempt::Failed(fault(
                failed::TIME,
                format!("no answer in {:?}", self.settings.attempt_max),
            )),
            Ok(Err(error)) => Attempt::Failed(of_connection(error)),
            Ok(Ok((status, text))) => of_status(status, &text),
        }
    }
}

fn of_status(status: StatusCode, text: &[u8]) -> Attempt {
    if status.is_success() {
        return Attempt::Done;
    }
    let log = format!("answered {status}: {}", String::from_utf8_lossy(text));
    let fault = fault(failed::STATUS, log);
    match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Attempt::Again(fault)
        }
        _ => Attempt::Failed(fault),
    }
}

fn of_connection(error: reqwest::Error) -> StepFault {
    // The address may hold a secret in its query.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    fault(failed::POST, text)
}

fn of_auth(error: &AuthError) -> StepFault {
    let code = match error {
        AuthError::Url(_) => failed::POST,
        AuthError::Headers(_) => failed::HEADERS,
        AuthError::Query(_) | AuthError::Kind(_) => failed::QUERY,
    };
    fault(code, error.to_string())
}

/// The fault of a delivery: the documented text of its code, our own words for the log.
fn fault(code: ErrorCode, log: impl Into<String>) -> StepFault {
    let message = match code {
        failed::STATUS => {
            "The webhook call failed because the http request received non-success httpStatus code. Please check your webhook request handler."
        }
        failed::TIME => {
            "The webhook call failed because the Http request timed out at client side. Please check your webhook request handler."
        }
        failed::HEADERS => {
            "The webhook call failed because of invalid http headers in authValue. Check if the authValue format, header names and values are valid for your Service Endpoint entity."
        }
        failed::QUERY => {
            "The webhook call failed because of invalid http query params in authValue. Check if the authValue format, query parameter names and values are valid for your Service Endpoint entity."
        }
        failed::DISABLED => "The Webhook post is disabled for the organization.",
        failed::SIZE => {
            "The webhook call failed because the http request payload has exceeded maximum allowed size. Please reduce your request size and retry."
        }
        _ => {
            "The webhook call failed during http post. Please check the exception for more details."
        }
    };
    StepFault::Webhook { code, message: message.to_owned(), log: log.into() }
}

/// Makes the id of one attempt.
fn request_id() -> Result<HeaderValue, StepFault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| fault(failed::POST, format!("no random bytes: {error}")))?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid().to_string();
    Ok(HeaderValue::from_str(&id).expect("an id is made of digits and hyphens"))
}

fn rustls_provider() -> Result<(), Arc<rustls::crypto::CryptoProvider>> {
    rustls::crypto::ring::default_provider().install_default()
}
