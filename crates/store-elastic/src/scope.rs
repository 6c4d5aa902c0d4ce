//! Which rows of a partition a query can be about, and whether they come in its order.
//!
//! Pure; both engines use it to look at fewer rows. What it leaves out, the query's own filter would.
//! Invariant: every row that the query answers is in its scope.

use model::{Uuid, Value};
use query::{BoundQuery, Compare, Filter};
use std::collections::BTreeSet;

/// The only ids that the filter lets through, where it names them.
pub(crate) fn ids_asked_for(query: &BoundQuery) -> Option<BTreeSet<Uuid>> {
    ids_of(query, query.filter.as_ref()?)
}

fn ids_of(query: &BoundQuery, filter: &Filter) -> Option<BTreeSet<Uuid>> {
    let key = query.table.primary_key;
    match filter {
        Filter::And(parts) => parts.iter().find_map(|part| ids_of(query, part)),
        Filter::Compare { column, compare: Compare::Equal, value } if column.column == key => {
            Some(value.as_id().into_iter().collect())
        }
        Filter::In { column, values, negated: false } if column.column == key => {
            Some(values.iter().filter_map(Value::as_id).collect())
        }
        _ => None,
    }
}

/// The query's order within a partition is that of the ids.
pub(crate) fn is_by_id(query: &BoundQuery) -> bool {
    query
        .order
        .first()
        .is_some_and(|order| order.column.column == query.table.primary_key && !order.descending)
}

/// The first id that can stand on the page, where rows before it need not even be counted.
pub(crate) fn first_id(query: &BoundQuery) -> Option<Uuid> {
    let after = query.paging.after.as_ref()?;
    (is_by_id(query) && query.count_max.is_none()).then(|| after.first()?.as_id()).flatten()
}
