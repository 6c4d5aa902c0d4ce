//! The records of one message while its steps see and change them, and the contexts around them: pure.
//!
//! One record, two views: the target of a single step and the same place among the targets of a bulk step
//! are the same record (plugins.md 2.4).
//! Not here: running anything (`turn`), what a change may be (`change`).
//! Invariant: records keep their number and order from the first stage to the last.

use super::elastic;
use super::images::Rows;
use super::resolve::Resolved;
use crate::message::{Condition, Write};
use crate::rights::guard;
use crate::run::{Context, Error, Organization};
use crate::step::course::{Within, clock};
use crate::step::plan::{Run, StagePlan};
use crate::step::{
    Cells, Frame, Mode, Operand, Parameter, ParameterValue, Record, Seat, Stage, Step, Users,
};
use crate::trace::Log;
use crate::write::{insert_constants, update_constants};
use model::{
    Cell, ColumnIndex, Failure, MessageName, Table, TableKind, Target, TargetKey, Timestamp, Uuid,
    Value,
};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use store::RowOutcome;

/// One message in the hands of its steps.
pub(super) struct Scene {
    pub(super) plan: Arc<StagePlan>,
    pub(super) table: Arc<Table>,
    pub(super) records: Vec<Live>,
    /// Per record: the first target that names it.
    pub(super) target_of: Vec<usize>,
    /// Per target: its record.
    record_of: Vec<usize>,
    /// The records as they were sent.
    sent: Arc<[Record]>,
    /// Per event: those of it, once somebody has asked.
    sent_of: Vec<OnceLock<Arc<[Record]>>>,
    /// What bulk steps share, by event.
    bulk: HashMap<usize, Shared>,
    /// What the single steps of one record share.
    single: HashMap<usize, Shared>,
    first_variables: Vec<Parameter>,
    /// `InputParameters` besides the targets.
    pub(super) input: Vec<Parameter>,
    pub(super) is_in_transaction: bool,
    pub(super) over_at: Instant,
    pub(super) depth: u32,
    /// The place of its steps.
    pub(super) seat: Option<Seat>,
    /// What its runs have traced.
    pub(super) log: Arc<Log>,
    now: Timestamp,
    pub(super) began: Instant,
    users: Users,
    organization: Uuid,
    correlation: Uuid,
    request: Uuid,
    /// The contexts around this message.
    parents: Vec<Arc<Frame>>,
    /// Rows as they were: outside the transaction, or in it.
    pub(super) before: Option<(bool, Rows)>,
    /// Rows as they are after the write.
    pub(super) after: Option<Rows>,
    /// Some record has failed: what comes later is about the others (elastic tables alone).
    pub(super) has_failed: bool,
}

/// One record.
pub(super) struct Live {
    pub(super) record: Record,
    /// What came with it besides its columns.
    pub(super) target: Target,
    /// Columns that the service has added and no step has changed, where they are the record's own: not to be
    /// written as the caller's. Those that records have in common are not written anyway.
    added: Vec<ColumnIndex>,
    pub(super) outcome: Option<RowOutcome>,
    /// Why it has failed, while others have not.
    pub(super) failed: Option<Failure>,
}

/// Two collections of shared variables, and further output parameters, of one form.
#[derive(Clone, Default)]
pub(super) struct Shared {
    /// Of PreValidation, and of the context around the others.
    outer: Vec<Parameter>,
    /// Of PreOperation and PostOperation.
    inner: Vec<Parameter>,
    /// Output parameters but for the ids.
    output: Vec<Parameter>,
}

