//! Values as PostgreSQL's binary parameters: single ones, and arrays of one column of many rows.
//!
//! In: values of `model`. Out: [`Bound`] parameters, encoded once, so that a transaction can be run
//! again without work. Not here: reading (`decode`), SQL.
//! Invariant: a parameter has the type that its placeholder is cast to.

use super::error::Fault;
use crate::dialect::Param;
use crate::names::Storage;
use crate::select::choices_text;
use bytes::{BufMut, BytesMut};
use model::{Date, LookupValue, Timestamp, Uuid, Value};
use rust_decimal::Decimal;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// 2000-01-01, where PostgreSQL counts from, in seconds and days since 1970-01-01.
pub(super) const EPOCH_SECONDS: i64 = 946_684_800;
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const MICROSECONDS: i64 = 1_000_000;

/// The types that we keep values in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Int4,
    Int8,
    Numeric,
    Float8,
    Bool,
    Instant,
    Day,
    Uuid,
    /// Never a value of a column.
    Bytes,
}

impl Form {
    pub(super) fn of(storage: Storage) -> Self {
        match storage {
            Storage::Text { .. } | Storage::Choices => Self::Text,
            Storage::Integer => Self::Int4,
            Storage::BigInt => Self::Int8,
            Storage::Decimal { .. } => Self::Numeric,
            Storage::Double => Self::Float8,
            Storage::Boolean => Self::Bool,
            Storage::DateTime => Self::Instant,
            Storage::Date => Self::Day,
            Storage::Guid | Storage::Lookup(_) => Self::Uuid,
        }
    }

    /// Its name in SQL.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Numeric => "numeric",
            Self::Float8 => "float8",
            Self::Bool => "bool",
            Self::Instant => "timestamptz",
            Self::Day => "date",
            Self::Uuid => "uuid",
            Self::Bytes => "bytea",
        }
    }

    fn scalar(self) -> Type {
        match self {
            Self::Text => Type::TEXT,
            Self::Int4 => Type::INT4,
            Self::Int8 => Type::INT8,
            Self::Numeric => Type::NUMERIC,
            Self::Float8 => Type::FLOAT8,
            Self::Bool => Type::BOOL,
            Self::Instant => Type::TIMESTAMPTZ,
            Self::Day => Type::DATE,
            Self::Uuid => Type::UUID,
            Self::Bytes => Type::BYTEA,
        }
    }

    fn array(self) -> Type {
        match self {
            Self::Text => Type::TEXT_ARRAY,
            Self::Int4 => Type::INT4_ARRAY,
            Self::Int8 => Type::INT8_ARRAY,
            Self::Numeric => Type::NUMERIC_ARRAY,
            Self::Float8 => Type::FLOAT8_ARRAY,
            Self::Bool => Type::BOOL_ARRAY,
            Self::Instant => Type::TIMESTAMPTZ_ARRAY,
            Self::Day => Type::DATE_ARRAY,
            Self::Uuid => Type::UUID_ARRAY,
            Self::Bytes => Type::BYTEA_ARRAY,
        }
    }
}

/// An encoded parameter.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    kind: Type,
    /// None for null.
    bytes: Option<BytesMut>,
}

impl Bound {
    pub(super) fn kind(&self) -> Type {
        self.kind.clone()
    }

    /// A single value.
    pub(super) fn value(form: Form, value: &Value) -> Result<Self, Fault> {
        let bytes = match value {
            Value::Null => None,
            value => {
                let mut bytes = BytesMut::new();
                put(form, value, &mut bytes)?;
                Some(bytes)
            }
        };
        Ok(Self { kind: form.scalar(), bytes })
    }

    pub(super) fn null(form: Form) -> Self {
        Self { kind: form.scalar(), bytes: None }
    }

    pub(super) fn text(text: &str) -> Self {
        Self { kind: Type::TEXT, bytes: Some(text.as_bytes().into()) }
    }

    pub(super) fn id(id: Uuid) -> Self {
        Self { kind: Type::UUID, bytes: Some(id.as_bytes().as_slice().into()) }
    }

