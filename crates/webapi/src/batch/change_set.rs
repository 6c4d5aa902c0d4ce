//! Change sets: operations that are all carried out or none, in one transaction.
//!
//! Every operation is understood before anything runs, each with the addresses of the records before
//! it; ids of new records are given here for that. Then all of them are one message. Rows of elastic
//! tables know no transactions: their writes run after it, one by one.
//! Not here: what a write of one record means (`records`).
//! Invariant: a change set answers one error, or one answer per operation.

use super::Batch;
use super::address::Known;
use crate::api::{Attempt, ROUNDS_MAX, Stop, refused};
use crate::fault::{self, Problem};
use crate::records::{self, Prepared, Shown};
use crate::request::{self, Request};
use crate::route;
use bytes::Bytes;
use http::{Method, Response};
use model::{MessageName, Table, TableKind, TargetKey};
use pipeline::{Context, Message, Reply, RowOutcome, Write};
use std::sync::Arc;
use wire::batch::Operation;

/// Why a change set was not carried out: the operation to blame, and the reason.
struct Failed {
    place: usize,
    stop: Stop,
}

impl Failed {
    /// The same, but not to be tried again: something is written.
    fn at_last(self) -> Self {
        let stop = match self.stop {
            Stop::Stale => Problem::busy().into(),
            Stop::Problem(problem) => Problem { unknown_name: false, ..*problem }.into(),
        };
        Self { stop, ..self }
    }
}

/// An operation that is understood.
struct Ready {
    request: Request,
    shown: Shown,
    table: Arc<Table>,
    /// Its write that is answered, among those of all operations.
    write: usize,
}

