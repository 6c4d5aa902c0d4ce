//! Records as a Parquet file: typed columns, as the table has them.
//!
//! In: records. Out: a file of row groups. What has no type of its own there is text, as in NDJSON: ids, lookups, several
//! choices, and what people read.
//! Invariant: a value is written as it is or not at all; memory holds one row group.

use super::columns::{From, Shown};
use super::output::{Record, Row};
use crate::compression::Sink;
use model::{Catalog, Column, ColumnKind, DateTimeBehavior, Decimal, Table, Value};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray,
    FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::sync::Arc;

/// Rows of a group, …
const ROWS_MAX: usize = 65_536;
/// … or bytes: one row may exceed it.
const BYTES_MAX: usize = 16 << 20;
/// Digits and bytes of a decimal number: all that a column can hold.
const DIGITS: i32 = 38;
const DECIMAL_BYTES: i32 = 16;

/// The values of a column that wait for their group.
enum Values {
    Boolean(Vec<bool>),
    Integer(Vec<i32>),
    BigInt(Vec<i64>),
    Double(Vec<f64>),
    /// With so many digits after the point.
    Decimal(Vec<FixedLenByteArray>, u32),
    Day(Vec<i32>),
    /// Whether it is in UTC, or without a zone.
    Instant(Vec<i64>, bool),
    Text(Vec<ByteArray>),
}

struct Kept {
    name: String,
    values: Values,
    /// One for each row: whether it has a value.
    levels: Vec<i16>,
}

/// Writes a file.
pub(super) struct Writer {
    out: SerializedFileWriter<Sink>,
    columns: Vec<Kept>,
    rows: usize,
    bytes: usize,
}

