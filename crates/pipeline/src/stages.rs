//! Runs a message with its steps: around the one write path, stage by stage.
//!
//! In: a message whose events steps wait for. Out: its reply, or a fault, and then nothing of it is kept.
//! In reading order: this file (the stages of one message), `scene` (its records as steps see and change
//! them, pure), `turn` (one run of one step), `resolve` (what records are meant), `images` (rows as they
//! were and are), `calls` (what a running step sends), `elastic` (the stages of a message on an elastic table).
//! Not here: which steps run ([`crate::step::plan`]), the write itself ([`crate::run`]).
//! Source: plugins.md 1, 2. Invariant: a message without steps never comes here; what is written goes
//! through [`Pipeline::write`], with and without steps.

mod calls;
mod change;
mod elastic;
mod images;
mod queue;
mod resolve;
mod scene;
mod stored;
mod turn;

use crate::available;
use crate::fault;
use crate::message::{Reply, Write};
use crate::rights::{Access, guard};
use crate::run::{Authority, Context, Error, Pipeline};
use crate::step::course::{Beginning, Course, Transaction, Within, clock, until};
use crate::step::plan::{self, StagePlan, StepTable};
use crate::step::{self, Seat, Stage, StepRunner};
use crate::trace::Log;
use crate::write;
use model::{Fault, MessageName, Uuid};
pub use queue::{JobEnd, JobRun};
use scene::Scene;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use store::RowOutcome;
use tokio::sync::OnceCell;

/// Who runs steps, and the way back for what they send.
pub(crate) struct Steps {
    pub(crate) pipeline: Weak<Pipeline>,
    pub(crate) runner: Arc<dyn StepRunner>,
}

impl Pipeline {
    /// Connects who runs steps. Before that no step can be registered, and a message that one waits for
    /// fails. The first one stays.
    pub fn run_steps_with(self: &Arc<Self>, runner: Arc<dyn StepRunner>) {
        let steps = Steps { pipeline: Arc::downgrade(self), runner };
        if self.steps.set(steps).is_err() {
            tracing::warn!("steps have somebody who runs them already");
        }
    }

    /// The plan of a message of so many targets on a table: which steps would run, in which order. A
    /// message that is an Upsert on a standard table is planned as what it would be for a new and for an
    /// existing record.
    pub async fn explain(
        &self,
        context: &Context,
        name: MessageName,
        table: &Arc<model::Table>,
        targets: usize,
    ) -> Result<Vec<StagePlan>, Error> {
        let steps = self.step_table(&context.catalog).await?;
        let names = plan::events_of(name, table.kind);
        let plan = |message: &MessageName| {
            let event = plan::Event { message: *message, records: (0..targets).collect() };
            plan::plan(*message, table, vec![event], &steps, &context.course.bypass)
        };
        Ok(names.iter().map(plan).collect())
    }

    /// Runs writes with the steps that wait for them; without any, they are one set of operations.
    pub(crate) async fn write_with_steps(
        &self,
        context: &Context,
        access: &Access,
        messages: Vec<Write>,
        authority: Authority,
    ) -> Result<Reply, Error> {
        let steps = self.step_table(&context.catalog).await?;
        let concerns = |message: &Write| steps.concerns(message.name, &message.table);
        if !messages.iter().any(concerns) {
            return self.write(context, messages, authority).await;
        }
        let staged = self.staged(context, access, &steps, authority).await;
        let done = match <[Write; 1]>::try_from(messages) {
            Ok([message]) => Box::pin(staged.one(context, message)).await.map(Reply::Written),
            Err(messages) => Box::pin(staged.several(context, messages)).await,
        };
        if context.course.within.is_none() {
            self.keep_traces(context, &staged.log).await;
        }
        done
    }

    /// What the messages of one call share.
    async fn staged<'a>(
        &'a self,
        context: &Context,
        access: &'a Access,
        steps: &'a StepTable,
        authority: Authority,
    ) -> Staged<'a> {
        let over_at = match &context.course.within {
            Some(within) => within.over_at,
            None => clock() + self.step_time_max(),
        };
        // What a step sends runs in the place of its message.
        let seat = match &context.course.within {
            Some(within) => OnceCell::new_with(Some(within.seat.clone())),
            None => OnceCell::new(),
        };
        let log = self.log(context).await;
        let correlation = match &context.course.within {
            Some(within) => within.correlation,
            None => self.new_ids(1, context.now)[0],
        };
        Staged { pipeline: self, access, authority, steps, over_at, seat, log, correlation }
    }

    /// Whether anything here runs steps. Where nothing does, jobs of steps are left to other nodes.
    pub fn runs_steps(&self) -> bool {
        self.steps.get().is_some()
    }

    /// How long all synchronous steps of a request, or the run of a job, may take.
    pub fn step_time_max(&self) -> Duration {
        self.steps.get().map_or(step::TIME_MAX, |steps| steps.runner.time_max())
    }

    fn context_bytes_max(&self) -> u64 {
        let steps = self.steps.get();
        steps.map_or(step::CONTEXT_BYTES_MAX, |steps| steps.runner.context_bytes_max())
    }

    /// Where runs of a message are traced: with those of the message around.
    async fn log(&self, context: &Context) -> Arc<Log> {
        match &context.course.within {
            Some(within) => within.log.clone(),
            None => Arc::new(Log::with(self.trace_setting(context).await)),
        }
    }
}

