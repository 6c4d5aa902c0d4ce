//! Parquet files: each row as a line of NDJSON, so that what follows need not know of them.
//!
//! In: a file, of which any place can be read. Out: lines, one for each row, with all columns.
//! Not here: what the values mean to a table (`mapping`).
//! Invariant: memory holds a page of each column and a few rows; a value keeps its digits and its instant, or the file is
//! refused with the name of the column before a row is read.

use super::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use uuid::Uuid;

/// The first bytes of a file.
pub(super) const MARK: &[u8] = b"PAR1";
/// Rows whose texts are held at once.
const ROWS_AT_ONCE: usize = 128;
/// Numbers of more digits are refused.
const DIGITS_MAX: i32 = 38;

/// How a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Numbers, yes and no.
    Plain,
    Unsigned,
    /// With so many digits after the point.
    Decimal(usize),
    Text,
    /// As base64.
    Binary,
    Guid,
    /// A float of 16 bits.
    Half,
    Day,
    /// Of so many parts of a second, since midnight.
    Time(i64),
    /// Of so many parts of a second, since 1970; in UTC, or without a zone.
    Instant {
        parts: i64,
        is_utc: bool,
    },
}

struct Column {
    /// As JSON.
    name: String,
    form: Form,
    levels: i16,
    /// The texts of the rows at hand, one after another, and where each ends.
    texts: Vec<u8>,
    ends: Vec<usize>,
}

/// A file, read as NDJSON.
pub struct Parquet {
    reader: SerializedFileReader<File>,
    columns: Vec<Column>,
    names: Vec<String>,
    rows: u64,
    next_group: usize,
    /// The columns of the group that is read, and its rows that are still to come.
    group: Vec<ColumnReader>,
    left: usize,
    /// Lines, and how much of them is handed on.
    lines: Vec<u8>,
    taken: usize,
}

impl Parquet {
    /// Reads which columns there are.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.as_os_str() == "-" {
            return Err(Error::Stream);
        }
        let cannot = |source| Error::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(Error::Stream);
        }
        let bad = |why: String| Error::Read {
            line: 0,
            why: format!("`{}` cannot be read as Parquet: {why}", path.display()),
        };
        let bytes = file.metadata().map_err(cannot)?.len();
        let reader = guarded(|| SerializedFileReader::new(file).map_err(|err| err.to_string()));
        let reader = reader.map_err(&bad)?;
        check_places(reader.metadata(), bytes).map_err(&bad)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let (mut columns, mut names) = (Vec::new(), Vec::<String>::new());
        for column in schema.columns() {
            let name = column.path().parts().first().cloned().unwrap_or_default();
            if column.path().parts().len() > 1 || column.max_rep_level() > 0 {
                return Err(bad(format!("column `{name}` is nested")));
            }
            if names.contains(&name) {
                return Err(Error::RepeatedHeader(name));
            }
            let form = form(column).map_err(|why| bad(format!("column `{name}`: {why}")))?;
            columns.push(Column {
                name: serde_json::Value::from(name.as_str()).to_string(),
                form,
                levels: column.max_def_level(),
                texts: Vec::new(),
                ends: Vec::new(),
            });
            names.push(name);
        }
        if columns.is_empty() {
            return Err(Error::NoHeaders);
        }
        let rows = reader.metadata().file_metadata().num_rows();
        let rows = u64::try_from(rows).map_err(|_| bad("it has a negative size".to_owned()))?;
        Ok(Self {
            reader,
            columns,
            names,
            rows,
            next_group: 0,
            group: Vec::new(),
            left: 0,
            lines: Vec::new(),
            taken: 0,
        })
    }

    /// The names of its columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads some more rows; whether there were any.
    fn advance(&mut self) -> Result<bool, String> {
        self.lines.clear();
        self.taken = 0;
        while self.left == 0 {
            if self.next_group >= self.reader.num_row_groups() {
                return Ok(false);
            }
            let group =
                self.reader.get_row_group(self.next_group).map_err(|err| err.to_string())?;
            self.next_group += 1;
            let rows = group.metadata().num_rows();
            self.left = usize::try_from(rows).map_err(|_| "a negative size".to_owned())?;
            let columns = (0..self.columns.len()).map(|place| group.get_column_reader(place));
            self.group = columns.collect::<Result<_, _>>().map_err(|err| err.to_string())?;
        }
        let rows = self.left.min(ROWS_AT_ONCE);
        for (column, reader) in self.columns.iter_mut().zip(&mut self.group) {
            let read = column.read(reader, rows);
            read.map_err(|why| format!("column {}: {why}", column.name))?;
        }
        self.left -= rows;
        for row in 0..rows {
            for (place, column) in self.columns.iter().enumerate() {
                self.lines.push(if place == 0 { b'{' } else { b',' });
                self.lines.extend_from_slice(column.name.as_bytes());
                self.lines.push(b':');
                self.lines.extend_from_slice(column.text(row));
            }
            self.lines.extend_from_slice(b"}\n");
        }
        Ok(true)
    }
}

