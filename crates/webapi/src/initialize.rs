//! `InitializeFrom`: what a new record would be that begins with another one.
//!
//! Columns of one name and one kind are copied, and the first lookup of the new record's table that leads to
//! the other record points to it; its name and what the service keeps are not copied (unverified: the
//! platform has mappings for each relationship). Source: webapi.md 12.7. Nothing is written.

use crate::api::{Attempt, Stop};
use crate::arguments::Arguments;
use crate::fault::{self, Problem};
use crate::functions::bad_arguments;
use crate::records::files::is_file;
use crate::records::json as property_json;
use crate::response;
use crate::rights;
use crate::route::{Address, Function, NAMESPACE};
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{
    Catalog, Column, ColumnIndex, ColumnKind, LookupKind, MessageName, Table, TargetKey, Uuid,
    Value,
};
use pipeline::{Message, Read, Reply};
use query::odata::{self, Options};
use serde_json::{Map, json};
use std::sync::Arc;

/// Which columns the caller wants (`TargetFieldType`).
#[derive(Clone, Copy)]
enum Wanted {
    All,
    ForCreate,
    ForUpdate,
    ForRead,
}

/// `InitializeFrom(EntityMoniker=…,TargetEntityName=…,TargetFieldType=…)`
pub(crate) async fn call(
    attempt: &Attempt<'_>,
    arguments: &Arguments,
) -> Result<Response<Bytes>, Stop> {
    let catalog = &attempt.context.catalog;
    let bad = || bad_arguments(Function::InitializeFrom);
    let (source, id) =
        rights::record_of(attempt, "EntityMoniker", arguments.get("EntityMoniker"), None)?;
    let name = arguments.get("TargetEntityName").as_str().ok_or_else(bad)?;
    let target = catalog.table(name).ok_or_else(|| Problem::no_definition("entity", name))?;
    let wanted = match arguments.get("TargetFieldType").as_str() {
        Some("All" | "0") => Wanted::All,
        Some("ValidForCreate" | "1") => Wanted::ForCreate,
        Some("ValidForUpdate" | "2") => Wanted::ForUpdate,
        Some("ValidForRead" | "3") => Wanted::ForRead,
        _ => return Err(bad().into()),
    };
    let (lookup, navigation) = leads_to(catalog, target, &source).ok_or_else(|| {
        Problem::argument(format!(
            "A record of '{}' does not begin with one of '{}': no relationship leads from it there.",
            target.logical_name, source.logical_name
        ))
    })?;
    let copied = copied(&source, target, wanted, lookup);
    let values = read(attempt, &source, id, &copied).await?;
    let mut body = Map::new();
    let root = &attempt.request.root;
    let set = &target.entity_set_name;
    body.insert("@odata.context".to_owned(), json!(format!("{root}$metadata#{set}/$entity")));
    let kind = format!("#{NAMESPACE}{}", target.logical_name);
    body.insert("@odata.type".to_owned(), json!(kind));
    for ((_, column), value) in copied.iter().zip(values) {
        match &value {
            Value::Null => {}
            Value::Lookup(lookup) => {
                let pointed = catalog.table_by_id(lookup.table);
                let ColumnKind::Lookup { targets, .. } = &target.column(*column).kind else {
                    continue;
                };
                let way = pointed.and_then(|pointed| {
                    let way = targets.iter().find(|way| way.table == pointed.logical_name)?;
                    Some((&way.navigation, &pointed.entity_set_name))
                });
                if let Some((navigation, set)) = way {
                    let bind = format!("{set}({})", lookup.id);
                    body.insert(format!("{navigation}@odata.bind"), json!(bind));
                }
            }
            value => {
                body.insert(target.value_name(*column).to_owned(), property_json(value));
            }
        }
    }
    let bind = format!("{}({id})", source.entity_set_name);
    body.insert(format!("{navigation}@odata.bind"), json!(bind));
    let body = serde_json::Value::Object(body).to_string();
    Ok(response::json(StatusCode::OK, body.into_bytes()))
}

/// The first lookup of a table, other than those that the service keeps, that leads to another table.
fn leads_to(catalog: &Catalog, table: &Table, to: &Table) -> Option<(ColumnIndex, Box<str>)> {
    let mut links = catalog.referencing(&to.logical_name);
    links.find_map(|link| {
        let index = table.index_of(&link.referencing_column)?;
        let column = table.column(index);
        let is_own = link.referencing_table == table.logical_name
            && column.valid_for_create
            && column.computed.is_none()
            && !matches!(column.kind, ColumnKind::Lookup { kind: LookupKind::Owner, .. });
        is_own.then(|| (index, link.referencing_navigation.clone()))
    })
}

/// The columns that are copied: those of the one table, and of the other.
fn copied(
    source: &Table,
    target: &Table,
    wanted: Wanted,
    lookup: ColumnIndex,
) -> Vec<(ColumnIndex, ColumnIndex)> {
    let fits = |column: &Column| match wanted {
        Wanted::All => true,
        Wanted::ForCreate => column.valid_for_create,
        Wanted::ForUpdate => column.valid_for_update,
        Wanted::ForRead => column.valid_for_read,
    };
    let pairs = target.indexed_columns().filter_map(|(to, column)| {
        let from = source.index_of(&column.logical_name)?;
        let other = source.column(from);
        let same = std::mem::discriminant(&column.kind) == std::mem::discriminant(&other.kind);
        let is_kept = matches!(
            column.kind,
            ColumnKind::State { .. }
                | ColumnKind::Status { .. }
                | ColumnKind::Lookup { kind: LookupKind::Owner, .. }
        ) || KEPT.contains(&&*column.logical_name);
        let is_own = to == target.primary_key || to == lookup || target.primary_name == Some(to);
        let reads = other.valid_for_read && column.computed.is_none() && !is_file(&column.kind);
        (same && reads && fits(column) && !is_kept && !is_own).then_some((from, to))
    });
    pairs.collect()
}

/// Columns that tell how a record came about.
const KEPT: [&str; 12] = [
    "versionnumber",
    "createdon",
    "createdby",
    "createdonbehalfby",
    "modifiedon",
    "modifiedby",
    "modifiedonbehalfby",
    "overriddencreatedon",
    "importsequencenumber",
    "owningbusinessunit",
    "timezoneruleversionnumber",
    "utcconversiontimezonecode",
];

async fn read(
    attempt: &Attempt<'_>,
    source: &Arc<Table>,
    id: Uuid,
    copied: &[(ColumnIndex, ColumnIndex)],
) -> Result<Vec<Value>, Stop> {
    let address = Address { table: Arc::clone(source), key: TargetKey::Id(id) };
    let catalog = &attempt.context.catalog;
    let mut query = odata::parse_single(catalog, source, &Options::default(), address.filter())
        .map_err(fault::of_query)?
        .query;
    let key = query::ColumnRef::root(source.primary_key);
    let columns = copied.iter().map(|(from, _)| query::ColumnRef::root(*from));
    query.columns = columns.chain([key]).collect();
    let message = Message::Read(Read { name: MessageName::Retrieve, query });
    let Reply::Page(page) = attempt.run(message).await? else {
        return Err(Problem::unexpected().into());
    };
    if page.rows == 0 {
        return Err(address.missing().into());
    }
    Ok(page.cells.into_iter().take(copied.len()).collect())
}
