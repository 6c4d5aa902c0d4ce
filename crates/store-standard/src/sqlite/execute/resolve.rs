//! Finds rows by id and by alternate key, set by set.
//!
//! Not here: what follows when one is not there.
//! Invariant: a statement per table and way of naming, whatever the number of rows. Alternate keys are
//! looked up by one statement bound anew for each, ids by one query over the whole set.

use super::Work;
use crate::dialect::Param;
use crate::names;
use crate::select;
use crate::sqlite::dialect::{bind, owned};
use crate::sqlite::error::Halt;
use crate::sqlite::session::Session;
use model::{
    Bind, Cell, ColumnIndex, KeyIndex, KeyValue, LookupValue, Table, TableDefinition, TableId,
    Uuid, Value,
};
use rusqlite::Row;
use rusqlite::types::Value as Sql;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use store::RowKey;
use store::writes::Fill;

/// The lookups that the binds of an operation have become.
pub(super) struct Binds {
    cells: Vec<Cell>,
    /// Per row the end of its cells; empty when no row has binds.
    ends: Vec<usize>,
}

impl Binds {
    /// The cells of a row.
    pub(super) fn of(&self, index: usize) -> &[Cell] {
        let Some(end) = self.ends.get(index) else { return &[] };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.cells[start..*end]
    }
}

/// The values of one alternate key that an operation names, in its order.
type Asked<'a> = (&'a Arc<Table>, Vec<&'a KeyValue>);

/// Resolves the lookups that are given by alternate key; refuses when one finds nothing.
pub(super) fn binds<'a>(
    work: &Work<'_, '_>,
    rows: impl Iterator<Item = &'a [Bind]>,
) -> Result<Binds, Halt> {
    let rows: Vec<&[Bind]> = rows.collect();
    let mut found = Binds { cells: Vec::new(), ends: Vec::new() };
    if rows.iter().all(|binds| binds.is_empty()) {
        return Ok(found);
    }
    let mut asked: HashMap<(TableId, KeyIndex), Asked<'_>> = HashMap::new();
    for bind in rows.iter().copied().flatten() {
        let (_, keys) =
            asked.entry((bind.table.id, bind.key.key)).or_insert_with(|| (&bind.table, Vec::new()));
        keys.push(&bind.key);
    }
    let mut answers = HashMap::new();
    for (name, (table, keys)) in asked {
        answers.insert(name, find_keys(work, table, name.1, &keys)?.into_iter());
    }
    for binds in rows {
        for bind in binds {
            let next = answers.get_mut(&(bind.table.id, bind.key.key)).and_then(Iterator::next);
            let id = next.flatten().ok_or(Halt::Refused)?;
            let value = Value::Lookup(LookupValue { table: bind.table.id, id });
            found.cells.push(Cell { column: bind.column, value });
        }
        found.ends.push(found.cells.len());
    }
    Ok(found)
}

/// The ids that the rows are named by: an id stands for itself whether its row exists or not, an
/// alternate key for the row that has it, if there is one.
pub(super) fn ids<'a>(
    work: &Work<'_, '_>,
    table: &Table,
    keys: impl Iterator<Item = Option<&'a RowKey>>,
) -> Result<Vec<Option<Uuid>>, Halt> {
    let mut ids = Vec::new();
    let mut asked: HashMap<KeyIndex, (Vec<usize>, Vec<&KeyValue>)> = HashMap::new();
    for (place, key) in keys.enumerate() {
        ids.push(match key {
            Some(RowKey::Id(id)) => Some(*id),
            None => None,
            Some(RowKey::Alternate(key)) => {
                let (places, keys) = asked.entry(key.key).or_default();
                places.push(place);
                keys.push(key);
                None
            }
        });
    }
    for (key, (places, keys)) in asked {
        for (place, id) in places.into_iter().zip(find_keys(work, table, key, &keys)?) {
            ids[place] = id;
        }
    }
    Ok(ids)
}

/// Completes rows that have nothing in the first of the columns.
pub(super) fn fill(work: &Work<'_, '_>, op: &Fill) -> Result<(), Halt> {
    let Some(first) = op.cells.first() else { return Ok(()) };
    let ids = ids(work, &op.table, op.rows.iter().map(Some))?;
    let ids: Vec<Uuid> = ids.into_iter().flatten().collect();
    let table = op.table.definition();
    let name = |column: ColumnIndex| names::column(op.table.column(column).id);
    let mut sets = Vec::with_capacity(op.cells.len());
    let mut params = Vec::with_capacity(op.cells.len());
    for cell in &op.cells {
        let param = key_param(work.catalog, &op.table, cell.column, &cell.value);
        params.push(param.ok_or(Halt::Refused)?);
        sets.push(format!("{} = ?{}", name(cell.column), params.len()));
    }
    let sql = format!(
        "UPDATE {} SET {} WHERE {} IN (SELECT value FROM rarray(?{})) AND {} IS NULL",
        names::table(table.id),
        sets.join(", "),
        name(table.primary_key),
        params.len() + 1,
        name(first.column)
    );
    let mut statement = work.session.statement(&sql)?;
    bind(&mut statement, &params)?;
    statement.raw_bind_parameter(params.len() + 1, blobs(&ids))?;
    statement.raw_execute()?;
    Ok(())
}

