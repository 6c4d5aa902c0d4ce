//! The bound query tree and its answer.
//!
//! Semantics every engine and the reference evaluator share (contract: `query.md` part E):
//! text compares by `model::fold`; `ne`, negated matches and `not` include null rows (the parser has
//! pushed negations down, there is no `Not` node); `gt ge lt le eq` never match null; nulls sort first
//! ascending and last descending; guids order by their bytes.

mod exists;
mod hierarchy;

pub use exists::Exists;
pub use hierarchy::{HIERARCHY_LEVELS_MAX, Hierarchy, Line};

use crate::Pattern;
use crate::shape::{Groups, Shape};
use model::{Catalog, Column, ColumnIndex, Table, Uuid, Value};
use std::sync::Arc;

/// A query whose names are bound and whose values are typed.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// The definitions it was bound to.
    pub catalog: Arc<Catalog>,
    /// The table that is read: source 0.
    pub table: Arc<Table>,
    /// The tables that are joined to it, in order: sources 1, 2, ….
    pub joins: Vec<Join>,
    /// The output columns, in order.
    pub columns: Vec<ColumnRef>,
    /// Which rows.
    pub filter: Option<Filter>,
    /// In which order; always ends with the primary keys of what makes a row, so that the order is
    /// total.
    pub order: Vec<Order>,
    /// Which part of them.
    pub paging: Paging,
    /// Count the matching rows, paging aside, up to this many plus one.
    pub count_max: Option<u64>,
    /// What becomes of the rows.
    pub shape: Shape,
}

impl BoundQuery {
    /// The ids of all rows of a table, in their own order: what most questions of the service itself begin with.
    pub fn by_key(catalog: &Arc<Catalog>, table: &Arc<Table>) -> BoundQuery {
        let key = ColumnRef::root(table.primary_key);
        BoundQuery {
            catalog: Arc::clone(catalog),
            table: Arc::clone(table),
            joins: Vec::new(),
            columns: vec![key],
            filter: None,
            order: vec![Order { column: key, descending: false }],
            paging: Paging::first(u32::MAX),
            count_max: None,
            shape: Shape::default(),
        }
    }

    /// The same of the rows with these ids.
    pub fn of_ids(
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> BoundQuery {
        let column = ColumnRef::root(table.primary_key);
        let values = ids.into_iter().map(Value::Guid).collect();
        BoundQuery {
            filter: Some(Filter::In { column, values, negated: false }),
            ..BoundQuery::by_key(catalog, table)
        }
    }

    /// The same rows as far as these conditions hold, too.
    pub fn and(mut self, more: impl IntoIterator<Item = Filter>) -> BoundQuery {
        let all: Vec<Filter> = self.filter.take().into_iter().chain(more).collect();
        self.filter = Some(Filter::And(all));
        self
    }

    /// The table of a source of the query.
    pub fn source(&self, source: u16) -> &Arc<Table> {
        table_of(&self.table, &self.joins, source)
    }

    /// How many values an answer has.
    pub fn width(&self) -> usize {
        self.shape.groups().map_or(self.columns.len(), Groups::width)
    }

    /// Every table that the query reads: its own, those that are joined, and those of conditions.
    pub fn reads(&self) -> impl Iterator<Item = &Arc<Table>> {
        let mut tables = vec![&self.table];
        reads(&self.joins, self.filter.as_ref(), &mut tables);
        tables.into_iter()
    }

    /// The definition of a column of the query.
    pub fn column(&self, column: ColumnRef) -> &Column {
        self.source(column.source).column(column.column)
    }
}

fn reads<'q>(joins: &'q [Join], filter: Option<&'q Filter>, tables: &mut Vec<&'q Arc<Table>>) {
    for join in joins {
        tables.push(&join.table);
        reads(&[], join.on.as_ref(), tables);
    }
    match filter {
        Some(Filter::And(parts) | Filter::Or(parts)) => {
            parts.iter().for_each(|part| reads(&[], Some(part), tables));
        }
        Some(Filter::Exists(exists)) => {
            tables.push(&exists.table);
            reads(&exists.joins, exists.filter.as_ref(), tables);
        }
        Some(Filter::Hierarchy(hierarchy)) => {
            tables.push(&hierarchy.table);
            reads(&[], hierarchy.among.as_ref(), tables);
        }
        _ => {}
    }
}

