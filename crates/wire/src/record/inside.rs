//! Records that are written inside other ones: a single one, its address, or a list.
//!
//! Not here: which they are. Invariant: a property is always there; a record that is not is `null`, a
//! list without records is `[]`.

use super::write::Writer;
use crate::json;
use model::{Table, Uuid, Value};
use std::collections::HashMap;

/// What is written inside a record, under one property.
#[derive(Debug)]
pub struct Inside<'a> {
    /// `"navigation":`
    name: Vec<u8>,
    what: What<'a>,
}

#[derive(Debug)]
enum What<'a> {
    Single(Vec<Single<'a>>),
    Link { root: &'a str, choices: Vec<(usize, &'a Table)> },
    List { link_name: Vec<u8>, children: Children<'a> },
}

/// A record that may stand inside another one.
#[derive(Debug)]
pub struct Single<'a> {
    /// Where its primary key stands in a row; null there says that there is no record.
    pub key: usize,
    /// How it is written, from the same row.
    pub writer: Writer<'a>,
}

/// The lists of all parents.
#[derive(Debug)]
pub struct Children<'a> {
    /// Where the parent's primary key stands in its row.
    pub key: usize,
    /// How the records are written.
    pub writer: Writer<'a>,
    /// Their rows, by parent.
    pub rows: HashMap<Uuid, Vec<&'a [Value]>>,
    /// The addresses under which parents have (more of) their lists.
    pub links: HashMap<Uuid, String>,
}

impl<'a> Inside<'a> {
    /// A record: the first of these that is there. Where several tables are possible it says of which.
    pub fn single(navigation: &str, choices: Vec<Single<'a>>) -> Self {
        Self { name: name(navigation), what: What::Single(choices) }
    }

    /// The address of a record: of the first of these keys that is not null. `root` ends in a slash.
    pub fn link(navigation: &str, root: &'a str, choices: Vec<(usize, &'a Table)>) -> Self {
        Self { name: name(navigation), what: What::Link { root, choices } }
    }

    /// A list of records.
    pub fn list(navigation: &str, children: Children<'a>) -> Self {
        let link_name = name(&format!("{navigation}@odata.nextLink"));
        Self { name: name(navigation), what: What::List { link_name, children } }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, row: &[Value]) {
        out.extend_from_slice(&self.name);
        match &self.what {
            What::Single(choices) => {
                let there = |one: &&Single<'_>| row.get(one.key).is_some_and(|key| !key.is_null());
                let Some(one) = choices.iter().find(there) else {
                    out.extend_from_slice(b"null");
                    return;
                };
                out.push(b'{');
                if choices.len() > 1 {
                    json::name(out, "@odata.type");
                    let table = &one.writer.table().logical_name;
                    json::text(out, &format!("#Microsoft.Dynamics.CRM.{table}"));
                    out.push(b',');
                }
                one.writer.members(out, row);
                out.push(b'}');
            }
            What::Link { root, choices } => {
                let found = choices.iter().find_map(|(key, table)| {
                    row.get(*key).and_then(Value::as_id).map(|id| (id, &table.entity_set_name))
                });
                match found {
                    None => out.extend_from_slice(b"null"),
                    Some((id, set)) => {
                        out.push(b'{');
                        json::name(out, "@odata.id");
                        json::text(out, &format!("{root}{set}({id})"));
                        out.push(b'}');
                    }
                }
            }
            What::List { link_name, children } => children.write(out, row, link_name),
        }
    }
}

impl Children<'_> {
    fn write(&self, out: &mut Vec<u8>, row: &[Value], link_name: &[u8]) {
        let parent = row.get(self.key).and_then(Value::as_id).unwrap_or_default();
        out.push(b'[');
        for (place, row) in self.rows.get(&parent).into_iter().flatten().enumerate() {
            out.extend_from_slice(if place > 0 { b",{" } else { b"{" });
            self.writer.members(out, row);
            out.push(b'}');
        }
        out.push(b']');
        if let Some(link) = self.links.get(&parent) {
            out.push(b',');
            out.extend_from_slice(link_name);
            json::text(out, link);
        }
    }
}

fn name(text: &str) -> Vec<u8> {
    let mut name = Vec::new();
    json::name(&mut name, text);
    name
}
