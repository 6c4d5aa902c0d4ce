//! Rows as bytes and back, over definitions that have moved on and bytes that are damaged.

use super::{Columns, decode, encode};
use model::{Date, LookupValue, Table, TableId, Timestamp, Uuid, Value};
use store::conformance::fixture::{TableBuilder, integer, memo, text};

const ID: Uuid = Uuid::from_u128(7);

/// A table of these columns; kinds do not matter to the bytes.
fn table(columns: &[&str]) -> Table {
    let builder = TableBuilder::new(1, "ship_ping");
    let with = columns.iter().fold(builder, |table, name| table.column(name, text(100)));
    Table::new(with.build())
}

fn bytes(table: &Table, values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(table, values, &mut bytes);
    bytes
}

fn check(value: Value) {
    let table = table(&["a"]);
    let row = vec![Value::Guid(ID), Value::BigInt(5), value];
    let bytes = bytes(&table, &row);
    assert_eq!(decode(&Columns::of(&table), ID, 5, &bytes).unwrap(), row);
    // Every shorter form is refused or has fewer values; nothing panics.
    for end in 0..bytes.len() {
        if let Ok(other) = decode(&Columns::of(&table), ID, 5, &bytes[..end]) {
            assert_eq!(other[2], Value::Null, "{end} bytes of {row:?}");
        }
    }
    // Nor do bytes that have changed.
    for place in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= flip;
            drop(decode(&Columns::of(&table), ID, 5, &damaged));
        }
    }
}

#[test]
fn every_kind_of_value_reads_back() {
    check(Value::Null);
    for length in [1, 127, 128, 20_000] {
        check(Value::text("ä".repeat(length)));
    }
    for number in [i32::MIN, -1, 0, i32::MAX] {
        check(Value::Integer(number));
        check(Value::BigInt(i64::from(number) << 32));
        check(Value::Date(Date(number)));
    }
    for number in ["0", "-0.0000000001", "1.50", "922337203685477.5807"] {
        check(Value::Decimal(number.parse().unwrap()));
    }
    for number in [0.0, -0.1, f64::MAX, f64::MIN_POSITIVE] {
        check(Value::Double(number));
    }
    check(Value::Boolean(true));
    check(Value::Boolean(false));
    check(Value::DateTime(Timestamp::MIN));
    check(Value::DateTime(Timestamp::MAX));
    check(Value::Guid(Uuid::max()));
    check(Value::Lookup(LookupValue { table: TableId(u32::MAX), id: Uuid::max() }));
    check(Value::Choices([i32::MIN, 1, i32::MAX].into()));
    check(Value::Choices([].into()));
}

#[test]
fn columns_that_came_later_are_null_and_those_that_went_are_skipped() {
    let old = table(&["a", "b"]);
    let row = [Value::Guid(ID), Value::BigInt(5), Value::text("x"), Value::text("y")];
    let bytes = bytes(&old, &row);
    let longer = table(&["a", "b", "c"]);
    let read = decode(&Columns::of(&longer), ID, 5, &bytes).unwrap();
    assert_eq!(read[2..], [Value::text("x"), Value::text("y"), Value::Null]);
    // Without column `a`; the number of `b` is kept.
    let mut definition = old.definition().clone();
    definition.columns.remove(2);
    let shorter = Table::new(definition);
    let read = decode(&Columns::of(&shorter), ID, 5, &bytes).unwrap();
    assert_eq!(read[2..], [Value::text("y")]);
}

#[test]
fn key_and_version_stand_beside_the_bytes() {
    let table = table(&["a"]);
    let row = [Value::Guid(ID), Value::BigInt(5), Value::Null];
    assert_eq!(bytes(&table, &row), [1], "the layout alone");
    let read = decode(&Columns::of(&table), Uuid::max(), 9, &[1]).unwrap();
    assert_eq!(read, [Value::Guid(Uuid::max()), Value::BigInt(9), Value::Null]);
}

#[test]
fn another_layout_is_refused() {
    let table = Table::new(
        TableBuilder::new(1, "ship_ping").column("a", memo()).column("b", integer()).build(),
    );
    for bytes in
        [&[][..], &[0], &[2], &[1, 0x80], &[1, 3], &[1, 3, 12], &[1, 255, 255, 255, 255, 255]]
    {
        assert!(decode(&Columns::of(&table), ID, 5, bytes).is_err(), "{bytes:?}");
    }
}
