//! Reading definitions: whole collections at once, without pages and etags.

use super::options::Wanted;
use super::{Place, Within};
use crate::api::Attempt;
use crate::fault::{self, Problem};
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{Catalog, ColumnIndex, KeyIndex, MessageName, Table};
use serde_json::json;
use std::sync::Arc;
use wire::metadata::{self, Item};

/// The collections of a table that `$expand` can name.
const COLLECTIONS: [&str; 5] = [
    "Attributes",
    "Keys",
    "ManyToOneRelationships",
    "OneToManyRelationships",
    "ManyToManyRelationships",
];

/// Answers a read.
pub(super) fn answer(attempt: &Attempt<'_>, place: &Place) -> Result<Response<Bytes>, Problem> {
    let wanted = Wanted::read(&attempt.request.options)?;
    if let Place::OptionSet(within, column, name) = place {
        return option_set(attempt, within, *column, name, &wanted);
    }
    let body = body(attempt, &attempt.context.catalog, place, &wanted)?;
    Ok(response::json(StatusCode::OK, body))
}

/// A definition with all its members, as a change answers it.
pub(super) fn whole(
    attempt: &Attempt<'_>,
    catalog: &Catalog,
    place: &Place,
) -> Result<Vec<u8>, Problem> {
    body(attempt, catalog, place, &Wanted::default())
}

/// One option set by its own address; null where a column has none of that name.
fn option_set(
    attempt: &Attempt<'_>,
    within: &Within,
    column: ColumnIndex,
    name: &str,
    wanted: &Wanted,
) -> Result<Response<Bytes>, Problem> {
    let item = Item::Column(&within.table, column);
    let items = only(vec![item], within.cast.as_deref());
    let member = items.first().and_then(|item| item.member(name));
    let member = member.ok_or_else(|| Problem::no_segment(name))?;
    if matches!(member, metadata::Member::Null) {
        return Ok(response::empty(StatusCode::NO_CONTENT));
    }
    let mut text = Vec::new();
    member.write(&mut text);
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(|_| Problem::unexpected())?;
    if let Some(names) = &wanted.select {
        if let Some(unknown) = names.iter().find(|name| !object.contains_key(*name)) {
            return Err(fault::of_query(query::Error::UnknownColumn {
                table: "OptionSetMetadata".into(),
                name: unknown.as_str().into(),
            }));
        }
        object.retain(|member, _| member == "MetadataId" || names.contains(member));
    }
    let base = base(&within.table, "Attributes", within.cast.as_deref());
    let context = context(attempt, &format!("{base}/{name}"), wanted, true);
    let mut shown = serde_json::Map::new();
    shown.insert("@odata.context".into(), context.into());
    shown.extend(object);
    Ok(response::json(StatusCode::OK, serde_json::Value::Object(shown).to_string().into_bytes()))
}

