//! The tables of a query or of a condition about other rows: what stands between `FROM` and the
//! conditions.
//!
//! With joins every table of a query has an alias, `j0` for its own and `j1`, `j2`, … in order;
//! without, names stand bare. Not here: conditions, which name columns of any source.

use super::{Writer, table_of};
use crate::names;
use query::{ColumnRef, Join, JoinKind};

impl<'q> Writer<'q> {
    /// The tables of the innermost condition that is open.
    pub(super) fn from(&mut self) {
        let level = self.level();
        let frame = self.frame(level);
        self.sql.push_str(" FROM ");
        self.sql.push_str(&names::table(frame.table.id));
        if let Some(alias) = self.alias(level, 0) {
            self.sql.push_str(" AS ");
            self.sql.push_str(&alias);
        }
        for (source, join) in (1..).zip(frame.joins) {
            self.sql.push_str(match join.kind {
                JoinKind::Inner => " JOIN ",
                JoinKind::Outer | JoinKind::First => " LEFT JOIN ",
            });
            let table = names::table(join.table.id);
            let alias = self.alias(level, source).unwrap_or_default();
            self.sql.push_str(&format!("{table} AS {alias} ON "));
            if join.kind == JoinKind::First {
                // The alias inside hides the one outside: conditions name the row that is looked for.
                let key = format!(
                    "{alias}.{}",
                    names::column(join.table.column(join.table.primary_key).id)
                );
                self.sql.push_str(&format!("{key} = (SELECT {key} FROM {table} AS {alias} WHERE "));
                self.partner(level, source, join);
                self.sql.push_str(&format!(" ORDER BY {key} LIMIT 1)"));
            } else {
                self.partner(level, source, join);
            }
        }
    }

    /// What makes a row a partner.
    fn partner(&mut self, level: usize, source: u16, join: &'q Join) {
        self.link((level, ColumnRef { source, column: join.from }), (level, join.to));
        if let Some(on) = &join.on {
            self.sql.push_str(" AND ");
            self.filter(on);
        }
    }

    /// Both columns, each of a source of one of the open conditions, are equal and mean rows of one
    /// table.
    pub(super) fn link(&mut self, from: (usize, ColumnRef), to: (usize, ColumnRef)) {
        let operand = |(level, column)| self.operand_at(level, column);
        let (Some(left), Some(right)) = (operand(from), operand(to)) else {
            return self.constant(false);
        };
        self.sql.push_str(&left.compared);
        self.sql.push_str(" = ");
        self.sql.push_str(&right.compared);
        let meant = |(level, column): (usize, ColumnRef), operand| {
            let table = self.source(level, column.source);
            let is_key = column.column == table.primary_key;
            table_of(operand).or_else(|| is_key.then(|| table.id.0.to_string()))
        };
        if let (Some(one), Some(other)) = (meant(from, &left), meant(to, &right))
            && one != other
        {
            self.sql.push_str(&format!(" AND {one} = {other}"));
        }
    }
}
