//! What one message writes: plain data that can be run again.
//!
//! Order of work inside a store, for each operation: its checks ([`crate::check`]), which are told before
//! anything else; resolve keys and binds; check lookups;
//! check existence and versions; write in index order, so that row versions ascend with the index.
//! An operation sees the rows of the operations before it. A lookup may point to a row that the same
//! operation inserts; a key or bind finds only rows that were there before the operation.
//!
//! How failing rows are told (`judge` is this text as code):
//! - Lookups, existence and versions are judged on the rows before the operation.
//! - Primary and alternate keys are judged row by row in index order, as unique indexes that are
//!   checked at once do: a key that a row before has given up is free, one that a row behind will give
//!   up is not. A failing row is passed over: later rows are judged as if it were not written. (It
//!   still counts as an inserted row for lookups, and as the first target for `DuplicateTarget`.)
//! - A row tells one reason, the first in the order of [`crate::Reason`]; among several columns or keys
//!   the one with the lowest place.
//! - A delete takes with it what hangs on its row by `Cascade`, recursively. The operation deletes all
//!   of that at once (for the rows that do not fail for an earlier reason), so rows that point to each
//!   other do not hold each other. A target is `Referenced`
//!   if a row that stays points by `Restrict` to it or to a row that goes with it; of several such
//!   relationships the first in the catalog is told.
//! - `RemoveLink` is a write of the row that stays: lookup null, `modifiedon` and `modifiedby` (where
//!   the table has them and they are stored) from the write set, a new version.
//! - Owners and shares spread to rows that hang on the written ones, and rows form no circles in a
//!   hierarchy: see [`crate::spread`]. `Loop` is told of rows that are fine otherwise.
//! - Every written row gets a version above all before; deleted rows get none.

use crate::Check;
use model::{Bind, Catalog, Cell, Column, KeyValue, Table, Timestamp, Uuid};
use std::sync::Arc;

/// Whether a store checks that the row exists to which this lookup column points.
///
/// Users, teams, business units, the organisation and currencies are never deleted; the caller of the
/// store has checked these columns from what it keeps in memory. A bind by alternate key is always
/// resolved, whatever its column.
pub fn is_checked(column: &Column) -> bool {
    !matches!(
        &*column.logical_name,
        "createdby"
            | "modifiedby"
            | "createdonbehalfby"
            | "modifiedonbehalfby"
            | "ownerid"
            | "owningbusinessunit"
            | "organizationid"
            | "transactioncurrencyid"
    )
}

/// No row has a version below this.
const FIRST_VERSION: i64 = 1;

/// Whether the set is one operation with rows and one that no store takes, as it expects a version that no row has: all
/// that is wanted is to know which rows of the first one fail. A store judges it and writes nothing.
pub fn must_be_refused(ops: &[WriteOp]) -> bool {
    let [WriteOp::Insert(_) | WriteOp::Update(_) | WriteOp::Upsert(_), WriteOp::Update(last)] = ops
    else {
        return false;
    };
    !last.rows.is_empty()
        && last
            .rows
            .iter()
            .all(|row| row.expected_version.is_some_and(|version| version < FIRST_VERSION))
}

/// One message: operations over slices of rows, all or nothing.
#[derive(Clone, Debug)]
pub struct WriteSet {
    /// The definitions that everything is bound to.
    pub catalog: Arc<Catalog>,
    /// The time of the message: modified-on of rows that a cascade changes.
    pub now: Timestamp,
    /// Who writes: modified-by of rows that a cascade changes.
    pub user: Uuid,
    /// What is written, in order.
    pub ops: Vec<WriteOp>,
    /// What must hold before operations, in the order of the operations.
    pub checks: Vec<Check>,
}

/// One operation over a slice of rows of one table.
#[derive(Clone, Debug)]
pub enum WriteOp {
    /// New rows.
    Insert(Insert),
    /// Changes of existing rows.
    Update(Update),
    /// New rows or changes, decided inside the transaction.
    Upsert(Upsert),
    /// Deletes, with what hangs on them.
    Delete(Delete),
    /// Values for columns that are still empty.
    Fill(Fill),
}

impl WriteOp {
    /// What every changed row gets.
    pub fn update_constants(&self) -> &[Cell] {
        match self {
            Self::Update(op) => &op.constants,
            Self::Upsert(op) => &op.update_constants,
            Self::Insert(_) | Self::Delete(_) | Self::Fill(_) => &[],
        }
    }

