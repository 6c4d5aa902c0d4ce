//! Answers whose properties have names of their own: rows of FetchXML and SQL, and groups.
//!
//! Not here: how they are read (`fetch`, `sql`, `odata`).

use crate::dates::Calendar;
use crate::shape::{Aggregate, Clock, DatePart, GroupKey, Groups, Rows};
use crate::{BoundQuery, ColumnRef};
use model::{ColumnIndex, ColumnKind};

/// A bound query with what the answer to it calls its values.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the store runs. The values of an answer begin with those of `outputs`.
    pub query: BoundQuery,
    /// The values that the caller sees, under which name.
    pub outputs: Vec<Output>,
    /// How many of them the caller named; the rest is the key. None: all columns were asked for.
    pub named: Option<usize>,
    /// Place of the row version among the values of an answer, if there is one.
    pub version_place: Option<usize>,
}

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its property.
    pub name: Box<str>,
    /// The column that it is of, or about.
    pub column: ColumnRef,
    /// What it tells about the column.
    pub told: Told,
    /// The property is not the column's own: an alias, or a column of a joined table.
    pub renamed: bool,
}

/// What a value tells about its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A value of its kind.
    Value,
    /// A number of rows or values.
    Count,
    /// A part of a date.
    DatePart,
    /// How many records of its table have the record of this id in this column. The store answers the id:
    /// what stands for it is counted for the page, by one query.
    Children(ColumnIndex),
}

/// Which aggregates a kind of column has.
pub(crate) fn has_sum(kind: &ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::Integer { .. }
            | ColumnKind::BigInt
            | ColumnKind::Decimal { .. }
            | ColumnKind::Double { .. }
            | ColumnKind::Money { .. }
    )
}

/// Whether a kind of column has a smallest and a largest value.
pub(crate) fn has_extremes(kind: &ColumnKind) -> bool {
    has_sum(kind) || matches!(kind, ColumnKind::DateTime { .. })
}

/// What is collected of a query for groups.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// Keys with their names.
    pub(crate) keys: Vec<(GroupKey, Output)>,
    /// Aggregates with their names.
    pub(crate) aggregates: Vec<(Aggregate, Output)>,
    /// The clock and the fiscal calendar of the keys.
    pub(crate) calendar: Calendar,
}

impl Grouping {
    pub(crate) fn key(
        &mut self,
        name: &str,
        column: ColumnRef,
        part: Option<(DatePart, Clock)>,
        renamed: bool,
    ) {
        let told = if part.is_some() { Told::DatePart } else { Told::Value };
        let output = Output { name: name.into(), column, told, renamed };
        let (part, clock) = part.map_or((None, Clock::Utc), |(part, clock)| (Some(part), clock));
        self.keys.push((GroupKey { column, part, clock }, output));
    }

    /// `about`: the column that a number of rows was asked for with.
    pub(crate) fn aggregate(&mut self, name: &str, about: ColumnRef, aggregate: Aggregate) {
        let told = match aggregate {
            Aggregate::Rows | Aggregate::Values(_) | Aggregate::Distinct(_) => Told::Count,
            Aggregate::Sum(_)
            | Aggregate::Average(_)
            | Aggregate::Least(_)
            | Aggregate::Greatest(_) => Told::Value,
        };
        let output = Output { name: name.into(), column: about, told, renamed: true };
        self.aggregates.push((aggregate, output));
    }

    /// The place among the values of an answer.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        let mut outputs = self
            .keys
            .iter()
            .map(|(_, output)| output)
            .chain(self.aggregates.iter().map(|(_, output)| output));
        outputs.position(|output| *output.name == *name)
    }

    /// The groups, and what their values are called. The order is complete afterwards.
    pub(crate) fn finish(self, order: Vec<crate::shape::GroupOrder>) -> (Rows, Vec<Output>) {
        let (keys, mut outputs): (Vec<_>, Vec<_>) = self.keys.into_iter().unzip();
        let (aggregates, told): (Vec<_>, Vec<_>) = self.aggregates.into_iter().unzip();
        outputs.extend(told);
        let calendar = self.calendar;
        let mut groups = Groups { keys, aggregates, order, counts_rows: false, calendar };
        groups.complete_order();
        (Rows::Groups(groups), outputs)
    }
}
