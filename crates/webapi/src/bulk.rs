//! The bulk actions: one message with many targets.
//!
//! Source: bulk.md 1 and 3.3. Options other than `tag` mean nothing here and are ignored, as is
//! `Prefer: return=representation`. Not here: limits, defaults, duplicates (`pipeline`).

use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::records::{put_session, session};
use crate::response;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{MessageName, Table};
use pipeline::{Condition, Message, Reply, RowOutcome, Write};
use std::sync::Arc;
use wire::targets::{ConcurrencyBehavior, TargetList};

/// `POST /set/Microsoft.Dynamics.CRM.CreateMultiple` and its like.
pub(crate) async fn action(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    name: MessageName,
) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri).into()),
        _ => return Err(attempt.only("POST").into()),
    }
    let catalog = &attempt.context.catalog;
    let mut list = wire::targets::decode(&attempt.request.body, name, table, catalog)
        .map_err(|err| fault::of_wire(err, Payload::of(name, table)))?;
    if list.concurrency.is_some() && name != MessageName::UpdateMultiple {
        let parameter = wire::Error::UnknownParameter { name: "ConcurrencyBehavior".to_owned() };
        return Err(fault::of_wire(parameter, Payload::of(name, table)).into());
    }
    settle_versions(&mut list, name, table)?;
    let message =
        Write { name, table: Arc::clone(table), targets: list.targets, condition: Condition::Any };
    let outcomes = match attempt.run(Message::Write(message)).await? {
        Reply::Written(outcomes) => outcomes,
        Reply::Partly(outcomes) => {
            let mut problem = fault::partly(name, outcomes);
            problem.session = session(attempt, table).filter(|_| tells_session(name));
            return Err(problem.into());
        }
        Reply::Page(_) | Reply::Defined(_) => {
            tracing::error!(%name, "a write was not answered with outcomes");
            return Err(Problem::unexpected().into());
        }
    };
    let mut response = match name {
        MessageName::CreateMultiple => ids(attempt, &outcomes),
        _ => response::empty(StatusCode::NO_CONTENT),
    };
    if tells_session(name) {
        put_session(attempt, table, &mut response);
    }
    Ok(response)
}

/// Deletes tell no state of an elastic table.
fn tells_session(name: MessageName) -> bool {
    name != MessageName::DeleteMultiple
}

fn ids(attempt: &Attempt<'_>, outcomes: &[RowOutcome]) -> Response<Bytes> {
    let mut body = Vec::new();
    let ids = outcomes.iter().map(|outcome| outcome.id);
    wire::record::write_ids(&mut body, &attempt.request.root, ids);
    response::json(StatusCode::OK, body)
}

/// Keeps the versions that are to be compared (bulk.md 3.3).
fn settle_versions(list: &mut TargetList, name: MessageName, table: &Table) -> Result<(), Problem> {
    let compared = match (name, list.concurrency) {
        (MessageName::UpdateMultiple, Some(ConcurrencyBehavior::IfRowVersionMatches)) => {
            if !table.optimistic_concurrency {
                return Err(Problem::concurrency_not_enabled(table));
            }
            if list.targets.iter().any(|target| target.expected_version.is_none()) {
                return Err(Problem::version_missing());
            }
            true
        }
        (MessageName::UpdateMultiple, Some(ConcurrencyBehavior::AlwaysOverwrite)) => false,
        (MessageName::UpdateMultiple | MessageName::DeleteMultiple, _) => {
            table.optimistic_concurrency
        }
        _ => false,
    };
    if !compared {
        for target in &mut list.targets {
            target.expected_version = None;
        }
    }
    Ok(())
}
