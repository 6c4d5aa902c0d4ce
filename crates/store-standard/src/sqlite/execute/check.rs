//! Checks of rows before an operation: two queries per check.
//!
//! Not here: what a check means (`store::check`). There is one writer, so nothing needs a lock.

use super::{Work, delete, resolve};
use crate::select;
use crate::sqlite::dialect::Sqlite;
use crate::sqlite::error::Halt;
use crate::sqlite::reader;
use model::Uuid;
use query::{BoundQuery, Page};
use std::collections::BTreeSet;
use store::{Check, check};

/// Refuses when a row does not pass. `place`: that of the check in the write set.
pub(in crate::sqlite) fn run(work: &Work<'_, '_>, place: usize, check: &Check) -> Result<(), Halt> {
    let ids = resolve::ids(work, &check.table, check.rows.iter().map(|row| Some(&row.key)))?;
    let named: BTreeSet<Uuid> = ids.iter().flatten().copied().collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    let [existing, allowed] = check.queries(work.catalog, &named);
    let mut rows = check.denials(&ids, &read(work, &existing)?, &read(work, &allowed)?);
    if rows.is_empty() && !check.cascades.is_empty() {
        let along = delete::with_cascades(work, check.table.id, named.clone())?;
        for (table, filter) in &check.cascades {
            let mut ids: Vec<Uuid> = along.get(&table.id).into_iter().flatten().copied().collect();
            ids.sort_unstable();
            ids.retain(|id| table.id != check.table.id || named.binary_search(id).is_err());
            let query = check::allowed_query(work.catalog, table, &ids, Some(filter));
            rows.extend(check.cascade_denials(table, &ids, &read(work, &query)?));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    Err(Halt::Failed(store::Error::Denied { check: place, rows }))
}

fn read(work: &Work<'_, '_>, query: &BoundQuery) -> Result<Page, Halt> {
    let select = select::page(query, &Sqlite);
    let size = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
    Ok(reader::page(work.session, &select, size)?)
}
