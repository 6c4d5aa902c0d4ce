//! The service document and the unbound functions.
//!
//! Source: webapi.md 2 and 20.

use crate::api::{Attempt, Stop};
use crate::arguments::Arguments;
use crate::cosmos;
use crate::explain;
use crate::fault::{self, Problem};
use crate::initialize;
use crate::response;
use crate::route::Function;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{MessageName, Table};
use pipeline::{Message, Read, Reply};
use query::{BoundQuery, Paging};
use serde_json::{Value, json};
use std::sync::Arc;

/// What `RetrieveVersion` answers: the platform's version that the contract describes, then ours.
const VERSION: &str =
    concat!("9.2.", env!("CARGO_PKG_VERSION_MINOR"), ".", env!("CARGO_PKG_VERSION_PATCH"));

/// The one language there is.
const ENGLISH: i32 = 1033;

/// Tables that one `RetrieveTotalRecordCount` may name.
const COUNTED_TABLES_MAX: usize = 100;

/// `GET /`
pub(crate) fn service_document(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    if attempt.request.method != Method::GET {
        return Err(attempt.only("GET, HEAD").into());
    }
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let sets: Vec<Value> = attempt
        .context
        .catalog
        .tables()
        .iter()
        .map(|table| {
            let set = &*table.entity_set_name;
            json!({"name": set, "kind": "EntitySet", "url": set})
        })
        .collect();
    let context = format!("{}$metadata", attempt.request.root);
    Ok(ok(&json!({"@odata.context": context, "value": sets})))
}

/// A function, with what stands in its parentheses.
pub(crate) async fn call(
    attempt: &Attempt<'_>,
    function: Function,
    arguments: &str,
) -> Result<Response<Bytes>, Stop> {
    if attempt.request.method != Method::GET {
        return Err(attempt.only("GET, HEAD").into());
    }
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    if function == Function::ExecuteCosmosSqlQuery {
        return cosmos::call(attempt, arguments.trim()).await;
    }
    let known: &[&str] = match function {
        Function::RetrieveCurrentOrganization => &["AccessType"],
        Function::RetrieveTotalRecordCount => &["EntityNames"],
        Function::InitializeFrom => &["EntityMoniker", "TargetEntityName", "TargetFieldType"],
        Function::ExplainSteps => &["Message", "Table", "Targets", "Columns"],
        _ => &[],
    };
    let arguments = Arguments::read(arguments, &attempt.request.options)
        .filter(|arguments| arguments.are_among(known))
        .ok_or_else(|| bad_arguments(function))?;
    match function {
        Function::WhoAmI => Ok(who_am_i(attempt)),
        Function::RetrieveVersion => Ok(ok(&json!({
            "@odata.context": context(attempt, function),
            "Version": VERSION,
        }))),
        Function::RetrieveAvailableLanguages => Ok(ok(&json!({
            "@odata.context": context(attempt, function),
            "LocaleIds": [ENGLISH],
        }))),
        Function::RetrieveCurrentOrganization => {
            if !matches!(
                arguments.get("AccessType").as_str(),
                Some("Default" | "Internet" | "Intranet")
            ) {
                return Err(bad_arguments(function).into());
            }
            organization(attempt).await
        }
        Function::RetrieveTotalRecordCount => {
            let names = entity_names(&arguments)?;
            total_record_count(attempt, &names).await
        }
        Function::InitializeFrom => initialize::call(attempt, &arguments).await,
        Function::ExplainSteps => explain::call(attempt, &arguments).await,
        // Answered above: its parameters are read by itself.
        Function::ExecuteCosmosSqlQuery => Err(Problem::unexpected().into()),
    }
}

fn name(function: Function) -> &'static str {
    match function {
        Function::WhoAmI => "WhoAmI",
        Function::RetrieveVersion => "RetrieveVersion",
        Function::RetrieveAvailableLanguages => "RetrieveAvailableLanguages",
        Function::RetrieveCurrentOrganization => "RetrieveCurrentOrganization",
        Function::RetrieveTotalRecordCount => "RetrieveTotalRecordCount",
        Function::ExecuteCosmosSqlQuery => "ExecuteCosmosSqlQuery",
        Function::InitializeFrom => "InitializeFrom",
        Function::ExplainSteps => "SheafExplainSteps",
    }
}

pub(crate) fn context(attempt: &Attempt<'_>, function: Function) -> String {
    let root = &attempt.request.root;
    format!("{root}$metadata#Microsoft.Dynamics.CRM.{}Response", name(function))
}

