//! Pairs of a many-to-many table whose both records are active.
//!
//! The pairs of a page are read, then it is asked for many records at once which of them are active.
//! Invariant: every pair that is shown has two active records; one that has is never left out.

use super::output::Record;
use crate::ask::{self, Question};
use crate::filter;
use crate::pairs::{Pairs, id_of};
use crate::service::{self, Service};
use model::{Uuid, Value};
use std::collections::{BTreeSet, HashSet};

/// Records in one question.
const ROWS_MAX: usize = 500;

/// Keeps pairs of active records.
pub(super) struct Active {
    pub(super) pairs: Pairs,
}

impl Active {
    /// The columns that must be read.
    pub(super) fn names(&self) -> Vec<String> {
        let table = &self.pairs.described.table;
        let name = |end: &crate::pairs::End| table.column(end.column).logical_name.to_string();
        self.pairs.ends.iter().map(name).collect()
    }

    /// Leaves out pairs with an inactive record.
    pub(super) async fn keep(
        &self,
        service: &Service,
        records: &mut Vec<Record>,
    ) -> Result<(), service::Error> {
        for end in &self.pairs.ends {
            // A table without a state has active records only.
            let Some((column, active)) = filter::state_column(&end.table) else { continue };
            let id = |record: &Record| {
                let cell = record.read.cells.iter().find(|cell| cell.column == end.column);
                cell.and_then(|cell| id_of(&cell.value))
            };
            let ids: BTreeSet<Uuid> = records.iter().filter_map(id).collect();
            let keys: Vec<Vec<Value>> = ids.into_iter().map(|id| vec![Value::Guid(id)]).collect();
            let catalog = &self.pairs.described.catalog;
            let question = Question { service, table: &end.table, catalog, headers: &[] };
            let mut found: HashSet<Uuid> = HashSet::new();
            for named in ask::filters(&end.table, &[end.table.primary_key], &keys, ROWS_MAX) {
                let text = format!("{} eq {active} and ({named})", end.table.value_name(column));
                let there = question.records(&[], &text).await?;
                found.extend(there.into_iter().filter_map(|record| record.id));
            }
            records.retain(|record| id(record).is_some_and(|id| found.contains(&id)));
        }
        Ok(())
    }
}
