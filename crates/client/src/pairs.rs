//! Many-to-many tables: a row is a pair of records, made by an associate and ended by a disassociate.
//!
//! In: the definition of the relationship, rows with two ids or names. Out: a table in which the two
//! columns are lookups, and requests.
//! Not here: reading pairs (`get`), which pairs a removal means (`remove`).
//! Source: `client.md` 3.5. Invariant: a pair never travels in a bulk message.

use crate::encode::Draft;
use crate::problem::{Class, Problem};
use crate::rows::{Block, Entry, Operation};
use crate::service::{self, Described, Service, escaped, read};
use crate::transport::Request;
use model::{
    Catalog, ColumnIndex, ColumnKind, LookupKind, LookupTarget, Table, TableId, Uuid, Value,
};
use serde::Deserialize;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A many-to-many table with what it joins.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Both ends; requests go to the first.
    pub ends: [End; 2],
    /// The table as rows are read for it: its two columns are lookups, and no other is data.
    pub described: Described,
}

/// One end of a many-to-many relationship.
#[derive(Clone, Debug)]
pub struct End {
    /// Its column in the many-to-many table.
    pub column: ColumnIndex,
    /// Its table.
    pub table: Arc<Table>,
    /// The navigation property of its table that leads to the other end.
    pub navigation: Box<str>,
}

#[derive(Deserialize)]
struct Answer {
    value: Vec<Relationship>,
}

#[derive(Deserialize)]
struct Relationship {
    #[serde(rename = "Entity1LogicalName")]
    table_one: String,
    #[serde(rename = "Entity2LogicalName")]
    table_two: String,
    #[serde(rename = "Entity1IntersectAttribute")]
    column_one: String,
    #[serde(rename = "Entity2IntersectAttribute")]
    column_two: String,
    #[serde(rename = "Entity1NavigationPropertyName")]
    navigation_one: String,
    #[serde(rename = "Entity2NavigationPropertyName")]
    navigation_two: String,
}

impl Pairs {
    /// The pairs of a table, if it holds such.
    pub async fn if_any(
        service: &Service,
        table: &Table,
    ) -> Result<Option<Arc<Self>>, service::Error> {
        match table.is_intersect {
            true => Ok(Some(Arc::new(Self::of(service, table).await?))),
            false => Ok(None),
        }
    }

    /// Reads the relationship of a many-to-many table and the tables that it joins.
    pub async fn of(service: &Service, table: &Table) -> Result<Self, service::Error> {
        let name = &table.logical_name;
        let doing = format!("the relationship of table `{name}`");
        let filter = escaped(&format!("IntersectEntityName eq '{name}'"));
        let kind = "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata";
        let path = format!("RelationshipDefinitions/{kind}?$filter={filter}");
        let response = service.ask(Request::get(path), &doing).await?;
        let answer: Answer = read(&response, &doing)?;
        let unreadable = |why: String| service::Error::Unreadable { doing: doing.clone(), why };
        let found = answer.value.into_iter().next();
        let found = found.ok_or_else(|| unreadable("there is none".to_owned()))?;
        let first = Arc::new(Table::new(service.definition(&found.table_one, 2).await?));
        let second = match found.table_one == found.table_two {
            true => Arc::clone(&first),
            false => Arc::new(Table::new(service.definition(&found.table_two, 3).await?)),
        };
        let end =
            |table_of: Arc<Table>, column: &str, navigation: &str| -> Result<End, service::Error> {
                let index = table.index_of(column);
                let index =
                    index.ok_or_else(|| unreadable(format!("it has no column `{column}`")))?;
                Ok(End { column: index, table: table_of, navigation: navigation.into() })
            };
        let ends = [
            end(first, &found.column_one, &found.navigation_one)?,
            end(second, &found.column_two, &found.navigation_two)?,
        ];
        let described = described(table, &ends);
        Ok(Self { ends, described })
    }

