//! One connection: its requests one after another, each from head to answer.
//!
//! Who asks too often is refused from the head alone. The body is read here, under two limits: of one
//! request, and of all requests together. A message runs in a task of its own, so that neither a client
//! that hangs up nor the deadline of a request stops anything half-way.

use crate::admission::Admission;
use crate::auth::{Auth, Refusal, issuer};
use crate::clock;
use crate::leaving::{self, Answer};
use crate::options::Options;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::{Caller, Uuid};
use pipeline::Pipeline;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use webapi::{Challenge, Settings, WebApi};

/// Bytes of a refused body that are read and thrown away, so that the client sees the answer.
const DRAIN_BYTES_MAX: usize = 1 << 20;
/// How long a refused body is drained.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a client may take to agree on keys.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a client may take for a request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a client may take for the next piece of a request's body.
const BODY_PIECE_TIME_MAX: Duration = Duration::from_secs(60);
/// The budget of all bodies is counted in pieces of this many bytes.
const BUDGET_PIECE_BYTES: usize = 4_096;

/// What all connections share.
pub(crate) struct Shared {
    api: WebApi,
    pipeline: Arc<Pipeline>,
    messages: TaskTracker,
    admission: Arc<Admission>,
    auth: Auth,
    /// Proxies whose word counts on how the service was addressed, besides this machine.
    forwarded_from: Vec<IpAddr>,
    body_bytes_max: usize,
    /// How long a request may take; zero for no limit.
    request_time_max: Duration,
    /// Pieces of [`BUDGET_PIECE_BYTES`] that bodies may still take.
    budget: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(pipeline: Arc<Pipeline>, auth: Auth, options: &Options) -> Self {
        let limits = options.limits;
        let mut settings = Settings {
            body_bytes_max: limits.message_bytes,
            request_time_max: limits.request_time,
            aggregate_rows_max: limits.aggregate_rows,
            node: options.node.clone(),
            allowed_origins: options.config.allowed_origins.clone(),
            ..Settings::default()
        };
        if limits.facets.concurrent > 0 {
            settings.dop_hint = settings.dop_hint.min(limits.facets.concurrent);
        }
        // A body of any size that is allowed finds room, where sizes are limited at all.
        let single = Some(limits.message_bytes).filter(|bytes| *bytes < usize::MAX).unwrap_or(0);
        let budget = options.bodies_bytes_max.max(single).div_ceil(BUDGET_PIECE_BYTES);
        Self {
            api: WebApi::new(pipeline.clone(), settings),
            pipeline,
            messages: TaskTracker::new(),
            admission: Admission::new(limits.facets),
            auth,
            forwarded_from: options.config.forwarded_from.clone(),
            body_bytes_max: limits.message_bytes,
            request_time_max: limits.request_time,
            budget: Arc::new(Semaphore::new(budget.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// What runs messages.
    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.clone()
    }

    /// Who asks.
    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Takes no further messages; answers what to wait for.
    pub(crate) fn close(&self) -> &TaskTracker {
        self.messages.close();
        &self.messages
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) tls: bool,
}

/// Serves a connection until it ends or the service stops.
pub(crate) async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    peer: Peer,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    // Answers are small and wanted at once; without this they wait for the peer's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let Some(acceptor) = acceptor else { return talk(stream, peer, shared, stop).await };
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)) => agreed,
        () = stop.cancelled() => return,
    };
    match agreed {
        Ok(Ok(stream)) => talk(stream, peer, shared, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a client did not agree on TLS"),
        Err(_) => tracing::debug!("a client took too long to agree on TLS"),
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(shared, peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(256 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(shared: Arc<Shared>, peer: Peer, request: Request<Incoming>) -> Response<Answer> {
    let request_id = clock::request_id();
    let path = request.uri().path();
    if path == "/health" {
        return text(StatusCode::OK, "ok");
    }
    let is_trusted = peer.address.is_loopback() || shared.forwarded_from.contains(&peer.address);
    let origin = origin(request.headers(), peer.tls, is_trusted);
    let own = shared.auth.issuer().and_then(|own| Some((own, own.endpoint(path)?)));
    if let Some((own, endpoint)) = own {
        return give_token(own, &endpoint, request, &origin).await.map(Answer::from);
    }
    let (head, body) = request.into_parts();
    if let Some(response) = shared.api.preflight(&head.method, &head.headers, request_id) {
        return response.map(Answer::from);
    }
    let sent = head.headers.clone();
    let mut response = answer_call(&shared, (head, body), origin, request_id).await;
    shared.api.allow_origin(&mut response, &sent);
    response
}

/// Answers a request that calls the API.
async fn answer_call(
    shared: &Arc<Shared>,
    (head, body): (Parts, Incoming),
    origin: String,
    request_id: Uuid,
) -> Response<Answer> {
    let caller = match shared.auth.caller(&head.headers, &origin).await {
        Ok(caller) => caller,
        Err(refusal) => {
            refuse(&head.headers, body).await;
            return shared.refused(request_id, refusal, &head.headers, &origin).map(Answer::from);
        }
    };
    if head.uri.path() == "/usage" {
        let refused = shared.pipeline.only_administrators(caller, clock::now()).await;
        if let Err(error) = refused {
            return shared.api.forbidden(request_id, error, &head.headers).map(Answer::from);
        }
        return shared.api.usage(request_id, &head.method).map(Answer::from);
    }
    let admitted = match shared.admission.admit(caller) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            refuse(&head.headers, body).await;
            return shared.api.limited(request_id, &refusal, &head.headers).map(Answer::from);
        }
    };
    let remaining = admitted.remaining;
    let deadline = shared.deadline();
    let mut response = match read(shared, &head.headers, body, request_id, deadline).await {
        Ok((body, permit)) => {
            let sent = head.headers.clone();
            let incoming = incoming(head, body, caller, origin, request_id);
            let runner = Arc::clone(shared);
            // What the request holds is given back when its message has ended, not when somebody stops
            // waiting for it.
            let (entry, mut exit) = leaving::way();
            let message = shared.messages.spawn(async move {
                let response = runner.api.handle_through(incoming, Some(Arc::new(entry))).await;
                drop((permit, admitted));
                response
            });
            let answered = async {
                tokio::select! {
                    biased;
                    Ok(head) = &mut exit.head => Answered::Early(head),
                    ended = message => Answered::Whole(ended),
                }
            };
            match within(deadline, answered).await {
                Some(Answered::Early(mut head)) => {
                    shared.api.finish(&mut head, request_id, &sent);
                    WebApi::put_remaining(&mut head, remaining);
                    return exit.answer(head);
                }
                Some(Answered::Whole(Ok(response))) => response,
                Some(Answered::Whole(Err(error))) => {
                    tracing::error!(%error, %request_id, "a message panicked");
                    shared.api.unexpected(request_id)
                }
                None => {
                    tracing::warn!(%request_id, "a request took too long; its message goes on");
                    shared.api.timed_out(request_id)
                }
            }
        }
        Err(refusal) => refusal,
    };
    WebApi::put_remaining(&mut response, remaining);
    response.map(Answer::from)
}

/// What came first of a message.
enum Answered {
    /// The head of an answer whose body is still made.
    Early(Response<Bytes>),
    Whole(Result<Response<Bytes>, tokio::task::JoinError>),
}

/// What a future answers, or nothing when it is not done by the deadline.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(future.await),
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
    }
}