    /// A list of bytes, of at most 1 GB together.
    pub(super) fn byte_strings<'a>(all: impl ExactSizeIterator<Item = &'a [u8]>) -> Self {
        let mut array = ArrayBuilder::new(Form::Bytes, all.len());
        all.for_each(|bytes| array.push_bytes(bytes));
        array.finish()
    }

    pub(super) fn int4(number: i32) -> Self {
        Self { kind: Type::INT4, bytes: Some(number.to_be_bytes().as_slice().into()) }
    }

    pub(super) fn int8(number: i64) -> Self {
        Self { kind: Type::INT8, bytes: Some(number.to_be_bytes().as_slice().into()) }
    }

    /// A list of ids.
    pub(super) fn ids<'a>(ids: impl ExactSizeIterator<Item = &'a Uuid>) -> Self {
        let mut array = ArrayBuilder::new(Form::Uuid, ids.len());
        for id in ids {
            array.push_bytes(id.as_bytes());
        }
        array.finish()
    }

    /// A list of 64-bit numbers.
    pub(super) fn numbers(numbers: &[i64]) -> Self {
        let mut array = ArrayBuilder::new(Form::Int8, numbers.len());
        for number in numbers {
            array.push_bytes(&number.to_be_bytes());
        }
        array.finish()
    }

    /// A list of texts.
    pub(super) fn texts(texts: &[String]) -> Self {
        let mut array = ArrayBuilder::new(Form::Text, texts.len());
        for text in texts {
            array.push_bytes(text.as_bytes());
        }
        array.finish()
    }

    /// A parameter of a query.
    pub(super) fn param(param: &Param) -> Result<Self, Fault> {
        if let Param::List(list) = param {
            let form = list.first().map_or(Form::Text, form_of);
            let mut array = ArrayBuilder::new(form, list.len());
            for each in list {
                array.push(&value_of(each)?)?;
            }
            return Ok(array.finish());
        }
        Self::value(form_of(param), &value_of(param)?)
    }
}

/// The type that a query's parameter is sent as.
pub(super) fn form_of(param: &Param) -> Form {
    match param {
        Param::Text(_) => Form::Text,
        Param::Integer(_) => Form::Int4,
        Param::BigInt(_) => Form::Int8,
        Param::Double(_) => Form::Float8,
        Param::Decimal(_) => Form::Numeric,
        Param::Boolean(_) => Form::Bool,
        Param::DateTime(_) => Form::Instant,
        Param::Date(_) => Form::Day,
        Param::Guid(_) => Form::Uuid,
        Param::List(list) => list.first().map_or(Form::Text, form_of),
    }
}

fn value_of(param: &Param) -> Result<Value, Fault> {
    Ok(match param {
        Param::Text(text) => Value::Text(searched(text).into()),
        Param::Integer(number) => Value::Integer(*number),
        Param::BigInt(number) => Value::BigInt(*number),
        Param::Double(number) => Value::Double(*number),
        Param::Decimal(number) => Value::Decimal(*number),
        Param::Boolean(flag) => Value::Boolean(*flag),
        Param::DateTime(at) => Value::DateTime(*at),
        Param::Date(day) => Value::Date(*day),
        Param::Guid(id) => Value::Guid(*id),
        Param::List(_) => return Err(Fault::Unfit("a list in a list", "array")),
    })
}

/// A text to compare with. PostgreSQL takes no NUL, and no stored text has one, or a U+0001: the text up
/// to there with a U+0001 behind stands in the same relation to every stored text.
pub(super) fn searched(text: &str) -> String {
    match text.split_once('\0') {
        Some((before, _)) => format!("{before}\u{1}"),
        None => text.to_owned(),
    }
}

impl ToSql for Bound {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.bytes {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// An array in the making: the values of one column, row after row.
#[derive(Debug)]
pub(super) struct ArrayBuilder {
    form: Form,
    bytes: BytesMut,
    count: i32,
    has_null: bool,
}

/// Dimensions, null flag, element type; length and lower bound of the one dimension.
const HEAD_BYTES: usize = 20;

impl ArrayBuilder {
    pub(super) fn new(form: Form, rows: usize) -> Self {
        let each = if form == Form::Text { 24 } else { 20 };
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + rows * each);
        bytes.put_bytes(0, HEAD_BYTES);
        Self { form, bytes, count: 0, has_null: false }
    }

