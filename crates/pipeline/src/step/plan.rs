//! Which steps run for a message, and in which order: pure, and it prints.
//!
//! In: one message, the events that it raises, the steps there are. Out: a [`StagePlan`].
//! Not here: running it (`stages`), and whether a target has a column that a step waits for, which is looked
//! at before each run ([`is_due`]).
//! Source: plugins.md 1.2, 2.2, 2.3, 2.5, 2.7, 2.11.
//! Invariant: single and bulk steps of one event are both in the plan, each once; within a stage the form
//! that was sent comes first.

use super::{Mode, Record, Stage, Step, StepImage};
use model::{MessageName, Table, TableDefinition, TableId, TableKind, Uuid};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The enabled steps of one version of the definitions.
#[derive(Debug, Default)]
pub struct StepTable {
    /// By message; in the order in which they run.
    by_message: HashMap<MessageName, Vec<Arc<Step>>>,
}

impl StepTable {
    /// Sorts steps: by rank, then by the id of the filter, then by their own (plugins.md 1.2.2).
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut this = Self::default();
        for step in steps {
            this.by_message.entry(step.message).or_default().push(Arc::new(step));
        }
        for steps in this.by_message.values_mut() {
            // The order of ids is that of their text, which is that of their bytes.
            steps.sort_by_key(|step| (step.rank, step.filter, step.id));
        }
        this
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.by_message.is_empty()
    }

    /// The step with this id.
    pub fn find(&self, id: Uuid) -> Option<&Arc<Step>> {
        self.by_message.values().flatten().find(|step| step.id == id)
    }

    /// The steps of a message on a table, in order.
    fn steps(&self, message: MessageName, table: TableId) -> impl Iterator<Item = &Arc<Step>> {
        let all = self.by_message.get(&message).into_iter().flatten();
        all.filter(move |step| step.table.is_none_or(|of| of == table))
    }

    /// Whether a message on a table raises an event that any step waits for.
    pub fn concerns(&self, message: MessageName, table: &Table) -> bool {
        if self.is_empty() || !takes_steps(table) {
            return false;
        }
        let events = events_of(message, table.kind);
        let forms = events.into_iter().flat_map(|event| forms(event, table.kind));
        forms.into_iter().any(|(form, _)| self.steps(form, table.id).next().is_some())
    }
}

/// The events that a message may raise. On a standard table an Upsert is no event of its own, on an elastic one
/// it is, and raises no other (plugins.md 2.5).
pub(crate) fn events_of(message: MessageName, kind: TableKind) -> Vec<MessageName> {
    use MessageName as M;
    match (message, kind) {
        (M::Upsert, TableKind::Standard) => vec![M::Create, M::Update],
        (M::UpsertMultiple, TableKind::Standard) => vec![M::CreateMultiple, M::UpdateMultiple],
        _ => vec![message],
    }
}

/// Whether steps may be registered for a table at all. Rows of the others are written in transactions of
/// their own kind: they say who may do what, or which steps there are.
pub(crate) fn takes_steps(table: &TableDefinition) -> bool {
    !table.is_intersect
        && !crate::seed::writable(table).is_kept()
        && !crate::rights::is_about_rights(table)
        && !crate::registration::is_registration(&table.logical_name)
}

/// The forms of an event with what each is, the one that was sent first. None for what raises no event.
fn forms(message: MessageName, kind: TableKind) -> Vec<(MessageName, Form)> {
    use MessageName as M;
    let (single, bulk) = match message {
        M::Create | M::CreateMultiple => (M::Create, Some(M::CreateMultiple)),
        M::Update | M::UpdateMultiple => (M::Update, Some(M::UpdateMultiple)),
        M::Delete | M::DeleteMultiple if kind == TableKind::Elastic => {
            (M::Delete, Some(M::DeleteMultiple))
        }
        M::Delete => (M::Delete, None),
        M::Upsert | M::UpsertMultiple if kind == TableKind::Elastic => {
            (M::Upsert, Some(M::UpsertMultiple))
        }
        M::Upsert
        | M::UpsertMultiple
        | M::DeleteMultiple
        | M::Associate
        | M::Disassociate
        | M::Retrieve
        | M::RetrieveMultiple => return Vec::new(),
    };
    let mut forms = vec![(single, Form::Each)];
    forms.extend(bulk.map(|bulk| (bulk, Form::All)));
    // The only place that says which form goes first (plugins.md 2.3.2).
    if message.is_bulk() {
        forms.reverse();
    }
    forms
}