/// What the messages of one call share.
struct Staged<'a> {
    pipeline: &'a Pipeline,
    access: &'a Access,
    /// On whose behalf: the service's own where a job deletes and counts.
    authority: Authority,
    steps: &'a StepTable,
    over_at: Instant,
    /// The place of the steps: that of the message around, or taken once.
    seat: OnceCell<Option<Seat>>,
    /// What their runs have traced.
    log: Arc<Log>,
    /// One for a request from outside, however many messages it has.
    correlation: Uuid,
}

impl Staged<'_> {
    /// The same message inside a transaction.
    fn inside(&self, context: &Context, transaction: &Transaction) -> Context {
        let mut within = match &context.course.within {
            Some(within) => Within::clone(within),
            None => Within {
                transaction: None,
                depth: 1,
                correlation: self.correlation,
                authenticated: context.caller.on_behalf_of.unwrap_or(context.caller.user),
                parents: Vec::new(),
                over_at: self.over_at,
                seat: None,
                log: self.log.clone(),
            },
        };
        within.transaction = Some(transaction.clone());
        let course = Course { within: Some(Arc::new(within)), ..context.course.clone() };
        Context { course, ..context.clone() }
    }

    /// The place of the steps, taken before there is a transaction: whoever waits for one holds nothing that
    /// others wait for.
    async fn seat(&self) -> Result<Option<Seat>, Error> {
        let Some(steps) = self.pipeline.steps.get() else { return Ok(None) };
        let take = || async { steps.runner.enter(until(self.over_at)).await.map(Some) };
        let taken = self.seat.get_or_try_init(take).await;
        taken.cloned().map_err(|_| fault::no_place_for_steps().into())
    }

    /// Several messages in one transaction, one after the other.
    async fn several(&self, context: &Context, messages: Vec<Write>) -> Result<Reply, Error> {
        self.seat().await?;
        let own = match context.course.transaction() {
            Some(_) => None,
            None => Some(self.begin(context, false).await?),
        };
        let context = match &own {
            Some(transaction) => &self.inside(context, transaction),
            None => context,
        };
        let mut outcomes = Vec::new();
        let mut ran = false;
        for (place, message) in messages.into_iter().enumerate() {
            let written = match self.steps.concerns(message.name, &message.table) {
                true => {
                    ran = true;
                    self.one(context, message).await
                }
                false => self.plainly(context, message).await,
            };
            outcomes.extend(written.map_err(|error| match error {
                Error::StaleCatalog if ran => moved().into(),
                Error::StaleCatalog => Error::StaleCatalog,
                Error::Fault(fault) => fault.of_write(place).into(),
            })?);
        }
        if let Some(transaction) = own {
            transaction.commit().await.map_err(|error| settled(error, ran))?;
        }
        Ok(Reply::Written(outcomes))
    }

    /// One message without steps, in its place.
    async fn plainly(&self, context: &Context, message: Write) -> Result<Vec<RowOutcome>, Error> {
        match self.pipeline.write(context, vec![message], self.authority).await? {
            Reply::Written(outcomes) => Ok(outcomes),
            _ => unreachable!("a write answers outcomes"),
        }
    }

    /// A transaction for messages: one that begins with its first use, where nothing is found out by beginning
    /// at once.
    async fn begin(&self, context: &Context, ran: bool) -> Result<Transaction, Error> {
        let (store, catalog) = (self.pipeline.shared_store(), context.catalog.clone());
        let beginning = Beginning { store, catalog, over_at: self.over_at };
        if beginning.store.is_present(&beginning.catalog) {
            return Ok(Transaction::later(beginning));
        }
        match beginning.begin().await {
            Ok(tx) => Ok(Transaction::of(tx)),
            Err(error) => Err(settled(crate::run::not_about_rows(error), ran)),
        }
    }

    /// One message with its steps.
    async fn one(&self, context: &Context, mut message: Write) -> Result<Vec<RowOutcome>, Error> {
        let pipeline = self.pipeline;
        available::refuse(&pipeline.unavailable, &message)?;
        write::refuse_by_table(&message, self.authority)?;
        let bypass = &context.course.bypass;
        if resolve::plans_nothing(&message, self.steps, bypass) {
            return self.plainly(context, message).await.map_err(alone);
        }
        let resolved = match pipeline.resolve(context, &mut message).await? {
            resolve::Resolution::Good(resolved) => resolved,
            // Some target is refused whatever steps do: the store says which, and keeps nothing.
            resolve::Resolution::Refused => return self.refused(context, message).await,
        };
        let plan = resolved.plan(&message, self.steps, bypass);
        if plan.is_empty() {
            return self.plainly(context, message).await.map_err(alone);
        }
        let request = pipeline.new_ids(1, context.now)[0];
        let mut scene = Scene::new(
            context,
            pipeline.organization(),
            message,
            resolved,
            (plan, self.over_at, self.log.clone()),
            (request, self.correlation),
        );
        scene.seat = self.seat().await?;
        let ran = scene.plan.has(Stage::PreValidation);
        self.stage(context, &mut scene, Stage::PreValidation).await?;
        for (event, of) in scene.plan.events.iter().enumerate() {
            let (what, asked) = ((of.message, &*scene.table), scene.asked(event));
            let checked = guard::privileges_of(self.access, &context.catalog, what, asked);
            checked.map_err(alone_fault)?;
        }
        let own = match context.course.transaction() {
            Some(_) => None,
            None => Some(self.begin(context, ran).await?),
        };
        let inner = match &own {
            Some(transaction) => &self.inside(context, transaction),
            None => context,
        };
        scene.is_in_transaction = true;
        scene.add_system_columns(inner, pipeline.organization());
        self.stage(inner, &mut scene, Stage::PreOperation).await?;
        let read = self.pipeline.read_before(inner, &mut scene).await;
        read.map_err(|error| settled(error, true))?;
        // What no step has read or written anything around is a write like any other.
        let stands_alone = match &own {
            Some(transaction) => scene.is_one_write() && transaction.is_waiting().await,
            None => false,
        };
        self.main(if stands_alone { context } else { inner }, &mut scene).await?;
        self.stage(inner, &mut scene, Stage::PostOperation).await?;
        self.queue(inner, &mut scene).await.map_err(|error| settled(alone(error), true))?;
        if let Some(transaction) = own {
            transaction.commit().await.map_err(|error| settled(error, true))?;
        }
        Ok(scene.outcomes())
    }

    /// The main operation: what steps have made of the targets goes the way of every write.
    async fn main(&self, context: &Context, scene: &mut Scene) -> Result<(), Error> {
        for event in 0..scene.plan.events.len() {
            let write = scene.write(event);
            let written = self.plainly(context, write).await;
            let written = written.map_err(|error| scene.placed(event, settled(alone(error), true)));
            scene.written(event, written?);
        }
        Ok(())
    }

    /// Runs the synchronous steps of a stage.
    async fn stage(&self, context: &Context, scene: &mut Scene, stage: Stage) -> Result<(), Error> {
        if !scene.plan.has(stage) {
            return Ok(());
        }
        let plan = Arc::clone(&scene.plan);
        for run in plan.runs(stage) {
            let ran = self.pipeline.turn(context, scene, &run).await;
            ran.map_err(|error| settled(error, true))?;
        }
        Ok(())
    }

    /// A message that the store must refuse: in a transaction that is never committed.
    async fn refused(&self, context: &Context, message: Write) -> Result<Vec<RowOutcome>, Error> {
        let transaction = match context.course.transaction() {
            Some(transaction) => transaction.clone(),
            None => self.begin(context, false).await?,
        };
        let context = self.inside(context, &transaction);
        let written = self.plainly(&context, message).await.map_err(alone);
        transaction.doom().await;
        match written {
            Err(error) => Err(error),
            // What was in its way is gone by now.
            Ok(_) => Err(fault::of_engine(store::Error::Busy).into()),
        }
    }
}

/// The error of one message alone: there are no others to tell it from.
fn alone(error: Error) -> Error {
    match error {
        Error::Fault(fault) => alone_fault(*fault).into(),
        stale @ Error::StaleCatalog => stale,
    }
}

fn alone_fault(fault: Fault) -> Fault {
    Fault { write: None, ..fault }
}

/// Definitions that move on behind the first step cannot be bound anew: no step runs twice.
fn settled(error: Error, ran: bool) -> Error {
    match error {
        Error::StaleCatalog if ran => moved().into(),
        error => error,
    }
}

fn moved() -> Fault {
    fault::definitions_moved()
}