/// The table of a source: 0 is the root, then the joins in order.
pub(crate) fn table_of<'a>(root: &'a Arc<Table>, joins: &'a [Join], source: u16) -> &'a Arc<Table> {
    let join = usize::from(source).checked_sub(1).and_then(|place| joins.get(place));
    join.map_or(root, |join| &join.table)
}

/// A table whose rows are put beside the rows of the sources before it.
///
/// Values join when they are equal and not null; text by its fold. A lookup joins a primary key of
/// its own table only, and another lookup of the same table.
#[derive(Clone, Debug)]
pub struct Join {
    /// The joined table.
    pub table: Arc<Table>,
    /// Its column.
    pub from: ColumnIndex,
    /// The column of an earlier source that it must equal.
    pub to: ColumnRef,
    /// What becomes of rows without a partner.
    pub kind: JoinKind,
    /// What else must hold for a row to be a partner.
    pub on: Option<Filter>,
}

/// Equal when they join the same rows; the table counts by its number.
impl PartialEq for Join {
    fn eq(&self, other: &Self) -> bool {
        let ends = |join: &Self| (join.table.id, join.from, join.to, join.kind);
        ends(self) == ends(other) && self.on == other.on
    }
}

/// What becomes of rows without a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// They are left out.
    Inner,
    /// They stay, the joined columns being null.
    Outer,
    /// The same, and of several partners the first by primary key is taken.
    First,
}

/// A column of one of the query's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// Which table: 0 is the query's own, the others are its joins in order.
    pub source: u16,
    /// Its place in that table.
    pub column: ColumnIndex,
}

impl ColumnRef {
    /// A column of the query's own table.
    pub fn root(column: ColumnIndex) -> Self {
        Self { source: 0, column }
    }
}

impl From<ColumnIndex> for ColumnRef {
    fn from(column: ColumnIndex) -> Self {
        Self::root(column)
    }
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
    /// A column against a column of the row outside of the condition about other rows that this is a
    /// part of; as [`Filter::CompareColumns`].
    CompareOuter {
        /// Left side.
        column: ColumnRef,
        /// How.
        compare: Compare,
        /// How many conditions about other rows lie between; from 1.
        levels: u8,
        /// Right side, by the sources there.
        outer: ColumnRef,
        /// True for "does not hold".
        negated: bool,
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
    /// A text column against a LIKE pattern with wild cards inside: `fold(column)` fits it.
    Like {
        /// The column.
        column: ColumnRef,
        /// The pattern.
        pattern: Pattern,
        /// True for "does not match", which holds for null.
        negated: bool,
    },
    /// The column lies in one of many half-open ranges; few of them are comparisons.
    Ranges {
        /// The column: instants or days.
        column: ColumnRef,
        /// Where ranges begin and end, ascending and in turn: an even number of values of its kind.
        bounds: Arc<[Value]>,
        /// True for "lies in none", which holds for null.
        negated: bool,
    },
    /// A multi-select column has one of these choices.
    Choices {
        /// The column.
        column: ColumnRef,
        /// The choices.
        values: Box<[i32]>,
        /// True for "has none of them", which holds for null.
        negated: bool,
    },
    /// The column is an id in a tree of rows, above or below a row.
    Hierarchy(Box<Hierarchy>),
    /// There are rows of another table that go with this one, or there are none.
    Exists(Box<Exists>),
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
    /// Leave out that many rows before the first one.
    pub skip: u32,
    /// Whether the reader wants to know if more rows exist.
    pub look_ahead: bool,
}

impl Paging {
    /// The first so many rows, whether or not there are more.
    pub fn first(size: u32) -> Paging {
        Paging { size, after: None, skip: 0, look_ahead: false }
    }
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
