//! Flat lists that a guest made, to model.
//!
//! Errors: [`Malformed`] where lists do not hold together (that is the guest's crash), [`Refused`] where a well
//! formed value does not fit its column (that is the usual fault of the column).

use super::{CONTEXT_BYTES_MAX, joined};
use crate::bindings::sheaf::plugin::types::{
    Batch, Cell as FlatCell, Decimal as FlatDecimal, EntityRef, Payload, Row, Span, Value as Flat,
};
use model::{
    Catalog, Cell, Column, ColumnIndex, ColumnKind, DateTimeBehavior, Decimal, ErrorCode, KeyValue,
    LookupValue, Table, Target, TargetKey, Timestamp, Uuid, Value, code,
};
use pipeline::step::{ParameterValue, Record};
use std::cell::Cell as Counter;
use std::sync::Arc;

/// A guest answered or sent lists that do not hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed lists: {0}")]
pub(crate) struct Malformed(pub String);

fn malformed(what: impl Into<String>) -> Malformed {
    Malformed(what.into())
}

/// A well-formed value, or name, that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The code of what does not fit.
    pub code: ErrorCode,
    /// Which column, if one is to blame.
    pub column: Option<Box<str>>,
    /// Why.
    pub message: String,
}

/// Why rows could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The lists do not hold together.
    Malformed(Malformed),
    /// Something in row `index` does not fit.
    Refused {
        /// Place of the row in its batch, from 0.
        index: usize,
        /// What does not.
        refused: Refused,
    },
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Reads one payload.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    catalog: &'a Catalog,
    payload: &'a Payload,
    /// How many bytes may still be made of it: spans may overlap, so its own size is no bound.
    left: Counter<u64>,
}

/// What a cell costs at least, once it is read.
const CELL_BYTES: usize = size_of::<Cell>();

impl<'a> Reader<'a> {
    /// Lookups of the payload name tables of this catalog.
    pub(crate) fn new(catalog: &'a Catalog, payload: &'a Payload) -> Self {
        Self { catalog, payload, left: Counter::new(CONTEXT_BYTES_MAX) }
    }

    fn spend(&self, bytes: usize) -> Result<(), Malformed> {
        let left = self.left.get().checked_sub(bytes as u64);
        self.left.set(left.ok_or_else(|| malformed("the lists unfold to more than they may"))?);
        Ok(())
    }

