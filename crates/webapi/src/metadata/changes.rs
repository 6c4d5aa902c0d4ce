//! `RetrieveMetadataChanges`: definitions by criteria, with the members that were asked for.
//!
//! In: one JSON query. Out: everything that it matches; there is no history of definitions, so a client's
//! stamp changes nothing. Source: metadata.md 9.

use super::read::{columns, keys, many_to_many, many_to_one, one_to_many};
use crate::api::Attempt;
use crate::fault::Problem;
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{Catalog, Fault, Table, Uuid, code};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use wire::metadata::{Item, Member};

/// Conditions and groups that one query may nest.
const DEPTH_MAX: usize = 10;

#[derive(Debug, Default, Deserialize)]
struct Query {
    #[serde(rename = "Properties", default)]
    properties: Option<Properties>,
    #[serde(rename = "Criteria", default)]
    criteria: Option<Criteria>,
    #[serde(rename = "AttributeQuery", default)]
    columns: Option<Part>,
    #[serde(rename = "RelationshipQuery", default)]
    relationships: Option<Part>,
    #[serde(rename = "KeyQuery", default)]
    keys: Option<Part>,
}

#[derive(Debug, Default, Deserialize)]
struct Part {
    #[serde(rename = "Properties", default)]
    properties: Option<Properties>,
    #[serde(rename = "Criteria", default)]
    criteria: Option<Criteria>,
}

#[derive(Debug, Default, Deserialize)]
struct Properties {
    #[serde(rename = "AllProperties", default)]
    all: Option<bool>,
    #[serde(rename = "PropertyNames", default)]
    names: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Criteria {
    #[serde(rename = "FilterOperator", default)]
    operator: Option<String>,
    #[serde(rename = "Conditions", default)]
    conditions: Option<Vec<Condition>>,
    #[serde(rename = "Filters", default)]
    filters: Option<Vec<Criteria>>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "PropertyName")]
    name: String,
    #[serde(rename = "ConditionOperator")]
    operator: String,
    #[serde(rename = "Value", default)]
    value: Option<Typed>,
}

/// A value with the name of its .NET type, or bare.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Typed {
    Named {
        #[serde(rename = "Value")]
        value: Value,
    },
    Bare(Value),
}

impl Typed {
    fn value(&self) -> &Value {
        match self {
            Self::Named { value } | Self::Bare(value) => value,
        }
    }
}

fn bad(why: impl std::fmt::Display) -> Problem {
    Problem::argument(format!("The query of RetrieveMetadataChanges is invalid: {why}"))
}

/// Answers the function.
pub(super) fn answer(attempt: &Attempt<'_>, arguments: &str) -> Result<Response<Bytes>, Problem> {
    let query: Query = serde_json::from_str(query_text(attempt, arguments)?).map_err(bad)?;
    let catalog = &attempt.context.catalog;
    let wanted = Wanted::of(query.properties.as_ref());
    if query.columns.is_some() && !wanted.has("Attributes") {
        return Err(Problem::from(Fault::new(
            code::INVALID_ATTRIBUTE_QUERY,
            "AttributeQuery is given, but Attributes is not among the requested properties.",
        )));
    }
    let mut tables = Vec::new();
    for table in catalog.tables() {
        if holds(query.criteria.as_ref(), &Item::Table(table), 0)? {
            tables.push(one_table(catalog, table, &wanted, &query)?);
        }
    }
    let root = &attempt.request.root;
    let body = json!({
        "@odata.context":
            format!("{root}$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"),
        "ServerVersionStamp": format!("{}!{}", catalog.version(), attempt.request.now),
        "DeletedMetadata": null,
        "EntityMetadata": tables,
    });
    Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
}

/// The JSON of the query: inline, or behind an alias.
fn query_text<'a>(attempt: &'a Attempt<'_>, arguments: &'a str) -> Result<&'a str, Problem> {
    let none = || {
        Problem::uri(
            "No function signature for the function with name 'RetrieveMetadataChanges' matches the specified arguments.",
        )
    };
    let mut query = None;
    for part in arguments.split(",") {
        let Some((name, value)) = part.split_once('=') else { continue };
        match name.trim() {
            "Query" => query = Some(value.trim()),
            "DeletedMetadataFilters"
            | "ClientVersionStamp"
            | "RetrieveAllSettings"
            | "AppModuleId" => {}
            _ if query.is_some_and(|text| text.starts_with('{')) => {}
            _ => return Err(none()),
        }
    }
    let query = query.ok_or_else(none)?;
    if query.starts_with('@') {
        return attempt.request.options.get(query).ok_or_else(none);
    }
    // Inline JSON holds commas of its own: it is everything from its brace to the last one.
    let start = arguments.find('{').ok_or_else(none)?;
    let end = arguments.rfind('}').ok_or_else(none)?;
    arguments.get(start..=end).ok_or_else(none)
}

/// Which members are asked for.
struct Wanted<'a> {
    all: bool,
    names: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(properties: Option<&'a Properties>) -> Self {
        let all = properties.and_then(|this| this.all).unwrap_or(false);
        let names = properties.and_then(|this| this.names.as_deref()).unwrap_or_default();
        Self { all, names: names.iter().map(String::as_str).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.all || self.names.contains(&name)
    }
}

