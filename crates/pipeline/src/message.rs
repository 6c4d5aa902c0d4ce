//! What the pipeline executes, and what it answers.

use crate::share::RightsChange;
use model::{
    Column, ColumnIndex, Failure, GlobalChoice, KeyIndex, ManyToMany, MessageName, NewColumn,
    NewGlobalChoice, NewKey, NewLookup, NewManyToMany, NewRelationship, NewTable, OneToMany,
    OptionChange, OptionsOf, Table, TableDefinition, Target, Uuid,
};
use query::{BoundQuery, Filter, Page};
use std::sync::Arc;
use store::elastic::{ElasticKey, Walked};
use store::{Deleted, RowOutcome};

/// One message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Create, Update, Upsert, Delete and their bulk forms: a single one is a bulk of one.
    Write(Write),
    /// Several of them in one transaction, in order; each sees the rows of those before it.
    WriteAll(Vec<Write>),
    /// The same by the service itself, which may write the tables that it keeps.
    System(Vec<Write>),
    /// Reads by the service itself, which sees all rows.
    SystemRead(BoundQuery),
    /// What records are called: those that the caller may not read are left out, whole tables as well.
    Names(BoundQuery),
    /// A new background job; answers its id as one outcome.
    StartJob(crate::job::NewJob),
    /// Retrieve and RetrieveMultiple.
    Read(Read),
    /// The same in one partition of an elastic table: its effective name, which is the text of the id
    /// for a record without a partition.
    ReadPartition(Read, Box<str>),
    /// The next records of an elastic table, for whoever looks at all of them: see [`Walk`].
    Walk(Walk),
    /// A change of who may do what.
    Rights(RightsChange),
    /// Begin to follow the changes of a table, or go on: answers the version that divides them.
    Follow(Arc<Table>),
    /// The rows that were deleted from a followed table.
    Deleted(DeletedRows),
    /// A change of definitions.
    Define(Definition),
    /// The same as a part of the solution of this unique name.
    DefineIn(Definition, Box<str>),
}

/// The next records of an elastic table in an order of the store's own.
///
/// Who goes on behind [`Walked::next`] until there is none has read the table once, whatever its size.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The table.
    pub table: Arc<Table>,
    /// Which records are answered, of those that the caller may read.
    pub filter: Option<Filter>,
    /// Behind which record it goes on; none: it begins.
    pub after: Option<ElasticKey>,
    /// Rows that are looked at, at most, whether they match or not.
    pub rows_max: usize,
}

/// Rows that were deleted from a followed table and are not there again.
#[derive(Clone, Debug)]
pub struct DeletedRows {
    /// The table.
    pub table: Arc<Table>,
    /// Only those above this version.
    pub after: i64,
    /// So many at most, the lowest versions first.
    pub rows_max: u32,
}

/// A message that writes a slice of targets of one table.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which message; Create, Update, Upsert, Delete or a bulk form.
    pub name: MessageName,
    /// The table.
    pub table: Arc<Table>,
    /// The targets, in order.
    pub targets: Vec<Target>,
    /// A guard from the request's head (single messages only).
    pub condition: Condition,
}

/// A guard on the existence of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// None.
    Any,
    /// `If-None-Match: *`: the record must not exist. (`If-Match: *` is an Update, not an Upsert.)
    MustNotExist,
}

/// A message that reads.
#[derive(Clone, Debug)]
pub struct Read {
    /// Retrieve or RetrieveMultiple.
    pub name: MessageName,
    /// What is read.
    pub query: BoundQuery,
}

/// A change of definitions.
#[derive(Clone, Debug)]
pub enum Definition {
    /// New tables, all or none.
    CreateTables(Vec<NewTable>),
    /// A new column.
    CreateColumn {
        /// The table.
        table: Arc<Table>,
        /// The column.
        column: NewColumn,
    },
    /// A new alternate key.
    CreateKey {
        /// The table.
        table: Arc<Table>,
        /// The key.
        key: NewKey,
    },
    /// A new relationship with its lookup column.
    CreateRelationship(NewRelationship),
    /// A new many-to-many relationship with its intersect table.
    CreateManyToMany(NewManyToMany),
    /// A new lookup to several tables with its relationships; answers their ids, then the column's.
    CreateLookup(NewLookup),
    /// A new global choice.
    CreateChoice(NewGlobalChoice),
    /// A table with other labels and flags: the whole definition.
    ChangeTable(Box<TableDefinition>),
    /// A column with other labels, limits and flags: the whole definition.
    ChangeColumn {
        /// The table.
        table: Arc<Table>,
        /// The column.
        column: Box<Column>,
    },
    /// A relationship with other cascades and menus: the whole definition.
    ChangeRelationship(Box<OneToMany>),
    /// A many-to-many relationship with other menus: the whole definition.
    ChangeManyToMany(Box<ManyToMany>),
    /// A global choice with other labels: the whole definition.
    ChangeChoice(Box<GlobalChoice>),
    /// Other options of a choice.
    ChangeOptions {
        /// Whose.
        of: OptionsOf,
        /// What changes.
        change: OptionChange,
    },
    /// The counter of an auto-number column goes on with another number.
    RestartNumbers {
        /// The table.
        table: Arc<Table>,
        /// The column.
        column: ColumnIndex,
        /// The next number.
        seed: i64,
    },
    /// A table goes with its rows, its relationships and the lookups to it.
    DropTable(Arc<Table>),
    /// A column goes with its values.
    DropColumn {
        /// The table.
        table: Arc<Table>,
        /// The column.
        column: ColumnIndex,
    },
    /// An alternate key goes.
    DropKey {
        /// The table.
        table: Arc<Table>,
        /// The key.
        key: KeyIndex,
    },
    /// A relationship of either kind goes, with its lookup or its intersect table.
    DropRelationship(Uuid),
    /// A global choice goes.
    DropChoice(Uuid),
}

/// What a message answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// One outcome per target, in order.
    ///
    /// Of several writes: those of the first, then those of the next.
    Written(Vec<RowOutcome>),
    /// Some targets of a bulk message on an elastic table were not written; the others were. One
    /// outcome per target, in order.
    Partly(Vec<Result<RowOutcome, Failure>>),
    /// The version up to which every read that begins from now on sees all changes.
    Followed(i64),
    /// Deleted rows, ascending by version.
    Deleted(Vec<Deleted>),
    /// The rows.
    Page(Page),
    /// The keys of the records that a walk came by, and where it goes on.
    Walked(Walked),
    /// Metadata ids of what was made, in order.
    Defined(Vec<Uuid>),
}
