//! What one run of a step gets, and what comes out of it.
//!
//! Not here: who decides that it runs, and what becomes of the answer.
//! Invariant: images and targets are aligned: the i-th entry of an image is that of the i-th target.

use super::size::Counted;
use super::{Cells, Mode, Seat, Stage, Step};
use model::{ColumnIndex, Fault, KeyValue, MessageName, Table, Timestamp, Uuid, Value};
use std::sync::Arc;
use std::time::Duration;

/// What one run of a step gets.
#[derive(Clone, Debug)]
pub struct StepCall {
    /// The step, with its handler and both configurations.
    pub step: Arc<Step>,
    /// The definitions that all columns here are those of.
    pub catalog: Arc<model::Catalog>,
    /// What a handler sees of this message, without the targets.
    pub frame: Frame,
    /// Whether the targets have columns.
    pub operand: Operand,
    /// `Target` (one record) or `Targets` (all of them), as earlier steps left them.
    pub targets: Vec<Record>,
    /// Rows as they were before the operation.
    pub pre_images: Vec<Image>,
    /// Rows as they are after it.
    pub post_images: Vec<Image>,
    /// `OutputParameters`; empty before the operation.
    pub output: Vec<Parameter>,
    /// The contexts around this one, the nearest first.
    pub parents: Vec<Arc<Frame>>,
    /// Which record of the message sent the run is about, from 0; none where it is about all of them.
    pub record: Option<usize>,
    /// The message's own time.
    pub now: Timestamp,
    /// How long the run may take.
    pub remaining: Duration,
    /// The place that the message from outside has taken, also for what its steps have sent.
    pub seat: Option<Seat>,
    /// Its size, once that was asked for.
    pub counted: Counted,
}

impl StepCall {
    /// Whether `Targets` stands in the context, and not `Target`.
    pub fn is_bulk(&self) -> bool {
        self.frame.message.is_bulk()
    }
}

/// One context of a message: what does not depend on the step that sees it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The message that the context is about: that of the step, not the one sent.
    pub message: MessageName,
    /// The table.
    pub table: Arc<Table>,
    /// The record of a single message; nil for a bulk one, and for a new record that has no id yet.
    pub primary_id: Uuid,
    /// 10, 20 or 40; 30 for the context around those of a message.
    pub stage: i32,
    /// Whether the request waits for it.
    pub mode: Mode,
    /// 1 for what comes from outside, one more for what a step of that calls.
    pub depth: u32,
    /// Whether what the step writes is undone with the message.
    pub is_in_transaction: bool,
    /// Who is meant.
    pub users: Users,
    /// `OrganizationId`.
    pub organization: Uuid,
    /// One for a request from outside and everything that it causes.
    pub correlation: Uuid,
    /// One for each message.
    pub request: Uuid,
    /// The job of an asynchronous run; nil for others.
    pub operation: Uuid,
    /// When that job was made; for others, the message's own time.
    pub operation_created_on: Timestamp,
    /// The step that sees or has made the context: its id; nil around the first message.
    pub step: Uuid,
    /// `InputParameters` but for `Target` and `Targets`.
    pub input: Vec<Parameter>,
    /// `SharedVariables`.
    pub shared: Vec<Parameter>,
    /// What the caller sent, for contexts around others; empty in the innermost one.
    pub sent: Arc<[Record]>,
}

/// The users of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    /// Whose rights the step's calls use.
    pub user: Uuid,
    /// Who sent the request, after impersonation.
    pub initiating: Uuid,
    /// Whose token the request had.
    pub authenticated: Uuid,
    /// The business unit of the calling user.
    pub business_unit: Uuid,
}

/// What targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// Records with columns.
    Entity,
    /// References: an id and no columns.
    Reference,
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its id; none for a new one that has no id yet.
    pub id: Option<Uuid>,
    /// The alternate key that names it, where that could not be turned into an id.
    pub key: Option<KeyValue>,
    /// Its columns. Where the id is known, the primary key is among them.
    pub cells: Cells,
    /// Values of a query that are not columns of its table: by alias.
    pub aliased: Vec<(Box<str>, Value)>,
    /// The version that it has, or must have.
    pub version: Option<i64>,
}

impl Record {
    /// The value of a column, if the record names the column.
    pub fn get(&self, column: ColumnIndex) -> Option<&Value> {
        self.cells.get(column)
    }
}