impl Read for Parquet {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.taken >= self.lines.len()
            && !guarded(|| self.advance())
                .map_err(|why| std::io::Error::other(format!("Parquet: {why}")))?
        {
            return Ok(0);
        }
        let read = self.lines.get(self.taken..).unwrap_or_default().read(buffer)?;
        self.taken += read;
        Ok(read)
    }
}

/// Every column of every group must lie in the file.
fn check_places(metadata: &ParquetMetaData, bytes: u64) -> Result<(), String> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    for column in columns {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let end = start.checked_add(column.compressed_size());
        let end = end.filter(|end| start >= 0 && *end >= start).map(i64::cast_unsigned);
        if end.is_none_or(|end| end > bytes) {
            return Err("a column does not lie in the file".to_owned());
        }
    }
    Ok(())
}

/// What reads a damaged file may panic where it trusts the numbers in it; the reader is of no use after that.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("the file is damaged".to_owned()))
}

impl Column {
    fn text(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(row).copied().unwrap_or_default();
        self.texts.get(start.unwrap_or_default()..end).unwrap_or_default()
    }

    fn read(&mut self, reader: &mut ColumnReader, rows: usize) -> Result<(), String> {
        let form = self.form;
        match reader {
            ColumnReader::BoolColumnReader(reader) => self.fill(reader, rows, plain),
            ColumnReader::Int32ColumnReader(reader) => {
                self.fill(reader, rows, |out, value| whole(out, form, (*value).into(), 32))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                self.fill(reader, rows, |out, value| whole(out, form, *value, 64))
            }
            ColumnReader::Int96ColumnReader(reader) => {
                self.fill(reader, rows, |out, value| whole(out, form, value.to_micros(), 64))
            }
            ColumnReader::FloatColumnReader(reader) => {
                self.fill(reader, rows, |out, value| float(out, *value, value.is_finite()))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                self.fill(reader, rows, |out, value| float(out, *value, value.is_finite()))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                self.fill(reader, rows, |out, value: &ByteArray| bytes(out, form, value.data()))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                self.fill(reader, rows, |out, value: &FixedLenByteArray| {
                    bytes(out, form, value.data())
                })
            }
        }
    }

    fn fill<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        write: impl Fn(&mut Vec<u8>, &T::T) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let read = reader.read_records(rows, Some(&mut levels), None, &mut values);
        let (read, ..) = read.map_err(|err| err.to_string())?;
        if read != rows {
            return Err("it ends before the others".to_owned());
        }
        self.texts.clear();
        self.ends.clear();
        let mut values = values.iter();
        for row in 0..rows {
            // A column whose values are all there has no levels.
            let is_there = levels.get(row).is_none_or(|level| *level == self.levels);
            match is_there {
                true => {
                    let value = values.next().ok_or("it has fewer values than it says")?;
                    write(&mut self.texts, value)?;
                }
                false => self.texts.extend_from_slice(b"null"),
            }
            self.ends.push(self.texts.len());
        }
        Ok(())
    }
}

/// Errors: why such values mean nothing here.
fn form(column: &ColumnDescriptor) -> Result<Form, String> {
    let parts = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    };
    let decimal = |scale: i32, precision: i32| match usize::try_from(scale) {
        Ok(scale) if precision <= DIGITS_MAX => Ok(Form::Decimal(scale)),
        _ => Err(format!("numbers of {precision} digits are not read, but up to {DIGITS_MAX}")),
    };
    if let Some(logical) = column.logical_type_ref() {
        return match logical {
            LogicalType::String | LogicalType::Enum | LogicalType::Json => Ok(Form::Text),
            LogicalType::Decimal(kind) => decimal(kind.scale, kind.precision),
            LogicalType::Date => Ok(Form::Day),
            LogicalType::Time(kind) => Ok(Form::Time(parts(&kind.unit))),
            LogicalType::Timestamp(kind) => {
                let parts = parts(&kind.unit);
                Ok(Form::Instant { parts, is_utc: kind.is_adjusted_to_u_t_c })
            }
            LogicalType::Integer(kind) if !kind.is_signed => Ok(Form::Unsigned),
            // The second has nothing but nulls.
            LogicalType::Integer(_) | LogicalType::Unknown => Ok(Form::Plain),
            LogicalType::Uuid => Ok(Form::Guid),
            LogicalType::Float16 => Ok(Form::Half),
            other => Err(format!("values of type {other:?} are not read")),
        };
    }
    match (column.converted_type(), column.physical_type()) {
        (ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON, _) => Ok(Form::Text),
        (ConvertedType::DECIMAL, _) => decimal(column.type_scale(), column.type_precision()),
        (ConvertedType::DATE, _) => Ok(Form::Day),
        (ConvertedType::TIME_MILLIS, _) => Ok(Form::Time(1_000)),
        (ConvertedType::TIME_MICROS, _) => Ok(Form::Time(1_000_000)),
        (ConvertedType::TIMESTAMP_MILLIS, _) => Ok(Form::Instant { parts: 1_000, is_utc: true }),
        // An old type that only instants have.
        (ConvertedType::TIMESTAMP_MICROS, _) | (ConvertedType::NONE, Physical::INT96) => {
            Ok(Form::Instant { parts: 1_000_000, is_utc: true })
        }
        (
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64,
            _,
        ) => Ok(Form::Unsigned),
        (ConvertedType::NONE, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => {
            Ok(Form::Binary)
        }
        (
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64,
            _,
        ) => Ok(Form::Plain),
        (other, _) => Err(format!("values of type {other} are not read")),
    }
}

