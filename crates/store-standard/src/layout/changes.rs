//! Which stored definitions a change adds, replaces and forgets.
//!
//! In: two catalogs, one made from the other. Out: plain data that each engine writes in its own SQL.
//! Not here: tables of rows. Invariant: what did not change is not written.

use super::{
    encode_choice, encode_column, encode_key, encode_many_to_many, encode_numbers,
    encode_relationship, encode_table,
};
use model::{Catalog, Table, TableId, Uuid};
use std::collections::HashMap;
use std::sync::Arc;

/// Kinds of definitions that lie together in `sheaf_definition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Many-to-many relationships.
    ManyToMany = 1,
    /// Global choices.
    Choice = 2,
    /// Numbers that outlive what they were given to; one definition.
    Numbers = 3,
}

/// A column or an alternate key of a table.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) table: TableId,
    pub(crate) place: usize,
    pub(crate) number: u32,
    pub(crate) logical_name: Box<str>,
    pub(crate) text: String,
}

/// What a change does to the stored definitions.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Tables that go, with their columns and keys.
    pub(crate) tables_gone: Vec<TableId>,
    /// Tables with another text, their parts aside.
    pub(crate) tables_changed: Vec<(TableId, String)>,
    /// New tables, in order.
    pub(crate) tables: Vec<(TableId, Box<str>, String)>,
    /// Tables whose columns are forgotten before the ones below are stored.
    pub(crate) columns_cleared: Vec<TableId>,
    pub(crate) columns: Vec<Part>,
    /// The same for alternate keys.
    pub(crate) keys_cleared: Vec<TableId>,
    pub(crate) keys: Vec<Part>,
    /// Schema names of relationships that go.
    pub(crate) relationships_gone: Vec<String>,
    /// Relationships with another text, by schema name.
    pub(crate) relationships_changed: Vec<(String, String)>,
    /// New relationships, in order.
    pub(crate) relationships: Vec<(String, String)>,
    /// Other definitions that go.
    pub(crate) gone: Vec<(Kind, Uuid)>,
    /// Other definitions, new or with another text; new ones in order.
    pub(crate) put: Vec<(Kind, Uuid, String)>,
}

/// What leads from the stored definitions of one catalog to those of a later one.
pub(crate) fn between(before: &Catalog, after: &Catalog) -> Changes {
    let mut changes = Changes::default();
    for table in before.tables() {
        if after.table_by_id(table.id).is_none() {
            changes.tables_gone.push(table.id);
        }
    }
    for table in after.tables() {
        match before.table_by_id(table.id) {
            None => {
                let text = encode_table(table);
                changes.tables.push((table.id, table.logical_name.clone(), text));
                changes.columns.extend(columns(table));
                changes.keys.extend(keys(table));
            }
            Some(old) if Arc::ptr_eq(old, table) => {}
            Some(old) => of_table(&mut changes, old, table),
        }
    }
    relationships(&mut changes, before, after);
    others(&mut changes, before, after);
    changes
}

fn columns(table: &Table) -> Vec<Part> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(place, column)| Part {
            table: table.id,
            place,
            number: column.id.0,
            logical_name: column.logical_name.clone(),
            text: encode_column(column),
        })
        .collect()
}

fn keys(table: &Table) -> Vec<Part> {
    let keys = table.keys.iter().enumerate();
    keys.map(|(place, key)| Part {
        table: table.id,
        place,
        number: key.id,
        logical_name: key.logical_name.clone(),
        text: encode_key(key),
    })
    .collect()
}

fn of_table(changes: &mut Changes, old: &Table, new: &Table) {
    let text = encode_table(new);
    if text != encode_table(old) {
        changes.tables_changed.push((new.id, text));
    }
    let (cleared, added) = parts(columns(old), columns(new));
    if cleared {
        changes.columns_cleared.push(new.id);
    }
    changes.columns.extend(added);
    let (cleared, added) = parts(keys(old), keys(new));
    if cleared {
        changes.keys_cleared.push(new.id);
    }
    changes.keys.extend(added);
}

/// Whether the old parts are forgotten, and which are stored: those behind the old ones, or all.
fn parts(old: Vec<Part>, mut new: Vec<Part>) -> (bool, Vec<Part>) {
    if new.len() >= old.len() && new.iter().zip(&old).all(|(new, old)| new == old) {
        return (false, new.split_off(old.len()));
    }
    (true, new)
}

fn relationships(changes: &mut Changes, before: &Catalog, after: &Catalog) {
    let name = |one: &model::OneToMany| one.schema_name.to_string();
    let old: HashMap<Uuid, _> =
        before.relationships().iter().map(|one| (one.metadata_id, one)).collect();
    let new: HashMap<Uuid, _> =
        after.relationships().iter().map(|one| (one.metadata_id, one)).collect();
    let gone = before.relationships().iter().filter(|one| !new.contains_key(&one.metadata_id));
    changes.relationships_gone.extend(gone.map(|one| name(one)));
    for one in after.relationships() {
        match old.get(&one.metadata_id) {
            None => changes.relationships.push((name(one), encode_relationship(one))),
            Some(known) if Arc::ptr_eq(known, one) || **known == *one => {}
            Some(_) => changes.relationships_changed.push((name(one), encode_relationship(one))),
        }
    }
}

fn others(changes: &mut Changes, before: &Catalog, after: &Catalog) {
    let many = |catalog: &Catalog| -> Vec<(Kind, Uuid, String)> {
        let all = catalog.many_to_many().iter();
        all.map(|one| (Kind::ManyToMany, one.metadata_id, encode_many_to_many(one))).collect()
    };
    let choices = |catalog: &Catalog| -> Vec<(Kind, Uuid, String)> {
        let all = catalog.choices().iter();
        all.map(|one| (Kind::Choice, one.metadata_id, encode_choice(one))).collect()
    };
    let numbers = |catalog: &Catalog| {
        vec![(Kind::Numbers, Uuid::nil(), encode_numbers(catalog.table_number_max()))]
    };
    for list in [&many as &dyn Fn(&Catalog) -> Vec<(Kind, Uuid, String)>, &choices, &numbers] {
        let (old, new) = (list(before), list(after));
        let known: HashMap<Uuid, &str> =
            old.iter().map(|(_, id, text)| (*id, text.as_str())).collect();
        let kept: HashMap<Uuid, ()> = new.iter().map(|(_, id, _)| (*id, ())).collect();
        let gone = old.iter().filter(|(_, id, _)| !kept.contains_key(id));
        changes.gone.extend(gone.map(|(kind, id, _)| (*kind, *id)));
        let changed = new.into_iter().filter(|(_, id, text)| known.get(id) != Some(&text.as_str()));
        changes.put.extend(changed.collect::<Vec<_>>());
    }
}