fn one_table(
    catalog: &Catalog,
    table: &Arc<Table>,
    wanted: &Wanted<'_>,
    query: &Query,
) -> Result<Value, Problem> {
    let mut object = members(&Item::Table(table), wanted);
    if let Some(object) = object.as_object_mut() {
        let parts: [(&str, Vec<Item<'_>>, Option<&Part>); 5] = [
            ("Attributes", columns(table), query.columns.as_ref()),
            ("Keys", keys(table), query.keys.as_ref()),
            ("OneToManyRelationships", one_to_many(catalog, table), query.relationships.as_ref()),
            ("ManyToOneRelationships", many_to_one(catalog, table), query.relationships.as_ref()),
            ("ManyToManyRelationships", many_to_many(catalog, table), query.relationships.as_ref()),
        ];
        for (name, items, part) in parts {
            if wanted.has(name) {
                object.insert(name.to_owned(), list(&items, part)?);
            }
        }
    }
    Ok(object)
}

fn list(items: &[Item<'_>], part: Option<&Part>) -> Result<Value, Problem> {
    // Without a query of its own a collection comes whole.
    let whole = Properties { all: Some(true), names: None };
    let properties = part.map_or(Some(&whole), |part| part.properties.as_ref());
    let wanted = Wanted::of(properties);
    let criteria = part.and_then(|part| part.criteria.as_ref());
    let mut found = Vec::new();
    for item in items {
        if holds(criteria, item, 0)? {
            found.push(members(item, &wanted));
        }
    }
    Ok(Value::Array(found))
}

/// The members of an item that are asked for; those that its type does not have are left out.
fn members(item: &Item<'_>, wanted: &Wanted<'_>) -> Value {
    let mut object = serde_json::Map::new();
    if item.is_derived() {
        let name = format!("#Microsoft.Dynamics.CRM.Complex{}", item.type_name());
        object.insert("@odata.type".into(), name.into());
    }
    let mut put = |name: &str| {
        if let Some(member) = item.member(name) {
            let mut text = Vec::new();
            member.write(&mut text);
            let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
            object.insert(name.to_owned(), value);
        }
    };
    if wanted.all {
        item.members().into_iter().chain(item.expandable().iter().copied()).for_each(&mut put);
    } else {
        wanted.names.iter().for_each(|name| put(name));
    }
    put("MetadataId");
    put("HasChanged");
    Value::Object(object)
}

/// Whether an item meets criteria.
fn holds(criteria: Option<&Criteria>, item: &Item<'_>, depth: usize) -> Result<bool, Problem> {
    let Some(criteria) = criteria else { return Ok(true) };
    if depth > DEPTH_MAX {
        return Err(bad(format!("filters are nested more than {DEPTH_MAX} levels deep")));
    }
    let any = match criteria.operator.as_deref() {
        None | Some("And") => false,
        Some("Or") => true,
        Some(other) => return Err(bad(format!("there is no FilterOperator '{other}'"))),
    };
    let mut results = Vec::new();
    for condition in criteria.conditions.iter().flatten() {
        results.push(meets(condition, item)?);
    }
    for filter in criteria.filters.iter().flatten() {
        results.push(holds(Some(filter), item, depth + 1)?);
    }
    if results.is_empty() {
        return Ok(true);
    }
    Ok(if any { results.contains(&true) } else { !results.contains(&false) })
}

fn meets(condition: &Condition, item: &Item<'_>) -> Result<bool, Problem> {
    // Labels, managed properties and the like are compared by their value.
    let member = match item.member(&condition.name) {
        Some(member) => {
            member.path("Value").filter(|_| !matches!(member, Member::Null)).unwrap_or(member)
        }
        None if item.is_derived() => Member::Null,
        None => return Err(bad(format!("there is no property '{}'", condition.name))),
    };
    let none = Value::Null;
    let value = condition.value.as_ref().map_or(&none, Typed::value);
    let many = || value.as_array().ok_or_else(|| bad("In and NotIn take an array"));
    Ok(match condition.operator.as_str() {
        "Equals" => equals(&member, value),
        "NotEquals" => !equals(&member, value),
        "In" => many()?.iter().any(|value| equals(&member, value)),
        "NotIn" => !many()?.iter().any(|value| equals(&member, value)),
        "GreaterThan" => order(&member, value)? == std::cmp::Ordering::Greater,
        "LessThan" => order(&member, value)? == std::cmp::Ordering::Less,
        other => return Err(bad(format!("there is no ConditionOperator '{other}'"))),
    })
}

fn equals(member: &Member<'_>, value: &Value) -> bool {
    match (member, value) {
        (Member::Null, value) => value.is_null(),
        (Member::Boolean(own), Value::Bool(value)) => own == value,
        (Member::Boolean(own), Value::String(value)) => {
            value.eq_ignore_ascii_case(if *own { "true" } else { "false" })
        }
        (Member::Integer(own), value) => {
            value.as_i64().or_else(|| value.as_str()?.parse().ok()) == Some(*own)
        }
        (Member::Text(own), Value::String(value)) => own.eq_ignore_ascii_case(value),
        (Member::Guid(own), Value::String(value)) => Uuid::try_parse(value) == Ok(*own),
        _ => false,
    }
}

fn order(member: &Member<'_>, value: &Value) -> Result<std::cmp::Ordering, Problem> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match (member, number) {
        (Member::Integer(own), Some(value)) => Ok(own.cmp(&value)),
        _ => Err(bad("GreaterThan and LessThan compare whole numbers")),
    }
}