/// The text of what is read.
#[expect(clippy::too_many_lines, reason = "one arm per place")]
fn body(
    attempt: &Attempt<'_>,
    catalog: &Catalog,
    place: &Place,
    wanted: &Wanted,
) -> Result<Vec<u8>, Problem> {
    let (base, items, single, typed) = match place {
        Place::Tables => {
            let items = catalog.tables().iter().map(|table| Item::Table(table)).collect();
            ("EntityDefinitions".to_owned(), items, false, true)
        }
        Place::Table(table) => {
            ("EntityDefinitions".to_owned(), vec![Item::Table(table)], true, true)
        }
        Place::Columns(Within { table, cast, .. }) => {
            let items = only(columns(table), cast.as_deref());
            (base(table, "Attributes", cast.as_deref()), items, false, cast.is_none())
        }
        Place::Column(Within { table, cast, .. }, column) => {
            let items = only(vec![Item::Column(table, *column)], cast.as_deref());
            (base(table, "Attributes", cast.as_deref()), items, true, cast.is_none())
        }
        Place::Keys(Within { table, .. }) => (base(table, "Keys", None), keys(table), false, true),
        Place::Key(Within { table, .. }, key) => {
            (base(table, "Keys", None), vec![Item::Key(table, *key)], true, true)
        }
        Place::ManyToOne(table) => {
            (base(table, "ManyToOneRelationships", None), many_to_one(catalog, table), false, true)
        }
        Place::OneToMany(table) => {
            (base(table, "OneToManyRelationships", None), one_to_many(catalog, table), false, true)
        }
        Place::ManyToMany(table) => (
            base(table, "ManyToManyRelationships", None),
            many_to_many(catalog, table),
            false,
            true,
        ),
        Place::Relationships(cast) => {
            let items = catalog.relationships().iter().map(|one| Item::Relationship(one));
            let many = catalog.many_to_many().iter().map(|many| Item::ManyToMany(many));
            let items = only(items.chain(many).collect(), cast.as_deref());
            (cast_base("RelationshipDefinitions", cast.as_deref()), items, false, cast.is_none())
        }
        Place::Relationship(one, cast) => {
            let items = only(vec![one.item()], cast.as_deref());
            (cast_base("RelationshipDefinitions", cast.as_deref()), items, true, cast.is_none())
        }
        Place::Choices(cast) => {
            let items = catalog.choices().iter().map(|choice| Item::Choice(choice));
            let items = only(items.collect(), cast.as_deref());
            let base = cast_base("GlobalOptionSetDefinitions", cast.as_deref());
            (base, items, false, cast.is_none())
        }
        Place::Choice(choice, cast) => {
            let items = only(vec![Item::Choice(choice)], cast.as_deref());
            let base = cast_base("GlobalOptionSetDefinitions", cast.as_deref());
            (base, items, true, cast.is_none())
        }
        Place::ManagedProperties => {
            ("ManagedPropertyDefinitions".to_owned(), Vec::new(), false, true)
        }
        // It is answered by itself.
        Place::OptionSet(..) => return Err(Problem::unexpected()),
    };
    let context = context(attempt, &base, wanted, single);
    let mut body = Vec::new();
    if single {
        let Some(item) = items.first() else {
            // Only a cast to another type leaves nothing of one item.
            return Err(Problem::no_segment(base.rsplit('/').next().unwrap_or_default()));
        };
        // An item is an object of its own: its members follow the context.
        let object = one(catalog, item, wanted, typed)?;
        body.extend_from_slice(b"{\"@odata.context\":");
        body.extend_from_slice(json!(context).to_string().as_bytes());
        if let Some(members) = object.strip_prefix(b"{").filter(|members| *members != b"}") {
            body.push(b',');
            body.extend_from_slice(members);
        } else {
            body.push(b'}');
        }
        return Ok(body);
    }
    let (list, count) = list(catalog, &items, wanted, typed)?;
    body.extend_from_slice(b"{\"@odata.context\":");
    body.extend_from_slice(json!(context).to_string().as_bytes());
    if wanted.count {
        body.extend_from_slice(format!(",\"@odata.count\":{count}").as_bytes());
    }
    body.extend_from_slice(b",\"value\":");
    body.extend_from_slice(&list);
    body.push(b'}');
    Ok(body)
}

fn base(table: &Table, collection: &str, cast: Option<&str>) -> String {
    let place = format!("EntityDefinitions('{}')/{collection}", table.logical_name);
    cast_base(&place, cast)
}

fn cast_base(base: &str, cast: Option<&str>) -> String {
    match cast {
        Some(cast) => format!("{base}/Microsoft.Dynamics.CRM.{cast}"),
        None => base.to_owned(),
    }
}

fn context(attempt: &Attempt<'_>, base: &str, wanted: &Wanted, single: bool) -> String {
    let mut context = format!("{}$metadata#{base}", attempt.request.root);
    if let Some(select) = &wanted.select {
        context.push('(');
        context.push_str(&select.join(","));
        context.push(')');
    }
    if single {
        context.push_str("/$entity");
    }
    context
}

pub(super) fn columns(table: &Arc<Table>) -> Vec<Item<'_>> {
    table.indexed_columns().map(|(index, _)| Item::Column(table, index)).collect()
}

pub(super) fn keys(table: &Arc<Table>) -> Vec<Item<'_>> {
    let count = u16::try_from(table.keys.len()).unwrap_or(u16::MAX);
    (0..count).map(|place| Item::Key(table, KeyIndex(place))).collect()
}

/// The relationships whose lookup this table has.
pub(super) fn many_to_one<'a>(catalog: &'a Catalog, table: &Table) -> Vec<Item<'a>> {
    catalog.referenced_by(&table.logical_name).map(|one| Item::Relationship(one)).collect()
}

/// The relationships that point to this table.
pub(super) fn one_to_many<'a>(catalog: &'a Catalog, table: &Table) -> Vec<Item<'a>> {
    catalog.referencing(&table.logical_name).map(|one| Item::Relationship(one)).collect()
}