/// The versions of those of these rows that exist.
pub(super) fn versions(
    work: &Work<'_, '_>,
    table: &TableDefinition,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, i64>, Halt> {
    let mut found = HashMap::with_capacity(ids.len());
    if ids.is_empty() {
        return Ok(found);
    }
    let key = names::column(table.columns[usize::from(table.primary_key.0)].id);
    let sql = format!(
        "SELECT {key}, {} FROM {} WHERE {key} IN (SELECT value FROM rarray(?1))",
        version_name(table),
        names::table(table.id)
    );
    let mut statement = work.session.statement(&sql)?;
    statement.raw_bind_parameter(1, blobs(ids))?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        found.insert(id_at(row, 0)?, row.get(1)?);
    }
    Ok(found)
}

/// Whether all of these rows exist; the ids are distinct.
pub(super) fn all_exist(
    work: &Work<'_, '_>,
    table: &TableDefinition,
    ids: &[Uuid],
) -> Result<bool, Halt> {
    let key = names::column(table.columns[usize::from(table.primary_key.0)].id);
    let sql = format!(
        "SELECT count(*) FROM {} WHERE {key} IN (SELECT value FROM rarray(?1))",
        names::table(table.id)
    );
    let mut statement = work.session.statement(&sql)?;
    statement.raw_bind_parameter(1, blobs(ids))?;
    let count: i64 = one(&mut statement, |row| row.get(0))?.unwrap_or(0);
    Ok(usize::try_from(count).is_ok_and(|count| count == ids.len()))
}

/// The rows with these values of an alternate key.
fn find_keys(
    work: &Work<'_, '_>,
    table: &Table,
    key: KeyIndex,
    keys: &[&KeyValue],
) -> Result<Vec<Option<Uuid>>, Halt> {
    let params = keys.iter().map(|value| {
        let columns = &table.key(key).columns;
        columns
            .iter()
            .zip(&value.values)
            .map(|(column, value)| key_param(work.catalog, table, *column, value))
            .collect()
    });
    find_key(work.session, table, key, params).map_err(Halt::from)
}

/// The rows with these values of an alternate key; values in the form of [`key_param`].
fn find_key(
    session: &Session<'_>,
    table: &Table,
    key: KeyIndex,
    keys: impl Iterator<Item = Option<Vec<Param>>>,
) -> rusqlite::Result<Vec<Option<Uuid>>> {
    let mut statement = session.statement(&key_sql(table, key))?;
    keys.map(|params| find_one(&mut statement, params)).collect()
}

/// The statement that finds one row by an alternate key.
pub(crate) fn key_sql(table: &Table, key: KeyIndex) -> String {
    let id = names::column(table.column(table.primary_key).id);
    let conditions: Vec<String> = table
        .key(key)
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            format!("{} = ?{}", names::index_part(table.definition(), *column), place + 1)
        })
        .collect();
    format!("SELECT {id} FROM {} WHERE {}", names::table(table.id), conditions.join(" AND "))
}

/// The row with these values of the alternate key that the statement looks for.
pub(crate) fn find_one(
    statement: &mut rusqlite::Statement<'_>,
    params: Option<Vec<Param>>,
) -> rusqlite::Result<Option<Uuid>> {
    // A null, or a number that no row can hold, is nobody's key.
    let Some(params) = params else { return Ok(None) };
    bind(statement, &params)?;
    one(statement, |row| id_at(row, 0))
}

/// A value of an alternate key as its index keeps it; none for what no row can hold.
fn key_param(
    catalog: &model::Catalog,
    table: &Table,
    column: ColumnIndex,
    value: &Value,
) -> Option<Param> {
    match (names::storage(catalog, table.definition(), column), select::param(value)?) {
        (names::Storage::Decimal { scale }, Param::Decimal(number)) => {
            select::scaled(number, scale).map(Param::BigInt)
        }
        (_, param) => Some(param),
    }
}

/// The statement that reads the version of one row.
pub(crate) fn version_sql(table: &TableDefinition) -> String {
    let key = names::column(table.columns[usize::from(table.primary_key.0)].id);
    format!("SELECT {} FROM {} WHERE {key} = ?1", version_name(table), names::table(table.id))
}

/// The physical name of the version column.
pub(super) fn version_name(table: &TableDefinition) -> String {
    let column = table.columns.iter().find(|column| &*column.logical_name == "versionnumber");
    names::column(column.expect("every table has a versionnumber column").id)
}

/// Ids as the parameter of `rarray`.
pub(super) fn blobs(ids: &[Uuid]) -> Rc<Vec<Sql>> {
    Rc::new(ids.iter().map(|id| owned(&Param::Guid(*id))).collect())
}

/// The id in a column of a result row.
pub(super) fn id_at(row: &Row<'_>, place: usize) -> rusqlite::Result<Uuid> {
    let value = row.get_ref(place)?;
    let bytes = value.as_blob().ok().and_then(|bytes| Uuid::from_slice(bytes).ok());
    bytes.ok_or_else(|| rusqlite::Error::InvalidColumnType(place, "id".into(), value.data_type()))
}

/// The first row of a statement whose parameters are bound.
pub(super) fn one<T>(
    statement: &mut rusqlite::Statement<'_>,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    statement.raw_query().next()?.map(read).transpose()
}
