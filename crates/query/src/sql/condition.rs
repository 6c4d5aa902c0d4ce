//! WHERE: what a row must be like. The comparisons themselves are those of OData's filters.
//!
//! `NOT` is the exact complement, so that it includes rows with nulls, as everywhere else in the house.

use super::Binder;
use super::names::unwrapped;
use crate::odata::limits;
use crate::odata::{Literal, Side, leaf, negate};
use crate::{ColumnRef, Compare, Error, Filter, operator};
use sqlparser::ast::{self, BinaryOperator, Expr, InTarget, UnaryOperator};

fn refused(what: impl std::fmt::Display) -> Error {
    Error::refused(format!("{what} in `sql`"))
}

impl Binder {
    pub(super) fn filter(&mut self, expression: &Expr) -> Result<Filter, Error> {
        match expression {
            Expr::Nested(inner) => self.filter(inner),
            Expr::BinaryOp { op: BinaryOperator::And, .. } => {
                self.each(expression, &BinaryOperator::And).map(Filter::And)
            }
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
                self.each(expression, &BinaryOperator::Or).map(Filter::Or)
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.filter(expr).map(negate),
            _ => self.condition(expression),
        }
    }

    /// What stands in a chain of this operator, which the parser has nested to the left.
    fn each(&mut self, chain: &Expr, operator: &BinaryOperator) -> Result<Vec<Filter>, Error> {
        let (mut first, mut others) = (chain, Vec::new());
        while let Expr::BinaryOp { left, op, right } = first
            && op == operator
        {
            others.push(&**right);
            first = left;
        }
        let all = std::iter::once(first).chain(others.into_iter().rev());
        all.map(|one| self.filter(one)).collect()
    }

    fn condition(&mut self, expression: &Expr) -> Result<Filter, Error> {
        self.conditions += 1;
        if self.conditions > limits::CONDITIONS_MAX {
            return Err(Error::TooManyConditions);
        }
        match expression {
            Expr::BinaryOp { left, op, right } => {
                let compare = match op {
                    BinaryOperator::Eq => Compare::Equal,
                    BinaryOperator::NotEq => Compare::NotEqual,
                    BinaryOperator::Lt => Compare::Less,
                    BinaryOperator::LtEq => Compare::LessOrEqual,
                    BinaryOperator::Gt => Compare::Greater,
                    BinaryOperator::GtEq => Compare::GreaterOrEqual,
                    other => return Err(refused(format_args!("operator `{other}`"))),
                };
                let (column, value, compare) = match (literal(left), literal(right)) {
                    (None, Some(value)) => (self.column(left)?, value, compare),
                    (Some(value), None) => (self.column(right)?, value, flipped(compare)),
                    (Some(_), Some(_)) => return Err(refused("a comparison of two literals")),
                    // Anything else that is no column is named by what reads columns.
                    (None, None) => {
                        let (left, right) = (self.column(left)?, self.column(right)?);
                        let sides = (self.scope.column(left), self.scope.column(right));
                        return leaf::columns(sides, left, compare, right);
                    }
                };
                self.against(column, compare, value)
            }
            Expr::IsNull(inner) => {
                Ok(Filter::IsNull { column: self.column(inner)?, negated: false })
            }
            Expr::IsNotNull(inner) => {
                Ok(Filter::IsNull { column: self.column(inner)?, negated: true })
            }
            Expr::Between { expr, negated, low, high } => {
                let column = self.column(expr)?;
                let bound = |value: &Expr| {
                    literal(value)
                        .ok_or_else(|| refused(format_args!("`{value}` as a bound of BETWEEN")))
                };
                let between = Filter::And(vec![
                    self.against(column, Compare::GreaterOrEqual, bound(low)?)?,
                    self.against(column, Compare::LessOrEqual, bound(high)?)?,
                ]);
                Ok(if *negated { negate(between) } else { between })
            }
            Expr::In { expr, target, negated, global } => {
                let InTarget::List(list) = target else {
                    return Err(refused("IN with a sub-query"));
                };
                if *global {
                    return Err(refused("GLOBAL"));
                }
                let column = self.column(expr)?;
                if list.len() > limits::VALUES_MAX {
                    return Err(Error::TooManyValues);
                }
                let values: Option<Vec<Literal>> = list.iter().map(literal).collect();
                let values = values.ok_or_else(|| refused("IN with anything but literals"))?;
                let among = leaf::among(self.scope.column(column), column, values, "IN")?;
                Ok(if *negated { negate(among) } else { among })
            }
            Expr::Like { negated, any, expr, pattern, escape_char } => {
                if *any || escape_char.is_some() {
                    return Err(refused("LIKE ANY or ESCAPE"));
                }
                let column = self.column(expr)?;
                let Some(Literal::Text(pattern)) = literal(pattern) else {
                    return Err(refused("LIKE with anything but a text"));
                };
                if !leaf::is_text(&self.scope.column(column).kind) {
                    return Err(refused("LIKE of a column that holds no text"));
                }
                let like = operator::like(column, operator::Place::Whole, &pattern);
                Ok(if *negated { negate(like) } else { like })
            }
            Expr::Exists { .. } | Expr::Subquery(_) => Err(refused("a sub-query")),
            Expr::Case { .. } => Err(refused("CASE")),
            Expr::Function(function) => Err(refused(format_args!("function `{}`", function.name))),
            other => Err(refused(format_args!("condition `{other}`"))),
        }
    }

    fn against(
        &self,
        column: ColumnRef,
        compare: Compare,
        literal: Literal,
    ) -> Result<Filter, Error> {
        // `= NULL` holds for no row in SQL: whoever writes it means something else.
        if literal == Literal::Null {
            return Err(refused("a comparison with NULL (IS NULL is understood)"));
        }
        let definition = self.scope.column(column);
        let literal = literal.loosened(definition).table_named(definition, &self.scope.catalog);
        leaf::compare(definition, column, compare, &literal, Side::Left)
    }
}

/// A literal, when an expression is one.
fn literal(expression: &Expr) -> Option<Literal> {
    match unwrapped(expression) {
        Expr::Value(value) => match &value.value {
            ast::Value::Number(text, _) => Some(Literal::Number(text.clone())),
            ast::Value::SingleQuotedString(text) | ast::Value::NationalStringLiteral(text) => {
                Some(Literal::Text(text.clone()))
            }
            ast::Value::Boolean(yes) => Some(Literal::Boolean(*yes)),
            ast::Value::Null => Some(Literal::Null),
            _ => None,
        },
        // No column is called so.
        Expr::Identifier(name) if name.quote_style.is_none() => {
            match name.value.to_ascii_lowercase().as_str() {
                "true" => Some(Literal::Boolean(true)),
                "false" => Some(Literal::Boolean(false)),
                _ => None,
            }
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Literal::Number(text) => Some(Literal::Number(format!("-{text}"))),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match literal(expr)? {
            number @ Literal::Number(_) => Some(number),
            _ => None,
        },
        _ => None,
    }
}

fn flipped(compare: Compare) -> Compare {
    match compare {
        Compare::Equal | Compare::NotEqual => compare,
        Compare::Greater => Compare::Less,
        Compare::GreaterOrEqual => Compare::LessOrEqual,
        Compare::Less => Compare::Greater,
        Compare::LessOrEqual => Compare::GreaterOrEqual,
    }
}
