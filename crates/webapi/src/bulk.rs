//! The bulk actions: one message with many targets.
//!
//! Source: bulk.md 1 and 3.3. Options other than `tag` mean nothing here and are ignored, as is
//! `Prefer: return=representation`. Not here: limits, defaults, duplicates (`pipeline`).

use crate::api::Attempt;
use crate::fault::{self, Payload, Problem};
use crate::records::{Prepared, Shown};
use http::Method;
use model::{MessageName, Table};
use pipeline::{Condition, Write};
use std::sync::Arc;
use wire::targets::{ConcurrencyBehavior, TargetList};

/// `POST /set/Microsoft.Dynamics.CRM.CreateMultiple` and its like.
pub(crate) fn prepare(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    name: MessageName,
) -> Result<Prepared, Problem> {
    match attempt.request.method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri)),
        _ => return Err(attempt.only("POST")),
    }
    let catalog = &attempt.context.catalog;
    let mut list = wire::targets::decode(&attempt.request.body, name, table, catalog)
        .map_err(|err| fault::of_wire(err, Payload::of(name, table)))?;
    if list.concurrency.is_some() && name != MessageName::UpdateMultiple {
        let parameter = wire::Error::UnknownParameter { name: "ConcurrencyBehavior".to_owned() };
        return Err(fault::of_wire(parameter, Payload::of(name, table)));
    }
    settle_versions(&mut list, name, table)?;
    let write =
        Write { name, table: Arc::clone(table), targets: list.targets, condition: Condition::Any };
    let shown = match name {
        MessageName::CreateMultiple => Shown::Ids,
        MessageName::DeleteMultiple => Shown::Deleted,
        _ => Shown::Nothing,
    };
    Ok(Prepared::of_write(write, shown))
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
