//! `ExecuteCosmosSqlQuery`: a query over the records of an elastic table as documents.
//!
//! A document is `{"props": {…}}` with the columns that are not empty under their logical names; JSON
//! columns are objects in it. In reading order: this file (arguments, pages), `parse`, `evaluate`.
//! Source: bulk.md 7.10.
//! Invariant: memory is bounded by a page of the store and [`SORTED_MAX`] results. A later page reads
//! what is before it again: the cookie is a number of results.

mod evaluate;
mod parse;

use crate::api::{Attempt, Stop};
use crate::fault::Problem;
use crate::records;
use crate::response;
use crate::route::Function;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{ColumnKind, MessageName, Table, TableKind, TextFormat, partition};
use parse::{Items, Select};
use pipeline::{Message, Read};
use query::{BoundQuery, ColumnRef, Order, Page, Paging};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Results of one answer, at most and by default.
const PAGE_SIZE_MAX: usize = 5_000;
/// Rows that are read at once.
const READ_SIZE: u32 = 1_000;
/// Results that an order keeps in memory.
const SORTED_MAX: usize = 50_000;

const TYPE: &str = "#Microsoft.Dynamics.CRM.expando";

/// What stands in the parentheses.
struct Arguments {
    select: Select,
    table: Arc<Table>,
    size: usize,
    offset: usize,
    partition: Option<String>,
}

/// `GET ExecuteCosmosSqlQuery(…)`
pub(crate) async fn call(attempt: &Attempt<'_>, arguments: &str) -> Result<Response<Bytes>, Stop> {
    let arguments = read_arguments(attempt, arguments)?;
    let (results, more) = run(attempt, &arguments).await?;
    let cookie = match more {
        true => STANDARD.encode(format!(r#"[{{"token":"{}"}}]"#, arguments.offset + results.len())),
        false => String::new(),
    };
    let results: Vec<Value> = results
        .into_iter()
        .map(|mut result| {
            result.insert("@odata.type".to_owned(), Value::from(TYPE));
            Value::Object(result)
        })
        .collect();
    let body = json!({
        "@odata.context": format!("{}$metadata#expando/$entity", attempt.request.root),
        "@odata.type": TYPE,
        "PagingCookie": cookie,
        "HasMore": more,
        "Result@odata.type": "#Collection(Microsoft.Dynamics.CRM.expando)",
        "Result": results,
    });
    Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
}

fn read_arguments(attempt: &Attempt<'_>, text: &str) -> Result<Arguments, Problem> {
    let bad = || crate::functions::bad_arguments(Function::ExecuteCosmosSqlQuery);
    let mut given: HashMap<&str, &str> = HashMap::new();
    for part in split(text) {
        let (name, value) = part.split_once('=').ok_or_else(bad)?;
        let value = value.trim();
        let value = match value.starts_with('@') {
            true => attempt.request.options.get(value).ok_or_else(bad)?,
            false => value,
        };
        if given.insert(name.trim(), value).is_some() {
            return Err(bad());
        }
    }
    let mut take = |name: &str| given.remove(name).filter(|value| *value != "null");
    let query = take("QueryText").map(plain).ok_or_else(bad)?;
    let table = take("EntityLogicalName").map(plain).ok_or_else(bad)?;
    let parameters = take("QueryParameters").map(parameters).transpose()?.unwrap_or_default();
    let size = match take("PageSize") {
        None => PAGE_SIZE_MAX,
        Some(size) => {
            let size = size.parse().ok().filter(|size: &usize| *size > 0).ok_or_else(bad)?;
            size.min(PAGE_SIZE_MAX)
        }
    };
    let offset = match take("PagingCookie").map(plain).filter(|cookie| !cookie.is_empty()) {
        None => 0,
        Some(cookie) => offset(&cookie).ok_or_else(Problem::paging_cookie)?,
    };
    let partition = take("PartitionId").map(plain).filter(|partition| !partition.is_empty());
    if !given.is_empty() {
        return Err(bad());
    }
    let catalog = &attempt.context.catalog;
    let table =
        catalog.table(&table).ok_or_else(|| Problem::no_definition("entity", &table))?.clone();
    if table.kind != TableKind::Elastic {
        let text = format!("Table '{}' is not an elastic table.", table.logical_name);
        return Err(Problem::document_query(text));
    }
    let select = parse::parse(&query, &parameters).map_err(Problem::document_query)?;
    Ok(Arguments { select, table, size, offset, partition })
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '\'';
        character == ',' && !quoted
    })
}

/// The text between single quotes, doubled quotes made single.
fn plain(text: &str) -> String {
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) if !inner.replace("''", "").contains('\'') => inner.replace("''", "'"),
        // Quotes inside that are not doubled: clients send the query as it is.
        Some(inner) => inner.to_owned(),
        None => text.to_owned(),
    }
}

/// `{"Keys":["@a"],"Values":[{"Type":"System.Int32","Value":"5"}]}`
#[derive(Deserialize)]
struct ParameterBody {
    #[serde(rename = "Keys", default)]
    keys: Vec<String>,
    #[serde(rename = "Values", default)]
    values: Vec<ValueBody>,
}

#[derive(Deserialize)]
struct ValueBody {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Value")]
    value: Value,
}

fn parameters(text: &str) -> Result<HashMap<String, Value>, Problem> {
    let bad = |why: String| Problem::document_query(format!("The query parameters are bad: {why}"));
    let body: ParameterBody = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if body.keys.len() != body.values.len() {
        return Err(bad("there are not as many values as keys".to_owned()));
    }
    body.keys
        .into_iter()
        .zip(body.values)
        .map(|(key, value)| {
            let typed = typed(&value).ok_or_else(|| bad(format!("the value of '{key}'")))?;
            let key = if key.starts_with('@') { key } else { format!("@{key}") };
            Ok((key, typed))
        })
        .collect()
}

