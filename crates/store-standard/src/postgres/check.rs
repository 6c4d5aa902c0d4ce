//! Checks of rows before operations, for all operations of a phase at once.
//!
//! Two flights: one finds and locks the rows, one asks which of them meet their conditions. Where rows
//! go along with a delete, a flight per level of `Cascade` and one more.
//! Not here: what a check means (`store::check`).
//! Invariant: a row is locked before it is asked, so that it still is what it was when it is written.

use super::cascade;
use super::connection::Step;
use super::decode;
use super::error::{Error, Fault, engine};
use super::known::{Known, Lock, Wishes};
use super::read::step;
use super::spread::Reading;
use super::transaction::Transaction;
use crate::postgres::dialect::Postgres;
use crate::select::{self, Output};
use model::{Catalog, Uuid, Value};
use query::{BoundQuery, Page};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Check, Denial, Purpose, RowKey, Spreads, alternate, check};
use tokio_postgres::Row;

const DOING: &str = "checking rows";

/// Refuses when a row does not pass: the first check that one does not pass is told.
///
/// `checks`: with their places in the write set.
pub(super) async fn run(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    checks: &[(usize, &Check)],
) -> Result<(), Error> {
    if checks.is_empty() {
        return Ok(());
    }
    let known = find(transaction, catalog, checks).await?;
    let mut steps = Vec::new();
    let mut outputs = Vec::new();
    let mut ids_of = Vec::new();
    for (_, check) in checks {
        let ids: Vec<Option<Uuid>> =
            check.rows.iter().map(|row| id(&known, check, &row.key)).collect();
        let named: BTreeSet<Uuid> = ids.iter().flatten().copied().collect();
        let named: Vec<Uuid> = named.into_iter().collect();
        for query in check.queries(catalog, &named) {
            add(&mut steps, &mut outputs, &query)?;
        }
        ids_of.push((ids, named));
    }
    let answers = transaction.fly(DOING, steps).await?;
    let pages = pages(&answers, &outputs)?;
    for (((place, check), (ids, named)), pages) in
        checks.iter().zip(&ids_of).zip(pages.chunks_exact(2))
    {
        let mut rows = check.denials(ids, &pages[0], &pages[1]);
        if rows.is_empty() && !check.cascades.is_empty() {
            rows = along(transaction, catalog, check, (ids, named)).await?;
        }
        if !rows.is_empty() {
            return Err(Error::Store(store::Error::Denied { check: *place, rows }));
        }
    }
    Ok(())
}

/// Finds and locks the rows.
async fn find(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    checks: &[(usize, &Check)],
) -> Result<Known, Error> {
    let mut wishes = Wishes::default();
    for (_, check) in checks {
        let lock = match check.purpose {
            Purpose::Point => Lock::Stay,
            Purpose::Change => Lock::Change,
            Purpose::Delete => Lock::Delete,
        };
        for row in &check.rows {
            match &row.key {
                RowKey::Id(id) => wishes.row(check.table.id, lock, *id),
                RowKey::Alternate(key) => {
                    if let Some(parts) = alternate::parts_of_key(key) {
                        wishes.key(check.table.id, key.key, lock, parts);
                    }
                }
            }
        }
    }
    let mut known = Known::default();
    let mut reads = wishes.into_reads(catalog)?;
    let steps = std::mem::take(&mut reads.steps);
    let answers = transaction.fly(DOING, steps).await?;
    known.learn(reads, &answers)?;
    Ok(known)
}

fn id(known: &Known, check: &Check, key: &RowKey) -> Option<Uuid> {
    match key {
        RowKey::Id(id) => Some(*id),
        RowKey::Alternate(key) => {
            known.find(check.table.id, key.key, &alternate::parts_of_key(key)?)
        }
    }
}

/// Rows that go along with the checked ones and do not pass.
async fn along(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    check: &Check,
    (ids, named): (&[Option<Uuid>], &[Uuid]),
) -> Result<Vec<Denial>, Error> {
    let (mut deleted, mut reached) = (BTreeSet::new(), Vec::new());
    let roots: BTreeSet<_> = named.iter().map(|id| (check.table.id, *id)).collect();
    match check.spreads {
        Spreads::Delete => {
            deleted = cascade::along(transaction, catalog, roots.clone()).await?;
        }
        Spreads::By(spreading) => {
            let mut reader = Reading(transaction);
            let starts = check.starts(ids);
            reached = store::spread::along(&mut reader, catalog, &check.table, spreading, &starts)
                .await?;
        }
    }
    let mut steps = Vec::new();
    let mut outputs = Vec::new();
    let mut rows_of: Vec<Vec<(usize, Uuid)>> = Vec::new();
    for (table, filter) in &check.cascades {
        let mut rows = check.reached(table.id, ids, &reached);
        let going = deleted.iter().filter(|place| place.0 == table.id && !roots.contains(place));
        rows.extend(going.map(|(_, id)| (check.first_row(), *id)));
        let of_table: Vec<Uuid> = rows.iter().map(|(_, id)| *id).collect();
        let query = check::allowed_query(catalog, table, &of_table, Some(filter));
        add(&mut steps, &mut outputs, &query)?;
        rows_of.push(rows);
    }
    let answers = transaction.fly(DOING, steps).await?;
    let pages = pages(&answers, &outputs)?;
    let each = check.cascades.iter().zip(&rows_of).zip(&pages);
    Ok(each
        .flat_map(|(((table, _), rows), page)| check.cascade_denials(table, rows, page))
        .collect())
}

pub(super) fn add(
    steps: &mut Vec<Step>,
    outputs: &mut Vec<Vec<Output>>,
    query: &BoundQuery,
) -> Result<(), Error> {
    let select = select::page(query, &Postgres);
    outputs.push(select.outputs.clone());
    steps.push(step(select)?);
    Ok(())
}

pub(super) fn pages(answers: &[Vec<Row>], outputs: &[Vec<Output>]) -> Result<Vec<Page>, Error> {
    let page = |(rows, outputs): (&Vec<Row>, &Vec<Output>)| -> Result<Page, Fault> {
        let mut cells: Vec<Value> = Vec::with_capacity(rows.len() * outputs.len());
        for row in rows {
            for output in outputs {
                cells.push(decode::output(row, *output)?);
            }
        }
        Ok(Page { cells, rows: rows.len(), more: false, count: None })
    };
    answers
        .iter()
        .zip(outputs)
        .map(page)
        .collect::<Result<_, _>>()
        .map_err(|fault| engine(DOING, fault))
}
