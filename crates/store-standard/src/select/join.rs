//! The joined tables of a query: what stands between its table and its conditions.
//!
//! With joins every table has an alias, `j0` for the query's own and `j1`, `j2`, … in order; without,
//! names stand bare. Not here: conditions, which name columns of any source.

use super::{Writer, table_of};
use crate::names;
use model::TableDefinition;
use query::{ColumnRef, Join, JoinKind};

impl<'q> Writer<'q> {
    /// The definition of a source of the query.
    pub(super) fn source(&self, source: u16) -> &'q TableDefinition {
        let place = usize::from(source).checked_sub(1);
        let join = place.and_then(|place| self.joins.get(place));
        join.map_or(self.table, |join| join.table.definition())
    }

    /// What stands before the names of a source's columns.
    pub(super) fn prefix(&self, source: u16) -> String {
        if self.joins.is_empty() { String::new() } else { format!("j{source}.") }
    }

    /// Everything after the name of the query's own table.
    pub(super) fn joins(&mut self) {
        if self.joins.is_empty() {
            return;
        }
        self.sql.push_str(" AS j0");
        let joins = self.joins;
        for (source, join) in (1..).zip(joins) {
            self.sql.push_str(match join.kind {
                JoinKind::Inner => " JOIN ",
                JoinKind::Outer | JoinKind::First => " LEFT JOIN ",
            });
            let table = names::table(join.table.id);
            self.sql.push_str(&format!("{table} AS j{source} ON "));
            if join.kind == JoinKind::First {
                // The alias inside hides the one outside: conditions name the row that is looked for.
                let key = ColumnRef { source, column: join.table.primary_key };
                let key = self.operand(key).map_or_else(String::new, |key| key.plain);
                self.sql
                    .push_str(&format!("{key} = (SELECT {key} FROM {table} AS j{source} WHERE "));
                self.partner(source, join);
                self.sql.push_str(&format!(" ORDER BY {key} LIMIT 1)"));
            } else {
                self.partner(source, join);
            }
        }
    }

    /// What makes a row a partner.
    fn partner(&mut self, source: u16, join: &Join) {
        self.link(source, join);
        if let Some(on) = &join.on {
            self.sql.push_str(" AND ");
            self.filter(on);
        }
    }

    /// Both columns are equal and mean rows of one table.
    fn link(&mut self, source: u16, join: &Join) {
        let from = ColumnRef { source, column: join.from };
        let (Some(left), Some(right)) = (self.operand(from), self.operand(join.to)) else {
            return self.constant(false);
        };
        self.sql.push_str(&left.compared);
        self.sql.push_str(" = ");
        self.sql.push_str(&right.compared);
        let meant = |column: ColumnRef, operand| {
            let table = self.source(column.source);
            let is_key = column.column == table.primary_key;
            table_of(operand).or_else(|| is_key.then(|| table.id.0.to_string()))
        };
        if let (Some(one), Some(other)) = (meant(from, &left), meant(join.to, &right))
            && one != other
        {
            self.sql.push_str(&format!(" AND {one} = {other}"));
        }
    }
}
