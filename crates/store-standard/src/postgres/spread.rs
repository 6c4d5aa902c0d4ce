//! What an operation does to rows beyond its own, and rows that would be above themselves.
//!
//! A flight per level of relationships, and some more where shares follow; none where an operation writes
//! nothing that spreads.
//! Not here: the rules (`store::spread`).
//! Invariant: rows that will be changed are locked by the read that finds them, and the rows above one
//! that moves are kept from moving themselves, so that two moves at a time form no circle.

use super::connection::Step;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use super::execute::versions_of;
use super::known::Lock;
use super::transaction::{Author, Transaction};
use super::write::{self, ChangedRow, NewRow, Versions};
use super::{check, follow};
use crate::postgres::dialect::Postgres;
use crate::select;
use model::{Catalog, Cell, Table, Uuid};
use query::{BoundQuery, Page};
use std::future::Future;
use std::sync::Arc;
use store::judge::Resolved;
use store::spread::{self, Before, Change, Hold, Row};
use store::{Rejection, WriteOp};

const DOING: &str = "looking for rows that hang on others";

/// Reads inside a transaction.
pub(super) struct Reading<'t, 's>(pub(super) &'t mut Transaction<'s>);

impl spread::Reader for Reading<'_, '_> {
    type Error = Error;

    fn pages(
        &mut self,
        queries: Vec<BoundQuery>,
        hold: Hold,
    ) -> impl Future<Output = Result<Vec<Page>, Error>> + Send {
        let lock = match hold {
            Hold::Change => Lock::Change,
            Hold::Same => Lock::Same,
            Hold::Alone => Lock::Delete,
        };
        async move {
            let mut steps = Vec::with_capacity(queries.len());
            let mut outputs = Vec::with_capacity(queries.len());
            for query in &queries {
                let mut select = select::page(query, &Postgres);
                select.sql.push(' ');
                select.sql.push_str(lock.clause());
                outputs.push(select.outputs.clone());
                steps.push(super::read::step(select)?);
            }
            let answers = self.0.fly(DOING, steps).await?;
            check::pages(&answers, &outputs)
        }
    }
}

/// Whether an operation may write rows beyond its own, or reads rows above them.
pub(super) fn may_spread(catalog: &Catalog, op: &WriteOp) -> bool {
    let table = op.table();
    match op {
        WriteOp::Fill(_) => false,
        WriteOp::Delete(_) => spread::may_spread(catalog, table, std::iter::empty()),
        WriteOp::Insert(op) => {
            let cells = op.rows.iter().flat_map(|row| &row.cells).chain(&op.constants);
            spread::may_spread(catalog, table, cells)
                || binds(catalog, op.rows.iter().map(|row| &row.binds), table)
        }
        WriteOp::Update(op) => {
            let cells = op.rows.iter().flat_map(|row| &row.cells);
            spread::may_spread(catalog, table, cells)
                || binds(catalog, op.rows.iter().map(|row| &row.binds), table)
        }
        WriteOp::Upsert(op) => {
            let cells = op.rows.iter().flat_map(|row| row.cells.iter().chain(&row.insert_cells));
            spread::may_spread(catalog, table, cells)
                || binds(catalog, op.rows.iter().map(|row| &row.binds), table)
        }
    }
}

/// The same for lookups that are named by alternate key.
fn binds<'a>(
    catalog: &Catalog,
    binds: impl Iterator<Item = &'a Vec<model::Bind>>,
    table: &Table,
) -> bool {
    let cells: Vec<Cell> = binds
        .flatten()
        .map(|bind| Cell { column: bind.column, value: model::Value::Null })
        .collect();
    !cells.is_empty() && spread::may_spread(catalog, table, cells.iter())
}

/// Of the rows that are fine otherwise, refuses those that would form a circle.
pub(super) async fn refuse_loops(
    transaction: &mut Transaction<'_>,
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    verdicts: &mut [Result<Resolved, Rejection>],
) -> Result<(), Error> {
    spread::chain::refuse(&mut Reading(transaction), catalog, table, verdicts).await
}

/// What is known of an operation that may spread.
pub(super) struct Spreading<'a> {
    work: spread::Work<'a>,
    now: model::Timestamp,
}

impl<'a> Spreading<'a> {
    pub(super) fn of(catalog: &'a Arc<Catalog>, author: Author, op: &'a WriteOp) -> Self {
        let work = spread::Work {
            catalog,
            table: op.table(),
            constants: op.update_constants(),
            now: author.now,
            user: author.user,
        };
        Self { work, now: author.now }
    }

    /// Looks at rows as they are before the operation.
    pub(super) async fn before(
        &self,
        transaction: &mut Transaction<'_>,
        rows: &[Row<'_>],
    ) -> Result<Before, Error> {
        self.work.before(&mut Reading(transaction), rows).await
    }

    /// Adds the steps that write what follows, once those of the operation are added.
    pub(super) async fn after(
        &self,
        transaction: &mut Transaction<'_>,
        before: Before,
    ) -> Result<(), Error> {
        let changes = self.work.after(&mut Reading(transaction), before).await?;
        for change in changes {
            self.write(transaction, &change).await?;
        }
        Ok(())
    }

    async fn write(&self, transaction: &mut Transaction<'_>, change: &Change) -> Result<(), Error> {
        let Change { table, inserts, updates, deletes } = change;
        let catalog = self.work.catalog;
        if !inserts.is_empty() {
            let rows: Vec<NewRow<'_>> =
                inserts.iter().map(|(id, cells)| NewRow { id: *id, cells: [cells, &[]] }).collect();
            transaction.add(write::insert(catalog, table, &[], &rows, Versions::Next)?);
        }
        if !updates.is_empty() {
            let count = i32::try_from(updates.len()).unwrap_or(i32::MAX);
            let step = Step::run(super::execute::VERSIONS, vec![Bound::int4(count)]);
            let answer = transaction.fly(DOING, vec![step]).await?.pop();
            let versions = versions_of(answer)?;
            let missing = || engine(DOING, Fault::Answer("a row got no version"));
            let rows: Result<Vec<ChangedRow<'_>>, Error> = updates
                .iter()
                .enumerate()
                .map(|(place, (id, cells))| {
                    let version = *versions.get(place).ok_or_else(missing)?;
                    Ok(ChangedRow { id: *id, version, cells: cells.iter().collect() })
                })
                .collect();
            for step in write::update(catalog, table, &rows?)? {
                transaction.add(step);
            }
        }
        if !deletes.is_empty() {
            let ids: &[Uuid] = deletes;
            transaction.add(write::delete(table, ids.iter()));
            transaction.add(follow::remember(table.id, self.now, ids.iter())?);
        }
        Ok(())
    }
}
