//! One request from head to answer.
//!
//! Takes a snapshot of the definitions, routes, lets the area decode and run, and does the whole once
//! more on newer definitions when the ones it held turn out to be old. Not here: what areas do.
//! Invariant: a message that changed something is never run again.

use crate::fault::Problem;
use crate::limits::{Refusal, Remaining};
use crate::outlet::Outlet;
use crate::request::{self, Bounds, Request};
use crate::route::{self, Route};
use crate::usage::Usage;
use crate::{
    Settings, batch, blocks, bulk, bulk_delete, cors, functions, metadata, records, response,
    rights,
};
use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Response, StatusCode};
use model::{Caller, Timestamp, Uuid};
use pipeline::{Context, Impersonated, Message, Pipeline, Reply, TakeRows};
use query::{BoundQuery, Page};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How often a request is bound to newer definitions before the caller is told to come again.
pub(crate) const ROUNDS_MAX: usize = 4;

/// The Web API. One per process; shared by every request.
pub struct WebApi {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) settings: Settings,
    usage: Usage,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The verb.
    pub method: Method,
    /// Path and query exactly as received.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// `scheme://host[:port]` as the client addressed the service.
    pub origin: String,
    /// Who asks.
    pub caller: Caller,
    /// When it came.
    pub now: Timestamp,
    /// The id of this request, for the answer and the log.
    pub request_id: Uuid,
}

/// Where a caller without a valid token gets one.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The token issuer's authorize address.
    pub authorization_uri: &'a str,
    /// The organisation's address with a trailing slash.
    pub resource_id: &'a str,
    /// A token was sent and rejected.
    pub rejected: bool,
}

/// Why an attempt ended without an answer.
pub(crate) enum Stop {
    /// The definitions have moved on; nothing was changed.
    Stale,
    /// The caller's answer.
    Problem(Box<Problem>),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<pipeline::Error> for Stop {
    fn from(error: pipeline::Error) -> Self {
        match error {
            pipeline::Error::StaleCatalog => Self::Stale,
            pipeline::Error::Fault(fault) => Problem::from(*fault).into(),
        }
    }
}

/// What an area works with: the request and the snapshot that it is bound to.
pub(crate) struct Attempt<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) request: &'a Request,
    pub(crate) context: Context,
}

impl Attempt<'_> {
    pub(crate) async fn run(&self, message: Message) -> Result<Reply, Stop> {
        let written: usize = match &message {
            Message::Write(write) => write.targets.len(),
            Message::WriteAll(writes) => writes.iter().map(|write| write.targets.len()).sum(),
            _ => 0,
        };
        self.request.items.fetch_add(written as u64, Relaxed);
        Ok(self.pipeline.run(&self.context, message).await?)
    }

    /// Reads a page and hands its rows over as they come.
    pub(crate) async fn read_in_parts(
        &self,
        query: BoundQuery,
        take: TakeRows<'_>,
    ) -> Result<Page, Stop> {
        Ok(self.pipeline.run_in_parts(&self.context, query, take).await?)
    }

    /// 405 unless the verb is one of these.
    pub(crate) fn only(&self, allow: &'static str) -> Problem {
        Problem::method(&self.request.method, allow)
    }
}

impl WebApi {
    /// Makes the Web API of a service.
    pub fn new(pipeline: Arc<Pipeline>, settings: Settings) -> Self {
        Self { pipeline, settings, usage: Usage::default() }
    }

    /// Answers a request.
    pub async fn handle(&self, incoming: Incoming) -> Response<Bytes> {
        Box::pin(self.handle_through(incoming, None)).await
    }

    /// Answers a request, a long page through the outlet. What it answers is of no meaning once the
    /// outlet has begun.
    pub async fn handle_through(
        &self,
        incoming: Incoming,
        outlet: Option<Arc<dyn Outlet>>,
    ) -> Response<Bytes> {
        let headers = incoming.headers.clone();
        let request_id = incoming.request_id;
        let head_only = incoming.method == Method::HEAD;
        let prefer = request::preferences(&headers);
        let annotations = prefer.include_annotations.clone();
        if let Some(response) = self.preflight(&incoming.method, &headers, request_id) {
            return response;
        }
        let answer = if incoming.body.len() > self.settings.body_bytes_max {
            Err(Problem::too_large(self.settings.body_bytes_max))
        } else if let Some(version) = batch::version_of(&incoming.target) {
            batch::answer(self, &incoming, version, &prefer).await
        } else {
            match request::read(incoming, prefer, Bounds::of(&self.settings)) {
                Ok(mut request) => {
                    // What is left of a head is made from the whole.
                    request.outlet = outlet.filter(|_| !head_only);
                    self.answer(request).await
                }
                Err(problem) => Err(problem),
            }
        };
        let mut response =
            answer.unwrap_or_else(|problem| problem.response(request_id, annotations.as_ref()));
        self.finish(&mut response, request_id, &headers);
        if head_only {
            response::drop_body(&mut response);
        }
        response
    }

