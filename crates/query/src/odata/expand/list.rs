//! The records behind a collection-valued navigation property.
//!
//! Those whose lookup points to a record, or those that stand in a pair with it.

use crate::scope::Scope;
use crate::tree::{Join, JoinKind};
use crate::{ColumnRef, Error};
use model::{Catalog, ColumnIndex, Table};
use std::sync::Arc;

/// A list of records that belongs to each record of a table.
#[derive(Clone, Debug)]
pub struct List {
    /// The table of the records in it.
    pub table: Arc<Table>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    /// The lookup of the table.
    Lookup(ColumnIndex),
    /// The table of pairs, its column of the records in the list, and that of whose list it is.
    Pairs(Arc<Table>, ColumnIndex, ColumnIndex),
}

/// The list behind a navigation property of a table.
pub fn list_of(catalog: &Catalog, table: &Table, name: &str) -> Option<List> {
    let link = catalog
        .referencing(&table.logical_name)
        .find(|link| !name.is_empty() && *link.referenced_navigation == *name);
    if let Some(link) = link {
        let table = catalog.table(&link.referencing_table)?;
        let how = How::Lookup(table.index_of(&link.referencing_column)?);
        return Some(List { table: Arc::clone(table), how });
    }
    let (many, start, end) = catalog.many_to_many_by_navigation(&table.logical_name, name)?;
    let pairs = catalog.table(&many.intersect_table)?;
    let (inside, of) = (pairs.index_of(&end.column)?, pairs.index_of(&start.column)?);
    let how = How::Pairs(Arc::clone(pairs), inside, of);
    Some(List { table: Arc::clone(catalog.table(&end.table)?), how })
}

impl List {
    /// Whether its records stand in pairs.
    pub fn is_many_to_many(&self) -> bool {
        matches!(self.how, How::Pairs(..))
    }

    /// The column that says whose list a record is in; joined first, where it is one of pairs.
    pub(crate) fn parent(&self, scope: &mut Scope) -> Result<ColumnRef, Error> {
        match &self.how {
            How::Lookup(column) => Ok(ColumnRef::root(*column)),
            How::Pairs(pairs, inside, of) => {
                let to = ColumnRef::root(self.table.primary_key);
                let table = Arc::clone(pairs);
                let join = Join { table, from: *inside, to, kind: JoinKind::Inner, on: None };
                let source = scope.join(join)?;
                Ok(ColumnRef { source, column: *of })
            }
        }
    }
}
