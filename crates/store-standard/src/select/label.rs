//! Order by what the values of a choice are called: an expression that gives each value its place.
//!
//! The values come from the definitions and travel as parameters. Not here: what the labels are.

use super::{Writer, param};
use crate::dialect::Param;
use query::shape::LabelOrder;

impl Writer<'_> {
    /// The place of the value among the labels, from 0; null for null.
    pub(super) fn rank(&mut self, expression: &str, label: &LabelOrder) {
        self.sql.push_str(&format!("CASE WHEN {expression} IS NULL THEN NULL"));
        for (place, value) in label.values.iter().enumerate() {
            let Some(param) = param(value) else { continue };
            self.sql.push_str(&format!(" WHEN {expression} = "));
            self.param(param);
            self.sql.push_str(&format!(" THEN {place}"));
        }
        self.sql.push_str(&format!(" ELSE {} END", label.values.len()));
    }

    /// The label comes after the one at this place; nulls are first ascending and last descending.
    pub(super) fn beyond_label(&mut self, label: &LabelOrder, rank: Option<i32>, descending: bool) {
        match (rank, descending) {
            (None, true) => self.constant(false),
            (None, false) => self.is_null(label.column, true),
            (Some(rank), false) => self.against_rank(label, ">", rank),
            (Some(rank), true) => {
                self.sql.push('(');
                self.against_rank(label, "<", rank);
                self.sql.push_str(" OR ");
                self.is_null(label.column, false);
                self.sql.push(')');
            }
        }
    }

    pub(super) fn same_label(&mut self, label: &LabelOrder, rank: Option<i32>) {
        match rank {
            None => self.is_null(label.column, false),
            Some(rank) => self.against_rank(label, "=", rank),
        }
    }

    fn against_rank(&mut self, label: &LabelOrder, sign: &str, rank: i32) {
        let Some(operand) = self.operand(label.column) else { return self.constant(false) };
        self.rank(&operand.plain, label);
        self.sql.push_str(&format!(" {sign} "));
        self.param(Param::Integer(rank));
    }
}
