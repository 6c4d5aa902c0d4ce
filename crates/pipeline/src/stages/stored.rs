//! What an asynchronous run gets, as the text that its job keeps: pure.
//!
//! Tables and columns go by name, so that a run whose definitions have moved on meanwhile still finds them; a
//! column that is gone is left out.
//! Not here: the rows of jobs (`queue`). Invariant: what is read back is what was written, under one catalog.

use crate::step::{
    Counted, Frame, Image, Mode, Operand, Parameter, ParameterValue, Record, Step, StepCall, Users,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{
    Caller, Catalog, Cell, Date, Decimal, KeyIndex, KeyValue, LookupValue, MessageName, Table,
    Timestamp, Uuid, Value,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Why a text cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

type Result<T, E = Unreadable> = std::result::Result<T, E>;

/// The step and whose message it was, beside what the run gets.
pub(super) struct Stored {
    pub(super) step: Uuid,
    pub(super) caller: Caller,
    text: Text,
}

/// An id as its text.
#[derive(Clone, Copy)]
struct Id(Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uuid::parse_str(&text).map(Self).map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    step: Id,
    caller: [Id; 2],
    on_behalf_of: Option<Id>,
    is_reference: bool,
    frame: FrameText,
    targets: Vec<RecordText>,
    pre: Vec<ImageText>,
    post: Vec<ImageText>,
    output: Vec<ParameterText>,
    parents: Vec<FrameText>,
    record: Option<usize>,
    now: i64,
}

#[derive(Serialize, Deserialize)]
struct FrameText {
    message: String,
    table: String,
    primary_id: Id,
    stage: i32,
    is_async: bool,
    depth: u32,
    is_in_transaction: bool,
    users: [Id; 4],
    organization: Id,
    correlation: Id,
    request: Id,
    operation: Id,
    created: i64,
    step: Id,
    input: Vec<ParameterText>,
    shared: Vec<ParameterText>,
    sent: Vec<RecordText>,
}

#[derive(Serialize, Deserialize)]
struct RecordText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<(String, Vec<ValueText>)>,
    cells: Vec<(String, ValueText)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliased: Vec<(String, ValueText)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct ImageText {
    alias: String,
    rows: Vec<Option<RecordText>>,
}

#[derive(Serialize, Deserialize)]
struct ParameterText {
    name: String,
    value: OfParameter,
}

#[derive(Serialize, Deserialize)]
enum OfParameter {
    One(ValueText),
    Ids(Vec<Id>),
    Records(String, Vec<RecordText>),
    Money(String),
    Choice(i32),
    Bytes(String),
}

#[derive(Serialize, Deserialize)]
enum ValueText {
    Null,
    Text(String),
    Integer(i32),
    BigInt(i64),
    Decimal(String),
    /// Its bits: every number comes back as it was.
    Double(u64),
    Boolean(bool),
    DateTime(i64),
    Date(String),
    Guid(Id),
    Lookup(String, Id),
    Choices(Vec<i32>),
}

/// The text of a run.
pub(super) fn write(call: &StepCall, caller: Caller) -> Result<String> {
    let catalog = &call.catalog;
    let table = &call.frame.table;
    let records = |records: &[Record]| {
        records.iter().map(|record| RecordText::of(catalog, table, record)).collect()
    };
    let images = |images: &[Image]| {
        let image = |image: &Image| ImageText {
            alias: image.alias.to_string(),
            rows: image
                .rows
                .iter()
                .map(|row| row.as_ref().map(|row| RecordText::of(catalog, table, row)))
                .collect(),
        };
        images.iter().map(image).collect()
    };
    let text = Text {
        step: Id(call.step.id),
        caller: [caller.user, caller.business_unit].map(Id),
        on_behalf_of: caller.on_behalf_of.map(Id),
        is_reference: call.operand == Operand::Reference,
        frame: FrameText::of(catalog, &call.frame),
        targets: records(&call.targets),
        pre: images(&call.pre_images),
        post: images(&call.post_images),
        output: parameters_of(catalog, &call.output),
        parents: call.parents.iter().map(|frame| FrameText::of(catalog, frame)).collect(),
        record: call.record,
        now: call.now.0,
    };
    Ok(serde_json::to_string(&text)?)
}

/// Reads a text but for what needs definitions.
pub(super) fn read(text: &str) -> Result<Stored> {
    let text: Text = serde_json::from_str(text)?;
    let [Id(user), Id(business_unit)] = text.caller;
    let caller = Caller { user, business_unit, on_behalf_of: text.on_behalf_of.map(|id| id.0) };
    Ok(Stored { step: text.step.0, caller, text })
}

impl Stored {
    /// The run of this step, as definitions say now.
    pub(super) fn call(
        self,
        catalog: &Arc<Catalog>,
        step: Arc<Step>,
        remaining: Duration,
    ) -> Result<StepCall> {
        let text = self.text;
        let frame = text.frame.read(catalog)?;
        let table = frame.table.clone();
        let records = |records: Vec<RecordText>| -> Result<Vec<Record>> {
            records.into_iter().map(|record| record.read(catalog, &table)).collect()
        };
        let images = |images: Vec<ImageText>| -> Result<Vec<Image>> {
            let row =
                |row: Option<RecordText>| row.map(|row| row.read(catalog, &table)).transpose();
            let image = |image: ImageText| {
                let rows = image.rows.into_iter().map(row).collect::<Result<_>>()?;
                Ok(Image { alias: image.alias.into(), rows })
            };
            images.into_iter().map(image).collect()
        };
        let parents = text.parents.into_iter().map(|frame| frame.read(catalog).map(Arc::new));
        Ok(StepCall {
            step,
            catalog: catalog.clone(),
            operand: if text.is_reference { Operand::Reference } else { Operand::Entity },
            targets: records(text.targets)?,
            pre_images: images(text.pre)?,
            post_images: images(text.post)?,
            output: parameters(catalog, text.output)?,
            parents: parents.collect::<Result<_>>()?,
            frame,
            record: text.record,
            now: Timestamp(text.now),
            remaining,
            seat: None,
            counted: Counted::default(),
        })
    }
}

fn table_named<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Arc<Table>> {
    catalog.table(name).ok_or_else(|| Unreadable(format!("there is no table `{name}`")))
}

impl FrameText {
    fn of(catalog: &Catalog, frame: &Frame) -> Self {
        let Users { user, initiating, authenticated, business_unit } = frame.users;
        let sent = frame.sent.iter();
        Self {
            message: frame.message.as_str().to_owned(),
            table: frame.table.logical_name.to_string(),
            primary_id: Id(frame.primary_id),
            stage: frame.stage,
            is_async: frame.mode == Mode::Asynchronous,
            depth: frame.depth,
            is_in_transaction: frame.is_in_transaction,
            users: [user, initiating, authenticated, business_unit].map(Id),
            organization: Id(frame.organization),
            correlation: Id(frame.correlation),
            request: Id(frame.request),
            operation: Id(frame.operation),
            created: frame.operation_created_on.0,
            step: Id(frame.step),
            input: parameters_of(catalog, &frame.input),
            shared: parameters_of(catalog, &frame.shared),
            sent: sent.map(|record| RecordText::of(catalog, &frame.table, record)).collect(),
        }
    }

    fn read(self, catalog: &Catalog) -> Result<Frame> {
        let table = table_named(catalog, &self.table)?.clone();
        let message = MESSAGES.into_iter().find(|name| name.as_str() == self.message);
        let message =
            message.ok_or_else(|| Unreadable(format!("there is no message `{}`", self.message)))?;
        let [user, initiating, authenticated, business_unit] = self.users.map(|id| id.0);
        let sent = self.sent.into_iter().map(|record| record.read(catalog, &table));
        Ok(Frame {
            message,
            primary_id: self.primary_id.0,
            stage: self.stage,
            mode: if self.is_async { Mode::Asynchronous } else { Mode::Synchronous },
            depth: self.depth,
            is_in_transaction: self.is_in_transaction,
            users: Users { user, initiating, authenticated, business_unit },
            organization: self.organization.0,
            correlation: self.correlation.0,
            request: self.request.0,
            operation: self.operation.0,
            operation_created_on: Timestamp(self.created),
            step: self.step.0,
            input: parameters(catalog, self.input)?,
            shared: parameters(catalog, self.shared)?,
            sent: sent.collect::<Result<_>>()?,
            table,
        })
    }
}

/// Messages that frames are about.
const MESSAGES: [MessageName; 8] = [
    MessageName::Create,
    MessageName::CreateMultiple,
    MessageName::Update,
    MessageName::UpdateMultiple,
    MessageName::Upsert,
    MessageName::UpsertMultiple,
    MessageName::Delete,
    MessageName::DeleteMultiple,
];

impl RecordText {
    fn of(catalog: &Catalog, table: &Table, record: &Record) -> Self {
        let value = |value: &Value| ValueText::of(catalog, value);
        let name = |cell: &Cell| table.column(cell.column).logical_name.to_string();
        let key = record.key.as_ref().map(|key| {
            let name = table.key(key.key).logical_name.to_string();
            (name, key.values.iter().map(value).collect())
        });
        Self {
            id: record.id.map(Id),
            key,
            cells: record.cells.iter().map(|cell| (name(cell), value(&cell.value))).collect(),
            aliased: record
                .aliased
                .iter()
                .map(|(name, of)| (name.to_string(), value(of)))
                .collect(),
            version: record.version,
        }
    }

    fn read(self, catalog: &Catalog, table: &Table) -> Result<Record> {
        let mut cells = Vec::with_capacity(self.cells.len());
        for (name, value) in self.cells {
            if let (Some(column), value) = (table.index_of(&name), value.read(catalog)?) {
                cells.push(Cell { column, value });
            }
        }
        let mut aliased = Vec::with_capacity(self.aliased.len());
        for (name, value) in self.aliased {
            aliased.push((name.into(), value.read(catalog)?));
        }
        let mut key = None;
        if let Some((name, values)) = self.key
            && let Some(place) = table.keys.iter().position(|key| *key.logical_name == *name)
        {
            let values = values.into_iter().map(|value| value.read(catalog));
            let values = values.collect::<Result<_>>()?;
            key = u16::try_from(place).ok().map(|place| KeyValue { key: KeyIndex(place), values });
        }
        let cells = cells.into();
        Ok(Record { id: self.id.map(|id| id.0), key, cells, aliased, version: self.version })
    }
}

fn parameters_of(catalog: &Catalog, parameters: &[Parameter]) -> Vec<ParameterText> {
    let of = |value: &ParameterValue| match value {
        ParameterValue::One(one) => OfParameter::One(ValueText::of(catalog, one)),
        ParameterValue::Ids(ids) => OfParameter::Ids(ids.iter().copied().map(Id).collect()),
        ParameterValue::Records(table, records) => {
            let records = records.iter().map(|record| RecordText::of(catalog, table, record));
            OfParameter::Records(table.logical_name.to_string(), records.collect())
        }
        ParameterValue::Money(money) => OfParameter::Money(money.to_string()),
        ParameterValue::Choice(choice) => OfParameter::Choice(*choice),
        ParameterValue::Bytes(bytes) => OfParameter::Bytes(STANDARD.encode(bytes)),
    };
    let parameters = parameters.iter();
    parameters
        .map(|one| ParameterText { name: one.name.to_string(), value: of(&one.value) })
        .collect()
}

fn parameters(catalog: &Catalog, texts: Vec<ParameterText>) -> Result<Vec<Parameter>> {
    let read = |value: OfParameter| -> Result<ParameterValue> {
        Ok(match value {
            OfParameter::One(one) => ParameterValue::One(one.read(catalog)?),
            OfParameter::Ids(ids) => ParameterValue::Ids(ids.into_iter().map(|id| id.0).collect()),
            OfParameter::Records(name, records) => {
                let table = table_named(catalog, &name)?;
                let records = records.into_iter().map(|record| record.read(catalog, table));
                ParameterValue::Records(table.clone(), records.collect::<Result<_>>()?)
            }
            OfParameter::Money(money) => ParameterValue::Money(decimal(&money)?),
            OfParameter::Choice(choice) => ParameterValue::Choice(choice),
            OfParameter::Bytes(text) => {
                let bytes = STANDARD.decode(text).map_err(|error| Unreadable(error.to_string()))?;
                ParameterValue::Bytes(bytes.into())
            }
        })
    };
    let texts = texts.into_iter();
    texts.map(|one| Ok(Parameter { name: one.name.into(), value: read(one.value)? })).collect()
}

fn decimal(text: &str) -> Result<Decimal> {
    Decimal::from_str(text).map_err(|error| Unreadable(error.to_string()))
}

impl ValueText {
    fn of(catalog: &Catalog, value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Text(text) => Self::Text(text.to_string()),
            Value::Integer(number) => Self::Integer(*number),
            Value::BigInt(number) => Self::BigInt(*number),
            Value::Decimal(number) => Self::Decimal(number.to_string()),
            Value::Double(number) => Self::Double(number.to_bits()),
            Value::Boolean(is) => Self::Boolean(*is),
            Value::DateTime(at) => Self::DateTime(at.0),
            Value::Date(day) => Self::Date(day.to_string()),
            Value::Guid(id) => Self::Guid(Id(*id)),
            Value::Lookup(LookupValue { table, id }) => {
                let table = catalog.table_by_id(*table);
                let name = table.map_or(String::new(), |table| table.logical_name.to_string());
                Self::Lookup(name, Id(*id))
            }
            Value::Choices(choices) => Self::Choices(choices.to_vec()),
        }
    }

    fn read(self, catalog: &Catalog) -> Result<Value> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text.into()),
            Self::Integer(number) => Value::Integer(number),
            Self::BigInt(number) => Value::BigInt(number),
            Self::Decimal(text) => Value::Decimal(decimal(&text)?),
            Self::Double(bits) => Value::Double(f64::from_bits(bits)),
            Self::Boolean(is) => Value::Boolean(is),
            Self::DateTime(at) => Value::DateTime(Timestamp(at)),
            Self::Date(text) => {
                let day = Date::parse(&text);
                Value::Date(day.ok_or_else(|| Unreadable(format!("`{text}` is no day")))?)
            }
            Self::Guid(id) => Value::Guid(id.0),
            // A table that is gone has taken its rows with it.
            Self::Lookup(name, id) => match catalog.table(&name) {
                Some(table) => Value::Lookup(LookupValue { table: table.id, id: id.0 }),
                None => Value::Null,
            },
            Self::Choices(choices) => Value::Choices(choices.into()),
        })
    }
}
