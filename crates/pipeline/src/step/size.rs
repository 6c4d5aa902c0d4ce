//! How large what is handed to a run is: pure, and the only count of it.
//!
//! What the lists of a hand-over take in a guest's memory: 48 bytes for each cell and row, the bytes of texts and
//! lists of choices, each name once, and what is fixed. Webhooks are measured by the same number.
//! Source: plugins.md 2.10, 6.6.

use super::{Image, Parameter, ParameterValue, Record, StepCall};
use model::{Catalog, ColumnIndex, Table, TableId, Value};
use std::collections::HashSet;
use std::sync::OnceLock;

/// What one cell, and one row, takes.
const SLOT_BYTES: u64 = 48;
/// What every context takes besides.
const FIXED_BYTES: u64 = 1_024;

/// The size of a call, once it was counted. A copy of a call may be changed, so it is counted again.
#[derive(Debug, Default)]
pub struct Counted(OnceLock<u64>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl StepCall {
    /// The canonical size of the hand-over, in bytes.
    ///
    /// Cost: one pass over all cells the first time; whoever changes a call must do it before.
    pub fn bytes(&self) -> u64 {
        *self.counted.0.get_or_init(|| self.count())
    }

    fn count(&self) -> u64 {
        let table = &self.frame.table;
        let mut count = Count { catalog: Some(&self.catalog), ..Count::default() };
        count.batch(table, self.targets.iter().map(Some));
        count.parameters(&self.frame.input);
        count.parameters(&self.output);
        count.parameters(&self.frame.shared);
        for Image { alias, rows } in self.pre_images.iter().chain(&self.post_images) {
            count.name(alias);
            count.batch(table, rows.iter().map(Option::as_ref));
        }
        for parent in &self.parents {
            count.name(parent.message.as_str());
            count.name(&parent.table.logical_name);
            count.parameters(&parent.shared);
        }
        let names: usize = count.names.iter().map(|name| name.len()).sum();
        SLOT_BYTES * count.slots + (count.arena + names) as u64 + FIXED_BYTES
    }
}

/// What was met of a column: so that a name is looked up once, and not for each cell.
#[derive(Clone, Default)]
struct Met {
    named: bool,
    /// The table that its last lookup points to.
    table: Option<TableId>,
}

#[derive(Default)]
struct Count<'a> {
    catalog: Option<&'a Catalog>,
    slots: u64,
    arena: usize,
    names: HashSet<&'a str>,
    /// Tables that lookups lead to: few.
    tables: Vec<TableId>,
}

impl<'a> Count<'a> {
    fn name(&mut self, name: &'a str) {
        self.names.insert(name);
    }

    fn batch(&mut self, table: &'a Table, records: impl Iterator<Item = Option<&'a Record>>) {
        self.name(&table.logical_name);
        let mut met = vec![Met::default(); table.columns.len()];
        for record in records {
            self.slots += 1;
            let Some(record) = record else { continue };
            let cells = record.cells.iter().map(|cell| (cell.column, &cell.value));
            self.cells(table, &mut met, cells);
            for (alias, value) in &record.aliased {
                self.slots += 1;
                self.name(alias);
                self.value(value);
            }
            if let Some(key) = &record.key {
                let columns = table.key(key.key).columns.iter().copied();
                self.cells(table, &mut met, columns.zip(&key.values));
            }
        }
    }

    fn cells(
        &mut self,
        table: &'a Table,
        met: &mut [Met],
        cells: impl Iterator<Item = (ColumnIndex, &'a Value)>,
    ) {
        for (column, value) in cells {
            self.slots += 1;
            let met = &mut met[usize::from(column.0)];
            if !std::mem::replace(&mut met.named, true) {
                self.names.insert(&table.column(column).logical_name);
            }
            match value {
                Value::Lookup(lookup) if met.table.replace(lookup.table) == Some(lookup.table) => {}
                _ => self.value(value),
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.arena += text.len(),
            Value::Choices(choices) if !choices.is_empty() => {
                self.arena = self.arena.next_multiple_of(4) + choices.len() * 4;
            }
            Value::Lookup(lookup) if !self.tables.contains(&lookup.table) => {
                self.tables.push(lookup.table);
                let table = self.catalog.and_then(|catalog| catalog.table_by_id(lookup.table));
                self.names.insert(table.map_or("", |table| &table.logical_name));
            }
            _ => {}
        }
    }

    fn parameters(&mut self, parameters: &'a [Parameter]) {
        for Parameter { name, value } in parameters {
            self.name(name);
            match value {
                ParameterValue::One(one) => self.value(one),
                ParameterValue::Ids(ids) => {
                    self.name("");
                    self.slots += ids.len() as u64;
                }
                ParameterValue::Records(table, records) => {
                    self.batch(table, records.iter().map(Some));
                }
                ParameterValue::Bytes(bytes) => self.arena += bytes.len(),
                ParameterValue::Money(_) | ParameterValue::Choice(_) => {}
            }
        }
    }
}