    /// A name by its place.
    pub(crate) fn name(&self, place: u32) -> Result<&'a str, Malformed> {
        let names = &self.payload.names;
        get(names, place)
            .map(String::as_str)
            .ok_or_else(|| malformed(format!("name {place} of {} does not exist", names.len())))
    }

    /// Bytes of the arena.
    pub(crate) fn bytes(&self, span: Span) -> Result<&'a [u8], Malformed> {
        if span.len == 0 {
            return Ok(&[]);
        }
        self.spend(usize::try_from(span.len).unwrap_or(usize::MAX))?;
        let arena = &self.payload.arena;
        let range = usize::try_from(span.at).ok().and_then(|at| {
            let end = at.checked_add(usize::try_from(span.len).ok()?)?;
            arena.get(at..end)
        });
        range.ok_or_else(|| {
            malformed(format!(
                "span {}+{} is outside of the arena of {} bytes",
                span.at,
                span.len,
                arena.len()
            ))
        })
    }

    /// Text of the arena.
    pub(crate) fn text(&self, span: Span) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(span)?)
            .map_err(|error| malformed(format!("text at {} is no UTF-8: {error}", span.at)))
    }

    fn choices(&self, span: Span) -> Result<Vec<i32>, Malformed> {
        if span.len == 0 {
            return Ok(Vec::new());
        }
        if !span.at.is_multiple_of(4) || !span.len.is_multiple_of(4) {
            return Err(malformed(format!("choices at {}+{} are not aligned", span.at, span.len)));
        }
        let bytes = self.bytes(span)?.as_chunks::<4>().0;
        Ok(bytes.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    /// A batch by its place.
    pub(crate) fn batch(&self, place: u32) -> Result<&'a Batch, Malformed> {
        get(&self.payload.batches, place)
            .ok_or_else(|| malformed(format!("batch {place} does not exist")))
    }

    /// Rows as targets of the table that their batch names.
    pub(crate) fn targets(&self, place: u32) -> Result<(Arc<Table>, Vec<Target>), Error> {
        let batch = self.batch(place)?;
        let name = self.name(batch.table)?;
        let Some(table) = self.catalog.table(name) else {
            let message =
                format!("The entity with a name = '{name}' was not found in the MetadataCache.");
            let refused = Refused { code: code::QUERY_BUILDER_NO_ENTITY, column: None, message };
            return Err(Error::Refused { index: 0, refused });
        };
        let mut targets = Vec::with_capacity(batch.rows.len());
        for (index, row) in batch.rows.iter().enumerate() {
            self.spend(size_of::<Target>())?;
            targets.push(self.target(table, batch, row, index)?);
        }
        Ok((table.clone(), targets))
    }

    fn target(
        &self,
        table: &Table,
        batch: &Batch,
        row: &Row,
        index: usize,
    ) -> Result<Target, Error> {
        let mut target = Target::default();
        let id = joined(row.id);
        if !id.is_nil() {
            target.key = TargetKey::Id(id);
        }
        for flat in cells(batch, row.first, row.count)? {
            let (column, value) = self.read_cell(table, flat, index)?;
            self.spend(CELL_BYTES)?;
            if column == table.primary_key {
                match value {
                    Value::Guid(named) if id.is_nil() || id == named => {
                        target.key = TargetKey::Id(named);
                    }
                    _ => {
                        let message = "The primary key among the columns is not the id of the row.";
                        let refused = refused(table.column(column), message);
                        return Err(Error::Refused { index, refused });
                    }
                }
            } else if target.cells.iter().any(|cell| cell.column == column) {
                let refused = refused(table.column(column), "The column is there twice.");
                return Err(Error::Refused { index, refused });
            } else {
                target.cells.push(Cell { column, value });
            }
        }
        if row.key_count > 0 {
            target.key = TargetKey::Alternate(self.key(table, batch, row, index)?);
        }
        if row.row_version > 0 {
            target.expected_version = Some(i64::try_from(row.row_version).unwrap_or(i64::MAX));
        }
        Ok(target)
    }

    fn key(
        &self,
        table: &Table,
        batch: &Batch,
        row: &Row,
        index: usize,
    ) -> Result<KeyValue, Error> {
        let mut pairs = Vec::new();
        for flat in cells(batch, row.first_key, row.key_count)? {
            self.spend(CELL_BYTES)?;
            pairs.push(self.read_cell(table, flat, index)?);
        }
        let columns: Vec<_> = pairs.iter().map(|(column, _)| *column).collect();
        let no_key = || Error::Refused {
            index,
            refused: Refused {
                code: code::INVALID_ARGUMENT,
                column: None,
                message: format!(
                    "The key columns of the row are no alternate key of `{}`.",
                    table.logical_name
                ),
            },
        };
        let key = table.key_over(&columns).ok_or_else(no_key)?;
        let values = table.key(key).columns.iter().map(|wanted| {
            let pair = pairs.iter().find(|(column, _)| column == wanted);
            pair.map(|(_, value)| value.clone()).filter(|value| !value.is_null())
        });
        Ok(KeyValue { key, values: values.collect::<Option<_>>().ok_or_else(no_key)? })
    }

    fn read_cell(
        &self,
        table: &Table,
        flat: &FlatCell,
        index: usize,
    ) -> Result<(ColumnIndex, Value), Error> {
        let name = self.name(flat.column)?;
        let column =
            self.column(table, name).map_err(|refused| Error::Refused { index, refused })?;
        let value = self.value(table.column(column), &flat.value)?;
        match value {
            Ok(value) => Ok((column, value)),
            Err(refused) => Err(Error::Refused { index, refused }),
        }
    }

    /// A column by its logical name.
    pub(crate) fn column(&self, table: &Table, name: &str) -> Result<ColumnIndex, Refused> {
        table.index_of(name).ok_or_else(|| Refused {
            code: code::QUERY_BUILDER_NO_ATTRIBUTE,
            column: Some(name.into()),
            message: format!(
                "'{}' entity doesn't contain attribute with Name = '{name}'.",
                table.logical_name
            ),
        })
    }

    /// A value for a column: malformed, or else fitting or not.
    pub(crate) fn value(
        &self,
        column: &Column,
        flat: &Flat,
    ) -> Result<Result<Value, Refused>, Malformed> {
        let fitting = match (&column.kind, flat) {
            (_, Flat::Null) => Some(Value::Null),
            (
                ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName,
                Flat::Text(span),
            ) => Some(Value::text(self.text(*span)?)),
            (ColumnKind::Integer { .. }, Flat::Integer(number)) => Some(Value::Integer(*number)),
            (
                ColumnKind::Choice { .. } | ColumnKind::State { .. } | ColumnKind::Status { .. },
                Flat::Choice(number) | Flat::Integer(number),
            ) => Some(Value::Integer(*number)),
            (ColumnKind::BigInt, Flat::BigInteger(number)) => Some(Value::BigInt(*number)),
            (ColumnKind::BigInt, Flat::Integer(number)) => Some(Value::BigInt(i64::from(*number))),
            (
                ColumnKind::Decimal { .. } | ColumnKind::Money { .. },
                Flat::Decimal(number) | Flat::Money(number),
            ) => match decimal(*number) {
                Some(number) => Some(Value::Decimal(number)),
                None => {
                    let message = "The number has more digits than a decimal may have.";
                    let code = code::DECIMAL_VALUE_OUT_OF_RANGE;
                    return Ok(Err(Refused { code, ..refused(column, message) }));
                }
            },
            (ColumnKind::Decimal { .. } | ColumnKind::Money { .. }, Flat::Integer(number)) => {
                Some(Value::Decimal(Decimal::from(*number)))
            }
            (ColumnKind::Double { .. }, Flat::Double(number)) => Some(Value::Double(*number)),
            (ColumnKind::Double { .. }, Flat::Integer(number)) => {
                Some(Value::Double(f64::from(*number)))
            }
            (ColumnKind::Boolean { .. }, Flat::Boolean(flag)) => Some(Value::Boolean(*flag)),
            (ColumnKind::DateTime { behavior, .. }, Flat::DateTime(at)) => {
                match instant(*behavior, *at) {
                    Some(value) => Some(value),
                    None => {
                        let message = "The date is before 1753 or after 9999.";
                        let code = code::INVALID_DATE_TIME;
                        return Ok(Err(Refused { code, ..refused(column, message) }));
                    }
                }
            }
            (ColumnKind::Guid, Flat::Id(id)) => Some(Value::Guid(joined(*id))),
            (ColumnKind::MultiChoice { .. }, Flat::Choices(span)) => {
                let mut choices = self.choices(*span)?;
                choices.sort_unstable();
                choices.dedup();
                Some(match choices.is_empty() {
                    true => Value::Null,
                    false => Value::Choices(choices.into()),
                })
            }
            (ColumnKind::Lookup { .. }, Flat::Lookup(reference)) => {
                return self.lookup(column, reference);
            }
            _ => None,
        };
        Ok(fitting.ok_or_else(|| {
            let message = format!("The column does not take {}.", kind_of(flat));
            refused(column, &message)
        }))
    }

    fn lookup(
        &self,
        column: &Column,
        reference: &EntityRef,
    ) -> Result<Result<Value, Refused>, Malformed> {
        let name = self.name(reference.table)?;
        let ColumnKind::Lookup { targets, .. } = &column.kind else {
            return Ok(Err(refused(column, "The column is no lookup.")));
        };
        let table = self.catalog.table(name);
        let table = table.filter(|_| targets.iter().any(|target| &*target.table == name));
        Ok(match table {
            Some(table) => {
                Ok(Value::Lookup(LookupValue { table: table.id, id: joined(reference.id) }))
            }
            None => Err(refused(column, &format!("The column does not point to `{name}`."))),
        })
    }

    /// The value of a parameter or shared variable.
    pub(crate) fn parameter(&self, flat: &Flat) -> Result<ParameterValue, Error> {
        self.spend(size_of::<ParameterValue>())?;
        let one = match flat {
            Flat::Null => Value::Null,
            Flat::Boolean(flag) => Value::Boolean(*flag),
            Flat::Integer(number) => Value::Integer(*number),
            Flat::BigInteger(number) => Value::BigInt(*number),
            Flat::Double(number) => Value::Double(*number),
            Flat::Decimal(number) => Value::Decimal(whole(*number)?),
            Flat::Money(number) => return Ok(ParameterValue::Money(whole(*number)?)),
            Flat::Text(span) => Value::text(self.text(*span)?),
            Flat::DateTime(at) => instant(DateTimeBehavior::UserLocal, *at)
                .ok_or_else(|| malformed("a date is before 1753 or after 9999"))?,
            Flat::Id(id) => Value::Guid(joined(*id)),
            Flat::Choice(number) => return Ok(ParameterValue::Choice(*number)),
            Flat::Choices(span) => Value::Choices(self.choices(*span)?.into()),
            Flat::Lookup(reference) => {
                let name = self.name(reference.table)?;
                let table = self.catalog.table(name);
                let table = table.ok_or_else(|| malformed(format!("no table is `{name}`")))?;
                Value::Lookup(LookupValue { table: table.id, id: joined(reference.id) })
            }
            Flat::Bytes(span) => return Ok(ParameterValue::Bytes(self.bytes(*span)?.into())),
            Flat::Rows(place) => return self.rows(*place),
        };
        Ok(ParameterValue::One(one))
    }

    /// Rows of a parameter: ids alone where their batch names no table.
    fn rows(&self, place: u32) -> Result<ParameterValue, Error> {
        let batch = self.batch(place)?;
        if self.name(batch.table)?.is_empty() {
            self.spend(batch.rows.len().saturating_mul(size_of::<Uuid>()))?;
            return Ok(ParameterValue::Ids(batch.rows.iter().map(|row| joined(row.id)).collect()));
        }
        let (table, targets) = self.targets(place)?;
        let records = targets.into_iter().map(|target| record(&table, target)).collect();
        Ok(ParameterValue::Records(table, records))
    }
}

