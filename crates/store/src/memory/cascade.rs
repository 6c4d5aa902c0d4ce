//! What deletes do to the rows that point to the deleted ones.
//!
//! Invariant: no lookup of a Cascade, RemoveLink or Restrict relationship points to a row that a
//! carried out delete has taken away.

use super::{Author, State};
use crate::judge::Resolved;
use crate::{Reason, Rejection};
use model::{
    Cell, ColumnIndex, ColumnKind, DeleteAction, LookupValue, OneToMany, Table, TableId, Uuid,
    Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A row of any table.
type Place = (TableId, Uuid);

/// What the deletes of one operation do.
pub(super) struct Consequences {
    deleted: BTreeSet<Place>,
    /// Lookups to empty, by row that stays.
    unlinked: BTreeMap<Place, BTreeSet<ColumnIndex>>,
}

/// A row that points to another one.
struct Pointer<'a> {
    relationship: &'a OneToMany,
    place: Place,
    column: ColumnIndex,
}

/// Finds what goes with the rows to delete; refuses those that are held by a row that stays.
pub(super) fn of_delete(
    state: &State,
    table: &Table,
    verdicts: &mut [Result<Resolved, Rejection>],
) -> Consequences {
    let closures: Vec<BTreeSet<Place>> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Ok(row) => closure(state, (table.id, row.id())),
            Err(_) => BTreeSet::new(),
        })
        .collect();
    let deleted: BTreeSet<Place> = closures.iter().flatten().copied().collect();
    for (index, (verdict, closure)) in verdicts.iter_mut().zip(&closures).enumerate() {
        if let Some(relationship) = holder(state, closure, &deleted)
            && let Ok(row) = verdict
        {
            let reason = Reason::Referenced { relationship };
            *verdict = Err(Rejection { index, id: Some(row.id()), reason });
        }
    }
    let mut unlinked: BTreeMap<Place, BTreeSet<ColumnIndex>> = BTreeMap::new();
    for place in &deleted {
        for pointer in pointers(state, *place, DeleteAction::RemoveLink) {
            if !deleted.contains(&pointer.place) {
                unlinked.entry(pointer.place).or_default().insert(pointer.column);
            }
        }
    }
    Consequences { deleted, unlinked }
}

/// These rows and what goes with them by Cascade.
pub(super) fn along(state: &State, table: &Table, ids: &[Uuid]) -> BTreeSet<Place> {
    ids.iter().flat_map(|id| closure(state, (table.id, *id))).collect()
}

/// Takes the rows away and empties the lookups to them.
pub(super) fn carry_out(state: &mut State, author: Author, consequences: Consequences) {
    let catalog = state.catalog.clone();
    for (table, id) in consequences.deleted {
        if let Some(table) = catalog.table_by_id(table) {
            state.remove(table, id, author.now);
        }
    }
    let users = catalog.table("systemuser").map(|table| table.id);
    for ((table, id), columns) in consequences.unlinked {
        let Some(table) = catalog.table_by_id(table) else { continue };
        let mut cells: Vec<Cell> =
            columns.into_iter().map(|column| Cell { column, value: Value::Null }).collect();
        let modified_by =
            users.map(|users| Value::Lookup(LookupValue { table: users, id: author.user }));
        let modified =
            [("modifiedon", Some(Value::DateTime(author.now))), ("modifiedby", modified_by)];
        for (name, value) in modified {
            if let Some(column) = table.index_of(name)
                && table.column(column).computed.is_none()
                && let Some(value) = value
            {
                cells.push(Cell { column, value });
            }
        }
        state.update(table, id, cells);
    }
}

/// The row and what hangs on it by Cascade, recursively.
fn closure(state: &State, root: Place) -> BTreeSet<Place> {
    let mut found = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(place) = open.pop() {
        for pointer in pointers(state, place, DeleteAction::Cascade) {
            if found.insert(pointer.place) {
                open.push(pointer.place);
            }
        }
    }
    found
}

/// The first relationship of the catalog by which a row that stays holds one of these.
fn holder(state: &State, rows: &BTreeSet<Place>, deleted: &BTreeSet<Place>) -> Option<Box<str>> {
    let held: BTreeSet<&str> = rows
        .iter()
        .flat_map(|place| pointers(state, *place, DeleteAction::Restrict))
        .filter(|pointer| !deleted.contains(&pointer.place))
        .map(|pointer| &*pointer.relationship.schema_name)
        .collect();
    state
        .catalog
        .relationships()
        .iter()
        .find(|relationship| held.contains(&*relationship.schema_name))
        .map(|relationship| relationship.schema_name.clone())
}

/// The rows that point to this one by relationships that do this on delete.
fn pointers(state: &State, (table, id): Place, action: DeleteAction) -> Vec<Pointer<'_>> {
    let target = Value::Lookup(LookupValue { table, id });
    let Some(name) = state.catalog.table_by_id(table).map(|table| &table.logical_name) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for relationship in state.catalog.delete_links(name) {
        let relationship: &Arc<OneToMany> = relationship;
        if relationship.cascade.delete != action {
            continue;
        }
        let Some(referencing) = state.catalog.table(&relationship.referencing_table) else {
            continue;
        };
        let Some(column) = referencing.index_of(&relationship.referencing_column) else {
            continue;
        };
        debug_assert!(matches!(referencing.column(column).kind, ColumnKind::Lookup { .. }));
        for (row_id, row) in state.ids_and_rows(referencing.id) {
            if row[usize::from(column.0)] == target {
                found.push(Pointer { relationship, place: (referencing.id, row_id), column });
            }
        }
    }
    found
}
