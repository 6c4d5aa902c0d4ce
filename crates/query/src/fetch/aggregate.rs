//! Attributes and orders of `aggregate="true"`, and of `distinct="true"`: groups.
//!
//! Source: query.md B7. Parts of instants are those of the caller's local day, unless `usertimezone` says
//! otherwise; days and wall-clock times are taken as they are.
//! Not here: what stands around (`fetch`), how groups are made.

use super::xml::Element;
use super::{Binder, Error, link};
use crate::ColumnRef;
use crate::listed::{Grouping, Told, has_extremes, has_sum};
use crate::shape::{Aggregate, Clock, DatePart, GroupOrder};
use jiff::tz::TimeZone;
use model::{ColumnKind, DateTimeBehavior};

impl Binder {
    /// An attribute of an aggregate query.
    pub(super) fn aggregate(&mut self, element: &Element, column: ColumnRef) -> Result<(), Error> {
        let name = element.required("name")?;
        let function = element.attribute("aggregate").filter(|text| !text.is_empty());
        let grouped = match element.attribute("groupby") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(value) => return Err(Error::BadFlag { name: "groupby", value: value.into() }),
        };
        if element.attribute("rowaggregate").is_some() {
            return Err(Error::Aggregate { name: "rowaggregate in an aggregate query" });
        }
        let bad = |why| Error::BadAggregate { column: name.into(), why };
        let alias = match element.attribute("alias") {
            Some(alias) if !alias.is_empty() => link::alias(alias)?,
            _ if function.is_none() && !grouped => {
                return Err(Error::PlainAttribute { name: name.into() });
            }
            _ => return Err(Error::NoAlias { name: name.into() }),
        };
        if !self.names.insert(alias.clone()) {
            return Err(Error::DuplicateAlias { name: alias });
        }
        let distinct = element.flag("distinct")?;
        let part = element.attribute("dategrouping");
        let zone = element.flag_or("usertimezone", true)?;
        let kind = &self.scope.column(column).kind;
        match (function, grouped) {
            (Some(_), true) => Err(Error::GroupedAggregate { name: name.into() }),
            (None, false) => Err(Error::PlainAttribute { name: name.into() }),
            (None, true) => {
                if distinct {
                    return Err(bad("`distinct` goes with countcolumn only"));
                }
                let part = part_of(kind, part, name)?;
                let part = part.map(|part| self.dated(column, part, zone)).transpose()?;
                self.grouping.key(&alias, column, part, true);
                Ok(())
            }
            (Some(function), false) => {
                if part.is_some() {
                    return Err(Error::DateGrouping { column: name.into(), why: "it is no key" });
                }
                let aggregate = aggregate_of(function, kind, column, distinct, name)?;
                self.grouping.aggregate(&alias, column, aggregate);
                Ok(())
            }
        }
    }

    /// By which clock a part of a date is taken; the calendar then knows what that needs.
    fn dated(
        &mut self,
        column: ColumnRef,
        part: DatePart,
        in_zone: bool,
    ) -> Result<(DatePart, Clock), Error> {
        let kind = &self.scope.column(column).kind;
        let is_instant =
            matches!(kind, ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, .. });
        let is_local = is_instant && in_zone;
        if !is_local && !part.is_fiscal() {
            return Ok((part, Clock::Utc));
        }
        let settings = self.scope.context.settings()?;
        let mut calendar = std::mem::take(&mut self.grouping.calendar);
        if part.is_fiscal() && calendar.periods.len() == 1 {
            calendar = calendar.with_fiscal(settings.fiscal);
        }
        let mut clock = Clock::Utc;
        if is_local && settings.zone != TimeZone::UTC {
            if calendar.shifts.len() == 1 {
                calendar = calendar.with_zone(&settings.zone);
            }
            clock = Clock::Local;
        }
        self.grouping.calendar = calendar;
        Ok((part, clock))
    }

    /// An order of an aggregate query: by alias.
    pub(super) fn order_groups(&mut self, element: &Element, by_value: bool) -> Result<(), Error> {
        let alias = match (element.attribute("alias"), element.attribute("attribute")) {
            (Some(alias), None) => alias,
            (_, Some(name)) => return Err(Error::OrderByAttribute { name: name.into() }),
            (None, None) => {
                return Err(Error::MissingAttribute { element: "order".into(), name: "alias" });
            }
        };
        let place = self.grouping.place_of(alias);
        let place = place.ok_or_else(|| Error::UnknownAlias { name: alias.into() })?;
        let descending = element.flag("descending")?;
        let key = self.grouping.keys.get(place).map(|(key, _)| *key);
        if let Some(key) = key.filter(|key| key.part.is_none() && !by_value) {
            self.order_by_label(key.column);
        }
        if self.group_order.iter().all(|known| known.place != place) {
            self.group_order.push(GroupOrder { place, descending });
        }
        Ok(())
    }

    /// Makes the columns of a distinct query keys, ordered as its rows would be.
    pub(super) fn distinct(&mut self) -> Result<(), Error> {
        let mut grouping = Grouping::default();
        for (output, column) in self.outputs.iter().zip(&self.columns) {
            if output.told != Told::Value {
                return Err(Error::refused("`rowaggregate` with `distinct` in FetchXml"));
            }
            grouping.key(&output.name, *column, None, output.renamed);
        }
        for order in &self.order {
            let place = self.columns.iter().position(|column| *column == order.column);
            let Some(place) = place else {
                let name = &self.scope.column(order.column).logical_name;
                return Err(Error::refused(format!(
                    "`distinct` with an order by `{name}`, which is not among the attributes,"
                )));
            };
            self.group_order.push(GroupOrder { place, descending: order.descending });
        }
        self.grouping = grouping;
        Ok(())
    }
}

