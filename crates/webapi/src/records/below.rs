//! How many records stand right below those of a page in the hierarchy of their table: `rowaggregate`.
//!
//! One query per column that is asked for, after the page was cut: of groups, so that only records which
//! the caller may read are counted. Source: query.md B2. Not here: which columns can be asked for (`query`).

use super::read;
use crate::api::{Attempt, Stop};
use model::{ColumnIndex, MessageName, Table, Uuid, Value};
use query::listed::{Listed, Told};
use query::shape::{Aggregate, Groups};
use query::{BoundQuery, ColumnRef, Filter, Page, Paging, Rows};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The page with numbers in place of the ids that they are asked for by; none where no number is.
pub(super) async fn counted(
    attempt: &Attempt<'_>,
    listed: &Listed,
    page: &Page,
) -> Result<Option<Page>, Stop> {
    let mut counted = None;
    let width = listed.query.width();
    for (place, output) in listed.outputs.iter().enumerate() {
        let Told::Children(parent) = output.told else { continue };
        let page = counted.get_or_insert_with(|| page.clone());
        let ids: BTreeSet<Uuid> =
            page.rows(width).filter_map(|row| row.get(place)?.as_id()).collect();
        let numbers = match ids.is_empty() {
            true => HashMap::new(),
            false => {
                below(attempt, listed.query.source(output.column.source), parent, &ids).await?
            }
        };
        for value in page.cells.iter_mut().skip(place).step_by(width) {
            // Of a linked record that is not there nothing is told.
            if let Some(id) = value.as_id() {
                *value = Value::BigInt(numbers.get(&id).copied().unwrap_or(0));
            }
        }
    }
    Ok(counted)
}

/// How many records name each of these in a column; those that nobody names are absent.
async fn below(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    parent: ColumnIndex,
    ids: &BTreeSet<Uuid>,
) -> Result<HashMap<Uuid, i64>, Stop> {
    let parent = ColumnRef::root(parent);
    let mut groups = Groups {
        keys: vec![parent.into()],
        aggregates: vec![Aggregate::Rows],
        ..Groups::default()
    };
    groups.complete_order();
    let query = BoundQuery {
        catalog: Arc::clone(&attempt.context.catalog),
        table: Arc::clone(table),
        joins: Vec::new(),
        columns: Vec::new(),
        filter: Some(Filter::In {
            column: parent,
            values: ids.iter().copied().map(Value::Guid).collect(),
            negated: false,
        }),
        order: Vec::new(),
        paging: Paging {
            size: u32::try_from(ids.len()).unwrap_or(u32::MAX),
            after: None,
            skip: 0,
            look_ahead: false,
        },
        count_max: None,
        shape: query::Shape { labels: Vec::new(), rows: Rows::Groups(groups) },
    };
    let page = read::run(attempt, MessageName::RetrieveMultiple, query).await?;
    let number = |row: &[Value]| match row {
        [parent, Value::BigInt(count)] => Some((parent.as_id()?, *count)),
        _ => None,
    };
    Ok(page.rows(2).filter_map(number).collect())
}
