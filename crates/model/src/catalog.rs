//! All definitions at one version: what a request holds from its start to its end.

use crate::{
    Cascade, CascadeAction, ColumnIndex, DeleteAction, GlobalChoice, ManyToMany, ManyToManyEnd,
    OneToMany, Ownership, RelationshipSettings, Spreading, Table, TableId, TableKind,
};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Every definition, without indexes: what a catalog is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// Every table, in order of creation.
    pub tables: Vec<Arc<Table>>,
    /// Every one-to-many relationship, in order of creation.
    pub relationships: Vec<Arc<OneToMany>>,
    /// Every many-to-many relationship, in order of creation.
    pub many_to_many: Vec<Arc<ManyToMany>>,
    /// Every global choice, in order of creation.
    pub choices: Vec<Arc<GlobalChoice>>,
    /// The highest number that a table ever had; numbers of tables that are gone are not given again.
    pub table_number_max: u32,
}

/// An immutable snapshot of every definition.
#[derive(Debug, Default)]
pub struct Catalog {
    version: u64,
    definitions: Definitions,
    by_name: HashMap<Box<str>, usize>,
    by_set: HashMap<Box<str>, usize>,
    by_id: HashMap<TableId, usize>,
    by_metadata_id: HashMap<Uuid, usize>,
    by_referenced: HashMap<Box<str>, Vec<usize>>,
    by_referencing: HashMap<Box<str>, Vec<usize>>,
    many_by_table: HashMap<Box<str>, Vec<usize>>,
    many_by_intersect: HashMap<Box<str>, usize>,
    /// By the table that is pointed to: the columns of intersect tables that do, as relationships.
    pair_links: HashMap<Box<str>, Vec<Arc<OneToMany>>>,
}

impl Catalog {
    /// Indexes tables and their one-to-many relationships. `version` grows with every schema change.
    pub fn new(version: u64, tables: Vec<Arc<Table>>, relationships: Vec<Arc<OneToMany>>) -> Self {
        Self::of(version, Definitions { tables, relationships, ..Definitions::default() })
    }

    /// Indexes definitions. `version` grows with every schema change.
    pub fn of(version: u64, mut definitions: Definitions) -> Self {
        let highest = definitions.tables.iter().map(|table| table.id.0).max().unwrap_or(0);
        definitions.table_number_max = definitions.table_number_max.max(highest);
        let mut this = Self { version, definitions, ..Self::default() };
        for (place, table) in this.definitions.tables.iter().enumerate() {
            this.by_name.insert(table.logical_name.clone(), place);
            this.by_set.insert(table.entity_set_name.clone(), place);
            this.by_id.insert(table.id, place);
            this.by_metadata_id.insert(table.metadata_id, place);
        }
        for (place, relationship) in this.definitions.relationships.iter().enumerate() {
            let list = |map: &mut HashMap<Box<str>, Vec<usize>>, table: &str| {
                map.entry(table.into()).or_default().push(place);
            };
            list(&mut this.by_referenced, &relationship.referenced_table);
            list(&mut this.by_referencing, &relationship.referencing_table);
        }
        for (place, many) in this.definitions.many_to_many.iter().enumerate() {
            this.many_by_intersect.insert(many.intersect_table.clone(), place);
            for end in &many.ends {
                let links = this.pair_links.entry(end.table.clone()).or_default();
                let key =
                    this.by_name.get(&end.table).map(|place| &this.definitions.tables[*place]);
                links.push(Arc::new(OneToMany {
                    metadata_id: many.metadata_id,
                    schema_name: many.schema_name.clone(),
                    referenced_table: end.table.clone(),
                    referenced_column: key
                        .map(|table| table.primary_key_name())
                        .unwrap_or_default()
                        .into(),
                    referencing_table: many.intersect_table.clone(),
                    referencing_column: end.column.clone(),
                    referenced_navigation: Box::default(),
                    referencing_navigation: Box::default(),
                    cascade: Cascade::on_delete(DeleteAction::Cascade),
                    is_custom: many.is_custom,
                    is_hierarchical: false,
                    settings: RelationshipSettings::default(),
                }));
            }
            let [first, second] = &many.ends;
            this.many_by_table.entry(first.table.clone()).or_default().push(place);
            if second.table != first.table {
                this.many_by_table.entry(second.table.clone()).or_default().push(place);
            }
        }
        this
    }