impl Scene {
    pub(super) fn new(
        context: &Context,
        organization: Organization,
        message: Write,
        resolved: Resolved,
        (plan, over_at, log): (StagePlan, Instant, Arc<Log>),
        (request, correlation): (Uuid, Uuid),
    ) -> Self {
        let within = context.course.within.as_deref();
        let caller = context.caller;
        let table = message.table;
        let is_delete = matches!(message.name, MessageName::Delete | MessageName::DeleteMultiple);
        let live = |target: Target| {
            let (record, target) = record_of(&table, target, is_delete);
            Live { record, target, added: Vec::new(), outcome: None, failed: None }
        };
        let records: Vec<Live> = resolved.records.into_iter().map(live).collect();
        Self {
            sent: records.iter().map(|live| live.record.clone()).collect(),
            records,
            sent_of: plan.events.iter().map(|_| OnceLock::new()).collect(),
            plan: Arc::new(plan),
            table,
            target_of: resolved.target_of,
            record_of: resolved.record_of,
            bulk: HashMap::new(),
            single: HashMap::new(),
            first_variables: context.course.first_variables(),
            input: Vec::new(),
            is_in_transaction: context.course.transaction().is_some(),
            over_at,
            depth: within.map_or(1, |within| within.depth),
            seat: None,
            log,
            now: context.now,
            began: clock(),
            users: Users {
                user: caller.user,
                initiating: caller.user,
                authenticated: within
                    .map_or(caller.on_behalf_of.unwrap_or(caller.user), |within| {
                        within.authenticated
                    }),
                business_unit: caller.business_unit,
            },
            organization: organization.id,
            correlation,
            request,
            parents: within.map(|within: &Within| within.parents.clone()).unwrap_or_default(),
            before: None,
            after: None,
            has_failed: false,
        }
    }

    /// The records that a run is about.
    pub(super) fn records_of(&self, run: &Run<'_>) -> Vec<usize> {
        match run.record {
            Some(record) => vec![record],
            None if self.has_failed => self.left(run.event),
            None => self.plan.events[run.event].records.clone(),
        }
    }

    /// The records of an event that have not failed.
    fn left(&self, event: usize) -> Vec<usize> {
        let records = self.plan.events[event].records.iter().copied();
        records.filter(|record| self.records[*record].failed.is_none()).collect()
    }

    /// Whether a run has no record any more.
    pub(super) fn is_left_out(&self, run: &Run<'_>) -> bool {
        self.has_failed
            && match run.record {
                Some(record) => self.records[record].failed.is_some(),
                None => self.left(run.event).is_empty(),
            }
    }

    /// What targets of a message are.
    pub(super) fn operand(&self, run: &Run<'_>) -> Operand {
        match run.step.message {
            MessageName::Delete | MessageName::DeleteMultiple => Operand::Reference,
            _ => Operand::Entity,
        }
    }

    /// Whether an event makes records.
    fn creates(&self, event: usize) -> bool {
        matches!(self.plan.events[event].message, MessageName::Create | MessageName::CreateMultiple)
    }

    /// Whether an event deletes records.
    fn deletes(&self, event: usize) -> bool {
        matches!(self.plan.events[event].message, MessageName::Delete | MessageName::DeleteMultiple)
    }

    /// Whether a run's message makes records.
    pub(super) fn makes(&self, run: &Run<'_>) -> bool {
        self.creates(run.event)
    }

    /// What steps of a run's form share.
    pub(super) fn shared(&mut self, run: &Run<'_>) -> &mut Shared {
        let first = || Shared {
            outer: self.first_variables.clone(),
            inner: self.first_variables.clone(),
            output: Vec::new(),
        };
        match run.record {
            Some(record) => self.single.entry(record).or_insert_with(first),
            None => self.bulk.entry(run.event).or_insert_with(first),
        }
    }

    /// The context that a step of a run sees.
    pub(super) fn frame(&mut self, run: &Run<'_>) -> Frame {
        let shared = self.shared(run);
        let variables = match run.stage {
            Stage::PreValidation => shared.outer.clone(),
            Stage::PreOperation | Stage::PostOperation => shared.inner.clone(),
        };
        let mut frame = self.context(run.step.message, run.stage.number(), run.record);
        frame.shared = variables;
        frame.step = run.step.id;
        frame.users.user = user_of(run.step, self.users.user);
        frame
    }

