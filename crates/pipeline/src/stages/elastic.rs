//! The stages of one message on an elastic table.
//!
//! There is no transaction: what a step writes stays, and what a step refuses behind the write is written. Before
//! the write a bulk step refuses the whole message, a single step its record alone; records that have failed are
//! left out of everything that comes later, for both forms.
//! Not here: the write itself ([`Pipeline::write_elastic_targets`]), which targets name the same record (`resolve`).
//! Source: plugins.md 2.8, 2.5.6; bulk.md 1.9. Invariant: each row is written at most once, by one call of the store.

use super::images::{self, Rows};
use super::scene::{Live, Scene};
use super::{Staged, resolve, settled};
use crate::available;
use crate::elastic::repeated;
use crate::fault;
use crate::message::{Condition, Partly, Reply, Write};
use crate::rights::{Access, guard};
use crate::run::{Authority, Context, Error, Pipeline};
use crate::step::plan::Run;
use crate::step::{Parameter, ParameterValue, Record, Stage, StepImage};
use model::{
    Cell, ColumnIndex, Failure, Fault, LookupValue, MessageName, Table, Target, TargetKey, Uuid,
    Value, code, partition,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::RowOutcome;
use store::elastic::ElasticKey;

impl Pipeline {
    /// Writes targets of an elastic table with the steps that wait for them.
    pub(crate) async fn write_elastic_with_steps(
        &self,
        context: &Context,
        access: &Access,
        message: Write,
    ) -> Result<Reply, Error> {
        let steps = self.step_table(&context.catalog).await?;
        if !steps.concerns(message.name, &message.table) {
            return self.write_elastic(context, access, message).await;
        }
        let staged = self.staged(context, access, &steps, Authority::Caller).await;
        let done = Box::pin(staged.elastic(context, message)).await;
        if context.course.within.is_none() {
            self.keep_traces(context, &staged.log).await;
        }
        done
    }

    /// The rows of a message's records, one read for all of them.
    pub(super) async fn elastic_rows_of(
        &self,
        context: &Context,
        scene: &Scene,
        wants: impl Fn(&StepImage) -> bool,
    ) -> Result<Rows, Error> {
        let table = &scene.table;
        let columns = images::columns_of(scene, wants);
        let named = |live: &Live| match live.failed {
            Some(_) => None,
            None => key_of(table, &live.record),
        };
        let keys: Vec<Option<ElasticKey>> = scene.records.iter().map(named).collect();
        let asked: Vec<ElasticKey> = keys.iter().flatten().cloned().collect();
        let mut found = self.elastic_rows(context, table, &asked).await?.into_iter();
        let mut image = |key: &Option<ElasticKey>| {
            let id = key.as_ref()?.id;
            let row = found.next()??;
            let values = columns.iter().map(|column| row[usize::from(column.0)].clone());
            let row: Vec<Value> = std::iter::once(Value::Guid(id)).chain(values).collect();
            Some(images::record(table, &columns, id, &row))
        };
        Ok(keys.iter().map(&mut image).collect())
    }
}

impl Staged<'_> {
    /// One message with its steps.
    async fn elastic(&self, context: &Context, mut message: Write) -> Result<Reply, Error> {
        let pipeline = self.pipeline;
        available::refuse(&pipeline.unavailable, &message)?;
        let bypass = &context.course.bypass;
        if message.targets.is_empty() || resolve::plans_nothing(&message, self.steps, bypass) {
            return pipeline.write_elastic(context, self.access, message).await;
        }
        let condition = message.condition;
        let resolved = pipeline.resolve_elastic(context, &mut message).await?;
        let plan = resolved.plan(&message, self.steps, bypass);
        let request = pipeline.new_ids(1, context.now)[0];
        let mut scene = Scene::new(
            context,
            pipeline.organization(),
            message,
            resolved,
            (plan, self.over_at, self.log.clone()),
            (request, self.correlation),
        );
        scene.is_in_transaction = false;
        scene.seat = self.seat().await?;
        let mut partly = Partly::default();
        let ran = scene.plan.has(Stage::PreValidation);
        self.each(context, &mut scene, Stage::PreValidation, &mut partly).await?;
        for (event, of) in scene.plan.events.iter().enumerate() {
            let (what, asked) = ((of.message, &*scene.table), scene.asked(event));
            guard::privileges_of(self.access, &context.catalog, what, asked)?;
        }
        scene.add_system_columns(context, pipeline.organization());
        self.each(context, &mut scene, Stage::PreOperation, &mut partly).await?;
        let ran = ran || scene.plan.has(Stage::PreOperation);
        let read = pipeline.read_before(context, &mut scene).await;
        read.map_err(|error| settled(error, ran))?;
        let (write, records) = scene.elastic_write(condition);
        if !records.is_empty() {
            let name = write.name;
            let written = pipeline.write_elastic_targets(context, self.access, write).await;
            let outcomes = written.map_err(|error| settled(error, ran))?;
            scene.take_outcomes(name, records, outcomes)?;
        }
        self.each(context, &mut scene, Stage::PostOperation, &mut partly).await?;
        self.queue(context, &mut scene).await.map_err(|error| settled(error, true))?;
        Ok(scene.reply(partly))
    }

    /// Runs the synchronous steps of a stage for the records that are left.
    async fn each(
        &self,
        context: &Context,
        scene: &mut Scene,
        stage: Stage,
        partly: &mut Partly,
    ) -> Result<(), Error> {
        if !scene.plan.has(stage) {
            return Ok(());
        }
        let plan = Arc::clone(&scene.plan);
        for run in plan.runs(stage) {
            if scene.is_left_out(&run) {
                continue;
            }
            match self.pipeline.turn(context, scene, &run).await {
                Ok(()) => {}
                Err(Error::Fault(fault)) => scene.part(&run, *fault, partly)?,
                Err(stale @ Error::StaleCatalog) => return Err(settled(stale, true)),
            }
        }
        Ok(())
    }
}

