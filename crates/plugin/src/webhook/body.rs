//! The context of a step as receivers of webhooks know it: the JSON of .NET data contracts.
//!
//! Members stand in alphabetical order and all of them are there; `/` is written `\/`; `__type` comes first where the
//! type is not fixed by its place.
//! Not here: headers and delivery.
//! Invariant: secure configurations are in no body.

use crate::context::{NO_SECOND_TABLE, ORGANIZATION_NAME};
use model::{
    Catalog, ColumnKind, Decimal, LookupValue, MessageName, Table, Timestamp, Uuid, Value,
};
use pipeline::step::{Frame, Image, Mode, Operand, Parameter, ParameterValue, Record, StepCall};
use std::fmt::Write as _;

/// A body with more bytes is trimmed: 256 KB.
pub const BODY_BYTES_MAX: usize = 262_144;

/// What the types of values are of.
const CONTRACTS: &str = ":http:\\/\\/schemas.microsoft.com\\/xrm\\/2011\\/Contracts";

/// A body.
#[derive(Clone, Debug)]
pub struct Body {
    /// The JSON text.
    pub text: String,
    /// Members were taken out because it was too large.
    pub is_trimmed: bool,
}

/// Writes the context of a call; where it is too large, without the members that are the large ones.
pub fn write(call: &StepCall) -> Body {
    let text = Writer::of(call).context(Detail::All);
    if text.len() <= BODY_BYTES_MAX {
        return Body { text, is_trimmed: false };
    }
    Body { text: Writer::of(call).context(Detail::Trimmed), is_trimmed: true }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    All,
    Trimmed,
}

struct Writer<'a> {
    call: &'a StepCall,
    catalog: &'a Catalog,
    out: String,
}

impl<'a> Writer<'a> {
    fn of(call: &'a StepCall) -> Self {
        Self { call, catalog: &call.catalog, out: String::new() }
    }

    fn context(mut self, detail: Detail) -> String {
        let call = self.call;
        let is_trimmed = detail == Detail::Trimmed;
        let bulk = call.frame.message.is_bulk().then_some(call.targets.len());
        self.head(&call.frame);
        match is_trimmed {
            true => self.null("InputParameters"),
            false => self.input(&call.frame, &call.targets, call.operand),
        }
        self.middle(&call.frame);
        self.member("OutputParameters");
        self.parameters(&call.output);
        self.extension(call.step.id);
        match is_trimmed {
            true => self.null("ParentContext"),
            false => {
                self.member("ParentContext");
                self.parent(0);
            }
        }
        self.images("PostEntityImages", &call.post_images, bulk, is_trimmed);
        self.images("PreEntityImages", &call.pre_images, bulk, is_trimmed);
        let ids = is_trimmed && call.frame.message == MessageName::UpdateMultiple;
        self.tail(&call.frame, ids.then_some(&*call.targets));
        self.out
    }

    /// The context around, or null where there is none.
    fn parent(&mut self, place: usize) {
        let call = self.call;
        let Some(frame) = call.parents.get(place) else {
            self.out.push_str("null");
            return;
        };
        let bulk = frame.message.is_bulk().then_some(frame.sent.len());
        self.head(frame);
        let operand = match frame.message {
            MessageName::Delete | MessageName::DeleteMultiple => Operand::Reference,
            _ => Operand::Entity,
        };
        self.input(frame, &frame.sent, operand);
        let step = if frame.step.is_nil() { call.step.id } else { frame.step };
        self.middle(frame);
        self.member("OutputParameters");
        self.out.push_str("[]");
        self.extension(step);
        self.member("ParentContext");
        self.parent(place + 1);
        self.images("PostEntityImages", &[], bulk, false);
        self.images("PreEntityImages", &[], bulk, false);
        self.tail(frame, None);
    }

    fn head(&mut self, frame: &Frame) {
        self.out.push('{');
        self.id_member("BusinessUnitId", frame.users.business_unit);
        self.id_member("CorrelationId", frame.correlation);
        self.member("Depth");
        self.display(frame.depth);
        self.id_member("InitiatingUserId", frame.users.initiating);
    }

    fn input(&mut self, frame: &Frame, targets: &[Record], operand: Operand) {
        self.member("InputParameters");
        self.out.push('[');
        let is_bulk = frame.message.is_bulk();
        self.out.push_str(if is_bulk { "{\"key\":\"Targets\",\"value\":" } else { "" });
        match (is_bulk, operand) {
            (true, Operand::Entity) => self.collection(&frame.table, targets),
            (true, Operand::Reference) => {
                self.list(targets, |this, record| {
                    this.reference(false, &frame.table, record);
                });
            }
            (false, operand) => {
                if let Some(target) = targets.first() {
                    self.out.push_str("{\"key\":\"Target\",\"value\":");
                    match operand {
                        Operand::Entity => self.entity(true, &frame.table, target, target.version),
                        Operand::Reference => self.reference(true, &frame.table, target),
                    }
                    self.out.push('}');
                }
            }
        }
        self.out.push_str(if is_bulk { "}" } else { "" });
        for parameter in &frame.input {
            self.comma();
            self.parameter(parameter);
        }
        self.out.push(']');
    }

