//! All definitions at one version: what a request holds from its start to its end.

use crate::{DeleteAction, OneToMany, Table, TableId};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// An immutable snapshot of every table and relationship.
#[derive(Debug, Default)]
pub struct Catalog {
    version: u64,
    tables: Vec<Arc<Table>>,
    relationships: Vec<Arc<OneToMany>>,
    by_name: HashMap<Box<str>, usize>,
    by_set: HashMap<Box<str>, usize>,
    by_id: HashMap<TableId, usize>,
    by_referenced: HashMap<Box<str>, Vec<usize>>,
}

impl Catalog {
    /// Indexes the definitions. `version` grows with every schema change.
    pub fn new(version: u64, tables: Vec<Arc<Table>>, relationships: Vec<Arc<OneToMany>>) -> Self {
        let mut this = Self { version, tables, relationships, ..Self::default() };
        for (place, table) in this.tables.iter().enumerate() {
            this.by_name.insert(table.logical_name.clone(), place);
            this.by_set.insert(table.entity_set_name.clone(), place);
            this.by_id.insert(table.id, place);
        }
        for (place, relationship) in this.relationships.iter().enumerate() {
            this.by_referenced
                .entry(relationship.referenced_table.clone())
                .or_default()
                .push(place);
        }
        this
    }

    /// The version of these definitions.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every table, in order of creation.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// Every relationship, in order of creation.
    pub fn relationships(&self) -> &[Arc<OneToMany>] {
        &self.relationships
    }

    /// The table with this logical name.
    pub fn table(&self, logical_name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(logical_name).map(|place| &self.tables[*place])
    }

    /// The table with this entity set name.
    pub fn table_of_set(&self, entity_set_name: &str) -> Option<&Arc<Table>> {
        self.by_set.get(entity_set_name).map(|place| &self.tables[*place])
    }

    /// The table with this number.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.by_id.get(&id).map(|place| &self.tables[*place])
    }

    /// The table with this metadata id.
    pub fn table_by_metadata_id(&self, id: Uuid) -> Option<&Arc<Table>> {
        self.tables.iter().find(|table| table.metadata_id == id)
    }

    /// The relationships whose lookups point to this table.
    pub fn referencing(&self, logical_name: &str) -> impl Iterator<Item = &Arc<OneToMany>> {
        let places = self.by_referenced.get(logical_name).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.relationships[*place])
    }

    /// The relationships that do this when a row of the table is deleted.
    pub fn referencing_by(
        &self,
        table: TableId,
        action: DeleteAction,
    ) -> impl Iterator<Item = &Arc<OneToMany>> {
        self.table_by_id(table)
            .into_iter()
            .flat_map(|table| self.referencing(&table.logical_name))
            .filter(move |relationship| relationship.cascade.delete == action)
    }
}
