//! What one run gets, and what it changes.
//!
//! Targets, images and parameters are taken from the host when the first of them is read; a run that reads none costs
//! no more for a thousand targets than for one.
//! Changes are collected and handed back when the function returns: all of them where it answers `Ok`, none where it
//! answers an error.

use crate::bindings::exports::sheaf::plugin::lean_handler::LeanContext;
use crate::bindings::sheaf::plugin::hand_over::PackedImage;
use crate::bindings::sheaf::plugin::types as flat;
use crate::given::Given;
use crate::lists::{self, Lists, id_of};
use crate::service::Service;
use crate::target::{Image, Row, Target};
use crate::value::{Guid, Value};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

/// When a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before the transaction (10).
    PreValidation,
    /// In the transaction, before the rows are written (20).
    PreOperation,
    /// After the rows are written (40).
    PostOperation,
    /// Another one: that of a context around.
    Other(u32),
}

impl Stage {
    fn of(number: u32) -> Self {
        match number {
            10 => Self::PreValidation,
            20 => Self::PreOperation,
            40 => Self::PostOperation,
            other => Self::Other(other),
        }
    }
}

/// Whether the request waits for the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Synchronous,
    /// It does not.
    Asynchronous,
}

/// A context around this one.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Its message.
    pub message: String,
    /// Logical name of its table.
    pub table: String,
    /// Its record; zero for bulk messages.
    pub primary_id: Guid,
    /// Its stage.
    pub stage: Stage,
    /// Its depth.
    pub depth: u32,
    /// The step that made it; zero for none.
    pub step: Guid,
    /// Whether its message is a bulk one.
    pub is_bulk: bool,
    /// Its shared variables.
    pub shared: Vec<(String, Value)>,
}

/// What one run gets. Whatever it sets is written after the function has answered `Ok`.
pub struct Context {
    pub(crate) raw: LeanContext,
    given: OnceCell<Given>,
    pub(crate) changes: RefCell<Changes>,
}

/// What was set so far: none takes a thing away.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) targets: BTreeMap<(u32, String), Option<Value>>,
    pub(crate) input: BTreeMap<String, Option<Value>>,
    pub(crate) output: BTreeMap<String, Option<Value>>,
    pub(crate) shared: BTreeMap<String, Option<Value>>,
}

impl Context {
    #[doc(hidden)]
    pub fn new(raw: LeanContext) -> Self {
        Self { raw, given: OnceCell::new(), changes: RefCell::default() }
    }

    fn given(&self) -> &Given {
        self.given.get_or_init(Given::take)
    }

    /// The message that the step is registered for.
    pub fn message(&self) -> &str {
        &self.raw.message_name
    }

    /// Logical name of the table.
    pub fn table(&self) -> &str {
        &self.raw.primary_entity_name
    }

    /// The record of a single message; zero for bulk messages and for a new record without an id.
    pub fn primary_id(&self) -> Guid {
        id_of(self.raw.primary_entity_id)
    }

    /// When the step runs.
    pub fn stage(&self) -> Stage {
        Stage::of(self.raw.stage)
    }

    /// Whether the request waits.
    pub fn mode(&self) -> Mode {
        match self.raw.mode {
            flat::RunMode::Synchronous => Mode::Synchronous,
            flat::RunMode::Asynchronous => Mode::Asynchronous,
        }
    }

    /// 1 for a request from outside, one more for what a plug-in of that asks.
    pub fn depth(&self) -> u32 {
        self.raw.depth
    }

    /// Whether all targets of a bulk message are here.
    pub fn is_bulk(&self) -> bool {
        self.raw.is_bulk
    }

    /// Whether what the run writes is undone with the message.
    pub fn is_in_transaction(&self) -> bool {
        self.raw.is_in_transaction
    }

    /// The step's unsecure configuration.
    pub fn configuration(&self) -> &str {
        &self.raw.configuration
    }

    /// The step's secure configuration.
    pub fn secure_configuration(&self) -> &str {
        &self.raw.secure_configuration
    }

    /// Whose rights the run's calls use.
    pub fn user(&self) -> Guid {
        id_of(self.raw.user_id)
    }

    /// Who sent the request.
    pub fn initiating_user(&self) -> Guid {
        id_of(self.raw.initiating_user_id)
    }

    /// Whose token the request had.
    pub fn authenticated_user(&self) -> Guid {
        id_of(self.raw.authenticated_user_id)
    }

    /// The business unit of the calling user.
    pub fn business_unit(&self) -> Guid {
        id_of(self.raw.business_unit_id)
    }

    /// The organization.
    pub fn organization(&self) -> Guid {
        id_of(self.raw.organization_id)
    }

