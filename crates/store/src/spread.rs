//! What a change of rows does to the rows that hang on them: owners and shares spread along relationships.
//!
//! In: the rows of one operation, resolved, and an engine that answers queries inside the transaction.
//! Out: [`Change`]s of further rows, which the engine writes behind the operation's own. The rules, once
//! for every engine:
//! - A row that gets another owner passes it on (`Assign`), level by level, as the rows were before the
//!   operation. Reached rows get the owner, its business unit, modified-on and modified-by. A row is not
//!   reached where the operation itself gives it an owner, or where it has the new owner already; of
//!   several rows that reach it, it follows the nearest, and of equally near ones the first.
//! - A row of the table of shares passes the rights that it gives anew on by `Share`, those that it ends
//!   by `Unshare`: as inherited rights of the same user or team.
//! - A row that gets another row above it inherits (`Reparent`) what is shared of that one, but for
//!   `Create`, and loses what it had from the row before; so do the rows that hang on it.
//! - `Active` reaches rows whose state is 0, and rows without a state; `UserOwned` those that had the
//!   owner of the row above.
//!
//! Not here: what deletes do (each engine walks those itself), who may do it (`check`), loops (`chain`).
//! Invariant: the number of queries depends on relationships and levels, never on the number of rows.

pub mod chain;
mod shares;
mod walk;

use model::{Catalog, Cell, ColumnIndex, LookupValue, Spreading, Table, TableId, Uuid, Value};
use query::{BoundQuery, ColumnRef, Filter, Page};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub use walk::{Reached, Start};

/// A row of any table.
pub type Place = (TableId, Uuid);

/// What becomes of rows that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// They will be changed, or what hangs on them will.
    Change,
    /// They must stay as they are until the end of the transaction.
    Same,
    /// Nothing may come to hang on them that was not there.
    Alone,
}

/// Answers queries inside the transaction, where others may write at the same time with locks on the rows.
pub trait Reader {
    /// Why an engine cannot answer.
    type Error;

    /// The page of each query, in order.
    fn pages(
        &mut self,
        queries: Vec<BoundQuery>,
        hold: Hold,
    ) -> impl Future<Output = Result<Vec<Page>, Self::Error>> + Send;
}

/// Runs work over a [`Reader`] that never waits.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("the reader answers at once"),
    }
}

/// A row of an operation.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Its primary key.
    pub id: Uuid,
    /// What becomes of it.
    pub fate: Fate,
    /// What is written.
    pub cells: Vec<&'a Cell>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is made.
    Made,
    /// It is changed.
    Changed,
    /// It is deleted.
    Deleted,
}

/// Further rows to write.
#[derive(Clone, Debug)]
pub struct Change {
    /// Their table.
    pub table: Arc<Table>,
    /// New rows.
    pub inserts: Vec<(Uuid, Vec<Cell>)>,
    /// Changed rows; all name the same columns.
    pub updates: Vec<(Uuid, Vec<Cell>)>,
    /// Deleted rows.
    pub deletes: Vec<Uuid>,
}

/// An operation whose rows may spread.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The definitions.
    pub catalog: &'a Arc<Catalog>,
    /// The table of its rows.
    pub table: &'a Arc<Table>,
    /// What every changed row gets.
    pub constants: &'a [Cell],
    /// When.
    pub now: model::Timestamp,
    /// Who writes.
    pub user: Uuid,
}

/// What was seen before an operation.
#[derive(Debug, Default)]
pub struct Before {
    changes: Vec<Change>,
    moves: Vec<shares::Move>,
    given: Vec<shares::Given>,
}

