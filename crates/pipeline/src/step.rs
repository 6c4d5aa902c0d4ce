//! Steps: custom code that runs between the stages of a message, and the door to whoever runs it.
//!
//! In reading order: this file (a registered step and the door [`StepRunner`]), `call` (what a run gets and
//! gives back), `cells` (of its records), `service` (what a running step may ask of the service), `plan` (which steps run, and in which
//! order), `course` (how a message came about), `size` (of what a run gets).
//! Not here: how components and webhooks are run (another crate, behind the door).
//! Invariant: everything that crosses the door is typed and bound to one catalog; there are no bytes of any
//! encoding in it but a component's own.

mod call;
mod cells;
pub(crate) mod course;
pub mod plan;
mod service;
mod size;

pub use call::{
    CellChange, Frame, Image, Operand, OperationStatus, Parameter, ParameterChange, ParameterValue,
    Ran, Record, StepAnswer, StepCall, StepFault, Users,
};
pub use cells::Cells;
pub use course::Course;
pub use service::{As, CallOptions, QueryText, Records, Service, ServiceReply, ServiceRequest};
pub use size::Counted;

use async_trait::async_trait;
use model::{MessageName, TableId, Uuid};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// A place to run steps, as its runner knows it.
pub type Seat = Arc<dyn Any + Send + Sync>;

/// Runs steps: a WebAssembly host with a sender of webhooks, or plain functions in tests.
///
/// One per process. What it is given does not outlive the run: a [`Service`] that is asked later answers a
/// fault.
#[async_trait]
pub trait StepRunner: Send + Sync + 'static {
    /// Runs one step once.
    ///
    /// Errors are part of what came out, for what was traced before them is kept. The future may take as
    /// long as [`StepCall::remaining`]; the pipeline gives up on it then, whatever it does.
    async fn run(&self, call: StepCall, service: Arc<dyn Service>) -> Ran;

    /// Takes a place for all steps of one message from outside, before it begins a transaction: whoever holds one
    /// never waits for another, so messages that wait for each other's rows never wait for places, too. It is handed
    /// over with every [`StepCall`] of the message and let go at its end.
    ///
    /// Errors: none became free in time.
    async fn enter(&self, _wait_max: Duration) -> Result<Seat, StepFault> {
        Ok(Arc::new(()))
    }

    /// Looks into a component before it is stored: the types that it offers.
    ///
    /// Errors: why it cannot be taken, in words for whoever registers it.
    async fn inspect(&self, component: Arc<[u8]>) -> Result<Vec<OfferedType>, String>;

    /// Looks at a webhook before it is stored: the form of what it authenticates with.
    ///
    /// Errors: what is wrong with it, without the secret.
    fn check_endpoint(&self, _endpoint: &Endpoint) -> Result<(), String> {
        Ok(())
    }

    /// Whether it can run handlers of this kind. A step with another one is refused at registration.
    fn runs(&self, kind: HandlerKind) -> bool;

    /// How long all synchronous steps of a request may take together.
    fn time_max(&self) -> Duration {
        TIME_MAX
    }

    /// Bytes of one hand-over at most.
    fn context_bytes_max(&self) -> u64 {
        CONTEXT_BYTES_MAX
    }
}

/// How long all synchronous steps of a request may take together, where nobody says otherwise (plugins.md 2.10.4).
pub const TIME_MAX: Duration = Duration::from_secs(120);

/// Bytes of one hand-over at most, where nobody says otherwise: 116.85 MB (plugins.md 2.10.1).
pub const CONTEXT_BYTES_MAX: u64 = 122_526_105;

/// A type that a component offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedType {
    /// `typename`.
    pub name: Box<str>,
    /// `friendlyname`.
    pub friendly_name: Box<str>,
    /// What it does.
    pub description: Box<str>,
}

/// One registered step: a row of `sdkmessageprocessingstep` with what it points to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `sdkmessageprocessingstepid`.
    pub id: Uuid,
    /// `name`.
    pub name: Box<str>,
    /// The message that it is registered for; single or bulk.
    pub message: MessageName,
    /// The table; none means every table of the message.
    pub table: Option<TableId>,
    /// `sdkmessagefilterid`; nil where there is none.
    pub filter: Uuid,
    /// When it runs.
    pub stage: Stage,
    /// Whether the request waits for it.
    pub mode: Mode,
    /// Its place among the steps of one stage, lowest first.
    pub rank: i32,
    /// Logical names of columns of which one must be in the target; empty means always. Lower case.
    pub filtering: Vec<Box<str>>,
    /// What it gets besides the target.
    pub images: Vec<StepImage>,
    /// What it runs.
    pub handler: Handler,
    /// The unsecure configuration.
    pub configuration: Option<Box<str>>,
    /// The secure configuration. Not to be logged.
    pub secure_configuration: Option<Box<str>>,
    /// Whose rights its calls use; none means the caller's.
    pub impersonating: Option<Uuid>,
    /// Whether callers may skip it.
    pub can_be_bypassed: bool,
    /// Whether the job of an asynchronous run is deleted after success.
    pub job_is_deleted: bool,
}

