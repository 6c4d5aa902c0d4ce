//! Conditions about rows of another table.

use super::world::{Meant, Place};
use super::{holds as filter_holds, joined};
use crate::tree::{Exists, table_of};
use model::Value;

/// Tells whether there is such a row, or none when that is what is asked.
pub(super) fn holds(exists: &Exists, place: &Place<'_>) -> bool {
    let outside = table_of(place.table, place.joins, exists.to.source);
    let wanted = Meant::of(outside, exists.to.column, place.row, exists.to);
    let rows = place.world.rows(&exists.table);
    let linked: Vec<Vec<Vec<Value>>> = rows
        .iter()
        .filter(|row| wanted.is_in(&exists.table, exists.from, row))
        .map(|row| vec![row.clone()])
        .collect();
    let (table, joins) = (&exists.table, exists.joins.as_slice());
    let found = joined(place.world, table, joins, linked, Some(place)).iter().any(|row| {
        let inside = Place { world: place.world, table, joins, row, outer: Some(place) };
        exists.filter.as_ref().is_none_or(|filter| filter_holds(filter, &inside))
    });
    found != exists.negated
}
