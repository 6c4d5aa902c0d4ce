//! The tables that a query being bound reads: the root, and what was joined so far.
//!
//! In: names and paths. Out: [`ColumnRef`]s, and the joins that they need. A path through single-valued
//! navigation properties becomes outer joins, shared by all paths that begin alike.
//! Not here: grammar. Invariant: a [`ColumnRef`] that comes out names a source and a column that exist.

use crate::odata::limits;
use crate::tree::{Join, JoinKind, table_of};
use crate::{ColumnRef, Context, Error};
use model::{Catalog, Column, ColumnIndex, ColumnKind, Table};
use std::sync::Arc;

/// The rows of another table that go with a row: what a condition about them begins with.
pub(crate) struct Related {
    /// Their table; of a many-to-many relationship the one between.
    pub(crate) table: Arc<Table>,
    /// Its column.
    pub(crate) from: ColumnIndex,
    /// The column that it must equal.
    pub(crate) to: ColumnRef,
    /// The table behind the one between.
    pub(crate) joined: Option<Join>,
}

/// The tables of a query that is being bound.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) table: Arc<Table>,
    pub(crate) joins: Vec<Join>,
    /// When is asked, and by whom.
    pub(crate) context: Context,
    /// Tables that are read elsewhere in the query: they count against the limit.
    pub(crate) elsewhere: usize,
}

impl Scope {
    pub(crate) fn new(catalog: &Arc<Catalog>, table: &Arc<Table>, context: &Context) -> Self {
        Self {
            catalog: Arc::clone(catalog),
            table: Arc::clone(table),
            joins: Vec::new(),
            context: context.clone(),
            elsewhere: 0,
        }
    }

    /// The tables of a condition about rows of this table, inside of this query.
    ///
    /// Errors: the query reads too many tables then.
    pub(crate) fn inside(&self, table: &Arc<Table>) -> Result<Self, Error> {
        let mut inside = Self::new(&self.catalog, table, &self.context);
        inside.elsewhere = self.elsewhere + self.joins.len() + 1;
        if inside.elsewhere > limits::JOINS_MAX {
            return Err(Error::TooManyJoins);
        }
        Ok(inside)
    }

    /// Counts what a condition about rows of another table has read.
    pub(crate) fn leave(&mut self, inside: &Self) {
        self.elsewhere = inside.elsewhere + inside.joins.len() - self.joins.len();
    }

    pub(crate) fn source(&self, source: u16) -> &Arc<Table> {
        table_of(&self.table, &self.joins, source)
    }

    pub(crate) fn column(&self, column: ColumnRef) -> &Column {
        self.source(column.source).column(column.column)
    }

    /// The lookup of the hierarchical relationship of a table to itself.
    pub(crate) fn hierarchy_of(&self, table: &Table) -> Option<ColumnIndex> {
        let mut links = self.catalog.referencing(&table.logical_name);
        let link = links
            .find(|link| link.is_hierarchical && link.referencing_table == table.logical_name)?;
        table.index_of(&link.referencing_column)
    }

    /// The column of a source that reads under this JSON property.
    pub(crate) fn named(&self, source: u16, name: &str) -> Result<ColumnRef, Error> {
        let table = self.source(source);
        let column = table.index_of_value(name).ok_or_else(|| unknown(table, name))?;
        Ok(ColumnRef { source, column })
    }

    /// The column at the end of a path from a source, `column` or `navigation/…/column`.
    pub(crate) fn path_from(&mut self, start: u16, path: &str) -> Result<ColumnRef, Error> {
        let mut source = start;
        let mut steps = path.split('/').map(str::trim).peekable();
        while let Some(step) = steps.next() {
            if steps.peek().is_none() {
                return self.named(source, step);
            }
            source = self.navigate(source, step)?;
        }
        Err(unknown(self.source(start), path))
    }

    /// The column at the end of a path from the query's own table.
    pub(crate) fn path(&mut self, path: &str) -> Result<ColumnRef, Error> {
        self.path_from(0, path)
    }

    /// The source behind a single-valued navigation property.
    pub(crate) fn navigate(&mut self, source: u16, name: &str) -> Result<u16, Error> {
        let table = Arc::clone(self.source(source));
        let Some((column, place)) = table.navigation(name) else {
            let mut links = self.catalog.referencing(&table.logical_name);
            return Err(match links.any(|link| *link.referenced_navigation == *name) {
                true => Error::refused(format!(
                    "a path through the collection-valued navigation property `{name}`"
                )),
                false => unknown(&table, name),
            });
        };
        let ColumnKind::Lookup { targets, .. } = &table.column(column).kind else {
            return Err(unknown(&table, name));
        };
        let of_name = targets.iter().filter(|target| *target.navigation == *name);
        let (Some(target), 1) = (targets.get(place), of_name.count()) else {
            return Err(Error::refused(format!(
                "a path through `{name}`, which points to rows of several tables,"
            )));
        };
        self.through(ColumnRef { source, column }, &target.table)
    }

