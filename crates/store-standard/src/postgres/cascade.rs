//! What deletes do to the rows that point to the deleted ones.
//!
//! Reads level by level, one flight per level of `Cascade`, none where no relationship points to the
//! table. In: the verdicts on the rows to delete. Out: the steps that delete and unlink.
//! Invariant: whoever points to a row that is deleted here was seen and locked: the row itself is
//! locked against new pointers before anybody looks for them.

use super::connection::Step;
use super::decode;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use super::follow;
use super::known::{Lock, id_and_version};
use super::transaction::{Author, Transaction};
use super::write;
use crate::names;
use model::{
    Catalog, Cell, ColumnIndex, DeleteAction, LookupValue, OneToMany, Table, TableId, Uuid, Value,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use store::judge::Resolved;
use store::{Reason, Rejection};

/// A row of any table.
type Place = (TableId, Uuid);

/// Rows that point to deleted ones.
#[derive(Default)]
struct Pointers {
    /// By the row that is pointed to: rows that go with it.
    cascading: HashMap<Place, Vec<Place>>,
    /// By the row that is pointed to: rows that hold it, with the place of their relationship.
    holding: HashMap<Place, Vec<(usize, Place)>>,
    /// Rows whose lookup is emptied if they stay.
    linked: Vec<(Place, ColumnIndex)>,
}

/// Finds what goes with the rows to delete, refuses those that are held, and answers the steps that
/// carry it out.
pub(super) async fn of_delete(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    author: Author,
    table: &Table,
    verdicts: &mut [Result<Resolved, Rejection>],
) -> Result<Vec<Step>, Error> {
    let roots: BTreeSet<Place> = verdicts
        .iter()
        .filter_map(|verdict| verdict.as_ref().ok())
        .map(|row| (table.id, row.id()))
        .collect();
    let (deleted, pointers) = follow(transaction, catalog, roots).await?;
    for (index, verdict) in verdicts.iter_mut().enumerate() {
        if let Ok(row) = verdict
            && let Some(relationship) = holder(catalog, &pointers, (table.id, row.id()), &deleted)
        {
            let reason = Reason::Referenced { relationship };
            *verdict = Err(Rejection { index, id: Some(row.id()), reason });
        }
    }
    steps(catalog, author, &deleted, &pointers)
}

/// These rows and what goes with them by Cascade.
pub(super) async fn along(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    roots: BTreeSet<Place>,
) -> Result<BTreeSet<Place>, Error> {
    follow(transaction, catalog, roots).await.map(|(deleted, _)| deleted)
}

/// The rows that go, and who points to them.
async fn follow(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    roots: BTreeSet<Place>,
) -> Result<(BTreeSet<Place>, Pointers), Error> {
    let mut pointers = Pointers::default();
    let mut deleted = roots.clone();
    let mut level = roots;
    while !level.is_empty() {
        let mut steps = Vec::new();
        let mut asked = Vec::new();
        let mut by_table: BTreeMap<TableId, Vec<Uuid>> = BTreeMap::new();
        for (table, id) in &level {
            by_table.entry(*table).or_default().push(*id);
        }
        for (referenced, ids) in &by_table {
            for (place, relationship, referencing, column) in relationships_to(catalog, *referenced)
            {
                steps.push(pointer_step(*referenced, relationship, referencing, column, ids));
                asked.push((
                    *referenced,
                    place,
                    relationship.cascade.delete,
                    referencing.id,
                    column,
                ));
            }
        }
        let mut next = BTreeSet::new();
        if !steps.is_empty() {
            let answers = transaction.fly("reading rows that point to deleted ones", steps).await?;
            let unreadable =
                |fault: Fault| engine("reading rows that point to deleted ones", fault);
            for ((referenced, relationship, action, referencing, column), rows) in
                asked.into_iter().zip(&answers)
            {
                for row in rows {
                    let from = (referencing, decode::id(row, 0).map_err(unreadable)?);
                    let to = (referenced, decode::id(row, 1).map_err(unreadable)?);
                    match action {
                        DeleteAction::Cascade => {
                            pointers.cascading.entry(to).or_default().push(from);
                            if deleted.insert(from) {
                                next.insert(from);
                            }
                        }
                        DeleteAction::RemoveLink => pointers.linked.push((from, column)),
                        DeleteAction::Restrict => {
                            pointers.holding.entry(to).or_default().push((relationship, from));
                        }
                        DeleteAction::NoCascade => {}
                    }
                }
            }
        }
        level = next;
    }
    Ok((deleted, pointers))
}

/// The relationships that do something when a row of this table is deleted: place in the catalog,
/// relationship, the table that points and its lookup column.
fn relationships_to(
    catalog: &Catalog,
    referenced: TableId,
) -> Vec<(usize, &OneToMany, &Arc<Table>, ColumnIndex)> {
    let Some(referenced) = catalog.table_by_id(referenced) else { return Vec::new() };
    // Places tell which of several holds a row first; what holds none needs none.
    let place = |link: &Arc<OneToMany>| {
        let mut all = catalog.relationships().iter();
        all.position(|each| Arc::ptr_eq(each, link)).unwrap_or(usize::MAX)
    };
    let all = catalog.delete_links(&referenced.logical_name);
    all.filter(|each| each.cascade.delete != DeleteAction::NoCascade)
        .map(|each| (place(each), each))
        .filter_map(|(place, each)| {
            let referencing = catalog.table(&each.referencing_table)?;
            let column = referencing.index_of(&each.referencing_column)?;
            Some((place, &**each, referencing, column))
        })
        .collect()
}

fn pointer_step(
    referenced: TableId,
    relationship: &OneToMany,
    referencing: &Table,
    column: ColumnIndex,
    ids: &[Uuid],
) -> Step {
    let (id, _) = id_and_version(referencing);
    let definition = referencing.column(column);
    let lookup = names::column(definition.id);
    let of_table = if names::has_lookup_table(definition) {
        format!(" AND {} = {}", names::lookup_table(definition.id), referenced.0)
    } else {
        String::new()
    };
    let lock = match relationship.cascade.delete {
        DeleteAction::Cascade => Lock::Delete.clause(),
        DeleteAction::RemoveLink => Lock::Change.clause(),
        DeleteAction::Restrict | DeleteAction::NoCascade => "",
    };
    let text = format!(
        "SELECT {id}, {lookup} FROM {} WHERE {lookup} = ANY($1::uuid[]){of_table} ORDER BY {id} {lock}",
        names::table(referencing.id)
    );
    Step::run(text, vec![Bound::ids(ids.iter())])
}

/// The first relationship of the catalog by which a row that stays holds the row or one that goes with it.
fn holder(
    catalog: &Catalog,
    pointers: &Pointers,
    root: Place,
    deleted: &BTreeSet<Place>,
) -> Option<Box<str>> {
    if pointers.holding.is_empty() {
        return None;
    }
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![root];
    let mut first: Option<usize> = None;
    while let Some(place) = open.pop() {
        for (relationship, from) in pointers.holding.get(&place).into_iter().flatten() {
            if !deleted.contains(from) {
                first = Some(first.map_or(*relationship, |first| first.min(*relationship)));
            }
        }
        for from in pointers.cascading.get(&place).into_iter().flatten() {
            if seen.insert(*from) {
                open.push(*from);
            }
        }
    }
    catalog.relationships().get(first?).map(|each| each.schema_name.clone())
}

/// Empties lookups, then deletes: one statement per table and set of lookups.
fn steps(
    catalog: &Catalog,
    author: Author,
    deleted: &BTreeSet<Place>,
    pointers: &Pointers,
) -> Result<Vec<Step>, Error> {
    let mut columns_of: BTreeMap<Place, BTreeSet<ColumnIndex>> = BTreeMap::new();
    for (place, column) in &pointers.linked {
        if !deleted.contains(place) {
            columns_of.entry(*place).or_default().insert(*column);
        }
    }
    let mut unlinked: BTreeMap<(TableId, BTreeSet<ColumnIndex>), Vec<Uuid>> = BTreeMap::new();
    for ((table, id), columns) in columns_of {
        unlinked.entry((table, columns)).or_default().push(id);
    }
    let mut steps = Vec::new();
    for ((table, columns), ids) in unlinked {
        let Some(table) = catalog.table_by_id(table) else { continue };
        let cells = unlinking_cells(catalog, author, table, columns);
        steps.push(write::set_all(catalog, table, ids.iter(), &cells)?);
    }
    let mut by_table: BTreeMap<TableId, Vec<Uuid>> = BTreeMap::new();
    for (table, id) in deleted {
        by_table.entry(*table).or_default().push(*id);
    }
    for (table, ids) in by_table {
        if let Some(table) = catalog.table_by_id(table) {
            steps.push(write::delete(table, ids.iter()));
            steps.push(follow::remember(table.id, author.now, ids.iter())?);
        }
    }
    Ok(steps)
}

fn unlinking_cells(
    catalog: &Catalog,
    author: Author,
    table: &Table,
    columns: BTreeSet<ColumnIndex>,
) -> Vec<Cell> {
    let mut cells: Vec<Cell> =
        columns.into_iter().map(|column| Cell { column, value: Value::Null }).collect();
    let users = catalog.table("systemuser").map(|table| table.id);
    let modified_by = users.map(|table| Value::Lookup(LookupValue { table, id: author.user }));
    let modified = [("modifiedon", Some(Value::DateTime(author.now))), ("modifiedby", modified_by)];
    for (name, value) in modified {
        if let Some(column) = table.index_of(name)
            && names::is_stored(table.column(column))
            && let Some(value) = value
        {
            cells.retain(|cell| cell.column != column);
            cells.push(Cell { column, value });
        }
    }
    cells
}