/// An image of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepImage {
    /// The name under which a handler looks it up.
    pub alias: Box<str>,
    /// Whether it is wanted as it was before the operation.
    pub before: bool,
    /// Whether it is wanted as it is afterwards.
    pub after: bool,
    /// Logical names of its columns; empty means all. Lower case.
    pub columns: Vec<Box<str>>,
}

/// When a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Before the transaction and before privileges are checked.
    PreValidation,
    /// In the transaction, before the rows are written.
    PreOperation,
    /// In the transaction, after the rows are written; asynchronous steps after the commit.
    PostOperation,
}

impl Stage {
    /// All stages, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::PreValidation, Self::PreOperation, Self::PostOperation];

    /// The number that contexts and rows show.
    pub fn number(self) -> i32 {
        match self {
            Self::PreValidation => 10,
            Self::PreOperation => 20,
            Self::PostOperation => 40,
        }
    }

    /// The stage of a number that steps may be registered for.
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.number() == number)
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PreValidation => "PreValidation",
            Self::PreOperation => "PreOperation",
            Self::PostOperation => "PostOperation",
        })
    }
}

/// Whether a request waits for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does.
    Synchronous,
    /// It does not: a job runs the step later.
    Asynchronous,
}

/// What a step runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Handler {
    /// A type of a component.
    Type(PluginType),
    /// A webhook.
    Endpoint(Endpoint),
}

impl Handler {
    /// Which kind it is.
    pub fn kind(&self) -> HandlerKind {
        match self {
            Self::Type(_) => HandlerKind::Component,
            Self::Endpoint(_) => HandlerKind::Webhook,
        }
    }

    /// Its row: `plugintypeid` or `serviceendpointid`.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Type(of) => of.id,
            Self::Endpoint(of) => of.id,
        }
    }

    /// What traces call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Type(of) => &of.name,
            Self::Endpoint(of) => &of.name,
        }
    }
}

/// The kinds of handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandlerKind {
    /// A type of a WebAssembly component.
    Component,
    /// A webhook.
    Webhook,
}

/// A type of a component: a row of `plugintype` with its assembly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginType {
    /// `plugintypeid`.
    pub id: Uuid,
    /// `typename`.
    pub name: Box<str>,
    /// The component.
    pub assembly: Arc<Assembly>,
}

/// A component: a row of `pluginassembly` without its bytes, which [`Service::component`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    /// `pluginassemblyid`.
    pub id: Uuid,
    /// `name`.
    pub name: Box<str>,
    /// `version`.
    pub version: Box<str>,
    /// `culture`.
    pub culture: Box<str>,
    /// `publickeytoken`.
    pub public_key_token: Box<str>,
    /// `sourcehash`: SHA-256 of the bytes in lower-case hexadecimal digits. Other bytes, another hash.
    pub hash: Box<str>,
}

/// A webhook: a row of `serviceendpoint`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `serviceendpointid`.
    pub id: Uuid,
    /// `name`.
    pub name: Box<str>,
    /// `url`.
    pub url: Box<str>,
    /// `authtype`: 4 webhook key, 5 headers, 6 query.
    pub auth_type: i32,
    /// `authvalue`. Not to be logged.
    pub auth_value: Option<Box<str>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the secret nor the query of the address, which may hold one.
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("auth_type", &self.auth_type)
            .finish_non_exhaustive()
    }
}

/// A runner for services without one: it runs nothing, so no step can be registered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRunner;

#[async_trait]
impl StepRunner for NoRunner {
    async fn run(&self, _: StepCall, _: Arc<dyn Service>) -> Ran {
        Ran::failed(StepFault::Disabled)
    }

    async fn inspect(&self, _: Arc<[u8]>) -> Result<Vec<OfferedType>, String> {
        Err("this service runs no components".to_owned())
    }

    fn runs(&self, _: HandlerKind) -> bool {
        false
    }
}