    /// The members between `InputParameters` and `OutputParameters`. Frames of the step's own message repeat what
    /// the step's job is.
    fn middle(&mut self, frame: &Frame) {
        let own = &self.call.frame;
        let like = if frame.request == own.request { own } else { frame };
        self.member("IsExecutingOffline");
        self.out.push_str("false");
        self.member("IsInTransaction");
        self.display(like.is_in_transaction);
        self.member("IsOfflinePlayback");
        self.out.push_str("false");
        self.member("IsolationMode");
        self.out.push('1');
        self.text_member("MessageName", frame.message.as_str());
        self.member("Mode");
        self.display(match like.mode {
            Mode::Synchronous => 0,
            Mode::Asynchronous => 1,
        });
        self.member("OperationCreatedOn");
        self.date(like.operation_created_on, "+0000");
        self.id_member("OperationId", like.operation);
        self.id_member("OrganizationId", frame.organization);
        self.text_member("OrganizationName", ORGANIZATION_NAME);
    }

    fn extension(&mut self, step: Uuid) {
        self.member("OwningExtension");
        self.reference_to(false, "sdkmessageprocessingstep", Some(step), |this| {
            this.out.push_str("[]");
        });
    }

    fn tail(&mut self, frame: &Frame, target_ids: Option<&[Record]>) {
        self.id_member("PrimaryEntityId", frame.primary_id);
        self.text_member("PrimaryEntityName", &frame.table.logical_name);
        self.id_member("RequestId", frame.request);
        self.text_member("SecondaryEntityName", NO_SECOND_TABLE);
        self.member("SharedVariables");
        self.parameters(&frame.shared);
        if let Some(targets) = target_ids {
            self.member("SheafTargetIds");
            self.list(targets, |this, record| this.id(record.id.unwrap_or_default()));
        }
        self.member("Stage");
        self.display(frame.stage);
        self.id_member("UserId", frame.users.user);
        self.out.push('}');
    }

    /// `PostEntityImages` or `PreEntityImages`, and for bulk messages the collection, one entry per target.
    fn images(&mut self, name: &str, images: &[Image], bulk: Option<usize>, is_trimmed: bool) {
        let collection = format!("{name}Collection");
        if is_trimmed {
            self.null(name);
            if bulk.is_some() {
                self.null(&collection);
            }
            return;
        }
        self.member(name);
        match bulk {
            None => self.images_of(images, 0),
            Some(count) => {
                self.out.push_str("[]");
                self.member(&collection);
                self.out.push('[');
                for target in 0..count {
                    self.comma();
                    self.images_of(images, target);
                }
                self.out.push(']');
            }
        }
    }

    /// The images of one target, by alias.
    fn images_of(&mut self, images: &[Image], target: usize) {
        let table = self.call.frame.table.clone();
        self.out.push('[');
        for image in images {
            if let Some(Some(record)) = image.rows.get(target) {
                self.comma();
                self.out.push_str("{\"key\":");
                self.text(&image.alias);
                self.out.push_str(",\"value\":");
                self.entity(false, &table, record, None);
                self.out.push('}');
            }
        }
        self.out.push(']');
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        self.list(parameters, Self::parameter);
    }

    fn parameter(&mut self, parameter: &Parameter) {
        self.out.push_str("{\"key\":");
        self.text(&parameter.name);
        self.out.push_str(",\"value\":");
        match &parameter.value {
            ParameterValue::One(value) => self.value(None, value),
            ParameterValue::Ids(ids) => self.list(ids, |this, id| this.id(*id)),
            ParameterValue::Records(table, records) => self.collection(table, records),
            ParameterValue::Money(number) => self.money(*number),
            ParameterValue::Choice(number) => self.choice(*number),
            ParameterValue::Bytes(bytes) => self.list(bytes, |this, byte| this.display(byte)),
        }
        self.out.push('}');
    }

    fn collection(&mut self, table: &Table, records: &[Record]) {
        self.out.push('{');
        self.type_of("EntityCollection");
        self.member("Entities");
        self.list(records, |this, record| this.entity(false, table, record, record.version));
        self.text_member("EntityName", &table.logical_name);
        self.null("MinActiveRowVersion");
        self.member("MoreRecords");
        self.out.push_str("false");
        self.null("PagingCookie");
        self.member("TotalRecordCount");
        self.out.push('0');
        self.member("TotalRecordCountLimitExceeded");
        self.out.push_str("false}");
    }