impl Writer {
    pub(super) fn new(out: Sink, columns: &[Shown], table: &Table) -> std::io::Result<Self> {
        let columns: Vec<Kept> = columns
            .iter()
            .map(|shown| {
                let values = match &shown.from {
                    From::Column(index) => values(table.column(*index)),
                    From::Property(..) | From::Companion(_) => Values::Text(Vec::new()),
                };
                Kept { name: shown.header.clone(), values, levels: Vec::new() }
            })
            .collect();
        let fields = columns.iter().map(|column| column.field().map(Arc::new));
        let fields = fields.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let schema = Type::group_type_builder("records").with_fields(fields).build();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("sheaf {}", env!("CARGO_PKG_VERSION")))
            .build();
        let schema = Arc::new(schema.map_err(failed)?);
        let out = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self { out, columns, rows: 0, bytes: 0 })
    }

    pub(super) fn write(
        &mut self,
        columns: &[Shown],
        catalog: &Catalog,
        records: &[Record],
    ) -> std::io::Result<()> {
        let mut row = Row::new(columns);
        let mut typed: Vec<Option<&Value>> = Vec::new();
        for record in records {
            row.fill(columns, catalog, record);
            typed.clear();
            typed.resize(columns.len(), None);
            for cell in &record.read.cells {
                if let Some(place) = row.place(cell.column) {
                    typed[place] = Some(&cell.value).filter(|value| !value.is_null());
                }
            }
            for (place, kept) in self.columns.iter_mut().enumerate() {
                self.bytes += kept.add(typed[place], row.text(place))?;
            }
            self.rows += 1;
            if self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> std::io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.out.next_row_group().map_err(failed)?;
        for kept in &mut self.columns {
            let column = group.next_column().map_err(failed)?;
            let column = column.ok_or_else(|| std::io::Error::other("a column is missing"))?;
            kept.write(column).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.end_group()?;
        self.out.into_inner().map_err(failed)?.finish()
    }
}

fn values(column: &Column) -> Values {
    match &column.kind {
        ColumnKind::Boolean { .. } => Values::Boolean(Vec::new()),
        ColumnKind::Integer { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => Values::Integer(Vec::new()),
        ColumnKind::BigInt => Values::BigInt(Vec::new()),
        ColumnKind::Double { .. } => Values::Double(Vec::new()),
        ColumnKind::Decimal { precision, .. } | ColumnKind::Money { precision, .. } => {
            Values::Decimal(Vec::new(), u32::from(*precision))
        }
        ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => {
            Values::Day(Vec::new())
        }
        ColumnKind::DateTime { behavior, .. } => {
            Values::Instant(Vec::new(), *behavior == DateTimeBehavior::UserLocal)
        }
        ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::TableName
        | ColumnKind::Guid
        | ColumnKind::Lookup { .. }
        | ColumnKind::MultiChoice { .. }
        | ColumnKind::File { .. }
        | ColumnKind::Image { .. } => Values::Text(Vec::new()),
    }
}

impl Kept {
    fn field(&self) -> Result<Type, ParquetError> {
        let of = |physical, logical| {
            Type::primitive_type_builder(&self.name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical)
        };
        match &self.values {
            Values::Boolean(_) => of(Physical::BOOLEAN, None),
            Values::Integer(_) => of(Physical::INT32, None),
            Values::BigInt(_) => of(Physical::INT64, None),
            Values::Double(_) => of(Physical::DOUBLE, None),
            Values::Decimal(_, scale) => {
                let scale = i32::try_from(*scale).unwrap_or(DIGITS);
                of(Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(scale, DIGITS)))
                    .with_length(DECIMAL_BYTES)
                    .with_precision(DIGITS)
                    .with_scale(scale)
            }
            Values::Day(_) => of(Physical::INT32, Some(LogicalType::Date)),
            Values::Instant(_, is_utc) => {
                let logical = LogicalType::timestamp(*is_utc, TimeUnit::MILLIS);
                of(Physical::INT64, Some(logical))
            }
            Values::Text(_) => of(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        }
        .build()
    }

    /// Keeps the value of a row; answers about how many bytes it has.
    fn add(&mut self, value: Option<&Value>, text: Option<&str>) -> std::io::Result<usize> {
        let mut bytes = 8;
        let mut is_there = true;
        match (&mut self.values, value) {
            (Values::Text(all), _) => match text {
                Some(text) => {
                    bytes += text.len();
                    all.push(ByteArray::from(text.as_bytes().to_vec()));
                }
                None => is_there = false,
            },
            (_, None) => is_there = false,
            (Values::Boolean(all), Some(Value::Boolean(value))) => all.push(*value),
            (Values::Integer(all), Some(Value::Integer(value))) => all.push(*value),
            (Values::BigInt(all), Some(Value::BigInt(value))) => all.push(*value),
            (Values::Double(all), Some(Value::Double(value))) => all.push(*value),
            (Values::Day(all), Some(Value::Date(day))) => all.push(day.0),
            (Values::Instant(all, _), Some(Value::DateTime(at))) => all.push(at.0 * 1_000),
            (Values::Decimal(all, scale), Some(Value::Decimal(number))) => {
                let number = exact(*number, *scale).ok_or_else(|| {
                    let name = &self.name;
                    std::io::Error::other(format!(
                        "column `{name}`: {number} has more digits after the point than the column ({scale})"
                    ))
                })?;
                bytes += 8;
                all.push(FixedLenByteArray::from(number.mantissa().to_be_bytes().to_vec()));
            }
            (_, Some(other)) => {
                let text = format!("column `{}`: {other:?} is not of its type", self.name);
                return Err(std::io::Error::other(text));
            }
        }
        self.levels.push(is_there.into());
        Ok(bytes)
    }

    fn write(&mut self, column: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = &self.levels;
        match &mut self.values {
            Values::Boolean(all) => put::<BoolType>(column, all, levels),
            Values::Integer(all) | Values::Day(all) => put::<Int32Type>(column, all, levels),
            Values::BigInt(all) | Values::Instant(all, _) => put::<Int64Type>(column, all, levels),
            Values::Double(all) => put::<DoubleType>(column, all, levels),
            Values::Decimal(all, _) => put::<FixedLenByteArrayType>(column, all, levels),
            Values::Text(all) => put::<ByteArrayType>(column, all, levels),
        }?;
        self.levels.clear();
        Ok(())
    }
}

fn put<T: DataType>(
    mut column: SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
    levels: &[i16],
) -> Result<(), ParquetError> {
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    values.clear();
    column.close()
}

/// The number with so many digits after the point, if it has no more.
fn exact(number: Decimal, scale: u32) -> Option<Decimal> {
    let mut scaled = number;
    scaled.rescale(scale);
    (scaled == number && scaled.scale() == scale).then_some(scaled)
}

fn failed(error: ParquetError) -> std::io::Error {
    std::io::Error::other(error)
}
