//! Checks of rows before an operation: two queries per check.
//!
//! Not here: what a check means (`store::check`). There is one writer, so nothing needs a lock.

use super::spread::Reading;
use super::{Work, delete, resolve};
use crate::select;
use crate::sqlite::dialect::Sqlite;
use crate::sqlite::error::Halt;
use crate::sqlite::reader;
use crate::sqlite::session::Session;
use model::Uuid;
use query::{BoundQuery, Page};
use std::collections::{BTreeMap, BTreeSet};
use store::{Check, Spreads, check, spread};

/// Refuses when a row does not pass. `place`: that of the check in the write set.
pub(in crate::sqlite) fn run(work: &Work<'_, '_>, place: usize, check: &Check) -> Result<(), Halt> {
    let ids = resolve::ids(work, &check.table, check.rows.iter().map(|row| Some(&row.key)))?;
    let named: BTreeSet<Uuid> = ids.iter().flatten().copied().collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    let [existing, allowed] = check.queries(work.catalog, &named);
    let (existing, allowed) = (read(work.session, &existing)?, read(work.session, &allowed)?);
    let mut rows = check.denials(&ids, &existing, &allowed);
    if rows.is_empty() && !check.cascades.is_empty() {
        let (mut deleted, mut along) = (BTreeMap::new(), Vec::new());
        match check.spreads {
            Spreads::Delete => {
                deleted = delete::with_cascades(work, check.table.id, named.clone())?;
            }
            Spreads::By(spreading) => {
                let mut reader = Reading(work.session);
                let starts = check.starts(&ids);
                let walk =
                    spread::along(&mut reader, work.catalog, &check.table, spreading, &starts);
                along = spread::at_once(walk)?;
            }
        }
        for (table, filter) in &check.cascades {
            let mut reached = check.reached(table.id, &ids, &along);
            let mut going: Vec<Uuid> =
                deleted.get(&table.id).into_iter().flatten().copied().collect();
            going.sort_unstable();
            going.retain(|id| table.id != check.table.id || named.binary_search(id).is_err());
            reached.extend(going.into_iter().map(|id| (check.first_row(), id)));
            let of_table: Vec<Uuid> = reached.iter().map(|(_, id)| *id).collect();
            let query = check::allowed_query(work.catalog, table, &of_table, Some(filter));
            rows.extend(check.cascade_denials(table, &reached, &read(work.session, &query)?));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    Err(Halt::Failed(store::Error::Denied { check: place, rows }))
}

/// The page of a query inside the transaction.
pub(super) fn read(session: &Session<'_>, query: &BoundQuery) -> Result<Page, Halt> {
    let select = select::page(query, &Sqlite);
    let size = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
    Ok(reader::page(session, &select, size)?)
}