impl Scene {
    /// Takes a failed run as that of its records alone.
    ///
    /// Errors: it is that of the whole message.
    fn part(&mut self, run: &Run<'_>, fault: Fault, partly: &mut Partly) -> Result<(), Error> {
        let is_behind = run.stage == Stage::PostOperation;
        if !self.plan.message.is_bulk() || (!is_behind && is_of_the_message(run, &fault)) {
            return Err(fault.into());
        }
        for record in self.records_of(run) {
            let failure = Failure {
                index: self.target(record),
                column: fault.failures.first().and_then(|failure| failure.column.clone()),
                id: self.records[record].record.id,
                code: fault.code,
                message: fault.message.clone(),
            };
            if is_behind {
                partly.written.insert(failure.index);
            }
            self.fail(record, failure);
        }
        if is_behind && run.record.is_none() {
            partly.said = Some(Box::new(fault));
        }
        Ok(())
    }

    fn fail(&mut self, record: usize, failure: Failure) {
        self.records[record].failed = Some(failure);
        self.has_failed = true;
    }

    /// What is to be written now, of the records that are left, and which those are.
    fn elastic_write(&self, condition: Condition) -> (Write, Vec<usize>) {
        let is_left = |record: &usize| self.records[*record].failed.is_none();
        let records: Vec<usize> = (0..self.records.len()).filter(is_left).collect();
        // Of a delete steps change nothing.
        let deletes =
            matches!(self.plan.message, MessageName::Delete | MessageName::DeleteMultiple);
        let target = |record: &usize| match &self.records[*record] {
            live if deletes => live.target.clone(),
            live => live.target(self.table.primary_key, live.record.cells.clone()),
        };
        let targets = records.iter().map(target).collect();
        let (name, table) = (self.plan.message, self.table.clone());
        (Write { name, table, targets, condition }, records)
    }

    /// Takes what was written.
    ///
    /// Errors: the only target of a single message was not.
    fn take_outcomes(
        &mut self,
        name: MessageName,
        records: Vec<usize>,
        outcomes: Vec<Result<RowOutcome, Failure>>,
    ) -> Result<(), Error> {
        let key = self.table.primary_key;
        let deletes = matches!(name, MessageName::Delete | MessageName::DeleteMultiple);
        for (record, outcome) in records.into_iter().zip(outcomes) {
            let target = self.target(record);
            match outcome {
                Ok(outcome) => {
                    let live = &mut self.records[record];
                    live.outcome = Some(outcome);
                    live.record.id = Some(outcome.id);
                    if !deletes && live.record.get(key).is_none() {
                        live.record
                            .cells
                            .push(Cell { column: key, value: Value::Guid(outcome.id) });
                    }
                }
                Err(failure) if name.is_bulk() => {
                    self.fail(record, Failure { index: target, ..failure });
                }
                Err(failure) => return Err(fault::of_failures(name, vec![failure]).into()),
            }
        }
        Ok(())
    }

    /// An outcome per target, in order. A target that names a record again has made nothing.
    fn reply(&self, mut partly: Partly) -> Reply {
        let outcome = |(target, record): (usize, &usize)| {
            let live = &self.records[*record];
            let own = match (&live.failed, live.outcome) {
                (Some(failure), _) => Err(failure.clone()),
                (None, Some(outcome)) => Ok(outcome),
                (None, None) => unreachable!("what has not failed was written"),
            };
            match self.target(*record) == target {
                true => own,
                false => repeated(own, target),
            }
        };
        let outcomes = self.record_of().iter().enumerate().map(outcome);
        partly.outcomes = outcomes.collect();
        if !self.has_failed {
            return Reply::Written(partly.outcomes.into_iter().flatten().collect());
        }
        let of_written = |(target, record): (usize, &usize)| {
            partly.written.contains(&self.target(*record)).then_some(target)
        };
        let written: BTreeSet<usize> =
            self.record_of().iter().enumerate().filter_map(of_written).collect();
        Reply::Partly(Partly { written, ..partly })
    }

