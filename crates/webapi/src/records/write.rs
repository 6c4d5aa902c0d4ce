//! Writing single records: a bulk of one each. First prepared, then run alone or in a change set.
//!
//! Source: bulk.md 3.2 and 4.3, webapi.md 12 and 14.
//! Invariant: what the answer needs is checked before anything is written; after the write only a
//! read may fail, and then the answer is the one without a body.

use super::parties::{self, Parties};
use super::{deep, partition, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::request::Guard;
use crate::response;
use crate::route::Address;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{MessageName, Table, TableKind, Target, TargetKey};
use pipeline::{Condition, Context, Message, Partly, Reply, RowOutcome, Write};
use query::odata;
use std::sync::Arc;
use wire::etag::ETag;

/// A version that no row has: a condition on it fails for every row that exists.
const NO_VERSION: i64 = i64::MIN;

/// A write that is understood and checked as far as that goes without rows, and how it is answered.
pub(crate) struct Prepared {
    /// Writes that come before it, in the same transaction: records that it points to.
    pub(crate) before: Vec<Write>,
    pub(crate) write: Write,
    /// Writes that come after it: records that point to it.
    pub(crate) after: Vec<Write>,
    pub(crate) shown: Shown,
}

/// What the answer to a write shows.
pub(crate) enum Shown {
    /// Nothing.
    Nothing,
    /// Nothing, not even the state of an elastic table.
    Deleted,
    /// The address of the record that was made in this partition, or the record.
    Made(Option<Box<str>>),
    /// The address as the caller wrote it, with the partition that the body names, or the record.
    Address(Address, Option<Box<str>>),
    /// The ids of a bulk message.
    Ids,
}

/// `POST /set`
pub(crate) fn create(attempt: &Attempt<'_>, table: &Arc<Table>) -> Result<Prepared, Problem> {
    check_options(attempt, table)?;
    let catalog = &attempt.context.catalog;
    let record = wire::targets::decode_new(&attempt.request.body, table, catalog)
        .map_err(|err| fault::of_wire(err, Payload::of(MessageName::Create, table)))?;
    let in_body = partition::of_target(table, &record.target);
    let shown = Shown::Made(in_body);
    if record.nested.is_empty() {
        return Ok(Prepared::of_one(table, MessageName::Create, record.target, shown));
    }
    Ok(deep::prepare(attempt, record, shown))
}

/// `PATCH /set(key)`, and `PUT`.
///
/// Awaits a read where an activity gets other parties, and nothing else.
pub(crate) async fn change(attempt: &Attempt<'_>, address: &Address) -> Result<Prepared, Stop> {
    let (mut prepared, parties) = change_at_once(attempt, address)?;
    if let Some(parties) = parties {
        parties.prepare(attempt, address, &mut prepared).await?;
    }
    Ok(prepared)
}

fn change_at_once(
    attempt: &Attempt<'_>,
    address: &Address,
) -> Result<(Prepared, Option<Parties>), Problem> {
    let table = &address.table;
    check_options(attempt, table)?;
    let (name, condition, expected_version) = guarded(attempt, table)?;
    let (mut target, parties) = match parties::decode(attempt, table) {
        Some((target, parties)) => (target, Some(parties)),
        None => (decode(attempt, table, name)?, None),
    };
    match (&target.key, &address.key) {
        (TargetKey::Id(body), TargetKey::Id(url)) if body != url => {
            return Err(Problem::argument(format!(
                "The primary key in the body, {body}, is not the one in the request URI, {url}."
            )));
        }
        (TargetKey::Id(_), TargetKey::Alternate(_)) => {
            return Err(Problem::not_implemented(
                "A primary key in the body of a request that names its record by an alternate key",
            ));
        }
        _ => {}
    }
    // An update by alternate key cannot change that key: its columns in the body do not count.
    // (An upsert decides so once it knows whether the record exists.)
    if let (MessageName::Update, TargetKey::Alternate(key)) = (name, &address.key) {
        let columns = &table.key(key.key).columns;
        target.cells.retain(|cell| !columns.contains(&cell.column));
        target.binds.retain(|bind| !columns.contains(&bind.column));
    }
    target.key = address.key.clone();
    target.expected_version = expected_version;
    let in_body = partition::of_target(table, &target);
    let shown = Shown::Address(address.clone(), in_body);
    let mut prepared = Prepared::of_one(table, name, target, shown);
    prepared.write.condition = condition;
    Ok((prepared, parties))
}

/// `DELETE /set(key)`
pub(crate) fn delete(attempt: &Attempt<'_>, address: &Address) -> Result<Prepared, Problem> {
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let table = &address.table;
    let expected_version = expected_version(attempt, table)?;
    let key = partition::scoped(attempt, address).key.clone();
    let target = Target { key, expected_version, ..Target::default() };
    Ok(Prepared::of_one(table, MessageName::Delete, target, Shown::Deleted))
}

/// The version that a record which is there in any case must have.
pub(super) fn expected_version(
    attempt: &Attempt<'_>,
    table: &Table,
) -> Result<Option<i64>, Problem> {
    let request = attempt.request;
    let version = match request.if_match {
        Guard::None | Guard::Tag(ETag::Any) => None,
        Guard::Blank => return Err(Problem::version_missing()),
        Guard::Tag(ETag::Version(version)) => Some(version),
        Guard::Tag(ETag::Other) => Some(NO_VERSION),
    };
    if version.is_some() && !table.optimistic_concurrency {
        return Err(Problem::concurrency_not_enabled(table));
    }
    if let Guard::Tag(_) | Guard::Blank = request.if_none_match {
        return Err(Problem::not_implemented(format_args!(
            "The header 'If-None-Match' on {} of '{}'",
            request.method, request.uri
        )));
    }
    Ok(version)
}

impl Prepared {
    /// A write of one target without a condition on its existence.
    pub(super) fn of_one(
        table: &Arc<Table>,
        name: MessageName,
        target: Target,
        shown: Shown,
    ) -> Self {
        let (table, targets) = (Arc::clone(table), vec![target]);
        Self::of_write(Write { name, table, targets, condition: Condition::Any }, shown)
    }

    /// A write that stands alone.
    pub(crate) fn of_write(write: Write, shown: Shown) -> Self {
        Self { before: Vec::new(), write, after: Vec::new(), shown }
    }

    /// All of its writes in order, and the place of the one that is answered.
    pub(crate) fn into_writes(self) -> (Vec<Write>, usize, Shown) {
        let Self { before: mut writes, write, after, shown } = self;
        let place = writes.len();
        writes.push(write);
        writes.extend(after);
        (writes, place, shown)
    }

    /// Runs it and answers.
    pub(crate) async fn run(self, attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
        let (mut writes, place, shown) = self.into_writes();
        let counts: Vec<usize> = writes.iter().map(|write| write.targets.len()).collect();
        let first: usize = counts.iter().take(place).sum();
        let Some(write) = writes.get(place) else { return Err(Problem::unexpected().into()) };
        let (name, table, count) = (write.name, Arc::clone(&write.table), write.targets.len());
        let message = match (writes.len(), writes.pop()) {
            (1, Some(write)) => Message::Write(write),
            (_, last) => Message::WriteAll(writes.into_iter().chain(last).collect()),
        };
        match attempt.run(message).await? {
            Reply::Written(outcomes) if outcomes.len() == counts.iter().sum::<usize>() => {
                let own = outcomes.get(first..first + count).unwrap_or_default();
                return Ok(shown.answer(attempt, &table, own).await);
            }
            Reply::Partly(partly) => return Err(shown.partly(attempt, name, &table, partly)),
            Reply::Written(_)
            | Reply::Followed(_)
            | Reply::Deleted(_)
            | Reply::Page(_)
            | Reply::Walked(_)
            | Reply::Defined(_) => {}
        }
        tracing::error!(%name, "a write was not answered with one outcome per target");
        Err(Problem::unexpected().into())
    }
}

impl Shown {
    /// The answer to a write that is done.
    pub(crate) async fn answer(
        &self,
        attempt: &Attempt<'_>,
        table: &Arc<Table>,
        outcomes: &[RowOutcome],
    ) -> Response<Bytes> {
        let mut response = self.answer_of(attempt, table, outcomes).await;
        if self.tells_session() {
            partition::put_session(attempt, table, &mut response);
        }
        response
    }

    /// The answer to a bulk message of which some targets failed.
    pub(crate) fn partly(
        &self,
        attempt: &Attempt<'_>,
        name: MessageName,
        table: &Table,
        partly: Partly,
    ) -> Stop {
        let mut problem = fault::partly(name, partly);
        problem.session = partition::session(attempt, table).filter(|_| self.tells_session());
        problem.into()
    }

    /// Deletes tell no state of an elastic table.
    fn tells_session(&self) -> bool {
        !matches!(self, Self::Deleted)
    }

    async fn answer_of(
        &self,
        attempt: &Attempt<'_>,
        table: &Arc<Table>,
        outcomes: &[RowOutcome],
    ) -> Response<Bytes> {
        match (self, outcomes) {
            (Self::Ids, _) => {
                let mut body = Vec::new();
                let ids = outcomes.iter().map(|outcome| outcome.id);
                wire::record::write_ids(&mut body, &attempt.request.root, ids);
                response::json(StatusCode::OK, body)
            }
            (Self::Made(in_body), [outcome]) => {
                let key = TargetKey::Id(outcome.id);
                let address = Address { table: Arc::clone(table), key };
                let address = partition::written(&address, outcome.id, in_body.as_deref());
                answer(attempt, &address, *outcome).await
            }
            (Self::Address(address, in_body), [outcome]) => {
                let written = match table.kind {
                    TableKind::Standard => address.clone(),
                    TableKind::Elastic => {
                        partition::written(address, outcome.id, in_body.as_deref())
                    }
                };
                answer(attempt, &written, *outcome).await
            }
            (Self::Nothing | Self::Deleted | Self::Made(_) | Self::Address(..), _) => {
                response::empty(StatusCode::NO_CONTENT)
            }
        }
    }
}

/// Message, condition and version that the conditions of the head stand for.
fn guarded(
    attempt: &Attempt<'_>,
    table: &Table,
) -> Result<(MessageName, Condition, Option<i64>), Problem> {
    let request = attempt.request;
    let must_not_exist = match request.if_none_match {
        Guard::None => false,
        Guard::Tag(ETag::Any) => true,
        Guard::Blank | Guard::Tag(ETag::Version(_) | ETag::Other) => {
            return Err(Problem::not_implemented(
                "A version in the header 'If-None-Match' of a write",
            ));
        }
    };
    let version = match request.if_match {
        Guard::None if must_not_exist => {
            return Ok((MessageName::Upsert, Condition::MustNotExist, None));
        }
        Guard::None => return Ok((MessageName::Upsert, Condition::Any, None)),
        Guard::Blank => return Err(Problem::version_missing()),
        Guard::Tag(ETag::Any) => None,
        Guard::Tag(ETag::Version(version)) => Some(version),
        Guard::Tag(ETag::Other) => Some(NO_VERSION),
    };
    if version.is_some() && !table.optimistic_concurrency {
        return Err(Problem::concurrency_not_enabled(table));
    }
    // It must exist and must not: no row passes.
    let version = if must_not_exist { Some(NO_VERSION) } else { version };
    Ok((MessageName::Update, Condition::Any, version))
}

/// Understands the options before anything is written.
fn check_options(attempt: &Attempt<'_>, table: &Arc<Table>) -> Result<(), Problem> {
    let never = query::Filter::Or(Vec::new());
    let options = &attempt.request.options;
    odata::parse_single(&attempt.context.catalog, table, options, never)
        .map(drop)
        .map_err(fault::of_query)
}

fn decode(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    message: MessageName,
) -> Result<Target, Problem> {
    let catalog = &attempt.context.catalog;
    wire::targets::decode_record(&attempt.request.body, table, catalog)
        .map_err(|err| fault::of_wire(err, Payload::of(message, table)))
}

/// 204 with the address, or the record when it was asked for.
async fn answer(attempt: &Attempt<'_>, address: &Address, outcome: RowOutcome) -> Response<Bytes> {
    let absolute = address.absolute(&attempt.request.root);
    if !attempt.request.prefer.return_representation {
        return response::written(&absolute);
    }
    match representation(attempt, address, outcome).await {
        Ok(mut response) => {
            response::put_address(&mut response, &absolute);
            let mut applied = vec!["return=representation".to_owned()];
            applied.extend(read::applied_annotations(attempt));
            response::put_applied(&mut response, &applied);
            response
        }
        // The record is written; that it could not be read back must not look like a failure.
        Err(_) => response::written(&absolute),
    }
}

/// Reads back what was written, on newer definitions if need be.
async fn representation(
    attempt: &Attempt<'_>,
    address: &Address,
    outcome: RowOutcome,
) -> Result<Response<Bytes>, Stop> {
    let status = if outcome.created { StatusCode::CREATED } else { StatusCode::OK };
    let key = match address.table.kind {
        TableKind::Standard => TargetKey::Id(outcome.id),
        TableKind::Elastic => address.key.clone(),
    };
    let by_id = Address { table: Arc::clone(&address.table), key };
    match read_back(attempt, &by_id, status).await {
        Err(Stop::Stale) => {
            attempt.pipeline.refresh().await?;
            let catalog = attempt.pipeline.catalog();
            let Some(table) = catalog.table_by_id(address.table.id) else {
                return Err(Stop::Stale);
            };
            let by_id = Address { table: Arc::clone(table), key: by_id.key };
            let context = Context { catalog, ..attempt.context.clone() };
            let again = Attempt { context, ..*attempt };
            read_back(&again, &by_id, status).await
        }
        read => read,
    }
}

async fn read_back(
    attempt: &Attempt<'_>,
    address: &Address,
    status: StatusCode,
) -> Result<Response<Bytes>, Stop> {
    let (parsed, page) = read::fetch(attempt, address).await?;
    read::represent(attempt, status, &parsed, &page).await
}
