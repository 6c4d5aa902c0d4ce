//! Conditions that are more than a comparison: patterns, many ranges, choices, trees of rows.
//!
//! Each is written positively; its negation holds for null, too.

use super::exists::Frame;
use super::{Writer, operand, table_of};
use crate::dialect::Param;
use crate::names;
use query::{ColumnRef, HIERARCHY_LEVELS_MAX, Hierarchy, Line, Pattern};

impl<'q> Writer<'q> {
    /// A folded text fits a pattern.
    pub(super) fn like(&mut self, column: ColumnRef, pattern: &Pattern, negated: bool) {
        self.unless_null(column, negated, |this, _, compared| {
            let number = this.params.len() + 1;
            let param = this.dialect.like(&mut this.sql, compared, number, pattern);
            this.params.push(param);
        });
    }

    /// A value lies in one of many half-open ranges.
    pub(super) fn ranges(&mut self, column: ColumnRef, bounds: &[model::Value], negated: bool) {
        let bounds: Vec<Param> = bounds.iter().filter_map(super::param).collect();
        if bounds.is_empty() {
            return self.constant(negated);
        }
        self.unless_null(column, negated, |this, _, compared| {
            let number = this.params.len() + 1;
            let param = this.dialect.ranges(&mut this.sql, compared, number, bounds);
            this.params.push(param);
        });
    }

    /// A multi-select column has one of these choices.
    pub(super) fn choices(&mut self, column: ColumnRef, values: &[i32], negated: bool) {
        if values.is_empty() {
            return self.constant(negated);
        }
        self.unless_null(column, negated, |this, plain, _| {
            let number = this.params.len() + 1;
            let param = this.dialect.choices(&mut this.sql, plain, number, values);
            this.params.push(param);
        });
    }

    /// An id is reached from a row of a tree, level by level.
    pub(super) fn hierarchy(&mut self, hierarchy: &'q Hierarchy) {
        let table = hierarchy.table.definition();
        // Its rows go by the alias of a condition about other rows, so that one can be put on them.
        let alias = format!("e{}s0", self.level() + 1);
        let prefix = format!("{alias}.");
        let column = |index| operand(self.catalog, table, &prefix, index, self.dialect);
        let (Some(key), Some(parent)) = (column(table.primary_key), column(hierarchy.parent))
        else {
            return self.constant(hierarchy.negated);
        };
        // Only rows of the table itself are rows of the tree.
        let same = match table_of(&parent) {
            Some(number) if number != table.id.0.to_string() => {
                format!(" AND {number} = {}", table.id.0)
            }
            _ => String::new(),
        };
        let (key, parent) = (key.plain, parent.plain);
        let (from, to) = match hierarchy.line {
            Line::Under => (&parent, &key),
            Line::Above => (&key, &parent),
        };
        let name = names::table(table.id);
        self.unless_null(hierarchy.column, hierarchy.negated, |this, plain, _| {
            this.sql.push_str(&format!(
                "{plain} IN (WITH RECURSIVE r(id, level) AS (SELECT {to}, 1 FROM {name} AS {alias} \
                 WHERE {from} = "
            ));
            this.param(Param::Guid(hierarchy.of));
            this.sql.push_str(&format!(" AND {parent} IS NOT NULL{same}"));
            this.among(hierarchy);
            this.sql.push_str(&format!(
                " UNION SELECT {to}, r.level + 1 FROM r JOIN {name} AS {alias} ON {from} = r.id \
                 WHERE r.level < {HIERARCHY_LEVELS_MAX} AND {parent} IS NOT NULL{same}"
            ));
            this.among(hierarchy);
            this.sql.push_str(") SELECT id FROM r)");
        });
    }

    /// What the rows of a tree must meet to be looked at.
    fn among(&mut self, hierarchy: &'q Hierarchy) {
        if let Some(filter) = &hierarchy.among {
            self.sql.push_str(" AND ");
            self.frames.push(Frame { table: hierarchy.table.definition(), joins: &[] });
            self.filter(filter);
            self.frames.pop();
        }
    }

    /// Writes a condition that is unknown for null, or that it does not hold or the column is null.
    fn unless_null(
        &mut self,
        column: ColumnRef,
        negated: bool,
        write: impl FnOnce(&mut Self, &str, &str),
    ) {
        let Some(operand) = self.operand(column) else { return self.constant(negated) };
        if negated {
            self.sql.push_str(&format!("({} IS NULL OR NOT (", operand.plain));
        }
        write(self, &operand.plain, &operand.compared);
        if negated {
            self.sql.push_str("))");
        }
    }
}
