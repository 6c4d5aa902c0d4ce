//! The bound query tree and its answer.
//!
//! Semantics every engine and the reference evaluator share (contract: `query.md` part E):
//! text compares by `model::fold`; `ne`, negated matches and `not` include null rows (the parser has
//! pushed negations down, there is no `Not` node); `gt ge lt le eq` never match null; nulls sort first
//! ascending and last descending; guids order by their bytes.

use model::{Catalog, ColumnIndex, Table, Value};
use std::sync::Arc;

/// A query whose names are bound and whose values are typed.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// The definitions it was bound to.
    pub catalog: Arc<Catalog>,
    /// The table that is read.
    pub table: Arc<Table>,
    /// The output columns, in order.
    pub columns: Vec<ColumnRef>,
    /// Which rows.
    pub filter: Option<Filter>,
    /// In which order; always ends with the primary key, so that the order is total.
    pub order: Vec<Order>,
    /// Which part of them.
    pub paging: Paging,
    /// Count the matching rows, paging aside, up to this many plus one.
    pub count_max: Option<u64>,
}

/// A column of the query's table. (Joined tables get a source number here when joins come.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// Its place in the table.
    pub column: ColumnIndex,
}

/// A condition on a row: true or false, never unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of them; true when empty.
    And(Vec<Filter>),
    /// Any of them; false when empty.
    Or(Vec<Filter>),
    /// A column against a non-null value. `NotEqual` is true for null; the others are false.
    Compare {
        /// The column.
        column: ColumnRef,
        /// How.
        compare: Compare,
        /// A non-null value of the column's type. For lookups a `Value::Guid`: only the id counts.
        value: Value,
    },
    /// A column against a column of the same type. `Equal` holds for two nulls not; `NotEqual` holds
    /// when exactly one is null, too.
    CompareColumns {
        /// Left side.
        left: ColumnRef,
        /// How.
        compare: Compare,
        /// Right side.
        right: ColumnRef,
    },
    /// The column is empty, or is not.
    IsNull {
        /// The column.
        column: ColumnRef,
        /// True for "is not empty".
        negated: bool,
    },
    /// The column is one of these non-null values (for lookups: guids).
    In {
        /// The column.
        column: ColumnRef,
        /// The values.
        values: Vec<Value>,
        /// True for "is none of them", which holds for null.
        negated: bool,
    },
    /// A text column against a literal text: `fold_part(text)` is looked for in `fold(column)`, so that
    /// trailing blanks of `text` count; no wild cards are left in it.
    Text {
        /// The column.
        column: ColumnRef,
        /// How.
        matches: Match,
        /// What to find, not folded.
        text: Box<str>,
        /// True for "does not match", which holds for null.
        negated: bool,
    },
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

/// Where a text must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Anywhere.
    Contains,
    /// At the start.
    StartsWith,
    /// At the end.
    EndsWith,
}

/// One sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub column: ColumnRef,
    /// From large to small; nulls last then.
    pub descending: bool,
}

/// Which part of the ordered rows is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Paging {
    /// How many rows at most.
    pub size: u32,
    /// Start strictly after the row with these values of the order columns (null included).
    pub after: Option<Vec<Value>>,
    /// Whether the reader wants to know if more rows exist.
    pub look_ahead: bool,
}

/// The rows that a store answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Row after row, each with one value per output column of the query.
    pub cells: Vec<Value>,
    /// How many rows there are.
    pub rows: usize,
    /// More rows exist after the last one; false unless `look_ahead` was asked for.
    pub more: bool,
    /// Matching rows in all, at most `count_max + 1`.
    pub count: Option<u64>,
}

impl Page {
    /// The rows, as slices of `columns` values each.
    pub fn rows(&self, columns: usize) -> impl Iterator<Item = &[Value]> {
        self.cells.chunks_exact(columns.max(1)).take(self.rows)
    }
}
