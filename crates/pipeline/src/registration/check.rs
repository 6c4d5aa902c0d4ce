//! What rows that register steps must be, and what the service adds to them.
//!
//! The tables are small and read as a whole: the same few queries, whatever the number of rows that are
//! written. A row is looked at as it will be, over the rows that the same message writes before it.
//! Not here: what each kind of row must be (`rules`); what hangs on a row that is deleted, which its
//! relationships say.
//! Source: plugins.md 3. Invariant: a step that could not be run is refused before it is stored.

use super::rules::{Look, Values, World};
use super::{ASSEMBLY, TABLES, TYPE, is_registration};
use crate::fault::{self, content, registration, registration_as};
use crate::rights::load;
use crate::run::{Context, Error, Pipeline, not_about_rows};
use crate::step::{NoRunner, StepRunner};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Catalog, Cell, ColumnIndex, Fault, Table, Uuid, Value, code};
use query::{ColumnRef, Filter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::writes::{InsertRow, UpdateRow, UpsertRow};
use store::{RowKey, WriteOp};

/// Bytes of a component at most (plugins.md 3.4.1).
const ASSEMBLY_BYTES_MAX: usize = 16 * 1_024 * 1_024;

impl Pipeline {
    /// Looks at writes of rows that register steps, and completes them.
    pub(crate) async fn check_registration(
        &self,
        context: &Context,
        ops: &mut [WriteOp],
    ) -> Result<(), Error> {
        let concerned = |op: &WriteOp| {
            is_registration(&op.table().logical_name) && !matches!(op, WriteOp::Delete(_))
        };
        if !ops.iter().any(concerned) {
            return Ok(());
        }
        let runner: &dyn StepRunner = match self.steps.get() {
            Some(steps) => &*steps.runner,
            None => &NoRunner,
        };
        let catalog = self.whole_of(&context.catalog)?;
        let mut world = World {
            catalog: &catalog,
            rows: BTreeMap::new(),
            filters: self.filters(&catalog).await?,
            offered: BTreeMap::new(),
            runner,
        };
        for table in TABLES {
            world.rows.insert(table, self.whole_rows(&catalog, table).await?);
        }
        for op in ops.iter_mut().filter(|op| concerned(op)) {
            let table = op.table().clone();
            let mut rows = Written::of(op)?;
            if &*table.logical_name == TYPE {
                self.look_into(&catalog, &mut world, &rows).await?;
            }
            for row in &mut rows {
                let known = world.row(&table.logical_name, row.id).cloned();
                let is_new = known.is_none();
                let mut values = known.unwrap_or_else(|| row.first.clone());
                let named = named(&table, row.cells);
                let changed: BTreeSet<Box<str>> = named.keys().cloned().collect();
                values.extend(named);
                let sent = values.clone();
                let look = Look { id: row.id, is_new, changed };
                world.check(&table.logical_name, &look, &mut values).await?;
                for (name, value) in &values {
                    if sent.get(name) != Some(value) {
                        row.set(&table, name, value.clone());
                    }
                }
                // Large, and looked at by now.
                values.remove("content");
                world.put(&table.logical_name, row.id, values);
            }
        }
        Ok(())
    }

    /// All rows of a table, without what is large.
    async fn whole_rows(
        &self,
        catalog: &Arc<Catalog>,
        table: &str,
    ) -> Result<BTreeMap<Uuid, Values>, Error> {
        let Some(table) = catalog.table(table) else { return Ok(BTreeMap::new()) };
        let columns: Vec<&str> = table
            .columns
            .iter()
            .filter(|column| column.computed.is_none() && &*column.logical_name != "content")
            .map(|column| &*column.logical_name)
            .collect();
        let query = load::bound(catalog, table, &columns, None);
        let rows = load::rows(self.store(), query).await.map_err(not_about_rows)?;
        let values = |row: Vec<Value>| {
            let id = row.last().and_then(Value::as_id)?;
            let named = columns.iter().map(|name| Box::from(*name)).zip(row);
            Some((id, named.collect()))
        };
        Ok(rows.into_iter().filter_map(values).collect())
    }

    /// Looks into the components whose types are being registered: one query for all of them.
    async fn look_into(
        &self,
        catalog: &Arc<Catalog>,
        world: &mut World<'_>,
        types: &[Written<'_>],
    ) -> Result<(), Error> {
        let Some(table) = catalog.table(TYPE) else { return Ok(()) };
        let assembly = table.index_of("pluginassemblyid");
        let wanted: BTreeSet<Uuid> = types
            .iter()
            .filter_map(|row| {
                let sent = row.cells.iter().find(|cell| Some(cell.column) == assembly);
                let known = || world.row(TYPE, row.id)?.get("pluginassemblyid")?.as_id();
                sent.and_then(|cell| cell.value.as_id()).or_else(known)
            })
            .filter(|id| !world.offered.contains_key(id))
            .collect();
        let Some(assemblies) = catalog.table(ASSEMBLY).filter(|_| !wanted.is_empty()) else {
            return Ok(());
        };
        let filter = Filter::In {
            column: ColumnRef::root(assemblies.primary_key),
            values: wanted.into_iter().map(Value::Guid).collect(),
            negated: false,
        };
        let query = load::bound(catalog, assemblies, &["content"], Some(filter));
        for row in load::rows(self.store(), query).await.map_err(not_about_rows)? {
            if let (Value::Text(text), Some(id)) = (&row[0], row[1].as_id()) {
                let bytes = bytes(text)?;
                let offered = world.runner.inspect(Arc::from(bytes)).await.map_err(content)?;
                world.offered.insert(id, offered);
            }
        }
        Ok(())
    }
}

/// A row that is written: its id, what a new one begins with, and where its values are.
struct Written<'a> {
    id: Uuid,
    first: Values,
    cells: &'a mut Vec<Cell>,
}

impl<'a> Written<'a> {
    fn of(op: &'a mut WriteOp) -> Result<Vec<Self>, Fault> {
        let refuse_unless = |fine: bool| match fine {
            true => Ok(()),
            false => Err(registration("rows are named by their ids here")),
        };
        match op {
            WriteOp::Insert(op) => {
                let first = named(&op.table, &op.constants);
                let row = |InsertRow { id, cells, binds }: &'a mut InsertRow| {
                    refuse_unless(binds.is_empty())?;
                    Ok(Self { id: *id, first: first.clone(), cells })
                };
                op.rows.iter_mut().map(row).collect()
            }
            WriteOp::Update(op) => {
                let row = |UpdateRow { key, cells, binds, .. }: &'a mut UpdateRow| {
                    refuse_unless(binds.is_empty())?;
                    match key {
                        RowKey::Id(id) => Ok(Self { id: *id, first: Values::new(), cells }),
                        RowKey::Alternate(_) => {
                            Err(registration("rows are named by their ids here"))
                        }
                    }
                };
                op.rows.iter_mut().map(row).collect()
            }
            WriteOp::Upsert(op) => {
                let first = named(&op.table, &op.insert_constants);
                let row = |UpsertRow { new_id, cells, binds, key, .. }: &'a mut UpsertRow| {
                    refuse_unless(binds.is_empty() && !matches!(key, Some(RowKey::Alternate(_))))?;
                    Ok(Self { id: *new_id, first: first.clone(), cells })
                };
                op.rows.iter_mut().map(row).collect()
            }
            WriteOp::Delete(_) | WriteOp::Fill(_) => Ok(Vec::new()),
        }
    }

    fn set(&mut self, table: &Table, name: &str, value: Value) {
        let Some(column) = table.index_of(name) else { return };
        match self.cells.iter_mut().find(|cell| cell.column == column) {
            Some(cell) => cell.value = value,
            None => self.cells.push(Cell { column, value }),
        }
    }
}

fn named(table: &Table, cells: &[Cell]) -> Values {
    let name = |column: ColumnIndex| table.column(column).logical_name.clone();
    cells.iter().map(|cell| (name(cell.column), cell.value.clone())).collect()
}

/// The bytes of a component from its text.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, Fault> {
    let bytes = STANDARD.decode(text).map_err(|_| fault::content("`content` is no base64"))?;
    if bytes.len() > ASSEMBLY_BYTES_MAX {
        let text = format!(
            "The assembly content size '{} bytes' has exceeded the maximum value allowed for isolated \
             plug-ins '{ASSEMBLY_BYTES_MAX} bytes'.",
            bytes.len()
        );
        return Err(registration_as(code::ASSEMBLY_TOO_LARGE, text));
    }
    Ok(bytes)
}
