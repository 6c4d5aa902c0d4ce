//! Sums and averages that SQLite itself would round or refuse: 64-bit numbers added up in 128 bits.
//!
//! A result that may be wider than 64 bits is a blob of 16 bytes whose binary order is the order of the
//! numbers, so that SQLite can sort by it.
//! Invariant: agrees with `query::evaluate` to the last digit.

use model::{Decimal, Value};
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// The aggregate that sums 64-bit numbers: a blob.
pub(super) const SUM: &str = "sum128";
/// The aggregate that averages scaled numbers to so many places more, rounded: a blob.
pub(super) const AVERAGE: &str = "average128";
/// The aggregate that averages whole numbers, cut off: a 64-bit number.
pub(super) const QUOTIENT: &str = "quotient128";

const SIGN: u128 = 1 << 127;

/// Adds the functions to a connection.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_aggregate_function(SUM, 1, flags, Sum)?;
    conn.create_aggregate_function(AVERAGE, 2, flags, Average)?;
    conn.create_aggregate_function(QUOTIENT, 1, flags, Quotient)
}

/// The decimal in a blob.
pub(super) fn value_of(row: &Row<'_>, place: usize, scale: u8) -> rusqlite::Result<Value> {
    let found = row.get_ref(place)?;
    let bad = || rusqlite::Error::InvalidColumnType(place, "a sum".to_owned(), found.data_type());
    match found {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Blob(bytes) => {
            let bytes: [u8; 16] = bytes.try_into().map_err(|_| bad())?;
            let number = (u128::from_be_bytes(bytes) ^ SIGN).cast_signed();
            let number = Decimal::try_from_i128_with_scale(number, u32::from(scale));
            number.map(Value::Decimal).map_err(|_| bad())
        }
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => Err(bad()),
    }
}

fn blob(number: i128) -> Vec<u8> {
    (number.cast_unsigned() ^ SIGN).to_be_bytes().to_vec()
}

/// What has been added up.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: i128,
    count: i128,
    /// Places more that an average has.
    places: u32,
}

impl Total {
    fn add(&mut self, context: &Context<'_>) -> rusqlite::Result<()> {
        match context.get_raw(0) {
            ValueRef::Null => {}
            ValueRef::Integer(number) => {
                // 2^64 rows of 64 bits each fit.
                self.sum += i128::from(number);
                self.count += 1;
            }
            other => {
                return Err(rusqlite::Error::InvalidFunctionParameterType(0, other.data_type()));
            }
        }
        Ok(())
    }
}

struct Sum;

impl Aggregate<Total, Option<Vec<u8>>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Total> {
        Ok(Total::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        total.add(context)
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        total: Option<Total>,
    ) -> rusqlite::Result<Option<Vec<u8>>> {
        Ok(total.filter(|total| total.count > 0).map(|total| blob(total.sum)))
    }
}

struct Quotient;

impl Aggregate<Total, Option<i64>> for Quotient {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Total> {
        Ok(Total::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        total.add(context)
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<Total>) -> rusqlite::Result<Option<i64>> {
        let total = total.filter(|total| total.count > 0);
        Ok(total.and_then(|total| i64::try_from(total.sum / total.count).ok()))
    }
}

struct Average;

impl Aggregate<Total, Option<Vec<u8>>> for Average {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Total> {
        Ok(Total::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        total.places = context.get(1)?;
        total.add(context)
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        total: Option<Total>,
    ) -> rusqlite::Result<Option<Vec<u8>>> {
        let total = total.filter(|total| total.count > 0);
        Ok(total.map(|Total { sum, count, places }| {
            // The whole part first, so that nothing overflows; then the places, and the half.
            let (whole, rest) = (sum / count, sum % count);
            let unit = 10_i128.pow(places);
            let (more, rest) = (rest * unit / count, rest * unit % count);
            let half = if rest.abs() * 2 >= count { sum.signum() } else { 0 };
            blob(whole * unit + more + half)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::types::Null;

    fn check(sql: &str, values: &[Option<i64>], scale: u8, want: Option<&str>) {
        let conn = Connection::open_in_memory().expect("opens");
        register(&conn).expect("registers");
        conn.execute_batch("CREATE TABLE t (c)").expect("creates");
        for value in values {
            let insert = "INSERT INTO t VALUES (?)";
            match value {
                Some(value) => conn.execute(insert, [value]).expect("inserts"),
                None => conn.execute(insert, [Null]).expect("inserts"),
            };
        }
        let found =
            conn.query_row(&format!("SELECT {sql} FROM t"), [], |row| value_of(row, 0, scale));
        let want =
            want.map_or(Value::Null, |text| Value::Decimal(text.parse().expect("a decimal")));
        assert_eq!(found.expect("reads"), want, "{sql} {values:?}");
    }

    #[test]
    fn sums_go_beyond_64_bits() {
        check("sum128(c)", &[], 2, None);
        check("sum128(c)", &[None], 2, None);
        check("sum128(c)", &[Some(150), None, Some(-25)], 2, Some("1.25"));
        check("sum128(c)", &[Some(i64::MAX); 3], 0, Some("27670116110564327421"));
        check("sum128(c)", &[Some(i64::MIN); 3], 4, Some("-2767011611056432.7424"));
    }

    #[test]
    fn averages_round_halves_away_from_zero() {
        check("average128(c, 0)", &[Some(1), Some(2)], 0, Some("2"));
        check("average128(c, 0)", &[Some(-1), Some(-2)], 0, Some("-2"));
        check("average128(c, 1)", &[Some(1), Some(2)], 1, Some("1.5"));
        check("average128(c, 3)", &[Some(1), Some(1), Some(0)], 3, Some("0.667"));
        check("average128(c, 3)", &[None], 3, None);
        check("average128(c, 0)", &[Some(i64::MIN); 3], 0, Some("-9223372036854775808"));
    }
}