impl Batch<'_> {
    /// Answers a change set: one answer per operation, or the one error of the failing one.
    pub(super) async fn change_set<'o>(
        &self,
        operations: &'o [Operation<'o>],
    ) -> Vec<(&'o Operation<'o>, Response<Bytes>)> {
        match self.carry_out(operations).await {
            Ok(responses) => operations.iter().zip(responses).collect(),
            Err((place, problem)) => operations
                .get(place)
                .map(|operation| (operation, self.refused(operation, &problem)))
                .into_iter()
                .collect(),
        }
    }

    async fn carry_out(
        &self,
        operations: &[Operation<'_>],
    ) -> Result<Vec<Response<Bytes>>, (usize, Problem)> {
        let api = self.api;
        let strong = |operation| self.headers(operation).is_ok_and(|it| request::is_strong(&it));
        if let Some(place) = operations.iter().position(strong) {
            api.pipeline.refresh().await.map_err(|error| (place, refused(error)))?;
        }
        for _ in 0..ROUNDS_MAX {
            match self.as_one(operations).await {
                Ok(responses) => return Ok(responses),
                Err(Failed { place, stop }) => {
                    api.renew(stop).await.map_err(|problem| (place, problem))?;
                }
            }
        }
        Err((0, Problem::busy()))
    }

    /// Carries the operations out for the one user that all of them act for.
    async fn as_one(&self, operations: &[Operation<'_>]) -> Result<Vec<Response<Bytes>>, Failed> {
        let failed = |place| move |stop| Failed { place, stop };
        let mut whom = None;
        for (place, operation) in operations.iter().enumerate() {
            let headers = self.headers(operation).map_err(Stop::from).map_err(failed(place))?;
            let own = request::impersonated(&headers).map_err(Stop::from).map_err(failed(place))?;
            if *whom.get_or_insert(own) != own {
                let text = "The operations of a change set cannot act for different users.";
                return Err(Failed { place, stop: Problem::argument(text).into() });
            }
        }
        let mut context = self.api.context(self.incoming.caller, self.incoming.now);
        self.api.act_as(&mut context, whom.flatten()).await.map_err(failed(0))?;
        self.attempt(operations, &context).await
    }

    async fn attempt(
        &self,
        operations: &[Operation<'_>],
        context: &Context,
    ) -> Result<Vec<Response<Bytes>>, Failed> {
        let mut known = Known::default();
        let mut ready = Vec::with_capacity(operations.len());
        let mut writes: Vec<Write> = Vec::with_capacity(operations.len());
        // Per write: the operation that it belongs to.
        let mut places: Vec<usize> = Vec::with_capacity(operations.len());
        for (place, operation) in operations.iter().enumerate() {
            let (request, prepared) = self
                .understand(operation, &known, context)
                .await
                .map_err(|stop| Failed { place, stop })?;
            if let Some(id) = operation.content_id {
                known.extend(subject(&prepared.write).map(|address| (id.to_owned(), address)));
            }
            let table = Arc::clone(&prepared.write.table);
            let (own, answered, shown) = prepared.into_writes();
            ready.push(Ready { request, shown, table, write: writes.len() + answered });
            places.extend(own.iter().map(|_| place));
            writes.extend(own);
        }
        let mut context = context.clone();
        if let Some(first) = ready.first() {
            context.course = first.request.parameters.course();
        }
        let context = &context;
        for (place, one) in ready.iter().enumerate() {
            let course = one.request.parameters.course();
            if (&course.bypass, &course.tag) != (&context.course.bypass, &context.course.tag) {
                let text = "The operations of a change set cannot differ in what they bypass or in their \
                            tag.";
                return Err(Failed { place, stop: Problem::argument(text).into() });
            }
            let needs = one.request.parameters.needs();
            let may = self.api.pipeline.require(context, &needs).await;
            may.map_err(|error| Failed { place, stop: error.into() })?;
        }
        let outcomes = self.write(context, writes).await.map_err(|failed| {
            let place = places.get(failed.place).copied().unwrap_or_default();
            Failed { place, ..failed }
        })?;
        let mut responses = Vec::with_capacity(ready.len());
        for one in &ready {
            let outcomes = outcomes.get(one.write).map_or(&[][..], Vec::as_slice);
            let attempt = self.of(&one.request, context);
            responses.push(one.shown.answer(&attempt, &one.table, outcomes).await);
        }
        Ok(responses)
    }

    fn of<'a>(&'a self, request: &'a Request, context: &Context) -> Attempt<'a> {
        Attempt { pipeline: &self.api.pipeline, request, context: context.clone() }
    }

    /// Everything that can be checked without rows. A new record gets its id.
    async fn understand(
        &self,
        operation: &Operation<'_>,
        known: &Known,
        context: &Context,
    ) -> Result<(Request, Prepared), Stop> {
        if [Method::GET.as_str(), Method::HEAD.as_str()].contains(&operation.method) {
            return Err(Problem::uri("GET requests are not allowed in a change set.").into());
        }
        let request = self.request(operation, known)?;
        let route = route::resolve(&request, &context.catalog)?;
        request.refuse_other_kinds()?;
        let mut prepared = records::prepare(&self.of(&request, context), &route).await?;
        if prepared.write.name == MessageName::Create
            && let [target] = prepared.write.targets.as_mut_slice()
            && target.key == TargetKey::None
        {
            target.key = TargetKey::Id(self.new_id());
        }
        Ok((request, prepared))
    }

    /// Runs the writes; answers the outcomes of each.
    async fn write(
        &self,
        context: &Context,
        writes: Vec<Write>,
    ) -> Result<Vec<Vec<RowOutcome>>, Failed> {
        let mut outcomes: Vec<Vec<RowOutcome>> = vec![Vec::new(); writes.len()];
        let (elastic, standard): (Vec<_>, Vec<_>) = writes
            .into_iter()
            .enumerate()
            .partition(|(_, write)| write.table.kind == TableKind::Elastic);
        let (places, standard): (Vec<usize>, Vec<Write>) = standard.into_iter().unzip();
        let counts: Vec<usize> = standard.iter().map(|write| write.targets.len()).collect();
        if !standard.is_empty() {
            let message = Message::WriteAll(standard);
            let mut written = self.run(context, message, &places).await?.into_iter();
            for (place, count) in places.iter().zip(counts) {
                if let Some(slot) = outcomes.get_mut(*place) {
                    slot.extend(written.by_ref().take(count));
                }
            }
        }
        let mut is_written = !places.is_empty();
        for (place, write) in elastic {
            let ran = self.run(context, Message::Write(write), &[place]).await;
            let written =
                ran.map_err(|failed| if is_written { failed.at_last() } else { failed })?;
            is_written = true;
            if let Some(slot) = outcomes.get_mut(place) {
                *slot = written;
            }
        }
        Ok(outcomes)
    }

    /// Runs a message of the writes at these places.
    async fn run(
        &self,
        context: &Context,
        message: Message,
        places: &[usize],
    ) -> Result<Vec<RowOutcome>, Failed> {
        let place_of = |write: Option<usize>| places.get(write.unwrap_or(0)).copied().unwrap_or(0);
        // Only a bulk message is carried out in part, and each is a message of its own.
        let name = match &message {
            Message::Write(write) => write.name,
            _ => MessageName::UpdateMultiple,
        };
        match self.api.pipeline.run(context, message).await {
            Ok(Reply::Written(outcomes)) => Ok(outcomes),
            Ok(Reply::Partly(partly)) => {
                let problem = fault::partly(name, partly);
                Err(Failed { place: place_of(None), stop: problem.into() })
            }
            Ok(
                Reply::Followed(_)
                | Reply::Deleted(_)
                | Reply::Page(_)
                | Reply::Walked(_)
                | Reply::Defined(_),
            ) => {
                tracing::error!("a change set was not answered with outcomes");
                let stop = Problem::unexpected().into();
                Err(Failed { place: place_of(None), stop })
            }
            Err(error) => {
                let write = match &error {
                    pipeline::Error::Fault(fault) => fault.write,
                    pipeline::Error::StaleCatalog => None,
                };
                Err(Failed { place: place_of(write), stop: error.into() })
            }
        }
    }
}

/// The address that stands for the record of a write; none for a bulk message.
fn subject(write: &Write) -> Option<String> {
    let [target] = write.targets.as_slice() else { return None };
    if write.name.is_bulk() || target.key == TargetKey::None {
        return None;
    }
    let mut address = String::new();
    let key = records::addressed(&write.table, target);
    wire::reference::write(&mut address, &write.table, &key);
    Some(address)
}
