//! Changes of definitions.

use crate::{Applied, Check, WriteOp};
use model::{AlternateKey, Catalog, Column, OneToMany, TableDefinition, TableId, Timestamp, Uuid};
use std::sync::Arc;

/// Several changes of definitions and rows that belong together: all or nothing.
///
/// One without changes of definitions moves their version on all the same: so do rows that every node
/// must see at once, such as those that say who may do what.
#[derive(Clone, Debug)]
pub struct SchemaChange {
    /// The definitions that the change was planned on.
    pub catalog: Arc<Catalog>,
    /// What changes, in order.
    pub ops: Vec<SchemaOp>,
    /// Rows of system tables that go with it (`sdkmessagefilter`, `privilege`, …), written after the
    /// definitions. They are bound to tables as they are **after** `ops`.
    pub rows: Vec<WriteOp>,
    /// What must hold before the operations of `rows`, in their order.
    pub checks: Vec<Check>,
    /// The time of the change.
    pub now: Timestamp,
    /// Who changes.
    pub user: Uuid,
}

/// What a change has become.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The definitions afterwards.
    pub catalog: Arc<Catalog>,
    /// What became of [`SchemaChange::rows`].
    pub applied: Applied,
}

/// One change of a definition. Numbers and ids are already given by the planner.
#[derive(Clone, Debug)]
pub enum SchemaOp {
    /// Makes a table with its columns and keys.
    CreateTable(Box<TableDefinition>),
    /// Appends a column.
    AddColumn {
        /// The table.
        table: TableId,
        /// The column; its place is the next one.
        column: Box<Column>,
    },
    /// Makes an alternate key over the rows that exist; a [`crate::Reason::DuplicateKey`] rejection
    /// without an index says that they are not unique: [`crate::Error::Rejected`] with the place of
    /// this operation in `ops` and a single rejection of index 0 and no id.
    AddKey {
        /// The table.
        table: TableId,
        /// The key.
        key: AlternateKey,
    },
    /// Makes a relationship; its lookup column exists already or was added before in this change.
    AddRelationship(OneToMany),
}
