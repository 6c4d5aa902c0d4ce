//! What guests call: messages and queries, asked of the service in the transaction of the message.
//!
//! In: flat lists of a guest. Out: flat lists, or a fault as a value. Not here: how a message is executed (the
//! pipeline, behind [`crate::guest::Calls`]).
//! Invariant: nothing that a guest passes traps it or the service; what is wrong with it is a fault that it gets.

use crate::bindings::sheaf::plugin::organization_service::{
    Caller, Host, Options, Page, Query, UpsertOutcome,
};
use crate::bindings::sheaf::plugin::types::{Fault as FlatFault, Guid, Payload};
use crate::codec::read::{Error as ReadError, Reader};
use crate::codec::write::Writer;
use crate::codec::{halves, joined};
use crate::guest::{Run, State};
use model::{Catalog, ColumnIndex, Failure, Fault, MessageName, Table, Target, TargetKey, code};
use pipeline::step::{As, CallOptions, QueryText, Records, ServiceReply, ServiceRequest};
use pipeline::{Condition, RowOutcome, Write};
use std::sync::Arc;

/// A call that nobody waits for any more: it ends the guest.
#[derive(Debug, thiserror::Error)]
#[error("the run was given up")]
struct GivenUp;

/// What a guest gets for a call, or the end of it.
type Answer<T> = wasmtime::Result<Result<T, FlatFault>>;

/// Why a call is not answered: by a fault, or not at all.
enum Failed {
    Fault(Box<Fault>),
    GivenUp,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// The number of a fault's code as guests see it.
pub(crate) fn code_of(fault: &Fault) -> i32 {
    fault.code.0.cast_signed()
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(code::INVALID_ARGUMENT, message)
}

fn of_reading(error: ReadError, is_bulk: bool) -> Fault {
    match error {
        ReadError::Malformed(malformed) => invalid(malformed.to_string()),
        ReadError::Refused { refused, .. } if !is_bulk => Fault::new(
            refused.code,
            match refused.column {
                Some(column) => format!("{} ({column})", refused.message),
                None => refused.message,
            },
        ),
        ReadError::Refused { index, refused } => Fault::of_targets(vec![Failure {
            index,
            column: refused.column,
            id: None,
            code: refused.code,
            message: refused.message,
        }]),
    }
}

impl State {
    /// Answers a call of the run in this instance: a fault goes to the guest and is remembered.
    fn answer<T>(&mut self, call: impl FnOnce(&mut Run) -> Result<T, Failed>) -> Answer<T> {
        let Some(run) = &mut self.run else {
            let message = "There is no service while types are listed.".to_owned();
            return Ok(Err(FlatFault {
                code: code_of(&invalid("")),
                message,
                details: Vec::new(),
            }));
        };
        match call(run) {
            Ok(answer) => Ok(Ok(answer)),
            Err(Failed::GivenUp) => Err(GivenUp.into()),
            Err(Failed::Fault(fault)) => {
                let flat = FlatFault {
                    code: code_of(&fault),
                    message: fault.text(),
                    details: details(&fault),
                };
                // A guest may ask for ever what is refused: as many as it can tell apart are enough.
                if run.handed.len() < HANDED_MAX {
                    run.handed.push(*fault);
                }
                Ok(Err(flat))
            }
        }
    }
}

/// Faults of one run that it may pass on.
const HANDED_MAX: usize = 1_000;

fn details(fault: &Fault) -> Vec<(String, String)> {
    let mut details: Vec<(String, String)> =
        fault.details.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    if let Some(first) = fault.failures.first() {
        details.push(("failedRecordIndex".to_owned(), first.index.to_string()));
        if let Some(id) = first.id {
            details.push(("failedRecordId".to_owned(), id.to_string()));
        }
    }
    details
}

impl Run {
    fn options(&self, options: Options) -> Result<CallOptions, Failed> {
        let caller = match options.caller {
            Caller::User => As::User,
            Caller::InitiatingUser => As::Initiating,
            Caller::System if self.is_trusted => As::System,
            Caller::System => {
                let text = "The assembly is not trusted to act as the system.";
                return Err(Fault::new(code::PRIVILEGE_DENIED, text).into());
            }
            Caller::AsUser(user) => As::Other(joined(user)),
        };
        Ok(CallOptions {
            caller,
            bypass_synchronous: options.bypass_sync,
            bypass_asynchronous: options.bypass_async,
            tag: options.tag.map(Into::into),
        })
    }

    fn execute(
        &mut self,
        request: ServiceRequest,
        options: Options,
    ) -> Result<ServiceReply, Failed> {
        let options = self.options(options)?;
        match self.calls.execute(request, options) {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(fault)) => Err(fault.into()),
            None => Err(Failed::GivenUp),
        }
    }

    /// Writes the rows of `batches[0]`; answers an outcome for each.
    fn write(
        &mut self,
        name: MessageName,
        rows: &Payload,
        options: Options,
    ) -> Result<Vec<RowOutcome>, Failed> {
        let (table, targets) = operand(&self.catalog, rows, name.is_bulk())?;
        let count = targets.len();
        let write = Write { name, table, targets, condition: Condition::Any };
        match self.execute(ServiceRequest::Write(write), options)? {
            ServiceReply::Written(outcomes) if outcomes.len() == count => Ok(outcomes),
            ServiceReply::Written(_) | ServiceReply::Records(_) => Err(unanswered().into()),
        }
    }