    /// The contexts around it, the nearest first (plugins.md 1.6.1, 1.6.2, 2.4.3, 2.5.4).
    pub(super) fn parents(&mut self, run: &Run<'_>) -> Vec<Arc<Frame>> {
        let mut parents = Vec::new();
        let own = run.step.message;
        if run.stage != Stage::PreValidation {
            let variables = self.shared(run).outer.clone();
            parents.push(Arc::new(self.outer(own, run.event, run.record, variables)));
        }
        let event = self.plan.events[run.event].message;
        if own != event {
            let form = if event.is_bulk() {
                None
            } else {
                self.plan.events[run.event].records.first().copied()
            };
            let variables = self.outer_variables(run.event, form);
            parents.push(Arc::new(self.outer(event, run.event, form, variables)));
        }
        let sent = self.plan.message;
        if sent != event {
            let form = if sent.is_bulk() { None } else { Some(0) };
            let variables = self.first_variables.clone();
            let mut frame = self.outer(sent, run.event, form, variables);
            frame.sent = match form {
                Some(_) => frame.sent,
                None => self.sent.clone(),
            };
            parents.push(Arc::new(frame));
        }
        parents.extend(self.parents.iter().cloned());
        parents
    }

    fn outer_variables(&self, event: usize, record: Option<usize>) -> Vec<Parameter> {
        let shared = match record {
            Some(record) => self.single.get(&record),
            None => self.bulk.get(&event),
        };
        shared.map_or_else(|| self.first_variables.clone(), |shared| shared.outer.clone())
    }

    fn outer(
        &self,
        message: MessageName,
        event: usize,
        record: Option<usize>,
        variables: Vec<Parameter>,
    ) -> Frame {
        let mut frame = self.context(message, 30, record);
        frame.shared = variables;
        frame.sent = match record {
            Some(record) => self.sent.get(record).into_iter().cloned().collect(),
            None => self.sent_of(event),
        };
        frame
    }

    /// What was sent of an event: copied once, for every step that sees it.
    fn sent_of(&self, event: usize) -> Arc<[Record]> {
        if let [_] = &*self.plan.events {
            return self.sent.clone();
        }
        let records = || self.plan.events[event].records.iter();
        let sent = || records().map(|record| self.sent[*record].clone()).collect();
        self.sent_of[event].get_or_init(sent).clone()
    }

    fn context(&self, message: MessageName, stage: i32, record: Option<usize>) -> Frame {
        let id = record.and_then(|record| self.records.get(record)).map(|live| {
            // A new record has its id when it is written, unless it was sent with one.
            live.outcome.map_or(live.record.id, |outcome| Some(outcome.id))
        });
        Frame {
            message,
            table: self.table.clone(),
            primary_id: id.flatten().unwrap_or_default(),
            stage,
            mode: Mode::Synchronous,
            depth: self.depth,
            is_in_transaction: self.is_in_transaction,
            users: self.users,
            organization: self.organization,
            correlation: self.correlation,
            request: self.request,
            operation: Uuid::nil(),
            operation_created_on: self.now,
            step: Uuid::nil(),
            input: self.input.clone(),
            shared: Vec::new(),
            sent: Arc::from([]),
        }
    }

    /// `OutputParameters`: only behind the write.
    pub(super) fn output(&mut self, run: &Run<'_>) -> Vec<Parameter> {
        if run.stage != Stage::PostOperation {
            return Vec::new();
        }
        let mut output = Vec::new();
        if self.creates(run.event) {
            let ids: Vec<Uuid> = self
                .records_of(run)
                .iter()
                .map(|record| {
                    self.records[*record].outcome.map_or(Uuid::nil(), |outcome| outcome.id)
                })
                .collect();
            output.push(match run.record {
                Some(_) => {
                    Parameter { name: ID.into(), value: ParameterValue::One(Value::Guid(ids[0])) }
                }
                None => Parameter { name: IDS.into(), value: ParameterValue::Ids(ids) },
            });
        }
        output.extend(self.upserted(run));
        // What a step has put there stands in the place of it.
        for other in self.shared(run).output.clone() {
            output.retain(|one| one.name != other.name);
            output.push(other);
        }
        output
    }

    /// Other ids for the answer, in the order of the run's records.
    pub(super) fn answer_ids(&mut self, run: &Run<'_>, ids: &[Uuid]) {
        for (record, id) in self.records_of(run).into_iter().zip(ids) {
            if let Some(outcome) = &mut self.records[record].outcome {
                outcome.id = *id;
            }
        }
    }