/// The many-to-many relationships that this table is a side of.
pub(super) fn many_to_many<'a>(catalog: &'a Catalog, table: &Table) -> Vec<Item<'a>> {
    catalog.many_to_many_of(&table.logical_name).map(|many| Item::ManyToMany(many)).collect()
}

/// The items of one type.
fn only<'a>(items: Vec<Item<'a>>, cast: Option<&str>) -> Vec<Item<'a>> {
    match cast {
        Some(cast) => items.into_iter().filter(|item| item.type_name() == cast).collect(),
        None => items,
    }
}

/// A JSON list of the items that the filter lets pass, and their number before `$top`.
fn list(
    catalog: &Catalog,
    items: &[Item<'_>],
    wanted: &Wanted,
    typed: bool,
) -> Result<(Vec<u8>, usize), Problem> {
    let mut out = vec![b'['];
    let mut count = 0;
    for item in items {
        if let Some(filter) = &wanted.filter
            && !filter.holds(item)?
        {
            continue;
        }
        count += 1;
        if wanted.top.is_some_and(|top| count > top) {
            continue;
        }
        if count > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&one(catalog, item, wanted, typed)?);
    }
    out.push(b']');
    Ok((out, count))
}

/// One item as a JSON object, with what is expanded.
fn one(
    catalog: &Catalog,
    item: &Item<'_>,
    wanted: &Wanted,
    typed: bool,
) -> Result<Vec<u8>, Problem> {
    let select = wanted.selected();
    let select = select.as_deref();
    check_expansions(item, wanted)?;
    let mut out = Vec::new();
    let expanded = wanted.expanded();
    let refused = |err| of_select(err, item);
    if typed && item.is_derived() {
        metadata::write_typed_item(&mut out, item, select, &expanded).map_err(refused)?;
    } else {
        metadata::write_item(&mut out, item, select, &expanded).map_err(refused)?;
    }
    let Item::Table(table) = item else { return Ok(out) };
    for expand in &wanted.expand {
        let items = match &*expand.name {
            "Attributes" => {
                table.indexed_columns().map(|(index, _)| Item::Column(table, index)).collect()
            }
            "Keys" => {
                let count = u16::try_from(table.keys.len()).unwrap_or(u16::MAX);
                (0..count).map(|place| Item::Key(table, KeyIndex(place))).collect()
            }
            "ManyToOneRelationships" => many_to_one(catalog, table),
            "ManyToManyRelationships" => many_to_many(catalog, table),
            _ => one_to_many(catalog, table),
        };
        let (list, _) = list(catalog, &items, &expand.wanted, true)?;
        out.pop();
        out.extend_from_slice(format!(",\"{}\":", expand.name).as_bytes());
        out.extend_from_slice(&list);
        out.push(b'}');
    }
    Ok(out)
}

/// Refuses an expansion that no item of this kind has.
fn check_expansions(item: &Item<'_>, wanted: &Wanted) -> Result<(), Problem> {
    for expand in &wanted.expand {
        let known = match item {
            Item::Table(_) => COLLECTIONS.contains(&&*expand.name),
            // Columns of other kinds in the same collection have them.
            Item::Column(..) => matches!(&*expand.name, "OptionSet" | "GlobalOptionSet"),
            Item::Key(..) | Item::Relationship(_) | Item::ManyToMany(_) | Item::Choice(_) => false,
        };
        let bare = expand.wanted.filter.is_none() && expand.wanted.expand.is_empty();
        if known && !bare && !matches!(item, Item::Table(_)) {
            let what = format!("$filter or $expand inside the expansion of '{}'", expand.name);
            return Err(fault::of_query(query::Error::Refused { what: what.into() }));
        }
        if !known {
            return Err(match (item, &*expand.name) {
                (Item::Table(_), "Privileges") | (Item::Key(..), "AsyncJob") => {
                    Problem::not_implemented(format_args!("Expanding '{}'", expand.name))
                }
                _ => fault::of_query(query::Error::UnknownColumn {
                    table: item.type_name().into(),
                    name: expand.name.as_str().into(),
                }),
            });
        }
    }
    Ok(())
}

fn of_select(error: wire::Error, item: &Item<'_>) -> Problem {
    match error {
        wire::Error::UnknownProperty { property, .. } => {
            fault::of_query(query::Error::UnknownColumn {
                table: item.type_name().into(),
                name: property.into(),
            })
        }
        other => {
            let table = item.type_name();
            let payload = fault::Payload { message: MessageName::Retrieve, table, set: table };
            fault::of_wire(other, payload)
        }
    }
}
