//! Parquet files of other writers' types, as lines.

use super::*;
use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArrayType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
    Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;
use tempfile::NamedTempFile;

type Put = fn(SerializedColumnWriter<'_>);

fn put<T: DataType>(mut column: SerializedColumnWriter<'_>, values: &[T::T], levels: &[i16]) {
    let writer = column.typed::<T>();
    writer.write_batch(values, (!levels.is_empty()).then_some(levels), None).expect("written");
    column.close().expect("closed");
}

/// A file of one column, of as many groups.
fn file(column: &str, put: Put, groups: usize, compression: Compression) -> NamedTempFile {
    let column = if column.ends_with('}') { column.to_owned() } else { format!("{column};") };
    file_of(&column, &[put], groups, compression)
}

/// The same of several columns.
fn file_of(columns: &str, puts: &[Put], groups: usize, compression: Compression) -> NamedTempFile {
    let schema = parse_message_type(&format!("message m {{ {columns} }}")).expect("a schema");
    let file = NamedTempFile::new().expect("a file");
    let properties = WriterProperties::builder().set_compression(compression).build();
    let out = file.reopen().expect("open");
    let mut writer =
        SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).expect("a writer");
    for _ in 0..groups {
        let mut group = writer.next_row_group().expect("a group");
        for put in puts {
            put(group.next_column().expect("a column").expect("one"));
        }
        group.close().expect("closed");
    }
    writer.close().expect("closed");
    file
}

fn lines(file: &NamedTempFile) -> Result<String, Error> {
    let mut text = String::new();
    let mut parquet = Parquet::open(file.path())?;
    parquet.read_to_string(&mut text).expect("readable");
    assert_eq!(text.lines().count() as u64, parquet.rows());
    Ok(text)
}

/// What the values of a column `a` become.
fn check(column: &str, put: Put, want: &str) {
    let text = lines(&file(column, put, 1, Compression::SNAPPY)).expect("it opens");
    let values: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("{\"a\":").and_then(|line| line.strip_suffix('}')))
        .map(|value| value.expect("an object"))
        .collect();
    assert_eq!(values.join(" "), want, "{column}");
}