/// A target as a record: the primary key is among its columns.
fn record(table: &Table, target: Target) -> Record {
    let mut this = Record {
        cells: target.cells.into(),
        version: target.expected_version,
        ..Record::default()
    };
    match target.key {
        TargetKey::None => {}
        TargetKey::Id(id) => {
            this.id = Some(id);
            this.cells.push(Cell { column: table.primary_key, value: Value::Guid(id) });
        }
        TargetKey::Alternate(key) => this.key = Some(key),
    }
    this
}

fn get<T>(list: &[T], place: u32) -> Option<&T> {
    list.get(usize::try_from(place).ok()?)
}

fn cells(batch: &Batch, first: u32, count: u32) -> Result<&[FlatCell], Malformed> {
    let range = usize::try_from(first).ok().and_then(|first| {
        let end = first.checked_add(usize::try_from(count).ok()?)?;
        batch.cells.get(first..end)
    });
    range.ok_or_else(|| {
        malformed(format!("cells {first}+{count} of {} do not exist", batch.cells.len()))
    })
}

fn refused(column: &Column, message: &str) -> Refused {
    Refused {
        code: code::INVALID_ARGUMENT,
        column: Some(column.logical_name.clone()),
        message: message.to_owned(),
    }
}

fn whole(number: FlatDecimal) -> Result<Decimal, Malformed> {
    decimal(number).ok_or_else(|| malformed("a number has more digits than a decimal may have"))
}