    fn entity(&mut self, is_typed: bool, table: &Table, record: &Record, version: Option<i64>) {
        self.out.push('{');
        if is_typed {
            self.type_of("Entity");
        }
        self.member("Attributes");
        self.out.push('[');
        for cell in record.cells.iter() {
            let column = table.column(cell.column);
            self.comma();
            self.pair(&column.logical_name, Some(&column.kind), &cell.value);
        }
        for (alias, value) in &record.aliased {
            self.comma();
            self.pair(alias, None, value);
        }
        self.out.push(']');
        self.null("EntityState");
        self.member("FormattedValues");
        self.out.push_str("[]");
        self.id_member("Id", record.id.unwrap_or_default());
        self.member("KeyAttributes");
        self.key(table, record);
        self.text_member("LogicalName", &table.logical_name);
        self.member("RelatedEntities");
        self.out.push_str("[]");
        self.member("RowVersion");
        match version {
            Some(version) => self.text(&version.to_string()),
            None => self.out.push_str("null"),
        }
        self.out.push('}');
    }

    fn pair(&mut self, name: &str, kind: Option<&ColumnKind>, value: &Value) {
        self.out.push_str("{\"key\":");
        self.text(name);
        self.out.push_str(",\"value\":");
        self.value(kind, value);
        self.out.push('}');
    }

    fn key(&mut self, table: &Table, record: &Record) {
        self.out.push('[');
        if let Some(key) = &record.key {
            for (index, value) in table.key(key.key).columns.iter().zip(&key.values) {
                let column = table.column(*index);
                self.comma();
                self.pair(&column.logical_name, Some(&column.kind), value);
            }
        }
        self.out.push(']');
    }

    fn value(&mut self, kind: Option<&ColumnKind>, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Text(text) => self.text(text),
            Value::Integer(number) => match kind {
                Some(
                    ColumnKind::Choice { .. }
                    | ColumnKind::State { .. }
                    | ColumnKind::Status { .. },
                ) => self.choice(*number),
                _ => self.display(number),
            },
            Value::BigInt(number) => self.display(number),
            Value::Decimal(number) => match kind {
                Some(ColumnKind::Money { .. }) => self.money(*number),
                _ => self.display(number),
            },
            Value::Double(number) => self.display(number),
            Value::Boolean(flag) => self.display(flag),
            Value::DateTime(at) => self.date(*at, ""),
            Value::Date(day) => self.date(Timestamp(i64::from(day.0) * 86_400), ""),
            Value::Guid(id) => self.id(*id),
            Value::Lookup(LookupValue { table, id }) => {
                let catalog = self.catalog;
                let name = catalog.table_by_id(*table).map_or("", |table| &table.logical_name);
                self.reference_to(true, name, Some(*id), |this| this.out.push_str("[]"));
            }
            Value::Choices(choices) => self.list(choices, |this, choice| this.choice(*choice)),
        }
    }

    fn choice(&mut self, number: i32) {
        self.out.push('{');
        self.type_of("OptionSetValue");
        self.member("Value");
        self.display(number);
        self.out.push('}');
    }

    fn money(&mut self, number: Decimal) {
        self.out.push('{');
        self.type_of("Money");
        self.member("Value");
        self.display(number);
        self.out.push('}');
    }

    fn reference(&mut self, is_typed: bool, table: &Table, record: &Record) {
        self.reference_to(is_typed, &table.logical_name, record.id, |this| {
            this.key(table, record);
        });
    }

    fn reference_to(
        &mut self,
        is_typed: bool,
        table: &str,
        id: Option<Uuid>,
        key: impl FnOnce(&mut Self),
    ) {
        self.out.push('{');
        if is_typed {
            self.type_of("EntityReference");
        }
        self.id_member("Id", id.unwrap_or_default());
        self.member("KeyAttributes");
        key(self);
        self.text_member("LogicalName", table);
        self.null("Name");
        self.null("RowVersion");
        self.out.push('}');
    }

    fn type_of(&mut self, name: &str) {
        self.member("__type");
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str(CONTRACTS);
        self.out.push('"');
    }

    fn member(&mut self, name: &str) {
        self.comma();
        self.text(name);
        self.out.push(':');
    }

    fn null(&mut self, name: &str) {
        self.member(name);
        self.out.push_str("null");
    }

    fn id_member(&mut self, name: &str, id: Uuid) {
        self.member(name);
        self.id(id);
    }

    fn text_member(&mut self, name: &str, text: &str) {
        self.member(name);
        self.text(text);
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.out.push('[');
        for item in items {
            self.comma();
            write(self, item);
        }
        self.out.push(']');
    }

    /// Sets a comma where something stands before in the same list or object.
    fn comma(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'[' | b'{' | b':')) {
            self.out.push(',');
        }
    }

    fn id(&mut self, id: Uuid) {
        self.out.push('"');
        self.display(id);
        self.out.push('"');
    }

    fn date(&mut self, at: Timestamp, offset: &str) {
        let milliseconds = at.0.saturating_mul(1_000);
        self.display(format_args!("\"\\/Date({milliseconds}{offset})\\/\""));
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        write!(self.out, "{value}").expect("a string takes everything");
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '/' => self.out.push_str("\\/"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                control if control.is_control() => {
                    self.display(format_args!("\\u{:04x}", u32::from(control)));
                }
                plain => self.out.push(plain),
            }
        }
        self.out.push('"');
    }
}
