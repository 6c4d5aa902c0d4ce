//! Tables and columns of a statement: FROM, JOIN and the names in expressions.
//!
//! Names are logical names, in any case, bare or in brackets or double quotes.

use super::Binder;
use crate::odata::class;
use crate::tree::{Join, JoinKind};
use crate::{ColumnRef, Error};
use sqlparser::ast::{
    self, BinaryOperator, Expr, JoinConstraint, JoinOperator, ObjectName, TableFactor,
    TableWithJoins,
};
use std::sync::Arc;

fn refused(what: impl std::fmt::Display) -> Error {
    Error::refused(format!("{what} in `sql`"))
}

impl Binder {
    /// The tables of FROM, joined in order.
    pub(super) fn tables(&mut self, from: &TableWithJoins) -> Result<(), Error> {
        let (name, alias) = table(&from.relation)?;
        let root = Arc::clone(&self.scope.table);
        if name != *root.logical_name {
            let (table, name) = (root.logical_name.clone(), name.into());
            return Err(Error::OtherTable { table, name });
        }
        self.named(alias, 0)?;
        for join in &from.joins {
            self.join(join)?;
        }
        Ok(())
    }

    fn named(&mut self, alias: String, source: u16) -> Result<(), Error> {
        if self.aliases.iter().any(|(known, _)| *known == alias) {
            return Err(refused(format_args!("two tables named `{alias}` (give one an alias)")));
        }
        self.aliases.push((alias, source));
        Ok(())
    }

    fn join(&mut self, join: &ast::Join) -> Result<(), Error> {
        if join.global {
            return Err(refused("GLOBAL"));
        }
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => (JoinKind::Inner, on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (JoinKind::Outer, on),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
                return Err(refused("RIGHT JOIN"));
            }
            JoinOperator::FullOuter(_) => return Err(refused("FULL JOIN")),
            JoinOperator::CrossJoin(_) => return Err(refused("CROSS JOIN")),
            _ => return Err(refused("a join that is neither INNER nor LEFT")),
        };
        let JoinConstraint::On(on) = constraint else {
            return Err(refused("a join without ON"));
        };
        let (name, alias) = table(&join.relation)?;
        let catalog = Arc::clone(&self.scope.catalog);
        let table = catalog.table(&name);
        let table = table.ok_or_else(|| Error::UnknownTable { name: name.as_str().into() })?;
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = unwrapped(on) else {
            return Err(refused(format_args!("ON `{on}` (one column = one column is understood)")));
        };
        // The new table's own column may stand on either side.
        let own = |expression: &Expr| match expression {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [of, column] if of.value.eq_ignore_ascii_case(&alias) => {
                    table.index_of(&column.value.to_lowercase())
                }
                _ => None,
            },
            _ => None,
        };
        let (from, to) = match (own(unwrapped(left)), own(unwrapped(right))) {
            (Some(from), None) => (from, self.column(unwrapped(right))?),
            (None, Some(from)) => (from, self.column(unwrapped(left))?),
            _ => {
                return Err(refused(format_args!(
                    "ON `{on}` (a column of `{alias}` = a column of a table before it is understood)"
                )));
            }
        };
        let (one, other) = (table.column(from), self.scope.column(to));
        let joins = match (class::of(one), class::of(other)) {
            (Some(one), Some(other)) => {
                class::is_exact(one) && (one == other || class::is_id(one) && class::is_id(other))
            }
            _ => false,
        };
        if !joins {
            return Err(refused(format_args!(
                "joining column `{}` with column `{}`",
                one.logical_name, other.logical_name
            )));
        }
        let join = Join { table: Arc::clone(table), from, to, kind, on: None };
        let source = self.scope.join(join)?;
        self.named(alias, source)
    }

    /// The column that an expression names.
    pub(super) fn column(&self, expression: &Expr) -> Result<ColumnRef, Error> {
        match unwrapped(expression) {
            Expr::Identifier(name) => {
                let name = name.value.to_lowercase();
                let mut found = self.aliases.iter().filter_map(|(_, source)| {
                    let column = self.scope.source(*source).index_of(&name)?;
                    Some(ColumnRef { source: *source, column })
                });
                match (found.next(), found.next()) {
                    (Some(column), None) => Ok(column),
                    (Some(_), Some(_)) => {
                        Err(refused(format_args!("column `{name}`, which several tables have,")))
                    }
                    (None, _) => Err(self.unknown(0, &name)),
                }
            }
            Expr::CompoundIdentifier(parts) => {
                let [of, name] = parts.as_slice() else {
                    return Err(refused(format_args!("name `{expression}`")));
                };
                let of = of.value.to_lowercase();
                let known = self.aliases.iter().find(|(alias, _)| *alias == of);
                let (_, source) =
                    known.ok_or_else(|| Error::UnknownTable { name: of.as_str().into() })?;
                let name = name.value.to_lowercase();
                let column = self.scope.source(*source).index_of(&name);
                let column = column.ok_or_else(|| self.unknown(*source, &name))?;
                Ok(ColumnRef { source: *source, column })
            }
            Expr::Function(function) => Err(refused(format_args!("function `{}`", function.name))),
            Expr::Subquery(_) | Expr::Exists { .. } => Err(refused("a sub-query")),
            Expr::Case { .. } => Err(refused("CASE")),
            Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => {
                Err(refused(format_args!("arithmetic `{expression}`")))
            }
            _ => Err(refused(format_args!("`{expression}` where a column is wanted"))),
        }
    }

    fn unknown(&self, source: u16, name: &str) -> Error {
        let table = self.scope.source(source).logical_name.clone();
        Error::UnknownColumn { table, name: name.into() }
    }
}

/// An expression without parentheses around it.
pub(super) fn unwrapped(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) => unwrapped(inner),
        other => other,
    }
}

/// The logical name of a table and what it is called in the statement, both in lower case.
fn table(factor: &TableFactor) -> Result<(String, String), Error> {
    let TableFactor::Table {
        name,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_directives,
        inheritance,
    } = factor
    else {
        return Err(refused("a table that is no name"));
    };
    let is_plain = args.is_none()
        && with_hints.is_empty()
        && version.is_none()
        && !with_ordinality
        && partitions.is_empty()
        && json_path.is_none()
        && sample.is_none()
        && index_directives.is_empty()
        && inheritance.is_none();
    if !is_plain {
        return Err(refused(format_args!("an option of table `{name}`")));
    }
    let table = bare(name)?;
    let called = match alias {
        None => table.clone(),
        Some(alias) if alias.columns.is_empty() && alias.at.is_none() => {
            alias.name.value.to_lowercase()
        }
        Some(alias) => return Err(refused(format_args!("alias `{alias}`"))),
    };
    Ok((table, called))
}

/// A name of one part, in lower case.
fn bare(name: &ObjectName) -> Result<String, Error> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
        _ => None,
    }
    .ok_or_else(|| refused(format_args!("table name `{name}`")))
}