    /// From PreOperation on targets hold what the service adds (plugins.md 1.4.6).
    pub(super) fn add_system_columns(&mut self, context: &Context, organization: Organization) {
        let (caller, now) = (context.caller, context.now);
        for event in 0..self.plan.events.len() {
            if self.deletes(event) {
                continue;
            }
            let cells = match self.creates(event) {
                true => insert_constants(&self.table, organization, caller, now),
                false => update_constants(&self.table, caller, now),
            };
            let named = |cell: &&Cell| {
                !matches!(
                    &*self.table.column(cell.column).logical_name,
                    "owningbusinessunit" | "organizationid"
                )
            };
            let cells: Arc<[Cell]> = cells.iter().filter(named).cloned().collect();
            let mut gives = vec![false; self.table.columns.len()];
            cells.iter().for_each(|cell| gives[usize::from(cell.column.0)] = true);
            for record in &self.plan.events[event].records {
                self.records[*record].add(&cells, &gives);
            }
        }
    }

    /// What of an event asks for privileges.
    pub(super) fn asked(&self, event: usize) -> impl Iterator<Item = guard::Asked<'_>> {
        self.plan.events[event].records.iter().map(|record| {
            let live = &self.records[*record];
            guard::Asked { cells: live.record.cells.own(), binds: &live.target.binds }
        })
    }

    /// What is to be written now of an event, as it was sent. Where nothing runs behind the write, nobody
    /// sees the records again, and they are not copied.
    pub(super) fn write(&mut self, event: usize) -> Write {
        let is_last = !self.is_seen_again();
        if is_last {
            self.sent = Arc::from([]);
            self.sent_of[event] = OnceLock::new();
        }
        let mut targets = Vec::with_capacity(self.plan.events[event].records.len());
        for record in &self.plan.events[event].records {
            let live = &mut self.records[*record];
            let cells = match is_last {
                true => std::mem::take(&mut live.record.cells),
                false => live.record.cells.clone(),
            };
            targets.push(live.target(self.table.primary_key, cells));
        }
        let name = self.plan.events[event].message;
        Write { name, table: self.table.clone(), targets, condition: Condition::Any }
    }

    /// Whether all that is left is one write.
    pub(super) fn is_one_write(&self) -> bool {
        self.plan.events.len() == 1 && !self.is_seen_again()
    }

    /// Whether any step runs behind the write.
    fn is_seen_again(&self) -> bool {
        self.plan.has(Stage::PostOperation) || !self.plan.queued.is_empty()
    }

    /// Takes what an event has written.
    pub(super) fn written(&mut self, event: usize, outcomes: Vec<RowOutcome>) {
        let key = self.table.primary_key;
        let wants_key = !self.deletes(event) && self.is_seen_again();
        for (record, outcome) in self.plan.events[event].records.iter().zip(outcomes) {
            let live = &mut self.records[*record];
            live.outcome = Some(outcome);
            live.record.id = Some(outcome.id);
            if wants_key && live.record.get(key).is_none() {
                live.record.cells.push(Cell { column: key, value: Value::Guid(outcome.id) });
            }
        }
    }

    /// An error of an event's write, with its places those of the message's targets.
    pub(super) fn placed(&self, event: usize, error: Error) -> Error {
        let Error::Fault(mut fault) = error else { return error };
        let records = &self.plan.events[event].records;
        for failure in &mut fault.failures {
            failure.index = self.target(records[failure.index]);
        }
        fault.failures.sort_by_key(|failure: &Failure| failure.index);
        Error::Fault(fault)
    }

    /// The target that a record was first named by.
    pub(super) fn target(&self, record: usize) -> usize {
        self.target_of[record]
    }

    /// Per target: its record.
    pub(super) fn record_of(&self) -> &[usize] {
        &self.record_of
    }

    /// An outcome per target, in order. A target that names a record again has made nothing.
    pub(super) fn outcomes(&self) -> Vec<RowOutcome> {
        let outcome = |(target, record): (usize, &usize)| {
            let outcome = self.records[*record].outcome.expect("every record was written");
            RowOutcome { created: outcome.created && self.target_of[*record] == target, ..outcome }
        };
        self.record_of.iter().enumerate().map(outcome).collect()
    }
}

