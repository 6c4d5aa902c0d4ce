//! What the records that lookups point to are called, for formatted values.
//!
//! One query per table that is pointed to and per [`NAMES_PER_QUERY`] records, after the page was cut.

use super::read;
use crate::api::{Attempt, Stop};
use model::{LookupValue, TableId, Uuid, Value, partition};
use pipeline::{Message, Reply};
use query::{BoundQuery, ColumnRef, Filter, Page, Paging};
use std::collections::{BTreeSet, HashMap};

/// Records that one query asks for.
const NAMES_PER_QUERY: usize = 5_000;

/// The annotation that needs names.
const FORMATTED_VALUE: &str = "OData.Community.Display.V1.FormattedValue";

/// The records whose names an answer shows: none unless the request asks for names.
pub(super) struct Wanted {
    are_asked_for: bool,
    ids: HashMap<TableId, BTreeSet<Uuid>>,
}

impl Wanted {
    pub(super) fn of(attempt: &Attempt<'_>) -> Self {
        let annotations = attempt.request.prefer.include_annotations.as_ref();
        let are_asked_for = annotations.is_some_and(|filter| filter.matches(FORMATTED_VALUE));
        Self { are_asked_for, ids: HashMap::new() }
    }

    /// Adds what a page points to in the columns at these places; its rows have `width` values each.
    pub(super) fn add(&mut self, page: &Page, width: usize, places: &[usize]) {
        if !self.are_asked_for {
            return;
        }
        for row in page.rows(width) {
            for value in places.iter().filter_map(|place| row.get(*place)) {
                if let Value::Lookup(lookup) = value {
                    self.ids.entry(lookup.table).or_default().insert(lookup.id);
                }
            }
        }
    }

    /// The names of all of them.
    pub(super) async fn read(
        self,
        attempt: &Attempt<'_>,
    ) -> Result<HashMap<LookupValue, Box<str>>, Stop> {
        let mut names = HashMap::new();
        // One query per table: there are as many as lookup columns point to, whatever the page holds.
        for (table, ids) in self.ids {
            let ids: Vec<Uuid> = ids.into_iter().collect();
            for ids in ids.chunks(NAMES_PER_QUERY) {
                of_table(attempt, table, ids, &mut names).await?;
            }
        }
        Ok(names)
    }
}

async fn of_table(
    attempt: &Attempt<'_>,
    table_id: TableId,
    ids: &[Uuid],
    names: &mut HashMap<LookupValue, Box<str>>,
) -> Result<(), Stop> {
    let catalog = &attempt.context.catalog;
    let Some(table) = catalog.table_by_id(table_id) else { return Ok(()) };
    let Some(name) = table.primary_name else { return Ok(()) };
    let key = ColumnRef::root(table.primary_key);
    // Lookups point to records without a partition only.
    let unparted = partition::column(table)
        .map(|column| Filter::IsNull { column: ColumnRef::root(column), negated: false });
    let query = BoundQuery {
        columns: vec![key, ColumnRef::root(name)],
        ..BoundQuery::of_ids(catalog, table, ids.iter().copied()).and(unparted)
    };
    let page = read::page_of(attempt, Message::Names(query)).await?;
    for row in page.rows(2) {
        if let [Value::Guid(id), Value::Text(name)] = row {
            names.insert(LookupValue { table: table_id, id: *id }, name.clone());
        }
    }
    Ok(())
}

/// The text in one column of the one row of a table, if there is one: the organisation's name.
pub(crate) async fn first_name(
    attempt: &Attempt<'_>,
    logical_name: &str,
) -> Result<Option<Box<str>>, Stop> {
    let catalog = &attempt.context.catalog;
    let Some(table) = catalog.table(logical_name) else { return Ok(None) };
    let Some(name) = table.primary_name else { return Ok(None) };
    let query = BoundQuery {
        columns: vec![ColumnRef::root(name)],
        paging: Paging::first(1),
        ..BoundQuery::by_key(catalog, table)
    };
    // What the organisation is called is no secret from its users.
    Ok(match attempt.run(Message::SystemRead(query)).await? {
        Reply::Page(page) => page.cells.into_iter().find_map(|value| match value {
            Value::Text(name) => Some(name),
            _ => None,
        }),
        Reply::Written(_)
        | Reply::Partly(_)
        | Reply::Followed(_)
        | Reply::Deleted(_)
        | Reply::Walked(_)
        | Reply::Defined(_) => None,
    })
}