    /// Adds what every answer carries to one that left through an [`Outlet`].
    pub fn finish(&self, response: &mut Response<Bytes>, request_id: Uuid, sent: &HeaderMap) {
        response::finish(response, &self.settings, request_id, Some(sent));
    }

    /// The answer to a browser that asks whether a page of another origin may call. It carries no
    /// token, so it comes before anybody asks for one. None for any other request.
    pub fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
        request_id: Uuid,
    ) -> Option<Response<Bytes>> {
        let mut response = cors::preflight(&self.settings, method, headers)?;
        response::finish(&mut response, &self.settings, request_id, Some(headers));
        Some(response)
    }

    /// Lets the page that asked see an answer that was made before the request was read.
    pub fn allow_origin<B>(&self, response: &mut Response<B>, headers: &HeaderMap) {
        cors::allow(response, &self.settings, headers);
    }

    /// 413: the body is larger than the settings allow.
    pub fn too_large(&self, request_id: Uuid) -> Response<Bytes> {
        self.early(request_id, Problem::too_large(self.settings.body_bytes_max))
    }

    /// 429: a facet of the service protection limits is used up.
    pub fn limited(
        &self,
        request_id: Uuid,
        refusal: &Refusal,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let annotations = request::preferences(headers).include_annotations;
        let problem = Problem::limited(refusal);
        let mut response = problem.response(request_id, annotations.as_ref());
        response::finish(&mut response, &self.settings, request_id, Some(headers));
        response::put(&mut response, header::RETRY_AFTER, &refusal.retry_after.to_string());
        Self::put_remaining(&mut response, refusal.remaining);
        response
    }

    /// Says in the head of an answer what its caller has left of the limits.
    pub fn put_remaining<B>(response: &mut Response<B>, remaining: Remaining) {
        response::put_remaining(response.headers_mut(), remaining);
    }

    /// 500: the request took longer than it may; what it began goes on.
    pub fn timed_out(&self, request_id: Uuid) -> Response<Bytes> {
        self.early(request_id, Problem::timed_out(self.settings.request_time_max))
    }

    /// What was asked for by user and day, as JSON. Who may see it is the server's matter.
    pub fn usage(&self, request_id: Uuid, method: &Method) -> Response<Bytes> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return self.early(request_id, Problem::method(method, "GET, HEAD"));
        }
        let body = self.usage.list().to_string().into_bytes();
        let mut response = response::json(StatusCode::OK, body);
        response::finish(&mut response, &self.settings, request_id, None);
        if *method == Method::HEAD {
            response::drop_body(&mut response);
        }
        response
    }

    /// 503: too much is going on.
    pub fn busy(&self, request_id: Uuid) -> Response<Bytes> {
        self.early(request_id, Problem::busy())
    }

    /// 400: the body ended before it was complete.
    pub fn incomplete(&self, request_id: Uuid) -> Response<Bytes> {
        self.early(request_id, Problem::incomplete())
    }

    /// 500: the service failed; the cause is in the log.
    pub fn unexpected(&self, request_id: Uuid) -> Response<Bytes> {
        self.early(request_id, Problem::unexpected())
    }

    /// 401: there is no token, or it was rejected.
    pub fn unauthorized(&self, request_id: Uuid, challenge: &Challenge<'_>) -> Response<Bytes> {
        let Challenge { authorization_uri, resource_id, rejected } = challenge;
        let error = if *rejected { ", error=\"invalid_token\"" } else { "" };
        let text = format!(
            "Bearer authorization_uri={authorization_uri}, resource_id={resource_id}{error}"
        );
        self.early(request_id, Problem::unauthorized(text, *rejected))
    }

    /// The caller is known, and not let in.
    pub fn forbidden(
        &self,
        request_id: Uuid,
        error: pipeline::Error,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let annotations = request::preferences(headers).include_annotations;
        let mut response = refused(error).response(request_id, annotations.as_ref());
        response::finish(&mut response, &self.settings, request_id, Some(headers));
        response
    }

    /// An answer before the request was read.
    fn early(&self, request_id: Uuid, problem: Problem) -> Response<Bytes> {
        let mut response = problem.response(request_id, None);
        response::finish(&mut response, &self.settings, request_id, None);
        response
    }

    /// Answers a request whose head is understood, alone or as a part of a batch, and counts what was asked for: every target, and one where there are none. A batch counts
    /// by its parts alone.
    pub(crate) async fn answer(&self, mut request: Request) -> Result<Response<Bytes>, Problem> {
        request.parameters.trace();
        let answer = match self.find_acting(&mut request).await {
            Ok(()) => self.bind_and_run(&request).await,
            Err(problem) => Err(problem),
        };
        let is_batch = request.path.segments.first().is_some_and(|first| first.name == "$batch");
        if !is_batch {
            let items = request.items.load(Relaxed).max(1);
            let caller = request.caller;
            self.usage.count(caller.on_behalf_of.unwrap_or(caller.user), request.now, items);
        }
        answer
    }

    async fn bind_and_run(&self, request: &Request) -> Result<Response<Bytes>, Problem> {
        if request.strong {
            self.pipeline.refresh().await.map_err(refused)?;
        }
        for _ in 0..ROUNDS_MAX {
            request.items.store(0, Relaxed);
            match self.bound(request).await {
                Ok(response) => return Ok(response),
                Err(Stop::Problem(problem)) if problem.needs_settings => {
                    self.put_settings(request).await?;
                }
                Err(stop) => self.renew(stop).await?,
            }
        }
        Err(Problem::busy())
    }

    /// Answers a request on the newest definitions, in the place of whom it acts for.
    async fn bound(&self, request: &Request) -> Result<Response<Bytes>, Stop> {
        let mut context = self.context(request.acting(), request.now);
        context.course = request.parameters.course();
        self.pipeline.require(&context, &request.parameters.needs()).await?;
        let attempt = Attempt { pipeline: &self.pipeline, request, context };
        dispatch(&attempt).await
    }

    /// Finds the user that a request acts for.
    async fn find_acting(&self, request: &mut Request) -> Result<(), Problem> {
        let Some(whom) = request.impersonated else { return Ok(()) };
        for _ in 0..ROUNDS_MAX {
            let mut context = self.context(request.caller, request.now);
            match self.act_as(&mut context, Some(whom)).await {
                Ok(()) => {
                    request.act_as(context.caller);
                    return Ok(());
                }
                Err(stop) => self.renew(stop).await?,
            }
        }
        Err(Problem::busy())
    }

    /// Puts the user into the context that a request acts for.
    pub(crate) async fn act_as(
        &self,
        context: &mut Context,
        impersonated: Option<Impersonated>,
    ) -> Result<(), Stop> {
        if let Some(whom) = impersonated {
            context.caller = self.pipeline.impersonate(context, whom).await?;
        }
        Ok(())
    }

    /// Reads what the caller has set, for a query that asks for it.
    async fn put_settings(&self, request: &Request) -> Result<(), Problem> {
        let context = self.context(request.acting(), request.now);
        match self.pipeline.settings(&context).await {
            // Only the first ones count: a request sees one state.
            Ok(settings) => drop(request.options.context.settings.set(settings)),
            Err(pipeline::Error::StaleCatalog) => {
                self.pipeline.refresh().await.map_err(refused)?;
            }
            Err(error) => return Err(refused(error)),
        }
        Ok(())
    }

    /// The newest snapshot for a request.
    pub(crate) fn context(&self, caller: Caller, now: Timestamp) -> Context {
        Context {
            catalog: self.pipeline.catalog(),
            caller,
            now,
            course: pipeline::Course::default(),
        }
    }

    /// Gets newer definitions if they may let a stopped attempt pass; else its answer.
    pub(crate) async fn renew(&self, stop: Stop) -> Result<(), Problem> {
        match stop {
            Stop::Stale => self.pipeline.refresh().await.map(drop).map_err(refused),
            Stop::Problem(problem) => {
                let newer =
                    problem.unknown_name && self.pipeline.refresh().await.map_err(refused)?;
                if newer { Ok(()) } else { Err(*problem) }
            }
        }
    }
}

