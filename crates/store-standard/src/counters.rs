//! Counters of auto-number columns: which there are, and what a change of definitions does to them.
//!
//! Shared by both engines. Not here: how an engine keeps them, and how numbers are taken.
//! Invariant: the counters there are, are a function of the catalog; where each stands is not.

use model::{Catalog, ColumnId, TableId, TableKind};
use std::collections::BTreeMap;
use store::SchemaOp;

/// The place of a counter: its column.
pub(crate) type Place = (TableId, ColumnId);

/// What becomes of counters.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Those that are made, with their first number.
    pub(crate) made: Vec<(Place, i64)>,
    /// Those that go.
    pub(crate) gone: Vec<Place>,
    /// Those that go on with another number.
    pub(crate) restarted: Vec<(Place, i64)>,
}

/// What a change of definitions does to counters.
pub(crate) fn changes(before: &Catalog, after: &Catalog, ops: &[SchemaOp]) -> Changes {
    let (had, has) = (all(before), all(after));
    let restarted = ops.iter().filter_map(|op| match op {
        SchemaOp::RestartNumbers { table, column, seed } => Some(((*table, *column), *seed)),
        _ => None,
    });
    Changes {
        made: has
            .iter()
            .filter(|(place, _)| !had.contains_key(place))
            .map(|(p, n)| (*p, *n))
            .collect(),
        gone: had.keys().filter(|place| !has.contains_key(place)).copied().collect(),
        restarted: restarted.filter(|(place, _)| has.contains_key(place)).collect(),
    }
}

fn all(catalog: &Catalog) -> BTreeMap<Place, i64> {
    let standard = catalog.tables().iter().filter(|table| table.kind == TableKind::Standard);
    standard
        .flat_map(|table| {
            let counted = |column: &model::Column| {
                column.settings.number_seed.map(|seed| ((table.id, column.id), seed))
            };
            table.columns.iter().filter_map(counted)
        })
        .collect()
}