fn decimal(number: FlatDecimal) -> Option<Decimal> {
    let mantissa = (i128::from(number.hi) << 64) | i128::from(number.lo);
    Decimal::try_from_i128_with_scale(mantissa, u32::from(number.scale)).ok()
}

fn instant(behavior: DateTimeBehavior, milliseconds: i64) -> Option<Value> {
    let at = Timestamp(milliseconds.div_euclid(1_000));
    if !(Timestamp::MIN..=Timestamp::MAX).contains(&at) {
        return None;
    }
    Some(match behavior {
        DateTimeBehavior::DateOnly => Value::Date(at.date()),
        DateTimeBehavior::UserLocal | DateTimeBehavior::TimeZoneIndependent => Value::DateTime(at),
    })
}

fn kind_of(flat: &Flat) -> &'static str {
    match flat {
        Flat::Null => "nothing",
        Flat::Boolean(_) => "a yes or no",
        Flat::Integer(_) => "a whole number",
        Flat::BigInteger(_) => "a 64-bit whole number",
        Flat::Double(_) => "a floating point number",
        Flat::Decimal(_) => "a decimal",
        Flat::Money(_) => "money",
        Flat::Text(_) => "text",
        Flat::DateTime(_) => "a date",
        Flat::Id(_) => "an id",
        Flat::Choice(_) => "a choice",
        Flat::Choices(_) => "choices",
        Flat::Lookup(_) => "a lookup",
        Flat::Bytes(_) => "bytes",
        Flat::Rows(_) => "rows",
    }
}
