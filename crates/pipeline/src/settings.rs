//! What the caller and the organisation have set: time zone, language, fiscal calendar.
//!
//! In: a context. Out: what conditions of queries about the present and the caller mean. Read when a
//! query asks for it, by two reads. Here, too: what a write of a user's settings must hold. Not here: what
//! operators make of it (`query`), the first row of a user (`seed::user_settings`).
//! Invariant: a missing row, column or value leaves the default; nothing here fails a query for it.

use crate::run::{Context, Error, Pipeline};
use crate::seed::user_settings;
use crate::write::{Prepared, TargetRefused};
use model::{Cell, Table, Timestamp, Uuid, Value, code};
use query::dates::{Fiscal, PeriodKind, bias_minutes, zone_of_code};
use query::{BoundQuery, ColumnRef, Compare, Filter, Paging, Settings};
use std::sync::Arc;

impl Pipeline {
    /// The settings of the caller of a message.
    pub async fn settings(&self, context: &Context) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        let columns = ["fiscalcalendarstart", "fiscalperiodtype", "languagecode"];
        let organization = self.organization().id;
        let [start, kind, language] =
            self.values(context, "organization", organization, columns).await?;
        settings.fiscal = fiscal(&start, &kind);
        if let Value::Integer(language) = language {
            settings.language = language;
        }
        let columns = ["timezonecode", "uilanguageid"];
        let user = context.caller.user;
        let [zone, language] = self.values(context, user_settings::TABLE, user, columns).await?;
        if let Value::Integer(code) = zone
            && let Some(zone) = zone_of_code(code)
        {
            settings.zone = zone;
        }
        if let Value::Integer(language @ 1..) = language {
            settings.language = language;
        }
        Ok(settings)
    }

    /// When a query is asked, and by whom, with the caller's settings.
    pub async fn query_context(
        &self,
        context: &Context,
        now: Timestamp,
    ) -> Result<query::Context, Error> {
        let settings = self.settings(context).await?;
        let caller = context.caller;
        Ok(query::Context::with(now, caller.user, caller.business_unit, settings))
    }

    /// Some values of a row; null where the row, a column or the table is not there.
    pub(crate) async fn values<const COUNT: usize>(
        &self,
        context: &Context,
        table: &str,
        id: Uuid,
        columns: [&str; COUNT],
    ) -> Result<[Value; COUNT], Error> {
        let mut values = std::array::from_fn(|_| Value::Null);
        let Some(table) = context.catalog.table(table) else { return Ok(values) };
        let known: Vec<(usize, ColumnRef)> = columns
            .iter()
            .enumerate()
            .filter_map(|(place, name)| Some((place, ColumnRef::root(table.index_of(name)?))))
            .collect();
        if known.is_empty() {
            return Ok(values);
        }
        let wanted = known.iter().map(|(_, column)| *column).collect();
        let page = self.read(&row_query(context, table, id, wanted)).await?;
        for ((place, _), value) in known.into_iter().zip(page.cells) {
            values[place] = value;
        }
        Ok(values)
    }
}

/// Checks the settings of a user and adds what follows from the time zone.
pub(crate) fn complete(
    table: &Table,
    prepared: &mut Prepared,
    now: Timestamp,
) -> Result<(), TargetRefused> {
    let (Some(zone), Some(bias)) = (table.index_of("timezonecode"), table.index_of("timezonebias"))
    else {
        return Ok(());
    };
    let given = prepared.cells.iter().find(|cell| cell.column == zone).map(|cell| &cell.value);
    let value = match given {
        None => return Ok(()),
        Some(Value::Integer(number)) => match zone_of_code(*number) {
            Some(zone) => Value::Integer(bias_minutes(&zone, now)),
            None => {
                return Err(TargetRefused {
                    code: code::INVALID_ARGUMENT,
                    message: format!("There is no time zone with the code {number}."),
                    column: Some("timezonecode".into()),
                });
            }
        },
        Some(_) => Value::Null,
    };
    prepared.cells.push(Cell { column: bias, value });
    Ok(())
}

fn row_query(
    context: &Context,
    table: &Arc<Table>,
    id: Uuid,
    columns: Vec<ColumnRef>,
) -> BoundQuery {
    let key = ColumnRef::root(table.primary_key);
    let value = Value::Guid(id);
    BoundQuery {
        columns,
        filter: Some(Filter::Compare { column: key, compare: Compare::Equal, value }),
        paging: Paging::first(1),
        ..BoundQuery::by_key(&context.catalog, table)
    }
}

/// The calendar that begins on the day of an instant and has periods of this type.
fn fiscal(start: &Value, kind: &Value) -> Fiscal {
    let mut fiscal = Fiscal::default();
    let day = match start {
        Value::DateTime(at) => Some(at.date()),
        Value::Date(day) => Some(*day),
        _ => None,
    };
    if let Some(day) = day {
        let text = day.to_string();
        let mut parts = text.rsplit('-').map(str::parse::<i8>);
        if let (Some(Ok(day)), Some(Ok(month))) = (parts.next(), parts.next()) {
            (fiscal.month, fiscal.day) = (month, day);
        }
    }
    if let Value::Integer(code) = kind
        && let Some(kind) = PeriodKind::of_code(*code)
    {
        fiscal.kind = kind;
    }
    fiscal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fiscal_year_begins_on_the_day_that_is_set() {
        let start = Timestamp::parse("1999-04-06T00:00:00Z").expect("an instant");
        let got = fiscal(&Value::DateTime(start), &Value::Integer(2003));
        assert_eq!(got, Fiscal { month: 4, day: 6, kind: PeriodKind::Monthly });
        assert_eq!(fiscal(&Value::Null, &Value::Integer(7)), Fiscal::default());
    }
}
