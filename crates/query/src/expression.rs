//! QueryExpression: the SDK's query as JSON, from the text to a bound filter.
//!
//! In reading order: the shapes ([`QueryExpression`] and below), [`parse`], `bind` (names and values),
//! `fetch` (the same query as FetchXML text). A subset: what is not honoured is refused by name.
//! Source: `bulk.md` 6.1. Not here: HTTP, codes. The same text is read when a job is made and when it
//! runs, so that relative dates are those of the run.

mod bind;
mod fetch;

pub use bind::{Bound, bind};
pub use fetch::to_fetch;

use serde::Deserialize;

/// Why a query was not understood. Statuses and codes are chosen in `webapi`'s `fault.rs`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no JSON, or JSON of another shape.
    #[error("malformed query expression: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
    /// No such table.
    #[error("there is no table `{name}`")]
    UnknownTable {
        /// What was written.
        name: Box<str>,
    },
    /// No such operator.
    #[error("there is no condition operator `{name}`")]
    UnknownOperator {
        /// What was written.
        name: Box<str>,
    },
    /// An operator with a number of values that it does not take.
    #[error("operator `{operator}` does not take {count} values")]
    ValueCount {
        /// The operator.
        operator: Box<str>,
        /// How many there were.
        count: usize,
    },
    /// A value that the operator cannot work with.
    #[error("`{value}` is no value for operator `{operator}`")]
    BadValue {
        /// The operator.
        operator: Box<str>,
        /// What was written.
        value: Box<str>,
    },
    /// Something that the platform honours and this service does not.
    #[error("{what} is not supported")]
    Refused {
        /// What, by name.
        what: Box<str>,
    },
    /// A name or value that does not fit its column.
    #[error(transparent)]
    Query(#[from] crate::Error),
}

impl Error {
    pub(crate) fn refused(what: impl Into<Box<str>>) -> Self {
        Self::Refused { what: what.into() }
    }
}

/// A query of one table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct QueryExpression {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    entity_name: String,
    column_set: Option<ColumnSet>,
    criteria: Option<FilterExpression>,
    link_entities: Option<Vec<serde_json::Value>>,
    orders: Option<Vec<OrderExpression>>,
    distinct: Option<bool>,
    no_lock: Option<bool>,
    top_count: Option<u32>,
    page_info: Option<PageInfo>,
    data_source: Option<String>,
}

impl QueryExpression {
    /// Logical name of its table, as it was written.
    pub fn table(&self) -> &str {
        &self.entity_name
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct ColumnSet {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    all_columns: Option<bool>,
    columns: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct FilterExpression {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    filter_operator: Option<String>,
    conditions: Option<Vec<ConditionExpression>>,
    filters: Option<Vec<FilterExpression>>,
    is_quick_find_filter: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct ConditionExpression {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    entity_name: Option<String>,
    attribute_name: String,
    operator: String,
    values: Option<Vec<Item>>,
    compare_columns: Option<bool>,
}

/// A value with the name of its .NET type; the members come in either order.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Item {
    #[serde(rename = "@odata.type", default)]
    type_name: Option<String>,
    value: serde_json::Value,
    #[serde(default)]
    r#type: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct OrderExpression {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    attribute_name: String,
    order_type: Option<serde_json::Value>,
    alias: Option<String>,
    entity_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct PageInfo {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    page_number: Option<u32>,
    count: Option<u32>,
    return_total_record_count: Option<bool>,
    paging_cookie: Option<String>,
}

/// Reads a list of queries: the JSON text of `QuerySet`.
pub fn parse(text: &str) -> Result<Vec<QueryExpression>, Error> {
    let queries: Vec<QueryExpression> =
        serde_json::from_str(text).map_err(|error| Error::Malformed { why: error.to_string() })?;
    for query in &queries {
        query.check_types()?;
    }
    Ok(queries)
}

impl QueryExpression {
    /// `@odata.type` may be left out; where it stands it must be true.
    fn check_types(&self) -> Result<(), Error> {
        let check = |name: &Option<String>, want: &str| match name {
            Some(name)
                if name.trim_start_matches('#').strip_prefix("Microsoft.Dynamics.CRM.")
                    != Some(want) =>
            {
                Err(Error::Malformed { why: format!("`@odata.type` is {name}, not {want}") })
            }
            _ => Ok(()),
        };
        check(&self.type_name, "QueryExpression")?;
        check(&self.column_set.as_ref().and_then(|set| set.type_name.clone()), "ColumnSet")?;
        check(&self.page_info.as_ref().and_then(|page| page.type_name.clone()), "PagingInfo")?;
        for order in self.orders.iter().flatten() {
            check(&order.type_name, "OrderExpression")?;
        }
        let mut filters: Vec<&FilterExpression> = self.criteria.iter().collect();
        while let Some(filter) = filters.pop() {
            check(&filter.type_name, "FilterExpression")?;
            for condition in filter.conditions.iter().flatten() {
                check(&condition.type_name, "ConditionExpression")?;
                for item in condition.values.iter().flatten() {
                    check(&item.type_name, "Object")?;
                }
            }
            filters.extend(filter.filters.iter().flatten());
        }
        Ok(())
    }
}