pub(crate) fn refused(error: pipeline::Error) -> Problem {
    match error {
        pipeline::Error::Fault(fault) => Problem::from(*fault),
        pipeline::Error::StaleCatalog => Problem::busy(),
    }
}

async fn dispatch(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let route = route::resolve(attempt.request, &attempt.context.catalog)?;
    if !matches!(route, Route::File(..)) {
        attempt.request.refuse_other_kinds()?;
    }
    match route {
        Route::Service => functions::service_document(attempt),
        Route::Model => metadata::model(attempt),
        Route::Collection(table) => records::collection(attempt, &table).await,
        Route::Count(table) => records::count(attempt, &table).await,
        Route::Record(address) => records::record(attempt, &address).await,
        Route::Property(address, column) => records::property(attempt, &address, column).await,
        Route::RawProperty(address, column) => {
            records::raw_property(attempt, &address, column).await
        }
        Route::File(address, column, raw) => {
            records::files::file(attempt, &address, column, raw).await
        }
        Route::Blocks(message) => blocks::call(attempt, message).await,
        Route::Link(address, navigation) => records::link(attempt, &address, &navigation).await,
        Route::Navigated(address, navigation) => {
            records::navigated(attempt, &address, &navigation).await
        }
        Route::Members(address, members) => records::replace(attempt, &address, &members).await,
        Route::MemberLinks(address, members, member) => {
            records::member_links(attempt, &address, &members, member.as_ref()).await
        }
        Route::Bulk(table, message) => bulk::prepare(attempt, &table, message)?.run(attempt).await,
        Route::Metadata(place) => metadata::answer(attempt, place).await,
        Route::Function(function, arguments) => {
            functions::call(attempt, function, &arguments).await
        }
        Route::Operation(operation, arguments) => {
            metadata::operate(attempt, operation, &arguments).await
        }
        Route::BulkDelete => bulk_delete::action(attempt).await,
        Route::Share(sharing) => rights::share(attempt, sharing).await,
        Route::Rights(address, operation, arguments) => {
            rights::call(attempt, &address, operation, &arguments).await
        }
    }
}