    pub(super) fn push(&mut self, value: &Value) -> Result<(), Fault> {
        if value.is_null() {
            self.push_null();
            return Ok(());
        }
        let start = self.bytes.len();
        self.bytes.put_i32(0);
        put(self.form, value, &mut self.bytes)?;
        let length = length_of(self.bytes.len() - start - 4)?;
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.count += 1;
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.bytes.put_i32(-1);
        self.has_null = true;
        self.count += 1;
    }

    pub(super) fn push_text(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    pub(super) fn push_int4(&mut self, number: i32) {
        self.push_bytes(&number.to_be_bytes());
    }

    pub(super) fn push_bool(&mut self, flag: bool) {
        self.push_bytes(&[u8::from(flag)]);
    }

    /// `bytes` are short: a fixed width, or a text that was measured.
    fn push_bytes(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).expect("a text has at most 4 GB");
        self.bytes.put_i32(length);
        self.bytes.extend_from_slice(bytes);
        self.count += 1;
    }

    pub(super) fn finish(mut self) -> Bound {
        let mut head = &mut self.bytes[..HEAD_BYTES];
        head.put_i32(1);
        head.put_i32(i32::from(self.has_null));
        head.put_u32(self.form.scalar().oid());
        head.put_i32(self.count);
        head.put_i32(1);
        Bound { kind: self.form.array(), bytes: Some(self.bytes) }
    }
}

fn length_of(bytes: usize) -> Result<i32, Fault> {
    i32::try_from(bytes).map_err(|_| Fault::Unfit("a value of more than 2 GB", "any"))
}

/// Writes a value that is not null.
fn put(form: Form, value: &Value, out: &mut BytesMut) -> Result<(), Fault> {
    match (form, value) {
        (Form::Text, Value::Text(text)) => {
            if text.as_bytes().contains(&0) {
                return Err(Fault::Unfit("a text with a NUL character", "text"));
            }
            out.extend_from_slice(text.as_bytes());
        }
        (Form::Text, Value::Choices(choices)) => {
            out.extend_from_slice(choices_text(choices).as_bytes());
        }
        (Form::Int4, Value::Integer(number)) => out.put_i32(*number),
        (Form::Int8, Value::Integer(number)) => out.put_i64(i64::from(*number)),
        (Form::Int8, Value::BigInt(number)) => out.put_i64(*number),
        (Form::Numeric, Value::Decimal(number)) => put_decimal(*number, out)?,
        (Form::Numeric, Value::Integer(number)) => put_decimal(Decimal::from(*number), out)?,
        (Form::Numeric, Value::BigInt(number)) => put_decimal(Decimal::from(*number), out)?,
        (Form::Float8, Value::Double(number)) => out.put_f64(*number),
        (Form::Bool, Value::Boolean(flag)) => out.put_u8(u8::from(*flag)),
        (Form::Instant, Value::DateTime(Timestamp(seconds))) => {
            let micros = seconds
                .checked_sub(EPOCH_SECONDS)
                .and_then(|seconds| seconds.checked_mul(MICROSECONDS))
                .ok_or(Fault::Unfit("an instant far away", "timestamptz"))?;
            out.put_i64(micros);
        }
        (Form::Day, Value::Date(Date(days))) => {
            let days =
                days.checked_sub(EPOCH_DAYS).ok_or(Fault::Unfit("a day far away", "date"))?;
            out.put_i32(days);
        }
        (Form::Uuid, Value::Guid(id) | Value::Lookup(LookupValue { id, .. })) => {
            out.extend_from_slice(id.as_bytes());
        }
        (form, value) => return Err(Fault::Unfit(kind_of(value), form.name())),
    }
    Ok(())
}

fn put_decimal(number: Decimal, out: &mut BytesMut) -> Result<(), Fault> {
    match number.to_sql(&Type::NUMERIC, out) {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::Unfit("a decimal", "numeric")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Text(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::BigInt(_) => "a large whole number",
        Value::Decimal(_) => "a decimal",
        Value::Double(_) => "a double",
        Value::Boolean(_) => "yes or no",
        Value::DateTime(_) => "an instant",
        Value::Date(_) => "a day",
        Value::Guid(_) => "an id",
        Value::Lookup(_) => "a lookup",
        Value::Choices(_) => "choices",
    }
}
