//! Which rows a change reaches, level by level.
//!
//! Invariant: the queries of a level are asked together, one per relationship.

use super::{Hold, Place, Reader, owner_column, rows_by};
use model::{
    CascadeAction, Catalog, ColumnIndex, LookupValue, OneToMany, Spreading, Table, TableId, Uuid,
    Value,
};
use query::BoundQuery;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A row that gets another owner.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The row.
    pub id: Uuid,
    /// The owner that it gets.
    pub owner: LookupValue,
}

/// Reached rows, with the places of the starts that reach them.
pub type Reached = BTreeMap<Place, BTreeSet<usize>>;

/// A row of the newest level: whose it was, and the starts that have just reached it.
type Level = BTreeMap<Place, (Option<LookupValue>, BTreeSet<usize>)>;

/// A row that points to one of the level.
struct Found {
    place: Place,
    above: Place,
    owner: Option<LookupValue>,
    /// It is one of those that the relationship means.
    is_meant: bool,
}

/// The rows that get the owner of one of these.
pub(super) async fn assigned<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    starts: &[Start],
) -> Result<Reached, R::Error> {
    let ids = starts.iter().map(|start| start.id);
    let owners = owners(reader, catalog, ids.map(|id| (table.id, id)), Hold::Change).await?;
    let named: BTreeSet<Place> = starts.iter().map(|start| (table.id, start.id)).collect();
    let mut reached = Reached::new();
    let mut level = Level::new();
    for (root, start) in starts.iter().enumerate() {
        let place = (table.id, start.id);
        // Whoever has the owner already gets no other, and a row that is not there has none.
        if let Some(owner) = owners.get(&place).filter(|owner| **owner != Some(start.owner)) {
            level.entry(place).or_insert_with(|| (*owner, BTreeSet::from([root])));
        }
    }
    while !level.is_empty() {
        let mut next = Level::new();
        for found in below(reader, catalog, (Spreading::Assign, Hold::Change), &level).await? {
            let root = level.get(&found.above).and_then(|(_, roots)| roots.first()).copied();
            let Some(root) = root.filter(|_| found.is_meant) else { continue };
            let is_new = found.owner != Some(starts[root].owner)
                && !named.contains(&found.place)
                && !reached.contains_key(&found.place);
            if is_new {
                let (_, roots) = next.entry(found.place).or_insert((found.owner, BTreeSet::new()));
                roots.insert(root);
            }
        }
        for (place, (_, roots)) in &mut next {
            let first = roots.first().copied();
            roots.retain(|root| Some(*root) == first);
            reached.insert(*place, roots.clone());
        }
        level = next;
    }
    Ok(reached)
}

/// The rows that share what is shared of one of these; the starts themselves are not among those that
/// they reach.
pub(super) async fn shared<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    spreading: Spreading,
    starts: BTreeSet<(Place, usize)>,
) -> Result<Reached, R::Error> {
    let mut seen = Reached::new();
    for (place, root) in &starts {
        seen.entry(*place).or_default().insert(*root);
    }
    if !seen.keys().any(|place| catalog.spreading_from(place.0, spreading).next().is_some()) {
        return Ok(Reached::new());
    }
    // What comes under a row while it is shared would miss the share: the rows are held alone.
    let owners = owners(reader, catalog, seen.keys().copied(), Hold::Alone).await?;
    let of = |place: &Place| owners.get(place).copied().flatten();
    let mut level: Level =
        seen.iter().map(|(place, roots)| (*place, (of(place), roots.clone()))).collect();
    let mut reached = Reached::new();
    while !level.is_empty() {
        let mut next = Level::new();
        for found in below(reader, catalog, (spreading, Hold::Alone), &level).await? {
            let Some((_, roots)) = level.get(&found.above).filter(|_| found.is_meant) else {
                continue;
            };
            let known = seen.entry(found.place).or_default();
            let new: Vec<usize> =
                roots.iter().copied().filter(|root| known.insert(*root)).collect();
            if !new.is_empty() {
                reached.entry(found.place).or_default().extend(&new);
                let (_, roots) = next.entry(found.place).or_insert((found.owner, BTreeSet::new()));
                roots.extend(new);
            }
        }
        level = next;
    }
    Ok(reached)
}