#[test]
fn values_keep_their_digits_and_their_instants() {
    check(
        "optional boolean a",
        |c| put::<BoolType>(c, &[true, false], &[1, 0, 1]),
        "true null false",
    );
    check("required int32 a", |c| put::<Int32Type>(c, &[-1, 7], &[]), "-1 7");
    check(
        "optional int32 a (INTEGER(32,false))",
        |c| put::<Int32Type>(c, &[-1], &[1]),
        "4294967295",
    );
    check(
        "optional int64 a (INTEGER(64,false))",
        |c| put::<Int64Type>(c, &[-1], &[1]),
        "18446744073709551615",
    );
    check("optional int64 a", |c| put::<Int64Type>(c, &[i64::MIN], &[1]), "-9223372036854775808");
    check("optional float a", |c| put::<FloatType>(c, &[0.1, f32::NAN], &[1, 1]), "0.1 \"NaN\"");
    check(
        "optional double a",
        |c| put::<DoubleType>(c, &[0.1, -2.0, f64::INFINITY], &[1, 1, 1]),
        "0.1 -2.0 \"inf\"",
    );
    let text: Put = |c| put::<ByteArrayType>(c, &["a\"b\n".into(), "".into()], &[1, 1, 0]);
    check("optional binary a (STRING)", text, r#""a\"b\n" "" null"#);
    check("optional binary a (UTF8)", text, r#""a\"b\n" "" null"#);
    check("optional binary a", |c| put::<ByteArrayType>(c, &["ab".into()], &[1]), "\"YWI=\"");
    let days: Put = |c| put::<Int32Type>(c, &[0, -1, 19_000], &[1, 1, 1]);
    check("optional int32 a (DATE)", days, r#""1970-01-01" "1969-12-31" "2022-01-08""#);
    let millis: Put = |c| put::<Int64Type>(c, &[1_357_034_400_000, -1], &[1, 1]);
    check(
        "optional int64 a (TIMESTAMP(MILLIS,true))",
        millis,
        r#""2013-01-01T10:00:00Z" "1969-12-31T23:59:59.999Z""#,
    );
    check(
        "optional int64 a (TIMESTAMP(MILLIS,false))",
        millis,
        r#""2013-01-01T10:00:00" "1969-12-31T23:59:59.999""#,
    );
    let nanos: Put = |c| put::<Int64Type>(c, &[1_357_034_400_000_000_001, i64::MAX], &[1, 1]);
    check(
        "optional int64 a (TIMESTAMP(NANOS,true))",
        nanos,
        r#""2013-01-01T10:00:00.000000001Z" "2262-04-11T23:47:16.854775807Z""#,
    );
    // No calendar has this: it stays a number, which no date is.
    let far: Put = |c| put::<Int64Type>(c, &[i64::MAX], &[1]);
    check("optional int64 a (TIMESTAMP(MILLIS,true))", far, "\"9223372036854775807\"");
    check(
        "optional int64 a (TIME(MICROS,true))",
        |c| put::<Int64Type>(c, &[3_661_500_000], &[1]),
        "\"01:01:01.5\"",
    );
    let old: Put = |c| {
        let mut at = Int96::new();
        at.set_data(0, 0, 2_440_589);
        put::<Int96Type>(c, &[at], &[1]);
    };
    check("optional int96 a", old, "\"1970-01-02T00:00:00Z\"");
    let fixed: Put = |c| {
        let bytes = |number: i128| number.to_be_bytes().to_vec().into();
        put::<FixedLenByteArrayType>(c, &[bytes(-5), bytes(123_450)], &[1, 1]);
    };
    check("optional fixed_len_byte_array(16) a (DECIMAL(38,2))", fixed, "-0.05 1234.50");
    check("optional int64 a (DECIMAL(18,0))", |c| put::<Int64Type>(c, &[-7], &[1]), "-7");
    let short: Put = |c| put::<ByteArrayType>(c, &[vec![0xff].into(), vec![1, 0].into()], &[1, 1]);
    check("optional binary a (DECIMAL(10,1))", short, "-0.1 25.6");
    let id: Put = |c| put::<FixedLenByteArrayType>(c, &[vec![0x11; 16].into()], &[1]);
    check(
        "optional fixed_len_byte_array(16) a (UUID)",
        id,
        "\"11111111-1111-1111-1111-111111111111\"",
    );
    let half: Put =
        |c| put::<FixedLenByteArrayType>(c, &[vec![0x00, 0xc1].into(), vec![1, 0].into()], &[1, 1]);
    check("optional fixed_len_byte_array(2) a (FLOAT16)", half, "-2.5 5.960464477539063e-8");
}

#[test]
fn rows_of_all_groups_come_in_order_whatever_they_are_compressed_with() {
    let many: Put = |c| {
        let values: Vec<i32> = (0..1_000).collect();
        put::<Int32Type>(c, &values, &vec![1; 1_000]);
    };
    let all = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
    ];
    for compression in all {
        let text = lines(&file("optional int32 n", many, 3, compression)).expect("it opens");
        let want: String = (0..3_000).map(|row| format!("{{\"n\":{}}}\n", row % 1_000)).collect();
        assert_eq!(text, want, "{compression}");
    }
    assert_eq!(lines(&file("optional int32 n", many, 0, all[0])).expect("it opens"), "");
}

#[test]
fn what_cannot_be_read_is_said_with_its_column() {
    let none: Put = |_| {};
    let check = |column: &str, want: &str| {
        let error = Parquet::open(file(column, none, 0, Compression::SNAPPY).path()).err();
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(want), "{column}: {error}");
    };
    check("optional group a { optional int32 b; }", "column `a` is nested");
    check("repeated int32 a", "column `a` is nested");
    check("optional fixed_len_byte_array(12) a (INTERVAL)", "column `a`: values of type INTERVAL");
    check("optional fixed_len_byte_array(20) a (DECIMAL(40,2))", "numbers of 40 digits");
    let one: Put = |c| put::<Int32Type>(c, &[1], &[1]);
    let whole = file("optional int32 a", one, 1, Compression::SNAPPY);
    let bytes = std::fs::read(whole.path()).expect("there");
    for cut in [0, 3, 4, 12, bytes.len() - 1] {
        std::fs::write(whole.path(), &bytes[..cut]).expect("written");
        let error = Parquet::open(whole.path()).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("cannot be read as Parquet")), "{cut}");
    }
    assert!(matches!(Parquet::open(Path::new("-")), Err(Error::Stream)));
    assert!(matches!(Parquet::open(Path::new("/none.parquet")), Err(Error::Open { .. })));
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let columns = "optional int32 n; optional binary t (STRING); optional int64 d (DECIMAL(18,2));";
    let puts: [Put; 3] = [
        |c| put::<Int32Type>(c, &[1, 2, 3], &[1, 1, 0, 1]),
        |c| put::<ByteArrayType>(c, &["one".into(), "two".into(), "one".into()], &[1, 1, 1, 0]),
        |c| put::<Int64Type>(c, &[1, 2, 3, 4], &[1, 1, 1, 1]),
    ];
    let (mut told, mut all) = (0, 0);
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        let whole = file_of(columns, &puts, 2, compression);
        let bytes = std::fs::read(whole.path()).expect("there");
        for place in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[place] ^= flip;
                std::fs::write(whole.path(), &damaged).expect("written");
                all += 1;
                let read = Parquet::open(whole.path()).map_err(|err| err.to_string());
                let read = read.and_then(|mut parquet| {
                    let mut text = Vec::new();
                    parquet.read_to_end(&mut text).map_err(|err| err.to_string())
                });
                told += usize::from(read.is_err());
            }
        }
    }
    // What has no checksum may be another value.
    assert!(told * 4 > all, "{told} of {all}");
}