    /// One for the request and everything that it causes.
    pub fn correlation(&self) -> Guid {
        id_of(self.raw.correlation_id)
    }

    /// One for each message.
    pub fn request(&self) -> Guid {
        id_of(self.raw.request_id)
    }

    /// The job of an asynchronous run; zero otherwise.
    pub fn operation(&self) -> Guid {
        id_of(self.raw.operation_id)
    }

    /// The step.
    pub fn step(&self) -> Guid {
        id_of(self.raw.owning_extension)
    }

    /// When the message began, in milliseconds since 1970-01-01T00:00:00Z. There is no other clock.
    pub fn now(&self) -> i64 {
        self.raw.now
    }

    /// A number to begin pseudo-random ones with: the same for the same run.
    pub fn random_seed(&self) -> u64 {
        self.raw.random_seed
    }

    /// How long the run may take, in milliseconds, counted from its beginning.
    pub fn remaining_ms(&self) -> u32 {
        self.raw.remaining_ms
    }

    /// How many targets there are: one for a single message.
    pub fn len(&self) -> usize {
        match self.raw.form {
            flat::TargetForm::None => 0,
            flat::TargetForm::Entity | flat::TargetForm::EntityReference => {
                self.raw.target_count as usize
            }
        }
    }

    /// Whether there is no target.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The targets, in order. A target that is only referred to (of Delete) has an id and no columns.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = Target<'_>> {
        (0..self.len()).map(move |index| self.target(index).expect("each target has a row"))
    }

    /// One target by its place, from 0.
    pub fn target(&self, index: usize) -> Option<Target<'_>> {
        if index >= self.len() {
            return None;
        }
        let given = self.given();
        Some(Target::new(self, Row::of(given, given.targets(), index)?, index))
    }

    /// The pre-image of a target: its row as it was before, if it was there.
    pub fn pre_image(&self, index: usize, alias: &str) -> Option<Image<'_>> {
        self.image(self.given().pre_images(), index, alias)
    }

    /// The post-image of a target: its row as it is afterwards.
    pub fn post_image(&self, index: usize, alias: &str) -> Option<Image<'_>> {
        self.image(self.given().post_images(), index, alias)
    }

    fn image<'a>(
        &'a self,
        images: &'a [PackedImage],
        index: usize,
        alias: &str,
    ) -> Option<Image<'a>> {
        let given = self.given();
        let image = images.iter().find(|image| given.name(image.alias) == alias)?;
        if image.present.get(index).copied().unwrap_or(0) == 0 {
            return None;
        }
        Row::of(given, image.batch, index).map(Image::new)
    }

    /// An input parameter other than the targets, as it is now.
    pub fn input(&self, name: &str) -> Option<Value> {
        let changes = self.changes.borrow();
        self.parameter(&changes.input, Given::input, name)
    }

    /// Sets an input parameter.
    pub fn set_input(&self, name: &str, value: impl Into<Value>) {
        self.changes.borrow_mut().input.insert(name.to_owned(), Some(value.into()));
    }

    /// An output parameter (there are some at [`Stage::PostOperation`] only), as it is now.
    pub fn output(&self, name: &str) -> Option<Value> {
        let changes = self.changes.borrow();
        self.parameter(&changes.output, Given::output, name)
    }

    /// Sets an output parameter.
    pub fn set_output(&self, name: &str, value: impl Into<Value>) {
        self.changes.borrow_mut().output.insert(name.to_owned(), Some(value.into()));
    }

    /// A shared variable, as it is now.
    pub fn shared(&self, name: &str) -> Option<Value> {
        let changes = self.changes.borrow();
        self.parameter(&changes.shared, Given::shared, name)
    }

    /// Sets a shared variable, for later steps of the message.
    pub fn set_shared(&self, name: &str, value: impl Into<Value>) {
        self.changes.borrow_mut().shared.insert(name.to_owned(), Some(value.into()));
    }

    /// Takes a shared variable away.
    pub fn remove_shared(&self, name: &str) {
        self.changes.borrow_mut().shared.insert(name.to_owned(), None);
    }

    fn parameter(
        &self,
        changed: &BTreeMap<String, Option<Value>>,
        parameters: fn(&Given) -> &[flat::Parameter],
        name: &str,
    ) -> Option<Value> {
        if let Some(changed) = changed.get(name) {
            return changed.clone();
        }
        let given = self.given();
        let found = parameters(given).iter().find(|found| given.name(found.name) == name)?;
        Some(lists::value(given, &found.value))
    }

    /// The contexts around this one, the nearest first.
    pub fn parents(&self) -> Vec<Parent> {
        let given = self.given();
        let name = |place| given.name(place).to_owned();
        let parents = given.parents().iter().map(|frame| Parent {
            message: name(frame.message_name),
            table: name(frame.primary_entity_name),
            primary_id: id_of(frame.primary_entity_id),
            stage: Stage::of(frame.stage),
            depth: frame.depth,
            step: id_of(frame.owning_extension),
            is_bulk: frame.is_bulk,
            shared: frame
                .shared_variables
                .iter()
                .map(|shared| (name(shared.name), lists::value(given, &shared.value)))
                .collect(),
        });
        parents.collect()
    }

    /// The service, with the rights of the step's user.
    pub fn service(&self) -> Service {
        Service::default()
    }

    /// Adds a line to the run's trace.
    pub fn trace(&self, line: impl AsRef<str>) {
        crate::logging::trace(line.as_ref());
    }

    /// What was set, as it is handed back.
    #[doc(hidden)]
    pub fn into_changes(self) -> flat::ContextChanges {
        let changes = self.changes.into_inner();
        let mut writer = lists::Writer::default();
        let mut targets = Vec::with_capacity(changes.targets.len());
        for ((row, column), value) in &changes.targets {
            targets.push(flat::CellChange {
                row: *row,
                column: writer.name(column),
                value: value.as_ref().map(|value| writer.value(value)),
            });
        }
        let mut parameters = |changes: &BTreeMap<String, Option<Value>>| {
            let changes = changes.iter().map(|(name, value)| flat::ParameterChange {
                name: writer.name(name),
                value: value.as_ref().map(|value| writer.value(value)),
            });
            changes.collect::<Vec<_>>()
        };
        flat::ContextChanges {
            targets,
            input_parameters: parameters(&changes.input),
            output_parameters: parameters(&changes.output),
            shared_variables: parameters(&changes.shared),
            data: writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::sheaf::plugin::hand_over;
    use crate::lists::Writer;
    use crate::value::{Decimal, Lookup, Record};

    const ZERO: flat::Guid = flat::Guid { hi: 0, lo: 0 };

    fn context(targets: &[Record]) -> Context {
        let mut data = Writer::default();
        let batch = data.batch(targets);
        let tag =
            flat::Parameter { name: data.name("tag"), value: data.value(&Value::from("import")) };
        let image = PackedImage {
            alias: data.name("before"),
            batch,
            present: targets.iter().map(|target| u8::from(!target.id.is_zero())).collect(),
        };
        let context = Context::new(LeanContext {
            type_name: String::new(),
            configuration: String::new(),
            secure_configuration: String::new(),
            message_name: "UpdateMultiple".to_owned(),
            primary_entity_name: "crate".to_owned(),
            primary_entity_id: ZERO,
            secondary_entity_name: "none".to_owned(),
            stage: 20,
            mode: flat::RunMode::Synchronous,
            depth: 1,
            is_in_transaction: true,
            is_bulk: true,
            isolation_mode: 2,
            user_id: ZERO,
            initiating_user_id: ZERO,
            authenticated_user_id: ZERO,
            business_unit_id: ZERO,
            organization_id: ZERO,
            organization_name: String::new(),
            environment_id: String::new(),
            tenant_id: ZERO,
            initiating_user_agent: String::new(),
            is_application_user: false,
            correlation_id: ZERO,
            operation_id: ZERO,
            request_id: ZERO,
            operation_created_on: 0,
            owning_extension: ZERO,
            now: 0,
            random_seed: 0,
            remaining_ms: 0,
            form: flat::TargetForm::Entity,
            target_count: u32::try_from(targets.len()).unwrap(),
            hand_over_bytes: 0,
        });
        let flat::Payload { names, arena, batches } = data.finish();
        let given = Given::of(hand_over::Given {
            names,
            arena,
            batches: batches.iter().map(packed).collect(),
            targets: batch,
            input_parameters: Vec::new(),
            output_parameters: Vec::new(),
            shared_variables: vec![tag],
            pre_images: vec![image],
            post_images: Vec::new(),
            parents: Vec::new(),
        });
        assert!(context.given.set(given).is_ok());
        context
    }

    /// A batch as the layout in the world has it, put together from its numbers.
    fn packed(batch: &flat::Batch) -> hand_over::PackedBatch {
        let slot = |parts: &[(usize, &[u8])]| {
            let mut slot = [0; 48];
            for (at, part) in parts {
                slot[*at..at + part.len()].copy_from_slice(part);
            }
            slot
        };
        let rows = batch.rows.iter().map(|row| {
            slot(&[
                (0, &row.id.hi.to_le_bytes()),
                (8, &row.id.lo.to_le_bytes()),
                (16, &row.first.to_le_bytes()),
                (20, &row.count.to_le_bytes()),
                (24, &row.first_key.to_le_bytes()),
                (28, &row.key_count.to_le_bytes()),
                (32, &row.row_version.to_le_bytes()),
            ])
        });
        let cells = batch.cells.iter().map(|cell| {
            let (case, held): (u8, Vec<u8>) = match cell.value {
                flat::Value::Null => (0, vec![]),
                flat::Value::Integer(number) => (2, number.to_le_bytes().to_vec()),
                flat::Value::Money(number) => {
                    let halves = [number.hi.to_le_bytes(), number.lo.to_le_bytes()];
                    (6, [halves.as_flattened(), &[number.scale]].concat())
                }
                flat::Value::Text(span) => {
                    (7, [span.at.to_le_bytes(), span.len.to_le_bytes()].concat())
                }
                flat::Value::Choices(span) => {
                    (11, [span.at.to_le_bytes(), span.len.to_le_bytes()].concat())
                }
                flat::Value::Lookup(to) => {
                    let table = u64::from(to.table).to_le_bytes();
                    let halves = [table, to.id.hi.to_le_bytes(), to.id.lo.to_le_bytes()];
                    let name = [to.name.at.to_le_bytes(), to.name.len.to_le_bytes()];
                    (12, [halves.as_flattened(), name.as_flattened()].concat())
                }
                other => panic!("the records here have no {other:?}"),
            };
            slot(&[(0, &cell.column.to_le_bytes()), (8, &[case]), (16, &held)])
        });
        hand_over::PackedBatch {
            table: batch.table,
            rows: rows.flatten().collect(),
            cells: cells.flatten().collect(),
        }
    }

    fn records() -> Vec<Record> {
        let first = Record::of("crate", Guid(7))
            .with("label", "A")
            .with("weight", 12)
            .with("price", Value::Money(Decimal { units: -1_234, scale: 2 }))
            .with("kinds", Value::Choices(vec![1, -2]))
            .with("holder", Lookup::new("account", Guid(u128::MAX)));
        vec![first, Record::new("crate").with("label", Value::Null)]
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let context = context(&records());
        let read: Vec<Record> = context.targets().map(|target| target.record()).collect();
        assert_eq!(read, records());
        assert_eq!((context.len(), context.stage()), (2, Stage::PreOperation));
        assert!(context.target(2).is_none());
    }

    #[test]
    fn what_is_set_is_read_and_handed_back() {
        let context = context(&records());
        let (first, second) = (context.target(0).unwrap(), context.target(1).unwrap());
        assert_eq!(second.get("label"), Some(Value::Null));
        assert_eq!(second.get("weight"), None);
        first.set("label", "B");
        first.remove("weight");
        second.set("weight", 3);
        assert_eq!(first.get("label"), Some("B".into()));
        assert!(!first.contains("weight") && second.contains("weight"));
        assert_eq!(context.shared("tag"), Some("import".into()));
        context.set_shared("tag", true);
        context.remove_shared("other");
        assert_eq!(context.shared("tag"), Some(true.into()));
        let changes = context.into_changes();
        let name = |place: u32| changes.data.names[place as usize].as_str();
        let told: Vec<_> = changes
            .targets
            .iter()
            .map(|change| (change.row, name(change.column), change.value.is_some()))
            .collect();
        assert_eq!(told, [(0, "label", true), (0, "weight", false), (1, "weight", true)]);
        let shared: Vec<_> = changes
            .shared_variables
            .iter()
            .map(|change| (name(change.name), change.value.is_some()))
            .collect();
        assert_eq!(shared, [("other", false), ("tag", true)]);
        assert!(changes.input_parameters.is_empty() && changes.output_parameters.is_empty());
    }

    #[test]
    fn images_are_there_where_their_row_was() {
        let context = context(&records());
        let before = context.pre_image(0, "before").unwrap();
        assert_eq!((before.id(), before.get("weight")), (Guid(7), Some(12.into())));
        assert!(context.pre_image(1, "before").is_none());
        assert!(context.pre_image(0, "after").is_none());
        assert!(context.post_image(0, "before").is_none());
    }

    #[test]
    fn collections_inside_of_records_come_after_them() {
        let ids = Value::Records(vec![Record::of("", Guid(1)), Record::of("", Guid(2))]);
        let record = Record::new("crate").with("ids", ids);
        let payload = lists::payload_of(std::slice::from_ref(&record));
        assert_eq!(payload.name(payload.batches[0].table), "crate");
        assert_eq!(lists::records(&payload, 0), [record]);
    }
}