/// Whose rows are; rows that are not there are left out.
pub(super) async fn owners<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    places: impl IntoIterator<Item = Place>,
    hold: Hold,
) -> Result<BTreeMap<Place, Option<LookupValue>>, R::Error> {
    let mut by_table: BTreeMap<TableId, Vec<Uuid>> = BTreeMap::new();
    for (table, id) in places {
        by_table.entry(table).or_default().push(id);
    }
    let mut queries = Vec::new();
    let mut asked = Vec::new();
    for (table, ids) in by_table {
        let Some(table) = catalog.table_by_id(table) else { continue };
        let columns = std::iter::once(table.primary_key).chain(owner_column(table)).collect();
        queries.push(rows_by(catalog, table, table.primary_key, ids, columns));
        asked.push(table.id);
    }
    let mut found = BTreeMap::new();
    if queries.is_empty() {
        return Ok(found);
    }
    let widths: Vec<usize> = queries.iter().map(BoundQuery::width).collect();
    let pages = reader.pages(queries, hold).await?;
    for ((table, width), page) in asked.into_iter().zip(widths).zip(&pages) {
        for row in page.rows(width) {
            if let Some(id) = row.first().and_then(Value::as_id) {
                found.insert((table, id), row.get(1).and_then(lookup));
            }
        }
    }
    Ok(found)
}

/// The rows that point to those of a level.
async fn below<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    (spreading, hold): (Spreading, Hold),
    level: &Level,
) -> Result<Vec<Found>, R::Error> {
    let mut by_table: BTreeMap<TableId, Vec<Uuid>> = BTreeMap::new();
    for (table, id) in level.keys() {
        by_table.entry(*table).or_default().push(*id);
    }
    let mut queries = Vec::new();
    let mut asked: Vec<(TableId, &OneToMany, &Arc<Table>)> = Vec::new();
    for (above, ids) in &by_table {
        for (link, table) in catalog.spreading_from(*above, spreading) {
            let (Some(column), Some(owner)) =
                (table.index_of(&link.referencing_column), owner_column(table))
            else {
                continue;
            };
            let columns = [table.primary_key, column, owner];
            let columns = columns.into_iter().chain(state_column(table)).collect();
            queries.push(rows_by(catalog, table, column, ids.iter().copied(), columns));
            asked.push((*above, link, table));
        }
    }
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let widths: Vec<usize> = queries.iter().map(BoundQuery::width).collect();
    let pages = reader.pages(queries, hold).await?;
    let mut found = Vec::new();
    for (((above, link, table), width), page) in asked.into_iter().zip(widths).zip(&pages) {
        for row in page.rows(width) {
            let (Some(id), Some(to)) = (row[0].as_id(), lookup(&row[1])) else { continue };
            // A lookup with several tables may mean a row of another one.
            let Some((owner_above, _)) =
                level.get(&(to.table, to.id)).filter(|_| to.table == above)
            else {
                continue;
            };
            let owner = lookup(&row[2]);
            found.push(Found {
                place: (table.id, id),
                above: (above, to.id),
                owner,
                is_meant: is_meant(
                    link.cascade.reach(spreading),
                    (owner, *owner_above),
                    row.get(3).unwrap_or(&Value::Null),
                ),
            });
        }
    }
    Ok(found)
}

/// Whether a relationship means a row, by its owner, that of the row above, and its state.
pub(super) fn is_meant(
    action: CascadeAction,
    (own, above): (Option<LookupValue>, Option<LookupValue>),
    state: &Value,
) -> bool {
    match action {
        CascadeAction::NoCascade => false,
        CascadeAction::Cascade => true,
        CascadeAction::Active => matches!(state, Value::Null | Value::Integer(0)),
        CascadeAction::UserOwned => own.is_some() && own == above,
    }
}

pub(super) fn state_column(table: &Table) -> Option<ColumnIndex> {
    table.index_of("statecode")
}

pub(super) fn lookup(value: &Value) -> Option<LookupValue> {
    match value {
        Value::Lookup(lookup) => Some(*lookup),
        _ => None,
    }
}