/// Steps that the caller leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bypass {
    /// Synchronous ones.
    pub synchronous: bool,
    /// Asynchronous ones.
    pub asynchronous: bool,
    /// These.
    pub steps: Vec<Uuid>,
}

impl Bypass {
    fn skips(&self, step: &Step) -> bool {
        let by_mode = match step.mode {
            Mode::Synchronous => self.synchronous,
            Mode::Asynchronous => self.asynchronous,
        };
        step.can_be_bypassed && (by_mode || self.steps.contains(&step.id))
    }
}

/// One event that a message raises, in the form in which it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub message: MessageName,
    /// The records that it is about: places among the message's, ascending.
    pub records: Vec<usize>,
}

/// How a step sees the records of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// All of them at once: a bulk step.
    All,
    /// One at a time: a single step.
    Each,
}

/// The steps of one stage, one event and one form.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The stage.
    pub stage: Stage,
    /// Place of the event in the plan.
    pub event: usize,
    /// How the steps see its records.
    pub form: Form,
    /// In the order in which they run.
    pub steps: Vec<Arc<Step>>,
}

/// What runs for one message.
#[derive(Clone, Debug)]
pub struct StagePlan {
    /// The message that was sent.
    pub message: MessageName,
    /// Its table.
    pub table: Arc<Table>,
    /// The events that it raises.
    pub events: Vec<Event>,
    /// Synchronous steps, in the order of the stages.
    pub turns: Vec<Turn>,
    /// Asynchronous steps, queued behind all others.
    pub queued: Vec<Turn>,
}

/// One run of one step.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The stage.
    pub stage: Stage,
    /// Place of the event in the plan.
    pub event: usize,
    /// The step.
    pub step: &'a Arc<Step>,
    /// The record that it is about, among the message's; none for a bulk step.
    pub record: Option<usize>,
}

/// Plans a message. An event without records raises nothing.
pub fn plan(
    message: MessageName,
    table: &Arc<Table>,
    events: Vec<Event>,
    steps: &StepTable,
    bypass: &Bypass,
) -> StagePlan {
    let events: Vec<Event> = events.into_iter().filter(|event| !event.records.is_empty()).collect();
    let (mut turns, mut queued) = (Vec::new(), Vec::new());
    if !takes_steps(table) {
        return StagePlan { message, table: table.clone(), events, turns, queued };
    }
    for stage in Stage::ALL {
        for (place, event) in events.iter().enumerate() {
            for (name, form) in forms(event.message, table.kind) {
                let here: Vec<&Arc<Step>> = steps
                    .steps(name, table.id)
                    .filter(|step| step.stage == stage && !bypass.skips(step))
                    .collect();
                for (mode, list) in
                    [(Mode::Synchronous, &mut turns), (Mode::Asynchronous, &mut queued)]
                {
                    let own = here.iter().filter(|step| step.mode == mode);
                    let steps: Vec<Arc<Step>> = own.map(|step| Arc::clone(step)).collect();
                    if !steps.is_empty() {
                        list.push(Turn { stage, event: place, form, steps });
                    }
                }
            }
        }
    }
    StagePlan { message, table: table.clone(), events, turns, queued }
}

impl StagePlan {
    /// Whether no step is in it.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.queued.is_empty()
    }

    /// Whether a synchronous step of this stage is in it.
    pub fn has(&self, stage: Stage) -> bool {
        self.turns.iter().any(|turn| turn.stage == stage)
    }

    /// The runs of the synchronous steps of a stage, in order: stage by stage, and for single steps record
    /// by record.
    pub fn runs(&self, stage: Stage) -> impl Iterator<Item = Run<'_>> {
        self.turns.iter().filter(move |turn| turn.stage == stage).flat_map(|turn| self.of(turn))
    }

    /// The runs of the asynchronous steps, in the order in which their jobs are queued.
    pub fn jobs(&self) -> impl Iterator<Item = Run<'_>> {
        self.queued.iter().flat_map(|turn| self.of(turn))
    }

    fn of<'a>(&'a self, turn: &'a Turn) -> Vec<Run<'a>> {
        let (stage, event) = (turn.stage, turn.event);
        let run = |step, record| Run { stage, event, step, record };
        match turn.form {
            Form::All => turn.steps.iter().map(|step| run(step, None)).collect(),
            Form::Each => self.events[event]
                .records
                .iter()
                .flat_map(|record| turn.steps.iter().map(move |step| run(step, Some(*record))))
                .collect(),
        }
    }

    /// The columns that images of these kinds take from stored rows; none where no step wants one. An empty
    /// list stands for all columns.
    pub fn image_columns(&self, wants: impl Fn(&StepImage) -> bool) -> Option<Vec<Box<str>>> {
        let steps = self.turns.iter().chain(&self.queued).flat_map(|turn| &turn.steps);
        let images: Vec<&StepImage> =
            steps.flat_map(|step| &step.images).filter(|image| wants(image)).collect();
        if images.is_empty() {
            return None;
        }
        if images.iter().any(|image| image.columns.is_empty()) {
            return Some(Vec::new());
        }
        let mut columns: Vec<Box<str>> =
            images.iter().flat_map(|image| image.columns.iter().cloned()).collect();
        columns.sort_unstable();
        columns.dedup();
        Some(columns)
    }
}

