//! Names and values of a QueryExpression, bound to the catalog.
//!
//! What operators mean is the matter of `operator`.

use super::{ConditionExpression, Error, FilterExpression, Item, QueryExpression};
use crate::odata::Literal;
use crate::odata::limits::{CONDITIONS_MAX, VALUES_MAX};
use crate::operator::{self, Asked, Operator, Surface};
use crate::scope::Scope;
use crate::{ColumnRef, Context, Filter};
use model::{Catalog, Table};
use std::sync::Arc;

/// A bound query: which rows of which table.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The table.
    pub table: Arc<Table>,
    /// Which rows; all of them where there is none.
    pub filter: Option<Filter>,
}

/// Types of values, as .NET names them.
const VALUE_TYPES: [&str; 8] = [
    "System.Guid",
    "System.String",
    "System.Int32",
    "System.Int64",
    "System.Boolean",
    "System.DateTime",
    "System.Decimal",
    "System.Double",
];

/// Operators of the platform that are not honoured.
const REFUSED: [&str; 5] = ["ChildOf", "Mask", "NotMask", "MasksSelect", "EqualRoleBusinessId"];

/// Binds a query.
pub fn bind(
    catalog: &Arc<Catalog>,
    query: &QueryExpression,
    context: &Context,
) -> Result<Bound, Error> {
    let name = query.entity_name.trim();
    let table = catalog.table(name).ok_or_else(|| Error::UnknownTable { name: name.into() })?;
    refuse(query)?;
    let binder = Binder { table, scope: Scope::new(catalog, table, context) };
    if let Some(set) = &query.column_set {
        let _all = set.all_columns;
        for column in set.columns.iter().flatten() {
            binder.column(column)?;
        }
    }
    // An order changes nothing: every row that matches is meant. Its names must be there, though.
    for order in query.orders.iter().flatten() {
        binder.column(&order.attribute_name)?;
        let _order = &order.order_type;
        if order.alias.is_some() || order.entity_name.as_deref().is_some_and(|other| other != name)
        {
            return Err(Error::refused("an order by an alias or by another table"));
        }
    }
    let mut conditions = 0;
    let filter = match &query.criteria {
        Some(criteria) => binder.filter(criteria, &mut conditions)?,
        None => None,
    };
    Ok(Bound { table: table.clone(), filter })
}

/// Refuses what asks for something that is not there.
fn refuse(query: &QueryExpression) -> Result<(), Error> {
    if query.link_entities.as_ref().is_some_and(|links| !links.is_empty()) {
        return Err(Error::refused("the query member 'LinkEntities'"));
    }
    if query.top_count.is_some() {
        return Err(Error::refused("the query member 'TopCount'"));
    }
    if let Some(source) = query.data_source.as_deref().filter(|source| !source.is_empty()) {
        return Err(Error::refused(format!("the query member 'DataSource' with value '{source}'")));
    }
    // Duplicates and locks do not change which rows are meant.
    let _no_effect = (query.distinct, query.no_lock);
    if let Some(page) = &query.page_info {
        let first = page.page_number.is_none_or(|number| number <= 1);
        let whole = page.count.is_none_or(|count| count == 0);
        let _counted = page.return_total_record_count;
        if !first || !whole || page.paging_cookie.as_deref().is_some_and(|text| !text.is_empty()) {
            return Err(Error::refused("the query member 'PageInfo' that asks for a part"));
        }
    }
    Ok(())
}

struct Binder<'a> {
    table: &'a Arc<Table>,
    scope: Scope,
}

impl Binder<'_> {
    fn column(&self, name: &str) -> Result<ColumnRef, Error> {
        let unknown = || crate::Error::UnknownColumn {
            table: self.table.logical_name.clone(),
            name: name.into(),
        };
        Ok(ColumnRef::root(self.table.index_of(name.trim()).ok_or_else(unknown)?))
    }

    fn filter(
        &self,
        expression: &FilterExpression,
        conditions: &mut usize,
    ) -> Result<Option<Filter>, Error> {
        let all = match expression.filter_operator.as_deref() {
            None | Some("And") => true,
            Some("Or") => false,
            Some(other) => {
                return Err(Error::Malformed {
                    why: format!("'FilterOperator' is '{other}', not 'And' or 'Or'"),
                });
            }
        };
        if expression.is_quick_find_filter == Some(true) {
            return Err(Error::refused("the filter member 'IsQuickFindFilter'"));
        }
        let mut parts = Vec::new();
        for condition in expression.conditions.iter().flatten() {
            *conditions += 1;
            if *conditions > CONDITIONS_MAX {
                return Err(crate::Error::TooManyConditions.into());
            }
            parts.push(self.condition(condition)?);
        }
        for filter in expression.filters.iter().flatten() {
            parts.extend(self.filter(filter, conditions)?);
        }
        Ok(match (parts.len(), all) {
            (0 | 1, _) => parts.pop(),
            (_, true) => Some(Filter::And(parts)),
            (_, false) => Some(Filter::Or(parts)),
        })
    }

    fn condition(&self, expression: &ConditionExpression) -> Result<Filter, Error> {
        let other = expression.entity_name.as_deref().filter(|name| !name.is_empty());
        if other.is_some_and(|name| *name != *self.table.logical_name) {
            return Err(Error::refused("a condition whose 'EntityName' is another table"));
        }
        if expression.compare_columns == Some(true) {
            return Err(Error::refused("the condition member 'CompareColumns'"));
        }
        let column = self.column(&expression.attribute_name)?;
        let name = &*expression.operator;
        let operator = operator::find(Surface::Expression, name).ok_or_else(|| {
            match REFUSED.contains(&name) {
                true => Error::refused(format!("the condition operator '{name}'")),
                false => Error::UnknownOperator { name: name.into() },
            }
        })?;
        let items = expression.values.as_deref().unwrap_or_default();
        let values: Vec<Literal> =
            items.iter().map(|item| text(item).map(Literal::Text)).collect::<Result<_, _>>()?;
        let ask = |values| {
            let asked = Asked { scope: &self.scope, column, name, values };
            asked.bind(operator).map_err(|error| match error {
                crate::Error::ValueCount { operator, count } => {
                    Error::ValueCount { operator, count }
                }
                crate::Error::BadValue { operator, value } => Error::BadValue { operator, value },
                other => Error::Query(other),
            })
        };
        // Any number of values: they are looked for in groups.
        let (Operator::In { negated }, true) = (operator, values.len() > VALUES_MAX) else {
            return ask(values);
        };
        let groups = values.chunks(VALUES_MAX).map(|group| ask(group.to_vec()));
        let groups = groups.collect::<Result<_, _>>()?;
        Ok(if negated { Filter::And(groups) } else { Filter::Or(groups) })
    }
}

/// The text of a value.
fn text(item: &Item) -> Result<String, Error> {
    if let Some(name) = &item.r#type
        && !VALUE_TYPES.contains(&name.as_str())
    {
        return Err(Error::refused(format!("the value type '{name}'")));
    }
    let text = match &item.value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Bool(yes) => yes.to_string(),
        other => {
            return Err(Error::Malformed { why: format!("`{other}` is no value of a condition") });
        }
    };
    // .NET writes `True`.
    Ok(match item.r#type.as_deref() {
        Some("System.Boolean") => text.to_lowercase(),
        _ => text,
    })
}