impl Shared {
    /// The answer to a caller who is not let in.
    fn refused(
        &self,
        request_id: Uuid,
        refusal: Refusal,
        headers: &HeaderMap,
        origin: &str,
    ) -> Response<Bytes> {
        match refusal {
            Refusal::Unauthorized { rejected } => {
                let (authorization_uri, resource_id) = self.auth.challenge(origin);
                let challenge = Challenge {
                    authorization_uri: &authorization_uri,
                    resource_id: &resource_id,
                    rejected,
                };
                self.api.unauthorized(request_id, &challenge)
            }
            Refusal::Fault(fault) => {
                self.api.forbidden(request_id, pipeline::Error::Fault(fault), headers)
            }
            Refusal::Busy => self.api.busy(request_id),
        }
    }

    /// When the request that begins now must have been answered.
    fn deadline(&self) -> Option<Instant> {
        (!self.request_time_max.is_zero()).then(|| Instant::now() + self.request_time_max)
    }
}

fn incoming(
    head: Parts,
    body: Bytes,
    caller: Caller,
    origin: String,
    request_id: Uuid,
) -> webapi::Incoming {
    webapi::Incoming {
        method: head.method,
        target: head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        origin,
        headers: head.headers,
        body,
        caller,
        now: clock::now(),
        request_id,
    }
}

