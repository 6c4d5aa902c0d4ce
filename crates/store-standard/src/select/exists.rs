//! Conditions about rows of other tables: `EXISTS (SELECT 1 FROM … WHERE …)`.
//!
//! Each opens a frame: its tables have the aliases `e1s0`, `e1s1`, … at the first level, `e2s0`, … inside
//! of one, so that what it compares with the row outside is never ambiguous. Where the row outside has
//! no alias, it goes by the name of its table, which an inner alias never hides.
//! Invariant: the frame of a condition is open exactly while its text is written.

use super::Writer;
use crate::names;
use model::TableDefinition;
use query::{ColumnRef, Compare, Exists, Join};

/// The tables around a condition: those of the query, or of a condition about other rows.
#[derive(Clone, Copy)]
pub(super) struct Frame<'q> {
    pub(super) table: &'q TableDefinition,
    pub(super) joins: &'q [Join],
}

impl<'q> Writer<'q> {
    /// How many conditions about other rows are open.
    pub(super) fn level(&self) -> usize {
        self.frames.len() - 1
    }

    pub(super) fn frame(&self, level: usize) -> Frame<'q> {
        self.frames[level]
    }

    /// The definition of a source.
    pub(super) fn source(&self, level: usize, source: u16) -> &'q TableDefinition {
        let frame = self.frame(level);
        let place = usize::from(source).checked_sub(1);
        let join = place.and_then(|place| frame.joins.get(place));
        join.map_or(frame.table, |join| join.table.definition())
    }

    /// The alias of a source; none where names stand bare.
    pub(super) fn alias(&self, level: usize, source: u16) -> Option<String> {
        match level {
            0 if self.frame(0).joins.is_empty() => None,
            0 => Some(format!("j{source}")),
            _ => Some(format!("e{level}s{source}")),
        }
    }

    /// What stands before the names of a source's columns.
    pub(super) fn prefix(&self, level: usize, source: u16) -> String {
        match self.alias(level, source) {
            Some(alias) => format!("{alias}."),
            // Inside a condition about other rows, a bare name might be one of theirs.
            None if self.level() > 0 => format!("{}.", names::table(self.frame(0).table.id)),
            None => String::new(),
        }
    }

    /// A column against one of a row outside, so many levels up.
    pub(super) fn compare_outer(
        &mut self,
        column: ColumnRef,
        compare: Compare,
        (levels, outer): (u8, ColumnRef),
        negated: bool,
    ) {
        let level = self.level();
        let Some(outside) = level.checked_sub(usize::from(levels)) else {
            return self.constant(negated);
        };
        self.sql.push('(');
        self.compare_columns((level, column), compare, (outside, outer));
        self.sql.push_str(if negated { ") IS NOT TRUE" } else { ")" });
    }

    /// There is such a row, or there is none.
    pub(super) fn exists(&mut self, exists: &'q Exists) {
        let outside = self.level();
        if exists.negated {
            self.sql.push_str("NOT ");
        }
        self.sql.push_str("EXISTS (SELECT 1");
        self.frames.push(Frame { table: exists.table.definition(), joins: &exists.joins });
        self.from();
        self.sql.push_str(" WHERE ");
        let inside = self.level();
        self.link((inside, ColumnRef { source: 0, column: exists.from }), (outside, exists.to));
        if let Some(filter) = &exists.filter {
            self.sql.push_str(" AND ");
            self.filter(filter);
        }
        self.frames.pop();
        self.sql.push(')');
    }
}
