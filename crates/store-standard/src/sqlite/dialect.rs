//! SQLite's dialect and the binding of its parameters.

use super::calendar::DATE_PART;
use super::exact::{AVERAGE, QUOTIENT, SUM};
use crate::dialect::{Dated, Dialect, Param};
use crate::names::{self, Storage};
use model::ColumnId;
use query::dates::Calendar;
use query::{Match, Pattern};
use rusqlite::Statement;
use rusqlite::types::Value as Sql;
use std::rc::Rc;

/// SQLite. Needs the functions of [`super::functions`] and `exact`, and the module `rarray`, on its
/// connection.
pub(crate) struct Sqlite;

impl Dialect for Sqlite {
    fn placeholder(&self, sql: &mut String, number: usize, _param: &Param) {
        sql.push('?');
        sql.push_str(&number.to_string());
    }

    fn fold_column(&self, prefix: &str, id: ColumnId) -> String {
        format!("fold({prefix}{})", names::column(id))
    }

    fn fold_joined(&self, plain: &str, _first: (&str, &str), _last: (&str, &str)) -> String {
        format!("fold({plain})")
    }

    fn in_list(
        &self,
        sql: &mut String,
        expression: &str,
        number: usize,
        _list: &Param,
        negated: bool,
    ) {
        let not = if negated { " NOT" } else { "" };
        sql.push_str(&format!("{expression}{not} IN (SELECT value FROM rarray(?{number}))"));
    }

    fn find(&self, sql: &mut String, expression: &str, number: usize, matches: Match) {
        sql.push_str(&match matches {
            Match::Contains | Match::StartsWith => format!("instr({expression}, ?{number}) > 0"),
            Match::EndsWith => format!("substr({expression}, -length(?{number})) = ?{number}"),
        });
    }

    fn like(&self, sql: &mut String, expression: &str, number: usize, pattern: &Pattern) -> Param {
        sql.push_str(&format!("fits({expression}, ?{number})"));
        Param::Text(pattern.text())
    }

    fn ranges(
        &self,
        sql: &mut String,
        expression: &str,
        number: usize,
        bounds: Vec<Param>,
    ) -> Param {
        sql.push_str(&format!("in_ranges({expression}, ?{number})"));
        let bounds = bounds.iter().map(|bound| match owned(bound) {
            Sql::Integer(number) => number.to_string(),
            _ => String::new(),
        });
        Param::Text(bounds.collect::<Vec<_>>().join(","))
    }

    fn choices(&self, sql: &mut String, expression: &str, number: usize, values: &[i32]) -> Param {
        sql.push_str(&format!(
            "EXISTS (SELECT 1 FROM rarray(?{number}) \
             WHERE instr(',' || {expression} || ',', value) > 0)"
        ));
        Param::List(values.iter().map(|value| Param::Text(format!(",{value},"))).collect())
    }

    fn direction(&self, descending: bool, _nullable: bool) -> &'static str {
        // SQLite takes null as the smallest value: first ascending, last descending.
        if descending { " DESC" } else { "" }
    }

    fn sum(&self, expression: &str, storage: Storage) -> String {
        match storage {
            Storage::BigInt | Storage::Decimal { .. } => format!("{SUM}({expression})"),
            _ => format!("sum({expression})"),
        }
    }

    fn average(&self, expression: &str, storage: Storage, scale: u8) -> String {
        match storage {
            Storage::Integer => format!("sum({expression}) / count({expression})"),
            Storage::BigInt => format!("{QUOTIENT}({expression})"),
            Storage::Decimal { scale: own } => {
                format!("{AVERAGE}({expression}, {})", scale.saturating_sub(own))
            }
            _ => format!("avg({expression})"),
        }
    }

    fn shifts(&self, calendar: &Calendar) -> Vec<Param> {
        vec![Param::Text(super::calendar::shifts_text(calendar))]
    }

    fn periods(&self, calendar: &Calendar) -> Vec<Param> {
        vec![Param::Text(super::calendar::periods_text(calendar))]
    }

    fn date_part(&self, expression: &str, storage: Storage, dated: &Dated<'_>) -> String {
        let is_instant = i32::from(storage == Storage::DateTime);
        let part = super::calendar::number_of(dated.part);
        let list = |number: Option<usize>| match number {
            Some(number) => format!("?{number}"),
            None => "NULL".to_owned(),
        };
        let (shifts, periods) = (list(dated.shifts), list(dated.periods));
        format!("{DATE_PART}({expression}, {is_instant}, {part}, {shifts}, {periods})")
    }

    fn decimals_are_scaled(&self) -> bool {
        true
    }
}

/// Binds a statement's parameters, in order.
pub(crate) fn bind(statement: &mut Statement<'_>, params: &[Param]) -> rusqlite::Result<()> {
    for (place, param) in params.iter().enumerate() {
        let place = place + 1;
        match param {
            Param::Text(text) => statement.raw_bind_parameter(place, text.as_str())?,
            Param::Integer(number) => statement.raw_bind_parameter(place, number)?,
            Param::BigInt(number) => statement.raw_bind_parameter(place, number)?,
            Param::Double(number) => statement.raw_bind_parameter(place, number)?,
            Param::Boolean(flag) => statement.raw_bind_parameter(place, flag)?,
            Param::DateTime(at) => statement.raw_bind_parameter(place, at.0)?,
            Param::Date(day) => statement.raw_bind_parameter(place, day.0)?,
            Param::Guid(id) => statement.raw_bind_parameter(place, id.as_bytes().as_slice())?,
            Param::Decimal(_) => statement.raw_bind_parameter(place, owned(param))?,
            Param::List(list) => {
                let list: Rc<Vec<Sql>> = Rc::new(list.iter().map(owned).collect());
                statement.raw_bind_parameter(place, list)?;
            }
        }
    }
    Ok(())
}

/// A parameter as an own value.
pub(crate) fn owned(param: &Param) -> Sql {
    match param {
        Param::Text(text) => Sql::Text(text.clone()),
        Param::Integer(number) => Sql::Integer(i64::from(*number)),
        Param::BigInt(number) => Sql::Integer(*number),
        Param::Double(number) => Sql::Real(*number),
        Param::Boolean(flag) => Sql::Integer(i64::from(*flag)),
        Param::DateTime(at) => Sql::Integer(at.0),
        Param::Date(day) => Sql::Integer(i64::from(day.0)),
        Param::Guid(id) => Sql::Blob(id.as_bytes().to_vec()),
        // Scaled decimals come as `BigInt`; an unscaled one or a nested list is never built.
        Param::Decimal(_) | Param::List(_) => Sql::Null,
    }
}