impl Work<'_> {
    /// Looks at rows as they are before the operation.
    pub async fn before<R: Reader>(
        &self,
        reader: &mut R,
        rows: &[Row<'_>],
    ) -> Result<Before, R::Error> {
        let starts = self.starts(rows);
        let changes = if starts.is_empty() {
            Vec::new()
        } else {
            let reached = walk::assigned(reader, self.catalog, self.table, &starts).await?;
            self.assigned(rows, &starts, reached)
        };
        let moves = shares::moves(reader, self, rows).await?;
        let given = shares::given(reader, self, rows).await?;
        Ok(Before { changes, moves, given })
    }

    /// What else is to be written, once the operation's own rows are.
    pub async fn after<R: Reader>(
        &self,
        reader: &mut R,
        before: Before,
    ) -> Result<Vec<Change>, R::Error> {
        let Before { mut changes, moves, given } = before;
        changes.extend(shares::spread(reader, self, moves, given).await?);
        Ok(changes)
    }

    /// The rows whose new owner may go on to others.
    fn starts(&self, rows: &[Row<'_>]) -> Vec<Start> {
        let Some(column) = owner_column(self.table) else { return Vec::new() };
        if self.catalog.spreading_from(self.table.id, Spreading::Assign).next().is_none() {
            return Vec::new();
        }
        let start = |row: &Row<'_>| {
            let value = row.cells.iter().rev().find(|cell| cell.column == column)?;
            match value.value {
                Value::Lookup(owner) if row.fate == Fate::Changed => {
                    Some(Start { id: row.id, owner })
                }
                _ => None,
            }
        };
        rows.iter().filter_map(start).collect()
    }

    /// What reached rows get.
    fn assigned(&self, rows: &[Row<'_>], starts: &[Start], reached: Reached) -> Vec<Change> {
        let unit = self.table.index_of("owningbusinessunit");
        let units: BTreeMap<Uuid, &Value> = rows
            .iter()
            .filter_map(|row| {
                let cell = row.cells.iter().rev().find(|cell| Some(cell.column) == unit)?;
                Some((row.id, &cell.value))
            })
            .collect();
        let mut by_table: BTreeMap<TableId, Vec<(Uuid, Vec<Cell>)>> = BTreeMap::new();
        for ((table, id), roots) in reached {
            let (Some(root), Some(table)) = (roots.first(), self.catalog.table_by_id(table)) else {
                continue;
            };
            let start = &starts[*root];
            let mut cells = Vec::new();
            let mut put = |column: Option<ColumnIndex>, value: Option<Value>| {
                if let (Some(column), Some(value)) = (column, value) {
                    cells.push(Cell { column, value });
                }
            };
            put(owner_column(table), Some(Value::Lookup(start.owner)));
            put(stored(table, "owningbusinessunit"), units.get(&start.id).copied().cloned());
            cells.extend(self.modified(table));
            by_table.entry(table.id).or_default().push((id, cells));
        }
        let change = |(table, updates): (TableId, Vec<(Uuid, Vec<Cell>)>)| {
            let table = Arc::clone(self.catalog.table_by_id(table)?);
            Some(Change { table, inserts: Vec::new(), updates, deletes: Vec::new() })
        };
        by_table.into_iter().filter_map(change).collect()
    }

    /// Modified-on and modified-by of a row of another table; what else every changed row of the
    /// operation gets under the same name.
    fn modified(&self, table: &Table) -> Vec<Cell> {
        let users = self.catalog.table("systemuser").map(|users| users.id);
        let by = users.map(|table| Value::Lookup(LookupValue { table, id: self.user }));
        let on_behalf = self.table.index_of("modifiedonbehalfby").and_then(|column| {
            let cell = self.constants.iter().find(|cell| cell.column == column)?;
            Some(cell.value.clone())
        });
        let values = [
            ("modifiedon", Some(Value::DateTime(self.now))),
            ("modifiedby", by),
            ("modifiedonbehalfby", on_behalf),
        ];
        let cell = |(name, value): (&str, Option<Value>)| {
            Some(Cell { column: stored(table, name)?, value: value? })
        };
        values.into_iter().filter_map(cell).collect()
    }
}

/// Whether an operation may write rows beyond its own, or reads rows above them.
///
/// `cells`: of every row that it writes.
pub fn may_spread<'a>(
    catalog: &Catalog,
    table: &Table,
    cells: impl Iterator<Item = &'a Cell>,
) -> bool {
    if &*table.logical_name == shares::TABLE {
        return true;
    }
    let spreads = |spreading| catalog.spreading_from(table.id, spreading).next().is_some();
    let owner = owner_column(table).filter(|_| spreads(Spreading::Assign));
    let mut columns: BTreeSet<ColumnIndex> = owner.into_iter().collect();
    columns.extend(catalog.hierarchy(table));
    columns.extend(shares::reparenting(catalog, table).map(|(column, _)| column));
    !columns.is_empty() && cells.into_iter().any(|cell| columns.contains(&cell.column))
}

/// The rows to which a change of these spreads, with the first of the starts that reaches each.
///
/// Of [`Spreading::Assign`] the starts get their owners; of the others they have none.
pub async fn along<R: Reader>(
    reader: &mut R,
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    spreading: Spreading,
    starts: &[(Uuid, Option<LookupValue>)],
) -> Result<Vec<Along>, R::Error> {
    let owned: Vec<Start> =
        starts.iter().filter_map(|(id, owner)| Some(Start { id: *id, owner: (*owner)? })).collect();
    let reached = match spreading {
        Spreading::Assign => walk::assigned(reader, catalog, table, &owned).await?,
        Spreading::Share | Spreading::Unshare | Spreading::Reparent => {
            let roots = starts.iter().enumerate().map(|(root, (id, _))| ((table.id, *id), root));
            walk::shared(reader, catalog, spreading, roots.collect()).await?
        }
    };
    let along = |(place, roots): (Place, BTreeSet<usize>)| {
        let root = *roots.first()?;
        let (start, owner) = match spreading {
            Spreading::Assign => (owned[root].id, Some(owned[root].owner)),
            Spreading::Share | Spreading::Unshare | Spreading::Reparent => (starts[root].0, None),
        };
        Some(Along { place, start, owner })
    };
    Ok(reached.into_iter().filter_map(along).collect())
}

/// A row that a change reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Along {
    /// The row.
    pub place: Place,
    /// The row that it is reached from.
    pub start: Uuid,
    /// The owner that it gets.
    pub owner: Option<LookupValue>,
}

/// The column that says whose a row is.
fn owner_column(table: &Table) -> Option<ColumnIndex> {
    table.index_of("ownerid").filter(|_| table.ownership == model::Ownership::User)
}

fn stored(table: &Table, name: &str) -> Option<ColumnIndex> {
    table.index_of(name).filter(|column| table.column(*column).computed.is_none())
}

/// The rows of a table whose column holds one of these ids: these columns.
fn rows_by(
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    by: ColumnIndex,
    ids: impl IntoIterator<Item = Uuid>,
    columns: Vec<ColumnIndex>,
) -> BoundQuery {
    let ids: BTreeSet<Uuid> = ids.into_iter().collect();
    BoundQuery {
        columns: columns.into_iter().map(ColumnRef::root).collect(),
        filter: Some(Filter::In {
            column: ColumnRef::root(by),
            values: ids.into_iter().map(Value::Guid).collect(),
            negated: false,
        }),
        ..BoundQuery::by_key(catalog, table)
    }
}
