//! Deletes rows with what hangs on them, level by level, each level as a set.
//!
//! Invariant: no lookup of a Cascade, RemoveLink or Restrict relationship points to a row that was
//! deleted. The lookups of a NoCascade relationship may dangle.

use super::{Work, check_versions, resolve, spread};
use crate::names;
use crate::sqlite::error::Halt;
use crate::sqlite::follow;
use crate::sqlite::session::Session;
use model::{Catalog, Cell, ColumnIndex, DeleteAction, OneToMany, Table, TableId, Uuid, Value};
use resolve::{blobs, id_at};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use store::RowOutcome;
use store::writes::Delete;

/// Rows to delete, by table.
type Places = BTreeMap<TableId, HashSet<Uuid>>;

pub(super) fn delete(work: &mut Work<'_, '_>, op: &Delete) -> Result<Vec<RowOutcome>, Halt> {
    let ids = resolve::ids(work, &op.table, op.rows.iter().map(|row| Some(&row.key)))?;
    let ids = ids.into_iter().collect::<Option<Vec<Uuid>>>().ok_or(Halt::Refused)?;
    let expected: Vec<(Uuid, i64)> = ids
        .iter()
        .zip(&op.rows)
        .filter_map(|(id, row)| row.expected_version.map(|version| (*id, version)))
        .collect();
    check_versions(work, op.table.definition(), &expected)?;
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if !resolve::all_exist(work, op.table.definition(), &distinct)? {
        return Err(Halt::Refused);
    }
    let before = spread::before_delete(work, &op.table, &distinct)?;
    let deleted = with_cascades(work, op.table.id, distinct)?;
    if is_held(work, &deleted)? {
        return Err(Halt::Refused);
    }
    unlink(work, &deleted)?;
    for (table, ids) in &deleted {
        let Some(table) = work.catalog.table_by_id(*table) else { continue };
        remove(work, &table.clone(), ids)?;
    }
    spread::after(work, &op.table, &[], before)?;
    Ok(ids.into_iter().map(|id| RowOutcome { id, created: false }).collect())
}

/// Deletes rows of one table.
pub(super) fn remove(
    work: &mut Work<'_, '_>,
    table: &Table,
    ids: &HashSet<Uuid>,
) -> Result<(), Halt> {
    let sql = format!(
        "DELETE FROM {} WHERE {} IN (SELECT value FROM rarray(?1))",
        names::table(table.id),
        names::column(table.column(table.primary_key).id)
    );
    let mut statement = work.session.statement(&sql)?;
    statement.raw_bind_parameter(1, sorted_blobs(ids))?;
    statement.raw_execute()?;
    drop(statement);
    if work.followed.contains(&table.id) {
        follow::remember(work.session, work.versions, (table.id, work.now), ids)?;
    }
    Ok(())
}

/// The rows and what hangs on them by Cascade.
pub(super) fn with_cascades(
    work: &Work<'_, '_>,
    table: TableId,
    ids: Vec<Uuid>,
) -> Result<Places, Halt> {
    let mut found = Places::from([(table, ids.iter().copied().collect())]);
    let mut level = vec![(table, ids)];
    while let Some((table, ids)) = level.pop() {
        for relationship in work.catalog.referencing_by(table, DeleteAction::Cascade) {
            let Some(side) = Side::of(work.catalog, relationship) else { continue };
            let seen = found.entry(side.table.id).or_default();
            let mut fresh = pointers(work.session, work.catalog, relationship, &ids)?;
            fresh.retain(|id| seen.insert(*id));
            if !fresh.is_empty() {
                level.push((side.table.id, fresh));
            }
        }
    }
    Ok(found)
}

