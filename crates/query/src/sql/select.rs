//! The clauses of a SELECT that are mapped; every other one is refused by name.

use super::{Binder, Item, What, Wished};
use crate::listed::{has_extremes, has_sum};
use crate::odata::limits;
use crate::shape::Aggregate;
use crate::{ColumnRef, Error};
use model::ColumnKind;
use sqlparser::ast::{
    self, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    LimitClause, OrderByKind, OrderBySort, SelectItem, SetExpr, TableWithJoins, TopQuantity,
};

/// The clauses of a statement.
pub(super) struct Parts<'a> {
    pub(super) is_distinct: bool,
    pub(super) projection: &'a [SelectItem],
    pub(super) from: &'a TableWithJoins,
    pub(super) selection: Option<&'a Expr>,
    pub(super) group_by: Vec<&'a Expr>,
    pub(super) order_by: &'a [ast::OrderByExpr],
    /// Rows at most, of `TOP` or `FETCH`.
    pub(super) rows: Option<u32>,
    /// Rows left out, of `OFFSET`.
    pub(super) skip: u32,
}

fn refused(what: &str) -> Error {
    Error::refused(format!("{what} in `sql`"))
}

fn unless(is_there: bool, what: &str) -> Result<(), Error> {
    if is_there { Err(refused(what)) } else { Ok(()) }
}

/// Takes a statement apart.
pub(super) fn parts(query: &ast::Query) -> Result<Parts<'_>, Error> {
    let ast::Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    unless(with.is_some(), "WITH")?;
    unless(!locks.is_empty() || for_clause.is_some(), "FOR")?;
    unless(settings.is_some() || format_clause.is_some(), "SETTINGS or FORMAT")?;
    unless(!pipe_operators.is_empty(), "a pipe operator")?;
    let select = match &**body {
        SetExpr::Select(select) => select,
        SetExpr::Query(_) => return Err(refused("a statement in parentheses")),
        SetExpr::SetOperation { op, .. } => return Err(refused(&op.to_string())),
        _ => return Err(refused("any statement but SELECT")),
    };
    let order_by = match order_by {
        None => &[][..],
        Some(order) => {
            unless(order.interpolate.is_some(), "INTERPOLATE")?;
            match &order.kind {
                OrderByKind::Expressions(all) => all.as_slice(),
                OrderByKind::All(_) => return Err(refused("ORDER BY ALL")),
            }
        }
    };
    let mut parts = of_select(select, order_by)?;
    if let Some(clause) = limit_clause {
        let LimitClause::LimitOffset { limit: None, offset: Some(offset), limit_by } = clause
        else {
            return Err(refused("LIMIT (TOP, or OFFSET and FETCH, is understood)"));
        };
        unless(!limit_by.is_empty(), "LIMIT BY")?;
        parts.skip = number(&offset.value, "OFFSET")?;
        if parts.skip > limits::SKIPPED_ROWS_MAX {
            return Err(refused(&format!("OFFSET beyond {} rows", limits::SKIPPED_ROWS_MAX)));
        }
    }
    if let Some(fetch) = fetch {
        unless(fetch.with_ties || fetch.percent, "FETCH WITH TIES or PERCENT")?;
        unless(parts.rows.is_some(), "both TOP and FETCH")?;
        let quantity = fetch.quantity.as_ref();
        parts.rows = Some(quantity.map_or(Ok(1), |quantity| number(quantity, "FETCH"))?);
    }
    Ok(parts)
}