pub(crate) fn ok(body: &Value) -> Response<Bytes> {
    response::json(StatusCode::OK, body.to_string().into_bytes())
}

pub(crate) fn bad_arguments(function: Function) -> Problem {
    Problem::uri(format!(
        "No function signature for the function with name '{}' matches the specified arguments.",
        name(function)
    ))
}

fn who_am_i(attempt: &Attempt<'_>) -> Response<Bytes> {
    let caller = attempt.context.caller;
    ok(&json!({
        "@odata.context": context(attempt, Function::WhoAmI),
        "BusinessUnitId": caller.business_unit.to_string(),
        "UserId": caller.user.to_string(),
        "OrganizationId": attempt.pipeline.organization().id.to_string(),
    }))
}

/// The one organisation there is. Its access type changes nothing: there is one address.
async fn organization(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let id = attempt.pipeline.organization().id.to_string();
    let named = crate::records::first_name(attempt, "organization").await?;
    let name = named.as_deref().unwrap_or("Sheaf");
    let root = &attempt.request.root;
    let origin = root.split("/api/data/").next().unwrap_or(root);
    Ok(ok(&json!({
        "@odata.context": context(attempt, Function::RetrieveCurrentOrganization),
        "Detail": {
            "OrganizationId": id,
            "FriendlyName": name,
            "OrganizationVersion": VERSION,
            "EnvironmentId": id,
            "DatacenterId": model::Uuid::nil().to_string(),
            "Geo": null,
            "TenantId": id,
            "UrlName": name,
            "UniqueName": name,
            "State": "Enabled",
            "Endpoints": {
                "Count": 3,
                "IsReadOnly": false,
                "Keys": ["WebApplication", "OrganizationService", "OrganizationDataService"],
                "Values": [
                    format!("{origin}/"),
                    format!("{origin}/XRMServices/2011/Organization.svc"),
                    format!("{origin}/XRMServices/2011/OrganizationData.svc"),
                ],
            },
        },
    })))
}

/// The tables that the argument names.
fn entity_names(arguments: &Arguments) -> Result<Vec<String>, Problem> {
    let bad = || bad_arguments(Function::RetrieveTotalRecordCount);
    let listed = arguments.get("EntityNames").as_array().ok_or_else(bad)?;
    let names = listed.iter().map(|name| name.as_str().map(str::to_owned));
    let names: Vec<String> = names.collect::<Option<_>>().ok_or_else(bad)?;
    if names.len() > COUNTED_TABLES_MAX {
        return Err(Problem::argument(format!(
            "RetrieveTotalRecordCount takes at most {COUNTED_TABLES_MAX} tables."
        )));
    }
    Ok(names)
}

/// Exact counts, one query per named table.
async fn total_record_count(
    attempt: &Attempt<'_>,
    names: &[String],
) -> Result<Response<Bytes>, Stop> {
    let catalog = &attempt.context.catalog;
    let mut tables: Vec<&Arc<Table>> = Vec::new();
    for name in names {
        let table = catalog.table(name).ok_or_else(|| Problem::no_definition("entity", name))?;
        if !tables.iter().any(|known| known.id == table.id) {
            tables.push(table);
        }
    }
    let mut counts = Vec::new();
    // Each table is a query of its own; the caller names few.
    for table in &tables {
        counts.push(rows_of(attempt, table).await?);
    }
    let keys: Vec<&str> = tables.iter().map(|table| &*table.logical_name).collect();
    Ok(ok(&json!({
        "@odata.context": context(attempt, Function::RetrieveTotalRecordCount),
        "EntityRecordCountCollection": {
            "Count": keys.len(),
            "IsReadOnly": false,
            "Keys": keys,
            "Values": counts,
        },
    })))
}

async fn rows_of(attempt: &Attempt<'_>, table: &Arc<Table>) -> Result<u64, Stop> {
    let query = BoundQuery {
        paging: Paging::first(0),
        count_max: Some(u64::from(u32::MAX) << 20),
        ..BoundQuery::by_key(&attempt.context.catalog, table)
    };
    let read = Message::Read(Read { name: MessageName::RetrieveMultiple, query });
    match attempt.run(read).await? {
        Reply::Page(page) => Ok(page.count.unwrap_or_default()),
        Reply::Written(_)
        | Reply::Partly(_)
        | Reply::Followed(_)
        | Reply::Deleted(_)
        | Reply::Walked(_)
        | Reply::Defined(_) => {
            tracing::error!("a read was answered with something else than a page");
            Err(Problem::unexpected().into())
        }
    }
}