/// Whether a step runs for these records: the columns that it waits for are tested as earlier steps left
/// the records. They have a meaning for Update and UpdateMultiple alone (plugins.md 2.7).
pub fn is_due<'a>(
    step: &Step,
    table: &Table,
    records: impl IntoIterator<Item = &'a Record>,
) -> bool {
    let waits = matches!(step.message, MessageName::Update | MessageName::UpdateMultiple);
    if !waits || step.filtering.is_empty() {
        return true;
    }
    let named = |record: &Record| {
        record.cells.iter().any(|cell| {
            step.filtering.iter().any(|name| *name == table.column(cell.column).logical_name)
        })
    };
    records.into_iter().any(named)
}

impl fmt::Display for StagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: usize = self.events.iter().map(|event| event.records.len()).sum();
        let plural = if targets == 1 { "" } else { "s" };
        writeln!(f, "{} of {}, {targets} target{plural}", self.message, self.table.logical_name)?;
        if self.is_empty() {
            return writeln!(f, "no steps");
        }
        for stage in Stage::ALL {
            if self.has(stage) {
                let place = match (self.table.kind, stage) {
                    (TableKind::Standard, Stage::PreValidation) => "before the transaction",
                    (TableKind::Standard, Stage::PreOperation) => {
                        "in the transaction, before the write"
                    }
                    (TableKind::Standard, Stage::PostOperation) => {
                        "in the transaction, after the write"
                    }
                    (TableKind::Elastic, Stage::PreValidation) => "before rights are looked at",
                    (TableKind::Elastic, Stage::PreOperation) => "before the write",
                    (TableKind::Elastic, Stage::PostOperation) => {
                        "after the write, which stays written"
                    }
                };
                writeln!(f, "{stage}, {place}:")?;
                self.list(f, self.turns.iter().filter(|turn| turn.stage == stage))?;
            }
        }
        if !self.queued.is_empty() {
            let behind = match self.table.kind {
                TableKind::Standard => "the commit",
                TableKind::Elastic => "the write",
            };
            writeln!(f, "after {behind}, as jobs:")?;
            self.list(f, self.queued.iter())?;
        }
        Ok(())
    }
}

impl StagePlan {
    fn list<'a>(
        &self,
        f: &mut fmt::Formatter<'_>,
        turns: impl Iterator<Item = &'a Turn>,
    ) -> fmt::Result {
        for turn in turns {
            let count = self.events[turn.event].records.len();
            match turn.form {
                Form::All => writeln!(f, "  once with {count}:")?,
                Form::Each => writeln!(f, "  for each of {count}:")?,
            }
            for step in &turn.steps {
                write!(f, "    {} {} \"{}\"", step.rank, step.message, step.name)?;
                let waits =
                    matches!(step.message, MessageName::Update | MessageName::UpdateMultiple);
                if waits && !step.filtering.is_empty() {
                    write!(f, " if {}", step.filtering.join(", "))?;
                }
                for image in &step.images {
                    let kind = match (image.before, image.after) {
                        (true, true) => "both",
                        (true, false) => "pre",
                        (false, _) => "post",
                    };
                    let columns = match image.columns.is_empty() {
                        true => "*".to_owned(),
                        false => image.columns.join(", "),
                    };
                    write!(f, " {kind} {}({columns})", image.alias)?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