/// The value that a .NET type and a text stand for.
fn typed(given: &ValueBody) -> Option<Value> {
    let text = match &given.value {
        Value::String(text) => text.as_str(),
        other => return Some(other.clone()),
    };
    match given.kind.strip_prefix("System.")? {
        "String" | "Guid" | "DateTime" => Some(Value::from(text)),
        "Boolean" => text.to_ascii_lowercase().parse().ok().map(Value::Bool),
        "Int16" | "Int32" | "Int64" | "Double" | "Single" | "Decimal" => {
            serde_json::from_str::<serde_json::Number>(text).ok().map(Value::Number)
        }
        _ => None,
    }
}

/// The number of results before the page, from `[{"token":"50"}]` in base64.
fn offset(cookie: &str) -> Option<usize> {
    let bytes = STANDARD.decode(cookie).ok()?;
    let cookie: Value = serde_json::from_slice(&bytes).ok()?;
    cookie.get(0)?.get("token")?.as_str()?.parse().ok()
}

type Results = Vec<Map<String, Value>>;

/// The results of the page, and whether there are more.
async fn run(attempt: &Attempt<'_>, arguments: &Arguments) -> Result<(Results, bool), Stop> {
    let Arguments { select, offset, .. } = arguments;
    let top = select.top.unwrap_or(usize::MAX);
    let size = arguments.size.min(top.saturating_sub(*offset));
    // One more tells whether there are more.
    let end = offset.saturating_add(size).saturating_add(1).min(top);
    let counts = matches!(select.items, Items::Count(_));
    let mut found = 0_usize;
    let mut sorted = Vec::new();
    let mut results: Results = Vec::new();
    let mut after = None;
    loop {
        let page = page(attempt, arguments, after).await?;
        for document in documents(&arguments.table, &page) {
            if select.filter.as_ref().is_some_and(|filter| !evaluate::holds(filter, &document)) {
                continue;
            }
            found += 1;
            if counts {
                continue;
            }
            if select.order.is_empty() {
                if found > *offset && found <= end {
                    results.push(evaluate::project(&select.items, &document));
                }
                continue;
            }
            if sorted.len() >= SORTED_MAX {
                let text = format!("A query with ORDER BY gives more than {SORTED_MAX} results.");
                return Err(Problem::document_query(text).into());
            }
            let keys = evaluate::keys(&select.order, &document);
            sorted.push((keys, evaluate::project(&select.items, &document)));
        }
        let enough = select.order.is_empty() && !counts && found >= end;
        if !page.more || enough {
            break;
        }
        after = last(&arguments.table, &page);
    }
    if let Items::Count(name) = &select.items {
        let count = Map::from_iter([(name.clone(), Value::from(found))]);
        return Ok((if *offset == 0 { vec![count] } else { Vec::new() }, false));
    }
    if !select.order.is_empty() {
        sorted.sort_by(|(left, _), (right, _)| evaluate::compare_keys(&select.order, left, right));
        let rest = sorted.into_iter().map(|(_, result)| result);
        results = rest.take(end).skip(*offset).collect();
    }
    let more = results.len() > size;
    results.truncate(size);
    Ok((results, more))
}

async fn page(
    attempt: &Attempt<'_>,
    arguments: &Arguments,
    after: Option<Vec<model::Value>>,
) -> Result<Page, Stop> {
    let table = &arguments.table;
    let query = BoundQuery {
        catalog: Arc::clone(&attempt.context.catalog),
        table: Arc::clone(table),
        joins: Vec::new(),
        columns: table.indexed_columns().map(|(column, _)| ColumnRef::root(column)).collect(),
        filter: None,
        order: order_columns(table)
            .map(|column| Order { column: ColumnRef::root(column), descending: false })
            .collect(),
        paging: Paging { size: READ_SIZE, after, skip: 0, look_ahead: true },
        count_max: None,
        shape: query::Shape::default(),
    };
    let read = Read { name: MessageName::RetrieveMultiple, query };
    let message = match &arguments.partition {
        Some(partition) => Message::ReadPartition(read, partition.as_str().into()),
        None => Message::Read(read),
    };
    records::page_of(attempt, message).await
}

fn order_columns(table: &Table) -> impl Iterator<Item = model::ColumnIndex> {
    std::iter::once(table.primary_key).chain(partition::column(table))
}

/// The place of the last row of a page.
fn last(table: &Table, page: &Page) -> Option<Vec<model::Value>> {
    let row = page.rows(table.columns.len()).last()?;
    order_columns(table).map(|column| row.get(usize::from(column.0)).cloned()).collect()
}

/// The rows of a page as documents.
fn documents<'a>(table: &'a Table, page: &'a Page) -> impl Iterator<Item = Value> + 'a {
    page.rows(table.columns.len()).map(|row| {
        let mut props = Map::new();
        for ((_, column), value) in table.indexed_columns().zip(row) {
            if value.is_null() || !column.valid_for_read {
                continue;
            }
            let is_json = matches!(
                column.kind,
                ColumnKind::Text { format: TextFormat::Json, .. }
                    | ColumnKind::Memo { json: true, .. }
            );
            let plain = records::json(value);
            let nested = match &plain {
                Value::String(text) if is_json => serde_json::from_str(text).ok(),
                _ => None,
            };
            props.insert(column.logical_name.to_string(), nested.unwrap_or(plain));
        }
        Value::Object(Map::from_iter([("props".to_owned(), Value::Object(props))]))
    })
}
