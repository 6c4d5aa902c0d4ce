//! Rows that are alike, as one: keys, aggregates and their order, in one statement.
//!
//! Text is grouped by its fold, and the smallest text of a group stands for it. What the engines cannot
//! add up exactly is left to the dialect.
//! Invariant: an answer has one output per key and aggregate, in order.

use super::{Output, Select, Writer};
use crate::dialect::{Dated, Dialect, Param};
use crate::names::Storage;
use model::ColumnKind;
use query::BoundQuery;
use query::shape::{AVERAGE_MONEY_SCALE, AVERAGE_SCALE, Aggregate, Clock, GroupKey, Groups};

/// A key or an aggregate as expressions.
struct Term {
    /// What is read.
    selected: String,
    /// The table number of a lookup with several target tables, read behind it.
    table: Option<String>,
    /// What is grouped and ordered by.
    compared: String,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Stored(Storage),
    Wide(u8),
}

pub(super) fn page(query: &BoundQuery, groups: &Groups, dialect: &dyn Dialect) -> Select {
    let mut writer = Writer::new(query, dialect);
    let mut terms: Vec<Option<Term>> =
        groups.keys.iter().map(|key| writer.key(groups, *key)).collect();
    terms.extend(groups.aggregates.iter().map(|one| writer.aggregate(query, *one)));
    let mut outputs = Vec::with_capacity(terms.len());
    let mut selected: Vec<&str> = Vec::new();
    for term in &terms {
        let Some(term) = term else {
            outputs.push(Output::Null);
            continue;
        };
        let place = selected.len();
        outputs.push(match term.how {
            How::Stored(storage) => Output::At { place, storage },
            How::Wide(scale) => Output::Wide { place, scale },
        });
        selected.push(&term.selected);
        selected.extend(term.table.as_deref());
    }
    let selected = if selected.is_empty() { "count(*)".to_owned() } else { selected.join(", ") };
    writer.sql.push_str(&format!("SELECT {selected}"));
    writer.from();
    writer.conditions(query.filter.as_ref(), None);
    writer.group_by(groups);
    let mut glue = " ORDER BY ";
    for order in &groups.order {
        let Some(Some(term)) = terms.get(order.place) else { continue };
        let direction = dialect.direction(order.descending, true);
        let key = groups.keys.get(order.place).filter(|key| key.part.is_none());
        writer.sql.push_str(glue);
        glue = ", ";
        match key.and_then(|key| writer.shape.label(key.column)) {
            Some(label) => writer.rank(&term.compared, label),
            None => writer.sql.push_str(&term.compared),
        }
        writer.sql.push_str(direction);
        if let Some(table) = &term.table {
            writer.sql.push_str(&format!(", {table}{direction}"));
        }
    }
    writer.limit(query);
    writer.finish(outputs)
}

impl Writer<'_> {
    /// What makes rows alike.
    pub(super) fn group_by(&mut self, groups: &Groups) {
        if groups.keys.is_empty() {
            return;
        }
        let terms: Vec<Term> =
            groups.keys.iter().filter_map(|key| self.key(groups, *key)).collect();
        let parts =
            terms.into_iter().flat_map(|term| std::iter::once(term.compared).chain(term.table));
        let parts: Vec<String> = parts.collect();
        match parts.is_empty() {
            // Nothing but null: one group, and none over no row.
            true => self.sql.push_str(" HAVING count(*) > 0"),
            false => self.sql.push_str(&format!(" GROUP BY {}", parts.join(", "))),
        }
    }

    fn key(&mut self, groups: &Groups, key: GroupKey) -> Option<Term> {
        let operand = self.operand(key.column)?;
        if let Some(part) = key.part {
            let is_local = key.clock == Clock::Local && operand.storage == Storage::DateTime;
            let calendar = &groups.calendar;
            let dialect = self.dialect;
            let shifts = is_local.then(|| {
                let known = self.calendar.0.unwrap_or_else(|| self.hand(dialect.shifts(calendar)));
                *self.calendar.0.insert(known)
            });
            let periods = part.is_fiscal().then(|| {
                let known = self.calendar.1.unwrap_or_else(|| self.hand(dialect.periods(calendar)));
                *self.calendar.1.insert(known)
            });
            let dated = Dated { part, shifts, periods, calendar };
            let text = self.dialect.date_part(&operand.plain, operand.storage, &dated);
            let how = How::Stored(Storage::Integer);
            return Some(Term { selected: text.clone(), table: None, compared: text, how });
        }
        let selected = match operand.storage {
            Storage::Text { .. } => format!("min({})", operand.plain),
            _ => operand.plain,
        };
        let how = How::Stored(operand.storage);
        Some(Term { selected, table: operand.lookup_table, compared: operand.compared, how })
    }

    /// Takes parameters that expressions name by number; answers the number of the first.
    fn hand(&mut self, params: Vec<Param>) -> usize {
        let first = self.params.len() + 1;
        self.params.extend(params);
        first
    }

    fn aggregate(&self, query: &BoundQuery, aggregate: Aggregate) -> Option<Term> {
        let term = |text: String, how| {
            Some(Term { selected: text.clone(), table: None, compared: text, how })
        };
        let count = How::Stored(Storage::BigInt);
        let Some(column) = aggregate.column() else { return term("count(*)".to_owned(), count) };
        let Some(operand) = self.operand(column) else {
            // Always null: counted as nothing, and null in all else.
            return match aggregate {
                Aggregate::Rows | Aggregate::Values(_) | Aggregate::Distinct(_) => {
                    term("count(NULL)".to_owned(), count)
                }
                _ => None,
            };
        };
        let (plain, storage) = (&operand.plain, operand.storage);
        match aggregate {
            Aggregate::Rows => None,
            Aggregate::Values(_) => term(format!("count({plain})"), count),
            Aggregate::Distinct(_) => term(format!("count(DISTINCT {})", operand.compared), count),
            Aggregate::Least(_) => term(format!("min({plain})"), How::Stored(storage)),
            Aggregate::Greatest(_) => term(format!("max({plain})"), How::Stored(storage)),
            Aggregate::Sum(_) => {
                let how = match storage {
                    Storage::Integer => How::Stored(Storage::BigInt),
                    Storage::BigInt => How::Wide(0),
                    Storage::Decimal { scale } => How::Wide(scale),
                    other => How::Stored(other),
                };
                term(self.dialect.sum(plain, storage), how)
            }
            Aggregate::Average(_) => {
                let scale = match query.column(column).kind {
                    ColumnKind::Money { .. } => AVERAGE_MONEY_SCALE,
                    _ => AVERAGE_SCALE,
                };
                let scale = u8::try_from(scale).unwrap_or(u8::MAX);
                let how = match storage {
                    Storage::Decimal { .. } => How::Wide(scale),
                    other => How::Stored(other),
                };
                term(self.dialect.average(plain, storage, scale), how)
            }
        }
    }
}