    /// The rows behind a collection-valued navigation property of a source.
    pub(crate) fn related(&self, source: u16, name: &str) -> Result<Related, Error> {
        let table = self.source(source);
        let mut links = self.catalog.referencing(&table.logical_name);
        let found = links.find(|link| *link.referenced_navigation == *name).and_then(|link| {
            let other = self.catalog.table(&link.referencing_table)?;
            let from = other.index_of(&link.referencing_column)?;
            let column = table.index_of(&link.referenced_column)?;
            let to = ColumnRef { source, column };
            Some(Related { table: Arc::clone(other), from, to, joined: None })
        });
        let found = found.or_else(|| self.related_by_pairs(source, name));
        found.ok_or_else(|| match table.navigation(name) {
            Some(_) => Error::refused(format!(
                "a lambda over the single-valued navigation property `{name}`"
            )),
            None => unknown(table, name),
        })
    }

    /// The rows at the other side of a many-to-many relationship, behind the table of pairs.
    fn related_by_pairs(&self, source: u16, name: &str) -> Option<Related> {
        let own = self.source(source);
        let mut many = self.catalog.many_to_many_of(&own.logical_name);
        let (pairs, near, far) = many.find_map(|many| {
            let (near, far) = many.from(&own.logical_name, name)?;
            Some((self.catalog.table(&many.intersect_table)?, near, far))
        })?;
        let other = self.catalog.table(&far.table)?;
        let join = Join {
            table: Arc::clone(other),
            from: other.primary_key,
            to: ColumnRef::root(pairs.index_of(&far.column)?),
            kind: JoinKind::Inner,
            on: None,
        };
        Some(Related {
            table: Arc::clone(pairs),
            from: pairs.index_of(&near.column)?,
            to: ColumnRef { source, column: own.primary_key },
            joined: Some(join),
        })
    }

    /// The table that a lookup points to, joined once for all who ask.
    pub(crate) fn through(&mut self, lookup: ColumnRef, target: &str) -> Result<u16, Error> {
        let Some(table) = self.catalog.table(target).map(Arc::clone) else {
            return Err(unknown(self.source(lookup.source), target));
        };
        let known = self.joins.iter().position(|join| {
            join.to == lookup
                && join.table.id == table.id
                && join.from == table.primary_key
                && join.kind == JoinKind::Outer
                && join.on.is_none()
        });
        if let Some(place) = known {
            return Ok(number(place + 1));
        }
        let from = table.primary_key;
        self.join(Join { table, from, to: lookup, kind: JoinKind::Outer, on: None })
    }

    /// Adds a join; its number.
    pub(crate) fn join(&mut self, join: Join) -> Result<u16, Error> {
        if self.elsewhere + self.joins.len() >= limits::JOINS_MAX {
            return Err(Error::TooManyJoins);
        }
        self.joins.push(join);
        Ok(number(self.joins.len()))
    }

    /// The column by which records that a lookup points to are ordered: the name of its one table.
    pub(crate) fn name_behind(&mut self, lookup: ColumnRef) -> Result<ColumnRef, Error> {
        let column = self.column(lookup);
        let name = column.logical_name.clone();
        let refused = || {
            Error::refused(format!(
                "ordering by lookup `{name}`, which points to rows of several tables or without name,"
            ))
        };
        let target: Box<str> = match &column.kind {
            ColumnKind::Lookup { targets, .. } => match targets.as_slice() {
                [target] => target.table.clone(),
                _ => return Err(refused()),
            },
            _ => return Err(refused()),
        };
        let column = self.catalog.table(&target).and_then(|table| table.primary_name);
        let column: ColumnIndex = column.ok_or_else(refused)?;
        let source = self.through(lookup, &target)?;
        Ok(ColumnRef { source, column })
    }
}

fn number(place: usize) -> u16 {
    u16::try_from(place).expect("a query joins few tables")
}

fn unknown(table: &Table, name: &str) -> Error {
    Error::UnknownColumn { table: table.logical_name.clone(), name: name.into() }
}
