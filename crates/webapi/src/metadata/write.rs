//! Making definitions.
//!
//! Source: metadata.md 4.1, 4.2, 5.1, 6.1, 8 and 10.1.

use super::Within;
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::response;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{MessageName, Uuid};
use pipeline::{Definition, Message, Reply};
use serde_json::json;
use wire::metadata::DecodedRelationship;

/// The solution that everything belongs to which names none.
const DEFAULT_SOLUTION: &str = "Default";

/// `POST /EntityDefinitions`
pub(super) async fn table(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let table = wire::metadata::decode_table(&attempt.request.body)
        .map_err(|err| refused(err, "EntityDefinitions"))?;
    let made = define(attempt, Definition::CreateTables(vec![table])).await?;
    Ok(address_of(attempt, "EntityDefinitions", &made))
}

/// `POST /CreateEntities`
pub(crate) async fn create_entities(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri).into()),
        _ => return Err(attempt.only("POST").into()),
    }
    check(attempt)?;
    let tables = wire::metadata::decode_tables(&attempt.request.body)
        .map_err(|err| refused(err, "CreateEntities"))?;
    let made = define(attempt, Definition::CreateTables(tables)).await?;
    let ids: Vec<String> = made.iter().map(Uuid::to_string).collect();
    let root = &attempt.request.root;
    let body = json!({
        "@odata.context":
            format!("{root}$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse"),
        "EntityIds": ids,
    });
    Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
}

/// `POST /EntityDefinitions(k)/Attributes`
pub(super) async fn column(
    attempt: &Attempt<'_>,
    within: &Within,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let column = wire::metadata::decode_column(&attempt.request.body)
        .map_err(|err| refused(err, "Attributes"))?;
    let definition = Definition::CreateColumn { table: within.table.clone(), column };
    let made = define(attempt, definition).await?;
    Ok(address_of(attempt, &format!("{}/Attributes", within.address), &made))
}

/// `POST /EntityDefinitions(k)/Keys`
pub(super) async fn key(attempt: &Attempt<'_>, within: &Within) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let key =
        wire::metadata::decode_key(&attempt.request.body).map_err(|err| refused(err, "Keys"))?;
    let definition = Definition::CreateKey { table: within.table.clone(), key };
    let made = define(attempt, definition).await?;
    Ok(address_of(attempt, &format!("{}/Keys", within.address), &made))
}

/// `POST /RelationshipDefinitions`
pub(super) async fn relationship(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let relationship = wire::metadata::decode_relationship(&attempt.request.body)
        .map_err(|err| refused(err, "RelationshipDefinitions"))?;
    let definition = match relationship {
        DecodedRelationship::OneToMany(wish) => Definition::CreateRelationship(wish),
        DecodedRelationship::ManyToMany(wish) => Definition::CreateManyToMany(wish),
    };
    let made = define(attempt, definition).await?;
    Ok(address_of(attempt, "RelationshipDefinitions", &made))
}

/// Refuses options, and a solution other than the default one.
fn check(attempt: &Attempt<'_>) -> Result<(), Problem> {
    let request = attempt.request;
    request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let named = request.options.get("SolutionUniqueName").filter(|name| !name.is_empty());
    for solution in request.solution.as_deref().into_iter().chain(named) {
        if solution != DEFAULT_SOLUTION {
            return Err(Problem::not_implemented(format_args!(
                "Adding definitions to the solution '{solution}' by 'SolutionUniqueName'"
            )));
        }
    }
    Ok(())
}

fn refused(error: wire::Error, set: &str) -> Problem {
    fault::of_wire(error, Payload { message: MessageName::Create, table: set, set })
}

async fn define(attempt: &Attempt<'_>, definition: Definition) -> Result<Vec<Uuid>, Stop> {
    match attempt.run(Message::Define(definition)).await? {
        Reply::Defined(made) => Ok(made),
        Reply::Written(_)
        | Reply::Partly(_)
        | Reply::Followed(_)
        | Reply::Deleted(_)
        | Reply::Page(_) => {
            tracing::error!("a definition was not answered with ids");
            Err(Problem::unexpected().into())
        }
    }
}

/// 204 with the address of what was made.
fn address_of(attempt: &Attempt<'_>, collection: &str, made: &[Uuid]) -> Response<Bytes> {
    match made.first() {
        Some(id) => response::written(&format!("{}{collection}({id})", attempt.request.root)),
        None => response::empty(StatusCode::NO_CONTENT),
    }
}