impl Shared {
    /// The variables that a step of a stage changes.
    pub(super) fn variables(&mut self, stage: Stage) -> &mut Vec<Parameter> {
        match stage {
            Stage::PreValidation => &mut self.outer,
            Stage::PreOperation | Stage::PostOperation => &mut self.inner,
        }
    }

    pub(super) fn output(&mut self) -> &mut Vec<Parameter> {
        &mut self.output
    }
}

/// Output parameters with the ids of new records.
pub(super) const ID: &str = "id";
pub(super) const IDS: &str = "Ids";

impl Live {
    /// What is to be written of it now, of these columns.
    pub(super) fn target(&self, primary_key: ColumnIndex, cells: Cells) -> Target {
        let mut cells = cells.into_own();
        if let Some(place) = cells.iter().rposition(|cell| cell.column == primary_key) {
            cells.remove(place);
        }
        if !self.added.is_empty() {
            cells.retain(|cell| !self.added.contains(&cell.column));
        }
        // A step may have put something else in the place of a bind, or taken it away.
        let binds = self.target.binds.iter();
        let binds = binds.filter(|bind| cells.iter().all(|cell| cell.column != bind.column));
        Target {
            key: match (&self.target.key, self.record.id) {
                (TargetKey::None | TargetKey::Id(_), Some(id)) => TargetKey::Id(id),
                (key, _) => key.clone(),
            },
            binds: binds.cloned().collect(),
            cells,
            expected_version: self.target.expected_version,
            given: self.target.given.clone(),
            bad_image: self.target.bad_image.clone(),
        }
    }

    /// Adds what the service gives all records of an event, unless it is there. `gives`: the same by column.
    fn add(&mut self, cells: &Arc<[Cell]>, gives: &[bool]) {
        let is_given = |column: ColumnIndex| gives[usize::from(column.0)];
        let names_none = !self.record.cells.iter().any(|cell| is_given(cell.column))
            && !self.target.binds.iter().any(|bind| is_given(bind.column));
        if names_none {
            self.record.cells.share(cells.clone());
            return;
        }
        for cell in cells.iter() {
            let is_bound = self.target.binds.iter().any(|bind| bind.column == cell.column);
            if is_bound || self.record.get(cell.column).is_some() {
                continue;
            }
            let cell = cell.clone();
            self.added.push(cell.column);
            self.record.cells.push(cell);
        }
    }

    /// Whether the service has added a column and no step has changed it.
    pub(super) fn has_added(&self, column: ColumnIndex) -> bool {
        self.added.contains(&column)
            || self.record.cells.common().iter().any(|cell| cell.column == column)
    }

    /// Gives a column a value, or takes it away, on behalf of a step.
    pub(super) fn change(&mut self, column: ColumnIndex, value: Option<Value>) {
        let common = self.record.cells.common();
        if common.iter().any(|cell| cell.column == column) {
            self.added.extend(common.iter().map(|cell| cell.column));
        }
        self.record.cells.set(column, value);
        self.added.retain(|added| *added != column);
        self.target.binds.retain(|bind| bind.column != column);
    }
}

/// A target as steps see it, and what came with it besides its columns.
fn record_of(table: &Table, mut target: Target, is_delete: bool) -> (Record, Target) {
    if table.kind == TableKind::Elastic {
        return elastic::record_of(table, target, is_delete);
    }
    let (id, key) = match &target.key {
        TargetKey::Id(id) => (Some(*id), None),
        TargetKey::Alternate(key) => (None, Some(key.clone())),
        TargetKey::None => (None, None),
    };
    let mut cells = std::mem::take(&mut target.cells);
    if let Some(id) = id.filter(|_| !is_delete) {
        cells.push(Cell { column: table.primary_key, value: Value::Guid(id) });
    }
    let version = target.expected_version;
    (Record { id, key, cells: cells.into(), aliased: Vec::new(), version }, target)
}

/// Whose rights the calls of a step use.
pub(super) fn user_of(step: &Step, caller: Uuid) -> Uuid {
    step.impersonating.filter(|user| !user.is_nil()).unwrap_or(caller)
}