/// One image of all targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The name under which a handler looks it up.
    pub alias: Box<str>,
    /// One per target; none where the row is not there. Columns without a value are left out.
    pub rows: Vec<Option<Record>>,
}

/// One entry of a collection of a context. Names are compared with case.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Box<str>,
    /// Its value.
    pub value: ParameterValue,
}

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// One value.
    One(Value),
    /// Several ids: `Ids`.
    Ids(Vec<Uuid>),
    /// Records of one table.
    Records(Arc<Table>, Vec<Record>),
    /// Money; in a parameter there is no column that says so.
    Money(model::Decimal),
    /// A choice; in a parameter there is no column that says so.
    Choice(i32),
    /// Bytes.
    Bytes(Arc<[u8]>),
}

/// A change of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct CellChange {
    /// Place of the target in the call, from 0.
    pub target: usize,
    /// The column.
    pub column: ColumnIndex,
    /// Its new value; none takes the column off the target.
    pub value: Option<Value>,
}

/// A change of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterChange {
    /// Its name.
    pub name: Box<str>,
    /// Its new value; none takes it away.
    pub value: Option<ParameterValue>,
}

/// What a run that succeeded changes. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepAnswer {
    /// Of the targets, in order.
    pub targets: Vec<CellChange>,
    /// Of `InputParameters`, in order.
    pub input: Vec<ParameterChange>,
    /// Of `OutputParameters`, in order.
    pub output: Vec<ParameterChange>,
    /// Of `SharedVariables`, in order.
    pub shared: Vec<ParameterChange>,
}

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What it changes, or why it failed.
    pub answer: Result<StepAnswer, StepFault>,
    /// What it traced, in order, also where it failed.
    pub trace: Vec<Box<str>>,
    /// How long it took to make ready what runs; part of neither budget nor answer.
    pub preparing: Duration,
}

impl Ran {
    /// A run that succeeded without a trace.
    pub fn with(answer: StepAnswer) -> Self {
        Self { answer: Ok(answer), trace: Vec::new(), preparing: Duration::ZERO }
    }

    /// A run that failed without a trace.
    pub fn failed(fault: StepFault) -> Self {
        Self { answer: Err(fault), trace: Vec::new(), preparing: Duration::ZERO }
    }
}

/// Why a run failed.
#[derive(Clone, Debug)]
pub enum StepFault {
    /// It refuses the message: its text is for the caller.
    Refused {
        /// The text; empty for the usual one.
        message: String,
        /// What is to become of the operation.
        status: OperationStatus,
        /// A code of the step's own.
        sub_error_code: i32,
        /// The status of the answer, where it is not the usual one.
        http_status: Option<u16>,
        /// Further details for the caller.
        details: Vec<(Box<str>, String)>,
    },
    /// It passed on a fault that its service gave it in this run. The runner has checked that it did.
    PassedOn(Box<Fault>),
    /// It failed in a way that is for the log only.
    Unexpected(String),
    /// It crashed, or gave back what makes no sense; the text is for the log.
    Crashed(String),
    /// It wanted more memory than it may have.
    MemoryLimit,
    /// It took too long.
    TimeLimit,
    /// The component is not there or cannot be loaded; the text is for the log.
    NotLoadable(String),
    /// The component has no such type.
    TypeMissing,
    /// Nothing that runs it became free in time.
    NoneFree,
    /// Nothing here runs steps of its kind.
    Disabled,
    /// A webhook failed: its own code, with the text for the caller and the one for the log.
    Webhook {
        /// The code.
        code: model::ErrorCode,
        /// The text for the caller.
        message: String,
        /// The text for the log.
        log: String,
    },
}

/// What a step that refuses says about the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// It failed.
    Failed,
    /// It is cancelled.
    Canceled,
    /// An asynchronous step wants to run again.
    Retry,
    /// It is suspended.
    Suspended,
    /// It succeeded.
    Succeeded,
}

impl OperationStatus {
    /// The number that callers see.
    pub fn number(self) -> i32 {
        match self {
            Self::Failed => 0,
            Self::Canceled => 1,
            Self::Retry => 2,
            Self::Suspended => 3,
            Self::Succeeded => 4,
        }
    }
}

impl Stage {
    /// Whether a step of this stage may change what is written.
    pub fn changes_targets(self) -> bool {
        matches!(self, Self::PreValidation | Self::PreOperation)
    }
}
