//! Changes of definitions.

use crate::{Applied, Check, WriteOp};
use model::{
    AlternateKey, Catalog, Column, ColumnId, GlobalChoice, ManyToMany, OneToMany, TableDefinition,
    TableId, Timestamp, Uuid,
};
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
///
/// What is dropped goes with its rows and values. Whoever depends on it must be dropped before, in the
/// same change or an earlier one.
#[derive(Clone, Debug)]
pub enum SchemaOp {
    /// Makes a table with its columns and keys.
    CreateTable(Box<TableDefinition>),
    /// Gives a table other labels, flags and settings; its columns and keys are not looked at.
    ChangeTable(Box<TableDefinition>),
    /// Forgets a table and its rows. Rows of an elastic table are the elastic store's.
    DropTable(TableId),
    /// Appends a column.
    AddColumn {
        /// The table.
        table: TableId,
        /// The column; its place is the next one.
        column: Box<Column>,
    },
    /// Gives the column of this number another definition that keeps its values in the same form. A
    /// lookup that loses a target is emptied where it points there; one with several may get more.
    ChangeColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: Box<Column>,
    },
    /// Lets the counter of a column go on with this number, whatever it has given before.
    RestartNumbers {
        /// The table.
        table: TableId,
        /// The column; it has a counter.
        column: ColumnId,
        /// The next number, 0 or more.
        seed: i64,
    },
    /// Forgets a column and its values; the places of the columns behind it move up.
    DropColumn {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
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
    /// Forgets an alternate key.
    DropKey {
        /// The table.
        table: TableId,
        /// The number of the key.
        key: u32,
    },
    /// Makes a relationship; its lookup column exists already or was added before in this change.
    AddRelationship(OneToMany),
    /// Gives the relationship of this id other cascades, flags and settings.
    ChangeRelationship(OneToMany),
    /// Forgets a relationship; its lookup column stays.
    DropRelationship(Uuid),
    /// Makes a many-to-many relationship; its intersect table exists already or was made before in this
    /// change: its two columns are lookups to one side each, and it has a key over both.
    AddManyToMany(ManyToMany),
    /// Gives the many-to-many relationship of this id other settings.
    ChangeManyToMany(ManyToMany),
    /// Forgets a many-to-many relationship; its intersect table stays.
    DropManyToMany(Uuid),
    /// Makes a global choice, or gives the one of this id other labels and options. The columns that are
    /// bound to it are changed by operations of their own.
    PutChoice(GlobalChoice),
    /// Forgets a global choice.
    DropChoice(Uuid),
}