fn plain(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|err| err.to_string())
}

fn float(
    out: &mut Vec<u8>,
    value: impl Serialize + ToString,
    is_finite: bool,
) -> Result<(), String> {
    // What is no number is told by its name, and fails its row where a number is wanted.
    if is_finite { plain(out, &value) } else { plain(out, &value.to_string()) }
}

fn whole(out: &mut Vec<u8>, form: Form, value: i64, bits: u32) -> Result<(), String> {
    match form {
        Form::Unsigned if bits == 32 => plain(out, &(value & 0xffff_ffff)),
        Form::Unsigned => plain(out, &value.cast_unsigned()),
        Form::Decimal(scale) => {
            out.extend_from_slice(decimal(value.into(), scale).as_bytes());
            Ok(())
        }
        Form::Day => plain(out, &instant(value.saturating_mul(86_400).into(), 1, false, true)),
        Form::Time(parts) => plain(out, &time(value, parts)),
        Form::Instant { parts, is_utc } => plain(out, &instant(value.into(), parts, is_utc, false)),
        Form::Plain => plain(out, &value),
        Form::Text | Form::Binary | Form::Guid | Form::Half => Err(mismatch(form)),
    }
}

fn bytes(out: &mut Vec<u8>, form: Form, value: &[u8]) -> Result<(), String> {
    match form {
        Form::Text => match std::str::from_utf8(value) {
            Ok(text) => plain(out, text),
            Err(_) => Err("a text is not UTF-8".to_owned()),
        },
        Form::Binary => plain(out, &STANDARD.encode(value)),
        Form::Guid => {
            let id = Uuid::from_slice(value).map_err(|_| mismatch(form))?;
            plain(out, &id.to_string())
        }
        Form::Half => {
            let [low, high] = value.try_into().map_err(|_| mismatch(form))?;
            let value = half(u16::from_le_bytes([low, high]));
            float(out, value, value.is_finite())
        }
        Form::Decimal(scale) => {
            let number = big_endian(value).ok_or_else(|| mismatch(form))?;
            out.extend_from_slice(decimal(number, scale).as_bytes());
            Ok(())
        }
        // Of a column that has nothing but nulls.
        Form::Plain | Form::Unsigned | Form::Day | Form::Time(_) | Form::Instant { .. } => {
            Err(mismatch(form))
        }
    }
}

fn mismatch(form: Form) -> String {
    format!("a value is none of its type ({form:?})")
}

/// A signed number of any length that fits.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let fill = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let more = bytes.len().saturating_sub(16);
    let (front, rest) = bytes.split_at_checked(more)?;
    if front.iter().any(|byte| *byte != fill) {
        return None;
    }
    let mut all = [fill; 16];
    all.get_mut(16 - rest.len()..)?.copy_from_slice(rest);
    Some(i128::from_be_bytes(all))
}

/// `-0.05` of -5 and two digits after the point.
fn decimal(number: i128, scale: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (front, back) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{front}") } else { format!("{sign}{front}.{back}") }
}

/// A number that no calendar has stays a number, which no date is.
fn instant(value: i128, parts: i64, is_utc: bool, is_day: bool) -> String {
    let nanos = value.checked_mul(i128::from(1_000_000_000 / parts));
    let Some(at) = nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos).ok()) else {
        return value.to_string();
    };
    let text = at.to_string();
    match (is_day, is_utc) {
        (true, _) => text.split('T').next().unwrap_or_default().to_owned(),
        (false, true) => text,
        (false, false) => text.trim_end_matches('Z').to_owned(),
    }
}

fn time(value: i64, parts: i64) -> String {
    let (second, part) = (value.div_euclid(parts), value.rem_euclid(parts));
    let mut text = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    if part != 0 {
        let width = parts.ilog10() as usize;
        text += format!(".{part:0width$}").trim_end_matches('0');
    }
    text
}

/// A float of 16 bits: a sign, five bits of an exponent, ten of a fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests;