    /// The ids that a row gives for both ends.
    pub fn ids(&self, draft: &Draft) -> [Option<Uuid>; 2] {
        self.ends.each_ref().map(|end| draft.value(end.column).and_then(id_of))
    }

    /// Writes a pair into a block. The key of a pair in reports is both ids with a slash between them.
    pub fn write(
        &self,
        block: &mut Block,
        entry: &mut Entry,
        operation: Operation,
        ids: [Uuid; 2],
    ) {
        let [one, two] = ids;
        entry.operation = operation;
        entry.id = None;
        entry.address = block.write(|out| out.extend_from_slice(format!("{one}/{two}").as_bytes()));
        if operation == Operation::Associate {
            let target = format!("{}({two})", self.ends[1].table.entity_set_name);
            let body = serde_json::json!({"@odata.id": target}).to_string();
            entry.body = block.write(|out| out.extend_from_slice(body.as_bytes()));
        }
        let mut hasher = DefaultHasher::new();
        ids.hash(&mut hasher);
        entry.mark = Some(hasher.finish());
    }

    /// Why a row names no pair.
    pub fn lacks(&self, ids: [Option<Uuid>; 2]) -> Problem {
        let missing = if ids[0].is_none() { &self.ends[0] } else { &self.ends[1] };
        let name = &self.described.table.column(missing.column).logical_name;
        let text = format!("the row has no value for `{name}`: a pair has two ids");
        Problem::new(Class::Conversion, text).of_column(name)
    }

    /// Where requests for pairs go.
    pub fn way(&self) -> Way {
        Way {
            set: self.ends[0].table.entity_set_name.clone(),
            navigation: self.ends[0].navigation.clone(),
        }
    }
}

/// Where requests for pairs go.
#[derive(Clone, Debug)]
pub struct Way {
    /// The entity set of the first end.
    pub set: Box<str>,
    /// The navigation property that leads from there to the second.
    pub navigation: Box<str>,
}

impl Way {
    /// The address that a pair is made at.
    pub fn associate(&self, key: &str) -> String {
        let (one, _) = halves(key);
        format!("{}({one})/{}/$ref", self.set, self.navigation)
    }

    /// The address of a pair that is to end.
    pub fn disassociate(&self, key: &str) -> String {
        let (one, two) = halves(key);
        format!("{}({one})/{}({two})/$ref", self.set, self.navigation)
    }
}

fn halves(key: &str) -> (&str, &str) {
    key.split_once('/').expect("the key of a pair has two halves")
}

/// The id in a value of a row or of an answer.
pub fn id_of(value: &Value) -> Option<Uuid> {
    match value {
        Value::Lookup(lookup) => Some(lookup.id),
        value => value.as_id(),
    }
}

fn described(table: &Table, ends: &[End; 2]) -> Described {
    let mut definition = table.definition().clone();
    definition.id = TableId(1);
    for (place, column) in definition.columns.iter_mut().enumerate() {
        let end = ends.iter().find(|end| usize::from(end.column.0) == place);
        column.valid_for_create = end.is_some();
        column.valid_for_update = false;
        if let Some(end) = end {
            let table = end.table.logical_name.clone();
            let navigation = column.logical_name.clone();
            let targets = vec![LookupTarget { table, navigation }];
            column.kind = ColumnKind::Lookup { kind: LookupKind::Plain, targets };
        }
    }
    let table = Arc::new(Table::new(definition));
    let mut tables = vec![Arc::clone(&table), Arc::clone(&ends[0].table)];
    if ends[0].table.logical_name != ends[1].table.logical_name {
        tables.push(Arc::clone(&ends[1].table));
    }
    Described { table, catalog: Arc::new(Catalog::new(0, tables, Vec::new())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_and_ended_at_its_first_record() {
        let way = Way { set: "accounts".into(), navigation: "to_leads".into() };
        assert_eq!(way.associate("a/b"), "accounts(a)/to_leads/$ref");
        assert_eq!(way.disassociate("a/b"), "accounts(a)/to_leads(b)/$ref");
    }
}
