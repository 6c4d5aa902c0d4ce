//! PostgreSQL's binary columns as values.
//!
//! Not here: writing (`encode`). Invariant: reads exactly what `encode` wrote.

use super::encode::{EPOCH_DAYS, EPOCH_SECONDS, Form, MICROSECONDS};
use super::error::Fault;
use crate::names::{LookupTable, Storage};
use crate::select::{Output, choices_of};
use model::{Date, LookupValue, TableId, Timestamp, Uuid, Value};
use rust_decimal::Decimal;
use std::error::Error as StdError;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// The bytes of a column, whatever its type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn raw(row: &Row, place: usize) -> Result<Option<&[u8]>, Fault> {
    match row.try_get::<_, Raw<'_>>(place) {
        Ok(Raw(bytes)) => Ok(bytes),
        Err(_) => Err(Fault::Answer("a row has too few columns")),
    }
}

/// One output column of a query's row.
pub(super) fn output(row: &Row, output: Output) -> Result<Value, Fault> {
    let (place, storage) = match output {
        Output::Null => return Ok(Value::Null),
        Output::At { place, storage } => (place, storage),
        Output::Wide { place, scale } => (place, Storage::Decimal { scale }),
    };
    let Some(bytes) = raw(row, place)? else { return Ok(Value::Null) };
    match storage {
        Storage::Lookup(LookupTable::Fixed(None)) => Ok(Value::Null),
        Storage::Lookup(LookupTable::Fixed(Some(table))) => lookup(table, bytes),
        Storage::Lookup(LookupTable::Column) => match raw(row, place + 1)? {
            None => Ok(Value::Null),
            Some(number) => {
                let number = i32::from_be_bytes(fixed(number, Form::Int4)?);
                let number =
                    u32::try_from(number).map_err(|_| Fault::Unreadable(Form::Int4.name()))?;
                lookup(TableId(number), bytes)
            }
        },
        storage => value(storage, bytes),
    }
}

fn lookup(table: TableId, bytes: &[u8]) -> Result<Value, Fault> {
    let id = Uuid::from_bytes(fixed(bytes, Form::Uuid)?);
    Ok(Value::Lookup(LookupValue { table, id }))
}

fn value(storage: Storage, bytes: &[u8]) -> Result<Value, Fault> {
    let form = Form::of(storage);
    let unreadable = || Fault::Unreadable(form.name());
    Ok(match form {
        Form::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| unreadable())?;
            match storage {
                Storage::Choices => Value::Choices(choices_of(text).ok_or_else(unreadable)?),
                _ => Value::Text(text.into()),
            }
        }
        Form::Int4 => Value::Integer(i32::from_be_bytes(fixed(bytes, form)?)),
        Form::Int8 => Value::BigInt(i64::from_be_bytes(fixed(bytes, form)?)),
        Form::Numeric => {
            let number = Decimal::from_sql(&Type::NUMERIC, bytes).map_err(|_| unreadable())?;
            Value::Decimal(number)
        }
        Form::Float8 => Value::Double(f64::from_be_bytes(fixed(bytes, form)?)),
        Form::Bool => Value::Boolean(bytes.first() == Some(&1)),
        Form::Instant => {
            let micros = i64::from_be_bytes(fixed(bytes, form)?);
            Value::DateTime(Timestamp(micros.div_euclid(MICROSECONDS) + EPOCH_SECONDS))
        }
        Form::Day => {
            let days = i32::from_be_bytes(fixed(bytes, form)?);
            Value::Date(Date(days.checked_add(EPOCH_DAYS).ok_or_else(unreadable)?))
        }
        Form::Uuid => Value::Guid(Uuid::from_bytes(fixed(bytes, form)?)),
        Form::Bytes => return Err(unreadable()),
    })
}

fn fixed<const N: usize>(bytes: &[u8], form: Form) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::Unreadable(form.name()))
}

/// An id that is not null.
pub(super) fn id(row: &Row, place: usize) -> Result<Uuid, Fault> {
    let bytes = raw(row, place)?.ok_or(Fault::Answer("an id is null"))?;
    Ok(Uuid::from_bytes(fixed(bytes, Form::Uuid)?))
}

/// A 64-bit number that is not null.
pub(super) fn int8(row: &Row, place: usize) -> Result<i64, Fault> {
    let bytes = raw(row, place)?.ok_or(Fault::Answer("a number is null"))?;
    Ok(i64::from_be_bytes(fixed(bytes, Form::Int8)?))
}

/// A text that is not null.
pub(super) fn text(row: &Row, place: usize) -> Result<String, Fault> {
    let bytes = raw(row, place)?.ok_or(Fault::Answer("a text is null"))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Fault::Unreadable(Form::Text.name()))
}