    fn records(&mut self, request: ServiceRequest, options: Options) -> Result<Records, Failed> {
        match self.execute(request, options)? {
            ServiceReply::Records(records) => Ok(records),
            ServiceReply::Written(_) => Err(unanswered().into()),
        }
    }
}

/// The service answered something else than was asked.
fn unanswered() -> Fault {
    Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        .with_log("a call of a step was answered by what it does not ask for")
}

/// The rows of `batches[0]`, of a single message exactly one.
fn operand(
    catalog: &Catalog,
    rows: &Payload,
    is_bulk: bool,
) -> Result<(Arc<Table>, Vec<Target>), Failed> {
    let read = Reader::new(catalog, rows).targets(0);
    let (table, targets) = read.map_err(|error| of_reading(error, is_bulk))?;
    match is_bulk || targets.len() == 1 {
        true => Ok((table, targets)),
        false => {
            let text = format!("A single message takes exactly one row, not {}.", targets.len());
            Err(invalid(text).into())
        }
    }
}

fn columns_of(table: &Table, names: &[String]) -> Result<Vec<ColumnIndex>, Failed> {
    let columns = names.iter().map(|name| {
        table.index_of(name).ok_or_else(|| {
            let text = format!(
                "'{}' entity doesn't contain attribute with Name = '{name}'.",
                table.logical_name
            );
            Fault::new(code::QUERY_BUILDER_NO_ATTRIBUTE, text).into()
        })
    });
    columns.collect()
}

fn payload_of(catalog: &Catalog, records: &Records) -> Payload {
    let mut writer = Writer::new(catalog);
    writer.batch(&records.table, records.records.iter().map(Some));
    writer.finish()
}

fn one(outcomes: Vec<RowOutcome>) -> Result<RowOutcome, Failed> {
    outcomes.into_iter().next().ok_or_else(|| unanswered().into())
}

fn upserted(outcome: &RowOutcome) -> UpsertOutcome {
    UpsertOutcome { id: halves(outcome.id), created: outcome.created }
}

impl Host for State {
    fn create(&mut self, row: Payload, opts: Options) -> Answer<Guid> {
        self.answer(|run| Ok(halves(one(run.write(MessageName::Create, &row, opts)?)?.id)))
    }

    fn update(&mut self, row: Payload, opts: Options) -> Answer<()> {
        self.answer(|run| run.write(MessageName::Update, &row, opts).map(drop))
    }

    fn upsert(&mut self, row: Payload, opts: Options) -> Answer<UpsertOutcome> {
        self.answer(|run| Ok(upserted(&one(run.write(MessageName::Upsert, &row, opts)?)?)))
    }

    fn delete(&mut self, row: Payload, opts: Options) -> Answer<()> {
        self.answer(|run| run.write(MessageName::Delete, &row, opts).map(drop))
    }

    fn retrieve(&mut self, row: Payload, columns: Vec<String>, opts: Options) -> Answer<Payload> {
        self.answer(|run| {
            let (table, targets) = operand(&run.catalog, &row, false)?;
            let columns = columns_of(&table, &columns)?;
            let key = match targets.into_iter().next().map(|target| target.key) {
                None | Some(TargetKey::None) => {
                    return Err(invalid("The row to retrieve has neither an id nor a key.").into());
                }
                Some(key) => key,
            };
            let records = run.records(ServiceRequest::Retrieve { table, key, columns }, opts)?;
            match records.records.len() {
                1 => Ok(payload_of(&run.catalog, &records)),
                _ => Err(unanswered().into()),
            }
        })
    }

    fn retrieve_multiple(&mut self, query: Query, opts: Options) -> Answer<Page> {
        self.answer(|run| {
            let text = match query {
                Query::FetchXml(text) => QueryText::FetchXml(text),
                Query::Odata(text) => QueryText::OData(text),
            };
            let records = run.records(ServiceRequest::RetrieveMultiple(text), opts)?;
            let total = records.total.map_or(-1, |total| i32::try_from(total).unwrap_or(i32::MAX));
            Ok(Page {
                data: payload_of(&run.catalog, &records),
                more: records.more,
                cookie: records.cookie,
                total,
            })
        })
    }

    fn create_multiple(&mut self, rows: Payload, opts: Options) -> Answer<Vec<Guid>> {
        self.answer(|run| {
            let outcomes = run.write(MessageName::CreateMultiple, &rows, opts)?;
            Ok(outcomes.iter().map(|outcome| halves(outcome.id)).collect())
        })
    }

    fn update_multiple(&mut self, rows: Payload, opts: Options) -> Answer<()> {
        self.answer(|run| run.write(MessageName::UpdateMultiple, &rows, opts).map(drop))
    }

    fn upsert_multiple(&mut self, rows: Payload, opts: Options) -> Answer<Vec<UpsertOutcome>> {
        self.answer(|run| {
            let outcomes = run.write(MessageName::UpsertMultiple, &rows, opts)?;
            Ok(outcomes.iter().map(upserted).collect())
        })
    }

    fn delete_multiple(&mut self, rows: Payload, opts: Options) -> Answer<()> {
        self.answer(|run| run.write(MessageName::DeleteMultiple, &rows, opts).map(drop))
    }
}