fn aggregate_of(
    function: &str,
    kind: &ColumnKind,
    column: ColumnRef,
    distinct: bool,
    name: &str,
) -> Result<Aggregate, Error> {
    let bad = |why| Error::BadAggregate { column: name.into(), why };
    if distinct && function != "countcolumn" {
        return Err(bad("`distinct` goes with countcolumn only"));
    }
    let summed = has_sum(kind).then_some(()).ok_or_else(|| bad("the column holds no numbers"));
    let ordered =
        has_extremes(kind).then_some(()).ok_or_else(|| bad("the column holds no numbers or dates"));
    match function {
        "count" => Ok(Aggregate::Rows),
        "countcolumn" if distinct => Ok(Aggregate::Distinct(column)),
        "countcolumn" => Ok(Aggregate::Values(column)),
        "sum" => summed.map(|()| Aggregate::Sum(column)),
        "avg" => summed.map(|()| Aggregate::Average(column)),
        "min" => ordered.map(|()| Aggregate::Least(column)),
        "max" => ordered.map(|()| Aggregate::Greatest(column)),
        other => Err(Error::UnknownAggregate { name: other.into() }),
    }
}

fn part_of(kind: &ColumnKind, part: Option<&str>, name: &str) -> Result<Option<DatePart>, Error> {
    let bad = |why| Error::DateGrouping { column: name.into(), why };
    let is_date = matches!(kind, ColumnKind::DateTime { .. });
    match (part, is_date) {
        (None, false) => Ok(None),
        (None, true) => Err(bad("a date is grouped by a part of it")),
        (Some(_), false) => Err(bad("the column holds no dates")),
        (Some("day"), true) => Ok(Some(DatePart::Day)),
        (Some("week"), true) => Ok(Some(DatePart::Week)),
        (Some("month"), true) => Ok(Some(DatePart::Month)),
        (Some("quarter"), true) => Ok(Some(DatePart::Quarter)),
        (Some("year"), true) => Ok(Some(DatePart::Year)),
        (Some("fiscal-period"), true) => Ok(Some(DatePart::FiscalPeriod)),
        (Some("fiscal-year"), true) => Ok(Some(DatePart::FiscalYear)),
        (Some(_), true) => Err(bad("there is no such part of a date")),
    }
}