    /// The table whose rows are written.
    pub fn table(&self) -> &Arc<Table> {
        match self {
            Self::Insert(op) => &op.table,
            Self::Update(op) => &op.table,
            Self::Upsert(op) => &op.table,
            Self::Delete(op) => &op.table,
            Self::Fill(op) => &op.table,
        }
    }
}

/// New rows. A stored column that neither a row nor the constants name is null.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: Arc<Table>,
    /// Values that every row gets unless it brings its own (created-on, owner, defaults, …).
    /// The row version is not among them: the store gives it.
    pub constants: Vec<Cell>,
    /// The rows.
    pub rows: Vec<InsertRow>,
}

/// One new row.
#[derive(Clone, Debug)]
pub struct InsertRow {
    /// Its primary key.
    pub id: Uuid,
    /// Its own values.
    pub cells: Vec<Cell>,
    /// Lookups by alternate key.
    pub binds: Vec<Bind>,
}

/// Changes of existing rows. No two rows name the same record.
#[derive(Clone, Debug)]
pub struct Update {
    /// The table.
    pub table: Arc<Table>,
    /// Values that every changed row gets (modified-on, modified-by).
    pub constants: Vec<Cell>,
    /// The rows.
    pub rows: Vec<UpdateRow>,
}

/// One change.
#[derive(Clone, Debug)]
pub struct UpdateRow {
    /// Which row; it must exist.
    pub key: RowKey,
    /// The new values; other columns keep theirs.
    pub cells: Vec<Cell>,
    /// Lookups by alternate key.
    pub binds: Vec<Bind>,
    /// The version that the row must have.
    pub expected_version: Option<i64>,
}

/// New rows or changes.
#[derive(Clone, Debug)]
pub struct Upsert {
    /// The table.
    pub table: Arc<Table>,
    /// As [`Insert::constants`], for rows that do not exist.
    pub insert_constants: Vec<Cell>,
    /// As [`Update::constants`], for rows that exist.
    pub update_constants: Vec<Cell>,
    /// The rows.
    pub rows: Vec<UpsertRow>,
}

/// One row to make or change.
#[derive(Clone, Debug)]
pub struct UpsertRow {
    /// Which row. `None`: a new one in any case.
    pub key: Option<RowKey>,
    /// The primary key of the row if it is made. Equal to the key's id when that is an id.
    pub new_id: Uuid,
    /// The values for both cases.
    pub cells: Vec<Cell>,
    /// Further values for a new row only: the key columns, from the body or the address.
    pub insert_cells: Vec<Cell>,
    /// Lookups by alternate key.
    pub binds: Vec<Bind>,
    /// Further conditions.
    pub condition: UpsertCondition,
    /// The version that the row must have if it exists.
    pub expected_version: Option<i64>,
}

/// A further condition of an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsertCondition {
    /// None.
    Any,
    /// The row must not exist: [`crate::Reason::Exists`].
    MustNotExist,
    /// The row must exist, as its key columns stand in the body, too: [`crate::Reason::KeyInBody`].
    KeyInBody,
}

/// Deletes. Rows that point to a deleted one are treated as each relationship of the catalog says.
/// No two rows name the same record.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The table.
    pub table: Arc<Table>,
    /// The rows.
    pub rows: Vec<DeleteRow>,
}

/// One delete.
#[derive(Clone, Debug)]
pub struct DeleteRow {
    /// Which row; it must exist.
    pub key: RowKey,
    /// The version that it must have.
    pub expected_version: Option<i64>,
}

/// Values for rows that have nothing in the first of these columns; all other rows stay as they are, and
/// a row that is not there is passed over. It completes rows that the same set has written, so it gives no
/// new version and has no outcomes.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The table.
    pub table: Arc<Table>,
    /// The values, at least one, of stored columns; lookups with one target table only.
    pub cells: Vec<Cell>,
    /// Which rows.
    pub rows: Vec<RowKey>,
}

/// How a row is named.
#[derive(Clone, Debug, PartialEq)]
pub enum RowKey {
    /// By primary key.
    Id(Uuid),
    /// By an alternate key.
    Alternate(KeyValue),
}

/// What was written: one list per operation, one outcome per row, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Per operation.
    pub ops: Vec<Vec<RowOutcome>>,
}

/// What happened to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowOutcome {
    /// The record's id.
    pub id: Uuid,
    /// It was made, not changed.
    pub created: bool,
}