    /// The version of these definitions.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The bare definitions, to be changed and indexed anew.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Every table, in order of creation.
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.definitions.tables
    }

    /// Every one-to-many relationship, in order of creation.
    pub fn relationships(&self) -> &[Arc<OneToMany>] {
        &self.definitions.relationships
    }

    /// Every many-to-many relationship, in order of creation.
    pub fn many_to_many(&self) -> &[Arc<ManyToMany>] {
        &self.definitions.many_to_many
    }

    /// Every global choice, in order of creation.
    pub fn choices(&self) -> &[Arc<GlobalChoice>] {
        &self.definitions.choices
    }

    /// The highest number that a table ever had.
    pub fn table_number_max(&self) -> u32 {
        self.definitions.table_number_max
    }

    /// The table with this logical name.
    pub fn table(&self, logical_name: &str) -> Option<&Arc<Table>> {
        self.by_name.get(logical_name).map(|place| &self.definitions.tables[*place])
    }

    /// The table with this entity set name.
    pub fn table_of_set(&self, entity_set_name: &str) -> Option<&Arc<Table>> {
        self.by_set.get(entity_set_name).map(|place| &self.definitions.tables[*place])
    }

    /// The table with this number.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.by_id.get(&id).map(|place| &self.definitions.tables[*place])
    }

    /// The table with this metadata id.
    pub fn table_by_metadata_id(&self, id: Uuid) -> Option<&Arc<Table>> {
        self.by_metadata_id.get(&id).map(|place| &self.definitions.tables[*place])
    }

    /// The relationships whose lookups point to this table.
    pub fn referencing(&self, logical_name: &str) -> impl Iterator<Item = &Arc<OneToMany>> {
        self.listed(&self.by_referenced, logical_name)
    }

    /// The relationships whose lookup this table has.
    pub fn referenced_by(&self, logical_name: &str) -> impl Iterator<Item = &Arc<OneToMany>> {
        self.listed(&self.by_referencing, logical_name)
    }

    fn listed<'a>(
        &'a self,
        map: &'a HashMap<Box<str>, Vec<usize>>,
        logical_name: &str,
    ) -> impl Iterator<Item = &'a Arc<OneToMany>> {
        let places = map.get(logical_name).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.definitions.relationships[*place])
    }

    /// Everything that a delete of a row of this table follows: the relationships that point to it, then
    /// the columns of intersect tables, whose rows go with either side.
    pub fn delete_links(&self, logical_name: &str) -> impl Iterator<Item = &Arc<OneToMany>> {
        let pairs = self.pair_links.get(logical_name).map_or(&[][..], Vec::as_slice);
        self.referencing(logical_name).chain(pairs)
    }

    /// The links that do this when a row of the table is deleted.
    pub fn referencing_by(
        &self,
        table: TableId,
        action: DeleteAction,
    ) -> impl Iterator<Item = &Arc<OneToMany>> {
        self.table_by_id(table)
            .into_iter()
            .flat_map(|table| self.delete_links(&table.logical_name))
            .filter(move |relationship| relationship.cascade.delete == action)
    }

    /// The relationships by which a change of a row of this table spreads, with the table that has the
    /// lookup: tables whose rows have an owner, as it is owners and shares that spread.
    pub fn spreading_from(
        &self,
        table: TableId,
        spreading: Spreading,
    ) -> impl Iterator<Item = (&Arc<OneToMany>, &Arc<Table>)> {
        let from = self.table_by_id(table).into_iter();
        from.flat_map(|table| self.referencing(&table.logical_name))
            .filter(move |link| link.cascade.reach(spreading) != CascadeAction::NoCascade)
            .filter_map(|link| Some((link, self.table(&link.referencing_table)?)))
            .filter(|(_, table)| {
                table.ownership == Ownership::User && table.kind == TableKind::Standard
            })
    }

    /// The tables to which a change of a row of this table can spread, directly or further on.
    pub fn spreading_to(&self, table: TableId, spreading: Spreading) -> Vec<&Arc<Table>> {
        let mut found: Vec<&Arc<Table>> = Vec::new();
        let mut open = vec![table];
        while let Some(table) = open.pop() {
            for (_, next) in self.spreading_from(table, spreading) {
                if found.iter().all(|known| known.id != next.id) {
                    found.push(next);
                    open.push(next.id);
                }
            }
        }
        found
    }

    /// The lookup of a table to itself that makes its rows a tree.
    pub fn hierarchy(&self, table: &Table) -> Option<ColumnIndex> {
        let mut links = self.referencing(&table.logical_name);
        let link = links
            .find(|link| link.is_hierarchical && *link.referencing_table == *table.logical_name)?;
        table.index_of(&link.referencing_column)
    }

    /// The many-to-many relationships that this table is a side of, each once.
    pub fn many_to_many_of(&self, logical_name: &str) -> impl Iterator<Item = &Arc<ManyToMany>> {
        let places = self.many_by_table.get(logical_name).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.definitions.many_to_many[*place])
    }

    /// The many-to-many relationship that a navigation property of this table leads through, with the
    /// side it starts from and the side it leads to.
    pub fn many_to_many_by_navigation(
        &self,
        logical_name: &str,
        navigation: &str,
    ) -> Option<(&Arc<ManyToMany>, &ManyToManyEnd, &ManyToManyEnd)> {
        self.many_to_many_of(logical_name).find_map(|many| {
            let (start, end) = many.from(logical_name, navigation)?;
            Some((many, start, end))
        })
    }

    /// The many-to-many relationship whose pairs this table holds.
    pub fn many_to_many_in(&self, intersect_table: &str) -> Option<&Arc<ManyToMany>> {
        self.many_by_intersect
            .get(intersect_table)
            .map(|place| &self.definitions.many_to_many[*place])
    }

    /// The global choice with this name; case does not matter.
    pub fn choice(&self, name: &str) -> Option<&Arc<GlobalChoice>> {
        self.definitions.choices.iter().find(|choice| choice.name.eq_ignore_ascii_case(name))
    }

    /// The global choice with this metadata id.
    pub fn choice_by_metadata_id(&self, id: Uuid) -> Option<&Arc<GlobalChoice>> {
        self.definitions.choices.iter().find(|choice| choice.metadata_id == id)
    }
}