/// Answers a request to the built-in issuer. Its bodies are small; a larger one is cut off and then wrong.
async fn give_token(
    issuer: &issuer::Issuer,
    endpoint: &issuer::Endpoint,
    request: Request<Incoming>,
    origin: &str,
) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, issuer::BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_PIECE_TIME_MAX, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    let query = head.uri.query().unwrap_or_default();
    issuer.answer(endpoint, &head.method, query, &head.headers, &body, origin).await
}

/// Reads a body under both limits and the deadline; answers a response where one of them is hit.
async fn read(
    shared: &Shared,
    headers: &HeaderMap,
    mut body: Incoming,
    request_id: Uuid,
    deadline: Option<Instant>,
) -> Result<(Bytes, OwnedSemaphorePermit), Response<Bytes>> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > shared.body_bytes_max) {
        refuse(headers, body).await;
        return Err(shared.api.too_large(request_id));
    }
    let busy = || shared.api.busy(request_id);
    let Some(mut permit) = reserve(shared, announced.unwrap_or(0)) else {
        refuse(headers, body).await;
        return Err(busy());
    };
    let mut reserved = announced.unwrap_or(0);
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0).min(1 << 20));
    while !body.is_end_stream() {
        let frame = tokio::time::timeout(BODY_PIECE_TIME_MAX, body.frame());
        let Some(frame) = within(deadline, frame).await else {
            drain(body).await;
            return Err(shared.api.timed_out(request_id));
        };
        let piece = match frame {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) => break,
            // The client went away or stalled: nothing was begun, nobody listens.
            Ok(Some(Err(_))) | Err(_) => return Err(shared.api.incomplete(request_id)),
        };
        if bytes.len() + piece.len() > shared.body_bytes_max {
            drain(body).await;
            return Err(shared.api.too_large(request_id));
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() > reserved {
            let more = bytes.len() - reserved;
            let Some(further) = reserve(shared, more) else {
                drain(body).await;
                return Err(busy());
            };
            permit.merge(further);
            reserved = bytes.len();
        }
    }
    Ok((bytes.freeze(), permit))
}

fn reserve(shared: &Shared, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let pieces = u32::try_from(bytes.div_ceil(BUDGET_PIECE_BYTES)).ok()?;
    shared.budget.clone().try_acquire_many_owned(pieces).ok()
}

/// Gives up a body that was not begun: a client that waits to be asked for it is not asked, from others
/// a part is read.
async fn refuse(headers: &HeaderMap, body: Incoming) {
    if !headers.contains_key(header::EXPECT) {
        drain(body).await;
    }
}

/// Reads and drops a bounded part of a body, so that the client gets to read the answer.
async fn drain(mut body: Incoming) {
    let read = async {
        let mut left = DRAIN_BYTES_MAX;
        while left > 0
            && let Some(Ok(frame)) = body.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    };
    // Whether it ended or timed out makes no difference to the answer.
    drop(tokio::time::timeout(DRAIN_TIME_MAX, read).await);
}

/// Scheme and host as the client addressed the service; what a trusted proxy says of it counts.
fn origin(headers: &HeaderMap, tls: bool, is_trusted: bool) -> String {
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
    };
    let forwarded = |name: &str| first(name).filter(|_| is_trusted);
    let scheme = forwarded("x-forwarded-proto").unwrap_or(if tls { "https" } else { "http" });
    let host = forwarded("x-forwarded-host").or_else(|| first("host")).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

fn text(status: StatusCode, text: &'static str) -> Response<Answer> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()).into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
