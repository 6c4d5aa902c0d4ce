//! What a running step may ask of the service.
//!
//! Not here: how it is answered: in the transaction of the message that the step belongs to,
//! where there is one, and one level deeper.
//! Invariant: a fault that is answered here is one that the caller of the message may see, too.

use super::Record;
use crate::message::Write;
use async_trait::async_trait;
use model::{ColumnIndex, Fault, Table, TargetKey, Uuid};
use std::sync::Arc;
use std::time::Duration;
use store::RowOutcome;

/// The service, as one running step has it.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Executes a message: single or bulk, with its own steps, one level deeper.
    ///
    /// One at a time: a second call waits for the first. Errors: the fault. A write that failed inside a
    /// transaction dooms it: every later call fails, and the message does, too, whatever the step answers.
    async fn execute(
        &self,
        request: ServiceRequest,
        options: CallOptions,
    ) -> Result<ServiceReply, Fault>;

    /// How long the run may still take, by the service's clock. Zero when its time is over.
    fn remaining(&self) -> Duration;

    /// The bytes of the step's component. For a runner that has not seen them yet.
    async fn component(&self) -> Result<Arc<[u8]>, Fault>;
}

/// A message of a step.
#[derive(Clone, Debug)]
pub enum ServiceRequest {
    /// Create, Update, Upsert, Delete or a bulk form.
    Write(Write),
    /// One record.
    Retrieve {
        /// The table.
        table: Arc<Table>,
        /// Which record.
        key: TargetKey,
        /// The columns; empty means all.
        columns: Vec<ColumnIndex>,
    },
    /// Records of a query.
    RetrieveMultiple(QueryText),
}

/// The text of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryText {
    /// FetchXML.
    FetchXml(String),
    /// An entity set with OData options: `accounts?$select=name`.
    OData(String),
}

/// How a message of a step is executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Whose rights count.
    pub caller: As,
    /// Synchronous steps are skipped. Needs the privilege to do so.
    pub bypass_synchronous: bool,
    /// Asynchronous steps are skipped. Needs the privilege to do so.
    pub bypass_asynchronous: bool,
    /// The shared variable `tag`.
    pub tag: Option<Box<str>>,
}

/// Whose rights count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum As {
    /// Those of the step's user.
    #[default]
    User,
    /// Those of who sent the request.
    Initiating,
    /// The service's own.
    System,
    /// Those of another user.
    Other(Uuid),
}

/// What a message of a step answers.
#[derive(Clone, Debug)]
pub enum ServiceReply {
    /// One outcome per target, in order.
    Written(Vec<RowOutcome>),
    /// The records found; of a Retrieve exactly one.
    Records(Records),
}

/// Records of a query.
#[derive(Clone, Debug)]
pub struct Records {
    /// The table that was asked.
    pub table: Arc<Table>,
    /// The records. Columns without a value are left out.
    pub records: Vec<Record>,
    /// Whether there are more.
    pub more: bool,
    /// What asks for the next ones; empty where there are none.
    pub cookie: String,
    /// How many there are in all, where it was asked for.
    pub total: Option<u64>,
}
