//! The rows above or below a row in a tree.

use super::holds;
use super::world::{Place, World};
use crate::tree::{HIERARCHY_LEVELS_MAX, Hierarchy, Line};
use model::{Uuid, Value};
use std::collections::BTreeSet;

/// The ids that are reached in at most so many steps. A circle of rows is gone around once.
pub(super) fn reached(hierarchy: &Hierarchy, world: &World<'_>) -> BTreeSet<Uuid> {
    let rows = world.rows(&hierarchy.table);
    let key = usize::from(hierarchy.table.primary_key.0);
    let parent = usize::from(hierarchy.parent.0);
    let id = |row: &[Value], place: usize| match row.get(place)? {
        Value::Lookup(lookup) if lookup.table != hierarchy.table.id => None,
        value => value.as_id(),
    };
    let is_among = |row: &Vec<Value>| {
        let row = vec![row.clone()];
        let (table, joins) = (&hierarchy.table, &[][..]);
        let place = Place { world, table, joins, row: &row, outer: None };
        hierarchy.among.as_ref().is_none_or(|filter| holds(filter, &place))
    };
    let rows: Vec<&Vec<Value>> = rows.iter().filter(|row| is_among(row)).collect();
    let mut reached = BTreeSet::new();
    let mut newest = BTreeSet::from([hierarchy.of]);
    for _ in 0..HIERARCHY_LEVELS_MAX {
        let next = rows.iter().filter_map(|row| {
            let (below, above) = (id(row, key)?, id(row, parent)?);
            let (from, to) = match hierarchy.line {
                Line::Under => (above, below),
                Line::Above => (below, above),
            };
            newest.contains(&from).then_some(to)
        });
        newest = next.filter(|id| !reached.contains(id)).collect();
        if newest.is_empty() {
            break;
        }
        reached.extend(newest.iter().copied());
    }
    reached
}
