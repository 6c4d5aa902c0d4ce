//! The functions that statements call: each pure, and null for what is no text or number.

use query::Pattern;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// Adds every function to a connection.
pub(super) fn add(conn: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("fold", 1, flags, fold)?;
    conn.create_scalar_function("fits", 2, flags, fits)?;
    conn.create_scalar_function("in_ranges", 2, flags, in_ranges)
}

/// `fold(text)`: `model::fold`.
fn fold<'a>(context: &Context<'_>) -> rusqlite::Result<ToSqlOutput<'a>> {
    Ok(match context.get_raw(0) {
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text)?;
            ToSqlOutput::from(model::fold(text).into_owned())
        }
        _ => ToSqlOutput::Borrowed(ValueRef::Null),
    })
}

/// `fits(folded, pattern)`: a folded text fits a pattern, given as [`Pattern::text`].
fn fits(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let pattern = context.get_or_create_aux(1, |value| -> Result<_, Failed> {
        Ok(Pattern::parse(value.as_str()?))
    })?;
    Ok(match context.get_raw(0) {
        ValueRef::Text(text) => Some(pattern.fits(std::str::from_utf8(text)?)),
        _ => None,
    })
}

/// `in_ranges(number, bounds)`: a number lies in one of the half-open ranges `a,b,c,d,…`, ascending.
fn in_ranges(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let bounds = context.get_or_create_aux(1, |value| -> Result<Vec<i64>, Failed> {
        let numbers = value.as_str()?.split(',').map(str::parse::<i64>);
        Ok(numbers.collect::<Result<_, _>>()?)
    })?;
    Ok(match context.get_raw(0) {
        ValueRef::Integer(number) => {
            Some(bounds.partition_point(|bound| *bound <= number) % 2 == 1)
        }
        _ => None,
    })
}

type Failed = Box<dyn std::error::Error + Send + Sync>;