    /// What an upsert answers, as steps behind it see it.
    pub(super) fn upserted(&self, run: &Run<'_>) -> Vec<Parameter> {
        let event = self.plan.events[run.event].message;
        if !matches!(event, MessageName::Upsert | MessageName::UpsertMultiple) {
            return Vec::new();
        }
        let (table, key) = (&self.table, self.table.primary_key);
        let outcome = |record: &usize| self.records[*record].outcome;
        let outcomes: Vec<RowOutcome> = self.records_of(run).iter().filter_map(outcome).collect();
        let created = |one: &RowOutcome| Value::Boolean(one.created);
        let one = |name: &str, value| Parameter { name: name.into(), value };
        match (run.record, &outcomes[..]) {
            (Some(_), [only]) => {
                let target = Value::Lookup(LookupValue { table: table.id, id: only.id });
                vec![
                    one(RECORD_CREATED, ParameterValue::One(created(only))),
                    one("Target", ParameterValue::One(target)),
                ]
            }
            (Some(_), _) => Vec::new(),
            (None, outcomes) => {
                let record = |one: &RowOutcome| Record {
                    id: Some(one.id),
                    cells: vec![Cell { column: key, value: Value::Guid(one.id) }].into(),
                    aliased: vec![(RECORD_CREATED.into(), created(one))],
                    ..Record::default()
                };
                let records = outcomes.iter().map(record).collect();
                vec![one("Results", ParameterValue::Records(table.clone(), records))]
            }
        }
    }
}

/// Whether an upsert has made a record.
const RECORD_CREATED: &str = "RecordCreated";

/// Whether a failure before the write is that of the whole message (plugins.md 2.8.3): that of a bulk step, or one
/// that is none of its record's doing.
fn is_of_the_message(run: &Run<'_>, fault: &Fault) -> bool {
    run.record.is_none()
        || matches!(
            fault.code,
            code::STEP_TIME_OVER
                | code::DEPTH_TOO_HIGH
                | code::SANDBOX_DISABLED
                | code::SANDBOX_NOT_AVAILABLE
                | code::ASSEMBLY_NOT_LOADED
                | code::TYPE_NOT_LOADED
                | code::SYSTEM_USER_DISABLED
                | code::SERVER_BUSY
                // What is handed over is too large, or the engine has failed.
                | code::UNEXPECTED
        )
}

/// A target as steps see it: by id and partition, however it was named. And what came with it besides its columns;
/// of a delete with them.
pub(super) fn record_of(table: &Table, mut target: Target, is_delete: bool) -> (Record, Target) {
    let named = partition::parts(table, &target.key);
    let (id, of_key) = match named {
        Some((id, name)) => (Some(id), name.map(Value::text)),
        None => (None, None),
    };
    let column = partition::column(table);
    let version = target.expected_version;
    let mut record = Record { id, version, ..Record::default() };
    if is_delete {
        // References have no columns: what they name stands in their key.
        let in_body = column.and_then(|column| value_of(column, &target.cells));
        let name = of_key.as_ref().or(in_body).and_then(text);
        record.key = match id.map(|id| partition::key(table, id, name)) {
            Some(TargetKey::Alternate(key)) => Some(key),
            _ => None,
        };
        return (record, target);
    }
    let mut cells = std::mem::take(&mut target.cells);
    if let (Some(value), Some(column)) = (of_key, column) {
        cells.retain(|cell| cell.column != column);
        cells.push(Cell { column, value });
    }
    if let Some(id) = id {
        cells.push(Cell { column: table.primary_key, value: Value::Guid(id) });
    }
    record.cells = cells.into();
    (record, target)
}

/// Where the row of a target lies; none for a new record without an id.
pub(super) fn key_of_target(table: &Table, target: &Target) -> Option<ElasticKey> {
    let (id, named) = partition::parts(table, &target.key)?;
    let in_body = partition::column(table).and_then(|column| value_of(column, &target.cells));
    Some(ElasticKey::new(id, named.or_else(|| in_body.and_then(text))))
}

/// The same for a record.
fn key_of(table: &Table, record: &Record) -> Option<ElasticKey> {
    let id: Uuid = record.id?;
    let of_key = record.key.as_ref().and_then(|key| key.values.iter().find_map(text));
    let own = partition::column(table).and_then(|column| record.get(column)).and_then(text);
    Some(ElasticKey::new(id, of_key.or(own)))
}

fn value_of(column: ColumnIndex, cells: &[Cell]) -> Option<&Value> {
    cells.iter().find(|cell| cell.column == column).map(|cell| &cell.value)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