/// Whether a row that stays points by Restrict to a row that goes.
fn is_held(work: &Work<'_, '_>, deleted: &Places) -> Result<bool, Halt> {
    for (table, ids) in deleted {
        for relationship in work.catalog.referencing_by(*table, DeleteAction::Restrict) {
            let Some(side) = Side::of(work.catalog, relationship) else { continue };
            let targets: Vec<Uuid> = ids.iter().copied().collect();
            let going = deleted.get(&side.table.id);
            let held = pointers(work.session, work.catalog, relationship, &targets)?
                .iter()
                .any(|id| going.is_none_or(|going| !going.contains(id)));
            if held {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Empties the RemoveLink lookups of rows that stay: each of them is written once.
fn unlink(work: &mut Work<'_, '_>, deleted: &Places) -> Result<(), Halt> {
    let mut columns: BTreeMap<(TableId, Uuid), BTreeSet<ColumnIndex>> = BTreeMap::new();
    for (table, ids) in deleted {
        for relationship in work.catalog.referencing_by(*table, DeleteAction::RemoveLink) {
            let Some(side) = Side::of(work.catalog, relationship) else { continue };
            let targets: Vec<Uuid> = ids.iter().copied().collect();
            let going = deleted.get(&side.table.id);
            for id in pointers(work.session, work.catalog, relationship, &targets)? {
                if going.is_none_or(|going| !going.contains(&id)) {
                    columns.entry((side.table.id, id)).or_default().insert(side.column);
                }
            }
        }
    }
    let mut by_table: BTreeMap<TableId, Vec<(Uuid, Vec<Cell>)>> = BTreeMap::new();
    for ((table, id), columns) in columns {
        let cells = columns.into_iter().map(|column| Cell { column, value: Value::Null }).collect();
        by_table.entry(table).or_default().push((id, cells));
    }
    for (table, rows) in by_table {
        let Some(table) = work.catalog.table_by_id(table).cloned() else { continue };
        let constants = modified(work, &table);
        let drafts: Vec<super::Draft<'_>> = rows
            .iter()
            .map(|(id, cells)| super::Draft {
                kind: super::Kind::Update,
                id: *id,
                parts: [cells, &[], &[]],
            })
            .collect();
        super::rows::write(work, &table, &[], &constants, &drafts)?;
    }
    Ok(())
}

/// Modified-on and modified-by, where the table stores them.
fn modified(work: &Work<'_, '_>, table: &Table) -> Vec<Cell> {
    let users = work.catalog.table("systemuser").map(|users| users.id);
    let by = users.map(|table| Value::Lookup(model::LookupValue { table, id: work.user }));
    [("modifiedon", Some(Value::DateTime(work.now))), ("modifiedby", by)]
        .into_iter()
        .filter_map(|(name, value)| {
            let column = table.index_of(name).filter(|at| names::is_stored(table.column(*at)))?;
            Some(Cell { column, value: value? })
        })
        .collect()
}

/// The referencing side of a relationship.
struct Side<'a> {
    table: &'a Arc<Table>,
    column: ColumnIndex,
}

impl<'a> Side<'a> {
    fn of(catalog: &'a Catalog, relationship: &OneToMany) -> Option<Self> {
        let table = catalog.table(&relationship.referencing_table)?;
        let column = table.index_of(&relationship.referencing_column)?;
        names::is_stored(table.column(column)).then_some(Self { table, column })
    }
}

/// The rows that point to any of these by this relationship.
pub(crate) fn pointers(
    session: &Session<'_>,
    catalog: &Catalog,
    relationship: &OneToMany,
    targets: &[Uuid],
) -> rusqlite::Result<Vec<Uuid>> {
    let Some(side) = Side::of(catalog, relationship) else { return Ok(Vec::new()) };
    let Some(referenced) = catalog.table(&relationship.referenced_table) else {
        return Ok(Vec::new());
    };
    let column = side.table.column(side.column);
    let mut sql = format!(
        "SELECT {} FROM {} WHERE {} IN (SELECT value FROM rarray(?1))",
        names::column(side.table.column(side.table.primary_key).id),
        names::table(side.table.id),
        names::column(column.id)
    );
    if names::has_lookup_table(column) {
        sql.push_str(&format!(" AND {} = {}", names::lookup_table(column.id), referenced.id.0));
    }
    let mut statement = session.statement(&sql)?;
    statement.raw_bind_parameter(1, blobs(targets))?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(id_at(row, 0)?);
    }
    Ok(found)
}

fn sorted_blobs(ids: &HashSet<Uuid>) -> std::rc::Rc<Vec<rusqlite::types::Value>> {
    let mut ids: Vec<Uuid> = ids.iter().copied().collect();
    ids.sort_unstable();
    blobs(&ids)
}