fn of_select<'a>(
    select: &'a ast::Select,
    order_by: &'a [ast::OrderByExpr],
) -> Result<Parts<'a>, Error> {
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    unless(!optimizer_hints.is_empty(), "a hint")?;
    unless(select_modifiers.is_some(), "a modifier of SELECT")?;
    unless(exclude.is_some(), "EXCLUDE")?;
    unless(into.is_some(), "INTO")?;
    unless(!lateral_views.is_empty(), "LATERAL VIEW")?;
    unless(prewhere.is_some(), "PREWHERE")?;
    unless(!connect_by.is_empty(), "CONNECT BY")?;
    unless(!cluster_by.is_empty() || !distribute_by.is_empty() || !sort_by.is_empty(), "SORT BY")?;
    unless(having.is_some(), "HAVING")?;
    unless(!named_window.is_empty() || qualify.is_some(), "WINDOW")?;
    unless(value_table_mode.is_some(), "SELECT AS")?;
    unless(*flavor != ast::SelectFlavor::Standard, "FROM before SELECT")?;
    let is_distinct = match distinct {
        None | Some(ast::Distinct::All) => false,
        Some(ast::Distinct::Distinct) => true,
        Some(_) => return Err(refused("DISTINCT ON")),
    };
    let from = match from.as_slice() {
        [from] => from,
        [] => return Err(refused("a statement without FROM")),
        _ => return Err(refused("several tables in FROM (JOIN is understood)")),
    };
    let group_by = match group_by {
        GroupByExpr::Expressions(all, modifiers) => {
            unless(!modifiers.is_empty(), "a modifier of GROUP BY")?;
            all.iter().collect()
        }
        GroupByExpr::All(_) => return Err(refused("GROUP BY ALL")),
    };
    let rows = match top {
        None => None,
        Some(top) => {
            unless(top.with_ties || top.percent, "TOP WITH TIES or PERCENT")?;
            Some(match &top.quantity {
                Some(TopQuantity::Constant(rows)) => u32::try_from(*rows).unwrap_or(u32::MAX),
                Some(TopQuantity::Expr(rows)) => number(rows, "TOP")?,
                None => return Err(refused("TOP without a number")),
            })
        }
    };
    let (projection, selection) = (projection.as_slice(), selection.as_ref());
    Ok(Parts { is_distinct, projection, from, selection, group_by, order_by, rows, skip: 0 })
}

/// A whole number from 0.
fn number(expression: &Expr, clause: &str) -> Result<u32, Error> {
    let bad = || refused(&format!("{clause} with `{expression}`"));
    match expression {
        Expr::Value(value) => match &value.value {
            ast::Value::Number(text, _) => {
                let whole = text.bytes().all(|byte| byte.is_ascii_digit());
                // More digits than fit mean more rows than a page holds, whatever they say.
                if whole { Ok(text.parse().unwrap_or(u32::MAX)) } else { Err(bad()) }
            }
            _ => Err(bad()),
        },
        Expr::Nested(inner) => number(inner, clause),
        _ => Err(bad()),
    }
}

impl Binder {
    /// What is selected, and what is grouped by.
    pub(super) fn items(
        &mut self,
        projection: &[SelectItem],
        group_by: &[&Expr],
    ) -> Result<(), Error> {
        for item in projection {
            let (expression, alias) = match item {
                SelectItem::UnnamedExpr(expression) => (expression, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(&*alias.value)),
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    return Err(refused("`*` (name the columns)"));
                }
                SelectItem::ExprWithAliases { .. } => return Err(refused("several aliases")),
            };
            let what = self.value(expression)?;
            let (name, renamed): (Box<str>, bool) = match (alias, what) {
                (Some(alias), _) => {
                    let first = alias.bytes().next();
                    let first =
                        first.is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
                    let plain =
                        alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    if !(first && plain) {
                        return Err(refused(&format!("alias `{alias}`")));
                    }
                    (alias.into(), true)
                }
                (None, What::Column(column)) => {
                    let table = self.scope.source(column.source);
                    (table.value_name(column.column).into(), column.source > 0)
                }
                (None, What::Aggregate(..)) => {
                    return Err(refused(&format!("`{expression}` without an alias")));
                }
            };
            if self.items.iter().any(|known| known.name == name) {
                return Err(refused(&format!("two columns named `{name}` (give one an alias)")));
            }
            self.items.push(Item { name, renamed, what });
            if self.items.len() > limits::SELECTED_MAX {
                return Err(refused(&format!("more than {} columns", limits::SELECTED_MAX)));
            }
        }
        for expression in group_by {
            let What::Column(column) = self.value(expression)? else {
                return Err(refused(&format!("GROUP BY `{expression}`")));
            };
            if !self.keys.contains(&column) {
                self.keys.push(column);
            }
            if self.keys.len() > limits::GROUP_KEYS_MAX {
                return Err(refused(&format!("GROUP BY over {} columns", limits::GROUP_KEYS_MAX)));
            }
        }
        Ok(())
    }

    pub(super) fn order(&mut self, order_by: &[ast::OrderByExpr]) -> Result<(), Error> {
        for one in order_by {
            let ast::OrderByExpr { expr, options, with_fill } = one;
            unless(with_fill.is_some() || options.nulls_first.is_some(), "NULLS FIRST or LAST")?;
            let descending = match &options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(_) => return Err(refused("ORDER BY USING")),
            };
            let what = match self.aliased_item(expr) {
                Some(what) => what,
                None => self.value(expr)?,
            };
            if let What::Column(column) = what {
                let definition = self.scope.column(column);
                if matches!(
                    definition.kind,
                    ColumnKind::Lookup { .. }
                        | ColumnKind::MultiChoice { .. }
                        | ColumnKind::Memo { .. }
                ) && self.keys.is_empty()
                {
                    let name = &definition.logical_name;
                    return Err(refused(&format!(
                        "ORDER BY lookup, memo or multi-select column `{name}`"
                    )));
                }
            }
            self.order.push(Wished { what, descending });
            if self.order.len() > limits::ORDER_KEYS_MAX {
                return Err(refused(&format!("ORDER BY over {} columns", limits::ORDER_KEYS_MAX)));
            }
        }
        Ok(())
    }

    /// What is selected under this name, when the expression is one.
    fn aliased_item(&self, expression: &Expr) -> Option<What> {
        let Expr::Identifier(name) = expression else { return None };
        let found = self.items.iter().find(|item| item.name.eq_ignore_ascii_case(&name.value));
        found.map(|item| item.what)
    }

    /// A column or an aggregate of one.
    pub(super) fn value(&self, expression: &Expr) -> Result<What, Error> {
        match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                self.column(expression).map(What::Column)
            }
            Expr::Nested(inner) => self.value(inner),
            Expr::Function(function) => self.aggregate(function),
            Expr::Case { .. } => Err(refused("CASE")),
            Expr::Subquery(_) | Expr::Exists { .. } => Err(refused("a sub-query")),
            Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => {
                Err(refused(&format!("arithmetic `{expression}`")))
            }
            _ => Err(refused(&format!("expression `{expression}`"))),
        }
    }

    fn aggregate(&self, function: &ast::Function) -> Result<What, Error> {
        let text = function.to_string();
        let ast::Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment,
            over,
        } = function;
        let name = name.to_string().to_ascii_lowercase();
        let is_known = matches!(&*name, "count" | "sum" | "avg" | "min" | "max");
        if !is_known {
            return Err(refused(&format!("function `{name}`")));
        }
        let is_plain = !uses_odbc_syntax
            && *parameters == FunctionArguments::None
            && within_group.is_empty()
            && filter.is_none()
            && null_treatment.is_none()
            && over.is_none();
        let FunctionArguments::List(list) = args else { return Err(refused(&format!("`{text}`"))) };
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let [FunctionArg::Unnamed(argument)] = list.args.as_slice() else {
            return Err(refused(&format!("`{text}`")));
        };
        if !is_plain || !list.clauses.is_empty() || distinct && name != "count" {
            return Err(refused(&format!("`{text}`")));
        }
        let column = match argument {
            FunctionArgExpr::Wildcard if name == "count" && !distinct => {
                let key = ColumnRef::root(self.scope.table.primary_key);
                return Ok(What::Aggregate(key, Aggregate::Rows));
            }
            FunctionArgExpr::Expr(expression) => self.column(expression)?,
            _ => return Err(refused(&format!("`{text}`"))),
        };
        let kind = &self.scope.column(column).kind;
        let aggregate = match &*name {
            "count" if distinct => Aggregate::Distinct(column),
            "count" => Aggregate::Values(column),
            "sum" if has_sum(kind) => Aggregate::Sum(column),
            "avg" if has_sum(kind) => Aggregate::Average(column),
            "min" if has_extremes(kind) => Aggregate::Least(column),
            "max" if has_extremes(kind) => Aggregate::Greatest(column),
            _ => return Err(refused(&format!("`{text}` of a column of this kind"))),
        };
        Ok(What::Aggregate(column, aggregate))
    }
}
